//! Stacks with unmapped space below.
//!
//! Small ones (interrupts, idle loops) are backed by memory from the start. Task stacks are backed as they grow: the
//! page-fault handler calls [`grow`], which waits for nothing that the interrupted code may hold: it takes a frame of the
//! allocator's, or one of this core's reserve if the fault came from within the allocator or no frame is left. The
//! scheduler refills the reserve ([`refill`]).

use crate::{
    FRAME_SIZE, MemoryError, PhysAddr,
    core_local::{self, MAX_CORES},
    frames, layout, paging,
};
use core::{
    cell::UnsafeCell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// Distance between the starts of two stack slots. The upper half of a slot may hold the stack.
const SLOT: u64 = 16 << 20;

/// The most a task's stack can grow to: how deep statements may nest is measured by it.
pub const TASK_STACK: usize = 8 << 20;

/// What a task's stack has from the start.
const COMMITTED: usize = 16 << 10;

/// Frames a core keeps for stacks that grow inside the allocator or when memory is used up.
const RESERVE: usize = 512;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A mapped stack. Never unmapped: owners keep stacks in pools, so that no core's TLB ever has to be flushed.
#[derive(Debug)]
pub struct Stack {
    top: u64,
}

impl Stack {
    /// Maps a stack of `len` bytes (at most half a slot), physically contiguous, with a guard below.
    pub fn new(len: usize) -> Result<Self, MemoryError> {
        Self::with(len, len)
    }

    /// A stack that grows up to [`TASK_STACK`].
    pub fn growable() -> Result<Self, MemoryError> {
        Self::with(COMMITTED, TASK_STACK)
    }

    fn with(committed: usize, len: usize) -> Result<Self, MemoryError> {
        let frames = committed.div_ceil(FRAME_SIZE);
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
        paging::map_stack(top - (frames * FRAME_SIZE) as u64, phys, frames)?;
        if len > committed {
            GROWABLE.mark(slot);
        }
        Ok(Self { top })
    }

    /// One past the highest byte; 16-byte aligned.
    pub fn top(&self) -> usize {
        self.top as usize
    }
}

/// Which slots hold stacks that grow: a bit each.
struct Slots([AtomicU64; SLOTS / 64]);
/// Slots that can be growable; stacks in later ones cannot be had.
const SLOTS: usize = 1 << 16;

impl Slots {
    fn mark(&self, slot: u64) {
        if let Some(word) = self.0.get(slot as usize / 64) {
            word.fetch_or(1 << (slot % 64), Ordering::Release);
        }
    }
    fn holds(&self, slot: u64) -> bool {
        self.0.get(slot as usize / 64).is_some_and(|w| w.load(Ordering::Acquire) & (1 << (slot % 64)) != 0)
    }
}

static GROWABLE: Slots = Slots([const { AtomicU64::new(0) }; SLOTS / 64]);

/// A core's frames for growing stacks. Used by that core only: by its scheduler, and by its page-fault handler, which
/// never interrupts the scheduler's use (scheduler code runs on committed stack: see [`refill`]).
struct Reserve {
    frames: UnsafeCell<[u64; RESERVE]>,
    len: AtomicUsize,
}

static RESERVES: [AtomicUsize; MAX_CORES] = [const { AtomicUsize::new(0) }; MAX_CORES];

fn reserve() -> Option<&'static Reserve> {
    let at = RESERVES.get(core_local::index())?.load(Ordering::Relaxed);
    // SAFETY: zero, or a block of frames that `init_core` gave this core for ever.
    unsafe { (at as *const Reserve).as_ref() }
}

/// Gives this core its reserve. Once per core, before tasks run on it.
pub fn init_core() -> Result<(), MemoryError> {
    let phys = frames::allocate(size_of::<Reserve>().div_ceil(FRAME_SIZE))?;
    let at = layout::direct(phys.as_u64()) as *mut Reserve;
    // SAFETY: fresh frames, large enough and page aligned.
    unsafe { at.write(Reserve { frames: UnsafeCell::new([0; RESERVE]), len: AtomicUsize::new(0) }) };
    if let Some(slot) = RESERVES.get(core_local::index()) {
        slot.store(at as usize, Ordering::Relaxed);
    }
    refill();
    Ok(())
}

/// Tops this core's reserve up. Called by the scheduler when [`grow`] has taken from it.
///
/// The caller's stack may itself have to grow here: the frame is taken out of the array before the length is changed,
/// so a fault in between (which takes the last frame) sees a consistent reserve, and the loop reads the length anew.
pub fn refill() {
    let Some(reserve) = reserve() else { return };
    while reserve.len.load(Ordering::Relaxed) < RESERVE {
        let Ok(phys) = frames::allocate(1) else { return };
        // Nothing between these lines touches the stack below what is in use.
        let len = reserve.len.load(Ordering::Relaxed);
        // SAFETY: this core's array; `len` is below its end.
        unsafe { (*reserve.frames.get())[len] = phys.as_u64() };
        reserve.len.store(len + 1, Ordering::Relaxed);
    }
}

/// A frame from the allocator, else from this core's reserve.
fn frame() -> Option<PhysAddr> {
    if let Some(frame) = frames::allocate_in_fault() {
        return Some(frame);
    }
    let reserve = reserve()?;
    let last = reserve.len.load(Ordering::Relaxed).checked_sub(1)?;
    // SAFETY: this core's array; `last` is below its length.
    let frame = unsafe { (*reserve.frames.get())[last] };
    reserve.len.store(last, Ordering::Relaxed);
    core_local::current().attention.store(1, Ordering::Relaxed);
    Some(PhysAddr::new(frame))
}

/// Called by the page-fault handler: backs the page of `address` if it belongs to a stack that grows. Waits for
/// nothing that the interrupted code may hold.
/// False: not such a page, or no frame left.
pub fn grow(address: u64) -> bool {
    let Some(offset) = address.checked_sub(layout::STACKS) else { return false };
    if offset % SLOT < SLOT - TASK_STACK as u64 || !GROWABLE.holds(offset / SLOT) {
        return false;
    }
    let Some(page) = frame() else { return false };
    // SAFETY: the page is part of a growable stack, whose pages and page tables (a slot is several whole ones) nobody else
    // maps: only the task running on it faults here.
    unsafe { paging::map_stack_page(address, page, &mut frame) }
}

/// Whether this core's reserve lacks frames.
#[inline]
pub fn needs_refill() -> bool {
    reserve().is_some_and(|r| r.len.load(Ordering::Relaxed) < RESERVE)
}

/// Whether a faulting address lies in stack space that is not backed: an overflow.
pub fn is_guard(address: u64) -> bool {
    let Some(offset) = address.checked_sub(layout::STACKS) else { return false };
    offset < NEXT.load(Ordering::Relaxed) * SLOT
}
