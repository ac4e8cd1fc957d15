//! Values, column vectors, SQL errors and every data type with its text and binary format.
//!
//! # Owns
//! * [`SqlError`]: the one error type that reaches clients, with PostgreSQL's SQLSTATE and wording.
//! * [`Value`]: one datum. [`Vector`] and [`Batch`]: a column and a set of columns, the unit the executor works in.
//! * The identity of built-in types ([`oid`], [`SqlType`]) and their input, output, send and receive functions.
//! * Two row encodings: the tuple payload stored in heaps and the order-preserving key stored in indexes.
//!
//! # Must not know
//! Catalogs, expressions, storage.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod compare;
pub mod datetime;
pub mod error;
pub mod format;
pub mod io;
pub mod key;
pub mod numeric;
pub mod oid;
pub mod tuple;
pub mod typeinfo;
pub mod value;
pub mod vector;

pub use error::{Result, SqlError, SqlState};
pub use numeric::Numeric;
pub use oid::{Oid, SqlType};
pub use value::Value;
pub use vector::{Batch, ColumnData, Physical, Vector, VectorBuilder};
