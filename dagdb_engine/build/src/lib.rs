//! Making graphs: from drafts whose nodes may have any number of sources, and from files.
//!
//! A [`Builder`] collects drafts: a function, its sources in any number, or a register and what feeds it. Building splits what
//! has more than six sources into a tree of virtual nodes of the least depth, gives ranks by a [`RankPolicy`], and, if asked,
//! puts ghost nodes into ranks that edges skip. Functions that are no trees of themselves are handled by what they are:
//! AND by trees of AND whose tables fit the number of inputs, majority by adding the inputs up and comparing.
//!
//! Importers read AIGER and BLIF netlists, the original's snapshots, JSON and CSV. Every one of them checks what it reads
//! against [`Limits`] before it allocates, and the finished graph against the model's invariants.
//!
//! # Invariants
//! * A graph that comes out keeps the model's invariants.
//! * A draft's node has the draft's number, whatever is added for it.
//! * Any bytes are a graph or an error.
//!
//! # What it must not know
//! Files, SQL, evaluation.
//!
//! # Dependencies
//! `dagdb_graph` is what comes out; `hashbrown` finds names of netlists; `miniz_oxide` unpacks snapshots; `thiserror` for the
//! error type.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod aiger;
mod blif;
mod builder;
mod csv;
mod error;
mod json;
mod morton;
mod snapshot;

pub use aiger::read_aiger;
pub use blif::read_blif;
pub use builder::{Builder, Draft, Function, Netlist, RankPolicy};
pub use csv::{read_csv, write_csv};
pub use error::{BuildError, Limits, Problem};
pub use json::{read_json, write_json};
pub use morton::{hexagonal_code, morton_order, permuted};
pub use snapshot::{Snapshot, read_snapshot};
