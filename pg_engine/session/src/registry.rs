//! Every session's public side: found by number to be cancelled, listed in `pg_stat_activity`, counted in `pg_stat_database`.

use alloc::{
    borrow::ToOwned,
    collections::BTreeSet,
    string::{String, ToString},
    sync::{Arc, Weak},
    vec::Vec,
};
use core::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use hashbrown::HashMap;
use pg_executor::{ActivityRow, DatabaseRow};
use pg_tls::Secured;
use pg_types::Oid;
use platform::sync::{Mutex, OnceLock};

use crate::{
    connection::Connection,
    env,
    interrupt::{Interrupts, Reason},
    notify::Inbox,
};

/// What a session does just now.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// Database's name.
    pub database_name: String,
    /// Role.
    pub user: Oid,
    /// Role's name.
    pub user_name: String,
    /// application_name.
    pub application_name: String,
    /// Start of the transaction.
    pub xact_start: Option<i64>,
    /// Start of the last statement.
    pub query_start: Option<i64>,
    /// Last change of `state`.
    pub state_change: Option<i64>,
    /// `active`, `idle`, ...
    pub state: &'static str,
    /// Text of the last statement.
    pub query: Option<Arc<str>>,
}

/// The public side of a session.
pub struct Handle {
    /// Its number.
    pub pid: u32,
    /// What a CancelRequest must know.
    pub secret: u32,
    /// Client's address.
    pub peer: SocketAddr,
    /// Oid of the database it is in; 0: none yet.
    pub database: AtomicU32,
    /// When it connected.
    pub started: i64,
    /// How the connection is encrypted.
    pub secured: OnceLock<Arc<Secured>>,
    /// Flags that others raise.
    pub interrupts: Interrupts,
    /// For `pg_stat_activity`.
    pub activity: Mutex<Activity>,
    /// Transactions that the session committed; only it writes these.
    pub committed: AtomicU64,
    /// Transactions that it rolled back.
    pub rolled_back: AtomicU64,
    /// Its statements that ended as the victims of deadlocks.
    pub deadlocks: AtomicU64,
    /// Counts waits for a timer: a timer set in an earlier wait does nothing.
    pub wait: AtomicU64,
    /// Notifications that wait for the client.
    pub inbox: Inbox,
    /// The connection, to wake it.
    pub connection: Weak<Connection>,
}

impl Handle {
    /// As the protocol and `pg_backend_pid()` show it.
    pub fn pid_i32(&self) -> i32 {
        i32::try_from(self.pid).unwrap_or(i32::MAX)
    }
    /// Interrupts the running statement or, for fatal reasons, the session even if it is idle.
    pub fn interrupt(&self, reason: Reason) {
        self.interrupts.raise(reason);
        if reason.is_fatal()
            && let Some(connection) = self.connection.upgrade()
        {
            connection.schedule();
        }
    }
    /// Has the connection look what there is to tell the client.
    pub fn wake(&self) {
        if let Some(connection) = self.connection.upgrade() {
            connection.schedule();
        }
    }
    /// Adds what the session did to its database's numbers.
    fn add_to(&self, row: &mut DatabaseRow) {
        row.sessions += 1;
        row.session_micros += u64::try_from(env::now() - self.started).unwrap_or(0);
        row.committed += self.committed.load(Relaxed);
        row.rolled_back += self.rolled_back.load(Relaxed);
        row.deadlocks += self.deadlocks.load(Relaxed);
    }
    /// Counts one more. Only the session itself does so: no atomic addition is needed.
    pub fn count(counter: &AtomicU64) {
        counter.store(counter.load(Relaxed) + 1, Relaxed);
    }
    /// Ends a wait: timers set for it are void.
    pub fn end_wait(&self) {
        self.wait.fetch_add(1, Relaxed);
    }
}

/// All sessions of a server.
pub struct Registry {
    /// When the server started, microseconds since 2000-01-01 UTC.
    pub started: i64,
    sessions: Mutex<HashMap<u32, Arc<Handle>>>,
    /// What sessions that are gone did, by database.
    past: Mutex<HashMap<Oid, DatabaseRow>>,
    next_pid: AtomicU32,
    /// Numbers of schemas of temporary relations that are in use.
    temporary: Mutex<BTreeSet<u32>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            started: env::now(),
            sessions: Mutex::default(),
            past: Mutex::default(),
            next_pid: AtomicU32::new(1),
            temporary: Mutex::default(),
        }
    }
}

impl Registry {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.sessions.lock().len()
    }
    /// Makes the handle of a new connection and lists it.
    pub fn add(&self, peer: SocketAddr, connection: Weak<Connection>) -> Arc<Handle> {
        let mut secret = [0; 4];
        platform::entropy::fill(&mut secret);
        let mut sessions = self.sessions.lock();
        let pid = loop {
            // Positive as a 32-bit signed number, and not in use.
            let pid = self.next_pid.fetch_add(1, Relaxed) & 0x7fff_ffff;
            if pid != 0 && !sessions.contains_key(&pid) {
                break pid;
            }
        };
        let handle = Arc::new(Handle {
            pid,
            secret: u32::from_be_bytes(secret),
            peer,
            database: AtomicU32::new(0),
            started: env::now(),
            secured: OnceLock::new(),
            interrupts: Interrupts::default(),
            activity: Mutex::new(Activity { state: "", ..Activity::default() }),
            committed: AtomicU64::new(0),
            rolled_back: AtomicU64::new(0),
            deadlocks: AtomicU64::new(0),
            wait: AtomicU64::new(0),
            inbox: Inbox::default(),
            connection,
        });
        sessions.insert(pid, handle.clone());
        handle
    }
    /// The least number that no session has.
    pub fn take_temporary_number(&self) -> u32 {
        let mut used = self.temporary.lock();
        let free = (1..).zip(used.iter()).find(|(n, used)| n != *used).map(|(n, _)| n);
        let number = free.unwrap_or(used.len() as u32 + 1);
        used.insert(number);
        number
    }
    /// A session does without its number from now on; 0: it had none.
    pub fn release_temporary_number(&self, number: u32) {
        self.temporary.lock().remove(&number);
    }
    /// Takes a session off the list.
    pub fn remove(&self, pid: u32) {
        let removed = self.sessions.lock().remove(&pid);
        if let Some(handle) = removed.filter(|h| h.database.load(Relaxed) != 0) {
            handle.add_to(self.past.lock().entry(handle.database.load(Relaxed)).or_default());
        }
    }
    /// What was done in each database since the server started.
    pub fn databases(&self) -> Vec<DatabaseRow> {
        let mut rows = self.past.lock().clone();
        for handle in self.all().iter().filter(|h| h.database.load(Relaxed) != 0) {
            let row = rows.entry(handle.database.load(Relaxed)).or_default();
            row.sessions_now += 1;
            handle.add_to(row);
        }
        let complete = |(database, row)| DatabaseRow { database, since: self.started, ..row };
        let mut rows: Vec<DatabaseRow> = rows.into_iter().map(complete).collect();
        rows.sort_by_key(|r| r.database);
        rows
    }
    /// A session by number.
    pub fn find(&self, pid: u32) -> Option<Arc<Handle>> {
        self.sessions.lock().get(&pid).cloned()
    }
    /// All of them.
    pub fn all(&self) -> Vec<Arc<Handle>> {
        self.sessions.lock().values().cloned().collect()
    }
    /// Rows of `pg_stat_activity`: sessions that have authenticated.
    pub fn activity(&self) -> Vec<ActivityRow> {
        let mut rows: Vec<ActivityRow> = self.all().iter().filter_map(|h| row(h)).collect();
        rows.sort_by_key(|r| r.pid);
        rows
    }
}

fn row(handle: &Handle) -> Option<ActivityRow> {
    let a = handle.activity.lock().clone();
    if a.state.is_empty() {
        return None;
    }
    Some(ActivityRow {
        pid: handle.pid_i32(),
        database: handle.database.load(Relaxed),
        database_name: a.database_name,
        user: a.user,
        user_name: a.user_name,
        application_name: a.application_name,
        client_addr: Some(handle.peer.ip().to_canonical().to_string()),
        client_port: Some(i32::from(handle.peer.port())),
        backend_start: handle.started,
        xact_start: a.xact_start,
        query_start: a.query_start,
        state_change: a.state_change,
        state: a.state.to_owned(),
        query: a.query.map(|q| q.to_string()).unwrap_or_default(),
        secured: handle.secured.get().cloned(),
    })
}
