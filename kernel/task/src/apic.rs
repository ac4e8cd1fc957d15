//! The local interrupt controller of each core: end of interrupt, timer, interrupts to other cores.

use crate::time;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use kernel_memory::{MemoryError, MmioRegion, PhysAddr, core_local, map_mmio};
use spin::Once;
use x86_64::{instructions::port::Port, registers::model_specific::Msr};

/// Fires when the core's earliest deadline is reached.
pub(crate) const TIMER_VECTOR: u8 = 0xf0;
/// Makes a halted core look around.
pub(crate) const WAKE_VECTOR: u8 = 0xf1;
/// Sent by the controller itself when an interrupt went away; not acknowledged.
pub(crate) const SPURIOUS_VECTOR: u8 = 0xff;

const ID: usize = 0x20;
const TASK_PRIORITY: usize = 0x80;
const SPURIOUS: usize = 0xf0;
const COMMAND_LOW: usize = 0x300;
const COMMAND_HIGH: usize = 0x310;
const LVT_TIMER: usize = 0x320;
const LVT_LINT0: usize = 0x350;
const LVT_LINT1: usize = 0x360;
const TIMER_INITIAL: usize = 0x380;
const TIMER_CURRENT: usize = 0x390;
const TIMER_DIVIDE: usize = 0x3e0;

const MASKED: u32 = 1 << 16;
const TSC_DEADLINE_MODE: u32 = 0b10 << 17;
const DIVIDE_BY_16: u32 = 0b0011;

const APIC_BASE: u32 = 0x1b;
const TSC_DEADLINE: u32 = 0x6e0;
const X2APIC_FIRST: u32 = 0x800;

static REGISTERS: Once<MmioRegion> = Once::new();
static X2APIC: AtomicBool = AtomicBool::new(false);
static DEADLINE_MODE: AtomicBool = AtomicBool::new(false);
/// Timer counts (after division) per 2^32 ticks.
static TIMER_PER_TICK: AtomicU64 = AtomicU64::new(0);

/// Address of the end-of-interrupt register for the assembly stubs; zero in x2APIC mode.
// SAFETY: nothing else has this name; the stubs read a word, which this is.
#[unsafe(no_mangle)]
static KERNEL_TASK_EOI: AtomicUsize = AtomicUsize::new(0);

fn cpuid(leaf: u32) -> core::arch::x86_64::CpuidResult {
    core::arch::x86_64::__cpuid(leaf)
}

fn read(register: usize) -> u32 {
    if X2APIC.load(Ordering::Relaxed) {
        // SAFETY: an existing x2APIC register; reading has no effect on memory.
        unsafe { Msr::new(X2APIC_FIRST + (register >> 4) as u32).read() as u32 }
    } else {
        REGISTERS.get().map_or(0, |r| r.read32(register))
    }
}

fn write(register: usize, value: u32) {
    if X2APIC.load(Ordering::Relaxed) {
        // SAFETY: an existing x2APIC register, written with a value its definition allows (all callers are here).
        unsafe { Msr::new(X2APIC_FIRST + (register >> 4) as u32).write(u64::from(value)) };
    } else if let Some(r) = REGISTERS.get() {
        r.write32(register, value);
    }
}

/// Chooses the mode and maps the registers. Once, on the boot core, before [`init_core`].
pub fn init(registers: PhysAddr) -> Result<(), MemoryError> {
    // The old interrupt controllers stay off. First, while the core still listens to them: a request they have
    // raised already would otherwise stay pending with nobody to answer for it.
    for port in [0x21, 0xa1] {
        // SAFETY: masks all lines of the 8259s; nothing uses them.
        unsafe { Port::<u8>::new(port).write(0xff) };
    }
    let features = cpuid(1);
    X2APIC.store(features.ecx & (1 << 21) != 0, Ordering::Relaxed);
    DEADLINE_MODE.store(features.ecx & (1 << 24) != 0, Ordering::Relaxed);
    if !X2APIC.load(Ordering::Relaxed) {
        let region = map_mmio(registers, 0x1000)?;
        KERNEL_TASK_EOI.store(region.as_ptr() as usize + 0xb0, Ordering::Relaxed);
        REGISTERS.call_once(|| region);
    }
    Ok(())
}

/// Switches this core's controller on, timer stopped.
pub fn init_core() {
    let mut base = Msr::new(APIC_BASE);
    // SAFETY: sets the enable bits of a controller that CPUID says exists; the base address stays.
    unsafe {
        let enable = if X2APIC.load(Ordering::Relaxed) { 0b11 << 10 } else { 1 << 11 };
        let value = base.read();
        base.write(value | enable);
    }
    write(SPURIOUS, 0x100 | u32::from(SPURIOUS_VECTOR));
    write(TASK_PRIORITY, 0);
    write(LVT_LINT0, MASKED);
    write(LVT_LINT1, MASKED);
    write(TIMER_DIVIDE, DIVIDE_BY_16);
    let mode = if DEADLINE_MODE.load(Ordering::Relaxed) { TSC_DEADLINE_MODE } else { 0 };
    write(LVT_TIMER, mode | u32::from(TIMER_VECTOR));
}

/// This core's identifier.
pub fn id() -> u32 {
    let id = read(ID);
    if X2APIC.load(Ordering::Relaxed) { id } else { id >> 24 }
}

/// Measures the timer against the time-stamp counter (unless it works in ticks anyway). Takes `interval`.
pub fn calibrate(interval: core::time::Duration) {
    if DEADLINE_MODE.load(Ordering::Relaxed) {
        return;
    }
    write(LVT_TIMER, MASKED);
    write(TIMER_INITIAL, u32::MAX);
    let from = time::ticks();
    time::spin(interval);
    let counted = u32::MAX - read(TIMER_CURRENT);
    let took = time::ticks() - from;
    write(TIMER_INITIAL, 0);
    write(LVT_TIMER, u32::from(TIMER_VECTOR));
    let rate = (u128::from(counted) << 32) / u128::from(took.max(1));
    TIMER_PER_TICK.store(u64::try_from(rate).unwrap_or(1 << 32).max(1), Ordering::Relaxed);
}

/// Sets this core's timer to fire at tick `deadline` (or earlier, if that is further off than it can count).
pub(crate) fn set_timer(deadline: u64) {
    if DEADLINE_MODE.load(Ordering::Relaxed) {
        // SAFETY: the mode is on; zero would stop the timer and is never a deadline.
        unsafe { Msr::new(TSC_DEADLINE).write(deadline.max(1)) };
        return;
    }
    let left = deadline.saturating_sub(time::ticks());
    let rate = TIMER_PER_TICK.load(Ordering::Relaxed);
    let count = (u128::from(left) * u128::from(rate)) >> 32;
    write(TIMER_INITIAL, u32::try_from(count + 1).unwrap_or(u32::MAX));
}

fn command(apic_id: u32, low: u32) {
    if X2APIC.load(Ordering::Relaxed) {
        let value = (u64::from(apic_id) << 32) | u64::from(low);
        // SAFETY: the interrupt command register; the commands sent are fixed here and in `smp`.
        unsafe { Msr::new(X2APIC_FIRST + (COMMAND_LOW >> 4) as u32).write(value) };
        return;
    }
    while read(COMMAND_LOW) & (1 << 12) != 0 {
        core::hint::spin_loop();
    }
    write(COMMAND_HIGH, apic_id << 24);
    write(COMMAND_LOW, low);
}

/// Makes core `index` look for work.
pub(crate) fn wake(index: usize) {
    if let Some(local) = core_local::of(index) {
        command(local.apic_id.load(Ordering::Relaxed), (1 << 14) | u32::from(WAKE_VECTOR));
    }
}

/// Resets another core into waiting for [`startup`].
pub(crate) fn reset(apic_id: u32) {
    command(apic_id, 0x0000_c500);
    command(apic_id, 0x0000_8500);
}

/// Starts a reset core in real mode at `page * 4096`.
pub(crate) fn startup(apic_id: u32, page: u8) {
    command(apic_id, 0x0000_4600 | u32::from(page));
}

/// Stops all other cores where they are, for a crash: a non-maskable interrupt whose handler halts.
pub(crate) fn stop_others() {
    // Shorthand "all excluding self", delivery mode NMI.
    command(0, (0b11 << 18) | (1 << 14) | (0b100 << 8));
}
