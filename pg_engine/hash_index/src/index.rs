//! Finding and inserting entries.

use alloc::{boxed::Box, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use pg_buffer_manager::{ReadGuard, WriteGuard};
use pg_heap::Engine;
use pg_page::{StorageError, Tid, Xid, ops::Ops};
use pg_transaction::Work;
use pg_volume::Relation;
use platform::sync::OnceLock;

use crate::page::{
    Bucket, Draft, FILLING, FREE, KIND_BUCKET, KIND_DIRECTORY, KIND_META, MAX_DIRECTORIES, META_BUCKETS,
    META_FREE, META_FREE_COUNT, Meta, NONE, OVERFLOW, PER_DIRECTORY, PRIMARY, bucket_of, next_ops, parent_of,
    slot, slots_ops,
};

pub(crate) type Result<T> = core::result::Result<T, StorageError>;

/// More buckets than anyone is sent on to.
const MAX_MOVES: u32 = 1 << 12;

/// What is kept in memory for an index between calls.
#[derive(Default)]
pub struct HashState {
    /// Number of buckets, now or some time ago. 0: not read yet.
    pub(crate) buckets: AtomicU32,
    /// Blocks of directory pages. 0: not read yet.
    directories: OnceLock<Box<[AtomicU32]>>,
    /// Someone adds a bucket.
    pub(crate) growing: AtomicBool,
    /// Buckets that should be added.
    pub(crate) wanted: AtomicU32,
}

/// An index in use.
#[derive(Clone, Copy)]
pub struct HashIndex<'a> {
    /// Means.
    pub engine: &'a Engine,
    /// Storage.
    pub rel: &'a Relation,
    /// Memory.
    pub state: &'a HashState,
}

/// A page to be used, and what takes it off the free list if it was there.
pub(crate) struct Spare<'a> {
    pub block: u32,
    pub page: WriteGuard<'a>,
    pub meta: Option<(WriteGuard<'a>, Ops)>,
}

impl<'a> HashIndex<'a> {
    pub(crate) fn broken(&self, block: u32, what: &'static str) -> StorageError {
        StorageError::Corrupt { rel: self.rel.id, block, what }
    }

    /// Makes a new relation an empty index of one bucket.
    pub fn create(&self, xid: Xid) -> Result<()> {
        let pool = &self.engine.pool;
        let (_, mut meta) = pool.extend(&self.engine.directory, self.rel, KIND_META, xid)?;
        let (block, mut directory) = pool.extend(&self.engine.directory, self.rel, KIND_DIRECTORY, xid)?;
        let (primary, mut page) = pool.extend(&self.engine.directory, self.rel, KIND_BUCKET, xid)?;
        let mut meta_ops = Ops::new();
        meta_ops.write(META_BUCKETS, &1u32.to_le_bytes()).write(META_FREE, &NONE.to_le_bytes());
        Meta::directory_ops(&mut meta_ops, 0, &[block]);
        let mut slots = Ops::new();
        slots_ops(&mut slots, 0, &[primary]);
        let empty = Draft { depth: 0, marks: 0, role: PRIMARY, bucket: 0, next: NONE, entries: &[] };
        pool.change(xid, &mut [(&mut meta, &meta_ops), (&mut directory, &slots), (&mut page, &empty.ops())]);
        Ok(())
    }

    pub(crate) fn meta(&self) -> Result<ReadGuard<'a>> {
        let meta = self.engine.pool.read(self.rel, 0)?;
        if meta.kind() == KIND_META { Ok(meta) } else { Err(self.broken(0, "not a hash index")) }
    }

    /// Number of buckets as block 0 has it.
    pub(crate) fn true_buckets(&self) -> Result<u32> {
        let n = Meta(&*self.meta()?).buckets();
        self.state.buckets.fetch_max(n, Ordering::AcqRel);
        Ok(n)
    }

    #[inline]
    fn buckets(&self) -> Result<u32> {
        match self.state.buckets.load(Ordering::Acquire) {
            0 => self.true_buckets(),
            n => Ok(n),
        }
    }

    /// The directory page that names a bucket's primary page.
    #[inline]
    pub(crate) fn directory_of(&self, bucket: u32) -> Result<u32> {
        let i = bucket / PER_DIRECTORY;
        let known =
            self.state.directories.get_or_init(|| (0..MAX_DIRECTORIES).map(|_| AtomicU32::new(0)).collect());
        let Some(known) = known.get(i as usize) else {
            return Err(self.broken(0, "a bucket beyond the directory of the hash index"));
        };
        let block = known.load(Ordering::Acquire);
        if block != 0 {
            return Ok(block);
        }
        let block = Meta(&*self.meta()?).directory(i);
        if block == 0 {
            return Err(self.broken(0, "a directory page of the hash index is missing"));
        }
        known.store(block, Ordering::Release);
        Ok(block)
    }

    /// Block of a bucket's primary page.
    #[inline]
    pub(crate) fn primary(&self, bucket: u32) -> Result<u32> {
        let directory = self.directory_of(bucket)?;
        let page = self.engine.pool.read(self.rel, directory)?;
        if page.kind() != KIND_DIRECTORY {
            return Err(self.broken(directory, "not a directory page of a hash index"));
        }
        Ok(slot(&page, bucket % PER_DIRECTORY))
    }

    fn is_primary(node: Bucket<'_>, bucket: u32) -> bool {
        node.0.kind() == KIND_BUCKET && node.role() == PRIMARY && node.bucket() == bucket
    }

    #[inline]
    pub(crate) fn read_primary(&self, bucket: u32) -> Result<ReadGuard<'a>> {
        let block = self.primary(bucket)?;
        let page = self.engine.pool.read(self.rel, block)?;
        match Self::is_primary(Bucket(&page), bucket) {
            true => Ok(page),
            false => Err(self.broken(block, "not the primary page of its bucket")),
        }
    }

    pub(crate) fn write_primary(&self, bucket: u32) -> Result<WriteGuard<'a>> {
        let block = self.primary(bucket)?;
        let page = self.engine.pool.write(self.rel, block)?;
        match Self::is_primary(Bucket(&page), bucket) {
            true => Ok(page),
            false => Err(self.broken(block, "not the primary page of its bucket")),
        }
    }

    fn is_overflow(node: Bucket<'_>, bucket: u32) -> bool {
        node.0.kind() == KIND_BUCKET && node.role() == OVERFLOW && node.bucket() == bucket
    }

    /// An overflow page of a bucket whose primary page is latched.
    pub(crate) fn read_overflow(&self, block: u32, bucket: u32) -> Result<ReadGuard<'a>> {
        let page = self.engine.pool.read(self.rel, block)?;
        match Self::is_overflow(Bucket(&page), bucket) {
            true => Ok(page),
            false => Err(self.broken(block, "not an overflow page of its bucket")),
        }
    }

    /// An overflow page of a bucket whose primary page is latched for writing.
    pub(crate) fn write_overflow(&self, block: u32, bucket: u32) -> Result<WriteGuard<'a>> {
        let page = self.engine.pool.write(self.rel, block)?;
        match Self::is_overflow(Bucket(&page), bucket) {
            true => Ok(page),
            false => Err(self.broken(block, "not an overflow page of its bucket")),
        }
    }

    /// Shows every page of a latched bucket, the primary one first, until `page` says false.
    pub(crate) fn each_page(
        &self,
        primary: &ReadGuard<'_>,
        mut page: impl FnMut(Bucket<'_>) -> bool,
    ) -> Result<()> {
        let node = Bucket(primary);
        if !page(node) {
            return Ok(());
        }
        let (bucket, mut next) = (node.bucket(), node.next());
        for _ in 0..self.rel.blocks() {
            if next == NONE {
                return Ok(());
            }
            let overflow = self.read_overflow(next, bucket)?;
            if !page(Bucket(&overflow)) {
                return Ok(());
            }
            next = Bucket(&overflow).next();
        }
        Err(self.broken(next, "a bucket of the hash index does not end"))
    }

    /// The bucket of a hash that was looked for in another, which was split since. Who split it counted the new bucket first.
    #[cold]
    fn sent_on(&self, hash: u64, bucket: u32, block: u32) -> Result<u32> {
        match bucket_of(hash, self.buckets()?) {
            same if same == bucket => Err(self.broken(block, "a bucket of another depth than its turn")),
            other => Ok(other),
        }
    }

    fn collect(&self, primary: &ReadGuard<'_>, hash: u64, tids: &mut Vec<Tid>) -> Result<()> {
        self.each_page(primary, |node| {
            let n = node.count();
            let mut i = node.lower_bound(hash);
            while i < n && node.hash(i) == hash {
                tids.push(node.tid(i));
                i += 1;
            }
            true
        })
    }

    /// Appends the tids of all entries with this hash, in order.
    #[inline]
    pub fn lookup(&self, hash: u64, tids: &mut Vec<Tid>) -> Result<()> {
        let start = tids.len();
        self.look_up(hash, tids)?;
        if tids.len() > start + 1 {
            let mut found = tids.split_off(start);
            found.sort_unstable();
            found.dedup();
            tids.append(&mut found);
        }
        Ok(())
    }

    fn look_up(&self, hash: u64, tids: &mut Vec<Tid>) -> Result<()> {
        let mut bucket = bucket_of(hash, self.buckets()?);
        for _ in 0..MAX_MOVES {
            let page = self.read_primary(bucket)?;
            let node = Bucket(&page);
            if !node.covers(hash) {
                bucket = self.sent_on(hash, bucket, page.block())?;
                continue;
            }
            if node.marks() & FILLING == 0 {
                return self.collect(&page, hash, tids);
            }
            // With both latched nothing moves between them.
            drop(page);
            let parent = self.read_primary(parent_of(bucket))?;
            let page = self.read_primary(bucket)?;
            let node = Bucket(&page);
            if !node.covers(hash) {
                // It has got its entries, and was split in turn.
                continue;
            }
            if node.marks() & FILLING != 0 {
                self.collect(&parent, hash, tids)?;
            }
            return self.collect(&page, hash, tids);
        }
        Err(self.broken(0, "the buckets of the hash index do not end"))
    }

    /// Is this entry there?
    pub fn contains(&self, hash: u64, tid: Tid) -> Result<bool> {
        let mut tids = Vec::new();
        self.look_up(hash, &mut tids)?;
        Ok(tids.contains(&tid))
    }

    /// The entries of a bucket; `None`: there are not so many.
    pub fn entries_of(&self, bucket: u32) -> Result<Option<Vec<(u64, Tid)>>> {
        if bucket >= self.true_buckets()? {
            return Ok(None);
        }
        let page = self.read_primary(bucket)?;
        let mut all = Vec::new();
        self.each_page(&page, |node| {
            all.extend(node.entries());
            true
        })?;
        Ok(Some(all))
    }

    /// The primary page of a hash's bucket, for writing. No split of the bucket is left incomplete.
    fn primary_for(&self, hash: u64, xid: Xid) -> Result<WriteGuard<'a>> {
        let mut bucket = bucket_of(hash, self.buckets()?);
        for _ in 0..MAX_MOVES {
            let page = self.write_primary(bucket)?;
            let node = Bucket(&page);
            if !node.covers(hash) {
                bucket = self.sent_on(hash, bucket, page.block())?;
                continue;
            }
            let Some(unfinished) = node.waiting() else { return Ok(page) };
            drop(page);
            self.finish_split(unfinished, xid)?;
        }
        Err(self.broken(0, "the buckets of the hash index do not end"))
    }

    /// Adds an entry.
    pub fn insert(&self, work: &mut Work, hash: u64, tid: Tid) -> Result<()> {
        let xid = work.writing_xid();
        let pool = &self.engine.pool;
        pool.wal().throttle()?;
        let mut primary = self.primary_for(hash, xid)?;
        let node = Bucket(&primary);
        let (bucket, depth, next) = (node.bucket(), node.depth(), node.next());
        if node.has_room() {
            self.add(&mut primary, (hash, tid), xid);
            return Ok(());
        }
        if next != NONE {
            let mut newest = self.write_overflow(next, bucket)?;
            if Bucket(&newest).has_room() {
                self.add(&mut newest, (hash, tid), xid);
                return Ok(());
            }
        }
        let mut spare = self.spare(xid)?;
        let draft = Draft { depth, marks: 0, role: OVERFLOW, bucket, next, entries: &[(hash, tid)] };
        let mut link = Ops::new();
        next_ops(&mut link, spare.block);
        let draft = draft.ops();
        let mut pages = alloc::vec![(&mut primary, &link), (&mut spare.page, &draft)];
        pages.extend(spare.meta.as_mut().map(|(meta, ops)| (meta, &*ops)));
        pool.change(xid, &mut pages);
        drop(pages);
        drop((spare, primary));
        self.grow(xid)
    }

    fn add(&self, page: &mut WriteGuard<'a>, entry: (u64, Tid), xid: Xid) {
        let mut ops = Ops::new();
        if Bucket(page).add_ops(&mut ops, entry) {
            self.engine.pool.change(xid, &mut [(page, &ops)]);
        }
    }

    /// A page to use: a free one, or a new one.
    pub(crate) fn spare(&self, xid: Xid) -> Result<Spare<'a>> {
        let pool = &self.engine.pool;
        if Meta(&*self.meta()?).free() != NONE {
            let meta = pool.write(self.rel, 0)?;
            let (block, count) = (Meta(&meta).free(), Meta(&meta).free_count());
            if block != NONE {
                let page = pool.write(self.rel, block)?;
                if page.kind() != KIND_BUCKET || Bucket(&page).role() != FREE {
                    return Err(self.broken(block, "a page on the free list of the index is in use"));
                }
                let mut ops = Ops::new();
                ops.write(META_FREE, &Bucket(&page).next().to_le_bytes());
                ops.write(META_FREE_COUNT, &count.saturating_sub(1).to_le_bytes());
                return Ok(Spare { block, page, meta: Some((meta, ops)) });
            }
        }
        let (block, page) = pool.extend(&self.engine.directory, self.rel, KIND_BUCKET, xid)?;
        Ok(Spare { block, page, meta: None })
    }
}
