//! Files of graphs are read back as they were written.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

use dagdb_build::{
    BuildError, Limits, Problem, hexagonal_code, morton_order, permuted, read_csv, read_json, read_snapshot,
    write_csv, write_json,
};
use dagdb_graph::{Edit, Graph, Kind, Lut, NodeId};
use proptest::prelude::*;

fn graphs() -> impl Strategy<Value = Graph> {
    let node = (0u64..5, any::<u8>(), 0u8..3, any::<u64>(), any::<[u8; 6]>());
    (proptest::collection::vec(node, 0..40), any::<bool>()).prop_map(|(nodes, registers)| {
        let mut graph = Graph::with_nodes(nodes.len()).unwrap();
        for (id, &(rank, truth, kind, lut, _)) in (0..).map(NodeId).zip(&nodes) {
            let rank = if rank == 4 { u64::MAX } else { rank };
            for edit in [
                Edit::SetRank(id, rank),
                Edit::SetTruth(id, truth),
                Edit::SetKind(id, Kind::from_code(kind).unwrap()),
                Edit::SetLut(id, Lut(lut)),
            ] {
                graph.apply(&edit).unwrap();
            }
        }
        for (id, (.., sources)) in (0..).map(NodeId).zip(&nodes) {
            for &source in sources {
                let source = NodeId(u32::from(source) % nodes.len() as u32);
                let _ = graph.apply(&Edit::Connect { source, target: id });
                if registers && sources[0] < 40 {
                    let _ = graph.apply(&Edit::ConnectBack { source, target: id });
                }
            }
        }
        graph
    })
}

/// As the original writes them.
fn snapshot(graph: &Graph, version: u32, compressed: bool) -> Vec<u8> {
    let mut body = Vec::new();
    for &rank in graph.ranks() {
        let bytes = rank.to_le_bytes();
        body.extend(&bytes[..[0, 1, 4, 8, 8][version as usize]]);
    }
    body.extend(graph.truths());
    body.extend(graph.kinds().iter().map(|k| k.code()));
    graph.luts().iter().for_each(|l| body.extend((l.0 as u32).to_le_bytes()));
    graph.luts().iter().for_each(|l| body.extend(((l.0 >> 32) as u32).to_le_bytes()));
    graph.inputs().iter().flatten().for_each(|i| body.extend(i.to_le_bytes()));
    if compressed {
        body = miniz_oxide::deflate::compress_to_vec_zlib(&body, 6);
    }
    let mut bytes = b"DAGS".to_vec();
    for word in [version, graph.len() as u32, 7, 9, 1234, u32::from(compressed), body.len() as u32] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(body);
    if version == 4 {
        bytes.extend((graph.registers().len() as u32).to_le_bytes());
        for (register, source) in graph.registers() {
            bytes.extend(source.0.to_le_bytes());
            bytes.extend(register.0.to_le_bytes());
        }
    }
    bytes
}

proptest! {
    #[test]
    fn every_format_is_read_back(graph in graphs(), compressed: bool) {
        let limits = Limits::default();
        prop_assert_eq!(&read_json(&write_json(&graph), &limits).unwrap(), &graph);
        match write_csv(&graph) {
            Some((nodes, edges)) => prop_assert_eq!(&read_csv(&nodes, &edges, &limits).unwrap(), &graph),
            None => prop_assert!(graph.registers().len() > 0),
        }
        let read = read_snapshot(&snapshot(&graph, 4, compressed), &limits).unwrap();
        prop_assert_eq!((read.graph, read.grid, read.ticks), (graph.clone(), (7, 9), 1234));
        if graph.registers().len() == 0 && graph.ranks().iter().all(|&r| r < 5) {
            for version in 1..=3 {
                prop_assert_eq!(&read_snapshot(&snapshot(&graph, version, compressed), &limits).unwrap().graph, &graph);
            }
        }
    }

    #[test]
    fn a_damaged_snapshot_is_a_sound_graph_or_an_error(
        graph in graphs(), compressed: bool, at: prop::sample::Index, to: u8, cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = snapshot(&graph, 4, compressed);
        let place = at.index(bytes.len());
        bytes[place] = to;
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(read) = read_snapshot(&bytes, &Limits { nodes: 10_000, ..Limits::default() }) {
            prop_assert!(read.graph.validate().is_ok());
        }
    }

    #[test]
    fn a_permuted_graph_is_the_same_graph(graph in graphs()) {
        let order = morton_order(graph.len(), 5);
        let there = permuted(&graph, &order).unwrap().unwrap();
        let mut back = vec![0; order.len()];
        for (new, &old) in (0..).zip(&order) {
            back[old as usize] = new;
        }
        prop_assert!(there.validate().is_ok());
        prop_assert_eq!(permuted(&there, &back).unwrap().unwrap(), graph);
    }
}

#[test]
fn what_is_missing_in_a_document_is_named() {
    let text = r#"{"format":"dagdb-json","version":1,"rank":[0,1],"truth":[0],"nodeType":[0,0]}"#;
    assert_eq!(
        read_json(text, &Limits::default()),
        Err(BuildError::File { unit: "byte", at: 0, problem: Problem::Count { part: "truth" } })
    );
    let text = r#"{"format":"dagdb-json","version":2}"#;
    assert!(matches!(
        read_json(text, &Limits::default()),
        Err(BuildError::File { problem: Problem::UnknownVersion { version: 2 }, .. })
    ));
    assert!(read_json(&"[".repeat(100_000), &Limits::default()).is_err());
    let deep = format!("{{\"x\":{}", "[".repeat(100_000));
    assert!(read_json(&deep, &Limits::default()).is_err());
}

#[test]
fn codes_interleave_columns_and_rows() {
    assert_eq!([(0, 0), (1, 0), (0, 1), (1, 1), (2, 1)].map(|(c, r)| hexagonal_code(c, r)), [0, 1, 2, 3, 4]);
    let mut order = morton_order(64, 8);
    assert_ne!(order, (0..64).collect::<Vec<u32>>());
    order.sort_unstable();
    assert_eq!(order, (0..64).collect::<Vec<u32>>());
}

#[test]
fn reading_ends_when_nobody_wants_it_any_more() {
    let stop = Limits { go_on: &|| false, ..Limits::default() };
    let json = r#"{"format":"dagdb-json","version":1,"rank":[0],"truth":[0],"nodeType":[0],"lut6Low":[0],"lut6High":[0],"neighbors":[[-1,-1,-1,-1,-1,-1]]}"#;
    assert!(read_json(json, &Limits::default()).is_ok());
    assert_eq!(read_json(json, &stop).err(), Some(BuildError::Cancelled));
    let asked = std::cell::Cell::new(0);
    let count = || {
        asked.set(asked.get() + 1);
        asked.get() < 3
    };
    let mut nodes = String::from("id,rank,truth,nodeType,lut6_low,lut6_high\n");
    (0..100_000).for_each(|id| nodes.push_str(&format!("{id},0,0,0,0,0\n")));
    let read = read_csv(&nodes, "dst,slot,src\n", &Limits { go_on: &count, ..Limits::default() });
    assert_eq!(read.err(), Some(BuildError::Cancelled));
    assert_eq!(asked.get(), 3);
}
