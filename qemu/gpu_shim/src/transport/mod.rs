//! How messages of a guest become jobs.
//!
//! [`control`] understands the messages of the control queue and keeps what they make: a context and resources. What takes time comes out of it as
//! a [`Task`], which a [`Worker`] does, one after the other. Both know nothing of queues and threads, so that tests and fuzzers drive them
//! with any bytes. `vhost` (feature of that name, Linux) connects them with a virtual machine.

pub mod control;
mod pages;
#[cfg(all(feature = "vhost", target_os = "linux"))]
mod resume;
#[cfg(all(feature = "vhost", target_os = "linux"))]
pub mod vhost;
mod worker;

pub use control::{Control, Outcome, Task};
pub use pages::Memory;
pub use worker::{Open, Worker};
