//! Runs physical plans over batches of column vectors; runs utility statements.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
