//! Writing dirty pages to the device.

use alloc::{boxed::Box, vec::Vec};
use core::sync::atomic::Ordering;

use pg_page::{Lsn, Page, StorageError};
use platform::{
    block::{BlockError, Durability, IoClass, WriteRequest},
    bug::{Bug, planted},
    task, time,
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

    /// Writes copies out, after the log that they depend on. A page that cannot be written stays dirty; the others of the batch are
    /// written all the same.
    fn send(&self, batch: &mut Vec<Outgoing<'_>>) -> Result<(), StorageError> {
        if batch.is_empty() {
            return Ok(());
        }
        let newest = batch.iter().map(|o| o.page.lsn()).max().unwrap_or(Lsn(0));
        if !planted(Bug::PageBeforeLog) {
            self.wal.flush(newest);
        }
        let requests: Vec<_> = batch.iter().map(|o| WriteRequest { offset: o.at, data: &o.page.0 }).collect();
        let together = self.device.write_batch(&requests, Durability::Cached, IoClass::Background);
        drop(requests);
        self.writes.fetch_add(batch.len() as u64, Ordering::Relaxed);
        let mut outcome = Ok(());
        for o in batch.drain(..) {
            let done = match together {
                Ok(()) => Ok(()),
                // Which one failed is not said: each again by itself.
                Err(_) => self.device.write(o.at, &o.page.0, Durability::Cached, IoClass::Background),
            };
            match done {
                Ok(()) => self.set_stamp(o.pin.0.tag.load(Ordering::Acquire), o.page.lsn()),
                Err(e) => {
                    o.pin.0.set(DIRTY);
                    self.write_failed(&o.page, e);
                    outcome = Err(StorageError::Io(e));
                }
            }
            o.pin.0.clear(WRITING);
        }
        outcome
    }

    #[cold]
    fn write_failed(&self, page: &Page, e: BlockError) {
        let n = self.write_failures.fetch_add(1, Ordering::Relaxed);
        let now = time::monotonic().as_secs();
        // One line in ten seconds at most: the same page is tried again and again.
        if self.complained.fetch_max(now, Ordering::Relaxed) + 10 <= now || n == 0 {
            log::error!(
                "block {} of relation {} could not be written and stays in memory: {e}",
                page.block(),
                page.rel().0
            );
        }
    }

    /// Writes one frame that the clock hand wants, if it can be written.
    pub(crate) fn clean(&self, frame: &Frame) {
        if !frame.pin() {
            return;
        }
        let mut batch = Vec::new();
        // The caller may hold other latches: it must not wait for this one.
        batch.extend(self.take_copy(frame, Pin(frame), false));
        // Logged, and tried again.
        let _ = self.send(&mut batch);
    }

    /// Writes every page that is dirty when the call begins, or gives an error after trying each. `pace` is called between batches. The
    /// caller flushes the device.
    pub fn write_dirty(&self, mut pace: impl FnMut(usize, usize)) -> Result<(), StorageError> {
        let mut dirty: Vec<u32> = self
            .frames
            .iter()
            .filter(|f| f.has(DIRTY | WRITING))
            .map(|f| f.tag.load(Ordering::Acquire))
            .collect();
        dirty.sort_unstable();
        let total = dirty.len();
        let mut outcome = Ok(());
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
                outcome = outcome.and(self.send(&mut batch));
                task::yield_now();
            }
            if batch.len() >= BATCH {
                outcome = outcome.and(self.send(&mut batch));
                pace(done, total);
            }
        }
        outcome.and(self.send(&mut batch))
    }
}
