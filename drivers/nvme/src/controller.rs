//! The controller: start, queues, admin commands, recovery.
//!
//! # Lock order
//! admin queue (which also serialises recovery) → I/O queues by number.

use crate::{
    NvmeError,
    hardware::{Dma, Hardware},
    queue::{Context, Failure, Io, Queue, QueueState},
    ring::Rings,
    spec::{
        CC_BASE, CC_ENABLE, CC_SHUTDOWN, CSTS_FATAL, CSTS_READY, CSTS_SHUTDOWN, CSTS_SHUTDOWN_DONE,
        Capabilities, ControllerInfo, Cqe, NamespaceInfo, Sqe, admin, reg,
    },
};
use alloc::{sync::Arc, vec, vec::Vec};
use core::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use platform::{
    block::{BlockError, IoClass},
    sync::{Mutex, MutexGuard},
    task,
    time::monotonic,
};

/// Entries of the admin rings.
const ADMIN_ENTRIES: u32 = 32;
/// I/O queues get this many entries where the device allows.
const QUEUE_ENTRIES: u32 = 256;
/// Register reads of a device that is no longer there.
const ABSENT: u32 = u32::MAX;

/// Time limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A command that takes longer is aborted.
    pub command_limit: Duration,
    /// An abort that takes longer leads to a controller reset.
    pub abort_grace: Duration,
    /// Polling instead of sleeping is tried while commands usually take no longer than this.
    pub spin: Duration,
    /// At most this many I/O queues (they are also bounded by cores, vectors and the device).
    pub queues: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            command_limit: Duration::from_secs(10),
            abort_grace: Duration::from_secs(5),
            spin: Duration::from_micros(15),
            queues: 64,
        }
    }
}

/// The admin queue.
struct Admin {
    rings: Rings,
    data: Dma,
    next_cid: u16,
}

/// One NVMe controller.
pub struct Controller {
    hw: Arc<dyn Hardware>,
    caps: Capabilities,
    options: Options,
    admin: Mutex<Admin>,
    queues: Vec<Queue>,
    resets: AtomicU32,
    aborts: AtomicU32,
}

impl Admin {
    /// Runs one command, polling. Answers to commands given up on earlier are passed over.
    fn execute(&mut self, hw: &dyn Hardware, mut sqe: Sqe, limit: Duration) -> Result<Cqe, NvmeError> {
        self.next_cid = self.next_cid.wrapping_add(1);
        let cid = self.next_cid;
        sqe.set_cid(cid);
        self.rings.push(&sqe);
        self.rings.ring(hw);
        let until = monotonic() + limit;
        loop {
            while let Some(cqe) = self.rings.pop() {
                self.rings.release(hw);
                if cqe.cid == cid {
                    return if cqe.status.is_ok() { Ok(cqe) } else { Err(NvmeError::Command(cqe.status.0)) };
                }
            }
            if monotonic() >= until {
                return Err(NvmeError::Timeout("an admin command"));
            }
            task::yield_now();
        }
    }

    fn identify(
        &mut self,
        hw: &dyn Hardware,
        nsid: u32,
        what: u32,
        limit: Duration,
    ) -> Result<Vec<u8>, NvmeError> {
        let mut sqe = Sqe::new(admin::IDENTIFY, nsid).with(10, what);
        sqe.set_data(self.data.phys(), 0);
        self.execute(hw, sqe, limit)?;
        let mut out = vec![0; 4096];
        self.data.copy_to(&mut out);
        Ok(out)
    }
}

/// Waits for bits of the status register.
fn wait_status(
    hw: &dyn Hardware,
    mask: u32,
    value: u32,
    limit: Duration,
    what: &'static str,
) -> Result<(), NvmeError> {
    let until = monotonic() + limit;
    loop {
        let status = hw.read32(reg::CSTS);
        if status == ABSENT {
            return Err(NvmeError::Absent);
        }
        if status & mask == value {
            return Ok(());
        }
        // Disabling is the way out of a fatal error, so only waiting for "ready" gives up on it.
        if value & CSTS_READY != 0 && status & CSTS_FATAL != 0 {
            return Err(NvmeError::Fatal);
        }
        if monotonic() >= until {
            return Err(NvmeError::Timeout(what));
        }
        task::yield_now();
    }
}

/// What a controller and its first namespace turned out to be.
pub(crate) struct Found {
    pub controller: Controller,
    pub info: ControllerInfo,
    pub nsid: u32,
    pub namespace: NamespaceInfo,
}

impl Controller {
    /// Resets the controller, identifies it and its first usable namespace, and makes I/O queues.
    pub(crate) fn start(hw: Arc<dyn Hardware>, options: Options) -> Result<Found, NvmeError> {
        let (low, high) = (hw.read32(reg::CAP), hw.read32(reg::CAP + 4));
        if (low, high) == (ABSENT, ABSENT) {
            return Err(NvmeError::Absent);
        }
        let caps = Capabilities::parse(low, high);
        if !caps.usable {
            return Err(NvmeError::Unsupported("page size or command set"));
        }
        let cores = task::core_count().clamp(1, options.queues.max(1));
        let room = hw.register_bytes().saturating_sub(reg::DOORBELLS) / (2 * caps.stride);
        let wanted =
            cores.min(usize::from(hw.vectors()).saturating_sub(1).max(1)).min(room.saturating_sub(1));
        if wanted == 0 || caps.max_entries < 2 {
            return Err(NvmeError::Unsupported("doorbells or queue size"));
        }
        let rings = |id: u16, entries: u32| Rings::new(&*hw, id, entries, reg::DOORBELLS, caps.stride);
        let admin = Admin { rings: rings(0, ADMIN_ENTRIES)?, data: hw.allocate(4096)?, next_cid: 0 };
        let mut this = Self {
            hw: hw.clone(),
            caps,
            options,
            admin: Mutex::new(admin),
            queues: Vec::new(),
            resets: AtomicU32::new(0),
            aborts: AtomicU32::new(0),
        };
        let limit = options.command_limit;
        let mut admin = this.admin.lock();
        this.disable()?;
        this.enable(&mut admin)?;
        let info = ControllerInfo::parse(&admin.identify(&*hw, 0, 1, limit)?);
        let (nsid, namespace) = first_namespace(&mut admin, &*hw, limit)?;
        let granted = this.negotiate_queues(&mut admin, wanted)?;
        if info.volatile_cache {
            // Durability is asked for with flush and FUA, so the cache may be used.
            let sqe = Sqe::new(admin::SET_FEATURES, 0).with(10, admin::FEATURE_WRITE_CACHE).with(11, 1);
            if let Err(e) = admin.execute(&*hw, sqe, limit) {
                log::warn!("nvme: write cache setting: {e}");
            }
        }
        let entries = caps.max_entries.min(QUEUE_ENTRIES);
        let mut queues = Vec::new();
        for id in 1..=granted {
            let vector = if hw.vectors() > 1 { id } else { 0 };
            let queue = Queue::new(id, vector, rings(id, entries)?);
            this.create(&mut admin, &queue, &queue.state.lock())?;
            queues.push(queue);
        }
        drop(admin);
        this.queues = queues;
        Ok(Found { controller: this, info, nsid, namespace })
    }

    fn ready_limit(&self) -> Duration {
        Duration::from_millis(self.caps.ready_limit_ms)
    }

    fn disable(&self) -> Result<(), NvmeError> {
        let cc = self.hw.read32(reg::CC);
        if cc == ABSENT {
            return Err(NvmeError::Absent);
        }
        self.hw.write32(reg::CC, cc & !CC_ENABLE);
        wait_status(&*self.hw, CSTS_READY, 0, self.ready_limit(), "disabling the controller")
    }

    fn enable(&self, admin: &mut Admin) -> Result<(), NvmeError> {
        let hw = &*self.hw;
        admin.rings.reset();
        hw.set_bus_master(true);
        hw.write32(reg::AQA, (ADMIN_ENTRIES - 1) << 16 | (ADMIN_ENTRIES - 1));
        for (at, phys) in
            [(reg::ASQ, admin.rings.submission_phys()), (reg::ACQ, admin.rings.completion_phys())]
        {
            hw.write32(at, phys as u32);
            hw.write32(at + 4, (phys >> 32) as u32);
        }
        hw.write32(reg::CC, CC_BASE | CC_ENABLE);
        wait_status(hw, CSTS_READY, CSTS_READY, self.ready_limit(), "enabling the controller")
    }

    fn negotiate_queues(&self, admin: &mut Admin, wanted: usize) -> Result<u16, NvmeError> {
        let n = (wanted - 1) as u32;
        let sqe = Sqe::new(admin::SET_FEATURES, 0).with(10, admin::FEATURE_QUEUES).with(11, n << 16 | n);
        let answer = admin.execute(&*self.hw, sqe, self.options.command_limit)?.result;
        let granted = (answer & 0xffff).min(answer >> 16).min(n);
        Ok(granted as u16 + 1)
    }

    fn create(&self, admin: &mut Admin, queue: &Queue, state: &QueueState) -> Result<(), NvmeError> {
        let (id, size) = (u32::from(queue.id), state.rings.entries() - 1);
        // Physically contiguous, interrupts enabled, and its vector.
        let mut cq = Sqe::new(admin::CREATE_CQ, 0).with(10, size << 16 | id);
        cq = cq.with(11, u32::from(queue.vector()) << 16 | 0b11);
        cq.set_data(state.rings.completion_phys(), 0);
        admin.execute(&*self.hw, cq, self.options.command_limit)?;
        let mut sq = Sqe::new(admin::CREATE_SQ, 0).with(10, size << 16 | id).with(11, id << 16 | 1);
        sq.set_data(state.rings.submission_phys(), 0);
        admin.execute(&*self.hw, sq, self.options.command_limit)?;
        Ok(())
    }

    /// Number of I/O queues.
    pub fn queue_count(&self) -> usize {
        self.queues.len()
    }

    /// Controller resets since the start.
    pub fn resets(&self) -> u32 {
        self.resets.load(Ordering::Relaxed)
    }

    /// Commands aborted since the start.
    pub fn aborts(&self) -> u32 {
        self.aborts.load(Ordering::Relaxed)
    }

    pub(crate) fn hardware(&self) -> &dyn Hardware {
        &*self.hw
    }

    /// Runs a group of commands on the queue of this core.
    pub(crate) fn run<'a>(
        &self,
        ios: &mut dyn Iterator<Item = Io<'a>>,
        class: IoClass,
    ) -> Result<(), Failure> {
        let Some(queue) = self.queues.get(task::current_core() % self.queues.len().max(1)) else {
            return Err(Failure::Block(BlockError::Gone));
        };
        let recover = |queue: &Queue| self.recover(queue);
        queue.run(&Context { hw: &*self.hw, options: &self.options, recover: &recover }, ios, class)
    }

    /// A command is late: abort it, or, if that was done already, reset the controller.
    fn recover(&self, queue: &Queue) {
        let mut admin = self.admin.lock();
        let now = monotonic();
        let mut hopeless = self.hw.read32(reg::CSTS) & CSTS_FATAL != 0;
        let mut late = Vec::new();
        {
            let mut st = queue.state.lock();
            st.reap(&*self.hw);
            for cid in st.slots.busy() {
                let Some(slot) = st.slots.slot(cid).filter(|s| s.deadline <= now) else { continue };
                hopeless |= slot.aborted;
                slot.aborted = true;
                slot.deadline = now + self.options.abort_grace;
                late.push(cid);
            }
        }
        if late.is_empty() {
            return;
        }
        if !hopeless {
            for cid in late {
                log::warn!("nvme: command {cid} of queue {} is late: aborting it", queue.id);
                self.aborts.fetch_add(1, Ordering::Relaxed);
                let sqe = Sqe::new(admin::ABORT, 0).with(10, u32::from(cid) << 16 | u32::from(queue.id));
                if let Err(e) = admin.execute(&*self.hw, sqe, self.options.abort_grace) {
                    log::error!("nvme: abort: {e}");
                    hopeless = true;
                    break;
                }
            }
        }
        if hopeless {
            self.reset(&mut admin);
        }
    }

    /// Resets the controller and replays what was in flight, or gives it up for good.
    fn reset(&self, admin: &mut Admin) {
        log::warn!("nvme: controller reset");
        self.resets.fetch_add(1, Ordering::Relaxed);
        let mut states: Vec<MutexGuard<'_, QueueState>> =
            self.queues.iter().map(|q| q.state.lock()).collect();
        let outcome = self.restart(admin, &mut states);
        match outcome {
            Ok(()) => {
                let deadline = monotonic() + self.options.command_limit;
                for st in &mut states {
                    st.replay(&*self.hw, deadline);
                }
            }
            Err(e) => {
                log::error!("nvme: the controller is given up: {e}");
                // Whatever state it is in, it must not touch memory that callers get back now.
                self.hw.set_bus_master(false);
                for st in &mut states {
                    st.fail_all();
                }
            }
        }
    }

    fn restart(&self, admin: &mut Admin, states: &mut [MutexGuard<'_, QueueState>]) -> Result<(), NvmeError> {
        self.disable()?;
        for st in states.iter_mut() {
            st.rings.reset();
        }
        self.enable(admin)?;
        let granted = self.negotiate_queues(admin, self.queues.len())?;
        if usize::from(granted) < self.queues.len() {
            return Err(NvmeError::Unsupported("fewer queues after a reset"));
        }
        for (queue, st) in self.queues.iter().zip(states) {
            self.create(admin, queue, st)?;
        }
        Ok(())
    }

    /// The machine below it.
    pub(crate) fn hardware_shared(&self) -> Arc<dyn Hardware> {
        self.hw.clone()
    }

    /// Tells the device that power goes away. Commands after this fail.
    pub fn shutdown(&self) {
        let _admin = self.admin.lock();
        let mut states: Vec<_> = self.queues.iter().map(|q| q.state.lock()).collect();
        for st in &mut states {
            st.failed = true;
        }
        let cc = self.hw.read32(reg::CC);
        if cc == ABSENT {
            return;
        }
        self.hw.write32(reg::CC, cc | CC_SHUTDOWN);
        let limit = Duration::from_secs(5);
        if let Err(e) = wait_status(&*self.hw, CSTS_SHUTDOWN, CSTS_SHUTDOWN_DONE, limit, "shutdown") {
            log::warn!("nvme: {e}");
        }
        // What is still in flight stays so: its callers wait, and the machine goes off.
    }
}

fn first_namespace(
    admin: &mut Admin,
    hw: &dyn Hardware,
    limit: Duration,
) -> Result<(u32, NamespaceInfo), NvmeError> {
    let list = admin.identify(hw, 0, 2, limit)?;
    let mut seen = NvmeError::NoNamespace;
    for id in list.chunks_exact(4).map_while(|c| c.first_chunk().map(|c| u32::from_le_bytes(*c))) {
        if id == 0 {
            break;
        }
        match NamespaceInfo::parse(&admin.identify(hw, id, 0, limit)?) {
            Some(ns) if !ns.metadata => return Ok((id, ns)),
            Some(_) => seen = NvmeError::Unsupported("blocks with metadata"),
            None => {}
        }
    }
    Err(seen)
}
