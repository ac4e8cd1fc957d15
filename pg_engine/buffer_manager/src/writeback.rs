//! Writing dirty pages to the device: by checkpoints, by the background writer, and by who needs a frame and finds no
//! clean one.

use alloc::{boxed::Box, vec::Vec};
use core::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use pg_page::{Lsn, Page, StorageError};
use platform::{
    block::{BlockError, Durability, IoClass, WriteRequest},
    bug::{Bug, planted},
    sync::{Condvar, Mutex},
    tally::{self, Tally},
    task, time,
};

use crate::{
    BufferPool,
    frame::{DIRTY, Frame, Interest, Pin, WRITING},
    stats::{Actor, Purpose, WriterStats, add, add_time},
};

/// Pages written with one call to the device.
const BATCH: usize = 64;
/// Page copies that are kept for the next batch.
const SPARE_COPIES: usize = 2 * BATCH;
/// Pages that the background writer writes in one turn.
const TURN: usize = 1024;

/// A copy of a page on its way out. The frame is pinned and marked as being written.
struct Outgoing<'a> {
    pin: Pin<'a>,
    page: Box<Page>,
    at: u64,
}

/// Calls the background writer.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
    /// Where the clock hand was when the background writer last looked.
    seen: AtomicUsize,
}

impl Bell {
    #[cold]
    pub fn ring(&self) {
        let mut rung = self.rung.lock();
        if !core::mem::replace(&mut rung, true) {
            self.heard.notify_one();
        }
    }
}

impl BufferPool {
    /// Frames ahead of the clock hand that the background writer keeps clean.
    fn lookahead(&self) -> usize {
        (self.frames.len() / 8).clamp(32, 8192)
    }

    /// The clock hand has come to `at`: is the background writer to look again?
    #[inline]
    pub(crate) fn announce(&self, at: usize) {
        if at.wrapping_sub(self.bell.seen.load(Ordering::Relaxed)) >= self.lookahead() / 4 {
            self.bell.ring();
        }
    }

    /// Waits until the background writer has something to do, or for so long.
    pub fn await_writing(&self, limit: Duration) {
        let rung = self.bell.rung.lock();
        let mut rung = if *rung { rung } else { self.bell.heard.wait_timeout(rung, limit).0 };
        *rung = false;
    }
    /// Ends such a wait.
    pub fn call_writer(&self) {
        self.bell.ring();
    }

    /// A turn of the background writer: writes what is dirty among the frames that the clock hand comes to next, and the older half
    /// of those that bulk work uses. Returns the number of pages written.
    pub fn write_ahead(&self) -> Result<usize, StorageError> {
        let hand = self.hand.load(Ordering::Relaxed);
        self.bell.seen.store(hand, Ordering::Relaxed);
        let n = self.frames.len();
        // Before the cache is full the hand stands still, and everything is ahead of it.
        if self.fresh.load(Ordering::Relaxed) < n {
            return self.clean_frames(self.ring_frames().into_iter(), Actor::Writer);
        }
        let near = (0..self.lookahead().min(n)).map(|i| hand.wrapping_add(i) % n);
        self.clean_frames(near.chain(self.ring_frames()), Actor::Writer)
    }

    /// Writes the dirty ones of these frames that nobody uses, in the order of their places on the device. Latched ones are left
    /// out: the caller may hold latches itself. Returns how many were written.
    pub(crate) fn clean_frames(
        &self,
        frames: impl Iterator<Item = usize>,
        actor: Actor,
    ) -> Result<usize, StorageError> {
        let mut pages: Vec<u32> = frames
            .filter_map(|i| self.frames.get(i))
            .filter(|f| {
                let s = f.state();
                s.cold() && s.has(DIRTY) && !s.has(WRITING)
            })
            .map(|f| f.tag.load(Ordering::Acquire))
            .filter(|page| *page != 0)
            .collect();
        pages.sort_unstable();
        pages.dedup();
        if pages.len() > TURN {
            add(&self.counters.cut, 1);
            pages.truncate(TURN);
        }
        let (mut written, mut outcome) = (0, Ok(()));
        for some in pages.chunks(BATCH) {
            let mut batch = Vec::with_capacity(some.len());
            for page in some {
                if let Some(frame) = self.pin_cached(*page, Interest::None) {
                    batch.extend(self.take_copy(frame, Pin(frame), false));
                }
            }
            written += batch.len();
            outcome = outcome.and(self.send(&mut batch, actor));
        }
        outcome.map(|()| written)
    }

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
        let Some(from) = guard.as_ref() else {
            drop(guard);
            frame.clear(WRITING);
            return None;
        };
        let spare = self.copies.lock().pop();
        let mut page = match spare {
            Some(mut copy) => {
                copy.0.copy_from_slice(&from.0);
                copy
            }
            None => from.clone(),
        };
        drop(guard);
        page.seal();
        let at = self.offset(frame.tag.load(Ordering::Acquire));
        Some(Outgoing { pin, page, at })
    }

    /// Writes copies out, after the log that they depend on. A page that cannot be written stays dirty; the others of the batch are
    /// written all the same.
    fn send(&self, batch: &mut Vec<Outgoing<'_>>, actor: Actor) -> Result<(), StorageError> {
        if batch.is_empty() {
            return Ok(());
        }
        let newest = batch.iter().map(|o| o.page.lsn()).max().unwrap_or(Lsn(0));
        if !planted(Bug::PageBeforeLog) {
            self.wal.flush(newest);
        }
        let requests: Vec<_> = batch.iter().map(|o| WriteRequest { offset: o.at, data: &o.page.0 }).collect();
        let start = time::monotonic();
        // A statement that must write for a frame waits for it; and while the volume is being recovered there is no one whom
        // this could hold up.
        let urgent = actor == Actor::Statement || self.actor() == Actor::Recovery;
        let class = if urgent { IoClass::Read } else { IoClass::Background };
        let together = self.device.write_batch(&requests, Durability::Cached, class);
        drop(requests);
        let cell = self.counters.of(actor, Purpose::Normal);
        add(&cell.writes, batch.len() as u64);
        if actor == Actor::Statement {
            tally::count(Tally::PageWritten, batch.len() as u64);
        }
        add_time(&cell.write_nanos, time::monotonic().saturating_sub(start));
        let mut outcome = Ok(());
        for o in batch.drain(..) {
            let done = match together {
                Ok(()) => Ok(()),
                // Which one failed is not said: each again by itself.
                Err(_) => self.device.write(o.at, &o.page.0, Durability::Cached, class),
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
            let mut copies = self.copies.lock();
            if copies.len() < SPARE_COPIES {
                copies.push(o.page);
            }
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

    /// Writes every page that is dirty when the call begins, for a checkpoint, or gives an error after trying each. `pace` is called between batches with what is done
    /// and what there is to do. The caller flushes the device.
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
            while let Some(frame) = self.pin_cached(page, Interest::None) {
                if let Some(o) = self.take_copy(frame, Pin(frame), true) {
                    batch.push(o);
                    break;
                }
                if !frame.has(DIRTY | WRITING) {
                    break;
                }
                // Being written by someone else: an older version perhaps, so wait for it. Never while holding
                // copies that it may wait for.
                outcome = outcome.and(self.send(&mut batch, Actor::Checkpointer));
                task::yield_now();
            }
            if batch.len() >= BATCH {
                outcome = outcome.and(self.send(&mut batch, Actor::Checkpointer));
                pace(done, total);
            }
        }
        outcome.and(self.send(&mut batch, Actor::Checkpointer))
    }

    /// What the writers did.
    pub fn writer_stats(&self) -> WriterStats {
        let n = |actor| self.counters.sum_of(actor, |c| &c.writes);
        WriterStats {
            checkpoint: n(Actor::Checkpointer),
            background: n(Actor::Writer),
            background_cut: self.counters.cut.load(Ordering::Relaxed),
            statements: n(Actor::Statement) + n(Actor::Recovery),
            allocated: self.counters.allocated.load(Ordering::Relaxed),
            checkpoint_time: Duration::from_nanos(
                self.counters.sum_of(Actor::Checkpointer, |c| &c.write_nanos),
            ),
        }
    }
}
