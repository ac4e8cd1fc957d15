//! The engine as an ordinary Linux process on the hosted platform.
//!
//! Opens a file (or block device) as the disk, formats it if it is blank, serves PostgreSQL clients and prints one line
//! `ready: postgres://...` once a query has been answered. SIGINT and SIGTERM shut down in order.
//!
//! `clap` reads the command line, `signal-hook` turns signals into values, `intralith_config` holds the settings that
//! the appliance knows by the same names, `gpu_shim` executes what compute devices do.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))] // tests fail by panicking

mod compute;
mod overlay;

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Write},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser;
use overlay::Overlay;
use pg_session::{FIRST_NAME, Server, is_blank, open_volume, random_password, server_config};
use platform::{
    block::BlockDevice,
    file::{FileDevice, OpenError},
    host_net::TcpListener,
    net::{Listener, NetError},
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

/// The Intralith database as a Linux process.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address and port to listen on.
    #[arg(long, default_value = "127.0.0.1:5432")]
    listen: SocketAddr,
    /// The disk: a file (made if there is none) or a block device.
    #[arg(long)]
    disk: PathBuf,
    /// Size of a new disk file.
    #[arg(long, default_value = "4G", value_parser = size)]
    size: u64,
    /// Memory for the buffer pool.
    #[arg(long, default_value = "256M", value_parser = size)]
    buffer_pool: u64,
    /// File with the password of the first role; made with a random one for a new disk.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// `scram` or `trust`; by default what the disk's configuration says.
    #[arg(long)]
    auth: Option<String>,
    /// Most connections at a time.
    #[arg(long)]
    max_connections: Option<u32>,
    /// Further configuration words, `key=value`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// A compute device: the number of a GPU as `gpu_shim devices` lists them, or `processor`. May be given several times.
    #[arg(long)]
    compute: Vec<compute::Choice>,
    /// Memory that each compute device may use.
    #[arg(long, default_value = "16G", value_parser = size)]
    compute_memory: u64,
    /// Checks the disk instead of serving it, without writing to it. Ends with 0 if nothing is wrong, with 1 otherwise.
    #[arg(long)]
    verify: bool,
}

/// `512M`, `4G`, plain bytes.
fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let n: u64 = digits.parse().map_err(|_| format!("\"{text}\" is not a size"))?;
    n.checked_mul(1 << shift).filter(|n| *n > 0).ok_or_else(|| format!("\"{text}\" is not a size"))
}

/// Log lines go to standard error.
struct Stderr;

impl log::Log for Stderr {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        let _ = writeln!(std::io::stderr(), "{}: {}", record.level().as_str().to_lowercase(), record.args());
    }
    fn flush(&self) {}
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let _ = log::set_logger(&Stderr);
    log::set_max_level(log::LevelFilter::Info);
    if arguments.verify {
        return match verify(&arguments) {
            Ok(0) => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(e) => {
                eprintln!("hosted: {e}");
                ExitCode::from(2)
            }
        };
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("hosted: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    // Taken before anything starts, so that a signal is never lost.
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(|e| format!("signals: {e}"))?;
    let device = open_disk(&arguments.disk, arguments.size)?;
    let password = read_password(arguments)?;
    let compute = compute::open(&arguments.compute, arguments.compute_memory)?;
    let volume = open_volume(device, arguments.buffer_pool, compute, |config| {
        if let Some(auth) = &arguments.auth {
            config.apply(format!("auth={auth}").as_bytes())?;
        }
        if let Some(n) = arguments.max_connections {
            config.max_connections = n;
        }
        if password.is_some() {
            config.first_password.clone_from(&password);
        }
        arguments.set.iter().try_for_each(|word| config.apply(word.as_bytes()))
    })
    .map_err(|e| format!("{}: {e}", arguments.disk.display()))?;
    log::set_max_level(volume.config.log);

    let listener = TcpListener::bind(arguments.listen).map_err(|e| match e {
        NetError::Address => format!("cannot listen on {}: address in use or not ours", arguments.listen),
        e => format!("cannot listen on {}: {e}", arguments.listen),
    })?;
    let address = listener.local_addr();
    let server = Server::start(volume.engine, listener, server_config(&volume.config));
    let answered = server.check("SELECT 1").map_err(|e| format!("the first query failed: {e}"));
    if answered.is_ok() {
        let password = volume.new_password.or(password).or(volume.config.first_password);
        let password = password.as_deref().unwrap_or("PASSWORD");
        println!("ready: postgres://{FIRST_NAME}:{password}@{address}/{FIRST_NAME}");
        let _ = std::io::stdout().flush();
        if let Some(signal) = signals.forever().next() {
            log::info!("signal {signal}: shutting down");
        }
    }
    let stopped = server.shutdown().map_err(|e| format!("shutdown: {e}"));
    answered.and(stopped)
}

/// Recovers in memory and runs the check of the whole volume. Prints the problems and returns how many there are.
fn verify(arguments: &Arguments) -> Result<usize, String> {
    if !arguments.disk.exists() {
        return Err(format!("{}: there is no such disk", arguments.disk.display()));
    }
    let device: Arc<dyn BlockDevice> = Arc::new(Overlay::new(open_disk(&arguments.disk, 0)?));
    let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", arguments.disk.display());
    if is_blank(&*device).map_err(|e| failed(&e))? {
        return Err(failed(&"the disk is blank"));
    }
    let volume =
        open_volume(device, arguments.buffer_pool, Vec::new(), |_| Ok(())).map_err(|e| failed(&e))?;
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = TcpListener::bind(local).map_err(|e| format!("cannot listen on {local}: {e}"))?;
    let server = Server::start(volume.engine, listener, server_config(&volume.config));
    let problems = server
        .query("SELECT relation, block, problem FROM pg_catalog.intralith_verify")
        .map_err(|e| format!("the check could not be completed: {e}"))?;
    for problem in &problems {
        let field = |n: usize| problem.get(n).and_then(Option::as_deref).unwrap_or("-");
        println!("{}\t{}\t{}", field(0), field(1), field(2));
    }
    println!("{} problems", problems.len());
    Ok(problems.len())
}

fn open_disk(path: &Path, size: u64) -> Result<Arc<FileDevice>, String> {
    let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    match File::options().write(true).create_new(true).open(path) {
        Ok(file) => file.set_len(size).map_err(|e| failed(&e))?,
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) => return Err(failed(&e)),
    }
    FileDevice::open(path).map(Arc::new).map_err(|e| match e {
        OpenError::Locked => format!("{}: the disk is in use by another process", path.display()),
        OpenError::Io(e) => failed(&e),
    })
}

/// The password in the file; a new random one when the file does not exist.
fn read_password(arguments: &Arguments) -> Result<Option<String>, String> {
    let Some(path) = &arguments.password_file else { return Ok(None) };
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let password = random_password();
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .and_then(|mut f| writeln!(f, "{password}").and_then(|()| f.sync_all()))
                .map_err(|e| format!("{}: {e}", path.display()))?;
            Ok(Some(password))
        }
        Err(e) => Err(format!("{}: {e}", path.display())),
    }
}
