//! UPDATE.

use alloc::vec::Vec;

use pg_catalog::storage_error;
use pg_plan::{
    expr::Expr,
    physical::{self, Attnum},
};
use pg_storage::{RowLock, RowOutcome, Tid, Touched, WaitPolicy};
use pg_types::{Batch, Result, SqlError, SqlType, Value};

use super::{Returned, Target, serialization_failure, unread::unread};
use crate::{
    context::Rt,
    expr::{Compiled, RowRef},
    node::{Compiler, Exec, Operator, row_reader::value_tid},
};

/// UPDATE.
pub(crate) struct Update {
    target: Target,
    source: Exec,
    /// (live position, new value over the source's columns).
    assignments: Vec<(usize, Compiled)>,
    /// The same for a row that has become another version; empty: as for others.
    again: Vec<(usize, Compiled)>,
    recheck: Option<Compiled>,
    /// Live positions of columns that get new values.
    set: Vec<usize>,
    /// Of columns of which no one looks at large values: something else stands for these.
    unread: Vec<usize>,
    /// The assigned columns are not indexed, whatever their values.
    never_indexed: bool,
    returned: Returned,
    /// Working storage, reused from row to row.
    row: Vec<Value>,
    new: Vec<Value>,
}

impl Update {
    pub(crate) fn new(u: &physical::Update, c: &mut Compiler<'_>, types: &[SqlType]) -> Result<Self> {
        let target = Target::new(&u.target, c)?;
        let mut compiled = |list: &[(Attnum, Expr)]| {
            let one = |(attnum, e): &(Attnum, Expr)| Ok((target.position(*attnum)?, Compiled::new(e, c)?));
            list.iter().map(one).collect::<Result<Vec<_>>>()
        };
        let (assignments, again) = (compiled(&u.assignments)?, compiled(&u.again)?);
        let generated =
            u.target.generated.iter().map(|(a, _)| target.position(*a)).collect::<Result<Vec<_>>>()?;
        let seen: Vec<&Expr> =
            u.assignments.iter().chain(&u.again).map(|(_, e)| e).chain(&u.recheck).collect();
        let unread = unread(&u.target, &u.source, &seen);
        let unread_positions = match &unread {
            Some((_, l)) => (0..target.live.len()).filter(|p| l.contains(&target.live[*p])).collect(),
            None => Vec::new(),
        };
        c.unread = unread.map(|(scan, l)| (core::ptr::from_ref(scan), l));
        let set: Vec<usize> = assignments.iter().map(|a| a.0).chain(generated.iter().copied()).collect();
        let never_indexed =
            !target.touches_index(assignments.iter().map(|a| a.0).chain(generated.iter().copied()));
        Ok(Self {
            source: Exec::new(&u.source, c)?,
            recheck: c.option(u.recheck.as_ref())?,
            target,
            assignments,
            again,
            set,
            unread: unread_positions,
            never_indexed,
            returned: Returned::new(types),
            row: Vec::new(),
            new: Vec::new(),
        })
    }

    /// Updates the row in `self.row` (ctid, old columns, others), following it when it was changed concurrently.
    fn update_row(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        let width = self.target.live.len();
        let rel = self.target.relation.storage;
        let mut followed = false;
        loop {
            let tid = self
                .row
                .first()
                .and_then(value_tid)
                .ok_or_else(|| SqlError::internal("UPDATE's source has no ctid"))?;
            self.new.clear();
            self.new.extend(self.row.iter().skip(1).take(width).cloned());
            let again = followed && !self.again.is_empty();
            for (position, e) in if again { &mut self.again } else { &mut self.assignments } {
                let v = e.row(RowRef::Values(&self.row), rt)?;
                if let Some(slot) = self.new.get_mut(*position) {
                    *slot = v;
                }
            }
            self.target.generate(&mut self.new, rt)?;
            if let Err(e) = self.target.check(&self.new, rt) {
                return Err(self.failed_check(tid, e, rt));
            }
            let touched = if self.never_indexed {
                Touched::Nothing
            } else {
                let old = self.row.iter().skip(1);
                let changed = old.zip(&self.new).enumerate().filter(|(_, (a, b))| a != b).map(|(i, _)| i);
                self.target.touched(changed)
            };
            let (row, new, set, unread) = (&self.row, &self.new, &self.set, &self.unread);
            let same = |p: usize| !unread.contains(&p) && row.get(p + 1) == new.get(p);
            let changes = self.target.prepare_update(tid, new, |p| !set.contains(&p) || same(p), rt)?;
            let payload = self.target.payload();
            let (outcome, isolation) = {
                let mut txn = rt.cx.txn.borrow_mut();
                let isolation = txn.isolation();
                let storage = rt.storage();
                (
                    storage.heap_update(txn.storage(), rel, tid, payload, touched).map_err(storage_error)?,
                    isolation,
                )
            };
            if !changes.is_empty() {
                self.target.settle(changes, matches!(outcome, RowOutcome::Done { .. }), rt)?;
            }
            match outcome {
                RowOutcome::Done { tid, hot } => {
                    if !hot {
                        self.target.index_row(&self.new, tid, rt)?;
                    }
                    if let Some(guard) = &mut self.target.guard {
                        guard.updated(self.row.get(1..=width).unwrap_or(&[]), &self.new, rt)?;
                    }
                    self.returned.affected += 1;
                    return self.target.give_back(&self.new, &self.row, (tid, false), &mut self.returned, rt);
                }
                RowOutcome::SelfModified | RowOutcome::WouldBlock => return Ok(()),
                RowOutcome::ConcurrentlyDeleted if isolation.uses_one_snapshot() => {
                    return Err(serialization_failure("delete"));
                }
                RowOutcome::ConcurrentlyDeleted => return Ok(()),
                RowOutcome::ConcurrentlyUpdated { .. } if isolation.uses_one_snapshot() => {
                    return Err(serialization_failure("update"));
                }
                RowOutcome::ConcurrentlyUpdated { latest } => {
                    if !follow(&self.target, &mut self.row, latest, self.recheck.as_mut(), rt)? {
                        return Ok(());
                    }
                    followed = true;
                }
            }
        }
    }

    /// The error of a check that failed shows the row: with the values that were not fetched.
    #[cold]
    fn failed_check(&mut self, tid: Tid, e: SqlError, rt: &Rt<'_, '_>) -> SqlError {
        if self.unread.is_empty() {
            return e;
        }
        let Ok(Some(old)) = self.target.version(tid, rt) else { return e };
        for p in self.unread.iter().filter(|p| !self.set.contains(p)) {
            if let (Some(slot), Some(v)) = (self.new.get_mut(*p), old.get(*p)) {
                *slot = v.clone();
            }
        }
        self.target.check(&self.new, rt).err().unwrap_or(e)
    }

    fn run(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        while let Some(b) = self.source.next(rt)? {
            rt.cx.checkpoint()?;
            for i in b.selected() {
                self.row.clear();
                self.row.extend(b.columns.iter().map(|c| c.value(i)));
                self.update_row(rt)?;
            }
        }
        self.target.finish(rt)
    }
}

/// Replaces ctid and old columns in a source row by a newer version's; false when the row is gone or its newest version does not
/// satisfy the condition. Of versions that one transaction made after each other only the last counts.
pub(super) fn follow(
    target: &Target,
    row: &mut [Value],
    latest: Tid,
    recheck: Option<&mut Compiled>,
    rt: &Rt<'_, '_>,
) -> Result<bool> {
    follow_as(None, target, row, latest, recheck, rt)
}

/// As [`follow`], where the row has only these of the table's columns.
pub(super) fn follow_as(
    shape: Option<&[usize]>,
    target: &Target,
    row: &mut [Value],
    mut latest: Tid,
    mut recheck: Option<&mut Compiled>,
    rt: &Rt<'_, '_>,
) -> Result<bool> {
    loop {
        let Some(version) = target.version(latest, rt)? else { return Ok(false) };
        let mut slots = row.iter_mut();
        if let Some(ctid) = slots.next() {
            *ctid = crate::node::row_reader::tid_value(latest);
        }
        match shape {
            None => slots.zip(version).for_each(|(slot, v)| *slot = v),
            Some(shape) => {
                for (slot, at) in slots.zip(shape) {
                    *slot = version.get(*at).cloned().unwrap_or(Value::Null);
                }
            }
        }
        target.put_system(row, latest, false, rt)?;
        let Some(e) = &mut recheck else { return Ok(true) };
        if e.is_true(RowRef::Values(row), rt)? {
            return Ok(true);
        }
        match newest(target, latest, rt)? {
            Some(tid) if tid != latest => latest = tid,
            _ => return Ok(false),
        }
    }
}

/// The newest version of a row from this one on, which is locked; `None`: the row is gone.
pub(super) fn newest(target: &Target, mut tid: Tid, rt: &Rt<'_, '_>) -> Result<Option<Tid>> {
    loop {
        rt.cx.checkpoint()?;
        let outcome = {
            let mut txn = rt.cx.txn.borrow_mut();
            let (rel, mode) = (target.relation.storage, RowLock::NoKeyUpdate);
            rt.storage().heap_lock(txn.storage(), rel, tid, mode, WaitPolicy::Block).map_err(storage_error)?
        };
        match outcome {
            RowOutcome::ConcurrentlyUpdated { latest } => tid = latest,
            RowOutcome::ConcurrentlyDeleted => return Ok(None),
            _ => return Ok(Some(tid)),
        }
    }
}

impl Operator for Update {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.returned.waits() {
            self.run(rt)?;
        }
        Ok(self.returned.next())
    }
    fn reset(&mut self) {
        self.returned.reset();
        self.target.reset();
        self.assignments.iter_mut().chain(&mut self.again).for_each(|(_, e)| e.reset());
        self.recheck.iter_mut().for_each(Compiled::reset);
        self.source.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.source]
    }
    fn affected(&self) -> u64 {
        self.returned.affected
    }
}
