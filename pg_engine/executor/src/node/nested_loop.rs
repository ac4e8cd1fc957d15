//! Joins that run the right side for every left row, or look up what it yields for many rows at a time (`lookup`).

use alloc::{sync::Arc, vec::Vec};

use pg_plan::{expr::Expr, logical::JoinKind};
use pg_types::{
    Batch, Result, SqlType, Vector,
    vector::{BATCH_ROWS, Encoding, VectorBuilder},
};

use super::{
    Compiler, Exec, Operator,
    key_set::Wanted,
    lookup::{self, Lookup, Many},
    misc::materialise,
};
use crate::{
    context::Rt,
    expr::{Compiled, RowRef},
};

/// Rows of the first batch.
const FIRST_ROWS: usize = 32;

/// A nested loop.
pub(crate) struct NestedLoop {
    kind: JoinKind,
    left: Exec,
    right: Exec,
    slots: Vec<(usize, Compiled)>,
    on: Option<Compiled>,
    /// Evaluating the condition or the right side's parameters does something.
    volatile: bool,
    /// The right side's rows when it does not depend on the left.
    inner: Option<Batch>,
    inner_matched: Vec<bool>,
    outer: Option<(Batch, usize)>,
    tail: Option<usize>,
    /// How the right side's rows can be found for many left rows at a time, and that it is being done.
    lookup: Option<Lookup>,
    many: Option<Many>,
    /// Left rows so far; `None`: however many there are, they are not looked up together in this run.
    seen: Option<usize>,
    /// Rows of the next batch: grows, so that LIMIT above has few rows joined.
    target: usize,
}

/// Output under construction.
struct Output {
    left: Vec<VectorBuilder>,
    right: Vec<VectorBuilder>,
    rows: usize,
}

impl Output {
    fn new(left: &[SqlType], right: &[SqlType]) -> Self {
        let builders =
            |types: &[SqlType]| types.iter().map(|t| VectorBuilder::with_capacity(*t, 16)).collect();
        Self { left: builders(left), right: builders(right), rows: 0 }
    }
    fn push(&mut self, left: &Batch, row: usize, right: Option<(&Batch, &[u32])>) {
        let n = right.map_or(1, |(_, rows)| rows.len());
        for (b, c) in self.left.iter_mut().zip(&left.columns) {
            for _ in 0..n {
                b.extend_from(c, row);
            }
        }
        match right {
            Some((batch, rows)) => {
                for (b, c) in self.right.iter_mut().zip(&batch.columns) {
                    b.extend_take(c, rows);
                }
            }
            None => self.right.iter_mut().for_each(VectorBuilder::push_null),
        }
        self.rows += n;
    }
    fn finish(self) -> Batch {
        let columns = self.left.into_iter().chain(self.right).map(|b| Arc::new(b.finish())).collect();
        Batch { columns, rows: self.rows, selection: None }
    }
}

impl NestedLoop {
    pub(crate) fn new(
        kind: JoinKind,
        left: Exec,
        right: Exec,
        slots: &[(u32, Expr)],
        on: Option<&Expr>,
        c: &mut Compiler<'_>,
    ) -> Result<Self> {
        let volatile = slots.iter().map(|(_, e)| e).chain(on).any(Expr::volatile);
        let slots = slots
            .iter()
            .map(|(n, e)| {
                c.note_slot(*n);
                Ok((*n as usize, Compiled::new(e, c)?))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            kind,
            left,
            right,
            slots,
            on: c.option(on)?,
            volatile,
            inner: None,
            inner_matched: Vec::new(),
            outer: None,
            tail: None,
            lookup: None,
            many: None,
            seen: Some(0),
            target: FIRST_ROWS,
        })
    }

    /// Rows of the right side can be found so.
    pub(crate) fn by_lookup(mut self, lookup: Option<Lookup>) -> Self {
        self.lookup = lookup;
        self
    }

    /// The next left rows; `None`: there are none, or there are so many that they are looked up together from here on.
    fn more_left(&mut self, rt: &Rt<'_, '_>) -> Result<Option<(Batch, usize)>> {
        let Some(b) = self.left.next(rt)? else { return Ok(None) };
        self.seen = self.seen.map(|n| n.saturating_add(b.row_count()));
        if self.seen.is_some_and(|n| n >= lookup::WORTH)
            && let Some(lookup) = &self.lookup
        {
            if let Some(many) = lookup.begin(rt)? {
                self.many = Some(many.with(b));
                return Ok(None);
            }
            self.seen = None;
        }
        Ok(Some((b, 0)))
    }

    /// Right rows of `inner` that match the left row.
    fn matches(&mut self, left: &Batch, row: usize, inner: &Batch, rt: &Rt<'_, '_>) -> Result<Vec<u32>> {
        let Some(on) = &mut self.on else {
            return Ok(inner.selected().map(|i| i as u32).collect());
        };
        if inner.row_count() == 1 {
            let at = inner.nth_row(0).unwrap_or(0);
            let keep = on.is_true(RowRef::Pair(left, row, inner, at), rt)?;
            return Ok(if keep { alloc::vec![at as u32] } else { Vec::new() });
        }
        let mut columns: Vec<Arc<Vector>> = Vec::with_capacity(left.columns.len() + inner.columns.len());
        for c in &left.columns {
            let mut v = c.slice_one(row);
            v.encoding = Encoding::Constant;
            columns.push(Arc::new(v));
        }
        columns.extend(inner.columns.iter().cloned());
        let b = Batch { columns, rows: inner.rows, selection: None };
        on.filter(&b, inner.selection.as_deref(), rt)
    }

    /// Joins one left row; true when it found a match.
    fn join_row(&mut self, left: &Batch, row: usize, out: &mut Output, rt: &Rt<'_, '_>) -> Result<()> {
        let existence = matches!(self.kind, JoinKind::Semi | JoinKind::Anti);
        let mut found = false;
        if let Some(inner) = self.inner.take() {
            let r = self.matches(left, row, &inner, rt);
            self.inner = Some(inner);
            let hits = r?;
            found = !hits.is_empty();
            if found && !existence {
                for &h in &hits {
                    if let Some(m) = self.inner_matched.get_mut(h as usize) {
                        *m = true;
                    }
                }
                if let Some(inner) = &self.inner {
                    out.push(left, row, Some((inner, &hits)));
                }
            }
        } else {
            for (slot, e) in &mut self.slots {
                let v = e.row(RowRef::Batch(left, row), rt)?;
                rt.set_slot(*slot, v);
            }
            self.right.reset();
            while let Some(b) = self.right.next(rt)? {
                let hits = self.matches(left, row, &b, rt)?;
                if hits.is_empty() {
                    continue;
                }
                found = true;
                if existence {
                    break;
                }
                out.push(left, row, Some((&b, &hits)));
            }
        }
        match self.kind {
            JoinKind::Left | JoinKind::Full if !found => out.push(left, row, None),
            JoinKind::Semi if found => out.push(left, row, None),
            JoinKind::Anti if !found => out.push(left, row, None),
            _ => {}
        }
        Ok(())
    }

    fn unmatched(&mut self) -> Option<Batch> {
        let at = self.tail.get_or_insert(0);
        let mut rows = Vec::new();
        while *at < self.inner_matched.len() && rows.len() < BATCH_ROWS {
            if !self.inner_matched[*at] {
                rows.push(*at as u32);
            }
            *at += 1;
        }
        let inner = self.inner.as_ref().filter(|_| !rows.is_empty())?;
        let mut columns: Vec<Arc<Vector>> =
            self.left.types.iter().map(|t| Arc::new(Vector::nulls(*t))).collect();
        columns.extend(inner.columns.iter().map(|c| Arc::new(c.take(&rows))));
        Some(Batch { columns, rows: rows.len(), selection: None })
    }
}

trait SliceOne {
    fn slice_one(&self, row: usize) -> Vector;
}
impl SliceOne for Vector {
    fn slice_one(&self, row: usize) -> Vector {
        if self.is_constant() { self.clone() } else { self.take(&[row as u32]) }
    }
}

impl Operator for NestedLoop {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.slots.is_empty() && self.inner.is_none() {
            let inner = materialise(&mut self.right, rt)?;
            if matches!(self.kind, JoinKind::Right | JoinKind::Full) {
                self.inner_matched = alloc::vec![false; inner.rows];
            }
            self.inner = Some(inner);
        }
        if let Some(many) = &mut self.many {
            return many.next(&mut self.left, &mut self.right, rt);
        }
        let left_only = matches!(self.kind, JoinKind::Semi | JoinKind::Anti);
        let right_types: &[SqlType] = if left_only { &[] } else { &self.right.types };
        let mut out = Output::new(&self.left.types, right_types);
        while self.tail.is_none() {
            if self.outer.is_none() {
                self.outer = self.more_left(rt)?;
            }
            let Some((b, mut at)) = self.outer.take() else { break };
            rt.cx.checkpoint()?;
            while let Some(row) = b.nth_row(at) {
                at += 1;
                self.join_row(&b, row, &mut out, rt)?;
                if out.rows >= self.target {
                    self.target = (self.target * 4).min(BATCH_ROWS);
                    self.outer = Some((b, at));
                    return Ok(Some(out.finish()));
                }
            }
        }
        if out.rows > 0 {
            return Ok(Some(out.finish()));
        }
        if let Some(many) = &mut self.many {
            return many.next(&mut self.left, &mut self.right, rt);
        }
        Ok(if self.inner_matched.is_empty() { None } else { self.unmatched() })
    }
    fn reset(&mut self) {
        self.inner = None;
        self.inner_matched.clear();
        self.outer = None;
        self.tail = None;
        self.many = None;
        self.seen = Some(0);
        self.target = FIRST_ROWS;
        self.lookup.iter_mut().for_each(Lookup::reset);
        self.slots.iter_mut().for_each(|(_, e)| e.reset());
        self.on.iter_mut().for_each(Compiled::reset);
        self.left.reset();
        self.right.reset();
    }
    fn narrows(&self, column: usize) -> bool {
        let keeps_left = !matches!(self.kind, JoinKind::Right | JoinKind::Full);
        keeps_left && !self.volatile && column < self.left.types.len() && self.left.narrows(column)
    }
    fn narrow(&mut self, wanted: Wanted) {
        self.left.narrow(wanted);
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.left, &self.right]
    }
}
