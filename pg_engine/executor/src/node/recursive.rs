//! WITH RECURSIVE. The rows of each run are handed on as they are complete, so that a LIMIT above ends a recursion that
//! would not end by itself.

use alloc::vec::Vec;

use pg_types::{Batch, Result, SqlError};

use super::{
    Exec, Operator,
    groups::{Groups, KeyClass},
    spill::Store,
};
use crate::context::Rt;

/// See the module.
pub(crate) struct Recursive {
    work: usize,
    left: Exec,
    right: Exec,
    /// UNION: the rows seen.
    seen: Option<Groups>,
    charged: usize,
    /// Rows that the present run has added.
    added: Store,
    /// The non-recursive term is exhausted.
    recursing: bool,
    done: bool,
}

impl Recursive {
    pub(crate) fn new(work: usize, all: bool, left: Exec, right: Exec) -> Self {
        let seen = (!all).then(|| Groups::new(left.types.iter().map(|t| KeyClass::one(t.oid)).collect()));
        Self { work, left, right, seen, charged: 0, added: Store::default(), recursing: false, done: false }
    }

    /// Without the rows that were there before, unless UNION ALL.
    fn fresh(&mut self, b: Batch, rt: &Rt<'_, '_>) -> Result<Batch> {
        let Some(seen) = &mut self.seen else { return Ok(b.compact()) };
        let kept: Vec<u32> =
            b.selected().filter(|i| seen.group(&b.columns, *i).1).map(|i| i as u32).collect();
        let held = seen.memory();
        rt.charge(held.saturating_sub(self.charged))?;
        self.charged = self.charged.max(held);
        Ok(b.with_selection(kept).compact())
    }

    /// What was added becomes what the recursive term reads; false: nothing was.
    fn turn(&mut self, rt: &Rt<'_, '_>) -> Result<bool> {
        let cell = rt.ctes.get(self.work).ok_or_else(|| SqlError::internal("no work table"))?;
        let mut table = cell.borrow_mut();
        table.rows.replace(&mut self.added, rt);
        table.done = true;
        Ok(table.rows.len() > 0)
    }
}

impl Operator for Recursive {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        loop {
            if self.done {
                return Ok(None);
            }
            rt.cx.checkpoint()?;
            let input = if self.recursing { &mut self.right } else { &mut self.left };
            match input.next(rt)? {
                Some(b) => {
                    let b = self.fresh(b, rt)?;
                    if b.rows > 0 {
                        self.added.push(b.clone(), rt)?;
                        return Ok(Some(b));
                    }
                }
                None => {
                    self.recursing = true;
                    self.done = !self.turn(rt)?;
                    self.right.reset();
                }
            }
        }
    }
    fn reset(&mut self) {
        if let Some(seen) = &mut self.seen {
            seen.clear();
        }
        self.charged = 0;
        self.added.clear();
        self.recursing = false;
        self.done = false;
        self.left.reset();
        self.right.reset();
    }
    fn inputs(&self) -> Vec<&Exec> {
        alloc::vec![&self.left, &self.right]
    }
}
