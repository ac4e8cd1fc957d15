//! `json` and `jsonb`: operators, functions, aggregates. The documents themselves are `pg_json`'s.

mod access;
mod aggregate;
mod build;
mod change;
mod path;
mod populate;
mod rows;
pub(crate) mod subscript;
mod value;

use alloc::string::String;

use pg_json::Jsonb;
use pg_types::{Result, SqlError, SqlState, Value, json};

use crate::{
    call::{Arg, Ret, mismatch},
    def::Function,
};

/// The tables.
pub(crate) static TABLES: [&[Function]; 8] = [
    access::JSON,
    access::JSONB,
    aggregate::FUNCTIONS,
    build::FUNCTIONS,
    change::FUNCTIONS,
    path::FUNCTIONS,
    populate::FUNCTIONS,
    rows::FUNCTIONS,
];

impl<'a> Arg<'a> for &'a Jsonb {
    fn arg(value: &'a Value) -> Result<Self> {
        match value {
            Value::Jsonb(doc) => Ok(doc),
            _ => Err(mismatch()),
        }
    }
}

impl Ret for Jsonb {
    fn ret(self) -> Result<Value> {
        Ok(Value::Jsonb(self))
    }
}

impl Ret for pg_json::Json {
    fn ret(self) -> Result<Value> {
        self.finish().map(Value::Jsonb).map_err(json::error)
    }
}

impl Ret for pg_json::View<'_> {
    fn ret(self) -> Result<Value> {
        Ok(Value::Jsonb(Jsonb::copy_of(self)))
    }
}

/// 22023.
#[cold]
fn invalid(message: impl Into<alloc::borrow::Cow<'static, str>>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// The texts of an array; NULLs stay.
fn texts(array: &pg_types::value::ArrayValue) -> Result<alloc::vec::Vec<Option<&str>>> {
    let text = |v| match v {
        &Value::Null => Ok(None),
        Value::Text(s) => Ok(Some(s.as_ref())),
        _ => Err(mismatch()),
    };
    array.values.iter().map(text).collect()
}

/// A path element as an array index.
fn index(text: &str) -> Option<i64> {
    let body = text.trim_start_matches(|c: char| c.is_ascii_whitespace());
    body.parse::<i32>().ok().map(i64::from)
}

/// Position `index` counts from the end when negative.
fn position(index: i64, len: usize) -> Option<usize> {
    let at = if index < 0 { index.checked_add(len as i64)? } else { index };
    usize::try_from(at).ok().filter(|at| *at < len)
}

/// A string in quotes.
fn quoted(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    pg_json::quote(s, &mut out);
    out
}
