//! Locks that wait by parking the task: the same types and methods as the hosted platform's. None of them poisons.
//!
//! A free lock costs one atomic operation to take and one to release. A taken one is tried again a few times (the
//! holder may be about to release it on another core) before the task parks.

use crate::{
    WaitQueue,
    scheduler::{self, current_core},
    time,
};
use core::{
    cell::UnsafeCell,
    fmt, hint,
    marker::PhantomData,
    mem::MaybeUninit,
    ops::{Deref, DerefMut},
    sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering},
    time::Duration,
};

/// Attempts before parking.
const SPINS: u32 = 32;

fn spins() -> u32 {
    if scheduler::core_count() > 1 { SPINS } else { 0 }
}

const UNLOCKED: u32 = 0;
const LOCKED: u32 = 1;
/// Locked, and someone may be waiting.
const CONTENDED: u32 = 2;

/// Mutual exclusion.
pub struct Mutex<T: ?Sized> {
    state: AtomicU32,
    waiters: WaitQueue,
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives out the value to one holder at a time, which is like sending it there.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

/// Holds a [`Mutex`]; releases it on drop.
pub struct MutexGuard<'a, T: ?Sized> {
    lock: &'a Mutex<T>,
    /// Send and Sync as the exclusive reference it stands for.
    marker: PhantomData<&'a mut T>,
}

impl<T> Mutex<T> {
    /// A free lock.
    pub const fn new(value: T) -> Self {
        Self { state: AtomicU32::new(UNLOCKED), waiters: WaitQueue::new(), value: UnsafeCell::new(value) }
    }
    /// The value, consuming the lock.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        if self.state.compare_exchange(UNLOCKED, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.lock_slow();
        }
        MutexGuard { lock: self, marker: PhantomData }
    }

    #[cold]
    fn lock_slow(&self) {
        for _ in 0..spins() {
            if self.state.load(Ordering::Relaxed) == UNLOCKED
                && self.state.compare_exchange(UNLOCKED, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok()
            {
                return;
            }
            hint::spin_loop();
        }
        // Whoever gets the lock here leaves it marked contended: others may still wait.
        while self.state.swap(CONTENDED, Ordering::Acquire) != UNLOCKED {
            self.waiters.wait_if(|| self.state.load(Ordering::SeqCst) == CONTENDED, None);
        }
    }

    /// The lock if it is free now.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.state
            .compare_exchange(UNLOCKED, LOCKED, Ordering::Acquire, Ordering::Relaxed)
            .ok()
            .map(|_| MutexGuard { lock: self, marker: PhantomData })
    }
    /// Access without locking: the borrow proves there is no other user.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    #[inline]
    fn unlock(&self) {
        if self.state.swap(UNLOCKED, Ordering::SeqCst) == CONTENDED {
            self.waiters.notify_one();
        }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.unlock();
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        unsafe { &*self.lock.value.get() }
    }
}
impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock and is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(g) => f.debug_tuple("Mutex").field(&&*g).finish(),
            None => f.write_str("Mutex(<locked>)"),
        }
    }
}
impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

const WRITER: u32 = 1 << 30;
/// Someone waits: new readers wait behind them, so that writers get their turn.
const WAITERS: u32 = 1 << 31;
const READERS: u32 = WRITER - 1;

/// Many readers or one writer.
pub struct RwLock<T: ?Sized> {
    state: AtomicU32,
    waiters: WaitQueue,
    value: UnsafeCell<T>,
}

// SAFETY: a writer moves the value between tasks (Send); readers share it (Sync).
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

/// Shared access; released on drop.
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    marker: PhantomData<&'a T>,
}

/// Exclusive access; released on drop.
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    marker: PhantomData<&'a mut T>,
}

impl<T> RwLock<T> {
    /// A free lock.
    pub const fn new(value: T) -> Self {
        Self { state: AtomicU32::new(0), waiters: WaitQueue::new(), value: UnsafeCell::new(value) }
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits for shared access.
    #[inline]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.acquire(Self::take_shared);
        RwLockReadGuard { lock: self, marker: PhantomData }
    }
    /// Waits for exclusive access.
    #[inline]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.acquire(Self::take_exclusive);
        RwLockWriteGuard { lock: self, marker: PhantomData }
    }
    /// Shared access if it is to be had now.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.take_shared().then(|| RwLockReadGuard { lock: self, marker: PhantomData })
    }
    /// Exclusive access if it is to be had now.
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.take_exclusive().then(|| RwLockWriteGuard { lock: self, marker: PhantomData })
    }

    #[inline]
    fn take_shared(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while state & (WRITER | WAITERS) == 0 {
            match self.state.compare_exchange_weak(state, state + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    #[inline]
    fn take_exclusive(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while state & (WRITER | READERS) == 0 {
            match self.state.compare_exchange_weak(
                state,
                state | WRITER,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    #[inline]
    fn acquire(&self, take: fn(&Self) -> bool) {
        if !take(self) {
            self.acquire_slow(take);
        }
    }

    #[cold]
    fn acquire_slow(&self, take: fn(&Self) -> bool) {
        for _ in 0..spins() {
            if take(self) {
                return;
            }
            hint::spin_loop();
        }
        loop {
            // Under the queue's lock: while someone holds the lock, say that we wait. The holder's release sees the
            // mark, and comes to the queue's lock after us.
            let held = || {
                let mut state = self.state.load(Ordering::SeqCst);
                while state & (WRITER | READERS) != 0 {
                    let marked = state | WAITERS;
                    match self.state.compare_exchange_weak(state, marked, Ordering::SeqCst, Ordering::SeqCst)
                    {
                        Ok(_) => return true,
                        Err(now) => state = now,
                    }
                }
                // Free. A mark without a holder is stale (its waiters were all woken): remove it, or readers would
                // refuse to enter.
                self.state.fetch_and(!WAITERS, Ordering::SeqCst);
                false
            };
            self.waiters.wait_if(held, None);
            if take(self) {
                return;
            }
        }
    }

    #[inline]
    fn release(&self, what: u32) {
        let before = self.state.fetch_sub(what, Ordering::SeqCst);
        if before & WAITERS != 0 && (before - what) & (WRITER | READERS) == 0 {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        // The mark goes first: waiters that come from now on set it again. All who wait are woken and compete.
        self.state.fetch_and(!WAITERS, Ordering::SeqCst);
        self.waiters.notify_all();
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.release(1);
    }
}
impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.release(WRITER);
    }
}
impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock shared, so there is no writer.
        unsafe { &*self.lock.value.get() }
    }
}
impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock exclusively.
        unsafe { &*self.lock.value.get() }
    }
}
impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock exclusively and is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}
impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_read() {
            Some(g) => f.debug_tuple("RwLock").field(&&*g).finish(),
            None => f.write_str("RwLock(<locked>)"),
        }
    }
}
impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// A condition variable for use with [`Mutex`]. Wake-ups may be spurious.
#[derive(Debug, Default)]
pub struct Condvar {
    /// Counts notifications: a waiter that sees it move between joining and parking does not park.
    notified: AtomicUsize,
    waiters: WaitQueue,
}

impl Condvar {
    /// No one waits.
    pub const fn new() -> Self {
        Self { notified: AtomicUsize::new(0), waiters: WaitQueue::new() }
    }
    /// Releases the lock, waits for a notification, takes the lock again.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.wait_deadline(guard, None).0
    }
    /// As `wait`, for at most `limit`. The flag says whether the limit passed.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> (MutexGuard<'a, T>, bool) {
        self.wait_deadline(guard, Some(time::deadline(limit)))
    }

    fn wait_deadline<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<u64>,
    ) -> (MutexGuard<'a, T>, bool) {
        let lock = guard.lock;
        let seen = self.notified.load(Ordering::SeqCst);
        drop(guard);
        let woken = self.waiters.wait_if(|| self.notified.load(Ordering::SeqCst) == seen, deadline);
        let late = !woken && deadline.is_some_and(|d| time::ticks() >= d);
        (lock.lock(), late)
    }

    /// Wakes one waiter.
    pub fn notify_one(&self) {
        self.notified.fetch_add(1, Ordering::SeqCst);
        self.waiters.notify_one();
    }
    /// Wakes all waiters.
    pub fn notify_all(&self) {
        self.notified.fetch_add(1, Ordering::SeqCst);
        self.waiters.notify_all();
    }
}

const EMPTY: u8 = 0;
const BUSY: u8 = 1;
const SET: u8 = 2;

/// A value computed once.
pub struct OnceLock<T> {
    state: AtomicU8,
    waiters: WaitQueue,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: the value moves in from one task and out by drop on another (Send) and is shared once set (Sync).
unsafe impl<T: Send> Send for OnceLock<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

/// Puts the cell back to empty when the computation of its value panics.
struct Computing<'a, T>(&'a OnceLock<T>);

impl<T> Drop for Computing<'_, T> {
    fn drop(&mut self) {
        let _ = self.0.state.compare_exchange(BUSY, EMPTY, Ordering::SeqCst, Ordering::SeqCst);
        self.0.waiters.notify_all();
    }
}

impl<T> OnceLock<T> {
    /// Empty.
    pub const fn new() -> Self {
        Self {
            state: AtomicU8::new(EMPTY),
            waiters: WaitQueue::new(),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }
    /// The value if it was set.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        if self.state.load(Ordering::Acquire) != SET {
            return None;
        }
        // SAFETY: once set, the value stays until the cell is dropped.
        Some(unsafe { (*self.value.get()).assume_init_ref() })
    }
    /// Sets the value; gives it back if one was there.
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init_with(|| value.take());
        value.map_or(Ok(()), Err)
    }
    /// The value, computed now if it was not there. `f` must not recurse into the same cell.
    #[inline]
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> &T {
        match self.get() {
            Some(value) => value,
            None => self.init(f),
        }
    }

    #[cold]
    fn init(&self, f: impl FnOnce() -> T) -> &T {
        let mut f = Some(f);
        loop {
            self.get_or_init_with(|| f.take().map(|f| f()));
            if let Some(value) = self.get() {
                return value;
            }
        }
    }

    fn get_or_init_with(&self, f: impl FnOnce() -> Option<T>) {
        loop {
            match self.state.compare_exchange(EMPTY, BUSY, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => break,
                Err(SET) => return,
                Err(_) => self.waiters.wait_until(|| self.state.load(Ordering::SeqCst) != BUSY),
            }
        }
        let computing = Computing(self);
        if let Some(value) = f() {
            // SAFETY: the state "busy" makes this task the only one that touches the value.
            unsafe { (*self.value.get()).write(value) };
            self.state.store(SET, Ordering::SeqCst);
        }
        drop(computing);
    }
}

impl<T> Drop for OnceLock<T> {
    fn drop(&mut self) {
        if *self.state.get_mut() == SET {
            // SAFETY: set, and dropped once.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}
impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceLock").field(&self.get()).finish()
    }
}
impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// One value per core, to spread what would otherwise be contended. The core is only a hint, so each value has its
/// own lock.
#[derive(Debug)]
pub struct PerCore<T>(alloc::boxed::Box<[Mutex<T>]>);

impl<T> PerCore<T> {
    /// A value for each core, made by `f`.
    pub fn new(mut f: impl FnMut(usize) -> T) -> Self {
        Self((0..scheduler::core_count().max(1)).map(|i| Mutex::new(f(i))).collect())
    }
    /// Locks this core's value.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0[current_core() % self.0.len()].lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    // Only paths that do not wait: tasks do not exist on the host. Contention is tested in the booted kernel.

    #[test]
    fn mutex_excludes_and_releases() {
        let m = Mutex::new(1);
        {
            let mut g = m.lock();
            *g += 1;
            assert!(m.try_lock().is_none());
        }
        assert_eq!(*m.lock(), 2);
        assert_eq!(m.into_inner(), 2);
    }

    #[test]
    fn rwlock_counts_readers() {
        let l = RwLock::new(5);
        let a = l.read();
        let b = l.try_read();
        assert!(b.is_some());
        assert!(l.try_write().is_none());
        drop((a, b));
        *l.write() += 1;
        assert_eq!(*l.read(), 6);
        let w = l.try_write();
        assert!(w.is_some());
        assert!(l.try_read().is_none());
    }

    #[test]
    fn once_lock_keeps_the_first_value_and_drops_it_once() {
        let c = OnceLock::new();
        assert_eq!(c.get(), None);
        assert_eq!(c.set(Arc::new(1)), Ok(()));
        assert_eq!(c.set(Arc::new(2)), Err(Arc::new(2)));
        let v = c.get_or_init(|| Arc::new(3)).clone();
        assert_eq!(*v, 1);
        drop(c);
        assert_eq!(Arc::strong_count(&v), 1);
    }
}
