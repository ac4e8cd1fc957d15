//! A submission ring and its completion ring.

use crate::{
    hardware::{Dma, Hardware, read_barrier, write_barrier},
    spec::{CQE_SIZE, Cqe, SQE_SIZE, Sqe, Status},
};
use kernel_memory::MemoryError;

/// Both rings of a queue. At most `entries - 1` commands may be outstanding, so neither ring ever overflows.
pub(crate) struct Rings {
    submission: Dma,
    completion: Dma,
    entries: u32,
    tail: u32,
    /// The tail the device knows.
    rung: u32,
    head: u32,
    phase: bool,
    tail_doorbell: usize,
    head_doorbell: usize,
}

impl Rings {
    pub fn new(
        hw: &dyn Hardware,
        id: u16,
        entries: u32,
        doorbells: usize,
        stride: usize,
    ) -> Result<Self, MemoryError> {
        let place = doorbells + 2 * usize::from(id) * stride;
        Ok(Self {
            submission: hw.allocate(entries as usize * SQE_SIZE)?,
            completion: hw.allocate(entries as usize * CQE_SIZE)?,
            entries,
            tail: 0,
            rung: 0,
            head: 0,
            phase: true,
            tail_doorbell: place,
            head_doorbell: place + stride,
        })
    }

    pub fn entries(&self) -> u32 {
        self.entries
    }
    pub fn submission_phys(&self) -> u64 {
        self.submission.phys()
    }
    pub fn completion_phys(&self) -> u64 {
        self.completion.phys()
    }

    /// As new. Only while the device has forgotten the queue.
    pub fn reset(&mut self) {
        self.completion.clear();
        (self.tail, self.rung, self.head, self.phase) = (0, 0, 0, true);
    }

    /// Puts a command into the ring; the device sees it at the next [`Rings::ring`].
    pub fn push(&mut self, sqe: &Sqe) {
        let at = self.tail as usize * SQE_SIZE;
        for (i, pair) in sqe.0.chunks_exact(2).enumerate() {
            self.submission.write64(at + 8 * i, u64::from(pair[1]) << 32 | u64::from(pair[0]));
        }
        self.tail = (self.tail + 1) % self.entries;
    }

    /// Tells the device about everything pushed.
    pub fn ring(&mut self, hw: &dyn Hardware) {
        if self.rung != self.tail {
            write_barrier();
            hw.write32(self.tail_doorbell, self.tail);
            self.rung = self.tail;
        }
    }

    /// The next completion, if there is one.
    pub fn pop(&mut self) -> Option<Cqe> {
        let at = self.head as usize * CQE_SIZE;
        // The word with the phase bit first: only once it has turned is the rest of the entry there.
        let last = self.completion.read32(at + 12);
        if (last >> 16 & 1 != 0) != self.phase {
            return None;
        }
        read_barrier();
        let result = self.completion.read32(at);
        self.head += 1;
        if self.head == self.entries {
            self.head = 0;
            self.phase = !self.phase;
        }
        Some(Cqe { result, cid: last as u16, status: Status((last >> 17) as u16) })
    }

    /// Gives the entries popped so far back to the device.
    pub fn release(&mut self, hw: &dyn Hardware) {
        hw.write32(self.head_doorbell, self.head);
    }
}
