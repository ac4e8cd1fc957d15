//! Frames and the guards that give access to them.

use alloc::boxed::Box;
use core::{
    ops::Deref,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use pg_page::{Page, ZERO_PAGE};
use platform::{
    power,
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard},
    task,
};

const PIN: u64 = 1;
const PIN_MASK: u64 = (1 << 20) - 1;
const USE: u64 = 1 << 20;
const USE_MASK: u64 = 3 << 20;
pub(crate) const DIRTY: u64 = 1 << 24;
pub(crate) const VALID: u64 = 1 << 25;
pub(crate) const WRITING: u64 = 1 << 26;
pub(crate) const CLAIMED: u64 = 1 << 27;
/// The upper half counts hits: they cost nothing beyond the pin, and no two cores meet for them that do not meet anyway.
const HIT: u64 = 1 << 32;

/// How a page is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Someone uses it: a hit, and a reason to keep it.
    Use,
    /// A pass over much data: a hit, but no reason to keep it.
    Pass,
    /// The cache's own business.
    None,
}

/// A place for one page.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Pins, recent use, flags, hits.
    state: AtomicU64,
    /// Physical page; 0: none.
    pub tag: AtomicU32,
    /// The page. Memory is taken on first use.
    pub latch: RwLock<Option<Box<Page>>>,
}

/// What a frame's state says, for views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameState(u64);

impl FrameState {
    pub fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }
    pub fn usage(self) -> u8 {
        ((self.0 & USE_MASK) / USE) as u8
    }
    pub fn pins(self) -> u32 {
        (self.0 & PIN_MASK) as u32
    }
    pub fn hits(self) -> u64 {
        self.0 / HIT
    }
    /// Nobody has used it since the clock hand passed, and nobody pins it.
    pub fn cold(self) -> bool {
        self.0 & (PIN_MASK | USE_MASK | CLAIMED) == 0
    }
}

impl Frame {
    pub fn new() -> Self {
        Self { state: AtomicU64::new(0), tag: AtomicU32::new(0), latch: RwLock::new(None) }
    }

    pub fn state(&self) -> FrameState {
        FrameState(self.state.load(Ordering::Acquire))
    }

    /// Pins the frame, unless it is claimed.
    #[inline]
    pub fn pin(&self, interest: Interest) -> bool {
        let mut s = self.state.load(Ordering::Relaxed);
        loop {
            if s & CLAIMED != 0 {
                return false;
            }
            let add = match interest {
                Interest::Use if s & USE_MASK != USE_MASK => USE + PIN + HIT,
                Interest::Use | Interest::Pass => PIN + HIT,
                Interest::None => PIN,
            };
            // Hits may wrap around.
            match self.state.compare_exchange_weak(
                s,
                s.wrapping_add(add),
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => s = now,
            }
        }
    }
    #[inline]
    pub fn unpin(&self) {
        let before = self.state.fetch_sub(PIN, Ordering::Release);
        debug_assert!(before & PIN_MASK != 0);
    }
    pub fn has(&self, flag: u64) -> bool {
        self.state.load(Ordering::Acquire) & flag != 0
    }
    pub fn set(&self, flag: u64) -> bool {
        self.state.fetch_or(flag, Ordering::AcqRel) & flag != 0
    }
    pub fn clear(&self, flag: u64) -> bool {
        self.state.fetch_and(!flag, Ordering::AcqRel) & flag != 0
    }
    /// Claims a frame that nobody pins, dirty or not as asked. Gives what its state was.
    pub fn claim(&self, even_dirty: bool) -> Option<FrameState> {
        let s = self.state.load(Ordering::Relaxed);
        let busy = PIN_MASK | CLAIMED | WRITING | if even_dirty { 0 } else { DIRTY };
        let free = s & busy == 0
            && self.state.compare_exchange(s, CLAIMED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        free.then_some(FrameState(s))
    }
    /// Ends a claim as if it had not been.
    pub fn unclaim(&self, was: FrameState) {
        self.state.store(was.0, Ordering::Release);
    }
    /// Ends a claim: pinned once by the claimer, nothing valid in it yet.
    pub fn claimed_to_pinned(&self, used: bool) {
        self.state.store(if used { USE + PIN } else { PIN }, Ordering::Release);
    }
    /// Ends a claim: empty.
    pub fn claimed_to_free(&self) {
        self.tag.store(0, Ordering::Release);
        self.state.store(0, Ordering::Release);
    }
    /// One step of the clock: true if the frame may be taken, else its use fades.
    pub fn tick(&self) -> bool {
        let s = self.state.load(Ordering::Relaxed);
        if s & (PIN_MASK | CLAIMED) != 0 {
            return false;
        }
        if s & USE_MASK != 0 {
            let _ = self.state.compare_exchange(s, s - USE, Ordering::Relaxed, Ordering::Relaxed);
            return false;
        }
        true
    }
}

/// A pin without a latch.
pub(crate) struct Pin<'a>(pub &'a Frame);

impl Drop for Pin<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.unpin();
    }
}

/// Shared access to a page.
pub struct ReadGuard<'a> {
    // Released before the pin: fields drop in order.
    pub(crate) guard: RwLockReadGuard<'a, Option<Box<Page>>>,
    pub(crate) _pin: Pin<'a>,
}

impl Deref for ReadGuard<'_> {
    type Target = Page;
    #[inline]
    fn deref(&self) -> &Page {
        self.guard.as_deref().unwrap_or(&ZERO_PAGE)
    }
}

/// Exclusive access to a page.
pub struct WriteGuard<'a> {
    pub(crate) watch: PanicWatch,
    pub(crate) guard: RwLockWriteGuard<'a, Option<Box<Page>>>,
    pub(crate) pin: Pin<'a>,
}

/// Stops the machine when it is dropped by a panic.
pub(crate) struct PanicWatch;

impl Drop for PanicWatch {
    #[inline]
    fn drop(&mut self) {
        if task::panicking() {
            power::fatal("panic with a page latched for writing");
        }
    }
}

impl Deref for WriteGuard<'_> {
    type Target = Page;
    #[inline]
    fn deref(&self) -> &Page {
        self.guard.as_deref().unwrap_or(&ZERO_PAGE)
    }
}

impl WriteGuard<'_> {
    /// The page itself. For hints, which are not logged and may be lost, and for this crate.
    pub fn hint_mut(&mut self) -> &mut Page {
        let _ = &self.watch;
        self.guard.get_or_insert_with(Page::zeroed)
    }
    pub(crate) fn frame(&self) -> &Frame {
        self.pin.0
    }
}
