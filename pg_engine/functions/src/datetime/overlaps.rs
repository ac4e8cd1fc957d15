//! `(start, end) OVERLAPS (start, end)`.

use core::cmp::Ordering;

use pg_types::{
    Result, Value,
    datetime::arithmetic::{time_add, timestamp_add, timestamptz_add},
    oid::*,
};

use super::zone;
use crate::{
    def::{EvalContext, Function, Implementation},
    order::compare,
    table::def,
};

/// A period's bounds in order; an unknown one comes second.
fn ordered<'a>(a: &'a Value, b: &'a Value) -> Option<(&'a Value, &'a Value)> {
    match (a.is_null(), b.is_null()) {
        (true, true) => None,
        (true, false) => Some((b, a)),
        (false, false) if compare(a, b).is_gt() => Some((b, a)),
        _ => Some((a, b)),
    }
}

fn overlaps(s1: &Value, e1: &Value, s2: &Value, e2: &Value) -> Value {
    let (Some((s1, e1)), Some((s2, e2))) = (ordered(s1, e1), ordered(s2, e2)) else { return Value::Null };
    // The period that starts later decides.
    let (start, earlier_end, later_end) = match compare(s1, s2) {
        Ordering::Greater => (s1, e2, e1),
        Ordering::Less => (s2, e1, e2),
        Ordering::Equal if e1.is_null() || e2.is_null() => return Value::Null,
        Ordering::Equal => return Value::Bool(true),
    };
    if earlier_end.is_null() {
        return Value::Null;
    }
    if compare(start, earlier_end).is_lt() {
        return Value::Bool(true);
    }
    if later_end.is_null() { Value::Null } else { Value::Bool(false) }
}

/// An end may be given as a length.
fn any(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    let [s1, e1, s2, e2] = args else { return Err(crate::call::mismatch()) };
    let end = |start: &Value, end: &Value| -> Result<Value> {
        let Value::Interval(i) = end else { return Ok(end.clone()) };
        Ok(match start {
            Value::Timestamp(t) => Value::Timestamp(timestamp_add(*t, i)?),
            Value::TimestampTz(t) => Value::TimestampTz(timestamptz_add(*t, i, zone(ctx))?),
            Value::Time(t) => Value::Time(time_add(*t, i)),
            _ => Value::Null,
        })
    };
    Ok(overlaps(s1, &end(s1, e1)?, s2, &end(s2, e2)?))
}

const OVERLAPS: Implementation = Implementation::Row(any);

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(1271, "overlaps", &[TIMETZ, TIMETZ, TIMETZ, TIMETZ], BOOL).nullable().imp(OVERLAPS),
    def(1304, "overlaps", &[TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ], BOOL)
        .nullable()
        .imp(OVERLAPS),
    def(1305, "overlaps", &[TIMESTAMPTZ, INTERVAL, TIMESTAMPTZ, INTERVAL], BOOL)
        .stable()
        .nullable()
        .imp(OVERLAPS),
    def(1306, "overlaps", &[TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ, INTERVAL], BOOL)
        .stable()
        .nullable()
        .imp(OVERLAPS),
    def(1307, "overlaps", &[TIMESTAMPTZ, INTERVAL, TIMESTAMPTZ, TIMESTAMPTZ], BOOL)
        .stable()
        .nullable()
        .imp(OVERLAPS),
    def(1308, "overlaps", &[TIME, TIME, TIME, TIME], BOOL).nullable().imp(OVERLAPS),
    def(1309, "overlaps", &[TIME, INTERVAL, TIME, INTERVAL], BOOL).nullable().imp(OVERLAPS),
    def(1310, "overlaps", &[TIME, TIME, TIME, INTERVAL], BOOL).nullable().imp(OVERLAPS),
    def(1311, "overlaps", &[TIME, INTERVAL, TIME, TIME], BOOL).nullable().imp(OVERLAPS),
    def(2041, "overlaps", &[TIMESTAMP, TIMESTAMP, TIMESTAMP, TIMESTAMP], BOOL).nullable().imp(OVERLAPS),
    def(2042, "overlaps", &[TIMESTAMP, INTERVAL, TIMESTAMP, INTERVAL], BOOL).nullable().imp(OVERLAPS),
    def(2043, "overlaps", &[TIMESTAMP, TIMESTAMP, TIMESTAMP, INTERVAL], BOOL).nullable().imp(OVERLAPS),
    def(2044, "overlaps", &[TIMESTAMP, INTERVAL, TIMESTAMP, TIMESTAMP], BOOL).nullable().imp(OVERLAPS),
];
