//! Parsed statements before binding: `sqlparser`'s trees for queries and changes, our own for the rest.

use alloc::{boxed::Box, string::String, vec::Vec};

use pg_plan::{
    statement::ExplainOptions,
    utility::{CopyFormat, Discard, ObjectName, OnCommit, SequenceOptions, Utility},
};
use sqlparser::ast as sq;

/// A statement.
#[derive(Clone, Debug)]
pub(crate) enum Ast {
    Query(Box<sq::Query>),
    /// SELECT ... INTO; the flag: UNLOGGED.
    SelectInto(Box<sq::Query>, NameAt, bool),
    Insert(Box<sq::Insert>, Option<Box<sq::With>>, InsertClauses),
    Update(Box<sq::Update>, Option<Box<sq::With>>),
    Delete(Box<sq::Delete>, Option<Box<sq::With>>),
    /// With the OVERRIDING clauses of its INSERTs, by the byte where each stood.
    Merge(Box<sq::Merge>, Option<Box<sq::With>>, Vec<(usize, Overriding)>),
    /// A statement whose WITH has INSERTs: the byte where each begins, and its clauses.
    WithInserts(Vec<(usize, InsertClauses)>, Box<Ast>),
    Explain(ExplainOptions, Box<Ast>),
    /// Complete without binding.
    Ready(Box<Utility>),
    Type(ObjectName, Box<TypeChange>),
    CreateTable(Box<CreateTable>),
    CreateTableAs(Box<CreateTableAs>),
    CreateTableAsExecute(Box<CreateTableAsExecute>),
    CreateIndex(Box<CreateIndex>),
    CreateView(Box<CreateView>),
    CreateMaterializedView(Box<CreateTableAs>),
    Refresh {
        name: NameAt,
        concurrently: bool,
        with_data: bool,
    },
    AlterTable(Box<AlterTable>),
    CreateSequence(ObjectName, bool, SequenceDef),
    AlterSequence(ObjectName, bool, SequenceDef),
    Copy(Box<Copy>),
    Truncate {
        tables: Vec<NameAt>,
        restart_identity: bool,
        cascade: bool,
    },
    Vacuum {
        targets: Vec<(NameAt, Vec<sq::Ident>)>,
        options: VacuumOptions,
    },
    Analyze(Vec<(NameAt, Vec<sq::Ident>)>),
    /// The table and the index, where they are said.
    Cluster(Option<(NameAt, Option<String>)>),
    Reindex {
        name: NameAt,
        index: bool,
        concurrently: bool,
        verbose: bool,
    },
    Lock {
        tables: Vec<NameAt>,
        mode: u8,
        nowait: bool,
    },
    Prepare {
        name: String,
        types: Vec<sq::DataType>,
        statement: String,
    },
    Execute {
        name: String,
        args: Vec<sq::Expr>,
    },
    Declare {
        name: String,
        query: Box<sq::Query>,
        binary: bool,
        scroll: Option<bool>,
        hold: bool,
    },
    Policy(Box<PolicyStatement>),
    Routine(Box<RoutineStatement>),
    Definition(Box<crate::grammar::definition::DefinitionStatement>),
    /// RETURN of a body in the standard's form.
    Return(Box<sq::Expr>),
    Call(Box<sq::Function>),
    /// Recognised, not supported.
    Unsupported(String),
}

/// CREATE, ALTER, DROP POLICY.
#[derive(Clone, Debug)]
pub(crate) struct PolicyStatement {
    pub(crate) action: PolicyAction,
    pub(crate) name: String,
    pub(crate) table: NameAt,
    pub(crate) permissive: bool,
    /// `pg_policy.polcmd`.
    pub(crate) command: u8,
    pub(crate) roles: Option<Vec<pg_plan::access::RoleName>>,
    pub(crate) using: Option<sq::Expr>,
    pub(crate) check: Option<sq::Expr>,
}

/// See [`PolicyStatement`].
#[derive(Clone, Debug)]
pub(crate) enum PolicyAction {
    Create,
    Alter,
    Rename(String),
    Drop { if_exists: bool },
}

/// What `sqlparser` does not know of INSERT.
#[derive(Clone, Debug)]
pub(crate) struct InsertClauses {
    pub(crate) overriding: Overriding,
    pub(crate) conflict: Option<Box<ConflictTarget>>,
}

/// ON CONFLICT (elements) WHERE predicate.
#[derive(Clone, Debug)]
pub(crate) struct ConflictTarget {
    pub(crate) elements: Vec<IndexElement>,
    pub(crate) predicate: Option<sq::Expr>,
}

/// OVERRIDING { SYSTEM | USER } VALUE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overriding {
    None,
    System,
    User,
}

/// A name with its position.
#[derive(Clone, Debug)]
pub(crate) struct NameAt {
    pub(crate) name: ObjectName,
    /// Behind ONLY.
    pub(crate) only: bool,
    pub(crate) at: u32,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct VacuumOptions {
    pub(crate) analyze: bool,
    pub(crate) full: bool,
    pub(crate) freeze: bool,
    pub(crate) verbose: bool,
}

/// Sequence options with the type unresolved.
#[derive(Clone, Debug, Default)]
pub(crate) struct SequenceDef {
    pub(crate) ty: Option<sq::DataType>,
    pub(crate) options: SequenceOptions,
}

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: sq::Ident,
    pub(crate) ty: sq::DataType,
    pub(crate) type_at: u32,
    pub(crate) collation: Option<sq::ObjectName>,
    /// `attcompression`.
    pub(crate) compression: u8,
    pub(crate) options: Vec<(Option<String>, ColumnOption)>,
}

#[derive(Clone, Debug)]
pub(crate) enum ColumnOption {
    NotNull,
    Null,
    Default(sq::Expr),
    Identity(u8, SequenceDef),
    /// With its place.
    Generated(sq::Expr, u32),
    Constraint(Constraint),
}

#[derive(Clone, Debug)]
pub(crate) struct NamedConstraint {
    pub(crate) name: Option<String>,
    pub(crate) constraint: Constraint,
}

#[derive(Clone, Debug)]
pub(crate) enum Constraint {
    Check {
        expr: sq::Expr,
        not_valid: bool,
        no_inherit: bool,
    },
    Index {
        primary: bool,
        columns: Vec<sq::Ident>,
        include: Vec<sq::Ident>,
        fillfactor: Option<i32>,
        nulls_not_distinct: bool,
        using_index: Option<String>,
        deferrable: bool,
        deferred: bool,
    },
    Foreign(pg_plan::utility::ForeignKeyDef),
}

#[derive(Clone, Debug)]
pub(crate) struct CreateTable {
    pub(crate) name: ObjectName,
    pub(crate) if_not_exists: bool,
    pub(crate) unlogged: bool,
    pub(crate) columns: Vec<Column>,
    pub(crate) constraints: Vec<NamedConstraint>,
    pub(crate) options: Vec<(String, String)>,
    pub(crate) on_commit: OnCommit,
    /// LIKE clauses, with the number of columns before each.
    pub(crate) likes: Vec<(usize, NameAt, pg_plan::utility::LikeParts)>,
    pub(crate) inherits: Vec<NameAt>,
    /// OF a composite type.
    pub(crate) of: Option<NameAt>,
}

#[derive(Clone, Debug)]
pub(crate) struct CreateTableAs {
    pub(crate) name: ObjectName,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<sq::Ident>,
    pub(crate) query: Box<sq::Query>,
    pub(crate) with_data: bool,
    pub(crate) options: Vec<(String, String)>,
    pub(crate) unlogged: bool,
    pub(crate) on_commit: OnCommit,
}

/// CREATE TABLE AS EXECUTE: all of [`CreateTableAs`] but the query, which is a prepared statement's.
#[derive(Clone, Debug)]
pub(crate) struct CreateTableAsExecute {
    pub(crate) name: ObjectName,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<sq::Ident>,
    pub(crate) with_data: bool,
    pub(crate) options: Vec<(String, String)>,
    pub(crate) unlogged: bool,
    pub(crate) on_commit: OnCommit,
    pub(crate) prepared: String,
    pub(crate) args: Vec<sq::Expr>,
}

impl CreateTableAsExecute {
    /// The same table made of this query.
    pub(crate) fn of(&self, query: Box<sq::Query>) -> CreateTableAs {
        CreateTableAs {
            name: self.name.clone(),
            if_not_exists: self.if_not_exists,
            columns: self.columns.clone(),
            query,
            with_data: self.with_data,
            options: self.options.clone(),
            unlogged: self.unlogged,
            on_commit: self.on_commit,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct IndexElement {
    pub(crate) expr: sq::Expr,
    /// Operator class.
    pub(crate) class: Option<String>,
    /// ASC or DESC is there.
    pub(crate) ordered: bool,
    pub(crate) descending: bool,
    /// NULLS FIRST or LAST is there.
    pub(crate) nulls: bool,
    pub(crate) nulls_first: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct CreateIndex {
    pub(crate) concurrently: bool,
    pub(crate) name: Option<String>,
    pub(crate) table: NameAt,
    pub(crate) unique: bool,
    pub(crate) if_not_exists: bool,
    pub(crate) method: Option<String>,
    pub(crate) elements: Vec<IndexElement>,
    pub(crate) include: Vec<IndexElement>,
    pub(crate) predicate: Option<sq::Expr>,
    pub(crate) nulls_not_distinct: bool,
    pub(crate) fillfactor: Option<i32>,
}

#[derive(Clone, Debug)]
pub(crate) struct CreateView {
    pub(crate) name: ObjectName,
    pub(crate) or_replace: bool,
    pub(crate) columns: Vec<sq::Ident>,
    pub(crate) query: Box<sq::Query>,
    /// `pg_class.reloptions`.
    pub(crate) options: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub(crate) struct AlterTable {
    /// What the statement is called: ALTER TABLE, ALTER VIEW, ...
    pub(crate) tag: &'static str,
    pub(crate) table: NameAt,
    pub(crate) if_exists: bool,
    pub(crate) actions: Vec<AlterAction>,
}

#[derive(Clone, Debug)]
pub(crate) enum AlterAction {
    AddColumn(Column, bool),
    AddConstraint(NamedConstraint),
    /// INHERIT (true) or NO INHERIT.
    Inherit(NameAt, bool),
    Of(NameAt),
    SetDefault(sq::Ident, sq::Expr),
    SetType {
        column: sq::Ident,
        ty: sq::DataType,
        at: u32,
        collation: Option<sq::ObjectName>,
        using: Option<sq::Expr>,
    },
    AddIdentity(sq::Ident, u8, SequenceDef),
    SetIdentity(sq::Ident, Option<u8>, SequenceDef),
    /// Complete without binding.
    Ready(pg_plan::utility::AlterAction),
}

#[derive(Clone, Debug)]
pub(crate) enum CopySource {
    Table(NameAt, Vec<sq::Ident>),
    Query(Box<sq::Query>),
}

#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) source: CopySource,
    pub(crate) from: bool,
    pub(crate) options: CopyOptions,
    pub(crate) filter: Option<sq::Expr>,
}

/// COPY's options with columns unresolved.
#[derive(Clone, Debug, Default)]
pub(crate) struct CopyOptions {
    pub(crate) format: CopyFormat,
    pub(crate) delimiter: Option<String>,
    pub(crate) null: Option<String>,
    pub(crate) header: bool,
    pub(crate) header_match: bool,
    pub(crate) quote: Option<String>,
    pub(crate) escape: Option<String>,
    pub(crate) force_quote: Option<Columns>,
    pub(crate) force_not_null: Option<Columns>,
    pub(crate) force_null: Option<Columns>,
    pub(crate) freeze: bool,
    /// With where it was written.
    pub(crate) encoding: Option<(String, u32)>,
}

#[derive(Clone, Debug)]
pub(crate) enum Columns {
    All,
    Some(Vec<sq::Ident>),
}

/// What follows DISCARD.
pub(crate) fn discard(word: &str) -> Option<Discard> {
    Some(match word {
        "all" => Discard::All,
        "plans" => Discard::Plans,
        "sequences" => Discard::Sequences,
        "temp" | "temporary" => Discard::Temp,
        _ => return None,
    })
}

/// A statement about a user type that names types or holds expressions.
#[derive(Clone, Debug)]
pub(crate) enum TypeChange {
    Create(Vec<Attribute>),
    Attributes(Vec<(AttributeChange, bool)>),
    CreateDomain(CreateDomain),
    Domain(DomainChange),
}

#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) ty: sq::DataType,
    pub(crate) at: u32,
    pub(crate) collation: Option<sq::ObjectName>,
}

#[derive(Clone, Debug)]
pub(crate) enum AttributeChange {
    Add(Attribute),
    /// With IF EXISTS.
    Drop(String, bool),
    SetType(Attribute),
    Rename(String, String),
}

#[derive(Clone, Debug)]
pub(crate) struct CreateDomain {
    pub(crate) ty: sq::DataType,
    pub(crate) at: u32,
    pub(crate) collation: Option<sq::ObjectName>,
    pub(crate) default: Option<sq::Expr>,
    pub(crate) not_null: bool,
    pub(crate) checks: Vec<DomainCheck>,
}

#[derive(Clone, Debug)]
pub(crate) struct DomainCheck {
    pub(crate) name: Option<String>,
    pub(crate) condition: sq::Expr,
    pub(crate) not_valid: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum DomainChange {
    SetDefault(sq::Expr),
    DropDefault,
    NotNull(bool),
    AddCheck(DomainCheck),
    /// With IF EXISTS and CASCADE.
    DropConstraint(String, bool, bool),
    RenameConstraint(String, String),
    Validate(String),
}

/// A statement about functions and procedures.
#[derive(Clone, Debug)]
pub(crate) enum RoutineStatement {
    Create(Box<CreateRoutine>),
    Alter(RoutineRef, pg_plan::routine::AlterRoutine),
    Drop {
        names: Vec<RoutineRef>,
        if_exists: bool,
        cascade: bool,
    },
    Comment(RoutineRef, Option<String>),
    /// On these routines; the target within is not used.
    Grant(pg_plan::access::Grant, Vec<RoutineRef>),
}

/// A type of a parameter or result.
#[derive(Clone, Debug)]
pub(crate) struct TypeRef {
    pub(crate) ty: sq::DataType,
    pub(crate) at: u32,
    pub(crate) set: bool,
    /// `%TYPE` of this column.
    pub(crate) column: Option<sq::ObjectName>,
}

#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// `pg_proc.proargmodes`.
    pub(crate) mode: Option<u8>,
    pub(crate) ty: TypeRef,
    pub(crate) default: Option<(sq::Expr, u32)>,
}

/// A routine by name, and the types of its parameters.
#[derive(Clone, Debug)]
pub(crate) struct RoutineRef {
    pub(crate) word: pg_plan::routine::RoutineWord,
    pub(crate) name: NameAt,
    pub(crate) args: Option<Vec<Parameter>>,
}

#[derive(Clone, Debug)]
pub(crate) enum RoutineBody {
    /// With the byte where the literal begins.
    Text(String, usize),
    Return(sq::Expr),
    /// Statements with their text.
    Atomic(Vec<(Ast, String)>),
}

#[derive(Clone, Debug)]
pub(crate) struct CreateRoutine {
    pub(crate) name: NameAt,
    pub(crate) or_replace: bool,
    pub(crate) kind: pg_catalog::RoutineKind,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) result: Option<TypeRef>,
    /// RETURNS TABLE.
    pub(crate) table: Option<Vec<Parameter>>,
    pub(crate) language: Option<String>,
    pub(crate) options: pg_plan::routine::RoutineOptions,
    pub(crate) body: Option<RoutineBody>,
}
