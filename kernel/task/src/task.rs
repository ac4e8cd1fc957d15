//! Tasks: control blocks, spawning, joining.

use crate::{
    WaitQueue,
    panic::{self, PanicInfo},
    scheduler,
    state::{FREE, TaskState},
    switch,
};
use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::{
    cell::UnsafeCell,
    fmt,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};
use kernel_memory::{core_local, stack::Stack};
use spin::Mutex;

/// What a task runs.
type Entry = Box<dyn FnOnce() + Send>;

/// A task's control block. Blocks live for ever and are reused, so a stale `&'static Task` is never dangling: at
/// worst it wakes a task that did not ask for it.
pub struct Task {
    pub(crate) state: TaskState,
    pinned: AtomicBool,
    /// Core it is pinned to, or last ran on.
    pub(crate) home: AtomicU32,
    /// Saved stack pointer. Written by the switch that leaves the task, read by the one that returns to it; the
    /// state machine orders the two (see `scheduler::finish_switch`).
    pub(crate) stack_pointer: UnsafeCell<usize>,
    /// Link on a run queue.
    pub(crate) next: AtomicPtr<Task>,
    /// Position in a core's timer heap, under that heap's lock; `usize::MAX` when not in one.
    pub(crate) timer_position: AtomicUsize,
    /// Panics that unwind now.
    pub(crate) panics: AtomicU32,
    entry: UnsafeCell<Option<Entry>>,
    name: Mutex<String>,
    /// See [`count`]. Written by the task alone.
    counts: [AtomicU64; COUNTS],
    stack: Option<Stack>,
}

// SAFETY: the cells are written only while the task is owned by one party: `stack_pointer` by the core that switches
// away from it, `entry` by the spawner before the task is queued and by the task itself at its start. Ownership passes
// through the state's atomic operations and the run queue's lock.
unsafe impl Sync for Task {}
// SAFETY: as for `Sync`; a block holds nothing tied to a core.
unsafe impl Send for Task {}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("name", &*self.name.lock())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Task {
    /// A block whose stack is `stack`, or the stack that is running now when `None` (a core's own context).
    pub(crate) fn new(stack: Option<Stack>, name: &str, state: u8) -> Self {
        Self {
            state: TaskState::new(state),
            pinned: AtomicBool::new(false),
            home: AtomicU32::new(0),
            stack_pointer: UnsafeCell::new(0),
            next: AtomicPtr::new(core::ptr::null_mut()),
            timer_position: AtomicUsize::new(usize::MAX),
            panics: AtomicU32::new(0),
            entry: UnsafeCell::new(None),
            name: Mutex::new(String::from(name)),
            counts: [const { AtomicU64::new(0) }; COUNTS],
            stack,
        }
    }

    /// The name it was spawned with.
    pub fn name(&self) -> String {
        self.name.lock().clone()
    }

    /// Whether it may run only on its home core.
    pub(crate) fn pinned(&self) -> bool {
        self.pinned.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn for_test(pinned: bool) -> &'static Self {
        let task = Box::leak(Box::new(Self::new(None, "test", crate::state::QUEUED)));
        task.pinned.store(pinned, Ordering::Relaxed);
        task
    }
}

/// The task that runs now.
#[inline]
pub fn current() -> &'static Task {
    let p = core_local::current().task.load(Ordering::Relaxed) as *const Task;
    // SAFETY: every core's block points to a 'static task from `scheduler::run_core`'s start on, and tasks exist only
    // after that.
    unsafe { &*p }
}

/// Counters of a task.
const COUNTS: usize = 16;

/// Adds to a counter of the running task: what its numbers mean is for others to say. Before there are tasks, and beyond the
/// counters there are, it does nothing.
#[inline]
pub fn count(number: usize, n: u64) {
    if core_local::current().task.load(Ordering::Relaxed) == 0 {
        return;
    }
    if let Some(c) = current().counts.get(number) {
        c.store(c.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }
}

/// A counter of the running task.
pub fn counted(number: usize) -> u64 {
    if core_local::current().task.load(Ordering::Relaxed) == 0 {
        return 0;
    }
    current().counts.get(number).map_or(0, |c| c.load(Ordering::Relaxed))
}

/// Ended tasks whose blocks and stacks can be used again.
static POOL: Mutex<Vec<&'static Task>> = Mutex::new(Vec::new());
static CREATED: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// How many tasks there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskStats {
    /// Blocks (with stacks) ever made: the high-water mark.
    pub created: usize,
    /// Tasks that have not ended.
    pub live: usize,
}

/// Task counts.
pub fn task_stats() -> TaskStats {
    TaskStats { created: CREATED.load(Ordering::Relaxed), live: LIVE.load(Ordering::Relaxed) }
}

/// What the task and its join handle share.
struct Shared<T> {
    outcome: Mutex<Option<Result<T, PanicInfo>>>,
    done: AtomicBool,
    joiners: WaitQueue,
}

/// Waits for a task's end. Dropping it lets the task run on.
pub struct JoinHandle<T> {
    shared: Arc<Shared<T>>,
    task: &'static Task,
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("done", &self.shared.done).finish()
    }
}

impl<T> JoinHandle<T> {
    /// The task's value, or its panic.
    pub fn join(self) -> Result<T, PanicInfo> {
        self.shared.joiners.wait_until(|| self.shared.done.load(Ordering::Acquire));
        self.shared
            .outcome
            .lock()
            .take()
            .unwrap_or_else(|| Err(PanicInfo { message: String::from("task vanished") }))
    }
    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.shared.done.load(Ordering::Acquire)
    }
    /// Wakes the task from `park`. After its end this may wake another task, which takes it for a spurious wake-up.
    pub fn unpark(&self) {
        scheduler::unpark(self.task);
    }
}

/// Starts a task on this core; idle cores may take it over. Panics when the system is out of memory for a stack.
pub fn spawn<T: Send + 'static>(name: &str, f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    start(name, None, f)
}

/// Starts a task that always runs on core `core` (modulo the number of cores).
pub fn spawn_on<T: Send + 'static>(
    core: usize,
    name: &str,
    f: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    start(name, Some(core % scheduler::core_count().max(1)), f)
}

fn start<T: Send + 'static>(
    name: &str,
    core: Option<usize>,
    f: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let shared = Arc::new(Shared {
        outcome: Mutex::new(None),
        done: AtomicBool::new(false),
        joiners: WaitQueue::new(),
    });
    let theirs = shared.clone();
    let task = free_task();
    {
        let mut n = task.name.lock();
        n.clear();
        n.push_str(name);
    }
    task.pinned.store(core.is_some(), Ordering::Relaxed);
    task.home.store(core.unwrap_or_else(scheduler::current_core) as u32, Ordering::Relaxed);
    let entry: Entry = Box::new(move || {
        let outcome = panic::catch_unwind(f);
        if let Err(p) = &outcome {
            log::error!("task '{}' panicked: {}", current().name(), p.message);
        }
        *theirs.outcome.lock() = Some(outcome);
        theirs.done.store(true, Ordering::Release);
        theirs.joiners.notify_all();
    });
    // SAFETY: the block came from the pool: no core runs it and nobody else prepares it.
    unsafe {
        *task.entry.get() = Some(entry);
        let top = task.stack.as_ref().map_or(0, Stack::top);
        *task.stack_pointer.get() = switch::prepare(top, task_main);
    }
    LIVE.fetch_add(1, Ordering::Relaxed);
    task.state.queue();
    scheduler::enqueue(task);
    JoinHandle { shared, task }
}

fn free_task() -> &'static Task {
    if let Some(task) = POOL.lock().pop() {
        return task;
    }
    let stack = Stack::growable().unwrap_or_else(|e| panic!("no stack for a task: {e}"));
    CREATED.fetch_add(1, Ordering::Relaxed);
    Box::leak(Box::new(Task::new(Some(stack), "", FREE)))
}

/// Puts an ended task back. Runs on another stack than the task's.
pub(crate) fn recycle(task: &'static Task) {
    task.state.free();
    LIVE.fetch_sub(1, Ordering::Relaxed);
    POOL.lock().push(task);
}

extern "C" fn task_main() -> ! {
    scheduler::finish_switch();
    // SAFETY: `entry` was filled by `start` before the task was queued; only the task itself touches it now.
    let entry = unsafe { (*current().entry.get()).take() };
    if let Some(entry) = entry {
        entry();
    }
    scheduler::exit()
}
