//! Transactions: ids, snapshots, outcomes, and who waits for whom.
//!
//! # Ids and outcomes
//! An [`Xid`] is given out at the first write, to a transaction or to a savepoint level. Its outcome is two bits in a ring
//! that covers the last four million ids ([`outcomes`]). Of older ids only the aborted ones are remembered, in a set:
//! everything else that is old has committed. The set is saved by checkpoints and shrinks when vacuum has removed what
//! the aborted left behind, so there is no commit log to keep and nothing ever needs freezing.
//!
//! # Snapshots
//! A [`SnapshotData`] says which ids had ended when it was taken. All that are taken between two ends of writing transactions are
//! one and the same `Arc`: taking one is a lock and a reference count. The list of those still referenced gives the
//! **horizon**: what was deleted before it no one can see.
//!
//! # Waiting
//! A row that is being changed names the changing transaction: waiting for it is [`TransactionManager::wait_for`]. Row locks that only
//! lock are in a table of their own (`row_locks`), locks on objects and advisory locks in [`locks`]. All waits are edges of one graph; a wait that would close a cycle fails with `Deadlock` at
//! once. Waits end by lock timeout and by the cancel flag too.
//!
//! # Isolation levels
//! READ COMMITTED takes a snapshot a statement, the others one a transaction; SERIALIZABLE also watches what is read (`ssi`).
//!
//! # Lock order
//! The lock of `ssi` → `running`; nothing else is taken under it.
//! `waits` → `running` → `outcomes.old`; `waits` → a partition of the lock table; `waits` → a partition of the row locks → `carried`. None is held while waiting for anything else.
//!
//! # What it must not know
//! Pages, the log.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod locks;
mod manager;
pub mod outcomes;
mod prepared;
mod row_locks;
mod snapshot;
mod ssi;
mod waits;
mod work;

pub use locks::{LockInfo, LockMode, LockTag, SessionLocks};
pub use manager::{RecoveredState, TransactionManager};
pub use outcomes::Outcome;
pub use pg_page::{CommandId, Xid};
pub use prepared::PreparedState;
pub use row_locks::{RowGrant, RowKey, RowLock};
pub use snapshot::{Snapshot, SnapshotData};
pub use ssi::SerialId;
pub use waits::{OwnerId, WaitOptions};
pub use work::{Isolation, Level, Savepoint, Work};
