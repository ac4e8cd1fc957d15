//! Graphs as two tables: nodes and edges.

use alloc::{string::String, vec::Vec};
use core::fmt::Write;

use dagdb_graph::{Graph, Kind, Lut, NodeId, View};

use crate::{BuildError, Limits, Problem, error::at_line};

const NODES: &str = "id,rank,truth,nodeType,lut6_low,lut6_high";
const EDGES: &str = "dst,slot,src";

/// Reads the texts of `nodes.csv` and `edges.csv`. Nodes come in any order; each id below their number comes once.
pub fn read_csv(nodes: &str, edges: &str, limits: &Limits<'_>) -> Result<Graph, BuildError> {
    let rows = table::<6>(nodes, NODES, limits)?;
    if rows.len() > limits.nodes {
        return Err(BuildError::TooManyNodes { limit: limits.nodes });
    }
    let mut graph = Graph::with_nodes(rows.len())?;
    let mut seen = alloc::vec![false; rows.len()];
    for (line, [id, rank, truth, kind, low, high]) in rows {
        limits.pause(line)?;
        let number = |_| at_line(line, Problem::Number);
        let id = u32::try_from(id).map_err(number)?;
        match seen.get_mut(id as usize) {
            Some(known @ false) => *known = true,
            _ => return Err(at_line(line, Problem::Count { part: "id" })),
        }
        let kind = u8::try_from(kind).ok().and_then(Kind::from_code);
        let low = u32::try_from(low).map_err(number)?;
        let high = u32::try_from(high).map_err(number)?;
        let node = dagdb_graph::Node {
            rank,
            truth: u8::try_from(truth).map_err(number)?,
            kind: kind.ok_or(at_line(line, Problem::Number))?,
            lut: Lut(u64::from(low) | u64::from(high) << 32),
            ..Default::default()
        };
        graph.put(NodeId(id), &node);
    }
    for (line, [target, slot, source]) in table::<3>(edges, EDGES, limits)? {
        limits.pause(line)?;
        let number = |_| at_line(line, Problem::Number);
        let target = NodeId(u32::try_from(target).map_err(number)?);
        let mut node = graph.existing(target)?;
        let input = usize::try_from(slot).ok().and_then(|s| node.inputs.get_mut(s));
        match input {
            Some(input @ None) => *input = Some(NodeId(u32::try_from(source).map_err(number)?)),
            _ => return Err(at_line(line, Problem::Expected { what: "a free slot" })),
        }
        graph.put(target, &node);
    }
    graph.validate()?;
    Ok(graph)
}

/// Rows of `N` numbers under a header line, with their lines.
fn table<const N: usize>(
    text: &str,
    header: &'static str,
    limits: &Limits<'_>,
) -> Result<Vec<(usize, [u64; N])>, BuildError> {
    let mut lines = (1..).zip(text.lines());
    if lines.next().map(|(_, l)| l.trim()) != Some(header) {
        return Err(at_line(1, Problem::Expected { what: header }));
    }
    let mut rows = Vec::new();
    for (line, text) in lines.filter(|(_, l)| !l.trim().is_empty()) {
        limits.pause(line)?;
        let mut row = [0; N];
        let mut cells = text.trim().split(',');
        for cell in &mut row {
            let word = cells.next().ok_or(at_line(line, Problem::Expected { what: header }))?.trim();
            *cell = word.parse().map_err(|_| at_line(line, Problem::Number))?;
        }
        if cells.next().is_some() {
            return Err(at_line(line, Problem::Expected { what: header }));
        }
        rows.push((line, row));
    }
    Ok(rows)
}

/// The texts of `nodes.csv` and `edges.csv`. They have no place for back edges: a graph with registers is `None`.
pub fn write_csv(graph: &Graph) -> Option<(String, String)> {
    if graph.registers().len() > 0 {
        return None;
    }
    let (mut nodes, mut edges) = (String::from(NODES), String::from(EDGES));
    nodes.push('\n');
    edges.push('\n');
    let columns = graph.ranks().iter().zip(graph.truths()).zip(graph.kinds()).zip(graph.luts());
    for (id, (((rank, truth), kind), lut)) in columns.enumerate() {
        let (low, high) = (lut.0 as u32, lut.0 >> 32);
        // Writing to a string does not fail.
        let _ = writeln!(nodes, "{id},{rank},{truth},{},{low},{high}", kind.code());
    }
    for (source, target, slot) in graph.edges() {
        let _ = writeln!(edges, "{target},{slot},{source}");
    }
    Some((nodes, edges))
}
