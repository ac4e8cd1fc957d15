//! The host's side of the appliance's compute device.
//!
//! The appliance has no driver of a GPU. It speaks the commands of `compute_protocol`, and this crate executes them: [`Session`] turns messages into jobs of an
//! [`Executor`]. There are two. [`Processor`] computes with the host's cores. `Gpu`, with the feature `wgpu`, computes with whatever
//! Vulkan or Metal offers. What both answer is the same, bit by bit.
//!
//! [`transport`] is how messages of a virtual machine's guest get here.
//!
//! # Invariants
//! Nothing that a message says makes a session panic, read or write outside attached memory, or take more memory than
//! it was given. Every number of a table, graph, place or row is checked here before a device sees it, because what a device does with a
//! wrong one is its own affair.
//!
//! # Dependencies
//! `wgpu` (and `pollster`, to wait for it): one way to Vulkan and Metal, in safe code, whose shaders are validated before a driver sees them;
//! `vhost-user-backend` (with `vhost`, `virtio-queue`, `virtio-bindings`, `vm-memory` and `vmm-sys-util`, which are of one family): the emulator's protocol, the
//! mapping of guest memory and the checked reading of its queues, which is all of this crate's way into that memory; `rustix` to
//! pass descriptors on from a socket to another; `platform` for what an
//! engine in the same process sees of an executor; `kernel_simd` for what the processor computes; `zerocopy` for reading memory as numbers; `clap` for the command line.
#![forbid(unsafe_code)]

pub mod bench;
pub mod check;
#[cfg(feature = "wgpu")]
pub mod device;
pub mod executor;
mod linked;
mod nearest;
pub mod processor;
pub mod session;
pub mod transport;

#[cfg(feature = "wgpu")]
pub use device::Gpu;
pub use executor::{Executor, Failure};
pub use linked::Linked;
pub use processor::Processor;
pub use session::{Pages, Session};
