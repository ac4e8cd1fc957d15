//! Every way to evaluate a graph against the naive one.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::collections::BTreeMap;

use common::{Oracle, Random, Threads, random_edit, random_graph};
use dagdb_graph::{Edit, Graph, Lut, NodeId, View};
use dagdb_tick::{Alone, Executor, Network, Path, Scenarios, TickError};

fn truths(network: &Network) -> Vec<u8> {
    (0..network.node_count() as u32).map(|id| network.truth(NodeId(id)).unwrap()).collect()
}

fn tick(network: &mut Network, count: u64, executor: &dyn Executor) {
    assert_eq!(network.tick(count, executor, &|| true).unwrap().ticks, count);
}

/// One random graph: ticks, edits and scenarios in any order.
fn check(seed: u64, most: usize, executor: &dyn Executor) {
    let mut r = Random::new(seed);
    let mut graph = random_graph(&mut r, most);
    let mut oracle = Oracle::of(&graph);
    let mut network = Network::new(&graph);
    network.set_path(Path::ALL[r.below(3)]);
    assert_eq!(network.to_graph().unwrap(), graph, "seed {seed}");
    for _ in 0..r.below(24) {
        match r.below(8) {
            0 | 1 => {
                let count = r.below(4) as u64;
                tick(&mut network, count, executor);
                (0..count).for_each(|_| oracle.tick());
                assert_eq!(truths(&network), oracle.truths(), "seed {seed}");
                graph.truths_mut().copy_from_slice(&oracle.truths());
            }
            2 => {
                network.index_readers();
            }
            3 if r.one_in(3) => network.compact(),
            4 if r.one_in(4) => scenarios(seed, &mut r, &oracle, &mut network, executor),
            _ => {
                let edit = random_edit(&mut r, &oracle);
                let edited = oracle.edited(&edit);
                let (in_graph, in_network) = (graph.apply(&edit), network.apply(&edit));
                assert_eq!(in_graph, in_network, "seed {seed}: {edit:?}");
                assert_eq!(in_network.is_ok(), edited.is_some(), "seed {seed}: {edit:?} {in_network:?}");
                oracle = edited.unwrap_or(oracle);
            }
        }
    }
    assert_eq!(Oracle::of(&graph), oracle, "seed {seed}");
    assert_eq!(network.to_graph().unwrap(), graph, "seed {seed}");
    graph.validate().unwrap();
    tick(&mut network, 1, executor);
    oracle.tick();
    assert_eq!(truths(&network), oracle.truths(), "seed {seed}");
}

fn scenarios(seed: u64, r: &mut Random, oracle: &Oracle, network: &mut Network, executor: &dyn Executor) {
    let count = [1, 63, 64, 65, 600, 1500][r.below(6)];
    let mut question = Scenarios::new(count);
    let mut given = BTreeMap::new();
    for _ in 0..r.below(5) {
        let values: Vec<u64> = (0..question.words()).map(|_| r.word()).collect();
        given.insert(r.below(oracle.0.len()), values);
    }
    for (&node, values) in &given {
        question.give(NodeId(node as u32), values.clone());
    }
    (0..oracle.0.len() as u32).for_each(|id| question.want(NodeId(id)));
    let answers = question.evaluate(network, executor, &|| true).unwrap();
    for _ in 0..4 {
        let s = r.below(count);
        let bit = |words: &[u64]| (words[s / 64] >> (s % 64) & 1) as u8;
        let forced = given.iter().map(|(&node, values)| (node, bit(values))).collect();
        let mut one = oracle.clone();
        one.settle(&forced);
        for (id, answer) in answers.iter().enumerate() {
            assert_eq!(bit(answer) == 1, one.0[id].truth == 1, "seed {seed} scenario {s} node {id}");
        }
    }
}

#[test]
fn small_graphs() {
    for seed in 0..2_000 {
        check(seed, 40, &Alone);
    }
}

#[test]
fn graphs_of_several_blocks() {
    for seed in 0..60 {
        check(1_000_000 + seed, 1_500, &Alone);
    }
}

/// Long: `cargo test --release -p dagdb_tick -- --ignored a_million`.
#[test]
#[ignore = "takes minutes"]
fn a_million_graphs() {
    for seed in 0..1_000_000 {
        check(10_000_000 + seed, if seed % 100 == 0 { 1_500 } else { 40 }, &Alone);
    }
}

#[test]
fn large_graphs_on_several_cores() {
    for seed in 0..2 {
        let mut r = Random::new(seed);
        let graph = loop {
            let graph = random_graph(&mut r, 120_000);
            if graph.len() > 80_000 {
                break graph;
            }
        };
        let mut oracle = Oracle::of(&graph);
        oracle.tick();
        let mut first = Network::new(&graph);
        for path in Path::ALL {
            for workers in [1, 2, 5] {
                let mut network = first.clone();
                network.set_path(path);
                tick(&mut network, 1, &Threads(workers));
                assert_eq!(truths(&network), oracle.truths(), "seed {seed} {path:?} {workers}");
            }
        }
        // And one change after the other, by cones, against full passes.
        tick(&mut first, 1, &Threads(2));
        assert!(first.index_readers());
        let mut full = first.clone();
        for _ in 0..4 {
            let id = NodeId(r.below(graph.len()) as u32);
            let edit = Edit::SetLut(id, Lut(r.word()));
            first.apply(&edit).unwrap();
            full.put(id, &first.node(id).unwrap());
            full = Network::new(&full.to_graph().unwrap());
            tick(&mut first, 1, &Alone);
            tick(&mut full, 1, &Alone);
            assert_eq!(truths(&first), truths(&full));
        }
    }
}

#[test]
fn a_cancelled_tick_leaves_no_trace() {
    let mut r = Random::new(7);
    let mut graph = Graph::with_nodes(80_000).unwrap();
    for id in 0..graph.len() {
        graph.ranks_mut()[id] = 3 - id as u64 / 20_000;
        graph.luts_mut()[id] = Lut(r.word());
        if id >= 20_000 {
            graph.inputs_mut()[id][0] = r.below(20_000) as u32;
        }
    }
    let mut network = Network::new(&graph);
    let calls = std::cell::Cell::new(0);
    let twice = || {
        calls.set(calls.get() + 1);
        calls.get() < 3
    };
    assert_eq!(network.tick(1, &Alone, &twice), Err(TickError::Cancelled { ticks: 0 }));
    assert_eq!(network.to_graph().unwrap(), graph);
    tick(&mut network, 1, &Alone);
    let mut oracle = Oracle::of(&graph);
    oracle.tick();
    assert_eq!(truths(&network), oracle.truths());
}

#[test]
fn what_changes_nothing_is_counted_and_not_computed() {
    let mut r = Random::new(3);
    let mut graph = random_graph(&mut r, 1000);
    while graph.registers().len() > 0 {
        graph = random_graph(&mut r, 1000);
    }
    let mut network = Network::new(&graph);
    let done = network.tick(100, &Alone, &|| true).unwrap();
    assert_eq!((done.ticks, done.computed, done.evaluated), (100, 1, graph.len() as u64));
    let done = network.tick(u64::MAX, &Alone, &|| true).unwrap();
    assert_eq!((done.ticks, done.evaluated), (u64::MAX, 0));
    assert_eq!(network.ticks(), u64::MAX);
}

#[test]
fn a_cone_is_all_that_is_evaluated() {
    // A chain of a thousand copies beside many others.
    let mut graph = Graph::with_nodes(400_000).unwrap();
    for id in 0..1_000 {
        graph.ranks_mut()[id] = 1_000 - id as u64;
        graph.luts_mut()[id] = Lut::IDENTITY;
        if id > 0 {
            graph.inputs_mut()[id][0] = id as u32 - 1;
        }
    }
    let mut network = Network::new(&graph);
    network.index_readers();
    tick(&mut network, 1, &Alone);
    network.apply(&Edit::SetLut(NodeId(0), Lut::CONST1)).unwrap();
    assert_eq!(network.tick(1, &Alone, &|| true).unwrap().evaluated, 1_000);
    assert_eq!(network.truth(NodeId(999)), Some(1));
    network.apply(&Edit::SetTruth(NodeId(990), 0)).unwrap();
    assert!(network.tick(1, &Alone, &|| true).unwrap().evaluated <= 11);
    assert_eq!(network.truth(NodeId(999)), Some(1));
}

#[test]
fn memory_per_node_is_bounded() {
    let mut r = Random::new(11);
    let count = 100_000;
    let mut graph = Graph::with_nodes(count).unwrap();
    for id in 0..count {
        graph.ranks_mut()[id] = u64::from(id < 1_000);
        // The worst case: all tables differ, all slots are used.
        graph.luts_mut()[id] = Lut(r.word());
        if id >= 1_000 {
            for slot in 0..6 {
                graph.inputs_mut()[id][slot] = (slot * 150 + r.below(150)) as u32;
            }
        }
    }
    graph.validate().unwrap();
    let network = Network::new(&graph);
    let memory = network.memory();
    let per_node = memory.total() as f64 / count as f64;
    assert!(per_node <= 44.0, "{per_node} {memory:?}");
}
