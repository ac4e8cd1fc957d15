//! DELETE.

use alloc::vec::Vec;

use pg_catalog::storage_error;
use pg_plan::{expr::Expr, physical};
use pg_storage::RowOutcome;
use pg_types::{Batch, Result, SqlError, SqlType, Value};

use super::{Returned, Target, serialization_failure, unread::unread, update::follow};
use crate::{
    context::Rt,
    expr::Compiled,
    node::{Compiler, Exec, Operator, row_reader::value_tid},
};

/// DELETE.
pub(crate) struct Delete {
    target: Target,
    source: Exec,
    recheck: Option<Compiled>,
    returned: Returned,
    row: Vec<Value>,
}

impl Delete {
    pub(crate) fn new(d: &physical::Delete, c: &mut Compiler<'_>, types: &[SqlType]) -> Result<Self> {
        let seen: Vec<&Expr> = d.recheck.iter().collect();
        c.unread = unread(&d.target, &d.source, &seen).map(|(scan, l)| (core::ptr::from_ref(scan), l));
        Ok(Self {
            target: Target::new(&d.target, c)?,
            source: Exec::new(&d.source, c)?,
            recheck: c.option(d.recheck.as_ref())?,
            returned: Returned::new(types),
            row: Vec::new(),
        })
    }

    fn delete_row(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        let rel = self.target.relation.storage;
        loop {
            let tid = self
                .row
                .first()
                .and_then(value_tid)
                .ok_or_else(|| SqlError::internal("DELETE's source has no ctid"))?;
            let (outcome, isolation) = {
                let mut txn = rt.cx.txn.borrow_mut();
                let isolation = txn.isolation();
                (rt.storage().heap_delete(txn.storage(), rel, tid).map_err(storage_error)?, isolation)
            };
            match outcome {
                RowOutcome::Done { .. } => {
                    self.target.delete_large(tid, rt)?;
                    if let Some(guard) = &mut self.target.guard {
                        guard.deleted(self.row.get(1..=self.target.live.len()).unwrap_or(&[]), rt)?;
                    }
                    self.returned.affected += 1;
                    if let Some(r) = &mut self.target.returning {
                        let mut both: Vec<Value> =
                            self.row.iter().skip(1).take(self.target.live.len()).cloned().collect();
                        both.extend_from_slice(&self.row);
                        self.returned.push(r, &both, rt)?;
                    }
                    return Ok(());
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
                }
            }
        }
    }

    fn run(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        while let Some(b) = self.source.next(rt)? {
            rt.cx.checkpoint()?;
            for i in b.selected() {
                self.row.clear();
                self.row.extend(b.columns.iter().map(|c| c.value(i)));
                self.delete_row(rt)?;
            }
        }
        self.target.finish(rt)
    }
}

impl Operator for Delete {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.returned.waits() {
            self.run(rt)?;
        }
        Ok(self.returned.next())
    }
    fn reset(&mut self) {
        self.returned.reset();
        self.target.reset();
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
