//! Block devices: where bytes become durable.
//!
//! # Classes
//! Every transfer names its [`IoClass`]. What a platform makes of it:
//! * *bare metal*: the NVMe driver holds back the less urgent classes in software (see `driver_nvme`);
//! * *hosted*: the operating system's page cache answers, and has no classes. A log write waits for its own bytes only
//!   (`RWF_DSYNC`), never for the data pages that were written before it; the writer of background pages, not the log,
//!   waits for them to reach the disk, a few megabytes at a time, so that they never pile up in front of a commit;
//! * *simulated*: order follows from the seed, whatever the class.

use alloc::{sync::Arc, vec::Vec};
use core::{fmt, ops::Range};

/// What a device says about itself. All sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Logical block size: offsets and lengths of every transfer are multiples of it. 512 or 4096 in practice.
    pub block_size: u32,
    /// Capacity.
    pub capacity: u64,
    /// Writes up to this size, aligned to it, are atomic over power failure (at least `block_size`).
    pub atomic_write: u32,
    /// The device has a volatile cache: a write is durable only after [`BlockDevice::flush`] or with [`Durability::Fua`].
    pub volatile_cache: bool,
}

/// Priority of a transfer, most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IoClass {
    /// Log writes: commits wait for them.
    Wal,
    /// Reads that a statement waits for, and everything else that is waited for.
    Read,
    /// Reads ahead of need.
    ReadAhead,
    /// Write-back by checkpoint, background writer, vacuum.
    Background,
}

/// When a write may be reported as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// In the device's cache; durable after the next flush.
    Cached,
    /// On stable media (force unit access).
    Fua,
}

/// Why a transfer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// Offset or length is out of range or not a multiple of the block size.
    InvalidRequest,
    /// The device reported an unrecoverable media error for this range.
    Media,
    /// The command timed out and was aborted; its effect on the media is unknown.
    Timeout,
    /// The device is gone or has failed for good.
    Gone,
    /// The device has less room than it says, and none left for this range: a sparse file, a thin volume.
    NoSpace,
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidRequest => "invalid block request",
            Self::Media => "media error",
            Self::Timeout => "device timeout",
            Self::Gone => "device gone",
            Self::NoSpace => "no space left behind the device",
        })
    }
}

impl core::error::Error for BlockError {}

/// One write of a batch.
#[derive(Clone, Copy, Debug)]
pub struct WriteRequest<'a> {
    /// Byte offset on the device.
    pub offset: u64,
    /// What to write.
    pub data: &'a [u8],
}

/// One read of a batch.
#[derive(Debug)]
pub struct ReadRequest<'a> {
    /// Byte offset on the device.
    pub offset: u64,
    /// Where to.
    pub data: &'a mut [u8],
    /// How it ended; set by the device.
    pub outcome: Result<(), BlockError>,
}

impl<'a> ReadRequest<'a> {
    /// A read that was not done yet.
    pub fn new(offset: u64, data: &'a mut [u8]) -> Self {
        Self { offset, data, outcome: Ok(()) }
    }
}

/// A disk, namespace or partition. All calls block the task until the device has answered.
///
/// Buffers should be aligned to 8 bytes or more (page buffers are); a driver may have to copy others.
pub trait BlockDevice: Send + Sync {
    /// Fixed for the life of the device.
    fn geometry(&self) -> Geometry;
    /// Fills `buf` from `offset`.
    fn read(&self, offset: u64, buf: &mut [u8], class: IoClass) -> Result<(), BlockError>;
    /// Fills many buffers with as much concurrency as the device has. Each request says how it ended; one that failed
    /// does not hurt the others. Neighbours that follow each other in the batch may become one transfer.
    fn read_batch(&self, reads: &mut [ReadRequest<'_>], class: IoClass) {
        for r in reads {
            r.outcome = self.read(r.offset, r.data, class);
        }
    }
    /// Writes `data` at `offset`. On error the range's content is unspecified.
    ///
    /// A device implements this or [`BlockDevice::write_batch`]: each is made of the other.
    fn write(
        &self,
        offset: u64,
        data: &[u8],
        durability: Durability,
        class: IoClass,
    ) -> Result<(), BlockError> {
        self.write_batch(&[WriteRequest { offset, data }], durability, class)
    }
    /// Writes a batch with as much concurrency as the device has; order is unspecified. Returns the first error after
    /// all have ended. Neighbours that follow each other in the batch may become one transfer, but never so that a write
    /// that is atomic by itself ([`Geometry::atomic_write`]) is so no longer.
    fn write_batch(
        &self,
        writes: &[WriteRequest<'_>],
        durability: Durability,
        class: IoClass,
    ) -> Result<(), BlockError> {
        let mut outcome = Ok(());
        for w in writes {
            let r = self.write(w.offset, w.data, durability, class);
            if outcome.is_ok() {
                outcome = r;
            }
        }
        outcome
    }
    /// Makes every write that completed before this call durable.
    fn flush(&self) -> Result<(), BlockError>;
    /// Tells the device the range holds nothing of value. Advisory; contents read back are unspecified.
    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError>;
    /// Makes the range read as zeroes (durable after flush).
    fn write_zeroes(&self, offset: u64, len: u64) -> Result<(), BlockError>;
    /// Makes sure that later writes to the range find room, on devices that have less of it than they say and can tell. What the
    /// range holds does not change.
    fn reserve(&self, _offset: u64, _len: u64) -> Result<(), BlockError> {
        Ok(())
    }
}

/// A byte range of a device as a device of its own.
pub struct Partition {
    device: Arc<dyn BlockDevice>,
    start: u64,
    length: u64,
}

impl Partition {
    /// The range must be aligned to the device's blocks; what lies beyond the device is cut off.
    pub fn new(device: Arc<dyn BlockDevice>, range: Range<u64>) -> Self {
        let end = range.end.min(device.geometry().capacity);
        Self { device, start: range.start, length: end.saturating_sub(range.start) }
    }

    fn at(&self, offset: u64, length: u64) -> Result<u64, BlockError> {
        let inside = offset.checked_add(length).is_some_and(|end| end <= self.length);
        if inside { Ok(self.start + offset) } else { Err(BlockError::InvalidRequest) }
    }
}

impl BlockDevice for Partition {
    fn geometry(&self) -> Geometry {
        let whole = self.device.geometry();
        // A device promises atomic writes from its own start: that carries over only when ours is aligned to it.
        let aligned = self.start.is_multiple_of(u64::from(whole.atomic_write.max(1)));
        let atomic_write = if aligned { whole.atomic_write } else { whole.block_size };
        Geometry { capacity: self.length, atomic_write, ..whole }
    }
    fn read(&self, offset: u64, buf: &mut [u8], class: IoClass) -> Result<(), BlockError> {
        self.device.read(self.at(offset, buf.len() as u64)?, buf, class)
    }
    fn read_batch(&self, reads: &mut [ReadRequest<'_>], class: IoClass) {
        let mut inside = Vec::with_capacity(reads.len());
        let mut results = Vec::with_capacity(reads.len());
        for r in reads.iter_mut() {
            match self.at(r.offset, r.data.len() as u64) {
                Ok(offset) => {
                    inside.push(ReadRequest::new(offset, r.data));
                    results.push(&mut r.outcome);
                }
                Err(e) => r.outcome = Err(e),
            }
        }
        self.device.read_batch(&mut inside, class);
        for (r, outcome) in inside.iter().zip(results) {
            *outcome = r.outcome;
        }
    }
    fn write(
        &self,
        offset: u64,
        data: &[u8],
        durability: Durability,
        class: IoClass,
    ) -> Result<(), BlockError> {
        self.device.write(self.at(offset, data.len() as u64)?, data, durability, class)
    }
    fn write_batch(
        &self,
        writes: &[WriteRequest<'_>],
        durability: Durability,
        class: IoClass,
    ) -> Result<(), BlockError> {
        let moved: Result<Vec<_>, _> = writes
            .iter()
            .map(|w| Ok(WriteRequest { offset: self.at(w.offset, w.data.len() as u64)?, data: w.data }))
            .collect();
        self.device.write_batch(&moved?, durability, class)
    }
    fn flush(&self) -> Result<(), BlockError> {
        self.device.flush()
    }
    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.device.discard(self.at(offset, len)?, len)
    }
    fn write_zeroes(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.device.write_zeroes(self.at(offset, len)?, len)
    }
    fn reserve(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.device.reserve(self.at(offset, len)?, len)
    }
}
