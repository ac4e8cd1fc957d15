//! SQL values as JSON.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use pg_json::Json;
use pg_types::{
    Oid, Result, SqlType, Value,
    format::DateStyle,
    io, json,
    oid::*,
    value::{ArrayValue, RecordValue},
};

use super::invalid;
use crate::{def::EvalContext, output::typed};

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Bool,
    Number,
    Moment,
    Json,
    Jsonb,
    Array,
    Record,
    Other,
}

pub(super) fn class(ty: Oid, v: &Value) -> Class {
    match v {
        Value::Bool(_) => Class::Bool,
        Value::Int8(_) if ty != INT8 => Class::Other,
        Value::Int2(_)
        | Value::Int4(_)
        | Value::Int8(_)
        | Value::Float4(_)
        | Value::Float8(_)
        | Value::Numeric(_) => Class::Number,
        Value::Date(_) | Value::Timestamp(_) | Value::TimestampTz(_) => Class::Moment,
        Value::Text(_) if ty == JSON => Class::Json,
        Value::Jsonb(_) => Class::Jsonb,
        Value::Array(_) => Class::Array,
        Value::Record(_) => Class::Record,
        _ => Class::Other,
    }
}

/// Dates and timestamps as XML Schema has them: ISO 8601 with a `T`, and minutes in the zone.
pub(super) fn moment(ctx: &EvalContext<'_>, ty: Oid, v: &Value) -> String {
    let mut settings = ctx.host.format().clone();
    settings.date_style = DateStyle::Iso;
    let text = io::output_string(v, SqlType::new(ty), &settings);
    let (body, era) = match text.strip_suffix(" BC") {
        Some(body) => (body, " BC"),
        None => (text.as_str(), ""),
    };
    let mut out = body.replacen(' ', "T", 1);
    if ty == TIMESTAMPTZ
        && let Some(sign) = out.rfind(['+', '-'])
        && out.contains('T')
        && out.len() - sign == 3
    {
        out.push_str(":00");
    }
    out.push_str(era);
    out
}

/// True for text that may stand as a number.
fn is_number(text: &str) -> bool {
    !text.ends_with(|c: char| c.is_ascii_alphabetic())
}

/// The bare text of a value that is to be a key.
pub(super) fn key(ctx: &EvalContext<'_>, ty: Oid, v: &Value) -> Result<String> {
    Ok(match class(ty, v) {
        Class::Array | Class::Record | Class::Json | Class::Jsonb => {
            return Err(invalid("key value must be scalar, not array, composite, or json"));
        }
        Class::Bool => (if *v == Value::Bool(true) { "true" } else { "false" }).into(),
        Class::Moment => moment(ctx, ty, v),
        _ => typed(ctx, ty, v)?,
    })
}

/// Appends a value as JSON text.
pub(super) fn write(ctx: &EvalContext<'_>, ty: Oid, v: &Value, out: &mut String) -> Result<()> {
    if v.is_null() {
        out.push_str("null");
        return Ok(());
    }
    match (class(ty, v), v) {
        (Class::Bool, _) => out.push_str(&key(ctx, ty, v)?),
        (Class::Number, _) => {
            let text = typed(ctx, ty, v)?;
            if is_number(&text) { out.push_str(&text) } else { pg_json::quote(&text, out) }
        }
        (Class::Moment, _) => pg_json::quote(&moment(ctx, ty, v), out),
        (Class::Json, Value::Text(text)) => out.push_str(text),
        (Class::Jsonb, Value::Jsonb(doc)) => doc.root().write(out),
        (Class::Array, Value::Array(a)) => array(ctx, a, false, out)?,
        (Class::Record, Value::Record(r)) => record(ctx, r, false, out)?,
        _ => pg_json::quote(&typed(ctx, ty, v)?, out),
    }
    Ok(())
}

/// Appends an array; `pretty` puts each element of the outermost dimension on a line of its own.
pub(super) fn array(ctx: &EvalContext<'_>, a: &ArrayValue, pretty: bool, out: &mut String) -> Result<()> {
    if a.values.is_empty() {
        out.push_str("[]");
        return Ok(());
    }
    level(ctx, a.element, &a.dims, &a.values, pretty, out)
}

fn level(
    ctx: &EvalContext<'_>,
    element: Oid,
    dims: &[(i32, i32)],
    values: &[Value],
    pretty: bool,
    out: &mut String,
) -> Result<()> {
    let Some(((len, _), inner)) = dims.split_first() else { return Ok(()) };
    let each = (values.len() / usize::try_from(*len).unwrap_or(1).max(1)).max(1);
    out.push('[');
    for (i, part) in values.chunks(each).enumerate() {
        if i > 0 {
            out.push_str(if pretty { ",\n " } else { "," });
        }
        match part {
            [v] if inner.is_empty() => write(ctx, element, v, out)?,
            _ => level(ctx, element, inner, part, false, out)?,
        }
    }
    out.push(']');
    Ok(())
}

/// The name of a field.
fn field(r: &RecordValue, i: usize) -> String {
    match r.names.as_ref().and_then(|n| n.get(i)) {
        Some(name) => name.to_string(),
        None => alloc::format!("f{}", i + 1),
    }
}

/// Appends a row as an object.
pub(super) fn record(ctx: &EvalContext<'_>, r: &RecordValue, pretty: bool, out: &mut String) -> Result<()> {
    out.push('{');
    for (i, (v, ty)) in r.values.iter().zip(&r.types).enumerate() {
        if i > 0 {
            out.push_str(if pretty { ",\n " } else { "," });
        }
        pg_json::quote(&field(r, i), out);
        out.push(':');
        write(ctx, *ty, v, out)?;
    }
    out.push('}');
    Ok(())
}

/// A value as part of a document.
pub(super) fn tree(ctx: &EvalContext<'_>, ty: Oid, v: &Value) -> Result<Json> {
    if v.is_null() {
        return Ok(Json::Null);
    }
    Ok(match (class(ty, v), v) {
        (Class::Bool, Value::Bool(b)) => Json::Bool(*b),
        (Class::Number, _) => {
            let text = typed(ctx, ty, v)?;
            if is_number(&text) { Json::number(&text).map_err(json::error)? } else { text.into() }
        }
        (Class::Moment, _) => moment(ctx, ty, v).into(),
        (Class::Json, Value::Text(text)) => {
            pg_json::parse(text).and_then(|s| s.to_json()).map_err(json::error)?
        }
        (Class::Jsonb, Value::Jsonb(doc)) => doc.root().into(),
        (Class::Array, Value::Array(a)) => level_tree(ctx, a.element, &a.dims, &a.values)?,
        (Class::Record, Value::Record(r)) => {
            let fields = r.values.iter().zip(&r.types).enumerate();
            let member = |(i, (v, ty)): (usize, (&Value, &Oid))| Ok((field(r, i).into(), tree(ctx, *ty, v)?));
            Json::Object(fields.map(member).collect::<Result<_>>()?)
        }
        _ => typed(ctx, ty, v)?.into(),
    })
}

fn level_tree(ctx: &EvalContext<'_>, element: Oid, dims: &[(i32, i32)], values: &[Value]) -> Result<Json> {
    let Some(((len, _), inner)) = dims.split_first() else { return Ok(Json::Array(Vec::new())) };
    let each = (values.len() / usize::try_from(*len).unwrap_or(1).max(1)).max(1);
    let part = |part: &[Value]| match part {
        [v] if inner.is_empty() => tree(ctx, element, v),
        _ => level_tree(ctx, element, inner, part),
    };
    Ok(Json::Array(values.chunks(each).map(part).collect::<Result<_>>()?))
}
