//! Real clients against a running server: psql, pgbench, the Rust `postgres` crate, psycopg 3, node's `pg`, and raw
//! protocol bytes.
//!
//! `client_tests --url postgres://user:password@host:port/database [FILTER]` runs every test whose name contains the
//! filter. A test that needs a program that is not there is reported as skipped, by name. The exit status is 1 when a
//! test failed.
//!
//! The tests make their objects in the database they are given and drop them first, so they can be run again.
#![forbid(unsafe_code)]

mod audit;
mod compute;
mod databases;
mod encryption;
mod extensions;
mod graph;
mod graph_history;
mod graph_tables;
mod interrupts;
mod isolation;
mod large;
mod notify;
mod orders;
mod pgbench;
mod programs;
mod protocol;
mod rust;
mod url;

use std::{process::ExitCode, time::Instant};

use clap::Parser;

use url::Url;

/// Runs the client tests.
#[derive(Parser)]
struct Arguments {
    /// Where the server is.
    #[arg(long)]
    url: Url,
    /// Runs the isolation scenarios only; the filter is of their names.
    #[arg(long)]
    isolation: bool,
    /// Writes down what the server answers to the isolation scenarios: to be run against PostgreSQL.
    #[arg(long, requires = "isolation")]
    record: bool,
    /// Only tests whose name contains this.
    filter: Option<String>,
}

/// How a test ended, other than well.
enum Failure {
    /// It could not run: what is missing.
    Skipped(String),
    /// What was wrong.
    Failed(String),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(e: E) -> Self {
        let mut text = e.to_string();
        let mut source = e.source();
        while let Some(inner) = source {
            text.push_str(&format!(": {inner}"));
            source = inner.source();
        }
        Self::Failed(text)
    }
}

type Outcome<T = ()> = Result<T, Failure>;

/// Fails unless the two are equal.
fn equal<T: PartialEq + std::fmt::Debug>(what: &str, got: T, wanted: T) -> Outcome {
    if got == wanted {
        Ok(())
    } else {
        Err(Failure::Failed(format!("{what}: got {got:?}, wanted {wanted:?}")))
    }
}

/// Fails unless the condition holds.
fn check(what: impl Into<String>, holds: bool) -> Outcome {
    if holds { Ok(()) } else { Err(Failure::Failed(what.into())) }
}

type Test = (&'static str, fn(&Url) -> Outcome);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.isolation {
        return match isolation::run_all(&arguments.url, arguments.filter.as_deref(), arguments.record) {
            Ok((passed, failed)) => {
                println!("{passed} scenarios passed, {failed} failed");
                if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
            }
            Err(Failure::Failed(why) | Failure::Skipped(why)) => {
                println!("{why}");
                ExitCode::FAILURE
            }
        };
    }
    let tests: Vec<Test> = [
        protocol::TESTS,
        rust::TESTS,
        large::TESTS,
        programs::TESTS,
        compute::TESTS,
        databases::TESTS,
        audit::TESTS,
        extensions::TESTS,
        encryption::TESTS,
        graph::TESTS,
        graph_history::TESTS,
        graph_tables::TESTS,
        interrupts::TESTS,
        isolation::TESTS,
        notify::TESTS,
        orders::TESTS,
        pgbench::TESTS,
    ]
    .into_iter()
    .flatten()
    .copied()
    .collect();
    let (mut failed, mut skipped, mut passed) = (0, 0, 0);
    for (name, test) in tests {
        if arguments.filter.as_ref().is_some_and(|f| !name.contains(f.as_str())) {
            continue;
        }
        let started = Instant::now();
        match test(&arguments.url) {
            Ok(()) => {
                passed += 1;
                println!("ok       {name} ({:.2} s)", started.elapsed().as_secs_f64());
            }
            Err(Failure::Skipped(why)) => {
                skipped += 1;
                println!("skipped  {name}: {why}");
            }
            Err(Failure::Failed(why)) => {
                failed += 1;
                println!("FAILED   {name}: {why}");
            }
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
