//! Arithmetic on decimal numbers of any length: base-10,000 digits, most significant first.

use alloc::{vec, vec::Vec};
use core::cmp::Ordering;

/// The base.
pub(crate) const BASE: u32 = 10_000;
/// Decimal digits in one digit.
pub(crate) const WIDTH: i32 = 4;
const POW10: [u16; 4] = [1, 10, 100, 1000];

/// A finite number: the sum of `digits[i] * 10000^(weight - i)`, shown with `scale` decimals.
///
/// Stripped: neither the first nor the last digit is zero; zero has no digits, weight 0 and is not negative.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digits {
    pub negative: bool,
    pub weight: i32,
    pub scale: u32,
    pub digits: Vec<u16>,
}

impl Digits {
    pub fn zero(scale: u32) -> Self {
        Self { scale, ..Self::default() }
    }
    pub fn from_u128(negative: bool, mantissa: u128, scale: u32) -> Self {
        let pad = (4 - scale % 4) % 4;
        // Splitting the lowest digit off first keeps the padded mantissa within 128 bits.
        let low_width = 10u128.pow(4 - pad);
        let mut digits = Vec::with_capacity(10);
        digits.push(((mantissa % low_width) as u16) * POW10[pad as usize]);
        let mut rest = mantissa / low_width;
        while rest > 0 {
            digits.push((rest % BASE as u128) as u16);
            rest /= BASE as u128;
        }
        digits.reverse();
        let weight = digits.len() as i32 - 1 - scale.div_ceil(4) as i32;
        Self { negative, weight, scale, digits }.stripped()
    }
    pub fn from_i64(n: i64) -> Self {
        Self::from_u128(n < 0, n.unsigned_abs().into(), 0)
    }
    pub fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }
    pub fn stripped(mut self) -> Self {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        let leading = self.digits.iter().take_while(|d| **d == 0).count();
        if leading > 0 {
            self.digits.drain(..leading);
            self.weight -= leading as i32;
        }
        if self.digits.is_empty() {
            self.weight = 0;
            self.negative = false;
        }
        self
    }
    pub fn with_scale(mut self, scale: u32) -> Self {
        self.scale = scale;
        self
    }
    pub fn negated(mut self) -> Self {
        self.negative = !self.negative && !self.is_zero();
        self
    }
    pub fn abs(mut self) -> Self {
        self.negative = false;
        self
    }
    /// The digit that counts `10000^power`.
    fn at(&self, power: i32) -> u16 {
        usize::try_from(self.weight - power).ok().and_then(|i| self.digits.get(i)).copied().unwrap_or(0)
    }
    /// The power of the last digit.
    fn low(&self) -> i32 {
        self.weight + 1 - self.digits.len() as i32
    }
    /// The value when `value * 10^scale` fits.
    pub fn mantissa(&self) -> Option<u128> {
        if self.is_zero() {
            return Some(0);
        }
        if (self.weight + 1) * WIDTH + self.scale as i32 > 40 {
            return None;
        }
        let lowest = -(self.scale.div_ceil(4) as i32);
        let drop = (4 - self.scale % 4) % 4;
        let mut m: u128 = 0;
        let mut power = self.weight;
        while power > lowest {
            m = m.checked_mul(BASE.into())?.checked_add(self.at(power).into())?;
            power -= 1;
        }
        let last = self.at(lowest) / POW10[drop as usize];
        m.checked_mul(10u128.pow(4 - drop))?.checked_add(last.into())
    }
    pub fn cmp_abs(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        self.weight.cmp(&other.weight).then_with(|| self.digits.cmp(&other.digits))
    }
    pub fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.cmp_abs(other),
            (true, true) => other.cmp_abs(self),
        }
    }
    fn add_abs(&self, other: &Self) -> Self {
        let high = self.weight.max(other.weight) + 1;
        let low = self.low().min(other.low());
        let mut digits = vec![0u16; (high - low + 1) as usize];
        let mut carry = 0;
        for power in low..=high {
            let sum = u32::from(self.at(power)) + u32::from(other.at(power)) + carry;
            carry = u32::from(sum >= BASE);
            digits[(high - power) as usize] = (sum - carry * BASE) as u16;
        }
        Self { negative: false, weight: high, scale: self.scale.max(other.scale), digits }.stripped()
    }
    /// `|self| - |other|`, which must not be negative.
    fn sub_abs(&self, other: &Self) -> Self {
        let high = self.weight.max(other.weight);
        let low = self.low().min(other.low());
        let mut digits = vec![0u16; (high - low + 1) as usize];
        let mut borrow = 0;
        for power in low..=high {
            let mut d = i32::from(self.at(power)) - i32::from(other.at(power)) - borrow;
            borrow = i32::from(d < 0);
            d += borrow * BASE as i32;
            digits[(high - power) as usize] = d as u16;
        }
        Self { negative: false, weight: high, scale: self.scale.max(other.scale), digits }.stripped()
    }
    pub fn add(&self, other: &Self) -> Self {
        let scale = self.scale.max(other.scale);
        if self.is_zero() {
            return other.clone().with_scale(scale);
        }
        if other.is_zero() {
            return self.clone().with_scale(scale);
        }
        if self.negative == other.negative {
            let sum = self.add_abs(other);
            return if self.negative { sum.negated() } else { sum };
        }
        match self.cmp_abs(other) {
            Ordering::Equal => Self::zero(scale),
            Ordering::Greater if self.negative => self.sub_abs(other).negated(),
            Ordering::Greater => self.sub_abs(other),
            Ordering::Less if other.negative => other.sub_abs(self).negated(),
            Ordering::Less => other.sub_abs(self),
        }
    }
    pub fn sub(&self, other: &Self) -> Self {
        self.add(&other.clone().negated())
    }
    /// The exact product; its scale is the sum of both.
    pub fn mul(&self, other: &Self) -> Self {
        let scale = self.scale + other.scale;
        if self.is_zero() || other.is_zero() {
            return Self::zero(scale);
        }
        let mut acc = vec![0u64; self.digits.len() + other.digits.len()];
        for (i, &a) in self.digits.iter().enumerate() {
            let a = u64::from(a);
            for (slot, &b) in acc[i + 1..].iter_mut().zip(&other.digits) {
                *slot += a * u64::from(b);
            }
        }
        let mut digits = vec![0u16; acc.len()];
        let mut carry = 0;
        for (slot, sum) in digits.iter_mut().zip(&acc).rev() {
            let total = sum + carry;
            *slot = (total % u64::from(BASE)) as u16;
            carry = total / u64::from(BASE);
        }
        let negative = self.negative != other.negative;
        Self { negative, weight: self.weight + other.weight + 1, scale, digits }.stripped()
    }
    /// The product rounded to `scale` decimals.
    pub fn mul_rounded(&self, other: &Self, scale: i32) -> Self {
        self.mul(other).rounded(scale)
    }
    /// The quotient, cut off after at least `scale` decimals and one digit more. `divisor` is not zero.
    fn quotient(&self, divisor: &Self, scale: i32) -> Self {
        let extra = scale.div_euclid(WIDTH) + 2;
        let count = self.weight - divisor.weight + 1 + extra;
        if self.is_zero() || count <= 0 {
            return Self::zero(0);
        }
        let count = count as usize;
        let digits = if let [d] = divisor.digits[..] {
            short_divide(&self.digits, d, count)
        } else {
            long_divide(&self.digits, &divisor.digits, count)
        };
        let negative = self.negative != divisor.negative;
        Self { negative, weight: self.weight - divisor.weight, scale: 0, digits }.stripped()
    }
    /// The quotient rounded to `scale` decimals. `divisor` is not zero.
    pub fn div_rounded(&self, divisor: &Self, scale: i32) -> Self {
        self.quotient(divisor, scale).rounded(scale)
    }
    /// The quotient truncated to `scale` decimals. `divisor` is not zero.
    pub fn div_truncated(&self, divisor: &Self, scale: i32) -> Self {
        self.quotient(divisor, scale).truncated(scale)
    }
    /// Rounds half away from zero; a negative `scale` rounds before the point.
    pub fn rounded(self, scale: i32) -> Self {
        self.cut(scale, true)
    }
    /// Drops decimals beyond `scale`.
    pub fn truncated(self, scale: i32) -> Self {
        self.cut(scale, false)
    }
    fn cut(mut self, scale: i32, round: bool) -> Self {
        self.scale = scale.max(0) as u32;
        let keep = (self.weight + 1) * WIDTH + scale;
        if keep < 0 {
            return Self::zero(self.scale);
        }
        let (whole, part) = ((keep / WIDTH) as usize, (keep % WIDTH) as u32);
        if whole >= self.digits.len() {
            return self;
        }
        let mut carry;
        if part == 0 {
            carry = u16::from(self.digits[whole] >= 5000);
            self.digits.truncate(whole);
        } else {
            let unit = 10u16.pow(4 - part);
            let dropped = self.digits[whole] % unit;
            self.digits[whole] -= dropped;
            self.digits.truncate(whole + 1);
            carry = 0;
            if round && dropped * 2 >= unit {
                self.digits[whole] += unit;
                if u32::from(self.digits[whole]) >= BASE {
                    self.digits[whole] -= BASE as u16;
                    self.digits.truncate(whole);
                    carry = 1;
                }
            }
        }
        if round && carry == 1 {
            self.increment();
        }
        self.stripped()
    }
    /// Adds one unit of the last digit, carrying.
    fn increment(&mut self) {
        for d in self.digits.iter_mut().rev() {
            if u32::from(*d) + 1 < BASE {
                *d += 1;
                return;
            }
            *d = 0;
        }
        self.digits.insert(0, 1);
        self.weight += 1;
    }
    /// True when there are no decimals.
    pub fn is_integer(&self) -> bool {
        self.digits.len() as i32 <= self.weight + 1
    }
    /// Decimals needed to show the value exactly.
    pub fn min_scale(&self) -> u32 {
        let low = self.low();
        if self.is_zero() || low >= 0 {
            return 0;
        }
        let last = self.digits[self.digits.len() - 1];
        let zeros = POW10.iter().skip(1).take_while(|p| last.is_multiple_of(**p)).count() as i32;
        (-low * WIDTH - zeros) as u32
    }
    /// Closest double, or an infinity.
    pub fn to_f64(&self) -> f64 {
        // Decimal to binary is best left to the correctly rounding parser.
        let mut text = alloc::string::String::with_capacity(self.digits.len() * 4 + 8);
        for d in &self.digits {
            use core::fmt::Write as _;
            let _ = write!(text, "{d:04}");
        }
        if text.is_empty() {
            return 0.0;
        }
        let exponent = self.low() * WIDTH;
        {
            use core::fmt::Write as _;
            let _ = write!(text, "e{exponent}");
        }
        let v: f64 = text.parse().unwrap_or(f64::NAN);
        if self.negative { -v } else { v }
    }
    /// `log10` of the absolute value, approximately. Not for zero.
    pub fn log10_approx(&self) -> f64 {
        let mut f = 0.0;
        let mut power = self.weight + 1;
        for &d in self.digits.iter().take(5) {
            f = f * f64::from(BASE) + f64::from(d);
            power -= 1;
        }
        libm::log10(f) + f64::from(power * WIDTH)
    }
}

fn short_divide(dividend: &[u16], divisor: u16, count: usize) -> Vec<u16> {
    let divisor = u32::from(divisor);
    let mut digits = Vec::with_capacity(count);
    let mut rest = 0;
    for i in 0..count {
        let n = rest * BASE + u32::from(dividend.get(i).copied().unwrap_or(0));
        digits.push((n / divisor) as u16);
        rest = n % divisor;
        if rest == 0 && i >= dividend.len() {
            break;
        }
    }
    digits
}

/// Schoolbook division (Knuth's algorithm D) of `dividend`, extended with zeros, to `count` quotient digits; the
/// first counts `10000^(weight difference)`.
fn long_divide(dividend: &[u16], divisor: &[u16], count: usize) -> Vec<u16> {
    let n = divisor.len();
    let factor = BASE / (u32::from(divisor[0]) + 1);
    let scaled = |digits: &mut dyn DoubleEndedIterator<Item = u16>, out: &mut [u32]| {
        let mut carry = 0;
        for (slot, d) in out.iter_mut().rev().zip(digits.rev()) {
            let v = u32::from(d) * factor + carry;
            *slot = v % BASE;
            carry = v / BASE;
        }
        if let Some(first) = out.first_mut() {
            *first += carry;
        }
    };
    let mut v = vec![0u32; n];
    scaled(&mut divisor.iter().copied(), &mut v);
    let len = count + n;
    let mut u = vec![0u32; len];
    {
        let mut padded = vec![0u16; len];
        let take = dividend.len().min(len - 1);
        padded[1..=take].copy_from_slice(&dividend[..take]);
        scaled(&mut padded.into_iter(), &mut u);
    }
    let (v0, v1) = (v[0], v[1]);
    let mut quotient = Vec::with_capacity(count);
    for j in 0..count {
        let window = &mut u[j..=j + n];
        let top = window[0] * BASE + window[1];
        let mut q = top / v0;
        let mut r = top % v0;
        while q >= BASE
            || u64::from(q) * u64::from(v1) > u64::from(r) * u64::from(BASE) + u64::from(window[2.min(n)])
        {
            q -= 1;
            r += v0;
            if r >= BASE {
                break;
            }
        }
        if q > 0 {
            let mut borrow = 0i64;
            for i in (0..n).rev() {
                let t = i64::from(window[i + 1]) - i64::from(q) * i64::from(v[i]) + borrow;
                window[i + 1] = t.rem_euclid(i64::from(BASE)) as u32;
                borrow = t.div_euclid(i64::from(BASE));
            }
            let t = i64::from(window[0]) + borrow;
            window[0] = t.rem_euclid(i64::from(BASE)) as u32;
            if t < 0 {
                q -= 1;
                let mut carry = 0;
                for i in (0..n).rev() {
                    let s = window[i + 1] + v[i] + carry;
                    window[i + 1] = s % BASE;
                    carry = s / BASE;
                }
                window[0] = (window[0] + carry) % BASE;
            }
        }
        quotient.push(q as u16);
    }
    quotient
}
