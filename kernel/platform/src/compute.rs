//! Compute devices: whoever executes the commands of `compute_protocol`.
//!
//! # Who is behind it
//! * *bare metal*: the virtio-gpu driver, and behind it the GPU shim on the host;
//! * *hosted*: the shim's executors, linked in;
//! * *simulated*: nobody, unless a test brings one.
//!
//! # Use
//! A device holds tables and graphs until they are dropped, its holder is gone, or it is lost: [`ComputeDevice::generation`]
//! then is another, and whatever was made in an earlier one does not exist any more. Nothing that is only on a device
//! is ever the truth: whoever uses one can do the same work again on the processor, and does when a call fails.
//!
//! Calls wait, up to the device's own time limit; they return early when the caller is interrupted. After a failure the bytes of
//! [`Buffer::Into`] are unspecified and no device writes to them any more.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::time::Duration;

use compute_protocol::{Command, Reply, Status, answer::Device};

/// Bytes that travel with a command: the number in its spans is the buffer's index.
#[derive(Debug)]
pub enum Buffer<'a> {
    /// The device reads them.
    From(&'a [u8]),
    /// The device writes them.
    Into(&'a mut [u8]),
}

/// Why a command was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComputeError {
    /// There is no device at the moment; it may come back.
    Absent,
    /// It did not answer in time, or died: all that it held is gone.
    Lost,
    /// It answered that it will not.
    Refused(Status),
    /// The caller did not want to wait any longer.
    Interrupted,
    /// The command's buffers are larger than what the way there takes at once ([`Link::largest`]).
    TooLarge,
}

/// What the way to a device costs, as measured when it came up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// A command that does nothing, there and back.
    pub round_trip: Duration,
    /// Bytes a second to the device's tables.
    pub upload: u64,
    /// Bytes a second from them.
    pub download: u64,
    /// Bytes that the buffers of one command may have together.
    pub largest: u64,
}

/// What became of a device so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether it takes commands.
    pub present: bool,
    /// Commands done.
    pub commands: u64,
    /// Commands refused.
    pub refused: u64,
    /// How often it was lost.
    pub losses: u64,
    /// Why it was lost last; empty if it never was.
    pub last_loss: String,
}

/// A device.
pub trait ComputeDevice: Send + Sync {
    /// How the device is reached: `virtio-gpu`, `vhost-user-vsock carrier`, `linked in`.
    fn carrier(&self) -> &'static str;

    /// What it said about itself when it came up; `None` as long as it never did.
    fn device(&self) -> Option<Device>;

    /// What the way to it costs.
    fn link(&self) -> Link;

    /// What became of it.
    fn health(&self) -> Health;

    /// Grows whenever what the device held is gone.
    fn generation(&self) -> u64;

    /// Executes a command and waits for the reply. `interrupted` is asked every few milliseconds.
    fn execute(
        &self,
        command: &Command,
        buffers: &mut [Buffer<'_>],
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Reply, ComputeError>;
}

/// The devices of this machine, in the order of their numbers.
pub type Devices = Vec<Box<dyn ComputeDevice>>;
