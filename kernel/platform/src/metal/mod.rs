//! The bare-metal platform: `kernel_task`'s tasks, locks and clocks under the names every platform has.

/// Random bytes fit for keys.
pub mod entropy {
    pub use kernel_task::entropy::fill;
}

/// Physical memory.
pub mod memory {
    /// Bytes of physical memory in use: the kernel image is not counted.
    pub fn in_use() -> u64 {
        let stats = kernel_memory::frames::stats();
        stats.total.saturating_sub(stats.free) as u64
    }
}

/// The end of the machine.
pub mod power {
    pub use kernel_task::fatal;
}

/// Locks that wait by parking the task. None of them poisons.
pub mod sync {
    pub use kernel_task::sync::{
        Condvar, Mutex, MutexGuard, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard,
    };
}

/// Tasks: independent flows of control with a stack each.
pub mod task {
    pub use kernel_task::{
        JoinHandle, PanicInfo, catch_unwind, checkpoint, core_count, current_core, panicking, sleep, spawn,
        yield_now,
    };
}

/// Clocks.
pub mod time {
    pub use kernel_task::time::{monotonic, wall_clock_micros};
}
