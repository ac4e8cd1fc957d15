//! Computing casts.
//!
//! `pg_cast` says how to get from one type to another; this is the rest: casts through text, arrays element by element,
//! and the length coercion that a modifier asks for.

use alloc::{sync::Arc, vec::Vec};

use pg_types::{
    Oid, Physical, Result, SqlError, SqlState, SqlType, Value, Vector, VectorBuilder, io, oid::*, typeinfo,
    value::ArrayValue,
};

use crate::{
    def::{CastMethod, EvalContext, Function, Implementation, Rows},
    registry::registry,
    types::element_type,
};

/// Casts a value as `CAST(value AS to)` does; with `explicit` false as storing into a column does (too long strings
/// are errors then). The value is of type `from`; that the cast exists is the caller's to have checked.
pub fn cast_value(
    ctx: &EvalContext<'_>,
    value: &Value,
    from: SqlType,
    to: SqlType,
    explicit: bool,
) -> Result<Value> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    if from.oid == to.oid {
        return io::typmod::coerce(value.clone(), to, explicit);
    }
    if let Some(cast) = registry().cast(from.oid, to.oid) {
        let converted = match cast.method {
            CastMethod::Binary => relabel(value.clone(), to.oid),
            CastMethod::InOut => return through_text(ctx, value, from, to),
            CastMethod::Function(oid) => {
                let function = registry().function(oid).ok_or_else(|| impossible(from, to))?;
                call(ctx, function, value, to, explicit)?
            }
        };
        return io::typmod::coerce(converted, to, explicit);
    }
    if let (Value::Array(array), 1..) = (value, element_type(to.oid)) {
        let (element, target) =
            (SqlType::new(array.element), SqlType::with_typmod(element_type(to.oid), to.typmod));
        let cast = |v: &Value| cast_value(ctx, v, element, target, explicit);
        return Ok(Value::Array(Arc::new(ArrayValue {
            element: target.oid,
            dims: array.dims.clone(),
            values: array.values.iter().map(cast).collect::<Result<_>>()?,
        })));
    }
    through_text(ctx, value, from, to)
}

/// A value under another type that is stored alike in PostgreSQL: integers and object identifiers are not here.
pub fn relabel(value: Value, to: Oid) -> Value {
    match value {
        Value::Int4(n) if Physical::of(to) == Physical::Oid => Value::Oid(n.cast_unsigned()),
        Value::Oid(n) if Physical::of(to) == Physical::Int4 => Value::Int4(n.cast_signed()),
        Value::Array(array) => {
            let element = element_type(to);
            if element == 0 || Physical::of(array.element) == Physical::of(element) {
                return Value::Array(array);
            }
            let values = array.values.iter().map(|v| relabel(v.clone(), element)).collect();
            Value::Array(Arc::new(ArrayValue { element, dims: array.dims.clone(), values }))
        }
        other => other,
    }
}

/// Casts a column, row by row where no function works on columns. Rows outside `rows` become NULL.
pub fn cast_vector(
    ctx: &EvalContext<'_>,
    vector: &Arc<Vector>,
    to: SqlType,
    explicit: bool,
    rows: Rows<'_>,
) -> Result<Vector> {
    let from = vector.ty;
    if from.oid == to.oid && to.typmod < 0 {
        return Ok(vector.as_ref().clone());
    }
    if to.typmod < 0
        && let Some(cast) = registry().cast(from.oid, to.oid)
        && let CastMethod::Function(oid) = cast.method
        && let Some(Function { imp: Implementation::Vector(columns, _), args: [_], .. }) =
            registry().function(oid)
    {
        return columns(ctx, core::slice::from_ref(vector), rows);
    }
    if vector.is_constant() {
        if rows.is_empty() {
            return Ok(Vector::nulls(to));
        }
        return Vector::constant(&cast_value(ctx, &vector.value(0), from, to, explicit)?, to);
    }
    let mut out = VectorBuilder::with_capacity(to, rows.count);
    for row in rows.iter() {
        out.push_nulls(row - out.len());
        out.push(&cast_value(ctx, &vector.value(row), from, to, explicit)?)?;
    }
    out.push_nulls(rows.count - out.len());
    Ok(out.finish())
}

/// Calls a cast's function, which may want the modifier and whether the cast is explicit.
fn call(
    ctx: &EvalContext<'_>,
    function: &Function,
    value: &Value,
    to: SqlType,
    explicit: bool,
) -> Result<Value> {
    let mut args = Vec::with_capacity(3);
    args.push(value.clone());
    if function.args.len() > 1 {
        args.push(Value::Int4(to.typmod));
    }
    if function.args.len() > 2 {
        args.push(Value::Bool(explicit));
    }
    match function.imp {
        Implementation::Row(f) | Implementation::Vector(_, f) => f(ctx, &args),
        Implementation::RowTyped(f) => f(ctx, &args, to),
        Implementation::Host => ctx.host.call(function.oid, &args),
        _ => Err(SqlError::internal("cast function is not a scalar function")),
    }
}

/// Text output, then text input.
fn through_text(ctx: &EvalContext<'_>, value: &Value, from: SqlType, to: SqlType) -> Result<Value> {
    let settings = ctx.host.format();
    match value {
        Value::Text(text) => io::input(to, text, settings),
        _ => io::input(to, &io::output_string(value, from, settings), settings),
    }
}

#[cold]
fn impossible(from: SqlType, to: SqlType) -> SqlError {
    let message = alloc::format!(
        "cannot cast type {} to {}",
        typeinfo::display(from),
        typeinfo::display(SqlType::new(to.oid))
    );
    SqlError::new(SqlState::CANNOT_COERCE, message)
}

/// True for types whose every value can be read from text (what casts through text need).
pub fn is_textual(ty: u32) -> bool {
    matches!(ty, TEXT | VARCHAR | BPCHAR | NAME | UNKNOWN | CSTRING)
}
