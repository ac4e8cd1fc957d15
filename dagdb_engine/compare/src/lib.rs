//! How far parts of a graph are apart, and which nodes came about alike.
//!
//! A part is the nodes of a range of ranks and the edges among them. [`distance`] compares two parts by one of eight metrics;
//! [`similar`] compares the ancestry of one node with that of others, by the neighbourhoods in them.
//!
//! A node's neighbourhood is one round of Weisfeiler and Lehman: its rank and the ranks of those inputs that belong to the part,
//! whatever their order, as one number.
//!
//! # Invariants
//! * Every metric is 0 between a part and itself, not negative, and the same in both directions.
//! * Work is cut into steps; between them the caller is asked whether to go on.
//!
//! # What it must not know
//! SQL, how graphs are stored and evaluated.
//!
//! # Dependencies
//! `dagdb_graph` for the model; `hashbrown` with `foldhash` to count neighbourhoods; `libm` for square roots; `thiserror` for
//! the error type.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod distance;
mod similar;
mod spectrum;

pub use distance::{Metric, Part, distance};
pub use similar::{Similar, similar};

use dagdb_graph::{Node, NodeId, View};
use thiserror::Error;

/// Nodes between questions whether to go on.
const STEP: usize = 4096;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CompareError {
    /// The caller said not to go on.
    #[error("cancelled")]
    Cancelled,
    /// Spectra of so large parts are not computed.
    #[error("a part of {nodes} nodes is too large: spectra are computed of at most {limit}")]
    TooLarge {
        /// Nodes of the part.
        nodes: usize,
        /// The most there may be.
        limit: usize,
    },
    /// The node is not there.
    #[error(transparent)]
    Graph(#[from] dagdb_graph::GraphError),
}

/// Lets others run; false: the work is to end.
pub type GoOn<'a> = &'a mut dyn FnMut() -> bool;

/// Mixes a word into a number, so that small numbers in another order or split give another result; the finaliser is that of
/// SplitMix64.
fn mix(hash: u64, word: u64) -> u64 {
    let mut x =
        hash.wrapping_mul(0xff51_afd7_ed55_8ccd).wrapping_add(word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// A node's neighbourhood among the inputs that `within` names.
fn neighbourhood(graph: &impl View, node: &Node, within: impl Fn(NodeId, &Node) -> bool) -> u64 {
    let mut ranks = [u64::MAX; dagdb_graph::INPUTS];
    let mut count = 0;
    for source in node.sources() {
        if let Some(from) = graph.node(source).filter(|n| within(source, n))
            && let Some(slot) = ranks.get_mut(count)
        {
            *slot = from.rank;
            count += 1;
        }
    }
    ranks.sort_unstable();
    let own = mix(count as u64, node.rank);
    ranks.iter().take(count).fold(own, |hash, &rank| mix(hash, rank))
}
