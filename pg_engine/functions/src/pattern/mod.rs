//! Pattern matching: LIKE, SIMILAR TO and POSIX regular expressions.

pub(crate) mod like;
pub(crate) mod regex;
pub(crate) mod regexp;
pub(crate) mod similar;
pub(crate) mod translate;
