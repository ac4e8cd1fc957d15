//! Edits of nodes by functions.

use alloc::format;

use dagdb_graph::{Edit, INPUTS, Node, NodeId, View};
use dagdb_tick::Network;
use pg_types::{Result, SqlError, SqlState, Value};

use super::{change, graph_error, node_id};
use crate::context::ExecContext;

/// A graph of so many nodes is sorted anew after every change; a larger one when an eighth of it was edited.
const SMALL: usize = 4096;

/// Makes edits, all or none; gives the last edited node.
pub(super) fn edit(cx: &ExecContext<'_>, command: &str, edits: &[Edit]) -> Result<Option<NodeId>> {
    change(cx, command, |stored, changed| {
        let mut last = None;
        for e in edits {
            let replacement = stored.network.apply(e).map_err(graph_error)?;
            if replacement.old.is_none()
                || replacement.old.is_some_and(|o| structure(&o) != structure(&replacement.new))
            {
                changed.shaped.push(replacement.id);
            }
            changed.valued |= replacement.old.is_none_or(|o| o.truth != replacement.new.truth);
            last = Some(replacement.id);
        }
        sort_in(&mut stored.network);
        Ok(last)
    })
}

/// Sorts edited nodes in when they are many.
pub(super) fn sort_in(network: &mut Network) {
    let nodes = network.node_count();
    if nodes <= SMALL || network.overlaid() > nodes / 8 {
        network.compact();
    }
}

/// A node without its value.
pub(super) fn structure(node: &Node) -> Node {
    Node { truth: 0, ..*node }
}

/// Sources of a node, from an array of int8; NULL elements are unused slots.
pub(super) fn inputs(v: Option<&Value>) -> Result<[Option<NodeId>; INPUTS]> {
    let mut inputs = [None; INPUTS];
    let Some(Value::Array(array)) = v else { return Ok(inputs) };
    if array.values.len() > INPUTS {
        let text = format!("a node has at most {INPUTS} inputs, not {}", array.values.len());
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, text));
    }
    for (slot, v) in inputs.iter_mut().zip(&array.values) {
        if let Value::Int8(n) = v {
            *slot = Some(node_id(*n)?);
        }
    }
    Ok(inputs)
}

/// A value, from SQL.
pub(super) fn truth(n: i64) -> Result<u8> {
    u8::try_from(n).map_err(|_| {
        SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("truth value {n} is out of range"))
            .detail("Truth values are numbers from 0 to 255.")
    })
}
