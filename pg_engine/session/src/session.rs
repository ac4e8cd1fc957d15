//! A session: dispatches messages, contains panics, reports errors, says when it is ready.

use alloc::{borrow::Cow, boxed::Box, format, string::String, sync::Arc, vec::Vec};
use core::{net::SocketAddr, sync::atomic::Ordering::Relaxed, time::Duration};

use hashbrown::HashMap;
use pg_catalog::builtin::FIRST_DATABASE;
use pg_executor::Engine;
use pg_types::{Oid, Result, SqlError, SqlState};
use pg_wire::{Encoder, Frontend, Severity, WireError, frame::Packet, frontend::Target, transcode};
use platform::{net::Stream, task};

use crate::{
    connection::Step,
    copy::CopyIn,
    databases::Database,
    env::{self, Env, Identity, Who},
    interrupt::Reason,
    portal::{Portals, QueryRun},
    registry::Handle,
    server::Shared,
    settings::Settings,
    shape::Shapes,
    statement::{Plan, Stored},
    transaction::Tx,
};

/// Output is sent early when so much has gathered.
const OUTPUT_CHUNK: usize = 64 << 10;

/// See the module.
pub struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) database: Arc<Database>,
    /// The database's.
    pub(crate) engine: Arc<Engine>,
    pub(crate) env: Env,
    pub(crate) tx: Tx,
    pub(crate) statements: HashMap<Box<str>, Stored>,
    pub(crate) unnamed: Option<Stored>,
    pub(crate) portals: Portals,
    /// A COPY FROM STDIN waits for data.
    pub(crate) copy: Option<Box<CopyIn>>,
    /// After an error in the extended protocol: everything until Sync is ignored.
    skip: bool,
    /// ReadyForQuery was sent and no message came since.
    idle: bool,
    /// A statement timer was set.
    timed: bool,
    stream: Option<Arc<dyn Stream>>,
    /// It speaks the replication commands.
    pub(crate) replication: bool,
    /// Memory of the last run, to be used again.
    pub(crate) spare_run: Option<Box<QueryRun>>,
    pub(crate) shapes: Shapes,
}

impl Session {
    /// For a client that has authenticated.
    pub fn new(
        shared: &Arc<Shared>,
        database: &Arc<Database>,
        handle: &Arc<Handle>,
        identity: Identity,
        settings: Settings,
    ) -> Self {
        {
            let mut a = handle.activity.lock();
            a.user = identity.user;
            a.user_name.clone_from(&identity.user_name);
            a.database_name.clone_from(&identity.database);
            a.state = "idle";
            a.state_change = Some(env::now());
        }
        Self {
            env: Env::new(shared, database, handle.clone(), identity, settings),
            engine: database.engine.clone(),
            database: database.clone(),
            shared: shared.clone(),
            tx: Tx::default(),
            statements: HashMap::new(),
            unnamed: None,
            portals: Portals::default(),
            copy: None,
            skip: false,
            idle: true,
            timed: false,
            stream: None,
            replication: false,
            spare_run: None,
            shapes: Shapes::default(),
        }
    }

    /// A run of a plan, in memory that was used before.
    pub(crate) fn new_run(&mut self, plan: &Arc<Plan>) -> Box<QueryRun> {
        match self.spare_run.take() {
            Some(mut run) => {
                run.renew(plan);
                run
            }
            None => QueryRun::new(plan),
        }
    }

    /// The connection, if there is one.
    pub(crate) fn stream(&self) -> Option<&Arc<dyn Stream>> {
        self.stream.as_ref()
    }

    /// Gives it the connection, for sending results that do not fit the output buffer.
    pub fn attach(&mut self, stream: Arc<dyn Stream>) {
        self.stream = Some(stream);
    }

    /// The first messages of a session.
    pub fn greet(&mut self, out: &mut Encoder) {
        for (name, value) in self.env.settings_mut().all_reports() {
            out.parameter_status(name, &value);
        }
        let handle = self.env.handle();
        out.backend_key_data(handle.pid, handle.secret);
        out.ready_for_query(self.tx.status());
    }

    /// Handles one message. An error ends the connection.
    #[inline]
    pub fn handle(&mut self, message: Frontend<'_>, out: &mut Encoder) -> Result<Step> {
        if self.idle {
            self.wake();
        }
        out.set_encoding(self.env.derived().encoding);
        match task::catch_unwind(|| self.dispatch(message, out)) {
            Ok(done) => done,
            Err(panic) => {
                // These two are not followed by a Sync.
                let extended = !matches!(message, Frontend::Query(_) | Frontend::FunctionCall(_));
                self.panicked(&panic.message, extended, out)
            }
        }
    }

    /// A message that could not be decoded: fatal, unless only its text is at fault.
    pub fn malformed(&mut self, tag: u8, e: WireError, out: &mut Encoder) -> Result<Step> {
        if !e.recoverable() {
            return Err(e.into());
        }
        self.untold(tag, e.into(), out)
    }

    /// A message whose text is at fault.
    pub fn untold(&mut self, tag: u8, e: SqlError, out: &mut Encoder) -> Result<Step> {
        if self.skip && tag != b'S' {
            return Ok(Step::Continue);
        }
        if self.copy.take().is_some() || tag == b'Q' {
            return self.simple_failed(e, out);
        }
        self.extended_failed(e, out)
    }

    fn dispatch(&mut self, message: Frontend<'_>, out: &mut Encoder) -> Result<Step> {
        if self.copy.is_some() {
            return self.copy_message(message, out);
        }
        if self.skip && !matches!(message, Frontend::Sync | Frontend::Terminate) {
            return Ok(Step::Continue);
        }
        let done = match message {
            Frontend::Query(text) if self.replication => return self.replication_query(text, out),
            Frontend::Query(text) => return self.simple_query(text, out),
            Frontend::Parse { .. } | Frontend::Bind(_) | Frontend::Execute { .. } if self.replication => {
                Err(SqlError::new(
                    SqlState::PROTOCOL_VIOLATION,
                    "extended query protocol not supported in a replication connection",
                ))
            }
            Frontend::Parse { name, query, types } => self.parse(name, query, types, out),
            Frontend::Bind(bind) => self.bind_portal(&bind, out),
            Frontend::Describe(Target::Statement(name)) => self.describe_statement(name, out),
            Frontend::Describe(Target::Portal(name)) => self.describe_portal(name, out),
            Frontend::Execute { portal, max_rows } => self.execute_portal(portal, max_rows, out),
            Frontend::Close(target) => {
                self.close(target);
                out.close_complete();
                Ok(())
            }
            Frontend::Flush => return Ok(Step::Flush),
            Frontend::Sync => return self.sync(out),
            Frontend::Terminate => return Ok(Step::Close),
            // What is left of a COPY that failed.
            Frontend::CopyData(_) | Frontend::CopyDone | Frontend::CopyFail(_) => return Ok(Step::Continue),
            Frontend::FunctionCall(_) if self.replication => {
                let text = "fastpath function calls not supported in a replication connection";
                return self.simple_failed(SqlError::new(SqlState::PROTOCOL_VIOLATION, text), out);
            }
            Frontend::FunctionCall(call) => return self.function_call(&call, out),
            Frontend::Password(_) => {
                return Err(WireError::MessageType(b'p').into());
            }
        };
        match done {
            Ok(()) if self.copy.is_some() => Ok(Step::Flush),
            Ok(()) => Ok(Step::Continue),
            Err(e) => self.extended_failed(e, out),
        }
    }

    pub(crate) fn sync(&mut self, out: &mut Encoder) -> Result<Step> {
        self.skip = false;
        self.tx.pipeline = false;
        if let Err(e) = self.commit_implicit() {
            self.report(e, out)?;
        }
        self.ready(out);
        Ok(Step::Flush)
    }

    /// An error in the extended protocol.
    pub(crate) fn extended_failed(&mut self, e: SqlError, out: &mut Encoder) -> Result<Step> {
        self.report(e, out)?;
        self.skip = true;
        Ok(Step::Flush)
    }

    /// An error in a simple query.
    pub(crate) fn simple_failed(&mut self, e: SqlError, out: &mut Encoder) -> Result<Step> {
        self.report(e, out)?;
        self.ready(out);
        Ok(Step::Flush)
    }

    /// Sends an error and fails the transaction. `Err`: the session is asked to end.
    pub(crate) fn report(&mut self, mut e: SqlError, out: &mut Encoder) -> Result<()> {
        out.discard_partial();
        for notice in core::mem::take(&mut e.fields_mut().earlier) {
            self.env.warn(Severity::Notice, notice);
        }
        self.env.drain_notices(out);
        self.copy = None;
        self.tx.pipeline = false;
        // Waits tell only that they were cancelled; the flags know why.
        let e = match self.env.interrupts().pending() {
            Some(reason) if reason.is_fatal() => {
                self.fail_transaction();
                return Err(reason.error());
            }
            Some(reason) if e.state() == SqlState::QUERY_CANCELED => reason.error(),
            _ => e,
        };
        if e.state() == SqlState::CONNECTION_EXCEPTION {
            self.fail_transaction();
            return Err(e);
        }
        if e.state() == SqlState::DEADLOCK_DETECTED {
            Handle::count(&self.env.handle().deadlocks);
        }
        self.env.interrupts().clear_statement();
        self.end_statement();
        self.fail_transaction();
        out.report(Severity::Error, &e);
        Ok(())
    }

    fn panicked(&mut self, message: &str, extended: bool, out: &mut Encoder) -> Result<Step> {
        log::error!("statement panicked: {message}");
        self.env.leave_routines();
        let e = SqlError::internal(format!("internal error: {message}"));
        // Ending the transaction may meet the broken state again: then the session cannot go on.
        match task::catch_unwind(|| {
            if extended { self.extended_failed(e, out) } else { self.simple_failed(e, out) }
        }) {
            Ok(step) => step,
            Err(_) => Err(SqlError::internal("session state is broken")),
        }
    }

    /// Are the client's messages to be translated before they are read?
    pub fn is_foreign(&self) -> bool {
        self.env.derived().foreign
    }

    /// A message in UTF-8, its statement with strings as they are by default.
    #[cold]
    pub fn translated<'p>(&self, packet: Packet<'p>) -> Result<Cow<'p, [u8]>> {
        let settings = self.env.derived();
        let body = match settings.encoding {
            None => Cow::Borrowed(packet.body),
            Some(encoding) => transcode::body(packet, encoding)?,
        };
        // Of a statement that is parsed, the name comes first.
        let before = match packet.tag {
            b'Q' => 0,
            b'P' => body.iter().position(|b| *b == 0).map_or(0, |n| n + 1),
            _ => return Ok(body),
        };
        if !settings.escapes || self.skip || self.copy.is_some() {
            return Ok(body);
        }
        let (head, rest) = body.split_at_checked(before).unwrap_or((&[], &body));
        let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
        let (text, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        let Some((text, warnings)) = core::str::from_utf8(text).map_or(Ok(None), pg_sql::with_escapes)?
        else {
            return Ok(body);
        };
        if settings.escape_warning {
            warnings.into_iter().for_each(|w| self.env.warn(Severity::Warning, w));
        }
        Ok(Cow::Owned([head, text.as_bytes(), tail].concat()))
    }

    /// Between transactions, waiting for the client?
    pub fn is_idle(&self) -> bool {
        self.idle && !self.tx.in_block()
    }

    /// Is there anything to tell a client who has asked for nothing?
    pub fn has_news(&self) -> bool {
        self.is_idle() && self.env.handle().inbox.has_some()
    }

    /// Notifications that wait.
    #[inline]
    pub fn tell_notifications(&self, out: &mut Encoder) {
        let inbox = &self.env.handle().inbox;
        if inbox.has_some() {
            inbox.drain(out);
        }
    }

    /// ReadyForQuery, and everything that goes with being idle.
    pub(crate) fn ready(&mut self, out: &mut Encoder) {
        self.end_statement();
        self.env.drain_notices(out);
        if self.env.settings_mut().has_reports() {
            for (name, value) in self.env.settings_mut().take_reports() {
                out.parameter_status(name, &value);
            }
            self.env.apply_settings(false);
            out.set_encoding(self.env.derived().encoding);
        }
        if !self.tx.in_block() {
            self.tell_notifications(out);
        }
        out.ready_for_query(self.tx.status());
        self.idle = true;
        let in_block = self.tx.in_block();
        let failed = self.tx.is_failed();
        self.env.publish(|a| {
            a.state = match (in_block, failed) {
                (false, _) => "idle",
                (true, false) => "idle in transaction",
                (true, true) => "idle in transaction (aborted)",
            };
            if !in_block {
                a.xact_start = None;
            }
        });
        let d = self.env.derived();
        let (limit, reason) = if in_block {
            (d.idle_in_transaction_timeout, Reason::IdleInTransaction)
        } else {
            (d.idle_timeout, Reason::Idle)
        };
        if limit > 0 {
            self.shared.set_timer(self.env.handle(), Duration::from_millis(limit), reason);
        }
    }

    /// The first message after being idle.
    fn wake(&mut self) {
        self.idle = false;
        self.env.handle().end_wait();
        // A cancel request that came when nothing ran has nothing to cancel.
        self.env.interrupts().clear_statement();
    }

    /// Before each statement: clocks, timers, what others see.
    pub(crate) fn begin_statement(&mut self, text: Option<&Arc<str>>) {
        let started = self.tx.txn.as_ref().map(pg_executor::Txn::started);
        let first = !self.tx.used && !self.tx.in_block();
        self.env.begin_statement(started, first);
        let start = pg_executor::Session::statement_timestamp(&self.env);
        self.env.publish(|a| {
            a.state = "active";
            a.query_start = Some(start);
            a.state_change = Some(start);
            a.xact_start = started.or(Some(start));
            if let Some(text) = text {
                a.query = Some(text.clone());
            }
        });
        let derived = self.env.derived();
        let (limit, lock_limit) = (derived.statement_timeout, derived.lock_timeout);
        if self.tx.in_block()
            && let Some(txn) = &mut self.tx.txn
        {
            txn.storage().set_lock_timeout((lock_limit > 0).then(|| Duration::from_millis(lock_limit)));
        }
        if limit > 0 {
            self.env.handle().end_wait();
            self.timed = true;
            self.shared.set_timer(self.env.handle(), Duration::from_millis(limit), Reason::StatementTimeout);
        }
    }

    /// After each statement.
    #[inline]
    pub(crate) fn end_statement(&mut self) {
        if self.timed {
            self.timed = false;
            self.env.handle().wait.fetch_add(1, Relaxed);
        }
    }

    /// Sends what has gathered if it is much.
    #[inline]
    pub(crate) fn relieve(&self, out: &mut Encoder) -> Result<()> {
        if out.len() < OUTPUT_CHUNK { Ok(()) } else { self.send_gathered(out) }
    }

    fn send_gathered(&self, out: &mut Encoder) -> Result<()> {
        if let Some(stream) = &self.stream {
            stream
                .write_all(out.bytes())
                .map_err(|_| SqlError::new(SqlState::CONNECTION_EXCEPTION, "connection to client lost"))?;
            out.clear();
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = task::catch_unwind(|| self.audit_disconnection());
        if self.tx.txn.is_some() {
            let _ = task::catch_unwind(|| self.rollback());
        }
        let dropped = task::catch_unwind(|| {
            self.drop_temporary()?;
            self.commit_implicit()
        });
        if let Ok(Err(e)) = dropped {
            log::warn!("temporary relations are left behind: {e}");
        }
        self.env.messages().leave(self.env.channels(), self.env.handle());
        self.env.release_temporary_number();
        self.env.release_session_locks();
        self.env.release_claims();
    }
}

/// Runs statements in a session without a client; the first error ends it. Gives what a client would have been sent.
pub fn run_internal(shared: &Arc<Shared>, sql: &str) -> Result<Vec<u8>> {
    run_internal_in(shared, FIRST_DATABASE, sql)
}

/// As [`run_internal`], in a database.
pub fn run_internal_in(shared: &Arc<Shared>, database: Oid, sql: &str) -> Result<Vec<u8>> {
    let peer = SocketAddr::from(([127, 0, 0, 1], 0));
    let handle = shared.registry.add(peer, alloc::sync::Weak::new());
    let identity = Identity {
        user: 10,
        user_name: String::from("intralith"),
        superuser: true,
        database: String::new(),
        session: Who { oid: 10, name: String::from("intralith"), superuser: true },
    };
    let result = task::catch_unwind(|| {
        let entered = shared.databases.enter(shared, &handle, database)?;
        let entered = entered.ok_or_else(|| SqlError::internal("the database is gone"))?;
        let mut session = Session::new(shared, &entered, &handle, identity, Settings::default());
        let mut out = Encoder::new();
        session.run_text(sql, &mut out).map(|()| out.bytes().to_vec())
    })
    .unwrap_or_else(|panic| Err(SqlError::internal(panic.message)));
    shared.registry.remove(handle.pid);
    result
}
