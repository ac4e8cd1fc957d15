//! Whole graphs: every invariant, in one pass over the edges.

use crate::{Graph, GraphError, INPUTS, Kind, Node, NodeId, View, graph::NONE};

impl Graph {
    /// Checks every invariant; the first violation by target's id is the error.
    pub fn validate(&self) -> Result<(), GraphError> {
        self.validate_range(0, self.len())?;
        self.validate_back_edges()
    }

    /// Checks the inputs of nodes `from..to`: parts of a graph can be checked by several workers.
    pub fn validate_range(&self, from: usize, to: usize) -> Result<(), GraphError> {
        let to = to.min(self.len());
        let (Some(ranks), Some(inputs)) = (self.ranks.get(from..to), self.inputs.get(from..to)) else {
            return Ok(());
        };
        // Nobody reads a free id by an edge that keeps the rank rule: its rank is 0.
        let kinds = (from..to).zip(self.kinds.iter().skip(from));
        for (at, _) in kinds.filter(|(_, kind)| **kind == Kind::Free) {
            let node = NodeId(at as u32);
            if self.node(node) != Some(Node::FREE) {
                return Err(GraphError::NotFree { node });
            }
        }
        for (at, (&rank, slots)) in ranks.iter().zip(inputs).enumerate() {
            // Everything is looked at without a branch first: a sound node, nearly every one, takes one.
            let mut bad = false;
            for (slot, &source) in slots.iter().enumerate() {
                let above = self.ranks.get(source as usize).is_some_and(|&r| r > rank);
                bad |= source != NONE && !above;
                for &other in slots.iter().take(slot) {
                    bad |= source == other && source != NONE;
                }
            }
            if bad {
                self.explain(NodeId((from + at) as u32), rank, slots)?;
            }
        }
        Ok(())
    }

    /// What is wrong with a node's inputs.
    fn explain(&self, target: NodeId, target_rank: u64, slots: &[u32; INPUTS]) -> Result<(), GraphError> {
        for (slot, &source) in slots.iter().enumerate() {
            if source == NONE {
                continue;
            }
            let source_node = NodeId(source);
            if source_node == target {
                return Err(GraphError::SelfLoop { node: target });
            }
            let Some(&source_rank) = self.ranks.get(source as usize) else {
                let nodes = self.len() as u64;
                return Err(GraphError::SourceOutOfRange { source_node: u64::from(source), target, nodes });
            };
            if self.kinds.get(source as usize) == Some(&Kind::Free) {
                return Err(GraphError::FreeSource { source_node, target });
            }
            if source_rank <= target_rank {
                return Err(GraphError::RankOrder { source_node, source_rank, target, target_rank });
            }
            if slots.iter().take(slot).any(|&other| other == source) {
                return Err(GraphError::DuplicateSource { source_node, target });
            }
        }
        Ok(())
    }

    fn validate_back_edges(&self) -> Result<(), GraphError> {
        for (target, source_node) in self.registers() {
            let Some(slots) = self.inputs.get(target.index()) else {
                return Err(GraphError::NoSuchNode { node: u64::from(target.0), nodes: self.len() as u64 });
            };
            if source_node.index() >= self.len() {
                let nodes = self.len() as u64;
                return Err(GraphError::SourceOutOfRange {
                    source_node: source_node.0.into(),
                    target,
                    nodes,
                });
            }
            if self.kinds.get(source_node.index()) == Some(&Kind::Free) {
                return Err(GraphError::FreeSource { source_node, target });
            }
            if slots.iter().any(|&s| s != NONE) {
                return Err(GraphError::RegisterWithInputs { source_node, target });
            }
        }
        Ok(())
    }
}
