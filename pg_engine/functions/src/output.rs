//! Values as text, for functions that take any type.

use alloc::string::String;

use pg_types::{Oid, Result, SqlType, Value, io, oid::*, value::ArrayValue};

use crate::{call::mismatch, def::EvalContext};

/// The type a value is written as when nothing else is known.
pub(crate) fn natural_type(value: &Value) -> Oid {
    match value {
        Value::Bool(_) => BOOL,
        Value::Char(_) => CHAR,
        Value::Int2(_) => INT2,
        Value::Int4(_) => INT4,
        Value::Int8(_) => INT8,
        Value::Oid(_) => OID,
        Value::Float4(_) => FLOAT4,
        Value::Float8(_) => FLOAT8,
        Value::Numeric(_) => NUMERIC,
        Value::Text(_) | Value::Null => TEXT,
        Value::Bytea(_) => BYTEA,
        Value::Date(_) => DATE,
        Value::Time(_) => TIME,
        Value::TimeTz(_) => TIMETZ,
        Value::Timestamp(_) => TIMESTAMP,
        Value::TimestampTz(_) => TIMESTAMPTZ,
        Value::Interval(_) => INTERVAL,
        Value::Uuid(_) => UUID,
        Value::Tid(..) => TID,
        Value::Jsonb(_) => JSONB,
        Value::JsonPath(_) => JSONPATH,
        Value::Inet(i) if i.cidr => CIDR,
        Value::Inet(_) => INET,
        Value::MacAddr(_) => MACADDR,
        Value::MacAddr8(_) => MACADDR8,
        Value::Bits(_) => VARBIT,
        Value::Geometry(g) => g.ty(),
        Value::Array(a) => array_type(a),
        Value::Record(_) => RECORD,
    }
}

fn array_type(array: &ArrayValue) -> Oid {
    crate::types::array_type(array.element)
}

/// A value's text form under the session's settings.
pub(crate) fn text(ctx: &EvalContext<'_>, value: &Value) -> String {
    match value {
        Value::Text(s) => s.as_ref().into(),
        _ => io::output_string(value, SqlType::new(natural_type(value)), ctx.host.format()),
    }
}

/// The types that the binder appends to the arguments of functions that ask for them.
pub(crate) fn described(args: &[Value]) -> Result<(&[Value], alloc::sync::Arc<pg_types::value::ArrayValue>)> {
    match args.split_last() {
        Some((Value::Array(types), values)) => Ok((values, types.clone())),
        _ => Err(mismatch()),
    }
}

/// The type of argument `i` as the hidden list has it.
pub(crate) fn type_at(types: &pg_types::value::ArrayValue, i: usize) -> pg_types::Oid {
    match types.values.get(i) {
        Some(Value::Oid(ty)) => *ty,
        _ => pg_types::oid::TEXT,
    }
}

/// The text form of a value of a type, with names from the catalogs where it is a number that stands for one.
pub(crate) fn typed(ctx: &EvalContext<'_>, ty: Oid, value: &Value) -> Result<String> {
    Ok(match ctx.host.catalog_text(value, ty)? {
        Some(text) => text,
        None => io::output_string(value, SqlType::new(ty), ctx.host.format()),
    })
}

/// A double with six significant digits, as C's `%g` writes it.
pub(crate) fn general(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return alloc::format!("{x}");
    }
    let scientific = alloc::format!("{x:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |s: &str| -> String {
        if s.contains('.') { s.trim_end_matches('0').trim_end_matches('.').into() } else { s.into() }
    };
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return alloc::format!("{}e{sign}{:02}", trim(mantissa), exponent.unsigned_abs());
    }
    let decimals = usize::try_from(5 - exponent).unwrap_or(0);
    trim(&alloc::format!("{x:.decimals$}"))
}
