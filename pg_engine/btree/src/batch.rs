//! Inserting many entries at once: those that belong to one leaf with one descent, one latch and one log record.

use alloc::vec::Vec;

use pg_buffer_manager::WriteGuard;
use pg_heap::Heap;
use pg_page::{Tid, Xid, ops::Ops};
use pg_transaction::Work;

use crate::{
    index::{Index, IndexInsert, Result, Unique},
    node::{MAX_KEY, Node, SLOT, SLOTS, TID, head, slot_bytes, tid_bytes},
};

/// An entry to insert.
#[derive(Clone, Copy, Debug)]
pub struct IndexEntry<'k> {
    /// Key.
    pub key: &'k [u8],
    /// The key is what [`carry`] made: only its first part counts in unique checks.
    pub carries: bool,
    /// Row.
    pub tid: Tid,
    /// Check.
    pub unique: Unique,
}

/// Bytes of the length behind a carrying key.
const LENGTH: usize = 2;

/// Ends the key of an index that carries more than it compares by (INCLUDE): `key` begins with `compared` bytes that tell rows
/// apart, and what is carried follows. Their length is put behind, so that unique checks find the border.
///
/// No key may be a proper prefix of another's compared part.
pub fn carry(key: &mut Vec<u8>, compared: usize) {
    key.extend_from_slice(&(compared as u16).to_le_bytes());
}

/// The two parts of a carrying key: what is compared, and what is carried.
pub fn carried(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, len) = key.split_last_chunk::<LENGTH>()?;
    rest.split_at_checked(u16::from_le_bytes(*len).into())
}

impl<'k> IndexEntry<'k> {
    /// One whose key is all there is.
    pub fn plain(key: &'k [u8], tid: Tid, unique: Unique) -> Self {
        Self { key, carries: false, tid, unique }
    }
    /// What unique checks compare.
    pub(crate) fn compared(&self) -> Compared<'k> {
        match carried(self.key).filter(|_| self.carries) {
            Some((key, _)) => Compared { key, prefix: true },
            None => Compared { key: self.key, prefix: false },
        }
    }
}

/// What unique checks compare: a whole key, or what keys begin with.
#[derive(Clone, Copy)]
pub(crate) struct Compared<'k> {
    pub key: &'k [u8],
    prefix: bool,
}

impl Compared<'_> {
    /// Has an entry with this key the same?
    #[inline]
    pub fn is_in(self, key: &[u8]) -> bool {
        if self.prefix { key.starts_with(self.key) } else { key == self.key }
    }
    /// May entries with the same lie right of a page with this high fence?
    #[inline]
    pub fn reaches(self, fence: &[u8]) -> bool {
        fence <= self.key || (self.prefix && fence.starts_with(self.key))
    }
}

impl<'a> Index<'a> {
    /// Adds entries in ascending order of their keys; of equal keys the one that comes first gets it. `taken` is called with the
    /// position of each entry whose check failed ([`IndexInsert::Duplicate`]) and the row that has the key.
    pub fn insert_sorted(
        &self,
        work: &mut Work,
        entries: &[IndexEntry<'_>],
        heap: Option<&Heap<'_>>,
        mut taken: impl FnMut(usize, Tid),
    ) -> Result<()> {
        let xid = work.writing_xid();
        let mut at = 0;
        while let Some(first) = entries.get(at) {
            if first.key.len() <= MAX_KEY {
                self.engine.pool.wal().throttle()?;
                let page = match first.unique {
                    Unique::No => self.leaf_for_write(first.key, first.tid, 0, xid)?,
                    _ => self.leaf_for_write(first.compared().key, Tid::MIN, 0, xid)?,
                };
                let done = self.insert_run(page, entries.get(at..).unwrap_or(&[]), xid);
                if done > 0 {
                    at += done;
                    continue;
                }
            }
            // It needs a split, a look at the rows behind equal keys, a wait, or an error.
            if let IndexInsert::Duplicate { tid } = self.insert(work, first, heap)? {
                taken(at, tid);
            }
            at += 1;
        }
        Ok(())
    }

    /// Adds as many entries from the front as belong to this leaf, fit, and have keys that are not there yet.
    fn insert_run(&self, mut page: WriteGuard<'a>, entries: &[IndexEntry<'_>], xid: Xid) -> usize {
        let node = Node(&page);
        let count = node.count();
        let high = node.high();
        let mut fill = Fill::new(node);
        let mut done = 0;
        let mut before: Option<&IndexEntry<'_>> = None;
        for e in entries {
            // Where nothing is checked, the whole key counts.
            let compared =
                if e.unique == Unique::No { Compared { key: e.key, prefix: false } } else { e.compared() };
            let follows = before.is_none_or(|b| match compared.is_in(b.key) {
                true => is_next(b, e),
                false => b.key < e.key,
            });
            let ends = high.is_some_and(|(k, _)| k <= e.key || compared.reaches(k));
            if e.key.len() > MAX_KEY || !follows || ends || !fill.has_room(e.key) {
                break;
            }
            let place = match before {
                Some(_) if fill.place == count || compared.key < node.key(fill.place) => fill.place,
                _ => node.lower_bound(compared.key, Tid::MIN),
            };
            if place < count && compared.is_in(node.key(place)) {
                break;
            }
            fill.add(place, e.key, e.tid);
            before = Some(e);
            done += 1;
        }
        if done > 0 {
            let ops = fill.finish();
            self.engine.pool.change(xid, &mut [(&mut page, &ops)]);
        }
        done
    }
}

/// May an entry follow another with the same key without a look at the row?
fn is_next(before: &IndexEntry<'_>, e: &IndexEntry<'_>) -> bool {
    e.unique == Unique::No && before.unique == Unique::No && before.tid < e.tid
}

/// Items being added to a leaf: neighbours go in together.
struct Fill {
    ops: Ops,
    prefix: usize,
    lower: usize,
    upper: usize,
    /// Items added before those that are being gathered.
    added: usize,
    /// The place, among the page's own items, of those that are being gathered.
    place: usize,
    /// Head, offset in `items` and length of each.
    slots: Vec<(u64, usize, usize)>,
    items: Vec<u8>,
}

impl Fill {
    fn new(node: Node<'_>) -> Self {
        Self {
            ops: Ops::new(),
            prefix: node.prefix(),
            lower: node.lower(),
            upper: node.upper(),
            added: 0,
            place: 0,
            slots: Vec::new(),
            items: Vec::new(),
        }
    }

    fn has_room(&self, key: &[u8]) -> bool {
        let used = self.slots.len() * SLOT + self.items.len();
        self.upper.saturating_sub(self.lower) >= used + SLOT + key.len() + TID
    }

    fn add(&mut self, place: usize, key: &[u8], tid: Tid) {
        if place != self.place {
            self.flush();
            self.place = place;
        }
        let at = self.items.len();
        self.items.extend_from_slice(key);
        self.items.extend_from_slice(&tid_bytes(tid));
        self.slots.push((head(key.get(self.prefix..).unwrap_or(&[])), at, key.len() + TID));
    }

    fn flush(&mut self) {
        let n = self.slots.len();
        if n == 0 {
            return;
        }
        self.upper -= self.items.len();
        let at = SLOTS + (self.place + self.added) * SLOT;
        if at < self.lower {
            self.ops.shift(at, at + n * SLOT, self.lower - at);
        }
        let mut slots = Vec::with_capacity(n * SLOT);
        for (head, offset, len) in self.slots.drain(..) {
            slots.extend_from_slice(&slot_bytes(head, self.upper + offset, len as u16));
        }
        self.ops.write(at, &slots);
        self.ops.write(self.upper, &self.items);
        self.items.clear();
        self.lower += n * SLOT;
        self.added += n;
    }

    fn finish(mut self) -> Ops {
        self.flush();
        let (l, u) = ((self.lower as u16).to_le_bytes(), (self.upper as u16).to_le_bytes());
        self.ops.write(24, &[l[0], l[1], u[0], u[1]]);
        self.ops
    }
}
