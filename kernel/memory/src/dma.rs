//! Memory shared with devices.

use crate::{FRAME_SIZE, MemoryError, PhysAddr, frames, layout};
use core::{
    slice,
    sync::atomic::{Ordering, fence},
};

/// Zeroed, page-aligned, physically contiguous memory for descriptor rings and bounce buffers. Freed on drop: the
/// owner must have stopped the device from using it first.
///
/// Two ways of access that must not be mixed for the same bytes at the same time: slices ([`Self::as_slice`]), for
/// ranges the device does not touch now, and volatile accessors ([`Self::read32`] ...), for rings that it does.
/// x86 keeps stores in order towards devices, and the register write that follows (a doorbell) is uncached, so a
/// compiler barrier (`core::sync::atomic::fence(Release)`) before it is all that is needed.
#[derive(Debug)]
pub struct DmaBuffer {
    phys: PhysAddr,
    base: *mut u8,
    len: usize,
    frames: usize,
}

// SAFETY: owns its memory exclusively, like a boxed slice.
unsafe impl Send for DmaBuffer {}
// SAFETY: shared access reads slices or makes single volatile accesses; `&self` volatile writes are single
// instructions on bytes that the protocol with the device, not the type system, orders.
unsafe impl Sync for DmaBuffer {}

macro_rules! volatile {
    ($read:ident, $write:ident, $t:ty) => {
        #[doc = concat!("Reads a `", stringify!($t), "` that the device may change.")]
        #[inline]
        pub fn $read(&self, offset: usize) -> $t {
            let p = self.at::<$t>(offset);
            // SAFETY: `at` checked range and alignment; the memory lives as long as `self`.
            unsafe { p.read_volatile() }
        }
        #[doc = concat!("Writes a `", stringify!($t), "` that the device may read.")]
        #[inline]
        pub fn $write(&self, offset: usize, value: $t) {
            let p = self.at::<$t>(offset);
            // SAFETY: `at` checked range and alignment; the memory lives as long as `self`.
            unsafe { p.write_volatile(value) }
        }
    };
}

impl DmaBuffer {
    volatile!(read8, write8, u8);
    volatile!(read16, write16, u16);
    volatile!(read32, write32, u32);
    volatile!(read64, write64, u64);

    /// Allocates at least `len` bytes, all zero.
    pub fn new(len: usize) -> Result<Self, MemoryError> {
        if len == 0 {
            return Err(MemoryError::InvalidRange);
        }
        let frames = len.div_ceil(FRAME_SIZE);
        let phys = frames::allocate(frames)?;
        let base = layout::direct(phys.as_u64()) as *mut u8;
        // SAFETY: the frames were just allocated, are ours alone and are mapped writable in the direct map.
        unsafe { base.write_bytes(0, frames * FRAME_SIZE) };
        Ok(Self { phys, base, len, frames })
    }
    /// Physical address of the first byte.
    pub fn phys(&self) -> PhysAddr {
        self.phys
    }
    /// Physical address of byte `offset`.
    pub fn phys_at(&self, offset: usize) -> PhysAddr {
        assert!(offset < self.len, "offset outside the DMA buffer");
        self.phys + offset as u64
    }
    /// Length in bytes as asked for.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Never true.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Virtual address of the first byte.
    pub fn as_ptr(&self) -> *mut u8 {
        self.base
    }
    /// The bytes; the device must not be writing them.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `len` initialised bytes owned by `self`.
        unsafe { slice::from_raw_parts(self.base, self.len) }
    }
    /// The bytes for writing; the device must not be using them.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `&mut self` is exclusive.
        unsafe { slice::from_raw_parts_mut(self.base, self.len) }
    }
    /// Orders earlier reads of device-written memory (a phase bit, a used index) before later ones.
    #[inline]
    pub fn read_barrier() {
        fence(Ordering::Acquire);
    }
    /// Orders earlier writes before a later index or doorbell write.
    #[inline]
    pub fn write_barrier() {
        fence(Ordering::Release);
    }

    #[inline]
    #[track_caller]
    fn at<T>(&self, offset: usize) -> *mut T {
        assert!(
            offset.checked_add(size_of::<T>()).is_some_and(|end| end <= self.len),
            "access outside the DMA buffer"
        );
        let p = self.base.wrapping_add(offset).cast::<T>();
        assert!(p.is_aligned(), "misaligned DMA access");
        p
    }
}

impl Drop for DmaBuffer {
    fn drop(&mut self) {
        // SAFETY: the frames came from `frames::allocate` with the same count and nothing refers to them any more.
        unsafe { frames::free(self.phys, self.frames) };
    }
}
