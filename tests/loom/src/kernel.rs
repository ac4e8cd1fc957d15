//! What the kernel's modules find below them in a model: tasks are loom's threads. The state word is the kernel's own.

pub(crate) mod lock {
    /// As `spin::Mutex`, of which only `lock` is used.
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }
        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

pub(crate) mod task {
    use std::cell::Cell;

    use crate::task_state::{RUNNING, TaskState};

    /// A task on a core of its own. Being put on a run queue is one notification.
    pub(crate) struct Task {
        pub(crate) state: TaskState,
        pub(crate) queued: loom::sync::Notify,
    }

    loom::thread_local! {
        static CURRENT: Cell<Option<&'static Task>> = Cell::new(None);
    }

    /// The task of this thread. Never freed, like the kernel's.
    pub(crate) fn current() -> &'static Task {
        CURRENT.with(|c| {
            c.get().unwrap_or_else(|| {
                let task = Task { state: TaskState::new(RUNNING), queued: loom::sync::Notify::new() };
                let task: &'static Task = Box::leak(Box::new(task));
                c.set(Some(task));
                task
            })
        })
    }
}

pub(crate) mod scheduler {
    use crate::task::{Task, current};

    pub(crate) fn park() {
        let task = current();
        if task.state.take_notice() {
            return;
        }
        if task.state.park() {
            task.queued.notify();
        }
        task.queued.wait();
        task.state.run();
    }

    /// The deadline passes at once, or later than everything else that happens: both are tried.
    pub(crate) fn park_until(_: u64) {
        loom::thread::yield_now();
    }

    pub(crate) fn unpark(task: &'static Task) {
        if task.state.wake() {
            task.queued.notify();
        }
    }
}

pub(crate) mod time {
    use core::time::Duration;

    pub(crate) fn ticks() -> u64 {
        1
    }
    pub(crate) fn deadline(limit: Duration) -> u64 {
        u64::from(!limit.is_zero())
    }
}
