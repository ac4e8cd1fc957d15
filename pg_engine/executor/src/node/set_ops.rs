//! DISTINCT, INTERSECT, EXCEPT.

use alloc::{sync::Arc, vec::Vec};

use pg_plan::logical::SetOp;
use pg_types::{Batch, Result, Vector};

use super::{
    Exec, Held, Operator,
    groups::{Groups, KeyClass},
    spill::{Account, Overflow, PARTS, Partitions, Reader, Rows, part_of},
};
use crate::{context::Rt, expr::Compiled, keys};

/// Rows met for the first time. Those for which there is no room are put aside and come back when all others are done.
pub(crate) struct Unique {
    classes: Vec<KeyClass>,
    groups: Groups,
    account: Account,
    overflow: Overflow,
    full: bool,
}

impl Unique {
    pub(crate) fn new(classes: Vec<KeyClass>) -> Self {
        let groups = Groups::new(classes.clone());
        Self { classes, groups, account: Account::hashing(), overflow: Overflow::default(), full: false }
    }
    /// The rows of a batch that are the first with their columns' values.
    pub(crate) fn first(&mut self, b: &Batch, rt: &Rt<'_, '_>) -> Result<Vec<u32>> {
        let mut kept = Vec::new();
        if !self.full {
            kept.extend(b.selected().filter(|i| self.groups.group(&b.columns, *i).1).map(|i| i as u32));
            self.full = !self.account.set(self.groups.memory(), rt)?;
            return Ok(kept);
        }
        // Those that are not known wait.
        kept.extend(b.selected().filter(|i| self.groups.find(&b.columns, *i).is_none()).map(|i| i as u32));
        self.overflow.put(b, &kept, (&self.classes, &b.columns), &mut self.account, rt)?;
        Ok(Vec::new())
    }
    /// Rows that were put aside, to be asked for again by `first`.
    pub(crate) fn aside(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if !self.overflow.is_used() {
            return Ok(None);
        }
        loop {
            if let Some(b) = self.overflow.next(rt)? {
                return Ok(Some(b));
            }
            self.groups.clear();
            self.full = false;
            self.account.set(0, rt)?;
            if !self.overflow.turn(rt)? {
                return Ok(None);
            }
        }
    }
    pub(crate) fn clear(&mut self) {
        self.groups.clear();
        self.overflow.clear();
        self.full = false;
    }
    fn held(&self) -> Held {
        self.overflow.held(&self.account)
    }
}

/// DISTINCT: first occurrences by hashing; DISTINCT ON: first of each run of equal keys in sorted input.
pub(crate) struct Distinct {
    input: Exec,
    seen: Unique,
    on: Option<Vec<Compiled>>,
    last: Option<Vec<u8>>,
}

impl Distinct {
    pub(crate) fn new(input: Exec, on: Option<Vec<Compiled>>) -> Self {
        let seen = Unique::new(input.types.iter().map(|t| KeyClass::one(t.oid)).collect());
        Self { input, seen, on, last: None }
    }
    /// Rows whose key differs from that of the row before.
    fn changes(
        on: &mut [Compiled],
        last: &mut Option<Vec<u8>>,
        b: &Batch,
        rt: &Rt<'_, '_>,
    ) -> Result<Vec<u32>> {
        let columns: Vec<Arc<Vector>> =
            on.iter_mut().map(|e| e.vector(b, b.selection.as_deref(), rt)).collect::<Result<_>>()?;
        let mut kept = Vec::new();
        for i in b.selected() {
            let mut key = Vec::new();
            for c in &columns {
                keys::encode(c.ty.oid, &c.value(i), &mut key);
            }
            if last.as_ref() != Some(&key) {
                kept.push(i as u32);
                *last = Some(key);
            }
        }
        Ok(kept)
    }
}

impl Operator for Distinct {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        loop {
            let b = match self.input.next(rt)? {
                Some(b) => b,
                None => match self.seen.aside(rt)? {
                    Some(b) => b,
                    None => return Ok(None),
                },
            };
            rt.cx.checkpoint()?;
            let kept = match &mut self.on {
                None => self.seen.first(&b, rt)?,
                Some(on) => Self::changes(on, &mut self.last, &b, rt)?,
            };
            if !kept.is_empty() {
                return Ok(Some(b.with_selection(kept)));
            }
        }
    }
    fn reset(&mut self) {
        self.seen.clear();
        self.last = None;
        self.on.iter_mut().flatten().for_each(Compiled::reset);
        self.input.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.input]
    }
    fn held(&self) -> Option<Held> {
        self.on.is_none().then(|| self.seen.held())
    }
}

/// INTERSECT and EXCEPT, with and without ALL; UNION comes as Append and Distinct, but is understood.
///
/// Rows of the right side are counted by their values, then those of the left side are looked up. When there is no room for further
/// values, rows of both sides that are not known are put aside, portion by portion, and a portion's two sides are gone
/// through like the inputs.
pub(crate) struct SetOperation {
    op: SetOp,
    all: bool,
    left: Exec,
    right: Exec,
    classes: Vec<KeyClass>,
    counts: Counts,
    account: Account,
    full: bool,
    built: bool,
    aside: Aside,
}

/// The values that are known.
struct Counts {
    groups: Groups,
    /// Occurrences on the right not yet used up, by group.
    right: Vec<u64>,
    /// Groups already yielded (without ALL).
    yielded: Vec<bool>,
}

/// What waits.
#[derive(Default)]
struct Aside {
    /// Being written: left and right.
    writing: Option<(Partitions, Partitions)>,
    waiting: Vec<(Option<Rows>, Option<Rows>, u32)>,
    /// Being gone through.
    reading: Option<(Option<Reader>, Option<Reader>)>,
    level: u32,
    key: Vec<u8>,
}

impl Counts {
    fn memory(&self) -> usize {
        self.groups.memory() + self.right.len() * 8 + self.yielded.len()
    }
    fn clear(&mut self) {
        self.groups.clear();
        self.right.clear();
        self.yielded.clear();
    }
    fn keep(&mut self, id: u32, op: SetOp, all: bool) -> bool {
        let n = id as usize;
        if self.right.len() <= n {
            self.right.resize(n + 1, 0);
        }
        if self.yielded.len() <= n {
            self.yielded.resize(n + 1, false);
        }
        let count = &mut self.right[n];
        let in_right = *count > 0;
        let wanted = match op {
            SetOp::Intersect => in_right,
            SetOp::Except => !in_right,
            SetOp::Union => true,
        };
        if all {
            *count = count.saturating_sub(1);
            return wanted;
        }
        !core::mem::replace(&mut self.yielded[n], true) && wanted
    }
}

impl SetOperation {
    pub(crate) fn new(op: SetOp, all: bool, left: Exec, right: Exec) -> Self {
        let classes: Vec<KeyClass> = left
            .types
            .iter()
            .zip(&right.types)
            .map(|(l, r)| KeyClass::of(l.oid, r.oid).unwrap_or(KeyClass::Typed(l.oid)))
            .collect();
        let counts = Counts { groups: Groups::new(classes.clone()), right: Vec::new(), yielded: Vec::new() };
        let (account, aside) = (Account::hashing(), Aside::default());
        Self { op, all, left, right, classes, counts, account, full: false, built: false, aside }
    }

    /// Puts rows of one side aside.
    fn put(&mut self, b: &Batch, rows: &[u32], left: bool, rt: &Rt<'_, '_>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let Aside { writing, key, level, .. } = &mut self.aside;
        let limit = self.account.limit(rt);
        let (l, r) = writing.get_or_insert_with(|| (Partitions::new(limit), Partitions::new(limit)));
        let part =
            |row: &u32| (*row as usize, part_of(&self.classes, &b.columns, *row as usize, *level, key));
        (if left { l } else { r }).add(b, rows.iter().map(part), rt)
    }

    fn next_of(&mut self, left: bool, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        match &mut self.aside.reading {
            None if left => self.left.next(rt),
            None => self.right.next(rt),
            Some((l, r)) => (if left { l } else { r }).as_mut().map_or(Ok(None), |r| r.next(rt)),
        }
    }

    fn count_right(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        while let Some(b) = self.next_of(false, rt)? {
            rt.cx.checkpoint()?;
            let mut rest = Vec::new();
            for i in b.selected() {
                let id = match self.full {
                    false => Some(self.counts.groups.group(&b.columns, i).0),
                    true => self.counts.groups.find(&b.columns, i),
                };
                let Some(id) = id.map(|id| id as usize) else {
                    rest.push(i as u32);
                    continue;
                };
                if self.counts.right.len() <= id {
                    self.counts.right.resize(id + 1, 0);
                }
                self.counts.right[id] += 1;
            }
            self.put(&b, &rest, false, rt)?;
            self.full |= !self.account.set(self.counts.memory(), rt)?;
        }
        Ok(())
    }

    /// The rows of a left batch that are wanted.
    fn look_up(&mut self, b: &Batch, rt: &Rt<'_, '_>) -> Result<Vec<u32>> {
        let (mut kept, mut rest) = (Vec::new(), Vec::new());
        for i in b.selected() {
            let id = match self.full {
                false => Some(self.counts.groups.group(&b.columns, i).0),
                true => self.counts.groups.find(&b.columns, i),
            };
            match id {
                Some(id) if self.counts.keep(id, self.op, self.all) => kept.push(i as u32),
                Some(_) => {}
                None => rest.push(i as u32),
            }
        }
        self.put(b, &rest, true, rt)?;
        self.full |= !self.account.set(self.counts.memory(), rt)?;
        Ok(kept)
    }

    /// Goes on to the next portion of what was put aside; false: there is none.
    fn turn(&mut self, rt: &Rt<'_, '_>) -> Result<bool> {
        self.aside.reading = None;
        if let Some((left, right)) = self.aside.writing.take() {
            let (left, right) = (left.finish(rt)?, right.finish(rt)?);
            debug_assert_eq!(left.len(), PARTS);
            let level = self.aside.level + 1;
            // Nothing comes of a portion without left rows.
            let pairs = left.into_iter().zip(right).filter(|(l, _)| l.is_some());
            self.aside.waiting.extend(pairs.map(|(l, r)| (l, r, level)));
        }
        self.counts.clear();
        self.full = false;
        self.account.set(0, rt)?;
        let Some((left, right, level)) = self.aside.waiting.pop() else { return Ok(false) };
        self.aside.level = level;
        self.aside.reading = Some((left.map(Reader::new), right.map(Reader::new)));
        Ok(true)
    }
}

impl Operator for SetOperation {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        loop {
            if !self.built {
                self.built = true;
                self.count_right(rt)?;
            }
            while let Some(b) = self.next_of(true, rt)? {
                rt.cx.checkpoint()?;
                let kept = self.look_up(&b, rt)?;
                if !kept.is_empty() {
                    return Ok(Some(b.with_selection(kept)));
                }
            }
            if self.aside.writing.is_none() && self.aside.waiting.is_empty() {
                return Ok(None);
            }
            if !self.turn(rt)? {
                return Ok(None);
            }
            self.built = false;
        }
    }
    fn reset(&mut self) {
        self.counts.clear();
        self.full = false;
        self.built = false;
        self.aside = Aside::default();
        self.left.reset();
        self.right.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.left, &self.right]
    }
}
