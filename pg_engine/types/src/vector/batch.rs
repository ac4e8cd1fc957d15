//! Batches: columns of equal length with a selection.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use super::{Batch, Vector, VectorBuilder};
use crate::{error::Result, oid::SqlType, value::Value};

/// The selected rows of a batch, ascending.
#[derive(Clone, Debug)]
pub enum SelectedRows<'a> {
    /// All of a range.
    Range(core::ops::Range<usize>),
    /// Those listed.
    List(core::slice::Iter<'a, u32>),
}

impl Iterator for SelectedRows<'_> {
    type Item = usize;
    #[inline]
    fn next(&mut self) -> Option<usize> {
        match self {
            Self::Range(r) => r.next(),
            Self::List(l) => l.next().map(|&i| i as usize),
        }
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Range(r) => r.size_hint(),
            Self::List(l) => l.size_hint(),
        }
    }
}

impl ExactSizeIterator for SelectedRows<'_> {}

impl Batch {
    /// All rows of these columns.
    pub fn new(columns: Vec<Vector>, rows: usize) -> Self {
        debug_assert!(columns.iter().all(|c| c.fixed_len().is_none_or(|n| n >= rows)));
        Self { columns: columns.into_iter().map(Arc::new).collect(), rows, selection: None }
    }
    /// No columns and one row: what `SELECT 1` starts from.
    pub fn single_row() -> Self {
        Self { columns: Vec::new(), rows: 1, selection: None }
    }
    /// From rows of values.
    pub fn from_rows(types: &[SqlType], rows: &[Vec<Value>]) -> Result<Self> {
        let mut builders: Vec<_> =
            types.iter().map(|&t| VectorBuilder::with_capacity(t, rows.len())).collect();
        for row in rows {
            for (i, b) in builders.iter_mut().enumerate() {
                b.push(row.get(i).unwrap_or(&Value::Null))?;
            }
        }
        Ok(Self::new(builders.into_iter().map(VectorBuilder::finish).collect(), rows.len()))
    }
    /// Number of selected rows.
    pub fn row_count(&self) -> usize {
        self.selection.as_ref().map_or(self.rows, |s| s.len())
    }
    /// True when no row is selected.
    pub fn is_empty(&self) -> bool {
        self.row_count() == 0
    }
    /// The selected row numbers.
    pub fn selected(&self) -> SelectedRows<'_> {
        match &self.selection {
            None => SelectedRows::Range(0..self.rows),
            Some(s) => SelectedRows::List(s.iter()),
        }
    }
    /// The `n`-th selected row's number.
    pub fn nth_row(&self, n: usize) -> Option<usize> {
        match &self.selection {
            None => (n < self.rows).then_some(n),
            Some(s) => s.get(n).map(|&r| r as usize),
        }
    }
    /// The datum at a column and a row number (not a position in the selection).
    pub fn value(&self, column: usize, row: usize) -> Value {
        self.columns[column].value(row)
    }
    /// A whole row by its number.
    pub fn row_values(&self, row: usize) -> Vec<Value> {
        self.columns.iter().map(|c| c.value(row)).collect()
    }
    /// Keeps only `rows` (row numbers, ascending, a subset of the selected ones).
    #[must_use]
    pub fn with_selection(mut self, rows: Vec<u32>) -> Self {
        self.selection = if rows.len() == self.rows { None } else { Some(rows.into_boxed_slice()) };
        self
    }
    /// The selected rows copied together, so that nothing is deselected; cheap when nothing is.
    #[must_use]
    pub fn compact(self) -> Self {
        let Some(selection) = self.selection else { return self };
        let columns = self.columns.iter().map(|c| Arc::new(c.take(&selection))).collect();
        Self { columns, rows: selection.len(), selection: None }
    }
    /// At most `len` selected rows, skipping the first `offset`. Columns are shared, not copied.
    #[must_use]
    pub fn slice(&self, offset: usize, len: usize) -> Self {
        let n = self.row_count();
        let (start, end) = (offset.min(n), offset.saturating_add(len).min(n));
        let selection: Option<Box<[u32]>> = match &self.selection {
            None if start == 0 && end == self.rows => None,
            None => Some((start as u32..end as u32).collect()),
            Some(s) => Some(s[start..end].into()),
        };
        Self { columns: self.columns.clone(), rows: self.rows, selection }
    }
    /// The selected rows of all batches, one after the other. All must have the same column types.
    pub fn concat(batches: &[Self]) -> Self {
        let [first, rest @ ..] = batches else {
            return Self { columns: Vec::new(), rows: 0, selection: None };
        };
        if rest.is_empty() {
            return first.clone().compact();
        }
        let rows = batches.iter().map(Self::row_count).sum();
        let column = |i: usize| {
            // Columns that nobody looks at hold nothing.
            if batches.iter().all(|b| b.columns[i].is_constant() && b.columns[i].is_null(0)) {
                return Vector::nulls(first.columns[i].ty);
            }
            let mut b = VectorBuilder::with_capacity(first.columns[i].ty, rows);
            for batch in batches {
                match &batch.selection {
                    None => b.extend_all(&batch.columns[i], batch.rows),
                    Some(s) => b.extend_take(&batch.columns[i], s),
                }
            }
            b.finish()
        };
        Self::new((0..first.columns.len()).map(column).collect(), rows)
    }
    /// The column types.
    pub fn types(&self) -> Vec<SqlType> {
        self.columns.iter().map(|c| c.ty).collect()
    }
    /// Bytes held, roughly.
    pub fn memory(&self) -> usize {
        self.columns.iter().map(|c| c.memory()).sum()
    }
}
