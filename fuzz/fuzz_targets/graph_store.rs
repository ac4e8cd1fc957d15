//! Rows of a graph's heap: any bytes are a piece of the graph, a chunk of a history, or refused.
#![no_main]

use dagdb_graph::Graph;
use dagdb_store::format::{Chunk, chunk, fill, piece, put_chunk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (nodes, row) = input;
    if let Ok(mut graph) = Graph::with_nodes(usize::from(nodes)) {
        if let Some(filled) = fill(row, &mut graph) {
            assert_eq!(piece(row), Some(filled));
        }
        let _ = graph.validate();
    }
    if let Some(Chunk { lane, number, part, parts, data }) = chunk(row) {
        let mut again = Vec::new();
        put_chunk(&Chunk { lane, number, part, parts, data }, &mut again);
        assert_eq!(chunk(&again), chunk(row));
    }
});
