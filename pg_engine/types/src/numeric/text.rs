//! Text and binary formats.

use alloc::{string::String, vec::Vec};
use core::fmt;

use super::{Class, Digits, MAX_SCALE, Numeric, digits::WIDTH, overflow};
use crate::error::{Result, SqlError, SqlState};

/// Sign words of the binary format.
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEG_INFINITY: u16 = 0xf000;

fn syntax(text: &str) -> SqlError {
    crate::io::invalid_syntax("numeric", text)
}

impl Numeric {
    /// Reads PostgreSQL's input syntax.
    pub fn parse(text: &str) -> Result<Self> {
        let body = text.trim_matches(crate::io::is_space);
        let (sign, word) = match body.as_bytes().first() {
            Some(b'-') => (-1, &body[1..]),
            Some(b'+') => (1, &body[1..]),
            _ => (0, body),
        };
        if word.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) {
            if word.eq_ignore_ascii_case("infinity") || word.eq_ignore_ascii_case("inf") {
                return Ok(if sign < 0 { Self::NEG_INFINITY } else { Self::INFINITY });
            }
            if sign == 0 && word.eq_ignore_ascii_case("nan") {
                return Ok(Self::NAN);
            }
            return Err(syntax(text));
        }
        match Self::parse_finite(body) {
            Ok(n) => Ok(n),
            Err(ParseError::Syntax) => Err(syntax(text)),
            Err(ParseError::Overflow) => Err(overflow()),
        }
    }
    /// Digits with sign, point and exponent, and nothing around them.
    pub(crate) fn parse_finite(text: &str) -> Result<Self, ParseError> {
        let bytes = text.as_bytes();
        let (negative, rest) = match bytes.first() {
            Some(b'-') => (true, &bytes[1..]),
            Some(b'+') => (false, &bytes[1..]),
            _ => (false, bytes),
        };
        let (mut mantissa, mut count, mut point, mut i) = (0u64, 0usize, None, 0);
        while let Some(&b) = rest.get(i) {
            match b {
                b'0'..=b'9' => {
                    if count < 18 {
                        mantissa = mantissa * 10 + u64::from(b - b'0');
                    }
                    count += 1;
                }
                b'.' if point.is_none() => point = Some(count),
                _ => break,
            }
            i += 1;
        }
        if count == 0 {
            return Err(ParseError::Syntax);
        }
        let decimals = point.map_or(0, |p| count - p);
        if i == rest.len() && count <= 18 {
            let m = i128::from(mantissa);
            return Ok(Self::new(if negative { -m } else { m }, decimals as u32));
        }
        let exponent = match rest.get(i) {
            None => 0,
            Some(b'e' | b'E') => parse_exponent(&rest[i + 1..])?,
            Some(_) => return Err(ParseError::Syntax),
        };
        let places = decimals as i64 - exponent;
        let scale = places.max(0);
        let weight_limit = i64::from(super::MAX_WEIGHT + 1) * i64::from(WIDTH);
        if count as i64 - places > weight_limit + count as i64 {
            // Only zeros may stand so far to the left.
            return if rest[..i].iter().any(|b| (b'1'..=b'9').contains(b)) {
                Err(ParseError::Overflow)
            } else {
                Ok(Self::ZERO)
            };
        }
        if scale > i64::from(MAX_SCALE) {
            return Err(ParseError::Overflow);
        }
        let digits = pack(&rest[..i], places);
        Self::from_digits(Digits { negative, scale: scale as u32, ..digits }.stripped())
            .map_err(|_| ParseError::Overflow)
    }

    /// Appends the text form.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self.class() {
            Class::Small(mantissa, scale) => write_small(mantissa, scale as usize, out),
            Class::Big(d) => write_big(d, out),
            Class::NaN => out.extend_from_slice(b"NaN"),
            Class::Infinity => out.extend_from_slice(b"Infinity"),
            Class::NegInfinity => out.extend_from_slice(b"-Infinity"),
        }
    }

    /// Appends the binary form.
    pub fn send(&self, out: &mut Vec<u8>) {
        let mut header = |ndigits: usize, weight: i32, sign: u16, scale: u32| {
            out.extend_from_slice(&(ndigits as u16).to_be_bytes());
            out.extend_from_slice(&(weight as i16).to_be_bytes());
            out.extend_from_slice(&sign.to_be_bytes());
            out.extend_from_slice(&(scale as u16).to_be_bytes());
        };
        match self.class() {
            Class::NaN => header(0, 0, NAN, 0),
            // PostgreSQL's infinities show this scale on the wire.
            Class::Infinity => header(0, 0, INFINITY, 32),
            Class::NegInfinity => header(0, 0, NEG_INFINITY, 32),
            Class::Small(..) | Class::Big(_) => {
                let d = self.digits().unwrap_or_default();
                header(d.digits.len(), d.weight, if d.negative { NEGATIVE } else { 0 }, d.scale);
                for digit in &d.digits {
                    out.extend_from_slice(&digit.to_be_bytes());
                }
            }
        }
    }

    /// Reads the binary form.
    pub fn receive(data: &[u8]) -> Result<Self> {
        let bad = |what: &str| {
            SqlError::new(
                SqlState::INVALID_BINARY_REPRESENTATION,
                alloc::format!("invalid {what} in external \"numeric\" value"),
            )
        };
        let word = |i: usize| match data.get(2 * i..2 * i + 2) {
            Some(b) => Ok(u16::from_be_bytes([b[0], b[1]])),
            None => Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")),
        };
        let (count, weight, sign, scale) = (word(0)?, word(1)? as i16, word(2)?, word(3)?);
        if !matches!(sign, NAN | INFINITY | NEG_INFINITY | 0 | NEGATIVE) {
            return Err(bad("sign"));
        }
        if u32::from(scale) > MAX_SCALE {
            return Err(bad("scale"));
        }
        let mut digits = Vec::with_capacity(usize::from(count).min(data.len() / 2));
        for i in 0..usize::from(count) {
            let d = word(4 + i)?;
            if d >= 10_000 {
                return Err(bad("digit"));
            }
            digits.push(d);
        }
        if data.len() != 8 + 2 * usize::from(count) {
            return Err(SqlError::new(
                SqlState::INVALID_BINARY_REPRESENTATION,
                "incorrect binary data format",
            ));
        }
        match sign {
            NAN => return Ok(Self::NAN),
            INFINITY => return Ok(Self::INFINITY),
            NEG_INFINITY => return Ok(Self::NEG_INFINITY),
            _ => {}
        }
        let d = Digits { negative: sign == NEGATIVE, weight: weight.into(), scale: scale.into(), digits };
        Self::from_digits(d.stripped().truncated(scale.into()))
    }
}

/// Why a number could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ParseError {
    Syntax,
    Overflow,
}

fn parse_exponent(text: &[u8]) -> Result<i64, ParseError> {
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(ParseError::Syntax);
    }
    let value = digits.iter().fold(0i64, |n, d| (n * 10 + i64::from(d - b'0')).min(i64::from(i32::MAX)));
    if value >= i64::from(i32::MAX / 2) {
        return Err(ParseError::Overflow);
    }
    Ok(if negative { -value } else { value })
}

/// Groups decimal digits (a point among them is skipped), the last of which counts `10^-places`, by four.
fn pack(text: &[u8], places: i64) -> Digits {
    let significant = text.iter().filter(|b| b.is_ascii_digit()).count() as i64;
    // Zeros to append so that the last group ends on a multiple of four decimals.
    let pad = (-places).rem_euclid(4);
    let total = significant + pad;
    let low = -(places + pad) / 4;
    let first = (total + 3) / 4;
    let mut digits = Vec::with_capacity(first as usize);
    let mut group = 0u16;
    let mut filled = (4 - total % 4) % 4;
    let source = text.iter().filter(|b| b.is_ascii_digit()).map(|b| u16::from(b - b'0'));
    for d in source.chain((0..pad).map(|_| 0)) {
        group = group * 10 + d;
        filled += 1;
        if filled == 4 {
            digits.push(group);
            group = 0;
            filled = 0;
        }
    }
    Digits { negative: false, weight: (low + first - 1) as i32, scale: 0, digits }
}

fn write_small(mantissa: i64, scale: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    if scale == 0 {
        out.extend_from_slice(buffer.format(mantissa).as_bytes());
        return;
    }
    let text = buffer.format(mantissa.unsigned_abs()).as_bytes();
    if mantissa < 0 {
        out.push(b'-');
    }
    if text.len() > scale {
        let (whole, decimals) = text.split_at(text.len() - scale);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(decimals);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + scale - text.len(), b'0');
        out.extend_from_slice(text);
    }
}

fn write_big(d: &Digits, out: &mut Vec<u8>) {
    if d.negative {
        out.push(b'-');
    }
    let digit = |power: i32| {
        usize::try_from(d.weight - power).ok().and_then(|i| d.digits.get(i)).copied().unwrap_or(0)
    };
    let four = |n: u16| [n / 1000, n / 100 % 10, n / 10 % 10, n % 10].map(|d| b'0' + d as u8);
    if d.weight < 0 {
        out.push(b'0');
    } else {
        let mut buffer = itoa::Buffer::new();
        out.extend_from_slice(buffer.format(digit(d.weight)).as_bytes());
        for power in (0..d.weight).rev() {
            out.extend_from_slice(&four(digit(power)));
        }
    }
    if d.scale > 0 {
        out.push(b'.');
        let end = out.len() + d.scale as usize;
        let mut power = -1;
        while out.len() < end {
            out.extend_from_slice(&four(digit(power)));
            power -= 1;
        }
        out.truncate(end);
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::with_capacity(24);
        self.write(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

impl core::str::FromStr for Numeric {
    type Err = SqlError;
    fn from_str(s: &str) -> Result<Self> {
        Self::parse(s)
    }
}
