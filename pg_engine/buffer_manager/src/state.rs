//! The state of a frame in one word: pins, recent use, flags, hits. Nothing but the word is here, so that it can be tried under every
//! interleaving (`tests/loom`).

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};

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

/// The word.
#[derive(Debug)]
pub(crate) struct FrameWord(AtomicU64);

impl FrameWord {
    pub fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub fn state(&self) -> FrameState {
        FrameState(self.0.load(Ordering::Acquire))
    }

    /// Pins the frame, unless it is claimed.
    #[inline]
    pub fn pin(&self, interest: Interest) -> bool {
        let mut s = self.0.load(Ordering::Relaxed);
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
            match self.0.compare_exchange_weak(s, s.wrapping_add(add), Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => s = now,
            }
        }
    }
    #[inline]
    pub fn unpin(&self) {
        let before = self.0.fetch_sub(PIN, Ordering::Release);
        debug_assert!(before & PIN_MASK != 0);
    }
    pub fn has(&self, flag: u64) -> bool {
        self.0.load(Ordering::Acquire) & flag != 0
    }
    pub fn set(&self, flag: u64) -> bool {
        self.0.fetch_or(flag, Ordering::AcqRel) & flag != 0
    }
    pub fn clear(&self, flag: u64) -> bool {
        self.0.fetch_and(!flag, Ordering::AcqRel) & flag != 0
    }
    /// Claims a frame that nobody pins, dirty or not as asked. Gives what its state was.
    pub fn claim(&self, even_dirty: bool) -> Option<FrameState> {
        let s = self.0.load(Ordering::Relaxed);
        let busy = PIN_MASK | CLAIMED | WRITING | if even_dirty { 0 } else { DIRTY };
        let free =
            s & busy == 0 && self.0.compare_exchange(s, CLAIMED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        free.then_some(FrameState(s))
    }
    /// Ends a claim as if it had not been.
    pub fn unclaim(&self, was: FrameState) {
        self.0.store(was.0, Ordering::Release);
    }
    /// Ends a claim: pinned once by the claimer, nothing valid in it yet.
    pub fn claimed_to_pinned(&self, used: bool) {
        self.0.store(if used { USE + PIN } else { PIN }, Ordering::Release);
    }
    /// Ends a claim: empty.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Release);
    }
    /// One step of the clock: true if the frame may be taken, else its use fades.
    pub fn tick(&self) -> bool {
        let s = self.0.load(Ordering::Relaxed);
        if s & (PIN_MASK | CLAIMED) != 0 {
            return false;
        }
        if s & USE_MASK != 0 {
            let _ = self.0.compare_exchange(s, s - USE, Ordering::Relaxed, Ordering::Relaxed);
            return false;
        }
        true
    }
}
