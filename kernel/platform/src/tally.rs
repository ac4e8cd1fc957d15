//! What the running task did, counted by the task itself: for statements that are asked what they cost.
//!
//! Counts only grow; whoever wants to know what something cost reads them before and after. A task that has others work for
//! it takes over what they counted ([`take_over`]).

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Tally {
    /// Pages found in the cache.
    PageHit,
    /// Pages read from the device.
    PageRead,
    /// Pages that had no changes before.
    PageDirtied,
    /// Pages written to make room.
    PageWritten,
    /// Temporary pages read.
    TemporaryRead,
    /// Temporary pages written.
    TemporaryWritten,
    /// Records of the log.
    LogRecords,
    /// Images of pages in them.
    LogImages,
    /// Bytes of the log.
    LogBytes,
}

/// How many things are counted.
pub const KINDS: usize = 9;

/// Counts of all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallies(pub [u64; KINDS]);

impl Tallies {
    /// One count.
    pub fn of(&self, what: Tally) -> u64 {
        self.0.get(what as usize).copied().unwrap_or(0)
    }
    /// What was counted since `before` was read.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut out = *self;
        out.0.iter_mut().zip(before.0).for_each(|(n, b)| *n = n.wrapping_sub(b));
        out
    }
    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(n, o)| *n = n.wrapping_add(o));
    }
}

#[cfg(not(intralith_platform = "metal"))]
mod counts {
    use core::cell::Cell;

    use super::{KINDS, Tallies};

    std::thread_local! {
        static COUNTS: [Cell<u64>; KINDS] = const { [const { Cell::new(0) }; KINDS] };
    }

    #[inline]
    pub(super) fn count(kind: usize, n: u64) {
        let _ = COUNTS.try_with(|c| {
            if let Some(count) = c.get(kind) {
                count.set(count.get().wrapping_add(n));
            }
        });
    }

    pub(super) fn read() -> Tallies {
        COUNTS
            .try_with(|c| Tallies(core::array::from_fn(|kind| c.get(kind).map_or(0, Cell::get))))
            .unwrap_or_default()
    }
}

#[cfg(intralith_platform = "metal")]
mod counts {
    use super::Tallies;

    #[inline]
    pub(super) fn count(kind: usize, n: u64) {
        kernel_task::count(kind, n);
    }

    pub(super) fn read() -> Tallies {
        let mut out = Tallies::default();
        out.0.iter_mut().enumerate().for_each(|(kind, n)| *n = kernel_task::counted(kind));
        out
    }
}

/// Counts for the running task. A few instructions, no atomic ones.
#[inline]
pub fn count(what: Tally, n: u64) {
    counts::count(what as usize, n);
}

/// What the running task counted since it began.
pub fn read() -> Tallies {
    counts::read()
}

/// Counts what another task did for this one.
pub fn take_over(done: &Tallies) {
    for (kind, n) in done.0.iter().enumerate().filter(|(_, n)| **n > 0) {
        counts::count(kind, *n);
    }
}

#[cfg(all(test, not(intralith_platform = "metal")))]
mod tests {
    use super::*;

    #[test]
    fn each_task_counts_for_itself() {
        let before = read();
        count(Tally::PageHit, 2);
        let other = crate::task::spawn("other", || {
            count(Tally::PageHit, 5);
            read()
        });
        let other = other.join().unwrap();
        assert_eq!(other.of(Tally::PageHit), 5);
        assert_eq!(read().since(&before).of(Tally::PageHit), 2);
        take_over(&other);
        assert_eq!(read().since(&before).of(Tally::PageHit), 7);
    }
}
