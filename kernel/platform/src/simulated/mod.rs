//! The simulated platform: one seed decides everything.
//!
//! Tasks are threads of which exactly one runs at a time ([`world`]): taking a lock, waiting, sleeping and every
//! transfer are points where the seed may let another one go on. Time is virtual and jumps to the next deadline when
//! everyone waits. [`disk::SimDisk`] keeps what was not flushed aside and, when the power is cut, drops it, tears it or lets it through
//! out of order.
//!
//! [`simulate`] runs a task and those it starts until it returns, the power is cut or the machine stops by
//! [`power::fatal`]; then every task is unwound where it stands. The same seed gives the same run: [`Report::hash`] covers each switch and transfer.
//!
//! Outside [`simulate`] the locks and tasks of this module are ordinary ones, so unit tests run on this platform too.
pub mod disk;
pub mod entropy;
pub mod memory;
pub mod power;
pub mod sync;
pub mod task;
pub mod time;
mod world;

pub use world::{Outcome, Report, planted, simulate, simulate_with};
