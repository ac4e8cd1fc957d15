//! The model: ranked directed acyclic graphs whose nodes are tables of up to six inputs.
//!
//! A node has a rank (0 is the root; a source's rank is strictly above its target's), a truth value (0 false, 1 true, 2
//! undefined, further codes up to 255), a [`Kind`], a [`Lut`] and six ordered input slots. Input bit `d` is whether the truth
//! of slot `d`'s source is 1; an unused slot reads 0; the node's next truth is the table's bit at the index those bits make.
//! A *register* is fed by one back edge instead of inputs: back edges are exempt from the rank rule and are latched after
//! everything else.
//!
//! Ids are stable: that of a deleted node is *free* ([`Node::FREE`]) and keeps its place until a node is made that is to have
//! it, so a graph's ids are the numbers below [`View::node_count`], those that are free among them.
//!
//! [`Graph`] keeps nodes in order of their ids, one array a field: it is what importers and builders fill and what gets
//! validated whole. The form that is evaluated lives in `dagdb_tick`, which keeps the same model sorted by rank. Both are a
//! [`View`], and [`Edit::plan`] checks an edit against any view: it says which nodes' rows are replaced by which, so that the
//! storage above can log and version exactly that. A [`Draft`] collects many changes and checks them when all are there.
//!
//! # Invariants
//! * Every combinational edge goes from a strictly higher rank to a lower one; so no cycles and no self-loops.
//! * No node has the same source twice; every source is a node; registers have no inputs and exactly one back edge.
//! * A free id is all zeros but for its kind, and nobody reads it.
//! * An edit that would break one of these is an error that names the edge, and changes nothing.
//!
//! # What it must not know
//! Storage, SQL, how graphs are evaluated.
//!
//! # Dependencies
//! `thiserror` for the error type.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod draft;
mod edit;
mod error;
mod graph;
mod lut;
mod node;
mod validate;

pub use draft::{Draft, Drafted};
pub use edit::{Compose, Edit, Replacement};
pub use error::GraphError;
pub use graph::{Graph, View};
pub use lut::Lut;
pub use node::{INPUTS, Kind, MAX_NODES, Node, NodeId, truth};
