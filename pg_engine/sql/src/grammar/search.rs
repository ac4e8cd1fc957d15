//! `SEARCH ... SET ...` and `CYCLE ... SET ... USING ...` behind a WITH query: `sqlparser` does not know them. They are taken out of
//! the tokens before it sees them and become one quoted name behind FROM, where its tree of a WITH query has room for one.

use alloc::{format, string::String, vec::Vec};

use pg_types::{Result, SqlError};
use sqlparser::{
    ast as sq,
    keywords::Keyword,
    tokenizer::{Token, TokenWithSpan, Word},
};

use super::{byte, position};

/// What such a name begins with. No identifier that a client sends does.
const MARK: &str = "\0search";
/// Between clauses.
const CLAUSE: char = '\u{1e}';
/// Between the parts of a clause.
const PART: char = '\u{1f}';

/// SEARCH { BREADTH | DEPTH } FIRST BY columns SET sequence.
pub(crate) struct Search {
    pub(crate) breadth: bool,
    pub(crate) sequence: String,
    pub(crate) columns: Vec<String>,
    pub(crate) at: u32,
}

/// CYCLE columns SET mark TO value DEFAULT default USING path.
pub(crate) struct Cycle {
    pub(crate) mark: String,
    pub(crate) path: String,
    /// Text of the two values.
    pub(crate) value: String,
    pub(crate) default: String,
    pub(crate) columns: Vec<String>,
    pub(crate) at: u32,
}

/// The clauses of a WITH query.
pub(crate) fn clauses(cte: &sq::Cte) -> Result<(Option<Search>, Option<Cycle>)> {
    let Some(from) = &cte.from else { return Ok((None, None)) };
    let Some(text) = from.value.strip_prefix(MARK) else {
        return Err(SqlError::syntax("syntax error at or near \"FROM\"").at(position(from.span.start)));
    };
    let (mut search, mut cycle) = (None, None);
    for clause in text.split(CLAUSE).filter(|c| !c.is_empty()) {
        let mut parts = clause.split(PART);
        let mut next = || parts.next().map_or_else(String::new, String::from);
        let (kind, at) = (next(), next().parse().unwrap_or(0));
        if kind == "cycle" {
            let (mark, path, value, default) = (next(), next(), next(), next());
            let columns = parts.map(String::from).collect();
            cycle = Some(Cycle { mark, path, value, default, columns, at });
        } else {
            let sequence = next();
            let columns = parts.map(String::from).collect();
            search = Some(Search { breadth: kind == "breadth", sequence, columns, at });
        }
    }
    Ok((search, cycle))
}

/// Reads tokens from a place on.
struct At<'t> {
    tokens: &'t [TokenWithSpan],
    n: usize,
}

impl At<'_> {
    fn word(&mut self, word: &str) -> Option<()> {
        let found = matches!(self.tokens.get(self.n).map(|t| &t.token), Some(Token::Word(w)) if w.quote_style.is_none() && w.value == word);
        self.n += usize::from(found);
        found.then_some(())
    }
    fn name(&mut self) -> Option<String> {
        let Token::Word(w) = &self.tokens.get(self.n)?.token else { return None };
        self.n += 1;
        Some(w.value.clone())
    }
    fn names(&mut self) -> Option<Vec<String>> {
        let mut names = Vec::from([self.name()?]);
        while self.tokens.get(self.n).is_some_and(|t| t.token == Token::Comma) {
            self.n += 1;
            names.push(self.name()?);
        }
        Some(names)
    }
    /// Text up to a word, which is passed.
    fn until(&mut self, word: &str, text: &str) -> Option<String> {
        /// Tokens of a constant: a sign, a type and its modifier at most.
        const LONGEST: usize = 12;
        let from = self.tokens.get(self.n)?.span.start;
        for _ in 0..LONGEST {
            let end = self.tokens.get(self.n.checked_sub(1)?)?.span.end;
            if self.word(word).is_some() {
                return text.get(byte(from)..byte(end)).map(String::from);
            }
            self.n += 1;
        }
        None
    }
    fn search(&mut self) -> Option<String> {
        let at = position(self.tokens.get(self.n)?.span.start);
        self.word("search")?;
        let kind = match self.word("depth") {
            Some(()) => "depth",
            None => self.word("breadth").map(|()| "breadth")?,
        };
        self.word("first")?;
        self.word("by")?;
        let columns = self.names()?.join("\u{1f}");
        self.word("set")?;
        let sequence = self.name()?;
        Some(format!("{CLAUSE}{kind}{PART}{at}{PART}{sequence}{PART}{columns}"))
    }
    fn cycle(&mut self, text: &str) -> Option<String> {
        let at = position(self.tokens.get(self.n)?.span.start);
        self.word("cycle")?;
        let columns = self.names()?.join("\u{1f}");
        self.word("set")?;
        let mark = self.name()?;
        let (mut value, mut default) = (String::from("true"), String::from("false"));
        if self.word("to").is_some() {
            value = self.until("default", text)?;
            default = self.until("using", text)?;
        } else {
            self.word("using")?;
        }
        let path = self.name()?;
        Some(format!(
            "{CLAUSE}cycle{PART}{at}{PART}{mark}{PART}{path}{PART}{value}{PART}{default}{PART}{columns}"
        ))
    }
}

/// Puts names in the place of clauses.
pub(super) fn take_clauses(tokens: &mut Vec<TokenWithSpan>, text: &str) {
    let mut i = 0;
    while i + 1 < tokens.len() {
        i += 1;
        if tokens.get(i - 1).is_none_or(|t| t.token != Token::RParen) {
            continue;
        }
        let Some(span) = tokens.get(i).map(|t| t.span) else { return };
        let mut at = At { tokens, n: i };
        let search = at.search();
        if search.is_none() {
            at.n = i;
        }
        let before = at.n;
        let cycle = at.cycle(text);
        let end = if cycle.is_some() { at.n } else { before };
        if search.is_none() && cycle.is_none() {
            continue;
        }
        let value = format!("{MARK}{}{}", search.unwrap_or_default(), cycle.unwrap_or_default());
        let (keyword, _) = crate::keywords::lookup("from");
        let from = Token::Word(Word { value: "from".into(), quote_style: None, keyword });
        let name = Token::Word(Word { value, quote_style: Some('"'), keyword: Keyword::NoKeyword });
        tokens.splice(i..end, [from, name].map(|token| TokenWithSpan { token, span }));
    }
}
