//! Runs physical plans over batches of column vectors; runs utility statements; the engine's facade for sessions.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod analyze;
mod computed;
pub mod context;
pub mod copy;
pub mod cursor;
mod ddl;
pub mod engine;
mod expr;
mod host;
mod keys;
mod node;
pub mod session;
pub mod text;
mod utility;

pub use context::ExecContext;
pub use cursor::Cursor;
pub use engine::{Engine, Initial, Outcome, Role};
pub use node::NodeStats;
pub use pg_catalog::Txn;
pub use session::{ActivityRow, SequenceMemory, Session, SettingRow};
