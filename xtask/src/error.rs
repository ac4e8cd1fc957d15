//! Everything that can go wrong, as one clear line each.

use std::{io, path::PathBuf};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, socket or process could not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted, on what.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A program ended with an error.
    #[error("`{command}` failed ({status})")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
    },
    /// A program is not installed and could not be installed.
    #[error("{tool} is missing; install it with: {remedy}")]
    Missing {
        /// The program.
        tool: &'static str,
        /// A command.
        remedy: String,
    },
    /// The port is taken.
    #[error("port {0} on 127.0.0.1 is in use; choose another with --port")]
    PortInUse(u16),
    /// Another process has the disk.
    #[error("{} is in use by another Intralith or QEMU process", .0.display())]
    DiskLocked(PathBuf),
    /// The accelerator asked for does not work here.
    #[error("the accelerator {0} does not work on this machine")]
    Accelerator(&'static str),
    /// The guest ended or went silent before it was ready.
    #[error("the guest {0}")]
    Guest(String),
    /// QEMU could not be driven.
    #[error(transparent)]
    Machine(#[from] qemu_machine::GuestError),
    /// Storage refused.
    #[error("{}: {source}", path.display())]
    Storage {
        /// The disk.
        path: PathBuf,
        /// Why.
        source: pg_storage::StorageError,
    },
    /// A database error.
    #[error("database: {}", told(.0))]
    Database(#[from] postgres::Error),
    /// An argument makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Tests, lints or benchmarks found something.
    #[error("{0}")]
    Failed(String),
}

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Adds what was attempted to an I/O error.
pub trait Context<T> {
    /// `what`: "write /path".
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Io { what: what(), source })
    }
}

/// What a database error says, with its SQLSTATE.
fn told(e: &postgres::Error) -> String {
    match e.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => e.to_string(),
    }
}
