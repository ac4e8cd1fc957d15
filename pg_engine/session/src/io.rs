//! Value formats of the few types the session itself needs until the type cell's are all in place.

use alloc::vec::Vec;

use pg_types::{Result, SqlError, SqlState, SqlType, Value, Vector, format::FormatSettings, oid};

pub fn valid_text(bytes: &[u8]) -> Result<&str> {
    core::str::from_utf8(bytes).map_err(|_| {
        SqlError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, "invalid byte sequence for encoding \"UTF8\"")
    })
}

pub fn input(ty: SqlType, text: &str, _: &FormatSettings) -> Result<Value> {
    match ty.oid {
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::UNKNOWN | oid::NAME => Ok(Value::text(text)),
        _ => Err(SqlError::unsupported("type input")),
    }
}

pub fn receive(_: SqlType, _: &[u8]) -> Result<Value> {
    Err(SqlError::unsupported("type receive"))
}

pub fn output_row(_: &Vector, _: usize, _: &FormatSettings, _: &mut Vec<u8>) {}

pub fn send_row(_: &Vector, _: usize, _: &mut Vec<u8>) {}
