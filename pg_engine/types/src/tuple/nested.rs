//! Arrays and records inside a field.
//!
//! Array: element oid, dimension count, (length, lower bound) of each, then the elements; record: field count, then
//! oid and value of each. A value is a byte (0 NULL, 1 present) and, when present, a field as in a tuple.

use alloc::{sync::Arc, vec::Vec};

use super::{Field, VARIABLE, corrupt, decode::Reader, encode, fixed_width};
use crate::{
    error::Result,
    oid::{Oid, SqlType},
    value::{ArrayValue, RecordValue, Value},
    vector::Physical,
};

/// Arrays have no more dimensions.
const MAX_DIMENSIONS: usize = 6;
/// Records within records: deeper ones are corrupt (SQL cannot make them so deep either).
const MAX_DEPTH: usize = 32;

pub(super) fn put_array(v: &ArrayValue, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&v.element.to_le_bytes());
    out.push(v.dims.len() as u8);
    for (len, lower) in &v.dims {
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&lower.to_le_bytes());
    }
    encode::put_length(v.values.len(), out);
    for value in &v.values {
        put_optional(value, out)?;
    }
    Ok(())
}

pub(super) fn put_record(v: &RecordValue, out: &mut Vec<u8>) -> Result<()> {
    encode::put_length(v.values.len(), out);
    for (i, value) in v.values.iter().enumerate() {
        out.extend_from_slice(&v.types.get(i).copied().unwrap_or(0).to_le_bytes());
        put_optional(value, out)?;
    }
    Ok(())
}

fn put_optional(value: &Value, out: &mut Vec<u8>) -> Result<()> {
    out.push(u8::from(!value.is_null()));
    encode::put_value(value, out)
}

pub(super) fn get_array(data: &[u8], depth: usize) -> Result<Value> {
    let mut r = Reader::new(data);
    let element = u32::from_le_bytes(r.array()?);
    let count = usize::from(r.array::<1>()?[0]);
    if count > MAX_DIMENSIONS {
        return Err(corrupt("array in a stored row has too many dimensions"));
    }
    let mut dims = Vec::with_capacity(count);
    let mut product = i64::from(count > 0);
    for _ in 0..count {
        let (len, lower) = (i32::from_le_bytes(r.array()?), i32::from_le_bytes(r.array()?));
        product = product.saturating_mul(i64::from(len));
        dims.push((len, lower));
    }
    let n = r.length()?;
    // Each element takes at least a byte.
    if n > r.remaining() || n as i64 != product {
        return Err(corrupt("array in a stored row has a wrong number of elements"));
    }
    let mut values = Vec::with_capacity(n);
    for _ in 0..n {
        values.push(get_optional(element, &mut r, depth)?);
    }
    r.finish()?;
    Ok(Value::Array(Arc::new(ArrayValue { element, dims, values })))
}

pub(super) fn get_record(data: &[u8], depth: usize) -> Result<Value> {
    let mut r = Reader::new(data);
    let n = r.length()?;
    if n > r.remaining() {
        return Err(corrupt("record in a stored row has a wrong number of fields"));
    }
    let (mut types, mut values) = (Vec::with_capacity(n), Vec::with_capacity(n));
    for _ in 0..n {
        let ty = u32::from_le_bytes(r.array()?);
        types.push(ty);
        values.push(get_optional(ty, &mut r, depth)?);
    }
    r.finish()?;
    Ok(Value::Record(Arc::new(RecordValue { types, values, names: None })))
}

fn get_optional(ty: Oid, r: &mut Reader<'_>, depth: usize) -> Result<Value> {
    match r.array::<1>()?[0] {
        0 => return Ok(Value::Null),
        1 => {}
        _ => return Err(corrupt("element of an array or record in a stored row is malformed")),
    }
    if depth >= MAX_DEPTH {
        return Err(corrupt("arrays or records in a stored row are nested too deeply"));
    }
    let ty = SqlType::new(ty);
    let class = Physical::of(ty.oid);
    let field = Field { ty, class, width: fixed_width(ty, class), offset: 0, anchor: 0 };
    let bytes = if field.width == VARIABLE { r.sized()? } else { r.take(usize::from(field.width))? };
    field.value(bytes, depth + 1)
}
