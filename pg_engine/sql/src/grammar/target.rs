//! Targets of assignments with subscripts, as in `SET a[1] = ..` and `INSERT INTO t (a[2:3], c.f[1])`: `sqlparser` knows names
//! there only. A run of subscripts becomes one more quoted part of the name, which holds their text.

use alloc::{format, string::String, vec::Vec};

use pg_types::Result;
use sqlparser::{
    ast as sq,
    keywords::Keyword,
    parser::Parser,
    tokenizer::{Location, Token, TokenWithSpan, Word},
};

use super::{Fail, MAX_DEPTH, byte, cursor::Cursor, explain_failure};
use crate::{dialect::Postgres, lexer};

/// What such a part begins with. No identifier that a client sends does.
const MARK: &str = "\0part";

fn is_word(token: Option<&TokenWithSpan>, words: &[&str]) -> bool {
    matches!(token.map(|t| &t.token), Some(Token::Word(w)) if w.quote_style.is_none() && words.contains(&w.value.as_str()))
}

fn is(tokens: &[TokenWithSpan], at: usize, wanted: &Token) -> bool {
    tokens.get(at).is_some_and(|t| t.token == *wanted)
}

/// Behind the bracket that closes the one at `open`.
fn behind_bracket(tokens: &[TokenWithSpan], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (n, t) in tokens.iter().enumerate().skip(open) {
        match t.token {
            Token::LBracket => depth += 1,
            Token::RBracket if depth == 1 => return Some(n + 1),
            Token::RBracket => depth -= 1,
            Token::SemiColon | Token::EOF => return None,
            _ => {}
        }
    }
    None
}

/// A target from `from` on: where it ends, and its runs of subscripts.
fn target(tokens: &[TokenWithSpan], from: usize) -> Option<(usize, Vec<(usize, usize)>)> {
    let mut runs = Vec::new();
    let mut at = from;
    loop {
        if !matches!(tokens.get(at)?.token, Token::Word(_)) {
            return None;
        }
        at += 1;
        let begin = at;
        while is(tokens, at, &Token::LBracket) {
            at = behind_bracket(tokens, at)?;
        }
        if at > begin {
            runs.push((begin, at));
        }
        if !is(tokens, at, &Token::Period) {
            return Some((at, runs));
        }
        at += 1;
    }
}

/// A list of targets in parentheses, or one target: where it ends, and all runs of subscripts.
fn targets(tokens: &[TokenWithSpan], from: usize) -> Option<(usize, Vec<(usize, usize)>)> {
    if !is(tokens, from, &Token::LParen) {
        return target(tokens, from);
    }
    let mut at = from + 1;
    let mut all = Vec::new();
    loop {
        let (end, runs) = target(tokens, at)?;
        all.extend(runs);
        if is(tokens, end, &Token::RParen) {
            return Some((end + 1, all));
        }
        if !is(tokens, end, &Token::Comma) {
            return None;
        }
        at = end + 1;
    }
}

/// Puts names in place of runs of subscripts, the last first.
fn replace(tokens: &mut Vec<TokenWithSpan>, runs: &[(usize, usize)], text: &str) {
    for (from, to) in runs.iter().rev() {
        let (Some(first), Some(last)) = (tokens.get(*from), tokens.get(to.saturating_sub(1))) else { return };
        let inside = text.get(byte(first.span.start)..byte(last.span.end)).unwrap_or("");
        let span = first.span;
        let word =
            Word { value: format!("{MARK}{inside}"), quote_style: Some('"'), keyword: Keyword::NoKeyword };
        let spelled = [Token::Period, Token::Word(word)].map(|token| TokenWithSpan { token, span });
        tokens.splice(*from..*to, spelled);
    }
}

/// The next comma of a SET clause that goes on at `from`.
fn next_assignment(tokens: &[TokenWithSpan], from: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (n, t) in tokens.iter().enumerate().skip(from) {
        match t.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.checked_sub(1)?,
            Token::Comma if depth == 0 => return Some(n + 1),
            Token::SemiColon | Token::EOF => return None,
            Token::Word(_) if depth == 0 && is_word(Some(t), &["where", "returning", "set"]) => return None,
            _ => {}
        }
    }
    None
}

/// Marks the targets of SET clauses and of INSERT.
pub(super) fn mark_parts(tokens: &mut Vec<TokenWithSpan>, text: &str) {
    if !tokens.iter().any(|t| t.token == Token::LBracket) {
        return;
    }
    let mut i = 0;
    while i < tokens.len() {
        i += 1;
        if is_word(tokens.get(i - 1), &["set"]) {
            let mut at = Some(i);
            while let Some(from) = at {
                if let Some((end, runs)) = targets(tokens, from)
                    && is(tokens, end, &Token::Eq)
                {
                    replace(tokens, &runs, text);
                }
                at = next_assignment(tokens, from);
            }
        } else if is_word(tokens.get(i - 1), &["insert"]) && is(tokens, i, &Token::LParen) {
            // Of MERGE.
            if let Some((_, runs)) = targets(tokens, i) {
                replace(tokens, &runs, text);
            }
        } else if is_word(tokens.get(i - 1), &["into"]) && i > 1 && is_word(tokens.get(i - 2), &["insert"]) {
            let Some((mut at, none)) = target(tokens, i) else { continue };
            if is_word(tokens.get(at), &["as"]) {
                at += 2;
            } else if matches!(tokens.get(at).map(|t| &t.token), Some(Token::Word(_)))
                && !is_word(tokens.get(at), &["values", "select", "default", "with", "table"])
            {
                at += 1;
            }
            if none.is_empty()
                && is(tokens, at, &Token::LParen)
                && let Some((_, runs)) = targets(tokens, at)
            {
                replace(tokens, &runs, text);
            }
        }
    }
}

/// The subscripts that a part of a target's name stands for; `source` is the statement's text.
pub(crate) fn subscripts(part: &sq::Ident, source: &str) -> Result<Option<Vec<sq::AccessExpr>>> {
    let Some(inside) = part.value.strip_prefix(MARK) else { return Ok(None) };
    let text: String = format!("a{inside}");
    let mut tokens = lexer::tokenize(&text)?;
    let begin = part.span.start;
    let moved = |l: Location| Location {
        line: (l.line + begin.line).saturating_sub(2),
        column: (l.column + begin.column).saturating_sub(2),
    };
    for t in &mut tokens {
        t.span.start = moved(t.span.start);
        t.span.end = moved(t.span.end);
    }
    let dialect = Postgres::default();
    let parser = Parser::new(&dialect).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
    let mut cursor = Cursor { parser, text: source, overriding: Vec::new(), conflicts: Vec::new() };
    let parsed = cursor.parser.parse_expr().map_err(Fail::from);
    match parsed.and_then(|e| cursor.end_of_statement().map(|()| e)) {
        Ok(sq::Expr::CompoundFieldAccess { access_chain, .. }) => Ok(Some(access_chain)),
        Ok(_) => Err(pg_types::SqlError::syntax("syntax error at or near \"[\"").at(super::position(begin))),
        Err(fail) => Err(explain_failure(fail, &cursor)),
    }
}
