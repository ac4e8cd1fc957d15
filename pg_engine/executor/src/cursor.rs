//! Running one planned query.

use alloc::{sync::Arc, vec::Vec};
use core::cell::{Cell, RefCell};

use pg_plan::statement::{Command, Planned};
use pg_storage::Snapshot;
use pg_types::{Batch, Result, Value};

use crate::{
    context::{ExecContext, Rt},
    expr::Outcome,
    node::{Compiler, Exec, NodeStats, Store},
};

/// A common table expression: run as far as it is read, its rows kept for the run.
pub(crate) struct Cte {
    pub(crate) exec: Exec,
    pub(crate) rows: Store,
    /// All rows are there.
    pub(crate) done: bool,
}

impl Cte {
    fn reset(&mut self) {
        self.rows.clear();
        self.done = false;
        self.exec.reset();
    }
}

/// Runs changes to their ends.
fn finish_changes(changes: &[usize], rt: &Rt<'_, '_>) -> Result<()> {
    for n in changes {
        let Some(cell) = rt.ctes.get(*n) else { continue };
        let mut cte = cell.borrow_mut();
        while !cte.done {
            match cte.exec.next(rt)? {
                Some(b) => cte.rows.push(b, rt)?,
                None => cte.done = true,
            }
        }
    }
    Ok(())
}

/// Most times a locking statement begins anew because rows changed under it.
const MAX_RESTARTS: u32 = 100;

/// A planned query with everything needed to run it, reusable: `open`, `next` until `None`, `open` again.
/// A portal keeps it between Execute messages; a prepared statement keeps it between runs.
pub struct Cursor {
    planned: Arc<Planned>,
    root: Exec,
    ctes: Vec<RefCell<Cte>>,
    slots: RefCell<Vec<Value>>,
    snapshot: Option<Snapshot>,
    memory: Cell<usize>,
    /// Number of the run.
    run: u64,
    affected: Cell<u64>,
    yielded: bool,
    done: bool,
    /// Its operators are not as after a reset.
    used: bool,
    restarts: u32,
    fixed: RefCell<Vec<Option<Outcome>>>,
    instrument: bool,
    feed: RefCell<Option<Batch>>,
    more: bool,
}

impl Cursor {
    /// Prepares the plan's operators.
    pub fn new(planned: &Arc<Planned>) -> Result<Self> {
        let mut c = Compiler::new(planned.slots);
        let root = Exec::new(&planned.root, &mut c)?;
        let mut ctes = Vec::with_capacity(planned.ctes.len());
        for cte in &planned.ctes {
            ctes.push(RefCell::new(Cte {
                exec: Exec::new(cte, &mut c)?,
                rows: Store::default(),
                done: false,
            }));
        }
        Ok(Self {
            planned: planned.clone(),
            root,
            ctes,
            slots: RefCell::new(Vec::new()),
            snapshot: None,
            memory: Cell::new(0),
            run: 0,
            affected: Cell::new(0),
            yielded: false,
            done: false,
            used: false,
            restarts: 0,
            fixed: RefCell::new(Vec::new()),
            instrument: false,
            feed: RefCell::new(None),
            more: false,
        })
    }
    /// The plan.
    pub fn planned(&self) -> &Arc<Planned> {
        &self.planned
    }
    /// Counts rows, loops and time per operator from the next `open` on (EXPLAIN ANALYZE).
    pub fn instrument(&mut self) {
        self.instrument = true;
    }
    /// Gives the rows that the plan's VALUES without rows yields in the next run (COPY FROM: an INSERT of such VALUES).
    /// [`Self::feed_end`] must follow the last one.
    pub fn feed(&mut self, batch: Batch) {
        *self.feed.get_mut() = Some(batch);
        self.more = true;
    }
    /// All rows were given: the next run, without any, does what is to be done with all of them.
    pub fn feed_end(&mut self) {
        self.more = false;
    }
    /// Begins a run: takes the snapshot, forgets the previous run.
    pub fn open(&mut self, cx: &ExecContext<'_>) -> Result<()> {
        if let Some(e) = &self.planned.denied {
            return Err((**e).clone());
        }
        if self.planned.lasting {
            let command = match self.planned.command {
                Command::Select => "SELECT FOR UPDATE",
                Command::Insert => "INSERT",
                Command::Update => "UPDATE",
                Command::Delete => "DELETE",
                Command::Merge => "MERGE",
                Command::Call => "CALL",
            };
            cx.txn.borrow().check_writable(command)?;
        }
        cx.txn.borrow_mut().prepare_snapshot()?;
        self.affected.set(0);
        self.restarts = 0;
        self.rewind(cx);
        Ok(())
    }
    /// As [`Self::open`], but sees all that is committed at this moment, whatever the isolation level.
    pub(crate) fn open_latest(&mut self, cx: &ExecContext<'_>) -> Result<()> {
        self.open(cx)?;
        self.snapshot = Some(cx.txn.borrow_mut().latest_snapshot());
        Ok(())
    }
    /// As [`Self::open`], but sees what a snapshot does.
    pub(crate) fn open_at(&mut self, cx: &ExecContext<'_>, snapshot: &Snapshot) -> Result<()> {
        self.open(cx)?;
        self.snapshot = Some(snapshot.clone());
        Ok(())
    }
    fn rewind(&mut self, cx: &ExecContext<'_>) {
        self.snapshot = Some(cx.txn.borrow_mut().snapshot());
        self.again();
    }
    /// Gives the rows of a query that changes nothing anew, from the first, as the run's snapshot sees them.
    pub fn again(&mut self) {
        self.memory.set(0);
        self.run += 1;
        self.yielded = false;
        self.done = false;
        self.reset();
    }
    #[inline]
    fn reset(&mut self) {
        if !core::mem::take(&mut self.used) {
            return;
        }
        self.fixed.get_mut().clear();
        self.root.reset();
        for cte in &mut self.ctes {
            cte.get_mut().reset();
        }
    }
    /// Is it known that there are no more rows?
    #[inline]
    pub fn is_done(&self) -> bool {
        self.done
    }
    /// The next rows; `None` at the end. A data-changing plan without RETURNING does all its work in the first call
    /// and yields `None`.
    pub fn next(&mut self, cx: &ExecContext<'_>) -> Result<Option<Batch>> {
        if self.done {
            return Ok(None);
        }
        self.used = true;
        loop {
            let restart = Cell::new(false);
            let step = match &self.snapshot {
                None => return Ok(None),
                Some(snapshot) => {
                    let rt = Rt {
                        cx,
                        slots: &self.slots,
                        snapshot,
                        ctes: &self.ctes,
                        memory: &self.memory,
                        run: self.run,
                        restart: &restart,
                        fixed: &self.fixed,
                        instrument: self.instrument,
                        feed: &self.feed,
                        more: self.more,
                    };
                    match self.root.next(&rt) {
                        // What nobody has read of changes in WITH is done behind the statement itself.
                        Ok(None) => finish_changes(&self.planned.changing_ctes, &rt).map(|()| None),
                        step => step,
                    }
                }
            };
            // Changes that were made in WITH are not made again.
            let again = self.planned.changing_ctes.is_empty() && !self.yielded;
            match step {
                Err(_) if restart.get() && again && self.restarts < MAX_RESTARTS => {
                    self.restarts += 1;
                    self.rewind(cx);
                }
                Err(e) => {
                    self.done = true;
                    return Err(e);
                }
                Ok(Some(b)) => {
                    self.affected.set(self.root.affected());
                    if b.is_empty() {
                        continue;
                    }
                    self.yielded = true;
                    // Nothing is left to be done at the end but to find it.
                    self.done = self.root.is_ended() && self.planned.read_only && self.ctes.is_empty();
                    return Ok(Some(b));
                }
                Ok(None) => {
                    self.affected.set(self.root.affected());
                    self.done = true;
                    if !self.planned.read_only {
                        cx.txn.borrow_mut().storage().next_command();
                    }
                    return Ok(None);
                }
            }
        }
    }
    /// Rows inserted, updated or deleted by this run (for the command tag).
    pub fn affected(&self) -> u64 {
        self.affected.get()
    }
    /// Counters per operator, in the plan's order (each operator, then its inputs); common table expressions first.
    pub fn stats(&self) -> Vec<NodeStats> {
        let mut out = Vec::new();
        for cte in &self.ctes {
            cte.borrow().exec.collect_stats(&mut out);
        }
        self.root.collect_stats(&mut out);
        out
    }
    /// Ends the run early or late, letting go of pins and snapshots. The cursor may be opened again.
    pub fn close(&mut self) {
        self.done = true;
        self.reset();
        self.snapshot = None;
    }
}
