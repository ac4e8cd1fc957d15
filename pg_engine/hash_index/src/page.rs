//! The layout of a hash index's pages.
//!
//! ```text
//! of a bucket:                              of block 0:                   of a directory page:
//! 24 lower u16, 26 upper u16                the same                      the same
//! 28 depth u8   bits that name the bucket   40 buckets u32                48 primary page of each bucket, u32
//! 29 marks u8   1 filling, 2 splitting      44 first free page u32
//! 30 role u8    1 primary, 2 overflow,      48 free pages u32
//!               3 free                      52 directory pages u32
//! 32 bucket u32                             56 their blocks, u32 each
//! 36 next u32   overflow or free page;
//!               u32::MAX: none
//! 48 entries, 14 bytes each, ordered: hash u64, tid (6 bytes, big-endian)
//! ```
//! A page that was added and never given a role (a crash came in between) is blank: role 0.

use alloc::vec::Vec;

use pg_page::{PAGE_SIZE, Page, Tid, ops::Ops};

/// Block 0.
pub const KIND_META: u8 = 6;
/// Names primary pages.
pub const KIND_DIRECTORY: u8 = 7;
/// Has entries, or is free.
pub const KIND_BUCKET: u8 = 8;
/// No block.
pub const NONE: u32 = u32::MAX;

/// The first page of a bucket.
pub const PRIMARY: u8 = 1;
/// A further page of a bucket.
pub const OVERFLOW: u8 = 2;
/// On the free list.
pub const FREE: u8 = 3;

/// Entries still have to come from the bucket that was split.
pub const FILLING: u8 = 1;
/// Entries still have to go to the new bucket.
pub const SPLITTING: u8 = 2;

const HEADER: usize = 24;
const ENTRIES: usize = 48;
const ENTRY: usize = 14;
/// Entries of a page.
pub const CAPACITY: usize = (PAGE_SIZE - ENTRIES) / ENTRY;

/// Buckets that a directory page names.
pub const PER_DIRECTORY: u32 = ((PAGE_SIZE - ENTRIES) / 4) as u32;
/// Most directory pages.
pub const MAX_DIRECTORIES: u32 = ((PAGE_SIZE - META_BLOCKS) / 4) as u32;
/// Most buckets.
pub const MAX_BUCKETS: u32 = PER_DIRECTORY * MAX_DIRECTORIES;

pub(crate) const META_BUCKETS: usize = 40;
pub(crate) const META_FREE: usize = 44;
pub(crate) const META_FREE_COUNT: usize = 48;
pub(crate) const META_DIRECTORIES: usize = 52;
const META_BLOCKS: usize = 56;

/// A hash and a row.
pub type Entry = (u64, Tid);

/// A mask of so many bits.
#[inline]
pub(crate) fn low_bits(depth: u8) -> u32 {
    1u32.checked_shl(depth.into()).map_or(u32::MAX, |b| b - 1)
}

/// The bucket that the first `depth` bits of a hash name.
#[inline]
pub fn address(hash: u64, depth: u8) -> u32 {
    hash.reverse_bits() as u32 & low_bits(depth)
}

/// The bucket of a hash where there are `buckets`.
#[inline]
pub fn bucket_of(hash: u64, buckets: u32) -> u32 {
    let level = buckets.max(1).ilog2() as u8;
    let bucket = address(hash, level + 1);
    if bucket < buckets { bucket } else { address(hash, level) }
}

/// The bucket that was split to make this one.
pub fn parent_of(bucket: u32) -> u32 {
    bucket.checked_ilog2().map_or(0, |top| bucket & !(1 << top))
}

/// How many bits name a bucket where there are so many.
pub fn depth_of(bucket: u32, buckets: u32) -> u8 {
    let level = buckets.max(1).ilog2();
    let split = bucket >= 1 << level || bucket + (1 << level) < buckets;
    (level + u32::from(split)) as u8
}

/// A page of a bucket for reading.
#[derive(Clone, Copy)]
pub struct Bucket<'p>(pub &'p Page);

impl<'p> Bucket<'p> {
    /// Bits that name the bucket.
    pub fn depth(self) -> u8 {
        self.0.0[28]
    }
    /// [`FILLING`], [`SPLITTING`].
    pub fn marks(self) -> u8 {
        self.0.0[29]
    }
    /// What the page is to its bucket.
    pub fn role(self) -> u8 {
        self.0.0[30]
    }
    /// Whose page it is.
    pub fn bucket(self) -> u32 {
        self.0.u32_at(32)
    }
    /// The next page.
    pub fn next(self) -> u32 {
        self.0.u32_at(36)
    }
    /// The bucket that still waits for entries of an interrupted split: this one, or the one that it was split for.
    pub(crate) fn waiting(self) -> Option<u32> {
        match self.marks() {
            m if m & FILLING != 0 => Some(self.bucket()),
            m if m & SPLITTING != 0 => {
                Some(self.bucket() | low_bits(self.depth()) & !(low_bits(self.depth()) >> 1))
            }
            _ => None,
        }
    }
    /// Number of entries.
    #[inline]
    pub fn count(self) -> usize {
        (usize::from(self.0.u16_at(24)).saturating_sub(ENTRIES) / ENTRY).min(CAPACITY)
    }
    /// Is its end where an entry ends?
    pub(crate) fn in_bounds(self) -> bool {
        let lower = usize::from(self.0.u16_at(24));
        lower == ENTRIES + self.count() * ENTRY && usize::from(self.0.u16_at(26)) == PAGE_SIZE
    }
    /// An entry's hash.
    #[inline]
    pub fn hash(self, i: usize) -> u64 {
        self.0.u64_at(ENTRIES + i * ENTRY)
    }
    /// An entry's row.
    #[inline]
    pub fn tid(self, i: usize) -> Tid {
        let mut w = [0; 8];
        if let Some(b) = self.0.bytes(ENTRIES + i * ENTRY + 8, 6).first_chunk::<6>() {
            w[2..].copy_from_slice(b);
        }
        Tid::from_u64(u64::from_be_bytes(w))
    }
    /// All entries.
    pub fn entries(self) -> impl Iterator<Item = Entry> + 'p {
        (0..self.count()).map(move |i| (self.hash(i), self.tid(i)))
    }
    /// Number of entries with a hash less than this.
    #[inline]
    pub fn lower_bound(self, hash: u64) -> usize {
        let (mut lo, mut hi) = (0, self.count());
        while lo < hi {
            let mid = (lo + hi) / 2;
            if self.hash(mid) < hash {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        lo
    }
    /// Does a hash belong to the bucket?
    #[inline]
    pub fn covers(self, hash: u64) -> bool {
        address(hash, self.depth()) == self.bucket()
    }
    /// Where the entries begin whose next bit is set.
    pub fn half(self, depth: u8) -> usize {
        // All share the bits before it.
        let shift = 63 - u32::from(depth.min(63));
        let (mut lo, mut hi) = (0, self.count());
        while lo < hi {
            let mid = (lo + hi) / 2;
            if self.hash(mid) >> shift & 1 == 0 {
                lo = mid + 1;
            } else {
                hi = mid;
            }
        }
        lo
    }
    /// Room for another entry?
    #[inline]
    pub fn has_room(self) -> bool {
        self.count() < CAPACITY
    }
    /// Operations that add an entry; there must be room. False: it is there.
    pub fn add_ops(self, ops: &mut Ops, (hash, tid): Entry) -> bool {
        let (n, mut i) = (self.count(), self.lower_bound(hash));
        while i < n && self.hash(i) == hash && self.tid(i) < tid {
            i += 1;
        }
        if i < n && (self.hash(i), self.tid(i)) == (hash, tid) {
            return false;
        }
        let at = ENTRIES + i * ENTRY;
        if i < n {
            ops.shift(at, at + ENTRY, (n - i) * ENTRY);
        }
        ops.write(at, &entry_bytes((hash, tid)));
        self.end_ops(ops, n + 1);
        true
    }
    /// Operations that leave the first `n` entries.
    pub fn end_ops(self, ops: &mut Ops, n: usize) {
        ops.write(24, &((ENTRIES + n * ENTRY) as u16).to_le_bytes());
    }
    /// Operations that replace the entries.
    pub fn content_ops(self, ops: &mut Ops, entries: &[Entry]) {
        self.end_ops(ops, entries.len());
        if !entries.is_empty() {
            ops.write(ENTRIES, &entries_bytes(entries));
        }
    }
}

fn entry_bytes((hash, tid): Entry) -> [u8; ENTRY] {
    let mut b = [0; ENTRY];
    b[..8].copy_from_slice(&hash.to_le_bytes());
    b[8..].copy_from_slice(&tid.to_u64().to_be_bytes()[2..]);
    b
}

fn entries_bytes(entries: &[Entry]) -> Vec<u8> {
    entries.iter().flat_map(|e| entry_bytes(*e)).collect()
}

/// Operations that set the depth.
pub fn depth_ops(ops: &mut Ops, depth: u8) {
    ops.write(28, &[depth]);
}
/// Operations that set the marks.
pub fn marks_ops(ops: &mut Ops, marks: u8) {
    ops.write(29, &[marks]);
}
/// Operations that set the next page.
pub fn next_ops(ops: &mut Ops, next: u32) {
    ops.write(36, &next.to_le_bytes());
}

/// A page to be written as a whole.
pub struct Draft<'e> {
    /// Bits that name the bucket.
    pub depth: u8,
    /// Marks.
    pub marks: u8,
    /// What the page is to its bucket.
    pub role: u8,
    /// Whose page it is.
    pub bucket: u32,
    /// The next page.
    pub next: u32,
    /// In order.
    pub entries: &'e [Entry],
}

impl Draft<'_> {
    /// Operations that write it.
    pub fn ops(&self) -> Ops {
        let mut header = [0; ENTRIES - HEADER];
        let lower = (ENTRIES + self.entries.len() * ENTRY) as u16;
        header[..2].copy_from_slice(&lower.to_le_bytes());
        header[2..4].copy_from_slice(&(PAGE_SIZE as u16).to_le_bytes());
        header[4..7].copy_from_slice(&[self.depth, self.marks, self.role]);
        header[8..12].copy_from_slice(&self.bucket.to_le_bytes());
        header[12..16].copy_from_slice(&self.next.to_le_bytes());
        let mut ops = Ops::new();
        ops.format(KIND_BUCKET).write_parts(HEADER, &[&header, &entries_bytes(self.entries)]);
        ops
    }
}

/// Block 0 for reading.
#[derive(Clone, Copy)]
pub struct Meta<'p>(pub &'p Page);

impl Meta<'_> {
    /// Number of buckets.
    pub fn buckets(self) -> u32 {
        self.0.u32_at(META_BUCKETS).clamp(1, MAX_BUCKETS)
    }
    /// First page of the free list.
    pub fn free(self) -> u32 {
        self.0.u32_at(META_FREE)
    }
    /// Length of the free list.
    pub fn free_count(self) -> u32 {
        self.0.u32_at(META_FREE_COUNT)
    }
    /// Number of directory pages.
    pub fn directories(self) -> u32 {
        self.0.u32_at(META_DIRECTORIES).min(MAX_DIRECTORIES)
    }
    /// Block of a directory page.
    pub fn directory(self, i: u32) -> u32 {
        if i < self.directories() { self.0.u32_at(META_BLOCKS + i as usize * 4) } else { 0 }
    }
    /// Operations that add directory pages behind `n`.
    pub fn directory_ops(ops: &mut Ops, n: u32, blocks: &[u32]) {
        let bytes: Vec<u8> = blocks.iter().flat_map(|b| b.to_le_bytes()).collect();
        let count = n + blocks.len() as u32;
        let end = (META_BLOCKS + count as usize * 4) as u16;
        ops.write(META_BLOCKS + n as usize * 4, &bytes);
        ops.write(META_DIRECTORIES, &count.to_le_bytes());
        bounds_ops(ops, end);
    }
}

/// Operations that say where what is in use of a page ends.
fn bounds_ops(ops: &mut Ops, lower: u16) {
    let (l, u) = (lower.to_le_bytes(), (PAGE_SIZE as u16).to_le_bytes());
    ops.write(24, &[l[0], l[1], u[0], u[1]]);
}

/// Operations that enter primary pages in a directory page, from slot `n` on.
pub fn slots_ops(ops: &mut Ops, n: u32, blocks: &[u32]) {
    let bytes: Vec<u8> = blocks.iter().flat_map(|b| b.to_le_bytes()).collect();
    let at = ENTRIES + n as usize * 4;
    ops.write(at, &bytes);
    bounds_ops(ops, (at + bytes.len()) as u16);
}

/// The primary page that a directory page names in a slot.
#[inline]
pub fn slot(page: &Page, n: u32) -> u32 {
    page.u32_at(ENTRIES + n as usize * 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pg_page::{RelId, ops};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_hash_has_one_bucket(hash in any::<u64>(), buckets in 1u32..10_000) {
            let b = bucket_of(hash, buckets);
            prop_assert!(b < buckets);
            prop_assert_eq!(address(hash, depth_of(b, buckets)), b);
            let others = (0..buckets.min(300)).filter(|o| *o != b);
            for o in others {
                prop_assert!(address(hash, depth_of(o, buckets)) != o);
            }
            // One more bucket takes from its parent alone.
            let after = bucket_of(hash, buckets + 1);
            prop_assert!(after == b || (after == buckets && parent_of(after) == b));
        }

        #[test]
        fn pages_hold_what_was_put_in(entries in proptest::collection::btree_set((any::<u64>(), 0u32..100), 1..CAPACITY)) {
            let full = |e: &(u64, u32)| (e.0 >> 1, Tid { block: e.1, slot: 1 });
            let mut model = alloc::collections::BTreeSet::new();
            let mut page = Page::zeroed();
            let draft = Draft { depth: 1, marks: 0, role: PRIMARY, bucket: 0, next: NONE, entries: &[] };
            ops::apply(&mut page, RelId(1), 1, draft.ops().as_bytes()).unwrap();
            for e in &entries {
                for _ in 0..2 {
                    let mut o = Ops::new();
                    prop_assert_eq!(Bucket(&page).add_ops(&mut o, full(e)), model.insert(full(e)));
                    ops::apply(&mut page, RelId(1), 1, o.as_bytes()).unwrap();
                }
            }
            let node = Bucket(&page);
            prop_assert!(node.in_bounds());
            prop_assert!(node.entries().eq(model.iter().copied()));
            let half = node.half(1);
            prop_assert!(node.entries().enumerate().all(|(i, e)| (address(e.0, 2) == 2) == (i >= half)));
        }

        #[test]
        fn arbitrary_pages_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), PAGE_SIZE), hash in any::<u64>()) {
            let mut page = Page::zeroed();
            page.0.copy_from_slice(&bytes);
            let node = Bucket(&page);
            let _ = (node.entries().count(), node.lower_bound(hash), node.half(node.depth()), node.covers(hash), node.in_bounds());
            let meta = Meta(&page);
            let _ = (bucket_of(hash, meta.buckets()), meta.directory(meta.directories()));
        }
    }
}
