//! Changing rows.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU32, Ordering};

use pg_buffer_manager::{BufferPool, WriteGuard};
use pg_page::{
    FLAG_UNUSED_SLOTS, Page, StorageError, Tid, Xid,
    ops::Ops,
    slotted::{self, Slot},
};
use pg_transaction::{Outcome, RowGrant, RowKey, RowLock, TransactionManager, Work};
use pg_volume::{Directory, Relation};
use platform::bug::{Bug, planted};

use crate::{
    overflow, prune,
    space::FreeSpace,
    tuple::{self, HEADER, HEAP_ONLY, HOT_UPDATED, Header, KEYS_CHANGED, LOCK_ONLY, UPDATED},
};

pub(crate) type Result<T> = core::result::Result<T, StorageError>;

/// Longest payload that lies on the row's own page.
pub(crate) const MAX_INLINE: usize = slotted::MAX_ITEM - HEADER;
/// Longest payload.
pub const MAX_PAYLOAD: usize = (1 << 30) - 1;
/// Bytes of a page that inserts leave to updates.
const RESERVE: usize = pg_page::PAGE_SIZE / 10;

/// What to do when another transaction holds the row or lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitPolicy {
    /// Wait for it (lock timeout, cancel flag and deadlock detection apply).
    Block,
    /// [`pg_page::StorageError::LockNotAvailable`] at once (NOWAIT).
    Error,
    /// [`RowOutcome::WouldBlock`] at once (SKIP LOCKED).
    Skip,
}

/// What an update changes beside the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touched {
    /// No indexed column: index entries may go on pointing to the row's first version.
    Nothing,
    /// An indexed column, but none that a foreign key could refer to.
    Indexed,
    /// A key: a column of a unique index that is neither partial nor over expressions.
    Key,
}

/// What became of an update, delete or lock of a row version.
///
/// On `ConcurrentlyUpdated` a READ COMMITTED statement fetches `latest` (`heap_fetch_version`), evaluates its condition again and
/// tries again with that tid; a REPEATABLE READ statement fails with 40001, "could not serialize access due to
/// concurrent update" (or "delete").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOutcome {
    /// Done.
    Done {
        /// The new version (update), or the version itself (delete, lock).
        tid: Tid,
        /// The new version needs no index entries.
        hot: bool,
    },
    /// Another transaction updated the row and committed.
    ConcurrentlyUpdated {
        /// The version that replaced it.
        latest: Tid,
    },
    /// Another transaction deleted the row and committed.
    ConcurrentlyDeleted,
    /// This transaction itself changed the row in this command or a later one.
    SelfModified,
    /// The row is locked and [`WaitPolicy::Skip`] was asked for.
    WouldBlock,
}

/// What heaps are made with.
#[derive(Clone)]
pub struct Engine {
    /// Pages.
    pub pool: Arc<BufferPool>,
    /// Relations.
    pub directory: Arc<Directory>,
    /// Transactions.
    pub transactions: Arc<TransactionManager>,
}

/// A page with so many replaced versions, and half as many as it has slots, is pruned by the next update although it has
/// room: chains stay short, and looking at every row of the page pays.
const MANY_DOOMED: u16 = 12;

/// What is kept in memory for a heap between calls.
#[derive(Default)]
pub struct HeapState {
    pub(crate) space: FreeSpace,
    /// Bytes of a page that inserts leave to updates, plus one; 0: [`RESERVE`].
    reserve: AtomicU32,
}

impl HeapState {
    /// How full inserts make pages, in percent; None: as it is by default.
    pub fn set_fill_factor(&self, percent: Option<u8>) {
        let reserve =
            percent.map_or(0, |p| pg_page::PAGE_SIZE as u32 * (100 - u32::from(p.min(100))) / 100 + 1);
        self.reserve.store(reserve, Ordering::Relaxed);
    }
    #[inline]
    fn reserve(&self) -> usize {
        match self.reserve.load(Ordering::Relaxed) {
            0 => RESERVE,
            n => n as usize - 1,
        }
    }
    /// About how much room each page has, to be saved.
    pub fn saved_space(&self) -> Vec<u8> {
        self.space.saved()
    }
    /// Takes up what was saved.
    pub fn restore_space(&self, pages: Vec<u8>) {
        self.space.restore(pages);
    }
}

/// A heap in use.
#[derive(Clone, Copy)]
pub struct Heap<'a> {
    /// Means.
    pub engine: &'a Engine,
    /// Storage.
    pub rel: &'a Relation,
    /// Memory.
    pub state: &'a HeapState,
}

/// Whether a version may be changed.
enum Verdict {
    Free,
    Wait(Xid),
    /// Others hold row locks that are not in the row.
    Locked,
    Outcome(RowOutcome),
}

/// Flags of a header that tell what its xmax means.
pub(crate) const XMAX_FLAGS: u16 = LOCK_ONLY | UPDATED | HOT_UPDATED | KEYS_CHANGED | tuple::LOCK_MODE;
/// From so many row locks on, a transaction notes them in the rows, where they cost no memory.
const MANY_ROW_LOCKS: usize = 100_000;

impl<'a> Heap<'a> {
    fn pool(&self) -> &'a BufferPool {
        &self.engine.pool
    }

    /// Changes pages. The only way to do so: they are not known to be visible to everyone any more.
    pub(crate) fn change(&self, xid: Xid, pages: &mut [(&mut WriteGuard<'_>, &Ops)]) {
        for (page, _) in pages.iter() {
            self.rel.visible.clear(page.block());
        }
        self.pool().change(xid, pages);
    }

    /// Adds a row.
    pub fn insert(&self, work: &mut Work, payload: &[u8]) -> Result<Tid> {
        let mut tid = Tid::NONE;
        self.insert_many(work, &[payload], |t| tid = t)?;
        Ok(tid)
    }

    /// Adds rows; one latch and one log record per page.
    pub fn insert_many(&self, work: &mut Work, payloads: &[&[u8]], mut each: impl FnMut(Tid)) -> Result<()> {
        let who = work.owner().0;
        let xid = work.writing_xid();
        let fresh = Header::new(xid, work.command(), 0);
        let mut rest = payloads;
        while let Some(first) = rest.first() {
            self.pool().wal().throttle()?;
            if first.len() > MAX_INLINE {
                let stub = overflow::store(self, xid, first)?;
                let header = Header { flags: tuple::OVERFLOW, ..fresh };
                let (block, mut guard) = self.page_with_room(who, HEADER + stub.len(), xid)?;
                self.append(xid, block, &mut guard, &header, &[&stub], &mut each);
                rest = rest.get(1..).unwrap_or(&[]);
                continue;
            }
            let (block, mut guard) = self.page_with_room(who, HEADER + first.len(), xid)?;
            let n = fitting(&guard, rest, self.state.reserve());
            let (now, later) = rest.split_at(n.max(1));
            self.append(xid, block, &mut guard, &fresh, now, &mut each);
            rest = later;
        }
        self.rel.live.fetch_add(payloads.len() as i64, Ordering::Relaxed);
        work.count(self.rel.id, payloads.len() as i64, 0);
        Ok(())
    }

    /// Writes versions to a page that has room for them.
    fn append(
        &self,
        xid: Xid,
        block: u32,
        guard: &mut WriteGuard<'_>,
        header: &Header,
        payloads: &[&[u8]],
        each: &mut impl FnMut(Tid),
    ) {
        let mut ops = Ops::new();
        let mut room = Room::of(guard);
        for p in payloads {
            let slot = room.add(guard, &mut ops, header, p);
            each(Tid { block, slot });
        }
        room.finish(&mut ops);
        self.change(xid, &mut [(guard, &ops)]);
    }

    /// A page with room for an item of `len` bytes and its slot.
    fn page_with_room(&self, who: u64, len: usize, xid: Xid) -> Result<(u32, WriteGuard<'a>)> {
        let space = &self.state.space;
        let need = len + slotted::SLOT_SIZE;
        // The reserve counts only while a page has other rows.
        let fits = |g: &WriteGuard<'_>| {
            let gap = slotted::gap(g);
            usize::from(slotted::count(g)) < slotted::MAX_SLOTS
                && g.kind() == slotted::KIND_HEAP
                && (gap >= need + self.state.reserve() || (gap >= need && slotted::count(g) == 0))
        };
        let last = self.rel.blocks().checked_sub(1);
        let mut candidate = space.target(who).or(last);
        for _ in 0..4 {
            let Some(block) = candidate.filter(|b| *b < self.rel.blocks()) else { break };
            let mut guard = self.pool().write(self.rel, block)?;
            if fits(&guard) {
                space.set_target(who, block);
                return Ok((block, guard));
            }
            if guard.kind() == slotted::KIND_HEAP && self.prune_page(&mut guard, xid) > 0 && fits(&guard) {
                space.set_target(who, block);
                return Ok((block, guard));
            }
            // A smaller row may fit.
            self.note_space(block, &guard);
            drop(guard);
            candidate = space.take(need + self.state.reserve());
        }
        let (block, guard) = self.pool().extend(&self.engine.directory, self.rel, slotted::KIND_HEAP, xid)?;
        space.set_target(who, block);
        Ok((block, guard))
    }

    /// Removes versions from a page that no one can see, if the page's hint says that there may be some.
    pub(crate) fn prune_page(&self, guard: &mut WriteGuard<'_>, xid: Xid) -> u32 {
        let hint = Xid(guard.u64_at(slotted::HINT));
        let transactions = &self.engine.transactions;
        if !hint.is_some() || (hint >= transactions.horizon() && hint >= transactions.fresh_horizon()) {
            return 0;
        }
        self.prune_now(guard, xid)
    }

    pub(crate) fn prune_now(&self, guard: &mut WriteGuard<'_>, xid: Xid) -> u32 {
        let plan = prune::plan(guard, self.engine.transactions.horizon(), &self.engine.transactions);
        guard.hint_mut().set_hint(0);
        if plan.actions.is_empty() {
            return 0;
        }
        let mut ops = Ops::new();
        ops.prune(&plan.actions);
        self.change(xid, &mut [(guard, &ops)]);
        let oldest = oldest_doom(guard);
        let page = guard.hint_mut();
        page.put(slotted::HINT, &oldest.0.to_le_bytes());
        page.set_flags(page.flags() | FLAG_UNUSED_SLOTS);
        let _ = self.rel.dead.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |d| {
            Some((d - i64::from(plan.removed)).max(0))
        });
        plan.removed
    }

    fn key(&self, tid: Tid, header: &Header) -> RowKey {
        RowKey { rel: self.rel.id, tid, xmin: header.xmin }
    }

    /// May the version be locked in this mode (or, with `change`, changed)? Looks at the row alone.
    fn judge(&self, work: &Work, header: &Header, mode: RowLock, change: bool) -> Verdict {
        if work.is_own(header.xmin) {
            if header.cmin >= work.command() && header.xmax == Xid::NONE && change {
                return Verdict::Outcome(RowOutcome::SelfModified);
            }
        } else if work.outcome(header.xmin) != Outcome::Committed {
            return Verdict::Outcome(RowOutcome::ConcurrentlyDeleted);
        }
        if !header.xmax.is_some() {
            return Verdict::Free;
        }
        self.judge_xmax(work, header, mode, change)
    }

    fn judge_xmax(&self, work: &Work, header: &Header, mode: RowLock, change: bool) -> Verdict {
        use RowOutcome::{ConcurrentlyDeleted, ConcurrentlyUpdated, Done, SelfModified};
        let held = header.lock_mode();
        if work.is_own(header.xmax) {
            return match (header.has(LOCK_ONLY), change) {
                (true, false) if held >= mode => Verdict::Outcome(Done { tid: Tid::NONE, hot: false }),
                (true, _) => Verdict::Free,
                (false, _) => Verdict::Outcome(SelfModified),
            };
        }
        match work.outcome(header.xmax) {
            Outcome::InProgress if held.excludes(mode) => Verdict::Wait(header.xmax),
            Outcome::InProgress | Outcome::Aborted => Verdict::Free,
            Outcome::Committed if header.has(LOCK_ONLY) => Verdict::Free,
            // The key is still the same, and that is all that is asked for.
            Outcome::Committed if !change && !held.excludes(mode) => Verdict::Free,
            Outcome::Committed if header.has(UPDATED) => {
                Verdict::Outcome(ConcurrentlyUpdated { latest: header.next })
            }
            Outcome::Committed => Verdict::Outcome(ConcurrentlyDeleted),
        }
    }

    /// May the version be changed, row locks considered? Its page is latched for writing.
    #[inline]
    fn judge_change(&self, work: &Work, tid: Tid, header: &Header, mode: RowLock) -> Verdict {
        let verdict = self.judge(work, header, mode, true);
        let transactions = &self.engine.transactions;
        if matches!(verdict, Verdict::Free)
            && transactions.row_locks_exist()
            && transactions.row_is_locked(work.owner(), &self.key(tid, header), mode)
        {
            return Verdict::Locked;
        }
        verdict
    }

    /// Does what the policy says about a row that others hold. Some: the outcome.
    fn wait(
        &self,
        work: &Work,
        tid: Tid,
        header: &Header,
        holder: Option<Xid>,
        mode: RowLock,
        policy: WaitPolicy,
    ) -> Result<Option<RowOutcome>> {
        let (transactions, options) = (&self.engine.transactions, work.wait_options());
        match (policy, holder) {
            (WaitPolicy::Error, _) => return Err(StorageError::LockNotAvailable),
            (WaitPolicy::Skip, _) => return Ok(Some(RowOutcome::WouldBlock)),
            (WaitPolicy::Block, Some(xid)) => work.wait_for(xid)?,
            (WaitPolicy::Block, None) => {
                transactions.wait_for_row(work.owner(), &self.key(tid, header), mode, options)?;
            }
        }
        Ok(None)
    }

    /// Latches the version's page once the version may be changed; waits for others who hold it.
    fn claim(
        &self,
        work: &Work,
        tid: Tid,
        mode: RowLock,
    ) -> Result<core::result::Result<(WriteGuard<'a>, usize, Header), RowOutcome>> {
        loop {
            self.pool().wal().throttle()?;
            let guard = self.pool().write(self.rel, tid.block)?;
            let Some((at, header, _)) = tuple::at(&guard, tid.slot) else {
                return Ok(Err(RowOutcome::ConcurrentlyDeleted));
            };
            let holder = match self.judge_change(work, tid, &header, mode) {
                Verdict::Free if planted(Bug::LatchReleasedEarly) => {
                    drop(guard);
                    platform::task::yield_now();
                    return Ok(Ok((self.pool().write(self.rel, tid.block)?, at, header)));
                }
                Verdict::Free => return Ok(Ok((guard, at, header))),
                Verdict::Outcome(o) => return Ok(Err(o)),
                Verdict::Wait(xid) => Some(xid),
                Verdict::Locked => None,
            };
            drop(guard);
            if let Some(outcome) = self.wait(work, tid, &header, holder, mode, WaitPolicy::Block)? {
                return Ok(Err(outcome));
            }
        }
    }

    /// Row locks on a version that is being replaced or deleted: what its header notes moves to the table, and what others hold
    /// passes to the successor.
    #[inline]
    fn keep_locks(&self, work: &mut Work, tid: Tid, old: &Header, xid: Xid, next: Option<Tid>) {
        if old.xmax.is_some() && old.has(LOCK_ONLY) && old.xmax != xid {
            self.move_lock(work, tid, old);
        }
        if let Some(next) = next
            && self.engine.transactions.row_locks_exist()
        {
            let to = RowKey { rel: self.rel.id, tid: next, xmin: xid };
            self.engine.transactions.carry_row_locks(work.owner(), &self.key(tid, old), to);
        }
    }

    #[cold]
    fn move_lock(&self, work: &mut Work, tid: Tid, old: &Header) {
        let (key, mode) = (self.key(tid, old), old.lock_mode());
        if work.is_own(old.xmax) {
            work.keep_row_lock(key, mode);
        } else if self.engine.transactions.outcome(old.xmax) == Outcome::InProgress {
            self.engine.transactions.adopt_row_lock(old.xmax, key, mode);
        }
    }

    /// Deletes a row version.
    pub fn delete(&self, work: &mut Work, tid: Tid) -> Result<RowOutcome> {
        let xid = work.writing_xid();
        let (mut guard, at, old) = match self.claim(work, tid, RowLock::Update)? {
            Ok(claimed) => claimed,
            Err(outcome) => return Ok(outcome),
        };
        self.keep_locks(work, tid, &old, xid, None);
        let flags = old.flags & !XMAX_FLAGS | KEYS_CHANGED;
        let new = Header { xmax: xid, cmax: work.command(), flags, ..old };
        let mut ops = Ops::new();
        write_xmax(&mut ops, at, &new);
        self.change(xid, &mut [(&mut guard, &ops)]);
        note_doom(&mut guard, xid);
        self.rel.live.fetch_sub(1, Ordering::Relaxed);
        self.rel.dead.fetch_add(1, Ordering::Relaxed);
        work.count(self.rel.id, 0, 1);
        Ok(RowOutcome::Done { tid, hot: false })
    }

    /// Removes a row that this command itself has added, for good: later commands must not see it either. Does nothing to any
    /// other row.
    pub fn take_back(&self, work: &mut Work, tid: Tid) -> Result<()> {
        let xid = work.writing_xid();
        self.pool().wal().throttle()?;
        let mut guard = self.pool().write(self.rel, tid.block)?;
        let Some((at, old, _)) = tuple::at(&guard, tid.slot) else { return Ok(()) };
        if !work.is_own(old.xmin) || old.is_doomed() {
            return Ok(());
        }
        self.keep_locks(work, tid, &old, xid, None);
        let flags = old.flags & !XMAX_FLAGS | KEYS_CHANGED;
        let mut ops = Ops::new();
        write_xmax(&mut ops, at, &Header { xmax: xid, cmax: work.command(), flags, ..old });
        self.change(xid, &mut [(&mut guard, &ops)]);
        note_doom(&mut guard, xid);
        self.rel.live.fetch_sub(1, Ordering::Relaxed);
        self.rel.dead.fetch_add(1, Ordering::Relaxed);
        work.count(self.rel.id, 0, 1);
        Ok(())
    }

    /// Locks a row version until the transaction (or savepoint level) ends, and the versions that others have made of it
    /// meanwhile without standing in the way.
    pub fn lock(&self, work: &mut Work, tid: Tid, mode: RowLock, policy: WaitPolicy) -> Result<RowOutcome> {
        let done = RowOutcome::Done { tid, hot: false };
        if work.row_locks() >= MANY_ROW_LOCKS && self.note_lock(work, tid, mode)? {
            return Ok(done);
        }
        let (mut at, mut maker) = (tid, None);
        loop {
            let page = self.pool().read(self.rel, at.block)?;
            let header = match (tuple::at(&page, at.slot), maker) {
                (Some((_, h, _)), None) => h,
                (Some((_, h, _)), Some(maker)) if h.xmin == maker => h,
                (None, None) => return Ok(RowOutcome::ConcurrentlyDeleted),
                // Who made the successor was undone.
                (_, Some(_)) => return Ok(done),
            };
            let verdict = match maker {
                None => self.judge(work, &header, mode, false),
                Some(m) if self.engine.transactions.outcome(m) == Outcome::Aborted => return Ok(done),
                Some(_) if header.xmax.is_some() => self.judge_xmax(work, &header, mode, false),
                Some(_) => Verdict::Free,
            };
            let holder = match verdict {
                Verdict::Free if work.lock_row(self.key(at, &header), mode) != RowGrant::Conflict => {
                    match self.successor(work, &header) {
                        Some(next) => (at, maker) = (next, Some(header.xmax)),
                        None => return Ok(done),
                    }
                    continue;
                }
                Verdict::Free | Verdict::Locked => None,
                Verdict::Outcome(RowOutcome::Done { .. }) => return Ok(done),
                Verdict::Outcome(o) => return Ok(o),
                Verdict::Wait(xid) => Some(xid),
            };
            drop(page);
            if let Some(outcome) = self.wait(work, at, &header, holder, mode, policy)? {
                return Ok(outcome);
            }
        }
    }

    /// The version that another transaction made of this one, if it may come to count.
    fn successor(&self, work: &Work, header: &Header) -> Option<Tid> {
        let replaced = header.is_doomed() && header.has(UPDATED) && !work.is_own(header.xmax);
        let counts = replaced && self.engine.transactions.outcome(header.xmax) != Outcome::Aborted;
        counts.then_some(header.next)
    }

    /// Notes a lock in the row's header, if nothing else is noted there. False: it was not.
    fn note_lock(&self, work: &mut Work, tid: Tid, mode: RowLock) -> Result<bool> {
        let xid = work.writing_xid();
        self.pool().wal().throttle()?;
        let mut guard = self.pool().write(self.rel, tid.block)?;
        let Some((at, old, _)) = tuple::at(&guard, tid.slot) else { return Ok(false) };
        let transactions = &self.engine.transactions;
        let in_use = match transactions.outcome(old.xmax) {
            _ if !old.xmax.is_some() => false,
            Outcome::InProgress => true,
            Outcome::Committed => old.is_doomed(),
            Outcome::Aborted => false,
        };
        if in_use
            || !matches!(self.judge(work, &old, mode, false), Verdict::Free)
            || transactions.row_is_locked(work.owner(), &self.key(tid, &old), mode)
        {
            return Ok(false);
        }
        let flags = old.flags & !XMAX_FLAGS | LOCK_ONLY | tuple::lock_mode_flags(mode);
        let mut ops = Ops::new();
        write_xmax(&mut ops, at, &Header { xmax: xid, cmax: work.command(), flags, ..old });
        self.change(xid, &mut [(&mut guard, &ops)]);
        Ok(true)
    }

    /// Replaces a row version.
    pub fn update(&self, work: &mut Work, tid: Tid, payload: &[u8], touched: Touched) -> Result<RowOutcome> {
        let mode = if touched == Touched::Key { RowLock::Update } else { RowLock::NoKeyUpdate };
        let xid = work.writing_xid();
        let stub;
        let (payload, flags) = if payload.len() > MAX_INLINE {
            // Chains that turn out not to be needed are freed by vacuum.
            stub = overflow::store(self, xid, payload)?;
            (stub.as_slice(), tuple::OVERFLOW)
        } else {
            (payload, 0)
        };
        let fresh = Header::new(xid, work.command(), flags);
        let need = HEADER + payload.len() + slotted::SLOT_SIZE;
        loop {
            let (mut guard, at, old) = match self.claim(work, tid, mode)? {
                Ok(claimed) => claimed,
                Err(outcome) => return Ok(outcome),
            };
            let mut at = at;
            let crowded =
                slotted::gap(&guard) < need || guard.hint() >= MANY_DOOMED.max(slotted::count(&guard) / 2);
            if crowded && self.prune_page(&mut guard, xid) > 0 {
                // Items have moved.
                match tuple::at(&guard, tid.slot) {
                    Some((moved, _, _)) => at = moved,
                    None => return Ok(RowOutcome::ConcurrentlyDeleted),
                }
            }
            if slotted::gap(&guard) >= need && slotted::count(&guard) < slotted::MAX_SLOTS as u16 {
                return Ok(self.update_here(work, &mut guard, tid, at, &old, fresh, payload, touched));
            }
            // It must go to another page. Both are latched in order of their numbers, so the first is let go.
            drop(guard);
            let (target, _) = self.page_with_room(work.owner().0, need, xid)?;
            if let Some(outcome) = self.update_elsewhere(work, tid, target, fresh, payload, mode)? {
                return Ok(outcome);
            }
        }
    }

    #[allow(clippy::too_many_arguments)] // one call, all of it already at hand
    fn update_here(
        &self,
        work: &mut Work,
        guard: &mut WriteGuard<'_>,
        tid: Tid,
        at: usize,
        old: &Header,
        fresh: Header,
        payload: &[u8],
        touched: Touched,
    ) -> RowOutcome {
        let hot = touched == Touched::Nothing;
        let mut ops = Ops::new();
        let mut room = Room::of(guard);
        let fresh = Header { flags: fresh.flags | if hot { HEAP_ONLY } else { 0 }, ..fresh };
        let slot = room.add(guard, &mut ops, &fresh, payload);
        room.finish(&mut ops);
        let new_tid = Tid { block: tid.block, slot };
        self.keep_locks(work, tid, old, fresh.xmin, Some(new_tid));
        let kind = match touched {
            Touched::Nothing => HOT_UPDATED,
            Touched::Indexed => 0,
            Touched::Key => KEYS_CHANGED,
        };
        let flags = old.flags & !XMAX_FLAGS | UPDATED | kind;
        let changed = Header { xmax: fresh.xmin, cmax: work.command(), next: new_tid, flags, ..*old };
        write_xmax(&mut ops, at, &changed);
        self.change(fresh.xmin, &mut [(guard, &ops)]);
        note_doom(guard, fresh.xmin);
        self.rel.dead.fetch_add(1, Ordering::Relaxed);
        RowOutcome::Done { tid: new_tid, hot }
    }

    /// Puts the new version on another page. None: that page has no room after all, or the row was changed meanwhile.
    fn update_elsewhere(
        &self,
        work: &mut Work,
        tid: Tid,
        target: u32,
        fresh: Header,
        payload: &[u8],
        mode: RowLock,
    ) -> Result<Option<RowOutcome>> {
        if target == tid.block {
            return Ok(None);
        }
        let (mut from, mut to);
        if tid.block < target {
            from = self.pool().write(self.rel, tid.block)?;
            to = self.pool().write(self.rel, target)?;
        } else {
            to = self.pool().write(self.rel, target)?;
            from = self.pool().write(self.rel, tid.block)?;
        }
        let need = HEADER + payload.len() + slotted::SLOT_SIZE;
        let Some((at, old, _)) = tuple::at(&from, tid.slot) else { return Ok(None) };
        if to.kind() != slotted::KIND_HEAP
            || slotted::gap(&to) < need
            || !matches!(self.judge_change(work, tid, &old, mode), Verdict::Free)
        {
            return Ok(None);
        }
        let (mut from_ops, mut to_ops) = (Ops::new(), Ops::new());
        let mut room = Room::of(&to);
        let slot = room.add(&to, &mut to_ops, &fresh, payload);
        room.finish(&mut to_ops);
        let new_tid = Tid { block: target, slot };
        self.keep_locks(work, tid, &old, fresh.xmin, Some(new_tid));
        let kind = if mode == RowLock::Update { KEYS_CHANGED } else { 0 };
        let flags = old.flags & !XMAX_FLAGS | UPDATED | kind;
        write_xmax(
            &mut from_ops,
            at,
            &Header { xmax: fresh.xmin, cmax: work.command(), next: new_tid, flags, ..old },
        );
        self.change(fresh.xmin, &mut [(&mut from, &from_ops), (&mut to, &to_ops)]);
        note_doom(&mut from, fresh.xmin);
        self.rel.dead.fetch_add(1, Ordering::Relaxed);
        Ok(Some(RowOutcome::Done { tid: new_tid, hot: false }))
    }
}

/// How many payloads, from the front, fit on the page beside the reserve.
fn fitting(page: &Page, payloads: &[&[u8]], reserve: usize) -> usize {
    let mut gap = slotted::gap(page).saturating_sub(reserve);
    let slots = slotted::MAX_SLOTS - usize::from(slotted::count(page));
    payloads
        .iter()
        .take(slots)
        .take_while(|p| {
            let need = HEADER + p.len() + slotted::SLOT_SIZE;
            let fits = gap >= need && p.len() <= MAX_INLINE;
            gap = gap.saturating_sub(need);
            fits
        })
        .count()
}

/// Writes everything from xmax on.
pub(crate) fn write_xmax(ops: &mut Ops, at: usize, header: &Header) {
    let bytes = header.encode();
    ops.write(at + 8, &bytes[8..]);
}

/// Notes on the page that a version may become removable.
fn note_doom(guard: &mut WriteGuard<'_>, xid: Xid) {
    let hint = guard.u64_at(slotted::HINT);
    let page = guard.hint_mut();
    if hint == 0 || hint > xid.0 {
        page.put(slotted::HINT, &xid.0.to_le_bytes());
    }
    page.set_hint(page.hint().saturating_add(1));
}

/// The least xmax on the page that may still remove something.
fn oldest_doom(page: &Page) -> Xid {
    let dooms =
        (1..=slotted::count(page)).filter_map(|s| tuple::at(page, s)).filter(|(_, h, _)| h.is_doomed());
    dooms.map(|(_, h, _)| h.xmax).min().unwrap_or(Xid::NONE)
}

/// Free space of a page being used up.
struct Room {
    lower: usize,
    upper: usize,
    next_unused: u16,
    count: u16,
    reuse: bool,
}

impl Room {
    fn of(page: &Page) -> Self {
        Self {
            lower: slotted::lower(page),
            upper: slotted::upper(page),
            next_unused: 1,
            count: slotted::count(page),
            reuse: page.flags() & FLAG_UNUSED_SLOTS != 0,
        }
    }

    /// Adds a version. The caller has made sure that it fits.
    fn add(&mut self, page: &Page, ops: &mut Ops, header: &Header, payload: &[u8]) -> u16 {
        let len = HEADER + payload.len();
        self.upper -= len;
        let slot = self.slot(page);
        ops.write_parts(self.upper, &[&header.encode(), payload]);
        ops.write(slotted::slot_at(slot), &slotted::encode(Slot::Normal { at: self.upper, len }));
        slot
    }

    fn slot(&mut self, page: &Page) -> u16 {
        if self.reuse {
            while self.next_unused <= slotted::count(page) {
                let slot = self.next_unused;
                self.next_unused += 1;
                if slotted::get(page, slot) == Slot::Unused {
                    return slot;
                }
            }
            self.reuse = false;
        }
        self.count += 1;
        self.lower += slotted::SLOT_SIZE;
        self.count
    }

    fn finish(&self, ops: &mut Ops) {
        let (l, u) = ((self.lower as u16).to_le_bytes(), (self.upper as u16).to_le_bytes());
        ops.write(24, &[l[0], l[1], u[0], u[1]]);
    }
}

impl Heap<'_> {
    /// Tells the free-space map about a page.
    pub(crate) fn note_space(&self, block: u32, page: &Page) {
        if page.kind() == slotted::KIND_HEAP {
            let full = usize::from(slotted::count(page)) >= slotted::MAX_SLOTS;
            self.state.space.note(block, if full { 0 } else { slotted::gap(page) });
        }
    }
    /// Every block.
    pub(crate) fn all_blocks(&self) -> Vec<u32> {
        (0..self.rel.blocks()).collect()
    }
}
