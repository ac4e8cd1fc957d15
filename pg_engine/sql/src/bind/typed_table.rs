//! Tables of composite types: CREATE TABLE ... OF, ALTER TABLE ... OF.

use alloc::{format, vec::Vec};

use pg_catalog::RelationKind;
use pg_plan::utility as u;
use pg_types::{Oid, Result, SqlError, SqlState, SqlType};

use super::{Binder, scope, types};
use crate::ast;

impl Binder<'_> {
    /// A composite type that was made by CREATE TYPE: its oid.
    pub(super) fn type_of_table(&mut self, name: &ast::NameAt) -> Result<Oid> {
        let (schema, bare) = (name.name.schema.as_deref(), name.name.name.as_str());
        if let Some(schema) = schema {
            self.catalog.check_schema(schema)?;
        }
        let found = self.catalog.type_by_name(schema, bare)?;
        let ty = found.ok_or_else(|| {
            let shown = schema.map_or_else(|| bare.into(), |s| format!("{s}.{bare}"));
            SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{shown}\" does not exist"))
        })?;
        let relation = self.catalog.relation(schema, bare)?;
        let shown = match relation.filter(|r| r.row_type == ty) {
            Some(r) if r.kind == RelationKind::Composite => return Ok(ty),
            Some(r) => r.name.clone(),
            None => self.catalog.type_name(ty).unwrap_or_else(|| types::show(SqlType::new(ty))),
        };
        Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("type {shown} is not a composite type")))
    }

    /// The columns that a table of the type has.
    pub(super) fn columns_of_type(
        &mut self,
        name: &ast::NameAt,
        columns: &mut Vec<u::ColumnDef>,
    ) -> Result<Oid> {
        let ty = self.type_of_table(name)?;
        let relation = self.catalog.relation(name.name.schema.as_deref(), &name.name.name)?;
        let relation = relation.ok_or_else(|| SqlError::internal("a composite type without a relation"))?;
        columns.extend(relation.live().map(|a| u::ColumnDef {
            name: a.name.clone(),
            ty: a.declared,
            not_null: false,
            default: None,
            generated: 0,
            sequence: None,
            collation: a.collation,
            compression: 0,
        }));
        Ok(ty)
    }

    /// What a table of a type says of one of its columns; `own`: those that it said something of before.
    pub(super) fn typed_column(
        &mut self,
        column: &ast::Column,
        table: &str,
        at: Option<usize>,
        (columns, own): (&mut [u::ColumnDef], &[usize]),
    ) -> Result<(usize, Vec<ast::NamedConstraint>)> {
        let name = &column.name.value;
        let Some((at, slot)) = at.and_then(|at| Some((at, columns.get_mut(at)?))) else {
            let text = format!("column \"{name}\" does not exist");
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, text));
        };
        if own.contains(&at) {
            let text = format!("column \"{name}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, text));
        }
        if column.collation.is_some() {
            return Err(
                SqlError::unsupported("COLLATE of a typed table's column").at(scope::at(&column.name))
            );
        }
        for (_, option) in &column.options {
            let what = match option {
                ast::ColumnOption::Identity(..) => "identity",
                ast::ColumnOption::Generated(..) => "generated",
                _ => continue,
            };
            let text = format!("{what} columns are not supported on typed tables");
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
        }
        let (def, constraints) = self.column_of_type(column, table, None, (slot.ty, slot.collation))?;
        *slot = def;
        Ok((at, constraints))
    }
}
