//! The real device: registers and queue through `driver_virtio`, interrupts through MSI-X, memory from the kernel.

use crate::{
    GpuError, Options, VirtioGpu,
    hardware::{Carrier, Hardware, Memory, Port},
    message::{REQUEST_ROOM, RESPONSE_ROOM, RUNS},
};
use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;
use driver_pci::Function;
use driver_virtio::{
    DeviceType, MessagePort, VirtioError,
    messages::{Nonsense, SLOTS},
    transport::device_type,
};
use kernel_memory::{DmaBuffer, frames};
use kernel_task::irq::{self, IrqLine};

/// The device takes 3D commands, which submissions are. Named after the renderer that once was the only one.
const FEATURE_VIRGL: u64 = 1 << 0;
/// Memory shared with a device may be the machine's divided by this.
const SHARE: u64 = 32;
/// Lengths of runs that are tried when there is no memory for a longer one.
const RUN_LENGTHS: [usize; 3] = [1 << 20, 256 << 10, 64 << 10];

/// A device behind PCI.
pub struct PciHardware {
    function: Function,
    carrier: Carrier,
    line: IrqLine,
}

/// Every device that may be a compute device, each with a task that finds out. Nothing is done where there is none.
pub fn find(functions: &[Function]) -> Vec<VirtioGpu> {
    let mut found = Vec::new();
    for f in functions {
        let carrier = match device_type(f) {
            Some(DeviceType::GPU) => Carrier::VirtioGpu,
            Some(DeviceType::Socket) => Carrier::Socket,
            _ => continue,
        };
        match irq::allocate(irq::next_core(), "virtio-gpu") {
            Ok(line) => {
                let hw = PciHardware { function: f.clone(), carrier, line };
                found.push(VirtioGpu::open(Box::new(hw), Options::default()));
            }
            Err(e) => log::error!("gpu: {e}"),
        }
    }
    found
}

impl Hardware for PciHardware {
    fn carrier(&self) -> Carrier {
        self.carrier
    }

    fn start(&self) -> Result<Box<dyn Port>, GpuError> {
        let wanted = match self.carrier {
            Carrier::VirtioGpu => FEATURE_VIRGL,
            Carrier::Socket => 0,
        };
        let room = (REQUEST_ROOM, RESPONSE_ROOM);
        let port = MessagePort::start(&self.function, wanted, &self.line, room)?;
        if port.features() & wanted != wanted {
            return Err(VirtioError::NotSupported("a display without 3D commands").into());
        }
        Ok(Box::new(port))
    }

    fn wait_interrupt(&self, limit: Duration) {
        self.line.wait_timeout(limit);
    }

    fn allocate(&self, bytes: usize) -> Option<Box<dyn Memory>> {
        let lengths = [bytes].into_iter().chain(RUN_LENGTHS);
        let pages = lengths.filter(|n| bytes.div_ceil(*n) <= RUNS).find_map(|n| Pages::new(bytes, n));
        pages.map(|pages| Box::new(pages) as Box<dyn Memory>)
    }

    fn budget(&self) -> u64 {
        frames::stats().total as u64 / SHARE
    }
}

impl Port for MessagePort {
    fn free(&self) -> usize {
        self.free().min(SLOTS)
    }
    fn submit(&mut self, request: &[u8], response: usize) -> Option<u16> {
        self.submit(request, response)
    }
    fn completed(&mut self, response: &mut Vec<u8>) -> Result<Option<u16>, Nonsense> {
        self.completed(response)
    }
    fn works(&self) -> bool {
        self.works()
    }
}

/// Runs of equal length, but for the last.
struct Pages {
    runs: Vec<DmaBuffer>,
    each: usize,
}

impl Pages {
    fn new(bytes: usize, each: usize) -> Option<Self> {
        let mut runs = Vec::new();
        let mut left = bytes;
        while left > 0 {
            let length = left.min(each);
            runs.push(DmaBuffer::new(length).ok()?);
            left -= length;
        }
        Some(Self { runs, each })
    }
}

impl Memory for Pages {
    fn runs(&self) -> Vec<(u64, u32)> {
        // A run is never longer than a piece.
        self.runs.iter().map(|r| (r.phys().as_u64(), r.len() as u32)).collect()
    }

    fn write(&mut self, offset: usize, from: &[u8]) {
        let (mut at, mut rest) = (offset, from);
        while !rest.is_empty() {
            let run = &mut self.runs[at / self.each].as_mut_slice()[at % self.each..];
            let (now, later) = rest.split_at(rest.len().min(run.len()));
            run[..now.len()].copy_from_slice(now);
            at += now.len();
            rest = later;
        }
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        let (mut at, mut rest) = (offset, into);
        while !rest.is_empty() {
            let run = &self.runs[at / self.each].as_slice()[at % self.each..];
            let n = rest.len().min(run.len());
            let (now, later) = rest.split_at_mut(n);
            now.copy_from_slice(&run[..n]);
            at += n;
            rest = later;
        }
    }
}
