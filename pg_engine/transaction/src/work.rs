//! One transaction's own state: ids by savepoint level, commands, locks, relations it made or dropped.

use alloc::{sync::Arc, vec::Vec};
use core::{mem, sync::atomic::AtomicBool, time::Duration};

use pg_page::{CommandId, RelId, StorageError, Xid};

use crate::{
    locks::{LockMode, LockTag},
    manager::TransactionManager,
    snapshot::{Own, Snapshot, SnapshotData},
    waits::{OwnerId, WaitOptions},
};

/// How much of others' work a transaction sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Every statement has a new snapshot.
    ReadCommitted,
    /// The first statement's snapshot serves the whole transaction.
    RepeatableRead,
}

/// A savepoint level inside a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint(u64);

/// What belongs to one level and goes with it.
#[derive(Debug, Default)]
pub struct Level {
    name: u64,
    /// Id for this level's own writes.
    xid: Option<Xid>,
    /// That one and those of released levels inside.
    pub xids: Vec<Xid>,
    /// Relations to remove when the level is undone.
    pub created: Vec<RelId>,
    /// Relations to remove when the transaction commits.
    pub dropped: Vec<RelId>,
    /// Length of the lock list when the level began.
    locks: usize,
}

/// The state of a transaction. The owner ends it with [`Work::end`].
pub struct Work {
    manager: Arc<TransactionManager>,
    owner: OwnerId,
    isolation: Isolation,
    levels: Vec<Level>,
    own: Vec<Xid>,
    command: CommandId,
    fixed: Option<Arc<SnapshotData>>,
    locks: Vec<(LockTag, LockMode)>,
    names: u64,
    counts: Vec<(RelId, i64, i64)>,
    wait: WaitOptions,
    /// Commit does not wait for the log.
    pub async_commit: bool,
}

impl Work {
    /// A transaction that has done nothing.
    pub fn new(manager: Arc<TransactionManager>, isolation: Isolation) -> Self {
        let owner = manager.new_owner();
        Self {
            manager,
            owner,
            isolation,
            levels: Vec::new(),
            own: Vec::new(),
            command: CommandId(0),
            fixed: None,
            locks: Vec::new(),
            names: 0,
            counts: Vec::new(),
            wait: WaitOptions::default(),
            async_commit: false,
        }
    }

    /// Its name among the waiting.
    pub fn owner(&self) -> OwnerId {
        self.owner
    }
    /// All transactions.
    pub fn manager(&self) -> &Arc<TransactionManager> {
        &self.manager
    }
    /// How it sees others.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }
    /// The running command.
    pub fn command(&self) -> CommandId {
        self.command
    }
    /// Later snapshots see what was written up to now.
    pub fn next_command(&mut self) {
        self.command.0 += 1;
    }
    /// What ends its waits.
    pub fn wait_options(&self) -> &WaitOptions {
        &self.wait
    }
    /// Limit for each wait for a lock.
    pub fn set_lock_timeout(&mut self, limit: Option<Duration>) {
        self.wait.timeout = limit;
    }
    /// While the flag is up, waits end.
    pub fn set_cancel_flag(&mut self, flag: Arc<AtomicBool>) {
        self.wait.cancel = Some(flag);
    }

    fn level(&mut self) -> &mut Level {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        let last = self.levels.len() - 1;
        // Just made sure that there is one.
        &mut self.levels[last]
    }

    /// The innermost level.
    pub fn innermost(&mut self) -> &mut Level {
        self.level()
    }

    /// The id to write with, given out now if need be.
    #[inline]
    pub fn writing_xid(&mut self) -> Xid {
        if let Some(x) = self.levels.last().and_then(|l| l.xid) {
            return x;
        }
        let xid = self.manager.assign(self.owner);
        let level = self.level();
        level.xid = Some(xid);
        level.xids.push(xid);
        self.own.push(xid);
        xid
    }
    /// The first id it got, if any.
    pub fn xid(&self) -> Option<Xid> {
        self.own.first().copied()
    }
    /// Is it one of its ids (not rolled back)?
    #[inline]
    pub fn is_own(&self, xid: Xid) -> bool {
        self.own.contains(&xid)
    }
    /// All its ids that were not rolled back.
    pub fn own(&self) -> &[Xid] {
        &self.own
    }

    /// The snapshot for a statement that begins now.
    #[inline]
    pub fn snapshot(&mut self) -> Snapshot {
        let data = match (&self.fixed, self.isolation) {
            (Some(s), _) => s.clone(),
            (None, Isolation::ReadCommitted) => self.manager.snapshot(),
            (None, Isolation::RepeatableRead) => self.fixed.insert(self.manager.snapshot()).clone(),
        };
        Snapshot { data, own: Own::of(&self.own), command: self.command }
    }

    /// Opens a savepoint level.
    pub fn begin_sub(&mut self) -> Savepoint {
        self.level();
        self.names += 1;
        self.levels.push(Level { name: self.names, locks: self.locks.len(), ..Level::default() });
        Savepoint(self.names)
    }

    fn find(&self, level: Savepoint) -> Result<usize, StorageError> {
        self.levels
            .iter()
            .skip(1)
            .position(|l| l.name == level.0)
            .map(|i| i + 1)
            .ok_or(StorageError::NoSuchSavepoint)
    }

    /// Keeps the work of a level and those inside it.
    pub fn release_sub(&mut self, level: Savepoint) -> Result<(), StorageError> {
        let at = self.find(level)?;
        while self.levels.len() > at {
            if let Some(mut l) = self.levels.pop() {
                let outer = self.level();
                outer.xids.append(&mut l.xids);
                outer.created.append(&mut l.created);
                outer.dropped.append(&mut l.dropped);
            }
        }
        Ok(())
    }

    /// Undoes the work of a level and those inside it. The level remains, empty. Returns the relations to remove.
    pub fn rollback_to(&mut self, level: Savepoint) -> Result<Vec<RelId>, StorageError> {
        let at = self.find(level)?;
        let (mut xids, mut created) = (Vec::new(), Vec::new());
        let mut locks = self.locks.len();
        while self.levels.len() > at {
            if let Some(mut l) = self.levels.pop() {
                xids.append(&mut l.xids);
                created.append(&mut l.created);
                locks = l.locks;
            }
        }
        self.own.retain(|x| !xids.contains(x));
        self.manager.end(self.owner, &xids, false);
        self.unlock_from(locks);
        self.levels.push(Level { name: level.0, locks, ..Level::default() });
        Ok(created)
    }

    /// Takes a lock. False: it is held by others and `wait` was not given.
    pub fn lock(&mut self, tag: LockTag, mode: LockMode, wait: bool) -> Result<bool, StorageError> {
        if self.locks.contains(&(tag, mode)) {
            return Ok(true);
        }
        let taken = self.manager.lock(self.owner, tag, mode, wait.then_some(&self.wait))?;
        if taken {
            self.locks.push((tag, mode));
        }
        Ok(taken)
    }

    fn unlock_from(&mut self, first: usize) {
        if first >= self.locks.len() {
            return;
        }
        for (tag, mode) in self.locks.drain(first..) {
            self.manager.locks.release(self.owner, tag, mode);
        }
        self.manager.waits.released(self.owner);
    }

    /// Notes rows added to and deleted from a relation.
    pub fn count(&mut self, rel: RelId, added: i64, deleted: i64) {
        match self.counts.iter_mut().rev().find(|c| c.0 == rel) {
            Some(c) => {
                c.1 += added;
                c.2 += deleted;
            }
            None => self.counts.push((rel, added, deleted)),
        }
    }
    /// Rows added and deleted, per relation.
    pub fn counts(&self) -> &[(RelId, i64, i64)] {
        &self.counts
    }

    /// Relations to remove when it commits.
    pub fn dropped(&self) -> Vec<RelId> {
        self.levels.iter().flat_map(|l| l.dropped.iter().copied()).collect()
    }
    /// Relations that it created and did not roll back.
    pub fn created(&self) -> Vec<RelId> {
        self.levels.iter().flat_map(|l| l.created.iter().copied()).collect()
    }

    /// Ends it: for everyone to see, and with its locks released. A commit must be in the log.
    pub fn end(&mut self, committed: bool) {
        let own = mem::take(&mut self.own);
        self.manager.end(self.owner, &own, committed);
        self.unlock_from(0);
        self.levels.clear();
        self.fixed = None;
    }
}
