//! Roots, exponentials, logarithms and powers, to PostgreSQL's result scales.
//!
//! Everything is computed with guard digits beyond the result scale and rounded once.

use super::{
    Digits, Numeric,
    arithmetic::{MAX_DISPLAY_SCALE, MIN_SIG_DIGITS},
    digits::WIDTH,
    overflow,
};
use crate::error::{Result, SqlError, SqlState};

/// Extra decimals of intermediate results.
const GUARD: i32 = 12;
const LN_10: f64 = core::f64::consts::LN_10;
const LOG10_E: f64 = core::f64::consts::LOG10_E;
/// exp() refuses arguments of this size and more.
const MAX_EXP_ARGUMENT: f64 = 6_000.0;

fn scale_for(weight: i32, at_least: i32) -> i32 {
    (MIN_SIG_DIGITS - weight).max(at_least).clamp(0, MAX_DISPLAY_SCALE)
}

fn one() -> Digits {
    Digits::from_i64(1)
}

#[cold]
fn power_error(message: &'static str) -> SqlError {
    SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message)
}

#[cold]
fn log_error(message: &'static str) -> SqlError {
    SqlError::new(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, message)
}

impl Numeric {
    /// Square root.
    pub fn sqrt(&self) -> Result<Self> {
        if self.signum() < 0 {
            return Err(power_error("cannot take square root of a negative number"));
        }
        let Some(d) = self.digits() else { return Ok(self.clone()) };
        // Decimal weight of the root, rounded the way PostgreSQL does.
        let weight = (d.weight + 1) * WIDTH / 2 - 1;
        self.sqrt_to(scale_for(weight, d.scale as i32))
    }
    /// Square root of what is not negative, rounded once, to so many decimals.
    pub fn sqrt_to(&self, scale: i32) -> Result<Self> {
        let Some(d) = self.digits() else { return Ok(self.clone()) };
        let root = sqrt(&d, scale + GUARD).rounded(scale);
        Self::from_digits(nearest_root(root, &d, scale))
    }
    /// e to the power of `self`.
    pub fn exp(&self) -> Result<Self> {
        let Some(d) = self.digits() else {
            return Ok(if self.signum() < 0 { Self::ZERO } else { self.clone() });
        };
        let weight = (d.to_f64() * LOG10_E).clamp(-2_000.0, 2_000.0) as i32;
        let scale = scale_for(weight, d.scale as i32);
        Self::from_digits(exp(&d, scale)?)
    }
    /// Natural logarithm.
    pub fn ln(&self) -> Result<Self> {
        self.check_logarithm()?;
        let Some(d) = self.digits() else { return Ok(self.clone()) };
        let scale = scale_for(ln_weight(&d), d.scale as i32);
        Self::from_digits(ln(&d, scale + GUARD).rounded(scale))
    }
    /// Logarithm to base 10.
    pub fn log10(&self) -> Result<Self> {
        Self::from(10).log(self)
    }
    /// Logarithm of `number` to base `self`.
    pub fn log(&self, number: &Self) -> Result<Self> {
        if self.is_nan() || number.is_nan() {
            return Ok(Self::NAN);
        }
        let infinite = self.is_infinite() || number.is_infinite();
        if infinite && (self.signum() < 0 || number.signum() < 0) {
            return Err(log_error("cannot take logarithm of a negative number"));
        }
        self.check_logarithm()?;
        number.check_logarithm()?;
        let (Some(base), Some(num)) = (self.digits(), number.digits()) else {
            return Ok(match (self.is_infinite(), number.is_infinite()) {
                (true, true) => Self::NAN,
                (true, false) => Self::ZERO,
                _ => Self::INFINITY,
            });
        };
        let (base_weight, num_weight) = (ln_weight(&base), ln_weight(&num));
        let weight = num_weight - base_weight;
        let scale = scale_for(weight, base.scale.max(num.scale) as i32);
        let precision = scale + weight + GUARD;
        let divisor = ln(&base, precision - base_weight);
        if divisor.is_zero() {
            return Err(SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
        }
        Self::from_digits(ln(&num, precision - num_weight).div_rounded(&divisor, scale))
    }
    fn check_logarithm(&self) -> Result<()> {
        if self.is_zero() {
            return Err(log_error("cannot take logarithm of zero"));
        }
        if self.signum() < 0 {
            return Err(log_error("cannot take logarithm of a negative number"));
        }
        Ok(())
    }
    /// `self` to the power of `exponent`.
    pub fn pow(&self, exponent: &Self) -> Result<Self> {
        if self.is_nan() || exponent.is_nan() {
            // Anything to the power of 0 is 1, and 1 to any power is.
            let one = exponent.is_zero() || self.is_finite() && self.compare(&Self::ONE).is_eq();
            return Ok(if one { Self::ONE } else { Self::NAN });
        }
        if self.is_zero() && exponent.signum() < 0 {
            return Err(power_error("zero raised to a negative power is undefined"));
        }
        if self.signum() < 0 && exponent.digits().is_some_and(|e| !e.is_integer()) {
            return Err(power_error(
                "a negative number raised to a non-integer power yields a complex result",
            ));
        }
        let (Some(base), Some(exp)) = (self.digits(), exponent.digits()) else {
            return Ok(self.pow_infinite(exponent));
        };
        Self::from_digits(power(&base, &exp)?)
    }
    fn pow_infinite(&self, exponent: &Self) -> Self {
        if exponent.is_zero() {
            return Self::ONE;
        }
        if exponent.is_infinite() {
            return match self.abs().compare(&Self::ONE) {
                core::cmp::Ordering::Equal => Self::ONE,
                above => {
                    if above.is_gt() == (exponent.signum() > 0) {
                        Self::INFINITY
                    } else {
                        Self::ZERO
                    }
                }
            };
        }
        if exponent.signum() < 0 {
            return Self::ZERO;
        }
        let odd = exponent.rem(&Self::from(2)).is_ok_and(|r| !r.is_zero());
        if self.signum() < 0 && odd { Self::NEG_INFINITY } else { Self::INFINITY }
    }
}

/// Square root to about `scale` decimals (Newton's iteration from a double).
fn sqrt(v: &Digits, scale: i32) -> Digits {
    if v.is_zero() {
        return Digits::zero(0);
    }
    let half = v.weight.div_euclid(2);
    let mut lead = 0.0;
    for i in 0..5 {
        lead = lead * 10_000.0 + f64::from(v.digits.get(i).copied().unwrap_or(0));
    }
    // lead counts 10000^(weight - 4); bring it to an even power.
    let lead = if v.weight.rem_euclid(2) == 1 { lead * 10_000.0 } else { lead };
    let root = libm::sqrt(lead) / 1e8;
    let mut x = Digits::from_u128(false, (root * 1e15) as u128, 15);
    x.weight += half;
    let two = Digits::from_i64(2);
    // Half of the digits are right after each step: the precision may grow as they do.
    let wanted = half * WIDTH + scale + 4;
    let mut good = 14;
    loop {
        good = (good * 2).min(wanted.max(14) + 8);
        let step = (good - half * WIDTH).min(scale) + 2;
        x = x.add(&v.div_rounded(&x, step)).div_rounded(&two, step);
        if good >= wanted {
            return x;
        }
    }
}

/// Moves a root that is off by a unit of its last decimal at most to the nearest one: guard digits alone cannot tell
/// which side of a tie a root lies on.
fn nearest_root(root: Digits, v: &Digits, scale: i32) -> Digits {
    let half = Digits::from_u128(false, 5, (scale + 1) as u32);
    let unit = Digits::from_u128(false, 1, scale as u32);
    let square = |x: &Digits| x.mul(x);
    let low = root.sub(&half);
    if !low.negative && square(&low).cmp(v).is_gt() {
        return root.sub(&unit);
    }
    if square(&root.add(&half)).cmp(v).is_le() {
        return root.add(&unit);
    }
    root
}

/// e to the power of `x`, rounded to `scale` decimals.
fn exp(x: &Digits, scale: i32) -> Result<Digits> {
    let approx = x.to_f64();
    if approx.abs() >= MAX_EXP_ARGUMENT {
        return if approx > 0.0 { Err(overflow()) } else { Ok(Digits::zero(scale.max(0) as u32)) };
    }
    let weight = (approx * LOG10_E) as i32;
    let mut halvings = 0;
    let mut size = approx.abs();
    while size > 0.01 {
        size /= 2.0;
        halvings += 1;
    }
    let work = scale + weight.max(0) + halvings * 3 / 10 + GUARD;
    let x = x.div_rounded(&Digits::from_i64(1 << halvings), work);
    let mut term = x.clone();
    let mut sum = one().add(&x);
    let mut k = 2;
    while !term.is_zero() {
        term = term.mul_rounded(&x, work).div_rounded(&Digits::from_i64(k), work);
        sum = sum.add(&term);
        k += 1;
    }
    for _ in 0..halvings {
        sum = sum.mul_rounded(&sum, work);
    }
    Ok(sum.rounded(scale))
}

/// Natural logarithm to about `scale` decimals; `x` positive.
fn ln(x: &Digits, scale: i32) -> Digits {
    let scale = scale.max(0);
    let work = scale + GUARD;
    let lower = Digits::from_u128(false, 9, 1);
    let upper = Digits::from_u128(false, 11, 1);
    let inverted = x.cmp_abs(&lower).is_le();
    let mut y = if inverted { one().div_rounded(x, work) } else { x.clone() };
    let mut factor = 2i64;
    while y.cmp_abs(&upper).is_ge() {
        y = sqrt(&y, work + 4).rounded(work + 4);
        factor *= 2;
    }
    // ln y = 2 artanh((y - 1) / (y + 1))
    let z = y.sub(&one()).div_rounded(&y.add(&one()), work + 4);
    let square = z.mul_rounded(&z, work + 4);
    let mut power = z.clone();
    let mut sum = z;
    let mut k = 3;
    while !power.is_zero() {
        power = power.mul_rounded(&square, work + 4);
        sum = sum.add(&power.div_rounded(&Digits::from_i64(k), work + 4));
        k += 2;
    }
    let result = sum.mul(&Digits::from_i64(factor)).rounded(scale);
    if inverted { result.negated() } else { result }
}

/// Estimate of the decimal weight of `ln(x)`, exactly as coarse as PostgreSQL's, since result scales follow from it.
fn ln_weight(x: &Digits) -> i32 {
    if x.negative || x.is_zero() {
        return 0;
    }
    let lower = Digits::from_u128(false, 9, 1);
    let upper = Digits::from_u128(false, 11, 1);
    if x.cmp_abs(&lower).is_ge() && x.cmp_abs(&upper).is_le() {
        let d = x.sub(&one());
        return match d.digits.first() {
            Some(&first) => d.weight * WIDTH + libm::log10(f64::from(first)) as i32,
            None => 0,
        };
    }
    let mut digits = f64::from(x.digits[0]);
    let mut weight = x.weight * WIDTH;
    if let Some(&second) = x.digits.get(1) {
        digits = digits * 10_000.0 + f64::from(second);
        weight -= WIDTH;
    }
    let approx = libm::log(digits) + f64::from(weight) * LN_10;
    if approx == 0.0 { 0 } else { libm::log10(approx.abs()) as i32 }
}

fn power(base: &Digits, exp: &Digits) -> Result<Digits> {
    let scales = base.scale.max(exp.scale) as i32;
    if exp.is_integer()
        && let Some(e) = exp.mantissa_of_integer()
        && let Ok(e) = i32::try_from(if exp.negative { -e } else { e })
    {
        return integer_power(base, e);
    }
    if base.is_zero() {
        return Ok(Digits::zero(MIN_SIG_DIGITS as u32));
    }
    let odd = base.negative && exp.is_integer() && exp.digit_at_zero() % 2 == 1;
    let base = base.clone().abs();
    let log_weight = ln_weight(&base);
    let rough = ln(&base, (8 - log_weight).max(0)).mul(exp);
    let approx = rough.to_f64();
    if approx.abs() > 6_020.0 {
        return if approx > 0.0 { Err(overflow()) } else { Ok(Digits::zero(MAX_DISPLAY_SCALE as u32)) };
    }
    let weight = (approx * LOG10_E) as i32;
    let scale = scale_for(weight, scales);
    let sig = (scale + weight).max(0);
    let exp_digits = (exp.weight + 1) * WIDTH;
    let log = ln(&base, (sig - log_weight + GUARD + exp_digits.max(0)).max(0));
    let product = log.mul_rounded(exp, sig + GUARD);
    let result = self::exp(&product, scale)?;
    Ok(if odd { result.negated() } else { result })
}

fn integer_power(base: &Digits, exponent: i32) -> Result<Digits> {
    let scale = (base.scale as i32).clamp(MIN_SIG_DIGITS, MAX_DISPLAY_SCALE);
    match exponent {
        0 => return Ok(one().with_scale(scale as u32)),
        1 => return Ok(base.clone().rounded(scale)),
        -1 => return Ok(one().div_rounded(base, scale)),
        2 => return Ok(base.mul_rounded(base, scale)),
        _ => {}
    }
    if base.is_zero() {
        return Ok(Digits::zero(scale as u32));
    }
    let log = base.log10_approx() * f64::from(exponent);
    if log > f64::from(super::MAX_WEIGHT + 1) * f64::from(WIDTH) {
        return Err(overflow());
    }
    if log + 1.0 < -f64::from(scale) {
        return Ok(Digits::zero(scale as u32));
    }
    // Significant digits of the result, with room for the error that each multiplication adds.
    let sig = 1 + scale + log as i32;
    let sig = (sig + libm::log(f64::from(exponent.unsigned_abs())) as i32 + 8).max(1) + GUARD;
    let keep = |v: Digits| {
        let decimals = sig - (v.weight + 1) * WIDTH + WIDTH;
        if (v.min_scale() as i32) > decimals { v.rounded(decimals) } else { v }
    };
    let mut mask = exponent.unsigned_abs();
    let mut square = base.clone();
    let mut result = if mask & 1 == 1 { base.clone() } else { one() };
    while mask > 1 {
        mask >>= 1;
        square = keep(square.mul(&square));
        if square.weight > super::MAX_WEIGHT || result.weight > super::MAX_WEIGHT {
            return if exponent > 0 { Err(overflow()) } else { Ok(Digits::zero(scale as u32)) };
        }
        if mask & 1 == 1 {
            result = keep(result.mul(&square));
        }
    }
    Ok(if exponent < 0 { one().div_rounded(&result, scale) } else { result.rounded(scale) })
}

impl Digits {
    /// The absolute value when it is a modest integer.
    fn mantissa_of_integer(&self) -> Option<i64> {
        let whole = self.clone().rounded(0);
        whole.mantissa().and_then(|m| i64::try_from(m).ok())
    }
    /// The ones digit group.
    fn digit_at_zero(&self) -> u16 {
        usize::try_from(self.weight).ok().and_then(|i| self.digits.get(i)).copied().unwrap_or(0)
    }
}
