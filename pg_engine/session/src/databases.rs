//! The databases that sessions are in, and who is kept out of which.
//!
//! A session enters a database when it begins and leaves it when it ends. A statement that copies or drops a database claims
//! it first: the claim is given only when no other session is in it, and keeps newcomers waiting until the statement's
//! transaction has ended.
//!
//! Lock order: the claims, then the registry of sessions. Opening a database (which may write its catalogs) happens under
//! neither.

use alloc::{collections::BTreeSet, format, sync::Arc};
use core::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use hashbrown::HashMap;
use pg_executor::Engine;
use pg_types::{Oid, Result, SqlError, SqlState};
use platform::{
    sync::{Mutex, RwLock},
    task, time,
};

use crate::{interrupt::Reason, notify::Channels, plan_cache::PlanCache, registry::Handle, server::Shared};

/// Between two looks whether a claim has ended or sessions have left.
const PAUSE: Duration = Duration::from_millis(10);
/// Sessions in a database that is to be claimed get so long to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A database that is in use.
pub struct Database {
    /// Its engine.
    pub engine: Arc<Engine>,
    /// Plans by statement text.
    pub plans: PlanCache,
    /// Who listens to what.
    pub channels: Channels,
    /// `pg_stat_statements` is installed in it.
    pub counts_statements: AtomicBool,
}

/// See the module.
#[derive(Default)]
pub struct Databases {
    open: RwLock<HashMap<Oid, Arc<Database>>>,
    claimed: Mutex<BTreeSet<Oid>>,
}

impl Databases {
    /// Puts a session into a database. `None`: it is gone.
    pub fn enter(&self, shared: &Shared, handle: &Handle, oid: Oid) -> Result<Option<Arc<Database>>> {
        loop {
            {
                let claimed = self.claimed.lock();
                if !claimed.contains(&oid) {
                    handle.database.store(oid, Relaxed);
                    break;
                }
            }
            if let Some(reason) = handle.interrupts.pending() {
                return Err(reason.error());
            }
            task::sleep(PAUSE);
        }
        if !shared.engine.database_exists(oid)? {
            handle.database.store(0, Relaxed);
            return Ok(None);
        }
        self.get(shared, oid).map(Some)
    }

    /// A database that exists.
    pub fn get(&self, shared: &Shared, oid: Oid) -> Result<Arc<Database>> {
        if let Some(database) = self.open.read().get(&oid) {
            return Ok(database.clone());
        }
        let engine = shared.engine.in_database(oid)?;
        let counts_statements = AtomicBool::new(engine.has_extension(pg_executor::STATEMENTS)?);
        let new = || {
            let (plans, channels) = (PlanCache::default(), Channels::default());
            Arc::new(Database { engine, plans, channels, counts_statements })
        };
        Ok(self.open.write().entry(oid).or_insert_with(new).clone())
    }

    /// See [`pg_executor::Session::claim_database`].
    pub fn claim(&self, shared: &Shared, who: &Handle, oid: Oid, force: bool) -> usize {
        let limit = time::monotonic() + PATIENCE;
        let mut told = false;
        loop {
            {
                let mut claimed = self.claimed.lock();
                let all = shared.registry.all();
                let inside = all.iter().filter(|h| h.pid != who.pid && h.database.load(Relaxed) == oid);
                let count = inside.clone().count();
                if count == 0 && claimed.insert(oid) {
                    return 0;
                }
                if force && !told {
                    inside.for_each(|h| h.interrupt(Reason::Terminate));
                    told = true;
                }
                if time::monotonic() >= limit {
                    // Someone else's claim counts as a session.
                    return count.max(1);
                }
            }
            shared.engine.storage().wake_canceled();
            if who.interrupts.pending().is_some() {
                return 1;
            }
            task::sleep(PAUSE);
        }
    }

    /// Ends a claim; forgets the database if it was dropped.
    pub fn release(&self, shared: &Shared, oid: Oid) {
        if matches!(shared.engine.database_exists(oid), Ok(false)) {
            let forgotten = self.open.write().remove(&oid);
            drop(forgotten);
            shared.engine.forget_database(oid);
        }
        self.claimed.lock().remove(&oid);
    }
}

/// 3D000
pub fn unknown(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
}
