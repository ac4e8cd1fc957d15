//! Writing when nothing else works any more: for the crash record.
//!
//! Everything is allocated while the system is well. At the crash the controller is reset, which ends whatever was in
//! flight, and brought up with one queue of two entries that is polled. No locks, no allocation, no interrupts.

use crate::{
    hardware::{Dma, Hardware, read_barrier, write_barrier},
    spec::{CC_BASE, CC_ENABLE, CSTS_READY, admin, io, reg},
};
use alloc::sync::Arc;
use kernel_memory::MemoryError;

/// Most bytes of one write: what two PRP entries reach.
pub const MAX_WRITE: usize = 8192;

/// Register reads before a wait is given up. Generous: each takes a microsecond or more on real devices.
const PATIENCE: u32 = 5_000_000;
const ENTRIES: u32 = 2;

/// A queue pair with room for one command at a time.
struct Pair {
    submission: Dma,
    completion: Dma,
    doorbell: usize,
    stride: usize,
    /// Commands sent since the reset.
    sent: u32,
}

/// What a crash needs, prepared in advance.
pub struct Emergency {
    hw: Arc<dyn Hardware>,
    admin: Pair,
    queue: Pair,
    data: Dma,
    nsid: u32,
    block_shift: u32,
}

impl Emergency {
    /// Prepares for writing to a namespace.
    pub fn prepare(hw: Arc<dyn Hardware>, nsid: u32, block_shift: u32) -> Result<Self, MemoryError> {
        let stride = 4usize << (hw.read32(reg::CAP + 4) & 0xf);
        let pair = |id: usize| {
            Ok::<_, MemoryError>(Pair {
                submission: hw.allocate(4096)?,
                completion: hw.allocate(4096)?,
                doorbell: reg::DOORBELLS + 2 * id * stride,
                stride,
                sent: 0,
            })
        };
        Ok(Self { admin: pair(0)?, queue: pair(1)?, data: hw.allocate(MAX_WRITE)?, hw, nsid, block_shift })
    }

    /// Resets the controller and writes `data` (at most [`MAX_WRITE`] bytes, padded with zeroes to whole blocks) at byte
    /// `offset`. Whether the device said it is durable. The controller is of no use to anybody else afterwards.
    pub fn write(&mut self, offset: u64, data: &[u8]) -> bool {
        let block = 1usize << self.block_shift;
        let len = data.len().next_multiple_of(block);
        if data.is_empty() || len > MAX_WRITE || offset & (block as u64 - 1) != 0 || !self.restart() {
            return false;
        }
        self.data.clear();
        self.data.copy_from(data);
        let start = offset >> self.block_shift;
        let second = if len > 4096 { self.data.phys() + 4096 } else { 0 };
        let command = Command {
            opcode: io::WRITE,
            nsid: self.nsid,
            prp: [self.data.phys(), second],
            words: [start as u32, (start >> 32) as u32, (len / block - 1) as u32 | io::FUA, 0, 0, 0],
        };
        self.queue.run(&*self.hw, &command)
            && self
                .queue
                .run(&*self.hw, &Command { opcode: io::FLUSH, nsid: self.nsid, ..Command::default() })
    }

    fn restart(&mut self) -> bool {
        let hw = &*self.hw;
        hw.set_bus_master(true);
        hw.write32(reg::CC, hw.read32(reg::CC) & !CC_ENABLE);
        if !wait(hw, 0) {
            return false;
        }
        for pair in [&mut self.admin, &mut self.queue] {
            pair.submission.clear();
            pair.completion.clear();
            pair.sent = 0;
        }
        hw.write32(reg::AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1));
        write_address(hw, reg::ASQ, self.admin.submission.phys());
        write_address(hw, reg::ACQ, self.admin.completion.phys());
        write_barrier();
        hw.write32(reg::CC, CC_BASE | CC_ENABLE);
        if !wait(hw, CSTS_READY) {
            return false;
        }
        // Queue 1, two entries, contiguous, no interrupt.
        let size = (ENTRIES - 1) << 16 | 1;
        let create =
            |opcode, at, last| Command { opcode, nsid: 0, prp: [at, 0], words: [size, last, 0, 0, 0, 0] };
        let (submission, completion) = (self.queue.submission.phys(), self.queue.completion.phys());
        self.admin.run(hw, &create(admin::CREATE_CQ, completion, 1))
            && self.admin.run(hw, &create(admin::CREATE_SQ, submission, 1 << 16 | 1))
    }
}

#[derive(Default)]
struct Command {
    opcode: u8,
    nsid: u32,
    prp: [u64; 2],
    /// Words 10 to 15.
    words: [u32; 6],
}

impl Pair {
    fn run(&mut self, hw: &dyn Hardware, command: &Command) -> bool {
        let slot = (self.sent % ENTRIES) as usize;
        let phase = u32::from((self.sent / ENTRIES).is_multiple_of(2));
        let at = slot * 64;
        self.submission.write32(at, u32::from(command.opcode) | (self.sent & 0xffff) << 16);
        self.submission.write32(at + 4, command.nsid);
        for clear in [8, 16] {
            self.submission.write64(at + clear, 0);
        }
        for (i, address) in command.prp.into_iter().enumerate() {
            self.submission.write64(at + 24 + 8 * i, address);
        }
        for (i, word) in command.words.into_iter().enumerate() {
            self.submission.write32(at + 40 + 4 * i, word);
        }
        write_barrier();
        self.sent += 1;
        hw.write32(self.doorbell, self.sent % ENTRIES);
        for _ in 0..PATIENCE {
            let status = self.completion.read32(slot * 16 + 12) >> 16;
            if status & 1 == phase {
                read_barrier();
                hw.write32(self.doorbell + self.stride, self.sent % ENTRIES);
                return status >> 1 == 0;
            }
            core::hint::spin_loop();
        }
        false
    }
}

fn wait(hw: &dyn Hardware, ready: u32) -> bool {
    (0..PATIENCE).any(|_| hw.read32(reg::CSTS) & CSTS_READY == ready)
}

fn write_address(hw: &dyn Hardware, register: usize, address: u64) {
    hw.write32(register, address as u32);
    hw.write32(register + 4, (address >> 32) as u32);
}
