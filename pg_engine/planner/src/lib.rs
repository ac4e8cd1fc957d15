//! Bound queries to physical plans.
//!
//! # Owns
//! Rewrites (constant folding, push-down, unnesting), the cost model and statistics arithmetic, join ordering, choice of
//! access path, and the text of EXPLAIN.
//!
//! # Must not know
//! SQL text, how plans are run.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod settings;

use alloc::{string::String, vec::Vec};

use pg_catalog::CatalogReader;
use pg_plan::statement::{ExplainOptions, Planned, Query};
use pg_types::{Result, SqlError};

pub use settings::PlannerSettings;

/// Plans a query.
pub fn plan(query: Query, catalog: &dyn CatalogReader, settings: &PlannerSettings) -> Result<Planned> {
    let _ = (query, catalog, settings);
    Err(SqlError::unsupported("planning"))
}

/// What an operator did, counted by the executor under EXPLAIN ANALYZE; in pre-order of the plan tree (root first, left
/// before right; CTEs before the root).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Actual {
    /// Milliseconds to the first row.
    pub startup_ms: f64,
    /// Milliseconds in all, per loop.
    pub total_ms: f64,
    /// Rows, all loops together.
    pub rows: u64,
    /// Executions; 0: never executed.
    pub loops: u64,
    /// Rows removed by the node's filter, all loops together.
    pub filtered: u64,
}

/// Lines of EXPLAIN. `actual` is empty without ANALYZE; `execution_ms` and `planning_ms` go into the summary.
pub fn explain(
    planned: &Planned,
    options: &ExplainOptions,
    catalog: &dyn CatalogReader,
    actual: &[Actual],
    planning_ms: f64,
    execution_ms: f64,
) -> Result<Vec<String>> {
    let _ = (planned, options, catalog, actual, planning_ms, execution_ms);
    Err(SqlError::unsupported("EXPLAIN"))
}
