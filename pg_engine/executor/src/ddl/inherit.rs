//! Table inheritance: `pg_inherits`, how often columns and constraints are inherited, and ALTER TABLE of tables with children.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{
    ConstraintKind, Relation,
    builtin::{PG_ATTRIBUTE, PG_CLASS, PG_CONSTRAINT, PG_DEPEND, PG_INHERITS},
};
use pg_plan::utility::{AlterAction, ColumnDef, ConstraintDef, ConstraintDefKind, Inherits, Parent};
use pg_storage::LockMode;
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use super::{Address, Ddl, Dependency};

/// How deep tables may inherit from each other.
const MAX_DEPTH: usize = 100;

fn invalid(text: String) -> SqlError {
    SqlError::new(SqlState::INVALID_TABLE_DEFINITION, text)
}

fn mismatch(text: String) -> SqlError {
    SqlError::new(SqlState::DATATYPE_MISMATCH, text)
}

impl Ddl<'_, '_> {
    /// Before a table with parents is made: may it be, and what its making tells.
    pub(super) fn begin_inheritance(&self, inherits: &Inherits, temporary: bool) -> Result<()> {
        for notice in &inherits.notices {
            self.cx.session.notice("NOTICE", pg_plan::utility::inheritance_notice(notice));
        }
        for oid in &inherits.parents {
            let parent = self.current(*oid)?;
            self.must_own(&parent)?;
            if parent.persistence == b't' && !temporary {
                let text = format!("cannot inherit from temporary relation \"{}\"", parent.name);
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text));
            }
            self.lock(*oid, LockMode::ShareUpdateExclusive)?;
        }
        Ok(())
    }

    /// A new table's place among its parents.
    pub(super) fn store_inheritance(&self, table: Oid, inherits: &Inherits) -> Result<()> {
        for (n, parent) in inherits.parents.iter().enumerate() {
            self.add_parent(table, *parent, n as i32 + 1)?;
        }
        let relation = self.current(table)?;
        for (name, count, local) in &inherits.columns {
            let Some(a) = relation.live().find(|a| a.name == *name) else { continue };
            self.count_column(table, a.attnum, |_| (*count, *local))?;
        }
        for (name, count, local) in &inherits.checks {
            let Some(c) = relation.constraints.iter().find(|c| c.name == *name) else { continue };
            self.count_constraint(c.oid, |_| (*count, *local))?;
        }
        self.step();
        Ok(())
    }

    fn add_parent(&self, child: Oid, parent: Oid, number: i32) -> Result<()> {
        let row = self
            .row(PG_INHERITS)?
            .set("inhrelid", child)
            .set("inhparent", parent)
            .set("inhseqno", number)
            .set("inhdetachpending", false);
        self.insert(PG_INHERITS, &row)?;
        self.update(PG_CLASS, &["oid"], &[Value::Oid(parent)], |r| r.put("relhassubclass", true))?;
        self.depend(Address::new(PG_CLASS, child), Address::new(PG_CLASS, parent), Dependency::Normal)?;
        self.step();
        Ok(())
    }

    /// How often a column is inherited, and whether it is also the table's own.
    fn column_counts(&self, table: Oid, attnum: i16) -> Result<(i32, bool)> {
        let key = [Value::Oid(table), Value::Int2(attnum)];
        let rows = self.find(PG_ATTRIBUTE, &["attrelid", "attnum"], &key)?;
        Ok(rows.first().map_or((0, true), |(_, r)| (r.int("attinhcount") as i32, r.bool("attislocal"))))
    }

    fn count_column(&self, table: Oid, attnum: i16, f: impl Fn((i32, bool)) -> (i32, bool)) -> Result<()> {
        let key = [Value::Oid(table), Value::Int2(attnum)];
        self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| {
            let (count, local) = f((r.int("attinhcount") as i32, r.bool("attislocal")));
            r.put("attinhcount", count);
            r.put("attislocal", local);
        })?;
        self.step();
        Ok(())
    }

    fn constraint_counts(&self, oid: Oid) -> Result<(i32, bool)> {
        let rows = self.find(PG_CONSTRAINT, &["oid"], &[Value::Oid(oid)])?;
        Ok(rows.first().map_or((0, true), |(_, r)| (r.int("coninhcount") as i32, r.bool("conislocal"))))
    }

    fn count_constraint(&self, oid: Oid, f: impl Fn((i32, bool)) -> (i32, bool)) -> Result<()> {
        self.update(PG_CONSTRAINT, &["oid"], &[Value::Oid(oid)], |r| {
            let (count, local) = f((r.int("coninhcount") as i32, r.bool("conislocal")));
            r.put("coninhcount", count);
            r.put("conislocal", local);
        })?;
        self.step();
        Ok(())
    }

    /// A table's descendants as they are now, each once.
    pub(super) fn heirs(&self, relation: &Relation) -> Result<Vec<Arc<Relation>>> {
        let mut wanted = relation.children.clone();
        let mut found: Vec<Arc<Relation>> = Vec::new();
        let mut at = 0;
        while let Some(oid) = wanted.get(at).copied() {
            at += 1;
            self.cx.checkpoint()?;
            self.lock(oid, LockMode::AccessExclusive)?;
            let child = self.current(oid)?;
            let new = child.children.iter().filter(|c| !wanted.contains(c)).copied().collect::<Vec<_>>();
            wanted.extend(new);
            found.push(child);
        }
        Ok(found)
    }

    /// 42P16 when what an action changes belongs to a parent.
    fn refuse_inherited(&self, relation: &Relation, action: &AlterAction) -> Result<()> {
        let counts = |name: &str| match relation.live().find(|a| a.name == name) {
            Some(a) => self.column_counts(relation.oid, a.attnum).map(|c| c.0),
            None => Ok(0),
        };
        let refused = match action {
            AlterAction::DropColumn { name, .. } if counts(name)? > 0 => {
                format!("cannot drop inherited column \"{name}\"")
            }
            AlterAction::SetType { column, .. } if counts(column)? > 0 => {
                format!("cannot alter inherited column \"{column}\"")
            }
            AlterAction::DropConstraint { name, .. } => {
                match relation.constraints.iter().find(|c| c.name == *name && c.kind == ConstraintKind::Check)
                {
                    Some(c) if self.constraint_counts(c.oid)?.0 > 0 => {
                        format!(
                            "cannot drop inherited constraint \"{name}\" of relation \"{}\"",
                            relation.name
                        )
                    }
                    _ => return Ok(()),
                }
            }
            _ => return Ok(()),
        };
        Err(invalid(refused))
    }

    /// An action of ALTER TABLE on a table and what inherits from it; `only`: on the table alone.
    pub(super) fn alter_family(
        &self,
        relation: &Arc<Relation>,
        action: &AlterAction,
        only: bool,
    ) -> Result<()> {
        self.refuse_inherited(relation, action)?;
        if relation.children.is_empty() {
            return self.alter_action(relation, action);
        }
        if only {
            return self.alter_only(relation, action);
        }
        match action {
            AlterAction::AddColumn { column, constraints, if_not_exists } => {
                let there = relation.live().any(|a| a.name == column.name);
                self.alter_action(relation, action)?;
                if there && *if_not_exists {
                    return Ok(());
                }
                for child in &relation.children {
                    self.inherit_column(*child, column, constraints, 0)?;
                }
                Ok(())
            }
            AlterAction::DropColumn { name, cascade, .. } => {
                self.alter_action(relation, action)?;
                relation.children.iter().try_for_each(|c| self.disinherit_column(*c, name, *cascade, 0))
            }
            AlterAction::AddConstraint(c)
                if matches!(c.kind, ConstraintDefKind::Check { no_inherit: false, .. }) =>
            {
                self.alter_action(relation, action)?;
                self.step();
                let known: Vec<&str> = relation.constraints.iter().map(|c| c.name.as_str()).collect();
                let now = self.current(relation.oid)?;
                let new = now.constraints.iter().find(|c| !known.contains(&c.name.as_str()));
                let Some(new) = new else { return Ok(()) };
                relation.children.iter().try_for_each(|child| self.inherit_check(*child, &new.name, c, 0))
            }
            AlterAction::DropConstraint { name, cascade, .. } => {
                let check = relation.constraints.iter().find(|c| c.name == *name);
                let check = check.is_some_and(pg_catalog::Constraint::is_heritable);
                self.alter_action(relation, action)?;
                if !check {
                    return Ok(());
                }
                relation.children.iter().try_for_each(|c| self.disinherit_check(*c, name, *cascade, 0))
            }
            AlterAction::SetDefault { .. }
            | AlterAction::DropDefault { .. }
            | AlterAction::SetNotNull { .. }
            | AlterAction::DropNotNull { .. }
            | AlterAction::SetType { .. } => {
                self.alter_action(relation, action)?;
                self.step();
                for heir in self.heirs(relation)? {
                    self.alter_action(&heir, action)?;
                    self.step();
                }
                Ok(())
            }
            _ => self.alter_action(relation, action),
        }
    }

    /// What ONLY leaves to do for a table with children.
    fn alter_only(&self, relation: &Arc<Relation>, action: &AlterAction) -> Result<()> {
        match action {
            AlterAction::AddColumn { .. } => {
                return Err(invalid("column must be added to child tables too".into()));
            }
            AlterAction::AddConstraint(c)
                if matches!(c.kind, ConstraintDefKind::Check { no_inherit: false, .. }) =>
            {
                return Err(invalid("constraint must be added to child tables too".into()));
            }
            AlterAction::SetType { column, .. } => {
                let text =
                    format!("type of inherited column \"{column}\" must be changed in child tables too");
                return Err(invalid(text));
            }
            _ => {}
        }
        self.alter_action(relation, action)?;
        self.step();
        for child in &relation.children {
            let child = self.current(*child)?;
            match action {
                AlterAction::DropColumn { name, .. } => {
                    if let Some(a) = child.live().find(|a| a.name == *name) {
                        self.count_column(child.oid, a.attnum, |(n, _)| ((n - 1).max(0), true))?;
                    }
                }
                AlterAction::DropConstraint { name, .. } => {
                    if let Some(c) = child.constraints.iter().find(|c| c.name == *name) {
                        self.count_constraint(c.oid, |(n, _)| ((n - 1).max(0), true))?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn child(&self, oid: Oid, depth: usize) -> Result<Arc<Relation>> {
        if depth > MAX_DEPTH {
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "tables inherit too deeply"));
        }
        self.step();
        self.lock(oid, LockMode::AccessExclusive)?;
        self.current(oid)
    }

    fn inherit_column(
        &self,
        child: Oid,
        column: &ColumnDef,
        constraints: &[ConstraintDef],
        depth: usize,
    ) -> Result<()> {
        let child = self.child(child, depth)?;
        if let Some(a) = child.live().find(|a| a.name == column.name) {
            if a.declared != column.ty {
                let text =
                    format!("child table \"{}\" has different type for column \"{}\"", child.name, a.name);
                return Err(mismatch(text));
            }
            let text = format!("merging definition of column \"{}\" for child \"{}\"", a.name, child.name);
            self.notice(SqlState::SUCCESSFUL_COMPLETION, text);
            return self.count_column(child.oid, a.attnum, |(n, local)| (n + 1, local));
        }
        let checks: Vec<ConstraintDef> = constraints
            .iter()
            .filter(|c| matches!(c.kind, ConstraintDefKind::Check { no_inherit: false, .. }))
            .cloned()
            .collect();
        let add =
            AlterAction::AddColumn { column: column.clone(), constraints: checks, if_not_exists: false };
        self.alter_action(&child, &add)?;
        self.step();
        let now = self.current(child.oid)?;
        if let Some(a) = now.live().find(|a| a.name == column.name) {
            self.count_column(child.oid, a.attnum, |_| (1, false))?;
        }
        for c in now.constraints.iter().filter(|c| !child.constraints.iter().any(|k| k.oid == c.oid)) {
            self.count_constraint(c.oid, |_| (1, false))?;
        }
        child.children.iter().try_for_each(|c| self.inherit_column(*c, column, constraints, depth + 1))
    }

    fn disinherit_column(&self, child: Oid, name: &str, cascade: bool, depth: usize) -> Result<()> {
        let child = self.child(child, depth)?;
        let Some(a) = child.live().find(|a| a.name == name) else { return Ok(()) };
        let (count, local) = self.column_counts(child.oid, a.attnum)?;
        if count > 1 || local {
            return self.count_column(child.oid, a.attnum, |(n, local)| ((n - 1).max(0), local));
        }
        self.drop_objects(&[Address::column(child.oid, a.attnum)], cascade)?;
        child.children.iter().try_for_each(|c| self.disinherit_column(*c, name, cascade, depth + 1))
    }

    fn inherit_check(&self, child: Oid, name: &str, def: &ConstraintDef, depth: usize) -> Result<()> {
        let child = self.child(child, depth)?;
        let ConstraintDefKind::Check { expression, columns, not_valid, no_inherit } = &def.kind else {
            return Ok(());
        };
        if let Some(c) = child.constraints.iter().find(|c| c.name == name) {
            if c.expression.as_ref() != Some(expression) {
                let text = format!("constraint \"{name}\" for relation \"{}\" already exists", child.name);
                return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, text));
            }
            let text = format!("merging constraint \"{name}\" with inherited definition");
            self.notice(SqlState::SUCCESSFUL_COMPLETION, text);
            return self.count_constraint(c.oid, |(n, local)| (n + 1, local));
        }
        self.create_check(&child, Some(name), expression, columns, (*not_valid, *no_inherit))?;
        self.step();
        let now = self.current(child.oid)?;
        if let Some(c) = now.constraints.iter().find(|c| c.name == name) {
            self.count_constraint(c.oid, |_| (1, false))?;
        }
        child.children.iter().try_for_each(|c| self.inherit_check(*c, name, def, depth + 1))
    }

    fn disinherit_check(&self, child: Oid, name: &str, cascade: bool, depth: usize) -> Result<()> {
        let child = self.child(child, depth)?;
        let Some(c) = child.constraints.iter().find(|c| c.name == name) else { return Ok(()) };
        let (count, local) = self.constraint_counts(c.oid)?;
        if count > 1 || local {
            return self.count_constraint(c.oid, |(n, local)| ((n - 1).max(0), local));
        }
        self.drop_objects(&[Address::new(PG_CONSTRAINT, c.oid)], cascade)?;
        child.children.iter().try_for_each(|c| self.disinherit_check(*c, name, cascade, depth + 1))
    }

    /// 42P16 unless a column may be renamed in this table and its heirs: none may have it from a table that is not among them.
    pub(super) fn refuse_renaming(
        &self,
        relation: &Arc<Relation>,
        heirs: &[Arc<Relation>],
        column: &str,
    ) -> Result<()> {
        let all = || core::iter::once(relation).chain(heirs);
        for r in all() {
            let Some(a) = r.live().find(|a| a.name == column) else { continue };
            let known = all().filter(|parent| parent.children.contains(&r.oid)).count() as i64;
            if i64::from(self.column_counts(r.oid, a.attnum)?.0) > known {
                return Err(invalid(format!("cannot rename inherited column \"{column}\"")));
            }
        }
        Ok(())
    }

    /// ALTER TABLE ... INHERIT.
    pub(super) fn inherit(&self, child: &Arc<Relation>, parent: &Parent) -> Result<()> {
        self.lock(parent.oid, LockMode::ShareUpdateExclusive)?;
        let parent = self.current(parent.oid)?;
        self.must_own(&parent)?;
        if parent.persistence == b't' && child.persistence != b't' {
            let text = format!("cannot inherit from temporary relation \"{}\"", parent.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text));
        }
        let rows = self.find(PG_INHERITS, &["inhrelid"], &[Value::Oid(child.oid)])?;
        if rows.iter().any(|(_, r)| r.oid("inhparent") == parent.oid) {
            let text = format!("relation \"{}\" would be inherited from more than once", parent.name);
            return Err(SqlError::new(SqlState::DUPLICATE_TABLE, text));
        }
        if parent.oid == child.oid || self.heirs(child)?.iter().any(|h| h.oid == parent.oid) {
            return Err(SqlError::new(SqlState::DUPLICATE_TABLE, "circular inheritance not allowed")
                .detail(format!("\"{}\" is already a child of \"{}\".", parent.name, child.name)));
        }
        for a in parent.live() {
            let Some(own) = child.live().find(|c| c.name == a.name) else {
                return Err(mismatch(format!("child table is missing column \"{}\"", a.name)));
            };
            if own.declared != a.declared {
                let text =
                    format!("child table \"{}\" has different type for column \"{}\"", child.name, a.name);
                return Err(mismatch(text));
            }
            if a.not_null && !own.not_null {
                let text = format!("column \"{}\" in child table must be marked NOT NULL", a.name);
                return Err(mismatch(text));
            }
            if a.generated != 0 && own.generated == 0 {
                return Err(mismatch(format!(
                    "column \"{}\" in child table must be a generated column",
                    a.name
                )));
            }
            if a.generated != 0 && a.default != own.default {
                let text =
                    format!("column \"{}\" in child table has a conflicting generation expression", a.name);
                return Err(mismatch(text));
            }
            self.count_column(child.oid, own.attnum, |(n, local)| (n + 1, local))?;
        }
        for c in parent.constraints.iter().filter(|c| c.is_heritable()) {
            let Some(own) = child.constraints.iter().find(|k| k.name == c.name) else {
                return Err(mismatch(format!("child table is missing constraint \"{}\"", c.name)));
            };
            if own.expression != c.expression {
                let text = format!(
                    "child table \"{}\" has different definition for check constraint \"{}\"",
                    child.name, c.name
                );
                return Err(mismatch(text));
            }
            self.count_constraint(own.oid, |(n, local)| (n + 1, local))?;
        }
        let last = rows.iter().map(|(_, r)| r.int("inhseqno") as i32).max().unwrap_or(0);
        self.add_parent(child.oid, parent.oid, last + 1)
    }

    /// ALTER TABLE ... NO INHERIT.
    pub(super) fn disinherit(&self, child: &Arc<Relation>, parent: &Parent) -> Result<()> {
        let rows = self.find(PG_INHERITS, &["inhrelid"], &[Value::Oid(child.oid)])?;
        let Some((tid, _)) = rows.iter().find(|(_, r)| r.oid("inhparent") == parent.oid) else {
            let text = format!("relation \"{}\" is not a parent of relation \"{}\"", parent.name, child.name);
            return Err(SqlError::new(SqlState::UNDEFINED_TABLE, text));
        };
        {
            let mut txn = self.cx.txn.borrow_mut();
            self.catalog(PG_INHERITS)?.delete(self.cx.engine.storage(), txn.storage(), *tid)?;
        }
        let key = [Value::Oid(PG_CLASS), Value::Oid(child.oid)];
        let needs = |r: &pg_catalog::table::Row| {
            r.oid("refclassid") == PG_CLASS && r.oid("refobjid") == parent.oid && r.int("objsubid") == 0
        };
        for (tid, _) in self.find(PG_DEPEND, &["classid", "objid"], &key)?.iter().filter(|r| needs(&r.1)) {
            let mut txn = self.cx.txn.borrow_mut();
            self.catalog(PG_DEPEND)?.delete(self.cx.engine.storage(), txn.storage(), *tid)?;
        }
        self.step();
        let parent = self.current(parent.oid)?;
        let less = |(n, local): (i32, bool)| ((n - 1).max(0), local || n <= 1);
        for a in parent.live() {
            if let Some(own) = child.live().find(|c| c.name == a.name) {
                self.count_column(child.oid, own.attnum, less)?;
            }
        }
        for c in parent.constraints.iter().filter(|c| c.is_heritable()) {
            if let Some(own) = child.constraints.iter().find(|k| k.name == c.name) {
                self.count_constraint(own.oid, less)?;
            }
        }
        Ok(())
    }
}
