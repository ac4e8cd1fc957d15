//! The storage facade: opens a volume, recovers it and hands out transactions, heaps and indexes.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
