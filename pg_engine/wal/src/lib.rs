//! The log: a ring on the device that says what happened before the data pages do.
//!
//! # What it owns
//! The bytes between the ring's start and end, the append buffer, and the notion of *durable*. What records mean is
//! the business of the cells that write them; here a record is a kind, a transaction id and a body.
//!
//! # The ring
//! A log position ([`Lsn`]) counts bytes since the volume was formatted; its place is the position modulo the ring's length.
//! Records follow each other without gaps, aligned to 8 bytes, and may cross block and ring ends.
//!
//! ```text
//!  0 len   u32   bytes of the record with this header, without padding
//!  4 crc   u32   CRC-32C, begun with the volume's salt, of the body, then of bytes 8..32 and len; a body of 256 bytes and
//!                more is represented by its XXH64 (little-endian), which costs a fifth
//!  8 lsn   u64   its own position: what an earlier lap left here does not pass
//! 16 xid   u64
//! 24 epoch u32   grows with every opening: what an earlier, interrupted run left behind the end does not pass
//! 28 kind  u8
//! 29 claim u24  how far behind its own position the log was durable when it was appended, in units of 8 bytes; all ones: unknown
//! 32 body
//! ```
//!
//! The log ends where a record fails these tests. The last block is written again as it fills; its earlier bytes are
//! the same each time, so a torn write of it cannot hurt what was durable before.
//!
//! # Log that was lost
//! A device that acknowledges a write and loses it leaves a hole that looks like the log's end. Whatever comes after it tells: each
//! record claims how far the log was durable when it was appended, and what is durable cannot end earlier. Recovery looks for such
//! a claim behind the end that it finds ([`LogReader::claim_beyond`]); the superblock and the data pages make claims too.
//!
//! # Durability
//! [`Wal::flush`] makes the log durable up to a position. One task at a time writes, with FUA; those that come meanwhile wait
//! and are served together by the next write: batches grow with the load by themselves. When the device fails such a
//! write there is no telling what reached it, so the machine stops ([`platform::power::fatal`]) and recovers; a failed
//! write is never tried again.
//!
//! # Space
//! The ring keeps everything from the last completed checkpoint's start. Operations call [`Wal::throttle`] before they latch any page;
//! it waits while the ring is nearly full, and fails with [`StorageError::LogFull`] when waiting is in vain: checkpoints fail
//! ([`Wal::checkpoint_failed`]), or someone holds the log ([`Wal::hold`]). Transactions, prepared or not, never hold it. The reserve
//! behind it, a quarter of the ring, is for operations already under way and for ending transactions; overrunning the ring is fatal.
//!
//! # Full-page images
//! On a device that may tear a page, the first change of a page after a checkpoint's start logs the page as it then is. [`Wal::append`]
//! refuses a record that lacks an image it needs, since a checkpoint may begin at any time before it.
//!
//! # Locks
//! `state` (flush leadership) before `buffer` (append); `space` before `holds`. All are leaves: no other lock is taken under them.
//! Appending, flushing and beginning a checkpoint are tried under every interleaving (`tests/loom`).
//!
//! # What it must not know
//! Pages, relations, transactions' states.
//!
//! # Dependencies
//! `twox-hash`: XXH64 of long bodies.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod checksum;
mod reader;

use alloc::{sync::Arc, vec::Vec};
use core::{mem, time::Duration};

use pg_page::{Lsn, StorageError, Xid};
use platform::{
    atomic::{AtomicBool, AtomicU64, Ordering},
    block::{BlockDevice, BlockError, Durability, IoClass},
    bug::{Bug, planted},
    power,
    sync::{Condvar, Mutex},
    tally::{self, Tally},
    time,
};

pub use reader::{LogReader, Record};

/// The checksum that a record's header must have, which counts whatever it has there: for tests of readers.
pub fn checksum(salt: u32, header: &[u8; HEADER], body: &[u8]) -> u32 {
    checksum::of_record(checksum::of_body(salt, &[body]), header)
}

/// Bytes of a record's header.
pub const HEADER: usize = 32;
/// Longest record.
pub const MAX_RECORD: usize = 16 << 20;
/// The unit in which the log is written.
pub const BLOCK: u64 = 4096;
/// Whenever so much more is unwritten, the log writer is called.
const EAGER: usize = 1 << 20;
/// An append that finds more than this unwritten writes it.
const SOFT_LIMIT: usize = 4 << 20;
/// The greatest claim, in units of 8 bytes; more than is ever unwritten.
const NO_CLAIM: u64 = (1 << 24) - 1;

/// Where the ring is and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// First byte on the device.
    pub start: u64,
    /// Bytes; a multiple of [`BLOCK`].
    pub len: u64,
    /// Random, made when the volume was formatted: records of a former volume in the same place do not pass.
    pub salt: u32,
}

/// What a record is: its header's free fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordKind(pub u8);

/// The record lacks a full-page image that it needs: build it again with images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeedImage;

/// Why log could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// Newer log has taken its place.
    Gone,
    /// The device.
    Device(BlockError),
}

struct Buffer {
    /// Unwritten bytes; begins at a block boundary.
    bytes: Vec<u8>,
    /// Position of `bytes[0]`.
    start: u64,
    /// Appended so far.
    records: u64,
}

impl Buffer {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

#[derive(Default)]
struct FlushState {
    writing: bool,
    spare: Vec<u8>,
}

/// The log of an open volume.
pub struct Wal {
    device: Arc<dyn BlockDevice>,
    ring: Ring,
    epoch: u32,
    images: bool,
    buffer: Mutex<Buffer>,
    /// Copy of `buffer.end()`.
    inserted: AtomicU64,
    state: Mutex<FlushState>,
    flushed: Condvar,
    durable: AtomicU64,
    /// Start of the newest checkpoint, complete or not: what decides about images.
    redo: AtomicU64,
    /// The ring must keep everything from here.
    keep: AtomicU64,
    /// Start of the last completed checkpoint. Written under `holds`.
    checkpoint: AtomicU64,
    /// Who else needs the log, from where, and why.
    holds: Mutex<Vec<(u64, &'static str)>>,
    /// The last checkpoint failed.
    failing: AtomicBool,
    /// End of the newest commit record that nobody waits for.
    unawaited: AtomicU64,
    space: Mutex<()>,
    space_freed: Condvar,
    kick: AtomicU64,
    writes: AtomicU64,
    write_nanos: AtomicU64,
    /// Bytes appended before this run.
    origin: AtomicU64,
    images_logged: AtomicU64,
    /// Appends that had to write.
    overflows: AtomicU64,
    /// Much is unwritten.
    much: Mutex<bool>,
    work: Condvar,
}

/// What the log did since the volume was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalStats {
    /// Records appended.
    pub records: u64,
    /// Full-page images among them.
    pub images: u64,
    /// Bytes appended.
    pub bytes: u64,
    /// Appends that had to write because too much was unwritten.
    pub overflows: u64,
    /// Writes to the device, each durable when it ended.
    pub writes: u64,
    /// Time they took.
    pub write_time: Duration,
}

impl Wal {
    /// A log that goes on at `start`, a block boundary. `images`: the device may tear pages.
    pub fn new(device: Arc<dyn BlockDevice>, ring: Ring, start: Lsn, epoch: u32, images: bool) -> Self {
        debug_assert_eq!(start.0 % BLOCK, 0);
        Self {
            device,
            ring,
            epoch,
            images,
            buffer: Mutex::new(Buffer { bytes: Vec::with_capacity(256 << 10), start: start.0, records: 0 }),
            inserted: AtomicU64::new(start.0),
            state: Mutex::new(FlushState { writing: false, spare: Vec::with_capacity(256 << 10) }),
            flushed: Condvar::new(),
            durable: AtomicU64::new(start.0),
            redo: AtomicU64::new(start.0),
            keep: AtomicU64::new(start.0),
            checkpoint: AtomicU64::new(start.0),
            holds: Mutex::new(Vec::new()),
            failing: AtomicBool::new(false),
            unawaited: AtomicU64::new(0),
            space: Mutex::new(()),
            space_freed: Condvar::new(),
            kick: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            write_nanos: AtomicU64::new(0),
            origin: AtomicU64::new(start.0),
            images_logged: AtomicU64::new(0),
            overflows: AtomicU64::new(0),
            much: Mutex::new(false),
            work: Condvar::new(),
        }
    }

    /// Recovery has found where the log ends: it goes on at `start`, a block boundary. Nothing was appended so far.
    pub fn begin_at(&self, start: Lsn) {
        debug_assert_eq!(start.0 % BLOCK, 0);
        let mut b = self.buffer.lock();
        debug_assert!(b.bytes.is_empty());
        b.start = start.0;
        for position in
            [&self.inserted, &self.durable, &self.redo, &self.keep, &self.checkpoint, &self.origin]
        {
            position.store(start.0, Ordering::Release);
        }
    }
    /// Where the next record will begin.
    pub fn inserted(&self) -> Lsn {
        Lsn(self.inserted.load(Ordering::Acquire))
    }
    /// Everything before this position is on stable media.
    pub fn durable(&self) -> Lsn {
        Lsn(self.durable.load(Ordering::Acquire))
    }
    /// Start of the newest checkpoint.
    pub fn redo(&self) -> Lsn {
        Lsn(self.redo.load(Ordering::Acquire))
    }
    /// The epoch of its records.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }
    /// What it did so far.
    pub fn stats(&self) -> WalStats {
        let records = self.buffer.lock().records;
        WalStats {
            records,
            images: self.images_logged.load(Ordering::Relaxed),
            bytes: self.inserted().0.saturating_sub(self.origin.load(Ordering::Relaxed)),
            overflows: self.overflows.load(Ordering::Relaxed),
            writes: self.writes(),
            write_time: Duration::from_nanos(self.write_nanos.load(Ordering::Relaxed)),
        }
    }
    /// So many pages were logged whole.
    pub fn note_images(&self, n: u64) {
        self.images_logged.fetch_add(n, Ordering::Relaxed);
        tally::count(Tally::LogImages, n);
    }
    /// Waits until much is unwritten, or for so long: the log writer's pause.
    pub fn await_work(&self, limit: Duration) {
        let much = self.much.lock();
        let mut much = if *much { much } else { self.work.wait_timeout(much, limit).0 };
        *much = false;
    }
    /// Ends that pause.
    pub fn call_writer(&self) {
        *self.much.lock() = true;
        self.work.notify_all();
    }
    /// Device writes so far.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }
    /// Must a page with this LSN be logged whole when it changes next?
    pub fn needs_image(&self, page_lsn: Lsn) -> bool {
        self.images && !planted(Bug::NoPageImage) && page_lsn.0 <= self.redo.load(Ordering::Acquire)
    }
    /// Bytes of log since the last completed checkpoint.
    pub fn distance(&self) -> u64 {
        self.inserted.load(Ordering::Relaxed).saturating_sub(self.checkpoint.load(Ordering::Relaxed))
    }
    /// Bytes of the ring that may not be overwritten.
    pub fn used(&self) -> u64 {
        self.inserted.load(Ordering::Relaxed).saturating_sub(self.keep.load(Ordering::Relaxed))
    }
    /// Bytes of the ring.
    pub fn capacity(&self) -> u64 {
        self.ring.len
    }

    /// Does a body of so many bytes fit a record, and the ring's reserve? `what` says what it is made of.
    pub fn check_size(&self, body: usize, what: &'static str) -> Result<(), StorageError> {
        let most = (MAX_RECORD as u64).min(self.ring.len / 16) as usize;
        if body + HEADER > most { Err(StorageError::TooMuchForTheLog(what)) } else { Ok(()) }
    }

    /// Appends a record whose body is `parts` one after the other. Returns the record's end: flush to there to make it
    /// durable. `oldest` is the least LSN among the changed pages that are logged without an image.
    pub fn append(
        &self,
        kind: RecordKind,
        xid: Xid,
        parts: &[&[u8]],
        oldest: Option<Lsn>,
    ) -> Result<Lsn, NeedImage> {
        let len = HEADER + parts.iter().map(|p| p.len()).sum::<usize>();
        if len > MAX_RECORD {
            power::fatal("a log record is too long");
        }
        let mut header = [0u8; HEADER];
        header[0..4].copy_from_slice(&(len as u32).to_le_bytes());
        header[16..24].copy_from_slice(&xid.0.to_le_bytes());
        header[24..28].copy_from_slice(&self.epoch.to_le_bytes());
        header[28] = kind.0;

        let body = checksum::of_body(self.ring.salt, parts);
        let mut b = self.buffer.lock();
        if oldest.is_some_and(|l| self.needs_image(l)) {
            return Err(NeedImage);
        }
        let (lsn, before) = (b.end(), b.bytes.len());
        let last = (lsn + len as u64 + 8).next_multiple_of(BLOCK);
        if last > self.keep.load(Ordering::Relaxed) / BLOCK * BLOCK + self.ring.len {
            power::fatal("the log ring overran its checkpoint");
        }
        header[8..16].copy_from_slice(&lsn.to_le_bytes());
        let behind = lsn.saturating_sub(self.durable.load(Ordering::Acquire)) / 8;
        header[29..32].copy_from_slice(&(behind.min(NO_CLAIM) as u32).to_le_bytes()[..3]);
        let crc = checksum::of_record(body, &header);
        header[4..8].copy_from_slice(&crc.to_le_bytes());
        b.bytes.extend_from_slice(&header);
        for p in parts {
            b.bytes.extend_from_slice(p);
        }
        let padded = b.bytes.len().next_multiple_of(8);
        b.bytes.resize(padded, 0);
        b.records += 1;
        let end = b.end();
        let unwritten = b.bytes.len();
        self.inserted.store(end, Ordering::Release);
        drop(b);
        tally::count(Tally::LogRecords, 1);
        tally::count(Tally::LogBytes, end - lsn);
        if unwritten / EAGER != before / EAGER {
            self.call_writer();
        }
        if unwritten > SOFT_LIMIT {
            self.overflows.fetch_add(1, Ordering::Relaxed);
            self.flush(Lsn(end));
        }
        Ok(Lsn(end))
    }

    /// Returns when everything before `upto` is durable. Never returns when the device fails.
    pub fn flush(&self, upto: Lsn) {
        if self.durable.load(Ordering::Acquire) >= upto.0 {
            return;
        }
        let mut state = self.state.lock();
        loop {
            if self.durable.load(Ordering::Acquire) >= upto.0 {
                return;
            }
            if !state.writing {
                break;
            }
            state = self.flushed.wait(state);
        }
        state.writing = true;
        let spare = mem::take(&mut state.spare);
        drop(state);
        let (spare, end) = self.write_out(spare);
        let mut state = self.state.lock();
        state.spare = spare;
        state.writing = false;
        self.durable.store(end, Ordering::Release);
        drop(state);
        self.flushed.notify_all();
    }

    /// Writes what was appended; the new buffer begins with the last block that is not full.
    fn write_out(&self, mut next: Vec<u8>) -> (Vec<u8>, u64) {
        next.clear();
        let mut b = self.buffer.lock();
        let end = b.end();
        let start = b.start;
        let tail = end / BLOCK * BLOCK;
        let keep = (tail - start) as usize;
        next.extend_from_slice(b.bytes.get(keep..).unwrap_or(&[]));
        let mut out = mem::replace(&mut b.bytes, next);
        b.start = tail;
        drop(b);
        out.resize(out.len().next_multiple_of(BLOCK as usize), 0);
        let begun = time::monotonic();
        let at = start % self.ring.len;
        let first = out.len().min((self.ring.len - at) as usize);
        let (head, wrapped) = out.split_at(first);
        let durability = if planted(Bug::LogWithoutFlush) { Durability::Cached } else { Durability::Fua };
        let left_out = planted(Bug::LogWriteLeftOut) && self.writes.load(Ordering::Relaxed) % 32 == 31;
        let mut outcome = match left_out {
            true => Ok(()),
            false => self.device.write(self.ring.start + at, head, durability, IoClass::Wal),
        };
        if outcome.is_ok() && !wrapped.is_empty() {
            outcome = self.device.write(self.ring.start, wrapped, durability, IoClass::Wal);
        }
        if outcome.is_err() {
            power::fatal("the log could not be written");
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        let took = time::monotonic().saturating_sub(begun).as_nanos();
        self.write_nanos.fetch_add(u64::try_from(took).unwrap_or(u64::MAX), Ordering::Relaxed);
        (out, end)
    }

    /// Reads the log as it is on the device, from `from` (durable up to there) on: at most `max` bytes, none beyond what is durable
    /// and none if there is nothing. `Gone`: newer log has taken its place.
    ///
    /// Nothing is kept for readers: the ring holds what it has not needed again, and who falls behind by more is told.
    pub fn read(&self, from: Lsn, max: usize) -> Result<Vec<u8>, ReadError> {
        let end = self.durable().0.min(from.0.saturating_add(max as u64));
        let mut bytes = Vec::new();
        let mut at = from.0 / BLOCK * BLOCK;
        let begin = at;
        while at < end {
            let place = at % self.ring.len;
            let n = (end - at).next_multiple_of(BLOCK).min(self.ring.len - place);
            let old = bytes.len();
            bytes.resize(old + n as usize, 0);
            let part = bytes.get_mut(old..).unwrap_or(&mut []);
            self.device
                .read(self.ring.start + place, part, IoClass::Background)
                .map_err(ReadError::Device)?;
            at += n;
        }
        // What was appended before the reading ended may have been written over it.
        if self.inserted().0.next_multiple_of(BLOCK) > begin + self.ring.len {
            return Err(ReadError::Gone);
        }
        bytes.truncate(end.saturating_sub(begin) as usize);
        bytes.drain(..((from.0 - begin) as usize).min(bytes.len()));
        Ok(bytes)
    }

    /// Where the ring lies.
    pub fn ring(&self) -> Ring {
        self.ring
    }

    /// Begins a checkpoint: from now on pages need new images. Returns the position from which recovery would start.
    pub fn begin_checkpoint(&self) -> Lsn {
        let b = self.buffer.lock();
        let at = b.end();
        self.redo.store(at, Ordering::Release);
        Lsn(at)
    }

    /// A checkpoint that began at `redo` is complete: the ring may overwrite what is older.
    pub fn end_checkpoint(&self, redo: Lsn) {
        self.failing.store(false, Ordering::Release);
        let holds = self.holds.lock();
        self.checkpoint.store(redo.0, Ordering::Release);
        self.free(&holds);
        drop(holds);
        self.wake_throttled();
    }

    /// Moves the end of what may be overwritten.
    fn free(&self, holds: &[(u64, &'static str)]) {
        let checkpoint = self.checkpoint.load(Ordering::Acquire);
        self.keep.store(holds.iter().map(|h| h.0).fold(checkpoint, u64::min), Ordering::Release);
    }

    fn wake_throttled(&self) {
        drop(self.space.lock());
        self.space_freed.notify_all();
    }

    /// A checkpoint failed: until one succeeds, who needs space in a ring that is nearly full is told so instead of waiting.
    pub fn checkpoint_failed(&self) {
        self.failing.store(true, Ordering::Release);
        self.wake_throttled();
    }

    /// Keeps the log from `at` on until [`Wal::release`]. `why` is for those who find the ring full, a sentence. Gives the position from
    /// which it is kept indeed: what was overwritten already does not come back.
    pub fn hold(&self, at: Lsn, why: &'static str) -> Lsn {
        let mut holds = self.holds.lock();
        let at = at.0.max(self.keep.load(Ordering::Acquire));
        holds.push((at, why));
        Lsn(at)
    }

    /// Ends what [`Wal::hold`] began; `at` is what it gave.
    pub fn release(&self, at: Lsn) {
        let mut holds = self.holds.lock();
        if let Some(i) = holds.iter().position(|h| h.0 == at.0) {
            holds.swap_remove(i);
        }
        self.free(&holds);
        drop(holds);
        self.wake_throttled();
    }

    /// A commit record that ends at `end` counts although it is not durable.
    pub fn commits_unawaited(&self, end: Lsn) {
        self.unawaited.fetch_max(end.0, Ordering::AcqRel);
    }

    /// Is every commit that others can see durable? What is not logged, hints, may rely on nothing less.
    pub fn settled(&self) -> bool {
        self.unawaited.load(Ordering::Acquire) <= self.durable.load(Ordering::Acquire)
    }

    /// Waits while the ring is nearly full. To be called before any latch is taken.
    #[inline]
    pub fn throttle(&self) -> Result<(), StorageError> {
        if self.used() > self.ring.len / 8 * 5 { self.throttle_slow() } else { Ok(()) }
    }

    #[cold]
    fn throttle_slow(&self) -> Result<(), StorageError> {
        if self.distance() > self.ring.len / 8 * 5 {
            self.kick.store(1, Ordering::Relaxed);
        }
        let limit = self.ring.len / 4 * 3;
        let mut g = self.space.lock();
        while self.used() > limit {
            if let Some(why) = self.stuck(limit) {
                return Err(StorageError::LogFull(why));
            }
            g = self.space_freed.wait_timeout(g, Duration::from_millis(20)).0;
        }
        Ok(())
    }

    /// Why a checkpoint would not help.
    fn stuck(&self, limit: u64) -> Option<&'static str> {
        if self.failing.load(Ordering::Acquire) {
            return Some("Checkpoints fail, so that the log since the last one must be kept.");
        }
        let oldest = self.inserted.load(Ordering::Relaxed).saturating_sub(limit);
        self.holds.lock().iter().find(|h| h.0 < oldest).map(|h| h.1)
    }

    /// Has a writer asked for a checkpoint since the last call?
    pub fn checkpoint_wanted(&self) -> bool {
        self.kick.swap(0, Ordering::Relaxed) != 0
    }
}

#[cfg(test)]
mod ring_tests;
