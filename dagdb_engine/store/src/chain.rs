//! Histories as rows: frames cut into chunks, and an index over them.
//!
//! Frames have a lane and a number. Whoever sees a transaction's row sees its frames: appending, clearing and rolling back need
//! nothing but what any table has.

use alloc::{sync::Arc, vec::Vec};

use pg_storage::{
    IndexEntry, KeyBound, RelId, RelationKind, RowOutcome, ScanDirection, Snapshot, Storage, Transaction,
    Unique,
};

use crate::{
    Damage, GoOn, StoreError,
    format::{CHUNK_BYTES, Chunk, chunk, put_chunk},
};

/// Rows written at a time.
const BATCH: usize = 64;
/// Bytes of a key.
const KEY: usize = 13;

/// Where a history's frames are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The chunks.
    pub heap: RelId,
    /// The B-tree over them.
    pub index: RelId,
}

/// Which frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameAt {
    /// Frames of a lane follow each other.
    pub lane: u8,
    /// From 0 on.
    pub number: u64,
}

impl FrameAt {
    fn key(self) -> [u8; 9] {
        let mut key = [0; 9];
        let (lane, number) = key.split_at_mut(1);
        lane.fill(self.lane);
        number.copy_from_slice(&self.number.to_be_bytes());
        key
    }
}

impl Chain {
    /// A new one, without frames.
    pub fn create(storage: &Arc<Storage>, txn: &mut Transaction) -> Result<Self, StoreError> {
        let heap = storage.create_relation(txn, RelationKind::Heap)?;
        let index = storage.create_relation(txn, RelationKind::BTree { heap })?;
        Ok(Self { heap, index })
    }

    /// Lets it go when the transaction commits.
    pub fn remove(self, storage: &Arc<Storage>, txn: &mut Transaction) -> Result<(), StoreError> {
        storage.drop_relation(txn, self.index)?;
        storage.drop_relation(txn, self.heap)?;
        Ok(())
    }

    /// Adds a frame, whose number none has yet.
    pub fn append(
        self,
        storage: &Arc<Storage>,
        txn: &mut Transaction,
        at: FrameAt,
        frame: &[u8],
        go_on: GoOn<'_>,
    ) -> Result<(), StoreError> {
        let parts = frame.len().div_ceil(CHUNK_BYTES).max(1);
        let mut chunks = frame.chunks(CHUNK_BYTES);
        let (mut rows, mut tids) = (Vec::with_capacity(parts.min(BATCH)), Vec::new());
        for part in 0..parts as u32 {
            let mut row = Vec::new();
            let data = chunks.next().unwrap_or(&[]);
            put_chunk(&Chunk { lane: at.lane, number: at.number, part, parts: parts as u32, data }, &mut row);
            rows.push(row);
            if rows.len() < BATCH && (part as usize) < parts - 1 {
                continue;
            }
            let first = part + 1 - rows.len() as u32;
            let payloads: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
            tids.clear();
            storage.heap_insert_many(txn, self.heap, &payloads, &mut tids)?;
            let keys: Vec<[u8; KEY]> = (first..=part).map(|part| key_of(at, part)).collect();
            let entries: Vec<IndexEntry<'_>> = keys
                .iter()
                .zip(&tids)
                .map(|(key, &tid)| IndexEntry { key, carries: false, tid, unique: Unique::No })
                .collect();
            storage.index_insert_sorted(txn, self.index, &entries, |_, _| ())?;
            rows.clear();
            if !go_on() {
                return Err(StoreError::Cancelled);
            }
        }
        Ok(())
    }

    /// Appends a frame's bytes to `out`.
    pub fn read(
        self,
        storage: &Arc<Storage>,
        snapshot: &Snapshot,
        at: FrameAt,
        out: &mut Vec<u8>,
        go_on: GoOn<'_>,
    ) -> Result<(), StoreError> {
        let prefix = at.key();
        let (mut expected, mut total) = (0, None);
        let mut scan = self.entries(storage, &prefix)?;
        let mut tids = Vec::new();
        loop {
            tids.clear();
            let more = scan.next_batch(&mut tids)?;
            for &tid in &tids {
                let part = storage.heap_fetch(self.heap, tid, snapshot, |_, row| {
                    let c = chunk(row).filter(|c| (c.lane, c.number) == (at.lane, at.number));
                    let c = c.ok_or(Damage::Format)?;
                    if c.part != expected {
                        return Err(if c.part < expected { Damage::Twice } else { Damage::Missing });
                    }
                    out.extend_from_slice(c.data);
                    Ok(c.parts)
                })?;
                if let Some(part) = part {
                    total = Some(part.map_err(|what| self.damaged(what))?);
                    expected += 1;
                }
            }
            if !more {
                break;
            }
            if !go_on() {
                return Err(StoreError::Cancelled);
            }
        }
        if total == Some(expected) { Ok(()) } else { Err(self.damaged(Damage::Missing)) }
    }

    /// Appends the first bytes of a frame: its header is among them.
    pub fn read_first(
        self,
        storage: &Arc<Storage>,
        snapshot: &Snapshot,
        at: FrameAt,
        out: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let mut tids = Vec::new();
        storage.index_lookup(self.index, &key_of(at, 0), &mut tids)?;
        for tid in tids {
            let found = storage.heap_fetch(self.heap, tid, snapshot, |_, row| {
                chunk(row).filter(|c| (c.lane, c.number, c.part) == (at.lane, at.number, 0)).map(|c| {
                    out.extend_from_slice(c.data);
                })
            })?;
            match found {
                Some(Some(())) => return Ok(()),
                Some(None) => return Err(self.damaged(Damage::Format)),
                None => {}
            }
        }
        Err(self.damaged(Damage::Missing))
    }

    /// Deletes all frames that the snapshot sees.
    pub fn clear(
        self,
        storage: &Arc<Storage>,
        txn: &mut Transaction,
        snapshot: &Snapshot,
        go_on: GoOn<'_>,
    ) -> Result<(), StoreError> {
        let mut scan = storage.heap_scan(self.heap, snapshot, None)?;
        let mut tids = Vec::new();
        loop {
            tids.clear();
            let more = scan.next_page(|tid, _| tids.push(tid))?;
            for &tid in &tids {
                let RowOutcome::Done { .. } = storage.heap_delete(txn, self.heap, tid)? else {
                    return Err(StoreError::Changed);
                };
            }
            if !more {
                return Ok(());
            }
            if !go_on() {
                return Err(StoreError::Cancelled);
            }
        }
    }

    fn entries(self, storage: &Arc<Storage>, prefix: &[u8]) -> Result<pg_storage::IndexScan, StoreError> {
        let (low, high) = (KeyBound::Included(prefix), KeyBound::Prefix(prefix));
        Ok(storage.index_scan(self.index, low, high, ScanDirection::Forward)?)
    }

    fn damaged(self, what: Damage) -> StoreError {
        StoreError::Damaged { heap: self.heap, what }
    }
}

/// Lane, number and part, each so that bytes are in order as the numbers are.
fn key_of(at: FrameAt, part: u32) -> [u8; KEY] {
    let mut key = [0; KEY];
    let (frame, of) = key.split_at_mut(9);
    frame.copy_from_slice(&at.key());
    of.copy_from_slice(&part.to_be_bytes());
    key
}
