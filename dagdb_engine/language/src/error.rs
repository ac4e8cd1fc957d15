//! Why a text is no command.

use alloc::string::String;

use thiserror::Error;

/// The longest text, in bytes.
pub const MAX_LENGTH: usize = 1 << 16;
/// The deepest nesting of a predicate.
pub const MAX_DEPTH: usize = 64;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{problem}")]
pub struct SyntaxError {
    /// Byte of the text.
    pub at: usize,
    /// What is wrong there.
    pub problem: Problem,
}

impl SyntaxError {
    /// The SQLSTATE that says so.
    pub const fn sqlstate(&self) -> &'static str {
        match self.problem {
            Problem::NumberTooLarge { .. } => "22003",
            Problem::TooLong | Problem::TooDeep => "54001",
            _ => "42601",
        }
    }

    /// What would have been right, if that can be said.
    pub const fn expected(&self) -> Option<&'static str> {
        match self.problem {
            Problem::Unexpected { expected, .. } | Problem::End { expected } => Some(expected),
            _ => None,
        }
    }
}

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// The first word is no verb.
    #[error("unknown command \"{word}\"")]
    UnknownCommand {
        /// The word.
        word: String,
    },
    /// Another token should be there.
    #[error("syntax error at or near \"{found}\"")]
    Unexpected {
        /// The one that is.
        found: String,
        /// What should be.
        expected: &'static str,
    },
    /// Something should follow.
    #[error("syntax error at end of input")]
    End {
        /// What should.
        expected: &'static str,
    },
    /// A number that does not fit.
    #[error("value \"{number}\" is out of range: at most {most}")]
    NumberTooLarge {
        /// As written.
        number: String,
        /// What would fit.
        most: u64,
    },
    /// A quote that nothing ends.
    #[error("unterminated quoted string")]
    Unterminated,
    /// A range whose end comes first.
    #[error("range \"{range}\" ends before it begins")]
    EmptyRange {
        /// As written.
        range: String,
    },
    /// A command that a reader's snapshot cannot answer.
    #[error("command is not read-only and cannot be sent to a reader")]
    NotReadOnly,
    /// More than [`MAX_LENGTH`] bytes.
    #[error("command is too long")]
    TooLong,
    /// More than [`MAX_DEPTH`] levels.
    #[error("predicate is nested too deeply")]
    TooDeep,
}
