//! `cargo xtask`: build, run, image, test, bench. The only command people type.
#![forbid(unsafe_code)]

fn main() {}
