//! Who runs where.
//!
//! # Why no wake-up is lost
//! A task that waits does: make itself findable (under the lock of what it waits for), check its condition, [`park`].
//! A waker does: make the condition true, find the task, [`unpark`]. `unpark` turns *running* into *notified*, and
//! `park` (whose last step runs after the task is off its stack, in [`finish_switch`]) turns *notified* back into a
//! place on the run queue. Both are read-modify-writes of the one state word, so either the waker sees *parked* and
//! queues the task, or the parking sees *notified* and does. Seeing *queued* or *notified*, the waker writes the same
//! again and has nothing else to do: the task has yet to run and will check its condition after a later
//! read-modify-write of the same word. `tests/loom` tries all of this ([`crate::state`]).
//!
//! Halting: a core sets its bit in [`IDLE`], then looks at its queue and pending interrupts once more with interrupts
//! off, then `sti; hlt`. Whoever queues a task for it queues first and reads [`IDLE`] second (both sequentially
//! consistent), so one of the two sees the other; an interrupt that arrives after the look ends the `hlt`.

use crate::{
    apic,
    emulation::{self, Translations},
    irq,
    run_queue::RunQueue,
    state::{HaltedCores, RUNNING},
    switch,
    task::{self, Task, current},
    time,
    timers::{self, Timers},
};
use alloc::boxed::Box;
use core::{
    cell::Cell,
    hint,
    sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use kernel_memory::{
    core_local::{self, CoreLocal, MAX_CORES},
    stack,
};
use spin::Mutex;

/// What is to be done with the task that was switched away from, once it is off its stack.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    Queue,
    Park,
    Exit,
}

impl timers::Item for &'static Task {
    fn set_position(self, position: usize) {
        self.timer_position.store(position, Ordering::Relaxed);
    }
    fn position(self) -> usize {
        self.timer_position.load(Ordering::Relaxed)
    }
}

/// One core's scheduler.
pub(crate) struct Scheduler {
    index: usize,
    queue: RunQueue,
    /// The core's own context: looks for work and halts.
    idle_task: &'static Task,
    previous: Cell<Option<&'static Task>>,
    after: Cell<After>,
    timers: Mutex<Timers<&'static Task>>,
    /// What the hardware timer is set to (ticks), `u64::MAX` when it is not.
    armed: AtomicU64,
    translations: Translations,
}

// SAFETY: the cells are used only by the core the scheduler belongs to; everything else is atomic or locked.
unsafe impl Sync for Scheduler {}

static SCHEDULERS: [AtomicPtr<Scheduler>; MAX_CORES] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CORES];
static CORES: AtomicUsize = AtomicUsize::new(0);
/// Cores that halt or are about to. Whoever clears a bit sends the wake-up.
static IDLE: [HaltedCores; MAX_CORES / 64] = [const { HaltedCores::new() }; MAX_CORES / 64];

fn mine() -> &'static Scheduler {
    let p = core_local::current().scheduler.load(Ordering::Relaxed) as *const Scheduler;
    // SAFETY: set by `register` to a leaked box before the core runs anything that comes here.
    unsafe { &*p }
}

fn of(index: usize) -> Option<&'static Scheduler> {
    // SAFETY: non-null pointers are leaked boxes.
    unsafe { SCHEDULERS.get(index)?.load(Ordering::Acquire).as_ref() }
}

/// Cores that run tasks.
pub fn core_count() -> usize {
    CORES.load(Ordering::Relaxed)
}

/// This core. Only a hint: the task may go on elsewhere after its next wait.
#[inline]
pub fn current_core() -> usize {
    core_local::index()
}

/// Makes the running context this core's idle task.
fn register() {
    let local = core_local::current();
    let index = core_local::index();
    let idle_task: &'static Task = Box::leak(Box::new(Task::new(None, "idle", RUNNING)));
    let scheduler = Box::leak(Box::new(Scheduler {
        index,
        queue: RunQueue::new(),
        idle_task,
        previous: Cell::new(None),
        after: Cell::new(After::Nothing),
        timers: Mutex::new(Timers::new()),
        armed: AtomicU64::new(u64::MAX),
        translations: Translations::default(),
    }));
    local.task.store(core::ptr::from_ref(idle_task) as usize, Ordering::Relaxed);
    local.scheduler.store(core::ptr::from_ref(scheduler) as usize, Ordering::Relaxed);
    SCHEDULERS[index].store(scheduler, Ordering::Release);
    CORES.fetch_add(1, Ordering::SeqCst);
}

/// Registers the boot core, so that tasks can be spawned. They start to run when it calls [`run_core`].
pub fn start_boot_core() {
    emulation::detect();
    register();
}

/// Runs tasks on this core for ever. Called once per core, with the core-local block, interrupts and the heap set
/// up; the calling stack becomes the idle task's.
pub fn run_core() -> ! {
    if core_local::current().scheduler.load(Ordering::Relaxed) == 0 {
        register();
    }
    let s = mine();
    x86_64::instructions::interrupts::enable();
    loop {
        run_events(s, core_local::current());
        if let Some(next) = find_work(s) {
            switch_to(s, s.idle_task, next, After::Nothing);
            continue;
        }
        if !poll_for_work(s) {
            halt(s);
        }
    }
}

/// Iterations of looking around before halting. Short: on an overcommitted host a spinning core takes the processor
/// away from whoever would give it work.
const POLLS: usize = 64;

fn poll_for_work(s: &Scheduler) -> bool {
    let local = core_local::current();
    for _ in 0..POLLS {
        if local.attention.load(Ordering::Relaxed) != 0 || s.queue.len() > 0 {
            return true;
        }
        hint::spin_loop();
    }
    false
}

fn halt(s: &Scheduler) {
    let local = core_local::current();
    let idle = &IDLE[s.index / 64];
    idle.enter(s.index);
    arm_timer(s);
    x86_64::instructions::interrupts::disable();
    let busy = local.attention.load(Ordering::SeqCst) != 0 || s.queue.len() > 0 || anyone_overloaded(s);
    if busy {
        x86_64::instructions::interrupts::enable();
    } else {
        x86_64::instructions::interrupts::enable_and_hlt();
    }
    idle.leave(s.index);
}

/// Whether another core has more queued than it will get to next.
fn anyone_overloaded(s: &Scheduler) -> bool {
    (0..core_count()).filter(|&i| i != s.index).any(|i| of(i).is_some_and(|o| o.queue.len() > 1))
}

fn find_work(s: &Scheduler) -> Option<&'static Task> {
    s.queue.pop().or_else(|| {
        let cores = core_count();
        (1..cores).map(|d| (s.index + d) % cores).find_map(|i| of(i)?.queue.steal())
    })
}

/// A queue longer than this makes the core call for help. Waking a halted core costs about as much as a short
/// statement, more on a virtual machine: an echo server took 1.6 times the processor time when this was 1.
const HELP_AT: usize = 4;

/// Wakes one halted core, if there is one.
fn wake_idle_core() {
    if let Some(core) = IDLE.iter().enumerate().find_map(|(w, idle)| Some(w * 64 + idle.take_any()?)) {
        apic::wake(core);
    }
}

fn wake_core(index: usize) {
    let Some(local) = core_local::of(index) else { return };
    local.attention.store(1, Ordering::SeqCst);
    if IDLE[index / 64].take(index) {
        apic::wake(index);
    }
}

/// Queues a task whose state is `QUEUED` already: on this core, or on its own if it is pinned.
pub(crate) fn enqueue(task: &'static Task) {
    let here = core_local::index();
    if task.pinned() {
        let home = task.home.load(Ordering::Relaxed) as usize;
        if home != here
            && let Some(s) = of(home)
        {
            s.queue.push(task);
            wake_core(home);
            return;
        }
    }
    let len = mine().queue.push(task);
    core_local::current().attention.store(1, Ordering::Relaxed);
    // A few queued tasks are sooner run than another core is woken; with more, one can help. (A task that keeps this
    // core to itself calls for help at its next checkpoint, however short the queue is.)
    if len > HELP_AT {
        wake_idle_core();
    }
}

/// Switches from `from` (which is running) to `to`; returns when `from` runs again, perhaps on another core.
fn switch_to(s: &'static Scheduler, from: &'static Task, to: &'static Task, after: After) {
    s.previous.set(Some(from));
    s.after.set(after);
    let local = core_local::current();
    local.task.store(core::ptr::from_ref(to) as usize, Ordering::Relaxed);
    if !core::ptr::eq(to, s.idle_task) {
        to.state.run();
        if !to.pinned() {
            to.home.store(s.index as u32, Ordering::Relaxed);
        }
    }
    // SAFETY: `from` is the running task, so its stack pointer cell is this core's to write; `to` was taken off a run
    // queue (or is this core's idle task), so it is switched out, its stack pointer is valid and nobody else can
    // take it.
    unsafe { switch::switch(from.stack_pointer.get(), *to.stack_pointer.get()) };
    finish_switch();
}

/// Deals with the task that was switched away from. First thing every context does after a switch: only now is the
/// previous task off its stack, so only now may another core take it.
pub(crate) fn finish_switch() {
    let s = mine();
    let Some(task) = s.previous.take() else { return };
    match s.after.get() {
        After::Nothing => {}
        After::Queue => {
            task.state.queue();
            enqueue(task);
        }
        After::Park => {
            if task.state.park() {
                enqueue(task);
            }
        }
        After::Exit => task::recycle(task),
    }
    if s.queue.len() > 0 {
        core_local::current().attention.store(1, Ordering::Relaxed);
    }
}

fn leave(after: After) {
    let s = mine();
    let from = current();
    run_events(s, core_local::current());
    let to = find_work(s).unwrap_or(s.idle_task);
    switch_to(s, from, to, after);
}

/// Waits until somebody calls [`unpark`] for this task; returns at once if that has happened since the last `park`.
/// May also return for no reason: callers loop over their condition.
pub fn park() {
    let task = current();
    if task.state.take_notice() {
        return;
    }
    leave(After::Park);
}

/// As [`park`], but returns when [`time::ticks`] reaches `deadline` at the latest.
pub fn park_until(deadline: u64) {
    let task = current();
    let s = mine();
    {
        let mut timers = s.timers.lock();
        timers.insert(deadline, task);
    }
    if deadline < s.armed.load(Ordering::Relaxed) {
        arm_timer(s);
    }
    park();
    // `s` is the scheduler of the core where the timer was set, wherever the task runs now.
    s.timers.lock().remove(task);
}

/// Wakes a task from [`park`], now or when it next parks. Any context but an interrupt handler may call this.
pub fn unpark(task: &'static Task) {
    if task.state.wake() {
        enqueue(task);
    }
}

/// Ends the running task.
pub(crate) fn exit() -> ! {
    leave(After::Exit);
    unreachable!("an ended task ran");
}

/// Lets other tasks of this core run.
pub fn yield_now() {
    let s = mine();
    run_events(s, core_local::current());
    if let Some(to) = s.queue.pop() {
        switch_to(s, current(), to, After::Queue);
    }
}

/// Called in long loops (once per batch): handles interrupts and yields when another task waits. One load otherwise.
#[inline]
pub fn checkpoint() {
    if core_local::current().attention.load(Ordering::Relaxed) != 0 {
        checkpoint_slow();
    }
}

#[cold]
fn checkpoint_slow() {
    let s = mine();
    run_events(s, core_local::current());
    if s.queue.len() > 0 {
        // This task goes to the end of the queue: with a helper, both can run.
        wake_idle_core();
        yield_now();
    }
}

/// Waits at least `d`.
pub fn sleep(d: Duration) {
    let deadline = time::deadline(d);
    while time::ticks() < deadline {
        park_until(deadline);
    }
}

/// Handles interrupts and timers that fired on this core.
fn run_events(s: &'static Scheduler, local: &'static CoreLocal) {
    if local.attention.load(Ordering::Relaxed) == 0 {
        return;
    }
    local.attention.store(0, Ordering::SeqCst);
    s.translations.worked();
    if stack::needs_refill() {
        stack::refill();
    }
    for (w, word) in local.pending.iter().enumerate() {
        if word.load(Ordering::Relaxed) == 0 {
            continue;
        }
        let mut bits = word.swap(0, Ordering::SeqCst);
        while bits != 0 {
            let vector = w * 64 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            match vector as u8 {
                apic::TIMER_VECTOR => timer_fired(s),
                apic::WAKE_VECTOR => {}
                v => irq::fire(s.index, v),
            }
        }
    }
}

fn timer_fired(s: &'static Scheduler) {
    s.armed.store(u64::MAX, Ordering::Relaxed);
    let now = time::ticks();
    loop {
        let due = s.timers.lock().pop_due(now);
        match due {
            Some(task) => unpark(task),
            None => break,
        }
    }
    arm_timer(s);
}

/// Sets the hardware timer for the earliest deadline if it is set for a later time. Only on the scheduler's core.
fn arm_timer(s: &Scheduler) {
    let Some(first) = s.timers.lock().first() else { return };
    if first < s.armed.load(Ordering::Relaxed) {
        s.armed.store(first, Ordering::Relaxed);
        apic::set_timer(first);
    }
}
