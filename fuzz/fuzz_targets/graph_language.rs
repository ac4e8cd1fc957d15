//! The graph language: any text is a command or an error within it, and what is printed is read back.
#![no_main]

use dagdb_language::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match parse(text) {
        Ok(command) => assert_eq!(parse(&command.to_string()), Ok(command)),
        Err(e) => assert!(e.at <= text.len() && text.is_char_boundary(e.at)),
    }
});
