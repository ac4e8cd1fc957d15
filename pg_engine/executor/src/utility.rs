//! Statements that are not planned.

use pg_plan::Utility;
use pg_types::{Result, SqlError};

use crate::{context::ExecContext, engine::Outcome};

/// Runs one.
pub(crate) fn run(statement: &Utility, _cx: &ExecContext<'_>) -> Result<Outcome> {
    let _ = statement;
    Err(SqlError::unsupported("this statement"))
}
