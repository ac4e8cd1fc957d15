//! The hosted platform: std's threads, locks and clocks.
pub mod entropy;
pub mod file;
pub mod memory;
pub mod net;
pub mod power;
#[cfg_attr(loom, allow(dead_code, reason = "loom's take their place"))]
pub mod sync;
pub mod task;
pub mod time;
