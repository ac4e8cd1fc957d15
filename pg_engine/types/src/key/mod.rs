//! Keys whose bytes sort like the values they stand for.
//!
//! One key is the columns end to end. Each column starts with a byte that places NULLs (0 before, 2 after, 1 for a
//! value), then the value:
//!
//! * integers, dates, times: big-endian, sign bit flipped; floats: big-endian bits, all flipped when negative
//! * text and bytea: the bytes, 00 written as 00 FF, ended by 00 00 (char(n) without its trailing blanks)
//! * numeric: class byte, biased weight, base-100 digits plus one, ended by 00; flipped when negative
//! * jsonb: class, number of elements, each element with its class; inet: family, network, bits, address
//! * bit strings: the bytes as those of bytea, then the number of bits
//! * arrays: each element like a column, ended by 00; then the shape
//!
//! A descending column has all bytes but the first flipped. No encoded column is a prefix of another of its type, so
//! keys compare right with `memcmp` whatever follows them (a row id, say). Keys compare equal exactly when the values
//! do, but not all can be turned back into values ([`is_decodable`]): numeric loses its scale, char(n) its blanks.

mod decode;
mod range;
#[cfg(test)]
mod tests;

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use pg_json::{Kind, View};

use crate::{
    compare,
    error::{Result, SqlError},
    numeric::{Digits, Numeric},
    oid::{self, Oid},
    value::{ArrayValue, Value},
    vector::{ColumnData, Physical, Vector},
};

pub use decode::is_decodable;
pub use range::{KeyRange, successor};

const NULL_FIRST: u8 = 0;
const PRESENT: u8 = 1;
const NULL_LAST: u8 = 2;

/// One column of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyColumn {
    /// The type; its modifier does not matter.
    pub ty: Oid,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST.
    pub nulls_first: bool,
}

impl KeyColumn {
    /// ASC NULLS LAST.
    pub const fn ascending(ty: Oid) -> Self {
        Self { ty, descending: false, nulls_first: false }
    }
}

/// The columns of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLayout {
    columns: Box<[KeyColumn]>,
}

impl KeyLayout {
    /// For these columns.
    pub fn new(columns: impl Into<Box<[KeyColumn]>>) -> Self {
        Self { columns: columns.into() }
    }
    /// The columns.
    pub fn columns(&self) -> &[KeyColumn] {
        &self.columns
    }
    /// Appends the key of `values`; fewer values than columns make a prefix.
    pub fn encode(&self, values: &[Value], out: &mut Vec<u8>) -> Result<()> {
        for (column, value) in self.columns.iter().zip(values) {
            column.put(value, out)?;
        }
        Ok(())
    }
    /// Appends the key of row `row` of these columns.
    pub fn encode_row(&self, columns: &[Arc<Vector>], row: usize, out: &mut Vec<u8>) -> Result<()> {
        for (column, vector) in self.columns.iter().zip(columns) {
            column.put_row(vector, row, out)?;
        }
        Ok(())
    }
}

impl KeyColumn {
    fn put_marker(&self, null: bool, out: &mut Vec<u8>) {
        out.push(match (null, self.nulls_first) {
            (false, _) => PRESENT,
            (true, true) => NULL_FIRST,
            (true, false) => NULL_LAST,
        });
    }
    /// A four- or eight-byte integer with its marker, in one piece.
    #[inline]
    fn put_fixed<const N: usize>(&self, ordered: [u8; 8], out: &mut Vec<u8>) {
        let mut bytes = [PRESENT; 9];
        let flip = if self.descending { 0xff } else { 0 };
        for (to, from) in bytes[1..=N].iter_mut().zip(ordered) {
            *to = from ^ flip;
        }
        out.extend_from_slice(&bytes[..=N]);
    }
    #[inline]
    fn put_int4(&self, v: i32, out: &mut Vec<u8>) {
        self.put_fixed::<4>((u64::from(v as u32 ^ 1 << 31) << 32).to_be_bytes(), out);
    }
    #[inline]
    fn put_int8(&self, v: i64, out: &mut Vec<u8>) {
        self.put_fixed::<8>((v as u64 ^ 1 << 63).to_be_bytes(), out);
    }
    /// Appends one column.
    #[inline]
    pub fn put(&self, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        match (self.ty, value) {
            (oid::INT4, Value::Int4(v)) => self.put_int4(*v, out),
            (oid::INT8, Value::Int8(v)) => self.put_int8(*v, out),
            _ => return self.put_any(value, out),
        }
        Ok(())
    }
    fn put_any(&self, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        self.put_marker(value.is_null(), out);
        if value.is_null() {
            return Ok(());
        }
        let start = out.len();
        put_value(self.ty, value, out)?;
        self.flip(start, out);
        Ok(())
    }
    /// Appends row `row` of a column.
    #[inline]
    pub fn put_row(&self, vector: &Vector, row: usize, out: &mut Vec<u8>) -> Result<()> {
        let null = vector.is_null(row);
        let i = vector.index(row);
        match (&vector.data, self.ty) {
            (ColumnData::Int4(v), oid::INT4) if !null => {
                self.put_int4(v[i], out);
                return Ok(());
            }
            (ColumnData::Int8(v), oid::INT8) if !null => {
                self.put_int8(v[i], out);
                return Ok(());
            }
            _ => {}
        }
        self.put_marker(null, out);
        if null {
            return Ok(());
        }
        let start = out.len();
        match (&vector.data, Physical::of(self.ty)) {
            (ColumnData::Int4(v), Physical::Int4) => put_i32(v[i], out),
            (ColumnData::Int8(v), Physical::Int8) => put_i64(v[i], out),
            (ColumnData::Text(v), Physical::Text) => put_text(self.ty, v.get(i), out),
            (ColumnData::Numeric(v), Physical::Numeric) => put_numeric(&v[i], out),
            (ColumnData::Uuid(v), Physical::Uuid) => out.extend_from_slice(&v[i]),
            (data, _) => put_value(self.ty, &data.value(vector.ty.oid, i), out)?,
        }
        self.flip(start, out);
        Ok(())
    }
    fn flip(&self, start: usize, out: &mut [u8]) {
        if self.descending {
            out[start..].iter_mut().for_each(|b| *b = !*b);
        }
    }
}

#[inline]
fn put_i32(v: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&(v as u32 ^ 1 << 31).to_be_bytes());
}

#[inline]
fn put_i64(v: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(v as u64 ^ 1 << 63).to_be_bytes());
}

fn put_i128(v: i128, out: &mut Vec<u8>) {
    out.extend_from_slice(&(v as u128 ^ 1 << 127).to_be_bytes());
}

fn put_f64(v: f64, out: &mut Vec<u8>) {
    let bits = if v.is_nan() { f64::NAN.abs() } else { v + 0.0 }.to_bits();
    let ordered = if bits >> 63 != 0 { !bits } else { bits | 1 << 63 };
    out.extend_from_slice(&ordered.to_be_bytes());
}

fn put_text(ty: Oid, bytes: &[u8], out: &mut Vec<u8>) {
    put_bytes(if ty == oid::BPCHAR { compare::trim_blanks(bytes) } else { bytes }, out);
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 2);
    let mut pieces = bytes.split(|b| *b == 0);
    out.extend_from_slice(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.extend_from_slice(&[0, 0xff]);
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(&[0, 0]);
}

/// A non-NULL value of type `ty` or of a narrower integer or float type.
fn put_value(ty: Oid, value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match (Physical::of(ty), value) {
        (Physical::Int4, Value::Int4(v) | Value::Date(v)) => put_i32(*v, out),
        (Physical::Int4, Value::Int2(v)) => put_i32((*v).into(), out),
        (Physical::Int8, Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::TimestampTz(v)) => {
            put_i64(*v, out);
        }
        (Physical::Int8, Value::Int4(v)) => put_i64((*v).into(), out),
        (Physical::Int8, Value::Int2(v)) => put_i64((*v).into(), out),
        (Physical::Text, Value::Text(v)) => put_text(ty, v.as_bytes(), out),
        (Physical::Bool, Value::Bool(v)) => out.push(u8::from(*v)),
        (Physical::Int2, Value::Int2(v)) => out.extend_from_slice(&(*v as u16 ^ 1 << 15).to_be_bytes()),
        (Physical::Oid, Value::Oid(v)) => out.extend_from_slice(&v.to_be_bytes()),
        (Physical::Float4 | Physical::Float8, Value::Float4(v)) => put_f64((*v).into(), out),
        (Physical::Float8, Value::Float8(v)) => put_f64(*v, out),
        (Physical::Numeric, Value::Numeric(v)) => put_numeric(v, out),
        (Physical::Bytea, Value::Bytea(v)) => put_bytes(v, out),
        (Physical::Interval, Value::Interval(v)) => put_i128(compare::interval_span(v), out),
        (Physical::Uuid, Value::Uuid(v)) => out.extend_from_slice(v),
        (Physical::Other, Value::Char(v)) => out.push(*v),
        (Physical::Other, Value::TimeTz(v)) => {
            let (moment, zone) = compare::timetz_key(v);
            put_i64(moment, out);
            put_i32(zone, out);
        }
        (Physical::Other, Value::Tid(block, offset)) => {
            out.extend_from_slice(&block.to_be_bytes());
            out.extend_from_slice(&offset.to_be_bytes());
        }
        (Physical::Other, Value::Jsonb(v)) => put_document(v.root(), out)?,
        (Physical::Other, Value::Inet(v)) => {
            out.push(u8::from(v.v6));
            out.extend_from_slice(&v.network());
            out.push(v.bits);
            out.extend_from_slice(&v.address);
        }
        (Physical::Other, Value::MacAddr(v)) => out.extend_from_slice(v),
        (Physical::Other, Value::MacAddr8(v)) => out.extend_from_slice(v),
        (Physical::Other, Value::Bits(v)) => {
            put_bytes(v.bytes(), out);
            out.extend_from_slice(&(v.len() as u32).to_be_bytes());
        }
        (Physical::Other, Value::Array(v)) => put_array(v, out)?,
        (Physical::Other, Value::Record(v)) => {
            put_elements(v.values.iter().zip(&v.types).map(|(v, ty)| (*ty, v)), out)?;
        }
        _ => return Err(SqlError::internal("index key value of another type than its column")),
    }
    Ok(())
}

fn put_elements<'a>(items: impl Iterator<Item = (Oid, &'a Value)>, out: &mut Vec<u8>) -> Result<()> {
    for (ty, v) in items {
        KeyColumn::ascending(ty).put(v, out)?;
    }
    out.push(0);
    Ok(())
}

fn put_array(v: &ArrayValue, out: &mut Vec<u8>) -> Result<()> {
    put_elements(v.values.iter().map(|x| (v.element, x)), out)?;
    out.push(v.dims.len() as u8);
    v.dims.iter().for_each(|d| put_i32(d.0, out));
    v.dims.iter().for_each(|d| put_i32(d.1, out));
    Ok(())
}

/// A scalar counts as an array of one, before the arrays of one element.
fn put_document(v: View<'_>, out: &mut Vec<u8>) -> Result<()> {
    if v.is_object() {
        out.push(1);
        return put_members(v, out);
    }
    out.push(0);
    let n = if v.is_array() { v.len() as u32 } else { 1 };
    out.extend_from_slice(&n.to_be_bytes());
    out.push(u8::from(v.is_array()));
    if v.is_array() { v.elements().try_for_each(|e| put_json(e, out)) } else { put_json(v, out) }
}

fn put_members(v: View<'_>, out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&(v.len() as u32).to_be_bytes());
    for (key, value) in v.members() {
        put_bytes(key.as_bytes(), out);
        put_json(value, out)?;
    }
    Ok(())
}

fn put_json(v: View<'_>, out: &mut Vec<u8>) -> Result<()> {
    match v.kind() {
        Kind::Null => out.push(0),
        Kind::String(s) => {
            out.push(1);
            put_bytes(s.as_bytes(), out);
        }
        Kind::Number(n) => {
            out.push(2);
            put_numeric(&Numeric::parse(n)?, out);
        }
        Kind::Bool(b) => out.extend_from_slice(&[3, u8::from(b)]),
        Kind::Array(n) => {
            out.push(4);
            out.extend_from_slice(&(n as u32).to_be_bytes());
            return v.elements().try_for_each(|e| put_json(e, out));
        }
        Kind::Object(_) => {
            out.push(5);
            return put_members(v, out);
        }
    }
    Ok(())
}

/// Classes in order: -Infinity, negative, zero, positive, Infinity, NaN.
fn put_numeric(v: &Numeric, out: &mut Vec<u8>) {
    let Some(d) = v.digits() else {
        out.push(match (v.is_nan(), v.signum()) {
            (true, _) => 6,
            (false, s) if s < 0 => 1,
            _ => 5,
        });
        return;
    };
    if d.is_zero() {
        return out.push(3);
    }
    out.push(if d.negative { 2 } else { 4 });
    let start = out.len();
    put_magnitude(&d, out);
    if d.negative {
        out[start..].iter_mut().for_each(|b| *b = !*b);
    }
}

fn put_magnitude(d: &Digits, out: &mut Vec<u8>) {
    out.extend_from_slice(&((d.weight + 0x4000) as u16).to_be_bytes());
    for digit in &d.digits {
        out.push((digit / 100) as u8 + 1);
        out.push((digit % 100) as u8 + 1);
    }
    // Nothing stands for zeros at the end.
    if out.last() == Some(&1) {
        out.pop();
    }
    out.push(0);
}
