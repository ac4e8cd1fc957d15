//! Enums: comparison is that of their labels' places (`pg_types::user`), which are int8.

use alloc::{sync::Arc, vec::Vec};

use pg_types::{
    Oid, Result, SqlError, SqlState, SqlType, Value, oid::*, typeinfo, user::UserType, value::ArrayValue,
};

use crate::{
    call::{row, typed},
    def::{EvalContext, Function},
    kernel::vec2,
    table::def,
};

fn ord(o: core::cmp::Ordering) -> i32 {
    o as i32
}

fn described(ctx: &EvalContext<'_>, ty: Oid) -> Result<Arc<UserType>> {
    ctx.host.format().types.get(ty)
}

/// The first or last label.
fn end(ctx: &EvalContext<'_>, ty: SqlType, last: bool) -> Result<Value> {
    let described = described(ctx, ty.oid)?;
    let labels = described.labels();
    let found = if last { labels.last() } else { labels.first() };
    let label = found.ok_or_else(|| {
        let message = alloc::format!("enum {} contains no values", described.name);
        SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
    })?;
    described.usable(label).map(Value::Int8)
}

/// The labels from one to another; NULL: from the first, to the last.
fn range(ctx: &EvalContext<'_>, ty: SqlType, from: &Value, to: &Value) -> Result<Value> {
    let element = typeinfo::element_of(ty.oid);
    let described = described(ctx, element)?;
    let within = |place: i64| {
        !matches!(from, Value::Int8(f) if place < *f) && !matches!(to, Value::Int8(t) if place > *t)
    };
    let labels = described.labels().iter().filter(|l| within(l.place));
    let values = labels.map(|l| described.usable(l).map(Value::Int8)).collect::<Result<Vec<Value>>>()?;
    let dims = if values.is_empty() { Vec::new() } else { alloc::vec![(values.len() as i32, 1)] };
    Ok(Value::Array(Arc::new(ArrayValue { element, dims, values })))
}

/// Enums.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(3508, "enum_eq", &[ANYENUM, ANYENUM], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a == b)),
    def(3509, "enum_ne", &[ANYENUM, ANYENUM], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a != b)),
    def(3510, "enum_lt", &[ANYENUM, ANYENUM], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a < b)),
    def(3511, "enum_gt", &[ANYENUM, ANYENUM], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a > b)),
    def(3512, "enum_le", &[ANYENUM, ANYENUM], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a <= b)),
    def(3513, "enum_ge", &[ANYENUM, ANYENUM], BOOL).imp(vec2!(|a: i64, b: i64| -> bool, BOOL; a >= b)),
    def(3514, "enum_cmp", &[ANYENUM, ANYENUM], INT4).imp(row!(|a: i64, b: i64| ord(a.cmp(&b)))),
    def(3524, "enum_smaller", &[ANYENUM, ANYENUM], ANYENUM).imp(row!(|a: i64, b: i64| a.min(b))),
    def(3525, "enum_larger", &[ANYENUM, ANYENUM], ANYENUM).imp(row!(|a: i64, b: i64| a.max(b))),
    def(3528, "enum_first", &[ANYENUM], ANYENUM)
        .nullable()
        .stable()
        .imp(typed!(ctx; |ty; _a: &Value| end(ctx, ty, false)?)),
    def(3529, "enum_last", &[ANYENUM], ANYENUM)
        .nullable()
        .stable()
        .imp(typed!(ctx; |ty; _a: &Value| end(ctx, ty, true)?)),
    def(3530, "enum_range", &[ANYENUM, ANYENUM], ANYARRAY)
        .nullable()
        .stable()
        .imp(typed!(ctx; |ty; a: &Value, b: &Value| range(ctx, ty, a, b)?)),
    def(3531, "enum_range", &[ANYENUM], ANYARRAY)
        .nullable()
        .stable()
        .imp(typed!(ctx; |ty; _a: &Value| range(ctx, ty, &Value::Null, &Value::Null)?)),
];
