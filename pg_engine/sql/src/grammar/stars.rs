//! What may stand beside names of tables and `sqlparser` does not know: `table*` in FROM and behind the names that other statements
//! change, which asks for what is asked for without it; `ONLY table`; and `table.*` where it is one value.

use alloc::vec::Vec;

use sqlparser::{
    keywords::Keyword,
    tokenizer::{Token, TokenWithSpan, Word},
};

use crate::keywords::{Category, lookup};

/// The column that stands for the whole row of what is named before it. No identifier that a client sends begins so.
pub(crate) const WHOLE_ROW: &str = "\0row";

/// What a name behind ONLY begins with. No identifier that a client sends begins so.
pub(crate) const ONLY: &str = "\0only";

fn word(t: Option<&TokenWithSpan>) -> &str {
    match t.map(|t| &t.token) {
        Some(Token::Word(w)) if w.quote_style.is_none() => &w.value,
        _ => "",
    }
}

fn is(t: Option<&TokenWithSpan>, wanted: &Token) -> bool {
    t.is_some_and(|t| t.token == *wanted)
}

/// What is known of the text inside a pair of parentheses.
#[derive(Clone, Copy, Default)]
struct Level {
    /// It is a query or change: FROM means a list of tables.
    query: bool,
    /// In a list of tables.
    tables: bool,
    /// The arguments of a function.
    arguments: bool,
}

/// Behind a name with its schema that begins here.
fn behind_name(tokens: &[TokenWithSpan], at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        let Token::Word(w) = &tokens.get(at)?.token else { return None };
        if w.quote_style.is_none() && lookup(&w.value).1 == Category::Reserved {
            return None;
        }
        if !is(tokens.get(at + 1), &Token::Period) {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// `ONLY table` or `ONLY (table)` of a query becomes a name with a mark.
fn take_only(tokens: &mut Vec<TokenWithSpan>, at: usize) {
    let closed = is(tokens.get(at + 1), &Token::LParen);
    let Some(end) = behind_name(tokens, at + 1 + usize::from(closed)) else { return };
    if closed {
        if !is(tokens.get(end), &Token::RParen) {
            return;
        }
        tokens.remove(end);
    }
    if let Some(TokenWithSpan { token: Token::Word(w), .. }) = tokens.get_mut(end - 1) {
        w.value.insert_str(0, ONLY);
        w.quote_style = Some('"');
        w.keyword = Keyword::NoKeyword;
    }
    tokens.drain(at..=at + usize::from(closed));
}

/// May an identifier before a parenthesis be a function's name?
fn names_function(t: Option<&TokenWithSpan>) -> bool {
    match t.map(|t| &t.token) {
        Some(Token::Word(w)) if w.quote_style.is_some() => true,
        Some(Token::Word(w)) => {
            !matches!(
                w.value.as_str(),
                "values" | "row" | "in" | "over" | "using" | "as" | "into" | "exists" | "operator"
            ) && lookup(&w.value).1 != Category::Reserved
        }
        _ => false,
    }
}

/// Is a star behind this token one value among others of an expression?
fn continues_expression(t: Option<&TokenWithSpan>) -> bool {
    matches!(
        t.map(|t| &t.token),
        Some(
            Token::DoubleColon
                | Token::Eq
                | Token::Neq
                | Token::Lt
                | Token::Gt
                | Token::LtEq
                | Token::GtEq
                | Token::StringConcat
        )
    ) || matches!(word(t), "is" | "in" | "between" | "isnull" | "notnull")
}

/// See the module.
pub(super) fn take_stars(tokens: &mut Vec<TokenWithSpan>) {
    if !tokens.iter().any(|t| t.token == Token::Mul || word(Some(t)) == "only") {
        return;
    }
    let mut levels: Vec<Level> = Vec::from([Level::default()]);
    let mut i = 0;
    while i < tokens.len() {
        let before = i.checked_sub(1).and_then(|p| tokens.get(p));
        let own = levels.last().copied().unwrap_or_default();
        let mut table_at = None;
        match &tokens[i].token {
            Token::LParen => {
                let arguments = names_function(before) && !own.tables;
                levels.push(Level { arguments, ..Level::default() });
            }
            Token::RParen if levels.len() > 1 => {
                levels.pop();
            }
            Token::SemiColon => levels = Vec::from([Level::default()]),
            Token::Comma if own.tables => table_at = Some(i + 1),
            Token::Mul
                if is(before, &Token::Period)
                    && i > 1
                    && matches!(tokens.get(i - 2).map(|t| &t.token), Some(Token::Word(_))) =>
            {
                let next = tokens.get(i + 1);
                let ends = is(next, &Token::Comma) || is(next, &Token::RParen);
                if own.arguments && ends || continues_expression(next) {
                    let keyword = Keyword::NoKeyword;
                    let value = WHOLE_ROW.into();
                    tokens[i].token = Token::Word(Word { value, quote_style: Some('"'), keyword });
                }
            }
            Token::Word(_) => {
                let level = levels.last_mut();
                match word(tokens.get(i)) {
                    "select" | "delete" | "update" | "merge" => {
                        let update = word(tokens.get(i)) == "update";
                        if let Some(level) = level {
                            *level = Level { query: true, ..Level::default() };
                        }
                        table_at = update.then_some(i + 1);
                    }
                    "from" | "using" if own.query => {
                        if let Some(level) = level {
                            level.tables = true;
                        }
                        table_at = Some(i + 1);
                    }
                    "join" => table_at = Some(i + 1),
                    "into" if word(before) == "merge" => table_at = Some(i + 1),
                    "table" | "lock" | "truncate" => table_at = Some(i + 1),
                    "where" | "group" | "having" | "order" | "limit" | "offset" | "fetch" | "window"
                    | "union" | "intersect" | "except" | "on" | "set" | "returning" | "for" => {
                        if let Some(level) = level.filter(|_| word(tokens.get(i)) != "on") {
                            level.tables = false;
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        if let Some(at) = table_at
            && word(tokens.get(at)) == "only"
            && !matches!(word(tokens.get(i)), "table" | "lock" | "truncate")
        {
            take_only(tokens, at);
        }
        if let Some(at) = table_at
            && let Some(end) = behind_name(tokens, at)
            && is(tokens.get(end), &Token::Mul)
        {
            tokens.remove(end);
        }
        i += 1;
    }
}
