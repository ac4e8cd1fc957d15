//! What a statement runs in.

use alloc::{sync::Arc, vec::Vec};
use core::cell::{Cell, RefCell};

use dagdb_device::Usage;
use pg_catalog::Txn;
use pg_functions::EvalContext;
use pg_storage::Snapshot;
use pg_types::{Batch, Result, SqlError, SqlState, Value};

use crate::{cursor::Cte, engine::Engine, expr::Outcome, session::Session};

/// Everything a statement needs while it runs. Made for each protocol step; borrows the session's pieces.
pub struct ExecContext<'a> {
    /// The engine.
    pub engine: &'a Arc<Engine>,
    /// The session.
    pub session: &'a dyn Session,
    /// The transaction. Never borrowed across an expression's evaluation.
    pub txn: RefCell<&'a mut Txn>,
    /// Values of `$1..`.
    pub params: &'a [Value],
    /// What was computed by whom.
    pub compute: RefCell<Usage>,
}

impl<'a> ExecContext<'a> {
    /// Puts one together.
    pub fn new(
        engine: &'a Arc<Engine>,
        session: &'a dyn Session,
        txn: &'a mut Txn,
        params: &'a [Value],
    ) -> Self {
        if let Some(types) = session.user_types() {
            types.follow(txn);
        }
        Self { engine, session, txn: RefCell::new(txn), params, compute: RefCell::default() }
    }

    /// Lets others run and ends the statement when it was cancelled. Called once a batch.
    pub fn checkpoint(&self) -> Result<()> {
        platform::task::checkpoint();
        match self.session.interrupted() {
            None => Ok(()),
            Some(e) => Err(e),
        }
    }
}

/// The state of one run that operators and expressions share.
#[derive(Clone, Copy)]
pub(crate) struct Rt<'a, 'c> {
    pub cx: &'a ExecContext<'c>,
    pub slots: &'a RefCell<Vec<Value>>,
    pub snapshot: &'a Snapshot,
    pub ctes: &'a [RefCell<Cte>],
    /// Bytes held by materialising operators.
    pub memory: &'a Cell<usize>,
    /// Number of the run: what operators held in an earlier one does not count.
    pub run: u64,
    /// Set by an operator that met a concurrently updated row it cannot follow: the run may begin anew.
    pub restart: &'a Cell<bool>,
    /// What uncorrelated subqueries yielded in this run, by their number.
    pub fixed: &'a RefCell<Vec<Option<Outcome>>>,
    /// EXPLAIN ANALYZE.
    pub instrument: bool,
    /// Rows given from outside (COPY FROM): what a VALUES without rows yields.
    pub feed: &'a RefCell<Option<Batch>>,
    /// After this run, further rows will be given.
    pub more: bool,
}

/// The statement has reached its limit.
#[cold]
pub(crate) fn out_of_memory() -> SqlError {
    SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory").detail("The statement exceeded its memory limit.")
}

impl Rt<'_, '_> {
    /// The context functions get.
    pub(crate) fn eval(&self) -> EvalContext<'_> {
        EvalContext { host: self.cx }
    }
    pub(crate) fn param(&self, n: usize) -> Result<Value> {
        self.cx.params.get(n).cloned().ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_PARAMETER, alloc::format!("there is no parameter ${}", n + 1))
        })
    }
    pub(crate) fn slot(&self, n: usize) -> Value {
        self.slots.borrow().get(n).cloned().unwrap_or(Value::Null)
    }
    pub(crate) fn set_slot(&self, n: usize, v: Value) {
        let mut slots = self.slots.borrow_mut();
        if slots.len() <= n {
            slots.resize(n + 1, Value::Null);
        }
        if let Some(s) = slots.get_mut(n) {
            *s = v;
        }
    }
    /// Accounts for memory; an error when the statement has too much.
    pub(crate) fn charge(&self, bytes: usize) -> Result<()> {
        let held = self.memory.get().saturating_add(bytes);
        self.memory.set(held);
        if held > self.cx.session.memory_limit() {
            return Err(out_of_memory());
        }
        Ok(())
    }
    pub(crate) fn storage(&self) -> &Arc<pg_storage::Storage> {
        self.cx.engine.storage()
    }
}
