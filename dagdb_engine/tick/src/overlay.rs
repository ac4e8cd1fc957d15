//! Single nodes that are not as the layout has them: edited ones at their places, added ones behind all places.

use alloc::collections::{BTreeMap, BTreeSet};
use core::cmp::Reverse;

use crate::layout::{Layout, Row};

/// The nodes that differ from the layout.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    rows: BTreeMap<u32, Row>,
    /// Those that are evaluated, in order.
    order: BTreeSet<(Reverse<u64>, u32)>,
    /// Who among them reads a place.
    readers: BTreeSet<(u32, u32)>,
    /// How many nodes were added.
    added: u32,
}

impl Overlay {
    /// Whether there is no such node.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many nodes the layout does not have.
    pub fn added(&self) -> u32 {
        self.added
    }

    /// The node at a place, if it differs.
    pub fn row(&self, place: u32) -> Option<&Row> {
        self.rows.get(&place)
    }

    /// All of them, by place.
    pub fn rows(&self) -> impl Iterator<Item = (u32, &Row)> + '_ {
        self.rows.iter().map(|(&place, row)| (place, row))
    }

    /// The places in `from..to`.
    pub fn places(&self, from: u32, to: u32) -> impl Iterator<Item = u32> + '_ {
        self.rows.range(from..to).map(|(&place, _)| place)
    }

    /// Those that are evaluated, by falling rank.
    pub fn in_order(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.order.iter().map(|&(Reverse(rank), place)| (rank, place))
    }

    /// Who among them reads a place.
    pub fn readers(&self, place: u32) -> impl Iterator<Item = u32> + '_ {
        self.readers.range((place, 0)..=(place, u32::MAX)).map(|&(_, reader)| reader)
    }

    /// From now on the node at `place` is `row`.
    pub fn put(&mut self, layout: &Layout, place: u32, row: Row) {
        if place as usize >= layout.ids.len() && !self.rows.contains_key(&place) {
            self.added += 1;
        }
        if let Some(old) = self.rows.insert(place, row) {
            self.order.remove(&(Reverse(old.rank), place));
            for source in old.sources {
                self.readers.remove(&(source, place));
            }
        }
        if row.back == 0 {
            self.order.insert((Reverse(row.rank), place));
        }
        for source in row.sources.into_iter().filter(|&s| s != 0) {
            self.readers.insert((source, place));
        }
    }

    /// An estimate of the bytes of memory.
    pub fn memory(&self) -> usize {
        self.rows.len() * (size_of::<Row>() + 4 + 24) + self.readers.len() * 12
    }
}
