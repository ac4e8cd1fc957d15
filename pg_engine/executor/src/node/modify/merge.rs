//! MERGE.

use alloc::vec::Vec;

use pg_catalog::storage_error;
use pg_plan::physical;
use pg_storage::{RowOutcome, Tid};
use pg_types::{Batch, Result, SqlError, SqlState, Value};

use super::{
    Target, serialization_failure,
    update::{follow, newest},
};
use crate::{
    context::Rt,
    expr::{Compiled, RowRef},
    node::{Compiler, Exec, Operator, row_reader::value_tid},
};

enum Action {
    Nothing,
    Delete,
    /// (live position, new value over the source's columns).
    Update(Vec<(usize, Compiled)>),
    /// The table's live columns over the source's.
    Insert(Vec<Compiled>),
}

struct Clause {
    matched: bool,
    condition: Option<Compiled>,
    action: Action,
}

/// MERGE.
pub(crate) struct Merge {
    target: Target,
    source: Exec,
    on: Compiled,
    clauses: Vec<Clause>,
    affected: u64,
    done: bool,
    /// Working storage: ctid, old columns, the source's columns.
    row: Vec<Value>,
}

/// What became of a clause's action.
enum Outcome {
    Done,
    /// No clause was for the row.
    Passed,
    /// Another transaction changed the row: its newest version.
    Changed(Tid),
    /// Another transaction deleted the row.
    Gone,
}

impl Merge {
    pub(crate) fn new(m: &physical::Merge, c: &mut Compiler<'_>) -> Result<Self> {
        let target = Target::new(&m.target, c)?;
        let mut clauses = Vec::with_capacity(m.clauses.len());
        for clause in &m.clauses {
            let action = match &clause.action {
                physical::MergeAction::Nothing => Action::Nothing,
                physical::MergeAction::Delete => Action::Delete,
                physical::MergeAction::Update(list) => Action::Update(
                    list.iter()
                        .map(|(attnum, e)| Ok((target.position(*attnum)?, Compiled::new(e, c)?)))
                        .collect::<Result<_>>()?,
                ),
                physical::MergeAction::Insert(row) => Action::Insert(c.exprs(row)?),
            };
            let condition = c.option(clause.condition.as_ref())?;
            clauses.push(Clause { matched: clause.matched, condition, action });
        }
        Ok(Self {
            source: Exec::new(&m.source, c)?,
            on: Compiled::new(&m.on, c)?,
            target,
            clauses,
            affected: 0,
            done: false,
            row: Vec::new(),
        })
    }

    /// Does what the first clause says that is for the row in `self.row`.
    fn merge_row(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        const MAX_VERSIONS: u32 = 1 << 20;
        let one_snapshot = rt.cx.txn.borrow().isolation().uses_one_snapshot();
        for _ in 0..MAX_VERSIONS {
            let Some(tid) = self.row.first().and_then(value_tid) else { break };
            match self.act(Some(tid), rt)? {
                Outcome::Done | Outcome::Passed => return Ok(()),
                Outcome::Changed(_) if one_snapshot => return Err(serialization_failure("update")),
                Outcome::Gone if one_snapshot => return Err(serialization_failure("delete")),
                Outcome::Changed(latest) => {
                    let on = Some(&mut self.on);
                    let matches = match newest(&self.target, latest, rt)? {
                        Some(newest) => follow(&self.target, &mut self.row, newest, on, rt)?,
                        None => false,
                    };
                    if !matches {
                        self.unmatch();
                    }
                }
                Outcome::Gone => self.unmatch(),
            }
        }
        self.act(None, rt).map(|_| ())
    }

    /// The target's row no longer matches.
    fn unmatch(&mut self) {
        let width = self.target.live.len();
        self.row.iter_mut().take(width + 1).for_each(|v| *v = Value::Null);
    }

    fn act(&mut self, tid: Option<Tid>, rt: &Rt<'_, '_>) -> Result<Outcome> {
        for n in 0..self.clauses.len() {
            let Some(clause) = self.clauses.get_mut(n) else { break };
            if clause.matched != tid.is_some() {
                continue;
            }
            if let Some(c) = &mut clause.condition
                && !c.is_true(RowRef::Values(&self.row), rt)?
            {
                continue;
            }
            return match (&clause.action, tid) {
                (Action::Delete, Some(tid)) => self.delete(tid, rt),
                (Action::Update(_), Some(tid)) => self.update(n, tid, rt),
                (Action::Insert(_), None) => self.insert(n, rt).map(|()| Outcome::Done),
                _ => Ok(Outcome::Done),
            };
        }
        Ok(Outcome::Passed)
    }

    fn outcome(&mut self, outcome: RowOutcome) -> Result<Outcome> {
        Ok(match outcome {
            RowOutcome::Done { .. } => {
                self.affected += 1;
                Outcome::Done
            }
            RowOutcome::SelfModified => return Err(affected_twice()),
            RowOutcome::ConcurrentlyUpdated { latest } => Outcome::Changed(latest),
            RowOutcome::ConcurrentlyDeleted => Outcome::Gone,
            RowOutcome::WouldBlock => Outcome::Done,
        })
    }

    fn delete(&mut self, tid: Tid, rt: &Rt<'_, '_>) -> Result<Outcome> {
        let rel = self.target.relation.storage;
        let outcome = {
            let mut txn = rt.cx.txn.borrow_mut();
            rt.storage().heap_delete(txn.storage(), rel, tid).map_err(storage_error)?
        };
        if let RowOutcome::Done { .. } = outcome {
            self.target.delete_large(tid, rt)?;
            let width = self.target.live.len();
            if let Some(guard) = &mut self.target.guard {
                guard.deleted(self.row.get(1..=width).unwrap_or(&[]), rt)?;
            }
        }
        self.outcome(outcome)
    }

    fn update(&mut self, clause: usize, tid: Tid, rt: &Rt<'_, '_>) -> Result<Outcome> {
        let width = self.target.live.len();
        let old: Vec<Value> = self.row.iter().skip(1).take(width).cloned().collect();
        let mut new = old.clone();
        if let Some(Clause { action: Action::Update(assignments), .. }) = self.clauses.get_mut(clause) {
            for (position, e) in assignments {
                let v = e.row(RowRef::Values(&self.row), rt)?;
                if let Some(slot) = new.get_mut(*position) {
                    *slot = v;
                }
            }
        }
        self.target.generate(&mut new, rt)?;
        self.target.check(&new, rt)?;
        let changed = old.iter().zip(&new).enumerate().filter(|(_, (a, b))| a != b).map(|(i, _)| i);
        let touched = self.target.touched(changed);
        let changes = self.target.prepare_update(tid, &new, |p| old.get(p) == new.get(p), rt)?;
        let outcome = {
            let mut txn = rt.cx.txn.borrow_mut();
            let (rel, payload) = (self.target.relation.storage, self.target.payload());
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
        }
        self.outcome(outcome)
    }

    fn insert(&mut self, clause: usize, rt: &Rt<'_, '_>) -> Result<()> {
        let mut new = Vec::with_capacity(self.target.live.len());
        if let Some(Clause { action: Action::Insert(row), .. }) = self.clauses.get_mut(clause) {
            for e in row {
                new.push(e.row(RowRef::Values(&self.row), rt)?);
            }
        }
        self.target.generate(&mut new, rt)?;
        self.target.check(&new, rt)?;
        self.target.prepare(&new, rt)?;
        let tid = {
            let mut txn = rt.cx.txn.borrow_mut();
            let (rel, payload) = (self.target.relation.storage, self.target.payload());
            rt.storage().heap_insert(txn.storage(), rel, payload).map_err(storage_error)?
        };
        self.target.index_row(&new, tid, rt)?;
        if let Some(guard) = &mut self.target.guard {
            guard.inserted(&new, rt)?;
        }
        self.affected += 1;
        Ok(())
    }

    fn run(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        while let Some(b) = self.source.next(rt)? {
            rt.cx.checkpoint()?;
            for i in b.selected() {
                self.row.clear();
                self.row.extend(b.columns.iter().map(|c| c.value(i)));
                self.merge_row(rt)?;
            }
        }
        self.target.finish(rt)
    }
}

fn affected_twice() -> SqlError {
    let text = "MERGE command cannot affect row a second time";
    SqlError::new(SqlState::CARDINALITY_VIOLATION, text)
        .hint("Ensure that not more than one source row matches any one target row.")
}

impl Operator for Merge {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if !self.done {
            self.run(rt)?;
            self.done = true;
        }
        Ok(None)
    }
    fn reset(&mut self) {
        self.affected = 0;
        self.done = false;
        self.target.reset();
        self.on.reset();
        for clause in &mut self.clauses {
            clause.condition.iter_mut().for_each(Compiled::reset);
            match &mut clause.action {
                Action::Nothing | Action::Delete => {}
                Action::Update(list) => list.iter_mut().for_each(|(_, e)| e.reset()),
                Action::Insert(row) => row.iter_mut().for_each(Compiled::reset),
            }
        }
        self.source.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.source]
    }
    fn affected(&self) -> u64 {
        self.affected
    }
}
