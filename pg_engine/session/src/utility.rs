//! Statements that are not planned: those of the session itself run here, the others in the engine.

use alloc::{boxed::Box, string::String, sync::Arc, vec, vec::Vec};

use pg_executor::{ComputeReason, ComputeUsage, Cursor, ExecContext, NodeStats};
use pg_plan::database::DatabaseStatement;
use pg_plan::extension::ExtensionStatement;
use pg_plan::statement::{ExplainFormat, ExplainOptions, Modes, Planned, ResultColumn, Statement, Utility};
use pg_plan::utility::{CopyTarget, Discard, Set};
use pg_planner::{Measured, Usage};
use pg_sql::ParsedStatement;
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value, oid};
use pg_wire::{Encoder, Severity};
use platform::tally::{self, Tallies, Tally};

use crate::{
    env::Env,
    extended::expect_utility,
    portal::{Formats, Progress, Run, text_column},
    session::Session,
    settings::Scope,
    statement::{CATALOG_TURNS, never_still, no_transaction},
    transaction::{level_by_name, level_name},
};

/// A utility statement in a portal.
pub struct UtilityRun {
    parsed: ParsedStatement,
    bound: Option<Box<Statement>>,
    columns: Option<Vec<ResultColumn>>,
    /// Reads a binary cursor: formats asked for do not matter.
    binary: bool,
    /// Parameters of the query in it.
    types: Arc<[SqlType]>,
    params: Vec<Value>,
}

impl UtilityRun {
    /// Not bound yet.
    pub fn new(parsed: ParsedStatement, types: Arc<[SqlType]>, params: Vec<Value>) -> Self {
        Self { parsed, bound: None, columns: None, binary: false, types, params }
    }
    fn declared(&self) -> Vec<Option<Oid>> {
        self.types.iter().map(|t| Some(t.oid)).collect()
    }
    /// The statement.
    pub fn parsed(&self) -> &ParsedStatement {
        &self.parsed
    }
    /// Formats of the result, given those that were asked for.
    pub fn formats<'a>(&self, asked: &'a Formats) -> &'a Formats {
        if self.binary { &Formats::Binary } else { asked }
    }
    /// Result columns, once bound.
    pub fn columns(&self) -> Option<&[ResultColumn]> {
        self.columns.as_deref()
    }
}

impl Session {
    /// Binds a utility statement, to know its result columns.
    pub(crate) fn bind_utility(&mut self, run: &mut UtilityRun) -> Result<()> {
        if run.bound.is_none() {
            let bound = expect_utility(self.bind(&run.parsed, &run.declared())?)?;
            run.columns = self.utility_columns(&bound)?;
            run.binary = self.is_binary_fetch(&bound);
            run.bound = Some(Box::new(bound));
        }
        Ok(())
    }

    /// A bound statement as a run.
    pub(crate) fn start_utility(&mut self, parsed: &ParsedStatement, bound: Statement) -> Result<Run> {
        let columns = self.utility_columns(&bound)?;
        let binary = self.is_binary_fetch(&bound);
        let mut run = UtilityRun::new(parsed.clone(), Arc::new([]), Vec::new());
        (run.bound, run.columns, run.binary) = (Some(Box::new(bound)), columns, binary);
        Ok(Run::Utility(Box::new(run)))
    }

    fn is_binary_fetch(&self, bound: &Statement) -> bool {
        matches!(bound, Statement::Utility(u) if matches!(&**u, Utility::Fetch(f) if self.fetches_binary(f)))
    }

    fn utility_columns(&mut self, bound: &Statement) -> Result<Option<Vec<ResultColumn>>> {
        let plan_column = |format: ExplainFormat| {
            let ty = match format {
                ExplainFormat::Json => oid::JSON,
                ExplainFormat::Xml => oid::XML,
                ExplainFormat::Text | ExplainFormat::Yaml => oid::TEXT,
            };
            text_column("QUERY PLAN", ty)
        };
        Ok(match bound {
            Statement::Explain(_, options) => Some(vec![plan_column(options.format)]),
            Statement::Query(_) => None,
            Statement::Utility(u) => match &**u {
                Utility::Show(Some(name)) => Some(vec![text_column(&self.show(name)?.0, oid::TEXT)]),
                Utility::Show(None) => {
                    Some(["name", "setting", "description"].map(|n| text_column(n, oid::TEXT)).into())
                }
                Utility::ExplainExecute(_, options) => Some(vec![plan_column(options.format)]),
                Utility::Execute(execute) => self.execute_columns(execute)?,
                Utility::Fetch(fetch) if !fetch.move_only => self.fetch_columns(fetch)?,
                _ => None,
            },
        })
    }

    /// Runs a utility statement; what remains to be done of it is left in `run`.
    pub(crate) fn run_utility(
        &mut self,
        utility: UtilityRun,
        run: &mut Run,
        formats: &Formats,
        limit: u64,
        out: &mut Encoder,
    ) -> Result<Progress> {
        let declared = utility.declared();
        let UtilityRun { parsed, bound, params, .. } = utility;
        let bound = match bound {
            Some(bound) => *bound,
            None => expect_utility(self.bind(&parsed, &declared)?)?,
        };
        match bound {
            Statement::Explain(..) => {
                let lines = self.explain(&parsed, &declared, &params)?;
                *run = Run::text("EXPLAIN", &["QUERY PLAN"], lines);
                self.drive(run, formats, limit, out)
            }
            Statement::Utility(u) => {
                match &*u {
                    Utility::Copy(copy) => {
                        let from = matches!(copy.target, CopyTarget::From { .. });
                        self.audit_copy(from, parsed.text())?;
                    }
                    _ => self.audit_utility(parsed.tag(), parsed.text())?,
                }
                // What EXECUTE runs counts itself.
                let started = self.counting().filter(|_| !matches!(*u, Utility::Execute(_)));
                let progress = self.run_bound((&parsed, params), *u, run, formats, limit, out)?;
                if let Some(started) = started {
                    self.count_utility(&parsed, &started);
                }
                Ok(progress)
            }
            Statement::Query(_) => Err(SqlError::internal("a utility statement became a query")),
        }
    }

    fn run_bound(
        &mut self,
        (parsed, params): (&ParsedStatement, Vec<Value>),
        utility: Utility,
        run: &mut Run,
        formats: &Formats,
        limit: u64,
        out: &mut Encoder,
    ) -> Result<Progress> {
        let tag = match utility {
            Utility::Transaction(t) => self.transaction_statement(&t)?,
            Utility::SetTransaction { session, modes } => {
                self.set_transaction_statement(session, modes)?;
                "SET"
            }
            Utility::Set(set) => {
                self.set(&set)?;
                "SET"
            }
            Utility::SetRole(s) => {
                self.become_role(s.name.as_deref(), s.session, s.local)?;
                "SET"
            }
            Utility::Reset(name) => {
                self.reset(name.as_deref())?;
                "RESET"
            }
            Utility::Show(name) => {
                let rows = match name {
                    Some(name) => {
                        let (title, value) = self.show(&name)?;
                        *run = Run::text("SHOW", &[&title], vec![vec![Some(value)]]);
                        return self.drive(run, formats, limit, out);
                    }
                    None => self.env.settings_mut().show_all(),
                };
                let rows = rows.into_iter().map(|r| r.map(Some).into()).collect();
                *run = Run::text("SHOW", &["name", "setting", "description"], rows);
                return self.drive(run, formats, limit, out);
            }
            Utility::Listen(channel) => {
                self.env.messages().listen(&channel)?;
                "LISTEN"
            }
            Utility::Unlisten(channel) => {
                self.env.messages().unlisten(channel.as_deref());
                "UNLISTEN"
            }
            Utility::Notify { channel, payload } => {
                self.env.messages().notify(&channel, &payload)?;
                "NOTIFY"
            }
            Utility::Discard(what) => self.discard(what)?,
            Utility::Deallocate(name) => self.deallocate(name.as_deref())?,
            Utility::Prepare(prepare) => {
                self.prepare_statement(&prepare, parsed.source())?;
                "PREPARE"
            }
            Utility::Execute(execute) => return self.execute_statement(&execute, run, formats, limit, out),
            Utility::ExplainExecute(execute, options) => {
                let lines = self.explain_execute(&execute, &options)?;
                *run = Run::text("EXPLAIN", &["QUERY PLAN"], lines);
                return self.drive(run, formats, limit, out);
            }
            Utility::CreateTableAsExecute(execute) => {
                let tag = self.create_table_as_execute(parsed, &execute)?;
                self.env.drain_notices(out);
                out.command_complete(&tag);
                *run = Run::Done("");
                return Ok(Progress::Complete);
            }
            Utility::CreateSchema(schema) if !schema.elements.is_empty() => {
                self.create_schema(schema, &params)?;
                "CREATE SCHEMA"
            }
            Utility::Declare(declare) => {
                self.declare(parsed, declare, params)?;
                "DECLARE CURSOR"
            }
            Utility::Fetch(fetch) => return self.fetch(&fetch, formats, out),
            Utility::Close(name) => self.close_cursor(name.as_deref())?,
            Utility::Copy(copy) => return self.copy(parsed, copy, out),
            Utility::Extension(create @ ExtensionStatement::Create { .. }) => {
                self.create_extension(&create)?;
                create.tag()
            }
            other => {
                let tag = self.engine_utility(&other, &params)?;
                self.env.drain_notices(out);
                out.command_complete(&tag);
                *run = Run::Done("");
                return Ok(Progress::Complete);
            }
        };
        self.env.drain_notices(out);
        out.command_complete(tag);
        *run = Run::Done(tag);
        Ok(Progress::Complete)
    }

    pub(crate) fn engine_utility(&mut self, utility: &Utility, params: &[Value]) -> Result<String> {
        match utility {
            Utility::Vacuum(_) => self.prevent_in_block("VACUUM")?,
            Utility::Database(s @ (DatabaseStatement::Create { .. } | DatabaseStatement::Drop { .. })) => {
                self.prevent_in_block(s.tag())?;
            }
            Utility::Lock(_) if !self.tx.in_block() && !self.tx.pipeline => {
                return Err(SqlError::new(
                    SqlState::NO_ACTIVE_SQL_TRANSACTION,
                    "LOCK TABLE can only be used in transaction blocks",
                ));
            }
            Utility::CreateIndex(i) if i.concurrently => {
                self.prevent_in_block("CREATE INDEX CONCURRENTLY")?;
            }
            Utility::Drop(d) if d.concurrently => self.prevent_in_block("DROP INDEX CONCURRENTLY")?,
            Utility::Cluster(None) => self.prevent_in_block("CLUSTER")?,
            Utility::Reindex { concurrently: true, .. } => self.prevent_in_block("REINDEX CONCURRENTLY")?,
            Utility::ReindexAll { database: true, .. } => self.prevent_in_block("REINDEX DATABASE")?,
            Utility::ReindexAll { .. } => self.prevent_in_block("REINDEX SCHEMA")?,
            _ => {}
        }
        self.tx.used = true;
        let engine = self.engine.clone();
        let Some(txn) = &mut self.tx.txn else { return Err(no_transaction()) };
        let outcome = engine.utility(utility, &ExecContext::new(&engine, &self.env, txn, params))?;
        txn.storage().next_command();
        Ok(outcome.tag)
    }

    /// Lines of EXPLAIN. As if the statement was to run, its tables are locked.
    fn explain(
        &mut self,
        parsed: &ParsedStatement,
        declared: &[Option<Oid>],
        params: &[Value],
    ) -> Result<Vec<Vec<Option<String>>>> {
        let engine = self.engine.clone();
        for _ in 0..CATALOG_TURNS {
            let version = engine.catalog_version();
            let Statement::Explain(query, options) = expect_utility(self.bind(parsed, declared)?)? else {
                return Err(SqlError::internal("EXPLAIN became another statement"));
            };
            let (started, before) = (platform::time::monotonic(), tally::read());
            let Some(txn) = &mut self.tx.txn else { return Err(no_transaction()) };
            let reader = engine.reader(txn, &self.env)?;
            let planned = Arc::new(pg_planner::plan(query, &*reader, &self.env.derived().planner)?);
            let planning = Measured {
                planning_ms: (platform::time::monotonic() - started).as_secs_f64() * 1000.0,
                planning: usage_of(&tally::read().since(&before)),
                ..Measured::default()
            };
            drop(reader);
            if engine.lock_plan(txn, &planned, version)? {
                return self.explain_planned(&planned, &options, params, planning);
            }
        }
        Err(never_still())
    }

    /// Lines of EXPLAIN for a plan whose tables are locked.
    pub(crate) fn explain_planned(
        &mut self,
        planned: &Arc<Planned>,
        options: &ExplainOptions,
        params: &[Value],
        mut measured: Measured,
    ) -> Result<Vec<Vec<Option<String>>>> {
        if let Some(e) = &planned.denied {
            return Err((**e).clone());
        }
        let engine = self.engine.clone();
        let Some(txn) = &mut self.tx.txn else { return Err(no_transaction()) };
        if options.analyze {
            self.tx.used = true;
            let started = platform::time::monotonic();
            let mut cursor = Cursor::new(planned)?;
            cursor.instrument();
            let cx = ExecContext::new(&engine, &self.env, txn, params);
            cursor.open(&cx)?;
            while cursor.next(&cx)?.is_some() {}
            measured.computed = computed_of(&cx.compute.borrow());
            measured.actual = cursor.stats().iter().map(actual_of).collect();
            measured.execution_ms = (platform::time::monotonic() - started).as_secs_f64() * 1000.0;
        }
        let reader = engine.reader(txn, &self.env)?;
        if options.settings {
            measured.settings = planner_settings(&self.env)?;
        }
        let lines = pg_planner::explain(planned, options, &*reader, &measured)?;
        Ok(lines.into_iter().map(|l| vec![Some(l)]).collect())
    }

    fn set_transaction_statement(&mut self, session: bool, modes: pg_plan::statement::Modes) -> Result<()> {
        if session {
            let superuser = self.env.identity().superuser;
            let settings = self.env.settings_mut();
            if let Some(level) = modes.isolation {
                let name = level_name(level);
                settings.set("default_transaction_isolation", &[name], Scope::Session, superuser)?;
            }
            let flags = [
                ("default_transaction_read_only", modes.read_only),
                ("default_transaction_deferrable", modes.deferrable),
            ];
            for (name, on) in flags {
                if let Some(on) = on {
                    let value = if on { "on" } else { "off" };
                    settings.set(name, &[value], Scope::Session, superuser)?;
                }
            }
            self.env.apply_settings(false);
            return Ok(());
        }
        if !self.tx.in_block() && !self.tx.pipeline {
            self.env.warn(
                Severity::Warning,
                SqlError::new(
                    SqlState::NO_ACTIVE_SQL_TRANSACTION,
                    "SET TRANSACTION can only be used in transaction blocks",
                ),
            );
        }
        self.set_transaction(modes)
    }

    /// SET ROLE, SET SESSION AUTHORIZATION.
    fn become_role(&mut self, name: Option<&str>, session: bool, local: bool) -> Result<()> {
        let engine = self.engine.clone();
        let Some(txn) = &mut self.tx.txn else { return Err(no_transaction()) };
        let roles = engine.reader(txn, &self.env)?.roles()?;
        self.env.become_role(name, session, local, &roles)?;
        self.env.apply_settings(false);
        Ok(())
    }

    fn set(&mut self, set: &Set) -> Result<()> {
        if matches!(set.name.as_str(), "role" | "session_authorization") {
            let session = set.name != "role";
            let name = set.values.first().map(String::as_str).filter(|v| session || *v != "none");
            return self.become_role(name, session, set.local);
        }
        if set.local && !self.tx.in_block() && !self.tx.pipeline {
            self.env.warn(
                Severity::Warning,
                SqlError::new(
                    SqlState::NO_ACTIVE_SQL_TRANSACTION,
                    "SET LOCAL can only be used in transaction blocks",
                ),
            );
        }
        let scope = if set.local { Scope::Transaction } else { Scope::Session };
        let superuser = self.env.identity().superuser;
        match set.name.as_str() {
            "transaction_isolation" => {
                let level = level_by_name(&self.checked(set)?);
                return self.set_transaction(Modes { isolation: Some(level), ..Modes::default() });
            }
            "transaction_read_only" => {
                let on = self.checked(set)? == "on";
                return self.set_transaction(Modes { read_only: Some(on), ..Modes::default() });
            }
            "transaction_deferrable" => {
                let on = self.checked(set)? == "on";
                return self.set_transaction(Modes { deferrable: Some(on), ..Modes::default() });
            }
            _ => {}
        }
        let settings = self.env.settings_mut();
        if set.values.is_empty() {
            settings.reset(&set.name, scope, superuser)?;
        } else {
            settings.set(&set.name, &set.values, scope, superuser)?;
        }
        self.env.apply_settings(false);
        Ok(())
    }

    /// The canonical value of a setting that is not stored.
    fn checked(&mut self, set: &Set) -> Result<String> {
        let mut scratch = crate::settings::Settings::default();
        if !set.values.is_empty() {
            scratch.set(&set.name, &set.values, Scope::Session, false)?;
        }
        scratch.show(&set.name).map(|(_, value)| value)
    }

    fn reset(&mut self, name: Option<&str>) -> Result<()> {
        let superuser = self.env.identity().superuser;
        match name {
            Some("role") => return self.become_role(None, false, false),
            Some("session_authorization") => return self.become_role(None, true, false),
            Some(name) => self.env.settings_mut().reset(name, Scope::Session, superuser)?,
            None => self.env.settings_mut().reset_all(),
        }
        self.env.apply_settings(false);
        Ok(())
    }

    /// SHOW: title and value.
    fn show(&self, name: &str) -> Result<(String, String)> {
        self.env.show(name)
    }

    fn discard(&mut self, what: Discard) -> Result<&'static str> {
        match what {
            Discard::All => {
                self.prevent_in_block("DISCARD ALL")?;
                self.portals.close_all();
                self.become_role(None, true, false)?;
                self.env.settings_mut().reset_all();
                self.env.apply_settings(false);
                self.statements.clear();
                self.unnamed = None;
                self.env.discard_sequences();
                self.env.release_session_locks();
                self.env.messages().unlisten(None);
                self.drop_temporary()?;
                Ok("DISCARD ALL")
            }
            Discard::Plans => {
                for stored in self.statements.values_mut().chain(&mut self.unnamed) {
                    stored.cursor = None;
                }
                Ok("DISCARD PLANS")
            }
            Discard::Sequences => {
                self.env.discard_sequences();
                Ok("DISCARD SEQUENCES")
            }
            Discard::Temp => {
                self.drop_temporary()?;
                Ok("DISCARD TEMP")
            }
        }
    }

    fn deallocate(&mut self, name: Option<&str>) -> Result<&'static str> {
        match name {
            Some(name) => {
                if self.statements.remove(name).is_none() {
                    return Err(SqlError::new(
                        SqlState::INVALID_SQL_STATEMENT_NAME,
                        alloc::format!("prepared statement \"{name}\" does not exist"),
                    ));
                }
                Ok("DEALLOCATE")
            }
            None => {
                self.statements.clear();
                self.unnamed = None;
                Ok("DEALLOCATE ALL")
            }
        }
    }
}

/// Settings that plans depend on and that are not as they are by default, as SHOW has them.
fn planner_settings(env: &Env) -> Result<Vec<(String, String)>> {
    const OTHERS: [&str; 3] = ["work_mem", "hash_mem_multiplier", "search_path"];
    let mut rows = pg_executor::Session::settings(env);
    rows.retain(|s| s.category.starts_with("Query Tuning") || OTHERS.contains(&s.name.as_str()));
    rows.retain(|s| s.boot_val.as_ref() != Some(&s.setting));
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows.into_iter().map(|s| env.show(&s.name)).collect()
}

fn usage_of(t: &Tallies) -> Usage {
    Usage {
        hit: t.of(Tally::PageHit),
        read: t.of(Tally::PageRead),
        dirtied: t.of(Tally::PageDirtied),
        written: t.of(Tally::PageWritten),
        temporary_read: t.of(Tally::TemporaryRead),
        temporary_written: t.of(Tally::TemporaryWritten),
        log_records: t.of(Tally::LogRecords),
        log_images: t.of(Tally::LogImages),
        log_bytes: t.of(Tally::LogBytes),
    }
}

fn computed_of(usage: &ComputeUsage) -> pg_planner::Computed {
    let ms = |d: core::time::Duration| d.as_secs_f64() * 1000.0;
    pg_planner::Computed {
        device: usage.device.clone(),
        processor: usage.processor_name,
        reason: usage.reason.map(|reason| match reason {
            ComputeReason::Asked => "compute_backend is cpu",
            ComputeReason::NoDevice => "no device is there",
            ComputeReason::EachTick => "values are recorded after each tick",
        }),
        commands: usage.commands,
        bytes: usage.bytes,
        transfer_ms: ms(usage.transfer),
        compute_ms: ms(usage.compute),
        processor_ms: ms(usage.processor),
        failures: usage.failures,
    }
}

#[allow(clippy::cast_precision_loss, reason = "times for people")]
fn actual_of(s: &NodeStats) -> pg_planner::Actual {
    let loops = s.loops.max(1) as f64;
    pg_planner::Actual {
        startup_ms: s.first_micros as f64 / 1000.0 / loops,
        total_ms: s.total_micros as f64 / 1000.0 / loops,
        rows: s.rows,
        loops: s.loops,
        filtered: s.filtered,
        unwanted: s.unwanted,
        heap_fetches: s.heap_fetches,
        usage: usage_of(&s.usage),
        held: s.held.map(|h| pg_planner::Held {
            memory: h.memory,
            disk: h.disk,
            batches: h.batches,
            buckets: h.buckets,
            top: h.top,
            average: h.average,
        }),
    }
}
