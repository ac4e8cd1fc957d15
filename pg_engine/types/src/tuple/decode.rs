//! Bytes to rows.

use alloc::vec::Vec;

use super::{
    FIRST, Field, HAS_NULLS, TupleLayout, VARIABLE, WRAPPED, corrupt, holds_array, is_wrapped, nested, wrap,
};
use crate::{
    bits::Bits,
    error::{Result, SqlError},
    geometry,
    network::Inet,
    numeric::Numeric,
    oid,
    value::{Interval, TimeTz, Value},
    vector::{Physical, VectorBuilder},
};

/// Reads forward through untrusted bytes.
pub(super) struct Reader<'a> {
    data: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { data }
    }
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        match self.data.split_at_checked(n) {
            Some((head, tail)) => {
                self.data = tail;
                Ok(head)
            }
            None => Err(corrupt("stored row is too short")),
        }
    }
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.data.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.data = tail;
                Ok(*head)
            }
            None => Err(corrupt("stored row is too short")),
        }
    }
    /// A LEB128 number below 2^35.
    #[inline]
    pub fn length(&mut self) -> Result<usize> {
        if let Some((&b, tail)) = self.data.split_first()
            && b < 0x80
        {
            self.data = tail;
            return Ok(usize::from(b));
        }
        self.long_length()
    }
    fn long_length(&mut self) -> Result<usize> {
        let mut n = 0usize;
        for shift in 0..5 {
            let b = self.array::<1>()?[0];
            n |= usize::from(b & 0x7f) << (7 * shift);
            if b < 0x80 {
                return Ok(n);
            }
        }
        Err(corrupt("length in a stored row is malformed"))
    }
    #[inline]
    pub fn sized(&mut self) -> Result<&'a [u8]> {
        let n = self.length()?;
        self.take(n)
    }
    pub fn remaining(&self) -> usize {
        self.data.len()
    }
    pub fn rest(&self) -> &'a [u8] {
        self.data
    }
    pub fn finish(&self) -> Result<()> {
        if self.data.is_empty() { Ok(()) } else { Err(corrupt("stored value has bytes left over")) }
    }
}

#[inline]
fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| corrupt("stored value has a wrong length"))
}

fn interval(bytes: &[u8]) -> Result<Interval> {
    let b: [u8; 16] = fixed(bytes)?;
    let mut r = Reader::new(&b);
    Ok(Interval {
        micros: i64::from_le_bytes(r.array()?),
        days: i32::from_le_bytes(r.array()?),
        months: i32::from_le_bytes(r.array()?),
    })
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    core::str::from_utf8(bytes).map_err(|_| corrupt("stored text is not valid UTF-8"))
}

/// Where a field of a tuple starts.
struct Place {
    field: usize,
    at: usize,
}

impl Field {
    /// Where the bytes of a field that starts there begin, and how many they are.
    #[inline]
    fn extent(&self, tuple: &[u8], at: usize) -> Result<(usize, usize)> {
        if self.width != VARIABLE {
            return Ok((at, self.width.into()));
        }
        match tuple.get(at) {
            Some(&len) if len < 0x80 => Ok((at + 1, len.into())),
            Some(_) => {
                let tail = tuple.get(at..).unwrap_or_default();
                let mut r = Reader::new(tail);
                let len = r.long_length()?;
                Ok((at + tail.len() - r.remaining(), len))
            }
            None => Err(corrupt("stored row is too short")),
        }
    }
    /// Appends the field to a column.
    #[inline]
    pub(super) fn push(&self, bytes: &[u8], out: &mut VectorBuilder) -> Result<()> {
        match self.class {
            Physical::Int4 => out.push_i32(i32::from_le_bytes(fixed(bytes)?)),
            Physical::Int8 => out.push_i64(i64::from_le_bytes(fixed(bytes)?)),
            Physical::Text => out.push_text(utf8(bytes)?),
            Physical::Bool => out.push_bool(fixed::<1>(bytes)?[0] != 0),
            Physical::Int2 => out.push_i16(i16::from_le_bytes(fixed(bytes)?)),
            Physical::Oid => out.push_oid(u32::from_le_bytes(fixed(bytes)?)),
            Physical::Float4 => out.push_f32(f32::from_le_bytes(fixed(bytes)?)),
            Physical::Float8 => out.push_f64(f64::from_le_bytes(fixed(bytes)?)),
            Physical::Numeric => out.push_numeric(load_numeric(bytes)?),
            Physical::Bytea => out.push_bytea(bytes),
            Physical::Interval => out.push_interval(interval(bytes)?),
            Physical::Uuid => out.push_uuid(fixed(bytes)?),
            Physical::Other => out.push_other(self.value(bytes, 0)?),
        }
        Ok(())
    }
    pub(super) fn value(&self, bytes: &[u8], depth: usize) -> Result<Value> {
        Ok(match self.class {
            Physical::Bool => Value::Bool(fixed::<1>(bytes)?[0] != 0),
            Physical::Int2 => Value::Int2(i16::from_le_bytes(fixed(bytes)?)),
            Physical::Int4 if self.ty.oid == oid::DATE => Value::Date(i32::from_le_bytes(fixed(bytes)?)),
            Physical::Int4 => Value::Int4(i32::from_le_bytes(fixed(bytes)?)),
            Physical::Int8 => {
                let v = i64::from_le_bytes(fixed(bytes)?);
                match self.ty.oid {
                    oid::TIME => Value::Time(v),
                    oid::TIMESTAMP => Value::Timestamp(v),
                    oid::TIMESTAMPTZ => Value::TimestampTz(v),
                    _ => Value::Int8(v),
                }
            }
            Physical::Oid => Value::Oid(u32::from_le_bytes(fixed(bytes)?)),
            Physical::Float4 => Value::Float4(f32::from_le_bytes(fixed(bytes)?)),
            Physical::Float8 => Value::Float8(f64::from_le_bytes(fixed(bytes)?)),
            Physical::Numeric => Value::Numeric(load_numeric(bytes)?),
            Physical::Text => Value::text(utf8(bytes)?),
            Physical::Bytea => Value::Bytea(bytes.into()),
            Physical::Interval => Value::Interval(interval(bytes)?),
            Physical::Uuid => Value::Uuid(fixed(bytes)?),
            Physical::Other => return self.other(bytes, depth),
        })
    }
    fn other(&self, bytes: &[u8], depth: usize) -> Result<Value> {
        match self.ty.oid {
            oid::CHAR => Ok(Value::Char(fixed::<1>(bytes)?[0])),
            oid::TID => {
                let mut r = Reader::new(bytes);
                Ok(Value::Tid(u32::from_le_bytes(r.array()?), u16::from_le_bytes(r.array()?)))
            }
            oid::TIMETZ => {
                let mut r = Reader::new(bytes);
                let micros = i64::from_le_bytes(r.array()?);
                Ok(Value::TimeTz(TimeTz { micros, zone: i32::from_le_bytes(r.array()?) }))
            }
            oid::JSONB => {
                let doc = pg_json::Jsonb::load(bytes).map_err(|_| corrupt("stored jsonb is malformed"))?;
                Ok(Value::Jsonb(doc))
            }
            oid::JSONPATH => {
                crate::json::path(utf8(bytes)?).map_err(|_| corrupt("stored jsonpath is malformed"))
            }
            oid::INET | oid::CIDR => inet(bytes).map(Value::Inet),
            oid::MACADDR => Ok(Value::MacAddr(fixed(bytes)?)),
            oid::MACADDR8 => Ok(Value::MacAddr8(fixed(bytes)?)),
            oid::BIT | oid::VARBIT => {
                let mut r = Reader::new(bytes);
                let len = u32::from_le_bytes(r.array()?) as usize;
                let bits = Bits::from_bytes(len, r.take(len.div_ceil(8))?);
                r.finish()?;
                bits.map(Value::from).ok_or_else(|| corrupt("stored bit string is malformed"))
            }
            ty if geometry::is_geometric(ty) => {
                let mut rest = bytes;
                let value = geometry::Geometry::receive(ty, &mut rest);
                let value = value.ok().filter(|_| rest.is_empty());
                value.map(Value::from).ok_or_else(|| corrupt("stored geometric value is malformed"))
            }
            ty if holds_array(ty) => nested::get_array(bytes, depth),
            _ => nested::get_record(bytes, depth),
        }
    }
}

fn inet(bytes: &[u8]) -> Result<Inet> {
    let bad = || corrupt("stored network address is malformed");
    let [bits, cidr @ (0 | 1), rest @ ..] = bytes else { return Err(bad()) };
    let mut inet = Inet { v6: rest.len() == 16, bits: *bits, cidr: *cidr == 1, address: [0; 16] };
    if rest.len() != usize::from(inet.max_bits() / 8) || inet.bits > inet.max_bits() {
        return Err(bad());
    }
    inet.address.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    Ok(inet)
}

fn load_numeric(bytes: &[u8]) -> Result<Numeric> {
    Numeric::load(bytes).ok_or_else(|| corrupt("stored numeric is malformed"))
}

/// A tuple's count and NULL bitmap.
pub(super) struct Header<'a> {
    pub count: usize,
    nulls: &'a [u8],
    pub fields: &'a [u8],
}

impl<'a> Header<'a> {
    #[inline]
    fn read(tuple: &'a [u8], columns: usize) -> Result<Self> {
        let mut r = Reader::new(tuple);
        let word = u16::from_le_bytes(r.array()?);
        let count = usize::from(word & !HAS_NULLS);
        if count > columns {
            // The bit of wrapped rows makes for a large number too, so that other rows pay nothing for it.
            return Err(if is_wrapped(tuple) { wrap::unresolved() } else { too_many() });
        }
        let nulls = if word & HAS_NULLS != 0 { r.take(count.div_ceil(8))? } else { &[] };
        Ok(Self { count, nulls, fields: r.data })
    }
    /// Of any tuple; true: a wrapped one.
    pub(super) fn read_any(tuple: &'a [u8], columns: usize) -> Result<(Self, bool)> {
        if !is_wrapped(tuple) {
            return Ok((Self::read(tuple, columns)?, false));
        }
        let mut r = Reader::new(tuple);
        let word = u16::from_le_bytes(r.array()?);
        let count = wrap::count_of(word);
        if count > columns {
            return Err(too_many());
        }
        let nulls = if word & HAS_NULLS != 0 { r.take(count.div_ceil(8))? } else { &[] };
        Ok((Self { count, nulls, fields: r.data }, true))
    }
    #[inline]
    pub(super) fn is_null(&self, i: usize) -> bool {
        self.nulls.get(i / 8).is_some_and(|b| b >> (i % 8) & 1 != 0)
    }
}

#[cold]
fn too_many() -> SqlError {
    corrupt("stored row has more fields than its table has columns")
}

impl TupleLayout {
    /// Appends columns `wanted` (ascending) of a tuple to `out`, builder by builder.
    ///
    /// A column that the tuple does not have yet takes its value from `missing`, indexed by column; NULL where that
    /// is shorter.
    pub fn decode_into(
        &self,
        tuple: &[u8],
        wanted: &[usize],
        missing: &[Value],
        out: &mut [VectorBuilder],
    ) -> Result<()> {
        let header = Header::read(tuple, self.fields.len())?;
        if header.nulls.is_empty() && wanted.last().is_none_or(|last| *last < header.count) {
            return self.decode_plain(tuple, wanted, out);
        }
        let mut rest = Reader::new(header.fields);
        let mut next = 0;
        for (&column, builder) in wanted.iter().zip(out) {
            debug_assert!(column >= next);
            if column >= header.count {
                builder.push(missing.get(column).unwrap_or(&Value::Null))?;
                continue;
            }
            let (field, bytes) = self.seek(tuple, &header, &mut rest, &mut next, column)?;
            match bytes {
                None => builder.push_null(),
                Some(bytes) => field.push(bytes, builder)?,
            }
        }
        Ok(())
    }
    /// As [`Self::decode_into`], of a tuple without NULLs that has all of the columns: the commonest case by far.
    fn decode_plain(&self, tuple: &[u8], wanted: &[usize], out: &mut [VectorBuilder]) -> Result<()> {
        let mut place = Place { field: 0, at: FIRST };
        for (&column, builder) in wanted.iter().zip(out) {
            debug_assert!(column >= place.field);
            let (field, bytes) = self.plain(tuple, column, &mut place)?;
            match (field.class, bytes) {
                (Physical::Int4, [a, b, c, d]) => builder.push_i32(i32::from_le_bytes([*a, *b, *c, *d])),
                _ => field.push(bytes, builder)?,
            }
        }
        Ok(())
    }
    /// The bytes of a field of a tuple without NULLs that has the column; `place` is at or before it, and moves behind it.
    #[inline]
    fn plain<'a>(&self, tuple: &'a [u8], column: usize, place: &mut Place) -> Result<(&Field, &'a [u8])> {
        let Some(field) = self.fields.get(column) else { return Err(corrupt("no such column")) };
        if usize::from(field.anchor) > place.field {
            place.field = field.anchor.into();
            place.at = self.fields.get(place.field).map_or(0, |f| f.offset).into();
        }
        for skipped in self.fields.get(place.field..column).unwrap_or_default() {
            let (start, len) = skipped.extent(tuple, place.at)?;
            place.at = start + len;
        }
        let (start, len) = field.extent(tuple, place.at)?;
        *place = Place { field: column + 1, at: start + len };
        let bytes = tuple.get(start..place.at).ok_or_else(|| corrupt("stored row is too short"))?;
        Ok((field, bytes))
    }
    /// One column of a tuple.
    pub fn column(&self, tuple: &[u8], column: usize, missing: &[Value]) -> Result<Value> {
        let header = Header::read(tuple, self.fields.len())?;
        if column >= header.count {
            return Ok(missing.get(column).cloned().unwrap_or(Value::Null));
        }
        let mut rest = Reader::new(header.fields);
        let (field, bytes) = self.seek(tuple, &header, &mut rest, &mut 0, column)?;
        bytes.map_or(Ok(Value::Null), |b| field.value(b, 0))
    }
    /// One column of integers or dates; `None`: it is NULL.
    #[inline]
    pub fn integer(&self, tuple: &[u8], column: usize, missing: &[Value]) -> Result<Option<i64>> {
        if let Some((word, _)) = tuple.split_first_chunk()
            && usize::from(u16::from_le_bytes(*word)) > column
            && u16::from_le_bytes(*word) & (HAS_NULLS | WRAPPED) == 0
            && let (Field { class: Physical::Int4, .. }, [a, b, c, d]) =
                self.plain(tuple, column, &mut Place { field: 0, at: FIRST })?
        {
            return Ok(Some(i32::from_le_bytes([*a, *b, *c, *d]).into()));
        }
        Ok(match self.column(tuple, column, missing)? {
            Value::Int2(v) => Some(v.into()),
            Value::Int4(v) | Value::Date(v) => Some(v.into()),
            Value::Int8(v) => Some(v),
            _ => None,
        })
    }
    /// All columns of a tuple.
    pub fn decode(&self, tuple: &[u8], missing: &[Value]) -> Result<Vec<Value>> {
        let header = Header::read(tuple, self.fields.len())?;
        let mut rest = Reader::new(header.fields);
        let mut next = 0;
        let mut values = Vec::with_capacity(self.fields.len());
        for column in 0..self.fields.len() {
            values.push(if column >= header.count {
                missing.get(column).cloned().unwrap_or(Value::Null)
            } else {
                let (field, bytes) = self.seek(tuple, &header, &mut rest, &mut next, column)?;
                bytes.map_or(Ok(Value::Null), |b| field.value(b, 0))?
            });
        }
        Ok(values)
    }
    /// The bytes of field `column`; `None` for NULL. `rest` starts at field `next`; both move past the field.
    #[inline]
    fn seek<'a>(
        &self,
        tuple: &'a [u8],
        header: &Header<'_>,
        rest: &mut Reader<'a>,
        next: &mut usize,
        column: usize,
    ) -> Result<(&Field, Option<&'a [u8]>)> {
        let Some(field) = self.fields.get(column) else { return Err(corrupt("no such column")) };
        if header.nulls.is_empty() && field.offset != 0 {
            *rest = Reader::new(tuple.get(usize::from(field.offset)..).unwrap_or_default());
        } else {
            for (i, skipped) in self.fields.iter().enumerate().take(column).skip(*next) {
                if !header.is_null(i) {
                    if skipped.width == VARIABLE {
                        rest.sized()?
                    } else {
                        rest.take(usize::from(skipped.width))?
                    };
                }
            }
            if header.is_null(column) {
                *next = column + 1;
                return Ok((field, None));
            }
        }
        *next = column + 1;
        let bytes =
            if field.width == VARIABLE { rest.sized()? } else { rest.take(usize::from(field.width))? };
        Ok((field, Some(bytes)))
    }
    /// Start and width of a fixed-width, non-NULL field.
    pub(super) fn fixed_field(&self, tuple: &[u8], column: usize) -> Result<Option<(usize, usize)>> {
        let header = Header::read(tuple, self.fields.len())?;
        if column >= header.count {
            return Ok(None);
        }
        let mut rest = Reader::new(header.fields);
        let (field, bytes) = self.seek(tuple, &header, &mut rest, &mut 0, column)?;
        let Some(bytes) = bytes.filter(|_| field.width != VARIABLE) else { return Ok(None) };
        Ok(Some((tuple.len() - rest.remaining() - bytes.len(), bytes.len())))
    }
}
