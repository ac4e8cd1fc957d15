//! virtio devices over modern PCI: network card, entropy source, and the queue of messages that other cells drive devices through.
//!
//! # What it owns
//! [`transport::PciTransport`]: the device's registers and interrupt vectors, behind the trait of `virtio-drivers`, whose
//! `VirtQueue` is the ring of [`messages`]; rings of equal buffers (`buffers`) are simpler and our own. [`net`] and [`rng`]
//! are device logic on top: checksum offload, interrupts that
//! are switched off while frames flow, sent buffers that are reclaimed when room is needed instead of by interrupt. [`messages`] carries
//! requests and responses that end in any order, for a device that is not trusted.
//!
//! # Invariants
//! * Buffers given to a device are in DMA memory that outlives the queue: devices are reset before it is freed.
//! * A full fence stands between publishing a buffer (or asking for interrupts) and looking at what the device
//!   published: without it both sides may decide that the other one is awake.
//! * Lengths that a device reports are checked against the buffer before they are used.
//!
//! `VIRTIO_F_EVENT_IDX` is not negotiated: the queue of `virtio-drivers` 0.13 compares indices without regard to their
//! wrap-around, so that every 65,536 buffers a notification would be missed, and it cannot leave the interrupts of a
//! sending queue off. The flags of the rings do the same job in one word each.
//!
//! # Lock order
//! None of its own: the receiving and the sending half of a card are each used by one task at a time.
//!
//! # What it must not know
//! IP, TCP, what the random bytes are for.
//!
//! # Dependencies
//! `virtio-drivers` (rings, transport trait), `zerocopy` (its trait's bounds), `driver_pci`, `kernel_memory`,
//! `kernel_task` (interrupts, clock), `kernel_net` (the card's traits), `spin` (the list of DMA memory), `log`.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod buffers;
#[cfg(test)]
mod buffers_tests;
mod hal;
pub mod messages;
#[cfg(test)]
mod messages_tests;
pub mod net;
pub mod rng;
pub mod transport;

pub use messages::MessagePort;
pub use net::VirtioNet;
pub use rng::VirtioRng;
/// What a virtio device is.
pub use virtio_drivers::transport::DeviceType;

use core::fmt;
use driver_pci::PciError;
use kernel_memory::MemoryError;
use kernel_task::irq::IrqError;

/// PCI vendor of all virtio devices.
pub const VENDOR: u16 = 0x1af4;

/// Why a device could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VirtioError {
    /// Not a modern virtio device, or of another type.
    NotSupported(&'static str),
    /// It refused what was negotiated.
    Refused,
    /// Registers.
    Pci(PciError),
    /// Interrupt vectors.
    Irq(IrqError),
    /// Buffers.
    Memory(MemoryError),
    /// A ring could not be set up.
    Queue(virtio_drivers::Error),
    /// It did not answer in time.
    Timeout,
}

impl fmt::Display for VirtioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSupported(what) => write!(f, "not supported: {what}"),
            Self::Refused => f.write_str("the device refused the negotiated features"),
            Self::Pci(e) => e.fmt(f),
            Self::Irq(e) => e.fmt(f),
            Self::Memory(e) => e.fmt(f),
            Self::Queue(e) => write!(f, "queue: {e}"),
            Self::Timeout => f.write_str("no answer in time"),
        }
    }
}

impl core::error::Error for VirtioError {}

impl From<PciError> for VirtioError {
    fn from(e: PciError) -> Self {
        Self::Pci(e)
    }
}
impl From<IrqError> for VirtioError {
    fn from(e: IrqError) -> Self {
        Self::Irq(e)
    }
}
impl From<MemoryError> for VirtioError {
    fn from(e: MemoryError) -> Self {
        Self::Memory(e)
    }
}
impl From<virtio_drivers::Error> for VirtioError {
    fn from(e: virtio_drivers::Error) -> Self {
        Self::Queue(e)
    }
}
