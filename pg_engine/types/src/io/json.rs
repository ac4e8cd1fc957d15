//! Checking that text is JSON.

use alloc::{format, string::String};

use crate::error::{Result, SqlError, SqlState};

/// Nesting that is refused: far beyond what documents have, well within the stack.
const MAX_DEPTH: usize = 512;

struct Checker<'a> {
    text: &'a str,
    at: usize,
}

/// Accepts one JSON value with white space around it.
pub(super) fn validate(text: &str) -> Result<()> {
    let mut c = Checker { text, at: 0 };
    c.value(0)?;
    c.skip_space();
    if c.at < text.len() {
        return Err(c.expected("end of input"));
    }
    Ok(())
}

impl Checker<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }
    fn eat(&mut self, b: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(b);
        self.at += usize::from(found);
        found
    }
    #[cold]
    fn error(&self, detail: String, end: usize) -> SqlError {
        let line_start = self.text[..self.at.min(self.text.len())].rfind('\n').map_or(0, |i| i + 1);
        let line = self.text[..line_start].bytes().filter(|b| *b == b'\n').count() + 1;
        let end = self.text.floor_char_boundary(end);
        let mut start = line_start;
        if end - start >= 50 {
            start = self.text.floor_char_boundary(end.saturating_sub(50)).max(line_start);
        }
        let shown = self.text.get(start..end).unwrap_or_default();
        let before = if start > line_start { "..." } else { "" };
        let after = match self.text.as_bytes().get(end) {
            None | Some(b'\n' | b'\r') => "",
            Some(_) => "...",
        };
        let mut e =
            SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json");
        e.fields_mut().context = Some(format!("JSON data, line {line}: {before}{shown}{after}"));
        e.detail(detail)
    }
    /// End of the token at the current position, for messages.
    fn token_end(&self) -> usize {
        let rest = &self.text.as_bytes()[self.at.min(self.text.len())..];
        let word =
            rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_' || **b >= 0x80).count();
        let word = if rest.first() == Some(&b'"') {
            rest.iter().skip(1).position(|b| *b == b'"').map_or(rest.len(), |n| n + 2)
        } else {
            word
        };
        self.at + word.max(usize::from(!rest.is_empty()))
    }
    #[cold]
    fn expected(&mut self, what: &str) -> SqlError {
        self.skip_space();
        if self.at >= self.text.len() {
            return self.error("The input string ended unexpectedly.".into(), self.at);
        }
        let end = self.token_end();
        let token = self.text.get(self.at..end).unwrap_or_default();
        let known = matches!(
            token.as_bytes(),
            [b'{' | b'}' | b'[' | b']' | b',' | b':' | b'"' | b'0'..=b'9' | b'-', ..]
        ) || matches!(token, "true" | "false" | "null");
        let detail = if known {
            format!("Expected {what}, but found \"{token}\".")
        } else {
            format!("Token \"{token}\" is invalid.")
        };
        self.error(detail, end)
    }
    fn value(&mut self, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                let end = self.token_end();
                match self.text.get(self.at..end) {
                    Some("true" | "false" | "null") => {
                        self.at = end;
                        Ok(())
                    }
                    _ => Err(self.expected("JSON value")),
                }
            }
        }
    }
    fn object(&mut self, depth: usize) -> Result<()> {
        self.at += 1;
        if self.eat(b'}') {
            return Ok(());
        }
        let mut what = "string or \"}\"";
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.expected(what));
            }
            self.string()?;
            if !self.eat(b':') {
                return Err(self.expected("\":\""));
            }
            self.value(depth + 1)?;
            if self.eat(b'}') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(self.expected("\",\" or \"}\""));
            }
            what = "string";
        }
    }
    fn array(&mut self, depth: usize) -> Result<()> {
        self.at += 1;
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            if self.eat(b']') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(self.expected("\",\" or \"]\""));
            }
        }
    }
    fn string(&mut self) -> Result<()> {
        let start = self.at;
        self.at += 1;
        loop {
            let Some(b) = self.peek() else {
                let token = self.text.get(start..).unwrap_or_default();
                return Err(self.error(format!("Token \"{token}\" is invalid."), self.text.len()));
            };
            self.at += 1;
            match b {
                b'"' => return Ok(()),
                0..0x20 => {
                    return Err(
                        self.error(format!("Character with value 0x{b:02x} must be escaped."), self.at)
                    );
                }
                b'\\' => self.escape()?,
                _ => {}
            }
        }
    }
    fn escape(&mut self) -> Result<()> {
        let shown = self.text.get(self.at..).and_then(|t| t.chars().next());
        self.at += shown.map_or(0, char::len_utf8);
        match shown {
            Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => Ok(()),
            Some('u') => {
                for _ in 0..4 {
                    if !self.peek().is_some_and(|b| b.is_ascii_hexdigit()) {
                        let end = (self.at + 1).min(self.text.len());
                        return Err(
                            self.error("\"\\u\" must be followed by four hexadecimal digits.".into(), end)
                        );
                    }
                    self.at += 1;
                }
                Ok(())
            }
            Some(c) => Err(self.error(format!("Escape sequence \"\\{c}\" is invalid."), self.at)),
            None => Ok(()),
        }
    }
    fn number(&mut self) -> Result<()> {
        let start = self.at;
        let digits = |c: &mut Self| {
            let from = c.at;
            while c.peek().is_some_and(|b| b.is_ascii_digit()) {
                c.at += 1;
            }
            c.at > from
        };
        self.at += usize::from(self.peek() == Some(b'-'));
        let mut valid = match self.peek() {
            Some(b'0') => {
                self.at += 1;
                true
            }
            _ => digits(self),
        };
        if self.peek() == Some(b'.') {
            self.at += 1;
            valid &= digits(self);
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'-' | b'+')));
            valid &= digits(self);
        }
        let end = {
            let rest = &self.text.as_bytes()[self.at..];
            self.at
                + rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_' || **b >= 0x80).count()
        };
        if valid && end == self.at {
            return Ok(());
        }
        let token = self.text.get(start..end).unwrap_or_default();
        Err(self.error(format!("Token \"{token}\" is invalid."), end))
    }
}
