//! The real device: registers through PCI, interrupts through MSI-X, memory from the kernel.

use crate::hardware::{Dma, Hardware};
use alloc::{boxed::Box, vec::Vec};
use core::{fmt, ptr::NonNull, time::Duration};
use driver_pci::{Function, Msix, PciError};
use kernel_memory::{DmaBuffer, MemoryError, MmioRegion, physical_runs};
use kernel_task::{
    core_count,
    irq::{self, IrqError, IrqLine},
};

/// PCI class of NVMe controllers: mass storage, non-volatile memory, NVM Express.
pub const CLASS: u32 = 0x01_08_02;

/// Why the device cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachError {
    /// Registers or interrupt table.
    Pci(PciError),
    /// Interrupt vectors.
    Irq(IrqError),
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(e) => e.fmt(f),
            Self::Irq(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for AttachError {}

impl From<PciError> for AttachError {
    fn from(e: PciError) -> Self {
        Self::Pci(e)
    }
}

/// An NVMe controller behind PCI.
pub struct PciHardware {
    // The order of fields is the order of dropping: vectors are switched off before their lines are freed.
    _msix: Msix,
    lines: Vec<IrqLine>,
    registers: MmioRegion,
    function: Function,
}

impl PciHardware {
    /// Maps the registers and gives the admin queue and each core an interrupt vector, as far as there are any.
    pub fn attach(function: &Function) -> Result<Self, AttachError> {
        let registers = function.map_bar(0)?;
        function.enable();
        let msix = function.msix()?;
        let mut lines = Vec::new();
        for vector in 0..msix.vectors() {
            let core = usize::from(vector.saturating_sub(1));
            if core >= core_count() {
                break;
            }
            match irq::allocate(core, "nvme") {
                Ok(line) => {
                    msix.set(vector, line.msi_address(), line.msi_data());
                    lines.push(line);
                }
                // Queues share what there is.
                Err(_) if !lines.is_empty() => break,
                Err(e) => return Err(AttachError::Irq(e)),
            }
        }
        Ok(Self { _msix: msix, lines, registers, function: function.clone() })
    }
}

impl Hardware for PciHardware {
    fn read32(&self, offset: usize) -> u32 {
        self.registers.read32(offset)
    }
    fn write32(&self, offset: usize, value: u32) {
        self.registers.write32(offset, value);
    }
    fn register_bytes(&self) -> usize {
        self.registers.len()
    }
    fn allocate(&self, len: usize) -> Result<Dma, MemoryError> {
        let buffer = DmaBuffer::new(len)?;
        let base = NonNull::new(buffer.as_ptr()).ok_or(MemoryError::OutOfFrames)?;
        let phys = buffer.phys().as_u64();
        // SAFETY: a `DmaBuffer` is `len` bytes of page-aligned, physically contiguous memory of its own, which moves
        // into the `Dma` and stays where it is until that is dropped.
        Ok(unsafe { Dma::new(base, phys, len, Box::new(buffer)) })
    }
    fn runs(&self, data: &[u8], each: &mut dyn FnMut(u64, usize)) {
        for run in physical_runs(data) {
            each(run.phys.as_u64(), run.len);
        }
    }
    fn vectors(&self) -> u16 {
        // No more than the table's 11 bits count.
        self.lines.len() as u16
    }
    fn wait_interrupt(&self, vector: u16, limit: Duration) {
        if let Some(line) = self.lines.get(usize::from(vector)) {
            line.wait_timeout(limit);
        }
    }
    fn set_bus_master(&self, on: bool) {
        if on {
            self.function.enable();
        } else {
            self.function.disable_bus_master();
        }
    }
}
