//! The TCP/IP stack: smoltcp's protocol machines behind a connection table of our own.
//!
//! smoltcp walks over every socket for every frame. Here each connection has a socket set of its own, and a hash map
//! over four-tuples says which set a frame is for; the interface is then polled with that set only. A SYN to a
//! listening port makes a socket on the spot, so there is no pool of listening sockets to run dry. Sending is polled
//! for the connection that something happened to, and timers are kept per connection in an ordered set.
//!
//! # What it owns
//! The interface (addresses, neighbours, routes), all connections and their buffers, and the card's sending half. The
//! receiving half belongs to whoever calls [`NetStack::poll`].
//!
//! # Invariants
//! * One lock guards the whole stack. It is held for bounded work only: at most a budget of frames, or one stream call.
//! * Hooks run, and are dropped, outside that lock: they may take locks of their own and may own streams.
//! * A stream call that sends does so before it returns: no other task is on the way of an answer.
//! * Memory of connection buffers never exceeds the limit, except for a bounded number of tiny ones that let the
//!   session layer tell a client that it is refused.
//! * What arrives from the network cannot panic this crate: frames are read through checked slices, and every loop over
//!   them has a budget.
//!
//! # Lock order
//! receiving half → stack. No other lock is taken while either is held.
//!
//! # Known limits of smoltcp 0.14
//! The retransmission timeout is at least one second, selective acknowledgements are offered but not acted upon when
//! sending, buffers do not grow, and two smoltcps that both lost segments may reject
//! each other's acknowledgements (other peers' are fine). An acknowledgement waits up to a millisecond for an answer to ride on; a second full
//! segment is acknowledged at once, so nothing waits for it.
//!
//! # What it must not know
//! The PostgreSQL protocol; which card it drives.
//!
//! # Dependencies
//! `smoltcp` (protocols), `hashbrown` and `foldhash` (the index, seeded against chosen collisions), `platform` (locks,
//! clock and the stream traits), `log`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod config;
mod device;
pub mod nic;
mod packet;
mod stack;
mod stream;
mod table;
#[cfg(test)]
mod tests;

pub use config::{Config, Ipv4Config, Ipv6Config, Limits};
pub use packet::FlowKey;
pub use stack::Stats;
pub use stream::{NetStack, TcpListener, TcpStream};
