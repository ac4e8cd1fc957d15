//! The compute device of a guest: which QEMU can offer which, what there is to compute with, and the shim for both.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use clap::ValueEnum;
use qemu_machine::GpuCarrier;

pub use crate::shim::{Executor, Shim};
use crate::{
    error::{Error, Result},
    newer_qemu, tools,
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

/// A QEMU and the device for a shim that it has.
#[derive(Clone, Debug)]
pub struct Emulator {
    /// The program.
    pub program: PathBuf,
    /// "7.2.22".
    pub version: String,
    /// The device.
    pub carrier: Option<GpuCarrier>,
}

impl Emulator {
    /// Asks a program what it has.
    fn of(program: PathBuf) -> Result<Self> {
        let version = tools::capture(Command::new(&program).arg("--version"))?;
        let devices = tools::capture(Command::new(&program).args(["-device", "help"]))?;
        let version = version_of(&version).unwrap_or_default().to_owned();
        let carrier = carrier(&version, &devices);
        Ok(Self { program, version, carrier })
    }

    /// The installed one and, if that has no virtio-gpu, one that was unpacked beside it.
    pub fn all() -> Result<Vec<Self>> {
        let mut all = vec![Self::of(tools::qemu()?)?];
        if all.iter().all(|e| e.carrier != Some(GpuCarrier::VirtioGpu))
            && let Some(newer) = newer_qemu::find()
        {
            all.push(Self::of(newer)?);
        }
        Ok(all)
    }

    /// The best of them for a compute device.
    fn best() -> Result<Option<Self>> {
        let all = Self::all()?.into_iter().filter(|e| e.carrier.is_some());
        Ok(all.max_by_key(|e| e.carrier == Some(GpuCarrier::VirtioGpu)))
    }

    /// Which it is and what its device is, for people.
    pub fn description(&self) -> String {
        let device = match self.carrier {
            Some(GpuCarrier::VirtioGpu) => "virtio-gpu (vhost-user-gpu-pci)",
            Some(GpuCarrier::Vsock) => "the private carrier (vhost-user-vsock-pci)",
            None => "nothing",
        };
        format!("{device} of QEMU {}", self.version)
    }
}

/// The device that a QEMU's version and list of devices allow.
fn carrier(version: &str, devices: &str) -> Option<GpuCarrier> {
    let has = |name: &str| devices.contains(&format!("\"{name}\""));
    let major: Option<u32> = version.split('.').next().and_then(|n| n.parse().ok());
    // Before 9, the former refuses to work without KVM.
    if major.is_some_and(|major| major >= 9) && has("vhost-user-gpu-pci") {
        Some(GpuCarrier::VirtioGpu)
    } else if has("vhost-user-vsock-pci") {
        Some(GpuCarrier::Vsock)
    } else {
        None
    }
}

/// Of "QEMU emulator version 7.2.22 (...)".
fn version_of(said: &str) -> Option<&str> {
    said.split("version ").nth(1)?.split_whitespace().next()
}

/// Gets what makes more of compute devices possible here, where this system's packages have it: a QEMU with virtio-gpu, a Vulkan driver. What
/// cannot be had is said, and is no error: there is a way without.
pub fn install() {
    match Emulator::best() {
        Ok(Some(found)) if found.carrier == Some(GpuCarrier::VirtioGpu) => {}
        _ => match newer_qemu::install() {
            Ok(program) => println!("a newer QEMU is in {}", program.display()),
            Err(e) => println!("no newer QEMU: {e}"),
        },
    }
    if !has_vulkan() {
        let packages = ("mesa-vulkan-drivers", "mesa-vulkan-drivers", "vulkan-swrast", "molten-vk");
        let (apt, dnf, pacman, brew) = packages;
        if let Err(e) = tools::install_package("Vulkan", apt, dnf, pacman, brew) {
            println!("no Vulkan: {e}");
        }
    }
}

/// Builds the shim.
pub fn build(executor: Executor) -> Result<PathBuf> {
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

/// Whether Vulkan has a loader and a driver here, as far as that can be told without asking it (which takes building the shim for it).
pub fn has_vulkan() -> bool {
    let named = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().any(|name| std::env::var_os(name).is_some());
    let drivers = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let driver = drivers.iter().any(|d| std::fs::read_dir(d).is_ok_and(|mut files| files.next().is_some()));
    let libraries = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let loader = libraries.iter().any(|folder| Path::new(folder).join("libvulkan.so.1").exists());
    loader && (named || driver)
}

/// What Vulkan offers, a line each.
pub fn devices(shim: &Path) -> Result<String> {
    tools::capture(Command::new(shim).arg("devices"))
}

/// The first device's name, if there is one.
pub fn first(devices: &str) -> Option<&str> {
    let line = devices.lines().find_map(|line| line.strip_prefix("0: "))?;
    // "(Cpu, Vulkan, driver)" comes last, and names have brackets too.
    let kinds = ["(Other,", "(IntegratedGpu,", "(DiscreteGpu,", "(VirtualGpu,", "(Cpu,"];
    let end = kinds.iter().filter_map(|kind| line.find(kind)).min().unwrap_or(line.len());
    Some(line.get(..end)?.trim())
}

/// Whether the first device is a GPU and no processor that pretends to be one.
fn first_is_gpu(devices: &str) -> bool {
    devices.lines().any(|line| line.starts_with("0: ") && !line.contains("(Cpu,"))
}

/// Starts what the choice asks for and says what is in use; `None` if that is nothing.
pub fn choose(choice: GpuChoice, wants_install: bool) -> Result<Option<(Shim, Emulator)>> {
    let none = |why: &str| {
        println!("compute device: none ({why})");
        Ok(None)
    };
    if choice == GpuChoice::Off {
        return Ok(None);
    }
    if wants_install {
        install();
    }
    if choice == GpuChoice::Auto && !has_gpu() {
        return none("no GPU here");
    }
    let Some(emulator) = Emulator::best()? else { return none("QEMU has no device for it") };
    let Some(carrier) = emulator.carrier else { return none("QEMU has no device for it") };
    if carrier != GpuCarrier::VirtioGpu
        && let Some(advice) = newer_qemu::advice()
    {
        println!("{advice}");
    }
    let executor = if choice == GpuChoice::Cpu { Executor::Processor } else { Executor::Wgpu };
    let shim = build(executor)?;
    let devices = if executor == Executor::Wgpu { devices(&shim)? } else { String::new() };
    if choice == GpuChoice::Auto && !first_is_gpu(&devices) {
        return none("Vulkan finds no GPU");
    }
    if choice == GpuChoice::Wgpu && first(&devices).is_none() {
        return Err(Error::Failed("Vulkan finds no device at all".into()));
    }
    match Shim::start(&shim, executor, carrier) {
        Ok(shim) => {
            let with = first(&devices).unwrap_or("the host's cores");
            println!("compute device: {with} through {}", emulator.description());
            Ok(Some((shim, emulator)))
        }
        Err(e) if choice == GpuChoice::Auto => none(&e.to_string()),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_no_gpus() {
        let gpu = "0: NVIDIA H200 (DiscreteGpu, Vulkan, NVIDIA 580)\n1: llvmpipe (Cpu, Vulkan, )\n";
        assert!(first_is_gpu(gpu));
        assert_eq!(first(gpu), Some("NVIDIA H200"));
        let cpu = "0: llvmpipe (LLVM 15.0.6, 256 bits) (Cpu, Vulkan, llvmpipe)\nprocessor: 2 threads\n";
        assert!(!first_is_gpu(cpu));
        assert_eq!(first(cpu), Some("llvmpipe (LLVM 15.0.6, 256 bits)"));
        assert!(!first_is_gpu("processor: 2 threads\n"));
        assert_eq!(first("processor: 2 threads\n"), None);
    }

    #[test]
    fn carriers_by_version() {
        let all = "name \"vhost-user-gpu-pci\", bus PCI\nname \"vhost-user-vsock-pci\", bus PCI";
        assert_eq!(version_of("QEMU emulator version 7.2.22 (Debian 1)"), Some("7.2.22"));
        assert_eq!(version_of("another program"), None);
        assert_eq!(carrier("7.2.22", all), Some(GpuCarrier::Vsock));
        assert_eq!(carrier("10.0.2", all), Some(GpuCarrier::VirtioGpu));
        assert_eq!(carrier("10.0.2", "name \"vhost-user-vsock-pci\""), Some(GpuCarrier::Vsock));
        assert_eq!(carrier("9.0.0", "name \"virtio-gpu-pci\""), None);
        assert_eq!(carrier("", all), Some(GpuCarrier::Vsock));
    }
}
