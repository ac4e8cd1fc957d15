//! A heap of deadlines with removal: the earliest is at the front, and every item knows where it is.

use alloc::vec::Vec;

/// Something with a deadline that remembers its position.
pub(crate) trait Item: Copy {
    /// Records the position; `usize::MAX` when it is out of the heap.
    fn set_position(self, position: usize);
    /// The recorded position.
    fn position(self) -> usize;
}

/// Binary heap, earliest deadline first.
pub(crate) struct Timers<I>(Vec<(u64, I)>);

impl<I: Item> Timers<I> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// The earliest deadline.
    pub(crate) fn first(&self) -> Option<u64> {
        self.0.first().map(|e| e.0)
    }

    pub(crate) fn insert(&mut self, deadline: u64, item: I) {
        self.0.push((deadline, item));
        self.up(self.0.len() - 1);
    }

    /// Takes the item out if it is in.
    pub(crate) fn remove(&mut self, item: I) {
        let at = item.position();
        if at < self.0.len() {
            self.take(at);
        }
    }

    /// Takes the earliest item if it is due at `now`.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<I> {
        if self.first()? > now {
            return None;
        }
        Some(self.take(0))
    }

    fn take(&mut self, at: usize) -> I {
        let (_, item) = self.0.swap_remove(at);
        item.set_position(usize::MAX);
        if at < self.0.len() {
            self.down(at);
            self.up(at);
        }
        item
    }

    fn up(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.0[parent].0 <= self.0[at].0 {
                break;
            }
            self.swap(at, parent);
            at = parent;
        }
        self.0[at].1.set_position(at);
    }

    fn down(&mut self, mut at: usize) {
        loop {
            let left = 2 * at + 1;
            if left >= self.0.len() {
                break;
            }
            let right = left + 1;
            let child = if right < self.0.len() && self.0[right].0 < self.0[left].0 { right } else { left };
            if self.0[at].0 <= self.0[child].0 {
                break;
            }
            self.swap(at, child);
            at = child;
        }
        self.0[at].1.set_position(at);
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.0.swap(a, b);
        self.0[a].1.set_position(a);
        self.0[b].1.set_position(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;
    use proptest::prelude::*;

    struct Entry {
        deadline: u64,
        position: Cell<usize>,
    }
    impl Item for &Entry {
        fn set_position(self, position: usize) {
            self.position.set(position);
        }
        fn position(self) -> usize {
            self.position.get()
        }
    }

    proptest! {
        #[test]
        fn deadlines_come_out_in_order_and_removed_ones_do_not(
            deadlines in prop::collection::vec((0u64..50, any::<bool>()), 0..60)
        ) {
            let entries: Vec<Entry> = deadlines
                .iter()
                .map(|d| Entry { deadline: d.0, position: Cell::new(usize::MAX) })
                .collect();
            let mut heap = Timers::new();
            for e in &entries {
                heap.insert(e.deadline, e);
            }
            let mut expected: Vec<u64> = Vec::new();
            for (e, (d, removed)) in entries.iter().zip(&deadlines) {
                if *removed {
                    heap.remove(e);
                    heap.remove(e);
                } else {
                    expected.push(*d);
                }
            }
            expected.sort_unstable();
            let mut got = Vec::new();
            for now in 0..50 {
                while let Some(e) = heap.pop_due(now) {
                    prop_assert!(e.deadline == now);
                    prop_assert_eq!(e.position.get(), usize::MAX);
                    got.push(e.deadline);
                }
            }
            prop_assert_eq!(got, expected);
            prop_assert_eq!(heap.first(), None);
        }
    }
}
