//! Writing dirty pages to the device.

use alloc::{boxed::Box, vec::Vec};
use core::sync::atomic::Ordering;

use pg_page::{Lsn, Page, StorageError};
use platform::{
    block::{Durability, IoClass, WriteRequest},
    bug::{Bug, planted},
    task,
};

use crate::{
    BufferPool,
    frame::{DIRTY, Frame, Pin, WRITING},
};

/// Pages written with one call to the device.
const BATCH: usize = 32;

/// A copy of a page on its way out. The frame is pinned and marked as being written.
struct Outgoing<'a> {
    pin: Pin<'a>,
    page: Box<Page>,
    at: u64,
}

impl BufferPool {
    /// Takes a sealed copy of a dirty page and marks the frame clean. None: it is clean, or another task is writing
    /// it, or (`wait` not given) it is latched.
    fn take_copy<'a>(&self, frame: &'a Frame, pin: Pin<'a>, wait: bool) -> Option<Outgoing<'a>> {
        if frame.set(WRITING) {
            return None;
        }
        let guard = match frame.latch.try_read() {
            Some(guard) => guard,
            None if wait => frame.latch.read(),
            None => {
                frame.clear(WRITING);
                return None;
            }
        };
        if !frame.clear(DIRTY) {
            drop(guard);
            frame.clear(WRITING);
            return None;
        }
        let Some(mut page) = guard.clone() else {
            drop(guard);
            frame.clear(WRITING);
            return None;
        };
        drop(guard);
        page.seal();
        let at = self.offset(frame.tag.load(Ordering::Acquire));
        Some(Outgoing { pin, page, at })
    }

    /// Writes copies out, after the log that they depend on.
    fn send(&self, batch: &mut Vec<Outgoing<'_>>) -> Result<(), StorageError> {
        if batch.is_empty() {
            return Ok(());
        }
        let newest = batch.iter().map(|o| o.page.lsn()).max().unwrap_or(Lsn(0));
        if !planted(Bug::PageBeforeLog) {
            self.wal.flush(newest);
        }
        let requests: Vec<_> = batch.iter().map(|o| WriteRequest { offset: o.at, data: &o.page.0 }).collect();
        let outcome = self.device.write_batch(&requests, Durability::Cached, IoClass::Background);
        drop(requests);
        self.writes.fetch_add(batch.len() as u64, Ordering::Relaxed);
        for o in batch.drain(..) {
            if outcome.is_err() {
                o.pin.0.set(DIRTY);
            }
            o.pin.0.clear(WRITING);
        }
        outcome.map_err(StorageError::Io)
    }

    /// Writes one frame that the clock hand wants.
    pub(crate) fn clean(&self, frame: &Frame) -> Result<(), StorageError> {
        if !frame.pin() {
            return Ok(());
        }
        let mut batch = Vec::new();
        // The caller may hold other latches: it must not wait for this one.
        batch.extend(self.take_copy(frame, Pin(frame), false));
        self.send(&mut batch)
    }

    /// Writes every page that is dirty when the call begins. `pace` is called between batches. The caller flushes the device.
    pub fn write_dirty(&self, mut pace: impl FnMut(usize, usize)) -> Result<(), StorageError> {
        let mut dirty: Vec<u32> = self
            .frames
            .iter()
            .filter(|f| f.has(DIRTY | WRITING))
            .map(|f| f.tag.load(Ordering::Acquire))
            .collect();
        dirty.sort_unstable();
        let total = dirty.len();
        let mut batch = Vec::new();
        for (done, page) in dirty.into_iter().enumerate() {
            if page == 0 {
                continue;
            }
            // If it is not here any more, someone else has written it.
            while let Some(frame) = self.pin_cached(page) {
                if let Some(o) = self.take_copy(frame, Pin(frame), true) {
                    batch.push(o);
                    break;
                }
                if !frame.has(DIRTY | WRITING) {
                    break;
                }
                // Being written by the clock hand: an older version perhaps, so wait for it. Never while holding
                // copies that it may wait for.
                self.send(&mut batch)?;
                task::yield_now();
            }
            if batch.len() >= BATCH {
                self.send(&mut batch)?;
                pace(done, total);
            }
        }
        self.send(&mut batch)
    }
}
