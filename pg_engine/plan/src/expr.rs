//! Typed scalar expressions.

use alloc::{boxed::Box, string::String, vec::Vec};

use pg_functions::Function;
use pg_types::{Oid, SqlType, Value, value::Names};

use crate::{logical::Logical, physical::Physical, routine::RoutineCall};

/// Identity of a column inside one statement (logical plans) or a position (physical plans).
pub type ColumnId = u32;

/// A typed expression. Overloads are resolved, casts explicit, names gone.
#[derive(Clone, Debug)]
pub enum Expr {
    /// A literal.
    Const(Value, SqlType),
    /// A column of the input.
    Column(ColumnId, SqlType),
    /// Statement parameter, 0-based (`$1` is 0).
    Param(u32, SqlType),
    /// A slot set by an enclosing [`SubPlan`]'s arguments before each run (correlation).
    Slot(u32, SqlType),
    /// A function (or the function behind an operator).
    Call(Box<Call>),
    /// A function of a user.
    Routine(Box<RoutineCall>),
    /// Three-valued AND of two or more.
    And(Vec<Expr>),
    /// Three-valued OR of two or more.
    Or(Vec<Expr>),
    /// NOT.
    Not(Box<Expr>),
    /// `IS NULL` (false: `IS NOT NULL`). For records: all fields NULL / all not NULL.
    IsNull(Box<Expr>, bool),
    /// `IS TRUE`, `IS NOT FALSE`, ...: (expression, wanted truth value or None for UNKNOWN, negated).
    IsTruth(Box<Expr>, Option<bool>, bool),
    /// `IS DISTINCT FROM` by this equality function; true: `IS NOT DISTINCT FROM`.
    Distinct(&'static Function, Box<[Expr; 2]>, bool),
    /// `CASE WHEN c THEN v ... ELSE e END`; the simple form is bound to comparisons. Evaluated lazily row by row set.
    Case(Box<Case>),
    /// First that is not NULL; evaluated lazily.
    Coalesce(Vec<Expr>, SqlType),
    /// NULLIF by this equality function.
    NullIf(&'static Function, Box<[Expr; 2]>),
    /// GREATEST (true) or LEAST (false).
    Extreme(Vec<Expr>, bool, SqlType),
    /// A cast through text output and input (`CastMethod::InOut`).
    CoerceViaIo(Box<Expr>, SqlType),
    /// Same bits under another type (`CastMethod::Binary`).
    Relabel(Box<Expr>, SqlType),
    /// An array cast element by element; the inner expression reads the element as `Column(0)`.
    ArrayCoerce(Box<Expr>, Box<Expr>, SqlType),
    /// A value that must meet a domain's constraints.
    Domain(Box<Domain>),
    /// `x op ANY (array)` (true) or `ALL` (false). `IN (list of constants)` is bound to this too.
    ScalarArray(&'static Function, Box<[Expr; 2]>, bool),
    /// `ARRAY[...]`; true in the flag: elements are arrays to be nested.
    Array(Vec<Expr>, bool, SqlType),
    /// `a[i]`, `a[i:j]`.
    Subscript(Box<Subscript>),
    /// `ROW(...)`, or a row with names for its fields.
    Row(Vec<Expr>, Names, SqlType),
    /// `(record).field`, by position.
    Field(Box<Expr>, u32, SqlType),
    /// A subquery in an expression, not (or not yet) unnested.
    SubPlan(Box<SubPlan>),
    /// `WHERE CURRENT OF cursor`.
    CurrentOf(Box<CurrentOf>),
}

/// See [`Expr::CurrentOf`].
#[derive(Clone, Debug)]
pub struct CurrentOf {
    /// Name of the cursor.
    pub cursor: String,
    /// The table whose row the cursor may stand on.
    pub table: Oid,
    /// Its name.
    pub name: String,
    /// The ctid of a row.
    pub ctid: Expr,
}

/// See [`Expr::Call`].
#[derive(Clone, Debug)]
pub struct Call {
    /// The overload.
    pub function: &'static Function,
    /// Arguments, casts applied; the variadic ones are gathered into an array unless the function takes "any".
    pub args: Vec<Expr>,
    /// Result type (polymorphism resolved).
    pub ty: SqlType,
}

/// See [`Expr::Domain`].
#[derive(Clone, Debug)]
pub struct Domain {
    /// The value, of the domain's base type.
    pub value: Expr,
    /// The domain.
    pub oid: pg_types::Oid,
    /// NOT NULL.
    pub not_null: bool,
    /// CHECK constraints by name; the condition reads the value as `Column(0)`.
    pub checks: Vec<(String, Expr)>,
}

/// See [`Expr::Case`].
#[derive(Clone, Debug)]
pub struct Case {
    /// (condition, value), in order.
    pub whens: Vec<(Expr, Expr)>,
    /// ELSE.
    pub otherwise: Expr,
    /// Result type.
    pub ty: SqlType,
}

/// See [`Expr::Subscript`].
#[derive(Clone, Debug)]
pub struct Subscript {
    /// The array, or a document: then indices are texts and integers.
    pub array: Expr,
    /// (lower for a slice, index or upper). `None` bounds of a slice mean the array's own.
    pub indices: Vec<(Option<Expr>, Option<Expr>)>,
    /// A slice: the result is an array.
    pub slice: bool,
    /// What the element or slice is replaced by: the result is the changed array.
    pub assign: Option<Expr>,
    /// Result type.
    pub ty: SqlType,
}

/// What a subquery expression yields.
#[derive(Clone, Debug)]
pub enum SubPlanKind {
    /// EXISTS.
    Exists,
    /// A scalar; more than one row is error 21000.
    Scalar,
    /// `ARRAY(SELECT ...)`.
    Array,
    /// `test op ANY (subquery)` (true) or ALL (false): `test` reads the subquery's columns as `Column(0..)` and outer
    /// values through slots. `IN` is ANY with `=`. The equality functions, one a column, are given when the test is a
    /// plain conjunction of hashable equalities between `outer[i]` and column i, so that an uncorrelated one may be hashed.
    Compare {
        /// Boolean over the subquery's columns.
        test: Box<Expr>,
        /// ANY or ALL.
        any: bool,
        /// (outer expression, equality function) for each column when hashable.
        hashable: Option<Vec<(Expr, &'static Function)>>,
    },
}

/// A subquery inside an expression.
#[derive(Clone, Debug)]
pub struct SubPlan {
    /// What it yields.
    pub kind: SubPlanKind,
    /// The query.
    pub query: SubQuery,
    /// Slots to set from the outer row before a run: (slot, outer expression).
    pub args: Vec<(u32, Expr)>,
    /// The query reads slots of `args`: it must run anew for every outer row. Otherwise it runs once a statement (the
    /// slots then serve the test of [`SubPlanKind::Compare`] only).
    pub correlated: bool,
    /// Result type.
    pub ty: SqlType,
    /// Number of the query as the binder recorded it to be printed; 0: it did not.
    pub source: u32,
    /// Subqueries that were written alike in one query block have one number; 0: none.
    pub alike: u32,
}

/// A subquery before and after planning.
#[derive(Clone, Debug)]
pub enum SubQuery {
    /// As bound.
    Logical(Box<Logical>),
    /// As planned.
    Physical(Box<Physical>),
}

impl Expr {
    /// The type of the result.
    pub fn ty(&self) -> SqlType {
        use pg_types::oid;
        match self {
            Self::Const(_, t)
            | Self::Column(_, t)
            | Self::Param(_, t)
            | Self::Slot(_, t)
            | Self::Coalesce(_, t)
            | Self::Extreme(_, _, t)
            | Self::CoerceViaIo(_, t)
            | Self::Relabel(_, t)
            | Self::ArrayCoerce(_, _, t)
            | Self::Array(_, _, t)
            | Self::Row(_, _, t)
            | Self::Field(_, _, t) => *t,
            Self::Call(c) => c.ty,
            Self::Routine(c) => c.target.result,
            Self::Case(c) => c.ty,
            Self::Domain(d) => d.value.ty(),
            Self::Subscript(s) => s.ty,
            Self::SubPlan(s) => s.ty,
            Self::NullIf(_, a) => a[0].ty(),
            Self::And(_)
            | Self::Or(_)
            | Self::Not(_)
            | Self::IsNull(..)
            | Self::IsTruth(..)
            | Self::Distinct(..)
            | Self::ScalarArray(..)
            | Self::CurrentOf(_) => SqlType::new(oid::BOOL),
        }
    }
}
