//! Looking into documents.

use alloc::{borrow::Cow, string::String, vec::Vec};

use pg_json::{Jsonb, Kind, Span, SpanKind, View};
use pg_types::{
    Numeric, Result, SqlError, Value, json, oid,
    oid::{BOOL, FLOAT4, FLOAT8, INT2, INT4, INT8, NUMERIC, TEXT, TEXT_ARRAY},
    value::ArrayValue,
};

use super::{index, invalid, position, texts};
use crate::{call::row, def::Function, table::def};

fn read(text: &str) -> Result<Span<'_>> {
    pg_json::parse(text).map_err(json::error)
}

/// The span at a path; `None` where there is none or the path has a NULL.
fn at_path<'s, 'a>(span: &'s Span<'a>, path: &ArrayValue) -> Result<Option<&'s Span<'a>>> {
    let mut here = span;
    for step in texts(path)? {
        let Some(step) = step else { return Ok(None) };
        let next = match &here.kind {
            SpanKind::Object(_) => here.member(step),
            SpanKind::Array(_) => index(step).and_then(|i| here.element(i)),
            _ => None,
        };
        match next {
            Some(next) => here = next,
            None => return Ok(None),
        }
    }
    Ok(Some(here))
}

fn path<const TEXT: bool>(text: &str, path: &ArrayValue) -> Result<Option<String>> {
    let span = read(text)?;
    let found = at_path(&span, path)?;
    Ok(found.and_then(|s| if TEXT { s.as_text() } else { Some(s.text) }).map(String::from))
}

fn shown<const TEXT: bool>(found: Option<&Span<'_>>) -> Option<String> {
    found.and_then(|s| if TEXT { s.as_text() } else { Some(s.text) }).map(String::from)
}

fn strip<'a>(span: &Span<'a>, out: &mut String) {
    match &span.kind {
        SpanKind::Object(members) => {
            out.push('{');
            let kept = members.iter().filter(|(_, v)| v.kind != SpanKind::Null);
            for (i, (k, v)) in kept.enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                pg_json::quote(k, out);
                out.push(':');
                strip(v, out);
            }
            out.push('}');
        }
        SpanKind::Array(elements) => {
            out.push('[');
            for (i, v) in elements.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                strip(v, out);
            }
            out.push(']');
        }
        SpanKind::String(s) => pg_json::quote(s, out),
        _ => out.push_str(span.text),
    }
}

fn stripped(view: View<'_>) -> pg_json::Json {
    match view.kind() {
        Kind::Array(_) => pg_json::Json::Array(view.elements().map(stripped).collect()),
        Kind::Object(_) => pg_json::Json::Object(
            view.members()
                .filter(|(_, v)| v.kind() != Kind::Null)
                .map(|(k, v)| (k.into(), stripped(v)))
                .collect(),
        ),
        _ => view.into(),
    }
}

/// The first significant byte says what a valid document is.
fn kind_of(text: &str) -> &'static str {
    match text.trim_start_matches([' ', '\t', '\n', '\r']).bytes().next() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

pub(super) fn kind_name(view: View<'_>) -> &'static str {
    match view.kind() {
        Kind::Null => "null",
        Kind::Bool(_) => "boolean",
        Kind::Number(_) => "number",
        Kind::String(_) => "string",
        Kind::Array(_) => "array",
        Kind::Object(_) => "object",
    }
}

fn not_an_array(object: bool) -> SqlError {
    invalid(if object {
        "cannot get array length of a non-array"
    } else {
        "cannot get array length of a scalar"
    })
}

fn length(text: &str) -> Result<i32> {
    match read(text)?.kind {
        SpanKind::Array(e) => Ok(e.len() as i32),
        SpanKind::Object(_) => Err(not_an_array(true)),
        _ => Err(not_an_array(false)),
    }
}

/// Rows of json.
pub(super) static JSON: &[Function] = &[
    def(3947, "json_object_field", &[oid::JSON, TEXT], oid::JSON).imp(row!(|t: &str, key: &str| shown::<
        false,
    >(
        read(t)?.member(key)
    ))),
    def(3948, "json_object_field_text", &[oid::JSON, TEXT], TEXT)
        .imp(row!(|t: &str, key: &str| shown::<true>(read(t)?.member(key)))),
    def(3949, "json_array_element", &[oid::JSON, INT4], oid::JSON)
        .imp(row!(|t: &str, i: i32| shown::<false>(read(t)?.element(i.into())))),
    def(3950, "json_array_element_text", &[oid::JSON, INT4], TEXT)
        .imp(row!(|t: &str, i: i32| shown::<true>(read(t)?.element(i.into())))),
    def(3951, "json_extract_path", &[oid::JSON, TEXT_ARRAY], oid::JSON)
        .variadic(TEXT)
        .imp(row!(|t: &str, p: &ArrayValue| path::<false>(t, p)?)),
    def(3953, "json_extract_path_text", &[oid::JSON, TEXT_ARRAY], TEXT)
        .variadic(TEXT)
        .imp(row!(|t: &str, p: &ArrayValue| path::<true>(t, p)?)),
    def(3956, "json_array_length", &[oid::JSON], INT4).imp(row!(|t: &str| length(t))),
    def(3968, "json_typeof", &[oid::JSON], TEXT).imp(row!(|t: &str| kind_of(t))),
    def(3261, "json_strip_nulls", &[oid::JSON], oid::JSON).imp(row!(|t: &str| {
        let mut out = String::with_capacity(t.len());
        strip(&read(t)?, &mut out);
        out
    })),
];

/// The value at a path, as above.
pub(super) fn view_at<'a>(view: View<'a>, path: &ArrayValue) -> Result<Option<View<'a>>> {
    let steps = texts(path)?;
    if steps.contains(&None) {
        return Ok(None);
    }
    let mut here = view;
    for step in steps.into_iter().flatten() {
        let next = match here.kind() {
            Kind::Object(_) => here.member(step),
            Kind::Array(n) => index(step).and_then(|i| position(i, n)).and_then(|i| here.element(i)),
            _ => None,
        };
        match next {
            Some(next) => here = next,
            None => return Ok(None),
        }
    }
    Ok(Some(here))
}

fn element(doc: &Jsonb, i: i32) -> Option<View<'_>> {
    let root = doc.root();
    // A scalar counts as the only element of an array.
    if root.is_scalar() {
        return matches!(i, 0 | -1).then_some(root);
    }
    position(i.into(), root.len()).and_then(|i| root.element(i))
}

/// A document that is a scalar counts as an array of it.
fn contains(a: View<'_>, b: View<'_>) -> bool {
    if b.is_scalar() {
        return if a.is_scalar() { a.same(b) } else { a.elements().any(|e| e.is_scalar() && e.same(b)) };
    }
    within(a, b)
}

/// Does `a` hold everything that `b` does?
fn within(a: View<'_>, b: View<'_>) -> bool {
    match (a.kind(), b.kind()) {
        (Kind::Object(n), Kind::Object(m)) => {
            n >= m && b.members().all(|(k, v)| a.member(k).is_some_and(|w| within(w, v)))
        }
        (Kind::Array(_), Kind::Array(_)) => b.elements().all(|v| a.elements().any(|w| within(w, v))),
        _ => a.is_scalar() && b.is_scalar() && a.same(b),
    }
}

fn exists(doc: &Jsonb, key: &str) -> bool {
    let root = doc.root();
    match root.kind() {
        Kind::Object(_) => root.member(key).is_some(),
        Kind::Array(_) => root.elements().any(|e| e.kind() == Kind::String(key)),
        kind => kind == Kind::String(key),
    }
}

fn keys(a: &ArrayValue) -> Result<Vec<&str>> {
    Ok(texts(a)?.into_iter().flatten().collect())
}

fn lengthb(doc: &Jsonb) -> Result<i32> {
    match doc.root().kind() {
        Kind::Array(n) => Ok(n as i32),
        Kind::Object(_) => Err(not_an_array(true)),
        _ => Err(not_an_array(false)),
    }
}

fn cannot_cast(view: View<'_>, to: &str) -> SqlError {
    let from = match view.kind() {
        Kind::Number(_) => "numeric".into(),
        _ => Cow::from(kind_name(view)),
    };
    invalid(alloc::format!("cannot cast jsonb {from} to type {to}"))
}

fn boolean(doc: &Jsonb) -> Result<bool> {
    match doc.root().kind() {
        Kind::Bool(b) => Ok(b),
        _ => Err(cannot_cast(doc.root(), "boolean")),
    }
}

fn number(doc: &Jsonb, to: &str) -> Result<Numeric> {
    match doc.root().kind() {
        Kind::Number(n) => Numeric::parse(n),
        _ => Err(cannot_cast(doc.root(), to)),
    }
}

/// A number through the cast from numeric.
macro_rules! cast_number {
    ($name:literal, $cast:literal) => {
        crate::def::Implementation::Row(|ctx, args| {
            let mut rest = args.iter();
            let doc: &Jsonb = crate::call::next(&mut rest)?;
            let number = [Value::Numeric(number(doc, $name)?)];
            match crate::registry().function($cast).map(|f| f.imp) {
                Some(crate::def::Implementation::Row(f) | crate::def::Implementation::Vector(_, f)) => {
                    f(ctx, &number)
                }
                _ => Err(crate::call::mismatch()),
            }
        })
    };
}

/// Rows of jsonb.
pub(super) static JSONB: &[Function] = &[
    def(3478, "jsonb_object_field", &[oid::JSONB, TEXT], oid::JSONB)
        .imp(row!(|d: &Jsonb, key: &str| d.root().member(key))),
    def(3214, "jsonb_object_field_text", &[oid::JSONB, TEXT], TEXT)
        .imp(row!(|d: &Jsonb, key: &str| d.root().member(key).and_then(View::to_text))),
    def(3215, "jsonb_array_element", &[oid::JSONB, INT4], oid::JSONB)
        .imp(row!(|d: &Jsonb, i: i32| element(d, i))),
    def(3216, "jsonb_array_element_text", &[oid::JSONB, INT4], TEXT)
        .imp(row!(|d: &Jsonb, i: i32| element(d, i).and_then(View::to_text))),
    def(3217, "jsonb_extract_path", &[oid::JSONB, TEXT_ARRAY], oid::JSONB)
        .variadic(TEXT)
        .imp(row!(|d: &Jsonb, p: &ArrayValue| view_at(d.root(), p)?)),
    def(3940, "jsonb_extract_path_text", &[oid::JSONB, TEXT_ARRAY], TEXT)
        .variadic(TEXT)
        .imp(row!(|d: &Jsonb, p: &ArrayValue| view_at(d.root(), p)?.and_then(View::to_text))),
    def(3207, "jsonb_array_length", &[oid::JSONB], INT4).imp(row!(|d: &Jsonb| lengthb(d))),
    def(3210, "jsonb_typeof", &[oid::JSONB], TEXT).imp(row!(|d: &Jsonb| kind_name(d.root()))),
    def(3262, "jsonb_strip_nulls", &[oid::JSONB], oid::JSONB).imp(row!(|d: &Jsonb| stripped(d.root()))),
    def(3306, "jsonb_pretty", &[oid::JSONB], TEXT).imp(row!(|d: &Jsonb| {
        let mut out = String::new();
        pg_json::write_pretty(d.root(), 0, &mut out);
        out
    })),
    def(4046, "jsonb_contains", &[oid::JSONB, oid::JSONB], BOOL)
        .imp(row!(|a: &Jsonb, b: &Jsonb| contains(a.root(), b.root()))),
    def(4050, "jsonb_contained", &[oid::JSONB, oid::JSONB], BOOL)
        .imp(row!(|a: &Jsonb, b: &Jsonb| contains(b.root(), a.root()))),
    def(4047, "jsonb_exists", &[oid::JSONB, TEXT], BOOL).imp(row!(|d: &Jsonb, key: &str| exists(d, key))),
    def(4048, "jsonb_exists_any", &[oid::JSONB, TEXT_ARRAY], BOOL)
        .imp(row!(|d: &Jsonb, list: &ArrayValue| keys(list)?.into_iter().any(|k| exists(d, k)))),
    def(4049, "jsonb_exists_all", &[oid::JSONB, TEXT_ARRAY], BOOL)
        .imp(row!(|d: &Jsonb, list: &ArrayValue| keys(list)?.into_iter().all(|k| exists(d, k)))),
    def(3556, "bool", &[oid::JSONB], BOOL).imp(row!(|d: &Jsonb| boolean(d))),
    def(3449, "numeric", &[oid::JSONB], NUMERIC).imp(row!(|d: &Jsonb| number(d, "numeric"))),
    def(3450, "int2", &[oid::JSONB], INT2).imp(cast_number!("smallint", 1783)),
    def(3451, "int4", &[oid::JSONB], INT4).imp(cast_number!("integer", 1744)),
    def(3452, "int8", &[oid::JSONB], INT8).imp(cast_number!("bigint", 1779)),
    def(3453, "float4", &[oid::JSONB], FLOAT4).imp(cast_number!("real", 1745)),
    def(2580, "float8", &[oid::JSONB], FLOAT8).imp(cast_number!("double precision", 1746)),
];
