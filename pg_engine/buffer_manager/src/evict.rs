//! Frames for pages that are not here: where they come from.

use alloc::collections::VecDeque;
use core::{sync::atomic::Ordering, time::Duration};

use pg_page::{Page, StorageError};
use pg_volume::Relation;
use platform::task;

use crate::{
    frame::{DIRTY, Frame, Interest, PanicWatch, Pin, VALID, WRITING, WriteGuard},
    pool::{BufferPool, LOADERS, Result},
    stats::{Actor, Purpose, add},
};

/// Dirty frames that a search for a victim passes over before it writes them itself.
const PATIENCE: usize = 64;
/// Most frames that bulk work occupies.
const RING_FRAMES: usize = 512;
/// Ring entries looked at for one victim.
const RING_TRIES: usize = 8;

/// What a frame is wanted for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    pub actor: Actor,
    pub purpose: Purpose,
    /// The page is read before anyone asked for it.
    pub ahead: bool,
}

struct RingEntry {
    frame: u32,
    page: u32,
    /// Uses that say nothing about later ones.
    uses: u8,
    /// Read ahead and not looked at since; spared once.
    ahead: bool,
}

/// Pages that bulk work brought in, oldest first. When there are many, the next takes the frame of the oldest, so that a pass
/// over much data leaves everyone else's pages alone.
#[derive(Default)]
pub(crate) struct Ring(VecDeque<RingEntry>);

impl BufferPool {
    fn ring_limit(&self) -> usize {
        (self.frames.len() / 8).clamp(8, RING_FRAMES)
    }
    /// Pages to read ahead of a pass at most.
    pub(crate) fn window_limit(&self) -> u32 {
        (self.ring_limit() / 4).clamp(2, 64) as u32
    }
    /// Would a pass over this relation push out a good part of what is here?
    #[inline]
    pub(crate) fn is_large(&self, rel: &Relation) -> bool {
        rel.blocks() as usize > self.frames.len() / 4
    }

    /// Puts a frame into the table for `page`, write-latched and not valid. None: another task was faster.
    pub(crate) fn adopt(&self, page: u32, need: Need) -> Result<Option<WriteGuard<'_>>> {
        match self.victim(need, true)? {
            Some(index) => self.adopt_into(index, page, need),
            None => Err(StorageError::OutOfBuffers),
        }
    }

    /// As `adopt`, with a claimed frame.
    pub(crate) fn adopt_into(&self, index: u32, page: u32, need: Need) -> Result<Option<WriteGuard<'_>>> {
        let (Some(frame), Some(entry)) = (self.frames.get(index as usize), self.entry(page)) else {
            return Err(StorageError::CorruptVolume("a page lies beyond the volume"));
        };
        let loader = self.loaders[page as usize % LOADERS].lock();
        if entry.load(Ordering::Acquire) != 0 {
            drop(loader);
            self.put_free(index);
            return Ok(None);
        }
        // Nobody pins a claimed frame, so nobody holds its latch for long.
        let mut guard = frame.latch.write();
        guard.get_or_insert_with(Page::zeroed);
        frame.tag.store(page, Ordering::Release);
        frame.claimed_to_pinned(need.purpose == Purpose::Normal);
        entry.store(index + 1, Ordering::Release);
        drop(loader);
        add(&self.counters.allocated, 1);
        if need.purpose != Purpose::Normal {
            let uses = u8::from(need.purpose == Purpose::BulkWrite);
            self.ring.lock().0.push_back(RingEntry { frame: index, page, uses, ahead: need.ahead });
        }
        Ok(Some(WriteGuard { watch: PanicWatch, guard, pin: Pin(frame) }))
    }

    /// Drops a frame that failed to load from the table once nobody pins it.
    #[cold]
    pub(crate) fn forget(&self, frame: &Frame, page: u32) {
        let _loader = self.loaders[page as usize % LOADERS].lock();
        if frame.tag.load(Ordering::Acquire) == page && !frame.has(VALID) && frame.claim(true).is_some() {
            self.unlink(page);
            let base = self.frames.as_ptr().addr();
            let index = (core::ptr::from_ref(frame).addr() - base) / size_of::<Frame>();
            self.put_free(index as u32);
        } else {
            task::yield_now();
        }
    }

    fn unlink(&self, page: u32) {
        if let Some(e) = self.entry(page) {
            e.store(0, Ordering::Release);
        }
    }
    pub(crate) fn put_free(&self, index: u32) {
        if let Some(f) = self.frames.get(index as usize) {
            f.claimed_to_free();
        }
        self.free.lock().push(index);
    }

    /// Claims a clean frame that nobody pins, whatever page it holds, and takes that out of the table.
    fn take(&self, index: u32, need: Need, reuse: bool) -> bool {
        let Some(frame) = self.frames.get(index as usize) else { return false };
        let Some(was) = frame.claim(false) else { return false };
        let page = frame.tag.load(Ordering::Acquire);
        if page != 0 {
            self.unlink(page);
            add(&self.counters.past_hits, was.hits());
            let cell = self.counters.of(need.actor, need.purpose);
            add(if reuse { &cell.reuses } else { &cell.evictions }, 1);
        }
        true
    }

    /// A claimed frame out of the table. None: only waiting or writing would help, and `wait` is not given; or nothing helped.
    pub(crate) fn victim(&self, need: Need, wait: bool) -> Result<Option<u32>> {
        if let Some(i) = self.free.lock().pop()
            && self.take(i, need, false)
        {
            return Ok(Some(i));
        }
        if need.purpose != Purpose::Normal
            && let Some(i) = self.ring_victim(need)
        {
            return Ok(Some(i));
        }
        if self.fresh.load(Ordering::Relaxed) < self.frames.len() {
            let i = self.fresh.fetch_add(1, Ordering::Relaxed) as u32;
            if self.take(i, need, false) {
                return Ok(Some(i));
            }
        }
        let n = self.frames.len();
        for round in 0..64 {
            if let Some(i) = self.clock_victim(need, wait, n)? {
                return Ok(Some(i));
            }
            if !wait {
                return Ok(None);
            }
            // Everything is pinned for the moment.
            task::sleep(Duration::from_millis(round / 8));
        }
        Ok(None)
    }

    /// One round of the clock hand. Dirty frames are passed over: the background writer is told, and does it better. Where it
    /// is behind, many are written together.
    fn clock_victim(&self, need: Need, wait: bool, n: usize) -> Result<Option<u32>> {
        let patience = PATIENCE.min(n / 4);
        let mut dirty = 0;
        for _ in 0..n {
            let at = self.hand.fetch_add(1, Ordering::Relaxed);
            let frame = &self.frames[at % n];
            if !frame.tick() {
                continue;
            }
            if !frame.has(DIRTY | WRITING) {
                if self.take((at % n) as u32, need, false) {
                    self.announce(at);
                    return Ok(Some((at % n) as u32));
                }
                continue;
            }
            dirty += 1;
            if dirty < patience {
                continue;
            }
            self.bell.ring();
            if !wait {
                return Ok(None);
            }
            dirty = 0;
            // What the hand has just passed.
            let back = at + n - 2 * patience;
            // A page that cannot be written is no fault of who wants another one.
            let _ = self.clean_frames((0..2 * patience).map(|i| (back + 1 + i) % n), need.actor);
            for i in (0..2 * patience).map(|i| (back + 1 + i) % n) {
                if self.frames[i].state().cold() && self.take(i as u32, need, false) {
                    return Ok(Some(i as u32));
                }
            }
        }
        Ok(None)
    }

    /// The oldest frame of the ring that can be used again, once the ring is full.
    fn ring_victim(&self, need: Need) -> Option<u32> {
        let limit = self.ring_limit();
        for _ in 0..RING_TRIES {
            let mut ring = self.ring.lock();
            if ring.0.len() < limit {
                return None;
            }
            let mut entry = ring.0.pop_front()?;
            let frame = self.frames.get(entry.frame as usize)?;
            let state = frame.state();
            if frame.tag.load(Ordering::Acquire) != entry.page || state.usage() > entry.uses {
                // Evicted meanwhile, or others have use for it: not the ring's any more.
                continue;
            }
            let early = core::mem::take(&mut entry.ahead) && state.hits() == 0;
            // Dirty pages wait for the background writer, up to a point.
            if early || state.pins() != 0 || (state.has(DIRTY | WRITING) && ring.0.len() < 2 * limit) {
                ring.0.push_back(entry);
                continue;
            }
            drop(ring);
            if state.has(DIRTY) {
                let _ = self.clean_frames(self.ring_frames().into_iter(), need.actor);
            }
            if self.take(entry.frame, need, true) {
                return Some(entry.frame);
            }
        }
        None
    }

    /// Frames of the older half of the ring.
    pub(crate) fn ring_frames(&self) -> alloc::vec::Vec<usize> {
        let ring = self.ring.lock();
        ring.0.iter().take(ring.0.len().div_ceil(2)).map(|e| e.frame as usize).collect()
    }

    /// Is a page here in a state that the device has yet to get?
    pub fn awaits_write(&self, rel: &Relation, block: u32) -> bool {
        let page = rel.physical(block);
        page.and_then(|page| self.pin_cached(page, Interest::None))
            .is_some_and(|frame| Pin(frame).0.has(DIRTY | WRITING))
    }
    /// Place of a relation's page on the device. `None`: it has none.
    pub fn place(&self, rel: &Relation, block: u32) -> Option<u64> {
        rel.physical(block).map(|page| self.offset(page))
    }

    /// Removes a relation's pages from the pool without writing them. Nobody may use the relation any more.
    pub fn discard(&self, rel: &Relation) {
        for block in 0..rel.blocks() {
            let Some(page) = rel.physical(block) else { continue };
            while let Some(index) = self.entry(page).and_then(|e| e.load(Ordering::Acquire).checked_sub(1)) {
                let Some(frame) = self.frames.get(index as usize) else { break };
                if frame.tag.load(Ordering::Acquire) == page
                    && let Some(was) = frame.claim(true)
                {
                    if frame.tag.load(Ordering::Acquire) == page {
                        self.unlink(page);
                        self.put_free(index);
                        break;
                    }
                    // Evicted and loaded with another page in between.
                    frame.unclaim(was);
                    continue;
                }
                // The checkpointer is writing it, or it is being read ahead.
                task::yield_now();
            }
        }
    }

    /// The frame of a page, pinned, if it is here.
    #[inline]
    pub(crate) fn pin_cached(&self, page: u32, interest: Interest) -> Option<&Frame> {
        let entry = self.entry(page)?;
        loop {
            let index = entry.load(Ordering::Acquire).checked_sub(1)?;
            let frame = self.frames.get(index as usize)?;
            if frame.pin(interest) {
                if frame.tag.load(Ordering::Acquire) == page {
                    return Some(frame);
                }
                frame.unpin();
            }
            // Someone is evicting it just now.
            task::yield_now();
        }
    }
}
