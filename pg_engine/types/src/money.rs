//! `money`: hundredths as a 64-bit integer, written as in the "C" locale.

use alloc::{format, vec::Vec};

use crate::{
    error::{Result, SqlError, SqlState},
    io::{invalid_syntax, is_space},
};

#[cold]
fn out_of_range(text: &str) -> SqlError {
    SqlError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("value \"{text}\" is out of range for type money"),
    )
}

/// Reads an amount: `$`, commas, sign before or parentheses around; digits beyond hundredths round.
pub fn parse(text: &str) -> Result<i64> {
    let bad = || invalid_syntax("money", text);
    let mut body = text.trim_matches(is_space);
    let mut negative = false;
    if let Some(rest) = body.strip_prefix('$') {
        body = rest.trim_start_matches(is_space);
    }
    if let Some(rest) = body.strip_prefix('-') {
        (negative, body) = (true, rest.trim_start_matches(is_space));
    } else if let Some(rest) = body.strip_prefix('(') {
        (negative, body) = (true, rest.trim_start_matches(is_space));
    } else if let Some(rest) = body.strip_prefix('+') {
        body = rest.trim_start_matches(is_space);
    }
    body = body.strip_prefix('$').unwrap_or(body).trim_start_matches(is_space);
    let (mut value, mut decimals, mut point) = (0i64, 0, false);
    let mut end = body.len();
    // Counting down reaches the least amount without overflow.
    let push = |v: i64, d: i64| v.checked_mul(10)?.checked_sub(d);
    for (at, b) in body.bytes().enumerate() {
        match b {
            b'0'..=b'9' if !point || decimals < 2 => {
                decimals += u32::from(point);
                value = push(value, i64::from(b - b'0')).ok_or_else(|| out_of_range(text))?;
            }
            b'0'..=b'9' => {
                if decimals == 2 && b >= b'5' {
                    value = value.checked_sub(1).ok_or_else(|| out_of_range(text))?;
                }
                decimals += 1;
            }
            b'.' if !point => point = true,
            b',' if !point => {}
            _ => {
                end = at;
                break;
            }
        }
    }
    for _ in decimals.min(2)..2 {
        value = push(value, 0).ok_or_else(|| out_of_range(text))?;
    }
    let rest = body.get(end..).unwrap_or_default();
    let mut closed = rest.trim_matches(|c| is_space(c) || c == '$');
    if let Some(other) = closed.strip_prefix(')').or_else(|| closed.strip_prefix('-')) {
        negative |= closed.starts_with('-');
        closed = other.trim_matches(|c| is_space(c) || c == '$');
    }
    // No digits at all are no money, as PostgreSQL has it.
    if !closed.is_empty() {
        return Err(bad());
    }
    if negative { Ok(value) } else { value.checked_neg().ok_or_else(|| out_of_range(text)) }
}

/// Appends `-$1,234.56`.
pub fn write(v: i64, out: &mut Vec<u8>) {
    let n = v.unsigned_abs();
    let whole = format!("{}", n / 100);
    out.extend_from_slice(if v < 0 { b"-$" } else { b"$" });
    for (i, b) in whole.bytes().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(b',');
        }
        out.push(b);
    }
    out.extend_from_slice(format!(".{:02}", n % 100).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        let shown = |t: &str| {
            let mut out = Vec::new();
            write(parse(t).unwrap(), &mut out);
            alloc::string::String::from_utf8(out).unwrap()
        };
        assert_eq!(shown("1234567.895"), "$1,234,567.90");
        assert_eq!(shown("($12.3)"), "-$12.30");
        assert_eq!(shown("-$ 5"), "-$5.00");
        assert_eq!(shown("-92233720368547758.08"), "-$92,233,720,368,547,758.08");
        assert!(parse("92233720368547758.08").is_err() && parse("x").is_err());
        assert_eq!((shown(""), shown(" $ "), shown("()")), ("$0.00".into(), "$0.00".into(), "$0.00".into()));
    }
}
