//! Text to tokens.

use alloc::{string::String, vec::Vec};

use winnow::{
    LocatingSlice, Parser, Result,
    ascii::multispace0,
    combinator::{alt, delimited, repeat, terminated},
    error::EmptyError,
    stream::Location,
    token::{literal, take_till, take_while},
};

use crate::{MAX_LENGTH, Problem, SyntaxError};

/// What a text is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Letters, digits and whatever else is no space, operator, parenthesis or quote.
    Word(String),
    /// In quotes; a doubled quote is one.
    Quoted(String),
    /// `=`, `<>`, `(` and so on.
    Symbol(&'static str),
}

/// A token and where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its bytes of the text.
    pub span: core::ops::Range<usize>,
}

type Input<'a> = LocatingSlice<&'a str>;

fn symbol<'a>(input: &mut Input<'a>) -> Result<Kind, EmptyError> {
    // Longer ones first.
    let two = alt((
        literal("<=").value("<="),
        literal(">=").value(">="),
        literal("!=").value("!="),
        literal("<>").value("!="),
    ));
    let one = alt((
        literal("=").value("="),
        literal("<").value("<"),
        literal(">").value(">"),
        literal("(").value("("),
        literal(")").value(")"),
        literal(";").value(";"),
    ));
    alt((two, one)).map(Kind::Symbol).parse_next(input)
}

fn quoted(input: &mut Input<'_>) -> Result<Kind, EmptyError> {
    let piece = alt((take_till(1.., '\''), literal("''").value("'")));
    let inner = repeat(0.., piece).fold(String::new, |mut all, piece: &str| {
        all.push_str(piece);
        all
    });
    delimited('\'', inner, '\'').map(Kind::Quoted).parse_next(input)
}

fn word(input: &mut Input<'_>) -> Result<Kind, EmptyError> {
    take_while(1.., |c: char| !c.is_whitespace() && !"=!<>();'".contains(c))
        .map(|w: &str| Kind::Word(w.into()))
        .parse_next(input)
}

/// All tokens of a text.
pub fn tokens(text: &str) -> core::result::Result<Vec<Token>, SyntaxError> {
    if text.len() > MAX_LENGTH {
        return Err(SyntaxError { at: MAX_LENGTH, problem: Problem::TooLong });
    }
    let mut input = LocatingSlice::new(text);
    let mut space = multispace0::<_, EmptyError>;
    let mut tokens = Vec::new();
    let _ = space.parse_next(&mut input);
    while !input.is_empty() {
        let at = input.current_token_start();
        let token = terminated(alt((word, symbol, quoted)).with_span(), multispace0).parse_next(&mut input);
        let Ok((kind, span)) = token else {
            let rest = text.get(at..).unwrap_or("");
            let found = rest.chars().next().map(String::from).unwrap_or_default();
            let problem = match rest.starts_with('\'') {
                true => Problem::Unterminated,
                false => {
                    Problem::Unexpected { found, expected: "a word, a number, an operator or a quoted path" }
                }
            };
            return Err(SyntaxError { at, problem });
        };
        tokens.push(Token { kind, span });
    }
    Ok(tokens)
}
