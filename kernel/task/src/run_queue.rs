//! One core's queue of tasks that are ready to run: first in, first out, linked through the tasks.

use crate::task::Task;
use core::{
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
};
use spin::Mutex;

struct List {
    head: *const Task,
    tail: *const Task,
}

// SAFETY: the pointers are to 'static tasks; the list is only used under its lock.
unsafe impl Send for List {}

/// The queue. A task is on at most one queue, and only while its state is "queued".
pub(crate) struct RunQueue {
    list: Mutex<List>,
    len: AtomicUsize,
}

impl RunQueue {
    pub(crate) const fn new() -> Self {
        Self { list: Mutex::new(List { head: ptr::null(), tail: ptr::null() }), len: AtomicUsize::new(0) }
    }

    /// Tasks on the queue; exact only under the lock, good enough to decide where to look.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    /// Appends a task; the length after that.
    pub(crate) fn push(&self, task: &'static Task) -> usize {
        let mut list = self.list.lock();
        task.next.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: non-null list pointers are 'static tasks.
        match unsafe { list.tail.as_ref() } {
            Some(tail) => tail.next.store(ptr::from_ref(task).cast_mut(), Ordering::Relaxed),
            None => list.head = task,
        }
        list.tail = task;
        self.len.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Takes the oldest task.
    pub(crate) fn pop(&self) -> Option<&'static Task> {
        if self.len() == 0 {
            return None;
        }
        let mut list = self.list.lock();
        // SAFETY: as in `push`.
        let task = unsafe { list.head.as_ref() }?;
        list.head = task.next.load(Ordering::Relaxed);
        if list.head.is_null() {
            list.tail = ptr::null();
        }
        self.len.fetch_sub(1, Ordering::SeqCst);
        Some(task)
    }

    /// Takes the oldest task that may run on another core, for that core.
    pub(crate) fn steal(&self) -> Option<&'static Task> {
        if self.len() == 0 {
            return None;
        }
        let mut list = self.list.try_lock()?;
        let mut before: *const Task = ptr::null();
        let mut at = list.head;
        // SAFETY: as in `push`; also for the other dereferences here.
        while let Some(task) = unsafe { at.as_ref() } {
            let next = task.next.load(Ordering::Relaxed);
            if task.pinned() {
                before = at;
                at = next;
                continue;
            }
            // SAFETY: as above.
            match unsafe { before.as_ref() } {
                Some(b) => b.next.store(next, Ordering::Relaxed),
                None => list.head = next,
            }
            if next.is_null() {
                list.tail = before;
            }
            self.len.fetch_sub(1, Ordering::SeqCst);
            return Some(task);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_first_in_first_out_and_thieves_skip_pinned_tasks() {
        let q = RunQueue::new();
        let tasks: alloc::vec::Vec<&'static Task> =
            (0..4).map(|i| Task::for_test(i == 0 || i == 3)).collect();
        for (i, t) in tasks.iter().enumerate() {
            assert_eq!(q.push(t), i + 1);
        }
        let is = |a: Option<&'static Task>, b: &'static Task| a.is_some_and(|a| ptr::eq(a, b));
        assert!(is(q.steal(), tasks[1]));
        assert!(is(q.steal(), tasks[2]));
        assert!(q.steal().is_none());
        q.push(tasks[1]);
        assert!(is(q.steal(), tasks[1]));
        assert!(is(q.pop(), tasks[0]));
        assert!(is(q.pop(), tasks[3]));
        assert!(q.pop().is_none());
        assert_eq!(q.len(), 0);
    }
}
