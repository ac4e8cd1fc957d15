//! Work on a scan's rows that is done by the tasks which read them.
//!
//! An operator whose part needs no session hands it down as a [`Step`] to whom its rows come from ([`super::Operator::absorb`]): a
//! projection, a filter, looking rows up in a join's table, adding them up by groups. The tasks of a large scan
//! (`parallel_scan`) then take each batch through all steps before it is handed over, so that a whole chain of operators works on
//! all cores. What comes out is in the same order as if one task had done it all. Operators that handed their steps down pass on
//! what they are given; counts are kept in the steps.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};

use pg_types::{Batch, Physical, Result, SqlType};

use crate::{
    context::Rt,
    expr::{Compiled, NoSession, Pure},
};

/// Most rows that steps that yield their rows may make of one row, all together: what tasks have read is held until it is taken.
pub(crate) const MOST_OF_ONE: usize = 64;

/// The task at work.
pub(crate) struct Worker<'a> {
    /// Among those that read the scan; the statement's own is 0.
    pub(crate) number: usize,
    /// Portion of the scan that the rows are of. A task's portions ascend.
    pub(crate) portion: u32,
    pub(crate) host: &'a NoSession<'a>,
    /// Lets others run; an error when nobody waits for the result any more.
    pub(crate) pause: &'a dyn Fn() -> Result<()>,
}

/// Who takes batches.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Batch) -> Result<()>;

/// What is done with a batch.
pub(crate) trait Stage: Send + Sync {
    /// Gives what comes of a batch to `next`.
    fn apply(&self, b: Batch, worker: &Worker<'_>, next: Sink<'_>) -> Result<()>;
}

/// A stage with its counts.
pub(crate) struct Step {
    /// `None`: rows are only counted.
    stage: Option<Box<dyn Stage>>,
    taken: AtomicU64,
    given: AtomicU64,
}

impl Step {
    pub(crate) fn new(stage: impl Stage + 'static) -> Arc<Self> {
        Arc::new(Self { stage: Some(Box::new(stage)), taken: AtomicU64::new(0), given: AtomicU64::new(0) })
    }
    /// Counts rows.
    pub(crate) fn counter() -> Arc<Self> {
        Arc::new(Self { stage: None, taken: AtomicU64::new(0), given: AtomicU64::new(0) })
    }
}

/// Takes a batch through steps.
pub(crate) fn run(steps: &[Arc<Step>], b: Batch, worker: &Worker<'_>, out: Sink<'_>) -> Result<()> {
    let Some((step, rest)) = steps.split_first() else { return out(b) };
    let rows = b.row_count() as u64;
    step.taken.fetch_add(rows, Ordering::Relaxed);
    match &step.stage {
        None => {
            step.given.fetch_add(rows, Ordering::Relaxed);
            run(rest, b, worker, out)
        }
        Some(stage) => stage.apply(b, worker, &mut |b| {
            if b.is_empty() {
                return Ok(());
            }
            step.given.fetch_add(b.row_count() as u64, Ordering::Relaxed);
            run(rest, b, worker, out)
        }),
    }
}

/// The step that an operator handed down, and the rows that went through the operator since.
#[derive(Default)]
pub(crate) struct Handed {
    step: Option<Arc<Step>>,
    passed: u64,
    /// Of steps of earlier runs: rows they yielded beyond what went through the operator, and rows that they kept back.
    beyond: i64,
    kept: u64,
}

impl Handed {
    /// Is its work done below?
    #[inline]
    pub(crate) fn is_down(&self) -> bool {
        self.step.is_some()
    }
    pub(crate) fn begin(&mut self, step: Arc<Step>) {
        self.step = Some(step);
    }
    /// A batch that goes through the operator.
    pub(crate) fn pass(&mut self, b: Option<Batch>) -> Option<Batch> {
        self.passed += b.as_ref().map_or(0, |b| b.row_count() as u64);
        b
    }
    fn now(&self) -> (i64, u64) {
        let Some(step) = &self.step else { return (0, 0) };
        let (taken, given) = (step.taken.load(Ordering::Relaxed), step.given.load(Ordering::Relaxed));
        (given as i64 - self.passed as i64, taken.saturating_sub(given))
    }
    /// The run is over.
    pub(crate) fn end(&mut self) {
        let (beyond, kept) = self.now();
        self.beyond += beyond;
        self.kept += kept;
        self.step = None;
        self.passed = 0;
    }
    /// Rows yielded that did not go through the operator.
    pub(crate) fn beyond(&self) -> i64 {
        self.beyond + self.now().0
    }
    /// Rows that the step did not yield.
    pub(crate) fn kept_back(&self) -> u64 {
        self.kept + self.now().1
    }
}

/// Expressions for any task; `None`: one of them is not.
pub(crate) fn pure(exprs: &[Compiled], types: &[SqlType], rt: &Rt<'_, '_>) -> Option<Vec<Pure>> {
    exprs.iter().map(|e| Pure::of(e, types, rt)).collect()
}

/// Evaluates expressions over a batch's rows.
pub(crate) fn evaluate(
    exprs: &[Pure],
    b: &Batch,
    host: &NoSession<'_>,
) -> Result<Vec<Arc<pg_types::Vector>>> {
    let cx = pg_functions::EvalContext { host };
    exprs.iter().map(|e| e.vector(b, b.selection.as_deref(), &cx)).collect()
}

/// Computes columns.
pub(crate) struct Computing {
    pub(crate) exprs: Vec<Pure>,
    pub(crate) types: Vec<SqlType>,
}

impl Stage for Computing {
    fn apply(&self, b: Batch, worker: &Worker<'_>, next: Sink<'_>) -> Result<()> {
        let mut columns = evaluate(&self.exprs, &b, worker.host)?;
        for (v, ty) in columns.iter_mut().zip(&self.types) {
            if v.ty != *ty && Physical::of(v.ty.oid) == Physical::of(ty.oid) {
                Arc::make_mut(v).ty = *ty;
            }
        }
        next(Batch { columns, rows: b.rows, selection: b.selection })
    }
}

/// Keeps rows for which a condition is true.
pub(crate) struct Keeping(pub(crate) Pure);

impl Stage for Keeping {
    fn apply(&self, b: Batch, worker: &Worker<'_>, next: Sink<'_>) -> Result<()> {
        let kept = self.0.filter(&b, b.selection.as_deref(), worker.host)?;
        if kept.is_empty() { Ok(()) } else { next(b.with_selection(kept)) }
    }
}
