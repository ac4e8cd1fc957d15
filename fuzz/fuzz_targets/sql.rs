//! The lexer and parser of SQL.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if text.len() <= 20_000 {
        let _ = pg_sql::parse(text);
    }
});
