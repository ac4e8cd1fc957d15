//! Restoring a volume from a backup and archived log.

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec, vec::Vec};
use core::{fmt, time::Duration};

use pg_page::{Lsn, PAGE_SIZE, StorageError, Xid};
use pg_storage::{Storage, StorageConfig, commit_of};
use pg_volume::Superblock;
use pg_wal::{LogReader, Ring};
use platform::{
    block::{BlockDevice, Durability, IoClass},
    sync::Mutex,
};

use crate::{
    archive,
    device::{HEAD, Log, RestoreDevice},
    format::{FormatError, Frame, Header, MAX_PAYLOAD, Reader},
};

/// Bytes of a backup read at a time.
const CHUNK: usize = 4 << 20;
/// Room in the ring behind the log, for what recovery itself logs.
const ROOM: u64 = 64 << 20;

/// An input could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputError;

/// Something that can be read at any place: a file.
pub trait Input: Send + Sync {
    /// How long it is.
    fn len(&self) -> u64;
    /// Nothing in it?
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Fills `buf` from `offset`; it must lie within.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), InputError>;
}

/// Some log in an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub position: u64,
    pub len: u64,
    pub input: usize,
    pub offset: u64,
}

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Everything there is.
    End,
    /// Not beyond this log position.
    Lsn(Lsn),
    /// Nothing that was committed later than this (microseconds since 1970).
    Time(i64),
    /// Up to and with this transaction's commit.
    Xid(Xid),
}

/// Why a volume was not restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreError {
    /// The backup is not sound.
    Format(FormatError),
    /// A file could not be read.
    Input,
    /// An archive file, by its place in the list, is not one, or of another volume.
    Archive(usize),
    /// The new disk is too small: so many bytes are needed.
    TooSmall(u64),
    /// The new disk is not blank.
    NotBlank,
    /// The log cannot be read on from here.
    LogBroken(Lsn),
    /// The log ends here, before what was asked for.
    EndsBefore(Lsn),
    /// What was asked for was before the end of the backup, which is here.
    TooEarly(Lsn),
    /// Recovery, or the new disk.
    Storage(StorageError),
}

impl From<FormatError> for RestoreError {
    fn from(e: FormatError) -> Self {
        Self::Format(e)
    }
}
impl From<StorageError> for RestoreError {
    fn from(e: StorageError) -> Self {
        Self::Storage(e)
    }
}
impl From<platform::block::BlockError> for RestoreError {
    fn from(e: platform::block::BlockError) -> Self {
        Self::Storage(StorageError::Io(e))
    }
}
impl From<InputError> for RestoreError {
    fn from(_: InputError) -> Self {
        Self::Input
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(e) => e.fmt(f),
            Self::Input => f.write_str("a file cannot be read"),
            Self::Archive(_) => f.write_str("this is not an archive file of the volume that was backed up"),
            Self::TooSmall(n) => write!(f, "the disk is too small, {n} bytes are needed"),
            Self::NotBlank => f.write_str("the disk is not blank"),
            Self::LogBroken(at) => write!(f, "the log is damaged or incomplete at {at}"),
            Self::EndsBefore(at) => {
                write!(f, "the log ends at {at}, before what was asked for")
            }
            Self::TooEarly(at) => {
                write!(f, "what was asked for lies before the end of the backup at {at}")
            }
            Self::Storage(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for RestoreError {}

/// What a sound backup contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What it says of itself.
    pub header: Header,
    /// Where its log ends: the moment that it shows.
    pub end: Lsn,
    /// When that was, in microseconds since 1970.
    pub ended: i64,
    /// How many pages it has.
    pub pages: u64,
    /// How large a disk must be.
    pub disk: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The backup.
    pub contents: Contents,
    /// Up to where the log was replayed.
    pub end: Lsn,
    /// The last commit that was replayed, in microseconds since 1970.
    pub last_commit: Option<i64>,
}

/// Reads a backup from the first byte to the last, and gives each frame with the place where it begins.
fn walk(
    input: &dyn Input,
    each: &mut dyn FnMut(u64, &Frame<'_>) -> Result<(), RestoreError>,
) -> Result<(), RestoreError> {
    let (mut reader, mut buffer, mut start) = (Reader::default(), Vec::new(), 0_u64);
    let mut read = 0;
    loop {
        let mut used = 0;
        while let Some((frame, n)) = reader.next(buffer.get(used..).unwrap_or(&[]))? {
            each(start + used as u64, &frame)?;
            used += n;
        }
        buffer.drain(..used);
        start += used as u64;
        let n = (input.len() - read).min(CHUNK as u64) as usize;
        if n == 0 {
            return if reader.is_over() { Ok(()) } else { Err(FormatError::Truncated.into()) };
        }
        debug_assert!(buffer.len() <= MAX_PAYLOAD * 2);
        let old = buffer.len();
        buffer.resize(old + n, 0);
        input.read_at(read, buffer.get_mut(old..).unwrap_or(&mut []))?;
        read += n as u64;
    }
}

/// Checks a backup, and finds its log.
fn inspect(input: &dyn Input) -> Result<(Contents, Vec<u8>, Vec<Piece>), RestoreError> {
    let (mut found, mut config, mut pieces, mut last) = (None, Vec::new(), Vec::new(), None);
    walk(input, &mut |at, frame| {
        match frame {
            Frame::Header(h) => found = Some(h.clone()),
            Frame::Config(c) => config = c.to_vec(),
            Frame::Log(position, bytes) => pieces.push(Piece {
                position: position.0,
                len: bytes.len() as u64,
                input: 0,
                offset: at + crate::format::FRAME_HEADER as u64 + 8,
            }),
            Frame::End { end, time, pages, .. } => last = Some((*end, *time, *pages)),
            Frame::Metadata(_) | Frame::Pages(..) => {}
        }
        Ok(())
    })?;
    let (Some(header), Some((end, ended, pages))) = (found, last) else {
        return Err(FormatError::Truncated.into());
    };
    let s = &header.superblock;
    let disk = s.data_start + u64::from(s.data_pages) * PAGE_SIZE as u64;
    Ok((Contents { header, end, ended, pages, disk }, config, pieces))
}

/// Checks a backup from the first byte to the last.
pub fn check(backup: &dyn Input) -> Result<Contents, RestoreError> {
    inspect(backup).map(|i| i.0)
}

/// Finds the log in an archive file.
fn archived(
    number: usize,
    input: &dyn Input,
    volume: u128,
    pieces: &mut Vec<Piece>,
) -> Result<(), RestoreError> {
    let wrong = RestoreError::Archive(number - 1);
    let mut head = vec![0; (archive::HEADER as u64).min(input.len()) as usize];
    input.read_at(0, &mut head)?;
    let (of, mut position) = archive::parse_header(&head).ok_or(wrong.clone())?;
    if of != volume {
        return Err(wrong);
    }
    let mut offset = archive::HEADER as u64;
    let mut buffer = Vec::new();
    while offset < input.len() {
        let most = (archive::PIECE_HEADER + archive::MAX_PIECE) as u64;
        buffer.resize((input.len() - offset).min(most) as usize, 0);
        input.read_at(offset, &mut buffer)?;
        let mut used = 0;
        while let Some(content) = archive::parse_piece(buffer.get(used..).unwrap_or(&[]), position) {
            let at = offset + (used + archive::PIECE_HEADER) as u64;
            let len = content.len() as u64;
            pieces.push(Piece { position: position.0, len, input: number, offset: at });
            position = Lsn(position.0 + len);
            used += archive::PIECE_HEADER + content.len();
        }
        if used == 0 {
            // The archiver was interrupted here.
            break;
        }
        offset += used as u64;
    }
    Ok(())
}

/// Makes a blank disk the volume that was backed up, as of the end of the backup or, with archived log, of a later moment. The disk
/// is not a volume before everything else is done. `memory`: bytes for the buffer pool.
pub fn restore(
    backup: Arc<dyn Input>,
    archive: &[Arc<dyn Input>],
    image: Arc<dyn BlockDevice>,
    until: Until,
    memory: u64,
) -> Result<Restored, RestoreError> {
    let (contents, config, mut pieces) = inspect(&*backup)?;
    let original = contents.header.superblock;
    for (i, input) in archive.iter().enumerate() {
        archived(i + 1, &**input, original.id, &mut pieces)?;
    }
    if image.geometry().capacity < contents.disk {
        return Err(RestoreError::TooSmall(contents.disk));
    }
    if Storage::probe(&*image)? != pg_storage::Probe::Blank {
        return Err(RestoreError::NotBlank);
    }
    let mut inputs = vec![backup.clone()];
    inputs.extend(archive.iter().cloned());
    let device = Arc::new(place(image.clone(), &original, Log::new(inputs, pieces)));
    let metadata_page = copy_pages(&*backup, &*image, &original)?;
    let ring = Ring { start: device.ring_start, len: device.ring_len, salt: original.ring.salt };
    let virtual_superblock = Superblock { ring, meta_page: metadata_page, ..original };
    for generation in [1, 2] {
        pg_volume::write_superblock(&*device, &Superblock { generation, ..virtual_superblock })?;
    }
    let (end, last_commit, epoch) = find(&device, &virtual_superblock, until, contents.end)?;
    *device.cut.lock() = end.0;
    let options = StorageConfig {
        buffer_pool_bytes: memory,
        checkpoint_interval: Duration::MAX,
        background_tasks: false,
        replay: true,
        ..StorageConfig::default()
    };
    let storage = Storage::open(device.clone(), options)?;
    storage.shutdown()?;
    drop(storage);
    let recovered = pg_volume::read_superblock(&*device)?;
    image.flush()?;
    pg_volume::write_config(&*image, &config)?;
    let ring = Ring { salt: pg_volume::new_salt(), ..original.ring };
    // Its log is empty.
    let durable = recovered.redo;
    for generation in [1, 2] {
        let epoch = epoch.max(recovered.epoch) + 1;
        let id = pg_volume::new_id();
        pg_volume::write_superblock(
            &*image,
            &Superblock { generation, id, ring, epoch, durable, ..recovered },
        )?;
    }
    image.flush()?;
    Ok(Restored { contents, end, last_commit })
}

fn place(image: Arc<dyn BlockDevice>, s: &Superblock, log: Log) -> RestoreDevice {
    let ring_start = image.geometry().capacity.next_multiple_of(HEAD);
    let length = log.end(s.redo.0) - s.redo.0;
    RestoreDevice {
        image,
        log,
        ring_start,
        ring_len: (length + ROOM).next_multiple_of(HEAD),
        first: s.redo.0,
        cut: Mutex::new(u64::MAX),
        head: Mutex::new(vec![0; HEAD as usize]),
        written: Mutex::new(BTreeMap::new()),
    }
}

/// Writes the backup's pages where they belong, and the metadata to pages that no relation has. Gives its first page.
fn copy_pages(backup: &dyn Input, image: &dyn BlockDevice, s: &Superblock) -> Result<u32, RestoreError> {
    let mut metadata: Vec<u8> = Vec::new();
    walk(backup, &mut |_, frame| {
        match frame {
            Frame::Metadata(bytes) => metadata.extend_from_slice(bytes),
            Frame::Pages(first, bytes) => {
                let at = s.data_start + u64::from(*first) * PAGE_SIZE as u64;
                image.write(at, bytes, Durability::Cached, IoClass::Background)?;
            }
            _ => {}
        }
        Ok(())
    })?;
    if metadata.is_empty() {
        return Ok(0);
    }
    let directory = pg_volume::Directory::load(s.data_pages, &mut pg_volume::codec::Decoder(&metadata))?;
    let page = directory
        .find_free(metadata.len().div_ceil(PAGE_SIZE) as u32)
        .ok_or(RestoreError::Storage(StorageError::DiskFull(pg_page::RelId::default())))?;
    pg_volume::metadata_write(image, s, page, &metadata)?;
    Ok(page)
}

/// Finds where to stop: the position, the last commit before it, and the last epoch.
fn find(
    device: &Arc<RestoreDevice>,
    s: &Superblock,
    until: Until,
    least: Lsn,
) -> Result<(Lsn, Option<i64>, u32), RestoreError> {
    let as_device: Arc<dyn BlockDevice> = device.clone();
    let mut reader = LogReader::new(as_device, s.ring, s.redo, s.epoch).across_runs(true);
    let (mut before, mut last, mut cut) = (s.redo, None, None);
    while let Some(record) = reader.next_record()? {
        let (end, commit) = (record.end, commit_of(&record));
        let beyond = match (until, &commit) {
            (Until::Lsn(l), _) => end > l,
            (Until::Time(t), Some(c)) => c.time > t,
            _ => false,
        };
        if beyond {
            cut = Some(before);
            break;
        }
        if let Some(c) = commit {
            last = Some(c.time);
            if matches!(until, Until::Xid(x) if c.xids.contains(&x)) {
                cut = Some(end);
                break;
            }
        }
        before = end;
    }
    let (position, epoch) = (reader.position(), reader.epoch());
    match (cut, until) {
        (_, Until::Lsn(l)) if l < least => Err(RestoreError::TooEarly(least)),
        (Some(cut), _) if cut < least => Err(RestoreError::TooEarly(least)),
        (Some(cut), _) => Ok((cut, last, epoch)),
        (None, _) if position.0 < device.log.end(s.redo.0) => Err(RestoreError::LogBroken(position)),
        (None, Until::End) => Ok((position, last, epoch)),
        (None, Until::Lsn(l)) if l == position => Ok((position, last, epoch)),
        (None, _) => Err(RestoreError::EndsBefore(position)),
    }
}

/// A backup or archive file in memory.
impl Input for Box<[u8]> {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), InputError> {
        let start = usize::try_from(offset).map_err(|_| InputError)?;
        let from = start.checked_add(buf.len()).and_then(|end| self.get(start..end)).ok_or(InputError)?;
        buf.copy_from_slice(from);
        Ok(())
    }
}
