//! Objects: a heap with an index each, made, emptied and dropped while others work. A row in `objects` says what there is.

use std::sync::Arc;

use pg_storage::*;

use crate::{
    known::{ObjectState, know},
    workload::{Client, Random, WORKERS},
};

/// A row of `objects`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    pub name: u64,
    pub heap: RelId,
    pub index: RelId,
    pub rows: u32,
}

impl Object {
    fn encode(self) -> Vec<u8> {
        let mut row = self.name.to_be_bytes().to_vec();
        for n in [self.heap.0, self.index.0, self.rows] {
            row.extend_from_slice(&n.to_be_bytes());
        }
        row
    }
    pub fn decode(row: &[u8]) -> Self {
        let at = |i: usize| u32::from_be_bytes(row[i..i + 4].try_into().unwrap());
        Self {
            name: u64::from_be_bytes(row[..8].try_into().unwrap()),
            heap: RelId(at(8)),
            index: RelId(at(12)),
            rows: at(16),
        }
    }
}

pub fn object_key(n: u32) -> [u8; 4] {
    n.to_be_bytes()
}

/// Storage with some rows, filled as CREATE INDEX does or entry by entry.
fn fresh(
    s: &Arc<Storage>,
    t: &mut Transaction,
    r: &mut Random,
    rows: u32,
) -> Result<(RelId, RelId), StorageError> {
    let heap = s.create_relation(t, RelationKind::Heap)?;
    let hashed = r.one_in(3);
    let kind = if hashed { RelationKind::Hash { heap } } else { RelationKind::BTree { heap } };
    let index = s.create_relation(t, kind)?;
    let unique = if hashed { Unique::No } else { Unique::Yes };
    let built = r.one_in(2);
    for n in 0..rows {
        let mut row = object_key(n).to_vec();
        let len = if r.one_in(8) { 9000 } else { r.below(2500) as usize };
        row.resize(4 + len, n as u8);
        let tid = s.heap_insert(t, heap, &row)?;
        if !built {
            s.index_insert(t, index, &object_key(n), tid, unique)?;
        }
    }
    if built {
        let mut entries = Vec::new();
        s.heap_scan_for_index(heap, |tid, row| entries.push((row[..4].to_vec(), tid, true)))?;
        entries.sort();
        assert_eq!(s.index_build(t, index, &mut entries.into_iter(), !hashed)?, IndexInsert::Done);
    }
    Ok((heap, index))
}

impl Client {
    /// The objects that are there.
    pub fn objects(&self, t: &mut Transaction) -> Result<Vec<(Tid, Object)>, StorageError> {
        let snapshot = t.snapshot();
        let mut scan = self.s.heap_scan(self.tables.objects, &snapshot, None)?;
        let mut all = Vec::new();
        while scan.next_page(|tid, row| all.push((tid, Object::decode(row))))? {}
        Ok(all)
    }

    /// CREATE, TRUNCATE or DROP of one of the worker's objects.
    pub fn ddl(&self, r: &mut Random, worker: u64, op: u64) -> Result<(), StorageError> {
        let mut t = self.s.begin(Isolation::ReadCommitted);
        let own: Vec<_> = self
            .objects(&mut t)?
            .into_iter()
            .filter(|(_, o)| o.name >> 16 & 0xffff == worker % WORKERS)
            .collect();
        let old = if own.is_empty() || (own.len() < 3 && r.one_in(2)) {
            None
        } else {
            Some(own[r.below(own.len() as u64) as usize])
        };
        let name = old.map_or(op, |(_, o)| o.name);
        let done = self.change(&mut t, r, name, old);
        let state = match done {
            Ok(state) => state,
            Err(e) => {
                t.abort();
                return Err(e);
            }
        };
        if r.one_in(8) {
            t.abort();
            return Ok(());
        }
        know(&self.known).object_may_be(name, state);
        t.set_async_commit(r.one_in(3));
        t.commit()?;
        let mut k = know(&self.known);
        k.did("DDL transactions");
        k.object_is(name, state);
        Ok(())
    }

    fn change(
        &self,
        t: &mut Transaction,
        r: &mut Random,
        name: u64,
        old: Option<(Tid, Object)>,
    ) -> Result<ObjectState, StorageError> {
        let Self { s, tables, .. } = self;
        let Some((tid, o)) = old else {
            let rows = r.below(6) as u32;
            let (heap, index) = fresh(s, t, r, rows)?;
            s.heap_insert(t, tables.objects, &Object { name, heap, index, rows }.encode())?;
            return Ok(Some(rows));
        };
        s.drop_relation(t, o.heap)?;
        s.drop_relation(t, o.index)?;
        let outcome;
        let state = if r.one_in(2) {
            outcome = s.heap_delete(t, tables.objects, tid)?;
            None
        } else {
            // TRUNCATE, and perhaps some rows at once.
            let rows = if r.one_in(2) { r.below(4) as u32 } else { 0 };
            let (heap, index) = fresh(s, t, r, rows)?;
            let row = Object { name, heap, index, rows }.encode();
            outcome = s.heap_update(t, tables.objects, tid, &row, Touched::Nothing)?;
            Some(rows)
        };
        assert!(matches!(outcome, RowOutcome::Done { .. }), "object {name:x}: {outcome:?}");
        Ok(state)
    }
}
