//! Physical plans: what the executor runs. Column numbers are positions in the input batch (for joins: left's columns,
//! then right's).

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use pg_catalog::{Index, Relation};
use pg_functions::Function;
use pg_types::{SqlType, Value};

use crate::access::PolicyCheck;
use crate::{
    expr::Expr,
    logical::{AggregateCall, JoinKind, LockWait, Locked, SetOp, SortKey, WindowCall, WindowSpec},
    routine::Callee,
};

/// Planner's estimates, shown by EXPLAIN.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Cost before the first row.
    pub startup: f64,
    /// Cost of all rows.
    pub total: f64,
    /// Rows out.
    pub rows: f64,
    /// Average row width in bytes.
    pub width: u32,
}

/// An operator with its output types and estimates.
#[derive(Clone, Debug)]
pub struct Physical {
    /// What it does.
    pub node: Node,
    /// Types of the output columns.
    pub types: Vec<SqlType>,
    /// Estimates.
    pub estimate: Estimate,
}

/// Bounds on an index's leading columns: equality on some, then a range on the next.
#[derive(Clone, Debug, Default)]
pub struct IndexRange {
    /// `column i = expr` for the leading columns. Expressions hold no input columns (constants, parameters, slots).
    pub equal: Vec<Expr>,
    /// Lower bound on the next column: (expression, inclusive).
    pub lower: Option<(Expr, bool)>,
    /// Upper bound on the next column.
    pub upper: Option<(Expr, bool)>,
    /// `IS NULL` on the next column instead of a range.
    pub is_null: bool,
    /// `IS NOT NULL` on the next column, with a range or without.
    pub not_null: bool,
    /// `= ANY(array)` on the next column instead of a range: probed once a distinct element, in key order.
    pub any_of: Option<Expr>,
    /// So many leading columns have no bound: the bounds are those of the columns behind them, and hold for every value of these
    /// that there is.
    pub skip: usize,
    /// Of the rows that are equal in so many leading columns, the first that is seen is enough; 0: all rows are wanted.
    pub distinct: usize,
}

/// Rows of a table that indexes find together.
#[derive(Clone, Debug)]
pub enum Bitmap {
    /// Those of a range of a B-tree, with what reading it is estimated to take.
    Index(Arc<Index>, IndexRange, Estimate),
    /// Those that all of these have.
    And(Vec<Bitmap>),
    /// Those that any of these has.
    Or(Vec<Bitmap>),
}

impl Bitmap {
    /// Its index ranges, left to right.
    pub fn leaves(&self) -> Vec<(&Arc<Index>, &IndexRange)> {
        match self {
            Self::Index(index, range, _) => Vec::from([(index, range)]),
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::leaves).collect(),
        }
    }
}

/// A stored column that a scan yields: attribute number (1-based; negative: system column).
pub type Attnum = i16;

/// One operator.
#[derive(Clone, Debug)]
pub enum Node {
    /// One row without columns.
    OneRow,
    /// All visible rows of a heap.
    SeqScan {
        /// The table.
        relation: Arc<Relation>,
        /// Alias.
        alias: String,
        /// Columns to yield.
        columns: Vec<Attnum>,
        /// Applied before yielding; positions are those of `columns`.
        filter: Option<Expr>,
    },
    /// Rows found through a B-tree, in its order. An equality on all columns of a unique index is the point lookup.
    IndexScan {
        /// The table.
        relation: Arc<Relation>,
        /// The index.
        index: Arc<Index>,
        /// Alias.
        alias: String,
        /// What part of the index.
        range: IndexRange,
        /// Backward.
        backward: bool,
        /// The columns are all in the index's keys: rows of pages that everyone sees all of are not fetched.
        only: bool,
        /// Columns to yield.
        columns: Vec<Attnum>,
        /// Of a hash index: its key, over the columns. It finds rows whose key has the same hash; those with another are left out.
        key: Option<Expr>,
        /// What the range does not guarantee.
        filter: Option<Expr>,
    },
    /// Rows that indexes find together, in the order of the table.
    BitmapScan {
        /// The table.
        relation: Arc<Relation>,
        /// Alias.
        alias: String,
        /// Which rows.
        bitmap: Bitmap,
        /// Columns to yield.
        columns: Vec<Attnum>,
        /// All conditions on the table.
        filter: Option<Expr>,
    },
    /// A set-returning function.
    FunctionScan {
        /// Which.
        function: Callee,
        /// Arguments.
        args: Vec<Expr>,
        /// WITH ORDINALITY.
        ordinality: bool,
        /// Alias.
        alias: String,
    },
    /// Literal rows.
    Values(Vec<Vec<Expr>>),
    /// Keeps rows for which the expression is true.
    Filter(Box<Physical>, Expr),
    /// Computes output columns.
    Project(Box<Physical>, Vec<Expr>),
    /// Input columns, then set-returning expressions in lockstep (a top-level `Call` of a Set function each, arguments
    /// scalar).
    ProjectSet(Box<Physical>, Vec<Expr>),
    /// For each left row, runs the right side anew with `slots` set.
    NestedLoop {
        /// Kind.
        kind: JoinKind,
        /// Outer.
        left: Box<Physical>,
        /// Inner.
        right: Box<Physical>,
        /// Slots set from the left row.
        slots: Vec<(u32, Expr)>,
        /// Join condition over left's then right's columns.
        on: Option<Expr>,
    },
    /// Builds a table of the right side, probes with the left.
    HashJoin {
        /// Kind.
        kind: JoinKind,
        /// Probe side.
        left: Box<Physical>,
        /// Build side.
        right: Box<Physical>,
        /// Keys over left's columns, over right's columns, and the equality.
        keys: Vec<(Expr, Expr, &'static Function)>,
        /// Further condition over left's then right's columns.
        on: Option<Expr>,
    },
    /// Both sides sorted by the keys.
    MergeJoin {
        /// Kind.
        kind: JoinKind,
        /// Left.
        left: Box<Physical>,
        /// Right.
        right: Box<Physical>,
        /// As in `HashJoin`; ascending, nulls last.
        keys: Vec<(Expr, Expr, &'static Function)>,
        /// Further condition.
        on: Option<Expr>,
    },
    /// Groups by hashing (or one group when `groups` is empty and `plain`). Out: groups, aggregates.
    HashAggregate {
        /// Input.
        input: Box<Physical>,
        /// Keys.
        groups: Vec<Expr>,
        /// Aggregates over the input.
        aggregates: Vec<AggregateCall>,
        /// Keys of groups that are there even without rows.
        seeds: Vec<Vec<Value>>,
    },
    /// Window functions over rows sorted by partition and order. Out: the input's columns, then the calls.
    Window {
        /// Input.
        input: Box<Physical>,
        /// The window, over the input's columns.
        spec: Box<WindowSpec>,
        /// The calls, over the input's columns.
        calls: Vec<WindowCall>,
    },
    /// DISTINCT by hashing all columns, keeping first occurrences; or DISTINCT ON the given columns of sorted input.
    Distinct(Box<Physical>, Option<Vec<Expr>>),
    /// Sorts; with a limit keeps only the first rows (top-k). The limit is an int8 expression including the offset.
    Sort {
        /// Input.
        input: Box<Physical>,
        /// Keys.
        keys: Vec<SortKey>,
        /// The rows come in the order of so many leading keys already: those that are equal in them are sorted by the others.
        presorted: usize,
        /// Only so many rows are needed.
        limit: Option<Expr>,
    },
    /// LIMIT/OFFSET.
    Limit {
        /// Input.
        input: Box<Physical>,
        /// LIMIT; NULL means all.
        limit: Option<Expr>,
        /// OFFSET.
        offset: Option<Expr>,
        /// WITH TIES: rows that are equal in these to the last one come too. Empty without it.
        ties: Vec<Expr>,
    },
    /// UNION ALL.
    Append(Vec<Physical>),
    /// UNION ALL of inputs that are in this order, which the rows keep.
    MergeAppend {
        /// Inputs.
        inputs: Vec<Physical>,
        /// The order, over the columns of each.
        keys: Vec<SortKey>,
    },
    /// INTERSECT/EXCEPT (ALL); UNION is Append + Distinct.
    Set {
        /// Operation.
        op: SetOp,
        /// ALL.
        all: bool,
        /// Left.
        left: Box<Physical>,
        /// Right.
        right: Box<Physical>,
    },
    /// See `Logical::Recursive`.
    Recursive {
        /// The common table expression that holds the rows added last.
        work: u32,
        /// UNION ALL.
        all: bool,
        /// The non-recursive term.
        left: Box<Physical>,
        /// The recursive term.
        right: Box<Physical>,
    },
    /// Reads common table expression number `n` of the statement.
    CteScan(u32),
    /// Locks rows; positions are of ctid columns in the input.
    LockRows {
        /// Input; shared with the operator, which runs it again for rows that changed.
        input: Arc<Physical>,
        /// The tables, by places in the input.
        tables: Vec<Locked>,
        /// Wait policy.
        wait: LockWait,
    },
    /// INSERT; yields RETURNING's columns.
    Insert(Box<Insert>),
    /// UPDATE.
    Update(Box<Update>),
    /// DELETE.
    Delete(Box<Delete>),
    /// MERGE.
    Merge(Box<Merge>),
}

/// Checks and maintenance that every changed row of a table needs.
#[derive(Clone, Debug)]
pub struct Target {
    /// The table.
    pub relation: Arc<Relation>,
    /// CHECK constraints: (name, expression over the table's columns in attribute order).
    pub checks: Vec<(String, Expr)>,
    /// Expressions of expression indexes and predicates of partial ones, by index position in `relation.indexes`:
    /// (key expressions in place of `None` for plain columns, predicate), over the table's columns.
    pub index_exprs: Vec<(Vec<Option<Expr>>, Option<Expr>)>,
    /// Stored generated columns: (attribute number, expression over the table's columns).
    pub generated: Vec<(Attnum, Expr)>,
    /// Conditions that new rows must fulfil to be seen through the views that they were written through: (view, expression
    /// over the table's columns).
    pub view_checks: Vec<(String, Expr)>,
    /// What row-level security asks of rows that come, over the table's columns; before anything else is checked.
    pub policies: Vec<PolicyCheck>,
    /// RETURNING, over the table's columns (for INSERT, UPDATE: new row; DELETE: old row), then the source's columns.
    pub returning: Option<Vec<Expr>>,
    /// System columns of the row among the source's columns that RETURNING sees: position there, attribute number. For
    /// INSERT and UPDATE they become those of the new row.
    pub system: Vec<(usize, Attnum)>,
    /// Columns that the statement gives values: errors may show them to whoever may not read the table.
    pub given: Vec<Attnum>,
}

/// See [`Node::Insert`].
#[derive(Clone, Debug)]
pub struct Insert {
    /// Where to.
    pub target: Target,
    /// Rows to insert: exactly the table's live columns, in attribute order, defaults and casts applied.
    pub source: Physical,
    /// ON CONFLICT.
    pub on_conflict: Option<OnConflict>,
}

/// ON CONFLICT.
#[derive(Clone, Debug)]
pub struct OnConflict {
    /// Arbiter indexes (positions in `relation.indexes`); empty: any unique index (DO NOTHING only).
    pub arbiters: Vec<usize>,
    /// What row-level security asks of the existing row, over the table's columns.
    pub existing: Vec<PolicyCheck>,
    /// The same of the row that DO UPDATE makes of it.
    pub updated: Vec<PolicyCheck>,
    /// DO UPDATE: (attribute number, expression over the existing row's columns then the excluded row's), WHERE.
    pub update: Option<(Vec<(Attnum, Expr)>, Option<Expr>)>,
}

/// See [`Node::Update`].
#[derive(Clone, Debug)]
pub struct Update {
    /// What.
    pub target: Target,
    /// Yields column 0: the row's ctid; then the table's live columns (old values) in attribute order; then columns of
    /// other FROM tables.
    pub source: Physical,
    /// New values: (attribute number, expression over the source's columns).
    pub assignments: Vec<(Attnum, Expr)>,
    /// The same where the row has become another version, of which the source's further columns do not tell; empty: they are the same.
    pub again: Vec<(Attnum, Expr)>,
    /// Re-checked against the newest version when a row was changed concurrently (READ COMMITTED): the WHERE clause over
    /// the source's columns. `None`: no condition.
    pub recheck: Option<Expr>,
}

/// See [`Node::Merge`].
#[derive(Clone, Debug)]
pub struct Merge {
    /// What.
    pub target: Target,
    /// The tables that inherit from it.
    pub heirs: Vec<Target>,
    /// Which column of the source tells the table that its row is of, where there are heirs.
    pub table: Option<usize>,
    /// As in [`Update`], with a NULL ctid for rows that match none of the table.
    pub source: Physical,
    /// ON over the source's columns: re-checked against the newest version of a row that was changed concurrently.
    pub on: Expr,
    /// WHEN clauses over the source's columns.
    pub clauses: Vec<crate::statement::MergeClause>,
}
pub use crate::statement::MergeAction;

/// See [`Node::Delete`].
#[derive(Clone, Debug)]
pub struct Delete {
    /// From where.
    pub target: Target,
    /// As in [`Update`].
    pub source: Physical,
    /// As in [`Update`].
    pub recheck: Option<Expr>,
}
