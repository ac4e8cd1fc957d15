//! `cargo xtask bench`: what the appliance costs and does, and how that compares with the peer machine.
//!
//! Both machines run at the same time on the same host; the one that is not being measured is paused. Every figure of a
//! comparison comes from one run: rounds of the two alternate and medians are compared.

use std::{
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use clap::Args;
use qemu_machine::{Disk, Guest};
use serde_json::json;

use crate::{
    appliance::{self, Appliance, Options, USER},
    disk,
    error::{Context, Error, Result},
    kernel_build,
    peer::{self, Peer},
    tools,
};

/// Arguments of `bench`.
#[derive(Args, Debug)]
pub struct BenchArguments {
    /// Also builds and measures the peer: Debian 12 with PostgreSQL 15 on the same virtual hardware (needs root)
    #[arg(long)]
    peer: bool,
    /// Rounds of every measurement; medians are printed
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds of load in a round
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// pgbench's scale factor
    #[arg(long, default_value_t = 10)]
    scale: u32,
    /// Only cases whose name contains this
    #[arg(long, default_value = "")]
    only: String,
}

/// One pgbench workload and the ratio to the peer that is promised.
struct Case {
    name: &'static str,
    arguments: &'static [&'static str],
    promised: f64,
}

const CASES: [Case; 7] = [
    Case {
        name: "select-only prepared, 1 client",
        arguments: &["-S", "-M", "prepared", "-c", "1"],
        promised: 5.0,
    },
    Case {
        name: "select-only prepared, 8 clients",
        arguments: &["-S", "-M", "prepared", "-c", "8"],
        promised: 5.0,
    },
    Case { name: "select-only simple, 8 clients", arguments: &["-S", "-c", "8"], promised: 0.0 },
    Case { name: "TPC-B simple, 1 client", arguments: &["-c", "1"], promised: 0.0 },
    Case { name: "TPC-B simple, 8 clients", arguments: &["-c", "8"], promised: 4.0 },
    Case { name: "TPC-B prepared, 8 clients", arguments: &["-M", "prepared", "-c", "8"], promised: 4.0 },
    // With SCRAM most of the time is the client's own derivation of its key from the password.
    Case { name: "connect by SCRAM, 1 client", arguments: &["-S", "-C", "-c", "1"], promised: 0.0 },
];

/// Run with authentication switched off on both sides: what the servers do, not what the client does.
const TRUST: Case =
    Case { name: "connect by trust, 1 client", arguments: &["-S", "-C", "-c", "1"], promised: 10.0 };

/// Makes PostgreSQL let everybody in.
const TRUST_EVERYBODY: &str = "COPY (SELECT 'host all all 0.0.0.0/0 trust') \
     TO '/etc/postgresql/15/main/pg_hba.conf'; SELECT pg_reload_conf()";

/// A machine under measurement.
struct Subject<'a> {
    guest: &'a mut Guest,
    port: u16,
    password: String,
}

impl Subject<'_> {
    fn pause(&self, on: bool) -> Result<()> {
        let command = if on { "stop" } else { "cont" };
        self.guest.control()?.execute(command, json!({})).map_err(qemu_machine::GuestError::from)?;
        Ok(())
    }

    fn pgbench(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(tools::require(tools::PGBENCH)?);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER]).args(arguments).arg(USER);
        command.env("PGPASSWORD", &self.password).env("PGSSLMODE", "disable").stdin(Stdio::null());
        tools::capture(&mut command)
    }

    fn rate(&self, case: &Case, seconds: u32) -> Result<f64> {
        let seconds = seconds.to_string();
        let mut arguments = vec!["-n", "-T", &seconds];
        arguments.extend(case.arguments);
        rate(&self.pgbench(&arguments)?)
    }
}

/// The last `tps = ` of pgbench's report.
fn rate(report: &str) -> Result<f64> {
    let line = report.lines().rev().find_map(|l| l.strip_prefix("tps = "));
    let number = line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok());
    number.ok_or_else(|| Error::Failed(format!("pgbench reported no rate:\n{report}")))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Share of one host core that QEMU used over a while.
fn host_cpu(pid: u32, over: Duration) -> Result<f64> {
    let before = cpu_seconds(pid)?;
    sleep(over);
    Ok((cpu_seconds(pid)? - before) / over.as_secs_f64())
}

fn cpu_seconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).context(|| format!("read {path}"))?;
    // Fields 14 and 15, counted after the parenthesised name; in ticks of 1/100 s.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) / 100.0)
}

fn options(kernel: &Path, image: &Path, port: u16, command_line: &str) -> Options {
    let mut options = Options::pvh(kernel, command_line);
    options.memory = "2G".into();
    options.port = Some(port);
    options.disk = Some(Disk::nvme(image));
    options
}

/// Boots the volume, which is made if there is none.
fn boot(kernel: &Path, image: &Path, command_line: &str) -> Result<(Appliance, String, Duration)> {
    let password = {
        let prepared = disk::prepare(image, 4 << 30)?;
        prepared.password()?.ok_or_else(|| Error::Failed("the benchmark disk has no password".into()))?
    };
    let mut appliance = Appliance::boot(options(kernel, image, tools::free_port()?, command_line), false)?;
    let elapsed = appliance.wait_ready(Some(&password), Duration::from_secs(120))?;
    Ok((appliance, password, elapsed))
}

/// `cargo xtask bench`.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    let kernel = kernel_build::build_kernel(kernel_build::Profile::Release)?;
    let folder = tools::scratch("bench")?;
    let image = folder.join("disk.img");
    let _ = std::fs::remove_file(&image);
    let size = std::fs::metadata(&kernel).context(|| format!("stat {}", kernel.display()))?.len();
    println!(
        "kernel image                      {:>10.2} MiB  (promised: at most 16)",
        size as f64 / f64::from(1 << 20)
    );
    let mut boots = Vec::new();
    // The first boot formats; the ones after it are what a user sees day by day.
    let (mut appliance, _, first) = boot(&kernel, &image, "")?;
    appliance.shut_down(Duration::from_secs(30))?;
    for _ in 0..arguments.rounds.max(1) {
        let (mut appliance, _, elapsed) = boot(&kernel, &image, "")?;
        boots.push(elapsed.as_secs_f64());
        appliance.shut_down(Duration::from_secs(30))?;
    }
    println!("boot to first query               {:>10.2} s    (promised: at most 1.00)", median(&mut boots));
    println!("  first boot, formatting          {:>10.2} s", first.as_secs_f64());
    let (mut appliance, password, _) = boot(&kernel, &image, "")?;
    let used: i64 = appliance
        .connect(Some(&password))?
        .query_one("SELECT intralith_memory_used()", &[])
        .map_or(0, |r| r.get(0));
    println!(
        "memory in use, pool aside         {:>10.2} MiB  (promised: at most 48)",
        used as f64 / f64::from(1 << 20)
    );
    sleep(Duration::from_secs(2));
    let idle = host_cpu(appliance.guest().pid(), Duration::from_secs(10))?;
    println!("idle guest, share of a host core  {:>10.2} %    (promised: under 3)", idle * 100.0);
    let port = appliance.port();
    let own = Subject { guest: appliance.guest(), port, password };
    let scale = arguments.scale.to_string();
    own.pgbench(&["-i", "-q", "-s", &scale])?;
    if !arguments.peer {
        println!("\n{:<34} {:>12}", "pgbench", "tps");
        for case in CASES.iter().filter(|c| c.name.contains(&arguments.only)) {
            let mut rates = Vec::new();
            for _ in 0..arguments.rounds.max(1) {
                rates.push(own.rate(case, arguments.seconds)?);
            }
            println!("{:<34} {:>12.0}", case.name, median(&mut rates));
        }
        return Ok(());
    }
    let built = peer::build()?;
    compare(arguments, &own, &built)?;
    appliance.shut_down(Duration::from_secs(60))?;
    if TRUST.name.contains(&arguments.only) {
        compare_trust(arguments, &kernel, &image, &built)
    } else {
        Ok(())
    }
}

/// New connections without authentication: the appliance started anew with `auth=trust`, the better of the peers.
fn compare_trust(arguments: &BenchArguments, kernel: &Path, image: &Path, built: &Peer) -> Result<()> {
    let (mut appliance, password, _) = boot(kernel, image, "auth=trust")?;
    let port = appliance.port();
    let own = Subject { guest: appliance.guest(), port, password };
    own.pause(true)?;
    let mut running = built.boot(2, "2G", true)?;
    let other = Subject { port: running.port, guest: &mut running.guest, password: peer::PASSWORD.into() };
    other.pgbench(&["-i", "-q"])?;
    appliance::connect(other.port, Some(peer::PASSWORD))?.batch_execute(TRUST_EVERYBODY)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds.max(1) {
        let (a, b) = round(&own, &other, &TRUST, arguments.seconds)?;
        ours.push(a);
        theirs.push(b);
    }
    row(&TRUST, [median(&mut ours), f64::NAN, median(&mut theirs)]);
    own.pause(false)
}

/// One round: the peer runs while the appliance is paused, then the other way round. Ours, theirs.
fn round(own: &Subject<'_>, other: &Subject<'_>, case: &Case, seconds: u32) -> Result<(f64, f64)> {
    let theirs = other.rate(case, seconds)?;
    other.pause(true)?;
    own.pause(false)?;
    let ours = own.rate(case, seconds)?;
    own.pause(true)?;
    other.pause(false)?;
    Ok((ours, theirs))
}

fn row(case: &Case, [ours, stock, tuned]: [f64; 3]) {
    let promised = if case.promised > 0.0 { format!("{:.0}", case.promised) } else { "-".into() };
    let ratio = ours / stock.max(tuned);
    let figure = |f: f64| if f.is_nan() { "-".into() } else { format!("{f:.0}") };
    let (ours, stock, tuned) = (figure(ours), figure(stock), figure(tuned));
    println!("{:<34} {ours:>10} {stock:>10} {tuned:>10} {ratio:>7.1}  {promised}", case.name);
}

/// Alternating rounds of the appliance and the peer, stock and tuned.
fn compare(arguments: &BenchArguments, own: &Subject<'_>, built: &Peer) -> Result<()> {
    own.pause(true)?;
    let mut best: Vec<[f64; 3]> = Vec::new();
    let cases: Vec<&Case> = CASES.iter().filter(|c| c.name.contains(&arguments.only)).collect();
    let scale = arguments.scale.to_string();
    for (variant, tuned) in [(1, false), (2, true)] {
        let mut running = built.boot(2, "2G", tuned)?;
        println!(
            "peer ({}) boot to first query {:.1} s",
            if tuned { "tuned" } else { "stock" },
            running.boot.as_secs_f64()
        );
        let port = running.port;
        let other = Subject { guest: &mut running.guest, port, password: peer::PASSWORD.into() };
        other.pgbench(&["-i", "-q", "-s", &scale])?;
        sleep(Duration::from_secs(5));
        for (i, case) in cases.iter().enumerate() {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..arguments.rounds.max(1) {
                let (a, b) = round(own, &other, case, arguments.seconds)?;
                ours.push(a);
                theirs.push(b);
            }
            if best.len() <= i {
                best.push([0.0; 3]);
            }
            if let Some(row) = best.get_mut(i) {
                row[0] = if row[0] > 0.0 { row[0].min(median(&mut ours)) } else { median(&mut ours) };
                row[variant] = median(&mut theirs);
            }
        }
        for line in peer::disk_trouble(other.guest) {
            println!("peer disk trouble, discard this run: {line}");
        }
    }
    println!(
        "\n{:<34} {:>10} {:>10} {:>10} {:>7}  promised",
        "pgbench", "Intralith", "stock", "tuned", "ratio"
    );
    for (case, figures) in cases.iter().zip(best) {
        row(case, figures);
    }
    own.pause(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pgbench_reports() {
        let report = "latency average = 1 ms\ntps = 1711.21 (without initial connection time)\n";
        assert!((rate(report).unwrap() - 1711.21).abs() < 1e-9);
        assert!(rate("nothing").is_err());
    }

    #[test]
    fn medians() {
        assert!((median(&mut [3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
    }
}
