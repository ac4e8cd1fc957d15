//! What a client may send, before and after it has been let in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_wire::{frame, frontend};

fuzz_target!(|input: (bool, &[u8])| {
    let (startup, mut bytes) = input;
    if startup {
        if let Ok(Some((body, n))) = frame::split_startup(bytes) {
            assert!(n <= bytes.len());
            let _ = frontend::Startup::decode(body);
        }
        let _ = frontend::sasl_initial(bytes);
        return;
    }
    for _ in 0..1000 {
        let Ok(Some((packet, n))) = frame::split(bytes, 1 << 20) else { break };
        assert!(n > 0 && n <= bytes.len());
        if let Ok(message) = frontend::Frontend::decode(packet) {
            // Lists are walked when they are used.
            if let frontend::Frontend::Bind(bind) = &message {
                assert_eq!(bind.params.iter().count(), bind.params.len());
                assert_eq!(bind.formats.iter().count(), bind.formats.len());
                assert_eq!(bind.result_formats.iter().count(), bind.result_formats.len());
            }
            let _ = format!("{message:?}");
        }
        bytes = &bytes[n..];
    }
});
