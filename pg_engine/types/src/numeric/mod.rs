//! NUMERIC: exact decimal numbers of up to 131,072 digits before and 16,383 after the point.
//!
//! A number is a mantissa and a display scale. Mantissas that fit 64 bits, which is nearly all of them, are kept
//! inline and worked on with 128-bit integers; longer ones are base-10,000 digits on the heap. The representation is
//! canonical (inline whenever it fits), so equal number and scale means equal bits.

mod arithmetic;
mod digits;
mod math;
mod store;
#[cfg(test)]
mod tests;
mod text;

use alloc::boxed::Box;
use core::{
    cmp::Ordering,
    hash::{Hash, Hasher},
};

use crate::error::{Result, SqlError, SqlState};
pub(crate) use digits::Digits;

/// Most decimals a value can show.
pub const MAX_SCALE: u32 = 16_383;
/// Most digits a declared column can have.
pub const MAX_PRECISION: i32 = 1_000;
/// Highest power of 10,000.
const MAX_WEIGHT: i32 = 32_767;

#[derive(Clone, Debug, PartialEq)]
enum Repr {
    /// `mantissa / 10^scale`.
    Small {
        scale: u16,
        mantissa: i64,
    },
    /// Anything finite whose mantissa does not fit.
    Big(Box<Digits>),
    NegInfinity,
    Infinity,
    NaN,
}

/// An exact decimal with a display scale, or NaN or an infinity. 16 bytes.
///
/// `PartialEq` tells 1.0 from 1.00; [`Numeric::compare`] is SQL's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Numeric(Repr);

impl Default for Numeric {
    fn default() -> Self {
        Self::ZERO
    }
}

/// A number taken apart.
pub(crate) enum Class<'a> {
    Small(i64, u32),
    Big(&'a Digits),
    NegInfinity,
    Infinity,
    NaN,
}

impl Numeric {
    /// 0
    pub const ZERO: Self = Self(Repr::Small { scale: 0, mantissa: 0 });
    /// 1
    pub const ONE: Self = Self(Repr::Small { scale: 0, mantissa: 1 });
    /// NaN: equal to itself, greater than everything else.
    pub const NAN: Self = Self(Repr::NaN);
    /// Infinity
    pub const INFINITY: Self = Self(Repr::Infinity);
    /// -Infinity
    pub const NEG_INFINITY: Self = Self(Repr::NegInfinity);

    /// `mantissa / 10^scale`; `scale` at most [`MAX_SCALE`].
    #[inline]
    pub fn new(mantissa: i128, scale: u32) -> Self {
        debug_assert!(scale <= MAX_SCALE);
        match i64::try_from(mantissa) {
            Ok(mantissa) => Self(Repr::Small { scale: scale as u16, mantissa }),
            Err(_) => {
                Self(Repr::Big(Box::new(Digits::from_u128(mantissa < 0, mantissa.unsigned_abs(), scale))))
            }
        }
    }
    /// `mantissa / 10^scale`.
    #[inline]
    pub(crate) fn inline(mantissa: i64, scale: u8) -> Self {
        Self(Repr::Small { scale: scale.into(), mantissa })
    }
    /// The mantissa and scale when the mantissa fits 64 bits.
    #[inline]
    pub fn small(&self) -> Option<(i64, u32)> {
        match self.0 {
            Repr::Small { scale, mantissa } => Some((mantissa, scale.into())),
            _ => None,
        }
    }
    pub(crate) fn class(&self) -> Class<'_> {
        match &self.0 {
            Repr::Small { scale, mantissa } => Class::Small(*mantissa, u32::from(*scale)),
            Repr::Big(d) => Class::Big(d),
            Repr::NegInfinity => Class::NegInfinity,
            Repr::Infinity => Class::Infinity,
            Repr::NaN => Class::NaN,
        }
    }
    /// Fails when the number is too large to be a NUMERIC.
    pub(crate) fn from_digits(d: Digits) -> Result<Self> {
        if d.weight > MAX_WEIGHT || d.scale > MAX_SCALE {
            return Err(overflow());
        }
        if let Some(m) = d.mantissa() {
            let fits = if d.negative { m <= 1 << 63 } else { m < 1 << 63 };
            if fits && d.min_scale() <= d.scale {
                let mantissa = if d.negative { (m as i64).wrapping_neg() } else { m as i64 };
                return Ok(Self(Repr::Small { scale: d.scale as u16, mantissa }));
            }
        }
        Ok(Self(Repr::Big(Box::new(d))))
    }
    /// The digits of a finite number.
    /// How many digits to the base 10,000 it has, without zeros at either end; `None`: it is not finite.
    pub fn base_10000_digits(&self) -> Option<usize> {
        self.digits().map(|d| d.digits.len())
    }
    pub(crate) fn digits(&self) -> Option<Digits> {
        match &self.0 {
            Repr::Small { scale, mantissa } => {
                Some(Digits::from_u128(*mantissa < 0, mantissa.unsigned_abs().into(), u32::from(*scale)))
            }
            Repr::Big(d) => Some((**d).clone()),
            _ => None,
        }
    }
    /// Number of decimals shown; 0 for NaN and the infinities.
    pub fn scale(&self) -> u32 {
        match self.class() {
            Class::Small(_, s) => s,
            Class::Big(d) => d.scale,
            _ => 0,
        }
    }
    /// Fewest decimals that show the value exactly; `None` for NaN and the infinities.
    pub fn min_scale(&self) -> Option<u32> {
        self.digits().map(|d| d.min_scale())
    }
    /// Without trailing zeros after the point.
    pub fn trim_scale(&self) -> Self {
        match self.min_scale() {
            Some(s) => self.with_display_scale(s),
            None => self.clone(),
        }
    }
    /// The value cut or padded to `scale` decimals (which must lose nothing).
    fn with_display_scale(&self, scale: u32) -> Self {
        self.digits()
            .and_then(|d| Self::from_digits(d.rounded(scale as i32)).ok())
            .unwrap_or_else(|| self.clone())
    }
    /// True for NaN.
    pub fn is_nan(&self) -> bool {
        self.0 == Repr::NaN
    }
    /// True for either infinity.
    pub fn is_infinite(&self) -> bool {
        matches!(self.0, Repr::Infinity | Repr::NegInfinity)
    }
    /// True for neither NaN nor an infinity.
    pub fn is_finite(&self) -> bool {
        matches!(self.0, Repr::Small { .. } | Repr::Big(_))
    }
    /// True for zero of any scale.
    pub fn is_zero(&self) -> bool {
        matches!(self.0, Repr::Small { mantissa: 0, .. })
    }
    /// -1, 0 or 1; NaN counts as positive, as in SQL's order.
    pub fn signum(&self) -> i32 {
        match &self.0 {
            Repr::Small { mantissa, .. } => mantissa.signum() as i32,
            Repr::Big(d) => {
                if d.negative {
                    -1
                } else {
                    1
                }
            }
            Repr::NegInfinity => -1,
            Repr::Infinity | Repr::NaN => 1,
        }
    }
    fn rank(&self) -> u8 {
        match self.0 {
            Repr::NegInfinity => 0,
            Repr::Small { .. } | Repr::Big(_) => 1,
            Repr::Infinity => 2,
            Repr::NaN => 3,
        }
    }
    /// SQL's order: by value whatever the scale; NaN equals itself and is greatest.
    pub fn compare(&self, other: &Self) -> Ordering {
        if let (Some((a, s)), Some((b, t))) = (self.small(), other.small()) {
            if s == t {
                return a.cmp(&b);
            }
            let (a, b) = (i128::from(a), i128::from(b));
            if s.abs_diff(t) <= 18 {
                return if s < t {
                    (a * POW10[(t - s) as usize]).cmp(&b)
                } else {
                    a.cmp(&(b * POW10[(s - t) as usize]))
                };
            }
        }
        match (self.digits(), other.digits()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
    /// Feeds a hasher so that equal values (1.0 and 1.00) hash alike.
    pub fn hash_value<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Repr::Small { scale, mantissa } => {
                let (mut m, mut s) = (*mantissa, *scale);
                if m == 0 {
                    s = 0;
                }
                while s > 0 && m % 10 == 0 {
                    m /= 10;
                    s -= 1;
                }
                (m, s).hash(state);
            }
            // A long mantissa may be a short one with zeros at the end.
            Repr::Big(d) => match self.trim_scale().0 {
                small @ Repr::Small { .. } => Self(small).hash_value(state),
                _ => (d.negative, d.weight, &d.digits).hash(state),
            },
            _ => self.rank().hash(state),
        }
    }
    /// Rounded to the nearest integer, half away from zero; `None` when not finite or too large.
    pub fn to_i128(&self) -> Option<i128> {
        let rounded = match self.class() {
            Class::Small(m, 0) => return Some(m.into()),
            Class::Small(m, s) if s <= 18 => return Some(round_div(m.into(), POW10[s as usize])),
            Class::Small(..) | Class::Big(_) => self.digits()?.rounded(0),
            _ => return None,
        };
        let m = i128::try_from(rounded.mantissa()?).ok()?;
        Some(if rounded.negative { -m } else { m })
    }
    fn to_integer<T: TryFrom<i128>>(&self, type_name: &'static str) -> Result<T> {
        if self.is_nan() {
            return Err(SqlError::unsupported_conversion("NaN", type_name));
        }
        if self.is_infinite() {
            return Err(SqlError::unsupported_conversion("infinity", type_name));
        }
        self.to_i128().and_then(|n| T::try_from(n).ok()).ok_or_else(|| {
            SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, alloc::format!("{type_name} out of range"))
        })
    }
    /// To int8, rounding.
    pub fn to_i64(&self) -> Result<i64> {
        self.to_integer("bigint")
    }
    /// To int4, rounding.
    pub fn to_i32(&self) -> Result<i32> {
        self.to_integer("integer")
    }
    /// To int2, rounding.
    pub fn to_i16(&self) -> Result<i16> {
        self.to_integer("smallint")
    }
    /// Closest double; infinities and NaN map to their own, too large numbers to an infinity.
    pub fn to_f64(&self) -> f64 {
        match self.class() {
            // Both operands are exact, so one division rounds correctly.
            Class::Small(m, s) if s <= 22 && m.unsigned_abs() < 1 << 53 => m as f64 / F64_POW10[s as usize],
            Class::NegInfinity => f64::NEG_INFINITY,
            Class::Infinity => f64::INFINITY,
            Class::NaN => f64::NAN,
            Class::Small(..) | Class::Big(_) => self.digits().map_or(f64::NAN, |d| d.to_f64()),
        }
    }
    /// From a double, keeping 15 significant digits as PostgreSQL does.
    pub fn from_f64(v: f64) -> Self {
        Self::from_float(v, 15)
    }
    /// From a float4, keeping 6 significant digits.
    pub fn from_f32(v: f32) -> Self {
        Self::from_float(v.into(), 6)
    }
    fn from_float(v: f64, digits: usize) -> Self {
        if v.is_nan() {
            return Self::NAN;
        }
        if v.is_infinite() {
            return if v > 0.0 { Self::INFINITY } else { Self::NEG_INFINITY };
        }
        let text = alloc::format!("{v:.*e}", digits - 1);
        Self::parse_finite(trim_exponent_zeros(&text).as_str()).unwrap_or(Self::NAN)
    }
    /// Applies a `numeric(p, s)` modifier: rounds to the scale and checks the precision.
    pub fn apply_typmod(self, typmod: i32) -> Result<Self> {
        let Some((precision, scale)) = typmod_parts(typmod) else { return Ok(self) };
        if self.is_nan() {
            return Ok(self);
        }
        let field = || SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow");
        if self.is_infinite() {
            return Err(field().detail(alloc::format!(
                "A field with precision {precision}, scale {scale} cannot hold an infinite value."
            )));
        }
        let whole = precision - scale;
        if let Some((m, s)) = self.small()
            && s as i32 == scale
            && precision <= 18
            && i128::from(m).abs() < POW10[precision as usize]
        {
            return Ok(self);
        }
        let Some(d) = self.digits() else { return Ok(self) };
        let d = d.rounded(scale);
        let too_large = !d.is_zero() && {
            let first = d.digits.first().copied().unwrap_or(0);
            let width = 1 + [10, 100, 1000].iter().take_while(|p| first >= **p).count() as i32;
            d.weight * digits::WIDTH + width > whole
        };
        if too_large {
            let limit =
                if whole == 0 { alloc::string::String::from("1") } else { alloc::format!("10^{whole}") };
            return Err(field().detail(alloc::format!(
                "A field with precision {precision}, scale {scale} must round to an absolute value less than {limit}."
            )));
        }
        Self::from_digits(d)
    }
}

/// Precision and scale of a `numeric(p, s)` modifier; `None` when there is none.
pub fn typmod_parts(typmod: i32) -> Option<(i32, i32)> {
    if typmod < 4 {
        return None;
    }
    let t = typmod - 4;
    // Eleven bits of scale, sign-extended.
    Some((t >> 16 & 0xffff, ((t & 0x7ff) ^ 1024) - 1024))
}

/// The modifier of `numeric(precision, scale)`; both must be in range (1 to 1000, -1000 to 1000).
pub const fn make_typmod(precision: i32, scale: i32) -> i32 {
    (precision << 16 | scale & 0x7ff) + 4
}

/// Powers of ten that fit 128 bits.
pub(crate) const POW10: [i128; 39] = {
    let mut t = [1; 39];
    let mut i = 1;
    while i < 39 {
        t[i] = t[i - 1] * 10;
        i += 1;
    }
    t
};

const F64_POW10: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// `a / b`, half away from zero; `b` positive.
pub(crate) fn round_div(a: i128, b: i128) -> i128 {
    let (q, r) = (a / b, a % b);
    if r.unsigned_abs() >= (b - r.abs()).unsigned_abs() { q + a.signum() } else { q }
}

fn trim_exponent_zeros(text: &str) -> alloc::string::String {
    match text.split_once('e') {
        Some((m, e)) if m.contains('.') => {
            alloc::format!("{}e{e}", m.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text.into(),
    }
}

#[cold]
pub(crate) fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

impl From<i64> for Numeric {
    fn from(n: i64) -> Self {
        Self(Repr::Small { scale: 0, mantissa: n })
    }
}

impl From<i32> for Numeric {
    fn from(n: i32) -> Self {
        Self::from(i64::from(n))
    }
}

impl From<i16> for Numeric {
    fn from(n: i16) -> Self {
        Self::from(i64::from(n))
    }
}

impl From<i128> for Numeric {
    fn from(n: i128) -> Self {
        Self::new(n, 0)
    }
}
