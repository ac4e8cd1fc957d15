//! CREATE, ALTER, DROP DATABASE.

use alloc::{format, string::String};

use pg_plan::{
    access::RoleName,
    database::{DatabaseOptions, DatabaseStatement},
    utility::Utility,
};
use pg_types::{SqlError, SqlState};
use sqlparser::tokenizer::Token;

use super::{
    Cursor, Parsed, Statement,
    ddl::{ready, refuse},
    grant,
};

fn done(statement: DatabaseStatement) -> Statement {
    let tag = statement.tag();
    ready(Utility::Database(statement), tag)
}

/// Behind CREATE DATABASE.
pub(super) fn create(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let name = c.ident()?;
    c.accept("with");
    let mut options = DatabaseOptions::default();
    while !c.at_end() {
        option(c, &mut options, true)?;
    }
    Ok(done(DatabaseStatement::Create { name, options }))
}

/// Behind DROP DATABASE.
pub(super) fn drop(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let if_exists = c.if_exists()?;
    let name = c.ident()?;
    let mut force = false;
    let with = c.accept("with");
    if c.accept_symbol(&Token::LParen) {
        loop {
            c.expect("force")?;
            force = true;
            if !c.accept_symbol(&Token::Comma) {
                break;
            }
        }
        c.symbol(&Token::RParen)?;
    } else if with {
        return c.unexpected();
    }
    Ok(done(DatabaseStatement::Drop { name, if_exists, force }))
}

/// Behind ALTER DATABASE: name, owner, options and settings.
pub(super) fn alter(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let name = c.ident()?;
    if c.accept_all(&["owner", "to"]) {
        let owner = grant::role_name(c)?;
        return Ok(done(DatabaseStatement::Owner { name, owner }));
    }
    if c.accept_all(&["rename", "to"]) {
        return Ok(done(DatabaseStatement::Rename { name, to: c.ident()? }));
    }
    if c.peek_is(0, "set") && c.peek_is(1, "tablespace") {
        return Ok(refuse(c, "ALTER DATABASE"));
    }
    if let Some(statement) = grant::role_setting(c, None, Some(name.clone()), "ALTER DATABASE")? {
        return Ok(statement);
    }
    if c.peek_is(0, "refresh") {
        return Ok(refuse(c, "ALTER DATABASE"));
    }
    c.accept("with");
    let mut options = DatabaseOptions::default();
    while !c.at_end() {
        option(c, &mut options, false)?;
    }
    Ok(done(DatabaseStatement::Alter { name, options }))
}

fn conflicting() -> SqlError {
    SqlError::syntax("conflicting or redundant options")
}

/// Sets an option that may be given once.
fn once<T>(slot: &mut Option<T>, value: Option<T>) -> Parsed<()> {
    if slot.is_some() {
        return Err(conflicting().into());
    }
    *slot = value;
    Ok(())
}

fn option(c: &mut Cursor<'_>, o: &mut DatabaseOptions, new: bool) -> Parsed<()> {
    let name = if c.accept_all(&["connection", "limit"]) {
        String::from("connection limit")
    } else {
        c.any_word()?.to_ascii_lowercase()
    };
    c.accept_symbol(&Token::Eq);
    let text = if c.accept("default") { None } else { Some(c.option_value()?) };
    match name.as_str() {
        "connection limit" | "connection_limit" => {
            once(&mut o.connection_limit, text.map(|t| number(&t)).transpose()?)
        }
        "allow_connections" => once(&mut o.allow_connections, text.map(|t| flag(&name, &t)).transpose()?),
        "is_template" => once(&mut o.is_template, text.map(|t| flag(&name, &t)).transpose()?),
        "tablespace" => once(&mut o.tablespace, text),
        "owner" if new => once(&mut o.owner, text.map(RoleName::Name)),
        "template" if new => once(&mut o.template, text),
        "encoding" if new => once(&mut o.encoding, text),
        "lc_collate" if new => once(&mut o.collate, text),
        "lc_ctype" if new => once(&mut o.ctype, text),
        "locale" if new => {
            once(&mut o.collate, text.clone())?;
            once(&mut o.ctype, text)
        }
        "locale_provider" if new => once(&mut o.provider, text),
        "strategy" if new => once(&mut o.strategy, text),
        "icu_locale" | "collation_version" | "oid" | "location" if new => {
            Err(SqlError::unsupported(format!("CREATE DATABASE with {}", name.to_ascii_uppercase())).into())
        }
        _ => Err(SqlError::syntax(format!("option \"{name}\" not recognized")).into()),
    }
}

fn number(text: &str) -> Parsed<i32> {
    match text.parse::<i32>() {
        Ok(n) if n >= -1 => Ok(n),
        Ok(n) => {
            let text = format!("invalid connection limit: {n}");
            Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text).into())
        }
        Err(_) => Err(SqlError::syntax("connection_limit requires an integer value").into()),
    }
}

fn flag(name: &str, text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => Err(SqlError::syntax(format!("{name} requires a Boolean value")).into()),
    }
}
