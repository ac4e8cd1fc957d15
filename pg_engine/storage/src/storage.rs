//! Opening and closing a volume.

use alloc::{
    sync::{Arc, Weak},
    vec::Vec,
};
use core::{
    ops::Range,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use hashbrown::HashMap;
use pg_buffer_manager::{BufferPool, PoolStats};
use pg_heap::{Engine, HeapState};
use pg_page::{Lsn, PAGE_SIZE, RelId, StorageError, Xid};
use pg_volume::{Probe, Relation, Superblock};
use pg_wal::Wal;
use platform::{
    block::BlockDevice,
    sync::{Condvar, Mutex, RwLock},
    task, time,
};

use crate::{
    api::{FormatOptions, StorageConfig, Upkeep},
    checkpoint::{self, CheckpointCounts, Checkpoints},
    prepared::Prepared,
    recovery::recover,
    sequence::SequenceState,
};

pub(crate) type Result<T> = core::result::Result<T, StorageError>;

/// Tasks that read ahead.
const READ_AHEAD_TASKS: usize = 2;

/// What is kept in memory for a relation in use.
pub(crate) struct Open {
    pub rel: Arc<Relation>,
    pub heap: HeapState,
    pub index: pg_btree::IndexState,
    pub hash: pg_hash_index::HashState,
    pub sequence: Mutex<SequenceState>,
    /// Held shared by a vacuum, exclusively to remove the relation. Vacuum takes no lock on the table, which it does
    /// not know; this keeps it from a relation whose pages are about to belong to another.
    pub gate: RwLock<()>,
    /// Someone wants the gate: vacuum gives way.
    pub wanted: AtomicBool,
    /// A vacuum is at work. Two at a time would be wrong: the places that one frees, and that are used again at once, are still on the
    /// other's list of those whose index entries must go.
    pub vacuuming: AtomicBool,
    /// Snapshots with an older xmin must not use this index; of a heap: a new index of it.
    pub usable_from: AtomicU64,
    /// When it is vacuumed and analysed.
    pub upkeep: Mutex<Upkeep>,
    /// Of a heap of large values: the next value's id; 0: not known yet.
    pub next_value: AtomicU32,
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

/// An open volume.
pub struct Storage {
    pub(crate) device: Arc<dyn BlockDevice>,
    pub(crate) engine: Engine,
    pub(crate) wal: Arc<Wal>,
    pub(crate) config: StorageConfig,
    open: RwLock<HashMap<RelId, Arc<Open>>>,
    pub(crate) checkpoints: Mutex<Checkpoints>,
    pub(crate) checkpoint_counts: CheckpointCounts,
    /// Those who wait for a checkpoint: one that is under way must not take its time.
    pub(crate) requested: AtomicU32,
    /// Some index leaves out versions that old snapshots see.
    pub(crate) young_indexes: AtomicBool,
    pub(crate) prepared: Mutex<Prepared>,
    closing: AtomicBool,
    stop: Mutex<bool>,
    stopped: Condvar,
}

impl Storage {
    /// A volume after its recovery.
    pub(crate) fn assemble(
        device: Arc<dyn BlockDevice>,
        config: StorageConfig,
        engine: Engine,
        wal: Arc<Wal>,
        superblock: Superblock,
        prepared: Prepared,
    ) -> Self {
        Self {
            device,
            engine,
            wal,
            config,
            open: RwLock::new(HashMap::new()),
            checkpoints: Mutex::new(Checkpoints { superblock, last: time::monotonic() }),
            checkpoint_counts: CheckpointCounts::default(),
            requested: AtomicU32::new(0),
            young_indexes: AtomicBool::new(false),
            prepared: Mutex::new(prepared),
            closing: AtomicBool::new(false),
            stop: Mutex::new(false),
            stopped: Condvar::new(),
        }
    }
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
        let ring = this.current_superblock().ring;
        if let Err(e) = this.device.reserve(ring.start, ring.len) {
            // A log that cannot be written stops the machine. Reading works until then.
            log::warn!("the disk may not have room for the whole write-ahead log: {e}");
        }
        // Who replays this log later must know that what had not ended by here never will.
        if this.wal.append(crate::recovery::KIND_RUN, Xid::NONE, &[], None).is_err() {
            platform::power::fatal("a record without pages was refused");
        }
        let pages = this.current_superblock().data_start;
        this.engine.directory.back_with(this.device.clone(), pages);
        this.engine.directory.set_aside();
        // Ends recovery: from here on the log goes on in a new epoch.
        this.checkpoint_now(false, false)?;
        this.engine.pool.set_recovering(false);
        if this.config.background_tasks {
            this.spawn_tasks();
        }
        Ok(this)
    }

    fn spawn_tasks(self: &Arc<Self>) {
        let turns: [(&str, fn(&Weak<Self>)); 4] = [
            ("checkpointer", checkpoint::background),
            ("log writer", checkpoint::log_writer),
            ("background writer", checkpoint::writer),
            ("vacuum", crate::vacuum::background),
        ];
        for (name, turns) in turns {
            let weak = Arc::downgrade(self);
            task::spawn(name, move || turns(&weak));
        }
        for _ in 0..READ_AHEAD_TASKS {
            let pool = Arc::downgrade(&self.engine.pool);
            task::spawn("read-ahead", move || BufferPool::read_ahead(&pool));
        }
    }

    /// Everything dirty is written, so that recovery would start here. A checkpoint that is under way stops taking its time.
    pub fn checkpoint(&self) -> Result<()> {
        self.requested.fetch_add(1, Ordering::AcqRel);
        self.wake_tasks();
        let done = self.checkpoint_now(false, false);
        self.requested.fetch_sub(1, Ordering::AcqRel);
        done
    }

    /// Checkpoint, mark clean, refuse further work. The caller has seen to it that no transaction is running.
    pub fn shutdown(&self) -> Result<()> {
        self.closing.store(true, Ordering::Release);
        *self.stop.lock() = true;
        self.stopped.notify_all();
        self.engine.pool.stop_read_ahead();
        self.engine.pool.call_writer();
        self.wal.call_writer();
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
            hash: pg_hash_index::HashState::default(),
            sequence: Mutex::new(SequenceState::default()),
            gate: RwLock::new(()),
            wanted: AtomicBool::new(false),
            vacuuming: AtomicBool::new(false),
            usable_from: AtomicU64::new(0),
            upkeep: Mutex::new(Upkeep::default()),
            next_value: AtomicU32::new(0),
        });
        Ok(self.open.write().entry(rel).or_insert(fresh).clone())
    }

    pub(crate) fn opened_already(&self, rel: RelId) -> Option<Arc<Open>> {
        self.open.read().get(&rel).cloned()
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
}

impl Storage {
    /// Must background tasks end?
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stop.lock()
    }
    /// Ends the pauses of background tasks.
    pub(crate) fn wake_tasks(&self) {
        self.stopped.notify_all();
    }
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
