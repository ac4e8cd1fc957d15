//! The order of nodes that lie on a grid: neighbours on it become neighbours in memory.

use alloc::{vec, vec::Vec};

use dagdb_graph::{Graph, GraphError, NodeId, View};

/// Puts a bit's worth of space between the bits.
const fn spread(x: u16) -> u32 {
    let mut x = x as u32;
    x = (x | x << 8) & 0x00ff_00ff;
    x = (x | x << 4) & 0x0f0f_0f0f;
    x = (x | x << 2) & 0x3333_3333;
    (x | x << 1) & 0x5555_5555
}

/// The code of a cell of a hexagonal lattice with shifted columns: its cube coordinates, interleaved.
pub const fn hexagonal_code(column: u16, row: u16) -> u32 {
    let r = row.wrapping_sub((column - (column & 1)) / 2);
    spread(column) | spread(r) << 1
}

/// The nodes of a grid of this width, row after row, in the order of their codes.
pub fn morton_order(count: usize, width: usize) -> Vec<u32> {
    let width = width.max(1);
    let mut order: Vec<u32> = (0..count.min(u32::MAX as usize) as u32).collect();
    let code = |id: u32| {
        let (row, column) = (id as usize / width, id as usize % width);
        (row >> 16, column >> 16, hexagonal_code(column as u16, row as u16))
    };
    order.sort_by_key(|&id| code(id));
    order
}

/// The graph whose node `i` is node `order[i]` of this one; `order` must name every node once, or the answer is `None`.
pub fn permuted(graph: &Graph, order: &[u32]) -> Result<Option<Graph>, GraphError> {
    let mut renamed = vec![u32::MAX; graph.len()];
    for (new, &old) in (0..).zip(order) {
        match renamed.get_mut(old as usize) {
            Some(slot) if *slot == u32::MAX => *slot = new,
            _ => return Ok(None),
        }
    }
    if order.len() != graph.len() {
        return Ok(None);
    }
    let name = |id: NodeId| renamed.get(id.index()).map(|&n| NodeId(n));
    let mut result = Graph::with_nodes(graph.len())?;
    for (new, &old) in (0..).map(NodeId).zip(order) {
        if let Some(mut node) = graph.node(NodeId(old)) {
            node.inputs = node.inputs.map(|i| i.and_then(name));
            node.back = node.back.and_then(name);
            result.put(new, &node);
        }
    }
    Ok(Some(result))
}
