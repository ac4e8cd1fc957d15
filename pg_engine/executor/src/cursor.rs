//! Running one planned query.

use alloc::sync::Arc;

use pg_plan::statement::Planned;
use pg_types::{Batch, Result, SqlError};

use crate::context::ExecContext;

/// A planned query with everything needed to run it, reusable: `open`, `next` until `None`, `open` again.
/// A portal keeps it between Execute messages; a prepared statement keeps it between runs.
pub struct Cursor {
    planned: Arc<Planned>,
    affected: u64,
}

impl Cursor {
    /// Prepares the plan's operators.
    pub fn new(planned: &Arc<Planned>) -> Result<Self> {
        Ok(Self { planned: planned.clone(), affected: 0 })
    }
    /// The plan.
    pub fn planned(&self) -> &Arc<Planned> {
        &self.planned
    }
    /// Begins a run: takes the snapshot, forgets the previous run.
    pub fn open(&mut self, _cx: &ExecContext<'_>) -> Result<()> {
        self.affected = 0;
        Ok(())
    }
    /// The next rows; `None` at the end. A data-changing plan without RETURNING does all its work in the first call
    /// and yields `None`.
    pub fn next(&mut self, _cx: &ExecContext<'_>) -> Result<Option<Batch>> {
        Err(SqlError::unsupported("executing a plan"))
    }
    /// Rows inserted, updated or deleted by this run (for the command tag).
    pub fn affected(&self) -> u64 {
        self.affected
    }
    /// Ends the run early or late, letting go of pins and snapshots. The cursor may be opened again.
    pub fn close(&mut self) {}
}
