//! Finding, loading, evicting and changing pages.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use pg_page::{Lsn, PAGE_SIZE, Page, RelId, StorageError, Xid, ops::Ops};
use pg_volume::{Directory, Relation, Superblock};
use pg_wal::Wal;
use platform::{
    block::{BlockDevice, BlockError, Durability, IoClass},
    bug::{Bug, planted},
    power,
    sync::{Mutex, OnceLock},
    tally::{self, Tally},
    time,
};

use crate::{
    ahead::ReadAhead,
    evict::{Need, Ring},
    frame::{DIRTY, Frame, Interest, PanicWatch, Pin, ReadGuard, VALID, WriteGuard},
    redo,
    stats::{Actor, Counters, PoolStats, Purpose, add, add_time},
    writeback::Bell,
};

pub(crate) type Result<T> = core::result::Result<T, StorageError>;

/// Pages per piece of the translation table.
const PIECE: usize = 4096;
pub(crate) const LOADERS: usize = 64;
/// Fewest frames.
const MIN_FRAMES: usize = 32;
/// Most pages of one log record.
pub(crate) const MAX_PAGES: usize = 5;

type Piece = Box<[AtomicU32]>;

/// An LSN in short, never 0. LSNs are multiples of 8.
fn stamp_of(lsn: Lsn) -> u32 {
    ((lsn.0 >> 3) as u32).max(1)
}

/// What is wrong with a page whose last write was lost.
pub const OLDER_THAN_WRITTEN: &str = "an older version than was written to it";
/// What is wrong with a page whose log is missing.
pub const NEWER_THAN_LOG: &str = "a newer version than the log knows of";

/// The cache of one volume.
pub struct BufferPool {
    pub(crate) device: Arc<dyn BlockDevice>,
    pub(crate) wal: Arc<Wal>,
    data_start: u64,
    table: Box<[OnceLock<Piece>]>,
    /// What was last written to a page in this run, by its LSN: a write that the device lost is noticed when the page is read again.
    stamps: Box<[OnceLock<Piece>]>,
    pub(crate) frames: Box<[Frame]>,
    pub(crate) loaders: [Mutex<()>; LOADERS],
    pub(crate) free: Mutex<Vec<u32>>,
    /// Frames from here on were never used.
    pub(crate) fresh: AtomicUsize,
    pub(crate) hand: AtomicUsize,
    pub(crate) ring: Mutex<Ring>,
    pub(crate) counters: Counters,
    /// Wakes the background writer.
    pub(crate) bell: Bell,
    pub(crate) ahead: Arc<ReadAhead>,
    /// Copies on their way out go through these.
    pub(crate) copies: Mutex<Vec<Box<Page>>>,
    recovering: AtomicBool,
    /// The greatest LSN of a page that recovery read.
    newest: AtomicU64,
    /// Writes that failed; the pages are still dirty.
    pub(crate) write_failures: AtomicU64,
    /// When a failure was last logged, in seconds.
    pub(crate) complained: AtomicU64,
}

impl BufferPool {
    /// A pool of about so many bytes over a volume.
    pub fn new(device: Arc<dyn BlockDevice>, wal: Arc<Wal>, superblock: &Superblock, bytes: u64) -> Self {
        let frames = ((bytes / PAGE_SIZE as u64) as usize).clamp(MIN_FRAMES, 1 << 30);
        let pieces = (superblock.data_pages as usize).div_ceil(PIECE);
        Self {
            device,
            wal,
            data_start: superblock.data_start,
            table: (0..pieces).map(|_| OnceLock::new()).collect(),
            stamps: (0..pieces).map(|_| OnceLock::new()).collect(),
            frames: (0..frames).map(|_| Frame::new()).collect(),
            loaders: [const { Mutex::new(()) }; LOADERS],
            free: Mutex::new(Vec::new()),
            fresh: AtomicUsize::new(0),
            hand: AtomicUsize::new(0),
            ring: Mutex::default(),
            counters: Counters::default(),
            bell: Bell::default(),
            ahead: Arc::default(),
            copies: Mutex::default(),
            recovering: AtomicBool::new(false),
            newest: AtomicU64::new(0),
            write_failures: AtomicU64::new(0),
            complained: AtomicU64::new(0),
        }
    }

    /// Counters.
    pub fn stats(&self) -> PoolStats {
        PoolStats {
            frames: self.frames.len(),
            resident: (self.fresh.load(Ordering::Relaxed).min(self.frames.len()) * PAGE_SIZE) as u64,
            reads: self.counters.sum(|c| &c.reads),
            writes: self.counters.sum(|c| &c.writes),
            write_failures: self.write_failures.load(Ordering::Relaxed),
        }
    }
    /// The log that pages are stamped with.
    pub fn wal(&self) -> &Arc<Wal> {
        &self.wal
    }
    /// Says whether what happens from now on is recovery's doing (as far as no one else says it did it).
    pub fn set_recovering(&self, yes: bool) {
        self.recovering.store(yes, Ordering::Relaxed);
    }
    /// The greatest LSN of a page that was read during recovery: log up to there was durable.
    pub fn newest_read(&self) -> Lsn {
        Lsn(self.newest.load(Ordering::Relaxed))
    }
    pub(crate) fn actor(&self) -> Actor {
        if self.recovering.load(Ordering::Relaxed) { Actor::Recovery } else { Actor::Statement }
    }
    /// Byte offset of a physical page.
    pub(crate) fn offset(&self, page: u32) -> u64 {
        self.data_start + u64::from(page) * PAGE_SIZE as u64
    }

    /// Writes to pages taken with [`Directory::take_scratch`], past the pool. Not durable.
    pub fn write_scratch(&self, page: u32, bytes: &[u8]) -> Result<()> {
        self.device.write(self.offset(page), bytes, Durability::Cached, IoClass::Background)?;
        tally::count(Tally::TemporaryWritten, bytes.len().div_ceil(PAGE_SIZE) as u64);
        Ok(())
    }
    /// Reads what [`BufferPool::write_scratch`] wrote.
    pub fn read_scratch(&self, page: u32, bytes: &mut [u8]) -> Result<()> {
        self.device.read(self.offset(page), bytes, IoClass::Read)?;
        tally::count(Tally::TemporaryRead, bytes.len().div_ceil(PAGE_SIZE) as u64);
        Ok(())
    }

    #[inline]
    pub(crate) fn entry(&self, page: u32) -> Option<&AtomicU32> {
        let piece = self.table.get(page as usize / PIECE)?;
        let piece = match piece.get() {
            Some(p) => p,
            None => piece.get_or_init(|| (0..PIECE).map(|_| AtomicU32::new(0)).collect()),
        };
        piece.get(page as usize % PIECE)
    }

    /// A page was written.
    pub(crate) fn set_stamp(&self, page: u32, lsn: Lsn) {
        let piece = self.stamps.get(page as usize / PIECE);
        let piece = piece.map(|p| p.get_or_init(|| (0..PIECE).map(|_| AtomicU32::new(0)).collect()));
        if let Some(stamp) = piece.and_then(|p| p.get(page as usize % PIECE)) {
            stamp.store(stamp_of(lsn), Ordering::Release);
        }
    }

    /// Is what someone read from the device, past the pool, what should be there? If not, perhaps it was just being written.
    pub fn is_as_written(&self, found: &Page, (rel, block, page): (RelId, u32, u32)) -> bool {
        self.check_read(Ok(()), found, (rel, block, page)).is_ok()
    }

    /// Is this what was last written to the page, as far as is known?
    fn check_stamp(&self, page: u32, found: &Page) -> Result<()> {
        if planted(Bug::LostWriteUnnoticed) {
            return Ok(());
        }
        let piece = self.stamps.get(page as usize / PIECE).and_then(OnceLock::get);
        let stamp = piece.and_then(|p| p.get(page as usize % PIECE)).map_or(0, |s| s.load(Ordering::Acquire));
        if stamp == 0 || stamp == stamp_of(found.lsn()) {
            return Ok(());
        }
        let (rel, block) = (found.rel(), found.block());
        Err(StorageError::Corrupt { rel, block, what: OLDER_THAN_WRITTEN })
    }

    /// A page is written after the log that explains it. One that is newer than the log shows that log was lost.
    fn check_age(&self, found: &Page) -> Result<()> {
        let lsn = found.lsn();
        if self.recovering.load(Ordering::Relaxed) {
            // Where the log ends is not known yet; recovery will compare.
            self.newest.fetch_max(lsn.0, Ordering::Relaxed);
        } else if lsn > self.wal.inserted() {
            let (rel, block) = (found.rel(), found.block());
            return Err(StorageError::Corrupt { rel, block, what: NEWER_THAN_LOG });
        }
        Ok(())
    }

    /// Was this read as it should be?
    pub(crate) fn check_read(
        &self,
        outcome: core::result::Result<(), BlockError>,
        found: &Page,
        (rel, block, page): (RelId, u32, u32),
    ) -> Result<()> {
        outcome.map_err(|error| StorageError::Read { rel, block, error })?;
        if !planted(Bug::PageUnchecked) {
            found.check(rel, block)?;
        }
        self.check_age(found)?;
        self.check_stamp(page, found)
    }

    #[inline]
    fn locate(rel: &Relation, block: u32) -> Result<u32> {
        if block >= rel.blocks() {
            return Err(StorageError::Corrupt {
                rel: rel.id,
                block,
                what: "block beyond the end of the relation",
            });
        }
        rel.physical(block).ok_or(StorageError::Corrupt {
            rel: rel.id,
            block,
            what: "block without an extent",
        })
    }

    /// The page's frame, pinned, read from the device if need be. It may turn out not to be valid.
    #[inline]
    fn pinned(&self, rel: RelId, block: u32, page: u32, interest: Interest) -> Result<Pin<'_>> {
        loop {
            if let Some(frame) = self.pin_cached(page, interest) {
                tally::count(Tally::PageHit, 1);
                return Ok(Pin(frame));
            }
            if let Some(frame) = self.load(rel, block, page, interest)? {
                tally::count(Tally::PageRead, 1);
                return Ok(Pin(frame));
            }
        }
    }

    /// How a page of a relation is used by a pass over all of it.
    #[inline]
    fn passing(&self, rel: &Relation) -> Interest {
        if self.is_large(rel) { Interest::Pass } else { Interest::Use }
    }

    /// Shared access to a page. May read it from the device.
    #[inline]
    pub fn read(&self, rel: &Relation, block: u32) -> Result<ReadGuard<'_>> {
        self.read_as(rel, block, Interest::Use)
    }
    /// As `read`, for a pass over the whole relation: if that is large, the page is not worth keeping.
    #[inline]
    pub fn read_passing(&self, rel: &Relation, block: u32) -> Result<ReadGuard<'_>> {
        self.read_as(rel, block, self.passing(rel))
    }

    #[inline]
    fn read_as(&self, rel: &Relation, block: u32, interest: Interest) -> Result<ReadGuard<'_>> {
        let page = Self::locate(rel, block)?;
        loop {
            let pin = self.pinned(rel.id, block, page, interest)?;
            let frame = pin.0;
            let guard = ReadGuard { guard: frame.latch.read(), _pin: pin };
            if frame.has(VALID) {
                return if guard.rel() == rel.id {
                    Ok(guard)
                } else {
                    Err(StorageError::NoSuchRelation(rel.id))
                };
            }
            drop(guard);
            self.forget(frame, page);
        }
    }

    /// Exclusive access to a page. May read it from the device.
    #[inline]
    pub fn write(&self, rel: &Relation, block: u32) -> Result<WriteGuard<'_>> {
        self.write_as(rel, block, Interest::Use)
    }
    /// As `write`, for a pass over the whole relation.
    #[inline]
    pub fn write_passing(&self, rel: &Relation, block: u32) -> Result<WriteGuard<'_>> {
        self.write_as(rel, block, self.passing(rel))
    }

    #[inline]
    fn write_as(&self, rel: &Relation, block: u32, interest: Interest) -> Result<WriteGuard<'_>> {
        let page = Self::locate(rel, block)?;
        self.write_at(rel.id, block, page, interest)
    }
    /// As `write`, of a page whose place is known.
    pub(crate) fn write_page(&self, rel: RelId, block: u32, page: u32) -> Result<WriteGuard<'_>> {
        self.write_at(rel, block, page, Interest::Use)
    }

    #[inline]
    fn write_at(&self, rel: RelId, block: u32, page: u32, interest: Interest) -> Result<WriteGuard<'_>> {
        loop {
            let pin = self.pinned(rel, block, page, interest)?;
            let frame = pin.0;
            let guard = WriteGuard { watch: PanicWatch, guard: frame.latch.write(), pin };
            if frame.has(VALID) {
                return if guard.rel() == rel { Ok(guard) } else { Err(StorageError::NoSuchRelation(rel)) };
            }
            drop(guard);
            self.forget(frame, page);
        }
    }

    /// Exclusive access without waiting, if the page is here and free.
    pub fn try_write(&self, rel: &Relation, block: u32) -> Option<WriteGuard<'_>> {
        let frame = self.pin_cached(rel.physical(block)?, Interest::Use)?;
        let pin = Pin(frame);
        let guard = frame.latch.try_write()?;
        let guard = WriteGuard { watch: PanicWatch, guard, pin };
        (frame.has(VALID) && guard.rel() == rel.id).then_some(guard)
    }

    /// Adds a page of a kind to the relation.
    pub fn extend(
        &self,
        directory: &Directory,
        rel: &Relation,
        kind: u8,
        xid: Xid,
    ) -> Result<(u32, WriteGuard<'_>)> {
        let _growing = rel.extend.lock();
        let block = rel.blocks();
        let page = directory.ensure_extent(&self.wal, rel, block)?;
        let purpose = if self.is_large(rel) { Purpose::BulkWrite } else { Purpose::Normal };
        let mut guard = self.install(page, purpose)?;
        add(&self.counters.of(Actor::Statement, purpose).extends, 1);
        let mut ops = Ops::new();
        ops.format(kind);
        guard.hint_mut().format(0, rel.id, block);
        self.change(xid, &mut [(&mut guard, &ops)]);
        rel.grow_to(block + 1);
        Ok((block, guard))
    }

    /// A frame for a page whose former content does not matter, write-latched and valid.
    pub(crate) fn install(&self, page: u32, purpose: Purpose) -> Result<WriteGuard<'_>> {
        loop {
            if let Some(frame) = self.pin_cached(page, Interest::Use) {
                let pin = Pin(frame);
                let guard = frame.latch.write();
                let guard = WriteGuard { watch: PanicWatch, guard, pin };
                frame.set(VALID);
                return Ok(guard);
            }
            let need = Need { actor: self.actor(), purpose, ahead: false };
            if let Some(guard) = self.adopt(page, need)? {
                guard.frame().set(VALID);
                return Ok(guard);
            }
        }
    }

    /// Reads a page from the device. Gives its frame pinned; None: look again.
    #[cold]
    fn load(&self, rel: RelId, block: u32, page: u32, interest: Interest) -> Result<Option<&Frame>> {
        let purpose = if interest == Interest::Pass { Purpose::BulkRead } else { Purpose::Normal };
        let need = Need { actor: self.actor(), purpose, ahead: false };
        let Some(mut guard) = self.adopt(page, need)? else { return Ok(None) };
        let target = guard.hint_mut();
        let start = time::monotonic();
        let read = self.device.read(self.offset(page), &mut target.0, IoClass::Read);
        let cell = self.counters.of(need.actor, purpose);
        add_time(&cell.read_nanos, time::monotonic().saturating_sub(start));
        add(&cell.reads, 1);
        let checked = self.check_read(read, target, (rel, block, page));
        let frame = guard.pin.0;
        match checked {
            Ok(()) => {
                frame.set(VALID);
                // Keep a pin for the caller beyond the guard's.
                let pinned = frame.pin(Interest::None);
                debug_assert!(pinned);
                drop(guard);
                Ok(Some(frame))
            }
            Err(e) => {
                drop(guard);
                self.forget(frame, page);
                Err(e)
            }
        }
    }

    /// Applies operations to latched pages and logs them in one record. Returns the record's end.
    pub fn change(&self, xid: Xid, pages: &mut [(&mut WriteGuard<'_>, &Ops)]) -> Lsn {
        if pages.len() > MAX_PAGES {
            power::fatal("a log record of too many pages");
        }
        let mut before = [None; MAX_PAGES];
        for ((guard, ops), before) in pages.iter_mut().zip(&mut before) {
            if !guard.frame().set(DIRTY) {
                tally::count(Tally::PageDirtied, 1);
            }
            let page = guard.hint_mut();
            let (rel, block) = (page.rel(), page.block());
            if !ops.formats() {
                *before = Some(page.lsn());
            }
            if pg_page::ops::apply(page, rel, block, ops.as_bytes()).is_none() {
                power::fatal("an operation does not fit its page");
            }
        }
        let lsn = loop {
            if let Ok(lsn) = redo::append(&self.wal, xid, pages, &before) {
                break lsn;
            }
        };
        for (guard, _) in pages {
            guard.hint_mut().set_lsn(lsn);
        }
        lsn
    }
}
