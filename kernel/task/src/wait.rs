//! Wait queues: tasks waiting for a condition that others make true.

use crate::{
    scheduler::{park, park_until, unpark},
    task::{Task, current},
    time,
};
use core::{
    fmt,
    ptr::{self, NonNull},
    time::Duration,
};

#[cfg(loom)]
use crate::lock::Mutex;
#[cfg(not(loom))]
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
#[cfg(not(loom))]
use spin::Mutex;

/// A waiting task, on its own stack.
struct Node {
    task: &'static Task,
    prev: *mut Node,
    next: *mut Node,
    /// Taken off the queue by a waker. Once this is true the node may be gone at any moment.
    woken: AtomicBool,
}

struct List {
    head: *mut Node,
    tail: *mut Node,
}

// SAFETY: nodes are on the stacks of tasks that do not leave `wait` before their node is off the list, and the list is
// only used under its lock.
unsafe impl Send for List {}

/// Tasks waiting in order of arrival.
pub struct WaitQueue {
    list: Mutex<List>,
    len: AtomicUsize,
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue").field("len", &self.len).finish()
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl WaitQueue {
    /// No one waits.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self { list: Mutex::new(List::EMPTY), len: AtomicUsize::new(0) }
    }
    /// The same for models, whose words cannot be made at compile time.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self { list: Mutex::new(List::EMPTY), len: AtomicUsize::new(0) }
    }

    /// Tasks waiting now.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }
    /// Whether no task waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until `condition` holds. It is checked now and after every wake-up, also with the queue's lock held: it
    /// must be short and must not wait.
    pub fn wait_until(&self, mut condition: impl FnMut() -> bool) {
        while !condition() {
            self.wait_if(|| !condition(), None);
        }
    }

    /// As [`Self::wait_until`] for at most `limit`; whether the condition held in time.
    pub fn wait_until_timeout(&self, limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
        if condition() {
            return true;
        }
        let deadline = time::deadline(limit);
        loop {
            self.wait_if(|| !condition(), Some(deadline));
            if condition() {
                return true;
            }
            if time::ticks() >= deadline {
                return false;
            }
        }
    }

    /// Joins the queue and waits to be woken, unless `still` is false once the queue is locked (a waker that made it
    /// false either comes to the lock after us and finds us, or came before and `still` sees it). Whether the task
    /// was woken by a waker (not by the deadline, nor refused by `still`).
    pub fn wait_if(&self, still: impl FnOnce() -> bool, deadline: Option<u64>) -> bool {
        let mut node = Node {
            task: current(),
            prev: ptr::null_mut(),
            next: ptr::null_mut(),
            woken: AtomicBool::new(false),
        };
        let at = NonNull::from(&mut node);
        {
            let mut list = self.list.lock();
            // Counted before the condition is read: a waker that changes the condition and then finds no one counted
            // changed it before we look.
            self.len.fetch_add(1, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            if !still() {
                self.len.fetch_sub(1, Ordering::SeqCst);
                return false;
            }
            // SAFETY: the node stays in place until it is off the list (the loop below).
            unsafe { list.push(at) };
        }
        // SAFETY: the node is ours; wakers only touch it while it is on the list, under the lock, and `woken`.
        let woken = || unsafe { at.as_ref() }.woken.load(Ordering::Acquire);
        while !woken() {
            match deadline {
                None => park(),
                Some(d) => {
                    park_until(d);
                    if !woken() && time::ticks() >= d {
                        let mut list = self.list.lock();
                        if woken() {
                            return true;
                        }
                        // SAFETY: not woken, hence still on the list, which is locked.
                        unsafe { list.remove(at) };
                        self.len.fetch_sub(1, Ordering::SeqCst);
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Wakes the task that has waited longest; whether there was one. What the waker wrote before is visible to it.
    pub fn notify_one(&self) -> bool {
        // The waker's change of the condition must reach memory before the count is read (see `wait_if`).
        fence(Ordering::SeqCst);
        if self.is_empty() {
            return false;
        }
        let task = self.list.lock().pop(&self.len);
        task.map(unpark).is_some()
    }

    /// Wakes all tasks that wait now; how many.
    pub fn notify_all(&self) -> usize {
        fence(Ordering::SeqCst);
        let mut n = 0;
        let mut left = self.len();
        while left > 0 {
            let Some(task) = self.list.lock().pop(&self.len) else { break };
            unpark(task);
            n += 1;
            left -= 1;
        }
        n
    }
}

impl List {
    const EMPTY: Self = Self { head: ptr::null_mut(), tail: ptr::null_mut() };

    /// # Safety
    /// The node is on no list and stays where it is until it is taken off this one.
    unsafe fn push(&mut self, node: NonNull<Node>) {
        // SAFETY: the caller's contract; the tail, if any, is on the list and hence alive.
        unsafe {
            (*node.as_ptr()).prev = self.tail;
            (*node.as_ptr()).next = ptr::null_mut();
            match self.tail.as_mut() {
                Some(tail) => tail.next = node.as_ptr(),
                None => self.head = node.as_ptr(),
            }
        }
        self.tail = node.as_ptr();
    }

    /// # Safety
    /// The node is on this list.
    unsafe fn remove(&mut self, node: NonNull<Node>) {
        // SAFETY: the node and its neighbours are on the list and hence alive.
        unsafe {
            let (prev, next) = ((*node.as_ptr()).prev, (*node.as_ptr()).next);
            match prev.as_mut() {
                Some(p) => p.next = next,
                None => self.head = next,
            }
            match next.as_mut() {
                Some(n) => n.prev = prev,
                None => self.tail = prev,
            }
        }
    }

    fn pop(&mut self, len: &AtomicUsize) -> Option<&'static Task> {
        let node = NonNull::new(self.head)?;
        // SAFETY: the head is on the list and hence alive; it may go as soon as `woken` is set, so the task is read
        // before.
        unsafe {
            self.remove(node);
            len.fetch_sub(1, Ordering::SeqCst);
            let task = node.as_ref().task;
            node.as_ref().woken.store(true, Ordering::Release);
            Some(task)
        }
    }
}
