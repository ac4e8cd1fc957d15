//! Checkpoints, and the other tasks that write in the background.
//!
//! # Pace
//! A checkpoint starts when so much log was written or so much time has passed since the last one started. It spreads its writes over
//! nine tenths of either, whichever ends first, so that it does not disturb those who wait for the device; it hurries when
//! someone waits for it or the log ring fills. So the log that recovery has to read is bounded: less than two checkpoint
//! distances, and never more than three quarters of the ring.

use alloc::{sync::Weak, vec::Vec};
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use pg_buffer_manager::{FrameInfo, IoStats, WriterStats};
use pg_page::{Lsn, StorageError};
use pg_volume::{Superblock, codec::Encoder};
use pg_wal::WalStats;
use platform::{
    bug::{Bug, planted},
    sync::MutexGuard,
    task, time,
};

use crate::{
    recovery::encode_state,
    storage::{Result, Storage},
};

/// How often the checkpointer looks around.
const TICK: Duration = Duration::from_millis(100);
/// How long a commit that nobody waits for may stay in memory before it is written: `wal_writer_delay`.
const LOG_WRITER_DELAY: Duration = Duration::from_millis(200);
/// The background writer looks around at least this often.
const WRITER_DELAY: Duration = Duration::from_millis(200);
/// Longest pause between two batches of a checkpoint.
const PACE: Duration = Duration::from_millis(100);

pub(crate) struct Checkpoints {
    pub superblock: Superblock,
    /// When the last one started.
    pub last: Duration,
}

struct SuperblockGuard<'a>(MutexGuard<'a, Checkpoints>);

impl core::ops::Deref for SuperblockGuard<'_> {
    type Target = Superblock;
    fn deref(&self) -> &Superblock {
        &self.0.superblock
    }
}

/// What checkpoints did since the volume was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointStats {
    /// Those that were due.
    pub timed: u64,
    /// Those that someone asked for.
    pub requested: u64,
    /// Time spent writing pages, pauses included.
    pub write_time: Duration,
    /// Time spent making them durable.
    pub sync_time: Duration,
}

#[derive(Default)]
pub(crate) struct CheckpointCounts {
    timed: AtomicU64,
    requested: AtomicU64,
    write_nanos: AtomicU64,
    sync_nanos: AtomicU64,
}

impl CheckpointCounts {
    fn note(&self, timed: bool, started: Duration, written: Duration) {
        let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        if timed { &self.timed } else { &self.requested }.fetch_add(1, Ordering::Relaxed);
        self.write_nanos.fetch_add(nanos(written.saturating_sub(started)), Ordering::Relaxed);
        self.sync_nanos.fetch_add(nanos(time::monotonic().saturating_sub(written)), Ordering::Relaxed);
    }
}

/// Spreads a checkpoint's writes.
struct Pace<'a> {
    storage: &'a Storage,
    started: Duration,
    redo: Lsn,
}

impl Pace<'_> {
    /// Waits while more is done than the time and the log so far call for.
    fn wait(&self, done: usize, total: usize) {
        let s = self.storage;
        let progress = done as f64 / total.max(1) as f64;
        loop {
            let hurry = s.requested.load(Ordering::Acquire) != 0 || s.wal.used() > s.wal.capacity() / 8 * 5;
            let elapsed = time::monotonic().saturating_sub(self.started).as_secs_f64();
            let by_time = elapsed / (s.config.checkpoint_interval.as_secs_f64() * 0.9).max(1e-9);
            let logged = s.wal.inserted().0.saturating_sub(self.redo.0) as f64;
            let by_log = logged / (s.checkpoint_distance() as f64 * 0.9).max(1.0);
            if hurry || progress <= by_time.max(by_log) || !s.next_turn(PACE) {
                return;
            }
        }
    }
}

impl Storage {
    /// What the log did.
    pub fn log_stats(&self) -> WalStats {
        self.wal.stats()
    }
    /// Who did how much I/O, for what.
    pub fn io_stats(&self) -> Vec<IoStats> {
        self.engine.pool.io_stats()
    }
    /// What the background writer and others wrote.
    pub fn writer_stats(&self) -> WriterStats {
        self.engine.pool.writer_stats()
    }
    /// Looks at every frame of the buffer pool.
    pub fn buffers(&self, each: impl FnMut(FrameInfo)) {
        self.engine.pool.frame_infos(each);
    }
    /// What checkpoints did.
    pub fn checkpoint_stats(&self) -> CheckpointStats {
        let c = &self.checkpoint_counts;
        CheckpointStats {
            timed: c.timed.load(Ordering::Relaxed),
            requested: c.requested.load(Ordering::Relaxed),
            write_time: Duration::from_nanos(c.write_nanos.load(Ordering::Relaxed)),
            sync_time: Duration::from_nanos(c.sync_nanos.load(Ordering::Relaxed)),
        }
    }

    pub(crate) fn checkpoint_now(&self, clean: bool, paced: bool) -> Result<()> {
        let done = self.try_checkpoint(clean, paced);
        if done.is_err() {
            self.wal.checkpoint_failed();
        }
        done
    }

    fn try_checkpoint(&self, clean: bool, paced: bool) -> Result<()> {
        let mut state = self.checkpoints.lock();
        let started = time::monotonic();
        let redo = self.wal.begin_checkpoint();
        // A commit record may stand before `redo` while its transaction still counts as running.
        let committing = self.engine.transactions.committing();
        while self.engine.transactions.any_running(&committing) {
            task::sleep(Duration::from_micros(200));
        }
        let pace = Pace { storage: self, started, redo };
        self.engine.pool.write_dirty(|done, total| {
            if paced {
                pace.wait(done, total);
            }
        })?;
        let written_by = time::monotonic();
        let redo = if planted(Bug::EarlyRedoStart) { self.wal.inserted() } else { redo };
        let mut tail = Encoder::default();
        {
            // Neither may a transaction be prepared between the two.
            let state = self.engine.transactions.state();
            encode_state(&mut tail, &state);
            self.encode_prepared(&mut tail);
        }
        self.encode_maps(&mut tail);
        let (mut bytes, page) = self.engine.directory.snapshot(tail.0.len())?;
        bytes.extend_from_slice(&tail.0);
        // What the snapshot takes for ended must be in the log for good.
        self.wal.flush(self.wal.inserted());
        let old = state.superblock;
        let next = Superblock {
            generation: old.generation + 1,
            redo,
            epoch: self.wal.epoch(),
            clean,
            meta_page: page,
            meta_bytes: bytes.len() as u64,
            meta_crc: kernel_simd::crc32c::checksum(&bytes),
            durable: self.wal.durable(),
            ..old
        };
        // Nothing refers to that place yet: another try may write it again.
        if let Err(e) = pg_volume::metadata_write(&*self.device, &next, page, &bytes) {
            self.engine.directory.snapshot_written(false);
            return Err(e);
        }
        let written = match planted(Bug::CheckpointWithoutFlush) {
            true => Ok(()),
            false => self.device.flush().map_err(StorageError::Io),
        }
        .and_then(|()| pg_volume::write_superblock(&*self.device, &next));
        if let Err(e) = written {
            // The flush failed: what reached the media is unknown. The old superblock still counts, or the new
            // one does; going on could overwrite what either needs.
            log::error!("checkpoint failed: {e}");
            platform::power::fatal("a checkpoint could not be made durable");
        }
        self.engine.directory.snapshot_written(true);
        state.superblock = next;
        state.last = started;
        self.engine.pool.note_flush();
        self.checkpoint_counts.note(paced, started, written_by);
        self.wal.end_checkpoint(next.redo);
        Ok(())
    }

    fn since_checkpoint(&self) -> Duration {
        // The lock is waited for while a checkpoint runs: the clock is read after it.
        let last = self.checkpoints.lock().last;
        time::monotonic().saturating_sub(last)
    }

    /// The superblock that counts. Waits for a checkpoint under way, which hurries.
    pub(crate) fn current_superblock(&self) -> impl core::ops::Deref<Target = Superblock> + '_ {
        self.requested.fetch_add(1, Ordering::AcqRel);
        self.wake_tasks();
        let guard = SuperblockGuard(self.checkpoints.lock());
        self.requested.fetch_sub(1, Ordering::AcqRel);
        guard
    }

    /// Log between the starts of two checkpoints.
    fn checkpoint_distance(&self) -> u64 {
        self.config.checkpoint_wal_bytes.min(self.wal.capacity() / 10 * 3)
    }

    fn checkpoint_due(&self) -> bool {
        let distance = self.wal.distance();
        self.wal.checkpoint_wanted()
            || distance > self.checkpoint_distance()
            || (distance > 0 && self.since_checkpoint() > self.config.checkpoint_interval)
    }
}

/// The checkpointer.
pub(crate) fn background(storage: &Weak<Storage>) {
    let mut failures = 0u32;
    let mut not_before = Duration::ZERO;
    while let Some(s) = storage.upgrade() {
        if !s.next_turn(TICK) {
            return;
        }
        if time::monotonic() < not_before || !s.checkpoint_due() {
            continue;
        }
        match s.checkpoint_now(false, true) {
            Ok(()) => {
                if failures != 0 {
                    log::info!("checkpoints work again after {failures} that failed");
                }
                failures = 0;
            }
            Err(e) => {
                failures = failures.saturating_add(1);
                let pause = Duration::from_millis(100 << failures.min(8));
                not_before = time::monotonic() + pause;
                log::error!("checkpoint failed, will be tried again in {} ms: {e}", pause.as_millis());
            }
        }
    }
}

/// Makes transactions with asynchronous commit durable, whatever the checkpointer is busy with.
pub(crate) fn log_writer(storage: &Weak<Storage>) {
    while let Some(s) = storage.upgrade() {
        if s.is_stopping() {
            return;
        }
        s.wal.await_work(LOG_WRITER_DELAY);
        s.wal.flush(s.wal.inserted());
    }
}

/// The background writer: keeps the frames that are needed next clean, so that who needs one seldom has to write.
pub(crate) fn writer(storage: &Weak<Storage>) {
    while let Some(s) = storage.upgrade() {
        if s.is_stopping() {
            return;
        }
        s.engine.pool.await_writing(WRITER_DELAY);
        // Failures are logged, and the pages tried again.
        let _ = s.engine.pool.write_ahead();
    }
}
