//! A booted appliance, for `run`, tests and benchmarks alike.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::RecvTimeoutError,
    },
    time::{Duration, Instant},
};

use clap::ValueEnum;
use postgres::{Client, NoTls};
use qemu_machine::{Accelerator, Boot, Disk, Gpu, Guest, Machine};

use crate::{
    error::{Context, Error, Result},
    tools,
};

/// Which firmware path to boot by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Firmware {
    /// The kernel directly.
    Pvh,
    /// OVMF, from a disk image made by `image`.
    Uefi,
}

/// Which accelerator to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "QEMU's names")]
pub enum AcceleratorChoice {
    Auto,
    Tcg,
    Kvm,
    Hvf,
}

/// What to boot and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The emulator; `None`: the usual one.
    pub qemu: Option<PathBuf>,
    /// Host port forwarded to the guest's 5432; `None`: no network.
    pub port: Option<u16>,
    /// Virtual processors.
    pub processors: u32,
    /// Memory.
    pub memory: String,
    /// The data disk (or whole flashed image).
    pub disk: Option<Disk>,
    /// Boot path.
    pub boot: Boot,
    /// Accelerator.
    pub accelerator: Accelerator,
    /// A compute device.
    pub gpu: Option<Gpu>,
    /// In-kernel tests: a way to exit with a status; and resets end QEMU.
    pub test: bool,
}

impl Options {
    /// The kernel by PVH under software emulation with two processors and 1 GiB.
    pub fn pvh(kernel: &Path, command_line: &str) -> Self {
        Self {
            qemu: None,
            port: None,
            processors: 2,
            memory: "1G".into(),
            disk: None,
            boot: Boot::Kernel { image: kernel.into(), initrd: None, command_line: command_line.into() },
            accelerator: Accelerator::Tcg,
            gpu: None,
            test: false,
        }
    }
}

/// The role and database that every volume has.
pub const USER: &str = "intralith";

/// A running appliance.
pub struct Appliance {
    guest: Guest,
    port: u16,
    /// Every serial line so far, for diagnosis.
    log: Arc<Mutex<Vec<String>>>,
    echo: bool,
}

/// What the appliance prints once it accepts connections.
const LISTENING: &str = "listening on";

impl Appliance {
    /// Starts QEMU. `echo` streams the serial log to standard output.
    pub fn boot(options: Options, echo: bool) -> Result<Self> {
        let qemu = options.qemu.map_or_else(tools::qemu, Ok)?;
        let control =
            std::env::temp_dir().join(format!("intralith-{}-{:x}.qmp", std::process::id(), unique()));
        let mut machine = Machine::new(qemu, options.boot, control);
        machine.accelerator = options.accelerator;
        machine.processors = options.processors;
        machine.memory = options.memory;
        machine.disks.extend(options.disk);
        machine.forwards.extend(options.port.map(|p| (p, 5432)));
        machine.gpu = options.gpu;
        machine.debug_exit = options.test;
        machine.no_reboot = options.test;
        let guest = Guest::start(machine)?;
        Ok(Self { guest, port: options.port.unwrap_or(0), log: Arc::default(), echo })
    }

    /// Takes one serial line; `false` when there was none within `limit`.
    pub fn pump(&mut self, limit: Duration) -> Result<bool> {
        match self.guest.serial_line(limit) {
            Ok(line) => {
                if self.echo {
                    println!("{line}");
                }
                lock(&self.log).push(line);
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
        }
    }

    fn ended(&mut self) -> Error {
        let status = self.guest.wait(Duration::from_secs(5)).map(|s| s.to_string()).unwrap_or_default();
        let complaints = self.guest.complaints();
        if complaints.contains("Failed to get \"write\" lock")
            && let Some(Disk { source: qemu_machine::Source::Raw(path), .. }) =
                self.guest.machine().disks.first()
        {
            return Error::DiskLocked(path.clone());
        }
        let reason = if complaints.is_empty() { self.tail() } else { complaints };
        Error::Guest(format!("ended ({status})\n{reason}"))
    }

    /// Waits for the serial log to say `text`.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        let mut seen = 0;
        loop {
            {
                let log = lock(&self.log);
                if log.get(seen..).unwrap_or_default().iter().any(|l| l.contains(text)) {
                    return Ok(());
                }
                seen = log.len();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::Guest(format!(
                    "did not print \"{text}\" within {limit:?}\n{}",
                    self.tail()
                )));
            }
            self.pump(left)?;
        }
    }

    /// Waits until a query has been answered. Returns the time since QEMU was started.
    pub fn wait_ready(&mut self, password: Option<&str>, limit: Duration) -> Result<Duration> {
        let deadline = Instant::now() + limit;
        self.wait_for(LISTENING, limit)?;
        loop {
            match connect(self.port, password).and_then(|mut c| Ok(c.simple_query("SELECT 1")?)) {
                Ok(_) => return Ok(self.guest.started().elapsed()),
                Err(e) if Instant::now() >= deadline => {
                    return Err(Error::Guest(format!("answers no query: {e}\n{}", self.tail())));
                }
                Err(_) => {
                    self.pump(Duration::from_millis(10))?;
                }
            }
        }
    }

    /// A client connection.
    pub fn connect(&self, password: Option<&str>) -> Result<Client> {
        connect(self.port, password)
    }

    /// The connection URL.
    pub fn url(&self, password: &str) -> String {
        url(self.port, password)
    }

    /// The forwarded port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The QEMU process.
    pub fn guest(&mut self) -> &mut Guest {
        &mut self.guest
    }

    /// The last lines of the serial log.
    pub fn tail(&self) -> String {
        let log = lock(&self.log);
        log.get(log.len().saturating_sub(40)..).unwrap_or_default().join("\n")
    }

    /// True when any serial line so far contains `text`.
    pub fn said(&self, text: &str) -> bool {
        lock(&self.log).iter().any(|l| l.contains(text))
    }

    /// Serves until QEMU ends or `stop` is set; then presses the power button and waits for power-off.
    pub fn serve(&mut self, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::Relaxed) {
            self.pump(Duration::from_millis(100))?;
        }
        self.shut_down(Duration::from_secs(30))
    }

    /// Presses the power button and waits for a clean power-off.
    pub fn shut_down(&mut self, limit: Duration) -> Result<()> {
        self.guest.power_button()?;
        let deadline = Instant::now() + limit;
        while self.guest.ended()?.is_none() {
            if Instant::now() >= deadline {
                return Err(Error::Guest(format!("did not power off within {limit:?}\n{}", self.tail())));
            }
            // The channel closes shortly before the process is reaped.
            if self.pump(Duration::from_millis(50)).is_err() {
                self.guest.wait(Duration::from_secs(5))?;
                break;
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A number that differs from call to call within this process.
pub fn unique() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Connects to a server on loopback as the first user.
pub fn connect(port: u16, password: Option<&str>) -> Result<Client> {
    let mut config = postgres::Config::new();
    config.host("127.0.0.1").port(port).user(USER).dbname(USER).connect_timeout(Duration::from_secs(10));
    if let Some(password) = password {
        config.password(password);
    }
    Ok(config.connect(NoTls)?)
}

/// The URL for people.
pub fn url(port: u16, password: &str) -> String {
    format!("postgres://{USER}:{password}@127.0.0.1:{port}/{USER}")
}

/// Picks a working accelerator: starts a guest with it that must answer.
pub fn accelerator(choice: AcceleratorChoice, kernel: &Path) -> Result<Accelerator> {
    let wanted = match choice {
        AcceleratorChoice::Tcg => return Ok(Accelerator::Tcg),
        AcceleratorChoice::Kvm => Some(Accelerator::Kvm),
        AcceleratorChoice::Hvf => Some(Accelerator::Hvf),
        AcceleratorChoice::Auto => None,
    };
    let native = if cfg!(target_os = "macos") { Accelerator::Hvf } else { Accelerator::Kvm };
    let candidate = wanted.unwrap_or(native);
    let present = candidate != Accelerator::Kvm || Path::new("/dev/kvm").exists();
    if present && works(candidate, kernel) {
        return Ok(candidate);
    }
    match wanted {
        Some(a) => Err(Error::Accelerator(a.name())),
        None => Ok(Accelerator::Tcg),
    }
}

/// Runs the kernel's shortest self-test under the accelerator.
fn works(accelerator: Accelerator, kernel: &Path) -> bool {
    let mut options = Options::pvh(kernel, "test=boot");
    options.accelerator = accelerator;
    options.test = true;
    let Ok(mut probe) = Appliance::boot(options, false) else { return false };
    match probe.guest().wait(Duration::from_secs(3)) {
        Ok(status) => status.code() == Some(TEST_PASSED),
        Err(_) => false,
    }
}

/// QEMU's exit status when the kernel reports success through the debug exit device (value 0x10).
pub const TEST_PASSED: i32 = (0x10 << 1) | 1;

/// Firmware of the host's OVMF package: (code, pristine variable store).
pub fn ovmf() -> Result<(PathBuf, PathBuf)> {
    let places = [
        ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
        ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
        ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
        ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
        ("/opt/homebrew/share/qemu/edk2-x86_64-code.fd", "/opt/homebrew/share/qemu/edk2-i386-vars.fd"),
    ];
    let present = || {
        let found = places.iter().find(|(code, vars)| Path::new(code).is_file() && Path::new(vars).is_file());
        found.map(|(code, vars)| (PathBuf::from(code), PathBuf::from(vars)))
    };
    if let Some(found) = present() {
        return Ok(found);
    }
    tools::install_package("OVMF", "ovmf", "edk2-ovmf", "edk2-ovmf", "qemu")?;
    present().ok_or_else(|| Error::Missing { tool: "OVMF", remedy: "sudo apt-get install ovmf".into() })
}

/// A boot from a disk image: a private copy of the variable store is made beside the image.
pub fn uefi_boot(image: &Path) -> Result<Boot> {
    let (code, vars) = ovmf()?;
    let own = image.with_extension("vars.fd");
    if !own.exists() {
        std::fs::copy(&vars, &own).context(|| format!("copy {} to {}", vars.display(), own.display()))?;
    }
    Ok(Boot::Uefi { code, vars: own })
}
