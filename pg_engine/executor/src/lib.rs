//! Runs physical plans over batches of column vectors; runs utility statements; the engine's facade for sessions.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod context;
pub mod copy;
pub mod cursor;
pub mod engine;
pub mod session;

pub use context::ExecContext;
pub use cursor::Cursor;
pub use engine::{Engine, Initial, Role};
pub use pg_catalog::Txn;
pub use session::{ActivityRow, SequenceMemory, Session, SettingRow};
