//! Functions that built-in aggregates name as theirs and users' aggregates may name, too: steps and results over states that
//! are plain values. (Built-in aggregates themselves are computed by accumulators.)

use pg_types::{Result, SqlError, SqlState, Value, numeric::Numeric, oid::*, value::ArrayValue};

use super::array::list;
use crate::{aggregate::float::Pairs, call::row, def::Function, errors, table::def};

/// The integers of a state, as many as it must have.
fn integers<const N: usize>(a: &ArrayValue) -> Result<[i64; N]> {
    let mut out = [0; N];
    let good = a.values.len() == N
        && out.iter_mut().zip(&a.values).all(|(slot, v)| {
            let Value::Int8(n) = v else { return false };
            *slot = *n;
            true
        });
    if good { Ok(out) } else { Err(unexpected(N)) }
}

fn floats<const N: usize>(a: &ArrayValue, caller: &str) -> Result<[f64; N]> {
    let mut out = [0.0; N];
    let good = a.values.len() == N
        && out.iter_mut().zip(&a.values).all(|(slot, v)| {
            let Value::Float8(x) = v else { return false };
            *slot = *x;
            true
        });
    if good {
        return Ok(out);
    }
    let text = alloc::format!("{caller}: expected {N}-element float8 array");
    Err(SqlError::new(SqlState(*b"XX000"), text))
}

#[cold]
fn unexpected(n: usize) -> SqlError {
    SqlError::new(SqlState(*b"XX000"), alloc::format!("expected {n}-element int8 array"))
}

/// Count and sum after one more value, or one less.
fn count_and_sum(a: &ArrayValue, value: i64, add: bool) -> Result<ArrayValue> {
    let [count, sum] = integers(a)?;
    let step = if add { 1 } else { -1 };
    let sum = if add { sum.checked_add(value) } else { sum.checked_sub(value) };
    let sum = sum.ok_or_else(errors::int8_range)?;
    Ok(list(INT8, alloc::vec![Value::Int8(count.wrapping_add(step)), Value::Int8(sum)]))
}

fn combined(a: &ArrayValue, b: &ArrayValue) -> Result<ArrayValue> {
    let ([m, x], [n, y]) = (integers(a)?, integers(b)?);
    let sum = x.checked_add(y).ok_or_else(errors::int8_range)?;
    Ok(list(INT8, alloc::vec![Value::Int8(m.wrapping_add(n)), Value::Int8(sum)]))
}

fn average(a: &ArrayValue) -> Result<Option<Numeric>> {
    let [count, sum] = integers(a)?;
    if count == 0 {
        return Ok(None);
    }
    Numeric::new(i128::from(sum), 0).div(&Numeric::new(i128::from(count), 0)).map(Some)
}

/// Count, sum and sum of squared deviations after one more value, by the method of Youngs and Cramer.
fn accumulate(a: &ArrayValue, x: f64) -> Result<ArrayValue> {
    let [n, sum, squares] = floats(a, "float8_accum")?;
    let (count, total) = (n + 1.0, sum + x);
    let mut deviations = squares;
    if n > 0.0 {
        let step = x * count - total;
        deviations += step * step / (count * n);
        if total.is_infinite() || deviations.is_infinite() {
            if !sum.is_infinite() && !x.is_infinite() {
                return Err(errors::float_overflow());
            }
            deviations = f64::NAN;
        }
    } else if x.is_nan() || x.is_infinite() {
        deviations = f64::NAN;
    }
    let values = [count, total, deviations].map(Value::Float8);
    Ok(list(FLOAT8, values.into()))
}

/// Two states as one: the count, then sum and squared deviations of one variable, or of two with what they deviate together.
fn merged<const N: usize>(a: &ArrayValue, b: &ArrayValue, caller: &str) -> Result<ArrayValue> {
    let (x, y): ([f64; N], [f64; N]) = (floats(a, caller)?, floats(b, caller)?);
    let at = |s: &[f64; N], i: usize| s.get(i).copied().unwrap_or(0.0);
    let (m, n) = (at(&x, 0), at(&y, 0));
    if m == 0.0 || n == 0.0 {
        let values = if m == 0.0 { y } else { x };
        return Ok(list(FLOAT8, values.map(Value::Float8).into()));
    }
    let count = m + n;
    let mut out = [count; N];
    // How far apart the means are, of each variable.
    let apart = |sum: usize| at(&x, sum) / m - at(&y, sum) / n;
    for (i, slot) in out.iter_mut().enumerate().skip(1) {
        let deviation = match i {
            2 => Some((1, 1)),
            4 => Some((3, 3)),
            5 => Some((1, 3)),
            _ => None,
        };
        *slot = at(&x, i) + at(&y, i) + deviation.map_or(0.0, |(p, q)| m * n * apart(p) * apart(q) / count);
        if slot.is_infinite() && !at(&x, i).is_infinite() && !at(&y, i).is_infinite() {
            return Err(errors::float_overflow());
        }
    }
    Ok(list(FLOAT8, out.map(Value::Float8).into()))
}

/// A state of two variables after one more pair.
fn accumulate_pair(a: &ArrayValue, y: f64, x: f64) -> Result<ArrayValue> {
    let [n, sx, sxx, sy, syy, sxy] = floats(a, "float8_regr_accum")?;
    let mut pairs = Pairs::of_state([n, sx, sxx, sy, syy, sxy]);
    pairs.push(y, x)?;
    Ok(list(FLOAT8, pairs.state().map(Value::Float8).into()))
}

/// A moment of such a state: the divisor is the count less `less`.
fn variance(a: &ArrayValue, less: f64) -> Result<Option<f64>> {
    let [n, _, deviations] = floats(a, "float8_var")?;
    Ok((n > less).then(|| deviations / (n - less)))
}

fn int8_sum(state: Option<i64>, x: Option<i64>) -> Option<i64> {
    match (state, x) {
        (None, x) => x,
        (state, None) => state,
        (Some(state), Some(x)) => Some(state.wrapping_add(x)),
    }
}

pub(crate) static FUNCTIONS: &[Function] = &[
    def(208, "float4_accum", &[FLOAT8_ARRAY, FLOAT4], FLOAT8_ARRAY)
        .imp(row!(|a: &ArrayValue, x: f32| accumulate(a, f64::from(x))?)),
    def(222, "float8_accum", &[FLOAT8_ARRAY, FLOAT8], FLOAT8_ARRAY)
        .imp(row!(|a: &ArrayValue, x: f64| accumulate(a, x)?)),
    def(1830, "float8_avg", &[FLOAT8_ARRAY], FLOAT8).imp(row!(|a: &ArrayValue| {
        let [n, sum, _] = floats(a, "float8_avg")?;
        (n > 0.0).then(|| sum / n)
    })),
    def(2512, "float8_var_pop", &[FLOAT8_ARRAY], FLOAT8).imp(row!(|a: &ArrayValue| variance(a, 0.0)?)),
    def(1831, "float8_var_samp", &[FLOAT8_ARRAY], FLOAT8).imp(row!(|a: &ArrayValue| variance(a, 1.0)?)),
    def(2513, "float8_stddev_pop", &[FLOAT8_ARRAY], FLOAT8)
        .imp(row!(|a: &ArrayValue| variance(a, 0.0)?.map(libm::sqrt))),
    def(1832, "float8_stddev_samp", &[FLOAT8_ARRAY], FLOAT8)
        .imp(row!(|a: &ArrayValue| variance(a, 1.0)?.map(libm::sqrt))),
    def(276, "float8_combine", &[FLOAT8_ARRAY, FLOAT8_ARRAY], FLOAT8_ARRAY)
        .imp(row!(|a: &ArrayValue, b: &ArrayValue| merged::<3>(a, b, "float8_combine")?)),
    def(2806, "float8_regr_accum", &[FLOAT8_ARRAY, FLOAT8, FLOAT8], FLOAT8_ARRAY)
        .imp(row!(|a: &ArrayValue, y: f64, x: f64| accumulate_pair(a, y, x)?)),
    def(3342, "float8_regr_combine", &[FLOAT8_ARRAY, FLOAT8_ARRAY], FLOAT8_ARRAY)
        .imp(row!(|a: &ArrayValue, b: &ArrayValue| merged::<6>(a, b, "float8_regr_combine")?)),
    def(1840, "int2_sum", &[INT8, INT2], INT8)
        .nullable()
        .imp(row!(|s: Option<i64>, x: Option<i16>| int8_sum(s, x.map(i64::from)))),
    def(1841, "int4_sum", &[INT8, INT4], INT8)
        .nullable()
        .imp(row!(|s: Option<i64>, x: Option<i32>| int8_sum(s, x.map(i64::from)))),
    def(1962, "int2_avg_accum", &[INT8_ARRAY, INT2], INT8_ARRAY)
        .imp(row!(|a: &ArrayValue, x: i16| count_and_sum(a, i64::from(x), true)?)),
    def(1963, "int4_avg_accum", &[INT8_ARRAY, INT4], INT8_ARRAY)
        .imp(row!(|a: &ArrayValue, x: i32| count_and_sum(a, i64::from(x), true)?)),
    def(3571, "int4_avg_accum_inv", &[INT8_ARRAY, INT4], INT8_ARRAY)
        .imp(row!(|a: &ArrayValue, x: i32| count_and_sum(a, i64::from(x), false)?)),
    def(3324, "int4_avg_combine", &[INT8_ARRAY, INT8_ARRAY], INT8_ARRAY)
        .imp(row!(|a: &ArrayValue, b: &ArrayValue| combined(a, b)?)),
    def(1964, "int8_avg", &[INT8_ARRAY], NUMERIC).imp(row!(|a: &ArrayValue| average(a)?)),
    def(3572, "int2int4_sum", &[INT8_ARRAY], INT8).imp(row!(|a: &ArrayValue| {
        let [count, sum] = integers(a)?;
        (count != 0).then_some(sum)
    })),
    def(2804, "int8inc_any", &[INT8, ANY], INT8)
        .imp(row!(|n: i64, _value: &Value| n.checked_add(1).ok_or_else(errors::int8_range)?)),
    def(3547, "int8dec_any", &[INT8, ANY], INT8)
        .imp(row!(|n: i64, _value: &Value| n.checked_sub(1).ok_or_else(errors::int8_range)?)),
];
