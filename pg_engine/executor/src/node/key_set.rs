//! Keys that a hash join has a table of, told to the scan of its other side: rows without a match are left out where they are read,
//! by every task that reads.
//!
//! A set may hold more keys than there are, never fewer: the join still looks every row up.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU32, Ordering};

use pg_types::Vector;

use super::groups::integer;

/// Bits of a map by value: keys that lie closer together than this many values each are a map, others are hashed.
const SPREAD: u64 = 256;
/// Most bits of a set.
const MOST_BITS: u64 = 1 << 26;
/// Bits for a key that is hashed.
const BITS_FOR_KEY: u64 = 16;
/// Rows after which a set is judged, and the share of them, in percent, that it must have refused to be worth asking.
const TRIAL: u32 = 16 * 1024;
const WORTH: u32 = 10;

/// A set of integers.
pub(crate) struct KeySet {
    low: i64,
    high: i64,
    bits: Vec<u64>,
    /// Positions are values above `low`; otherwise they come of hashing, `mask` being the number of words less one.
    direct: bool,
    mask: u64,
    asked: AtomicU32,
    refused: AtomicU32,
}

impl KeySet {
    /// Of the values in a column of integers without those that are NULL.
    pub(super) fn of(keys: &Vector, rows: usize) -> Option<Self> {
        let values = || (0..rows).filter(|&i| !keys.is_null(i)).map(|i| integer(keys, keys.index(i)));
        let (mut low, mut high, mut count) = (i64::MAX, i64::MIN, 0_u64);
        for v in values() {
            (low, high, count) = (low.min(v), high.max(v), count + 1);
        }
        let counters = || (AtomicU32::new(0), AtomicU32::new(0));
        let span = high.checked_sub(low).and_then(|s| u64::try_from(s).ok());
        let direct = span.is_some_and(|s| s < MOST_BITS && s / SPREAD <= count);
        let words = match span {
            Some(span) if direct => span / 64 + 1,
            _ => (count.checked_mul(BITS_FOR_KEY)?.min(MOST_BITS) / 64).max(1).next_power_of_two(),
        };
        let (asked, refused) = counters();
        let bits = alloc::vec![0; usize::try_from(words).ok()?];
        let mut set = Self { low, high, bits, direct, mask: words - 1, asked, refused };
        for v in values() {
            let (word, bit) = set.place(v);
            if let Some(w) = set.bits.get_mut(word) {
                *w |= bit;
            }
        }
        Some(set)
    }

    /// Word and bits of a value between the bounds.
    #[inline]
    fn place(&self, v: i64) -> (usize, u64) {
        if self.direct {
            let at = v.wrapping_sub(self.low) as u64;
            return ((at / 64) as usize, 1 << (at % 64));
        }
        let h = (v as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let h = (h ^ (h >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (((h >> 20) & self.mask) as usize, 1 << (h >> 58) | 1 << ((h >> 52) & 63))
    }

    /// May it be among the keys?
    #[inline]
    pub(super) fn admits(&self, v: i64) -> bool {
        if v < self.low || v > self.high {
            return false;
        }
        let (word, bit) = self.place(v);
        self.bits.get(word).is_some_and(|w| w & bit == bit)
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        self.bits.len() * 8
    }

    /// So many rows were asked about, and so many of them refused.
    pub(super) fn note(&self, asked: u32, refused: u32) {
        if self.asked.load(Ordering::Relaxed) < TRIAL {
            self.asked.fetch_add(asked, Ordering::Relaxed);
            self.refused.fetch_add(refused, Ordering::Relaxed);
        }
    }

    /// Is asking it worth the time, as far as is known?
    pub(super) fn is_worth_it(&self) -> bool {
        let asked = self.asked.load(Ordering::Relaxed);
        asked < TRIAL || self.refused.load(Ordering::Relaxed) >= asked / 100 * WORTH
    }
}

/// Which column's values must be among which keys.
#[derive(Clone)]
pub(crate) struct Wanted {
    /// Position in the output of whom it is told.
    pub(crate) column: usize,
    pub(crate) keys: Arc<KeySet>,
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_key_is_refused(base in any::<i64>(), steps in proptest::collection::vec(0..100_000_i64, 0..300)) {
            let keys: Vec<i64> = steps.iter().map(|s| base.wrapping_add(*s)).collect();
            let set = KeySet::of(&Vector::from_i64(keys.clone()), keys.len()).expect("a set");
            for k in keys {
                prop_assert!(set.admits(k));
            }
        }
    }

    #[test]
    fn a_dense_set_is_exact_and_a_sparse_one_refuses_most() {
        let even: Vec<i64> = (0..1000).map(|i| i * 2).collect();
        let set = KeySet::of(&Vector::from_i64(even), 1000).expect("a set");
        assert_eq!((-5..3000).filter(|v| set.admits(*v)).count(), 1000);
        let apart: Vec<i64> = (0..1000).map(|i| i * 1_000_003).collect();
        let set = KeySet::of(&Vector::from_i64(apart), 1000).expect("a set");
        assert!((0..100_000).filter(|i| set.admits(i * 777 + 1)).count() < 5_000);
        let none = KeySet::of(&Vector::from_i64(Vec::new()), 0).expect("a set");
        assert!(!none.admits(0) && !none.admits(i64::MAX));
    }

    #[test]
    fn a_set_that_refuses_nothing_is_not_worth_it() {
        let set = KeySet::of(&Vector::from_i64(Vec::from([1, 2])), 2).expect("a set");
        assert!(set.is_worth_it());
        set.note(TRIAL, TRIAL / 200);
        assert!(!set.is_worth_it());
    }
}
