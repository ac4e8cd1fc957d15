//! The lexer and parser of SQL, and the way in which literals are taken out of a statement's text.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if text.len() <= 20_000 {
        let _ = pg_sql::parse(text);
        let (mut shape, mut literals) = (String::new(), Vec::new());
        let _ = pg_sql::normalize::normalize(text, &mut shape, &mut literals);
    }
});
