//! CREATE, ALTER, DROP and COMMENT ON STATISTICS.

use alloc::{boxed::Box, string::String, vec::Vec};

use pg_plan::{
    definition::{AlterStatistics, Definition, Statistics},
    utility::{ObjectName, Utility},
};
use pg_types::SqlError;
use sqlparser::tokenizer::Token;

use super::{Cursor, Parsed, Statement, ddl::ready, grant};

fn done(s: Statistics) -> Statement {
    let tag = s.tag();
    ready(Utility::Definition(Box::new(Definition::Statistics(s))), tag)
}

/// A name of a column; anything else that may stand there is refused.
fn column(c: &mut Cursor<'_>) -> Parsed<String> {
    if c.accept_symbol(&Token::LParen) {
        return Err(SqlError::unsupported("CREATE STATISTICS on expressions").into());
    }
    let name = c.ident()?;
    if c.parser.peek_token_ref().token == Token::LParen {
        return Err(SqlError::unsupported("CREATE STATISTICS on expressions").into());
    }
    Ok(name)
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
    let mut columns = Vec::from([column(c)?]);
    while c.accept_symbol(&Token::Comma) {
        columns.push(column(c)?);
    }
    c.expect("from")?;
    if c.parser.peek_token_ref().token == Token::LParen {
        let text = "CREATE STATISTICS only supports relation names in the FROM clause";
        return Err(SqlError::new(pg_types::SqlState::FEATURE_NOT_SUPPORTED, text).into());
    }
    c.accept("only");
    let from = c.name()?.name;
    // A name for the table says nothing.
    if !c.at_end() && c.parser.peek_token_ref().token != Token::Comma {
        c.accept("as");
        c.ident()?;
    }
    if c.parser.peek_token_ref().token == Token::Comma {
        let text = "only a single relation is allowed in CREATE STATISTICS";
        return Err(SqlError::new(pg_types::SqlState::FEATURE_NOT_SUPPORTED, text).into());
    }
    Ok(done(Statistics::Create { name, if_not_exists, kinds, columns, from }))
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
