//! CREATE INDEX: the method, the key and what it carries.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{IndexMethod, Relation, desc::IndexKey};
use pg_plan::utility as u;
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, typeinfo};
use sqlparser::ast as sq;

use super::{Binder, scope::Place, types, utility::live_columns};
use crate::ast;

/// Most key columns an index may have.
const MAX_KEYS: usize = 32;

impl Binder<'_> {
    pub(super) fn create_index(&mut self, create: &ast::CreateIndex) -> Result<u::CreateIndex> {
        let relation = self.relation(&crate::ast::NameAt { at: 0, ..create.table.clone() })?;
        if !relation.kind.is_indexable() {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot create index on relation \"{}\"", relation.name),
            ));
        }
        if create.elements.len() + create.include.len() > MAX_KEYS {
            return Err(SqlError::new(
                SqlState::TOO_MANY_COLUMNS,
                format!("cannot use more than {MAX_KEYS} columns in an index"),
            ));
        }
        let method = index_method(create)?;
        let shape = live_columns(&relation);
        let mut keys = Vec::with_capacity(create.elements.len());
        for element in &create.elements {
            keys.push(self.index_key(element, method, &relation, &shape)?);
        }
        let key_count = keys.len();
        for element in &create.include {
            keys.push(included_key(element, &relation)?);
        }
        let predicate = match &create.predicate {
            Some(e) => Some(self.stored_text(e, &relation.name, &shape, Place::IndexPredicate, None)?.0),
            None => None,
        };
        Ok(u::CreateIndex {
            name: create.name.clone(),
            relation,
            method,
            unique: create.unique,
            if_not_exists: create.if_not_exists,
            concurrently: create.concurrently,
            keys,
            key_count,
            predicate,
            nulls_not_distinct: create.nulls_not_distinct,
            fillfactor: create.fillfactor,
        })
    }

    fn index_key(
        &mut self,
        element: &ast::IndexElement,
        method: IndexMethod,
        relation: &Arc<Relation>,
        shape: &[(String, SqlType)],
    ) -> Result<IndexKey> {
        let mut expr = &element.expr;
        let mut named = None;
        while let sq::Expr::Collate { expr: inner, .. } | sq::Expr::Nested(inner) = expr {
            if let sq::Expr::Collate { collation, .. } = expr {
                let collation = self.collation(collation)?;
                named.get_or_insert(collation);
            }
            expr = inner;
        }
        let collated = |ty: SqlType, own: Oid| match named {
            Some(_) if typeinfo::collation_of(ty.oid) == 0 => {
                let text = format!("collations are not supported by type {}", typeinfo::display(ty));
                Err(SqlError::new(SqlState::DATATYPE_MISMATCH, text))
            }
            named => Ok(named.unwrap_or(own)),
        };
        if let sq::Expr::Identifier(ident) = expr {
            let attribute = relation.live().find(|a| a.name == ident.value).ok_or_else(|| {
                SqlError::new(
                    SqlState::UNDEFINED_COLUMN,
                    format!("column \"{}\" does not exist", ident.value),
                )
            })?;
            let class = suits(attribute.ty, element, method)?;
            return Ok(IndexKey {
                attnum: attribute.attnum,
                expression: None,
                ty: attribute.ty,
                descending: element.descending,
                nulls_first: element.nulls_first,
                carried: false,
                class,
                collation: collated(attribute.ty, attribute.collation)?,
            });
        }
        let (text, bound) = self.stored_text(expr, &relation.name, shape, Place::IndexExpression, None)?;
        let class = suits(bound.ty(), element, method)?;
        Ok(IndexKey {
            attnum: 0,
            expression: Some(text),
            ty: bound.ty(),
            descending: element.descending,
            nulls_first: element.nulls_first,
            carried: false,
            class,
            collation: collated(bound.ty(), typeinfo::collation_of(bound.ty().oid))?,
        })
    }
}

/// The access method of an index, which must be able to do what is asked.
fn index_method(create: &ast::CreateIndex) -> Result<IndexMethod> {
    let method = match create.method.as_deref() {
        None | Some("btree") => return Ok(IndexMethod::BTree),
        Some("hash") => IndexMethod::Hash,
        Some(name @ ("gin" | "gist" | "spgist" | "brin")) => {
            return Err(SqlError::unsupported(format!("access method \"{name}\"")));
        }
        Some(name) => {
            return Err(SqlError::new(
                SqlState::UNDEFINED_OBJECT,
                format!("access method \"{name}\" does not exist"),
            ));
        }
    };
    let lacks = [
        (create.unique, "unique indexes"),
        (!create.include.is_empty(), "included columns"),
        (create.elements.len() > 1, "multicolumn indexes"),
    ];
    match lacks.iter().find(|l| l.0) {
        None => Ok(method),
        Some((_, what)) => Err(method_lacks(method, what)),
    }
}

fn method_lacks(method: IndexMethod, what: &str) -> SqlError {
    let text = format!("access method \"{}\" does not support {what}", method.name());
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text)
}

/// A column of INCLUDE.
fn included_key(element: &ast::IndexElement, relation: &Relation) -> Result<IndexKey> {
    let refused = |what: &str| {
        let text = format!("including column does not support {what}");
        Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, text))
    };
    let ident = match &element.expr {
        sq::Expr::Identifier(ident) => ident,
        sq::Expr::Collate { .. } => return refused("a collation"),
        _ => {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "expressions are not supported in included columns",
            ));
        }
    };
    let attribute = relation.live().find(|a| a.name == ident.value).ok_or_else(|| {
        SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{}\" does not exist", ident.value))
    })?;
    if element.class.is_some() {
        return refused("an operator class");
    }
    if element.ordered {
        return refused("ASC/DESC options");
    }
    if element.nulls {
        return refused("NULLS FIRST/LAST options");
    }
    Ok(IndexKey {
        attnum: attribute.attnum,
        expression: None,
        ty: attribute.ty,
        descending: false,
        nulls_first: false,
        carried: true,
        class: None,
        collation: 0,
    })
}

/// Can the method do what is asked of a key column of this type? Gives the operator class, if it is not the default one.
fn suits(ty: SqlType, element: &ast::IndexElement, method: IndexMethod) -> Result<Option<Oid>> {
    let class = element.class.as_ref().map(|name| named_class(ty, name, method)).transpose()?.flatten();
    if method == IndexMethod::Hash && element.ordered {
        return Err(method_lacks(method, "ASC/DESC options"));
    }
    if method == IndexMethod::Hash && element.nulls {
        return Err(method_lacks(method, "NULLS FIRST/LAST options"));
    }
    if class.is_none() {
        indexable(ty, method)?;
    }
    Ok(class)
}

/// Classes that compare in another way than the default ones of their types, which is how indexes are kept.
const OTHER_ORDERS: [&str; 1] = ["record_image_ops"];

/// An operator class that was named; `None`: the default one.
fn named_class(ty: SqlType, name: &str, method: IndexMethod) -> Result<Option<Oid>> {
    let registry = pg_functions::registry();
    let Some(class) = registry.named_class(method.oid(), name) else {
        return Err(SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("operator class \"{name}\" does not exist for access method \"{}\"", method.name()),
        ));
    };
    if !registry.class_accepts(class, ty.oid) {
        return Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!("operator class \"{name}\" does not accept data type {}", types::show(ty)),
        ));
    }
    if OTHER_ORDERS.contains(&name) {
        return Err(SqlError::unsupported(format!("operator class \"{name}\"")));
    }
    let default = registry.default_class(method.oid(), ty.oid);
    Ok((default.map(|d| d.oid) != Some(class.oid)).then_some(class.oid))
}

/// Has the type an operator class?
pub(super) fn indexable(ty: SqlType, method: IndexMethod) -> Result<()> {
    if pg_functions::registry().default_class(method.oid(), ty.oid).is_some() {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::UNDEFINED_OBJECT,
        format!(
            "data type {} has no default operator class for access method \"{}\"",
            types::show(ty),
            method.name()
        ),
    )
    .hint(
        "You must specify an operator class for the index or define a default operator class for the data type.",
    ))
}
