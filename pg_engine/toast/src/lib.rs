//! Large values, kept so that rows stay small.
//!
//! A row above about 2 KB has its largest values compressed, and if that is not enough moved to a relation beside the table:
//! the row keeps a pointer ([`pg_types::tuple::External`]). The relation is an ordinary heap of chunks (`chunk_id`, `chunk_seq`,
//! `chunk_data`) with a B-tree over the first two, so that its pages are logged, recovered, vacuumed, backed up and verified as
//! those of any table.
//!
//! # Owns
//! * [`shrink`]: which values of a row to compress and to move out, in PostgreSQL's order.
//! * [`chunks`]: writing, reading and deleting values as chunks.
//! * [`block`]: LZ4 blocks.
//!
//! # Invariants
//! * A value is written once and never changed; replacing it writes another one and deletes the chunks of the old one, by the
//!   transaction that replaces or deletes the row version that points to it. So chunks are visible to exactly those who see
//!   the row, and are read by id whatever the snapshot.
//! * An id is not used again while chunks with it are left, live or dead.
//! * At most one row version that counts points to a value: an update that keeps the value hands the pointer on.
//! * Values are read with no page latched.
//!
//! # Must not know
//! Catalogs: callers say where a table's values are and how its columns are stored.
//!
//! # Dependencies
//! `pg_types` (the row format, keys), `pg_storage` (heaps, indexes), `lz4_flex` (the LZ4 block format in safe Rust; without `std`
//! and without its frame format).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod block;
pub mod chunks;
pub mod shrink;

use core::fmt;

use pg_storage::{RelId, StorageError};
use pg_types::SqlError;

pub use shrink::{Rules, Strategy};

/// Where the large values of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The chunks.
    pub heap: RelId,
    /// The B-tree over them.
    pub index: RelId,
}

/// Lets others run, and ends the work with an error when the statement was cancelled.
pub type Pause<'p> = &'p mut dyn FnMut() -> core::result::Result<(), SqlError>;

/// What can go wrong.
#[derive(Debug)]
pub enum ToastError {
    /// Of the storage.
    Storage(StorageError),
    /// Of the row's format, or from the caller's pause.
    Value(SqlError),
    /// A chunk is not there or not what it should be.
    Chunk {
        /// Of this value.
        id: u32,
        /// In this heap.
        heap: RelId,
        /// Its number.
        seq: u32,
        /// What is wrong.
        what: Fault,
    },
    /// What is stored is not an LZ4 block of a value of the right length.
    Block,
    /// There is no memory for a value of so many bytes.
    Memory(usize),
}

/// What is wrong with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It has another number, or another length than it must have.
    Unexpected,
    /// It is gone already.
    Deleted,
}

impl fmt::Display for ToastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(e) => e.fmt(f),
            Self::Value(e) => f.write_str(e.message()),
            Self::Chunk { id, heap, seq, what: Fault::Missing } => {
                write!(f, "missing chunk number {seq} for toast value {id} in relation {}", heap.0)
            }
            Self::Chunk { id, heap, seq, what: Fault::Unexpected } => {
                write!(f, "unexpected chunk number {seq} for toast value {id} in relation {}", heap.0)
            }
            Self::Chunk { id, heap, seq, what: Fault::Deleted } => {
                write!(f, "chunk number {seq} of toast value {id} in relation {} is deleted already", heap.0)
            }
            Self::Block => f.write_str("compressed data is corrupt"),
            Self::Memory(n) => write!(f, "out of memory: a value of {n} bytes"),
        }
    }
}

impl core::error::Error for ToastError {}

impl From<StorageError> for ToastError {
    fn from(e: StorageError) -> Self {
        Self::Storage(e)
    }
}

impl From<SqlError> for ToastError {
    fn from(e: SqlError) -> Self {
        Self::Value(e)
    }
}

pub(crate) type Result<T> = core::result::Result<T, ToastError>;
