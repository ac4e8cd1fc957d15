//! Functions: enumeration, base address registers, capabilities.

use crate::{Address, ConfigSpace, Msix, PciError};
use alloc::{sync::Arc, vec::Vec};
use core::fmt;
use kernel_memory::{MmioRegion, PhysAddr, map_mmio};

const COMMAND: u16 = 0x04;
const CLASS: u16 = 0x08;
const HEADER_TYPE: u16 = 0x0c;
const BAR0: u16 = 0x10;
const BUS_NUMBERS: u16 = 0x18;
const CAPABILITIES: u16 = 0x34;

const COMMAND_MEMORY: u16 = 1 << 1;
const COMMAND_MASTER: u16 = 1 << 2;
const COMMAND_NO_INTX: u16 = 1 << 10;
const STATUS_CAPABILITIES: u32 = 1 << 20;

/// Capabilities fit in 192 bytes and take at least four each.
const MAX_CAPABILITIES: usize = 48;

/// A memory region that a function decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Where firmware put it.
    pub address: u64,
    /// Its size, a power of two.
    pub size: u64,
    /// Reads have no side effects.
    pub prefetchable: bool,
}

/// An entry of the capability list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// What it is (5 MSI, 9 vendor-specific, 0x11 MSI-X, ...).
    pub id: u8,
    /// Where it starts in configuration space.
    pub offset: u16,
}

/// One function of one device.
#[derive(Clone)]
pub struct Function {
    space: Arc<dyn ConfigSpace>,
    /// Where it is.
    pub address: Address,
    /// Who made it.
    pub vendor: u16,
    /// What model it is.
    pub device: u16,
    /// Class, subclass, programming interface: `0x010802` is NVMe.
    pub class: u32,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:04x}:{:04x} class {:06x}", self.address, self.vendor, self.device, self.class)
    }
}

/// Finds every function on the root bus and on the buses behind bridges that firmware numbered.
pub fn enumerate(space: &Arc<dyn ConfigSpace>) -> Vec<Function> {
    let (first, last) = space.buses();
    let mut seen = [false; 256];
    let mut pending = Vec::from([first]);
    let mut found = Vec::new();
    while let Some(bus) = pending.pop() {
        // Bridges that point back, or to one another, end here.
        if core::mem::replace(&mut seen[usize::from(bus)], true) {
            continue;
        }
        for device in 0..32 {
            for function in 0..8 {
                let at = Address { bus, device, function };
                let id = space.read(at, 0);
                if id & 0xffff == 0xffff || id & 0xffff == 0 {
                    if function == 0 {
                        break;
                    }
                    continue;
                }
                let header = space.read(at, HEADER_TYPE) >> 16;
                if header & 0x7f == 1 {
                    let secondary = (space.read(at, BUS_NUMBERS) >> 8) as u8;
                    if (first..=last).contains(&secondary) && secondary != bus {
                        pending.push(secondary);
                    }
                }
                found.push(Function {
                    space: space.clone(),
                    address: at,
                    vendor: id as u16,
                    device: (id >> 16) as u16,
                    class: space.read(at, CLASS) >> 8,
                });
                if function == 0 && header & 0x80 == 0 {
                    break;
                }
            }
        }
    }
    found.sort_by_key(|f| f.address);
    found
}

impl Function {
    /// Reads a word of configuration space.
    pub fn read32(&self, offset: u16) -> u32 {
        self.space.read(self.address, offset)
    }
    /// Reads half a word.
    pub fn read16(&self, offset: u16) -> u16 {
        (self.read32(offset) >> (8 * (offset & 2))) as u16
    }
    /// Reads a byte.
    pub fn read8(&self, offset: u16) -> u8 {
        (self.read32(offset) >> (8 * (offset & 3))) as u8
    }
    /// Writes a word of configuration space.
    pub fn write32(&self, offset: u16, value: u32) {
        self.space.write(self.address, offset, value);
    }

    fn command(&self) -> u16 {
        self.read16(COMMAND)
    }
    fn set_command(&self, command: u16) {
        // The upper half is the status register, whose bits are cleared by writing ones: write zeroes.
        self.write32(COMMAND, command.into());
    }

    /// Lets the function decode its memory regions and reach memory by itself, and silences its interrupt pin.
    pub fn enable(&self) {
        self.set_command(self.command() | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_NO_INTX);
    }

    /// Stops the function from reaching memory: no DMA and no message interrupts after this.
    pub fn disable_bus_master(&self) {
        self.set_command(self.command() & !COMMAND_MASTER);
    }

    /// The memory region behind base address register `index`, sized. `None`: there is none, it is an I/O port range,
    /// it is the upper half of another, or firmware gave it no address.
    pub fn bar(&self, index: u8) -> Option<Bar> {
        let kind = self.read32(HEADER_TYPE) >> 16 & 0x7f;
        let count = match kind {
            0 => 6,
            1 => 2,
            _ => 0,
        };
        if index >= count {
            return None;
        }
        let offset = BAR0 + 4 * u16::from(index);
        let low = self.read32(offset);
        let wide = low & 0b110 == 0b100;
        if low & 1 != 0 || low & 0b110 == 0b110 || (wide && index + 1 >= count) {
            return None;
        }
        let command = self.command();
        self.set_command(command & !COMMAND_MEMORY);
        let high = if wide { self.read32(offset + 4) } else { 0 };
        self.write32(offset, u32::MAX);
        let mut mask = u64::from(self.read32(offset) & !0xf) | 0xffff_ffff << 32;
        self.write32(offset, low);
        if wide {
            self.write32(offset + 4, u32::MAX);
            mask = mask & 0xffff_ffff | u64::from(self.read32(offset + 4)) << 32;
            self.write32(offset + 4, high);
        }
        self.set_command(command);
        let size = (!mask).wrapping_add(1);
        let address = u64::from(low & !0xf) | u64::from(high) << 32;
        let sane =
            size.is_power_of_two() && size >= 16 && address != 0 && address.checked_add(size).is_some();
        sane.then_some(Bar { address, size, prefetchable: low & 0b1000 != 0 })
    }

    /// Maps all of a memory region.
    pub fn map_bar(&self, index: u8) -> Result<MmioRegion, PciError> {
        let bar = self.bar(index).ok_or(PciError::NoBar(index))?;
        self.map_range(&bar, 0, bar.size)
    }

    /// Maps part of a memory region.
    pub fn map_bar_range(&self, index: u8, offset: u64, len: u64) -> Result<MmioRegion, PciError> {
        let bar = self.bar(index).ok_or(PciError::NoBar(index))?;
        self.map_range(&bar, offset, len)
    }

    fn map_range(&self, bar: &Bar, offset: u64, len: u64) -> Result<MmioRegion, PciError> {
        let end = offset.checked_add(len).ok_or(PciError::OutOfRange)?;
        if len == 0 || end > bar.size {
            return Err(PciError::OutOfRange);
        }
        let phys = PhysAddr::try_new(bar.address + offset).map_err(|_| PciError::OutOfRange)?;
        let len = usize::try_from(len).map_err(|_| PciError::OutOfRange)?;
        Ok(map_mmio(phys, len)?)
    }

    /// The capability list, in order. A list that loops or leaves its area ends there.
    pub fn capabilities(&self) -> Vec<Capability> {
        let mut found: Vec<Capability> = Vec::new();
        if self.read32(COMMAND) & STATUS_CAPABILITIES == 0 {
            return found;
        }
        let mut next = self.read8(CAPABILITIES) & !3;
        while next >= 0x40 && found.len() < MAX_CAPABILITIES {
            let offset = u16::from(next);
            if found.iter().any(|c| c.offset == offset) {
                break;
            }
            let header = self.read16(offset);
            found.push(Capability { id: header as u8, offset });
            next = (header >> 8) as u8 & !3;
        }
        found
    }

    /// The first capability of a kind.
    pub fn capability(&self, id: u8) -> Option<Capability> {
        self.capabilities().into_iter().find(|c| c.id == id)
    }

    /// The message-signalled interrupts of the function, all masked.
    pub fn msix(&self) -> Result<Msix, PciError> {
        Msix::new(self)
    }
}
