//! Parameters off the wire.

use alloc::format;

use pg_types::{Result, SqlError, SqlState, SqlType, Value, format::FormatSettings, io, oid};

/// Value of parameter number `n` (from 1).
pub fn parameter(
    ty: SqlType,
    bytes: &[u8],
    binary: bool,
    settings: &FormatSettings,
    n: usize,
) -> Result<Value> {
    if binary {
        // The commonest first.
        match (ty.oid, bytes.len()) {
            (oid::INT4, 4) => {
                if let Some(b) = bytes.first_chunk() {
                    return Ok(Value::Int4(i32::from_be_bytes(*b)));
                }
            }
            (oid::INT8, 8) => {
                if let Some(b) = bytes.first_chunk() {
                    return Ok(Value::Int8(i64::from_be_bytes(*b)));
                }
            }
            _ => {}
        }
        return io::receive(ty, bytes, settings).map_err(|e| in_parameter(e, n));
    }
    // A sign takes the long way, as does anything that is not a number. What is made of digits is valid text.
    if matches!(ty.oid, oid::INT4 | oid::INT8)
        && let Some(v) = small_integer(bytes)
    {
        return Ok(if ty.oid == oid::INT4 { Value::Int4(v) } else { Value::Int8(v.into()) });
    }
    let text = io::valid_text(bytes)?;
    io::input(ty, text, settings).map_err(|e| in_parameter(e, n))
}

/// Up to nine digits.
fn small_integer(bytes: &[u8]) -> Option<i32> {
    if bytes.is_empty() || bytes.len() > 9 {
        return None;
    }
    bytes.iter().try_fold(0i32, |n, b| b.is_ascii_digit().then(|| n * 10 + i32::from(b - b'0')))
}

fn in_parameter(mut e: SqlError, n: usize) -> SqlError {
    if e.message() == "incorrect binary data format" {
        let message = format!("incorrect binary data format in bind parameter {n}");
        e = SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, message);
    }
    if e.state() == SqlState::INVALID_BINARY_REPRESENTATION && e.fields().context.is_none() {
        e.fields_mut().context = Some(format!("portal parameter ${n}"));
    }
    e
}
