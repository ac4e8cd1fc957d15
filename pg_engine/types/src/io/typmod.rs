//! Applying type modifiers: what casts and assignments to `varchar(n)`, `numeric(p,s)`, `timestamp(p)` do.

use alloc::{boxed::Box, format, string::String};

use crate::{
    datetime,
    error::{Result, SqlError, SqlState},
    oid::{self, SqlType},
    typeinfo,
    value::Value,
};

/// Characters of a `char(n)` or `varchar(n)` modifier.
pub fn length(typmod: i32) -> Option<usize> {
    usize::try_from(typmod.checked_sub(4)?).ok()
}

/// Brings a value into the form that `ty`'s modifier asks for. An explicit cast cuts long strings off; otherwise they
/// are errors unless only blanks are lost. No-op without modifier, for NULL and for types that have none.
pub fn coerce(value: Value, ty: SqlType, explicit: bool) -> Result<Value> {
    if ty.typmod < 0 {
        return Ok(value);
    }
    Ok(match value {
        Value::Text(s) if ty.oid == oid::VARCHAR => Value::Text(varchar(s, ty.typmod, explicit)?),
        Value::Text(s) if ty.oid == oid::BPCHAR => Value::Text(bpchar(&s, ty.typmod, explicit)?),
        Value::Numeric(n) => Value::Numeric(n.apply_typmod(ty.typmod)?),
        Value::Timestamp(t) => Value::Timestamp(datetime::round_timestamp(t, ty.typmod)?),
        Value::TimestampTz(t) => Value::TimestampTz(datetime::round_timestamp(t, ty.typmod)?),
        Value::Time(t) => Value::Time(datetime::round_time(t, ty.typmod)),
        Value::TimeTz(mut t) => {
            t.micros = datetime::round_time(t.micros, ty.typmod);
            Value::TimeTz(t)
        }
        Value::Bits(b) if ty.oid == oid::BIT => b.fix(ty.typmod, explicit)?.into(),
        Value::Bits(b) if ty.oid == oid::VARBIT => b.limit(ty.typmod, explicit)?.into(),
        Value::Interval(i) => Value::Interval(datetime::interval_typmod(i, ty.typmod)?),
        Value::Array(a) => {
            let element = SqlType::with_typmod(a.element, ty.typmod);
            let mut a = alloc::sync::Arc::unwrap_or_clone(a);
            for v in &mut a.values {
                *v = coerce(core::mem::replace(v, Value::Null), element, explicit)?;
            }
            Value::Array(alloc::sync::Arc::new(a))
        }
        other => other,
    })
}

#[cold]
fn too_long(ty: u32, typmod: i32) -> SqlError {
    let name = typeinfo::format_type(ty, Some(typmod)).unwrap_or_default();
    SqlError::new(SqlState::STRING_DATA_RIGHT_TRUNCATION, format!("value too long for type {name}"))
}

/// The first `n` characters, when there are more.
fn cut(s: &str, n: usize) -> Option<(&str, &str)> {
    if s.len() <= n {
        return None;
    }
    s.char_indices().nth(n).map(|(at, _)| s.split_at(at))
}

/// `varchar(n)`: at most n characters.
pub fn varchar(s: Box<str>, typmod: i32, explicit: bool) -> Result<Box<str>> {
    let Some(n) = length(typmod) else { return Ok(s) };
    match cut(&s, n) {
        None => Ok(s),
        Some((head, tail)) if explicit || tail.bytes().all(|b| b == b' ') => Ok(head.into()),
        Some(_) => Err(too_long(oid::VARCHAR, typmod)),
    }
}

/// `char(n)`: exactly n characters, padded with blanks.
pub fn bpchar(s: &str, typmod: i32, explicit: bool) -> Result<Box<str>> {
    let Some(n) = length(typmod) else { return Ok(s.into()) };
    match cut(s, n) {
        Some((head, tail)) if explicit || tail.bytes().all(|b| b == b' ') => Ok(head.into()),
        Some(_) => Err(too_long(oid::BPCHAR, typmod)),
        None => {
            let missing = n.saturating_sub(s.chars().count());
            // A function's argument may ask for more than any column may.
            let bytes = s.len().saturating_add(missing);
            if bytes > crate::tuple::MAX_VALUE {
                let message = format!("invalid memory alloc request size {bytes}");
                return Err(SqlError::new(SqlState::INTERNAL_ERROR, message));
            }
            let mut padded = String::with_capacity(s.len() + missing);
            padded.push_str(s);
            padded.extend(core::iter::repeat_n(' ', missing));
            Ok(padded.into())
        }
    }
}

/// `name`: at most 63 bytes, cut at a character.
pub fn name(s: &str) -> &str {
    const MOST: usize = 63;
    if s.len() <= MOST {
        return s;
    }
    &s[..s.floor_char_boundary(MOST)]
}
