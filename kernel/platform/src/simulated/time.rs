//! Virtual clocks.

use core::time::Duration;

use super::world::current;

/// Time since the platform started. Never goes backwards.
pub fn monotonic() -> Duration {
    match current() {
        Some((world, _)) => world.now(),
        None => Duration::ZERO,
    }
}

/// Microseconds since 1970-01-01 UTC. Simulations begin in 2024.
pub fn wall_clock_micros() -> i64 {
    1_704_067_200_000_000 + i64::try_from(monotonic().as_micros()).unwrap_or(0)
}
