//! The connections: a slab, a hash index over four-tuples, and the timers.

use crate::{config::SMALL, packet::FlowKey};
use alloc::{
    boxed::Box,
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    vec::Vec,
};
use foldhash::{SharedSeed, quality::SeedableRandomState};
use hashbrown::HashMap;
use platform::{net::ReadyHook, sync::Condvar};
use smoltcp::{
    iface::{SocketHandle, SocketSet},
    socket::tcp,
    time::Instant,
};

/// Where a connection stands between the network and its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The handshake is not done.
    HalfOpen,
    /// Waits for `accept`.
    Pending,
    /// A stream handle exists.
    Accepted,
    /// The handle is gone; what is queued is still delivered.
    Orphan,
}

/// Tasks waiting for a connection.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    pub readable: Condvar,
    pub writable: Condvar,
}

/// A socket with its buffers, in a set of its own so that smoltcp never sees any other.
pub(crate) struct Endpoint {
    pub set: SocketSet<'static>,
    pub handle: SocketHandle,
    /// Bytes its buffers take.
    pub cost: usize,
}

impl Endpoint {
    pub fn socket(&self) -> &tcp::Socket<'static> {
        self.set.get(self.handle)
    }
    pub fn socket_mut(&mut self) -> &mut tcp::Socket<'static> {
        self.set.get_mut(self.handle)
    }
}

pub(crate) struct Conn {
    pub end: Endpoint,
    pub key: FlowKey,
    pub listener: u32,
    pub phase: Phase,
    /// Past the memory limit: accepted only to be told so.
    pub refused: bool,
    /// In the hash index (it leaves when the socket closes, even if a handle still reads what is buffered).
    pub mapped: bool,
    pub hook: Option<Arc<dyn ReadyHook>>,
    pub waits: Arc<Waits>,
    pub readers: u32,
    pub writers: u32,
    /// It is in the queue of those that an acknowledgement is held back for.
    pub held: bool,
    /// What came was not acknowledged since, and is to be by then.
    pub owes: Option<Instant>,
    /// Our place in the timer set.
    pub timer_at: Option<Instant>,
    /// When the stack loses patience (handshake, orphan).
    pub deadline: Option<Instant>,
    /// In the queue of closed connections that may be forgotten.
    pub time_wait: bool,
}

impl Conn {
    /// Nothing is to be sent, nor to be told to anyone but a reader, and a timer covers what may come of it.
    pub fn is_quiet(&self) -> bool {
        let socket = self.end.socket();
        self.phase == Phase::Accepted
            && self.writers == 0
            && self.timer_at.is_some()
            && socket.state() == tcp::State::Established
            && socket.send_queue() == 0
            && socket.recv_queue() <= SMALL
    }
}

/// Names a connection; stale once the connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnId {
    pub slot: u32,
    pub generation: u32,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    conn: Option<Box<Conn>>,
}

pub(crate) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    index: HashMap<FlowKey, u32, SeedableRandomState>,
    timers: BTreeSet<(Instant, u32)>,
    /// Acknowledgements that wait for an answer to ride on, and until when. All wait equally long: first come, first due.
    held: VecDeque<(Instant, ConnId)>,
}

impl Table {
    pub fn new(seed: u64) -> Self {
        // One stack lives as long as the machine; peers must not be able to guess which keys collide.
        let shared: &'static SharedSeed = Box::leak(Box::new(SharedSeed::from_u64(seed.rotate_left(32))));
        let hasher = SeedableRandomState::with_seed(seed, shared);
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashMap::with_hasher(hasher),
            timers: BTreeSet::new(),
            held: VecDeque::new(),
        }
    }

    /// Connections that segments are matched against.
    pub fn mapped(&self) -> usize {
        self.index.len()
    }

    pub fn insert(&mut self, conn: Conn) -> ConnId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            // 2^32 connections do not fit in memory.
            (self.slots.len() - 1) as u32
        });
        self.index.insert(conn.key, slot);
        let s = &mut self.slots[slot as usize];
        s.conn = Some(Box::new(conn));
        ConnId { slot, generation: s.generation }
    }

    pub fn find(&self, key: &FlowKey) -> Option<u32> {
        self.index.get(key).copied()
    }

    pub fn id(&self, slot: u32) -> ConnId {
        ConnId { slot, generation: self.slots.get(slot as usize).map_or(0, |s| s.generation) }
    }

    pub fn at(&mut self, slot: u32) -> Option<&mut Conn> {
        self.slots.get_mut(slot as usize)?.conn.as_deref_mut()
    }

    pub fn get(&mut self, id: ConnId) -> Option<&mut Conn> {
        let s = self.slots.get_mut(id.slot as usize)?;
        (s.generation == id.generation).then_some(s.conn.as_deref_mut()).flatten()
    }

    /// Takes the connection out of the hash index only.
    pub fn unmap(&mut self, slot: u32) {
        let Some(conn) = self.slots.get_mut(slot as usize).and_then(|s| s.conn.as_deref_mut()) else {
            return;
        };
        if core::mem::take(&mut conn.mapped) {
            self.index.remove(&conn.key);
        }
    }

    pub fn remove(&mut self, slot: u32) -> Option<Box<Conn>> {
        self.unmap(slot);
        let s = self.slots.get_mut(slot as usize)?;
        let conn = s.conn.take()?;
        s.generation = s.generation.wrapping_add(1);
        self.free.push(slot);
        if let Some(at) = conn.timer_at {
            self.timers.remove(&(at, slot));
        }
        Some(conn)
    }

    /// Makes sure the connection is looked at by `at`. An earlier timer stays: it finds the next one when it fires.
    pub fn arm(&mut self, slot: u32, at: Instant) {
        let Some(conn) = self.slots.get_mut(slot as usize).and_then(|s| s.conn.as_deref_mut()) else {
            return;
        };
        match conn.timer_at {
            Some(armed) if armed <= at => return,
            Some(armed) => {
                self.timers.remove(&(armed, slot));
            }
            None => {}
        }
        conn.timer_at = Some(at);
        self.timers.insert((at, slot));
    }

    /// The next connection whose time has come.
    pub fn expired(&mut self, now: Instant) -> Option<u32> {
        let &(at, slot) = self.timers.first()?;
        if at > now {
            return None;
        }
        self.timers.pop_first();
        if let Some(conn) = self.at(slot) {
            conn.timer_at = None;
        }
        Some(slot)
    }

    /// Notes that the connection owes an acknowledgement, due at `at`.
    pub fn hold(&mut self, slot: u32, at: Instant) {
        let id = self.id(slot);
        let Some(conn) = self.at(slot) else { return };
        conn.owes = Some(at);
        if !conn.held {
            conn.held = true;
            self.held.push_back((at, id));
        }
    }

    /// The next connection whose acknowledgement is due and was not sent with anything else.
    pub fn owing(&mut self, now: Instant) -> Option<u32> {
        loop {
            let &(at, id) = self.held.front()?;
            if at > now {
                return None;
            }
            self.held.pop_front();
            let Some(conn) = self.get(id) else { continue };
            conn.held = false;
            match conn.owes {
                None => {}
                Some(due) if due > now => {
                    conn.held = true;
                    self.held.push_back((due, id));
                }
                Some(_) => {
                    conn.owes = None;
                    return Some(id.slot);
                }
            }
        }
    }

    pub fn next_timer(&self) -> Option<Instant> {
        let held = self.held.front().map(|h| h.0);
        match (self.timers.first().map(|t| t.0), held) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Slots in use, for a walk over all connections (shutdown, statistics).
    pub fn occupied(&self) -> Vec<u32> {
        (0..).zip(&self.slots).filter(|(_, s)| s.conn.is_some()).map(|(i, _)| i).collect()
    }
}
