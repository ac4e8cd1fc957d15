//! Compressed values as tables hold them: any block under any length. What compresses comes back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_toast::block::{compress, decompress};

fuzz_target!(|input: (&[u8], u32)| {
    let (bytes, raw) = input;
    for raw in [raw, raw % 4096] {
        if let Ok(value) = decompress(bytes, raw) {
            assert_eq!(value.len(), raw as usize);
        }
    }
    if let Some(block) = compress(bytes) {
        assert!(block.len() < bytes.len());
        assert_eq!(decompress(&block, bytes.len() as u32).expect("a block that was just made"), bytes);
    }
});
