//! ON CONFLICT: the indexes that decide, and what is done.

use alloc::{format, vec, vec::Vec};

use pg_plan::{
    expr::Expr,
    statement::{OnConflictBody, TargetBody},
};
use pg_types::{Result, SqlError, SqlState, SqlType, oid};
use sqlparser::ast as sq;

use super::{
    Binder,
    scope::{Place, at},
    updatable::Subject,
};
use crate::{ast::ConflictTarget, grammar};

/// A valid unique index whose columns, expressions apart, are exactly these?
fn is_over_columns(index: &pg_catalog::Index, wanted: &[i16]) -> bool {
    let keys = || index.keys.iter().take(index.key_count).filter(|k| k.attnum != 0);
    index.unique
        && index.valid
        && keys().all(|k| wanted.contains(&k.attnum))
        && wanted.iter().all(|w| keys().any(|k| k.attnum == *w))
}

fn found_arbiters(found: impl Iterator<Item = usize>) -> Result<Vec<usize>> {
    let found: Vec<usize> = found.collect();
    if found.is_empty() {
        return Err(SqlError::new(
            SqlState::INVALID_COLUMN_REFERENCE,
            "there is no unique or exclusion constraint matching the ON CONFLICT specification",
        ));
    }
    Ok(found)
}

fn refused_in_target(what: &str) -> SqlError {
    let text = format!("{what} not allowed in ON CONFLICT clause");
    SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, text)
}

impl Binder<'_> {
    pub(super) fn on_conflict(
        &mut self,
        (conflict, given): (&sq::OnConflict, Option<&ConflictTarget>),
        target: &TargetBody,
        subject: &Subject,
        alias: &str,
    ) -> Result<OnConflictBody> {
        let (relation, ids) = (&target.relation, target.columns.as_slice());
        let mut inferred = None;
        let arbiters = match (&conflict.conflict_target, given) {
            (_, Some(given)) => {
                let (found, predicate) = self.arbiters_by_expressions(target, subject, alias, given)?;
                inferred = Some(predicate);
                found
            }
            (None, None) => Vec::new(),
            (Some(sq::ConflictTarget::Columns(columns)), None) => {
                inferred = Some(Vec::new());
                let found = self.arbiters(subject, columns)?;
                let positions = columns.iter().filter_map(|c| subject.column(c, "INSERT").ok()).collect();
                self.select_positions(subject, positions);
                found
            }
            (Some(sq::ConflictTarget::OnConstraint(name)), None) => {
                let name = grammar::name_of(name)?;
                let found = relation.constraints.iter().find(|c| c.name == name.name.name);
                let attnums = found.map_or(&[][..], |c| c.columns.as_slice());
                let positions = relation.live().enumerate().filter(|(_, a)| attnums.contains(&a.attnum));
                self.select_positions(subject, positions.map(|p| p.0).collect());
                let index = found.and_then(|c| relation.indexes.iter().position(|i| i.oid == c.index));
                let Some(index) = index else {
                    return Err(SqlError::new(
                        SqlState::UNDEFINED_OBJECT,
                        format!(
                            "constraint \"{}\" for table \"{}\" does not exist",
                            name.name.name, relation.name
                        ),
                    ));
                };
                vec![index]
            }
        };
        let excluded = self.column_ids(relation);
        subject.span(self, &excluded);
        let update = match &conflict.action {
            sq::OnConflictAction::DoNothing => None,
            sq::OnConflictAction::DoUpdate(update) => {
                if arbiters.is_empty() {
                    return Err(SqlError::syntax(
                        "ON CONFLICT DO UPDATE requires inference specification or constraint name",
                    )
                    .hint("For example, ON CONFLICT (column_name)."));
                }
                let mut existing = subject.entry(self, alias, ids);
                existing.schema = Some(subject.schema());
                let new = subject.entry(self, "excluded", &excluded);
                let frame = self.frame()?;
                // Unqualified names mean the existing row.
                frame.visible = existing
                    .columns
                    .iter()
                    .map(|c| super::scope::Visible {
                        name: c.name.clone(),
                        expr: c.expr.clone(),
                        origin: c.origin,
                    })
                    .collect();
                frame.entries = vec![existing, new];
                let assignments = self.assignments(&update.assignments, subject, "INSERT")?;
                self.update_columns(subject, &assignments);
                let filter = match &update.selection {
                    Some(e) => Some(self.condition(e, Place::Where, "WHERE")?),
                    None => None,
                };
                Some((assignments, filter))
            }
        };
        Ok(OnConflictBody { arbiters, inferred, excluded, existing: Vec::new(), updated: Vec::new(), update })
    }

    /// The unique indexes over exactly these columns.
    fn arbiters(&self, subject: &Subject, columns: &[sq::Ident]) -> Result<Vec<usize>> {
        let relation = &subject.table;
        let mut wanted = Vec::with_capacity(columns.len());
        for ident in columns {
            let position = subject.column(ident, "UPDATE").map_err(|_| {
                SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{}\" does not exist", ident.value),
                )
                .at(at(ident))
            })?;
            wanted.extend(relation.live().nth(position).map(|a| a.attnum));
        }
        let fits = |index: &pg_catalog::Index| {
            index.predicate.is_none() && is_over_columns(index, &wanted) && index.expressions() == 0
        };
        found_arbiters(relation.indexes.iter().enumerate().filter(|(_, i)| fits(i)).map(|(n, _)| n))
    }

    /// The unique indexes over exactly these columns and expressions, and what the target's WHERE says. Predicates of indexes
    /// are the planner's to compare with that.
    fn arbiters_by_expressions(
        &mut self,
        target: &TargetBody,
        subject: &Subject,
        alias: &str,
        given: &ConflictTarget,
    ) -> Result<(Vec<usize>, Vec<Expr>)> {
        let relation = &target.relation;
        let (mut columns, mut expressions) = (Vec::new(), Vec::new());
        for element in &given.elements {
            if element.ordered {
                return Err(refused_in_target("ASC/DESC is"));
            }
            if element.nulls {
                return Err(refused_in_target("NULLS FIRST/LAST is"));
            }
            if element.class.is_some() {
                return Err(SqlError::unsupported("an operator class in ON CONFLICT"));
            }
            let entry = subject.entry(self, alias, &target.columns);
            match self.over_entry(&element.expr, entry, Place::IndexExpression, None)? {
                Expr::Column(id, _) => {
                    let live = target.columns.iter().position(|c| *c == id);
                    columns.extend(live.and_then(|n| relation.live().nth(n)).map(|a| a.attnum));
                }
                e => expressions.push(e),
            }
        }
        let entry = subject.entry(self, alias, &target.columns);
        let predicate = match &given.predicate {
            Some(e) => {
                Some(self.over_entry(e, entry, Place::IndexPredicate, Some(SqlType::new(oid::BOOL)))?)
            }
            None => None,
        };
        let fits = |n: usize, index: &pg_catalog::Index| {
            let own = target.index_exprs.get(n).map_or(&[][..], |e| &e.0);
            let own = || own.iter().take(index.key_count).flatten();
            is_over_columns(index, &columns)
                && own().all(|o| expressions.iter().any(|e| e.same(o)))
                && expressions.iter().all(|e| own().any(|o| e.same(o)))
        };
        let all = relation.indexes.iter().enumerate();
        let found = found_arbiters(all.filter(|(n, i)| fits(*n, i)).map(|(n, _)| n))?;
        Ok((found, predicate.into_iter().collect()))
    }
}
