//! Joins on the right of joins: `a JOIN b CROSS JOIN c ON p` is `a JOIN (b CROSS JOIN c) ON p`. `sqlparser` takes a condition for the
//! innermost join only, so that the parentheses are put among the tokens.

use alloc::vec::Vec;

use sqlparser::tokenizer::{Token, TokenWithSpan};

/// A join that waits for its condition.
struct Open {
    /// Where its right side begins.
    right: usize,
    /// Is there a join on its right side?
    nests: bool,
}

fn word(t: Option<&TokenWithSpan>) -> Option<&str> {
    match t.map(|t| &t.token) {
        Some(Token::Word(w)) if w.quote_style.is_none() => Some(&w.value),
        _ => None,
    }
}

/// Does the JOIN at a place take a condition?
fn is_qualified(tokens: &[TokenWithSpan], join: usize) -> bool {
    let before = |n: usize| join.checked_sub(n).and_then(|at| word(tokens.get(at)));
    let kind = match before(1) {
        Some("outer") => 3,
        Some("inner" | "left" | "right" | "full") => 2,
        _ => 1,
    };
    !matches!(before(kind), Some("cross" | "natural"))
}

/// Puts parentheses around joins that stand between a join and its condition.
pub(super) fn nest(tokens: &mut Vec<TokenWithSpan>) {
    // One level for each open parenthesis; parentheses are many more than joins.
    let mut levels: Vec<Vec<Open>> = Vec::from([Vec::new()]);
    let mut added: Vec<(usize, Token)> = Vec::new();
    for (at, t) in tokens.iter().enumerate() {
        match &t.token {
            Token::LParen => levels.push(Vec::new()),
            Token::RParen if levels.len() > 1 => drop(levels.pop()),
            Token::SemiColon => levels = Vec::from([Vec::new()]),
            Token::Word(w) if w.quote_style.is_none() => {
                let Some(level) = levels.last_mut() else { continue };
                match w.value.as_str() {
                    "join" => {
                        level.iter_mut().for_each(|open| open.nests = true);
                        if is_qualified(tokens, at) {
                            level.push(Open { right: at + 1, nests: false });
                        }
                    }
                    "on" | "using" => {
                        if let Some(open) = level.pop().filter(|open| open.nests) {
                            added.push((open.right, Token::LParen));
                            added.push((at, Token::RParen));
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    // From the end, so that places stay right; of several at one place, what closes comes first.
    added.sort_by_key(|(at, token)| (*at, *token == Token::LParen));
    for (at, token) in added.into_iter().rev() {
        if let Some(span) = tokens.get(at).map(|t| t.span) {
            tokens.insert(at, TokenWithSpan { token, span });
        }
    }
}
