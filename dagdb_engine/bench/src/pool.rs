//! Threads that wait for work.

use std::sync::{
    Arc, Condvar, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use dagdb_tick::Executor;

type Job = Arc<dyn Fn(usize) + Send + Sync>;

#[derive(Clone)]
struct Work {
    job: Job,
    parts: usize,
    next: Arc<AtomicUsize>,
}

impl Work {
    fn help(&self) {
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            if part >= self.parts {
                return;
            }
            (self.job)(part);
        }
    }
}

#[derive(Default)]
struct Desk {
    work: Mutex<(u64, Option<Work>)>,
    news: Condvar,
    /// Threads that work on what lies there.
    busy: AtomicUsize,
}

/// Threads that live as long as the process.
pub struct Pool {
    threads: usize,
    desk: Arc<Desk>,
}

impl Pool {
    /// `threads`, the caller among them.
    pub fn new(threads: usize) -> Self {
        let desk = Arc::new(Desk::default());
        for _ in 1..threads {
            let desk = Arc::clone(&desk);
            std::thread::spawn(move || serve(&desk));
        }
        Self { threads, desk }
    }
}

fn serve(desk: &Desk) {
    let mut seen = 0;
    loop {
        let mut lock = desk.work.lock().unwrap_or_else(PoisonError::into_inner);
        while lock.0 == seen || lock.1.is_none() {
            lock = desk.news.wait(lock).unwrap_or_else(PoisonError::into_inner);
        }
        seen = lock.0;
        let work = lock.1.clone();
        desk.busy.fetch_add(1, Ordering::Relaxed);
        drop(lock);
        if let Some(work) = work {
            work.help();
            drop(work);
        }
        desk.busy.fetch_sub(1, Ordering::Release);
    }
}

impl Executor for Pool {
    fn workers(&self) -> usize {
        self.threads
    }

    fn run(&self, parts: usize, job: Job) {
        let work = Work { job, parts, next: Arc::default() };
        {
            let mut lock = self.desk.work.lock().unwrap_or_else(PoisonError::into_inner);
            lock.0 += 1;
            lock.1 = Some(work.clone());
        }
        self.desk.news.notify_all();
        work.help();
        drop(work);
        self.desk.work.lock().unwrap_or_else(PoisonError::into_inner).1 = None;
        while self.desk.busy.load(Ordering::Acquire) > 0 {
            std::hint::spin_loop();
        }
    }
}
