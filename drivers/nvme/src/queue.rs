//! An I/O queue: commands of many tasks in, completions out.
//!
//! There is no interrupt task. Of the tasks that wait for a queue, one (the *leader*) waits for the interrupt; when it
//! comes the leader takes all completions, wakes the tasks whose commands ended, and when its own have ended too, hands
//! the lead to another. A lone caller, the commonest case, is woken once and by the interrupt itself.

use crate::{controller::Options, hardware::Hardware, prp, ring::Rings, slots::Slots, spec::Sqe};
use alloc::vec::Vec;
use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use platform::{
    block::{BlockError, IoClass},
    sync::{Mutex, MutexGuard},
    time::monotonic,
};

/// Retries of a command that the device says may be retried.
const MAX_RETRIES: u8 = 3;
/// Completions are looked for at least this often, should an interrupt get lost.
const SLICE: Duration = Duration::from_millis(200);

/// Memory of a command.
#[derive(Clone, Copy)]
pub(crate) enum Data<'a> {
    /// None.
    None,
    /// The caller's own.
    Caller(&'a [u8]),
    /// Several buffers one after the other; but for the ends, whole pages of memory.
    Many(&'a [&'a [u8]]),
    /// Physically contiguous.
    At(u64, usize),
}

/// A command to run.
#[derive(Clone, Copy)]
pub(crate) struct Io<'a> {
    pub sqe: Sqe,
    pub data: Data<'a>,
}

/// Why a group of commands did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A buffer cannot be named to the device: bounce it. Nothing of that command was submitted.
    Unaligned,
    /// The outcome.
    Block(BlockError),
}

pub(crate) struct QueueState {
    pub rings: Rings,
    pub slots: Slots,
    /// Some task waits for the interrupt.
    led: bool,
    /// The controller is gone: nothing is submitted any more.
    pub failed: bool,
    scratch: Vec<u64>,
}

pub(crate) struct Queue {
    pub id: u16,
    vector: u16,
    pub state: Mutex<QueueState>,
    /// Moving average of a group's time in nanoseconds: tells whether polling pays.
    latency: AtomicU64,
}

type Guard<'q> = MutexGuard<'q, QueueState>;

/// What waiting needs from the controller.
pub(crate) struct Context<'c> {
    pub hw: &'c dyn Hardware,
    pub options: &'c Options,
    /// Called, without any queue lock, when a command is late.
    pub recover: &'c dyn Fn(&Queue),
}

impl Queue {
    pub fn new(id: u16, vector: u16, rings: Rings) -> Self {
        let slots = Slots::new((rings.entries() - 1) as u16);
        let state = QueueState { rings, slots, led: false, failed: false, scratch: Vec::new() };
        Self { id, vector, state: Mutex::new(state), latency: AtomicU64::new(0) }
    }

    /// The interrupt vector of its completions.
    pub fn vector(&self) -> u16 {
        self.vector
    }

    /// Runs a group of commands and waits until all have ended. When this returns, the device touches none of their
    /// memory any more.
    pub fn run<'a>(
        &self,
        cx: &Context<'_>,
        ios: &mut dyn Iterator<Item = Io<'a>>,
        class: IoClass,
    ) -> Result<(), Failure> {
        let start = monotonic();
        let mut st = self.state.lock();
        let t = st.slots.open_ticket();
        let mut outcome = Ok(());
        for io in ios {
            if !st.slots.available(class) {
                st.rings.ring(cx.hw);
                st.slots.begin_wait(class);
                st = self.wait(cx, st, t, |s| s.failed || s.slots.available(class), true);
                st.slots.end_wait(class);
            }
            outcome = st.submit(cx, &io, class, t, start);
            if outcome.is_err() {
                break;
            }
        }
        st.rings.ring(cx.hw);
        st = self.wait(cx, st, t, |s| s.slots.ticket(t).remaining == 0, false);
        let ended = st.slots.close_ticket(t);
        drop(st);
        self.learn(monotonic().saturating_sub(start));
        outcome.and(ended.map_err(Failure::Block))
    }

    fn learn(&self, took: Duration) {
        let old = self.latency.load(Ordering::Relaxed);
        let new = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.latency.store(old - old / 8 + new / 8, Ordering::Relaxed);
    }

    /// How long to poll before sleeping: not at all where answers take longer than a sleep and a wake-up cost.
    fn spin(&self, options: &Options) -> Duration {
        let usual = Duration::from_nanos(self.latency.load(Ordering::Relaxed));
        if usual <= options.spin { usual * 2 } else { Duration::ZERO }
    }

    /// Waits until `done`. A caller that wants a slot says so in `starving`.
    fn wait<'q>(
        &'q self,
        cx: &Context<'_>,
        mut st: Guard<'q>,
        t: u16,
        done: impl Fn(&mut QueueState) -> bool,
        starving: bool,
    ) -> Guard<'q> {
        let start = monotonic();
        let spin_until = start + self.spin(cx.options);
        let mut check_at = start + cx.options.command_limit;
        loop {
            st.reap(cx.hw);
            if done(&mut st) {
                break;
            }
            let led_by_other = st.led;
            if led_by_other {
                if starving {
                    st.slots.starved.push(t);
                }
                let ticket = st.slots.ticket(t);
                ticket.parked = true;
                let wake = ticket.wake.clone();
                st = wake.wait_timeout(st, SLICE).0;
                st.slots.ticket(t).parked = false;
            } else {
                st.led = true;
                drop(st);
                if monotonic() < spin_until {
                    for _ in 0..64 {
                        core::hint::spin_loop();
                    }
                } else {
                    cx.hw.wait_interrupt(self.vector, SLICE.min(cx.options.command_limit));
                }
                st = self.state.lock();
                st.led = false;
            }
            if monotonic() >= check_at {
                st.reap(cx.hw);
                if st.late(monotonic()) {
                    drop(st);
                    (cx.recover)(self);
                    st = self.state.lock();
                }
                check_at = monotonic() + cx.options.abort_grace / 2;
            }
        }
        if !st.led {
            st.slots.wake_one();
        }
        st
    }
}

impl QueueState {
    /// Puts one command into the ring.
    fn submit(
        &mut self,
        cx: &Context<'_>,
        io: &Io<'_>,
        class: IoClass,
        t: u16,
        now: Duration,
    ) -> Result<(), Failure> {
        let gone = Failure::Block(BlockError::Gone);
        if self.failed {
            return Err(gone);
        }
        self.scratch.clear();
        let named = match io.data {
            Data::None => Ok(()),
            Data::At(phys, len) => prp::entries([(phys, len)].into_iter(), &mut self.scratch),
            Data::Caller(bytes) => {
                let mut walk = prp::Walk::default();
                let scratch = &mut self.scratch;
                cx.hw.runs(bytes, &mut |phys, len| walk.add(phys, len, scratch));
                walk.finish()
            }
            Data::Many(parts) => {
                let mut walk = prp::Walk::default();
                let scratch = &mut self.scratch;
                for bytes in parts {
                    cx.hw.runs(bytes, &mut |phys, len| walk.add(phys, len, scratch));
                }
                walk.finish()
            }
        };
        named.map_err(|_| Failure::Unaligned)?;
        let cid = self.slots.take(class, t, now + cx.options.command_limit).ok_or(gone)?;
        let mut sqe = io.sqe;
        sqe.set_cid(cid);
        let Some(slot) = self.slots.slot(cid) else { return Err(gone) };
        let needed = prp::lists(self.scratch.len());
        while slot.lists.len() < needed {
            match cx.hw.allocate(prp::PAGE as usize) {
                Ok(page) => slot.lists.push(page),
                Err(e) => {
                    log::error!("nvme: list page: {e}");
                    self.slots.untake(cid);
                    return Err(Failure::Unaligned);
                }
            }
        }
        let dp = prp::build(
            &self.scratch,
            |i| slot.lists[i].phys(),
            |page, index, value| {
                slot.lists[page].write64(8 * index, value);
            },
        );
        sqe.set_data(dp.prp1, dp.prp2);
        slot.sqe = sqe;
        self.rings.push(&sqe);
        Ok(())
    }

    /// Takes all completions.
    pub fn reap(&mut self, hw: &dyn Hardware) {
        let mut any = false;
        // More than a ring full would mean that the device makes them up.
        for _ in 0..2 * self.rings.entries() {
            let Some(cqe) = self.rings.pop() else { break };
            any = true;
            let Some(slot) = self.slots.slot(cqe.cid) else {
                log::warn!("nvme: completion of an unknown command {}", cqe.cid);
                continue;
            };
            if cqe.status.is_ok() {
                self.slots.complete(cqe.cid, Ok(()));
            } else if cqe.status.may_retry() && slot.retries < MAX_RETRIES && !slot.aborted {
                slot.retries += 1;
                let sqe = slot.sqe;
                self.rings.push(&sqe);
                self.rings.ring(hw);
            } else {
                if !cqe.status.is_unsupported() {
                    log::error!(
                        "nvme: command {:#x} failed, status {:#06x}",
                        slot.sqe.0[0] & 0xff,
                        cqe.status.0
                    );
                }
                self.slots.complete(cqe.cid, Err(cqe.status.error()));
            }
        }
        if any {
            self.rings.release(hw);
        }
    }

    fn late(&mut self, now: Duration) -> bool {
        self.slots.busy().iter().any(|cid| self.slots.slot(*cid).is_some_and(|s| s.deadline <= now))
    }

    /// Fails everything in flight. Only when the device cannot reach memory any more.
    pub fn fail_all(&mut self) {
        self.failed = true;
        for cid in self.slots.busy() {
            self.slots.complete(cid, Err(BlockError::Gone));
        }
        self.slots.wake_all();
    }

    /// After a reset: submits everything in flight again, but gives up on what has made the device hang twice.
    pub fn replay(&mut self, hw: &dyn Hardware, deadline: Duration) {
        for cid in self.slots.busy() {
            let Some(slot) = self.slots.slot(cid) else { continue };
            if slot.aborted && slot.retries > 0 {
                self.slots.complete(cid, Err(BlockError::Timeout));
                continue;
            }
            slot.retries += u8::from(slot.aborted);
            (slot.aborted, slot.deadline) = (false, deadline);
            let sqe = slot.sqe;
            self.rings.push(&sqe);
        }
        self.rings.ring(hw);
        self.slots.wake_all();
    }
}
