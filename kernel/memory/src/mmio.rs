//! Device registers and firmware tables as RAII mappings.

use crate::{
    MemoryError, PhysAddr,
    paging::{self, Caching},
};
use core::slice;

/// A mapped range of device registers. Accesses are volatile, of the given width, in program order and checked
/// against the range; an access outside or misaligned is a bug of the caller and panics (check offsets that a device
/// supplied with [`MmioRegion::contains`] first).
#[derive(Debug)]
pub struct MmioRegion {
    phys: PhysAddr,
    /// First mapped byte that belongs to the region.
    base: *mut u8,
    len: usize,
}

// SAFETY: the region is plain device memory; every access is a single volatile instruction. Drivers that need several
// accesses to be one operation hold their own lock.
unsafe impl Send for MmioRegion {}
// SAFETY: see `Send`.
unsafe impl Sync for MmioRegion {}

/// Maps device registers uncached. `phys` need not be page aligned.
pub fn map_mmio(phys: PhysAddr, len: usize) -> Result<MmioRegion, MemoryError> {
    let base = paging::map_device(phys, len, Caching::Uncached)?;
    Ok(MmioRegion { phys, base: base.as_mut_ptr(), len })
}

macro_rules! accessors {
    ($read:ident, $write:ident, $t:ty) => {
        #[doc = concat!("Reads a `", stringify!($t), "` register.")]
        #[inline]
        pub fn $read(&self, offset: usize) -> $t {
            let p = self.at::<$t>(offset);
            // SAFETY: `at` checked range and alignment; the mapping lives as long as `self`.
            unsafe { p.read_volatile() }
        }
        #[doc = concat!("Writes a `", stringify!($t), "` register.")]
        #[inline]
        pub fn $write(&self, offset: usize, value: $t) {
            let p = self.at::<$t>(offset);
            // SAFETY: `at` checked range and alignment; the mapping lives as long as `self`.
            unsafe { p.write_volatile(value) }
        }
    };
}

impl MmioRegion {
    accessors!(read8, write8, u8);
    accessors!(read16, write16, u16);
    accessors!(read32, write32, u32);
    accessors!(read64, write64, u64);

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }
    /// True when nothing is mapped (never: kept for the usual pairing with `len`).
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Physical address of offset 0.
    pub fn phys(&self) -> PhysAddr {
        self.phys
    }
    /// Virtual address of offset 0, for crates that bring their own volatile accessors.
    pub fn as_ptr(&self) -> *mut u8 {
        self.base
    }
    /// Whether `size` bytes at `offset` are inside.
    pub fn contains(&self, offset: usize, size: usize) -> bool {
        offset.checked_add(size).is_some_and(|end| end <= self.len)
    }

    #[inline]
    #[track_caller]
    fn at<T>(&self, offset: usize) -> *mut T {
        let size = size_of::<T>();
        assert!(self.contains(offset, size), "device register outside its mapping");
        let p = self.base.wrapping_add(offset).cast::<T>();
        assert!(p.is_aligned(), "misaligned device register");
        p
    }
}

impl Drop for MmioRegion {
    fn drop(&mut self) {
        paging::unmap_device(self.base as u64, self.len);
    }
}

/// A read-only view of memory that firmware filled before we ran (ACPI tables, boot parameters).
#[derive(Debug)]
pub struct FirmwareTable {
    base: *const u8,
    len: usize,
}

// SAFETY: nothing writes the memory while it is mapped read-only here (see `map_firmware`).
unsafe impl Send for FirmwareTable {}
// SAFETY: see `Send`.
unsafe impl Sync for FirmwareTable {}

/// Maps a firmware table for reading.
///
/// # Safety
/// The range holds memory that nobody writes while the view lives: not usable RAM of the memory map, no registers.
pub unsafe fn map_firmware(phys: PhysAddr, len: usize) -> Result<FirmwareTable, MemoryError> {
    let base = paging::map_device(phys, len, Caching::ReadOnly)?;
    Ok(FirmwareTable { base: base.as_ptr(), len })
}

impl core::ops::Deref for FirmwareTable {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `map_firmware` mapped `len` readable bytes at `base` for as long as `self` lives, and its caller
        // vouched that they do not change.
        unsafe { slice::from_raw_parts(self.base, self.len) }
    }
}

impl Drop for FirmwareTable {
    fn drop(&mut self) {
        paging::unmap_device(self.base as u64, self.len);
    }
}
