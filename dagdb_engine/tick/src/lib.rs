//! Evaluation: a graph sorted by rank, its states packed into bits, and what moves them.
//!
//! # The form
//! A [`Network`] gives every node a *place*. Places are sorted by falling rank, so that whatever a node reads lies at lower
//! places and one pass from the first place to the last settles the graph. Within a rank, nodes form *segments*: registers,
//! constants (no inputs), and then nodes of one arity, those that share a table with many others before the rest. A segment's
//! inputs are kept by blocks of 64 nodes and within them by slot, without gaps: a block is evaluated in one call of
//! `kernel_simd`, and where all its nodes have one table, that table is applied to 64 nodes at once, and inputs are looked up
//! only as long as they matter. In large graphs that read anywhere, a segment is sorted by what it looks up first. Place 0 is no
//! node but the constant 0 that unused slots below a used one read. States are one bit a place; the few values above 1 are kept
//! aside.
//!
//! This is the whole model, not a cache of it: [`Network`] is a [`dagdb_graph::View`], so edits are checked against it. Edits
//! of tables and values happen in place. Edits of edges and ranks, and new nodes, go to an *overlay* of single nodes with
//! places of their own, evaluated in between the segments; [`Network::compact`] sorts them in again when there are many.
//!
//! # Ticks
//! A tick settles the graph and then latches its registers in two phases. It evaluates everything, or, where the readers of
//! each node are indexed ([`Network::index_readers`]), only the cone of what changed, rank by rank, unless that becomes too
//! large to be worth it. A tick that changed no register is a fixpoint: all further ones are counted, not computed. Long passes are cut into slices; between them the caller is asked
//! whether to go on, and a tick that is cancelled leaves everything as it was. [`Executor`] spreads the nodes of a rank over cores.
//!
//! [`Scenarios`] evaluates many scenarios at once, one bit each.
//!
//! # Invariants
//! * Every place that a node of a segment reads is below the segment's first place.
//! * A node that is not queued has the value that its table gives for its inputs' present bits.
//! * Paths, numbers of workers and the overlay change speed, never results.
//!
//! # Lock order
//! None is held while anything of the caller's is called; the results of parts are behind locks that nobody contends for.
//!
//! # What it must not know
//! Storage, SQL, threads.
//!
//! # Dependencies
//! `kernel_simd` for the kernels; `dagdb_graph` for the model; `hashbrown` to number the distinct tables; `spin` for the
//! results of parts; `thiserror` for the error type.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod bits;
mod build;
mod cone;
mod executor;
mod export;
mod layout;
mod network;
mod overlay;
mod pass;
mod scenarios;
mod sweep;
mod tables;

pub use executor::{Alone, Executor};
pub use export::{Export, Form, NO_SEAT};
pub use kernel_simd::lookup::Path;
pub use network::{Memory, Network, TickError, Ticked};
pub use scenarios::Scenarios;
