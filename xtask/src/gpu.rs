//! The GPU shim beside a guest: which device the installed QEMU can offer for it, and a process that is kept running.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use clap::ValueEnum;
use qemu_machine::{Gpu, GpuCarrier};

use crate::{
    appliance::unique,
    error::{Context, Error, Result},
    tools,
};

/// What computes for a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GpuChoice {
    /// A GPU if there is one, otherwise nothing
    Auto,
    /// Nothing
    Off,
    /// Whatever Vulkan offers
    Wgpu,
    /// The host's cores
    Cpu,
}

/// What the shim computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executor {
    /// Vulkan.
    Wgpu,
    /// The host's cores.
    Processor,
}

/// The device that QEMU's version and list of devices allow, and its name for people.
fn carrier(version: &str, devices: &str) -> Option<(GpuCarrier, &'static str)> {
    let has = |name: &str| devices.contains(&format!("\"{name}\""));
    // Before 9, the former refuses to work without KVM.
    if major(version).is_some_and(|major| major >= 9) && has("vhost-user-gpu-pci") {
        Some((GpuCarrier::VirtioGpu, "virtio-gpu (vhost-user-gpu-pci)"))
    } else if has("vhost-user-vsock-pci") {
        Some((GpuCarrier::Vsock, "the private carrier (vhost-user-vsock-pci)"))
    } else {
        None
    }
}

/// Of "QEMU emulator version 7.2.22 (...)".
fn major(version: &str) -> Option<u32> {
    let number = version.split("version ").nth(1)?;
    number.split('.').next()?.parse().ok()
}

/// Builds the shim.
fn build(executor: Executor) -> Result<PathBuf> {
    let mut command = tools::cargo();
    command.args(["build", "--quiet", "--release", "--package", "gpu_shim"]);
    if executor == Executor::Wgpu {
        command.args(["--features", "wgpu"]);
    }
    tools::run(&mut command)?;
    Ok(tools::target().join("release").join("gpu_shim"))
}

/// Whether the machine has a GPU, as far as that can be told without asking Vulkan.
fn has_gpu() -> bool {
    let nodes = std::fs::read_dir("/dev/dri").into_iter().flatten().flatten();
    let mut nodes = nodes.map(|e| e.file_name().to_string_lossy().into_owned());
    Path::new("/dev/nvidiactl").exists() || nodes.any(|name| name.starts_with("renderD"))
}

/// What Vulkan offers, a line each.
fn devices(shim: &Path) -> Result<String> {
    tools::capture(Command::new(shim).arg("devices"))
}

/// Whether the first device is a GPU and no processor that pretends to be one.
fn first_is_gpu(devices: &str) -> bool {
    devices.lines().any(|line| line.starts_with("0: ") && !line.contains("(Cpu,"))
}

/// A shim that is started again when it dies, until this is dropped.
pub struct Shim {
    gpu: Gpu,
    folder: PathBuf,
    process: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    supervisor: Option<JoinHandle<()>>,
}

impl Shim {
    /// Starts what the choice asks for and says what is in use; `None` if that is nothing.
    pub fn choose(choice: GpuChoice, install: bool) -> Result<Option<Self>> {
        if choice == GpuChoice::Off {
            return Ok(None);
        }
        if choice == GpuChoice::Auto && !has_gpu() {
            println!("compute device: none (no GPU here)");
            return Ok(None);
        }
        let Some((carrier, name)) = detect(install)? else {
            println!("compute device: none (QEMU has no device for it)");
            return Ok(None);
        };
        let executor = if choice == GpuChoice::Cpu { Executor::Processor } else { Executor::Wgpu };
        let shim = build(executor)?;
        let devices = if executor == Executor::Wgpu { devices(&shim)? } else { String::new() };
        if choice == GpuChoice::Auto && !first_is_gpu(&devices) {
            println!("compute device: none (Vulkan finds no GPU)");
            return Ok(None);
        }
        if choice == GpuChoice::Wgpu && !devices.starts_with("0: ") {
            return Err(Error::Failed("Vulkan finds no device at all".into()));
        }
        let with = if executor == Executor::Wgpu { "wgpu" } else { "the host's cores" };
        println!("compute device: {with} through {name}");
        Ok(Some(Self::start(&shim, executor, carrier)?))
    }

    /// Starts a shim, for a QEMU that is started next.
    pub fn start(shim: &Path, executor: Executor, carrier: GpuCarrier) -> Result<Self> {
        let name = format!("intralith-gpu-{}-{:x}", std::process::id(), unique());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).context(|| format!("create {}", folder.display()))?;
        let gpu = Gpu { socket: folder.join("gpu"), carrier };
        let child = spawn(shim, executor, &gpu)?;
        let process = Arc::new(AtomicU32::new(child.id()));
        let stop = Arc::new(AtomicBool::new(false));
        let supervisor = {
            let (shim, gpu) = (shim.to_path_buf(), gpu.clone());
            let (process, stop) = (Arc::clone(&process), Arc::clone(&stop));
            std::thread::spawn(move || supervise(child, &shim, executor, &gpu, &process, &stop))
        };
        Ok(Self { gpu, folder, process, stop, supervisor: Some(supervisor) })
    }

    /// The device for QEMU.
    pub fn device(&self) -> Gpu {
        self.gpu.clone()
    }

    /// The process's number; another one once it was started again.
    pub fn pid(&self) -> u32 {
        self.process.load(Ordering::Relaxed)
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(supervisor) = self.supervisor.take() {
            let _ = supervisor.join();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn spawn(shim: &Path, executor: Executor, gpu: &Gpu) -> Result<Child> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(shim);
    command.arg("serve").arg("--attached").arg("--connect").arg(&gpu.socket);
    command.args(["--executor", if executor == Executor::Wgpu { "wgpu" } else { "processor" }]);
    command.args(["--carrier", if gpu.carrier == GpuCarrier::Vsock { "vsock" } else { "gpu" }]);
    // Its standard input ends when this process does, in whatever way, and it ends then.
    command.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
    command.spawn().context(|| format!("start {}", shim.display()))
}

fn supervise(
    mut child: Child,
    shim: &Path,
    executor: Executor,
    gpu: &Gpu,
    process: &AtomicU32,
    stop: &AtomicBool,
) {
    let mut pause = Duration::from_millis(200);
    while !stop.load(Ordering::Relaxed) {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(50)),
            Ok(Some(status)) => {
                eprintln!("the GPU shim ended ({status}) and is started again");
                std::thread::sleep(pause);
                // One that dies at once is not started without end.
                pause = (pause * 2).min(Duration::from_secs(30));
                match spawn(shim, executor, gpu) {
                    Ok(next) => {
                        process.store(next.id(), Ordering::Relaxed);
                        child = next;
                    }
                    Err(e) => eprintln!("{e}"),
                }
            }
            Err(e) => {
                eprintln!("waiting for the GPU shim: {e}");
                break;
            }
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// What the installed QEMU can do; on Debian 12, how to get one that can do more, which `install` does.
pub fn detect(install: bool) -> Result<Option<(GpuCarrier, &'static str)>> {
    let found = ask_qemu()?;
    if found.is_some_and(|(carrier, _)| carrier == GpuCarrier::VirtioGpu) {
        return Ok(found);
    }
    let Some(source) = backports() else { return Ok(found) };
    let list = "/etc/apt/sources.list.d/bookworm-backports.list";
    let packages =
        ["install", "-y", "-t", "bookworm-backports", "--no-install-recommends", "qemu-system-x86"];
    if !install {
        println!("QEMU before 9 has no virtio-gpu for this; Debian's backports have a newer one:");
        println!("  echo '{source}' | sudo tee {list}");
        println!("  sudo apt-get update && sudo apt-get {}", packages.join(" "));
        println!("--install does that");
        return Ok(found);
    }
    let missing = |line: &str| Error::Missing { tool: "QEMU 9", remedy: format!("sudo {line}") };
    let mut write = tools::privileged("tee").ok_or_else(|| missing("tee"))?;
    let mut tee = write
        .arg(list)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context(|| format!("write {list}"))?;
    if let Some(mut input) = tee.stdin.take() {
        use std::io::Write;
        writeln!(input, "{source}").context(|| format!("write {list}"))?;
    }
    tee.wait().context(|| format!("write {list}"))?;
    for arguments in [&["update"][..], &packages] {
        let mut apt = tools::privileged("apt-get").ok_or_else(|| missing("apt-get"))?;
        tools::run(apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null()))?;
    }
    ask_qemu()
}

fn ask_qemu() -> Result<Option<(GpuCarrier, &'static str)>> {
    let qemu = tools::require(tools::QEMU)?;
    let version = tools::capture(Command::new(&qemu).arg("--version"))?;
    let devices = tools::capture(Command::new(&qemu).args(["-device", "help"]))?;
    Ok(carrier(&version, &devices))
}

/// The line that adds Debian 12's backports, from the same place as everything else; `None` on another system.
fn backports() -> Option<String> {
    let release = std::fs::read_to_string("/etc/os-release").ok()?;
    if !release.lines().any(|l| l == "VERSION_CODENAME=bookworm")
        || !release.lines().any(|l| l == "ID=debian")
    {
        return None;
    }
    let folder = std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = folder.map(|e| e.path()).collect();
    files.sort();
    files.insert(0, "/etc/apt/sources.list".into());
    files.iter().filter_map(|f| std::fs::read_to_string(f).ok()).find_map(|text| backports_like(&text))
}

/// The same for a file of sources, in either of their forms, if it has Debian 12's own suite.
fn backports_like(text: &str) -> Option<String> {
    const SUITE: &str = "bookworm";
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("deb ") else { continue };
        let (options, rest) = match rest.trim().strip_prefix('[') {
            Some(rest) => rest.split_once(']').map_or(("", rest), |(o, r)| (o, r)),
            None => ("", rest),
        };
        let mut words = rest.split_whitespace();
        let (place, suite) = (words.next()?, words.next()?);
        if suite == SUITE {
            let options = if options.is_empty() { String::new() } else { format!("[{options}] ") };
            return Some(format!("deb {options}{place} bookworm-backports main"));
        }
    }
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            let mut lines = stanza.lines().filter_map(|l| l.split_once(':'));
            lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let (Some(places), Some(suites)) = (field("URIs"), field("Suites")) else { continue };
        if suites.split_whitespace().any(|s| s == SUITE) {
            let place = places.split_whitespace().next()?;
            let signed = field("Signed-By").filter(|s| s.starts_with('/'));
            let options = signed.map_or(String::new(), |s| format!("[signed-by={s}] "));
            return Some(format!("deb {options}{place} bookworm-backports main"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_no_gpus() {
        assert!(first_is_gpu(
            "0: NVIDIA H200 (DiscreteGpu, Vulkan, NVIDIA 580)\n1: llvmpipe (Cpu, Vulkan, )\n"
        ));
        assert!(!first_is_gpu(
            "0: llvmpipe (LLVM 15.0.6, 256 bits) (Cpu, Vulkan, llvmpipe)\nprocessor: 2 threads\n"
        ));
        assert!(!first_is_gpu("processor: 2 threads\n"));
    }

    #[test]
    fn carriers_by_version() {
        let all = "name \"vhost-user-gpu-pci\", bus PCI\nname \"vhost-user-vsock-pci\", bus PCI";
        let of = |version: &str, devices: &str| {
            carrier(&format!("QEMU emulator version {version} (Debian 1)"), devices).map(|(c, _)| c)
        };
        assert_eq!(of("7.2.22", all), Some(GpuCarrier::Vsock));
        assert_eq!(of("10.0.2", all), Some(GpuCarrier::VirtioGpu));
        assert_eq!(of("10.0.2", "name \"vhost-user-vsock-pci\""), Some(GpuCarrier::Vsock));
        assert_eq!(of("9.0.0", "name \"virtio-gpu-pci\""), None);
        assert_eq!(carrier("another program", all).map(|(c, _)| c), Some(GpuCarrier::Vsock));
    }

    #[test]
    fn backports_come_from_where_the_rest_does() {
        let list = "# comment\ndeb-src http://a/debian bookworm main\ndeb [arch=amd64] http://b/debian bookworm main\n";
        assert_eq!(
            backports_like(list).as_deref(),
            Some("deb [arch=amd64] http://b/debian bookworm-backports main")
        );
        let stanzas = "Types: deb\nURIs: http://s/security\nSuites: bookworm-security\n\nTypes: deb\n# old\nURIs: http://c/debian\nSuites: bookworm bookworm-updates\nSigned-By: /k.gpg\n";
        assert_eq!(
            backports_like(stanzas).as_deref(),
            Some("deb [signed-by=/k.gpg] http://c/debian bookworm-backports main")
        );
        assert_eq!(backports_like("deb http://b/debian trixie main\n"), None);
    }
}
