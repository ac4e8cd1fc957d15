//! Recordings of ticks, and graphs as of one.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use dagdb_delta::{DeltaError, Recorder, decode_graph, encode_graph, graph_bytes};
use dagdb_graph::{NodeId, View};
use dagdb_language::Record;
use dagdb_store::{FrameAt, Stored};
use dagdb_tick::{Executor, Network, Ticked};
use pg_catalog::Txn;
use pg_storage::{LockMode, Snapshot};
use pg_types::{Result, SqlError, SqlState, Value};

use super::{
    Past, RECORDING, SHAPES, VALUES, check_memory, create, current, find, lock, no_recording, past,
    replace_graph,
};
use crate::{
    context::ExecContext,
    graph::{Changed, compute, graph_error, load, no_such_graph},
};

/// Frames from one whole state to the next, unless it is said.
const INTERVAL: u32 = 60;

/// The values by node.
fn values(network: &Network) -> Vec<u8> {
    (0..network.node_count() as u32).map(|id| network.truth(NodeId(id)).unwrap_or(0)).collect()
}

fn frame_error(past: &Past, e: &DeltaError) -> SqlError {
    match e {
        DeltaError::TooLong { .. } => SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("{e}")),
        _ => past.damaged(e),
    }
}

/// What is added to a recording, and what its row is to say then.
struct Appended<'a> {
    past: &'a Past,
    recorder: Recorder,
    frames: u64,
    shapes: u64,
    bytes: u64,
}

impl<'a> Appended<'a> {
    /// Goes on from the values of the last frame.
    fn after(past: &'a Past, values: Vec<u8>) -> Self {
        let frames = past.frames(VALUES);
        let recorder = Recorder::from_state(past.interval(), frames, past.count("histlast"), values);
        Self { past, recorder, frames, shapes: past.frames(SHAPES), bytes: past.count("histbytes") }
    }

    fn values(&mut self, cx: &ExecContext<'_>, tick: u64, values: &[u8]) -> Result<()> {
        let frame = self.recorder.record(tick, values).map_err(|e| frame_error(self.past, &e))?;
        let at = FrameAt { lane: VALUES, number: self.frames };
        self.past.append(cx, &mut cx.txn.borrow_mut(), at, &frame)?;
        self.frames += 1;
        self.bytes += frame.len() as u64;
        Ok(())
    }

    /// Structures are rarely recorded and each is whole.
    fn shape(&mut self, cx: &ExecContext<'_>, tick: u64, network: &Network) -> Result<()> {
        check_memory(cx, graph_bytes(network.node_count(), 0).saturating_mul(3))?;
        let mut graph = network.to_graph().map_err(graph_error)?;
        graph.truths_mut().fill(0);
        let state = encode_graph(&graph, 0);
        let mut recorder = Recorder::from_state(1, 0, 0, Vec::new());
        let frame = recorder.record(tick, &state).map_err(|e| frame_error(self.past, &e))?;
        let at = FrameAt { lane: SHAPES, number: self.shapes };
        self.past.append(cx, &mut cx.txn.borrow_mut(), at, &frame)?;
        self.shapes += 1;
        self.bytes += frame.len() as u64;
        Ok(())
    }

    /// Writes the row. `version`: of the graph whose values the last frame has.
    fn finish(self, cx: &ExecContext<'_>, network: &Network, version: i64, shape: i64) -> Result<()> {
        let ticks = network.ticks() as i64;
        let row = self.past.row.clone();
        let row = if self.past.frames(VALUES) == 0 { row.set("histfirst", ticks) } else { row };
        let row = row
            .set("histactive", true)
            .set("histframes", self.frames as i64)
            .set("histshapes", self.shapes as i64)
            .set("histnodes", network.node_count() as i64)
            .set("histlast", ticks)
            .set("histbytes", self.bytes as i64)
            .set("histgraphversion", version)
            .set("histshape", shape);
        self.past.update(cx, &mut cx.txn.borrow_mut(), row)
    }
}

/// `RECORD`.
pub(in crate::graph) fn record(cx: &ExecContext<'_>, action: Record) -> Result<String> {
    const COMMAND: &str = "dagdb_record()";
    let name = current(cx);
    if action == Record::Info {
        let snapshot = cx.txn.borrow_mut().snapshot();
        return Ok(match past(cx, &snapshot, RECORDING, &name)? {
            None => format!("OK RECORD INFO graph={name} active=false frames=0"),
            Some(past) => info(&name, &past),
        });
    }
    let (entry, snapshot) = lock(cx, COMMAND, &name, LockMode::ShareUpdateExclusive)?;
    let found = past(cx, &snapshot, RECORDING, &name)?;
    let not_there = || no_recording(cx);
    let done = match action {
        Record::Start { interval } => {
            let stored = load(cx, &entry, &snapshot)?;
            start(cx, found, interval.unwrap_or(INTERVAL).max(1), &stored, &entry)?;
            "START"
        }
        Record::Stop => {
            let past = found.filter(|p| p.row.bool("histactive")).ok_or_else(not_there)?;
            past.update(cx, &mut cx.txn.borrow_mut(), past.row.clone().set("histactive", false))?;
            "STOP"
        }
        Record::Drop | Record::Info => {
            found.ok_or_else(not_there)?.remove(cx, &mut cx.txn.borrow_mut())?;
            "DROP"
        }
    };
    cx.txn.borrow_mut().storage().next_command();
    Ok(format!("OK RECORD {done} graph={name}"))
}

fn info(name: &str, past: &Past) -> String {
    format!(
        "OK RECORD INFO graph={name} active={} frames={} structures={} bytes={} ticks={}-{}",
        past.row.bool("histactive"),
        past.frames(VALUES),
        past.frames(SHAPES),
        past.count("histbytes"),
        past.count("histfirst"),
        past.count("histlast"),
    )
}

/// Begins a recording, or goes on with one that was stopped.
fn start(
    cx: &ExecContext<'_>,
    found: Option<Past>,
    interval: u32,
    stored: &Stored,
    entry: &super::Entry,
) -> Result<()> {
    let network = &stored.network;
    let new = found.is_none();
    let past = match found {
        Some(past) => past,
        None => create(cx, &mut cx.txn.borrow_mut(), RECORDING, &current(cx), interval)?,
    };
    let refused = |text: String| SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text);
    if past.row.bool("histactive") {
        let text = format!("the ticks of graph \"{}\" are being recorded", current(cx));
        return Err(refused(text));
    }
    let last = past.count("histlast");
    if !new && network.ticks() != last {
        let text = format!("the graph has done {} ticks and is recorded up to tick {last}", network.ticks());
        return Err(refused(text).hint("Use dagdb_record('drop') to let go of that recording."));
    }
    if !new {
        // What is recorded of this tick stays; another structure is recorded with the next one.
        return past.update(cx, &mut cx.txn.borrow_mut(), past.row.clone().set("histactive", true));
    }
    let values = values(network);
    let mut appended = Appended::after(&past, Vec::new());
    appended.shape(cx, network.ticks(), network)?;
    appended.values(cx, network.ticks(), &values)?;
    appended.finish(cx, network, entry.version, entry.row.int("graphshape"))
}

/// Ticks; if the graph is recorded, what each tick changed is.
pub(in crate::graph) fn tick(
    cx: &ExecContext<'_>,
    stored: &mut Stored,
    changed: &mut Changed,
    count: u64,
    executor: &dyn Executor,
) -> Result<Ticked> {
    let snapshot = cx.txn.borrow_mut().snapshot();
    let found = past(cx, &snapshot, RECORDING, &current(cx))?.filter(|p| p.row.bool("histactive"));
    changed.valued = true;
    changed.shown.expect(count);
    match found {
        None => compute::tick(cx, &mut stored.network, changed.heap, count, executor, &changed.shown),
        Some(past) => recorded(cx, &past, &snapshot, &mut stored.network, changed, count, executor),
    }
}

fn recorded(
    cx: &ExecContext<'_>,
    past: &Past,
    snapshot: &Snapshot,
    network: &mut Network,
    changed: &Changed,
    count: u64,
    executor: &dyn Executor,
) -> Result<Ticked> {
    let mut now = values(network);
    let last = match past.frames(VALUES).checked_sub(1) {
        // Nobody changed the graph since.
        Some(_) if past.row.int("histgraphversion") == changed.before => now.clone(),
        Some(last) => past.state(cx, snapshot, VALUES, last)?.1,
        None => Vec::new(),
    };
    let mut appended = Appended::after(past, last);
    if past.frames(SHAPES) == 0 || past.row.int("histshape") != changed.shape {
        appended.shape(cx, network.ticks().saturating_add(1), network)?;
    }
    let mut total = Ticked::default();
    while total.ticks < count {
        let before = network.clone();
        let ticked = compute::tick_here(cx, network, changed.heap, 1, executor, &changed.shown)?;
        add(&mut total, ticked);
        let mut moved = false;
        network.for_each_change(&before, &mut |id| {
            if let (Some(value), Some(truth)) = (now.get_mut(id.index()), network.truth(id)) {
                *value = truth;
                moved = true;
            }
        });
        if now != appended.recorder.state() {
            appended.values(cx, network.ticks(), &now)?;
        }
        if !moved && total.ticks < count {
            // A tick that changes nothing is followed by such ticks only.
            let rest = count - total.ticks;
            let rest = compute::tick_here(cx, network, changed.heap, rest, executor, &changed.shown)?;
            add(&mut total, rest);
        }
    }
    appended.finish(cx, network, changed.version, changed.shape)?;
    Ok(total)
}

fn add(total: &mut Ticked, more: Ticked) {
    total.ticks += more.ticks;
    total.computed += more.computed;
    total.evaluated += more.evaluated;
}

/// The recording of the current graph.
pub(super) fn recording(cx: &ExecContext<'_>, snapshot: &Snapshot) -> Result<Past> {
    let name = current(cx);
    find(cx, snapshot, &name)?.ok_or_else(|| no_such_graph(&name))?;
    past(cx, snapshot, RECORDING, &name)?.ok_or_else(|| no_recording(cx))
}

/// The current graph as it was after a tick.
pub(in crate::graph) fn as_of(cx: &ExecContext<'_>, snapshot: &Snapshot, tick: u64) -> Result<Arc<Stored>> {
    let past = recording(cx, snapshot)?;
    let (first, last) = (past.count("histfirst"), past.count("histlast"));
    if !(first..=last).contains(&tick) {
        let detail = format!("Graph \"{}\" is recorded from tick {first} to tick {last}.", current(cx));
        let text = format!("tick {tick} is not recorded");
        return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, text).detail(detail));
    }
    let graphs = cx.engine.graphs();
    // A version of the recording and a tick, as a version of its heap.
    let version = past
        .row
        .int("histversion")
        .wrapping_add((tick as i64).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64));
    if let Some(stored) = graphs.get(past.chain.heap, version) {
        return Ok(stored);
    }
    check_memory(cx, graph_bytes(past.count("histnodes") as usize, 0).saturating_mul(3))?;
    let damaged = || past.damaged(&DeltaError::DamagedGraph);
    let shape = past.frame_at(cx, snapshot, SHAPES, tick)?.ok_or_else(damaged)?;
    let (_, shape) = past.state(cx, snapshot, SHAPES, shape)?;
    let (mut graph, _) = decode_graph(&shape).map_err(|e| past.damaged(&e))?;
    let frame = past.frame_at(cx, snapshot, VALUES, tick)?.ok_or_else(damaged)?;
    let (_, values) = past.state(cx, snapshot, VALUES, frame)?;
    if graph.len() != values.len() {
        return Err(damaged());
    }
    graph.truths_mut().copy_from_slice(&values);
    let mut stored = Stored::detached(&graph);
    stored.network.index_readers();
    stored.network.set_ticks(tick);
    let stored = Arc::new(stored);
    graphs.put(past.chain.heap, version, stored.clone());
    Ok(stored)
}

/// `REWIND`: the graph becomes what it was after a recorded tick. Its ticks are counted on.
pub(in crate::graph) fn rewind(cx: &ExecContext<'_>, tick: u64) -> Result<String> {
    replace_graph(cx, "dagdb_rewind()", None, |_, snapshot| {
        as_of(cx, snapshot, tick)?.network.to_graph().map_err(graph_error)
    })?;
    Ok(format!("OK REWIND tick={tick}"))
}

/// A graph is dropped: its recording goes too.
pub(in crate::graph) fn forget(
    cx: &ExecContext<'_>,
    txn: &mut Txn,
    snapshot: &Snapshot,
    name: &str,
) -> Result<()> {
    match past(cx, snapshot, RECORDING, name)? {
        Some(past) => past.remove(cx, txn),
        None => Ok(()),
    }
}

/// `dagdb_record('start' | 'stop' | 'drop' | 'info', interval)`.
pub(in crate::graph) fn action(text: &str, interval: &Value) -> Result<Record> {
    let interval = match interval {
        Value::Int4(n) => Some(u16::try_from(*n).ok().filter(|n| *n > 0).ok_or_else(|| {
            SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "the interval must be from 1 to 65535")
        })?),
        _ => None,
    };
    let start = Record::Start { interval: interval.map(u32::from) };
    let named = [("start", start), ("stop", Record::Stop), ("drop", Record::Drop), ("info", Record::Info)];
    let found = named.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    found.map(|(_, action)| action).ok_or_else(|| {
        SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("\"{text}\" is nothing to do with a recording"),
        )
        .hint("Use start, stop, drop or info.")
    })
}
