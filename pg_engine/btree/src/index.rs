//! Finding, inserting and removing entries.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use pg_buffer_manager::{ReadGuard, WriteGuard};
use pg_heap::{Engine, Heap, Liveness};
use pg_page::{StorageError, Tid, Xid, ops::Ops};
use pg_transaction::Work;
use pg_volume::Relation;
use platform::sync::Mutex;

use crate::batch::{Compared, IndexEntry};
use crate::node::{Draft, INCOMPLETE, KIND_BTREE, KIND_META, MAX_KEY, NONE, Node, Packed};

pub(crate) type Result<T> = core::result::Result<T, StorageError>;

/// More pages to the right than any level can have by chance.
const MAX_MOVES: u32 = 1 << 24;

/// Whether an index insertion checks for equal keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unique {
    /// No check.
    No,
    /// Another live row with the key makes the insertion fail with [`IndexInsert::Duplicate`], inserting nothing.
    Yes,
    /// The entry is inserted in any case; a live or in-progress row with an equal key is reported, to be checked
    /// again at the end of the statement or transaction (deferred constraints).
    Deferred,
    /// Nothing is inserted: does another live row than this one have the key? (the recheck of a deferred constraint)
    CheckOnly,
}

/// What became of an index insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexInsert {
    /// Inserted, no equal key.
    Done,
    /// A live row (or, deferred, one in progress) has this key.
    Duplicate {
        /// That row.
        tid: Tid,
    },
}

/// What is kept in memory for an index between calls.
#[derive(Debug, Default)]
pub struct IndexState {
    /// Block of a page that is or was the root, and its level above it. 0: not read yet.
    root: AtomicU64,
    /// Held by who removes entries: he alone takes pages out of the tree, and walks from leaf to leaf without a snapshot.
    vacuum: Mutex<()>,
}

/// An index in use.
#[derive(Clone, Copy)]
pub struct Index<'a> {
    /// Means.
    pub engine: &'a Engine,
    /// Storage.
    pub rel: &'a Relation,
    /// Memory.
    pub state: &'a IndexState,
}

const META_ROOT: usize = 40;

impl<'a> Index<'a> {
    pub(crate) fn broken(&self, block: u32, what: &'static str) -> StorageError {
        StorageError::Corrupt { rel: self.rel.id, block, what }
    }

    /// Makes a new relation an empty tree.
    pub fn create(&self, xid: Xid) -> Result<()> {
        let pool = &self.engine.pool;
        let (_, mut meta) = pool.extend(&self.engine.directory, self.rel, KIND_META, xid)?;
        let (root, mut leaf) = pool.extend(&self.engine.directory, self.rel, KIND_BTREE, xid)?;
        let empty = Draft {
            level: 0,
            flags: 0,
            left: NONE,
            right: NONE,
            high: Vec::new(),
            low: Vec::new(),
            items: Vec::new(),
        };
        let mut ops = Ops::new();
        ops.write(META_ROOT, &u64::from(root).to_le_bytes());
        pool.change(xid, &mut [(&mut meta, &ops), (&mut leaf, &empty.ops())]);
        Ok(())
    }

    /// Block and level of the root as the meta page has it.
    pub(crate) fn true_root(&self) -> Result<(u32, u8)> {
        let meta = self.engine.pool.read(self.rel, 0)?;
        if meta.kind() != KIND_META {
            return Err(self.broken(0, "not an index"));
        }
        let packed = meta.u64_at(META_ROOT);
        drop(meta);
        self.state.root.store(packed, Ordering::Release);
        Ok((packed as u32, (packed >> 32) as u8))
    }

    pub(crate) fn root_ops(ops: &mut Ops, block: u32, level: u8) {
        ops.write(META_ROOT, &(u64::from(block) | u64::from(level) << 32).to_le_bytes());
    }

    /// A place to start descending.
    #[inline]
    pub(crate) fn root(&self) -> Result<(u32, u8)> {
        match self.state.root.load(Ordering::Acquire) {
            0 => self.true_root(),
            packed => Ok((packed as u32, (packed >> 32) as u8)),
        }
    }

    pub(crate) fn read(&self, block: u32, level: u8) -> Result<ReadGuard<'a>> {
        let page = self.engine.pool.read(self.rel, block)?;
        if page.kind() != KIND_BTREE || Node(&page).level() != level {
            return Err(self.broken(block, "not a page of this level of the index"));
        }
        Ok(page)
    }

    pub(crate) fn write(&self, block: u32, level: u8) -> Result<WriteGuard<'a>> {
        let page = self.engine.pool.write(self.rel, block)?;
        if page.kind() != KIND_BTREE || Node(&page).level() != level {
            return Err(self.broken(block, "not a page of this level of the index"));
        }
        Ok(page)
    }

    /// Block of a page at `level` from which `(key, tid)` is to be found to the right.
    #[inline]
    pub(crate) fn descend(&self, key: &[u8], tid: Tid, level: u8) -> Result<u32> {
        let (mut block, mut at) = self.root()?;
        if at < level {
            (block, at) = self.true_root()?;
        }
        for _ in 0..MAX_MOVES {
            if at <= level {
                return Ok(block);
            }
            let page = self.read(block, at)?;
            let node = Node(&page);
            if node.is_beyond(key, tid) {
                block = node.right();
            } else {
                block = node.child_for(key, tid);
                at -= 1;
            }
        }
        Err(self.broken(block, "endless index level"))
    }

    /// The leaf where `(key, tid)` is or would be, for reading.
    #[inline]
    pub(crate) fn leaf(&self, key: &[u8], tid: Tid) -> Result<(u32, ReadGuard<'a>)> {
        let mut block = self.descend(key, tid, 0)?;
        for _ in 0..MAX_MOVES {
            let page = self.read(block, 0)?;
            if !Node(&page).is_beyond(key, tid) {
                return Ok((block, page));
            }
            block = Node(&page).right();
        }
        Err(self.broken(block, "endless index level"))
    }

    /// The page at `level` where `(key, tid)` is or would be, for writing; incomplete splits on the way are completed.
    pub(crate) fn leaf_for_write(&self, key: &[u8], tid: Tid, level: u8, xid: Xid) -> Result<WriteGuard<'a>> {
        let mut block = self.descend(key, tid, level)?;
        for _ in 0..MAX_MOVES {
            let page = self.write(block, level)?;
            if Node(&page).flags() & INCOMPLETE != 0 {
                self.complete_split(page, xid)?;
                continue;
            }
            if !Node(&page).is_beyond(key, tid) {
                return Ok(page);
            }
            block = Node(&page).right();
        }
        Err(self.broken(block, "endless index level"))
    }

    /// Appends the tids of all entries with this key.
    #[inline]
    pub fn lookup(&self, key: &[u8], tids: &mut Vec<Tid>) -> Result<()> {
        let (_, mut page) = self.leaf(key, Tid::MIN)?;
        loop {
            let node = Node(&page);
            let n = node.count();
            let mut i = node.lower_bound(key, Tid::MIN);
            while i < n && node.key(i) == key {
                tids.extend(node.item(i).tids());
                i += 1;
            }
            if i < n || (!node.is_deleted() && node.high().is_none_or(|(k, _)| k > key)) {
                return Ok(());
            }
            page = self.read(node.right(), 0)?;
        }
    }

    /// Adds an entry. `heap` is needed for unique checks.
    pub fn insert(
        &self,
        work: &mut Work,
        entry: &IndexEntry<'_>,
        heap: Option<&Heap<'_>>,
    ) -> Result<IndexInsert> {
        let IndexEntry { key, tid, unique, .. } = *entry;
        if key.len() > MAX_KEY {
            return Err(StorageError::KeyTooBig { size: key.len(), max: MAX_KEY });
        }
        let xid = work.writing_xid();
        let Some(heap) = heap.filter(|_| unique != Unique::No) else {
            self.engine.pool.wal().throttle()?;
            let page = self.leaf_for_write(key, tid, 0, xid)?;
            self.insert_at(page, key, tid, xid)?;
            return Ok(IndexInsert::Done);
        };
        let compared = entry.compared();
        loop {
            self.engine.pool.wal().throttle()?;
            let first = self.leaf_for_write(compared.key, Tid::MIN, 0, xid)?;
            let outcome = match self.check_unique(work, &first, compared, tid, heap)? {
                None => IndexInsert::Done,
                Some((other, Liveness::Live)) => IndexInsert::Duplicate { tid: other },
                Some((other, Liveness::InProgress(_))) if unique == Unique::Deferred => {
                    IndexInsert::Duplicate { tid: other }
                }
                Some((_, Liveness::InProgress(holder))) => {
                    drop(first);
                    work.wait_for(holder)?;
                    continue;
                }
                Some((_, Liveness::Dead)) => IndexInsert::Done,
            };
            let insert = match unique {
                Unique::CheckOnly => false,
                Unique::Deferred => true,
                Unique::Yes | Unique::No => outcome == IndexInsert::Done,
            };
            if insert {
                self.insert_from(first, key, tid, xid)?;
            }
            return Ok(outcome);
        }
    }

    /// Inserts at or right of a latched leaf. It stays latched until the entry is in, if the entry goes further right.
    fn insert_from(&self, first: WriteGuard<'a>, key: &[u8], tid: Tid, xid: Xid) -> Result<()> {
        if !Node(&first).is_beyond(key, tid) {
            return self.insert_at(first, key, tid, xid);
        }
        let mut block = Node(&first).right();
        for _ in 0..MAX_MOVES {
            let page = self.write(block, 0)?;
            if !Node(&page).is_beyond(key, tid) {
                // An incomplete split of this page must be completed before the page is split again.
                if Node(&page).flags() & INCOMPLETE != 0 {
                    self.complete_split(page, xid)?;
                    continue;
                }
                return self.insert_at(page, key, tid, xid);
            }
            block = Node(&page).right();
        }
        Err(self.broken(block, "endless index level"))
    }

    /// Looks for another row with the key that is live or may be. `first` is the first leaf that may have it.
    fn check_unique(
        &self,
        work: &Work,
        first: &WriteGuard<'_>,
        compared: Compared<'_>,
        tid: Tid,
        heap: &Heap<'_>,
    ) -> Result<Option<(Tid, Liveness)>> {
        let check = |node: Node<'_>| -> Result<(Option<(Tid, Liveness)>, bool)> {
            let n = node.count();
            let mut i = node.lower_bound(compared.key, Tid::MIN);
            while i < n && compared.is_in(node.key(i)) {
                for other in node.item(i).tids().filter(|t| *t != tid) {
                    match heap.liveness(work, other)? {
                        Liveness::Dead => {}
                        alive => return Ok((Some((other, alive)), false)),
                    }
                }
                i += 1;
            }
            let further = node.is_deleted() || node.high().is_some_and(|(k, _)| compared.reaches(k));
            Ok((None, i == n && further))
        };
        let (found, mut further) = check(Node(first))?;
        if found.is_some() {
            return Ok(found);
        }
        let mut block = Node(first).right();
        while further {
            let page = self.read(block, 0)?;
            let found;
            (found, further) = check(Node(&page))?;
            if found.is_some() {
                return Ok(found);
            }
            block = Node(&page).right();
        }
        Ok(None)
    }

    /// Inserts into the leaf it belongs to. An entry that is there already was left behind by a transaction that aborted, and the
    /// row's place was used again before vacuum came by.
    fn insert_at(&self, mut page: WriteGuard<'a>, key: &[u8], tid: Tid, xid: Xid) -> Result<()> {
        let node = Node(&page);
        if !node.has_room(key.len()) {
            return self.insert_full(page, key, tid, xid);
        }
        let mut ops = Ops::new();
        if node.add_ops(&mut ops, node.lower_bound(key, tid), key, tid) {
            self.engine.pool.change(xid, &mut [(&mut page, &ops)]);
        }
        Ok(())
    }

    /// Inserts into a full leaf: equal keys are put together, and if that does not make room the page is split.
    fn insert_full(&self, mut page: WriteGuard<'a>, key: &[u8], tid: Tid, xid: Xid) -> Result<()> {
        let copy = page.clone();
        let node = Node(&copy);
        let mut entries: Vec<(&[u8], Tid)> = node.entries().collect();
        let at = entries.partition_point(|e| *e < (key, tid));
        if entries.get(at) == Some(&(key, tid)) {
            return Ok(());
        }
        entries.insert(at, (key, tid));
        let last = at + 1 == entries.len();
        let packed = Packed::of(entries.into_iter());
        let draft = Draft { items: packed.items(), ..node.draft() };
        // What is won must be worth the work.
        if Draft::size_of(&draft.items) < Draft::ROOM / 16 * 15 && draft.fits() {
            self.engine.pool.change(xid, &mut [(&mut page, &draft.ops())]);
            return Ok(());
        }
        self.split(page, draft, last, xid)
    }

    /// Removes the entries of these tids (ascending). Returns how many there were.
    pub fn remove(&self, dead: &[Tid]) -> Result<u64> {
        let _alone = self.state.vacuum.lock();
        let (mut removed, mut taken_out) = (0, false);
        let mut block = self.descend(&[], Tid::MIN, 0)?;
        while block != NONE {
            self.engine.pool.wal().throttle()?;
            let page = self.read(block, 0)?;
            let node = Node(&page);
            let hit = node.entries().any(|(_, tid)| dead.binary_search(&tid).is_ok());
            let (right, empty) = (node.right(), node.count() == 0);
            drop(page);
            taken_out |= empty && self.take_out(block)?;
            if !hit {
                block = right;
                continue;
            }
            let mut page = self.write(block, 0)?;
            let copy = page.clone();
            let node = Node(&copy);
            let mut gone = 0;
            let packed = Packed::of(node.entries().filter(|(_, tid)| {
                let hit = dead.binary_search(tid).is_ok();
                gone += u64::from(hit);
                !hit
            }));
            let draft = Draft { items: packed.items(), ..node.draft() };
            removed += gone;
            self.engine.pool.change(Xid::NONE, &mut [(&mut page, &draft.ops())]);
            drop(page);
            taken_out |= draft.items.is_empty() && self.take_out(block)?;
            block = node.right();
        }
        if taken_out {
            self.pass_an_id();
        }
        Ok(removed)
    }
}
