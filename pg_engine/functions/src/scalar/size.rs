//! Byte counts for people: `pg_size_pretty` and `pg_size_bytes`.

use alloc::{format, string::String};

use pg_types::{Result, SqlError, SqlState, numeric::Numeric};

const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];

/// Each unit is used up to (not including) 10,240 of it, then the next, rounding half away from zero.
fn pretty(size: i128) -> String {
    let mut magnitude = size;
    // Kept doubled once scaled, so that the last step can round.
    if magnitude.abs() < 10 * 1024 {
        return format!("{magnitude} {}", UNITS[0]);
    }
    magnitude >>= 9;
    for (i, unit) in UNITS.iter().enumerate().skip(1) {
        if magnitude.abs() < 20 * 1024 - 1 || i == UNITS.len() - 1 {
            let rounded = if magnitude < 0 { (magnitude - 1) / 2 } else { (magnitude + 1) / 2 };
            return format!("{rounded} {unit}");
        }
        magnitude >>= 10;
    }
    String::new()
}

pub(crate) fn pretty_i64(size: i64) -> String {
    pretty(i128::from(size))
}

pub(crate) fn pretty_numeric(size: &Numeric) -> Result<String> {
    if !size.is_finite() {
        return Ok(format!("{size} PB"));
    }
    if size.abs().compare(&Numeric::from(10 * 1024)).is_lt() {
        return Ok(format!("{size} bytes"));
    }
    let range = || SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range");
    size.trunc(0)?.to_i128().map(pretty).ok_or_else(range)
}

pub(crate) fn bytes(text: &str) -> Result<i64> {
    let invalid = || SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid size: \"{text}\""));
    let t = text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let mut end = 0;
    let b = t.as_bytes();
    let digits = |mut i: usize| {
        while b.get(i).is_some_and(u8::is_ascii_digit) {
            i += 1;
        }
        i
    };
    if matches!(b.first(), Some(b'+' | b'-')) {
        end = 1;
    }
    let start = end;
    end = digits(end);
    let mut any = end > start;
    if b.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        any |= fraction > end + 1;
        end = fraction;
    }
    if !any {
        return Err(invalid());
    }
    if matches!(b.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(b.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    let (number, unit) = t.split_at(end);
    let number = Numeric::parse(number)?;
    let unit = unit.trim();
    let shift = if unit.is_empty() || unit.eq_ignore_ascii_case("b") {
        0
    } else {
        let i = UNITS.iter().position(|u| u.eq_ignore_ascii_case(unit)).ok_or_else(|| {
            invalid()
                .detail(format!("Invalid size unit: \"{unit}\"."))
                .hint("Valid units are \"bytes\", \"B\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".")
        })?;
        10 * i as u32
    };
    number.mul(&Numeric::from(1i64 << shift))?.to_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(pretty_i64(10239), "10239 bytes");
        assert_eq!(pretty_i64(10240), "10 kB");
        assert_eq!(pretty_i64(-10240), "-10 kB");
        assert_eq!(pretty_i64(10485247), "10239 kB");
        assert_eq!(pretty_i64(10485248), "10 MB");
        assert_eq!(bytes(" 1.5 kB").expect("valid"), 1536);
        assert!(bytes("1 zB").is_err());
    }
}
