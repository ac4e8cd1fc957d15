//! Suites that run real clients.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use postgres::Client;

use super::{check, guest};
use crate::{
    appliance::{self, USER},
    disk,
    error::{Context, Error, Result},
    run, tools,
};

/// A hosted server, ended when dropped.
pub struct Hosted {
    child: Child,
    /// Where it answers.
    pub port: u16,
}

impl Hosted {
    /// Starts it on a free port.
    pub fn start(disk: &Path, password_file: &Path, extra: &[&str]) -> Result<Self> {
        let binary = run::build_hosted()?;
        let port = tools::free_port()?;
        let mut command = run::hosted_command(&binary, &format!("127.0.0.1:{port}"), disk, password_file);
        // The tests make statements panic on purpose; backtraces of those would bury what fails.
        command.env("RUST_BACKTRACE", "0");
        let child = command.args(extra).spawn().context(|| format!("start {}", binary.display()))?;
        Ok(Self { child, port })
    }

    /// Waits until it lets somebody in.
    pub fn wait_ready(&mut self, password: &str) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match appliance::connect(self.port, Some(password)) {
                Ok(_) => return Ok(()),
                Err(e) if Instant::now() > deadline => return Err(e),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
            if let Some(status) = self.child.try_wait().context(|| "wait for the server".into())? {
                return Err(Error::Failed(format!("the hosted server ended: {status}")));
            }
        }
    }

    /// Ends it in order.
    pub fn stop(&mut self) -> Result<()> {
        tools::terminate(self.child.id())?;
        let status = self.child.wait().context(|| "wait for the server".into())?;
        check(status.success(), || format!("the hosted server ended with {status} on SIGTERM"))
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every client against the hosted server.
pub fn hosted() -> Result<()> {
    let path = tools::scratch("disks")?.join("hosted.img");
    let _ = std::fs::remove_file(&path);
    let (password, password_file) = {
        let prepared = disk::prepare(&path, 2 << 30)?;
        let password =
            prepared.password()?.ok_or_else(|| Error::Failed("a new disk has no password".into()))?;
        (password, prepared.password_file())
    };
    let mut server =
        Hosted::start(&path, &password_file, &["--set", "test_functions=on", "--compute", "processor"])?;
    server.wait_ready(&password)?;
    all(&appliance::url(server.port, &password))?;
    let port = server.port;
    guest::panics_stay_contained(|| appliance::connect(port, Some(&password)))?;
    server.stop()
}

/// psql, pgbench, Rust, Python and JavaScript clients: `tests/clients` knows them all.
pub fn all(url: &str) -> Result<()> {
    tools::require(tools::PSQL)?;
    tools::require(tools::PGBENCH)?;
    some(url, "")
}

/// Those of them whose names contain a word.
pub fn some(url: &str, filter: &str) -> Result<()> {
    tools::run(tools::cargo().args([
        "run",
        "--quiet",
        "--package",
        "client_tests",
        "--",
        "--url",
        url,
        filter,
    ]))
}

/// pgbench as users first run it, with its invariants.
pub fn pgbench_scale_10(port: u16, password: &str) -> Result<()> {
    pgbench(port, password, &["-i", "-q", "-s", "10"])?;
    pgbench(port, password, &["-n", "-T", "20", "-c", "8"])?;
    pgbench(port, password, &["-n", "-T", "10", "-c", "8", "-S", "-M", "prepared"])?;
    invariants(&mut appliance::connect(port, Some(password))?)
}

/// A pgbench command line against a server on loopback.
pub fn pgbench_command(port: u16, password: &str) -> Result<Command> {
    let mut command = Command::new(tools::require(tools::PGBENCH)?);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", USER]);
    command.env("PGPASSWORD", password).env("PGDATABASE", USER).stdin(Stdio::null());
    Ok(command)
}

fn pgbench(port: u16, password: &str, arguments: &[&str]) -> Result<()> {
    tools::run(pgbench_command(port, password)?.args(arguments))
}

/// The sums that TPC-B keeps equal.
pub fn invariants(client: &mut Client) -> Result<()> {
    let mut sums = Vec::new();
    for (table, column) in [
        ("pgbench_accounts", "abalance"),
        ("pgbench_branches", "bbalance"),
        ("pgbench_tellers", "tbalance"),
        ("pgbench_history", "delta"),
    ] {
        let sum: i64 =
            client.query_one(&format!("SELECT coalesce(sum({column}), 0) FROM {table}"), &[])?.get(0);
        sums.push(sum);
    }
    check(sums.windows(2).all(|w| w[0] == w[1]), || format!("TPC-B sums differ: {sums:?}"))
}
