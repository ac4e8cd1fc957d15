//! `cargo xtask test [FILTER]`: everything that shows that the project does what it says, as suites.

pub mod clients;
pub mod conformance;
mod gpu;
mod guest;
mod logic;
mod many;
mod power;
mod report;

use std::time::Instant;

use clap::Args;

use crate::{
    error::{Error, Result},
    lint, tools,
};

/// Arguments of `test`.
#[derive(Args, Debug)]
pub struct TestArguments {
    /// Runs only suites whose name contains this
    filter: Option<String>,
    /// Prints the suites' names and stops
    #[arg(long)]
    list: bool,
    /// Shows everything that the suites print, instead of keeping it in files
    #[arg(long)]
    verbose: bool,
    /// Gets what lets suite `gpu` show more, where this system's packages have it: a QEMU with virtio-gpu, a Vulkan driver
    #[arg(long)]
    install: bool,
    /// Runs one suite, in this process: how each is run
    #[arg(long, hide = true, value_name = "NAME")]
    suite: Option<String>,
}

/// A named group of tests.
struct Suite {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<()>,
}

const SUITES: [Suite; 18] = [
    Suite { name: "unsafe", about: "unsafe code only where it is allowed", run: lint::unsafe_report },
    Suite { name: "unit", about: "unit and engine tests on the hosted platform", run: unit },
    Suite { name: "simulated", about: "storage under power cuts on the simulated platform", run: simulated },
    Suite { name: "hosted", about: "real clients against the hosted server", run: clients::hosted },
    Suite {
        name: "isolation",
        about: "PostgreSQL's isolation scenarios, where they are at hand",
        run: conformance::isolation,
    },
    Suite {
        name: "regress",
        about: "PostgreSQL's regression files, where they are at hand: none gets worse",
        run: conformance::regress,
    },
    Suite {
        name: "logic",
        about: "logic test files; those beside the checkout, where they are at hand",
        run: logic::logic,
    },
    Suite {
        name: "metamorphic",
        about: "made-up queries answer like others of the same meaning",
        run: logic::metamorphic,
    },
    Suite { name: "kernel", about: "tests inside the kernel, in QEMU", run: guest::kernel },
    Suite {
        name: "guest",
        about: "real clients against a booted guest; reboot; power button",
        run: guest::clients,
    },
    Suite { name: "panic", about: "a panicking statement in a booted guest", run: guest::panic },
    Suite { name: "disks", about: "blank disks are formatted, foreign ones left alone", run: guest::disks },
    Suite {
        name: "gpu",
        about: "guests with compute devices, whose shim is killed or stopped",
        run: gpu::gpu,
    },
    Suite { name: "uefi", about: "the flashed image boots by UEFI", run: guest::uefi },
    Suite { name: "connections", about: "10,000 connections, 64 of them busy", run: many::connections },
    Suite { name: "kill", about: "20 times SIGKILL under load", run: power::kill },
    Suite { name: "powercut", about: "power cuts with a disk that loses unflushed writes", run: power::cut },
    Suite { name: "faults", about: "a disk that cannot be read in places", run: power::faults },
];

/// `cargo xtask test`.
pub fn run(arguments: &TestArguments) -> Result<()> {
    if let Some(name) = &arguments.suite {
        let suite = SUITES.iter().find(|s| s.name == name);
        return suite
            .map_or_else(|| Err(Error::Usage(format!("no suite is named \"{name}\""))), |s| (s.run)());
    }
    let filter = arguments.filter.as_deref().unwrap_or_default();
    let chosen: Vec<&Suite> = SUITES.iter().filter(|s| s.name.contains(filter)).collect();
    if arguments.list {
        for suite in chosen {
            println!("{:<12} {}", suite.name, suite.about);
        }
        return Ok(());
    }
    if chosen.is_empty() {
        let names: Vec<_> = SUITES.iter().map(|s| s.name).collect();
        return Err(Error::Usage(format!(
            "no suite is named like \"{filter}\"; there are: {}",
            names.join(", ")
        )));
    }
    if arguments.install && chosen.iter().any(|s| s.name == "gpu") {
        crate::gpu::install();
    }
    let mut failed = Vec::new();
    for suite in &chosen {
        println!("{:<12} {}", suite.name, suite.about);
        let start = Instant::now();
        let outcome = report::run(suite.name, arguments.verbose)?;
        println!("{:<12} {} in {:.1} s", "", outcome.word(), start.elapsed().as_secs_f64());
        if let report::Outcome::Failed { log, named, end } = outcome {
            // Where only the beginning of a long output is kept, this still says why.
            for line in named.iter().map(String::as_str).chain(end.lines().next_back()) {
                println!("{:<12} {line}", "");
            }
            failed.push((suite.name, log, end));
        }
    }
    println!("{} passed, {} failed", chosen.len() - failed.len(), failed.len());
    if failed.is_empty() {
        return Ok(());
    }
    for (name, log, end) in &failed {
        println!("\n=== {name} failed; the end of {}:\n{end}", log.display());
    }
    let names: Vec<_> = failed.iter().map(|(name, ..)| *name).collect();
    Err(Error::Failed(format!("failed: {}", names.join(", "))))
}

/// Fails with `message` unless `condition` holds.
fn check(condition: bool, message: impl FnOnce() -> String) -> Result<()> {
    if condition { Ok(()) } else { Err(Error::Failed(message())) }
}

fn unit() -> Result<()> {
    tools::run(tools::cargo().args(["test", "--workspace", "--quiet", "--no-fail-fast"]))?;
    // The lock-free parts, under every interleaving.
    let mut command = tools::cargo();
    command.args(["test", "--package", "loom_tests", "--release", "--quiet", "--target-dir"]);
    command.arg(tools::target().join("loom"));
    tools::run(command.env("RUSTFLAGS", "--cfg loom"))
}

fn simulated() -> Result<()> {
    const TESTS: [&[&str]; 4] = [
        &["platform", "--lib"],
        &["pg_storage", "--test", "power_cut", "--test", "histories", "--test", "hash_schedules"],
        &["pg_backup", "--test", "simulated"],
        &["dagdb_store", "--test", "power_cut"],
    ];
    for test in TESTS {
        let mut command = tools::cargo();
        command.args(["test", "--quiet", "--package"]).args(test);
        command.arg("--target-dir").arg(tools::target().join("simulated"));
        tools::run(command.env("RUSTFLAGS", "--cfg intralith_platform=\"simulated\""))?;
    }
    Ok(())
}
