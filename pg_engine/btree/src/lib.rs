//! B-trees: ordered maps from memcomparable keys to tids, safe for many readers and writers at once.
//!
//! # The tree
//! An entry is `(key, tid)`; entries are unique and ordered by both. Pages are linked both ways on each level, and a page with a
//! right neighbour has a high fence, the least entry that is not its own (Lehman and Yao). A descent latches one page at a time; who arrives after a
//! split moved his entry finds it by going right. Block 0 names the root. Pages are not merged; a leaf that vacuum
//! empties leaves the tree and is used again ([`reclaim`](self), by splits).
//!
//! # A page (see [`node`])
//! The slots carry the first eight bytes of each key behind the prefix that all keys of the page have in common (known
//! from the fences), so a binary search seldom looks at a key itself.
//!
//! Entries with equal keys share an item, a list of tids, once a page was full or built: an index of few distinct keys takes about as many
//! bytes as its tids.
//!
//! # Keys that carry more
//! An index with INCLUDE columns has keys in two parts, see [`carry`]: what is compared, and what is only carried. The tree orders
//! by both, which no one can tell from ordering by the first alone; unique checks look at the first.
//!
//! # Building
//! [`IndexSorter`]s collect entries (one for each task that scans the table), sort them by sixteen bytes of the key at a time and spill
//! to free pages of the volume; [`Index::build`] merges them into full pages, each logged whole.
//!
//! # Splits
//! One log record holds both halves and the right neighbour's new link. The left half is marked *incomplete* until its parent has
//! the link to the right half, which is a second record; a writer that meets a marked page (after a crash) completes it first.
//!
//! # Unique checks
//! They hold the write latch of the first leaf that may have the key while they look at the rows behind equal
//! keys, so two inserters of one key see each other. To wait for a transaction they let go and begin again.
//!
//! # Lock order
//! Latches: child before parent, left before right, meta page last; all before heap pages.
//!
//! # What it must not know
//! Key types, the log.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod batch;
mod build;
mod check;
mod index;
pub mod node;
mod reclaim;
mod scan;
mod sort;
mod split;

pub use batch::{IndexEntry, carried, carry};
pub use build::Distinct;
pub use check::TreeFault;
pub use index::{Index, IndexInsert, IndexState, Unique};
pub use node::MAX_KEY;
pub use scan::{Cursor, KeyBound, ScanDirection};
pub use sort::{IndexSorter, Merge, Merged};
