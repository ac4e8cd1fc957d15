//! SQL's order of values, as the default B-tree classes have it.

use core::cmp::Ordering;

use pg_types::{
    Oid, Value,
    value::{Interval, TimeTz},
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
    pg_types::compare::interval_span(&i)
}

/// A zoned time of day as (moment, zone).
#[inline]
pub(crate) fn timetz_key(t: TimeTz) -> (i64, i32) {
    (t.micros + i64::from(t.zone) * 1_000_000, t.zone)
}

pub(crate) use pg_types::compare::trim_blanks;

/// The order of two values of type `ty`; NULLs come last.
pub fn compare_as(ty: Oid, a: &Value, b: &Value) -> Ordering {
    pg_types::compare::compare(ty, a, b)
}

/// The order of two values of one type other than char(n), whose padding does not count; arrays and rows know the
/// types of their own elements.
pub fn compare(a: &Value, b: &Value) -> Ordering {
    compare_as(0, a, b)
}

/// The order of oidvector and int2vector: shorter first.
pub(crate) fn compare_vectors(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Array(x), Value::Array(y)) => x.values.len().cmp(&y.values.len()).then_with(|| compare(a, b)),
        _ => compare(a, b),
    }
}
