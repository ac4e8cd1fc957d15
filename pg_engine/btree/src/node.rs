//! The layout of a B-tree page, and searching it.
//!
//! ```text
//! 24 lower u16, 26 upper u16     end of slots, start of items
//! 28 level u8                    0: leaf
//! 29 flags u8                    1: the parent has no link to the right neighbour yet
//! 30 prefix u16                  bytes that all keys have in common, not counted in heads
//! 32 left u32, 36 right u32      u32::MAX: none
//! 40 high at u16, len u16        the high fence: key and tid; len 0: none
//! 44 low at u16, len u16         the first bytes of the low fence's key
//! 48 slots, 12 bytes each:       head u64, item at u16, len u16
//! ```
//! An item is key, tid (6 bytes, big-endian) and, above the leaves, the child's block (4 bytes). The first item of the
//! leftmost inner page has an empty key. A child's entries are not less than its item.

use alloc::vec::Vec;
use core::cmp::Ordering;

use pg_page::{PAGE_SIZE, Page, Tid, ops::Ops};

/// A page of the tree.
pub const KIND_BTREE: u8 = 3;
/// Block 0.
pub const KIND_META: u8 = 5;
/// No block.
pub const NONE: u32 = u32::MAX;
/// Longest key: two items and a high fence fit on a page.
pub const MAX_KEY: usize = 2676;

pub(crate) const SLOTS: usize = 48;
pub(crate) const SLOT: usize = 12;
pub(crate) const TID: usize = 6;
const CHILD: usize = 4;
/// Bytes of the low fence that are kept.
const LOW_MAX: usize = 64;
/// Bytes for slots and items.
const ROOM: usize = PAGE_SIZE - SLOTS;
/// The parent lacks a link.
pub const INCOMPLETE: u8 = 1;

/// A tid as it stands in an item.
pub fn tid_bytes(tid: Tid) -> [u8; TID] {
    let b = tid.to_u64().to_be_bytes();
    [b[2], b[3], b[4], b[5], b[6], b[7]]
}

fn read_tid(b: &[u8]) -> Tid {
    let mut w = [0; 8];
    if let Some(b) = b.get(..TID) {
        w[2..].copy_from_slice(b);
    }
    Tid::from_u64(u64::from_be_bytes(w))
}

/// The first eight bytes, zero-padded, as a number that sorts as they do.
#[inline]
pub(crate) fn head(key: &[u8]) -> u64 {
    match key.first_chunk::<8>() {
        Some(b) => u64::from_be_bytes(*b),
        None => {
            let mut b = [0; 8];
            b[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(b)
        }
    }
}

/// A B-tree page for reading.
#[derive(Clone, Copy)]
pub struct Node<'p>(pub &'p Page);

impl<'p> Node<'p> {
    /// 0 for leaves.
    pub fn level(self) -> u8 {
        self.0.0[28]
    }
    /// Marks.
    pub fn flags(self) -> u8 {
        self.0.0[29]
    }
    pub(crate) fn prefix(self) -> usize {
        usize::from(self.0.u16_at(30))
    }
    /// Left neighbour.
    pub fn left(self) -> u32 {
        self.0.u32_at(32)
    }
    /// Right neighbour.
    pub fn right(self) -> u32 {
        self.0.u32_at(36)
    }
    pub(crate) fn lower(self) -> usize {
        usize::from(self.0.u16_at(24))
    }
    pub(crate) fn upper(self) -> usize {
        usize::from(self.0.u16_at(26))
    }
    /// End of the slots and start of the items.
    pub(crate) fn bounds(self) -> (usize, usize) {
        (self.lower(), self.upper())
    }
    /// Where the slots begin.
    pub(crate) const FIRST_SLOT: usize = SLOTS;
    /// Where an item is, and how long.
    pub(crate) fn place(self, i: usize) -> (usize, usize) {
        let at = SLOTS + i * SLOT + 8;
        (usize::from(self.0.u16_at(at)), usize::from(self.0.u16_at(at + 2)))
    }
    /// Do the slots repeat the first bytes of their keys?
    pub(crate) fn heads_match(self) -> bool {
        let prefix = self.prefix();
        (0..self.count()).all(|i| self.slot_head(i) == head(self.key(i).get(prefix..).unwrap_or(&[])))
    }
    /// Number of items.
    #[inline]
    pub fn count(self) -> usize {
        self.lower().min(PAGE_SIZE).saturating_sub(SLOTS) / SLOT
    }
    pub(crate) fn tail(self) -> usize {
        if self.level() == 0 { TID } else { TID + CHILD }
    }
    #[inline]
    fn slot_head(self, i: usize) -> u64 {
        self.0.u64_at(SLOTS + i * SLOT)
    }
    /// An item with everything.
    #[inline]
    pub fn item(self, i: usize) -> &'p [u8] {
        let at = SLOTS + i * SLOT + 8;
        self.0.bytes(usize::from(self.0.u16_at(at)), usize::from(self.0.u16_at(at + 2)))
    }
    /// An item's key.
    #[inline]
    pub fn key(self, i: usize) -> &'p [u8] {
        let item = self.item(i);
        item.get(..item.len().saturating_sub(self.tail())).unwrap_or(&[])
    }
    /// An item's tid.
    #[inline]
    pub fn tid(self, i: usize) -> Tid {
        let item = self.item(i);
        read_tid(item.get(item.len().saturating_sub(self.tail())..).unwrap_or(&[]))
    }
    /// An inner item's child.
    pub fn child(self, i: usize) -> u32 {
        let item = self.item(i);
        let at = item.len().saturating_sub(CHILD);
        item.get(at..).and_then(|b| b.first_chunk()).map_or(NONE, |b| u32::from_le_bytes(*b))
    }
    /// The high fence: the least entry right of this page. None: there is nothing on the right.
    #[inline]
    pub fn high(self) -> Option<(&'p [u8], Tid)> {
        let len = usize::from(self.0.u16_at(42));
        let fence = self.0.bytes(usize::from(self.0.u16_at(40)), len);
        let (key, tid) = fence.split_at_checked(len.checked_sub(TID)?)?;
        Some((key, read_tid(tid)))
    }
    fn high_bytes(self) -> &'p [u8] {
        self.0.bytes(usize::from(self.0.u16_at(40)), usize::from(self.0.u16_at(42)))
    }
    fn low_bytes(self) -> &'p [u8] {
        self.0.bytes(usize::from(self.0.u16_at(44)), usize::from(self.0.u16_at(46)))
    }
    /// Does an entry belong to a page further right?
    #[inline]
    pub fn is_beyond(self, key: &[u8], tid: Tid) -> bool {
        self.high().is_some_and(|(k, t)| (key, tid) >= (k, t))
    }
    /// Number of items less than `(key, tid)`, which must belong to this page.
    #[inline]
    pub fn lower_bound(self, key: &[u8], tid: Tid) -> usize {
        let prefix = self.prefix();
        let rest = key.get(prefix..).unwrap_or(&[]);
        let probe = head(rest);
        let (mut lo, mut hi) = (0, self.count());
        while lo < hi {
            let mid = (lo + hi) / 2;
            let order = match self.slot_head(mid).cmp(&probe) {
                Ordering::Equal => {
                    let mine = self.key(mid).get(prefix..).unwrap_or(&[]);
                    mine.cmp(rest).then_with(|| self.tid(mid).cmp(&tid))
                }
                other => other,
            };
            if order == Ordering::Less {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        lo
    }
    /// The item of the child that covers `(key, tid)`.
    #[inline]
    pub fn child_for(self, key: &[u8], tid: Tid) -> u32 {
        let i = self.lower_bound(key, tid);
        // The first item that is not less is the child's own when it is equal.
        if i < self.count() && self.tid(i) == tid && self.key(i) == key {
            return self.child(i);
        }
        self.child(i.saturating_sub(1))
    }
    /// Would an item of a key that long fit?
    pub fn has_room(self, key_len: usize) -> bool {
        self.upper().saturating_sub(self.lower()) >= SLOT + key_len + self.tail()
    }
    /// Operations that insert an item before item `i`. It must fit.
    pub fn insert_ops(self, ops: &mut Ops, i: usize, key: &[u8], tail: &[u8]) {
        let len = key.len() + tail.len();
        let (lower, upper) = (self.lower(), self.upper() - len);
        let at = SLOTS + i * SLOT;
        if at < lower {
            ops.shift(at, at + SLOT, lower - at);
        }
        let h = head(key.get(self.prefix()..).unwrap_or(&[]));
        ops.write(at, &slot_bytes(h, upper, len));
        ops.write_parts(upper, &[key, tail]);
        let (l, u) = (((lower + SLOT) as u16).to_le_bytes(), (upper as u16).to_le_bytes());
        ops.write(24, &[l[0], l[1], u[0], u[1]]);
    }
    /// Everything about the page, to build another from.
    pub fn draft(self) -> Draft<'p> {
        Draft {
            level: self.level(),
            flags: self.flags(),
            left: self.left(),
            right: self.right(),
            high: self.high_bytes().to_vec(),
            low: self.low_bytes().to_vec(),
            items: (0..self.count()).map(|i| self.item(i)).collect(),
        }
    }
}

pub(crate) fn slot_bytes(head: u64, at: usize, len: usize) -> [u8; SLOT] {
    let mut b = [0; SLOT];
    b[..8].copy_from_slice(&head.to_le_bytes());
    b[8..10].copy_from_slice(&(at as u16).to_le_bytes());
    b[10..].copy_from_slice(&(len as u16).to_le_bytes());
    b
}

/// Operations that change a field of four bytes.
pub fn link_ops(ops: &mut Ops, at: usize, block: u32) {
    ops.write(at, &block.to_le_bytes());
}
/// Place of the left link.
pub const LEFT_AT: usize = 32;
/// Place of the flags.
pub const FLAGS_AT: usize = 29;

/// A page to be written as a whole.
#[derive(Clone, Debug)]
pub struct Draft<'p> {
    /// 0 for leaves.
    pub level: u8,
    /// Marks.
    pub flags: u8,
    /// Left neighbour.
    pub left: u32,
    /// Right neighbour.
    pub right: u32,
    /// High fence, key and tid; empty: none.
    pub high: Vec<u8>,
    /// Low fence's key, or the first bytes of it.
    pub low: Vec<u8>,
    /// In order.
    pub items: Vec<&'p [u8]>,
}

impl Draft<'_> {
    /// Bytes of slots and items.
    pub fn size_of(items: &[&[u8]]) -> usize {
        items.iter().map(|i| i.len() + SLOT).sum()
    }
    /// Does it fit on a page?
    pub fn fits(&self) -> bool {
        Self::size_of(&self.items) + self.high.len() + self.low.len().min(LOW_MAX) <= ROOM
    }
    /// Bytes that fit besides fences.
    pub const ROOM: usize = ROOM - LOW_MAX;

    /// Operations that write the page. It must fit.
    pub fn ops(&self) -> Ops {
        let low = self.low.get(..LOW_MAX).unwrap_or(&self.low);
        let high_key = self.high.get(..self.high.len().saturating_sub(TID)).unwrap_or(&[]);
        let prefix = if self.high.is_empty() {
            0
        } else {
            low.iter().zip(high_key).take_while(|(a, b)| a == b).count()
        };
        let mut page = Page::zeroed();
        let mut upper = PAGE_SIZE;
        let mut place = |page: &mut Page, bytes: &[u8]| {
            upper = upper.saturating_sub(bytes.len());
            page.put(upper, bytes);
            upper
        };
        let high_at = place(&mut page, &self.high);
        let low_at = place(&mut page, low);
        let tail = if self.level == 0 { TID } else { TID + CHILD };
        for (i, item) in self.items.iter().enumerate() {
            let at = place(&mut page, item);
            let key = item.get(..item.len().saturating_sub(tail)).unwrap_or(&[]);
            page.put(SLOTS + i * SLOT, &slot_bytes(head(key.get(prefix..).unwrap_or(&[])), at, item.len()));
        }
        let lower = SLOTS + self.items.len() * SLOT;
        for (at, v) in [
            (24, lower),
            (26, upper),
            (30, prefix),
            (40, high_at),
            (42, self.high.len()),
            (44, low_at),
            (46, low.len()),
        ] {
            page.put(at, &(v as u16).to_le_bytes());
        }
        page.put(28, &[self.level, self.flags]);
        page.put(32, &self.left.to_le_bytes());
        page.put(36, &self.right.to_le_bytes());
        let mut ops = Ops::new();
        ops.format(KIND_BTREE).write(24, page.bytes(24, lower - 24));
        if upper < PAGE_SIZE {
            ops.write(upper, page.bytes(upper, PAGE_SIZE - upper));
        }
        ops
    }
}

/// The shortest fence (key and tid) that is greater than `left` and not greater than `right`, two neighbouring items of a level.
pub fn separator(left: &[u8], right: &[u8], level: u8) -> Vec<u8> {
    let tail = if level == 0 { TID } else { TID + CHILD };
    let key = |item: &'_ [u8]| item.len().saturating_sub(tail);
    let (l, r) = (left.get(..key(left)).unwrap_or(&[]), right.get(..key(right)).unwrap_or(&[]));
    if l == r || level > 0 {
        return right.get(..key(right) + TID).unwrap_or(right).to_vec();
    }
    let common = l.iter().zip(r).take_while(|(a, b)| a == b).count();
    let mut fence = r.get(..common + 1).unwrap_or(r).to_vec();
    fence.extend_from_slice(&tid_bytes(Tid::MIN));
    fence
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use pg_page::{RelId, ops};
    use proptest::prelude::*;

    fn leaf(keys: &[(Vec<u8>, Tid)], low: &[u8], high: &[u8]) -> alloc::boxed::Box<Page> {
        let items: Vec<Vec<u8>> = keys.iter().map(|(k, t)| [k.as_slice(), &tid_bytes(*t)].concat()).collect();
        let draft = Draft {
            level: 0,
            flags: 0,
            left: NONE,
            right: NONE,
            high: high.to_vec(),
            low: low.to_vec(),
            items: items.iter().map(Vec::as_slice).collect(),
        };
        assert!(draft.fits());
        let mut page = Page::zeroed();
        ops::apply(&mut page, RelId(1), 1, draft.ops().as_bytes()).unwrap();
        page
    }

    proptest! {
        #[test]
        fn search_agrees_with_sorting(
            keys in proptest::collection::btree_set((proptest::collection::vec(0u8..4, 0..12), 0u32..3), 0..60),
            probe in proptest::collection::vec(0u8..4, 0..12),
            prefixed in any::<bool>(),
        ) {
            let prefix: &[u8] = if prefixed { b"common" } else { b"" };
            let full = |k: &[u8]| [prefix, k].concat();
            let mut keys: Vec<(Vec<u8>, Tid)> = keys.into_iter().map(|(k, t)| (full(&k), Tid { block: t, slot: 1 })).collect();
            keys.sort();
            let high = if prefixed { [b"common\xff".as_slice(), &tid_bytes(Tid::MIN)].concat() } else { vec![] };
            let page = leaf(&keys, prefix, &high);
            let node = Node(&page);
            let probe = (full(&probe), Tid { block: 1, slot: 1 });
            let want = keys.iter().filter(|k| **k < probe).count();
            prop_assert_eq!(node.lower_bound(&probe.0, probe.1), want);
            for (i, (k, t)) in keys.iter().enumerate() {
                prop_assert_eq!(node.key(i), k.as_slice());
                prop_assert_eq!(node.tid(i), *t);
            }
            // Insertion where the search says keeps the order.
            if !keys.contains(&probe) {
                let mut o = Ops::new();
                node.insert_ops(&mut o, want, &probe.0, &tid_bytes(probe.1));
                let mut page = page;
                ops::apply(&mut page, RelId(1), 1, o.as_bytes()).unwrap();
                keys.insert(want, probe);
                for (i, (k, t)) in keys.iter().enumerate() {
                    prop_assert_eq!(Node(&page).key(i), k.as_slice());
                    prop_assert_eq!(Node(&page).lower_bound(k, *t), i);
                }
            }
        }

        #[test]
        fn separators_separate(a in proptest::collection::vec(any::<u8>(), 0..20), b in proptest::collection::vec(any::<u8>(), 0..20), t in 0u16..3) {
            let item = |k: &[u8], slot| [k, &tid_bytes(Tid { block: 7, slot })].concat();
            let (x, y) = ((a, 1 + t), (b, 2));
            prop_assume!(x < y);
            let s = separator(&item(&x.0, x.1), &item(&y.0, y.1), 0);
            let fence = (s[..s.len() - 6].to_vec(), read_tid(&s[s.len() - 6..]));
            let full = |k: (Vec<u8>, u16)| (k.0, Tid { block: 7, slot: k.1 });
            prop_assert!(full(x) < fence && fence <= full(y));
        }
    }
}
