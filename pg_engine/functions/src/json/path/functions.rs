//! The functions and operators that run paths.

use alloc::{boxed::Box, vec::Vec};

use pg_json::{Json, Jsonb, Kind, path::Path};
use pg_types::{
    Result, SqlError, SqlState, Value, json,
    oid::{BOOL, JSONB, JSONPATH},
};

use super::{Item, run};
use crate::{
    call::{Arg, Ret, mismatch, next},
    def::{EvalContext, Function, Implementation, SetReturning},
    pattern::regexp::made,
    table::def,
};

impl<'a> Arg<'a> for &'a Path {
    fn arg(value: &'a Value) -> Result<Self> {
        match value {
            Value::JsonPath(path) => Ok(path),
            _ => Err(mismatch()),
        }
    }
}

/// The items of a call with (target, path, vars, silent), and whether a fault was hidden.
fn items<const ZONES: bool>(ctx: &EvalContext<'_>, args: &[Value]) -> Result<(Vec<Item>, bool)> {
    let mut rest = args.iter();
    let (target, path): (&Jsonb, &Path) = (next(&mut rest)?, next(&mut rest)?);
    let (vars, silent): (&Jsonb, bool) = (next(&mut rest)?, next(&mut rest)?);
    match run(ctx, target, path, vars, ZONES)? {
        (_, Some(e)) if !silent => Err(*e),
        (items, fault) => Ok((items, fault.is_some())),
    }
}

fn documents(ctx: &EvalContext<'_>, items: &[Item]) -> Result<Vec<Value>> {
    items.iter().map(|i| i.document(ctx).map(Value::Jsonb)).collect()
}

/// In lax mode the first item decides, and what comes behind it is not looked at.
fn exists<const ZONES: bool>(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    let mut rest = args.iter();
    let (target, path): (&Jsonb, &Path) = (next(&mut rest)?, next(&mut rest)?);
    let (vars, silent): (&Jsonb, bool) = (next(&mut rest)?, next(&mut rest)?);
    match run(ctx, target, path, vars, ZONES)? {
        (items, Some(_)) if path.lax && !items.is_empty() => true.ret(),
        (_, Some(e)) if !silent => Err(*e),
        (_, Some(_)) => Ok(Value::Null),
        (items, None) => (!items.is_empty()).ret(),
    }
}

fn matched<const ZONES: bool>(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    let (items, _) = items::<ZONES>(ctx, args)?;
    if let [one] = items.as_slice() {
        match one.view().map(|v| v.kind()) {
            Some(Kind::Bool(b)) => return b.ret(),
            Some(Kind::Null) => return Ok(Value::Null),
            _ => {}
        }
    }
    match args.get(3) {
        Some(Value::Bool(true)) => Ok(Value::Null),
        _ => Err(SqlError::new(SqlState(*b"22038"), "single boolean result is expected")),
    }
}

fn query<const ZONES: bool>(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Box<dyn SetReturning>> {
    let (items, _) = items::<ZONES>(ctx, args)?;
    made(JSONB, documents(ctx, &items)?)
}

fn query_array<const ZONES: bool>(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    let (items, _) = items::<ZONES>(ctx, args)?;
    let mut elements = Vec::with_capacity(items.len());
    for item in &items {
        elements.push(Json::from(item.document(ctx)?.root()));
    }
    Json::Array(elements).ret()
}

fn query_first<const ZONES: bool>(ctx: &EvalContext<'_>, args: &[Value]) -> Result<Value> {
    let (items, _) = items::<ZONES>(ctx, args)?;
    items.first().map_or(Ok(Value::Null), |i| i.document(ctx).map(Value::Jsonb))
}

/// The operators hide faults and have no variables.
fn operator(
    ctx: &EvalContext<'_>,
    args: &[Value],
    f: fn(&EvalContext<'_>, &[Value]) -> Result<Value>,
) -> Result<Value> {
    let mut all = Vec::with_capacity(4);
    all.extend_from_slice(args);
    all.push(empty());
    all.push(Value::Bool(true));
    f(ctx, &all)
}

fn empty() -> Value {
    let doc = Json::Object(Vec::new()).finish().map_err(json::error);
    doc.map_or(Value::Null, Value::Jsonb)
}

const DEFAULTS: &[fn() -> Value] = &[empty, || Value::Bool(false)];
const ARGS: &[pg_types::Oid] = &[JSONB, JSONPATH, JSONB, BOOL];

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(4005, "jsonb_path_exists", ARGS, BOOL).defaults(DEFAULTS).imp(Implementation::Row(exists::<false>)),
    def(1177, "jsonb_path_exists_tz", ARGS, BOOL)
        .stable()
        .defaults(DEFAULTS)
        .imp(Implementation::Row(exists::<true>)),
    def(4009, "jsonb_path_match", ARGS, BOOL).defaults(DEFAULTS).imp(Implementation::Row(matched::<false>)),
    def(2030, "jsonb_path_match_tz", ARGS, BOOL)
        .stable()
        .defaults(DEFAULTS)
        .imp(Implementation::Row(matched::<true>)),
    def(4006, "jsonb_path_query", ARGS, JSONB).defaults(DEFAULTS).imp(Implementation::Set(query::<false>)),
    def(1179, "jsonb_path_query_tz", ARGS, JSONB)
        .stable()
        .defaults(DEFAULTS)
        .imp(Implementation::Set(query::<true>)),
    def(4007, "jsonb_path_query_array", ARGS, JSONB)
        .defaults(DEFAULTS)
        .imp(Implementation::Row(query_array::<false>)),
    def(1180, "jsonb_path_query_array_tz", ARGS, JSONB)
        .stable()
        .defaults(DEFAULTS)
        .imp(Implementation::Row(query_array::<true>)),
    def(4008, "jsonb_path_query_first", ARGS, JSONB)
        .defaults(DEFAULTS)
        .imp(Implementation::Row(query_first::<false>)),
    def(2023, "jsonb_path_query_first_tz", ARGS, JSONB)
        .stable()
        .defaults(DEFAULTS)
        .imp(Implementation::Row(query_first::<true>)),
    def(4010, "jsonb_path_exists_opr", &[JSONB, JSONPATH], BOOL)
        .imp(Implementation::Row(|ctx, args| operator(ctx, args, exists::<false>))),
    def(4011, "jsonb_path_match_opr", &[JSONB, JSONPATH], BOOL)
        .imp(Implementation::Row(|ctx, args| operator(ctx, args, matched::<false>))),
];
