//! System catalogs: relations with PostgreSQL's OIDs, and the cache over them.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod desc;

pub use desc::{Attribute, Constraint, ConstraintKind, Index, Relation, RelationKind};
