//! Row-level security: which policies apply to a table in a statement, as conditions over its rows; and the statements
//! that make policies.
//!
//! Rows that policies hide are left out below [`Logical::Secure`], past which only conditions go that tell nothing about
//! the rows they see. A policy's own subqueries are subject to policies too.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{Policy, Relation, RelationKind};
use pg_plan::{
    access::{self as u, PolicyCheck},
    expr::{ColumnId, Expr},
    logical::Logical,
    statement::{OnConflictBody, TargetBody},
    utility::Utility,
};
use pg_types::{Result, SqlError, SqlState, SqlType, Value, oid};
use sqlparser::ast as sq;

use super::{
    Binder,
    dml::Changed,
    scope::{Entry, Place},
    updatable::Subject,
};
use crate::{ast, grammar};

/// Which expression of a policy is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// USING: rows that are there.
    Using,
    /// WITH CHECK, or USING where there is none: rows that come.
    Check,
}

fn constant(on: bool) -> Expr {
    Expr::Const(Value::Bool(on), SqlType::new(oid::BOOL))
}

impl Binder<'_> {
    /// Do policies restrict what the statement's role sees of the table?
    pub(super) fn is_secured(&mut self, relation: &Relation) -> Result<bool> {
        let s = &relation.security;
        if !s.row_security || relation.kind != RelationKind::Table {
            return Ok(false);
        }
        let roles = self.catalog.roles()?;
        let role = self.accesses.role.unwrap_or_else(|| self.catalog.user());
        // Plans depend on who asks, which the plan cache knows of.
        if roles.is_superuser(role) || roles.get(role).is_some_and(|r| r.bypass_rls) {
            return Ok(false);
        }
        if roles.has_rights_of(role, relation.owner) && !s.forced {
            return Ok(false);
        }
        if !self.catalog.row_security() {
            let text = format!(
                "query would be affected by row-level security policy for table \"{}\"",
                relation.name
            );
            let mut error = SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, text);
            if roles.has_rights_of(role, relation.owner) {
                error = error.hint(
                    "To disable the policy for the table's owner, use ALTER TABLE NO FORCE ROW LEVEL SECURITY.",
                );
            }
            self.refused.get_or_insert(error);
            return Ok(false);
        }
        Ok(true)
    }

    /// The policies for a command: permissive ones, then restrictive ones.
    fn policies_for(&self, relation: &Relation, command: u8) -> Result<(Vec<Arc<Policy>>, Vec<Arc<Policy>>)> {
        let roles = self.catalog.roles()?;
        let role = self.accesses.role.unwrap_or_else(|| self.catalog.user());
        let concerned = relation
            .security
            .policies
            .iter()
            .filter(|p| (p.command == b'*' || p.command == command) && p.concerns(role, &roles));
        Ok(concerned.cloned().partition(|p| p.permissive))
    }

    /// A policy's condition over a row with these ids.
    fn policy_condition(
        &mut self,
        relation: &Arc<Relation>,
        policy: &Policy,
        ids: &[ColumnId],
        side: Side,
    ) -> Result<Option<Expr>> {
        let text = match side {
            Side::Using => policy.using.as_ref(),
            Side::Check => policy.check.as_ref().or(policy.using.as_ref()),
        };
        let Some(text) = text else { return Ok(None) };
        if self.securing.contains(&relation.oid) {
            return Err(SqlError::new(
                SqlState(*b"42P17"),
                format!("infinite recursion detected in policy for relation \"{}\"", relation.name),
            ));
        }
        let parsed = grammar::expression(text)?;
        let entry = self.row_entry(relation, &relation.name, ids);
        self.securing.push(relation.oid);
        let stored = core::mem::replace(&mut self.accesses.stored, true);
        let bound = self.over_row(&parsed, entry, "POLICY");
        self.accesses.stored = stored;
        self.securing.pop();
        bound.map(Some)
    }

    /// A condition over one row that may have subqueries.
    fn over_row(&mut self, e: &sq::Expr, entry: Entry, clause: &str) -> Result<Expr> {
        self.in_frame(entry, Place::Where, |b| {
            b.deeper(|b| {
                let bound = b.expr(e)?;
                b.boolean(bound, clause, super::expr::start(e))
            })
        })
    }

    /// What rows must satisfy: one of the permissive policies and every restrictive one, each by itself with its name.
    fn conditions(
        &mut self,
        relation: &Arc<Relation>,
        ids: &[ColumnId],
        command: u8,
        side: Side,
    ) -> Result<Vec<(Option<String>, Expr)>> {
        let (permissive, restrictive) = self.policies_for(relation, command)?;
        let mut any = Vec::new();
        for p in &permissive {
            any.push(self.policy_condition(relation, p, ids, side)?.unwrap_or_else(|| constant(true)));
        }
        let any = match any.len() {
            0 => constant(false),
            1 => any.swap_remove(0),
            _ => Expr::Or(any),
        };
        let mut out = Vec::from([(None, any)]);
        for p in &restrictive {
            if let Some(e) = self.policy_condition(relation, p, ids, side)? {
                out.push((Some(p.name.clone()), e));
            }
        }
        Ok(out)
    }

    /// The condition for rows of the table to be seen by these commands.
    pub(super) fn visible_by(
        &mut self,
        relation: &Arc<Relation>,
        ids: &[ColumnId],
        commands: &[u8],
    ) -> Result<Option<Expr>> {
        let mut all = Vec::new();
        for command in commands {
            all.extend(self.conditions(relation, ids, *command, Side::Using)?.into_iter().map(|c| c.1));
        }
        let used = all.iter().map(|e| {
            let mut ids = Vec::new();
            e.for_each_column(&mut |id| ids.push(id));
            ids
        });
        let used: Vec<ColumnId> = used.flatten().collect();
        used.into_iter().for_each(|id| self.keep_column(id));
        Ok(Expr::all_of(all))
    }

    /// A scan of a table with what policies hide left out.
    pub(super) fn secured(
        &mut self,
        plan: Logical,
        relation: &Arc<Relation>,
        base: ColumnId,
    ) -> Result<Logical> {
        if !self.is_secured(relation)? {
            return Ok(plan);
        }
        let live = relation.live().count() as u32;
        let ids: Vec<ColumnId> = (base..base + live).collect();
        let commands: &[u8] = if !self.locking.is_empty() { b"rw" } else { b"r" };
        let condition = self.quietly(|b| b.visible_by(relation, &ids, commands))?;
        Ok(secure(plan, condition))
    }

    /// Checks of rows that come into a table: `command` is `a` or `w`; `reads`: the statement reads columns of it.
    pub(super) fn incoming(
        &mut self,
        relation: &Arc<Relation>,
        ids: &[ColumnId],
        command: u8,
        reads: bool,
    ) -> Result<Vec<PolicyCheck>> {
        self.quietly(|b| {
            let mut all = b.conditions(relation, ids, command, Side::Check)?;
            if reads {
                all.extend(b.conditions(relation, ids, b'r', Side::Using)?);
            }
            Ok(all
                .into_iter()
                .map(|(policy, condition)| PolicyCheck { policy, using: false, condition })
                .collect())
        })
    }

    /// Checks of rows that are there already, which ON CONFLICT would change.
    pub(super) fn conflicting(
        &mut self,
        relation: &Arc<Relation>,
        ids: &[ColumnId],
    ) -> Result<Vec<PolicyCheck>> {
        self.quietly(|b| {
            let mut all = b.conditions(relation, ids, b'w', Side::Using)?;
            all.extend(b.conditions(relation, ids, b'r', Side::Using)?);
            Ok(all
                .into_iter()
                .map(|(policy, condition)| PolicyCheck { policy, using: true, condition })
                .collect())
        })
    }

    /// Policies of an INSERT.
    pub(super) fn secure_insert(
        &mut self,
        target: &mut TargetBody,
        subject: &Subject,
        on_conflict: Option<&mut OnConflictBody>,
    ) -> Result<()> {
        let role = core::mem::replace(&mut self.accesses.role, subject.role);
        let done = self.secure_insert_as(target, subject, on_conflict);
        self.accesses.role = role;
        done
    }

    fn secure_insert_as(
        &mut self,
        target: &mut TargetBody,
        subject: &Subject,
        on_conflict: Option<&mut OnConflictBody>,
    ) -> Result<()> {
        let relation = target.relation.clone();
        if !self.is_secured(&relation)? {
            return Ok(());
        }
        let ids = target.columns.clone();
        let reads = subject.accesses.iter().any(|a| self.accesses.any_read(a.0));
        target.policies = self.incoming(&relation, &ids, b'a', reads)?;
        if let Some(c) = on_conflict.filter(|c| c.update.is_some()) {
            c.existing = self.conflicting(&relation, &ids)?;
            c.updated = self.incoming(&relation, &ids, b'w', true)?;
        }
        Ok(())
    }

    /// Policies of an UPDATE (`w`) or DELETE (`d`): what it sees of the table, and what comes.
    pub(super) fn secure_change(
        &mut self,
        changed: &mut Changed,
        target: &mut TargetBody,
        recheck: &mut Option<Expr>,
        command: u8,
    ) -> Result<()> {
        let role = core::mem::replace(&mut self.accesses.role, changed.subject.role);
        let done = self.secure_change_as(changed, target, recheck, command);
        self.accesses.role = role;
        done
    }

    fn secure_change_as(
        &mut self,
        changed: &mut Changed,
        target: &mut TargetBody,
        recheck: &mut Option<Expr>,
        command: u8,
    ) -> Result<()> {
        let relation = changed.subject.table.clone();
        if !self.is_secured(&relation)? {
            return Ok(());
        }
        let reads = changed.subject.accesses.iter().any(|a| self.accesses.any_read(a.0));
        let commands = if reads { Vec::from([command, b'r']) } else { Vec::from([command]) };
        changed.visible = self.quietly(|b| b.visible_by(&relation, &changed.old, &commands))?;
        if command == b'w' {
            let ids = target.columns.clone();
            target.policies = self.incoming(&relation, &ids, b'w', reads)?;
        }
        *recheck = Expr::all_of(changed.visible.iter().cloned().chain(recheck.take()).collect());
        Ok(())
    }

    /// CREATE, ALTER, DROP POLICY.
    pub(super) fn policy(&mut self, p: &ast::PolicyStatement) -> Result<Utility> {
        let name = p.name.clone();
        if let ast::PolicyAction::Drop { if_exists } = p.action {
            let n = &p.table.name;
            let relation = self.catalog.relation(n.schema.as_deref(), &n.name)?;
            if relation.is_none() && !if_exists {
                self.relation(&crate::ast::NameAt { at: 0, ..p.table.clone() })?;
            }
            let drop = u::DropPolicy { name, relation, table: n.name.clone(), if_exists };
            return Ok(Utility::DropPolicy(drop));
        }
        let relation = self.relation(&crate::ast::NameAt { at: 0, ..p.table.clone() })?;
        if relation.kind != RelationKind::Table {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is not a table", relation.name),
            ));
        }
        if p.command == b'a' && p.using.is_some() {
            return Err(SqlError::syntax("only WITH CHECK expression allowed for INSERT"));
        }
        if matches!(p.command, b'r' | b'd') && p.check.is_some() {
            return Err(SqlError::syntax("WITH CHECK cannot be applied to SELECT or DELETE"));
        }
        let using = p.using.as_ref().map(|e| self.policy_text(e, &relation)).transpose()?;
        let check = p.check.as_ref().map(|e| self.policy_text(e, &relation)).transpose()?;
        let roles = p.roles.clone();
        Ok(match &p.action {
            ast::PolicyAction::Rename(new) => {
                Utility::RenamePolicy(u::RenamePolicy { name, relation, new_name: new.clone() })
            }
            ast::PolicyAction::Alter => {
                Utility::AlterPolicy(u::AlterPolicy { name, relation, roles, using, check })
            }
            _ => Utility::CreatePolicy(u::CreatePolicy {
                name,
                relation,
                permissive: p.permissive,
                command: p.command,
                roles: roles.unwrap_or_default(),
                using,
                check,
            }),
        })
    }

    /// An expression of a policy as it is kept.
    fn policy_text(&mut self, e: &sq::Expr, relation: &Arc<Relation>) -> Result<String> {
        self.over_columns(e, relation, |b, bound| b.boolean(bound, "POLICY", super::expr::start(e)))?
            .stored(self.catalog)
            .map(|t| t.text)
    }
}

/// Leaves out rows for which the condition is not true, before anything else is asked about them.
pub(super) fn secure(plan: Logical, condition: Option<Expr>) -> Logical {
    match condition {
        Some(c) => Logical::Secure(Box::new(Logical::Filter(Box::new(plan), c))),
        None => plan,
    }
}
