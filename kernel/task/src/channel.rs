//! A bounded channel: many senders, many receivers, first in, first out.

use crate::sync::{Condvar, Mutex};
use alloc::{collections::VecDeque, sync::Arc};
use core::{fmt, time::Duration};

struct State<T> {
    queue: VecDeque<T>,
    senders: usize,
    receivers: usize,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    capacity: usize,
    not_empty: Condvar,
    not_full: Condvar,
}

/// The end that sends. Clones send to the same channel.
pub struct Sender<T>(Arc<Shared<T>>);
/// The end that receives. Clones compete for the values.
pub struct Receiver<T>(Arc<Shared<T>>);

/// All receivers are gone; the value comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnected<T>(pub T);

/// Why nothing was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveError {
    /// Nothing there now, or nothing came in time.
    Empty,
    /// Nothing there, and all senders are gone.
    Disconnected,
}

/// A channel that holds up to `capacity` values (at least one).
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let capacity = capacity.max(1);
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            queue: VecDeque::with_capacity(capacity.min(64)),
            senders: 1,
            receivers: 1,
        }),
        capacity,
        not_empty: Condvar::new(),
        not_full: Condvar::new(),
    });
    (Sender(shared.clone()), Receiver(shared))
}

impl<T> Sender<T> {
    /// Waits for room and appends the value.
    pub fn send(&self, value: T) -> Result<(), Disconnected<T>> {
        let mut state = self.0.state.lock();
        while state.queue.len() >= self.0.capacity && state.receivers > 0 {
            state = self.0.not_full.wait(state);
        }
        if state.receivers == 0 {
            return Err(Disconnected(value));
        }
        state.queue.push_back(value);
        drop(state);
        self.0.not_empty.notify_one();
        Ok(())
    }
    /// Appends the value if there is room now; otherwise it comes back.
    pub fn try_send(&self, value: T) -> Result<(), T> {
        let mut state = self.0.state.lock();
        if state.receivers == 0 || state.queue.len() >= self.0.capacity {
            return Err(value);
        }
        state.queue.push_back(value);
        drop(state);
        self.0.not_empty.notify_one();
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// Waits for a value; `Disconnected` once the channel is empty and all senders are gone.
    pub fn receive(&self) -> Result<T, ReceiveError> {
        let mut state = self.0.state.lock();
        loop {
            if let Some(value) = state.queue.pop_front() {
                drop(state);
                self.0.not_full.notify_one();
                return Ok(value);
            }
            if state.senders == 0 {
                return Err(ReceiveError::Disconnected);
            }
            state = self.0.not_empty.wait(state);
        }
    }
    /// A value if one is there now.
    pub fn try_receive(&self) -> Result<T, ReceiveError> {
        let mut state = self.0.state.lock();
        match state.queue.pop_front() {
            Some(value) => {
                drop(state);
                self.0.not_full.notify_one();
                Ok(value)
            }
            None if state.senders == 0 => Err(ReceiveError::Disconnected),
            None => Err(ReceiveError::Empty),
        }
    }
    /// As [`Self::receive`], for at most `limit`.
    pub fn receive_timeout(&self, limit: Duration) -> Result<T, ReceiveError> {
        let deadline = crate::time::monotonic() + limit;
        let mut state = self.0.state.lock();
        loop {
            if let Some(value) = state.queue.pop_front() {
                drop(state);
                self.0.not_full.notify_one();
                return Ok(value);
            }
            if state.senders == 0 {
                return Err(ReceiveError::Disconnected);
            }
            let left = deadline.saturating_sub(crate::time::monotonic());
            if left.is_zero() {
                return Err(ReceiveError::Empty);
            }
            state = self.0.not_empty.wait_timeout(state, left).0;
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().senders += 1;
        Self(self.0.clone())
    }
}
impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().receivers += 1;
        Self(self.0.clone())
    }
}
impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.senders -= 1;
        if state.senders == 0 {
            drop(state);
            self.0.not_empty.notify_all();
        }
    }
}
impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.receivers -= 1;
        if state.receivers == 0 {
            drop(state);
            self.0.not_full.notify_all();
        }
    }
}
impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}
impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_capacity_and_disconnection() {
        let (tx, rx) = bounded(2);
        assert_eq!(rx.try_receive(), Err(ReceiveError::Empty));
        assert_eq!(tx.send(1), Ok(()));
        let other = tx.clone();
        assert_eq!(other.try_send(2), Ok(()));
        drop(other);
        assert_eq!(tx.try_send(3), Err(3));
        assert_eq!(rx.receive(), Ok(1));
        drop(tx);
        assert_eq!(rx.receive(), Ok(2));
        assert_eq!(rx.receive(), Err(ReceiveError::Disconnected));
        let (tx, rx) = bounded(1);
        drop(rx);
        assert_eq!(tx.send(1), Err(Disconnected(1)));
    }
}
