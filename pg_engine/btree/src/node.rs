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
//! 48 slots, 12 bytes each:       head u64, item at u16, len u16 (bit 15: a list)
//! ```
//! An item is key, tid (6 bytes, big-endian) and, above the leaves, the child's block (4 bytes). The first item of the
//! leftmost inner page has an empty key. A child's entries are not less than its item.
//!
//! On a leaf one item may stand for all entries of a key between two tids, a *list*: key, tids in order, their number (u16). An item's
//! place is that of its first tid. Lists are made when a page is full or built ([`Packed`]).
//!
//! A page that was emptied and taken out of the tree ([`DELETED`]) keeps its links and its high fence; in place of slots it has, at 48, the
//! transaction id from which on nobody comes here any more (u64) and the next free page (u32).

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
/// The page is no longer part of the tree: what it covered belongs to the right.
pub const DELETED: u8 = 2;
/// The slot's item is a list.
const LIST: u16 = 1 << 15;
/// Bytes of a list's count.
const COUNT: usize = 2;
/// Longest list, key included.
const LIST_MAX: usize = 1352;
/// Where a deleted page has its transaction id.
pub const FREED_AT: usize = SLOTS;
/// Where a deleted page has the next free one.
pub const NEXT_FREE_AT: usize = SLOTS + 8;

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
        None => short_head(key),
    }
}

/// Of a key shorter than eight bytes: two halves that may overlap, as the same bytes then lie in the same places.
#[inline]
fn short_head(key: &[u8]) -> u64 {
    match (key.first_chunk::<4>(), key.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            let last = u64::from(u32::from_be_bytes(*last)) << (8 * (8 - key.len().min(8)));
            u64::from(u32::from_be_bytes(*first)) << 32 | last
        }
        // First, middle and last of up to three bytes.
        _ => [0, key.len() / 2, key.len().saturating_sub(1)]
            .iter()
            .fold(0, |h, i| h | key.get(*i).map_or(0, |b| u64::from(*b) << (56 - 8 * i))),
    }
}

/// What a slot leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'p> {
    /// With everything.
    pub bytes: &'p [u8],
    /// One key, several tids.
    pub list: bool,
}

impl<'p> Item<'p> {
    /// An item of one entry.
    pub fn single(bytes: &'p [u8]) -> Self {
        Self { bytes, list: false }
    }
    fn tail(self, level: u8) -> usize {
        match (self.list, level) {
            (false, 0) => TID,
            (false, _) => TID + CHILD,
            (true, _) => COUNT + TID * self.entries(),
        }
    }
    /// The key.
    #[inline]
    pub fn key(self, level: u8) -> &'p [u8] {
        self.bytes.get(..self.bytes.len().saturating_sub(self.tail(level))).unwrap_or(&[])
    }
    /// Number of entries.
    #[inline]
    pub fn entries(self) -> usize {
        if !self.list {
            return 1;
        }
        let n = self.bytes.last_chunk().map_or(0, |b| usize::from(u16::from_le_bytes(*b)));
        n.min(self.bytes.len().saturating_sub(COUNT) / TID)
    }
    /// Its first entry's tid.
    #[inline]
    pub fn tid(self, level: u8) -> Tid {
        read_tid(self.bytes.get(self.bytes.len().saturating_sub(self.tail(level))..).unwrap_or(&[]))
    }
    /// The tids of a leaf's item.
    #[inline]
    pub fn tids(self) -> impl DoubleEndedIterator<Item = Tid> + ExactSizeIterator + 'p {
        let start = self.bytes.len().saturating_sub(self.tail(0));
        let end = start + TID * self.entries();
        self.bytes.get(start..end).unwrap_or(&[]).chunks_exact(TID).map(read_tid)
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
        (usize::from(self.0.u16_at(at)), usize::from(self.0.u16_at(at + 2) & !LIST))
    }
    /// Do the slots repeat the first bytes of their keys?
    pub(crate) fn heads_match(self) -> bool {
        let prefix = self.prefix();
        (0..self.count()).all(|i| self.slot_head(i) == head(self.key(i).get(prefix..).unwrap_or(&[])))
    }
    /// Number of items.
    #[inline]
    pub fn count(self) -> usize {
        if self.is_deleted() {
            return 0;
        }
        self.lower().min(PAGE_SIZE).saturating_sub(SLOTS) / SLOT
    }
    pub(crate) fn tail(self) -> usize {
        if self.level() == 0 { TID } else { TID + CHILD }
    }
    /// Was it taken out of the tree?
    #[inline]
    pub fn is_deleted(self) -> bool {
        self.flags() & DELETED != 0
    }
    #[inline]
    fn slot_head(self, i: usize) -> u64 {
        self.0.u64_at(SLOTS + i * SLOT)
    }
    /// An item.
    #[inline]
    pub fn item(self, i: usize) -> Item<'p> {
        let at = SLOTS + i * SLOT + 8;
        let len = self.0.u16_at(at + 2);
        Item {
            bytes: self.0.bytes(usize::from(self.0.u16_at(at)), usize::from(len & !LIST)),
            list: len & LIST != 0,
        }
    }
    /// An item's key.
    #[inline]
    pub fn key(self, i: usize) -> &'p [u8] {
        self.item(i).key(self.level())
    }
    /// An item's (first) tid.
    #[inline]
    pub fn tid(self, i: usize) -> Tid {
        self.item(i).tid(self.level())
    }
    /// Every entry of a leaf.
    pub fn entries(self) -> impl Iterator<Item = (&'p [u8], Tid)> {
        (0..self.count())
            .map(move |i| self.item(i))
            .flat_map(|item| item.tids().map(move |t| (item.key(0), t)))
    }
    /// An inner item's child.
    pub fn child(self, i: usize) -> u32 {
        let item = self.item(i).bytes;
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
        self.is_deleted()
            || self.high().is_some_and(|(k, t)| match key.cmp(k) {
                Ordering::Less => false,
                Ordering::Equal => tid >= t,
                Ordering::Greater => true,
            })
    }
    /// Number of items that begin less than `(key, tid)`, which must belong to this page.
    #[inline]
    pub fn lower_bound(self, key: &[u8], tid: Tid) -> usize {
        let prefix = self.prefix();
        let rest = key.get(prefix..).unwrap_or(&[]);
        let probe = head(rest);
        let slots = self.0.bytes(SLOTS, self.count() * SLOT).as_chunks::<SLOT>().0;
        let (mut lo, mut hi) = (0, slots.len());
        while lo < hi {
            let mid = (lo + hi) / 2;
            let head = slots.get(mid).and_then(|s| s.first_chunk()).map_or(0, |h| u64::from_le_bytes(*h));
            let order = match head.cmp(&probe) {
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
        ops.write(at, &slot_bytes(h, upper, len as u16));
        ops.write_parts(upper, &[key, tail]);
        let (l, u) = (((lower + SLOT) as u16).to_le_bytes(), (upper as u16).to_le_bytes());
        ops.write(24, &[l[0], l[1], u[0], u[1]]);
    }
    /// Operations that add an entry to a leaf; `i`: its [`Node::lower_bound`]. It must fit. False: it is there already.
    pub fn add_ops(self, ops: &mut Ops, i: usize, key: &[u8], tid: Tid) -> bool {
        if i < self.count() && self.tid(i) == tid && self.key(i) == key {
            return false;
        }
        let before = i.checked_sub(1).map(|i| self.item(i)).filter(|b| b.list && b.key(0) == key);
        let Some((before, last)) = before.and_then(|b| Some((b, b.tids().next_back()?))) else {
            self.insert_ops(ops, i, key, &tid_bytes(tid));
            return true;
        };
        if last == tid {
            return false;
        }
        if last < tid {
            self.insert_ops(ops, i, key, &tid_bytes(tid));
            return true;
        }
        // It lies among the list's: it takes a place there and the last one gets an item of its own.
        let at = before.tids().take_while(|t| *t < tid).count();
        if before.tids().nth(at) == Some(tid) {
            return false;
        }
        let start = usize::from(self.0.u16_at(SLOTS + (i - 1) * SLOT + 8)) + key.len();
        let (from, end) = (start + at * TID, start + (before.entries() - 1) * TID);
        if from < end {
            ops.shift(from, from + TID, end - from);
        }
        ops.write(from, &tid_bytes(tid));
        self.insert_ops(ops, i, key, &tid_bytes(last));
        true
    }
    /// Operations that remove an inner page's item `i` and let item `i - 1` lead to its child.
    pub fn absorb_ops(self, ops: &mut Ops, i: usize) {
        let (lower, at) = (self.lower(), SLOTS + i * SLOT);
        let before = SLOTS + (i - 1) * SLOT + 8;
        let end = usize::from(self.0.u16_at(before)) + usize::from(self.0.u16_at(before + 2));
        ops.write(end - CHILD, &self.child(i).to_le_bytes());
        if at + SLOT < lower {
            ops.shift(at + SLOT, at, lower - at - SLOT);
        }
        ops.write(24, &((lower - SLOT) as u16).to_le_bytes());
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

pub(crate) fn slot_bytes(head: u64, at: usize, len: u16) -> [u8; SLOT] {
    let mut b = [0; SLOT];
    b[..8].copy_from_slice(&head.to_le_bytes());
    b[8..10].copy_from_slice(&(at as u16).to_le_bytes());
    b[10..].copy_from_slice(&len.to_le_bytes());
    b
}

/// Operations that change a field of four bytes.
pub fn link_ops(ops: &mut Ops, at: usize, block: u32) {
    ops.write(at, &block.to_le_bytes());
}
/// Place of the left link.
pub const LEFT_AT: usize = 32;
/// Place of the right link.
pub const RIGHT_AT: usize = 36;
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
    pub items: Vec<Item<'p>>,
}

impl Draft<'_> {
    /// Bytes of slots and items.
    pub fn size_of(items: &[Item<'_>]) -> usize {
        items.iter().map(|i| i.bytes.len() + SLOT).sum()
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
        for (i, item) in self.items.iter().enumerate() {
            let at = place(&mut page, item.bytes);
            let head = head(item.key(self.level).get(prefix..).unwrap_or(&[]));
            let len = item.bytes.len() as u16 | if item.list { LIST } else { 0 };
            page.put(SLOTS + i * SLOT, &slot_bytes(head, at, len));
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

/// Entries put together into items, equal keys into lists.
#[derive(Debug, Default)]
pub struct Packed {
    bytes: Vec<u8>,
    /// End of each item, and whether it is a list.
    ends: Vec<(u32, bool)>,
    /// Begin of the last item.
    start: usize,
    tids: usize,
    key: usize,
}

impl Packed {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// Forgets all.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.tids = 0;
    }
    /// All of these, in order.
    pub fn of<'k>(entries: impl Iterator<Item = (&'k [u8], Tid)>) -> Self {
        let mut packed = Self::new();
        for (key, tid) in entries {
            packed.push(&[key], tid);
        }
        packed
    }
    /// Adds an entry whose key comes in parts; it must not be less than those before.
    #[inline]
    pub fn push(&mut self, key: &[&[u8]], tid: Tid) {
        if self.tids > 0 && self.is_last_key(key) {
            self.extend_last(tid);
            return;
        }
        self.start = self.bytes.len();
        for part in key {
            self.bytes.extend_from_slice(part);
        }
        self.key = self.bytes.len() - self.start;
        self.bytes.extend_from_slice(&tid_bytes(tid));
        self.tids = 1;
        self.ends.push((self.bytes.len() as u32, false));
    }
    fn is_last_key(&self, key: &[&[u8]]) -> bool {
        let mut mine = self.bytes.get(self.start..self.start + self.key).unwrap_or(&[]);
        for part in key {
            let Some((head, rest)) = mine.split_at_checked(part.len()) else { return false };
            if head != *part {
                return false;
            }
            mine = rest;
        }
        mine.is_empty()
    }
    fn extend_last(&mut self, tid: Tid) {
        if self.key + (self.tids + 1) * TID + COUNT > LIST_MAX {
            let at = self.bytes.len();
            self.bytes.extend_from_within(self.start..self.start + self.key);
            self.start = at;
            self.bytes.extend_from_slice(&tid_bytes(tid));
            self.tids = 1;
            self.ends.push((self.bytes.len() as u32, false));
            return;
        }
        self.bytes.truncate(self.start + self.key + self.tids * TID);
        self.tids += 1;
        self.bytes.extend_from_slice(&tid_bytes(tid));
        self.bytes.extend_from_slice(&(self.tids as u16).to_le_bytes());
        if let Some(last) = self.ends.last_mut() {
            *last = (self.bytes.len() as u32, true);
        }
    }
    /// The next entry gets an item of its own.
    pub fn break_list(&mut self) {
        self.tids = 0;
    }
    /// Adds an inner page's item.
    pub fn push_link(&mut self, fence: &[u8], child: u32) {
        self.bytes.extend_from_slice(fence);
        self.bytes.extend_from_slice(&child.to_le_bytes());
        self.ends.push((self.bytes.len() as u32, false));
        self.tids = 0;
    }
    /// Number of items.
    pub fn count(&self) -> usize {
        self.ends.len()
    }
    /// Bytes that they take on a page.
    pub fn size(&self) -> usize {
        self.bytes.len() + SLOT * self.ends.len()
    }
    /// Item `i`.
    pub fn item(&self, i: usize) -> Option<Item<'_>> {
        let (end, list) = *self.ends.get(i)?;
        let start = i.checked_sub(1).and_then(|i| self.ends.get(i)).map_or(0, |e| e.0);
        Some(Item { bytes: self.bytes.get(start as usize..end as usize)?, list })
    }
    /// All items.
    pub fn items(&self) -> Vec<Item<'_>> {
        (0..self.count()).filter_map(|i| self.item(i)).collect()
    }
    /// Moves the items from `n` on to another, empty one.
    pub fn split_off(&mut self, n: usize, to: &mut Self) {
        to.clear();
        let at = n.checked_sub(1).and_then(|i| self.ends.get(i)).map_or(0, |e| e.0);
        to.bytes.extend_from_slice(self.bytes.get(at as usize..).unwrap_or(&[]));
        to.ends.extend(self.ends.iter().skip(n).map(|(end, list)| (end - at, *list)));
        if to.ends.is_empty() {
            return;
        }
        // The last item may go on growing there.
        (to.tids, to.key) = (self.tids, self.key);
        to.start = self.start.saturating_sub(at as usize);
        self.bytes.truncate(at as usize);
        self.ends.truncate(n);
        self.tids = 0;
    }
}

/// The shortest fence (key and tid) that is greater than `left` and not greater than `right`, two neighbouring items of a level.
pub fn separator(left: Item<'_>, right: Item<'_>, level: u8) -> Vec<u8> {
    let (l, r) = (left.key(level), right.key(level));
    if l == r || level > 0 {
        return right.bytes.get(..r.len() + TID).unwrap_or(right.bytes).to_vec();
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

    #[test]
    fn heads_are_the_first_bytes_padded_with_zeroes() {
        let key = [0x91, 2, 0xf3, 4, 0x85, 6, 7, 0xff, 9, 10];
        for len in 0..=key.len() {
            let mut padded = [0; 16];
            padded[..len].copy_from_slice(&key[..len]);
            let first = u64::from_be_bytes(padded[..8].try_into().unwrap());
            assert_eq!(head(&key[..len]), first, "{len} bytes");
        }
    }

    fn leaf(keys: &[(Vec<u8>, Tid)], low: &[u8], high: &[u8]) -> alloc::boxed::Box<Page> {
        let items: Vec<Vec<u8>> = keys.iter().map(|(k, t)| [k.as_slice(), &tid_bytes(*t)].concat()).collect();
        let draft = Draft {
            level: 0,
            flags: 0,
            left: NONE,
            right: NONE,
            high: high.to_vec(),
            low: low.to_vec(),
            items: items.iter().map(|i| Item::single(i)).collect(),
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
            let s = separator(Item::single(&item(&x.0, x.1)), Item::single(&item(&y.0, y.1)), 0);
            let fence = (s[..s.len() - 6].to_vec(), read_tid(&s[s.len() - 6..]));
            let full = |k: (Vec<u8>, u16)| (k.0, Tid { block: 7, slot: k.1 });
            prop_assert!(full(x) < fence && fence <= full(y));
        }

        #[test]
        fn lists_hold_what_was_put_in(
            entries in proptest::collection::btree_set((0u8..4, 0u32..300), 1..200),
            more in proptest::collection::vec((0u8..4, 0u32..300), 0..40),
        ) {
            let full = |e: &(u8, u32)| (vec![9, e.0, 0], Tid { block: e.1, slot: 1 });
            let mut model: alloc::collections::BTreeSet<(Vec<u8>, Tid)> = entries.iter().map(full).collect();
            let packed = Packed::of(model.iter().map(|(k, t)| (k.as_slice(), *t)));
            let draft = Draft {
                level: 0, flags: 0, left: NONE, right: NONE, high: vec![], low: vec![], items: packed.items(),
            };
            prop_assert!(draft.fits());
            let mut page = Page::zeroed();
            ops::apply(&mut page, RelId(1), 1, draft.ops().as_bytes()).unwrap();
            for e in &more {
                let (k, t) = full(e);
                let mut o = Ops::new();
                let node = Node(&page);
                if !node.has_room(k.len()) {
                    break;
                }
                let i = node.lower_bound(&k, t);
                prop_assert_eq!(node.add_ops(&mut o, i, &k, t), model.insert((k.clone(), t)));
                ops::apply(&mut page, RelId(1), 1, o.as_bytes()).unwrap();
            }
            let found: Vec<_> = Node(&page).entries().map(|(k, t)| (k.to_vec(), t)).collect();
            let want: Vec<_> = model.into_iter().collect();
            prop_assert_eq!(found, want);
        }
    }
}
