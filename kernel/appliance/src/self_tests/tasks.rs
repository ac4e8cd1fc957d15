//! Scheduling: switching, stealing, pinning, sleeping, channels, floating-point state.

use super::{Random, Test};
use alloc::{sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use kernel_task::{
    WaitQueue, channel, core_count, current_core, park, sleep, spawn, spawn_on, task_stats, time, unpark,
    yield_now,
};

pub const TESTS: &[Test] = &[
    ("spawn_join", spawn_join),
    ("switch_cost", switch_cost),
    ("floats_survive_switches", floats_survive_switches),
    ("pinned_tasks_stay", pinned_tasks_stay),
    ("all_cores_work", all_cores_work),
    ("timers_in_order", timers_in_order),
    ("timeouts", timeouts),
    ("park_keeps_wakeups", park_keeps_wakeups),
    ("channels", channels),
    ("tasks_are_reused", tasks_are_reused),
    ("stacks_grow", stacks_grow),
];

fn join<T>(handle: kernel_task::JoinHandle<T>) -> T {
    handle.join().unwrap_or_else(|p| panic!("{}", p.message))
}

fn spawn_join() {
    let tasks: Vec<_> = (0..200usize)
        .map(|i| {
            spawn("child", move || {
                let inner = spawn("grandchild", move || i * 2);
                yield_now();
                join(inner) + 1
            })
        })
        .collect();
    let sum: usize = tasks.into_iter().map(join).sum();
    assert_eq!(sum, (0..200).map(|i| i * 2 + 1).sum());
}

/// Two tasks of one core hand over to each other; prints what a switch costs.
fn switch_cost() {
    const ROUNDS: u64 = 20_000;
    let other = spawn_on(current_core(), "other", || (0..ROUNDS).for_each(|_| yield_now()));
    let from = time::ticks();
    let this = spawn_on(current_core(), "this", || (0..ROUNDS).for_each(|_| yield_now()));
    join(this);
    join(other);
    let each = time::to_duration(time::ticks() - from).as_nanos() as u64 / (2 * ROUNDS);
    log::info!("a yield between two tasks takes {each} ns");
}

/// Vector registers are the caller's to save: values live across waits must come back.
fn floats_survive_switches() {
    let tasks: Vec<_> = (0..16u32)
        .map(|i| {
            spawn("float", move || {
                let mut x = f64::from(i) + 0.5;
                let mut lanes = [f32::from(i as u8); 16];
                for round in 0..500 {
                    x = x * 1.000_001 + 0.25;
                    for (n, l) in lanes.iter_mut().enumerate() {
                        *l += n as f32;
                    }
                    if round % 3 == 0 {
                        yield_now();
                    }
                }
                (x, lanes)
            })
        })
        .collect();
    for (i, t) in tasks.into_iter().enumerate() {
        let (x, lanes) = join(t);
        let mut want = i as f64 + 0.5;
        for _ in 0..500 {
            want = want * 1.000_001 + 0.25;
        }
        assert_eq!(x.to_bits(), want.to_bits());
        for (n, l) in lanes.iter().enumerate() {
            let mut want = i as f32;
            for _ in 0..500 {
                want += n as f32;
            }
            assert_eq!(l.to_bits(), want.to_bits());
        }
    }
}

fn pinned_tasks_stay() {
    let tasks: Vec<_> = (0..core_count() * 4)
        .map(|i| {
            spawn_on(i, "pinned", move || {
                for round in 0..50 {
                    assert_eq!(current_core(), i % core_count());
                    if round % 10 == 0 {
                        sleep(Duration::from_micros(50));
                    } else {
                        yield_now();
                    }
                }
            })
        })
        .collect();
    tasks.into_iter().for_each(join);
}

/// Busy tasks spread: with enough of them every core runs some.
fn all_cores_work() {
    let counts: Arc<Vec<AtomicUsize>> = Arc::new((0..core_count()).map(|_| AtomicUsize::new(0)).collect());
    let deadline = time::deadline(Duration::from_secs(20));
    let tasks: Vec<_> = (0..core_count() * 4)
        .map(|_| {
            let counts = counts.clone();
            spawn("busy", move || {
                while counts.iter().any(|c| c.load(Ordering::Relaxed) == 0) {
                    assert!(time::ticks() < deadline, "a core got no work");
                    counts[current_core()].fetch_add(1, Ordering::Relaxed);
                    kernel_task::checkpoint();
                    core::hint::spin_loop();
                }
            })
        })
        .collect();
    tasks.into_iter().for_each(join);
}

fn timers_in_order() {
    let order = Arc::new(kernel_task::sync::Mutex::new(Vec::new()));
    let start = time::monotonic();
    let tasks: Vec<_> = [40u64, 5, 25, 15, 60]
        .map(|ms| {
            let order = order.clone();
            spawn("sleeper", move || {
                let due = start + Duration::from_millis(ms);
                sleep(due.saturating_sub(time::monotonic()));
                assert!(time::monotonic() >= due, "woken early");
                order.lock().push(ms);
            })
        })
        .into_iter()
        .collect();
    tasks.into_iter().for_each(join);
    assert_eq!(*order.lock(), [5, 15, 25, 40, 60]);
}

fn timeouts() {
    let queue = WaitQueue::new();
    let from = time::monotonic();
    assert!(!queue.wait_until_timeout(Duration::from_millis(10), || false));
    assert!(time::monotonic() - from >= Duration::from_millis(10));
    assert!(queue.is_empty());
    // Woken long before its limit, many times over: timers of waits that ended must go away.
    let shared = Arc::new((WaitQueue::new(), AtomicUsize::new(0)));
    let waker = shared.clone();
    let task = spawn("waker", move || {
        for i in 1..=500 {
            waker.1.store(i, Ordering::SeqCst);
            waker.0.notify_all();
            yield_now();
        }
    });
    assert!(shared.0.wait_until_timeout(Duration::from_secs(60), || shared.1.load(Ordering::SeqCst) == 500));
    join(task);
}

/// A wake-up before the park is not lost, in any interleaving the two cores produce.
fn park_keeps_wakeups() {
    const ROUNDS: usize = 20_000;
    let turn = Arc::new(AtomicUsize::new(0));
    let main = kernel_task::current();
    let theirs = turn.clone();
    let peer = spawn("peer", move || {
        for i in 0..ROUNDS {
            while theirs.load(Ordering::SeqCst) != 2 * i + 1 {
                park();
            }
            theirs.store(2 * i + 2, Ordering::SeqCst);
            unpark(main);
        }
    });
    let mut random = Random(11);
    for i in 0..ROUNDS {
        turn.store(2 * i + 1, Ordering::SeqCst);
        peer.unpark();
        for _ in 0..random.below(50) {
            core::hint::spin_loop();
        }
        while turn.load(Ordering::SeqCst) != 2 * i + 2 {
            park();
        }
    }
    join(peer);
    assert_eq!(turn.load(Ordering::SeqCst), 2 * ROUNDS);
}

fn channels() {
    const EACH: usize = 2000;
    let (tx, rx) = channel::bounded(7);
    let senders: Vec<_> = (0..4)
        .map(|s| {
            let tx = tx.clone();
            spawn("sender", move || (0..EACH).for_each(|i| assert!(tx.send(s * EACH + i).is_ok())))
        })
        .collect();
    drop(tx);
    let receivers: Vec<_> = (0..3)
        .map(|_| {
            let rx = rx.clone();
            spawn("receiver", move || {
                let mut got = Vec::new();
                while let Ok(v) = rx.receive() {
                    got.push(v);
                }
                got
            })
        })
        .collect();
    senders.into_iter().for_each(join);
    let mut all: Vec<usize> = receivers.into_iter().flat_map(join).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..4 * EACH));
    assert_eq!(rx.try_receive(), Err(channel::ReceiveError::Disconnected));
}

/// Ten thousand short tasks do not make ten thousand stacks.
fn tasks_are_reused() {
    for _ in 0..100 {
        let batch: Vec<_> = (0..20).map(|i| spawn("short", move || i)).collect();
        batch.into_iter().for_each(|t| {
            join(t);
        });
    }
    let stats = task_stats();
    assert!(stats.created < 1000, "{stats:?}");
}

/// Several megabytes of stack on many tasks at once; vector registers survive the faults.
fn stacks_grow() {
    #[inline(never)]
    fn down(n: usize, x: f64) -> f64 {
        let room = core::hint::black_box([n as u8; 700]);
        let y = x * 1.5 + f64::from(room[core::hint::black_box(n % 700)]);
        let z = if n == 0 { 1.0 } else { down(n - 1, x + 1.0) };
        assert!(room.iter().all(|b| *b == n as u8));
        y + z
    }
    let want = down(6000, 0.5);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            spawn("deep", move || {
                yield_now();
                let got = down(6000, 0.5);
                yield_now();
                got
            })
        })
        .collect();
    for t in tasks {
        assert_eq!(join(t).to_bits(), want.to_bits());
    }
}
