//! Conditions that any task can evaluate: they read nothing but the row, constants and the statement's parameters, and every
//! function in them is immutable and works on columns.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use pg_functions::{EvalContext, Function, Host, Implementation, Rows, SetReturning, Volatility};
use pg_plan::expr::Expr;
use pg_types::{
    Batch, ColumnData, Oid, Result, SqlError, SqlType, Value, Vector, format::FormatSettings, oid,
};

use super::{
    hashable,
    members::Members,
    no_column,
    vector::{Selection, connective, truth_filter},
};

/// What immutable functions get of a session: nothing.
pub(crate) struct NoSession(FormatSettings);

impl NoSession {
    pub(crate) fn new() -> Self {
        Self(FormatSettings::default())
    }
}

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
        Err(SqlError::internal("a call without a session"))
    }
    fn cancelled(&self) -> bool {
        false
    }
}

/// See the module.
pub(crate) enum Pure {
    Const(Arc<Vector>),
    Column(usize),
    Call(&'static Function, Vec<Self>, SqlType),
    And(Vec<Self>),
    Or(Vec<Self>),
    Members(Box<Self>, Members),
    Relabel(Box<Self>, SqlType),
}

/// Can any task evaluate it?
pub(crate) fn is_pure(e: &Expr) -> bool {
    let all = |l: &[Expr]| l.iter().all(is_pure);
    match e {
        Expr::Const(..) | Expr::Column(..) | Expr::Param(..) => true,
        Expr::Call(c) => {
            matches!(c.function.imp, Implementation::Vector(..))
                && c.function.volatility == Volatility::Immutable
                && !c.args.is_empty()
                && all(&c.args)
        }
        Expr::And(l) | Expr::Or(l) => all(l),
        Expr::ScalarArray(f, operands, true) => {
            is_pure(&operands[0]) && members(f, operands).is_some() && is_text_or_integer(&operands[0])
        }
        Expr::Relabel(inner, ty) => {
            is_pure(inner) && pg_types::Physical::of(inner.ty().oid) == pg_types::Physical::of(ty.oid)
        }
        _ => false,
    }
}

fn is_text_or_integer(e: &Expr) -> bool {
    use pg_types::Physical as P;
    matches!(P::of(e.ty().oid), P::Int2 | P::Int4 | P::Int8 | P::Text)
}

fn members(f: &'static Function, operands: &[Expr; 2]) -> Option<Members> {
    match &operands[1] {
        Expr::Const(Value::Array(a), _) if hashable(f, &operands[0], a.element) => Members::of(a),
        _ => None,
    }
}

impl Pure {
    /// Of an expression that [`is_pure`].
    pub(crate) fn new(e: &Expr, params: &[Value]) -> Result<Self> {
        let list = |l: &[Expr]| l.iter().map(|e| Self::new(e, params)).collect::<Result<Vec<_>>>();
        let one = |e: &Expr| Self::new(e, params).map(Box::new);
        Ok(match e {
            Expr::Const(v, ty) => Self::Const(Arc::new(Vector::constant(v, *ty)?)),
            Expr::Param(n, ty) => {
                let v = params.get(*n as usize).ok_or_else(|| SqlError::internal("no such parameter"))?;
                Self::Const(Arc::new(Vector::constant(v, *ty)?))
            }
            Expr::Column(n, _) => Self::Column(*n as usize),
            Expr::Call(c) => Self::Call(c.function, list(&c.args)?, c.ty),
            Expr::And(l) => Self::And(list(l)?),
            Expr::Or(l) => Self::Or(list(l)?),
            Expr::Relabel(inner, ty) => Self::Relabel(one(inner)?, *ty),
            Expr::ScalarArray(f, operands, true) => {
                let list = members(f, operands).ok_or_else(|| SqlError::internal("not a list"))?;
                Self::Members(one(&operands[0])?, list)
            }
            _ => return Err(SqlError::internal("not a condition for any task")),
        })
    }

    fn vector(&self, b: &Batch, sel: Selection<'_>, cx: &EvalContext<'_>) -> Result<Arc<Vector>> {
        Ok(match self {
            Self::Const(v) => v.clone(),
            Self::Column(n) => b.columns.get(*n).cloned().ok_or_else(no_column)?,
            Self::Call(function, args, ty) => {
                let Implementation::Vector(form, single) = function.imp else { return Err(no_column()) };
                let args = args.iter().map(|a| a.vector(b, sel, cx)).collect::<Result<Vec<_>>>()?;
                if args.iter().all(|a| a.is_constant()) {
                    let values: Vec<Value> = args.iter().map(|a| a.value(0)).collect();
                    let null = function.strict && values.iter().any(Value::is_null);
                    let v = if null { Value::Null } else { single(cx, &values)? };
                    return Ok(Arc::new(Vector::constant(&v, *ty)?));
                }
                let mut v = form(cx, &args, Rows { count: b.rows, selection: sel })?;
                v.ty = *ty;
                Arc::new(v)
            }
            Self::And(l) | Self::Or(l) => {
                let decisive = matches!(self, Self::Or(_));
                connective(l.iter(), decisive, b.rows, sel, |e, open| e.vector(b, Some(open), cx))?
            }
            Self::Members(e, list) => {
                let v = e.vector(b, sel, cx)?;
                let (found, nulls) = list.contain(&v, b.rows, sel).ok_or_else(no_column)?;
                Arc::new(Vector::flat(SqlType::new(pg_types::oid::BOOL), ColumnData::Bool(found), nulls))
            }
            Self::Relabel(e, ty) => {
                let v = e.vector(b, sel, cx)?;
                if v.ty == *ty { v } else { Arc::new(Arc::unwrap_or_clone(v).with_type(*ty)) }
            }
        })
    }

    /// The column of 32 bits and the values, both ends included, outside of which it is not true; no NULL is inside.
    pub(crate) fn bound(&self) -> Option<(usize, i32, i32)> {
        let Self::Call(function, args, _) = self else { return None };
        let [Self::Column(column), Self::Const(v)] = args.as_slice() else { return None };
        // (name's end, from, to) where the constant is the bound; a day's midnight is the first moment of it.
        let (at, exact) = match (function.args, v.value(0)) {
            ([oid::DATE, oid::DATE], Value::Date(d)) => (d, true),
            ([oid::INT4, oid::INT4], Value::Int4(n)) => (n, true),
            ([oid::DATE, oid::TIMESTAMP], Value::Timestamp(t)) => {
                const DAY: i64 = 86_400_000_000;
                (i32::try_from(t.div_euclid(DAY)).ok()?, t.rem_euclid(DAY) == 0)
            }
            _ => return None,
        };
        let name = function.name.strip_prefix("date_").or(function.name.strip_prefix("int4"))?;
        Some(match name.get(..2)? {
            "lt" if exact => (*column, i32::MIN, at.checked_sub(1)?),
            "lt" | "le" => (*column, i32::MIN, at),
            "gt" => (*column, if exact { at.checked_add(1)? } else { at }, i32::MAX),
            "ge" => (*column, at, i32::MAX),
            "eq" if exact => (*column, at, at),
            _ => return None,
        })
    }

    /// The rows for which it is true.
    pub(crate) fn filter(&self, b: &Batch, sel: Selection<'_>, host: &NoSession) -> Result<Vec<u32>> {
        if let Self::And(l) = self {
            let mut kept: Option<Vec<u32>> = None;
            for e in l {
                let next = e.filter(b, kept.as_deref().or(sel), host)?;
                if next.is_empty() {
                    return Ok(next);
                }
                kept = Some(next);
            }
            return Ok(kept.unwrap_or_default());
        }
        let v = self.vector(b, sel, &EvalContext { host })?;
        truth_filter(&v, b.rows, sel)
    }
}
