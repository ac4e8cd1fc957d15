//! Opening, recovering, checkpointing and closing a volume.

use alloc::{
    sync::{Arc, Weak},
    vec::Vec,
};
use core::{
    ops::Range,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use hashbrown::{HashMap, HashSet};
use pg_buffer_manager::{BufferPool, KIND_PAGES, PoolStats};
use pg_heap::{Engine, HeapState};
use pg_page::{Lsn, PAGE_SIZE, RelId, StorageError, Xid};
use pg_transaction::{RecoveredState, TransactionManager};
use pg_volume::{
    Directory, Probe, Relation, Superblock,
    codec::{Decoder, Encoder},
};
use pg_wal::{LogReader, Wal};
use platform::{
    block::BlockDevice,
    bug::{Bug, planted},
    sync::{Condvar, Mutex, MutexGuard, RwLock},
    task, time,
};

use crate::{
    api::{FormatOptions, StorageConfig},
    prepared::{KIND_PREPARE, KIND_ROLLBACK_PREPARED, Prepared, Recovered},
    sequence::SequenceState,
    transaction::{CommitRecord, KIND_COMMIT},
};

pub(crate) type Result<T> = core::result::Result<T, StorageError>;

/// How often the background task looks around.
const TICK: Duration = Duration::from_millis(100);
/// How long a commit that nobody waits for may stay in memory before it is written: `wal_writer_delay`.
const LOG_WRITER_DELAY: Duration = Duration::from_millis(200);

/// What is kept in memory for a relation in use.
pub(crate) struct Open {
    pub rel: Arc<Relation>,
    pub heap: HeapState,
    pub index: pg_btree::IndexState,
    pub sequence: Mutex<SequenceState>,
    /// Held shared by a vacuum, exclusively to remove the relation. Vacuum takes no lock on the table, which it does
    /// not know; this keeps it from a relation whose pages are about to belong to another.
    pub gate: RwLock<()>,
    /// Someone wants the gate: vacuum gives way.
    pub wanted: AtomicBool,
    /// Snapshots with an older xmin must not use this index; of a heap: a new index of it.
    pub usable_from: AtomicU64,
}

impl Open {
    /// Waits until no vacuum is at work here.
    pub fn shut(&self) -> platform::sync::RwLockWriteGuard<'_, ()> {
        self.wanted.store(true, Ordering::Release);
        let gate = self.gate.write();
        self.wanted.store(false, Ordering::Release);
        gate
    }
}

struct Checkpoints {
    superblock: Superblock,
    last: Duration,
}

struct SuperblockGuard<'a>(MutexGuard<'a, Checkpoints>);

impl core::ops::Deref for SuperblockGuard<'_> {
    type Target = Superblock;
    fn deref(&self) -> &Superblock {
        &self.0.superblock
    }
}

/// An open volume.
pub struct Storage {
    pub(crate) device: Arc<dyn BlockDevice>,
    pub(crate) engine: Engine,
    pub(crate) wal: Arc<Wal>,
    config: StorageConfig,
    open: RwLock<HashMap<RelId, Arc<Open>>>,
    checkpoints: Mutex<Checkpoints>,
    /// Some index leaves out versions that old snapshots see.
    pub(crate) young_indexes: AtomicBool,
    pub(crate) prepared: Mutex<Prepared>,
    closing: AtomicBool,
    stop: Mutex<bool>,
    stopped: Condvar,
}

impl Storage {
    /// Looks at a device without writing to it.
    pub fn probe(device: &dyn BlockDevice) -> Result<Probe> {
        pg_volume::probe(device)
    }
    /// Makes a blank device a volume. Refuses any other.
    pub fn format(device: &dyn BlockDevice, options: &FormatOptions) -> Result<()> {
        pg_volume::format(device, options.wal_bytes, &options.config)
    }
    /// Reads the configuration block of a volume, open or not.
    pub fn read_config(device: &dyn BlockDevice) -> Result<Vec<u8>> {
        pg_volume::read_config(device)
    }
    /// Replaces the configuration block (atomically).
    pub fn write_config(device: &dyn BlockDevice, config: &[u8]) -> Result<()> {
        pg_volume::read_superblock(device)?;
        pg_volume::write_config(device, config)
    }
    /// The byte range of the crash-record area, for the emergency writer. Its content is that writer's.
    pub fn crash_area() -> Range<u64> {
        pg_volume::CRASH_START..pg_volume::CRASH_START + pg_volume::CRASH_BYTES
    }

    /// Opens a volume, after recovery if need be.
    pub fn open(device: Arc<dyn BlockDevice>, config: StorageConfig) -> Result<Arc<Self>> {
        match Self::probe(&*device)? {
            Probe::Blank => return Err(StorageError::Blank),
            Probe::Foreign { .. } => return Err(StorageError::Foreign),
            Probe::Intralith { .. } => {}
        }
        let this = Arc::new(recover(device, config)?);
        this.engine.directory.set_aside();
        // Ends recovery: from here on the log goes on in a new epoch.
        this.checkpoint_now(false, false)?;
        if this.config.background_tasks {
            let weak = Arc::downgrade(&this);
            task::spawn("checkpointer", move || background(&weak));
            let weak = Arc::downgrade(&this);
            task::spawn("log writer", move || log_writer(&weak));
            let weak = Arc::downgrade(&this);
            task::spawn("vacuum", move || crate::vacuum::background(&weak));
        }
        Ok(this)
    }

    /// Everything dirty is written, so that recovery would start here.
    pub fn checkpoint(&self) -> Result<()> {
        self.checkpoint_now(false, true)
    }

    /// Checkpoint, mark clean, refuse further work. The caller has seen to it that no transaction is running.
    pub fn shutdown(&self) -> Result<()> {
        self.closing.store(true, Ordering::Release);
        *self.stop.lock() = true;
        self.stopped.notify_all();
        self.store_sequences()?;
        self.checkpoint_now(true, false)
    }

    /// Is it shutting down?
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closing.load(Ordering::Acquire) { Err(StorageError::ShuttingDown) } else { Ok(()) }
    }

    /// Counters of the buffer pool.
    pub fn pool_stats(&self) -> PoolStats {
        self.engine.pool.stats()
    }
    /// Free and total bytes of the volume's data area.
    pub fn space(&self) -> (u64, u64) {
        let (free, total) = self.engine.directory.usage();
        (free * PAGE_SIZE as u64, total * PAGE_SIZE as u64)
    }
    /// The relation must be able to grow when the volume is full, because freeing space may need that.
    pub fn set_vital(&self, rel: RelId) -> Result<()> {
        self.engine.directory.get(rel).ok_or(StorageError::NoSuchRelation(rel))?.set_vital();
        Ok(())
    }
    /// Keeps the log from its end on from being overwritten, until [`Storage::release_log`]. Writers who find the ring nearly full
    /// because of that are told `why`, a sentence.
    pub fn hold_log(&self, why: &'static str) -> Lsn {
        self.wal.hold(self.wal.inserted(), why)
    }
    /// Ends what [`Storage::hold_log`] began.
    pub fn release_log(&self, held: Lsn) {
        self.wal.release(held);
    }
    /// Where the log ends now.
    pub fn log_position(&self) -> Lsn {
        self.wal.inserted()
    }

    pub(crate) fn opened(&self, rel: RelId) -> Result<Arc<Open>> {
        if let Some(o) = self.open.read().get(&rel) {
            return Ok(o.clone());
        }
        let relation = self.engine.directory.get(rel).ok_or(StorageError::NoSuchRelation(rel))?;
        let fresh = Arc::new(Open {
            rel: relation,
            heap: HeapState::default(),
            index: pg_btree::IndexState::default(),
            sequence: Mutex::new(SequenceState::default()),
            gate: RwLock::new(()),
            wanted: AtomicBool::new(false),
            usable_from: AtomicU64::new(0),
        });
        Ok(self.open.write().entry(rel).or_insert(fresh).clone())
    }

    pub(crate) fn all_opened(&self) -> Vec<Arc<Open>> {
        self.open.read().values().cloned().collect()
    }

    /// Removes a relation's storage. `logged`: no commit record says so.
    pub(crate) fn remove_relation(&self, rel: RelId, logged: bool) {
        let Ok(open) = self.opened(rel) else { return };
        let gate = open.shut();
        self.open.write().remove(&rel);
        self.engine.pool.discard(&open.rel);
        self.engine.directory.drop_relation(logged.then_some(&*self.wal), rel);
        drop(gate);
    }

    fn checkpoint_now(&self, clean: bool, paced: bool) -> Result<()> {
        let done = self.try_checkpoint(clean, paced);
        if done.is_err() {
            self.wal.checkpoint_failed();
        }
        done
    }

    fn try_checkpoint(&self, clean: bool, paced: bool) -> Result<()> {
        let mut state = self.checkpoints.lock();
        let redo = self.wal.begin_checkpoint();
        // A commit record may stand before `redo` while its transaction still counts as running.
        let committing = self.engine.transactions.committing();
        while self.engine.transactions.any_running(&committing) {
            task::sleep(Duration::from_micros(200));
        }
        self.engine.pool.write_dirty(|_, _| {
            if paced && self.wal.distance() < self.wal.capacity() / 2 {
                task::sleep(Duration::from_millis(1));
            }
        })?;
        let redo = if planted(Bug::EarlyRedoStart) { self.wal.inserted() } else { redo };
        let mut tail = Encoder::default();
        {
            // Neither may a transaction be prepared between the two.
            let state = self.engine.transactions.state();
            encode_state(&mut tail, &state);
            self.encode_prepared(&mut tail);
        }
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
        state.last = time::monotonic();
        self.wal.end_checkpoint(next.redo);
        Ok(())
    }

    fn since_checkpoint(&self) -> Duration {
        // The lock is waited for while a checkpoint runs: the clock is read after it.
        let last = self.checkpoints.lock().last;
        time::monotonic().saturating_sub(last)
    }

    /// The superblock that counts. Waits for a checkpoint under way.
    pub(crate) fn current_superblock(&self) -> impl core::ops::Deref<Target = Superblock> + '_ {
        SuperblockGuard(self.checkpoints.lock())
    }

    fn checkpoint_due(&self) -> bool {
        let distance = self.wal.distance();
        let limit = self.config.checkpoint_wal_bytes.min(self.wal.capacity() / 3);
        self.wal.checkpoint_wanted()
            || distance > limit
            || (distance > 0 && self.since_checkpoint() > self.config.checkpoint_interval)
    }
}

impl Storage {
    /// Waits for a background task's next turn. False: it must end.
    pub(crate) fn next_turn(&self, pause: Duration) -> bool {
        let stop = self.stop.lock();
        if *stop {
            return false;
        }
        let (stop, _) = self.stopped.wait_timeout(stop, pause);
        !*stop
    }
}

fn background(storage: &Weak<Storage>) {
    let mut failures = 0u32;
    let mut not_before = Duration::ZERO;
    while let Some(s) = storage.upgrade() {
        if !s.next_turn(TICK) {
            return;
        }
        if time::monotonic() < not_before || !s.checkpoint_due() {
            continue;
        }
        match s.checkpoint() {
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
fn log_writer(storage: &Weak<Storage>) {
    while let Some(s) = storage.upgrade() {
        if !s.next_turn(LOG_WRITER_DELAY) {
            return;
        }
        s.wal.flush(s.wal.inserted());
    }
}

fn encode_state(e: &mut Encoder, s: &RecoveredState) {
    e.u64(s.next.0);
    for list in [&s.running, &s.aborted] {
        e.u64(list.len() as u64);
        for x in list {
            e.u64(x.0);
        }
    }
}

fn decode_state(d: &mut Decoder<'_>) -> Option<RecoveredState> {
    let next = Xid(d.u64()?);
    let mut list = || {
        let n = d.u64()?;
        (0..n).map(|_| d.u64().map(Xid)).collect::<Option<Vec<_>>>()
    };
    let (running, aborted) = (list()?, list()?);
    Some(RecoveredState { next, running, prepared: Vec::new(), aborted })
}

/// Brings the volume to the state at the end of its log.
fn recover(device: Arc<dyn BlockDevice>, config: StorageConfig) -> Result<Storage> {
    let superblock = pg_volume::read_superblock(&*device)?;
    let (directory, state, prepared) = load_metadata(&*device, &superblock)?;
    let end = find_end(&device, &superblock)?;
    let start = Lsn(end.0.next_multiple_of(pg_wal::BLOCK));
    let images = u64::from(device.geometry().atomic_write) < PAGE_SIZE as u64;
    let wal = Arc::new(Wal::new(device.clone(), superblock.ring, start, superblock.epoch + 1, images));
    let pool = BufferPool::new(device.clone(), wal.clone(), &superblock, config.buffer_pool_bytes);
    let directory = Arc::new(directory);
    let (state, prepared) = redo(&device, &superblock, &directory, &pool, state, prepared)?;
    let transactions = Arc::new(TransactionManager::new(&state));
    let prepared = Mutex::new(prepared.restore(&transactions));
    let engine = Engine { pool: Arc::new(pool), directory, transactions };
    Ok(Storage {
        device,
        engine,
        wal,
        config,
        open: RwLock::new(HashMap::new()),
        checkpoints: Mutex::new(Checkpoints { superblock, last: time::monotonic() }),
        young_indexes: AtomicBool::new(false),
        prepared,
        closing: AtomicBool::new(false),
        stop: Mutex::new(false),
        stopped: Condvar::new(),
    })
}

fn load_metadata(device: &dyn BlockDevice, s: &Superblock) -> Result<(Directory, RecoveredState, Recovered)> {
    if s.meta_page == 0 {
        return Ok((Directory::new(s.data_pages), RecoveredState::default(), Recovered::default()));
    }
    let bytes = pg_volume::metadata_read(device, s)?;
    let mut d = Decoder(&bytes);
    let directory = Directory::load(s.data_pages, &mut d)?;
    let state = decode_state(&mut d).ok_or(StorageError::CorruptVolume("transaction state is malformed"))?;
    let prepared = Recovered::load(&mut d, &state.running)
        .ok_or(StorageError::CorruptVolume("prepared transactions are malformed"))?;
    directory.claim_run(s.meta_page, bytes.len().div_ceil(PAGE_SIZE) as u32)?;
    Ok((directory, state, prepared))
}

fn find_end(device: &Arc<dyn BlockDevice>, s: &Superblock) -> Result<Lsn> {
    let mut reader = LogReader::new(device.clone(), s.ring, s.redo, s.epoch);
    while reader.next_record()?.is_some() {}
    Ok(reader.position())
}

fn redo(
    device: &Arc<dyn BlockDevice>,
    superblock: &Superblock,
    directory: &Directory,
    pool: &BufferPool,
    state: RecoveredState,
    mut prepared: Recovered,
) -> Result<(RecoveredState, Recovered)> {
    let mut next = state.next;
    let mut open: HashSet<Xid> = state.running.iter().copied().collect();
    let mut doomed = Vec::new();
    let mut reader = LogReader::new(device.clone(), superblock.ring, superblock.redo, superblock.epoch);
    let mut records = 0u64;
    while let Some(r) = reader.next_record()? {
        records += 1;
        next = next.max(Xid(r.xid.0 + 1));
        if r.kind == KIND_COMMIT {
            let commit =
                CommitRecord::decode(r.body).ok_or(StorageError::CorruptVolume("malformed commit"))?;
            prepared.ended(&commit.xids);
            for x in &commit.xids {
                open.remove(x);
                next = next.max(Xid(x.0 + 1));
            }
            for rel in commit.drops {
                if let Some(r) = directory.get(rel) {
                    pool.discard(&r);
                    directory.drop_relation(None, rel);
                }
            }
            continue;
        }
        if r.kind == KIND_PREPARE {
            for x in prepared.prepared(r.body)? {
                open.insert(x);
                next = next.max(Xid(x.0 + 1));
            }
            continue;
        }
        if r.kind == KIND_ROLLBACK_PREPARED {
            prepared.rolled_back(r.body);
            continue;
        }
        // An id that was running or unknown at the checkpoint; others cannot write any more.
        if r.xid.is_some() && (r.xid >= state.next || open.contains(&r.xid)) {
            open.insert(r.xid);
        }
        if r.kind == KIND_PAGES {
            pool.redo(directory, r.end, r.body, &mut doomed)?;
        } else {
            if r.kind == pg_volume::KIND_REL_DROP
                && let Some(id) = Decoder(r.body).u32()
                && let Some(rel) = directory.get(RelId(id))
            {
                pool.discard(&rel);
            }
            directory.redo(r.kind, r.xid, r.end, r.body)?;
        }
    }
    if let Some(rel) = doomed.into_iter().find(|rel| directory.get(*rel).is_some()) {
        return Err(StorageError::Corrupt { rel, block: 0, what: "page cannot be redone" });
    }
    let waiting = prepared.xids();
    open.retain(|x| !waiting.contains(x));
    let aborted: HashSet<Xid> = state.aborted.iter().copied().collect();
    for rel in directory.all() {
        let creator = rel.creator();
        if open.contains(&creator) || aborted.contains(&creator) {
            pool.discard(&rel);
            directory.drop_relation(None, rel.id);
        } else if !waiting.contains(&creator) {
            rel.settle();
        }
    }
    if records != 0 {
        log::info!("recovery: {records} log records, {} transactions undone", open.len());
    }
    if planted(Bug::ForgottenUndo) {
        open.clear();
    }
    let mut running: Vec<Xid> = open.into_iter().collect();
    running.sort_unstable();
    Ok((RecoveredState { next, running, prepared: waiting, aborted: state.aborted }, prepared))
}
