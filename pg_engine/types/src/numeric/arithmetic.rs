//! The four operations, rounding and integer functions, with PostgreSQL's result scales.

use super::{Class, Digits, MAX_SCALE, Numeric, POW10, Repr, round_div};
use crate::error::{Result, SqlError, SqlState};

/// Significant digits a quotient, root or logarithm is given at least.
pub(super) const MIN_SIG_DIGITS: i32 = 16;
/// Most decimals a function chooses by itself.
pub(super) const MAX_DISPLAY_SCALE: i32 = 1_000;

impl SqlError {
    pub(super) fn unsupported_conversion(what: &str, type_name: &str) -> Self {
        Self::new(SqlState::FEATURE_NOT_SUPPORTED, alloc::format!("cannot convert {what} to {type_name}"))
    }
}

#[cold]
fn division_by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

/// Both operands as digits when both are finite.
fn finite(a: &Numeric, b: &Numeric) -> Option<(Digits, Digits)> {
    Some((a.digits()?, b.digits()?))
}

impl Numeric {
    /// `self + other`
    #[inline]
    pub fn add(&self, other: &Self) -> Result<Self> {
        if let (Some((a, s)), Some((b, t))) = (self.small(), other.small()) {
            if s == t {
                return Ok(Self::new(i128::from(a) + i128::from(b), s));
            }
            if s.abs_diff(t) <= 18 {
                let (a, b) = align(a, s, b, t);
                return Ok(Self::new(a + b, s.max(t)));
            }
        }
        self.add_long(other)
    }
    fn add_long(&self, other: &Self) -> Result<Self> {
        if let Some((a, b)) = finite(self, other) {
            return Self::from_digits(a.add(&b));
        }
        Ok(match (&self.0, &other.0) {
            (Repr::NaN, _) | (_, Repr::NaN) => Self::NAN,
            (Repr::Infinity, Repr::NegInfinity) | (Repr::NegInfinity, Repr::Infinity) => Self::NAN,
            (Repr::Infinity, _) | (_, Repr::Infinity) => Self::INFINITY,
            _ => Self::NEG_INFINITY,
        })
    }
    /// `self - other`
    #[inline]
    pub fn sub(&self, other: &Self) -> Result<Self> {
        if let (Some((a, s)), Some((b, t))) = (self.small(), other.small())
            && s.abs_diff(t) <= 18
        {
            let (a, b) = align(a, s, b, t);
            return Ok(Self::new(a - b, s.max(t)));
        }
        self.add(&other.neg())
    }
    /// `self * other`
    #[inline]
    pub fn mul(&self, other: &Self) -> Result<Self> {
        if let (Some((a, s)), Some((b, t))) = (self.small(), other.small())
            && s + t <= MAX_SCALE
        {
            return Ok(Self::new(i128::from(a) * i128::from(b), s + t));
        }
        self.mul_long(other)
    }
    fn mul_long(&self, other: &Self) -> Result<Self> {
        if let Some((a, b)) = finite(self, other) {
            let product = a.mul(&b);
            let product = if product.scale > MAX_SCALE { product.rounded(MAX_SCALE as i32) } else { product };
            return Self::from_digits(product);
        }
        if self.is_nan() || other.is_nan() {
            return Ok(Self::NAN);
        }
        Ok(Self::signed_infinity(self.signum() * other.signum()))
    }
    /// Infinity times `sign`: NaN for 0.
    fn signed_infinity(sign: i32) -> Self {
        match sign {
            0 => Self::NAN,
            s if s > 0 => Self::INFINITY,
            _ => Self::NEG_INFINITY,
        }
    }
    /// `self / other`; the scale gives at least 16 significant digits and no fewer decimals than either operand.
    pub fn div(&self, other: &Self) -> Result<Self> {
        if let Some(special) = self.div_special(other)? {
            return Ok(special);
        }
        let scale = division_scale(self, other);
        if let (Some((a, s)), Some((b, t))) = (self.small(), other.small()) {
            let shift = scale + t as i32 - s as i32;
            if let Some(p) = usize::try_from(shift).ok().and_then(|i| POW10.get(i))
                && let Some(n) = i128::from(a).checked_mul(*p)
            {
                let q = round_div(n, i128::from(b).abs());
                return Ok(Self::new(if b < 0 { -q } else { q }, scale as u32));
            }
        }
        match finite(self, other) {
            Some((a, b)) => Self::from_digits(a.div_rounded(&b, scale)),
            None => Ok(Self::NAN),
        }
    }
    /// Results of dividing by zero or with NaN or infinities; `None` when both are finite and the divisor not zero.
    fn div_special(&self, other: &Self) -> Result<Option<Self>> {
        if self.is_nan() || other.is_nan() {
            return Ok(Some(Self::NAN));
        }
        if other.is_zero() {
            return Err(division_by_zero());
        }
        if self.is_infinite() {
            let sign = if other.is_infinite() { 0 } else { self.signum() * other.signum() };
            return Ok(Some(Self::signed_infinity(sign)));
        }
        Ok(other.is_infinite().then_some(Self::ZERO))
    }
    /// The quotient truncated to an integer (`div`).
    pub fn div_trunc(&self, other: &Self) -> Result<Self> {
        if let Some(special) = self.div_special(other)? {
            return Ok(special);
        }
        match finite(self, other) {
            Some((a, b)) => Self::from_digits(a.div_truncated(&b, 0)),
            None => Ok(Self::NAN),
        }
    }
    /// The remainder of the truncating division (`mod`, `%`): has the sign of `self`.
    pub fn rem(&self, other: &Self) -> Result<Self> {
        if self.is_nan() || other.is_nan() {
            return Ok(Self::NAN);
        }
        if other.is_zero() {
            return Err(division_by_zero());
        }
        if self.is_infinite() {
            return Ok(Self::NAN);
        }
        if other.is_infinite() {
            return Ok(self.clone());
        }
        if let (Some((a, s)), Some((b, t))) = (self.small(), other.small())
            && s.abs_diff(t) <= 18
        {
            let (a, b) = align(a, s, b, t);
            return Ok(Self::new(a % b, s.max(t)));
        }
        let Some((a, b)) = finite(self, other) else { return Ok(Self::NAN) };
        let scale = a.scale.max(b.scale);
        let q = a.div_truncated(&b, 0);
        Self::from_digits(a.sub(&q.mul(&b)).with_scale(scale))
    }
    /// `-self`
    #[must_use]
    pub fn neg(&self) -> Self {
        match &self.0 {
            Repr::Small { scale, mantissa } => Self::new(-i128::from(*mantissa), u32::from(*scale)),
            Repr::Big(d) => Self::from_digits((**d).clone().negated()).unwrap_or(Self::NAN),
            Repr::NegInfinity => Self::INFINITY,
            Repr::Infinity => Self::NEG_INFINITY,
            Repr::NaN => Self::NAN,
        }
    }
    /// `|self|`
    #[must_use]
    pub fn abs(&self) -> Self {
        if self.signum() < 0 { self.neg() } else { self.clone() }
    }
    /// -1, 0 or 1 as a number; NaN stays NaN.
    #[must_use]
    pub fn sign(&self) -> Self {
        if self.is_nan() { Self::NAN } else { Self::from(self.signum()) }
    }
    /// Rounds half away from zero to `scale` decimals (negative: before the point).
    pub fn round(&self, scale: i32) -> Result<Self> {
        self.cut(scale, true)
    }
    /// Truncates to `scale` decimals (negative: before the point).
    pub fn trunc(&self, scale: i32) -> Result<Self> {
        self.cut(scale, false)
    }
    fn cut(&self, scale: i32, round: bool) -> Result<Self> {
        // One place beyond the longest number already loses everything.
        let scale = scale.clamp(-(super::MAX_WEIGHT + 1) * 4 - 1, MAX_SCALE as i32);
        if let Some((m, s)) = self.small()
            && (0..=s as i32).contains(&scale)
            && s as i32 - scale <= 18
        {
            let p = POW10[(s as i32 - scale) as usize];
            let m = i128::from(m);
            return Ok(Self::new(if round { round_div(m, p) } else { m / p }, scale as u32));
        }
        match self.digits() {
            Some(d) => Self::from_digits(if round { d.rounded(scale) } else { d.truncated(scale) }),
            None => Ok(self.clone()),
        }
    }
    /// Smallest integer not below.
    pub fn ceil(&self) -> Result<Self> {
        self.whole(1)
    }
    /// Largest integer not above.
    pub fn floor(&self) -> Result<Self> {
        self.whole(-1)
    }
    fn whole(&self, direction: i32) -> Result<Self> {
        let cut = self.trunc(0)?;
        if self.is_finite() && self.signum() == direction && self.compare(&cut).is_ne() {
            return cut.add(&Self::from(direction));
        }
        Ok(cut)
    }
    /// Greatest common divisor, with the larger scale of the two.
    pub fn gcd(&self, other: &Self) -> Result<Self> {
        if !self.is_finite() || !other.is_finite() {
            return Ok(Self::NAN);
        }
        let scale = self.scale().max(other.scale());
        let (mut a, mut b) = (self.abs(), other.abs());
        while !b.is_zero() {
            (a, b) = (b.clone(), a.rem(&b)?);
        }
        a.round(scale as i32)
    }
    /// Least common multiple, with the larger scale of the two.
    pub fn lcm(&self, other: &Self) -> Result<Self> {
        if !self.is_finite() || !other.is_finite() {
            return Ok(Self::NAN);
        }
        let scale = self.scale().max(other.scale());
        if self.is_zero() || other.is_zero() {
            return Ok(Self::new(0, scale));
        }
        let factor = self.div_trunc(&self.gcd(other)?)?;
        factor.mul(other)?.abs().round(scale as i32)
    }
    /// `n!`
    pub fn factorial(n: i64) -> Result<Self> {
        if n < 0 {
            return Err(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                "factorial of a negative number is undefined",
            ));
        }
        // 32178! is the first with too many digits.
        if n > 32_177 {
            return Err(super::overflow());
        }
        let mut acc = Digits::from_i64(1);
        for k in 2..=n {
            acc = acc.mul(&Digits::from_i64(k));
        }
        Self::from_digits(acc)
    }
    /// Decimal exponent and leading base-10,000 digit: what PostgreSQL's scale rules look at.
    fn leading(&self) -> (i32, u16) {
        match self.class() {
            Class::Small(0, _) => (0, 0),
            Class::Small(m, s) => {
                let m = m.unsigned_abs();
                let width = m.ilog10() as i32 + 1;
                let weight = (width - s as i32 - 1).div_euclid(4);
                // Decimals below the leading digit.
                let below = s as i32 + weight * 4;
                let first = match usize::try_from(below) {
                    Ok(b) => i128::from(m) / POW10.get(b).copied().unwrap_or(i128::MAX),
                    Err(_) => i128::from(m) * POW10.get(below.unsigned_abs() as usize).copied().unwrap_or(1),
                };
                (weight, first as u16)
            }
            Class::Big(d) => (d.weight, d.digits.first().copied().unwrap_or(0)),
            _ => (0, 0),
        }
    }
}

fn align(a: i64, s: u32, b: i64, t: u32) -> (i128, i128) {
    let (a, b) = (i128::from(a), i128::from(b));
    if s < t { (a * POW10[(t - s) as usize], b) } else { (a, b * POW10[(s - t) as usize]) }
}

/// Scale of a quotient: enough for 16 significant digits, no less than either operand's.
fn division_scale(a: &Numeric, b: &Numeric) -> i32 {
    let ((wa, fa), (wb, fb)) = (a.leading(), b.leading());
    let weight = wa - wb - i32::from(fa <= fb);
    (MIN_SIG_DIGITS - weight * 4).max(a.scale() as i32).max(b.scale() as i32).clamp(0, MAX_DISPLAY_SCALE)
}
