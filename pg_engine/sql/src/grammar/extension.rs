//! CREATE, ALTER, DROP EXTENSION.

use pg_plan::{extension::ExtensionStatement, utility::Utility};
use pg_types::SqlError;
use sqlparser::tokenizer::Token;

use super::{
    Cursor, Parsed, Statement,
    ddl::{ready, refuse},
};

fn done(statement: ExtensionStatement) -> Statement {
    let tag = statement.tag();
    ready(Utility::Extension(statement), tag)
}

/// A version: a name or a string.
fn version(c: &mut Cursor<'_>) -> Parsed<alloc::string::String> {
    if matches!(c.parser.peek_token_ref().token, Token::SingleQuotedString(_)) {
        c.string()
    } else {
        c.ident()
    }
}

/// Behind CREATE EXTENSION.
pub(super) fn create(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let if_not_exists = c.if_not_exists()?;
    let name = c.ident()?;
    c.accept("with");
    let (mut schema, mut wanted, mut cascade) = (None, None, false);
    while !c.at_end() {
        let again = if c.accept("schema") {
            schema.replace(c.ident()?).is_some()
        } else if c.accept("version") {
            wanted.replace(version(c)?).is_some()
        } else if c.accept("cascade") {
            core::mem::replace(&mut cascade, true)
        } else {
            return c.unexpected();
        };
        if again {
            return Err(SqlError::syntax("conflicting or redundant options").into());
        }
    }
    Ok(done(ExtensionStatement::Create { name, if_not_exists, schema, version: wanted }))
}

/// Behind ALTER EXTENSION.
pub(super) fn alter(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let name = c.ident()?;
    if !c.accept("update") {
        return Ok(refuse(c, "ALTER EXTENSION"));
    }
    let version = if c.accept("to") { Some(version(c)?) } else { None };
    Ok(done(ExtensionStatement::Update { name, version }))
}

/// Behind DROP EXTENSION.
pub(super) fn drop(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let if_exists = c.if_exists()?;
    let mut names = alloc::vec![c.ident()?];
    while c.accept_symbol(&Token::Comma) {
        names.push(c.ident()?);
    }
    let cascade = c.cascade();
    Ok(done(ExtensionStatement::Drop { names, if_exists, cascade }))
}
