//! Locks on objects and advisory locks.

use alloc::vec::Vec;

use hashbrown::HashMap;
use pg_page::{StorageError, WaitsFor};
use platform::sync::Mutex;

use crate::{
    manager::TransactionManager,
    waits::{OwnerId, WaitOptions},
};

const PARTITIONS: usize = 16;
/// So many objects a partition remembers without a lock on them: those that are used are locked again soon.
const REMEMBERED: usize = 64;

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
    /// The mode with this number.
    pub fn from_number(n: u8) -> Option<Self> {
        Self::ALL.get(usize::from(n)).copied()
    }
    const ALL: [Self; 8] = [
        Self::AccessShare,
        Self::RowShare,
        Self::RowExclusive,
        Self::ShareUpdateExclusive,
        Self::Share,
        Self::ShareRowExclusive,
        Self::Exclusive,
        Self::AccessExclusive,
    ];

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
    /// Its name as `pg_locks` shows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessShare => "AccessShareLock",
            Self::RowShare => "RowShareLock",
            Self::RowExclusive => "RowExclusiveLock",
            Self::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            Self::Share => "ShareLock",
            Self::ShareRowExclusive => "ShareRowExclusiveLock",
            Self::Exclusive => "ExclusiveLock",
            Self::AccessExclusive => "AccessExclusiveLock",
        }
    }
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What a lock is on. The meaning of the numbers is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockTag {
    /// A catalog object: the database it is in (0: all of them) and its OID (a table's lock is on its OID, not on its
    /// storage).
    Object(u32, u32),
    /// An advisory lock: class and key.
    Advisory(u64, u64),
}

impl LockTag {
    fn waits_for(self, mode: LockMode) -> WaitsFor {
        let mode = mode.name();
        match self {
            Self::Object(database, oid) => WaitsFor::Object { mode, database, oid },
            Self::Advisory(class, key) => WaitsFor::Advisory { mode, class, key },
        }
    }
}

/// What holds a lock: the owner's transaction or, until it says otherwise, the session itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Until the transaction (or savepoint level) ends.
    Transaction,
    /// Until it is released.
    Session,
}

/// A lock that is held or waited for, as `pg_locks` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockInfo {
    /// On what.
    pub tag: LockTag,
    /// In which mode.
    pub mode: LockMode,
    /// Whose.
    pub owner: OwnerId,
    /// Held, not waited for.
    pub granted: bool,
}

struct Grant {
    owner: OwnerId,
    span: Span,
    /// The modes held, as bits.
    modes: u8,
}

#[derive(Default)]
struct Entry {
    granted: Vec<Grant>,
    /// Those who wait, first come first.
    queue: Vec<(OwnerId, LockMode)>,
}

impl Entry {
    /// Who stands in the way of `me`: holders, and those who came before with a conflicting wish.
    #[inline]
    fn in_the_way(&self, me: OwnerId, mode: LockMode) -> Vec<OwnerId> {
        if self.granted.is_empty() && self.queue.is_empty() { Vec::new() } else { self.obstacles(me, mode) }
    }

    fn obstacles(&self, me: OwnerId, mode: LockMode) -> Vec<OwnerId> {
        let mask = mode.conflicts();
        let holders = self.granted.iter().filter(|g| g.owner != me && g.modes & mask != 0).map(|g| g.owner);
        // Who already holds a lock here goes first, or upgrades would wait behind those who wait for them.
        let holds = self.granted.iter().any(|g| g.owner == me);
        let queued = self
            .queue
            .iter()
            .take_while(|(o, _)| *o != me)
            .filter(|(_, wanted)| wanted.bit() & mask != 0 && !holds)
            .map(|(o, _)| *o);
        holders.chain(queued).collect()
    }

    fn is_free(&self) -> bool {
        self.granted.is_empty() && self.queue.is_empty()
    }

    #[inline]
    fn grant(&mut self, owner: OwnerId, span: Span, mode: LockMode) {
        self.queue.retain(|(o, _)| *o != owner);
        match self.granted.iter_mut().find(|g| g.owner == owner && g.span == span) {
            Some(g) => g.modes |= mode.bit(),
            None => self.granted.push(Grant { owner, span, modes: mode.bit() }),
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
            LockTag::Object(_, oid) => oid as usize,
            LockTag::Advisory(class, key) => class.wrapping_mul(31).wrapping_add(key) as usize,
        };
        &self.partitions[hash % PARTITIONS]
    }

    /// One attempt. True: granted.
    fn attempt(&self, me: OwnerId, span: Span, tag: LockTag, mode: LockMode, queue: bool) -> bool {
        let mut p = self.partition(tag).lock();
        let e = p.entry(tag).or_default();
        if e.in_the_way(me, mode).is_empty() {
            e.grant(me, span, mode);
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

    /// Who holds a lock that conflicts with `mode`.
    fn holders(&self, me: OwnerId, tag: LockTag, mode: LockMode) -> Vec<OwnerId> {
        let p = self.partition(tag).lock();
        let granted = p.get(&tag).map_or(&[][..], |e| &e.granted);
        let conflicting = granted.iter().filter(|g| g.owner != me && g.modes & mode.conflicts() != 0);
        conflicting.map(|g| g.owner).collect()
    }

    fn leave_queue(&self, me: OwnerId, tag: LockTag) {
        let mut p = self.partition(tag).lock();
        if let Some(e) = p.get_mut(&tag) {
            e.queue.retain(|(o, _)| *o != me);
            if e.is_free() {
                p.remove(&tag);
            }
        }
    }

    pub fn release(&self, me: OwnerId, span: Span, tag: LockTag, mode: LockMode) {
        let mut p = self.partition(tag).lock();
        let Some(e) = p.get_mut(&tag) else { return };
        if let Some(g) = e.granted.iter_mut().find(|g| g.owner == me && g.span == span) {
            g.modes &= !mode.bit();
        }
        e.granted.retain(|g| g.modes != 0);
        if e.is_free() && p.len() > REMEMBERED {
            p.remove(&tag);
        }
    }

    /// A transaction's lock passes to another owner.
    pub fn rename(&self, old: OwnerId, new: OwnerId, tag: LockTag, mode: LockMode) {
        let mut p = self.partition(tag).lock();
        let Some(e) = p.get_mut(&tag) else { return };
        let of = |g: &&mut Grant| g.owner == old && g.span == Span::Transaction;
        if let Some(g) = e.granted.iter_mut().find(of) {
            g.modes &= !mode.bit();
        }
        e.granted.retain(|g| g.modes != 0);
        e.grant(new, Span::Transaction, mode);
    }

    /// Everything held or waited for, in order of tags.
    fn all(&self) -> Vec<LockInfo> {
        let mut out = Vec::new();
        for p in &self.partitions {
            for (&tag, e) in p.lock().iter() {
                for g in &e.granted {
                    let held = LockMode::ALL.into_iter().filter(|m| g.modes & m.bit() != 0);
                    out.extend(held.map(|mode| LockInfo { tag, mode, owner: g.owner, granted: true }));
                }
                let waiting = e.queue.iter();
                out.extend(waiting.map(|&(owner, mode)| LockInfo { tag, mode, owner, granted: false }));
            }
        }
        out.sort_by_key(|l| (l.tag, l.owner, l.mode, !l.granted));
        out.dedup();
        out
    }
}

/// What a transaction holds, in order. The first few need no memory of their own.
pub(crate) struct HeldLocks {
    few: [(LockTag, LockMode); 2],
    /// How many of those there are, while `many` is empty.
    count: usize,
    /// All of them, once they were more.
    many: Vec<(LockTag, LockMode)>,
}

impl HeldLocks {
    pub const NONE: Self =
        Self { few: [(LockTag::Object(0, 0), LockMode::AccessShare); 2], count: 0, many: Vec::new() };

    #[inline]
    pub fn all(&self) -> &[(LockTag, LockMode)] {
        if self.many.is_empty() { self.few.get(..self.count).unwrap_or_default() } else { &self.many }
    }

    #[inline]
    pub fn push(&mut self, tag: LockTag, mode: LockMode) {
        match self.few.get_mut(self.count) {
            Some(place) if self.many.is_empty() => {
                *place = (tag, mode);
                self.count += 1;
            }
            _ => self.push_many(tag, mode),
        }
    }

    #[cold]
    fn push_many(&mut self, tag: LockTag, mode: LockMode) {
        if self.many.is_empty() {
            self.many.extend(self.few.iter().take(self.count));
        }
        self.many.push((tag, mode));
    }

    /// Forgets those from number `first` on.
    pub fn truncate(&mut self, first: usize) {
        self.many.truncate(first);
        self.count = self.count.min(first);
    }
}

/// Locks that a session holds beyond its transactions, each as often as it was taken.
#[derive(Debug)]
pub struct SessionLocks {
    owner: OwnerId,
    held: Vec<(LockTag, LockMode, u32)>,
}

impl SessionLocks {
    /// Of a session by its process number.
    pub fn new(process: i32) -> Self {
        Self { owner: OwnerId::session(process), held: Vec::new() }
    }
    fn note(&mut self, tag: LockTag, mode: LockMode) {
        match self.held.iter_mut().find(|h| (h.0, h.1) == (tag, mode)) {
            Some(h) => h.2 += 1,
            None => self.held.push((tag, mode, 1)),
        }
    }
    /// Gives a lock back once. False: it was not held.
    pub fn release(&mut self, manager: &TransactionManager, tag: LockTag, mode: LockMode) -> bool {
        let Some(i) = self.held.iter().position(|h| (h.0, h.1) == (tag, mode)) else { return false };
        let last = self.held.get_mut(i).is_none_or(|h| {
            h.2 -= 1;
            h.2 == 0
        });
        if last {
            self.held.swap_remove(i);
            manager.locks.release(self.owner, Span::Session, tag, mode);
            manager.waits.released(self.owner);
        }
        true
    }
    /// Gives everything back.
    pub fn release_all(&mut self, manager: &TransactionManager) {
        if self.held.is_empty() {
            return;
        }
        for (tag, mode, _) in self.held.drain(..) {
            manager.locks.release(self.owner, Span::Session, tag, mode);
        }
        manager.waits.released(self.owner);
    }
    /// Takes a lock for the session. Without `wait`, false if others stand in the way.
    pub fn lock(
        &mut self,
        manager: &TransactionManager,
        tag: LockTag,
        mode: LockMode,
        wait: Option<&WaitOptions>,
    ) -> Result<bool, StorageError> {
        let got = manager.lock(self.owner, Span::Session, tag, mode, wait)?;
        if got {
            self.note(tag, mode);
        }
        Ok(got)
    }
}

impl TransactionManager {
    /// Every lock on objects and every advisory lock.
    pub fn all_locks(&self) -> Vec<LockInfo> {
        self.locks.all()
    }

    /// Waits until those who now hold a lock that conflicts with `mode` have let it go. Those who come meanwhile do not count.
    pub fn wait_for_holders(
        &self,
        me: OwnerId,
        tag: LockTag,
        mode: LockMode,
        options: &WaitOptions,
    ) -> Result<(), StorageError> {
        let mut before = self.locks.holders(me, tag, mode);
        while !before.is_empty() {
            self.waits.wait(me, tag.waits_for(mode), options, || {
                let now = self.locks.holders(me, tag, mode);
                before.retain(|o| now.contains(o));
                before.clone()
            })?;
        }
        Ok(())
    }

    /// Takes a lock. Without `wait`, false if others stand in the way.
    pub(crate) fn lock(
        &self,
        me: OwnerId,
        span: Span,
        tag: LockTag,
        mode: LockMode,
        wait: Option<&WaitOptions>,
    ) -> Result<bool, StorageError> {
        loop {
            if self.locks.attempt(me, span, tag, mode, wait.is_some()) {
                return Ok(true);
            }
            let Some(options) = wait else { return Ok(false) };
            let waited =
                self.waits.wait(me, tag.waits_for(mode), options, || self.locks.in_the_way(me, tag, mode));
            if let Err(e) = waited {
                self.locks.leave_queue(me, tag);
                // Those behind in the queue may go on.
                self.waits.released(me);
                return Err(e);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_locks_keep_their_order_past_the_first_few() {
        let tag = |n| (LockTag::Object(1, n), LockMode::Share);
        let mut held = HeldLocks::NONE;
        for n in 0..5 {
            let (tag, mode) = tag(n);
            held.push(tag, mode);
            assert_eq!(held.all().len(), n as usize + 1);
        }
        assert_eq!(held.all(), [tag(0), tag(1), tag(2), tag(3), tag(4)]);
        held.truncate(3);
        assert_eq!(held.all(), [tag(0), tag(1), tag(2)]);
        held.truncate(0);
        assert_eq!(held.all(), []);
        held.push(tag(9).0, tag(9).1);
        held.push(tag(8).0, tag(8).1);
        held.truncate(1);
        assert_eq!(held.all(), [tag(9)]);
    }

    #[test]
    fn locks_that_are_free_are_forgotten_when_there_are_many() {
        let table = LockTable::default();
        let me = OwnerId::session(1);
        for n in 0..(2 * REMEMBERED * PARTITIONS) as u64 {
            assert!(table.attempt(me, Span::Session, LockTag::Advisory(0, n), LockMode::Exclusive, false));
        }
        for n in 0..(2 * REMEMBERED * PARTITIONS) as u64 {
            table.release(me, Span::Session, LockTag::Advisory(0, n), LockMode::Exclusive);
        }
        assert!(table.all().is_empty());
        let remembered: usize = table.partitions.iter().map(|p| p.lock().len()).sum();
        assert!((1..=REMEMBERED * PARTITIONS).contains(&remembered), "{remembered}");
        // What is remembered stands in nobody's way.
        assert!(table.attempt(
            OwnerId::session(2),
            Span::Session,
            LockTag::Advisory(0, 1),
            LockMode::Exclusive,
            false
        ));
    }
}
