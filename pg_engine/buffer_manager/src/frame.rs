//! Frames and the guards that give access to them.

use alloc::boxed::Box;
use core::{
    ops::Deref,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::state::FrameWord;
pub(crate) use crate::state::{DIRTY, Interest, VALID, WRITING};
use pg_page::{Page, ZERO_PAGE};
use platform::{
    power,
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard},
    task,
};

/// A place for one page.
#[derive(Debug)]
pub(crate) struct Frame {
    word: FrameWord,
    /// Physical page; 0: none.
    pub tag: AtomicU32,
    /// The page. Memory is taken on first use.
    pub latch: RwLock<Option<Box<Page>>>,
}

impl Deref for Frame {
    type Target = FrameWord;
    #[inline]
    fn deref(&self) -> &FrameWord {
        &self.word
    }
}

impl Frame {
    pub fn new() -> Self {
        Self { word: FrameWord::new(), tag: AtomicU32::new(0), latch: RwLock::new(None) }
    }

    /// Ends a claim: empty.
    pub fn claimed_to_free(&self) {
        self.tag.store(0, Ordering::Release);
        self.word.reset();
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
