//! Making documents of SQL values.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use pg_json::Json;
use pg_types::{
    Result, SqlError, SqlState, Value,
    oid::*,
    value::{ArrayValue, RecordValue},
};

use super::{invalid, quoted, texts, value};
use crate::{
    call::{Ret, mismatch, row},
    def::{EvalContext, Function, Implementation},
    output::{described, type_at},
    table::def,
};

fn to_json(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    let (values, types) = described(args)?;
    let mut out = String::new();
    value::write(ctx, type_at(&types, 0), values.first().ok_or_else(mismatch)?, &mut out)?;
    out.ret()
}

fn to_jsonb(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    let (values, types) = described(args)?;
    value::tree(ctx, type_at(&types, 0), values.first().ok_or_else(mismatch)?)?.ret()
}

fn row_to_json(ctx: &EvalContext<'_>, v: &Value, pretty: bool) -> Result<String> {
    let Value::Record(r) = v else { return Err(mismatch()) };
    let r: &RecordValue = r;
    let mut out = String::new();
    value::record(ctx, r, pretty, &mut out)?;
    Ok(out)
}

fn array_to_json(ctx: &EvalContext<'_>, a: &ArrayValue, pretty: bool) -> Result<String> {
    let mut out = String::new();
    value::array(ctx, a, pretty, &mut out)?;
    Ok(out)
}

fn build_array(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    let (values, types) = described(args)?;
    let mut out = String::from("[");
    for (i, v) in values.iter().enumerate() {
        out.push_str(if i > 0 { ", " } else { "" });
        value::write(ctx, type_at(&types, i), v, &mut out)?;
    }
    out.push(']');
    out.ret()
}

fn build_arrayb(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    let (values, types) = described(args)?;
    let element = |(i, v)| value::tree(ctx, type_at(&types, i), v);
    Json::Array(values.iter().enumerate().map(element).collect::<Result<_>>()?).ret()
}

fn check_even(n: usize, function: &str) -> Result<()> {
    if n.is_multiple_of(2) {
        return Ok(());
    }
    Err(invalid("argument list must have even number of elements")
        .hint(format!("The arguments of {function}() must consist of alternating keys and values.")))
}

fn build_object(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    let (values, types) = described(args)?;
    check_even(values.len(), "json_build_object")?;
    let mut out = String::from("{");
    for (i, pair) in values.chunks_exact(2).enumerate() {
        let [k, v] = pair else { continue };
        out.push_str(if i > 0 { ", " } else { "" });
        if k.is_null() {
            return Err(
                invalid(format!("argument {} cannot be null", 2 * i + 1)).hint("Object keys should be text.")
            );
        }
        pg_json::quote(&value::key(ctx, type_at(&types, 2 * i), k)?, &mut out);
        out.push_str(" : ");
        value::write(ctx, type_at(&types, 2 * i + 1), v, &mut out)?;
    }
    out.push('}');
    out.ret()
}

fn build_objectb(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    let (values, types) = described(args)?;
    check_even(values.len(), "jsonb_build_object")?;
    let mut members = Vec::with_capacity(values.len() / 2);
    for (i, pair) in values.chunks_exact(2).enumerate() {
        let [k, v] = pair else { continue };
        if k.is_null() {
            return Err(invalid(format!("argument {}: key must not be null", 2 * i + 1)));
        }
        let key = value::key(ctx, type_at(&types, 2 * i), k)?;
        members.push((key.into(), value::tree(ctx, type_at(&types, 2 * i + 1), v)?));
    }
    Json::Object(members).ret()
}

#[cold]
fn subscripts(message: &'static str) -> SqlError {
    SqlError::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message)
}

type Pairs<'a> = Vec<(&'a str, Option<&'a str>)>;

fn key(k: Option<&str>) -> Result<&str> {
    k.ok_or_else(|| SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "null value not allowed for object key"))
}

/// `{k, v, k, v}` or `{{k, v}, {k, v}}`.
fn pairs(a: &ArrayValue) -> Result<Pairs<'_>> {
    match a.dims.as_slice() {
        [] => {}
        [(n, _)] if n % 2 != 0 => return Err(subscripts("array must have even number of elements")),
        [_] => {}
        [_, (2, _)] => {}
        [_, _] => return Err(subscripts("array must have two columns")),
        _ => return Err(subscripts("wrong number of array subscripts")),
    }
    let all = texts(a)?;
    let mut out = Vec::with_capacity(all.len() / 2);
    for p in all.chunks_exact(2) {
        if let [k, v] = p {
            out.push((key(*k)?, *v));
        }
    }
    Ok(out)
}

fn two_arrays<'a>(keys: &'a ArrayValue, values: &'a ArrayValue) -> Result<Pairs<'a>> {
    if keys.dims.len() > 1 || keys.dims.len() != values.dims.len() {
        return Err(subscripts("wrong number of array subscripts"));
    }
    if keys.values.len() != values.values.len() {
        return Err(subscripts("mismatched array dimensions"));
    }
    texts(keys)?.into_iter().zip(texts(values)?).map(|(k, v)| Ok((key(k)?, v))).collect()
}

fn object(pairs: Pairs<'_>) -> String {
    let mut out = String::from("{");
    for (i, (k, v)) in pairs.into_iter().enumerate() {
        out.push_str(if i > 0 { ", " } else { "" });
        pg_json::quote(k, &mut out);
        out.push_str(" : ");
        match v {
            None => out.push_str("null"),
            Some(v) => out.push_str(&quoted(v)),
        }
    }
    out.push('}');
    out
}

fn objectb(pairs: Pairs<'_>) -> Json {
    let member = |(k, v): (&str, Option<&str>)| (Box::from(k), v.map_or(Json::Null, Json::string));
    Json::Object(pairs.into_iter().map(member).collect())
}

/// Rows.
pub(super) static FUNCTIONS: &[Function] = &[
    def(3176, "to_json", &[ANYELEMENT], JSON).stable().described().imp(Implementation::Row(to_json)),
    def(3787, "to_jsonb", &[ANYELEMENT], JSONB).stable().described().imp(Implementation::Row(to_jsonb)),
    def(3155, "row_to_json", &[RECORD], JSON).stable().imp(row!(ctx; |r: &Value| row_to_json(ctx, r, false))),
    def(3156, "row_to_json", &[RECORD, BOOL], JSON)
        .stable()
        .imp(row!(ctx; |r: &Value, pretty: bool| row_to_json(ctx, r, pretty))),
    def(3153, "array_to_json", &[ANYARRAY], JSON)
        .stable()
        .imp(row!(ctx; |a: &ArrayValue| array_to_json(ctx, a, false))),
    def(3154, "array_to_json", &[ANYARRAY, BOOL], JSON)
        .stable()
        .imp(row!(ctx; |a: &ArrayValue, pretty: bool| array_to_json(ctx, a, pretty))),
    def(3198, "json_build_array", &[ANY], JSON)
        .stable()
        .nullable()
        .variadic(ANY)
        .described()
        .imp(Implementation::Row(build_array)),
    def(3199, "json_build_array", &[], JSON).stable().nullable().imp(row!(|| "[]")),
    def(3271, "jsonb_build_array", &[ANY], JSONB)
        .stable()
        .nullable()
        .variadic(ANY)
        .described()
        .imp(Implementation::Row(build_arrayb)),
    def(3272, "jsonb_build_array", &[], JSONB).stable().nullable().imp(row!(|| Json::Array(Vec::new()))),
    def(3200, "json_build_object", &[ANY], JSON)
        .stable()
        .nullable()
        .variadic(ANY)
        .described()
        .imp(Implementation::Row(build_object)),
    def(3201, "json_build_object", &[], JSON).stable().nullable().imp(row!(|| "{}")),
    def(3273, "jsonb_build_object", &[ANY], JSONB)
        .stable()
        .nullable()
        .variadic(ANY)
        .described()
        .imp(Implementation::Row(build_objectb)),
    def(3274, "jsonb_build_object", &[], JSONB).stable().nullable().imp(row!(|| Json::Object(Vec::new()))),
    def(3202, "json_object", &[TEXT_ARRAY], JSON).imp(row!(|a: &ArrayValue| object(pairs(a)?))),
    def(3203, "json_object", &[TEXT_ARRAY, TEXT_ARRAY], JSON)
        .imp(row!(|k: &ArrayValue, v: &ArrayValue| object(two_arrays(k, v)?))),
    def(3263, "jsonb_object", &[TEXT_ARRAY], JSONB).imp(row!(|a: &ArrayValue| objectb(pairs(a)?))),
    def(3264, "jsonb_object", &[TEXT_ARRAY, TEXT_ARRAY], JSONB)
        .imp(row!(|k: &ArrayValue, v: &ArrayValue| objectb(two_arrays(k, v)?))),
];
