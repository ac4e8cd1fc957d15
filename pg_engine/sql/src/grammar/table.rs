//! Columns, constraints and sequences: what CREATE TABLE and ALTER TABLE share.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use pg_plan::utility::{ForeignKeyDef, LikeParts};
use pg_types::{SqlError, SqlState};
use sqlparser::tokenizer::Token;

use super::{Cursor, Parsed};
use crate::ast::{Column, ColumnOption, Constraint, NamedConstraint, SequenceDef};

/// Binding power above comparisons, LIKE and NOT: what a DEFAULT without parentheses may hold.
const DEFAULT_POWER: u8 = 60;

pub(super) fn column(c: &mut Cursor<'_>) -> Parsed<Column> {
    let name = c.ident_at()?;
    let type_at = c.here();
    let ty = c.parser.parse_data_type()?;
    let column = Column { name, ty, type_at, collation: None, compression: 0, options: Vec::new() };
    column_options(c, column)
}

/// A column of a table of a type, which the type tells the rest of.
pub(super) fn typed_column(c: &mut Cursor<'_>) -> Parsed<Column> {
    let (name, type_at) = (c.ident_at()?, c.here());
    c.accept_all(&["with", "options"]);
    let ty = sqlparser::ast::DataType::Unspecified;
    let column = Column { name, ty, type_at, collation: None, compression: 0, options: Vec::new() };
    column_options(c, column)
}

fn column_options(c: &mut Cursor<'_>, mut column: Column) -> Parsed<Column> {
    loop {
        if c.accept("collate") {
            column.collation = Some(c.parser.parse_object_name(false)?);
            continue;
        }
        if c.accept("compression") {
            column.compression = compression(c)?;
            continue;
        }
        let name = if c.accept("constraint") { Some(c.ident()?) } else { None };
        match column_option(c)? {
            Some(option) => column.options.push((name, option)),
            None if name.is_some() => return c.unexpected(),
            None => break,
        }
    }
    Ok(column)
}

/// A compression method: `attcompression`.
pub(super) fn compression(c: &mut Cursor<'_>) -> Parsed<u8> {
    let name = c.any_word()?;
    match name.as_str() {
        "default" => Ok(0),
        "lz4" => Ok(b'l'),
        "pglz" => Err(SqlError::unsupported("compression method pglz").into()),
        _ => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid compression method \"{name}\""),
        )
        .into()),
    }
}

fn column_option(c: &mut Cursor<'_>) -> Parsed<Option<ColumnOption>> {
    let option = if c.accept_all(&["not", "null"]) {
        ColumnOption::NotNull
    } else if c.accept("null") {
        ColumnOption::Null
    } else if c.accept("default") {
        ColumnOption::Default(c.parser.parse_subexpr(DEFAULT_POWER)?)
    } else if c.peek_is(0, "generated") {
        generated(c)?
    } else if c.peek_is(0, "check") || c.peek_is(0, "unique") || c.peek_is(0, "primary") {
        return Ok(Some(ColumnOption::Constraint(constraint(c, false)?)));
    } else if c.peek_is(0, "references") {
        return Ok(Some(ColumnOption::Constraint(references(c, Vec::new())?)));
    } else {
        deferrability(c)?;
        return Ok(None);
    };
    deferrability(c)?;
    Ok(Some(option))
}

/// Only constraints can be deferred.
fn deferrability(c: &mut Cursor<'_>) -> Parsed<()> {
    for clause in ["NOT DEFERRABLE", "DEFERRABLE", "INITIALLY DEFERRED", "INITIALLY IMMEDIATE"] {
        let words: Vec<String> = clause.split(' ').map(str::to_lowercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let at = c.here();
        if c.accept_all(&words) {
            return Err(SqlError::syntax(format!("misplaced {clause} clause")).at(at).into());
        }
    }
    Ok(())
}

/// DEFERRABLE and INITIALLY DEFERRED.
pub(super) fn deferring(c: &mut Cursor<'_>) -> Parsed<(bool, bool)> {
    let (mut deferrable, mut deferred) = (None, None);
    loop {
        let at = c.here();
        let (clause, before) = if c.accept_all(&["not", "deferrable"]) {
            (MANY_DEFERRABLE, deferrable.replace(false))
        } else if c.accept("deferrable") {
            (MANY_DEFERRABLE, deferrable.replace(true))
        } else if c.accept_all(&["initially", "deferred"]) {
            (MANY_INITIALLY, deferred.replace(true))
        } else if c.accept_all(&["initially", "immediate"]) {
            (MANY_INITIALLY, deferred.replace(false))
        } else {
            break;
        };
        if before.is_some() {
            return Err(SqlError::syntax(clause).at(at).into());
        }
        if deferred == Some(true) && deferrable == Some(false) {
            let text = "constraint declared INITIALLY DEFERRED must be DEFERRABLE";
            return Err(SqlError::syntax(text).at(at).into());
        }
    }
    let deferred = deferred.unwrap_or(false);
    Ok((deferrable.unwrap_or(deferred), deferred))
}

const MANY_DEFERRABLE: &str = "multiple DEFERRABLE/NOT DEFERRABLE clauses not allowed";
const MANY_INITIALLY: &str = "multiple INITIALLY IMMEDIATE/DEFERRED clauses not allowed";

fn generated(c: &mut Cursor<'_>) -> Parsed<ColumnOption> {
    let at = c.here();
    c.expect("generated")?;
    let by = c.here();
    let always = c.accept("always");
    if !always {
        c.expect_all(&["by", "default"])?;
    }
    c.expect("as")?;
    if c.accept("identity") {
        let def = if c.accept_symbol(&Token::LParen) {
            let def = sequence_options(c)?;
            c.symbol(&Token::RParen)?;
            def
        } else {
            SequenceDef::default()
        };
        return Ok(ColumnOption::Identity(if always { b'a' } else { b'd' }, def));
    }
    c.symbol(&Token::LParen)?;
    let expr = c.parser.parse_expr()?;
    c.symbol(&Token::RParen)?;
    c.expect("stored")?;
    if !always {
        let text = "for a generated column, GENERATED ALWAYS must be specified";
        return Err(SqlError::syntax(text).at(by).into());
    }
    Ok(ColumnOption::Generated(expr, at))
}

/// CHECK, PRIMARY KEY or UNIQUE; a table constraint names its columns.
fn constraint(c: &mut Cursor<'_>, of_table: bool) -> Parsed<Constraint> {
    if c.accept("check") {
        c.symbol(&Token::LParen)?;
        let expr = c.parser.parse_expr()?;
        c.symbol(&Token::RParen)?;
        let (mut no_inherit, mut not_valid) = (false, false);
        loop {
            if !no_inherit && c.accept_all(&["no", "inherit"]) {
                no_inherit = true;
            } else if of_table && !not_valid && c.accept_all(&["not", "valid"]) {
                not_valid = true;
            } else {
                break;
            }
        }
        if !of_table {
            deferrability(c)?;
        } else if deferring(c)? != (false, false) {
            let text = "CHECK constraints cannot be marked DEFERRABLE";
            return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).into());
        }
        return Ok(Constraint::Check { expr, not_valid, no_inherit });
    }
    let primary = c.accept("primary");
    if primary {
        c.expect("key")?;
    } else {
        c.expect("unique")?;
    }
    let mut nulls_not_distinct = false;
    if !primary && c.accept("nulls") {
        nulls_not_distinct = c.accept("not");
        c.expect("distinct")?;
    }
    let (mut columns, mut include, mut fillfactor, mut using_index) = (Vec::new(), Vec::new(), None, None);
    if of_table && c.accept_all(&["using", "index"]) {
        using_index = Some(c.ident()?);
    } else {
        if of_table {
            columns = c.idents_in_parentheses()?;
            if c.accept("include") {
                include = c.idents_in_parentheses()?;
            }
        }
        if c.accept("with") {
            fillfactor = c.storage_options(10)?;
        }
        if c.accept_all(&["using", "index", "tablespace"]) {
            tablespace(c)?;
        }
    }
    let (deferrable, deferred) = deferring(c)?;
    Ok(Constraint::Index {
        primary,
        columns,
        include,
        fillfactor,
        nulls_not_distinct,
        using_index,
        deferrable,
        deferred,
    })
}

/// REFERENCES and what may follow.
fn references(c: &mut Cursor<'_>, columns: Vec<String>) -> Parsed<Constraint> {
    c.expect("references")?;
    let name = super::name_of(&c.parser.parse_object_name(false)?)?;
    let mut def = ForeignKeyDef {
        columns,
        referenced: name.name,
        referenced_at: name.at,
        referenced_columns: Vec::new(),
        full: false,
        on_update: b'a',
        on_delete: b'a',
        delete_columns: Vec::new(),
        deferrable: false,
        deferred: false,
        not_valid: false,
    };
    if c.parser.peek_token_ref().token == Token::LParen {
        def.referenced_columns = c.idents_in_parentheses()?.into_iter().map(|i| i.value).collect();
    }
    loop {
        let at = c.here();
        if c.accept("match") {
            def.full = c.accept("full");
            if c.accept("partial") {
                let text = "MATCH PARTIAL not yet implemented";
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).at(at).into());
            }
            if !def.full {
                c.expect("simple")?;
            }
        } else if c.accept_all(&["on", "delete"]) {
            def.on_delete = referential_action(c)?;
            if c.parser.peek_token_ref().token == Token::LParen {
                if !matches!(def.on_delete, b'n' | b'd') {
                    return c.unexpected();
                }
                def.delete_columns = c.idents_in_parentheses()?.into_iter().map(|i| i.value).collect();
            }
        } else if c.accept_all(&["on", "update"]) {
            def.on_update = referential_action(c)?;
            if c.parser.peek_token_ref().token == Token::LParen {
                let action = match def.on_update {
                    b'n' => "SET NULL",
                    b'd' => "SET DEFAULT",
                    _ => return c.unexpected(),
                };
                let text = format!("a column list with {action} is only supported for ON DELETE actions");
                return Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, text).at(at).into());
            }
        } else if c.accept_all(&["not", "deferrable"]) {
            def.deferrable = false;
        } else if c.accept("deferrable") {
            def.deferrable = true;
        } else if c.accept_all(&["initially", "deferred"]) {
            (def.deferrable, def.deferred) = (true, true);
        } else if c.accept_all(&["initially", "immediate"]) {
            def.deferred = false;
        } else if c.accept_all(&["not", "valid"]) {
            def.not_valid = true;
        } else {
            return Ok(Constraint::Foreign(def));
        }
    }
}

fn referential_action(c: &mut Cursor<'_>) -> Parsed<u8> {
    Ok(if c.accept_all(&["no", "action"]) {
        b'a'
    } else if c.accept("restrict") {
        b'r'
    } else if c.accept("cascade") {
        b'c'
    } else {
        c.expect("set")?;
        if c.accept("null") {
            b'n'
        } else {
            c.expect("default")?;
            b'd'
        }
    })
}

/// There is one tablespace.
pub(super) fn tablespace(c: &mut Cursor<'_>) -> Parsed<()> {
    let name = c.ident()?;
    if name == "pg_default" {
        return Ok(());
    }
    Err(SqlError::new(pg_types::SqlState::UNDEFINED_OBJECT, format!("tablespace \"{name}\" does not exist"))
        .into())
}

/// A table constraint if one comes next.
pub(super) fn table_constraint(c: &mut Cursor<'_>) -> Parsed<Option<NamedConstraint>> {
    let name = if c.peek_is(0, "constraint") {
        c.parser.advance_token();
        Some(c.ident()?)
    } else {
        None
    };
    let next = c.peek_word().unwrap_or_default();
    match next.as_str() {
        "check" | "unique" | "primary" => {
            let constraint = constraint(c, true)?;
            Ok(Some(NamedConstraint { name, constraint }))
        }
        "foreign" => {
            c.parser.advance_token();
            c.expect("key")?;
            let columns = c.idents_in_parentheses()?.into_iter().map(|i| i.value).collect();
            let constraint = references(c, columns)?;
            Ok(Some(NamedConstraint { name, constraint }))
        }
        "exclude" if c.parser.peek_nth_token_ref(1).token == Token::LParen || c.peek_is(1, "using") => {
            Err(SqlError::unsupported("EXCLUDE constraints").into())
        }
        _ if name.is_some() => c.unexpected(),
        _ => Ok(None),
    }
}

/// INCLUDING and EXCLUDING, of LIKE.
pub(super) fn like_parts(c: &mut Cursor<'_>) -> Parsed<LikeParts> {
    let mut parts = LikeParts::default();
    loop {
        let value = c.accept("including");
        if !value && !c.accept("excluding") {
            return Ok(parts);
        }
        let slot = match c.peek_word().as_deref() {
            Some("comments") => &mut parts.comments,
            Some("compression") => &mut parts.compression,
            Some("constraints") => &mut parts.constraints,
            Some("defaults") => &mut parts.defaults,
            Some("generated") => &mut parts.generated,
            Some("identity") => &mut parts.identity,
            Some("indexes") => &mut parts.indexes,
            Some("statistics") => &mut parts.statistics,
            Some("storage") => &mut parts.storage,
            Some("all") => {
                parts = LikeParts {
                    comments: value,
                    compression: value,
                    constraints: value,
                    defaults: value,
                    generated: value,
                    identity: value,
                    indexes: value,
                    statistics: value,
                    storage: value,
                };
                c.parser.advance_token();
                continue;
            }
            _ => return c.unexpected(),
        };
        *slot = value;
        c.parser.advance_token();
    }
}

/// Options of CREATE SEQUENCE, ALTER SEQUENCE and identity columns.
pub(super) fn sequence_options(c: &mut Cursor<'_>) -> Parsed<SequenceDef> {
    let mut def = SequenceDef::default();
    while sequence_option(c, &mut def)? {}
    Ok(def)
}

/// The next of them, if there is one.
pub(super) fn sequence_option(c: &mut Cursor<'_>, def: &mut SequenceDef) -> Parsed<bool> {
    let o = &mut def.options;
    if c.accept_all(&["sequence", "name"]) {
        o.name = Some(c.name()?.name);
    } else if c.accept("as") {
        def.ty = Some(c.parser.parse_data_type()?);
    } else if c.accept("increment") {
        c.accept("by");
        o.increment = Some(c.integer()?);
    } else if c.accept("minvalue") {
        o.min = Some(Some(c.integer()?));
    } else if c.accept("maxvalue") {
        o.max = Some(Some(c.integer()?));
    } else if c.accept_all(&["no", "minvalue"]) {
        o.min = Some(None);
    } else if c.accept_all(&["no", "maxvalue"]) {
        o.max = Some(None);
    } else if c.accept("start") {
        c.accept("with");
        o.start = Some(c.integer()?);
    } else if c.accept("restart") {
        let with = c.accept("with");
        let number =
            matches!(c.parser.peek_token_ref().token, Token::Number(..) | Token::Minus | Token::Plus);
        o.restart = Some(if with || number { Some(c.integer()?) } else { None });
    } else if c.accept("cache") {
        o.cache = Some(c.integer()?);
    } else if c.accept("cycle") {
        o.cycle = Some(true);
    } else if c.accept_all(&["no", "cycle"]) {
        o.cycle = Some(false);
    } else if c.accept_all(&["owned", "by"]) {
        o.owned_by = Some(owner(c)?);
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn owner(c: &mut Cursor<'_>) -> Parsed<Option<(pg_plan::utility::ObjectName, String)>> {
    if c.accept("none") {
        return Ok(None);
    }
    let mut parts = Vec::from([c.ident()?]);
    while c.accept_symbol(&Token::Period) {
        parts.push(c.ident()?);
    }
    let column = parts.pop().unwrap_or_default();
    let name = match parts.len() {
        1 => pg_plan::utility::ObjectName { schema: None, name: parts.swap_remove(0) },
        2 => {
            let name = parts.swap_remove(1);
            pg_plan::utility::ObjectName { schema: Some(parts.swap_remove(0)), name }
        }
        _ => {
            return Err(SqlError::syntax("invalid OWNED BY option")
                .hint("Specify OWNED BY table.column or OWNED BY NONE.".to_string())
                .into());
        }
    };
    Ok(Some((name, column)))
}
