//! TABLESAMPLE for `sqlparser`, which knows two methods and a literal behind REPEATABLE: the clause becomes a call, whose last
//! argument is REPEATABLE's.

use alloc::{format, vec::Vec};

use sqlparser::{
    ast as sq,
    tokenizer::{Token, TokenWithSpan, Word},
};

use super::closing;

/// What the call's name begins with. No identifier that a client sends begins so.
const PLAIN: &str = "\0sample ";
/// The same with REPEATABLE.
const REPEATABLE: &str = "\0repeat ";

/// A clause.
pub(crate) struct Sample<'a> {
    /// Its method, and where that is written.
    pub(crate) method: &'a sq::Ident,
    /// As it was written.
    pub(crate) name: &'a str,
    /// The method's arguments.
    pub(crate) args: Vec<&'a sq::Expr>,
    /// REPEATABLE.
    pub(crate) seed: Option<&'a sq::Expr>,
}

fn word(tokens: &[TokenWithSpan], at: usize) -> Option<&Word> {
    match tokens.get(at).map(|t| &t.token) {
        Some(Token::Word(w)) => Some(w),
        _ => None,
    }
}

fn is(tokens: &[TokenWithSpan], at: usize, wanted: &str) -> bool {
    word(tokens, at).is_some_and(|w| w.quote_style.is_none() && w.value == wanted)
}

/// Makes calls of the clauses.
pub(super) fn mark(tokens: &mut Vec<TokenWithSpan>) {
    let mut i = 0;
    while i + 2 < tokens.len() {
        i += 1;
        let open = |at: usize| tokens.get(at).is_some_and(|t| t.token == Token::LParen);
        if !is(tokens, i - 1, "tablesample") || !open(i + 1) {
            continue;
        }
        let (Some(method), Some(end)) = (word(tokens, i).map(|w| w.value.clone()), closing(tokens, i + 1))
        else {
            continue;
        };
        let repeatable = is(tokens, end + 1, "repeatable") && open(end + 2);
        if repeatable {
            tokens.drain(end + 1..end + 3);
            if let Some(t) = tokens.get_mut(end) {
                t.token = Token::Comma;
            }
        }
        if let Some(t) = tokens.get_mut(i) {
            let value = format!("{}{method}", if repeatable { REPEATABLE } else { PLAIN });
            let keyword = sqlparser::keywords::Keyword::NoKeyword;
            t.token = Token::Word(Word { value, quote_style: Some('"'), keyword });
        }
    }
}

/// Reads a clause; `None`: it is not written as PostgreSQL's are.
pub(crate) fn read(kind: &sq::TableSampleKind) -> Option<Sample<'_>> {
    let (sq::TableSampleKind::BeforeTableAlias(sample) | sq::TableSampleKind::AfterTableAlias(sample)) = kind;
    let quantity = sample.quantity.as_ref().filter(|q| q.unit.is_none() && !q.parenthesized)?;
    if sample.name.is_some() || sample.seed.is_some() || sample.offset.is_some() {
        return None;
    }
    let sq::Expr::Function(call) = &quantity.value else { return None };
    let [sq::ObjectNamePart::Identifier(method)] = call.name.0.as_slice() else { return None };
    let sq::FunctionArguments::List(list) = &call.args else { return None };
    let mut args = Vec::new();
    for arg in &list.args {
        match arg {
            sq::FunctionArg::Unnamed(sq::FunctionArgExpr::Expr(e)) => args.push(e),
            _ => return None,
        }
    }
    if let Some(name) = method.value.strip_prefix(REPEATABLE) {
        let seed = Some(args.pop()?);
        return Some(Sample { method, name, args, seed });
    }
    let name = method.value.strip_prefix(PLAIN)?;
    Some(Sample { method, name, args, seed: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str) -> alloc::string::String {
        let mut tokens = crate::lexer::tokenize(text).unwrap();
        mark(&mut tokens);
        tokens.iter().map(|t| format!("{} ", t.token)).collect()
    }

    #[test]
    fn clauses_become_calls() {
        assert!(
            marked("a TABLESAMPLE system (1) REPEATABLE (2 + 3)").contains("repeat system\" ( 1 , 2 + 3 )")
        );
        assert!(marked("a tablesample Bernoulli (1), b").contains("sample bernoulli\" ( 1 ) , b"));
        assert!(!marked("a tablesample b").contains("\0sample b"));
    }
}
