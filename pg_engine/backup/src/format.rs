//! The format of a backup.
//!
//! ```text
//! frame:   kind u8, 3 bytes zero, length u32, CRC-32C u32, payload
//! ```
//! The checksum is that of the payload, begun with the checksum of kind and length, begun with the frame before's
//! (0 at the start). All integers are little-endian. Frames in order:
//!
//! | kind | payload |
//! |---|---|
//! | 1 header | `ITLBKUP1`, version u32, label's length u32, volume u128, start time i64 (µs since 1970), ring start u64, ring length u64, ring salt u32, epoch u32, data start u64, data pages u32, metadata CRC u32, metadata length u64, redo position u64, label |
//! | 2 configuration | the configuration block |
//! | 3 metadata | a piece of the metadata snapshot; as many as it takes |
//! | 4 pages | first page u32, then whole pages of 8 KiB |
//! | 5 log | position u64, then log; each goes on where the one before ended, the first at the redo position |
//! | 6 end | end of the log u64, time i64, pages u64, bytes of log u64 |
//!
//! Frames of kinds 4 and 5 may alternate. Nothing follows the end.

use alloc::{string::String, vec::Vec};
use core::fmt;

use kernel_simd::crc32c;
use pg_page::{Lsn, PAGE_SIZE, Page};
use pg_volume::{
    Superblock,
    codec::{Decoder, Encoder},
};
use pg_wal::Ring;

const MAGIC: &[u8; 8] = b"ITLBKUP1";
/// Version of the format.
pub const VERSION: u32 = 1;
/// Bytes before a frame's payload.
pub const FRAME_HEADER: usize = 12;
/// Longest payload.
pub const MAX_PAYLOAD: usize = (1 << 20) + 64;
/// Longest label.
pub const MAX_LABEL: usize = 1024;
/// Bytes of pages, log or metadata in one frame.
pub const PIECE: usize = 1 << 20;

const HEADER: u8 = 1;
const CONFIG: u8 = 2;
const METADATA: u8 = 3;
const PAGES: u8 = 4;
const LOG: u8 = 5;
const END: u8 = 6;

/// What is wrong with a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// It does not begin as a backup does.
    NotABackup,
    /// Of a newer release.
    Version(u32),
    /// It ends too early.
    Truncated,
    /// Something follows its end.
    Trailing,
    /// The checksum of the frame at this offset is wrong.
    Checksum(u64),
    /// The frame at this offset makes no sense.
    Malformed(u64, &'static str),
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABackup => f.write_str("this is not an Intralith backup"),
            Self::Version(v) => write!(f, "the backup has format version {v}, this release knows {VERSION}"),
            Self::Truncated => f.write_str("the backup is incomplete: it ends too early"),
            Self::Trailing => f.write_str("the backup is damaged: something follows its end"),
            Self::Checksum(at) => write!(f, "the backup is damaged: wrong checksum at byte {at}"),
            Self::Malformed(at, what) => write!(f, "the backup is damaged: {what} at byte {at}"),
        }
    }
}

impl core::error::Error for FormatError {}

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What its maker called it.
    pub label: String,
    /// When it began, in microseconds since 1970.
    pub started: i64,
    /// The superblock it starts from; some fields (generation, place of the metadata) have no meaning here.
    pub superblock: Superblock,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The first.
    Header(Header),
    /// The configuration block.
    Config(&'a [u8]),
    /// A piece of the metadata snapshot.
    Metadata(&'a [u8]),
    /// Whole pages from a number on.
    Pages(u32, &'a [u8]),
    /// Log from a position on.
    Log(Lsn, &'a [u8]),
    /// The last.
    End {
        /// Where the log ends.
        end: Lsn,
        /// When, in microseconds since 1970.
        time: i64,
        /// How many pages there were.
        pages: u64,
        /// How many bytes of log.
        log: u64,
    },
}

impl Frame<'_> {
    fn kind(&self) -> u8 {
        match self {
            Self::Header(_) => HEADER,
            Self::Config(_) => CONFIG,
            Self::Metadata(_) => METADATA,
            Self::Pages(..) => PAGES,
            Self::Log(..) => LOG,
            Self::End { .. } => END,
        }
    }

    fn payload(&self) -> Vec<u8> {
        let mut e = Encoder::default();
        match self {
            Self::Header(h) => {
                let s = &h.superblock;
                e.raw(MAGIC).u32(VERSION).u32(h.label.len() as u32);
                e.u64(s.id as u64).u64((s.id >> 64) as u64).u64(h.started as u64);
                e.u64(s.ring.start).u64(s.ring.len).u32(s.ring.salt).u32(s.epoch);
                e.u64(s.data_start).u32(s.data_pages).u32(s.meta_crc).u64(s.meta_bytes).u64(s.redo.0);
                e.raw(h.label.as_bytes());
            }
            Self::Config(b) | Self::Metadata(b) => {
                e.raw(b);
            }
            Self::Pages(first, b) => {
                e.u32(*first).raw(b);
            }
            Self::Log(at, b) => {
                e.u64(at.0).raw(b);
            }
            Self::End { end, time, pages, log } => {
                e.u64(end.0).u64(*time as u64).u64(*pages).u64(*log);
            }
        }
        e.0
    }
}

fn header(d: &mut Decoder<'_>) -> Result<Option<Header>, FormatError> {
    if d.raw(8) != Some(MAGIC) {
        return Err(FormatError::NotABackup);
    }
    match d.u32() {
        Some(VERSION) => {}
        Some(v) => return Err(FormatError::Version(v)),
        None => return Ok(None),
    }
    Ok(header_fields(d))
}

fn header_fields(d: &mut Decoder<'_>) -> Option<Header> {
    let label_len = d.u32()? as usize;
    let id = u128::from(d.u64()?) | u128::from(d.u64()?) << 64;
    let started = d.u64()? as i64;
    let ring = Ring { start: d.u64()?, len: d.u64()?, salt: d.u32()? };
    let epoch = d.u32()?;
    let (data_start, data_pages, meta_crc, meta_bytes) = (d.u64()?, d.u32()?, d.u32()?, d.u64()?);
    let redo = Lsn(d.u64()?);
    let label = d.raw(label_len).filter(|l| l.len() <= MAX_LABEL)?;
    let label = String::from_utf8(label.to_vec()).ok()?;
    let data_bytes = u64::from(data_pages) * PAGE_SIZE as u64;
    let sane = ring.len >= 1 << 20
        && ring.len <= 1 << 44
        && ring.len.is_multiple_of(pg_wal::BLOCK)
        && ring.start.checked_add(ring.len)? <= data_start
        && data_start.checked_add(data_bytes)? <= 1 << 50
        && data_start.is_multiple_of(pg_wal::BLOCK)
        && redo.0 < 1 << 62
        && meta_bytes <= data_bytes
        && d.0.is_empty();
    sane.then_some(Header {
        label,
        started,
        superblock: Superblock {
            id,
            generation: 1,
            ring,
            data_start,
            data_pages,
            redo,
            epoch,
            clean: false,
            meta_page: 0,
            meta_bytes,
            meta_crc,
            durable: redo,
        },
    })
}

/// Appends frames to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    crc: u32,
}

impl Writer {
    /// Appends a frame.
    pub fn put(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) {
        let payload = frame.payload();
        let mut head = [0; FRAME_HEADER];
        head[0] = frame.kind();
        head[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        self.crc = chain(self.crc, &head, &payload);
        head[8..12].copy_from_slice(&self.crc.to_le_bytes());
        out.extend_from_slice(&head);
        out.extend_from_slice(&payload);
    }
}

fn chain(before: u32, head: &[u8; FRAME_HEADER], payload: &[u8]) -> u32 {
    let [a, b, c, d, e, f, g, h, ..] = *head;
    crc32c::extend(crc32c::extend(before, &[a, b, c, d, e, f, g, h]), payload)
}

/// Where in a backup a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Start,
    Config,
    Metadata,
    Body,
    Over,
}

/// Reads frames one after the other and checks all that can be known of each: checksums, order, completeness.
#[derive(Debug)]
pub struct Reader {
    stage: Stage,
    crc: u32,
    /// Bytes of the frames so far.
    offset: u64,
    superblock: Option<Superblock>,
    metadata: u64,
    metadata_crc: u32,
    pages: u64,
    /// Where the log so far ends.
    log: u64,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            stage: Stage::Start,
            crc: 0,
            offset: 0,
            superblock: None,
            metadata: 0,
            metadata_crc: 0,
            pages: 0,
            log: 0,
        }
    }
}

impl Reader {
    /// Takes the first frame off `input`, with the bytes it took. `None`: more input is needed.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Result<Option<(Frame<'a>, usize)>, FormatError> {
        if self.stage == Stage::Over {
            return if input.is_empty() { Ok(None) } else { Err(FormatError::Trailing) };
        }
        let Some(head) = input.first_chunk::<FRAME_HEADER>() else { return Ok(None) };
        if self.stage == Stage::Start && (head[0] != HEADER || head[1..4] != [0; 3]) {
            return Err(FormatError::NotABackup);
        }
        let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if len > MAX_PAYLOAD {
            let first = self.stage == Stage::Start;
            return Err(if first { FormatError::NotABackup } else { FormatError::Checksum(self.offset) });
        }
        let Some(payload) = input.get(FRAME_HEADER..FRAME_HEADER + len) else { return Ok(None) };
        let crc = chain(self.crc, head, payload);
        if crc.to_le_bytes() != head[8..12] {
            let strange = self.stage == Stage::Start && !payload.starts_with(MAGIC);
            return Err(if strange { FormatError::NotABackup } else { FormatError::Checksum(self.offset) });
        }
        let frame = self.frame(head[0], payload)?;
        self.crc = crc;
        self.offset += (FRAME_HEADER + len) as u64;
        Ok(Some((frame, FRAME_HEADER + len)))
    }

    /// Has the end been read?
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// The superblock, once the header was read.
    pub fn superblock(&self) -> Option<&Superblock> {
        self.superblock.as_ref()
    }

    fn frame<'a>(&mut self, kind: u8, payload: &'a [u8]) -> Result<Frame<'a>, FormatError> {
        let wrong = FormatError::Malformed(self.offset, "a frame out of place");
        let Some(s) = &self.superblock else {
            let mut d = Decoder(payload);
            let h = header(&mut d)?.ok_or(FormatError::Malformed(0, "the header"))?;
            self.log = h.superblock.redo.0;
            self.superblock = Some(h.superblock);
            self.stage = Stage::Config;
            return Ok(Frame::Header(h));
        };
        match (self.stage, kind) {
            (Stage::Config, CONFIG) => {
                if payload.len() > pg_volume::CONFIG_MAX {
                    return Err(FormatError::Malformed(self.offset, "the configuration"));
                }
                self.stage = if s.meta_bytes == 0 { Stage::Body } else { Stage::Metadata };
                Ok(Frame::Config(payload))
            }
            (Stage::Metadata, METADATA) => {
                self.metadata += payload.len() as u64;
                self.metadata_crc = crc32c::extend(self.metadata_crc, payload);
                if self.metadata > s.meta_bytes || payload.is_empty() {
                    return Err(FormatError::Malformed(self.offset, "the metadata"));
                }
                if self.metadata == s.meta_bytes {
                    if self.metadata_crc != s.meta_crc {
                        return Err(FormatError::Malformed(self.offset, "the metadata"));
                    }
                    self.stage = Stage::Body;
                }
                Ok(Frame::Metadata(payload))
            }
            (Stage::Body, PAGES) => self.pages(payload),
            (Stage::Body, LOG) => {
                let (at, log) = payload.split_first_chunk::<8>().ok_or(wrong)?;
                let at = u64::from_le_bytes(*at);
                if at != self.log || log.is_empty() {
                    return Err(FormatError::Malformed(self.offset, "log that does not go on"));
                }
                self.log += log.len() as u64;
                Ok(Frame::Log(Lsn(at), log))
            }
            (Stage::Body, END) => {
                let mut d = Decoder(payload);
                let mut field = || d.u64().ok_or(FormatError::Malformed(self.offset, "the end"));
                let (end, time, pages, log) = (Lsn(field()?), field()? as i64, field()?, field()?);
                if end.0 != self.log || pages != self.pages || log != end.0 - s.redo.0 || !d.0.is_empty() {
                    return Err(FormatError::Malformed(self.offset, "counts that do not match"));
                }
                self.stage = Stage::Over;
                Ok(Frame::End { end, time, pages, log })
            }
            _ => Err(wrong),
        }
    }

    fn pages<'a>(&mut self, payload: &'a [u8]) -> Result<Frame<'a>, FormatError> {
        let wrong = |what| FormatError::Malformed(self.offset, what);
        let limit = self.superblock.as_ref().map_or(0, |s| u64::from(s.data_pages));
        let (first, bytes) = payload.split_first_chunk::<4>().ok_or(wrong("pages"))?;
        let first = u32::from_le_bytes(*first);
        let (pages, rest) = bytes.as_chunks::<PAGE_SIZE>();
        if pages.is_empty() || !rest.is_empty() || first == 0 || u64::from(first) + pages.len() as u64 > limit
        {
            return Err(wrong("pages"));
        }
        let mut page = Page::zeroed();
        for content in pages {
            page.0.copy_from_slice(content);
            if page.u32_at(0) != page.checksum() {
                return Err(wrong("a page with a wrong checksum"));
            }
        }
        self.pages += pages.len() as u64;
        Ok(Frame::Pages(first, bytes))
    }
}
