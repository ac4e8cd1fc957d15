//! Index keys: values as memcomparable bytes.

use alloc::vec::Vec;

use pg_types::{
    Oid, Result, SqlError, SqlState, Value, Vector, VectorBuilder, key::KeyColumn, oid, tuple::TupleLayout,
};

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
    if is_sized(k) { put_sized(k, v, out) } else { column(k).put(v, out) }
}

/// Appends row `row` of a column as one column of an index key.
#[inline]
pub fn encode_index_vector(k: &IndexKey, v: &Vector, row: usize, out: &mut Vec<u8>) -> Result<()> {
    if is_sized(k) { put_sized(k, &v.value(row), out) } else { column(k).put_row(v, row, out) }
}

/// Appends the whole key of an index entry. `put` appends column `n` and says whether it is NULL; the answer: whether a compared
/// column is.
#[inline]
pub fn encode_entry(
    keys: &[IndexKey],
    out: &mut Vec<u8>,
    mut put: impl FnMut(usize, &IndexKey, &mut Vec<u8>) -> Result<bool>,
) -> Result<bool> {
    let start = out.len();
    let (mut null, mut compared) = (false, None);
    for (n, k) in keys.iter().enumerate() {
        if k.carried && compared.is_none() {
            compared = Some(out.len() - start);
        }
        null |= put(n, k, out)? && !k.carried;
    }
    if let Some(compared) = compared {
        pg_storage::carry(out, compared);
    }
    Ok(null)
}

/// Can the column's values be read back from keys?
pub fn is_decodable(k: &IndexKey) -> bool {
    k.carried || pg_types::key::is_decodable(k.ty.oid)
}

/// Reads one column off the front of a key, see [`KeyColumn::take`].
#[inline]
pub fn take_index_value<'k>(
    k: &IndexKey,
    key: &'k [u8],
    out: Option<&mut VectorBuilder>,
) -> Result<&'k [u8]> {
    if is_sized(k) { take_sized(k, key, out) } else { column(k).take(key, out) }
}

/// The part of a key that holds so many leading columns, which [`is_decodable`] holds for.
pub fn leading_part<'k>(columns: &[IndexKey], count: usize, key: &'k [u8]) -> Result<&'k [u8]> {
    let mut rest = key;
    for column in columns.iter().take(count) {
        rest = take_index_value(column, rest, None)?;
    }
    key.get(..key.len() - rest.len()).ok_or_else(corrupt)
}

/// Of an index that carries columns: the part of a key that holds them.
pub fn carried_part(key: &[u8]) -> Result<&[u8]> {
    pg_storage::carried(key).map(|(_, carried)| carried).ok_or_else(corrupt)
}

/// Is the column stored as in a row, behind its length (u16)? Comparable bytes do not tell 1.0 from 1.00.
#[inline]
fn is_sized(k: &IndexKey) -> bool {
    k.carried && !pg_types::key::is_decodable(k.ty.oid)
}

#[cold]
fn corrupt() -> SqlError {
    SqlError::new(SqlState::INDEX_CORRUPTED, "an index key is malformed")
}

fn put_sized(k: &IndexKey, v: &Value, out: &mut Vec<u8>) -> Result<()> {
    let at = out.len();
    out.extend_from_slice(&[0; 2]);
    TupleLayout::new(&[k.ty]).encode(core::slice::from_ref(v), out)?;
    // A length that does not fit is that of a key that does not fit either.
    let len = u16::try_from(out.len() - at - 2).unwrap_or(u16::MAX);
    if let Some(to) = out.get_mut(at..at + 2) {
        to.copy_from_slice(&len.to_le_bytes());
    }
    Ok(())
}

fn take_sized<'k>(k: &IndexKey, key: &'k [u8], out: Option<&mut VectorBuilder>) -> Result<&'k [u8]> {
    let (len, rest) = key.split_first_chunk::<2>().ok_or_else(corrupt)?;
    let (bytes, rest) = rest.split_at_checked(u16::from_le_bytes(*len).into()).ok_or_else(corrupt)?;
    if let Some(out) = out {
        TupleLayout::new(&[k.ty]).decode_into(bytes, &[0], &[], core::slice::from_mut(out))?;
    }
    Ok(rest)
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
