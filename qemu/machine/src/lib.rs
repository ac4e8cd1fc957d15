//! Virtual machines as typed values: what the appliance runs on in development, tests and benchmarks.
//!
//! # Owns
//! Every argument that QEMU is ever given ([`Machine::arguments`]), the control socket ([`qmp::Qmp`]) and the running
//! process ([`Guest`]).
//!
//! # Invariants
//! * QEMU runs in its own process group: a Ctrl-C meant for the caller does not reach it.
//! * A dropped [`Guest`] is killed and reaped; no machine outlives its owner.
//!
//! # Dependencies
//! `serde_json` for QMP's messages, `thiserror` for error enums.
#![forbid(unsafe_code)]

mod guest;
pub mod qmp;

use std::{ffi::OsString, net::Ipv4Addr, path::PathBuf};

pub use guest::{Guest, GuestError};

/// How instructions are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// Software emulation, one host thread a virtual processor.
    Tcg,
    /// Linux KVM.
    Kvm,
    /// macOS Hypervisor.framework.
    Hvf,
}

impl Accelerator {
    /// QEMU's `-accel` value.
    fn argument(self) -> &'static str {
        match self {
            Self::Tcg => "tcg,thread=multi",
            Self::Kvm => "kvm",
            Self::Hvf => "hvf",
        }
    }
    /// The richest processor model that works with it.
    fn cpu(self) -> &'static str {
        match self {
            Self::Tcg => "max",
            Self::Kvm | Self::Hvf => "host",
        }
    }
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcg => "tcg",
            Self::Kvm => "kvm",
            Self::Hvf => "hvf",
        }
    }
}

/// What the machine boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Boot {
    /// A kernel with a PVH note (or a Linux kernel), an optional initial RAM disk and a command line.
    Kernel {
        /// The ELF or bzImage.
        image: PathBuf,
        /// Initial RAM disk.
        initrd: Option<PathBuf>,
        /// Kernel command line.
        command_line: String,
    },
    /// UEFI firmware, which finds a loader on a disk.
    Uefi {
        /// Read-only firmware code.
        code: PathBuf,
        /// Writable variable store.
        vars: PathBuf,
    },
}

/// Where a disk's bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A raw image file.
    Raw(PathBuf),
    /// A network block device server on a Unix socket.
    Nbd(PathBuf),
    /// Any other `-drive` file specification, verbatim (fault injection with blkdebug).
    Spec(String),
}

/// How a disk is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// An NVMe controller with one namespace.
    Nvme,
    /// virtio-blk (the peer machine's root).
    VirtioBlk,
}

/// One disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The bytes.
    pub source: Source,
    /// The controller.
    pub attach: Attach,
}

impl Disk {
    /// A raw file behind NVMe.
    pub fn nvme(path: impl Into<PathBuf>) -> Self {
        Self { source: Source::Raw(path.into()), attach: Attach::Nvme }
    }
}

/// What a compute device outside QEMU looks like to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuCarrier {
    /// virtio-gpu. QEMU before 9 has it with KVM only.
    VirtioGpu,
    /// A socket device's identity, for QEMUs without the former.
    Vsock,
}

/// A compute device in another process (the GPU shim), which connects to QEMU's socket: QEMU waits for it before it starts, and takes another
/// one when that process ends. (The other way round, with QEMU connecting, it cannot do so: told to connect again, it does not even start.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// QEMU's socket.
    pub socket: PathBuf,
    /// What the device looks like.
    pub carrier: GpuCarrier,
}

/// A whole machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The emulator.
    pub qemu: PathBuf,
    /// Accelerator.
    pub accelerator: Accelerator,
    /// Virtual processors.
    pub processors: u32,
    /// Memory as QEMU writes it: `1G`.
    pub memory: String,
    /// Boot.
    pub boot: Boot,
    /// Disks in order.
    pub disks: Vec<Disk>,
    /// (host loopback port, guest port) pairs of forwarded TCP ports; empty: no network card.
    pub forwards: Vec<(u16, u16)>,
    /// A compute device. The machine's memory is then shared with the process that it is in.
    pub gpu: Option<Gpu>,
    /// Offers a virtio entropy device.
    pub entropy: bool,
    /// Gives the guest a way to end QEMU with a status (in-kernel tests).
    pub debug_exit: bool,
    /// Exits instead of rebooting when the guest resets.
    pub no_reboot: bool,
    /// Where to put the control socket.
    pub control: PathBuf,
    /// Further arguments, verbatim.
    pub extra: Vec<OsString>,
}

impl Machine {
    /// A q35 machine with two processors and 1 GiB.
    pub fn new(qemu: impl Into<PathBuf>, boot: Boot, control: impl Into<PathBuf>) -> Self {
        Self {
            qemu: qemu.into(),
            accelerator: Accelerator::Tcg,
            processors: 2,
            memory: "1G".into(),
            boot,
            disks: Vec::new(),
            forwards: Vec::new(),
            gpu: None,
            entropy: true,
            debug_exit: false,
            no_reboot: false,
            control: control.into(),
            extra: Vec::new(),
        }
    }

    /// QEMU's argument list. The serial port is standard output.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut args = Arguments::default();
        args.flag("-nodefaults").flag("-no-user-config");
        let machine = if self.gpu.is_some() { "q35,memory-backend=memory" } else { "q35" };
        args.pair("-machine", machine).pair("-accel", self.accelerator.argument());
        args.pair("-cpu", self.accelerator.cpu()).pair("-smp", &self.processors.to_string());
        args.pair("-m", &self.memory).pair("-display", "none");
        args.pair("-chardev", "stdio,id=serial,signal=off").pair("-serial", "chardev:serial");
        args.pair("-qmp", &format!("unix:{},server=on,wait=off", self.control.display()));
        self.boot_arguments(&mut args);
        for (i, disk) in self.disks.iter().enumerate() {
            disk.arguments(i, &mut args);
        }
        if !self.forwards.is_empty() {
            let mut netdev = String::from("user,id=net0");
            for (host, guest) in &self.forwards {
                netdev.push_str(&format!(",hostfwd=tcp:{}:{host}-:{guest}", Ipv4Addr::LOCALHOST));
            }
            args.pair("-netdev", &netdev)
                .pair("-device", "virtio-net-pci,netdev=net0,disable-legacy=on,romfile=");
        }
        if let Some(gpu) = &self.gpu {
            // The process gets the memory's descriptor: without sharing it would see other pages.
            let size = &self.memory;
            args.pair("-object", &format!("memory-backend-memfd,id=memory,size={size},share=on"));
            let socket = gpu.socket.display();
            args.pair("-chardev", &format!("socket,id=gpu,path={socket},server=on,wait=on"));
            let device = match gpu.carrier {
                GpuCarrier::VirtioGpu => "vhost-user-gpu-pci",
                GpuCarrier::Vsock => "vhost-user-vsock-pci",
            };
            args.pair("-device", &format!("{device},chardev=gpu"));
        }
        if self.entropy {
            args.pair("-device", "virtio-rng-pci,disable-legacy=on");
        }
        if self.debug_exit {
            args.pair("-device", "isa-debug-exit,iobase=0xf4,iosize=0x04");
        }
        if self.no_reboot {
            args.flag("-no-reboot");
        }
        args.0.extend(self.extra.iter().cloned());
        args.0
    }

    fn boot_arguments(&self, args: &mut Arguments) {
        match &self.boot {
            Boot::Kernel { image, initrd, command_line } => {
                args.path("-kernel", image);
                if let Some(initrd) = initrd {
                    args.path("-initrd", initrd);
                }
                args.pair("-append", command_line);
            }
            Boot::Uefi { code, vars } => {
                let code = code.display();
                args.pair("-drive", &format!("if=pflash,format=raw,unit=0,readonly=on,file={code}"));
                args.pair("-drive", &format!("if=pflash,format=raw,unit=1,file={}", vars.display()));
            }
        }
    }
}

impl Disk {
    fn arguments(&self, index: usize, args: &mut Arguments) {
        let file = match &self.source {
            Source::Raw(path) => format!("file={},format=raw", path.display()),
            Source::Nbd(socket) => {
                format!(
                    "file.driver=nbd,file.server.type=unix,file.server.path={},format=raw",
                    socket.display()
                )
            }
            Source::Spec(spec) => spec.clone(),
        };
        args.pair("-drive", &format!("if=none,id=disk{index},{file}"));
        args.pair(
            "-device",
            &match self.attach {
                Attach::Nvme => format!("nvme,drive=disk{index},serial=intralith{index}"),
                Attach::VirtioBlk => format!("virtio-blk-pci,drive=disk{index},disable-legacy=on"),
            },
        );
    }
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn flag(&mut self, name: &str) -> &mut Self {
        self.0.push(name.into());
        self
    }
    fn pair(&mut self, name: &str, value: &str) -> &mut Self {
        self.0.push(name.into());
        self.0.push(value.into());
        self
    }
    fn path(&mut self, name: &str, value: &std::path::Path) -> &mut Self {
        self.0.push(name.into());
        self.0.push(value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_name_every_device_once() {
        let boot = Boot::Kernel { image: "k".into(), initrd: None, command_line: "log=info".into() };
        let mut machine = Machine::new("qemu", boot, "/tmp/control");
        machine.disks.push(Disk::nvme("a.img"));
        machine.disks.push(Disk { source: Source::Nbd("/tmp/s".into()), attach: Attach::VirtioBlk });
        machine.forwards.push((5499, 5432));
        let line = machine.arguments().iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ");
        assert!(line.contains("hostfwd=tcp:127.0.0.1:5499-:5432"));
        assert!(line.contains("nvme,drive=disk0,"));
        assert!(line.contains("virtio-blk-pci,drive=disk1,"));
        assert!(line.contains("-append log=info"));
        assert!(!line.contains("isa-debug-exit") && !line.contains("memory-backend"));
        machine.gpu = Some(Gpu { socket: "/tmp/g".into(), carrier: GpuCarrier::Vsock });
        let line = machine.arguments().iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ");
        assert!(line.contains("q35,memory-backend=memory"));
        assert!(line.contains("memory-backend-memfd,id=memory,size=1G,share=on"));
        assert!(line.contains("vhost-user-vsock-pci,chardev=gpu"));
    }
}
