//! numeric.

use pg_types::{Result, SqlError, SqlState, numeric::Numeric, oid::*};

use super::size;
use crate::{
    call::row,
    def::Function,
    errors::{float_overflow, float_underflow, int4_range},
    kernel::numeric2,
    table::def,
};

fn to_f64(a: &Numeric) -> Result<f64> {
    let r = a.to_f64();
    if r.is_infinite() && a.is_finite() { Err(out_of_double(a)) } else { Ok(r) }
}

#[cold]
fn out_of_double(a: &Numeric) -> SqlError {
    SqlError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        alloc::format!("\"{a}\" is out of range for type double precision"),
    )
}

fn to_f32(a: &Numeric) -> Result<f32> {
    let wide = a.to_f64();
    let r = wide as f32;
    if r.is_infinite() && a.is_finite() {
        return Err(float_overflow());
    }
    if r == 0.0 && !a.is_zero() {
        return Err(float_underflow());
    }
    Ok(r)
}

fn width_bucket(x: &Numeric, low: &Numeric, high: &Numeric, count: i32) -> Result<i32> {
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
    let order = low.compare(high);
    if order.is_eq() {
        return fault("lower bound cannot equal upper bound");
    }
    let ascending = order.is_lt();
    let (from_low, from_high) = (x.compare(low), x.compare(high));
    if if ascending { from_low.is_lt() } else { from_low.is_gt() } {
        return Ok(0);
    }
    if if ascending { from_high.is_ge() } else { from_high.is_le() } {
        return count.checked_add(1).ok_or_else(int4_range);
    }
    // Rounded as any quotient: very close to a border it may be the next bucket's, as in PostgreSQL.
    let quotient = x.sub(low)?.mul(&Numeric::from(count))?.div(&high.sub(low)?)?;
    quotient.floor()?.add(&Numeric::ONE)?.to_i32()
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(1718, "numeric_eq", &[NUMERIC, NUMERIC], BOOL).imp(numeric2!(predicate; |a, b| a.compare(b).is_eq())),
    def(1719, "numeric_ne", &[NUMERIC, NUMERIC], BOOL).imp(numeric2!(predicate; |a, b| a.compare(b).is_ne())),
    def(1722, "numeric_lt", &[NUMERIC, NUMERIC], BOOL).imp(numeric2!(predicate; |a, b| a.compare(b).is_lt())),
    def(1720, "numeric_gt", &[NUMERIC, NUMERIC], BOOL).imp(numeric2!(predicate; |a, b| a.compare(b).is_gt())),
    def(1723, "numeric_le", &[NUMERIC, NUMERIC], BOOL).imp(numeric2!(predicate; |a, b| a.compare(b).is_le())),
    def(1721, "numeric_ge", &[NUMERIC, NUMERIC], BOOL).imp(numeric2!(predicate; |a, b| a.compare(b).is_ge())),
    def(1769, "numeric_cmp", &[NUMERIC, NUMERIC], INT4)
        .imp(row!(|a: &Numeric, b: &Numeric| a.compare(b) as i32)),
    def(1767, "numeric_larger", &[NUMERIC, NUMERIC], NUMERIC).imp(row!(|a: &Numeric, b: &Numeric| if a
        .compare(b)
        .is_gt()
    {
        a
    } else {
        b
    })),
    def(1766, "numeric_smaller", &[NUMERIC, NUMERIC], NUMERIC).imp(row!(|a: &Numeric, b: &Numeric| if a
        .compare(b)
        .is_lt()
    {
        a
    } else {
        b
    })),
    def(1724, "numeric_add", &[NUMERIC, NUMERIC], NUMERIC).imp(numeric2!(arithmetic; Numeric::add)),
    def(1725, "numeric_sub", &[NUMERIC, NUMERIC], NUMERIC).imp(numeric2!(arithmetic; Numeric::sub)),
    def(1726, "numeric_mul", &[NUMERIC, NUMERIC], NUMERIC).imp(numeric2!(arithmetic; Numeric::mul)),
    def(1727, "numeric_div", &[NUMERIC, NUMERIC], NUMERIC).imp(numeric2!(arithmetic; Numeric::div)),
    def(1729, "numeric_mod", &[NUMERIC, NUMERIC], NUMERIC).imp(numeric2!(arithmetic; Numeric::rem)),
    def(1728, "mod", &[NUMERIC, NUMERIC], NUMERIC).imp(row!(|a: &Numeric, b: &Numeric| a.rem(b))),
    def(1973, "div", &[NUMERIC, NUMERIC], NUMERIC).imp(row!(|a: &Numeric, b: &Numeric| a.div_trunc(b))),
    def(1980, "numeric_div_trunc", &[NUMERIC, NUMERIC], NUMERIC)
        .imp(row!(|a: &Numeric, b: &Numeric| a.div_trunc(b))),
    def(5048, "gcd", &[NUMERIC, NUMERIC], NUMERIC).imp(row!(|a: &Numeric, b: &Numeric| a.gcd(b))),
    def(5049, "lcm", &[NUMERIC, NUMERIC], NUMERIC).imp(row!(|a: &Numeric, b: &Numeric| a.lcm(b))),
    def(2169, "power", &[NUMERIC, NUMERIC], NUMERIC).imp(row!(|a: &Numeric, b: &Numeric| a.pow(b))),
    def(1738, "pow", &[NUMERIC, NUMERIC], NUMERIC).imp(row!(|a: &Numeric, b: &Numeric| a.pow(b))),
    def(1739, "numeric_power", &[NUMERIC, NUMERIC], NUMERIC).imp(row!(|a: &Numeric, b: &Numeric| a.pow(b))),
    def(1736, "log", &[NUMERIC, NUMERIC], NUMERIC).imp(row!(|a: &Numeric, b: &Numeric| a.log(b))),
    def(1737, "numeric_log", &[NUMERIC, NUMERIC], NUMERIC).imp(row!(|a: &Numeric, b: &Numeric| a.log(b))),
    def(1771, "numeric_uminus", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.neg())),
    def(1915, "numeric_uplus", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.clone())),
    def(1704, "numeric_abs", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.abs())),
    def(1705, "abs", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.abs())),
    def(1706, "sign", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.sign())),
    def(5043, "trim_scale", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.trim_scale())),
    def(1711, "ceil", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.ceil())),
    def(2167, "ceiling", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.ceil())),
    def(1712, "floor", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.floor())),
    def(1730, "sqrt", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.sqrt())),
    def(1731, "numeric_sqrt", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.sqrt())),
    def(1732, "exp", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.exp())),
    def(1733, "numeric_exp", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.exp())),
    def(1734, "ln", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.ln())),
    def(1735, "numeric_ln", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.ln())),
    def(1741, "log", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.log10())),
    def(1481, "log10", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.log10())),
    def(1764, "numeric_inc", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.add(&Numeric::ONE))),
    def(1708, "round", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.round(0))),
    def(1707, "round", &[NUMERIC, INT4], NUMERIC).imp(row!(|a: &Numeric, scale: i32| a.round(scale))),
    def(1710, "trunc", &[NUMERIC], NUMERIC).imp(row!(|a: &Numeric| a.trunc(0))),
    def(1709, "trunc", &[NUMERIC, INT4], NUMERIC).imp(row!(|a: &Numeric, scale: i32| a.trunc(scale))),
    def(1376, "factorial", &[INT8], NUMERIC).imp(row!(|n: i64| Numeric::factorial(n))),
    def(3281, "scale", &[NUMERIC], INT4).imp(row!(|a: &Numeric| a.is_finite().then(|| a.scale() as i32))),
    def(5042, "min_scale", &[NUMERIC], INT4).imp(row!(|a: &Numeric| a.min_scale().map(|s| s as i32))),
    def(2170, "width_bucket", &[NUMERIC, NUMERIC, NUMERIC, INT4], INT4).imp(row!(
        |x: &Numeric, low: &Numeric, high: &Numeric, count: i32| width_bucket(x, low, high, count)
    )),
    def(1783, "int2", &[NUMERIC], INT2).imp(row!(|a: &Numeric| a.to_i16())),
    def(1782, "numeric", &[INT2], NUMERIC).imp(row!(|a: i16| Numeric::from(a))),
    def(1744, "int4", &[NUMERIC], INT4).imp(row!(|a: &Numeric| a.to_i32())),
    def(1740, "numeric", &[INT4], NUMERIC).imp(row!(|a: i32| Numeric::from(a))),
    def(1779, "int8", &[NUMERIC], INT8).imp(row!(|a: &Numeric| a.to_i64())),
    def(1781, "numeric", &[INT8], NUMERIC).imp(row!(|a: i64| Numeric::from(a))),
    def(1745, "float4", &[NUMERIC], FLOAT4).imp(row!(|a: &Numeric| to_f32(a))),
    def(1746, "float8", &[NUMERIC], FLOAT8).imp(row!(|a: &Numeric| to_f64(a))),
    def(1742, "numeric", &[FLOAT4], NUMERIC).imp(row!(|a: f32| Numeric::from_f32(a))),
    def(1743, "numeric", &[FLOAT8], NUMERIC).imp(row!(|a: f64| Numeric::from_f64(a))),
    def(1703, "numeric", &[NUMERIC, INT4], NUMERIC)
        .imp(row!(|a: &Numeric, typmod: i32| a.clone().apply_typmod(typmod))),
    def(2288, "pg_size_pretty", &[INT8], TEXT).imp(row!(|a: i64| size::pretty_i64(a))),
    def(3166, "pg_size_pretty", &[NUMERIC], TEXT).imp(row!(|a: &Numeric| size::pretty_numeric(a)?)),
    def(3334, "pg_size_bytes", &[TEXT], INT8).imp(row!(|a: &str| size::bytes(a)?)),
];
