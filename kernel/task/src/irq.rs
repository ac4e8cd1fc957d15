//! Interrupts as events.
//!
//! A line is one vector on one core. A device's message-signalled interrupt sets a bit there (see
//! [`crate::exceptions`] for the handlers); the core's scheduler then runs the line's hook and wakes its waiter.

use crate::{WaitQueue, scheduler};
use alloc::{boxed::Box, string::String, vec::Vec};
use core::{
    fmt,
    sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering},
    time::Duration,
};
use kernel_memory::core_local::{self, MAX_CORES};
use spin::Mutex;

/// Vectors for devices on each core; the rest are exceptions and the kernel's own.
const FIRST_VECTOR: u8 = 0x30;
const LAST_VECTOR: u8 = 0xef;
const VECTORS: usize = (LAST_VECTOR - FIRST_VECTOR) as usize + 1;

/// Why there is no interrupt line to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrqError {
    /// All vectors of the core are in use.
    OutOfVectors,
    /// There is no such core, or its interrupt controller's identifier does not fit a message address.
    NoSuchCore,
}

impl fmt::Display for IrqError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfVectors => "out of interrupt vectors",
            Self::NoSuchCore => "no such core for interrupts",
        })
    }
}

impl core::error::Error for IrqError {}

/// The part of a line that the scheduler sees. Never freed: a freed line's block is used again.
struct Line {
    fired: AtomicU32,
    hook: AtomicUsize,
    argument: AtomicUsize,
    waiters: WaitQueue,
}

static LINES: [AtomicPtr<[AtomicPtr<Line>; VECTORS]>; MAX_CORES] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CORES];
/// Vectors in use: (core, vector). Also serialises allocation.
static USED: Mutex<Vec<(usize, u8)>> = Mutex::new(Vec::new());

/// A function of one word that a line calls when it fires.
pub type Hook = fn(usize);

/// One interrupt vector on one core. Freed on drop: the device must have been told to stop first.
pub struct IrqLine {
    core: usize,
    vector: u8,
    apic_id: u32,
    line: &'static Line,
    name: String,
}

impl fmt::Debug for IrqLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IrqLine")
            .field("name", &self.name)
            .field("core", &self.core)
            .field("vector", &self.vector)
            .finish()
    }
}

fn table(core: usize) -> &'static [AtomicPtr<Line>; VECTORS] {
    let slot = &LINES[core];
    let mut p = slot.load(Ordering::Acquire);
    if p.is_null() {
        // Under the allocation lock: no one else makes the table.
        p = Box::into_raw(Box::new([const { AtomicPtr::new(core::ptr::null_mut()) }; VECTORS]));
        slot.store(p, Ordering::Release);
    }
    // SAFETY: points to a leaked box.
    unsafe { &*p }
}

/// Takes a free vector on core `core`, which will handle the interrupt and run the hook. `name` shows in logs.
pub fn allocate(core: usize, name: &str) -> Result<IrqLine, IrqError> {
    let local = core_local::of(core).ok_or(IrqError::NoSuchCore)?;
    let apic_id = local.apic_id.load(Ordering::Relaxed);
    if apic_id > 254 {
        return Err(IrqError::NoSuchCore);
    }
    let mut used = USED.lock();
    let vector =
        (FIRST_VECTOR..=LAST_VECTOR).find(|v| !used.contains(&(core, *v))).ok_or(IrqError::OutOfVectors)?;
    used.push((core, vector));
    let slot = &table(core)[usize::from(vector - FIRST_VECTOR)];
    let mut p = slot.load(Ordering::Acquire);
    if p.is_null() {
        p = Box::into_raw(Box::new(Line {
            fired: AtomicU32::new(0),
            hook: AtomicUsize::new(0),
            argument: AtomicUsize::new(0),
            waiters: WaitQueue::new(),
        }));
        slot.store(p, Ordering::Release);
    }
    // SAFETY: points to a leaked box.
    let line = unsafe { &*p };
    line.fired.store(0, Ordering::Relaxed);
    log::debug!("irq: {name} is vector {vector:#x} of core {core}");
    Ok(IrqLine { core, vector, apic_id, line, name: String::from(name) })
}

/// Called by the scheduler of core `core` for each vector that fired.
pub(crate) fn fire(core: usize, vector: u8) {
    let Some(index) = vector.checked_sub(FIRST_VECTOR) else { return };
    let lines = LINES[core].load(Ordering::Acquire);
    // SAFETY: null or a leaked box.
    let Some(lines) = (unsafe { lines.as_ref() }) else { return };
    let Some(slot) = lines.get(usize::from(index)) else { return };
    // SAFETY: null or a leaked box.
    let Some(line) = (unsafe { slot.load(Ordering::Acquire).as_ref() }) else { return };
    line.fired.fetch_add(1, Ordering::SeqCst);
    let hook = line.hook.load(Ordering::Acquire);
    if hook != 0 {
        // SAFETY: non-zero values are `Hook`s stored by `on_fire`.
        let hook: Hook = unsafe { core::mem::transmute::<usize, Hook>(hook) };
        hook(line.argument.load(Ordering::Acquire));
    }
    line.waiters.notify_all();
}

impl IrqLine {
    /// The core that handles the line.
    pub fn core(&self) -> usize {
        self.core
    }
    /// Address for the device's message (MSI and MSI-X).
    pub fn msi_address(&self) -> u64 {
        0xfee0_0000 | (u64::from(self.apic_id) << 12)
    }
    /// Data for the device's message: fixed delivery, edge triggered.
    pub fn msi_data(&self) -> u32 {
        u32::from(self.vector)
    }
    /// Calls `hook(argument)` whenever the line fires, on its core, from the scheduler: not in the interrupt handler,
    /// but on whatever task's stack the scheduler was entered from. It may wake tasks and take spin locks; it must
    /// not wait, take blocking locks or panic. Set it before the device may interrupt.
    pub fn on_fire(&self, hook: Hook, argument: usize) {
        self.line.argument.store(argument, Ordering::Release);
        self.line.hook.store(hook as usize, Ordering::Release);
    }
    /// Number of times the line fired since the last call; does not wait. Interrupts that come close together count
    /// once.
    pub fn take_pending(&self) -> u32 {
        self.line.fired.swap(0, Ordering::SeqCst)
    }
    /// Waits until the line has fired since the last call of this or [`Self::take_pending`].
    pub fn wait(&self) {
        self.line.waiters.wait_until(|| self.line.fired.load(Ordering::SeqCst) != 0);
        self.take_pending();
    }
    /// As [`Self::wait`], for at most `limit`; whether it fired.
    pub fn wait_timeout(&self, limit: Duration) -> bool {
        let fired =
            self.line.waiters.wait_until_timeout(limit, || self.line.fired.load(Ordering::SeqCst) != 0);
        fired && self.take_pending() > 0
    }
}

impl Drop for IrqLine {
    fn drop(&mut self) {
        self.line.hook.store(0, Ordering::Release);
        let mut used = USED.lock();
        if let Some(at) = used.iter().position(|u| *u == (self.core, self.vector)) {
            used.swap_remove(at);
        }
    }
}

/// A core to put the next device's interrupts on: round robin.
pub fn next_core() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed) % scheduler::core_count().max(1)
}
