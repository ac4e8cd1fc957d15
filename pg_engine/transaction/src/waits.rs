//! Who waits for whom.

use alloc::{sync::Arc, vec, vec::Vec};
use core::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use hashbrown::HashMap;
use pg_page::StorageError;
use platform::{
    sync::{Condvar, Mutex},
    time,
};

/// Names a transaction (with or without ids) as a holder of locks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerId(pub u64);

/// What ends a wait early.
#[derive(Clone, Debug, Default)]
pub struct WaitOptions {
    /// Lock timeout.
    pub timeout: Option<Duration>,
    /// Raised to cancel the statement.
    pub cancel: Option<Arc<AtomicBool>>,
}

struct Waiter {
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
        options: &WaitOptions,
        holders: impl FnOnce() -> Vec<OwnerId>,
    ) -> Result<(), StorageError> {
        let mut graph = self.graph.lock();
        self.count.fetch_add(1, Ordering::SeqCst);
        let holders = holders();
        let outcome = if holders.is_empty() {
            Ok(())
        } else if closes_cycle(&graph, me, &holders) {
            Err(StorageError::Deadlock)
        } else {
            let wake = Arc::new(Condvar::new());
            graph.insert(me, Waiter { holders, wake: wake.clone(), woken: false });
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

fn closes_cycle(graph: &HashMap<OwnerId, Waiter>, me: OwnerId, holders: &[OwnerId]) -> bool {
    let mut todo: Vec<OwnerId> = holders.to_vec();
    let mut seen = vec![];
    while let Some(at) = todo.pop() {
        if at == me {
            return true;
        }
        if seen.contains(&at) {
            continue;
        }
        seen.push(at);
        // One that was woken is about to look again: it waits for no one now.
        if let Some(w) = graph.get(&at).filter(|w| !w.woken) {
            todo.extend_from_slice(&w.holders);
        }
    }
    false
}
