//! The block that GS points to on every core.
//!
//! Tasks are switched only at calls into the scheduler, so code that does not call it stays on its core and may use
//! the core's block without a lock. Interrupt stubs touch only the two `pending` words.

use core::{
    arch::asm,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

/// The most cores that are started; further ones stay parked in firmware.
pub const MAX_CORES: usize = 256;

/// What every core has. The layout is known to assembly: see the offsets beside each field.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct CoreLocal {
    /// 0: its own address.
    pub self_ptr: AtomicUsize,
    /// 8: index of the core, dense from zero.
    pub index: AtomicU32,
    /// 12: the local APIC's identifier.
    pub apic_id: AtomicU32,
    /// 16: the heap's cache of this core.
    pub heap: AtomicUsize,
    /// 24: something waits for the scheduler (interrupt, remote wake-up, due timer). Cleared by the scheduler.
    pub attention: AtomicU64,
    /// 32: one bit per vector that fired and was not seen yet by the scheduler.
    pub pending: [AtomicU64; 4],
    /// 64: the task running now (owned by `kernel_task`).
    pub task: AtomicUsize,
    /// 72: the scheduler's state (owned by `kernel_task`).
    pub scheduler: AtomicUsize,
    /// 80: this core holds the frame allocator, is about to take it or has just let go of it (owned by `frames`).
    pub at_frames: AtomicBool,
}

impl CoreLocal {
    /// A block for core `index`.
    pub const fn new(index: u32, apic_id: u32) -> Self {
        Self {
            self_ptr: AtomicUsize::new(0),
            index: AtomicU32::new(index),
            apic_id: AtomicU32::new(apic_id),
            heap: AtomicUsize::new(0),
            attention: AtomicU64::new(0),
            pending: [const { AtomicU64::new(0) }; 4],
            task: AtomicUsize::new(0),
            scheduler: AtomicUsize::new(0),
            at_frames: AtomicBool::new(false),
        }
    }
}

static BLOCKS: [AtomicPtr<CoreLocal>; MAX_CORES] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CORES];
static READY: AtomicBool = AtomicBool::new(false);

/// Makes `block` this core's block.
///
/// # Safety
/// Runs once on each core, in ring 0, before any other function of this module on that core, and no other core uses
/// the same block.
pub unsafe fn install(block: &'static CoreLocal) {
    block.self_ptr.store(core::ptr::from_ref(block) as usize, Ordering::Relaxed);
    x86_64::registers::model_specific::GsBase::write(x86_64::VirtAddr::from_ptr(block));
    let index = block.index.load(Ordering::Relaxed) as usize;
    if let Some(slot) = BLOCKS.get(index) {
        slot.store(core::ptr::from_ref(block).cast_mut(), Ordering::Release);
    }
    READY.store(true, Ordering::Release);
}

/// Whether the boot core has its block (from then on every core gets one before it runs anything else).
#[inline]
pub fn ready() -> bool {
    READY.load(Ordering::Relaxed)
}

/// This core's block. Must not be kept across a call that may switch tasks: the task may go on on another core.
#[inline]
pub fn current() -> &'static CoreLocal {
    let p: usize;
    // SAFETY: reads memory only; GS points to the core's block from the first moments of the core's life
    // (`install`), and the block is 'static. Not `pure`: the answer changes when the task moves to another core.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) p, options(nostack, preserves_flags, readonly));
        &*(p as *const CoreLocal)
    }
}

/// Index of this core.
#[inline]
pub fn index() -> usize {
    let i: u32;
    // SAFETY: as in `current`.
    unsafe { asm!("mov {0:e}, gs:[8]", out(reg) i, options(nostack, preserves_flags, readonly)) };
    i as usize
}

/// The block of core `index`, if it has been started.
#[inline]
pub fn of(index: usize) -> Option<&'static CoreLocal> {
    let p = BLOCKS.get(index)?.load(Ordering::Acquire);
    // SAFETY: non-null slots hold addresses of 'static blocks stored by `install`.
    unsafe { p.as_ref() }
}
