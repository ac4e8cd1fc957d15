//! What long work on graphs is doing, for whoever looks at `dagdb_progress`.

use alloc::{string::String, sync::Arc, vec, vec::Vec};
use core::{
    sync::atomic::{AtomicU8, AtomicU64, Ordering},
    time::Duration,
};

use pg_types::Value;
use platform::{sync::Mutex, time};

use crate::context::ExecContext;

/// What is done at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The graph's pieces are read.
    Reading,
    /// It ticks, or is edited, or made.
    Working,
    /// Pieces that changed are written; these are counted, not said beforehand.
    Writing,
    /// Rows come that a graph is made of.
    Collecting,
    /// A graph is made of them.
    Building,
}

impl Phase {
    const NAMES: [&'static str; 5] = ["reading", "working", "writing", "collecting", "building"];
}

/// A change of a graph.
pub(super) struct Item {
    pid: i32,
    graph: String,
    command: String,
    begun: Duration,
    phase: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
}

impl Item {
    /// Says what is done now.
    pub(super) fn phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
        if phase == Phase::Writing {
            self.done.store(0, Ordering::Relaxed);
            self.total.store(0, Ordering::Relaxed);
        }
    }

    /// So many ticks, or pieces to write, are to be done.
    pub(super) fn expect(&self, total: u64) {
        self.total.fetch_add(total, Ordering::Relaxed);
    }

    /// So many more are done, of ticks, rows or pieces.
    pub(super) fn did(&self, more: u64) {
        self.done.fetch_add(more, Ordering::Relaxed);
    }
}

/// All changes that are under way.
#[derive(Default)]
pub(crate) struct Progress {
    list: Mutex<Vec<Arc<Item>>>,
}

/// Shows an item for as long as it lives.
pub(super) struct Shown<'a> {
    list: &'a Progress,
    pub(super) item: Arc<Item>,
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.list.list.lock().retain(|i| !Arc::ptr_eq(i, &self.item));
    }
}

impl Progress {
    /// A change of a graph begins.
    pub(super) fn show<'a>(&'a self, cx: &ExecContext<'_>, graph: &str, command: &str) -> Shown<'a> {
        let item = Arc::new(Item {
            pid: cx.session.backend_pid(),
            graph: graph.into(),
            command: command.into(),
            begun: time::monotonic(),
            phase: AtomicU8::new(Phase::Reading as u8),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
        });
        self.list.lock().push(item.clone());
        Shown { list: self, item }
    }

    /// The rows of `dagdb_progress`.
    pub(crate) fn rows(&self) -> Vec<Vec<Value>> {
        let now = time::monotonic();
        let row = |i: &Arc<Item>| {
            let phase = Phase::NAMES.get(usize::from(i.phase.load(Ordering::Relaxed))).copied();
            let count = |c: &AtomicU64| Value::Int8(c.load(Ordering::Relaxed) as i64);
            vec![
                Value::Int4(i.pid),
                Value::text(&i.graph),
                Value::text(&i.command),
                phase.map_or(Value::Null, Value::text),
                count(&i.done),
                count(&i.total),
                Value::Float8(now.saturating_sub(i.begun).as_secs_f64() * 1e3),
            ]
        };
        self.list.lock().iter().map(row).collect()
    }
}
