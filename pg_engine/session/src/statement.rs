//! From text to plans, and the prepared statements that keep them.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{CatalogReader, Relation};
use pg_executor::Cursor;
use pg_plan::{
    expr::Expr,
    statement::{Command, Planned, ResultColumn, Statement},
};
use pg_sql::{BindOptions, ParsedStatement, StatementKind};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType};

use platform::sync::OnceLock;

use crate::{custom_plan::Custom, rows, session::Session, settings::Derived, statement_stats::Entry};

/// What a plan was made under; it may run as long as this is so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Committed catalogs.
    pub version: u64,
    /// Settings that plans depend on.
    pub plan_key: u64,
    /// User (search path, privileges).
    pub user: Oid,
    /// Schema of temporary relations; 0: none.
    pub temporary: u32,
    /// The transaction's own catalog changes: (session's transaction count, changes).
    pub private: Option<(u64, u64)>,
}

impl Stamp {
    /// Good for other sessions too.
    pub fn is_shared(&self) -> bool {
        self.private.is_none() && self.temporary == 0
    }
}

/// A planned query with its text. Immutable, shared.
pub struct Plan {
    /// The statement.
    pub parsed: ParsedStatement,
    /// Parameter types the client declared.
    pub declared: Vec<Option<Oid>>,
    /// The plan.
    pub planned: Arc<Planned>,
    /// What it was made under.
    pub stamp: Stamp,
    /// Its rows need the catalogs to be written as text.
    pub catalog_text: bool,
    /// What it takes to make a plan for values of its parameters, if that could be another one.
    pub custom: Option<Box<Custom>>,
    /// It is such a plan: good for one run.
    pub for_values: bool,
    /// Where its runs are counted, once they are.
    pub entry: OnceLock<Arc<Entry>>,
    /// Its RowDescription, of columns in text format, once a client has asked.
    pub described: OnceLock<Box<[u8]>>,
}

impl Plan {
    /// The statement's text.
    pub fn text(&self) -> &str {
        self.parsed.text()
    }
    /// Command word for tags and errors.
    pub fn tag(&self) -> &'static str {
        match self.planned.command {
            Command::Select => "SELECT",
            Command::Insert => "INSERT",
            Command::Update => "UPDATE",
            Command::Delete => "DELETE",
            Command::Merge => "MERGE",
            Command::Call => "CALL",
        }
    }
}

/// What a prepared statement holds.
#[derive(Clone)]
pub enum Prepared {
    /// No statement at all.
    Empty,
    /// A query or change.
    Query(Arc<Plan>),
    /// Anything else, with the types of its parameters; bound when it runs.
    Other(ParsedStatement, Arc<[SqlType]>),
}

impl Prepared {
    /// May run in a failed transaction: it ends it.
    pub fn ends_transaction(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Query(_) => false,
            Self::Other(p, _) => ends_transaction(p),
        }
    }
    /// Parameter types.
    pub fn params(&self) -> &[SqlType] {
        match self {
            Self::Query(plan) => &plan.planned.params,
            Self::Other(_, params) => params,
            Self::Empty => &[],
        }
    }
}

/// Is it a COMMIT, ROLLBACK or ROLLBACK TO?
pub fn ends_transaction(parsed: &ParsedStatement) -> bool {
    use pg_plan::statement::Transaction as T;
    matches!(
        parsed.kind(),
        StatementKind::Transaction(T::Commit { .. } | T::Rollback { .. } | T::RollbackTo(_) | T::Prepare(_))
    )
}

/// A prepared statement of a session, with a cursor to be used again.
pub struct Stored {
    /// What.
    pub prepared: Prepared,
    /// Operators of an earlier run, ready to be opened again.
    pub cursor: Option<Box<Cursor>>,
    /// When it was made.
    pub made: i64,
    /// The query string of the PREPARE that made it; `None`: the protocol did.
    pub sql: Option<Arc<str>>,
    /// How often it was run by a plan for any values, and by plans for the values given.
    pub runs: (i64, i64),
    /// Its name, for portals made of it; `None`: it is the unnamed one.
    pub name: Option<Arc<str>>,
}

impl Stored {
    /// It is run by this plan.
    pub fn count(&mut self, plan: &Plan) {
        let runs = if plan.for_values { &mut self.runs.1 } else { &mut self.runs.0 };
        *runs += 1;
    }
    /// Just made.
    pub fn new(name: &str, prepared: Prepared, made: i64, sql: Option<Arc<str>>) -> Self {
        let name = Some(name).filter(|n| !n.is_empty()).map(Arc::from);
        Self { prepared, cursor: None, made, sql, runs: (0, 0), name }
    }
}

fn is_query(kind: &StatementKind) -> bool {
    matches!(
        kind,
        StatementKind::Select
            | StatementKind::Insert
            | StatementKind::Update
            | StatementKind::Delete
            | StatementKind::Merge
    )
}

/// Types of the parameters of a query within a utility statement.
fn params_of(statement: &Statement) -> &[SqlType] {
    use pg_plan::statement::Utility;
    match statement {
        Statement::Query(query) | Statement::Explain(query, _) => &query.params,
        Statement::Utility(u) => match &**u {
            Utility::Declare(declare) => &declare.query.params,
            Utility::CreateTableAs(create) => &create.query.params,
            _ => &[],
        },
    }
}

impl Session {
    /// What a plan made now would depend on. Needs a transaction.
    pub fn stamp(&mut self) -> Stamp {
        // What the end of a transaction undid counts too.
        self.env.apply_settings(false);
        let private = match &self.tx.txn {
            Some(txn) if txn.changed_catalogs() => Some((self.tx.serial, txn.private_version())),
            _ => None,
        };
        Stamp {
            version: self.engine.catalog_version(),
            plan_key: self.env.derived().plan_key,
            user: self.env.identity().user,
            temporary: pg_executor::Session::temporary(&self.env).number(),
            private,
        }
    }

    /// Makes a prepared statement of one statement's text.
    pub fn prepare(&mut self, text: &str, declared: &[Option<Oid>]) -> Result<Prepared> {
        self.begin_implicit();
        let stamp = self.stamp();
        if !self.tx.is_failed()
            && let Some(plan) = self.database.plans.get(text, declared, &stamp)
        {
            return Ok(Prepared::Query(plan));
        }
        let mut parsed = pg_sql::parse(text)?.into_iter();
        let Some(first) = parsed.next() else { return Ok(Prepared::Empty) };
        if parsed.next().is_some() {
            return Err(SqlError::syntax("cannot insert multiple commands into a prepared statement"));
        }
        self.check_not_failed(ends_transaction(&first))?;
        if is_query(first.kind()) {
            match self.bind(&first, declared)? {
                Bound::Plan(plan) => Ok(Prepared::Query(plan)),
                // SELECT INTO is a utility.
                Bound::Utility(bound) => Ok(Prepared::Other(first, params_of(&bound).into())),
            }
        } else if first.holds_query() && first.text().contains('$') {
            let Bound::Utility(bound) = self.bind(&first, declared)? else {
                return Err(SqlError::internal("a utility statement became a query"));
            };
            Ok(Prepared::Other(first, params_of(&bound).into()))
        } else {
            Ok(Prepared::Other(first, Arc::new([])))
        }
    }

    /// Binds a statement, and plans it if it is a query.
    pub fn bind(&mut self, parsed: &ParsedStatement, declared: &[Option<Oid>]) -> Result<Bound> {
        self.begin_implicit();
        let stamp = self.stamp();
        let engine = self.engine.clone();
        let Some(txn) = &mut self.tx.txn else { return Err(no_transaction()) };
        let reader = engine.reader(txn, &self.env)?;
        let options = BindOptions { param_types: declared, format: &self.env.derived().format };
        match pg_sql::bind(parsed, &*reader, &options)? {
            Statement::Query(query) => {
                let kept = if query.params.is_empty() { None } else { Some(query.clone()) };
                let planned = pg_planner::plan(query, &*reader, &self.env.derived().planner)?;
                let custom = kept.filter(|_| !planned.suits_any_values).map(Custom::new);
                drop(reader);
                let plan = Arc::new(Plan {
                    parsed: parsed.clone(),
                    declared: declared.into(),
                    catalog_text: rows::need_catalog(&planned.columns),
                    planned: Arc::new(planned),
                    stamp,
                    custom,
                    for_values: false,
                    entry: OnceLock::new(),
                    described: OnceLock::new(),
                });
                // The catalogs may have changed while the plan was made: then it is good for nobody.
                self.database.plans.put(&plan);
                Ok(Bound::Plan(plan))
            }
            other => Ok(Bound::Utility(Box::new(other))),
        }
    }

    /// The plan if it is still good, or a new one with the same parameter types and result columns.
    pub fn fresh(&mut self, plan: &Arc<Plan>, force: bool) -> Result<Arc<Plan>> {
        self.begin_implicit();
        let stamp = self.stamp();
        if plan.stamp == stamp && !force {
            return Ok(plan.clone());
        }
        if !force && let Some(found) = self.database.plans.get(plan.text(), &plan.declared, &stamp) {
            check_same_result(&plan.planned.columns, &found.planned.columns)?;
            return Ok(found);
        }
        let types: Vec<Option<Oid>> = plan.planned.params.iter().map(|t| Some(t.oid)).collect();
        let Bound::Plan(new) = self.bind(&plan.parsed, &types)? else {
            return Err(SqlError::internal("a query became a utility statement"));
        };
        check_same_result(&plan.planned.columns, &new.planned.columns)?;
        if types == plan.declared {
            return Ok(new);
        }
        // Kept under the types that the client declared, too.
        let new = Arc::new(Plan {
            parsed: plan.parsed.clone(),
            declared: plan.declared.clone(),
            planned: new.planned.clone(),
            stamp: new.stamp.clone(),
            catalog_text: new.catalog_text,
            custom: new.custom.as_ref().map(|c| c.again()),
            for_values: false,
            entry: OnceLock::new(),
            described: OnceLock::new(),
        });
        self.database.plans.put(&new);
        Ok(new)
    }

    /// 25P02 unless the transaction is fine or the statement ends it.
    pub fn check_not_failed(&self, ends: bool) -> Result<()> {
        if self.tx.is_failed() && !ends { Err(transaction_failed()) } else { Ok(()) }
    }
}

/// 25P02.
#[cold]
pub fn transaction_failed() -> SqlError {
    SqlError::new(
        SqlState::IN_FAILED_SQL_TRANSACTION,
        "current transaction is aborted, commands ignored until end of transaction block",
    )
}

fn check_same_result(old: &[ResultColumn], new: &[ResultColumn]) -> Result<()> {
    let same = old.len() == new.len() && old.iter().zip(new).all(|(a, b)| a.ty == b.ty);
    if same {
        Ok(())
    } else {
        // Drivers prepare the statement anew when they see this.
        Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, "cached plan must not change result type")
            .routine("RevalidateCachedQuery"))
    }
}

/// Every statement runs in a transaction; its absence is a bug here.
pub fn no_transaction() -> SqlError {
    SqlError::internal("no transaction is open")
}

/// How often a statement is planned again because the catalogs changed just then. They cannot do so for ever before it is served.
pub const CATALOG_TURNS: usize = 1000;

/// The catalogs changed [`CATALOG_TURNS`] times in a row.
pub fn never_still() -> SqlError {
    SqlError::internal("the catalogs never stood still")
}

/// A bound statement.
pub enum Bound {
    /// A query, planned.
    Plan(Arc<Plan>),
    /// Anything else, EXPLAIN included.
    Utility(Box<Statement>),
}

/// See [`pg_executor::Session::bind_expression`].
pub fn bind_expression(catalog: &dyn CatalogReader, relation: &Relation, text: &str) -> Result<Expr> {
    let expr = pg_sql::bind_scalar(text, Some(relation), None, catalog)?;
    Ok(expr)
}

/// See [`pg_executor::Session::plan_query`].
pub fn plan_text(catalog: &dyn CatalogReader, text: &str, settings: &Derived) -> Result<Arc<Planned>> {
    let parsed = pg_sql::parse(text)?;
    let [one] = parsed.as_slice() else {
        return Err(SqlError::internal(format!("not one statement: {text}")));
    };
    let options = BindOptions { param_types: &[], format: &settings.format };
    match pg_sql::bind(one, catalog, &options)? {
        Statement::Query(query) => pg_planner::plan(query, catalog, &settings.planner).map(Arc::new),
        _ => Err(SqlError::internal(String::from("not a query"))),
    }
}
