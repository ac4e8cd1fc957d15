//! Files of graphs and circuits: any bytes are a valid graph or an error.
#![no_main]

use dagdb_build::{Limits, read_aiger, read_blif, read_csv, read_json, read_snapshot};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { nodes: 10_000, ..Limits::default() };
    if let Ok(snapshot) = read_snapshot(bytes, &limits) {
        assert_eq!(snapshot.graph.validate(), Ok(()));
    }
    let text = String::from_utf8_lossy(bytes);
    let half = text.char_indices().nth(text.chars().count() / 2).map_or(0, |c| c.0);
    for graph in [read_json(&text, &limits), read_csv(&text[..half], &text[half..], &limits)].into_iter().flatten() {
        assert_eq!(graph.validate(), Ok(()));
    }
    for netlist in [read_aiger(bytes, &limits), read_blif(&text, &limits)].into_iter().flatten() {
        assert_eq!(netlist.graph.validate(), Ok(()));
    }
});
