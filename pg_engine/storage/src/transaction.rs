//! Transactions as the engine above sees them.

use alloc::{sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use pg_page::{CommandId, Lsn, RelId, Xid};
use pg_transaction::{
    Isolation, LockInfo, LockMode, LockTag, Outcome, Savepoint, SessionLocks, Snapshot, Work,
};
use pg_volume::{
    RelationKind,
    codec::{Decoder, Encoder},
};
use pg_wal::RecordKind;
use platform::{
    bug::{Bug, planted},
    time,
};

use crate::{
    StorageError,
    storage::{Result, Storage},
};

/// Log record: transactions committed.
pub(crate) const KIND_COMMIT: RecordKind = RecordKind(2);

/// Body of a commit record.
pub(crate) struct CommitRecord {
    /// When, in microseconds since 1970-01-01 UTC.
    pub time: i64,
    pub xids: Vec<Xid>,
    pub drops: Vec<RelId>,
}

impl CommitRecord {
    fn encode(&self) -> Vec<u8> {
        let mut e = Encoder(Vec::with_capacity(16 + 8 * self.xids.len()));
        e.u64(self.time as u64);
        e.u32(self.xids.len() as u32).u32(self.drops.len() as u32);
        for x in &self.xids {
            e.u64(x.0);
        }
        for r in &self.drops {
            e.u32(r.0);
        }
        e.0
    }
    pub fn decode(body: &[u8]) -> Option<Self> {
        let mut d = Decoder(body);
        let time = d.u64()? as i64;
        let (n, m) = (d.u32()?, d.u32()?);
        Some(Self {
            time,
            xids: (0..n).map(|_| d.u64().map(Xid)).collect::<Option<_>>()?,
            drops: (0..m).map(|_| d.u32().map(RelId)).collect::<Option<_>>()?,
        })
    }
}

/// A unit of work. Owns no task. Dropping it unfinished aborts it. `Send`.
pub struct Transaction {
    storage: Arc<Storage>,
    pub(crate) work: Work,
    ended: bool,
    others_go_on: bool,
}

impl Storage {
    /// Starts a transaction. Costs next to nothing until it writes.
    pub fn begin(self: &Arc<Self>, isolation: Isolation) -> Transaction {
        Transaction {
            storage: self.clone(),
            work: Work::new(self.engine.transactions.clone(), isolation),
            ended: false,
            others_go_on: false,
        }
    }
    /// By which name a transaction appears among the locks ([`Storage::locks`]).
    pub fn owner(&self, txn: &Transaction) -> pg_transaction::OwnerId {
        txn.work.owner()
    }
    /// Makes waiting transactions look at their cancel flags.
    pub fn wake_canceled(&self) {
        self.engine.transactions.wake_canceled();
    }
    /// Takes a lock, until the end of the transaction (or rollback of the savepoint). False: others hold it and `wait`
    /// was not given.
    pub fn lock(&self, txn: &mut Transaction, tag: LockTag, mode: LockMode, wait: bool) -> Result<bool> {
        txn.work.lock(tag, mode, wait)
    }
    /// Waits for those who now hold a lock that conflicts with `mode`, without taking it.
    pub fn wait_for_holders(&self, txn: &Transaction, tag: LockTag, mode: LockMode) -> Result<()> {
        let work = &txn.work;
        self.engine.transactions.wait_for_holders(work.owner(), tag, mode, work.wait_options())
    }
    /// Takes a lock for the session, until it gives it back. False: others hold it and `wait` was not given.
    pub fn lock_for_session(
        &self,
        txn: &Transaction,
        locks: &mut SessionLocks,
        tag: LockTag,
        mode: LockMode,
        wait: bool,
    ) -> Result<bool> {
        locks.lock(&self.engine.transactions, tag, mode, wait.then(|| txn.work.wait_options()))
    }
    /// Gives a session's lock back once. False: it does not hold it.
    pub fn unlock_for_session(&self, locks: &mut SessionLocks, tag: LockTag, mode: LockMode) -> bool {
        locks.release(&self.engine.transactions, tag, mode)
    }
    /// Gives all locks of a session back that do not belong to a transaction.
    pub fn unlock_session(&self, locks: &mut SessionLocks) {
        locks.release_all(&self.engine.transactions);
    }
    /// Every lock on objects and every advisory lock that is held or waited for.
    pub fn locks(&self) -> Vec<LockInfo> {
        self.engine.transactions.all_locks()
    }
    /// The number that the next transaction gets.
    pub fn next_xid(&self) -> Xid {
        self.engine.transactions.next()
    }
    /// How a transaction ended, in the words of `pg_xact_status`.
    pub fn transaction_outcome(&self, xid: Xid) -> &'static str {
        match self.engine.transactions.outcome(xid) {
            Outcome::InProgress => "in progress",
            Outcome::Committed => "committed",
            Outcome::Aborted => "aborted",
        }
    }
    /// The sessions that a session waits for, by process number.
    pub fn blocking_processes(&self, process: i32) -> Vec<i32> {
        self.engine.transactions.blocking_processes(process)
    }
    /// The processes whose transactions keep another's READ ONLY DEFERRABLE one from a safe snapshot.
    pub fn snapshot_blocking_processes(&self, process: i32) -> Vec<i32> {
        self.engine.transactions.snapshot_blocking_processes(process)
    }
    /// Creates a relation; it vanishes if the (sub)transaction aborts.
    pub fn create_relation(&self, txn: &mut Transaction, kind: RelationKind) -> Result<RelId> {
        self.check_open()?;
        self.wal.throttle()?;
        let xid = txn.work.writing_xid();
        let rel = self.engine.directory.create(&self.wal, kind, xid)?;
        // Who writes to it later has an id from there on.
        rel.vacuumed.store(self.engine.transactions.fresh_horizon().0, Ordering::Release);
        txn.work.innermost().created.push(rel.id);
        if kind.indexed().is_some() {
            let open = self.opened(rel.id)?;
            self.any_index(&open)?.create(xid)?;
        }
        if let Some(heap) = kind.indexed()
            && let Ok(open) = self.opened(heap)
        {
            // A vacuum under way does not know of the new index; later ones do and keep away from it.
            drop(open.shut());
        }
        Ok(rel.id)
    }
    /// Drops a relation when the transaction commits.
    pub fn drop_relation(&self, txn: &mut Transaction, rel: RelId) -> Result<()> {
        self.check_open()?;
        self.engine.directory.get(rel).ok_or(StorageError::NoSuchRelation(rel))?;
        txn.work.writing_xid();
        let level = txn.work.innermost();
        if !level.dropped.contains(&rel) {
            level.dropped.push(rel);
        }
        Ok(())
    }
}

impl Transaction {
    /// One whose work was prepared.
    pub(crate) fn of(storage: &Arc<Storage>, work: Work) -> Self {
        Self { storage: storage.clone(), work, ended: false, others_go_on: false }
    }
    /// Takes the work out, without ending it.
    pub(crate) fn into_work(mut self) -> Work {
        self.ended = true;
        let manager = self.storage.engine.transactions.clone();
        core::mem::replace(&mut self.work, Work::new(manager, Isolation::ReadCommitted))
    }
    /// The snapshot for a statement that begins now (REPEATABLE READ: the first one, with this command's id).
    #[inline]
    pub fn snapshot(&mut self) -> Snapshot {
        self.settle_unless_counting();
        self.work.snapshot()
    }
    /// A snapshot of this moment, whatever the isolation level: for integrity checks.
    pub fn latest_snapshot(&mut self) -> Snapshot {
        self.settle_unless_counting();
        self.work.latest_snapshot()
    }
    /// The command that begins tells its client nothing but how many rows it changed. It need not wait until the commits of
    /// those who changed the same rows before are durable: it is enough that they are logged, as its own commit comes after.
    pub fn set_counts_only(&mut self) {
        self.work.set_counts_only();
    }
    /// Whatever a command shows must last: it waits for what the transaction has seen so far.
    #[inline]
    fn settle_unless_counting(&self) {
        if self.work.rests_on_logged() && !self.work.counts_only() {
            self.settle();
        }
    }
    #[cold]
    fn settle(&self) {
        let place = self.work.rests_on();
        self.storage.wal.flush(Lsn(place));
        self.work.settled(place);
    }
    /// Later snapshots see what was written up to now.
    pub fn next_command(&mut self) {
        self.work.next_command();
    }
    /// The running command.
    pub fn command(&self) -> CommandId {
        self.work.command()
    }
    /// How it sees others.
    pub fn isolation(&self) -> Isolation {
        self.work.isolation()
    }
    /// The id, if the transaction wrote anything.
    pub fn xid(&self) -> Option<Xid> {
        self.work.xid()
    }
    /// Its id, which it gets now if it has none.
    pub fn assign_xid(&mut self) -> Xid {
        let new = self.work.writing_xid();
        self.work.xid().unwrap_or(new)
    }
    /// The volume it works on.
    pub fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }
    /// Opens a savepoint level (SAVEPOINT).
    pub fn begin_sub(&mut self) -> Savepoint {
        self.work.begin_sub()
    }
    /// Keeps the work of this level and the levels inside it (RELEASE SAVEPOINT). The level is gone.
    pub fn release_sub(&mut self, level: Savepoint) -> Result<()> {
        self.work.release_sub(level)
    }
    /// Undoes the work of this level and the levels inside it (ROLLBACK TO SAVEPOINT). The level itself remains,
    /// empty. Locks taken since are released.
    pub fn rollback_to(&mut self, level: Savepoint) -> Result<()> {
        self.settle_if_resting();
        for rel in self.work.rollback_to(level)? {
            self.storage.remove_relation(rel, true);
        }
        Ok(())
    }
    /// Commit does not wait for the log to be durable (synchronous_commit = off).
    pub fn set_async_commit(&mut self, on: bool) {
        self.work.async_commit = on;
    }
    /// Nothing but rows depends on its end: those who wait to change the same ones may go on once its commit is logged.
    pub fn let_others_go_on(&mut self) {
        self.others_go_on = true;
    }
    /// Declares that it writes nothing: a serializable one may then go unwatched. To be told before its first snapshot.
    pub fn set_read_only(&mut self, read_only: bool) {
        self.work.set_read_only(read_only);
    }
    /// SERIALIZABLE READ ONLY DEFERRABLE: waits for a snapshot that cannot be part of any anomaly.
    pub fn take_safe_snapshot(&mut self) -> Result<()> {
        self.work.take_safe_snapshot()
    }
    /// Limit for each wait for a lock. None: no limit.
    pub fn set_lock_timeout(&mut self, limit: Option<Duration>) {
        self.work.set_lock_timeout(limit);
    }
    /// The transaction is a session's: locks are held in the session's name. To be told before anything is done.
    pub fn set_process(&mut self, process: i32) {
        self.work.set_process(process);
    }
    /// While the flag is up, waits end with [`StorageError::Canceled`]. Whoever raises it calls [`Storage::wake_canceled`].
    pub fn set_cancel_flag(&mut self, flag: Arc<AtomicBool>) {
        self.work.set_cancel_flag(flag);
    }

    /// An error tells its client more than numbers.
    fn settle_if_resting(&self) {
        if self.work.rests_on_logged() {
            self.settle();
        }
    }

    /// Rows count as added when the transaction ends: until then vacuum could do nothing for their pages.
    fn count_inserted(&self) {
        for (rel, added, _) in self.work.counts().iter().filter(|c| c.1 > 0) {
            if let Some(r) = self.storage.engine.directory.get(*rel) {
                r.activity.inserted.fetch_add(added.unsigned_abs(), Ordering::Relaxed);
            }
        }
    }

    /// Makes everything durable and visible. An error means that nothing was committed.
    pub fn commit(self) -> Result<()> {
        self.commit_announced(|| ())
    }

    /// The same, with something to be done when it is durable and not yet visible, nor its locks free: what others remember of
    /// what it changed must be known to be old by then. Not called where the commit fails or changes nothing.
    pub fn commit_announced(mut self, announce: impl FnOnce()) -> Result<()> {
        // On an error the drop aborts.
        if self.work.serial().is_some() {
            self.work.check_serializable()?;
        }
        if self.work.own().is_empty() {
            self.settle_if_resting();
            self.ended = true;
            self.work.end(true);
            return Ok(());
        }
        self.storage.check_open()?;
        // It goes into the ring's reserve: what a full log must not keep anyone from is the end of a transaction.
        self.commit_logged(announce)
    }

    /// Logs the commit and lets everyone see it. Fails before anything was done, or not at all.
    pub(crate) fn commit_logged(mut self, announce: impl FnOnce()) -> Result<()> {
        let storage = self.storage.clone();
        let record = CommitRecord {
            time: time::wall_clock_micros(),
            xids: self.work.own().to_vec(),
            drops: self.work.dropped(),
        };
        let created = self.work.created();
        let awaited = !self.work.async_commit || !created.is_empty() || !record.drops.is_empty();
        // Others may go on as soon as it is logged, unless more depends on its end than rows.
        let early = awaited
            && self.others_go_on
            && created.is_empty()
            && record.drops.is_empty()
            && !self.work.serial().is_some();
        let body = record.encode();
        storage.wal.check_size(body.len(), "subtransactions")?;
        self.ended = true;
        storage.engine.transactions.set_committing(&record.xids);
        let first = record.xids.first().copied().unwrap_or(Xid::NONE);
        let Ok(lsn) = storage.wal.append(KIND_COMMIT, first, &[&body], None) else {
            platform::power::fatal("a commit record was refused");
        };
        if early {
            self.work.logged(lsn.0);
        }
        // What it removes or makes is others' business at once; its place must not be used while a cut could bring it back. And
        // nobody may see its work before that which it rests on.
        if awaited || self.work.rests_on_logged() {
            if !planted(Bug::AckBeforeFlush) {
                storage.wal.flush(lsn);
            }
            announce();
            self.work.show_logged(lsn.0);
        } else {
            storage.wal.commits_unawaited(lsn);
            announce();
        }
        for rel in &created {
            if let Some(r) = storage.engine.directory.get(*rel) {
                r.settle();
            }
        }
        for rel in &record.drops {
            storage.remove_relation(*rel, false);
        }
        self.count_inserted();
        self.work.end(true);
        Ok(())
    }

    /// Undoes everything.
    pub fn abort(mut self) {
        self.undo();
    }

    fn undo(&mut self) {
        if self.ended {
            return;
        }
        self.settle_if_resting();
        self.ended = true;
        self.count_inserted();
        for (rel, added, deleted) in self.work.counts() {
            if let Some(r) = self.storage.engine.directory.get(*rel) {
                r.live.fetch_add(deleted - added, Ordering::Relaxed);
                r.dead.fetch_add(added - deleted, Ordering::Relaxed);
            }
        }
        for rel in self.work.created() {
            self.storage.remove_relation(rel, true);
        }
        self.work.end(false);
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.undo();
    }
}
