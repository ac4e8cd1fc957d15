//! Making a backup of a volume in use.

use alloc::{string::String, vec::Vec};
use core::fmt;

use pg_page::{Lsn, PAGE_SIZE, StorageError};
use pg_storage::{ReadError, Storage};
use platform::{
    bug::{Bug, planted},
    time,
};

use crate::format::{Frame, Header, MAX_LABEL, PIECE, Writer};

/// Pages between two looks at the log.
const STRIDE: u64 = 1024;

/// Why there is no backup. `E`: whatever the receiver's errors are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupError<E> {
    /// The volume.
    Storage(StorageError),
    /// Log was overwritten before it was read: the ring is too small for this load.
    LogGone,
    /// The label is too long.
    Label,
    /// The receiver.
    Sink(E),
}

impl<E> From<StorageError> for BackupError<E> {
    fn from(e: StorageError) -> Self {
        Self::Storage(e)
    }
}

impl<E: fmt::Display> fmt::Display for BackupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(e) => e.fmt(f),
            Self::LogGone => f.write_str("log was overwritten before the backup had read it"),
            Self::Label => f.write_str("the label is too long"),
            Self::Sink(e) => e.fmt(f),
        }
    }
}

struct Maker<'a, E> {
    storage: &'a Storage,
    writer: Writer,
    sink: &'a mut dyn FnMut(&[u8]) -> Result<(), E>,
    buffer: Vec<u8>,
    log: Lsn,
}

impl<E> Maker<'_, E> {
    fn put(&mut self, frame: &Frame<'_>) -> Result<(), BackupError<E>> {
        self.buffer.clear();
        self.writer.put(frame, &mut self.buffer);
        (self.sink)(&self.buffer).map_err(BackupError::Sink)
    }

    /// Sends what has been logged and is durable, up to a position.
    fn follow(&mut self, end: Lsn) -> Result<(), BackupError<E>> {
        while self.log < end {
            let most = PIECE.min((end.0 - self.log.0) as usize);
            let piece = self.storage.read_log(self.log, most).map_err(|e| match e {
                ReadError::Gone => BackupError::LogGone,
                ReadError::Device(e) => BackupError::Storage(StorageError::Io(e)),
            })?;
            if piece.is_empty() {
                return Ok(());
            }
            self.put(&Frame::Log(self.log, &piece))?;
            self.log = Lsn(self.log.0 + piece.len() as u64);
        }
        Ok(())
    }
}

/// Hands a backup to `sink`, a frame at a time. Writers are not held up; what they log meanwhile becomes part of the
/// backup, which is the volume as of its end. Gives the position of that end.
pub fn back_up<E>(
    storage: &Storage,
    label: &str,
    sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<Lsn, BackupError<E>> {
    if label.len() > MAX_LABEL {
        return Err(BackupError::Label);
    }
    let started = time::wall_clock_micros();
    let start = storage.backup_start()?;
    let redo = start.superblock.redo;
    let mut maker = Maker { storage, writer: Writer::default(), sink, buffer: Vec::new(), log: redo };
    let header = Header { label: String::from(label), started, superblock: start.superblock };
    maker.put(&Frame::Header(header))?;
    maker.put(&Frame::Config(&start.config))?;
    for piece in start.metadata.chunks(PIECE) {
        maker.put(&Frame::Metadata(piece))?;
    }
    maker.follow(storage.durable_log())?;
    let (mut pages, mut since) = (0, 0);
    storage.backup_pages(&start, |(first, bytes)| -> Result<(), BackupError<E>> {
        let n = (bytes.len() / PAGE_SIZE) as u64;
        maker.put(&Frame::Pages(first, &bytes))?;
        pages += n;
        since += n;
        // The log is read while it is fresh: the ring does not wait.
        if since >= STRIDE {
            since = 0;
            maker.follow(storage.durable_log())?;
        }
        Ok(())
    })?;
    // Every page that was copied is older than this.
    let end = if planted(Bug::BackupWithoutItsLog) { maker.log } else { storage.flush_log() };
    maker.follow(end)?;
    let log = end.0 - redo.0;
    maker.put(&Frame::End { end, time: time::wall_clock_micros(), pages, log })?;
    Ok(end)
}
