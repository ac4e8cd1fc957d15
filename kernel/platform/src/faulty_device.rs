//! A block device that fails where it is told to, for tests.

use alloc::{sync::Arc, vec::Vec};
use core::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    block::{BlockDevice, BlockError, Durability, Geometry, IoClass},
    sync::Mutex,
};

/// Something that goes wrong. Ranges are bytes of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Reads that touch the range fail.
    Read(Range<u64>, BlockError),
    /// Writes that touch the range fail and change nothing.
    Write(Range<u64>, BlockError),
    /// Flushes fail.
    Flush(BlockError),
    /// Bits of this byte are turned over when it is read.
    Flip(u64, u8),
    /// What is written to the first range is said to be done and is not.
    Lose(Range<u64>),
    /// What is written to the range goes to another place, so many bytes further on.
    Misdirect(Range<u64>, u64),
    /// There is no room left for the range.
    NoRoom(Range<u64>),
}

/// A device in front of another.
pub struct FaultyDevice {
    inner: Arc<dyn BlockDevice>,
    faults: Mutex<Vec<Fault>>,
    met: AtomicU64,
}

fn touches(range: &Range<u64>, offset: u64, len: usize) -> bool {
    range.start < offset + len as u64 && offset < range.end
}

impl FaultyDevice {
    /// One that does nothing wrong yet.
    pub fn new(inner: Arc<dyn BlockDevice>) -> Self {
        Self { inner, faults: Mutex::new(Vec::new()), met: AtomicU64::new(0) }
    }
    /// What goes wrong from now on, and nothing else.
    pub fn set(&self, faults: &[Fault]) {
        *self.faults.lock() = faults.to_vec();
    }
    /// How many transfers went wrong so far.
    pub fn met(&self) -> u64 {
        self.met.load(Ordering::Relaxed)
    }
    fn find<T>(&self, f: impl FnMut(&Fault) -> Option<T>) -> Option<T> {
        let found = self.faults.lock().iter().find_map(f);
        if found.is_some() {
            self.met.fetch_add(1, Ordering::Relaxed);
        }
        found
    }
}

impl BlockDevice for FaultyDevice {
    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }
    fn read(&self, offset: u64, buf: &mut [u8], class: IoClass) -> Result<(), BlockError> {
        let fails = |f: &Fault| match f {
            Fault::Read(range, e) if touches(range, offset, buf.len()) => Some(*e),
            _ => None,
        };
        if let Some(e) = self.find(fails) {
            return Err(e);
        }
        self.inner.read(offset, buf, class)?;
        let flip = self.find(|f| match f {
            Fault::Flip(at, bits) if touches(&(*at..*at + 1), offset, buf.len()) => Some((*at, *bits)),
            _ => None,
        });
        if let Some((at, bits)) = flip
            && let Some(byte) = buf.get_mut((at - offset) as usize)
        {
            *byte ^= bits;
        }
        Ok(())
    }
    fn write(
        &self,
        offset: u64,
        data: &[u8],
        durability: Durability,
        class: IoClass,
    ) -> Result<(), BlockError> {
        let wrong = self.find(|f| match f {
            Fault::Write(range, e) if touches(range, offset, data.len()) => Some(Err(*e)),
            Fault::NoRoom(range) if touches(range, offset, data.len()) => Some(Err(BlockError::NoSpace)),
            Fault::Lose(range) if touches(range, offset, data.len()) => Some(Ok(None)),
            Fault::Misdirect(range, by) if touches(range, offset, data.len()) => Some(Ok(Some(offset + by))),
            _ => None,
        });
        match wrong {
            Some(Err(e)) => Err(e),
            Some(Ok(None)) => Ok(()),
            Some(Ok(Some(elsewhere))) => self.inner.write(elsewhere, data, durability, class),
            None => self.inner.write(offset, data, durability, class),
        }
    }
    fn flush(&self) -> Result<(), BlockError> {
        let fails = |f: &Fault| match f {
            Fault::Flush(e) => Some(*e),
            _ => None,
        };
        self.find(fails).map_or_else(|| self.inner.flush(), Err)
    }
    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.inner.discard(offset, len)
    }
    fn write_zeroes(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.inner.write_zeroes(offset, len)
    }
    fn reserve(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        let fails = |f: &Fault| match f {
            Fault::NoRoom(range) if touches(range, offset, len as usize) => Some(BlockError::NoSpace),
            _ => None,
        };
        self.find(fails).map_or_else(|| self.inner.reserve(offset, len), Err)
    }
}
