//! Index keys: values as memcomparable bytes.

use alloc::vec::Vec;

use pg_types::{Oid, Result, Value, Vector, key::KeyColumn, oid};

use crate::desc::IndexKey;

/// A value brought to an index column's type.
#[derive(Clone, Debug, PartialEq)]
pub enum Converted {
    /// It fits.
    Value(Value),
    /// Smaller than anything the column can hold.
    TooSmall,
    /// Larger than anything the column can hold.
    TooLarge,
}

fn column(k: &IndexKey) -> KeyColumn {
    KeyColumn { ty: k.ty.oid, descending: k.descending, nulls_first: k.nulls_first }
}

/// Appends one column of an index key.
#[inline]
pub fn encode_index_value(k: &IndexKey, v: &Value, out: &mut Vec<u8>) -> Result<()> {
    column(k).put(v, out)
}

/// Appends row `row` of a column as one column of an index key.
#[inline]
pub fn encode_index_vector(k: &IndexKey, v: &Vector, row: usize, out: &mut Vec<u8>) -> Result<()> {
    column(k).put_row(v, row, out)
}

/// Can the column's values be read back from keys?
pub fn is_decodable(k: &IndexKey) -> bool {
    pg_types::key::is_decodable(k.ty.oid)
}

/// Reads one column off the front of a key, see [`KeyColumn::take`].
#[inline]
pub fn take_index_value<'k>(
    k: &IndexKey,
    key: &'k [u8],
    out: Option<&mut pg_types::VectorBuilder>,
) -> Result<&'k [u8]> {
    column(k).take(key, out)
}

/// Brings a value of a type that the column's operator family can compare with to the column's type.
pub fn convert(v: Value, ty: Oid) -> Converted {
    let n = match (&v, ty) {
        (Value::Int2(_), oid::INT2) | (Value::Int4(_), oid::INT4) | (Value::Int8(_), oid::INT8) => {
            return Converted::Value(v);
        }
        (Value::Int2(n), _) => i64::from(*n),
        (Value::Int4(n), _) => i64::from(*n),
        (Value::Int8(n), _) => *n,
        (Value::Float4(x), oid::FLOAT8) => return Converted::Value(Value::Float8(f64::from(*x))),
        _ => return Converted::Value(v),
    };
    let narrowed = match ty {
        oid::INT2 => i16::try_from(n).ok().map(Value::Int2),
        oid::INT4 => i32::try_from(n).ok().map(Value::Int4),
        oid::INT8 => Some(Value::Int8(n)),
        _ => Some(v),
    };
    match narrowed {
        Some(v) => Converted::Value(v),
        None if n < 0 => Converted::TooSmall,
        None => Converted::TooLarge,
    }
}
