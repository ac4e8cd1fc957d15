//! The arithmetic of the rings, tried whole: every size up to nine, every number of commands out at a time, every order of taking
//! turns, over enough laps for the phase to turn several times.

use super::fake::{Behaviour, Fake, peek32, poke32};
use crate::{
    hardware::{Dma, Hardware},
    ring::Rings,
    spec::Sqe,
};
use alloc::{vec, vec::Vec};
use core::time::Duration;
use kernel_memory::MemoryError;
use std::sync::Mutex;

/// Memory, and doorbells that remember what was last written to them.
struct Bells {
    fake: Fake,
    rung: Mutex<[u32; 2]>,
}

impl Hardware for Bells {
    fn read32(&self, _: usize) -> u32 {
        unreachable!("the rings read no register")
    }
    fn write32(&self, offset: usize, value: u32) {
        self.rung.lock().unwrap()[(offset - 0x1000 - 2 * 3 * 4) / 4] = value;
    }
    fn register_bytes(&self) -> usize {
        0
    }
    fn allocate(&self, len: usize) -> Result<Dma, MemoryError> {
        self.fake.allocate(len)
    }
    fn runs(&self, _: &[u8], _: &mut dyn FnMut(u64, usize)) {}
    fn vectors(&self) -> u16 {
        1
    }
    fn wait_interrupt(&self, _: u16, _: Duration) {}
    fn set_bus_master(&self, _: bool) {}
}

/// The device's side of both rings, by the book.
struct Device {
    entries: u32,
    head: u32,
    tail: u32,
    phase: u32,
}

impl Device {
    /// Takes the commands up to the doorbell.
    fn fetch(&mut self, rings: &Rings, doorbell: u32) -> Vec<u16> {
        let mut found = Vec::new();
        while self.head != doorbell {
            let at = rings.submission_phys() + u64::from(self.head) * 64;
            found.push((peek32(at) >> 16) as u16);
            assert_eq!(peek32(at + 60), 0x5a5a_0000 | peek32(at) >> 16);
            self.head = (self.head + 1) % self.entries;
        }
        found
    }
    fn complete(&mut self, rings: &Rings, cid: u16) {
        let at = rings.completion_phys() + u64::from(self.tail) * 16;
        poke32(at, u32::from(cid) * 3);
        poke32(at + 12, u32::from(cid) | self.phase << 16);
        self.tail += 1;
        if self.tail == self.entries {
            (self.tail, self.phase) = (0, self.phase ^ 1);
        }
    }
}

/// `batch` commands are pushed before the bell is rung, the device completes `turn` at a time, and the driver looks when so many
/// are there: each command arrives once and whole, each completion is taken once, and never one that is not there.
fn laps(entries: u32, batch: u32, turn: u32, lifo: bool) {
    let hw = Bells { fake: Fake::new(1, Behaviour::default()), rung: Mutex::default() };
    let mut rings = Rings::new(&hw, 3, entries, 0x1000, 4).unwrap();
    let mut device = Device { entries, head: 0, tail: 0, phase: 1 };
    let mut waiting: Vec<u16> = Vec::new();
    let (mut next, mut out, mut done) = (0u16, 0u32, vec![0u8; 65_536]);
    for _ in 0..5 * entries {
        assert!(rings.pop().is_none());
        for _ in 0..batch.min(entries - 1 - out) {
            let mut sqe = Sqe::new(2, 1).with(15, 0x5a5a_0000 | u32::from(next));
            sqe.set_cid(next);
            rings.push(&sqe);
            next += 1;
            out += 1;
        }
        assert!(device.fetch(&rings, hw.rung.lock().unwrap()[0]).is_empty(), "seen before the bell was rung");
        rings.ring(&hw);
        waiting.extend(device.fetch(&rings, hw.rung.lock().unwrap()[0]));
        assert!(waiting.len() as u32 == out);
        for _ in 0..turn.min(out) {
            let cid = if lifo { waiting.pop().unwrap() } else { waiting.remove(0) };
            device.complete(&rings, cid);
        }
        for _ in 0..turn.min(out) {
            let cqe = rings.pop().unwrap();
            assert_eq!(cqe.result, u32::from(cqe.cid) * 3);
            done[usize::from(cqe.cid)] += 1;
        }
        out -= turn.min(out);
        rings.release(&hw);
        // The device may use these places again: it never catches up with what was not taken.
        assert_eq!(hw.rung.lock().unwrap()[1], device.tail);
    }
    for (cid, n) in done.iter().enumerate().take(next.into()) {
        assert_eq!(u32::from(*n), u32::from(!waiting.contains(&(cid as u16))), "command {cid}");
    }
}

#[test]
fn every_small_ring_over_several_laps() {
    for entries in 2..=9 {
        for (batch, turn) in (1..entries).flat_map(|b| (1..entries).map(move |t| (b, t))) {
            laps(entries, batch, turn, false);
            laps(entries, batch, turn, true);
        }
    }
}
