//! Joins by hashing the right side.
//!
//! When the right side does not fit, both sides are spread over temporary files by their keys, and each pair of files is joined
//! alone ([`Grace`]): again by hashing, spread further, or, where that does not help because many rows have one key, the right
//! one chunk by chunk, each with all of the left. Which left rows have found a match is kept by their numbers then.
//!
//! A semi or anti join whose left side seems to be the smaller one hashes that, and yields its rows when all of the other side has
//! been looked up: the sides are exchanged and the join is a right one that yields no pairs ([`HashJoin::reversed`]).

mod grace;

use alloc::{sync::Arc, vec::Vec};

use pg_functions::Function;
use pg_plan::{expr::Expr, logical::JoinKind};
use pg_types::{
    Batch, Result, SqlType, Vector, oid,
    vector::{BATCH_ROWS, NO_ROW},
};

use super::{
    Compiler, Exec, Held, Operator,
    groups::{Groups, KeyClass, has_null},
    key_set::{KeySet, Wanted},
    spill::{Account, weigh},
};
use crate::{
    context::Rt,
    expr::{Call, Compiled},
};
use grace::Grace;

const NONE: u32 = u32::MAX;
/// Bytes that the table takes for a row, about.
const TABLE_ROW: usize = 40;

/// A hash join.
pub(crate) struct HashJoin {
    kind: JoinKind,
    left: Exec,
    right: Exec,
    left_keys: Vec<Compiled>,
    right_keys: Vec<Compiled>,
    /// What the keys leave open, over left's then right's columns.
    on: Vec<Compiled>,
    /// The sides are exchanged: rows of the hashed side with a match are yielded, or those without.
    half: Option<Half>,
    /// Evaluating conditions does something.
    volatile: bool,
    classes: Vec<KeyClass>,
    groups: Groups,
    built: Option<Built>,
    /// What does not fit.
    grace: Option<Grace>,
    account: Account,
    held: Held,
    /// Probe position: batch, its key columns, next row's position in the selection, next candidate.
    probe: Option<Probe>,
    /// Next right row to yield unmatched.
    tail: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Semi,
    Anti,
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
    /// Number of the batch's first row, counted in rows of batches, where rows are remembered by their numbers.
    first: usize,
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
        let mut all = keys.iter().flat_map(|(l, r, _)| [l, r]).chain(on);
        let volatile = all.any(Expr::volatile);
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
            half: None,
            volatile,
            groups: Groups::new(classes.clone()),
            classes,
            built: None,
            grace: None,
            account: Account::hashing(),
            held: Held::default(),
            probe: None,
            tail: 0,
        })
    }

    /// Of a semi or anti join: hashes the left side.
    pub(crate) fn reversed(mut self) -> Self {
        self.half = match self.kind {
            JoinKind::Semi => Some(Half::Semi),
            JoinKind::Anti => Some(Half::Anti),
            _ => return self,
        };
        self.kind = JoinKind::Right;
        core::mem::swap(&mut self.left, &mut self.right);
        core::mem::swap(&mut self.left_keys, &mut self.right_keys);
        self
    }

    /// Gathers the right side. It is spread over files if it does not fit.
    fn start(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Built>> {
        let (mut parts, mut bytes) = (Vec::new(), 0);
        while let Some(b) = self.right.next(rt)? {
            rt.cx.checkpoint()?;
            let b = b.compact();
            if b.rows == 0 {
                continue;
            }
            bytes += weigh(&b) + b.rows * TABLE_ROW;
            parts.push(b);
            if !self.account.set(bytes, rt)? && !self.classes.is_empty() {
                self.spread(parts, rt)?;
                return Ok(None);
            }
        }
        self.build(&parts, rt).map(Some)
    }

    /// The table over rows of the right side.
    fn build(&mut self, parts: &[Batch], rt: &Rt<'_, '_>) -> Result<Built> {
        self.groups.clear();
        self.tail = 0;
        let rows = if parts.is_empty() { none(&self.right.types) } else { Batch::concat(parts) };
        let mut keys = Vec::with_capacity(self.right_keys.len());
        for e in &mut self.right_keys {
            keys.push(e.vector(&rows, None, rt)?);
        }
        let n = rows.rows;
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
        let told = if self.grace.is_none() { self.tell(&keys, n) } else { 0 };
        let held = weigh(&rows) + n * 8 + self.groups.memory() + told;
        self.account.set(held, rt)?;
        self.held.buckets = self.held.buckets.max((heads.len() as u64).next_power_of_two().max(1024));
        let track = matches!(self.kind, JoinKind::Right | JoinKind::Full);
        let matched = if track { alloc::vec![false; n] } else { Vec::new() };
        Ok(Built { rows, heads, next, matched })
    }

    /// Tells the left side which keys it is worth reading rows of, where rows with others count for nothing. Bytes of the sets.
    fn tell(&mut self, keys: &[Arc<Vector>], rows: usize) -> usize {
        if !matches!(self.kind, JoinKind::Inner | JoinKind::Semi | JoinKind::Right) {
            return 0;
        }
        let mut told = 0;
        for ((class, left), right) in self.classes.iter().zip(&self.left_keys).zip(keys) {
            if let (KeyClass::Integer, Compiled::Column(column)) = (class, left)
                && self.left.narrows(*column)
                && let Some(keys) = KeySet::of(right, rows).map(Arc::new)
            {
                told += keys.memory();
                self.left.narrow(Wanted { column: *column, keys });
            }
        }
        told
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
        let mut b = self.joined(left, right, &pairs);
        if self.half.is_some() {
            b.columns.rotate_left(left.columns.len());
        }
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
        let half = self.half.is_some();
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
                let known = half && built.matched.get(r as usize).copied().unwrap_or(false);
                if !known {
                    pairs.push((row as u32, r));
                } else if no_residue {
                    // So are the others with this key.
                    break;
                }
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
        if half {
            return Ok(None);
        }
        if let Some(grace) = &mut self.grace
            && let Some(left) = grace.remembered()
        {
            let b = remember(self.kind, left, probe, &pairs);
            let b = b.unwrap_or_else(|| self.joined(&probe.batch, &built.rows, &pairs));
            return Ok((!b.is_empty()).then_some(b));
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

    /// Right rows that found no match; of a join with its sides exchanged, those that are wanted.
    fn unmatched(&mut self, built: &Built) -> Option<Batch> {
        let mut rows = Vec::new();
        while self.tail < built.matched.len() && rows.len() < BATCH_ROWS {
            if built.matched[self.tail] == (self.half == Some(Half::Semi)) {
                rows.push(self.tail as u32);
            }
            self.tail += 1;
        }
        if rows.is_empty() {
            return None;
        }
        let mut columns: Vec<Arc<Vector>> = match self.half {
            None => self.left.types.iter().map(|t| Arc::new(Vector::nulls(*t))).collect(),
            Some(_) => Vec::new(),
        };
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

/// A chunk of several of the right side: notes which left rows have found a match. Semi joins yield them the first time, anti
/// joins nothing yet, others (`None`) their pairs.
fn remember(kind: JoinKind, left: &mut [u64], probe: &Probe, pairs: &[(u32, u32)]) -> Option<Batch> {
    let mut fresh = Vec::new();
    for &(row, _) in pairs {
        let n = probe.first + row as usize;
        let Some(word) = left.get_mut(n / 64) else { continue };
        let bit = 1 << (n % 64);
        if *word & bit == 0 {
            fresh.push(row);
        }
        *word |= bit;
    }
    match kind {
        JoinKind::Semi => Some(probe.batch.clone().with_selection(fresh)),
        JoinKind::Anti => Some(probe.batch.clone().with_selection(Vec::new())),
        _ => None,
    }
}

/// No rows.
fn none(types: &[SqlType]) -> Batch {
    Batch::new(types.iter().map(|t| pg_types::VectorBuilder::with_capacity(*t, 0).finish()).collect(), 0)
}

impl Operator for HashJoin {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.built.is_none() && self.grace.is_none() {
            self.built = self.start(rt)?;
        }
        if self.grace.is_some() {
            return self.next_aside(rt);
        }
        let Some(mut built) = self.built.take() else { return Ok(None) };
        let result = self.run(&mut built, rt);
        self.built = Some(built);
        result
    }
    fn reset(&mut self) {
        self.groups.clear();
        self.built = None;
        self.grace = None;
        self.probe = None;
        self.tail = 0;
        self.left_keys.iter_mut().chain(&mut self.right_keys).chain(&mut self.on).for_each(Compiled::reset);
        self.left.reset();
        self.right.reset();
    }
    fn narrows(&self, column: usize) -> bool {
        if self.built.is_some() || self.grace.is_some() || self.volatile {
            return false;
        }
        let width = self.left.types.len();
        match self.kind {
            JoinKind::Inner if column >= width => self.right.narrows(column - width),
            JoinKind::Inner | JoinKind::Left => column < width && self.left.narrows(column),
            JoinKind::Semi | JoinKind::Anti => self.left.narrows(column),
            // Of a join with its sides exchanged, the right side's rows come out.
            JoinKind::Right if self.half.is_some() => self.right.narrows(column),
            _ => false,
        }
    }
    fn narrow(&mut self, wanted: Wanted) {
        let width = if self.half.is_some() { 0 } else { self.left.types.len() };
        match wanted.column.checked_sub(width).filter(|_| self.kind == JoinKind::Inner || self.half.is_some())
        {
            Some(column) => self.right.narrow(Wanted { column, ..wanted }),
            None => self.left.narrow(wanted),
        }
    }
    fn inputs(&self) -> Vec<&Exec> {
        match self.half {
            None => alloc::vec![&self.left, &self.right],
            Some(_) => alloc::vec![&self.right, &self.left],
        }
    }
    fn held(&self) -> Option<Held> {
        let batches = self.held.batches.max(1);
        Some(Held { memory: self.account.peak as u64, batches, ..self.held })
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
                    let (batch, first) = match &mut self.grace {
                        None => (self.left.next(rt)?, 0),
                        Some(grace) => grace.next_left(rt)?,
                    };
                    let Some(batch) = batch else { break };
                    let sel = batch.selection.as_deref();
                    let mut keys = Vec::with_capacity(self.left_keys.len());
                    for e in &mut self.left_keys {
                        keys.push(e.vector(&batch, sel, rt)?);
                    }
                    Probe { batch, keys, at: 0, first }
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
