//! PostgreSQL protocol 3.0 messages: encode and decode, and SCRAM-SHA-256.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
