//! pgbench's workloads: transactions per second, ours and the peer's.

use std::{thread::sleep, time::Duration};

use super::{
    BenchArguments, Shape, boot, fresh_image,
    subject::{Subject, alternate, median, rate},
};
use crate::{
    error::Result,
    peer::{self, Peer},
};

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
        promised: 8.0,
    },
    Case { name: "select-only simple, 8 clients", arguments: &["-S", "-c", "8"], promised: 8.0 },
    Case { name: "TPC-B simple, 1 client", arguments: &["-c", "1"], promised: 0.0 },
    Case { name: "TPC-B simple, 8 clients", arguments: &["-c", "8"], promised: 8.0 },
    Case { name: "TPC-B prepared, 8 clients", arguments: &["-M", "prepared", "-c", "8"], promised: 8.0 },
    // With SCRAM most of the time is the client's own derivation of its key from the password.
    Case { name: "connect by SCRAM, 1 client", arguments: &["-S", "-C", "-c", "1"], promised: 0.0 },
];

/// Run with authentication switched off on both sides: what the servers do, not what the client does.
const TRUST: Case =
    Case { name: "connect by trust, 1 client", arguments: &["-S", "-C", "-c", "1"], promised: 10.0 };

/// Makes PostgreSQL let everybody in.
const TRUST_EVERYBODY: &str = "COPY (SELECT 'host all all 0.0.0.0/0 trust') \
     TO '/etc/postgresql/15/main/pg_hba.conf'; SELECT pg_reload_conf()";

/// Transactions per second of one case.
fn measure(subject: &Subject<'_>, case: &Case, seconds: u32) -> Result<f64> {
    let seconds = seconds.to_string();
    let mut arguments = vec!["-n", "-T", &seconds];
    arguments.extend(case.arguments);
    rate(&subject.pgbench(&arguments)?)
}

/// Measures all cases.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    let kernel = arguments.kernel()?;
    let image = fresh_image("transactions.img")?;
    let shape = Shape::usual(&kernel, &image);
    let (mut appliance, password, _) = boot(&shape)?;
    let port = appliance.port();
    let own = Subject { guest: appliance.guest(), port, password };
    let scale = arguments.pgbench_scale().to_string();
    own.pgbench(&["-i", "-q", "-s", &scale])?;
    if !arguments.peer {
        println!("{:<34} {:>12}", "pgbench", "tps");
        for case in CASES.iter().filter(|c| c.name.contains(&arguments.only)) {
            let mut rates = Vec::new();
            for _ in 0..arguments.rounds.max(1) {
                rates.push(measure(&own, case, arguments.seconds)?);
            }
            println!("{:<34} {:>12.0}", case.name, median(&mut rates));
        }
        return Ok(());
    }
    let built = peer::build()?;
    compare(arguments, &own, &built)?;
    appliance.shut_down(Duration::from_secs(60))?;
    if TRUST.name.contains(&arguments.only) { compare_trust(arguments, &shape, &built) } else { Ok(()) }
}

/// New connections without authentication: the appliance started anew with `auth=trust`, the better of the peers.
fn compare_trust(arguments: &BenchArguments, shape: &Shape<'_>, built: &Peer) -> Result<()> {
    let (mut appliance, password, _) = boot(&Shape { command_line: "auth=trust", ..*shape })?;
    let port = appliance.port();
    let own = Subject { guest: appliance.guest(), port, password };
    own.pause(true)?;
    let mut running = built.boot(2, "2G", true)?;
    let other = Subject { port: running.port, guest: &mut running.guest, password: peer::PASSWORD.into() };
    other.pgbench(&["-i", "-q"])?;
    other.connect()?.batch_execute(TRUST_EVERYBODY)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds.max(1) {
        let (a, b) = alternate(&own, &other, |s| measure(s, &TRUST, arguments.seconds))?;
        ours.push(a);
        theirs.push(b);
    }
    row(&TRUST, [median(&mut ours), f64::NAN, median(&mut theirs)]);
    own.pause(false)
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
    let scale = arguments.pgbench_scale().to_string();
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
                let (a, b) = alternate(own, &other, |s| measure(s, case, arguments.seconds))?;
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
