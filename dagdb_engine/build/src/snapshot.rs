//! The original's binary snapshots, versions 1 to 4.

use alloc::{borrow::Cow, vec::Vec};

use dagdb_graph::{Graph, Kind, Lut, Node, NodeId, View};

use crate::{BuildError, Limits, Problem, error::at_byte};

const HEADER: usize = 32;

/// A graph and what else its snapshot says.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The graph.
    pub graph: Graph,
    /// Columns and rows of its grid.
    pub grid: (u32, u32),
    /// Ticks that it had done.
    pub ticks: u32,
}

/// Reads a snapshot.
pub fn read_snapshot(bytes: &[u8], limits: &Limits<'_>) -> Result<Snapshot, BuildError> {
    if bytes.get(..4) != Some(b"DAGS") {
        return Err(at_byte(0, Problem::WrongFormat { format: "a DAGS snapshot" }));
    }
    let word = |at: usize| le32(bytes, at).ok_or(at_byte(at, Problem::End));
    let version = word(4)?;
    let rank_bytes = match version {
        1 => 1,
        2 => 4,
        3 | 4 => 8,
        _ => return Err(at_byte(4, Problem::UnknownVersion { version: version.into() })),
    };
    let count = word(8)? as usize;
    if count > limits.nodes || count > dagdb_graph::MAX_NODES {
        return Err(BuildError::TooManyNodes { limit: limits.nodes });
    }
    let (grid, ticks, flags) = ((word(12)?, word(16)?), word(20)?, word(24)?);
    if flags > 1 {
        return Err(at_byte(24, Problem::Expected { what: "known flags" }));
    }
    let stored = word(28)? as usize;
    let end = HEADER.checked_add(stored).ok_or(at_byte(28, Problem::Number))?;
    let body = bytes.get(HEADER..end).ok_or(at_byte(bytes.len(), Problem::End))?;
    let size = count * (rank_bytes + 1 + 1 + 4 + 4 + 24);
    let body: Cow<'_, [u8]> = if flags & 1 == 1 {
        let unpacked = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(body, size);
        unpacked.map_err(|_| at_byte(HEADER, Problem::Compression))?.into()
    } else {
        body.into()
    };
    if body.len() != size {
        return Err(at_byte(28, Problem::Number));
    }
    let mut graph = fill(&body, count, rank_bytes, limits)?;
    if version == 4 {
        back_edges(&mut graph, bytes, end)?;
    } else if bytes.len() != end {
        return Err(at_byte(end, Problem::Expected { what: "the end" }));
    }
    graph.validate()?;
    Ok(Snapshot { graph, grid, ticks })
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    four.try_into().ok().map(u32::from_le_bytes)
}

fn fill(body: &[u8], count: usize, rank_bytes: usize, limits: &Limits<'_>) -> Result<Graph, BuildError> {
    let mut rest = body;
    let mut part = |bytes: usize| {
        let (part, others) = rest.split_at(bytes.min(rest.len()));
        rest = others;
        part
    };
    let ranks = part(count * rank_bytes);
    let truths = part(count);
    let kinds = part(count);
    let low = part(count * 4);
    let high = part(count * 4);
    let neighbours = part(count * 24);
    let mut graph = Graph::with_nodes(count)?;
    let rows = ranks.chunks_exact(rank_bytes).zip(truths).zip(kinds);
    let rows = rows.zip(low.chunks_exact(4)).zip(high.chunks_exact(4)).zip(neighbours.chunks_exact(24));
    for (id, (((((rank, &truth), &kind), low), high), six)) in (0..).map(NodeId).zip(rows) {
        limits.pause(id.index())?;
        let kind =
            Kind::from_code(kind).ok_or(dagdb_graph::GraphError::UnknownKind { node: id, code: kind })?;
        let mut node = Node {
            rank: rank.iter().rev().fold(0, |r, &b| r << 8 | u64::from(b)),
            truth,
            kind,
            lut: Lut(u64::from(le32(low, 0).unwrap_or(0)) | u64::from(le32(high, 0).unwrap_or(0)) << 32),
            ..Node::default()
        };
        for (input, four) in node.inputs.iter_mut().zip(six.chunks_exact(4)) {
            *input = match le32(four, 0).unwrap_or(0) as i32 {
                -1 => None,
                source if source >= 0 => Some(NodeId(source as u32)),
                _ => return Err(at_byte(HEADER, Problem::Number)),
            };
        }
        graph.put(id, &node);
    }
    Ok(graph)
}

/// Version 4 has register edges behind the body.
fn back_edges(graph: &mut Graph, bytes: &[u8], at: usize) -> Result<(), BuildError> {
    let count = le32(bytes, at).ok_or(at_byte(at, Problem::End))? as usize;
    let from = at + 4;
    let pairs: &[u8] = bytes.get(from..).unwrap_or(&[]);
    if Some(pairs.len()) != count.checked_mul(8) {
        return Err(at_byte(at, Problem::Number));
    }
    let pairs: Vec<(u32, u32)> =
        pairs.chunks_exact(8).map(|p| (le32(p, 0).unwrap_or(0), le32(p, 4).unwrap_or(0))).collect();
    for (i, (source, register)) in pairs.into_iter().enumerate() {
        let (source_node, target) = (NodeId(source), NodeId(register));
        let mut node = graph.existing(target)?;
        if let Some(present) = node.back {
            return Err(dagdb_graph::GraphError::SecondBackEdge { source_node, target, present }.into());
        }
        if node.sources().next().is_some() {
            return Err(dagdb_graph::GraphError::RegisterWithInputs { source_node, target }.into());
        }
        if source as usize >= graph.len() {
            return Err(at_byte(from + 8 * i, Problem::Number));
        }
        node.back = Some(source_node);
        graph.put(target, &node);
    }
    Ok(())
}
