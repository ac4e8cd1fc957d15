//! Vocabulary of the facade.
use alloc::string::String;
use core::time::Duration;
use pg_page::{RelId, Tid};

/// How a new volume is laid out.
#[derive(Clone, Debug, Default)]
pub struct FormatOptions {
    /// Bytes of the log ring; default: an eighth of the device, between 16 MiB and 4 GiB.
    pub wal_bytes: Option<u64>,
    /// First content of the configuration block.
    pub config: alloc::vec::Vec<u8>,
}

/// How a volume is opened.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// Memory for the buffer pool.
    pub buffer_pool_bytes: u64,
    /// A checkpoint starts after so much log (never more than a third of the ring).
    pub checkpoint_wal_bytes: u64,
    /// A checkpoint starts after so much time when anything was written.
    pub checkpoint_interval: Duration,
    /// Starts the background writer, checkpointer and vacuum tasks. Tests that want to be alone say no.
    pub background_tasks: bool,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            buffer_pool_bytes: 128 << 20,
            checkpoint_wal_bytes: 512 << 20,
            checkpoint_interval: Duration::from_secs(300),
            background_tasks: true,
        }
    }
}

/// What [`crate::Storage::probe`] found on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Nothing: it may be formatted.
    Blank,
    /// An Intralith volume.
    Intralith {
        /// Format version.
        version: u32,
        /// It was shut down cleanly: opening needs no recovery.
        clean: bool,
    },
    /// Something else. It is never written.
    Foreign {
        /// For the console, such as "an ext4 file system".
        what: String,
    },
}

/// How much of others' work a transaction sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Every statement has a new snapshot.
    ReadCommitted,
    /// The first statement's snapshot serves the whole transaction.
    RepeatableRead,
}

/// What a relation is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// Rows.
    Heap,
    /// A B-tree over a heap.
    BTree {
        /// The heap whose rows the entries point to.
        heap: RelId,
    },
    /// A sequence.
    Sequence,
}

/// Sizes for the planner. Approximate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RelationStats {
    /// Pages.
    pub pages: u32,
    /// Rows that are visible to a new snapshot.
    pub live_tuples: u64,
    /// Row versions that vacuum could remove.
    pub dead_tuples: u64,
}

/// Modes of a row lock, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowLock {
    /// FOR KEY SHARE.
    KeyShare,
    /// FOR SHARE.
    Share,
    /// FOR NO KEY UPDATE.
    NoKeyUpdate,
    /// FOR UPDATE.
    Update,
}

/// What to do when another transaction holds the row or lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitPolicy {
    /// Wait for it (lock timeout, cancel flag and deadlock detection apply).
    Block,
    /// [`pg_page::StorageError::LockNotAvailable`] at once (NOWAIT).
    Error,
    /// [`RowOutcome::WouldBlock`] at once (SKIP LOCKED).
    Skip,
}

/// What became of an update, delete or lock of a row version.
///
/// On `ConcurrentlyUpdated` a READ COMMITTED statement fetches `latest` (with
/// [`crate::Storage::heap_fetch_version`]), evaluates its condition again and tries again with that tid; a REPEATABLE READ statement
/// fails with 40001, "could not serialize access due to concurrent update" (or "delete").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOutcome {
    /// Done.
    Done {
        /// The new version (update), or the version itself (delete, lock).
        tid: Tid,
        /// The new version needs no index entries.
        hot: bool,
    },
    /// Another transaction updated the row and committed.
    ConcurrentlyUpdated {
        /// The newest version known.
        latest: Tid,
    },
    /// Another transaction deleted the row and committed.
    ConcurrentlyDeleted,
    /// This transaction itself changed the row in this command or a later one.
    SelfModified,
    /// The row is locked and [`WaitPolicy::Skip`] was asked for.
    WouldBlock,
}

/// Whether an index insertion checks for equal keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unique {
    /// No check.
    No,
    /// Another live row with the key makes the insertion fail with [`IndexInsert::Duplicate`], inserting nothing.
    Yes,
    /// The entry is inserted in any case; a live or in-progress row with an equal key is reported, to be checked
    /// again at the end of the statement or transaction (deferred constraints).
    Deferred,
    /// Nothing is inserted: does another live row than this one have the key? (the recheck of a deferred constraint)
    CheckOnly,
}

/// What became of an index insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexInsert {
    /// Inserted, no equal key.
    Done,
    /// A live row (or, deferred, one in progress) has this key.
    Duplicate {
        /// That row.
        tid: Tid,
    },
}

/// A range end of an index scan over memcomparable keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyBound<'a> {
    /// No limit.
    Unbounded,
    /// Keys up to and with this one.
    Included(&'a [u8]),
    /// Keys short of this one.
    Excluded(&'a [u8]),
    /// As `Included`, and also all keys that begin with this prefix (multi-column equality on leading columns).
    Prefix(&'a [u8]),
    /// Short of all keys that begin with this prefix (as start bound: after all of them).
    ExcludedPrefix(&'a [u8]),
}

/// Order of an index scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanDirection {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

/// PostgreSQL's relation lock modes, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum LockMode {
    /// SELECT.
    AccessShare,
    /// SELECT FOR UPDATE and the like.
    RowShare,
    /// INSERT, UPDATE, DELETE.
    RowExclusive,
    /// VACUUM, ANALYZE, CREATE INDEX CONCURRENTLY.
    ShareUpdateExclusive,
    /// CREATE INDEX.
    Share,
    /// CREATE TRIGGER and the like.
    ShareRowExclusive,
    /// REFRESH MATERIALIZED VIEW CONCURRENTLY.
    Exclusive,
    /// DROP, TRUNCATE, most ALTER TABLE.
    AccessExclusive,
}

/// What a lock is on. The meaning of the numbers is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockTag {
    /// A catalog object by OID (a table's lock is on its OID, not on its storage).
    Object(u32),
    /// An advisory lock: class and key.
    Advisory(u64, u64),
}

/// What a vacuum did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VacuumStats {
    /// Heap pages looked at.
    pub pages: u32,
    /// Row versions removed.
    pub removed: u64,
    /// Row versions that remain and are visible to someone.
    pub remaining: u64,
    /// Index entries removed.
    pub index_entries_removed: u64,
}

/// State of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceOptions {
    /// First value.
    pub start: i64,
    /// Step; not zero.
    pub increment: i64,
    /// Least value.
    pub min: i64,
    /// Greatest value.
    pub max: i64,
    /// Starts again after the last value.
    pub cycle: bool,
}
