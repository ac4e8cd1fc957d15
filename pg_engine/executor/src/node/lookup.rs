//! Rows of a nested loop's right side, found through an index for many left rows at a time, and by several tasks.
//!
//! Instead of starting the right side anew for each left row, batches of left rows are cut in portions (`portions`); whoever
//! does one encodes its rows' keys, looks them up, fetches what they lead to and evaluates the conditions on all pairs together.
//! This is for right sides that only an index on equal keys finds, with conditions that any task can evaluate.

use alloc::{sync::Arc, vec::Vec};
use core::{
    ops::Range,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use pg_catalog::{Index, Relation, keys, storage_error};
use pg_plan::{
    expr::Expr,
    logical::JoinKind,
    physical::{IndexRange, Node, Physical},
};
use pg_storage::{KeyBound, RelationActivity, ScanDirection, Snapshot, Storage, Tid, VisiblePages};
use pg_types::{Batch, Result, SqlType, Vector, vector::BATCH_ROWS};

mod grouped;

pub(crate) use grouped::{Grouped, GroupedRun};

use super::{
    Compiler, Exec, needed,
    portions::{Portions, Running},
    row_reader::RowReader,
    stage::{self, Sink},
};
use crate::{
    context::Rt,
    expr::{Compiled, NoSession, Pure},
    graph::is_graph,
};

/// Left rows from which on it is worth it.
pub(super) const WORTH: usize = 32;
/// Most left rows that are looked up together, and their bytes.
const MOST: usize = 4 * BATCH_ROWS;
const MOST_BYTES: usize = 1 << 20;
/// Pages that are asked for together.
const TOGETHER: usize = 32;
/// Time for a row within which asking for pages beforehand costs more than it saves, while they are not asked for.
const NEAR: Duration = Duration::from_micros(12);
/// Left rows of a portion.
const PORTION: Range<usize> = 4..128;

/// What is looked up, as the plan has it.
pub(super) struct Lookup {
    relation: Arc<Relation>,
    index: Arc<Index>,
    columns: Vec<i16>,
    only: bool,
    exists: Option<bool>,
    /// Values of the index's leading columns, over left's columns.
    keys: Vec<Compiled>,
    /// Over left's columns, then right's: the right side's own, and the join's.
    filter: Option<Compiled>,
    on: Option<Compiled>,
    left: Vec<SqlType>,
    both: Vec<SqlType>,
    /// Columns that someone looks at, if not all.
    needed: Option<Vec<bool>>,
    numbered: bool,
}

/// A right side's expression over left's columns, then right's.
fn over_both(e: &mut Expr, slots: &[(u32, Expr)], width: u32) {
    match e {
        Expr::Slot(n, ty) => {
            if let Some((_, left)) = slots.iter().find(|(slot, left)| slot == n && left.ty().oid == ty.oid) {
                *e = left.clone();
            }
        }
        Expr::Column(n, _) => *n += width,
        e => e.for_each_child_mut(&mut |e| over_both(e, slots, width)),
    }
}

impl Lookup {
    /// Of such a join, if it can be done so.
    pub(super) fn of(
        kind: JoinKind,
        (left, right): (&[SqlType], &Physical),
        slots: &[(u32, Expr)],
        on: Option<&Expr>,
        needed: Option<&[bool]>,
        c: &mut Compiler<'_>,
    ) -> Result<Option<Self>> {
        let Node::IndexScan {
            relation, index, range, backward: false, only, columns, key: None, filter, ..
        } = &right.node
        else {
            return Ok(None);
        };
        let IndexRange {
            equal,
            lower: None,
            upper: None,
            is_null: false,
            not_null: false,
            any_of: None,
            skip: 0,
            distinct: 0,
        } = range
        else {
            return Ok(None);
        };
        let exists = match kind {
            JoinKind::Inner if !only => None,
            JoinKind::Semi if filter.is_none() && on.is_none() => Some(true),
            JoinKind::Anti if filter.is_none() && on.is_none() => Some(false),
            _ => return Ok(None),
        };
        let mut exprs = equal.iter().chain(filter).chain(on).chain(slots.iter().map(|(_, e)| e));
        if equal.is_empty() || is_graph(relation) || c.is_recheck() || exprs.any(Expr::volatile) {
            return Ok(None);
        }
        let width = left.len() as u32;
        let rewritten = |e: &Expr| {
            let mut e = e.clone();
            over_both(&mut e, slots, width);
            e
        };
        let equal: Vec<Expr> = equal.iter().map(rewritten).collect();
        let filter = filter.as_ref().map(rewritten);
        let needed = needed.map(|needed| {
            let mut needed = needed.to_vec();
            filter.iter().chain(on).for_each(|e| needed::mark(e, &mut needed));
            needed
        });
        Ok(Some(Self {
            relation: Arc::clone(relation),
            index: Arc::clone(index),
            columns: columns.clone(),
            only: *only,
            exists,
            keys: c.exprs(&equal)?,
            filter: c.option(filter.as_ref())?,
            on: c.option(on)?,
            left: left.to_vec(),
            both: left.iter().chain(&right.types).copied().collect(),
            needed,
            numbered: false,
        }))
    }

    /// For this run; `None`: only the statement's own task can evaluate what it takes, or must see each row it reads.
    pub(super) fn begin(&self, rt: &Rt<'_, '_>) -> Result<Option<Many>> {
        let Some(finder) = self.finder(rt)? else { return Ok(None) };
        Ok(Some(Many {
            finder: Arc::new(finder),
            running: None,
            batches: Vec::new().into_iter(),
            first: None,
            wanted: WORTH,
            asked: 0,
            found: 0,
            done: false,
        }))
    }

    fn finder(&self, rt: &Rt<'_, '_>) -> Result<Option<Finder>> {
        let storage = rt.storage();
        let usable = storage.index_usable(self.index.storage, rt.snapshot).map_err(storage_error)?;
        if Storage::watches(rt.snapshot) || !usable || self.has_large_values(rt) {
            return Ok(None);
        }
        let both = |e: &Option<Compiled>| e.as_ref().map(|e| Pure::of(e, &self.both, rt));
        let (filter, on) = (both(&self.filter), both(&self.on));
        let Some(keys) = stage::pure(&self.keys, &self.left, rt) else { return Ok(None) };
        if matches!(filter, Some(None)) || matches!(on, Some(None)) {
            return Ok(None);
        }
        let visible = self.only.then(|| storage.visible_pages(self.relation.storage)).transpose();
        let activity = |rel| storage.activity(rel).map_err(storage_error);
        let all = self.index.keys.len();
        Ok(Some(Finder {
            storage: Arc::clone(storage),
            snapshot: rt.snapshot.clone(),
            relation: Arc::clone(&self.relation),
            index: Arc::clone(&self.index),
            columns: self.columns.clone(),
            visible: visible.map_err(storage_error)?,
            exists: self.exists,
            whole: keys.len() == all && all == self.index.key_count,
            keys,
            filter: filter.flatten(),
            on: on.flatten(),
            needed: self.needed.clone(),
            numbered: self.numbered,
            activity: (activity(self.index.storage)?, activity(self.relation.storage)?),
            counts: Counts::default(),
            near: AtomicBool::new(true),
        }))
    }

    /// Are there large values in columns that are looked at? They are fetched by who may be asked to stop doing so.
    fn has_large_values(&self, rt: &Rt<'_, '_>) -> bool {
        let Some(toast) = &self.relation.toast else { return false };
        let some = rt.storage().relation_stats(toast.heap).map_or(true, |s| s.pages > 0);
        let large =
            |attnum: &i16| self.relation.attributes.iter().any(|a| a.attnum == *attnum && a.storage != b'p');
        some && self.columns.iter().any(large)
    }

    pub(super) fn reset(&mut self) {
        self.keys.iter_mut().chain(&mut self.filter).chain(&mut self.on).for_each(Compiled::reset);
    }
}

/// What was done: for EXPLAIN ANALYZE.
#[derive(Default)]
struct Counts {
    rows: AtomicU64,
    filtered: AtomicU64,
    fetched: AtomicU64,
}

/// For any task.
struct Finder {
    storage: Arc<Storage>,
    snapshot: Snapshot,
    relation: Arc<Relation>,
    index: Arc<Index>,
    columns: Vec<i16>,
    /// Of an index-only scan.
    visible: Option<VisiblePages>,
    /// Left rows are yielded that have a match (or have none), not pairs.
    exists: Option<bool>,
    /// The keys are all of the index's.
    whole: bool,
    keys: Vec<Pure>,
    filter: Option<Pure>,
    on: Option<Pure>,
    needed: Option<Vec<bool>>,
    /// Behind its columns, a pair has the number of its left row.
    numbered: bool,
    /// Of the index and the table.
    activity: (RelationActivity, RelationActivity),
    counts: Counts,
    /// Rows were fetched fast lately.
    near: AtomicBool,
}

/// What a task has at hand.
struct Work<'a> {
    left: &'a Batch,
    host: &'a NoSession<'a>,
    pause: &'a dyn Fn() -> Result<()>,
}

impl Finder {
    /// Appends the key of a left row; false: nothing has it.
    fn key(&self, columns: &[Arc<Vector>], row: usize, out: &mut Vec<u8>) -> Result<bool> {
        for (v, k) in columns.iter().zip(&self.index.keys) {
            if v.is_null(row) {
                return Ok(false);
            }
            if v.ty.oid == k.ty.oid {
                keys::encode_index_vector(k, v, row, out)?;
                continue;
            }
            match keys::convert(v.value(row), k.ty.oid) {
                keys::Converted::Value(v) if !v.is_null() => keys::encode_index_value(k, &v, out)?,
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Appends what has this key. `enough` says of some whether the others matter.
    fn look_up(
        &self,
        key: &[u8],
        tids: &mut Vec<Tid>,
        mut enough: impl FnMut(&[Tid]) -> Result<bool>,
    ) -> Result<()> {
        let index = self.index.storage;
        if self.whole && self.exists.is_none() {
            return self.storage.index_lookup(index, key, tids).map_err(storage_error);
        }
        let (from, to) = (KeyBound::Included(key), KeyBound::Prefix(key));
        let scan = self.storage.index_scan(index, from, to, ScanDirection::Forward);
        let mut scan = scan.map_err(storage_error)?;
        let mut at = tids.len();
        while scan.next_batch(tids).map_err(storage_error)? {
            if enough(tids.get(at..).unwrap_or(&[]))? {
                break;
            }
            at = tids.len();
        }
        Ok(())
    }

    /// Is one of these rows there for the snapshot?
    fn is_one_there(&self, tids: &[Tid]) -> Result<bool> {
        for tid in tids {
            if self.visible.as_ref().is_some_and(|v| v.contains(tid.block)) {
                return Ok(true);
            }
            self.counts.fetched.fetch_add(1, Ordering::Relaxed);
            let there = self.storage.heap_fetch(self.relation.storage, *tid, &self.snapshot, |_, _| ());
            if there.map_err(storage_error)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Left rows that are wanted.
    fn existing(&self, rows: &[u32], columns: &[Arc<Vector>], work: &Work<'_>) -> Result<Vec<Batch>> {
        let (mut kept, mut key, mut tids) = (Vec::new(), Vec::new(), Vec::new());
        let mut matches = 0;
        for &row in rows {
            (work.pause)()?;
            key.clear();
            tids.clear();
            let mut found = false;
            if self.key(columns, row as usize, &mut key)? {
                self.look_up(&key, &mut tids, |some| {
                    found = self.is_one_there(some)?;
                    Ok(found)
                })?;
            }
            matches += u64::from(found);
            if self.exists == Some(found) {
                kept.push(row);
            }
        }
        self.note(rows.len(), matches, 0);
        let b = work.left.clone().with_selection(kept);
        Ok(if b.is_empty() { Vec::new() } else { alloc::vec![b.compact()] })
    }

    /// Pairs of left rows and what they lead to.
    fn pairs(&self, rows: &[u32], columns: &[Arc<Vector>], work: &Work<'_>, out: Sink<'_>) -> Result<()> {
        let mut key = Vec::new();
        let (mut tids, mut owners): (Vec<Tid>, Vec<u32>) = (Vec::new(), Vec::new());
        let mut reader = RowReader::new(&self.relation, &self.columns)?;
        for (n, &row) in rows.iter().enumerate() {
            (work.pause)()?;
            key.clear();
            if self.key(columns, row as usize, &mut key)? {
                self.look_up(&key, &mut tids, |_| Ok(false))?;
                owners.resize(tids.len(), row);
            }
            if tids.len() >= BATCH_ROWS || n + 1 == rows.len() {
                self.fetch(&mut reader, (&tids, &owners), work, out)?;
                tids.clear();
                owners.clear();
            }
        }
        self.note(rows.len(), 0, 0);
        Ok(())
    }

    /// Fetches rows, each for its left row.
    fn fetch(
        &self,
        reader: &mut RowReader,
        (tids, owners): (&[Tid], &[u32]),
        work: &Work<'_>,
        out: Sink<'_>,
    ) -> Result<()> {
        let heap = self.relation.storage;
        let mut kept = Vec::with_capacity(tids.len());
        reader.start(tids.len().min(BATCH_ROWS));
        for (tids, owners) in tids.chunks(TOGETHER).zip(owners.chunks(TOGETHER)) {
            (work.pause)()?;
            let (start, near) = (platform::time::monotonic(), self.near.load(Ordering::Relaxed));
            if !near {
                self.storage.heap_prefetch(heap, tids).map_err(storage_error)?;
            }
            for (tid, owner) in tids.iter().zip(owners) {
                let row = self
                    .storage
                    .heap_fetch(heap, *tid, &self.snapshot, |tid, payload| reader.push(tid, payload));
                if let Some(pushed) = row.map_err(storage_error)? {
                    pushed?;
                    kept.push(*owner);
                }
                reader.settle_in(&self.storage, &mut || (work.pause)())?;
            }
            let spent = platform::time::monotonic().saturating_sub(start);
            let limit = if near { NEAR } else { NEAR / 4 };
            self.near.store(spent < limit * tids.len() as u32, Ordering::Relaxed);
            if reader.rows >= BATCH_ROWS || reader.is_full() {
                // Rows that wait come next.
                let rest = kept.split_off(reader.rows.min(kept.len()));
                self.yield_pairs(reader.finish(&self.storage)?, &kept, work, out)?;
                kept = rest;
                reader.start(BATCH_ROWS);
            }
        }
        while !kept.is_empty() {
            reader.settle_in(&self.storage, &mut || (work.pause)())?;
            let rest = kept.split_off(reader.rows.clamp(1, kept.len()));
            self.yield_pairs(reader.finish(&self.storage)?, &kept, work, out)?;
            kept = rest;
            reader.start(kept.len());
        }
        Ok(())
    }

    fn yield_pairs(&self, right: Batch, owners: &[u32], work: &Work<'_>, out: Sink<'_>) -> Result<()> {
        if owners.is_empty() {
            return Ok(());
        }
        let is_needed = |n: usize| self.needed.as_ref().and_then(|l| l.get(n).copied()).unwrap_or(true);
        let mut columns = Vec::with_capacity(work.left.columns.len() + right.columns.len());
        for (n, c) in work.left.columns.iter().enumerate() {
            columns.push(Arc::new(if is_needed(n) { c.take(owners) } else { Vector::nulls(c.ty) }));
        }
        columns.extend(right.columns);
        if self.numbered {
            columns.push(Arc::new(Vector::from_i64(owners.iter().map(|n| i64::from(*n)).collect())));
        }
        let b = Batch { columns, rows: owners.len(), selection: None };
        let mut kept = None;
        if let Some(f) = &self.filter {
            kept = Some(f.filter(&b, None, work.host)?);
        }
        let rows = kept.as_ref().map_or(b.rows, Vec::len);
        self.note(0, rows as u64, (b.rows - rows) as u64);
        if let Some(on) = &self.on {
            kept = Some(on.filter(&b, kept.as_deref(), work.host)?);
        }
        let b = match kept {
            Some(kept) => b.with_selection(kept),
            None => b,
        };
        if b.is_empty() { Ok(()) } else { out(b) }
    }

    fn note(&self, scans: usize, rows: u64, filtered: u64) {
        self.activity.0.index_scans.fetch_add(scans as u64, Ordering::Relaxed);
        self.activity.1.index_rows.fetch_add(rows + filtered, Ordering::Relaxed);
        self.counts.rows.fetch_add(rows, Ordering::Relaxed);
        self.counts.filtered.fetch_add(filtered, Ordering::Relaxed);
    }
}

/// Left rows that are looked up together.
struct Together {
    finder: Arc<Finder>,
    left: Batch,
    /// Rows of a portion.
    portion: usize,
    stop: Arc<AtomicBool>,
}

impl Portions for Together {
    fn portions(&self) -> u32 {
        self.left.rows.div_ceil(self.portion) as u32
    }
    fn stop(&self) -> &AtomicBool {
        &self.stop
    }
    fn read(&self, portion: u32, _task: usize, pause: &dyn Fn() -> Result<()>) -> Result<Vec<Batch>> {
        let first = portion as usize * self.portion;
        let rows: Vec<u32> =
            (first..self.left.rows.min(first + self.portion)).map(|row| row as u32).collect();
        let host = NoSession::new(pause);
        let cx = pg_functions::EvalContext { host: &host };
        let keys = self.finder.keys.iter().map(|k| k.vector(&self.left, Some(&rows), &cx));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let work = Work { left: &self.left, host: &host, pause };
        match self.finder.exists {
            Some(_) => self.finder.existing(&rows, &keys, &work),
            None => {
                let mut out = Vec::new();
                self.finder.pairs(&rows, &keys, &work, &mut |b| {
                    let sparse = b.row_count() * 4 < b.rows;
                    out.push(if sparse { b.compact() } else { b });
                    Ok(())
                })?;
                Ok(out)
            }
        }
    }
}

/// A run of it.
pub(super) struct Many {
    finder: Arc<Finder>,
    running: Option<Running>,
    batches: alloc::vec::IntoIter<Batch>,
    /// Left rows that were taken before.
    first: Option<Batch>,
    /// Left rows to gather: few at first, because perhaps few are wanted of what comes of them.
    wanted: usize,
    /// Left rows looked up, and what was found.
    asked: u64,
    found: u64,
    done: bool,
}

impl Many {
    /// Begins with these left rows.
    pub(super) fn with(mut self, first: Batch) -> Self {
        self.first = Some(first);
        self
    }

    /// The next rows, as [`super::Operator::next`].
    pub(super) fn next(
        &mut self,
        left: &mut Exec,
        right: &mut Exec,
        rt: &Rt<'_, '_>,
    ) -> Result<Option<Batch>> {
        loop {
            if let Some(b) = self.batches.next() {
                return Ok(Some(b));
            }
            if let Some(running) = &self.running {
                let start = platform::time::monotonic();
                let next = running.next(rt)?;
                let spent = platform::time::monotonic().saturating_sub(start);
                right.stats.total_micros += spent.as_micros() as u64;
                match next {
                    Some(batches) => self.batches = batches.into_iter(),
                    None => self.running = None,
                }
                self.report(right);
                continue;
            }
            let Some(rows) = self.gather(left, rt)? else { return Ok(None) };
            right.stats.loops += rows.rows as u64;
            self.offer(rows, rt);
        }
    }

    fn gather(&mut self, left: &mut Exec, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        let (mut parts, mut rows, mut bytes) = (Vec::new(), 0, 0);
        while !self.done && rows < self.wanted && bytes < MOST_BYTES {
            rt.cx.checkpoint()?;
            let next = match self.first.take() {
                Some(first) => Some(first),
                None => left.next(rt)?,
            };
            match next.map(Batch::compact) {
                Some(b) if b.rows == 0 => {}
                Some(b) => {
                    rows += b.rows;
                    bytes += b.memory();
                    parts.push(b);
                }
                None => self.done = true,
            }
        }
        self.wanted = (self.wanted * 4).min(MOST);
        Ok((rows > 0).then(|| Batch::concat(&parts)))
    }

    fn offer(&mut self, left: Batch, rt: &Rt<'_, '_>) {
        let helpers = rt.cx.engine.scan_helpers();
        // So that a portion yields about a batch, and everyone has some.
        let per_row = (self.found / self.asked.max(1)).max(1) as usize;
        self.asked += left.rows as u64;
        let share = left.rows.div_ceil(4 * helpers.workers());
        let portion = (BATCH_ROWS / per_row).min(share).clamp(PORTION.start, PORTION.end);
        let finder = Arc::clone(&self.finder);
        let work = Together { finder, left, portion, stop: Arc::default() };
        self.running = Some(helpers.offer(Arc::new(work)));
    }

    /// Has the right side's counts tell what was done.
    fn report(&mut self, right: &mut Exec) {
        let counts = &self.finder.counts;
        let (rows, filtered) =
            (counts.rows.swap(0, Ordering::Relaxed), counts.filtered.swap(0, Ordering::Relaxed));
        self.found += rows + filtered;
        right.stats.rows += rows;
        right.stats.filtered += filtered;
        right.stats.heap_fetches += counts.fetched.swap(0, Ordering::Relaxed);
    }
}
