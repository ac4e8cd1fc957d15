//! Giving out ids and snapshots, and ending transactions.

use alloc::{
    collections::VecDeque,
    sync::{Arc, Weak},
    vec::Vec,
};
use core::sync::atomic::{AtomicU64, Ordering};

use pg_page::{RelId, StorageError, Tid, WaitsFor, Xid};
use platform::sync::Mutex;

use crate::{
    locks::LockTable,
    outcomes::{Outcome, Outcomes},
    row_locks::RowLocks,
    snapshot::{Snapshot, SnapshotData},
    ssi::{SerialId, Ssi},
    waits::{OwnerId, WaitOptions, Waits},
};

#[derive(Clone, Copy, Debug)]
struct RunningXid {
    xid: Xid,
    owner: OwnerId,
    /// Its commit record may be in the log already.
    committing: bool,
    /// Its commit record is in the log, and ends there.
    logged: Option<Place>,
}

/// A position in the log, where a commit record ends. Only the order counts here.
pub type Place = u64;

struct Running {
    next: Xid,
    /// Ascending by id.
    list: Vec<RunningXid>,
    last_ended: Xid,
    /// The snapshot of now, until a transaction ends.
    current: Option<Arc<SnapshotData>>,
    /// Ids of the list whose commits are logged.
    logged: usize,
    /// The last of those that are or were logged.
    last_logged: Xid,
    /// Where the last of the logged commits ends.
    last_place: Place,
    /// The snapshot of now that shows what is logged too, until a transaction ends or logs its commit.
    current_logged: Option<Arc<SnapshotData>>,
    /// Those that may still be referenced, oldest first. Their xmin never falls.
    alive: VecDeque<Weak<SnapshotData>>,
}

/// What a checkpoint saves and recovery restores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveredState {
    /// First id that was not given out.
    pub next: Xid,
    /// Ids that had not ended.
    pub running: Vec<Xid>,
    /// Ids of prepared transactions (recovery only; a checkpoint counts them among the running).
    pub prepared: Vec<Xid>,
    /// Ids that had aborted.
    pub aborted: Vec<Xid>,
}

/// All transactions of a volume.
pub struct TransactionManager {
    running: Mutex<Running>,
    outcomes: Outcomes,
    horizon: AtomicU64,
    pub(crate) waits: Waits,
    pub(crate) locks: LockTable,
    pub(crate) row_locks: RowLocks,
    pub(crate) ssi: Ssi,
    next_owner: AtomicU64,
}

impl TransactionManager {
    /// After recovery: nothing runs but what is prepared ([`crate::Work::restore`] says whose it is).
    pub fn new(state: &RecoveredState) -> Self {
        let next = state.next.max(Xid::FIRST);
        let aborted = state.aborted.iter().chain(&state.running).copied();
        let mut prepared = state.prepared.clone();
        prepared.sort_unstable();
        let of_no_one =
            |xid: Xid| RunningXid { xid, owner: OwnerId::default(), committing: false, logged: None };
        let mut list = Vec::with_capacity(64);
        list.extend(prepared.iter().copied().map(of_no_one));
        Self {
            running: Mutex::new(Running {
                next,
                list,
                last_ended: Xid(next.0 - 1),
                current: None,
                logged: 0,
                last_logged: Xid(next.0 - 1),
                last_place: 0,
                current_logged: None,
                alive: VecDeque::new(),
            }),
            outcomes: Outcomes::new(next, aborted, prepared.iter().copied()),
            horizon: AtomicU64::new(prepared.first().copied().unwrap_or(next).0),
            waits: Waits::default(),
            locks: LockTable::default(),
            row_locks: RowLocks::default(),
            ssi: Ssi::default(),
            next_owner: AtomicU64::new(OwnerId::FIRST_FREE),
        }
    }

    pub(crate) fn new_owner(&self) -> OwnerId {
        OwnerId(self.next_owner.fetch_add(1, Ordering::Relaxed))
    }

    /// The next id, for `owner`.
    pub(crate) fn assign(&self, owner: OwnerId) -> Xid {
        let mut r = self.running.lock();
        let xid = r.next;
        self.outcomes.prepare(xid);
        r.next = Xid(xid.0 + 1);
        r.list.push(RunningXid { xid, owner, committing: false, logged: None });
        xid
    }

    /// The snapshot of now.
    #[inline]
    pub fn snapshot(&self) -> Arc<SnapshotData> {
        let mut r = self.running.lock();
        if let Some(s) = &r.current {
            return s.clone();
        }
        let xmax = Xid(r.last_ended.0 + 1);
        let running: Vec<Xid> = r.list.iter().map(|x| x.xid).take_while(|x| *x < xmax).collect();
        let xmin = running.first().copied().unwrap_or(xmax);
        let s = Arc::new(SnapshotData { xmin, xmax, running: running.into() });
        r.current = Some(s.clone());
        r.alive.push_back(Arc::downgrade(&s));
        self.horizon.store(horizon(&mut r).0, Ordering::Release);
        s
    }

    /// The snapshot of now, with everything whose commit record has its place in the log.
    #[cold]
    pub(crate) fn logged_snapshot(&self) -> Arc<SnapshotData> {
        let mut r = self.running.lock();
        if let Some(s) = &r.current_logged {
            return s.clone();
        }
        let xmax = Xid(r.last_ended.max(r.last_logged).0 + 1);
        let among = r.list.iter().take_while(|x| x.xid < xmax);
        let running: Vec<Xid> = among.filter(|x| x.logged.is_none()).map(|x| x.xid).collect();
        // As of an ordinary snapshot: that of the living ones must not fall.
        let xmin = r.list.first().map_or(xmax, |x| x.xid.min(xmax));
        let s = Arc::new(SnapshotData { xmin, xmax, running: running.into() });
        r.current_logged = Some(s.clone());
        r.alive.push_back(Arc::downgrade(&s));
        s
    }

    /// A serializable transaction reads a row. To be called under the page's latch.
    pub fn serial_row_read(&self, snapshot: &Snapshot, rel: RelId, tid: Tid) {
        self.ssi.read_row(snapshot.serial, rel, tid);
    }
    /// A serializable transaction is about to read a heap from end to end.
    pub fn serial_heap_read(&self, snapshot: &Snapshot, rel: RelId) {
        self.ssi.read_whole(snapshot.serial, rel);
    }
    /// A serializable transaction is about to read a stretch of an index: from `low` to `high`, both included, and all keys
    /// that `high` is a prefix of.
    pub fn serial_range_read(&self, snapshot: &Snapshot, index: RelId, low: &[u8], high: Option<&[u8]>) {
        self.ssi.read_range(snapshot.serial, index, low, high);
    }
    /// A serializable transaction met work that its snapshot does not show.
    pub fn serial_read_around(&self, snapshot: &Snapshot, xid: Xid) -> Result<(), StorageError> {
        if self.outcome(xid) == Outcome::Aborted {
            return Ok(());
        }
        self.ssi.read_around(snapshot.serial, xid)
    }
    /// A serializable transaction has changed a row or (without `tid`) added one.
    pub fn serial_row_written(&self, me: SerialId, rel: RelId, tid: Option<Tid>) -> Result<(), StorageError> {
        self.ssi.wrote_row(me, rel, tid)
    }
    /// A serializable transaction has added an index entry.
    pub fn serial_key_written(&self, me: SerialId, index: RelId, key: &[u8]) -> Result<(), StorageError> {
        self.ssi.wrote_key(me, index, key)
    }

    /// Everything before this id has ended and is known by every snapshot to have ended. May lag behind.
    #[inline]
    pub fn horizon(&self) -> Xid {
        Xid(self.horizon.load(Ordering::Acquire))
    }

    /// As [`TransactionManager::horizon`], as of now.
    pub fn fresh_horizon(&self) -> Xid {
        let mut r = self.running.lock();
        let h = horizon(&mut r);
        self.horizon.store(h.0, Ordering::Release);
        h
    }

    /// The first id that was not given out.
    pub fn next(&self) -> Xid {
        self.running.lock().next
    }

    /// How a transaction ended.
    #[inline]
    pub fn outcome(&self, xid: Xid) -> Outcome {
        self.outcomes.get(xid)
    }

    /// How a transaction ended; to have its commit record's place in the log is to have committed.
    #[inline]
    pub fn logged_outcome(&self, xid: Xid) -> Outcome {
        self.outcomes.get_logged(xid)
    }

    /// Announces that a commit record for these ids is about to be logged.
    pub fn set_committing(&self, xids: &[Xid]) {
        let mut r = self.running.lock();
        for x in r.list.iter_mut().filter(|x| xids.contains(&x.xid)) {
            x.committing = true;
        }
    }

    /// Ids whose commit record may be in the log although they count as running.
    pub fn committing(&self) -> Vec<Xid> {
        self.running.lock().list.iter().filter(|x| x.committing).map(|x| x.xid).collect()
    }

    /// Is one of these still running?
    pub fn any_running(&self, xids: &[Xid]) -> bool {
        self.running.lock().list.iter().any(|x| xids.contains(&x.xid))
    }

    /// Ends ids, all at once for every snapshot. A commit must be in the log.
    pub(crate) fn end(&self, owner: OwnerId, xids: &[Xid], committed: bool) {
        if xids.is_empty() {
            return;
        }
        let mut r = self.running.lock();
        for x in xids {
            self.outcomes.set(*x, committed);
            r.last_ended = r.last_ended.max(*x);
        }
        let logged = r.logged;
        r.list.retain(|x| !xids.contains(&x.xid));
        if logged > 0 {
            r.logged = r.list.iter().filter(|x| x.logged.is_some()).count();
        }
        (r.current, r.current_logged) = (None, None);
        drop(r);
        self.waits.released(owner);
    }

    /// The commit record of these ids ends at `place` in the log. Transactions that wait to change the same rows go on: their
    /// own commit records stand behind it, so they last only if it does.
    pub(crate) fn logged(&self, owner: OwnerId, xids: &[Xid], place: Place) {
        let mut r = self.running.lock();
        for x in r.list.iter_mut().filter(|x| xids.contains(&x.xid)) {
            x.logged = Some(place);
        }
        for x in xids {
            self.outcomes.set_logged(*x);
            r.last_logged = r.last_logged.max(*x);
        }
        r.logged += xids.len();
        r.last_place = r.last_place.max(place);
        r.current_logged = None;
        drop(r);
        self.waits.released(owner);
    }

    /// The log is durable up to `place`: everyone sees the logged commits up to there, all at once. What one of them rests on
    /// is logged before it and thus seen with it. Nothing else of them ends here.
    pub(crate) fn show_logged(&self, place: Place) {
        let mut r = self.running.lock();
        if r.logged == 0 {
            return;
        }
        let Running { list, last_ended, logged, .. } = &mut *r;
        list.retain(|x| {
            let durable = x.logged.is_some_and(|p| p <= place);
            if durable {
                self.outcomes.set(x.xid, true);
                *last_ended = x.xid.max(*last_ended);
                *logged -= 1;
            }
            !durable
        });
        (r.current, r.current_logged) = (None, None);
    }

    /// Where the last of the logged commits ends.
    pub(crate) fn last_place(&self) -> Place {
        self.running.lock().last_place
    }

    /// The ids belong to another owner from now on.
    pub(crate) fn give_ids_to(&self, new: OwnerId, xids: &[Xid]) {
        let mut r = self.running.lock();
        for x in r.list.iter_mut().filter(|x| xids.contains(&x.xid)) {
            x.owner = new;
        }
    }

    pub(crate) fn owner_of(&self, xid: Xid) -> Option<OwnerId> {
        let r = self.running.lock();
        r.list.binary_search_by_key(&xid, |x| x.xid).ok().and_then(|i| r.list.get(i)).map(|x| x.owner)
    }

    /// Waits until `xid` has ended or may have.
    pub fn wait_for(&self, me: OwnerId, xid: Xid, options: &WaitOptions) -> Result<(), StorageError> {
        self.waits.wait(me, WaitsFor::Transaction(xid), options, || self.owner_of(xid).into_iter().collect())
    }

    /// Likewise, but its commit's place in the log is enough.
    pub fn wait_for_logged(&self, me: OwnerId, xid: Xid, options: &WaitOptions) -> Result<(), StorageError> {
        self.waits.wait(me, WaitsFor::Transaction(xid), options, || {
            let running = self.logged_outcome(xid) == Outcome::InProgress;
            self.owner_of(xid).filter(|_| running).into_iter().collect()
        })
    }

    /// The sessions (by process number) that a session waits for; 0: a transaction of no session.
    pub fn blocking_processes(&self, process: i32) -> Vec<i32> {
        self.waits.blockers(OwnerId::session(process)).into_iter().map(OwnerId::process).collect()
    }

    /// The sessions whose transactions keep a session's READ ONLY DEFERRABLE one from a safe snapshot.
    pub fn snapshot_blocking_processes(&self, process: i32) -> Vec<i32> {
        self.ssi.blockers(OwnerId::session(process)).into_iter().map(OwnerId::process).collect()
    }

    /// Lets waiting transactions look at their cancel flags.
    pub fn wake_canceled(&self) {
        self.waits.poke_all();
    }

    /// What a checkpoint saves.
    pub fn state(&self) -> RecoveredState {
        let r = self.running.lock();
        RecoveredState {
            next: r.next,
            running: r.list.iter().map(|x| x.xid).collect(),
            prepared: Vec::new(),
            aborted: self.outcomes.aborted(r.next),
        }
    }

    /// How many old aborted ids are remembered.
    pub fn remembered(&self) -> usize {
        self.outcomes.remembered()
    }

    /// Forgets aborted ids before `before`: vacuum has removed what they left behind everywhere.
    pub fn forget_aborted(&self, before: Xid) {
        self.outcomes.forget_aborted(before);
    }
}

fn horizon(r: &mut Running) -> Xid {
    while r.alive.front().is_some_and(|w| w.strong_count() == 0) {
        r.alive.pop_front();
    }
    let of_snapshots = r.alive.front().and_then(Weak::upgrade).map_or(r.next, |s| s.xmin);
    let of_running = r.list.first().map_or(r.next, |x| x.xid);
    of_snapshots.min(of_running)
}
