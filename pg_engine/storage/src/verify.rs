//! Checking a volume, also while it is in use.
//!
//! Every page is read from the device itself, behind the pool's back, with the least urgent class: what the pool holds says nothing
//! about the media. What looks wrong while others write is looked at again before it is reported.

use alloc::{sync::Arc, vec, vec::Vec};
use core::{fmt, ops::Range, time::Duration};

use pg_btree::{KeyBound, ScanDirection, TreeFault};
use pg_buffer_manager::{NEWER_THAN_LOG, OLDER_THAN_WRITTEN};
use pg_hash_index::HashFault;
use pg_heap::{Behind, Chains, HeapFault};
use pg_page::{PAGE_SIZE, Page, RelId, StorageError, Tid};
use pg_transaction::Snapshot;
use pg_volume::{OwnerFault, Relation, RelationKind};
use platform::{
    block::{BlockError, IoClass},
    task,
};

use crate::indexes::AnyIndex;
use crate::{
    storage::{Open, Result, Storage},
    verify_log::LeastAges,
};

/// How often a suspicion is looked into again.
const LOOKS: u32 = 5;
/// Pages read from the device at a time.
const RUN: u32 = 64;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One of the two superblocks is not valid.
    Superblock,
    /// One of the two configuration blocks is not valid.
    Configuration,
    /// The metadata snapshot that the superblock names is not valid.
    Metadata,
    /// The device could not read the page.
    Unreadable(BlockError),
    /// The page is not what was written.
    Page(&'static str),
    /// A page has no owner, or two.
    Owner(OwnerFault),
    /// An index of a relation that is no heap of this volume.
    NoHeap,
    /// In a heap page's slot.
    Heap(u16, HeapFault),
    /// In a page of a tree.
    Tree(TreeFault),
    /// In a page of a hash index.
    Hash(HashFault),
    /// An index entry leads to no row.
    EntryWithoutRow(Tid),
    /// An index entry leads to a row whose key is another, or that the index should leave out.
    EntryOfOtherKey(Tid),
    /// A row is missing from an index.
    RowWithoutEntry(Tid),
    /// A large value, or what it is kept as, is not what it should be.
    Large(&'static str),
    /// A relation of the volume that no catalog row names.
    Unnamed,
    /// A catalog row names a relation that is not on the volume.
    Missing,
    /// The check could not be made.
    Failed(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Superblock => f.write_str("a copy of the superblock is damaged"),
            Self::Configuration => f.write_str("a copy of the configuration is damaged"),
            Self::Metadata => f.write_str("the metadata snapshot is damaged"),
            Self::Unreadable(e) => write!(f, "the page cannot be read: {e}"),
            Self::Page(what) | Self::Large(what) => f.write_str(what),
            Self::Owner(OwnerFault::Lost) => f.write_str("pages that are neither free nor in use"),
            Self::Owner(OwnerFault::Shared(_)) => f.write_str("pages with two owners"),
            Self::Owner(OwnerFault::Outside(_)) => f.write_str("pages beyond the end of the volume"),
            Self::NoHeap => f.write_str("an index of a relation that is not there"),
            Self::Heap(slot, what) => write!(f, "slot {slot}: {what}"),
            Self::Tree(what) => write!(f, "{what}"),
            Self::Hash(what) => write!(f, "{what}"),
            Self::EntryWithoutRow(tid) => write!(f, "an index entry leads to no row at {tid}"),
            Self::EntryOfOtherKey(tid) => write!(f, "an index entry does not match the row at {tid}"),
            Self::RowWithoutEntry(tid) => write!(f, "the row at {tid} has no index entry"),
            Self::Unnamed => f.write_str("no catalog row names this relation"),
            Self::Missing => f.write_str("the catalogs name a relation that is not there"),
            Self::Failed(what) => write!(f, "the check failed: {what}"),
        }
    }
}

/// Something wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The relation, if it is one's.
    pub rel: Option<RelId>,
    /// Its page; of a problem with ownership: the volume's page.
    pub block: Option<u32>,
    /// What.
    pub fault: Fault,
}

/// Who listens to a check.
pub trait Observer {
    /// Something is wrong.
    fn problem(&mut self, problem: Problem);
    /// Called every few pages, outside any latch: the place to pause. False ends the check.
    fn go_on(&mut self) -> bool {
        true
    }
}

/// Notes the first problem.
struct First(Option<Problem>);

impl Observer for First {
    fn problem(&mut self, problem: Problem) {
        self.0.get_or_insert(problem);
    }
    fn go_on(&mut self) -> bool {
        self.0.is_none()
    }
}

impl Storage {
    /// Checks everything that can be checked without knowing what rows mean. The first problem is the error.
    pub fn verify(&self) -> Result<()> {
        let mut first = First(None);
        self.verify_with(&mut first, true)?;
        match first.0 {
            None => Ok(()),
            Some(p) => Err(StorageError::Corrupt {
                rel: p.rel.unwrap_or_default(),
                block: p.block.unwrap_or_default(),
                what: p.fault.name(),
            }),
        }
    }

    /// Checks superblocks, metadata, the ownership of pages, every page's checksum and identity as it is on the device and that it is as
    /// new as the log says (as far back as there is log), heaps, the
    /// structure of indexes and, with `entries`, that each index entry leads to a row. Others may read and write
    /// meanwhile. An error means that the check could not be completed; problems are reported, not returned.
    pub fn verify_with(&self, observer: &mut dyn Observer, entries: bool) -> Result<()> {
        self.verify_volume(observer)?;
        let superblock = *self.current_superblock();
        let ages = self.least_ages(&superblock, observer)?;
        for rel in self.engine.directory.all() {
            if !observer.go_on() {
                return Ok(());
            }
            let Ok(open) = self.opened(rel.id) else { continue };
            if !Arc::ptr_eq(&open.rel, &rel) {
                continue;
            }
            match self.verify_relation(&open, &ages, observer, entries) {
                Ok(()) => {}
                // It was dropped meanwhile.
                Err(_) if !self.is_there(&rel) => {}
                Err(StorageError::Io(e) | StorageError::Read { error: e, .. }) => {
                    observer.problem(Problem { rel: Some(rel.id), block: None, fault: Fault::Unreadable(e) });
                }
                Err(StorageError::Corrupt { block, what, .. }) => {
                    let fault = Fault::Page(what);
                    observer.problem(Problem { rel: Some(rel.id), block: Some(block), fault });
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Is the relation on the volume, made by a transaction that has ended?
    pub fn is_settled(&self, rel: RelId) -> bool {
        self.engine.directory.get(rel).is_some_and(|r| !r.creator().is_some())
    }

    fn is_there(&self, rel: &Arc<Relation>) -> bool {
        self.engine.directory.get(rel.id).is_some_and(|r| Arc::ptr_eq(&r, rel))
    }

    fn verify_volume(&self, observer: &mut dyn Observer) -> Result<()> {
        let mut found = Vec::new();
        {
            // No checkpoint changes these meanwhile.
            let superblock = self.current_superblock();
            let (superblocks, configurations) = pg_volume::valid_copies(&*self.device)?;
            found.extend((superblocks < 2).then_some((None, None, Fault::Superblock)));
            found.extend((configurations < 2).then_some((None, None, Fault::Configuration)));
            if superblock.meta_page != 0 && pg_volume::metadata_read(&*self.device, &superblock).is_err() {
                found.push((None, Some(superblock.meta_page), Fault::Metadata));
            }
            self.engine.directory.audit(&mut |range: Range<u32>, fault| {
                let rel = match fault {
                    OwnerFault::Lost => None,
                    OwnerFault::Shared(rel) | OwnerFault::Outside(rel) => rel,
                };
                found.push((rel, Some(range.start), Fault::Owner(fault)));
            });
        }
        for (rel, block, fault) in found {
            observer.problem(Problem { rel, block, fault });
        }
        Ok(())
    }

    fn verify_relation(
        &self,
        open: &Open,
        ages: &LeastAges,
        observer: &mut dyn Observer,
        entries: bool,
    ) -> Result<()> {
        let rel = &open.rel;
        if !self.verify_media(rel, ages, observer)? {
            return Ok(());
        }
        let problem = |block, fault| Problem { rel: Some(rel.id), block: Some(block), fault };
        match rel.kind {
            RelationKind::Heap => {
                let heap = self.heap(open)?;
                let mut chains = Chains::new();
                for block in 0..rel.blocks() {
                    if !observer.go_on() {
                        return Ok(());
                    }
                    let mut found = Vec::new();
                    match heap.check_page(block, &mut chains, &mut |slot, f| found.push((slot, f))) {
                        // Reported already.
                        Err(
                            StorageError::Corrupt { .. } | StorageError::Io(_) | StorageError::Read { .. },
                        ) if self.is_there(rel) => {}
                        other => other?,
                    }
                    for (slot, fault) in found {
                        observer.problem(problem(block, Fault::Heap(slot, fault)));
                    }
                }
            }
            RelationKind::BTree { heap } | RelationKind::Hash { heap } => {
                let mut found = Vec::new();
                match self.any_index(open)? {
                    AnyIndex::BTree(tree) => {
                        tree.check(&mut |block, f| found.push((block, Fault::Tree(f))), &mut || {
                            observer.go_on()
                        })?;
                    }
                    AnyIndex::Hash(hash) => {
                        hash.check(&mut |block, f| found.push((block, Fault::Hash(f))), &mut || {
                            observer.go_on()
                        })?;
                    }
                }
                let sound = found.is_empty();
                for (block, fault) in found {
                    if self.is_there(rel) {
                        observer.problem(problem(block, fault));
                    }
                }
                if self.engine.directory.get(heap).is_none() && self.is_there(rel) && !rel.creator().is_some()
                {
                    observer.problem(problem(0, Fault::NoHeap));
                } else if entries && sound {
                    self.verify_entries(rel.id, heap, observer, &mut |_, _| true)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads every page of a relation from the device. False: the observer ended it.
    fn verify_media(
        &self,
        rel: &Arc<Relation>,
        ages: &LeastAges,
        observer: &mut dyn Observer,
    ) -> Result<bool> {
        let mut block = 0;
        while block < rel.blocks() {
            if !observer.go_on() {
                return Ok(false);
            }
            let run = self.run_from(rel, block);
            let mut bytes = vec![0; run as usize * PAGE_SIZE];
            let read = match self.engine.pool.place(rel, block) {
                Some(at) => self.device.read(at, &mut bytes, IoClass::Background),
                None => Err(BlockError::InvalidRequest),
            };
            let mut page = Page::zeroed();
            for (b, content) in (block..).zip(bytes.chunks_exact(PAGE_SIZE)) {
                page.0.copy_from_slice(content);
                if (read.is_err() || page.check(rel.id, b).is_err() || page.lsn() > self.wal.inserted())
                    && let Some(fault) = self.media_fault(rel, b, observer)?
                {
                    observer.problem(Problem { rel: Some(rel.id), block: Some(b), fault });
                } else if read.is_ok()
                    && page.check(rel.id, b).is_ok()
                    && ages.is_too_old(rel.id, b, page.lsn())
                    && self.is_there(rel)
                {
                    let fault = Fault::Page(OLDER_THAN_WRITTEN);
                    observer.problem(Problem { rel: Some(rel.id), block: Some(b), fault });
                }
            }
            block += run.max(1);
        }
        Ok(true)
    }

    /// Pages from `block` on that lie one after the other, a few at most.
    pub(crate) fn run_from(&self, rel: &Relation, block: u32) -> u32 {
        let Some(first) = self.engine.pool.place(rel, block) else { return 1 };
        let end = rel.blocks().min(block.saturating_add(RUN));
        let next = |b: u32| first + u64::from(b - block) * PAGE_SIZE as u64;
        (block..end).take_while(|b| self.engine.pool.place(rel, *b) == Some(next(*b))).count() as u32
    }

    /// A page did not look right on the device: is it wrong, or was it being written?
    fn media_fault(
        &self,
        rel: &Arc<Relation>,
        block: u32,
        observer: &mut dyn Observer,
    ) -> Result<Option<Fault>> {
        let mut page = Page::zeroed();
        let mut fault = Fault::Page("block without an extent");
        for look in 0..LOOKS {
            let Some(at) = self.engine.pool.place(rel, block) else { break };
            let waits = self.engine.pool.awaits_write(rel, block);
            fault = match self.device.read(at, &mut page.0, IoClass::Background) {
                Err(e) => Fault::Unreadable(e),
                Ok(()) => match page.check(rel.id, block) {
                    Ok(()) if page.lsn() > self.wal.inserted() => Fault::Page(NEWER_THAN_LOG),
                    Ok(()) => return Ok(None),
                    Err(StorageError::Corrupt { what, .. }) => Fault::Page(what),
                    Err(_) => Fault::Page("checksum mismatch"),
                },
            };
            // What is there now is about to be replaced.
            if waits || !self.is_there(rel) || !observer.go_on() {
                return Ok(None);
            }
            task::sleep(Duration::from_millis(u64::from(look)));
        }
        Ok(Some(fault))
    }

    /// Checks every entry of an index: that it leads to a row, and that `matches(key, version)` holds for one of the
    /// row's versions. Of a hash index the key is the big-endian [`crate::index_hash`] of the key.
    pub fn verify_entries(
        &self,
        index: RelId,
        heap: RelId,
        observer: &mut dyn Observer,
        matches: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<()> {
        let open = self.opened(index)?;
        let mut check = |key: &[u8], tid: Tid, observer: &mut dyn Observer| -> Result<()> {
            if let Some(fault) = self.entry_fault(&open, heap, key, tid, matches)? {
                observer.problem(Problem { rel: Some(index), block: None, fault });
            }
            Ok(())
        };
        match self.any_index(&open)? {
            AnyIndex::BTree(tree) => {
                let mut cursor = tree.scan(KeyBound::Unbounded, KeyBound::Unbounded, ScanDirection::Forward);
                let mut entries: Vec<(Vec<u8>, Tid)> = Vec::new();
                loop {
                    entries.clear();
                    let more = observer.go_on()
                        && tree.next(&mut cursor, |key, tid| entries.push((key.to_vec(), tid)))?;
                    if !more {
                        return Ok(());
                    }
                    entries.iter().try_for_each(|(key, tid)| check(key, *tid, observer))?;
                }
            }
            AnyIndex::Hash(hash) => {
                let mut bucket = 0;
                while observer.go_on()
                    && let Some(entries) = hash.entries_of(bucket)?
                {
                    entries.iter().try_for_each(|(h, tid)| check(&h.to_be_bytes(), *tid, observer))?;
                    bucket += 1;
                }
                Ok(())
            }
        }
    }

    fn entry_fault(
        &self,
        index: &Open,
        heap: RelId,
        key: &[u8],
        tid: Tid,
        matches: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<Option<Fault>> {
        let rows = self.opened(heap)?;
        let rows = self.heap(&rows)?;
        let mut fault = None;
        for _ in 0..LOOKS {
            let mut any = false;
            fault = match rows.versions_behind(tid, |version| any |= matches(key, version))? {
                Behind::Dead => return Ok(None),
                Behind::Versions if any => return Ok(None),
                Behind::Versions => Some(Fault::EntryOfOtherKey(tid)),
                Behind::Nothing => Some(Fault::EntryWithoutRow(tid)),
            };
            if !self.has_entry(index, key, tid)? {
                // Vacuum took the entry away, and then the row.
                return Ok(None);
            }
            task::yield_now();
        }
        Ok(fault)
    }

    /// Is there an entry as `verify_entries` shows it?
    fn has_entry(&self, index: &Open, key: &[u8], tid: Tid) -> Result<bool> {
        match self.any_index(index)? {
            AnyIndex::BTree(tree) => tree.contains(key, tid),
            AnyIndex::Hash(hash) => {
                hash.contains(key.first_chunk().map_or(0, |b| u64::from_be_bytes(*b)), tid)
            }
        }
    }

    /// Is the entry in the index?
    pub fn index_contains(&self, index: RelId, key: &[u8], tid: Tid) -> Result<bool> {
        self.any_index(&*self.opened(index)?)?.contains(key, tid)
    }

    /// Gives the version that the snapshot sees of each row on a page, with the tid its index entries have. `row` may call into the storage.
    pub fn verify_rows(
        &self,
        heap: RelId,
        block: u32,
        snapshot: &Snapshot,
        row: impl FnMut(Tid, &[u8]),
    ) -> Result<()> {
        self.heap(&*self.opened(heap)?)?.visible_roots(block, snapshot, row)
    }
}

impl Fault {
    /// Without places.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Superblock => "superblock is damaged",
            Self::Configuration => "configuration is damaged",
            Self::Metadata => "metadata is damaged",
            Self::Unreadable(_) => "page cannot be read",
            Self::Page(what) | Self::Large(what) | Self::Failed(what) => what,
            Self::Owner(OwnerFault::Lost) => "pages without an owner",
            Self::Owner(_) => "pages with two owners",
            Self::NoHeap => "index of a relation that is not there",
            Self::Heap(..) => "heap page is damaged",
            Self::Tree(_) | Self::Hash(_) => "index page is damaged",
            Self::EntryWithoutRow(_) => "index entry without a row",
            Self::EntryOfOtherKey(_) => "index entry of another key",
            Self::RowWithoutEntry(_) => "row without an index entry",
            Self::Unnamed => "relation without a catalog row",
            Self::Missing => "catalog row without a relation",
        }
    }
}
