//! Filling an empty index from sorted entries.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use pg_page::{StorageError, Xid, ops::Ops};

use crate::{
    index::{HashIndex, Result},
    page::{
        Bucket, CAPACITY, Draft, Entry, KIND_BUCKET, KIND_DIRECTORY, MAX_BUCKETS, META_BUCKETS, Meta, NONE,
        OVERFLOW, PER_DIRECTORY, PRIMARY, address, slots_ops,
    },
};

/// Percent of a bucket's page that are filled on average, at most.
const FILL: u8 = 75;

impl HashIndex<'_> {
    /// Fills an empty index with `count` entries, which `next` gives in order of their hashes. `fill`: percent of a bucket's page that
    /// are to be filled on average, at most.
    pub fn build<E: From<StorageError>>(
        &self,
        xid: Xid,
        count: u64,
        fill: Option<u8>,
        mut next: impl FnMut() -> core::result::Result<Option<Entry>, E>,
    ) -> core::result::Result<(), E> {
        if self.true_buckets()? != 1 || Bucket(&*self.read_primary(0)?).count() != 0 {
            return Err(StorageError::Unsupported("bulk loading into an index that is not empty").into());
        }
        let per_bucket = (CAPACITY as u64 * u64::from(fill.unwrap_or(FILL)) / 100).max(1);
        let wanted = count.div_ceil(per_bucket).max(1).next_power_of_two();
        let level = wanted.min(1 << MAX_BUCKETS.ilog2()).ilog2() as u8;
        let buckets = 1u32 << level;
        let mut primaries = alloc::vec![0; buckets as usize];
        let mut waiting = next()?;
        let mut entries: Vec<Entry> = Vec::with_capacity(CAPACITY);
        // In the order of hashes: the first bit is the lowest one of a bucket's number.
        for i in 0..u64::from(buckets) {
            let first = if level == 0 { 0 } else { i << (64 - level) };
            let bucket = address(first, level);
            entries.clear();
            while let Some(e) = waiting.filter(|e| address(e.0, level) == bucket) {
                entries.push(e);
                waiting = next()?;
            }
            let block = self.write_bucket(xid, bucket, level, &entries)?;
            if let Some(primary) = primaries.get_mut(bucket as usize) {
                *primary = block;
            }
        }
        if waiting.is_some() {
            return Err(self.broken(0, "entries of a hash index out of order").into());
        }
        self.write_directory(xid, &primaries)?;
        Ok(())
    }

    /// Writes a bucket's pages; gives the primary one.
    fn write_bucket(&self, xid: Xid, bucket: u32, depth: u8, entries: &[Entry]) -> Result<u32> {
        let pool = &self.engine.pool;
        let mut next = NONE;
        let (first, more) = entries.split_at(entries.len().min(CAPACITY));
        for part in more.chunks(CAPACITY) {
            pool.wal().throttle()?;
            let (block, mut page) = pool.extend(&self.engine.directory, self.rel, KIND_BUCKET, xid)?;
            let draft = Draft { depth, marks: 0, role: OVERFLOW, bucket, next, entries: part };
            pool.change(xid, &mut [(&mut page, &draft.ops())]);
            next = block;
        }
        pool.wal().throttle()?;
        let (block, mut page) = match bucket {
            0 => {
                let block = self.primary(0)?;
                (block, pool.write(self.rel, block)?)
            }
            _ => pool.extend(&self.engine.directory, self.rel, KIND_BUCKET, xid)?,
        };
        let draft = Draft { depth, marks: 0, role: PRIMARY, bucket, next, entries: first };
        pool.change(xid, &mut [(&mut page, &draft.ops())]);
        Ok(block)
    }

    fn write_directory(&self, xid: Xid, primaries: &[u32]) -> Result<()> {
        let pool = &self.engine.pool;
        let mut added = Vec::new();
        for (i, blocks) in primaries.chunks(PER_DIRECTORY as usize).enumerate() {
            pool.wal().throttle()?;
            let mut page = match i {
                0 => pool.write(self.rel, self.directory_of(0)?)?,
                _ => {
                    let (block, page) = pool.extend(&self.engine.directory, self.rel, KIND_DIRECTORY, xid)?;
                    added.push(block);
                    page
                }
            };
            let mut ops = Ops::new();
            slots_ops(&mut ops, 0, blocks);
            pool.change(xid, &mut [(&mut page, &ops)]);
        }
        let mut meta = pool.write(self.rel, 0)?;
        let mut ops = Ops::new();
        Meta::directory_ops(&mut ops, 1, &added);
        ops.write(META_BUCKETS, &(primaries.len() as u32).to_le_bytes());
        pool.change(xid, &mut [(&mut meta, &ops)]);
        self.state.buckets.store(primaries.len() as u32, Ordering::Release);
        Ok(())
    }
}
