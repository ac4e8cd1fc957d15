//! Constant folding: immutable functions of constants, and the algebra of AND, OR, NOT.

use alloc::{boxed::Box, string::String, vec::Vec};

use pg_functions::{EvalContext, Function, FunctionKind, Host, Implementation, SetReturning, Volatility};
use pg_plan::expr::Expr;
use pg_types::{Oid, Result, SqlError, SqlType, Value, format::FormatSettings, oid};

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

/// The value of an immutable scalar function, if it can be had now. Errors are left to run time: the call may never be
/// reached.
fn evaluate(function: &'static Function, args: &[Expr], ty: SqlType) -> Option<Value> {
    if function.volatility != Volatility::Immutable || function.kind != FunctionKind::Scalar {
        return None;
    }
    let mut values = Vec::with_capacity(args.len());
    for arg in args {
        match arg {
            Expr::Const(value, _) => values.push(value.clone()),
            _ => return None,
        }
    }
    if function.strict && values.iter().any(Value::is_null) {
        return Some(Value::Null);
    }
    value_of(function, &values, ty)
}

/// The value of an immutable function of values; `None` where it cannot be had now or fails.
pub(crate) fn value_of(function: &'static Function, values: &[Value], ty: SqlType) -> Option<Value> {
    if function.volatility != Volatility::Immutable {
        return None;
    }
    let host = NoSession(FormatSettings::default());
    let ctx = EvalContext { host: &host };
    let result = match function.imp {
        Implementation::Row(f) | Implementation::Vector(_, f) => f(&ctx, values),
        Implementation::RowTyped(f) => f(&ctx, values, ty),
        _ => return None,
    };
    result.ok()
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

/// Folds an expression in place.
pub(crate) fn fold(expr: &mut Expr) {
    expr.for_each_child_mut(&mut fold);
    let replacement = match expr {
        Expr::Call(call) => evaluate(call.function, &call.args, call.ty).map(|v| Expr::Const(v, call.ty)),
        Expr::And(parts) => junction(parts, false),
        Expr::Or(parts) => junction(parts, true),
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
        Expr::Relabel(inner, ty) => match &**inner {
            Expr::Const(value, _) => {
                Some(Expr::Const(pg_functions::cast::relabel(value.clone(), ty.oid), *ty))
            }
            _ => None,
        },
        Expr::Coalesce(items, _) => coalesce(items),
        Expr::Case(case) => {
            case.whens.retain(|(when, _)| !matches!(truth(when), Some(None | Some(false))));
            match case.whens.first() {
                None => Some(case.otherwise.clone()),
                Some((when, then)) if truth(when) == Some(Some(true)) => Some(then.clone()),
                _ => None,
            }
        }
        Expr::Array(items, false, ty) => constant_array(items, *ty),
        _ => None,
    };
    if let Some(replacement) = replacement {
        *expr = replacement;
    }
}

/// AND (`absorbing` false) or OR (true): the absorbing constant wins, the neutral one goes.
fn junction(parts: &mut Vec<Expr>, absorbing: bool) -> Option<Expr> {
    if parts.iter().any(|p| truth(p) == Some(Some(absorbing))) {
        return Some(boolean(Some(absorbing)));
    }
    parts.retain(|p| truth(p) != Some(Some(!absorbing)));
    match parts.len() {
        0 => Some(boolean(Some(!absorbing))),
        1 => parts.pop(),
        _ => None,
    }
}

fn coalesce(items: &mut Vec<Expr>) -> Option<Expr> {
    let null = items.last().cloned();
    items.retain(|e| !matches!(e, Expr::Const(Value::Null, _)));
    match items.first() {
        None => null,
        Some(first @ Expr::Const(..)) => Some(first.clone()),
        Some(_) if items.len() == 1 => items.pop(),
        _ => None,
    }
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
