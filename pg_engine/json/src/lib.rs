//! The document model of `json` and `jsonb`.
//!
//! # Owns
//! * [`parse`]: RFC 8259 text to a tree of [`Span`]s that remember the text they came from, with errors that say what
//!   PostgreSQL's say.
//! * [`Json`]: a document under construction; [`Jsonb`]: a finished one in its binary form; [`View`]: a value inside.
//! * [`path`]: the `jsonpath` language, read and written.
//! * Order, equality and hash of documents, their text, numbers as canonical decimal text ([`number`]).
//!
//! # Invariants
//! * A [`Jsonb`] was checked as a whole: lengths, UTF-8, numbers, keys strictly ascending by length then bytes, depth.
//!   Readers still never index beyond what is there.
//! * Equal documents have equal hashes; 1.0 and 1.00 are equal and keep their scales.
//! * Nothing recurses deeper than [`MAX_DEPTH`].
//!
//! # Dependencies
//! `foldhash` for hashing strings.
//!
//! # Must not know
//! SQL types, SQL errors, the session.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod binary;
mod compare;
mod error;
mod lexer;
pub mod number;
mod parse;
pub mod path;
#[cfg(test)]
mod tests;
mod tree;
mod write;

pub use binary::{Corrupt, Jsonb, Kind, View};
pub use error::{JsonError, Syntax, SyntaxKind};
pub use lexer::Token;
pub use parse::{Span, SpanKind, parse, validate};
pub use tree::Json;
pub use write::{quote, write_pretty};

/// Containers within each other; deeper documents are refused. Far beyond what documents have, well within a stack.
pub const MAX_DEPTH: usize = 512;

/// Most bytes of a string, and of a container's members together.
pub const MAX_BYTES: usize = 0x0fff_ffff;
