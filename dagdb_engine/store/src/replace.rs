//! Putting another graph in the place of one that is stored.

use alloc::{sync::Arc, vec::Vec};

use dagdb_graph::Graph;
use dagdb_tick::Network;
use pg_storage::{RelId, RowOutcome, Storage, Tid, Touched, Transaction};

use crate::{
    GoOn, StoreError, Stored,
    format::{Piece, STRUCTURE_NODES, VALUE_NODES},
    stored::encode,
};

/// Rows given to the storage at a time.
const BATCH: usize = 64;

impl Stored {
    /// Writes `graph`, whole and valid, where this one is: pieces that stay as they are are not written. Whoever has an older
    /// snapshot goes on seeing this one.
    pub fn replace(
        &self,
        graph: &Graph,
        storage: &Arc<Storage>,
        txn: &mut Transaction,
        heap: RelId,
        go_on: GoOn<'_>,
    ) -> Result<Self, StoreError> {
        let mut work = Replacing { old: self, graph, storage, txn, heap };
        let structure =
            work.pieces(&self.structure, graph.len().div_ceil(STRUCTURE_NODES), Piece::Structure, go_on)?;
        let values = work.pieces(&self.values, graph.len().div_ceil(VALUE_NODES), Piece::Values, go_on)?;
        let network = Network::new(graph);
        Ok(Self { network, structure: Arc::new(structure), values: Arc::new(values) })
    }
}

struct Replacing<'a> {
    old: &'a Stored,
    graph: &'a Graph,
    storage: &'a Arc<Storage>,
    txn: &'a mut Transaction,
    heap: RelId,
}

impl Replacing<'_> {
    /// Makes pieces of one kind be what they are to be; where they are then.
    fn pieces(
        &mut self,
        old: &[Tid],
        count: usize,
        piece: fn(u32) -> Piece,
        go_on: GoOn<'_>,
    ) -> Result<Vec<Tid>, StoreError> {
        let mut tids = Vec::with_capacity(count);
        let (mut row, mut before) = (Vec::new(), Vec::new());
        for (number, &tid) in old.iter().enumerate().take(count) {
            let piece = piece(number as u32);
            row.clear();
            before.clear();
            encode(piece, self.graph, &mut row);
            encode(piece, &self.old.network, &mut before);
            tids.push(if row == before {
                tid
            } else {
                match self.storage.heap_update(self.txn, self.heap, tid, &row, Touched::Nothing)? {
                    RowOutcome::Done { tid, .. } => tid,
                    _ => return Err(StoreError::Changed),
                }
            });
            proceed(number, go_on)?;
        }
        for (n, &tid) in old.iter().skip(count).enumerate() {
            let RowOutcome::Done { .. } = self.storage.heap_delete(self.txn, self.heap, tid)? else {
                return Err(StoreError::Changed);
            };
            proceed(n, go_on)?;
        }
        let mut rows: Vec<Vec<u8>> = Vec::new();
        for number in tids.len()..count {
            let mut row = Vec::new();
            encode(piece(number as u32), self.graph, &mut row);
            rows.push(row);
            if rows.len() == BATCH || number + 1 == count {
                let slices: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
                self.storage.heap_insert_many(self.txn, self.heap, &slices, &mut tids)?;
                rows.clear();
                proceed(0, go_on)?;
            }
        }
        Ok(tids)
    }
}

fn proceed(n: usize, go_on: GoOn<'_>) -> Result<(), StoreError> {
    if !n.is_multiple_of(BATCH) || go_on() { Ok(()) } else { Err(StoreError::Cancelled) }
}
