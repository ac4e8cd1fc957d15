//! Bound queries: relational operators over column ids. Made by the binder, rewritten by the planner.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use pg_catalog::Relation;
use pg_functions::Function;
use pg_types::SqlType;

use crate::expr::{ColumnId, Expr};

/// A column that an operator yields.
#[derive(Clone, Debug)]
pub struct Column {
    /// Unique in the statement.
    pub id: ColumnId,
    /// Name as a client sees it.
    pub name: String,
    /// Type.
    pub ty: SqlType,
}

/// Join kinds. `Semi` and `Anti` come from unnested subqueries; `LeftMark`-like forms stay `SubPlan`s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "standard names")]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    Semi,
    /// NOT EXISTS semantics.
    Anti,
}

/// A sort key.
#[derive(Clone, Debug)]
pub struct SortKey {
    /// What to sort by.
    pub expr: Expr,
    /// DESC.
    pub descending: bool,
    /// NULLS FIRST.
    pub nulls_first: bool,
}

/// An aggregate call.
#[derive(Clone, Debug)]
pub struct AggregateCall {
    /// The aggregate.
    pub function: &'static Function,
    /// Arguments (empty for `count(*)`); direct arguments of ordered-set aggregates first.
    pub args: Vec<Expr>,
    /// DISTINCT.
    pub distinct: bool,
    /// ORDER BY inside the call, or WITHIN GROUP.
    pub order_by: Vec<SortKey>,
    /// FILTER.
    pub filter: Option<Expr>,
    /// Result type.
    pub ty: SqlType,
}

/// UNION, INTERSECT, EXCEPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "standard names")]
pub enum SetOp {
    Union,
    Intersect,
    Except,
}

/// A relational operator tree.
#[derive(Clone, Debug)]
pub enum Logical {
    /// One row, no columns (`SELECT 1`).
    OneRow,
    /// A stored table. `columns[i]` is attribute number `attnums[i]` (negative: system columns ctid −1, xmin −2,
    /// tableoid −6, ...).
    Scan {
        /// The table.
        relation: Arc<Relation>,
        /// Alias for EXPLAIN.
        alias: String,
        /// Columns, with their attribute numbers.
        columns: Vec<(Column, i16)>,
    },
    /// A set-returning function in FROM.
    FunctionScan {
        /// The call.
        function: &'static Function,
        /// Arguments; may use slots (LATERAL).
        args: Vec<Expr>,
        /// Result columns; with ordinality one more, int8.
        columns: Vec<Column>,
        /// WITH ORDINALITY.
        ordinality: bool,
    },
    /// VALUES.
    Values {
        /// Rows.
        rows: Vec<Vec<Expr>>,
        /// Columns.
        columns: Vec<Column>,
    },
    /// WHERE, HAVING.
    Filter(Box<Logical>, Expr),
    /// Computes columns: exactly these come out.
    Project(Box<Logical>, Vec<(Column, Expr)>),
    /// Set-returning functions in a select list: input columns pass through, these are added (run in lockstep).
    ProjectSet(Box<Logical>, Vec<(Column, Expr)>),
    /// A join. With `lateral` the right side uses slots set from the left row.
    Join {
        /// Kind.
        kind: JoinKind,
        /// Left.
        left: Box<Logical>,
        /// Right.
        right: Box<Logical>,
        /// ON; `None`: cross.
        on: Option<Expr>,
        /// (slot, expression over the left side) for LATERAL.
        lateral: Vec<(u32, Expr)>,
    },
    /// GROUP BY. Groups' columns, then aggregates' columns come out.
    Aggregate {
        /// Input.
        input: Box<Logical>,
        /// Group keys.
        groups: Vec<(Column, Expr)>,
        /// Aggregates.
        aggregates: Vec<(Column, AggregateCall)>,
    },
    /// DISTINCT over all columns, or DISTINCT ON these (input sorted accordingly by the binder's Sort below).
    Distinct(Box<Logical>, Option<Vec<Expr>>),
    /// ORDER BY.
    Sort(Box<Logical>, Vec<SortKey>),
    /// LIMIT and OFFSET (int8 expressions without columns).
    Limit {
        /// Input.
        input: Box<Logical>,
        /// LIMIT.
        limit: Option<Expr>,
        /// OFFSET.
        offset: Option<Expr>,
    },
    /// UNION / INTERSECT / EXCEPT; columns by position, with new ids.
    Set {
        /// Operation.
        op: SetOp,
        /// ALL.
        all: bool,
        /// Left.
        left: Box<Logical>,
        /// Right.
        right: Box<Logical>,
        /// Result columns.
        columns: Vec<Column>,
    },
    /// A common table expression's result, computed once (when referenced more than once) and read here.
    CteScan {
        /// Which: index into the statement's list.
        cte: u32,
        /// Columns of this reference, by position.
        columns: Vec<Column>,
    },
    /// FOR UPDATE / NO KEY UPDATE / SHARE / KEY SHARE on tables below.
    LockRows {
        /// Input; carries the ctid columns.
        input: Box<Logical>,
        /// (table, its ctid column, strength 0..=3 from KEY SHARE to UPDATE; 4: not locked, named to know the row again).
        tables: Vec<(Arc<Relation>, ColumnId, u8)>,
        /// Wait policy.
        wait: LockWait,
    },
}

/// What FOR UPDATE does when a row is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "standard names")]
pub enum LockWait {
    Block,
    NoWait,
    SkipLocked,
}
