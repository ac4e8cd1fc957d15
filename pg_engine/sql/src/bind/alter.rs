//! ALTER TABLE: what its actions name, and their expressions as canonical text.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use pg_catalog::Relation;
use pg_plan::utility as u;
use pg_types::{Result, SqlError, SqlState, SqlType};
use sqlparser::ast as sq;

use super::{
    Binder,
    scope::Place,
    types,
    utility::{entry, live_columns},
};
use crate::ast;

impl Binder<'_> {
    pub(super) fn alter_table(&mut self, alter: &ast::AlterTable) -> Result<u::AlterTable> {
        let name = alter.table.name.clone();
        let found = self.catalog.relation(name.schema.as_deref(), &name.name)?;
        let relation = match found {
            None if alter.if_exists => {
                let (tag, only) = (alter.tag, alter.table.only);
                return Ok(u::AlterTable { tag, relation: None, name, only, actions: Vec::new() });
            }
            None => self.relation(&ast::NameAt { at: 0, ..alter.table.clone() })?,
            Some(relation) => relation,
        };
        self.depend(relation.oid);
        let mut shape = live_columns(&relation);
        let mut actions = Vec::with_capacity(alter.actions.len());
        for action in &alter.actions {
            actions.push(self.alter_action(action, &relation, &mut shape)?);
        }
        let only = alter.table.only;
        Ok(u::AlterTable { tag: alter.tag, relation: Some(relation), name, only, actions })
    }

    fn alter_action(
        &mut self,
        action: &ast::AlterAction,
        relation: &Arc<Relation>,
        shape: &mut Vec<(String, SqlType)>,
    ) -> Result<u::AlterAction> {
        let column_type = |ident: &sq::Ident, shape: &[(String, SqlType)]| {
            shape.iter().find(|(n, _)| *n == ident.value).map(|(_, t)| *t).ok_or_else(|| {
                SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{}\" of relation \"{}\" does not exist", ident.value, relation.name),
                )
            })
        };
        Ok(match action {
            ast::AlterAction::Ready(action) => {
                if let u::AlterAction::SetOptions(options) = action
                    && options.iter().any(|o| o.0 == "check_option")
                {
                    may_check(relation)?;
                }
                action.clone()
            }
            ast::AlterAction::AddColumn(column, if_not_exists) => {
                let (mut def, named) = self.column_def(column, &relation.name)?;
                shape.push((def.name.clone(), def.ty));
                for (_, option) in &column.options {
                    if let ast::ColumnOption::Generated(e, _) = option {
                        let place = Place::Generated;
                        self.computed =
                            relation.live().filter(|a| a.generated != 0).map(|a| a.name.clone()).collect();
                        self.computed.push(def.name.clone());
                        let text = self.stored_text(e, &relation.name, shape, place, Some(def.ty));
                        self.computed.clear();
                        def.default = Some(text?.0);
                    }
                }
                let mut constraints = Vec::with_capacity(named.len());
                for constraint in &named {
                    constraints.push(self.constraint(constraint, &relation.name, shape)?);
                }
                u::AlterAction::AddColumn { column: def, constraints, if_not_exists: *if_not_exists }
            }
            ast::AlterAction::Of(name) => u::AlterAction::Of(self.type_of_table(name)?),
            ast::AlterAction::Inherit(parent, true) => u::AlterAction::Inherit(self.parent_of(parent)?),
            ast::AlterAction::Inherit(parent, false) => u::AlterAction::NoInherit(self.parent_of(parent)?),
            ast::AlterAction::AddConstraint(constraint) => {
                u::AlterAction::AddConstraint(self.constraint(constraint, &relation.name, shape)?)
            }
            ast::AlterAction::SetDefault(ident, e) => {
                let ty = column_type(ident, shape)?;
                let default = self.default_text(e, &ident.value, ty)?;
                u::AlterAction::SetDefault { column: ident.value.clone(), default }
            }
            ast::AlterAction::SetType { column: ident, ty, at: position, collation, using } => {
                column_type(ident, shape)?;
                let new = self.column_type(ty, &ident.value, *position)?;
                let collation = self.column_collation(new, collation.as_ref())?;
                let place = Place::Generated;
                let bound = match using {
                    Some(e) => self.over_entry(e, entry(&relation.name, shape), place, None)?,
                    None => {
                        let e = sq::Expr::Identifier(ident.clone());
                        self.over_entry(&e, entry(&relation.name, shape), place, None)?
                    }
                };
                let generated =
                    |a: &pg_catalog::Attribute| a.name == ident.value && !a.dropped && a.generated != 0;
                if using.is_some() && relation.attributes.iter().any(generated) {
                    let message = "cannot specify USING when altering type of generated column";
                    return Err(SqlError::new(SqlState::INVALID_COLUMN_DEFINITION, message)
                        .detail(format!("Column \"{}\" is a generated column.", ident.value)));
                }
                let plain = bound.clone();
                let assigned = self.try_coerce(bound, new, pg_functions::CastContext::Assignment)?;
                let Some(assigned) = assigned else {
                    return Err(SqlError::new(
                        SqlState::DATATYPE_MISMATCH,
                        format!(
                            "column \"{}\" cannot be cast automatically to type {}",
                            ident.value,
                            types::show(new)
                        ),
                    )
                    .hint(format!(
                        "You might need to specify \"USING {}::{}\".",
                        ident.value,
                        types::show_full(new)
                    )));
                };
                // The values are assigned when they are there: written as a cast, they would be cut to their new length.
                let written = if plain.ty().oid == pg_types::oid::UNKNOWN { assigned } else { plain };
                let using = self.canonical(&written, shape)?;
                if let Some((_, ty)) = shape.iter_mut().find(|(n, _)| *n == ident.value) {
                    *ty = new;
                }
                u::AlterAction::SetType { column: ident.value.clone(), ty: new, collation, using }
            }
            ast::AlterAction::SetIdentity(ident, identity, def) => {
                column_type(ident, shape)?;
                let (column, identity) = (ident.value.clone(), *identity);
                u::AlterAction::SetIdentity { column, identity, options: self.sequence(def)? }
            }
            ast::AlterAction::AddIdentity(ident, kind, def) => {
                let ty = column_type(ident, shape)?;
                self.identity_type(ty)?;
                let mut options = self.sequence(def)?;
                options.ty = Some(ty.oid);
                u::AlterAction::AddIdentity {
                    column: ident.value.clone(),
                    sequence: u::OwnedSequence { identity: *kind, options },
                }
            }
        })
    }
}

/// 0A000 for a view that changes cannot be made through: WITH CHECK OPTION would have nothing to check.
fn may_check(view: &Relation) -> Result<()> {
    let parsed = crate::grammar::statements(view.view.as_deref().unwrap_or_default())?;
    let Some(ast::Ast::Query(query)) = parsed.into_iter().next().map(|i| i.ast) else { return Ok(()) };
    match super::updatable::fault(&query) {
        None => Ok(()),
        Some(reason) => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "WITH CHECK OPTION is supported only on automatically updatable views",
        )
        .hint(reason)),
    }
}
