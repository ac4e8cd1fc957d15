//! Functions and procedures of users, as the catalogs describe them.
//!
//! Owns: the description of a row of `pg_proc` that is not built in. Built-in functions are the registry's.

use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use pg_functions::Volatility;
use pg_storage::Snapshot;
use pg_types::{Oid, Result, SqlType, Value, user};

use crate::{
    acl::Acl,
    builtin::{FIRST_NORMAL_OID, PG_AGGREGATE, PG_NAMESPACE, PG_PROC, rows::EXPRESSION_SEPARATOR},
    cache::Catalog,
    table::Row,
};

/// `pg_language.oid` of SQL.
pub const SQL_LANGUAGE: Oid = 14;

/// A parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Name; empty: it has none.
    pub name: String,
    /// Type as declared.
    pub ty: Oid,
    /// `pg_proc.proargmodes`: `i`, `o`, `b` (INOUT), `v` (VARIADIC), `t` (TABLE).
    pub mode: u8,
}

impl Argument {
    /// Does a call give it a value?
    pub fn is_input(&self) -> bool {
        matches!(self.mode, b'i' | b'b' | b'v')
    }
    /// Is it a part of the result?
    pub fn is_output(&self) -> bool {
        matches!(self.mode, b'o' | b'b' | b't')
    }
}

/// What kind of routine it is (`pg_proc.prokind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "standard names")]
pub enum RoutineKind {
    Function,
    Procedure,
    Aggregate,
}

impl RoutineKind {
    /// As messages name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Procedure => "procedure",
            Self::Aggregate => "aggregate",
        }
    }
}

/// How an aggregate of a user is computed: its row of `pg_aggregate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateOf {
    /// The function that takes a row into the state.
    pub transition: Oid,
    /// The function that makes the result of the state; 0: the state is the result.
    pub finish: Oid,
    /// That function takes the arguments' types besides, for their types alone.
    pub extra: bool,
    /// Type of the state as declared.
    pub state: Oid,
    /// The state's first value as text; `None`: NULL.
    pub initial: Option<String>,
}

/// A function or procedure.
#[derive(Clone, Debug)]
pub struct Routine {
    /// `pg_proc.oid`.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// Schema's oid.
    pub schema: Oid,
    /// Schema's name.
    pub schema_name: String,
    /// Owner role.
    pub owner: Oid,
    /// Function or procedure.
    pub kind: RoutineKind,
    /// What makes it an aggregate.
    pub aggregate: Option<Arc<AggregateOf>>,
    /// All parameters in order, results among them.
    pub arguments: Vec<Argument>,
    /// Types of the parameters that calls give values, in order (`proargtypes`).
    pub inputs: Vec<Oid>,
    /// Defaults of the last of these, as canonical text.
    pub defaults: Vec<String>,
    /// Element type of the VARIADIC parameter; 0: there is none.
    pub variadic: Oid,
    /// Result type; RECORD for several columns.
    pub result: Oid,
    /// SETOF, TABLE.
    pub set: bool,
    /// How much the result may change.
    pub volatility: Volatility,
    /// NULL if an argument is.
    pub strict: bool,
    /// LEAKPROOF.
    pub leakproof: bool,
    /// SECURITY DEFINER.
    pub definer: bool,
    /// SET name = value.
    pub settings: Vec<(String, String)>,
    /// `proacl`.
    pub acl: Option<Acl>,
    /// The body as a string.
    pub source: String,
    /// The body in the standard's form, canonical text: statements that end in semicolons.
    pub body: Option<String>,
    /// `procost`.
    pub cost: f32,
    /// `prorows`.
    pub rows: f32,
}

impl Routine {
    /// Names and types of a result of several columns, or of one OUT parameter.
    pub fn outputs(&self) -> Vec<(String, SqlType)> {
        let outputs = self.arguments.iter().filter(|a| a.is_output());
        outputs
            .enumerate()
            .map(|(n, a)| {
                let name = if a.name.is_empty() { alloc::format!("column{}", n + 1) } else { a.name.clone() };
                (name, SqlType::new(a.ty))
            })
            .collect()
    }
    /// Names of the parameters that calls give values; empty where there is none.
    pub fn input_names(&self) -> Vec<&str> {
        self.arguments.iter().filter(|a| a.is_input()).map(|a| a.name.as_str()).collect()
    }
}

/// The values of an array column of numbers.
fn oids(row: &Row, column: &str) -> Vec<Oid> {
    let oid = |v: &Value| if let Value::Oid(o) = v { Some(*o) } else { None };
    row.array(column).iter().filter_map(oid).collect()
}

fn texts(row: &Row, column: &str) -> Vec<String> {
    let text = |v: &Value| if let Value::Text(t) = v { t.to_string() } else { String::new() };
    row.array(column).iter().map(text).collect()
}

/// Arguments as a row of `pg_proc` has them.
fn arguments(row: &Row, inputs: &[Oid]) -> Vec<Argument> {
    let names = texts(row, "proargnames");
    let all = oids(row, "proallargtypes");
    let modes: Vec<u8> =
        row.array("proargmodes").iter().map(|v| if let Value::Char(c) = v { *c } else { b'i' }).collect();
    let types = if all.is_empty() { inputs } else { &all };
    types
        .iter()
        .enumerate()
        .map(|(n, ty)| Argument {
            name: names.get(n).cloned().unwrap_or_default(),
            ty: *ty,
            mode: modes.get(n).copied().unwrap_or(b'i'),
        })
        .collect()
}

impl Catalog {
    fn aggregate_of(&self, snapshot: &Snapshot, oid: Oid) -> Result<Option<Arc<AggregateOf>>> {
        let row = self.find_one(snapshot, PG_AGGREGATE, &["aggfnoid"], &[Value::Oid(oid)])?;
        Ok(row.map(|r| {
            Arc::new(AggregateOf {
                transition: r.oid("aggtransfn"),
                finish: r.oid("aggfinalfn"),
                extra: r.bool("aggfinalextra"),
                state: r.oid("aggtranstype"),
                initial: r.text_option("agginitval"),
            })
        }))
    }

    fn routine_of(&self, snapshot: &Snapshot, row: &Row) -> Result<Arc<Routine>> {
        let schema = row.oid("pronamespace");
        let schema_row = self.find_one(snapshot, PG_NAMESPACE, &["oid"], &[Value::Oid(schema)])?;
        let inputs = oids(row, "proargtypes");
        let defaults = row.text_option("proargdefaults").filter(|d| !d.is_empty());
        let settings = texts(row, "proconfig");
        Ok(Arc::new(Routine {
            oid: row.oid("oid"),
            name: row.text("proname").to_string(),
            schema,
            schema_name: schema_row.map_or_else(String::new, |r| r.text("nspname").to_string()),
            owner: row.oid("proowner"),
            kind: match row.char("prokind") {
                b'p' => RoutineKind::Procedure,
                b'a' => RoutineKind::Aggregate,
                _ => RoutineKind::Function,
            },
            aggregate: match row.char("prokind") {
                b'a' => self.aggregate_of(snapshot, row.oid("oid"))?,
                _ => None,
            },
            arguments: arguments(row, &inputs),
            inputs,
            defaults: defaults
                .map(|d| d.split(EXPRESSION_SEPARATOR).map(ToString::to_string).collect())
                .unwrap_or_default(),
            variadic: row.oid("provariadic"),
            result: row.oid("prorettype"),
            set: row.bool("proretset"),
            volatility: match row.char("provolatile") {
                b'i' => Volatility::Immutable,
                b's' => Volatility::Stable,
                _ => Volatility::Volatile,
            },
            strict: row.bool("proisstrict"),
            leakproof: row.bool("proleakproof"),
            definer: row.bool("prosecdef"),
            settings: settings
                .iter()
                .filter_map(|s| s.split_once('='))
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            acl: Acl::of_value(row.get("proacl")),
            source: row.text("prosrc").to_string(),
            body: row.text_option("prosqlbody"),
            cost: row.float("procost"),
            rows: row.float("prorows"),
        }))
    }

    /// The users' routines of a name, in all schemas.
    pub(crate) fn load_routines(&self, snapshot: &Snapshot, name: &str) -> Result<Arc<[Arc<Routine>]>> {
        let mut found = Vec::new();
        for row in self.find(snapshot, PG_PROC, &["proname"], &[Value::text(name)])? {
            if in_sql(&row) {
                found.push(self.routine_of(snapshot, &row)?);
            }
        }
        Ok(found.into())
    }

    /// One of the users' routines.
    pub(crate) fn load_routine(&self, snapshot: &Snapshot, oid: Oid) -> Result<Option<Arc<Routine>>> {
        let row = self.find_one(snapshot, PG_PROC, &["oid"], &[Value::Oid(oid)])?.filter(in_sql);
        row.map(|r| self.routine_of(snapshot, &r)).transpose()
    }
}

/// Is it one that its row describes? What else is built in is known by number.
fn in_sql(row: &Row) -> bool {
    row.oid("oid") >= FIRST_NORMAL_OID || row.oid("prolang") == SQL_LANGUAGE
}

/// Routines that a stored expression or query names by number.
pub fn referenced(text: &str) -> Vec<Oid> {
    let mut found = Vec::new();
    user::for_each_reference(text, &mut |oid| {
        if !user::is_user(oid) && !found.contains(&oid) {
            found.push(oid);
        }
    });
    found
}
