//! Graphs in the storage engine: a heap a graph, whose rows are pieces of it, and the graphs at hand in memory.
//!
//! A graph's heap has two kinds of rows: pieces of structure ([`format::STRUCTURE_NODES`] nodes each: ranks, kinds, tables,
//! inputs, back edges) and pieces of values ([`format::VALUE_NODES`] nodes each). A change writes the pieces that it touches as
//! new row versions, so logging, recovery, rollback, savepoints, snapshots, vacuum and backups are those of any table.
//!
//! # Owns
//! * [`format`]: how pieces are encoded.
//! * [`Stored`]: a graph as some snapshot sees it, ready to be evaluated, with the places of its pieces.
//! * [`Chain`]: the frames of a history (`dagdb_delta` makes them), as chunks in a heap with an index.
//! * [`Cache`]: the graphs at hand. Whoever changes a graph gives it a new version, a random number that the caller keeps in a
//!   row of its own in the same transaction; so whoever sees that row sees that version, and a version of a transaction that
//!   rolled back is never asked for again.
//!
//! # Invariants
//! * A [`Stored`] never changes once it is shared: changing means cloning, which shares what is large.
//! * One transaction at a time changes a graph: the caller holds a lock on it until the transaction ends.
//! * What is loaded is checked: every piece is there once, and the graph keeps its invariants.
//!
//! # Lock order
//! The cache's lock is a leaf; nothing is read or evaluated under it.
//!
//! # What it must not know
//! Catalogs and names of graphs, SQL.
//!
//! # Dependencies
//! `dagdb_graph`, `dagdb_tick` (what is stored); `pg_storage` (where); `platform` (the cache's lock).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod cache;
mod chain;
mod error;
pub mod format;
mod replace;
mod stored;

pub use cache::Cache;
pub use chain::{Chain, FrameAt};
pub use error::{Damage, StoreError};
pub use stored::{BATCH as PIECES, GoOn, Stored};

/// Bytes of memory that a node takes at most while its graph is read or written.
pub const BYTES_A_NODE: usize = 64;
