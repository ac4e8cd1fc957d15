//! Bringing a volume to the state at the end of its log.
//!
//! One task reads the log and keeps the books of transactions and relations; others redo the changes of pages. The order of changes
//! matters page by page only, so each page belongs to one of them, and each goes through a batch in the order of places on the
//! device. Before a relation is dropped everything collected so far is redone: its pages may soon be another's.
//!
//! How long it takes is bounded by the log since the last checkpoint's start (see the checkpointer), and so by
//! [`StorageConfig::checkpoint_wal_bytes`]: less than twice as much.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use hashbrown::HashSet;
use pg_buffer_manager::{BufferPool, KIND_PAGES, collect_redo};
use pg_heap::Engine;
use pg_page::{Lsn, PAGE_SIZE, RelId, StorageError, Xid};
use pg_transaction::{RecoveredState, TransactionManager};
use pg_volume::{
    Directory, Superblock,
    codec::{Decoder, Encoder},
};
use pg_wal::{LogReader, RecordKind, Wal};
use platform::{
    block::BlockDevice,
    bug::{Bug, planted},
    time,
};

use crate::{
    api::StorageConfig,
    crew::Crew,
    maps::{SavedSpace, load_maps},
    prepared::{KIND_PREPARE, KIND_ROLLBACK_PREPARED, Recovered},
    storage::{Result, Storage},
    transaction::{CommitRecord, KIND_COMMIT},
};

/// Log record: recovery has ended, and with it every transaction before that was neither committed nor prepared.
pub(crate) const KIND_RUN: RecordKind = RecordKind(5);
/// How often the console hears of progress.
const SHOW_EVERY: Duration = Duration::from_secs(1);

pub(crate) fn encode_state(e: &mut Encoder, s: &RecoveredState) {
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
pub(crate) fn recover(device: Arc<dyn BlockDevice>, config: StorageConfig) -> Result<Storage> {
    let superblock = pg_volume::read_superblock(&*device)?;
    let (directory, state, prepared, space) = load_metadata(&*device, &superblock, config.replay)?;
    let images = u64::from(device.geometry().atomic_write) < PAGE_SIZE as u64;
    // Until its end is known, everything that a page can be stamped with counts as durable.
    let beyond = Lsn((superblock.redo.0 + superblock.ring.len).next_multiple_of(pg_wal::BLOCK));
    let wal = Arc::new(Wal::new(device.clone(), superblock.ring, beyond, superblock.epoch + 1, images));
    let pool = Arc::new(BufferPool::new(device.clone(), wal.clone(), &superblock, config.buffer_pool_bytes));
    let directory = Arc::new(directory);
    pool.set_recovering(true);
    let reader = LogReader::new(device.clone(), superblock.ring, superblock.redo, superblock.epoch)
        .across_runs(config.replay);
    let mut redo = Redo::new(reader, &directory, &pool, state, prepared);
    redo.run()?;
    redo.check_end(&superblock, config.replay)?;
    let (end, state, prepared) = redo.finish()?;
    wal.begin_at(Lsn(end.0.next_multiple_of(pg_wal::BLOCK)));
    let transactions = Arc::new(TransactionManager::new(&state));
    let prepared = prepared.restore(&transactions);
    let engine = Engine { pool, directory, transactions };
    let storage = Storage::assemble(device, config, engine, wal, superblock, prepared);
    for (rel, pages) in space {
        // What was dropped since has no room.
        if let Ok(open) = storage.opened(rel) {
            open.heap.restore_space(pages);
        }
    }
    Ok(storage)
}

type Metadata = (Directory, RecoveredState, Recovered, SavedSpace);

fn load_metadata(device: &dyn BlockDevice, s: &Superblock, replay: bool) -> Result<Metadata> {
    if s.meta_page == 0 {
        let directory = Directory::new(s.data_pages);
        return Ok((directory, RecoveredState::default(), Recovered::default(), SavedSpace::new()));
    }
    let bytes = pg_volume::metadata_read(device, s)?;
    let mut d = Decoder(&bytes);
    let directory = Directory::load(s.data_pages, &mut d)?;
    let state = decode_state(&mut d).ok_or(StorageError::CorruptVolume("transaction state is malformed"))?;
    let prepared = Recovered::load(&mut d, &state.running)
        .ok_or(StorageError::CorruptVolume("prepared transactions are malformed"))?;
    let space = load_maps(&directory, &mut d)?;
    // A log that goes on beyond later checkpoints may give its place to others.
    if !replay {
        directory.claim_run(s.meta_page, bytes.len().div_ceil(PAGE_SIZE) as u32)?;
    }
    Ok((directory, state, prepared, space))
}

/// Recovery under way.
struct Redo<'a> {
    directory: &'a Directory,
    pool: &'a BufferPool,
    reader: LogReader,
    crew: Crew,
    /// State of transactions at the checkpoint.
    state: RecoveredState,
    prepared: Recovered,
    next: Xid,
    /// Transactions that have begun and not ended.
    open: HashSet<Xid>,
    aborted: HashSet<Xid>,
    progress: Progress,
}

impl<'a> Redo<'a> {
    fn new(
        reader: LogReader,
        directory: &'a Directory,
        pool: &'a Arc<BufferPool>,
        state: RecoveredState,
        prepared: Recovered,
    ) -> Self {
        Self {
            directory,
            pool,
            progress: Progress::new(reader.position()),
            reader,
            crew: Crew::new(pool),
            next: state.next,
            open: state.running.iter().copied().collect(),
            aborted: state.aborted.iter().copied().collect(),
            state,
            prepared,
        }
    }

    fn run(&mut self) -> Result<()> {
        while let Some(r) = self.reader.next_record()? {
            self.progress.records += 1;
            self.next = self.next.max(Xid(r.xid.0 + 1));
            // An id that was running or unknown at the checkpoint; others cannot write any more.
            let writes = ![KIND_COMMIT, KIND_PREPARE, KIND_ROLLBACK_PREPARED].contains(&r.kind);
            if writes && r.xid.is_some() && (r.xid >= self.state.next || self.open.contains(&r.xid)) {
                self.open.insert(r.xid);
            }
            match r.kind {
                KIND_PAGES => {
                    collect_redo(self.directory, r.end, r.body, &mut self.crew.filling)?;
                    self.crew.hand_over_full()?;
                }
                KIND_COMMIT => {
                    let commit = CommitRecord::decode(r.body)
                        .ok_or(StorageError::CorruptVolume("malformed commit"))?;
                    self.prepared.ended(&commit.xids);
                    for x in &commit.xids {
                        self.open.remove(x);
                        self.next = self.next.max(Xid(x.0 + 1));
                    }
                    for rel in commit.drops {
                        if let Some(r) = self.directory.get(rel) {
                            self.crew.drain()?;
                            self.pool.discard(&r);
                            self.directory.drop_relation(None, rel);
                        }
                    }
                }
                KIND_PREPARE => {
                    for x in self.prepared.prepared(r.body)? {
                        self.open.insert(x);
                        self.next = self.next.max(Xid(x.0 + 1));
                    }
                }
                KIND_ROLLBACK_PREPARED => self.prepared.rolled_back(r.body),
                KIND_RUN => {
                    self.crew.drain()?;
                    self.undo_unfinished();
                }
                _ => {
                    if r.kind == pg_volume::KIND_REL_DROP
                        && let Some(id) = Decoder(r.body).u32()
                        && let Some(rel) = self.directory.get(RelId(id))
                    {
                        self.crew.drain()?;
                        self.pool.discard(&rel);
                    }
                    self.directory.redo(r.kind, r.xid, r.end, r.body)?;
                }
            }
            self.progress.show(&self.reader);
        }
        self.crew.drain()
    }

    /// What transactions made that were under way when a run ended is taken away; what others made is there to stay.
    fn undo_unfinished(&self) {
        let waiting = self.prepared.xids();
        for rel in self.directory.all() {
            let creator = rel.creator();
            if waiting.contains(&creator) {
                continue;
            }
            if self.open.contains(&creator) || self.aborted.contains(&creator) {
                self.pool.discard(&rel);
                self.directory.drop_relation(None, rel.id);
            } else {
                rel.settle();
            }
        }
    }

    /// Does anything show that the log went on beyond where it now ends? Then the device lost what it had acknowledged.
    fn check_end(&mut self, superblock: &Superblock, replay: bool) -> Result<()> {
        let end = self.reader.position();
        let mut durable = self.pool.newest_read();
        // A log that is replayed may end early on purpose, and one that was closed has nothing behind its end.
        if !replay {
            durable = durable.max(superblock.durable);
        }
        if !replay && !superblock.clean {
            match self.reader.claim_beyond() {
                Ok(claim) => durable = durable.max(claim.unwrap_or_default()),
                Err(e) => log::warn!("the disk behind the end of the log cannot be read: {e}"),
            }
        }
        if durable > end { Err(StorageError::LogMissing { end, durable }) } else { Ok(()) }
    }

    /// End of the log, and the state of transactions there.
    fn finish(mut self) -> Result<(Lsn, RecoveredState, Recovered)> {
        let doomed = self.crew.doomed();
        if let Some(rel) = doomed.into_iter().find(|rel| self.directory.get(*rel).is_some()) {
            return Err(StorageError::Corrupt { rel, block: 0, what: "page cannot be redone" });
        }
        self.undo_unfinished();
        let waiting = self.prepared.xids();
        self.open.retain(|x| !waiting.contains(x));
        let end = self.reader.position();
        self.progress.done(end, self.open.len());
        if planted(Bug::ForgottenUndo) {
            self.open.clear();
        }
        let mut running: Vec<Xid> = self.open.into_iter().collect();
        running.sort_unstable();
        let aborted = self.state.aborted;
        Ok((end, RecoveredState { next: self.next, running, prepared: waiting, aborted }, self.prepared))
    }
}

/// Tells the console how far recovery is.
struct Progress {
    from: Lsn,
    records: u64,
    started: Duration,
    shown: Duration,
    /// About where the log ends; found out when the first line is due.
    end: Option<Lsn>,
}

impl Progress {
    fn new(from: Lsn) -> Self {
        let now = time::monotonic();
        Self { from, records: 0, started: now, shown: now, end: None }
    }
    fn show(&mut self, reader: &LogReader) {
        if !self.records.is_multiple_of(1024) || time::monotonic() < self.shown + SHOW_EVERY {
            return;
        }
        self.shown = time::monotonic();
        let at = reader.position();
        // A disk that cannot be read there will be noticed when recovery comes there.
        let end = *self.end.get_or_insert_with(|| reader.estimate_end().unwrap_or(at));
        let (done, total) = (at.0 - self.from.0, end.0.max(at.0) - self.from.0);
        let percent = done * 100 / total.max(1);
        log::info!("recovery: {} of {} MB of log ({percent} %)", done >> 20, total >> 20);
    }
    fn done(&self, end: Lsn, undone: usize) {
        if self.records == 0 {
            return;
        }
        let (took, bytes) = (time::monotonic().saturating_sub(self.started), end.0 - self.from.0);
        log::info!(
            "recovery: log from {} to {} redone: {} records, {} KB in {} ms; {undone} transactions undone",
            self.from,
            end,
            self.records,
            bytes >> 10,
            took.as_millis()
        );
    }
}
