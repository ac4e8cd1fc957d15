//! The server: accepts connections, owns what they share, shuts down.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use core::{
    sync::atomic::{
        AtomicBool, AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    },
    time::Duration,
};

use pg_executor::{AuditNumbers, Engine};
use pg_types::{Result, SqlError, SqlState};
use pg_wire::{Encoder, Severity};
use platform::{
    net::{Listener, NetError, Stream},
    sync::Mutex,
    task, time,
};

use crate::{
    config::ServerConfig,
    connection::Connection,
    databases::Databases,
    encryption::Encryption,
    hba::Access,
    interrupt::Reason,
    pool::Pool,
    registry::{Handle, Registry},
    statement_stats::StatementStats,
    timer::Timer,
};

/// What all connections share.
pub struct Shared {
    /// The engine of the volume's first database.
    pub engine: Arc<Engine>,
    /// All databases.
    pub databases: Databases,
    /// The configuration.
    pub config: ServerConfig,
    /// The sessions.
    pub registry: Arc<Registry>,
    /// Workers.
    pub pool: Pool<Connection>,
    /// Deadlines.
    pub timer: Arc<Timer>,
    /// What statements cost.
    pub statement_stats: StatementStats,
    /// Numbers of the audit log.
    pub audit_numbers: AuditNumbers,
    /// Encryption of connections.
    pub encryption: Encryption,
    /// Who may connect.
    pub access: Access,
    /// For mock verifiers of users that do not exist.
    pub secret: [u8; 32],
    /// No new sessions.
    pub stopping: AtomicBool,
    /// Workers that stay with an idle connection.
    staying: AtomicUsize,
    wake_canceled: Arc<dyn Fn() + Send + Sync>,
}

impl Shared {
    /// Asks whether a worker may stay with its connection after a request; if so, [`Self::leave`] ends it.
    pub fn stay(&self) -> bool {
        let allowed = self.staying.fetch_add(1, Relaxed) < STAYING;
        if !allowed {
            self.leave();
        }
        allowed
    }

    /// See [`Self::stay`].
    pub fn leave(&self) {
        self.staying.fetch_sub(1, Relaxed);
    }

    /// Raises `reason` in a session after `limit`.
    pub fn set_timer(&self, handle: &Arc<Handle>, limit: Duration, reason: Reason) {
        self.timer.set(handle, limit, reason, &self.wake_canceled);
    }
}

/// A listener and the task that accepts its connections.
type Accepting = (Arc<dyn Listener>, task::JoinHandle<()>);

/// A running server.
pub struct Server {
    shared: Arc<Shared>,
    listeners: Mutex<Vec<Accepting>>,
}

/// Time sessions get to end at shutdown.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(10);
/// Workers that may stay with idle connections at a time.
const STAYING: usize = 128;
/// Connections beyond the limit that are heard out far enough to be refused in the protocol's own terms.
const REFUSED_AT_ONCE: usize = 64;

impl Server {
    /// Serves `listener`'s connections from now on.
    pub fn start(engine: Arc<Engine>, listener: Arc<dyn Listener>, config: ServerConfig) -> Arc<Self> {
        let mut secret = [0; 32];
        platform::entropy::fill(&mut secret);
        let storage = engine.storage().clone();
        let shards = if config.shards == 0 { task::core_count() } else { config.shards };
        let most = config.max_connections + REFUSED_AT_ONCE;
        let shared = Arc::new(Shared {
            pool: Pool::new(shards, config.idle_workers, most),
            access: Access::default(),
            statement_stats: StatementStats::default(),
            audit_numbers: AuditNumbers::default(),
            encryption: Encryption::new(config.encryption.clone()),
            engine,
            config,
            registry: Arc::default(),
            timer: Arc::default(),
            databases: Databases::default(),
            secret,
            stopping: AtomicBool::new(false),
            staying: AtomicUsize::new(0),
            wake_canceled: Arc::new(move || storage.wake_canceled()),
        });
        let weak = Arc::downgrade(&shared);
        task::spawn("autovacuum", move || crate::autovacuum::run(&weak));
        let server = Arc::new(Self { shared, listeners: Mutex::default() });
        server.listen(listener);
        server
    }

    /// Serves another listener too.
    pub fn listen(&self, listener: Arc<dyn Listener>) {
        let (shared, l) = (self.shared.clone(), listener.clone());
        let task = task::spawn("accept", move || accept(&shared, &*l));
        self.listeners.lock().push((listener, task));
    }

    /// Sessions connected now.
    pub fn connections(&self) -> usize {
        self.shared.registry.len()
    }

    /// Runs statements in a session of its own, without a connection: for the binaries' own use, such as the check that
    /// a query is answered before the server is announced.
    pub fn check(&self, sql: &str) -> Result<()> {
        crate::session::run_internal(&self.shared, sql).map(|_| ())
    }

    /// As [`Self::check`], for the rows that come of it, as text.
    pub fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        Ok(crate::rows::texts(&crate::session::run_internal(&self.shared, sql)?))
    }

    /// Stops accepting, tells clients (57P01), waits for their sessions to end, writes a checkpoint and closes the
    /// volume.
    pub fn shutdown(&self) -> Result<()> {
        self.shared.stopping.store(true, SeqCst);
        for (listener, task) in core::mem::take(&mut *self.listeners.lock()) {
            listener.close();
            let _ = task.join();
        }
        for handle in self.shared.registry.all() {
            handle.interrupt(Reason::Shutdown);
        }
        self.shared.engine.storage().wake_canceled();
        let limit = time::monotonic() + SHUTDOWN_LIMIT;
        while self.shared.registry.len() > 0 && time::monotonic() < limit {
            task::sleep(Duration::from_millis(5));
        }
        self.shared.pool.close();
        self.shared.timer.close();
        self.shared.engine.storage().shutdown().map_err(pg_catalog::txn::storage_error)
    }
}

fn accept(shared: &Arc<Shared>, listener: &dyn Listener) {
    loop {
        match listener.accept() {
            Ok(stream) => admit(shared, stream),
            Err(NetError::Closed) => return,
            Err(e) => {
                log::warn!("accept: {e}");
                task::sleep(Duration::from_millis(50));
            }
        }
    }
}

fn admit(shared: &Arc<Shared>, stream: Arc<dyn Stream>) {
    let connected = shared.registry.len();
    if stream.over_limit() || connected >= shared.config.max_connections + REFUSED_AT_ONCE {
        let mut out = Encoder::new();
        out.report(Severity::Fatal, &too_many_clients());
        let _ = stream.write_all(out.bytes());
        stream.close();
        return;
    }
    let refused = (connected >= shared.config.max_connections).then(too_many_clients).map(Box::new);
    let connection = Connection::new(shared, stream, refused);
    shared.set_timer(connection.handle(), shared.config.authentication_timeout, Reason::Authentication);
    connection.start();
}

fn too_many_clients() -> SqlError {
    SqlError::new(SqlState::TOO_MANY_CONNECTIONS, "sorry, too many clients already")
}

/// Describes an engine error that keeps a server from starting.
pub fn describe(e: &SqlError) -> String {
    format!("{} (SQLSTATE {})", e.message(), e.state().as_str())
}
