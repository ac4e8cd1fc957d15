//! What a session's statements know about user types while they read and write values.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use pg_catalog::Txn;
use pg_storage::Snapshot;
use pg_types::{
    Oid, Result,
    user::{Source, UserType},
};
use platform::sync::Mutex;

use crate::engine::Engine;

/// What a transaction that changed catalogs sees; see [`SessionTypes`].
struct Private {
    /// As [`Txn::private_version`] counts.
    version: u64,
    snapshot: Snapshot,
    found: hashbrown::HashMap<Oid, Option<Arc<UserType>>>,
}

/// A session's way to ask about user types: through the shared cache, past it while its own transaction has changed catalogs.
pub struct SessionTypes {
    engine: Arc<Engine>,
    private: Mutex<Option<Private>>,
    /// There is something in `private`.
    is_private: AtomicBool,
}

impl SessionTypes {
    /// For a session.
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine, private: Mutex::new(None), is_private: AtomicBool::new(false) }
    }
    /// What follows is asked by a statement of this transaction.
    #[inline]
    pub fn follow(&self, txn: &mut Txn) {
        // The common case is two loads.
        if txn.changed_catalogs() {
            self.follow_changes(txn);
        } else if self.is_private.load(Ordering::Acquire) {
            self.is_private.store(false, Ordering::Release);
            *self.private.lock() = None;
        }
    }
    #[cold]
    fn follow_changes(&self, txn: &mut Txn) {
        let version = txn.private_version();
        let mut private = self.private.lock();
        if private.as_ref().is_none_or(|p| p.version != version) {
            let snapshot = txn.snapshot().untracked();
            self.is_private.store(true, Ordering::Release);
            *private = Some(Private { version, snapshot, found: hashbrown::HashMap::new() });
        }
    }
}

impl Source for SessionTypes {
    fn user_type(&self, oid: Oid) -> Result<Option<Arc<UserType>>> {
        let mut private = self.private.lock();
        let Some(p) = &mut *private else { return self.engine.catalog().user_type(oid) };
        if let Some(known) = p.found.get(&oid) {
            return Ok(known.clone());
        }
        let found = self.engine.catalog().user_type_at(&p.snapshot, oid)?;
        p.found.insert(oid, found.clone());
        Ok(found)
    }
}
