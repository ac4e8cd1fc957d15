//! Many changes of a graph as one edit, checked when all are there.

use alloc::{format, vec, vec::Vec};

use dagdb_graph::{Draft, Drafted, Graph, GraphError, Node, NodeId, View};
use dagdb_store::Stored;
use dagdb_tick::Network;
use pg_types::{Result, SqlError, SqlState};

use super::{
    Changed,
    edit::{sort_in, structure},
    graph_error,
};
use crate::context::ExecContext;

/// Bytes that a graph and what is made of it may take: as many as pages may, and at least what any statement may.
pub(super) fn budget(cx: &ExecContext<'_>) -> usize {
    const PAGE: usize = 8192;
    let pages = cx.engine.storage().pool_stats().frames * PAGE;
    pages.max(cx.session.memory_limit())
}

/// 53200 if a graph of so many nodes, and its pieces while they are written, take more than there is.
pub(super) fn room(cx: &ExecContext<'_>, nodes: usize) -> Result<()> {
    let needed = nodes.saturating_mul(2 * dagdb_store::BYTES_A_NODE);
    fits(cx, needed, || format!("A graph of {nodes} nodes needs {needed} bytes."))
}

/// 53200 if rows that wait to be applied take more than there is.
pub(super) fn waiting(cx: &ExecContext<'_>, bytes: usize) -> Result<()> {
    fits(cx, bytes, || format!("Changes of a graph need {bytes} bytes."))
}

fn fits(cx: &ExecContext<'_>, bytes: usize, detail: impl FnOnce() -> alloc::string::String) -> Result<()> {
    if bytes > budget(cx) {
        return Err(SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory").detail(detail()));
    }
    Ok(())
}

/// Makes what was drafted the graph.
pub(super) fn adopt(stored: &mut Stored, changed: &mut Changed, drafted: Drafted) {
    match drafted {
        Drafted::Few(list) => {
            for r in list {
                if r.old.is_none_or(|o| structure(&o) != structure(&r.new)) {
                    changed.shaped.push(r.id);
                }
                changed.valued |= r.old.is_none_or(|o| o.truth != r.new.truth);
                stored.network.put(r.id, &r.new);
            }
            sort_in(&mut stored.network);
        }
        Drafted::Whole { graph, touched } => {
            replace(stored, &graph);
            changed.valued = true;
            for (n, mut word) in (0..).zip(touched) {
                while word != 0 {
                    changed.shaped.push(NodeId(n * 64 + word.trailing_zeros()));
                    word &= word - 1;
                }
            }
        }
    }
}

/// Puts another graph, which keeps its invariants, in place of what is there.
fn replace(stored: &mut Stored, graph: &Graph) {
    let mut network = Network::new(graph);
    network.set_ticks(stored.network.ticks());
    network.index_readers();
    stored.network = network;
}

/// As [`replace`]; everything is written.
pub(super) fn replace_all(stored: &mut Stored, changed: &mut Changed, graph: &Graph) {
    replace(stored, graph);
    changed.valued = true;
    changed.shaped.extend((0..graph.len() as u32).map(NodeId));
}

/// Nodes to be added.
#[derive(Default)]
pub(super) struct NewNodes {
    /// The ids that were given; `u32::MAX`: any.
    ids: Vec<u32>,
    nodes: Graph,
}

impl NewNodes {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn push(&mut self, id: Option<NodeId>, node: &Node) -> Result<()> {
        self.nodes.push_unchecked(node).map_err(graph_error)?;
        self.ids.push(id.map_or(u32::MAX, |id| id.0));
        Ok(())
    }

    pub(super) fn memory(&self) -> usize {
        const A_NODE: usize = 42 + 4;
        self.ids.capacity() * A_NODE
    }

    /// Adds them behind the nodes there are, which are then without gaps; gives their ids in the order of rows.
    pub(super) fn apply<V: View>(&self, draft: &mut Draft<'_, V>) -> Result<Vec<NodeId>> {
        let first = draft.node_count();
        let total = first + self.len();
        // By id, which row it is.
        let mut rows = vec![u32::MAX; self.len()];
        for (row, &id) in (0..).zip(self.ids.iter()).filter(|(_, id)| **id != u32::MAX) {
            let place = (id as usize).checked_sub(first).ok_or_else(|| taken(id))?;
            match rows.get_mut(place) {
                Some(r) if *r == u32::MAX => *r = row,
                Some(_) => return Err(taken(id)),
                None => return Err(gap(id, total)),
            }
        }
        let mut ids = vec![NodeId(u32::MAX); self.len()];
        let mut free = (0..).zip(self.ids.iter()).filter(|(_, id)| **id == u32::MAX).map(|(row, _)| row);
        for place in 0..self.len() {
            let row = rows.get(place).copied().filter(|&r| r != u32::MAX).or_else(|| free.next());
            let Some((row, node)) = row.and_then(|r: u32| Some((r, self.nodes.node(NodeId(r))?))) else {
                continue;
            };
            let id = draft.add(node).map_err(graph_error)?;
            if let Some(slot) = ids.get_mut(row as usize) {
                *slot = id;
            }
        }
        Ok(ids)
    }
}

fn taken(id: u32) -> SqlError {
    SqlError::new(SqlState::UNIQUE_VIOLATION, format!("node {id} exists already"))
}

fn gap(id: u32, total: usize) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("node {id} would leave a gap"))
        .detail(format!("With the new nodes the graph has {total}, numbered from 0 on."))
        .hint("Leave the id out, or NULL, to get the next one.")
}

/// Where an edge ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The first that is free.
    Free,
    /// This one.
    At(u8),
    /// It is a back edge.
    Back,
}

/// An edge as a row says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowEdge {
    pub(super) source: NodeId,
    pub(super) target: NodeId,
    pub(super) slot: Slot,
}

/// Adds an edge; gives the slot that it got.
pub(super) fn connect<V: View>(draft: &mut Draft<'_, V>, edge: &RowEdge) -> Result<Option<u8>> {
    let RowEdge { source, target, .. } = *edge;
    let mut node = draft.existing(target).map_err(graph_error)?;
    let slot = match edge.slot {
        Slot::Back => {
            if let Some(present) = node.back {
                let e = GraphError::SecondBackEdge { source_node: source, target, present };
                return Err(graph_error(e));
            }
            node.back = Some(source);
            None
        }
        Slot::Free => {
            if node.sources().any(|s| s == source) {
                return Err(graph_error(GraphError::DuplicateSource { source_node: source, target }));
            }
            let free = node.inputs.iter().position(Option::is_none);
            let full = GraphError::NoFreeInput { source_node: source, target };
            Some(free.ok_or_else(|| graph_error(full))? as u8)
        }
        Slot::At(slot) => Some(slot),
    };
    if let Some(slot) = slot {
        let input = node.inputs.get_mut(usize::from(slot)).ok_or_else(|| no_slot(i64::from(slot)))?;
        if let Some(present) = *input {
            let text = format!(
                "edge {source} -> {target} does not fit: slot {slot} of node {target} is node {present}'s"
            );
            return Err(SqlError::new(SqlState::UNIQUE_VIOLATION, text));
        }
        *input = Some(source);
    }
    draft.put(target, node).map_err(graph_error)?;
    Ok(slot)
}

/// 22003
pub(super) fn no_slot(slot: i64) -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("slot {slot} does not exist"))
        .detail("A node's slots are 0 to 5.")
}

/// Removes an edge if it is there.
pub(super) fn disconnect<V: View>(draft: &mut Draft<'_, V>, edge: &RowEdge) -> Result<()> {
    let RowEdge { source, target, slot } = *edge;
    let mut node = draft.existing(target).map_err(graph_error)?;
    let place = match slot {
        Slot::Back => Some(&mut node.back),
        Slot::At(slot) => node.inputs.get_mut(usize::from(slot)),
        Slot::Free => node.inputs.iter_mut().find(|i| **i == Some(source)),
    };
    match place {
        Some(place) if *place == Some(source) => *place = None,
        _ => return Ok(()),
    }
    draft.put(target, node).map_err(graph_error)
}

/// Removes nodes, which must be those with the highest ids.
pub(super) fn remove<V: View>(draft: &mut Draft<'_, V>, ids: &mut Vec<NodeId>) -> Result<()> {
    ids.sort_unstable();
    ids.dedup();
    let Some(&first) = ids.first() else { return Ok(()) };
    if first.index() + ids.len() != draft.node_count() {
        return Err(SqlError::unsupported(format!("deletion of node {first} while nodes above it remain"))
            .detail("Nodes are numbered without gaps.")
            .hint("Delete its edges, or delete the nodes with the highest ids."));
    }
    draft.truncate(first.index()).map_err(graph_error)
}
