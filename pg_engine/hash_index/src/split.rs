//! Adding buckets.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use pg_buffer_manager::WriteGuard;
use pg_page::{StorageError, Xid, ops::Ops};
use platform::bug::{Bug, planted};

use crate::{
    index::{HashIndex, Result},
    page::{
        Bucket, CAPACITY, Draft, Entry, FILLING, FREE, KIND_DIRECTORY, MAX_BUCKETS, META_BUCKETS, META_FREE,
        META_FREE_COUNT, Meta, NONE, OVERFLOW, PER_DIRECTORY, PRIMARY, SPLITTING, depth_ops, marks_ops,
        next_ops, parent_of, slots_ops,
    },
};

/// Log records that are written without letting others at the bucket.
pub(crate) const RECORDS: usize = 64;
/// Two pages of a bucket become one when it then has this many entries at most.
const FULL: usize = CAPACITY / 10 * 9;
/// Buckets that one task adds at a time.
const AT_A_TIME: u32 = 4;

impl<'a> HashIndex<'a> {
    /// Adds a bucket, or leaves it to who is doing that.
    pub(crate) fn grow(&self, xid: Xid) -> Result<()> {
        let state = self.state;
        state.wanted.fetch_add(1, Ordering::AcqRel);
        while state.wanted.load(Ordering::Acquire) > 0 {
            if state.growing.swap(true, Ordering::AcqRel) {
                return Ok(());
            }
            let wanted = state.wanted.swap(0, Ordering::AcqRel).min(AT_A_TIME);
            let done = (0..wanted).try_for_each(|_| self.add_bucket(xid));
            state.growing.store(false, Ordering::Release);
            match done {
                Ok(()) => {}
                // The entry is in; a full volume only makes buckets long.
                Err(StorageError::DiskFull(_)) => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Makes a directory page for bucket `n` if it is the first there.
    fn ensure_directory(&self, n: u32, xid: Xid) -> Result<()> {
        let have = Meta(&*self.meta()?).directories();
        if n / PER_DIRECTORY < have {
            return Ok(());
        }
        let pool = &self.engine.pool;
        let (block, page) = pool.extend(&self.engine.directory, self.rel, KIND_DIRECTORY, xid)?;
        drop(page);
        let mut meta = pool.write(self.rel, 0)?;
        let mut ops = Ops::new();
        Meta::directory_ops(&mut ops, have, &[block]);
        pool.change(xid, &mut [(&mut meta, &ops)]);
        Ok(())
    }

    /// Adds the next bucket in turn. One task at a time does so.
    fn add_bucket(&self, xid: Xid) -> Result<()> {
        let pool = &self.engine.pool;
        pool.wal().throttle()?;
        let n = self.true_buckets()?;
        if n >= MAX_BUCKETS {
            return Ok(());
        }
        let from = parent_of(n);
        let depth = n.ilog2() as u8;
        self.ensure_directory(n, xid)?;
        let mut source = self.write_primary(from)?;
        let node = Bucket(&source);
        if let Some(child) = node.waiting() {
            // A crash interrupted the split before this one.
            drop(source);
            return self.finish_split(child, xid);
        }
        if node.depth() != depth {
            return Err(self.broken(source.block(), "a bucket of another depth than its turn"));
        }
        // What does not fit into one record is moved afterwards.
        let whole = node.next() == NONE;
        let half = if whole { node.half(depth) } else { node.count() };
        let moved: Vec<Entry> = node.entries().skip(half).collect();
        let mut source_ops = Ops::new();
        depth_ops(&mut source_ops, depth + 1);
        node.end_ops(&mut source_ops, half);
        if !whole {
            marks_ops(&mut source_ops, SPLITTING);
        }
        let marks = if whole || planted(Bug::SplitWithoutMark) { 0 } else { FILLING };
        let draft = Draft { depth: depth + 1, marks, role: PRIMARY, bucket: n, next: NONE, entries: &moved };
        let target_ops = draft.ops();
        let mut directory = pool.write(self.rel, self.directory_of(n)?)?;
        let mut spare = self.spare(xid)?;
        let mut slots = Ops::new();
        slots_ops(&mut slots, n % PER_DIRECTORY, &[spare.block]);
        let (mut meta, mut meta_ops) = match spare.meta.take() {
            Some(meta) => meta,
            None => (pool.write(self.rel, 0)?, Ops::new()),
        };
        meta_ops.write(META_BUCKETS, &(n + 1).to_le_bytes());
        pool.change(
            xid,
            &mut [
                (&mut source, &source_ops),
                (&mut spare.page, &target_ops),
                (&mut directory, &slots),
                (&mut meta, &meta_ops),
            ],
        );
        self.state.buckets.fetch_max(n + 1, Ordering::AcqRel);
        drop((source, spare, directory, meta));
        if whole { Ok(()) } else { self.finish_split(n, xid) }
    }

    /// Moves what is left to move to a bucket that is filling.
    pub(crate) fn finish_split(&self, child: u32, xid: Xid) -> Result<()> {
        let pool = &self.engine.pool;
        loop {
            pool.wal().throttle()?;
            let mut source = self.write_primary(parent_of(child))?;
            let mut target = self.write_primary(child)?;
            if Bucket(&target).marks() & FILLING == 0 {
                return Ok(());
            }
            if !self.move_half(&mut source, &mut target, xid)? {
                continue;
            }
            let (mut source_ops, mut target_ops) = (Ops::new(), Ops::new());
            marks_ops(&mut source_ops, Bucket(&source).marks() & !SPLITTING);
            marks_ops(&mut target_ops, Bucket(&target).marks() & !FILLING);
            pool.change(xid, &mut [(&mut source, &source_ops), (&mut target, &target_ops)]);
            drop(target);
            return self.squeeze(&mut source, xid);
        }
    }

    /// Moves entries from a bucket to its new half, page by page. False: there are more, and others should have a turn.
    fn move_half(&self, source: &mut WriteGuard<'a>, target: &mut WriteGuard<'a>, xid: Xid) -> Result<bool> {
        let depth = Bucket(source).depth().saturating_sub(1);
        let bucket = Bucket(source).bucket();
        let mut records = 0;
        while records < RECORDS && Bucket(source).half(depth) < Bucket(source).count() {
            self.move_some(source, target, depth, xid)?;
            records += 1;
        }
        let mut next = Bucket(source).next();
        while next != NONE && records < RECORDS {
            let mut page = self.write_overflow(next, bucket)?;
            while records < RECORDS && Bucket(&page).half(depth) < Bucket(&page).count() {
                self.move_some(&mut page, target, depth, xid)?;
                records += 1;
            }
            next = Bucket(&page).next();
        }
        Ok(records < RECORDS)
    }

    /// Moves as many entries off a page as fit on one page of the new bucket.
    fn move_some(
        &self,
        page: &mut WriteGuard<'a>,
        target: &mut WriteGuard<'a>,
        depth: u8,
        xid: Xid,
    ) -> Result<()> {
        let pool = &self.engine.pool;
        let node = Bucket(page);
        let (half, count) = (node.half(depth), node.count());
        let take = |room: usize| -> (Vec<Entry>, Ops) {
            let from = half.max(count.saturating_sub(room));
            let mut ops = Ops::new();
            node.end_ops(&mut ops, from);
            (node.entries().skip(from).collect(), ops)
        };
        let (bucket, next) = (Bucket(target).bucket(), Bucket(target).next());
        if Bucket(target).has_room() {
            let (moved, ops) = take(CAPACITY - Bucket(target).count());
            let joined = self.joined(target, moved);
            pool.change(xid, &mut [(page, &ops), (target, &joined)]);
            return Ok(());
        }
        if next != NONE {
            let mut newest = self.write_overflow(next, bucket)?;
            if Bucket(&newest).has_room() {
                let (moved, ops) = take(CAPACITY - Bucket(&newest).count());
                let joined = self.joined(&newest, moved);
                pool.change(xid, &mut [(page, &ops), (&mut newest, &joined)]);
                return Ok(());
            }
        }
        let (moved, ops) = take(CAPACITY);
        let mut spare = self.spare(xid)?;
        let draft =
            Draft { depth: Bucket(target).depth(), marks: 0, role: OVERFLOW, bucket, next, entries: &moved }
                .ops();
        let mut link = Ops::new();
        next_ops(&mut link, spare.block);
        let mut pages = alloc::vec![(page, &ops), (target, &link), (&mut spare.page, &draft)];
        pages.extend(spare.meta.as_mut().map(|(meta, ops)| (meta, &*ops)));
        pool.change(xid, &mut pages);
        Ok(())
    }

    /// Operations that add entries to a page, which has room.
    fn joined(&self, page: &WriteGuard<'a>, more: Vec<Entry>) -> Ops {
        let mut all: Vec<Entry> = Bucket(page).entries().chain(more).collect();
        all.sort_unstable();
        let mut ops = Ops::new();
        Bucket(page).content_ops(&mut ops, &all);
        ops
    }

    /// Puts pages of a bucket together that fit on one, and frees the others.
    pub(crate) fn squeeze(&self, primary: &mut WriteGuard<'a>, xid: Xid) -> Result<()> {
        let pool = &self.engine.pool;
        let bucket = Bucket(primary).bucket();
        let mut left: Option<WriteGuard<'a>> = None;
        for _ in 0..RECORDS {
            let page = left.as_mut().unwrap_or(primary);
            let block = Bucket(page).next();
            if block == NONE {
                return Ok(());
            }
            let mut right = self.write_overflow(block, bucket)?;
            let node = Bucket(&right);
            if node.count() > 0 && node.count() + Bucket(page).count() > FULL {
                left = Some(right);
                continue;
            }
            let mut ops = self.joined(page, node.entries().collect());
            next_ops(&mut ops, node.next());
            let mut meta = pool.write(self.rel, 0)?;
            let (free, count) = (Meta(&meta).free(), Meta(&meta).free_count());
            let freed = Draft { depth: 0, marks: 0, role: FREE, bucket: 0, next: free, entries: &[] }.ops();
            let mut meta_ops = Ops::new();
            meta_ops.write(META_FREE, &block.to_le_bytes());
            meta_ops.write(META_FREE_COUNT, &count.saturating_add(1).to_le_bytes());
            pool.change(xid, &mut [(page, &ops), (&mut right, &freed), (&mut meta, &meta_ops)]);
        }
        Ok(())
    }
}
