//! What must be evaluated again, and who reads whom.

use alloc::{collections::BTreeSet, vec, vec::Vec};
use core::cmp::Reverse;

use kernel_simd::lookup;

use crate::{
    bits,
    layout::{BLOCK, Layout, Work},
};

/// Who reads a place, for all places of a layout.
#[derive(Clone, Debug, Default)]
pub struct Readers {
    /// Where each place's readers begin; one more than places.
    begins: Vec<u32>,
    readers: Vec<u32>,
}

impl Readers {
    /// The index of a layout; `None` if it has more edges than can be numbered.
    pub fn build(layout: &Layout) -> Option<Self> {
        u32::try_from(layout.wires.len()).ok()?;
        let mut begins = vec![0u32; layout.ids.len() + 1];
        for at in 0..layout.wires.len() {
            let source = layout.wires.get(at).unwrap_or(0) as usize;
            if source != 0
                && let Some(n) = begins.get_mut(source)
            {
                *n += 1;
            }
        }
        let mut sum = 0;
        for n in &mut begins {
            sum += *n;
            *n = sum;
        }
        let mut readers = vec![0; sum as usize];
        // From the last to the first: each begin moves down from its end as it is filled.
        for_each_edge_rev(layout, |source, target| {
            if let Some(n) = begins.get_mut(source as usize) {
                *n -= 1;
                if let Some(slot) = readers.get_mut(*n as usize) {
                    *slot = target;
                }
            }
        });
        Some(Self { begins, readers })
    }

    /// Who reads a place.
    pub fn of(&self, place: u32) -> &[u32] {
        let at = place as usize;
        let (Some(&from), Some(&to)) = (self.begins.get(at), self.begins.get(at + 1)) else { return &[] };
        self.readers.get(from as usize..to as usize).unwrap_or(&[])
    }

    /// Asks for the cache line that says where a place's readers are.
    pub fn prefetch(&self, place: u32) {
        lookup::prefetch(&self.begins, place as usize);
    }

    /// Asks for the first of a place's readers.
    pub fn prefetch_list(&self, place: u32) {
        if let Some(&begin) = self.begins.get(place as usize) {
            lookup::prefetch(&self.readers, begin as usize);
        }
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        (self.begins.capacity() + self.readers.capacity()) * 4
    }
}

/// Calls for every edge of a layout, those of the last places first.
fn for_each_edge_rev(layout: &Layout, mut then: impl FnMut(u32, u32)) {
    for segment in layout.segments.iter().rev() {
        let (Work::Same { arity, wires_at, .. } | Work::Own { arity, wires_at }) = segment.work else {
            continue;
        };
        for block in (0..segment.blocks()).rev() {
            let len = segment.block_len(block);
            for i in (0..len).rev() {
                for slot in 0..arity {
                    let at = wires_at + block * BLOCK * arity + slot * len + i;
                    match layout.wires.get(at) {
                        Some(source) if source != 0 => {
                            then(source, segment.first + (block * BLOCK + i) as u32);
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}

/// Calls for every node of a layout that reads a place, without an index.
pub fn search_readers(layout: &Layout, place: u32, mut then: impl FnMut(u32)) {
    for segment in &layout.segments {
        let (Work::Same { arity, wires_at, .. } | Work::Own { arity, wires_at }) = segment.work else {
            continue;
        };
        if segment.first <= place {
            continue;
        }
        for at in 0..arity * segment.len as usize {
            if layout.wires.get(wires_at + at) == Some(place) {
                let block = at / (BLOCK * arity);
                let i = (at - block * BLOCK * arity) % segment.block_len(block).max(1);
                then(segment.first + (block * BLOCK + i) as u32);
            }
        }
    }
}

/// Places, lowest first.
#[derive(Clone, Debug, Default)]
pub struct PlaceSet {
    /// A bit a place, a bit for each of those words that is not zero, and so on up to one word.
    levels: Vec<Vec<u64>>,
    len: usize,
}

impl PlaceSet {
    /// Empty, for places below `places`.
    pub fn new(places: usize) -> Self {
        let mut levels = Vec::new();
        let mut count = places.max(1);
        loop {
            count = bits::words(count);
            levels.push(vec![0; count]);
            if count == 1 {
                return Self { levels, len: 0 };
            }
        }
    }

    /// Adds a place; says whether it is new.
    #[inline]
    pub fn insert(&mut self, place: u32) -> bool {
        let mut at = place as usize;
        let mut new = false;
        for (n, level) in self.levels.iter_mut().enumerate() {
            let Some(word) = level.get_mut(at >> 6) else { break };
            let was = *word;
            *word |= 1 << (at & 63);
            if n == 0 {
                new = was != *word;
                self.len += usize::from(new);
            }
            if was != 0 {
                break;
            }
            at >>= 6;
        }
        new
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Takes the lowest place.
    #[inline]
    pub fn pop(&mut self) -> Option<u32> {
        self.pop_below(u32::MAX)
    }

    /// Takes the lowest place if it is below `end`.
    #[inline]
    pub fn pop_below(&mut self, end: u32) -> Option<u32> {
        let mut at = 0;
        for level in self.levels.iter().rev() {
            let word = *level.get(at)?;
            if word == 0 {
                return None;
            }
            at = at << 6 | word.trailing_zeros() as usize;
        }
        let place = at as u32;
        if place >= end {
            return None;
        }
        self.len -= 1;
        for level in &mut self.levels {
            let word = level.get_mut(at >> 6)?;
            *word &= !(1 << (at & 63));
            if *word != 0 {
                break;
            }
            at >>= 6;
        }
        Some(place)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.levels.last().and_then(|l| l.first()).is_none_or(|&w| w == 0)
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.levels.iter().map(|l| l.capacity() * 8).sum()
    }
}

/// Nodes that must be evaluated again, in an order in which nobody comes before what it reads.
#[derive(Clone, Debug)]
pub enum Queue {
    /// All of them.
    All,
    /// By place, where that is the order of ranks.
    Places(PlaceSet),
    /// By rank, where an overlay makes places say little.
    Ranks(BTreeSet<(Reverse<u64>, u32)>),
}

impl Queue {
    /// Adds a node.
    #[inline]
    pub fn insert(&mut self, place: u32, rank: impl FnOnce() -> u64) {
        match self {
            Self::All => {}
            Self::Places(set) => {
                set.insert(place);
            }
            Self::Ranks(set) => {
                set.insert((Reverse(rank()), place));
            }
        }
    }

    /// Takes the next node.
    #[inline]
    pub fn pop(&mut self) -> Option<u32> {
        match self {
            Self::All => None,
            Self::Places(set) => set.pop(),
            Self::Ranks(set) => set.pop_first().map(|(_, place)| place),
        }
    }

    /// How many nodes it has at least.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Self::All => 0,
            Self::Places(set) => set.len(),
            Self::Ranks(set) => set.len(),
        }
    }

    /// Whether nothing needs to be evaluated.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::All => false,
            Self::Places(set) => set.is_empty(),
            Self::Ranks(set) => set.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_place_set_is_a_sorted_set(
            places in 1usize..10_000,
            steps in proptest::collection::vec(proptest::option::of(any::<prop::sample::Index>()), 0..300),
        ) {
            let mut set = PlaceSet::new(places);
            let mut model = BTreeSet::new();
            for step in steps {
                match step {
                    Some(index) => {
                        let place = index.index(places) as u32;
                        set.insert(place);
                        model.insert(place);
                    }
                    None => prop_assert_eq!(set.pop(), model.pop_first()),
                }
                prop_assert_eq!(set.is_empty(), model.is_empty());
                prop_assert_eq!(set.len(), model.len());
            }
            while let Some(place) = model.pop_first() {
                prop_assert_eq!(set.pop(), Some(place));
            }
            prop_assert_eq!(set.pop(), None);
        }
    }
}
