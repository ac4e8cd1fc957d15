//! Things that graphs can do: count, and colour a map.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

use dagdb_graph::{Compose, Edit, Graph, Lut, Node, NodeId, View};
use dagdb_tick::{Alone, Network};

fn add(graph: &mut Graph, node: Node) -> NodeId {
    graph.apply(&Edit::Add(node)).unwrap().id
}

fn tick(network: &mut Network) {
    assert_eq!(network.tick(1, &Alone, &|| true).unwrap().ticks, 1);
}

fn set(network: &Network, nodes: &[NodeId]) -> u32 {
    nodes.iter().enumerate().map(|(i, &n)| u32::from(network.truth(n) == Some(1)) << i).sum()
}

/// Four registers; bit `i` turns over when all below it are set.
fn counter() -> (Graph, Vec<NodeId>) {
    let mut graph = Graph::new();
    let bits: Vec<NodeId> = (0..4).map(|_| add(&mut graph, Node { rank: 9, ..Node::default() })).collect();
    let mut carry: Option<NodeId> = None;
    for (i, &bit) in bits.iter().enumerate() {
        let next = add(&mut graph, Node { rank: 4 - i as u64, ..Node::default() });
        let how = carry.map_or(Compose::Not(bit), |carry| Compose::Xor(bit, carry));
        graph.apply(&Edit::Compose { how, target: next }).unwrap();
        graph.apply(&Edit::ConnectBack { source: next, target: bit }).unwrap();
        carry = Some(match carry {
            None => bit,
            Some(carry) => {
                let both = add(&mut graph, Node { rank: 8 - i as u64, ..Node::default() });
                graph.apply(&Edit::Compose { how: Compose::And(bit, carry), target: both }).unwrap();
                both
            }
        });
    }
    graph.validate().unwrap();
    (graph, bits)
}

#[test]
fn a_ripple_counter_counts_to_fifteen_and_starts_again() {
    let (graph, bits) = counter();
    for indexed in [false, true] {
        let mut network = Network::new(&graph);
        if indexed {
            assert!(network.index_readers());
        }
        let mut seen = vec![set(&network, &bits)];
        for _ in 0..17 {
            tick(&mut network);
            seen.push(set(&network, &bits));
        }
        let want: Vec<u32> = (0..16).chain([0, 1]).collect();
        assert_eq!(seen, want);
        // Many ticks at once are the same ticks.
        network.tick(1_000, &Alone, &|| true).unwrap();
        assert_eq!(set(&network, &bits), (17 + 1_000) % 16);
    }
}

#[test]
fn a_toggle_toggles() {
    let mut graph = Graph::with_nodes(2).unwrap();
    let (register, not) = (NodeId(0), NodeId(1));
    graph.apply(&Edit::SetRank(register, 1)).unwrap();
    graph.apply(&Edit::Compose { how: Compose::Not(register), target: not }).unwrap();
    graph.apply(&Edit::ConnectBack { source: not, target: register }).unwrap();
    let mut network = Network::new(&graph);
    for i in 1..6 {
        tick(&mut network);
        assert_eq!(network.truth(register), Some(i % 2));
    }
}

/// Arc consistency on Australia's map in three colours: a register for each state and colour that is still possible; it stays
/// possible while every neighbour has another colour left.
#[test]
fn a_map_is_coloured_by_arc_consistency() {
    const STATES: [&str; 7] = ["WA", "NT", "SA", "Q", "NSW", "V", "T"];
    const BORDERS: [(usize, usize); 9] =
        [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (2, 4), (2, 5), (3, 4), (4, 5)];
    let mut graph = Graph::new();
    let colours: Vec<[NodeId; 3]> = STATES
        .iter()
        .map(|_| core::array::from_fn(|_| add(&mut graph, Node { rank: 3, truth: 1, ..Node::default() })))
        .collect();
    let mut supports = 0;
    for state in 0..7 {
        let neighbours = BORDERS.iter().filter_map(|&(a, b)| match state {
            s if s == a => Some(b),
            s if s == b => Some(a),
            _ => None,
        });
        let neighbours: Vec<usize> = neighbours.collect();
        for colour in 0..3 {
            let mut inputs = vec![colours[state][colour]];
            for &n in &neighbours {
                let other = |c: usize| colours[n][(colour + c) % 3];
                let node = Node { rank: 2, ..Node::default() };
                let support = add(&mut graph, node);
                graph
                    .apply(&Edit::Compose { how: Compose::Or(other(1), other(2)), target: support })
                    .unwrap();
                inputs.push(support);
                supports += 1;
            }
            // South Australia has five neighbours: with itself, six inputs.
            let mut keep = Node { rank: 1, lut: Lut::all_of(inputs.len()), ..Node::default() };
            for (slot, input) in inputs.into_iter().enumerate() {
                keep.inputs[slot] = Some(input);
            }
            let keep = add(&mut graph, keep);
            graph.apply(&Edit::ConnectBack { source: keep, target: colours[state][colour] }).unwrap();
        }
    }
    graph.validate().unwrap();
    assert_eq!((graph.registers().len(), supports, graph.len()), (21, 54, 21 + 54 + 21));
    let mut network = Network::new(&graph);
    let left = |network: &Network| -> Vec<u32> { colours.iter().map(|c| set(network, c)).collect() };
    // Nothing is excluded as long as nobody has chosen.
    tick(&mut network);
    assert_eq!(left(&network), [7; 7]);
    // Western Australia is red and Queensland green: one tick tells the neighbours, the next one theirs.
    for (state, colour) in [(0, 0), (3, 1)] {
        for other in (0..3).filter(|&c| c != colour) {
            network.apply(&Edit::SetTruth(colours[state][other], 0)).unwrap();
        }
    }
    let (red, green, blue) = (1, 2, 4);
    tick(&mut network);
    assert_eq!(left(&network)[..4], [red, blue, blue, green]);
    // Both neighbours of the two border each other: there is no such colouring, and all the mainland gets to know.
    network.tick(100, &Alone, &|| true).unwrap();
    assert_eq!(left(&network), [0, 0, 0, 0, 0, 0, 7]);

    // Western Australia red, Northern Territory green: all the mainland follows.
    let mut network = Network::new(&graph);
    for (state, colour) in [(0, 0), (1, 1)] {
        for other in (0..3).filter(|&c| c != colour) {
            network.apply(&Edit::SetTruth(colours[state][other], 0)).unwrap();
        }
    }
    let done = network.tick(100, &Alone, &|| true).unwrap();
    assert_eq!(left(&network), [red, green, blue, red, green, red, 7]);
    assert!(done.computed < 10, "a fixpoint ends it: {done:?}");
    assert_eq!(network.node(colours[2][2]).unwrap().back.map(|k| network.truth(k)), Some(Some(1)));
}
