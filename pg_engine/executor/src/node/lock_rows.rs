//! SELECT ... FOR UPDATE and its weaker kin.

use alloc::{sync::Arc, vec::Vec};

use pg_catalog::{Relation, storage_error};
use pg_plan::logical::LockWait;
use pg_storage::{Isolation, RowLock, RowOutcome, StorageError, WaitPolicy};
use pg_types::{Batch, Result, SqlError, SqlState};

use super::{Exec, Operator, scan::value_tid};
use crate::context::Rt;

/// Locks the rows that pass through.
pub(crate) struct LockRows {
    input: Exec,
    tables: Vec<(Arc<Relation>, usize, RowLock)>,
    wait: LockWait,
    pending: Option<(Batch, usize)>,
    yielded: bool,
}

/// Rows locked before they are handed on: few, so that LIMIT above locks little more than it yields.
const STRIDE: usize = 1;

impl LockRows {
    pub(crate) fn new(input: Exec, tables: &[(Arc<Relation>, u32, u8)], wait: LockWait) -> Self {
        let tables = tables
            .iter()
            .map(|(r, position, strength)| {
                let mode = match strength {
                    0 => RowLock::KeyShare,
                    1 => RowLock::Share,
                    2 => RowLock::NoKeyUpdate,
                    _ => RowLock::Update,
                };
                (r.clone(), *position as usize, mode)
            })
            .collect();
        Self { input, tables, wait, pending: None, yielded: false }
    }

    /// Locks one row's tables; false: skipped.
    fn lock(&mut self, b: &Batch, row: usize, rt: &Rt<'_, '_>) -> Result<bool> {
        let wait = match self.wait {
            LockWait::Block => WaitPolicy::Block,
            LockWait::NoWait => WaitPolicy::Error,
            LockWait::SkipLocked => WaitPolicy::Skip,
        };
        for (relation, position, mode) in &self.tables {
            let Some(tid) = b.columns.get(*position).and_then(|c| value_tid(&c.value(row))) else { continue };
            let mut txn = rt.cx.txn.borrow_mut();
            let isolation = txn.isolation();
            let outcome = rt.storage().heap_lock(txn.storage(), relation.storage, tid, *mode, wait);
            match outcome {
                Ok(RowOutcome::Done { .. } | RowOutcome::SelfModified) => {}
                Ok(RowOutcome::WouldBlock) => return Ok(false),
                Ok(RowOutcome::ConcurrentlyUpdated { .. } | RowOutcome::ConcurrentlyDeleted)
                    if isolation == Isolation::RepeatableRead =>
                {
                    return Err(super::modify::serialization_failure("update"));
                }
                Ok(RowOutcome::ConcurrentlyDeleted) => return Ok(false),
                Ok(RowOutcome::ConcurrentlyUpdated { .. }) => {
                    // The row changed since the snapshot. Begin anew with a fresh one; the locks stay.
                    rt.restart.set(!self.yielded);
                    return Err(super::modify::serialization_failure("update"));
                }
                Err(StorageError::LockNotAvailable) => {
                    return Err(SqlError::new(
                        SqlState::LOCK_NOT_AVAILABLE,
                        alloc::format!("could not obtain lock on row in relation \"{}\"", relation.name),
                    ));
                }
                Err(e) => return Err(storage_error(e)),
            }
        }
        Ok(true)
    }
}

impl Operator for LockRows {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        loop {
            if self.pending.is_none() {
                self.pending = self.input.next(rt)?.map(|b| (b, 0));
            }
            let Some((b, mut at)) = self.pending.take() else { return Ok(None) };
            rt.cx.checkpoint()?;
            let mut kept = Vec::new();
            while let Some(row) = b.nth_row(at) {
                at += 1;
                if self.lock(&b, row, rt)? {
                    kept.push(row as u32);
                    if kept.len() >= STRIDE {
                        break;
                    }
                }
            }
            if kept.is_empty() {
                continue;
            }
            let out = b.clone().with_selection(kept);
            self.pending = Some((b, at));
            self.yielded = true;
            return Ok(Some(out));
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
