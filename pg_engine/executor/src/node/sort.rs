//! ORDER BY: rows are gathered, their keys encoded so that bytes compare as the keys do, and row numbers sorted. What does not
//! fit is sorted by parts on disk (`spill`).
//!
//! Rows that come in the order of some leading keys are sorted portion by portion, each of them rows that are equal in those keys, or
//! several such groups where they are small.

use alloc::{sync::Arc, vec::Vec};

use pg_plan::{expr::Expr, logical::SortKey};
use pg_types::{Batch, Oid, Result, Vector};

use super::{
    Compiler, Exec, Held, Operator, misc,
    spill::{Account, Sorted, Sorter},
};
use crate::{context::Rt, expr::Compiled, keys};

/// A sort key ready to run.
pub(crate) struct Key {
    pub expr: Compiled,
    pub ty: Oid,
    pub descending: bool,
    pub nulls_first: bool,
}

impl Key {
    pub(crate) fn list(keys: &[SortKey], c: &mut Compiler<'_>) -> Result<Vec<Self>> {
        keys.iter()
            .map(|k| {
                Ok(Self {
                    expr: Compiled::new(&k.expr, c)?,
                    ty: k.expr.ty().oid,
                    descending: k.descending,
                    nulls_first: k.nulls_first,
                })
            })
            .collect()
    }
}

/// Encoded keys of many rows, end to end.
#[derive(Default)]
pub(crate) struct KeyRows {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl KeyRows {
    pub(crate) fn get(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.bytes[start..self.ends[i]]
    }
    /// Appends the keys of a batch's selected rows.
    pub(crate) fn add(&mut self, sort: &mut [Key], b: &Batch, rt: &Rt<'_, '_>) -> Result<()> {
        let columns = sort
            .iter_mut()
            .map(|k| k.expr.vector(b, b.selection.as_deref(), rt))
            .collect::<Result<Vec<_>>>()?;
        self.add_columns(sort, &columns, b.selected());
        Ok(())
    }
    /// Appends the keys of rows whose keys' values are in columns.
    pub(crate) fn add_columns(
        &mut self,
        sort: &[Key],
        columns: &[Arc<Vector>],
        rows: impl Iterator<Item = usize>,
    ) {
        for i in rows {
            for (k, c) in sort.iter().zip(columns) {
                keys::encode_vector(k.ty, c, i, k.descending, k.nulls_first, &mut self.bytes);
            }
            self.ends.push(self.bytes.len());
        }
    }
    /// Row numbers in order; equal keys stay in input order.
    pub(crate) fn order(&self) -> Vec<u32> {
        // The first eight bytes decide most comparisons without touching the keys themselves.
        let mut rows: Vec<(u64, u32)> = (0..self.ends.len())
            .map(|i| {
                let k = self.get(i);
                let mut p = [0u8; 8];
                let n = k.len().min(8);
                p[..n].copy_from_slice(&k[..n]);
                (u64::from_be_bytes(p), i as u32)
            })
            .collect();
        rows.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0)
                .then_with(|| self.get(a.1 as usize).cmp(self.get(b.1 as usize)))
                .then_with(|| a.1.cmp(&b.1))
        });
        rows.into_iter().map(|r| r.1).collect()
    }
    pub(crate) fn memory(&self) -> usize {
        self.bytes.len() + self.ends.len() * 24
    }
    pub(crate) fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
    }
}

/// Sort, with a limit top-k.
pub(crate) struct Sort {
    input: Exec,
    keys: Vec<Key>,
    limit: Option<Compiled>,
    /// Leading keys in whose order the rows come.
    presorted: usize,
    /// The beginning of the next portion.
    waiting: Option<Batch>,
    /// All input was read.
    ended: bool,
    rows: Option<Sorted>,
    account: Account,
    held: Option<Held>,
}

impl Sort {
    pub(crate) fn new(
        input: Exec,
        (keys, presorted): (&[SortKey], usize),
        limit: Option<&Expr>,
        c: &mut Compiler<'_>,
    ) -> Result<Self> {
        let (keys, limit) = (Key::list(keys, c)?, c.option(limit)?);
        Ok(Self {
            input,
            keys,
            limit,
            presorted,
            waiting: None,
            ended: false,
            rows: None,
            account: Account::default(),
            held: None,
        })
    }

    fn fill(&mut self, rt: &Rt<'_, '_>) -> Result<Sorted> {
        let limit = misc::count(self.limit.as_mut(), "LIMIT", u64::MAX, rt)?;
        let mut sorter =
            Sorter::new(usize::try_from(limit).unwrap_or(usize::MAX), core::mem::take(&mut self.account));
        let mut last = Vec::new();
        loop {
            let next = match self.waiting.take() {
                Some(b) => Some(b),
                None => self.input.next(rt)?,
            };
            let Some(b) = next else {
                self.ended = true;
                break;
            };
            rt.cx.checkpoint()?;
            let b = b.compact();
            if b.rows == 0 {
                continue;
            }
            let whole = if self.presorted > 0 { self.last_group(&b, &mut last, rt)? } else { None };
            let Some(from) = whole else {
                sorter.keys.add(&mut self.keys, &b, rt)?;
                sorter.push(b, rt)?;
                continue;
            };
            let (rows, at) = (b.rows as u32, from as u32);
            if from > 0 {
                let b = b.clone().with_selection((0..at).collect()).compact();
                sorter.keys.add(&mut self.keys, &b, rt)?;
                sorter.push(b, rt)?;
            }
            self.waiting = Some(b.with_selection((at..rows).collect()).compact());
            break;
        }
        sorter.finish(&self.input.types, rt)
    }

    /// Where the last group of a batch begins, if rows of other groups are before it, in the batch or (whose leading keys are `last`)
    /// before it. `last` becomes this batch's.
    fn last_group(&mut self, b: &Batch, last: &mut Vec<u8>, rt: &Rt<'_, '_>) -> Result<Option<usize>> {
        let mut keys = KeyRows::default();
        keys.add(self.keys.get_mut(..self.presorted).unwrap_or(&mut []), b, rt)?;
        let end = keys.get(b.rows - 1);
        let mut from = b.rows - 1;
        while from > 0 && keys.get(from - 1) == end {
            from -= 1;
        }
        let other = from > 0 || !last.is_empty() && last.as_slice() != end;
        *last = end.to_vec();
        Ok(other.then_some(from))
    }

    /// Notes what a portion took.
    fn note(&mut self, portion: Held) {
        let before = self.held.unwrap_or_default();
        self.held = Some(match self.presorted {
            0 => portion,
            _ => {
                let batches = before.batches + 1;
                let average = (before.average * before.batches + portion.memory) / batches;
                let (memory, disk) = (before.memory.max(portion.memory), before.disk + portion.disk);
                Held { memory, disk, batches, average, ..Held::default() }
            }
        });
    }
}

impl Operator for Sort {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        loop {
            let rows = match &mut self.rows {
                Some(rows) => rows,
                None => {
                    let sorted = self.fill(rt)?;
                    if rt.instrument {
                        self.note(sorted.held());
                    }
                    self.rows.insert(sorted)
                }
            };
            match rows.next(rt)? {
                None if !self.ended => {
                    if let Some(rows) = self.rows.take() {
                        self.account = rows.into_account();
                        self.account.peak = 0;
                    }
                }
                rows => return Ok(rows),
            }
        }
    }
    fn reset(&mut self) {
        if let Some(rows) = self.rows.take() {
            self.account = rows.into_account();
        }
        self.waiting = None;
        self.ended = false;
        self.keys.iter_mut().for_each(|k| k.expr.reset());
        self.limit.iter_mut().for_each(Compiled::reset);
        self.input.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.input]
    }
    fn held(&self) -> Option<Held> {
        self.held
    }
}
