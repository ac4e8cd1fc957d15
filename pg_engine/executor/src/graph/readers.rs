//! Readers: named snapshots of graphs, which any session may ask until they are closed.
//!
//! They are kept in memory and end with the system.

use alloc::{collections::BTreeMap, format, string::String, sync::Arc, vec::Vec};

use dagdb_store::Stored;
use pg_types::{Result, SqlError, SqlState};
use platform::sync::Mutex;

use super::{current, read};
use crate::context::ExecContext;

/// Readers that may be open at a time: each keeps a graph in memory.
const MOST: usize = 64;

/// The open readers.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    open: Mutex<BTreeMap<String, Reader>>,
}

#[derive(Clone, Debug)]
struct Reader {
    /// The graph's name.
    name: String,
    stored: Arc<Stored>,
}

fn none(id: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("reader \"{id}\" does not exist"))
}

impl Readers {
    fn get(&self, id: &str) -> Result<Reader> {
        self.open.lock().get(id).cloned().ok_or_else(|| none(id))
    }
}

/// `OPEN_READER`: what is committed of the current graph, from now on the same.
pub(super) fn open(cx: &ExecContext<'_>) -> Result<String> {
    let stored = read(cx, &cx.engine.catalog().latest())?;
    let mut bits = [0; 8];
    platform::entropy::fill(&mut bits);
    let id = format!("r{:016x}", u64::from_le_bytes(bits));
    let reader = Reader { name: current(cx), stored };
    let ticks = reader.stored.network.ticks();
    let mut open = cx.engine.graph_readers().open.lock();
    if open.len() >= MOST {
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many readers are open")
            .detail(format!("There may be {MOST}."))
            .hint("LIST_READERS shows them; CLOSE_READER ends one."));
    }
    open.insert(id.clone(), reader);
    Ok(format!("OK OPEN_READER id={id} tick={ticks} open_sessions={}", open.len()))
}

/// `CLOSE_READER`
pub(super) fn close(cx: &ExecContext<'_>, id: &str) -> Result<String> {
    // Its graph is let go of after the lock.
    let mut open = cx.engine.graph_readers().open.lock();
    let reader = open.remove(id).ok_or_else(|| none(id))?;
    let left = open.len();
    drop(open);
    drop(reader);
    Ok(format!("OK CLOSE_READER id={id} open_sessions={left}"))
}

/// `LIST_READERS`
pub(super) fn list(cx: &ExecContext<'_>) -> Vec<String> {
    let open = cx.engine.graph_readers().open.lock();
    let line = |(id, r): (&String, &Reader)| {
        let network = &r.stored.network;
        format!("OK READER id={id} graph={} tick={}", r.name, network.ticks())
    };
    open.iter().map(line).collect()
}

/// What a reader sees.
pub(super) fn seen(cx: &ExecContext<'_>, id: &str) -> Result<Arc<Stored>> {
    cx.engine.graph_readers().get(id).map(|r| r.stored)
}
