//! Backups: the form in which a volume leaves the machine, and how it comes back.
//!
//! # What it owns
//! * The format of a backup ([`format`]): a stream of frames, each with a checksum that continues the one before, so that a frame
//!   that is damaged, missing, doubled or out of place is noticed.
//! * Making one from a volume in use ([`back_up`]): pages are copied while they change, and the log from the checkpoint before
//!   the first page to after the last one says what became of them.
//! * The format of archived log ([`archive`]).
//! * Restoring ([`restore`]): the pages go to a blank disk, and recovery runs over the log of the backup and of the archive, up to
//!   the moment that is wanted.
//!
//! # How restoring works
//! Recovery knows nothing of backups. It is given a device ([`restore`]'s own) that is the new disk with two differences: the
//! superblock is kept in memory, and it names a log ring behind the end of the disk that is as long as the whole log and
//! is read from the backup and archive files. When recovery has ended with a clean shutdown the log is not needed any
//! more, and the superblock is written to the disk, with an empty ring, a new name and a new salt: an interrupted
//! restore leaves a disk without a superblock.
//!
//! # Invariants
//! * A backup is never used without having been checked from the first byte to the last.
//! * Nothing here waits for writers, and writers never wait for anything here. Log that a backup or archive has not
//!   read when the ring comes round is gone, and the reader is told.
//!
//! # What it must not know
//! The wire protocol, files, rows, catalogs.
//!
//! # Dependencies
//! `pg_storage` for the open volume; `pg_volume`, `pg_wal` and `pg_page` for layout, log records and checksums;
//! `kernel_simd` for CRC-32C.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod archive;
mod device;
pub mod format;
mod make;
mod restore;

pub use make::{BackupError, back_up};
pub use restore::{Contents, Input, InputError, RestoreError, Restored, Until, check, restore};
