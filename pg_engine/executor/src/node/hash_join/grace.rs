//! Joining what does not fit: pairs of files, one after the other.

use alloc::vec::Vec;

use pg_plan::logical::JoinKind;
use pg_types::{Batch, Result, Vector};

use super::{HashJoin, TABLE_ROW, has_null};
use crate::{
    context::Rt,
    node::spill::{PARTS, Partitions, Reader, Rows, part_of, weigh},
};

/// Times that rows are spread further.
const MAX_LEVEL: u32 = 4;

/// Rows of both sides whose keys belong together.
struct Pair {
    left: Option<Rows>,
    right: Option<Rows>,
    level: u32,
    /// Spreading them further does not help.
    stuck: bool,
}

/// What an inner loop over chunks of the right side needs.
struct Chunks {
    right: Reader,
    /// The batch with which the next chunk begins.
    next: Option<Batch>,
    /// Left rows that have found a match.
    matched: Vec<u64>,
    /// All chunks are done: left rows without a match follow.
    last: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Grace {
    waiting: Vec<Pair>,
    left: Option<Reader>,
    /// Rows of the left batches read so far.
    passed: usize,
    chunks: Option<Chunks>,
    key: Vec<u8>,
    /// Spreads rows that cannot match evenly.
    turn: usize,
    /// The left side's rows are still being spread, with the right side's files at hand.
    spreading: Option<(Partitions, Vec<Option<Rows>>)>,
}

impl Grace {
    /// Bits of left rows that have found a match, when the right side comes in chunks.
    pub(super) fn remembered(&mut self) -> Option<&mut [u64]> {
        self.chunks.as_mut().map(|c| c.matched.as_mut_slice())
    }
    /// The next left rows of the pair, and the number of the first.
    pub(super) fn next_left(&mut self, rt: &Rt<'_, '_>) -> Result<(Option<Batch>, usize)> {
        let b = self.left.as_mut().map_or(Ok(None), |l| l.next(rt))?;
        let first = self.passed;
        self.passed += b.as_ref().map_or(0, |b| b.rows);
        Ok((b, first))
    }
}

/// Which side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

impl HashJoin {
    /// Rows of a side without a match count for something.
    fn keeps(&self, side: Side) -> bool {
        match side {
            Side::Left => matches!(self.kind, JoinKind::Left | JoinKind::Full | JoinKind::Anti),
            Side::Right => matches!(self.kind, JoinKind::Right | JoinKind::Full),
        }
    }

    /// Adds a batch of one side to the files.
    fn spread_batch(
        &mut self,
        b: &Batch,
        (side, level): (Side, u32),
        to: &mut Partitions,
        rt: &Rt<'_, '_>,
    ) -> Result<()> {
        let exprs = if side == Side::Left { &mut self.left_keys } else { &mut self.right_keys };
        let sel = b.selection.as_deref();
        let keys = exprs.iter_mut().map(|e| e.vector(b, sel, rt)).collect::<Result<Vec<_>>>()?;
        let keeps = self.keeps(side);
        let Some(Grace { key, turn, .. }) = &mut self.grace else { return Ok(()) };
        let classes = &self.classes;
        let part = |row: usize| {
            if has_null(&keys, row) {
                *turn += 1;
                // It has no match: any portion is right for it, if it is wanted at all.
                return keeps.then_some((row, *turn % PARTS));
            }
            Some((row, part_of(classes, &keys, row, level, key)))
        };
        to.add(b, b.selected().filter_map(part), rt)
    }

    /// Spreads the right side: what has been gathered and what follows.
    pub(super) fn spread(&mut self, parts: Vec<Batch>, rt: &Rt<'_, '_>) -> Result<()> {
        self.grace = Some(Grace::default());
        let limit = self.account.limit(rt);
        let mut right = Partitions::new(limit);
        for b in parts {
            self.spread_batch(&b, (Side::Right, 0), &mut right, rt)?;
        }
        self.account.set(0, rt)?;
        while let Some(b) = self.right.next(rt)? {
            rt.cx.checkpoint()?;
            self.spread_batch(&b, (Side::Right, 0), &mut right, rt)?;
        }
        let right = self.finish(right, rt)?;
        if let Some(grace) = &mut self.grace {
            grace.spreading = Some((Partitions::new(limit), right));
        }
        Ok(())
    }

    fn finish(&mut self, parts: Partitions, rt: &Rt<'_, '_>) -> Result<Vec<Option<Rows>>> {
        let files = parts.finish(rt)?;
        self.held.disk += files.iter().flatten().map(Rows::occupied).sum::<u64>();
        Ok(files)
    }

    /// Pairs of files wait to be joined.
    fn wait(&mut self, left: Vec<Option<Rows>>, right: Vec<Option<Rows>>, level: u32, whole: usize) {
        for (left, right) in left.into_iter().zip(right) {
            let wanted = match (&left, &right) {
                (Some(_), Some(_)) => true,
                (Some(_), None) => self.keeps(Side::Left),
                (None, Some(_)) => self.keeps(Side::Right),
                (None, None) => false,
            };
            let weight = right.as_ref().map_or(0, |r| r.weight);
            let stuck = level >= MAX_LEVEL || weight > whole / 10 * 9;
            if let Some(grace) = self.grace.as_mut().filter(|_| wanted) {
                self.held.batches += 1;
                grace.waiting.push(Pair { left, right, level, stuck });
            }
        }
    }

    /// Spreads the left side, which is only looked at now.
    fn spread_left(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        let Some((mut left, right)) = self.grace.as_mut().and_then(|g| g.spreading.take()) else {
            return Ok(());
        };
        while let Some(b) = self.left.next(rt)? {
            rt.cx.checkpoint()?;
            self.spread_batch(&b, (Side::Left, 0), &mut left, rt)?;
        }
        let left = self.finish(left, rt)?;
        self.wait(left, right, 1, usize::MAX);
        Ok(())
    }

    /// Spreads a pair of files further.
    fn spread_pair(&mut self, pair: Pair, rt: &Rt<'_, '_>) -> Result<()> {
        let whole = pair.right.as_ref().map_or(0, |r| r.weight);
        let limit = self.account.limit(rt);
        let mut files = [Vec::new(), Vec::new()];
        for ((side, rows), to) in
            [(Side::Left, pair.left), (Side::Right, pair.right)].into_iter().zip(&mut files)
        {
            let mut parts = Partitions::new(limit);
            if let Some(mut rows) = rows.map(Reader::new) {
                while let Some(b) = rows.next(rt)? {
                    self.spread_batch(&b, (side, pair.level), &mut parts, rt)?;
                }
            }
            *to = self.finish(parts, rt)?;
        }
        let [left, right] = files;
        self.wait(left, right, pair.level + 1, whole);
        Ok(())
    }

    /// The next rows of a join that does not fit.
    pub(super) fn next_aside(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        self.spread_left(rt)?;
        loop {
            rt.cx.checkpoint()?;
            if let Some(table) = self.built.clone() {
                let out = self.run(&table, rt)?;
                if out.is_some() {
                    return Ok(out);
                }
                self.built = None;
                self.probe = None;
            }
            if self.next_chunk(rt)? {
                continue;
            }
            if let Some(b) = self.left_alone(rt)? {
                return Ok(Some(b));
            }
            let Some(pair) = self.grace.as_mut().and_then(|g| g.waiting.pop()) else { return Ok(None) };
            self.begin(pair, rt)?;
        }
    }

    /// Begins with a pair: all of its right side is in memory, or its first chunk, or it was spread further.
    fn begin(&mut self, pair: Pair, rt: &Rt<'_, '_>) -> Result<()> {
        let weight = pair.right.as_ref().map_or(0, |r| r.weight + r.count as usize * TABLE_ROW);
        let fits = self.account.set(weight, rt)?;
        if !fits && !pair.stuck {
            self.account.set(0, rt)?;
            return self.spread_pair(pair, rt);
        }
        let Pair { left, right, .. } = pair;
        let left_rows = left.as_ref().map_or(0, |l| l.count as usize);
        let Some(grace) = &mut self.grace else { return Ok(()) };
        (grace.left, grace.passed) = (left.map(Reader::new), 0);
        let mut right = right.map(Reader::new);
        if fits {
            let mut parts = Vec::new();
            while let Some(b) = right.as_mut().map_or(Ok(None), |r| r.next(rt))? {
                parts.push(b);
            }
            self.built = Some(self.build(&parts, rt)?);
            return Ok(());
        }
        self.account.set(0, rt)?;
        let Some(mut right) = right else { return Ok(()) };
        let next = right.next(rt)?;
        let matched = alloc::vec![0; left_rows.div_ceil(64)];
        grace.chunks = Some(Chunks { right, next, matched, last: false });
        Ok(())
    }

    /// Makes a table of the right side's next chunk; false: there is none.
    fn next_chunk(&mut self, rt: &Rt<'_, '_>) -> Result<bool> {
        let Some(grace) = &mut self.grace else { return Ok(false) };
        let Some(chunks) = grace.chunks.as_mut().filter(|c| !c.last) else { return Ok(false) };
        let extra = chunks.matched.len() * 8;
        let (mut parts, mut bytes) = (Vec::new(), extra);
        while let Some(b) = chunks.next.take() {
            bytes += weigh(&b) + b.rows * TABLE_ROW;
            parts.push(b);
            chunks.next = chunks.right.next(rt)?;
            if !self.account.set(bytes, rt)? {
                break;
            }
        }
        if let Some(left) = &mut grace.left {
            left.rewind();
        }
        grace.passed = 0;
        if parts.is_empty() {
            chunks.last = true;
            return Ok(false);
        }
        self.built = Some(self.build(&parts, rt)?);
        Ok(true)
    }

    /// Behind all chunks: left rows that have found no match.
    fn left_alone(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        let keeps = self.keeps(Side::Left);
        let Some(grace) = &mut self.grace else { return Ok(None) };
        while keeps && grace.chunks.is_some() {
            let (Some(b), first) = grace.next_left(rt)? else { break };
            let Some(chunks) = &grace.chunks else { break };
            let alone = |row: &usize| {
                let n = first + row;
                chunks.matched.get(n / 64).is_none_or(|w| w >> (n % 64) & 1 == 0)
            };
            let rows: Vec<u32> = b.selected().filter(alone).map(|row| row as u32).collect();
            if rows.is_empty() {
                continue;
            }
            if self.kind == JoinKind::Anti {
                return Ok(Some(b.with_selection(rows)));
            }
            let mut b = b.with_selection(rows);
            b.columns.extend(self.right.types.iter().map(|t| alloc::sync::Arc::new(Vector::nulls(*t))));
            return Ok(Some(b));
        }
        grace.chunks = None;
        grace.left = None;
        self.account.set(0, rt)?;
        Ok(None)
    }
}
