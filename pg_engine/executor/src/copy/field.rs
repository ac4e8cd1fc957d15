//! Fields of the commonest types go from text into columns without a value in between.

use pg_types::{
    Result, VectorBuilder,
    datetime::{
        self,
        calendar::{days_from_civil, days_in_month},
    },
    format::FormatSettings,
    io, oid,
};

use super::Column;

/// Appends a field to its column.
#[inline]
pub(super) fn store(
    builder: &mut VectorBuilder,
    column: &Column,
    text: &str,
    settings: &FormatSettings,
) -> Result<()> {
    if simple(builder, column, text) {
        return Ok(());
    }
    builder.push(&io::input(column.ty, text, settings)?)
}

/// Appends a field that needs no thought; false: it does.
#[inline]
fn simple(builder: &mut VectorBuilder, column: &Column, text: &str) -> bool {
    let ty = column.ty;
    match ty.oid {
        oid::TEXT => builder.push_text(text),
        oid::VARCHAR => match io::typmod::length(ty.typmod) {
            Some(n) if text.len() > n => return false,
            _ => builder.push_text(text),
        },
        oid::BPCHAR => match io::typmod::length(ty.typmod) {
            Some(n) if text.len() <= n && text.is_ascii() => builder.push_text_padded(text, n),
            _ => return false,
        },
        oid::INT4 => match integer(text).and_then(|n| i32::try_from(n).ok()) {
            Some(n) => builder.push_i32(n),
            None => return false,
        },
        oid::INT8 => match integer(text) {
            Some(n) => builder.push_i64(n),
            None => return false,
        },
        oid::INT2 => match integer(text).and_then(|n| i16::try_from(n).ok()) {
            Some(n) => builder.push_i16(n),
            None => return false,
        },
        oid::FLOAT8 => match decimal(text) {
            Some(x) => builder.push_f64(x),
            None => return false,
        },
        oid::DATE => match text.as_bytes().first_chunk().filter(|_| text.len() == 10).and_then(date) {
            Some(days) => match i32::try_from(days) {
                Ok(days) => builder.push_i32(days),
                Err(_) => return false,
            },
            None => return false,
        },
        oid::TIMESTAMP if ty.typmod < 0 => match timestamp(text.as_bytes()) {
            Some(t) => builder.push_i64(t),
            None => return false,
        },
        _ => return false,
    }
    true
}

/// Up to eighteen digits behind a possible minus.
#[inline]
fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        all => (false, all),
    };
    let n = number(digits, 18)?;
    Some(if negative { -n } else { n })
}

/// At most `most` digits and nothing else.
#[inline]
fn number(digits: &[u8], most: usize) -> Option<i64> {
    if digits.is_empty() || digits.len() > most {
        return None;
    }
    digits.iter().try_fold(0i64, |n, b| {
        let d = b.wrapping_sub(b'0');
        (d < 10).then(|| n * 10 + i64::from(d))
    })
}

/// Numbers like 12.345: up to fifteen digits in all, so that digits and power of ten are exact and one division rounds right.
#[inline]
fn decimal(text: &str) -> Option<f64> {
    const POWERS: [f64; 16] =
        [1., 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (negative, body) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        all => (false, all),
    };
    if body.is_empty() || body.len() > 16 {
        return None;
    }
    let (mut n, mut digits, mut point) = (0i64, 0usize, None);
    for b in body {
        match b.wrapping_sub(b'0') {
            d @ 0..=9 => {
                n = n * 10 + i64::from(d);
                digits += 1;
            }
            _ if *b == b'.' && point.is_none() => point = Some(digits),
            _ => return None,
        }
    }
    if digits == 0 || digits > 15 {
        return None;
    }
    let scale = digits - point.unwrap_or(digits);
    let x = n as f64 / POWERS.get(scale)?;
    Some(if negative { -x } else { x })
}

/// Days of a date like 2024-02-29.
#[inline]
fn date(b: &[u8; 10]) -> Option<i64> {
    if b[4] != b'-' || b[7] != b'-' {
        return None;
    }
    let part = |from: usize, to: usize| b.get(from..to).and_then(|d| number(d, 4)).map(|n| n as i32);
    let (y, m, d) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let valid = y > 0 && (1..=12).contains(&m) && d >= 1 && d <= days_in_month(y, m);
    valid.then(|| days_from_civil(y, m, d))
}

/// Like 2024-02-29 12:34:56 with up to six digits of a second's fraction.
#[inline]
fn timestamp(b: &[u8]) -> Option<i64> {
    let (day, rest) = b.split_first_chunk::<10>()?;
    let (clock, fraction) = rest.split_first_chunk::<9>()?;
    if clock[0] != b' ' || clock[3] != b':' || clock[6] != b':' {
        return None;
    }
    let part = |from: usize| clock.get(from..from + 2).and_then(|d| number(d, 2));
    let (h, m, s) = (part(1)?, part(4)?, part(7)?);
    let micros = match fraction {
        [] => 0,
        [b'.', digits @ ..] => number(digits, 6)? * 10i64.pow(6 - digits.len() as u32),
        _ => return None,
    };
    let valid = h < 24 && m < 60 && s < 60;
    let time = h * datetime::HOUR + m * datetime::MINUTE + s * datetime::SECOND + micros;
    valid.then_some(())?;
    Some(date(day)? * datetime::DAY + time)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use alloc::string::String;
    use pg_types::{SqlType, Value};
    use proptest::prelude::*;

    /// What the column gets is what the type's input function says.
    fn check(ty: SqlType, text: &str) {
        let column = Column { name: String::new(), ty };
        let settings = FormatSettings::default();
        let mut b = VectorBuilder::with_capacity(ty, 1);
        let want = io::input(ty, text, &settings);
        match store(&mut b, &column, text, &settings) {
            Ok(()) => assert_eq!(b.finish().value(0), want.unwrap(), "{text:?}"),
            Err(e) => assert_eq!(e.message(), want.unwrap_err().message()),
        }
    }

    #[test]
    fn borders() {
        for text in
            ["2147483647", "2147483648", "-2147483648", "-", "", "0", "-0", "99999999999999999999", " 1"]
        {
            for ty in [oid::INT2, oid::INT4, oid::INT8] {
                check(ty.into(), text);
            }
        }
        for text in
            ["0.1", "-0.0", "1.", ".5", ".", "-", "1.2.3", "123456789012345", "0.000000000000001", "1e5"]
        {
            check(oid::FLOAT8.into(), text);
        }
        for text in ["2024-02-29", "2023-02-29", "0000-01-01", "2024-13-01", "2024-1-1", "9999-12-31"] {
            check(oid::DATE.into(), text);
            check(oid::TIMESTAMP.into(), text);
        }
        for text in [
            "2024-02-29 23:59:59",
            "2024-02-29 24:00:00",
            "1999-12-31 23:59:60",
            "2024-01-01 00:00:00.1",
            "2024-01-01 00:00:00.1234567",
        ] {
            check(oid::TIMESTAMP.into(), text);
        }
        for text in ["", "ab", "abc", "abcd", "ab  ", "é", "ééé", "éééé"] {
            check(SqlType { oid: oid::BPCHAR, typmod: 3 + 4 }, text);
            check(SqlType { oid: oid::VARCHAR, typmod: 3 + 4 }, text);
            check(oid::VARCHAR.into(), text);
        }
    }

    proptest! {
        #[test]
        fn numbers(n in any::<i64>(), scale in 0u32..18, text in "[0-9.-]{0,17}") {
            let shown = alloc::format!("{n}");
            check(oid::INT8.into(), &shown);
            let value = Value::Float8(n as f64 / 10f64.powi(scale as i32));
            if let Value::Float8(x) = value {
                check(oid::FLOAT8.into(), &alloc::format!("{x}"));
            }
            check(oid::FLOAT8.into(), &text);
            check(oid::INT4.into(), &text);
        }

        #[test]
        fn times(text in "[12][0-9]{3}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,6})?") {
            check(oid::TIMESTAMP.into(), &text);
        }
    }
}
