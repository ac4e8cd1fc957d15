//! `cargo xtask run`, `host` and `image`.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::Args;
use qemu_machine::{Boot, Disk};

use crate::{
    appliance::{self, AcceleratorChoice, Appliance, Firmware, Options},
    disk,
    error::{Context, Error, Result},
    gpu::{self, GpuChoice},
    image, kernel_build, tools,
};

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArguments {
    /// Loopback port that reaches the guest's 5432
    #[arg(long, default_value_t = 5432)]
    port: u16,
    /// Virtual processors
    #[arg(long, default_value_t = 2)]
    smp: u32,
    /// Memory, as QEMU writes it
    #[arg(long, default_value = "1G")]
    memory: String,
    /// Disk image; made if it does not exist
    #[arg(long)]
    disk: Option<PathBuf>,
    /// Size of a disk image that is made, with K, M or G
    #[arg(long, default_value = "8G")]
    disk_size: String,
    /// Boot path
    #[arg(long, value_enum, default_value = "pvh")]
    firmware: Firmware,
    /// Accelerator
    #[arg(long, value_enum, default_value = "auto")]
    accel: AcceleratorChoice,
    /// What computes for the guest beside its own processors
    #[arg(long, value_enum, default_value = "auto")]
    gpu: GpuChoice,
    /// With --gpu: install what QEMU needs for it, where this system's packages have it
    #[arg(long)]
    install: bool,
    /// Further words for the kernel command line (PVH only)
    #[arg(long, default_value = "")]
    append: String,
}

/// Arguments of `host`.
#[derive(Args, Debug)]
pub struct HostArguments {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:5432")]
    listen: String,
    /// Disk image; made if it does not exist
    #[arg(long)]
    disk: Option<PathBuf>,
    /// Size of a disk image that is made, with K, M or G
    #[arg(long, default_value = "8G")]
    disk_size: String,
}

/// Arguments of `verify`.
#[derive(Args, Debug)]
pub struct VerifyArguments {
    /// The disk image, of a machine that is off
    disk: PathBuf,
}

/// Arguments of `image`.
#[derive(Args, Debug)]
pub struct ImageArguments {
    /// Where to write it
    #[arg(long)]
    out: PathBuf,
    /// Size with K, M or G; the data partition takes what the EFI system partition leaves
    #[arg(long, default_value = "8G")]
    size: String,
    /// Kernel command line
    #[arg(long, default_value = "")]
    append: String,
}

/// Set by SIGINT and SIGTERM.
pub fn stop_flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, flag.clone()).context(|| "install a signal handler".into())?;
    }
    Ok(flag)
}

/// The disk of `run` and `host` when none is named.
fn default_disk(name: &str) -> Result<PathBuf> {
    let folder = tools::root().join(".intralith");
    std::fs::create_dir_all(&folder).context(|| format!("create {}", folder.display()))?;
    Ok(folder.join(name))
}

/// `cargo xtask run`.
pub fn run(arguments: &RunArguments) -> Result<()> {
    tools::qemu()?;
    tools::check_port(arguments.port)?;
    let stop = stop_flag()?;
    let kernel = kernel_build::build_kernel(kernel_build::Profile::Release)?;
    let accelerator = appliance::accelerator(arguments.accel, &kernel)?;
    let size = disk::parse_size(&arguments.disk_size)?;
    let (path, boot) = match arguments.firmware {
        Firmware::Pvh => {
            let path = arguments.disk.clone().map_or_else(|| default_disk("disk.img"), Ok)?;
            (path, Boot::Kernel { image: kernel, initrd: None, command_line: arguments.append.clone() })
        }
        Firmware::Uefi => {
            let path = arguments.disk.clone().map_or_else(|| default_disk("uefi.img"), Ok)?;
            if !path.exists() {
                build_image(&path, size, &arguments.append)?;
            }
            let boot = appliance::uefi_boot(&path)?;
            (path, boot)
        }
    };
    let prepared = disk::prepare(&path, size)?;
    println!("accelerator: {}", accelerator.name());
    // Ends after the guest.
    let device = gpu::choose(arguments.gpu, arguments.install)?;
    let options = Options {
        qemu: device.as_ref().map(|(_, emulator)| emulator.program.clone()),
        port: Some(arguments.port),
        processors: arguments.smp,
        memory: arguments.memory.clone(),
        disk: Some(Disk::nvme(&path)),
        boot,
        accelerator,
        gpu: device.as_ref().map(|(shim, _)| shim.device()),
        test: false,
    };
    let mut appliance = Appliance::boot(options, true)?;
    let password = prepared.password()?;
    let elapsed = match ready_or_stopped(&mut appliance, password.as_deref(), &stop)? {
        Some(elapsed) => elapsed,
        None => return appliance.shut_down(Duration::from_secs(30)),
    };
    println!("answered after {:.2} s", elapsed.as_secs_f64());
    let url = appliance.url(password.as_deref().unwrap_or("PASSWORD"));
    println!("ready: {url}");
    println!("encrypted: {url}?sslmode=require");
    appliance.serve(&stop)
}

/// Waits for the first answered query in slices, so that a signal is noticed.
fn ready_or_stopped(
    appliance: &mut Appliance,
    password: Option<&str>,
    stop: &AtomicBool,
) -> Result<Option<Duration>> {
    // A disk image of unknown origin has no password file beside it: then a served connection is the sign of life.
    if password.is_none() {
        appliance.wait_for("listening on", Duration::from_secs(120))?;
        return Ok(Some(appliance.guest().started().elapsed()));
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(120);
    while !stop.load(Ordering::Relaxed) {
        match appliance.wait_ready(password, Duration::from_millis(1000)) {
            Ok(elapsed) => return Ok(Some(elapsed)),
            Err(e) if std::time::Instant::now() >= deadline || appliance.guest().ended()?.is_some() => {
                return Err(e);
            }
            Err(_) => {}
        }
    }
    Ok(None)
}

/// `cargo xtask host`.
pub fn host(arguments: &HostArguments) -> Result<()> {
    let path = arguments.disk.clone().map_or_else(|| default_disk("host.img"), Ok)?;
    let size = disk::parse_size(&arguments.disk_size)?;
    let prepared = disk::prepare(&path, size)?;
    let password_file = prepared.password_file();
    // The server takes the lock itself.
    drop(prepared);
    let binary = build_hosted()?;
    let mut command = hosted_command(&binary, &arguments.listen, &path, &password_file);
    let stop = stop_flag()?;
    let mut child = command.spawn().context(|| format!("start {}", binary.display()))?;
    loop {
        if let Some(status) = child.try_wait().context(|| "wait for the server".into())? {
            return if status.success() {
                Ok(())
            } else {
                Err(Error::Command { command: "hosted".into(), status: status.to_string() })
            };
        }
        if stop.load(Ordering::Relaxed) {
            tools::terminate(child.id())?;
            stop.store(false, Ordering::Relaxed);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `cargo xtask verify`: status 0 if nothing is wrong, 1 if something is, 2 if that cannot be told.
pub fn verify(arguments: &VerifyArguments) -> ExitCode {
    let status = build_hosted().and_then(|binary| {
        let mut command = Command::new(&binary);
        command.arg("--verify").arg("--disk").arg(&arguments.disk).stdin(Stdio::null());
        command.status().context(|| format!("start {}", binary.display()))
    });
    match status {
        Ok(status) => status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(2).into(),
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(2)
        }
    }
}

/// Builds the hosted server. `INTRALITH_HOSTED` names one that was built already.
pub fn build_hosted() -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("INTRALITH_HOSTED") {
        return Ok(binary.into());
    }
    tools::run(tools::cargo().args(["build", "--quiet", "--release", "--package", "hosted"]))?;
    Ok(tools::target().join("release").join("hosted"))
}

/// The hosted server's command line.
pub fn hosted_command(binary: &Path, listen: &str, disk: &Path, password_file: &Path) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(binary);
    command.args(["--listen", listen, "--disk"]).arg(disk).arg("--password-file").arg(password_file);
    command.stdin(Stdio::null()).process_group(0);
    command
}

/// `cargo xtask image`.
pub fn image(arguments: &ImageArguments) -> Result<()> {
    let size = disk::parse_size(&arguments.size)?;
    build_image(&arguments.out, size, &arguments.append)?;
    let prepared = disk::prepare(&arguments.out, size)?;
    println!("wrote {}; the password is in {}", arguments.out.display(), prepared.password_file().display());
    Ok(())
}

/// Builds loader and kernel and writes an image.
pub fn build_image(path: &Path, size: u64, command_line: &str) -> Result<()> {
    let kernel = kernel_build::build_kernel(kernel_build::Profile::Release)?;
    let loader = kernel_build::build_loader()?;
    let read = |p: &Path| std::fs::read(p).context(|| format!("read {}", p.display()));
    let contents = image::Contents { loader: &read(&loader)?, kernel: &read(&kernel)?, command_line };
    image::create(path, size, &contents)?;
    Ok(())
}
