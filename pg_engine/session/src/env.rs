//! The session as the statements it runs see it ([`pg_executor::Session`]).

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{cell::RefCell, net::SocketAddr};

use pg_catalog::{CatalogReader, Relation, Roles, Routine};
use pg_executor::{
    ActivityRow, CursorRow, DatabaseRow, Engine, PreparedStatementRow, SequenceMemory, Session, SessionTypes,
    SettingRow, StatementInfo, StatementRow, StoredCondition, StoredQuery, Temporary,
};
use pg_plan::{
    access::RoleName,
    expr::Expr,
    routine::{PlannedBody, Resolved},
    statement::{Planned, Query},
};
use pg_storage::SessionLocks;
use pg_types::{
    Oid, Result, SqlError, SqlState, SqlType,
    format::FormatSettings,
    user::{Types, is_domain},
};
use pg_wire::{
    Encoder, Severity,
    scram::{self, Verifier},
};
use platform::sync::Mutex;

use crate::{
    databases::Database,
    interrupt::{Interrupts, Reason},
    notify::{Channels, Messages},
    registry::{Activity, Handle, Registry},
    routine::Routines,
    server::Shared,
    settings::{Derived, Kind, Scope, Settings, find},
    statement,
};

/// Microseconds from 1970 to 2000.
const EPOCH: i64 = 946_684_800_000_000;

/// Now, in microseconds since 2000-01-01 UTC.
pub fn now() -> i64 {
    platform::time::wall_clock_micros() - EPOCH
}

/// A role that a session may act as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// Oid.
    pub oid: Oid,
    /// Name.
    pub name: String,
    /// SUPERUSER.
    pub superuser: bool,
}

/// Who is connected to what.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// Current user: oid.
    pub user: Oid,
    /// Its name.
    pub user_name: String,
    /// It is a superuser.
    pub superuser: bool,
    /// Database's name.
    pub database: String,
    /// Session user.
    pub session: Who,
}

/// See the module.
pub struct Env {
    shared: Arc<Shared>,
    database: Arc<Database>,
    engine: Arc<Engine>,
    registry: Arc<Registry>,
    handle: Arc<Handle>,
    /// Databases that others are kept out of until the transaction ends.
    claims: RefCell<Vec<Oid>>,
    identity: Identity,
    /// Who logged in.
    authenticated: Who,
    /// Roles that the session became: a transaction may have made them.
    known: RefCell<Vec<(String, Oid)>>,
    /// Version of the catalogs that told who is a superuser.
    roles_version: u64,
    settings: RefCell<Settings>,
    /// Copy of the derived settings; refreshed between statements, so that references may be handed out.
    derived: Derived,
    search_path: Vec<String>,
    notices: RefCell<Vec<(Severity, SqlError)>>,
    sequences: Mutex<SequenceMemory>,
    session_locks: Mutex<SessionLocks>,
    temporary: Temporary,
    messages: RefCell<Messages>,
    user_types: Arc<SessionTypes>,
    routines: Routines,
    statement_start: i64,
    /// As of the statement that reads them.
    objects: Objects,
    modes: ShownModes,
}

/// What a transaction's settings are shown as.
#[derive(Clone, Copy, Debug)]
pub struct ShownModes {
    /// transaction_isolation.
    pub isolation: &'static str,
    /// transaction_read_only.
    pub read_only: bool,
    /// transaction_deferrable.
    pub deferrable: bool,
}

impl Default for ShownModes {
    fn default() -> Self {
        Self { isolation: "read committed", read_only: false, deferrable: false }
    }
}

/// What a session holds: rows of `pg_prepared_statements` and `pg_cursors`.
#[derive(Default)]
pub struct Objects {
    /// Prepared statements.
    pub statements: Vec<PreparedStatementRow>,
    /// Portals with names.
    pub cursors: Vec<CursorRow>,
}

impl Env {
    /// For a session that has authenticated.
    pub fn new(
        shared: &Arc<Shared>,
        database: &Arc<Database>,
        handle: Arc<Handle>,
        identity: Identity,
        settings: Settings,
    ) -> Self {
        let session_locks = Mutex::new(SessionLocks::new(handle.pid as i32));
        let user_types = Arc::new(SessionTypes::new(database.engine.clone()));
        let mut env = Self {
            shared: shared.clone(),
            engine: database.engine.clone(),
            database: database.clone(),
            registry: shared.registry.clone(),
            handle,
            claims: RefCell::default(),
            authenticated: identity.session.clone(),
            known: RefCell::default(),
            roles_version: 0,
            identity,
            derived: settings.derived().clone(),
            settings: RefCell::new(settings),
            search_path: Vec::new(),
            notices: RefCell::default(),
            sequences: Mutex::new(SequenceMemory::default()),
            session_locks,
            temporary: Temporary::default(),
            messages: RefCell::default(),
            user_types,
            routines: Routines::default(),
            statement_start: now(),
            objects: Objects::default(),
            modes: ShownModes::default(),
        };
        env.apply_settings(true);
        env
    }
    /// What values of a type are read as: of a domain the type below.
    #[inline]
    pub fn plain_type(&self, ty: SqlType) -> Result<SqlType> {
        if !is_domain(ty.oid) {
            return Ok(ty);
        }
        let described = self.derived.format.types.get(ty.oid)?;
        Ok(described.domain().map_or(ty, |d| d.base))
    }
    /// A role's name.
    pub fn role_name(&self, role: Oid) -> String {
        let roles = self.engine.catalog().roles().ok();
        roles.and_then(|r| r.name(role).map(String::from)).unwrap_or_default()
    }
    /// The name of a role that a statement names.
    pub fn named_role(&self, role: &RoleName) -> Result<String> {
        Ok(match role {
            RoleName::Name(name) => name.clone(),
            RoleName::SessionUser => self.identity.session.name.clone(),
            RoleName::CurrentUser => self.user_name(),
            RoleName::Public => return Err(SqlError::internal("PUBLIC owns nothing")),
        })
    }
    /// A role's number.
    pub fn role_oid(&self, name: &str) -> Option<Oid> {
        self.engine.catalog().roles().ok().and_then(|r| r.find(name))
    }
    /// A script begins that looks for names in these schemas; [`Session::leave_routine`] ends it.
    pub fn enter_path(&self, path: Vec<String>, role: Option<(Oid, String)>) {
        self.routines.enter_path(path, role);
    }
    /// A script begins; [`Session::leave_routine`] ends it.
    pub fn enter_script(&self, schema: String, role: Option<(Oid, String)>) {
        self.routines.enter_script(schema, role);
    }
    /// Called before each statement: its time, and settings changed since. `started` is when the transaction that it
    /// is part of began: that is what `'now'` means throughout it.
    /// `first`: it is the transaction's first statement, and both have one time.
    pub fn begin_statement(&mut self, started: Option<i64>, first: bool) {
        self.statement_start = started.filter(|_| first).unwrap_or_else(now);
        self.derived.format.now = started.unwrap_or(self.statement_start);
        self.apply_settings(false);
        if self.roles_version != self.engine.catalog_version() {
            self.identify();
        }
    }
    /// The transaction has ended: what it kept others out of is open again.
    #[inline]
    pub fn release_claims(&self) {
        if !self.claims.borrow().is_empty() {
            self.open_claimed();
        }
    }
    #[cold]
    fn open_claimed(&self) {
        for database in self.claims.take() {
            self.shared.databases.release(&self.shared, database);
        }
    }
    /// What the statement that runs now is to find in the views of the session.
    pub fn set_objects(&mut self, objects: Objects) {
        self.objects = objects;
    }
    /// What the transaction is like from now on.
    pub fn set_modes(&mut self, modes: ShownModes) {
        self.modes = modes;
    }
    /// A setting that belongs to the transaction, as shown.
    fn shown_mode(&self, name: &str) -> Option<(&'static str, &'static str)> {
        let word = |on| if on { "on" } else { "off" };
        match name.to_ascii_lowercase().as_str() {
            "transaction_isolation" => Some(("transaction_isolation", self.modes.isolation)),
            "transaction_read_only" => Some(("transaction_read_only", word(self.modes.read_only))),
            "transaction_deferrable" => Some(("transaction_deferrable", word(self.modes.deferrable))),
            _ => None,
        }
    }
    /// SHOW: title and value.
    pub fn show(&self, name: &str) -> Result<(String, String)> {
        match self.shown_mode(name) {
            Some((name, value)) => Ok((name.into(), value.into())),
            None => self.settings.borrow().show(name),
        }
    }
    /// A transaction begins: the time of its first statement, too.
    pub fn begin_transaction(&mut self, started: i64) {
        self.statement_start = started;
        self.derived.format.now = started;
    }
    /// Finds out who the user is by now: SET ROLE, SET SESSION AUTHORIZATION and their undoing change settings.
    fn identify(&mut self) {
        self.roles_version = self.engine.catalog_version();
        let Ok(roles) = self.engine.catalog().roles() else { return };
        let resolve = |name: &str, otherwise: &Who| {
            let known = self.known.borrow();
            let oid = if name == self.authenticated.name {
                Some(self.authenticated.oid)
            } else {
                known.iter().rev().find(|k| k.0 == name).map(|k| k.1).or_else(|| roles.find(name))
            };
            oid.map_or_else(
                || otherwise.clone(),
                |oid| Who { oid, name: name.into(), superuser: roles.is_superuser(oid) },
            )
        };
        let settings = self.settings.borrow();
        let value = |name: &str| settings.show(name).map_or_else(|_| String::new(), |v| v.1);
        let session = resolve(&value("session_authorization"), &self.authenticated);
        let role = value("role");
        let user = if role == "none" { session.clone() } else { resolve(&role, &session) };
        drop(settings);
        if self.identity.superuser != user.superuser {
            self.settings.get_mut().set_internal("is_superuser", if user.superuser { "on" } else { "off" });
        }
        let granted = match user.superuser {
            true => Vec::new(),
            false => self.engine.catalog().granted_parameters(user.oid, &roles).unwrap_or_default(),
        };
        self.settings.get_mut().grant(granted);
        let Who { oid, name, superuser } = user;
        let database = core::mem::take(&mut self.identity.database);
        self.identity = Identity { user: oid, user_name: name, superuser, database, session };
    }
    /// Checks that the session may become the role, and does so. `None`: none.
    pub fn become_role(&self, name: Option<&str>, session: bool, local: bool, roles: &Roles) -> Result<()> {
        let scope = if local { Scope::Transaction } else { Scope::Session };
        let mut settings = self.settings.borrow_mut();
        let setting = if session { "session_authorization" } else { "role" };
        let Some(name) = name else {
            let value = if session { self.authenticated.name.as_str() } else { "none" };
            settings.assign(setting, Some(value), scope);
            if session {
                settings.assign("role", Some("none"), scope);
            }
            return Ok(());
        };
        let oid = roles.find(name).ok_or_else(|| {
            let text = alloc::format!("role \"{name}\" does not exist");
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text)
        })?;
        let may = match session {
            true => oid == self.authenticated.oid || roles.is_superuser(self.authenticated.oid),
            false => roles.is_member_of(self.identity.session.oid, oid),
        };
        if !may {
            let text = match session {
                true => String::from("permission denied to set session authorization"),
                false => alloc::format!("permission denied to set role \"{name}\""),
            };
            return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, text));
        }
        let mut known = self.known.borrow_mut();
        known.retain(|k| k.0 != name);
        known.push((name.into(), oid));
        settings.assign(setting, Some(name), scope);
        if session {
            settings.assign("role", Some("none"), scope);
        }
        Ok(())
    }
    /// Leaves the routines that a panic went through.
    pub fn leave_routines(&self) {
        self.routines.leave_all(&|name, value| self.assign_for_routine(name, value));
    }
    /// Brings the derived settings up to date.
    #[inline]
    pub fn apply_settings(&mut self, always: bool) {
        if self.settings.get_mut().is_stale() || always {
            self.derive_settings();
        }
    }
    #[cold]
    fn derive_settings(&mut self) {
        let settings = self.settings.get_mut();
        settings.refresh();
        {
            let now = self.derived.format.now;
            self.derived = settings.derived().clone();
            self.derived.format.now = now;
            self.derived.format.types = Types::new(self.user_types.clone());
            self.identify();
            let settings = self.settings.get_mut();
            let user = &self.identity.user_name;
            self.search_path = self
                .derived
                .search_path
                .iter()
                .map(|s| if s == "$user" { user.clone() } else { s.clone() })
                .collect();
            if let Ok((_, name)) = settings.show("application_name") {
                self.handle.activity.lock().application_name = name;
            }
            for notice in settings.take_notices() {
                self.warn(Severity::Notice, notice);
            }
        }
    }
    /// The settings, for changing them.
    pub fn settings_mut(&mut self) -> &mut Settings {
        self.settings.get_mut()
    }
    /// The ready values.
    pub fn derived(&self) -> &Derived {
        &self.derived
    }
    /// Who and where.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
    /// The public side of this session.
    pub fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }
    /// The interrupt flags.
    pub fn interrupts(&self) -> &Interrupts {
        &self.handle.interrupts
    }
    /// A notice from the session itself.
    pub fn warn(&self, severity: Severity, report: SqlError) {
        if severity >= self.derived.min_messages || severity == Severity::Info {
            self.notices.borrow_mut().push((severity, report));
        }
    }
    /// Sends collected notices.
    #[inline]
    pub fn drain_notices(&self, out: &mut Encoder) {
        if !self.notices.borrow().is_empty() {
            self.send_notices(out);
        }
    }
    #[cold]
    fn send_notices(&self, out: &mut Encoder) {
        for (severity, report) in self.notices.take() {
            out.report(severity, &report);
        }
    }
    /// Gives back the locks that outlast transactions.
    pub fn release_session_locks(&self) {
        self.engine.storage().unlock_session(&mut self.session_locks.lock());
    }
    /// Gives back the number of the schema of temporary relations, once those are gone.
    pub fn release_temporary_number(&self) {
        self.registry.release_temporary_number(self.temporary.number());
    }
    /// What is listened to, and what the transaction has said.
    pub fn messages(&self) -> core::cell::RefMut<'_, Messages> {
        self.messages.borrow_mut()
    }
    /// Who listens to what.
    pub fn channels(&self) -> &Channels {
        &self.database.channels
    }
    /// DISCARD SEQUENCES.
    pub fn discard_sequences(&self) {
        *self.sequences.lock() = SequenceMemory::default();
    }
    /// Gives a setting the value that a routine asks for; returns the one before.
    fn assign_for_routine(&self, name: &str, value: &str) -> Result<String> {
        let before = self.settings.borrow().show(name).map_or_else(|_| String::new(), |v| v.1);
        self.settings.borrow_mut().set_text(name, value, Scope::Transaction, true)?;
        Ok(before)
    }
    /// Publishes what the session does.
    pub fn publish(&self, update: impl FnOnce(&mut Activity)) {
        update(&mut self.handle.activity.lock());
    }
}

impl Session for Env {
    fn setting(&self, name: &str) -> Option<String> {
        self.show(name).ok().map(|(_, value)| value)
    }
    fn set_setting(&self, name: &str, value: &str, local: bool) -> Result<()> {
        if let Some((name, current)) = self.shown_mode(name)
            && !current.eq_ignore_ascii_case(value)
        {
            return Err(SqlError::unsupported(format!("set_config of {name}")));
        }
        let scope = if local { Scope::Transaction } else { Scope::Session };
        if let lower @ ("role" | "session_authorization") = name.to_ascii_lowercase().as_str() {
            let session = lower != "role";
            let name = Some(value).filter(|v| session || *v != "none");
            return self.become_role(name, session, local, &*self.engine.catalog().roles()?);
        }
        let mut settings = self.settings.borrow_mut();
        settings.set_text(name, value, scope, self.identity.superuser)?;
        settings.take_notices().into_iter().for_each(|n| self.warn(Severity::Notice, n));
        Ok(())
    }
    fn settings(&self) -> Vec<SettingRow> {
        let mut rows = self.settings.borrow().rows();
        for row in &mut rows {
            if let Some((_, value)) = self.shown_mode(&row.name) {
                row.setting = value.into();
            }
        }
        rows
    }
    fn activity(&self) -> Vec<ActivityRow> {
        self.registry.activity()
    }
    fn statements(&self) -> (Vec<StatementRow>, StatementInfo) {
        let stats = &self.shared.statement_stats;
        (stats.rows(), stats.info())
    }
    fn reset_statements(&self, user: Oid, database: Oid, query: i64) {
        self.shared.statement_stats.reset(user, database, query);
    }
    fn databases(&self) -> Vec<DatabaseRow> {
        self.registry.databases()
    }
    fn prepared_statements(&self) -> Vec<PreparedStatementRow> {
        self.objects.statements.clone()
    }
    fn cursors(&self) -> Vec<CursorRow> {
        self.objects.cursors.clone()
    }
    fn format(&self) -> &FormatSettings {
        &self.derived.format
    }
    fn user_types(&self) -> Option<&SessionTypes> {
        Some(&self.user_types)
    }
    fn search_path(&self) -> Vec<String> {
        self.routines.path().unwrap_or_else(|| self.search_path.clone())
    }
    fn user(&self) -> Oid {
        self.routines.user().map_or(self.identity.user, |u| u.0)
    }
    fn user_name(&self) -> String {
        self.routines.user().map_or_else(|| self.identity.user_name.clone(), |u| u.1)
    }
    fn session_user(&self) -> Oid {
        self.identity.session.oid
    }
    fn row_security(&self) -> bool {
        self.derived.row_security
    }
    fn checks_bodies(&self) -> bool {
        self.settings.borrow().show("check_function_bodies").is_ok_and(|v| v.1 == "on")
    }
    fn checked_setting(&self, name: &str, values: &[String]) -> Result<String> {
        let mut scratch = self.settings.borrow().scratch();
        scratch.set(name, values, Scope::Session, self.identity.superuser)?;
        let list = find(name).is_some_and(|d| d.kind == Kind::List);
        let texts: Vec<String> = values
            .iter()
            .map(|v| if list { pg_executor::text::quote_identifier(v) } else { v.clone() })
            .collect();
        Ok(texts.join(", "))
    }
    fn check_parameter(&self, name: &str) -> Result<()> {
        Settings::check_name(name)
    }
    fn session_user_name(&self) -> String {
        self.identity.session.name.clone()
    }
    fn database(&self) -> String {
        self.identity.database.clone()
    }
    fn backend_pid(&self) -> i32 {
        self.handle.pid_i32()
    }
    fn client_address(&self) -> Option<(String, u16)> {
        Some(address(self.handle.peer))
    }
    fn keywords(&self) -> Vec<Vec<pg_types::Value>> {
        pg_sql::keyword_rows()
    }
    fn statement_timestamp(&self) -> i64 {
        self.statement_start
    }
    fn server_start(&self) -> i64 {
        self.registry.started
    }
    fn claim_database(&self, database: Oid, force: bool) -> usize {
        let others = self.shared.databases.claim(&self.shared, &self.handle, database, force);
        if others == 0 {
            self.claims.borrow_mut().push(database);
        }
        others
    }
    fn signal_backend(&self, pid: i32, terminate: bool) -> bool {
        let reason = if terminate { Reason::Terminate } else { Reason::Cancel };
        let Some(handle) = u32::try_from(pid).ok().and_then(|pid| self.registry.find(pid)) else {
            return false;
        };
        handle.interrupt(reason);
        self.engine.storage().wake_canceled();
        true
    }
    fn interrupted(&self) -> Option<SqlError> {
        self.handle.interrupts.pending().map(Reason::error)
    }
    fn notice(&self, severity: &'static str, report: SqlError) {
        let severity = match severity {
            "WARNING" => Severity::Warning,
            "INFO" => Severity::Info,
            "LOG" => Severity::Log,
            "DEBUG" => Severity::Debug,
            _ => Severity::Notice,
        };
        self.warn(severity, report);
    }
    fn sequences(&self) -> &Mutex<SequenceMemory> {
        &self.sequences
    }
    fn temporary(&self) -> &Temporary {
        &self.temporary
    }
    fn take_temporary_number(&self) -> u32 {
        self.registry.take_temporary_number()
    }
    fn notify(&self, channel: &str, payload: &str) -> Result<()> {
        self.messages().notify(channel, payload)
    }
    fn listening(&self) -> Vec<String> {
        self.messages().channels()
    }
    fn session_locks(&self) -> &Mutex<SessionLocks> {
        &self.session_locks
    }
    fn bind_expression(&self, catalog: &dyn CatalogReader, relation: &Relation, text: &str) -> Result<Expr> {
        statement::bind_expression(catalog, relation, text)
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
    fn changeable_columns(&self, catalog: &dyn CatalogReader, view: &Arc<Relation>) -> Option<Vec<bool>> {
        pg_sql::changeable_columns(view, catalog)
    }
    fn stored_query(&self, catalog: &dyn CatalogReader, text: &str) -> Result<Box<dyn StoredQuery>> {
        Ok(Box::new(ViewText(pg_sql::ViewQuery::bind(text, catalog)?)))
    }
    fn stored_condition(
        &self,
        catalog: &dyn CatalogReader,
        relation: &Relation,
        text: &str,
    ) -> Result<Box<dyn StoredCondition>> {
        Ok(Box::new(ConditionText(pg_sql::Condition::bind(text, relation, catalog)?)))
    }
    fn plan_query(&self, catalog: &dyn CatalogReader, text: &str) -> Result<Arc<Planned>> {
        statement::plan_text(catalog, text, &self.derived)
    }
    fn plan_bound(&self, catalog: &dyn CatalogReader, query: Query) -> Result<Arc<Planned>> {
        pg_planner::plan(query, catalog, &self.derived.planner).map(Arc::new)
    }
    fn plan_body(
        &self,
        catalog: &dyn CatalogReader,
        target: &Arc<Resolved>,
        shared: Option<u64>,
    ) -> Result<Arc<PlannedBody>> {
        self.routines.plan(catalog, target, shared, Session::search_path(self), &self.derived)
    }
    fn check_body(&self, catalog: &dyn CatalogReader, routine: &Arc<Routine>) -> Result<()> {
        pg_sql::check_body(routine, catalog, &self.derived.format)
    }
    fn enter_routine(&self, routine: &Routine) -> Result<()> {
        let owner = || self.role_name(routine.owner);
        self.routines.enter(routine, owner, || Session::user_name(self), &|name, value| {
            self.assign_for_routine(name, value)
        })
    }
    fn enter_owner(&self, role: Oid) {
        self.routines.enter_role(role, self.role_name(role));
    }
    fn leave_routine(&self) {
        self.routines.leave(&|name, value| self.assign_for_routine(name, value));
    }
    fn body_text(&self, catalog: &dyn CatalogReader, routine: &Routine) -> Result<Option<String>> {
        pg_sql::body_text(routine, catalog)
    }
    fn password_verifier(&self, password: &str) -> Result<String> {
        // A verifier made elsewhere is kept as it is.
        if Verifier::parse(password).is_some() {
            return Ok(password.into());
        }
        let mut salt = [0; scram::SALT_LEN];
        platform::entropy::fill(&mut salt);
        Ok(Verifier::new(password, &salt, scram::ITERATIONS).to_string())
    }
    fn memory_limit(&self) -> usize {
        256 << 20
    }
    fn work_memory(&self) -> (usize, usize) {
        let p = &self.derived.planner;
        (p.work_mem as usize, (p.work_mem * p.hash_mem_multiplier) as usize)
    }
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

fn address(peer: SocketAddr) -> (String, u16) {
    (peer.ip().to_canonical().to_string(), peer.port())
}
