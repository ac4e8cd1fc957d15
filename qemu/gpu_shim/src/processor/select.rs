//! The least of many.

use std::collections::BinaryHeap;

/// The least pairs of those offered.
pub struct Best {
    wanted: usize,
    heap: BinaryHeap<(u64, u64)>,
    /// No pair with a key above it gets in.
    bound: u64,
}

impl Best {
    /// Of so many.
    pub fn new(wanted: usize) -> Self {
        Self {
            wanted,
            heap: BinaryHeap::with_capacity(wanted + 1),
            bound: if wanted == 0 { 0 } else { u64::MAX },
        }
    }

    /// Takes a pair if it is among the least so far.
    #[inline]
    pub fn offer(&mut self, key: u64, row: u64) {
        if key <= self.bound {
            self.insert(key, row);
        }
    }

    fn insert(&mut self, key: u64, row: u64) {
        self.heap.push((key, row));
        if self.heap.len() > self.wanted {
            self.heap.pop();
        }
        if self.heap.len() == self.wanted
            && let Some(&(key, _)) = self.heap.peek()
        {
            self.bound = key;
        }
    }

    /// Them, least first.
    pub fn sorted(self) -> Vec<(u64, u64)> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_least_are_kept(pairs in prop::collection::vec((0..20u64, any::<u64>()), 0..200), wanted in 0..30usize) {
            let mut best = Best::new(wanted);
            for &(key, row) in &pairs {
                best.offer(key, row);
            }
            let mut all = pairs;
            all.sort_unstable();
            all.truncate(wanted);
            prop_assert_eq!(best.sorted(), all);
        }
    }
}
