//! ORDER BY: rows are gathered, their keys encoded so that bytes compare as the keys do, and row numbers sorted. What does not
//! fit is sorted by parts on disk (`spill`).

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
    rows: Option<Sorted>,
    account: Account,
    held: Option<Held>,
}

impl Sort {
    pub(crate) fn new(
        input: Exec,
        keys: &[SortKey],
        limit: Option<&Expr>,
        c: &mut Compiler<'_>,
    ) -> Result<Self> {
        let (keys, limit) = (Key::list(keys, c)?, c.option(limit)?);
        Ok(Self { input, keys, limit, rows: None, account: Account::default(), held: None })
    }

    fn fill(&mut self, rt: &Rt<'_, '_>) -> Result<Sorted> {
        let limit = misc::count(self.limit.as_mut(), "LIMIT", u64::MAX, rt)?;
        let mut sorter =
            Sorter::new(usize::try_from(limit).unwrap_or(usize::MAX), core::mem::take(&mut self.account));
        while let Some(b) = self.input.next(rt)? {
            rt.cx.checkpoint()?;
            let b = b.compact();
            if b.rows > 0 {
                sorter.keys.add(&mut self.keys, &b, rt)?;
                sorter.push(b, rt)?;
            }
        }
        sorter.finish(&self.input.types, rt)
    }
}

impl Operator for Sort {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        let rows = match &mut self.rows {
            Some(rows) => rows,
            None => {
                let sorted = self.fill(rt)?;
                if rt.instrument {
                    self.held = Some(sorted.held());
                }
                self.rows.insert(sorted)
            }
        };
        rows.next(rt)
    }
    fn reset(&mut self) {
        if let Some(rows) = self.rows.take() {
            self.account = rows.into_account();
        }
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
