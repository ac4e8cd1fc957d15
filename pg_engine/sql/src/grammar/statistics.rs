//! CREATE, ALTER, DROP and COMMENT ON STATISTICS.

use alloc::{boxed::Box, vec::Vec};

use pg_plan::{
    definition::{AlterStatistics, Definition, Statistics},
    utility::{ObjectName, Utility},
};
use pg_types::SqlError;
use sqlparser::{ast::Expr, tokenizer::Token};

use super::{
    Cursor, Parsed, Statement,
    ddl::ready,
    definition::{CreateStatistics, DefinitionStatement, made},
    grant,
};

fn done(s: Statistics) -> Statement {
    let tag = s.tag();
    ready(Utility::Definition(Box::new(Definition::Statistics(s))), tag)
}

/// The name of a column, the call of a function, or any expression in parentheses.
fn key(c: &mut Cursor<'_>) -> Parsed<Expr> {
    let key = c.parser.parse_prefix()?;
    match key {
        Expr::Value(_) | Expr::CompoundIdentifier(_) => c.unexpected(),
        key => Ok(key),
    }
}

/// What follows CREATE STATISTICS.
pub(super) fn create(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let if_not_exists = c.if_not_exists()?;
    if c.peek_is(0, "on") {
        return c.unexpected();
    }
    let name = c.name()?.name;
    let mut kinds = Vec::new();
    if c.accept_symbol(&Token::LParen) {
        kinds.push(c.ident()?);
        while c.accept_symbol(&Token::Comma) {
            kinds.push(c.ident()?);
        }
        c.symbol(&Token::RParen)?;
    }
    c.expect("on")?;
    let mut keys = Vec::from([key(c)?]);
    while c.accept_symbol(&Token::Comma) {
        keys.push(key(c)?);
    }
    c.expect("from")?;
    if c.parser.peek_token_ref().token == Token::LParen {
        let text = "CREATE STATISTICS only supports relation names in the FROM clause";
        return Err(SqlError::new(pg_types::SqlState::FEATURE_NOT_SUPPORTED, text).into());
    }
    c.accept("only");
    let from = c.name()?;
    // A name for the table says nothing.
    if !c.at_end() && c.parser.peek_token_ref().token != Token::Comma {
        c.accept("as");
        c.ident()?;
    }
    if c.parser.peek_token_ref().token == Token::Comma {
        let text = "only a single relation is allowed in CREATE STATISTICS";
        return Err(SqlError::new(pg_types::SqlState::FEATURE_NOT_SUPPORTED, text).into());
    }
    let statement = CreateStatistics { name, if_not_exists, kinds, keys, from };
    Ok(made(DefinitionStatement::CreateStatistics(statement), "CREATE STATISTICS"))
}

/// What follows ALTER STATISTICS.
pub(super) fn alter(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let if_exists = c.if_exists()?;
    let name = c.name()?.name;
    let change = if c.accept_all(&["set", "statistics"]) {
        AlterStatistics::Target(c.integer()?)
    } else if if_exists {
        return c.unexpected();
    } else if c.accept_all(&["rename", "to"]) {
        AlterStatistics::Rename(c.ident()?)
    } else if c.accept_all(&["set", "schema"]) {
        AlterStatistics::SetSchema(c.ident()?)
    } else {
        c.expect_all(&["owner", "to"])?;
        AlterStatistics::Owner(grant::role_name(c)?)
    };
    Ok(done(Statistics::Alter { name, if_exists, change }))
}

/// What follows DROP STATISTICS.
pub(super) fn drop(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let if_exists = c.if_exists()?;
    let names: Vec<ObjectName> = c.names()?.into_iter().map(|n| n.name).collect();
    let cascade = c.cascade();
    Ok(done(Statistics::Drop { names, if_exists, cascade }))
}

/// What follows COMMENT ON STATISTICS.
pub(super) fn comment(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let name = c.name()?.name;
    c.expect("is")?;
    let text = if c.accept("null") { None } else { Some(c.string()?) };
    Ok(done(Statistics::Comment(name, text)))
}
