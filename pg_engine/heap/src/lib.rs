//! Heaps: rows in no order, each in as many versions as someone may still want to see.
//!
//! # A row version
//! ```text
//!  0 xmin  u64   who made it
//!  8 xmax  u64   who deleted, replaced or (flag) locked it; 0: no one
//! 16 cmin  u32   command of xmin
//! 20 cmax  u32   command of xmax
//! 24 next  u32 + u16   the version that replaced it
//! 30 flags u16
//! 32 payload
//! ```
//! Transaction ids are 64 bits and outcomes of old ones cost nothing to keep (see `pg_transaction`), so nothing is ever frozen, and
//! there are no per-version hint bits; a page has one hint, *all visible*, set by scans and vacuum and taken down by every change, and a
//! bit in the relation's visibility map, which index-only scans and vacuum ask without reading the page.
//!
//! # Updates
//! A new version goes to the old one's page when it fits. If no index needs to know (`hot_allowed`) it is a **heap-only** version: index
//! entries keep pointing to the first slot of the chain. When a page runs out of space, versions that no snapshot can see are
//! removed from it ([`prune`]): the first slot of a chain becomes a redirect to the oldest version that is left.
//! Inserts leave a tenth of each page to updates, so that they stay on their page, or what the fill factor says.
//!
//! # Waiting
//! An xmax in progress is a row lock: FOR UPDATE when it deletes or changes a key, FOR NO KEY UPDATE otherwise. Who meets one that
//! conflicts lets the page go, waits for that transaction, and looks again. Locks that only lock are kept beside the rows
//! (`pg_transaction::RowKey`); only a transaction with very many notes them as an xmax with a flag and the mode. A new
//! version inherits the locks of the old one, and who locks a version that another is replacing locks the successors too.
//!
//! # Large rows
//! Who stores rows keeps them small (`pg_toast`). A payload that does not fit on a page all the same (a row of very many columns, a
//! catalog's) lies in a chain of overflow pages of the same relation. Vacuum frees chains that no row refers to.
//!
//! # Lock order
//! Pages by block number, ascending. A relation's free-space lock is a leaf.
//!
//! # What it must not know
//! Columns, keys, indexes.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod check;
mod heap;
mod overflow;
pub mod prune;
mod read;
mod space;
pub mod tuple;
mod vacuum;

pub use check::{Behind, Chains, HeapFault};
pub use heap::{Engine, Heap, HeapState, MAX_PAYLOAD, RowOutcome, Touched, WaitPolicy};
pub use pg_transaction::RowLock;
pub use read::{Liveness, RowMarks};
pub use vacuum::{Collected, VacuumStats};
