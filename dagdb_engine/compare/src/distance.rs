//! The eight metrics.

use alloc::vec::Vec;

use dagdb_graph::{Node, NodeId, View};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::{CompareError, GoOn, STEP, neighbourhood, spectrum::spectrum};

/// The nodes from one rank to another, both included, and the edges among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The lowest rank.
    pub low: u64,
    /// The highest.
    pub high: u64,
}

impl Part {
    /// Whether a node of this rank belongs to it.
    pub const fn holds(&self, rank: u64) -> bool {
        self.low <= rank && rank <= self.high
    }
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// One minus the share of the nodes of either that both have.
    JaccardNodes,
    /// The same of edges.
    JaccardEdges,
    /// Differences of the numbers of nodes by rank.
    RankL1,
    /// The root of the sum of their squares.
    RankL2,
    /// Differences of the numbers of nodes by value.
    TypeL1,
    /// Nodes and edges that only one of them has.
    BoundedGed,
    /// Differences of the numbers of nodes by neighbourhood.
    WlL1,
    /// The root of the sum of the squared differences of the Laplacians' eigenvalues, largest first.
    SpectralL2,
}

impl Metric {
    /// All, with their names.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("jaccardNodes", Self::JaccardNodes),
        ("jaccardEdges", Self::JaccardEdges),
        ("rankL1", Self::RankL1),
        ("rankL2", Self::RankL2),
        ("typeL1", Self::TypeL1),
        ("boundedGED", Self::BoundedGed),
        ("wlL1", Self::WlL1),
        ("spectralL2", Self::SpectralL2),
    ];

    /// The metric of a name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|&(_, m)| m)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|&&(_, m)| m == self).map_or("", |&(n, _)| n)
    }
}

/// So many of one that the other does not have.
type Counts = HashMap<u64, i64, FixedState>;

/// Numbers of what one part, the other, or both have.
#[derive(Default)]
struct Shares {
    first: u64,
    second: u64,
    both: u64,
}

impl Shares {
    fn add(&mut self, first: bool, second: bool) {
        self.first += u64::from(first);
        self.second += u64::from(second);
        self.both += u64::from(first && second);
    }

    fn jaccard(&self) -> f64 {
        let either = self.first + self.second - self.both;
        if either == 0 { 0.0 } else { 1.0 - self.both as f64 / either as f64 }
    }

    fn different(&self) -> u64 {
        self.first + self.second - 2 * self.both
    }
}

/// The distance of two parts and how many nodes they have. `nodes` are those of either, each once.
pub fn distance(
    graph: &impl View,
    metric: Metric,
    (first, second): (Part, Part),
    nodes: &[NodeId],
    go_on: GoOn<'_>,
) -> Result<(f64, u64, u64), CompareError> {
    if metric == Metric::SpectralL2 {
        return spectral(graph, (first, second), nodes, go_on);
    }
    let (mut shares, mut edges) = (Shares::default(), Shares::default());
    let mut counts = Counts::with_hasher(FixedState::default());
    for (n, &id) in nodes.iter().enumerate() {
        if n % STEP == 0 && !go_on() {
            return Err(CompareError::Cancelled);
        }
        let Some(node) = graph.node(id) else { continue };
        let (a, b) = (first.holds(node.rank), second.holds(node.rank));
        shares.add(a, b);
        let mut count = |key: u64, by: i64| *counts.entry(key).or_insert(0) += by;
        let by = i64::from(a) - i64::from(b);
        match metric {
            Metric::RankL1 | Metric::RankL2 => count(node.rank, by),
            Metric::TypeL1 => count(u64::from(node.truth), by),
            Metric::WlL1 => {
                let of = |part: Part| neighbourhood(graph, &node, |_, from| part.holds(from.rank));
                if a {
                    count(of(first), 1);
                }
                if b {
                    count(of(second), -1);
                }
            }
            Metric::JaccardEdges | Metric::BoundedGed => add_edges(graph, &node, (first, second), &mut edges),
            Metric::JaccardNodes | Metric::SpectralL2 => {}
        }
    }
    let l1 = || counts.values().map(|n| n.unsigned_abs()).sum::<u64>() as f64;
    let value = match metric {
        Metric::JaccardNodes => shares.jaccard(),
        Metric::JaccardEdges => edges.jaccard(),
        Metric::BoundedGed => (shares.different() + edges.different()) as f64,
        Metric::RankL2 => libm::sqrt(counts.values().map(|&n| n as f64 * n as f64).sum()),
        Metric::RankL1 | Metric::TypeL1 | Metric::WlL1 | Metric::SpectralL2 => l1(),
    };
    Ok((value, shares.first, shares.second))
}

/// The edges into a node; a part has those whose both ends it has. Back edges are none of them.
fn add_edges(graph: &impl View, node: &Node, (first, second): (Part, Part), edges: &mut Shares) {
    for source in node.sources() {
        let Some(from) = graph.node(source) else { continue };
        let has = |part: Part| part.holds(node.rank) && part.holds(from.rank);
        edges.add(has(first), has(second));
    }
}

fn spectral(
    graph: &impl View,
    (first, second): (Part, Part),
    nodes: &[NodeId],
    go_on: GoOn<'_>,
) -> Result<(f64, u64, u64), CompareError> {
    let mut of = |part: Part| -> Result<Vec<f64>, CompareError> {
        let belongs = |id: &&NodeId| graph.node(**id).is_some_and(|n| part.holds(n.rank));
        let ids: Vec<NodeId> = nodes.iter().filter(belongs).copied().collect();
        spectrum(graph, ids, go_on)
    };
    let (a, b) = (of(first)?, of(second)?);
    let at = |values: &[f64], n: usize| values.get(n).copied().unwrap_or(0.0);
    let squares = (0..a.len().max(b.len())).map(|n| at(&a, n) - at(&b, n)).map(|d| d * d);
    Ok((libm::sqrt(squares.sum()), a.len() as u64, b.len() as u64))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use dagdb_graph::Graph;
    use proptest::{collection, prelude::*};

    use super::*;

    const ALL: [Metric; 8] = [
        Metric::JaccardNodes,
        Metric::JaccardEdges,
        Metric::RankL1,
        Metric::RankL2,
        Metric::TypeL1,
        Metric::BoundedGed,
        Metric::WlL1,
        Metric::SpectralL2,
    ];

    fn measure(graph: &Graph, metric: Metric, a: (u64, u64), b: (u64, u64)) -> f64 {
        let part = |(low, high)| Part { low, high };
        let parts = (part(a), part(b));
        let either = |id: &NodeId| {
            let rank = graph.ranks()[id.index()];
            parts.0.holds(rank) || parts.1.holds(rank)
        };
        let nodes: Vec<NodeId> = (0..graph.len() as u32).map(NodeId).filter(either).collect();
        distance(graph, metric, parts, &nodes, &mut || true).expect("small parts").0
    }

    /// Rank 2: nodes 0 to 3; rank 1: 4 reads 0 and 1, 5 reads 2; rank 0: 6 reads 4 and 5.
    fn tree() -> Graph {
        let mut graph = Graph::new();
        let rows: [(u64, u8, &[u32]); 7] = [
            (2, 1, &[]),
            (2, 1, &[]),
            (2, 0, &[]),
            (2, 2, &[]),
            (1, 1, &[0, 1]),
            (1, 0, &[2]),
            (0, 1, &[4, 5]),
        ];
        for (rank, truth, sources) in rows {
            let mut node = Node { rank, truth, ..Node::default() };
            for (slot, &source) in node.inputs.iter_mut().zip(sources) {
                *slot = Some(NodeId(source));
            }
            graph.push_unchecked(&node).expect("few nodes");
        }
        graph
    }

    #[test]
    fn metrics_of_a_tree() {
        let graph = tree();
        let close = |metric, a, b, wanted: f64| {
            let got = measure(&graph, metric, a, b);
            assert!((got - wanted).abs() < 1e-9, "{metric:?}: {got} instead of {wanted}");
        };
        // Ranks 0-1 have three nodes and two edges, ranks 1-2 have six nodes and three edges; two nodes are in both.
        close(Metric::JaccardNodes, (0, 1), (1, 2), 1.0 - 2.0 / 7.0);
        close(Metric::JaccardEdges, (0, 1), (1, 2), 1.0);
        close(Metric::RankL1, (0, 1), (1, 2), 5.0);
        close(Metric::RankL2, (0, 1), (1, 2), 17f64.sqrt());
        // Values: two times 1 and one 0 against three times 1, two 0 and one 2.
        close(Metric::TypeL1, (0, 1), (1, 2), 3.0);
        close(Metric::BoundedGed, (0, 1), (1, 2), 10.0);
        // 6, and 4 and 5 without inputs; 4 and 5 with theirs, and four sources.
        close(Metric::WlL1, (0, 1), (1, 2), 9.0);
        // A path of three: 3, 1, 0. A path of three, one of two and a single node: 3, 2, 1, 0, 0, 0.
        close(Metric::SpectralL2, (0, 1), (1, 2), 2f64.sqrt());
    }

    proptest! {
        #[test]
        fn metrics_are_symmetric_and_zero_on_the_same(
            rows in collection::vec((0u64..6, 0u8..3, collection::vec(0u32..40, 0..4)), 1..40),
            a in (0u64..6, 0u64..6),
            b in (0u64..6, 0u64..6),
        ) {
            let mut graph = Graph::new();
            for (rank, truth, _) in &rows {
                graph.push_unchecked(&Node { rank: *rank, truth: *truth, ..Node::default() }).expect("few nodes");
            }
            for (id, (rank, _, sources)) in rows.iter().enumerate() {
                let mut sources: Vec<u32> = sources.clone();
                sources.sort_unstable();
                sources.dedup();
                sources.retain(|&s| rows.get(s as usize).is_some_and(|r| r.0 > *rank));
                let mut node = graph.node(NodeId(id as u32)).expect("it is there");
                for (slot, &source) in node.inputs.iter_mut().zip(&sources) {
                    *slot = Some(NodeId(source));
                }
                graph.put(NodeId(id as u32), &node);
            }
            let order = |(low, high): (u64, u64)| (low.min(high), low.max(high));
            let (a, b) = (order(a), order(b));
            for metric in ALL {
                let there = measure(&graph, metric, a, b);
                let back = measure(&graph, metric, b, a);
                prop_assert!(there >= 0.0 && (there - back).abs() < 1e-6, "{:?}: {} and {}", metric, there, back);
                prop_assert!(measure(&graph, metric, a, a).abs() < 1e-9, "{:?}", metric);
            }
        }
    }
}
