//! Frames and the guards that give access to them.

use alloc::boxed::Box;
use core::{
    ops::Deref,
    sync::atomic::{AtomicU32, Ordering},
};

use pg_page::{Page, ZERO_PAGE};
use platform::{
    power,
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard},
    task,
};

const PIN: u32 = 1;
const PIN_MASK: u32 = (1 << 20) - 1;
const USE: u32 = 1 << 20;
const USE_MASK: u32 = 3 << 20;
pub(crate) const DIRTY: u32 = 1 << 24;
pub(crate) const VALID: u32 = 1 << 25;
pub(crate) const WRITING: u32 = 1 << 26;
pub(crate) const CLAIMED: u32 = 1 << 27;

/// A place for one page.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Pins, recent use, flags.
    state: AtomicU32,
    /// Physical page; 0: none.
    pub tag: AtomicU32,
    /// The page. Memory is taken on first use.
    pub latch: RwLock<Option<Box<Page>>>,
}

impl Frame {
    pub fn new() -> Self {
        Self { state: AtomicU32::new(0), tag: AtomicU32::new(0), latch: RwLock::new(None) }
    }

    /// Pins the frame, unless it is claimed. Marks it as used.
    #[inline]
    pub fn pin(&self) -> bool {
        let mut s = self.state.load(Ordering::Relaxed);
        loop {
            if s & CLAIMED != 0 {
                return false;
            }
            let used = if s & USE_MASK == USE_MASK { s } else { s + USE };
            match self.state.compare_exchange_weak(s, used + PIN, Ordering::Acquire, Ordering::Relaxed) {
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
    pub fn has(&self, flag: u32) -> bool {
        self.state.load(Ordering::Acquire) & flag != 0
    }
    pub fn set(&self, flag: u32) -> bool {
        self.state.fetch_or(flag, Ordering::AcqRel) & flag != 0
    }
    pub fn clear(&self, flag: u32) -> bool {
        self.state.fetch_and(!flag, Ordering::AcqRel) & flag != 0
    }
    /// Claims a frame that nobody pins, dirty or not as asked.
    pub fn claim(&self, even_dirty: bool) -> bool {
        let s = self.state.load(Ordering::Relaxed);
        let busy = PIN_MASK | CLAIMED | WRITING | if even_dirty { 0 } else { DIRTY };
        s & busy == 0 && self.state.compare_exchange(s, CLAIMED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
    /// Ends a claim: pinned once by the claimer, nothing valid in it yet.
    pub fn claimed_to_pinned(&self) {
        self.state.store(USE + PIN, Ordering::Release);
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
