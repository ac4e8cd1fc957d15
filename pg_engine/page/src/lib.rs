//! Pages: 8 KiB units of storage, their identity and checksum, and the only ways to change one.
//!
//! This cell also holds the vocabulary every storage cell shares: [`Lsn`], [`Xid`], [`RelId`], [`Tid`] and
//! [`StorageError`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
mod ids;

pub use error::StorageError;
pub use ids::{CommandId, Lsn, RelId, Tid, Xid};

/// Bytes of a page.
pub const PAGE_SIZE: usize = 8192;
