//! Finding, loading, evicting and changing pages.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use pg_page::{Lsn, PAGE_SIZE, Page, RelId, StorageError, Xid, ops::Ops};
use pg_volume::{Directory, Relation, Superblock};
use pg_wal::Wal;
use platform::{
    block::{BlockDevice, Durability, IoClass},
    power,
    sync::{Mutex, OnceLock},
    task,
};

use crate::{
    frame::{DIRTY, Frame, PanicWatch, Pin, ReadGuard, VALID, WRITING, WriteGuard},
    redo,
};

type Result<T> = core::result::Result<T, StorageError>;

/// Pages per piece of the translation table.
const PIECE: usize = 4096;
const LOADERS: usize = 64;
/// Fewest frames.
const MIN_FRAMES: usize = 64;
/// Most pages of one log record.
const MAX_PAGES: usize = 4;

type Piece = Box<[AtomicU32]>;

/// An LSN in short, never 0. LSNs are multiples of 8.
fn stamp_of(lsn: Lsn) -> u32 {
    ((lsn.0 >> 3) as u32).max(1)
}

/// Counters since the volume was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Frames.
    pub frames: usize,
    /// Bytes of memory that frames hold: each takes a page's worth at its first use and keeps it.
    pub resident: u64,
    /// Pages read from the device.
    pub reads: u64,
    /// Pages written to the device.
    pub writes: u64,
    /// Writes of pages that failed.
    pub write_failures: u64,
}

/// The cache of one volume.
pub struct BufferPool {
    pub(crate) device: Arc<dyn BlockDevice>,
    pub(crate) wal: Arc<Wal>,
    data_start: u64,
    table: Box<[OnceLock<Piece>]>,
    /// What was last written to a page in this run, by its LSN: a write that the device lost is noticed when the page is read again.
    stamps: Box<[OnceLock<Piece>]>,
    pub(crate) frames: Box<[Frame]>,
    loaders: [Mutex<()>; LOADERS],
    free: Mutex<Vec<u32>>,
    fresh: AtomicUsize,
    hand: AtomicUsize,
    reads: AtomicU64,
    pub(crate) writes: AtomicU64,
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
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            write_failures: AtomicU64::new(0),
            complained: AtomicU64::new(0),
        }
    }

    /// Counters.
    pub fn stats(&self) -> PoolStats {
        PoolStats {
            frames: self.frames.len(),
            resident: (self.fresh.load(Ordering::Relaxed).min(self.frames.len()) * PAGE_SIZE) as u64,
            reads: self.reads.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            write_failures: self.write_failures.load(Ordering::Relaxed),
        }
    }
    /// The log that pages are stamped with.
    pub fn wal(&self) -> &Arc<Wal> {
        &self.wal
    }
    /// Byte offset of a physical page.
    pub(crate) fn offset(&self, page: u32) -> u64 {
        self.data_start + u64::from(page) * PAGE_SIZE as u64
    }

    /// Writes to pages taken with [`Directory::take_scratch`], past the pool. Not durable.
    pub fn write_scratch(&self, page: u32, bytes: &[u8]) -> Result<()> {
        self.device.write(self.offset(page), bytes, Durability::Cached, IoClass::Background)?;
        Ok(())
    }
    /// Reads what [`BufferPool::write_scratch`] wrote.
    pub fn read_scratch(&self, page: u32, bytes: &mut [u8]) -> Result<()> {
        self.device.read(self.offset(page), bytes, IoClass::Read)?;
        Ok(())
    }

    #[inline]
    fn entry(&self, page: u32) -> Option<&AtomicU32> {
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

    /// Is this what was last written to the page, as far as is known?
    fn check_stamp(&self, page: u32, found: &Page) -> Result<()> {
        let piece = self.stamps.get(page as usize / PIECE).and_then(OnceLock::get);
        let stamp = piece.and_then(|p| p.get(page as usize % PIECE)).map_or(0, |s| s.load(Ordering::Acquire));
        if stamp == 0 || stamp == stamp_of(found.lsn()) {
            return Ok(());
        }
        let (rel, block) = (found.rel(), found.block());
        Err(StorageError::Corrupt { rel, block, what: "an older version than was written to it" })
    }

    /// The frame of a page, pinned, if it is here.
    #[inline]
    pub(crate) fn pin_cached(&self, page: u32) -> Option<&Frame> {
        let entry = self.entry(page)?;
        loop {
            let index = entry.load(Ordering::Acquire).checked_sub(1)?;
            let frame = self.frames.get(index as usize)?;
            if frame.pin() {
                if frame.tag.load(Ordering::Acquire) == page {
                    return Some(frame);
                }
                frame.unpin();
            }
            // Someone is evicting it just now.
            task::yield_now();
        }
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

    /// Shared access to a page. May read it from the device.
    #[inline]
    pub fn read(&self, rel: &Relation, block: u32) -> Result<ReadGuard<'_>> {
        let page = Self::locate(rel, block)?;
        loop {
            let frame = match self.pin_cached(page) {
                Some(f) => f,
                None => match self.load(rel.id, block, page)? {
                    Some(f) => f,
                    None => continue,
                },
            };
            let pin = Pin(frame);
            let guard = frame.latch.read();
            let guard = ReadGuard { guard, _pin: pin };
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
        let page = Self::locate(rel, block)?;
        loop {
            let frame = match self.pin_cached(page) {
                Some(f) => f,
                None => match self.load(rel.id, block, page)? {
                    Some(f) => f,
                    None => continue,
                },
            };
            let pin = Pin(frame);
            let guard = frame.latch.write();
            let guard = WriteGuard { watch: PanicWatch, guard, pin };
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

    /// Exclusive access without waiting, if the page is here and free.
    pub fn try_write(&self, rel: &Relation, block: u32) -> Option<WriteGuard<'_>> {
        let frame = self.pin_cached(rel.physical(block)?)?;
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
        let mut guard = self.install(page)?;
        let mut ops = Ops::new();
        ops.format(kind);
        guard.hint_mut().format(0, rel.id, block);
        self.change(xid, &mut [(&mut guard, &ops)]);
        rel.grow_to(block + 1);
        Ok((block, guard))
    }

    /// A frame for a page whose former content does not matter, write-latched and valid.
    pub(crate) fn install(&self, page: u32) -> Result<WriteGuard<'_>> {
        loop {
            if let Some(frame) = self.pin_cached(page) {
                let pin = Pin(frame);
                let guard = frame.latch.write();
                let guard = WriteGuard { watch: PanicWatch, guard, pin };
                frame.set(VALID);
                return Ok(guard);
            }
            if let Some(guard) = self.adopt(page)? {
                guard.frame().set(VALID);
                return Ok(guard);
            }
        }
    }

    /// Puts a claimed frame into the table for `page`, write-latched and not valid. None: another task was faster.
    fn adopt(&self, page: u32) -> Result<Option<WriteGuard<'_>>> {
        let index = self.victim()?;
        let (Some(frame), Some(entry)) = (self.frames.get(index as usize), self.entry(page)) else {
            return Err(StorageError::CorruptVolume("a page lies beyond the volume"));
        };
        let loader = self.loaders[page as usize % LOADERS].lock();
        if entry.load(Ordering::Acquire) != 0 {
            drop(loader);
            self.put_free(index);
            return Ok(None);
        }
        // Nobody pins a claimed frame, so nobody holds its latch for long.
        let mut guard = frame.latch.write();
        guard.get_or_insert_with(Page::zeroed);
        frame.tag.store(page, Ordering::Release);
        frame.claimed_to_pinned();
        entry.store(index + 1, Ordering::Release);
        drop(loader);
        Ok(Some(WriteGuard { watch: PanicWatch, guard, pin: Pin(frame) }))
    }

    /// Reads a page from the device. Gives its frame pinned; None: look again.
    #[cold]
    fn load(&self, rel: RelId, block: u32, page: u32) -> Result<Option<&Frame>> {
        let Some(mut guard) = self.adopt(page)? else { return Ok(None) };
        let target = guard.hint_mut();
        let read = self.device.read(self.offset(page), &mut target.0, IoClass::Read);
        let checked = read
            .map_err(|error| StorageError::Read { rel, block, error })
            .and_then(|()| target.check(rel, block))
            .and_then(|()| self.check_stamp(page, target));
        self.reads.fetch_add(1, Ordering::Relaxed);
        let frame = guard.pin.0;
        match checked {
            Ok(()) => {
                frame.set(VALID);
                // Keep a pin for the caller beyond the guard's.
                let pinned = frame.pin();
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

    /// Drops a frame that failed to load from the table once nobody pins it.
    #[cold]
    fn forget(&self, frame: &Frame, page: u32) {
        let _loader = self.loaders[page as usize % LOADERS].lock();
        if frame.tag.load(Ordering::Acquire) == page && !frame.has(VALID) && frame.claim(true) {
            self.unlink(page);
            self.free_claimed(frame);
        } else {
            task::yield_now();
        }
    }

    fn unlink(&self, page: u32) {
        if let Some(e) = self.entry(page) {
            e.store(0, Ordering::Release);
        }
    }
    fn free_claimed(&self, frame: &Frame) {
        if let Some(i) = self.frames.iter().position(|f| core::ptr::eq(f, frame)) {
            self.put_free(i as u32);
        }
    }
    fn put_free(&self, index: u32) {
        if let Some(f) = self.frames.get(index as usize) {
            f.claimed_to_free();
        }
        self.free.lock().push(index);
    }

    /// A claimed frame out of the table.
    fn victim(&self) -> Result<u32> {
        if let Some(i) = self.free.lock().pop()
            && self.frames.get(i as usize).is_some_and(|f| f.claim(false))
        {
            return Ok(i);
        }
        if self.fresh.load(Ordering::Relaxed) < self.frames.len() {
            let i = self.fresh.fetch_add(1, Ordering::Relaxed);
            if self.frames.get(i).is_some_and(|f| f.claim(false)) {
                return Ok(i as u32);
            }
        }
        let n = self.frames.len();
        for round in 0..64 {
            for _ in 0..n {
                let i = self.hand.fetch_add(1, Ordering::Relaxed) % n;
                let frame = &self.frames[i];
                if !frame.tick() {
                    continue;
                }
                if frame.has(DIRTY) {
                    // A page that cannot be written is no fault of who wants another one.
                    self.clean(frame);
                }
                if frame.claim(false) {
                    let page = frame.tag.load(Ordering::Acquire);
                    if page != 0 {
                        self.unlink(page);
                    }
                    return Ok(i as u32);
                }
            }
            // Everything is pinned for the moment.
            task::sleep(Duration::from_millis(round / 8));
        }
        Err(StorageError::OutOfBuffers)
    }

    /// Is a page here in a state that the device has yet to get?
    pub fn awaits_write(&self, rel: &Relation, block: u32) -> bool {
        let Some(frame) = rel.physical(block).and_then(|page| self.pin_cached(page)) else { return false };
        let waits = frame.has(DIRTY | WRITING);
        frame.unpin();
        waits
    }
    /// Place of a relation's page on the device. `None`: it has none.
    pub fn place(&self, rel: &Relation, block: u32) -> Option<u64> {
        rel.physical(block).map(|page| self.offset(page))
    }

    /// Removes a relation's pages from the pool without writing them. Nobody may use the relation any more.
    pub fn discard(&self, rel: &Relation) {
        for block in 0..rel.blocks() {
            let Some(page) = rel.physical(block) else { continue };
            while let Some(index) = self.entry(page).and_then(|e| e.load(Ordering::Acquire).checked_sub(1)) {
                let Some(frame) = self.frames.get(index as usize) else { break };
                if frame.tag.load(Ordering::Acquire) == page && frame.claim(true) {
                    // It may have been evicted and loaded with another page in between.
                    if frame.tag.load(Ordering::Acquire) == page {
                        self.unlink(page);
                    } else {
                        power::fatal("a discarded page was replaced while its relation was dropped");
                    }
                    self.put_free(index);
                    break;
                }
                // The checkpointer is writing it.
                task::yield_now();
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
            guard.frame().set(DIRTY);
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
