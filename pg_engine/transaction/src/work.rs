//! One transaction's own state: ids by savepoint level, commands, locks, relations it made or dropped.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{cell::Cell, mem, sync::atomic::AtomicBool, time::Duration};

use pg_page::{CommandId, RelId, StorageError, Xid};
use platform::bug::{Bug, planted};

use crate::{
    locks::{HeldLocks, LockMode, LockTag, Span},
    manager::{Place, TransactionManager},
    outcomes::Outcome,
    row_locks::{OwnRowLocks, RowGrant, RowKey, RowLock},
    snapshot::{Own, Snapshot, SnapshotData},
    ssi::SerialId,
    waits::{OwnerId, WaitOptions},
};

/// How much of others' work a transaction sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Every statement has a new snapshot.
    ReadCommitted,
    /// The first statement's snapshot serves the whole transaction.
    RepeatableRead,
    /// Likewise, and only what could have happened one transaction after the other may happen.
    Serializable,
}

impl Isolation {
    /// Does one snapshot serve the whole transaction?
    #[inline]
    pub const fn uses_one_snapshot(self) -> bool {
        !matches!(self, Self::ReadCommitted)
    }
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
    /// Likewise of the row locks.
    row_locks: usize,
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
    serial: SerialId,
    /// Declared to write nothing.
    read_only: bool,
    locks: HeldLocks,
    /// Most transactions have none.
    row_locks: Option<Box<OwnRowLocks>>,
    names: u64,
    counts: Vec<(RelId, i64, i64)>,
    wait: WaitOptions,
    /// Commit does not wait for the log.
    pub async_commit: bool,
    /// The running command tells its client how many rows it changed, and nothing else.
    counts_only: bool,
    /// It has seen work whose commit was in the log but not known to be durable.
    rests_on_logged: Cell<bool>,
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
            serial: SerialId::NONE,
            read_only: false,
            locks: HeldLocks::NONE,
            row_locks: None,
            names: 0,
            counts: Vec::new(),
            wait: WaitOptions::default(),
            async_commit: false,
            counts_only: false,
            rests_on_logged: Cell::new(false),
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
        self.counts_only = false;
    }

    /// The command that begins tells its client nothing but how many rows it changed: it need not wait for the log to be
    /// durable where it changes rows that others have changed.
    pub fn set_counts_only(&mut self) {
        self.counts_only = self.isolation == Isolation::ReadCommitted;
    }
    /// Is that so?
    #[inline]
    pub fn counts_only(&self) -> bool {
        self.counts_only
    }
    /// Is it enough that a commit's record has its place in the log?
    #[inline]
    pub fn takes_logged(&self) -> bool {
        self.counts_only || self.rests_on_logged.get()
    }
    /// How the maker or changer of a row that it is about to change or lock ended.
    #[inline]
    pub fn outcome(&self, xid: Xid) -> Outcome {
        let outcome = self.manager.outcome(xid);
        if outcome == Outcome::InProgress && self.takes_logged() { self.logged_outcome(xid) } else { outcome }
    }
    #[cold]
    fn logged_outcome(&self, xid: Xid) -> Outcome {
        let outcome = self.manager.logged_outcome(xid);
        if outcome == Outcome::Committed {
            self.rests_on_logged.set(true);
        }
        outcome
    }
    /// Waits until `xid` has ended, as far as that counts for [`Work::outcome`], or may have.
    pub fn wait_for(&self, xid: Xid) -> Result<(), StorageError> {
        if self.takes_logged() {
            self.manager.wait_for_logged(self.owner, xid, &self.wait)
        } else {
            self.manager.wait_for(self.owner, xid, &self.wait)
        }
    }
    /// Does it rest on work that may not be durable?
    #[inline]
    pub fn rests_on_logged(&self) -> bool {
        self.rests_on_logged.get()
    }
    /// What it rests on ends there in the log, at the latest.
    pub fn rests_on(&self) -> Place {
        self.manager.last_place()
    }
    /// The log is durable up to `place`, given by [`Work::rests_on`]: it rests on nothing else.
    pub fn settled(&self, place: Place) {
        self.manager.show_logged(place);
        self.rests_on_logged.set(false);
    }
    /// Its commit record ends at `place`: those who wait to change the same rows may go on.
    pub fn logged(&self, place: Place) {
        self.manager.logged(self.owner, &self.own, place);
    }
    /// The log is durable up to `place`: its and others' logged commits show.
    pub fn show_logged(&self, place: Place) {
        self.manager.show_logged(place);
    }
    /// What ends its waits.
    pub fn wait_options(&self) -> &WaitOptions {
        &self.wait
    }
    /// Limit for each wait for a lock.
    pub fn set_lock_timeout(&mut self, limit: Option<Duration>) {
        self.wait.timeout = limit;
    }
    /// It is a session's: locks are held in the session's name. To be told before anything is done.
    pub fn set_process(&mut self, process: i32) {
        self.owner = OwnerId::session(process);
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
        if self.serial.is_some() {
            self.manager.ssi.assigned(self.serial, xid);
        }
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

    /// Declares that it writes nothing. To be told before its first snapshot.
    pub fn set_read_only(&mut self, read_only: bool) {
        self.read_only = read_only;
    }
    /// It as a serializable transaction.
    #[inline]
    pub fn serial(&self) -> SerialId {
        self.serial
    }
    pub(crate) fn set_serial(&mut self, serial: SerialId) {
        self.serial = serial;
    }
    /// Takes the snapshot of a serializable transaction that only reads, as soon as there is one which cannot be part of any
    /// anomaly (DEFERRABLE). Does nothing if it has a snapshot.
    pub fn take_safe_snapshot(&mut self) -> Result<(), StorageError> {
        if self.fixed.is_none() && self.isolation == Isolation::Serializable && self.read_only {
            let manager = self.manager.clone();
            self.fixed = Some(manager.ssi.begin_deferrable(self.owner, &self.wait, || manager.snapshot())?);
        }
        Ok(())
    }

    /// The snapshot for a statement that begins now.
    #[inline]
    pub fn snapshot(&mut self) -> Snapshot {
        let data = match (&self.fixed, self.isolation) {
            (Some(s), _) => s.clone(),
            (None, Isolation::ReadCommitted) => self.snapshot_of_now(),
            (None, Isolation::RepeatableRead) => self.fixed.insert(self.manager.snapshot()).clone(),
            (None, Isolation::Serializable) => self.begin_serializable(),
        };
        Snapshot { data, own: Own::of(&self.own), command: self.command, serial: self.serial }
    }

    #[inline]
    fn snapshot_of_now(&self) -> Arc<SnapshotData> {
        // What it has seen, it goes on seeing.
        if self.rests_on_logged() || planted(Bug::ShownBeforeDurable) {
            self.manager.logged_snapshot()
        } else {
            self.manager.snapshot()
        }
    }

    /// A snapshot of this moment, whatever the isolation level: for integrity checks, which must not miss what has been
    /// committed since the transaction's own snapshot.
    pub fn latest_snapshot(&mut self) -> Snapshot {
        let data = self.snapshot_of_now();
        Snapshot { data, own: Own::of(&self.own), command: self.command, serial: self.serial }
    }

    #[cold]
    fn begin_serializable(&mut self) -> Arc<SnapshotData> {
        let manager = self.manager.clone();
        let (data, serial) = manager.ssi.begin(self.owner, self.read_only, || manager.snapshot());
        self.serial = serial;
        // Ids that it got before its first snapshot.
        for xid in self.own.iter().filter(|_| serial.is_some()) {
            manager.ssi.assigned(serial, *xid);
        }
        self.fixed = Some(data.clone());
        data
    }
    /// The last check before the commit record of a serializable transaction.
    #[cold]
    pub fn check_serializable(&self) -> Result<(), StorageError> {
        if self.serial.is_some() { self.manager.ssi.prepare(self.serial) } else { Ok(()) }
    }

    /// Opens a savepoint level.
    pub fn begin_sub(&mut self) -> Savepoint {
        self.level();
        self.names += 1;
        let (locks, row_locks) = (self.locks.all().len(), self.row_locks());
        self.levels.push(Level { name: self.names, locks, row_locks, ..Level::default() });
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
        let (mut locks, mut row_locks) = (self.locks.all().len(), self.row_locks());
        while self.levels.len() > at {
            if let Some(mut l) = self.levels.pop() {
                xids.append(&mut l.xids);
                created.append(&mut l.created);
                (locks, row_locks) = (l.locks, l.row_locks);
            }
        }
        self.own.retain(|x| !xids.contains(x));
        self.manager.end(self.owner, &xids, false);
        if let Some(rows) = &mut self.row_locks {
            let going = rows.take_from(row_locks);
            self.manager.row_locks.release(self.owner, going.into_iter());
            self.manager.waits.released(self.owner);
        }
        self.unlock_from(locks);
        self.levels.push(Level { name: level.0, locks, row_locks, ..Level::default() });
        Ok(created)
    }

    /// Takes a lock. False: it is held by others and `wait` was not given.
    pub fn lock(&mut self, tag: LockTag, mode: LockMode, wait: bool) -> Result<bool, StorageError> {
        if self.locks.all().contains(&(tag, mode)) {
            return Ok(true);
        }
        let taken =
            self.manager.lock(self.owner, Span::Transaction, tag, mode, wait.then_some(&self.wait))?;
        if taken {
            self.locks.push(tag, mode);
        }
        Ok(taken)
    }

    fn unlock_from(&mut self, first: usize) {
        let going = self.locks.all().get(first..).unwrap_or_default();
        if going.is_empty() {
            return;
        }
        for &(tag, mode) in going {
            self.manager.locks.release(self.owner, Span::Transaction, tag, mode);
        }
        self.locks.truncate(first);
        self.manager.waits.released(self.owner);
    }

    /// Tries to lock a row version until the transaction (or the savepoint level) ends. The caller has its page latched.
    pub fn lock_row(&mut self, key: RowKey, mode: RowLock) -> RowGrant {
        let grant = self.manager.lock_row(self.owner, key, mode);
        if grant == RowGrant::Granted {
            self.row_locks.get_or_insert_default().push(key, mode);
        }
        grant
    }
    /// Keeps a row lock that an outer level noted in the row's header, which is about to be overwritten.
    pub fn keep_row_lock(&mut self, key: RowKey, mode: RowLock) {
        if self.manager.lock_row(self.owner, key, mode) == RowGrant::Granted {
            self.row_locks.get_or_insert_default().keep(key, mode);
        }
    }
    /// How many row locks it holds outside the rows.
    pub fn row_locks(&self) -> usize {
        self.row_locks.as_ref().map_or(0, |r| r.len())
    }
    /// Its locks on objects and its advisory locks.
    pub(crate) fn held_locks(&self) -> &[(LockTag, LockMode)] {
        self.locks.all()
    }
    /// Its row locks that are not in the rows.
    pub(crate) fn held_rows(&self) -> Vec<(RowKey, RowLock)> {
        let mut all: Vec<_> = self.row_locks.iter().flat_map(|r| r.all()).collect();
        all.extend(self.manager.row_locks.carried_for(self.owner));
        all
    }
    pub(crate) fn set_owner(&mut self, owner: OwnerId) {
        self.owner = owner;
    }
    /// Takes over the ids and relations of a prepared transaction.
    pub(crate) fn adopt(&mut self, state: &crate::PreparedState) {
        self.own.clone_from(&state.xids);
        let level = self.level();
        level.xids.clone_from(&state.xids);
        level.xid = state.xids.first().copied();
        level.created.clone_from(&state.created);
        level.dropped.clone_from(&state.dropped);
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
        if self.serial.is_some() {
            self.manager.ssi.end(self.serial, committed);
            self.serial = SerialId::NONE;
        }
        if self.row_locks.is_some() || self.manager.row_locks.any_carried() {
            self.unlock_rows();
        }
        self.unlock_from(0);
        self.levels.clear();
        self.fixed = None;
    }

    #[cold]
    fn unlock_rows(&mut self) {
        let locks = &self.manager.row_locks;
        let carried = locks.release_carried(self.owner);
        let rows = self.row_locks.take();
        if carried || rows.is_some() {
            locks.release(self.owner, rows.map(|r| r.take_all()).into_iter().flatten());
            // What was carried over while they went.
            locks.release_carried(self.owner);
            self.manager.waits.released(self.owner);
        }
    }
}
