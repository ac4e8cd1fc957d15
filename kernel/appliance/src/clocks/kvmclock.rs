//! KVM's paravirtual clock: the host's own idea of the counter's frequency and of the time.
//!
//! Read once at boot and switched off again: the counter itself is the clock from then on, at the rate that the host
//! states, which is exact where a measurement is not.

use core::{
    arch::x86_64::__cpuid,
    sync::atomic::{Ordering, fence},
};
use kernel_memory::DmaBuffer;
use x86_64::registers::model_specific::Msr;

const WALL_CLOCK: u32 = 0x4b56_4d00;
const SYSTEM_TIME: u32 = 0x4b56_4d01;

/// What the host says.
pub struct KvmClock {
    /// Ticks per second.
    pub hertz: u64,
    /// Microseconds since 1970-01-01 UTC, now.
    pub wall_micros: i64,
}

/// Whether this is KVM, with the clock at the register numbers above.
fn offered() -> bool {
    if __cpuid(1).ecx & (1 << 31) == 0 {
        return false;
    }
    let name = __cpuid(0x4000_0000);
    let kvm = [*b"KVMK", *b"VMKV", *b"M\0\0\0"].map(u32::from_le_bytes);
    [name.ebx, name.ecx, name.edx] == kvm && __cpuid(0x4000_0001).eax & (1 << 3) != 0
}

pub fn read() -> Option<KvmClock> {
    if !offered() {
        return None;
    }
    let page = DmaBuffer::new(4096).ok()?;
    // SAFETY: the registers exist (CPUID); the host writes 32 and 12 bytes at the addresses given, both inside the page,
    // and stops writing the first when the register is cleared, before the page is freed.
    let (time, wall) = unsafe {
        Msr::new(SYSTEM_TIME).write(page.phys().as_u64() | 1);
        Msr::new(WALL_CLOCK).write(page.phys().as_u64() + 64);
        let time = stable(&page, 0, |p| SystemTime {
            at: p.read64(8),
            nanos: p.read64(16),
            multiplier: p.read32(24),
            shift: p.read8(28) as i8,
        });
        let wall = stable(&page, 64, |p| i64::from(p.read32(68)) * 1_000_000_000 + i64::from(p.read32(72)));
        Msr::new(SYSTEM_TIME).write(0);
        (time?, wall?)
    };
    let now = time.nanos_at(kernel_task::time::ticks());
    Some(KvmClock { hertz: time.hertz()?, wall_micros: wall.checked_add(i64::try_from(now).ok()?)? / 1000 })
}

/// Reads under a version that is odd while the host writes.
fn stable<T>(page: &DmaBuffer, version: usize, read: impl Fn(&DmaBuffer) -> T) -> Option<T> {
    for _ in 0..1000 {
        let before = page.read32(version);
        fence(Ordering::Acquire);
        let value = read(page);
        fence(Ordering::Acquire);
        if before & 1 == 0 && before != 0 && page.read32(version) == before {
            return Some(value);
        }
        core::hint::spin_loop();
    }
    None
}

struct SystemTime {
    /// The counter when `nanos` was true.
    at: u64,
    nanos: u64,
    /// Nanoseconds per (shifted) tick, times 2^32.
    multiplier: u32,
    shift: i8,
}

impl SystemTime {
    fn nanos_at(&self, ticks: u64) -> u64 {
        let passed = u128::from(ticks.saturating_sub(self.at));
        let shifted = if self.shift >= 0 {
            passed << self.shift.min(32)
        } else {
            passed >> (-i32::from(self.shift)).min(64)
        };
        self.nanos.saturating_add(((shifted * u128::from(self.multiplier)) >> 32) as u64)
    }

    fn hertz(&self) -> Option<u64> {
        let shifted = (1_000_000_000u128 << 32).checked_div(u128::from(self.multiplier))?;
        let hertz = if self.shift >= 0 {
            shifted >> self.shift.min(32)
        } else {
            shifted << (-i32::from(self.shift)).min(32)
        };
        u64::try_from(hertz).ok().filter(|h| *h > 1_000_000)
    }
}
