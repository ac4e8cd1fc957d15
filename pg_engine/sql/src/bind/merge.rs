//! MERGE: the source's rows beside the target's that they match, and what is to be done with each.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{Relation, RelationKind, acl::right};
use pg_plan::{
    expr::{ColumnId, Expr},
    logical::{Column, JoinKind, Logical},
    statement::{Body, MergeAction, MergeBody, MergeClause, Query, SYSTEM_COLUMNS},
};
use pg_types::{Result, SqlError, SqlState, SqlType, oid};
use sqlparser::ast as sq;

use super::{
    Binder,
    dml::{Changed, collect_columns},
    expr::start,
    scope::Place,
};
use crate::{ast::Overriding, grammar};

/// MERGE as parsed: OVERRIDING clauses by the byte where each INSERT begins.
pub(super) struct Merge<'a> {
    pub(super) merge: &'a sq::Merge,
    pub(super) with: Option<&'a sq::With>,
    pub(super) overriding: &'a [(usize, Overriding)],
}

fn is_matched(clause: &sq::MergeClause) -> bool {
    clause.clause_kind == sq::MergeClauseKind::Matched
}

/// 42601 when a clause without a condition stands before another of its kind.
fn check_reachable(clauses: &[sq::MergeClause]) -> Result<()> {
    for matched in [true, false] {
        let of_kind: Vec<&sq::MergeClause> = clauses.iter().filter(|c| is_matched(c) == matched).collect();
        let before = of_kind.split_last().map_or(&[][..], |(_, before)| before);
        if before.iter().any(|c| c.predicate.is_none()) {
            return Err(SqlError::syntax(
                "unreachable WHEN clause specified after unconditional WHEN clause",
            ));
        }
    }
    Ok(())
}

impl Binder<'_> {
    pub(super) fn merge(&mut self, merge: &Merge<'_>) -> Result<Query> {
        let (body, _) = self.enclosed(|b| {
            if let Some(with) = merge.with {
                if with.recursive {
                    let text = "WITH RECURSIVE is not supported for MERGE statement";
                    return Err(SqlError::syntax(text));
                }
                b.with(with)?;
            }
            b.merge_here(merge)
        })?;
        self.finish(Body::Merge(body), Vec::new(), Vec::new())
    }

    /// Refuses what is no table; gives the tables that inherit from it.
    fn merge_target(&mut self, table: &sq::TableFactor) -> Result<Vec<Arc<Relation>>> {
        let sq::TableFactor::Table { name, args: None, .. } = table else {
            return Err(SqlError::syntax("MERGE needs a table"));
        };
        let name = grammar::name_of(name)?;
        let relation = self.relation(&name)?;
        let what = match relation.kind {
            RelationKind::View => "views",
            RelationKind::MaterializedView => "materialized views",
            RelationKind::Sequence => "sequences",
            _ if name.only => return Ok(Vec::new()),
            _ => return self.descendants(&relation),
        };
        let text = format!("cannot execute MERGE on relation \"{}\"", relation.name);
        Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
            .detail(format!("This operation is not supported for {what}.")))
    }

    fn merge_here(&mut self, m: &Merge<'_>) -> Result<MergeBody> {
        let merge = m.merge;
        if merge.output.is_some() {
            return Err(SqlError::syntax("syntax error at or near \"RETURNING\""));
        }
        check_reachable(&merge.clauses)?;
        let heirs = self.merge_target(&merge.table)?;
        let source = sq::TableWithJoins { relation: merge.source.clone(), joins: Vec::new() };
        let changed = self.changed(&merge.table, core::slice::from_ref(&source), "MERGE", None)?;
        let table = changed.subject.table.clone();
        if super::table::is_graph(&table) {
            return Err(SqlError::unsupported(format!("MERGE into {}", table.name)));
        }
        if self.is_secured(&table)? {
            return Err(SqlError::unsupported("MERGE into a table with row security"));
        }
        for (access, _) in &changed.subject.accesses {
            if let Some(a) = self.accesses.get(*access) {
                a.rights &= !right::INSERT;
            }
        }
        // Rows of heirs are known by the table they are in.
        let tableoid = changed.ctid + (SYSTEM_COLUMNS - 1) as ColumnId;
        let has_heirs = !heirs.is_empty();
        if has_heirs {
            self.keep_column(tableoid);
            self.families.push((changed.ctid - changed.old.len() as ColumnId, heirs.clone()));
        }
        let on = self.condition(&merge.on, Place::JoinOn, "JOIN/ON")?;
        let ids = self.column_ids(&table);
        changed.subject.span(self, &ids);
        let mut clauses = Vec::with_capacity(merge.clauses.len());
        for clause in &merge.clauses {
            clauses.push(self.merge_clause(clause, m.overriding, &changed)?);
        }
        let mut target = self.target_body(&table, ids)?;
        target.system = Some(changed.ctid);
        target.given = self.given_columns(&changed.subject);
        let mut others = Vec::with_capacity(heirs.len());
        for heir in &heirs {
            let ids = self.column_ids(heir);
            let mut body = self.target_body(heir, ids)?;
            body.system = Some(changed.ctid);
            body.given.clone_from(&target.given);
            others.push(body);
        }
        let inserts = clauses.iter().any(|c| !c.matched);
        let source = self.merge_source(changed, on.clone(), inserts);
        Ok(MergeBody { target, heirs: others, table: has_heirs.then_some(tableoid), source, on, clauses })
    }

    fn merge_clause(
        &mut self,
        clause: &sq::MergeClause,
        overriding: &[(usize, Overriding)],
        changed: &Changed,
    ) -> Result<MergeClause> {
        let matched = is_matched(clause);
        if matched {
            return self.merge_action(clause, overriding, changed);
        }
        // There is no row of the target to name columns of.
        let frame = self.frame()?;
        let (entries, visible) = (frame.entries.clone(), core::mem::take(&mut frame.visible));
        frame.entries = entries.iter().skip(1).cloned().collect();
        frame.visible = frame
            .entries
            .iter()
            .flat_map(|e| &e.columns)
            .map(|c| super::scope::Visible { name: c.name.clone(), expr: c.expr.clone(), origin: c.origin })
            .collect();
        let bound = self.merge_action(clause, overriding, changed);
        let frame = self.frame()?;
        (frame.entries, frame.visible) = (entries, visible);
        bound
    }

    fn merge_action(
        &mut self,
        clause: &sq::MergeClause,
        overriding: &[(usize, Overriding)],
        changed: &Changed,
    ) -> Result<MergeClause> {
        let condition = match &clause.predicate {
            Some(e) => Some(self.condition(e, Place::MergeWhen, "WHEN")?),
            None => None,
        };
        let subject = &changed.subject;
        let need = |b: &mut Self, rights| {
            for (access, _) in &subject.accesses {
                if let Some(a) = b.accesses.get(*access) {
                    a.rights |= rights;
                }
            }
        };
        let action = match &clause.action {
            sq::MergeAction::DoNothing { .. } => MergeAction::Nothing,
            sq::MergeAction::Delete { .. } => {
                need(self, right::DELETE);
                MergeAction::Delete
            }
            sq::MergeAction::Update(update) => {
                let sq::MergeUpdateKind::Set(assignments) = &update.kind else {
                    return Err(SqlError::syntax("syntax error at or near \"*\""));
                };
                if update.update_predicate.is_some() || update.delete_predicate.is_some() {
                    return Err(SqlError::syntax("syntax error at or near \"WHERE\""));
                }
                let assignments = self.assignments(assignments, subject, "UPDATE")?;
                self.update_columns(subject, &assignments);
                MergeAction::Update(assignments)
            }
            sq::MergeAction::Insert(insert) => {
                need(self, right::INSERT);
                let sq::MergeInsertKind::Values(values) = &insert.kind else {
                    return Err(SqlError::syntax("syntax error at or near \"*\""));
                };
                let [row] = values.rows.as_slice() else {
                    return Err(SqlError::syntax("syntax error at or near \",\""));
                };
                let begin = (insert.insert_token.0.span.start.line as usize).saturating_sub(1);
                let end = row.content.first().map_or(usize::MAX, |e| start(e) as usize);
                let own = overriding.iter().find(|(at, _)| *at >= begin && *at <= end.max(begin));
                let own = own.map_or(Overriding::None, |o| o.1);
                MergeAction::Insert(self.merge_row(&insert.columns, &row.content, subject, own)?)
            }
        };
        Ok(MergeClause { matched: is_matched(clause), condition, action })
    }

    /// The rows: ctid and old values of the target's, NULL for rows of the source that match none, then the source's columns.
    fn merge_source(&mut self, changed: Changed, on: Expr, inserts: bool) -> Logical {
        let Changed { subject, plan, from, old, ctid, .. } = changed;
        let source = from.unwrap_or(Logical::OneRow);
        let (kind, left, right) =
            if inserts { (JoinKind::Left, source, plan) } else { (JoinKind::Inner, plan, source) };
        let (left, right) = (Box::new(left), Box::new(right));
        let mut plan = Logical::Join { kind, left, right, on: Some(on), lateral: Vec::new() };
        self.fill_scans(&mut plan);
        let mut outputs: Vec<Column> = Vec::new();
        collect_columns(&plan, &mut outputs);
        let pass = |c: Column| {
            let e = Expr::Column(c.id, c.ty);
            (c, e)
        };
        let tid = Column { id: ctid, name: String::from("ctid"), ty: SqlType::new(oid::TID) };
        let mut projected = Vec::from([pass(tid)]);
        for (attribute, id) in subject.table.live().zip(&old) {
            projected.push(pass(Column { id: *id, name: attribute.name.clone(), ty: attribute.ty }));
        }
        projected.extend(outputs.into_iter().filter(|c| c.id > ctid).map(pass));
        Logical::Project(Box::new(plan), projected)
    }
}
