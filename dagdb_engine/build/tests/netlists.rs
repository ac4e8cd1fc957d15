//! Netlists against arithmetic, and any bytes against every reader.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

mod aig;

use dagdb_build::{
    BuildError, Builder, Function, Limits, Netlist, Problem, RankPolicy, read_aiger, read_blif, read_csv,
    read_json, read_snapshot,
};
use dagdb_graph::{Edit, Kind, Lut, NodeId, View};
use dagdb_tick::{Alone, Network, Scenarios};
use proptest::prelude::*;

use aig::Aig;

/// After the gates: two names and a comment.
const SYMBOLS: &str = "i0 first\no0 lowest\nc\nmade by a test\n";

/// Every combination of values of the inputs, or the first `1 << 16`, at once: the outputs as numbers.
fn all_values(netlist: &Netlist) -> Vec<u64> {
    let count = 1usize << netlist.inputs.len().min(16);
    let mut network = Network::new(&netlist.graph);
    let mut question = Scenarios::new(count);
    for (i, (_, input)) in netlist.inputs.iter().enumerate() {
        let word = |w: usize| (0..64).fold(0, |bits, b| bits | (((w * 64 + b) >> i & 1) as u64) << b);
        question.give(*input, (0..question.words()).map(word).collect());
    }
    netlist.outputs.iter().for_each(|(_, output)| question.want(*output));
    let answers = question.evaluate(&mut network, &Alone, &|| true).unwrap();
    let value =
        |s: usize| answers.iter().enumerate().fold(0, |v, (i, a)| v | (a[s / 64] >> (s % 64) & 1) << i);
    (0..count).map(value).collect()
}

#[test]
fn an_aiger_multiplier_multiplies() {
    let mut aig = Aig::new(16);
    let (a, b): (Vec<u32>, Vec<u32>) = ((1..=8).map(|i| 2 * i).collect(), (9..=16).map(|i| 2 * i).collect());
    let product = aig.multiply(&a, &b);
    for bytes in [aig.ascii(&product, SYMBOLS).into_bytes(), aig.binary(&product)] {
        let netlist = read_aiger(&bytes, &Limits::default()).unwrap();
        for (s, value) in all_values(&netlist).into_iter().enumerate() {
            assert_eq!(value as usize, (s & 0xff) * (s >> 8), "{s:#x}");
        }
    }
    let named = read_aiger(&aig.ascii(&product, SYMBOLS).into_bytes(), &Limits::default()).unwrap();
    assert_eq!((named.inputs[0].0.as_str(), named.outputs[0].0.as_str()), ("first", "lowest"));
    // And as a user would: values set, one tick.
    let mut network = Network::new(&named.graph);
    for (i, (_, input)) in named.inputs.iter().enumerate() {
        let bit = (201 | 77 << 8) >> i & 1 == 1;
        network.apply(&Edit::SetLut(*input, if bit { Lut::CONST1 } else { Lut::CONST0 })).unwrap();
    }
    network.tick(1, &Alone, &|| true).unwrap();
    let value =
        named.outputs.iter().enumerate().map(|(i, (_, o))| u32::from(network.truth(*o).unwrap()) << i);
    assert_eq!(value.sum::<u32>(), 201 * 77);
}

#[test]
fn an_aiger_latch_counts() {
    // One latch that takes its complement, shown as it is and inverted, and a constant.
    let netlist = read_aiger(b"aag 1 0 1 3 0\n2 3\n2\n3\n1\n", &Limits::default()).unwrap();
    let mut network = Network::new(&netlist.graph);
    let mut seen = Vec::new();
    for _ in 0..4 {
        network.tick(1, &Alone, &|| true).unwrap();
        seen.push([0, 1, 2].map(|o: usize| network.truth(netlist.outputs[o].1).unwrap()));
    }
    assert_eq!(seen, [[0, 1, 1], [1, 0, 1], [0, 1, 1], [1, 0, 1]]);
}

#[test]
fn a_blif_adder_adds() {
    let mut text =
        String::from("# two bits plus two bits\n.model add\n.inputs a0 a1 \\\n b0 b1\n.outputs s0 s1 s2\n");
    text.push_str(".names a0 b0 s0\n10 1\n01 1\n.names a0 b0 c0\n11 1\n");
    text.push_str(".names a1 b1 c0 s1\n100 1\n010 1\n001 1\n111 1\n");
    // The complement of a cover.
    text.push_str(".names a1 b1 c0 s2\n00- 0\n0-0 0\n-00 0\n.end\n");
    let netlist = read_blif(&text, &Limits::default()).unwrap();
    for (s, value) in all_values(&netlist).into_iter().enumerate() {
        assert_eq!(value as usize, (s & 3) + (s >> 2));
    }
}

#[test]
fn a_blif_function_of_many_inputs_is_a_sum_of_products() {
    let inputs: Vec<String> = (0..9).map(|i| format!("i{i}")).collect();
    let names = inputs.join(" ");
    for (value, wanted) in [(1u8, true), (0, false)] {
        let text = format!(
            ".model m\n.inputs {names}\n.outputs o\n.names {names} o\n1111----- {value}\n----01011 {value}\n.end"
        );
        let netlist = read_blif(&text, &Limits::default()).unwrap();
        for (s, got) in all_values(&netlist).into_iter().enumerate() {
            let covered = s & 0b1111 == 0b1111 || s >> 4 == 0b11010;
            assert_eq!(got == 1, covered == wanted, "{s:#b}");
        }
    }
}

#[test]
fn hubs_of_any_size_compute_what_they_say() {
    let functions = [
        Function::And,
        Function::Or,
        Function::Xor,
        Function::Nand,
        Function::Nor,
        Function::Xnor,
        Function::Majority,
    ];
    for function in functions {
        for count in [0usize, 1, 2, 5, 6, 7, 8, 12, 13, 36, 37, 64, 100, 217, 300] {
            let mut builder = Builder::new(&Limits::default());
            let sources: Vec<u32> = (0..count).map(|_| builder.constant(false).unwrap()).collect();
            let hub = builder.gate(function, &sources).unwrap();
            let graph = builder.build(RankPolicy::Topological, true).unwrap();
            if !matches!(function, Function::Majority) && count > 0 {
                let depth = (1..).find(|&d| 6usize.pow(d) >= count).unwrap();
                assert_eq!(graph.ranks()[0], u64::from(depth), "{function:?} of {count} has the least depth");
            }
            let mut network = Network::new(&graph);
            let mut question = Scenarios::new(256);
            let mut values = vec![[0u64; 4]; count];
            for s in 0..256usize {
                // Of the first scenarios, so many inputs are set; then all but a few.
                for (i, v) in values.iter_mut().enumerate() {
                    let set = match s {
                        0..100 => i < s,
                        100..200 => i + (s - 100) >= count,
                        _ => (i * 2_654_435_761 + s * 40_503) >> 7 & 1 == 1,
                    };
                    v[s / 64] |= u64::from(set) << (s % 64);
                }
            }
            for (&source, values) in sources.iter().zip(&values) {
                question.give(NodeId(source), values.to_vec());
            }
            question.want(NodeId(hub));
            let answer = question.evaluate(&mut network, &Alone, &|| true).unwrap();
            for s in 0..256 {
                let ones = values.iter().filter(|v| v[s / 64] >> (s % 64) & 1 == 1).count();
                let want = match function {
                    Function::And => ones == count,
                    Function::Nand => ones != count,
                    Function::Or => ones > 0,
                    Function::Nor => ones == 0,
                    Function::Xor => ones % 2 == 1,
                    Function::Xnor => ones % 2 == 0,
                    _ => 2 * ones > count,
                };
                assert_eq!(answer[0][s / 64] >> (s % 64) & 1 == 1, want, "{function:?} of {count}: {ones}");
            }
        }
    }
}

#[test]
fn ghosts_fill_every_rank_that_an_edge_skips() {
    let mut builder = Builder::new(&Limits::default());
    let a = builder.constant(true).unwrap();
    let chain = (0..5).fold(a, |below, _| builder.gate(Function::And, &[below]).unwrap());
    let end = builder.gate(Function::Xor, &[a, chain]).unwrap();
    let other = builder.gate(Function::Or, &[a, end]).unwrap();
    let graph = builder.build(RankPolicy::Topological, true).unwrap();
    for (source, target, _) in graph.edges() {
        assert_eq!(graph.ranks()[source.index()], graph.ranks()[target.index()] + 1);
    }
    // Both readers of `a` that are far away share the way down.
    assert_eq!(graph.kinds().iter().filter(|&&k| k == Kind::Ghost).count(), 6);
    let mut network = Network::new(&graph);
    network.tick(1, &Alone, &|| true).unwrap();
    assert_eq!([end, other].map(|n| network.truth(NodeId(n))), [Some(0), Some(1)]);
}

#[test]
fn rank_policies() {
    let chain = |policy| {
        let mut builder = Builder::new(&Limits::default());
        let a = builder.constant(true).unwrap();
        let b = builder.constant(true).unwrap();
        let c = builder.gate(Function::And, &[a, b]).unwrap();
        builder.gate(Function::Nor, &[c]).unwrap();
        builder.build(policy, false).map(|g| g.ranks().to_vec())
    };
    assert_eq!(chain(RankPolicy::Topological), Ok(vec![2, 2, 1, 0]));
    assert_eq!(chain(RankPolicy::Sequence), Ok(vec![3, 2, 1, 0]));
    assert!(
        matches!(chain(RankPolicy::ChainBand(2)), Err(BuildError::Graph(_))),
        "c and its reader share a band"
    );
    assert!(matches!(chain(RankPolicy::Given), Err(BuildError::Graph(_))));
    let mut circle = Builder::new(&Limits::default());
    let a = circle.gate(Function::Nor, &[1]).unwrap();
    circle.gate(Function::Nor, &[a]).unwrap();
    assert!(matches!(circle.build(RankPolicy::Topological, false), Err(BuildError::Cycle { .. })));
}

#[test]
fn files_that_are_wrong_say_where() {
    let limits = Limits { nodes: 1000, ..Limits::default() };
    let line = |e: BuildError| match e {
        BuildError::File { at, problem, .. } => (at, problem),
        other => panic!("{other}"),
    };
    assert!(matches!(line(read_aiger(b"hello", &limits).unwrap_err()), (1, Problem::WrongFormat { .. })));
    assert!(matches!(line(read_aiger(b"aag 1 1 0 1 0\n2\n9\n", &limits).unwrap_err()), (3, Problem::Number)));
    assert!(matches!(
        read_aiger(b"aag 4000000000 1 0 1 0\n", &limits).unwrap_err(),
        BuildError::TooManyNodes { limit: 1000 }
    ));
    assert!(matches!(
        line(read_blif(".model m\n.subckt x\n", &limits).unwrap_err()),
        (2, Problem::Unsupported { .. })
    ));
    assert!(matches!(
        line(read_blif(".model m\n.outputs o\n", &limits).unwrap_err()),
        (2, Problem::Drivers { drivers: 0, .. })
    ));
    assert!(matches!(
        line(read_blif(".model m\n.names a\n1\n.names a\n0\n", &limits).unwrap_err()),
        (4, Problem::Drivers { drivers: 2, .. })
    ));
    assert!(matches!(
        line(read_snapshot(b"DAGS\x05\0\0\0", &limits).unwrap_err()),
        (4, Problem::UnknownVersion { .. })
    ));
}

proptest! {
    #[test]
    fn any_bytes_are_a_graph_or_an_error(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
        header in 0usize..5,
    ) {
        let limits = Limits { nodes: 1000, ..Limits::default() };
        let begin: &[u8] = [&b""[..], b"aag 5 1 1 1 1\n", b"aig 5 1 1 1 3\n", b"DAGS\x03\0\0\0\x02\0\0\0", b".model m\n"][header];
        bytes.splice(0..0, begin.iter().copied());
        for graph in [
            read_aiger(&bytes, &limits).map(|n| n.graph),
            read_snapshot(&bytes, &limits).map(|s| s.graph),
            read_blif(&String::from_utf8_lossy(&bytes), &limits).map(|n| n.graph),
            read_json(&String::from_utf8_lossy(&bytes), &limits),
            read_csv("id,rank,truth,nodeType,lut6_low,lut6_high\n", &String::from_utf8_lossy(&bytes), &limits),
        ].into_iter().flatten() {
            prop_assert!(graph.validate().is_ok());
        }
    }

    #[test]
    fn words_of_blif_in_any_order(words in proptest::collection::vec(proptest::sample::select(vec![
        ".model", ".inputs", ".outputs", ".names", ".latch", ".end", "a", "b", "c", "1", "0", "1-", "11 1", "\n", "\n", "\\\n", "#",
    ]), 0..40)) {
        let text = format!(".model m\n{}", words.join(" "));
        if let Ok(netlist) = read_blif(&text, &Limits { nodes: 1000, ..Limits::default() }) {
            prop_assert!(netlist.graph.validate().is_ok());
            prop_assert!(netlist.outputs.iter().all(|(_, o)| netlist.graph.node(*o).is_some()));
        }
    }
}
