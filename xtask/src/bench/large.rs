//! A database eight times larger than the machine's memory.

use std::{path::Path, process::Stdio, time::Duration};

use super::{
    BenchArguments, Shape, boot, fresh_image,
    subject::{Subject, alternate, median, rate},
};
use crate::{error::Result, peer, test::clients, tools};

/// Memory of both machines.
const MEMORY: &str = "256M";
/// pgbench's scale: 2 GiB of tables and index at about 15 MB each.
const SCALE: &str = "137";
/// Times faster than the peer that is promised.
const PROMISED: f64 = 3.0;
/// Seconds of load before a round counts.
const WARM_UP: &str = "10";

/// The loaded peer's data.
const LOADED: &str = "large.img";

const CASES: [(&str, &[&str]); 2] =
    [("select-only prepared, 8 clients", &["-S", "-M", "prepared"]), ("TPC-B simple, 8 clients", &[])];

/// How pgbench makes its tables: rows come from the server, not over the network.
const LOAD: [&str; 6] = ["-i", "-q", "-I", "dtGvp", "-s", SCALE];

fn measure(subject: &Subject<'_>, case: &[&str], seconds: u32) -> Result<f64> {
    let seconds = seconds.max(10).to_string();
    let run = |time: &str| subject.pgbench(&[&["-n", "-c", "8", "-T", time], case].concat());
    run(WARM_UP)?;
    rate(&run(&seconds)?)
}

/// Loads with much memory, which is all the same later and saves time.
fn prepare(kernel: &Path, image: &Path) -> Result<()> {
    println!("loading the appliance");
    let (mut appliance, password, _) = boot(&Shape::usual(kernel, image))?;
    let port = appliance.port();
    Subject { guest: appliance.guest(), port, password }.pgbench(&LOAD)?;
    appliance.shut_down(Duration::from_secs(120))
}

/// Measures both cases.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    let kernel = arguments.kernel()?;
    let image = fresh_image("large.img")?;
    prepare(&kernel, &image)?;
    let (mut appliance, password, _) = boot(&Shape { memory: MEMORY, ..Shape::usual(&kernel, &image) })?;
    let port = appliance.port();
    let own = Subject { guest: appliance.guest(), port, password };
    println!("scale {SCALE} in {MEMORY}");
    if !arguments.peer {
        for (name, case) in CASES {
            println!("{name:<34} {:>10.0} tps", measure(&own, case, arguments.seconds)?);
        }
        return Ok(());
    }
    own.pause(true)?;
    println!("loading the peer");
    let built = peer::build()?.with_data(LOADED, |port| {
        tools::run(clients::pgbench_command(port, peer::PASSWORD)?.args(LOAD).stdout(Stdio::null()))
    })?;
    let mut running = built.boot(2, MEMORY, true)?;
    let port = running.port;
    let other = Subject { guest: &mut running.guest, port, password: peer::PASSWORD.into() };
    println!("{:<34} {:>10} {:>10} {:>7}  promised", "pgbench", "Intralith", "peer", "ratio");
    for (name, case) in CASES {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..arguments.rounds.max(1) {
            let (a, b) = alternate(&own, &other, |s| measure(s, case, arguments.seconds))?;
            ours.push(a);
            theirs.push(b);
        }
        let (a, b) = (median(&mut ours), median(&mut theirs));
        println!("{name:<34} {a:>10.0} {b:>10.0} {:>7.1}  {PROMISED:.0}", a / b);
    }
    own.pause(false)?;
    appliance.shut_down(Duration::from_secs(60))
}
