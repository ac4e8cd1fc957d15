//! What a changed table brings along: defaults, checks, expressions of indexes, generated columns.

use alloc::{format, sync::Arc, vec::Vec};

use pg_catalog::{
    Attribute, ConstraintKind, Relation, RelationKind,
    builtin::{DAGDB_EDGES, DAGDB_NODES, INTRALITH_AUDIT_LOG, INTRALITH_HBA_RULES},
};
use pg_plan::{
    expr::{ColumnId, Expr},
    statement::TargetBody,
};
use pg_types::{Result, SqlError, SqlState, SqlType, Value, oid};
use sqlparser::ast as sq;

use super::{
    Binder,
    expr::start,
    scope::{Entry, EntryColumn, Frame, Place, Visible},
};
use crate::ast::NameAt;

impl Binder<'_> {
    /// The table of an INSERT, UPDATE, DELETE, COPY FROM.
    pub(super) fn target_relation(&mut self, name: &NameAt, verb: &str) -> Result<Arc<Relation>> {
        let relation = self.relation(name)?;
        let wrong = |what: &str| {
            SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot change {what} \"{}\"", relation.name))
        };
        match relation.kind {
            // The catalog that is changed by ordinary statements.
            RelationKind::Table if relation.oid == INTRALITH_HBA_RULES => Ok(relation),
            // Old records may go.
            RelationKind::Table if relation.oid == INTRALITH_AUDIT_LOG && verb == "DELETE" => Ok(relation),
            RelationKind::Table
                if matches!(relation.schema_name.as_str(), "pg_catalog" | "information_schema") =>
            {
                Err(SqlError::new(
                    SqlState::INSUFFICIENT_PRIVILEGE,
                    format!("permission denied: \"{}\" is a system catalog", relation.name),
                ))
            }
            RelationKind::View if verb == "COPY" => Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot copy to view \"{}\"", relation.name),
            )
            .hint("To enable copying to a view, provide an INSTEAD OF INSERT trigger.")),
            RelationKind::Table | RelationKind::View => Ok(relation),
            RelationKind::Index => Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot open relation \"{}\"", relation.name),
            )
            .detail("This operation is not supported for indexes.")),
            RelationKind::Toast => Err(wrong("TOAST relation")),
            RelationKind::MaterializedView => Err(wrong("materialized view")),
            RelationKind::Composite => Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("\"{}\" is a composite type", relation.name),
            )),
            RelationKind::Sequence => Err(wrong("sequence")),
            // Rows that stand for a graph: changing them edits it.
            RelationKind::Virtual if is_graph(&relation) => Ok(relation),
            RelationKind::Virtual => Err(wrong("system view")),
        }
    }

    /// Fresh ids for the live columns.
    pub(super) fn column_ids(&mut self, relation: &Relation) -> Vec<ColumnId> {
        relation.live().map(|_| self.column_id()).collect()
    }

    /// A FROM item over given ids of a table's live columns.
    pub(super) fn row_entry(&self, relation: &Relation, alias: &str, ids: &[ColumnId]) -> Entry {
        let columns = relation
            .live()
            .zip(ids)
            .map(|(a, id)| EntryColumn {
                name: a.name.clone(),
                expr: Expr::Column(*id, a.ty),
                origin: (relation.oid, a.attnum),
            })
            .collect();
        // Under its own name the schema may stand before it.
        let schema = (alias == relation.name).then(|| relation.schema_name.clone());
        Entry { alias: alias.into(), schema, columns, scan: None, scalar: false, nullable: false }
    }

    /// Binds stored text over a row with these ids.
    pub(super) fn stored(
        &mut self,
        text: &str,
        relation: &Relation,
        ids: &[ColumnId],
        place: Place,
        target: Option<SqlType>,
    ) -> Result<Expr> {
        let ast = crate::grammar::expression(text)?;
        let entry = self.row_entry(relation, &relation.name, ids);
        self.quietly(|b| b.over_entry(&ast, entry, place, target))
    }

    /// Binds an expression that sees one FROM item and nothing else.
    pub(super) fn over_entry(
        &mut self,
        ast: &sq::Expr,
        entry: Entry,
        place: Place,
        target: Option<SqlType>,
    ) -> Result<Expr> {
        self.in_frame(entry, place, |b| {
            let e = b.expr(ast)?;
            match (place, target) {
                (Place::Check | Place::IndexPredicate, _) => {
                    let clause = if place == Place::Check { "CHECK" } else { "WHERE" };
                    b.boolean(e, clause, start(ast))
                }
                (_, Some(ty)) => b.assign(e, ty, "", start(ast)),
                (_, None) => b.settle(e),
            }
        })
    }

    /// Binds something that sees one FROM item and nothing else.
    pub(super) fn in_frame<T>(
        &mut self,
        entry: Entry,
        place: Place,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let frames = core::mem::take(&mut self.frames);
        let visible = entry
            .columns
            .iter()
            .map(|c| Visible { name: c.name.clone(), expr: c.expr.clone(), origin: c.origin })
            .collect();
        self.frames.push(Frame {
            entries: Vec::from([entry]),
            visible,
            place: Some(place),
            ..Frame::default()
        });
        let result = bind(self);
        self.frames = frames;
        result
    }

    /// An expression over a relation whose column n is `Column(n − 1)`.
    pub(super) fn stored_expression(
        &mut self,
        ast: &sq::Expr,
        relation: Option<&Relation>,
        target: Option<SqlType>,
    ) -> Result<Expr> {
        let entry = match relation {
            None => Entry::without_columns(),
            Some(relation) => {
                let ids: Vec<ColumnId> = relation.live().map(|a| (a.attnum - 1) as ColumnId).collect();
                self.row_entry(relation, &relation.name, &ids)
            }
        };
        self.over_entry(ast, entry, Place::Default, target)
    }

    /// The default of a column, NULL when it has none.
    pub(super) fn default_value(&mut self, attribute: &Attribute) -> Result<Expr> {
        match &attribute.default {
            Some(text) if attribute.generated == 0 => {
                let ast = crate::grammar::expression(text)?;
                let target = Some(attribute.declared);
                self.quietly(|b| b.over_entry(&ast, Entry::without_columns(), Place::Default, target))
            }
            // A domain may have a default, or not take a NULL.
            _ if attribute.declared != attribute.ty => self.domain_value(attribute),
            _ => Ok(Expr::Const(Value::Null, attribute.ty)),
        }
    }

    /// Everything to be checked and kept up when a row of the table changes.
    pub(super) fn target_body(
        &mut self,
        relation: &Arc<Relation>,
        columns: Vec<ColumnId>,
    ) -> Result<TargetBody> {
        let mut checks = Vec::new();
        for constraint in relation.constraints.iter().filter(|c| c.kind == ConstraintKind::Check) {
            if let Some(text) = &constraint.expression {
                let check = self.stored(text, relation, &columns, Place::Check, None)?;
                checks.push((constraint.name.clone(), check));
            }
        }
        let mut index_exprs = Vec::with_capacity(relation.indexes.len());
        for index in &relation.indexes {
            let mut keys = Vec::new();
            if index.keys.iter().any(|k| k.expression.is_some()) {
                for key in &index.keys {
                    let bound = match &key.expression {
                        Some(text) => {
                            Some(self.stored(text, relation, &columns, Place::IndexExpression, None)?)
                        }
                        None => None,
                    };
                    keys.push(bound);
                }
            }
            let predicate = match &index.predicate {
                Some(text) => Some(self.stored(text, relation, &columns, Place::IndexPredicate, None)?),
                None => None,
            };
            index_exprs.push((keys, predicate));
        }
        let mut generated = Vec::new();
        for attribute in relation.live().filter(|a| a.generated != 0) {
            if let Some(text) = &attribute.default {
                let e = self.stored(text, relation, &columns, Place::Generated, Some(attribute.declared))?;
                generated.push((attribute.attnum, e));
            }
        }
        Ok(TargetBody {
            relation: relation.clone(),
            columns,
            checks,
            index_exprs,
            generated,
            view_checks: Vec::new(),
            policies: Vec::new(),
            returning: None,
            system: None,
            given: Vec::new(),
        })
    }

    /// A column of the target by name: its position among the live columns.
    pub(super) fn target_column(&self, relation: &Relation, ident: &sq::Ident) -> Result<usize> {
        relation.live().position(|a| a.name == ident.value).ok_or_else(|| {
            SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{}\" of relation \"{}\" does not exist", ident.value, relation.name),
            )
            .at(super::scope::at(ident))
        })
    }
}

/// Nodes or edges of a graph?
pub(super) fn is_graph(relation: &Relation) -> bool {
    matches!(relation.oid, DAGDB_NODES | DAGDB_EDGES)
}

/// NULL of no type yet.
pub(super) fn null() -> Expr {
    Expr::Const(Value::Null, SqlType::new(oid::UNKNOWN))
}
