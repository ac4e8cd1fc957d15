//! Splitting date/time input into words.

use alloc::{string::String, vec::Vec};

use super::words;
use crate::io::is_space;

/// Input has at most this many words, of at most this many bytes in all.
const MAX_TOKENS: usize = 25;
const MAX_BYTES: usize = 150;

/// What a word looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Digits, perhaps with a decimal point.
    Number,
    /// Letters.
    Text,
    /// Numbers or words with separators between.
    Date,
    /// Numbers with colons between.
    Time,
    /// A sign and numbers.
    Zone,
    /// A sign and letters.
    Special,
}

/// One word, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub text: String,
}

struct Scanner<'a> {
    rest: &'a [u8],
    text: String,
}

impl Scanner<'_> {
    fn peek(&self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }
    fn bump(&mut self) {
        if let [b, rest @ ..] = self.rest {
            self.text.push(b.to_ascii_lowercase() as char);
            self.rest = rest;
        }
    }
    fn take_while(&mut self, accept: impl Fn(u8) -> bool) {
        while !self.rest.is_empty() && accept(self.peek()) {
            self.bump();
        }
    }
}

/// The words of a text; `None` when there is something in it that no date, time or interval has.
pub(super) fn split(text: &str) -> Option<Vec<Token>> {
    let mut s = Scanner { rest: text.as_bytes(), text: String::new() };
    let mut tokens = Vec::new();
    let mut bytes = 0;
    while !s.rest.is_empty() {
        let c = s.peek();
        if is_space(c as char) {
            s.rest = &s.rest[1..];
            continue;
        }
        let kind = if c.is_ascii_digit() {
            digits(&mut s)
        } else if c == b'.' {
            s.bump();
            s.take_while(|b| b.is_ascii_digit());
            Kind::Number
        } else if c.is_ascii_alphabetic() {
            letters(&mut s)
        } else if matches!(c, b'+' | b'-') {
            signed(&mut s)?
        } else if c.is_ascii_punctuation() {
            s.rest = &s.rest[1..];
            continue;
        } else {
            return None;
        };
        bytes += s.text.len() + 1;
        if tokens.len() >= MAX_TOKENS || bytes > MAX_BYTES {
            return None;
        }
        tokens.push(Token { kind, text: core::mem::take(&mut s.text) });
    }
    Some(tokens)
}

fn digits(s: &mut Scanner<'_>) -> Kind {
    s.take_while(|b| b.is_ascii_digit());
    match s.peek() {
        b':' => {
            s.take_while(|b| b.is_ascii_digit() || matches!(b, b':' | b'.'));
            Kind::Time
        }
        separator @ (b'-' | b'/' | b'.') => {
            s.bump();
            if !s.peek().is_ascii_digit() {
                s.take_while(|b| b.is_ascii_alphanumeric() || b == separator);
                return Kind::Date;
            }
            s.take_while(|b| b.is_ascii_digit());
            if s.peek() == separator {
                s.take_while(|b| b.is_ascii_digit() || b == separator);
                return Kind::Date;
            }
            if separator == b'.' { Kind::Number } else { Kind::Date }
        }
        _ => Kind::Number,
    }
}

fn letters(s: &mut Scanner<'_>) -> Kind {
    s.take_while(|b| b.is_ascii_alphabetic());
    let c = s.peek();
    // Zone names have separators too, but do not start with a known word.
    let more = matches!(c, b'-' | b'/' | b'.')
        || (c == b'+' || c.is_ascii_digit()) && words::word(&s.text).is_none();
    if !more {
        return Kind::Text;
    }
    s.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'/' | b'_' | b'.' | b':'));
    Kind::Date
}

fn signed(s: &mut Scanner<'_>) -> Option<Kind> {
    s.bump();
    while is_space(s.peek() as char) {
        s.rest = &s.rest[1..];
    }
    let c = s.peek();
    if c.is_ascii_digit() {
        s.take_while(|b| b.is_ascii_digit() || matches!(b, b':' | b'.' | b'-'));
        Some(Kind::Zone)
    } else if c.is_ascii_alphabetic() {
        s.take_while(|b| b.is_ascii_alphabetic());
        Some(Kind::Special)
    } else {
        None
    }
}
