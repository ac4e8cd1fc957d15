//! `tpcc --url postgres://user:password@host:port/database`: fills the tables, runs terminals for a time, checks the conditions
//! and says how many new orders a minute were committed.
#![forbid(unsafe_code)]

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use postgres::{Client, NoTls};
use tpcc::{Result, Scale, Until, consistency, load};

/// An order-entry workload in the manner of TPC-C.
#[derive(Parser)]
struct Arguments {
    /// Where the server is
    #[arg(long)]
    url: String,
    /// Warehouses
    #[arg(long, default_value_t = 1)]
    warehouses: i32,
    /// Terminals that work at the same time
    #[arg(long, default_value_t = 8)]
    terminals: u32,
    /// For how long
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// READ COMMITTED, REPEATABLE READ or SERIALIZABLE
    #[arg(long, default_value = "READ COMMITTED")]
    isolation: String,
    /// Seed of the terminals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The tables are there already, just filled by this program
    #[arg(long)]
    loaded: bool,
}

fn work(arguments: &Arguments) -> Result<()> {
    let scale = Scale::full(arguments.warehouses.max(1));
    let mut client = Client::connect(&arguments.url, NoTls)?;
    let started = Instant::now();
    if !arguments.loaded {
        load::load(&mut client, scale, 1)?;
        println!("loaded in {:.1} s", started.elapsed().as_secs_f64());
    }
    let started = Instant::now();
    let until = Until::Elapsed(Duration::from_secs(arguments.seconds));
    let tally =
        tpcc::run(&arguments.url, scale, arguments.terminals, &arguments.isolation, until, arguments.seed)?;
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    println!("{tally:?}");
    println!("new orders a minute: {:.0}", tally.new_orders as f64 / minutes);
    consistency::check(&mut client)?;
    if !arguments.loaded {
        consistency::check_committed(&mut client, scale, &tally)?;
    }
    println!("consistent");
    Ok(())
}

fn main() -> ExitCode {
    match work(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}
