//! Who waits for whom.

use alloc::{sync::Arc, vec, vec::Vec};
use core::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use hashbrown::HashMap;
use pg_page::{DeadlockEdge, StorageError, WaitsFor};
use platform::{
    sync::{Condvar, Mutex},
    time,
};

/// Names a holder of locks: a session with whatever transaction it is in, or a transaction of no session (numbers from 2³² on).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerId(pub u64);

impl OwnerId {
    /// The first number of those without a session.
    pub(crate) const FIRST_FREE: u64 = 1 << 32;

    /// A session by its process number.
    pub const fn session(process: i32) -> Self {
        Self(process as u32 as u64)
    }
    /// The session's process number; 0: no session.
    pub const fn process(self) -> i32 {
        if self.0 < Self::FIRST_FREE { self.0 as i32 } else { 0 }
    }
}

/// What ends a wait early.
#[derive(Clone, Debug, Default)]
pub struct WaitOptions {
    /// Lock timeout.
    pub timeout: Option<Duration>,
    /// Raised to cancel the statement.
    pub cancel: Option<Arc<AtomicBool>>,
}

struct Waiter {
    what: WaitsFor,
    holders: Vec<OwnerId>,
    wake: Arc<Condvar>,
    woken: bool,
}

/// The graph of waits.
#[derive(Default)]
pub(crate) struct Waits {
    graph: Mutex<HashMap<OwnerId, Waiter>>,
    count: AtomicUsize,
}

impl Waits {
    /// Waits until one of the holders lets something go. `holders` is asked, once the wait is known to all, for those who
    /// still stand in the way; none: no wait.
    pub fn wait(
        &self,
        me: OwnerId,
        what: WaitsFor,
        options: &WaitOptions,
        holders: impl FnOnce() -> Vec<OwnerId>,
    ) -> Result<(), StorageError> {
        let mut graph = self.graph.lock();
        self.count.fetch_add(1, Ordering::SeqCst);
        let holders = holders();
        let outcome = if holders.is_empty() {
            Ok(())
        } else if let Some(cycle) = cycle(&graph, me, &holders) {
            Err(StorageError::Deadlock(edges(&graph, what, me, &cycle)))
        } else {
            let wake = Arc::new(Condvar::new());
            graph.insert(me, Waiter { what, holders, wake: wake.clone(), woken: false });
            let deadline = options.timeout.map(|t| time::monotonic() + t);
            loop {
                if graph.get(&me).is_none_or(|w| w.woken) {
                    break Ok(());
                }
                if options.cancel.as_ref().is_some_and(|c| c.load(Ordering::Acquire)) {
                    break Err(StorageError::Canceled);
                }
                graph = match deadline {
                    None => wake.wait(graph),
                    Some(d) => match d.checked_sub(time::monotonic()) {
                        None | Some(Duration::ZERO) => break Err(StorageError::LockTimeout),
                        Some(left) => wake.wait_timeout(graph, left).0,
                    },
                };
            }
        };
        graph.remove(&me);
        self.count.fetch_sub(1, Ordering::SeqCst);
        outcome
    }

    /// `holder` has let something go: those who wait for it look again.
    #[inline]
    pub fn released(&self, holder: OwnerId) {
        if self.count.load(Ordering::SeqCst) != 0 {
            self.wake(|w| w.holders.contains(&holder));
        }
    }

    /// Whom a session waits for.
    pub fn blockers(&self, waiter: OwnerId) -> Vec<OwnerId> {
        let graph = self.graph.lock();
        let mut holders = graph.get(&waiter).filter(|w| !w.woken).map_or(vec![], |w| w.holders.clone());
        holders.sort_unstable();
        holders.dedup();
        holders
    }

    /// Lets every waiter look at its cancel flag.
    pub fn poke_all(&self) {
        let graph = self.graph.lock();
        for w in graph.values() {
            w.wake.notify_all();
        }
    }

    #[cold]
    fn wake(&self, which: impl Fn(&Waiter) -> bool) {
        let mut graph = self.graph.lock();
        for w in graph.values_mut().filter(|w| which(w)) {
            w.woken = true;
            w.wake.notify_all();
        }
    }
}

/// Those on a path from the holders back to `me`, in order; none: waiting closes no cycle.
fn cycle(graph: &HashMap<OwnerId, Waiter>, me: OwnerId, holders: &[OwnerId]) -> Option<Vec<OwnerId>> {
    // Whom each was reached from.
    let mut from: Vec<(OwnerId, Option<usize>)> = holders.iter().map(|h| (*h, None)).collect();
    let mut next = 0;
    while let Some(&(at, _)) = from.get(next) {
        if at == me {
            let mut path = vec![];
            let mut step = from.get(next).and_then(|f| f.1);
            while let Some((owner, earlier)) = step.and_then(|i| from.get(i)) {
                path.push(*owner);
                step = *earlier;
            }
            path.reverse();
            return Some(path);
        }
        // One that was woken is about to look again: it waits for no one now.
        if let Some(w) = graph.get(&at).filter(|w| !w.woken) {
            for h in &w.holders {
                if !from.iter().any(|f| f.0 == *h) {
                    from.push((*h, Some(next)));
                }
            }
        }
        next += 1;
    }
    None
}

/// The cycle as its report tells it, beginning with the one that noticed it.
fn edges(
    graph: &HashMap<OwnerId, Waiter>,
    what: WaitsFor,
    me: OwnerId,
    others: &[OwnerId],
) -> Vec<DeadlockEdge> {
    let mut members = vec![(me.process(), what)];
    members.extend(others.iter().filter_map(|o| Some((o.process(), graph.get(o)?.what))));
    let blockers = members.iter().cycle().skip(1).map(|m| m.0);
    members
        .iter()
        .zip(blockers)
        .map(|(&(process, waits_for), blocked_by)| DeadlockEdge { process, waits_for, blocked_by })
        .collect()
}
