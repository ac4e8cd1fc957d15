//! Sets of column ids, and where columns are in an operator's output.

use alloc::vec::Vec;

use pg_plan::expr::{ColumnId, Expr};
use pg_types::{Result, SqlError};

/// A set of column ids, which are dense within a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColumnSet(Vec<u64>);

impl ColumnSet {
    pub(crate) fn insert(&mut self, id: ColumnId) {
        let word = id as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(w) = self.0.get_mut(word) {
            *w |= 1 << (id % 64);
        }
    }
    pub(crate) fn contains(&self, id: ColumnId) -> bool {
        self.0.get(id as usize / 64).is_some_and(|w| w >> (id % 64) & 1 == 1)
    }
    pub(crate) fn of(ids: impl IntoIterator<Item = ColumnId>) -> Self {
        let mut set = Self::default();
        ids.into_iter().for_each(|id| set.insert(id));
        set
    }
    /// Adds every column that the expression reads.
    pub(crate) fn add(&mut self, expr: &Expr) {
        expr.for_each_column(&mut |id| self.insert(id));
    }
    /// Adds another set's columns.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }
    /// True when the expression reads columns of this set only.
    pub(crate) fn covers(&self, expr: &Expr) -> bool {
        let mut all = true;
        expr.for_each_column(&mut |id| all = all && self.contains(id));
        all
    }
    /// True when the expression reads any column of this set.
    pub(crate) fn touches(&self, expr: &Expr) -> bool {
        let mut any = false;
        expr.for_each_column(&mut |id| any = any || self.contains(id));
        any
    }
}

/// Turns column ids into positions in `columns`.
pub(crate) fn to_positions(expr: &mut Expr, columns: &[ColumnId]) -> Result<()> {
    if let Expr::Column(id, _) = expr {
        let position = columns.iter().position(|c| c == id);
        let position =
            position.ok_or_else(|| SqlError::internal("a column is not in its operator's input"))?;
        *id = position as ColumnId;
        return Ok(());
    }
    let mut outcome = Ok(());
    expr.for_each_child_mut(&mut |e| {
        if outcome.is_ok() {
            outcome = to_positions(e, columns);
        }
    });
    outcome
}

/// Replaces columns by what `with` says they stand for.
pub(crate) fn substitute(expr: &mut Expr, with: &dyn Fn(ColumnId) -> Option<Expr>) {
    if let Expr::Column(id, _) = expr {
        if let Some(replacement) = with(*id) {
            *expr = replacement;
        }
        return;
    }
    expr.for_each_child_mut(&mut |e| substitute(e, with));
}
