//! `cargo xtask sim`: the storage engine under power cuts and disk faults, seed by seed.

use std::{
    collections::BTreeMap,
    ops::Range,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    thread,
    time::Instant,
};

use crate::{
    error::{Context, Error, Result},
    tools,
};

/// Arguments of `sim`.
#[derive(clap::Args, Debug)]
pub struct SimArguments {
    /// How many seeds
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first seed; without `--seeds`, only that one, and told in detail
    #[arg(long)]
    seed: Option<u64>,
    /// Processes at a time; as many as there are processors if not given
    #[arg(long)]
    jobs: Option<u64>,
}

/// The test that runs the seeds it is told.
const TEST: &str = "acknowledged_commits_survive";
/// Seeds of one process: few enough that progress shows and that nobody waits long for the last.
const SHARE: u64 = 50;

/// Builds the test, optimised, with the assertions in; gives the program.
fn build() -> Result<PathBuf> {
    let mut command = tools::cargo();
    command.args(["test", "--package", "pg_storage", "--test", "power_cut", "--no-run"]);
    command.args(["--message-format", "json-render-diagnostics"]);
    command.arg("--target-dir").arg(tools::target().join("simulated"));
    command.env("RUSTFLAGS", "--cfg intralith_platform=\"simulated\"");
    let messages = tools::capture(&mut command)?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|m| m.get("executable")?.as_str().map(PathBuf::from))
        .next_back()
        .ok_or_else(|| Error::Failed("cargo did not say where the test is".into()))
}

/// What one process found.
struct Done {
    /// `SEED=n: what went wrong`, for each that did.
    failures: Vec<String>,
    /// Commits, losses and faults, as the test sums them up.
    summary: String,
    /// How often what was done and what went wrong.
    tally: Vec<(String, u64)>,
}

/// What a line like `tally: 3 cuts, 5 reads failed` says.
fn parse_tally(line: &str) -> Vec<(String, u64)> {
    let all = line.strip_prefix("tally: ").unwrap_or_default();
    all.split(", ")
        .filter_map(|one| {
            let (n, what) = one.split_once(' ')?;
            Some((what.to_owned(), n.parse().ok()?))
        })
        .collect()
}

fn run_seeds(program: &Path, seeds: &Range<u64>) -> Result<Done> {
    let mut command = Command::new(program);
    command.args([TEST, "--exact", "--nocapture"]).env("SEEDS", format!("{}..{}", seeds.start, seeds.end));
    let output = command
        .stderr(Stdio::piped())
        .output()
        .context(|| format!("run seeds {} to {}", seeds.start, seeds.end))?;
    let text = [output.stdout, output.stderr].map(|t| String::from_utf8_lossy(&t).into_owned()).concat();
    let find = |what: &str| text.lines().filter(|l| l.contains(what)).map(str::to_owned).collect::<Vec<_>>();
    let mut failures = find("SEED=");
    if failures.is_empty() && !output.status.success() {
        failures.push(format!("SEED={}..{}: {}\n{text}", seeds.start, seeds.end, output.status));
    }
    let tally = text.lines().find(|l| l.starts_with("tally: ")).map(parse_tally).unwrap_or_default();
    Ok(Done { failures, summary: find("acknowledged,").pop().unwrap_or_default(), tally })
}

/// Runs the seeds on all processors; fails with those that do.
pub fn run(arguments: &SimArguments) -> Result<()> {
    let program = build()?;
    if let (Some(seed), 200) = (arguments.seed, arguments.seeds) {
        let mut command = Command::new(&program);
        command.args([TEST, "--exact", "--nocapture"]);
        return tools::run(command.env("SEED", seed.to_string()).env("VERBOSE", "1"));
    }
    let first = arguments.seed.unwrap_or(0);
    let end = first + arguments.seeds;
    let processors = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let jobs = arguments.jobs.unwrap_or(processors).max(1);
    let state = Mutex::new((first, 0u64, Vec::<String>::new()));
    let tally = Mutex::new(BTreeMap::<String, u64>::new());
    let lock = || state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let start = Instant::now();
    let job = || -> Result<()> {
        loop {
            let seeds = {
                let mut s = lock();
                let seeds = s.0..(s.0 + SHARE).min(end);
                s.0 = seeds.end;
                seeds
            };
            if seeds.is_empty() {
                return Ok(());
            }
            let done = run_seeds(&program, &seeds)?;
            let mut all = tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for (what, n) in done.tally {
                *all.entry(what).or_default() += n;
            }
            drop(all);
            let mut s = lock();
            s.1 += seeds.end - seeds.start;
            let (passed, seconds) = (s.1, start.elapsed().as_secs());
            println!("{passed} of {} seeds, {seconds} s; {}", arguments.seeds, done.summary);
            for failure in done.failures {
                let seed: String = failure
                    .split("SEED=")
                    .nth(1)
                    .unwrap_or("")
                    .chars()
                    .take_while(char::is_ascii_digit)
                    .collect();
                println!("{failure}\n  again: cargo xtask sim --seed {seed}");
                s.2.push(seed);
            }
        }
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..jobs).map(|_| scope.spawn(job)).collect();
        running
            .into_iter()
            .try_for_each(|t| t.join().unwrap_or_else(|_| Err(Error::Failed("a job died".into()))))
    })?;
    let all = tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    for (what, n) in all {
        println!("{n:>12} {what}");
    }
    let failed = lock().2.clone();
    if failed.is_empty() {
        println!("{} seeds passed in {} s", arguments.seeds, start.elapsed().as_secs());
        Ok(())
    } else {
        Err(Error::Failed(format!("{} seeds failed: {}", failed.len(), failed.join(", "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_is_read_back() {
        let all = parse_tally("tally: 3 power cuts, 12 reads failed");
        assert_eq!(all, [("power cuts".to_owned(), 3), ("reads failed".to_owned(), 12)]);
        assert_eq!(parse_tally("tally: "), []);
    }
}
