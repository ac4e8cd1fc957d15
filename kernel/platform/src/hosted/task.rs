//! Tasks: independent flows of control with a stack each.

use alloc::string::String;
use core::time::Duration;

/// What a caught panic said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanicInfo {
    /// Message and place.
    pub message: String,
}

/// Waits for a task's end.
#[derive(Debug)]
pub struct JoinHandle<T>(std::thread::JoinHandle<T>);

impl<T> JoinHandle<T> {
    /// The task's value, or its panic.
    pub fn join(self) -> Result<T, PanicInfo> {
        self.0.join().map_err(info)
    }
}

fn info(payload: alloc::boxed::Box<dyn core::any::Any + Send>) -> PanicInfo {
    let message = payload
        .downcast_ref::<&str>()
        .map(|s| String::from(*s))
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| String::from("panic"));
    PanicInfo { message }
}

/// What a task's stack may grow to: as much as on the appliance.
const STACK: usize = 8 << 20;

/// Starts a task. `name` shows in logs and views. Panics only when the system is out of memory for stacks at boot;
/// running servers use pools.
pub fn spawn<T: Send + 'static>(name: &str, f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let thread = std::thread::Builder::new().name(name.into()).stack_size(STACK);
    JoinHandle(thread.spawn(f).expect("out of threads"))
}

/// Lets other tasks of this core run.
pub fn yield_now() {
    std::thread::yield_now();
}

/// Called in long loops (once per batch): yields when another task or an interrupt waits. Costs one load otherwise.
pub fn checkpoint() {}

/// Waits at least `d`.
pub fn sleep(d: Duration) {
    std::thread::sleep(d);
}

/// Number of cores that run tasks.
pub fn core_count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The core this task runs on now; only a hint for sharding (below [`core_count`]).
pub fn current_core() -> usize {
    0
}

/// True while this task unwinds from a panic.
pub fn panicking() -> bool {
    std::thread::panicking()
}

/// Runs `f`; a panic in it is caught and described.
pub fn catch_unwind<T>(f: impl FnOnce() -> T) -> Result<T, PanicInfo> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).map_err(info)
}
