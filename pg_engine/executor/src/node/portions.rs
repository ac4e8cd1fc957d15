//! Work in portions that several cores share.
//!
//! Helpers, which live as long as the engine, and the operator itself take portions in turn; the operator gets what comes of them in
//! the portions' order, as if one task had done it all. Nobody works further ahead of the operator than [`AHEAD`] portions.
//!
//! Work is given up by waiting for the portions that are being worked on: nobody reads with a snapshot that is not held.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use pg_types::{Batch, Result, SqlError};
use platform::{
    sync::{Condvar, Mutex},
    tally::{self, Tallies},
    task,
};

use crate::{context::Rt, expr::stopped};

/// Portions that may be done and not yet taken.
const AHEAD: u32 = 12;
/// Time after which a task that waits looks whether it is still to.
const PATIENCE: Duration = Duration::from_millis(10);

/// What there is to do.
pub(super) trait Portions: Send + Sync {
    /// How many portions.
    fn portions(&self) -> u32;
    /// Does a portion, as the task of this number; `pause` is called now and then.
    fn read(&self, portion: u32, task: usize, pause: &dyn Fn() -> Result<()>) -> Result<Vec<Batch>>;
    /// Nobody waits for portions any more.
    fn stop(&self) -> &AtomicBool;
}

#[derive(Default)]
struct Progress {
    /// The portion that is read next, and the one that the operator wants next.
    next: u32,
    taken: u32,
    /// Portions being read by helpers.
    reading: u32,
    done: BTreeMap<u32, Result<Vec<Batch>>>,
    given_up: bool,
    /// What helpers counted and the statement's task has not taken over.
    usage: Tallies,
}

/// Work that helpers take part in.
struct Shared {
    source: Arc<dyn Portions>,
    progress: Mutex<Progress>,
    /// A portion was read.
    news: Condvar,
}

impl Shared {
    /// A portion to read, if there is one that may be read now.
    fn claim(&self, helper: bool) -> Option<u32> {
        let mut p = self.progress.lock();
        let limit = p.taken.saturating_add(AHEAD).min(self.source.portions());
        if p.given_up || p.next >= limit {
            return None;
        }
        p.next += 1;
        p.reading += u32::from(helper);
        Some(p.next - 1)
    }

    /// As a helper.
    fn help(&self, portion: u32, number: usize) {
        let before = tally::read();
        let pause = || {
            task::checkpoint();
            if self.source.stop().load(Ordering::Relaxed) { Err(stopped()) } else { Ok(()) }
        };
        let read = || self.source.read(portion, number, &pause);
        let result = task::catch_unwind(read).unwrap_or_else(|panic| {
            log::error!("a helper of a scan panicked: {}", panic.message);
            Err(SqlError::internal("a helper of a scan panicked"))
        });
        let mut p = self.progress.lock();
        p.reading -= 1;
        p.usage.add(&tally::read().since(&before));
        if !p.given_up {
            p.done.insert(portion, result);
        }
        drop(p);
        self.news.notify_all();
    }

    fn give_up(&self) {
        let mut p = self.progress.lock();
        p.given_up = true;
        self.source.stop().store(true, Ordering::Relaxed);
        p.done.clear();
        while p.reading > 0 {
            p = self.news.wait(p);
        }
    }
}

#[derive(Default)]
struct Desk {
    offers: Mutex<Offers>,
    /// There may be something to read, or the helpers are let go.
    news: Condvar,
}

#[derive(Default)]
struct Offers {
    scans: Vec<Arc<Shared>>,
    hired: bool,
    over: bool,
}

impl Desk {
    /// A helper's life.
    fn serve(&self, number: usize) {
        let mut offers = self.offers.lock();
        while !offers.over {
            let found = offers.scans.iter().find_map(|s| Some((Arc::clone(s), s.claim(true)?)));
            let Some((scan, portion)) = found else {
                offers = self.news.wait(offers);
                continue;
            };
            drop(offers);
            scan.help(portion, number);
            drop(scan);
            offers = self.offers.lock();
        }
    }
}

/// Tasks that read portions of large scans, one for each further core.
pub(crate) struct ScanHelpers {
    desk: Arc<Desk>,
    count: usize,
}

impl ScanHelpers {
    /// None is at work yet.
    pub(crate) fn new() -> Self {
        Self { desk: Arc::default(), count: task::core_count().saturating_sub(1) }
    }

    /// Tasks that may work on a scan, the statement's own included.
    pub(crate) fn workers(&self) -> usize {
        self.count + 1
    }

    /// Has helpers take part in some work.
    pub(super) fn offer(&self, source: Arc<dyn Portions>) -> Running {
        let scan = Arc::new(Shared { source, progress: Mutex::default(), news: Condvar::default() });
        let hire = {
            let mut offers = self.desk.offers.lock();
            offers.scans.push(Arc::clone(&scan));
            !core::mem::replace(&mut offers.hired, true)
        };
        if hire {
            for number in 1..=self.count {
                let desk = Arc::clone(&self.desk);
                task::spawn("scan", move || desk.serve(number));
            }
        }
        self.desk.news.notify_all();
        Running { desk: Arc::clone(&self.desk), scan }
    }
}

impl Drop for ScanHelpers {
    fn drop(&mut self) {
        self.desk.offers.lock().over = true;
        self.desk.news.notify_all();
    }
}

/// Work on the desk, until it is dropped.
pub(super) struct Running {
    desk: Arc<Desk>,
    scan: Arc<Shared>,
}

impl Running {
    /// The next portion's batches; `None`: there is no further portion.
    pub(super) fn next(&self, rt: &Rt<'_, '_>) -> Result<Option<Vec<Batch>>> {
        let scan = &*self.scan;
        loop {
            rt.cx.checkpoint()?;
            let mut p = scan.progress.lock();
            let wanted = p.taken;
            if wanted >= scan.source.portions() {
                return Ok(None);
            }
            if let Some(result) = p.done.remove(&wanted) {
                p.taken += 1;
                tally::take_over(&core::mem::take(&mut p.usage));
                drop(p);
                // A helper that looks for work has the desk: it sees this or is told.
                drop(self.desk.offers.lock());
                self.desk.news.notify_all();
                if result.is_err() {
                    // Where it was ended, the session knows why.
                    rt.cx.checkpoint()?;
                }
                return result.map(Some);
            }
            drop(p);
            if let Some(portion) = scan.claim(false) {
                let result = scan.source.read(portion, 0, &|| rt.cx.checkpoint());
                scan.progress.lock().done.insert(portion, result);
                continue;
            }
            let p = scan.progress.lock();
            if !p.done.contains_key(&wanted) {
                // Whether it was cancelled is for this task to see, however long the others take.
                drop(scan.news.wait_timeout(p, PATIENCE));
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.desk.offers.lock().scans.retain(|s| !Arc::ptr_eq(s, &self.scan));
        self.scan.give_up();
    }
}
