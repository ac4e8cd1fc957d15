//! CREATE, ALTER and DROP of functions and procedures, CALL.

use alloc::{boxed::Box, format, string::String, vec::Vec};

use pg_catalog::RoutineKind;
use pg_plan::{
    access::SettingChange,
    routine::{AlterRoutine, RoutineOptions, RoutineWord},
    utility::Set,
};
use pg_types::{SqlError, SqlState};
use sqlparser::{ast as sq, tokenizer::Token};

use super::{Cursor, Parsed, Statement, grant, session, statement as any_statement, utility};
use crate::{
    ast::{Ast, CreateRoutine, Parameter, RoutineBody, RoutineRef, RoutineStatement, TypeRef},
    keywords::{Category, lookup},
};

/// The name by which VARIADIC marks an argument, as `sqlparser` knows named ones only. No identifier that a client sends
/// begins so.
pub(crate) const VARIADIC: &str = "\0variadic";

/// VARIADIC before an argument becomes a name for it.
pub(super) fn mark_variadic(tokens: &mut Vec<sqlparser::tokenizer::TokenWithSpan>) {
    let mut i = 1;
    while i < tokens.len() {
        let opens = matches!(tokens.get(i - 1).map(|t| &t.token), Some(Token::LParen | Token::Comma));
        if opens
            && let Some(t) = tokens.get_mut(i)
            && let Token::Word(w) = &mut t.token
            && w.quote_style.is_none()
            && w.value == "variadic"
        {
            w.value = VARIADIC.into();
            w.quote_style = Some('"');
            w.keyword = sqlparser::keywords::Keyword::NoKeyword;
            let span = t.span;
            tokens.insert(i + 1, sqlparser::tokenizer::TokenWithSpan { token: Token::RArrow, span });
        }
        i += 1;
    }
}

/// `f() AS (a integer, ...)` gets an alias without a name: `sqlparser` wants one.
pub(super) fn name_definitions(tokens: &mut Vec<sqlparser::tokenizer::TokenWithSpan>) {
    let mut i = 1;
    while i + 4 < tokens.len() {
        let word = |n: usize| match tokens.get(n).map(|t| &t.token) {
            Some(Token::Word(w)) => Some(if w.quote_style.is_none() { w.value.as_str() } else { "" }),
            _ => None,
        };
        let is = |n: usize, wanted: &Token| tokens.get(n).is_some_and(|t| t.token == *wanted);
        let defines = is(i - 1, &Token::RParen) && word(i) == Some("as") && is(i + 1, &Token::LParen);
        let query = ["select", "with", "values", "table", "insert", "update", "delete"];
        if defines && word(i + 2).is_some_and(|w| !query.contains(&w)) && word(i + 3).is_some() {
            let span = tokens.get(i).map(|t| t.span);
            if let Some(span) = span {
                let keyword = sqlparser::keywords::Keyword::NoKeyword;
                let value = String::new();
                let token =
                    Token::Word(sqlparser::tokenizer::Word { value, quote_style: Some('"'), keyword });
                tokens.insert(i + 1, sqlparser::tokenizer::TokenWithSpan { token, span });
            }
        }
        i += 1;
    }
}

fn accept_variadic(c: &mut Cursor<'_>) -> bool {
    let marked = matches!(&c.parser.peek_token_ref().token, Token::Word(w) if w.value == VARIADIC);
    if marked {
        c.parser.advance_token();
        c.parser.advance_token();
    }
    marked || c.accept("variadic")
}

fn made(s: RoutineStatement, tag: &'static str) -> Statement {
    utility(Ast::Routine(Box::new(s)), tag)
}

/// Is the next word the name of a parameter, and not its type?
fn named(c: &Cursor<'_>) -> bool {
    let Token::Word(first) = &c.parser.peek_token_ref().token else { return false };
    let category = lookup(&first.value).1;
    if first.quote_style.is_none() && !matches!(category, Category::Unreserved | Category::TypeFunction) {
        return false;
    }
    let Token::Word(second) = &c.parser.peek_nth_token_ref(1).token else { return false };
    if second.quote_style.is_some() {
        return true;
    }
    let pair = (first.value.as_str(), second.value.as_str());
    !matches!(pair, (_, "default" | "order") | ("double", "precision"))
}

fn mode(c: &mut Cursor<'_>) -> Option<u8> {
    if accept_variadic(c) {
        return Some(b'v');
    }
    if c.accept("inout") || c.accept_all(&["in", "out"]) {
        return Some(b'b');
    }
    if c.accept("in") {
        return Some(b'i');
    }
    // `out` is no reserved word: it may be a type or a name.
    if c.peek_is(0, "out") && !matches!(c.parser.peek_nth_token_ref(1).token, Token::Comma | Token::RParen) {
        c.parser.advance_token();
        return Some(b'o');
    }
    None
}

/// A type: SETOF, `table.column%TYPE`.
pub(super) fn type_ref(c: &mut Cursor<'_>) -> Parsed<TypeRef> {
    let set = c.accept("setof");
    let at = c.here();
    let ty = c.parser.parse_data_type()?;
    let mut column = None;
    if c.parser.peek_token_ref().token == Token::Mod && c.peek_is(1, "type") {
        let sq::DataType::Custom(name, _) = &ty else { return c.unexpected() };
        column = Some(name.clone());
        c.parser.advance_token();
        c.parser.advance_token();
    } else if c.accept("array") {
        if c.accept_symbol(&Token::LBracket) {
            c.integer()?;
            c.symbol(&Token::RBracket)?;
        }
        let element = sq::ArrayElemTypeDef::SquareBracket(Box::new(ty), None);
        return Ok(TypeRef { ty: sq::DataType::Array(element), at, set, column });
    }
    Ok(TypeRef { ty, at, set, column })
}

pub(super) fn parameter(c: &mut Cursor<'_>) -> Parsed<Parameter> {
    let mut mode_given = mode(c);
    let name = if named(c) { Some(c.any_word()?) } else { None };
    if mode_given.is_none() && name.is_some() {
        mode_given = mode(c);
    }
    let ty = type_ref(c)?;
    let default = if c.accept("default") || c.accept_symbol(&Token::Eq) {
        let at = c.here();
        Some((c.parser.parse_expr()?, at))
    } else {
        None
    };
    Ok(Parameter { name: name.unwrap_or_default(), mode: mode_given, ty, default })
}

fn parameters(c: &mut Cursor<'_>) -> Parsed<Vec<Parameter>> {
    c.symbol(&Token::LParen)?;
    let mut list = Vec::new();
    if c.accept_symbol(&Token::RParen) {
        return Ok(list);
    }
    loop {
        list.push(parameter(c)?);
        if !c.accept_symbol(&Token::Comma) {
            break;
        }
    }
    c.symbol(&Token::RParen)?;
    Ok(list)
}

fn redundant(at: u32) -> super::Fail {
    SqlError::syntax("conflicting or redundant options").at(at).into()
}

fn once<T>(slot: &mut Option<T>, value: T, at: u32) -> Parsed<()> {
    if slot.is_some() {
        return Err(redundant(at));
    }
    *slot = Some(value);
    Ok(())
}

#[allow(clippy::cast_possible_truncation, reason = "a planner's estimate")]
fn number(c: &mut Cursor<'_>) -> Parsed<f32> {
    let text = c.option_value()?;
    match text.parse::<f64>() {
        Ok(n) => Ok(n as f32),
        Err(_) => c.unexpected(),
    }
}

/// One of the options that CREATE and ALTER share; false: something else comes.
fn option(c: &mut Cursor<'_>, o: &mut RoutineOptions) -> Parsed<bool> {
    let at = c.here();
    for (word, code) in [("immutable", b'i'), ("stable", b's'), ("volatile", b'v')] {
        if c.accept(word) {
            once(&mut o.volatility, code, at)?;
            return Ok(true);
        }
    }
    if c.accept_all(&["not", "leakproof"]) {
        once(&mut o.leakproof, false, at)?;
    } else if c.accept("leakproof") {
        once(&mut o.leakproof, true, at)?;
    } else if c.accept("strict") || c.accept_all(&["returns", "null", "on", "null", "input"]) {
        once(&mut o.strict, true, at)?;
    } else if c.accept_all(&["called", "on", "null", "input"]) {
        once(&mut o.strict, false, at)?;
    } else if c.accept_all(&["external", "security", "definer"]) || c.accept_all(&["security", "definer"]) {
        once(&mut o.definer, true, at)?;
    } else if c.accept_all(&["external", "security", "invoker"]) || c.accept_all(&["security", "invoker"]) {
        once(&mut o.definer, false, at)?;
    } else if c.accept("parallel") {
        let code = match c.any_word()?.as_str() {
            "safe" => b's',
            "restricted" => b'r',
            "unsafe" => b'u',
            _ => {
                let text = "parameter \"parallel\" must be SAFE, RESTRICTED, or UNSAFE";
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, text).into());
            }
        };
        once(&mut o.parallel, code, at)?;
    } else if c.accept("cost") {
        let n = number(c)?;
        if n <= 0.0 {
            let text = "COST must be positive";
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text).into());
        }
        once(&mut o.cost, n, at)?;
    } else if c.accept("rows") {
        let n = number(c)?;
        if n <= 0.0 {
            let text = "ROWS must be positive";
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text).into());
        }
        once(&mut o.rows, n, at)?;
    } else if c.accept("support") {
        return Err(SqlError::unsupported("SUPPORT").into());
    } else if c.peek_is(0, "set") && !c.peek_is(1, "schema") {
        c.parser.advance_token();
        let name = session::special_setting(c)?;
        if c.accept_all(&["from", "current"]) {
            o.settings.push(SettingChange::FromCurrent(name));
            return Ok(true);
        }
        let assigned = c.accept("to") || c.accept_symbol(&Token::Eq);
        if !assigned && name != "timezone" {
            return c.unexpected();
        }
        o.settings.push(SettingChange::Set(Set { name, values: session::set_values(c)?, local: false }));
    } else if c.peek_is(0, "reset") {
        c.parser.advance_token();
        o.settings.push(match c.accept("all") {
            true => SettingChange::ResetAll,
            false => SettingChange::Reset(session::special_setting(c)?),
        });
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// What follows CREATE [OR REPLACE] FUNCTION or PROCEDURE.
pub(super) fn create(c: &mut Cursor<'_>, or_replace: bool, kind: RoutineKind) -> Parsed<Statement> {
    let name = c.name()?;
    let mut r = CreateRoutine {
        name,
        or_replace,
        kind,
        parameters: parameters(c)?,
        result: None,
        table: None,
        language: None,
        options: RoutineOptions::default(),
        body: None,
    };
    if kind == RoutineKind::Function && c.accept("returns") {
        if c.peek_is(0, "table") && c.parser.peek_nth_token_ref(1).token == Token::LParen {
            c.parser.advance_token();
            let columns = parameters(c)?;
            let plain = |p: &Parameter| p.mode.is_none() && p.default.is_none() && !p.name.is_empty();
            if columns.is_empty() || !columns.iter().all(plain) {
                return c.unexpected();
            }
            r.table = Some(columns);
        } else {
            r.result = Some(type_ref(c)?);
        }
    }
    while !c.at_end() {
        let at = c.here();
        if option(c, &mut r.options)? {
            continue;
        }
        if c.accept("language") {
            let word = match &c.parser.peek_token_ref().token {
                Token::SingleQuotedString(_) => c.string()?,
                _ => c.any_word()?,
            };
            once(&mut r.language, word, at)?;
        } else if c.accept("window") {
            return Err(SqlError::unsupported("CREATE FUNCTION ... WINDOW").into());
        } else if c.accept("transform") {
            return Err(SqlError::unsupported("CREATE FUNCTION ... TRANSFORM").into());
        } else if c.accept("as") {
            let from = c.offset();
            let text = definition(c)?;
            if c.accept_symbol(&Token::Comma) {
                definition(c)?;
                return Err(SqlError::new(
                    SqlState(*b"42P13"),
                    "only one AS item needed for language \"sql\"",
                )
                .into());
            }
            once(&mut r.body, RoutineBody::Text(text, from), at)?;
        } else if c.accept("return") {
            if matches!(r.body, Some(RoutineBody::Text(..))) {
                return Err(twice());
            }
            let e = c.parser.parse_expr()?;
            once(&mut r.body, RoutineBody::Return(e), at)?;
        } else if c.accept_all(&["begin", "atomic"]) {
            if matches!(r.body, Some(RoutineBody::Text(..))) {
                return Err(twice());
            }
            let list = atomic(c)?;
            once(&mut r.body, RoutineBody::Atomic(list), at)?;
        } else {
            return c.unexpected();
        }
    }
    let tag = match kind {
        RoutineKind::Procedure => "CREATE PROCEDURE",
        _ => "CREATE FUNCTION",
    };
    Ok(made(RoutineStatement::Create(Box::new(r)), tag))
}

fn twice() -> super::Fail {
    SqlError::new(SqlState(*b"42P13"), "duplicate function body specified").into()
}

fn definition(c: &mut Cursor<'_>) -> Parsed<String> {
    c.string()
}

/// Statements up to END.
fn atomic(c: &mut Cursor<'_>) -> Parsed<Vec<(Ast, String)>> {
    let mut list = Vec::new();
    loop {
        while c.accept_symbol(&Token::SemiColon) {}
        if c.accept("end") {
            return Ok(list);
        }
        let from = c.offset();
        if c.accept("return") {
            let e = c.parser.parse_expr()?;
            list.push((Ast::Return(Box::new(e)), c.rest_of_statement(from)));
        } else {
            let (ast, ..) = any_statement(c)?;
            list.push((ast, c.rest_of_statement(from)));
        }
        c.symbol(&Token::SemiColon)?;
    }
}

/// A routine by name and types.
pub(super) fn reference(c: &mut Cursor<'_>, word: RoutineWord) -> Parsed<RoutineRef> {
    let name = c.name()?;
    let args = match c.parser.peek_token_ref().token {
        Token::LParen if word == RoutineWord::Aggregate => Some(super::definition::all_arguments(c)?),
        Token::LParen => Some(parameters(c)?),
        _ => None,
    };
    if args.iter().flatten().any(|p| p.default.is_some()) {
        return c.unexpected();
    }
    Ok(RoutineRef { word, name, args })
}

pub(super) fn references(c: &mut Cursor<'_>, word: RoutineWord) -> Parsed<Vec<RoutineRef>> {
    let mut list = Vec::from([reference(c, word)?]);
    while c.accept_symbol(&Token::Comma) {
        list.push(reference(c, word)?);
    }
    Ok(list)
}

/// FUNCTION, PROCEDURE or ROUTINE, if one of them comes.
pub(super) fn word(c: &mut Cursor<'_>) -> Option<RoutineWord> {
    for (text, word) in [
        ("function", RoutineWord::Function),
        ("procedure", RoutineWord::Procedure),
        ("routine", RoutineWord::Routine),
        ("aggregate", RoutineWord::Aggregate),
    ] {
        if c.accept(text) {
            return Some(word);
        }
    }
    None
}

/// What follows DROP FUNCTION and its like.
pub(super) fn drop(c: &mut Cursor<'_>, word: RoutineWord) -> Parsed<Statement> {
    let if_exists = c.if_exists()?;
    let names = references(c, word)?;
    let cascade = c.cascade();
    let tag = match word {
        RoutineWord::Function => "DROP FUNCTION",
        RoutineWord::Procedure => "DROP PROCEDURE",
        RoutineWord::Routine => "DROP ROUTINE",
        RoutineWord::Aggregate => "DROP AGGREGATE",
    };
    Ok(made(RoutineStatement::Drop { names, if_exists, cascade }, tag))
}

/// What follows ALTER FUNCTION and its like.
pub(super) fn alter(c: &mut Cursor<'_>, word: RoutineWord) -> Parsed<Statement> {
    let name = reference(c, word)?;
    let tag = match word {
        RoutineWord::Function => "ALTER FUNCTION",
        RoutineWord::Procedure => "ALTER PROCEDURE",
        RoutineWord::Routine => "ALTER ROUTINE",
        RoutineWord::Aggregate => "ALTER AGGREGATE",
    };
    let change = if c.accept_all(&["rename", "to"]) {
        AlterRoutine::Rename(c.ident()?)
    } else if c.accept_all(&["owner", "to"]) {
        AlterRoutine::Owner(grant::role_name(c)?)
    } else if c.accept_all(&["set", "schema"]) {
        AlterRoutine::SetSchema(c.ident()?)
    } else if c.peek_is(0, "depends") || c.peek_is(0, "no") && c.peek_is(1, "depends") {
        return Err(SqlError::unsupported(format!("{tag} ... DEPENDS ON EXTENSION")).into());
    } else {
        let mut options = RoutineOptions::default();
        let mut any = false;
        while !c.at_end() && !c.accept("restrict") {
            if !option(c, &mut options)? {
                return c.unexpected();
            }
            any = true;
        }
        if !any {
            return c.unexpected();
        }
        AlterRoutine::Options(options)
    };
    Ok(made(RoutineStatement::Alter(name, change), tag))
}

/// CALL.
pub(super) fn call(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.expect("call")?;
    match c.parser.parse_expr()? {
        sq::Expr::Function(f) => Ok((Ast::Call(Box::new(f)), crate::api::StatementKind::Select, "CALL")),
        _ => c.unexpected(),
    }
}
