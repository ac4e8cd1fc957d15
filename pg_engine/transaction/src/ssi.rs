//! SERIALIZABLE: serializable snapshot isolation.
//!
//! Each serializable transaction leaves marks of what it read: rows, whole heaps, ranges of index keys. When a concurrent serializable
//! transaction writes something that was read, or is found to have written something that a snapshot does not show, there is a
//! read-write dependency **reader → writer**. A cycle that breaks serializability always contains two in a row, T0 → pivot → T2,
//! of which T2 was the first to commit (Cahill; Fekete et al.). When such a structure appears one of its transactions fails with 40001.
//!
//! Marks and dependencies of a committed transaction stay until no concurrent one is left.
//!
//! Nobody is missed: a reader leaves its mark before it looks (under the row's page latch or before its scan), a writer looks for
//! marks after it has written. Whichever comes second sees the other.
//!
//! Other isolation levels take no part and pay one branch.

use alloc::{collections::BTreeMap, vec::Vec};
use core::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::{HashMap, HashSet};
use pg_page::{Dependency, RelId, StorageError, Tid, Xid};
use platform::sync::{Condvar, Mutex};

use crate::{OwnerId, waits::WaitOptions};

type Result<T> = core::result::Result<T, StorageError>;

/// Rows of one heap that a transaction marks one by one; after that the heap as a whole.
const MANY_ROWS: usize = 4096;
/// Ranges of one index, likewise.
const MANY_RANGES: usize = 256;
/// Transactions that are remembered at a time.
const MANY_TRANSACTIONS: usize = 200_000;
/// How often a wait for a safe snapshot looks at its cancel flag.
const LOOK: core::time::Duration = core::time::Duration::from_millis(20);

/// Names a serializable transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SerialId(pub(crate) u64);

impl SerialId {
    /// Of transactions that are not tracked.
    pub const NONE: Self = Self(0);
    /// Is it tracked?
    #[inline]
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }
}

/// A stretch of index keys, both ends included; no upper end: all that follow. An upper end covers the keys that it is a prefix of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyRange {
    low: Vec<u8>,
    high: Option<Vec<u8>>,
}

impl KeyRange {
    fn covers(&self, key: &[u8]) -> bool {
        let below = self.high.as_ref().is_none_or(|h| key <= h.as_slice() || key.starts_with(h));
        key >= self.low.as_slice() && below
    }
}

/// What one transaction read of one relation.
#[derive(Debug, Default)]
struct Reads {
    whole: bool,
    rows: HashSet<Tid>,
    ranges: Vec<KeyRange>,
}

#[derive(Debug, Default)]
struct Serial {
    /// Whose it is.
    owner: OwnerId,
    /// Commits that its snapshot shows, by number.
    shown: u64,
    /// When it passed the last check before its commit record.
    prepared: Option<u64>,
    committed: Option<u64>,
    /// It must fail.
    doomed: bool,
    /// Declared, or found at its commit.
    read_only: bool,
    xids: Vec<Xid>,
    /// Those that read what it wrote.
    readers: HashSet<SerialId>,
    /// Those that wrote what it read.
    writers: HashSet<SerialId>,
    /// The first commit of one of `writers` before its own.
    first_out: Option<u64>,
    relations: Vec<RelId>,
    /// Prepared before a restart: what it read and who wrote that is not known any more.
    lost: bool,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Number of the last prepare or commit.
    clock: u64,
    all: BTreeMap<SerialId, Serial>,
    by_xid: HashMap<Xid, SerialId>,
    /// Who waits for a safe snapshot, and until which transactions have ended.
    deferred: HashMap<OwnerId, Vec<SerialId>>,
    /// Those whose reads are not known: they may have read anything.
    lost: Vec<SerialId>,
    /// By relation, what each transaction read of it.
    reads: HashMap<RelId, BTreeMap<SerialId, Reads>>,
}

/// All serializable transactions.
#[derive(Debug, Default)]
pub(crate) struct Ssi {
    state: Mutex<State>,
    ended: Condvar,
    count: AtomicUsize,
}

impl Ssi {
    /// Begins a transaction whose snapshot `take` takes. None: nothing needs to be tracked, for it only reads and no one writes.
    pub fn begin<S>(&self, owner: OwnerId, read_only: bool, take: impl FnOnce() -> S) -> (S, SerialId) {
        let mut s = self.state.lock();
        let snapshot = take();
        if read_only && s.all.values().all(Serial::harmless) {
            return (snapshot, SerialId::NONE);
        }
        (snapshot, self.add(&mut s, owner, read_only))
    }

    fn add(&self, s: &mut State, owner: OwnerId, read_only: bool) -> SerialId {
        s.next += 1;
        let id = SerialId(s.next);
        // One more than can be remembered fails when it does anything, and may be tried again.
        let doomed = s.all.len() >= MANY_TRANSACTIONS;
        s.all.insert(id, Serial { owner, shown: s.clock, read_only, doomed, ..Serial::default() });
        self.count.store(s.all.len(), Ordering::Relaxed);
        id
    }

    /// Begins a READ ONLY DEFERRABLE transaction: waits until there is a snapshot that cannot be part of any anomaly.
    pub fn begin_deferrable<S>(
        &self,
        owner: OwnerId,
        options: &WaitOptions,
        mut take: impl FnMut() -> S,
    ) -> Result<S> {
        loop {
            let mut s = self.state.lock();
            let snapshot = take();
            let shown = s.clock;
            let mut watched: Vec<SerialId> =
                s.all.iter().filter(|(_, t)| !t.harmless()).map(|(id, _)| *id).collect();
            let mut safe = true;
            while safe && !watched.is_empty() {
                if options.cancel.as_ref().is_some_and(|c| c.load(Ordering::Acquire)) {
                    s.deferred.remove(&owner);
                    return Err(StorageError::Canceled);
                }
                s.deferred.insert(owner, watched.clone());
                s = self.ended.wait_timeout(s, LOOK).0;
                watched.retain(|id| match s.all.get(id) {
                    None => false,
                    Some(t) if t.committed.is_none() => true,
                    Some(t) => {
                        safe &= t.first_out.is_none_or(|first| first > shown);
                        false
                    }
                });
            }
            s.deferred.remove(&owner);
            if safe {
                return Ok(snapshot);
            }
        }
    }

    /// A transaction that was prepared before a restart. The worst is assumed of it: that it read whatever others write from
    /// now on, and that what it read was changed by one that committed before it.
    pub fn restore(&self, owner: OwnerId, xids: &[Xid]) -> SerialId {
        let mut s = self.state.lock();
        s.clock += 1;
        let prepared = Some(s.clock);
        let id = self.add(&mut s, owner, false);
        s.lost.push(id);
        s.by_xid.extend(xids.iter().map(|x| (*x, id)));
        if let Some(t) = s.all.get_mut(&id) {
            *t = Serial { owner, prepared, xids: xids.to_vec(), lost: true, ..Serial::default() };
        }
        id
    }

    /// It belongs to no session any more.
    pub fn rename(&self, me: SerialId, owner: OwnerId) {
        if let Some(t) = self.state.lock().all.get_mut(&me) {
            t.owner = owner;
        }
    }

    /// Those whose end a session's wait for a safe snapshot needs.
    pub fn blockers(&self, waiter: OwnerId) -> Vec<OwnerId> {
        let s = self.state.lock();
        let watched = s.deferred.get(&waiter).map(Vec::as_slice).unwrap_or_default();
        watched.iter().filter_map(|id| s.all.get(id)).map(|t| t.owner).collect()
    }

    /// An id was given to the transaction (or a savepoint level of it).
    pub fn assigned(&self, me: SerialId, xid: Xid) {
        let mut s = self.state.lock();
        s.by_xid.insert(xid, me);
        if let Some(t) = s.all.get_mut(&me) {
            t.xids.push(xid);
        }
    }

    /// Marks rows that were read.
    pub fn read_row(&self, me: SerialId, rel: RelId, tid: Tid) {
        self.mark(me, rel, |r| {
            r.whole |= r.rows.len() >= MANY_ROWS;
            if !r.whole {
                r.rows.insert(tid);
            }
        });
    }
    /// Marks a relation as read from end to end.
    pub fn read_whole(&self, me: SerialId, rel: RelId) {
        self.mark(me, rel, |r| r.whole = true);
    }
    /// Marks a stretch of an index as read.
    pub fn read_range(&self, me: SerialId, index: RelId, low: &[u8], high: Option<&[u8]>) {
        self.mark(me, index, |r| {
            let range = KeyRange { low: low.to_vec(), high: high.map(<[u8]>::to_vec) };
            r.whole |= r.ranges.len() >= MANY_RANGES;
            if !r.whole && !r.ranges.contains(&range) {
                r.ranges.push(range);
            }
        });
    }

    fn mark(&self, me: SerialId, rel: RelId, how: impl FnOnce(&mut Reads)) {
        let mut s = self.state.lock();
        let s = &mut *s;
        let Some(t) = s.all.get_mut(&me) else { return };
        let reads = s.reads.entry(rel).or_default().entry(me).or_insert_with(|| {
            t.relations.push(rel);
            Reads::default()
        });
        if reads.whole {
            return;
        }
        how(reads);
        if reads.whole {
            (reads.rows, reads.ranges) = (HashSet::new(), Vec::new());
        }
    }

    /// The transaction met work of `xid` that its snapshot does not show.
    pub fn read_around(&self, me: SerialId, xid: Xid) -> Result<()> {
        let mut s = self.state.lock();
        let Some(mine) = s.all.get(&me) else { return Ok(()) };
        if mine.doomed {
            return Err(StorageError::ReadWriteDependency(Dependency::PivotReading));
        }
        let Some(&writer) = s.by_xid.get(&xid) else { return Ok(()) };
        let Some(theirs) = s.all.get(&writer) else { return Ok(()) };
        // Who must fail has no effect; and a committed one without a dependency before it harms no reader that only reads.
        let harmless = theirs.committed.is_some()
            && mine.read_only
            && theirs.first_out.is_none_or(|first| mine.shown < first);
        if writer == me || theirs.doomed || harmless {
            return Ok(());
        }
        s.depend(me, writer, me)
    }

    /// The transaction has changed, deleted or (without `tid`) added a row of a heap: who has read it?
    pub fn wrote_row(&self, me: SerialId, rel: RelId, tid: Option<Tid>) -> Result<()> {
        self.wrote(me, rel, |r| tid.is_some_and(|t| r.rows.contains(&t)))
    }
    /// The transaction has added an index entry: who has read where it lies?
    pub fn wrote_key(&self, me: SerialId, index: RelId, key: &[u8]) -> Result<()> {
        self.wrote(me, index, |r| r.ranges.iter().any(|x| x.covers(key)))
    }

    fn wrote(&self, me: SerialId, rel: RelId, touches: impl Fn(&Reads) -> bool) -> Result<()> {
        let mut s = self.state.lock();
        if s.all.get(&me).is_some_and(|t| t.doomed) {
            return Err(StorageError::ReadWriteDependency(Dependency::PivotWriting));
        }
        let reads = s.reads.get(&rel).into_iter().flatten();
        let readers = reads.filter(|(id, r)| **id != me && (r.whole || touches(r))).map(|(id, _)| *id);
        let readers: Vec<SerialId> = readers.chain(s.lost.iter().copied()).collect();
        for reader in readers {
            s.depend(reader, me, me)?;
        }
        Ok(())
    }

    /// The last check before the commit record.
    pub fn prepare(&self, me: SerialId) -> Result<()> {
        let mut s = self.state.lock();
        let Some(mine) = s.all.get(&me) else { return Ok(()) };
        if mine.doomed {
            return Err(StorageError::ReadWriteDependency(Dependency::PivotCommitting));
        }
        let live =
            |s: &State, id: &SerialId| s.all.get(id).is_some_and(|t| t.committed.is_none() && !t.doomed);
        let near: Vec<SerialId> = mine.readers.iter().filter(|r| live(&s, r)).copied().collect();
        for reader in near {
            let Some(pivot) = s.all.get(&reader) else { continue };
            // Of two that were prepared before a restart one may have read what the other changed.
            let closes = (pivot.lost && s.lost.len() > 1)
                || pivot
                    .readers
                    .iter()
                    .any(|far| *far == me || (live(&s, far) && s.all.get(far).is_some_and(|t| !t.read_only)));
            if !closes {
                continue;
            }
            if pivot.prepared.is_some() {
                return Err(StorageError::ReadWriteDependency(Dependency::PreparedPivot));
            }
            if let Some(pivot) = s.all.get_mut(&reader) {
                pivot.doomed = true;
            }
        }
        s.clock += 1;
        let clock = s.clock;
        if let Some(mine) = s.all.get_mut(&me) {
            mine.prepared = Some(clock);
        }
        Ok(())
    }

    /// The transaction has ended, for everyone to see.
    pub fn end(&self, me: SerialId, committed: bool) {
        let mut s = self.state.lock();
        if committed {
            s.clock += 1;
            let clock = s.clock;
            let Some(mine) = s.all.get(&me) else { return };
            let before = |id: &SerialId| s.all.get(id).filter(|t| t.committed.is_some())?.prepared;
            let first = mine.writers.iter().filter_map(before).min();
            if let Some(mine) = s.all.get_mut(&me) {
                mine.committed = Some(clock);
                mine.prepared.get_or_insert(clock);
                mine.read_only |= mine.xids.is_empty();
                if !mine.read_only {
                    mine.first_out = if mine.lost { Some(0) } else { first };
                }
            }
        } else {
            s.forget(me);
        }
        s.sweep();
        self.count.store(s.all.len(), Ordering::Relaxed);
        drop(s);
        self.ended.notify_all();
    }
}

impl Serial {
    /// Can it not make the snapshot of a transaction unsafe that begins now and only reads?
    fn harmless(&self) -> bool {
        self.read_only || self.committed.is_some() || self.doomed
    }
}

impl State {
    /// Notes reader → writer; `me` is one of them. Fails, or dooms another, when that makes a dangerous structure.
    fn depend(&mut self, reader: SerialId, writer: SerialId, me: SerialId) -> Result<()> {
        let (Some(r), Some(w)) = (self.all.get(&reader), self.all.get(&writer)) else { return Ok(()) };
        let apart = w.committed.is_some_and(|c| c <= r.shown) || r.committed.is_some_and(|c| c <= w.shown);
        if apart || r.doomed || w.doomed || r.writers.contains(&writer) {
            return Ok(());
        }
        if self.dangerous(r, w) {
            if me == writer {
                return Err(StorageError::ReadWriteDependency(Dependency::PivotWrote));
            }
            if w.prepared.is_some() {
                let xid = w.xids.first().copied().unwrap_or(Xid::NONE);
                return Err(StorageError::ReadWriteDependency(Dependency::OutToPivot(xid)));
            }
            if let Some(w) = self.all.get_mut(&writer) {
                w.doomed = true;
            }
        }
        if let Some(r) = self.all.get_mut(&reader) {
            r.writers.insert(writer);
        }
        if let Some(w) = self.all.get_mut(&writer) {
            w.readers.insert(reader);
        }
        Ok(())
    }

    /// Does r → w complete T0 → pivot → T2 with T2 the first to commit?
    fn dangerous(&self, r: &Serial, w: &Serial) -> bool {
        // r → w → T2, w committed after T2.
        if w.lost {
            return true;
        }
        if w.committed.is_some() && w.first_out.is_some() {
            return true;
        }
        let first = |t2: &Serial| {
            t2.prepared.is_some_and(|p| {
                r.committed.is_none_or(|c| p <= c)
                    && w.committed.is_none_or(|c| p <= c)
                    && (!r.read_only || p <= r.shown)
            })
        };
        if w.writers.iter().filter_map(|id| self.all.get(id)).any(first) {
            return true;
        }
        // T0 → r → w, w on its way to be the first.
        let Some(prepared) = w.prepared.filter(|_| !r.read_only) else { return false };
        r.readers.iter().filter_map(|id| self.all.get(id)).any(|t0| {
            !t0.doomed
                && t0.committed.is_none_or(|c| c >= prepared)
                && (!t0.read_only || t0.shown >= prepared)
        })
    }

    fn forget(&mut self, id: SerialId) {
        let Some(gone) = self.all.remove(&id) else { return };
        for xid in &gone.xids {
            self.by_xid.remove(xid);
        }
        self.lost.retain(|lost| *lost != id);
        for rel in &gone.relations {
            if let Some(of) = self.reads.get_mut(rel) {
                of.remove(&id);
                if of.is_empty() {
                    self.reads.remove(rel);
                }
            }
        }
        for other in &gone.readers {
            if let Some(t) = self.all.get_mut(other) {
                t.writers.remove(&id);
            }
        }
        for other in &gone.writers {
            if let Some(t) = self.all.get_mut(other) {
                t.readers.remove(&id);
            }
        }
    }

    /// Forgets committed transactions that no running one is concurrent with.
    fn sweep(&mut self) {
        let running = self.all.values().filter(|t| t.committed.is_none());
        let oldest = running.map(|t| t.shown).min().unwrap_or(u64::MAX);
        let done: Vec<SerialId> = self
            .all
            .iter()
            .filter(|(_, t)| t.committed.is_some_and(|c| c <= oldest))
            .map(|(id, _)| *id)
            .collect();
        for id in done {
            self.forget(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REL: RelId = RelId(1);
    fn tid(n: u32) -> Tid {
        Tid { block: n, slot: 1 }
    }
    fn begin(s: &Ssi) -> SerialId {
        s.begin(OwnerId::default(), false, || ()).1
    }

    #[test]
    fn write_skew_fails_one() {
        let s = Ssi::default();
        let (a, b) = (begin(&s), begin(&s));
        s.assigned(a, Xid(10));
        s.assigned(b, Xid(11));
        for t in [a, b] {
            s.read_row(t, REL, tid(1));
            s.read_row(t, REL, tid(2));
        }
        s.wrote_row(a, REL, Some(tid(1))).unwrap();
        s.wrote_row(b, REL, Some(tid(2))).unwrap();
        s.prepare(a).unwrap();
        s.end(a, true);
        assert!(s.prepare(b).is_err());
        s.end(b, false);
        assert!(s.state.lock().all.is_empty());
        assert!(s.state.lock().reads.is_empty());
    }

    #[test]
    fn one_dependency_is_no_harm() {
        let s = Ssi::default();
        let (a, b) = (begin(&s), begin(&s));
        s.assigned(b, Xid(11));
        s.read_range(a, REL, b"c", Some(b"f"));
        s.wrote_key(b, REL, b"d1").unwrap();
        s.wrote_key(b, REL, b"fz").unwrap();
        s.wrote_key(b, REL, b"g").unwrap();
        s.prepare(b).unwrap();
        s.end(b, true);
        s.prepare(a).unwrap();
        s.end(a, true);
        assert!(s.state.lock().all.is_empty());
    }

    #[test]
    fn the_read_only_anomaly_is_seen() {
        // T1 reads x, y and writes x; T2 writes y and commits first; T3 only reads after that and sees T2 but not T1.
        let s = Ssi::default();
        let (t1, t2) = (begin(&s), begin(&s));
        s.assigned(t1, Xid(10));
        s.assigned(t2, Xid(11));
        s.read_row(t1, REL, tid(1));
        s.read_row(t1, REL, tid(2));
        s.wrote_row(t2, REL, Some(tid(2))).unwrap();
        s.prepare(t2).unwrap();
        s.end(t2, true);
        let (_, t3) = s.begin(OwnerId::default(), true, || ());
        assert!(t3.is_some());
        s.read_row(t3, REL, tid(1));
        s.read_row(t3, REL, tid(2));
        s.prepare(t3).unwrap();
        s.end(t3, true);
        assert!(s.wrote_row(t1, REL, Some(tid(1))).is_err());
    }

    #[test]
    fn who_only_reads_alone_is_not_tracked() {
        let s = Ssi::default();
        assert_eq!(s.begin(OwnerId::default(), true, || ()).1, SerialId::NONE);
    }
}
