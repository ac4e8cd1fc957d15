//! Tasks that help with large ticks.
//!
//! A session that ticks puts its work on the desk, works on it itself, and waits for those who came to help. Helpers are
//! started when there is something for them for the first time, as many as there are further cores, and live as long as the
//! engine.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dagdb_tick::Executor;
use platform::{
    sync::{Condvar, Mutex},
    task,
};

type Job = Arc<dyn Fn(usize) + Send + Sync>;

/// Work that was cut into parts.
struct Work {
    job: Job,
    parts: usize,
    next: AtomicUsize,
    /// A helper panicked.
    failed: AtomicBool,
}

impl Work {
    /// Does parts until none is left.
    fn help(&self) {
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            if part >= self.parts {
                return;
            }
            (self.job)(part);
        }
    }

    fn has_more(&self) -> bool {
        self.next.load(Ordering::Relaxed) < self.parts
    }
}

/// Work on the desk.
struct Offer {
    id: u64,
    work: Arc<Work>,
    /// Who works on it besides the one who put it there.
    helpers: usize,
}

#[derive(Default)]
struct Desk {
    offers: Mutex<Offers>,
    /// There is work, or the crew is let go.
    news: Condvar,
    /// A helper is done.
    done: Condvar,
}

#[derive(Default)]
struct Offers {
    list: Vec<Offer>,
    next_id: u64,
    hired: bool,
    over: bool,
}

impl Desk {
    /// A helper's life.
    fn serve(&self) {
        let mut offers = self.offers.lock();
        loop {
            if offers.over {
                return;
            }
            let found = offers.list.iter_mut().find(|o| o.work.has_more());
            let Some(offer) = found else {
                offers = self.news.wait(offers);
                continue;
            };
            offer.helpers += 1;
            let (id, work) = (offer.id, Arc::clone(&offer.work));
            drop(offers);
            let failed = task::catch_unwind(|| work.help()).err();
            if let Some(panic) = failed {
                log::error!("a helper of a tick panicked: {}", panic.message);
                work.failed.store(true, Ordering::Release);
                // What is left of it is not done in vain.
                work.next.store(work.parts, Ordering::Relaxed);
            }
            // The one who waits takes it that no one has the job any more.
            drop(work);
            offers = self.offers.lock();
            if let Some(offer) = offers.list.iter_mut().find(|o| o.id == id) {
                offer.helpers -= 1;
            }
            self.done.notify_all();
        }
    }

    /// Waits for the helpers of an offer and takes it from the desk.
    fn take_back(&self, id: u64) {
        let mut offers = self.offers.lock();
        while offers.list.iter().any(|o| o.id == id && o.helpers > 0) {
            offers = self.done.wait(offers);
        }
        offers.list.retain(|o| o.id != id);
    }
}

/// Takes an offer back however the work on it ends.
struct Waiting<'a> {
    desk: &'a Desk,
    work: &'a Work,
    id: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.work.next.fetch_max(self.work.parts, Ordering::Relaxed);
        self.desk.take_back(self.id);
    }
}

/// All cores for large ticks.
pub(crate) struct Crew {
    desk: Arc<Desk>,
    workers: usize,
}

impl Crew {
    /// One that is not at work yet.
    pub(crate) fn new() -> Self {
        Self { desk: Arc::default(), workers: task::core_count().max(1) }
    }
}

impl Executor for Crew {
    fn workers(&self) -> usize {
        self.workers
    }

    fn run(&self, parts: usize, job: Job) {
        let work = Arc::new(Work { job, parts, next: AtomicUsize::new(0), failed: AtomicBool::new(false) });
        let hire = {
            let mut offers = self.desk.offers.lock();
            let id = offers.next_id;
            offers.next_id += 1;
            offers.list.push(Offer { id, work: Arc::clone(&work), helpers: 0 });
            (!core::mem::replace(&mut offers.hired, true), id)
        };
        if hire.0 {
            for _ in 1..self.workers {
                let desk = Arc::clone(&self.desk);
                task::spawn("graph tick", move || desk.serve());
            }
        }
        self.desk.news.notify_all();
        let waiting = Waiting { desk: &self.desk, work: &work, id: hire.1 };
        work.help();
        drop(waiting);
        // A panic there is one here: the statement ends, and nothing has changed.
        assert!(!work.failed.load(Ordering::Acquire), "a helper of a tick panicked");
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.desk.offers.lock().over = true;
        self.desk.news.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_done_once_and_no_job_is_kept() {
        let crew = Crew { desk: Arc::default(), workers: 4 };
        for round in 0..200 {
            let parts = round % 17;
            let done: Arc<Vec<AtomicUsize>> = Arc::new((0..parts).map(|_| AtomicUsize::new(0)).collect());
            let counted = Arc::clone(&done);
            crew.run(
                parts,
                Arc::new(move |part| {
                    if let Some(c) = counted.get(part) {
                        c.fetch_add(1, Ordering::Relaxed);
                    }
                }),
            );
            assert_eq!(Arc::strong_count(&done), 1);
            assert!(done.iter().all(|c| c.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn a_panic_of_a_part_is_one_of_the_caller() {
        let crew = Crew { desk: Arc::default(), workers: 2 };
        let run = task::catch_unwind(|| crew.run(50, Arc::new(|part| assert!(part != 30, "part 30"))));
        assert!(run.is_err());
        crew.run(5, Arc::new(|_| ()));
    }
}
