//! Percentiles of latency under load, and bytes of log per transaction.

use std::time::Duration;

use super::{
    BenchArguments, Shape, boot, fresh_image,
    subject::{Subject, alternate, wal_bytes},
};
use crate::{
    error::{Context, Error, Result},
    peer, tools,
};

const CASES: [(&str, &[&str]); 2] =
    [("select-only prepared, 8 clients", &["-S", "-M", "prepared"]), ("TPC-B simple, 8 clients", &[])];

/// What one run of pgbench gives.
struct Latency {
    /// Milliseconds below which 50, 95, 99 and 99.9 % of the transactions stayed, and the longest.
    percentiles: [f64; 5],
    /// Bytes of log per transaction.
    log: f64,
}

impl Latency {
    fn print(&self, who: &str) {
        let [p50, p95, p99, p999, max] = self.percentiles;
        println!(
            "  {who:<12} {p50:>8.2} {p95:>8.2} {p99:>8.2} {p999:>8.2} {max:>8.1} ms {:>8.0} bytes",
            self.log
        );
    }
}

/// Latencies in microseconds from pgbench's logs: `client transaction latency script epoch us`.
fn latencies(text: &str) -> impl Iterator<Item = u32> {
    text.lines().filter_map(|l| l.split(' ').nth(2)?.parse().ok())
}

fn percentiles(all: &mut [u32]) -> [f64; 5] {
    all.sort_unstable();
    let at = |share: f64| {
        let place = (all.len() as f64 * share) as usize;
        all.get(place.min(all.len().saturating_sub(1))).map_or(f64::NAN, |us| f64::from(*us) / 1000.0)
    };
    [at(0.5), at(0.95), at(0.99), at(0.999), at(1.0)]
}

fn measure(subject: &Subject<'_>, case: &[&str], seconds: u32) -> Result<Latency> {
    let folder = tools::scratch("latency")?;
    std::fs::remove_dir_all(&folder).context(|| format!("remove {}", folder.display()))?;
    let folder = tools::scratch("latency")?;
    let prefix = format!("--log-prefix={}", folder.join("log").display());
    let seconds = seconds.to_string();
    let before = wal_bytes(&mut subject.connect()?)?;
    subject.pgbench(&[&["-n", "-c", "8", "-T", &seconds, "-l", &prefix], case].concat())?;
    let written = wal_bytes(&mut subject.connect()?)? - before;
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&folder).context(|| format!("read {}", folder.display()))? {
        let path = entry.context(|| "read a folder".into())?.path();
        let text = std::fs::read_to_string(&path).context(|| format!("read {}", path.display()))?;
        all.extend(latencies(&text));
    }
    if all.is_empty() {
        return Err(Error::Failed("pgbench logged no transaction".into()));
    }
    let log = written / all.len() as f64;
    Ok(Latency { percentiles: percentiles(&mut all), log })
}

/// Measures both cases.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    let kernel = arguments.kernel()?;
    let image = fresh_image("latency.img")?;
    let (mut appliance, password, _) = boot(&Shape::usual(&kernel, &image))?;
    let port = appliance.port();
    let own = Subject { guest: appliance.guest(), port, password };
    let scale = arguments.pgbench_scale().to_string();
    own.pgbench(&["-i", "-q", "-s", &scale])?;
    println!("latency: 50 %, 95 %, 99 %, 99.9 %, longest; log per transaction");
    let mut running = match arguments.peer {
        true => {
            own.pause(true)?;
            Some(peer::build()?.boot(2, "2G", true)?)
        }
        false => None,
    };
    let other = running.as_mut().map(|r| Subject {
        port: r.port,
        guest: &mut r.guest,
        password: peer::PASSWORD.into(),
    });
    if let Some(other) = &other {
        other.pgbench(&["-i", "-q", "-s", &scale])?;
    }
    for (name, case) in CASES {
        println!("{name}");
        match &other {
            None => measure(&own, case, arguments.seconds)?.print("Intralith"),
            Some(other) => {
                let (ours, theirs) = alternate(&own, other, |s| measure(s, case, arguments.seconds))?;
                ours.print("Intralith");
                theirs.print("peer");
            }
        }
    }
    own.pause(false)?;
    appliance.shut_down(Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pgbench_logs() {
        let mut all: Vec<u32> =
            latencies("0 1 2500 0 1700000000 5\n1 1 500 0 1700000000 7\nrubbish\n").collect();
        assert_eq!(all, [2500, 500]);
        assert_eq!(percentiles(&mut all), [2.5, 2.5, 2.5, 2.5, 2.5]);
    }
}
