//! virtio over PCI, the modern way: capabilities say where in which memory region the structures are.

use crate::{VENDOR, VirtioError};
use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;
use driver_pci::{Function, Msix};
use kernel_memory::MmioRegion;
use kernel_task::{irq::IrqLine, time};
use virtio_drivers::{
    Error, PhysAddr,
    transport::{DeviceStatus, InterruptStatus, Transport},
};

pub use virtio_drivers::transport::DeviceType;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Common configuration.
mod reg {
    pub const DEVICE_FEATURE_SELECT: usize = 0;
    pub const DEVICE_FEATURE: usize = 4;
    pub const DRIVER_FEATURE_SELECT: usize = 8;
    pub const DRIVER_FEATURE: usize = 12;
    pub const CONFIG_VECTOR: usize = 16;
    pub const STATUS: usize = 20;
    pub const GENERATION: usize = 21;
    pub const QUEUE_SELECT: usize = 22;
    pub const QUEUE_SIZE: usize = 24;
    pub const QUEUE_VECTOR: usize = 26;
    pub const QUEUE_ENABLE: usize = 28;
    pub const QUEUE_NOTIFY_OFFSET: usize = 30;
    pub const QUEUE_DESCRIPTORS: usize = 32;
    pub const QUEUE_DRIVER: usize = 40;
    pub const QUEUE_DEVICE: usize = 48;
    pub const SIZE: u64 = 56;
}

const CAPABILITY_VENDOR: u8 = 9;
const STRUCTURE_COMMON: u8 = 1;
const STRUCTURE_NOTIFY: u8 = 2;
const STRUCTURE_ISR: u8 = 3;
const STRUCTURE_DEVICE: u8 = 4;
const NO_VECTOR: u16 = 0xffff;
/// Device-specific configuration beyond this is not of interest.
const DEVICE_CONFIG_MAX: u32 = 4096;
/// Resetting a device takes no longer.
const RESET_LIMIT: Duration = Duration::from_secs(1);

/// The ring works with buffers anywhere and the 64-bit feature word.
pub const VERSION_1: u64 = 1 << 32;

/// Rings a queue's doorbell, apart from the rest of the transport.
#[derive(Clone, Debug)]
pub struct Notifier {
    region: Arc<MmioRegion>,
    offset: usize,
    queue: u16,
}

impl Notifier {
    /// Tells the device to look at the queue.
    pub fn notify(&self) {
        self.region.write16(self.offset, self.queue);
    }
}

/// A virtio device behind PCI.
pub struct PciTransport {
    function: Function,
    kind: DeviceType,
    common: MmioRegion,
    notify: Arc<MmioRegion>,
    notify_multiplier: u32,
    isr: MmioRegion,
    device: Option<MmioRegion>,
    /// Which queue interrupts through which entry of the vector table.
    queue_vectors: Vec<(u16, u16)>,
    msix: Option<Msix>,
}

/// The device type behind a PCI identity; `None`: not virtio.
pub fn device_type(function: &Function) -> Option<DeviceType> {
    if function.vendor != VENDOR {
        return None;
    }
    match function.device {
        0x1000 => Some(DeviceType::Network),
        0x1005 => Some(DeviceType::EntropySource),
        id => DeviceType::try_from(id.checked_sub(0x1040)?).ok(),
    }
}

fn structure(function: &Function, kind: u8) -> Option<(u16, u8, u32, u32)> {
    function.capabilities().into_iter().find_map(|cap| {
        let at = cap.offset;
        let wanted =
            cap.id == CAPABILITY_VENDOR && function.read8(at + 3) == kind && function.read8(at + 2) >= 16;
        wanted.then(|| (at, function.read8(at + 4), function.read32(at + 8), function.read32(at + 12)))
    })
}

impl PciTransport {
    /// Maps the device's structures and resets it.
    pub fn new(function: &Function) -> Result<Self, VirtioError> {
        let kind = device_type(function).ok_or(VirtioError::NotSupported("device type"))?;
        let find = |what| structure(function, what);
        let missing = VirtioError::NotSupported("legacy device");
        let (_, common_bar, common_at, _) = find(STRUCTURE_COMMON).ok_or(missing)?;
        let (notify_cap, notify_bar, notify_at, notify_len) = find(STRUCTURE_NOTIFY).ok_or(missing)?;
        let (_, isr_bar, isr_at, _) = find(STRUCTURE_ISR).ok_or(missing)?;
        let device = match find(STRUCTURE_DEVICE) {
            Some((_, bar, at, len)) if len > 0 => {
                Some(function.map_bar_range(bar, at.into(), len.min(DEVICE_CONFIG_MAX).into())?)
            }
            _ => None,
        };
        function.enable();
        let mut this = Self {
            function: function.clone(),
            kind,
            common: function.map_bar_range(common_bar, common_at.into(), reg::SIZE)?,
            notify: Arc::new(function.map_bar_range(notify_bar, notify_at.into(), notify_len.into())?),
            notify_multiplier: function.read32(notify_cap + 16),
            isr: function.map_bar_range(isr_bar, isr_at.into(), 1)?,
            device,
            queue_vectors: Vec::new(),
            msix: None,
        };
        this.reset()?;
        Ok(this)
    }

    fn reset(&mut self) -> Result<(), VirtioError> {
        self.common.write8(reg::STATUS, 0);
        let until = time::deadline(RESET_LIMIT);
        while self.common.read8(reg::STATUS) != 0 {
            if time::ticks() >= until {
                return Err(VirtioError::Timeout);
            }
            core::hint::spin_loop();
        }
        Ok(())
    }

    /// Makes the device forget its queues: it touches none of their memory after this.
    pub fn stop(&mut self) {
        if self.reset().is_err() {
            self.function.disable_bus_master();
        }
    }

    /// Settles on the wanted features that the device offers; [`VERSION_1`] is a must.
    pub fn negotiate(&mut self, wanted: u64) -> Result<u64, VirtioError> {
        self.set_status(DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER);
        let features = self.read_device_features() & (wanted | VERSION_1);
        if features & VERSION_1 == 0 {
            return Err(VirtioError::NotSupported("legacy device"));
        }
        self.write_driver_features(features);
        let settled = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK;
        self.set_status(settled);
        if !self.get_status().contains(DeviceStatus::FEATURES_OK) {
            return Err(VirtioError::Refused);
        }
        Ok(features)
    }

    /// Lets a queue interrupt through a line. To be called before the queue is set up; queues that were not named do
    /// not interrupt.
    pub fn route(&mut self, queue: u16, line: &IrqLine) -> Result<(), VirtioError> {
        let msix = match self.msix.take() {
            Some(msix) => msix,
            None => self.function.msix()?,
        };
        // Each routed queue gets an entry of its own.
        let entry = self.queue_vectors.len() as u16;
        if entry >= msix.vectors() {
            return Err(VirtioError::NotSupported("too few interrupt vectors"));
        }
        msix.set(entry, line.msi_address(), line.msi_data());
        self.queue_vectors.push((queue, entry));
        self.msix = Some(msix);
        Ok(())
    }

    /// The doorbell of a queue.
    pub fn notifier(&mut self, queue: u16) -> Result<Notifier, VirtioError> {
        self.common.write16(reg::QUEUE_SELECT, queue);
        let offset =
            usize::from(self.common.read16(reg::QUEUE_NOTIFY_OFFSET)) * self.notify_multiplier as usize;
        if !self.notify.contains(offset, 2) || !offset.is_multiple_of(2) {
            return Err(VirtioError::NotSupported("doorbell outside its region"));
        }
        Ok(Notifier { region: self.notify.clone(), offset, queue })
    }

    /// A byte of the device's own configuration.
    pub fn config8(&self, offset: usize) -> Option<u8> {
        self.device.as_ref().filter(|d| d.contains(offset, 1)).map(|d| d.read8(offset))
    }

    /// Two bytes of the device's own configuration.
    pub fn config16(&self, offset: usize) -> Option<u16> {
        self.device.as_ref().filter(|d| d.contains(offset, 2)).map(|d| d.read16(offset))
    }

    fn write_address(&self, at: usize, value: PhysAddr) {
        self.common.write32(at, value as u32);
        self.common.write32(at + 4, (value >> 32) as u32);
    }
}

impl Drop for PciTransport {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Transport for PciTransport {
    fn device_type(&self) -> DeviceType {
        self.kind
    }

    fn read_device_features(&mut self) -> u64 {
        self.common.write32(reg::DEVICE_FEATURE_SELECT, 0);
        let low = u64::from(self.common.read32(reg::DEVICE_FEATURE));
        self.common.write32(reg::DEVICE_FEATURE_SELECT, 1);
        low | u64::from(self.common.read32(reg::DEVICE_FEATURE)) << 32
    }

    fn write_driver_features(&mut self, features: u64) {
        self.common.write32(reg::DRIVER_FEATURE_SELECT, 0);
        self.common.write32(reg::DRIVER_FEATURE, features as u32);
        self.common.write32(reg::DRIVER_FEATURE_SELECT, 1);
        self.common.write32(reg::DRIVER_FEATURE, (features >> 32) as u32);
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.common.write16(reg::QUEUE_SELECT, queue);
        self.common.read16(reg::QUEUE_SIZE).into()
    }

    fn notify(&mut self, queue: u16) {
        if let Ok(n) = self.notifier(queue) {
            n.notify();
        }
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_truncate(self.common.read8(reg::STATUS).into())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        // All status bits are in the lowest byte.
        self.common.write8(reg::STATUS, status.bits() as u8);
    }

    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver: PhysAddr,
        device: PhysAddr,
    ) {
        let vector = self.queue_vectors.iter().find(|v| v.0 == queue).map_or(NO_VECTOR, |v| v.1);
        self.common.write16(reg::CONFIG_VECTOR, NO_VECTOR);
        self.common.write16(reg::QUEUE_SELECT, queue);
        self.common.write16(reg::QUEUE_SIZE, size as u16);
        self.write_address(reg::QUEUE_DESCRIPTORS, descriptors);
        self.write_address(reg::QUEUE_DRIVER, driver);
        self.write_address(reg::QUEUE_DEVICE, device);
        self.common.write16(reg::QUEUE_VECTOR, vector);
        if self.common.read16(reg::QUEUE_VECTOR) != vector {
            log::warn!("virtio: queue {queue} got no interrupt vector");
        }
        self.common.write16(reg::QUEUE_ENABLE, 1);
    }

    fn queue_unset(&mut self, _: u16) {
        // A modern queue is only given back by a reset of the device.
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.common.write16(reg::QUEUE_SELECT, queue);
        self.common.read16(reg::QUEUE_ENABLE) == 1
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::from_bits_truncate(self.isr.read8(0).into())
    }

    fn read_config_generation(&self) -> u32 {
        self.common.read8(reg::GENERATION).into()
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T, Error> {
        let mut value = T::new_zeroed();
        for (i, b) in value.as_mut_bytes().iter_mut().enumerate() {
            *b = self.config8(offset + i).ok_or(Error::ConfigSpaceTooSmall)?;
        }
        Ok(value)
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, offset: usize, value: T) -> Result<(), Error> {
        let device = self.device.as_ref().ok_or(Error::ConfigSpaceMissing)?;
        let bytes = value.as_bytes();
        if !device.contains(offset, bytes.len()) {
            return Err(Error::ConfigSpaceTooSmall);
        }
        for (i, b) in bytes.iter().enumerate() {
            device.write8(offset + i, *b);
        }
        Ok(())
    }
}
