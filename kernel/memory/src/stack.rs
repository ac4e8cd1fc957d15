//! Stacks with an unmapped guard page below.

use crate::{FRAME_SIZE, MemoryError, frames, layout, paging};
use core::sync::atomic::{AtomicU64, Ordering};

/// Distance between the starts of two stack slots: guard space and stack.
const SLOT: u64 = 1 << 20;

/// Size of a task's stack.
pub const TASK_STACK: usize = 256 << 10;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A mapped stack. Never unmapped: owners keep stacks in pools, so that no core's TLB ever has to be flushed.
#[derive(Debug)]
pub struct Stack {
    bottom: u64,
    len: usize,
}

impl Stack {
    /// Maps a stack of `len` bytes (at most half a MiB), physically contiguous. Everything in its slot below it is
    /// unmapped, so an overflow of up to half a MiB faults.
    pub fn new(len: usize) -> Result<Self, MemoryError> {
        let frames = len.div_ceil(FRAME_SIZE);
        if frames == 0 || len as u64 > SLOT / 2 {
            return Err(MemoryError::InvalidRange);
        }
        let phys = frames::allocate(frames)?;
        let slot = NEXT.fetch_add(1, Ordering::Relaxed);
        if (slot + 1) * SLOT > layout::STACKS_SIZE {
            // SAFETY: just allocated, not mapped anywhere.
            unsafe { frames::free(phys, frames) };
            return Err(MemoryError::OutOfAddressSpace);
        }
        let top = layout::STACKS + (slot + 1) * SLOT;
        let bottom = top - (frames * FRAME_SIZE) as u64;
        paging::map_stack(bottom, phys, frames)?;
        Ok(Self { bottom, len: frames * FRAME_SIZE })
    }
    /// One past the highest byte; 16-byte aligned.
    pub fn top(&self) -> usize {
        self.bottom as usize + self.len
    }
    /// The lowest usable byte.
    pub fn bottom(&self) -> usize {
        self.bottom as usize
    }
}

/// Whether a faulting address lies in the guard space of some stack.
pub fn is_guard(address: u64) -> bool {
    let Some(offset) = address.checked_sub(layout::STACKS) else { return false };
    offset < NEXT.load(Ordering::Relaxed) * SLOT
}
