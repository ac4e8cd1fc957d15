//! Distances of parts of a graph and nodes with like ancestry.

use alloc::{format, vec::Vec};

use dagdb_compare::{CompareError, Metric, Part, Similar};
use dagdb_graph::NodeId;
use dagdb_tick::Network;
use pg_types::{Result, SqlError, SqlState};

use super::{bulk, go_on, graph_error, interrupted};
use crate::context::ExecContext;

fn compare_error(e: CompareError, cx: &ExecContext<'_>) -> SqlError {
    match e {
        CompareError::Cancelled => interrupted(cx),
        CompareError::TooLarge { .. } => SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("{e}")),
        CompareError::Graph(e) => graph_error(e),
    }
}

/// The metric of a name that SQL gave.
pub(super) fn named(name: &str) -> Result<Metric> {
    Metric::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Metric::NAMES.iter().map(|m| m.0).collect();
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("metric \"{name}\" is not known"))
            .hint(format!("There are {}.", names.join(", ")))
    })
}

/// The distance of two ranges of ranks, and how many nodes they have.
pub(super) fn distance(
    cx: &ExecContext<'_>,
    network: &Network,
    metric: Metric,
    first: (u64, u64),
    second: (u64, u64),
) -> Result<(f64, u64, u64)> {
    let part = |(low, high)| Part { low, high };
    let parts = (part(first), part(second));
    let mut nodes = Vec::new();
    network.for_each_at(first, &|_| true, &mut |id, _| nodes.push(id));
    network.for_each_at(second, &|_| true, &mut |id, rank| {
        if !parts.0.holds(rank) {
            nodes.push(id);
        }
    });
    bulk::waiting(cx, nodes.len() * size_of::<NodeId>())?;
    let answer = dagdb_compare::distance(network, metric, parts, &nodes, &mut || go_on(cx));
    answer.map_err(|e| compare_error(e, cx))
}

/// The nodes most like one by their ancestry.
pub(super) fn similar(
    cx: &ExecContext<'_>,
    network: &Network,
    to: NodeId,
    depth: u64,
    count: u64,
    among: Option<u8>,
) -> Result<Vec<Similar>> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let found = dagdb_compare::similar(network, to, depth, count, among, &mut || go_on(cx));
    found.map_err(|e| compare_error(e, cx))
}
