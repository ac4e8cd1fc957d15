//! bytea, digests and encodings.

use alloc::{string::String, vec::Vec};

use base64::Engine;
use pg_types::{Result, SqlError, SqlState, oid::*};
use sha2::Digest;

use super::text::{MAX_BYTES, check_length, negative_length};
use crate::{call::row, def::Function, errors::invalid, table::def};

fn part(s: &[u8], start: i32, count: Option<i32>) -> Result<&[u8]> {
    let from = usize::try_from(start.saturating_sub(1)).unwrap_or(0);
    let Some(count) = count else { return Ok(s.get(from..).unwrap_or_default()) };
    if count < 0 {
        return Err(negative_length());
    }
    let end = usize::try_from(i64::from(start) - 1 + i64::from(count)).unwrap_or(0).min(s.len());
    Ok(s.get(from..end).unwrap_or_default())
}

fn overlay(s: &[u8], with: &[u8], start: i32, count: i32) -> Result<Vec<u8>> {
    if start <= 0 {
        return Err(negative_length());
    }
    let resume = start.checked_add(count).ok_or_else(crate::errors::int4_range)?;
    Ok([part(s, 1, Some(start - 1))?, with, part(s, resume, None)?].concat())
}

fn position(s: &[u8], needle: &[u8]) -> i32 {
    if needle.is_empty() {
        return 1;
    }
    s.windows(needle.len()).position(|w| w == needle).map_or(0, |i| i as i32 + 1)
}

fn trim_start<'a>(mut s: &'a [u8], set: &[u8]) -> &'a [u8] {
    while let [first, rest @ ..] = s
        && set.contains(first)
    {
        s = rest;
    }
    s
}

fn trim_end<'a>(mut s: &'a [u8], set: &[u8]) -> &'a [u8] {
    while let [rest @ .., last] = s
        && set.contains(last)
    {
        s = rest;
    }
    s
}

fn index(s: &[u8], n: i64, bits: i64) -> Result<usize> {
    let limit = s.len() as i64 * bits;
    if n < 0 || n >= limit {
        return Err(SqlError::new(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            alloc::format!("index {n} out of valid range, 0..{}", limit - 1),
        ));
    }
    Ok((n / bits) as usize)
}

fn set_byte(s: &[u8], n: i32, value: i32) -> Result<Vec<u8>> {
    let i = index(s, i64::from(n), 1)?;
    let mut out = s.to_vec();
    if let Some(b) = out.get_mut(i) {
        *b = value as u8;
    }
    Ok(out)
}

fn set_bit(s: &[u8], n: i64, value: i32) -> Result<Vec<u8>> {
    let i = index(s, n, 8)?;
    if value != 0 && value != 1 {
        return Err(invalid("new bit must be 0 or 1"));
    }
    let mut out = s.to_vec();
    if let Some(b) = out.get_mut(i) {
        let mask = 1u8 << (n % 8);
        *b = if value == 1 { *b | mask } else { *b & !mask };
    }
    Ok(out)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        out.push(char::from(DIGITS[usize::from(b >> 4)]));
        out.push(char::from(DIGITS[usize::from(b & 15)]));
    }
    out
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let digit = |c: char| {
        c.to_digit(16)
            .map(|d| d as u8)
            .ok_or_else(|| invalid(alloc::format!("invalid hexadecimal digit: \"{c}\"")))
    };
    let mut out = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for c in text.chars() {
        if high.is_none() && matches!(c, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let d = digit(c)?;
        match high.take() {
            None => high = Some(d << 4),
            Some(h) => out.push(h | d),
        }
    }
    if high.is_some() {
        return Err(invalid("invalid hexadecimal data: odd number of digits"));
    }
    Ok(out)
}

/// Base 64 in lines of 76 characters.
fn base64_lines(bytes: &[u8]) -> String {
    let plain = base64::engine::general_purpose::STANDARD.encode(bytes);
    let mut out = String::with_capacity(plain.len() + plain.len() / 76);
    for (i, c) in plain.chars().enumerate() {
        if i > 0 && i % 76 == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    out
}

fn unbase64(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut group, mut count, mut end) = (0u32, 0, 0);
    for c in text.chars() {
        let digit = match c {
            ' ' | '\n' | '\t' | '\r' => continue,
            'A'..='Z' => u32::from(c) - 65,
            'a'..='z' => u32::from(c) - 97 + 26,
            '0'..='9' => u32::from(c) - 48 + 52,
            '+' => 62,
            '/' => 63,
            '=' => {
                if end == 0 {
                    end = match count {
                        2 => 1,
                        3 => 2,
                        _ => return Err(invalid("unexpected \"=\" while decoding base64 sequence")),
                    };
                }
                0
            }
            _ => {
                return Err(invalid(alloc::format!(
                    "invalid symbol \"{c}\" found while decoding base64 sequence"
                )));
            }
        };
        group = group << 6 | digit;
        count += 1;
        if count == 4 {
            let bytes = group.to_be_bytes();
            let keep = if end == 0 { 3 } else { end };
            out.extend_from_slice(bytes.get(1..1 + keep).unwrap_or_default());
            (group, count) = (0, 0);
        }
    }
    if count != 0 {
        return Err(invalid("invalid base64 end sequence")
            .hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(out)
}

fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &b in bytes {
        match b {
            b'\\' => out.push_str("\\\\"),
            0 | 0x80.. => out.push_str(&alloc::format!("\\{b:03o}")),
            _ => out.push(char::from(b)),
        }
    }
    out
}

fn unescape(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'\\' {
            out.push(*first);
            rest = tail;
            continue;
        }
        match tail {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            [b'\\', after @ ..] => {
                out.push(b'\\');
                rest = after;
            }
            _ => {
                return Err(SqlError::new(
                    SqlState::INVALID_TEXT_REPRESENTATION,
                    "invalid input syntax for type bytea",
                ));
            }
        }
    }
    Ok(out)
}

fn unknown_encoding(name: &str) -> SqlError {
    invalid(alloc::format!("unrecognized encoding: \"{name}\""))
}

fn encode(bytes: &[u8], format: &str) -> Result<String> {
    if bytes.len() > MAX_BYTES / 4 {
        return Err(crate::errors::too_large());
    }
    if format.eq_ignore_ascii_case("hex") {
        Ok(hex(bytes))
    } else if format.eq_ignore_ascii_case("base64") {
        Ok(base64_lines(bytes))
    } else if format.eq_ignore_ascii_case("escape") {
        Ok(escape(bytes))
    } else {
        Err(unknown_encoding(format))
    }
}

fn decode(text: &str, format: &str) -> Result<Vec<u8>> {
    if format.eq_ignore_ascii_case("hex") {
        unhex(text)
    } else if format.eq_ignore_ascii_case("base64") {
        unbase64(text)
    } else if format.eq_ignore_ascii_case("escape") {
        unescape(text)
    } else {
        Err(unknown_encoding(format))
    }
}

/// Whether a name means UTF-8, the only encoding there is; others are refused.
/// Rows.
pub(crate) static FUNCTIONS: &[Function] =
    &[
        def(2010, "length", &[BYTEA], INT4).imp(row!(|s: &[u8]| s.len() as i32)),
        def(720, "octet_length", &[BYTEA], INT4).imp(row!(|s: &[u8]| s.len() as i32)),
        def(1810, "bit_length", &[BYTEA], INT4).imp(row!(|s: &[u8]| s.len() as i32 * 8)),
        def(6163, "bit_count", &[BYTEA], INT8)
            .imp(row!(|s: &[u8]| s.iter().map(|b| i64::from(b.count_ones())).sum::<i64>())),
        def(2011, "byteacat", &[BYTEA, BYTEA], BYTEA)
            .imp(row!(|a: &[u8], b: &[u8]| check_length(a.len() + b.len()).map(|()| [a, b].concat()))),
        def(2086, "substr", &[BYTEA, INT4], BYTEA).imp(row!(|s: &[u8], start: i32| part(s, start, None))),
        def(2085, "substr", &[BYTEA, INT4, INT4], BYTEA).imp(row!(|s: &[u8], start: i32, n: i32| part(
            s,
            start,
            Some(n)
        ))),
        def(2013, "substring", &[BYTEA, INT4], BYTEA).imp(row!(|s: &[u8], start: i32| part(s, start, None))),
        def(2012, "substring", &[BYTEA, INT4, INT4], BYTEA).imp(row!(|s: &[u8], start: i32, n: i32| part(
            s,
            start,
            Some(n)
        ))),
        def(749, "overlay", &[BYTEA, BYTEA, INT4, INT4], BYTEA)
            .imp(row!(|s: &[u8], with: &[u8], start: i32, n: i32| overlay(s, with, start, n))),
        def(752, "overlay", &[BYTEA, BYTEA, INT4], BYTEA)
            .imp(row!(|s: &[u8], with: &[u8], start: i32| overlay(s, with, start, with.len() as i32))),
        def(2014, "position", &[BYTEA, BYTEA], INT4).imp(row!(|s: &[u8], needle: &[u8]| position(s, needle))),
        def(2015, "btrim", &[BYTEA, BYTEA], BYTEA)
            .imp(row!(|s: &[u8], set: &[u8]| trim_end(trim_start(s, set), set))),
        def(6195, "ltrim", &[BYTEA, BYTEA], BYTEA).imp(row!(|s: &[u8], set: &[u8]| trim_start(s, set))),
        def(6196, "rtrim", &[BYTEA, BYTEA], BYTEA).imp(row!(|s: &[u8], set: &[u8]| trim_end(s, set))),
        def(721, "get_byte", &[BYTEA, INT4], INT4)
            .imp(row!(|s: &[u8], n: i32| i32::from(s[index(s, i64::from(n), 1)?]))),
        def(722, "set_byte", &[BYTEA, INT4, INT4], BYTEA)
            .imp(row!(|s: &[u8], n: i32, value: i32| set_byte(s, n, value))),
        def(723, "get_bit", &[BYTEA, INT8], INT4)
            .imp(row!(|s: &[u8], n: i64| i32::from(s[index(s, n, 8)?] >> (n % 8) & 1))),
        def(724, "set_bit", &[BYTEA, INT8, INT4], BYTEA)
            .imp(row!(|s: &[u8], n: i64, value: i32| set_bit(s, n, value))),
        def(2311, "md5", &[TEXT], TEXT).imp(row!(|s: &str| hex(&md5::Md5::digest(s.as_bytes())))),
        def(2321, "md5", &[BYTEA], TEXT).imp(row!(|s: &[u8]| hex(&md5::Md5::digest(s)))),
        def(3419, "sha224", &[BYTEA], BYTEA).imp(row!(|s: &[u8]| sha2::Sha224::digest(s).to_vec())),
        def(3420, "sha256", &[BYTEA], BYTEA).imp(row!(|s: &[u8]| sha2::Sha256::digest(s).to_vec())),
        def(3421, "sha384", &[BYTEA], BYTEA).imp(row!(|s: &[u8]| sha2::Sha384::digest(s).to_vec())),
        def(3422, "sha512", &[BYTEA], BYTEA).imp(row!(|s: &[u8]| sha2::Sha512::digest(s).to_vec())),
        def(1946, "encode", &[BYTEA, TEXT], TEXT).imp(row!(|s: &[u8], format: &str| encode(s, format))),
        def(1947, "decode", &[TEXT, TEXT], BYTEA).imp(row!(|s: &str, format: &str| decode(s, format))),
    ];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn encodings_round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for format in ["hex", "base64", "escape"] {
                let text = encode(&bytes, format).expect("known");
                prop_assert_eq!(decode(&text, format).expect("own output"), bytes.clone());
            }
        }

        #[test]
        fn decoding_survives(text in ".{0,60}") {
            for format in ["hex", "base64", "escape"] {
                let _ = decode(&text, format);
            }
        }
    }

    #[test]
    fn digests() {
        assert_eq!(hex(&md5::Md5::digest(b"abc")), "900150983cd24fb0d6963f7d28e17f72");
    }
}
