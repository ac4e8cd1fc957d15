//! What QEMU's software emulation needs and processors do not.
//!
//! QEMU keeps the translations of each emulated core in a table of 256 entries at first, and looks at how full it was
//! only when the guest flushes its TLB: then it doubles or halves it. A kernel with one address space never flushes, so
//! it would live with 256 entries, and a walk through the page tables for nearly every page of the buffer pool it
//! touches. A flush now and then, when there is work, lets the table grow to what is used.

use crate::time;
use core::{
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// QEMU judges by the most entries that were in use within 100 ms.
const INTERVAL: Duration = Duration::from_millis(40);
/// The clock is read once in so many calls: reading it is slow under emulation.
const CALLS: u32 = 64;

static EMULATED: AtomicBool = AtomicBool::new(false);

/// Finds out whether this is QEMU's emulator. Before the first core runs tasks.
pub(crate) fn detect() {
    EMULATED.store(kernel_simd::emulation::by_qemu(), Ordering::Relaxed);
}

/// One core's part.
#[derive(Default)]
pub(crate) struct Translations {
    calls: Cell<u32>,
    last: Cell<u64>,
}

impl Translations {
    /// To be called whenever the core has had something to do.
    #[inline]
    pub fn worked(&self) {
        let calls = self.calls.get() + 1;
        self.calls.set(calls);
        if calls >= CALLS {
            self.calls.set(0);
            self.flush_if_due();
        }
    }

    #[cold]
    fn flush_if_due(&self) {
        if !EMULATED.load(Ordering::Relaxed) {
            return;
        }
        let now = time::ticks();
        if now.wrapping_sub(self.last.get()) >= time::to_ticks(INTERVAL) {
            self.last.set(now);
            x86_64::instructions::tlb::flush_all();
        }
    }
}
