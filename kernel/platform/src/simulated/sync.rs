//! Locks whose every use is a point where another task may go on. None of them poisons.

use core::{
    ops::{Deref, DerefMut},
    time::Duration,
};
use std::sync::{PoisonError, TryLockError};

use super::world::{World, current};

fn key_of<T: ?Sized>(lock: &T) -> usize {
    core::ptr::from_ref(lock).cast::<u8>().addr()
}

/// Takes a lock by trying: blocks the task in between, or the thread outside of simulations.
fn acquire<G>(key: usize, attempt: impl Fn() -> Option<G>) -> G {
    match current() {
        None => loop {
            if let Some(g) = attempt() {
                return g;
            }
            std::thread::yield_now();
        },
        Some((world, me)) => {
            world.preempt(me);
            loop {
                if let Some(g) = attempt() {
                    return g;
                }
                world.block(me, key, None);
            }
        }
    }
}

fn release(key: usize) {
    if let Some((world, _)) = current() {
        World::wake(&world, key, true);
    }
}

/// Mutual exclusion.
#[derive(Debug, Default)]
pub struct Mutex<T: ?Sized>(std::sync::Mutex<T>);

/// Holds a [`Mutex`]; releases it on drop.
#[derive(Debug)]
pub struct MutexGuard<'a, T: ?Sized> {
    // Taken only by drop and by waiting.
    guard: Option<std::sync::MutexGuard<'a, T>>,
    lock: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    /// A free lock.
    pub const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }
    /// The value, consuming the lock.
    pub fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Mutex<T> {
    fn attempt(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(g) => Some(MutexGuard { guard: Some(g), lock: self }),
            Err(TryLockError::Poisoned(p)) => Some(MutexGuard { guard: Some(p.into_inner()), lock: self }),
            Err(TryLockError::WouldBlock) => None,
        }
    }
    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        acquire(key_of(&self.0), || self.attempt())
    }
    /// The lock if it is free now.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.attempt()
    }
    /// Access without locking: the borrow proves there is no other user.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.guard.as_ref().expect("guard is whole")
    }
}
impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect("guard is whole")
    }
}
impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.guard.take().is_some() {
            release(key_of(&self.lock.0));
        }
    }
}

/// Many readers or one writer.
#[derive(Debug, Default)]
pub struct RwLock<T: ?Sized>(std::sync::RwLock<T>);

/// Shared access; released on drop.
#[derive(Debug)]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    guard: Option<std::sync::RwLockReadGuard<'a, T>>,
    lock: &'a RwLock<T>,
}

/// Exclusive access; released on drop.
#[derive(Debug)]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    guard: Option<std::sync::RwLockWriteGuard<'a, T>>,
    lock: &'a RwLock<T>,
}

impl<T> RwLock<T> {
    /// A free lock.
    pub const fn new(value: T) -> Self {
        Self(std::sync::RwLock::new(value))
    }
}

impl<T: ?Sized> RwLock<T> {
    fn attempt_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        let guard = match self.0.try_read() {
            Ok(g) => g,
            Err(TryLockError::Poisoned(p)) => p.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(RwLockReadGuard { guard: Some(guard), lock: self })
    }
    fn attempt_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        let guard = match self.0.try_write() {
            Ok(g) => g,
            Err(TryLockError::Poisoned(p)) => p.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(RwLockWriteGuard { guard: Some(guard), lock: self })
    }
    /// Waits for shared access.
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        acquire(key_of(&self.0), || self.attempt_read())
    }
    /// Waits for exclusive access.
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        acquire(key_of(&self.0), || self.attempt_write())
    }
    /// Shared access if it is to be had now.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.attempt_read()
    }
    /// Exclusive access if it is to be had now.
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.attempt_write()
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.guard.as_ref().expect("guard is whole")
    }
}
impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        if self.guard.take().is_some() {
            release(key_of(&self.lock.0));
        }
    }
}
impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.guard.as_ref().expect("guard is whole")
    }
}
impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect("guard is whole")
    }
}
impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        if self.guard.take().is_some() {
            release(key_of(&self.lock.0));
        }
    }
}

/// A condition variable for use with [`Mutex`]. Wake-ups may be spurious.
#[derive(Debug, Default)]
pub struct Condvar(std::sync::Condvar);

impl Condvar {
    /// No one waits.
    pub const fn new() -> Self {
        Self(std::sync::Condvar::new())
    }
    /// Releases the lock, waits for a notification, takes the lock again.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.wait_for(guard, None).0
    }
    /// As `wait`, for at most `limit`. The flag says whether the limit passed.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> (MutexGuard<'a, T>, bool) {
        self.wait_for(guard, Some(limit))
    }
    fn wait_for<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Option<Duration>,
    ) -> (MutexGuard<'a, T>, bool) {
        let lock = guard.lock;
        let Some((world, me)) = current() else {
            let inner = guard.guard.take().expect("guard is whole");
            let limit = limit.unwrap_or(Duration::from_secs(3600));
            let (g, t) = self.0.wait_timeout(inner, limit).unwrap_or_else(PoisonError::into_inner);
            return (MutexGuard { guard: Some(g), lock }, t.timed_out());
        };
        // No other task runs before this one blocks: nothing is missed in between.
        drop(guard);
        let timed_out = world.block(me, key_of(self), limit);
        (lock.lock(), timed_out)
    }
    /// Wakes one waiter.
    pub fn notify_one(&self) {
        match current() {
            Some((world, _)) => World::wake(&world, key_of(self), false),
            None => self.0.notify_one(),
        }
    }
    /// Wakes all waiters.
    pub fn notify_all(&self) {
        match current() {
            Some((world, _)) => World::wake(&world, key_of(self), true),
            None => self.0.notify_all(),
        }
    }
}

/// A value computed once.
#[derive(Debug, Default)]
pub struct OnceLock<T>(std::sync::OnceLock<T>);

impl<T> OnceLock<T> {
    /// Empty.
    pub const fn new() -> Self {
        Self(std::sync::OnceLock::new())
    }
    /// The value if it was set.
    pub fn get(&self) -> Option<&T> {
        self.0.get()
    }
    /// Sets the value; gives it back if one was there.
    pub fn set(&self, value: T) -> Result<(), T> {
        self.0.set(value)
    }
    /// The value, computed now if it was not there. `f` must not recurse into the same cell, nor wait.
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> &T {
        self.0.get_or_init(f)
    }
}
