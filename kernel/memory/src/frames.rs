//! The frame allocator: physically contiguous runs of 4 KiB frames.
//!
//! Two levels. A bitmap has one bit for each 2 MiB block that is free as a whole; runs of any length are found there
//! by first fit from the bottom. Below that a buddy allocator serves runs shorter than 2 MiB, taking blocks from the
//! top of memory so that the bottom stays contiguous, and giving a block back once all of it is free again. A run
//! whose length is not a power of two costs exactly its length: the tail returns at once.
//!
//! The buddy's lists live in the free frames themselves; the only other cost is one byte per frame.

use crate::{FRAME_SIZE, MemoryError, PhysAddr, core_local, layout};
use core::sync::atomic::{Ordering, compiler_fence};
use spin::Mutex;

/// Frames per 2 MiB block.
const BLOCK: usize = 512;
/// Buddy orders 0..=8: runs of 1 to 256 frames.
const ORDERS: usize = 9;
const NONE: u32 = u32::MAX;
/// State byte: frame is not the head of a free run.
const TAKEN: u8 = 0xff;

/// Links of a free run, kept in its first frame.
#[repr(C)]
#[derive(Clone, Copy)]
struct Links {
    next: u32,
    prev: u32,
}

/// The allocator over frames `0..state.len()`, frame `i` being addressable at `base + i * FRAME_SIZE`.
#[derive(Debug)]
pub struct FrameAllocator {
    base: usize,
    /// Per frame: the order of the free run that starts here, or [`TAKEN`].
    state: &'static mut [u8],
    /// Per 2 MiB block: one bit, set when the block is free as a whole.
    blocks: &'static mut [u64],
    heads: [u32; ORDERS],
    free: usize,
    total: usize,
}

impl FrameAllocator {
    /// Bytes of bookkeeping for `frames` frames: (state, blocks).
    pub const fn bookkeeping(frames: usize) -> (usize, usize) {
        (frames, frames.div_ceil(BLOCK).div_ceil(64) * 8)
    }

    /// An allocator with nothing free. `blocks` holds a bit for each block of `state`'s frames.
    ///
    /// # Safety
    /// Every frame later passed to [`Self::free`] is writable memory at `base + frame * FRAME_SIZE` that nobody else
    /// uses while it is free.
    pub unsafe fn new(base: usize, state: &'static mut [u8], blocks: &'static mut [u64]) -> Self {
        state.fill(TAKEN);
        blocks.fill(0);
        Self { base, state, blocks, heads: [NONE; ORDERS], free: 0, total: 0 }
    }

    /// Frames free now.
    pub fn free_frames(&self) -> usize {
        self.free
    }
    /// Frames under management.
    pub fn total_frames(&self) -> usize {
        self.total
    }

    /// Puts `count` frames from `first` under management, free.
    ///
    /// # Safety
    /// As for [`Self::new`]; the frames were not under management.
    pub unsafe fn add(&mut self, first: usize, count: usize) {
        self.total += count;
        // SAFETY: the caller hands the frames over.
        unsafe { self.free(first, count) };
    }

    /// Takes `count` contiguous frames; the first one's number.
    pub fn allocate(&mut self, count: usize) -> Option<usize> {
        if count == 0 || count > self.free {
            return None;
        }
        let first = if count > BLOCK / 2 {
            self.take_blocks(count.div_ceil(BLOCK))?
        } else {
            self.take_run(count.next_power_of_two().trailing_zeros() as usize)?
        };
        let got = if count > BLOCK / 2 { count.div_ceil(BLOCK) * BLOCK } else { count.next_power_of_two() };
        self.free -= got;
        if got > count {
            // SAFETY: the tail of the run just taken belongs to nobody else.
            unsafe { self.free(first + count, got - count) };
        }
        Some(first)
    }

    /// Gives `count` frames from `first` back, whatever runs they were allocated as.
    ///
    /// # Safety
    /// The frames are allocated, by [`Self::allocate`], and nothing refers to them any more.
    pub unsafe fn free(&mut self, first: usize, count: usize) {
        let end = first + count;
        assert!(end <= self.state.len(), "frames outside memory");
        self.free += count;
        let mut at = first;
        while at < end {
            let aligned = if at == 0 { ORDERS } else { at.trailing_zeros() as usize };
            let fits = (end - at).ilog2() as usize;
            let order = aligned.min(fits).min(ORDERS);
            if order == ORDERS {
                self.put_block(at / BLOCK);
            } else {
                self.put_run(at, order);
            }
            at += 1 << order;
        }
    }

    fn take_run(&mut self, order: usize) -> Option<usize> {
        let from = (order..ORDERS).find(|&o| self.heads[o] != NONE);
        let (frame, mut have) = match from {
            Some(o) => {
                let frame = self.heads[o] as usize;
                self.unlink(frame, o);
                (frame, o)
            }
            None => (self.take_top_block()?, ORDERS),
        };
        while have > order {
            have -= 1;
            self.link(frame + (1 << have), have);
        }
        Some(frame)
    }

    fn put_run(&mut self, mut frame: usize, mut order: usize) {
        assert!(self.state[frame] == TAKEN, "frame freed twice");
        while order < ORDERS {
            let buddy = frame ^ (1 << order);
            if self.state.get(buddy) != Some(&(order as u8)) {
                self.link(frame, order);
                return;
            }
            self.unlink(buddy, order);
            frame &= buddy;
            order += 1;
        }
        self.put_block(frame / BLOCK);
    }

    fn put_block(&mut self, block: usize) {
        let bit = 1 << (block % 64);
        assert!(self.blocks[block / 64] & bit == 0, "block freed twice");
        self.blocks[block / 64] |= bit;
    }

    fn take_top_block(&mut self) -> Option<usize> {
        let word = self.blocks.iter().rposition(|w| *w != 0)?;
        let bit = 63 - self.blocks[word].leading_zeros() as usize;
        self.blocks[word] &= !(1 << bit);
        Some((word * 64 + bit) * BLOCK)
    }

    /// First fit of `n` free blocks in a row.
    fn take_blocks(&mut self, n: usize) -> Option<usize> {
        let mut run = 0;
        let mut index = 0;
        let end = self.blocks.len() * 64;
        while index < end {
            let word = self.blocks[index / 64];
            if index % 64 == 0 && word == 0 {
                run = 0;
                index += 64;
                continue;
            }
            run = if word & (1 << (index % 64)) != 0 { run + 1 } else { 0 };
            index += 1;
            if run == n {
                for b in index - n..index {
                    self.blocks[b / 64] &= !(1 << (b % 64));
                }
                return Some((index - n) * BLOCK);
            }
        }
        None
    }

    fn links(&self, frame: usize) -> *mut Links {
        (self.base + frame * FRAME_SIZE) as *mut Links
    }

    fn link(&mut self, frame: usize, order: usize) {
        let next = self.heads[order];
        // SAFETY: `frame` is free and so its memory is ours (contract of `new`).
        unsafe { self.links(frame).write(Links { next, prev: NONE }) };
        if next != NONE {
            // SAFETY: `next` is the head of a free list, hence free.
            unsafe { (*self.links(next as usize)).prev = frame as u32 };
        }
        self.heads[order] = frame as u32;
        self.state[frame] = order as u8;
    }

    fn unlink(&mut self, frame: usize, order: usize) {
        // SAFETY: `frame` heads a free run (its state says so), so its memory holds links.
        let Links { next, prev } = unsafe { self.links(frame).read() };
        if next != NONE {
            // SAFETY: neighbours on a list are free runs.
            unsafe { (*self.links(next as usize)).prev = prev };
        }
        if prev == NONE {
            self.heads[order] = next;
        } else {
            // SAFETY: neighbours on a list are free runs.
            unsafe { (*self.links(prev as usize)).next = next };
        }
        self.state[frame] = TAKEN;
    }
}

static FRAMES: Mutex<Option<FrameAllocator>> = Mutex::new(None);

/// Runs `f` on the allocator. Meanwhile this core is marked: [`allocate_in_fault`] on it must not wait for the lock.
fn with<R>(f: impl FnOnce(&mut Option<FrameAllocator>) -> R) -> R {
    if !core_local::ready() {
        return f(&mut FRAMES.lock());
    }
    // Only this core reads its mark, in a fault: the compiler alone could put things out of order. Nothing here switches
    // tasks, so the core stays the same.
    let at = &core_local::current().at_frames;
    at.store(true, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    let result = f(&mut FRAMES.lock());
    compiler_fence(Ordering::SeqCst);
    at.store(false, Ordering::Relaxed);
    result
}

/// Installs the machine's allocator.
pub fn install(allocator: FrameAllocator) {
    with(|f| *f = Some(allocator));
}

/// Takes `count` physically contiguous frames; their content is undefined.
pub fn allocate(count: usize) -> Result<PhysAddr, MemoryError> {
    let first = with(|f| f.as_mut().and_then(|f| f.allocate(count))).ok_or(MemoryError::OutOfFrames)?;
    Ok(PhysAddr::new((first * FRAME_SIZE) as u64))
}

/// One frame, for the page-fault handler: none if the code that faulted is inside the allocator itself. Another core that
/// is inside is waited for: it waits for nothing meanwhile.
pub(crate) fn allocate_in_fault() -> Option<PhysAddr> {
    if core_local::current().at_frames.load(Ordering::Relaxed) {
        return None;
    }
    let first = FRAMES.lock().as_mut()?.allocate(1)?;
    Some(PhysAddr::new((first * FRAME_SIZE) as u64))
}

/// Gives frames back.
///
/// # Safety
/// The frames were allocated (in any grouping) by [`allocate`], and nothing refers to them any more.
pub unsafe fn free(phys: PhysAddr, count: usize) {
    with(|f| {
        if let Some(f) = f {
            // SAFETY: passed on to the caller.
            unsafe { f.free(phys.as_u64() as usize / FRAME_SIZE, count) };
        }
    });
}

/// One zeroed frame, for page tables.
pub(crate) fn allocate_zeroed() -> Result<PhysAddr, MemoryError> {
    let phys = allocate(1)?;
    // SAFETY: the frame is ours and writable through the direct map.
    unsafe { (layout::direct(phys.as_u64()) as *mut u8).write_bytes(0, FRAME_SIZE) };
    Ok(phys)
}

/// How much memory there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameStats {
    /// Bytes under management.
    pub total: usize,
    /// Bytes free.
    pub free: usize,
}

/// Memory counts.
pub fn stats() -> FrameStats {
    with(|f| {
        f.as_ref().map_or(FrameStats::default(), |f| FrameStats {
            total: f.total_frames() * FRAME_SIZE,
            free: f.free_frames() * FRAME_SIZE,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{boxed::Box, vec, vec::Vec};
    use proptest::prelude::*;

    fn allocator(frames: usize, first: usize) -> FrameAllocator {
        // Only the first bytes of a frame are touched, but the arena must be as large as the range claims.
        let arena = Box::leak(vec![0u64; frames * FRAME_SIZE / 8].into_boxed_slice());
        let (state, blocks) = FrameAllocator::bookkeeping(frames);
        let state = Box::leak(vec![0u8; state].into_boxed_slice());
        let blocks = Box::leak(vec![0u64; blocks / 8].into_boxed_slice());
        // SAFETY: the arena covers all frames and belongs to the allocator for good.
        let mut a = unsafe { FrameAllocator::new(arena.as_mut_ptr() as usize, state, blocks) };
        // SAFETY: as above; added once.
        unsafe { a.add(first, frames - first) };
        a
    }

    #[test]
    fn all_memory_comes_back_and_coalesces() {
        let mut a = allocator(4 * BLOCK, 3);
        let total = a.free_frames();
        let mut taken = Vec::new();
        while let Some(f) = a.allocate(1) {
            taken.push(f);
        }
        assert_eq!(taken.len(), total);
        assert_eq!(a.free_frames(), 0);
        for f in taken {
            // SAFETY: allocated above, freed once.
            unsafe { a.free(f, 1) };
        }
        assert_eq!(a.free_frames(), total);
        assert_eq!(a.allocate(3 * BLOCK), Some(BLOCK));
    }

    #[test]
    fn long_runs_cost_their_length() {
        let mut a = allocator(8 * BLOCK, 0);
        assert_eq!(a.allocate(5 * BLOCK + 1), Some(0));
        assert_eq!(a.free_frames(), 3 * BLOCK - 1);
        assert_eq!(a.allocate(2 * BLOCK), Some(6 * BLOCK));
        assert_eq!(a.allocate(BLOCK), None);
        assert_eq!(a.allocate(0), None);
    }

    proptest! {
        #[test]
        fn runs_never_overlap(ops in prop::collection::vec((1usize..1500, any::<bool>(), any::<prop::sample::Index>()), 1..80)) {
            const FRAMES: usize = 6 * BLOCK;
            let mut a = allocator(FRAMES, 7);
            let total = a.free_frames();
            let mut owner = vec![false; FRAMES];
            let mut live: Vec<(usize, usize)> = Vec::new();
            for (count, free, pick) in ops {
                if free && !live.is_empty() {
                    let (first, n) = live.swap_remove(pick.index(live.len()));
                    owner[first..first + n].fill(false);
                    // SAFETY: allocated in this test, freed once.
                    unsafe { a.free(first, n) };
                } else if let Some(first) = a.allocate(count) {
                    prop_assert!(first >= 7 && first + count <= FRAMES);
                    prop_assert!(owner[first..first + count].iter().all(|o| !o));
                    owner[first..first + count].fill(true);
                    live.push((first, count));
                }
                let used: usize = live.iter().map(|l| l.1).sum();
                prop_assert_eq!(a.free_frames(), total - used);
            }
        }
    }
}
