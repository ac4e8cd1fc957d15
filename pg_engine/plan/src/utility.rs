//! Statements that are not planned: one struct a statement, names and types resolved as far as they can be before the
//! statement runs. Expressions that end up in the catalogs are canonical SQL text, type-checked by the binder.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use pg_catalog::Relation;
use pg_encoding::Encoding;
use pg_types::{Oid, SqlError, SqlState, SqlType};

use crate::{
    access,
    expr::Expr,
    statement::{ExplainOptions, Query, Transaction},
};

/// Which triggers of a table are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TriggerSet {
    /// ALL, those of constraints too.
    All,
    /// USER: those that users made.
    User,
    /// One.
    Named(String),
}

/// A possibly qualified name of an object that may not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectName {
    /// Schema, if written.
    pub schema: Option<String>,
    /// Name.
    pub name: String,
}

/// Every utility statement.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "statement names; see the structs")]
pub enum Utility {
    Transaction(Transaction),
    /// SET TRANSACTION, SET SESSION CHARACTERISTICS (true).
    SetTransaction {
        session: bool,
        modes: crate::statement::Modes,
    },
    Set(Set),
    /// `None`: SHOW ALL.
    Show(Option<String>),
    /// `None`: RESET ALL.
    Reset(Option<String>),
    CreateTable(CreateTable),
    CreateTableAs(CreateTableAs),
    /// CREATE TABLE AS EXECUTE: the session makes it a CREATE TABLE AS of the prepared query.
    CreateTableAsExecute(Execute),
    CreateIndex(CreateIndex),
    CreateSequence(CreateSequence),
    CreateSchema(CreateSchema),
    CreateView(CreateView),
    CreateMaterializedView(Box<CreateMaterializedView>),
    Refresh(Refresh),
    CreateRole(RoleStatement),
    AlterRole(RoleStatement),
    DropRole {
        names: Vec<access::RoleName>,
        if_exists: bool,
    },
    AlterTable(AlterTable),
    AlterSequence(AlterSequence),
    Type(alloc::boxed::Box<crate::types::TypeStatement>),
    Routine(crate::routine::RoutineStatement),
    Definition(alloc::boxed::Box<crate::definition::Definition>),
    Rename(Rename),
    Drop(Drop),
    Truncate(Truncate),
    Comment(Comment),
    Copy(Copy),
    Vacuum(Vacuum),
    Analyze(Vec<VacuumTarget>),
    Lock(Lock),
    SetConstraints(SetConstraints),
    Grant(access::Grant),
    GrantRoles(access::GrantRoles),
    DefaultPrivileges(access::DefaultPrivileges),
    ReassignOwned(access::ReassignOwned),
    DropOwned(access::DropOwned),
    CreatePolicy(access::CreatePolicy),
    AlterPolicy(access::AlterPolicy),
    RenamePolicy(access::RenamePolicy),
    Extension(crate::extension::ExtensionStatement),
    DropPolicy(access::DropPolicy),
    RoleSetting(access::RoleSetting),
    SetRole(access::SetRole),
    Database(crate::database::DatabaseStatement),
    /// ALTER SCHEMA ... OWNER TO.
    AlterSchemaOwner {
        /// The schema.
        name: String,
        /// The role.
        owner: access::RoleName,
    },
    /// CLUSTER of a table, by an index if one is named, or of all tables that were clustered before.
    Cluster(Option<(Arc<Relation>, Option<String>)>),
    /// REINDEX of a table's indexes or of one index.
    /// REINDEX SCHEMA, or of the tables of a database that users made.
    ReindexAll {
        name: String,
        database: bool,
        /// VERBOSE.
        verbose: bool,
    },
    Reindex {
        /// The table or index.
        relation: Arc<Relation>,
        /// CONCURRENTLY.
        concurrently: bool,
        /// VERBOSE.
        verbose: bool,
    },
    Checkpoint,
    Prepare(Prepare),
    Execute(Execute),
    /// EXPLAIN EXECUTE.
    ExplainExecute(Execute, ExplainOptions),
    /// `None`: ALL.
    Deallocate(Option<String>),
    Listen(String),
    /// `None`: all channels.
    Unlisten(Option<String>),
    Notify {
        channel: String,
        payload: String,
    },
    Discard(Discard),
    Declare(Declare),
    Fetch(Fetch),
    /// `None`: ALL.
    Close(Option<String>),
}

/// SET name = value. `values` empty: TO DEFAULT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The setting, lower case.
    pub name: String,
    /// Values as written, unquoted; most settings take one.
    pub values: Vec<String>,
    /// SET LOCAL.
    pub local: bool,
}

/// A column as CREATE TABLE and ADD COLUMN define it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDef {
    /// Name.
    pub name: String,
    /// Type.
    pub ty: SqlType,
    /// NOT NULL, also implied by PRIMARY KEY, serial and identity.
    pub not_null: bool,
    /// DEFAULT (or the generation expression) as canonical text.
    pub default: Option<String>,
    /// `s`: GENERATED ALWAYS AS (...) STORED; 0: not generated.
    pub generated: u8,
    /// A sequence to be created and owned by the column.
    pub sequence: Option<OwnedSequence>,
    /// Collation.
    pub collation: Oid,
    /// `attcompression`: `l` LZ4, 0 the default.
    pub compression: u8,
}

/// A serial or identity column's sequence. The executor picks its name (`table_column_seq`) and, for serial, makes the
/// default `nextval('...'::regclass)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedSequence {
    /// `a` GENERATED ALWAYS, `d` BY DEFAULT AS IDENTITY, 0 serial.
    pub identity: u8,
    /// Its options.
    pub options: SequenceOptions,
}

/// What CREATE and ALTER SEQUENCE may say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SequenceOptions {
    /// SEQUENCE NAME, of an identity column's sequence.
    pub name: Option<ObjectName>,
    /// AS type.
    pub ty: Option<Oid>,
    /// INCREMENT.
    pub increment: Option<i64>,
    /// MINVALUE; `Some(None)`: NO MINVALUE.
    pub min: Option<Option<i64>>,
    /// MAXVALUE.
    pub max: Option<Option<i64>>,
    /// START.
    pub start: Option<i64>,
    /// RESTART; `Some(None)`: with the start value.
    pub restart: Option<Option<i64>>,
    /// CACHE.
    pub cache: Option<i64>,
    /// CYCLE.
    pub cycle: Option<bool>,
    /// OWNED BY (table, column); `Some(None)`: NONE.
    pub owned_by: Option<Option<(ObjectName, String)>>,
}

/// A constraint to be made. Without a name the executor picks PostgreSQL's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConstraintDef {
    /// Name, if given.
    pub name: Option<String>,
    /// What it demands.
    pub kind: ConstraintDefKind,
}

/// See [`ConstraintDef`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConstraintDefKind {
    /// CHECK.
    Check {
        /// Canonical text.
        expression: String,
        /// Columns used, for the constraint's name and `conkey`.
        columns: Vec<String>,
        /// NOT VALID: rows that are there already are not looked at.
        not_valid: bool,
        /// NO INHERIT.
        no_inherit: bool,
    },
    /// PRIMARY KEY (true) or UNIQUE on columns.
    Index {
        /// PRIMARY KEY.
        primary: bool,
        /// Key columns.
        columns: Vec<String>,
        /// INCLUDE.
        include: Vec<String>,
        /// WITH (fillfactor = n).
        fillfactor: Option<i32>,
        /// NULLS NOT DISTINCT.
        nulls_not_distinct: bool,
        /// USING INDEX: adopt this index.
        using_index: Option<String>,
        /// DEFERRABLE.
        deferrable: bool,
        /// INITIALLY DEFERRED.
        deferred: bool,
    },
    /// FOREIGN KEY.
    Foreign(ForeignKeyDef),
}

/// FOREIGN KEY ... REFERENCES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKeyDef {
    /// The referencing columns.
    pub columns: Vec<String>,
    /// The referenced table, which may be the one being made.
    pub referenced: ObjectName,
    /// Position of its name in the statement.
    pub referenced_at: u32,
    /// The referenced columns; empty: the primary key's.
    pub referenced_columns: Vec<String>,
    /// MATCH FULL.
    pub full: bool,
    /// ON UPDATE, as `pg_constraint.confupdtype` has it.
    pub on_update: u8,
    /// ON DELETE.
    pub on_delete: u8,
    /// The columns that ON DELETE SET NULL or SET DEFAULT changes; empty: all.
    pub delete_columns: Vec<String>,
    /// DEFERRABLE.
    pub deferrable: bool,
    /// INITIALLY DEFERRED.
    pub deferred: bool,
    /// NOT VALID: rows that are there already are not looked at.
    pub not_valid: bool,
}

/// SET CONSTRAINTS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetConstraints {
    /// Names; `None`: ALL.
    pub names: Option<Vec<ObjectName>>,
    /// DEFERRED.
    pub deferred: bool,
}

/// CREATE TABLE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTable {
    /// Name.
    pub name: ObjectName,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Columns.
    pub columns: Vec<ColumnDef>,
    /// Table and column constraints in order.
    pub constraints: Vec<ConstraintDef>,
    /// WITH (...): names and values.
    pub options: Vec<(String, String)>,
    /// UNLOGGED.
    pub unlogged: bool,
    /// ON COMMIT, of a temporary table.
    pub on_commit: OnCommit,
    /// LIKE: what else is taken over from other relations once the table is there.
    pub likes: Vec<Like>,
    /// INHERITS.
    pub inherits: Option<Inherits>,
    /// OF this composite type; 0: of none.
    pub of: Oid,
}

/// What a new table has of its parents. Its columns and constraints are among the table's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inherits {
    /// `pg_class.oid` of the parents, in order.
    pub parents: Vec<Oid>,
    /// Inherited columns: name, from how many parents, and whether the table defines it, too.
    pub columns: Vec<(String, i32, bool)>,
    /// CHECK constraints, likewise.
    pub checks: Vec<(String, i32, bool)>,
    /// Columns for which parents have different defaults.
    pub conflicting: Vec<String>,
    /// What the user is told; true: a column was moved.
    pub notices: Vec<(String, bool)>,
}

/// What the user is told of a new table's columns, see [`Inherits::notices`].
pub fn inheritance_notice((text, moved): &(String, bool)) -> SqlError {
    let notice = SqlError::new(SqlState::SUCCESSFUL_COMPLETION, text.clone());
    if *moved {
        return notice.detail("User-specified column moved to the position of the inherited column.");
    }
    notice
}

/// A parent that ALTER TABLE ... [NO] INHERIT names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// `pg_class.oid`.
    pub oid: Oid,
    /// Name.
    pub name: String,
}

/// LIKE relation INCLUDING ..., as far as columns and constraints do not say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Like {
    /// `pg_class.oid` of the relation.
    pub relation: Oid,
    /// What is included.
    pub parts: LikeParts,
}

/// See [`Like`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words")]
pub struct LikeParts {
    pub comments: bool,
    pub compression: bool,
    pub constraints: bool,
    pub defaults: bool,
    pub generated: bool,
    pub identity: bool,
    pub indexes: bool,
    pub statistics: bool,
    pub storage: bool,
}

/// What happens to a temporary table when a transaction commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCommit {
    /// Nothing.
    #[default]
    Preserve,
    /// Its rows are deleted.
    Delete,
    /// It is dropped.
    Drop,
}

/// CREATE TABLE AS, SELECT INTO.
#[derive(Clone, Debug)]
pub struct CreateTableAs {
    /// Name.
    pub name: ObjectName,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// The table's columns: names and types.
    pub columns: Vec<ColumnDef>,
    /// The rows.
    pub query: Query,
    /// WITH NO DATA: false.
    pub with_data: bool,
    /// WITH (...): names and values.
    pub options: Vec<(String, String)>,
    /// UNLOGGED.
    pub unlogged: bool,
    /// ON COMMIT, of a temporary table.
    pub on_commit: OnCommit,
}

/// CREATE INDEX.
#[derive(Clone, Debug)]
pub struct CreateIndex {
    /// Name; without one the executor picks PostgreSQL's.
    pub name: Option<String>,
    /// The table.
    pub relation: Arc<Relation>,
    /// USING.
    pub method: pg_catalog::IndexMethod,
    /// UNIQUE.
    pub unique: bool,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// CONCURRENTLY: in transactions of its own, writers going on.
    pub concurrently: bool,
    /// Key columns, then INCLUDEd ones.
    pub keys: Vec<pg_catalog::desc::IndexKey>,
    /// Number of key columns.
    pub key_count: usize,
    /// WHERE, canonical text.
    pub predicate: Option<String>,
    /// NULLS NOT DISTINCT.
    pub nulls_not_distinct: bool,
    /// WITH (fillfactor = n).
    pub fillfactor: Option<i32>,
}

/// CREATE SEQUENCE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateSequence {
    /// Name.
    pub name: ObjectName,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Options.
    pub options: SequenceOptions,
}

/// ALTER SEQUENCE.
#[derive(Clone, Debug)]
pub struct AlterSequence {
    /// Name.
    pub name: ObjectName,
    /// IF EXISTS.
    pub if_exists: bool,
    /// Options.
    pub options: SequenceOptions,
}

/// CREATE SCHEMA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateSchema {
    /// Name.
    pub name: String,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// AUTHORIZATION.
    pub owner: Option<access::RoleName>,
    /// Texts of the statements that make what is in it; the session runs them.
    pub elements: Vec<String>,
}

/// CREATE VIEW.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateView {
    /// Name.
    pub name: ObjectName,
    /// OR REPLACE.
    pub or_replace: bool,
    /// The view's columns.
    pub columns: Vec<ColumnDef>,
    /// The query.
    pub query: KeptQuery,
    /// `pg_class.reloptions`: names and values.
    pub options: Vec<(String, String)>,
}

/// A view's query as the catalogs keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptQuery {
    /// Canonical text: every name qualified.
    pub text: String,
    /// Relations that it names.
    pub relations: Vec<Oid>,
    /// Columns of these that it names: relation and attribute number.
    pub reads: Vec<(Oid, i16)>,
}

/// CREATE MATERIALIZED VIEW.
#[derive(Clone, Debug)]
pub struct CreateMaterializedView {
    /// What is stored.
    pub table: CreateTableAs,
    /// Where it comes from.
    pub query: KeptQuery,
}

/// REFRESH MATERIALIZED VIEW.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// The view.
    pub relation: Arc<Relation>,
    /// CONCURRENTLY: readers go on, rows that stay are not touched.
    pub concurrently: bool,
    /// WITH NO DATA: false.
    pub with_data: bool,
}

/// CREATE and ALTER ROLE / USER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleStatement {
    /// Name.
    pub name: String,
    /// PASSWORD; `Some(None)`: NULL.
    pub password: Option<Option<String>>,
    /// LOGIN.
    pub login: Option<bool>,
    /// SUPERUSER.
    pub superuser: Option<bool>,
    /// CREATEDB.
    pub createdb: Option<bool>,
    /// CREATEROLE.
    pub createrole: Option<bool>,
    /// INHERIT.
    pub inherit: Option<bool>,
    /// REPLICATION.
    pub replication: Option<bool>,
    /// BYPASSRLS.
    pub bypassrls: Option<bool>,
    /// CONNECTION LIMIT.
    pub connection_limit: Option<i32>,
    /// VALID UNTIL.
    pub valid_until: Option<String>,
    /// IN ROLE.
    pub in_roles: Vec<access::RoleName>,
    /// ROLE, USER.
    pub members: Vec<access::RoleName>,
    /// ADMIN.
    pub admins: Vec<access::RoleName>,
    /// ALTER ROLE: who, if not by a plain name.
    pub who: Option<access::RoleName>,
}

/// ALTER TABLE.
#[derive(Clone, Debug)]
pub struct AlterTable {
    /// What the statement is called: ALTER TABLE, ALTER VIEW, ...
    pub tag: &'static str,
    /// The table; `None`: does not exist and IF EXISTS was given.
    pub relation: Option<Arc<Relation>>,
    /// Name as written.
    pub name: ObjectName,
    /// ONLY: not on what inherits from it.
    pub only: bool,
    /// What to do, in order.
    pub actions: Vec<AlterAction>,
}

/// One action of ALTER TABLE.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in SQL")]
pub enum AlterAction {
    AddColumn {
        column: ColumnDef,
        constraints: Vec<ConstraintDef>,
        if_not_exists: bool,
    },
    DropColumn {
        name: String,
        if_exists: bool,
        cascade: bool,
    },
    AddConstraint(ConstraintDef),
    Inherit(Parent),
    NoInherit(Parent),
    /// OF a composite type.
    Of(Oid),
    NotOf,
    DropConstraint {
        name: String,
        if_exists: bool,
        cascade: bool,
    },
    SetDefault {
        column: String,
        default: String,
    },
    DropDefault {
        column: String,
    },
    SetNotNull {
        column: String,
    },
    DropNotNull {
        column: String,
    },
    /// `using`: canonical text of the new value over the old row.
    SetType {
        column: String,
        ty: SqlType,
        collation: Oid,
        using: String,
    },
    AddIdentity {
        column: String,
        sequence: OwnedSequence,
    },
    DropIdentity {
        column: String,
        if_exists: bool,
    },
    /// SET GENERATED (`attidentity`'s letter), SET and RESTART of the sequence.
    SetIdentity {
        column: String,
        identity: Option<u8>,
        options: SequenceOptions,
    },
    DropExpression {
        column: String,
        if_exists: bool,
    },
    ValidateConstraint(String),
    /// ALTER CONSTRAINT of a foreign key.
    AlterConstraint {
        name: String,
        deferrable: bool,
        deferred: bool,
    },
    /// REPLICA IDENTITY: `relreplident`'s letter, and the index of USING INDEX.
    ReplicaIdentity(u8, Option<String>),
    /// CLUSTER ON an index, or SET WITHOUT CLUSTER.
    ClusterOn(Option<String>),
    Owner(access::RoleName),
    /// ENABLE, DISABLE ROW LEVEL SECURITY.
    RowSecurity(bool),
    /// FORCE, NO FORCE ROW LEVEL SECURITY.
    ForceRowSecurity(bool),
    /// `attstorage`'s letter.
    SetStorage {
        column: String,
        storage: u8,
    },
    /// `attcompression`'s letter.
    /// SET STATISTICS.
    SetStatistics {
        column: String,
        target: i32,
    },
    /// SET STATISTICS of an index's column, by number.
    SetKeyStatistics {
        number: i64,
        target: i32,
    },
    /// SET (n_distinct = ...), or RESET, whose options have no value.
    SetColumnOptions {
        column: String,
        options: Vec<(String, Option<String>)>,
    },
    /// ENABLE or DISABLE TRIGGER.
    Trigger {
        which: TriggerSet,
        enable: bool,
    },
    /// SET LOGGED, SET UNLOGGED.
    SetLogged(bool),
    SetCompression {
        column: String,
        compression: u8,
    },
    SetOptions(Vec<(String, String)>),
    ResetOptions(Vec<String>),
    SetSchema(String),
}

/// Kinds of object that DROP, RENAME and COMMENT name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in SQL")]
pub enum ObjectKind {
    Table,
    Index,
    Sequence,
    View,
    MaterializedView,
    Schema,
    Column,
    Constraint,
    Database,
    Role,
    Type,
    Domain,
    Extension,
    /// One that a catalog knows by name.
    Named(&'static Named),
    /// A named part of a relation: policy, rule, trigger.
    PartOf(&'static Named),
    /// Operator class or family: of an access method.
    OfMethod(&'static Named),
}

/// A catalog whose rows are found by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    /// Oid of the catalog.
    pub catalog: pg_types::Oid,
    /// What its columns' names begin with.
    pub prefix: &'static str,
    /// Column of the name, unless it is the prefix with `name`.
    pub name: &'static str,
    /// Column of what it is a part of.
    pub of: &'static str,
    /// As messages name it.
    pub word: &'static str,
}

impl Named {
    /// One with the usual names of columns.
    pub const fn new(catalog: pg_types::Oid, prefix: &'static str, word: &'static str) -> Self {
        Self { catalog, prefix, name: "", of: "", word }
    }
    /// The column of the name.
    pub fn column(&self) -> String {
        if self.name.is_empty() { alloc::format!("{}name", self.prefix) } else { self.name.into() }
    }
}

/// ALTER ... RENAME.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// Kind of the renamed object.
    pub kind: ObjectKind,
    /// The relation (or schema).
    pub name: ObjectName,
    /// IF EXISTS.
    pub if_exists: bool,
    /// The column or constraint, for these kinds.
    pub part: Option<String>,
    /// New name.
    pub new_name: String,
    /// What the statement is called: ALTER TABLE, ALTER ROLE, ...
    pub tag: &'static str,
}

/// DROP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drop {
    /// Kind.
    pub kind: ObjectKind,
    /// Names.
    pub names: Vec<ObjectName>,
    /// IF EXISTS.
    pub if_exists: bool,
    /// CASCADE.
    pub cascade: bool,
    /// DROP INDEX CONCURRENTLY.
    pub concurrently: bool,
}

/// TRUNCATE.
#[derive(Clone, Debug)]
pub struct Truncate {
    /// Tables.
    pub relations: Vec<Arc<Relation>>,
    /// RESTART IDENTITY.
    pub restart_identity: bool,
    /// CASCADE.
    pub cascade: bool,
}

/// COMMENT ON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Kind.
    pub kind: ObjectKind,
    /// The relation, schema, ...
    pub name: ObjectName,
    /// The column or constraint.
    pub part: Option<String>,
    /// Text; `None` removes it.
    pub text: Option<String>,
}

/// COPY.
#[derive(Clone, Debug)]
pub struct Copy {
    /// What is copied.
    pub target: CopyTarget,
    /// FROM STDIN (true) or TO STDOUT.
    pub from: bool,
    /// Options.
    pub options: CopyOptions,
}

/// See [`Copy`].
#[derive(Clone, Debug)]
pub enum CopyTarget {
    /// Into a table: an INSERT whose source is [`crate::logical::Logical::Values`] without rows; the executor feeds it
    /// batches of `columns` (attribute numbers, in the order of the input).
    From {
        /// The table.
        relation: Arc<Relation>,
        /// Columns in input order.
        columns: Vec<i16>,
        /// Defaults of the live columns that are not in `columns`: (attribute number, expression without columns).
        defaults: Vec<(i16, Expr)>,
        /// WHERE over the table's live columns in attribute order (`Column(i)` is the i-th live column).
        filter: Option<Expr>,
        /// The checks and index expressions of the table, over its live columns in attribute order.
        target: crate::statement::TargetBody,
    },
    /// From a query (a table is bound to a SELECT of its columns).
    To(Query),
}

/// COPY's format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in SQL")]
pub enum CopyFormat {
    #[default]
    Text,
    Csv,
    Binary,
}

/// COPY's options; `None`: the format's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// FORMAT.
    pub format: CopyFormat,
    /// DELIMITER.
    pub delimiter: Option<u8>,
    /// NULL.
    pub null: Option<String>,
    /// HEADER.
    pub header: bool,
    /// HEADER MATCH.
    pub header_match: bool,
    /// QUOTE.
    pub quote: Option<u8>,
    /// ESCAPE.
    pub escape: Option<u8>,
    /// FORCE_QUOTE columns (result positions); `Some` of all for `*`.
    pub force_quote: Vec<u32>,
    /// FORCE_NOT_NULL columns (input positions).
    pub force_not_null: Vec<u32>,
    /// FORCE_NULL columns (input positions).
    pub force_null: Vec<u32>,
    /// ENCODING of the file; `None`: the client's.
    pub encoding: Option<Encoding>,
    /// FREEZE: only rows' visibility differs in PostgreSQL; accepted where PostgreSQL accepts it.
    pub freeze: bool,
}

/// A table of VACUUM or ANALYZE, with columns to analyse (empty: all).
#[derive(Clone, Debug)]
pub struct VacuumTarget {
    /// The table.
    pub relation: Arc<Relation>,
    /// Columns.
    pub columns: Vec<i16>,
}

/// VACUUM. No targets: all tables.
#[derive(Clone, Debug, Default)]
pub struct Vacuum {
    /// Tables.
    pub targets: Vec<VacuumTarget>,
    /// ANALYZE too.
    pub analyze: bool,
    /// FULL.
    pub full: bool,
    /// FREEZE.
    pub freeze: bool,
    /// VERBOSE.
    pub verbose: bool,
}

/// LOCK TABLE.
#[derive(Clone, Debug)]
pub struct Lock {
    /// Tables.
    pub relations: Vec<Arc<Relation>>,
    /// 1 ACCESS SHARE to 8 ACCESS EXCLUSIVE.
    pub mode: u8,
    /// NOWAIT.
    pub nowait: bool,
}

/// PREPARE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepare {
    /// Name.
    pub name: String,
    /// Declared parameter types; 0: to be inferred.
    pub types: Vec<Oid>,
    /// The statement's text.
    pub statement: String,
}

/// EXECUTE. The arguments are bound without knowing the prepared types: the session coerces the values by assignment.
#[derive(Clone, Debug)]
pub struct Execute {
    /// Name.
    pub name: String,
    /// Arguments, without columns. A quoted literal has type unknown.
    pub args: Vec<Expr>,
    /// Where they stand in the text.
    pub places: Vec<u32>,
}

/// DISCARD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in SQL")]
pub enum Discard {
    All,
    Plans,
    Sequences,
    Temp,
}

/// DECLARE CURSOR.
#[derive(Clone, Debug)]
pub struct Declare {
    /// Name.
    pub name: String,
    /// The query.
    pub query: Query,
    /// BINARY.
    pub binary: bool,
    /// SCROLL, NO SCROLL.
    pub scroll: Option<bool>,
    /// WITH HOLD.
    pub hold: bool,
    /// Which rows of tables its rows are, for WHERE CURRENT OF.
    pub marks: CursorMarks,
}

/// The tables whose rows a cursor's rows are. Behind its own columns, the query has two for each: the ctid and the table.
#[derive(Clone, Debug, Default)]
pub struct CursorMarks {
    /// The query locks rows: these are the tables it locks.
    pub locked: bool,
    /// The tables that a row may be of: one, and those that inherit from it.
    pub tables: Vec<Vec<Oid>>,
}

/// FETCH, MOVE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Cursor.
    pub name: String,
    /// What.
    pub direction: FetchDirection,
    /// MOVE: no rows are sent.
    pub move_only: bool,
}

/// See [`Fetch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchDirection {
    /// So many rows onward (negative: backward); 0 re-reads the current row.
    Relative(i64),
    /// All onward (`i64` not needed); true: backward.
    All {
        /// Backward.
        backward: bool,
    },
    /// ABSOLUTE n: one row.
    Absolute(i64),
    /// RELATIVE n: one row.
    RelativeOne(i64),
}
