//! Whole graphs as states: column by column, so that small changes of a graph are small changes of its bytes.

use alloc::vec::Vec;

use dagdb_graph::{Graph, INPUTS, Kind, Lut, Node, NodeId};

use crate::DeltaError;

/// Bytes before the columns.
const HEAD: usize = 16;
/// Bytes of a node in all columns.
const ROW: usize = 8 + 1 + 1 + 8 + 4 * INPUTS;
/// Bytes of a back edge.
const BACK: usize = 8;

/// Bytes that [`encode_graph`] gives for so many nodes and registers.
pub const fn graph_bytes(nodes: usize, registers: usize) -> usize {
    HEAD.saturating_add(nodes.saturating_mul(ROW)).saturating_add(registers.saturating_mul(BACK))
}

/// A graph's bytes: the number of nodes (u64), the ticks it has done (u64), ranks, truths, kinds, tables and inputs, then back
/// edges as pairs of register and source.
pub fn encode_graph(graph: &Graph, ticks: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(graph_bytes(graph.len(), graph.registers().len()));
    out.extend((graph.len() as u64).to_le_bytes());
    out.extend(ticks.to_le_bytes());
    graph.ranks().iter().for_each(|r| out.extend(r.to_le_bytes()));
    out.extend(graph.truths());
    out.extend(graph.kinds().iter().map(|k| k.code()));
    graph.luts().iter().for_each(|l| out.extend(l.0.to_le_bytes()));
    graph.inputs().iter().flatten().for_each(|i| out.extend(i.to_le_bytes()));
    for (register, source) in graph.registers() {
        out.extend(register.0.to_le_bytes());
        out.extend(source.0.to_le_bytes());
    }
    out
}

/// The graph of such bytes and its ticks, if they are one that keeps the invariants.
pub fn decode_graph(bytes: &[u8]) -> Result<(Graph, u64), DeltaError> {
    decode(bytes).filter(|(graph, _)| graph.validate().is_ok()).ok_or(DeltaError::DamagedGraph)
}

fn number<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn decode(bytes: &[u8]) -> Option<(Graph, u64)> {
    let (count, rest) = bytes.split_at_checked(8)?;
    let count = usize::try_from(u64::from_le_bytes(number(count)?)).ok()?;
    let (ticks, rest) = rest.split_at_checked(8)?;
    let ticks = u64::from_le_bytes(number(ticks)?);
    let (ranks, rest) = rest.split_at_checked(count.checked_mul(8)?)?;
    let (truths, rest) = rest.split_at_checked(count)?;
    let (kinds, rest) = rest.split_at_checked(count)?;
    let (luts, rest) = rest.split_at_checked(count.checked_mul(8)?)?;
    let (inputs, backs) = rest.split_at_checked(count.checked_mul(4 * INPUTS)?)?;
    let mut graph = Graph::with_nodes(count).ok()?;
    let rows = ranks.chunks_exact(8).zip(truths).zip(kinds).zip(luts.chunks_exact(8));
    let rows = rows.zip(inputs.chunks_exact(4 * INPUTS));
    for (id, ((((rank, &truth), &kind), lut), six)) in (0..).map(NodeId).zip(rows) {
        let mut node = Node {
            rank: u64::from_le_bytes(number(rank)?),
            truth,
            kind: Kind::from_code(kind)?,
            lut: Lut(u64::from_le_bytes(number(lut)?)),
            ..Node::default()
        };
        for (input, four) in node.inputs.iter_mut().zip(six.chunks_exact(4)) {
            let source = u32::from_le_bytes(number(four)?);
            *input = (source != u32::MAX).then_some(NodeId(source));
        }
        graph.put(id, &node);
    }
    let pairs = backs.chunks_exact(BACK);
    if !pairs.remainder().is_empty() {
        return None;
    }
    for pair in pairs {
        let (register, source) = pair.split_at_checked(4)?;
        let target = NodeId(u32::from_le_bytes(number(register)?));
        let source = NodeId(u32::from_le_bytes(number(source)?));
        graph.apply(&dagdb_graph::Edit::ConnectBack { source, target }).ok()?;
    }
    Some((graph, ticks))
}
