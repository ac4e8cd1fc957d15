//! A user's function in FROM.

use alloc::{sync::Arc, vec::Vec};

use pg_plan::routine::Resolved;
use pg_types::{Batch, Result, SqlType, Value, Vector};

use super::Operator;
use crate::{context::Rt, expr::Compiled, routine::Routine};

/// See the module.
pub(crate) struct RoutineScan {
    routine: Routine,
    args: Vec<Compiled>,
    ordinality: bool,
    types: Vec<SqlType>,
    count: i64,
    started: bool,
    done: bool,
}

impl RoutineScan {
    pub(crate) fn new(
        target: &Arc<Resolved>,
        args: Vec<Compiled>,
        ordinality: bool,
        types: &[SqlType],
    ) -> Self {
        let routine = Routine::new(target);
        Self { routine, args, ordinality, types: types.to_vec(), count: 0, started: false, done: false }
    }
    fn width(&self) -> usize {
        self.types.len() - usize::from(self.ordinality)
    }
    fn rows(&self, rows: &[Vec<Value>]) -> Result<Batch> {
        Batch::from_rows(self.types.get(..self.width()).unwrap_or(&[]), rows)
    }
    fn finish(&mut self, mut b: Batch) -> Batch {
        for (c, ty) in b.columns.iter_mut().zip(&self.types) {
            if c.ty != *ty && pg_types::Physical::of(c.ty.oid) == pg_types::Physical::of(ty.oid) {
                Arc::make_mut(c).ty = *ty;
            }
        }
        if self.ordinality {
            let n = b.rows as i64;
            let numbers = (self.count + 1..=self.count + n).collect();
            b.columns.push(Arc::new(Vector::from_i64(numbers)));
            self.count += n;
        }
        b
    }
    /// The one row of a function that yields no set.
    fn single(&mut self, rt: &Rt<'_, '_>) -> Result<Batch> {
        let mut row = alloc::vec![Value::Null; self.width()];
        while let Some(b) = self.routine.next(rt)? {
            if let Some(at) = b.nth_row(0) {
                row = self.routine.fields_of(&b, at)?;
                break;
            }
        }
        while self.routine.next(rt)?.is_some() {}
        self.rows(&[row])
    }
}

impl Operator for RoutineScan {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.done {
            return Ok(None);
        }
        rt.cx.checkpoint()?;
        let set = self.routine.target().routine.set;
        if !self.started {
            self.started = true;
            let values = self.args.iter_mut().map(|a| a.constant(rt)).collect::<Result<Vec<_>>>()?;
            if !self.routine.skips(&values) {
                self.routine.begin(values, rt)?;
            }
        }
        if !set {
            self.done = true;
            let b = self.single(rt)?;
            self.routine.end();
            return Ok(Some(self.finish(b)));
        }
        match self.routine.next(rt)? {
            Some(b) => {
                let rows = b.selected().map(|i| self.routine.fields_of(&b, i)).collect::<Result<Vec<_>>>()?;
                let b = self.rows(&rows)?;
                Ok(Some(self.finish(b)))
            }
            None => {
                self.done = true;
                self.routine.end();
                Ok(None)
            }
        }
    }
    fn reset(&mut self) {
        self.routine.end();
        self.started = false;
        self.done = false;
        self.count = 0;
        self.args.iter_mut().for_each(Compiled::reset);
    }
}
