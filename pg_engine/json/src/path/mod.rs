//! SQL/JSON path expressions: the `jsonpath` type.

mod lexer;
mod parser;
mod write;

use alloc::{boxed::Box, string::String, vec::Vec};

/// Expressions within each other; deeper ones are refused.
pub const MAX_PATH_DEPTH: usize = 128;

/// A path expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// `lax`, the default; otherwise `strict`.
    pub lax: bool,
    /// The expression.
    pub root: Expr,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// null
    Null,
    /// true, false
    Bool(bool),
    /// Canonical decimal text.
    Number(Box<str>),
    /// A string.
    String(Box<str>),
    /// `$name`
    Variable(Box<str>),
    /// `$`
    Root,
    /// `@`
    Current,
    /// `last`
    Last,
    /// Two operands.
    Binary(Operator, Box<Expr>, Box<Expr>),
    /// `+x`
    Plus(Box<Expr>),
    /// `-x`
    Minus(Box<Expr>),
    /// `!(x)`
    Not(Box<Expr>),
    /// `(x) is unknown`
    IsUnknown(Box<Expr>),
    /// `exists (x)`
    Exists(Box<Expr>),
    /// `x like_regex "pattern" flag "flags"`
    LikeRegex(Box<Expr>, Box<str>, Box<str>),
    /// Steps from what an expression yields.
    Chain(Box<Expr>, Vec<Step>),
}

/// Operators of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    StartsWith,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `.key`
    Key(Box<str>),
    /// `.*`
    AnyKey,
    /// `[*]`
    AnyElement,
    /// `[i, j to k]`
    Elements(Vec<(Expr, Option<Expr>)>),
    /// `.**{first to last}`
    Any(Level, Level),
    /// `?(condition)`
    Filter(Box<Expr>),
    /// `.method()`
    Method(Method),
    /// `.datetime(template)`
    Datetime(Option<Box<str>>),
}

/// A depth below the current item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// So many levels.
    At(u32),
    /// The leaves; as an upper bound any depth.
    Last,
}

/// Methods without arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Method {
    Type,
    Size,
    Abs,
    Floor,
    Ceiling,
    Double,
    KeyValue,
}

/// Why text is no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// Nothing but white space.
    Empty,
    /// A message, and the text at fault; at the end of input there is none.
    Syntax(&'static str, Option<String>),
    /// `@` outside of a filter.
    CurrentInRoot,
    /// `last` outside of subscripts.
    LastOutside,
    /// A flag of like_regex that does not exist.
    Flag(char),
    /// The flag `x`.
    Expanded,
    /// Nested beyond [`MAX_PATH_DEPTH`].
    TooDeep,
    /// An array accessor's or `**` level that is no 32-bit number.
    Level(String),
    /// A number or string that is none.
    Value(crate::JsonError),
}

impl Path {
    /// Reads text.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        parser::parse(text)
    }
}
