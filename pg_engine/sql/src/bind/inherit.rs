//! Table inheritance: what a new table takes over from its parents, and which tables a name stands for.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{Relation, RelationKind};
use pg_plan::{
    logical::{Column, Logical, SetOp},
    utility as u,
};
use pg_types::{Result, SqlError, SqlState};

use super::{Binder, scope::Entry};
use crate::ast::NameAt;

/// Most tables that one name stands for.
const MAX_FAMILY: usize = 10_000;

/// What a new table takes over.
#[derive(Default)]
pub(super) struct Inherited {
    pub(super) columns: Vec<u::ColumnDef>,
    pub(super) checks: Vec<u::ConstraintDef>,
    pub(super) inherits: u::Inherits,
}

fn conflict(name: &str, a: pg_types::SqlType, b: pg_types::SqlType) -> SqlError {
    let text = format!("column \"{name}\" has a type conflict");
    SqlError::new(SqlState::DATATYPE_MISMATCH, text).detail(format!(
        "{} versus {}",
        super::types::show(a),
        super::types::show(b)
    ))
}

impl Inherited {
    /// An error behind what was said so far.
    fn failed(&self, mut error: SqlError) -> SqlError {
        error.fields_mut().earlier = self.inherits.notices.iter().map(u::inheritance_notice).collect();
        error
    }

    fn count(&mut self, column: &str) {
        match self.inherits.columns.iter_mut().find(|c| c.0 == column) {
            Some(c) => c.1 += 1,
            None => self.inherits.columns.push((column.into(), 1, false)),
        }
    }

    fn take_columns(&mut self, parent: &Relation) -> Result<()> {
        for a in parent.live() {
            self.count(&a.name);
            let default = a.default.clone().filter(|_| a.identity == 0);
            let Some(known) = self.columns.iter_mut().find(|c| c.name == a.name) else {
                self.columns.push(u::ColumnDef {
                    name: a.name.clone(),
                    ty: a.declared,
                    not_null: a.not_null,
                    default,
                    generated: a.generated,
                    sequence: None,
                    collation: a.collation,
                    compression: a.compression,
                });
                continue;
            };
            let text = format!("merging multiple inherited definitions of column \"{}\"", a.name);
            self.inherits.notices.push((text, false));
            if known.ty != a.declared {
                let text = format!("inherited column \"{}\" has a type conflict", a.name);
                let (x, y) = (super::types::show(known.ty), super::types::show(a.declared));
                let error =
                    SqlError::new(SqlState::DATATYPE_MISMATCH, text).detail(format!("{x} versus {y}"));
                return Err(self.failed(error));
            }
            if known.generated != a.generated {
                let text = format!("inherited column \"{}\" has a generation conflict", a.name);
                return Err(self.failed(SqlError::new(SqlState::DATATYPE_MISMATCH, text)));
            }
            known.not_null |= a.not_null;
            match (&known.default, default) {
                (_, None) => {}
                (None, d) => known.default = d,
                (Some(x), Some(y)) if *x == y => {}
                _ if a.generated != 0 => {
                    let text = format!("column \"{}\" inherits conflicting generation expressions", a.name);
                    return Err(self.failed(SqlError::new(SqlState(*b"42611"), text)));
                }
                _ if !self.inherits.conflicting.contains(&a.name) => {
                    self.inherits.conflicting.push(a.name.clone());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn take_checks(&mut self, parent: &Relation) -> Result<()> {
        for c in parent.constraints.iter().filter(|c| c.is_heritable()) {
            let Some(expression) = c.expression.clone() else { continue };
            let known = self.checks.iter().find(|k| k.name.as_deref() == Some(&c.name));
            if let Some(u::ConstraintDef {
                kind: u::ConstraintDefKind::Check { expression: e, .. }, ..
            }) = known
            {
                if *e != expression {
                    let text = format!(
                        "check constraint name \"{}\" appears multiple times but with different expressions",
                        c.name
                    );
                    return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, text));
                }
                if let Some(count) = self.inherits.checks.iter_mut().find(|k| k.0 == c.name) {
                    count.1 += 1;
                }
                continue;
            }
            let name = |n: &i16| parent.live().find(|a| a.attnum == *n).map(|a| a.name.clone());
            let columns = c.columns.iter().filter_map(name).collect();
            let kind =
                u::ConstraintDefKind::Check { expression, columns, not_valid: false, no_inherit: false };
            self.checks.push(u::ConstraintDef { name: Some(c.name.clone()), kind });
            self.inherits.checks.push((c.name.clone(), 1, false));
        }
        Ok(())
    }

    /// A column that the new table defines itself: where it is, if it is an inherited one.
    pub(super) fn merge(
        &mut self,
        columns: &mut [u::ColumnDef],
        own: &u::ColumnDef,
        place: usize,
    ) -> Result<Option<usize>> {
        let Some(count) = self.inherits.columns.iter_mut().find(|c| c.0 == own.name) else { return Ok(None) };
        let Some(at) = columns.iter().position(|c| c.name == own.name) else { return Ok(None) };
        count.2 = true;
        let moved = if at == place { "" } else { "moving and " };
        let text = format!("{moved}merging column \"{}\" with inherited definition", own.name);
        self.inherits.notices.push((text, at != place));
        let Some(known) = columns.get_mut(at) else { return Ok(None) };
        if known.ty != own.ty {
            return Err(self.failed(conflict(&own.name, known.ty, own.ty)));
        }
        if known.generated != 0 && own.generated == 0 {
            let specified = match (&own.sequence, &own.default) {
                (Some(s), _) if s.identity != 0 => Some("identity"),
                (Some(_), _) | (_, Some(_)) => Some("default"),
                _ => None,
            };
            if let Some(what) = specified {
                let text =
                    format!("column \"{}\" inherits from generated column but specifies {what}", own.name);
                return Err(self.failed(SqlError::new(SqlState(*b"42611"), text)));
            }
        }
        if known.generated != 0 && own.generated != 0 {
            let text = format!("child column \"{}\" specifies generation expression", own.name);
            let hint = "Omit the generation expression in the definition of the child table column to inherit the generation expression from the parent table.";
            return Err(self.failed(SqlError::new(SqlState(*b"42611"), text).hint(hint)));
        }
        if own.generated != 0 {
            known.generated = own.generated;
        }
        known.not_null |= own.not_null;
        if own.generated != 0 {
            known.default = None;
        }
        if own.default.is_some() || own.sequence.is_some() {
            known.default = own.default.clone();
            known.sequence = own.sequence.clone();
            self.inherits.conflicting.retain(|c| *c != own.name);
        }
        Ok(Some(at))
    }

    /// A constraint that the new table defines itself: is it an inherited one?
    pub(super) fn merge_check(&mut self, own: &u::ConstraintDef) -> Result<bool> {
        let u::ConstraintDefKind::Check { expression, .. } = &own.kind else { return Ok(false) };
        let Some(name) = &own.name else { return Ok(false) };
        let known = self.checks.iter().find(|k| k.name.as_ref() == Some(name));
        let Some(u::ConstraintDef { kind: u::ConstraintDefKind::Check { expression: e, .. }, .. }) = known
        else {
            return Ok(false);
        };
        if e != expression {
            let text = format!("constraint \"{name}\" conflicts with inherited constraint on relation");
            return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, text));
        }
        self.inherits
            .notices
            .push((format!("merging constraint \"{name}\" with inherited definition"), false));
        if let Some(count) = self.inherits.checks.iter_mut().find(|k| k.0 == *name) {
            count.2 = true;
        }
        Ok(true)
    }

    /// 42611 when parents do not agree on a default and the table has none of its own.
    pub(super) fn finish(self) -> Result<Option<u::Inherits>> {
        if let Some(name) = self.inherits.conflicting.first() {
            let text = format!("column \"{name}\" inherits conflicting default values");
            let hint = "To resolve the conflict, specify a default explicitly.";
            return Err(self.failed(SqlError::new(SqlState(*b"42611"), text).hint(hint)));
        }
        Ok((!self.inherits.parents.is_empty()).then_some(self.inherits))
    }
}

/// Leaves the columns that a parent has too, in its order.
pub(super) fn as_parent(entry: &mut Entry, parent: &Relation) {
    let own = core::mem::take(&mut entry.columns);
    entry.columns = parent.live().filter_map(|a| own.iter().find(|c| c.name == a.name).cloned()).collect();
}

impl Binder<'_> {
    /// What INHERITS (names) gives a new table.
    pub(super) fn inherited(&mut self, names: &[NameAt]) -> Result<Inherited> {
        let mut inherited = Inherited::default();
        for name in names {
            let parent = self.relation(name)?;
            if parent.kind != RelationKind::Table {
                let text = format!("inherited relation \"{}\" is not a table or foreign table", parent.name);
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text));
            }
            if inherited.inherits.parents.contains(&parent.oid) {
                let text = format!("relation \"{}\" would be inherited from more than once", parent.name);
                return Err(SqlError::new(SqlState::DUPLICATE_TABLE, text));
            }
            inherited.inherits.parents.push(parent.oid);
            inherited.take_columns(&parent)?;
            inherited.take_checks(&parent)?;
        }
        Ok(inherited)
    }

    /// The tables that inherit from a table, and those that inherit from them.
    pub(super) fn descendants(&mut self, relation: &Arc<Relation>) -> Result<Vec<Arc<Relation>>> {
        let mut found: Vec<Arc<Relation>> = Vec::new();
        let mut wanted = relation.children.clone();
        let mut at = 0;
        while let Some(oid) = wanted.get(at).copied() {
            at += 1;
            if at > MAX_FAMILY {
                return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many inheriting tables"));
            }
            let Some(child) = self.catalog.relation_by_oid(oid)? else { continue };
            // Temporary tables of other sessions are theirs.
            if child.persistence == b't' && !self.catalog.is_own_temporary(child.schema) {
                continue;
            }
            let new = child.children.iter().filter(|c| !wanted.contains(c)).copied().collect::<Vec<_>>();
            wanted.extend(new);
            self.depend(child.oid);
            found.push(child);
        }
        Ok(found)
    }

    /// A scan of a table and its descendants, for one of the table alone.
    pub(super) fn with_children(&mut self, scan: Logical, family: &[Arc<Relation>]) -> Logical {
        let Logical::Scan { relation, alias, columns } = scan else { return scan };
        let fresh = |b: &mut Self| -> Vec<(Column, i16)> {
            columns.iter().map(|(c, n)| (Column { id: b.column_id(), ..c.clone() }, *n)).collect()
        };
        let own = fresh(self);
        let mut inputs = Vec::with_capacity(family.len() + 1);
        inputs.push(Logical::Scan { relation: relation.clone(), alias, columns: own });
        for child in family {
            let mut mapped = fresh(self);
            for (_, attnum) in mapped.iter_mut().filter(|c| c.1 > 0) {
                let name = relation.live().find(|a| a.attnum == *attnum).map(|a| a.name.as_str());
                if let Some(own) = child.live().find(|a| Some(a.name.as_str()) == name) {
                    *attnum = own.attnum;
                }
            }
            let alias = child.name.clone();
            inputs.push(Logical::Scan { relation: child.clone(), alias, columns: mapped });
        }
        let columns = columns.iter().map(|c| c.0.clone()).collect();
        Logical::Set { op: SetOp::Union, all: true, inputs, columns }
    }

    /// ALTER TABLE ... [NO] INHERIT.
    pub(super) fn parent_of(&mut self, name: &NameAt) -> Result<u::Parent> {
        let parent = self.relation(name)?;
        if parent.kind != RelationKind::Table {
            let text = format!("\"{}\" is not a table", parent.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text));
        }
        Ok(u::Parent { oid: parent.oid, name: String::from(parent.name.as_str()) })
    }
}
