//! Locks on objects and advisory locks.

use alloc::vec::Vec;

use hashbrown::HashMap;
use pg_page::StorageError;
use platform::sync::Mutex;

use crate::{
    manager::TransactionManager,
    waits::{OwnerId, WaitOptions},
};

const PARTITIONS: usize = 16;

/// PostgreSQL's relation lock modes, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum LockMode {
    /// SELECT.
    AccessShare,
    /// SELECT FOR UPDATE and the like.
    RowShare,
    /// INSERT, UPDATE, DELETE.
    RowExclusive,
    /// VACUUM, ANALYZE, CREATE INDEX CONCURRENTLY.
    ShareUpdateExclusive,
    /// CREATE INDEX.
    Share,
    /// CREATE TRIGGER and the like.
    ShareRowExclusive,
    /// REFRESH MATERIALIZED VIEW CONCURRENTLY.
    Exclusive,
    /// DROP, TRUNCATE, most ALTER TABLE.
    AccessExclusive,
}

impl LockMode {
    /// The modes that conflict with this one, as bits.
    const fn conflicts(self) -> u8 {
        match self {
            Self::AccessShare => 0b1000_0000,
            Self::RowShare => 0b1100_0000,
            Self::RowExclusive => 0b1111_0000,
            Self::ShareUpdateExclusive => 0b1111_1000,
            Self::Share => 0b1110_1100,
            Self::ShareRowExclusive => 0b1111_1100,
            Self::Exclusive => 0b1111_1110,
            Self::AccessExclusive => 0b1111_1111,
        }
    }
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What a lock is on. The meaning of the numbers is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockTag {
    /// A catalog object by OID (a table's lock is on its OID, not on its storage).
    Object(u32),
    /// An advisory lock: class and key.
    Advisory(u64, u64),
}

#[derive(Default)]
struct Entry {
    /// Holder and the modes it holds, as bits.
    granted: Vec<(OwnerId, u8)>,
    /// Those who wait, first come first.
    queue: Vec<(OwnerId, LockMode)>,
}

impl Entry {
    /// Who stands in the way of `me`: holders, and those who came before with a conflicting wish.
    fn in_the_way(&self, me: OwnerId, mode: LockMode) -> Vec<OwnerId> {
        let mask = mode.conflicts();
        let holders = self.granted.iter().filter(|(o, held)| *o != me && held & mask != 0).map(|(o, _)| *o);
        // Who already holds a lock here goes first, or upgrades would wait behind those who wait for them.
        let queued = self
            .queue
            .iter()
            .take_while(|(o, _)| *o != me)
            .filter(|(_, wanted)| wanted.bit() & mask != 0 && !self.granted.iter().any(|(o, _)| *o == me))
            .map(|(o, _)| *o);
        holders.chain(queued).collect()
    }

    fn grant(&mut self, me: OwnerId, mode: LockMode) {
        self.queue.retain(|(o, _)| *o != me);
        match self.granted.iter_mut().find(|(o, _)| *o == me) {
            Some((_, held)) => *held |= mode.bit(),
            None => self.granted.push((me, mode.bit())),
        }
    }
}

#[derive(Default)]
pub(crate) struct LockTable {
    partitions: [Mutex<HashMap<LockTag, Entry>>; PARTITIONS],
}

impl LockTable {
    fn partition(&self, tag: LockTag) -> &Mutex<HashMap<LockTag, Entry>> {
        let hash = match tag {
            LockTag::Object(oid) => oid as usize,
            LockTag::Advisory(class, key) => class.wrapping_mul(31).wrapping_add(key) as usize,
        };
        &self.partitions[hash % PARTITIONS]
    }

    /// One attempt. True: granted.
    fn attempt(&self, me: OwnerId, tag: LockTag, mode: LockMode, queue: bool) -> bool {
        let mut p = self.partition(tag).lock();
        let e = p.entry(tag).or_default();
        if e.in_the_way(me, mode).is_empty() {
            e.grant(me, mode);
            return true;
        }
        if queue && !e.queue.iter().any(|(o, _)| *o == me) {
            e.queue.push((me, mode));
        }
        false
    }

    fn in_the_way(&self, me: OwnerId, tag: LockTag, mode: LockMode) -> Vec<OwnerId> {
        self.partition(tag).lock().get(&tag).map_or_else(Vec::new, |e| e.in_the_way(me, mode))
    }

    fn leave_queue(&self, me: OwnerId, tag: LockTag) {
        let mut p = self.partition(tag).lock();
        if let Some(e) = p.get_mut(&tag) {
            e.queue.retain(|(o, _)| *o != me);
            if e.granted.is_empty() && e.queue.is_empty() {
                p.remove(&tag);
            }
        }
    }

    pub fn release(&self, me: OwnerId, tag: LockTag, mode: LockMode) {
        let mut p = self.partition(tag).lock();
        let Some(e) = p.get_mut(&tag) else { return };
        if let Some(i) = e.granted.iter().position(|(o, _)| *o == me) {
            let left = e.granted.get_mut(i).map_or(0, |(_, held)| {
                *held &= !mode.bit();
                *held
            });
            if left == 0 {
                e.granted.swap_remove(i);
            }
        }
        if e.granted.is_empty() && e.queue.is_empty() {
            p.remove(&tag);
        }
    }
}

impl TransactionManager {
    /// Takes a lock. Without `wait`, false if others stand in the way.
    pub(crate) fn lock(
        &self,
        me: OwnerId,
        tag: LockTag,
        mode: LockMode,
        wait: Option<&WaitOptions>,
    ) -> Result<bool, StorageError> {
        loop {
            if self.locks.attempt(me, tag, mode, wait.is_some()) {
                return Ok(true);
            }
            let Some(options) = wait else { return Ok(false) };
            let waited = self.waits.wait(me, options, || self.locks.in_the_way(me, tag, mode));
            if let Err(e) = waited {
                self.locks.leave_queue(me, tag);
                // Those behind in the queue may go on.
                self.waits.released(me);
                return Err(e);
            }
        }
    }
}
