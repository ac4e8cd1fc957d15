//! Reading the log back.

use alloc::{sync::Arc, vec, vec::Vec};

use pg_page::{Lsn, Xid};
use platform::block::{BlockDevice, BlockError, IoClass};

use crate::{BLOCK, HEADER, MAX_RECORD, RecordKind, Ring, checksum};

/// Bytes read ahead at a time.
const CHUNK: u64 = 1 << 20;
/// Bytes in which the search for the end looks for a record.
const WINDOW: u64 = 128 << 10;

/// A record that passed every test.
#[derive(Debug)]
pub struct Record<'a> {
    /// What it is.
    pub kind: RecordKind,
    /// Whose.
    pub xid: Xid,
    /// Its end: the LSN of pages it changed.
    pub end: Lsn,
    /// Its content.
    pub body: &'a [u8],
}

/// Reads records from a position to the end of the log.
pub struct LogReader {
    device: Arc<dyn BlockDevice>,
    ring: Ring,
    /// Position of `bytes[0]`, a block boundary.
    start: u64,
    bytes: Vec<u8>,
    next: u64,
    epoch: u32,
    limit: u64,
    /// The log may go on, in a later epoch, at the block after the end of an earlier one.
    across: bool,
}

impl LogReader {
    /// Starts at `from`, the start of a record or the end of the log. Records of an epoch before `epoch` do not count.
    pub fn new(device: Arc<dyn BlockDevice>, ring: Ring, from: Lsn, epoch: u32) -> Self {
        let start = from.0 / BLOCK * BLOCK;
        Self {
            device,
            ring,
            start,
            bytes: Vec::new(),
            next: from.0,
            epoch,
            limit: from.0 + ring.len,
            across: false,
        }
    }

    /// Reads on where an earlier run's log ends and a later run's begins: for logs put together from an archive.
    #[must_use]
    pub fn across_runs(mut self, across: bool) -> Self {
        self.across = across;
        self
    }

    /// The epoch of the last record.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Where the next record would begin: after `None`, the end of the log.
    pub fn position(&self) -> Lsn {
        Lsn(self.next)
    }

    /// About where the log ends, for showing progress: a search with few reads that trusts every header in its place.
    pub fn estimate_end(&self) -> Result<Lsn, BlockError> {
        let window = WINDOW.min(self.ring.len);
        let (mut low, mut high) = (self.next / window, self.limit / window);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.reaches(middle * window, window)? {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(Lsn((low * window).max(self.next)))
    }

    /// Does a record begin in the bytes from `from` on that has its place there?
    fn reaches(&self, from: u64, window: u64) -> Result<bool, BlockError> {
        let place = from % self.ring.len;
        let mut bytes = vec![0; window.min(self.ring.len - place) as usize];
        self.device.read(self.ring.start + place, &mut bytes, IoClass::Read)?;
        let word = |b: &[u8]| b.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
        let here = |i: usize| from + 8 * i as u64;
        Ok(bytes.chunks_exact(8).enumerate().any(|(i, b)| i != 0 && word(b) == here(i - 1)))
    }

    /// Makes `len` bytes from `next` available. False beyond one lap of the ring.
    fn fill(&mut self, len: usize) -> Result<bool, BlockError> {
        if self.next + len as u64 > self.limit {
            return Ok(false);
        }
        if self.next + len as u64 <= self.start + self.bytes.len() as u64 {
            return Ok(true);
        }
        let begin = self.next / BLOCK * BLOCK;
        let have = (begin.saturating_sub(self.start) as usize).min(self.bytes.len());
        self.bytes.drain(..have);
        if self.bytes.is_empty() {
            self.start = begin;
        } else {
            self.start += have as u64;
        }
        while self.next + len as u64 > self.start + self.bytes.len() as u64 {
            let at = self.start + self.bytes.len() as u64;
            let place = at % self.ring.len;
            let n = CHUNK.min(self.ring.len - place);
            let mut chunk = vec![0; n as usize];
            self.device.read(self.ring.start + place, &mut chunk, IoClass::Read)?;
            self.bytes.extend_from_slice(&chunk);
        }
        Ok(true)
    }

    /// The next record; `None` where the log ends.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, BlockError> {
        let end = self.next;
        let mut found = self.find_record(self.epoch)?;
        if found.is_none() && self.across && !end.is_multiple_of(BLOCK) {
            self.next = end.next_multiple_of(BLOCK);
            found = self.find_record(self.epoch.saturating_add(1))?;
        }
        let Some((at, header, len)) = found else {
            self.next = end;
            return Ok(None);
        };
        let u64_at =
            |i: usize| header.get(i..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b));
        let body = self.bytes.get(at + HEADER..at + len).unwrap_or(&[]);
        Ok(Some(Record { kind: RecordKind(header[28]), xid: Xid(u64_at(16)), end: Lsn(self.next), body }))
    }

    /// Looks for a record of at least that epoch right here, and goes behind it: its place in the buffer, header and length.
    fn find_record(&mut self, least: u32) -> Result<Option<(usize, [u8; HEADER], usize)>, BlockError> {
        if !self.fill(HEADER)? {
            return Ok(None);
        }
        let at = (self.next - self.start) as usize;
        let Some(header) = self.bytes.get(at..).and_then(|b| b.first_chunk::<HEADER>()).copied() else {
            return Ok(None);
        };
        let u32_at = |i: usize| u32::from_le_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
        let u64_at = |i: usize| u64::from(u32_at(i)) | u64::from(u32_at(i + 4)) << 32;
        let (len, crc, epoch) = (u32_at(0) as usize, u32_at(4), u32_at(24));
        if !(HEADER..=MAX_RECORD).contains(&len)
            || u64_at(8) != self.next
            || epoch < least
            || !self.fill(len)?
        {
            return Ok(None);
        }
        let at = (self.next - self.start) as usize;
        let Some(body) = self.bytes.get(at + HEADER..at + len) else { return Ok(None) };
        if checksum::of_record(checksum::of_body(self.ring.salt, &[body]), &header) != crc {
            return Ok(None);
        }
        self.epoch = epoch;
        self.next += (len as u64).next_multiple_of(8);
        Ok(Some((at, header, len)))
    }
}
