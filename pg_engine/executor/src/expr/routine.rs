//! Calls of users' functions.

use alloc::vec::Vec;

use pg_plan::routine::RoutineCall;
use pg_types::{Result, SqlError, SqlState, SqlType, Value};

use super::{Compiled, RowRef};
use crate::{context::Rt, node::Compiler, routine::Routine};

/// A call ready to run.
pub(crate) struct RoutineExpr {
    pub(crate) routine: Routine,
    pub(crate) args: Vec<Compiled>,
}

impl RoutineExpr {
    pub(crate) fn new(call: &RoutineCall, c: &mut Compiler<'_>) -> Result<Self> {
        Ok(Self { routine: Routine::new(&call.target), args: c.exprs(&call.args)? })
    }
    pub(crate) fn ty(&self) -> SqlType {
        self.routine.target().result
    }
    pub(crate) fn row(&mut self, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Value> {
        if self.routine.target().routine.set {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "set-valued function called in context that cannot accept a set",
            ));
        }
        let values = self.values(row, rt)?;
        self.routine.call(values, rt)
    }
    fn values(&mut self, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Vec<Value>> {
        self.args.iter_mut().map(|a| a.row(row, rt)).collect()
    }
    /// All values of a call that yields a set.
    pub(crate) fn all(&mut self, row: RowRef<'_>, rt: &Rt<'_, '_>) -> Result<Vec<Value>> {
        let values = self.values(row, rt)?;
        let mut out = Vec::new();
        if self.routine.skips(&values) {
            return Ok(out);
        }
        self.routine.begin(values, rt)?;
        while let Some(b) = self.routine.next(rt)? {
            rt.cx.checkpoint()?;
            rt.charge(b.memory())?;
            for i in b.selected() {
                out.push(self.routine.value_of(&b, i)?);
            }
        }
        self.routine.end();
        Ok(out)
    }
    pub(crate) fn reset(&mut self) {
        self.routine.end();
        self.args.iter_mut().for_each(Compiled::reset);
    }
}
