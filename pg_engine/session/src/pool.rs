//! Worker tasks: they take connections that have something to do, one at a time.
//!
//! A connection always goes to the same shard, so that its state stays near one core. A shard grows by a worker whenever
//! work arrives and none is free: a worker may wait for a lock that only another connection's statement releases, so
//! there must never be fewer workers than connections with work. Workers idle for long end.

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::time::Duration;

use platform::{
    sync::{Condvar, Mutex},
    task,
};

/// How long a surplus worker waits for work.
const LINGER: Duration = if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(10) };
/// And how long the next ones, when there has been none.
const QUIET_LINGER: Duration = Duration::from_millis(100);

/// Something a worker runs.
pub trait Work: Send + Sync + 'static {
    /// Runs on a worker task; may block.
    fn run(self: Arc<Self>);
}

struct Queue<W> {
    items: VecDeque<Arc<W>>,
    workers: usize,
    /// Workers that wait.
    idle: usize,
    /// Of these, how many were told to wake.
    woken: usize,
    /// One of the idle waits for a limited time.
    watched: bool,
    /// Nothing was queued since a surplus worker has ended.
    quiet: bool,
    closed: bool,
}

struct Shard<W> {
    queue: Mutex<Queue<W>>,
    changed: Condvar,
    keep: usize,
    max: usize,
}

/// See the module.
pub struct Pool<W: Work> {
    shards: Vec<Arc<Shard<W>>>,
}

impl<W: Work> Pool<W> {
    /// `keep`: workers per shard that stay without work; `max`: the most a shard may have.
    pub fn new(shards: usize, keep: usize, max: usize) -> Self {
        let shard = || {
            Arc::new(Shard {
                queue: Mutex::new(Queue {
                    items: VecDeque::new(),
                    workers: 0,
                    idle: 0,
                    woken: 0,
                    watched: false,
                    quiet: false,
                    closed: false,
                }),
                changed: Condvar::new(),
                keep,
                max,
            })
        };
        Self { shards: (0..shards.max(1)).map(|_| shard()).collect() }
    }

    /// Queues work on shard `key` (modulo their number).
    pub fn submit(&self, key: usize, work: Arc<W>) {
        let Some(shard) = self.shards.get(key % self.shards.len()) else { return };
        let mut queue = shard.queue.lock();
        if queue.closed {
            return;
        }
        queue.items.push_back(work);
        queue.quiet = false;
        if queue.idle > queue.woken {
            queue.woken += 1;
            drop(queue);
            shard.changed.notify_one();
        } else if queue.workers < shard.max {
            queue.workers += 1;
            drop(queue);
            let shard = shard.clone();
            task::spawn("session", move || shard.work());
        }
    }

    /// Ends the workers when they are done; queued work is dropped.
    pub fn close(&self) {
        for shard in &self.shards {
            let mut queue = shard.queue.lock();
            queue.closed = true;
            let dropped = core::mem::take(&mut queue.items);
            drop(queue);
            drop(dropped);
            shard.changed.notify_all();
        }
    }
}

impl<W: Work> Shard<W> {
    fn work(&self) {
        while let Some(item) = self.next() {
            // What a connection does is contained there; this catches only a bug in the containment itself.
            if let Err(panic) = task::catch_unwind(|| item.run()) {
                log::error!("worker: {}", panic.message);
            }
        }
    }

    fn next(&self) -> Option<Arc<W>> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(item) = queue.items.pop_front() {
                return Some(item);
            }
            if queue.closed {
                queue.workers -= 1;
                return None;
            }
            queue.idle += 1;
            loop {
                // One at a time watches whether the others are still needed: timers cost.
                let watches = !queue.watched && queue.idle > self.keep;
                let timed_out;
                (queue, timed_out) = if watches {
                    queue.watched = true;
                    let limit = if queue.quiet { QUIET_LINGER } else { LINGER };
                    let (mut queue, timed_out) = self.changed.wait_timeout(queue, limit);
                    queue.watched = false;
                    (queue, timed_out)
                } else {
                    (self.changed.wait(queue), false)
                };
                if queue.woken > 0 {
                    queue.woken -= 1;
                    break;
                }
                if queue.closed || !queue.items.is_empty() {
                    break;
                }
                if timed_out && queue.workers > self.keep {
                    queue.idle -= 1;
                    queue.workers -= 1;
                    queue.quiet = true;
                    drop(queue);
                    // The next one watches.
                    self.changed.notify_one();
                    return None;
                }
            }
            queue.idle -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    struct Barrier {
        arrived: AtomicUsize,
        lock: Mutex<usize>,
        all: Condvar,
        needed: usize,
    }

    struct Meet(Arc<Barrier>);
    impl Work for Meet {
        fn run(self: Arc<Self>) {
            self.0.arrived.fetch_add(1, SeqCst);
            let mut n = self.0.lock.lock();
            *n += 1;
            self.0.all.notify_all();
            while *n < self.0.needed {
                n = self.0.all.wait(n);
            }
        }
    }

    #[test]
    fn blocked_work_never_keeps_other_work_waiting() {
        // Every item waits until all have been started: fewer workers than items would never end.
        let barrier = Arc::new(Barrier {
            arrived: AtomicUsize::new(0),
            lock: Mutex::new(0),
            all: Condvar::new(),
            needed: 40,
        });
        let pool = Pool::new(2, 1, 100);
        for i in 0..40 {
            pool.submit(i, Arc::new(Meet(barrier.clone())));
        }
        let mut n = barrier.lock.lock();
        while *n < 40 {
            n = barrier.all.wait(n);
        }
        drop(n);
        assert_eq!(barrier.arrived.load(SeqCst), 40);
        // Without work they end, one after the other, but for those that are kept.
        let workers = || pool.shards.iter().map(|s| s.queue.lock().workers).collect::<Vec<_>>();
        for _ in 0..1000 {
            if workers() == [1, 1] {
                break;
            }
            task::sleep(Duration::from_millis(20));
        }
        assert_eq!(workers(), [1, 1]);
        pool.close();
    }
}
