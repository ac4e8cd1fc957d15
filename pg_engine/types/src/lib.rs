//! Values, column vectors, SQL errors and every data type with its text and binary format.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
