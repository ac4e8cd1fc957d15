//! The query language: text to [`Command`], and back.
//!
//! A command is a line of words; verbs and keywords are written in any case, paths keep theirs and may be quoted. Predicates
//! compare `truth` (or `state`), `rank` and `type` with numbers and are joined by AND, OR, NOT and parentheses. What a command
//! does is not decided here: numbers of nodes are not looked up, paths not opened.
//!
//! # Invariants
//! * Any text is parsed or refused with the position of what is wrong; its length and the depth of nesting are limited.
//! * What [`Command`]'s `Display` writes parses to the same command.
//!
//! # What it must not know
//! Graphs' contents, storage, SQL.
//!
//! # Dependencies
//! `winnow` cuts text into tokens; `dagdb_graph` names the tables and `dagdb_compare` the metrics; `thiserror` for the error type.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod command;
mod error;
mod grammar;
mod predicate;
mod print;
mod token;

pub use command::{Backup, Command, Format, Gate, Range, Record};
pub use dagdb_compare::Metric;
pub use error::{MAX_DEPTH, MAX_LENGTH, Problem, SyntaxError};
pub use grammar::parse;
pub use predicate::{Comparison, Field, Predicate};
