//! Bound queries: relational operators over column ids. Made by the binder, rewritten by the planner.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use pg_catalog::Relation;
use pg_types::{SqlType, Value};

use crate::{
    definition::Aggregated,
    expr::{ColumnId, Expr},
    routine::Callee,
};

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
    pub function: Aggregated,
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

/// A call of a window function, or of an aggregate over window frames.
#[derive(Clone, Debug)]
pub struct WindowCall {
    /// The function.
    pub function: Aggregated,
    /// Arguments.
    pub args: Vec<Expr>,
    /// FILTER (aggregates only).
    pub filter: Option<Expr>,
    /// Result type.
    pub ty: SqlType,
}

/// PARTITION BY, ORDER BY and the frame of an OVER clause.
#[derive(Clone, Debug)]
pub struct WindowSpec {
    /// PARTITION BY.
    pub partition: Vec<Expr>,
    /// ORDER BY.
    pub order: Vec<SortKey>,
    /// The frame.
    pub frame: WindowFrame,
}

/// A window frame.
#[derive(Clone, Debug)]
pub struct WindowFrame {
    /// What bounds are counted in.
    pub units: FrameUnits,
    /// Where it begins.
    pub start: FrameBound,
    /// Where it ends.
    pub end: FrameBound,
    /// Written with BETWEEN: for whoever shows it.
    pub between: bool,
    /// What is left out of it.
    pub exclude: FrameExclusion,
}

/// EXCLUDE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "standard names")]
pub enum FrameExclusion {
    NoOthers,
    CurrentRow,
    Group,
    Ties,
}

/// ROWS, RANGE, GROUPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "standard names")]
pub enum FrameUnits {
    Rows,
    Range,
    Groups,
}

/// One end of a frame.
#[derive(Clone, Debug)]
pub enum FrameBound {
    /// UNBOUNDED PRECEDING for a start, UNBOUNDED FOLLOWING for an end.
    Unbounded,
    /// CURRENT ROW.
    Current,
    /// A distance before or after the current row.
    Offset {
        /// The distance: int8 for ROWS and GROUPS, of any type for RANGE; reads no columns.
        distance: Expr,
        /// FOLLOWING.
        following: bool,
        /// RANGE: the sort key, and the value that bounds it, in one type that both compare in.
        range: Option<Box<(Expr, Expr)>>,
    },
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
    /// tableoid −6, ...; [`stored_size`] and [`stored_method`] of a column).
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
        function: Callee,
        /// Arguments; may use slots (LATERAL).
        args: Vec<Expr>,
        /// Result columns; with ordinality one more, int8.
        columns: Vec<Column>,
        /// WITH ORDINALITY.
        ordinality: bool,
        /// Alias for EXPLAIN; the function's name if it has none.
        alias: String,
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
    /// Rows that nobody may be told about have been left out below: conditions from above go there only if they tell
    /// nothing about the rows they see.
    Secure(Box<Logical>),
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
        /// Keys of groups that are there even without rows.
        seeds: Vec<Vec<Value>>,
    },
    /// Window functions that share a window: input columns pass through, results are added.
    Window {
        /// Input.
        input: Box<Logical>,
        /// The window.
        spec: WindowSpec,
        /// Calls.
        calls: Vec<(Column, WindowCall)>,
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
        /// WITH TIES: rows that are equal in these to the last one come too. Empty without it.
        ties: Vec<Expr>,
    },
    /// UNION / INTERSECT / EXCEPT; columns by position, with new ids.
    Set {
        /// Operation.
        op: SetOp,
        /// ALL.
        all: bool,
        /// Two, or more of UNION: a chain of it is one operator, however long.
        inputs: Vec<Logical>,
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
    /// WITH RECURSIVE: the left side's rows, then the right side's, run anew over the rows that the run before added,
    /// until a run adds none.
    Recursive {
        /// The common table expression whose scans in `right` read the rows added last.
        work: u32,
        /// UNION ALL; otherwise rows seen before are dropped.
        all: bool,
        /// The non-recursive term.
        left: Box<Logical>,
        /// The recursive term.
        right: Box<Logical>,
        /// Result columns.
        columns: Vec<Column>,
    },
    /// FOR UPDATE / NO KEY UPDATE / SHARE / KEY SHARE on tables below.
    LockRows {
        /// Input; carries the ctid columns.
        input: Box<Logical>,
        /// The tables, by column ids.
        tables: Vec<Locked>,
        /// Wait policy.
        wait: LockWait,
    },
}

impl Logical {
    /// The operators right below.
    pub fn inputs(&self) -> impl Iterator<Item = &Self> {
        let (one, two, many): (Option<&Self>, Option<&Self>, &[Self]) = match self {
            Self::Filter(i, _)
            | Self::Secure(i)
            | Self::Project(i, _)
            | Self::ProjectSet(i, _)
            | Self::Distinct(i, _)
            | Self::Sort(i, _)
            | Self::Limit { input: i, .. }
            | Self::Aggregate { input: i, .. }
            | Self::Window { input: i, .. }
            | Self::LockRows { input: i, .. } => (Some(i), None, &[]),
            Self::Join { left, right, .. } | Self::Recursive { left, right, .. } => {
                (Some(left), Some(right), &[])
            }
            Self::Set { inputs, .. } => (None, None, inputs),
            Self::OneRow
            | Self::Scan { .. }
            | Self::FunctionScan { .. }
            | Self::Values { .. }
            | Self::CteScan { .. } => (None, None, &[]),
        };
        one.into_iter().chain(two).chain(many)
    }
}

/// A table whose rows are locked.
#[derive(Clone, Debug)]
pub struct Locked {
    /// The table.
    pub relation: Arc<Relation>,
    /// The column that tells a row's place: its id, or where it is in the input.
    pub ctid: u32,
    /// The column that tells which table a row is of, where it may be of several.
    pub tableoid: Option<u32>,
    /// Strength from 0 (KEY SHARE) to 3 (UPDATE); 4: not locked, named to know the row again.
    pub strength: u8,
}

/// What FOR UPDATE does when a row is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "standard names")]
pub enum LockWait {
    Block,
    NoWait,
    SkipLocked,
}

impl WindowSpec {
    /// Calls `f` on every expression of the window.
    pub fn for_each(&self, f: &mut dyn FnMut(&Expr)) {
        self.partition.iter().for_each(&mut *f);
        self.order.iter().for_each(|k| f(&k.expr));
        for bound in [&self.frame.start, &self.frame.end] {
            if let FrameBound::Offset { distance, range, .. } = bound {
                f(distance);
                if let Some(range) = range {
                    f(&range.0);
                    f(&range.1);
                }
            }
        }
    }
    /// As [`WindowSpec::for_each`], to change.
    pub fn for_each_mut(&mut self, f: &mut dyn FnMut(&mut Expr)) {
        self.partition.iter_mut().for_each(&mut *f);
        self.order.iter_mut().for_each(|k| f(&mut k.expr));
        for bound in [&mut self.frame.start, &mut self.frame.end] {
            if let FrameBound::Offset { distance, range, .. } = bound {
                f(distance);
                if let Some(range) = range {
                    f(&mut range.0);
                    f(&mut range.1);
                }
            }
        }
    }
    /// True when two windows are the same.
    pub fn same(&self, other: &Self) -> bool {
        let bounds = |a: &FrameBound, b: &FrameBound| match (a, b) {
            (FrameBound::Unbounded, FrameBound::Unbounded) | (FrameBound::Current, FrameBound::Current) => {
                true
            }
            (
                FrameBound::Offset { distance: a, following: f, .. },
                FrameBound::Offset { distance: b, following: g, .. },
            ) => f == g && a.same(b),
            _ => false,
        };
        self.frame.units == other.frame.units
            && self.frame.exclude == other.frame.exclude
            && bounds(&self.frame.start, &other.frame.start)
            && bounds(&self.frame.end, &other.frame.end)
            && self.partition.len() == other.partition.len()
            && self.partition.iter().zip(&other.partition).all(|(a, b)| a.same(b))
            && self.order.len() == other.order.len()
            && self.order.iter().zip(&other.order).all(|(a, b)| {
                a.descending == b.descending && a.nulls_first == b.nulls_first && a.expr.same(&b.expr)
            })
    }
}

/// Attribute number that stands for the bytes that a column takes as it is stored (`pg_column_size`).
pub const fn stored_size(attnum: i16) -> i16 {
    -10_000 - attnum
}

/// Attribute number that stands for how a column's value is compressed (`pg_column_compression`).
pub const fn stored_method(attnum: i16) -> i16 {
    -20_000 - attnum
}

/// What of a column's storage an attribute number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredFact {
    /// [`stored_size`] of this attribute.
    Size(i16),
    /// [`stored_method`] of this attribute.
    Method(i16),
}

impl StoredFact {
    /// From an attribute number; `None`: it stands for none.
    pub fn of(attnum: i16) -> Option<Self> {
        match attnum {
            -12_000..=-10_001 => Some(Self::Size(-10_000 - attnum)),
            -22_000..=-20_001 => Some(Self::Method(-20_000 - attnum)),
            _ => None,
        }
    }
}
