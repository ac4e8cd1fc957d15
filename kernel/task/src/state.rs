//! The words that decide who runs: a task's state, and which cores halt. Nothing but the words is here, so that they can be tried
//! under every interleaving (`tests/loom`).

#[cfg(not(loom))]
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Not started, or ended: its block waits to be used again.
pub(crate) const FREE: u8 = 0;
/// On a core (or about to be).
pub(crate) const RUNNING: u8 = 1;
/// On a core, and woken since: the next park returns at once.
const NOTIFIED: u8 = 2;
/// Off every core and every queue until woken.
const PARKED: u8 = 3;
/// On a run queue.
pub(crate) const QUEUED: u8 = 4;

/// A task's state.
#[derive(Debug)]
pub(crate) struct TaskState(AtomicU8);

impl TaskState {
    pub(crate) fn new(state: u8) -> Self {
        Self(AtomicU8::new(state))
    }

    /// A core takes it, from a run queue. A read-modify-write: what a waker did before it saw "queued" is visible to the task from
    /// here on.
    pub(crate) fn run(&self) {
        self.0.swap(RUNNING, Ordering::SeqCst);
    }

    /// Its owner is about to put it on a run queue. A read-modify-write as well: a waker may just have confirmed "notified".
    pub(crate) fn queue(&self) {
        self.0.swap(QUEUED, Ordering::SeqCst);
    }

    /// It has ended.
    pub(crate) fn free(&self) {
        self.0.store(FREE, Ordering::SeqCst);
    }

    /// It wants to park: was it woken since it last did? Then it need not.
    pub(crate) fn take_notice(&self) -> bool {
        self.0.compare_exchange(NOTIFIED, RUNNING, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// It has parked, and is off its stack. True: it was woken meanwhile, and the caller has to queue it.
    #[must_use]
    pub(crate) fn park(&self) -> bool {
        let notified = self.0.compare_exchange(RUNNING, PARKED, Ordering::SeqCst, Ordering::SeqCst).is_err();
        if notified {
            self.queue();
        }
        notified
    }

    /// Wakes it. True: it was parked, and the caller has to queue it.
    #[must_use]
    pub(crate) fn wake(&self) -> bool {
        let mut state = self.0.load(Ordering::SeqCst);
        loop {
            let next = match state {
                // What is so already must be confirmed by a write, so that the task's own write comes after what we did before.
                RUNNING | NOTIFIED => NOTIFIED,
                PARKED | QUEUED => QUEUED,
                _ => return false,
            };
            match self.0.compare_exchange_weak(state, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(was) => return was == PARKED,
                Err(now) => state = now,
            }
        }
    }
}

/// Of 64 cores: those that halt or are about to. Whoever takes one out sends the wake-up.
#[derive(Debug)]
pub(crate) struct HaltedCores(AtomicU64);

impl HaltedCores {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }
    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// This core is about to halt: it looks for work once more after this.
    pub(crate) fn enter(&self, core: usize) {
        self.0.fetch_or(1 << (core % 64), Ordering::SeqCst);
    }

    /// It does not halt, or no more.
    pub(crate) fn leave(&self, core: usize) {
        self.take(core);
    }

    /// Takes a core out; whether it was in.
    pub(crate) fn take(&self, core: usize) -> bool {
        let bit = 1 << (core % 64);
        self.0.fetch_and(!bit, Ordering::SeqCst) & bit != 0
    }

    /// Takes any core out.
    pub(crate) fn take_any(&self) -> Option<usize> {
        let mut bits = self.0.load(Ordering::SeqCst);
        while bits != 0 {
            let core = bits.trailing_zeros() as usize;
            if self.take(core) {
                return Some(core);
            }
            bits &= bits - 1;
        }
        None
    }
}
