//! Deadlines of sessions: authentication, statements, idling. One task waits for the earliest.

use alloc::{
    collections::BinaryHeap,
    sync::{Arc, Weak},
};
use core::{cmp::Reverse, sync::atomic::Ordering::Relaxed, time::Duration};

use platform::{
    sync::{Condvar, Mutex},
    task, time,
};

use crate::{interrupt::Reason, registry::Handle};

struct Entry {
    at: Duration,
    handle: Weak<Handle>,
    wait: u64,
    reason: Reason,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

#[derive(Default)]
struct State {
    entries: BinaryHeap<Reverse<Entry>>,
    running: bool,
    closed: bool,
}

/// See the module.
#[derive(Default)]
pub struct Timer {
    state: Mutex<State>,
    changed: Condvar,
}

impl Timer {
    /// Raises `reason` in the session after `limit`, unless the session's wait has ended by then
    /// ([`Handle::end_wait`]). `on_fire` runs after a reason was raised.
    pub fn set(
        self: &Arc<Self>,
        handle: &Arc<Handle>,
        limit: Duration,
        reason: Reason,
        on_fire: &Arc<dyn Fn() + Send + Sync>,
    ) {
        let entry = Entry {
            at: time::monotonic() + limit,
            handle: Arc::downgrade(handle),
            wait: handle.wait.load(Relaxed),
            reason,
        };
        let mut state = self.state.lock();
        let first = state.entries.peek().is_none_or(|Reverse(e)| entry.at < e.at);
        state.entries.push(Reverse(entry));
        if !state.running && !state.closed {
            state.running = true;
            let (timer, on_fire) = (self.clone(), on_fire.clone());
            task::spawn("session timer", move || timer.run(&*on_fire));
        } else if first {
            self.changed.notify_one();
        }
    }

    fn run(&self, on_fire: &dyn Fn()) {
        let mut state = self.state.lock();
        while !state.closed {
            let now = time::monotonic();
            match state.entries.peek() {
                None => state = self.changed.wait(state),
                Some(Reverse(e)) if e.at > now => {
                    let limit = e.at.saturating_sub(now);
                    state = self.changed.wait_timeout(state, limit).0;
                }
                Some(_) => {
                    let Some(Reverse(e)) = state.entries.pop() else { continue };
                    drop(state);
                    if let Some(handle) = e.handle.upgrade()
                        && handle.wait.load(Relaxed) == e.wait
                    {
                        handle.interrupt(e.reason);
                        on_fire();
                    }
                    state = self.state.lock();
                }
            }
        }
    }

    /// Ends the task.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }
}
