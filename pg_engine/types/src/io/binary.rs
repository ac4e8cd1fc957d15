//! The binary formats.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use super::{
    array::{MAX_DIMENSIONS, MAX_ELEMENTS, too_large, too_many_dimensions},
    typmod, unsupported_type,
};
use crate::{
    Numeric,
    bits::Bits,
    datetime,
    error::{Result, SqlError, SqlState},
    format::FormatSettings,
    geometry, json,
    network::Inet,
    oid::{self, Oid, SqlType},
    typeinfo, user,
    value::{ArrayValue, Interval, RecordValue, TimeTz, Value},
    vector::{ColumnData, Physical, Vector},
};

/// Arrays and records within each other: deeper is refused.
const MAX_DEPTH: usize = 32;

/// Checks that text from a client is UTF-8 without NUL.
pub fn valid_text(bytes: &[u8]) -> Result<&str> {
    let bad = |sequence: &[u8]| {
        let shown: Vec<String> = sequence.iter().map(|b| format!("0x{b:02x}")).collect();
        SqlError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
        )
    };
    match core::str::from_utf8(bytes) {
        Ok(s) if !bytes.contains(&0) => Ok(s),
        Ok(_) => Err(bad(&[0])),
        Err(e) => {
            let rest = bytes.get(e.valid_up_to()..).unwrap_or_default();
            let len = match rest.first() {
                Some(0xc0..=0xdf) => 2,
                Some(0xe0..=0xef) => 3,
                Some(0xf0..=0xf7) => 4,
                _ => 1,
            };
            Err(bad(&rest[..len.min(rest.len())]))
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n).ok_or_else(short)?;
        self.0 = tail;
        Ok(head)
    }
    fn byte(&mut self) -> Result<u8> {
        let (head, tail) = self.0.split_first().ok_or_else(empty)?;
        self.0 = tail;
        Ok(*head)
    }
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut all = [0; N];
        for b in &mut all {
            *b = self.byte()?;
        }
        Ok(all)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or_else(short)?;
        self.0 = tail;
        Ok(*head)
    }
    fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }
    fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }
}

#[cold]
fn short() -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
}

/// As [`short`] of what is read byte by byte.
#[cold]
fn empty() -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, "no data left in message")
}

#[cold]
fn bad_format(message: &'static str) -> SqlError {
    SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, message)
}

/// Reads a value of type `ty` from its binary form and applies the modifier. Bytes left over are an error.
pub fn receive(ty: SqlType, data: &[u8], settings: &FormatSettings) -> Result<Value> {
    match receive_nested(ty, data, settings, 0)? {
        (value, true) => Ok(value),
        (_, false) => Err(bad_format("incorrect binary data format")),
    }
}

/// A value, and whether no byte is left over.
fn receive_nested(
    ty: SqlType,
    data: &[u8],
    settings: &FormatSettings,
    depth: usize,
) -> Result<(Value, bool)> {
    let mut r = Reader(data);
    let value = match ty.oid {
        oid::BOOL => Value::Bool(r.byte()? != 0),
        oid::CHAR => Value::Char(r.byte()?),
        oid::INT2 => Value::Int2(i16::from_be_bytes(r.array()?)),
        oid::INT4 => Value::Int4(r.i32()?),
        oid::INT8 | oid::XID8 | oid::PG_LSN | oid::MONEY => Value::Int8(r.i64()?),
        oid::FLOAT4 => Value::Float4(f32::from_be_bytes(r.array()?)),
        oid::FLOAT8 => Value::Float8(f64::from_be_bytes(r.array()?)),
        oid::NUMERIC => {
            Value::Numeric(Numeric::receive(r.take(numeric_length(data))?)?.apply_typmod(ty.typmod)?)
        }
        oid::BYTEA => Value::Bytea(r.take(data.len())?.into()),
        oid::UUID => Value::Uuid(r.array()?),
        oid::TID => Value::Tid(u32::from_be_bytes(r.array()?), u16::from_be_bytes(r.array()?)),
        oid::DATE => Value::Date(datetime::check_date(r.i32()?)?),
        oid::TIME => Value::Time(datetime::round_time(datetime::check_time(r.i64()?)?, ty.typmod)),
        oid::TIMETZ => {
            let micros = datetime::check_time(r.i64()?)?;
            let zone = datetime::check_zone(r.i32()?)?;
            Value::TimeTz(TimeTz { micros: datetime::round_time(micros, ty.typmod), zone })
        }
        oid::TIMESTAMP => {
            Value::Timestamp(datetime::round_timestamp(datetime::check_timestamp(r.i64()?)?, ty.typmod)?)
        }
        oid::TIMESTAMPTZ => {
            Value::TimestampTz(datetime::round_timestamp(datetime::check_timestamp(r.i64()?)?, ty.typmod)?)
        }
        oid::INTERVAL => {
            let (micros, days, months) = (r.i64()?, r.i32()?, r.i32()?);
            Value::Interval(datetime::interval_typmod(Interval { months, days, micros }, ty.typmod)?)
        }
        oid::VARCHAR => {
            Value::Text(typmod::varchar(valid_text(r.take(data.len())?)?.into(), ty.typmod, false)?)
        }
        oid::BPCHAR => Value::Text(typmod::bpchar(valid_text(r.take(data.len())?)?, ty.typmod, false)?),
        oid::NAME => Value::text(typmod::name(valid_text(r.take(data.len())?)?)),
        oid::JSON => {
            let text = valid_text(r.take(data.len())?)?;
            json::validate(text)?;
            Value::text(text)
        }
        oid::TEXT | oid::UNKNOWN | oid::CSTRING | oid::REFCURSOR => {
            Value::text(valid_text(r.take(data.len())?)?)
        }
        oid::PG_SNAPSHOT | oid::TXID_SNAPSHOT => {
            Value::Text(super::snapshot::Parts::receive(r.take(data.len())?)?.text().into())
        }
        oid::JSONB => match r.byte()? {
            1 => Value::Jsonb(json::jsonb(valid_text(r.take(data.len() - 1)?)?)?),
            n => {
                return Err(SqlError::internal(format!("unsupported jsonb version number {n}")));
            }
        },
        oid::JSONPATH => match r.byte()? {
            1 => json::path(valid_text(r.take(data.len() - 1)?)?)?,
            n => {
                return Err(SqlError::internal(format!("unsupported jsonpath version number: {n}")));
            }
        },
        oid::INET | oid::CIDR => receive_inet(&mut r, ty.oid == oid::CIDR)?,
        oid::MACADDR => Value::MacAddr(r.bytes()?),
        oid::MACADDR8 if data.len() == 6 => {
            let [a, b, c, d, e, f] = r.array()?;
            Value::MacAddr8([a, b, c, 0xff, 0xfe, d, e, f])
        }
        oid::MACADDR8 => Value::MacAddr8(r.bytes()?),
        ty if geometry::is_geometric(ty) => geometry::Geometry::receive(ty, &mut r.0)?.into(),
        oid::BIT => receive_bits(&mut r)?.fix(ty.typmod, false)?.into(),
        oid::VARBIT => receive_bits(&mut r)?.limit(ty.typmod, false)?.into(),
        oid::RECORD => receive_record(&mut r, settings, depth)?,
        other if user::is_enum(other) => {
            Value::Int8(settings.types.get(other)?.place_of(valid_text(r.take(data.len())?)?)?)
        }
        other if user::is_composite(other) => receive_composite(other, &mut r, settings, depth)?,
        other if Physical::of(other) == Physical::Oid => Value::Oid(u32::from_be_bytes(r.array()?)),
        other if typeinfo::element_of(other) != 0 => receive_array(ty, &mut r, settings, depth)?,
        _ => return Err(unsupported_type(ty)),
    };
    Ok((value, r.0.is_empty()))
}

/// How many bytes of these a number takes up.
fn numeric_length(data: &[u8]) -> usize {
    let digits = data.first_chunk().map_or(0, |count| usize::from(u16::from_be_bytes(*count)));
    data.len().min(8 + 2 * digits)
}

/// A length-prefixed item; -1 is NULL. `place` is what messages call it.
fn receive_item(
    ty: SqlType,
    r: &mut Reader<'_>,
    settings: &FormatSettings,
    depth: usize,
    place: (&str, usize),
) -> Result<Value> {
    if depth >= MAX_DEPTH {
        return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
    }
    match r.i32()? {
        -1 => Ok(Value::Null),
        len => {
            let item = usize::try_from(len).ok().and_then(|len| r.0.split_at_checked(len));
            let (item, rest) = item.ok_or_else(|| bad_format("insufficient data left in message"))?;
            r.0 = rest;
            match receive_nested(ty, item, settings, depth + 1)? {
                (value, true) => Ok(value),
                (_, false) => Err(SqlError::new(
                    SqlState::INVALID_BINARY_REPRESENTATION,
                    format!("improper binary format in {} {}", place.0, place.1),
                )),
            }
        }
    }
}

/// Numbers from here on differ from server to server: what a client says of them is not looked at, the element decides.
const FIRST_UNPINNED: Oid = 10_000;

fn receive_array(ty: SqlType, r: &mut Reader<'_>, settings: &FormatSettings, depth: usize) -> Result<Value> {
    let count = r.i32()?;
    if count < 0 {
        return Err(SqlError::new(
            SqlState::INVALID_BINARY_REPRESENTATION,
            alloc::format!("invalid number of dimensions: {count}"),
        ));
    }
    if count as usize > MAX_DIMENSIONS {
        return Err(too_many_dimensions(count as usize));
    }
    if !matches!(r.i32()?, 0 | 1) {
        return Err(bad_format("invalid array flags"));
    }
    let element = u32::from_be_bytes(r.array()?);
    let wanted = typeinfo::element_of(ty.oid);
    if element != wanted && element < FIRST_UNPINNED && wanted < FIRST_UNPINNED {
        let expected = typeinfo::display(wanted.into());
        return Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "binary data has array element type {element} ({}) instead of expected {} ({expected})",
                typeinfo::display(element.into()),
                typeinfo::element_of(ty.oid)
            ),
        ));
    }
    let mut dims = Vec::with_capacity(count as usize);
    let mut total = usize::from(count > 0);
    for _ in 0..count {
        let (len, lower) = (r.i32()?, r.i32()?);
        dims.push((len, lower));
    }
    for (len, _) in &dims {
        let len = usize::try_from(*len).map_err(|_| too_large())?;
        total = total.checked_mul(len).filter(|n| *n <= MAX_ELEMENTS).ok_or_else(too_large)?;
    }
    if let Some((_, lower)) = dims.iter().find(|(len, lower)| len.checked_add(*lower).is_none()) {
        let message = format!("array lower bound is too large: {lower}");
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    }
    if total == 0 {
        dims.clear();
    }
    let element = wanted;
    let element_type = SqlType::with_typmod(element, ty.typmod);
    let item = |n: usize| receive_item(element_type, r, settings, depth, ("array element", n + 1));
    let values = (0..total).map(item).collect::<Result<_>>()?;
    Ok(Value::Array(Arc::new(ArrayValue { element, dims, values })))
}

fn receive_record(r: &mut Reader<'_>, settings: &FormatSettings, depth: usize) -> Result<Value> {
    let count = usize::try_from(r.i32()?).map_err(|_| bad_format("invalid number of columns"))?;
    if count > r.0.len() / 8 {
        return Err(short());
    }
    let (mut types, mut values) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for n in 0..count {
        let ty = u32::from_be_bytes(r.array()?);
        types.push(ty);
        values.push(receive_item(ty.into(), r, settings, depth, ("record column", n + 1))?);
    }
    Ok(Value::Record(Arc::new(RecordValue { types, values, names: None })))
}

/// A value of a composite type: as a record, whose fields must be the type's.
fn receive_composite(ty: Oid, r: &mut Reader<'_>, settings: &FormatSettings, depth: usize) -> Result<Value> {
    let described = settings.types.get(ty)?;
    let fields = described.fields();
    let count = r.i32()?;
    if usize::try_from(count) != Ok(fields.len()) {
        let message = format!("wrong number of columns: {count}, expected {}", fields.len());
        return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
    }
    let (mut types, mut values) = (Vec::with_capacity(fields.len()), Vec::with_capacity(fields.len()));
    for (n, field) in fields.iter().enumerate() {
        let sent = u32::from_be_bytes(r.array()?);
        let built_in = sent < FIRST_UNPINNED && field.ty.oid < FIRST_UNPINNED;
        if sent != field.plain.oid && sent != field.ty.oid && built_in {
            let message = format!(
                "binary data has type {sent} ({}) instead of expected {} ({}) in record column {}",
                typeinfo::display(sent.into()),
                field.ty.oid,
                typeinfo::display(field.ty.oid.into()),
                n + 1
            );
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
        }
        types.push(field.plain.oid);
        values.push(receive_item(field.plain, r, settings, depth, ("record column", n + 1))?);
    }
    Ok(Value::Record(Arc::new(RecordValue { types, values, names: None })))
}

fn receive_inet(r: &mut Reader<'_>, cidr: bool) -> Result<Value> {
    let name = if cidr { "cidr" } else { "inet" };
    let bad = |what: &str| {
        SqlError::new(
            SqlState::INVALID_BINARY_REPRESENTATION,
            format!("invalid {what} in external \"{name}\" value"),
        )
    };
    let v6 = match r.byte()? {
        IPV4 => false,
        IPV6 => true,
        _ => return Err(bad("address family")),
    };
    let bits = r.byte()?;
    let mut inet = Inet { v6, bits, cidr, address: [0; 16] };
    if bits > inet.max_bits() {
        return Err(bad("bits"));
    }
    r.byte()?;
    let length = inet.max_bits() / 8;
    if r.byte()? != length {
        return Err(bad("length"));
    }
    for to in inet.address.iter_mut().take(usize::from(length)) {
        *to = r.byte()?;
    }
    if cidr && inet.network() != inet.address {
        return Err(SqlError::new(
            SqlState::INVALID_BINARY_REPRESENTATION,
            "invalid external \"cidr\" value",
        )
        .detail("Value has bits set to right of mask."));
    }
    Ok(Value::Inet(inet))
}

/// Address families as the wire has them.
const IPV4: u8 = 2;
const IPV6: u8 = 3;

fn receive_bits(r: &mut Reader<'_>) -> Result<Bits> {
    let bad = || bad_format("invalid length in external bit string");
    let len = usize::try_from(r.i32()?).map_err(|_| bad())?;
    if len > crate::bits::MAX_BITS {
        return Err(bad());
    }
    Bits::from_bytes(len, r.take(len.div_ceil(8))?).ok_or_else(bad)
}

/// Appends the binary form; nothing for NULL (callers write their own).
pub fn send(value: &Value, ty: Oid, settings: &FormatSettings, out: &mut Vec<u8>) {
    match value {
        Value::Int8(v) if user::is_enum(ty) => settings.types.write_label(ty, *v, out),
        Value::Null => {}
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::Char(v) => out.push(*v),
        Value::Int2(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Int4(v) | Value::Date(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::TimestampTz(v) => {
            out.extend_from_slice(&v.to_be_bytes());
        }
        Value::Oid(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Float4(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Float8(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Numeric(v) => v.send(out),
        Value::Text(v) => send_text(v, ty, out),
        Value::Bytea(v) => out.extend_from_slice(v),
        Value::TimeTz(v) => {
            out.extend_from_slice(&v.micros.to_be_bytes());
            out.extend_from_slice(&v.zone.to_be_bytes());
        }
        Value::Interval(v) => send_interval(v, out),
        Value::Uuid(v) => out.extend_from_slice(v),
        Value::Tid(block, offset) => {
            out.extend_from_slice(&block.to_be_bytes());
            out.extend_from_slice(&offset.to_be_bytes());
        }
        Value::Jsonb(v) => {
            out.push(1);
            out.extend_from_slice(json::text(v).as_bytes());
        }
        Value::JsonPath(v) => {
            out.push(1);
            out.extend_from_slice(format!("{v}").as_bytes());
        }
        Value::Inet(v) => {
            let family = if v.v6 { IPV6 } else { IPV4 };
            out.extend_from_slice(&[family, v.bits, u8::from(ty == oid::CIDR), v.max_bits() / 8]);
            out.extend_from_slice(v.bytes());
        }
        Value::MacAddr(v) => out.extend_from_slice(v),
        Value::MacAddr8(v) => out.extend_from_slice(v),
        Value::Bits(v) => {
            out.extend_from_slice(&(v.len() as i32).to_be_bytes());
            out.extend_from_slice(v.bytes());
        }
        Value::Geometry(g) => g.send(out),
        Value::Array(a) => {
            out.extend_from_slice(&(a.dims.len() as i32).to_be_bytes());
            out.extend_from_slice(&i32::from(a.values.iter().any(Value::is_null)).to_be_bytes());
            out.extend_from_slice(&a.element.to_be_bytes());
            for (len, lower) in &a.dims {
                out.extend_from_slice(&len.to_be_bytes());
                out.extend_from_slice(&lower.to_be_bytes());
            }
            a.values.iter().for_each(|v| send_item(v, a.element, settings, out));
        }
        Value::Record(r) => {
            out.extend_from_slice(&(r.values.len() as i32).to_be_bytes());
            for (v, field) in r.values.iter().zip(&r.types) {
                out.extend_from_slice(&field.to_be_bytes());
                send_item(v, *field, settings, out);
            }
        }
    }
}

/// What is kept as text; snapshots are sent as numbers.
fn send_text(text: &str, ty: Oid, out: &mut Vec<u8>) {
    let snapshot = matches!(ty, oid::PG_SNAPSHOT | oid::TXID_SNAPSHOT);
    match snapshot.then(|| super::snapshot::Parts::parse(text)).flatten() {
        Some(parts) => parts.send(out),
        None => out.extend_from_slice(text.as_bytes()),
    }
}

fn send_interval(v: &Interval, out: &mut Vec<u8>) {
    out.extend_from_slice(&v.micros.to_be_bytes());
    out.extend_from_slice(&v.days.to_be_bytes());
    out.extend_from_slice(&v.months.to_be_bytes());
}

fn send_item(v: &Value, ty: Oid, settings: &FormatSettings, out: &mut Vec<u8>) {
    if v.is_null() {
        return out.extend_from_slice(&(-1i32).to_be_bytes());
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    send(v, ty, settings, out);
    let len = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

/// Appends the binary form of row `row`; nothing for NULL.
pub fn send_row(column: &Vector, row: usize, settings: &FormatSettings, out: &mut Vec<u8>) {
    if column.is_null(row) {
        return;
    }
    let i = column.index(row);
    match &column.data {
        ColumnData::Bool(v) => out.push(u8::from(v[i])),
        ColumnData::Int2(v) => out.extend_from_slice(&v[i].to_be_bytes()),
        ColumnData::Int4(v) => out.extend_from_slice(&v[i].to_be_bytes()),
        ColumnData::Int8(v) if user::is_enum(column.ty.oid) => {
            settings.types.write_label(column.ty.oid, v[i], out);
        }
        ColumnData::Int8(v) => out.extend_from_slice(&v[i].to_be_bytes()),
        ColumnData::Oid(v) => out.extend_from_slice(&v[i].to_be_bytes()),
        ColumnData::Float4(v) => out.extend_from_slice(&v[i].to_be_bytes()),
        ColumnData::Float8(v) => out.extend_from_slice(&v[i].to_be_bytes()),
        ColumnData::Numeric(v) => v[i].send(out),
        ColumnData::Text(v) if matches!(column.ty.oid, oid::PG_SNAPSHOT | oid::TXID_SNAPSHOT) => {
            send_text(core::str::from_utf8(v.get(i)).unwrap_or(""), column.ty.oid, out);
        }
        ColumnData::Text(v) | ColumnData::Bytea(v) => out.extend_from_slice(v.get(i)),
        ColumnData::Interval(v) => send_interval(&v[i], out),
        ColumnData::Uuid(v) => out.extend_from_slice(&v[i]),
        ColumnData::Other(v) => send(&v[i], column.ty.oid, settings, out),
    }
}
