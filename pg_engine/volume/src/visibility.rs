//! Which pages of a heap everyone sees all of: a bit a page.
//!
//! A bit is set under the page's latch by who has found that every row version on it is visible to every snapshot and that no index
//! entry leads to a dead slot; it is cleared under the exclusive latch before the page is changed. Checkpoints save the
//! bits. Recovery clears the bit of every page that a log record from the checkpoint's start on names, so no bit
//! outlives a change of its page.

use alloc::{boxed::Box, vec::Vec};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use platform::sync::OnceLock;

use crate::codec::{Decoder, Encoder};

/// Pages of the first segment; each further one is twice as large.
const FIRST: u64 = 4096;
const SEGMENTS: usize = 21;
const WORD: u64 = 64;

/// See the module.
#[derive(Debug)]
pub struct VisibilityMap {
    segments: [OnceLock<Box<[AtomicU64]>>; SEGMENTS],
    count: AtomicU32,
}

impl Default for VisibilityMap {
    fn default() -> Self {
        Self { segments: [const { OnceLock::new() }; SEGMENTS], count: AtomicU32::new(0) }
    }
}

/// Segment, word in it, and bit of a page.
#[inline]
fn place(block: u32) -> (usize, usize, u64) {
    let segment = (u64::from(block) / FIRST + 1).ilog2();
    let at = u64::from(block) - ((1 << segment) - 1) * FIRST;
    (segment as usize, (at / WORD) as usize, 1 << (at % WORD))
}

impl VisibilityMap {
    #[inline]
    fn word(&self, block: u32) -> Option<(&AtomicU64, u64)> {
        let (segment, word, bit) = place(block);
        Some((self.segments.get(segment)?.get()?.get(word)?, bit))
    }
    /// Is the page all visible?
    #[inline]
    pub fn get(&self, block: u32) -> bool {
        self.word(block).is_some_and(|(w, bit)| w.load(Ordering::Acquire) & bit != 0)
    }
    /// It is.
    pub fn set(&self, block: u32) {
        let (segment, word, bit) = place(block);
        let Some(cell) = self.segments.get(segment) else { return };
        let words = cell.get_or_init(|| (0..FIRST << segment >> 6).map(|_| AtomicU64::new(0)).collect());
        if let Some(w) = words.get(word)
            && w.fetch_or(bit, Ordering::AcqRel) & bit == 0
        {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }
    /// It is not any more.
    #[inline]
    pub fn clear(&self, block: u32) {
        if let Some((w, bit)) = self.word(block)
            && w.load(Ordering::Acquire) & bit != 0
            && w.fetch_and(!bit, Ordering::AcqRel) & bit != 0
        {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }
    /// How many pages are.
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Saves the bits of the first `blocks` pages: runs of equal words, (length u32, word u64), after their number u32.
    pub fn encode(&self, blocks: u32, e: &mut Encoder) {
        let mut runs: Vec<(u32, u64)> = Vec::new();
        for n in 0..blocks.div_ceil(WORD as u32) {
            let word = self.word(n * WORD as u32).map_or(0, |(w, _)| w.load(Ordering::Acquire));
            match runs.last_mut() {
                Some((len, last)) if *last == word => *len += 1,
                _ => runs.push((1, word)),
            }
        }
        e.u32(runs.len() as u32);
        for (len, word) in runs {
            e.u32(len).u64(word);
        }
    }

    /// Takes up what was saved, for the first `blocks` pages only. None: malformed.
    #[must_use]
    pub fn load(&self, blocks: u32, d: &mut Decoder<'_>) -> Option<()> {
        let mut n = 0u32;
        for _ in 0..d.u32()? {
            let (len, word) = (d.u32()?, d.u64()?);
            let end = n.checked_add(len)?;
            if word != 0 {
                for block in n.saturating_mul(WORD as u32)..end.saturating_mul(WORD as u32).min(blocks) {
                    if word >> (u64::from(block) % WORD) & 1 != 0 {
                        self.set(block);
                    }
                }
            }
            n = end;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    #[test]
    fn places_are_all_different() {
        let (mut segment, mut last) = (0, None);
        for block in 0..100_000u32 {
            let (s, w, b) = place(block);
            let at = (w as u64) * 64 + u64::from(b.trailing_zeros());
            if s != segment {
                assert_eq!((s, at, last), (segment + 1, 0, Some((FIRST << segment) - 1)));
                segment = s;
            }
            last = Some(at);
        }
        let (s, w, _) = place(u32::MAX);
        assert!(s < SEGMENTS && (w as u64) < FIRST << s >> 6);
    }

    proptest! {
        #[test]
        fn bits_are_kept(changes in proptest::collection::vec((0u32..20_000, any::<bool>()), 0..200), blocks in 0u32..20_000) {
            let map = VisibilityMap::default();
            let mut model = BTreeSet::new();
            for (block, set) in changes {
                if set { map.set(block); model.insert(block); } else { map.clear(block); model.remove(&block); }
            }
            prop_assert_eq!(map.count() as usize, model.len());
            let mut e = Encoder::default();
            map.encode(blocks, &mut e);
            let loaded = VisibilityMap::default();
            loaded.load(blocks, &mut Decoder(&e.0)).unwrap();
            for block in 0..20_000 {
                prop_assert_eq!(map.get(block), model.contains(&block));
                prop_assert_eq!(loaded.get(block), model.contains(&block) && block < blocks);
            }
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), blocks in 0u32..5000) {
            let _ = VisibilityMap::default().load(blocks, &mut Decoder(&bytes));
        }
    }
}
