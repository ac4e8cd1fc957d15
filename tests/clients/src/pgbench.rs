//! pgbench in all its modes, with the sums that TPC-B keeps equal.

use std::process::Command;

use postgres::{Client, NoTls};

use crate::{Outcome, Test, Url, check, equal, programs::output};

pub const TESTS: &[Test] = &[
    ("pgbench: -i", initialise),
    ("pgbench: TPC-B, simple", |u| tpcb(u, "simple")),
    ("pgbench: TPC-B, extended", |u| tpcb(u, "extended")),
    ("pgbench: TPC-B, prepared", |u| tpcb(u, "prepared")),
    ("pgbench: select-only, simple", |u| select_only(u, "simple")),
    ("pgbench: select-only, extended", |u| select_only(u, "extended")),
    ("pgbench: select-only, prepared", |u| select_only(u, "prepared")),
    ("pgbench: a connection for each transaction", |u| {
        pgbench(u, &["-n", "-S", "-C", "-c", "2", "-t", "100"]).map(|_| ())
    }),
];

fn pgbench(url: &Url, arguments: &[&str]) -> Outcome<String> {
    let out = output(Command::new("pgbench").args(arguments).arg(&url.text))?;
    check(
        format!("failed transactions:\n{out}"),
        !out.contains("failed") || out.contains("failed transactions: 0 "),
    )?;
    Ok(out)
}

fn initialise(url: &Url) -> Outcome {
    pgbench(url, &["-i", "-q", "-s", "1"])?;
    let mut c = Client::connect(&url.text, NoTls)?;
    for (table, rows) in [("pgbench_accounts", 100_000i64), ("pgbench_tellers", 10), ("pgbench_branches", 1)]
    {
        let n: i64 = c.query_one(&format!("SELECT count(*) FROM {table}"), &[])?.get(0);
        equal(table, n, rows)?;
    }
    Ok(())
}

fn sum(c: &mut Client, table: &str, column: &str) -> Outcome<i64> {
    Ok(c.query_one(&format!("SELECT coalesce(sum({column}), 0)::int8 FROM {table}"), &[])?.get(0))
}

fn tpcb(url: &Url, mode: &str) -> Outcome {
    pgbench(url, &["-n", "-c", "4", "-j", "2", "-T", "5", "-M", mode])?;
    let mut c = Client::connect(&url.text, NoTls)?;
    let accounts = sum(&mut c, "pgbench_accounts", "abalance")?;
    equal("branches", sum(&mut c, "pgbench_branches", "bbalance")?, accounts)?;
    equal("tellers", sum(&mut c, "pgbench_tellers", "tbalance")?, accounts)?;
    equal("history", sum(&mut c, "pgbench_history", "delta")?, accounts)
}

fn select_only(url: &Url, mode: &str) -> Outcome {
    pgbench(url, &["-n", "-S", "-c", "4", "-j", "2", "-T", "3", "-M", mode]).map(|_| ())
}
