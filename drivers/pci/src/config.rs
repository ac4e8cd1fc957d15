//! Access to configuration space.

use alloc::{collections::BTreeMap, sync::Arc};
use core::fmt;
use kernel_memory::{MmioRegion, PhysAddr, map_mmio};
use spin::Mutex;

/// Names a function.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Bus number.
    pub bus: u8,
    /// Device on the bus, below 32.
    pub device: u8,
    /// Function of the device, below 8.
    pub function: u8,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus, self.device, self.function)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// 256 bytes of registers (4096 on PCI Express) per function, read and written in aligned words. Reading what is not
/// there gives all ones; writing it does nothing.
pub trait ConfigSpace: Send + Sync {
    /// The word at `offset`, which is rounded down to a multiple of four.
    fn read(&self, at: Address, offset: u16) -> u32;
    /// Writes the word at `offset`, which is rounded down to a multiple of four.
    fn write(&self, at: Address, offset: u16, value: u32);
    /// The root bus and the last bus that may be used.
    fn buses(&self) -> (u8, u8);
}

const BUS_SIZE: usize = 1 << 20;

/// Configuration space mapped into memory, as the MCFG table says. Buses are mapped when they are first used.
pub struct Ecam {
    base: PhysAddr,
    first: u8,
    last: u8,
    buses: Mutex<BTreeMap<u8, Arc<MmioRegion>>>,
}

impl Ecam {
    /// `base` is where bus 0 would be, even if `first` is not 0 (as in MCFG).
    pub fn new(base: PhysAddr, first: u8, last: u8) -> Self {
        Self { base, first, last, buses: Mutex::new(BTreeMap::new()) }
    }

    fn bus(&self, bus: u8) -> Option<Arc<MmioRegion>> {
        if !(self.first..=self.last).contains(&bus) {
            return None;
        }
        let mut buses = self.buses.lock();
        if let Some(region) = buses.get(&bus) {
            return Some(region.clone());
        }
        let offset = u64::from(bus) * BUS_SIZE as u64;
        let phys = PhysAddr::try_new(self.base.as_u64().checked_add(offset)?).ok()?;
        let region = match map_mmio(phys, BUS_SIZE) {
            Ok(region) => Arc::new(region),
            Err(e) => {
                log::error!("pci: configuration space of bus {bus}: {e}");
                return None;
            }
        };
        buses.insert(bus, region.clone());
        Some(region)
    }
}

fn place(at: Address, offset: u16) -> usize {
    usize::from(at.device & 31) << 15 | usize::from(at.function & 7) << 12 | usize::from(offset & 0xffc)
}

impl ConfigSpace for Ecam {
    fn read(&self, at: Address, offset: u16) -> u32 {
        self.bus(at.bus).map_or(u32::MAX, |region| region.read32(place(at, offset)))
    }
    fn write(&self, at: Address, offset: u16, value: u32) {
        if let Some(region) = self.bus(at.bus) {
            region.write32(place(at, offset), value);
        }
    }
    fn buses(&self) -> (u8, u8) {
        (self.first, self.last)
    }
}
