//! Character sets that clients may speak, to and from UTF-8, which everything inside is.
//!
//! # Owns
//! * [`Encoding`]: PostgreSQL's list with its numbers, names and aliases, and how long a character is in each.
//! * [`Encoding::decode`], [`Encoding::encode`]: conversion with PostgreSQL's errors: 22021 for bytes that are no character
//!   of the set at all, 22P05 for characters without a counterpart.
//! * [`Decoder`]: decoding of a text that comes in pieces.
//!
//! # Invariants
//! * What is decoded is UTF-8 without NUL; what is encoded decodes to the same text.
//! * Decoding never panics, whatever the bytes.
//!
//! # Differences from PostgreSQL
//! EUC_TW, JOHAB, EUC_JIS_2004, SHIFT_JIS_2004 and MULE_INTERNAL are known by name and not converted. The eastern Asian sets
//! follow the Encoding Standard's tables; a few hundred of their rarer characters (BIG5: 267, GB18030: 20, EUC_CN: 2) are
//! other ones than in PostgreSQL's. Sets of one byte a character are exactly PostgreSQL's.
//!
//! # Dependencies
//! `encoding_rs`: the tables and their converters; it builds without std.
//!
//! # Must not know
//! Messages, settings, files.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod charset;
mod decode;
mod encode;
mod error;

pub use charset::Encoding;
pub use decode::Decoder;
