//! An order-entry workload in the manner of TPC-C (Standard Specification 5.11, clauses 1 to 3): nine tables, five kinds of
//! transactions at the specified mix, and the conditions that hold in between whatever happened.
//!
//! It differs from the benchmark proper where that is about a company's reporting and not about a database: terminals do not
//! think or type, figures are of this program's own, and tables may be smaller than the specified ones ([`Scale`]).
//!
//! Everything follows from seeds: one terminal alone leaves the same tables behind on every server ([`consistency::digest`]).
#![forbid(unsafe_code)]

pub mod consistency;
pub mod load;
pub mod terminal;

use std::{
    thread,
    time::{Duration, Instant},
};

use postgres::{Client, NoTls, error::SqlState};

pub use terminal::{Tally, Terminal};

/// Districts of a warehouse.
pub const DISTRICTS: i32 = 10;

/// What may go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's or the connection's.
    #[error("{}", told(.0))]
    Server(#[from] postgres::Error),
    /// Writing rows for COPY.
    #[error("rows cannot be sent")]
    Copy(#[from] std::io::Error),
    /// A condition that does not hold.
    #[error("{0}")]
    Broken(String),
    /// Something that must be there is not.
    #[error("there is no {0}")]
    Missing(&'static str),
    /// A terminal's thread panicked.
    #[error("a terminal panicked")]
    Panicked,
}

fn told(e: &postgres::Error) -> String {
    e.as_db_error().map_or_else(|| e.to_string(), |e| format!("{}: {}", e.code().code(), e.message()))
}

impl Error {
    /// May the transaction be tried again: it lost against others?
    #[must_use]
    pub fn may_retry(&self) -> bool {
        let Self::Server(e) = self else { return false };
        matches!(e.code(), Some(c) if *c == SqlState::T_R_SERIALIZATION_FAILURE || *c == SqlState::T_R_DEADLOCK_DETECTED)
    }
}

/// A result.
pub type Result<T> = std::result::Result<T, Error>;

/// How many rows there are.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Warehouses.
    pub warehouses: i32,
    /// Items, of which each warehouse has a stock.
    pub items: i32,
    /// Customers of a district, each with one order at the beginning.
    pub customers: i32,
}

impl Scale {
    /// What TPC-C asks for.
    #[must_use]
    pub fn full(warehouses: i32) -> Self {
        Self { warehouses, items: 100_000, customers: 3_000 }
    }

    /// Little enough for a test.
    #[must_use]
    pub fn small() -> Self {
        Self { warehouses: 2, items: 200, customers: 30 }
    }

    /// Orders of a district that are delivered at the beginning: seven of ten.
    #[must_use]
    pub fn delivered(&self) -> i32 {
        self.customers * 7 / 10
    }
}

/// When terminals stop.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After so many transactions each.
    Transactions(u32),
    /// After a time.
    Elapsed(Duration),
}

/// Runs terminals side by side; what they did together. `isolation`: as BEGIN has it.
///
/// # Errors
/// The first terminal's that failed other than by losing against another, after which it tries again.
pub fn run(
    url: &str,
    scale: Scale,
    terminals: u32,
    isolation: &str,
    until: Until,
    seed: u64,
) -> Result<Tally> {
    let started = Instant::now();
    let one = |n: u32| -> Result<Tally> {
        let client = Client::connect(url, NoTls)?;
        let mut terminal = Terminal::new(client, scale, n, seed.wrapping_add(u64::from(n)), isolation)?;
        let more = |done: u32| match until {
            Until::Transactions(wanted) => done < wanted,
            Until::Elapsed(time) => started.elapsed() < time,
        };
        let mut done = 0;
        while more(done) {
            terminal.step()?;
            done += 1;
        }
        Ok(terminal.tally)
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..terminals).map(|n| scope.spawn(move || one(n))).collect();
        let mut all = Tally::default();
        for thread in running {
            all.add(&thread.join().map_err(|_| Error::Panicked)??);
        }
        Ok(all)
    })
}
