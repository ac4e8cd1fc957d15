//! Runs physical plans over batches of column vectors; runs utility statements; the engine's facade for sessions.
//!
//! # Owns
//! * [`Engine`]: storage and catalogs of a volume, opened or bootstrapped; transactions' begin and end.
//! * [`Cursor`]: a plan made ready. `open`, `next` until `None`, `close`; then `open` again without building anything:
//!   prepared statements and cached plans keep theirs.
//! * Operators (`node`) pull batches from their inputs; expressions (`expr`) are evaluated over whole columns, or for
//!   one row, which is what one-row batches use. Both are lazy where SQL is, by narrowing the rows they look at.
//! * Data changes with their checks, index maintenance and the re-check of concurrently updated rows.
//! * Definition statements (`ddl`): rows of catalogs, storage, dependencies; ANALYZE; COPY's formats ([`copy`]).
//! * The functions that need catalogs, sequences or the session (`host`).
//!
//! # Invariants
//! * A statement's snapshot is taken by `open` and kept until `close`: tids read under it stay valid.
//! * The transaction in [`ExecContext`] is never borrowed while an expression is evaluated: functions may need it.
//! * What a run materialises is charged against the session's memory limit (53200 beyond it); operators that can go on disk
//!   before (`node/spill`).
//! * After a data-changing plan has ended the transaction's command counter moves on, so that later statements see it;
//!   definition statements move it at every step.
//!
//! # Must not know
//! SQL text (the [`Session`] binds stored expressions), how plans are chosen, the wire protocol.
//!
//! # Dependencies
//! `pg_tls` (checks certificates that are installed), `pg_plan` (what is run), `pg_catalog`, `pg_storage`, `dagdb_graph`, `dagdb_tick`, `dagdb_store`, `dagdb_delta` (graphs), `pg_functions`, `pg_types`; `platform` (clock, locks, entropy);
//! `hashbrown` and `foldhash` (hash tables without std), `memchr` (COPY looks for delimiters sixteen bytes at a time), `log`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod acl;
mod analyze;
mod audit;
mod certificates;
mod computed;
pub mod context;
pub mod copy;
pub mod cursor;
mod ddl;
pub mod engine;
mod expr;
mod extension;
mod foreign_key;
mod graph;
mod hba;
mod host;
mod keys;
mod large;
mod large_object;
mod node;
mod prepared;
mod routine;
pub mod session;
pub mod temporary;
pub mod text;
mod unique;
mod user_types;
mod utility;
mod verify;

pub use audit::{AuditNumbers, AuditRecord};
pub use certificates::StoredCertificates;
pub use context::ExecContext;
pub use cursor::Cursor;
pub use dagdb_device::{Reason as ComputeReason, Usage as ComputeUsage};
pub use ddl::extension::Script;
pub use engine::{Engine, Initial, Outcome, Role};
pub use extension::STATEMENTS;
pub use hba::{ClientCertificate, HbaClient, HbaMethod, HbaRules};
pub use node::{Held, NodeStats};
pub use pg_catalog::Txn;
pub use session::{
    ActivityRow, CursorPlace, CursorRow, DatabaseRow, PreparedStatementRow, SequenceMemory, Session,
    SettingRow, StatementInfo, StatementRow, StoredCondition, StoredQuery,
};
pub use temporary::Temporary;
pub use user_types::SessionTypes;
pub use utility::runs_in_routines;
