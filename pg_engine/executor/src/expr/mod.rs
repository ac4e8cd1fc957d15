//! Expressions made ready to run: the plan's [`Expr`] with scratch space and subquery state.
//!
//! Two ways to evaluate: [`vector`] over whole columns, and [`row`] for one row, which is what one-row batches and the
//! rarer constructs use. Both are lazy where SQL is: a branch of CASE, COALESCE, AND, OR is evaluated only for the rows that
//! reach it, so that guarded errors do not fire.

mod domain;
mod members;
mod pure;
mod routine;
mod row;
mod subplan;
mod subscript;
mod vector;

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use pg_functions::{Function, Implementation};
use pg_plan::expr::{Expr, SubQuery};
use pg_types::{Batch, Oid, Result, SqlError, SqlType, Value, Vector, value::Names};

use crate::node::Compiler;
pub(crate) use domain::Domain;
use members::Members;
pub(crate) use pure::{NoSession, Pure, is_pure, stopped};
pub(crate) use routine::RoutineExpr;
pub(crate) use subplan::{Outcome, SubPlan};

/// An expression ready to run.
pub(crate) enum Compiled {
    Const(Value, Arc<Vector>),
    Column(usize),
    Param(usize, SqlType),
    Slot(usize, SqlType),
    Call(Box<Call>),
    Routine(Box<RoutineExpr>),
    And(Vec<Compiled>),
    Or(Vec<Compiled>),
    Not(Box<Compiled>),
    IsNull(Box<Compiled>, bool),
    IsTruth(Box<Compiled>, Option<bool>, bool),
    Distinct(Box<Call>, bool),
    Case(Box<Case>),
    Coalesce(Vec<Compiled>, SqlType),
    NullIf(Box<Call>, SqlType),
    Extreme(Vec<Compiled>, bool, SqlType),
    ViaIo(Box<Compiled>, SqlType, SqlType),
    Relabel(Box<Compiled>, SqlType),
    ArrayCoerce(Box<(Compiled, Compiled)>, SqlType),
    Domain(Box<Domain>),
    ScalarArray(Box<ScalarArray>),
    Array(Vec<Compiled>, bool, SqlType),
    Subscript(Box<Subscript>),
    Row(Vec<Compiled>, Vec<Oid>, Names, SqlType),
    Field(Box<Compiled>, usize, SqlType),
    SubPlan(Box<SubPlan>),
}

/// A function call.
pub(crate) struct Call {
    pub function: &'static Function,
    pub args: Vec<Compiled>,
    pub ty: SqlType,
    /// Argument values of the row form, reused.
    pub values: Vec<Value>,
}

/// CASE.
pub(crate) struct Case {
    pub whens: Vec<(Compiled, Compiled)>,
    pub otherwise: Compiled,
    pub ty: SqlType,
}

/// `x op ANY/ALL (array)`.
pub(crate) struct ScalarArray {
    pub call: Call,
    pub any: bool,
    /// For a constant array of hashable elements: their keys, sorted, and whether a NULL is among them.
    pub set: Option<(Vec<Vec<u8>>, bool)>,
    /// For a constant array, its members as columns have them.
    pub members: Option<Members>,
}

/// Array subscripts.
pub(crate) struct Subscript {
    pub array: Compiled,
    pub indices: Vec<(Option<Compiled>, Option<Compiled>)>,
    pub slice: bool,
    pub assign: Option<Compiled>,
    /// Of a jsonb value.
    pub document: bool,
    /// Of a value with a fixed number of parts.
    pub fixed: bool,
    pub ty: SqlType,
}

/// One row, to evaluate against.
#[derive(Clone, Copy)]
pub(crate) enum RowRef<'a> {
    /// A row of a batch.
    Batch(&'a Batch, usize),
    /// Values.
    Values(&'a [Value]),
    /// Left columns, then right columns.
    Pair(&'a Batch, usize, &'a Batch, usize),
}

impl RowRef<'_> {
    pub(crate) fn value(&self, column: usize) -> Result<Value> {
        match self {
            Self::Batch(b, row) => b.columns.get(column).map(|c| c.value(*row)),
            Self::Values(v) => v.get(column).cloned(),
            Self::Pair(l, i, r, j) => match column.checked_sub(l.columns.len()) {
                None => l.columns.get(column).map(|c| c.value(*i)),
                Some(n) => r.columns.get(n).map(|c| c.value(*j)),
            },
        }
        .ok_or_else(no_column)
    }
}

#[cold]
pub(crate) fn no_column() -> SqlError {
    SqlError::internal("expression refers to a column its input does not have")
}

impl Compiled {
    /// Makes an expression ready.
    pub(crate) fn new(expr: &Expr, c: &mut Compiler<'_>) -> Result<Self> {
        let list = |exprs: &[Expr], c: &mut Compiler<'_>| -> Result<Vec<Self>> {
            exprs.iter().map(|e| Self::new(e, c)).collect()
        };
        let boxed = |e: &Expr, c: &mut Compiler<'_>| Self::new(e, c).map(Box::new);
        Ok(match expr {
            Expr::Const(v, t) => Self::Const(v.clone(), Arc::new(Vector::constant(v, *t)?)),
            Expr::Column(n, _) => Self::Column(*n as usize),
            Expr::Param(n, t) => Self::Param(*n as usize, *t),
            Expr::Slot(n, t) => {
                c.note_read(*n);
                Self::Slot(*n as usize, *t)
            }
            Expr::Call(call) => Self::Call(Box::new(Call::new(call.function, list(&call.args, c)?, call.ty))),
            Expr::Routine(call) => Self::Routine(Box::new(RoutineExpr::new(call, c)?)),
            Expr::And(l) => Self::And(list(l, c)?),
            Expr::Or(l) => Self::Or(list(l, c)?),
            Expr::Not(e) => Self::Not(boxed(e, c)?),
            Expr::IsNull(e, n) => Self::IsNull(boxed(e, c)?, *n),
            Expr::IsTruth(e, want, n) => Self::IsTruth(boxed(e, c)?, *want, *n),
            Expr::Distinct(f, args, not) => {
                Self::Distinct(Box::new(Call::new(f, list(&args[..], c)?, expr.ty())), *not)
            }
            Expr::Case(case) => Self::Case(Box::new(Case {
                whens: case
                    .whens
                    .iter()
                    .map(|(w, t)| Ok((Self::new(w, c)?, Self::new(t, c)?)))
                    .collect::<Result<_>>()?,
                otherwise: Self::new(&case.otherwise, c)?,
                ty: case.ty,
            })),
            Expr::Coalesce(l, t) => Self::Coalesce(list(l, c)?, *t),
            Expr::NullIf(f, args) => {
                let boolean = SqlType::new(pg_types::oid::BOOL);
                Self::NullIf(Box::new(Call::new(f, list(&args[..], c)?, boolean)), expr.ty())
            }
            Expr::Extreme(l, greatest, t) => Self::Extreme(list(l, c)?, *greatest, *t),
            Expr::CoerceViaIo(e, t) => Self::ViaIo(boxed(e, c)?, e.ty(), *t),
            Expr::Relabel(e, t) => Self::Relabel(boxed(e, c)?, *t),
            Expr::ArrayCoerce(a, e, t) => {
                Self::ArrayCoerce(Box::new((Self::new(a, c)?, Self::new(e, c)?)), *t)
            }
            Expr::Domain(d) => Self::Domain(Box::new(Domain::new(d, c)?)),
            Expr::ScalarArray(f, args, any) => {
                Self::ScalarArray(Box::new(ScalarArray::new(f, args, *any, list(&args[..], c)?)))
            }
            Expr::Array(l, nested, t) => Self::Array(list(l, c)?, *nested, *t),
            Expr::Subscript(s) => {
                let bound = |e: &Option<Expr>, c: &mut Compiler<'_>| -> Result<Option<Self>> {
                    e.as_ref().map(|e| Self::new(e, c)).transpose()
                };
                Self::Subscript(Box::new(Subscript {
                    array: Self::new(&s.array, c)?,
                    indices: s
                        .indices
                        .iter()
                        .map(|(a, b)| Ok((bound(a, c)?, bound(b, c)?)))
                        .collect::<Result<_>>()?,
                    slice: s.slice,
                    assign: bound(&s.assign, c)?,
                    document: s.array.ty().oid == pg_types::oid::JSONB,
                    fixed: pg_types::geometry::is_geometric(s.array.ty().oid),
                    ty: s.ty,
                }))
            }
            Expr::Row(l, names, t) => {
                Self::Row(list(l, c)?, l.iter().map(|e| e.ty().oid).collect(), names.clone(), *t)
            }
            Expr::Field(e, n, t) => Self::Field(boxed(e, c)?, *n as usize, *t),
            Expr::SubPlan(s) => Self::SubPlan(Box::new(SubPlan::new(s, c)?)),
            // Scans of tables take it out of their conditions; below policies it does not come to them.
            Expr::CurrentOf(_) => {
                return Err(SqlError::unsupported("WHERE CURRENT OF of a table with row security"));
            }
        })
    }

    /// Forgets results of subqueries: a new run begins.
    pub(crate) fn reset(&mut self) {
        match self {
            Self::Const(..) | Self::Column(_) | Self::Param(..) | Self::Slot(..) => {}
            Self::Call(c) | Self::Distinct(c, _) | Self::NullIf(c, _) => {
                c.args.iter_mut().for_each(Self::reset);
            }
            Self::Routine(c) => c.reset(),
            Self::And(l)
            | Self::Or(l)
            | Self::Coalesce(l, _)
            | Self::Extreme(l, ..)
            | Self::Array(l, ..)
            | Self::Row(l, ..) => l.iter_mut().for_each(Self::reset),
            Self::Not(e)
            | Self::IsNull(e, _)
            | Self::IsTruth(e, ..)
            | Self::ViaIo(e, ..)
            | Self::Relabel(e, _)
            | Self::Field(e, ..) => e.reset(),
            Self::Case(c) => {
                for (w, t) in &mut c.whens {
                    w.reset();
                    t.reset();
                }
                c.otherwise.reset();
            }
            Self::ArrayCoerce(p, _) => {
                p.0.reset();
                p.1.reset();
            }
            Self::Domain(d) => d.reset(),
            Self::ScalarArray(s) => s.call.args.iter_mut().for_each(Self::reset),
            Self::Subscript(s) => {
                s.array.reset();
                for (a, b) in &mut s.indices {
                    a.iter_mut().chain(b).for_each(Self::reset);
                }
                s.assign.iter_mut().for_each(Self::reset);
            }
            Self::SubPlan(s) => s.reset(),
        }
    }
}

impl Call {
    pub(crate) fn new(function: &'static Function, args: Vec<Compiled>, ty: SqlType) -> Self {
        let values = Vec::with_capacity(args.len());
        Self { function, args, ty, values }
    }
    /// The column form, if the function has one.
    pub(crate) fn vector_form(&self) -> Option<pg_functions::def::VectorFn> {
        match self.function.imp {
            Implementation::Vector(f, _) => Some(f),
            _ => None,
        }
    }
}

impl ScalarArray {
    fn new(f: &'static Function, args: &[Expr; 2], any: bool, compiled: Vec<Compiled>) -> Self {
        let set = match (&args[1], any) {
            (Expr::Const(Value::Array(a), _), true)
                if hashable(f, &args[0], a.element) && a.values.len() > 4 =>
            {
                let mut keys = Vec::with_capacity(a.values.len());
                let mut null = false;
                for v in &a.values {
                    match v {
                        Value::Null => null = true,
                        v => keys.push(crate::keys::encode_one(a.element, v)),
                    }
                }
                keys.sort_unstable();
                keys.dedup();
                Some((keys, null))
            }
            _ => None,
        };
        let members = match (&args[1], any) {
            (Expr::Const(Value::Array(a), _), true) if hashable(f, &args[0], a.element) => Members::of(a),
            _ => None,
        };
        Self { call: Call::new(f, compiled, SqlType::new(pg_types::oid::BOOL)), any, set, members }
    }
}

/// Can equality under `f` be decided by comparing keys? Only for a type's own equality between equal types.
fn hashable(f: &'static Function, left: &Expr, element: Oid) -> bool {
    let same = |a: Oid, b: Oid| {
        let plain = |t: Oid| if t == pg_types::oid::VARCHAR { pg_types::oid::TEXT } else { t };
        plain(a) == plain(b)
    };
    same(left.ty().oid, element)
        && pg_functions::registry().equality_operator(element).is_some_and(|o| o.function == f.oid)
}

/// A planned subquery's tree.
pub(crate) fn physical(query: &SubQuery) -> Result<&pg_plan::physical::Physical> {
    match query {
        SubQuery::Physical(p) => Ok(p),
        SubQuery::Logical(_) => Err(SqlError::internal("subquery was not planned")),
    }
}

pub(crate) use row::call_function;
