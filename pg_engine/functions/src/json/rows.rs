//! Functions that take documents apart into rows.

use alloc::{boxed::Box, string::String, vec::Vec};

use pg_json::{Jsonb, Kind, Span, SpanKind, View};
use pg_types::{
    Batch, Oid, Result, SqlType, Value, VectorBuilder, json,
    oid::{JSON, JSONB, TEXT},
    vector::BATCH_ROWS,
};

use super::invalid;
use crate::{
    call::next,
    def::{EvalContext, Function, Implementation, SetReturning},
    table::def,
};

/// Rows made beforehand.
struct Made {
    types: &'static [Oid],
    rows: alloc::vec::IntoIter<Vec<Value>>,
}

impl SetReturning for Made {
    fn next(&mut self, _ctx: &EvalContext<'_>) -> Result<Option<Batch>> {
        let count = self.rows.len().min(BATCH_ROWS);
        if count == 0 {
            return Ok(None);
        }
        let builder = |ty: &Oid| VectorBuilder::with_capacity(SqlType::new(*ty), count);
        let mut columns: Vec<VectorBuilder> = self.types.iter().map(builder).collect();
        for row in self.rows.by_ref().take(count) {
            for (column, value) in columns.iter_mut().zip(&row) {
                column.push(value)?;
            }
        }
        let columns = columns.into_iter().map(VectorBuilder::finish).collect();
        Ok(Some(Batch::new(columns, count)))
    }
}

fn made(types: &'static [Oid], rows: Vec<Vec<Value>>) -> Result<Box<dyn SetReturning>> {
    Ok(Box::new(Made { types, rows: rows.into_iter() }))
}

fn text(s: Option<&str>) -> Value {
    s.map_or(Value::Null, Value::text)
}

fn owned(s: Option<String>) -> Value {
    s.map_or(Value::Null, |s| Value::Text(s.into()))
}

fn shown<const AS_TEXT: bool>(span: &Span<'_>) -> Value {
    text(if AS_TEXT { span.as_text() } else { Some(span.text) })
}

fn shownb<const AS_TEXT: bool>(view: View<'_>) -> Value {
    if AS_TEXT { owned(view.to_text()) } else { Value::Jsonb(Jsonb::copy_of(view)) }
}

fn each<const AS_TEXT: bool>(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let doc: &str = next(&mut args.iter())?;
    let members = match pg_json::parse(doc).map_err(json::error)?.kind {
        SpanKind::Object(members) => members,
        SpanKind::Array(_) => return Err(invalid("cannot deconstruct an array as an object")),
        _ => return Err(invalid("cannot deconstruct a scalar")),
    };
    let rows = members.iter().map(|(k, v)| alloc::vec![Value::text(k), shown::<AS_TEXT>(v)]).collect();
    made(if AS_TEXT { &[TEXT, TEXT] } else { &[TEXT, JSON] }, rows)
}

fn eachb<const AS_TEXT: bool>(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let doc: &Jsonb = next(&mut args.iter())?;
    let root = doc.root();
    if !root.is_object() {
        let name = if AS_TEXT { "jsonb_each_text" } else { "jsonb_each" };
        return Err(invalid(alloc::format!("cannot call {name} on a non-object")));
    }
    let rows = root.members().map(|(k, v)| alloc::vec![Value::text(k), shownb::<AS_TEXT>(v)]).collect();
    made(if AS_TEXT { &[TEXT, TEXT] } else { &[TEXT, JSONB] }, rows)
}

fn elements<const AS_TEXT: bool>(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let doc: &str = next(&mut args.iter())?;
    let name = if AS_TEXT { "json_array_elements_text" } else { "json_array_elements" };
    let values = match pg_json::parse(doc).map_err(json::error)?.kind {
        SpanKind::Array(values) => values,
        SpanKind::Object(_) => return Err(invalid(alloc::format!("cannot call {name} on a non-array"))),
        _ => return Err(invalid(alloc::format!("cannot call {name} on a scalar"))),
    };
    let rows = values.iter().map(|v| alloc::vec![shown::<AS_TEXT>(v)]).collect();
    made(if AS_TEXT { &[TEXT] } else { &[JSON] }, rows)
}

fn elementsb<const AS_TEXT: bool>(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let doc: &Jsonb = next(&mut args.iter())?;
    let root = doc.root();
    match root.kind() {
        Kind::Array(_) => {}
        Kind::Object(_) => return Err(invalid("cannot extract elements from an object")),
        _ => return Err(invalid("cannot extract elements from a scalar")),
    }
    let rows = root.elements().map(|v| alloc::vec![shownb::<AS_TEXT>(v)]).collect();
    made(if AS_TEXT { &[TEXT] } else { &[JSONB] }, rows)
}

fn keys(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let doc: &str = next(&mut args.iter())?;
    let members = match pg_json::parse(doc).map_err(json::error)?.kind {
        SpanKind::Object(members) => members,
        SpanKind::Array(_) => return Err(invalid("cannot call json_object_keys on an array")),
        _ => return Err(invalid("cannot call json_object_keys on a scalar")),
    };
    made(&[TEXT], members.iter().map(|(k, _)| alloc::vec![Value::text(k)]).collect())
}

fn keysb(_ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let doc: &Jsonb = next(&mut args.iter())?;
    let root = doc.root();
    match root.kind() {
        Kind::Object(_) => {}
        Kind::Array(_) => return Err(invalid("cannot call jsonb_object_keys on an array")),
        _ => return Err(invalid("cannot call jsonb_object_keys on a scalar")),
    }
    made(&[TEXT], root.members().map(|(k, _)| alloc::vec![Value::text(k)]).collect())
}

/// Rows.
pub(super) static FUNCTIONS: &[Function] = &[
    def(3958, "json_each", &[JSON], pg_types::oid::RECORD)
        .columns(&[("key", TEXT), ("value", JSON)])
        .imp(Implementation::Set(each::<false>)),
    def(3959, "json_each_text", &[JSON], pg_types::oid::RECORD)
        .columns(&[("key", TEXT), ("value", TEXT)])
        .imp(Implementation::Set(each::<true>)),
    def(3208, "jsonb_each", &[JSONB], pg_types::oid::RECORD)
        .columns(&[("key", TEXT), ("value", JSONB)])
        .imp(Implementation::Set(eachb::<false>)),
    def(3932, "jsonb_each_text", &[JSONB], pg_types::oid::RECORD)
        .columns(&[("key", TEXT), ("value", TEXT)])
        .imp(Implementation::Set(eachb::<true>)),
    def(3955, "json_array_elements", &[JSON], JSON)
        .columns(&[("value", JSON)])
        .imp(Implementation::Set(elements::<false>)),
    def(3969, "json_array_elements_text", &[JSON], TEXT)
        .columns(&[("value", TEXT)])
        .imp(Implementation::Set(elements::<true>)),
    def(3219, "jsonb_array_elements", &[JSONB], JSONB)
        .columns(&[("value", JSONB)])
        .imp(Implementation::Set(elementsb::<false>)),
    def(3465, "jsonb_array_elements_text", &[JSONB], TEXT)
        .columns(&[("value", TEXT)])
        .imp(Implementation::Set(elementsb::<true>)),
    def(3957, "json_object_keys", &[JSON], TEXT).imp(Implementation::Set(keys)),
    def(3931, "jsonb_object_keys", &[JSONB], TEXT).imp(Implementation::Set(keysb)),
];
