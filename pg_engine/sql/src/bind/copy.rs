//! COPY: where rows come from and go to.

use alloc::{format, string::String, vec::Vec};

use pg_catalog::{RelationKind, acl::right};
use pg_plan::{expr::Expr, statement::Query, utility as u};
use pg_types::{Result, SqlError, SqlState};
use sqlparser::ast as sq;

use super::{Binder, copy_options::copy_options, expr::start, scope::Place, utility::selects_into};
use crate::{
    ast::{self, Ast, NameAt},
    deparse,
};

/// 42P10 for a column that COPY computes.
fn not_generated(attribute: &pg_catalog::Attribute) -> Result<()> {
    if attribute.generated == 0 {
        return Ok(());
    }
    let text = format!("column \"{}\" is a generated column", attribute.name);
    Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, text)
        .detail("Generated columns cannot be used in COPY."))
}

impl Binder<'_> {
    pub(super) fn copy(&mut self, copy: &ast::Copy) -> Result<u::Copy> {
        let mut options = copy_options(&copy.options, copy.from)?;
        let target = match (&copy.source, copy.from) {
            (ast::CopySource::Query(query), _) => {
                if selects_into(query) {
                    let text = "COPY (SELECT INTO) is not supported";
                    return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text));
                }
                u::CopyTarget::To(self.top_query(query)?)
            }
            (ast::CopySource::Table(name, columns), false) => {
                u::CopyTarget::To(self.copy_table(name, columns)?)
            }
            (ast::CopySource::Table(name, columns), true) => {
                self.copy_from(name, columns, copy.filter.as_ref())?
            }
        };
        let names: Vec<String> = match &target {
            u::CopyTarget::To(query) => query.columns.iter().map(|c| c.name.clone()).collect(),
            u::CopyTarget::From { relation, columns, .. } => columns
                .iter()
                .filter_map(|n| relation.live().find(|a| a.attnum == *n))
                .map(|a| a.name.clone())
                .collect(),
        };
        let positions = |wanted: &Option<ast::Columns>, option: &str| -> Result<Vec<u32>> {
            Ok(match wanted {
                None => Vec::new(),
                Some(ast::Columns::All) => (0..names.len() as u32).collect(),
                Some(ast::Columns::Some(idents)) => {
                    let mut out = Vec::with_capacity(idents.len());
                    for ident in idents {
                        let position = names.iter().position(|n| *n == ident.value);
                        out.push(position.ok_or_else(|| {
                            SqlError::new(
                                SqlState::INVALID_COLUMN_REFERENCE,
                                format!("{option} column \"{}\" not referenced by COPY", ident.value),
                            )
                        })? as u32);
                    }
                    out
                }
            })
        };
        options.force_quote = positions(&copy.options.force_quote, "FORCE_QUOTE")?;
        options.force_not_null = positions(&copy.options.force_not_null, "FORCE_NOT_NULL")?;
        options.force_null = positions(&copy.options.force_null, "FORCE_NULL")?;
        Ok(u::Copy { target, from: copy.from, options })
    }

    /// COPY table TO is COPY (SELECT columns FROM table) TO.
    fn copy_table(&mut self, name: &NameAt, columns: &[sq::Ident]) -> Result<Query> {
        let relation = self.relation(name)?;
        if matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView) {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot copy from {} \"{}\"", pg_catalog::access::word(relation.kind), relation.name),
            )
            .hint("Try the COPY (SELECT ...) TO variant."));
        }
        for ident in columns {
            let position = self.target_column(&relation, ident)?;
            if let Some(attribute) = relation.live().nth(position) {
                not_generated(attribute)?;
            }
        }
        let list: Vec<String> = if columns.is_empty() {
            relation.live().filter(|a| a.generated == 0).map(|a| deparse::quote(&a.name)).collect()
        } else {
            columns.iter().map(|i| deparse::quote(&i.value)).collect()
        };
        let text = format!(
            "SELECT {} FROM ONLY {}.{}",
            list.join(", "),
            deparse::quote(&relation.schema_name),
            deparse::quote(&relation.name)
        );
        let parsed = crate::grammar::statements(&text)?;
        match parsed.into_iter().next().map(|i| i.ast) {
            Some(Ast::Query(query)) => self.top_query(&query),
            _ => Err(SqlError::internal("COPY query did not parse")),
        }
    }

    fn copy_from(
        &mut self,
        name: &NameAt,
        columns: &[sq::Ident],
        filter: Option<&sq::Expr>,
    ) -> Result<u::CopyTarget> {
        let relation = self.target_relation(name, "COPY")?;
        // First of all ids: the row's columns are 0.. as the executor expects.
        let ids = self.column_ids(&relation);
        let mut listed: Vec<i16> = Vec::new();
        for ident in columns {
            let position = self.target_column(&relation, ident)?;
            let Some(attribute) = relation.live().nth(position) else { continue };
            not_generated(attribute)?;
            if listed.contains(&attribute.attnum) {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{}\" specified more than once", attribute.name),
                ));
            }
            listed.push(attribute.attnum);
        }
        if columns.is_empty() {
            listed = relation.live().filter(|a| a.generated == 0).map(|a| a.attnum).collect();
        }
        let mut defaults = Vec::new();
        let held = relation.clone();
        for attribute in held.live().filter(|a| !listed.contains(&a.attnum)) {
            defaults.push((attribute.attnum, self.default_value(attribute)?));
        }
        let access = self.accesses.open(&relation, right::INSERT);
        if let Some(a) = self.accesses.get(access) {
            a.inserted.clone_from(&listed);
        }
        if let Some(denied) = self.denied()? {
            return Err(*denied);
        }
        if self.is_secured(&relation)? {
            let text = "COPY FROM not supported with row-level security";
            return Err(
                SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).hint("Use INSERT statements instead.")
            );
        }
        let mut target = self.target_body(&relation, ids.clone())?;
        target.given.clone_from(&listed);
        // Values as they are read are of a domain's base type: checked before anything is made of them.
        for (attribute, id) in held.live().zip(&ids).filter(|(a, _)| listed.contains(&a.attnum)) {
            self.refuse_unchecked(attribute.ty.oid)?;
            if attribute.declared != attribute.ty {
                let read = Expr::Column(*id, attribute.ty);
                let checked = self.assign(read, attribute.declared, &attribute.name, 0)?;
                if !matches!(checked, Expr::Column(..)) {
                    target.generated.insert(0, (attribute.attnum, checked));
                }
            }
        }
        let filter = match filter {
            None => None,
            Some(e) => {
                let entry = self.row_entry(&relation, &relation.name, &ids);
                let bound = self.over_entry(e, entry, Place::Where, None)?;
                let computed = |id: &pg_plan::expr::ColumnId| {
                    ids.iter()
                        .position(|i| i == id)
                        .and_then(|n| held.live().nth(n))
                        .filter(|a| a.generated != 0)
                };
                let mut generated = None;
                bound.any(&mut |e| {
                    if let Expr::Column(id, _) = e {
                        generated = generated.or(computed(id));
                    }
                    generated.is_some()
                });
                if let Some(attribute) = generated {
                    let text = "generated columns are not supported in COPY FROM WHERE conditions";
                    return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, text)
                        .detail(format!("Column \"{}\" is a generated column.", attribute.name)));
                }
                Some(self.boolean(bound, "WHERE", start(e))?)
            }
        };
        Ok(u::CopyTarget::From { relation, columns: listed, defaults, filter, target })
    }
}
