//! Tasks: independent flows of control with a stack each.

use alloc::{string::String, sync::Arc};
use core::time::Duration;
use std::{
    panic::{AssertUnwindSafe, resume_unwind},
    sync::{Mutex, PoisonError},
    thread,
};

use super::world::{PowerCut, World, current, join_key, message};

/// What a caught panic said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanicInfo {
    /// Message and place.
    pub message: String,
}

type Slot<T> = Arc<Mutex<Option<Result<T, String>>>>;

enum Handle<T> {
    Thread(thread::JoinHandle<T>),
    Simulated { world: Arc<World>, task: usize, slot: Slot<T> },
}

/// Waits for a task's end.
pub struct JoinHandle<T>(Handle<T>);

impl<T> JoinHandle<T> {
    /// The task's value, or its panic.
    pub fn join(self) -> Result<T, PanicInfo> {
        match self.0 {
            Handle::Thread(t) => t.join().map_err(|p| PanicInfo { message: message(&*p) }),
            Handle::Simulated { world, task, slot } => loop {
                let done = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
                match (done, current()) {
                    (Some(r), _) => return r.map_err(|message| PanicInfo { message }),
                    (None, Some((_, me))) => {
                        world.block(me, join_key(task), None);
                    }
                    (None, None) => thread::yield_now(),
                }
            },
        }
    }
}

/// Starts a task. `name` shows in reports.
pub fn spawn<T: Send + 'static>(name: &str, f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    match current() {
        Some((world, _)) => {
            let (task, slot) = world.spawn(name, f);
            JoinHandle(Handle::Simulated { world, task, slot })
        }
        None => JoinHandle(Handle::Thread(thread::spawn(f))),
    }
}

/// Lets other tasks run.
pub fn yield_now() {
    match current() {
        Some((world, me)) => world.yield_now(me),
        None => thread::yield_now(),
    }
}

/// Called in long loops: a point where another task may go on.
pub fn checkpoint() {
    if let Some((world, me)) = current() {
        world.preempt(me);
    }
}

/// Waits at least `d`.
pub fn sleep(d: Duration) {
    match current() {
        // Nobody wakes the key of the own join.
        Some((world, me)) => {
            world.block(me, join_key(me), Some(d));
        }
        None => thread::sleep(d),
    }
}

/// Number of cores that run tasks.
pub fn core_count() -> usize {
    4
}

/// The core this task runs on now.
pub fn current_core() -> usize {
    0
}

/// True while this task unwinds from a panic. The end of the simulation does not count.
pub fn panicking() -> bool {
    thread::panicking() && current().is_none_or(|(world, _)| !world.is_stopped())
}

/// Runs `f`; a panic in it is caught and described.
pub fn catch_unwind<T>(f: impl FnOnce() -> T) -> Result<T, PanicInfo> {
    std::panic::catch_unwind(AssertUnwindSafe(f)).map_err(|p| {
        if p.is::<PowerCut>() {
            resume_unwind(p);
        }
        PanicInfo { message: message(&*p) }
    })
}
