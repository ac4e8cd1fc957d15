//! Who does the parts of large work.

use alloc::sync::Arc;

/// Workers for work that was cut into parts.
pub trait Executor {
    /// How many parts can be worked on at the same time.
    fn workers(&self) -> usize;

    /// Calls `job` once for each part below `parts`, in any order and from any task, and returns when all calls have
    /// returned. No copy of `job` may be kept.
    fn run(&self, parts: usize, job: Arc<dyn Fn(usize) + Send + Sync>);
}

/// The calling task does everything itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Executor for Alone {
    fn workers(&self) -> usize {
        1
    }

    fn run(&self, parts: usize, job: Arc<dyn Fn(usize) + Send + Sync>) {
        for part in 0..parts {
            job(part);
        }
    }
}
