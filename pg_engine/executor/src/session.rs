//! What a session provides to the statements it runs.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use pg_catalog::{CatalogReader, Relation};
use pg_plan::expr::Expr;
use pg_storage::{SessionLocks, Tid};
use pg_types::{Oid, Result, SqlError, Value, format::FormatSettings};
use platform::sync::Mutex;

use crate::temporary::Temporary;

/// A row of `pg_settings`.
#[derive(Clone, Debug)]
pub struct SettingRow {
    /// Name.
    pub name: String,
    /// Current value as text.
    pub setting: String,
    /// Unit (`ms`, `kB`), if any.
    pub unit: Option<String>,
    /// Group heading.
    pub category: String,
    /// What it does.
    pub short_desc: String,
    /// `internal`, `postmaster`, `sighup`, `superuser`, `user`.
    pub context: String,
    /// `bool`, `enum`, `integer`, `real`, `string`.
    pub vartype: String,
    /// `default`, `session`, ...
    pub source: String,
    /// Limits of numbers.
    pub min_val: Option<String>,
    /// See `min_val`.
    pub max_val: Option<String>,
    /// Values of an enum.
    pub enum_vals: Option<Vec<String>>,
    /// Built-in value.
    pub boot_val: Option<String>,
    /// Value RESET goes back to.
    pub reset_val: Option<String>,
}

/// A row of `pg_stat_activity`.
#[derive(Clone, Debug)]
pub struct ActivityRow {
    /// Backend number, as in BackendKeyData.
    pub pid: i32,
    /// Database's oid.
    pub database: Oid,
    /// Database's name.
    pub database_name: String,
    /// User's oid.
    pub user: Oid,
    /// User's name.
    pub user_name: String,
    /// application_name.
    pub application_name: String,
    /// Client's address as text, without port.
    pub client_addr: Option<String>,
    /// Client's port.
    pub client_port: Option<i32>,
    /// Microseconds since 2000-01-01 UTC.
    pub backend_start: i64,
    /// Start of the running transaction.
    pub xact_start: Option<i64>,
    /// Start of the last statement.
    pub query_start: Option<i64>,
    /// Last change of `state`.
    pub state_change: Option<i64>,
    /// `active`, `idle`, `idle in transaction`, ...
    pub state: String,
    /// Last statement.
    pub query: String,
    /// How the connection is encrypted.
    pub secured: Option<Arc<pg_tls::Secured>>,
}

/// A row of `pg_prepared_statements`.
#[derive(Clone, Debug)]
pub struct PreparedStatementRow {
    /// Name.
    pub name: String,
    /// Text as the client gave it.
    pub statement: String,
    /// When it was prepared.
    pub prepare_time: i64,
    /// Types of its parameters.
    pub parameter_types: Vec<Oid>,
    /// By PREPARE, not by the protocol.
    pub from_sql: bool,
    /// How often it was run by a plan for any values, and by plans for the values given.
    pub runs: (i64, i64),
}

/// What was done in a database since the server started.
#[derive(Clone, Debug, Default)]
pub struct DatabaseRow {
    /// Its oid.
    pub database: Oid,
    /// Sessions in it now.
    pub sessions_now: u64,
    /// Sessions there were, those of now included.
    pub sessions: u64,
    /// How long they lasted, together.
    pub session_micros: u64,
    /// Transactions that committed.
    pub committed: u64,
    /// Transactions that were rolled back.
    pub rolled_back: u64,
    /// Statements that ended because they waited for each other.
    pub deadlocks: u64,
    /// Since when, microseconds since 2000-01-01 UTC.
    pub since: i64,
}

/// What runs of a statement cost, for `pg_stat_statements`.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the view's columns")]
pub struct StatementRow {
    pub user: Oid,
    pub database: Oid,
    pub query: i64,
    pub text: Arc<str>,
    pub calls: u64,
    pub rows: u64,
    pub total_ms: f64,
    pub min_ms: f64,
    pub max_ms: f64,
    pub mean_ms: f64,
    pub deviation_ms: f64,
    pub usage: platform::tally::Tallies,
}

/// `pg_stat_statements_info`.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatementInfo {
    /// How often entries were evicted.
    pub evicted: u64,
    /// Since when, microseconds since 2000-01-01 UTC.
    pub since: i64,
}

/// A row of `pg_cursors`.
#[derive(Clone, Debug)]
pub struct CursorRow {
    /// Name.
    pub name: String,
    /// Text that declared it.
    pub statement: String,
    /// WITH HOLD.
    pub holdable: bool,
    /// BINARY.
    pub binary: bool,
    /// SCROLL.
    pub scrollable: bool,
    /// When it was declared.
    pub created: i64,
    /// Where it stands.
    pub place: CursorPlace,
}

/// Where a cursor stands, for WHERE CURRENT OF.
#[derive(Clone, Debug, Default)]
pub struct CursorPlace {
    /// It is a query's.
    pub select: bool,
    /// Its transaction is committed.
    pub kept: bool,
    /// Which tables' rows its rows are.
    pub marks: pg_plan::utility::CursorMarks,
    /// Table and place of the rows that the one it stands on is; `None`: it stands on none.
    pub row: Option<Vec<(Oid, Tid)>>,
}

/// What a session remembers about sequences.
#[derive(Debug, Default)]
pub struct SequenceMemory {
    /// (sequence's oid, its last value in this session).
    pub values: Vec<(Oid, i64)>,
    /// The sequence last used.
    pub last: Option<Oid>,
}

/// Implemented by the session cell.
pub trait Session {
    /// A setting's text, as SHOW prints it.
    fn setting(&self, name: &str) -> Option<String>;
    /// `set_config()`.
    fn set_setting(&self, name: &str, value: &str, local: bool) -> Result<()>;
    /// A setting's value as it would be kept, checked.
    fn checked_setting(&self, _name: &str, _values: &[String]) -> Result<String> {
        Err(SqlError::unsupported("settings of roles"))
    }
    /// Is there a setting of this name, or may there be?
    fn check_parameter(&self, _name: &str) -> Result<()> {
        Ok(())
    }
    /// Rows of `pg_settings`.
    fn settings(&self) -> Vec<SettingRow>;
    /// Rows of `pg_stat_activity`.
    fn activity(&self) -> Vec<ActivityRow>;
    /// What was done in each database since the server started.
    fn databases(&self) -> Vec<DatabaseRow> {
        Vec::new()
    }
    /// `pg_stat_statements`.
    fn statements(&self) -> (Vec<StatementRow>, StatementInfo) {
        (Vec::new(), StatementInfo::default())
    }
    /// `pg_stat_statements_reset`: of a user, in a database, one statement; 0: any.
    fn reset_statements(&self, _user: Oid, _database: Oid, _query: i64) {}
    /// Rows of `pg_prepared_statements`.
    fn prepared_statements(&self) -> Vec<PreparedStatementRow> {
        Vec::new()
    }
    /// Rows of `pg_cursors`.
    fn cursors(&self) -> Vec<CursorRow> {
        Vec::new()
    }
    /// Settings that text formats depend on.
    fn format(&self) -> &FormatSettings;
    /// What [`FormatSettings::types`] of [`Self::format`] asks.
    fn user_types(&self) -> Option<&crate::SessionTypes> {
        None
    }
    /// `search_path` as set, `"$user"` resolved, without the implied schemas.
    fn search_path(&self) -> Vec<String>;
    /// Current user.
    fn user(&self) -> Oid;
    /// The setting `row_security`.
    fn row_security(&self) -> bool {
        true
    }
    /// The setting `check_function_bodies`.
    fn checks_bodies(&self) -> bool {
        true
    }
    /// Session user.
    fn session_user(&self) -> Oid {
        self.user()
    }
    /// Its name.
    fn user_name(&self) -> String;
    /// Session user's name.
    fn session_user_name(&self) -> String;
    /// Database connected to.
    fn database(&self) -> String;
    /// This session's number (`pg_backend_pid()`).
    fn backend_pid(&self) -> i32;
    /// Client's address and port.
    fn client_address(&self) -> Option<(String, u16)>;
    /// The grammar's keywords, as `pg_get_keywords` shows them.
    fn keywords(&self) -> Vec<Vec<Value>>;
    /// Start of the statement, microseconds since 2000-01-01 UTC.
    fn statement_timestamp(&self) -> i64;
    /// When the server started.
    fn server_start(&self) -> i64;
    /// Raises the cancel flag of (or, with `terminate`, ends) another session; false: there is none with that number.
    fn signal_backend(&self, pid: i32, terminate: bool) -> bool;
    /// Keeps everyone out of a database until the transaction ends, for copying or dropping it; `force` ends their sessions.
    /// Gives how many other sessions are in it and did not leave in time: 0 if it is claimed.
    fn claim_database(&self, _database: Oid, _force: bool) -> usize {
        0
    }
    /// The statement was cancelled or timed out: the error to raise.
    fn interrupted(&self) -> Option<SqlError>;
    /// Sends a NOTICE, WARNING, ... The state's class says which; `severity` is the word.
    fn notice(&self, severity: &'static str, report: SqlError);
    /// Memory of `currval` and `lastval`.
    fn sequences(&self) -> &Mutex<SequenceMemory>;
    /// Memory of temporary relations.
    fn temporary(&self) -> &Temporary;
    /// A number for the schema of this session's temporary relations that no other session has.
    fn take_temporary_number(&self) -> u32;
    /// Queues a notification for the commit (`pg_notify`).
    fn notify(&self, _channel: &str, _payload: &str) -> Result<()> {
        Err(SqlError::unsupported("NOTIFY"))
    }
    /// The channels that are listened to.
    fn listening(&self) -> Vec<String> {
        Vec::new()
    }
    /// Locks that outlast transactions.
    fn session_locks(&self) -> &Mutex<SessionLocks>;
    /// Binds an expression stored as canonical SQL text (defaults, CHECKs, index keys and predicates, generated columns).
    /// `Column(i)` in the result is attribute number `i + 1` of `relation`.
    fn bind_value(
        &self,
        catalog: &dyn CatalogReader,
        relation: &Relation,
        text: &str,
        ty: pg_types::SqlType,
    ) -> Result<Expr>;
    /// Binds an expression that a catalog keeps as text, over a relation's columns.
    fn bind_expression(&self, catalog: &dyn CatalogReader, relation: &Relation, text: &str) -> Result<Expr>;
    /// Which columns of a view can be assigned to; `None`: its rows cannot be changed.
    fn changeable_columns(&self, _catalog: &dyn CatalogReader, _view: &Arc<Relation>) -> Option<Vec<bool>> {
        None
    }
    /// Binds a view's text, so that it can be written anew.
    fn stored_query(&self, _catalog: &dyn CatalogReader, _text: &str) -> Result<Box<dyn StoredQuery>> {
        Err(SqlError::unsupported("reading the text of a view"))
    }
    /// Binds a stored expression over a relation's columns, so that it can be written anew.
    fn stored_condition(
        &self,
        _catalog: &dyn CatalogReader,
        _relation: &Relation,
        _text: &str,
    ) -> Result<Box<dyn StoredCondition>> {
        Err(SqlError::unsupported("reading the text of an expression"))
    }
    /// Plans a bound query (CREATE TABLE AS).
    fn plan_bound(
        &self,
        _catalog: &dyn CatalogReader,
        _query: pg_plan::statement::Query,
    ) -> Result<Arc<pg_plan::statement::Planned>> {
        Err(SqlError::unsupported("CREATE TABLE AS"))
    }
    /// Binds and plans a routine's body for calls of these types. `shared`: the version of the catalogs, if the transaction
    /// sees those that everyone does.
    fn plan_body(
        &self,
        _catalog: &dyn CatalogReader,
        _target: &Arc<pg_plan::routine::Resolved>,
        _shared: Option<u64>,
    ) -> Result<Arc<pg_plan::routine::PlannedBody>> {
        Err(SqlError::unsupported("a function of a user"))
    }
    /// Looks at the body of a routine that was just made.
    fn check_body(&self, _catalog: &dyn CatalogReader, _routine: &Arc<pg_catalog::Routine>) -> Result<()> {
        Ok(())
    }
    /// What follows is done by a routine: in its owner's name and with its settings, if it says so. 54001 when routines
    /// call each other too deeply. [`Self::leave_routine`] must follow unless this fails.
    fn enter_routine(&self, _routine: &pg_catalog::Routine) -> Result<()> {
        Ok(())
    }
    /// What follows is done in the name of a role: functions of an index are not to have the rights of who tends its table.
    /// [`Self::leave_routine`] must follow.
    fn enter_owner(&self, _role: Oid) {}
    /// The routine entered last is left, or the role.
    fn leave_routine(&self) {}
    /// Text of a routine's body in the standard's form as it is shown.
    fn body_text(
        &self,
        _catalog: &dyn CatalogReader,
        _routine: &pg_catalog::Routine,
    ) -> Result<Option<String>> {
        Ok(None)
    }
    /// The SCRAM-SHA-256 verifier of a password, as `pg_authid.rolpassword` stores it.
    fn password_verifier(&self, _password: &str) -> Result<String> {
        Err(SqlError::unsupported("PASSWORD"))
    }
    /// Binds and plans a query text (a view's, or CREATE TABLE AS's when run by the executor).
    fn plan_query(&self, catalog: &dyn CatalogReader, text: &str)
    -> Result<Arc<pg_plan::statement::Planned>>;
    /// Bytes of memory one statement may use.
    fn memory_limit(&self) -> usize {
        256 << 20
    }
    /// Bytes that an operator may hold before it puts rows aside on disk: one that sorts or keeps rows (`work_mem`), and one that
    /// hashes (times `hash_mem_multiplier`).
    fn work_memory(&self) -> (usize, usize) {
        (64 << 20, 128 << 20)
    }
    /// Resolves a parameter that was left to the session (none today).
    fn parameter(&self, _number: u32) -> Option<Value> {
        None
    }
}

/// A view's query: bound once, it can be written with the names that things have later.
pub trait StoredQuery {
    /// As it is stored: the text means the same whatever the search path is. `names` are those of the result's columns.
    fn stored(&self, catalog: &dyn CatalogReader, names: &[String]) -> Result<String>;
    /// As it is shown to this session, laid out; `wrap`: length of lines of the select list.
    fn shown(&self, catalog: &dyn CatalogReader, names: &[String], pretty: bool, wrap: i32)
    -> Result<String>;
}

/// An expression over one relation's columns: bound once, it can be written with the names that things have later.
pub trait StoredCondition {
    /// As it is stored: the text means the same whatever the search path is.
    fn stored(&self, catalog: &dyn CatalogReader) -> Result<String>;
    /// Relations that it names, and columns of these.
    fn reads(&self, catalog: &dyn CatalogReader) -> Result<(Vec<Oid>, Vec<(Oid, i16)>)>;
    /// As it is shown to this session; `pretty`: without parentheses that are not needed.
    fn shown(&self, catalog: &dyn CatalogReader, pretty: bool) -> Result<String>;
}
