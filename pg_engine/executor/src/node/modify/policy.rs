//! Rows that row-level security does not let in.

use alloc::{format, string::String, vec::Vec};

use pg_plan::access::PolicyCheck;
use pg_types::{Batch, Result, SqlError, SqlState, Value};

use crate::{
    context::Rt,
    expr::{Compiled, RowRef},
    node::Compiler,
};

/// Conditions on rows of a table.
#[derive(Default)]
pub(crate) struct Policies {
    list: Vec<(PolicyName, Compiled)>,
}

struct PolicyName {
    policy: Option<String>,
    using: bool,
}

impl Policies {
    pub(crate) fn new(list: &[PolicyCheck], c: &mut Compiler<'_>) -> Result<Self> {
        let compile = |p: &PolicyCheck| {
            let name = PolicyName { policy: p.policy.clone(), using: p.using };
            Ok((name, Compiled::new(&p.condition, c)?))
        };
        Ok(Self { list: list.iter().map(compile).collect::<Result<_>>()? })
    }
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
    pub(crate) fn reset(&mut self) {
        self.list.iter_mut().for_each(|(_, e)| e.reset());
    }
    /// One row of live columns.
    pub(crate) fn check(&mut self, table: &str, row: &[Value], rt: &Rt<'_, '_>) -> Result<()> {
        for (name, e) in &mut self.list {
            if !e.is_true(RowRef::Values(row), rt)? {
                return Err(violation(name, table));
            }
        }
        Ok(())
    }
    /// The rows of a batch.
    pub(crate) fn check_batch(&mut self, table: &str, b: &Batch, rt: &Rt<'_, '_>) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        (0..b.rows).try_for_each(|i| self.check(table, &b.row_values(i), rt))
    }
}

fn violation(name: &PolicyName, table: &str) -> SqlError {
    let policy = name.policy.as_ref().map_or_else(String::new, |p| format!(" \"{p}\""));
    let using = if name.using { " (USING expression)" } else { "" };
    let text = format!("new row violates row-level security policy{policy}{using} for table \"{table}\"");
    SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, text)
}
