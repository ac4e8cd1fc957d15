//! Built-in functions, operators, casts and aggregates.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
