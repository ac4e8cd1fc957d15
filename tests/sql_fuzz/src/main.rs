//! Random SQL against a server: compared with PostgreSQL's answers (`differential`), or with what other statements of the same meaning
//! answer (`metamorphic`), which needs no other server.
//!
//! A seed replays exactly: it decides about schema, data and statements, together with the catalogs of the server that is right.
//!
//! # Dependencies
//! `clap` for the command line; `postgres-protocol` for authentication. Drivers hide column types of the simple protocol and parts of
//! errors, which must be compared.
#![forbid(unsafe_code)]

mod catalog;
mod change;
mod client;
mod compare;
mod differential;
mod expression;
mod listed;
mod metamorphic;
mod node;
mod query;
mod random;
mod schema;
mod script;
mod values;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;

/// Random SQL against a server.
#[derive(Parser)]
struct Arguments {
    /// The server that is tried: postgres://user:password@host:port/database
    #[arg(long)]
    url: client::Url,
    /// PostgreSQL 15 to compare with; without it, the checks that need none. Its schema `fuzz` is dropped and made anew
    #[arg(long)]
    oracle: Option<client::Url>,
    /// The first round's seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many rounds; else as many as fit the time
    #[arg(long)]
    rounds: Option<u64>,
    /// For how many seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Differences that are known
    #[arg(long)]
    listed: Option<PathBuf>,
    /// Prints every statement
    #[arg(long)]
    verbose: bool,
}

fn run(arguments: Arguments) -> Result<u64, String> {
    let listed = match &arguments.listed {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
            listed::Listed::parse(&text)?
        }
        None => listed::Listed::default(),
    };
    let time = Duration::from_secs(arguments.seconds);
    let Arguments { url, oracle, seed, rounds, verbose, .. } = arguments;
    let outcome = match oracle {
        Some(theirs) => {
            differential::run(&differential::Plan { ours: url, theirs, seed, rounds, time, listed, verbose })
        }
        None => metamorphic::run(&metamorphic::Plan { url, seed, rounds, time, verbose }),
    };
    outcome.map_err(|e| e.to_string())
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}
