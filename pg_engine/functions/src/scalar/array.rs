//! Arrays.

use alloc::{string::String, sync::Arc, vec::Vec};

use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value, oid::*, value::ArrayValue};

use crate::{
    call::{row, typed},
    def::{EvalContext, Function},
    order::compare_as,
    output::text,
    table::def,
};

/// Most elements of an array.
const MAX_ELEMENTS: usize = 0x07ff_ffff;
/// Most dimensions.
const MAX_DIMS: usize = 6;

#[cold]
fn fault(state: SqlState, message: &'static str) -> SqlError {
    SqlError::new(state, message)
}

#[cold]
fn too_many_elements() -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        alloc::format!("array size exceeds the maximum allowed ({MAX_ELEMENTS})"),
    )
}

/// A one-dimensional array from 1 on; `{}` when there are no values.
pub(crate) fn list(element: Oid, values: Vec<Value>) -> ArrayValue {
    let dims = if values.is_empty() { Vec::new() } else { alloc::vec![(values.len() as i32, 1)] };
    ArrayValue { element, dims, values }
}

fn equal(element: Oid, a: &Value, b: &Value) -> bool {
    a.is_null() == b.is_null() && compare_as(element, a, b).is_eq()
}

fn dim(array: &ArrayValue, n: i32) -> Option<(i32, i32)> {
    usize::try_from(n).ok().and_then(|n| n.checked_sub(1)).and_then(|n| array.dims.get(n)).copied()
}

/// A new element before (`FRONT`) or behind a one-dimensional array.
fn extend<const FRONT: bool>(array: Option<&ArrayValue>, value: &Value, ty: SqlType) -> Result<ArrayValue> {
    let element = array.map_or_else(|| crate::types::element_type(ty.oid), |a| a.element);
    let Some(array) = array.filter(|a| !a.dims.is_empty()) else {
        return Ok(list(element, alloc::vec![value.clone()]));
    };
    let [(length, lower)] = array.dims.as_slice() else {
        return Err(fault(SqlState(*b"22000"), "argument must be empty or one-dimensional array"));
    };
    if array.values.len() >= MAX_ELEMENTS {
        return Err(too_many_elements());
    }
    lower.checked_add(*length).ok_or_else(crate::errors::int4_range)?;
    let mut values = Vec::with_capacity(array.values.len() + 1);
    if FRONT {
        values.push(value.clone());
    }
    values.extend_from_slice(&array.values);
    if !FRONT {
        values.push(value.clone());
    }
    Ok(ArrayValue { element, dims: alloc::vec![(length + 1, *lower)], values })
}

/// `array_cat`: arrays of equal dimensions, or one being an element of the other.
fn concatenate(a: &ArrayValue, b: &ArrayValue) -> Result<ArrayValue> {
    if a.dims.is_empty() {
        return Ok(b.clone());
    }
    if b.dims.is_empty() {
        return Ok(a.clone());
    }
    let incompatible = |detail: &str| {
        fault(SqlState::ARRAY_SUBSCRIPT_ERROR, "cannot concatenate incompatible arrays").detail(detail)
    };
    let lengths = |dims: &[(i32, i32)]| -> Vec<i32> { dims.iter().map(|d| d.0).collect() };
    let (n, m) = (a.dims.len(), b.dims.len());
    let mut dims;
    if n == m {
        if lengths(&a.dims[1..]) != lengths(&b.dims[1..]) {
            return Err(incompatible(
                "Arrays with differing element dimensions are not compatible for concatenation.",
            ));
        }
        dims = a.dims.clone();
        dims[0].0 += b.dims[0].0;
    } else if n == m + 1 || m == n + 1 {
        let (outer, inner) = if n > m { (a, b) } else { (b, a) };
        if lengths(&outer.dims[1..]) != lengths(&inner.dims) {
            return Err(incompatible(
                "Arrays with differing dimensions are not compatible for concatenation.",
            ));
        }
        dims = outer.dims.clone();
        dims[0].0 += 1;
    } else {
        return Err(fault(SqlState::ARRAY_SUBSCRIPT_ERROR, "cannot concatenate incompatible arrays").detail(
            alloc::format!("Arrays of {n} and {m} dimensions are not compatible for concatenation."),
        ));
    }
    if a.values.len() + b.values.len() > MAX_ELEMENTS {
        return Err(too_many_elements());
    }
    let values = a.values.iter().chain(&b.values).cloned().collect();
    Ok(ArrayValue { element: a.element, dims, values })
}

fn one_dimensional(array: &ArrayValue, message: &'static str) -> Result<()> {
    if array.dims.len() > 1 { Err(fault(SqlState::FEATURE_NOT_SUPPORTED, message)) } else { Ok(()) }
}

const NO_SEARCH: &str = "searching for elements in multidimensional arrays is not supported";

/// Subscripts of the elements that are not distinct from a value.
fn positions<'a>(array: &'a ArrayValue, value: &'a Value) -> impl Iterator<Item = i32> + 'a {
    let lower = array.dims.first().map_or(1, |d| d.1);
    let hit = move |(i, v): (usize, &Value)| equal(array.element, v, value).then_some(lower + i as i32);
    array.values.iter().enumerate().filter_map(hit)
}

fn position(array: Option<&ArrayValue>, value: &Value, start: Option<i32>) -> Result<Option<i32>> {
    let Some(array) = array.filter(|a| !a.dims.is_empty()) else { return Ok(None) };
    one_dimensional(array, NO_SEARCH)?;
    if value.is_null() && !array.values.iter().any(Value::is_null) {
        return Ok(None);
    }
    let start =
        start.ok_or_else(|| fault(SqlState::NULL_VALUE_NOT_ALLOWED, "initial position must not be null"))?;
    Ok(positions(array, value).find(|p| *p >= start))
}

fn remove(array: &ArrayValue, value: &Value) -> Result<ArrayValue> {
    one_dimensional(array, "removing elements from multidimensional arrays is not supported")?;
    let values: Vec<_> = array.values.iter().filter(|v| !equal(array.element, v, value)).cloned().collect();
    let mut result = list(array.element, values);
    if let (Some(new), Some(old)) = (result.dims.first_mut(), array.dims.first()) {
        new.1 = old.1;
    }
    Ok(result)
}

fn replace(array: &ArrayValue, from: &Value, to: &Value) -> ArrayValue {
    let swap = |v: &Value| if equal(array.element, v, from) { to.clone() } else { v.clone() };
    ArrayValue {
        element: array.element,
        dims: array.dims.clone(),
        values: array.values.iter().map(swap).collect(),
    }
}

fn to_string(ctx: &EvalContext<'_>, array: &ArrayValue, separator: &str, null: Option<&str>) -> String {
    let mut out = String::new();
    let mut first = true;
    for value in &array.values {
        let shown = match (value, null) {
            (Value::Null, None) => continue,
            (Value::Null, Some(null)) => String::from(null),
            (v, _) => match ctx.host.catalog_text(v, array.element) {
                Ok(Some(named)) => named,
                _ => text(ctx, v),
            },
        };
        if !first {
            out.push_str(separator);
        }
        first = false;
        out.push_str(&shown);
    }
    out
}

/// The pieces of a string. No separator (NULL) means every character.
pub(crate) fn pieces(s: &str, separator: Option<&str>, null: Option<&str>) -> Vec<Value> {
    let piece = |p: &str| if Some(p) == null { Value::Null } else { Value::text(p) };
    match separator {
        _ if s.is_empty() => Vec::new(),
        None => s.chars().map(|c| piece(c.encode_utf8(&mut [0; 4]))).collect(),
        Some("") => alloc::vec![piece(s)],
        Some(separator) => s.split(separator).map(piece).collect(),
    }
}

fn dims_text(array: &ArrayValue) -> Option<String> {
    use core::fmt::Write;
    let mut out = String::new();
    for (length, lower) in &array.dims {
        let _ = write!(out, "[{lower}:{}]", i64::from(*lower) + i64::from(*length) - 1);
    }
    (!out.is_empty()).then_some(out)
}

fn fill(
    value: &Value,
    lengths: Option<&ArrayValue>,
    lowers: Option<&ArrayValue>,
    ty: SqlType,
) -> Result<ArrayValue> {
    let null = |what: &'static str| fault(SqlState::NULL_VALUE_NOT_ALLOWED, what);
    let lengths = lengths.ok_or_else(|| null("dimension array or low bound array cannot be null"))?;
    let wrong = || {
        fault(SqlState::ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts")
            .detail("Dimension array must be one dimensional.")
    };
    if lengths.dims.len() > 1 {
        return Err(wrong());
    }
    let ints = |a: &ArrayValue| -> Result<Vec<i32>> {
        a.values
            .iter()
            .map(|v| match v {
                Value::Int4(n) => Ok(*n),
                Value::Null => Err(null("dimension values cannot be null")),
                _ => Err(crate::call::mismatch()),
            })
            .collect()
    };
    let sizes = ints(lengths)?;
    if sizes.len() > MAX_DIMS {
        return Err(SqlError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            alloc::format!("number of array dimensions ({}) exceeds the maximum allowed (6)", sizes.len()),
        ));
    }
    let bounds = match lowers {
        None => alloc::vec![1; sizes.len()],
        Some(l) if l.dims.len() > 1 => return Err(wrong()),
        Some(l) => ints(l)?,
    };
    if bounds.len() != sizes.len() {
        return Err(fault(SqlState::ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts")
            .detail("Low bound array has different size than dimensions array."));
    }
    let element = crate::types::element_type(ty.oid);
    let mut total = 1usize;
    for size in &sizes {
        let size = usize::try_from(*size).map_err(|_| too_many_elements())?;
        total = total.checked_mul(size).filter(|t| *t <= i32::MAX as usize).ok_or_else(too_many_elements)?;
    }
    if total > MAX_ELEMENTS {
        return Err(too_many_elements());
    }
    if let Some((_, low)) = sizes.iter().zip(&bounds).find(|(size, low)| size.checked_add(**low).is_none()) {
        return Err(SqlError::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            alloc::format!("array lower bound is too large: {low}"),
        ));
    }
    if sizes.is_empty() || total == 0 {
        return Ok(list(element, Vec::new()));
    }
    let dims = sizes.into_iter().zip(bounds).collect();
    Ok(ArrayValue { element, dims, values: alloc::vec![value.clone(); total] })
}

fn trim(array: &ArrayValue, n: i32) -> Result<ArrayValue> {
    let length = array.dims.first().map_or(0, |d| d.0);
    if n < 0 || n > length {
        return Err(SqlError::new(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            alloc::format!("number of elements to trim must be between 0 and {length}"),
        ));
    }
    if n == length {
        return Ok(list(array.element, Vec::new()));
    }
    let row = array.values.len() / length.max(1) as usize;
    let mut dims = array.dims.clone();
    if let Some(first) = dims.first_mut() {
        *first = (length - n, 1);
    }
    let keep = row * (length - n) as usize;
    Ok(ArrayValue { element: array.element, dims, values: array.values.iter().take(keep).cloned().collect() })
}

/// Every element of `b` is in `a`; NULLs are in nothing.
fn contains(a: &ArrayValue, b: &ArrayValue) -> bool {
    b.values.iter().all(|v| has(a, v))
}

fn overlap(a: &ArrayValue, b: &ArrayValue) -> bool {
    b.values.iter().any(|v| has(a, v))
}

fn has(a: &ArrayValue, v: &Value) -> bool {
    !v.is_null() && a.values.iter().any(|x| equal(a.element, x, v))
}

/// The number of thresholds (sorted, ascending) that are at or below a value.
fn width_bucket(value: &Value, thresholds: &ArrayValue) -> Result<i32> {
    if thresholds.dims.len() > 1 {
        return Err(fault(SqlState::ARRAY_SUBSCRIPT_ERROR, "thresholds must be one-dimensional array"));
    }
    if thresholds.values.iter().any(Value::is_null) {
        return Err(fault(SqlState::NULL_VALUE_NOT_ALLOWED, "thresholds array must not contain NULLs"));
    }
    let below = |t: &Value| compare_as(thresholds.element, t, value).is_le();
    Ok(thresholds.values.partition_point(below) as i32)
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(748, "array_ndims", &[ANYARRAY], INT4)
        .imp(row!(|a: &ArrayValue| (!a.dims.is_empty()).then_some(a.dims.len() as i32))),
    def(747, "array_dims", &[ANYARRAY], TEXT).imp(row!(|a: &ArrayValue| dims_text(a))),
    def(2176, "array_length", &[ANYARRAY, INT4], INT4)
        .imp(row!(|a: &ArrayValue, n: i32| dim(a, n).map(|d| d.0))),
    def(2091, "array_lower", &[ANYARRAY, INT4], INT4)
        .imp(row!(|a: &ArrayValue, n: i32| dim(a, n).map(|d| d.1))),
    def(2092, "array_upper", &[ANYARRAY, INT4], INT4)
        .imp(row!(|a: &ArrayValue, n: i32| dim(a, n).map(|d| d.1 + d.0 - 1))),
    def(3179, "cardinality", &[ANYARRAY], INT4).imp(row!(|a: &ArrayValue| a.values.len() as i32)),
    def(378, "array_append", &[ANYCOMPATIBLEARRAY, ANYCOMPATIBLE], ANYCOMPATIBLEARRAY).nullable().imp(
        typed!(|ty; a: Option<&ArrayValue>, v: &Value| {
            extend::<false>(a, v, ty)
        }),
    ),
    def(379, "array_prepend", &[ANYCOMPATIBLE, ANYCOMPATIBLEARRAY], ANYCOMPATIBLEARRAY).nullable().imp(
        typed!(|ty; v: &Value, a: Option<&ArrayValue>| {
            extend::<true>(a, v, ty)
        }),
    ),
    def(383, "array_cat", &[ANYCOMPATIBLEARRAY, ANYCOMPATIBLEARRAY], ANYCOMPATIBLEARRAY).nullable().imp(
        row!(|a: &Value, b: &Value| match (a, b) {
            (Value::Null, other) | (other, Value::Null) => other.clone(),
            (Value::Array(a), Value::Array(b)) => Value::Array(Arc::new(concatenate(a, b)?)),
            _ => return Err(crate::call::mismatch()),
        }),
    ),
    def(3277, "array_position", &[ANYCOMPATIBLEARRAY, ANYCOMPATIBLE], INT4)
        .nullable()
        .imp(row!(|a: Option<&ArrayValue>, v: &Value| position(a, v, Some(i32::MIN)))),
    def(3278, "array_position", &[ANYCOMPATIBLEARRAY, ANYCOMPATIBLE, INT4], INT4)
        .nullable()
        .imp(row!(|a: Option<&ArrayValue>, v: &Value, start: Option<i32>| position(a, v, start))),
    def(3279, "array_positions", &[ANYCOMPATIBLEARRAY, ANYCOMPATIBLE], INT4_ARRAY).nullable().imp(row!(
        |a: Option<&ArrayValue>, v: &Value| match a {
            None => None,
            Some(a) => {
                one_dimensional(a, NO_SEARCH)?;
                Some(list(INT4, positions(a, v).map(Value::Int4).collect()))
            }
        }
    )),
    def(3167, "array_remove", &[ANYCOMPATIBLEARRAY, ANYCOMPATIBLE], ANYCOMPATIBLEARRAY).nullable().imp(row!(
        |a: Option<&ArrayValue>, v: &Value| match a {
            None => None,
            Some(a) => Some(remove(a, v)?),
        }
    )),
    def(3168, "array_replace", &[ANYCOMPATIBLEARRAY, ANYCOMPATIBLE, ANYCOMPATIBLE], ANYCOMPATIBLEARRAY)
        .nullable()
        .imp(row!(|a: Option<&ArrayValue>, from: &Value, to: &Value| a.map(|a| replace(a, from, to)))),
    def(395, "array_to_string", &[ANYARRAY, TEXT], TEXT)
        .stable()
        .imp(row!(ctx; |a: &ArrayValue, s: &str| to_string(ctx, a, s, None))),
    def(384, "array_to_string", &[ANYARRAY, TEXT, TEXT], TEXT).stable().nullable().imp(
        row!(ctx; |a: Option<&ArrayValue>, s: Option<&str>, null: Option<&str>| match (a, s) {
            (Some(a), Some(s)) => Some(to_string(ctx, a, s, null)),
            _ => None,
        }),
    ),
    def(394, "string_to_array", &[TEXT, TEXT], TEXT_ARRAY).nullable().imp(row!(
        |s: Option<&str>, separator: Option<&str>| { s.map(|s| list(TEXT, pieces(s, separator, None))) }
    )),
    def(376, "string_to_array", &[TEXT, TEXT, TEXT], TEXT_ARRAY).nullable().imp(row!(|s: Option<&str>,
                                                                                      separator: Option<
        &str,
    >,
                                                                                      null: Option<
        &str,
    >| {
        s.map(|s| list(TEXT, pieces(s, separator, null)))
    })),
    def(1193, "array_fill", &[ANYELEMENT, INT4_ARRAY], ANYARRAY)
        .nullable()
        .imp(typed!(|ty; v: &Value, dims: Option<&ArrayValue>| fill(v, dims, None, ty))),
    def(1286, "array_fill", &[ANYELEMENT, INT4_ARRAY, INT4_ARRAY], ANYARRAY).nullable().imp(
        typed!(|ty; v: &Value, dims: Option<&ArrayValue>, lowers: Option<&ArrayValue>| {
            if lowers.is_none() {
                return Err(fault(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "dimension array or low bound array cannot be null",
                ));
            }
            fill(v, dims, lowers, ty)
        }),
    ),
    def(6172, "trim_array", &[ANYARRAY, INT4], ANYARRAY).imp(row!(|a: &ArrayValue, n: i32| trim(a, n))),
    def(2748, "arraycontains", &[ANYARRAY, ANYARRAY], BOOL)
        .imp(row!(|a: &ArrayValue, b: &ArrayValue| contains(a, b))),
    def(2749, "arraycontained", &[ANYARRAY, ANYARRAY], BOOL)
        .imp(row!(|a: &ArrayValue, b: &ArrayValue| contains(b, a))),
    def(2747, "arrayoverlap", &[ANYARRAY, ANYARRAY], BOOL)
        .imp(row!(|a: &ArrayValue, b: &ArrayValue| overlap(a, b))),
    def(3218, "width_bucket", &[ANYCOMPATIBLE, ANYCOMPATIBLEARRAY], INT4)
        .imp(row!(|v: &Value, a: &ArrayValue| width_bucket(v, a))),
];
