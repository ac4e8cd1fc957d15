//! `cargo xtask sim`: the storage engine under power cuts and disk faults, seed by seed.

use std::{process::Stdio, thread};

use crate::{
    error::{Error, Result},
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

fn cargo(extra: &[&str]) -> std::process::Command {
    let mut command = tools::cargo();
    command.args(["test", "--quiet", "--package", "pg_storage", "--test", "power_cut"]);
    command.arg("--target-dir").arg(tools::target().join("simulated")).args(extra);
    command.env("RUSTFLAGS", "--cfg intralith_platform=\"simulated\"");
    command
}

/// Runs the seeds; fails with the first that does.
pub fn run(arguments: &SimArguments) -> Result<()> {
    tools::run(&mut cargo(&["--no-run"]))?;
    let alone = arguments.seed.is_some() && arguments.seeds == 200;
    if let (Some(seed), true) = (arguments.seed, alone) {
        let mut command = cargo(&[TEST, "--", "--exact", "--nocapture"]);
        return tools::run(command.env("SEED", seed.to_string()).env("VERBOSE", "1"));
    }
    let first = arguments.seed.unwrap_or(0);
    let end = first + arguments.seeds;
    let processors = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let jobs = arguments.jobs.unwrap_or(processors).clamp(1, arguments.seeds.max(1));
    let share = arguments.seeds.div_ceil(jobs);
    let running = (0..jobs)
        .map(|j| {
            let range = format!("{}..{}", (first + j * share).min(end), (first + (j + 1) * share).min(end));
            let mut command = cargo(&[TEST, "--", "--exact"]);
            command.env("SEEDS", range).stdout(Stdio::piped());
            command.spawn()
        })
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(|e| Error::Failed(format!("cargo could not be started: {e}")))?;
    let mut failures = Vec::new();
    for child in running {
        let output = child
            .wait_with_output()
            .map_err(|e| Error::Failed(format!("a job could not be awaited: {e}")))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            failures.extend(text.lines().filter(|l| l.contains("SEED=")).map(str::to_owned));
            if failures.is_empty() {
                failures.push(text);
            }
        }
    }
    if failures.is_empty() {
        println!("{} seeds passed", arguments.seeds);
        Ok(())
    } else {
        Err(Error::Failed(format!("{}\nOne again: cargo xtask sim --seed N", failures.join("\n"))))
    }
}
