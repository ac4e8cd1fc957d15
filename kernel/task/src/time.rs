//! Clocks: the time-stamp counter for intervals, an offset to it for wall time.

use core::{
    arch::x86_64::_rdtsc,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

/// Ticks per second.
static FREQUENCY: AtomicU64 = AtomicU64::new(1_000_000_000);
/// Nanoseconds per tick, times 2^32.
static NANOS_PER_TICK: AtomicU64 = AtomicU64::new(1 << 32);
static START: AtomicU64 = AtomicU64::new(0);
/// Microseconds from the epoch to `START`.
static EPOCH: AtomicI64 = AtomicI64::new(0);

/// The time-stamp counter. Constant rate and the same on all cores on every supported processor.
#[inline]
pub fn ticks() -> u64 {
    // SAFETY: RDTSC has no preconditions in ring 0.
    unsafe { _rdtsc() }
}

/// Sets the counter's frequency. Called once at boot, before other cores start.
pub fn set_frequency(hertz: u64) {
    let hertz = hertz.max(1_000_000);
    FREQUENCY.store(hertz, Ordering::Relaxed);
    NANOS_PER_TICK.store(((1_000_000_000u128 << 32) / u128::from(hertz)) as u64, Ordering::Relaxed);
    START.store(ticks(), Ordering::Relaxed);
}

/// Ticks per second.
pub fn frequency() -> u64 {
    FREQUENCY.load(Ordering::Relaxed)
}

/// Sets the wall clock: microseconds since 1970-01-01 UTC, now.
pub fn set_wall_clock(micros: i64) {
    EPOCH.store(micros - to_micros(monotonic()), Ordering::Relaxed);
}

fn to_micros(d: Duration) -> i64 {
    i64::try_from(d.as_micros()).unwrap_or(i64::MAX)
}

/// How long so many ticks are.
#[inline]
pub fn to_duration(ticks: u64) -> Duration {
    let nanos = (u128::from(ticks) * u128::from(NANOS_PER_TICK.load(Ordering::Relaxed))) >> 32;
    Duration::from_nanos(nanos as u64)
}

/// How many ticks a duration is, rounded up; saturates.
#[inline]
pub fn to_ticks(d: Duration) -> u64 {
    let f = u128::from(frequency());
    let ticks = u128::from(d.as_secs()) * f + (u128::from(d.subsec_nanos()) * f).div_ceil(1_000_000_000);
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// The tick at which `d` will have passed; never if that is beyond the counter.
#[inline]
pub fn deadline(d: Duration) -> u64 {
    ticks().saturating_add(to_ticks(d))
}

/// Time since the clock was set up at boot. Never goes backwards.
#[inline]
pub fn monotonic() -> Duration {
    to_duration(ticks().saturating_sub(START.load(Ordering::Relaxed)))
}

/// Microseconds since 1970-01-01 UTC.
pub fn wall_clock_micros() -> i64 {
    EPOCH.load(Ordering::Relaxed).saturating_add(to_micros(monotonic()))
}

/// Waits without letting other tasks run. For device delays of microseconds during set-up.
pub fn spin(d: Duration) {
    let end = deadline(d);
    while ticks() < end {
        core::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_agree_and_do_not_overflow() {
        // The only test that sets the frequency: the statics are the process's.
        set_frequency(2_999_999_999);
        for d in [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_millis(1),
            Duration::from_secs(86_400 * 365),
        ] {
            let back = to_duration(to_ticks(d));
            let off = back.abs_diff(d);
            assert!(off <= Duration::from_nanos(2) + d / 1_000_000_000, "{d:?} {back:?}");
        }
        assert_eq!(to_ticks(Duration::MAX), u64::MAX);
        set_wall_clock(1_700_000_000_000_000);
        let now = wall_clock_micros();
        assert!((1_700_000_000_000_000..1_700_000_100_000_000).contains(&now));
    }
}
