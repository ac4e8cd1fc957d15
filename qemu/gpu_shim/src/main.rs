//! Devices at hand: what they are, whether they compute as defined, and how fast.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use gpu_shim::{Executor, Processor, bench, check};

#[derive(Parser)]
#[command(about = "Executes the appliance's compute jobs")]
struct Arguments {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// Lists devices
    Devices,
    /// Compares a device's results with the definitions
    Check {
        /// Its number; the processor if none is given
        #[arg(long)]
        device: Option<usize>,
        /// Of the random cases
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// With graphs of more than a million nodes
        #[arg(long)]
        large: bool,
    },
    /// Measures devices and the processor
    Bench(Measured),
}

#[derive(clap::Args)]
struct Measured {
    /// Numbers of devices; several are measured together too
    #[arg(long, value_delimiter = ',')]
    devices: Vec<usize>,
    /// Leave the processor out
    #[arg(long)]
    no_processor: bool,
    /// What to measure: graphs, sums, searches, partitioned
    #[arg(long, value_delimiter = ',', default_values_t = ["graphs".to_owned(), "sums".to_owned(), "searches".to_owned()])]
    what: Vec<String>,
    #[arg(long, default_value_t = 1 << 20)]
    nodes: u32,
    #[arg(long, default_value_t = 10_000_000)]
    rows: u64,
    #[arg(long, default_value_t = 20_000)]
    vectors: u64,
    #[arg(long, default_value_t = 768)]
    dimensions: usize,
    #[arg(long, default_value_t = 100)]
    queries: usize,
    #[arg(long, default_value_t = 1000)]
    ticks: u32,
}

/// Bytes that a device may use: what tables and graphs of a measurement need at most.
const MEMORY: u64 = 100 << 30;

type Problem = Box<dyn std::error::Error>;

#[cfg(feature = "wgpu")]
fn open(number: usize) -> Result<Box<dyn Executor>, Problem> {
    let gpu = gpu_shim::Gpu::open(number, MEMORY)?;
    println!("device {number}: {}; {}", describe(&gpu), gpu.details());
    Ok(Box::new(gpu))
}

#[cfg(not(feature = "wgpu"))]
fn open(number: usize) -> Result<Box<dyn Executor>, Problem> {
    Err(format!("device {number} cannot be reached: this was built without the feature `wgpu`").into())
}

fn describe(device: &dyn Executor) -> String {
    let device = device.describe();
    format!("{} ({})", device.name, device.driver)
}

fn list() {
    #[cfg(feature = "wgpu")]
    for (number, info) in gpu_shim::device::list().iter().enumerate() {
        println!(
            "{number}: {} ({:?}, {:?}, {} {})",
            info.name, info.device_type, info.backend, info.driver, info.driver_info
        );
    }
    println!("processor: {}", describe(&processor()));
}

fn processor() -> Processor {
    Processor::new(Processor::threads(), MEMORY)
}

fn measure(arguments: &Measured) -> Result<(), Problem> {
    let sizes = bench::Sizes {
        nodes: arguments.nodes,
        rows: arguments.rows,
        vectors: arguments.vectors,
        dimensions: arguments.dimensions,
        queries: arguments.queries,
        ticks: arguments.ticks,
    };
    let mut devices: Vec<bench::Named> = Vec::new();
    for &number in &arguments.devices {
        let device = open(number)?;
        devices.push((format!("device {number}, {}", device.describe().name), device));
    }
    for what in &arguments.what {
        if what == "partitioned" {
            bench::partitioned(&mut devices, &sizes)?;
            continue;
        }
        let own = if arguments.no_processor { None } else { Some(processor()) };
        let name = own.as_ref().map(|p| describe(p)).unwrap_or_default();
        devices.extend(own.map(|p| (name, Box::new(p) as Box<dyn Executor>)));
        match what.as_str() {
            "graphs" => bench::graphs(&mut devices, &sizes)?,
            "sums" => bench::sums(&mut devices, &sizes)?,
            "searches" => bench::searches(&mut devices, &sizes)?,
            other => return Err(format!("nothing measures {other}").into()),
        }
        devices.truncate(arguments.devices.len());
    }
    Ok(())
}

fn run() -> Result<(), Problem> {
    match Arguments::parse().job {
        Job::Devices => list(),
        Job::Check { device, seed, large } => {
            let mut device = match device {
                Some(number) => open(number)?,
                None => Box::new(processor()),
            };
            let count = check::all(&mut *device, seed, large)?;
            println!("{}: {count} results as defined", describe(&*device));
        }
        Job::Bench(arguments) => measure(&arguments)?,
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("gpu_shim: {problem}");
            ExitCode::FAILURE
        }
    }
}
