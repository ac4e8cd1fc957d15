//! Edits, checked before anything changes.

use crate::{GraphError, INPUTS, Kind, Lut, MAX_NODES, Node, NodeId, View};

/// How `COMPOSE` joins two nodes, or turns one around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compose {
    /// Both.
    And(NodeId, NodeId),
    /// Either.
    Or(NodeId, NodeId),
    /// One of them.
    Xor(NodeId, NodeId),
    /// Not.
    Not(NodeId),
}

impl Compose {
    /// The table, with the sources in the first slots.
    pub const fn lut(self) -> Lut {
        let nibble: u64 = match self {
            Self::And(..) => 0b1000,
            Self::Or(..) => 0b1110,
            Self::Xor(..) => 0b0110,
            Self::Not(..) => 0b0101,
        };
        Lut(nibble * 0x1111_1111_1111_1111)
    }

    /// The sources.
    pub const fn sources(self) -> (NodeId, Option<NodeId>) {
        match self {
            Self::And(a, b) | Self::Or(a, b) | Self::Xor(a, b) => (a, Some(b)),
            Self::Not(a) => (a, None),
        }
    }
}

/// One change of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Adds a node, whose id is the number of nodes there are.
    Add(Node),
    /// Gives a node another value.
    SetTruth(NodeId, u8),
    /// Gives a node another rank.
    SetRank(NodeId, u64),
    /// Gives a node another table.
    SetLut(NodeId, Lut),
    /// Gives a node another kind.
    SetKind(NodeId, Kind),
    /// An edge into the first free slot of `target`.
    Connect {
        /// Where it begins.
        source: NodeId,
        /// Where it ends.
        target: NodeId,
    },
    /// All slots at once, empty ones among them.
    SetInputs(NodeId, [Option<NodeId>; INPUTS]),
    /// Empties all slots.
    Clear(NodeId),
    /// Makes `target` a register fed by `source`.
    ConnectBack {
        /// Where it begins.
        source: NodeId,
        /// The register.
        target: NodeId,
    },
    /// Makes a register an ordinary node without inputs.
    ClearBack(NodeId),
    /// Makes `target` compute a function of one or two others, in place of what it had.
    Compose {
        /// The function.
        how: Compose,
        /// The node that computes it.
        target: NodeId,
    },
}

/// What an edit does: one node's row is replaced. `old` is `None` for a node that is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The node.
    pub id: NodeId,
    /// What it was.
    pub old: Option<Node>,
    /// What it becomes.
    pub new: Node,
}

impl Edit {
    /// The node that changes; `None` for one that is added.
    pub const fn target(&self) -> Option<NodeId> {
        match *self {
            Self::Add(_) => None,
            Self::SetTruth(id, _)
            | Self::SetRank(id, _)
            | Self::SetLut(id, _)
            | Self::SetKind(id, _)
            | Self::SetInputs(id, _)
            | Self::Clear(id)
            | Self::ClearBack(id)
            | Self::Connect { target: id, .. }
            | Self::ConnectBack { target: id, .. }
            | Self::Compose { target: id, .. } => Some(id),
        }
    }

    /// What it would do to `graph`, if it keeps the invariants.
    pub fn plan(&self, graph: &impl View) -> Result<Replacement, GraphError> {
        let Some(id) = self.target() else { return self.plan_addition(graph) };
        let old = graph.existing(id)?;
        let mut new = old;
        match *self {
            Self::Add(_) => {}
            Self::SetTruth(_, truth) => new.truth = truth,
            Self::SetLut(_, lut) => new.lut = lut,
            Self::SetKind(_, kind) => {
                new.kind = kind;
                not_free(id, &new)?;
            }
            Self::SetRank(_, rank) => {
                new.rank = rank;
                check_sources(graph, id, &new)?;
                if rank < old.rank {
                    check_readers(graph, id, rank, |_| false)?;
                }
            }
            Self::Connect { source, target } => {
                connect(graph, source, target, &mut new)?;
            }
            Self::SetInputs(_, inputs) => {
                new.inputs = inputs;
                check_sources(graph, id, &new)?;
            }
            Self::Clear(_) => new.inputs = [None; INPUTS],
            Self::ConnectBack { source, target } => {
                graph.existing(source)?;
                if let Some(present) = old.back {
                    return Err(GraphError::SecondBackEdge { source_node: source, target, present });
                }
                if old.sources().next().is_some() {
                    return Err(GraphError::RegisterWithInputs { source_node: source, target });
                }
                new.back = Some(source);
            }
            Self::ClearBack(_) => new.back = None,
            Self::Compose { how, .. } => {
                let (a, b) = how.sources();
                new.inputs = [Some(a), b, None, None, None, None];
                new.lut = how.lut();
                check_sources(graph, id, &new)?;
            }
        }
        Ok(Replacement { id, old: Some(old), new })
    }

    fn plan_addition(&self, graph: &impl View) -> Result<Replacement, GraphError> {
        let count = graph.node_count();
        if count >= MAX_NODES {
            return Err(GraphError::TooManyNodes { limit: MAX_NODES as u64 });
        }
        let id = NodeId(count as u32);
        let new = if let Self::Add(node) = self { *node } else { Node::default() };
        not_free(id, &new)?;
        if let Some(source) = new.back {
            // A register may feed itself from the start.
            if source != id {
                graph.existing(source)?;
            }
            if new.sources().next().is_some() {
                return Err(GraphError::RegisterWithInputs { source_node: source, target: id });
            }
        }
        check_sources(graph, id, &new)?;
        Ok(Replacement { id, old: None, new })
    }
}

/// Nodes do not become free by edits.
fn not_free(id: NodeId, node: &Node) -> Result<(), GraphError> {
    if node.is_free() { Err(GraphError::NotFree { node: id }) } else { Ok(()) }
}

fn connect(graph: &impl View, source: NodeId, target: NodeId, new: &mut Node) -> Result<(), GraphError> {
    check_edge(graph, source, target, new)?;
    if new.sources().any(|s| s == source) {
        return Err(GraphError::DuplicateSource { source_node: source, target });
    }
    let free = new.inputs.iter_mut().find(|i| i.is_none());
    *free.ok_or(GraphError::NoFreeInput { source_node: source, target })? = Some(source);
    Ok(())
}

fn check_edge(graph: &impl View, source: NodeId, target: NodeId, node: &Node) -> Result<(), GraphError> {
    let from = graph.node(source);
    if source == target {
        return Err(GraphError::SelfLoop { node: target });
    }
    let Some(from) = from else {
        let nodes = graph.node_count() as u64;
        return Err(GraphError::SourceOutOfRange { source_node: u64::from(source.0), target, nodes });
    };
    if from.is_free() {
        return Err(GraphError::FreeSource { source_node: source, target });
    }
    if node.back.is_some() {
        return Err(GraphError::InputOfRegister { source_node: source, target });
    }
    if from.rank <= node.rank {
        return Err(GraphError::RankOrder {
            source_node: source,
            source_rank: from.rank,
            target,
            target_rank: node.rank,
        });
    }
    Ok(())
}

/// All of a node's inputs.
fn check_sources(graph: &impl View, id: NodeId, node: &Node) -> Result<(), GraphError> {
    for (slot, source) in node.inputs.iter().enumerate() {
        let Some(source) = *source else { continue };
        check_edge(graph, source, id, node)?;
        if node.inputs.get(..slot).is_some_and(|before| before.contains(&Some(source))) {
            return Err(GraphError::DuplicateSource { source_node: source, target: id });
        }
    }
    Ok(())
}

/// All that one node's row can violate.
pub(crate) fn check_row(graph: &impl View, id: NodeId, node: &Node) -> Result<(), GraphError> {
    if node.is_free() && *node != Node::FREE {
        return Err(GraphError::NotFree { node: id });
    }
    if let Some(source_node) = node.back {
        let Some(source) = graph.node(source_node) else {
            let nodes = graph.node_count() as u64;
            return Err(GraphError::SourceOutOfRange {
                source_node: source_node.0.into(),
                target: id,
                nodes,
            });
        };
        if source.is_free() {
            return Err(GraphError::FreeSource { source_node, target: id });
        }
        if node.sources().next().is_some() {
            return Err(GraphError::RegisterWithInputs { source_node, target: id });
        }
    }
    check_sources(graph, id, node)
}

/// Whether all who read `source`, but for those passed over, may still do so when its rank is `rank`; of those who may not,
/// the first is named.
pub(crate) fn check_readers(
    graph: &impl View,
    source: NodeId,
    rank: u64,
    passed_over: impl Fn(NodeId) -> bool,
) -> Result<(), GraphError> {
    let mut wrong: Option<(NodeId, u64)> = None;
    graph.for_each_reader(source, &mut |target| {
        if passed_over(target) {
            return;
        }
        let Some(reader) = graph.node(target) else { return };
        if reader.rank >= rank && wrong.is_none_or(|(first, _)| target < first) {
            wrong = Some((target, reader.rank));
        }
    });
    let Some((target, target_rank)) = wrong else { return Ok(()) };
    Err(GraphError::RankOrder { source_node: source, source_rank: rank, target, target_rank })
}
