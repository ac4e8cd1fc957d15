//! Range scans.

use alloc::vec::Vec;

use pg_page::Tid;

use crate::{
    index::{Index, Result},
    node::{NONE, Node},
};

/// A range end of an index scan over memcomparable keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyBound<'a> {
    /// No limit.
    Unbounded,
    /// Up to and with this key.
    Included(&'a [u8]),
    /// Short of this key.
    Excluded(&'a [u8]),
    /// As `Included`, and with all keys that begin with this prefix (equality on leading columns).
    Prefix(&'a [u8]),
    /// Short of all keys that begin with this prefix.
    ExcludedPrefix(&'a [u8]),
}

/// Order of an index scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanDirection {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

type Entry = (Vec<u8>, Tid);

#[derive(Debug)]
enum Place {
    Start,
    /// The leaf to read next, and the one read before.
    At(u32, u32),
    End,
}

/// Where a range scan is. Between calls it holds nothing but numbers.
#[derive(Debug)]
pub struct Cursor {
    /// Entries not less than this.
    low: Option<Entry>,
    /// Entries less than this.
    high: Option<Entry>,
    direction: ScanDirection,
    place: Place,
}

/// The least string greater than all that begin with `prefix`.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|b| *b != u8::MAX)?;
    let mut next = prefix.get(..=last)?.to_vec();
    if let Some(b) = next.last_mut() {
        *b += 1;
    }
    Some(next)
}

impl Cursor {
    fn new(low: KeyBound<'_>, high: KeyBound<'_>, direction: ScanDirection) -> Self {
        let mut place = Place::Start;
        let low = match low {
            KeyBound::Unbounded => None,
            KeyBound::Included(k) | KeyBound::Prefix(k) => Some((k.to_vec(), Tid::MIN)),
            KeyBound::Excluded(k) => Some((k.to_vec(), Tid::MAX)),
            KeyBound::ExcludedPrefix(k) => match after_prefix(k) {
                Some(next) => Some((next, Tid::MIN)),
                None => {
                    place = Place::End;
                    None
                }
            },
        };
        let high = match high {
            KeyBound::Unbounded => None,
            KeyBound::Included(k) => Some((k.to_vec(), Tid::MAX)),
            KeyBound::Excluded(k) | KeyBound::ExcludedPrefix(k) => Some((k.to_vec(), Tid::MIN)),
            KeyBound::Prefix(k) => after_prefix(k).map(|next| (next, Tid::MIN)),
        };
        Self { low, high, direction, place }
    }
}

impl<'a> Index<'a> {
    /// A scan between two bounds, the lower one first whatever the direction.
    pub fn scan(&self, low: KeyBound<'_>, high: KeyBound<'_>, direction: ScanDirection) -> Cursor {
        Cursor::new(low, high, direction)
    }

    /// Gives the entries of the next leaf that has any. False at the end.
    pub fn next(&self, cursor: &mut Cursor, mut entry: impl FnMut(&[u8], Tid)) -> Result<bool> {
        loop {
            let given = match (&cursor.place, cursor.direction) {
                (Place::End, _) => return Ok(false),
                (_, ScanDirection::Forward) => self.forward(cursor, &mut entry)?,
                (_, ScanDirection::Backward) => self.backward(cursor, &mut entry)?,
            };
            if given {
                return Ok(true);
            }
        }
    }

    fn forward(&self, cursor: &mut Cursor, entry: &mut impl FnMut(&[u8], Tid)) -> Result<bool> {
        let empty = (Vec::new(), Tid::MIN);
        let low = cursor.low.as_ref().unwrap_or(&empty);
        let (page, mut i) = match cursor.place {
            Place::At(block, _) => (self.read(block, 0)?, 0),
            _ => {
                let (_, page) = self.leaf(&low.0, low.1)?;
                let i = Node(&page).lower_bound(&low.0, low.1);
                (page, i)
            }
        };
        let node = Node(&page);
        let n = node.count();
        let first = i;
        let end = match &cursor.high {
            // The whole page is below the bound: its fence is.
            Some((k, t)) if !node.is_beyond(k, *t) => node.lower_bound(k, *t),
            _ => n,
        };
        while i < end {
            let item = node.item(i);
            let key = item.key(0);
            item.tids().for_each(|tid| entry(key, tid));
            i += 1;
        }
        let more = match (&cursor.high, node.high()) {
            _ if node.is_deleted() => true,
            (_, None) => false,
            (Some((k, t)), Some(fence)) => (k.as_slice(), *t) > fence,
            (None, Some(_)) => true,
        };
        cursor.place = if more { Place::At(node.right(), NONE) } else { Place::End };
        Ok(i > first)
    }

    fn backward(&self, cursor: &mut Cursor, entry: &mut impl FnMut(&[u8], Tid)) -> Result<bool> {
        let neighbour = match cursor.place {
            Place::At(block, from) => {
                let page = self.read(block, 0)?;
                // It may have been split since, or taken out of the tree: then the way down finds what is left to give.
                let node = Node(&page);
                (node.right() == from && !node.is_deleted()).then_some((block, page))
            }
            _ => None,
        };
        let (block, page, whole) = match (neighbour, &cursor.high) {
            (Some((block, page)), _) => (block, page, true),
            (None, Some((k, t))) => {
                let (block, page) = self.leaf(k, *t)?;
                (block, page, false)
            }
            (None, None) => {
                let (block, page) = self.rightmost()?;
                (block, page, true)
            }
        };
        let node = Node(&page);
        let mut end = node.count();
        if let (false, Some((k, t))) = (whole, &cursor.high) {
            end = node.lower_bound(k, *t);
        }
        let begin = match &cursor.low {
            None => 0,
            Some((k, t)) => {
                // The bound may lie left of this page: then every item is above it.
                (0..end).take_while(|i| (node.key(*i), node.tid(*i)) < (k.as_slice(), *t)).count()
            }
        };
        // Entries may have been put together since with one that was given.
        let limit = cursor.high.as_ref().filter(|_| !whole);
        for i in (begin..end).rev() {
            let item = node.item(i);
            let key = item.key(0);
            let fresh = |tid: &Tid| limit.is_none_or(|(k, t)| (key, *tid) < (k.as_slice(), *t));
            item.tids().rev().filter(fresh).for_each(|tid| entry(key, tid));
        }
        if begin < end {
            // What comes next is less than what was given.
            let (key, tid) = (node.key(begin), node.tid(begin));
            match &mut cursor.high {
                Some((k, t)) => {
                    k.clear();
                    k.extend_from_slice(key);
                    *t = tid;
                }
                none => *none = Some((key.to_vec(), tid)),
            }
        }
        cursor.place =
            if begin > 0 || node.left() == NONE { Place::End } else { Place::At(node.left(), block) };
        Ok(end > begin)
    }

    fn rightmost(&self) -> Result<(u32, pg_buffer_manager::ReadGuard<'a>)> {
        let (mut block, mut level) = self.root()?;
        loop {
            let page = self.read(block, level)?;
            let node = Node(&page);
            if node.right() != NONE {
                block = node.right();
            } else if level == 0 {
                return Ok((block, page));
            } else {
                block = node.child(node.count().saturating_sub(1));
                level -= 1;
            }
        }
    }
}
