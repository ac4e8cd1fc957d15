//! Constant folding: immutable functions of constants, and the algebra of AND, OR, NOT.

use alloc::{boxed::Box, string::String, vec::Vec};

use core::cmp::Ordering;

use pg_functions::{
    EvalContext, Function, FunctionKind, Host, Implementation, SetReturning, Volatility, order,
};
use pg_plan::expr::{Case, Expr};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value, format::FormatSettings, io, oid};

/// A session for functions that do not look at it.
struct NoSession(FormatSettings);

impl Host for NoSession {
    fn transaction_timestamp(&self) -> i64 {
        0
    }
    fn statement_timestamp(&self) -> i64 {
        0
    }
    fn clock_timestamp(&self) -> i64 {
        0
    }
    fn format(&self) -> &FormatSettings {
        &self.0
    }
    fn setting(&self, _name: &str) -> Option<String> {
        None
    }
    fn random(&self, buf: &mut [u8]) {
        buf.fill(0);
    }
    fn rows(&self, _function: Oid, _args: &[Value]) -> Result<Box<dyn SetReturning>> {
        Err(SqlError::internal("rows without a session"))
    }
    fn call(&self, _function: Oid, _args: &[Value]) -> Result<Value> {
        Err(SqlError::internal("no session while planning"))
    }
    fn cancelled(&self) -> bool {
        false
    }
}

/// The value of an immutable scalar function of constants. A strict one with a NULL among its arguments is NULL whatever the others
/// are, and whatever its volatility.
fn evaluate(function: &'static Function, args: &[Expr], ty: SqlType) -> Result<Option<Value>> {
    if function.kind != FunctionKind::Scalar {
        return Ok(None);
    }
    if function.strict && args.iter().any(|a| matches!(a, Expr::Const(Value::Null, _))) {
        // Of parameters that stand for constants an error would come first; see `generic`.
        return Ok((!args.iter().any(crate::generic::computed)).then_some(Value::Null));
    }
    match constants(args) {
        Some(values) => computed(function, &values, ty),
        None => Ok(None),
    }
}

/// The values, if all are constants.
fn constants(args: &[Expr]) -> Option<Vec<Value>> {
    let value = |e: &Expr| match e {
        Expr::Const(value, _) => Some(value.clone()),
        _ => None,
    };
    args.iter().map(value).collect()
}

/// The value of an immutable function of values; `None` where it cannot be had without a session.
fn computed(function: &'static Function, values: &[Value], ty: SqlType) -> Result<Option<Value>> {
    if function.volatility != Volatility::Immutable {
        return Ok(None);
    }
    let host = NoSession(FormatSettings::default());
    let ctx = EvalContext { host: &host };
    let result = match function.imp {
        Implementation::Row(f) | Implementation::Vector(_, f) => f(&ctx, values),
        Implementation::RowTyped(f) => f(&ctx, values, ty),
        _ => return Ok(None),
    };
    match result {
        Ok(value) => Ok(Some(value)),
        // It asked for the session that there is not.
        Err(e) if e.state() == SqlState::INTERNAL_ERROR => Ok(None),
        Err(e) => Err(e),
    }
}

/// The value of an immutable function of values; `None` where it cannot be had now or fails.
pub(crate) fn value_of(function: &'static Function, values: &[Value], ty: SqlType) -> Option<Value> {
    computed(function, values, ty).ok().flatten()
}

fn truth(expr: &Expr) -> Option<Option<bool>> {
    match expr {
        Expr::Const(Value::Bool(b), _) => Some(Some(*b)),
        Expr::Const(Value::Null, _) => Some(None),
        _ => None,
    }
}

fn boolean(value: Option<bool>) -> Expr {
    Expr::Const(value.map_or(Value::Null, Value::Bool), SqlType::new(oid::BOOL))
}

/// Folds an expression in place, in PostgreSQL's order: what it would compute while planning is computed, and an error of that is the
/// statement's, whether or not a row would ever reach it. Branches behind a constant that decides are not looked at.
///
/// # Errors
/// Those of immutable functions. The expression stays valid, folded in part.
pub(crate) fn fold(expr: &mut Expr) -> Result<()> {
    let replacement = match expr {
        Expr::And(parts) => junction(parts, false)?,
        Expr::Or(parts) => junction(parts, true)?,
        Expr::Coalesce(items, _) => coalesce(items)?,
        Expr::Case(case) => branches(case)?,
        _ => {
            let mut outcome = Ok(());
            expr.for_each_child_mut(&mut |e| {
                if outcome.is_ok() {
                    outcome = fold(e);
                }
            });
            outcome?;
            constant(expr)?
        }
    };
    if let Some(replacement) = replacement {
        *expr = replacement;
    }
    Ok(())
}

/// What an expression whose operands are folded is, if it is known now.
fn constant(expr: &Expr) -> Result<Option<Expr>> {
    Ok(match expr {
        Expr::Call(call) => evaluate(call.function, &call.args, call.ty)?.map(|v| Expr::Const(v, call.ty)),
        Expr::Not(inner) => match &**inner {
            Expr::Not(twice) => Some((**twice).clone()),
            other => truth(other).map(|t| boolean(t.map(|b| !b))),
        },
        Expr::IsNull(inner, null) => match &**inner {
            Expr::Const(value, t) if t.oid != oid::RECORD && !pg_types::user::is_composite(t.oid) => {
                Some(boolean(Some(value.is_null() == *null)))
            }
            _ => None,
        },
        Expr::IsTruth(inner, wanted, negated) => {
            truth(inner).map(|t| boolean(Some((t == *wanted) != *negated)))
        }
        Expr::Relabel(inner, ty) => match &**inner {
            Expr::Const(value, _) => {
                Some(Expr::Const(pg_functions::cast::relabel(value.clone(), ty.oid), *ty))
            }
            _ => None,
        },
        Expr::Distinct(function, pair, not) => match constants(&**pair).as_deref() {
            Some([Value::Null, Value::Null]) => Some(boolean(Some(*not))),
            Some([Value::Null, _] | [_, Value::Null]) => Some(boolean(Some(!*not))),
            Some(pair) => computed(function, pair, SqlType::new(oid::BOOL))?
                .map(|v| boolean(Some(matches!(v, Value::Bool(true)) == *not))),
            None => None,
        },
        Expr::NullIf(function, pair) => match constants(&**pair).as_deref() {
            Some([Value::Null, _] | [_, Value::Null]) => Some(pair[0].clone()),
            Some(values) => computed(function, values, SqlType::new(oid::BOOL))?.map(|v| match v {
                Value::Bool(true) => Expr::Const(Value::Null, pair[0].ty()),
                _ => pair[0].clone(),
            }),
            None => None,
        },
        Expr::Extreme(items, greatest, ty) => constants(items).map(|values| {
            let values = values.into_iter().filter(|v| !v.is_null());
            let best = values.reduce(|best, v| {
                let wanted = if *greatest { Ordering::Greater } else { Ordering::Less };
                if order::compare_as(ty.oid, &v, &best) == wanted { v } else { best }
            });
            Expr::Const(best.unwrap_or(Value::Null), *ty)
        }),
        Expr::ScalarArray(function, pair, any) => among(function, pair, *any)?,
        Expr::CoerceViaIo(inner, ty) => by_text(inner, *ty)?,
        Expr::ArrayCoerce(inner, element, ty) => each_coerced(inner, element, *ty)?,
        Expr::Array(items, false, ty) => constant_array(items, *ty),
        _ => None,
    })
}

/// `x op ANY (array)` of constants.
fn among(function: &'static Function, pair: &[Expr; 2], any: bool) -> Result<Option<Expr>> {
    let (Expr::Const(x, _), Expr::Const(list, _)) = (&pair[0], &pair[1]) else { return Ok(None) };
    let Value::Array(list) = list else {
        return Ok((list.is_null() && function.strict).then(|| boolean(None)));
    };
    let mut unknown = false;
    for v in &list.values {
        let found = match function.strict && (x.is_null() || v.is_null()) {
            true => Some(Value::Null),
            false => computed(function, &[x.clone(), v.clone()], SqlType::new(oid::BOOL))?,
        };
        match found {
            None => return Ok(None),
            Some(Value::Bool(b)) if b == any => return Ok(Some(boolean(Some(b)))),
            Some(Value::Bool(_)) => {}
            Some(_) => unknown = true,
        }
    }
    Ok(Some(boolean((!unknown).then_some(!any))))
}

/// Types whose text depends on the session or the catalogs, when it is read or when it is written.
fn text_depends(ty: Oid, reading: bool) -> bool {
    match ty {
        oid::TIME | oid::TIMETZ | oid::INTERVAL => reading,
        oid::MONEY | oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::RECORD => true,
        // PostgreSQL takes these for immutable, but a session decides how they are written.
        oid::BYTEA | oid::FLOAT4 | oid::FLOAT8 => !reading,
        _ => {
            ty >= pg_types::user::FIRST
                || pg_types::typeinfo::get(ty).is_none_or(|t| t.category == b'A' || t.name.starts_with("reg"))
                || ty == oid::ACLITEM
        }
    }
}

/// A cast by way of text.
fn by_text(inner: &Expr, ty: SqlType) -> Result<Option<Expr>> {
    let Expr::Const(value, from) = inner else { return Ok(None) };
    if ty.oid >= pg_types::user::FIRST {
        return Ok(None);
    }
    if value.is_null() {
        return Ok(Some(Expr::Const(Value::Null, ty)));
    }
    if text_depends(from.oid, false) || text_depends(ty.oid, true) {
        return Ok(None);
    }
    let settings = FormatSettings::default();
    let text = io::output_string(value, *from, &settings);
    match io::input(ty, &text, &settings) {
        Ok(value) => Ok(Some(Expr::Const(value, ty))),
        Err(e) if e.state() == SqlState::INTERNAL_ERROR => Ok(None),
        Err(e) => Err(e),
    }
}

/// A constant array cast element by element.
fn each_coerced(inner: &Expr, element: &Expr, ty: SqlType) -> Result<Option<Expr>> {
    let Expr::Const(Value::Array(array), from) = inner else { return Ok(None) };
    let source = SqlType::new(pg_types::typeinfo::element_of(from.oid));
    let mut values = Vec::with_capacity(array.values.len());
    for v in &array.values {
        let mut one = element.clone();
        crate::columns::substitute(&mut one, &|_| Some(Expr::Const(v.clone(), source)));
        fold(&mut one)?;
        match one {
            Expr::Const(value, _) => values.push(value),
            _ => return Ok(None),
        }
    }
    let element = pg_types::typeinfo::element_of(ty.oid);
    let array = pg_types::value::ArrayValue { element, dims: array.dims.clone(), values };
    Ok(Some(Expr::Const(Value::Array(alloc::sync::Arc::new(array)), ty)))
}

/// AND (`absorbing` false) or OR (true): the absorbing constant wins and hides what follows, the neutral one goes, of
/// NULLs one stays.
fn junction(parts: &mut Vec<Expr>, absorbing: bool) -> Result<Option<Expr>> {
    let mut fails = false;
    for n in 0..parts.len() {
        let Some(part) = parts.get_mut(n) else { break };
        fold(part)?;
        if truth(part) == Some(Some(absorbing)) {
            // What stands before it would have been computed, were its parameters constants: they may be literals of the text.
            if fails {
                parts.truncate(n + 1);
                return Ok(None);
            }
            return Ok(Some(boolean(Some(absorbing))));
        }
        fails |= crate::generic::computed(part);
    }
    let unknown = parts.iter().any(|p| truth(p) == Some(None));
    parts.retain(|p| truth(p).is_none());
    if unknown {
        parts.push(boolean(None));
    }
    Ok(match parts.len() {
        0 => Some(boolean(Some(!absorbing))),
        1 => parts.pop(),
        _ => None,
    })
}

/// COALESCE: NULLs go, and what follows a constant is never reached.
fn coalesce(items: &mut Vec<Expr>) -> Result<Option<Expr>> {
    let null = items.last().map(|e| Expr::Const(Value::Null, e.ty()));
    let mut at = 0;
    while let Some(item) = items.get_mut(at) {
        fold(item)?;
        match item {
            Expr::Const(Value::Null, _) => {
                items.remove(at);
            }
            Expr::Const(..) => items.truncate(at + 1),
            _ => at += 1,
        }
        if matches!(items.get(at), Some(Expr::Const(v, _)) if !v.is_null()) && at + 1 == items.len() {
            break;
        }
    }
    Ok(match items.len() {
        0 => null,
        1 => items.pop(),
        _ => None,
    })
}

/// CASE: branches whose condition cannot hold go unseen, one that must hold is the last.
fn branches(case: &mut Case) -> Result<Option<Expr>> {
    let mut at = 0;
    while let Some((when, then)) = case.whens.get_mut(at) {
        fold(when)?;
        match truth(when) {
            Some(Some(true)) => {
                fold(then)?;
                case.otherwise = then.clone();
                case.whens.truncate(at);
                return Ok(at.eq(&0).then(|| case.otherwise.clone()));
            }
            Some(_) => {
                case.whens.remove(at);
            }
            None => {
                fold(then)?;
                at += 1;
            }
        }
    }
    fold(&mut case.otherwise)?;
    Ok(case.whens.is_empty().then(|| case.otherwise.clone()))
}

fn constant_array(items: &[Expr], ty: SqlType) -> Option<Expr> {
    let element = pg_types::typeinfo::element_of(ty.oid);
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Expr::Const(value, _) => values.push(value.clone()),
            _ => return None,
        }
    }
    let dims =
        if values.is_empty() { Vec::new() } else { Vec::from([(i32::try_from(values.len()).ok()?, 1)]) };
    let array = pg_types::value::ArrayValue { element, dims, values };
    Some(Expr::Const(Value::Array(alloc::sync::Arc::new(array)), ty))
}

/// True when the condition holds for every row.
pub(crate) fn always(expr: &Expr) -> bool {
    truth(expr) == Some(Some(true))
}
