//! The one error type of the storage cells.

use core::fmt;
use platform::block::BlockError;

use alloc::vec::Vec;

use crate::{Lsn, RelId, Tid, Xid};

/// What a transaction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// The end of another.
    Transaction(Xid),
    /// A lock on a row.
    Row {
        /// Its relation.
        rel: RelId,
        /// Its place.
        tid: Tid,
    },
    /// A lock on a table or another object.
    Object {
        /// The mode, as `pg_locks` names it.
        mode: &'static str,
        /// Its database; 0: it is in all.
        database: u32,
        /// The object.
        oid: u32,
    },
    /// An advisory lock.
    Advisory {
        /// The mode, as `pg_locks` names it.
        mode: &'static str,
        /// The database times 256, and 1: by one number, 2: by two.
        class: u64,
        /// The number, or both.
        key: u64,
    },
}

/// One transaction in a deadlock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadlockEdge {
    /// The session that waits.
    pub process: i32,
    /// For what.
    pub waits_for: WaitsFor,
    /// The session that has it.
    pub blocked_by: i32,
}

/// In which way a serializable transaction got between two others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependency {
    /// It wrote what another had read.
    PivotWrote,
    /// It was chosen to fail, and noticed when it read.
    PivotReading,
    /// It was chosen to fail, and noticed when it wrote.
    PivotWriting,
    /// It was chosen to fail, and noticed when it committed.
    PivotCommitting,
    /// It read around the work of a transaction in that place that can fail no more.
    OutToPivot(Xid),
    /// It commits before a transaction in that place that can fail no more.
    PreparedPivot,
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PivotWrote => f.write_str("Canceled on identification as a pivot, during write."),
            Self::PivotReading => {
                f.write_str("Canceled on identification as a pivot, during conflict out checking.")
            }
            Self::PivotWriting => {
                f.write_str("Canceled on identification as a pivot, during conflict in checking.")
            }
            Self::PivotCommitting => {
                f.write_str("Canceled on identification as a pivot, during commit attempt.")
            }
            Self::OutToPivot(xid) => {
                write!(f, "Canceled on conflict out to pivot {}, during read.", xid.0)
            }
            Self::PreparedPivot => {
                f.write_str("Canceled on commit attempt with conflict in from prepared pivot.")
            }
        }
    }
}

/// Why a storage operation failed. [`StorageError::sqlstate`] is what the client reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageError {
    /// The device refused a transfer.
    Io(BlockError),
    /// The device could not give a page.
    Read {
        /// Its relation.
        rel: RelId,
        /// Its block.
        block: u32,
        /// What the device said.
        error: BlockError,
    },
    /// A page or record does not hold what it must: checksum, identity or structure.
    Corrupt {
        /// The relation, when one is concerned.
        rel: RelId,
        /// Its block.
        block: u32,
        /// What was wrong.
        what: &'static str,
    },
    /// The superblocks, metadata or log of the volume do not hold what they must.
    CorruptVolume(&'static str),
    /// The log ends before what the device acknowledged: committed transactions are missing.
    LogMissing {
        /// Where it ends.
        end: Lsn,
        /// It was durable at least up to here.
        durable: Lsn,
    },
    /// The disk is not blank and not ours; it is not written.
    Foreign,
    /// The disk is blank: format it first.
    Blank,
    /// The disk was formatted by a newer version.
    Version(u32),
    /// The disk cannot hold a database.
    DeviceTooSmall,
    /// No space is left on the volume for this relation (0: for the volume's own metadata).
    DiskFull(RelId),
    /// The ring of the log is nearly full and cannot be freed; says why.
    LogFull(&'static str),
    /// One log record would have to hold more than it can; says what.
    TooMuchForTheLog(&'static str),
    /// There is no such relation.
    NoSuchRelation(RelId),
    /// The relation is of another kind than the operation needs.
    WrongKind(RelId),
    /// The relation has reached its greatest size.
    RelationTooLarge(RelId),
    /// The row does not fit.
    RowTooBig {
        /// Its size in bytes.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// The index key does not fit.
    KeyTooBig {
        /// Its size in bytes.
        size: usize,
        /// The limit.
        max: usize,
    },
    /// Waiting for another transaction would never end: who waits for whom, the one that fails first.
    Deadlock(Vec<DeadlockEdge>),
    /// Serializable transactions depend on each other in a way that no order of them explains.
    ReadWriteDependency(Dependency),
    /// The lock timeout passed.
    LockTimeout,
    /// The lock is held and the caller asked not to wait.
    LockNotAvailable,
    /// The cancel flag was raised while waiting.
    Canceled,
    /// The transaction was already aborted.
    TransactionAborted(Xid),
    /// A prepared transaction has that name.
    PreparedExists,
    /// Another session is ending the prepared transaction.
    PreparedBusy,
    /// No more transactions can be prepared.
    TooManyPrepared,
    /// It is not the caller's to end.
    NotAllowed,
    /// There is no such savepoint level.
    NoSuchSavepoint,
    /// The sequence gave its last value.
    SequenceExhausted,
    /// Every frame of the buffer pool is in use.
    OutOfBuffers,
    /// The configuration does not fit its block.
    ConfigTooLarge,
    /// The engine is shutting down.
    ShuttingDown,
    /// The operation is not available yet; names it.
    Unsupported(&'static str),
}

impl StorageError {
    /// The SQLSTATE of this error.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::DiskFull(_) | Self::LogFull(_) | Self::Io(BlockError::NoSpace) => "53100",
            Self::Io(_) | Self::Read { .. } => "58030",
            Self::Corrupt { .. } | Self::CorruptVolume(_) | Self::LogMissing { .. } => "XX001",
            Self::Foreign | Self::Blank | Self::Version(_) | Self::DeviceTooSmall => "58000",
            Self::NoSuchRelation(_) | Self::WrongKind(_) => "XX000",
            Self::RelationTooLarge(_)
            | Self::RowTooBig { .. }
            | Self::KeyTooBig { .. }
            | Self::TooMuchForTheLog(_) => "54000",
            Self::Deadlock(_) => "40P01",
            Self::ReadWriteDependency(_) => "40001",
            Self::LockTimeout | Self::LockNotAvailable => "55P03",
            Self::Canceled => "57014",
            Self::TransactionAborted(_) => "25P02",
            Self::PreparedExists => "42710",
            Self::PreparedBusy => "55000",
            Self::TooManyPrepared => "53200",
            Self::NotAllowed => "42501",
            Self::NoSuchSavepoint => "3B001",
            Self::SequenceExhausted => "2200H",
            Self::OutOfBuffers => "53200",
            Self::ConfigTooLarge => "54000",
            Self::ShuttingDown => "57P01",
            Self::Unsupported(_) => "0A000",
        }
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(e) => write!(f, "storage device failed: {e}"),
            Self::Read { rel, block, error } => {
                write!(f, "could not read block {block} of relation {}: {error}", rel.0)
            }
            Self::Corrupt { rel, block, what } => {
                write!(f, "invalid page in block {block} of relation {}: {what}", rel.0)
            }
            Self::CorruptVolume(what) => write!(f, "the volume is damaged: {what}"),
            Self::LogMissing { end, durable } => write!(
                f,
                "the write-ahead log ends at {end} but was durable up to {durable}: the disk lost writes that it had acknowledged, and \
                 committed transactions with them"
            ),
            Self::Foreign => f.write_str("the disk holds data that is not Intralith's"),
            Self::Blank => f.write_str("the disk is blank"),
            Self::Version(v) => write!(f, "the disk has format version {v}, which this release cannot read"),
            Self::DeviceTooSmall => f.write_str("the disk is too small to hold a database"),
            Self::DiskFull(rel) => write!(f, "could not extend relation {}: No space left on device", rel.0),
            Self::LogFull(_) => {
                f.write_str("could not write to the write-ahead log: its ring is full and cannot be freed")
            }
            Self::TooMuchForTheLog(what) => write!(f, "transaction has too many {what} for one log record"),
            Self::NoSuchRelation(r) => write!(f, "could not open relation with file number {}", r.0),
            Self::WrongKind(r) => write!(f, "relation with file number {} is of another kind", r.0),
            Self::RelationTooLarge(r) => {
                write!(f, "cannot extend relation with file number {} any further", r.0)
            }
            Self::RowTooBig { size, max } => write!(f, "row is too big: size {size}, maximum size {max}"),
            Self::KeyTooBig { size, max } => {
                write!(f, "index row size {size} exceeds btree version 4 maximum {max}")
            }
            Self::Deadlock(_) => f.write_str("deadlock detected"),
            Self::ReadWriteDependency(_) => {
                f.write_str("could not serialize access due to read/write dependencies among transactions")
            }
            Self::LockTimeout => f.write_str("canceling statement due to lock timeout"),
            Self::LockNotAvailable => f.write_str("could not obtain lock on row"),
            Self::Canceled => f.write_str("canceling statement due to user request"),
            Self::TransactionAborted(_) => {
                f.write_str("current transaction is aborted, commands ignored until end of transaction block")
            }
            Self::PreparedExists => f.write_str("transaction identifier is already in use"),
            Self::PreparedBusy => f.write_str("prepared transaction is busy"),
            Self::TooManyPrepared => f.write_str("maximum number of prepared transactions reached"),
            Self::NotAllowed => f.write_str("permission denied to finish prepared transaction"),
            Self::NoSuchSavepoint => f.write_str("savepoint does not exist"),
            Self::SequenceExhausted => f.write_str("nextval: reached maximum value of sequence"),
            Self::OutOfBuffers => f.write_str("no unpinned buffers available"),
            Self::ConfigTooLarge => f.write_str("the configuration is too large"),
            Self::ShuttingDown => f.write_str("terminating connection due to administrator command"),
            Self::Unsupported(what) => write!(f, "{what} is not supported"),
        }
    }
}

impl core::error::Error for StorageError {}

impl From<BlockError> for StorageError {
    fn from(e: BlockError) -> Self {
        Self::Io(e)
    }
}
