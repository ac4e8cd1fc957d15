//! Text and binary formats of every type.

use crate::error::{SqlError, SqlState};

/// White space as the C locale has it.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// 22P02 in PostgreSQL's words.
#[cold]
pub(crate) fn invalid_syntax(type_name: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        alloc::format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}
