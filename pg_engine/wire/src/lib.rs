//! PostgreSQL protocol 3.0: framing, decoding, encoding, and SCRAM-SHA-256.
//!
//! Bytes in, typed messages out, and back; nothing here reads a socket or keeps a session.
//!
//! # Owns
//! * [`frame`]: where one message ends and the next begins, with PostgreSQL's size limits.
//! * [`frontend`]: messages of a client ([`frontend::Frontend`], [`frontend::Startup`]), borrowed from the input buffer.
//! * [`backend`]: messages of the server, appended to one output buffer ([`backend::Encoder`]) without any allocation
//!   of their own.
//! * [`transcode`]: messages of clients with another character set.
//! * [`scram`]: both sides of SCRAM-SHA-256 and the stored verifier; [`saslprep`] prepares passwords for it.
//!
//! # Invariants
//! * Decoding never panics and never allocates more than the input is long, whatever the bytes.
//! * A message decoded from an encoding is the message encoded.
//! * Every encoder method leaves the buffer at a message boundary, except between [`backend::Encoder::begin_row`] and
//!   [`backend::Encoder::end_row`].
//!
//! # Dependencies
//! `pg_encoding` for clients that do not speak UTF-8, `sha2`, `hmac`, `pbkdf2`, `base64` for SCRAM, `unicode-normalization` for SASLprep, `itoa` for row counts.
//!
//! # Must not know
//! Sessions, statements, how values are written as text.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod backend;
pub mod error;
pub mod frame;
pub mod frontend;
pub mod saslprep;
pub mod scram;
pub mod transcode;

pub use backend::{Encoder, Severity, Status};
pub use error::WireError;
pub use frontend::{Frontend, Startup};
