//! Texts as they are meant where `standard_conforming_strings` is off: backslashes in plain strings are escapes.
//!
//! The lexer knows one meaning of a plain string. A session that wants the other has its texts rewritten before anything else sees
//! them: each plain string with a backslash in it becomes one with escapes (`E'...'`).

use alloc::{string::String, vec::Vec};

use pg_types::{Result, SqlError, SqlState};

use crate::lexer::{is_ident_part, is_ident_start};

/// What `escape_string_warning` is about: a plain string with a backslash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    Quote,
    Backslash,
    Other,
}

impl Escape {
    /// The warning, about the string at a character's position.
    fn warning(self, at: u32) -> SqlError {
        let (text, hint) = match self {
            Self::Quote => (
                "nonstandard use of \\' in a string literal",
                "Use '' to write quotes in strings, or use the escape string syntax (E'...').",
            ),
            Self::Backslash => (
                "nonstandard use of \\\\ in a string literal",
                "Use the escape string syntax for backslashes, e.g., E'\\\\'.",
            ),
            Self::Other => (
                "nonstandard use of escape in a string literal",
                "Use the escape string syntax for escapes, e.g., E'\\r\\n'.",
            ),
        };
        SqlError::new(SqlState(*b"22P06"), text).hint(hint).at(at)
    }
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// What was written, up to byte `copied` of the text.
    out: String,
    copied: usize,
    warnings: Vec<SqlError>,
}

/// The text as it is meant, and what there is to warn of; `None`: it stays as it is. Names in a text that ends within a string
/// or comment are the lexer's to complain about.
pub fn with_escapes(text: &str) -> Result<Option<(String, Vec<SqlError>)>> {
    let mut s =
        Scanner { text, bytes: text.as_bytes(), at: 0, out: String::new(), copied: 0, warnings: Vec::new() };
    while s.at < s.bytes.len() {
        s.token()?;
    }
    if s.copied == 0 && s.out.is_empty() {
        return Ok(None);
    }
    s.copy(s.bytes.len());
    Ok(Some((s.out, s.warnings)))
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn copy(&mut self, upto: usize) {
        self.out.push_str(self.text.get(self.copied..upto).unwrap_or(""));
        self.copied = upto;
    }

    /// The position of a byte in characters, from 1.
    fn position(&self, byte: usize) -> u32 {
        self.text.get(..byte).map_or(0, |t| t.chars().count() as u32) + 1
    }

    fn token(&mut self) -> Result<()> {
        match (self.peek(0), self.peek(1)) {
            (b'-', b'-') => self.line(),
            (b'/', b'*') => self.comment(),
            (b'"', _) => self.name(),
            (b'$', _) => self.dollar(),
            (b'\'', _) => self.plain(self.at, false),
            (b'e' | b'E', b'\'') => {
                self.at += 1;
                self.string(true);
            }
            (b'b' | b'B' | b'x' | b'X', b'\'') => {
                self.at += 1;
                self.string(false);
            }
            (b'n' | b'N', b'\'') => {
                self.at += 1;
                self.plain(self.at - 1, true);
            }
            (b'u' | b'U', b'&') if self.peek(2) == b'\'' => {
                let text = "unsafe use of string constant with Unicode escapes";
                let detail = "String constants with Unicode escapes cannot be used when \
                              standard_conforming_strings is off.";
                let at = self.position(self.at);
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).detail(detail).at(at));
            }
            (b, _) if is_ident_start(b) => {
                while self.at < self.bytes.len() && is_ident_part(self.peek(0)) {
                    self.at += 1;
                }
            }
            _ => self.at += 1,
        }
        Ok(())
    }

    fn line(&mut self) {
        while self.at < self.bytes.len() && !matches!(self.peek(0), b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn comment(&mut self) {
        let mut depth = 0usize;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => depth += 1,
                (b'*', b'/') => depth -= 1,
                _ => {
                    self.at += 1;
                    continue;
                }
            }
            self.at += 2;
            if depth == 0 {
                return;
            }
        }
    }

    fn name(&mut self) {
        self.at += 1;
        while self.at < self.bytes.len() && self.peek(0) != b'"' {
            self.at += 1;
        }
        self.at += 1;
    }

    /// `$tag$...$tag$`, or a parameter or something else.
    fn dollar(&mut self) {
        let begin = self.at;
        self.at += 1;
        if !self.peek(0).is_ascii_digit() {
            while self.at < self.bytes.len() && self.peek(0) != b'$' && is_ident_part(self.peek(0)) {
                self.at += 1;
            }
        }
        if self.peek(0) != b'$' {
            return;
        }
        self.at += 1;
        let tag = self.text.get(begin..self.at).unwrap_or("$$");
        let rest = self.text.get(self.at..).unwrap_or("");
        self.at = rest.find(tag).map_or(self.bytes.len(), |n| self.at + n + tag.len());
    }

    /// A plain string from here on, which begins at `start`; `national`: with an N before it.
    fn plain(&mut self, start: usize, national: bool) {
        let Some(first) = self.string(true) else { return };
        self.warnings.push(first.warning(self.position(start + usize::from(national))));
        self.copy(start);
        // A word may stand directly before it.
        if start > 0 && self.bytes.get(start - 1).is_some_and(|b| is_ident_part(*b)) {
            self.out.push(' ');
        }
        self.out.push('E');
        if national {
            self.copied += 1;
        }
    }

    /// The string from here on, and those in later lines that continue it; the first escape in it.
    fn string(&mut self, escapes: bool) -> Option<Escape> {
        let mut first = None;
        self.at += 1;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'\\', next) if escapes => {
                    first = first.or(Some(match next {
                        b'\'' => Escape::Quote,
                        b'\\' => Escape::Backslash,
                        _ => Escape::Other,
                    }));
                    self.at += 2;
                }
                (b'\'', b'\'') => self.at += 2,
                (b'\'', _) => {
                    self.at += 1;
                    if !self.continues() {
                        return first;
                    }
                }
                _ => self.at += 1,
            }
        }
        first
    }

    /// Behind the quote that opens a continuation, if there is one.
    fn continues(&mut self) -> bool {
        let back = self.at;
        let mut newline = false;
        loop {
            match (self.peek(0), self.peek(1)) {
                (b'\n' | b'\r', _) => newline = true,
                (b' ' | b'\t' | 0x0b | 0x0c, _) => {}
                (b'-', b'-') => {
                    self.line();
                    continue;
                }
                (b'\'', _) if newline => {
                    self.at += 1;
                    return true;
                }
                _ => {
                    self.at = back;
                    return false;
                }
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> String {
        with_escapes(text).expect("is meant").map_or_else(|| text.into(), |r| r.0)
    }

    #[test]
    fn plain_strings_get_escapes() {
        for (text, wanted) in [
            (r"select 'a'", r"select 'a'"),
            (r"select 'a\'b', 'c'", r"select E'a\'b', 'c'"),
            (r"select 'a''b\\', n'\n', N'n'", r"select E'a''b\\', E'\n', N'n'"),
            (r"select date'\x', b'1\', x'\', E'\'\\'", r"select date E'\x', b'1\', x'\', E'\'\\'"),
            ("select 'a'\n '\\n', 'b' '\\n'", "select E'a'\n '\\n', 'b' E'\\n'"),
            (r#"select "a\", $$'\'$$, $1'\t' -- '\"#, r#"select "a\", $$'\'$$, $1 E'\t' -- '\"#),
            (r"/* '\ /* */ '\ */ select é'\n'", r"/* '\ /* */ '\ */ select é E'\n'"),
            (r"select $a$ '\' $a $a$ '\b'", r"select $a$ '\' $a $a$ E'\b'"),
            (r"select 'no end\'", r"select E'no end\'"),
            ("select '\\", "select E'\\"),
        ] {
            assert_eq!(rewritten(text), wanted, "{text}");
        }
    }

    #[test]
    fn the_first_escape_of_a_string_is_warned_of() {
        let (_, warnings) =
            with_escapes(r"é '\'\\', '\\\'', '\n\\'").expect("is meant").expect("has escapes");
        let said: Vec<_> = warnings.iter().map(|w| (w.message(), w.fields().position)).collect();
        assert_eq!(said.len(), 3);
        assert_eq!(said[0].0, "nonstandard use of \\' in a string literal");
        assert_eq!(said[1].0, "nonstandard use of \\\\ in a string literal");
        assert_eq!(said[2].0, "nonstandard use of escape in a string literal");
        assert_eq!(said[0].1, 3);
        assert_eq!(with_escapes("U&'x'").unwrap_err().state(), SqlState::FEATURE_NOT_SUPPORTED);
    }
}
