//! NULL bitmaps.

use alloc::vec::Vec;

use super::Nulls;

impl Nulls {
    /// No NULLs.
    pub const fn new() -> Self {
        Self { words: Vec::new() }
    }
    /// Rows `0..rows` are all NULL.
    pub fn all(rows: usize) -> Self {
        let mut words = alloc::vec![u64::MAX; rows / 64];
        if !rows.is_multiple_of(64) {
            words.push((1 << (rows % 64)) - 1);
        }
        Self { words }
    }
    /// True when row `i` is NULL.
    pub fn get(&self, i: usize) -> bool {
        self.words.get(i / 64).is_some_and(|w| w >> (i % 64) & 1 != 0)
    }
    /// Marks row `i` NULL.
    pub fn set(&mut self, i: usize) {
        let word = i / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (i % 64);
    }
    /// Marks row `i` not NULL.
    pub fn clear(&mut self, i: usize) {
        if let Some(w) = self.words.get_mut(i / 64) {
            *w &= !(1 << (i % 64));
        }
    }
    /// True when any row is NULL.
    pub fn any(&self) -> bool {
        self.words.iter().any(|w| *w != 0)
    }
    /// Number of NULL rows.
    pub fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }
    /// Rows NULL in either.
    pub fn union(&self, other: &Self) -> Self {
        let (long, short) = if self.words.len() >= other.words.len() { (self, other) } else { (other, self) };
        let mut words = long.words.clone();
        for (w, o) in words.iter_mut().zip(&short.words) {
            *w |= o;
        }
        Self { words }
    }
    /// Rows NULL in both.
    pub fn intersection(&self, other: &Self) -> Self {
        Self { words: self.words.iter().zip(&other.words).map(|(a, b)| a & b).collect() }
    }
    /// Rows NULL in either operand of a strict function.
    pub fn merge(a: Option<&Self>, b: Option<&Self>) -> Option<Self> {
        match (a, b) {
            (None, None) => None,
            (Some(x), None) | (None, Some(x)) => Some(x.clone()),
            (Some(x), Some(y)) => Some(x.union(y)),
        }
    }
    /// `Some(self)` when any row is NULL.
    pub fn into_option(self) -> Option<Self> {
        self.any().then_some(self)
    }
}
