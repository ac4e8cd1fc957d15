//! `cargo xtask bench`: what the appliance costs and does, and how that compares with PostgreSQL.
//!
//! A comparison runs both machines at the same time on the same host; the one that is not being measured is paused.
//! Every figure of a comparison comes from one run: rounds of the two alternate and medians are compared.

mod bulk;
mod cores;
mod dagdb;
mod large;
mod latency;
mod native;
mod recovery;
mod subject;
mod tpch;
mod transactions;

use std::{
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use clap::{Args, ValueEnum};
use qemu_machine::Disk;

use crate::{
    appliance::{Appliance, Options},
    disk,
    error::{Context, Error, Result},
    kernel_build, tools,
};
use subject::{cpu_seconds, median};

/// Arguments of `bench`.
#[derive(Args, Debug)]
pub struct BenchArguments {
    /// What to measure; `size` and `transactions` by default
    #[arg(value_enum)]
    groups: Vec<Group>,
    /// Also builds and measures the peer: Debian 12 with PostgreSQL 15 on the same virtual hardware (needs root)
    #[arg(long)]
    peer: bool,
    /// Rounds of every measurement; medians are printed
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds of load in a round
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// pgbench's scale factor (10 by default), or TPC-H's (1 by default)
    #[arg(long)]
    scale: Option<f64>,
    /// Only cases whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// A kernel to measure instead of building one
    #[arg(long)]
    kernel: Option<PathBuf>,
    /// A hosted server to measure instead of building one
    #[arg(long)]
    server: Option<PathBuf>,
}

impl BenchArguments {
    fn kernel(&self) -> Result<PathBuf> {
        self.kernel.clone().map_or_else(|| kernel_build::build_kernel(kernel_build::Profile::Release), Ok)
    }

    fn pgbench_scale(&self) -> u32 {
        self.scale.map_or(10, |s| s as u32).max(1)
    }

    fn tpch_scale(&self) -> f64 {
        self.scale.unwrap_or(1.0)
    }

    fn server(&self) -> Result<PathBuf> {
        self.server.clone().map_or_else(crate::run::build_hosted, Ok)
    }
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Image size, boot time, memory, idle processor use
    Size,
    /// pgbench's workloads and new connections
    Transactions,
    /// Percentiles of latency under load, and bytes of log per transaction
    Latency,
    /// COPY and CREATE INDEX
    Bulk,
    /// A database eight times larger than the machine's memory
    Large,
    /// Recovery after the machine was killed
    Recovery,
    /// Throughput with more and more processors, of the appliance and of the hosted server
    Cores,
    /// The hosted server against a PostgreSQL 15 of this machine
    Native,
    /// TPC-H's tables and queries on the hosted server; `--peer`: against a PostgreSQL 15 of this machine
    Tpch,
    /// The graph engine's evaluation, natively; `--only goals` measures the cases with a goal
    Dagdb,
}

/// How to boot a machine under measurement.
#[derive(Clone, Copy, Debug)]
struct Shape<'a> {
    kernel: &'a Path,
    image: &'a Path,
    command_line: &'a str,
    processors: u32,
    memory: &'a str,
}

impl<'a> Shape<'a> {
    /// Two processors and 2 GiB.
    fn usual(kernel: &'a Path, image: &'a Path) -> Self {
        Self { kernel, image, command_line: "", processors: 2, memory: "2G" }
    }
}

/// Boots the volume, which is made if there is none.
fn boot(shape: &Shape<'_>) -> Result<(Appliance, String, Duration)> {
    let password = {
        let prepared = disk::prepare(shape.image, 8 << 30)?;
        prepared.password()?.ok_or_else(|| Error::Failed("the benchmark disk has no password".into()))?
    };
    let mut options = Options::pvh(shape.kernel, shape.command_line);
    options.memory = shape.memory.into();
    options.processors = shape.processors;
    options.port = Some(tools::free_port()?);
    options.disk = Some(Disk::nvme(shape.image));
    let mut appliance = Appliance::boot(options, false)?;
    let elapsed = appliance.wait_ready(Some(&password), Duration::from_secs(300))?;
    Ok((appliance, password, elapsed))
}

/// A blank image of its own for a measurement.
fn fresh_image(name: &str) -> Result<PathBuf> {
    let image = tools::scratch("bench")?.join(name);
    let _ = std::fs::remove_file(&image);
    Ok(image)
}

/// `cargo xtask bench`.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    let groups = match arguments.groups.as_slice() {
        [] => &[Group::Size, Group::Transactions][..],
        chosen => chosen,
    };
    for group in groups {
        match group {
            Group::Size => size(arguments)?,
            Group::Transactions => transactions::run(arguments)?,
            Group::Latency => latency::run(arguments)?,
            Group::Bulk => bulk::run(arguments)?,
            Group::Large => large::run(arguments)?,
            Group::Recovery => recovery::run(arguments)?,
            Group::Cores => cores::run(arguments)?,
            Group::Native => native::run(arguments)?,
            Group::Tpch => tpch::run(arguments)?,
            Group::Dagdb => dagdb::run(arguments)?,
        }
        println!();
    }
    Ok(())
}

/// What an installation costs before it does anything.
fn size(arguments: &BenchArguments) -> Result<()> {
    let kernel = arguments.kernel()?;
    let image = fresh_image("size.img")?;
    let shape = Shape::usual(&kernel, &image);
    let size = std::fs::metadata(&kernel).context(|| format!("stat {}", kernel.display()))?.len();
    println!(
        "kernel image                      {:>10.2} MiB  (promised: at most 16)",
        size as f64 / f64::from(1 << 20)
    );
    let mut boots = Vec::new();
    // The first boot formats; the ones after it are what a user sees day by day.
    let (mut appliance, _, first) = boot(&shape)?;
    appliance.shut_down(Duration::from_secs(30))?;
    for _ in 0..arguments.rounds.max(1) {
        let (mut appliance, _, elapsed) = boot(&shape)?;
        boots.push(elapsed.as_secs_f64());
        appliance.shut_down(Duration::from_secs(30))?;
    }
    println!("boot to first query               {:>10.2} s    (promised: at most 1.00)", median(&mut boots));
    println!("  first boot, formatting          {:>10.2} s", first.as_secs_f64());
    let (mut appliance, password, _) = boot(&shape)?;
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
    appliance.shut_down(Duration::from_secs(30))
}

/// Share of one host core that QEMU used over a while.
fn host_cpu(pid: u32, over: Duration) -> Result<f64> {
    let before = cpu_seconds(pid)?;
    sleep(over);
    Ok((cpu_seconds(pid)? - before) / over.as_secs_f64())
}
