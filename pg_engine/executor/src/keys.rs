//! Keys for sorting, grouping and hashing.

use alloc::vec::Vec;

use pg_types::{Oid, Value, Vector, key::KeyColumn};

/// Appends a value's key, NULLs last.
pub(crate) fn encode(ty: Oid, v: &Value, out: &mut Vec<u8>) {
    let start = out.len();
    if KeyColumn::ascending(ty).put(v, out).is_err() {
        fallback(v, start, out);
    }
}

/// A value's key.
pub(crate) fn encode_one(ty: Oid, v: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode(ty, v, &mut out);
    out
}

/// Appends the sort key of a row of a column.
#[inline]
pub(crate) fn encode_vector(
    ty: Oid,
    v: &Vector,
    row: usize,
    descending: bool,
    nulls_first: bool,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    if (KeyColumn { ty, descending, nulls_first }).put_row(v, row, out).is_err() {
        fallback(&v.value(row), start, out);
    }
}

/// Types without an order (the binder refuses to sort them) still need equal keys for equal values.
#[cold]
fn fallback(v: &Value, start: usize, out: &mut Vec<u8>) {
    out.truncate(start);
    out.extend_from_slice(alloc::format!("{v:?}").as_bytes());
    out.push(0);
}
