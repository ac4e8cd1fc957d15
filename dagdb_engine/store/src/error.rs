//! What can go wrong with a stored graph.

use core::fmt;

use dagdb_graph::GraphError;
use pg_storage::{RelId, StorageError};

/// What is wrong with the pieces of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A row is no piece of a graph.
    Format,
    /// A piece is there twice.
    Twice,
    /// A piece is not there.
    Missing,
    /// The graph breaks a rule that every graph keeps.
    Rule(GraphError),
}

/// An error of the store.
#[derive(Debug)]
pub enum StoreError {
    /// Of the storage.
    Storage(StorageError),
    /// Somebody else changed the graph since the transaction's snapshot was taken.
    Changed,
    /// What is stored is not a graph.
    Damaged {
        /// The graph's heap.
        heap: RelId,
        /// What is wrong.
        what: Damage,
    },
    /// The caller ended the work.
    Cancelled,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(e) => e.fmt(f),
            Self::Changed => f.write_str("could not serialize access due to concurrent update"),
            Self::Damaged { heap, what } => {
                let heap = heap.0;
                match what {
                    Damage::Format => write!(f, "a row of graph storage {heap} cannot be read"),
                    Damage::Twice => write!(f, "a part of graph storage {heap} is there twice"),
                    Damage::Missing => write!(f, "a part of graph storage {heap} is missing"),
                    Damage::Rule(e) => write!(f, "graph storage {heap} is damaged: {e}"),
                }
            }
            Self::Cancelled => f.write_str("canceling statement due to user request"),
        }
    }
}

impl core::error::Error for StoreError {}

impl From<StorageError> for StoreError {
    fn from(e: StorageError) -> Self {
        Self::Storage(e)
    }
}
