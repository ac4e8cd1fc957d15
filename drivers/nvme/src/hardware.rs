//! What the driver needs from the machine: registers, memory shared with the device, interrupts. On bare metal that is
//! [`crate::metal::PciHardware`]; tests put a controller made of code behind it.

use alloc::boxed::Box;
use core::{
    any::Any,
    ptr::NonNull,
    sync::atomic::{Ordering, fence},
    time::Duration,
};
use kernel_memory::MemoryError;

/// A controller's side of the machine.
pub trait Hardware: Send + Sync {
    /// Reads a register.
    fn read32(&self, offset: usize) -> u32;
    /// Writes a register or doorbell.
    fn write32(&self, offset: usize, value: u32);
    /// Bytes of the register region.
    fn register_bytes(&self) -> usize;
    /// Zeroed, page-aligned, physically contiguous memory.
    fn allocate(&self, len: usize) -> Result<Dma, MemoryError>;
    /// Calls `each` with the physically contiguous pieces of a buffer, in order.
    fn runs(&self, data: &[u8], each: &mut dyn FnMut(u64, usize));
    /// Interrupt vectors to be had; vector 0 is the admin queue's.
    fn vectors(&self) -> u16;
    /// Waits until the vector was signalled since the last wait, or `limit` passed.
    fn wait_interrupt(&self, vector: u16, limit: Duration);
    /// Lets the controller reach memory, or makes sure that it does not.
    fn set_bus_master(&self, on: bool);
}

/// Memory shared with the device.
pub struct Dma {
    base: NonNull<u8>,
    phys: u64,
    len: usize,
    _owner: Box<dyn Any + Send + Sync>,
}

// SAFETY: the memory belongs to the owner that moves along, which is `Send`; `base` is only a way to reach it.
unsafe impl Send for Dma {}
// SAFETY: shared access is single volatile accesses; who may touch which bytes when is the queue protocol's business,
// and every caller goes through `&mut` or a lock.
unsafe impl Sync for Dma {}

impl Dma {
    /// # Safety
    /// `base` points to `len` bytes, readable and writable and page-aligned, that belong to `owner` alone, stay where
    /// they are as long as it lives, and are at `phys` for the device.
    pub unsafe fn new(base: NonNull<u8>, phys: u64, len: usize, owner: Box<dyn Any + Send + Sync>) -> Self {
        Self { base, phys, len, _owner: owner }
    }

    /// Where the device finds it.
    pub fn phys(&self) -> u64 {
        self.phys
    }

    /// Length in bytes.
    pub fn bytes(&self) -> usize {
        self.len
    }

    fn at<T>(&self, offset: usize) -> *mut T {
        assert!(
            offset.is_multiple_of(size_of::<T>()) && offset + size_of::<T>() <= self.len,
            "outside DMA memory"
        );
        self.base.as_ptr().wrapping_add(offset).cast()
    }

    /// Reads a word that the device may change.
    #[inline]
    pub fn read32(&self, offset: usize) -> u32 {
        // SAFETY: `at` checked range and alignment (the base is page-aligned); the owner keeps the memory alive.
        unsafe { self.at::<u32>(offset).read_volatile() }
    }

    /// Writes a word that the device may read.
    #[inline]
    pub fn write32(&self, offset: usize, value: u32) {
        // SAFETY: as in `read32`.
        unsafe { self.at::<u32>(offset).write_volatile(value) }
    }

    /// Writes two words.
    #[inline]
    pub fn write64(&self, offset: usize, value: u64) {
        // SAFETY: as in `read32`.
        unsafe { self.at::<u64>(offset).write_volatile(value) }
    }

    /// Copies out. The device must not be writing.
    pub fn copy_to(&self, out: &mut [u8]) {
        assert!(out.len() <= self.len, "outside DMA memory");
        // SAFETY: the range is inside the memory (checked), `out` is exclusive, and the caller vouches for the device.
        unsafe { self.base.as_ptr().copy_to_nonoverlapping(out.as_mut_ptr(), out.len()) }
    }

    /// Copies in. The device must not be reading.
    pub fn copy_from(&self, data: &[u8]) {
        assert!(data.len() <= self.len, "outside DMA memory");
        // SAFETY: the range is inside the memory (checked), which no reference covers.
        unsafe { self.base.as_ptr().copy_from_nonoverlapping(data.as_ptr(), data.len()) }
    }

    /// Zeroes everything. The device must not be using it.
    pub fn clear(&self) {
        // SAFETY: the whole range belongs to the owner.
        unsafe { self.base.as_ptr().write_bytes(0, self.len) }
    }
}

/// Later reads of device-written memory stay after earlier ones.
#[inline]
pub fn read_barrier() {
    fence(Ordering::Acquire);
}

/// Later register writes stay after earlier writes of memory the device reads.
#[inline]
pub fn write_barrier() {
    fence(Ordering::Release);
}
