//! Grouping done by the tasks that read rows: each has groups of its own, which the aggregate puts together in the end.
//!
//! A group remembers the portion of the scan that its first row was in. A portion is read by one task, and a task's portions ascend, so
//! that the groups come out in the order, and with the keys, of the rows' own order. Only aggregates whose states can be put
//! together ([`Accumulator::states`]) are done so. When the groups of all tasks take too much memory, rows are handed on as they are.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pg_functions::{Accumulator, EvalContext, Rows};
use pg_types::{Batch, Result, SqlError, SqlType, Vector, VectorBuilder};
use platform::sync::Mutex;

use super::{
    groups::{Groups, KeyClass},
    stage::{self, Sink, Stage, Worker},
};
use crate::expr::Pure;

/// What an aggregate call computes of a row.
pub(super) struct Argument {
    pub(super) args: Vec<Pure>,
    pub(super) filter: Option<Pure>,
}

/// The groups of one task.
pub(super) struct Part {
    groups: Groups,
    /// First value of each key column by group.
    values: Vec<VectorBuilder>,
    /// Portion of each group's first row.
    pub(super) first: Vec<u32>,
    pub(super) states: Vec<Box<dyn Accumulator>>,
    pub(super) count: usize,
    ids: Vec<u32>,
}

impl Part {
    pub(super) fn new(classes: &[KeyClass], types: &[SqlType], states: Vec<Box<dyn Accumulator>>) -> Self {
        let values = types.iter().map(|t| VectorBuilder::with_capacity(*t, 16)).collect();
        let mut part = Self {
            groups: Groups::new(classes.to_vec()),
            values,
            first: Vec::new(),
            states,
            count: 0,
            ids: Vec::new(),
        };
        if classes.is_empty() {
            part.count = 1;
            part.states.iter_mut().for_each(|s| s.resize(1));
        }
        part
    }

    /// Numbers the groups of a batch's rows.
    fn assign(&mut self, columns: &[Arc<Vector>], b: &Batch, portion: u32) {
        for i in b.selected() {
            let (id, new) = self.groups.group(columns, i);
            if let Some(place) = self.ids.get_mut(i) {
                *place = id;
            }
            if new {
                self.first.push(portion);
                for (v, c) in self.values.iter_mut().zip(columns) {
                    v.extend_from(c, i);
                }
            }
        }
        self.count = self.groups.len();
    }

    fn memory(&self) -> usize {
        let states: usize = self.states.iter().map(|s| s.memory()).sum();
        self.groups.memory() + self.count * (4 + 16 * self.values.len()) + states
    }

    /// The groups' keys; the table of them is let go.
    pub(super) fn keys(&mut self) -> Vec<Arc<Vector>> {
        self.groups = Groups::new(Vec::new());
        core::mem::take(&mut self.values).into_iter().map(|v| Arc::new(v.finish())).collect()
    }
}

/// See the module.
pub(super) struct Partial {
    keys: Vec<Pure>,
    calls: Vec<Argument>,
    /// By the task's number; `None`: taken over.
    parts: Vec<Mutex<Option<Part>>>,
    held: AtomicUsize,
    limit: usize,
    full: AtomicBool,
}

impl Partial {
    pub(super) fn new(keys: Vec<Pure>, calls: Vec<Argument>, parts: Vec<Part>, limit: usize) -> Arc<Self> {
        let parts = parts.into_iter().map(|p| Mutex::new(Some(p))).collect();
        let (held, full) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { keys, calls, parts, held, limit, full })
    }

    /// All tasks' groups. Rows that are still to come are handed on.
    pub(super) fn take(&self) -> Vec<Part> {
        self.full.store(true, Ordering::Relaxed);
        self.parts.iter().filter_map(|p| p.lock().take()).collect()
    }

    /// Bytes that all groups take.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn add(&self, part: &mut Part, b: &Batch, worker: &Worker<'_>) -> Result<()> {
        let cx = EvalContext { host: worker.host };
        part.ids.clear();
        part.ids.resize(b.rows, 0);
        if !self.keys.is_empty() {
            let columns = stage::evaluate(&self.keys, b, worker.host)?;
            part.assign(&columns, b, worker.portion);
        }
        for (call, state) in self.calls.iter().zip(&mut part.states) {
            state.resize(part.count);
            let filtered;
            let mut sel = b.selection.as_deref();
            if let Some(f) = &call.filter {
                filtered = f.filter(b, sel, worker.host)?;
                if filtered.is_empty() {
                    continue;
                }
                sel = Some(&filtered);
            }
            let args = call.args.iter().map(|e| e.vector(b, sel, &cx)).collect::<Result<Vec<_>>>()?;
            state.update(&cx, &part.ids, &args, Rows { count: b.rows, selection: sel })?;
        }
        Ok(())
    }
}

/// The stage; the aggregate keeps the groups.
pub(super) struct Grouping(pub(super) Arc<Partial>);

impl Stage for Grouping {
    fn apply(&self, b: Batch, worker: &Worker<'_>, next: Sink<'_>) -> Result<()> {
        let all = &*self.0;
        let Some(place) = all.parts.get(worker.number) else {
            return Err(SqlError::internal("a task that nobody counted"));
        };
        if !all.full.load(Ordering::Relaxed) {
            let mut place = place.lock();
            if let Some(part) = place.as_mut() {
                let before = part.memory();
                all.add(part, &b, worker)?;
                let more = part.memory().saturating_sub(before);
                if all.held.fetch_add(more, Ordering::Relaxed) + more > all.limit {
                    all.full.store(true, Ordering::Relaxed);
                }
                return Ok(());
            }
        }
        next(b)
    }
}
