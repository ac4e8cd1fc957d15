//! The engine without a network: parse, bind, plan, run, all on a device in memory.

#![allow(dead_code, reason = "not every test uses everything")]
#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use pg_catalog::{CatalogReader, Relation, Routine, Txn};
use pg_executor::{
    ActivityRow, Cursor, Engine, ExecContext, Initial, SequenceMemory, Session, SessionTypes, SettingRow,
    StoredCondition, StoredQuery, text,
};
use pg_plan::{
    expr::Expr,
    routine::{PlannedBody, Resolved, Step},
    statement::{Command, Planned, Query, Statement},
};
use pg_sql::BindOptions;
use pg_storage::{FormatOptions, Isolation, Storage, StorageConfig};
use pg_types::{Batch, Oid, Result, SqlError, SqlState, Value, format::FormatSettings, io, user::Types};
use platform::{block::BlockDevice, memory_device::MemDevice, sync::Mutex};

pub struct TestSession {
    pub format: FormatSettings,
    user_types: Option<Arc<SessionTypes>>,
    sequences: Mutex<SequenceMemory>,
    session_locks: Mutex<pg_storage::SessionLocks>,
    pub notices: RefCell<Vec<String>>,
    pub path: Vec<String>,
    temporary: pg_executor::Temporary,
    /// SET ROLE.
    role: RefCell<(Oid, String)>,
    /// Who called the functions that run.
    inside: RefCell<Vec<(Oid, String)>>,
    /// Bytes that an operator may hold: one that sorts, one that hashes.
    pub work_memory: Cell<(usize, usize)>,
    /// Times that a statement may ask before it is cancelled.
    pub patience: Cell<u32>,
}

impl Default for TestSession {
    fn default() -> Self {
        Self {
            format: FormatSettings::default(),
            user_types: None,
            sequences: Mutex::default(),
            session_locks: Mutex::new(pg_storage::SessionLocks::new(1)),
            notices: RefCell::default(),
            path: vec!["public".into()],
            temporary: pg_executor::Temporary::default(),
            role: RefCell::new((10, "postgres".into())),
            inside: RefCell::default(),
            work_memory: Cell::new((64 << 20, 128 << 20)),
            patience: Cell::new(u32::MAX),
        }
    }
}

impl TestSession {
    /// One that knows the engine's user types.
    fn on(engine: &Arc<Engine>) -> Self {
        let types = Arc::new(SessionTypes::new(engine.clone()));
        let format = FormatSettings { types: Types::new(types.clone()), ..FormatSettings::default() };
        Self { format, user_types: Some(types), ..Self::default() }
    }
}

impl Session for TestSession {
    fn setting(&self, name: &str) -> Option<String> {
        (name == "server_version").then(|| "15.0".into())
    }
    fn set_setting(&self, _: &str, _: &str, _: bool) -> Result<()> {
        Err(SqlError::unsupported("SET"))
    }
    fn settings(&self) -> Vec<SettingRow> {
        Vec::new()
    }
    fn activity(&self) -> Vec<ActivityRow> {
        Vec::new()
    }
    fn format(&self) -> &FormatSettings {
        &self.format
    }
    fn user_types(&self) -> Option<&SessionTypes> {
        self.user_types.as_deref()
    }
    fn search_path(&self) -> Vec<String> {
        self.path.clone()
    }
    fn user(&self) -> Oid {
        self.role.borrow().0
    }
    fn session_user(&self) -> Oid {
        10
    }
    fn user_name(&self) -> String {
        self.role.borrow().1.clone()
    }
    fn session_user_name(&self) -> String {
        "postgres".into()
    }
    fn database(&self) -> String {
        "postgres".into()
    }
    fn backend_pid(&self) -> i32 {
        1
    }
    fn client_address(&self) -> Option<(String, u16)> {
        None
    }
    fn keywords(&self) -> Vec<Vec<Value>> {
        pg_sql::keyword_rows()
    }
    fn statement_timestamp(&self) -> i64 {
        0
    }
    fn server_start(&self) -> i64 {
        0
    }
    fn signal_backend(&self, _: i32, _: bool) -> bool {
        false
    }
    fn interrupted(&self) -> Option<SqlError> {
        let left = self.patience.get();
        self.patience.set(if left == u32::MAX { left } else { left.saturating_sub(1) });
        (left == 0)
            .then(|| SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request"))
    }
    fn work_memory(&self) -> (usize, usize) {
        self.work_memory.get()
    }
    fn notice(&self, severity: &'static str, report: SqlError) {
        self.notices.borrow_mut().push(format!("{severity}: {}", report.message()));
    }
    fn sequences(&self) -> &Mutex<SequenceMemory> {
        &self.sequences
    }
    fn temporary(&self) -> &pg_executor::Temporary {
        &self.temporary
    }
    fn take_temporary_number(&self) -> u32 {
        1
    }
    fn session_locks(&self) -> &Mutex<pg_storage::SessionLocks> {
        &self.session_locks
    }
    fn changeable_columns(&self, catalog: &dyn CatalogReader, view: &Arc<Relation>) -> Option<Vec<bool>> {
        pg_sql::changeable_columns(view, catalog)
    }
    fn bind_expression(&self, catalog: &dyn CatalogReader, relation: &Relation, text: &str) -> Result<Expr> {
        pg_sql::bind_scalar(text, Some(relation), None, catalog)
    }
    fn bind_value(
        &self,
        catalog: &dyn CatalogReader,
        relation: &Relation,
        text: &str,
        ty: pg_types::SqlType,
    ) -> Result<Expr> {
        pg_sql::bind_scalar(text, Some(relation), Some(ty), catalog)
    }
    fn plan_bound(&self, catalog: &dyn CatalogReader, query: Query) -> Result<Arc<Planned>> {
        pg_planner::plan(query, catalog, &Default::default()).map(Arc::new)
    }
    fn plan_body(
        &self,
        catalog: &dyn CatalogReader,
        target: &Arc<Resolved>,
        _shared: Option<u64>,
    ) -> Result<Arc<PlannedBody>> {
        let bound = pg_sql::bind_body(target, catalog, &self.format)?;
        let step = |(statement, tag)| {
            Ok(match statement {
                Statement::Query(q) => Step::Query(self.plan_bound(catalog, q)?),
                Statement::Utility(u) => Step::Utility(u, tag),
                Statement::Explain(..) => return Err(SqlError::internal("EXPLAIN in a function")),
            })
        };
        let steps = bound.statements.into_iter().map(step).collect::<Result<_>>()?;
        Ok(Arc::new(PlannedBody { steps, shape: bound.shape, convert: bound.convert }))
    }
    fn check_body(&self, catalog: &dyn CatalogReader, routine: &Arc<Routine>) -> Result<()> {
        pg_sql::check_body(routine, catalog, &self.format)
    }
    fn enter_routine(&self, routine: &Routine) -> Result<()> {
        if self.inside.borrow().len() >= 20 {
            return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
        }
        self.inside.borrow_mut().push(self.role.borrow().clone());
        if routine.definer {
            *self.role.borrow_mut() = (routine.owner, String::from("postgres"));
        }
        Ok(())
    }
    fn leave_routine(&self) {
        if let Some(role) = self.inside.borrow_mut().pop() {
            *self.role.borrow_mut() = role;
        }
    }
    fn body_text(&self, catalog: &dyn CatalogReader, routine: &Routine) -> Result<Option<String>> {
        pg_sql::body_text(routine, catalog)
    }
    fn stored_condition(
        &self,
        catalog: &dyn CatalogReader,
        relation: &Relation,
        text: &str,
    ) -> Result<Box<dyn StoredCondition>> {
        Ok(Box::new(ConditionText(pg_sql::Condition::bind(text, relation, catalog)?)))
    }
    fn stored_query(&self, catalog: &dyn CatalogReader, text: &str) -> Result<Box<dyn StoredQuery>> {
        Ok(Box::new(ViewText(pg_sql::ViewQuery::bind(text, catalog)?)))
    }
    fn plan_query(&self, catalog: &dyn CatalogReader, text: &str) -> Result<Arc<Planned>> {
        let list = pg_sql::parse(text)?;
        let options = BindOptions { param_types: &[], format: &self.format };
        match pg_sql::bind(&list[0], catalog, &options)? {
            Statement::Query(q) => self.plan_bound(catalog, q),
            _ => Err(SqlError::internal("not a query")),
        }
    }
}

/// What a statement came to.
#[derive(Debug)]
pub struct Answer {
    pub tag: String,
    pub rows: Vec<Vec<Option<String>>>,
}

pub struct Db {
    pub engine: Arc<Engine>,
    pub session: TestSession,
    pub txn: Option<Txn>,
    /// A statement of the open transaction failed.
    pub failed: bool,
    pub device: Arc<MemDevice>,
}

pub fn open(device: &Arc<MemDevice>) -> Arc<Engine> {
    open_on(device.clone(), StorageConfig { background_tasks: false, ..StorageConfig::default() })
}

pub fn open_on(device: Arc<dyn BlockDevice>, config: StorageConfig) -> Arc<Engine> {
    let storage = Storage::open(device, config).unwrap();
    if !Engine::is_bootstrapped(&storage).unwrap() {
        let initial = Initial { user: "postgres".into(), verifier: None, database: "postgres".into() };
        Engine::bootstrap(&storage, &initial).unwrap();
    }
    Engine::open(storage, Vec::new()).unwrap()
}

impl Db {
    pub fn new() -> Self {
        let device = Arc::new(MemDevice::new(512 << 20, 4096));
        Storage::format(&*device, &FormatOptions::default()).unwrap();
        let engine = open(&device);
        let session = TestSession::on(&engine);
        Self { engine, session, txn: None, failed: false, device }
    }
    /// The first session on an engine that is open, whatever its device.
    pub fn on(engine: Arc<Engine>) -> Self {
        let device = Arc::new(MemDevice::new(0, 4096));
        let session = TestSession::on(&engine);
        Self { engine, session, txn: None, failed: false, device }
    }
    /// Another session on the same engine.
    pub fn other(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            session: TestSession::on(&self.engine),
            txn: None,
            failed: false,
            device: self.device.clone(),
        }
    }
    pub fn plan(&mut self, txn: &mut Txn, sql: &str, types: &[Option<Oid>]) -> Result<Statement> {
        let list = pg_sql::parse(sql)?;
        let reader = self.engine.reader(txn, &self.session)?;
        let options = BindOptions { param_types: types, format: &self.session.format };
        pg_sql::bind(&list[0], &*reader, &options)
    }
    /// Runs one statement; outside BEGIN in its own transaction.
    pub fn try_run(&mut self, sql: &str) -> Result<Answer> {
        match sql.trim().trim_end_matches(';').to_ascii_uppercase().as_str() {
            "BEGIN" => {
                self.txn = Some(self.engine.begin(Isolation::ReadCommitted, false, 0));
                return Ok(Answer { tag: "BEGIN".into(), rows: Vec::new() });
            }
            "BEGIN ISOLATION LEVEL REPEATABLE READ" => {
                self.txn = Some(self.engine.begin(Isolation::RepeatableRead, false, 0));
                return Ok(Answer { tag: "BEGIN".into(), rows: Vec::new() });
            }
            "COMMIT" if !self.failed => {
                let txn = self.txn.take().unwrap();
                self.finish(txn)?;
                return Ok(Answer { tag: "COMMIT".into(), rows: Vec::new() });
            }
            "COMMIT" | "ROLLBACK" => {
                self.failed = false;
                self.engine.rollback(self.txn.take().unwrap());
                return Ok(Answer { tag: "ROLLBACK".into(), rows: Vec::new() });
            }
            _ if self.failed => {
                let text = "current transaction is aborted, commands ignored until end of transaction block";
                return Err(SqlError::new(SqlState::IN_FAILED_SQL_TRANSACTION, text));
            }
            _ => {}
        }
        if let Some(mut txn) = self.txn.take() {
            let r = self.run_in(&mut txn, sql);
            self.txn = Some(txn);
            self.failed = r.is_err();
            return r;
        }
        let mut txn = self.engine.begin(Isolation::ReadCommitted, false, 0);
        match self.run_in(&mut txn, sql) {
            Ok(a) => {
                self.finish(txn)?;
                Ok(a)
            }
            Err(e) => {
                self.engine.rollback(txn);
                Err(e)
            }
        }
    }
    fn finish(&mut self, mut txn: Txn) -> Result<()> {
        if let Err(e) =
            self.engine.check_deferred(&ExecContext::new(&self.engine, &self.session, &mut txn, &[]))
        {
            self.engine.rollback(txn);
            return Err(e);
        }
        self.engine.commit(txn)
    }
    fn run_in(&mut self, txn: &mut Txn, sql: &str) -> Result<Answer> {
        let version = self.engine.catalog_version();
        match self.plan(txn, sql, &[])? {
            Statement::Query(q) => {
                let reader = self.engine.reader(txn, &self.session)?;
                let planned = Arc::new(pg_planner::plan(q, &*reader, &Default::default())?);
                drop(reader);
                if !self.engine.lock_plan(txn, &planned, version)? {
                    // Definitions changed before the lock was there.
                    return self.run_in(txn, sql);
                }
                let cx = ExecContext::new(&self.engine, &self.session, txn, &[]);
                let mut cursor = Cursor::new(&planned)?;
                cursor.open(&cx)?;
                let mut rows = Vec::new();
                while let Some(b) = cursor.next(&cx)? {
                    collect(&b, &cx, &mut rows)?;
                }
                let n = cursor.affected();
                let tag = match planned.command {
                    Command::Select => format!("SELECT {}", rows.len()),
                    Command::Insert => format!("INSERT 0 {n}"),
                    Command::Update => format!("UPDATE {n}"),
                    Command::Delete => format!("DELETE {n}"),
                    Command::Merge => format!("MERGE {n}"),
                    Command::Call => "CALL".into(),
                };
                Ok(Answer { tag, rows })
            }
            Statement::Utility(u) => {
                if let pg_plan::Utility::SetRole(s) = &*u {
                    let name = s.name.clone().unwrap_or_else(|| "postgres".into());
                    let oid = self.engine.catalog().roles()?.find(&name).unwrap_or(10);
                    *self.session.role.borrow_mut() = (oid, name);
                    return Ok(Answer { tag: "SET".into(), rows: Vec::new() });
                }
                let cx = ExecContext::new(&self.engine, &self.session, txn, &[]);
                let o = self.engine.utility(&u, &cx)?;
                Ok(Answer { tag: o.tag, rows: Vec::new() })
            }
            Statement::Explain(q, options) => {
                let reader = self.engine.reader(txn, &self.session)?;
                let planned = pg_planner::plan(q, &*reader, &Default::default())?;
                let measured = pg_planner::Measured::default();
                let lines = pg_planner::explain(&planned, &options, &*reader, &measured)?;
                Ok(Answer { tag: "EXPLAIN".into(), rows: lines.into_iter().map(|l| vec![Some(l)]).collect() })
            }
        }
    }
    /// As `try_run`, panicking on errors.
    pub fn run(&mut self, sql: &str) -> Answer {
        self.try_run(sql).unwrap_or_else(|e| panic!("{sql}\n{e:?}"))
    }
    /// Rows as psql's unaligned form: `a|b` per row.
    pub fn query(&mut self, sql: &str) -> Vec<String> {
        lines(&self.run(sql).rows)
    }
    /// SQLSTATE and message of the error that must come.
    pub fn error(&mut self, sql: &str) -> String {
        match self.try_run(sql) {
            Ok(a) => panic!("{sql}: expected an error, got {a:?}"),
            Err(e) => format!("{}: {}", e.state().as_str(), e.message()),
        }
    }
}

pub fn lines(rows: &[Vec<Option<String>>]) -> Vec<String> {
    rows.iter()
        .map(|r| r.iter().map(|v| v.clone().unwrap_or_default()).collect::<Vec<_>>().join("|"))
        .collect()
}

fn collect(b: &Batch, cx: &ExecContext<'_>, rows: &mut Vec<Vec<Option<String>>>) -> Result<()> {
    for i in b.selected() {
        let mut row = Vec::new();
        for c in &b.columns {
            row.push(match c.value(i) {
                Value::Null => None,
                v if text::needs_catalog(c.ty.oid) => Some(text::output(&v, c.ty.oid, cx)?),
                v => Some(io::output_string(&v, c.ty, cx.session.format())),
            });
        }
        rows.push(row);
    }
    Ok(())
}

struct ViewText(pg_sql::ViewQuery);

impl StoredQuery for ViewText {
    fn stored(&self, catalog: &dyn CatalogReader, names: &[String]) -> Result<String> {
        self.0.stored(Some(names), catalog).map(|t| t.text)
    }
    fn shown(
        &self,
        catalog: &dyn CatalogReader,
        names: &[String],
        pretty: bool,
        wrap: i32,
    ) -> Result<String> {
        self.0.shown(Some(names), catalog, pretty, wrap)
    }
}

struct ConditionText(pg_sql::Condition);

impl StoredCondition for ConditionText {
    fn stored(&self, catalog: &dyn CatalogReader) -> Result<String> {
        self.0.stored(catalog).map(|t| t.text)
    }
    fn reads(&self, catalog: &dyn CatalogReader) -> Result<(Vec<Oid>, Vec<(Oid, i16)>)> {
        self.0.stored(catalog).map(|t| (t.relations, t.columns))
    }
    fn shown(&self, catalog: &dyn CatalogReader, pretty: bool) -> Result<String> {
        self.0.shown(catalog, pretty)
    }
}
