//! What the stack asks of a network card: a receiving half that one task drains, and a sending half that is used
//! under the stack's lock.

use core::time::Duration;

/// Fixed properties of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NicInfo {
    /// Hardware address.
    pub mac: [u8; 6],
    /// Largest IP packet (1500 on ordinary Ethernet), without the Ethernet header.
    pub mtu: usize,
    /// The card completes TCP checksums of frames sent with [`TxChecksum::Partial`].
    pub tx_checksum: bool,
}

/// What is known about the checksums of a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxChecksum {
    /// Nothing: software must verify.
    Unknown,
    /// The card verified the transport checksum, or the frame never left this host's memory.
    Valid,
}

/// A received frame, Ethernet header first.
#[derive(Debug)]
pub struct RxFrame<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// What the card says about its checksum.
    pub checksum: RxChecksum,
}

/// What is left to do about the checksum of a frame being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxChecksum {
    /// The frame is complete.
    Complete,
    /// The card shall sum from `start` to the end and store the result at `start + offset`, where the sum of the
    /// pseudo-header already is.
    Partial {
        /// Where summing begins: the transport header.
        start: u16,
        /// Offset of the checksum field in that header.
        offset: u16,
    },
}

/// The receiving half.
pub trait NicRx: Send {
    /// The next frame, if one has arrived. The buffer of the previous one goes back to the card.
    fn receive(&mut self) -> Option<RxFrame<'_>>;
    /// Called after a run of [`NicRx::receive`]: tells the card about the buffers it got back.
    fn refill(&mut self);
    /// Waits until a frame may have arrived or `limit` passed: first for `linger` by looking, letting other tasks run,
    /// then for an interrupt. True when looking was enough.
    fn wait(&mut self, linger: Duration, limit: Duration) -> bool;
}

/// The sending half. Frames become visible to the card at [`NicTx::flush`] at the latest.
pub trait NicTx: Send {
    /// True when [`NicTx::send`] would find a free buffer.
    fn has_room(&mut self) -> bool;
    /// Queues one frame of `len` bytes, filled in by `fill` in the card's own buffer. False, and `fill` not called:
    /// no buffer is free.
    fn send(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8]) -> TxChecksum) -> bool;
    /// Tells the card about all queued frames.
    fn flush(&mut self);
}
