//! SCRAM messages and stored verifiers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pg_wire::scram::{ServerExchange, Verifier};

fuzz_target!(|input: (&str, &[u8], &[u8], Option<&[u8]>, bool)| {
    let (stored, first, last, end_point, plus) = input;
    let _ = Verifier::parse(stored);
    let verifier = Verifier::mock("someone", &[7; 32]);
    let nonce = [3; pg_wire::scram::NONCE_LEN];
    if let Ok(exchange) = ServerExchange::start(verifier, first, &nonce, end_point, plus) {
        let _ = exchange.server_first();
        assert!(!matches!(exchange.finish(last), Ok(Some(_))), "let in without the password");
    }
});
