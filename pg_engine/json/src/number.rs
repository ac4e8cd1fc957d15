//! Numbers as canonical decimal text: an optional minus, digits without leading zeros, and the fraction as written.

use alloc::{borrow::Cow, string::String};
use core::cmp::Ordering;

use crate::error::JsonError;

/// Most digits before the point.
const MAX_WHOLE: usize = 131_072;
/// Most digits behind it.
const MAX_SCALE: usize = 16_383;

/// A JSON number's canonical form: without exponent, no minus on zero.
pub fn canonical(text: &str) -> Result<Cow<'_, str>, JsonError> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        None => (text, 0),
        Some((m, e)) => (m, e.parse::<i64>().map_err(|_| JsonError::Overflow)?),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() > MAX_WHOLE || fraction.len() > MAX_SCALE {
        return Err(JsonError::Overflow);
    }
    let zero = digits.bytes().all(|b| matches!(b, b'0' | b'.'));
    if exponent == 0 && !text.contains(['e', 'E']) {
        return Ok(Cow::Borrowed(if zero && negative { digits } else { text }));
    }
    // Where the point goes among all digits, which may lie beyond either end.
    let point = whole.len() as i64 + exponent;
    let scale = (fraction.len() as i64 - exponent).max(0);
    let leading = digits.bytes().filter(|b| *b != b'.').take_while(|b| *b == b'0').count() as i64;
    if scale > MAX_SCALE as i64 || (!zero && point - leading > MAX_WHOLE as i64) {
        return Err(JsonError::Overflow);
    }
    let mut out = String::new();
    if negative && !zero {
        out.push('-');
    }
    let digit = |i: i64| -> char {
        let all = whole.len() + fraction.len();
        match usize::try_from(i) {
            Ok(i) if i < whole.len() => whole.as_bytes().get(i).map_or('0', |b| *b as char),
            Ok(i) if i < all => fraction.as_bytes().get(i - whole.len()).map_or('0', |b| *b as char),
            _ => '0',
        }
    };
    if zero || point <= leading {
        out.push('0');
    } else {
        out.extend((leading..point).map(digit));
    }
    if scale > 0 {
        out.push('.');
        out.extend((point..point + scale).map(digit));
    }
    Ok(Cow::Owned(out))
}

/// Sign, digits before the point without leading zeros, digits behind it without trailing ones.
fn parts(text: &str) -> (bool, &str, &str) {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    (negative, whole.trim_start_matches('0'), fraction.trim_end_matches('0'))
}

/// Order of two canonical numbers.
pub fn compare(a: &str, b: &str) -> Ordering {
    let ((n, w, f), (m, v, g)) = (parts(a), parts(b));
    match (n, m) {
        (false, true) => return Ordering::Greater,
        (true, false) => return Ordering::Less,
        _ => {}
    }
    let magnitude = w.len().cmp(&v.len()).then_with(|| w.cmp(v)).then_with(|| f.cmp(g));
    if n { magnitude.reverse() } else { magnitude }
}

/// The same for all canonical texts of one number.
pub fn reduced(text: &str) -> (bool, &str, &str) {
    parts(text)
}

/// Bytes of a number in PostgreSQL's form: a header, then two for each four decimal digits.
pub(crate) fn postgres_size(text: &str) -> usize {
    let (_, whole, fraction) = parts(text);
    let scale = text.split_once('.').map_or(0, |(_, f)| f.len());
    let (before, behind) = (whole.len().div_ceil(4), fraction.len().div_ceil(4));
    // Groups of four zeros at either end are not kept.
    let trailing = if behind > 0 {
        0
    } else {
        let digits = whole.trim_end_matches('0').len();
        (whole.len() - digits) / 4
    };
    let leading = if before > 0 { 0 } else { fraction.bytes().take_while(|b| *b == b'0').count() / 4 };
    let header = if scale <= 63 && before <= 64 { 6 } else { 8 };
    header + 2 * (before + behind).saturating_sub(trailing + leading)
}

/// True for canonical text.
pub fn is_canonical(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let mut pieces = digits.splitn(2, |b| *b == b'.');
    let whole = pieces.next().unwrap_or_default();
    let valid = |d: &[u8]| !d.is_empty() && d.iter().all(u8::is_ascii_digit);
    let signed_zero = digits.len() < text.len() && digits.iter().all(|b| matches!(b, b'0' | b'.'));
    valid(whole)
        && (whole.len() == 1 || whole.first() != Some(&b'0'))
        && pieces.next().is_none_or(valid)
        && !signed_zero
}
