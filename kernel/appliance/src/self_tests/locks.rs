//! Blocking locks under contention across cores.

use super::{Random, Test};
use alloc::{sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};
use kernel_task::{
    core_count, spawn,
    sync::{Condvar, Mutex, OnceLock, RwLock},
    yield_now,
};

pub const TESTS: &[Test] = &[
    ("mutex_contention", mutex_contention),
    ("rwlock_contention", rwlock_contention),
    ("condvar_handover", condvar_handover),
    ("condvar_timeout", condvar_timeout),
    ("once_lock", once_lock),
];

fn crowd(n: usize, f: impl Fn(usize) + Send + Sync + 'static) {
    let f = Arc::new(f);
    let tasks: Vec<_> = (0..n)
        .map(|i| {
            let f = f.clone();
            spawn("crowd", move || f(i))
        })
        .collect();
    for t in tasks {
        t.join().unwrap_or_else(|p| panic!("{}", p.message));
    }
}

fn mutex_contention() {
    const EACH: usize = 3000;
    let total = Arc::new(Mutex::new((0usize, 0usize)));
    let check = total.clone();
    let people = core_count() * 6;
    crowd(people, move |i| {
        let mut random = Random(i as u64 + 1);
        for _ in 0..EACH {
            let mut g = check.lock();
            g.0 += 1;
            match random.below(40) {
                // Held across a switch.
                0 => yield_now(),
                1 => kernel_task::sleep(Duration::from_micros(3)),
                _ => {}
            }
            g.1 += 1;
            assert_eq!(g.0, g.1, "two holders at once");
        }
    });
    assert_eq!(*total.lock(), (people * EACH, people * EACH));
}

fn rwlock_contention() {
    let lock = Arc::new(RwLock::new([0u64; 8]));
    let writes = Arc::new(AtomicUsize::new(0));
    let (l, w) = (lock.clone(), writes.clone());
    crowd(core_count() * 6, move |i| {
        let mut random = Random(i as u64 + 77);
        for _ in 0..1500 {
            if random.below(4) == 0 {
                let mut g = l.write();
                for (n, v) in g.iter_mut().enumerate() {
                    *v += 1;
                    if n == 4 && random.below(20) == 0 {
                        yield_now();
                    }
                }
                w.fetch_add(1, Ordering::Relaxed);
            } else {
                let g = l.read();
                if random.below(20) == 0 {
                    yield_now();
                }
                assert!(g.iter().all(|v| *v == g[0]), "a reader saw half a write");
            }
        }
    });
    assert_eq!(lock.read()[0], writes.load(Ordering::Relaxed) as u64);
}

/// A bounded buffer with two conditions: loses nothing and does not hang.
fn condvar_handover() {
    struct Buffer {
        items: Mutex<Vec<usize>>,
        filled: Condvar,
        emptied: Condvar,
    }
    let b =
        Arc::new(Buffer { items: Mutex::new(Vec::new()), filled: Condvar::new(), emptied: Condvar::new() });
    let sum = Arc::new(AtomicUsize::new(0));
    let (buffer, s) = (b.clone(), sum.clone());
    crowd(8, move |i| {
        for n in 0..1500 {
            if i % 2 == 0 {
                let mut g = buffer.items.lock();
                while g.len() >= 3 {
                    g = buffer.emptied.wait(g);
                }
                g.push(n);
                drop(g);
                buffer.filled.notify_one();
            } else {
                let mut g = buffer.items.lock();
                let v = loop {
                    match g.pop() {
                        Some(v) => break v,
                        None => g = buffer.filled.wait(g),
                    }
                };
                drop(g);
                buffer.emptied.notify_one();
                s.fetch_add(v, Ordering::Relaxed);
            }
        }
    });
    assert_eq!(sum.load(Ordering::Relaxed), 4 * (0..1500).sum::<usize>());
    assert!(b.items.lock().is_empty());
}

fn condvar_timeout() {
    let m = Mutex::new(());
    let c = Condvar::new();
    let mut g = m.lock();
    let mut rounds = 0;
    loop {
        let (next, late) = c.wait_timeout(g, Duration::from_millis(5));
        g = next;
        rounds += 1;
        if late {
            break;
        }
        assert!(rounds < 100);
    }
    drop(g);
    assert!(m.try_lock().is_some());
}

fn once_lock() {
    static CELL: OnceLock<usize> = OnceLock::new();
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    static FIRST: AtomicBool = AtomicBool::new(true);
    crowd(16, |_| {
        // The first attempt panics half-way: the next one takes over.
        let value = kernel_task::catch_unwind(|| {
            *CELL.get_or_init(|| {
                CALLS.fetch_add(1, Ordering::SeqCst);
                yield_now();
                assert!(!FIRST.swap(false, Ordering::SeqCst), "on purpose");
                42
            })
        });
        assert!(value.is_err() || value == Ok(42));
    });
    assert_eq!(CELL.get(), Some(&42));
    assert_eq!(CALLS.load(Ordering::SeqCst), 2);
}
