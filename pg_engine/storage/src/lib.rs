//! The storage facade: opens a volume, recovers it and hands out transactions, heaps and indexes.
//!
//! Everything the engine above knows of durable state goes through this crate; the cells below it (page, volume, wal,
//! buffer_manager, transaction, heap, btree) are not used directly.
//!
//! # How to use it
//! * [`Storage::probe`], [`Storage::format`] and [`Storage::open`] bring a device up. Opening recovers.
//! * [`Storage::begin`] starts a [`Transaction`]. Take a [`Snapshot`] for every statement with
//!   [`Transaction::snapshot`] and keep it until the statement ends: row versions it may see are not removed as long
//!   as it (or a clone) lives, and so tids read under it stay valid. After a statement that wrote, call
//!   [`Transaction::next_command`], so that later statements see its effects.
//! * Rows are opaque `&[u8]` payloads, index keys opaque memcomparable `&[u8]` strings with an 8-byte-exact order: a key sorts before
//!   another when its bytes do, a proper prefix first.
//! * Relations are storage: a [`RelId`] is what PostgreSQL calls a relfilenode. The catalog keeps the id in
//!   its row. TRUNCATE and rewriting ALTER TABLE create a new relation, drop the old one and store the new id; both happen or
//!   neither, with the transaction. Take the locks first ([`Storage::lock`] on the object's OID): dropping a relation
//!   that others still read is refused nowhere.
//! * Closures that receive `&[u8]` run with the page latched: they copy or decode what they need and return; they must not call
//!   into the storage again.
//!
//! # What it costs
//! Instructions, counted with callgrind on `examples/costs.rs` (200,000 rows of 97 bytes, everything cached, one task,
//! a device in memory):
//!
//! | operation | instructions |
//! |---|---|
//! | begin, snapshot, commit, nothing written | 330 |
//! | the same with an index probe of three levels and the row | 2,410 |
//! | TPC-B: three probes, fetches and HOT updates, one insert, commit | 22,710 |
//!
//! # What is missing
//! * B-tree pages are not merged; of emptied ones the last child of each parent stays.
//! * Scans of an index do not read its leaves ahead, only the rows they lead to.
//!
//! # Errors
//! [`StorageError`] carries the SQLSTATE. After an error the (sub)transaction must be rolled back.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod api;
mod backup;
mod checkpoint;
mod crew;
mod indexes;
mod maps;
mod prepared;
mod recovery;
mod rows;
mod scratch;
mod sequence;
mod storage;
mod transaction;
mod vacuum;
mod verify;
mod verify_log;

pub use api::{FormatOptions, RelationStats, SequenceOptions, StorageConfig, Upkeep};
pub use backup::{BackupStart, Ending, PageRun, commit_of};
pub use checkpoint::CheckpointStats;
pub use indexes::{IndexBuild, IndexSorter};
pub use pg_btree::{
    Distinct, IndexEntry, IndexInsert, KeyBound, MAX_KEY, ScanDirection, TreeFault, Unique, carried, carry,
};
pub use pg_buffer_manager::{Actor, FrameInfo, IoCounts, IoStats, PoolStats, Purpose, WriterStats};
pub use pg_hash_index::{HashFault, hash as index_hash};
pub use pg_heap::{HeapFault, RowLock, RowMarks, RowOutcome, Touched, VacuumStats, WaitPolicy};
pub use pg_page::{CommandId, DeadlockEdge, Dependency, Lsn, RelId, StorageError, Tid, WaitsFor, Xid};
pub use pg_transaction::{
    Isolation, LockInfo, LockMode, LockTag, OwnerId, Savepoint, SessionLocks, Snapshot,
};
pub use pg_volume::{Activity, OwnerFault, Probe, RelationKind, Runs};
pub use pg_wal::ReadError;
pub use pg_wal::WalStats;
pub use prepared::PreparedInfo;
pub use rows::{HeapScan, IndexScan, IndexWorker, RelationActivity, VisiblePages};
pub use scratch::{ScratchBuffer, ScratchFile};
pub use storage::Storage;
pub use transaction::Transaction;
pub use verify::{Fault, Observer, Problem};
