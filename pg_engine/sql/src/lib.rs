//! Parser front end and binder: SQL text to bound queries.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
