//! A run of equal buffers in DMA memory, and which of them the device has.

use crate::{VirtioError, hal::KernelHal};
use alloc::boxed::Box;
use core::{
    marker::PhantomData,
    mem,
    ptr::NonNull,
    slice,
    sync::atomic::{Ordering, fence},
};
use kernel_memory::{DmaBuffer, FRAME_SIZE, MemoryError};
use virtio_drivers::{BufferDirection, Hal, PhysAddr, transport::Transport};

/// Entries of a network queue, which is also the number of buffers.
pub(crate) const QUEUE: usize = 256;

/// Memory for buffers that stays where it is.
pub(crate) trait Memory: Sized {
    fn new(len: usize) -> Result<Self, MemoryError>;
    fn start(&self) -> *mut u8;
}

impl Memory for DmaBuffer {
    fn new(len: usize) -> Result<Self, MemoryError> {
        Self::new(len)
    }
    fn start(&self) -> *mut u8 {
        self.as_ptr()
    }
}

/// The memory of a ring: descriptors, then the part that the driver writes, then the part that the device writes.
struct Ring<H: Hal> {
    phys: PhysAddr,
    base: NonNull<u8>,
    pages: usize,
    hal: PhantomData<fn() -> H>,
}

// SAFETY: the memory is the ring's alone, and is only reached through it.
unsafe impl<H: Hal> Send for Ring<H> {}

impl<H: Hal> Ring<H> {
    fn new(bytes: usize) -> Result<Self, MemoryError> {
        let pages = bytes.div_ceil(FRAME_SIZE);
        let (phys, base) = H::dma_alloc(pages, BufferDirection::Both);
        if phys == 0 {
            return Err(MemoryError::OutOfFrames);
        }
        Ok(Self { phys, base, pages, hal: PhantomData })
    }
    #[inline]
    fn read<T: Copy>(&self, at: usize) -> T {
        // SAFETY: places are worked out by `BufferRing` from indices below `N`, within the memory and aligned; the device
        // may write them at any time, hence volatile, and any bits are a value of the integers that are read.
        unsafe { self.base.as_ptr().wrapping_add(at).cast::<T>().read_volatile() }
    }
    #[inline]
    fn write<T: Copy>(&mut self, at: usize, value: T) {
        // SAFETY: as in `read`.
        unsafe { self.base.as_ptr().wrapping_add(at).cast::<T>().write_volatile(value) }
    }
}

impl<H: Hal> Drop for Ring<H> {
    fn drop(&mut self) {
        // SAFETY: what `dma_alloc` gave; the owner has reset the device, which uses it no longer.
        unsafe { H::dma_dealloc(self.phys, self.base, self.pages) };
    }
}

/// A ring in which each descriptor carries one whole buffer of a pool, always the same: handing a buffer over is writing its
/// length and its number. Tests bring a memory of their own.
pub(crate) struct BufferRing<const N: usize, H: Hal = KernelHal, M: Memory = DmaBuffer> {
    ring: Ring<H>,
    memory: M,
    each: usize,
    /// How much of each buffer the device was given; 0: it does not have it.
    lent: Box<[u32; N]>,
    /// Buffers handed over so far, and those seen to come back; both wrap.
    available: u16,
    seen: u16,
    free: Free<N>,
}

/// Buffers not with the device, last in first out (the warmest first).
struct Free<const N: usize> {
    stack: Box<[u16; N]>,
    len: usize,
}

impl<const N: usize> Free<N> {
    fn full() -> Self {
        let mut stack = Box::new([0; N]);
        for (i, s) in stack.iter_mut().enumerate() {
            *s = i as u16;
        }
        Self { stack, len: N }
    }
    fn pop(&mut self) -> Option<u16> {
        self.len = self.len.checked_sub(1)?;
        Some(self.stack[self.len])
    }
    fn push(&mut self, i: u16) {
        if let Some(s) = self.stack.get_mut(self.len) {
            *s = i;
            self.len += 1;
        }
    }
}

/// Who writes a buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    Driver,
    Device,
}

/// Bytes of a descriptor: address, length, flags, the next of a chain (not used).
const DESCRIPTOR: usize = 16;
const DEVICE_WRITES: u16 = 2;
/// In the driver's flags: no interrupts. In the device's: no notifications.
const UNWANTED: u16 = 1;

impl<const N: usize, H: Hal, M: Memory> BufferRing<N, H, M> {
    const POWER_OF_TWO: () = assert!(N.is_power_of_two() && N <= 1 << 15);
    /// Where the parts begin: two words of flags and index, then a number (or a number and a length) for each buffer.
    const DRIVER: usize = N * DESCRIPTOR;
    const DEVICE: usize = (Self::DRIVER + 4 + N * 2 + 2).next_multiple_of(4);
    const BYTES: usize = Self::DEVICE + 4 + N * 8 + 2;

    /// Sets up queue `index` of a device for buffers of `each` bytes that one side writes.
    pub fn new(
        transport: &mut impl Transport,
        index: u16,
        each: usize,
        writer: Writer,
    ) -> Result<Self, VirtioError> {
        let () = Self::POWER_OF_TWO;
        if transport.max_queue_size(index) < N as u32 {
            return Err(VirtioError::Queue(virtio_drivers::Error::InvalidParam));
        }
        let memory = M::new(N * each)?;
        let mut ring = Ring::<H>::new(Self::BYTES)?;
        let (direction, flags) = match writer {
            Writer::Driver => (BufferDirection::DriverToDevice, 0),
            Writer::Device => (BufferDirection::DeviceToDriver, DEVICE_WRITES),
        };
        for i in 0..N {
            let start =
                NonNull::new(memory.start().wrapping_add(i * each)).ok_or(MemoryError::InvalidRange)?;
            // SAFETY: the memory lives as long as the ring, whose owner resets the device before dropping it.
            let address = unsafe { H::share(NonNull::slice_from_raw_parts(start, each), direction) };
            ring.write(i * DESCRIPTOR, address);
            ring.write(i * DESCRIPTOR + 12, flags);
        }
        let part = |at: usize| ring.phys + at as u64;
        transport.queue_set(index, N as u32, ring.phys, part(Self::DRIVER), part(Self::DEVICE));
        let lent = Box::new([0; N]);
        Ok(Self { ring, memory, each, lent, available: 0, seen: 0, free: Free::full() })
    }

    /// A buffer that the device does not have.
    pub fn take(&mut self) -> Option<u16> {
        self.free.pop()
    }

    /// Gives it back unused.
    pub fn put(&mut self, buffer: u16) {
        self.free.push(buffer);
    }

    pub fn free(&self) -> usize {
        self.free.len
    }

    /// The first `len` bytes of a buffer that the caller took (or got back) and has not submitted.
    pub fn bytes(&mut self, buffer: u16, len: usize) -> &mut [u8] {
        assert!(usize::from(buffer) < N && len <= self.each, "no such buffer");
        let start = self.memory.start().wrapping_add(usize::from(buffer) * self.each);
        // SAFETY: the range is inside the memory (checked above). Buffers are disjoint, the device only has those in
        // flight, and `&mut self` makes this the only reference into the memory.
        unsafe { slice::from_raw_parts_mut(start, len) }
    }

    /// Hands the first `len` bytes (at least one) of a taken buffer to the device.
    pub fn submit(&mut self, buffer: u16, len: usize) {
        let number = usize::from(buffer);
        assert!(number < N && (1..=self.each).contains(&len), "no such buffer");
        if let Some(lent) = self.lent.get_mut(number) {
            *lent = len as u32;
        }
        self.ring.write(number * DESCRIPTOR + 8, len as u32);
        self.ring.write(Self::DRIVER + 4 + usize::from(self.available) % N * 2, buffer);
        self.available = self.available.wrapping_add(1);
        // The device must see the buffer before it sees that there is one more.
        fence(Ordering::Release);
        self.ring.write(Self::DRIVER + 2, self.available);
    }

    /// The next buffer that the device is done with, and how many bytes it wrote. The caller has it then.
    pub fn reclaim(&mut self) -> Option<(u16, usize)> {
        while self.is_done() {
            fence(Ordering::Acquire);
            let at = Self::DEVICE + 4 + usize::from(self.seen) % N * 8;
            let (number, wrote) = (self.ring.read::<u32>(at), self.ring.read::<u32>(at + 4));
            self.seen = self.seen.wrapping_add(1);
            // A device may name a buffer that it does not have, or claim to have written more than there is.
            let lent = self.lent.get_mut(number as usize).map_or(0, mem::take);
            if lent > 0 {
                return Some((number as u16, wrote.min(lent) as usize));
            }
        }
        None
    }

    /// Whether [`Self::reclaim`] would find something.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.ring.read::<u16>(Self::DEVICE + 2) != self.seen
    }

    /// Whether the device has to be told about buffers submitted since the last time.
    pub fn needs_notification(&self) -> bool {
        // The device stops listening, then looks at the ring once more; we write the ring, then look whether it
        // listens. Without the fence our look could come first.
        fence(Ordering::SeqCst);
        self.ring.read::<u16>(Self::DEVICE) & UNWANTED == 0
    }

    /// Asks for interrupts, or asks not to be interrupted. After asking for them, look at the ring once more.
    pub fn set_interrupts(&mut self, on: bool) {
        self.ring.write(Self::DRIVER, if on { 0 } else { UNWANTED });
        if on {
            fence(Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_buffers_come_back_warm() {
        let mut f = Free::<4>::full();
        assert_eq!([f.pop(), f.pop()], [Some(3), Some(2)]);
        f.push(3);
        assert_eq!([f.pop(), f.pop(), f.pop(), f.pop()], [Some(3), Some(1), Some(0), None]);
        for i in 0..9 {
            f.push(i);
        }
        assert_eq!(f.len, 4, "no more than there are");
    }
}
