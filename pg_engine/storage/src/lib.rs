//! The storage facade: opens a volume, recovers it and hands out transactions, heaps and indexes.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

/// Names a relation's storage on the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelId(pub u32);
