//! Commands to a compute device and its replies. What is decoded is encoded to the same bytes.
#![no_main]

use compute_protocol::{Envelope, Reply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(envelope) = Envelope::decode(bytes) {
        assert_eq!(envelope.encode(), bytes);
    }
    let _ = Reply::decode(bytes);
});
