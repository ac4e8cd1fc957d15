//! `cargo xtask fuzz-sql`: made-up statements against the hosted server and PostgreSQL, whose answers must agree.

use std::net::TcpStream;

use crate::{
    appliance::USER,
    error::{Error, Result},
    test::conformance,
    tools,
};

/// Arguments of `fuzz-sql`.
#[derive(clap::Args, Debug)]
pub struct FuzzSqlArguments {
    /// PostgreSQL 15: postgres://user:password@host:port/database; else the variable INTRALITH_ORACLE says where. The schema `fuzz`
    /// there is dropped and made anew
    #[arg(long)]
    oracle: Option<String>,
    /// For how long
    #[arg(long, default_value_t = 600)]
    seconds: u32,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many rounds, instead of a time: 1 replays a seed
    #[arg(long)]
    rounds: Option<u64>,
    /// Prints every statement
    #[arg(long)]
    verbose: bool,
}

/// Runs the fuzzer; fails when it finds a difference that is not listed.
pub fn run(arguments: &FuzzSqlArguments) -> Result<()> {
    let Some(oracle) = &arguments.oracle.clone().or_else(|| std::env::var("INTRALITH_ORACLE").ok()) else {
        return Err(Error::Usage(
            "there is no PostgreSQL to compare with: --oracle postgres://user:password@host:port/database, or INTRALITH_ORACLE"
                .into(),
        ));
    };
    let place = oracle.rsplit_once('@').and_then(|o| o.1.split('/').next()).unwrap_or_default();
    let place = if place.contains(':') { place.to_owned() } else { format!("{place}:5432") };
    if let Err(e) = TcpStream::connect(&place) {
        return Err(Error::Failed(format!("PostgreSQL does not answer at {place}: {e}")));
    }
    let mut server = conformance::server("fuzz_sql.img")?;
    let url = format!("postgres://{USER}@127.0.0.1:{}/{USER}", server.port);
    let mut command = tools::cargo();
    command.args(["run", "--quiet", "--package", "sql_fuzz", "--", "--url", &url, "--oracle", oracle]);
    command.arg("--listed").arg(tools::root().join("tests/sql_fuzz/listed.tsv"));
    command.args(["--seconds", &arguments.seconds.to_string(), "--seed", &arguments.seed.to_string()]);
    if let Some(rounds) = arguments.rounds {
        command.args(["--rounds", &rounds.to_string()]);
    }
    if arguments.verbose {
        command.arg("--verbose");
    }
    tools::run(&mut command)?;
    server.stop()
}
