//! Errors that many functions raise, in PostgreSQL's words.

use alloc::format;

use pg_types::{SqlError, SqlState};

#[cold]
pub(crate) fn out_of_range(ty: &str) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{ty} out of range"))
}
#[cold]
pub(crate) fn int2_range() -> SqlError {
    out_of_range("smallint")
}
#[cold]
pub(crate) fn int4_range() -> SqlError {
    out_of_range("integer")
}
#[cold]
pub(crate) fn int8_range() -> SqlError {
    out_of_range("bigint")
}
#[cold]
pub(crate) fn oid_range() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "OID out of range")
}
#[cold]
pub(crate) fn float_overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}
#[cold]
pub(crate) fn float_underflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")
}
#[cold]
pub(crate) fn input_range() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}
#[cold]
pub(crate) fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}
#[cold]
pub(crate) fn timestamp_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}
#[cold]
pub(crate) fn date_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range")
}
#[cold]
pub(crate) fn interval_range() -> SqlError {
    SqlError::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range")
}
/// 22023.
#[cold]
pub(crate) fn invalid(message: impl Into<alloc::borrow::Cow<'static, str>>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}
/// A result that would not fit in memory.
#[cold]
pub(crate) fn too_large() -> SqlError {
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large")
}
/// A value longer than any can be.
#[cold]
pub(crate) fn alloc_request(bytes: usize) -> SqlError {
    SqlError::internal(format!("invalid memory alloc request size {bytes}"))
}
#[cold]
pub(crate) fn cancelled() -> SqlError {
    SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")
}
