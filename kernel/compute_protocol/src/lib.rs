//! What the engine and a compute device say to each other, and what the answers mean.
//!
//! A *device* is whoever executes [`Command`]s: the GPU shim behind a virtio-gpu device, the same executor linked into the hosted
//! platform, or a processor. This crate owns the format of commands and replies and the definition of each result down to its last
//! bit, so that every device gives the same ones.
//!
//! # Format, version 2
//! All numbers are little-endian. A command is a header of 16 bytes (magic `"ILCP"`, `u16` version, `u16` operation, `u32` length of
//! the whole command, `u32` number that the reply repeats) and the operation's arguments, listed at [`Command`]. A reply is a
//! header of 32 bytes (magic `"ILCR"`, `u16` version, `u16` status, `u32` length, `u32` number, `u64` nanoseconds of computing, `u64`
//! nanoseconds of moving bytes) and what the operation answers, listed at [`Answer`]. Bulk data does not travel in commands:
//! a [`Span`] names bytes of memory that the guest has attached, and the transport resolves it. [`carrier`] says how all that travels
//! between a guest and its host.
//!
//! # What stays on a device
//! *Tables* are bytes that a command created, wrote and may drop; a *column* is a table read as one of [`Kind`]s. *Graphs* are nodes of six
//! inputs in a form that the device chooses, with one bit of state a node; [`graph`] says what a tick does. Numbers of tables and
//! graphs are the guest's to choose, in one space.
//!
//! # Results
//! Comparisons go through [`order`], an order of integers in which NaN is one value above all others and the zeros are equal, as in
//! the engine. Sums of integers are exact. Sums of floating-point numbers follow the tree of [`reduce`]. Distances order rows by [`distance`].
//!
//! # Invariants
//! Decoding accepts any bytes and either refuses them or returns a command within the limits of [`limits`]; what encoding a decoded
//! command gives is what was decoded. Whether numbers and spans exist is the device's to check.
//!
//! # Dependencies
//! `thiserror` for the text of errors; `zerocopy` for the carrier's messages as structures; `libm` for the square root, which rounds correctly.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod answer;
pub mod carrier;
pub mod command;
pub mod distance;
pub mod graph;
pub mod limits;
pub mod order;
pub mod reduce;
mod wire;

pub use answer::{Answer, Reply, Status};
pub use command::{Column, Command, Envelope, Metric, Span, Term};
pub use order::Kind;
pub use wire::DecodeError;
