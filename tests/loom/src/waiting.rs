//! Wait queues, over the kernel's own state word.

use std::sync::atomic::Ordering;

use loom::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32},
    },
    thread,
};

use crate::{model_with, wait::WaitQueue};

/// Who waits for a condition goes on, whenever it is made true.
#[test]
fn who_waits_is_woken() {
    model_with(3, || {
        let (queue, ready) = (Arc::new(WaitQueue::new()), Arc::new(AtomicBool::new(false)));
        let waker = {
            let (queue, ready) = (queue.clone(), ready.clone());
            thread::spawn(move || {
                ready.store(true, Ordering::Relaxed);
                queue.notify_all();
            })
        };
        queue.wait_until(|| ready.load(Ordering::Relaxed));
        waker.join().unwrap();
        assert!(queue.is_empty());
    });
}

/// Waits for a place and takes it.
fn take(queue: &WaitQueue, places: &AtomicU32) {
    let taken = || places.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1)).is_ok();
    while !taken() {
        queue.wait_until(|| places.load(Ordering::Acquire) > 0);
    }
}

/// Two wait, and each of two wake-ups lets one go on.
#[test]
fn each_wakes_one() {
    model_with(1, || {
        let (queue, places) = (Arc::new(WaitQueue::new()), Arc::new(AtomicU32::new(0)));
        let taker = {
            let (queue, places) = (queue.clone(), places.clone());
            thread::spawn(move || take(&queue, &places))
        };
        let giver = {
            let (queue, places) = (queue.clone(), places.clone());
            thread::spawn(move || {
                for _ in 0..2 {
                    places.fetch_add(1, Ordering::AcqRel);
                    queue.notify_one();
                }
            })
        };
        take(&queue, &places);
        taker.join().unwrap();
        giver.join().unwrap();
        assert_eq!((places.load(Ordering::Relaxed), queue.len()), (0, 0));
    });
}

/// A wait that its deadline ends and a wake-up that comes at the same time leave nothing behind on the queue.
#[test]
fn a_deadline_and_a_wake_up_meet() {
    model_with(3, || {
        let queue = Arc::new(WaitQueue::new());
        let waker = {
            let queue = queue.clone();
            thread::spawn(move || queue.notify_one())
        };
        let woken = queue.wait_if(|| true, Some(1));
        assert_eq!(waker.join().unwrap(), woken);
        assert!(queue.is_empty());
    });
}
