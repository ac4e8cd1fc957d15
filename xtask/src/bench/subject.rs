//! Machines under measurement, and small things that all benchmarks use.

use std::process::{Command, Stdio};

use qemu_machine::Guest;
use serde_json::json;

use crate::{
    appliance::{self, USER},
    error::{Context, Error, Result},
    tools,
};

/// A machine under measurement.
pub struct Subject<'a> {
    /// Its emulator.
    pub guest: &'a mut Guest,
    /// Where it answers.
    pub port: u16,
    /// The first role's password.
    pub password: String,
}

impl Subject<'_> {
    /// Stops or continues the virtual processors.
    pub fn pause(&self, on: bool) -> Result<()> {
        let command = if on { "stop" } else { "cont" };
        self.guest.control()?.execute(command, json!({})).map_err(qemu_machine::GuestError::from)?;
        Ok(())
    }

    /// Runs pgbench; gives its report.
    pub fn pgbench(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(tools::require(tools::PGBENCH)?);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER]).args(arguments).arg(USER);
        command.env("PGPASSWORD", &self.password).env("PGSSLMODE", "disable").stdin(Stdio::null());
        tools::capture(&mut command)
    }

    /// Opens a connection.
    pub fn connect(&self) -> Result<postgres::Client> {
        appliance::connect(self.port, Some(&self.password))
    }
}

/// Runs `measure` on the peer while the appliance is paused, then the other way round. Ours, theirs. The appliance is paused
/// before and after.
pub fn alternate<R>(
    own: &Subject<'_>,
    other: &Subject<'_>,
    mut measure: impl FnMut(&Subject<'_>) -> Result<R>,
) -> Result<(R, R)> {
    let theirs = measure(other)?;
    other.pause(true)?;
    own.pause(false)?;
    let ours = measure(own)?;
    own.pause(true)?;
    other.pause(false)?;
    Ok((ours, theirs))
}

/// Bytes of log that a server has written since its start.
pub fn wal_bytes(client: &mut postgres::Client) -> Result<f64> {
    let text: String = client.query_one("SELECT wal_bytes::text FROM pg_stat_wal", &[])?.get(0);
    text.parse().map_err(|_| Error::Failed(format!("wal_bytes is \"{text}\"")))
}

/// The last `tps = ` of pgbench's report.
pub fn rate(report: &str) -> Result<f64> {
    let line = report.lines().rev().find_map(|l| l.strip_prefix("tps = "));
    let number = line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok());
    number.ok_or_else(|| Error::Failed(format!("pgbench reported no rate:\n{report}")))
}

/// The middle one, or the upper of the two.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Processor time that a process has used, its threads included.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).context(|| format!("read {path}"))?;
    // Fields 14 and 15, counted after the parenthesised name; in ticks of 1/100 s.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) / 100.0)
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
