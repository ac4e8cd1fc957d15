//! A controller made of code: registers, rings and a disk in memory, with a choice of misbehaviours. Physical addresses
//! are virtual ones, except that the "pages" of a caller's buffer are cut at odd places to exercise the walk.

use crate::{
    hardware::{Dma, Hardware},
    spec::{admin, io, reg},
};
use alloc::{boxed::Box, collections::VecDeque, vec, vec::Vec};
use core::{ptr::NonNull, time::Duration};
use kernel_memory::MemoryError;
use std::sync::{Condvar, Mutex};

pub const BLOCK: usize = 512;

#[derive(Clone, Copy, Debug, Default)]
pub struct Behaviour {
    /// Complete the commands of a batch in a scrambled order.
    pub scramble: bool,
    /// So many reads and writes vanish (until a reset or an abort).
    pub swallow: u32,
    /// Abort commands vanish too.
    pub swallow_aborts: bool,
    /// So many reads and writes fail with "namespace not ready", retry allowed.
    pub not_ready: u32,
    /// Reads of this block fail with an unrecovered read error.
    pub bad_block: Option<u64>,
    /// After being disabled it never becomes ready again.
    pub dies_on_reset: bool,
    /// The register region reads as all ones.
    pub unplugged: bool,
    /// Queues granted.
    pub queues: u32,
    /// Maximum data transfer size exponent.
    pub mdts: u8,
    /// Maximum queue entries.
    pub max_entries: u16,
    /// Fails write zeroes although it is advertised.
    pub no_write_zeroes: bool,
    /// Completes I/O only when told to ([`Fake::release`]).
    pub hold: bool,
}

#[derive(Clone, Copy, Default)]
struct Ring {
    base: u64,
    entries: u32,
    index: u32,
    phase: bool,
    doorbell: u32,
    vector: u16,
    cq: u16,
}

#[derive(Default)]
pub struct State {
    pub behaviour: Behaviour,
    cc: u32,
    aqa: u32,
    asq: u64,
    acq: u64,
    sq: Vec<Option<Ring>>,
    cq: Vec<Option<Ring>>,
    pub disk: Vec<u8>,
    swallowed: Vec<(u16, u16)>,
    /// Completions to be delivered: (cq, sq, cid, status, result).
    due: VecDeque<(u16, u16, u16, u16, u32)>,
    fired: Vec<bool>,
    bus_master: bool,
    /// What was seen.
    pub opcodes: Vec<u8>,
    pub fua: u32,
    pub doorbells: u32,
    pub resets: u32,
    pub largest: usize,
    /// First blocks of reads and writes, in the order in which they came.
    pub blocks: Vec<u64>,
}

pub struct Fake {
    pub state: Mutex<State>,
    interrupt: Condvar,
    /// Complete commands at once (in the doorbell write), or when a test says so.
    pub vectors: u16,
}

/// Page-aligned zeroed memory.
struct Pages(NonNull<u8>, std::alloc::Layout);
// SAFETY: owned memory.
unsafe impl Send for Pages {}
// SAFETY: owned memory, not accessed through this handle.
unsafe impl Sync for Pages {}
impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout in `allocate`.
        unsafe { std::alloc::dealloc(self.0.as_ptr(), self.1) }
    }
}

pub fn peek32(at: u64) -> u32 {
    // SAFETY: tests hand in addresses of live DMA memory.
    unsafe { (at as *const u32).read_volatile() }
}
fn peek64(at: u64) -> u64 {
    // SAFETY: as in `peek32`.
    unsafe { (at as *const u64).read_volatile() }
}
pub fn poke32(at: u64, value: u32) {
    // SAFETY: as in `peek32`.
    unsafe { (at as *mut u32).write_volatile(value) }
}

impl Fake {
    pub fn new(blocks: usize, behaviour: Behaviour) -> Self {
        let behaviour = Behaviour {
            queues: behaviour.queues.max(1),
            max_entries: if behaviour.max_entries == 0 { 64 } else { behaviour.max_entries },
            ..behaviour
        };
        let state = State {
            behaviour,
            disk: vec![0; blocks * BLOCK],
            sq: vec![None; 16],
            cq: vec![None; 16],
            fired: vec![false; 16],
            ..State::default()
        };
        Self { state: Mutex::new(state), interrupt: Condvar::new(), vectors: 9 }
    }

    /// Completes the oldest so many commands that are held back.
    pub fn release(&self, n: usize) {
        self.with(|s| {
            let later = s.due.split_off(n.min(s.due.len()));
            s.complete();
            s.due = later;
        });
        self.interrupt.notify_all();
    }
    /// Commands held back.
    pub fn held(&self) -> usize {
        self.with(|s| s.due.len())
    }

    pub fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap())
    }
}

impl State {
    fn ready(&self) -> bool {
        self.cc & 1 != 0 && !(self.behaviour.dies_on_reset && self.resets > 0)
    }

    fn configure(&mut self, cc: u32) {
        if self.cc & 1 == 0 && cc & 1 != 0 {
            let ring = |base, entries| Some(Ring { base, entries, phase: true, ..Ring::default() });
            self.sq[0] = ring(self.asq, (self.aqa & 0xfff) + 1);
            self.cq[0] = ring(self.acq, (self.aqa >> 16 & 0xfff) + 1);
        }
        if self.cc & 1 != 0 && cc & 1 == 0 {
            self.resets += 1;
            self.sq = vec![None; 16];
            self.cq = vec![None; 16];
            self.swallowed.clear();
            self.due.clear();
        }
        self.cc = cc;
    }

    /// The memory pieces of a command.
    fn pieces(&self, sqe: u64, len: usize) -> Vec<(u64, usize)> {
        let mut out = Vec::new();
        let (prp1, prp2) = (peek64(sqe + 24), peek64(sqe + 32));
        let mut left = len;
        let mut take = |at: u64, left: &mut usize| {
            let n = ((4096 - at % 4096) as usize).min(*left);
            out.push((at, n));
            *left -= n;
        };
        take(prp1, &mut left);
        if left > 0 && left <= 4096 {
            assert_eq!(prp2 % 4096, 0, "second entry must be a page");
            take(prp2, &mut left);
        } else if left > 0 {
            let (mut list, mut i) = (prp2, 0);
            while left > 0 {
                let entry = peek64(list + 8 * i);
                assert_eq!(entry % 4096, 0, "list entries must be pages");
                if i == 511 && left > 4096 {
                    (list, i) = (entry, 0);
                    continue;
                }
                take(entry, &mut left);
                i += 1;
            }
        }
        out
    }

    fn transfer(&mut self, sqe: u64, write: bool) -> u16 {
        let block = u64::from(peek32(sqe + 40)) | u64::from(peek32(sqe + 44)) << 32;
        let dw12 = peek32(sqe + 48);
        let len = ((dw12 & 0xffff) as usize + 1) * BLOCK;
        self.fua += dw12 >> 30 & 1;
        self.largest = self.largest.max(len);
        let start = block as usize * BLOCK;
        if start + len > self.disk.len() {
            return 0x80;
        }
        if self.behaviour.mdts != 0 && len > 4096 << self.behaviour.mdts {
            return 0x02 | 1 << 14;
        }
        if let Some(bad) = self.behaviour.bad_block
            && !write
            && (block..block + (len / BLOCK) as u64).contains(&bad)
        {
            return 0x281 | 1 << 14;
        }
        let mut at = start;
        for (phys, n) in self.pieces(sqe, len) {
            let disk = &mut self.disk[at..at + n];
            // SAFETY: the driver named this memory for this command, and it is alive until the command completes.
            unsafe {
                if write {
                    core::ptr::copy_nonoverlapping(phys as *const u8, disk.as_mut_ptr(), n);
                } else {
                    core::ptr::copy_nonoverlapping(disk.as_ptr(), phys as *mut u8, n);
                }
            }
            at += n;
        }
        0
    }

    fn zero(&mut self, block: u64, count: u64) -> u16 {
        let range = block as usize * BLOCK..(block + count) as usize * BLOCK;
        match self.disk.get_mut(range) {
            Some(r) => {
                r.fill(0);
                0
            }
            None => 0x80,
        }
    }

    fn io(&mut self, sqid: u16, sqe: u64, cid: u16) -> Option<u16> {
        let op = peek32(sqe) as u8;
        self.opcodes.push(op);
        if matches!(op, io::READ | io::WRITE) {
            self.blocks.push(peek64(sqe + 40));
            if self.behaviour.swallow > 0 {
                self.behaviour.swallow -= 1;
                self.swallowed.push((sqid, cid));
                return None;
            }
            if self.behaviour.not_ready > 0 {
                self.behaviour.not_ready -= 1;
                return Some(0x82);
            }
        }
        Some(match op {
            io::FLUSH => 0,
            io::READ => self.transfer(sqe, false),
            io::WRITE => self.transfer(sqe, true),
            io::WRITE_ZEROES if self.behaviour.no_write_zeroes => 0x01 | 1 << 14,
            io::WRITE_ZEROES => self.zero(peek64(sqe + 40), u64::from(peek32(sqe + 48) & 0xffff) + 1),
            io::DATASET => {
                let range = peek64(sqe + 24);
                self.zero(peek64(range + 8), u64::from(peek32(range + 4)))
            }
            _ => 0x01 | 1 << 14,
        })
    }

    fn admin(&mut self, sqe: u64) -> Option<(u16, u32)> {
        let (op, dw10, dw11) = (peek32(sqe) as u8, peek32(sqe + 40), peek32(sqe + 44));
        let data = peek64(sqe + 24);
        Some(match op {
            admin::IDENTIFY => {
                let mut page = vec![0u8; 4096];
                match dw10 & 0xff {
                    1 => {
                        page[24..29].copy_from_slice(b"Fake ");
                        page[77] = self.behaviour.mdts;
                        page[520] = 0b1100;
                        page[525] = 1;
                        page[528] = 7;
                    }
                    2 => page[0] = 1,
                    _ => {
                        page[..8].copy_from_slice(&((self.disk.len() / BLOCK) as u64).to_le_bytes());
                        page[130] = 9;
                    }
                }
                // SAFETY: the driver named a page for this command.
                unsafe { core::ptr::copy_nonoverlapping(page.as_ptr(), data as *mut u8, 4096) };
                (0, 0)
            }
            admin::SET_FEATURES if dw10 == admin::FEATURE_QUEUES => {
                let n = self.behaviour.queues - 1;
                (0, n << 16 | n)
            }
            admin::SET_FEATURES => (0, 0),
            admin::CREATE_CQ => {
                let ring = Ring {
                    base: data,
                    entries: (dw10 >> 16) + 1,
                    phase: true,
                    vector: (dw11 >> 16) as u16,
                    ..Ring::default()
                };
                assert!(ring.entries <= u32::from(self.behaviour.max_entries), "MQES ignored");
                self.cq[dw10 as usize & 0xffff] = Some(ring);
                (0, 0)
            }
            admin::CREATE_SQ => {
                let ring = Ring {
                    base: data,
                    entries: (dw10 >> 16) + 1,
                    cq: (dw11 >> 16) as u16,
                    ..Ring::default()
                };
                self.sq[dw10 as usize & 0xffff] = Some(ring);
                (0, 0)
            }
            admin::ABORT => {
                if self.behaviour.swallow_aborts {
                    return None;
                }
                let target = (dw10 as u16, (dw10 >> 16) as u16);
                if let Some(i) = self.swallowed.iter().position(|s| *s == target) {
                    self.swallowed.remove(i);
                    let cq = self.sq[usize::from(target.0)].map_or(0, |r| r.cq);
                    self.due.push_back((cq, target.0, target.1, 0x07, 0));
                }
                (0, 0)
            }
            _ => (0x01, 0),
        })
    }

    fn submissions(&mut self, id: u16) {
        while let Some(mut ring) = self.sq[usize::from(id)].filter(|r| r.index != r.doorbell) {
            let sqe = ring.base + 64 * u64::from(ring.index);
            ring.index = (ring.index + 1) % ring.entries;
            self.sq[usize::from(id)] = Some(ring);
            let cid = (peek32(sqe) >> 16) as u16;
            let answer = if id == 0 { self.admin(sqe) } else { self.io(id, sqe, cid).map(|s| (s, 0)) };
            if let Some((status, result)) = answer {
                self.due.push_back((ring.cq, id, cid, status, result));
            }
        }
    }

    fn deliver(&mut self) {
        if self.behaviour.scramble {
            let n = self.due.len();
            self.due.make_contiguous();
            for i in 0..n / 2 {
                self.due.swap(i, (i * 7 + 3) % n);
            }
        }
        if !self.behaviour.hold {
            self.complete();
        }
    }

    fn complete(&mut self) {
        while let Some((cqid, sqid, cid, status, result)) = self.due.pop_front() {
            let Some(sq) = self.sq[usize::from(sqid)] else { continue };
            let Some(mut cq) = self.cq[usize::from(cqid)] else { continue };
            let at = cq.base + 16 * u64::from(cq.index);
            poke32(at, result);
            poke32(at + 8, u32::from(sqid) << 16 | sq.index);
            poke32(at + 12, u32::from(cid) | u32::from(status) << 17 | u32::from(cq.phase) << 16);
            cq.index += 1;
            if cq.index == cq.entries {
                cq.index = 0;
                cq.phase = !cq.phase;
            }
            assert_ne!(cq.index, cq.doorbell, "completion ring overrun");
            self.fired[usize::from(cq.vector)] = true;
            self.cq[usize::from(cqid)] = Some(cq);
        }
    }
}

impl Hardware for Fake {
    fn read32(&self, offset: usize) -> u32 {
        let s = self.state.lock().unwrap();
        if s.behaviour.unplugged {
            return u32::MAX;
        }
        match offset {
            // 64 entries, half a second; stride of 8 bytes; NVM commands, 4 KiB pages.
            reg::CAP => 1 << 24 | u32::from(s.behaviour.max_entries - 1),
            0x04 => 1 << 5 | 1,
            reg::CC => s.cc,
            reg::CSTS => u32::from(s.ready()) | if s.cc >> 14 & 3 != 0 { 2 << 2 } else { 0 },
            _ => 0,
        }
    }

    fn write32(&self, offset: usize, value: u32) {
        let mut s = self.state.lock().unwrap();
        if s.behaviour.unplugged {
            return;
        }
        let low = |old: u64| old & !0xffff_ffff | u64::from(value);
        let high = |old: u64| old & 0xffff_ffff | u64::from(value) << 32;
        match offset {
            reg::CC => s.configure(value),
            reg::AQA => s.aqa = value,
            reg::ASQ => s.asq = low(s.asq),
            0x2c => s.asq = high(s.asq),
            reg::ACQ => s.acq = low(s.acq),
            0x34 => s.acq = high(s.acq),
            _ if offset >= reg::DOORBELLS => {
                assert!(s.bus_master, "doorbell without bus mastership");
                let n = (offset - reg::DOORBELLS) / 8;
                let id = n / 2;
                if n % 2 == 1 {
                    if let Some(r) = &mut s.cq[id] {
                        r.doorbell = value;
                    }
                } else {
                    s.doorbells += u32::from(id != 0);
                    let ring = s.sq[id].as_mut().expect("doorbell of a queue that is not there");
                    assert!(value < ring.entries);
                    ring.doorbell = value;
                    s.submissions(id as u16);
                    s.deliver();
                    self.interrupt.notify_all();
                }
            }
            _ => {}
        }
    }

    fn register_bytes(&self) -> usize {
        0x2000
    }

    fn allocate(&self, len: usize) -> Result<Dma, MemoryError> {
        let layout = std::alloc::Layout::from_size_align(len.next_multiple_of(4096), 4096).unwrap();
        // SAFETY: the layout is not empty.
        let base = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) }).unwrap();
        // SAFETY: fresh page-aligned memory of that size, owned by `Pages`.
        Ok(unsafe { Dma::new(base, base.as_ptr() as u64, len, Box::new(Pages(base, layout))) })
    }

    fn runs(&self, data: &[u8], each: &mut dyn FnMut(u64, usize)) {
        // Cut at every third page boundary.
        let mut at = data.as_ptr() as u64;
        let end = at + data.len() as u64;
        while at < end {
            let next = (at / 4096 + 3) * 4096;
            each(at, (next.min(end) - at) as usize);
            at = next.min(end);
        }
    }

    fn vectors(&self) -> u16 {
        self.vectors
    }

    fn wait_interrupt(&self, vector: u16, limit: Duration) {
        let s = self.state.lock().unwrap();
        let (mut s, _) = self
            .interrupt
            .wait_timeout_while(s, limit.min(Duration::from_millis(5)), |s| !s.fired[usize::from(vector)])
            .unwrap();
        s.fired[usize::from(vector)] = false;
    }

    fn set_bus_master(&self, on: bool) {
        self.state.lock().unwrap().bus_master = on;
    }
}
