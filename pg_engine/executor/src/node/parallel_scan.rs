//! Sequential scans that several cores share.
//!
//! A large table is read in portions of pages (`portions`), which are decoded and filtered by who reads them; the operator yields
//! them in the table's order, so that a scan's rows come as if one task had read them.

use alloc::{sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use pg_catalog::{Relation, storage_error};
use pg_plan::expr::Expr;
use pg_storage::{RelationActivity, Snapshot, Storage};
use pg_types::{Batch, Result, SqlType};

use super::{
    Compiler, Operator,
    key_set::Wanted,
    needed,
    portions::{Portions, Running},
    row_reader::{Gate, KeyGate, RowReader},
    scan::SeqScan,
    stage::{self, Handed, Step, Worker},
};
use crate::{
    context::Rt,
    expr::{Compiled, NoSession, Pure, is_pure},
};

/// Pages of a portion.
const PORTION: u32 = 64;
/// Time for reading a page from which on the device, not copying, is what takes it.
const SLOW_PAGE: Duration = Duration::from_micros(12);
/// Pages from which on a table is worth it.
const LARGE: u32 = 512;

/// What every task needs to read a portion.
struct Source {
    storage: Arc<Storage>,
    relation: Arc<Relation>,
    snapshot: Snapshot,
    columns: Vec<i16>,
    unread: Vec<usize>,
    filter: Option<Pure>,
    /// Bounds that the filter sets: rows outside need not be decoded.
    gate: Option<Gate>,
    /// What joins above have no partners for need not be decoded either.
    keys: Vec<KeyGate>,
    /// Pages in all.
    pages: u32,
    /// Reading the last portion took so long that others should be asked for before they are needed.
    slow: AtomicBool,
    /// Pages between a portion and the one that the same task is likely to read next.
    stride: u32,
    activity: RelationActivity,
    filtered: AtomicU64,
    unwanted: AtomicU64,
    /// What is done with the rows before they are handed over.
    steps: Vec<Arc<Step>>,
    /// Columns that only the filter reads are not handed over.
    needed: Option<Arc<[bool]>>,
    /// Nobody waits for portions any more.
    stop: Arc<AtomicBool>,
}

impl Portions for Source {
    fn portions(&self) -> u32 {
        self.pages.div_ceil(PORTION)
    }

    fn stop(&self) -> &AtomicBool {
        &self.stop
    }
    fn read(&self, portion: u32, task: usize, pause: &dyn Fn() -> Result<()>) -> Result<Vec<Batch>> {
        let first = portion * PORTION;
        let pages = first..self.pages.min(first.saturating_add(PORTION));
        let scan = self.storage.heap_scan(self.relation.storage, &self.snapshot, Some(pages));
        let mut scan = scan.map_err(storage_error)?;
        scan.read_by_many();
        if self.slow.load(Ordering::Relaxed) {
            // What is read while pages at hand are worked on need not be waited for.
            let ahead = first.saturating_add(self.stride);
            scan.announce(ahead..self.pages.min(ahead.saturating_add(PORTION)));
        }
        let mut reader = RowReader::new(&self.relation, &self.columns)?;
        reader.set_lazy(&self.unread);
        reader.set_gate(self.gate);
        if !self.keys.is_empty() {
            reader.set_keys(self.keys.clone());
            reader.judge_keys();
        }
        let host = NoSession::new(pause);
        let worker = Worker { number: task, portion, host: &host, pause };
        let mut out = Vec::new();
        let mut done = false;
        while !done {
            pause()?;
            done = reader.fill(&mut scan, &self.storage, &mut || pause())?;
            let b = reader.finish(&self.storage)?;
            let refused = core::mem::take(&mut reader.refused);
            self.filtered.fetch_add(refused, Ordering::Relaxed);
            let unwanted = core::mem::take(&mut reader.unwanted);
            self.unwanted.fetch_add(unwanted, Ordering::Relaxed);
            self.activity.seq_rows.fetch_add(refused + unwanted, Ordering::Relaxed);
            self.activity.seq_rows.fetch_add(b.rows as u64, Ordering::Relaxed);
            let mut b = match &self.filter {
                Some(f) if b.rows > 0 => {
                    let kept = f.filter(&b, None, &host)?;
                    self.filtered.fetch_add((b.rows - kept.len()) as u64, Ordering::Relaxed);
                    b.with_selection(kept)
                }
                _ => b,
            };
            if self.needed.is_some() {
                b.columns = needed::only(&b.columns, self.needed.as_deref());
            }
            if !b.is_empty() {
                stage::run(&self.steps, b, &worker, &mut |b| {
                    // What waits to be taken need not hold what nobody wants.
                    let sparse = b.row_count() * 4 < b.rows;
                    out.push(if sparse { b.compact() } else { b });
                    Ok(())
                })?;
            }
        }
        reader.judge_keys();
        self.slow.store(scan.waited() > SLOW_PAGE * PORTION, Ordering::Relaxed);
        Ok(out)
    }
}

/// A scan of a table that was large when it was planned for.
pub(super) struct ParallelScan {
    relation: Arc<Relation>,
    columns: Vec<i16>,
    unread: Vec<usize>,
    /// What any task can evaluate, and what only this one can.
    shared: Vec<Expr>,
    own: Option<Compiled>,
    /// In this run, that condition is this task's to evaluate.
    own_left: bool,
    types: Vec<SqlType>,
    running: Option<(Running, Arc<Source>)>,
    batches: alloc::vec::IntoIter<Batch>,
    filtered: u64,
    unwanted: u64,
    /// Evaluating the conditions does something: they must see all rows.
    volatile: bool,
    /// What joins above have partners for, told for this run.
    keys: Vec<KeyGate>,
    /// Reads alone where that is what it takes.
    alone: SeqScan,
    is_alone: bool,
    handed: Handed,
    /// Columns that someone above looks at, if not all.
    needed: Option<Arc<[bool]>>,
}

impl ParallelScan {
    /// For a table that seems large enough.
    pub(super) fn suits(relation: &Relation, c: &Compiler<'_>) -> bool {
        relation.page_estimate >= LARGE && relation.kind.is_stored() && !c.is_recheck()
    }

    pub(super) fn new(
        relation: &Arc<Relation>,
        (columns, types): (&[i16], &[SqlType]),
        filter: Option<&Expr>,
        unread: &[usize],
        c: &mut Compiler<'_>,
    ) -> Result<Self> {
        let alone = SeqScan::new(relation, columns, c.option(filter)?, unread)?;
        let conjuncts = filter.cloned().map(Expr::conjuncts).unwrap_or_default();
        let (shared, own): (Vec<_>, Vec<_>) = conjuncts.into_iter().partition(is_pure);
        Ok(Self {
            relation: Arc::clone(relation),
            columns: columns.to_vec(),
            unread: unread.to_vec(),
            shared,
            own: c.option(Expr::all_of(own).as_ref())?,
            own_left: false,
            types: types.to_vec(),
            running: None,
            batches: Vec::new().into_iter(),
            filtered: 0,
            unwanted: 0,
            volatile: filter.is_some_and(Expr::volatile),
            keys: Vec::new(),
            alone,
            is_alone: false,
            handed: Handed::default(),
            needed: None,
        })
    }

    /// Only these columns are looked at above, and by the conditions.
    pub(super) fn yielding(mut self, needed: Option<&[bool]>) -> Self {
        self.needed = needed.filter(|n| n.contains(&false)).map(Arc::from);
        self
    }

    /// Are there large values in columns that are looked at? A portion of rows with them can be of any size.
    fn reads_large_values(&self, rt: &Rt<'_, '_>) -> bool {
        let Some(toast) = &self.relation.toast else { return false };
        let some = rt.storage().relation_stats(toast.heap).map_or(true, |s| s.pages > 0);
        let looked_at = |attnum: i16| {
            let at = self.relation.attributes.iter().position(|a| a.attnum == attnum);
            at.is_some_and(|at| {
                let large = self.relation.attributes.get(at).is_some_and(|a| a.storage != b'p');
                large && !self.unread.contains(&at)
            })
        };
        some && self.columns.iter().any(|c| looked_at(*c))
    }

    /// Begins, with steps that are taken with its rows; false: alone, without them.
    fn start(&mut self, steps: Vec<Arc<Step>>, rt: &Rt<'_, '_>) -> Result<bool> {
        let settled = self.settled(rt);
        self.own_left = self.own.is_some() && settled.is_none();
        if self.own_left && !steps.is_empty() {
            return Ok(false);
        }
        let shared = self.offer(steps, settled, rt)?;
        if !shared {
            self.is_alone = true;
            self.alone.set_keys(core::mem::take(&mut self.keys));
        }
        Ok(shared)
    }

    /// What only this task could evaluate, for any: subqueries in it have been run.
    fn settled(&mut self, rt: &Rt<'_, '_>) -> Option<Pure> {
        let own = self.own.as_mut().filter(|own| Pure::may_settle(own))?;
        let types = &self.types;
        if Pure::settle(own, rt) { Pure::of(own, types, rt) } else { None }
    }

    fn offer(&mut self, steps: Vec<Arc<Step>>, settled: Option<Pure>, rt: &Rt<'_, '_>) -> Result<bool> {
        let helpers = rt.cx.engine.scan_helpers();
        if helpers.workers() < 2 || Storage::watches(rt.snapshot) || self.reads_large_values(rt) {
            return Ok(false);
        }
        let whole =
            rt.storage().heap_scan(self.relation.storage, rt.snapshot, None).map_err(storage_error)?;
        let pages = whole.end();
        if pages < LARGE {
            return Ok(false);
        }
        let activity = rt.storage().activity(self.relation.storage).map_err(storage_error)?;
        activity.seq_scans.fetch_add(1, Ordering::Relaxed);
        let mut conditions = Vec::with_capacity(self.shared.len() + 1);
        for e in &self.shared {
            conditions.push(Pure::new(e, rt.cx.params)?);
        }
        conditions.extend(settled);
        let gate = bounds(&conditions).and_then(|(column, low, high)| {
            let attribute = usize::try_from(self.columns.get(column)?.checked_sub(1)?).ok()?;
            Some(Gate { attribute, low, high })
        });
        let source = Arc::new(Source {
            storage: Arc::clone(rt.storage()),
            relation: Arc::clone(&self.relation),
            snapshot: rt.snapshot.clone(),
            columns: self.columns.clone(),
            unread: self.unread.clone(),
            filter: (!conditions.is_empty()).then_some(Pure::And(conditions)),
            gate,
            keys: core::mem::take(&mut self.keys),
            pages,
            slow: AtomicBool::new(false),
            stride: PORTION.saturating_mul(u32::try_from(helpers.workers()).unwrap_or(1)),
            activity,
            filtered: AtomicU64::new(0),
            unwanted: AtomicU64::new(0),
            steps,
            needed: self.needed.clone().filter(|_| !self.own_left),
            stop: Arc::default(),
        });
        self.running = Some((helpers.offer(Arc::clone(&source) as _), source));
        Ok(true)
    }
}

/// The first column that conditions bound from both sides, or from one, with the bounds.
fn bounds(conditions: &[Pure]) -> Option<(usize, i32, i32)> {
    let all: Vec<_> = conditions.iter().filter_map(Pure::bound).collect();
    let merged = |column: usize| {
        let own = all.iter().filter(|b| b.0 == column);
        own.fold((column, i32::MIN, i32::MAX), |(c, low, high), b| (c, low.max(b.1), high.min(b.2)))
    };
    let both = all.iter().map(|b| merged(b.0)).find(|b| b.1 > i32::MIN && b.2 < i32::MAX);
    both.or_else(|| all.first().map(|b| merged(b.0)))
}

impl Operator for ParallelScan {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.running.is_none() && !self.is_alone {
            self.start(Vec::new(), rt)?;
        }
        if self.is_alone {
            return self.alone.next(rt);
        }
        let Some((running, _)) = &self.running else { return Ok(None) };
        loop {
            let Some(mut b) = self.batches.next() else {
                match running.next(rt)? {
                    Some(batches) => self.batches = batches.into_iter(),
                    None => return Ok(None),
                }
                continue;
            };
            if let Some(f) = self.own.as_mut().filter(|_| self.own_left) {
                let before = b.row_count();
                let kept = f.filter(&b, b.selection.as_deref(), rt)?;
                self.filtered += (before - kept.len()) as u64;
                b = b.with_selection(kept);
            }
            if !b.is_empty() {
                return Ok(self.handed.pass(Some(b)));
            }
        }
    }
    fn absorbs(&self) -> bool {
        let own = self.own.as_ref();
        self.running.is_none() && !self.is_alone && own.is_none_or(Pure::may_settle)
    }
    fn absorb(&mut self, steps: &[Arc<Step>], _most: usize, rt: &Rt<'_, '_>) -> Result<bool> {
        let own = Step::counter();
        let mut all = Vec::with_capacity(steps.len() + 1);
        all.push(Arc::clone(&own));
        all.extend_from_slice(steps);
        let shared = self.start(all, rt)?;
        if shared {
            self.handed.begin(own);
        }
        Ok(shared)
    }
    fn beyond(&self) -> i64 {
        self.handed.beyond()
    }
    fn reset(&mut self) {
        self.handed.end();
        if let Some((running, source)) = self.running.take() {
            drop(running);
            self.filtered += source.filtered.load(Ordering::Relaxed);
            self.unwanted += source.unwanted.load(Ordering::Relaxed);
        }
        self.keys.clear();
        self.batches = Vec::new().into_iter();
        self.own.iter_mut().for_each(Compiled::reset);
        self.is_alone = false;
        self.alone.reset();
    }
    fn filtered(&self) -> u64 {
        let now = self.running.as_ref().map_or(0, |(_, source)| source.filtered.load(Ordering::Relaxed));
        self.filtered + now + self.alone.filtered()
    }
    fn unwanted(&self) -> u64 {
        let now = self.running.as_ref().map_or(0, |(_, source)| source.unwanted.load(Ordering::Relaxed));
        self.unwanted + now + self.alone.unwanted()
    }
    fn narrows(&self, column: usize) -> bool {
        let begun = self.running.is_some() || self.is_alone;
        !begun && !self.volatile && self.columns.get(column).is_some_and(|attnum| *attnum > 0)
    }
    fn narrow(&mut self, wanted: Wanted) {
        let attnum = self.columns.get(wanted.column);
        self.keys.extend(attnum.and_then(|attnum| KeyGate::new(*attnum, &wanted.keys)));
    }
}
