//! Graphs and histories as `intralith_verify` looks at them: what is stored is read and must be whole.

use alloc::vec::Vec;

use dagdb_delta::apply;
use dagdb_store::{Damage, FrameAt, StoreError, Stored};
use pg_storage::{LockMode, RelId};
use pg_types::Result;

use super::{Entry, find, go_on, history, interrupted, table};
use crate::context::ExecContext;

/// Calls with the storage and what is wrong.
pub(crate) fn check(cx: &ExecContext<'_>, problem: &mut dyn FnMut(RelId, &'static str)) -> Result<()> {
    let latest = cx.engine.catalog().latest();
    for (_, row) in table(cx)?.scan(cx.engine.storage(), &latest)? {
        // Nobody drops it meanwhile; what others change the snapshot does not see.
        cx.engine.lock(&mut cx.txn.borrow_mut(), row.oid("oid"), LockMode::AccessShare)?;
        let snapshot = cx.engine.catalog().latest();
        if let Some(entry) = find(cx, &snapshot, row.text("graphname"))? {
            graph(cx, &entry, &snapshot, problem)?;
        }
    }
    history::check(cx, problem)
}

fn graph(
    cx: &ExecContext<'_>,
    entry: &Entry,
    snapshot: &pg_storage::Snapshot,
    problem: &mut dyn FnMut(RelId, &'static str),
) -> Result<()> {
    let needed = (entry.nodes as usize).saturating_mul(2 * dagdb_store::BYTES_A_NODE);
    if needed > super::bulk::budget(cx) {
        problem(entry.heap, "the graph is too large to be checked in a statement's memory");
        return Ok(());
    }
    let read = Stored::load(cx.engine.storage(), entry.heap, snapshot, entry.nodes, &mut || go_on(cx));
    match read.err() {
        None => Ok(()),
        Some(StoreError::Cancelled) => Err(interrupted(cx)),
        Some(e) => {
            problem(entry.heap, told(&e));
            Ok(())
        }
    }
}

/// What is wrong, in words.
pub(super) fn told(e: &StoreError) -> &'static str {
    match e {
        StoreError::Damaged { what: Damage::Format, .. } => "a part of a graph cannot be read",
        StoreError::Damaged { what: Damage::Twice, .. } => "a part of a graph is there twice",
        StoreError::Damaged { what: Damage::Missing, .. } => "a part of a graph is missing",
        StoreError::Damaged { what: Damage::Rule(_), .. } => "a graph breaks a rule that graphs keep",
        _ => "the pages of a graph cannot be read",
    }
}

/// Are all frames of a lane there, and the states that they say they are?
pub(super) fn frames(
    cx: &ExecContext<'_>,
    past: &history::Past,
    snapshot: &pg_storage::Snapshot,
    problem: &mut dyn FnMut(RelId, &'static str),
) -> Result<()> {
    for lane in history::LANES {
        let mut state = Vec::new();
        let mut last: Option<u64> = None;
        for number in 0..past.frames(lane) {
            let mut frame = Vec::new();
            let at = FrameAt { lane, number };
            match past.chain.read(cx.engine.storage(), snapshot, at, &mut frame, &mut || go_on(cx)) {
                Ok(()) => {}
                Err(StoreError::Cancelled) => return Err(interrupted(cx)),
                // It was let go of meanwhile, or will be reported as missing.
                Err(_) if cx.engine.storage().relation_kind(past.chain.index).is_err() => return Ok(()),
                Err(e) => {
                    problem(past.chain.heap, told(&e));
                    break;
                }
            }
            match apply(&frame, &mut state) {
                Ok(tick) if last.is_none_or(|l| l < tick) => last = Some(tick),
                Ok(_) => problem(past.chain.heap, "ticks of a history are not in order"),
                Err(_) => {
                    problem(past.chain.heap, "a frame of a history is damaged");
                    break;
                }
            }
        }
    }
    Ok(())
}
