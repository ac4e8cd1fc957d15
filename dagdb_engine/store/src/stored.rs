//! A graph, where its pieces are, and how changes of it are written.

use alloc::{collections::BTreeSet, sync::Arc, vec, vec::Vec};

use dagdb_graph::{Graph, NodeId, View};
use dagdb_tick::Network;
use pg_storage::{RelId, RowOutcome, Snapshot, Storage, Tid, Touched, Transaction};

use crate::{
    Damage, StoreError,
    format::{self, Piece, STRUCTURE_NODES, VALUE_NODES},
};

/// Rows given to the storage at a time, and pieces between questions whether to go on.
pub const BATCH: usize = 64;

/// A graph as a snapshot sees it. Clones share what is large.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The graph.
    pub network: Network,
    pub(crate) structure: Arc<Vec<Tid>>,
    pub(crate) values: Arc<Vec<Tid>>,
}

/// Lets others run; false: the work is to end.
pub type GoOn<'a> = &'a mut dyn FnMut() -> bool;

impl Stored {
    /// Writes a new graph into its empty heap.
    pub fn create(
        graph: &Graph,
        storage: &Arc<Storage>,
        txn: &mut Transaction,
        heap: RelId,
        go_on: GoOn<'_>,
    ) -> Result<Self, StoreError> {
        let mut new = Self {
            network: Network::new(graph),
            structure: Arc::new(Vec::new()),
            values: Arc::new(Vec::new()),
        };
        new.append(graph, storage, txn, heap, go_on)?;
        Ok(new)
    }

    /// A graph that is only read: it is stored in another way, or not at all.
    pub fn detached(graph: &Graph) -> Self {
        Self { network: Network::new(graph), structure: Arc::default(), values: Arc::default() }
    }

    /// Reads a graph of so many nodes.
    pub fn load(
        storage: &Arc<Storage>,
        heap: RelId,
        snapshot: &Snapshot,
        nodes: u64,
        go_on: GoOn<'_>,
    ) -> Result<Self, StoreError> {
        let damaged = |what| StoreError::Damaged { heap, what };
        let count = usize::try_from(nodes).map_err(|_| damaged(Damage::Format))?;
        let mut graph = Graph::with_nodes(count).map_err(|e| damaged(Damage::Rule(e)))?;
        let mut structure = vec![Tid::NONE; count.div_ceil(STRUCTURE_NODES)];
        let mut values = vec![Tid::NONE; count.div_ceil(VALUE_NODES)];
        let mut scan = storage.heap_scan(heap, snapshot, None)?;
        let mut wrong = None;
        loop {
            let more = scan.next_page(|tid, row| {
                let place = match format::fill(row, &mut graph) {
                    Some(Piece::Structure(n)) => structure.get_mut(n as usize),
                    Some(Piece::Values(n)) => values.get_mut(n as usize),
                    None => None,
                };
                match place {
                    Some(place) if *place == Tid::NONE => *place = tid,
                    Some(_) => wrong = Some(Damage::Twice),
                    None => wrong = Some(Damage::Format),
                }
            })?;
            if let Some(what) = wrong {
                return Err(damaged(what));
            }
            if !more {
                break;
            }
            if !go_on() {
                return Err(StoreError::Cancelled);
            }
        }
        if structure.contains(&Tid::NONE) || values.contains(&Tid::NONE) {
            return Err(damaged(Damage::Missing));
        }
        graph.validate().map_err(|e| damaged(Damage::Rule(e)))?;
        Ok(Self { network: Network::new(&graph), structure: Arc::new(structure), values: Arc::new(values) })
    }

    /// Writes nodes that the heap does not have yet: `graph` is all of it, and its pieces so far are full.
    fn append(
        &mut self,
        graph: &Graph,
        storage: &Arc<Storage>,
        txn: &mut Transaction,
        heap: RelId,
        go_on: GoOn<'_>,
    ) -> Result<(), StoreError> {
        let total = (graph.len().div_ceil(STRUCTURE_NODES), graph.len().div_ceil(VALUE_NODES));
        let mut rows: Vec<Vec<u8>> = Vec::new();
        for (pieces, of) in [(total.0, true), (total.1, false)] {
            let mut tids = Vec::with_capacity(pieces);
            for number in 0..pieces as u32 {
                let mut row = Vec::new();
                let piece = if of { Piece::Structure(number) } else { Piece::Values(number) };
                encode(piece, graph, &mut row);
                rows.push(row);
                if rows.len() == BATCH || number as usize + 1 == pieces {
                    let slices: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
                    storage.heap_insert_many(txn, heap, &slices, &mut tids)?;
                    rows.clear();
                    if !go_on() {
                        return Err(StoreError::Cancelled);
                    }
                }
            }
            *(if of { &mut self.structure } else { &mut self.values }) = Arc::new(tids);
        }
        Ok(())
    }

    /// Writes the pieces that hold these nodes anew: of `shaped` ones structure, of `valued` ones values. New nodes are in both,
    /// and so is the last node if there are fewer than before. Pieces without nodes are deleted. `by_id`: the same graph in the
    /// order of ids, if it is at hand; many pieces are encoded faster from that.
    pub fn save(
        &mut self,
        storage: &Arc<Storage>,
        txn: &mut Transaction,
        heap: RelId,
        by_id: Option<&Graph>,
        shaped: impl Iterator<Item = NodeId>,
        valued: impl Iterator<Item = NodeId>,
        go_on: GoOn<'_>,
    ) -> Result<(), StoreError> {
        self.shrink(storage, txn, heap)?;
        let mut pieces = BTreeSet::new();
        collect(shaped, |id| Piece::Structure((id.index() / STRUCTURE_NODES) as u32), &mut pieces);
        collect(valued, |id| Piece::Values((id.index() / VALUE_NODES) as u32), &mut pieces);
        // Of each kind, pieces that are not there yet are the last ones.
        let mut new = Vec::new();
        let mut row = Vec::new();
        for (n, piece) in pieces.into_iter().enumerate() {
            if n % BATCH == BATCH - 1 && !go_on() {
                return Err(StoreError::Cancelled);
            }
            row.clear();
            match by_id {
                Some(graph) => encode(piece, graph, &mut row),
                None => encode(piece, &self.network, &mut row),
            }
            let (tids, number) = match piece {
                Piece::Structure(n) => (Arc::make_mut(&mut self.structure), n as usize),
                Piece::Values(n) => (Arc::make_mut(&mut self.values), n as usize),
            };
            if let Some(tid) = tids.get_mut(number) {
                match storage.heap_update(txn, heap, *tid, &row, Touched::Nothing)? {
                    RowOutcome::Done { tid: new, .. } => *tid = new,
                    _ => return Err(StoreError::Changed),
                }
            } else {
                new.push((piece, core::mem::take(&mut row)));
                if new.len() == BATCH {
                    self.insert(&mut new, storage, txn, heap)?;
                }
            }
        }
        self.insert(&mut new, storage, txn, heap)
    }

    /// Adds pieces behind those there are.
    fn insert(
        &mut self,
        new: &mut Vec<(Piece, Vec<u8>)>,
        storage: &Arc<Storage>,
        txn: &mut Transaction,
        heap: RelId,
    ) -> Result<(), StoreError> {
        let rows: Vec<&[u8]> = new.iter().map(|(_, row)| row.as_slice()).collect();
        let mut inserted = Vec::with_capacity(rows.len());
        storage.heap_insert_many(txn, heap, &rows, &mut inserted)?;
        for ((piece, _), tid) in new.drain(..).zip(inserted) {
            let (tids, number) = match piece {
                Piece::Structure(n) => (Arc::make_mut(&mut self.structure), n as usize),
                Piece::Values(n) => (Arc::make_mut(&mut self.values), n as usize),
            };
            if tids.len() != number {
                return Err(StoreError::Damaged { heap, what: Damage::Missing });
            }
            tids.push(tid);
        }
        Ok(())
    }

    /// Deletes pieces beyond the last node.
    fn shrink(
        &mut self,
        storage: &Arc<Storage>,
        txn: &mut Transaction,
        heap: RelId,
    ) -> Result<(), StoreError> {
        let count = self.network.node_count();
        for (tids, a_piece) in [(&mut self.structure, STRUCTURE_NODES), (&mut self.values, VALUE_NODES)] {
            let kept = count.div_ceil(a_piece);
            if tids.len() <= kept {
                continue;
            }
            for tid in Arc::make_mut(tids).drain(kept..) {
                match storage.heap_delete(txn, heap, tid)? {
                    RowOutcome::Done { .. } => {}
                    _ => return Err(StoreError::Changed),
                }
            }
        }
        Ok(())
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        let tids = self.structure.len() + self.values.len();
        self.network.memory().total() + tids * size_of::<Tid>()
    }
}

/// The pieces of nodes, neighbours of one piece looked up once.
fn collect(
    nodes: impl Iterator<Item = NodeId>,
    piece_of: impl Fn(NodeId) -> Piece,
    out: &mut BTreeSet<Piece>,
) {
    let mut last = None;
    for piece in nodes.map(piece_of) {
        if last != Some(piece) {
            last = Some(piece);
            out.insert(piece);
        }
    }
}

/// Encodes a piece of a graph.
pub(crate) fn encode(piece: Piece, graph: &impl View, out: &mut Vec<u8>) {
    let first = piece.first();
    let end = graph.node_count().min(first + piece.capacity());
    let ids = (first.min(end)..end).map(|id| NodeId(id as u32));
    match piece {
        Piece::Structure(number) => {
            let nodes = ids.map(|id| graph.node(id).unwrap_or_default());
            format::put_structure(number, nodes, out);
        }
        Piece::Values(number) => {
            let values: Vec<u8> = ids.map(|id| graph.value(id).unwrap_or(0)).collect();
            format::put_values(number, &values, out);
        }
    }
}
