//! The volume: what a device looks like when it holds a database, and which of its pages belong to whom.
//!
//! # Layout
//! ```text
//!        0   superblock A        4 KiB
//!   64 KiB   superblock B        4 KiB
//!  128 KiB   configuration A    64 KiB     opaque to the engine; read before it opens
//!  192 KiB   configuration B    64 KiB
//!  256 KiB   crash record      256 KiB     written by the emergency writer, read at the next boot
//!    1 MiB   log ring
//!     then   pages of 8 KiB
//! ```
//!
//! # Superblocks
//! Two copies with a generation; the valid one with the higher generation counts. Writing replaces the older one with FUA, so at
//! any moment one is whole. A superblock names the start of recovery in the log and the place of the
//! metadata snapshot.
//!
//! # Metadata
//! Which relations there are and which extents they own is kept in memory ([`Directory`]), changed with log records,
//! and written out as a whole, with checksum, by every checkpoint into free space. Free space is what no relation and no snapshot owns.
//! A device may have less room than it says (a sparse file, a thin volume): free space is given out where it has some, since what
//! was written once and is free now can be written again, and what never was may not.
//! The snapshot knows the position of the last metadata record it contains; recovery skips records before that.
//!
//! A device that is neither blank nor a volume is never written ([`probe`]).
//!
//! # Locks
//! `Directory::space` before its relation table. Under `space` the log's append lock may be taken and the device be asked
//! for room ([`platform::block::BlockDevice::reserve`], which answers at once), nothing else.
//!
//! # What it must not know
//! The content of pages and of the configuration, transactions' states.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod activity;
pub mod codec;
mod directory;
mod layout;
mod probe;
mod visibility;

pub use activity::{Activity, Runs};
pub use directory::{
    Directory, KIND_EXTENT, KIND_REL_CREATE, KIND_REL_DROP, OwnerFault, Relation, RelationKind,
};
pub use layout::{
    CONFIG_MAX, CRASH_BYTES, CRASH_START, Superblock, format, metadata_read, metadata_write, new_id,
    new_salt, read_config, read_superblock, valid_copies, write_config, write_superblock,
};
pub use probe::{Probe, probe};
pub use visibility::VisibilityMap;
