//! Requests and their responses over one queue, many under way, ended by the device in any order.
//!
//! A *slot* is room for one request and for its response, in DMA memory of the ring's own: what a caller lends is copied, so that a device
//! that is late never reads or writes anything else. A slot is free, or the device has it until it says that it has not, or
//! until it was reset.

use crate::{
    VirtioError,
    buffers::Memory,
    hal::KernelHal,
    transport::{Notifier, PciTransport},
};
use alloc::{boxed::Box, vec::Vec};
use core::{
    fmt, slice,
    sync::atomic::{Ordering, fence},
};
use driver_pci::Function;
use kernel_memory::{DmaBuffer, MemoryError};
use kernel_task::irq::IrqLine;
use virtio_drivers::{
    Hal,
    queue::VirtQueue,
    transport::{DeviceStatus, DeviceType, Transport},
};

/// Entries of a queue of messages.
const QUEUE: usize = 64;
/// Messages under way at most: each takes an entry for the request and one for the response.
pub const SLOTS: usize = QUEUE / 2;

/// The device said something that cannot be: only a reset helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nonsense {
    /// It is done with what it was not given.
    Unknown,
    /// It wrote more than there was room for.
    Long,
}

impl fmt::Display for Nonsense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "the device is done with what it was not given",
            Self::Long => "the device says that it wrote more than there was room for",
        })
    }
}

impl core::error::Error for Nonsense {}

/// A slot that the device has: what it was given.
#[derive(Clone, Copy, Debug)]
struct Given {
    request: usize,
    response: usize,
}

/// The queue and its slots.
pub(crate) struct MessageRing<const N: usize, H: Hal = KernelHal, M: Memory = DmaBuffer> {
    queue: VirtQueue<H, N>,
    memory: M,
    /// Bytes of a slot's request and response.
    room: (usize, usize),
    /// By slot.
    given: Vec<Option<Given>>,
    /// By the queue's token: the slot.
    tokens: Box<[u16; N]>,
    free: Vec<u16>,
}

/// No slot.
const NONE: u16 = u16::MAX;

impl<const N: usize, H: Hal, M: Memory> MessageRing<N, H, M> {
    /// A ring of `N / 2` slots with room for requests and responses of so many bytes.
    pub fn new(queue: VirtQueue<H, N>, room: (usize, usize)) -> Result<Self, MemoryError> {
        let slots = N / 2;
        Ok(Self {
            queue,
            memory: M::new(slots * (room.0 + room.1))?,
            room,
            given: (0..slots).map(|_| None).collect(),
            tokens: Box::new([NONE; N]),
            free: (0..slots as u16).rev().collect(),
        })
    }

    /// Slots that the device does not have.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Where a slot's request and response begin.
    fn places(&self, slot: u16) -> (*mut u8, *mut u8) {
        assert!(usize::from(slot) < self.given.len(), "no such slot");
        let request = self.memory.start().wrapping_add(usize::from(slot) * (self.room.0 + self.room.1));
        (request, request.wrapping_add(self.room.0))
    }

    /// Hands a request to the device with room for a response of `response` bytes. The slot, or `None` if there is none free, or
    /// either is empty or larger than a slot.
    pub fn submit(&mut self, request: &[u8], response: usize) -> Option<u16> {
        let fits = |n: usize, room: usize| (1..=room).contains(&n);
        if !fits(request.len(), self.room.0) || !fits(response, self.room.1) {
            return None;
        }
        let slot = self.free.pop()?;
        let (at, into) = self.places(slot);
        // SAFETY: the places are `request.len()` and `response` bytes inside the memory (checked above), of a slot that the device
        // does not have; slots are disjoint, and `&mut self` makes these the only references into them.
        let (from, to) = unsafe {
            (slice::from_raw_parts_mut(at, request.len()), slice::from_raw_parts_mut(into, response))
        };
        from.copy_from_slice(request);
        to.fill(0);
        // SAFETY: nobody touches the slot until `completed` pops its token, since `given` says that the device has it; the memory lives
        // as long as the queue, whose owner resets the device before dropping it.
        let added = unsafe { self.queue.add(&[from], &mut [to]) };
        let Ok(token) = added else {
            self.free.push(slot);
            return None;
        };
        if let (Some(given), Some(of)) =
            (self.given.get_mut(usize::from(slot)), self.tokens.get_mut(usize::from(token)))
        {
            *given = Some(Given { request: request.len(), response });
            *of = slot;
        }
        Some(slot)
    }

    /// The next slot that the device is done with; what it wrote replaces the contents of `response`. The slot is free then.
    pub fn completed(&mut self, response: &mut Vec<u8>) -> Result<Option<u16>, Nonsense> {
        let Some(token) = self.queue.peek_used() else { return Ok(None) };
        let slot = self.tokens.get(usize::from(token)).copied().ok_or(Nonsense::Unknown)?;
        let given = self.given.get_mut(usize::from(slot)).and_then(Option::take).ok_or(Nonsense::Unknown)?;
        let (at, into) = self.places(slot);
        // SAFETY: as in `submit`: the same ranges.
        let (from, to) = unsafe {
            (slice::from_raw_parts_mut(at, given.request), slice::from_raw_parts_mut(into, given.response))
        };
        // SAFETY: these are the buffers that `submit` added under this token, which is still under way: `given` said so.
        let popped = unsafe { self.queue.pop_used(token, &[from], &mut [to]) };
        // Another token than a moment ago: the device rewrote what it had published. The slot is not used again.
        let written = popped.map_err(|_| Nonsense::Unknown)? as usize;
        if let Some(of) = self.tokens.get_mut(usize::from(token)) {
            *of = NONE;
        }
        self.free.push(slot);
        if written > given.response {
            return Err(Nonsense::Long);
        }
        // SAFETY: `written` bytes of the response, which the device has given back.
        let bytes = unsafe { slice::from_raw_parts(into, written) };
        response.clear();
        response.extend_from_slice(bytes);
        Ok(Some(slot))
    }

    /// Whether the device has to be told about requests submitted since the last time.
    pub fn needs_notification(&self) -> bool {
        // As in `BufferRing`: our write of the ring comes before our look whether the device listens.
        fence(Ordering::SeqCst);
        self.queue.should_notify()
    }
}

/// A device that answers messages on its queue 0.
pub struct MessagePort {
    // Dropped first: the device is reset before the ring's memory goes.
    transport: PciTransport,
    notifier: Notifier,
    ring: MessageRing<QUEUE>,
    features: u64,
}

impl MessagePort {
    /// Resets the device and starts it with the features of `wanted` that it offers. Completions interrupt through `line`. `room` is
    /// how long a request and a response may be.
    pub fn start(
        function: &Function,
        wanted: u64,
        line: &IrqLine,
        room: (usize, usize),
    ) -> Result<Self, VirtioError> {
        let mut transport = PciTransport::new(function)?;
        let features = transport.negotiate(wanted)?;
        transport.route(0, line)?;
        let queue = VirtQueue::new(&mut transport, 0, false, false)?;
        let notifier = transport.notifier(0)?;
        let ring = MessageRing::new(queue, room)?;
        transport.finish_init();
        Ok(Self { transport, notifier, ring, features })
    }

    /// What the device is.
    pub fn kind(&self) -> DeviceType {
        self.transport.device_type()
    }

    /// What was negotiated.
    pub fn features(&self) -> u64 {
        self.features
    }

    /// Whether the device says that it works.
    pub fn works(&self) -> bool {
        let status = self.transport.get_status();
        status.contains(DeviceStatus::DRIVER_OK)
            && !status.intersects(DeviceStatus::FAILED | DeviceStatus::DEVICE_NEEDS_RESET)
    }

    /// Slots that the device does not have.
    pub fn free(&self) -> usize {
        self.ring.free()
    }

    /// Hands a request to the device, with room for a response of `response` bytes; the slot that [`Self::completed`] will name, or
    /// `None` if none is free or the message does not fit one.
    pub fn submit(&mut self, request: &[u8], response: usize) -> Option<u16> {
        let slot = self.ring.submit(request, response)?;
        if self.ring.needs_notification() {
            self.notifier.notify();
        }
        Some(slot)
    }

    /// The next slot that the device is done with; what it wrote replaces the contents of `response`.
    pub fn completed(&mut self, response: &mut Vec<u8>) -> Result<Option<u16>, Nonsense> {
        self.ring.completed(response)
    }
}
