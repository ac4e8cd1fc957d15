//! What a prepared transaction is made of: enough to go on with it in another session, or after a restart.

use alloc::{sync::Arc, vec::Vec};

use pg_page::{RelId, Xid};

use crate::{
    Isolation, Work,
    locks::{LockMode, LockTag},
    manager::TransactionManager,
    row_locks::{RowKey, RowLock},
};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreparedState {
    /// All its ids; the first names it.
    pub xids: Vec<Xid>,
    /// Relations to remove if it is undone.
    pub created: Vec<RelId>,
    /// Relations to remove when it commits.
    pub dropped: Vec<RelId>,
    /// Locks on objects and advisory locks.
    pub locks: Vec<(LockTag, LockMode)>,
    /// Row locks that are not in the rows.
    pub rows: Vec<(RowKey, RowLock)>,
    /// It is SERIALIZABLE.
    pub serializable: bool,
}

impl Work {
    /// What it is made of now.
    pub fn prepared_state(&self) -> PreparedState {
        PreparedState {
            xids: self.own().to_vec(),
            created: self.created(),
            dropped: self.dropped(),
            locks: self.held_locks().to_vec(),
            rows: self.held_rows(),
            serializable: self.serial().is_some(),
        }
    }

    /// Makes it independent of its session: everything it holds passes to a new owner.
    pub fn detach(&mut self) {
        let manager = self.manager().clone();
        let (old, new) = (self.owner(), manager.new_owner());
        manager.give_ids_to(new, self.own());
        for (tag, mode) in self.held_locks() {
            manager.locks.rename(old, new, *tag, *mode);
        }
        manager.row_locks.rename(old, new, self.held_rows().into_iter().map(|r| r.0));
        manager.ssi.rename(self.serial(), new);
        self.set_owner(new);
        // Who waits for the session waits for the new owner now.
        manager.waits.released(old);
    }

    /// After a restart: the transaction holds again what it held. Its ids must be among the manager's running ones.
    pub fn restore(manager: &Arc<TransactionManager>, state: &PreparedState) -> Self {
        let mut work = Self::new(manager.clone(), Isolation::ReadCommitted);
        manager.give_ids_to(work.owner(), &state.xids);
        work.adopt(state);
        for (tag, mode) in &state.locks {
            // No one else holds anything yet.
            let _ = work.lock(*tag, *mode, false);
        }
        for (key, mode) in &state.rows {
            work.lock_row(*key, *mode);
        }
        if state.serializable {
            work.set_serial(manager.ssi.restore(work.owner(), &state.xids));
        }
        work
    }
}
