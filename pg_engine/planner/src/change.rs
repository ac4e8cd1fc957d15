//! INSERT, UPDATE, DELETE and MERGE.

use alloc::{boxed::Box, vec::Vec};

use pg_plan::{
    access::PolicyCheck,
    expr::{ColumnId, Expr},
    logical::Logical,
    physical::{Attnum, Delete, Estimate, Insert, Merge, Node, OnConflict, Physical, Target, Update},
    statement::{
        DeleteBody, InsertBody, MergeAction, MergeBody, MergeClause, OnConflictBody, SYSTEM_COLUMNS,
        TargetBody, UpdateBody,
    },
};
use pg_types::{Result, SqlError, SqlState, SqlType};

use crate::{
    build::{Planner, Sub},
    pushdown::output,
};

/// Where an UPDATE's rows come from and what becomes of them.
struct Assigned {
    source: Sub,
    columns: Vec<ColumnId>,
    assignments: Vec<(Attnum, Expr)>,
    /// See [`Update::again`].
    again: Vec<(Attnum, Expr)>,
}

impl Planner<'_> {
    pub(crate) fn insert(&mut self, body: InsertBody) -> Result<Physical> {
        let columns = body.target.columns.clone();
        let source = self.query(body.source)?;
        let on_conflict =
            body.on_conflict.map(|c| self.on_conflict(c, &body.target, &columns)).transpose()?;
        // The row's own system columns stand in for a source's, if they are asked for.
        let first = body.target.system.filter(|first| {
            let mut asked = false;
            let system = *first..*first + SYSTEM_COLUMNS as ColumnId;
            let exprs = body.target.returning.iter().flatten();
            exprs.for_each(|e| e.for_each_column(&mut |id| asked |= system.contains(&id)));
            asked
        });
        let system: Vec<ColumnId> =
            first.map_or_else(Vec::new, |first| (first..first + SYSTEM_COLUMNS as ColumnId).collect());
        let target = self.target(body.target, &columns, &system)?;
        let (types, estimate) = returned(&target, source.plan.estimate);
        let insert = Insert { target, source: source.plan, on_conflict };
        Ok(Physical { node: Node::Insert(Box::new(insert)), types, estimate })
    }

    fn on_conflict(
        &mut self,
        mut body: OnConflictBody,
        target: &TargetBody,
        columns: &[ColumnId],
    ) -> Result<OnConflict> {
        if let Some(given) = &body.inferred {
            let predicate = |n: &usize| target.index_exprs.get(*n).and_then(|i| i.1.as_ref());
            body.arbiters.retain(|n| predicate(n).is_none_or(|p| crate::implied::implied(p, given)));
            if body.arbiters.is_empty() {
                return Err(SqlError::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    "there is no unique or exclusion constraint matching the ON CONFLICT specification",
                ));
            }
        }
        let mut both = columns.to_vec();
        both.extend(&body.excluded);
        let update = match body.update {
            None => None,
            Some((assignments, condition)) => {
                let condition = condition.map(|e| self.folded(e, &both)).transpose()?;
                Some((self.assignments(assignments, &both)?, condition))
            }
        };
        let existing = self.policies(body.existing, columns)?;
        let updated = self.policies(body.updated, columns)?;
        Ok(OnConflict { arbiters: body.arbiters, existing, updated, update })
    }

    fn assignments(&mut self, list: Vec<(i16, Expr)>, columns: &[ColumnId]) -> Result<Vec<(Attnum, Expr)>> {
        list.into_iter().map(|(a, e)| Ok((a, self.folded(e, columns)?))).collect()
    }

    /// As [`Self::resolved`], with constants computed.
    fn folded(&mut self, mut e: Expr, columns: &[ColumnId]) -> Result<Expr> {
        self.fails(crate::fold::fold(&mut e).err());
        self.resolved(e, columns)
    }

    pub(crate) fn update(&mut self, body: UpdateBody) -> Result<Physical> {
        let Assigned { source, columns, assignments, again } =
            if body.assignments.iter().any(|(_, e)| e.has_subplan()) {
                let plain = self.query(body.source.clone())?;
                self.assigned(body.source, plain, body.assignments)?
            } else {
                let columns = output(&body.source);
                let source = self.query(body.source)?;
                let assignments = self.assignments(body.assignments, &columns)?;
                Assigned { source, columns, assignments, again: Vec::new() }
            };
        let recheck = body.recheck.map(|e| self.resolved(e, &columns)).transpose()?;
        let own = body.target.columns.clone();
        let target = self.target(body.target, &own, &columns)?;
        let (types, estimate) = returned(&target, source.plan.estimate);
        let update = Update { target, source: source.plan, assignments, again, recheck };
        Ok(Physical { node: Node::Update(Box::new(update)), types, estimate })
    }

    /// The cheaper way to compute new values: with subqueries run for each row, or joined to the rows beforehand.
    fn assigned(&mut self, rows: Logical, source: Sub, list: Vec<(i16, Expr)>) -> Result<Assigned> {
        let columns = output(&rows);
        let joined = self.with_assigned(&rows, &list)?;
        let assignments = self.assignments(list, &columns)?;
        let plain = Assigned { source, columns, assignments, again: Vec::new() };
        let Some((rows, list)) = joined else { return Ok(plain) };
        let columns = output(&rows);
        let source = self.query(rows)?;
        let exprs: Vec<Expr> = plain.assignments.iter().map(|(_, e)| e.clone()).collect();
        let (once, repeated) = self.subquery_cost(&exprs);
        let each = plain.source.plan.estimate.total + once + plain.source.rows() * repeated;
        if source.plan.estimate.total >= each {
            return Ok(plain);
        }
        let assignments = self.assignments(list, &columns)?;
        Ok(Assigned { source, columns, assignments, again: plain.assignments })
    }

    pub(crate) fn delete(&mut self, body: DeleteBody) -> Result<Physical> {
        let columns = output(&body.source);
        let source = self.query(body.source)?;
        let recheck = body.recheck.map(|e| self.resolved(e, &columns)).transpose()?;
        let own = body.target.columns.clone();
        let target = self.target(body.target, &own, &columns)?;
        let (types, estimate) = returned(&target, source.plan.estimate);
        let delete = Delete { target, source: source.plan, recheck };
        Ok(Physical { node: Node::Delete(Box::new(delete)), types, estimate })
    }

    pub(crate) fn merge(&mut self, body: MergeBody) -> Result<Physical> {
        let columns = output(&body.source);
        let source = self.query(body.source)?;
        let on = self.resolved(body.on, &columns)?;
        let mut clauses = Vec::with_capacity(body.clauses.len());
        for clause in body.clauses {
            let condition = clause.condition.map(|e| self.folded(e, &columns)).transpose()?;
            let action = match clause.action {
                MergeAction::Update(list) => MergeAction::Update(self.assignments(list, &columns)?),
                MergeAction::Insert(row) => MergeAction::Insert(
                    row.into_iter().map(|e| self.folded(e, &columns)).collect::<Result<_>>()?,
                ),
                other => other,
            };
            clauses.push(MergeClause { matched: clause.matched, condition, action });
        }
        let own = body.target.columns.clone();
        let target = self.target(body.target, &own, &columns)?;
        let mut heirs = Vec::with_capacity(body.heirs.len());
        for heir in body.heirs {
            let own = heir.columns.clone();
            heirs.push(self.target(heir, &own, &columns)?);
        }
        let table = body.table.and_then(|id| columns.iter().position(|c| *c == id));
        let (types, estimate) = returned(&target, source.plan.estimate);
        let merge = Merge { target, heirs, table, source: source.plan, on, clauses };
        Ok(Physical { node: Node::Merge(Box::new(merge)), types, estimate })
    }

    /// `own`: ids of the table's columns; `source`: ids of the source's, which RETURNING may read behind them.
    fn target(&mut self, body: TargetBody, own: &[ColumnId], source: &[ColumnId]) -> Result<Target> {
        let mut checks = Vec::with_capacity(body.checks.len());
        for (name, e) in body.checks {
            checks.push((name, self.resolved(e, own)?));
        }
        let mut view_checks = Vec::with_capacity(body.view_checks.len());
        for (name, e) in body.view_checks {
            view_checks.push((name, self.resolved(e, own)?));
        }
        let mut index_exprs = Vec::with_capacity(body.index_exprs.len());
        for (keys, predicate) in body.index_exprs {
            let keys = keys
                .into_iter()
                .map(|k| k.map(|e| self.resolved(e, own)).transpose())
                .collect::<Result<_>>()?;
            index_exprs.push((keys, predicate.map(|e| self.resolved(e, own)).transpose()?));
        }
        let generated = self.assignments(body.generated, own)?;
        let policies = self.policies(body.policies, own)?;
        let mut visible = own.to_vec();
        visible.extend(source);
        let returning = match body.returning {
            None => None,
            Some(list) => Some(list.into_iter().map(|e| self.folded(e, &visible)).collect::<Result<_>>()?),
        };
        let number = |id: ColumnId| id.checked_sub(body.system?).filter(|n| *n < SYSTEM_COLUMNS as ColumnId);
        let system = source.iter().enumerate();
        let system = system.filter_map(|(n, id)| Some((n, -1 - number(*id)? as Attnum))).collect();
        Ok(Target {
            system,
            relation: body.relation,
            checks,
            index_exprs,
            generated,
            view_checks,
            policies,
            returning,
            given: body.given,
        })
    }

    fn policies(&mut self, list: Vec<PolicyCheck>, own: &[ColumnId]) -> Result<Vec<PolicyCheck>> {
        let resolve = |p: PolicyCheck| Ok(PolicyCheck { condition: self.resolved(p.condition, own)?, ..p });
        list.into_iter().map(resolve).collect()
    }
}

fn returned(target: &Target, source: Estimate) -> (Vec<SqlType>, Estimate) {
    match &target.returning {
        Some(list) => (list.iter().map(Expr::ty).collect(), source),
        None => (Vec::new(), Estimate { rows: 0.0, width: 0, ..source }),
    }
}
