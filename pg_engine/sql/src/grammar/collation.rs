//! CREATE, ALTER, DROP and COMMENT ON COLLATION.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use pg_plan::{
    definition::{AlterCollation, Collation, CollationParts, Definition},
    utility::{ObjectName, Utility},
};
use pg_types::{SqlError, SqlState};
use sqlparser::tokenizer::Token;

use super::{Cursor, Parsed, Statement, ddl::ready, grant, position};

fn done(s: Collation) -> Statement {
    let tag = s.tag();
    ready(Utility::Definition(Box::new(Definition::Collation(s))), tag)
}

/// What follows CREATE COLLATION.
pub(super) fn create(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let if_not_exists = c.if_not_exists()?;
    let name = c.name()?.name;
    let parts = if c.accept("from") { CollationParts::From(c.name()?.name) } else { options(c)? };
    Ok(done(Collation::Create { name, if_not_exists, parts }))
}

fn conflicting() -> SqlError {
    SqlError::syntax("conflicting or redundant options")
}

/// The list in parentheses.
fn options(c: &mut Cursor<'_>) -> Parsed<CollationParts> {
    let (mut locale, mut collate, mut ctype, mut provider) = (None, None, None, None);
    let (mut deterministic, mut version) = (None, None);
    let mut from = None;
    c.symbol(&Token::LParen)?;
    loop {
        let at = position(c.parser.peek_token_ref().span.start);
        let name = c.ident()?;
        let slot = match name.as_str() {
            "from" => &mut from,
            "locale" => &mut locale,
            "lc_collate" => &mut collate,
            "lc_ctype" => &mut ctype,
            "provider" => &mut provider,
            "deterministic" => &mut deterministic,
            "version" => &mut version,
            other => {
                let text = format!("collation attribute \"{other}\" not recognized");
                return Err(SqlError::syntax(text).at(at).into());
            }
        };
        if slot.is_some() {
            return Err(conflicting().at(at).into());
        }
        // Without a value it is a flag.
        let value = if c.accept_symbol(&Token::Eq) { c.option_value()? } else { String::from("true") };
        *slot = Some(value);
        if !c.accept_symbol(&Token::Comma) {
            break;
        }
    }
    c.symbol(&Token::RParen)?;
    if locale.is_some() && (collate.is_some() || ctype.is_some()) {
        let detail = "LOCALE cannot be specified together with LC_COLLATE or LC_CTYPE.";
        return Err(conflicting().detail(detail).into());
    }
    if from.is_some() {
        return Err(SqlError::unsupported("CREATE COLLATION (FROM = ...)").into());
    }
    let deterministic = match deterministic.as_deref() {
        None | Some("true" | "on" | "1") => true,
        Some("false" | "off" | "0") => false,
        Some(_) => return Err(SqlError::syntax("deterministic requires a Boolean value").into()),
    };
    if version.is_some() {
        return Err(SqlError::unsupported("CREATE COLLATION with VERSION").into());
    }
    check_provider(provider.as_deref(), deterministic)?;
    let missing = |name: &str| {
        let text = format!("parameter \"{name}\" must be specified");
        SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, text)
    };
    let collate = collate.or_else(|| locale.clone()).ok_or_else(|| missing("lc_collate"))?;
    let ctype = ctype.or(locale).ok_or_else(|| missing("lc_ctype"))?;
    Ok(CollationParts::Locale { collate, ctype })
}

fn check_provider(provider: Option<&str>, deterministic: bool) -> Result<(), SqlError> {
    match provider.unwrap_or("libc").to_ascii_lowercase().as_str() {
        "libc" if deterministic => Ok(()),
        "libc" => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "nondeterministic collations not supported with this provider",
        )),
        "icu" => Err(SqlError::unsupported("CREATE COLLATION with PROVIDER icu")),
        _ => Err(SqlError::new(
            SqlState::INVALID_OBJECT_DEFINITION,
            format!("unrecognized collation provider: {}", provider.unwrap_or("")),
        )),
    }
}

/// What follows ALTER COLLATION.
pub(super) fn alter(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let name = c.name()?.name;
    let change = if c.accept_all(&["rename", "to"]) {
        AlterCollation::Rename(c.ident()?)
    } else if c.accept_all(&["set", "schema"]) {
        AlterCollation::SetSchema(c.ident()?)
    } else if c.accept_all(&["refresh", "version"]) {
        AlterCollation::Refresh
    } else {
        c.expect_all(&["owner", "to"])?;
        AlterCollation::Owner(grant::role_name(c)?)
    };
    Ok(done(Collation::Alter { name, change }))
}

/// What follows DROP COLLATION.
pub(super) fn drop(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let if_exists = c.if_exists()?;
    let names: Vec<ObjectName> = c.names()?.into_iter().map(|n| n.name).collect();
    let cascade = c.cascade();
    Ok(done(Collation::Drop { names, if_exists, cascade }))
}

/// What follows COMMENT ON COLLATION.
pub(super) fn comment(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let name = c.name()?.name;
    c.expect("is")?;
    let text = if c.accept("null") { None } else { Some(c.string()?) };
    Ok(done(Collation::Comment(name, text)))
}
