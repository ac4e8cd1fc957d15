//! Documents as SQL sees them: errors in PostgreSQL's words.

use alloc::{format, string::String, sync::Arc};

use pg_json::{
    JsonError, Jsonb, SyntaxKind,
    path::{Path, PathError},
};

use crate::{
    Value,
    error::{Result, SqlError, SqlState},
};

/// A document's fault as a client reads it.
#[cold]
pub fn error(e: JsonError) -> SqlError {
    let limit = |message: &'static str| SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message);
    match e {
        JsonError::Syntax(s) => {
            let (state, message) = match s.kind {
                SyntaxKind::Zero => {
                    (SqlState::UNTRANSLATABLE_CHARACTER, "unsupported Unicode escape sequence")
                }
                _ => (SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type json"),
            };
            let mut e = SqlError::new(state, message).detail(s.detail());
            e.fields_mut().context = Some(s.context());
            e
        }
        JsonError::TooDeep => SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
            .hint("Documents may be nested 512 levels deep."),
        JsonError::Overflow => {
            SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
        }
        JsonError::LongString => limit("string too long to represent as jsonb string")
            .detail("Due to an implementation restriction, jsonb strings cannot exceed 268435455 bytes."),
        JsonError::LargeArray => {
            limit("total size of jsonb array elements exceeds the maximum of 268435455 bytes")
        }
        JsonError::LargeObject => {
            limit("total size of jsonb object elements exceeds the maximum of 268435455 bytes")
        }
    }
}

/// A path's fault as a client reads it.
#[cold]
fn path_error(e: PathError, text: &str) -> SqlError {
    match e {
        PathError::Empty => crate::io::invalid_syntax("jsonpath", text),
        PathError::Syntax(what, Some(near)) => {
            SqlError::syntax(format!("{what} at or near \"{near}\" of jsonpath input"))
        }
        PathError::Syntax(what, None) => SqlError::syntax(format!("{what} at end of jsonpath input")),
        PathError::CurrentInRoot => SqlError::syntax("@ is not allowed in root expressions"),
        PathError::LastOutside => SqlError::syntax("LAST is allowed only in array subscripts"),
        PathError::Flag(c) => SqlError::syntax("invalid input syntax for type jsonpath")
            .detail(format!("Unrecognized flag character \"{c}\" in LIKE_REGEX predicate.")),
        PathError::Expanded => SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "XQuery \"x\" flag (expanded regular expressions) is not implemented",
        ),
        PathError::TooDeep => SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"),
        PathError::Level(n) => SqlError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value \"{n}\" is out of range for type integer"),
        ),
        PathError::Value(e) => error(e),
    }
}

/// Text as `jsonpath`.
pub fn path(text: &str) -> Result<Value> {
    match Path::parse(text) {
        Ok(path) => Ok(Value::JsonPath(Arc::new(path))),
        Err(e) => Err(path_error(e, text)),
    }
}

/// Text as `jsonb`.
pub fn jsonb(text: &str) -> Result<Jsonb> {
    Jsonb::parse(text).map_err(error)
}

/// Checks text that is to be `json`.
pub fn validate(text: &str) -> Result<()> {
    pg_json::validate(text).map_err(error)
}

/// A document's text.
pub fn text(doc: &Jsonb) -> String {
    let mut out = String::with_capacity(doc.bytes().len() + 16);
    doc.root().write(&mut out);
    out
}
