//! Parser front end and binder: SQL text to bound queries.
//!
//! # Owns
//! * Lexing by PostgreSQL's rules, the grammar (`sqlparser` for expressions and queries, own code for utility
//!   statements), error positions and wording.
//! * Name resolution, PostgreSQL's operator and function resolution, coercions, parameter types.
//! * Canonical text of expressions that are stored in catalogs ([`deparse`]) and binding such text again
//!   ([`bind_scalar`]); of queries, as views are stored and shown ([`ViewQuery`]); of conditions
//!   over a relation ([`Condition`]).
//!
//! # Must not know
//! How plans are made or run, where catalogs are stored.
//!
//! # Limits
//! Nesting of expressions and queries is bounded (54001), as worker stacks are small.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod api;
mod ast;
mod bind;
mod deparse;
mod dialect;
mod escapes;
pub mod fingerprint;
mod grammar;
mod keywords;
mod lexer;
pub mod normalize;
mod ruleutils;

pub use api::{
    BindOptions, ParsedStatement, StatementKind, bind, bind_body, bind_scalar, body_text, changeable_columns,
    check_body, deparse, parse,
};
pub use bind::body::BoundBody;
pub use escapes::with_escapes;
pub use keywords::keyword_rows;
pub use ruleutils::{Condition, ViewQuery, ViewText};
