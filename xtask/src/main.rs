//! peer smoke
#![forbid(unsafe_code)]
mod error; mod tools; mod appliance; mod peer;
fn main() { let p = match peer::build() { Ok(p) => p, Err(e) => { eprintln!("{e}"); return; } }; match p.boot(2, "2G", false) { Ok(r) => println!("{:?}", r.boot), Err(e) => eprintln!("{e}") } }
