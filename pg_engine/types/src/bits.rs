//! Bit strings: `bit(n)` and `bit varying(n)`.

use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::cmp::Ordering;

use crate::error::{Result, SqlError, SqlState};

/// Most bits.
pub const MAX_BITS: usize = 83_886_080 * 8;

/// Bits, the first in a byte's highest place. Bits of the last byte beyond the length are zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    len: usize,
    bytes: Vec<u8>,
}

#[cold]
fn invalid_digit(c: char, what: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("\"{c}\" is not a valid {what} digit"))
}

impl Bits {
    /// So many zeros.
    pub fn zeros(len: usize) -> Self {
        Self { len, bytes: alloc::vec![0; len.div_ceil(8)] }
    }
    /// The first `len` bits of these bytes; `None` when there are fewer.
    pub fn from_bytes(len: usize, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..len.div_ceil(8))?.to_vec();
        let mut bits = Self { len, bytes };
        bits.clear_rest();
        Some(bits)
    }
    fn clear_rest(&mut self) {
        let used = self.len % 8;
        if let (1.., Some(last)) = (used, self.bytes.last_mut()) {
            *last &= 0xff << (8 - used);
        }
    }
    /// Number of bits.
    pub fn len(&self) -> usize {
        self.len
    }
    /// True without bits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// Bit `i`; false behind the end.
    pub fn get(&self, i: usize) -> bool {
        i < self.len && self.bytes.get(i / 8).is_some_and(|b| b >> (7 - i % 8) & 1 != 0)
    }
    /// Sets bit `i`; nothing happens behind the end.
    pub fn set(&mut self, i: usize, value: bool) {
        let mask = 0x80 >> (i % 8);
        if let Some(b) = self.bytes.get_mut(i / 8).filter(|_| i < self.len) {
            *b = if value { *b | mask } else { *b & !mask };
        }
    }
    /// From one bit on, `len` of them; those behind the end are zero.
    #[must_use]
    pub fn slice(&self, from: usize, len: usize) -> Self {
        let mut out = Self::zeros(len);
        if from.is_multiple_of(8) {
            let there = self.bytes.get(from / 8..).unwrap_or_default();
            let n = there.len().min(out.bytes.len());
            if let (Some(to), Some(source)) = (out.bytes.get_mut(..n), there.get(..n)) {
                to.copy_from_slice(source);
            }
            out.clear_rest();
            return out;
        }
        for i in 0..len.min(self.len.saturating_sub(from)) {
            out.set(i, self.get(from + i));
        }
        out
    }
    /// These bits, then those.
    #[must_use]
    pub fn concat(&self, other: &Self) -> Self {
        let mut out = self.slice(0, self.len + other.len);
        for i in 0..other.len {
            out.set(self.len + i, other.get(i));
        }
        out
    }
    /// Bit by bit.
    #[must_use]
    pub fn map(&self, other: &Self, f: impl Fn(u8, u8) -> u8) -> Self {
        let bytes = self.bytes.iter().zip(&other.bytes).map(|(a, b)| f(*a, *b)).collect();
        let mut out = Self { len: self.len.min(other.len), bytes };
        out.clear_rest();
        out
    }
    /// Every bit turned.
    #[must_use]
    pub fn not(&self) -> Self {
        self.map(self, |a, _| !a)
    }
    /// Moved towards the front by `n`, which may be negative; zeros come in.
    #[must_use]
    pub fn shift(&self, n: i64) -> Self {
        let by = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
        if by >= self.len {
            return Self::zeros(self.len);
        }
        if n >= 0 { self.slice(by, self.len) } else { Self::zeros(by).concat(&self.slice(0, self.len - by)) }
    }
    /// Number of ones.
    pub fn count_ones(&self) -> i64 {
        self.bytes.iter().map(|b| i64::from(b.count_ones())).sum()
    }
    /// Reads `0101`, `B0101` or `X5`.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = text.as_bytes();
        match bytes.first() {
            Some(b'x' | b'X') => hexadecimal(text.get(1..).unwrap_or_default()),
            Some(b'b' | b'B') => binary(text.get(1..).unwrap_or_default()),
            _ => binary(text),
        }
    }
    /// Appends zeros and ones.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend((0..self.len).map(|i| b'0' + u8::from(self.get(i))));
    }
    /// For `bit(n)`: exactly n bits. A cast that is written out cuts or pads; otherwise another length is an error.
    pub fn fix(self, n: i32, explicit: bool) -> Result<Self> {
        match usize::try_from(n) {
            Ok(n) if n > 0 && n != self.len => {
                if explicit {
                    // Longer ones cannot be declared; a cast called by name can ask for them, and no client could read them.
                    return Ok(self.slice(0, checked_len(n)?));
                }
                Err(SqlError::new(
                    SqlState(*b"22026"),
                    format!("bit string length {} does not match type bit({n})", self.len),
                ))
            }
            _ => Ok(self),
        }
    }
    /// For `bit varying(n)`: at most n bits.
    pub fn limit(self, n: i32, explicit: bool) -> Result<Self> {
        match usize::try_from(n) {
            Ok(n) if n > 0 && n < self.len => {
                if explicit {
                    return Ok(self.slice(0, n));
                }
                Err(SqlError::new(
                    SqlState::STRING_DATA_RIGHT_TRUNCATION,
                    format!("bit string too long for type bit varying({n})"),
                ))
            }
            _ => Ok(self),
        }
    }
}

fn checked_len(len: usize) -> Result<usize> {
    if len > MAX_BITS {
        return Err(SqlError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!("bit string length exceeds the maximum allowed ({MAX_BITS})"),
        ));
    }
    Ok(len)
}

fn binary(digits: &str) -> Result<Bits> {
    let mut bits = Bits::zeros(checked_len(digits.len())?);
    for (i, c) in digits.chars().enumerate() {
        match c {
            '0' => {}
            '1' => bits.set(i, true),
            other => return Err(invalid_digit(other, "binary")),
        }
    }
    Ok(bits)
}

fn hexadecimal(digits: &str) -> Result<Bits> {
    let mut bits = Bits::zeros(checked_len(digits.len() * 4)?);
    for (i, c) in digits.chars().enumerate() {
        let value = c.to_digit(16).ok_or_else(|| invalid_digit(c, "hexadecimal"))?;
        for k in 0..4 {
            bits.set(4 * i + k, value >> (3 - k) & 1 != 0);
        }
    }
    Ok(bits)
}

impl Ord for Bits {
    fn cmp(&self, other: &Self) -> Ordering {
        let n = self.bytes.len().min(other.bytes.len());
        let (a, b) = (self.bytes.get(..n), other.bytes.get(..n));
        a.cmp(&b).then_with(|| self.len.cmp(&other.len))
    }
}

impl PartialOrd for Bits {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<Bits> for crate::Value {
    fn from(bits: Bits) -> Self {
        Self::Bits(Box::new(bits))
    }
}

/// Zeros and ones as text.
pub fn text(bits: &Bits) -> String {
    (0..bits.len()).map(|i| if bits.get(i) { '1' } else { '0' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(t: &str) -> Bits {
        Bits::parse(t).unwrap()
    }

    #[test]
    fn strings_of_bits() {
        assert_eq!(text(&bits("Xa5")), "10100101");
        assert_eq!(text(&bits("b101").concat(&bits("01"))), "10101");
        assert_eq!(text(&bits("10110").shift(2)), "11000");
        assert_eq!(text(&bits("10110").shift(-2)), "00101");
        assert_eq!(text(&bits("1011001110").slice(3, 9)), "100111000");
        assert_eq!(text(&bits("101").not()), "010");
        assert_eq!(bits("1011").count_ones(), 3);
        assert!(bits("10") < bits("100") && bits("10") < bits("11") && bits("") < bits("0"));
        assert!(Bits::parse("12").is_err() && Bits::parse("xg").is_err());
        assert!(bits("101").fix(4, false).is_err());
        assert_eq!(text(&bits("101").fix(4, true).unwrap()), "1010");
    }
}
