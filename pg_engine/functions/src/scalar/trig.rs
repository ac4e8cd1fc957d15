//! Trigonometry in radians and in degrees. The degree forms are exact at the multiples of 30 and 45.

use pg_types::Result;

use super::float::checked;
use crate::errors::{float_overflow, input_range};

fn finite(a: f64) -> Result<f64> {
    if a.is_infinite() { Err(input_range()) } else { Ok(a) }
}

fn unit(a: f64) -> Result<f64> {
    if (-1.0..=1.0).contains(&a) || a.is_nan() { Ok(a) } else { Err(input_range()) }
}

macro_rules! plain {
    ($($name:ident($check:ident);)*) => {$(
        pub(crate) fn $name(a: f64) -> Result<f64> {
            Ok(libm::$name($check(a)?))
        }
    )*};
}

fn any(a: f64) -> Result<f64> {
    Ok(a)
}

plain! {
    sin(finite);
    cos(finite);
    tan(finite);
    asin(unit);
    acos(unit);
    atan(any);
    tanh(any);
    asinh(any);
}

pub(crate) fn cot(a: f64) -> Result<f64> {
    Ok(1.0 / libm::tan(finite(a)?))
}

pub(crate) fn atan2(a: f64, b: f64) -> Result<f64> {
    if a.is_nan() || b.is_nan() { Ok(f64::NAN) } else { Ok(libm::atan2(a, b)) }
}

pub(crate) fn sinh(a: f64) -> Result<f64> {
    Ok(libm::sinh(a))
}

pub(crate) fn cosh(a: f64) -> Result<f64> {
    checked(libm::cosh(a), true, false)
}

pub(crate) fn acosh(a: f64) -> Result<f64> {
    if a < 1.0 { Err(input_range()) } else { Ok(libm::acosh(a)) }
}

pub(crate) fn atanh(a: f64) -> Result<f64> {
    if a == 1.0 {
        return Ok(f64::INFINITY);
    }
    if a == -1.0 {
        return Ok(f64::NEG_INFINITY);
    }
    Ok(libm::atanh(unit(a)?))
}

const DEGREE: f64 = core::f64::consts::PI / 180.0;

/// Sine for 0..=30, scaled so that 30 gives exactly one half.
fn sin_to_30(x: f64) -> f64 {
    (libm::sin(x * DEGREE) / libm::sin(30.0 * DEGREE)) / 2.0
}

/// Cosine for 0..=60, scaled so that 60 gives exactly one half.
fn cos_to_60(x: f64) -> f64 {
    1.0 - (1.0 - libm::cos(x * DEGREE)) / (1.0 - libm::cos(60.0 * DEGREE)) / 2.0
}

fn sin_quadrant(x: f64) -> f64 {
    if x <= 30.0 { sin_to_30(x) } else { cos_to_60(90.0 - x) }
}

fn cos_quadrant(x: f64) -> f64 {
    if x <= 60.0 { cos_to_60(x) } else { sin_to_30(90.0 - x) }
}

pub(crate) fn sind(a: f64) -> Result<f64> {
    let mut x = libm::fmod(finite(a)?, 360.0);
    if x.is_nan() {
        return Ok(x);
    }
    let mut sign = 1.0;
    if x < 0.0 {
        (x, sign) = (-x, -sign);
    }
    if x > 180.0 {
        (x, sign) = (360.0 - x, -sign);
    }
    if x > 90.0 {
        x = 180.0 - x;
    }
    Ok(sign * sin_quadrant(x))
}

pub(crate) fn cosd(a: f64) -> Result<f64> {
    let mut x = libm::fmod(finite(a)?, 360.0).abs();
    if x.is_nan() {
        return Ok(x);
    }
    let mut sign = 1.0;
    if x > 180.0 {
        x = 360.0 - x;
    }
    if x > 90.0 {
        (x, sign) = (180.0 - x, -1.0);
    }
    Ok(sign * cos_quadrant(x))
}

/// The reduced angle in 0..=90 and the sign of the tangent.
fn tan_reduce(a: f64) -> Result<(f64, f64)> {
    let mut x = libm::fmod(finite(a)?, 360.0);
    let mut sign = 1.0;
    if x < 0.0 {
        (x, sign) = (-x, -sign);
    }
    if x > 180.0 {
        (x, sign) = (360.0 - x, -sign);
    }
    if x > 90.0 {
        (x, sign) = (180.0 - x, -sign);
    }
    Ok((x, sign))
}

pub(crate) fn tand(a: f64) -> Result<f64> {
    let (x, sign) = tan_reduce(a)?;
    let tan45 = sin_quadrant(45.0) / cos_quadrant(45.0);
    let r = sign * ((sin_quadrant(x) / cos_quadrant(x)) / tan45);
    Ok(if r == 0.0 { 0.0 } else { r })
}

pub(crate) fn cotd(a: f64) -> Result<f64> {
    let (x, sign) = tan_reduce(a)?;
    let cot45 = cos_quadrant(45.0) / sin_quadrant(45.0);
    let r = sign * ((cos_quadrant(x) / sin_quadrant(x)) / cot45);
    Ok(if r == 0.0 { 0.0 } else { r })
}

fn asin_quadrant(x: f64) -> f64 {
    if x <= 0.5 {
        libm::asin(x) / libm::asin(0.5) * 30.0
    } else {
        90.0 - libm::acos(x) / libm::acos(0.5) * 60.0
    }
}

fn acos_quadrant(x: f64) -> f64 {
    if x <= 0.5 {
        90.0 - libm::asin(x) / libm::asin(0.5) * 30.0
    } else {
        libm::acos(x) / libm::acos(0.5) * 60.0
    }
}

pub(crate) fn asind(a: f64) -> Result<f64> {
    let a = unit(a)?;
    Ok(if a >= 0.0 { asin_quadrant(a) } else { -asin_quadrant(-a) })
}

pub(crate) fn acosd(a: f64) -> Result<f64> {
    let a = unit(a)?;
    Ok(if a >= 0.0 { acos_quadrant(a) } else { 90.0 + asin_quadrant(-a) })
}

pub(crate) fn atand(a: f64) -> Result<f64> {
    Ok(libm::atan(a) / libm::atan(1.0) * 45.0)
}

pub(crate) fn atan2d(a: f64, b: f64) -> Result<f64> {
    let r = atan2(a, b)? / libm::atan(1.0) * 45.0;
    if r.is_infinite() { Err(float_overflow()) } else { Ok(r) }
}
