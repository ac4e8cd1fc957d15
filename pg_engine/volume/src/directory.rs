//! Which relations there are, which extents they own, and what is free.

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use core::{
    ops::Range,
    sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering},
};

use hashbrown::HashMap;
use pg_page::{Lsn, PAGE_SIZE, RelId, StorageError, Xid};
use pg_wal::{RecordKind, Wal};
use platform::{
    block::{BlockDevice, BlockError},
    sync::{Mutex, MutexGuard, OnceLock, RwLock},
};

use crate::codec::{Decoder, Encoder};

/// Log record: a relation came into being.
pub const KIND_REL_CREATE: RecordKind = RecordKind(16);
/// Log record: a relation got an extent.
pub const KIND_EXTENT: RecordKind = RecordKind(17);
/// Log record: a relation is gone.
pub const KIND_REL_DROP: RecordKind = RecordKind(18);

const META_MAGIC: &[u8; 8] = b"ITLMETA1";

// Extents grow with the relation: 8 of 8 pages, 63 of 64, then 1,024 each.
const SMALL: u32 = 8;
const SMALL_END: u32 = 64;
const MEDIUM: u32 = 64;
const MEDIUM_END: u32 = 4096;
const LARGE: u32 = 1024;
const FIRST_MEDIUM: u32 = 8;
const FIRST_LARGE: u32 = 71;
const LARGE_CHUNK: u32 = 512;
const LARGE_CHUNKS: u32 = 128;
/// Pages of the greatest relation.
const MAX_BLOCKS: u32 = MEDIUM_END + LARGE * LARGE_CHUNK * LARGE_CHUNKS;

/// What a relation is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// Rows.
    Heap,
    /// A B-tree over a heap.
    BTree {
        /// The heap whose rows the entries point to.
        heap: RelId,
    },
    /// A hash index over a heap.
    Hash {
        /// The heap whose rows the entries point to.
        heap: RelId,
    },
    /// A sequence.
    Sequence,
}

impl RelationKind {
    /// Of an index: the heap that it is over.
    pub fn indexed(self) -> Option<RelId> {
        match self {
            Self::BTree { heap } | Self::Hash { heap } => Some(heap),
            Self::Heap | Self::Sequence => None,
        }
    }
    fn encode(self) -> (u8, u32) {
        match self {
            Self::Heap => (1, 0),
            Self::BTree { heap } => (2, heap.0),
            Self::Sequence => (3, 0),
            Self::Hash { heap } => (4, heap.0),
        }
    }
    fn decode(code: u8, heap: u32) -> Option<Self> {
        match code {
            1 => Some(Self::Heap),
            2 => Some(Self::BTree { heap: RelId(heap) }),
            3 => Some(Self::Sequence),
            4 => Some(Self::Hash { heap: RelId(heap) }),
            _ => None,
        }
    }
}

/// What is wrong with the ownership of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerFault {
    /// Neither free nor anyone's.
    Lost,
    /// Someone else's too. Of this relation, if it is one's.
    Shared(Option<RelId>),
    /// Beyond the end of the volume.
    Outside(Option<RelId>),
}

type Chunk = Box<[AtomicU32; LARGE_CHUNK as usize]>;

/// One relation's storage.
pub struct Relation {
    /// Its name.
    pub id: RelId,
    /// What it is.
    pub kind: RelationKind,
    /// Formatted pages. Grows under `extend`.
    blocks: AtomicU32,
    /// Transaction that created it and has not ended; 0 when it is there to stay.
    creator: AtomicU64,
    /// About how many live rows it has. Kept by the cell above.
    pub live: AtomicI64,
    /// About how many row versions vacuum could remove.
    pub dead: AtomicI64,
    /// No id before this one that aborted is left on any of its pages. Not saved: 0 after a restart.
    pub vacuumed: AtomicU64,
    /// Of a heap: pages that everyone sees all of.
    pub visible: crate::VisibilityMap,
    /// What is done with it.
    pub activity: crate::Activity,
    /// Needed to free space: may grow into the reserve.
    vital: AtomicBool,
    /// Serialises growth.
    pub extend: Mutex<()>,
    near: [AtomicU32; FIRST_LARGE as usize],
    far: [OnceLock<Chunk>; LARGE_CHUNKS as usize],
}

/// Extent number, first block and pages of the extent that holds a block.
fn extent_of(block: u32) -> (u32, u32, u32) {
    if block < SMALL_END {
        let i = block / SMALL;
        (i, i * SMALL, SMALL)
    } else if block < MEDIUM_END {
        let i = (block - SMALL_END) / MEDIUM;
        (FIRST_MEDIUM + i, SMALL_END + i * MEDIUM, MEDIUM)
    } else {
        let i = (block - MEDIUM_END) / LARGE;
        (FIRST_LARGE + i, MEDIUM_END + i * LARGE, LARGE)
    }
}

/// Pages of extent number `i`.
fn extent_len(i: u32) -> u32 {
    match i {
        0..FIRST_MEDIUM => SMALL,
        FIRST_MEDIUM..FIRST_LARGE => MEDIUM,
        _ => LARGE,
    }
}

impl Relation {
    fn new(id: RelId, kind: RelationKind, creator: Xid) -> Self {
        Self {
            id,
            kind,
            blocks: AtomicU32::new(0),
            creator: AtomicU64::new(creator.0),
            live: AtomicI64::new(0),
            dead: AtomicI64::new(0),
            vacuumed: AtomicU64::new(0),
            visible: crate::VisibilityMap::default(),
            activity: crate::Activity::default(),
            vital: AtomicBool::new(false),
            extend: Mutex::new(()),
            near: [const { AtomicU32::new(0) }; FIRST_LARGE as usize],
            far: [const { OnceLock::new() }; LARGE_CHUNKS as usize],
        }
    }
    /// Number of formatted pages.
    #[inline]
    pub fn blocks(&self) -> u32 {
        self.blocks.load(Ordering::Acquire)
    }
    /// Notes that pages before `end` are formatted.
    pub fn grow_to(&self, end: u32) {
        self.blocks.fetch_max(end, Ordering::AcqRel);
    }
    /// The unfinished transaction that created it.
    pub fn creator(&self) -> Xid {
        Xid(self.creator.load(Ordering::Acquire))
    }
    /// It must be able to grow when the volume is full, because freeing space may need that: it may use the reserve.
    pub fn set_vital(&self) {
        self.vital.store(true, Ordering::Release);
    }
    /// Its creator has committed.
    pub fn settle(&self) {
        self.creator.store(0, Ordering::Release);
    }
    fn entry(&self, i: u32) -> Option<&AtomicU32> {
        match i.checked_sub(FIRST_LARGE) {
            None => self.near.get(i as usize),
            Some(i) => self.far.get((i / LARGE_CHUNK) as usize)?.get()?.get((i % LARGE_CHUNK) as usize),
        }
    }
    /// The physical page of a block, if it lies in an extent.
    #[inline]
    pub fn physical(&self, block: u32) -> Option<u32> {
        let (i, first, _) = extent_of(block);
        match self.entry(i)?.load(Ordering::Acquire) {
            0 => None,
            start => Some(start + (block - first)),
        }
    }
    fn set_extent(&self, i: u32, start: u32) -> bool {
        if let Some(far) = i.checked_sub(FIRST_LARGE) {
            let Some(slot) = self.far.get((far / LARGE_CHUNK) as usize) else { return false };
            slot.get_or_init(|| Box::new([const { AtomicU32::new(0) }; LARGE_CHUNK as usize]));
        }
        match self.entry(i) {
            Some(e) => {
                e.store(start, Ordering::Release);
                true
            }
            None => false,
        }
    }
    /// `(number, start)` of its extents.
    fn extents(&self) -> Vec<(u32, u32)> {
        let mut all = Vec::new();
        for i in 0..FIRST_LARGE + LARGE_CHUNK * LARGE_CHUNKS {
            match self.entry(i).map_or(0, |e| e.load(Ordering::Acquire)) {
                0 if i >= FIRST_LARGE && self.entry(i).is_none() => break,
                0 => {}
                start => all.push((i, start)),
            }
        }
        all
    }
}

/// A run of physical pages: start and length.
type Run = (u32, u32);

struct Space {
    /// Free runs by their starts.
    free: BTreeMap<u32, u32>,
    /// Pages in them.
    free_pages: u32,
    /// Pages that only vital growth may take.
    reserve: u32,
    /// Where the next snapshot goes: kept out of the free space, so that a checkpoint never lacks room.
    spare: Option<Run>,
    /// Where the newest snapshot is, and the one that is being written.
    current: Option<Run>,
    writing: Option<Run>,
    /// Bytes that the relations take in a snapshot, and that what comes behind them took last.
    meta_bytes: usize,
    extra_bytes: usize,
    /// Scratch runs by their starts.
    scratch: BTreeMap<u32, u32>,
    next_rel: u32,
    /// End of the last metadata record that was applied.
    lsn: Lsn,
}

/// Bytes of a snapshot's head, of a relation in it, of an extent.
const META_HEAD: usize = 24;
const META_RELATION: usize = 45;
const META_EXTENT: usize = 8;
/// Bytes beyond what a snapshot would take now that the spare run has.
const META_SLACK: usize = 64 << 10;

impl Space {
    fn new(pages: u32) -> Self {
        let usable = pages.saturating_sub(1);
        Self {
            free: BTreeMap::from([(1, usable)]),
            free_pages: usable,
            reserve: (pages / 16).min(512),
            spare: None,
            current: None,
            writing: None,
            meta_bytes: META_HEAD,
            extra_bytes: 0,
            scratch: BTreeMap::new(),
            next_rel: 1,
            lsn: Lsn(0),
        }
    }
    fn allocate(&mut self, pages: u32) -> Option<u32> {
        let start = *self.free.iter().find(|(_, len)| **len >= pages)?.0;
        self.claim(start, pages).then_some(start)
    }
    /// As `allocate`, of pages that the device has room for. It may have less than it says, and what was used before lies anywhere:
    /// the places tried in a run of free pages are twice as far from its start each time.
    fn allocate_backed(
        &mut self,
        pages: u32,
        backing: Option<&Backing>,
    ) -> Result<Option<u32>, StorageError> {
        let Some(backing) = backing else { return Ok(self.allocate(pages)) };
        let mut found = None;
        let mut tries = 0;
        'runs: for (&start, &len) in self.free.iter().filter(|(_, len)| **len >= pages) {
            let last = len - pages;
            let mut skip = 0;
            loop {
                tries += 1;
                if backing.has_room(start + skip, pages)? {
                    found = Some(start + skip);
                    break 'runs;
                }
                if tries == MOST_TRIES {
                    break 'runs;
                }
                if skip == last {
                    break;
                }
                skip = (skip * 2).max(pages).min(last);
            }
        }
        Ok(found.filter(|start| self.claim(*start, pages)))
    }
    /// Makes sure that a snapshot which grows by `more` bytes has a place. False: the volume is full.
    fn ensure_spare(&mut self, more: usize, backing: Option<&Backing>) -> Result<bool, StorageError> {
        let need = self.meta_bytes + more + self.extra_bytes * 2 + META_SLACK;
        let pages = need.div_ceil(PAGE_SIZE) as u32;
        // While a snapshot is written, the one before it is the next spare.
        let ready = if self.writing.is_some() { self.current } else { self.spare };
        if ready.is_some_and(|(_, len)| len >= pages) || self.spare.is_some_and(|(_, len)| len >= pages) {
            return Ok(true);
        }
        for len in [pages + pages / 4, pages] {
            if let Some(start) = self.allocate_backed(len, backing)? {
                if let Some((start, len)) = self.spare.replace((start, len)) {
                    self.release(start, len);
                }
                return Ok(true);
            }
        }
        Ok(false)
    }
    /// Sets the place of the next snapshot aside, if need be where there may be no room for it.
    fn set_aside(&mut self, backing: Option<&Backing>) {
        if !self.ensure_spare(0, backing).unwrap_or(false) {
            // Without a device nothing is asked and nothing fails.
            let _ = self.ensure_spare(0, None);
        }
    }
    /// Takes a given run out of the free space; false if any of it is not free.
    fn claim(&mut self, start: u32, pages: u32) -> bool {
        let Some((&s, &len)) = self.free.range(..=start).next_back() else { return false };
        let (Some(end), run_end) = (start.checked_add(pages), s + len) else { return false };
        if end > run_end {
            return false;
        }
        self.free.remove(&s);
        if start > s {
            self.free.insert(s, start - s);
        }
        if run_end > end {
            self.free.insert(end, run_end - end);
        }
        self.free_pages -= pages;
        true
    }
    fn release(&mut self, mut start: u32, mut pages: u32) {
        self.free_pages += pages;
        if let Some((&s, &len)) = self.free.range(..start).next_back()
            && s + len == start
        {
            self.free.remove(&s);
            start = s;
            pages += len;
        }
        if let Some(len) = self.free.remove(&(start + pages)) {
            pages += len;
        }
        self.free.insert(start, pages);
    }
}

/// Places that are tried for one allocation on a device without room for all that it says to have.
const MOST_TRIES: u32 = 32;

/// The device behind the pages.
struct Backing {
    device: Arc<dyn BlockDevice>,
    /// Where page 0 is.
    start: u64,
}

impl Backing {
    /// Makes sure that the pages can be written. False: there is no room for them.
    fn has_room(&self, page: u32, pages: u32) -> Result<bool, StorageError> {
        let bytes = |pages: u32| u64::from(pages) * PAGE_SIZE as u64;
        match self.device.reserve(self.start + bytes(page), bytes(pages)) {
            Ok(()) => Ok(true),
            Err(BlockError::NoSpace) => Ok(false),
            Err(e) => Err(StorageError::Io(e)),
        }
    }
}

/// The relations of a volume and its free space.
pub struct Directory {
    space: Mutex<Space>,
    relations: RwLock<HashMap<RelId, Arc<Relation>>>,
    total: u32,
    /// Asked under the lock of `space`.
    backing: OnceLock<Backing>,
}

impl Directory {
    /// An empty volume of so many pages (page 0 is not used).
    pub fn new(pages: u32) -> Self {
        Self {
            space: Mutex::new(Space::new(pages)),
            relations: RwLock::new(HashMap::new()),
            total: pages,
            backing: OnceLock::new(),
        }
    }

    /// From now on pages are given out only where this device has room for them; page 0 is at `start`. A disk that has less room than
    /// it says must say so at once: later a checkpoint would meet it, and no one could be told.
    pub fn back_with(&self, device: Arc<dyn BlockDevice>, start: u64) {
        self.backing.get_or_init(|| Backing { device, start });
    }

    /// Looks a relation up.
    #[inline]
    pub fn get(&self, rel: RelId) -> Option<Arc<Relation>> {
        self.relations.read().get(&rel).cloned()
    }
    /// All relations, in the order of their ids.
    pub fn all(&self) -> Vec<Arc<Relation>> {
        let mut all: Vec<_> = self.relations.read().values().cloned().collect();
        all.sort_unstable_by_key(|r| r.id);
        all
    }
    /// Free and total pages.
    pub fn usage(&self) -> (u64, u64) {
        (u64::from(self.space.lock().free_pages), u64::from(self.total))
    }

    /// Creates a relation on behalf of an unfinished transaction.
    pub fn create(&self, wal: &Wal, kind: RelationKind, creator: Xid) -> Result<Arc<Relation>, StorageError> {
        let mut space = self.space.lock();
        if !space.ensure_spare(META_RELATION, self.backing.get())? {
            return Err(StorageError::DiskFull(RelId(space.next_rel)));
        }
        space.meta_bytes += META_RELATION;
        let id = RelId(space.next_rel);
        space.next_rel += 1;
        let (code, heap) = kind.encode();
        let mut e = Encoder::default();
        e.u32(id.0).u8(code).u32(heap);
        space.lsn = log(wal, KIND_REL_CREATE, creator, &e.0);
        let rel = Arc::new(Relation::new(id, kind, creator));
        self.relations.write().insert(id, rel.clone());
        Ok(rel)
    }

    /// Makes sure that a block lies in an extent, and gives its physical page. The caller holds `rel.extend`.
    pub fn ensure_extent(&self, wal: &Wal, rel: &Relation, block: u32) -> Result<u32, StorageError> {
        if let Some(p) = rel.physical(block) {
            return Ok(p);
        }
        if block >= MAX_BLOCKS {
            return Err(StorageError::RelationTooLarge(rel.id));
        }
        let (i, first, pages) = extent_of(block);
        let mut space = self.space.lock();
        // A first extent may come from the reserve: TRUNCATE needs one for each index before it frees anything.
        let floor = if i == 0 || rel.vital.load(Ordering::Acquire) { 0 } else { space.reserve };
        let full = StorageError::DiskFull(rel.id);
        if space.free_pages < pages + floor || !space.ensure_spare(META_EXTENT, self.backing.get())? {
            return Err(full);
        }
        let start = space.allocate_backed(pages, self.backing.get())?.ok_or(full)?;
        space.meta_bytes += META_EXTENT;
        let mut e = Encoder::default();
        e.u32(rel.id.0).u32(i).u32(start);
        space.lsn = log(wal, KIND_EXTENT, Xid::NONE, &e.0);
        rel.set_extent(i, start);
        Ok(start + (block - first))
    }

    /// Removes a relation and frees its space. Its pages must have left the buffer pool. Returns false if there was
    /// none. With `wal`, the removal is logged here; without, a durable commit record implies it.
    pub fn drop_relation(&self, wal: Option<&Wal>, rel: RelId) -> bool {
        let mut space = self.space.lock();
        if let Some(wal) = wal
            && self.get(rel).is_some()
        {
            let mut e = Encoder::default();
            e.u32(rel.0);
            space.lsn = log(wal, KIND_REL_DROP, Xid::NONE, &e.0);
        }
        self.remove(&mut space, rel)
    }

    fn remove(&self, space: &mut MutexGuard<'_, Space>, rel: RelId) -> bool {
        let Some(r) = self.relations.write().remove(&rel) else { return false };
        space.meta_bytes = space.meta_bytes.saturating_sub(META_RELATION);
        for (i, start) in r.extents() {
            space.release(start, extent_len(i));
            space.meta_bytes = space.meta_bytes.saturating_sub(META_EXTENT);
        }
        true
    }

    /// The snapshot last taken is what counts from now on (`kept`), or it could not be written.
    pub fn snapshot_written(&self, kept: bool) {
        let mut space = self.space.lock();
        let Some(written) = space.writing.take() else { return };
        let unused = if kept { space.current.replace(written) } else { Some(written) };
        // The longer of the two is the next spare.
        let mut runs = [space.spare, unused];
        runs.sort_unstable_by_key(|r| r.map_or(0, |(_, len)| len));
        space.spare = runs[1];
        if let Some((start, len)) = runs[0] {
            space.release(start, len);
        }
        space.set_aside(self.backing.get());
    }
    /// Takes free pages in a row for scratch use on behalf of a relation. Nothing is logged: a restart finds them free.
    pub fn take_scratch(&self, pages: u32, rel: RelId) -> Result<u32, StorageError> {
        let mut space = self.space.lock();
        if space.free_pages < space.reserve.saturating_add(pages) {
            return Err(StorageError::DiskFull(rel));
        }
        let start = space.allocate_backed(pages, self.backing.get())?.ok_or(StorageError::DiskFull(rel))?;
        space.scratch.insert(start, pages);
        Ok(start)
    }
    /// Gives scratch pages back.
    pub fn release_scratch(&self, start: u32) {
        let mut space = self.space.lock();
        if let Some(pages) = space.scratch.remove(&start) {
            space.release(start, pages);
        }
    }
    /// Sets the space for the next snapshot aside. To be called when recovery has redone everything.
    pub fn set_aside(&self) {
        self.space.lock().set_aside(self.backing.get());
    }
    /// So many free pages in a row. They are not taken: for a directory that no one else uses.
    pub fn find_free(&self, pages: u32) -> Option<u32> {
        self.space.lock().free.iter().find(|(_, len)| **len >= pages).map(|(start, _)| *start)
    }

    /// Checks that every page has one owner: a relation, a metadata snapshot or the free space. `report` gets each page range without one, or with two, and whose it is.
    pub fn audit(&self, report: &mut dyn FnMut(Range<u32>, OwnerFault)) {
        let mut owned: Vec<(u32, u32, Option<RelId>)> = Vec::new();
        {
            let space = self.space.lock();
            let runs = [space.current, space.writing, space.spare];
            owned.extend(runs.iter().flatten().map(|(start, len)| (*start, *len, None)));
            owned.extend(space.free.iter().chain(&space.scratch).map(|(start, len)| (*start, *len, None)));
            for r in self.relations.read().values() {
                owned.extend(r.extents().into_iter().map(|(i, start)| (start, extent_len(i), Some(r.id))));
            }
        }
        owned.sort_unstable();
        let mut next = 1;
        for (start, len, rel) in owned {
            let end = start.saturating_add(len);
            if start > next {
                report(next..start, OwnerFault::Lost);
            }
            if start < next {
                report(start..next.min(end), OwnerFault::Shared(rel));
            }
            if end > self.total {
                report(start..end, OwnerFault::Outside(rel));
            }
            next = next.max(end);
        }
        if next < self.total {
            report(next..self.total, OwnerFault::Lost);
        }
    }

    /// Marks the current snapshot's run as taken while loading.
    pub fn claim_run(&self, start: u32, pages: u32) -> Result<(), StorageError> {
        let mut space = self.space.lock();
        if space.claim(start, pages) {
            space.current = Some((start, pages));
            Ok(())
        } else {
            Err(StorageError::CorruptVolume("metadata overlaps a relation"))
        }
    }

    /// The whole directory as of one moment, and a free run of pages for it and `extra` bytes behind it. The run must be
    /// taken at that moment too: what the log says to allocate later must not meet it when it is redone.
    pub fn snapshot(&self, extra: usize) -> Result<(Vec<u8>, u32), StorageError> {
        let mut space = self.space.lock();
        let all = self.all();
        let mut e = Encoder::default();
        e.raw(META_MAGIC).u64(space.lsn.0).u32(space.next_rel).u32(all.len() as u32);
        for r in all {
            let (code, heap) = r.kind.encode();
            let extents = r.extents();
            e.u32(r.id.0).u8(code).u32(heap).u64(r.creator().0).u32(r.blocks()).u32(extents.len() as u32);
            e.u64(r.live.load(Ordering::Relaxed).max(0) as u64)
                .u64(r.dead.load(Ordering::Relaxed).max(0) as u64);
            for (i, start) in extents {
                e.u32(i).u32(start);
            }
        }
        space.extra_bytes = extra;
        let pages = (e.0.len() + extra).div_ceil(PAGE_SIZE) as u32;
        let run = match space.spare.take() {
            Some((start, len)) if len >= pages => (start, len),
            small => {
                space.spare = small;
                let backed = space.allocate_backed(pages, self.backing.get()).unwrap_or(None);
                let start = backed.or_else(|| space.allocate(pages));
                (start.ok_or(StorageError::DiskFull(RelId(0)))?, pages)
            }
        };
        space.writing = Some(run);
        Ok((e.0, run.0))
    }

    /// Reads what [`Directory::snapshot`] wrote; `d` is left behind it.
    pub fn load(pages: u32, d: &mut Decoder<'_>) -> Result<Self, StorageError> {
        let this = Self::new(pages);
        this.load_into(d).ok_or(StorageError::CorruptVolume("metadata is malformed"))?;
        Ok(this)
    }

    fn load_into(&self, d: &mut Decoder<'_>) -> Option<()> {
        let mut space = self.space.lock();
        (d.raw(8)? == META_MAGIC).then_some(())?;
        space.lsn = Lsn(d.u64()?);
        space.next_rel = d.u32()?;
        for _ in 0..d.u32()? {
            let (id, code, heap) = (RelId(d.u32()?), d.u8()?, d.u32()?);
            let rel = Relation::new(id, RelationKind::decode(code, heap)?, Xid(d.u64()?));
            space.meta_bytes += META_RELATION;
            rel.grow_to(d.u32()?);
            let extents = d.u32()?;
            rel.live.store(d.u64()? as i64, Ordering::Relaxed);
            rel.dead.store(d.u64()? as i64, Ordering::Relaxed);
            for _ in 0..extents {
                let (i, start) = (d.u32()?, d.u32()?);
                (space.claim(start, extent_len(i)) && rel.set_extent(i, start)).then_some(())?;
                space.meta_bytes += META_EXTENT;
            }
            self.relations.write().insert(id, Arc::new(rel));
        }
        Some(())
    }

    /// Redoes a metadata record unless the snapshot already had it. True if the kind is one of ours.
    pub fn redo(&self, kind: RecordKind, xid: Xid, end: Lsn, body: &[u8]) -> Result<bool, StorageError> {
        if ![KIND_REL_CREATE, KIND_EXTENT, KIND_REL_DROP].contains(&kind) {
            return Ok(false);
        }
        let mut space = self.space.lock();
        if end <= space.lsn {
            return Ok(true);
        }
        space.lsn = end;
        let mut d = Decoder(body);
        let done = match kind {
            KIND_REL_CREATE => self.redo_create(&mut space, xid, &mut d),
            KIND_EXTENT => self.redo_extent(&mut space, &mut d),
            _ => d.u32().map(|rel| {
                self.remove(&mut space, RelId(rel));
            }),
        };
        done.ok_or(StorageError::CorruptVolume("a metadata record cannot be redone")).map(|()| true)
    }

    fn redo_create(&self, space: &mut Space, xid: Xid, d: &mut Decoder<'_>) -> Option<()> {
        let (id, code, heap) = (RelId(d.u32()?), d.u8()?, d.u32()?);
        space.next_rel = space.next_rel.max(id.0 + 1);
        let rel = Relation::new(id, RelationKind::decode(code, heap)?, xid);
        space.meta_bytes += META_RELATION;
        self.relations.write().insert(id, Arc::new(rel));
        Some(())
    }

    fn redo_extent(&self, space: &mut Space, d: &mut Decoder<'_>) -> Option<()> {
        let (id, i, start) = (RelId(d.u32()?), d.u32()?, d.u32()?);
        // Its drop by a commit may already be in the snapshot.
        let Some(rel) = self.get(id) else { return Some(()) };
        space.meta_bytes += META_EXTENT;
        (space.claim(start, extent_len(i)) && rel.set_extent(i, start)).then_some(())
    }
}

fn log(wal: &Wal, kind: RecordKind, xid: Xid, body: &[u8]) -> Lsn {
    match wal.append(kind, xid, &[body], None) {
        Ok(lsn) => lsn,
        Err(pg_wal::NeedImage) => platform::power::fatal("a record without pages was refused"),
    }
}

#[cfg(test)]
mod tests {
    use platform::{
        faulty_device::{Fault, FaultyDevice},
        memory_device::MemDevice,
    };

    use super::*;

    #[test]
    fn pages_are_given_out_where_the_device_has_room() {
        const AT: u64 = 64 << 10;
        let bytes = |pages: Range<u32>| {
            AT + u64::from(pages.start) * PAGE_SIZE as u64..AT + u64::from(pages.end) * PAGE_SIZE as u64
        };
        let device =
            Arc::new(FaultyDevice::new(Arc::new(MemDevice::new(AT + 1000 * PAGE_SIZE as u64, 4096))));
        let directory = Directory::new(1000);
        directory.back_with(device.clone(), AT);
        directory.set_aside();
        let rel = RelId(7);
        // The lowest free run has no room at its start, and one behind it has some at its end.
        let first = directory.take_scratch(8, rel).unwrap();
        let second = directory.take_scratch(100, rel).unwrap();
        let third = directory.take_scratch(200, rel).unwrap();
        assert_eq!((second, third), (first + 8, first + 108));
        directory.release_scratch(second);
        device.set(&[Fault::NoRoom(bytes(second..second + 20)), Fault::NoRoom(bytes(third + 200..1000))]);
        let given = directory.take_scratch(16, rel).unwrap();
        assert!(given >= second + 20 && given + 16 <= third, "{given}");
        directory.release_scratch(first);
        assert_eq!(directory.take_scratch(8, rel).unwrap(), first);
        device.set(&[Fault::NoRoom(bytes(0..third)), Fault::NoRoom(bytes(third + 200..990))]);
        assert_eq!(directory.take_scratch(10, rel).unwrap(), 990);
        // Nowhere: it ends, and nothing is lost.
        assert_eq!(directory.take_scratch(10, rel), Err(StorageError::DiskFull(rel)));
        device.set(&[]);
        directory.take_scratch(10, rel).unwrap();
        directory.audit(&mut |pages, fault| panic!("{pages:?}: {fault:?}"));
    }

    #[test]
    fn every_page_has_one_owner() {
        let directory = Directory::new(10_000);
        let give = |id: u32, i: u32, start: u32| {
            let rel = Relation::new(RelId(id), RelationKind::Heap, Xid::NONE);
            assert!(rel.set_extent(i, start));
            directory.relations.write().insert(RelId(id), Arc::new(rel));
        };
        let faults = || {
            let mut found = Vec::new();
            directory.audit(&mut |range, fault| found.push((range, fault)));
            found
        };
        assert_eq!(faults(), []);
        // Taken from the free space and given to no one.
        assert!(directory.space.lock().claim(100, SMALL));
        assert_eq!(faults(), [(100..108, OwnerFault::Lost)]);
        directory.space.lock().current = Some((100, SMALL));
        assert_eq!(faults(), []);
        directory.space.lock().current = None;
        give(1, 0, 100);
        assert_eq!(faults(), []);
        // Two relations, and a relation and the free space.
        give(2, 0, 104);
        assert_eq!(
            faults(),
            [(104..108, OwnerFault::Shared(Some(RelId(2)))), (108..112, OwnerFault::Shared(None))]
        );
        give(2, 0, 9_996);
        assert_eq!(
            faults(),
            [
                (9_996..10_000, OwnerFault::Shared(Some(RelId(2)))),
                (9_996..10_004, OwnerFault::Outside(Some(RelId(2))))
            ]
        );
    }
}
