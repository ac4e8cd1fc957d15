//! SQL's order of values, as the default B-tree classes have it.

use core::cmp::Ordering;

use pg_types::{
    Oid, Value,
    oid::BPCHAR,
    value::{ArrayValue, Interval, TimeTz},
};

macro_rules! float_order {
    ($name:ident, $t:ty) => {
        /// Comparison of floats where NaN equals NaN and is above everything.
        pub(crate) mod $name {
            use core::cmp::Ordering;

            #[inline]
            pub(crate) fn eq(a: $t, b: $t) -> bool {
                a == b || (a.is_nan() && b.is_nan())
            }
            #[inline]
            pub(crate) fn ne(a: $t, b: $t) -> bool {
                !eq(a, b)
            }
            #[inline]
            pub(crate) fn lt(a: $t, b: $t) -> bool {
                a < b || (b.is_nan() && !a.is_nan())
            }
            #[inline]
            pub(crate) fn gt(a: $t, b: $t) -> bool {
                lt(b, a)
            }
            #[inline]
            pub(crate) fn le(a: $t, b: $t) -> bool {
                a <= b || b.is_nan()
            }
            #[inline]
            pub(crate) fn ge(a: $t, b: $t) -> bool {
                le(b, a)
            }
            #[inline]
            pub(crate) fn cmp(a: $t, b: $t) -> Ordering {
                if lt(a, b) {
                    Ordering::Less
                } else if eq(a, b) {
                    Ordering::Equal
                } else {
                    Ordering::Greater
                }
            }
        }
    };
}

float_order!(f32_order, f32);
float_order!(f64_order, f64);

/// An interval's length in microseconds with months of 30 days: what intervals are compared by.
#[inline]
pub(crate) fn span(i: Interval) -> i128 {
    i128::from(i.micros) + (i128::from(i.months) * 30 + i128::from(i.days)) * 86_400_000_000
}

/// A zoned time of day as (moment, zone).
#[inline]
pub(crate) fn timetz_key(t: TimeTz) -> (i64, i32) {
    (t.micros + i64::from(t.zone) * 1_000_000, t.zone)
}

/// Without trailing blanks, which do not count in comparing char(n).
#[inline]
pub(crate) fn trim_blanks(s: &[u8]) -> &[u8] {
    let end = s.iter().rposition(|&b| b != b' ').map_or(0, |i| i + 1);
    s.get(..end).unwrap_or(s)
}

/// The order of two values of one type, neither NULL at the top level; NULLs inside arrays and rows come last.
/// char(n) values must be compared with [`compare_as`].
pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        (Value::Bool(x), Value::Bool(y)) => x.cmp(y),
        (Value::Char(x), Value::Char(y)) => x.cmp(y),
        (Value::Int2(x), Value::Int2(y)) => x.cmp(y),
        (Value::Int4(x), Value::Int4(y)) | (Value::Date(x), Value::Date(y)) => x.cmp(y),
        (Value::Int8(x), Value::Int8(y))
        | (Value::Time(x), Value::Time(y))
        | (Value::Timestamp(x), Value::Timestamp(y))
        | (Value::TimestampTz(x), Value::TimestampTz(y)) => x.cmp(y),
        (Value::Oid(x), Value::Oid(y)) => x.cmp(y),
        (Value::Numeric(x), Value::Numeric(y)) => x.compare(y),
        (Value::Float4(x), Value::Float4(y)) => f32_order::cmp(*x, *y),
        (Value::Float8(x), Value::Float8(y)) => f64_order::cmp(*x, *y),
        (Value::Text(x), Value::Text(y)) => x.cmp(y),
        (Value::Bytea(x), Value::Bytea(y)) => x.cmp(y),
        (Value::TimeTz(x), Value::TimeTz(y)) => timetz_key(*x).cmp(&timetz_key(*y)),
        (Value::Interval(x), Value::Interval(y)) => span(*x).cmp(&span(*y)),
        (Value::Uuid(x), Value::Uuid(y)) => x.cmp(y),
        (Value::Tid(x, i), Value::Tid(y, j)) => (x, i).cmp(&(y, j)),
        (Value::Array(x), Value::Array(y)) => compare_arrays(x, y),
        (Value::Record(x), Value::Record(y)) => x
            .values
            .iter()
            .zip(&y.values)
            .zip(&x.types)
            .map(|((a, b), ty)| compare_as(*ty, a, b))
            .find(|o| o.is_ne())
            .unwrap_or_else(|| x.values.len().cmp(&y.values.len())),
        _ => Ordering::Equal,
    }
}

/// As [`compare`], knowing the type (char(n) ignores trailing blanks).
pub fn compare_as(ty: Oid, a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Text(x), Value::Text(y)) if ty == BPCHAR => {
            trim_blanks(x.as_bytes()).cmp(trim_blanks(y.as_bytes()))
        }
        _ => compare(a, b),
    }
}

fn compare_arrays(a: &ArrayValue, b: &ArrayValue) -> Ordering {
    for (x, y) in a.values.iter().zip(&b.values) {
        let o = compare_as(a.element, x, y);
        if o.is_ne() {
            return o;
        }
    }
    a.values
        .len()
        .cmp(&b.values.len())
        .then_with(|| a.dims.len().cmp(&b.dims.len()))
        .then_with(|| a.dims.cmp(&b.dims))
}

/// The order of oidvector and int2vector: shorter first.
pub(crate) fn compare_vectors(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Array(x), Value::Array(y)) => {
            x.values.len().cmp(&y.values.len()).then_with(|| compare_arrays(x, y))
        }
        _ => compare(a, b),
    }
}
