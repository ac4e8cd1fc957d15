//! A ring of buffers against a device in memory: over every wrap of its indices, in any order, with a device that exaggerates.

use alloc::{boxed::Box, collections::VecDeque, vec, vec::Vec};
use core::{cell::Cell, ptr::NonNull};
use std::alloc::{Layout, alloc_zeroed, dealloc};

use kernel_memory::MemoryError;
use virtio_drivers::{
    BufferDirection, Hal, PhysAddr,
    transport::{DeviceStatus, DeviceType, InterruptStatus, Transport},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::buffers::{BufferRing, Memory, Writer};

const PAGE: usize = 4096;
const BUFFER: usize = 16;

/// The process's memory: a physical address is a pointer.
pub(crate) struct HostHal;

fn layout(pages: usize) -> Layout {
    Layout::from_size_align(pages * PAGE, PAGE).unwrap()
}

// SAFETY: `dma_alloc` hands out fresh, zeroed, page-aligned memory until `dma_dealloc`; `share` gives the address itself.
unsafe impl Hal for HostHal {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // SAFETY: the layout is not empty.
        let base = NonNull::new(unsafe { alloc_zeroed(layout(pages)) }).unwrap();
        (base.as_ptr().expose_provenance() as u64, base)
    }
    // SAFETY: the caller hands back what `dma_alloc` gave.
    unsafe fn dma_dealloc(_: PhysAddr, base: NonNull<u8>, pages: usize) -> i32 {
        // SAFETY: as above, with the same layout.
        unsafe { dealloc(base.as_ptr(), layout(pages)) };
        0
    }
    // SAFETY: no one has registers here.
    unsafe fn mmio_phys_to_virt(_: PhysAddr, _: usize) -> NonNull<u8> {
        unreachable!("there are no registers")
    }
    // SAFETY: the caller keeps the buffer until `unshare`.
    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().as_ptr().expose_provenance() as u64
    }
    // SAFETY: there is nothing to undo.
    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

impl Memory for Box<[Cell<u8>]> {
    fn new(len: usize) -> Result<Self, MemoryError> {
        Ok(vec![Cell::new(0); len].into())
    }
    fn start(&self) -> *mut u8 {
        self.as_ptr().cast_mut().cast()
    }
}

/// Where the device finds the ring, and how far it has come.
#[derive(Default)]
pub(crate) struct Device {
    pub size: usize,
    pub descriptors: usize,
    pub available: usize,
    pub used: usize,
    pub seen: u16,
    pub done: u16,
    /// Heads of the buffers that it has: descriptor, address, length, whether it is to write.
    has: VecDeque<(u16, usize, u32, bool)>,
}

impl Device {
    pub fn read<T: Copy>(at: usize) -> T {
        // SAFETY: the places that the queue named, within its memory, aligned; the test has no other thread.
        unsafe { core::ptr::with_exposed_provenance::<T>(at).read_volatile() }
    }
    pub fn write<T>(at: usize, value: T) {
        // SAFETY: as in `read`; the device's part of the ring, or a buffer that it has for writing.
        unsafe { core::ptr::with_exposed_provenance_mut::<T>(at).write_volatile(value) }
    }

    /// Takes what was made available.
    fn take(&mut self) {
        let end: u16 = Self::read(self.available + 2);
        while self.seen != end {
            let slot = usize::from(self.seen) % self.size;
            let head: u16 = Self::read(self.available + 4 + slot * 2);
            let at = self.descriptors + usize::from(head) * 16;
            let flags: u16 = Self::read(at + 12);
            assert_eq!(flags & 1, 0, "one buffer at a time");
            let address: u64 = Self::read(at);
            self.has.push_back((head, address as usize, Self::read(at + 8), flags & 2 != 0));
            self.seen = self.seen.wrapping_add(1);
        }
        assert!(self.has.len() <= self.size, "more buffers than there are");
    }

    /// Is done with one of them: gives what it read, or writes `fill`. Says that it wrote `claim` bytes.
    fn finish(&mut self, which: usize, fill: u8, claim: u32) -> [u8; BUFFER] {
        let (head, address, len, writes) = self.has.remove(which % self.has.len()).unwrap();
        let mut content = [0; BUFFER];
        for (i, byte) in content.iter_mut().enumerate().take(len as usize) {
            if writes {
                Self::write(address + i, fill);
            } else {
                *byte = Self::read(address + i);
            }
        }
        let slot = self.used + 4 + usize::from(self.done) % self.size * 8;
        Self::write(slot, u32::from(head));
        Self::write(slot + 4, claim);
        self.done = self.done.wrapping_add(1);
        Self::write(self.used + 2, self.done);
        content
    }
}

impl Transport for Device {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }
    fn read_device_features(&mut self) -> u64 {
        0
    }
    fn write_driver_features(&mut self, _: u64) {}
    fn max_queue_size(&mut self, _: u16) -> u32 {
        1024
    }
    fn notify(&mut self, _: u16) {}
    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::empty()
    }
    fn set_status(&mut self, _: DeviceStatus) {}
    fn set_guest_page_size(&mut self, _: u32) {}
    fn requires_legacy_layout(&self) -> bool {
        false
    }
    fn queue_set(&mut self, _: u16, size: u32, descriptors: PhysAddr, driver: PhysAddr, device: PhysAddr) {
        let [descriptors, available, used] = [descriptors, driver, device].map(|a| a as usize);
        *self = Self { size: size as usize, descriptors, available, used, ..Self::default() };
    }
    fn queue_unset(&mut self, _: u16) {}
    fn queue_used(&mut self, _: u16) -> bool {
        false
    }
    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty()
    }
    fn read_config_generation(&self) -> u32 {
        0
    }
    fn read_config_space<T: FromBytes + IntoBytes>(&self, _: usize) -> virtio_drivers::Result<T> {
        Err(virtio_drivers::Error::ConfigSpaceMissing)
    }
    fn write_config_space<T: IntoBytes + Immutable>(&mut self, _: usize, _: T) -> virtio_drivers::Result<()> {
        Err(virtio_drivers::Error::ConfigSpaceMissing)
    }
}

/// A driver and its device; the device's memory is the queue's.
fn ring<const N: usize>(writer: Writer) -> (BufferRing<N, HostHal, Box<[Cell<u8>]>>, Device) {
    let mut device = Device::default();
    (BufferRing::new(&mut device, 0, BUFFER, writer).unwrap(), device)
}

/// Twice round the 16-bit indices, with any number of buffers under way.
fn laps<const N: usize>(writer: Writer) {
    let (mut ring, mut device) = ring::<N>(writer);
    let mut seed = 7 + N as u32;
    let mut random = |n: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % n
    };
    let (mut submitted, mut back) = (0u32, 0u32);
    let mut under_way: Vec<u16> = Vec::new();
    // What the device finished, in order: a number for each.
    let mut finished: VecDeque<(u8, usize)> = VecDeque::new();
    while back < 140_000 {
        for _ in 0..random(N + 1) {
            let Some(buffer) = ring.take() else { break };
            assert!(!under_way.contains(&buffer), "buffer {buffer} is with the device");
            let len = 1 + random(BUFFER);
            ring.bytes(buffer, len).fill(submitted as u8);
            ring.submit(buffer, len);
            under_way.push(buffer);
            submitted += 1;
        }
        assert_eq!(ring.free() + under_way.len(), N);
        device.take();
        assert_eq!(device.has.len() + finished.len(), under_way.len(), "all that was made available arrived");
        for _ in 0..random(N + 1).min(device.has.len()) {
            let which = random(N);
            let (_, _, len, writes) = device.has[which % device.has.len()];
            assert_eq!(writes, writer == Writer::Device);
            let fill = random(256) as u8;
            // Now and then it says that it wrote more than there was room for.
            let exaggerates = random(50) == 0;
            let content = device.finish(which, fill, if exaggerates { u32::MAX } else { len });
            let first = if writer == Writer::Device { fill } else { content[0] };
            assert!(writer == Writer::Device || content[..len as usize].iter().all(|b| *b == first));
            finished.push_back((first, len as usize));
        }
        for _ in 0..random(N + 1) {
            assert_eq!(ring.is_done(), !finished.is_empty());
            let Some((buffer, len)) = ring.reclaim() else { break };
            let (byte, expected) = finished.pop_front().expect("the device was not done with any");
            assert_eq!(len, expected);
            assert!(ring.bytes(buffer, len).iter().all(|b| *b == byte), "the bytes of another buffer");
            let at = under_way.iter().position(|b| *b == buffer).expect("not with the device");
            under_way.swap_remove(at);
            ring.put(buffer);
            back += 1;
        }
    }
    assert!(submitted > 2 * 65_536);
}

#[test]
fn indices_wrap_twice_while_the_device_writes() {
    laps::<1>(Writer::Device);
    laps::<4>(Writer::Device);
    laps::<256>(Writer::Device);
}

#[test]
fn indices_wrap_twice_while_the_driver_writes() {
    laps::<2>(Writer::Driver);
    laps::<64>(Writer::Driver);
}

#[test]
fn a_device_that_names_buffers_it_does_not_have_is_not_believed() {
    let (mut ring, mut device) = ring::<4>(Writer::Device);
    let buffer = ring.take().unwrap();
    ring.submit(buffer, BUFFER);
    device.take();
    for (slot, number) in [u32::from(buffer) ^ 1, 4, u32::MAX].into_iter().enumerate() {
        Device::write(device.used + 4 + slot * 8, number);
        Device::write(device.used + 8 + slot * 8, 1u32);
    }
    Device::write(device.used + 2, 3u16);
    assert!(ring.is_done());
    assert_eq!(ring.reclaim(), None);
    device.done = 3;
    device.finish(0, 7, BUFFER as u32);
    assert_eq!(ring.reclaim(), Some((buffer, BUFFER)));
    assert_eq!(ring.reclaim(), None, "once is enough");
}

#[test]
fn notifications_are_asked_for_in_the_ring() {
    let (mut ring, device) = ring::<4>(Writer::Driver);
    assert!(ring.needs_notification());
    Device::write(device.used, 1u16);
    assert!(!ring.needs_notification(), "the device listens to no one");
    ring.set_interrupts(false);
    assert_eq!(Device::read::<u16>(device.available), 1);
    ring.set_interrupts(true);
    assert_eq!(Device::read::<u16>(device.available), 0);
}
