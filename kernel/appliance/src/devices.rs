//! Finding and starting the machine's devices.

use alloc::{boxed::Box, string::ToString, sync::Arc, vec::Vec};
use core::{net::IpAddr, time::Duration};
use driver_nvme::{
    NvmeDisk, Options,
    metal::{self, PciHardware},
};
use driver_pci::{ConfigSpace, Ecam, Function};
use driver_virtio::{DeviceType, VirtioNet, VirtioRng, transport::device_type};
use intralith_config::Network;
use kernel_memory::{PhysAddr, frames};
use kernel_net::{Ipv4Config, NetStack};
use kernel_task::{entropy, spawn_on};
use platform::{
    block::BlockDevice,
    compute::{ComputeDevice, Devices},
};

/// How long the entropy device may take.
const ENTROPY_LIMIT: Duration = Duration::from_millis(100);

/// Buffers of connections may take the memory's size divided by this.
const CONNECTION_SHARE: usize = 8;

/// Every PCI function.
pub fn enumerate() -> Vec<Function> {
    let mut all = Vec::new();
    for window in kernel_acpi::ecam_regions().iter().filter(|w| w.segment == 0) {
        let space: Arc<dyn ConfigSpace> =
            Arc::new(Ecam::new(PhysAddr::new_truncate(window.base), window.first_bus, window.last_bus));
        all.extend(driver_pci::enumerate(&space));
    }
    for f in &all {
        log::debug!("pci: {f:?}");
    }
    all
}

/// Mixes what entropy devices give into the generator.
pub fn seed_entropy(functions: &[Function]) {
    for f in functions.iter().filter(|f| device_type(f) == Some(DeviceType::EntropySource)) {
        let mut material = [0u8; 64];
        match VirtioRng::start(f).and_then(|mut d| d.fill(&mut material, ENTROPY_LIMIT)) {
            Ok(()) => entropy::add(&material, true),
            Err(e) => log::warn!("virtio-rng: {e}"),
        }
    }
    if !entropy::seeded() {
        log::warn!("entropy: no RDSEED, RDRAND or virtio-rng; keys cannot be made");
    }
}

/// Every NVMe namespace that works, in PCI order.
pub fn disks(functions: &[Function]) -> Vec<Arc<NvmeDisk>> {
    let mut found = Vec::new();
    for f in functions.iter().filter(|f| f.class == metal::CLASS) {
        let disk = PciHardware::attach(f).map_err(|e| e.to_string());
        let disk =
            disk.and_then(|hw| NvmeDisk::open(Arc::new(hw), Options::default()).map_err(|e| e.to_string()));
        match disk {
            Ok(disk) => {
                let g = disk.geometry();
                log::info!("nvme: {}, {} MiB, {} byte blocks", disk.model(), g.capacity >> 20, g.block_size);
                found.push(Arc::new(disk));
            }
            Err(e) => log::error!("nvme: {e}"),
        }
    }
    found
}

/// The first network card that works, with its stack running.
pub fn network(functions: &[Function], config: &Network) -> Option<Arc<NetStack>> {
    for f in functions.iter().filter(|f| device_type(f) == Some(DeviceType::Network)) {
        // Interrupts and the receiving task on the same core.
        let core = 0;
        let card = match VirtioNet::start(f, core) {
            Ok(card) => card,
            Err(e) => {
                log::error!("virtio-net: {e}");
                continue;
            }
        };
        let stack = NetStack::new(card.info, card.rx, card.tx, stack_config(config));
        let run = stack.clone();
        spawn_on(core, "network", move || run.run());
        return Some(stack);
    }
    None
}

/// Compute devices, in PCI order. They come up, or turn out to be something else, while the boot goes on.
pub fn compute(functions: &[Function]) -> Devices {
    driver_virtio_gpu::find(functions)
        .into_iter()
        .map(|gpu| Box::new(gpu) as Box<dyn ComputeDevice>)
        .collect()
}

fn stack_config(network: &Network) -> kernel_net::Config {
    let mut seed = [0u8; 8];
    entropy::fill(&mut seed);
    let mut config = kernel_net::Config::new(u64::from_le_bytes(seed));
    config.limits.memory = config.limits.memory.max(frames::stats().total / CONNECTION_SHARE);
    if let Network::Static { address, prefix, gateway } = *network {
        match address {
            IpAddr::V4(address) => {
                let gateway = match gateway {
                    Some(IpAddr::V4(g)) => Some(g),
                    _ => None,
                };
                config.ipv4 = Ipv4Config::Static { address, prefix, gateway };
            }
            IpAddr::V6(address) => {
                let gateway = match gateway {
                    Some(IpAddr::V6(g)) => Some(g),
                    _ => None,
                };
                config.ipv6 = Some(kernel_net::Ipv6Config { address, prefix, gateway });
            }
        }
    }
    config
}
