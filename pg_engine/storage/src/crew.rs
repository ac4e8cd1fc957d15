//! The tasks that redo changes of pages during recovery.

use alloc::{sync::Arc, vec::Vec};

use pg_buffer_manager::{BufferPool, RedoBatch};
use pg_page::{RelId, StorageError};
use platform::{
    sync::{Condvar, Mutex},
    task,
};

use crate::storage::Result;

/// Most tasks.
const MAX_TASKS: usize = 4;
/// Bounds of a batch's size in bytes.
const LEAST: usize = 64 << 10;
const MOST: usize = 128 << 20;
/// So little is redone by the task that read it.
const NOT_WORTH_A_TASK: usize = 16 << 10;

#[derive(Default)]
struct Seat {
    todo: Option<RedoBatch>,
    busy: bool,
    over: bool,
    /// An empty batch that has its memory.
    spare: Option<RedoBatch>,
}

struct Shared {
    pool: Arc<BufferPool>,
    seats: Vec<(Mutex<Seat>, Condvar)>,
    outcome: Mutex<(Vec<RelId>, Option<StorageError>)>,
}

/// Hands batches to tasks, each page's changes always to the same.
pub(crate) struct Crew {
    shared: Arc<Shared>,
    /// Batches being filled, one for each task.
    pub filling: Vec<RedoBatch>,
    full: usize,
    hired: bool,
}

impl Crew {
    pub fn new(pool: &Arc<BufferPool>) -> Self {
        let tasks = task::core_count().clamp(1, MAX_TASKS);
        // Two of each task's are in memory at a time, one being filled and one being redone, as much as half the pool. The more is
        // redone together, the less often a page is read and written.
        let full = (pool.stats().frames * pg_page::PAGE_SIZE / (4 * tasks)).clamp(LEAST, MOST);
        let shared = Shared {
            pool: pool.clone(),
            seats: (0..tasks).map(|_| (Mutex::default(), Condvar::new())).collect(),
            outcome: Mutex::default(),
        };
        let filling = (0..tasks).map(|_| RedoBatch::default()).collect();
        Self { shared: Arc::new(shared), filling, full, hired: false }
    }

    /// Hands batches over that have become large enough.
    #[inline]
    pub fn hand_over_full(&mut self) -> Result<()> {
        for i in 0..self.filling.len() {
            if self.filling[i].size() >= self.full {
                self.hand_over(i);
                self.shared.check()?;
            }
        }
        Ok(())
    }

    /// Returns when everything is redone.
    pub fn drain(&mut self) -> Result<()> {
        let size: usize = self.filling.iter().map(RedoBatch::size).sum();
        if !self.hired && size < NOT_WORTH_A_TASK {
            for batch in self.filling.iter_mut().filter(|b| !b.is_empty()) {
                self.shared.redo(batch, 1);
            }
            return self.shared.check();
        }
        for i in 0..self.filling.len() {
            self.hand_over(i);
        }
        for (seat, changed) in &self.shared.seats {
            let mut s = seat.lock();
            while s.busy || s.todo.is_some() {
                s = changed.wait(s);
            }
        }
        self.shared.check()
    }

    fn hand_over(&mut self, i: usize) {
        self.hire();
        let (Some(batch), Some((seat, changed))) = (self.filling.get_mut(i), self.shared.seats.get(i)) else {
            return;
        };
        if batch.is_empty() {
            return;
        }
        let mut s = seat.lock();
        while s.busy || s.todo.is_some() {
            s = changed.wait(s);
        }
        let spare = s.spare.take().unwrap_or_default();
        s.todo = Some(core::mem::replace(batch, spare));
        drop(s);
        changed.notify_all();
    }

    fn hire(&mut self) {
        if !core::mem::replace(&mut self.hired, true) {
            for i in 0..self.shared.seats.len() {
                let shared = self.shared.clone();
                task::spawn("recovery", move || shared.work(i));
            }
        }
    }

    /// Relations whose pages could not be redone, for good if they are gone in the end.
    pub fn doomed(&self) -> Vec<RelId> {
        core::mem::take(&mut self.shared.outcome.lock().0)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for (seat, changed) in &self.shared.seats {
            seat.lock().over = true;
            changed.notify_all();
        }
    }
}

impl Shared {
    fn check(&self) -> Result<()> {
        self.outcome.lock().1.take().map_or(Ok(()), Err)
    }

    fn redo(&self, batch: &mut RedoBatch, sharers: usize) {
        let mut doomed = Vec::new();
        let done = self.pool.redo(batch, &mut doomed, sharers);
        let mut outcome = self.outcome.lock();
        outcome.0.append(&mut doomed);
        if let Err(e) = done {
            outcome.1.get_or_insert(e);
        }
    }

    fn work(&self, i: usize) {
        let Some((seat, changed)) = self.seats.get(i) else { return };
        let mut s = seat.lock();
        loop {
            if s.over {
                return;
            }
            let Some(mut batch) = s.todo.take() else {
                s = changed.wait(s);
                continue;
            };
            s.busy = true;
            drop(s);
            changed.notify_all();
            if task::catch_unwind(|| self.redo(&mut batch, self.seats.len())).is_err() {
                let failure = StorageError::CorruptVolume("recovery failed in the middle of a page");
                self.outcome.lock().1.get_or_insert(failure);
            }
            s = seat.lock();
            s.busy = false;
            s.spare = Some(batch);
            changed.notify_all();
        }
    }
}
