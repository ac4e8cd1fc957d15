//! A disk that keeps its promises and nothing more, or breaks one of them where it is told to.
//!
//! A write is visible to reads at once and durable after a flush that began when it had ended, or when it ends with
//! [`Durability::Fua`]. When the power is cut, each write that is not durable is dropped, let through, or torn: of its
//! sectors some arrive and some do not. Which of these happens follows from the seed given to [`SimDisk::power_cycle`].

use alloc::{boxed::Box, collections::BTreeMap, vec, vec::Vec};
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
    /// Page reads of one place in so many fail, each time. 0: none.
    pub bad_places: u64,
    /// One page write in so many fails and changes nothing. 0: none.
    pub write_errors: u64,
    /// The log write with this number fails.
    pub log_error: Option<u64>,
    /// The flush with this number fails.
    pub flush_error: Option<u64>,
    /// One page write in so many never arrives, although it is acknowledged and flushed. 0: none.
    pub lost_writes: u64,
    /// One page write in so many arrives at the place of another page. 0: none.
    pub misdirected_writes: u64,
    /// The log write with this number never arrives.
    pub lost_log_write: Option<u64>,
    /// Some flushes and writes take very long.
    pub slow: bool,
    /// A mutation for tests of tests: flushes and FUA do nothing.
    pub lying_cache: bool,
    /// A mutation for tests of tests: writes are torn although they are said to be atomic.
    pub lying_atomic: bool,
}

impl Faults {
    /// Nothing does.
    pub const NONE: Self = Self {
        sector: 512,
        cut_after: None,
        read_errors: 0,
        misreads: 0,
        bad_places: 0,
        write_errors: 0,
        log_error: None,
        flush_error: None,
        lost_writes: 0,
        misdirected_writes: 0,
        lost_log_write: None,
        slow: false,
        lying_cache: false,
        lying_atomic: false,
    };
}

impl Default for Faults {
    fn default() -> Self {
        Self::NONE
    }
}

/// What becomes of one write.
enum Fate {
    /// It arrives, here or elsewhere.
    At(u64),
    /// It is acknowledged and does not arrive.
    Lost,
    /// It fails.
    Fails,
}

/// A write that was acknowledged and never arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostWrite {
    /// Where it should have gone.
    pub offset: u64,
    /// What it should have brought.
    pub data: Box<[u8]>,
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
    log_writes: u64,
    /// Log writes that ended after one that was lost.
    log_after_loss: u64,
    /// Every log write that was lost in all its time.
    lost_log: Vec<LostWrite>,
    flushes: u64,
    next_id: u64,
    /// How many faults other than a cut were met since they were set.
    met: u64,
    /// What happened in all its time, by name.
    tally: BTreeMap<&'static str, u64>,
}

impl State {
    fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }
    fn meet(&mut self, what: &'static str) {
        self.met += 1;
        self.count(what);
    }
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
                log_writes: 0,
                log_after_loss: 0,
                lost_log: Vec::new(),
                flushes: 0,
                next_id: 0,
                met: 0,
                tally: BTreeMap::new(),
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
        (s.transfers, s.log_writes, s.flushes, s.met, s.log_after_loss) = (0, 0, 0, 0, 0);
    }

    /// Changes what is to go wrong, without counting anew.
    pub fn change_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.lock().faults);
    }

    /// Faults other than a power cut that were met since they were set.
    pub fn met(&self) -> u64 {
        self.lock().met
    }

    /// What happened to it in all its time: power cuts, what they did to writes, and every fault.
    pub fn tally(&self) -> BTreeMap<&'static str, u64> {
        self.lock().tally.clone()
    }

    /// Log writes that ended after one that was lost, since the faults were set.
    pub fn log_writes_after_loss(&self) -> u64 {
        self.lock().log_after_loss
    }

    /// The log writes that were lost in all its time.
    pub fn lost_log_writes(&self) -> Vec<LostWrite> {
        self.lock().lost_log.clone()
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
        let (mut dropped, mut torn) = (0, 0);
        for p in core::mem::take(&mut s.pending) {
            let whole = !s.faults.lying_atomic && p.data.len() <= atomic && p.offset % p.data.len() == 0;
            match random() % 3 {
                0 => dropped += 1,
                1 => s.durable[p.offset..p.offset + p.data.len()].copy_from_slice(&p.data),
                _ if whole => dropped += 1,
                _ => {
                    torn += 1;
                    for (i, part) in p.data.chunks(sector).enumerate() {
                        if random() % 2 == 0 {
                            let at = p.offset + i * sector;
                            s.durable[at..at + part.len()].copy_from_slice(part);
                        }
                    }
                }
            }
        }
        *s.tally.entry("writes dropped by a cut").or_default() += dropped;
        *s.tally.entry("writes torn by a cut").or_default() += torn;
        let State { current, durable, .. } = &mut *s;
        current.copy_from_slice(durable);
        s.faults = Faults::default();
        s.transfers = 0;
    }

    fn check(&self, offset: u64, len: usize) -> Result<(), BlockError> {
        let block = u64::from(self.geometry.block_size);
        let fits = offset.checked_add(len as u64).is_some_and(|end| end <= self.geometry.capacity);
        if fits && offset.is_multiple_of(block) && (len as u64).is_multiple_of(block) {
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
        if cut && current().is_some_and(|(w, _)| !w.is_stopped()) {
            s.count("power cuts");
        }
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

    fn delay(&self, class: IoClass) {
        if let Some((world, _)) = current() {
            task::sleep(Duration::from_nanos(5_000 + world.random() % 100_000));
            if class == IoClass::Background && self.lock().faults.slow && world.random().is_multiple_of(8) {
                task::sleep(Duration::from_millis(1 + world.random() % 10));
            }
        }
    }

    /// Decides what becomes of a write.
    fn fate(&self, offset: u64, data: &[u8], class: IoClass) -> Fate {
        let mut s = self.lock();
        let Some((world, _)) = current() else { return Fate::At(offset) };
        let hits = |rate: u64| rate != 0 && world.random().is_multiple_of(rate);
        if class == IoClass::Wal {
            s.log_writes += 1;
            let number = Some(s.log_writes);
            let fate = match s.faults {
                f if f.log_error == number => Fate::Fails,
                f if f.lost_log_write == number => Fate::Lost,
                _ => return Fate::At(offset),
            };
            let lost = matches!(fate, Fate::Lost);
            if lost {
                s.lost_log.push(LostWrite { offset, data: data.into() });
            }
            s.meet(if lost { "log writes lost" } else { "log writes failed" });
            return fate;
        }
        if data.len() != PAGE {
            return Fate::At(offset);
        }
        let fate = if hits(s.faults.write_errors) {
            Fate::Fails
        } else if hits(s.faults.lost_writes) {
            Fate::Lost
        } else if hits(s.faults.misdirected_writes) {
            // Near by: where other pages are.
            let by = (1 + world.random() % 30) * PAGE as u64;
            let fits = offset + by + (PAGE as u64) <= self.geometry.capacity;
            Fate::At(if fits { offset + by } else { offset - by })
        } else {
            return Fate::At(offset);
        };
        s.meet(match fate {
            Fate::At(_) => "page writes misdirected",
            Fate::Lost => "page writes lost",
            Fate::Fails => "page writes failed",
        });
        fate
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
        self.delay(class);
        let mut s = self.lock();
        let at = offset as usize;
        buf.copy_from_slice(&s.current[at..at + buf.len()]);
        let rate = s.faults.read_errors;
        let bad = s.faults.bad_places;
        let misread = s.faults.misreads;
        if let Some((world, _)) = current()
            && misread != 0
            && buf.len() == PAGE
            && world.random() % misread == 0
        {
            let r = world.random();
            s.meet("pages misread");
            if r % 2 == 0 {
                let last = s.current.len() / PAGE - 1;
                let elsewhere = (r as usize >> 8) % last * PAGE;
                buf.copy_from_slice(&s.current[elsewhere..elsewhere + PAGE]);
            } else {
                buf[(r as usize >> 8) % PAGE] ^= 1 << (r >> 4 & 7);
            }
        }
        drop(s);
        let transient =
            rate != 0 && class == IoClass::Read && current().is_some_and(|(w, _)| w.random() % rate == 0);
        let permanent = bad != 0 && buf.len() == PAGE && digest(offset, &[]).is_multiple_of(bad);
        if transient || permanent {
            self.lock().meet("reads failed");
            return Err(BlockError::Media);
        }
        Ok(())
    }
    fn write_batch(
        &self,
        writes: &[WriteRequest<'_>],
        durability: Durability,
        class: IoClass,
    ) -> Result<(), BlockError> {
        for w in writes {
            self.check(w.offset, w.data.len())?;
        }
        let mut outcome = Ok(());
        let mut under_way = Vec::with_capacity(writes.len());
        for w in writes {
            match self.fate(w.offset, w.data, class) {
                // It may arrive in part although the power goes with it.
                Fate::At(offset) => under_way.push(self.start_write(offset, w.data)),
                Fate::Lost => {}
                Fate::Fails => outcome = Err(BlockError::Media),
            }
            self.begin(digest(w.offset, w.data))?;
        }
        // They end in any order, and others go on meanwhile.
        while !under_way.is_empty() {
            self.delay(class);
            let n = under_way.len();
            let ending = if n > 1 { current().map_or(n, |(w, _)| 1 + w.random() as usize % n) } else { n };
            for _ in 0..ending {
                let i = current().map_or(0, |(w, _)| w.random() as usize % under_way.len());
                self.end_write(under_way.swap_remove(i), durability);
            }
        }
        if class == IoClass::Wal {
            let mut s = self.lock();
            let lost = s.faults.lost_log_write.is_some_and(|n| s.log_writes > n);
            s.log_after_loss += u64::from(lost);
        }
        outcome
    }
    fn flush(&self) -> Result<(), BlockError> {
        self.begin(0xf1f1)?;
        let ended: Vec<u64> = {
            let mut s = self.lock();
            s.flushes += 1;
            if s.faults.flush_error == Some(s.flushes) {
                s.meet("flushes failed");
                return Err(BlockError::Media);
            }
            s.pending.iter().filter(|p| p.ended).map(|p| p.id).collect()
        };
        self.delay(IoClass::Wal);
        if self.lock().faults.slow
            && let Some((world, _)) = current()
            && world.random() % 4 == 0
        {
            self.lock().count("flushes delayed");
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
