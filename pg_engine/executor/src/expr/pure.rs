//! Conditions that any task can evaluate: they read nothing but the row, constants and the statement's parameters, and every
//! function in them is immutable and works on columns.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use pg_functions::{EvalContext, Function, Host, Implementation, Rows, SetReturning, Volatility};
use pg_plan::expr::Expr;
use pg_types::{
    Batch, ColumnData, Oid, Result, SqlError, SqlState, SqlType, Value, Vector, VectorBuilder,
    format::FormatSettings, oid,
};

use super::{
    Compiled, hashable,
    members::Members,
    no_column,
    row::is_null,
    subplan::{Hashed, Settled},
    vector::{Selection, case, coalesce, connective, for_rows, truth_filter},
};
use crate::{context::Rt, node::lookup::GroupedRun};

/// What immutable functions get of a session: nothing but whether they are to go on.
pub(crate) struct NoSession<'a> {
    format: FormatSettings,
    pause: &'a dyn Fn() -> Result<()>,
}

impl<'a> NoSession<'a> {
    /// `pause` fails when nobody waits for the result any more.
    pub(crate) fn new(pause: &'a dyn Fn() -> Result<()>) -> Self {
        Self { format: FormatSettings::default(), pause }
    }
}

impl Host for NoSession<'_> {
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
        &self.format
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
        (self.pause)().is_err()
    }
}

/// See the module.
pub(crate) enum Pure {
    Const(Arc<Vector>),
    Column(usize),
    Call(&'static Function, Vec<Self>, SqlType),
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    IsNull(Box<Self>, bool),
    Case(Vec<(Self, Self)>, Box<Self>, SqlType),
    Coalesce(Vec<Self>, SqlType),
    Members(Box<Self>, Members),
    /// Among what a subquery yielded.
    Among(Box<Self>, Oid, Arc<Hashed>),
    /// Aggregates over what an index leads to, for each row's arguments.
    Grouped(Box<GroupedRun>, Vec<Self>),
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

    /// Settles the subqueries of a condition that yield the same for all rows; false: some task's state is needed, in any case or because
    /// one fails, which it may be that no row asks it to.
    pub(crate) fn settle(e: &mut Compiled, rt: &Rt<'_, '_>) -> bool {
        let all = |l: &mut [Compiled]| l.iter_mut().all(|e| Self::settle(e, rt));
        match e {
            Compiled::SubPlan(s) => s.settle(rt).unwrap_or(false),
            Compiled::And(l) | Compiled::Or(l) => all(l),
            Compiled::Call(c) => all(&mut c.args),
            Compiled::Not(e) | Compiled::IsNull(e, _) | Compiled::Relabel(e, _) => Self::settle(e, rt),
            _ => true,
        }
    }

    /// May [`Pure::of`] succeed when subqueries are settled?
    pub(crate) fn may_settle(e: &Compiled) -> bool {
        match e {
            Compiled::SubPlan(s) => s.settles(),
            Compiled::And(l) | Compiled::Or(l) => l.iter().all(Self::may_settle),
            Compiled::Call(c) => {
                c.function.volatility == Volatility::Immutable && c.args.iter().all(Self::may_settle)
            }
            Compiled::Not(e) | Compiled::IsNull(e, _) | Compiled::Relabel(e, _) => Self::may_settle(e),
            Compiled::Slot(..) | Compiled::Routine(_) | Compiled::Domain(_) => false,
            _ => true,
        }
    }

    /// Of an expression that is ready to run over rows of these types; `None`: not any task can evaluate it.
    pub(crate) fn of(e: &Compiled, types: &[SqlType], rt: &Rt<'_, '_>) -> Option<Self> {
        let one = |e: &Compiled| Self::of(e, types, rt);
        let list = |l: &[Compiled]| l.iter().map(one).collect::<Option<Vec<_>>>();
        Some(match e {
            Compiled::Const(_, v) => Self::Const(v.clone()),
            Compiled::Column(n) => Self::Column(*n),
            Compiled::Param(n, ty) => Self::Const(Arc::new(Vector::constant(&rt.param(*n).ok()?, *ty).ok()?)),
            Compiled::Call(c) => {
                let function = c.function;
                let plain = match function.imp {
                    Implementation::Vector(..) => true,
                    // What is made of these types depends on no setting.
                    Implementation::Row(_) => {
                        function.args.iter().chain([&function.result]).all(|t| is_plain(*t))
                    }
                    _ => false,
                };
                if !plain || function.volatility != Volatility::Immutable || c.args.is_empty() {
                    return None;
                }
                Self::Call(function, list(&c.args)?, c.ty)
            }
            Compiled::And(l) => Self::And(list(l)?),
            Compiled::Or(l) => Self::Or(list(l)?),
            Compiled::Not(e) => Self::Not(Box::new(one(e)?)),
            Compiled::IsNull(e, want) => Self::IsNull(Box::new(one(e)?), *want),
            Compiled::Case(c) => {
                let whens =
                    c.whens.iter().map(|(w, t)| Some((one(w)?, one(t)?))).collect::<Option<Vec<_>>>()?;
                Self::Case(whens, Box::new(one(&c.otherwise)?), c.ty)
            }
            Compiled::Coalesce(l, ty) => Self::Coalesce(list(l)?, *ty),
            Compiled::Relabel(inner, ty) => {
                let from = match &**inner {
                    Compiled::Column(n) => *types.get(*n)?,
                    inner => inner.ty(),
                };
                if pg_types::Physical::of(from.oid) != pg_types::Physical::of(ty.oid) {
                    return None;
                }
                Self::Relabel(Box::new(one(inner)?), *ty)
            }
            Compiled::ScalarArray(s) => {
                let members = s.members.as_ref()?;
                Self::Members(Box::new(one(s.call.args.first()?)?), members.clone())
            }
            Compiled::SubPlan(s) => match s.settled(rt) {
                Some(Settled::Value(v)) => Self::Const(Arc::new(Vector::constant(&v, s.ty).ok()?)),
                Some(Settled::Among(e, ty, set)) => Self::Among(Box::new(one(e)?), ty, set),
                None => {
                    let (run, args) = s.for_many(types, rt)?;
                    Self::Grouped(Box::new(run), args)
                }
            },
            _ => return None,
        })
    }

    /// The column of values; only the selected rows mean anything.
    pub(crate) fn vector(&self, b: &Batch, sel: Selection<'_>, cx: &EvalContext<'_>) -> Result<Arc<Vector>> {
        Ok(match self {
            Self::Const(v) => v.clone(),
            Self::Column(n) => b.columns.get(*n).cloned().ok_or_else(no_column)?,
            Self::Call(function, args, ty) => {
                let args = args.iter().map(|a| a.vector(b, sel, cx)).collect::<Result<Vec<_>>>()?;
                let (form, single) = match function.imp {
                    Implementation::Vector(form, single) => (form, single),
                    Implementation::Row(f) => return by_rows(f, function.strict, &args, *ty, (b, sel), cx),
                    _ => return Err(no_column()),
                };
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
            Self::Not(e) => {
                let v = e.vector(b, sel, cx)?;
                let ColumnData::Bool(x) = &v.data else { return Err(no_column()) };
                let data = ColumnData::Bool(x.iter().map(|x| !x).collect());
                let (encoding, nulls) = (v.encoding.clone(), v.nulls.clone());
                Arc::new(Vector { ty: SqlType::new(oid::BOOL), encoding, data, nulls })
            }
            Self::IsNull(e, want) => {
                let v = e.vector(b, sel, cx)?;
                let mut is = alloc::vec![false; b.rows];
                let composite = matches!(v.data, ColumnData::Other(_));
                for_rows(b.rows, sel, |i| {
                    is[i] = if composite { is_null(&v.value(i), *want) } else { v.is_null(i) == *want };
                    Ok(())
                })?;
                Arc::new(Vector::flat(SqlType::new(oid::BOOL), ColumnData::Bool(is), None))
            }
            Self::Case(whens, otherwise, ty) => {
                let filter = |w: &Self, left: &[u32]| w.filter_in(b, Some(left), cx);
                case(whens.iter().map(|(w, t)| (w, t)), &**otherwise, (b, sel, *ty), filter, |e, rows| {
                    e.vector(b, Some(rows), cx)
                })?
            }
            Self::Coalesce(l, ty) => coalesce(l.iter(), *ty, b, sel, |e, rows| e.vector(b, Some(rows), cx))?,
            Self::Members(e, list) => {
                let v = e.vector(b, sel, cx)?;
                let (found, nulls) = list.contain(&v, b.rows, sel).ok_or_else(no_column)?;
                Arc::new(Vector::flat(SqlType::new(pg_types::oid::BOOL), ColumnData::Bool(found), nulls))
            }
            Self::Among(e, ty, set) => {
                let v = e.vector(b, sel, cx)?;
                Arc::new(set.column(&v, *ty, b.rows, sel)?)
            }
            Self::Grouped(run, args) => {
                let args = args.iter().map(|a| a.vector(b, sel, cx)).collect::<Result<Vec<_>>>()?;
                let all: Vec<u32>;
                let rows = match sel {
                    Some(rows) => rows,
                    None => {
                        all = (0..b.rows as u32).collect();
                        &all
                    }
                };
                Arc::new(run.vector(&Batch { columns: args, rows: b.rows, selection: None }, rows, cx)?)
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
    pub(crate) fn filter(&self, b: &Batch, sel: Selection<'_>, host: &NoSession<'_>) -> Result<Vec<u32>> {
        self.filter_in(b, sel, &EvalContext { host })
    }

    fn filter_in(&self, b: &Batch, sel: Selection<'_>, cx: &EvalContext<'_>) -> Result<Vec<u32>> {
        if let Self::And(l) = self {
            let mut kept: Option<Vec<u32>> = None;
            for e in l {
                let next = e.filter_in(b, kept.as_deref().or(sel), cx)?;
                if next.is_empty() {
                    return Ok(next);
                }
                kept = Some(next);
            }
            return Ok(kept.unwrap_or_default());
        }
        let v = self.vector(b, sel, cx)?;
        truth_filter(&v, b.rows, sel)
    }
}

/// Values of such types are the same to every session.
fn is_plain(ty: Oid) -> bool {
    matches!(
        ty,
        oid::TEXT
            | oid::VARCHAR
            | oid::BPCHAR
            | oid::INT2
            | oid::INT4
            | oid::INT8
            | oid::NUMERIC
            | oid::DATE
            | oid::TIMESTAMP
            | oid::BOOL
    )
}

/// A function that works on single values, over a column.
fn by_rows(
    f: pg_functions::def::RowFn,
    strict: bool,
    args: &[Arc<Vector>],
    ty: SqlType,
    (b, sel): (&Batch, Selection<'_>),
    cx: &EvalContext<'_>,
) -> Result<Arc<Vector>> {
    let mut values = Vec::with_capacity(args.len());
    let mut one = |i: usize| {
        if strict && args.iter().any(|a| a.is_null(i)) {
            return Ok(Value::Null);
        }
        values.clear();
        values.extend(args.iter().map(|a| a.value(i)));
        f(cx, &values)
    };
    if args.iter().all(|a| a.is_constant()) {
        return Ok(Arc::new(Vector::constant(&one(0)?, ty)?));
    }
    let mut out = VectorBuilder::with_capacity(ty, b.rows);
    for_rows(b.rows, sel, |i| {
        if i.is_multiple_of(16) && cx.host.cancelled() {
            return Err(stopped());
        }
        out.push_nulls(i - out.len());
        out.push(&one(i)?)
    })?;
    out.push_nulls(b.rows - out.len());
    Ok(Arc::new(out.finish()))
}

/// Nobody waits for the result any more.
#[cold]
pub(crate) fn stopped() -> SqlError {
    SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")
}
