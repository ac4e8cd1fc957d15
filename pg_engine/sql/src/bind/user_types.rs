//! Types of users: values that become a domain's, statements that define types.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use pg_functions::CastContext;
use pg_plan::{
    expr::{Domain, Expr},
    types::{
        AttributeAction, AttributeDef, DomainAction, DomainCheckDef, DomainDef, TypeAction, TypeStatement,
    },
    utility::{ObjectName, Utility},
};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, oid, typeinfo, user};

use sqlparser::ast as sq;

use super::{
    Binder,
    expr::start,
    scope::{Entry, EntryColumn, Place},
    types,
};
use crate::{ast, deparse};

/// What a domain's conditions call the value.
const VALUE: &str = "value";

impl Binder<'_> {
    /// What the catalogs say about a user type.
    pub(super) fn user_type(&self, oid: Oid) -> Result<alloc::sync::Arc<user::UserType>> {
        self.catalog
            .user_type(oid)?
            .ok_or_else(|| SqlError::internal(format!("cache lookup failed for type {oid}")))
    }

    /// A value as a domain has it, or an array of such: of the type below, checked.
    pub(super) fn coerce_to_domain(
        &mut self,
        expr: Expr,
        to: SqlType,
        context: CastContext,
    ) -> Result<Option<Expr>> {
        if user::is_array(to.oid) {
            let plain = self.catalog.plain_type(to)?;
            let Some(array) = self.try_coerce(expr, plain, context)? else { return Ok(None) };
            let element = SqlType::with_typmod(typeinfo::element_of(plain.oid), plain.typmod);
            let inner = self.constrained(Expr::Column(0, element), to.oid - 1)?;
            return Ok(Some(match inner {
                Expr::Column(..) => array,
                inner => Expr::ArrayCoerce(Box::new(array), Box::new(inner), plain),
            }));
        }
        let described = self.user_type(to.oid)?;
        let Some(domain) = described.domain() else { return Ok(None) };
        if let Expr::Param(n, SqlType { oid: oid::UNKNOWN, .. }) = expr {
            self.fix_param(n, to.oid)?;
            return self.domain_parameter(n, to.oid).map(Some);
        }
        let Some(value) = self.try_coerce(expr, domain.base, context)? else { return Ok(None) };
        self.constrained(value, to.oid).map(Some)
    }

    /// A value of a domain's base type with the checks of the domain and those below it, these first.
    pub(super) fn constrained(&mut self, value: Expr, domain: Oid) -> Result<Expr> {
        let mut chain = Vec::new();
        let mut at = domain;
        while user::is_domain(at) && chain.len() <= pg_catalog::user_types::MAX_DOMAINS {
            let described = self.user_type(at)?;
            at = described.domain().map_or(0, |d| d.over.oid);
            chain.push(described);
        }
        let (mut not_null, mut checks) = (false, Vec::new());
        let base = value.ty();
        for described in chain.iter().rev() {
            let Some(d) = described.domain() else { continue };
            not_null |= d.not_null;
            for check in &d.checks {
                checks.push((check.name.clone(), self.domain_condition(&check.condition, base)?));
            }
        }
        if !not_null && checks.is_empty() && !self.keeps_domains && !self.recording() {
            return Ok(value);
        }
        Ok(Expr::Domain(Box::new(Domain { value, oid: domain, not_null, checks })))
    }

    /// What a column of a domain has when nothing is given: the default of the domain or of one below it, or NULL, checked.
    pub(super) fn domain_value(&mut self, attribute: &pg_catalog::Attribute) -> Result<Expr> {
        let mut at = attribute.declared.oid;
        for _ in 0..=pg_catalog::user_types::MAX_DOMAINS {
            if !user::is_domain(at) {
                break;
            }
            let described = self.user_type(at)?;
            let Some(d) = described.domain() else { break };
            if let Some(text) = &d.default {
                let ast = crate::grammar::expression(text)?;
                let target = Some(attribute.declared);
                return self.over_entry(&ast, Entry::without_columns(), Place::Default, target);
            }
            at = d.over.oid;
        }
        let null = Expr::Const(pg_types::Value::Null, attribute.ty);
        self.assign(null, attribute.declared, &attribute.name, 0)
    }

    /// The stored condition of a domain, over the value as `Column(0)`.
    fn domain_condition(&mut self, text: &str, base: SqlType) -> Result<Expr> {
        let ast = crate::grammar::expression(text)?;
        self.over_entry(&ast, value_entry(base), Place::Check, None)
    }

    /// A value as a composite type has it: a row constructor's fields become those of the type. `None`: there is no way.
    pub(super) fn coerce_to_composite(
        &mut self,
        expr: Expr,
        to: SqlType,
        context: CastContext,
    ) -> Result<Option<Expr>> {
        let Expr::Row(items, _, from) = expr else { return Ok(None) };
        // One composite type is no other, even if the fields are alike; a table of a type is of it.
        if from.oid != oid::RECORD && !self.casts.is_of(from.oid, to.oid) {
            return Ok(None);
        }
        let described = self.user_type(to.oid)?;
        let fields = described.fields();
        let wrong = |detail: String| super::coerce::cannot_cast(from, to).detail(detail);
        if items.len() < fields.len() {
            return Err(wrong(String::from("Input has too few columns.")));
        }
        if items.len() > fields.len() {
            return Err(wrong(String::from("Input has too many columns.")));
        }
        let mut coerced = Vec::with_capacity(items.len());
        for (n, (item, field)) in items.into_iter().zip(fields).enumerate() {
            // A literal in a row constructor was taken for text; here it has a type to become.
            let item = match item {
                Expr::Const(value, SqlType { oid: oid::TEXT, .. }) => {
                    Expr::Const(value, SqlType::new(oid::UNKNOWN))
                }
                item => item,
            };
            let had = item.ty();
            let item = self.try_coerce(item, field.ty, context)?;
            coerced.push(item.ok_or_else(|| {
                let (had, wanted) = (types::show(had), types::show(field.ty));
                wrong(format!("Cannot cast type {had} to {wanted} in column {}.", n + 1))
            })?);
        }
        let names = fields.iter().map(|f| f.name.as_str().into()).collect();
        Ok(Some(Expr::Row(coerced, Some(names), to)))
    }

    /// Text of a composite value is not checked against domains inside it, so it is not taken for one.
    pub(super) fn refuse_unchecked(&self, ty: Oid) -> Result<()> {
        let mut wanted = Vec::from([ty]);
        let mut seen: Vec<Oid> = Vec::new();
        while let Some(at) = wanted.pop() {
            let at = if user::is_array(at) { at - 1 } else { at };
            if !user::is_composite(at) || seen.contains(&at) {
                continue;
            }
            seen.push(at);
            for field in self.user_type(at)?.fields() {
                if field.ty.oid != field.plain.oid {
                    return Err(SqlError::unsupported("text of a composite value with a field of a domain"));
                }
                wanted.push(field.plain.oid);
            }
        }
        Ok(())
    }

    /// A field of a composite value by name.
    pub(super) fn composite_field(&mut self, base: Expr, name: &str, at: u32) -> Result<Expr> {
        let ty = base.ty();
        let described = self.user_type(ty.oid)?;
        let found = described.fields().iter().position(|f| f.name == name);
        let found = found.and_then(|n| Some((n, described.fields().get(n)?)));
        let Some((n, field)) = found else {
            let message = format!("column \"{name}\" not found in data type {}", types::show(ty));
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(at));
        };
        if let Some(column) = self.column_of_row(&base, n) {
            return Ok(column);
        }
        Ok(Expr::Field(Box::new(base), n as u32, field.plain))
    }

    /// The declared type of a plain column, or the domain that a value was just made one of.
    pub(super) fn declared_type(&mut self, e: &sq::Expr, bound: &Expr) -> Result<Oid> {
        if let Expr::Domain(d) = bound {
            return Ok(d.oid);
        }
        if let Expr::Coalesce(items, ty) = bound {
            let of = |e: &Expr| match e {
                Expr::Domain(d) => Some(d.oid),
                _ => None,
            };
            let first = items.first().and_then(of);
            return Ok(first.filter(|_| items.iter().all(|e| of(e) == first)).unwrap_or(ty.oid));
        }
        let (relation, attnum) = self.origin(e)?;
        let relation = if relation == 0 { None } else { self.catalog.relation_by_oid(relation)? };
        let found = relation.as_ref().and_then(|r| r.live().find(|a| a.attnum == attnum));
        Ok(found.map_or(bound.ty().oid, |a| a.declared.oid))
    }

    /// `(value).*` in a select list.
    pub(super) fn composite_star(
        &mut self,
        e: &sq::Expr,
        targets: &mut Vec<super::select::Target>,
    ) -> Result<()> {
        let base = self.expr(e)?;
        let ty = base.ty();
        if let Some(shape) = self.shape(&base) {
            for (n, (name, ty)) in shape.into_iter().enumerate() {
                let expr = Expr::Field(Box::new(base.clone()), n as u32, ty);
                let collation = self.mentioned(&expr, start(e));
                targets.push(super::select::Target { name, expr, origin: (0, 0), collation });
            }
            return Ok(());
        }
        if !user::is_composite(ty.oid) {
            if ty.oid == oid::RECORD {
                return Err(SqlError::unsupported("expansion of a record whose columns are not declared"));
            }
            let message = format!("type {} is not composite", types::show(ty));
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(start(e)));
        }
        let described = self.user_type(ty.oid)?;
        for (n, field) in described.fields().iter().enumerate() {
            let expr = Expr::Field(Box::new(base.clone()), n as u32, field.plain);
            let collation = self.mentioned(&expr, start(e));
            targets.push(super::select::Target { name: field.name.clone(), expr, origin: (0, 0), collation });
        }
        Ok(())
    }

    /// A statement about a user type.
    pub(super) fn type_statement(&mut self, name: &ObjectName, change: &ast::TypeChange) -> Result<Utility> {
        use ast::{DomainChange as D, TypeChange as C};
        let action = match change {
            C::Create(attributes) => {
                let mut defs: Vec<AttributeDef> = Vec::with_capacity(attributes.len());
                for attribute in attributes {
                    let def = self.attribute(attribute)?;
                    if defs.iter().any(|d| d.name == def.name) {
                        return Err(SqlError::new(
                            SqlState::DUPLICATE_COLUMN,
                            format!("column \"{}\" specified more than once", def.name),
                        ));
                    }
                    defs.push(def);
                }
                TypeAction::CreateComposite(defs)
            }
            C::Attributes(changes) => TypeAction::Attributes(
                changes
                    .iter()
                    .map(|(c, cascade)| Ok((self.attribute_change(c)?, *cascade)))
                    .collect::<Result<_>>()?,
            ),
            C::CreateDomain(create) => TypeAction::CreateDomain(self.create_domain(name, create)?),
            C::Domain(change) => TypeAction::Domain(match change {
                D::SetDefault(e) => {
                    let over = self.altered_domain(name)?;
                    DomainAction::SetDefault(self.domain_default(e, name, over)?)
                }
                D::DropDefault => DomainAction::DropDefault,
                D::NotNull(true) => DomainAction::SetNotNull,
                D::NotNull(false) => DomainAction::DropNotNull,
                D::AddCheck(check) => {
                    let over = self.altered_domain(name)?;
                    DomainAction::AddCheck(self.domain_check(check, over)?)
                }
                D::DropConstraint(constraint, if_exists, cascade) => DomainAction::DropConstraint {
                    name: constraint.clone(),
                    if_exists: *if_exists,
                    cascade: *cascade,
                },
                D::RenameConstraint(constraint, new) => {
                    DomainAction::RenameConstraint { name: constraint.clone(), new: new.clone() }
                }
                D::Validate(constraint) => DomainAction::ValidateConstraint(constraint.clone()),
            }),
        };
        Ok(Utility::Type(Box::new(TypeStatement { name: name.clone(), action })))
    }

    /// The base type of the domain that is altered; of one that is none, nothing that matters.
    fn altered_domain(&mut self, name: &ObjectName) -> Result<SqlType> {
        let found = self.catalog.type_by_name(name.schema.as_deref(), &name.name)?;
        let found = found.ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{}\" does not exist", shown(name)))
        })?;
        if !user::is_domain(found) {
            let message = format!("{} is not a domain", types::show(SqlType::new(found)));
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        Ok(SqlType::new(found))
    }

    fn attribute(&mut self, a: &ast::Attribute) -> Result<AttributeDef> {
        let ty = self.data_type(&a.ty).map_err(|e| e.at(a.at))?;
        if typeinfo::get(ty.oid).is_some_and(|t| t.kind == b'p') {
            let message = format!("column \"{}\" has pseudo-type {}", a.name, types::show(ty));
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        let collation = match &a.collation {
            Some(c) => self.collation(c)?,
            None => typeinfo::get(ty.oid).map_or(0, |t| t.collation),
        };
        Ok(AttributeDef { name: a.name.clone(), ty, collation })
    }

    fn attribute_change(&mut self, change: &ast::AttributeChange) -> Result<AttributeAction> {
        use ast::AttributeChange as C;
        Ok(match change {
            C::Add(a) => AttributeAction::Add(self.attribute(a)?),
            C::SetType(a) => AttributeAction::SetType(self.attribute(a)?),
            C::Drop(name, if_exists) => AttributeAction::Drop { name: name.clone(), if_exists: *if_exists },
            C::Rename(name, new) => AttributeAction::Rename { name: name.clone(), new: new.clone() },
        })
    }

    fn create_domain(&mut self, name: &ObjectName, d: &ast::CreateDomain) -> Result<DomainDef> {
        let over = self.data_type(&d.ty).map_err(|e| e.at(d.at))?;
        let info = typeinfo::get(over.oid);
        if info.is_none_or(|t| !matches!(t.kind, b'b' | b'd' | b'e' | b'c')) {
            let message = format!("\"{}\" is not a valid base type for a domain", types::show(over));
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(d.at));
        }
        let base = self.catalog.plain_type(over)?;
        let own = typeinfo::get(base.oid).map_or(0, |t| t.collation);
        let collation = match &d.collation {
            Some(_) if own == 0 => {
                let message = format!("collations are not supported by type {}", types::show(over));
                return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
            }
            Some(c) => self.collation(c)?,
            None => own,
        };
        let default = match &d.default {
            Some(e) => Some(self.domain_default(e, name, over)?),
            None => None,
        };
        let checks = d.checks.iter().map(|c| self.domain_check(c, over)).collect::<Result<_>>()?;
        Ok(DomainDef { over, collation, not_null: d.not_null, default, checks })
    }

    /// Canonical text of a domain's default.
    fn domain_default(&mut self, e: &sq::Expr, name: &ObjectName, over: SqlType) -> Result<String> {
        let plain = self.catalog.plain_type(over)?;
        self.default_text(e, &name.name, plain)
    }

    fn domain_check(&mut self, check: &ast::DomainCheck, over: SqlType) -> Result<DomainCheckDef> {
        let base = self.catalog.plain_type(over)?;
        let bound =
            self.with_notes(|b| b.over_entry(&check.condition, value_entry(base), Place::Check, None));
        let (bound, notes) = bound.map_err(|e| match e.state() {
            // Nothing but the value is there to be named.
            SqlState::UNDEFINED_COLUMN if e.fields().position == 0 => e.at(start(&check.condition)),
            _ => e,
        })?;
        let style = deparse::Style { sparse: false, indent: false, wrap: -1, qualify: false };
        let value = |_| String::from("VALUE");
        let condition = deparse::expression_in(&bound, self.catalog, &value, &notes, style)?;
        Ok(DomainCheckDef { name: check.name.clone(), condition, not_valid: check.not_valid })
    }
}

/// The value whose fields `value.*` stands for.
pub(super) fn expanded(e: &sq::Expr) -> Option<sq::Expr> {
    let sq::Expr::CompoundFieldAccess { root, access_chain } = e else { return None };
    let (last, chain) = access_chain.split_last()?;
    match last {
        sq::AccessExpr::Dot(sq::Expr::Identifier(i)) if i.value == crate::grammar::ALL_FIELDS => {}
        _ => return None,
    }
    if chain.is_empty() {
        return Some((**root).clone());
    }
    Some(sq::Expr::CompoundFieldAccess { root: root.clone(), access_chain: chain.to_vec() })
}

fn shown(name: &ObjectName) -> String {
    match &name.schema {
        Some(schema) => format!("{schema}.{}", name.name),
        None => name.name.clone(),
    }
}

fn value_entry(base: SqlType) -> Entry {
    let column = EntryColumn { name: VALUE.into(), expr: Expr::Column(0, base), origin: (0, 0) };
    Entry {
        alias: String::new(),
        schema: None,
        columns: Vec::from([column]),
        scan: None,
        scalar: false,
        nullable: false,
    }
}
