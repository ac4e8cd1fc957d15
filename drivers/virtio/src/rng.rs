//! The entropy source.

use crate::{
    VirtioError,
    buffers::{BufferRing, Writer},
    transport::{Notifier, PciTransport},
};
use core::time::Duration;
use driver_pci::Function;
use kernel_task::{time, yield_now};
use virtio_drivers::transport::{DeviceType, Transport};

const ENTRIES: usize = 8;
const BUFFER: usize = 256;

/// Random bytes from the host.
pub struct VirtioRng {
    // Dropped first: the device is reset before the ring's memory goes.
    _transport: PciTransport,
    notifier: Notifier,
    ring: BufferRing<ENTRIES>,
    /// A request is with the device.
    asked: bool,
}

impl VirtioRng {
    /// Starts the device. It is polled: nobody waits for it but the seeding at boot and the occasional reseeding.
    pub fn start(function: &Function) -> Result<Self, VirtioError> {
        let mut transport = PciTransport::new(function)?;
        if transport.device_type() != DeviceType::EntropySource {
            return Err(VirtioError::NotSupported("not an entropy source"));
        }
        transport.negotiate(0)?;
        let mut ring = BufferRing::<ENTRIES>::new(&mut transport, 0, BUFFER, Writer::Device)?;
        let notifier = transport.notifier(0)?;
        ring.set_interrupts(false);
        transport.finish_init();
        Ok(Self { _transport: transport, notifier, ring, asked: false })
    }

    /// Fills `out`, waiting no longer than `limit`. What a late answer brings is used by the next call.
    pub fn fill(&mut self, out: &mut [u8], limit: Duration) -> Result<(), VirtioError> {
        let until = time::deadline(limit);
        let mut rest = out;
        while !rest.is_empty() {
            if !self.asked {
                let Some(buffer) = self.ring.take() else { return Err(VirtioError::Timeout) };
                self.ring.submit(buffer, BUFFER);
                self.asked = true;
                if self.ring.needs_notification() {
                    self.notifier.notify();
                }
            }
            let Some((buffer, len)) = self.ring.reclaim() else {
                if time::ticks() >= until {
                    return Err(VirtioError::Timeout);
                }
                yield_now();
                continue;
            };
            self.asked = false;
            let n = len.min(rest.len());
            let bytes = self.ring.bytes(buffer, len);
            let (now, later) = rest.split_at_mut(n);
            now.copy_from_slice(&bytes[..n]);
            // Bytes are used once.
            bytes.fill(0);
            self.ring.put(buffer);
            rest = later;
        }
        Ok(())
    }
}
