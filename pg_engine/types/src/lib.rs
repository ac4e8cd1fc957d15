//! Values, column vectors, SQL errors and every data type with its text and binary format.
//!
//! # Owns
//! * [`SqlError`]: the one error type that reaches clients, with PostgreSQL's SQLSTATE and wording.
//! * [`Value`]: one datum. [`Vector`] and [`Batch`]: a column and a set of columns, the unit the executor works in.
//! * The identity of built-in types ([`oid`], [`SqlType`]) and their input, output, send and receive functions.
//! * Two row encodings: the tuple payload stored in heaps and the order-preserving key stored in indexes.
//!
//! * What the number of a user type says, and how the rest is asked for ([`user`]).
//! * The facts of `pg_type` ([`typeinfo`]), SQL's order, equality and hash ([`compare`]), calendar and zone arithmetic
//!   ([`datetime`]), NUMERIC ([`numeric`]).
//!
//! # Invariants
//! * A value's variant is its type's physical class ([`Physical::of`]); builders, tuples and keys refuse others.
//! * Text in values and columns is UTF-8 without NUL: input, receive and the tuple decoder check it.
//! * [`compare::compare`], [`compare::hash`] and the bytes of [`key`] agree: equal values have equal hashes and equal
//!   key bytes, and keys sort as values do.
//! * Nothing here panics on bytes from clients, network or disk; every reader is tested on arbitrary input.
//!
//! The crate holds no locks and no global state.
//!
//! # What it costs
//! Instructions per value, release build, counted by callgrind over columns of 1,024 rows (Rust 1.95, x86-64):
//!
//! | operation | instructions |
//! |---|---|
//! | int4 as text / text column as text | 130 / 80 |
//! | numeric (inline) as text / float8 as text | 200 / 970 |
//! | timestamp as text / timestamptz in a zone with daylight time | 380 / 1,040 |
//! | int4 / timestamp from text | 180 / 470 |
//! | decode one int4 of an accounts row / all four columns (84 blanks checked as UTF-8) | 135 / 490 |
//! | encode an accounts row (99 bytes) | 340 |
//! | int4 index key, from a value / from a column | 80 / 105 |
//! | numeric sum / product / quotient, inline | 65 / 60 / 525 |
//! | hash of an int4 column, per row | 38 |
//!
//! # Dependencies
//! `pg_json` for the document model of json and jsonb. `jiff` for the time zone database and its rules, `ryu` and `itoa` for shortest floats and integers as text, `libm` for
//! roots and rounding without std, `foldhash` for hashing bytes.
//!
//! # Must not know
//! Catalogs, expressions, storage.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bits;
pub mod compare;
pub mod datetime;
pub mod error;
pub mod format;
pub mod geometry;
pub mod io;
pub mod json;
pub mod key;
pub mod money;
pub mod network;
pub mod numeric;
pub mod oid;
pub mod size;
pub mod tuple;
pub mod typeinfo;
pub mod user;
pub mod value;
pub mod vector;

pub use error::{Result, SqlError, SqlState};
pub use numeric::Numeric;
pub use oid::{Oid, SqlType};
pub use value::Value;
pub use vector::{Batch, ColumnData, Physical, Vector, VectorBuilder};
