//! Bound queries to physical plans.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
