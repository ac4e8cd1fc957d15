//! How fast the time-stamp counter runs, and what time it is.

mod kvmclock;

use core::{arch::x86_64::__cpuid, time::Duration};
use kernel_task::{apic, time};
use x86_64::instructions::port::Port;

/// Power-management timer ticks per second.
const PM_HERTZ: u64 = 3_579_545;
/// Programmable interval timer ticks per second.
const PIT_HERTZ: u64 = 1_193_182;
/// How long a measurement takes.
const SAMPLE: Duration = Duration::from_millis(8);

/// A rough clock for log lines before the tables are read.
pub fn init_early() {
    time::set_frequency(from_processor().unwrap_or(2_000_000_000));
}

/// Finds the counter's frequency, calibrates the timer, reads the wall clock.
pub fn init() {
    let kvm = kvmclock::read();
    let (hertz, source) = if let Some(k) = &kvm {
        (k.hertz, "kvmclock")
    } else if let Some(hertz) = from_processor() {
        (hertz, "processor")
    } else if let Some(hertz) = from_pm_timer() {
        (hertz, "power-management timer")
    } else {
        (from_pit(), "interval timer")
    };
    time::set_frequency(hertz);
    apic::calibrate(Duration::from_millis(2));
    let now = kvm.map_or_else(real_time_clock, |k| k.wall_micros);
    time::set_wall_clock(now);
    log::info!("clock: {}.{:03} MHz ({source})", hertz / 1_000_000, hertz / 1000 % 1000);
}

/// What CPUID or the hypervisor says.
fn from_processor() -> Option<u64> {
    let most = __cpuid(0).eax;
    if most >= 0x15 {
        let r = __cpuid(0x15);
        if r.eax != 0 && r.ebx != 0 && r.ecx != 0 {
            return Some(u64::from(r.ecx) * u64::from(r.ebx) / u64::from(r.eax));
        }
    }
    let hypervisor = __cpuid(1).ecx & (1 << 31) != 0;
    if hypervisor && __cpuid(0x4000_0000).eax >= 0x4000_0010 {
        let kilohertz = __cpuid(0x4000_0010).eax;
        return (kilohertz != 0).then_some(u64::from(kilohertz) * 1000);
    }
    None
}

/// Reads the timer and the counter as close together as possible: of some tries the quickest.
fn pm_sample() -> Option<(u32, u32, u64)> {
    (0..8)
        .filter_map(|_| {
            let before = time::ticks();
            let (pm, mask) = kernel_acpi::pm_timer_ticks()?;
            let after = time::ticks();
            Some((after - before, (pm, mask, before + (after - before) / 2)))
        })
        .min_by_key(|s| s.0)
        .map(|s| s.1)
}

fn from_pm_timer() -> Option<u64> {
    let (pm0, mask, t0) = pm_sample()?;
    let want = (PM_HERTZ * SAMPLE.as_micros() as u64 / 1_000_000) as u32;
    let mut tries = 0u32;
    while kernel_acpi::pm_timer_ticks()?.0.wrapping_sub(pm0) & mask < want {
        tries += 1;
        if tries > 10_000_000 {
            return None;
        }
        core::hint::spin_loop();
    }
    let (pm1, _, t1) = pm_sample()?;
    let passed = pm1.wrapping_sub(pm0) & mask;
    u64::try_from(u128::from(t1 - t0) * u128::from(PM_HERTZ) / u128::from(passed.max(1))).ok()
}

/// Counts one run of channel 2, which is gated through port 61h and makes no interrupt.
fn from_pit() -> u64 {
    let count = (PIT_HERTZ * SAMPLE.as_micros() as u64 / 1_000_000) as u16;
    let mut gate = Port::<u8>::new(0x61);
    // SAFETY: the interval timer's and the speaker gate's ports; the speaker stays off.
    unsafe {
        let old = gate.read();
        gate.write((old & !0x02) | 0x01);
        Port::<u8>::new(0x43).write(0xb0);
        Port::<u8>::new(0x42).write(count as u8);
        Port::<u8>::new(0x42).write((count >> 8) as u8);
        let start = time::ticks();
        for _ in 0..100_000_000u32 {
            if gate.read() & 0x20 != 0 {
                break;
            }
        }
        let took = time::ticks() - start;
        gate.write(old);
        took * PIT_HERTZ / u64::from(count)
    }
}

fn cmos(index: u8) -> u8 {
    // SAFETY: the clock's index and data ports; bit 7 of the index would mask NMIs and is clear.
    unsafe {
        Port::<u8>::new(0x70).write(index & 0x7f);
        Port::<u8>::new(0x71).read()
    }
}

/// Microseconds since 1970 according to the battery-backed clock, taken as UTC.
fn real_time_clock() -> i64 {
    let century = kernel_acpi::platform().fixed.map_or(0, |f| f.century);
    let read = || {
        let c = if century != 0 { cmos(century) } else { 0 };
        [cmos(0), cmos(2), cmos(4), cmos(7), cmos(8), cmos(9), c]
    };
    // Two equal readings outside an update: the fields belong together.
    let mut last = read();
    for _ in 0..1000 {
        while cmos(0x0a) & 0x80 != 0 {
            core::hint::spin_loop();
        }
        let now = read();
        if now == last {
            break;
        }
        last = now;
    }
    let mode = cmos(0x0b);
    kernel_acpi::clock_to_micros(last, mode)
}
