//! Small steps over the tokens.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_plan::utility::ObjectName;
use pg_types::{Result, SqlError};
use sqlparser::{
    ast as sq,
    keywords::Keyword,
    parser::Parser,
    tokenizer::{Token, TokenWithSpan},
};

use super::{Fail, Parsed, byte, position, syntax_error};
use crate::{
    ast::{NameAt, Overriding},
    keywords::{Category, lookup},
};

pub(crate) struct Cursor<'a> {
    pub(crate) parser: Parser<'a>,
    pub(crate) text: &'a str,
    pub(crate) overriding: Vec<(usize, Overriding)>,
    /// Conflict targets that were taken out, by the byte where they began.
    pub(crate) conflicts: Vec<(usize, Vec<TokenWithSpan>)>,
}

/// Schema and name of a grammar's name.
pub(crate) fn object_name(name: &sq::ObjectName) -> Result<NameAt> {
    let mut parts = Vec::with_capacity(2);
    let mut at = 0;
    for part in &name.0 {
        let sq::ObjectNamePart::Identifier(ident) = part else {
            return Err(SqlError::unsupported("a function as a name"));
        };
        if at == 0 {
            at = position(ident.span.start);
        }
        parts.push(ident.value.clone());
    }
    let mut only = false;
    if let Some(last) = parts.last_mut()
        && let Some(name) = last.strip_prefix(super::stars::ONLY)
    {
        only = true;
        *last = name.into();
    }
    let full = || parts.join(".");
    let name = match parts.len() {
        1 => ObjectName { schema: None, name: parts.swap_remove(0) },
        2 => {
            let name = parts.swap_remove(1);
            ObjectName { schema: Some(parts.swap_remove(0)), name }
        }
        3 => {
            return Err(SqlError::new(
                pg_types::SqlState::FEATURE_NOT_SUPPORTED,
                format!("cross-database references are not implemented: \"{}\"", full()),
            )
            .at(at));
        }
        _ => {
            return Err(SqlError::syntax(format!(
                "improper qualified name (too many dotted names): {}",
                full()
            ))
            .at(at));
        }
    };
    Ok(NameAt { name, only, at })
}

impl Cursor<'_> {
    /// The next token's text when it is an unquoted word.
    pub(crate) fn peek_word(&self) -> Option<String> {
        self.peek_word_nth(0)
    }

    pub(crate) fn peek_word_nth(&self, n: usize) -> Option<String> {
        match &self.parser.peek_nth_token_ref(n).token {
            Token::Word(w) if w.quote_style.is_none() => Some(w.value.clone()),
            _ => None,
        }
    }

    pub(crate) fn peek_is(&self, n: usize, word: &str) -> bool {
        matches!(&self.parser.peek_nth_token_ref(n).token, Token::Word(w)
            if w.quote_style.is_none() && w.value == word)
    }

    /// Consumes the word if it comes next.
    pub(crate) fn accept(&mut self, word: &str) -> bool {
        let found = self.peek_is(0, word);
        if found {
            self.parser.advance_token();
        }
        found
    }

    /// Consumes the words if they all come next.
    pub(crate) fn accept_all(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(i, w)| self.peek_is(i, w));
        if found {
            for _ in words {
                self.parser.advance_token();
            }
        }
        found
    }

    pub(crate) fn expect(&mut self, word: &str) -> Parsed<()> {
        if self.accept(word) { Ok(()) } else { self.unexpected() }
    }

    pub(crate) fn expect_all(&mut self, words: &[&str]) -> Parsed<()> {
        words.iter().try_for_each(|w| self.expect(w))
    }

    pub(crate) fn symbol(&mut self, token: &Token) -> Parsed<()> {
        Ok(self.parser.expect_token(token).map(|_| ())?)
    }

    pub(crate) fn accept_symbol(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    /// A syntax error at the next token.
    pub(crate) fn unexpected<T>(&self) -> Parsed<T> {
        let token = self.parser.peek_token_ref();
        Err(Fail::Sql(if token.token == Token::EOF {
            let end = self.text.chars().count() as u32 + 1;
            SqlError::syntax("syntax error at end of input").at(end)
        } else {
            syntax_error(self.text, token)
        }))
    }

    pub(crate) fn at_end(&self) -> bool {
        matches!(self.parser.peek_token_ref().token, Token::EOF | Token::SemiColon)
    }

    pub(crate) fn end_of_statement(&self) -> Parsed<()> {
        if self.at_end() { Ok(()) } else { self.unexpected() }
    }

    pub(crate) fn here(&self) -> u32 {
        position(self.parser.peek_token_ref().span.start)
    }

    /// Byte offset of the next token.
    pub(crate) fn offset(&self) -> usize {
        match self.parser.peek_token_ref() {
            token if token.token == Token::EOF => self.text.len(),
            token => byte(token.span.start),
        }
    }

    /// Any unquoted word, or a quoted one as it is.
    pub(crate) fn any_word(&mut self) -> Parsed<String> {
        match &self.parser.peek_token_ref().token {
            Token::Word(w) => {
                let value = w.value.clone();
                self.parser.advance_token();
                Ok(value)
            }
            _ => self.unexpected(),
        }
    }

    /// An identifier for a column, table, ...
    pub(crate) fn ident_at(&mut self) -> Parsed<sq::Ident> {
        match &self.parser.peek_token_ref().token {
            Token::Word(w)
                if w.quote_style.is_some()
                    || matches!(lookup(&w.value).1, Category::Unreserved | Category::ColumnName) =>
            {
                Ok(self.parser.parse_identifier()?)
            }
            _ => self.unexpected(),
        }
    }

    pub(crate) fn ident(&mut self) -> Parsed<String> {
        Ok(self.ident_at()?.value)
    }

    pub(crate) fn idents_in_parentheses(&mut self) -> Parsed<Vec<sq::Ident>> {
        self.symbol(&Token::LParen)?;
        let mut idents = Vec::from([self.ident_at()?]);
        while self.accept_symbol(&Token::Comma) {
            idents.push(self.ident_at()?);
        }
        self.symbol(&Token::RParen)?;
        Ok(idents)
    }

    /// A possibly qualified name.
    pub(crate) fn name(&mut self) -> Parsed<NameAt> {
        let first = self.ident_at()?;
        let mut parts = Vec::from([first]);
        while self.accept_symbol(&Token::Period) {
            match self.parser.peek_token_ref().token {
                Token::Word(_) => parts.push(self.parser.parse_identifier()?),
                _ => return self.unexpected(),
            }
        }
        Ok(object_name(&sq::ObjectName::from(parts))?)
    }

    pub(crate) fn names(&mut self) -> Parsed<Vec<NameAt>> {
        let mut names = Vec::from([self.name()?]);
        while self.accept_symbol(&Token::Comma) {
            names.push(self.name()?);
        }
        Ok(names)
    }

    pub(crate) fn string(&mut self) -> Parsed<String> {
        match &self.parser.peek_token_ref().token {
            Token::SingleQuotedString(s) => {
                let s = s.clone();
                self.parser.advance_token();
                Ok(s)
            }
            _ => self.unexpected(),
        }
    }

    /// A whole number with an optional sign.
    pub(crate) fn integer(&mut self) -> Parsed<i64> {
        let negative = self.accept_symbol(&Token::Minus);
        if !negative {
            self.accept_symbol(&Token::Plus);
        }
        let token = self.parser.peek_token_ref().clone();
        let Token::Number(text, _) = &token.token else { return self.unexpected() };
        let magnitude: i128 = match text.parse() {
            Ok(n) => n,
            Err(_) => return self.unexpected(),
        };
        match i64::try_from(if negative { -magnitude } else { magnitude }) {
            Ok(n) => {
                self.parser.advance_token();
                Ok(n)
            }
            Err(_) => Err(SqlError::new(
                pg_types::SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("value \"{text}\" is out of range for type bigint"),
            )
            .into()),
        }
    }

    /// The optional value of a boolean option in parentheses.
    pub(crate) fn option_flag(&mut self) -> Parsed<bool> {
        match &self.parser.peek_token_ref().token {
            Token::Comma | Token::RParen => return Ok(true),
            _ => {}
        }
        let text = self.option_value()?;
        match text.as_str() {
            "true" | "on" | "1" => Ok(true),
            "false" | "off" | "0" => Ok(false),
            _ => Err(SqlError::syntax("option requires a Boolean value").into()),
        }
    }

    /// A word, string or number as text; words in lower case.
    pub(crate) fn option_value(&mut self) -> Parsed<String> {
        let sign = if self.accept_symbol(&Token::Minus) {
            "-"
        } else {
            self.accept_symbol(&Token::Plus);
            ""
        };
        let text = match &self.parser.peek_token_ref().token {
            Token::Word(w) if sign.is_empty() => w.value.clone(),
            Token::SingleQuotedString(s) if sign.is_empty() => s.clone(),
            Token::Number(n, _) => format!("{sign}{n}"),
            _ => return self.unexpected(),
        };
        self.parser.advance_token();
        Ok(text)
    }

    /// True when the parentheses that come next hold a query.
    pub(crate) fn query_in_parentheses(&self) -> bool {
        let mut n = 0;
        while self.parser.peek_nth_token_ref(n).token == Token::LParen {
            n += 1;
        }
        n > 0
            && matches!(&self.parser.peek_nth_token_ref(n).token, Token::Word(w) if matches!(w.keyword,
                Keyword::SELECT | Keyword::WITH | Keyword::VALUES | Keyword::TABLE))
    }

    pub(crate) fn if_exists(&mut self) -> Parsed<bool> {
        if !self.accept("if") {
            return Ok(false);
        }
        self.expect("exists").map(|()| true)
    }

    pub(crate) fn if_not_exists(&mut self) -> Parsed<bool> {
        if !self.accept("if") {
            return Ok(false);
        }
        self.expect_all(&["not", "exists"]).map(|()| true)
    }

    /// CASCADE (true) or RESTRICT.
    pub(crate) fn cascade(&mut self) -> bool {
        let cascade = self.accept("cascade");
        if !cascade {
            self.accept("restrict");
        }
        cascade
    }

    /// `WITH (fillfactor = 90, ...)` of a table: the parentheses. Names and values as `pg_class.reloptions` has them.
    pub(crate) fn table_options(&mut self) -> Parsed<Vec<(String, String)>> {
        self.symbol(&Token::LParen)?;
        let mut options: Vec<(String, String)> = Vec::new();
        loop {
            let name = self.option_name()?;
            if options.iter().any(|o| o.0 == name) {
                return Err(SqlError::new(
                    pg_types::SqlState::INVALID_PARAMETER_VALUE,
                    format!("parameter \"{name}\" specified more than once"),
                )
                .into());
            }
            let value = match self.accept_symbol(&Token::Eq) {
                true => self.option_value()?,
                false => String::from("true"),
            };
            let value = super::reloptions::check(&name, &value)?;
            options.push((name, value));
            if !self.accept_symbol(&Token::Comma) {
                break;
            }
        }
        self.symbol(&Token::RParen)?;
        Ok(options)
    }

    /// `RESET (fillfactor, ...)`: the parentheses.
    pub(crate) fn option_names(&mut self) -> Parsed<Vec<String>> {
        self.symbol(&Token::LParen)?;
        let mut names = Vec::new();
        loop {
            let name = self.option_name()?;
            super::reloptions::check_name(&name)?;
            names.push(name);
            if !self.accept_symbol(&Token::Comma) {
                break;
            }
        }
        self.symbol(&Token::RParen)?;
        Ok(names)
    }

    fn option_name(&mut self) -> Parsed<String> {
        let mut name = self.any_word()?;
        if self.accept_symbol(&Token::Period) {
            name.push('.');
            name.push_str(&self.any_word()?);
        }
        Ok(name)
    }

    /// `WITH (fillfactor = 90)`: the parentheses.
    pub(crate) fn storage_options(&mut self, least: i64) -> Parsed<Option<i32>> {
        self.symbol(&Token::LParen)?;
        let mut fillfactor = None;
        loop {
            let name = self.any_word()?;
            if name != "fillfactor" {
                return Err(SqlError::unsupported(format!("storage parameter \"{name}\"")).into());
            }
            if fillfactor.is_some() {
                return Err(SqlError::new(
                    pg_types::SqlState::INVALID_PARAMETER_VALUE,
                    "parameter \"fillfactor\" specified more than once",
                )
                .into());
            }
            self.symbol(&Token::Eq)?;
            let text = self.option_value()?;
            let value = text.parse::<i64>().ok().filter(|v| (least..=100).contains(v));
            let Some(value) = value else {
                return Err(SqlError::new(
                    pg_types::SqlState::INVALID_PARAMETER_VALUE,
                    format!("value {text} out of bounds for option \"fillfactor\""),
                )
                .detail(format!("Valid values are between \"{least}\" and \"100\"."))
                .into());
            };
            fillfactor = Some(value as i32);
            if !self.accept_symbol(&Token::Comma) {
                break;
            }
        }
        self.symbol(&Token::RParen)?;
        Ok(fillfactor)
    }

    /// The token that begins at a byte.
    pub(crate) fn token_at(&self, offset: usize) -> Option<TokenWithSpan> {
        let mut low = 0usize;
        // Tokens lie in ascending order; the parser hands them out by index.
        let mut high = self.text.len() + 1;
        while low < high {
            let middle = low + (high - low) / 2;
            let token = self.parser.token_at(middle);
            if token.token == Token::EOF || byte(token.span.start) >= offset {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Some(self.parser.token_at(low).clone()).filter(|t| t.token != Token::EOF)
    }

    /// The text from a byte to the end of the statement, without the closing semicolon.
    pub(crate) fn rest_of_statement(&mut self, from: usize) -> String {
        let to = byte(self.parser.get_current_token().span.end);
        self.text.get(from..to).unwrap_or("").trim().to_string()
    }
}
