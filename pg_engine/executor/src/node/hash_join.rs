//! Joins by hashing the right side.

use alloc::{sync::Arc, vec::Vec};

use pg_functions::Function;
use pg_plan::{expr::Expr, logical::JoinKind};
use pg_types::{
    Batch, Result, SqlType, Vector, oid,
    vector::{BATCH_ROWS, NO_ROW},
};

use super::{
    Compiler, Exec, Operator,
    groups::{Groups, KeyClass, has_null},
    misc::materialise,
};
use crate::{
    context::Rt,
    expr::{Call, Compiled},
};

const NONE: u32 = u32::MAX;

/// A hash join.
pub(crate) struct HashJoin {
    kind: JoinKind,
    left: Exec,
    right: Exec,
    left_keys: Vec<Compiled>,
    right_keys: Vec<Compiled>,
    /// What the keys leave open, over left's then right's columns.
    on: Vec<Compiled>,
    groups: Groups,
    built: Option<Built>,
    /// Probe position: batch, its key columns, next row's position in the selection, next candidate.
    probe: Option<Probe>,
    /// Next right row to yield unmatched.
    tail: usize,
}

struct Built {
    rows: Batch,
    /// First row of each group, next row of the same group.
    heads: Vec<u32>,
    next: Vec<u32>,
    matched: Vec<bool>,
}

struct Probe {
    batch: Batch,
    keys: Vec<Arc<Vector>>,
    at: usize,
}

impl HashJoin {
    pub(crate) fn new(
        kind: JoinKind,
        left: Exec,
        right: Exec,
        keys: &[(Expr, Expr, &'static Function)],
        on: Option<&Expr>,
        c: &mut Compiler<'_>,
    ) -> Result<Self> {
        let mut classes = Vec::new();
        let (mut left_keys, mut right_keys, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        let offset = left.types.len() as u32;
        for (l, r, f) in keys {
            match KeyClass::of(l.ty().oid, r.ty().oid) {
                Some(class) => {
                    classes.push(class);
                    left_keys.push(Compiled::new(l, c)?);
                    right_keys.push(Compiled::new(r, c)?);
                }
                // Types that only the operator itself can compare: every pair is a candidate.
                None => {
                    let args = alloc::vec![Compiled::new(l, c)?, Compiled::new(&shift(r, offset), c)?];
                    rest.push(Compiled::Call(alloc::boxed::Box::new(Call::new(
                        f,
                        args,
                        SqlType::new(oid::BOOL),
                    ))));
                }
            }
        }
        if let Some(on) = on {
            rest.push(Compiled::new(on, c)?);
        }
        Ok(Self {
            kind,
            left,
            right,
            left_keys,
            right_keys,
            on: rest,
            groups: Groups::new(classes),
            built: None,
            probe: None,
            tail: 0,
        })
    }

    fn build(&mut self, rt: &Rt<'_, '_>) -> Result<Built> {
        let rows = materialise(&mut self.right, rt)?;
        let mut keys = Vec::with_capacity(self.right_keys.len());
        for e in &mut self.right_keys {
            keys.push(e.vector(&rows, None, rt)?);
        }
        let n = rows.rows;
        rt.charge(n * 16)?;
        let mut heads: Vec<u32> = Vec::new();
        let mut next = alloc::vec![NONE; n];
        // Backwards, so that each chain yields rows in their order.
        for i in (0..n).rev() {
            if !keys.is_empty() && has_null(&keys, i) {
                continue;
            }
            let (id, new) = self.groups.group(&keys, i);
            if new {
                heads.push(i as u32);
            } else {
                next[i] = core::mem::replace(&mut heads[id as usize], i as u32);
            }
        }
        rt.charge(self.groups.memory())?;
        let track = matches!(self.kind, JoinKind::Right | JoinKind::Full);
        let matched = if track { alloc::vec![false; n] } else { Vec::new() };
        Ok(Built { rows, heads, next, matched })
    }

    /// Rows of the pairs (left row, right row or `NO_ROW`).
    fn joined(&self, left: &Batch, right: &Batch, pairs: &[(u32, u32)]) -> Batch {
        let l: Vec<u32> = pairs.iter().map(|p| p.0).collect();
        let r: Vec<u32> = pairs.iter().map(|p| p.1).collect();
        let mut columns: Vec<Arc<Vector>> = left.columns.iter().map(|c| Arc::new(c.take(&l))).collect();
        columns.extend(right.columns.iter().map(|c| Arc::new(c.take(&r))));
        Batch { columns, rows: pairs.len(), selection: None }
    }

    /// Pairs that also satisfy the further conditions.
    fn check(
        &mut self,
        left: &Batch,
        right: &Batch,
        pairs: Vec<(u32, u32)>,
        rt: &Rt<'_, '_>,
    ) -> Result<Vec<(u32, u32)>> {
        if self.on.is_empty() || pairs.is_empty() {
            return Ok(pairs);
        }
        let b = self.joined(left, right, &pairs);
        let mut kept: Option<Vec<u32>> = None;
        for e in &mut self.on {
            kept = Some(e.filter(&b, kept.as_deref(), rt)?);
        }
        Ok(kept.unwrap_or_default().into_iter().filter_map(|i| pairs.get(i as usize).copied()).collect())
    }

    /// Joins a stretch of the probe batch.
    fn step(&mut self, probe: &mut Probe, built: &mut Built, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        let from = probe.at;
        let no_residue = self.on.is_empty();
        let existence = matches!(self.kind, JoinKind::Semi | JoinKind::Anti);
        while let Some(row) = probe.batch.nth_row(probe.at) {
            if pairs.len() >= 4 * BATCH_ROWS {
                break;
            }
            probe.at += 1;
            if !probe.keys.is_empty() && has_null(&probe.keys, row) {
                continue;
            }
            let Some(id) = self.groups.find(&probe.keys, row) else { continue };
            let mut r = built.heads.get(id as usize).copied().unwrap_or(NONE);
            while r != NONE {
                pairs.push((row as u32, r));
                if existence && no_residue {
                    break;
                }
                r = built.next.get(r as usize).copied().unwrap_or(NONE);
            }
        }
        let until = probe.at;
        let pairs = self.check(&probe.batch, &built.rows, pairs, rt)?;
        if !built.matched.is_empty() {
            for &(_, r) in &pairs {
                built.matched[r as usize] = true;
            }
        }
        let probed = (from..until).filter_map(|k| probe.batch.nth_row(k)).map(|r| r as u32);
        let mut hits = pairs.iter().copied().peekable();
        let b = match self.kind {
            JoinKind::Inner | JoinKind::Right => self.joined(&probe.batch, &built.rows, &pairs),
            JoinKind::Left | JoinKind::Full => {
                let mut all = Vec::with_capacity(pairs.len());
                for row in probed {
                    let before = all.len();
                    while let Some(p) = hits.next_if(|p| p.0 == row) {
                        all.push(p);
                    }
                    if all.len() == before {
                        all.push((row, NO_ROW));
                    }
                }
                self.joined(&probe.batch, &built.rows, &all)
            }
            JoinKind::Semi | JoinKind::Anti => {
                let anti = self.kind == JoinKind::Anti;
                let mut rows = Vec::new();
                for row in probed {
                    let mut found = false;
                    while hits.next_if(|p| p.0 == row).is_some() {
                        found = true;
                    }
                    if found != anti {
                        rows.push(row);
                    }
                }
                probe.batch.clone().with_selection(rows)
            }
        };
        Ok((!b.is_empty()).then_some(b))
    }

    /// Right rows that found no match.
    fn unmatched(&mut self, built: &Built) -> Option<Batch> {
        let mut rows = Vec::new();
        while self.tail < built.matched.len() && rows.len() < BATCH_ROWS {
            if !built.matched[self.tail] {
                rows.push(self.tail as u32);
            }
            self.tail += 1;
        }
        if rows.is_empty() {
            return None;
        }
        let mut columns: Vec<Arc<Vector>> =
            self.left.types.iter().map(|t| Arc::new(Vector::nulls(*t))).collect();
        columns.extend(built.rows.columns.iter().map(|c| Arc::new(c.take(&rows))));
        Some(Batch { columns, rows: rows.len(), selection: None })
    }
}

/// The expression with its columns moved behind the left side's.
fn shift(e: &Expr, by: u32) -> Expr {
    match e {
        Expr::Column(n, t) => Expr::Column(n + by, *t),
        Expr::Relabel(e, t) => Expr::Relabel(alloc::boxed::Box::new(shift(e, by)), *t),
        Expr::CoerceViaIo(e, t) => Expr::CoerceViaIo(alloc::boxed::Box::new(shift(e, by)), *t),
        Expr::Call(c) => {
            let mut c = c.clone();
            c.args = c.args.iter().map(|a| shift(a, by)).collect();
            Expr::Call(c)
        }
        e => e.clone(),
    }
}

impl Operator for HashJoin {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        let mut built = match self.built.take() {
            Some(b) => b,
            None => self.build(rt)?,
        };
        let result = self.run(&mut built, rt);
        self.built = Some(built);
        result
    }
    fn reset(&mut self) {
        self.groups.clear();
        self.built = None;
        self.probe = None;
        self.tail = 0;
        self.left_keys.iter_mut().chain(&mut self.right_keys).chain(&mut self.on).for_each(Compiled::reset);
        self.left.reset();
        self.right.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.left, &self.right]
    }
}

impl HashJoin {
    fn run(&mut self, built: &mut Built, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        // Nothing on the right: some kinds are done without looking at the left.
        if built.rows.rows == 0 && matches!(self.kind, JoinKind::Inner | JoinKind::Semi | JoinKind::Right) {
            return Ok(None);
        }
        loop {
            rt.cx.checkpoint()?;
            let mut probe = match self.probe.take() {
                Some(p) => p,
                None => {
                    let Some(batch) = self.left.next(rt)? else { break };
                    let sel = batch.selection.as_deref();
                    let mut keys = Vec::with_capacity(self.left_keys.len());
                    for e in &mut self.left_keys {
                        keys.push(e.vector(&batch, sel, rt)?);
                    }
                    Probe { batch, keys, at: 0 }
                }
            };
            let out = self.step(&mut probe, built, rt)?;
            if probe.at < probe.batch.row_count() {
                self.probe = Some(probe);
            }
            if out.is_some() {
                return Ok(out);
            }
        }
        while self.tail < built.matched.len() {
            if let Some(b) = self.unmatched(built) {
                return Ok(Some(b));
            }
        }
        Ok(None)
    }
}
