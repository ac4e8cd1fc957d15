//! Batches as bytes and back: how rows lie in temporary files. Private to one run of the system.
//!
//! ```text
//! batch:   rows u32, columns u16, each: type u32, modifier i32, class u8, constant u8, values u32, NULL words u32 (each u64), data
//! data:    fixed width: the values, little-endian, end to end
//!          text, bytea: the ends of the values (u32 each), the bytes
//!          numeric, others: the values, each with its length or tag
//! ```
//!
//! Every length is checked: arbitrary bytes yield XX001 and never a panic or more memory than they are worth.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use super::{Batch, ColumnData, Encoding, Nulls, VarColumn, Vector};
use crate::{
    bits::Bits,
    error::{Result, SqlError, SqlState},
    network::Inet,
    numeric::Numeric,
    oid::SqlType,
    value::{ArrayValue, Interval, RecordValue, TimeTz, Value},
};

/// Values within values: deeper ones are not read back.
const MAX_DEPTH: usize = 64;

#[cold]
fn corrupt() -> SqlError {
    SqlError::new(SqlState::DATA_CORRUPTED, "rows in a temporary file are malformed")
}

impl Batch {
    /// Appends the batch's selected rows as bytes.
    pub fn pack(&self, out: &mut Vec<u8>) {
        if self.selection.is_some() {
            return self.clone().compact().pack(out);
        }
        put_u32(self.rows, out);
        out.extend_from_slice(&(self.columns.len() as u16).to_le_bytes());
        for c in &self.columns {
            match c.encoding {
                Encoding::Dictionary(_) => put_column(&c.flatten(self.rows), self.rows, out),
                _ => put_column(c, self.rows, out),
            }
        }
    }

    /// The batch that was packed. XX001 when the bytes are no such batch.
    pub fn unpack(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader(bytes);
        let rows = r.count()?;
        let columns = u16::from_le_bytes(r.array()?);
        let columns = (0..columns).map(|_| column(&mut r, rows).map(Arc::new)).collect::<Result<_>>()?;
        if !r.0.is_empty() {
            return Err(corrupt());
        }
        Ok(Self { columns, rows, selection: None })
    }
}

fn put_u32(n: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(n as u32).to_le_bytes());
}

fn put_column(c: &Vector, rows: usize, out: &mut Vec<u8>) {
    let constant = matches!(c.encoding, Encoding::Constant);
    let n = if constant { 1 } else { rows };
    out.extend_from_slice(&c.ty.oid.to_le_bytes());
    out.extend_from_slice(&c.ty.typmod.to_le_bytes());
    out.push(class_code(&c.data));
    out.push(u8::from(constant));
    put_u32(n, out);
    let words = c.nulls.as_ref().map_or(&[][..], |nulls| {
        let end = nulls.words.len().min(n.div_ceil(64));
        nulls.words.get(..end).unwrap_or(&[])
    });
    put_u32(words.len(), out);
    words.iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
    put_data(&c.data, n, out);
}

fn class_code(data: &ColumnData) -> u8 {
    match data {
        ColumnData::Bool(_) => 0,
        ColumnData::Int2(_) => 1,
        ColumnData::Int4(_) => 2,
        ColumnData::Int8(_) => 3,
        ColumnData::Oid(_) => 4,
        ColumnData::Float4(_) => 5,
        ColumnData::Float8(_) => 6,
        ColumnData::Numeric(_) => 7,
        ColumnData::Text(_) => 8,
        ColumnData::Bytea(_) => 9,
        ColumnData::Interval(_) => 10,
        ColumnData::Uuid(_) => 11,
        ColumnData::Other(_) => 12,
    }
}

fn put_data(data: &ColumnData, n: usize, out: &mut Vec<u8>) {
    macro_rules! fixed {
        ($v:ident) => {
            for x in $v.iter().take(n) {
                out.extend_from_slice(&x.to_le_bytes());
            }
        };
    }
    match data {
        ColumnData::Bool(v) => out.extend(v.iter().take(n).map(|b| u8::from(*b))),
        ColumnData::Int2(v) => fixed!(v),
        ColumnData::Int4(v) => fixed!(v),
        ColumnData::Int8(v) => fixed!(v),
        ColumnData::Oid(v) => fixed!(v),
        ColumnData::Float4(v) => fixed!(v),
        ColumnData::Float8(v) => fixed!(v),
        ColumnData::Numeric(v) => v.iter().take(n).for_each(|x| put_numeric(x, out)),
        ColumnData::Text(v) | ColumnData::Bytea(v) => put_texts(v, n, out),
        ColumnData::Interval(v) => v.iter().take(n).for_each(|x| put_interval(x, out)),
        ColumnData::Uuid(v) => v.iter().take(n).for_each(|x| out.extend_from_slice(x)),
        ColumnData::Other(v) => v.iter().take(n).for_each(|x| put_value(x, out)),
    }
}

fn put_texts(v: &VarColumn, n: usize, out: &mut Vec<u8>) {
    let start = v.offsets.first().copied().unwrap_or(0);
    let ends = v.offsets.get(1..).unwrap_or(&[]);
    let mut end = start;
    for e in ends.iter().take(n) {
        end = *e;
        out.extend_from_slice(&(e - start).to_le_bytes());
    }
    out.extend_from_slice(v.bytes.get(start as usize..end as usize).unwrap_or(&[]));
}

/// A byte 0, scale and mantissa; or 1 and the stored form with its length.
fn put_numeric(x: &Numeric, out: &mut Vec<u8>) {
    if let Some((mantissa, scale)) = x.small() {
        out.push(0);
        out.extend_from_slice(&(scale as u16).to_le_bytes());
        out.extend_from_slice(&mantissa.to_le_bytes());
        return;
    }
    out.push(1);
    sized(out, |out| x.store(out));
}

fn put_interval(x: &Interval, out: &mut Vec<u8>) {
    out.extend_from_slice(&x.months.to_le_bytes());
    out.extend_from_slice(&x.days.to_le_bytes());
    out.extend_from_slice(&x.micros.to_le_bytes());
}

fn put_bytes(b: &[u8], out: &mut Vec<u8>) {
    put_u32(b.len(), out);
    out.extend_from_slice(b);
}

fn sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put_u32(0, out);
    write(out);
    let len = (out.len() - start - 4) as u32;
    if let Some(head) = out.get_mut(start..start + 4) {
        head.copy_from_slice(&len.to_le_bytes());
    }
}

/// A tag and what follows it.
fn put_value(value: &Value, out: &mut Vec<u8>) {
    macro_rules! tagged {
        ($tag:literal, $bytes:expr) => {{
            out.push($tag);
            out.extend_from_slice(&$bytes);
        }};
    }
    match value {
        Value::Null => out.push(0),
        Value::Bool(v) => tagged!(1, [u8::from(*v)]),
        Value::Char(v) => tagged!(2, [*v]),
        Value::Int2(v) => tagged!(3, v.to_le_bytes()),
        Value::Int4(v) => tagged!(4, v.to_le_bytes()),
        Value::Int8(v) => tagged!(5, v.to_le_bytes()),
        Value::Oid(v) => tagged!(6, v.to_le_bytes()),
        Value::Float4(v) => tagged!(7, v.to_le_bytes()),
        Value::Float8(v) => tagged!(8, v.to_le_bytes()),
        Value::Date(v) => tagged!(12, v.to_le_bytes()),
        Value::Time(v) => tagged!(13, v.to_le_bytes()),
        Value::Timestamp(v) => tagged!(15, v.to_le_bytes()),
        Value::TimestampTz(v) => tagged!(16, v.to_le_bytes()),
        Value::Uuid(v) => tagged!(18, *v),
        Value::MacAddr(v) => tagged!(23, *v),
        Value::MacAddr8(v) => tagged!(24, *v),
        other => put_rare(other, out),
    }
}

fn put_rare(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Numeric(v) => {
            out.push(9);
            put_numeric(v, out);
        }
        Value::Text(v) => {
            out.push(10);
            put_bytes(v.as_bytes(), out);
        }
        Value::Bytea(v) => {
            out.push(11);
            put_bytes(v, out);
        }
        Value::TimeTz(v) => {
            out.push(14);
            out.extend_from_slice(&v.micros.to_le_bytes());
            out.extend_from_slice(&v.zone.to_le_bytes());
        }
        Value::Interval(v) => {
            out.push(17);
            put_interval(v, out);
        }
        Value::Tid(block, offset) => {
            out.push(19);
            out.extend_from_slice(&block.to_le_bytes());
            out.extend_from_slice(&offset.to_le_bytes());
        }
        Value::Jsonb(v) => {
            out.push(20);
            put_bytes(v.bytes(), out);
        }
        Value::JsonPath(v) => {
            out.push(21);
            put_bytes(alloc::format!("{v}").as_bytes(), out);
        }
        Value::Inet(v) => {
            out.push(22);
            out.extend_from_slice(&[u8::from(v.v6), v.bits, u8::from(v.cidr)]);
            out.extend_from_slice(&v.address);
        }
        Value::Bits(v) => {
            out.push(25);
            put_u32(v.len(), out);
            put_bytes(v.bytes(), out);
        }
        Value::Geometry(v) => {
            out.push(28);
            out.extend_from_slice(&v.ty().to_le_bytes());
            let mut bytes = Vec::new();
            v.send(&mut bytes);
            put_bytes(&bytes, out);
        }
        Value::Array(v) => {
            out.push(26);
            out.extend_from_slice(&v.element.to_le_bytes());
            put_u32(v.dims.len(), out);
            for (len, lower) in &v.dims {
                out.extend_from_slice(&len.to_le_bytes());
                out.extend_from_slice(&lower.to_le_bytes());
            }
            put_values(&v.values, out);
        }
        Value::Record(v) => {
            out.push(27);
            put_u32(v.types.len(), out);
            v.types.iter().for_each(|t| out.extend_from_slice(&t.to_le_bytes()));
            out.push(u8::from(v.names.is_some()));
            if let Some(names) = &v.names {
                put_u32(names.len(), out);
                names.iter().for_each(|n| put_bytes(n.as_bytes(), out));
            }
            put_values(&v.values, out);
        }
        _ => {}
    }
}

fn put_values(values: &[Value], out: &mut Vec<u8>) {
    put_u32(values.len(), out);
    values.iter().for_each(|v| put_value(v, out));
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n).ok_or_else(corrupt)?;
        self.0 = rest;
        Ok(head)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or_else(corrupt)?;
        self.0 = rest;
        Ok(*head)
    }
    fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }
    fn count(&mut self) -> Result<usize> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }
    /// A number of things that take `each` bytes or more.
    fn count_of(&mut self, each: usize) -> Result<usize> {
        let n = self.count()?;
        if n.checked_mul(each).is_none_or(|bytes| bytes > self.0.len()) { Err(corrupt()) } else { Ok(n) }
    }
    fn sized(&mut self) -> Result<&'a [u8]> {
        let n = self.count()?;
        self.take(n)
    }
    fn text(&mut self) -> Result<&'a str> {
        core::str::from_utf8(self.sized()?).map_err(|_| corrupt())
    }
    fn fixed<T, const N: usize>(&mut self, n: usize, of: impl Fn([u8; N]) -> T) -> Result<Vec<T>> {
        let bytes = self.take(n.checked_mul(N).ok_or_else(corrupt)?)?;
        Ok(bytes.as_chunks::<N>().0.iter().map(|b| of(*b)).collect())
    }
    fn each<T>(&mut self, n: usize, of: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        // Each takes at least a byte.
        if n > self.0.len() {
            return Err(corrupt());
        }
        (0..n).map(|_| of(self)).collect()
    }
    fn values(&mut self, depth: usize) -> Result<Vec<Value>> {
        let n = self.count()?;
        self.each(n, |r| value(r, depth + 1))
    }
}

fn column(r: &mut Reader<'_>, rows: usize) -> Result<Vector> {
    let ty = SqlType { oid: u32::from_le_bytes(r.array()?), typmod: i32::from_le_bytes(r.array()?) };
    let class = r.byte()?;
    let encoding = match r.byte()? {
        0 => Encoding::Flat,
        1 => Encoding::Constant,
        _ => return Err(corrupt()),
    };
    let n = r.count()?;
    if n != if encoding == Encoding::Constant { 1 } else { rows } {
        return Err(corrupt());
    }
    let words = r.count_of(8)?;
    let words = r.fixed(words, u64::from_le_bytes)?;
    let data = match class {
        0 => ColumnData::Bool(r.fixed(n, |b: [u8; 1]| b[0] != 0)?),
        1 => ColumnData::Int2(r.fixed(n, i16::from_le_bytes)?),
        2 => ColumnData::Int4(r.fixed(n, i32::from_le_bytes)?),
        3 => ColumnData::Int8(r.fixed(n, i64::from_le_bytes)?),
        4 => ColumnData::Oid(r.fixed(n, u32::from_le_bytes)?),
        5 => ColumnData::Float4(r.fixed(n, f32::from_le_bytes)?),
        6 => ColumnData::Float8(r.fixed(n, f64::from_le_bytes)?),
        7 => ColumnData::Numeric(r.each(n, numeric)?),
        8 => ColumnData::Text(texts(r, n, true)?),
        9 => ColumnData::Bytea(texts(r, n, false)?),
        10 => ColumnData::Interval(r.each(n, interval)?),
        11 => ColumnData::Uuid(r.fixed(n, |b: [u8; 16]| b)?),
        12 => ColumnData::Other(r.each(n, |r| value(r, 0))?),
        _ => return Err(corrupt()),
    };
    let nulls = Nulls { words }.into_option();
    Ok(Vector { ty, encoding, data, nulls })
}

fn texts(r: &mut Reader<'_>, n: usize, utf8: bool) -> Result<VarColumn> {
    let ends = r.take(n.checked_mul(4).ok_or_else(corrupt)?)?;
    let mut offsets = Vec::with_capacity(n + 1);
    offsets.push(0u32);
    offsets.extend(ends.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)));
    let bytes = r.take(offsets.last().copied().unwrap_or(0) as usize)?;
    if !offsets.is_sorted() {
        return Err(corrupt());
    }
    if utf8 {
        let text = core::str::from_utf8(bytes).map_err(|_| corrupt())?;
        if !offsets.iter().all(|at| text.is_char_boundary(*at as usize)) {
            return Err(corrupt());
        }
    }
    Ok(VarColumn { offsets, bytes: bytes.to_vec() })
}

fn numeric(r: &mut Reader<'_>) -> Result<Numeric> {
    match r.byte()? {
        0 => {
            let scale = u32::from(u16::from_le_bytes(r.array()?));
            let mantissa = i64::from_le_bytes(r.array()?);
            if scale > crate::numeric::MAX_SCALE {
                Err(corrupt())
            } else {
                Ok(Numeric::new(mantissa.into(), scale))
            }
        }
        1 => Numeric::load(r.sized()?).ok_or_else(corrupt),
        _ => Err(corrupt()),
    }
}

fn interval(r: &mut Reader<'_>) -> Result<Interval> {
    let (months, days) = (i32::from_le_bytes(r.array()?), i32::from_le_bytes(r.array()?));
    Ok(Interval { months, days, micros: i64::from_le_bytes(r.array()?) })
}

fn value(r: &mut Reader<'_>, depth: usize) -> Result<Value> {
    if depth > MAX_DEPTH {
        return Err(corrupt());
    }
    Ok(match r.byte()? {
        0 => Value::Null,
        1 => Value::Bool(r.byte()? != 0),
        2 => Value::Char(r.byte()?),
        3 => Value::Int2(i16::from_le_bytes(r.array()?)),
        4 => Value::Int4(i32::from_le_bytes(r.array()?)),
        5 => Value::Int8(i64::from_le_bytes(r.array()?)),
        6 => Value::Oid(u32::from_le_bytes(r.array()?)),
        7 => Value::Float4(f32::from_le_bytes(r.array()?)),
        8 => Value::Float8(f64::from_le_bytes(r.array()?)),
        9 => Value::Numeric(numeric(r)?),
        10 => Value::text(r.text()?),
        11 => Value::Bytea(r.sized()?.into()),
        12 => Value::Date(i32::from_le_bytes(r.array()?)),
        13 => Value::Time(i64::from_le_bytes(r.array()?)),
        14 => {
            let micros = i64::from_le_bytes(r.array()?);
            Value::TimeTz(TimeTz { micros, zone: i32::from_le_bytes(r.array()?) })
        }
        15 => Value::Timestamp(i64::from_le_bytes(r.array()?)),
        16 => Value::TimestampTz(i64::from_le_bytes(r.array()?)),
        17 => Value::Interval(interval(r)?),
        18 => Value::Uuid(r.array()?),
        19 => Value::Tid(u32::from_le_bytes(r.array()?), u16::from_le_bytes(r.array()?)),
        20 => Value::Jsonb(pg_json::Jsonb::load(r.sized()?).map_err(|_| corrupt())?),
        21 => crate::json::path(r.text()?).map_err(|_| corrupt())?,
        22 => {
            let [v6, bits, cidr] = r.array()?;
            let inet = Inet { v6: v6 != 0, bits, cidr: cidr != 0, address: r.array()? };
            if inet.bits > inet.max_bits() {
                return Err(corrupt());
            }
            Value::Inet(inet)
        }
        23 => Value::MacAddr(r.array()?),
        24 => Value::MacAddr8(r.array()?),
        25 => {
            let len = r.count()?;
            Bits::from_bytes(len, r.sized()?).map(Value::from).ok_or_else(corrupt)?
        }
        26 => array(r, depth)?,
        27 => record(r, depth)?,
        28 => {
            let ty = u32::from_le_bytes(r.array()?);
            let mut bytes = r.sized()?;
            let value = crate::geometry::Geometry::receive(ty, &mut bytes).map_err(|_| corrupt())?;
            value.into()
        }
        _ => return Err(corrupt()),
    })
}

fn array(r: &mut Reader<'_>, depth: usize) -> Result<Value> {
    let element = u32::from_le_bytes(r.array()?);
    let n = r.count_of(8)?;
    let mut dims = Vec::with_capacity(n);
    for _ in 0..n {
        dims.push((i32::from_le_bytes(r.array()?), i32::from_le_bytes(r.array()?)));
    }
    let values = r.values(depth)?;
    let product = dims.iter().fold(i64::from(n > 0), |p, (len, _)| p.saturating_mul(i64::from(*len)));
    if product != values.len() as i64 {
        return Err(corrupt());
    }
    Ok(Value::Array(Arc::new(ArrayValue { element, dims, values })))
}

fn record(r: &mut Reader<'_>, depth: usize) -> Result<Value> {
    let n = r.count_of(4)?;
    let types = r.fixed(n, u32::from_le_bytes)?;
    let names = match r.byte()? {
        0 => None,
        1 => {
            let n = r.count()?;
            let names = r.each(n, |r| Ok(Box::<str>::from(String::from(r.text()?))))?;
            Some(Arc::from(names))
        }
        _ => return Err(corrupt()),
    };
    let values = r.values(depth)?;
    if values.len() != types.len() {
        return Err(corrupt());
    }
    Ok(Value::Record(Arc::new(RecordValue { types, values, names })))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::{oid, vector::VectorBuilder};

    fn sample() -> Batch {
        let nested = Value::Record(Arc::new(RecordValue {
            types: vec![oid::INT4, oid::TEXT],
            values: vec![Value::Int4(7), Value::Null],
            names: Some(Arc::from([Box::from("a"), Box::from("b")])),
        }));
        let list = Value::Array(Arc::new(ArrayValue {
            element: oid::RECORD,
            dims: vec![(2, 1)],
            values: vec![nested.clone(), Value::Null],
        }));
        let long = Numeric::parse("123456789012345678901234567890.125").unwrap();
        let rows = [
            vec![Value::Int4(1), Value::text("é"), Value::Numeric(long), nested, Value::Bytea([1, 2].into())],
            vec![Value::Null, Value::text(""), Value::Numeric(Numeric::NAN), list, Value::Null],
            vec![
                Value::Int4(-3),
                Value::Null,
                Value::Numeric(Numeric::new(150, 2)),
                Value::Null,
                Value::Null,
            ],
        ];
        let types = [oid::INT4, oid::TEXT, oid::NUMERIC, oid::RECORD, oid::BYTEA].map(SqlType::new);
        let mut b = Batch::from_rows(&types, &rows).unwrap();
        b.columns.push(Arc::new(Vector::constant(&Value::Int8(9), SqlType::new(oid::INT8)).unwrap()));
        b
    }

    fn rows(b: &Batch) -> Vec<Vec<Value>> {
        b.selected().map(|i| b.row_values(i)).collect()
    }

    #[test]
    fn what_was_packed_comes_back() {
        let b = sample();
        for b in [b.clone(), b.clone().with_selection(vec![1]), b.with_selection(Vec::new())] {
            let mut out = Vec::new();
            b.pack(&mut out);
            let back = Batch::unpack(&out).unwrap();
            assert_eq!(alloc::format!("{:?}", rows(&back)), alloc::format!("{:?}", rows(&b)));
            assert_eq!(back.types(), b.types());
        }
    }

    #[test]
    fn dictionaries_are_resolved() {
        let mut v = VectorBuilder::with_capacity(oid::INT4, 2);
        v.push_i32(5);
        v.push_null();
        let mut v = v.finish();
        v.encoding = Encoding::Dictionary([1, 0, 0].into());
        let b = Batch { columns: vec![Arc::new(v)], rows: 3, selection: None };
        let mut out = Vec::new();
        b.pack(&mut out);
        let back = Batch::unpack(&out).unwrap();
        assert_eq!(rows(&back), [[Value::Null], [Value::Int4(5)], [Value::Int4(5)]]);
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_refused_or_read(at in 0usize..4096, bit in 0u8..8, cut in 0usize..4096) {
            let mut out = Vec::new();
            sample().pack(&mut out);
            let n = out.len();
            out[at % n] ^= 1 << bit;
            let _ = Batch::unpack(&out).map(|b| rows(&b));
            out.truncate(cut % n);
            prop_assert!(Batch::unpack(&out).is_err());
        }
        #[test]
        fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Batch::unpack(&bytes).map(|b| rows(&b));
        }
        #[test]
        fn any_integers_and_texts(values in prop::collection::vec(any::<Option<(i64, String, f64)>>(), 0..40)) {
            let types = [oid::INT8, oid::TEXT, oid::FLOAT8].map(SqlType::new);
            let of = |v: &Option<(i64, String, f64)>| match v {
                Some((a, b, c)) => vec![Value::Int8(*a), Value::text(b), Value::Float8(*c)],
                None => vec![Value::Null; 3],
            };
            let all: Vec<_> = values.iter().map(of).collect();
            let mut out = Vec::new();
            Batch::from_rows(&types, &all).unwrap().pack(&mut out);
            prop_assert_eq!(rows(&Batch::unpack(&out).unwrap()), all);
        }
    }
}
