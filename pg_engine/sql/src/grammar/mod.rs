//! The grammar of statements: a thin layer over `sqlparser`'s parser, which is used as the cursor over the tokens and
//! for expressions, types, queries, INSERT, UPDATE and DELETE.

mod alter;
mod collation;
mod comment;
mod conflict;
mod copy;
mod cursor;
mod database;
mod ddl;
pub(crate) mod definition;
mod extension;
mod grant;
mod joins;
mod reloptions;
pub(crate) mod routine;
pub(crate) mod sample;
mod schema;
pub(crate) mod search;
mod session;
pub(crate) mod special;
pub(crate) mod stars;
mod statistics;
mod table;
pub(crate) mod target;
mod types;
pub(crate) mod window;

use alloc::{boxed::Box, format, vec::Vec};
use core::ops::Range;

use pg_plan::statement::{ExplainFormat, ExplainOptions};
use pg_types::{Result, SqlError};
use sqlparser::{
    ast as sq,
    parser::{Parser, ParserError},
    tokenizer::{Location, Token, TokenWithSpan},
};

use crate::{
    api::StatementKind,
    ast::{Ast, InsertClauses, NameAt, Overriding},
    dialect::Postgres,
    lexer,
};
use cursor::Cursor;

/// Nesting of expressions and queries inside each other. Each level costs the grammar a few kilobytes of stack.
const MAX_DEPTH: usize = 160;

/// Why parsing stopped.
pub(crate) enum Fail {
    Grammar(ParserError),
    Sql(SqlError),
}

impl From<ParserError> for Fail {
    fn from(error: ParserError) -> Self {
        Self::Grammar(error)
    }
}

impl From<SqlError> for Fail {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

pub(crate) type Parsed<T> = core::result::Result<T, Fail>;

/// A statement with its place in the text.
pub(crate) struct Item {
    pub(crate) ast: Ast,
    pub(crate) kind: StatementKind,
    pub(crate) tag: &'static str,
    pub(crate) range: Range<usize>,
}

/// Parses all statements of a text.
pub(crate) fn statements(text: &str) -> Result<Vec<Item>> {
    let mut tokens = lexer::tokenize(text)?;
    let overriding = take_overriding(&mut tokens);
    let conflicts = conflict::take_targets(&mut tokens);
    search::take_clauses(&mut tokens, text);
    mark_rows_from(&mut tokens);
    sample::mark(&mut tokens);
    spell_out_table(&mut tokens);
    spell_out_merge(&mut tokens);
    spell_out_fetch(&mut tokens);
    mark_row_locks(&mut tokens);
    special::respell_similar(&mut tokens);
    special::mark_join_aliases(&mut tokens);
    joins::nest(&mut tokens);
    window::mark_grouping(&mut tokens);
    window::respell_frames(&mut tokens, text)?;
    mark_expansions(&mut tokens);
    stars::take_stars(&mut tokens);
    target::mark_parts(&mut tokens, text);
    routine::mark_variadic(&mut tokens);
    routine::name_definitions(&mut tokens);
    let dialect = Postgres::default();
    let parser = Parser::new(&dialect).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    let mut cursor = Cursor { parser, text, overriding, conflicts };
    let mut items = Vec::new();
    loop {
        while cursor.parser.consume_token(&Token::SemiColon) {}
        let first = cursor.parser.peek_token_ref();
        if first.token == Token::EOF {
            return Ok(items);
        }
        let start = byte(first.span.start);
        let parsed = statement(&mut cursor).and_then(|parsed| cursor.end_of_statement().map(|()| parsed));
        match parsed {
            Ok((ast, kind, tag)) => {
                let end = byte(cursor.parser.get_current_token().span.end).max(start);
                items.push(Item { ast, kind, tag, range: start..end });
            }
            Err(fail) => return Err(explain_failure(fail, &cursor)),
        }
    }
}

/// Parses a routine's body in the standard's form.
pub(crate) fn body(text: &str) -> Result<Vec<Item>> {
    let Some(rest) = text.strip_prefix("RETURN ") else {
        let inner = text.strip_prefix("BEGIN ATOMIC").and_then(|t| t.strip_suffix("END"));
        return statements(inner.unwrap_or(text));
    };
    let value = expression(rest)?;
    let ast = Ast::Return(Box::new(value));
    Ok(Vec::from([Item { ast, kind: StatementKind::Select, tag: "SELECT", range: 0..text.len() }]))
}

/// Parses one expression and nothing else.
pub(crate) fn expression(text: &str) -> Result<sq::Expr> {
    let mut tokens = lexer::tokenize(text)?;
    special::respell_similar(&mut tokens);
    window::respell_frames(&mut tokens, text)?;
    routine::mark_variadic(&mut tokens);
    let dialect = Postgres::default();
    let parser = Parser::new(&dialect).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    let mut cursor = Cursor { parser, text, overriding: Vec::new(), conflicts: Vec::new() };
    let parsed = cursor.parser.parse_expr().map_err(Fail::from);
    match parsed.and_then(|e| cursor.end_of_statement().map(|()| e)) {
        Ok(expr) => Ok(expr),
        Err(fail) => Err(explain_failure(fail, &cursor)),
    }
}

fn byte(location: Location) -> usize {
    (location.line as usize).saturating_sub(1)
}

/// Where a token stands in the text, in bytes.
pub(crate) fn token_bytes(token: &TokenWithSpan) -> Range<usize> {
    byte(token.span.start)..byte(token.span.end)
}

/// 1-based character position of a location.
pub(crate) fn position(location: Location) -> u32 {
    location.column as u32
}

/// `sqlparser` has no OVERRIDING clause: its tokens are taken out and remembered by the byte before which they stood.
fn take_overriding(tokens: &mut Vec<TokenWithSpan>) -> Vec<(usize, Overriding)> {
    let mut found = Vec::new();
    let word = |t: Option<&TokenWithSpan>, w: &str| matches!(t.map(|t| &t.token), Some(Token::Word(x)) if x.quote_style.is_none() && x.value == w);
    let mut i = 0;
    while i < tokens.len() {
        if word(tokens.get(i), "overriding") && word(tokens.get(i + 2), "value") {
            let which = if word(tokens.get(i + 1), "system") {
                Overriding::System
            } else if word(tokens.get(i + 1), "user") {
                Overriding::User
            } else {
                Overriding::None
            };
            if which != Overriding::None {
                found.push((tokens.get(i).map_or(0, |t| byte(t.span.start)), which));
                tokens.drain(i..i + 3);
                continue;
            }
        }
        i += 1;
    }
    found
}

/// `TABLE t` as a query is `SELECT * FROM t`; `sqlparser`'s own reading of it swallows what follows.
fn spell_out_table(tokens: &mut Vec<TokenWithSpan>) {
    let word = |t: &TokenWithSpan, words: &[&str]| matches!(&t.token, Token::Word(x) if x.quote_style.is_none() && words.contains(&x.value.as_str()));
    let mut i = 0;
    while i < tokens.len() {
        let begins = match i.checked_sub(1).and_then(|p| tokens.get(p)) {
            None => true,
            Some(before) => {
                matches!(before.token, Token::LParen | Token::SemiColon)
                    || word(before, &["union", "intersect", "except", "all", "distinct", "as"])
            }
        };
        // `x AS table FROM t` names a column.
        let named = match tokens.get(i + 1).map(|t| &t.token) {
            Some(Token::Word(x)) => {
                x.quote_style.is_some()
                    || crate::keywords::lookup(&x.value).1 != crate::keywords::Category::Reserved
            }
            _ => false,
        };
        if let Some(token) = tokens.get(i).filter(|t| begins && named && word(t, &["table"])) {
            let span = token.span;
            let keyword = |value: &str| {
                let (keyword, _) = crate::keywords::lookup(value);
                Token::Word(sqlparser::tokenizer::Word { value: value.into(), quote_style: None, keyword })
            };
            let spelled = [keyword("select"), Token::Mul, keyword("from")];
            tokens.splice(i..=i, spelled.map(|token| TokenWithSpan { token, span }));
            i += 2;
        }
        i += 1;
    }
}

/// MERGE's `INSERT DEFAULT VALUES`, which `sqlparser` does not know, is `INSERT VALUES (DEFAULT)`.
fn spell_out_merge(tokens: &mut Vec<TokenWithSpan>) {
    let word = |t: Option<&TokenWithSpan>, w: &str| matches!(t.map(|t| &t.token), Some(Token::Word(x)) if x.quote_style.is_none() && x.value == w);
    let mut i = 0;
    while i + 3 < tokens.len() {
        i += 1;
        let clause = ["then", "insert", "default", "values"];
        if !clause.iter().enumerate().all(|(n, w)| word(tokens.get(i - 1 + n), w)) {
            continue;
        }
        tokens.swap(i + 1, i + 2);
        if let Some(span) = tokens.get(i + 2).map(|t| t.span) {
            tokens.insert(i + 3, TokenWithSpan { token: Token::RParen, span });
            tokens.insert(i + 2, TokenWithSpan { token: Token::LParen, span });
        }
    }
}

/// `sqlparser` takes a plain number in FETCH FIRST: an expression in parentheses becomes a LIMIT, with an empty FETCH behind
/// it for WITH TIES.
fn spell_out_fetch(tokens: &mut Vec<TokenWithSpan>) {
    let word = |t: Option<&TokenWithSpan>, words: &[&str]| matches!(t.map(|t| &t.token), Some(Token::Word(x)) if x.quote_style.is_none() && words.contains(&x.value.as_str()));
    let mut i = 0;
    while i + 2 < tokens.len() {
        i += 1;
        let at = i - 1;
        if word(tokens.get(at), &["fetch"])
            && word(tokens.get(at + 1), &["first", "next"])
            && word(tokens.get(at + 2), &["null"])
            && let Some(span) = tokens.get(at + 2).map(|t| t.span)
        {
            tokens.insert(at + 3, TokenWithSpan { token: Token::RParen, span });
            tokens.insert(at + 2, TokenWithSpan { token: Token::LParen, span });
        }
        let begins = word(tokens.get(at), &["fetch"])
            && word(tokens.get(at + 1), &["first", "next"])
            && tokens.get(at + 2).is_some_and(|t| t.token == Token::LParen);
        let Some(close) = begins.then(|| closing(tokens, at + 2)).flatten() else { continue };
        if !word(tokens.get(close + 1), &["row", "rows"]) {
            continue;
        }
        if word(tokens.get(close + 2), &["only"]) {
            tokens.drain(close + 1..close + 3);
        } else if let Some(fetch) = tokens.get(at..at + 2).map(<[_]>::to_vec) {
            tokens.splice(close + 1..close + 1, fetch);
        }
        let (keyword, _) = crate::keywords::lookup("limit");
        let limit = sqlparser::tokenizer::Word { value: "limit".into(), quote_style: None, keyword };
        if let Some(first) = tokens.get_mut(at) {
            first.token = Token::Word(limit);
        }
        tokens.remove(at + 1);
    }
}

/// The parenthesis that closes the one at `open`.
fn closing(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (n, t) in tokens.iter().enumerate().skip(open) {
        match t.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 1 => return Some(n),
            Token::RParen => depth -= 1,
            Token::SemiColon => return None,
            _ => {}
        }
    }
    None
}

/// The field that stands for all fields of a composite value, as in `(value).*`. No identifier that a client sends begins so.
pub(crate) const ALL_FIELDS: &str = "\0fields";

/// `sqlparser` knows `.*` behind names only: behind a parenthesis or subscript the star becomes a field with a name of its own.
fn mark_expansions(tokens: &mut [TokenWithSpan]) {
    for i in 2..tokens.len() {
        let is = |n: usize, wanted: &[Token]| tokens.get(n).is_some_and(|t| wanted.contains(&t.token));
        if is(i, &[Token::Mul])
            && is(i - 1, &[Token::Period])
            && is(i - 2, &[Token::RParen, Token::RBracket])
            && let Some(star) = tokens.get_mut(i)
        {
            let keyword = sqlparser::keywords::Keyword::NoKeyword;
            let value = ALL_FIELDS.into();
            star.token = Token::Word(sqlparser::tokenizer::Word { value, quote_style: Some('"'), keyword });
        }
    }
}

/// The function that ROWS FROM becomes, whose arguments are the calls. No identifier that a client sends begins so.
const ROWS_FROM: &str = "\0rows";

/// Does this name stand for ROWS FROM?
pub(crate) fn is_rows_from(name: &sq::ObjectName) -> bool {
    matches!(name.0.as_slice(), [sq::ObjectNamePart::Identifier(i)] if i.value == ROWS_FROM)
}

/// The alias of a call in ROWS FROM that has a column definition list. No identifier that a client sends begins so.
pub(crate) const DEFINED: &str = "\0defined";

/// Calls between the parentheses of ROWS FROM that have a list of column definitions become subqueries: `(SELECT f FROM f(...) AS
/// mark (...))`.
fn mark_definitions(tokens: &mut Vec<TokenWithSpan>, open: usize) {
    let is = |t: Option<&TokenWithSpan>, wanted: &Token| t.is_some_and(|t| t.token == *wanted);
    let named = |t: Option<&TokenWithSpan>, w: &str| matches!(t.map(|t| &t.token), Some(Token::Word(x)) if x.quote_style.is_none() && x.value == w);
    let quoted = |value: &str| {
        let keyword = sqlparser::keywords::Keyword::NoKeyword;
        Token::Word(sqlparser::tokenizer::Word { value: value.into(), quote_style: Some('"'), keyword })
    };
    let mut start = open + 1;
    let mut depth = 0usize;
    let mut n = start;
    while let Some(t) = tokens.get(n) {
        match t.token {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return,
            Token::RParen => depth -= 1,
            Token::Comma if depth == 0 => start = n + 1,
            _ => {}
        }
        n += 1;
        let defined = depth == 0
            && is(tokens.get(n - 1), &Token::RParen)
            && named(tokens.get(n), "as")
            && is(tokens.get(n + 1), &Token::LParen);
        if !defined {
            continue;
        }
        let Some(end) = closing(tokens, n + 1) else { return };
        let like = |token: Token| TokenWithSpan { token, span: t_span(tokens, start) };
        let select =
            [Token::LParen, Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")].map(like);
        let (mark, close) = (like(quoted(DEFINED)), like(Token::RParen));
        tokens.insert(end + 1, close);
        tokens.insert(n + 1, mark);
        let added = select.len() + 2;
        tokens.splice(start..start, select);
        n = end + added + 1;
    }
}

/// Where a token stands.
fn t_span(tokens: &[TokenWithSpan], n: usize) -> sqlparser::tokenizer::Span {
    tokens.get(n).map_or_else(sqlparser::tokenizer::Span::empty, |t| t.span)
}

/// `sqlparser` has no ROWS FROM: it becomes the name of a function.
fn mark_rows_from(tokens: &mut Vec<TokenWithSpan>) {
    let word = |t: Option<&TokenWithSpan>, w: &str| matches!(t.map(|t| &t.token), Some(Token::Word(x)) if x.quote_style.is_none() && x.value == w);
    let mut i = 0;
    while i + 2 < tokens.len() {
        i += 1;
        let at = i - 1;
        let open = tokens.get(at + 2).is_some_and(|t| t.token == Token::LParen);
        if !open || !word(tokens.get(at), "rows") || !word(tokens.get(at + 1), "from") {
            continue;
        }
        mark_definitions(tokens, at + 2);
        tokens.remove(at + 1);
        if let Some(first) = tokens.get_mut(at) {
            let keyword = sqlparser::keywords::Keyword::NoKeyword;
            let value = ROWS_FROM.into();
            first.token = Token::Word(sqlparser::tokenizer::Word { value, quote_style: Some('"'), keyword });
        }
    }
}

/// What stands before the tables of a row lock that `sqlparser` cannot tell; the mode's digit follows. No identifier that a
/// client sends begins so.
pub(crate) const LOCK_MARK: &str = "\0lock";

/// `sqlparser` knows FOR UPDATE and FOR SHARE of at most one table. The other modes and lists of tables become one quoted name
/// of many parts, the first of them a mark with the mode.
fn mark_row_locks(tokens: &mut Vec<TokenWithSpan>) {
    let word = |tokens: &[TokenWithSpan], i: usize, w: &str| matches!(tokens.get(i).map(|t| &t.token), Some(Token::Word(x)) if x.quote_style.is_none() && x.value == w);
    let mut i = 0;
    while i < tokens.len() {
        i += 1;
        let at = i - 1;
        if !word(tokens, at, "for") {
            continue;
        }
        let (mode, mut end) =
            if word(tokens, i, "no") && word(tokens, i + 1, "key") && word(tokens, i + 2, "update") {
                (2, i + 3)
            } else if word(tokens, i, "key") && word(tokens, i + 1, "share") {
                (0, i + 2)
            } else if word(tokens, i, "update") {
                (3, i + 1)
            } else if word(tokens, i, "share") {
                (1, i + 1)
            } else {
                continue;
            };
        let Some(span) = tokens.get(at).map(|t| t.span) else { continue };
        let quoted = |value: &str| {
            let keyword = sqlparser::keywords::Keyword::NoKeyword;
            Token::Word(sqlparser::tokenizer::Word { value: value.into(), quote_style: Some('"'), keyword })
        };
        let mut spelled: Vec<TokenWithSpan> = Vec::new();
        let mut push = |token, span| spelled.push(TokenWithSpan { token, span });
        push(quoted(&format!("{LOCK_MARK}{mode}")), span);
        let mut tables = 0;
        if word(tokens, end, "of") {
            end += 1;
            while let Some(TokenWithSpan { token: Token::Word(table), span }) = tokens.get(end) {
                push(Token::Period, *span);
                push(quoted(&table.value), *span);
                tables += 1;
                end += 1;
                if tokens.get(end).is_none_or(|t| t.token != Token::Comma) {
                    break;
                }
                end += 1;
            }
        }
        if tables < 2 && mode % 2 == 1 {
            continue;
        }
        for w in ["of", "update", "for"] {
            let (keyword, _) = crate::keywords::lookup(w);
            let token =
                Token::Word(sqlparser::tokenizer::Word { value: w.into(), quote_style: None, keyword });
            spelled.insert(0, TokenWithSpan { token, span });
        }
        i = at + spelled.len();
        tokens.splice(at..end, spelled);
    }
}

/// PostgreSQL's wording for a failure.
fn explain_failure(fail: Fail, cursor: &Cursor<'_>) -> SqlError {
    let error = match fail {
        Fail::Sql(error) => return error,
        Fail::Grammar(ParserError::RecursionLimitExceeded) => return lexer::too_complex(),
        Fail::Grammar(ParserError::ParserError(m) | ParserError::TokenizerError(m)) => m,
    };
    // The location is the last thing in the message; without one the failure is at the next token.
    let offset = error
        .rsplit_once(" at Line: ")
        .and_then(|(_, rest)| rest.split_once(','))
        .and_then(|(line, _)| line.trim().parse::<usize>().ok())
        .map(|line| line.saturating_sub(1));
    let at_end = offset.is_none() && error.ends_with("found: EOF");
    let token = match offset {
        _ if at_end => None,
        Some(offset) => cursor.token_at(offset),
        None => Some(cursor.parser.peek_token_ref().clone()).filter(|t| t.token != Token::EOF),
    };
    match token {
        Some(token) => syntax_error(cursor.text, &token),
        None => {
            let end = cursor.text.chars().count() as u32 + 1;
            SqlError::syntax("syntax error at end of input").routine(SYNTAX).at(end)
        }
    }
}

fn syntax_error(text: &str, token: &TokenWithSpan) -> SqlError {
    let near = text.get(byte(token.span.start)..byte(token.span.end)).unwrap_or("");
    SqlError::syntax(format!("syntax error at or near \"{near}\""))
        .routine(SYNTAX)
        .at(position(token.span.start))
}

/// The function of PostgreSQL that reports what the grammar does not take.
const SYNTAX: &str = "scanner_yyerror";

type Statement = (Ast, StatementKind, &'static str);

fn utility(ast: Ast, tag: &'static str) -> Statement {
    (ast, StatementKind::Utility, tag)
}

/// One statement.
fn statement(c: &mut Cursor<'_>) -> Parsed<Statement> {
    if c.parser.peek_token_ref().token == Token::LParen {
        return query(c);
    }
    let word = c.peek_word().unwrap_or_default();
    match word.as_str() {
        "select" | "with" | "values" | "table" => query(c),
        "insert" => {
            let token = c.parser.next_token();
            change(c.parser.parse_insert(token)?, None, c)
        }
        "update" => {
            let token = c.parser.next_token();
            change(c.parser.parse_update(token)?, None, c)
        }
        "delete" => {
            let token = c.parser.next_token();
            change(c.parser.parse_delete(token)?, None, c)
        }
        "merge" => {
            let token = c.parser.next_token();
            let merge = c.parser.parse_merge(token)?;
            change(sq::Statement::Merge(merge), None, c)
        }
        "explain" => explain(c),
        "call" => routine::call(c),
        _ => match session::statement(c, &word)? {
            Some(statement) => Ok(statement),
            None => match ddl::statement(c, &word)? {
                Some(statement) => Ok(statement),
                None => c.unexpected(),
            },
        },
    }
}

fn query(c: &mut Cursor<'_>) -> Parsed<Statement> {
    let query = c.parser.parse_query()?;
    let inserts = inserts_in_with(&query, c)?;
    let (ast, kind, tag) = query_of(query, c)?;
    Ok(if inserts.is_empty() {
        (ast, kind, tag)
    } else {
        (Ast::WithInserts(inserts, Box::new(ast)), kind, tag)
    })
}

/// What stood before the tokens of INSERTs in WITH were given to `sqlparser`.
fn inserts_in_with(query: &sq::Query, c: &Cursor<'_>) -> Parsed<Vec<(usize, InsertClauses)>> {
    let insert_at = |body: &sq::SetExpr| match body {
        sq::SetExpr::Insert(sq::Statement::Insert(i)) => Some(byte(i.insert_token.0.span.start)),
        _ => None,
    };
    let tables = query.with.iter().flat_map(|w| &w.cte_tables);
    let starts: Vec<usize> = tables.filter_map(|t| insert_at(&t.query.body)).collect();
    let end = insert_at(&query.body).unwrap_or(usize::MAX);
    let ends = starts.iter().copied().skip(1).chain([end]);
    starts.iter().zip(ends).map(|(from, to)| Ok((*from, insert_clauses(c, *from..to)?))).collect()
}

/// The clauses that were taken out of an INSERT's tokens.
fn insert_clauses(c: &Cursor<'_>, range: Range<usize>) -> Parsed<InsertClauses> {
    let overriding = c.overriding.iter().find(|(at, _)| range.contains(at)).map(|(_, o)| *o);
    let conflict = c.conflicts.iter().find(|(at, _)| range.contains(at));
    let conflict = conflict.map(|(_, tokens)| conflict::target(c.text, tokens)).transpose()?;
    Ok(InsertClauses { overriding: overriding.unwrap_or(Overriding::None), conflict: conflict.map(Box::new) })
}

fn query_of(mut query: Box<sq::Query>, c: &mut Cursor<'_>) -> Parsed<Statement> {
    use sq::SetExpr as S;
    if matches!(&*query.body, S::Insert(_) | S::Update(_) | S::Delete(_) | S::Merge(_)) {
        let with = query.with.take().map(Box::new);
        return match *query.body {
            S::Insert(s) | S::Update(s) | S::Delete(s) | S::Merge(s) => change(s, with, c),
            _ => c.unexpected(),
        };
    }
    if let sq::SetExpr::Select(select) = &mut *query.body
        && let Some(into) = select.into.take()
    {
        let parts: Vec<sq::Ident> = match into.targets.into_iter().next() {
            Some(sq::Expr::Identifier(ident)) => Vec::from([ident]),
            Some(sq::Expr::CompoundIdentifier(parts)) => parts,
            _ => return c.unexpected(),
        };
        let mut name = cursor::object_name(&sq::ObjectName::from(parts))?;
        if into.temporary {
            name.name = ddl::temporary(name.clone())?;
        }
        return Ok(utility(Ast::SelectInto(query, name, into.unlogged), "SELECT"));
    }
    Ok((Ast::Query(query), StatementKind::Select, "SELECT"))
}

fn change(statement: sq::Statement, with: Option<Box<sq::With>>, c: &mut Cursor<'_>) -> Parsed<Statement> {
    Ok(match statement {
        sq::Statement::Insert(insert) => {
            let from = byte(insert.insert_token.0.span.start);
            let to = byte(c.parser.get_current_token().span.end);
            let clauses = insert_clauses(c, from..to)?;
            (Ast::Insert(Box::new(insert), with, clauses), StatementKind::Insert, "INSERT")
        }
        sq::Statement::Update(update) => {
            (Ast::Update(Box::new(update), with), StatementKind::Update, "UPDATE")
        }
        sq::Statement::Delete(delete) => {
            (Ast::Delete(Box::new(delete), with), StatementKind::Delete, "DELETE")
        }
        sq::Statement::Merge(merge) => {
            let merge = Ast::Merge(Box::new(merge), with, c.overriding.clone());
            (merge, StatementKind::Merge, "MERGE")
        }
        _ => return c.unexpected(),
    })
}

fn explain(c: &mut Cursor<'_>) -> Parsed<Statement> {
    c.expect("explain")?;
    let mut options = ExplainOptions { costs: true, timing: true, ..ExplainOptions::default() };
    let mut summary = None;
    if c.parser.peek_token_ref().token == Token::LParen && !c.query_in_parentheses() {
        c.parser.advance_token();
        loop {
            let name = c.any_word()?;
            match name.as_str() {
                "analyze" | "analyse" => options.analyze = c.option_flag()?,
                "verbose" => options.verbose = c.option_flag()?,
                "costs" => options.costs = c.option_flag()?,
                "timing" => options.timing = c.option_flag()?,
                "summary" => summary = Some(c.option_flag()?),
                "format" => {
                    let format = c.any_word()?;
                    options.format = match format.as_str() {
                        "text" => ExplainFormat::Text,
                        "json" => ExplainFormat::Json,
                        "xml" => ExplainFormat::Xml,
                        "yaml" => ExplainFormat::Yaml,
                        _ => {
                            return Err(SqlError::new(
                                pg_types::SqlState::INVALID_PARAMETER_VALUE,
                                format!("unrecognized value for EXPLAIN option \"format\": \"{format}\""),
                            )
                            .into());
                        }
                    };
                }
                "buffers" => options.buffers = c.option_flag()?,
                "wal" => options.wal = c.option_flag()?,
                "settings" => options.settings = c.option_flag()?,
                _ => {
                    return Err(SqlError::syntax(format!("unrecognized EXPLAIN option \"{name}\"")).into());
                }
            }
            if !c.parser.consume_token(&Token::Comma) {
                break;
            }
        }
        c.parser.expect_token(&Token::RParen)?;
    } else {
        options.analyze = c.accept("analyze") || c.accept("analyse");
        options.verbose = c.accept("verbose");
    }
    options.summary = summary.unwrap_or(options.analyze);
    let (inner, kind, _) = statement(c)?;
    if matches!(inner, Ast::Explain(..)) || (kind == StatementKind::Utility && !explainable(&inner)) {
        return c.unexpected();
    }
    Ok(utility(Ast::Explain(options, Box::new(inner)), "EXPLAIN"))
}

fn explainable(ast: &Ast) -> bool {
    matches!(
        ast,
        Ast::Execute { .. }
            | Ast::CreateTableAs(_)
            | Ast::CreateTableAsExecute(_)
            | Ast::CreateMaterializedView(_)
            | Ast::Declare { .. }
            | Ast::SelectInto(..)
    )
}

/// A name from the grammar's own, at most schema and name.
pub(crate) fn name_of(name: &sq::ObjectName) -> Result<NameAt> {
    cursor::object_name(name)
}
