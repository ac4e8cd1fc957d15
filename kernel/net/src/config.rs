//! Addresses and limits of a stack.

use core::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

/// Where the IPv4 address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv4Config {
    /// Asked for, and renewed, by DHCP.
    Dhcp,
    /// Given.
    Static {
        /// Our address.
        address: Ipv4Addr,
        /// Length of the network prefix.
        prefix: u8,
        /// Default router.
        gateway: Option<Ipv4Addr>,
    },
}

/// A global IPv6 address. The link-local one is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Config {
    /// Our address.
    pub address: Ipv6Addr,
    /// Length of the network prefix.
    pub prefix: u8,
    /// Default router.
    pub gateway: Option<Ipv6Addr>,
}

/// What connections may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Receive buffer of a connection: the window it offers. Connections that come when half of `memory` is taken get
    /// half of it, those past three quarters an eighth: where there are many connections, most are idle.
    pub receive_buffer: usize,
    /// Send buffer of a connection; shrinks like the receive buffer.
    pub send_buffer: usize,
    /// Bytes that the buffers of all connections together may take.
    pub memory: usize,
    /// Connections past `memory` that are still accepted, with tiny buffers, so that the session layer can tell the
    /// client why it is refused.
    pub refusals: usize,
    /// Handshakes in progress; the oldest makes room for a newer one.
    pub half_open: usize,
    /// Closed connections remembered to answer late segments; the oldest is forgotten first.
    pub time_wait: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            receive_buffer: 16 << 10,
            send_buffer: 32 << 10,
            memory: 64 << 20,
            refusals: 64,
            half_open: 256,
            time_wait: 256,
        }
    }
}

/// Everything a stack needs to know at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// IPv4 address.
    pub ipv4: Ipv4Config,
    /// Global IPv6 address.
    pub ipv6: Option<Ipv6Config>,
    /// From the entropy pool: initial sequence numbers and the hash of the connection table depend on it.
    pub seed: u64,
    /// Memory and backlog limits.
    pub limits: Limits,
}

impl Config {
    /// DHCP, link-local IPv6, default limits.
    pub fn new(seed: u64) -> Self {
        Self { ipv4: Ipv4Config::Dhcp, ipv6: None, seed, limits: Limits::default() }
    }
}

/// How long an acknowledgement waits for an answer to ride on. A second full segment is acknowledged at once, so
/// this bounds no throughput.
pub(crate) const ACK_HOLD: Duration = Duration::from_millis(1);
/// Sooner than this nothing that was sent is sent again: a connection that has just sent need not be asked when exactly.
pub(crate) const RESEND_FLOOR: Duration = Duration::from_millis(500);
/// So much waiting for its reader asks neither for an acknowledgement at once nor for news of the window; and so much
/// to send fits one segment.
pub(crate) const SMALL: usize = 512;
/// A handshake that takes longer is given up.
pub(crate) const HANDSHAKE_LIMIT: Duration = Duration::from_secs(20);
/// A handshake younger than this makes way for no other.
pub(crate) const HANDSHAKE_GRACE: Duration = Duration::from_millis(500);
/// A connection nobody holds any more has this long to deliver what is queued and to say goodbye.
pub(crate) const ORPHAN_LIMIT: Duration = Duration::from_secs(60);
/// Silence after which a keep-alive probe goes out.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(120);
/// Silence, probes included, after which the peer counts as gone.
pub(crate) const PEER_LIMIT: Duration = Duration::from_secs(600);
/// How soon DHCP asks again.
pub(crate) const DHCP_RETRY: Duration = Duration::from_secs(2);
/// When the card had no room: how soon to try again.
pub(crate) const ROOM_RETRY: Duration = Duration::from_millis(1);
/// Segments one connection may send before others get their turn.
pub(crate) const BURST: usize = 64;
/// Frames taken in one go before timers and other tasks get their turn.
pub(crate) const FRAME_BUDGET: usize = 64;
/// Buffers of a connection that is only told why it is refused.
pub(crate) const REFUSAL_RECEIVE: usize = 2 << 10;
/// See [`REFUSAL_RECEIVE`].
pub(crate) const REFUSAL_SEND: usize = 2 << 10;
/// Idle buffers kept for the next connections.
pub(crate) const POOL_LIMIT: usize = 64;
