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
//! # Commits that are logged but not durable
//! A commit record's place in the log settles what comes after what; waiting for the device only makes it last. A transaction
//! that waits to change a row may therefore go on once the other's record is in the log ([`Work::logged`]): its own record
//! stands behind that one, and the log is read up to its first hole. Such a transaction *rests on* what is logged:
//! - it takes what is logged for committed, and so do its later snapshots, or it would see a row both before and after;
//! - everyone else's snapshots show a logged commit once it is durable, together with those logged before it
//!   (`show_logged`), so every snapshot holds what its members rest on;
//! - its client hears nothing from it but numbers of rows, until what it rests on is durable ([`Work::rests_on`]); only
//!   commands of READ COMMITTED that answer with a number do it at all.
//!
//! Locks other than a row's xmax are kept until the commit is durable.
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
pub use manager::{Place, RecoveredState, TransactionManager};
pub use outcomes::Outcome;
pub use pg_page::{CommandId, Xid};
pub use prepared::PreparedState;
pub use row_locks::{RowGrant, RowKey, RowLock};
pub use snapshot::{Snapshot, SnapshotData};
pub use ssi::SerialId;
pub use waits::{OwnerId, WaitOptions};
pub use work::{Isolation, Level, Savepoint, Work};
