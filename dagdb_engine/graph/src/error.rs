//! What can be wrong with a graph or an edit.

use thiserror::Error;

use crate::NodeId;

/// A broken invariant; the edge that breaks it is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GraphError {
    /// A node was named that is not there.
    #[error("node {node} does not exist: the graph has {nodes} nodes")]
    NoSuchNode {
        /// The number given.
        node: u64,
        /// How many there are.
        nodes: u64,
    },
    /// A node was named whose id is free.
    #[error("node {node} does not exist")]
    Free {
        /// The number given.
        node: NodeId,
    },
    /// An edge names a source whose id is free.
    #[error("edge {source_node} -> {target} has no source: node {source_node} does not exist")]
    FreeSource {
        /// The number given.
        source_node: NodeId,
        /// The node that reads it.
        target: NodeId,
    },
    /// A free id has what only nodes have.
    #[error("node {node} does not exist, and yet it has a rank, a table or edges")]
    NotFree {
        /// The number.
        node: NodeId,
    },
    /// An edge does not go from a higher rank to a lower one.
    #[error(
        "edge {source_node} -> {target} violates the rank order: the source's rank {source_rank} is not above the target's rank {target_rank}"
    )]
    RankOrder {
        /// Where the edge begins.
        source_node: NodeId,
        /// Its rank.
        source_rank: u64,
        /// Where it ends.
        target: NodeId,
        /// Its rank.
        target_rank: u64,
    },
    /// An edge from a node to itself.
    #[error("edge {node} -> {node} is a self-loop")]
    SelfLoop {
        /// The node.
        node: NodeId,
    },
    /// A node reads a source twice.
    #[error("edge {source_node} -> {target} is there already")]
    DuplicateSource {
        /// The source.
        source_node: NodeId,
        /// The node that reads it.
        target: NodeId,
    },
    /// A seventh input.
    #[error("edge {source_node} -> {target} does not fit: node {target} has six inputs already")]
    NoFreeInput {
        /// The source that was to be read.
        source_node: NodeId,
        /// The node that is full.
        target: NodeId,
    },
    /// A node with a back edge was to get an input.
    #[error("edge {source_node} -> {target} is not allowed: node {target} is a register")]
    InputOfRegister {
        /// The source that was to be read.
        source_node: NodeId,
        /// The register.
        target: NodeId,
    },
    /// A node with inputs was to get a back edge.
    #[error("back edge {source_node} -> {target} is not allowed: node {target} has inputs")]
    RegisterWithInputs {
        /// The back edge's source.
        source_node: NodeId,
        /// The node with inputs.
        target: NodeId,
    },
    /// A second back edge of one register.
    #[error(
        "back edge {source_node} -> {target} is not allowed: register {target} is fed by node {present} already"
    )]
    SecondBackEdge {
        /// The new source.
        source_node: NodeId,
        /// The register.
        target: NodeId,
        /// The source that it has.
        present: NodeId,
    },
    /// An edge names a source that is not a node.
    #[error("edge {source_node} -> {target} has no source: the graph has {nodes} nodes")]
    SourceOutOfRange {
        /// The number given.
        source_node: u64,
        /// The node that reads it.
        target: NodeId,
        /// How many nodes there are.
        nodes: u64,
    },
    /// More nodes than a graph can have.
    #[error("a graph has at most {limit} nodes")]
    TooManyNodes {
        /// The limit.
        limit: u64,
    },
    /// A node's kind is none of the known ones.
    #[error("node {node} has the unknown type {code}")]
    UnknownKind {
        /// The node.
        node: NodeId,
        /// The number given.
        code: u8,
    },
}
