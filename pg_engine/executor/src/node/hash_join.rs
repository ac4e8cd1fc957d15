//! Joins by hashing the right side.
//!
//! When the right side does not fit, both sides are spread over temporary files by their keys, and each pair of files is joined
//! alone ([`Grace`]): again by hashing, spread further, or, where that does not help because many rows have one key, the right
//! one chunk by chunk, each with all of the left. Which left rows have found a match is kept by their numbers then.
//!
//! A semi or anti join whose left side seems to be the smaller one hashes that, and yields its rows when all of the other side has
//! been looked up: the sides are exchanged and the join is a right one that yields no pairs ([`HashJoin::reversed`]).

mod grace;
mod table;

use alloc::{sync::Arc, vec::Vec};

use pg_functions::Function;
use pg_plan::{expr::Expr, logical::JoinKind};
use pg_types::{Batch, Result, SqlType, Vector, oid, vector::BATCH_ROWS};

use super::{
    Compiler, Exec, Held, Operator,
    groups::{Groups, KeyClass, has_null},
    key_set::{KeySet, Wanted},
    spill::{Account, weigh},
    stage::{self, Handed, Step},
};
use crate::{
    context::Rt,
    expr::{Call, Compiled},
};
use grace::Grace;
use table::{How, Probing, Table};

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
    /// Columns that someone above looks at, if not all.
    needed: Option<Arc<[bool]>>,
    classes: Vec<KeyClass>,
    /// Left over from an earlier run.
    groups: Option<Groups>,
    built: Option<Arc<Table>>,
    /// Looking rows up is done by the tasks that read them.
    handed: Handed,
    asked: bool,
    scratch: Vec<u8>,
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
            needed: None,
            groups: None,
            classes,
            built: None,
            handed: Handed::default(),
            asked: false,
            scratch: Vec::new(),
            grace: None,
            account: Account::hashing(),
            held: Held::default(),
            probe: None,
            tail: 0,
        })
    }

    /// Only these columns are looked at above.
    pub(crate) fn yielding(mut self, needed: Option<Vec<bool>>) -> Self {
        self.needed = needed.filter(|n| n.contains(&false)).map(Arc::from);
        self
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
    fn start(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Arc<Table>>> {
        let (mut parts, mut bytes) = (Vec::new(), 0);
        self.right.absorb(&[], 1, rt)?;
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
    fn build(&mut self, parts: &[Batch], rt: &Rt<'_, '_>) -> Result<Arc<Table>> {
        self.tail = 0;
        let rows = if parts.is_empty() { none(&self.right.types) } else { Batch::concat(parts) };
        let mut keys = Vec::with_capacity(self.right_keys.len());
        for e in &mut self.right_keys {
            keys.push(e.vector(&rows, None, rt)?);
        }
        let n = rows.rows;
        let groups = self.groups.take().unwrap_or_else(|| Groups::new(self.classes.clone()));
        let track = matches!(self.kind, JoinKind::Right | JoinKind::Full);
        let table = Table::new(rows, &keys, groups, track).yielding(self.needed.clone());
        let told = if self.grace.is_none() { self.tell(&keys, n) } else { 0 };
        let held = weigh(&table.rows) + n * 8 + table.groups.memory() + told;
        self.account.set(held, rt)?;
        self.held.buckets = self.held.buckets.max((table.keys() as u64).next_power_of_two().max(1024));
        Ok(Arc::new(table))
    }

    fn how(&self) -> How {
        How { kind: self.kind, half: self.half, by_keys: self.on.is_empty() }
    }

    /// Hands down looking rows up, and what is done with what comes of it; false: the left side's rows are not made by other tasks.
    fn hand_down(&mut self, steps: &[Arc<Step>], most: usize, rt: &Rt<'_, '_>) -> Result<bool> {
        let useful = |t: &&Arc<Table>| t.rows.rows > 0 && !self.volatile && self.left.absorbs();
        let Some(table) = self.built.as_ref().filter(useful) else {
            return Ok(false);
        };
        let most = most.saturating_mul(table.longest.max(1));
        // Rows without a match follow behind all others, and from here.
        if most > stage::MOST_OF_ONE || (table.tracked() > 0 && !steps.is_empty()) {
            return Ok(false);
        }
        let (left, right) = (self.left.types.iter(), self.right.types.iter());
        let both: Vec<SqlType> = if self.half.is_some() {
            right.chain(left).copied().collect()
        } else {
            left.chain(right).copied().collect()
        };
        let keys = stage::pure(&self.left_keys, &self.left.types, rt);
        let (Some(keys), Some(on)) = (keys, stage::pure(&self.on, &both, rt)) else { return Ok(false) };
        let step = Step::new(Probing { table: Arc::clone(table), how: self.how(), keys, on });
        self.left.absorb_with(step, steps, most, &mut self.handed, rt)
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

    /// Pairs that also satisfy the further conditions.
    fn check(
        &mut self,
        left: &Batch,
        table: &Table,
        pairs: Vec<(u32, u32)>,
        rt: &Rt<'_, '_>,
    ) -> Result<Vec<(u32, u32)>> {
        if self.on.is_empty() || pairs.is_empty() {
            return Ok(pairs);
        }
        let b = table.candidates(left, &pairs, self.how());
        let mut kept: Option<Vec<u32>> = None;
        for e in &mut self.on {
            kept = Some(e.filter(&b, kept.as_deref(), rt)?);
        }
        Ok(kept.unwrap_or_default().into_iter().filter_map(|i| pairs.get(i as usize).copied()).collect())
    }

    /// Joins a stretch of the probe batch.
    fn step(&mut self, probe: &mut Probe, table: &Table, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        let (from, how) = (probe.at, self.how());
        let pairs = table.pairs(&probe.batch, &probe.keys, &mut probe.at, how, &mut self.scratch);
        let pairs = self.check(&probe.batch, table, pairs, rt)?;
        table.mark(&pairs);
        if self.half.is_none()
            && let Some(grace) = &mut self.grace
            && let Some(left) = grace.remembered()
        {
            let b = remember(self.kind, left, probe, &pairs);
            let b = b.unwrap_or_else(|| table.joined(&probe.batch, &pairs));
            return Ok((!b.is_empty()).then_some(b));
        }
        Ok(table.yielded(&probe.batch, from..probe.at, &pairs, how))
    }

    /// Right rows that found no match; of a join with its sides exchanged, those that are wanted.
    fn unmatched(&mut self, table: &Table) -> Option<Batch> {
        let mut rows = Vec::new();
        while self.tail < table.tracked() && rows.len() < BATCH_ROWS {
            if table.is_matched(self.tail) == (self.half == Some(Half::Semi)) {
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
        let right = columns.len();
        columns.extend(table.taken(&rows, right));
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
        let Some(table) = self.built.clone() else { return Ok(None) };
        if !core::mem::replace(&mut self.asked, true) {
            self.hand_down(&[], 1, rt)?;
        }
        if self.handed.is_down() {
            let b = self.left.next(rt)?;
            return Ok(match b {
                Some(b) => self.handed.pass(Some(b)),
                None => self.rest(&table),
            });
        }
        self.run(&table, rt)
    }
    fn absorbs(&self) -> bool {
        !self.asked && self.grace.is_none() && self.left.absorbs()
    }
    fn absorb(&mut self, steps: &[Arc<Step>], most: usize, rt: &Rt<'_, '_>) -> Result<bool> {
        if self.built.is_none() && self.grace.is_none() {
            self.built = self.start(rt)?;
        }
        let down = self.hand_down(steps, most, rt)?;
        self.asked = down;
        Ok(down)
    }
    fn beyond(&self) -> i64 {
        self.handed.beyond()
    }
    fn reset(&mut self) {
        self.handed.end();
        self.asked = false;
        // The steps below may hold the table still.
        self.left.reset();
        if let Some(mut table) = self.built.take().and_then(Arc::into_inner) {
            table.groups.clear();
            self.groups = Some(table.groups);
        }
        self.grace = None;
        self.probe = None;
        self.tail = 0;
        self.left_keys.iter_mut().chain(&mut self.right_keys).chain(&mut self.on).for_each(Compiled::reset);
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
    fn run(&mut self, table: &Table, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        // Nothing on the right: some kinds are done without looking at the left.
        if table.rows.rows == 0 && matches!(self.kind, JoinKind::Inner | JoinKind::Semi | JoinKind::Right) {
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
            let out = self.step(&mut probe, table, rt)?;
            if probe.at < probe.batch.row_count() {
                self.probe = Some(probe);
            }
            if out.is_some() {
                return Ok(out);
            }
        }
        Ok(self.rest(table))
    }

    /// What follows when all left rows have been looked up.
    fn rest(&mut self, table: &Table) -> Option<Batch> {
        while self.tail < table.tracked() {
            if let Some(b) = self.unmatched(table) {
                return Some(b);
            }
        }
        None
    }
}
