//! Sorting rows by encoded keys: in memory, or by runs that are sorted, written and merged.
//!
//! A run is a file of batches whose last column has the keys. Runs are merged in the order in which they came, a limited
//! number at a time, so that rows with equal keys stay in theirs.

use alloc::{sync::Arc, vec::Vec};

use pg_storage::ScratchBuffer;
use pg_types::{
    Batch, ColumnData, Result, SqlType, Vector, oid,
    vector::{BATCH_ROWS, Encoding, VarColumn, VectorBuilder},
};

use super::{Account, Held, Rows, buffer_of, weigh};
use crate::{
    context::Rt,
    node::{
        merge::{Merge, Stream},
        sort::KeyRows,
    },
};

/// Runs merged at a time, at least and at most.
const LEAST_RUNS: usize = 4;
const MOST_RUNS: usize = 64;

/// Gathers rows with their keys.
pub(crate) struct Sorter {
    /// Keys of the rows to come: filled by the caller, who then pushes the rows.
    pub(crate) keys: KeyRows,
    parts: Vec<Batch>,
    rows: usize,
    bytes: usize,
    runs: Vec<Rows>,
    /// Rows that are wanted at most.
    keep: usize,
    account: Account,
    disk: u64,
}

impl Sorter {
    /// Of which the first `keep` rows are wanted.
    pub(crate) fn new(keep: usize, account: Account) -> Self {
        Self {
            keys: KeyRows::default(),
            parts: Vec::new(),
            rows: 0,
            bytes: 0,
            runs: Vec::new(),
            keep,
            account,
            disk: 0,
        }
    }
    /// Adds rows without selection, whose keys have been added to `keys`.
    pub(crate) fn push(&mut self, b: Batch, rt: &Rt<'_, '_>) -> Result<()> {
        self.rows += b.rows;
        self.bytes += weigh(&b) + 64;
        self.parts.push(b);
        // With a limit, the gathered rows are cut back to the best whenever they are many more than needed.
        if self.keep < usize::MAX && self.rows > self.keep.saturating_mul(2).max(8 * BATCH_ROWS) {
            self.cut();
        }
        if !self.account.set(self.bytes + self.keys.memory(), rt)? {
            self.spill(rt)?;
        }
        Ok(())
    }
    fn cut(&mut self) {
        let all = Batch::concat(&core::mem::take(&mut self.parts));
        let mut order = self.keys.order();
        order.truncate(self.keep);
        // Input order among equals must survive: the kept rows go back in input order.
        order.sort_unstable();
        self.keys = self.keys.take(&order);
        let kept = all.with_selection(order).compact();
        self.rows = kept.rows;
        self.bytes = weigh(&kept);
        self.parts.push(kept);
    }
    /// Writes what is in memory as a run.
    fn spill(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        let all = Batch::concat(&core::mem::take(&mut self.parts));
        let mut order = self.keys.order();
        order.truncate(self.keep);
        let buffer = buffer_of(self.account.limit(rt));
        let each = (self.bytes + self.keys.memory()) / self.rows.max(1) + 1;
        let mut run = Rows::new(buffer, rt);
        for part in order.chunks((buffer / each).clamp(1, BATCH_ROWS)) {
            let mut columns: Vec<_> = all.columns.iter().map(|c| Arc::new(c.take(part))).collect();
            columns.push(Arc::new(self.keys.column(part)));
            run.push(&Batch { columns, rows: part.len(), selection: None }, rt)?;
        }
        self.add_run(run, rt)?;
        self.keys = KeyRows::default();
        (self.rows, self.bytes) = (0, 0);
        self.account.set(0, rt)?;
        Ok(())
    }
    fn add_run(&mut self, mut run: Rows, rt: &Rt<'_, '_>) -> Result<()> {
        run.finish(rt)?;
        self.disk += run.occupied();
        self.runs.push(run);
        Ok(())
    }
    /// All rows in order. `types`: those of the rows.
    pub(crate) fn finish(mut self, types: &[SqlType], rt: &Rt<'_, '_>) -> Result<Sorted> {
        if self.runs.is_empty() {
            let mut order = self.keys.order();
            order.truncate(self.keep);
            let all = if self.parts.is_empty() { empty(types) } else { Batch::concat(&self.parts) };
            self.parts.clear();
            let source = Source::Memory { all, order, at: 0 };
            return Ok(Sorted { source, account: self.account, disk: 0, top: self.keep < usize::MAX });
        }
        if self.rows > 0 {
            self.spill(rt)?;
        }
        let limit = self.account.limit(rt);
        let buffer = buffer_of(limit);
        let most = (limit / (3 * buffer)).clamp(LEAST_RUNS, MOST_RUNS);
        while self.runs.len() > most {
            let runs = core::mem::take(&mut self.runs);
            let mut rest = runs.into_iter().peekable();
            while rest.peek().is_some() {
                let some: Vec<Rows> = rest.by_ref().take(most).collect();
                let mut merge = merged(some, self.keep, rt)?;
                let mut run = Rows::new(buffer, rt);
                while let Some(b) = merge.next(BATCH_ROWS, buffer, rt)? {
                    run.push(&b, rt)?;
                }
                drop(merge);
                self.add_run(run, rt)?;
            }
        }
        self.account.set(self.runs.len() * buffer * 3, rt)?;
        let merge = merged(self.runs, self.keep, rt)?;
        let source = Source::Disk { merge, buffer };
        Ok(Sorted { source, account: self.account, disk: self.disk, top: false })
    }
}

fn empty(types: &[SqlType]) -> Batch {
    Batch::new(types.iter().map(|t| VectorBuilder::with_capacity(*t, 0).finish()).collect(), 0)
}

enum Source {
    Memory { all: Batch, order: Vec<u32>, at: usize },
    Disk { merge: Runs, buffer: usize },
}

/// Rows in order.
pub(crate) struct Sorted {
    source: Source,
    account: Account,
    disk: u64,
    top: bool,
}

impl Sorted {
    /// The next rows.
    pub(crate) fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        match &mut self.source {
            Source::Memory { all, order, at } => {
                let end = (*at + BATCH_ROWS).min(order.len());
                let Some(part) = order.get(*at..end).filter(|p| !p.is_empty()) else { return Ok(None) };
                let columns = all.columns.iter().map(|c| Arc::new(c.take(part))).collect();
                *at = end;
                Ok(Some(Batch { columns, rows: part.len(), selection: None }))
            }
            Source::Disk { merge, buffer } => {
                let Some(mut b) = merge.next(BATCH_ROWS, *buffer, rt)? else { return Ok(None) };
                b.columns.pop();
                Ok(Some(b))
            }
        }
    }
    /// What it took.
    pub(crate) fn held(&self) -> Held {
        let Self { account, disk, top, .. } = self;
        Held { memory: account.peak as u64, disk: *disk, top: *top, ..Held::default() }
    }
    /// Lets the rows go; what is held counts until the account is used again.
    pub(crate) fn into_account(self) -> Account {
        self.account
    }
}

/// Where a run stands.
struct Run {
    rows: Rows,
    buffer: ScratchBuffer,
    next: usize,
    batch: Batch,
}

impl Run {
    fn new(rows: Rows) -> Self {
        let batch = Batch { columns: Vec::new(), rows: 0, selection: None };
        Self { rows, buffer: ScratchBuffer::default(), next: 0, batch }
    }
}

impl Stream for Run {
    fn load(&mut self, _rt: &Rt<'_, '_>) -> Result<bool> {
        let Some(b) = self.rows.get(self.next, &mut self.buffer)? else { return Ok(false) };
        self.next += 1;
        self.batch = b;
        Ok(true)
    }
    fn batch(&self) -> &Batch {
        &self.batch
    }
    fn key(&self, row: usize) -> &[u8] {
        match self.batch.columns.last().map(|c| &c.data) {
            Some(ColumnData::Bytea(keys)) if row < keys.len() => keys.get(row),
            _ => &[],
        }
    }
}

/// Runs as one: batches with their keys in the last column.
type Runs = Merge<Run>;

fn merged(files: Vec<Rows>, keep: usize, rt: &Rt<'_, '_>) -> Result<Runs> {
    Merge::new(files.into_iter().map(Run::new).collect(), keep, rt)
}

impl KeyRows {
    /// The keys of some rows as a column.
    fn column(&self, rows: &[u32]) -> Vector {
        let mut data = VarColumn::with_capacity(rows.len(), 0);
        rows.iter().for_each(|r| data.push(self.get(*r as usize)));
        let ty = SqlType::new(oid::BYTEA);
        Vector { ty, encoding: Encoding::Flat, data: ColumnData::Bytea(data), nulls: None }
    }
    /// The keys of some rows.
    fn take(&self, rows: &[u32]) -> Self {
        let mut out = Self::default();
        rows.iter().for_each(|r| out.push(self.get(*r as usize)));
        out
    }
}
