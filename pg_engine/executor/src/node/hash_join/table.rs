//! The table of a hash join's right side, and how rows of the left side are looked up in it: by the statement's task, or by all that
//! read the left side ([`Probing`]). Nothing in it changes but the marks of rows that have found a match.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering};

use pg_plan::logical::JoinKind;
use pg_types::{
    Batch, Result, Vector,
    vector::{BATCH_ROWS, NO_ROW},
};

use super::{Half, NONE};
use crate::{
    expr::Pure,
    node::{
        groups::{Groups, has_null},
        stage::{self, Sink, Stage, Worker},
    },
};

/// What becomes of matches.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) kind: JoinKind,
    pub(super) half: Option<Half>,
    /// The keys say all: there are no further conditions.
    pub(super) by_keys: bool,
}

/// See the module.
pub(super) struct Table {
    pub(super) rows: Batch,
    pub(super) groups: Groups,
    /// First row of each group, next row of the same group.
    heads: Vec<u32>,
    next: Vec<u32>,
    /// Rows that have found a match, where that is asked for.
    matched: Vec<AtomicBool>,
    /// Rows of the largest group.
    pub(super) longest: usize,
    /// Columns of what is yielded that someone looks at, if not all.
    needed: Option<Arc<[bool]>>,
}

impl Table {
    /// Over rows with their keys, numbered by `groups`, which is empty; `track`: matches are marked.
    pub(super) fn new(rows: Batch, keys: &[Arc<Vector>], mut groups: Groups, track: bool) -> Self {
        let n = rows.rows;
        let (mut heads, mut counts): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        let mut next = alloc::vec![NONE; n];
        // Backwards, so that each chain yields rows in their order.
        for i in (0..n).rev() {
            if !keys.is_empty() && has_null(keys, i) {
                continue;
            }
            let (id, new) = groups.group(keys, i);
            if new {
                heads.push(i as u32);
                counts.push(1);
            } else {
                next[i] = core::mem::replace(&mut heads[id as usize], i as u32);
                counts[id as usize] += 1;
            }
        }
        let longest = counts.into_iter().max().unwrap_or(0) as usize;
        let matched = (0..if track { n } else { 0 }).map(|_| AtomicBool::new(false)).collect();
        Self { rows, groups, heads, next, matched, longest, needed: None }
    }

    pub(super) fn yielding(self, needed: Option<Arc<[bool]>>) -> Self {
        Self { needed, ..self }
    }

    fn is_needed(&self, column: usize) -> bool {
        self.needed.as_ref().and_then(|n| n.get(column).copied()).unwrap_or(true)
    }

    /// The right columns of these rows, which are yielded from position `from` on.
    pub(super) fn taken(&self, rows: &[u32], from: usize) -> impl Iterator<Item = Arc<Vector>> {
        gathered(&self.rows.columns, rows, move |n| self.is_needed(from + n))
    }

    /// Number of keys.
    pub(super) fn keys(&self) -> usize {
        self.heads.len()
    }

    /// Rows whose matches are marked.
    pub(super) fn tracked(&self) -> usize {
        self.matched.len()
    }

    pub(super) fn is_matched(&self, row: usize) -> bool {
        self.matched.get(row).is_some_and(|m| m.load(Ordering::Relaxed))
    }

    /// Pairs (left row, right row) whose keys agree, of rows of a batch from position `at` on until there are many.
    pub(super) fn pairs(
        &self,
        batch: &Batch,
        keys: &[Arc<Vector>],
        at: &mut usize,
        how: How,
        scratch: &mut Vec<u8>,
    ) -> Vec<(u32, u32)> {
        let mut pairs = Vec::new();
        let half = how.half.is_some();
        let existence = matches!(how.kind, JoinKind::Semi | JoinKind::Anti);
        while let Some(row) = batch.nth_row(*at) {
            if pairs.len() >= 4 * BATCH_ROWS {
                break;
            }
            *at += 1;
            if has_null(keys, row) {
                continue;
            }
            let Some(id) = self.groups.look_up(keys, row, scratch) else { continue };
            let mut r = self.heads.get(id as usize).copied().unwrap_or(NONE);
            while r != NONE {
                if !(half && self.is_matched(r as usize)) {
                    pairs.push((row as u32, r));
                } else if how.by_keys {
                    // So are the others with this key.
                    break;
                }
                if existence && how.by_keys {
                    break;
                }
                r = self.next.get(r as usize).copied().unwrap_or(NONE);
            }
        }
        pairs
    }

    /// Rows of the pairs, for conditions to be evaluated on them.
    pub(super) fn candidates(&self, left: &Batch, pairs: &[(u32, u32)], how: How) -> Batch {
        let (l, r) = split(pairs);
        let mut columns: Vec<_> = gathered(&left.columns, &l, |_| true).collect();
        columns.extend(gathered(&self.rows.columns, &r, |_| true));
        let mut b = Batch { columns, rows: pairs.len(), selection: None };
        if how.half.is_some() {
            b.columns.rotate_left(left.columns.len());
        }
        b
    }

    /// Marks the right rows of pairs.
    pub(super) fn mark(&self, pairs: &[(u32, u32)]) {
        if self.matched.is_empty() {
            return;
        }
        for &(_, r) in pairs {
            if let Some(m) = self.matched.get(r as usize) {
                m.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Rows of the pairs (left row, right row or `NO_ROW`).
    pub(super) fn joined(&self, left: &Batch, pairs: &[(u32, u32)]) -> Batch {
        let (l, r) = split(pairs);
        let mut columns: Vec<_> = gathered(&left.columns, &l, |n| self.is_needed(n)).collect();
        columns.extend(self.taken(&r, left.columns.len()));
        Batch { columns, rows: pairs.len(), selection: None }
    }

    /// As [`Table::joined`] when no left row is in two pairs and most are in one: the left columns stay as they are.
    fn beside(&self, left: &Batch, pairs: &[(u32, u32)]) -> Batch {
        // What stands beside rows without a partner does not matter.
        let mut codes = alloc::vec![0; left.rows];
        let mut rows = Vec::with_capacity(pairs.len());
        for &(l, r) in pairs {
            if let Some(code) = codes.get_mut(l as usize) {
                *code = r;
            }
            rows.push(l);
        }
        let mut columns = left.columns.clone();
        columns.extend(self.taken(&codes, left.columns.len()));
        Batch { columns, rows: left.rows, selection: None }.with_selection(rows)
    }

    /// What comes of the pairs of a batch's rows at these positions; `None`: nothing.
    pub(super) fn yielded(
        &self,
        batch: &Batch,
        positions: core::ops::Range<usize>,
        pairs: &[(u32, u32)],
        how: How,
    ) -> Option<Batch> {
        if how.half.is_some() {
            return None;
        }
        let probed = positions.filter_map(|k| batch.nth_row(k)).map(|r| r as u32);
        let mut hits = pairs.iter().copied().peekable();
        let b = match how.kind {
            JoinKind::Inner | JoinKind::Right if self.longest <= 1 && pairs.len() * 4 > batch.rows * 3 => {
                self.beside(batch, pairs)
            }
            JoinKind::Inner | JoinKind::Right => self.joined(batch, pairs),
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
                self.joined(batch, &all)
            }
            JoinKind::Semi | JoinKind::Anti => {
                let anti = how.kind == JoinKind::Anti;
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
                batch.clone().with_selection(rows)
            }
        };
        (!b.is_empty()).then_some(b)
    }
}

fn split(pairs: &[(u32, u32)]) -> (Vec<u32>, Vec<u32>) {
    (pairs.iter().map(|p| p.0).collect(), pairs.iter().map(|p| p.1).collect())
}

/// The columns of these rows; nothing in those that nobody looks at.
fn gathered(
    columns: &[Arc<Vector>],
    rows: &[u32],
    needed: impl Fn(usize) -> bool,
) -> impl Iterator<Item = Arc<Vector>> {
    let one = move |(n, c): (usize, &Arc<Vector>)| {
        Arc::new(if needed(n) { c.take(rows) } else { Vector::nulls(c.ty) })
    };
    columns.iter().enumerate().map(one)
}

/// Looks rows up in a table, in any task.
pub(super) struct Probing {
    pub(super) table: Arc<Table>,
    pub(super) how: How,
    /// Of the left side's rows, and over both sides'.
    pub(super) keys: Vec<Pure>,
    pub(super) on: Vec<Pure>,
}

impl Stage for Probing {
    fn apply(&self, b: Batch, worker: &Worker<'_>, next: Sink<'_>) -> Result<()> {
        let keys = stage::evaluate(&self.keys, &b, worker.host)?;
        let (count, mut at, mut scratch) = (b.row_count(), 0, Vec::new());
        while at < count {
            (worker.pause)()?;
            let from = at;
            let mut pairs = self.table.pairs(&b, &keys, &mut at, self.how, &mut scratch);
            if !self.on.is_empty() && !pairs.is_empty() {
                let candidates = self.table.candidates(&b, &pairs, self.how);
                let mut kept: Option<Vec<u32>> = None;
                for e in &self.on {
                    kept = Some(e.filter(&candidates, kept.as_deref(), worker.host)?);
                }
                let kept = kept.unwrap_or_default();
                pairs = kept.into_iter().filter_map(|i| pairs.get(i as usize).copied()).collect();
            }
            self.table.mark(&pairs);
            if let Some(out) = self.table.yielded(&b, from..at, &pairs, self.how) {
                next(out)?;
            }
        }
        Ok(())
    }
}
