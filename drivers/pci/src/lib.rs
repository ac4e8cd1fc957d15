//! PCI: finding functions, their registers and their interrupts.
//!
//! # What it owns
//! Configuration space. A driver gets a [`Function`] from [`enumerate`], maps its base address registers as
//! [`kernel_memory::MmioRegion`]s, and programs its interrupt vectors through [`Msix`].
//!
//! # Invariants
//! * Configuration space is outside input: every walk (buses, capabilities) has a limit and remembers where it was, and
//!   nothing found there makes this crate panic.
//! * Only buses that firmware numbered and addresses that firmware assigned are used.
//! * A base address register is sized with decoding switched off, and restored before decoding is switched on again.
//!
//! # Lock order
//! The map of buses is a leaf lock. Configuration space is touched at start-up only.
//!
//! # What it must not know
//! What any function does; which interrupt vectors are free.
//!
//! # Dependencies
//! `kernel_memory` (register mappings), `spin` (the lock of the bus map), `log`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod config;
mod function;
mod msix;
#[cfg(test)]
mod tests;

pub use config::{Address, ConfigSpace, Ecam};
pub use function::{Bar, Capability, Function, enumerate};
pub use msix::Msix;

use core::fmt;
use kernel_memory::MemoryError;

/// Why a function cannot be used as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PciError {
    /// The function has no such memory region, or firmware gave it no address.
    NoBar(u8),
    /// The function lacks a capability it needs.
    NoCapability(u8),
    /// A capability contradicts itself or points outside its region.
    Malformed(u8),
    /// The range lies outside the region.
    OutOfRange,
    /// It could not be mapped.
    Memory(MemoryError),
}

impl fmt::Display for PciError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBar(i) => write!(f, "no memory region {i}"),
            Self::NoCapability(id) => write!(f, "no capability {id:#04x}"),
            Self::Malformed(id) => write!(f, "malformed capability {id:#04x}"),
            Self::OutOfRange => f.write_str("outside the region"),
            Self::Memory(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for PciError {}

impl From<MemoryError> for PciError {
    fn from(e: MemoryError) -> Self {
        Self::Memory(e)
    }
}
