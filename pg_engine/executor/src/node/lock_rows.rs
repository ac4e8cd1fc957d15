//! SELECT ... FOR UPDATE and its weaker kin.

use alloc::{sync::Arc, vec::Vec};

use pg_catalog::{Relation, storage_error};
use pg_plan::{
    logical::{LockWait, Locked as Table},
    physical::Physical,
};
use pg_storage::{RowLock, RowOutcome, StorageError, Tid, WaitPolicy};
use pg_types::{Batch, Result, SqlError, SqlState, Value};

use super::{Exec, Operator, recheck::Recheck, row_reader::value_tid};
use crate::context::Rt;

/// A table below, and in which mode its rows are locked; `None`: they only belong to the row.
struct Mark {
    relation: Arc<Relation>,
    /// Where its ctid is.
    position: usize,
    /// Where it says which table a row is of, if rows may be of several.
    table: Option<usize>,
    mode: Option<RowLock>,
}

impl Mark {
    /// The row's place in this table, if it is of this one.
    fn place(&self, b: &Batch, row: usize) -> Option<Tid> {
        if let Some(table) = self.table
            && b.columns.get(table).map(|c| c.value(row)) != Some(Value::Oid(self.relation.oid))
        {
            return None;
        }
        b.columns.get(self.position).and_then(|c| value_tid(&c.value(row)))
    }
}

/// Locks the rows that pass through, one at a time, so that LIMIT above locks little more than it yields.
pub(crate) struct LockRows {
    input: Exec,
    plan: Arc<Physical>,
    marks: Vec<Mark>,
    wait: WaitPolicy,
    pending: Option<(Batch, usize)>,
    yielded: bool,
    /// The plan below once more, for rows that changed; made when first needed.
    recheck: Option<Recheck>,
}

/// What came of locking a row.
enum Locked {
    Yes,
    /// It is gone, or locked by another and to be left out.
    Skip,
    /// It is locked, in newer versions than the statement found.
    Changed(Vec<Option<Tid>>),
}

impl LockRows {
    pub(crate) fn new(input: Exec, plan: &Arc<Physical>, tables: &[Table], wait: LockWait) -> Self {
        let marks = tables
            .iter()
            .map(|t| {
                let mode = match t.strength {
                    0 => Some(RowLock::KeyShare),
                    1 => Some(RowLock::Share),
                    2 => Some(RowLock::NoKeyUpdate),
                    3 => Some(RowLock::Update),
                    _ => None,
                };
                let table = t.tableoid.map(|p| p as usize);
                Mark { relation: t.relation.clone(), position: t.ctid as usize, table, mode }
            })
            .collect();
        let wait = match wait {
            LockWait::Block => WaitPolicy::Block,
            LockWait::NoWait => WaitPolicy::Error,
            LockWait::SkipLocked => WaitPolicy::Skip,
        };
        Self { input, plan: plan.clone(), marks, wait, pending: None, yielded: false, recheck: None }
    }

    /// Locks one row's tables.
    fn lock(&self, b: &Batch, row: usize, rt: &Rt<'_, '_>) -> Result<Locked> {
        let mut changed = None;
        for (n, mark) in self.marks.iter().enumerate() {
            let Some(mode) = mark.mode else { continue };
            let Some(found) = mark.place(b, row) else { continue };
            let Some(locked) = self.lock_version(mark, mode, found, rt)? else { return Ok(Locked::Skip) };
            if locked != found {
                let versions = changed.get_or_insert_with(|| self.versions(b, row));
                if let Some(v) = versions.get_mut(n) {
                    *v = Some(locked);
                }
            }
        }
        Ok(changed.map_or(Locked::Yes, Locked::Changed))
    }

    fn versions(&self, b: &Batch, row: usize) -> Vec<Option<Tid>> {
        self.marks.iter().map(|m| m.place(b, row)).collect()
    }

    /// Locks a version or the newest that replaced it; `None`: there is nothing to lock.
    fn lock_version(&self, mark: &Mark, mode: RowLock, mut tid: Tid, rt: &Rt<'_, '_>) -> Result<Option<Tid>> {
        loop {
            rt.cx.checkpoint()?;
            let mut txn = rt.cx.txn.borrow_mut();
            let one_snapshot = txn.isolation().uses_one_snapshot();
            let outcome = rt.storage().heap_lock(txn.storage(), mark.relation.storage, tid, mode, self.wait);
            match outcome {
                Ok(RowOutcome::Done { .. }) => return Ok(Some(tid)),
                Ok(RowOutcome::SelfModified | RowOutcome::WouldBlock) => return Ok(None),
                Ok(RowOutcome::ConcurrentlyUpdated { .. } | RowOutcome::ConcurrentlyDeleted)
                    if one_snapshot =>
                {
                    return Err(super::modify::serialization_failure("update"));
                }
                Ok(RowOutcome::ConcurrentlyDeleted) => return Ok(None),
                Ok(RowOutcome::ConcurrentlyUpdated { latest }) => tid = latest,
                Err(StorageError::LockNotAvailable) => {
                    return Err(SqlError::new(
                        SqlState::LOCK_NOT_AVAILABLE,
                        alloc::format!("could not obtain lock on row in relation \"{}\"", mark.relation.name),
                    ));
                }
                Err(e) => return Err(storage_error(e)),
            }
        }
    }

    /// The row that the newer versions make, if they do.
    fn again(&mut self, versions: Vec<Option<Tid>>, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.recheck.is_none() {
            self.recheck = Recheck::new(&self.plan, self.marks.iter().map(|m| (m.position, m.relation.oid)))?;
        }
        let Some(recheck) = &mut self.recheck else {
            // A plan that cannot be run for one row: begin anew with a fresh snapshot; the locks stay.
            rt.restart.set(!self.yielded);
            return Err(super::modify::serialization_failure("update"));
        };
        recheck.row(versions, rt)
    }
}

impl Operator for LockRows {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        loop {
            if self.pending.is_none() {
                self.pending = self.input.next(rt)?.map(|b| (b, 0));
            }
            let Some((b, mut at)) = self.pending.take() else { return Ok(None) };
            let mut out = None;
            while let (None, Some(row)) = (&out, b.nth_row(at)) {
                at += 1;
                out = match self.lock(&b, row, rt)? {
                    Locked::Yes => Some(b.clone().with_selection(alloc::vec![row as u32])),
                    Locked::Skip => None,
                    Locked::Changed(versions) => self.again(versions, rt)?,
                };
            }
            if let Some(out) = out {
                self.pending = Some((b, at));
                self.yielded = true;
                return Ok(Some(out));
            }
        }
    }
    fn reset(&mut self) {
        self.pending = None;
        self.yielded = false;
        self.input.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.input]
    }
}
