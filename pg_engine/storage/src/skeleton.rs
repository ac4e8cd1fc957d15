//! The signatures of the facade ahead of their bodies: everything here answers `Unsupported`.
use alloc::{sync::Arc, vec::Vec};
use core::{ops::Range, sync::atomic::AtomicBool, time::Duration};

use pg_page::{CommandId, RelId, StorageError, Tid, Xid};
use platform::block::BlockDevice;

use crate::api::*;

const NOT_YET: StorageError = StorageError::Unsupported("storage");

type Result<T> = core::result::Result<T, StorageError>;

/// An open volume.
pub struct Storage {
    _device: Arc<dyn BlockDevice>,
}

/// What a statement sees. Cheap to clone. Row versions it may see are kept while it lives.
#[derive(Clone, Debug)]
pub struct Snapshot {
    _private: (),
}

/// A unit of work. Owns no task. Dropping it unfinished aborts it. `Send`.
pub struct Transaction {
    _private: (),
}

/// A savepoint level inside a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint(pub(crate) u32);

impl Transaction {
    /// The snapshot for a statement that begins now (REPEATABLE READ: the first one, with this command's id).
    pub fn snapshot(&mut self) -> Snapshot {
        Snapshot { _private: () }
    }
    /// Later snapshots see what was written up to now.
    pub fn next_command(&mut self) {}
    /// The running command.
    pub fn command(&self) -> CommandId {
        CommandId(0)
    }
    /// The id, if the transaction wrote anything.
    pub fn xid(&self) -> Option<Xid> {
        None
    }
    /// Opens a savepoint level (SAVEPOINT).
    pub fn begin_sub(&mut self) -> Savepoint {
        Savepoint(0)
    }
    /// Keeps the work of this level and the levels inside it (RELEASE SAVEPOINT). The level is gone.
    pub fn release_sub(&mut self, _level: Savepoint) -> Result<()> {
        Err(NOT_YET)
    }
    /// Undoes the work of this level and the levels inside it (ROLLBACK TO SAVEPOINT). The level itself remains,
    /// empty. Locks taken since are released.
    pub fn rollback_to(&mut self, _level: Savepoint) -> Result<()> {
        Err(NOT_YET)
    }
    /// Commit does not wait for the log to be durable (synchronous_commit = off).
    pub fn set_async_commit(&mut self, _on: bool) {}
    /// Limit for each wait for a lock. None: no limit.
    pub fn set_lock_timeout(&mut self, _limit: Option<Duration>) {}
    /// While the flag is up, waits end with [`StorageError::Canceled`]. Whoever raises it calls [`Storage::wake_canceled`].
    pub fn set_cancel_flag(&mut self, _flag: Arc<AtomicBool>) {}
    /// Makes everything durable and visible. An error means that nothing was committed.
    pub fn commit(self) -> Result<()> {
        Err(NOT_YET)
    }
    /// Undoes everything.
    pub fn abort(self) {}
}

/// A sequential scan.
pub struct HeapScan {
    _private: (),
}

impl HeapScan {
    /// Gives the visible rows of the next page (maybe none) to `row`. False at the end. A row on overflow pages is
    /// assembled first.
    pub fn next_page(&mut self, _row: impl FnMut(Tid, &[u8])) -> Result<bool> {
        Err(NOT_YET)
    }
    /// The page that the next call reads.
    pub fn position(&self) -> u32 {
        0
    }
}

/// A range scan of an index.
pub struct IndexScan {
    _private: (),
}

impl IndexScan {
    /// Appends the tids of the next leaf's matching entries, in scan order, to `tids`; false at the end.
    pub fn next_batch(&mut self, _tids: &mut Vec<Tid>) -> Result<bool> {
        Err(NOT_YET)
    }
    /// As `next_batch`, giving the key too.
    pub fn next_entries(&mut self, _entry: impl FnMut(&[u8], Tid)) -> Result<bool> {
        Err(NOT_YET)
    }
}

impl Storage {
    /// Looks at a device without writing to it.
    pub fn probe(_device: &dyn BlockDevice) -> Result<Probe> {
        Err(NOT_YET)
    }
    /// Makes a blank device a volume. Refuses any other.
    pub fn format(_device: &dyn BlockDevice, _options: &FormatOptions) -> Result<()> {
        Err(NOT_YET)
    }
    /// Reads the configuration block of a volume that is not open.
    pub fn read_config(_device: &dyn BlockDevice) -> Result<Vec<u8>> {
        Err(NOT_YET)
    }
    /// Replaces the configuration block (atomically).
    pub fn write_config(_device: &dyn BlockDevice, _config: &[u8]) -> Result<()> {
        Err(NOT_YET)
    }
    /// The byte range of the crash-record area, for the emergency writer. Its content is that writer's.
    pub fn crash_area(_device: &dyn BlockDevice) -> Result<Range<u64>> {
        Err(NOT_YET)
    }
    /// Opens a volume, after recovery if need be.
    pub fn open(_device: Arc<dyn BlockDevice>, _config: StorageConfig) -> Result<Arc<Self>> {
        Err(NOT_YET)
    }
    /// Writes all that is dirty, so that recovery would start here.
    pub fn checkpoint(&self) -> Result<()> {
        Err(NOT_YET)
    }
    /// Checkpoint, mark clean, refuse further work.
    pub fn shutdown(&self) -> Result<()> {
        Err(NOT_YET)
    }
    /// Checks every page's checksum, and every index against its heap. For tests and administrators.
    pub fn verify(&self) -> Result<()> {
        Err(NOT_YET)
    }

    /// Starts a transaction. Costs next to nothing until it writes.
    pub fn begin(self: &Arc<Self>, _isolation: Isolation) -> Transaction {
        Transaction { _private: () }
    }
    /// Makes waiting transactions look at their cancel flags.
    pub fn wake_canceled(&self) {}

    /// Creates a relation; it vanishes if the (sub)transaction aborts.
    pub fn create_relation(&self, _txn: &mut Transaction, _kind: RelationKind) -> Result<RelId> {
        Err(NOT_YET)
    }
    /// Drops a relation when the transaction commits.
    pub fn drop_relation(&self, _txn: &mut Transaction, _rel: RelId) -> Result<()> {
        Err(NOT_YET)
    }
    /// Sizes for the planner.
    pub fn relation_stats(&self, _rel: RelId) -> Result<RelationStats> {
        Err(NOT_YET)
    }
    /// What it is.
    pub fn relation_kind(&self, _rel: RelId) -> Result<RelationKind> {
        Err(NOT_YET)
    }
    /// Every relation of the volume.
    pub fn relations(&self) -> Vec<(RelId, RelationKind)> {
        Vec::new()
    }
    /// Removes dead row versions and their index entries (of every B-tree over the heap).
    pub fn vacuum(&self, _rel: RelId) -> Result<VacuumStats> {
        Err(NOT_YET)
    }

    /// Adds a row.
    pub fn heap_insert(&self, _txn: &mut Transaction, _rel: RelId, _payload: &[u8]) -> Result<Tid> {
        Err(NOT_YET)
    }
    /// Adds many rows with one latch and log record per page. Tids are appended in order.
    pub fn heap_insert_many(
        &self,
        _txn: &mut Transaction,
        _rel: RelId,
        _payloads: &[&[u8]],
        _tids: &mut Vec<Tid>,
    ) -> Result<()> {
        Err(NOT_YET)
    }
    /// Replaces a row version. `hot_allowed`: no indexed column changed.
    pub fn heap_update(
        &self,
        _txn: &mut Transaction,
        _rel: RelId,
        _tid: Tid,
        _payload: &[u8],
        _hot_allowed: bool,
    ) -> Result<RowOutcome> {
        Err(NOT_YET)
    }
    /// Deletes a row version.
    pub fn heap_delete(&self, _txn: &mut Transaction, _rel: RelId, _tid: Tid) -> Result<RowOutcome> {
        Err(NOT_YET)
    }
    /// Locks a row version until the transaction ends.
    pub fn heap_lock(
        &self,
        _txn: &mut Transaction,
        _rel: RelId,
        _tid: Tid,
        _mode: RowLock,
        _wait: WaitPolicy,
    ) -> Result<RowOutcome> {
        Err(NOT_YET)
    }
    /// Gives the version of the row at `tid` (an index entry's or a scan's) that the snapshot sees, following HOT chains. The
    /// closure gets that version's own tid. None: none is visible.
    pub fn heap_fetch<R>(
        &self,
        _rel: RelId,
        _tid: Tid,
        _snapshot: &Snapshot,
        _f: impl FnOnce(Tid, &[u8]) -> R,
    ) -> Result<Option<R>> {
        Err(NOT_YET)
    }
    /// Gives exactly the version at `tid`, whoever sees it (after `ConcurrentlyUpdated`, or for the old row of an
    /// update). None if there is none.
    pub fn heap_fetch_version<R>(
        &self,
        _rel: RelId,
        _tid: Tid,
        _f: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        Err(NOT_YET)
    }
    /// Starts a scan of pages `blocks` (None: all there are now).
    pub fn heap_scan(
        self: &Arc<Self>,
        _rel: RelId,
        _snapshot: &Snapshot,
        _blocks: Option<Range<u32>>,
    ) -> Result<HeapScan> {
        Err(NOT_YET)
    }

    /// Adds an index entry.
    pub fn index_insert(
        &self,
        _txn: &mut Transaction,
        _index: RelId,
        _key: &[u8],
        _tid: Tid,
        _unique: Unique,
    ) -> Result<IndexInsert> {
        Err(NOT_YET)
    }
    /// Appends the tids of all entries with exactly this key.
    pub fn index_lookup(&self, _index: RelId, _key: &[u8], _tids: &mut Vec<Tid>) -> Result<()> {
        Err(NOT_YET)
    }
    /// Starts a range scan.
    pub fn index_scan(
        self: &Arc<Self>,
        _index: RelId,
        _from: KeyBound<'_>,
        _to: KeyBound<'_>,
        _direction: ScanDirection,
    ) -> Result<IndexScan> {
        Err(NOT_YET)
    }
    /// Fills an empty index from entries in ascending `(key, tid)` order, as CREATE INDEX does. With `unique`, equal
    /// keys of rows that are live give `Duplicate`.
    pub fn index_build(
        &self,
        _txn: &mut Transaction,
        _index: RelId,
        _entries: &mut dyn Iterator<Item = (Vec<u8>, Tid)>,
        _unique: bool,
    ) -> Result<IndexInsert> {
        Err(NOT_YET)
    }
    /// Rows to index in CREATE INDEX: gives every row version that some present or future snapshot may see, with the tid
    /// its index entry must have (the root of its HOT chain). The flag says whether the row is live (unique checks
    /// count only those).
    pub fn heap_scan_for_index(&self, _rel: RelId, _row: impl FnMut(Tid, &[u8], bool)) -> Result<()> {
        Err(NOT_YET)
    }

    /// Sets a sequence up (CREATE, ALTER, RESTART); with the relation's transaction when it created it, at once otherwise.
    pub fn sequence_set(
        &self,
        _txn: &mut Transaction,
        _seq: RelId,
        _options: &SequenceOptions,
        _last: i64,
        _called: bool,
    ) -> Result<()> {
        Err(NOT_YET)
    }
    /// The next value. Never rolled back.
    pub fn sequence_next(&self, _seq: RelId) -> Result<i64> {
        Err(NOT_YET)
    }
    /// Options, last value and whether it was handed out.
    pub fn sequence_get(&self, _seq: RelId) -> Result<(SequenceOptions, i64, bool)> {
        Err(NOT_YET)
    }

    /// Takes a lock, until the end of the transaction (or rollback of the savepoint).
    pub fn lock(
        &self,
        _txn: &mut Transaction,
        _tag: LockTag,
        _mode: LockMode,
        _wait: WaitPolicy,
    ) -> Result<bool> {
        Err(NOT_YET)
    }
}
