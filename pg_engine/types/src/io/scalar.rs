//! Integers, bool, `"char"`, uuid, tid and the like.

use alloc::{format, sync::Arc, vec::Vec};

use super::{invalid_syntax, is_space, out_of_range};
use crate::{
    error::{Result, SqlError},
    format::FormatSettings,
    oid::{self, Oid},
    user,
    value::{ArrayValue, Value},
};

pub(super) fn parse_bool(text: &str) -> Result<bool> {
    let word = text.trim_matches(is_space);
    let matches = |full: &str, least: usize| {
        word.len() >= least && full.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
    };
    if matches("true", 1) || matches("yes", 1) || matches("on", 2) || word == "1" {
        Ok(true)
    } else if matches("false", 1) || matches("no", 1) || matches("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(invalid_syntax("boolean", text))
    }
}

/// Decimal integer with white space around it.
pub(super) fn parse_int<T: TryFrom<i64>>(text: &str, type_name: &str) -> Result<T> {
    // Nearly all input is a few digits and nothing else.
    if (1..=18).contains(&text.len())
        && let Some(n) =
            text.bytes().try_fold(0i64, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
    {
        return T::try_from(n).map_err(|_| out_of_range(type_name, text));
    }
    let body = text.trim_matches(is_space).as_bytes();
    let (negative, digits) = match body {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, body),
    };
    // Too many digits are told before what follows them.
    let (number, rest) = digits.split_at(digits.iter().take_while(|b| b.is_ascii_digit()).count());
    // Counting down reaches the least integer without overflow.
    let value = number
        .iter()
        .try_fold(0i64, |n, d| n.checked_mul(10)?.checked_sub(i64::from(d - b'0')))
        .and_then(|n| if negative { Some(n) } else { n.checked_neg() });
    let value = value.and_then(|n| T::try_from(n).ok()).ok_or_else(|| out_of_range(type_name, text))?;
    if number.is_empty() || !rest.is_empty() {
        return Err(invalid_syntax(type_name, text));
    }
    Ok(value)
}

pub(super) fn parse_u64(text: &str, type_name: &str) -> Result<u64> {
    let body = text.trim_matches(is_space);
    if body.is_empty() || !body.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid_syntax(type_name, text));
    }
    body.parse().map_err(|_| out_of_range(type_name, text))
}

/// An oid; negative numbers count from the top, as they always have.
pub(super) fn parse_oid(text: &str, type_name: &str) -> Result<u32> {
    let body = text.trim_matches(is_space);
    if body == "-" && type_name.starts_with("reg") {
        return Ok(0);
    }
    let digits = body.strip_prefix(['-', '+']).unwrap_or(body);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid_syntax(type_name, text));
    }
    let n: i64 = body.parse().map_err(|_| out_of_range(type_name, text))?;
    if let Ok(n) = u32::try_from(n) {
        return Ok(n);
    }
    i32::try_from(n).map(|n| n as u32).map_err(|_| out_of_range(type_name, text))
}

pub(super) fn parse_lsn(text: &str) -> Result<u64> {
    let bad = || invalid_syntax("pg_lsn", text);
    let (high, low) = text.split_once('/').ok_or_else(bad)?;
    let part = |s: &str| {
        let valid = (1..=8).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_hexdigit());
        if valid { u64::from_str_radix(s, 16).map_err(|_| bad()) } else { Err(bad()) }
    };
    Ok(part(high)? << 32 | part(low)?)
}

pub(super) fn write_i64(v: i64, ty: Oid, settings: &FormatSettings, out: &mut Vec<u8>) {
    match ty {
        oid::PG_LSN => out.extend_from_slice(format!("{:X}/{:X}", v as u64 >> 32, v as u32).as_bytes()),
        oid::XID8 => super::write_int(v as u64, out),
        oid::MONEY => crate::money::write(v, out),
        _ if user::is_enum(ty) => settings.types.write_label(ty, v, out),
        _ => super::write_int(v, out),
    }
}

/// The first byte, or the byte that `\ooo` stands for; 0 for an empty string.
pub(super) fn parse_char(text: &str) -> u8 {
    match text.as_bytes() {
        [b'\\', a @ b'0'..=b'7', b @ b'0'..=b'7', c @ b'0'..=b'7'] => {
            (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')
        }
        bytes => bytes.first().copied().unwrap_or(0),
    }
}

pub(super) fn write_char(v: u8, out: &mut Vec<u8>) {
    match v {
        0 => {}
        1..=0x7f => out.push(v),
        _ => out.extend_from_slice(&[b'\\', b'0' + (v >> 6), b'0' + (v >> 3 & 7), b'0' + (v & 7)]),
    }
}

/// 32 hexadecimal digits, a hyphen allowed after any four, braces allowed around.
pub(super) fn parse_uuid(text: &str) -> Result<[u8; 16]> {
    let bad = || invalid_syntax("uuid", text);
    let mut bytes = text.as_bytes();
    if let [b'{', inner @ ..] = bytes {
        let [inner @ .., b'}'] = inner else { return Err(bad()) };
        bytes = inner;
    }
    let mut uuid = [0u8; 16];
    for (i, slot) in uuid.iter_mut().enumerate() {
        let [high, low, rest @ ..] = bytes else { return Err(bad()) };
        let digit = |b: u8| (b as char).to_digit(16).ok_or_else(bad);
        *slot = (digit(*high)? << 4 | digit(*low)?) as u8;
        bytes = match rest {
            [b'-', after @ ..] if i % 2 == 1 && i < 15 => after,
            _ => rest,
        };
    }
    if bytes.is_empty() { Ok(uuid) } else { Err(bad()) }
}

pub(super) fn write_uuid(v: &[u8; 16], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (i, b) in v.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend_from_slice(&[HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
    }
}

/// `(block,offset)`
pub(super) fn parse_tid(text: &str) -> Result<Value> {
    let parts = || {
        let inner = text.trim_matches(is_space).strip_prefix('(')?.strip_suffix(')')?;
        let (block, offset) = inner.split_once(',')?;
        Some(Value::Tid(block.trim().parse().ok()?, offset.trim().parse().ok()?))
    };
    parts().ok_or_else(|| invalid_syntax("tid", text))
}

/// int2vector and oidvector: numbers with blanks between.
pub(super) fn parse_vector(text: &str, element: Oid, type_name: &str) -> Result<Value> {
    let mut values = Vec::new();
    for word in text.split(is_space).filter(|w| !w.is_empty()) {
        values.push(if element == oid::INT2 {
            Value::Int2(parse_int(word, type_name)?)
        } else {
            Value::Oid(parse_oid(word, type_name)?)
        });
    }
    let len = i32::try_from(values.len()).map_err(|_| SqlError::internal("vector too long"))?;
    Ok(Value::Array(Arc::new(ArrayValue { element, dims: alloc::vec![(len, 0)], values })))
}
