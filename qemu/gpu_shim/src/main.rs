//! Serves a virtual machine; and devices at hand: what they are, whether they compute as defined, and how fast.
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
    /// Serves a virtual machine, and the next one when that is gone
    #[cfg(all(feature = "vhost", target_os = "linux"))]
    Serve(Served),
}

#[cfg(all(feature = "vhost", target_os = "linux"))]
#[derive(clap::Args)]
struct Served {
    /// Where the emulator connects
    #[arg(long, required_unless_present = "connect")]
    socket: Option<std::path::PathBuf>,
    /// The emulator's own socket: one that takes another shim when this one ends
    #[arg(long, conflicts_with = "socket")]
    connect: Option<std::path::PathBuf>,
    /// What computes
    #[arg(long, value_enum, default_value = "processor")]
    executor: Computing,
    /// Its number, with wgpu
    #[arg(long, default_value_t = 0)]
    device: usize,
    /// Bytes that the guest's tables and graphs may take
    #[arg(long, default_value_t = 4 << 30)]
    memory: u64,
    /// What the device looks like to the guest
    #[arg(long, value_enum, default_value = "gpu")]
    carrier: Look,
    /// Give signs of life on standard output, and end when standard input does: with whoever started this
    #[arg(long)]
    attached: bool,
}

#[cfg(all(feature = "vhost", target_os = "linux"))]
#[derive(Clone, Copy, clap::ValueEnum)]
enum Computing {
    /// The host's cores
    Processor,
    /// Vulkan
    Wgpu,
}

#[cfg(all(feature = "vhost", target_os = "linux"))]
#[derive(Clone, Copy, clap::ValueEnum)]
enum Look {
    /// For vhost-user-gpu-pci
    Gpu,
    /// For vhost-user-vsock-pci
    Vsock,
}

#[derive(clap::Args)]
struct Measured {
    /// Numbers of devices; several are measured together too
    #[arg(long, value_delimiter = ',')]
    devices: Vec<usize>,
    /// Leave the processor out
    #[arg(long)]
    no_processor: bool,
    /// What to measure: graphs, edits, sums, searches, partitioned
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
fn open(number: usize, memory: u64) -> Result<Box<dyn Executor>, Problem> {
    let gpu = gpu_shim::Gpu::open(number, memory)?;
    println!("device {number}: {}; {}", describe(&gpu), gpu.details());
    Ok(Box::new(gpu))
}

#[cfg(not(feature = "wgpu"))]
fn open(number: usize, _memory: u64) -> Result<Box<dyn Executor>, Problem> {
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
        let device = open(number, MEMORY)?;
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
            "edits" => bench::edits(&mut devices, &sizes)?,
            "sums" => bench::sums(&mut devices, &sizes)?,
            "searches" => bench::searches(&mut devices, &sizes)?,
            other => return Err(format!("nothing measures {other}").into()),
        }
        devices.truncate(arguments.devices.len());
    }
    Ok(())
}

#[cfg(all(feature = "vhost", target_os = "linux"))]
fn serve(served: &Served) -> Result<(), Problem> {
    use gpu_shim::transport::{
        control::Limits,
        vhost::{Carrier, Place, Server},
    };
    let &Served { device, memory, .. } = served;
    let open: gpu_shim::transport::Open =
        match served.executor {
            Computing::Processor => Box::new(move || {
                Some(Box::new(Processor::new(Processor::threads(), memory)) as Box<dyn Executor>)
            }),
            Computing::Wgpu => Box::new(move || match open(device, memory) {
                Ok(device) => Some(device),
                Err(problem) => {
                    eprintln!("gpu_shim: {problem}");
                    None
                }
            }),
        };
    let carrier = match served.carrier {
        Look::Gpu => Carrier::Gpu,
        Look::Vsock => Carrier::Vsock,
    };
    // Before the device is opened: that may take a while.
    if served.attached {
        std::thread::spawn(|| {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            std::process::exit(0);
        });
    }
    let place = match (&served.socket, &served.connect) {
        (Some(path), _) => Place::Listen(path.clone()),
        (None, Some(path)) => Place::Connect(path.clone()),
        (None, None) => return Err("there is no socket".into()),
    };
    let mut server = Server::new(place, carrier, Limits::default(), open)?;
    println!("serving");
    if served.attached {
        let pulse = server.pulse();
        std::thread::spawn(move || live(&pulse));
    }
    loop {
        if let Err(problem) = server.serve() {
            eprintln!("gpu_shim: connection ended: {problem}");
        }
    }
}

/// Gives signs of life, a line each, as long as somebody reads them.
#[cfg(all(feature = "vhost", target_os = "linux"))]
fn live(pulse: &gpu_shim::transport::vhost::Pulse) {
    use std::io::Write;
    loop {
        pulse.wait();
        if writeln!(std::io::stdout(), "alive").is_err() {
            std::process::exit(0);
        }
        std::thread::sleep(BEAT);
    }
}

/// How often a sign of life is given.
#[cfg(all(feature = "vhost", target_os = "linux"))]
const BEAT: std::time::Duration = std::time::Duration::from_millis(500);

fn run() -> Result<(), Problem> {
    match Arguments::parse().job {
        Job::Devices => list(),
        Job::Check { device, seed, large } => {
            let mut device = match device {
                Some(number) => open(number, MEMORY)?,
                None => Box::new(processor()),
            };
            let count = check::all(&mut *device, seed, large)?;
            println!("{}: {count} results as defined", describe(&*device));
        }
        Job::Bench(arguments) => measure(&arguments)?,
        #[cfg(all(feature = "vhost", target_os = "linux"))]
        Job::Serve(served) => serve(&served)?,
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
