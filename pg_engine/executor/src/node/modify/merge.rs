//! MERGE.

use alloc::vec::Vec;

use pg_catalog::storage_error;
use pg_plan::physical;
use pg_storage::{RowOutcome, Tid};
use pg_types::{Batch, Result, SqlError, SqlState, Value};

use super::{
    Target, serialization_failure,
    update::{follow_as, newest},
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

/// A table whose rows are merged into: the one that is named, or one that inherits from it.
struct Member {
    target: Target,
    /// Of an heir: where the columns of the table that is named are among its own.
    shape: Option<Vec<usize>>,
}

impl Member {
    fn heir(of: &physical::Target, heir: &physical::Target, c: &mut Compiler<'_>) -> Result<Self> {
        let place = |name: &str| heir.relation.live().position(|a| a.name == name);
        let shape = of
            .relation
            .live()
            .map(|a| place(&a.name).ok_or_else(|| SqlError::internal("a column that an heir does not have")));
        Ok(Self { shape: Some(shape.collect::<Result<_>>()?), target: Target::new(heir, c)? })
    }

    /// Where a column of the table that is named is here.
    fn place(&self, position: usize) -> usize {
        self.shape.as_ref().map_or(Some(position), |s| s.get(position).copied()).unwrap_or(position)
    }

    /// All columns of a row, of which a source's row has those of the table that is named.
    fn old(&self, row: &[Value], tid: Tid, rt: &Rt<'_, '_>) -> Result<Vec<Value>> {
        if self.shape.is_some() {
            let gone = || SqlError::internal("a row of an heir is gone");
            return self.target.version(tid, rt)?.ok_or_else(gone);
        }
        Ok(row.iter().skip(1).take(self.target.live.len()).cloned().collect())
    }
}

/// MERGE.
pub(crate) struct Merge {
    /// The table that is named first.
    members: Vec<Member>,
    /// Which column tells the table, where there are several.
    table: Option<usize>,
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
        let mut members = alloc::vec![Member { target, shape: None }];
        for heir in &m.heirs {
            members.push(Member::heir(&m.target, heir, c)?);
        }
        Ok(Self {
            source: Exec::new(&m.source, c)?,
            on: Compiled::new(&m.on, c)?,
            members,
            table: m.table,
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
                    let Some(Member { target, shape }) =
                        self.members.get(member(&self.members, self.table, &self.row))
                    else {
                        break;
                    };
                    let matches = match newest(target, latest, rt)? {
                        Some(newest) => follow_as(shape.as_deref(), target, &mut self.row, newest, on, rt)?,
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
        let width = self.members.first().map_or(0, |m| m.target.live.len());
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
        let at = member(&self.members, self.table, &self.row);
        let Some(member) = self.members.get_mut(at) else { return Ok(Outcome::Gone) };
        let rel = member.target.relation.storage;
        let outcome = {
            let mut txn = rt.cx.txn.borrow_mut();
            rt.storage().heap_delete(txn.storage(), rel, tid).map_err(storage_error)?
        };
        if let RowOutcome::Done { .. } = outcome {
            member.target.delete_large(tid, rt)?;
            if member.target.guard.is_some() {
                let old = member.old(&self.row, tid, rt)?;
                if let Some(guard) = &mut member.target.guard {
                    guard.deleted(&old, rt)?;
                }
            }
        }
        self.outcome(outcome)
    }

    fn update(&mut self, clause: usize, tid: Tid, rt: &Rt<'_, '_>) -> Result<Outcome> {
        let at = member(&self.members, self.table, &self.row);
        let Some(member) = self.members.get_mut(at) else { return Ok(Outcome::Gone) };
        let old = member.old(&self.row, tid, rt)?;
        let mut new = old.clone();
        if let Some(Clause { action: Action::Update(assignments), .. }) = self.clauses.get_mut(clause) {
            for (position, e) in assignments {
                let v = e.row(RowRef::Values(&self.row), rt)?;
                if let Some(slot) = new.get_mut(member.place(*position)) {
                    *slot = v;
                }
            }
        }
        let target = &mut member.target;
        target.generate(&mut new, rt)?;
        target.check(&new, rt)?;
        let changed = old.iter().zip(&new).enumerate().filter(|(_, (a, b))| a != b).map(|(i, _)| i);
        let touched = target.touched(changed);
        let changes = target.prepare_update(tid, &new, |p| old.get(p) == new.get(p), rt)?;
        let outcome = {
            let mut txn = rt.cx.txn.borrow_mut();
            let (rel, payload) = (target.relation.storage, target.payload());
            rt.storage().heap_update(txn.storage(), rel, tid, payload, touched).map_err(storage_error)?
        };
        if !changes.is_empty() {
            target.settle(changes, matches!(outcome, RowOutcome::Done { .. }), rt)?;
        }
        if let RowOutcome::Done { tid, hot } = outcome {
            if !hot {
                target.index_row(&new, tid, rt)?;
            }
            if let Some(guard) = &mut target.guard {
                guard.updated(&old, &new, rt)?;
            }
        }
        self.outcome(outcome)
    }

    fn insert(&mut self, clause: usize, rt: &Rt<'_, '_>) -> Result<()> {
        let Some(Member { target, .. }) = self.members.first_mut() else { return Ok(()) };
        let mut new = Vec::with_capacity(target.live.len());
        if let Some(Clause { action: Action::Insert(row), .. }) = self.clauses.get_mut(clause) {
            for e in row {
                new.push(e.row(RowRef::Values(&self.row), rt)?);
            }
        }
        target.generate(&mut new, rt)?;
        target.check(&new, rt)?;
        target.prepare(&new, rt)?;
        let tid = {
            let mut txn = rt.cx.txn.borrow_mut();
            let (rel, payload) = (target.relation.storage, target.payload());
            rt.storage().heap_insert(txn.storage(), rel, payload).map_err(storage_error)?
        };
        target.index_row(&new, tid, rt)?;
        if let Some(guard) = &mut target.guard {
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
        self.members.iter_mut().try_for_each(|m| m.target.finish(rt))
    }
}

/// Whose row this is.
fn member(members: &[Member], table: Option<usize>, row: &[Value]) -> usize {
    match table.and_then(|t| row.get(t)) {
        Some(Value::Oid(oid)) => members.iter().position(|m| m.target.relation.oid == *oid).unwrap_or(0),
        _ => 0,
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
        self.members.iter_mut().for_each(|m| m.target.reset());
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
