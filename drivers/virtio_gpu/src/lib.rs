//! The compute device behind virtio-gpu: commands of `compute_protocol` to the GPU shim on the host.
//!
//! # What it owns
//! [`VirtioGpu`], one device of [`platform::compute`]: its queue, the memory that it shares with the host, the commands under way, and whether
//! there is anybody who answers. `compute_protocol::carrier` says what the messages are. A device is real virtio-gpu or the private
//! carrier (a socket device's identity); a device that does not answer as ours does is left alone.
//!
//! # One command
//! The caller's bytes are copied to a *piece*, memory that is attached to the device as a resource; the command goes out with a fence; the caller parks until the
//! response is there, and copies what the device wrote out of the piece. Many tasks may be doing so at once: of those that wait, one (the *leader*) waits
//! for the interrupt, hands out all responses, and passes the lead on when it has its own.
//!
//! # Invariants
//! * A caller's memory is never known to the device. Pieces and slots of messages belong to this driver, and while a command is under way its piece is in
//!   the table of [`flights`], out of the caller's hands: a caller that gives up leaves it there.
//! * What was under way when a device was lost is used again only after the device was reset.
//! * Nothing that the device says is believed: slots, lengths, kinds, fences, numbers of replies. What cannot be is a loss.
//! * Every wait has a limit. A command that is late, or a device that gives no sign of life for [`Options::heartbeat_limit`], is a loss: everything
//!   under way fails with `Lost`, the generation grows.
//! * One task (the *keeper*) starts the device, asks it for signs of life, and after a loss resets it and tries again, less and less often
//!   ([`probe`]).
//!
//! # Losses
//! Emulators do not tell the guest that a back end died: the queue just is not served any more, and the heartbeat finds out. QEMU (7.2 and 10) sets its
//! connection up once, when it starts, for these devices: a socket that connects again (`reconnect`) is refused at the start, and a back end that
//! starts again behind the same path is not connected to. What works is a connection that outlives the back end: QEMU is the socket's server, and
//! a new back end connects to it as if the first messages (features of the protocol, owner) had been said to it (`gpu_shim serve --connect`). The keeper's next
//! reset then makes QEMU send features, memory and queues again, and the device is back. A back end that is stopped, but alive, makes QEMU wait for it during a
//! reset, and the guest with it; the keeper lets a while pass before one, in which whoever started the back end replaces it (`xtask/src/shim.rs`).
//!
//! # Lock order
//! The state's lock is the only one; it is not held while waiting, while bytes are copied to or from pieces, or while the device is started or reset.
//!
//! # What it must not know
//! What commands mean; who sends them; what is behind the device.
//!
//! # Dependencies
//! `compute_protocol` (commands, messages), `driver_virtio` (the queue), `driver_pci`, `kernel_memory` and `kernel_task` (registers, memory and
//! interrupts of the real device), `platform` (the device's trait, locks, tasks, clock), `zerocopy` (messages as bytes), `thiserror`, `log`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod device;
mod execute;
pub mod flights;
pub mod hardware;
mod keeper;
pub mod message;
pub mod metal;
pub mod placement;
pub mod pool;
pub mod probe;
#[cfg(test)]
mod tests;

pub use device::{Options, VirtioGpu};
pub use metal::find;

use alloc::string::String;
use compute_protocol::carrier::CarrierError;
use driver_virtio::VirtioError;
use thiserror::Error;

/// Why a device does not come up.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GpuError {
    /// Its registers, features or queue.
    #[error("{0}")]
    Transport(VirtioError),
    /// It answers otherwise than it should.
    #[error("{0}")]
    Carrier(#[from] CarrierError),
    /// Its limits are too narrow for this driver.
    #[error("the device allows too little: {0}")]
    Limits(&'static str),
    /// It refused a command that every device does.
    #[error("the device refused to describe itself or to move bytes")]
    Command,
    /// It was lost while it came up.
    #[error("{0}")]
    Lost(String),
    /// Nobody wants it any more.
    #[error("stopped")]
    Stopped,
}

impl From<VirtioError> for GpuError {
    fn from(e: VirtioError) -> Self {
        Self::Transport(e)
    }
}
