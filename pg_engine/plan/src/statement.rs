//! Bound statements.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use pg_catalog::Relation;
use pg_types::{Oid, SqlError, SqlType};

use crate::{
    access::PolicyCheck,
    expr::{ColumnId, Expr},
    logical::{Column, Logical},
    physical::{Node, Physical},
};

pub use crate::utility::Utility;

/// A query or data change, bound.
#[derive(Clone, Debug)]
pub struct Query {
    /// The operator tree or change.
    pub body: Body,
    /// Result columns (empty: no result set).
    pub columns: Vec<Column>,
    /// Common table expressions referenced by `CteScan`, in order of evaluation.
    pub ctes: Vec<Cte>,
    /// Resolved types of the parameters `$1..`.
    pub params: Vec<SqlType>,
    /// Table and attribute number that each result column stems from; (0, 0): none.
    pub origins: Vec<(Oid, i16)>,
    /// Number of slots handed out; the planner takes further ones from here.
    pub slots: u32,
    /// Number of column ids handed out.
    pub column_ids: ColumnId,
    /// Oids of all relations named, for plan invalidation.
    pub relations: Vec<Oid>,
    /// The user may not do it: the error to be raised when it is about to run.
    pub denied: Option<Box<SqlError>>,
    /// False when literals were read under the session's settings or the clock ('now'::timestamptz): the plan must not
    /// be kept for the same text.
    pub cacheable: bool,
}

/// One WITH query.
#[derive(Clone, Debug)]
pub enum Cte {
    /// Read as far as its references read it.
    Rows(Logical),
    /// Done once and wholly, whoever reads its RETURNING.
    Change(Body),
}

/// What a query does.
#[derive(Clone, Debug)]
pub enum Body {
    /// SELECT, VALUES.
    Select(Logical),
    /// CALL: a procedure's one row, of which the client may see nothing.
    Call(Logical),
    /// INSERT.
    Insert(InsertBody),
    /// UPDATE.
    Update(UpdateBody),
    /// DELETE.
    Delete(DeleteBody),
    /// MERGE.
    Merge(MergeBody),
    /// UPDATE or DELETE of a table and of those that inherit from it, one after the other; RETURNING yields the same columns.
    Family(Vec<Body>),
}

/// The target of a change as bound. The table's columns (new row for INSERT, UPDATE) have these ids.
#[derive(Clone, Debug)]
pub struct TargetBody {
    /// The table.
    pub relation: Arc<Relation>,
    /// Ids of the table's live columns in attribute order.
    pub columns: Vec<ColumnId>,
    /// See `physical::Target`.
    pub checks: Vec<(String, Expr)>,
    /// See `physical::Target`.
    pub index_exprs: Vec<(Vec<Option<Expr>>, Option<Expr>)>,
    /// See `physical::Target`.
    pub generated: Vec<(i16, Expr)>,
    /// See `physical::Target`.
    pub view_checks: Vec<(String, Expr)>,
    /// See `physical::Target`.
    pub policies: Vec<PolicyCheck>,
    /// See `physical::Target`.
    pub returning: Option<Vec<Expr>>,
    /// Id of the table's ctid; those of the other system columns follow it. `None`: RETURNING cannot name them.
    pub system: Option<ColumnId>,
    /// See `physical::Target`.
    pub given: Vec<i16>,
}

/// System columns, in the order of their ids: attribute numbers from −1 down.
pub const SYSTEM_COLUMN_NAMES: [&str; SYSTEM_COLUMNS] = ["ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"];
/// How many there are.
pub const SYSTEM_COLUMNS: usize = 6;

/// INSERT.
#[derive(Clone, Debug)]
pub struct InsertBody {
    /// Where to.
    pub target: TargetBody,
    /// Yields the table's live columns in attribute order.
    pub source: Logical,
    /// (arbiter index positions, DO UPDATE: assignments and WHERE; ids of the excluded row's columns).
    pub on_conflict: Option<OnConflictBody>,
}

/// ON CONFLICT.
#[derive(Clone, Debug)]
pub struct OnConflictBody {
    /// Arbiter indexes (positions in `relation.indexes`); empty: any unique index (DO NOTHING only).
    pub arbiters: Vec<usize>,
    /// A conflict target without a constraint's name: of the arbiters, those with a predicate count only if this implies it.
    pub inferred: Option<Vec<Expr>>,
    /// Ids of the excluded row's columns.
    pub excluded: Vec<ColumnId>,
    /// See `physical::OnConflict`.
    pub existing: Vec<PolicyCheck>,
    /// See `physical::OnConflict`.
    pub updated: Vec<PolicyCheck>,
    /// See `physical::OnConflict`.
    pub update: Option<(Vec<(i16, Expr)>, Option<Expr>)>,
}

/// UPDATE. `source` yields ctid first, then the table's old columns, then others.
#[derive(Clone, Debug)]
pub struct UpdateBody {
    /// What.
    pub target: TargetBody,
    /// The rows.
    pub source: Logical,
    /// Assignments over the source's columns.
    pub assignments: Vec<(i16, Expr)>,
    /// The WHERE clause, for the re-check.
    pub recheck: Option<Expr>,
}

/// DELETE.
#[derive(Clone, Debug)]
pub struct DeleteBody {
    /// From where.
    pub target: TargetBody,
    /// The rows.
    pub source: Logical,
    /// The WHERE clause, for the re-check.
    pub recheck: Option<Expr>,
}

/// MERGE. `source` yields ctid first (NULL: the source's row matches none of the target), then the table's old columns, then the
/// source's.
#[derive(Clone, Debug)]
pub struct MergeBody {
    /// What.
    pub target: TargetBody,
    /// The tables that inherit from it; rows are inserted into none of them.
    pub heirs: Vec<TargetBody>,
    /// Tells which table a row of the source is of, where there are heirs.
    pub table: Option<ColumnId>,
    /// The rows.
    pub source: Logical,
    /// ON, for the re-check.
    pub on: Expr,
    /// WHEN clauses.
    pub clauses: Vec<MergeClause>,
}

/// WHEN [NOT] MATCHED [AND condition] THEN action.
#[derive(Clone, Debug)]
pub struct MergeClause {
    /// MATCHED.
    pub matched: bool,
    /// Over the source's columns.
    pub condition: Option<Expr>,
    /// What is done.
    pub action: MergeAction,
}

/// See [`MergeClause`].
#[derive(Clone, Debug)]
pub enum MergeAction {
    /// DO NOTHING.
    Nothing,
    /// DELETE.
    Delete,
    /// UPDATE: assignments over the source's columns.
    Update(Vec<(i16, Expr)>),
    /// INSERT: the table's live columns over the source's.
    Insert(Vec<Expr>),
}

/// A planned query, ready to run any number of times.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The tree.
    pub root: Physical,
    /// Names and types of the result columns; empty when there is no result set. The oid and attribute number of the
    /// table column a result column stems from (0 when none).
    pub columns: Vec<ResultColumn>,
    /// CTEs in order.
    pub ctes: Vec<Physical>,
    /// Parameter types.
    pub params: Vec<SqlType>,
    /// Number of slots used.
    pub slots: u32,
    /// See [`Query::denied`].
    pub denied: Option<Box<SqlError>>,
    /// Relations the plan depends on, with the version of the catalog it was made under.
    pub relations: Vec<Oid>,
    /// Reads only.
    pub read_only: bool,
    /// It changes or locks rows of other than temporary tables: a read-only transaction refuses it.
    pub lasting: bool,
    /// WITH queries that change data.
    pub changing_ctes: Vec<usize>,
    /// Kind of command for the completion tag.
    pub command: Command,
    /// See [`Query::cacheable`].
    pub cacheable: bool,
    /// No values of the parameters would make another plan a better one.
    pub suits_any_values: bool,
}

impl Planned {
    /// Does it tell nothing but how many rows of a table it has changed?
    pub fn counts_only(&self) -> bool {
        self.columns.is_empty()
            && matches!(self.root.node, Node::Insert(_) | Node::Update(_) | Node::Delete(_))
    }
}

/// One column of a result set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultColumn {
    /// Name.
    pub name: String,
    /// Type.
    pub ty: SqlType,
    /// Originating table, or 0.
    pub table: Oid,
    /// Originating attribute, or 0.
    pub attnum: i16,
}

/// For the command tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "command names")]
pub enum Command {
    Select,
    Insert,
    Update,
    Delete,
    Merge,
    Call,
}

/// A bound statement.
#[derive(Clone, Debug)]
pub enum Statement {
    /// A query or change.
    Query(Query),
    /// EXPLAIN of one.
    Explain(Query, ExplainOptions),
    /// Everything else.
    Utility(Box<Utility>),
}

/// EXPLAIN's options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExplainOptions {
    /// Runs the statement and shows actual rows and times.
    pub analyze: bool,
    /// Shows output columns.
    pub verbose: bool,
    /// Shows estimates (default true in the binder).
    pub costs: bool,
    /// Shows times with ANALYZE.
    pub timing: bool,
    /// Shows the summary lines.
    pub summary: bool,
    /// Shows pages used.
    pub buffers: bool,
    /// Shows what was logged.
    pub wal: bool,
    /// Shows settings of the planner that are not as they are by default.
    pub settings: bool,
    /// FORMAT.
    pub format: ExplainFormat,
}

/// How EXPLAIN shows plans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in the statement")]
pub enum ExplainFormat {
    #[default]
    Text,
    Json,
    Xml,
    Yaml,
}

/// Transaction control.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "statement names")]
pub enum Transaction {
    /// With the tag that it answers: BEGIN, or START TRANSACTION.
    Begin(Modes, &'static str),
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    Prepare(String),
    CommitPrepared(String),
    RollbackPrepared(String),
}

/// What BEGIN and SET TRANSACTION say of a transaction; `None`: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// ISOLATION LEVEL.
    pub isolation: Option<Isolation>,
    /// READ ONLY or READ WRITE.
    pub read_only: Option<bool>,
    /// DEFERRABLE or NOT DEFERRABLE.
    pub deferrable: Option<bool>,
}

/// Isolation levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "standard names")]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}
