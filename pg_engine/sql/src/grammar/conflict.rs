//! `ON CONFLICT (...) WHERE ...`: `sqlparser` knows lists of columns only. Other targets are taken out of the tokens before it sees
//! them, and parsed as the columns of an index are.

use alloc::vec::Vec;

use sqlparser::{
    parser::Parser,
    tokenizer::{Token, TokenWithSpan},
};

use super::{Fail, MAX_DEPTH, Parsed, byte, cursor::Cursor, ddl::index_elements, explain_failure};
use crate::{ast::ConflictTarget, dialect::Postgres};

fn is_word(token: Option<&TokenWithSpan>, word: &str) -> bool {
    matches!(token.map(|t| &t.token), Some(Token::Word(w)) if w.quote_style.is_none() && w.value == word)
}

/// Behind the target that begins at the parenthesis `from`: at DO. `None`: it is not one, or one that `sqlparser` knows.
fn end_of_target(tokens: &[TokenWithSpan], from: usize) -> Option<usize> {
    let (mut depth, mut plain, mut closed) = (0usize, true, None);
    for (i, t) in tokens.iter().enumerate().skip(from) {
        match &t.token {
            Token::LParen => {
                depth += 1;
                plain &= depth == 1;
            }
            Token::RParen => {
                depth = depth.checked_sub(1)?;
                if depth == 0 && closed.is_none() {
                    closed = Some(i);
                    let next = tokens.get(i + 1);
                    if !is_word(next, "where") {
                        return (is_word(next, "do") && !plain).then_some(i + 1);
                    }
                }
            }
            Token::SemiColon | Token::EOF => return None,
            Token::Word(_) if depth == 0 && is_word(Some(t), "do") => return closed.map(|_| i),
            Token::Comma => {}
            // Two words are a column and an operator class, or an order.
            Token::Word(_) => plain &= !matches!(tokens.get(i + 1).map(|t| &t.token), Some(Token::Word(_))),
            _ => plain = false,
        }
    }
    None
}

/// Takes targets out; each is remembered by the byte where it began, with the DO behind it.
pub(super) fn take_targets(tokens: &mut Vec<TokenWithSpan>) -> Vec<(usize, Vec<TokenWithSpan>)> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let begins = is_word(tokens.get(i), "on")
            && is_word(tokens.get(i + 1), "conflict")
            && tokens.get(i + 2).is_some_and(|t| t.token == Token::LParen);
        if let Some(end) = begins.then(|| end_of_target(tokens, i + 2)).flatten() {
            let start = tokens.get(i + 2).map_or(0, |t| byte(t.span.start));
            let behind = tokens.get(end).cloned();
            let target = tokens.drain(i + 2..end).chain(behind).collect();
            found.push((start, target));
        }
        i += 1;
    }
    found
}

/// Parses a target that was taken out.
pub(super) fn target(text: &str, tokens: &[TokenWithSpan]) -> Parsed<ConflictTarget> {
    let dialect = Postgres::default();
    let parser =
        Parser::new(&dialect).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens.to_vec());
    let mut c = Cursor { parser, text, overriding: Vec::new(), conflicts: Vec::new() };
    let parsed = elements_and_predicate(&mut c);
    parsed.map_err(|fail| Fail::Sql(explain_failure(fail, &c)))
}

fn elements_and_predicate(c: &mut Cursor<'_>) -> Parsed<ConflictTarget> {
    let elements = index_elements(c)?;
    let predicate = if c.accept("where") { Some(c.parser.parse_expr()?) } else { None };
    c.expect("do")?;
    Ok(ConflictTarget { elements, predicate })
}
