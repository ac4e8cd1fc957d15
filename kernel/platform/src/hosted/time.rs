//! Clocks.

use core::time::Duration;
use std::{sync::OnceLock, time::Instant};

static START: OnceLock<Instant> = OnceLock::new();

/// Time since the platform started. Never goes backwards.
pub fn monotonic() -> Duration {
    START.get_or_init(Instant::now).elapsed()
}

/// Microseconds since 1970-01-01 UTC.
pub fn wall_clock_micros() -> i64 {
    let d = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(d.as_micros()).unwrap_or(i64::MAX)
}
