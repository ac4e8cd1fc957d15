//! Checking an index's structure, also while others use it.
//!
//! A bucket is looked at with its primary page latched, so that what is wrong there is wrong for certain. What must hold between
//! buckets and the list of free pages is looked at again before it is reported.

use alloc::vec::Vec;

use hashbrown::HashSet;
use pg_page::{Page, StorageError};

use crate::{
    index::{HashIndex, Result},
    page::{
        Bucket, FILLING, FREE, KIND_BUCKET, KIND_DIRECTORY, Meta, NONE, OVERFLOW, SPLITTING, address,
        depth_of, low_bits, parent_of,
    },
};

/// How often a suspicion is looked into again.
const LOOKS: u32 = 4;

/// What is wrong with a page of a hash index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashFault {
    /// Another page than its place says.
    WrongPage,
    /// Its end is not where an entry ends.
    Bounds,
    /// Entries are not in order.
    Order,
    /// An entry belongs to another bucket.
    WrongBucket,
    /// The number of bits that name the bucket is not what the number of buckets says.
    Depth,
    /// The new bucket of a split waits for entries, and the old one does not know.
    Marks,
    /// The pages of a bucket do not end.
    Endless,
    /// Has entries, and nothing leads to it.
    Unreachable,
    /// The list of free pages is not what it says.
    FreeList,
    /// Free, and not on the list of free pages.
    NotFree,
}

impl core::fmt::Display for HashFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::WrongPage => "not the page of the hash index that belongs here",
            Self::Bounds => "entries of a bucket out of bounds",
            Self::Order => "entries of a bucket out of order",
            Self::WrongBucket => "an entry of another bucket",
            Self::Depth => "a bucket of another depth than its turn",
            Self::Marks => "a bucket that waits for entries of one that has given them all",
            Self::Endless => "bucket does not end",
            Self::Unreachable => "page of a hash index with entries that nothing leads to",
            Self::FreeList => "list of free index pages is broken",
            Self::NotFree => "free index page is not on the free list",
        })
    }
}

/// Checks the entries of a page of a bucket.
fn fault_of(node: Bucket<'_>, depth: u8) -> Option<HashFault> {
    if !node.in_bounds() {
        return Some(HashFault::Bounds);
    }
    if !node.entries().is_sorted_by(|a, b| a <= b) {
        return Some(HashFault::Order);
    }
    node.entries()
        .any(|(hash, _)| address(hash, depth) != node.bucket() & low_bits(depth))
        .then_some(HashFault::WrongBucket)
}

impl HashIndex<'_> {
    /// Checks the order and place of entries, that every bucket is there, and that every page with entries belongs to one. Others
    /// may read and write meanwhile. `go_on` is called before every bucket; false ends the check.
    pub fn check(
        &self,
        report: &mut dyn FnMut(u32, HashFault),
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        let mut reached = HashSet::from([0]);
        let mut bucket = 0;
        while bucket < self.true_buckets()? {
            if !go_on() {
                return Ok(());
            }
            match self.check_bucket(bucket, &mut reached, report) {
                Err(StorageError::Corrupt { block, .. }) => report(block, HashFault::WrongPage),
                other => other?,
            }
            bucket += 1;
        }
        let directories = {
            let meta = self.meta()?;
            (0..Meta(&meta).directories()).map(|i| Meta(&meta).directory(i)).collect::<Vec<_>>()
        };
        reached.extend(directories);
        let Some(free) = self.free_list()? else {
            report(0, HashFault::FreeList);
            return Ok(());
        };
        for block in 1..self.rel.blocks() {
            if !reached.contains(&block) && !free.contains(&block) {
                if !go_on() {
                    return Ok(());
                }
                if let Some(fault) = self.lost(block)? {
                    report(block, fault);
                }
            }
        }
        Ok(())
    }

    fn check_bucket(
        &self,
        bucket: u32,
        reached: &mut HashSet<u32>,
        report: &mut dyn FnMut(u32, HashFault),
    ) -> Result<()> {
        let page = self.read_primary(bucket)?;
        let node = Bucket(&page);
        let (depth, marks) = (node.depth(), node.marks());
        // While the bucket is latched it cannot be split.
        if depth != depth_of(bucket, Meta(&*self.meta()?).buckets()) {
            report(page.block(), HashFault::Depth);
        }
        let bits = if marks & SPLITTING != 0 { depth.saturating_sub(1) } else { depth };
        let mut blocks = Vec::new();
        let walked = self.each_page(&page, |node| {
            if let Some(fault) = fault_of(node, bits) {
                report(node.0.block(), fault);
            }
            blocks.push(node.0.block());
            true
        });
        reached.extend(blocks);
        drop(page);
        if marks & FILLING != 0 && !self.is_fed(bucket)? {
            report(self.primary(bucket)?, HashFault::Marks);
        }
        walked
    }

    /// Does the bucket that was split to make this one know that it waits?
    fn is_fed(&self, bucket: u32) -> Result<bool> {
        let parent = self.read_primary(parent_of(bucket))?;
        let page = self.read_primary(bucket)?;
        Ok(Bucket(&page).marks() & FILLING == 0 || Bucket(&parent).marks() & SPLITTING != 0)
    }

    /// The free pages; `None`: the list is broken.
    fn free_list(&self) -> Result<Option<HashSet<u32>>> {
        // While block 0 is latched the list does not change.
        let meta = self.meta()?;
        let (mut block, count) = (Meta(&meta).free(), Meta(&meta).free_count());
        let mut list = HashSet::new();
        while block != NONE {
            if block >= self.rel.blocks() || !list.insert(block) || list.len() > count as usize {
                return Ok(None);
            }
            let page = self.engine.pool.read(self.rel, block)?;
            if page.kind() != KIND_BUCKET || Bucket(&page).role() != FREE {
                return Ok(None);
            }
            block = Bucket(&page).next();
        }
        Ok((list.len() == count as usize).then_some(list))
    }

    /// What is wrong with a page that was not met: it may have come into use since.
    fn lost(&self, block: u32) -> Result<Option<HashFault>> {
        let mut fault = None;
        for _ in 0..LOOKS {
            let page = match self.engine.pool.read(self.rel, block) {
                Ok(page) => Page::clone(&page),
                // The check of all pages reports it.
                Err(StorageError::Corrupt { .. }) => return Ok(None),
                Err(e) => return Err(e),
            };
            let node = Bucket(&page);
            if page.kind() == KIND_DIRECTORY || page.kind() != KIND_BUCKET {
                return Ok(None);
            }
            let (found, what) = match node.role() {
                // A page that was added by what a crash undid.
                0 => return Ok(None),
                FREE => (self.free_list()?.is_none_or(|l| l.contains(&block)), HashFault::NotFree),
                _ => (self.belongs(node, block)?, HashFault::Unreachable),
            };
            if found {
                return Ok(None);
            }
            fault = Some(what);
            platform::task::yield_now();
        }
        Ok(fault)
    }

    fn belongs(&self, node: Bucket<'_>, block: u32) -> Result<bool> {
        if node.bucket() >= self.true_buckets()? {
            return Ok(false);
        }
        if node.role() != OVERFLOW {
            return Ok(self.primary(node.bucket())? == block);
        }
        let primary = self.read_primary(node.bucket())?;
        let mut found = false;
        let walked = self.each_page(&primary, |n| {
            found |= n.0.block() == block;
            !found
        });
        match walked {
            Err(StorageError::Corrupt { .. }) => Ok(false),
            other => other.map(|()| found),
        }
    }
}
