//! What can be wrong with a document.

use alloc::{boxed::Box, format, string::String};

/// What was found where something else had to be, or a malformed token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyntaxKind {
    /// An unknown escape.
    Escape,
    /// A control character in a string.
    Control(u8),
    /// Behind an element.
    ArrayNext,
    /// Behind a key.
    Colon,
    /// Behind the document.
    End,
    /// Where a value must be.
    Value,
    /// The text ended.
    More,
    /// Behind `{`.
    ObjectFirst,
    /// Behind a member.
    ObjectNext,
    /// A key behind `,`.
    Key,
    /// Not a token.
    Token,
    /// `\u` without four digits.
    UnicodeFormat,
    /// `\u0000`.
    Zero,
    /// A high surrogate behind another.
    HighSurrogate,
    /// A surrogate without its pair.
    LowSurrogate,
}

/// Text that is not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syntax {
    /// What is wrong.
    pub kind: SyntaxKind,
    /// The token at fault.
    pub token: String,
    /// 1-based line of the token.
    pub line: usize,
    /// That line up to the end of the token, shortened with `...`.
    pub excerpt: String,
}

impl Syntax {
    /// A sentence that says what is wrong.
    pub fn detail(&self) -> String {
        let found = |what: &str| format!("Expected {what}, but found \"{}\".", self.token);
        match self.kind {
            SyntaxKind::Escape => format!("Escape sequence \"\\{}\" is invalid.", self.token),
            SyntaxKind::Control(b) => format!("Character with value 0x{b:02x} must be escaped."),
            SyntaxKind::ArrayNext => found("\",\" or \"]\""),
            SyntaxKind::Colon => found("\":\""),
            SyntaxKind::End => found("end of input"),
            SyntaxKind::Value => found("JSON value"),
            SyntaxKind::More => "The input string ended unexpectedly.".into(),
            SyntaxKind::ObjectFirst => found("string or \"}\""),
            SyntaxKind::ObjectNext => found("\",\" or \"}\""),
            SyntaxKind::Key => found("string"),
            SyntaxKind::Token => format!("Token \"{}\" is invalid.", self.token),
            SyntaxKind::UnicodeFormat => "\"\\u\" must be followed by four hexadecimal digits.".into(),
            SyntaxKind::Zero => "\\u0000 cannot be converted to text.".into(),
            SyntaxKind::HighSurrogate => "Unicode high surrogate must not follow a high surrogate.".into(),
            SyntaxKind::LowSurrogate => "Unicode low surrogate must follow a high surrogate.".into(),
        }
    }
    /// Where, as PostgreSQL words it.
    pub fn context(&self) -> String {
        format!("JSON data, line {}: {}", self.line, self.excerpt)
    }
}

/// Why a document was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// Not JSON.
    Syntax(Box<Syntax>),
    /// Nested beyond [`crate::MAX_DEPTH`].
    TooDeep,
    /// A number with more digits than numbers can have.
    Overflow,
    /// A string beyond [`crate::MAX_BYTES`].
    LongString,
    /// The elements of an array together beyond [`crate::MAX_BYTES`].
    LargeArray,
    /// The members of an object together beyond [`crate::MAX_BYTES`].
    LargeObject,
}
