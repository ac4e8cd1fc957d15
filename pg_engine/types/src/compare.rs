//! SQL's order, equality and hash of values, for sorting, grouping and joining.
//!
//! The order is that of the default B-tree operator classes with the "C" collation: NaN equals itself and is greatest,
//! numeric 1.0 equals 1.00, trailing blanks of char(n) do not count, intervals compare by length with months of 30
//! days. Values that compare equal hash alike; integers of all widths hash alike, and so do floats of both.

use alloc::sync::Arc;
use core::{
    cmp::Ordering,
    hash::{BuildHasher, Hasher},
};

use crate::{
    oid::{self, Oid},
    value::{ArrayValue, Interval, RecordValue, TimeTz, Value},
    vector::{ColumnData, Vector},
};

/// Order of two floats, NaN last.
pub fn compare_f64(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// An interval's length in microseconds, months counting 30 days.
pub fn interval_span(v: &Interval) -> i128 {
    i128::from(v.micros) + (i128::from(v.months) * 30 + i128::from(v.days)) * 86_400_000_000
}

/// A zoned time of day as moment and zone.
pub(crate) fn timetz_key(v: &TimeTz) -> (i64, i32) {
    (v.micros.saturating_add(i64::from(v.zone) * 1_000_000), v.zone)
}

/// Without trailing blanks.
pub fn trim_blanks(s: &[u8]) -> &[u8] {
    let end = s.iter().rposition(|&b| b != b' ').map_or(0, |i| i + 1);
    &s[..end]
}

/// Order of two values of type `ty`. NULLs are equal to each other and after everything else (callers that sort NULLs
/// first look at them beforehand).
pub fn compare(ty: Oid, a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Int4(x), Value::Int4(y)) | (Value::Date(x), Value::Date(y)) => x.cmp(y),
        (Value::Int8(x), Value::Int8(y))
        | (Value::Time(x), Value::Time(y))
        | (Value::Timestamp(x), Value::Timestamp(y))
        | (Value::TimestampTz(x), Value::TimestampTz(y)) => x.cmp(y),
        (Value::Text(x), Value::Text(y)) => compare_text(ty, x.as_bytes(), y.as_bytes()),
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        (Value::Bool(x), Value::Bool(y)) => x.cmp(y),
        (Value::Char(x), Value::Char(y)) => x.cmp(y),
        (Value::Int2(x), Value::Int2(y)) => x.cmp(y),
        (Value::Oid(x), Value::Oid(y)) => x.cmp(y),
        (Value::Float4(x), Value::Float4(y)) => compare_f64((*x).into(), (*y).into()),
        (Value::Float8(x), Value::Float8(y)) => compare_f64(*x, *y),
        (Value::Numeric(x), Value::Numeric(y)) => x.compare(y),
        (Value::Bytea(x), Value::Bytea(y)) => x.cmp(y),
        (Value::TimeTz(x), Value::TimeTz(y)) => timetz_key(x).cmp(&timetz_key(y)),
        (Value::Interval(x), Value::Interval(y)) => interval_span(x).cmp(&interval_span(y)),
        (Value::Uuid(x), Value::Uuid(y)) => x.cmp(y),
        (Value::Tid(x, i), Value::Tid(y, j)) => (x, i).cmp(&(y, j)),
        (Value::Jsonb(x), Value::Jsonb(y)) => x.cmp(y),
        (Value::Inet(x), Value::Inet(y)) => x.cmp(y),
        (Value::MacAddr(x), Value::MacAddr(y)) => x.cmp(y),
        (Value::MacAddr8(x), Value::MacAddr8(y)) => x.cmp(y),
        (Value::Bits(x), Value::Bits(y)) => x.cmp(y),
        (Value::Array(x), Value::Array(y)) => compare_arrays(x, y),
        (Value::Record(x), Value::Record(y)) => compare_records(x, y),
        // Different types never meet in one column; order them somehow, but consistently.
        (x, y) => rank(x).cmp(&rank(y)),
    }
}

fn rank(v: &Value) -> u8 {
    match v {
        Value::Bool(_) => 0,
        Value::Char(_) => 1,
        Value::Int2(_) => 2,
        Value::Int4(_) => 3,
        Value::Int8(_) => 4,
        Value::Oid(_) => 5,
        Value::Float4(_) => 6,
        Value::Float8(_) => 7,
        Value::Numeric(_) => 8,
        Value::Text(_) => 9,
        Value::Bytea(_) => 10,
        Value::Date(_) => 11,
        Value::Time(_) => 12,
        Value::TimeTz(_) => 13,
        Value::Timestamp(_) => 14,
        Value::TimestampTz(_) => 15,
        Value::Interval(_) => 16,
        Value::Uuid(_) => 17,
        Value::Tid(..) => 18,
        Value::Array(_) => 19,
        Value::Record(_) => 20,
        Value::Jsonb(_) => 21,
        Value::JsonPath(_) => 27,
        Value::Inet(_) => 22,
        Value::MacAddr(_) => 23,
        Value::MacAddr8(_) => 24,
        Value::Bits(_) => 25,
        Value::Null => 26,
        Value::Geometry(_) => 28,
    }
}

fn compare_text(ty: Oid, a: &[u8], b: &[u8]) -> Ordering {
    if ty == oid::BPCHAR { trim_blanks(a).cmp(trim_blanks(b)) } else { a.cmp(b) }
}

fn compare_arrays(a: &ArrayValue, b: &ArrayValue) -> Ordering {
    let elements = a.values.iter().zip(&b.values).map(|(x, y)| compare(a.element, x, y));
    first_difference(elements)
        .then_with(|| a.values.len().cmp(&b.values.len()))
        .then_with(|| a.dims.len().cmp(&b.dims.len()))
        .then_with(|| a.dims.iter().map(|d| d.0).cmp(b.dims.iter().map(|d| d.0)))
        .then_with(|| a.dims.iter().map(|d| d.1).cmp(b.dims.iter().map(|d| d.1)))
}

fn compare_records(a: &RecordValue, b: &RecordValue) -> Ordering {
    let fields = a.values.iter().zip(&b.values).zip(&a.types).map(|((x, y), ty)| compare(*ty, x, y));
    first_difference(fields).then_with(|| a.values.len().cmp(&b.values.len()))
}

fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders.find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
}

/// True when [`compare`] says equal: NULLs count as equal (grouping, DISTINCT; not the `=` operator).
pub fn equal(ty: Oid, a: &Value, b: &Value) -> bool {
    compare(ty, a, b).is_eq()
}

/// Order of row `i` of one column and row `j` of another of the same type; NULLs as in [`compare`].
pub fn compare_rows(a: &Vector, i: usize, b: &Vector, j: usize) -> Ordering {
    match (a.is_null(i), b.is_null(j)) {
        (false, false) => {}
        (x, y) => return x.cmp(&y),
    }
    let (i, j) = (a.index(i), b.index(j));
    match (&a.data, &b.data) {
        (ColumnData::Bool(x), ColumnData::Bool(y)) => x[i].cmp(&y[j]),
        (ColumnData::Int2(x), ColumnData::Int2(y)) => x[i].cmp(&y[j]),
        (ColumnData::Int4(x), ColumnData::Int4(y)) => x[i].cmp(&y[j]),
        (ColumnData::Int8(x), ColumnData::Int8(y)) => x[i].cmp(&y[j]),
        (ColumnData::Oid(x), ColumnData::Oid(y)) => x[i].cmp(&y[j]),
        (ColumnData::Float4(x), ColumnData::Float4(y)) => compare_f64(x[i].into(), y[j].into()),
        (ColumnData::Float8(x), ColumnData::Float8(y)) => compare_f64(x[i], y[j]),
        (ColumnData::Numeric(x), ColumnData::Numeric(y)) => x[i].compare(&y[j]),
        (ColumnData::Text(x), ColumnData::Text(y)) => compare_text(a.ty.oid, x.get(i), y.get(j)),
        (ColumnData::Bytea(x), ColumnData::Bytea(y)) => x.get(i).cmp(y.get(j)),
        (ColumnData::Interval(x), ColumnData::Interval(y)) => interval_span(&x[i]).cmp(&interval_span(&y[j])),
        (ColumnData::Uuid(x), ColumnData::Uuid(y)) => x[i].cmp(&y[j]),
        (ColumnData::Other(x), ColumnData::Other(y)) => compare(a.ty.oid, &x[i], &y[j]),
        (x, y) => compare(a.ty.oid, &x.value(a.ty.oid, i), &y.value(b.ty.oid, j)),
    }
}

/// True when the rows are equal, NULLs counting as equal to each other.
pub fn equal_rows(a: &Vector, i: usize, b: &Vector, j: usize) -> bool {
    compare_rows(a, i, b, j).is_eq()
}

const SEED: u64 = 0x243f_6a88_85a3_08d3;
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const NULL_HASH: u64 = 0x1319_8a2e_0370_7344;

/// Both halves of a 128-bit product: every input bit reaches every output bit.
#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let p = u128::from(a ^ SEED) * u128::from(b ^ STEP);
    (p as u64) ^ (p >> 64) as u64
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    foldhash::fast::FixedState::with_seed(SEED).hash_one(bytes)
}

#[inline]
fn hash_i64(v: i64) -> u64 {
    mix(v as u64, STEP.rotate_left(32))
}

fn hash_f64(v: f64) -> u64 {
    // One NaN, one zero.
    let v = if v.is_nan() {
        f64::NAN
    } else if v == 0.0 {
        0.0
    } else {
        v
    };
    hash_i64(v.to_bits() as i64)
}

fn hash_numeric(v: &crate::Numeric) -> u64 {
    let mut state = foldhash::fast::FixedState::with_seed(SEED).build_hasher();
    v.hash_value(&mut state);
    state.finish()
}

fn hash_text(ty: Oid, bytes: &[u8]) -> u64 {
    hash_bytes(if ty == oid::BPCHAR { trim_blanks(bytes) } else { bytes })
}

fn hash_span(v: &Interval) -> u64 {
    let span = interval_span(v);
    mix(span as u64, (span >> 64) as u64)
}

/// Hash of a value of type `ty`.
pub fn hash(ty: Oid, v: &Value) -> u64 {
    match v {
        Value::Null => NULL_HASH,
        Value::Bool(x) => hash_i64((*x).into()),
        Value::Char(x) => hash_i64((*x).into()),
        Value::Int2(x) => hash_i64((*x).into()),
        Value::Int4(x) | Value::Date(x) => hash_i64((*x).into()),
        Value::Int8(x) | Value::Time(x) | Value::Timestamp(x) | Value::TimestampTz(x) => hash_i64(*x),
        Value::Oid(x) => hash_i64((*x).into()),
        Value::Float4(x) => hash_f64((*x).into()),
        Value::Float8(x) => hash_f64(*x),
        Value::Numeric(x) => hash_numeric(x),
        Value::Text(x) => hash_text(ty, x.as_bytes()),
        Value::Bytea(x) => hash_bytes(x),
        Value::TimeTz(x) => {
            let (moment, zone) = timetz_key(x);
            mix(moment as u64, zone as u64)
        }
        Value::Interval(x) => hash_span(x),
        Value::Uuid(x) => hash_bytes(x),
        Value::Tid(b, o) => hash_i64(i64::from(*b) << 16 | i64::from(*o)),
        Value::Jsonb(x) => x.hash(SEED),
        // Paths have no equality: nothing is grouped by them.
        Value::JsonPath(_) => SEED,
        Value::Inet(x) => mix(hash_bytes(&x.address), u64::from(x.bits) << 1 | u64::from(x.v6)),
        Value::MacAddr(x) => hash_bytes(x),
        Value::MacAddr8(x) => hash_bytes(x),
        Value::Bits(x) => mix(hash_bytes(x.bytes()), x.len() as u64),
        // Their equality is not one of bits: nothing is grouped by them.
        Value::Geometry(_) => SEED,
        Value::Array(a) => a.values.iter().fold(SEED, |h, x| combine(h, hash(a.element, x))),
        Value::Record(r) => r.values.iter().zip(&r.types).fold(SEED, |h, (x, ty)| combine(h, hash(*ty, x))),
    }
}

/// Hash of row `row`.
pub fn hash_row(v: &Vector, row: usize) -> u64 {
    if v.is_null(row) {
        return NULL_HASH;
    }
    hash_item(v, v.index(row))
}

#[inline]
fn hash_item(v: &Vector, i: usize) -> u64 {
    match &v.data {
        ColumnData::Bool(x) => hash_i64(x[i].into()),
        ColumnData::Int2(x) => hash_i64(x[i].into()),
        ColumnData::Int4(x) => hash_i64(x[i].into()),
        ColumnData::Int8(x) => hash_i64(x[i]),
        ColumnData::Oid(x) => hash_i64(x[i].into()),
        ColumnData::Float4(x) => hash_f64(x[i].into()),
        ColumnData::Float8(x) => hash_f64(x[i]),
        ColumnData::Numeric(x) => hash_numeric(&x[i]),
        ColumnData::Text(x) => hash_text(v.ty.oid, x.get(i)),
        ColumnData::Bytea(x) => hash_bytes(x.get(i)),
        ColumnData::Interval(x) => hash_span(&x[i]),
        ColumnData::Uuid(x) => hash_bytes(&x[i]),
        ColumnData::Other(x) => hash(v.ty.oid, &x[i]),
    }
}

/// Adds a value's hash to the hash of the columns before it.
#[inline]
pub fn combine(before: u64, next: u64) -> u64 {
    mix(before.rotate_left(23), next)
}

/// Hashes the rows of several columns: `out[row]` for the rows in `selection` (all `rows` when `None`); other slots
/// are left as they are. `out` must hold `rows` elements.
pub fn hash_columns(columns: &[Arc<Vector>], rows: usize, selection: Option<&[u32]>, out: &mut [u64]) {
    for (n, column) in columns.iter().enumerate() {
        let mut each = |row: usize| {
            let h = hash_row(column, row);
            if let Some(slot) = out.get_mut(row) {
                *slot = if n == 0 { h } else { combine(*slot, h) };
            }
        };
        match selection {
            None => (0..rows).for_each(&mut each),
            Some(s) => s.iter().for_each(|&r| each(r as usize)),
        }
    }
    if columns.is_empty() {
        out.iter_mut().take(rows).for_each(|h| *h = SEED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Numeric, SqlType};

    #[track_caller]
    fn alike(ty: Oid, a: Value, b: Value) {
        assert!(equal(ty, &a, &b));
        assert_eq!(hash(ty, &a), hash(ty, &b));
        let columns = |v| Vector::constant(v, SqlType::new(ty)).unwrap();
        let (x, y) = (columns(&a), columns(&b));
        assert!(equal_rows(&x, 3, &y, 9));
        assert_eq!(hash_row(&x, 0), hash(ty, &b));
        assert_eq!(hash_row(&y, 0), hash(ty, &a));
    }

    #[test]
    fn equal_values_hash_alike() {
        let numeric = |s: &str| Value::Numeric(Numeric::parse(s).unwrap());
        alike(oid::NUMERIC, numeric("1.0"), numeric("1.00"));
        alike(oid::NUMERIC, numeric("100000000000000000000.0"), numeric("100000000000000000000"));
        alike(oid::NUMERIC, numeric("5"), numeric("5.0000000000000000000000000"));
        alike(oid::FLOAT8, Value::Float8(0.0), Value::Float8(-0.0));
        alike(oid::FLOAT8, Value::Float8(f64::NAN), Value::Float8(-f64::NAN));
        alike(oid::BPCHAR, Value::text("a"), Value::text("a  "));
        let interval = |months, days| Value::Interval(Interval { months, days, micros: 0 });
        alike(oid::INTERVAL, interval(1, 0), interval(0, 30));
        alike(oid::INT4, Value::Null, Value::Null);
        assert_eq!(hash(oid::INT4, &Value::Int4(-7)), hash(oid::INT8, &Value::Int8(-7)));
        assert!(!equal(oid::TEXT, &Value::text("a"), &Value::text("a  ")));
    }

    #[test]
    fn order_is_sqls() {
        let less = |ty, a: Value, b: Value| assert!(compare(ty, &a, &b).is_lt(), "{a:?} {b:?}");
        less(oid::FLOAT8, Value::Float8(f64::INFINITY), Value::Float8(f64::NAN));
        less(oid::NUMERIC, Value::Numeric(Numeric::INFINITY), Value::Numeric(Numeric::NAN));
        less(oid::INT4, Value::Int4(1), Value::Null);
        less(oid::TEXT, Value::text("B"), Value::text("a"));
        let tz = |micros, zone| Value::TimeTz(TimeTz { micros, zone });
        less(oid::TIMETZ, tz(7_200_000_000, 0), tz(3_600_000_000, 3_600));
    }
}
