//! What a function, operator, cast or aggregate is.

use alloc::{boxed::Box, string::String, sync::Arc};
use core::any::Any;

use pg_types::{Batch, Oid, Result, SqlError, SqlType, Value, Vector};

/// Services of the session that functions may use. Implemented by the executor; tests use a small fixed one.
pub trait Host {
    /// Start of the current transaction, microseconds since 2000-01-01 UTC (`now()`).
    fn transaction_timestamp(&self) -> i64;
    /// Start of the current statement.
    fn statement_timestamp(&self) -> i64;
    /// This moment.
    fn clock_timestamp(&self) -> i64;
    /// How dates, intervals, floats and bytea are written and read: the session's settings.
    fn format(&self) -> &pg_types::format::FormatSettings;
    /// A setting's text, as `current_setting` shows it.
    fn setting(&self, name: &str) -> Option<String>;
    /// Random bytes.
    fn random(&self, buf: &mut [u8]);
    /// Calls a function whose implementation needs the catalog, sequences or the session
    /// ([`Implementation::Host`]), by its oid.
    fn call(&self, function: Oid, args: &[Value]) -> Result<Value>;
    /// The same for functions that yield rows and need the session.
    fn rows(&self, function: Oid, args: &[Value]) -> Result<Box<dyn SetReturning>>;
    /// The text of a value that only the catalogs can tell; `None`: it is written like any other.
    fn catalog_text(&self, _value: &Value, _ty: Oid) -> Result<Option<String>> {
        Ok(None)
    }
    /// Reads text of a type whose values only the catalogs know; `None`: it is read like any other.
    fn catalog_value(&self, _text: &str, _ty: SqlType) -> Result<Option<Value>> {
        Ok(None)
    }
    /// True when the statement was cancelled; long loops ask now and then.
    fn cancelled(&self) -> bool;
}

/// What a call gets besides its arguments.
#[derive(Clone, Copy)]
pub struct EvalContext<'a> {
    /// The session.
    pub host: &'a dyn Host,
}

/// The rows of a batch that an evaluation covers. Rows outside may hold anything and must not raise errors.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Length of the columns.
    pub count: usize,
    /// The rows to compute, ascending; `None`: all.
    pub selection: Option<&'a [u32]>,
}

/// A scalar function over single values. Strict functions never see NULL.
pub type RowFn = fn(&EvalContext<'_>, &[Value]) -> Result<Value>;

/// A scalar function over columns: result row i for every row in `rows`. NULL handling is the function's own (helpers
/// merge null bitmaps for strict ones).
pub type VectorFn = fn(&EvalContext<'_>, &[Arc<Vector>], Rows<'_>) -> Result<Vector>;

/// How a function is computed.
#[derive(Clone, Copy, Debug)]
pub enum Implementation {
    /// Value by value.
    Row(RowFn),
    /// Value by value, knowing the result type the binder chose (polymorphic results, typmod coercions).
    RowTyped(fn(&EvalContext<'_>, &[Value], SqlType) -> Result<Value>),
    /// Column by column, with a one-value version for constant folding and one-row batches.
    Vector(VectorFn, RowFn),
    /// By the session: [`Host::call`].
    Host,
    /// Yields rows.
    Set(SetFn),
    /// An aggregate: makes an accumulator for these argument types.
    Aggregate(AggregateFn),
    /// A window function (row_number, rank, lag, ...): known to the executor by oid.
    Window,
}

/// Starts a set-returning call.
pub type SetFn = fn(&EvalContext<'_>, &[Value]) -> Result<Box<dyn SetReturning>>;

/// Makes an accumulator.
pub type AggregateFn = fn(arguments: &[SqlType], result: SqlType) -> Result<Box<dyn Accumulator>>;

/// The rows of one set-returning call.
pub trait SetReturning: Send {
    /// The next batch of at most `BATCH_ROWS` rows; `None` at the end. One column per result column.
    fn next(&mut self, ctx: &EvalContext<'_>) -> Result<Option<Batch>>;
}

/// The running state of an aggregate for many groups at once.
pub trait Accumulator: Send {
    /// Makes room for groups `0..groups`, new ones in the initial state.
    fn resize(&mut self, groups: usize);
    /// Adds rows: row `i` of the arguments goes to group `groups[i]` (`groups` is as long as the columns; only rows in
    /// `rows` count).
    fn update(
        &mut self,
        ctx: &EvalContext<'_>,
        groups: &[u32],
        args: &[Arc<Vector>],
        rows: Rows<'_>,
    ) -> Result<()>;
    /// The result for one group. Called once for each group.
    fn finish(&mut self, ctx: &EvalContext<'_>, group: usize) -> Result<Value>;
    /// The result for one group so far; rows may still be added (window frames).
    fn peek(&mut self, ctx: &EvalContext<'_>, group: usize) -> Result<Value>;
    /// Approximate bytes held, for memory limits.
    fn memory(&self) -> usize;
    /// The states, for another accumulator of the same call to take them over; `None`: that cannot be done, because results depend
    /// on the order of rows.
    fn states(&self) -> Option<&dyn Any> {
        None
    }
    /// Takes over another accumulator's [`Accumulator::states`]: those of its group `i` go to group `groups[i]`.
    fn merge(&mut self, _states: &dyn Any, _groups: &[u32]) -> Result<()> {
        Err(SqlError::internal("states that cannot be put together"))
    }
}

/// `pg_proc.provolatile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatility {
    /// Same arguments, same result, for ever: may be folded at plan time.
    Immutable,
    /// Same within a statement.
    Stable,
    /// Anything.
    Volatile,
}

/// `pg_proc.prokind`, with set-returning functions told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// One value.
    Scalar,
    /// A set of rows.
    Set,
    /// An aggregate.
    Aggregate,
    /// A window function.
    Window,
}

/// One overload of a function.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// `pg_proc.oid`.
    pub oid: Oid,
    /// `pg_proc.proname`.
    pub name: &'static str,
    /// Argument types.
    pub args: &'static [Oid],
    /// Number of trailing arguments that have defaults (the implementation sees them filled by the binder from
    /// `default_values`).
    pub defaults: &'static [fn() -> Value],
    /// The last argument is VARIADIC: its element type; 0: not variadic. For VARIADIC "any" it is `oid::ANY`.
    pub variadic: Oid,
    /// This is the form of a VARIADIC "any" function that takes the array itself.
    pub gathered: bool,
    /// Result type; for several columns `oid::RECORD`.
    pub result: Oid,
    /// Column names and types of a multi-column result (OUT parameters).
    pub columns: &'static [(&'static str, Oid)],
    /// Scalar, set, aggregate, window.
    pub kind: FunctionKind,
    /// NULL in, NULL out.
    pub strict: bool,
    /// Volatility.
    pub volatility: Volatility,
    /// It is about the current graph.
    pub graph: bool,
    /// Calls carry the types of their arguments as one more argument, an array of oid: values do not know them.
    pub described: bool,
    /// Calls carry one more argument: names and types of the fields of the row that they make.
    pub shaped: bool,
    /// How to compute it.
    pub imp: Implementation,
}

/// Marks aggregates in the registry; the entry's `Function` carries the rest.
#[derive(Clone, Copy, Debug)]
pub struct Aggregate {
    /// The function.
    pub function: Oid,
    /// `n` normal, `o` ordered-set, `h` hypothetical-set (`pg_aggregate.aggkind`).
    pub kind: u8,
    /// Number of direct arguments of an ordered-set aggregate. Its accumulator gets them first, then the aggregated
    /// ones, whose rows arrive sorted as WITHIN GROUP says.
    pub direct_args: u16,
    /// `pg_aggregate.aggtranstype`.
    pub transition_type: Oid,
    /// The operator that makes the aggregate a question of order (min, max); 0: none.
    pub sort_operator: Oid,
}

/// One overload of an operator.
#[derive(Clone, Copy, Debug)]
pub struct Operator {
    /// `pg_operator.oid`.
    pub oid: Oid,
    /// `+`, `=`, `~~`, ...
    pub name: &'static str,
    /// Left type; 0 for a prefix operator.
    pub left: Oid,
    /// Right type.
    pub right: Oid,
    /// Result type.
    pub result: Oid,
    /// The function that computes it.
    pub function: Oid,
    /// `a op b` = `b commutator a`; 0: none.
    pub commutator: Oid,
    /// `not (a op b)` = `a negator b`; 0: none.
    pub negator: Oid,
    /// Equality fit for hashing.
    pub hashes: bool,
    /// Equality fit for merging.
    pub merges: bool,
}

/// When a cast applies by itself (`pg_cast.castcontext`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    /// In expressions.
    Implicit,
    /// When storing into a column.
    Assignment,
    /// Only when written.
    Explicit,
}

/// How a cast is computed (`pg_cast.castmethod`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CastMethod {
    /// By this function. Functions with further parameters get (value, typmod, is-explicit).
    Function(Oid),
    /// The value's variant is the same: nothing to do.
    Binary,
    /// Through text output and input.
    InOut,
}

/// A cast between two types.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    /// `pg_cast.oid`.
    pub oid: Oid,
    /// From.
    pub source: Oid,
    /// To.
    pub target: Oid,
    /// When.
    pub context: CastContext,
    /// How.
    pub method: CastMethod,
}

/// An operator class: how an access method orders or hashes a type (`pg_opclass`).
#[derive(Clone, Copy, Debug)]
pub struct OperatorClass {
    /// `pg_opclass.oid`.
    pub oid: Oid,
    /// `pg_opclass.opcname`.
    pub name: &'static str,
    /// Access method: [`BTREE`] or [`HASH`].
    pub method: Oid,
    /// `pg_opfamily.oid`.
    pub family: Oid,
    /// `pg_opfamily.opfname`.
    pub family_name: &'static str,
    /// The type it is for.
    pub input: Oid,
    /// Used when an index names none.
    pub default: bool,
    /// The stored type where it differs; 0: the input type.
    pub key: Oid,
}

/// An operator's place in a family (`pg_amop`).
#[derive(Clone, Copy, Debug)]
pub struct FamilyOperator {
    /// `pg_amop.oid`.
    pub oid: Oid,
    /// The family.
    pub family: Oid,
    /// Left type.
    pub left: Oid,
    /// Right type.
    pub right: Oid,
    /// For a B-tree 1 `<`, 2 `<=`, 3 `=`, 4 `>=`, 5 `>`; for hashing 1 `=`.
    pub strategy: u8,
    /// The operator.
    pub operator: Oid,
}

/// `pg_am.oid` of B-trees.
pub const BTREE: Oid = 403;
/// `pg_am.oid` of hash indexes.
pub const HASH: Oid = 405;
