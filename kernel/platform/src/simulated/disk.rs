//! A disk that keeps its promises and nothing more.
//!
//! A write is visible to reads at once and durable after a flush that began when it had ended, or when it ends with
//! [`Durability::Fua`]. When the power is cut, each write that is not durable is dropped, let through, or torn: of its
//! sectors some arrive and some do not. Which of these happens follows from the seed given to [`SimDisk::power_cycle`].

use alloc::{boxed::Box, vec, vec::Vec};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{power, task, world::current};
use crate::block::{BlockDevice, BlockError, Durability, Geometry, IoClass, WriteRequest};

/// What engines read at a time.
const PAGE: usize = 8192;

/// What may go wrong with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Unit of tearing: 512 or 4096.
    pub sector: usize,
    /// The power is cut when so many transfers have begun.
    pub cut_after: Option<u64>,
    /// One read in so many fails. 0: none does.
    pub read_errors: u64,
    /// One page read in so many gives something else: another place's bytes, or a bit turned over. 0: none does.
    pub misreads: u64,
    /// Some flushes take very long.
    pub slow_flushes: bool,
    /// A mutation for tests of tests: flushes and FUA do nothing.
    pub lying_cache: bool,
    /// A mutation for tests of tests: writes are torn although they are said to be atomic.
    pub lying_atomic: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            sector: 512,
            cut_after: None,
            read_errors: 0,
            misreads: 0,
            slow_flushes: false,
            lying_cache: false,
            lying_atomic: false,
        }
    }
}

struct Pending {
    id: u64,
    offset: usize,
    data: Box<[u8]>,
    ended: bool,
}

struct State {
    faults: Faults,
    /// What survives for sure.
    durable: Vec<u8>,
    /// What is read.
    current: Vec<u8>,
    /// Writes that are not durable, in order.
    pending: Vec<Pending>,
    transfers: u64,
    next_id: u64,
}

impl State {
    fn settle(&mut self, which: impl Fn(&Pending) -> bool) {
        let mut kept = Vec::new();
        for p in self.pending.drain(..) {
            if which(&p) {
                self.durable[p.offset..p.offset + p.data.len()].copy_from_slice(&p.data);
            } else {
                kept.push(p);
            }
        }
        self.pending = kept;
    }
}

/// A simulated disk. It outlives the simulations that use it.
pub struct SimDisk {
    geometry: Geometry,
    state: Mutex<State>,
}

impl SimDisk {
    /// A blank disk.
    pub fn new(capacity: usize, atomic_write: u32) -> Self {
        let geometry =
            Geometry { block_size: 512, capacity: capacity as u64, atomic_write, volatile_cache: true };
        Self {
            geometry,
            state: Mutex::new(State {
                faults: Faults::default(),
                durable: vec![0; capacity],
                current: vec![0; capacity],
                pending: Vec::new(),
                transfers: 0,
                next_id: 0,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what is to go wrong from now on. Transfers are counted anew.
    pub fn set_faults(&self, faults: Faults) {
        let mut s = self.lock();
        s.faults = faults;
        s.transfers = 0;
    }

    /// Transfers since the faults were set.
    pub fn transfers(&self) -> u64 {
        self.lock().transfers
    }

    /// What is left after the power was off.
    pub fn power_cycle(&self, seed: u64) {
        let mut s = self.lock();
        let mut r = seed | 1;
        let mut random = || {
            r = r.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            r >> 33
        };
        let sector = s.faults.sector;
        let atomic = self.geometry.atomic_write as usize;
        for p in core::mem::take(&mut s.pending) {
            let whole = !s.faults.lying_atomic && p.data.len() <= atomic && p.offset % p.data.len() == 0;
            match random() % 3 {
                0 => continue,
                1 => s.durable[p.offset..p.offset + p.data.len()].copy_from_slice(&p.data),
                _ if whole => continue,
                _ => {
                    for (i, part) in p.data.chunks(sector).enumerate() {
                        if random() % 2 == 0 {
                            let at = p.offset + i * sector;
                            s.durable[at..at + part.len()].copy_from_slice(part);
                        }
                    }
                }
            }
        }
        s.current = s.durable.clone();
        s.faults = Faults::default();
        s.transfers = 0;
    }

    fn check(&self, offset: u64, len: usize) -> Result<(), BlockError> {
        let block = u64::from(self.geometry.block_size);
        let fits = offset.checked_add(len as u64).is_some_and(|end| end <= self.geometry.capacity);
        if fits && offset % block == 0 && len as u64 % block == 0 {
            Ok(())
        } else {
            Err(BlockError::InvalidRequest)
        }
    }

    /// Counts a transfer; the power may go. Takes a while.
    fn begin(&self, event: u64) -> Result<(), BlockError> {
        let mut s = self.lock();
        s.transfers += 1;
        let cut = s.faults.cut_after.is_some_and(|n| s.transfers >= n);
        drop(s);
        let Some((world, _)) = current() else { return Ok(()) };
        if world.is_stopped() {
            return Err(BlockError::Gone);
        }
        world.note(event);
        if cut {
            power::cut();
            return Err(BlockError::Gone);
        }
        Ok(())
    }

    fn delay(&self) {
        if let Some((world, _)) = current() {
            task::sleep(Duration::from_nanos(5_000 + world.random() % 100_000));
        }
    }

    fn start_write(&self, offset: u64, data: &[u8]) -> u64 {
        let mut s = self.lock();
        let at = offset as usize;
        s.current[at..at + data.len()].copy_from_slice(data);
        let id = s.next_id;
        s.next_id += 1;
        s.pending.push(Pending { id, offset: at, data: data.into(), ended: false });
        id
    }

    fn end_write(&self, id: u64, durability: Durability) {
        let mut s = self.lock();
        let Some(me) = s.pending.iter_mut().find(|p| p.id == id) else { return };
        me.ended = true;
        let (from, to) = (me.offset, me.offset + me.data.len());
        if durability == Durability::Fua && !s.faults.lying_cache {
            // With what was written earlier to the same place.
            s.settle(|p| p.id <= id && p.offset < to && from < p.offset + p.data.len());
        }
    }
}

fn digest(offset: u64, data: &[u8]) -> u64 {
    let mut h = offset;
    for c in data.chunks(8) {
        let mut w = [0; 8];
        w[..c.len()].copy_from_slice(c);
        h = (h ^ u64::from_le_bytes(w)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }
    h
}

impl BlockDevice for SimDisk {
    fn geometry(&self) -> Geometry {
        self.geometry
    }
    fn read(&self, offset: u64, buf: &mut [u8], class: IoClass) -> Result<(), BlockError> {
        self.check(offset, buf.len())?;
        self.begin(offset ^ 0x5555)?;
        self.delay();
        let s = self.lock();
        let at = offset as usize;
        buf.copy_from_slice(&s.current[at..at + buf.len()]);
        let rate = s.faults.read_errors;
        let misread = s.faults.misreads;
        if let Some((world, _)) = current()
            && misread != 0
            && buf.len() == PAGE
            && world.random() % misread == 0
        {
            let r = world.random();
            if r % 2 == 0 {
                let last = s.current.len() / PAGE - 1;
                let elsewhere = (r as usize >> 8) % last * PAGE;
                buf.copy_from_slice(&s.current[elsewhere..elsewhere + PAGE]);
            } else {
                buf[(r as usize >> 8) % PAGE] ^= 1 << (r >> 4 & 7);
            }
        }
        drop(s);
        let fails =
            rate != 0 && class == IoClass::Read && current().is_some_and(|(w, _)| w.random() % rate == 0);
        if fails { Err(BlockError::Media) } else { Ok(()) }
    }
    fn write(
        &self,
        offset: u64,
        data: &[u8],
        durability: Durability,
        class: IoClass,
    ) -> Result<(), BlockError> {
        self.write_batch(&[WriteRequest { offset, data }], durability, class)
    }
    fn write_batch(
        &self,
        writes: &[WriteRequest<'_>],
        durability: Durability,
        _: IoClass,
    ) -> Result<(), BlockError> {
        let mut ids = Vec::with_capacity(writes.len());
        for w in writes {
            self.check(w.offset, w.data.len())?;
        }
        for w in writes {
            // It may arrive in part although the power goes with it.
            ids.push(self.start_write(w.offset, w.data));
            self.begin(digest(w.offset, w.data))?;
        }
        self.delay();
        for id in ids {
            self.end_write(id, durability);
        }
        Ok(())
    }
    fn flush(&self) -> Result<(), BlockError> {
        self.begin(0xf1f1)?;
        let ended: Vec<u64> = self.lock().pending.iter().filter(|p| p.ended).map(|p| p.id).collect();
        self.delay();
        if self.lock().faults.slow_flushes
            && let Some((world, _)) = current()
            && world.random() % 4 == 0
        {
            task::sleep(Duration::from_millis(1 + world.random() % 20));
        }
        let mut s = self.lock();
        if !s.faults.lying_cache {
            s.settle(|p| ended.binary_search(&p.id).is_ok());
        }
        Ok(())
    }
    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.check(offset, len as usize)
    }
    fn write_zeroes(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.write(offset, &vec![0; len as usize], Durability::Cached, IoClass::Background)
    }
}
