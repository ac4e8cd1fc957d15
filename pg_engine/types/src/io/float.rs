//! float4 and float8.

use alloc::{format, vec::Vec};

use super::{invalid_syntax, is_space};
use crate::error::{Result, SqlError, SqlState};

pub(super) fn parse_f64(text: &str) -> Result<f64> {
    parse(text, "double precision")
}

pub(super) fn parse_f32(text: &str) -> Result<f32> {
    parse(text, "real")
}

trait Float: core::str::FromStr + Copy {
    const NAN: Self;
    const INFINITY: Self;
    fn is_zero(self) -> bool;
    fn is_infinite(self) -> bool;
    fn negate(self) -> Self;
}

macro_rules! float {
    ($t:ty) => {
        impl Float for $t {
            const NAN: Self = <$t>::NAN;
            const INFINITY: Self = <$t>::INFINITY;
            fn is_zero(self) -> bool {
                self == 0.0
            }
            fn is_infinite(self) -> bool {
                self.is_infinite()
            }
            fn negate(self) -> Self {
                -self
            }
        }
    };
}
float!(f32);
float!(f64);

fn parse<T: Float>(text: &str, type_name: &str) -> Result<T> {
    let bad = || invalid_syntax(type_name, text);
    let body = text.trim_matches(is_space);
    let (negative, word) = match body.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, body.strip_prefix('+').unwrap_or(body)),
    };
    let first = word.bytes().next().ok_or_else(bad)?;
    let value = if first.is_ascii_digit() || first == b'.' {
        // Rust's parser takes exactly the decimal syntax that is left here.
        let v: T = word.parse().map_err(|_| bad())?;
        let mantissa = word.split(['e', 'E']).next().unwrap_or_default();
        let vanished = v.is_zero() && mantissa.bytes().any(|b| (b'1'..=b'9').contains(&b));
        if vanished || v.is_infinite() {
            return Err(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("\"{body}\" is out of range for type {type_name}"),
            ));
        }
        v
    } else if word.eq_ignore_ascii_case("nan") {
        T::NAN
    } else if word.eq_ignore_ascii_case("infinity") || word.eq_ignore_ascii_case("inf") {
        T::INFINITY
    } else {
        return Err(bad());
    };
    Ok(if negative { value.negate() } else { value })
}

/// Appends a float8; `extra_digits` as the setting `extra_float_digits`.
pub fn write_f64(v: f64, extra_digits: i32, out: &mut Vec<u8>) {
    if write_special(v.is_nan(), v.is_infinite(), v.is_sign_negative(), out) {
        return;
    }
    if extra_digits > 0 {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(v);
        if v.abs() >= EXACT
            && v.to_bits() & 1 == 0
            && on_boundary::<f64>(text, |x| x.to_bits() == v.to_bits())
        {
            return write_inside(|digits| format!("{v:.digits$e}"), |x: f64| x == v, 15, out);
        }
        write_shortest(text, 15, out);
    } else {
        let digits = (15 + extra_digits).max(1);
        write_layout(&format!("{v:.*e}", digits as usize - 1), digits, out);
    }
}

/// Appends a float4.
pub fn write_f32(v: f32, extra_digits: i32, out: &mut Vec<u8>) {
    if write_special(v.is_nan(), v.is_infinite(), v.is_sign_negative(), out) {
        return;
    }
    if extra_digits > 0 {
        const EXACT: f32 = 16_777_216.0;
        let mut buffer = ryu::Buffer::new();
        let text = buffer.format_finite(v);
        if v.abs() >= EXACT
            && v.to_bits() & 1 == 0
            && on_boundary::<f32>(text, |x| x.to_bits() == v.to_bits())
        {
            return write_inside(|digits| format!("{v:.digits$e}"), |x: f32| x == v, 6, out);
        }
        write_shortest(text, 6, out);
    } else {
        let digits = (6 + extra_digits).max(1);
        write_layout(&format!("{v:.*e}", digits as usize - 1), digits, out);
    }
}

/// True when a number is just half-way between its float and the next: read back, it is that float only because ties
/// go to even mantissas. PostgreSQL does not write such numbers. They exist only among large floats.
fn on_boundary<T: core::str::FromStr>(text: &str, same: impl Fn(T) -> bool) -> bool {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = format!("{whole}{decimals}");
    let exponent = exponent - decimals.len() as i32;
    // A little more, and a little less: the last digit borrows from 20 appended ones.
    let more = format!("{digits}00000000000000000001e{}", exponent - 20);
    let less = match digits.strip_prefix('-').unwrap_or(&digits).parse::<u128>() {
        Ok(n) if n > 0 => {
            let sign = if digits.starts_with('-') { "-" } else { "" };
            format!("{sign}{}99999999999999999999e{}", n - 1, exponent - 20)
        }
        _ => return false,
    };
    [more, less].iter().any(|t| t.parse().is_ok_and(|x| !same(x)))
}

/// Writes the fewest digits that are strictly nearer to the float than to its neighbours.
fn write_inside<T: core::str::FromStr>(
    rounded: impl Fn(usize) -> alloc::string::String,
    same: impl Fn(T) -> bool + Copy,
    limit: i32,
    out: &mut Vec<u8>,
) {
    for digits in 0..17 {
        let text = rounded(digits);
        if text.parse().is_ok_and(same) && !on_boundary(&text, same) {
            return write_layout(&text, limit, out);
        }
    }
    write_layout(&rounded(17), limit, out);
}

fn write_special(nan: bool, infinite: bool, negative: bool, out: &mut Vec<u8>) -> bool {
    if nan {
        out.extend_from_slice(b"NaN");
    } else if infinite {
        out.extend_from_slice(if negative { b"-Infinity" } else { b"Infinity" });
    }
    nan || infinite
}

/// `text` is Ryu's notation of the shortest digits; numbers below `10^limit` are written without an exponent.
fn write_shortest(text: &str, limit: i32, out: &mut Vec<u8>) {
    if let Some(whole) = text.strip_suffix(".0")
        && !text.contains('e')
        && whole.len() < limit as usize
    {
        return out.extend_from_slice(whole.as_bytes());
    }
    write_layout(text, limit, out);
}

/// Lays decimal digits out as C's `%g` does: plain between 0.0001 and `10^limit`, else with an exponent of two digits
/// at least.
fn write_layout(text: &str, limit: i32, out: &mut Vec<u8>) {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = [0u8; 48];
    let mut len = 0;
    let mut first = exponent + whole.len() as i32 - 1;
    for d in whole.bytes().chain(decimals.bytes()) {
        if len == 0 && d == b'0' {
            first -= 1;
        } else if let Some(slot) = digits.get_mut(len) {
            *slot = d;
            len += 1;
        }
    }
    let digits = digits.get(..len).unwrap_or_default();
    let end = digits.iter().rposition(|d| *d != b'0').map_or(0, |i| i + 1);
    let digits = &digits[..end];
    if negative {
        out.push(b'-');
    }
    if digits.is_empty() {
        return out.push(b'0');
    }
    if (-4..limit).contains(&first) {
        write_plain(digits, first, out);
    } else {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.extend_from_slice(if first < 0 { b"e-" } else { b"e+" });
        if first.abs() < 10 {
            out.push(b'0');
        }
        super::write_int(first.abs(), out);
    }
}

/// Digits, the first counting `10^first`, without an exponent.
fn write_plain(digits: &[u8], first: i32, out: &mut Vec<u8>) {
    if first < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-first - 1) as usize, b'0');
        return out.extend_from_slice(digits);
    }
    let whole = first as usize + 1;
    if digits.len() <= whole {
        out.extend_from_slice(digits);
        out.resize(out.len() + whole - digits.len(), b'0');
    } else {
        out.extend_from_slice(&digits[..whole]);
        out.push(b'.');
        out.extend_from_slice(&digits[whole..]);
    }
}
