//! The scheduler.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::{any::Any, time::Duration};
use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use crate::bug::Bug;

/// What a task's stack may grow to: as much as on the appliance.
const STACK: usize = 8 << 20;

/// How a simulation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The first task returned.
    Finished(T),
    /// The power was cut.
    PowerCut,
    /// The machine stopped itself.
    Fatal(String),
    /// Everyone waited for someone else.
    Deadlock(String),
    /// The first task panicked.
    Panicked(String),
}

/// What a simulation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report<T> {
    /// How it ended.
    pub outcome: Outcome<T>,
    /// Of every switch and transfer, in order.
    pub hash: u64,
    /// Virtual time that passed.
    pub elapsed: Duration,
    /// What other tasks than the first panicked with.
    pub panics: Vec<String>,
}

/// Thrown through a task when the simulation is over. Not a panic of the engine's.
pub(crate) struct PowerCut;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Runnable,
    Blocked { key: usize, deadline: Option<Duration> },
    Done,
}

struct Task {
    name: String,
    status: Status,
    baton: Arc<Condvar>,
    timed_out: bool,
}

struct State {
    random: u64,
    now: Duration,
    tasks: Vec<Task>,
    running: usize,
    hash: u64,
    /// Why it is over.
    stopped: Option<Outcome<()>>,
    /// No task will ever run again.
    over: bool,
    panics: Vec<String>,
}

/// One simulation.
pub(crate) struct World {
    bug: Option<Bug>,
    state: Mutex<State>,
    ended: Condvar,
}

std::thread_local! {
    static CURRENT: RefCell<Option<(Arc<World>, usize)>> = const { RefCell::new(None) };
}

/// The simulation this thread belongs to, and its task.
pub(crate) fn current() -> Option<(Arc<World>, usize)> {
    CURRENT.try_with(|c| c.borrow().clone()).ok().flatten()
}

impl State {
    fn next_random(&mut self) -> u64 {
        // splitmix64
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn note(&mut self, event: u64) {
        self.hash = (self.hash ^ event).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(5);
    }
    /// Who goes on. None: no one ever.
    fn pick(&mut self) -> Option<usize> {
        loop {
            let mut runnable = 0;
            for t in &mut self.tasks {
                match t.status {
                    Status::Runnable => runnable += 1,
                    // Whoever spins does not hold the clock up.
                    Status::Blocked { deadline: Some(d), .. } if d <= self.now => {
                        t.status = Status::Runnable;
                        t.timed_out = true;
                        runnable += 1;
                    }
                    _ => {}
                }
            }
            if runnable != 0 {
                let chosen = self.next_random() as usize % runnable;
                let mut left = chosen;
                let next = self.tasks.iter().position(|t| {
                    let is = t.status == Status::Runnable;
                    let hit = is && left == 0;
                    left = left.saturating_sub(usize::from(is));
                    hit
                });
                self.note(next.map_or(u64::MAX, |n| n as u64));
                return next;
            }
            let next = self
                .tasks
                .iter_mut()
                .filter_map(|t| match t.status {
                    Status::Blocked { deadline: Some(d), .. } => Some((d, t)),
                    _ => None,
                })
                .min_by_key(|(d, _)| *d);
            if let Some((deadline, task)) = next {
                task.status = Status::Runnable;
                task.timed_out = true;
                self.now = self.now.max(deadline);
            } else if self.stopped.is_some() || self.tasks.iter().all(|t| t.status == Status::Done) {
                return None;
            } else {
                let waiting: Vec<&str> =
                    self.tasks.iter().filter(|t| t.status != Status::Done).map(|t| t.name.as_str()).collect();
                let waiting = waiting.join(", ");
                self.stop(Outcome::Deadlock(waiting));
            }
        }
    }
    fn stop(&mut self, why: Outcome<()>) {
        if self.stopped.is_none() {
            self.stopped = Some(why);
            for t in self.tasks.iter_mut().filter(|t| t.status != Status::Done) {
                t.status = Status::Runnable;
            }
        }
    }
}

impl World {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the baton on; returns when it comes back.
    fn switch<'a>(&'a self, mut s: MutexGuard<'a, State>, me: usize) -> MutexGuard<'a, State> {
        match s.pick() {
            Some(next) => {
                s.running = next;
                if next != me {
                    s.tasks[next].baton.notify_one();
                }
            }
            None => {
                s.over = true;
                self.ended.notify_all();
            }
        }
        if s.tasks[me].status == Status::Done {
            return s;
        }
        let baton = s.tasks[me].baton.clone();
        while s.over || s.running != me {
            // When all is over a task that is stuck while unwinding stays here; there is nothing left for it to do.
            s = baton.wait(s).unwrap_or_else(PoisonError::into_inner);
        }
        s
    }

    fn unwind_if_stopped(s: MutexGuard<'_, State>) {
        if s.stopped.is_some() && !thread::panicking() {
            drop(s);
            resume_unwind(Box::new(PowerCut));
        }
    }

    /// A point where another task may go on.
    pub fn preempt(&self, me: usize) {
        let mut s = self.lock();
        s.now += Duration::from_nanos(200);
        if s.next_random().is_multiple_of(4) {
            s = self.switch(s, me);
        }
        Self::unwind_if_stopped(s);
    }
    /// Lets others go on.
    pub fn yield_now(&self, me: usize) {
        let mut s = self.lock();
        if s.stopped.is_some() && thread::panicking() {
            // It waits, while it unwinds, for something that a task which is gone will never do.
            drop(s);
            self.bury(me);
        }
        s.now += Duration::from_micros(1);
        s = self.switch(s, me);
        Self::unwind_if_stopped(s);
    }
    /// Waits for a wake-up of `key`. True if the deadline came first.
    pub fn block(&self, me: usize, key: usize, limit: Option<Duration>) -> bool {
        let mut s = self.lock();
        if s.stopped.is_some() && !thread::panicking() {
            Self::unwind_if_stopped(s);
            return false;
        }
        let deadline = limit.map(|l| s.now + l);
        s.tasks[me].status = Status::Blocked { key, deadline };
        s.tasks[me].timed_out = false;
        s = self.switch(s, me);
        let timed_out = s.tasks[me].timed_out;
        Self::unwind_if_stopped(s);
        timed_out
    }
    /// Wakes those who wait for `key`: all or one of them.
    pub fn wake(&self, key: usize, all: bool) {
        let mut s = self.lock();
        let waits = |t: &Task| matches!(t.status, Status::Blocked { key: k, .. } if k == key);
        let waiting = s.tasks.iter().filter(|t| waits(t)).count();
        if waiting == 0 {
            return;
        }
        let only = if all { None } else { Some(s.next_random() as usize % waiting) };
        for (i, t) in s.tasks.iter_mut().filter(|t| waits(t)).enumerate() {
            if only.is_none_or(|n| n == i) {
                t.status = Status::Runnable;
            }
        }
    }
    pub fn now(&self) -> Duration {
        self.lock().now
    }
    pub fn random(&self) -> u64 {
        self.lock().next_random()
    }
    /// Adds something that happened to the hash.
    pub fn note(&self, event: u64) {
        self.lock().note(event);
    }
    pub fn is_stopped(&self) -> bool {
        self.lock().stopped.is_some()
    }
    /// Ends the simulation; the calling task unwinds at once, unless it is unwinding already.
    pub fn stop(&self, why: Outcome<()>) {
        let mut s = self.lock();
        s.stop(why);
        Self::unwind_if_stopped(s);
    }
    /// Parks a task that can neither go on nor unwind.
    pub fn bury(&self, me: usize) -> ! {
        let mut s = self.lock();
        s.tasks[me].status = Status::Done;
        s = self.switch(s, me);
        drop(s);
        loop {
            thread::park();
        }
    }

    /// Starts a thread for a task; it runs when it gets the baton.
    pub fn spawn<T: Send + 'static>(
        self: &Arc<Self>,
        name: &str,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> (usize, Arc<Mutex<Option<Result<T, String>>>>) {
        let result = Arc::new(Mutex::new(None));
        let mut s = self.lock();
        let me = s.tasks.len();
        s.tasks.push(Task {
            name: name.into(),
            status: Status::Runnable,
            baton: Arc::new(Condvar::new()),
            timed_out: false,
        });
        drop(s);
        let (world, out) = (self.clone(), result.clone());
        let builder = thread::Builder::new().name(name.into()).stack_size(STACK);
        builder.spawn(move || world.run(me, f, &out)).expect("out of threads");
        (me, result)
    }

    fn run<T>(self: Arc<Self>, me: usize, f: impl FnOnce() -> T, out: &Mutex<Option<Result<T, String>>>) {
        CURRENT.with(|c| *c.borrow_mut() = Some((self.clone(), me)));
        let mut s = self.lock();
        let baton = s.tasks[me].baton.clone();
        while s.over || s.running != me {
            s = baton.wait(s).unwrap_or_else(PoisonError::into_inner);
        }
        let stopped = s.stopped.is_some();
        drop(s);
        // A task that never began is dropped in here too: what it owns may meet the end of the simulation as it goes.
        let begun = move || if stopped { None } else { Some(f()) };
        let done = match catch_unwind(AssertUnwindSafe(begun)) {
            Ok(v) => v.map(Ok),
            Err(p) if p.is::<PowerCut>() => None,
            Err(p) => Some(Err(message(&*p))),
        };
        CURRENT.with(|c| *c.borrow_mut() = None);
        let mut s = self.lock();
        if let Some(Err(m)) = &done
            && me != 0
        {
            s.panics.push(m.clone());
        }
        *out.lock().unwrap_or_else(PoisonError::into_inner) = done;
        s.tasks[me].status = Status::Done;
        let key = join_key(me);
        for t in s.tasks.iter_mut() {
            if matches!(t.status, Status::Blocked { key: k, .. } if k == key) {
                t.status = Status::Runnable;
            }
        }
        if me == 0 {
            s.stop(Outcome::Finished(()));
        }
        drop(self.switch(s, me));
    }
}

/// What one waits for who joins a task. Not the address of anything.
pub(crate) fn join_key(task: usize) -> usize {
    usize::MAX - task
}

pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|s| String::from(*s))
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| String::from("panic"))
}

/// Runs `f` as the first task of a machine whose every choice follows from `seed`.
pub fn simulate<T: Send + 'static>(seed: u64, f: impl FnOnce() -> T + Send + 'static) -> Report<T> {
    simulate_with(seed, None, f)
}

/// Is this mistake planted in the simulation that the caller runs in?
pub fn planted(bug: Bug) -> bool {
    current().is_some_and(|(world, _)| world.bug == Some(bug))
}

/// As [`simulate`], with a mistake planted in the engine.
pub fn simulate_with<T: Send + 'static>(
    seed: u64,
    bug: Option<Bug>,
    f: impl FnOnce() -> T + Send + 'static,
) -> Report<T> {
    let world = Arc::new(World {
        bug,
        state: Mutex::new(State {
            random: seed,
            now: Duration::from_secs(1),
            tasks: Vec::new(),
            // No one until everything is set up.
            running: usize::MAX,
            hash: seed,
            stopped: None,
            over: false,
            panics: Vec::new(),
        }),
        ended: Condvar::new(),
    });
    let (_, result) = world.spawn("main", f);
    let mut s = world.lock();
    s.running = 0;
    s.tasks[0].baton.notify_one();
    while !s.over {
        s = world.ended.wait(s).unwrap_or_else(PoisonError::into_inner);
    }
    let value = result.lock().unwrap_or_else(PoisonError::into_inner).take();
    let outcome = match (s.stopped.take(), value) {
        (Some(Outcome::Finished(())), Some(Ok(v))) => Outcome::Finished(v),
        (_, Some(Err(m))) => Outcome::Panicked(m),
        (Some(Outcome::Fatal(why)), _) => Outcome::Fatal(why),
        (Some(Outcome::Deadlock(who)), _) => Outcome::Deadlock(who),
        _ => Outcome::PowerCut,
    };
    Report { outcome, hash: s.hash, elapsed: s.now, panics: core::mem::take(&mut s.panics) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::{power, task};

    /// Looks at the world as it goes.
    struct Lingers;

    impl Drop for Lingers {
        fn drop(&mut self) {
            task::yield_now();
        }
    }

    #[test]
    fn a_task_that_never_began_does_not_hold_up_the_end() {
        for seed in 0..50 {
            let report = simulate(seed, || {
                let owned = Lingers;
                let _ = task::spawn("late", move || drop(owned));
                power::cut();
            });
            assert_eq!(report.outcome, Outcome::PowerCut, "seed {seed}");
        }
    }
}
