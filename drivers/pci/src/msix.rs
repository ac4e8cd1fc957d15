//! Message-signalled interrupts (MSI-X): each vector is a table entry saying which word to write where.

use crate::{Function, PciError};
use kernel_memory::MmioRegion;

const CAPABILITY: u8 = 0x11;
const CONTROL_ENABLE: u16 = 1 << 15;
const CONTROL_MASK_ALL: u16 = 1 << 14;
const ENTRY: u64 = 16;
const ENTRY_MASKED: u32 = 1;

/// A place inside a memory region of the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub bar: u8,
    pub offset: u64,
    pub len: u64,
}

/// What the capability says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub control: u16,
    pub vectors: u16,
    pub table: Place,
    pub pending: Place,
}

impl Layout {
    pub fn read(function: &Function) -> Result<Self, PciError> {
        let cap = function.capability(CAPABILITY).ok_or(PciError::NoCapability(CAPABILITY))?;
        let vectors = (function.read16(cap.offset + 2) & 0x7ff) + 1;
        let place = |word: u32, len: u64| Place { bar: (word & 7) as u8, offset: u64::from(word & !7), len };
        let layout = Self {
            control: cap.offset + 2,
            vectors,
            table: place(function.read32(cap.offset + 4), u64::from(vectors) * ENTRY),
            pending: place(function.read32(cap.offset + 8), u64::from(vectors.div_ceil(64)) * 8),
        };
        for p in [layout.table, layout.pending] {
            let bar = function.bar(p.bar).ok_or(PciError::Malformed(CAPABILITY))?;
            if p.offset + p.len > bar.size {
                return Err(PciError::Malformed(CAPABILITY));
            }
        }
        Ok(layout)
    }
}

/// The vector table of a function.
#[derive(Debug)]
pub struct Msix {
    function: Function,
    control: u16,
    vectors: u16,
    table: MmioRegion,
    pending: MmioRegion,
}

impl Msix {
    pub(crate) fn new(function: &Function) -> Result<Self, PciError> {
        let layout = Layout::read(function)?;
        let map = |p: Place| function.map_bar_range(p.bar, p.offset, p.len);
        let msix = Self {
            function: function.clone(),
            control: layout.control,
            vectors: layout.vectors,
            table: map(layout.table)?,
            pending: map(layout.pending)?,
        };
        msix.set_control(CONTROL_ENABLE | CONTROL_MASK_ALL);
        for i in 0..msix.vectors {
            msix.mask(i);
        }
        msix.set_control(CONTROL_ENABLE);
        Ok(msix)
    }

    fn set_control(&self, value: u16) {
        // The lower half of the word (id and next pointer) is read-only.
        self.function.write32(self.control, u32::from(value) << 16);
    }

    /// How many vectors there are.
    pub fn vectors(&self) -> u16 {
        self.vectors
    }

    fn entry(&self, vector: u16) -> usize {
        assert!(vector < self.vectors, "no such interrupt vector");
        usize::from(vector) * ENTRY as usize
    }

    /// Says what vector `vector` writes where, and lets it. Panics when there is no such vector.
    pub fn set(&self, vector: u16, address: u64, data: u32) {
        let at = self.entry(vector);
        self.mask(vector);
        self.table.write32(at, address as u32);
        self.table.write32(at + 4, (address >> 32) as u32);
        self.table.write32(at + 8, data);
        self.unmask(vector);
    }

    /// Holds a vector back; an interrupt meanwhile is remembered as pending.
    pub fn mask(&self, vector: u16) {
        self.table.write32(self.entry(vector) + 12, ENTRY_MASKED);
    }

    /// Lets a vector through again.
    pub fn unmask(&self, vector: u16) {
        self.table.write32(self.entry(vector) + 12, 0);
    }

    /// True when an interrupt came while the vector was masked.
    pub fn is_pending(&self, vector: u16) -> bool {
        assert!(vector < self.vectors, "no such interrupt vector");
        let word = usize::from(vector / 32) * 4;
        self.pending.read32(word) & 1 << (vector % 32) != 0
    }
}

impl Drop for Msix {
    fn drop(&mut self) {
        self.set_control(0);
    }
}
