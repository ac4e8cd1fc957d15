//! Interval arithmetic.

use pg_types::{Result, value::Interval};

use crate::errors::{division_by_zero, interval_range};

const DAY: f64 = 86_400_000_000.0;

/// `a + b`
pub(crate) fn add(a: Interval, b: Interval) -> Result<Interval> {
    let sum = || {
        Some(Interval {
            months: a.months.checked_add(b.months)?,
            days: a.days.checked_add(b.days)?,
            micros: a.micros.checked_add(b.micros)?,
        })
    };
    sum().ok_or_else(interval_range)
}

/// `-a`
pub(crate) fn negate(a: Interval) -> Result<Interval> {
    let negated = || {
        Some(Interval {
            months: a.months.checked_neg()?,
            days: a.days.checked_neg()?,
            micros: a.micros.checked_neg()?,
        })
    };
    negated().ok_or_else(interval_range)
}

/// `a - b`
pub(crate) fn subtract(a: Interval, b: Interval) -> Result<Interval> {
    let difference = || {
        Some(Interval {
            months: a.months.checked_sub(b.months)?,
            days: a.days.checked_sub(b.days)?,
            micros: a.micros.checked_sub(b.micros)?,
        })
    };
    difference().ok_or_else(interval_range)
}

fn whole(x: f64) -> Result<i32> {
    // Also false for NaN.
    if (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&x) {
        Ok(x as i32)
    } else {
        Err(interval_range())
    }
}

/// Rounded to microseconds, in units of seconds.
fn to_micros(seconds: f64) -> f64 {
    libm::rint(seconds * 1e6) / 1e6
}

/// The interval whose months and days are `months` and `days` (with fractions, which cascade into days and time at 30
/// days a month) and whose time is `micros`.
fn cascade(months: f64, days: f64, micros: f64) -> Result<Interval> {
    let mut result = Interval { months: whole(months)?, days: whole(days)?, micros: 0 };
    let month_days = (months - f64::from(result.months)) * 30.0;
    // As to_micros, but the unit is a day.
    let month_days = to_micros(month_days);
    let mut seconds =
        to_micros((days - f64::from(result.days) + month_days - libm::trunc(month_days)) * 86_400.0);
    if seconds.abs() >= 86_400.0 {
        let carry = libm::trunc(seconds / 86_400.0);
        result.days = result.days.checked_add(whole(carry)?).ok_or_else(interval_range)?;
        seconds -= carry * 86_400.0;
    }
    result.days = result.days.checked_add(whole(libm::trunc(month_days))?).ok_or_else(interval_range)?;
    let total = libm::rint(micros + seconds * 1e6);
    if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&total) {
        return Err(interval_range());
    }
    result.micros = total as i64;
    Ok(result)
}

/// `a * factor`
pub(crate) fn multiply(a: Interval, factor: f64) -> Result<Interval> {
    cascade(f64::from(a.months) * factor, f64::from(a.days) * factor, a.micros as f64 * factor)
}

/// `a / divisor`
pub(crate) fn divide(a: Interval, divisor: f64) -> Result<Interval> {
    if divisor == 0.0 {
        return Err(division_by_zero());
    }
    cascade(f64::from(a.months) / divisor, f64::from(a.days) / divisor, a.micros as f64 / divisor)
}

/// Whole days in an interval's time, and what is left.
pub(crate) fn split_days(micros: i64) -> (i64, i64) {
    let day = DAY as i64;
    (micros / day, micros % day)
}
