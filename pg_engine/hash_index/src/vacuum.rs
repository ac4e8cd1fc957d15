//! Removing entries of rows that are gone.

use alloc::vec::Vec;

use pg_buffer_manager::WriteGuard;
use pg_page::{Tid, Xid, ops::Ops};

use crate::{
    index::{HashIndex, Result},
    page::{Bucket, Entry, FILLING, NONE},
    split::RECORDS,
};

impl<'a> HashIndex<'a> {
    /// Removes the entries of these tids (ascending). Returns how many there were.
    ///
    /// Buckets are passed in order, and an entry moves to a bucket of a higher number only: none is missed.
    pub fn remove(&self, dead: &[Tid]) -> Result<u64> {
        let (mut bucket, mut removed) = (0, 0);
        while bucket < self.true_buckets()? {
            if self.has_any(bucket, dead)? {
                while !self.remove_some(bucket, dead, &mut removed)? {}
            }
            bucket += 1;
        }
        Ok(removed)
    }

    fn has_any(&self, bucket: u32, dead: &[Tid]) -> Result<bool> {
        let primary = self.read_primary(bucket)?;
        let mut hit = Bucket(&primary).marks() & FILLING != 0;
        self.each_page(&primary, |node| {
            hit |= node.entries().any(|(_, tid)| dead.binary_search(&tid).is_ok());
            !hit
        })?;
        Ok(hit)
    }

    /// False: there are more, and others should have a turn.
    fn remove_some(&self, bucket: u32, dead: &[Tid], removed: &mut u64) -> Result<bool> {
        self.engine.pool.wal().throttle()?;
        let mut primary = self.write_primary(bucket)?;
        if Bucket(&primary).marks() & FILLING != 0 {
            drop(primary);
            self.finish_split(bucket, Xid::NONE)?;
            return Ok(false);
        }
        let mut records = self.clean(&mut primary, dead, removed);
        let mut next = Bucket(&primary).next();
        while next != NONE && records < RECORDS {
            let mut page = self.write_overflow(next, bucket)?;
            records += self.clean(&mut page, dead, removed);
            next = Bucket(&page).next();
        }
        self.squeeze(&mut primary, Xid::NONE)?;
        Ok(records < RECORDS)
    }

    /// The number of log records: one or none.
    fn clean(&self, page: &mut WriteGuard<'a>, dead: &[Tid], removed: &mut u64) -> usize {
        let node = Bucket(page);
        let kept: Vec<Entry> = node.entries().filter(|(_, tid)| dead.binary_search(tid).is_err()).collect();
        let gone = node.count() - kept.len();
        if gone == 0 {
            return 0;
        }
        *removed += gone as u64;
        let mut ops = Ops::new();
        node.content_ops(&mut ops, &kept);
        self.engine.pool.change(Xid::NONE, &mut [(page, &ops)]);
        1
    }
}
