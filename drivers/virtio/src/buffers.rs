//! A run of equal buffers in DMA memory, and which of them the device has.

use crate::hal::KernelHal;
use alloc::boxed::Box;
use core::{
    slice,
    sync::atomic::{Ordering, fence},
};
use kernel_memory::{DmaBuffer, MemoryError};
use virtio_drivers::{Hal, queue::VirtQueue};

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

/// A ring whose descriptors each carry one whole buffer of a pool. Tests bring a memory of their own.
pub(crate) struct BufferRing<const N: usize, H: Hal = KernelHal, M: Memory = DmaBuffer> {
    queue: VirtQueue<H, N>,
    memory: M,
    each: usize,
    /// For each token in flight: which buffer, and how much of it the device was given.
    tokens: Box<[(u16, u32); N]>,
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

impl<const N: usize, H: Hal, M: Memory> BufferRing<N, H, M> {
    pub fn new(queue: VirtQueue<H, N>, each: usize) -> Result<Self, MemoryError> {
        Ok(Self { queue, memory: M::new(N * each)?, each, tokens: Box::new([(0, 0); N]), free: Free::full() })
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

    /// Hands the first `len` bytes of a taken buffer to the device.
    pub fn submit(&mut self, buffer: u16, len: usize, writer: Writer) -> bool {
        assert!(usize::from(buffer) < N && len <= self.each, "no such buffer");
        let start = self.memory.start().wrapping_add(usize::from(buffer) * self.each);
        // SAFETY: as in `bytes`; the slice is only used for its address.
        let bytes = unsafe { slice::from_raw_parts_mut(start, len) };
        // SAFETY: the buffer was taken, so nobody touches it until `reclaim` pops its token; the memory lives as long
        // as the queue, whose owner resets the device before dropping it.
        let token = unsafe {
            match writer {
                Writer::Driver => self.queue.add(&[bytes], &mut []),
                Writer::Device => self.queue.add(&[], &mut [bytes]),
            }
        };
        match token {
            Ok(token) => {
                self.tokens[usize::from(token) % N] = (buffer, len as u32);
                true
            }
            Err(_) => {
                self.free.push(buffer);
                false
            }
        }
    }

    /// The next buffer that the device is done with, and how many bytes it wrote. The caller has it then.
    pub fn reclaim(&mut self, writer: Writer) -> Option<(u16, usize)> {
        let token = self.queue.peek_used()?;
        let (buffer, len) = *self.tokens.get(usize::from(token))?;
        let start = self.memory.start().wrapping_add(usize::from(buffer) * self.each);
        // SAFETY: as in `submit`: the same range, only used for its address.
        let bytes = unsafe { slice::from_raw_parts_mut(start, len as usize) };
        // SAFETY: these are the buffers that `submit` added under this token.
        let popped = unsafe {
            match writer {
                Writer::Driver => self.queue.pop_used(token, &[bytes], &mut []),
                Writer::Device => self.queue.pop_used(token, &[], &mut [bytes]),
            }
        };
        // A device that claims to have written more than there is, has not.
        popped.ok().map(|n| (buffer, (n as usize).min(len as usize)))
    }

    /// Whether [`Self::reclaim`] would find something.
    pub fn is_done(&self) -> bool {
        self.queue.can_pop()
    }

    /// Whether the device has to be told about buffers submitted since the last time.
    pub fn needs_notification(&self) -> bool {
        // The device stops listening, then looks at the ring once more; we write the ring, then look whether it
        // listens. Without the fence our look could come first.
        fence(Ordering::SeqCst);
        self.queue.should_notify()
    }

    /// Asks for interrupts, or asks not to be interrupted. After asking for them, look at the ring once more.
    pub fn set_interrupts(&mut self, on: bool) {
        self.queue.set_dev_notify(on);
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
