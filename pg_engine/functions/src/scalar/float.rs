//! float4 and float8: arithmetic that notices overflow and underflow, conversions, mathematics.

use pg_types::{Result, SqlError, SqlState, oid::*};

use super::trig;
use crate::{
    call::row,
    def::{EvalContext, Function},
    errors::{division_by_zero, float_overflow, float_underflow, int2_range, int4_range, int8_range},
    kernel::{try1, try2, vec1},
    table::def,
};

/// IEEE arithmetic whose flag says that a finite operation left the finite range.
trait Arithmetic: Sized + Copy {
    fn add(a: Self, b: Self) -> (Self, bool);
    fn sub(a: Self, b: Self) -> (Self, bool);
    fn mul(a: Self, b: Self) -> (Self, bool);
    fn div(a: Self, b: Self) -> (Self, bool);
    fn add_error(a: Self, b: Self) -> SqlError;
    fn sub_error(a: Self, b: Self) -> SqlError;
    fn mul_error(a: Self, b: Self) -> SqlError;
    fn div_error(b: Self) -> SqlError;
}

macro_rules! arithmetic {
    ($($t:ty)*) => {$(
        impl Arithmetic for $t {
            #[inline]
            fn add(a: Self, b: Self) -> (Self, bool) {
                let r = a + b;
                (r, r.is_infinite() & !a.is_infinite() & !b.is_infinite())
            }
            #[inline]
            fn sub(a: Self, b: Self) -> (Self, bool) {
                let r = a - b;
                (r, r.is_infinite() & !a.is_infinite() & !b.is_infinite())
            }
            #[inline]
            fn mul(a: Self, b: Self) -> (Self, bool) {
                let r = a * b;
                let over = r.is_infinite() & !a.is_infinite() & !b.is_infinite();
                (r, over | ((r == 0.0) & (a != 0.0) & (b != 0.0)))
            }
            #[inline]
            fn div(a: Self, b: Self) -> (Self, bool) {
                let r = a / b;
                let zero = (b == 0.0) & !a.is_nan();
                let over = r.is_infinite() & !a.is_infinite();
                (r, zero | over | ((r == 0.0) & (a != 0.0) & !b.is_infinite()))
            }
            fn add_error(_: Self, _: Self) -> SqlError {
                float_overflow()
            }
            fn sub_error(_: Self, _: Self) -> SqlError {
                float_overflow()
            }
            fn mul_error(a: Self, b: Self) -> SqlError {
                if a * b == 0.0 { float_underflow() } else { float_overflow() }
            }
            fn div_error(b: Self) -> SqlError {
                // Of a finite division that failed with a divisor above 1 only underflow is possible.
                if b == 0.0 {
                    division_by_zero()
                } else if b.abs() > 1.0 {
                    float_underflow()
                } else {
                    float_overflow()
                }
            }
        }
    )*};
}
arithmetic!(f32 f64);

/// float8 to float4.
pub(crate) fn narrow(a: f64) -> Result<f32> {
    let r = a as f32;
    if r.is_infinite() && !a.is_infinite() {
        return Err(float_overflow());
    }
    if r == 0.0 && a != 0.0 {
        return Err(float_underflow());
    }
    Ok(r)
}

macro_rules! to_int {
    ($($name:ident $t:ty, $limit:expr;)*) => {$(
        /// Rounded half to even; the flag says that it does not fit.
        #[inline]
        pub(crate) fn $name(a: f64) -> ($t, bool) {
            let r = libm::rint(a);
            (r as $t, !(-$limit..$limit).contains(&r))
        }
    )*};
}
to_int! {
    to_i16 i16, 32_768.0;
    to_i32 i32, 2_147_483_648.0;
    to_i64 i64, 9_223_372_036_854_775_808.0;
}

/// A computed result, unless it overflowed to infinity or underflowed to zero without the operands being so.
pub(crate) fn checked(r: f64, may_be_infinite: bool, may_be_zero: bool) -> Result<f64> {
    if r.is_infinite() && !may_be_infinite {
        return Err(float_overflow());
    }
    if r == 0.0 && !may_be_zero {
        return Err(float_underflow());
    }
    Ok(r)
}

fn sqrt(a: f64) -> Result<f64> {
    if a < 0.0 {
        return Err(SqlError::new(
            SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
            "cannot take square root of a negative number",
        ));
    }
    Ok(libm::sqrt(a))
}

fn cbrt(a: f64) -> Result<f64> {
    Ok(libm::cbrt(a))
}

fn exp(a: f64) -> Result<f64> {
    if a.is_nan() || a.is_infinite() {
        return Ok(if a == f64::NEG_INFINITY { 0.0 } else { a });
    }
    checked(libm::exp(a), false, false)
}

fn log_domain(a: f64) -> Result<()> {
    if a == 0.0 {
        return Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_LOGARITHM, "cannot take logarithm of zero"));
    }
    if a < 0.0 {
        return Err(SqlError::new(
            SqlState::INVALID_ARGUMENT_FOR_LOGARITHM,
            "cannot take logarithm of a negative number",
        ));
    }
    Ok(())
}

fn ln(a: f64) -> Result<f64> {
    log_domain(a)?;
    Ok(libm::log(a))
}

fn log10(a: f64) -> Result<f64> {
    log_domain(a)?;
    Ok(libm::log10(a))
}

pub(crate) fn power(a: f64, b: f64) -> Result<f64> {
    let domain = |message| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    if a.is_nan() || b.is_nan() {
        return Ok(if b == 0.0 || a == 1.0 { 1.0 } else { f64::NAN });
    }
    if a == 0.0 && b < 0.0 {
        return domain("zero raised to a negative power is undefined");
    }
    if a < 0.0 && libm::floor(b) != b {
        return domain("a negative number raised to a non-integer power yields a complex result");
    }
    let r = libm::pow(a, b);
    if a.is_infinite() || b.is_infinite() {
        return Ok(r);
    }
    checked(r, false, a == 0.0)
}

fn width_bucket(x: f64, low: f64, high: f64, count: i32) -> Result<i32> {
    let fault = |message| Err(SqlError::new(SqlState(*b"2201G"), message));
    if count <= 0 {
        return fault("count must be greater than zero");
    }
    if x.is_nan() || low.is_nan() || high.is_nan() {
        return fault("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return fault("lower and upper bounds must be finite");
    }
    if low == high {
        return fault("lower bound cannot equal upper bound");
    }
    // Mirrored when the bounds descend.
    let (x, low, high) = if low < high { (x, low, high) } else { (-x, -low, -high) };
    if x < low {
        return Ok(0);
    }
    if x >= high {
        return count.checked_add(1).ok_or_else(int4_range);
    }
    // Halved so that the width of the range cannot overflow.
    let fraction = (x / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
    Ok((libm::floor(fraction * f64::from(count)) as i32).min(count - 1) + 1)
}

/// A float in 0 ≤ x < 1 with 53 random bits, unless the session has its own seeded generator.
fn random(ctx: &EvalContext<'_>) -> f64 {
    let mut bytes = [0; 8];
    ctx.host.random(&mut bytes);
    (u64::from_le_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(204, "float4pl", &[FLOAT4, FLOAT4], FLOAT4).imp(try2!(|a: f32, b: f32| -> f32, FLOAT4, f32::add_error; f32::add(a, b))),
    def(205, "float4mi", &[FLOAT4, FLOAT4], FLOAT4).imp(try2!(|a: f32, b: f32| -> f32, FLOAT4, f32::sub_error; f32::sub(a, b))),
    def(202, "float4mul", &[FLOAT4, FLOAT4], FLOAT4).imp(try2!(|a: f32, b: f32| -> f32, FLOAT4, f32::mul_error; f32::mul(a, b))),
    def(203, "float4div", &[FLOAT4, FLOAT4], FLOAT4).imp(try2!(|a: f32, b: f32| -> f32, FLOAT4, |_, b| f32::div_error(b); f32::div(a, b))),
    def(218, "float8pl", &[FLOAT8, FLOAT8], FLOAT8).imp(try2!(|a: f64, b: f64| -> f64, FLOAT8, f64::add_error; f64::add(a, b))),
    def(219, "float8mi", &[FLOAT8, FLOAT8], FLOAT8).imp(try2!(|a: f64, b: f64| -> f64, FLOAT8, f64::sub_error; f64::sub(a, b))),
    def(216, "float8mul", &[FLOAT8, FLOAT8], FLOAT8).imp(try2!(|a: f64, b: f64| -> f64, FLOAT8, f64::mul_error; f64::mul(a, b))),
    def(217, "float8div", &[FLOAT8, FLOAT8], FLOAT8).imp(try2!(|a: f64, b: f64| -> f64, FLOAT8, |_, b| f64::div_error(b); f64::div(a, b))),
    def(281, "float48pl", &[FLOAT4, FLOAT8], FLOAT8).imp(try2!(|a: f32, b: f64| -> f64, FLOAT8, |a, b| f64::add_error(f64::from(a), b); f64::add(f64::from(a), b))),
    def(282, "float48mi", &[FLOAT4, FLOAT8], FLOAT8).imp(try2!(|a: f32, b: f64| -> f64, FLOAT8, |a, b| f64::sub_error(f64::from(a), b); f64::sub(f64::from(a), b))),
    def(279, "float48mul", &[FLOAT4, FLOAT8], FLOAT8).imp(try2!(|a: f32, b: f64| -> f64, FLOAT8, |a, b| f64::mul_error(f64::from(a), b); f64::mul(f64::from(a), b))),
    def(280, "float48div", &[FLOAT4, FLOAT8], FLOAT8).imp(try2!(|a: f32, b: f64| -> f64, FLOAT8, |_, b| f64::div_error(b); f64::div(f64::from(a), b))),
    def(285, "float84pl", &[FLOAT8, FLOAT4], FLOAT8).imp(try2!(|a: f64, b: f32| -> f64, FLOAT8, |a, b| f64::add_error(a, f64::from(b)); f64::add(a, f64::from(b)))),
    def(286, "float84mi", &[FLOAT8, FLOAT4], FLOAT8).imp(try2!(|a: f64, b: f32| -> f64, FLOAT8, |a, b| f64::sub_error(a, f64::from(b)); f64::sub(a, f64::from(b)))),
    def(283, "float84mul", &[FLOAT8, FLOAT4], FLOAT8).imp(try2!(|a: f64, b: f32| -> f64, FLOAT8, |a, b| f64::mul_error(a, f64::from(b)); f64::mul(a, f64::from(b)))),
    def(284, "float84div", &[FLOAT8, FLOAT4], FLOAT8).imp(try2!(|a: f64, b: f32| -> f64, FLOAT8, |_, b| f64::div_error(f64::from(b)); f64::div(a, f64::from(b)))),
    def(206, "float4um", &[FLOAT4], FLOAT4).imp(vec1!(|a: f32| -> f32, FLOAT4; -a)),
    def(1913, "float4up", &[FLOAT4], FLOAT4).imp(vec1!(|a: f32| -> f32, FLOAT4; a)),
    def(207, "float4abs", &[FLOAT4], FLOAT4).imp(vec1!(|a: f32| -> f32, FLOAT4; a.abs())),
    def(1394, "abs", &[FLOAT4], FLOAT4).imp(vec1!(|a: f32| -> f32, FLOAT4; a.abs())),
    def(220, "float8um", &[FLOAT8], FLOAT8).imp(vec1!(|a: f64| -> f64, FLOAT8; -a)),
    def(1914, "float8up", &[FLOAT8], FLOAT8).imp(vec1!(|a: f64| -> f64, FLOAT8; a)),
    def(221, "float8abs", &[FLOAT8], FLOAT8).imp(vec1!(|a: f64| -> f64, FLOAT8; a.abs())),
    def(1395, "abs", &[FLOAT8], FLOAT8).imp(vec1!(|a: f64| -> f64, FLOAT8; a.abs())),
    def(311, "float8", &[FLOAT4], FLOAT8).imp(vec1!(|a: f32| -> f64, FLOAT8; f64::from(a))),
    def(312, "float4", &[FLOAT8], FLOAT4).imp(row!(|a: f64| narrow(a)?)),
    def(235, "float8", &[INT2], FLOAT8).imp(vec1!(|a: i16| -> f64, FLOAT8; a as f64)),
    def(236, "float4", &[INT2], FLOAT4).imp(vec1!(|a: i16| -> f32, FLOAT4; a as f32)),
    def(238, "int2", &[FLOAT4], INT2).imp(try1!(|a: f32| -> i16, INT2, int2_range; to_i16(f64::from(a)))),
    def(237, "int2", &[FLOAT8], INT2).imp(try1!(|a: f64| -> i16, INT2, int2_range; to_i16(a))),
    def(316, "float8", &[INT4], FLOAT8).imp(vec1!(|a: i32| -> f64, FLOAT8; a as f64)),
    def(318, "float4", &[INT4], FLOAT4).imp(vec1!(|a: i32| -> f32, FLOAT4; a as f32)),
    def(319, "int4", &[FLOAT4], INT4).imp(try1!(|a: f32| -> i32, INT4, int4_range; to_i32(f64::from(a)))),
    def(317, "int4", &[FLOAT8], INT4).imp(try1!(|a: f64| -> i32, INT4, int4_range; to_i32(a))),
    def(482, "float8", &[INT8], FLOAT8).imp(vec1!(|a: i64| -> f64, FLOAT8; a as f64)),
    def(652, "float4", &[INT8], FLOAT4).imp(vec1!(|a: i64| -> f32, FLOAT4; a as f32)),
    def(653, "int8", &[FLOAT4], INT8).imp(try1!(|a: f32| -> i64, INT8, int8_range; to_i64(f64::from(a)))),
    def(483, "int8", &[FLOAT8], INT8).imp(try1!(|a: f64| -> i64, INT8, int8_range; to_i64(a))),
    def(2308, "ceil", &[FLOAT8], FLOAT8).imp(vec1!(|a: f64| -> f64, FLOAT8; libm::ceil(a))),
    def(2320, "ceiling", &[FLOAT8], FLOAT8).imp(vec1!(|a: f64| -> f64, FLOAT8; libm::ceil(a))),
    def(2309, "floor", &[FLOAT8], FLOAT8).imp(vec1!(|a: f64| -> f64, FLOAT8; libm::floor(a))),
    def(228, "dround", &[FLOAT8], FLOAT8).imp(vec1!(|a: f64| -> f64, FLOAT8; libm::rint(a))),
    def(1342, "round", &[FLOAT8], FLOAT8).imp(vec1!(|a: f64| -> f64, FLOAT8; libm::rint(a))),
    def(229, "dtrunc", &[FLOAT8], FLOAT8).imp(vec1!(|a: f64| -> f64, FLOAT8; libm::trunc(a))),
    def(1343, "trunc", &[FLOAT8], FLOAT8).imp(vec1!(|a: f64| -> f64, FLOAT8; libm::trunc(a))),
    def(2310, "sign", &[FLOAT8], FLOAT8).imp(row!(|a: f64| if a > 0.0 { 1.0 } else if a < 0.0 { -1.0 } else { 0.0 })),
    def(1344, "sqrt", &[FLOAT8], FLOAT8).imp(row!(|a: f64| sqrt(a)?)),
    def(230, "dsqrt", &[FLOAT8], FLOAT8).imp(row!(|a: f64| sqrt(a)?)),
    def(1345, "cbrt", &[FLOAT8], FLOAT8).imp(row!(|a: f64| cbrt(a)?)),
    def(231, "dcbrt", &[FLOAT8], FLOAT8).imp(row!(|a: f64| cbrt(a)?)),
    def(1347, "exp", &[FLOAT8], FLOAT8).imp(row!(|a: f64| exp(a)?)),
    def(233, "dexp", &[FLOAT8], FLOAT8).imp(row!(|a: f64| exp(a)?)),
    def(1341, "ln", &[FLOAT8], FLOAT8).imp(row!(|a: f64| ln(a)?)),
    def(234, "dlog1", &[FLOAT8], FLOAT8).imp(row!(|a: f64| ln(a)?)),
    def(1340, "log", &[FLOAT8], FLOAT8).imp(row!(|a: f64| log10(a)?)),
    def(1194, "log10", &[FLOAT8], FLOAT8).imp(row!(|a: f64| log10(a)?)),
    def(1339, "dlog10", &[FLOAT8], FLOAT8).imp(row!(|a: f64| log10(a)?)),
    def(1368, "power", &[FLOAT8, FLOAT8], FLOAT8).imp(row!(|a: f64, b: f64| power(a, b)?)),
    def(1346, "pow", &[FLOAT8, FLOAT8], FLOAT8).imp(row!(|a: f64, b: f64| power(a, b)?)),
    def(232, "dpow", &[FLOAT8, FLOAT8], FLOAT8).imp(row!(|a: f64, b: f64| power(a, b)?)),
    def(1604, "sin", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::sin(a)?)),
    def(1605, "cos", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::cos(a)?)),
    def(1606, "tan", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::tan(a)?)),
    def(1607, "cot", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::cot(a)?)),
    def(1600, "asin", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::asin(a)?)),
    def(1601, "acos", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::acos(a)?)),
    def(1602, "atan", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::atan(a)?)),
    def(2462, "sinh", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::sinh(a)?)),
    def(2463, "cosh", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::cosh(a)?)),
    def(2464, "tanh", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::tanh(a)?)),
    def(2465, "asinh", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::asinh(a)?)),
    def(2466, "acosh", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::acosh(a)?)),
    def(2467, "atanh", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::atanh(a)?)),
    def(2735, "sind", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::sind(a)?)),
    def(2736, "cosd", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::cosd(a)?)),
    def(2737, "tand", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::tand(a)?)),
    def(2738, "cotd", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::cotd(a)?)),
    def(2731, "asind", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::asind(a)?)),
    def(2732, "acosd", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::acosd(a)?)),
    def(2733, "atand", &[FLOAT8], FLOAT8).imp(row!(|a: f64| trig::atand(a)?)),
    def(1603, "atan2", &[FLOAT8, FLOAT8], FLOAT8).imp(row!(|a: f64, b: f64| trig::atan2(a, b)?)),
    def(2734, "atan2d", &[FLOAT8, FLOAT8], FLOAT8).imp(row!(|a: f64, b: f64| trig::atan2d(a, b)?)),
    def(1608, "degrees", &[FLOAT8], FLOAT8).imp(row!(|a: f64| checked(a / (core::f64::consts::PI / 180.0), a.is_infinite(), a == 0.0)?)),
    def(1609, "radians", &[FLOAT8], FLOAT8).imp(row!(|a: f64| checked(a * (core::f64::consts::PI / 180.0), a.is_infinite(), a == 0.0)?)),
    def(1610, "pi", &[], FLOAT8).imp(row!(|| core::f64::consts::PI)),
    def(320, "width_bucket", &[FLOAT8, FLOAT8, FLOAT8, INT4], INT4).imp(row!(|x: f64, low: f64, high: f64, n: i32| width_bucket(x, low, high, n)?)),
    def(1598, "random", &[], FLOAT8).volatile().imp(row!(ctx; || random(ctx))),
    def(1599, "setseed", &[FLOAT8], VOID).volatile().imp(crate::def::Implementation::Host),
];
