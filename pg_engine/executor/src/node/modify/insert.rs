//! INSERT and ON CONFLICT.

use alloc::vec::Vec;

use pg_catalog::storage_error;
use pg_plan::{physical, statement::SYSTEM_COLUMNS};
use pg_storage::{RowOutcome, Tid};
use pg_types::{Batch, Result, SqlError, SqlState, SqlType, Value};

use super::{Returned, Target, policy::Policies, serialization_failure};
use crate::{
    context::Rt,
    expr::{Compiled, RowRef},
    node::{Compiler, Exec, Operator, misc::project},
};

struct OnConflict {
    /// Positions of the indexes to look at; empty: all unique ones.
    arbiters: Vec<usize>,
    /// (live position, new value) and WHERE, over the existing row's columns and then the excluded row's.
    update: Option<(Vec<(usize, Compiled)>, Option<Compiled>)>,
    /// What row-level security asks of the existing row and of what it becomes.
    existing: Policies,
    updated: Policies,
}

/// INSERT.
pub(crate) struct Insert {
    target: Target,
    source: Exec,
    on_conflict: Option<OnConflict>,
    types: Vec<SqlType>,
    returned: Returned,
}

impl Insert {
    pub(crate) fn new(i: &physical::Insert, c: &mut Compiler<'_>, types: &[SqlType]) -> Result<Self> {
        let target = Target::new(&i.target, c)?;
        let on_conflict = match &i.on_conflict {
            None => None,
            Some(o) => {
                let update = match &o.update {
                    None => None,
                    Some((assignments, condition)) => {
                        let list = assignments
                            .iter()
                            .map(|(attnum, e)| Ok((target.position(*attnum)?, Compiled::new(e, c)?)))
                            .collect::<Result<_>>()?;
                        Some((list, c.option(condition.as_ref())?))
                    }
                };
                let arbiters =
                    if o.arbiters.is_empty() { target.unique_indexes() } else { o.arbiters.clone() };
                let existing = Policies::new(&o.existing, c)?;
                let updated = Policies::new(&o.updated, c)?;
                Some(OnConflict { arbiters, update, existing, updated })
            }
        };
        Ok(Self {
            target,
            source: Exec::new(&i.source, c)?,
            on_conflict,
            types: types.to_vec(),
            returned: Returned::new(types),
        })
    }

    fn run(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        while let Some(b) = self.source.next(rt)? {
            rt.cx.checkpoint()?;
            let mut b = b.compact();
            self.target.generate_batch(&mut b, rt)?;
            if self.on_conflict.is_some() {
                for i in 0..b.rows {
                    self.insert_or_resolve(b.row_values(i), rt)?;
                }
                continue;
            }
            let tids = self.target.insert_batch(&b, rt)?;
            self.returned.affected += b.rows as u64;
            if !self.target.system.is_empty() {
                for (i, tid) in tids.into_iter().enumerate() {
                    self.return_row(&b.row_values(i), tid, false, rt)?;
                }
            } else if let Some(r) = &mut self.target.returning {
                self.returned.push_batch(project(r, &self.types, &b, rt)?);
            }
        }
        self.target.finish(rt)
    }

    /// Inserts one row unless an arbiter index has its key; then does what ON CONFLICT says.
    fn insert_or_resolve(&mut self, row: Vec<Value>, rt: &Rt<'_, '_>) -> Result<()> {
        const MAX_RETRIES: u32 = 1000;
        self.target.check(&row, rt)?;
        if let Some(o) = &self.on_conflict {
            self.target.refuse_deferrable(&o.arbiters)?;
        }
        for _ in 0..MAX_RETRIES {
            let Some(o) = &self.on_conflict else { break };
            let mut conflict = None;
            for &n in &o.arbiters {
                if let Some(tid) = self.target.conflict(n, &row, rt)? {
                    conflict = Some(tid);
                    break;
                }
            }
            if let Some(tid) = conflict {
                if self.resolve(tid, &row, rt)? {
                    return Ok(());
                }
                continue;
            }
            if let Some(tid) = self.try_insert(&row, rt)? {
                self.returned.affected += 1;
                return self.return_row(&row, tid, false, rt);
            }
        }
        Err(serialization_failure("update"))
    }

    /// `locked`: DO UPDATE locked the row that was there, which its next version shows as xmax.
    fn return_row(&mut self, new: &[Value], tid: Tid, locked: bool, rt: &Rt<'_, '_>) -> Result<()> {
        let room = [const { Value::Null }; SYSTEM_COLUMNS];
        let room = if self.target.system.is_empty() { &[][..] } else { &room[..] };
        self.target.give_back(new, room, (tid, locked), &mut self.returned, rt)
    }

    /// Inserts; `None` when another transaction took an arbiter's key in between (the row is taken back).
    fn try_insert(&mut self, row: &[Value], rt: &Rt<'_, '_>) -> Result<Option<Tid>> {
        let rel = self.target.relation.storage;
        let written = self.target.prepare(row, rt)?;
        let tid = {
            let mut txn = rt.cx.txn.borrow_mut();
            rt.storage().heap_insert(txn.storage(), rel, self.target.payload()).map_err(storage_error)?
        };
        for n in 0..self.target.relation.indexes.len() {
            if self.target.index_row_in(n, row, tid, rt)?.is_some() {
                let arbiter = self.on_conflict.as_ref().is_some_and(|o| o.arbiters.contains(&n));
                if !arbiter {
                    return Err(self.target.unique_violation(n, row, rt));
                }
                {
                    let mut txn = rt.cx.txn.borrow_mut();
                    rt.storage().heap_take_back(txn.storage(), rel, tid).map_err(storage_error)?;
                }
                self.target.format.take_back(&written, rt.cx)?;
                return Ok(None);
            }
        }
        if let Some(guard) = &mut self.target.guard {
            guard.inserted(row, rt)?;
        }
        Ok(Some(tid))
    }

    /// DO NOTHING or DO UPDATE for the row at `tid`; false: it is gone, try to insert again.
    fn resolve(&mut self, tid: Tid, excluded: &[Value], rt: &Rt<'_, '_>) -> Result<bool> {
        let isolation = rt.cx.txn.borrow().isolation();
        let rel = self.target.relation.storage;
        // The index leads to the first version of a chain.
        let visible = rt.storage().heap_fetch(rel, tid, rt.snapshot, |tid, _| tid).map_err(storage_error)?;
        if isolation.uses_one_snapshot() && visible.is_none() {
            return Err(serialization_failure("update"));
        }
        let mut tid = visible.unwrap_or(tid);
        loop {
            match self.resolve_version(tid, excluded, rt)? {
                RowOutcome::Done { .. } => return Ok(true),
                RowOutcome::SelfModified => return Err(affected_twice()),
                RowOutcome::ConcurrentlyUpdated { .. } | RowOutcome::ConcurrentlyDeleted
                    if isolation.uses_one_snapshot() =>
                {
                    return Err(serialization_failure("update"));
                }
                RowOutcome::ConcurrentlyUpdated { latest } => tid = latest,
                _ => return Ok(false),
            }
        }
    }

    /// Does what ON CONFLICT says to exactly the version at `tid`.
    fn resolve_version(&mut self, tid: Tid, excluded: &[Value], rt: &Rt<'_, '_>) -> Result<RowOutcome> {
        let rel = self.target.relation.storage;
        let done = RowOutcome::Done { tid, hot: false };
        let Some(on_conflict) = &mut self.on_conflict else { return Ok(done) };
        let Some((assignments, condition)) = on_conflict.update.as_mut() else { return Ok(done) };
        let Some(old) = self.target.version(tid, rt)? else { return Ok(RowOutcome::ConcurrentlyDeleted) };
        let mut both = old.clone();
        both.extend_from_slice(excluded);
        if let Some(c) = condition
            && !c.is_true(RowRef::Values(&both), rt)?
        {
            return Ok(done);
        }
        on_conflict.existing.check(&self.target.relation.name, &old, rt)?;
        let mut new = old.clone();
        for (position, e) in assignments {
            let v = e.row(RowRef::Values(&both), rt)?;
            if let Some(slot) = new.get_mut(*position) {
                *slot = v;
            }
        }
        self.target.generate(&mut new, rt)?;
        if let Some(o) = &mut self.on_conflict {
            o.updated.check(&self.target.relation.name, &new, rt)?;
        }
        self.target.check_constraints(&new, rt)?;
        let changed = old.iter().zip(&new).enumerate().filter(|(_, (a, b))| a != b).map(|(i, _)| i);
        let touched = self.target.touched(changed);
        let changes = self.target.prepare_update(tid, &new, |p| old.get(p) == new.get(p), rt)?;
        let outcome = {
            let mut txn = rt.cx.txn.borrow_mut();
            let payload = self.target.payload();
            rt.storage().heap_update(txn.storage(), rel, tid, payload, touched).map_err(storage_error)?
        };
        if !changes.is_empty() {
            self.target.settle(changes, matches!(outcome, RowOutcome::Done { .. }), rt)?;
        }
        if let RowOutcome::Done { tid, hot } = outcome {
            if !hot {
                self.target.index_row(&new, tid, rt)?;
            }
            if let Some(guard) = &mut self.target.guard {
                guard.updated(&old, &new, rt)?;
            }
            self.returned.affected += 1;
            self.return_row(&new, tid, true, rt)?;
        }
        Ok(outcome)
    }
}

/// ON CONFLICT met a row that the same command has put there.
fn affected_twice() -> SqlError {
    SqlError::new(
        SqlState::CARDINALITY_VIOLATION,
        "ON CONFLICT DO UPDATE command cannot affect row a second time",
    )
    .hint(
        "Ensure that no rows proposed for insertion within the same command have duplicate constrained \
         values.",
    )
}

impl Operator for Insert {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.returned.waits() {
            self.run(rt)?;
        }
        Ok(self.returned.next())
    }
    fn reset(&mut self) {
        self.returned.reset();
        self.target.reset();
        self.source.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.source]
    }
    fn affected(&self) -> u64 {
        self.returned.affected
    }
}

/// A table fed with batches of its live columns: COPY FROM.
pub(crate) struct Loader {
    pub(crate) target: Target,
}

impl Loader {
    pub(crate) fn new(t: &physical::Target, c: &mut Compiler<'_>) -> Result<Self> {
        Ok(Self { target: Target::new(t, c)? })
    }
    /// For a table without checks, generated columns or index expressions.
    pub(crate) fn plain(relation: &alloc::sync::Arc<pg_catalog::Relation>) -> Result<Self> {
        let target = physical::Target {
            relation: relation.clone(),
            checks: Vec::new(),
            view_checks: Vec::new(),
            index_exprs: Vec::new(),
            generated: Vec::new(),
            policies: Vec::new(),
            returning: None,
            system: Vec::new(),
            given: Vec::new(),
        };
        Self::new(&target, &mut Compiler::new(0))
    }
    /// Inserts a batch.
    pub(crate) fn load(&mut self, mut b: Batch, rt: &Rt<'_, '_>) -> Result<()> {
        self.target.generate_batch(&mut b, rt)?;
        self.target.insert_batch(&b, rt)?;
        Ok(())
    }
}
