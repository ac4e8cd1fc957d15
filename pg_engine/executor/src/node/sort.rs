//! ORDER BY: rows are gathered, their keys encoded so that bytes compare as the keys do, and row numbers sorted.

use alloc::vec::Vec;

use pg_plan::{expr::Expr, logical::SortKey};
use pg_types::{Batch, Oid, Result, vector::BATCH_ROWS};

use super::{Compiler, Exec, Operator, misc};
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
        for i in b.selected() {
            for (k, c) in sort.iter().zip(&columns) {
                keys::encode_vector(k.ty, c, i, k.descending, k.nulls_first, &mut self.bytes);
            }
            self.ends.push(self.bytes.len());
        }
        Ok(())
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
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Sort, with a limit top-k.
pub(crate) struct Sort {
    input: Exec,
    keys: Vec<Key>,
    limit: Option<Compiled>,
    rows: Option<(Batch, Vec<u32>)>,
    at: usize,
}

impl Sort {
    pub(crate) fn new(
        input: Exec,
        keys: &[SortKey],
        limit: Option<&Expr>,
        c: &mut Compiler<'_>,
    ) -> Result<Self> {
        Ok(Self { input, keys: Key::list(keys, c)?, limit: c.option(limit)?, rows: None, at: 0 })
    }

    fn fill(&mut self, rt: &Rt<'_, '_>) -> Result<(Batch, Vec<u32>)> {
        let limit = misc::count(self.limit.as_mut(), "LIMIT", u64::MAX, rt)?;
        let keep = usize::try_from(limit).unwrap_or(usize::MAX);
        // With a limit, the gathered rows are cut back to the best whenever they are many more than needed.
        let cut_at = keep.saturating_mul(2).max(8 * BATCH_ROWS);
        let mut keys = KeyRows::default();
        let mut parts: Vec<Batch> = Vec::new();
        let mut rows = 0;
        while let Some(b) = self.input.next(rt)? {
            rt.cx.checkpoint()?;
            let b = b.compact();
            if b.rows == 0 {
                continue;
            }
            let before = keys.memory();
            keys.add(&mut self.keys, &b, rt)?;
            rt.charge(keys.memory() - before + b.memory())?;
            rows += b.rows;
            parts.push(b);
            if rows > cut_at && keep < usize::MAX {
                let all = Batch::concat(&parts);
                let mut order = keys.order();
                order.truncate(keep);
                // Input order among equals must survive: the kept rows go back in input order.
                order.sort_unstable();
                rt.memory.set(rt.memory.get().saturating_sub(keys.memory() + all.memory()));
                let kept = all.with_selection(order).compact();
                keys.clear();
                keys.add(&mut self.keys, &kept, rt)?;
                rows = kept.rows;
                rt.charge(keys.memory() + kept.memory())?;
                parts = alloc::vec![kept];
            }
        }
        let mut order = keys.order();
        order.truncate(keep);
        let all = if parts.is_empty() { Batch::default_of(&self.input.types) } else { Batch::concat(&parts) };
        Ok((all, order))
    }
}

trait Empty {
    fn default_of(types: &[pg_types::SqlType]) -> Self;
}
impl Empty for Batch {
    fn default_of(types: &[pg_types::SqlType]) -> Self {
        let columns =
            types.iter().map(|t| pg_types::vector::VectorBuilder::with_capacity(*t, 0).finish()).collect();
        Self::new(columns, 0)
    }
}

impl Operator for Sort {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.rows.is_none() {
            let rows = self.fill(rt)?;
            self.rows = Some(rows);
            self.at = 0;
        }
        let Some((all, order)) = &self.rows else { return Ok(None) };
        let end = (self.at + BATCH_ROWS).min(order.len());
        let Some(part) = order.get(self.at..end).filter(|p| !p.is_empty()) else { return Ok(None) };
        let columns = all.columns.iter().map(|c| alloc::sync::Arc::new(c.take(part))).collect();
        self.at = end;
        Ok(Some(Batch { columns, rows: part.len(), selection: None }))
    }
    fn reset(&mut self) {
        self.rows = None;
        self.at = 0;
        self.keys.iter_mut().for_each(|k| k.expr.reset());
        self.limit.iter_mut().for_each(Compiled::reset);
        self.input.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.input]
    }
}
