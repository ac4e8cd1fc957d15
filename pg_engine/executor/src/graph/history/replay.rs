//! What was recorded, as rows.

use alloc::{sync::Arc, vec, vec::Vec};

use dagdb_delta::apply;
use dagdb_graph::{NodeId, View};
use dagdb_store::{Chain, FrameAt, StoreError, Stored};
use pg_functions::{EvalContext, SetReturning};
use pg_storage::{Snapshot, Storage};
use pg_types::{Batch, Oid, Result, SqlError, SqlState, SqlType, Value, oid, vector::BATCH_ROWS};

use super::{VALUES, record::as_of, record::recording};
use crate::{
    context::ExecContext,
    graph::scan::{Edge, edge_column, inputs_of, node_column},
};

/// Nodes whose edges are looked for at a time.
const SLICE: usize = 256;

fn cancelled() -> SqlError {
    SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request")
}

/// Values of nodes by tick: those at the first tick that are not 0, and after each later one those that changed.
pub(in crate::graph) struct Replay {
    storage: Arc<Storage>,
    snapshot: Snapshot,
    chain: Chain,
    /// Frames still to come.
    frames: core::ops::Range<u64>,
    tick: u64,
    state: Vec<u8>,
    /// The state before.
    shown: Vec<u8>,
    /// The node that is compared next.
    next: usize,
}

impl Replay {
    /// Of the current graph, from one tick to another.
    pub(in crate::graph) fn new(cx: &ExecContext<'_>, from: Option<u64>, to: Option<u64>) -> Result<Self> {
        let snapshot = cx.txn.borrow_mut().snapshot();
        let past = recording(cx, &snapshot)?;
        let from = from.unwrap_or(0).max(past.count("histfirst"));
        let to = to.unwrap_or(u64::MAX).min(past.count("histlast"));
        let first = past.frame_at(cx, &snapshot, VALUES, from)?;
        let last = past.frame_at(cx, &snapshot, VALUES, to)?;
        let (frames, state) = match (first, last) {
            (Some(first), Some(last)) if from <= to => {
                (first + 1..last + 1, past.state(cx, &snapshot, VALUES, first)?.1)
            }
            _ => (0..0, Vec::new()),
        };
        let storage = cx.engine.storage().clone();
        Ok(Self {
            storage,
            snapshot,
            chain: past.chain,
            frames,
            tick: from,
            state,
            shown: Vec::new(),
            next: 0,
        })
    }

    /// Goes on to the next state; false: there is none.
    fn advance(&mut self, ctx: &EvalContext<'_>) -> Result<bool> {
        let Some(number) = self.frames.next() else { return Ok(false) };
        let damaged = |text: alloc::string::String| SqlError::new(SqlState::DATA_CORRUPTED, text);
        let mut frame = Vec::new();
        let at = FrameAt { lane: VALUES, number };
        let go_on: dagdb_store::GoOn<'_> = &mut || !ctx.host.cancelled();
        self.chain.read(&self.storage, &self.snapshot, at, &mut frame, go_on).map_err(|e| match e {
            StoreError::Storage(e) => pg_catalog::storage_error(e),
            StoreError::Cancelled => cancelled(),
            e => damaged(alloc::format!("{e}")),
        })?;
        self.shown.clone_from(&self.state);
        self.tick = apply(&frame, &mut self.state).map_err(|e| damaged(alloc::format!("{e}")))?;
        self.next = 0;
        Ok(true)
    }
}

/// Columns of a replay.
const TYPES: [Oid; 3] = [oid::INT8, oid::INT8, oid::INT2];

/// A node had a value after a tick.
pub(in crate::graph) struct Change {
    pub(in crate::graph) tick: u64,
    pub(in crate::graph) node: u32,
    pub(in crate::graph) truth: u8,
}

impl Replay {
    /// The next changes, as many as a batch has rows; none at the end.
    pub(in crate::graph) fn changes(&mut self, ctx: &EvalContext<'_>) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        while changes.len() < BATCH_ROWS {
            if self.next == self.state.len() {
                if ctx.host.cancelled() {
                    return Err(cancelled());
                }
                if !self.advance(ctx)? {
                    break;
                }
            }
            let before = self.shown.get(self.next..).unwrap_or(&[]).iter().chain(core::iter::repeat(&0));
            for (&truth, &was) in self.state.get(self.next..).unwrap_or(&[]).iter().zip(before) {
                if truth != was {
                    changes.push(Change { tick: self.tick, node: self.next as u32, truth });
                }
                self.next += 1;
                if changes.len() == BATCH_ROWS {
                    break;
                }
            }
        }
        Ok(changes)
    }
}

impl SetReturning for Replay {
    fn next(&mut self, ctx: &EvalContext<'_>) -> Result<Option<Batch>> {
        let changes = self.changes(ctx)?;
        if changes.is_empty() {
            return Ok(None);
        }
        let row = |c: &Change| {
            let (tick, node) = (Value::Int8(c.tick as i64), Value::Int8(i64::from(c.node)));
            vec![tick, node, Value::Int2(i16::from(c.truth))]
        };
        let rows: Vec<Vec<Value>> = changes.iter().map(row).collect();
        Batch::from_rows(&TYPES.map(SqlType::new), &rows).map(Some)
    }
}

/// Columns of `dagdb_nodes`.
const NODE_TYPES: [Oid; 7] =
    [oid::INT8, oid::NUMERIC, oid::INT2, oid::INT2, oid::TEXT, oid::INT8_ARRAY, oid::INT8];
/// Columns of `dagdb_edges`.
const EDGE_TYPES: [Oid; 4] = [oid::INT8, oid::INT8, oid::INT2, oid::BOOL];

/// The nodes or the edges of a graph, all of them.
struct Whole {
    stored: Arc<Stored>,
    edges: bool,
    next: usize,
}

impl SetReturning for Whole {
    fn next(&mut self, ctx: &EvalContext<'_>) -> Result<Option<Batch>> {
        if ctx.host.cancelled() {
            return Err(cancelled());
        }
        let network = &self.stored.network;
        let mut rows: Vec<Vec<Value>> = Vec::new();
        while rows.is_empty() && self.next < network.node_count() {
            let end = (self.next + if self.edges { SLICE } else { BATCH_ROWS }).min(network.node_count());
            let ids = (self.next as u32..end as u32).map(NodeId);
            if self.edges {
                let mut edges: Vec<Edge> = Vec::new();
                ids.for_each(|id| inputs_of(network, id, &mut edges));
                rows.extend(edges.iter().map(|e| (1..5).map(|c| edge_column(c, e)).collect()));
            } else {
                let nodes = ids.filter_map(|id| Some((id, network.existing(id).ok()?)));
                rows.extend(nodes.map(|(id, n)| (1..8).map(|c| node_column(c, id, &n)).collect()));
            }
            self.next = end;
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let types: &[Oid] = if self.edges { &EDGE_TYPES } else { &NODE_TYPES };
        let types: Vec<SqlType> = types.iter().copied().map(SqlType::new).collect();
        Batch::from_rows(&types, &rows).map(Some)
    }
}

/// `dagdb_nodes_as_of` and `dagdb_edges_as_of`.
pub(in crate::graph) fn whole(
    cx: &ExecContext<'_>,
    tick: u64,
    edges: bool,
) -> Result<impl SetReturning + 'static> {
    let snapshot = cx.txn.borrow_mut().snapshot();
    Ok(Whole { stored: as_of(cx, &snapshot, tick)?, edges, next: 0 })
}
