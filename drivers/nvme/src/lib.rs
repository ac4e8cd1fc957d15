//! NVM Express disks.
//!
//! # What it owns
//! A controller: its registers, its queues (one pair per core, as far as the device grants), the commands in flight.
//! [`NvmeDisk`] is the block device that the engine sees.
//!
//! # Invariants
//! * A call returns only when the device touches none of its buffers any more: every command of the call has completed,
//!   or the controller was reset or cut off from memory.
//! * Completions are matched by command identifier, in whatever order they come. The phase bit is read before the rest
//!   of an entry; commands are written before their doorbell.
//! * At most `entries - 1` commands are outstanding on a queue, so neither ring overflows.
//! * Every wait has a limit. A late command is aborted; if that does not end it, the controller is reset and everything
//!   in flight is submitted again (once for the command that was late); if the reset fails, the device loses its bus
//!   mastership and every call fails with `Gone`.
//! * Classes of I/O below log writes leave slots free for the more urgent ones.
//!
//! # Classes
//! Few controllers have weighted arbitration (QEMU's has none), so classes are kept apart in software, before the submission queue:
//! of a queue's slots read-ahead may occupy a quarter (32 at most) and background writes another (16 at most), in commands of
//! 128 KiB at most, and neither begins a command while someone more urgent waits for a slot. So a log write or a read
//! finds no more than 6 MiB of others' transfers before it, whatever is being written back.
//!
//! # Lock order
//! Admin queue → I/O queues by number. A queue's lock is never held while waiting.
//!
//! # What it must not know
//! Partitions, pages, which core its tasks run on (beyond a hint).
//!
//! # Dependencies
//! `driver_pci` and `kernel_task` (registers and interrupts of the real device), `kernel_memory` (memory it can reach),
//! `platform` (the block device trait, locks, clock), `log`.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod controller;
mod disk;
mod emergency;
pub mod hardware;
pub mod metal;
pub mod prp;
mod queue;
mod ring;
mod slots;
pub mod spec;
#[cfg(test)]
mod tests;

pub use controller::{Controller, Options};
pub use disk::NvmeDisk;
pub use emergency::{Emergency, MAX_WRITE as MAX_EMERGENCY_WRITE};

use core::fmt;
use kernel_memory::MemoryError;

/// Why a controller could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NvmeError {
    /// Registers read as all ones.
    Absent,
    /// The controller reports a fatal error.
    Fatal,
    /// It did not do something in time.
    Timeout(&'static str),
    /// It refused an admin command with this status.
    Command(u16),
    /// It lacks something this driver needs.
    Unsupported(&'static str),
    /// No active namespace.
    NoNamespace,
    /// No memory for queues.
    Memory(MemoryError),
}

impl fmt::Display for NvmeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("the device is gone"),
            Self::Fatal => f.write_str("fatal controller error"),
            Self::Timeout(what) => write!(f, "timed out: {what}"),
            Self::Command(status) => write!(f, "admin command failed, status {status:#06x}"),
            Self::Unsupported(what) => write!(f, "unsupported: {what}"),
            Self::NoNamespace => f.write_str("no namespace"),
            Self::Memory(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for NvmeError {}

impl From<MemoryError> for NvmeError {
    fn from(e: MemoryError) -> Self {
        Self::Memory(e)
    }
}
