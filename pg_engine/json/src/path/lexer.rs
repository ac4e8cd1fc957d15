//! Text to tokens.

use alloc::{string::String, vec::Vec};

use super::PathError;

/// A token with the text it was read from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub kind: Kind,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A name without quotes: a key or a word of the language.
    Name(String),
    String(String),
    Variable(String),
    /// As written; true: digits only.
    Number(String, bool),
    /// Punctuation.
    Sign(&'static str),
}

const SIGNS: [&str; 29] = [
    "&&", "||", "==", "!=", "<>", "<=", ">=", "**", "!", "<", ">", "?", "%", "$", ".", "[", "]", "{", "}",
    "(", ")", "@", "#", ",", "*", ":", "-", "+", "/",
];

fn blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c')
}

/// Neither blank, punctuation nor quote: what names are made of.
fn plain(c: char) -> bool {
    !blank(c)
        && !matches!(
            c,
            '?' | '%'
                | '$'
                | '.'
                | '['
                | ']'
                | '{'
                | '}'
                | '('
                | ')'
                | '|'
                | '&'
                | '!'
                | '='
                | '<'
                | '>'
                | '@'
                | '#'
                | ','
                | '*'
                | ':'
                | '-'
                | '+'
                | '/'
                | '\\'
                | '"'
        )
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, PathError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut out = Vec::new();
    while let Some((kind, from)) = lexer.next()? {
        out.push(Token { kind, text: text.get(from..lexer.at).unwrap_or_default().into() });
    }
    Ok(out)
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }
    fn skip(&mut self) -> Result<(), PathError> {
        loop {
            self.at = self.text.len() - self.rest().trim_start_matches(blank).len();
            let Some(inside) = self.rest().strip_prefix("/*") else { return Ok(()) };
            let end = inside.find("*/").ok_or(PathError::Syntax("unexpected end of comment", None))?;
            self.at += end + 4;
        }
    }
    fn next(&mut self) -> Result<Option<(Kind, usize)>, PathError> {
        self.skip()?;
        let from = self.at;
        let Some(c) = self.peek() else { return Ok(None) };
        let rest = self.rest();
        let kind = match c {
            '"' => Kind::String(self.quoted()?),
            '$' if rest.get(1..).is_some_and(|r| r.starts_with('"')) => {
                self.at += 1;
                Kind::Variable(self.quoted()?)
            }
            '$' if rest.chars().nth(1).is_some_and(|c| plain(c) || c == '\\') => {
                self.at += 1;
                Kind::Variable(self.name()?)
            }
            '0'..='9' => self.number()?,
            '.' if rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => self.number()?,
            c if plain(c) || c == '\\' => Kind::Name(self.name()?),
            c => match SIGNS.into_iter().find(|s| rest.starts_with(s)) {
                Some(sign) => {
                    self.at += sign.len();
                    Kind::Sign(sign)
                }
                None => return Err(PathError::Syntax("syntax error", Some(c.into()))),
            },
        };
        Ok(Some((kind, from)))
    }

    fn number(&mut self) -> Result<Kind, PathError> {
        let from = self.at;
        let digits = |lexer: &mut Self| {
            let n = lexer.rest().len() - lexer.rest().trim_start_matches(|c: char| c.is_ascii_digit()).len();
            lexer.at += n;
            n
        };
        let mut whole = true;
        if self.rest().starts_with('0') {
            self.at += 1;
        } else {
            digits(self);
        }
        if self.rest().starts_with('.') {
            whole = false;
            self.at += 1;
            digits(self);
        }
        let before = self.at;
        if self.rest().starts_with(['e', 'E']) {
            self.at += 1;
            if self.rest().starts_with(['+', '-']) {
                self.at += 1;
            }
            if digits(self) == 0 {
                self.at = before;
            } else {
                whole = false;
            }
        }
        if let Some(c) = self.peek().filter(|c| plain(*c)) {
            let junk = self.text.get(from..self.at + c.len_utf8()).unwrap_or_default();
            return Err(PathError::Syntax("trailing junk after numeric literal", Some(junk.into())));
        }
        Ok(Kind::Number(self.text.get(from..self.at).unwrap_or_default().into(), whole))
    }

    fn name(&mut self) -> Result<String, PathError> {
        let mut out = String::new();
        while let Some(c) = self.peek() {
            if c == '\\' {
                self.escape(&mut out)?;
            } else if plain(c) {
                out.push(c);
                self.at += c.len_utf8();
            } else {
                break;
            }
        }
        Ok(out)
    }

    /// At the opening quote.
    fn quoted(&mut self) -> Result<String, PathError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            match self.peek() {
                None => return Err(PathError::Syntax("unexpected end of quoted string", None)),
                Some('"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some('\\') => self.escape(&mut out)?,
                Some(c) => {
                    out.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    /// At a backslash. `\u` escapes may be surrogate pairs.
    fn escape(&mut self, out: &mut String) -> Result<(), PathError> {
        let from = self.at;
        self.at += 1;
        let Some(c) = self.peek() else {
            return Err(PathError::Syntax("unexpected end after backslash", None));
        };
        self.at += c.len_utf8();
        let plain = match c {
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'x' => {
                let code =
                    self.hex(2).ok_or_else(|| self.bad("invalid hexadecimal character sequence", from))?;
                char::from_u32(code).filter(|c| *c != '\0').ok_or_else(|| self.bad(ZERO, from))?
            }
            'u' => self.unicode(from)?,
            other => other,
        };
        out.push(plain);
        Ok(())
    }

    fn bad(&self, message: &'static str, from: usize) -> PathError {
        PathError::Syntax(message, Some(self.text.get(from..self.at).unwrap_or_default().into()))
    }

    fn hex(&mut self, n: usize) -> Option<u32> {
        let digits = self.rest().get(..n).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.at += n;
        u32::from_str_radix(digits, 16).ok()
    }

    fn code(&mut self, from: usize) -> Result<u32, PathError> {
        let bad = |lexer: &Self| lexer.bad("invalid Unicode escape sequence", from);
        if !self.rest().starts_with('{') {
            return self.hex(4).ok_or_else(|| bad(self));
        }
        let end = self.rest().find('}').filter(|n| (2..=7).contains(n)).ok_or_else(|| bad(self))?;
        self.at += 1;
        let code = self.hex(end - 1).ok_or_else(|| bad(self))?;
        self.at += 1;
        Ok(code)
    }

    fn unicode(&mut self, from: usize) -> Result<char, PathError> {
        let mut code = self.code(from)?;
        if (0xd800..0xdc00).contains(&code) && self.rest().starts_with("\\u") {
            self.at += 2;
            let low = self.code(from)?;
            if (0xdc00..0xe000).contains(&low) {
                code = 0x1_0000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
            }
        }
        match char::from_u32(code) {
            Some('\0') => Err(self.bad(ZERO, from)),
            Some(c) => Ok(c),
            None => Err(self.bad("invalid Unicode escape sequence", from)),
        }
    }
}

const ZERO: &str = "unsupported Unicode escape sequence";
