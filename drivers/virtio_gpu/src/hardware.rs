//! What the driver needs from the machine: a queue of messages, memory shared with the device, interrupts. On bare metal that is
//! [`crate::metal::PciHardware`]; tests put a device made of code behind it.

use crate::GpuError;
use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;
use driver_virtio::messages::Nonsense;

/// How a device is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Its own identity.
    VirtioGpu,
    /// The private one.
    Socket,
}

impl Carrier {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VirtioGpu => "virtio-gpu",
            Self::Socket => "vhost-user-vsock carrier",
        }
    }
}

/// A device's side of the machine.
pub trait Hardware: Send + Sync {
    /// How it is reached.
    fn carrier(&self) -> Carrier;
    /// Resets the device and starts its queue.
    fn start(&self) -> Result<Box<dyn Port>, GpuError>;
    /// Waits until the device interrupted since the last wait, or `limit` passed.
    fn wait_interrupt(&self, limit: Duration);
    /// Memory of at least so many bytes that the device can reach.
    fn allocate(&self, bytes: usize) -> Option<Box<dyn Memory>>;
    /// Bytes of such memory that the driver may take in all.
    fn budget(&self) -> u64;
}

/// A started device. Once it is dropped, the device touches no memory any more.
pub trait Port: Send {
    /// Messages that could be submitted now.
    fn free(&self) -> usize;
    /// Submits a request with room for a response of `response` bytes; the slot that [`Self::completed`] will name, or `None` if
    /// there is none free or the message is too long.
    fn submit(&mut self, request: &[u8], response: usize) -> Option<u16>;
    /// The next slot that the device is done with; what it wrote replaces the contents of `response`.
    fn completed(&mut self, response: &mut Vec<u8>) -> Result<Option<u16>, Nonsense>;
    /// Whether the device says that it works.
    fn works(&self) -> bool;
}

/// Memory that the device can reach.
pub trait Memory: Send {
    /// Where the device finds it: addresses and lengths, in order.
    fn runs(&self) -> Vec<(u64, u32)>;
    /// Copies bytes in. Within the memory, or this panics.
    fn write(&mut self, offset: usize, from: &[u8]);
    /// Copies bytes out. Within the memory, or this panics.
    fn read(&self, offset: usize, into: &mut [u8]);
}
