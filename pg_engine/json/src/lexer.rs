//! Text to tokens, one ahead.

use alloc::{borrow::Cow, boxed::Box, format, string::String};

use crate::error::{JsonError, Syntax, SyntaxKind};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Token {
    String,
    Number,
    True,
    False,
    Null,
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    Comma,
    Colon,
    End,
}

/// Reads tokens. The current one has been read already.
pub(crate) struct Lexer<'a> {
    text: &'a str,
    /// The current token.
    pub token: Token,
    /// Where it begins and ends.
    pub start: usize,
    pub end: usize,
    /// Where the one before it ended.
    pub before: usize,
    /// The current string's value, where wanted.
    pub value: Cow<'a, str>,
    line: usize,
    line_start: usize,
    /// Strings are decoded, and `\u` escapes that cannot be are errors.
    decode: bool,
}

fn word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80
}

impl<'a> Lexer<'a> {
    /// At the first token.
    pub fn new(text: &'a str, decode: bool) -> Result<Self, JsonError> {
        let mut lexer = Self {
            text,
            token: Token::End,
            start: 0,
            end: 0,
            before: 0,
            value: Cow::Borrowed(""),
            line: 1,
            line_start: 0,
            decode,
        };
        lexer.advance()?;
        Ok(lexer)
    }
    /// A piece of the text.
    pub fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }
    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// An error about the bytes from `start` to `end`.
    #[cold]
    pub fn error_at(&self, kind: SyntaxKind, start: usize, end: usize) -> JsonError {
        let end = self.text.ceil_char_boundary(end);
        let mut from = self.line_start;
        while end.saturating_sub(from) >= 50 {
            from = self.text.ceil_char_boundary(from + 1);
        }
        if from - self.line_start <= 3 {
            from = self.line_start;
        }
        let shown = self.slice(from, end);
        let before = if from > self.line_start { "..." } else { "" };
        let after = match self.byte(end) {
            None | Some(b'\n' | b'\r') => "",
            Some(_) => "...",
        };
        JsonError::Syntax(Box::new(Syntax {
            kind,
            token: self.slice(start, end).into(),
            line: self.line,
            excerpt: format!("{before}{shown}{after}"),
        }))
    }
    /// The current token is not what had to be here.
    #[cold]
    pub fn unexpected(&self, kind: SyntaxKind) -> JsonError {
        let kind = if self.token == Token::End { SyntaxKind::More } else { kind };
        self.error_at(kind, self.start, self.end)
    }

    /// Goes to the next token.
    pub fn advance(&mut self) -> Result<(), JsonError> {
        let mut at = self.end;
        self.before = self.end;
        while let Some(b @ (b' ' | b'\t' | b'\n' | b'\r')) = self.byte(at) {
            at += 1;
            if b == b'\n' {
                self.line += 1;
                self.line_start = at;
            }
        }
        self.start = at;
        self.end = at + 1;
        self.token = match self.byte(at) {
            None => {
                self.end = at;
                Token::End
            }
            Some(b'{') => Token::ObjectStart,
            Some(b'}') => Token::ObjectEnd,
            Some(b'[') => Token::ArrayStart,
            Some(b']') => Token::ArrayEnd,
            Some(b',') => Token::Comma,
            Some(b':') => Token::Colon,
            Some(b'"') => {
                self.string()?;
                Token::String
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Token::Number
            }
            Some(_) => self.word()?,
        };
        Ok(())
    }

    fn words_end(&self, mut at: usize) -> usize {
        while self.byte(at).is_some_and(word) {
            at += 1;
        }
        at
    }

    fn word(&mut self) -> Result<Token, JsonError> {
        self.end = self.words_end(self.start).max(self.start + 1);
        match self.slice(self.start, self.end) {
            "true" => Ok(Token::True),
            "false" => Ok(Token::False),
            "null" => Ok(Token::Null),
            _ => Err(self.error_at(SyntaxKind::Token, self.start, self.end)),
        }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let bytes = self.text.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut at = self.start + usize::from(self.byte(self.start) == Some(b'-'));
        let first = at;
        at = if self.byte(at) == Some(b'0') { at + 1 } else { digits(at) };
        let mut valid = at > first;
        if self.byte(at) == Some(b'.') {
            let fraction = digits(at + 1);
            valid &= fraction > at + 1;
            at = fraction;
        }
        if matches!(self.byte(at), Some(b'e' | b'E')) {
            at += 1 + usize::from(matches!(self.byte(at + 1), Some(b'+' | b'-')));
            let exponent = digits(at);
            valid &= exponent > at;
            at = exponent;
        }
        self.end = self.words_end(at);
        if valid && self.end == at {
            Ok(())
        } else {
            Err(self.error_at(SyntaxKind::Token, self.start, self.end))
        }
    }

    fn string(&mut self) -> Result<(), JsonError> {
        let first = self.start + 1;
        let (mut at, mut from) = (first, first);
        let mut decoded: Option<String> = None;
        let mut high: Option<u32> = None;
        loop {
            match self.byte(at) {
                None => return Err(self.error_at(SyntaxKind::Token, self.start, at)),
                Some(b'"') => break,
                Some(b @ 0..0x20) => return Err(self.error_at(SyntaxKind::Control(b), self.start, at)),
                Some(b'\\') => {
                    let out = decoded.get_or_insert_default();
                    if self.decode {
                        out.push_str(self.text.get(from..at).unwrap_or_default());
                    }
                    let (c, next) = self.escape(at + 1, &mut high)?;
                    if let (Some(c), true) = (c, self.decode) {
                        decoded.get_or_insert_default().push(c);
                    }
                    (at, from) = (next, next);
                }
                Some(_) => {
                    if high.is_some() {
                        return Err(self.error_at(SyntaxKind::LowSurrogate, self.start, at + 1));
                    }
                    at += 1;
                }
            }
        }
        if high.is_some() {
            return Err(self.error_at(SyntaxKind::LowSurrogate, self.start, at + 1));
        }
        self.value = match decoded {
            _ if !self.decode => Cow::Borrowed(""),
            None => Cow::Borrowed(self.slice(first, at)),
            Some(mut s) => {
                s.push_str(self.slice(from, at));
                Cow::Owned(s)
            }
        };
        self.end = at + 1;
        Ok(())
    }

    /// The escape whose letter is at `at`: its character (none for half of a pair) and where it ends.
    fn escape(&self, at: usize, high: &mut Option<u32>) -> Result<(Option<char>, usize), JsonError> {
        let Some(letter) = self.text.get(at..).and_then(|t| t.chars().next()) else {
            return Err(self.error_at(SyntaxKind::Token, self.start, at));
        };
        if letter == 'u' {
            return self.unicode(at + 1, high);
        }
        if high.is_some() {
            return Err(self.error_at(SyntaxKind::LowSurrogate, self.start, at + 1));
        }
        let c = match letter {
            '"' | '\\' | '/' => letter,
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            _ => return Err(self.error_at(SyntaxKind::Escape, at, at + letter.len_utf8())),
        };
        Ok((Some(c), at + 1))
    }

    fn unicode(&self, at: usize, high: &mut Option<u32>) -> Result<(Option<char>, usize), JsonError> {
        let mut code = 0;
        for i in at..at + 4 {
            let Some(b) = self.byte(i) else {
                return Err(self.error_at(SyntaxKind::Token, self.start, i));
            };
            let Some(digit) = (b as char).to_digit(16) else {
                return Err(self.error_at(SyntaxKind::UnicodeFormat, self.start, i + 1));
            };
            code = code << 4 | digit;
        }
        let end = at + 4;
        if !self.decode {
            return Ok((None, end));
        }
        let wrong = |kind| Err(self.error_at(kind, self.start, end));
        match (code, high.take()) {
            (0xd800..0xdc00, None) => {
                *high = Some(code);
                Ok((None, end))
            }
            (0xd800..0xdc00, Some(_)) => wrong(SyntaxKind::HighSurrogate),
            (0xdc00..0xe000, Some(h)) => {
                Ok((char::from_u32(0x1_0000 + ((h & 0x3ff) << 10) + (code & 0x3ff)), end))
            }
            (0xdc00..0xe000, None) | (_, Some(_)) => wrong(SyntaxKind::LowSurrogate),
            (0, None) => wrong(SyntaxKind::Zero),
            (_, None) => Ok((char::from_u32(code), end)),
        }
    }
}
