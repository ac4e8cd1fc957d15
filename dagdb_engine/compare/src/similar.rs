//! Nodes whose ancestry is like another's.

use alloc::{collections::BinaryHeap, vec, vec::Vec};
use core::cmp::Ordering;

use dagdb_graph::{NodeId, View};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::{CompareError, GoOn, STEP, neighbourhood};

/// A node and how unlike it is: 0 alike, 1 nothing in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similar {
    /// The node.
    pub id: NodeId,
    /// Differences of the numbers of neighbourhoods in both ancestries, by the number of nodes of both.
    pub distance: f64,
}

/// By distance, then by id.
impl Ord for Similar {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance.total_cmp(&other.distance).then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for Similar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Similar {}

type Counts = HashMap<u64, i64, FixedState>;

/// Ancestries, one after the other.
struct Walk<'a, V> {
    graph: &'a V,
    depth: u64,
    /// By node, the walk that met it last.
    met: Vec<u32>,
    walk: u32,
    reached: Vec<(NodeId, u64)>,
    steps: usize,
}

impl<V: View> Walk<'_, V> {
    /// The nodes from which `id` is reached along at most so many edges, itself among them, by neighbourhood.
    fn ancestry(&mut self, id: NodeId, counts: &mut Counts, go_on: GoOn<'_>) -> Result<u64, CompareError> {
        self.walk = self.walk.wrapping_add(1);
        if self.walk == 0 {
            self.met.fill(0);
            self.walk = 1;
        }
        self.reached.clear();
        self.meet(id, 0);
        let mut at = 0;
        while let Some(&(id, depth)) = self.reached.get(at) {
            at += 1;
            self.step(go_on)?;
            if depth < self.depth
                && let Some(node) = self.graph.node(id)
            {
                node.sources().for_each(|source| self.meet(source, depth + 1));
            }
        }
        counts.clear();
        for &(id, _) in &self.reached {
            let Some(node) = self.graph.node(id) else { continue };
            let within = |source: NodeId| self.met.get(source.index()) == Some(&self.walk);
            *counts.entry(neighbourhood(self.graph, &node, |source, _| within(source))).or_insert(0) += 1;
        }
        Ok(self.reached.len() as u64)
    }

    fn meet(&mut self, id: NodeId, depth: u64) {
        if let Some(met) = self.met.get_mut(id.index())
            && *met != self.walk
        {
            *met = self.walk;
            self.reached.push((id, depth));
        }
    }

    fn step(&mut self, go_on: GoOn<'_>) -> Result<(), CompareError> {
        self.steps += 1;
        if self.steps.is_multiple_of(STEP) && !go_on() { Err(CompareError::Cancelled) } else { Ok(()) }
    }
}

/// The `count` nodes whose ancestry up to `depth` edges back is most like that of `to`, which is none of them. With `among`,
/// only nodes of that value. The most alike come first, of equals the one with the lower id.
pub fn similar(
    graph: &impl View,
    to: NodeId,
    depth: u64,
    count: usize,
    among: Option<u8>,
    go_on: GoOn<'_>,
) -> Result<Vec<Similar>, CompareError> {
    graph.existing(to)?;
    let mut walk =
        Walk { graph, depth, met: vec![0; graph.node_count()], walk: 0, reached: Vec::new(), steps: 0 };
    let mut wanted = Counts::with_hasher(FixedState::default());
    let size = walk.ancestry(to, &mut wanted, go_on)?;
    let mut counts = Counts::with_hasher(FixedState::default());
    let mut best: BinaryHeap<Similar> = BinaryHeap::new();
    for id in (0..graph.node_count() as u32).map(NodeId).filter(|&id| id != to) {
        walk.step(go_on)?;
        if count == 0 {
            break;
        }
        if graph.node(id).is_none_or(|n| n.is_free() || among.is_some_and(|truth| n.truth != truth)) {
            continue;
        }
        let own = walk.ancestry(id, &mut counts, go_on)?;
        // What one has more of than the other: all there is, but for what both have, twice.
        let shared: i64 = counts.iter().map(|(key, &n)| wanted.get(key).map_or(0, |&w| w.min(n))).sum();
        let all = (size + own) as i64;
        let found = Similar { id, distance: (all - 2 * shared) as f64 / all as f64 };
        if best.len() < count {
            best.push(found);
        } else if let Some(mut worst) = best.peek_mut()
            && found < *worst
        {
            *worst = found;
        }
    }
    Ok(best.into_sorted_vec())
}

#[cfg(test)]
mod tests {
    use dagdb_graph::{Graph, Node};

    use super::*;

    #[test]
    fn the_most_alike_come_first() {
        // Four pairs of sources of rank 2; of rank 1, readers of two, two, one and none of them.
        let mut graph = Graph::new();
        for _ in 0..8 {
            graph.push_unchecked(&Node { rank: 2, ..Node::default() }).expect("few nodes");
        }
        for sources in [&[0u32, 1][..], &[2, 3], &[4], &[]] {
            let mut node = Node { rank: 1, truth: 1, ..Node::default() };
            for (slot, &source) in node.inputs.iter_mut().zip(sources) {
                *slot = Some(NodeId(source));
            }
            graph.push_unchecked(&node).expect("few nodes");
        }
        let ask = |depth, count, among| {
            similar(&graph, NodeId(8), depth, count, among, &mut || true).expect("a small graph")
        };
        let found = ask(3, 3, Some(1));
        let wanted = [(9, 0.0), (10, 3.0 / 5.0), (11, 1.0)];
        assert_eq!(found.len(), wanted.len());
        for (found, (id, distance)) in found.iter().zip(wanted) {
            assert_eq!(found.id, NodeId(id));
            assert!((found.distance - distance).abs() < 1e-12, "{found:?}");
        }
        // Without their sources, all nodes of one rank are alike.
        let found: Vec<u32> = ask(0, 3, None).iter().map(|s| s.id.0).collect();
        assert_eq!(found, [9, 10, 11]);
        assert!(ask(2, 0, None).is_empty());
        assert_eq!(ask(2, 100, None).len(), 11);
        let missing = similar(&graph, NodeId(12), 1, 1, None, &mut || true);
        assert!(matches!(missing, Err(CompareError::Graph(_))));
        let cancelled = similar(&graph, NodeId(0), 1, 1, None, &mut || false);
        assert!(cancelled.is_ok(), "a small graph is not asked about");
    }
}
