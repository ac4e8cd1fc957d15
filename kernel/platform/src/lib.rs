//! The ground the engines stand on: locks, tasks, clock, entropy, block devices, compute devices and byte streams.
//!
//! One of three platforms is picked at compile time by `--cfg intralith_platform="…"`:
//!
//! | cfg | platform | locks and tasks from |
//! |---|---|---|
//! | (none) | *hosted*: an ordinary Linux process | std |
//! | `"simulated"` | *simulated*: a deterministic scheduler and a faulty disk under one seed | std, one thread at a time |
//! | `"metal"` | *bare metal*: the appliance | `kernel_task` |
//!
//! Engine cells use only what this crate exports and cannot tell which platform they run on. Locks are concrete
//! types (no dynamic dispatch); devices are trait objects. Engine code is blocking code: any function here that can
//! wait says so.
//!
//! # Invariants
//! * Time, randomness, disk, network and scheduling reach the engines only through this crate.
//! * Locks do not poison: a panic drops the guard and releases the lock. State that a panic may leave broken must be
//!   guarded by its owner (see [`task::panicking`] and [`power::fatal`]).
//!
//! # What it must not know
//! Pages, transactions, SQL.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(not(intralith_platform = "metal"))]
extern crate std;

pub mod block;
pub mod bug;
pub mod compute;
pub mod faulty_device;
pub mod memory_device;
pub mod net;
pub mod tally;

#[cfg(not(any(intralith_platform = "metal", intralith_platform = "simulated")))]
mod hosted;
#[cfg(not(any(intralith_platform = "metal", intralith_platform = "simulated", loom)))]
pub use hosted::sync;
#[cfg(not(any(intralith_platform = "metal", intralith_platform = "simulated")))]
pub use hosted::{entropy, file, memory, power, task, time};

#[cfg(loom)]
mod modelled;
#[cfg(loom)]
pub use modelled::sync;

/// Atomics: the ordinary ones, or those that loom watches.
pub mod atomic {
    #[cfg(not(loom))]
    pub use core::sync::atomic::*;
    #[cfg(loom)]
    pub use loom::sync::atomic::*;
}

#[cfg(intralith_platform = "metal")]
mod metal;
#[cfg(intralith_platform = "metal")]
pub use metal::{entropy, memory, power, sync, task, time};

/// Sockets of the operating system below, for the hosted binary and for tests.
#[cfg(not(any(intralith_platform = "metal", intralith_platform = "simulated")))]
pub use hosted::net as host_net;

#[cfg(intralith_platform = "simulated")]
pub mod simulated;
#[cfg(intralith_platform = "simulated")]
pub use simulated::{entropy, memory, power, sync, task, time};
