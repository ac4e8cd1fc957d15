//! Bringing a volume to the state at the end of its log.

use alloc::{sync::Arc, vec::Vec};

use hashbrown::HashSet;
use pg_buffer_manager::{BufferPool, KIND_PAGES};
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
};

use crate::{
    api::StorageConfig,
    maps::{SavedSpace, load_maps},
    prepared::{KIND_PREPARE, KIND_ROLLBACK_PREPARED, Recovered},
    storage::{Result, Storage},
    transaction::{CommitRecord, KIND_COMMIT},
};

/// Log record: recovery has ended, and with it every transaction before that was neither committed nor prepared.
pub(crate) const KIND_RUN: RecordKind = RecordKind(5);

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
    let end = find_end(&device, &superblock, config.replay)?;
    let start = Lsn(end.0.next_multiple_of(pg_wal::BLOCK));
    let images = u64::from(device.geometry().atomic_write) < PAGE_SIZE as u64;
    let wal = Arc::new(Wal::new(device.clone(), superblock.ring, start, superblock.epoch + 1, images));
    let pool = BufferPool::new(device.clone(), wal.clone(), &superblock, config.buffer_pool_bytes);
    let directory = Arc::new(directory);
    let (state, prepared) = redo(&device, &superblock, config.replay, &directory, &pool, state, prepared)?;
    let transactions = Arc::new(TransactionManager::new(&state));
    let prepared = prepared.restore(&transactions);
    let engine = Engine { pool: Arc::new(pool), directory, transactions };
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

fn find_end(device: &Arc<dyn BlockDevice>, s: &Superblock, replay: bool) -> Result<Lsn> {
    let mut reader = LogReader::new(device.clone(), s.ring, s.redo, s.epoch).across_runs(replay);
    while reader.next_record()?.is_some() {}
    Ok(reader.position())
}

fn redo(
    device: &Arc<dyn BlockDevice>,
    superblock: &Superblock,
    replay: bool,
    directory: &Directory,
    pool: &BufferPool,
    state: RecoveredState,
    mut prepared: Recovered,
) -> Result<(RecoveredState, Recovered)> {
    let mut next = state.next;
    let mut open: HashSet<Xid> = state.running.iter().copied().collect();
    let aborted: HashSet<Xid> = state.aborted.iter().copied().collect();
    let mut doomed = Vec::new();
    let mut reader = LogReader::new(device.clone(), superblock.ring, superblock.redo, superblock.epoch)
        .across_runs(replay);
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
        if r.kind == KIND_RUN {
            undo_unfinished(directory, pool, &open, &aborted, &prepared);
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
    undo_unfinished(directory, pool, &open, &aborted, &prepared);
    let waiting = prepared.xids();
    open.retain(|x| !waiting.contains(x));
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

/// What transactions made that were under way when a run ended is taken away; what others made is there to stay.
fn undo_unfinished(
    directory: &Directory,
    pool: &BufferPool,
    open: &HashSet<Xid>,
    aborted: &HashSet<Xid>,
    prepared: &Recovered,
) {
    let waiting = prepared.xids();
    for rel in directory.all() {
        let creator = rel.creator();
        if waiting.contains(&creator) {
            continue;
        }
        if open.contains(&creator) || aborted.contains(&creator) {
            pool.discard(&rel);
            directory.drop_relation(None, rel.id);
        } else {
            rel.settle();
        }
    }
}
