//! Reading the log back.

use alloc::{sync::Arc, vec, vec::Vec};

use pg_page::{Lsn, Xid};
use platform::block::{BlockDevice, BlockError, IoClass};

use crate::{BLOCK, HEADER, MAX_RECORD, NO_CLAIM, RecordKind, Ring, checksum};

/// Bytes read ahead at a time.
const CHUNK: u64 = 1 << 20;
/// Bytes in which the search for the end looks for a record.
const WINDOW: u64 = 128 << 10;
/// Bytes behind the log's end in which claims are looked for: more than one write of the log writes.
const BEHIND: u64 = 8 << 20;

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
    class: IoClass,
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
            class: IoClass::Read,
        }
    }

    /// Reads on where an earlier run's log ends and a later run's begins: for logs put together from an archive.
    #[must_use]
    pub fn across_runs(mut self, across: bool) -> Self {
        self.across = across;
        self
    }

    /// Nobody waits for this: reads with the least urgent class.
    #[must_use]
    pub fn at_leisure(mut self) -> Self {
        self.class = IoClass::Background;
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

    /// To be called at the log's end: is there a record behind it that was appended when the log was durable to a position beyond
    /// the end? Then acknowledged log is missing; gives that position. What is left of writes that were under way when the power went
    /// claims nothing beyond the end, since none of them was acknowledged.
    pub fn claim_beyond(&mut self) -> Result<Option<Lsn>, BlockError> {
        let (end, epoch) = (self.next, self.epoch);
        let last = (end + BEHIND).min(self.limit);
        let mut found = None;
        while found.is_none()
            && let Some((_, header)) = self.search(last)?
        {
            // A run begins at the block after the end of the one before, and takes what lies between for durable.
            let begun = end.next_multiple_of(BLOCK);
            found = claimed(&header).filter(|c| *c > end && *c != begun).map(Lsn);
        }
        (self.next, self.epoch) = (end, epoch);
        Ok(found)
    }

    /// Goes to the first record that begins at or behind the position, and before `last`, whatever run it is of. False: there is none.
    pub fn seek(&mut self, last: Lsn) -> Result<bool, BlockError> {
        let found = self.search(last.0)?;
        if let Some((at, _)) = found {
            self.next = at;
        }
        Ok(found.is_some())
    }

    /// Looks for a record that ends before `last`, and goes behind it: its place and header.
    fn search(&mut self, last: u64) -> Result<Option<(u64, [u8; HEADER])>, BlockError> {
        let mut at = self.next.next_multiple_of(8);
        while at + HEADER as u64 <= last {
            self.next = at;
            if !self.fill(HEADER)? {
                break;
            }
            // Most of it is no header: the position that each names tells fastest.
            let from = (at - self.start) as usize;
            let words = self.bytes.get(from..).unwrap_or(&[]).chunks_exact(8).skip(1);
            let position = |b: &[u8]| b.first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
            let ahead = words.enumerate().find(|(i, b)| position(b) == at + 8 * *i as u64);
            let Some((skip, _)) = ahead else {
                at = (self.start + self.bytes.len() as u64 - 8).max(at + 8);
                continue;
            };
            at += 8 * skip as u64;
            self.next = at;
            if let Some((_, header, _)) = self.find_record(0)? {
                return Ok((self.next <= last).then_some((at, header)));
            }
            at += 8;
        }
        Ok(None)
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
            self.device.read(self.ring.start + place, &mut chunk, self.class)?;
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

/// How far the log was durable when this record was appended, as far as that is known.
fn claimed(header: &[u8; HEADER]) -> Option<u64> {
    let [.., a, b, c] = *header;
    let behind = u64::from(u32::from_le_bytes([a, b, c, 0]));
    let lsn = header.get(8..).and_then(|b| b.first_chunk()).map(|b| u64::from_le_bytes(*b))?;
    (behind != NO_CLAIM).then(|| lsn.saturating_sub(behind * 8))
}
