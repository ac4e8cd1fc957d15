//! System catalogs: relations with PostgreSQL's OIDs, and the cache over them.
//!
//! # Owns
//! * The definitions of the catalogs ([`builtin`]), their rows on a new volume and the map that says where they are
//!   stored ([`bootstrap`]).
//! * Descriptions of relations ([`desc`]) made from catalog rows and shared ([`Catalog`]); what binder and planner may
//!   ask ([`CatalogReader`]).
//! * Lists of privileges ([`acl`]), roles ([`Roles`]) and what a statement needs of a relation ([`access`]).
//! * Index keys ([`keys`]), rows of catalogs by column name ([`table`]).
//!
//! # Invariants
//! * A description is never changed. [`Catalog::version`] tells whether one may still be used: it changes with every
//!   commit of catalog changes and matches nothing while one is under way. Whoever relies on a description first locks
//!   the relation, then compares versions.
//! * Built-in rows follow the type table and the function registry; a fingerprint on the volume says from which
//!   release they are, and opening renews them.
//!
//! # Lock order
//! The cache's lock is a leaf: nothing else is taken under it, no I/O happens under it.
//!
//! # Must not know
//! SQL text, plans, sessions.
//!
//! # Dependencies
//! `pg_types` (values, row and key codecs), `pg_functions` (the registry that builtin rows come from), `pg_storage`,
//! `platform` (locks), `hashbrown` (maps without std), `log`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod access;
mod access_views;
pub mod acl;
pub mod acl_text;
pub mod bootstrap;
pub mod builtin;
pub mod cache;
pub mod databases;
pub mod desc;
pub mod extended;
mod graph;
pub mod keys;
mod monitor_views;
pub mod operator;
pub mod reader;
pub mod roles;
pub mod routine;
mod routine_views;
pub mod shared;
pub mod statistics;
pub mod table;
pub mod txn;
mod type_views;
pub mod user_types;
pub mod views;

pub use access::{Access, Policy, Security};
pub use cache::{Catalog, PG_TEMP, Reader};
pub use desc::{
    Attribute, CheckOption, Constraint, ConstraintKind, ForeignKey, Index, IndexKey, IndexMethod, Relation,
    RelationKind, Toast,
};
pub use graph::GraphFacts;
pub use operator::{UserCast, UserOperator};
pub use reader::{CatalogReader, ColumnStatistics};
pub use roles::Roles;
pub use routine::{AggregateOf, Argument, Routine, RoutineKind};
pub use txn::{DeferredCheck, LargeDescriptor, Txn, storage_error};
