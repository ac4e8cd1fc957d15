//! The state word of tasks and the set of halted cores.

use loom::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    model,
    scheduler::{park, unpark},
    task::{Task, current},
    task_state::HaltedCores,
};

/// However two wakers and a task that waits for both of them meet, the task sees what both did.
#[test]
fn no_wake_up_is_lost() {
    model(|| {
        let done = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let task: &'static Task = current();
        let wakers: Vec<_> = (0..2)
            .map(|i| {
                let done = done.clone();
                thread::spawn(move || {
                    // Nothing but the wake-up itself orders this.
                    done[i].store(1, Ordering::Relaxed);
                    unpark(task);
                })
            })
            .collect();
        while done.iter().any(|d| d.load(Ordering::Relaxed) == 0) {
            park();
        }
        for w in wakers {
            w.join().unwrap();
        }
    });
}

/// A core that halts and one that gives it work do not miss each other: either the work is seen or the wake-up is sent.
#[test]
fn no_core_halts_over_its_work() {
    model(|| {
        let idle = Arc::new(HaltedCores::new());
        let (queue, attention) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU32::new(0)));
        let giver = {
            let (idle, queue, attention) = (idle.clone(), queue.clone(), attention.clone());
            thread::spawn(move || {
                queue.fetch_add(1, Ordering::SeqCst);
                attention.store(1, Ordering::SeqCst);
                idle.take(5)
            })
        };
        idle.enter(5);
        let busy = attention.load(Ordering::SeqCst) != 0 || queue.load(Ordering::SeqCst) > 0;
        if busy {
            idle.leave(5);
        }
        let woken = giver.join().unwrap();
        assert!(busy || woken, "it sleeps, and there is work");
    });
}

/// A halted core is woken by one of those who look for one.
#[test]
fn one_wakes_a_halted_core() {
    model(|| {
        let idle = Arc::new(HaltedCores::new());
        idle.enter(3);
        idle.enter(9);
        let other = {
            let idle = idle.clone();
            thread::spawn(move || idle.take_any())
        };
        let mine = idle.take_any();
        let theirs = other.join().unwrap();
        assert_ne!(mine, theirs);
        assert_eq!(idle.take_any(), None);
    });
}
