//! System catalogs: relations with PostgreSQL's OIDs, and the cache over them.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod desc;
pub mod reader;
pub mod txn;

pub use desc::{Attribute, Constraint, ConstraintKind, Index, IndexKey, Relation, RelationKind};
pub use reader::{CatalogReader, ColumnStatistics};
pub use txn::{Txn, storage_error};
