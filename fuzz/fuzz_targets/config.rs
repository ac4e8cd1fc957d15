//! The configuration text. What is read is written so that it is read again the same.
#![no_main]

use intralith_config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Ok(config) = Config::parse(text) {
        let again = config.to_text();
        let read = Config::parse(again.as_bytes()).expect("what was written cannot be read");
        assert_eq!(read.to_text(), again);
    }
});
