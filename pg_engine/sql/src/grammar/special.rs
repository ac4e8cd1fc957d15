//! Small forms that `sqlparser` does not know, respelled among the tokens: SUBSTRING with SIMILAR, and the alias of JOIN ... USING.

use alloc::{format, vec::Vec};

use sqlparser::{
    ast as sq,
    keywords::Keyword,
    tokenizer::{Token, TokenWithSpan, Word},
};

use super::closing;

/// What the name of such an alias begins with, at the end of USING's columns. No identifier that a client sends does.
const ALIAS: &str = "\0as ";

/// The alias that a name at the end of USING's columns stands for.
pub(crate) fn join_alias(name: &sq::Ident) -> Option<&str> {
    name.value.strip_prefix(ALIAS)
}

fn word(t: Option<&TokenWithSpan>, w: &str) -> bool {
    matches!(t.map(|t| &t.token), Some(Token::Word(x)) if x.quote_style.is_none() && x.value == w)
}

/// `substring(a SIMILAR b ESCAPE c)` is `substring(a, b, c)`.
pub(super) fn respell_similar(tokens: &mut [TokenWithSpan]) {
    let mut i = 0;
    while i + 1 < tokens.len() {
        i += 1;
        let opens =
            tokens.get(i).is_some_and(|t| t.token == Token::LParen) && word(tokens.get(i - 1), "substring");
        let Some(end) = opens.then(|| closing(tokens, i)).flatten() else { continue };
        let (mut depth, mut similar) = (0usize, None);
        for at in i + 1..end {
            match tokens.get(at).map(|t| &t.token) {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => depth = depth.saturating_sub(1),
                _ if depth > 0 => {}
                _ if word(tokens.get(at), "similar") && !word(tokens.get(at + 1), "to") => similar = Some(at),
                _ => {
                    let escape = similar.filter(|_| word(tokens.get(at), "escape"));
                    for at in escape.into_iter().flat_map(|s| [s, at]) {
                        if let Some(t) = tokens.get_mut(at) {
                            t.token = Token::Comma;
                        }
                    }
                }
            }
        }
    }
}

/// `USING (a, b) AS j`: the alias becomes one more name.
pub(super) fn mark_join_aliases(tokens: &mut Vec<TokenWithSpan>) {
    let mut i = 0;
    while i + 1 < tokens.len() {
        i += 1;
        let opens =
            tokens.get(i).is_some_and(|t| t.token == Token::LParen) && word(tokens.get(i - 1), "using");
        let Some(end) = opens.then(|| closing(tokens, i)).flatten() else { continue };
        // Names only: DELETE and MERGE have subqueries there.
        let names = tokens.get(i + 1..end).unwrap_or(&[]);
        let plain = names.iter().all(|t| matches!(t.token, Token::Word(_) | Token::Comma));
        if !plain || names.is_empty() || !word(tokens.get(end + 1), "as") {
            continue;
        }
        let Some(TokenWithSpan { token: Token::Word(alias), span }) = tokens.get(end + 2) else { continue };
        let (value, span) = (format!("{ALIAS}{}", alias.value), *span);
        let name = Token::Word(Word { value, quote_style: Some('"'), keyword: Keyword::NoKeyword });
        tokens.drain(end + 1..=end + 2);
        let added = [Token::Comma, name].map(|token| TokenWithSpan { token, span });
        tokens.splice(end..end, added);
    }
}
