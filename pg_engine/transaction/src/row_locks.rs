//! Row locks: FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE, FOR KEY SHARE.
//!
//! A lock that only locks is no news to anyone after its transaction, so it is kept here and not in the row: it needs no
//! transaction id, no log and no dirty page, several may hold it at a time, and it ends with its savepoint level. Whoever
//! takes one latches the row's page for reading, whoever changes a row latches it for writing, so that neither misses the other.
//!
//! A row version is named by place and maker: places are used again.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use pg_page::{RelId, StorageError, Tid, WaitsFor, Xid};
use platform::sync::Mutex;

use crate::{
    manager::TransactionManager,
    outcomes::Outcome,
    waits::{OwnerId, WaitOptions},
};

const PARTITIONS: usize = 64;

/// Modes of a row lock, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum RowLock {
    /// FOR KEY SHARE: what a foreign key needs.
    KeyShare,
    /// FOR SHARE.
    Share,
    /// FOR NO KEY UPDATE: what an UPDATE takes that leaves the keys alone.
    NoKeyUpdate,
    /// FOR UPDATE: what a DELETE takes, and an UPDATE of a key.
    Update,
}

impl RowLock {
    /// The modes that conflict with this one, as bits.
    pub const fn conflicts(self) -> u8 {
        match self {
            Self::KeyShare => 0b1000,
            Self::Share => 0b1100,
            Self::NoKeyUpdate => 0b1110,
            Self::Update => 0b1111,
        }
    }
    /// Its bit.
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }
    /// Cannot two transactions hold these at a time?
    pub const fn excludes(self, other: Self) -> bool {
        self.conflicts() & other.bit() != 0
    }
    /// The mode with this number.
    pub const fn from_number(n: u8) -> Self {
        match n {
            0 => Self::KeyShare,
            1 => Self::Share,
            2 => Self::NoKeyUpdate,
            _ => Self::Update,
        }
    }
}

/// Names a row version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// Its relation.
    pub rel: RelId,
    /// Its place.
    pub tid: Tid,
    /// Who made it.
    pub xmin: Xid,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    owner: OwnerId,
    modes: u8,
}

/// The holders of one row's locks; the first costs no allocation.
#[derive(Debug)]
struct Holders {
    first: Holder,
    more: Vec<Holder>,
}

impl Holders {
    fn iter(&self) -> impl Iterator<Item = &Holder> {
        core::iter::once(&self.first).chain(&self.more)
    }
    fn of(&mut self, owner: OwnerId) -> Option<&mut Holder> {
        core::iter::once(&mut self.first).chain(&mut self.more).find(|h| h.owner == owner)
    }
    /// Takes modes away; true: no one is left.
    fn remove(&mut self, owner: OwnerId, modes: u8) -> bool {
        if let Some(h) = self.of(owner) {
            h.modes &= !modes;
        }
        self.more.retain(|h| h.modes != 0);
        if self.first.modes != 0 {
            return false;
        }
        match self.more.pop() {
            Some(h) => {
                self.first = h;
                false
            }
            None => true,
        }
    }
}

/// What came of asking for a row lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowGrant {
    /// It is held now.
    Granted,
    /// It was held before, or a stronger one.
    Held,
    /// Others stand in the way.
    Conflict,
}

#[derive(Debug)]
pub(crate) struct RowLocks {
    partitions: [Mutex<HashMap<RowKey, Holders>>; PARTITIONS],
    /// Rows with locks.
    count: AtomicUsize,
    /// Locks that others put in an owner's name, when they replaced a version it had locked.
    carried: Mutex<HashMap<OwnerId, Vec<RowKey>>>,
    carriers: AtomicUsize,
}

impl Default for RowLocks {
    fn default() -> Self {
        Self {
            partitions: core::array::from_fn(|_| Mutex::default()),
            count: AtomicUsize::new(0),
            carried: Mutex::default(),
            carriers: AtomicUsize::new(0),
        }
    }
}

impl RowLocks {
    fn partition(&self, key: &RowKey) -> &Mutex<HashMap<RowKey, Holders>> {
        let mixed = (key.tid.to_u64() ^ (u64::from(key.rel.0) << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &self.partitions[(mixed >> 58) as usize % PARTITIONS]
    }

    /// Does anyone hold a row lock?
    #[inline]
    fn any(&self) -> bool {
        self.count.load(Ordering::SeqCst) != 0
    }

    fn attempt(&self, me: OwnerId, key: RowKey, mode: RowLock) -> RowGrant {
        let mut p = self.partition(&key).lock();
        let Some(e) = p.get_mut(&key) else {
            p.insert(key, Holders { first: Holder { owner: me, modes: mode.bit() }, more: Vec::new() });
            self.count.fetch_add(1, Ordering::SeqCst);
            return RowGrant::Granted;
        };
        if e.iter().any(|h| h.owner != me && h.modes & mode.conflicts() != 0) {
            return RowGrant::Conflict;
        }
        match e.of(me) {
            Some(h) if h.modes >= mode.bit() => return RowGrant::Held,
            Some(h) => h.modes |= mode.bit(),
            None => e.more.push(Holder { owner: me, modes: mode.bit() }),
        }
        RowGrant::Granted
    }

    fn in_the_way(&self, me: OwnerId, key: &RowKey, mode: RowLock) -> Vec<OwnerId> {
        let p = self.partition(key).lock();
        let conflicting = |h: &&Holder| h.owner != me && h.modes & mode.conflicts() != 0;
        p.get(key).map_or_else(Vec::new, |e| e.iter().filter(conflicting).map(|h| h.owner).collect())
    }

    fn remove(&self, owner: OwnerId, key: &RowKey, modes: u8) {
        let mut p = self.partition(key).lock();
        if p.get_mut(key).is_some_and(|e| e.remove(owner, modes)) {
            p.remove(key);
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Puts a lock in another's name, to be found when that one ends.
    fn put(&self, owner: OwnerId, key: RowKey, modes: u8) {
        let mut p = self.partition(&key).lock();
        match p.get_mut(&key) {
            Some(e) => match e.of(owner) {
                Some(h) => h.modes |= modes,
                None => e.more.push(Holder { owner, modes }),
            },
            None => {
                p.insert(key, Holders { first: Holder { owner, modes }, more: Vec::new() });
                self.count.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn note_carried(&self, owner: OwnerId, key: RowKey) {
        let mut carried = self.carried.lock();
        carried.entry(owner).or_default().push(key);
        self.carriers.store(carried.len(), Ordering::SeqCst);
    }

    /// A version was replaced: what others hold on it, they hold on its successor too.
    fn carry(&self, me: OwnerId, from: &RowKey, to: RowKey) {
        // The old version's entry stays locked until the new one is noted: its holder cannot end in between.
        let p = self.partition(from).lock();
        let Some(e) = p.get(from) else { return };
        let held: Vec<Holder> = e.iter().filter(|h| h.owner != me).copied().collect();
        for h in &held {
            self.note_carried(h.owner, to);
        }
        drop(p);
        for h in held {
            self.put(h.owner, to, h.modes);
            // It may have ended before the lock was there.
            if !self.holds(h.owner, from) {
                self.remove(h.owner, &to, u8::MAX);
            }
        }
    }

    fn holds(&self, owner: OwnerId, key: &RowKey) -> bool {
        let p = self.partition(key).lock();
        p.get(key).is_some_and(|e| e.iter().any(|h| h.owner == owner))
    }

    /// All that `old` holds on these rows, and what was put in its name, passes to `new`.
    pub(crate) fn rename(&self, old: OwnerId, new: OwnerId, keys: impl Iterator<Item = RowKey>) {
        let carried = self.carried.lock().remove(&old).unwrap_or_default();
        for key in &carried {
            self.note_carried(new, *key);
        }
        for key in keys.chain(carried.iter().copied()) {
            let mut p = self.partition(&key).lock();
            if let Some(h) = p.get_mut(&key).and_then(|e| e.of(old)) {
                h.owner = new;
            }
        }
    }

    /// What others have put in an owner's name.
    pub(crate) fn carried_for(&self, owner: OwnerId) -> Vec<(RowKey, RowLock)> {
        let keys = self.carried.lock().get(&owner).cloned().unwrap_or_default();
        let mode_of = |key: RowKey| {
            let p = self.partition(&key).lock();
            let held = p.get(&key)?.iter().find(|h| h.owner == owner)?.modes;
            Some((key, RowLock::from_number(7 - held.leading_zeros().min(7) as u8)))
        };
        keys.into_iter().filter_map(mode_of).collect()
    }

    pub(crate) fn release(&self, owner: OwnerId, locks: impl Iterator<Item = (RowKey, RowLock)>) {
        for (key, mode) in locks {
            self.remove(owner, &key, mode.bit());
        }
    }

    /// Lets go of what others put in this owner's name. Its own locks must be gone.
    /// True: there were some.
    pub(crate) fn release_carried(&self, owner: OwnerId) -> bool {
        self.any_carried() && self.release_carried_now(owner)
    }
    /// Has anyone put a lock in another's name?
    #[inline]
    pub(crate) fn any_carried(&self) -> bool {
        self.carriers.load(Ordering::SeqCst) != 0
    }

    #[cold]
    fn release_carried_now(&self, owner: OwnerId) -> bool {
        let mut any = false;
        loop {
            let mut carried = self.carried.lock();
            let keys = carried.remove(&owner);
            self.carriers.store(carried.len(), Ordering::SeqCst);
            drop(carried);
            let Some(keys) = keys else { return any };
            any = true;
            for key in keys {
                self.remove(owner, &key, u8::MAX);
            }
        }
    }
}

impl TransactionManager {
    /// Does any transaction hold a row lock that is not in its row?
    #[inline]
    pub fn row_locks_exist(&self) -> bool {
        self.row_locks.any()
    }
    /// Does another than `me` hold a lock on the row that conflicts?
    pub fn row_is_locked(&self, me: OwnerId, key: &RowKey, mode: RowLock) -> bool {
        !self.row_locks.in_the_way(me, key, mode).is_empty()
    }
    pub(crate) fn lock_row(&self, me: OwnerId, key: RowKey, mode: RowLock) -> RowGrant {
        self.row_locks.attempt(me, key, mode)
    }
    /// Waits until those who hold conflicting locks on the row have let go or may have.
    pub fn wait_for_row(
        &self,
        me: OwnerId,
        key: &RowKey,
        mode: RowLock,
        options: &WaitOptions,
    ) -> Result<(), StorageError> {
        let what = WaitsFor::Row { rel: key.rel, tid: key.tid };
        self.waits.wait(me, what, options, || self.row_locks.in_the_way(me, key, mode))
    }
    /// `me` replaced a version: the others' locks on it pass to its successor. The caller has both pages latched.
    pub fn carry_row_locks(&self, me: OwnerId, from: &RowKey, to: RowKey) {
        self.row_locks.carry(me, from, to);
    }
    /// The row's header, where `xid` had noted a lock, is about to be overwritten: the lock moves here.
    pub fn adopt_row_lock(&self, xid: Xid, key: RowKey, mode: RowLock) {
        let Some(owner) = self.owner_of(xid) else { return };
        self.row_locks.note_carried(owner, key);
        self.row_locks.put(owner, key, mode.bit());
        if self.outcome(xid) != Outcome::InProgress {
            // It may have ended before the lock was there.
            self.row_locks.release_carried_now(owner);
        }
    }
}

/// The row locks of one transaction, in the order in which it took them.
#[derive(Debug, Default)]
pub(crate) struct OwnRowLocks {
    list: Vec<(RowKey, RowLock)>,
    /// Taken over from a row's header; these last until the end.
    kept: Vec<(RowKey, RowLock)>,
}

impl OwnRowLocks {
    pub fn all(&self) -> impl Iterator<Item = (RowKey, RowLock)> {
        self.list.iter().chain(&self.kept).copied()
    }
    pub fn len(&self) -> usize {
        self.list.len()
    }
    pub fn push(&mut self, key: RowKey, mode: RowLock) {
        self.list.push((key, mode));
    }
    pub fn keep(&mut self, key: RowKey, mode: RowLock) {
        self.kept.push((key, mode));
    }
    /// Takes out those from the `first`th on.
    pub fn take_from(&mut self, first: usize) -> Vec<(RowKey, RowLock)> {
        if first < self.list.len() { self.list.split_off(first) } else { Vec::new() }
    }
    /// Takes out all.
    pub fn take_all(mut self) -> Vec<(RowKey, RowLock)> {
        self.list.append(&mut self.kept);
        self.list
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use super::*;
    use crate::{Isolation, RecoveredState, Work};

    fn key(n: u32) -> RowKey {
        RowKey { rel: RelId(1), tid: Tid { block: n, slot: 1 }, xmin: Xid(7) }
    }
    fn manager() -> Arc<TransactionManager> {
        Arc::new(TransactionManager::new(&RecoveredState::default()))
    }
    fn work(m: &Arc<TransactionManager>) -> Work {
        Work::new(m.clone(), Isolation::ReadCommitted)
    }

    #[test]
    fn modes_conflict_as_documented() {
        use RowLock::{KeyShare, NoKeyUpdate, Share, Update};
        let all = [KeyShare, Share, NoKeyUpdate, Update];
        let table = ["...X", "..XX", ".XXX", "XXXX"];
        for (a, row) in all.iter().zip(table) {
            for (b, c) in all.iter().zip(row.chars()) {
                let m = manager();
                let (mut first, mut second) = (work(&m), work(&m));
                assert_eq!(first.lock_row(key(1), *a), RowGrant::Granted);
                let got = second.lock_row(key(1), *b);
                assert_eq!(got == RowGrant::Conflict, c == 'X', "{a:?} then {b:?}");
                first.end(true);
                assert_ne!(second.lock_row(key(1), *b), RowGrant::Conflict);
                second.end(true);
                assert!(!m.row_locks_exist());
            }
        }
    }

    #[test]
    fn a_savepoint_gives_back_only_its_own() {
        let m = manager();
        let (mut a, mut b) = (work(&m), work(&m));
        assert_eq!(a.lock_row(key(1), RowLock::Share), RowGrant::Granted);
        let s = a.begin_sub();
        assert_eq!(a.lock_row(key(1), RowLock::Update), RowGrant::Granted);
        assert_eq!(a.lock_row(key(2), RowLock::Share), RowGrant::Granted);
        assert_eq!(b.lock_row(key(1), RowLock::Share), RowGrant::Conflict);
        a.rollback_to(s).unwrap();
        assert_eq!(b.lock_row(key(1), RowLock::Share), RowGrant::Granted);
        assert_eq!(b.lock_row(key(2), RowLock::Update), RowGrant::Granted);
        assert_eq!(a.lock_row(key(1), RowLock::Update), RowGrant::Conflict);
        a.end(false);
        b.end(true);
        assert!(!m.row_locks_exist());
    }

    #[test]
    fn a_replaced_version_keeps_its_locks() {
        let m = manager();
        let (mut reader, updater, mut third) = (work(&m), work(&m), work(&m));
        assert_eq!(reader.lock_row(key(1), RowLock::KeyShare), RowGrant::Granted);
        m.carry_row_locks(updater.owner(), &key(1), key(2));
        m.carry_row_locks(updater.owner(), &key(2), key(3));
        assert_eq!(third.lock_row(key(3), RowLock::Update), RowGrant::Conflict);
        assert_eq!(third.lock_row(key(3), RowLock::NoKeyUpdate), RowGrant::Granted);
        reader.end(true);
        assert_eq!(third.lock_row(key(3), RowLock::Update), RowGrant::Granted);
        third.end(true);
        assert!(!m.row_locks_exist());
    }
}
