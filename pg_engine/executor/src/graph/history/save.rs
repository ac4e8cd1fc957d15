//! Whole graphs: saves and chains of backups.

use alloc::{format, string::String, vec::Vec};

use dagdb_delta::{DeltaError, History, Recorder, decode_graph, encode_graph, graph_bytes};
use dagdb_graph::{Graph, View};
use dagdb_language::Backup;
use dagdb_store::{FrameAt, Stored};
use pg_types::{Result, SqlError, SqlState, Value};

use super::{
    BACKUP, Kind, Past, SAVE, VALUES, check_memory, create, elapsed, existing, locked, missing, replace_graph,
};
use crate::{
    context::ExecContext,
    graph::{graph_error, read_now, store_error},
};

/// Frames of a chain of backups from one whole graph to the next.
const INTERVAL: u32 = 16;
/// The longest bytea.
const MAX_VALUE: usize = (1 << 30) - 64;

/// What a history is to say about itself besides its frames.
struct About {
    nodes: usize,
    /// Of the first graph and of the last.
    ticks: (u64, u64),
}

impl About {
    fn of(stored: &Stored) -> Self {
        let ticks = stored.network.ticks();
        Self { nodes: stored.network.node_count(), ticks: (ticks, ticks) }
    }
}

/// A graph as the state of a frame.
fn state_of(cx: &ExecContext<'_>, stored: &Stored) -> Result<Vec<u8>> {
    // The graph, its bytes and the difference to others.
    check_memory(cx, graph_bytes(stored.network.node_count(), 0).saturating_mul(3))?;
    let graph = stored.network.to_graph().map_err(graph_error)?;
    Ok(encode_graph(&graph, stored.network.ticks()))
}

/// Writes frames from number `first` on, and what the row is to say then.
fn write(cx: &ExecContext<'_>, past: &Past, first: u64, frames: &[Vec<u8>], about: &About) -> Result<u64> {
    let mut txn = cx.txn.borrow_mut();
    for (number, frame) in (first..).zip(frames) {
        past.append(cx, &mut txn, FrameAt { lane: VALUES, number }, frame)?;
    }
    let added = frames.iter().map(|f| f.len() as u64).sum::<u64>();
    let total = if first == 0 { added } else { past.count("histbytes").saturating_add(added) };
    let row = past.row.clone();
    let row = if first == 0 { row.set("histfirst", about.ticks.0 as i64) } else { row };
    let row = row
        .set("histframes", (first + frames.len() as u64) as i64)
        .set("histnodes", about.nodes as i64)
        .set("histlast", about.ticks.1 as i64)
        .set("histbytes", total as i64)
        .set("histgraph", super::current(cx).as_str())
        .set("histtime", Value::TimestampTz(cx.session.statement_timestamp()));
    past.update(cx, &mut txn, row)?;
    txn.storage().next_command();
    Ok(total)
}

/// A history with these frames only, in place of what may be there.
fn write_anew(
    cx: &ExecContext<'_>,
    command: &str,
    (kind, name): (Kind, &str),
    interval: u32,
    frames: &[Vec<u8>],
    about: &About,
) -> Result<u64> {
    let (found, snapshot) = locked(cx, command, kind, name)?;
    let past = match found {
        Some(past) => {
            let mut txn = cx.txn.borrow_mut();
            past.chain
                .clear(cx.engine.storage(), txn.storage(), &snapshot, &mut || super::go_on(cx))
                .map_err(|e| store_error(e, cx))?;
            past
        }
        None => create(cx, &mut cx.txn.borrow_mut(), kind, name, interval)?,
    };
    write(cx, &past, 0, frames, about)
}

/// `SAVE`: the current graph under a name, in place of what had it.
pub(in crate::graph) fn save(cx: &ExecContext<'_>, name: &str, compressed: bool) -> Result<String> {
    let begun = platform::time::monotonic();
    cx.txn.borrow_mut().check_writable("dagdb_save()")?;
    let stored = read_now(cx)?;
    let state = state_of(cx, &stored)?;
    let recorder = Recorder::from_state(1, 0, 0, Vec::new());
    let mut recorder = if compressed { recorder } else { recorder.without_packing() };
    let frame = recorder.record(stored.network.ticks(), &state).map_err(|e| refused(&e))?;
    let bytes = write_anew(cx, "dagdb_save()", (SAVE, name), 1, &[frame], &About::of(&stored))?;
    let ratio = if compressed {
        format!(" ratio={:.3}", bytes as f64 / state.len().max(1) as f64)
    } else {
        String::new()
    };
    Ok(format!("OK SAVE bytes={bytes} elapsed={}{ratio} path={name}", elapsed(begun)))
}

/// The last graph of a history, and its ticks.
fn last_graph(cx: &ExecContext<'_>, kind: Kind, name: &str) -> Result<(Past, Graph, u64)> {
    let snapshot = cx.txn.borrow_mut().snapshot();
    let past = existing(cx, &snapshot, kind, name)?;
    check_memory(cx, graph_bytes(past.count("histnodes") as usize, 0).saturating_mul(3))?;
    let last = past.frames(VALUES).checked_sub(1).ok_or_else(|| past.damaged(&DeltaError::WrongFormat))?;
    let (_, state) = past.state(cx, &snapshot, VALUES, last)?;
    let (graph, ticks) = decode_graph(&state).map_err(|e| past.damaged(&e))?;
    Ok((past, graph, ticks))
}

fn restore(cx: &ExecContext<'_>, command: &str, kind: Kind, name: &str) -> Result<(u64, usize, u64)> {
    let (past, graph, ticks) = last_graph(cx, kind, name)?;
    let nodes = graph.len();
    replace_graph(cx, command, Some(ticks), |_, _| Ok(graph))?;
    Ok((past.count("histbytes"), nodes, ticks))
}

/// `LOAD`: what was saved becomes the current graph.
pub(in crate::graph) fn load(cx: &ExecContext<'_>, name: &str) -> Result<String> {
    let begun = platform::time::monotonic();
    let (bytes, nodes, ticks) = restore(cx, "dagdb_load()", SAVE, name)?;
    Ok(format!("OK LOAD bytes={bytes} nodes={nodes} ticks={ticks} elapsed={}", elapsed(begun)))
}

fn drop_kept(cx: &ExecContext<'_>, command: &str, kind: Kind, name: &str) -> Result<()> {
    let (found, _) = locked(cx, command, kind, name)?;
    let past = found.ok_or_else(|| missing(kind, name))?;
    let mut txn = cx.txn.borrow_mut();
    past.remove(cx, &mut txn)?;
    txn.storage().next_command();
    Ok(())
}

/// `DROP SAVE`.
pub(in crate::graph) fn drop_save(cx: &ExecContext<'_>, name: &str) -> Result<String> {
    drop_kept(cx, "dagdb_drop_save()", SAVE, name)?;
    Ok(format!("OK DROP SAVE path={name}"))
}

/// `BACKUP`.
pub(in crate::graph) fn backup(cx: &ExecContext<'_>, action: Backup, name: &str) -> Result<String> {
    const COMMAND: &str = "dagdb_backup()";
    let begun = platform::time::monotonic();
    Ok(match action {
        Backup::Init => {
            let (bytes, nodes) = backup_init(cx, name)?;
            format!("OK BACKUP INIT bytes={bytes} nodes={nodes} elapsed={} path={name}", elapsed(begun))
        }
        Backup::Append => {
            let (bytes, frames) = backup_append(cx, name)?;
            format!("OK BACKUP APPEND bytes={bytes} frames={frames} elapsed={} path={name}", elapsed(begun))
        }
        Backup::Restore => {
            let (_, nodes, ticks) = restore(cx, COMMAND, BACKUP, name)?;
            format!("OK BACKUP RESTORE nodes={nodes} ticks={ticks} elapsed={} path={name}", elapsed(begun))
        }
        Backup::Compact => {
            let (before, graph, ticks) = last_graph(cx, BACKUP, name)?;
            let about = About { nodes: graph.len(), ticks: (ticks, ticks) };
            let frame = first_frame(&encode_graph(&graph, ticks))?;
            drop(graph);
            let bytes = write_anew(cx, COMMAND, (BACKUP, name), INTERVAL, &[frame], &about)?;
            let was = before.count("histbytes");
            format!("OK BACKUP COMPACT bytes={bytes} before={was} elapsed={} path={name}", elapsed(begun))
        }
        Backup::Info => {
            let snapshot = cx.txn.borrow_mut().snapshot();
            let past = existing(cx, &snapshot, BACKUP, name)?;
            format!(
                "OK BACKUP INFO frames={} bytes={} nodes={} ticks={}-{} graph={} path={name}",
                past.frames(VALUES),
                past.count("histbytes"),
                past.count("histnodes"),
                past.count("histfirst"),
                past.count("histlast"),
                past.row.text("histgraph"),
            )
        }
        Backup::Drop => {
            drop_kept(cx, COMMAND, BACKUP, name)?;
            format!("OK BACKUP DROP path={name}")
        }
    })
}

/// The first frame of a chain.
fn first_frame(state: &[u8]) -> Result<Vec<u8>> {
    Recorder::from_state(INTERVAL, 0, 0, Vec::new()).record(1, state).map_err(|e| refused(&e))
}

fn backup_init(cx: &ExecContext<'_>, name: &str) -> Result<(u64, usize)> {
    let (found, _) = locked(cx, "dagdb_backup()", BACKUP, name)?;
    if found.is_some() {
        let text = format!("backup \"{name}\" already exists");
        return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, text));
    }
    let stored = read_now(cx)?;
    let frame = first_frame(&state_of(cx, &stored)?)?;
    let past = create(cx, &mut cx.txn.borrow_mut(), BACKUP, name, INTERVAL)?;
    let about = About::of(&stored);
    Ok((write(cx, &past, 0, &[frame], &about)?, about.nodes))
}

/// Bytes added and frames there are then. Frames are numbered from 1 on in place of ticks: a graph may have changed without.
fn backup_append(cx: &ExecContext<'_>, name: &str) -> Result<(usize, u64)> {
    let (found, snapshot) = locked(cx, "dagdb_backup()", BACKUP, name)?;
    let past = found.ok_or_else(|| missing(BACKUP, name))?;
    let stored = read_now(cx)?;
    let state = state_of(cx, &stored)?;
    let frames = past.frames(VALUES);
    let last = frames.checked_sub(1).ok_or_else(|| past.damaged(&DeltaError::WrongFormat))?;
    let (number, before) = past.state(cx, &snapshot, VALUES, last)?;
    let mut recorder = Recorder::from_state(past.interval(), frames, number, before);
    let frame = recorder.record(number.saturating_add(1), &state).map_err(|e| refused(&e))?;
    let added = frame.len();
    write(cx, &past, frames, &[frame], &About::of(&stored))?;
    Ok((added, frames + 1))
}

/// A graph that no frame can hold.
fn refused(e: &DeltaError) -> SqlError {
    SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, format!("{e}"))
}

/// What clients name: `save` or `backup`.
fn kind_of(text: &str) -> Result<Kind> {
    [SAVE, BACKUP].into_iter().find(|k| k.1.eq_ignore_ascii_case(text)).ok_or_else(|| {
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("\"{text}\" is no kind of history"))
            .hint("Use save or backup.")
    })
}

/// A save or a chain of backups as one value, which a client can keep.
pub(in crate::graph) fn export(cx: &ExecContext<'_>, name: &str, kind: &str) -> Result<Value> {
    let kind = kind_of(kind)?;
    let snapshot = cx.txn.borrow_mut().snapshot();
    let past = existing(cx, &snapshot, kind, name)?;
    if past.count("histbytes") as usize > MAX_VALUE {
        let text = format!("{} \"{name}\" is longer than a value can be", kind.1);
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, text));
    }
    let last = past.frames(VALUES).checked_sub(1).ok_or_else(|| past.damaged(&DeltaError::WrongFormat))?;
    let bytes = past.bytes(cx, &snapshot, VALUES, 0..=last)?;
    History::open(&bytes).map_err(|e| past.damaged(&e))?;
    Ok(Value::Bytea(bytes.into()))
}

/// What was exported, under a name: in place of the save or backup that had it.
pub(in crate::graph) fn import(cx: &ExecContext<'_>, name: &str, kind: &str, bytes: &[u8]) -> Result<String> {
    const COMMAND: &str = "dagdb_import_history()";
    let kind = kind_of(kind)?;
    cx.txn.borrow_mut().check_writable(COMMAND)?;
    let history = History::open(bytes).map_err(|e| not_accepted(&e))?;
    if history.is_empty() {
        return Err(not_accepted(&DeltaError::WrongFormat));
    }
    if kind == SAVE && history.frames().len() > 1 {
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("a save is one state, not {}", history.frames().len()),
        )
        .hint("Import it as a backup."));
    }
    // Every state is looked at: what is kept can be restored.
    let longest = history.frames().iter().map(|f| f.state).max().unwrap_or(0);
    check_memory(cx, longest.saturating_mul(3))?;
    let mut about = Ok(About { nodes: 0, ticks: (0, 0) });
    let mut first = None;
    let replayed = history.replay(|_, state| {
        about = cx.checkpoint().and_then(|()| {
            let (graph, ticks) = decode_graph(state).map_err(|e| not_accepted(&e))?;
            Ok(About { nodes: graph.len(), ticks: (*first.get_or_insert(ticks), ticks) })
        });
        about.is_ok()
    });
    replayed.map_err(|e| not_accepted(&e))?;
    let about = about?;
    let mut rest = bytes.get(History::none(1).len()..).unwrap_or(&[]);
    let mut frames = Vec::new();
    for frame in history.frames() {
        let (one, after) = rest.split_at_checked(frame.length).unwrap_or((rest, &[]));
        frames.push(one.to_vec());
        rest = after;
    }
    let kept = write_anew(cx, COMMAND, (kind, name), history.interval(), &frames, &about)?;
    Ok(format!("OK IMPORT bytes={kept} frames={} nodes={} path={name}", frames.len(), about.nodes))
}

/// What a client gave is no history, or a damaged one.
fn not_accepted(e: &DeltaError) -> SqlError {
    let state = match e {
        DeltaError::WrongFormat | DeltaError::UnknownVersion { .. } => {
            SqlState::INVALID_BINARY_REPRESENTATION
        }
        _ => SqlState::DATA_CORRUPTED,
    };
    SqlError::new(state, format!("{e}"))
}
