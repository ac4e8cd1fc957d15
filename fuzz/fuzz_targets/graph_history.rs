//! Histories of graphs: any bytes are frames that can be read at any tick, or an error. Checksums are made right, so that
//! what is behind them is reached.
#![no_main]

use dagdb_delta::{History, Recorder, apply, decode_graph, encode_graph};
use kernel_simd::crc32c;
use libfuzzer_sys::fuzz_target;

/// A frame's bytes before its payload, the checksum among them last.
const FRAME: usize = 32;

/// The same bytes as frames whose checksums are right.
fn mended(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = History::none(4);
    while let Some((head, rest)) = bytes.split_at_checked(FRAME) {
        let length = usize::from(head[0]).min(rest.len());
        let (payload, rest) = rest.split_at(length);
        let mut fields = head[..FRAME - 4].to_vec();
        fields[..4].copy_from_slice(&(length as u32).to_le_bytes());
        let crc = crc32c::extend(crc32c::checksum(&fields), payload);
        out.extend(fields);
        out.extend(crc.to_le_bytes());
        out.extend(payload);
        bytes = rest;
    }
    out
}

fuzz_target!(|bytes: &[u8]| {
    for bytes in [bytes.to_vec(), mended(bytes)] {
        if let Ok((history, _)) = History::open_prefix(&bytes) {
            // States are as long as frames say, up to 255 times their bytes.
            if let Ok(Some((_, state))) = history.state_at(u64::MAX) {
                let _ = decode_graph(&state);
            }
            let _ = history.replay(|_, _| true);
        }
        let _ = apply(&bytes, &mut Vec::new());
    }
    if let Ok((graph, ticks)) = decode_graph(bytes) {
        let state = encode_graph(&graph, ticks);
        let (mut recorder, mut history) = Recorder::begin(2);
        history.extend(recorder.record(1, &state).expect("the first frame"));
        let read = History::open(&history).and_then(|h| h.state_at(1)).expect("what was just written");
        assert_eq!(read, Some((1, state)));
    }
});
