//! Functions and procedures of users: calls, planned bodies, statements about them.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use pg_catalog::{Argument, Routine, RoutineKind};
use pg_functions::Function;
use pg_types::{Oid, SqlType};

use crate::{
    access::{RoleName, SettingChange},
    expr::Expr,
    statement::Planned,
    utility::{ObjectName, Utility},
};

/// A routine as one call of it was resolved.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The routine.
    pub routine: Arc<Routine>,
    /// Types of the values of its parameters.
    pub inputs: Vec<SqlType>,
    /// Type of a result's values.
    pub result: SqlType,
    /// Names and types of the fields of a result that is a row; empty if it is none.
    pub columns: Vec<(String, SqlType)>,
}

/// A call, one value a parameter.
#[derive(Clone, Debug)]
pub struct RoutineCall {
    /// Of what.
    pub target: Arc<Resolved>,
    /// Arguments, casts applied, defaults filled in, variadic ones gathered.
    pub args: Vec<Expr>,
}

/// A function of a FROM list.
#[derive(Clone, Debug)]
pub enum Callee {
    /// A built-in one.
    Builtin(&'static Function),
    /// A user's.
    Routine(Arc<Resolved>),
}

impl Callee {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Builtin(f) => f.name,
            Self::Routine(r) => &r.routine.name,
        }
    }
    /// Names of the columns of its result, if it has several.
    pub fn column_names(&self) -> Vec<&str> {
        match self {
            Self::Builtin(f) => f.columns.iter().map(|c| c.0).collect(),
            Self::Routine(r) => r.columns.iter().map(|c| c.0.as_str()).collect(),
        }
    }
}

/// What the rows of a body's last statement are to its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing: the result is void.
    Void,
    /// Their one column is the result.
    Value,
    /// Their columns are the fields of the result.
    Fields,
}

/// One statement of a body.
#[derive(Clone, Debug)]
pub enum Step {
    /// A query or change.
    Query(Arc<Planned>),
    /// Anything else, with its command tag.
    Utility(Box<Utility>, &'static str),
}

/// A body, ready to run.
#[derive(Clone, Debug)]
pub struct PlannedBody {
    /// Its statements.
    pub steps: Vec<Step>,
    /// What becomes of the last one's rows.
    pub shape: Shape,
    /// The result's column or fields over the columns of these rows, where they are not those.
    pub convert: Option<Vec<Expr>>,
}

/// A statement about routines.
#[derive(Clone, Debug)]
pub enum RoutineStatement {
    /// CREATE FUNCTION, CREATE PROCEDURE.
    Create(Box<CreateRoutine>),
    /// ALTER FUNCTION, PROCEDURE, ROUTINE.
    Alter(RoutineName, AlterRoutine),
    /// DROP FUNCTION, PROCEDURE, ROUTINE.
    Drop {
        /// Which.
        names: Vec<RoutineName>,
        /// IF EXISTS.
        if_exists: bool,
        /// CASCADE.
        cascade: bool,
    },
    /// COMMENT ON FUNCTION, ...
    Comment(RoutineName, Option<String>),
}

/// The word that a statement names a routine by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words")]
pub enum RoutineWord {
    Function,
    Procedure,
    Routine,
    Aggregate,
}

impl RoutineWord {
    /// As messages have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Procedure => "procedure",
            Self::Routine => "routine",
            Self::Aggregate => "aggregate",
        }
    }
}

/// A routine that a statement names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutineName {
    /// What it is said to be.
    pub word: RoutineWord,
    /// Its name.
    pub name: ObjectName,
    /// Types of its parameters; `None`: there is but one of that name.
    pub args: Option<Vec<Oid>>,
    /// All of them, results too: procedures may be named so.
    pub all: Option<Vec<Oid>>,
    /// The types as they were written.
    pub written: Vec<String>,
    /// A type among them that does not exist: so IF EXISTS says.
    pub missing: Option<String>,
}

/// CREATE FUNCTION, CREATE PROCEDURE.
#[derive(Clone, Debug)]
pub struct CreateRoutine {
    /// Name.
    pub name: ObjectName,
    /// OR REPLACE.
    pub or_replace: bool,
    /// Function or procedure.
    pub kind: RoutineKind,
    /// Parameters.
    pub arguments: Vec<Argument>,
    /// Defaults of the last inputs, canonical text.
    pub defaults: Vec<String>,
    /// Element type of a VARIADIC parameter.
    pub variadic: Oid,
    /// Result type.
    pub result: Oid,
    /// SETOF, TABLE.
    pub set: bool,
    /// Options.
    pub options: RoutineOptions,
    /// The body as it was given; the standard's form has none.
    pub source: String,
    /// The body in the standard's form, canonical text.
    pub body: Option<String>,
    /// Where the body's string begins in the statement: characters before it, and whether quotes are doubled in it.
    pub origin: Option<(u32, bool)>,
    /// Relations that this one names.
    pub reads: Vec<(Oid, i16)>,
}

/// What CREATE and ALTER may say; `None`: nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoutineOptions {
    /// `provolatile`.
    pub volatility: Option<u8>,
    /// STRICT.
    pub strict: Option<bool>,
    /// LEAKPROOF.
    pub leakproof: Option<bool>,
    /// SECURITY DEFINER.
    pub definer: Option<bool>,
    /// `proparallel`.
    pub parallel: Option<u8>,
    /// COST.
    pub cost: Option<f32>,
    /// ROWS.
    pub rows: Option<f32>,
    /// SET, RESET.
    pub settings: Vec<SettingChange>,
}

/// What is done to a routine.
#[derive(Clone, Debug, PartialEq)]
pub enum AlterRoutine {
    /// RENAME TO.
    Rename(String),
    /// OWNER TO.
    Owner(RoleName),
    /// SET SCHEMA.
    SetSchema(String),
    /// Options.
    Options(RoutineOptions),
}
