//! Built-in functions, operators, casts and aggregates, under PostgreSQL's names and OIDs.
//!
//! Everything callable from SQL is a row of a static table here: the binder resolves names against it, the executor
//! calls through it, and the catalog cell fills `pg_proc`, `pg_operator`, `pg_cast` and `pg_aggregate` from it, so the
//! three cannot disagree.
//!
//! Regular expressions are `regex-automata`'s, which knows Unicode and takes linear time; those with back references or look-around
//! are `fancy-regex`'s, which builds on it. `normalize` is `unicode-normalization`'s.
//!
//! # Must not know
//! Storage, plans. What needs the session or the catalog goes through [`Host`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod aggregate;
#[cfg(test)]
mod behaviour_tests;
mod call;
pub mod cast;
mod datetime;
pub mod def;
mod errors;
mod geometry;
mod json;
mod kernel;
mod leakproof;
mod names;
pub mod order;
mod output;
mod pattern;
pub mod registry;
#[cfg(test)]
mod registry_tests;
mod scalar;
pub mod set;
mod table;
mod tables;
pub mod types;
mod variadic;

pub use def::{
    Accumulator, Aggregate, BTREE, Cast, CastContext, CastMethod, EvalContext, FamilyOperator, Function,
    FunctionKind, HASH, Host, Implementation, Operator, OperatorClass, Rows, SetReturning, Volatility,
};
pub use json::subscript::{assign_in_document, document_element};
pub use leakproof::is_leakproof;
pub use names::parameter_names;
pub use registry::{Registry, registry};
pub use scalar::sample::IN_SAMPLE;
pub use scalar::{acl::ACLEXPLODE, session::TEST_PANIC};
pub use variadic::gathered;
