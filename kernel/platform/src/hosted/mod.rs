//! The hosted platform: std's threads, locks and clocks.
pub mod entropy;
pub mod file;
pub mod memory;
pub mod net;
pub mod power;
pub mod sync;
pub mod task;
pub mod time;
