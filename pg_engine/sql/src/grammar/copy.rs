//! COPY.

use alloc::{format, string::String, vec::Vec};

use pg_plan::utility::CopyFormat;
use pg_types::{SqlError, SqlState};
use sqlparser::tokenizer::Token;

use super::{Cursor, Parsed, Statement, utility};
use crate::ast::{Ast, Columns, Copy, CopyOptions, CopySource};

pub(super) fn statement(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.expect("copy")?;
    let mut options = CopyOptions::default();
    if c.accept("binary") {
        options.format = CopyFormat::Binary;
    }
    let source = if c.accept_symbol(&Token::LParen) {
        let query = c.parser.parse_query()?;
        c.symbol(&Token::RParen)?;
        CopySource::Query(query)
    } else {
        let table = c.name()?;
        let columns = if c.parser.peek_token_ref().token == Token::LParen {
            c.idents_in_parentheses()?
        } else {
            Vec::new()
        };
        CopySource::Table(table, columns)
    };
    let from = match &source {
        CopySource::Table(..) if c.accept("from") => true,
        _ => {
            c.expect("to")?;
            false
        }
    };
    if c.accept("program") {
        c.string()?;
        return Err(SqlError::unsupported("COPY with a program").into());
    }
    if !(c.accept("stdin") || c.accept("stdout")) {
        c.string()?;
        return Err(SqlError::unsupported("COPY with a file of the server").into());
    }
    if c.accept("using") {
        c.expect("delimiters")?;
        options.delimiter = Some(c.string()?);
    }
    c.accept("with");
    if c.accept_symbol(&Token::LParen) {
        list(c, &mut options)?;
    } else {
        legacy(c, &mut options)?;
    }
    let mut filter = None;
    if c.accept("where") {
        if !from {
            return Err(SqlError::syntax("WHERE clause not allowed with COPY TO").into());
        }
        filter = Some(c.parser.parse_expr()?);
    }
    Ok(utility(Ast::Copy(alloc::boxed::Box::new(Copy { source, from, options, filter })), "COPY"))
}

fn list(c: &mut Cursor<'_>, options: &mut CopyOptions) -> Parsed<()> {
    loop {
        let at = c.here();
        let name = c.any_word()?;
        match name.as_str() {
            "format" => {
                let format = c.option_value()?;
                options.format = match format.as_str() {
                    "text" => CopyFormat::Text,
                    "csv" => CopyFormat::Csv,
                    "binary" => CopyFormat::Binary,
                    _ => {
                        return Err(SqlError::new(
                            SqlState::INVALID_PARAMETER_VALUE,
                            format!("COPY format \"{format}\" not recognized"),
                        )
                        .at(at)
                        .into());
                    }
                };
            }
            "freeze" => options.freeze = c.option_flag()?,
            "delimiter" => options.delimiter = Some(c.option_value()?),
            "null" => options.null = Some(c.option_value()?),
            "header" => header(c, options)?,
            "quote" => options.quote = Some(c.option_value()?),
            "escape" => options.escape = Some(c.option_value()?),
            "force_quote" => options.force_quote = Some(columns(c, true)?),
            "force_not_null" => options.force_not_null = Some(columns(c, false)?),
            "force_null" => options.force_null = Some(columns(c, false)?),
            "encoding" => options.encoding = Some((c.option_value()?, at)),
            _ => {
                return Err(SqlError::syntax(format!("option \"{name}\" not recognized")).at(at).into());
            }
        }
        if !c.accept_symbol(&Token::Comma) {
            break;
        }
    }
    c.symbol(&Token::RParen)
}

fn header(c: &mut Cursor<'_>, options: &mut CopyOptions) -> Parsed<()> {
    if c.accept("match") {
        options.header = true;
        options.header_match = true;
        return Ok(());
    }
    options.header = c.option_flag()?;
    Ok(())
}

fn columns(c: &mut Cursor<'_>, star: bool) -> Parsed<Columns> {
    if star && c.accept_symbol(&Token::Mul) {
        return Ok(Columns::All);
    }
    Ok(Columns::Some(c.idents_in_parentheses()?))
}

/// The options' form before version 9.
fn legacy(c: &mut Cursor<'_>, options: &mut CopyOptions) -> Parsed<()> {
    let bare = |c: &mut Cursor<'_>| -> Parsed<Columns> {
        let mut idents = Vec::from([c.ident_at()?]);
        while c.accept_symbol(&Token::Comma) {
            idents.push(c.ident_at()?);
        }
        Ok(Columns::Some(idents))
    };
    let text = |c: &mut Cursor<'_>| -> Parsed<String> {
        c.accept("as");
        c.string()
    };
    loop {
        let at = c.here();
        if c.accept("binary") {
            options.format = CopyFormat::Binary;
        } else if c.accept("csv") {
            options.format = CopyFormat::Csv;
        } else if c.accept("freeze") {
            options.freeze = true;
        } else if c.accept("delimiter") {
            options.delimiter = Some(text(c)?);
        } else if c.accept("null") {
            options.null = Some(text(c)?);
        } else if c.accept("header") {
            options.header = true;
        } else if c.accept("quote") {
            options.quote = Some(text(c)?);
        } else if c.accept("escape") {
            options.escape = Some(text(c)?);
        } else if c.accept_all(&["force", "quote"]) {
            options.force_quote = Some(if c.accept_symbol(&Token::Mul) { Columns::All } else { bare(c)? });
        } else if c.accept_all(&["force", "not", "null"]) {
            options.force_not_null = Some(bare(c)?);
        } else if c.accept_all(&["force", "null"]) {
            options.force_null = Some(bare(c)?);
        } else if c.accept("encoding") {
            options.encoding = Some((c.string()?, at));
        } else {
            return Ok(());
        }
    }
}
