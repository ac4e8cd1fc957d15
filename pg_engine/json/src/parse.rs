//! Tokens to values.

use alloc::{borrow::Cow, vec::Vec};

use crate::{
    MAX_DEPTH,
    error::{JsonError, SyntaxKind},
    lexer::{Lexer, Token},
};

/// A value and the text that it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Span<'a> {
    /// The text, without white space around it.
    pub text: &'a str,
    /// The value.
    pub kind: SpanKind<'a>,
}

/// See [`Span`]. Members keep their order, keys may repeat.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum SpanKind<'a> {
    Null,
    Bool(bool),
    /// As written: the span's text.
    Number,
    /// With escapes resolved.
    String(Cow<'a, str>),
    Array(Vec<Span<'a>>),
    Object(Vec<(Cow<'a, str>, Span<'a>)>),
}

/// Reads one document; its strings are decoded.
pub fn parse(text: &str) -> Result<Span<'_>, JsonError> {
    document::<true>(text)
}

/// Checks that text is one document. `\u` escapes need not be characters.
pub fn validate(text: &str) -> Result<(), JsonError> {
    document::<false>(text).map(|_| ())
}

fn document<const KEEP: bool>(text: &str) -> Result<Span<'_>, JsonError> {
    let mut lexer = Lexer::new(text, KEEP)?;
    let value = value::<KEEP>(&mut lexer, 0)?;
    match lexer.token {
        Token::End => Ok(value),
        _ => Err(lexer.unexpected(SyntaxKind::End)),
    }
}

fn value<'a, const KEEP: bool>(lexer: &mut Lexer<'a>, depth: usize) -> Result<Span<'a>, JsonError> {
    let start = lexer.start;
    let kind = match lexer.token {
        Token::ObjectStart => object::<KEEP>(lexer, depth + 1)?,
        Token::ArrayStart => array::<KEEP>(lexer, depth + 1)?,
        Token::String => SpanKind::String(core::mem::take(&mut lexer.value)),
        Token::Number => SpanKind::Number,
        Token::True => SpanKind::Bool(true),
        Token::False => SpanKind::Bool(false),
        Token::Null => SpanKind::Null,
        _ => return Err(lexer.unexpected(SyntaxKind::Value)),
    };
    lexer.advance()?;
    Ok(Span { text: lexer.slice(start, lexer.before), kind })
}

/// At `{`; ends at its `}`.
fn object<'a, const KEEP: bool>(lexer: &mut Lexer<'a>, depth: usize) -> Result<SpanKind<'a>, JsonError> {
    if depth > MAX_DEPTH {
        return Err(JsonError::TooDeep);
    }
    let mut members = Vec::new();
    lexer.advance()?;
    let mut missing = SyntaxKind::ObjectFirst;
    if lexer.token == Token::ObjectEnd {
        return Ok(SpanKind::Object(members));
    }
    loop {
        if lexer.token != Token::String {
            return Err(lexer.unexpected(missing));
        }
        let key = core::mem::take(&mut lexer.value);
        lexer.advance()?;
        if lexer.token != Token::Colon {
            return Err(lexer.unexpected(SyntaxKind::Colon));
        }
        lexer.advance()?;
        let value = value::<KEEP>(lexer, depth)?;
        if KEEP {
            members.push((key, value));
        }
        match lexer.token {
            Token::ObjectEnd => return Ok(SpanKind::Object(members)),
            Token::Comma => lexer.advance()?,
            _ => return Err(lexer.unexpected(SyntaxKind::ObjectNext)),
        }
        missing = SyntaxKind::Key;
    }
}

/// At `[`; ends at its `]`.
fn array<'a, const KEEP: bool>(lexer: &mut Lexer<'a>, depth: usize) -> Result<SpanKind<'a>, JsonError> {
    if depth > MAX_DEPTH {
        return Err(JsonError::TooDeep);
    }
    let mut elements = Vec::new();
    lexer.advance()?;
    if lexer.token == Token::ArrayEnd {
        return Ok(SpanKind::Array(elements));
    }
    loop {
        let value = value::<KEEP>(lexer, depth)?;
        if KEEP {
            elements.push(value);
        }
        match lexer.token {
            Token::ArrayEnd => return Ok(SpanKind::Array(elements)),
            Token::Comma => lexer.advance()?,
            _ => return Err(lexer.unexpected(SyntaxKind::ArrayNext)),
        }
    }
}

impl<'a> Span<'a> {
    /// The last member of this name, as duplicates are resolved.
    pub fn member(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            SpanKind::Object(members) => members.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }
    /// The element at an index; negative ones count from the end.
    pub fn element(&self, index: i64) -> Option<&Self> {
        let SpanKind::Array(elements) = &self.kind else { return None };
        let at = if index < 0 { index.checked_add(elements.len() as i64)? } else { index };
        elements.get(usize::try_from(at).ok()?)
    }
    /// As `->>` shows it: strings without quotes, NULL for null.
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            SpanKind::Null => None,
            SpanKind::String(s) => Some(s),
            _ => Some(self.text),
        }
    }
}
