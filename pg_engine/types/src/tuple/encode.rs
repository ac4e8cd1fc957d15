//! Rows to bytes.

use alloc::{sync::Arc, vec::Vec};

use super::{Field, HAS_NULLS, MAX_FIELDS, TupleLayout, VARIABLE, holds_array, holds_record, nested};
use crate::{
    error::{Result, SqlError, SqlState},
    oid, typeinfo,
    value::{Interval, Value},
    vector::{ColumnData, Physical, Vector},
};

impl TupleLayout {
    /// Appends the payload of a row of values (one per column).
    pub fn encode(&self, values: &[Value], out: &mut Vec<u8>) -> Result<()> {
        self.check_count(values.len())?;
        header(values.len(), values.iter().map(Value::is_null), out);
        for (field, value) in self.fields.iter().zip(values) {
            if !field.accepts(value) {
                return Err(mismatch(field));
            }
            put_value(value, out)?;
        }
        Ok(())
    }
    /// Appends the payload of row `row` of these columns (one per column of the table).
    pub fn encode_row(&self, columns: &[Arc<Vector>], row: usize, out: &mut Vec<u8>) -> Result<()> {
        self.check_count(columns.len())?;
        header(columns.len(), columns.iter().map(|c| c.is_null(row)), out);
        for (field, column) in self.fields.iter().zip(columns) {
            if column.data.physical() != field.class {
                return Err(mismatch(field));
            }
            if !column.is_null(row) {
                let i = column.index(row);
                match &column.data {
                    ColumnData::Other(v) if !field.accepts(&v[i]) => return Err(mismatch(field)),
                    data => put_item(data, i, out)?,
                }
            }
        }
        Ok(())
    }
    fn check_count(&self, n: usize) -> Result<()> {
        if n != self.len() {
            return Err(SqlError::internal(alloc::format!("{n} values for a row of {} columns", self.len())));
        }
        if n > MAX_FIELDS {
            return Err(SqlError::new(
                SqlState::TOO_MANY_COLUMNS,
                alloc::format!("number of columns ({n}) exceeds limit ({MAX_FIELDS})"),
            ));
        }
        Ok(())
    }
    /// Changes fixed-width, non-NULL fields of a tuple in place: what most updates of counters and balances are.
    /// False, with nothing changed, when a value's field is variable, NULL or missing in the tuple, or the new value is
    /// NULL: then encode the row anew.
    pub fn overwrite(&self, tuple: &mut [u8], changes: &[(usize, Value)]) -> Result<bool> {
        let mut places = [(0usize, 0usize); 8];
        if changes.len() > places.len() {
            return Ok(false);
        }
        for (place, (column, value)) in places.iter_mut().zip(changes) {
            if self.fields.get(*column).is_some_and(|f| !f.accepts(value)) {
                return Err(SqlError::internal("value of another type than its column"));
            }
            let found = if value.is_null() { None } else { self.fixed_field(tuple, *column)? };
            let Some(range) = found else { return Ok(false) };
            *place = range;
        }
        let mut bytes = Vec::with_capacity(16);
        for ((start, width), (_, value)) in places.iter().zip(changes) {
            bytes.clear();
            put_value(value, &mut bytes)?;
            match tuple.get_mut(*start..*start + *width) {
                Some(slot) if slot.len() == bytes.len() => slot.copy_from_slice(&bytes),
                _ => return Err(SqlError::internal("value of another type than its column")),
            }
        }
        Ok(true)
    }
}

impl Field {
    /// True for NULL and for values whose bytes decode as this field.
    fn accepts(&self, value: &Value) -> bool {
        match (value, self.class) {
            (Value::Null, _)
            | (Value::Bool(_), Physical::Bool)
            | (Value::Int2(_), Physical::Int2)
            | (Value::Int4(_) | Value::Date(_), Physical::Int4)
            | (
                Value::Int8(_) | Value::Time(_) | Value::Timestamp(_) | Value::TimestampTz(_),
                Physical::Int8,
            )
            | (Value::Oid(_), Physical::Oid)
            | (Value::Float4(_), Physical::Float4)
            | (Value::Float8(_), Physical::Float8)
            | (Value::Numeric(_), Physical::Numeric)
            | (Value::Text(_), Physical::Text)
            | (Value::Bytea(_), Physical::Bytea)
            | (Value::Interval(_), Physical::Interval)
            | (Value::Uuid(_), Physical::Uuid) => true,
            (Value::Char(_), Physical::Other) => self.ty.oid == oid::CHAR,
            (Value::Tid(..), Physical::Other) => self.ty.oid == oid::TID,
            (Value::TimeTz(_), Physical::Other) => self.ty.oid == oid::TIMETZ,
            (Value::Jsonb(_), Physical::Other) => self.ty.oid == oid::JSONB,
            (Value::JsonPath(_), Physical::Other) => self.ty.oid == oid::JSONPATH,
            (Value::Inet(_), Physical::Other) => matches!(self.ty.oid, oid::INET | oid::CIDR),
            (Value::MacAddr(_), Physical::Other) => self.ty.oid == oid::MACADDR,
            (Value::MacAddr8(_), Physical::Other) => self.ty.oid == oid::MACADDR8,
            (Value::Bits(_), Physical::Other) => matches!(self.ty.oid, oid::BIT | oid::VARBIT),
            (Value::Geometry(g), Physical::Other) => self.ty.oid == g.ty(),
            (Value::Array(_), Physical::Other) => self.width == VARIABLE && holds_array(self.ty.oid),
            (Value::Record(_), Physical::Other) => self.width == VARIABLE && holds_record(self.ty.oid),
            _ => false,
        }
    }
}

#[cold]
fn mismatch(field: &Field) -> SqlError {
    SqlError::internal(alloc::format!(
        "value of another type than its column's, {}",
        typeinfo::display(field.ty)
    ))
}

/// Writes count and NULL bitmap.
pub(super) fn header(count: usize, nulls: impl Iterator<Item = bool>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&(count as u16).to_le_bytes());
    let mut any = false;
    for (i, null) in nulls.enumerate() {
        if !null {
            continue;
        }
        if !any {
            any = true;
            out[start..start + 2].copy_from_slice(&(count as u16 | HAS_NULLS).to_le_bytes());
            out.resize(start + 2 + count.div_ceil(8), 0);
        }
        out[start + 2 + i / 8] |= 1 << (i % 8);
    }
}

pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

pub(super) fn put_length(mut n: usize, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Writes what `write` appends as a variable-length field.
fn put_sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let start = out.len();
    out.push(0);
    write(out)?;
    let len = out.len() - start - 1;
    if len < 0x80 {
        out[start] = len as u8;
        return Ok(());
    }
    let mut prefix = Vec::with_capacity(5);
    put_length(len, &mut prefix);
    out.splice(start..=start, prefix);
    Ok(())
}

fn put_interval(v: &Interval, out: &mut Vec<u8>) {
    out.extend_from_slice(&v.micros.to_le_bytes());
    out.extend_from_slice(&v.days.to_le_bytes());
    out.extend_from_slice(&v.months.to_le_bytes());
}

/// One field; nothing for NULL.
pub(super) fn put_value(value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Value::Null => {}
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::Char(v) => out.push(*v),
        Value::Int2(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Int4(v) | Value::Date(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::TimestampTz(v) => {
            out.extend_from_slice(&v.to_le_bytes());
        }
        Value::Oid(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Float4(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Float8(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Numeric(v) => {
            return put_sized(out, |out| {
                v.store(out);
                Ok(())
            });
        }
        Value::Text(v) => put_bytes(v.as_bytes(), out),
        Value::Bytea(v) => put_bytes(v, out),
        Value::TimeTz(v) => {
            out.extend_from_slice(&v.micros.to_le_bytes());
            out.extend_from_slice(&v.zone.to_le_bytes());
        }
        Value::Interval(v) => put_interval(v, out),
        Value::Uuid(v) => out.extend_from_slice(v),
        Value::Tid(block, offset) => {
            out.extend_from_slice(&block.to_le_bytes());
            out.extend_from_slice(&offset.to_le_bytes());
        }
        Value::Jsonb(v) => put_bytes(v.bytes(), out),
        Value::JsonPath(v) => put_bytes(alloc::format!("{v}").as_bytes(), out),
        Value::Inet(v) => {
            put_length(2 + v.bytes().len(), out);
            out.extend_from_slice(&[v.bits, u8::from(v.cidr)]);
            out.extend_from_slice(v.bytes());
        }
        Value::MacAddr(v) => out.extend_from_slice(v),
        Value::MacAddr8(v) => out.extend_from_slice(v),
        Value::Bits(v) => {
            put_length(4 + v.bytes().len(), out);
            out.extend_from_slice(&(v.len() as u32).to_le_bytes());
            out.extend_from_slice(v.bytes());
        }
        Value::Geometry(v) => {
            return put_sized(out, |out| {
                v.send(out);
                Ok(())
            });
        }
        Value::Array(v) => return put_sized(out, |out| nested::put_array(v, out)),
        Value::Record(v) => return put_sized(out, |out| nested::put_record(v, out)),
    }
    Ok(())
}

fn put_item(data: &ColumnData, i: usize, out: &mut Vec<u8>) -> Result<()> {
    match data {
        ColumnData::Bool(v) => out.push(u8::from(v[i])),
        ColumnData::Int2(v) => out.extend_from_slice(&v[i].to_le_bytes()),
        ColumnData::Int4(v) => out.extend_from_slice(&v[i].to_le_bytes()),
        ColumnData::Int8(v) => out.extend_from_slice(&v[i].to_le_bytes()),
        ColumnData::Oid(v) => out.extend_from_slice(&v[i].to_le_bytes()),
        ColumnData::Float4(v) => out.extend_from_slice(&v[i].to_le_bytes()),
        ColumnData::Float8(v) => out.extend_from_slice(&v[i].to_le_bytes()),
        ColumnData::Numeric(v) => {
            return put_sized(out, |out| {
                v[i].store(out);
                Ok(())
            });
        }
        ColumnData::Text(v) | ColumnData::Bytea(v) => put_bytes(v.get(i), out),
        ColumnData::Interval(v) => put_interval(&v[i], out),
        ColumnData::Uuid(v) => out.extend_from_slice(&v[i]),
        ColumnData::Other(v) => return put_value(&v[i], out),
    }
    Ok(())
}
