//! Byte streams from clients.

use alloc::sync::Arc;
use core::{fmt, net::SocketAddr, time::Duration};

/// Why a stream operation failed. After an error other than [`NetError::TimedOut`] the stream is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetError {
    /// The peer reset or the local side aborted the connection.
    Reset,
    /// The address is in use or not ours.
    Address,
    /// The time limit passed.
    TimedOut,
    /// The network is shutting down.
    Closed,
    /// No memory for another connection.
    Exhausted,
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "connection reset",
            Self::Address => "address not available",
            Self::TimedOut => "timed out",
            Self::Closed => "network closed",
            Self::Exhausted => "out of memory for connections",
        })
    }
}

impl core::error::Error for NetError {}

/// Outcome of a non-blocking read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// So many bytes (at least one) were placed in the buffer.
    Data(usize),
    /// Nothing there yet.
    WouldBlock,
    /// The peer closed its side and everything was read.
    Eof,
}

/// Called once when an armed stream has data, end of file or an error to report. Runs on a network task: it must
/// not block nor take long (it queues the connection for a worker).
pub trait ReadyHook: Send + Sync {
    /// The stream became readable (data, EOF or error).
    fn ready(&self);
}

/// One accepted connection.
pub trait Stream: Send + Sync {
    /// Takes what has arrived, without waiting.
    fn try_read(&self, buf: &mut [u8]) -> Result<ReadOutcome, NetError>;
    /// Waits until `try_read` would not say `WouldBlock`. `Ok(false)`: the time limit passed first.
    fn wait_readable(&self, limit: Option<Duration>) -> Result<bool, NetError>;
    /// Queues all of `data` for sending; waits for buffer space. Sends at once (no Nagle).
    fn write_all(&self, data: &[u8]) -> Result<(), NetError>;
    /// Arms a one-shot hook. If the stream is readable already the hook is called at once, perhaps before this returns. A
    /// new hook replaces an unfired one.
    fn arm(&self, hook: Arc<dyn ReadyHook>);
    /// How long a task that has served a request does well to wait for the next one before it arms a hook: where waking a
    /// task from the hook costs more than a waiting one. Zero: arm at once.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }
    /// Takes what arrives within [`Self::patience`], which may pass without anything.
    fn read_patiently(&self, buf: &mut [u8]) -> Result<ReadOutcome, NetError> {
        if self.wait_readable(Some(self.patience()))? {
            self.try_read(buf)
        } else {
            Ok(ReadOutcome::WouldBlock)
        }
    }
    /// The other side's address.
    fn peer_addr(&self) -> SocketAddr;
    /// Sends what is queued, then FIN. Further writes fail; the stream is freed when dropped.
    fn close(&self);
    /// The network had no memory to serve this connection and accepted it, with tiny buffers, only so that the client
    /// can be told (SQLSTATE 53300) before it is closed.
    fn over_limit(&self) -> bool {
        false
    }
}

/// A listening port.
pub trait Listener: Send + Sync {
    /// Waits for the next connection.
    fn accept(&self) -> Result<Arc<dyn Stream>, NetError>;
    /// The bound address.
    fn local_addr(&self) -> SocketAddr;
    /// Makes pending and future `accept` calls fail with [`NetError::Closed`].
    fn close(&self);
}
