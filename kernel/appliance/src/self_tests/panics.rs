//! Panics that stay contained, and crashes that are reported.

use super::Test;
use alloc::{string::String, sync::Arc, vec::Vec};
use core::{
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering},
};
use kernel_task::{
    catch_unwind, panicking, spawn,
    sync::{Mutex, RwLock},
    yield_now,
};

pub const TESTS: &[Test] = &[
    ("panic_is_caught", panic_is_caught),
    ("panic_releases_locks", panic_releases_locks),
    ("panics_on_many_tasks", panics_on_many_tasks),
    ("panic_in_a_task_reaches_join", panic_in_a_task_reaches_join),
];

pub const FATAL: &[Test] = &[
    ("crash_panic", || kernel_task::fatal("on purpose")),
    ("crash_null", crash_null),
    ("crash_overflow", || {
        black_box(overflow(1));
    }),
    ("crash_write_to_code", crash_write_to_code),
    ("crash_run_data", crash_run_data),
];

struct Counted<'a>(&'a AtomicUsize);
impl Drop for Counted<'_> {
    fn drop(&mut self) {
        assert!(panicking());
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[inline(never)]
fn deep(n: usize, drops: &AtomicUsize) -> usize {
    let _guard = Counted(drops);
    if n == 0 {
        let empty: &[u8] = black_box(&[]);
        return usize::from(empty[black_box(3)]);
    }
    deep(n - 1, drops) + 1
}

fn panic_is_caught() {
    let drops = AtomicUsize::new(0);
    for round in 1..=20 {
        let outcome = catch_unwind(|| deep(30, &drops));
        let message = outcome.err().map_or(String::new(), |p| p.message);
        assert!(message.contains("index out of bounds"), "{message}");
        assert!(message.contains("panics.rs"), "{message}");
        assert_eq!(drops.load(Ordering::SeqCst), 31 * round);
        assert!(!panicking());
    }
}

fn panic_releases_locks() {
    let (m, l) = (Mutex::new(1), RwLock::new(2));
    let outcome = catch_unwind(|| {
        let _a = m.lock();
        let _b = l.write();
        panic!("while holding {}", "locks");
    });
    let outcome: Result<(), _> = outcome;
    assert!(outcome.is_err_and(|p| p.message.starts_with("while holding locks")));
    assert!(m.try_lock().is_some() && l.try_write().is_some());
}

/// Tasks unwind at the same time on several cores, switching in their destructors.
fn panics_on_many_tasks() {
    struct Yields;
    impl Drop for Yields {
        fn drop(&mut self) {
            yield_now();
        }
    }
    let tasks: Vec<_> = (0..32u64)
        .map(|i| {
            spawn("unlucky", move || {
                let mut caught = 0;
                for _ in 0..20 {
                    let r: Result<(), _> = catch_unwind(|| {
                        let _y = Yields;
                        yield_now();
                        panic!("task {i}");
                    });
                    let p = r.err().map_or(String::new(), |p| p.message);
                    assert!(p.starts_with(&alloc::format!("task {i}")), "{p}");
                    caught += 1;
                }
                caught
            })
        })
        .collect();
    for t in tasks {
        assert_eq!(t.join(), Ok(20));
    }
}

fn panic_in_a_task_reaches_join() {
    let shared = Arc::new(Mutex::new(0));
    let theirs = shared.clone();
    let outcome = spawn("doomed", move || {
        *theirs.lock() = 1;
        panic!("told you");
    })
    .join();
    let outcome: Result<(), _> = outcome;
    assert!(outcome.is_err_and(|p| p.message.starts_with("told you")));
    assert_eq!(*shared.lock(), 1);
}

fn crash_null() {
    let p: *const u64 = black_box(core::ptr::null());
    // SAFETY: none: the fault is the point.
    black_box(unsafe { p.read_volatile() });
}

#[inline(never)]
fn overflow(n: u64) -> u64 {
    let room = black_box([n; 64]);
    if room[black_box(3)] == 0 { 0 } else { overflow(n + 1) + room[black_box(7)] }
}

fn crash_write_to_code() {
    let p = crash_null as *const () as *mut u8;
    // SAFETY: none: the fault is the point.
    unsafe { p.write_volatile(0xc3) };
}

fn crash_run_data() {
    static CODE: [u8; 1] = [0xc3];
    // SAFETY: none: the fault is the point.
    let f: extern "C" fn() = unsafe { core::mem::transmute(black_box(&raw const CODE)) };
    f();
}
