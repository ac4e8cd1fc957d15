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
            changed.by_id = Some(graph);
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
pub(super) fn replace_all(stored: &mut Stored, changed: &mut Changed, graph: Graph) {
    replace(stored, &graph);
    changed.valued = true;
    changed.shaped.extend((0..graph.len() as u32).map(NodeId));
    changed.by_id = Some(graph);
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

    /// Adds them: those whose ids are given there, all others at the lowest ids behind those there were. Ids that are passed
    /// over are free. Gives their ids in the order of rows.
    pub(super) fn apply<V: View>(
        &self,
        cx: &ExecContext<'_>,
        draft: &mut Draft<'_, V>,
    ) -> Result<Vec<NodeId>> {
        let first = draft.node_count();
        let behind = |id: &&u32| **id as usize >= first;
        let highest = self.ids.iter().filter(|id| **id != u32::MAX).max().map_or(0, |&id| id as usize + 1);
        let places = self.ids.iter().filter(behind).count().max(highest.saturating_sub(first));
        room(cx, first.saturating_add(places))?;
        // By place behind the first, which row it is.
        let mut rows = vec![u32::MAX; places];
        for (row, &id) in (0..).zip(self.ids.iter()).filter(|(_, id)| **id != u32::MAX) {
            match (id as usize).checked_sub(first) {
                Some(place) => match rows.get_mut(place) {
                    Some(r) if *r == u32::MAX => *r = row,
                    _ => return Err(taken(id)),
                },
                None if draft.node(NodeId(id)).is_some_and(|n| n.is_free()) => {
                    let node = self.nodes.node(NodeId(row)).unwrap_or_default();
                    draft.put(NodeId(id), node).map_err(graph_error)?;
                }
                None => return Err(taken(id)),
            }
        }
        let mut ids: Vec<NodeId> = self.ids.iter().map(|&id| NodeId(id)).collect();
        let mut any = (0..).zip(self.ids.iter()).filter(|(_, id)| **id == u32::MAX).map(|(row, _)| row);
        for (n, row) in rows.into_iter().enumerate() {
            pause(cx, n)?;
            let row = if row == u32::MAX { any.next() } else { Some(row) };
            let node = row.map_or(Node::FREE, |row: u32| self.nodes.node(NodeId(row)).unwrap_or_default());
            let id = draft.add(node).map_err(graph_error)?;
            if let Some(slot) = row.and_then(|row| ids.get_mut(row as usize)) {
                *slot = id;
            }
        }
        Ok(ids)
    }
}

/// Between steps of work that may be long: lets others run, and ends it if it is to end.
pub(super) fn pause(cx: &ExecContext<'_>, step: usize) -> Result<()> {
    const STEPS: usize = 1 << 14;
    if step.is_multiple_of(STEPS) { cx.checkpoint() } else { Ok(()) }
}

fn taken(id: u32) -> SqlError {
    SqlError::new(SqlState::UNIQUE_VIOLATION, format!("node {id} exists already"))
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
