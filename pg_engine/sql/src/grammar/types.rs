//! CREATE, ALTER and DROP of types and domains.

use alloc::{boxed::Box, vec::Vec};

use pg_plan::{
    types::{TypeAction, TypeStatement},
    utility::{Drop, ObjectKind, ObjectName, Utility},
};
use pg_types::{SqlError, SqlState};
use sqlparser::tokenizer::Token;

use super::{Cursor, Parsed, Statement, utility};
use crate::ast::{Ast, Attribute, AttributeChange, CreateDomain, DomainChange, DomainCheck, TypeChange};

fn ready(name: ObjectName, action: TypeAction, tag: &'static str) -> Statement {
    utility(Ast::Ready(Box::new(Utility::Type(Box::new(TypeStatement { name, action })))), tag)
}

fn unbound(name: ObjectName, change: TypeChange, tag: &'static str) -> Statement {
    utility(Ast::Type(name, Box::new(change)), tag)
}

/// What follows CREATE TYPE.
pub(super) fn create_type(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let name = c.name()?.name;
    if !c.accept("as") {
        let what = if c.at_end() { "CREATE TYPE of a shell type" } else { "CREATE TYPE of a base type" };
        return Err(SqlError::unsupported(what).into());
    }
    if c.accept("enum") {
        let labels = labels(c)?;
        return Ok(ready(name, TypeAction::CreateEnum(labels), "CREATE TYPE"));
    }
    if c.peek_is(0, "range") {
        return Err(SqlError::unsupported("CREATE TYPE AS RANGE").into());
    }
    c.symbol(&Token::LParen)?;
    let mut attributes = Vec::new();
    if !c.accept_symbol(&Token::RParen) {
        loop {
            attributes.push(attribute(c)?);
            if !c.accept_symbol(&Token::Comma) {
                break;
            }
        }
        c.symbol(&Token::RParen)?;
    }
    Ok(unbound(name, TypeChange::Create(attributes), "CREATE TYPE"))
}

fn labels(c: &mut Cursor<'_>) -> Parsed<Vec<alloc::string::String>> {
    let mut labels = Vec::new();
    c.symbol(&Token::LParen)?;
    if c.accept_symbol(&Token::RParen) {
        return Ok(labels);
    }
    loop {
        labels.push(c.string()?);
        if !c.accept_symbol(&Token::Comma) {
            break;
        }
    }
    c.symbol(&Token::RParen)?;
    Ok(labels)
}

fn attribute(c: &mut Cursor<'_>) -> Parsed<Attribute> {
    let name = c.ident()?;
    let at = c.here();
    let ty = c.parser.parse_data_type()?;
    let collation = if c.accept("collate") { Some(c.parser.parse_object_name(false)?) } else { None };
    Ok(Attribute { name, ty, at, collation })
}

/// What RENAME TO, OWNER TO and SET SCHEMA do.
fn common(c: &mut Cursor<'_>) -> Parsed<Option<TypeAction>> {
    if c.accept_all(&["rename", "to"]) {
        return Ok(Some(TypeAction::Rename(c.ident()?)));
    }
    if c.accept_all(&["owner", "to"]) {
        return Ok(Some(TypeAction::Owner(c.ident()?)));
    }
    if c.accept_all(&["set", "schema"]) {
        return Ok(Some(TypeAction::SetSchema(c.ident()?)));
    }
    Ok(None)
}

/// What follows ALTER TYPE.
pub(super) fn alter_type(c: &mut Cursor<'_>) -> Parsed<Statement> {
    const TAG: &str = "ALTER TYPE";
    let name = c.name()?.name;
    if let Some(action) = common(c)? {
        return Ok(ready(name, action, TAG));
    }
    if c.accept_all(&["add", "value"]) {
        let if_not_exists = c.if_not_exists()?;
        let label = c.string()?;
        let mut beside = None;
        if c.accept("before") {
            beside = Some((c.string()?, false));
        } else if c.accept("after") {
            beside = Some((c.string()?, true));
        }
        return Ok(ready(name, TypeAction::AddLabel { label, if_not_exists, beside }, TAG));
    }
    if c.accept_all(&["rename", "value"]) {
        let from = c.string()?;
        c.expect("to")?;
        return Ok(ready(name, TypeAction::RenameLabel { from, to: c.string()? }, TAG));
    }
    if c.accept_all(&["rename", "attribute"]) {
        let attribute = c.ident()?;
        c.expect("to")?;
        let new = c.ident()?;
        let changes = Vec::from([(AttributeChange::Rename(attribute, new), c.cascade())]);
        return Ok(unbound(name, TypeChange::Attributes(changes), TAG));
    }
    if c.peek_is(0, "set") {
        return Err(SqlError::unsupported("ALTER TYPE SET").into());
    }
    let mut changes = Vec::new();
    loop {
        changes.push(attribute_change(c)?);
        if !c.accept_symbol(&Token::Comma) {
            break;
        }
    }
    Ok(unbound(name, TypeChange::Attributes(changes), TAG))
}

/// A change, and whether tables of the type are to follow.
fn attribute_change(c: &mut Cursor<'_>) -> Parsed<(AttributeChange, bool)> {
    let change = if c.accept_all(&["add", "attribute"]) {
        AttributeChange::Add(attribute(c)?)
    } else if c.accept_all(&["drop", "attribute"]) {
        let if_exists = c.if_exists()?;
        AttributeChange::Drop(c.ident()?, if_exists)
    } else if c.accept_all(&["alter", "attribute"]) {
        let name = c.ident()?;
        c.accept_all(&["set", "data"]);
        c.expect("type")?;
        let at = c.here();
        let ty = c.parser.parse_data_type()?;
        let collation = if c.accept("collate") { Some(c.parser.parse_object_name(false)?) } else { None };
        AttributeChange::SetType(Attribute { name, ty, at, collation })
    } else {
        return c.unexpected();
    };
    Ok((change, c.cascade()))
}

/// What follows CREATE DOMAIN.
pub(super) fn create_domain(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let name = c.name()?.name;
    c.accept("as");
    let at = c.here();
    let ty = c.parser.parse_data_type()?;
    let mut domain =
        CreateDomain { ty, at, collation: None, default: None, not_null: false, checks: Vec::new() };
    let mut nullable = false;
    while !c.at_end() {
        let constraint = if c.accept("constraint") { Some(c.ident()?) } else { None };
        if c.accept("collate") {
            domain.collation = Some(c.parser.parse_object_name(false)?);
        } else if c.accept("default") {
            if domain.default.is_some() {
                return Err(SqlError::syntax("multiple default expressions").into());
            }
            // The grammar would take NOT for an operator behind a default.
            domain.default = Some(c.parser.parse_subexpr(60)?);
        } else if c.accept_all(&["not", "null"]) {
            domain.not_null = true;
        } else if c.accept("null") {
            nullable = true;
        } else if c.peek_is(0, "check") {
            domain.checks.push(check(c, constraint)?);
        } else {
            return refused_constraint(c);
        }
        if nullable && domain.not_null {
            return Err(SqlError::syntax("conflicting NULL/NOT NULL constraints").into());
        }
    }
    Ok(unbound(name, TypeChange::CreateDomain(domain), "CREATE DOMAIN"))
}

fn check(c: &mut Cursor<'_>, name: Option<alloc::string::String>) -> Parsed<DomainCheck> {
    c.expect("check")?;
    c.symbol(&Token::LParen)?;
    let condition = c.parser.parse_expr()?;
    c.symbol(&Token::RParen)?;
    let not_valid = c.accept_all(&["not", "valid"]);
    Ok(DomainCheck { name, condition, not_valid })
}

fn refused_constraint<T>(c: &mut Cursor<'_>) -> Parsed<T> {
    for (word, what) in [
        ("unique", "unique constraints not possible for domains"),
        ("primary", "primary key constraints not possible for domains"),
        ("references", "foreign key constraints not possible for domains"),
        ("foreign", "foreign key constraints not possible for domains"),
        ("exclude", "exclusion constraints not possible for domains"),
        ("generated", "specifying GENERATED not supported for domains"),
        ("deferrable", "specifying constraint deferrability not supported for domains"),
    ] {
        if c.peek_is(0, word) {
            let state = if matches!(word, "generated" | "deferrable") {
                SqlState::FEATURE_NOT_SUPPORTED
            } else {
                SqlState::SYNTAX_ERROR
            };
            return Err(SqlError::new(state, what).into());
        }
    }
    c.unexpected()
}

/// What follows ALTER DOMAIN.
pub(super) fn alter_domain(c: &mut Cursor<'_>) -> Parsed<Statement> {
    const TAG: &str = "ALTER DOMAIN";
    let name = c.name()?.name;
    if let Some(action) = common(c)? {
        return Ok(ready(name, action, TAG));
    }
    let change = if c.accept_all(&["set", "default"]) {
        DomainChange::SetDefault(c.parser.parse_expr()?)
    } else if c.accept_all(&["drop", "default"]) {
        DomainChange::DropDefault
    } else if c.accept_all(&["set", "not", "null"]) {
        DomainChange::NotNull(true)
    } else if c.accept_all(&["drop", "not", "null"]) {
        DomainChange::NotNull(false)
    } else if c.accept("add") {
        let constraint = if c.accept("constraint") { Some(c.ident()?) } else { None };
        if !c.peek_is(0, "check") {
            return refused_constraint(c);
        }
        DomainChange::AddCheck(check(c, constraint)?)
    } else if c.accept_all(&["drop", "constraint"]) {
        let if_exists = c.if_exists()?;
        let name = c.ident()?;
        DomainChange::DropConstraint(name, if_exists, c.cascade())
    } else if c.accept_all(&["rename", "constraint"]) {
        let name = c.ident()?;
        c.expect("to")?;
        DomainChange::RenameConstraint(name, c.ident()?)
    } else if c.accept_all(&["validate", "constraint"]) {
        DomainChange::Validate(c.ident()?)
    } else {
        return c.unexpected();
    };
    Ok(unbound(name, TypeChange::Domain(change), TAG))
}

/// What follows DROP TYPE or DROP DOMAIN.
pub(super) fn drop(c: &mut Cursor<'_>, kind: ObjectKind) -> Parsed<Statement> {
    let if_exists = c.if_exists()?;
    let names = c.names()?.into_iter().map(|n| n.name).collect();
    let cascade = c.cascade();
    let tag = if kind == ObjectKind::Domain { "DROP DOMAIN" } else { "DROP TYPE" };
    let drop = Drop { kind, names, if_exists, cascade, concurrently: false };
    Ok(utility(Ast::Ready(Box::new(Utility::Drop(drop))), tag))
}
