//! Heaps and indexes as the engine above sees them.

use alloc::{sync::Arc, vec::Vec};
use core::{
    ops::Range,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use pg_btree::{Distinct, Index, IndexEntry, IndexInsert, KeyBound, ScanDirection, Unique};
use pg_buffer_manager::Lookahead;
use pg_heap::{Heap, RowLock, RowMarks, RowOutcome, Touched, WaitPolicy};
use pg_page::{RelId, StorageError, Tid};
use pg_transaction::Snapshot;
use pg_volume::RelationKind;

use crate::{
    api::RelationStats,
    indexes::{AnyIndex, IndexBuild, IndexSorter, build_hashed, insert_hashed},
    storage::{Open, Result, Storage},
    transaction::Transaction,
};

/// Pages that a task of an index build takes at a time.
const BLOCKS_AT_A_TIME: u32 = 32;
/// Memory for sorting where nothing is said.
const SMALL_BUILD: usize = 16 << 20;
/// Log that an index build lets gather before it is written.
const FLUSH_BYTES: u64 = 1 << 20;

impl Storage {
    pub(crate) fn heap<'a>(&'a self, open: &'a Open) -> Result<Heap<'a>> {
        match open.rel.kind {
            RelationKind::Heap => Ok(Heap { engine: &self.engine, rel: &open.rel, state: &open.heap }),
            _ => Err(StorageError::WrongKind(open.rel.id)),
        }
    }
    pub(crate) fn index<'a>(&'a self, open: &'a Open) -> Result<Index<'a>> {
        match open.rel.kind {
            RelationKind::BTree { .. } => {
                Ok(Index { engine: &self.engine, rel: &open.rel, state: &open.index })
            }
            _ => Err(StorageError::WrongKind(open.rel.id)),
        }
    }

    /// Sizes for the planner.
    pub fn relation_stats(&self, rel: RelId) -> Result<RelationStats> {
        let r = self.engine.directory.get(rel).ok_or(StorageError::NoSuchRelation(rel))?;
        let count = |v: i64| u64::try_from(v).unwrap_or(0);
        Ok(RelationStats {
            pages: r.blocks(),
            live_tuples: count(r.live.load(Ordering::Relaxed)),
            dead_tuples: count(r.dead.load(Ordering::Relaxed)),
            all_visible: r.visible.count(),
        })
    }
    /// What it is.
    pub fn relation_kind(&self, rel: RelId) -> Result<RelationKind> {
        self.engine.directory.get(rel).map(|r| r.kind).ok_or(StorageError::NoSuchRelation(rel))
    }
    /// Every relation of the volume.
    pub fn relations(&self) -> Vec<(RelId, RelationKind)> {
        self.engine.directory.all().into_iter().map(|r| (r.id, r.kind)).collect()
    }

    /// A serializable transaction has written: did another read there?
    #[inline]
    fn check_written(&self, txn: &Transaction, rel: RelId, tid: Option<Tid>) -> Result<()> {
        let me = txn.work.serial();
        if me.is_some() { self.engine.transactions.serial_row_written(me, rel, tid) } else { Ok(()) }
    }
    /// To be called before an index is read with a snapshot that [`Storage::watches`]: from `low` to `high`, both included,
    /// and all keys that `high` is a prefix of.
    pub fn index_reading(&self, index: RelId, snapshot: &Snapshot, low: &[u8], high: Option<&[u8]>) {
        self.engine.transactions.serial_range_read(snapshot, index, low, high);
    }
    /// Must this snapshot's reads of indexes be told ([`Storage::index_reading`])?
    #[inline]
    pub fn watches(snapshot: &Snapshot) -> bool {
        snapshot.serial().is_some()
    }

    /// Adds a row.
    pub fn heap_insert(&self, txn: &mut Transaction, rel: RelId, payload: &[u8]) -> Result<Tid> {
        let open = self.opened(rel)?;
        let tid = self.heap(&open)?.insert(&mut txn.work, payload)?;
        self.check_written(txn, rel, None)?;
        Ok(tid)
    }
    /// Adds many rows with one latch and log record per page. Tids are appended in order.
    pub fn heap_insert_many(
        &self,
        txn: &mut Transaction,
        rel: RelId,
        payloads: &[&[u8]],
        tids: &mut Vec<Tid>,
    ) -> Result<()> {
        let open = self.opened(rel)?;
        self.heap(&open)?.insert_many(&mut txn.work, payloads, |t| tids.push(t))?;
        self.check_written(txn, rel, None)
    }
    /// Replaces a row version.
    pub fn heap_update(
        &self,
        txn: &mut Transaction,
        rel: RelId,
        tid: Tid,
        payload: &[u8],
        touched: Touched,
    ) -> Result<RowOutcome> {
        let open = self.opened(rel)?;
        let outcome = self.heap(&open)?.update(&mut txn.work, tid, payload, touched)?;
        if let RowOutcome::Done { hot, .. } = outcome {
            let activity = &open.rel.activity;
            activity.updated.fetch_add(1, Ordering::Relaxed);
            if hot {
                activity.hot_updated.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.check_written(txn, rel, Some(tid))?;
        Ok(outcome)
    }
    /// Deletes a row version.
    pub fn heap_delete(&self, txn: &mut Transaction, rel: RelId, tid: Tid) -> Result<RowOutcome> {
        let open = self.opened(rel)?;
        let outcome = self.heap(&open)?.delete(&mut txn.work, tid)?;
        if matches!(outcome, RowOutcome::Done { .. }) {
            open.rel.activity.deleted.fetch_add(1, Ordering::Relaxed);
        }
        self.check_written(txn, rel, Some(tid))?;
        Ok(outcome)
    }
    /// Removes a row that this very command added: no one has seen it.
    pub fn heap_take_back(&self, txn: &mut Transaction, rel: RelId, tid: Tid) -> Result<()> {
        self.heap(&*self.opened(rel)?)?.take_back(&mut txn.work, tid)
    }
    /// A number for a large value in a heap of such, never 0 and always the next one. `last` finds the greatest in use; it is
    /// asked once after the volume was opened.
    pub fn next_value_id(&self, heap: RelId, last: impl FnOnce() -> Result<u32>) -> Result<u32> {
        let open = self.opened(heap)?;
        if open.next_value.load(Ordering::Acquire) == 0 {
            let next = last()?.wrapping_add(1).max(1);
            let _ = open.next_value.compare_exchange(0, next, Ordering::AcqRel, Ordering::Acquire);
        }
        let step = |n: u32| Some(n.wrapping_add(1).max(1));
        open.next_value
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, step)
            .map_err(|_| StorageError::NoSuchRelation(heap))
    }
    /// Locks a row version until the transaction or savepoint level ends. Needs no transaction id and writes nothing, unless the
    /// transaction holds very many.
    pub fn heap_lock(
        &self,
        txn: &mut Transaction,
        rel: RelId,
        tid: Tid,
        mode: RowLock,
        wait: WaitPolicy,
    ) -> Result<RowOutcome> {
        self.heap(&*self.opened(rel)?)?.lock(&mut txn.work, tid, mode, wait)
    }
    /// Gives the version of the row at `tid` (an index entry's or a scan's) that the snapshot sees, following HOT
    /// chains. The closure gets that version's own tid, the one to update, delete or lock. None: none is visible.
    pub fn heap_fetch<R>(
        &self,
        rel: RelId,
        tid: Tid,
        snapshot: &Snapshot,
        f: impl FnOnce(Tid, &[u8]) -> R,
    ) -> Result<Option<R>> {
        self.heap(&*self.opened(rel)?)?.fetch(tid, snapshot, f)
    }
    /// Gives exactly the version at `tid`, whoever sees it (after `ConcurrentlyUpdated`, or for the old row of an
    /// update). None if there is none.
    pub fn heap_fetch_version<R>(
        &self,
        rel: RelId,
        tid: Tid,
        f: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        self.heap(&*self.opened(rel)?)?.fetch_version(tid, f)
    }
    /// Who made exactly the version at `tid`, and who ended it. None if there is none.
    pub fn heap_marks(&self, rel: RelId, tid: Tid) -> Result<Option<RowMarks>> {
        self.heap(&*self.opened(rel)?)?.marks(tid)
    }
    /// The rows at these tids will be fetched soon: their pages are read together, as far as they are not cached.
    pub fn heap_prefetch(&self, rel: RelId, tids: &[Tid]) -> Result<()> {
        self.engine.pool.prefetch(&self.opened(rel)?.rel, tids.iter().map(|t| t.block));
        Ok(())
    }
    /// How full insertions make a heap's pages, in percent; None: as it is by default. Kept in memory only.
    pub fn set_fill_factor(&self, rel: RelId, percent: Option<u8>) -> Result<()> {
        self.opened(rel)?.heap.set_fill_factor(percent);
        Ok(())
    }
    /// What is done with a relation.
    pub fn activity(&self, rel: RelId) -> Result<RelationActivity> {
        Ok(RelationActivity(self.engine.directory.get(rel).ok_or(StorageError::NoSuchRelation(rel))?))
    }
    /// Which pages of a heap need not be read to know that a row which an index names is visible.
    pub fn visible_pages(&self, rel: RelId) -> Result<VisiblePages> {
        Ok(VisiblePages(self.engine.directory.get(rel).ok_or(StorageError::NoSuchRelation(rel))?))
    }
    /// Starts a scan of pages `blocks` (None: all there are now).
    pub fn heap_scan(
        self: &Arc<Self>,
        rel: RelId,
        snapshot: &Snapshot,
        blocks: Option<Range<u32>>,
    ) -> Result<HeapScan> {
        let open = self.opened(rel)?;
        self.heap(&open)?;
        if snapshot.serial().is_some() {
            self.engine.transactions.serial_heap_read(snapshot, rel);
        }
        let all = open.rel.blocks();
        let range = blocks.map_or(0..all, |b| b.start.min(all)..b.end.min(all));
        Ok(HeapScan {
            loaded: None,
            waited: Duration::ZERO,
            far: false,
            storage: self.clone(),
            open,
            snapshot: snapshot.clone(),
            ahead: Lookahead::new(&range),
            next: range.start,
            end: range.end,
        })
    }
    /// Rows to index in CREATE INDEX: the live version of each, with the tid its index entry must have (the root of its
    /// HOT chain). Create the index relation first; no one may write the heap meanwhile.
    pub fn heap_scan_for_index(&self, rel: RelId, row: impl FnMut(Tid, &[u8])) -> Result<()> {
        self.heap_scan_part_for_index(rel, 0..u32::MAX, row)
    }
    /// As [`Storage::heap_scan_for_index`], of some of the pages.
    pub fn heap_scan_part_for_index(
        &self,
        rel: RelId,
        blocks: Range<u32>,
        mut row: impl FnMut(Tid, &[u8]),
    ) -> Result<()> {
        let open = self.opened(rel)?;
        let heap = self.heap(&open)?;
        let mut skipped = false;
        let blocks = blocks.start..blocks.end.min(open.rel.blocks());
        let mut ahead = Lookahead::new(&blocks);
        for block in blocks {
            ahead.at(&self.engine.pool, &open.rel, block);
            skipped |= heap.scan_page_for_index(block, &mut row)?;
        }
        self.note_skipped(&open, skipped);
        Ok(())
    }
    /// The rows that a snapshot sees, each with the tid that its index entry must have, for an index that others maintain already.
    pub fn heap_scan_roots(
        &self,
        rel: RelId,
        blocks: Range<u32>,
        snapshot: &Snapshot,
        mut row: impl FnMut(Tid, &[u8]),
    ) -> Result<()> {
        let open = self.opened(rel)?;
        let heap = self.heap(&open)?;
        for block in blocks.start..blocks.end.min(open.rel.blocks()) {
            heap.scan_page_roots(block, snapshot, &mut row)?;
        }
        Ok(())
    }
    /// Snapshots taken before now must not use the index: it may lack versions that they see.
    pub fn index_usable_from_now(&self, index: RelId) -> Result<()> {
        let open = self.opened(index)?;
        self.note_skipped(&open, true);
        Ok(())
    }
    /// A new index of the heap may leave out versions that running transactions see.
    fn note_skipped(&self, heap: &Open, skipped: bool) {
        if skipped {
            heap.usable_from.store(self.engine.transactions.next().0, Ordering::Release);
            self.young_indexes.store(true, Ordering::Release);
        }
    }
    /// As [`Storage::heap_scan_for_index`], by several workers: each beyond the first has a task of its own. `pause` is called now
    /// and then; once it gives false all stop. Gives the workers back.
    pub fn heap_scan_by_workers<W: IndexWorker>(
        self: &Arc<Self>,
        rel: RelId,
        mut workers: Vec<W>,
        pause: impl FnMut() -> bool,
    ) -> Result<Vec<W>> {
        let shared = Arc::new(SharedScan {
            open: self.opened(rel)?,
            storage: self.clone(),
            next: AtomicU32::new(0),
            skipped: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let Some(own) = workers.pop() else { return Ok(workers) };
        let tasks: Vec<_> = workers
            .into_iter()
            .map(|w| {
                let shared = shared.clone();
                platform::task::spawn("index build", move || shared.run(w, || true))
            })
            .collect();
        let mut results = alloc::vec![shared.run(own, pause)];
        for task in tasks {
            // A panic there is one here.
            results.push(task.join().unwrap_or_else(|p| panic!("index build: {}", p.message)));
        }
        self.note_skipped(&shared.open, shared.skipped.load(Ordering::Acquire));
        results.into_iter().collect()
    }
    /// Collects entries for an index in about so many bytes of memory.
    pub fn index_sorter(&self, index: RelId, budget: usize) -> Result<IndexSorter> {
        let rel = self.engine.directory.get(index).ok_or(StorageError::NoSuchRelation(index))?;
        let (pool, directory) = (self.engine.pool.clone(), self.engine.directory.clone());
        Ok(IndexSorter::new(pg_btree::IndexSorter::new(pool, directory, index, budget), rel.kind))
    }
    /// May a statement with this snapshot use the index? Not if the index was created after the snapshot and leaves out
    /// versions that the snapshot may see (a REPEATABLE READ transaction older than the index).
    ///
    /// A statement that takes its snapshot after it was planned needs not ask.
    #[inline]
    pub fn index_usable(&self, index: RelId, snapshot: &Snapshot) -> Result<bool> {
        Ok(!self.young_indexes.load(Ordering::Acquire)
            || self.opened(index)?.usable_from.load(Ordering::Acquire) <= snapshot.data().xmax.0)
    }

    /// Adds an index entry whose key carries nothing.
    pub fn index_insert(
        &self,
        txn: &mut Transaction,
        index: RelId,
        key: &[u8],
        tid: Tid,
        unique: Unique,
    ) -> Result<IndexInsert> {
        self.index_insert_entry(txn, index, &IndexEntry::plain(key, tid, unique))
    }
    /// Adds an index entry.
    pub fn index_insert_entry(
        &self,
        txn: &mut Transaction,
        index: RelId,
        entry: &IndexEntry<'_>,
    ) -> Result<IndexInsert> {
        let open = self.opened(index)?;
        let done = match (self.any_index(&open)?, open.rel.kind.indexed()) {
            (AnyIndex::BTree(tree), Some(heap)) if entry.unique != Unique::No => {
                let heap_open = self.opened(heap)?;
                tree.insert(&mut txn.work, entry, Some(&self.heap(&heap_open)?))?
            }
            (AnyIndex::BTree(tree), _) => tree.insert(&mut txn.work, entry, None)?,
            (AnyIndex::Hash(hash), _) => insert_hashed(&hash, txn, entry)?,
        };
        let me = txn.work.serial();
        if me.is_some() {
            self.engine.transactions.serial_key_written(me, open.rel.id, entry.key)?;
        }
        Ok(done)
    }
    /// Adds index entries in ascending order of their keys, a leaf's at once; `taken` is called with the position of each whose key
    /// another row has.
    pub fn index_insert_sorted(
        &self,
        txn: &mut Transaction,
        index: RelId,
        entries: &[IndexEntry<'_>],
        taken: impl FnMut(usize, Tid),
    ) -> Result<()> {
        let open = self.opened(index)?;
        let Some(heap) = open.rel.kind.indexed() else {
            return Err(StorageError::WrongKind(open.rel.id));
        };
        match self.any_index(&open)? {
            AnyIndex::BTree(tree) => {
                let heap_open = self.opened(heap)?;
                tree.insert_sorted(&mut txn.work, entries, Some(&self.heap(&heap_open)?), taken)?;
            }
            AnyIndex::Hash(hash) => {
                entries.iter().try_for_each(|e| insert_hashed(&hash, txn, e).map(|_| ()))?;
            }
        }
        let me = txn.work.serial();
        if me.is_some() {
            for e in entries {
                self.engine.transactions.serial_key_written(me, open.rel.id, e.key)?;
            }
        }
        Ok(())
    }
    /// Appends the tids of all entries with exactly this key; of a hash index, with a key of the same hash.
    pub fn index_lookup(&self, index: RelId, key: &[u8], tids: &mut Vec<Tid>) -> Result<()> {
        let open = self.opened(index)?;
        match self.any_index(&open)? {
            AnyIndex::BTree(tree) => tree.lookup(key, tids),
            AnyIndex::Hash(hash) => hash.lookup(pg_hash_index::hash(key), tids),
        }
    }
    /// Starts a range scan between two bounds, the lower one first whatever the direction.
    pub fn index_scan(
        self: &Arc<Self>,
        index: RelId,
        low: KeyBound<'_>,
        high: KeyBound<'_>,
        direction: ScanDirection,
    ) -> Result<IndexScan> {
        let open = self.opened(index)?;
        let cursor = self.index(&open)?.scan(low, high, direction);
        Ok(IndexScan { storage: self.clone(), open, cursor })
    }
    /// Fills an empty index from entries in any order. An entry is key, tid and whether its row is live; with `unique`, equal
    /// keys of two live rows give `Duplicate`.
    pub fn index_build(
        self: &Arc<Self>,
        txn: &mut Transaction,
        index: RelId,
        entries: &mut dyn Iterator<Item = (Vec<u8>, Tid, bool)>,
        unique: bool,
    ) -> Result<IndexInsert> {
        let mut sorter = self.index_sorter(index, SMALL_BUILD)?;
        for (key, tid, live) in entries {
            sorter.push(&key, tid, live)?;
        }
        let distinct = if unique { Distinct::Whole } else { Distinct::No };
        self.index_build_sorted(txn, index, alloc::vec![sorter], distinct, || Ok::<(), StorageError>(()))
    }
    /// Fills an empty index with what sorters hold, as CREATE INDEX does. `pause` is called now and then; its error ends the work.
    pub fn index_build_sorted<E: From<StorageError>>(
        self: &Arc<Self>,
        txn: &mut Transaction,
        index: RelId,
        sorters: Vec<IndexSorter>,
        how: impl Into<IndexBuild>,
        pause: impl FnMut() -> core::result::Result<(), E>,
    ) -> core::result::Result<IndexInsert, E> {
        let how = how.into();
        let open = self.opened(index)?;
        if let Some(heap) = open.rel.kind.indexed() {
            open.usable_from.store(self.opened(heap)?.usable_from.load(Ordering::Acquire), Ordering::Release);
        }
        // The log is written while the tree is built.
        let done = Arc::new(AtomicBool::new(false));
        let flusher = (platform::task::core_count() > 1).then(|| {
            let (done, this) = (done.clone(), self.clone());
            platform::task::spawn("index build", move || {
                let mut written = this.wal.inserted();
                while !done.load(Ordering::Acquire) {
                    let at = this.wal.inserted();
                    if at.0 - written.0 > FLUSH_BYTES {
                        this.wal.flush(at);
                        written = at;
                    } else {
                        platform::task::sleep(Duration::from_micros(500));
                    }
                }
            })
        });
        let xid = txn.work.writing_xid();
        let built = match self.any_index(&open)? {
            AnyIndex::BTree(tree) => tree.build(
                xid,
                sorters.into_iter().map(|s| s.inner).collect(),
                (how.distinct, how.fill_factor),
                pause,
            ),
            AnyIndex::Hash(hash) => {
                build_hashed(&hash, xid, sorters, how.fill_factor, pause).map(|()| IndexInsert::Done)
            }
        };
        done.store(true, Ordering::Release);
        if let Some(f) = flusher {
            let _ = f.join();
        }
        built
    }
}

/// A heap that several tasks scan together.
struct SharedScan {
    storage: Arc<Storage>,
    open: Arc<Open>,
    next: AtomicU32,
    skipped: AtomicBool,
    stop: AtomicBool,
}

impl SharedScan {
    fn run<W: IndexWorker>(&self, mut worker: W, mut pause: impl FnMut() -> bool) -> Result<W> {
        let heap = self.storage.heap(&self.open)?;
        let blocks = self.open.rel.blocks();
        loop {
            let first = self.next.fetch_add(BLOCKS_AT_A_TIME, Ordering::Relaxed);
            if first >= blocks {
                worker.finish();
                return Ok(worker);
            }
            for block in first..(first + BLOCKS_AT_A_TIME).min(blocks) {
                match heap.scan_page_for_index(block, |tid, p| worker.row(tid, p)) {
                    Ok(skipped) => self.skipped.fetch_or(skipped, Ordering::Release),
                    Err(e) => {
                        self.stop.store(true, Ordering::Release);
                        return Err(e);
                    }
                };
            }
            if !pause() || !worker.goes_on() {
                self.stop.store(true, Ordering::Release);
            }
            if self.stop.load(Ordering::Acquire) {
                return Ok(worker);
            }
            platform::task::checkpoint();
        }
    }
}

/// One task's part of the scan in CREATE INDEX.
pub trait IndexWorker: Send + 'static {
    /// A row's live version, with the tid of its index entry. Runs with the page latched.
    fn row(&mut self, tid: Tid, payload: &[u8]);
    /// False ends the scan for all.
    fn goes_on(&mut self) -> bool;
    /// There are no more rows.
    fn finish(&mut self);
}

/// What is done with a relation.
pub struct RelationActivity(Arc<pg_volume::Relation>);

impl core::ops::Deref for RelationActivity {
    type Target = pg_volume::Activity;
    fn deref(&self) -> &Self::Target {
        &self.0.activity
    }
}

/// Which pages everyone sees all of.
///
/// Ask after the index entry was read: whoever makes a row invisible, or puts another in its place, clears the page's bit first.
pub struct VisiblePages(Arc<pg_volume::Relation>);

impl VisiblePages {
    /// Are all rows of this page visible to every snapshot?
    #[inline]
    pub fn contains(&self, block: u32) -> bool {
        self.0.visible.get(block)
    }
}

/// A sequential scan.
pub struct HeapScan {
    storage: Arc<Storage>,
    open: Arc<Open>,
    snapshot: Snapshot,
    ahead: Lookahead,
    next: u32,
    end: u32,
    /// Instead of looking ahead, pages are read by many at a time: those below this are.
    loaded: Option<u32>,
    waited: Duration,
    /// The last ones took so long that the device, not copying, is what takes it.
    far: bool,
}

/// Pages that are read at a time where they come fast: so few that they are in the processor's cache still when they are gone through.
const NEAR: u32 = 16;
/// Time for a page that is fast.
const NEAR_PAGE: Duration = Duration::from_micros(12);

impl HeapScan {
    /// Reads pages by many at a time from now on, in this task: for a short pass, of which several tasks make one after the other.
    pub fn read_by_many(&mut self) {
        self.loaded = Some(self.next);
    }
    /// The time that took.
    pub fn waited(&self) -> Duration {
        self.waited
    }
    /// Someone will come to these pages of the same table soon.
    pub fn announce(&self, pages: Range<u32>) {
        self.storage.engine.pool.prefetch_passing(&self.open.rel, pages);
    }
    #[cold]
    fn load_many(&mut self, block: u32) {
        let pool = &self.storage.engine.pool;
        let count = if self.far { pool.passing_limit() } else { pool.passing_limit().min(NEAR) };
        let until = block.saturating_add(count).min(self.end);
        let start = platform::time::monotonic();
        pool.load_passing(&self.open.rel, block..until);
        let spent = platform::time::monotonic().saturating_sub(start);
        self.waited += spent;
        self.far = spent > NEAR_PAGE * (until - block);
        self.loaded = Some(until);
    }
    /// Gives the visible rows of the next page (maybe none) to `row`. False at the end. A row on overflow pages is
    /// assembled first.
    pub fn next_page(&mut self, row: impl FnMut(Tid, &[u8])) -> Result<bool> {
        if self.next >= self.end {
            return Ok(false);
        }
        let block = self.next;
        self.next += 1;
        match self.loaded {
            None => self.ahead.at(&self.storage.engine.pool, &self.open.rel, block),
            Some(until) if block < until => {}
            Some(_) => self.load_many(block),
        }
        self.storage.heap(&self.open)?.scan_page(block, &self.snapshot, row)?;
        Ok(true)
    }
    /// The page behind the last one.
    pub fn end(&self) -> u32 {
        self.end
    }
    /// The page that the next call reads.
    pub fn position(&self) -> u32 {
        self.next
    }
}

/// A range scan of an index.
pub struct IndexScan {
    storage: Arc<Storage>,
    open: Arc<Open>,
    cursor: pg_btree::Cursor,
}

impl IndexScan {
    /// Appends the tids of the next leaf's matching entries, in scan order, to `tids`; false at the end (nothing was appended).
    pub fn next_batch(&mut self, tids: &mut Vec<Tid>) -> Result<bool> {
        self.next_entries(|_, tid| tids.push(tid))
    }
    /// As `next_batch`, giving the keys too.
    pub fn next_entries(&mut self, entry: impl FnMut(&[u8], Tid)) -> Result<bool> {
        self.storage.index(&self.open)?.next(&mut self.cursor, entry)
    }
}
