//! CREATE TABLE (LIKE relation ...): columns and constraints of another relation.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{Constraint, ConstraintKind, Relation, RelationKind};
use pg_plan::utility::{self as u, LikeParts};
use pg_types::{Result, SqlError, SqlState};

use super::Binder;
use crate::ast::NameAt;

/// What a LIKE clause stands for.
pub(super) struct Likeness {
    pub(super) columns: Vec<u::ColumnDef>,
    pub(super) constraints: Vec<u::ConstraintDef>,
    pub(super) like: u::Like,
}

impl Binder<'_> {
    pub(super) fn likeness(&mut self, name: &NameAt, parts: LikeParts) -> Result<Likeness> {
        let relation = self.relation(name)?;
        let not_for = match relation.kind {
            RelationKind::Table
            | RelationKind::View
            | RelationKind::MaterializedView
            | RelationKind::Composite
            | RelationKind::Virtual => None,
            RelationKind::Index => Some("indexes"),
            RelationKind::Sequence => Some("sequences"),
            RelationKind::Toast => Some("TOAST tables"),
        };
        if let Some(kind) = not_for {
            let text = format!("relation \"{}\" is invalid in LIKE clause", relation.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, text)
                .detail(format!("This operation is not supported for {kind}."))
                .at(name.at));
        }
        let columns = relation
            .live()
            .map(|a| {
                let given = if a.generated != 0 { parts.generated } else { parts.defaults };
                let identity = if parts.identity { a.identity } else { 0 };
                let options = u::SequenceOptions { ty: Some(a.ty.oid), ..u::SequenceOptions::default() };
                u::ColumnDef {
                    name: a.name.clone(),
                    ty: a.declared,
                    not_null: a.not_null,
                    default: a.default.clone().filter(|_| given),
                    generated: if parts.generated { a.generated } else { 0 },
                    sequence: (identity != 0).then_some(u::OwnedSequence { identity, options }),
                    collation: a.collation,
                    compression: if parts.compression { a.compression } else { 0 },
                }
            })
            .collect();
        let mut constraints = Vec::new();
        for c in &relation.constraints {
            constraints.extend(match c.kind {
                ConstraintKind::Check if parts.constraints => check(&relation, c),
                ConstraintKind::Primary | ConstraintKind::Unique if parts.indexes => key(&relation, c),
                _ => None,
            });
        }
        let like = u::Like { relation: relation.oid, parts };
        Ok(Likeness { columns, constraints, like })
    }
}

fn names(relation: &Relation, attnums: &[i16]) -> Vec<String> {
    let name = |n: &i16| relation.live().find(|a| a.attnum == *n).map(|a| a.name.clone());
    attnums.iter().filter_map(name).collect()
}

fn check(relation: &Arc<Relation>, c: &Constraint) -> Option<u::ConstraintDef> {
    let columns = names(relation, &c.columns);
    let kind = u::ConstraintDefKind::Check {
        expression: c.expression.clone()?,
        columns,
        not_valid: false,
        no_inherit: false,
    };
    Some(u::ConstraintDef { name: Some(c.name.clone()), kind })
}

/// PRIMARY KEY or UNIQUE; the new one gets a name of its own.
fn key(relation: &Arc<Relation>, c: &Constraint) -> Option<u::ConstraintDef> {
    let index = relation.indexes.iter().find(|i| i.oid == c.index)?;
    let attnums: Vec<i16> = index.keys.iter().map(|k| k.attnum).collect();
    let (keys, include) = attnums.split_at_checked(index.key_count)?;
    let kind = u::ConstraintDefKind::Index {
        primary: c.kind == ConstraintKind::Primary,
        columns: names(relation, keys),
        include: names(relation, include),
        fillfactor: index.fill_factor.map(i32::from),
        nulls_not_distinct: index.nulls_not_distinct,
        using_index: None,
        deferrable: c.deferrable,
        deferred: c.deferred,
    };
    Some(u::ConstraintDef { name: None, kind })
}
