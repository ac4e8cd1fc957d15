//! The network card.

use crate::{
    VirtioError,
    buffers::{BufferRing, QUEUE, Writer},
    transport::{Notifier, PciTransport},
};
use alloc::{boxed::Box, sync::Arc};
use core::time::Duration;
use driver_pci::Function;
use kernel_net::nic::{NicInfo, NicRx, NicTx, RxChecksum, RxFrame, TxChecksum};
use kernel_task::{
    irq::{self, IrqLine},
    time, yield_now,
};
use spin::Mutex;
use virtio_drivers::transport::{DeviceType, Transport};

const FEATURE_CSUM: u64 = 1 << 0;
const FEATURE_GUEST_CSUM: u64 = 1 << 1;
const FEATURE_MTU: u64 = 1 << 3;
const FEATURE_MAC: u64 = 1 << 5;

const RX: u16 = 0;
const TX: u16 = 1;

/// Bytes in front of every frame: flags, offload type, lengths, checksum start and offset, buffer count.
const HEADER: usize = 12;
const FLAG_NEEDS_CSUM: u8 = 1;
const FLAG_DATA_VALID: u8 = 2;
/// A header, an Ethernet frame of up to 2,036 bytes.
const BUFFER: usize = 2048;
const ETHERNET_HEADER: usize = 14;
const MAX_MTU: u16 = (BUFFER - HEADER - ETHERNET_HEADER) as u16;
const MIN_MTU: u16 = 1280;

/// Other tasks that ran longer than this while we looked did something: what follows from it is worth a new look.
const WORKED: Duration = Duration::from_micros(3);

/// What both halves keep alive.
struct Device {
    transport: Mutex<PciTransport>,
    line: IrqLine,
}

impl Device {
    /// Before either half's memory goes: the device forgets both queues.
    fn stop(&self) {
        self.transport.lock().stop();
    }
}

/// The receiving half.
struct Rx {
    ring: BufferRing<QUEUE>,
    notifier: Notifier,
    /// The buffer behind the frame handed out last.
    current: Option<u16>,
    /// Buffers given back since the device was last told.
    returned: bool,
    device: Arc<Device>,
}

/// The sending half.
struct Tx {
    ring: BufferRing<QUEUE>,
    notifier: Notifier,
    device: Arc<Device>,
}

impl Drop for Rx {
    fn drop(&mut self) {
        self.device.stop();
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        self.device.stop();
    }
}

/// A started card in two halves.
pub struct VirtioNet {
    /// Its properties.
    pub info: NicInfo,
    /// Receives.
    pub rx: Box<dyn NicRx>,
    /// Sends.
    pub tx: Box<dyn NicTx>,
}

impl VirtioNet {
    /// Starts the card; its interrupts go to core `core`.
    pub fn start(function: &Function, core: usize) -> Result<Self, VirtioError> {
        let mut transport = PciTransport::new(function)?;
        if transport.device_type() != DeviceType::Network {
            return Err(VirtioError::NotSupported("not a network card"));
        }
        let features = transport.negotiate(FEATURE_CSUM | FEATURE_GUEST_CSUM | FEATURE_MTU | FEATURE_MAC)?;
        let mut mac = [0; 6];
        if features & FEATURE_MAC == 0 {
            return Err(VirtioError::NotSupported("no hardware address"));
        }
        for (i, b) in mac.iter_mut().enumerate() {
            *b = transport.config8(i).ok_or(VirtioError::NotSupported("configuration"))?;
        }
        let mtu = match transport.config16(10) {
            Some(mtu) if features & FEATURE_MTU != 0 => mtu.clamp(MIN_MTU, MAX_MTU),
            _ => 1500,
        };
        let line = irq::allocate(core, "virtio-net")?;
        transport.route(RX, &line)?;
        let mut rx_ring = BufferRing::new(&mut transport, RX, BUFFER, Writer::Device)?;
        let mut tx_ring = BufferRing::<QUEUE>::new(&mut transport, TX, BUFFER, Writer::Driver)?;
        let (rx_notifier, tx_notifier) = (transport.notifier(RX)?, transport.notifier(TX)?);
        // Sent buffers are reclaimed when room is needed: no interrupt says that they are free.
        tx_ring.set_interrupts(false);
        rx_ring.set_interrupts(false);
        while let Some(buffer) = rx_ring.take() {
            rx_ring.submit(buffer, BUFFER);
        }
        transport.finish_init();
        rx_notifier.notify();
        log::info!("virtio-net: {:02x?}, mtu {mtu}, checksum offload {}", mac, features & FEATURE_CSUM != 0);
        let device = Arc::new(Device { transport: Mutex::new(transport), line });
        let info = NicInfo { mac, mtu: mtu.into(), tx_checksum: features & FEATURE_CSUM != 0 };
        let rx = Rx {
            ring: rx_ring,
            notifier: rx_notifier,
            current: None,
            returned: false,
            device: device.clone(),
        };
        let tx = Tx { ring: tx_ring, notifier: tx_notifier, device };
        Ok(Self { info, rx: Box::new(rx), tx: Box::new(tx) })
    }
}

fn received(header: &[u8]) -> RxChecksum {
    match header.first() {
        Some(flags) if flags & (FLAG_NEEDS_CSUM | FLAG_DATA_VALID) != 0 => RxChecksum::Valid,
        _ => RxChecksum::Unknown,
    }
}

fn header(checksum: TxChecksum) -> [u8; HEADER] {
    let mut h = [0; HEADER];
    if let TxChecksum::Partial { start, offset } = checksum {
        h[0] = FLAG_NEEDS_CSUM;
        h[6..8].copy_from_slice(&start.to_le_bytes());
        h[8..10].copy_from_slice(&offset.to_le_bytes());
    }
    h
}

impl Rx {
    fn give_back(&mut self) {
        if let Some(buffer) = self.current.take() {
            self.ring.submit(buffer, BUFFER);
            self.returned = true;
        }
    }
}

impl NicRx for Rx {
    fn receive(&mut self) -> Option<RxFrame<'_>> {
        self.give_back();
        // A header without a frame is skipped; more of them than there are buffers do not come in one go.
        for _ in 0..QUEUE {
            let (buffer, len) = self.ring.reclaim()?;
            self.current = Some(buffer);
            if len > HEADER {
                let (head, frame) = self.ring.bytes(buffer, len).split_at(HEADER);
                return Some(RxFrame { bytes: frame, checksum: received(head) });
            }
            self.give_back();
        }
        None
    }

    fn refill(&mut self) {
        self.give_back();
        if core::mem::take(&mut self.returned) && self.ring.needs_notification() {
            self.notifier.notify();
        }
    }

    fn wait(&mut self, linger: Duration, limit: Duration) -> bool {
        self.refill();
        // Let whoever was woken by the last frames run first: more may have come when they are done.
        yield_now();
        let (linger, worked) = (time::to_ticks(linger), time::to_ticks(WORKED));
        let mut since = time::ticks();
        loop {
            if self.ring.is_done() {
                return true;
            }
            let before = time::ticks();
            if before.wrapping_sub(since) >= linger {
                break;
            }
            yield_now();
            if time::ticks().wrapping_sub(before) > worked {
                since = time::ticks();
            }
        }
        self.ring.set_interrupts(true);
        if !self.ring.is_done() {
            self.device.line.wait_timeout(limit);
        }
        self.ring.set_interrupts(false);
        false
    }
}

impl Tx {
    fn reclaim(&mut self) {
        while let Some((buffer, _)) = self.ring.reclaim() {
            self.ring.put(buffer);
        }
    }
}

impl NicTx for Tx {
    fn has_room(&mut self) -> bool {
        if self.ring.free() < QUEUE / 2 {
            self.reclaim();
        }
        self.ring.free() > 0
    }

    fn send(&mut self, len: usize, fill: &mut dyn FnMut(&mut [u8]) -> TxChecksum) -> bool {
        if !self.has_room() || len > BUFFER - HEADER {
            return false;
        }
        let Some(buffer) = self.ring.take() else { return false };
        let bytes = self.ring.bytes(buffer, HEADER + len);
        let (head, frame) = bytes.split_at_mut(HEADER);
        head.copy_from_slice(&header(fill(frame)));
        self.ring.submit(buffer, HEADER + len);
        true
    }

    fn flush(&mut self) {
        if self.ring.needs_notification() {
            self.notifier.notify();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_what_is_left_to_do() {
        assert_eq!(header(TxChecksum::Complete), [0; 12]);
        let h = header(TxChecksum::Partial { start: 34, offset: 16 });
        assert_eq!(h, [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0]);
        assert_eq!(received(&h), RxChecksum::Valid);
        assert_eq!(received(&[2]), RxChecksum::Valid);
        assert_eq!(received(&[0]), RxChecksum::Unknown);
        assert_eq!(received(&[]), RxChecksum::Unknown);
    }
}
