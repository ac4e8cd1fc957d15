//! Reading pages before anyone waits for them.
//!
//! Requests go through a short queue to a few tasks, which read whole batches. They are advice: when the queue is full or no frame
//! is to be had without a write, they are forgotten, and whoever needs the page reads it. A page that is being
//! read is latched for writing, so who comes for it meanwhile waits for that read and starts none.

use alloc::{
    collections::VecDeque,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::ops::Range;

use pg_page::RelId;
use pg_volume::Relation;
use platform::{
    block::{IoClass, ReadRequest},
    sync::{Condvar, Mutex},
    time,
};

use crate::{
    evict::Need,
    frame::{VALID, WriteGuard},
    pool::{BufferPool, Result},
    stats::{Actor, Purpose, add, add_time},
};

/// Requests that may wait.
const MAX_QUEUE: usize = 64;
/// Pages read with one call to the device.
const BATCH: usize = 32;

struct Request {
    rel: Arc<Relation>,
    blocks: Vec<u32>,
    purpose: Purpose,
}

#[derive(Default)]
struct Queue {
    requests: VecDeque<Request>,
    /// Someone works on requests: without, none are taken.
    served: bool,
    closed: bool,
}

/// The queue between those who will need pages and those who read them.
#[derive(Default)]
pub(crate) struct ReadAhead {
    queue: Mutex<Queue>,
    filled: Condvar,
}

impl ReadAhead {
    fn push(&self, request: Request) {
        let mut q = self.queue.lock();
        if q.served && !q.closed && q.requests.len() < MAX_QUEUE {
            q.requests.push_back(request);
            drop(q);
            self.filled.notify_one();
        }
    }
    fn next(&self) -> Option<Request> {
        let mut q = self.queue.lock();
        q.served = true;
        loop {
            if q.closed {
                return None;
            }
            if let Some(r) = q.requests.pop_front() {
                return Some(r);
            }
            q = self.filled.wait(q);
        }
    }
    pub fn close(&self) {
        self.queue.lock().closed = true;
        self.filled.notify_all();
    }
}

impl Drop for BufferPool {
    fn drop(&mut self) {
        self.ahead.close();
    }
}

/// Follows a pass over a relation and asks for what it will need: little at first, then more.
#[derive(Clone, Debug)]
pub struct Lookahead {
    next: u32,
    window: u32,
    end: u32,
}

impl Lookahead {
    /// For a pass over these blocks.
    pub fn new(blocks: &Range<u32>) -> Self {
        Self { next: blocks.start + 1, window: 4, end: blocks.end }
    }
    /// The pass has come to this block.
    #[inline]
    pub fn at(&mut self, pool: &BufferPool, rel: &Arc<Relation>, block: u32) {
        if self.next < self.end && block + self.window / 2 >= self.next {
            self.ask(pool, rel, block);
        }
    }

    fn ask(&mut self, pool: &BufferPool, rel: &Arc<Relation>, block: u32) {
        let start = self.next.max(block + 1);
        let limit = pool.window_limit();
        self.next = start.saturating_add(self.window.min(limit)).min(self.end);
        self.window = (self.window * 2).min(limit);
        let purpose = if pool.is_large(rel) { Purpose::BulkRead } else { Purpose::Normal };
        pool.request(rel, start..self.next, purpose);
    }
}

impl BufferPool {
    fn is_cached(&self, page: u32) -> bool {
        self.entry(page).is_some_and(|e| e.load(core::sync::atomic::Ordering::Relaxed) != 0)
    }

    fn request(&self, rel: &Arc<Relation>, blocks: impl Iterator<Item = u32>, purpose: Purpose) {
        let mut missing: Vec<u32> =
            blocks.filter(|b| rel.physical(*b).is_some_and(|page| !self.is_cached(page))).collect();
        while !missing.is_empty() {
            let rest = missing.split_off(missing.len().min(BATCH));
            self.ahead.push(Request { rel: rel.clone(), blocks: missing, purpose });
            missing = rest;
        }
    }

    /// These blocks will be needed now, one after the other. Blocks that are here already cost a look each.
    pub fn prefetch(&self, rel: &Arc<Relation>, blocks: impl Iterator<Item = u32> + Clone) {
        let end = rel.blocks();
        let mut last = None;
        let all = blocks.filter(move |b| *b < end && last.replace(*b) != Some(*b));
        let missing: Vec<(u32, u32)> = all
            .clone()
            .filter_map(|b| Some((rel.physical(b)?, b)))
            .filter(|(page, _)| !self.is_cached(*page))
            .take(BATCH + 1)
            .collect();
        match missing.len() {
            // One is read when it is needed.
            0 | 1 => {}
            // To hand over few costs more than to read them together here: the caller would wait for the first anyway.
            2..=BATCH => {
                let pages = missing.into_iter().map(|(page, block)| (page, block, rel.id)).collect();
                let need = Need { actor: Actor::ReadAhead, purpose: Purpose::Normal, ahead: true };
                if let Err(e) = self.load_batch(pages, need, false) {
                    log::debug!("read-ahead: {e}");
                }
            }
            _ => self.request(rel, all, Purpose::Normal),
        }
    }

    /// The life of a task that reads ahead. Returns when the pool is gone or [`BufferPool::stop_read_ahead`] was called.
    pub fn read_ahead(pool: &Weak<Self>) {
        let Some(ahead) = pool.upgrade().map(|p| p.ahead.clone()) else { return };
        while let Some(request) = ahead.next() {
            let Some(pool) = pool.upgrade() else { return };
            if let Err(e) = pool.load_blocks(&request) {
                // Whoever needs the page will hear of it.
                log::debug!("read-ahead: {e}");
            }
        }
    }
    /// Ends the tasks that read ahead.
    pub fn stop_read_ahead(&self) {
        self.ahead.close();
    }

    /// Reads these blocks in one batch, in this task, as far as they are not here and frames are to be had.
    pub fn load_now(&self, rel: &Arc<Relation>, blocks: &[u32]) {
        let request = Request { rel: rel.clone(), blocks: blocks.to_vec(), purpose: Purpose::Normal };
        if let Err(e) = self.load_blocks(&request) {
            log::debug!("read-ahead: {e}");
        }
    }

    /// As `load_now`, for a pass over the relation.
    pub fn load_passing(&self, rel: &Arc<Relation>, blocks: Range<u32>) {
        let purpose = if self.is_large(rel) { Purpose::BulkRead } else { Purpose::Normal };
        if let Err(e) = self.load_blocks(&Request { rel: rel.clone(), blocks: blocks.collect(), purpose }) {
            log::debug!("read-ahead: {e}");
        }
    }
    /// These blocks will be needed soon by a pass over the relation.
    pub fn prefetch_passing(&self, rel: &Arc<Relation>, blocks: Range<u32>) {
        let purpose = if self.is_large(rel) { Purpose::BulkRead } else { Purpose::Normal };
        self.request(rel, blocks.start..blocks.end.min(rel.blocks()), purpose);
    }
    /// Most pages that a pass should have read at a time before it comes to them.
    pub fn passing_limit(&self) -> u32 {
        self.window_limit()
    }

    fn load_blocks(&self, request: &Request) -> Result<()> {
        let need = Need { actor: Actor::ReadAhead, purpose: request.purpose, ahead: true };
        let rel = &request.rel;
        let pages = request.blocks.iter().filter_map(|b| Some((rel.physical(*b)?, *b, rel.id))).collect();
        self.load_batch(pages, need, false)
    }

    /// Reads pages (place, block, relation) that recovery is about to change.
    pub(crate) fn load_pages(&self, pages: Vec<(u32, u32, RelId)>) {
        let need = Need { actor: Actor::Recovery, purpose: Purpose::Normal, ahead: false };
        // What fails is read again when recovery comes to it, and fails there.
        let _ = self.load_batch(pages, need, true);
    }

    /// Reads what is not here of these pages (place, block, relation) with one call to the device.
    fn load_batch(&self, mut pages: Vec<(u32, u32, RelId)>, need: Need, wait: bool) -> Result<()> {
        pages.retain(|p| !self.is_cached(p.0));
        pages.sort_unstable();
        pages.dedup();
        let mut targets: Vec<(WriteGuard<'_>, (RelId, u32, u32))> = Vec::with_capacity(pages.len());
        for (page, block, rel) in pages {
            let Some(frame) = self.victim(need, wait)? else { break };
            if let Some(guard) = self.adopt_into(frame, page, need)? {
                targets.push((guard, (rel, block, page)));
            }
        }
        if targets.is_empty() {
            return Ok(());
        }
        let class = if wait { IoClass::Read } else { IoClass::ReadAhead };
        let start = time::monotonic();
        let mut reads: Vec<ReadRequest<'_>> = targets
            .iter_mut()
            .map(|(guard, place)| ReadRequest::new(self.offset(place.2), &mut guard.hint_mut().0))
            .collect();
        self.device.read_batch(&mut reads, class);
        let outcomes: Vec<_> = reads.into_iter().map(|r| r.outcome).collect();
        let cell = self.counters.of(need.actor, need.purpose);
        add(&cell.reads, targets.len() as u64);
        add_time(&cell.read_nanos, time::monotonic().saturating_sub(start));
        let mut failed = Ok(());
        for ((guard, place), outcome) in targets.into_iter().zip(outcomes) {
            let frame = guard.pin.0;
            match self.check_read(outcome, &guard, place) {
                Ok(()) => {
                    frame.set(VALID);
                }
                Err(e) => {
                    drop(guard);
                    self.forget(frame, place.2);
                    failed = Err(e);
                }
            }
        }
        failed
    }
}
