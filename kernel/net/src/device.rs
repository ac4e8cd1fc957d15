//! smoltcp's `Device` over a card's sending half and at most one received frame.

use crate::{
    nic::{NicInfo, NicTx},
    packet::{ETHERNET_HEADER, finish_checksum},
};
use alloc::vec;
use smoltcp::{
    phy::{self, Checksum, DeviceCapabilities, Medium},
    time::Instant,
};

/// What smoltcp is told about the card. TCP checksums are ours on both ways: verified before the lookup, and
/// completed (or left to the card) after the frame is built.
pub(crate) fn capabilities(info: &NicInfo) -> DeviceCapabilities {
    let mut caps = DeviceCapabilities::default();
    caps.medium = Medium::Ethernet;
    caps.max_transmission_unit = info.mtu + ETHERNET_HEADER;
    caps.checksum.tcp = Checksum::None;
    caps
}

/// One poll's view of the card.
pub(crate) struct Wire<'a> {
    pub info: &'a NicInfo,
    pub tx: &'a mut dyn NicTx,
    /// The frame to hand in, taken by the first `receive`.
    pub frame: Option<&'a [u8]>,
    /// Set when anything was queued for sending.
    pub sent: &'a mut bool,
}

pub(crate) struct FrameIn<'a>(&'a [u8]);

pub(crate) struct FrameOut<'a> {
    tx: &'a mut dyn NicTx,
    sent: &'a mut bool,
    by_card: bool,
}

impl phy::Device for Wire<'_> {
    type RxToken<'t>
        = FrameIn<'t>
    where
        Self: 't;
    type TxToken<'t>
        = FrameOut<'t>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let frame = self.frame.take()?;
        Some((FrameIn(frame), FrameOut { tx: self.tx, sent: self.sent, by_card: self.info.tx_checksum }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Self::TxToken<'_>> {
        self.tx.has_room().then_some(FrameOut {
            tx: self.tx,
            sent: self.sent,
            by_card: self.info.tx_checksum,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.info)
    }
}

impl phy::RxToken for FrameIn<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl phy::TxToken for FrameOut<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut build = Some(f);
        let mut result = None;
        *self.sent |= self.tx.send(len, &mut |buf| {
            if let Some(build) = build.take() {
                result = Some(build(buf));
            }
            finish_checksum(buf, self.by_card)
        });
        match (result, build) {
            (Some(result), _) => result,
            // No buffer was free (only answers to a received frame get here): the frame is lost, as on a full link.
            (None, Some(build)) => build(&mut vec![0; len]),
            (None, None) => unreachable!("the frame builder leaves its result"),
        }
    }
}
