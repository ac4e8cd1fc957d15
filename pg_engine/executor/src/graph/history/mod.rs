//! What graphs were: saves, chains of backups, recordings of ticks.
//!
//! A row of `dagdb_history` names each and says where its frames are, which `dagdb_delta` makes and `dagdb_store::Chain` keeps as
//! rows: so all of it is as transactional as the graphs are. A *save* is one frame, a *backup* a chain of frames, each of them of
//! the whole graph. A *recording* belongs to a graph and has two lanes: the nodes' values after each tick that changed them,
//! and the structure before the first of them and whenever it was another one. Saves and backups belong to no graph: they
//! outlive the one that they were taken of and can be loaded into any.

mod record;
mod replay;
mod save;

use alloc::{format, string::String, sync::Arc, vec::Vec};

use dagdb_delta::{DeltaError, History, peek};
use dagdb_graph::Graph;
use dagdb_store::{Chain, FrameAt, Stored};
use pg_catalog::{
    Txn,
    builtin::DAGDB_HISTORY,
    table::{CatalogTable, Row},
};
use pg_storage::{LockMode, RelId, Snapshot, Tid};
use pg_types::{Result, SqlError, SqlState, Value};

use super::{Entry, NAME_BYTES, current, find, go_on, lock, new_version, store_error, write_row};
use crate::context::ExecContext;

pub(super) use record::{action, as_of, forget, record, rewind, tick};
pub(super) use replay::{Replay, whole};
pub(super) use save::{backup, drop_save, export, import, load, save};

/// A whole graph at a time.
const SAVE: Kind = Kind(b's', "save");
/// A chain of them.
const BACKUP: Kind = Kind(b'b', "backup");
/// A graph's ticks.
const RECORDING: Kind = Kind(b'r', "recording");

/// Frames of values of a recording, and all frames of the other kinds.
const VALUES: u8 = 0;
/// Frames of the structure of a recording.
const SHAPES: u8 = 1;

/// All lanes.
pub(super) const LANES: [u8; 2] = [VALUES, SHAPES];

/// `histkind`, and what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind(u8, &'static str);

/// A row of `dagdb_history`.
pub(super) struct Past {
    kind: Kind,
    pub(super) chain: Chain,
    tid: Tid,
    row: Row,
}

impl Past {
    fn count(&self, column: &str) -> u64 {
        self.row.int(column).max(0) as u64
    }

    pub(super) fn frames(&self, lane: u8) -> u64 {
        self.count(if lane == VALUES { "histframes" } else { "histshapes" })
    }

    fn interval(&self) -> u32 {
        self.row.int("histinterval").clamp(1, i64::from(u16::MAX)) as u32
    }

    /// The tick that a frame says it is of, and whether it holds a whole state.
    fn peek(&self, cx: &ExecContext<'_>, snapshot: &Snapshot, at: FrameAt) -> Result<(u64, bool)> {
        let mut first = Vec::new();
        let read = self.chain.read_first(cx.engine.storage(), snapshot, at, &mut first);
        read.map_err(|e| store_error(e, cx))?;
        peek(&first).ok_or_else(|| self.damaged(&DeltaError::WrongFormat))
    }

    /// The latest frame of a lane whose tick is not after this one.
    fn frame_at(
        &self,
        cx: &ExecContext<'_>,
        snapshot: &Snapshot,
        lane: u8,
        tick: u64,
    ) -> Result<Option<u64>> {
        let (mut low, mut high) = (0, self.frames(lane));
        while low < high {
            let middle = low + (high - low) / 2;
            let at = FrameAt { lane, number: middle };
            if self.peek(cx, snapshot, at)?.0 <= tick {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.checked_sub(1))
    }

    /// The last frame up to this one that holds a whole state.
    fn key_before(&self, cx: &ExecContext<'_>, snapshot: &Snapshot, lane: u8, number: u64) -> Result<u64> {
        let mut at = number;
        while !self.peek(cx, snapshot, FrameAt { lane, number: at })?.1 {
            at = at.checked_sub(1).ok_or_else(|| self.damaged(&DeltaError::WrongFormat))?;
        }
        Ok(at)
    }

    /// A history that holds these frames, the first of which holds a whole state.
    fn bytes(
        &self,
        cx: &ExecContext<'_>,
        snapshot: &Snapshot,
        lane: u8,
        numbers: core::ops::RangeInclusive<u64>,
    ) -> Result<Vec<u8>> {
        let mut bytes = History::none(self.interval());
        for number in numbers {
            let at = FrameAt { lane, number };
            let read = self.chain.read(cx.engine.storage(), snapshot, at, &mut bytes, &mut || go_on(cx));
            read.map_err(|e| store_error(e, cx))?;
            check_memory(cx, bytes.len())?;
        }
        Ok(bytes)
    }

    /// The state that a frame holds, and its tick.
    fn state(
        &self,
        cx: &ExecContext<'_>,
        snapshot: &Snapshot,
        lane: u8,
        number: u64,
    ) -> Result<(u64, Vec<u8>)> {
        let key = self.key_before(cx, snapshot, lane, number)?;
        let bytes = self.bytes(cx, snapshot, lane, key..=number)?;
        let state = History::open(&bytes).and_then(|h| h.state_at(u64::MAX));
        state.map_err(|e| self.damaged(&e))?.ok_or_else(|| self.damaged(&DeltaError::WrongFormat))
    }

    /// Adds a frame.
    fn append(&self, cx: &ExecContext<'_>, txn: &mut Txn, at: FrameAt, frame: &[u8]) -> Result<()> {
        let written = self.chain.append(cx.engine.storage(), txn.storage(), at, frame, &mut || go_on(cx));
        written.map_err(|e| store_error(e, cx))
    }

    /// Makes its row say something else.
    fn update(&self, cx: &ExecContext<'_>, txn: &mut Txn, row: Row) -> Result<()> {
        let row = row.set("histversion", new_version());
        let updated = table(cx)?.update(cx.engine.storage(), txn.storage(), self.tid, &self.row, &row);
        updated.map_err(|e| concurrent(e, cx))
    }

    /// Lets it go.
    fn remove(&self, cx: &ExecContext<'_>, txn: &mut Txn) -> Result<()> {
        let storage = cx.engine.storage();
        table(cx)?.delete(storage, txn.storage(), self.tid).map_err(|e| concurrent(e, cx))?;
        self.chain.remove(storage, txn.storage()).map_err(|e| store_error(e, cx))
    }

    /// What is stored is not what was written.
    fn damaged(&self, e: &DeltaError) -> SqlError {
        let (kind, name) = (self.kind.1, self.row.text("histname"));
        SqlError::new(SqlState::DATA_CORRUPTED, format!("{kind} \"{name}\" is damaged: {e}"))
    }
}

fn table<'a>(cx: &'a ExecContext<'_>) -> Result<&'a Arc<CatalogTable>> {
    cx.engine.catalog().table(DAGDB_HISTORY)
}

/// A row that someone else changed since the snapshot was taken.
fn concurrent(e: SqlError, cx: &ExecContext<'_>) -> SqlError {
    match e.state() {
        SqlState::INTERNAL_ERROR => store_error(dagdb_store::StoreError::Changed, cx),
        _ => e,
    }
}

/// The history of a kind and name, if the snapshot sees it.
fn past(cx: &ExecContext<'_>, snapshot: &Snapshot, kind: Kind, name: &str) -> Result<Option<Past>> {
    let key = [Value::Char(kind.0), Value::text(name)];
    let found = table(cx)?.find(cx.engine.storage(), snapshot, &["histkind", "histname"], &key)?;
    Ok(found.into_iter().next().map(|(tid, row)| {
        let chain = Chain { heap: RelId(row.oid("histheap")), index: RelId(row.oid("histindex")) };
        Past { kind, chain, tid, row }
    }))
}

/// Looks at all histories.
pub(super) fn check(cx: &ExecContext<'_>, problem: &mut dyn FnMut(RelId, &'static str)) -> Result<()> {
    for kind in [SAVE, BACKUP, RECORDING] {
        let snapshot = cx.engine.catalog().latest();
        let key = [Value::Char(kind.0)];
        for row in cx.engine.catalog().find(&snapshot, DAGDB_HISTORY, &["histkind"], &key)? {
            let Some(past) = past(cx, &snapshot, kind, row.text("histname"))? else { continue };
            super::verify::frames(cx, &past, &snapshot, problem)?;
        }
    }
    Ok(())
}

fn missing(kind: Kind, name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("{} \"{name}\" does not exist", kind.1))
}

fn no_recording(cx: &ExecContext<'_>) -> SqlError {
    let text = format!("the ticks of graph \"{}\" are not recorded", current(cx));
    SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text)
        .hint("Use dagdb_record('start') before the ticks that are to be recorded.")
}

/// A history that is read.
fn existing(cx: &ExecContext<'_>, snapshot: &Snapshot, kind: Kind, name: &str) -> Result<Past> {
    past(cx, snapshot, kind, name)?.ok_or_else(|| missing(kind, name))
}

/// A history that is to be changed: locked until the transaction ends.
fn locked(cx: &ExecContext<'_>, command: &str, kind: Kind, name: &str) -> Result<(Option<Past>, Snapshot)> {
    let mut txn = cx.txn.borrow_mut();
    txn.check_writable(command)?;
    let snapshot = txn.snapshot();
    let Some(found) = past(cx, &snapshot, kind, name)? else { return Ok((None, snapshot)) };
    cx.engine.lock(&mut txn, found.row.oid("oid"), LockMode::ShareUpdateExclusive)?;
    let snapshot = txn.snapshot();
    Ok((past(cx, &snapshot, kind, name)?, snapshot))
}

/// A new history without frames.
fn create(cx: &ExecContext<'_>, txn: &mut Txn, kind: Kind, name: &str, interval: u32) -> Result<Past> {
    if name.is_empty() || name.len() > NAME_BYTES {
        let text = format!("the name of a {} has 1 to {NAME_BYTES} bytes", kind.1);
        return Err(SqlError::new(SqlState::INVALID_NAME, text));
    }
    let storage = cx.engine.storage();
    let chain = Chain::create(storage, txn.storage()).map_err(|e| store_error(e, cx))?;
    let row = table(cx)?
        .row()
        .set("oid", cx.engine.catalog().new_oid()?)
        .set("histname", name)
        .set("histkind", kind.0)
        .set("histowner", cx.session.user())
        .set("histgraph", current(cx).as_str())
        .set("histheap", chain.heap.0)
        .set("histindex", chain.index.0)
        .set("histinterval", interval as i32)
        .set("histtime", Value::TimestampTz(cx.session.statement_timestamp()));
    table(cx)?.insert(storage, txn.storage(), &row).map_err(|e| match e.state() {
        SqlState::UNIQUE_VIOLATION => {
            SqlError::new(SqlState::DUPLICATE_OBJECT, format!("{} \"{name}\" already exists", kind.1))
        }
        _ => e,
    })?;
    // Where the row is: it is about to be updated.
    txn.storage().next_command();
    let snapshot = txn.snapshot();
    existing(cx, &snapshot, kind, name)
}

/// A statement may hold so many bytes of histories: as many as of graphs.
pub(super) fn check_memory(cx: &ExecContext<'_>, bytes: usize) -> Result<()> {
    if bytes <= super::bulk::budget(cx) {
        return Ok(());
    }
    let detail = format!("A state of the graph and what is computed from it need {bytes} bytes.");
    Err(SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory").detail(detail))
}

/// Puts a graph in the place of the current one; with the ticks that it had done, if they are said.
fn replace_graph(
    cx: &ExecContext<'_>,
    command: &str,
    ticks: Option<u64>,
    graph: impl FnOnce(&Entry, &Snapshot) -> Result<Graph>,
) -> Result<()> {
    let name = current(cx);
    let (entry, snapshot) = lock(cx, command, &name, LockMode::ShareUpdateExclusive)?;
    let recording = past(cx, &snapshot, RECORDING, &name)?.filter(|p| p.row.bool("histactive"));
    if ticks.is_some() && recording.is_some() {
        let text = format!("the ticks of graph \"{name}\" are being recorded");
        return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text)
            .hint("Use dagdb_record('stop') before another graph takes its place."));
    }
    let graph = graph(&entry, &snapshot)?;
    let old = super::load(cx, &entry, &snapshot)?;
    let mut txn = cx.txn.borrow_mut();
    let storage = cx.engine.storage();
    let mut new: Stored = old
        .replace(&graph, storage, txn.storage(), entry.heap, &mut || go_on(cx))
        .map_err(|e| store_error(e, cx))?;
    new.network.index_readers();
    new.network.set_ticks(ticks.unwrap_or_else(|| old.network.ticks()));
    write_row(cx, &mut txn, &entry, new, new_version(), true)
}

/// A graph's size and the time since a moment, for messages.
fn elapsed(begun: core::time::Duration) -> String {
    let passed = platform::time::monotonic().saturating_sub(begun).as_secs_f64() * 1e3;
    format!("{passed:.3}ms")
}
