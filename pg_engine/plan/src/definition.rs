//! Statements about aggregates, operators and casts of users, and calls of such aggregates.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use pg_catalog::{Argument, Routine};
use pg_functions::{CastContext, Function};
use pg_types::{Oid, SqlType, Value};

use crate::{access::RoleName, expr::Expr, utility::ObjectName};

/// An aggregate of a user as one call of it was resolved.
#[derive(Clone, Debug)]
pub struct UserAggregate {
    /// The aggregate.
    pub routine: Arc<Routine>,
    /// Type of the state.
    pub state: SqlType,
    /// The state before anything was added.
    pub initial: Value,
    /// The next state, over the state (column 0) and a row's arguments (columns 1, 2, ...).
    pub transition: Expr,
    /// Rows with a NULL are left out; without an initial state the first argument of the first row becomes the state.
    pub strict: bool,
    /// The result, over the state (column 0); `None`: the state is the result.
    pub finish: Option<Expr>,
}

/// What an aggregate or window call calls.
#[derive(Clone, Debug)]
pub enum Aggregated {
    /// A built-in function.
    Builtin(&'static Function),
    /// A user's aggregate.
    User(Arc<UserAggregate>),
}

impl Aggregated {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Builtin(f) => f.name,
            Self::User(a) => &a.routine.name,
        }
    }
    /// `pg_proc.oid`.
    pub fn oid(&self) -> Oid {
        match self {
            Self::Builtin(f) => f.oid,
            Self::User(a) => a.routine.oid,
        }
    }
    /// The built-in function, if it is one.
    pub fn builtin(&self) -> Option<&'static Function> {
        match self {
            Self::Builtin(f) => Some(f),
            Self::User(_) => None,
        }
    }
}

/// A statement about these objects. Warnings come before it is done.
#[derive(Clone, Debug)]
pub enum Definition {
    /// CREATE AGGREGATE.
    CreateAggregate(Box<CreateAggregate>),
    /// CREATE OPERATOR.
    CreateOperator(Box<CreateOperator>),
    /// ALTER OPERATOR.
    AlterOperator(OperatorRef, AlterOperator),
    /// DROP OPERATOR.
    DropOperators {
        /// Which.
        names: Vec<OperatorRef>,
        /// IF EXISTS.
        if_exists: bool,
        /// CASCADE.
        cascade: bool,
    },
    /// COMMENT ON OPERATOR.
    CommentOperator(OperatorRef, Option<String>),
    /// CREATE CAST.
    CreateCast(CreateCast),
    /// DROP CAST.
    DropCast {
        /// From and to; `None`: a type does not exist, which the text says.
        types: Result<(Oid, Oid), String>,
        /// IF EXISTS.
        if_exists: bool,
        /// CASCADE.
        cascade: bool,
    },
    /// COMMENT ON CAST.
    CommentCast((Oid, Oid), Option<String>),
    /// CREATE, ALTER, DROP, COMMENT ON STATISTICS.
    Statistics(Statistics),
    /// CREATE, ALTER, DROP, COMMENT ON COLLATION.
    Collation(Collation),
    /// COMMENT ON LARGE OBJECT.
    CommentLargeObject(Oid, Option<String>),
    /// ALTER LARGE OBJECT ... OWNER TO.
    OwnLargeObject(Oid, RoleName),
}

/// A statement about collations. Names are looked up when it runs.
#[derive(Clone, Debug)]
pub enum Collation {
    /// CREATE COLLATION.
    Create {
        /// Its name.
        name: ObjectName,
        /// IF NOT EXISTS.
        if_not_exists: bool,
        /// What it is.
        parts: CollationParts,
    },
    /// ALTER COLLATION.
    Alter {
        /// Which.
        name: ObjectName,
        /// What is changed.
        change: AlterCollation,
    },
    /// DROP COLLATION.
    Drop {
        /// Which.
        names: Vec<ObjectName>,
        /// IF EXISTS.
        if_exists: bool,
        /// CASCADE.
        cascade: bool,
    },
    /// COMMENT ON COLLATION.
    Comment(ObjectName, Option<String>),
}

impl Collation {
    /// What the statement answers.
    pub fn tag(&self) -> &'static str {
        match self {
            Self::Create { .. } => "CREATE COLLATION",
            Self::Alter { .. } => "ALTER COLLATION",
            Self::Drop { .. } => "DROP COLLATION",
            Self::Comment(..) => "COMMENT",
        }
    }
}

/// See [`Collation::Create`].
#[derive(Clone, Debug)]
pub enum CollationParts {
    /// A copy of another one.
    From(ObjectName),
    /// Made of locales.
    Locale {
        /// LC_COLLATE.
        collate: String,
        /// LC_CTYPE.
        ctype: String,
    },
}

/// See [`Collation::Alter`].
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "named like the clauses")]
pub enum AlterCollation {
    Rename(String),
    SetSchema(String),
    Owner(RoleName),
    Refresh,
}

/// A statement about extended statistics. Names are looked up when it runs.
#[derive(Clone, Debug)]
pub enum Statistics {
    /// CREATE STATISTICS.
    Create {
        /// Its name.
        name: ObjectName,
        /// IF NOT EXISTS.
        if_not_exists: bool,
        /// The kinds wanted, as written; empty: all.
        kinds: Vec<String>,
        /// What they are of, as written.
        keys: Vec<StatisticsKey>,
        /// The table.
        from: ObjectName,
    },
    /// ALTER STATISTICS.
    Alter {
        /// Which.
        name: ObjectName,
        /// IF EXISTS.
        if_exists: bool,
        /// What is changed.
        change: AlterStatistics,
    },
    /// DROP STATISTICS.
    Drop {
        /// Which.
        names: Vec<ObjectName>,
        /// IF EXISTS.
        if_exists: bool,
        /// CASCADE.
        cascade: bool,
    },
    /// COMMENT ON STATISTICS.
    Comment(ObjectName, Option<String>),
}

impl Statistics {
    /// What the statement answers.
    pub fn tag(&self) -> &'static str {
        match self {
            Self::Create { .. } => "CREATE STATISTICS",
            Self::Alter { .. } => "ALTER STATISTICS",
            Self::Drop { .. } => "DROP STATISTICS",
            Self::Comment(..) => "COMMENT",
        }
    }
}

/// What statistics are of.
#[derive(Clone, Debug)]
pub enum StatisticsKey {
    /// A column of the table.
    Column(String),
    /// An expression over its columns: canonical text, and the type.
    Expression(String, SqlType),
}

/// See [`Statistics::Alter`].
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "named like the clauses")]
pub enum AlterStatistics {
    Rename(String),
    SetSchema(String),
    Owner(RoleName),
    Target(i64),
}

/// CREATE AGGREGATE, functions found and checked: a row of `pg_proc` and one of `pg_aggregate`.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs, reason = "columns of pg_aggregate")]
pub struct CreateAggregate {
    pub name: ObjectName,
    pub or_replace: bool,
    pub arguments: Vec<Argument>,
    pub variadic: Oid,
    pub result: Oid,
    pub transition: Oid,
    pub finish: Oid,
    pub combine: Oid,
    pub serialize: Oid,
    pub deserialize: Oid,
    pub moving: Oid,
    pub inverse: Oid,
    pub moving_finish: Oid,
    pub extra: bool,
    pub moving_extra: bool,
    pub modify: u8,
    pub moving_modify: u8,
    pub sort_operator: Oid,
    pub state: Oid,
    pub space: i32,
    pub moving_state: Oid,
    pub moving_space: i32,
    pub initial: Option<String>,
    pub moving_initial: Option<String>,
    pub parallel: u8,
    /// What PostgreSQL warns of.
    pub warnings: Vec<String>,
}

/// CREATE OPERATOR.
#[derive(Clone, Debug)]
pub struct CreateOperator {
    /// Name.
    pub name: ObjectName,
    /// Left type; 0: a prefix operator.
    pub left: Oid,
    /// Right type.
    pub right: Oid,
    /// Result type.
    pub result: Oid,
    /// The function.
    pub function: Oid,
    /// COMMUTATOR.
    pub commutator: Option<ObjectName>,
    /// NEGATOR.
    pub negator: Option<ObjectName>,
    /// RESTRICT.
    pub restrict: Oid,
    /// JOIN.
    pub join: Oid,
    /// HASHES.
    pub hashes: bool,
    /// MERGES.
    pub merges: bool,
    /// What PostgreSQL warns of.
    pub warnings: Vec<String>,
}

/// An operator that a statement names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorRef {
    /// Its name.
    pub name: ObjectName,
    /// Left type; 0: NONE.
    pub left: Oid,
    /// Right type.
    pub right: Oid,
    /// A type that does not exist: so IF EXISTS says.
    pub missing: Option<String>,
}

/// ALTER OPERATOR.
#[derive(Clone, Debug, PartialEq)]
pub enum AlterOperator {
    /// OWNER TO.
    Owner(RoleName),
    /// SET SCHEMA.
    SetSchema(String),
    /// SET (RESTRICT, JOIN): 0 for NONE.
    Estimators {
        /// RESTRICT.
        restrict: Option<Oid>,
        /// JOIN.
        join: Option<Oid>,
    },
}

/// CREATE CAST.
#[derive(Clone, Debug)]
pub struct CreateCast {
    /// From.
    pub source: Oid,
    /// To.
    pub target: Oid,
    /// WITH FUNCTION: which; 0: there is none.
    pub function: Oid,
    /// WITH INOUT.
    pub through_text: bool,
    /// AS IMPLICIT, AS ASSIGNMENT, or neither.
    pub context: CastContext,
    /// What PostgreSQL warns of.
    pub warnings: Vec<String>,
}
