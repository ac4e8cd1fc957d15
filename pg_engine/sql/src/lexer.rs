//! Tokens by PostgreSQL's lexical rules, in the form the grammar takes.
//!
//! A token's `Location` carries a byte offset + 1 as its line and a 1-based character position as its column, so that
//! both a slice of the text and a client's error position are at hand wherever the grammar keeps a span.

use alloc::{format, string::String, vec::Vec};

use pg_types::{Result, SqlError};
use sqlparser::{
    keywords::Keyword,
    tokenizer::{Location, Span, Token, TokenWithSpan, Word},
};

use crate::keywords;

/// Longest identifier in bytes; longer ones are cut.
pub(crate) const MAX_IDENTIFIER: usize = 63;
/// Depth of the tree that the grammar makes of an expression: it leans left, one level an operator. What walks the tree by recursion
/// takes up to 850 bytes of stack a level.
const MAX_TREE: u32 = 5000;
/// Parentheses and brackets inside each other.
const MAX_NESTING: u32 = 400;

pub(crate) fn too_complex() -> SqlError {
    SqlError::new(pg_types::SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .hint("The nesting of the statement exceeds what a worker's stack can hold; simplify it.")
}

/// The text's tokens, without white space and comments.
pub(crate) fn tokenize(text: &str) -> Result<Vec<TokenWithSpan>> {
    let mut lexer =
        Lexer { text, bytes: text.as_bytes(), at: 0, chars: 0, ascii: text.is_ascii(), counted: 0 };
    let mut tokens = Vec::with_capacity(text.len() / 5 + 4);
    let mut outer: Vec<Depth> = Vec::new();
    let mut depth = Depth::default();
    while let Some(mut token) = lexer.next()? {
        // Behind a point any word is a name: `pg_catalog.substring` is a function as others are.
        if tokens.last().is_some_and(|t: &TokenWithSpan| t.token == Token::Period)
            && let Token::Word(w) = &mut token.token
        {
            w.keyword = Keyword::NoKeyword;
        }
        match &token.token {
            Token::LParen | Token::LBracket => {
                if outer.len() as u32 >= MAX_NESTING {
                    return Err(too_complex());
                }
                outer.push(core::mem::take(&mut depth));
            }
            Token::RParen | Token::RBracket => {
                let inner = core::mem::replace(&mut depth, outer.pop().unwrap_or_default());
                depth.operand(inner.whole());
            }
            Token::Comma | Token::SemiColon => depth.next(),
            Token::Word(w) => match w.keyword {
                Keyword::AND | Keyword::OR => depth.junction(),
                Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::IN
                | Keyword::BETWEEN
                | Keyword::AT => depth.operators += 1,
                Keyword::SELECT | Keyword::WHERE | Keyword::FROM | Keyword::WHEN | Keyword::THEN => {
                    depth.next();
                }
                _ => {}
            },
            Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) => {}
            _ => depth.operators += 1,
        }
        if depth.whole() > MAX_TREE {
            return Err(too_complex());
        }
        tokens.push(token);
    }
    Ok(tokens)
}

/// How deep the tree of what was read so far gets at most, at one level of parentheses.
#[derive(Default)]
struct Depth {
    /// Of expressions that are complete.
    before: u32,
    /// Of the row of ANDs and ORs, up to the last of them.
    junctions: u32,
    /// Of the row of other operators behind it.
    operators: u32,
}

impl Depth {
    fn whole(&self) -> u32 {
        self.before.max(self.junctions).max(self.operators)
    }

    fn junction(&mut self) {
        (self.junctions, self.operators) = (self.junctions.max(self.operators) + 1, 0);
    }

    /// An operand in parentheses.
    fn operand(&mut self, depth: u32) {
        self.operators = self.operators.max(depth + 1);
    }

    /// Another expression begins.
    fn next(&mut self) {
        *self = Self { before: self.whole(), ..Self::default() };
    }
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Characters before byte `counted` (only kept for text that is not ASCII).
    chars: usize,
    counted: usize,
    ascii: bool,
}

const OPERATOR_BYTES: &[u8] = b"+-*/<>=~!@#%^&|`?";

pub(crate) fn is_ident_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b >= 0x80
}

pub(crate) fn is_ident_part(b: u8) -> bool {
    is_ident_start(b) || b.is_ascii_digit() || b == b'$'
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn slice(&self, from: usize, to: usize) -> &str {
        self.text.get(from..to).unwrap_or("")
    }

    /// Location of a byte offset; offsets are asked for in ascending order.
    fn location(&mut self, byte: usize) -> Location {
        let column = if self.ascii {
            byte
        } else {
            if byte < self.counted {
                self.counted = 0;
                self.chars = 0;
            }
            self.chars += self.slice(self.counted, byte).chars().count();
            self.counted = byte;
            self.chars
        };
        Location { line: byte as u64 + 1, column: column as u64 + 1 }
    }

    fn error(&mut self, message: &str, from: usize) -> SqlError {
        let near = self.text.get(from..).unwrap_or("");
        let position = self.location(from).column;
        SqlError::syntax(format!("{message} at or near \"{near}\"")).at(position as u32)
    }

    /// Skips white space and comments.
    fn skip_blank(&mut self) -> Result<()> {
        loop {
            match self.peek(0) {
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c if self.at < self.bytes.len() => self.at += 1,
                b'-' if self.peek(1) == b'-' => self.skip_line(),
                b'/' if self.peek(1) == b'*' => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_line(&mut self) {
        while self.at < self.bytes.len() && !matches!(self.peek(0), b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn skip_comment(&mut self) -> Result<()> {
        let start = self.at;
        let mut depth = 0usize;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => self.at += 1,
            }
        }
        Err(self.error("unterminated /* comment", start))
    }

    fn next(&mut self) -> Result<Option<TokenWithSpan>> {
        self.skip_blank()?;
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let start = self.at;
        let first = self.location(start);
        let token = self.token(start)?;
        let last = self.location(self.at);
        Ok(Some(TokenWithSpan { token, span: Span { start: first, end: last } }))
    }

    fn token(&mut self, start: usize) -> Result<Token> {
        let b = self.peek(0);
        if is_ident_start(b) {
            return self.word_or_prefixed(start);
        }
        if b.is_ascii_digit() || (b == b'.' && self.peek(1).is_ascii_digit()) {
            return self.number(start);
        }
        if OPERATOR_BYTES.contains(&b) {
            return Ok(self.operator(start));
        }
        self.at += 1;
        Ok(match b {
            b'\'' => Token::SingleQuotedString(self.quoted(start, false)?),
            b'"' => self.delimited(start)?,
            b'$' => return self.dollar(start),
            b',' => Token::Comma,
            b'(' => Token::LParen,
            b')' => Token::RParen,
            b'[' => Token::LBracket,
            b']' => Token::RBracket,
            b';' => Token::SemiColon,
            b'.' => Token::Period,
            b':' if self.peek(0) == b':' => {
                self.at += 1;
                Token::DoubleColon
            }
            b':' if self.peek(0) == b'=' => {
                self.at += 1;
                Token::Assignment
            }
            b':' => Token::Colon,
            _ => {
                let position = self.location(start).column as u32;
                let near = char::from(b);
                return Err(SqlError::syntax(format!("syntax error at or near \"{near}\"")).at(position));
            }
        })
    }

    fn word_or_prefixed(&mut self, start: usize) -> Result<Token> {
        let next = self.peek(1);
        match (self.peek(0) | 0x20, next) {
            (b'e', b'\'') => {
                self.at += 2;
                return Ok(Token::SingleQuotedString(self.quoted(start, true)?));
            }
            (b'n', b'\'') => {
                self.at += 2;
                return Ok(Token::SingleQuotedString(self.quoted(start, false)?));
            }
            (b'b', b'\'') => {
                self.at += 2;
                return Ok(Token::SingleQuotedByteStringLiteral(self.quoted(start, false)?));
            }
            (b'x', b'\'') => {
                self.at += 2;
                return Ok(Token::HexStringLiteral(self.quoted(start, false)?));
            }
            (b'u', b'&') if self.peek(2) == b'\'' => {
                self.at += 3;
                let raw = self.quoted(start, false)?;
                let escape = self.uescape()?;
                return Ok(Token::SingleQuotedString(self.unicode(&raw, escape, start + 3)?));
            }
            (b'u', b'&') if self.peek(2) == b'"' => {
                self.at += 3;
                let Token::Word(mut word) = self.delimited(start)? else {
                    return Err(self.error("syntax error", start));
                };
                let escape = self.uescape()?;
                word.value = self.unicode(&word.value, escape, start + 3)?;
                return Ok(Token::Word(word));
            }
            _ => {}
        }
        while is_ident_part(self.peek(0)) && self.at < self.bytes.len() {
            self.at += 1;
        }
        let mut value = String::from(self.slice(start, self.at));
        value.make_ascii_lowercase();
        let (keyword, _) = keywords::lookup(&value);
        truncate(&mut value);
        Ok(Token::Word(Word { value, quote_style: None, keyword }))
    }

    /// The body of a quoted string; the opening quote is consumed. Strings separated by white space with a line break
    /// are one.
    fn quoted(&mut self, start: usize, escapes: bool) -> Result<String> {
        let mut out = String::new();
        loop {
            let from = self.at;
            while self.at < self.bytes.len() && self.peek(0) != b'\'' && !(escapes && self.peek(0) == b'\\') {
                self.at += 1;
            }
            out.push_str(self.text.get(from..self.at).unwrap_or(""));
            if self.at >= self.bytes.len() {
                return Err(self.error("unterminated quoted string", start));
            }
            self.at += 1;
            if self.bytes.get(self.at - 1) == Some(&b'\\') {
                self.escape(&mut out, start)?;
            } else if self.peek(0) == b'\'' {
                self.at += 1;
                out.push('\'');
            } else if !self.continues()? {
                return Ok(out);
            }
        }
    }

    /// True (and behind the next opening quote) when the string goes on in a later line.
    fn continues(&mut self) -> Result<bool> {
        let back = self.at;
        let mut newline = false;
        loop {
            match self.peek(0) {
                b'\n' | b'\r' => {
                    newline = true;
                    self.at += 1;
                }
                b' ' | b'\t' | 0x0b | 0x0c => self.at += 1,
                b'-' if self.peek(1) == b'-' => self.skip_line(),
                b'\'' if newline => {
                    self.at += 1;
                    return Ok(true);
                }
                _ => {
                    self.at = back;
                    return Ok(false);
                }
            }
        }
    }

    /// One backslash escape; the backslash is consumed.
    fn escape(&mut self, out: &mut String, start: usize) -> Result<()> {
        let b = self.peek(0);
        let Some(c) = self.text.get(self.at..).and_then(|t| t.chars().next()) else {
            return Err(self.error("unterminated quoted string", start));
        };
        self.at += c.len_utf8();
        match b {
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'0'..=b'7' | b'x' => {
                let (radix, most) = if b == b'x' { (16, 2) } else { (8, 3) };
                if b != b'x' {
                    self.at -= 1;
                }
                let from = self.at;
                while self.at - from < most && char::from(self.peek(0)).is_digit(radix) {
                    self.at += 1;
                }
                if from == self.at {
                    out.push('x');
                    return Ok(());
                }
                let code = u32::from_str_radix(self.slice(from, self.at), radix).unwrap_or(0);
                // Only ASCII: bytes of multi-byte characters cannot be put together one by one here.
                match u8::try_from(code) {
                    Ok(byte @ 1..=0x7f) => out.push(char::from(byte)),
                    _ => {
                        return Err(SqlError::new(
                            pg_types::SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                            format!("invalid byte sequence for encoding \"UTF8\": 0x{code:02x}"),
                        ));
                    }
                }
            }
            b'u' | b'U' => {
                let character = self.code_point(b == b'U')?;
                out.push(character);
            }
            _ => out.push(c),
        }
        Ok(())
    }

    /// The code point of `\u` or `\U`, whose letter was read; a high surrogate takes the escape of the low one along.
    fn code_point(&mut self, long: bool) -> Result<char> {
        let begin = self.at - 2;
        let code = self.hex(if long { 8 } else { 4 });
        let code = code.ok_or_else(|| self.bad_unicode(begin))?;
        if (0xdc00..0xe000).contains(&code) {
            return Err(self.bad_pair_near(begin));
        }
        if !(0xd800..0xdc00).contains(&code) {
            return match char::from_u32(code) {
                Some(c) if c != '\0' => Ok(c),
                _ => {
                    let near = String::from(self.slice(begin, self.at));
                    let text = format!("invalid Unicode escape value at or near \"{near}\"");
                    Err(SqlError::syntax(text).at(self.location(begin).column as u32))
                }
            };
        }
        let second = self.at;
        let long = match (self.peek(0), self.peek(1)) {
            (b'\\', b'u') => false,
            (b'\\', b'U') => true,
            _ => return Err(self.bad_pair_near(second)),
        };
        self.at += 2;
        let low = self.hex(if long { 8 } else { 4 });
        let low = low.ok_or_else(|| self.bad_unicode(second))?;
        let joined = (0xdc00..0xe000)
            .contains(&low)
            .then(|| char::from_u32(0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00)))
            .flatten();
        joined.ok_or_else(|| self.bad_pair_near(second))
    }

    fn bad_unicode(&mut self, from: usize) -> SqlError {
        let position = self.location(from).column as u32;
        SqlError::new(pg_types::SqlState::INVALID_ESCAPE_SEQUENCE, "invalid Unicode escape")
            .hint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
            .at(position)
    }

    /// A surrogate without its partner: near the next escape, or the next character.
    fn bad_pair_near(&mut self, from: usize) -> SqlError {
        let end = match (self.peek_at(from), self.peek_at(from + 1)) {
            (b'\\', b'u' | b'U') => self.at.max(from + 2),
            _ => from + self.text.get(from..).and_then(|t| t.chars().next()).map_or(0, char::len_utf8),
        };
        let near = String::from(self.slice(from, end));
        let position = self.location(from).column as u32;
        SqlError::syntax(format!("invalid Unicode surrogate pair at or near \"{near}\"")).at(position)
    }

    fn peek_at(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let text = self.text.get(self.at..self.at + digits)?;
        let code =
            text.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(text, 16).ok())??;
        self.at += digits;
        Some(code)
    }

    /// `UESCAPE 'c'` after a U& literal.
    fn uescape(&mut self) -> Result<char> {
        let back = self.at;
        self.skip_blank()?;
        if !self.text.get(self.at..self.at + 7).is_some_and(|w| w.eq_ignore_ascii_case("uescape")) {
            self.at = back;
            return Ok('\\');
        }
        self.at += 7;
        self.skip_blank()?;
        let from = self.at;
        if self.peek(0) != b'\'' {
            let near = self.text.get(from..).and_then(|t| t.chars().next()).map_or(0, char::len_utf8);
            let near = String::from(self.slice(from, from + near));
            let text = format!("UESCAPE must be followed by a simple string literal at or near \"{near}\"");
            return Err(SqlError::syntax(text).at(self.location(from).column as u32));
        }
        self.at += 1;
        let text = self.quoted(from, false)?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None)
                if !c.is_ascii_hexdigit() && !matches!(c, '+' | '\'' | '"') && !c.is_whitespace() =>
            {
                Ok(c)
            }
            _ => {
                let near = String::from(self.slice(from, self.at));
                let text = format!("invalid Unicode escape character at or near \"{near}\"");
                Err(SqlError::syntax(text).at(self.location(from).column as u32))
            }
        }
    }

    /// The text of a U& literal whose body starts at `body`.
    fn unicode(&mut self, raw: &str, escape: char, body: usize) -> Result<String> {
        let mut out = String::with_capacity(raw.len());
        let mut rest = raw;
        let mut high: Option<u32> = None;
        while let Some(c) = rest.chars().next() {
            let here = body + (raw.len() - rest.len());
            rest = rest.get(c.len_utf8()..).unwrap_or("");
            if c != escape {
                if high.is_some() {
                    return Err(self.bad_pair(here));
                }
                out.push(c);
                continue;
            }
            if let Some(r) = rest.strip_prefix(escape) {
                if high.is_some() {
                    return Err(self.bad_pair(here));
                }
                out.push(escape);
                rest = r;
                continue;
            }
            let (digits, number) = match rest.strip_prefix('+') {
                Some(r) => (6, r),
                None => (4, rest),
            };
            let code = number
                .get(..digits)
                .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|d| u32::from_str_radix(d, 16).ok());
            let code = code.ok_or_else(|| {
                let position = self.location(here).column as u32;
                let hint = "Unicode escapes must be \\XXXX or \\+XXXXXX.";
                SqlError::syntax("invalid Unicode escape").hint(hint).at(position)
            })?;
            rest = number.get(digits..).unwrap_or("");
            let code = match (high.take(), code) {
                (None, 0xd800..0xdc00) => {
                    high = Some(code);
                    continue;
                }
                (Some(h), 0xdc00..0xe000) => 0x1_0000 + ((h - 0xd800) << 10) + (code - 0xdc00),
                (Some(_), _) | (None, 0xdc00..0xe000) => return Err(self.bad_pair(here)),
                (None, _) => code,
            };
            match char::from_u32(code) {
                Some(c) if c != '\0' => out.push(c),
                _ => {
                    let position = self.location(here).column as u32;
                    return Err(SqlError::syntax("invalid Unicode escape value").at(position));
                }
            }
        }
        if high.is_some() { Err(self.bad_pair(body + raw.len())) } else { Ok(out) }
    }

    fn bad_pair(&mut self, from: usize) -> SqlError {
        SqlError::syntax("invalid Unicode surrogate pair").at(self.location(from).column as u32)
    }

    /// A quoted identifier; the opening quote is consumed.
    fn delimited(&mut self, start: usize) -> Result<Token> {
        let mut value = String::new();
        loop {
            let from = self.at;
            while self.at < self.bytes.len() && self.peek(0) != b'"' {
                self.at += 1;
            }
            value.push_str(self.text.get(from..self.at).unwrap_or(""));
            if self.at >= self.bytes.len() {
                return Err(self.error("unterminated quoted identifier", start));
            }
            self.at += 1;
            if self.peek(0) != b'"' {
                break;
            }
            self.at += 1;
            value.push('"');
        }
        if value.is_empty() {
            let position = self.location(start).column as u32;
            return Err(SqlError::syntax("zero-length delimited identifier at or near \"\"\"\"").at(position));
        }
        truncate(&mut value);
        Ok(Token::Word(Word { value, quote_style: Some('"'), keyword: Keyword::NoKeyword }))
    }

    /// `$1` or a dollar-quoted string; the dollar is consumed.
    fn dollar(&mut self, start: usize) -> Result<Token> {
        if self.peek(0).is_ascii_digit() {
            while self.peek(0).is_ascii_digit() {
                self.at += 1;
            }
            return Ok(Token::Placeholder(String::from(self.slice(start, self.at))));
        }
        let mut end = self.at;
        while self.bytes.get(end).is_some_and(|&b| is_ident_start(b) || (end > self.at && b.is_ascii_digit()))
        {
            end += 1;
        }
        if self.bytes.get(end) != Some(&b'$') {
            let position = self.location(start).column as u32;
            return Err(SqlError::syntax("syntax error at or near \"$\"").at(position));
        }
        let tag = self.text.get(start..=end).unwrap_or("");
        let body = end + 1;
        match self.text.get(body..).and_then(|t| t.find(tag)) {
            Some(length) => {
                let value = String::from(self.slice(body, body + length));
                self.at = body + length + tag.len();
                Ok(Token::SingleQuotedString(value))
            }
            None => Err(self.error("unterminated dollar-quoted string", start)),
        }
    }

    fn number(&mut self, start: usize) -> Result<Token> {
        let digits = |lexer: &mut Self| {
            while lexer.peek(0).is_ascii_digit() {
                lexer.at += 1;
            }
        };
        digits(self);
        if self.peek(0) == b'.' && self.peek(1) != b'.' {
            self.at += 1;
            digits(self);
        }
        if self.peek(0) | 0x20 == b'e' {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                digits(self);
            }
        }
        if is_ident_start(self.peek(0)) && self.at < self.bytes.len() {
            let rest = self.bytes.get(self.at..).unwrap_or(&[]);
            let width = rest.iter().take_while(|b| is_ident_part(**b)).count();
            let near = String::from(self.slice(start, self.at + width));
            let position = self.location(start).column as u32;
            return Err(SqlError::syntax(format!(
                "trailing junk after numeric literal at or near \"{near}\""
            ))
            .at(position));
        }
        Ok(Token::Number(String::from(self.slice(start, self.at)), false))
    }

    /// The longest operator, less trailing signs unless it holds a character that no comparison has.
    fn operator(&mut self, start: usize) -> Token {
        let mut end = start;
        while let Some(b) = self.bytes.get(end)
            && OPERATOR_BYTES.contains(b)
        {
            let pair = (*b, self.bytes.get(end + 1).copied());
            if end > start && matches!(pair, (b'-', Some(b'-')) | (b'/', Some(b'*'))) {
                break;
            }
            end += 1;
        }
        let special = |s: &[u8]| s.iter().any(|b| b"~!@#%^&|`?".contains(b));
        while end - start > 1
            && matches!(self.bytes.get(end - 1), Some(b'+' | b'-'))
            && !special(self.bytes.get(start..end - 1).unwrap_or(&[]))
        {
            end -= 1;
        }
        self.at = end;
        operator_token(self.slice(start, end))
    }
}

fn truncate(value: &mut String) {
    if value.len() > MAX_IDENTIFIER {
        let mut end = MAX_IDENTIFIER;
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        value.truncate(end);
    }
}

fn operator_token(text: &str) -> Token {
    match text {
        "=" => Token::Eq,
        "<>" | "!=" => Token::Neq,
        "<" => Token::Lt,
        ">" => Token::Gt,
        "<=" => Token::LtEq,
        ">=" => Token::GtEq,
        "+" => Token::Plus,
        "-" => Token::Minus,
        "*" => Token::Mul,
        "/" => Token::Div,
        "%" => Token::Mod,
        "^" => Token::Caret,
        "||" => Token::StringConcat,
        "|" => Token::Pipe,
        "&" => Token::Ampersand,
        "#" => Token::Sharp,
        "~" => Token::Tilde,
        "~*" => Token::TildeAsterisk,
        "!~" => Token::ExclamationMarkTilde,
        "!~*" => Token::ExclamationMarkTildeAsterisk,
        "~~" => Token::DoubleTilde,
        "~~*" => Token::DoubleTildeAsterisk,
        "!~~" => Token::ExclamationMarkDoubleTilde,
        "!~~*" => Token::ExclamationMarkDoubleTildeAsterisk,
        "<<" => Token::ShiftLeft,
        ">>" => Token::ShiftRight,
        "&&" => Token::Overlap,
        "=>" => Token::RArrow,
        "->" => Token::Arrow,
        "->>" => Token::LongArrow,
        "#>" => Token::HashArrow,
        "#>>" => Token::HashLongArrow,
        "@>" => Token::AtArrow,
        "<@" => Token::ArrowAt,
        "#-" => Token::HashMinus,
        "@?" => Token::AtQuestion,
        "@@" => Token::AtAt,
        "?" => Token::Question,
        "?&" => Token::QuestionAnd,
        "?|" => Token::QuestionPipe,
        "^@" => Token::CaretAt,
        _ => Token::CustomBinaryOperator(String::from(text)),
    }
}
