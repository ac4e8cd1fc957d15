//! Text and binary formats of every type.
//!
//! [`input`] and [`receive`] turn a client's bytes into a value and apply the type's modifier, as PostgreSQL's input
//! functions do. [`output`] and [`send`] write values; [`output_row`] and [`send_row`] write a row of a column without
//! making a [`Value`] of it.

mod array;
mod binary;
mod bytea;
mod float;
mod record;
mod scalar;
pub mod snapshot;
#[cfg(test)]
mod tests;
pub mod typmod;

use alloc::{format, string::String, vec::Vec};

use crate::{
    bits::Bits,
    datetime,
    error::{Result, SqlError, SqlState},
    format::FormatSettings,
    geometry, json, money,
    network::{self, Inet},
    oid::{self, SqlType},
    typeinfo, user,
    value::Value,
    vector::{ColumnData, Physical, Vector},
};

pub use binary::{receive, send, send_row, valid_text};
pub use float::{write_f32, write_f64};

/// White space as the C locale has it.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// 22P02 in PostgreSQL's words.
#[cold]
pub(crate) fn invalid_syntax(type_name: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

#[cold]
fn out_of_range(type_name: &str, text: &str) -> SqlError {
    SqlError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("value \"{text}\" is out of range for type {type_name}"),
    )
}

#[cold]
fn unsupported_type(ty: SqlType) -> SqlError {
    SqlError::unsupported(format!("type {}", typeinfo::display(ty)))
}

/// A boolean in any way that SQL writes it.
pub fn parse_boolean(text: &str) -> Option<bool> {
    scalar::parse_bool(text).ok()
}

/// Reads a value of type `ty` from its text form and applies the modifier.
pub fn input(ty: SqlType, text: &str, settings: &FormatSettings) -> Result<Value> {
    Ok(match ty.oid {
        oid::INT4 => Value::Int4(scalar::parse_int(text, "integer")?),
        oid::INT8 => Value::Int8(scalar::parse_int(text, "bigint")?),
        oid::INT2 => Value::Int2(scalar::parse_int(text, "smallint")?),
        oid::TEXT | oid::UNKNOWN | oid::CSTRING | oid::REFCURSOR | oid::PG_NODE_TREE => Value::text(text),
        oid::VARCHAR => Value::Text(typmod::varchar(text.into(), ty.typmod, false)?),
        oid::BPCHAR => Value::Text(typmod::bpchar(text, ty.typmod, false)?),
        oid::NAME => Value::text(typmod::name(text)),
        oid::BOOL => Value::Bool(scalar::parse_bool(text)?),
        oid::CHAR => Value::Char(scalar::parse_char(text)),
        oid::FLOAT4 => Value::Float4(float::parse_f32(text)?),
        oid::FLOAT8 => Value::Float8(float::parse_f64(text)?),
        oid::NUMERIC => Value::Numeric(crate::Numeric::parse(text)?.apply_typmod(ty.typmod)?),
        oid::BYTEA => Value::Bytea(bytea::parse(text)?),
        oid::UUID => Value::Uuid(scalar::parse_uuid(text)?),
        oid::TID => scalar::parse_tid(text)?,
        oid::XID8 => Value::Int8(scalar::parse_u64(text, "xid8")? as i64),
        oid::PG_LSN => Value::Int8(scalar::parse_lsn(text)? as i64),
        oid::PG_SNAPSHOT | oid::TXID_SNAPSHOT => {
            let parts = snapshot::Parts::parse(text).ok_or_else(|| invalid_syntax("pg_snapshot", text))?;
            Value::Text(parts.text().into())
        }
        oid::JSON => {
            json::validate(text)?;
            Value::text(text)
        }
        oid::JSONB => Value::Jsonb(json::jsonb(text)?),
        oid::JSONPATH => json::path(text)?,
        oid::INET | oid::CIDR => Value::Inet(Inet::parse(text, ty.oid == oid::CIDR)?),
        oid::MACADDR => Value::MacAddr(network::parse_mac(text)?),
        oid::MACADDR8 => Value::MacAddr8(network::parse_mac8(text)?),
        oid::BIT => Bits::parse(text)?.fix(ty.typmod, false)?.into(),
        oid::VARBIT => Bits::parse(text)?.limit(ty.typmod, false)?.into(),
        ty if geometry::is_geometric(ty) => geometry::parse(ty, text)?.into(),
        oid::MONEY => Value::Int8(money::parse(text)?),
        oid::INT2VECTOR => scalar::parse_vector(text, oid::INT2, "smallint")?,
        oid::OIDVECTOR => scalar::parse_vector(text, oid::OID, "oid")?,
        oid::DATE => Value::Date(datetime::date_in(text, settings)?),
        oid::TIME => Value::Time(datetime::time_in(text, ty.typmod, settings)?),
        oid::TIMETZ => Value::TimeTz(datetime::timetz_in(text, ty.typmod, settings)?),
        oid::TIMESTAMP => Value::Timestamp(datetime::timestamp_in(text, ty.typmod, settings)?),
        oid::TIMESTAMPTZ => Value::TimestampTz(datetime::timestamptz_in(text, ty.typmod, settings)?),
        oid::INTERVAL => Value::Interval(datetime::interval_in(text, ty.typmod, settings)?),
        oid::RECORD => {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "input of anonymous composite types is not implemented",
            ));
        }
        other if Physical::of(other) == Physical::Oid => {
            Value::Oid(scalar::parse_oid(text, typeinfo::get(other).map_or("oid", |t| t.name))?)
        }
        other if user::is_enum(other) => Value::Int8(settings.types.get(other)?.place_of(text)?),
        other if user::is_composite(other) => {
            let described = settings.types.get(other)?;
            record::parse(&described, text, settings)?
        }
        other if typeinfo::get(other).is_some_and(|t| t.is_array()) => array::parse(ty, text, settings)?,
        other => match typeinfo::get(other) {
            // Statistics are ANALYZE's to make.
            Some(t)
                if t.kind == b'p'
                    || matches!(other, oid::PG_NDISTINCT | oid::PG_DEPENDENCIES | oid::PG_MCV_LIST) =>
            {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("cannot accept a value of type {}", t.name),
                ));
            }
            _ => return Err(unsupported_type(ty)),
        },
    })
}

/// Appends the text form; nothing for NULL (callers write their own).
pub fn output(value: &Value, ty: SqlType, settings: &FormatSettings, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bool(v) => out.push(if *v { b't' } else { b'f' }),
        Value::Char(v) => scalar::write_char(*v, out),
        Value::Int2(v) => write_int(*v, out),
        Value::Int4(v) => write_int(*v, out),
        Value::Int8(v) => scalar::write_i64(*v, ty.oid, settings, out),
        Value::Oid(v) => write_int(*v, out),
        Value::Float4(v) => write_f32(*v, settings.extra_float_digits, out),
        Value::Float8(v) => write_f64(*v, settings.extra_float_digits, out),
        Value::Numeric(v) => v.write(out),
        Value::Text(v) => out.extend_from_slice(v.as_bytes()),
        Value::Bytea(v) => bytea::write(v, settings.bytea_output, out),
        Value::Date(v) => datetime::write_date(*v, settings, out),
        Value::Time(v) => datetime::write_time(*v, out),
        Value::TimeTz(v) => datetime::write_timetz(v, out),
        Value::Timestamp(v) => datetime::write_timestamp(*v, settings, out),
        Value::TimestampTz(v) => datetime::write_timestamptz(*v, settings, out),
        Value::Interval(v) => datetime::write_interval(v, settings.interval_style, out),
        Value::Uuid(v) => scalar::write_uuid(v, out),
        Value::Tid(block, offset) => out.extend_from_slice(format!("({block},{offset})").as_bytes()),
        Value::Jsonb(v) => out.extend_from_slice(json::text(v).as_bytes()),
        Value::JsonPath(v) => out.extend_from_slice(format!("{v}").as_bytes()),
        Value::Inet(v) => out.extend_from_slice(v.shown(ty.oid == oid::CIDR).as_bytes()),
        Value::MacAddr(v) => out.extend_from_slice(network::show_mac(v).as_bytes()),
        Value::MacAddr8(v) => out.extend_from_slice(network::show_mac(v).as_bytes()),
        Value::Bits(v) => v.write(out),
        Value::Geometry(v) => geometry::write(v, settings, out),
        Value::Array(v) => array::write(v, ty, settings, out),
        Value::Record(v) => record::write(v, settings, out),
    }
}

/// Reads a double precision.
pub fn parse_double(text: &str) -> Result<f64> {
    float::parse_f64(text)
}

/// [`output`] to a string.
pub fn output_string(value: &Value, ty: SqlType, settings: &FormatSettings) -> String {
    let mut out = Vec::with_capacity(16);
    output(value, ty, settings, &mut out);
    // Every writer appends UTF-8, so this copies nothing.
    String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// Appends the text form of row `row`; nothing for NULL.
pub fn output_row(column: &Vector, row: usize, settings: &FormatSettings, out: &mut Vec<u8>) {
    if column.is_null(row) {
        return;
    }
    let i = column.index(row);
    match &column.data {
        ColumnData::Int4(v) if column.ty.oid == oid::DATE => datetime::write_date(v[i], settings, out),
        ColumnData::Int4(v) => write_int(v[i], out),
        ColumnData::Int8(v) => match column.ty.oid {
            oid::INT8 => write_int(v[i], out),
            oid::TIMESTAMP => datetime::write_timestamp(v[i], settings, out),
            oid::TIMESTAMPTZ => datetime::write_timestamptz(v[i], settings, out),
            oid::TIME => datetime::write_time(v[i], out),
            other => scalar::write_i64(v[i], other, settings, out),
        },
        ColumnData::Text(v) => out.extend_from_slice(v.get(i)),
        ColumnData::Bool(v) => out.push(if v[i] { b't' } else { b'f' }),
        ColumnData::Int2(v) => write_int(v[i], out),
        ColumnData::Oid(v) => write_int(v[i], out),
        ColumnData::Float4(v) => write_f32(v[i], settings.extra_float_digits, out),
        ColumnData::Float8(v) => write_f64(v[i], settings.extra_float_digits, out),
        ColumnData::Numeric(v) => v[i].write(out),
        ColumnData::Bytea(v) => bytea::write(v.get(i), settings.bytea_output, out),
        ColumnData::Interval(v) => datetime::write_interval(&v[i], settings.interval_style, out),
        ColumnData::Uuid(v) => scalar::write_uuid(&v[i], out),
        ColumnData::Other(v) => output(&v[i], column.ty, settings, out),
    }
}

fn write_int(v: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(v).as_bytes());
}
