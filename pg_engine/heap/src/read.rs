//! Reading rows.

use pg_page::{CommandId, FLAG_ALL_VISIBLE, Page, Tid, Xid, slotted, slotted::Slot};
use pg_transaction::{Outcome, Snapshot, Work};

use crate::{
    heap::{Heap, Result},
    overflow,
    tuple::{self, HEAP_ONLY, Header, OVERFLOW},
};

/// What a row's version says of the transactions that made it and ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowMarks {
    /// Who made it.
    pub xmin: Xid,
    /// Who deleted, replaced or locked it; none: no one.
    pub xmax: Xid,
    /// Command of xmin.
    pub cmin: CommandId,
    /// Command of xmax.
    pub cmax: CommandId,
    /// Where the version is that replaced it; itself: nowhere.
    pub next: Tid,
}

impl Heap<'_> {
    /// Hands a payload out, assembled if need be.
    pub(crate) fn give<R>(&self, header: &Header, payload: &[u8], f: impl FnOnce(&[u8]) -> R) -> Result<R> {
        if header.has(OVERFLOW) { Ok(f(&overflow::load(self, payload)?)) } else { Ok(f(payload)) }
    }

    /// Gives the version at or behind `tid` that the snapshot sees.
    #[inline]
    pub fn fetch<R>(
        &self,
        tid: Tid,
        snapshot: &Snapshot,
        f: impl FnOnce(Tid, &[u8]) -> R,
    ) -> Result<Option<R>> {
        if tid.block >= self.rel.blocks() {
            return Ok(None);
        }
        let page = self.engine.pool.read(self.rel, tid.block)?;
        let mut slot = tuple::resolve(&page, tid.slot);
        let Some((_, mut header, _)) = tuple::at(&page, slot) else { return Ok(None) };
        for _ in 0..slotted::MAX_SLOTS {
            let visible = header.visible(snapshot, &self.engine.transactions);
            if snapshot.serial().is_some() {
                self.watch(&header, snapshot, visible.then_some(Tid { block: tid.block, slot }))?;
            }
            if visible {
                let Some((_, _, payload)) = tuple::at(&page, slot) else { return Ok(None) };
                return self.give(&header, payload, |p| f(Tid { block: tid.block, slot }, p)).map(Some);
            }
            match tuple::next_in_chain(&page, &header) {
                Some((s, next)) => (slot, header) = (s, next),
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// A serializable transaction looks at a version; it sees it if `seen` names it.
    #[cold]
    fn watch(&self, header: &Header, snapshot: &Snapshot, seen: Option<Tid>) -> Result<()> {
        if let Some(tid) = seen {
            self.engine.transactions.serial_row_read(snapshot, self.rel.id, tid);
        }
        self.watch_around(header, snapshot, seen.is_some())
    }

    /// Notes whose work the snapshot does not show.
    fn watch_around(&self, header: &Header, snapshot: &Snapshot, visible: bool) -> Result<()> {
        let writer = match visible {
            true if header.is_doomed() => header.xmax,
            true => return Ok(()),
            false => header.xmin,
        };
        if snapshot.is_own(writer) || snapshot.data().ended(writer) {
            return Ok(());
        }
        self.engine.transactions.serial_read_around(snapshot, writer)
    }

    /// Gives exactly the version at `tid`, whoever sees it.
    pub fn fetch_version<R>(&self, tid: Tid, f: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        if tid.block >= self.rel.blocks() {
            return Ok(None);
        }
        let page = self.engine.pool.read(self.rel, tid.block)?;
        match tuple::at(&page, tid.slot) {
            Some((_, header, payload)) => self.give(&header, payload, f).map(Some),
            None => Ok(None),
        }
    }

    /// Who made the version at `tid`, and who ended it. None if there is none.
    pub fn marks(&self, tid: Tid) -> Result<Option<RowMarks>> {
        if tid.block >= self.rel.blocks() {
            return Ok(None);
        }
        let page = self.engine.pool.read(self.rel, tid.block)?;
        Ok(tuple::at(&page, tid.slot).map(|(_, h, _)| RowMarks {
            xmin: h.xmin,
            xmax: h.xmax,
            cmin: h.cmin,
            cmax: h.cmax,
            next: h.next,
        }))
    }

    /// Gives the rows of a page that the snapshot sees.
    pub fn scan_page(&self, block: u32, snapshot: &Snapshot, mut row: impl FnMut(Tid, &[u8])) -> Result<()> {
        let page = self.engine.pool.read_passing(self.rel, block)?;
        if page.kind() != slotted::KIND_HEAP {
            return Ok(());
        }
        let transactions = &self.engine.transactions;
        let known = page.flags() & FLAG_ALL_VISIBLE != 0 || self.rel.visible.get(block);
        let horizon = transactions.horizon();
        let mut all_visible = true;
        for slot in 1..=slotted::count(&page) {
            let Some((_, header, payload)) = tuple::at(&page, slot) else {
                all_visible &= !matches!(slotted::get(&page, slot), Slot::Normal { .. } | Slot::Dead);
                continue;
            };
            if !known {
                all_visible &= header.xmin < horizon && !header.xmax.is_some();
                let visible = header.visible(snapshot, transactions);
                if snapshot.serial().is_some() {
                    self.watch_around(&header, snapshot, visible)?;
                }
                if !visible {
                    all_visible = false;
                    continue;
                }
            }
            self.give(&header, payload, |p| row(Tid { block, slot }, p))?;
        }
        if all_visible {
            // The latch keeps changes out. Vacuum will pass over the page: what room it has is noted now.
            if !self.rel.visible.get(block) {
                self.rel.visible.set(block);
                self.note_space(block, &page);
            }
        }
        // A hint may reach the device before a commit that nobody waited for.
        if all_visible && !known && self.engine.pool.wal().settled() {
            let lsn = page.lsn();
            drop(page);
            if let Some(mut page) = self.engine.pool.try_write(self.rel, block)
                && page.lsn() == lsn
            {
                let flags = page.flags() | FLAG_ALL_VISIBLE;
                page.hint_mut().set_flags(flags);
            }
        }
        Ok(())
    }

    /// Is everything on the page visible to every snapshot, and does no index entry lead to a slot without a row?
    pub(crate) fn all_visible(&self, page: &Page, horizon: Xid) -> bool {
        page.kind() == slotted::KIND_HEAP
            && (1..=slotted::count(page)).all(|slot| match slotted::get(page, slot) {
                Slot::Dead => false,
                Slot::Unused | Slot::Redirect(_) => true,
                Slot::Normal { .. } => tuple::at(page, slot).is_some_and(|(_, h, _)| {
                    h.xmin < horizon
                        && !h.xmax.is_some()
                        && self.engine.transactions.outcome(h.xmin) == Outcome::Committed
                }),
            })
    }

    /// Rows to index: the live version of each row with its chain's first tid. True if there were versions that only
    /// older snapshots see: a new index does not lead to them.
    pub fn scan_page_for_index(&self, block: u32, mut row: impl FnMut(Tid, &[u8])) -> Result<bool> {
        let mut skipped = false;
        let page = self.engine.pool.read_passing(self.rel, block)?;
        if page.kind() != slotted::KIND_HEAP {
            return Ok(false);
        }
        let horizon = self.engine.transactions.fresh_horizon();
        for root in 1..=slotted::count(&page) {
            let first = tuple::resolve(&page, root);
            let Some((_, mut header, mut payload)) = tuple::at(&page, first) else { continue };
            if first == root && header.has(HEAP_ONLY) {
                continue;
            }
            for _ in 0..slotted::MAX_SLOTS {
                if self.is_live(&header) {
                    self.give(&header, payload, |p| row(Tid { block, slot: root }, p))?;
                } else {
                    skipped |= !header.dead(horizon, &self.engine.transactions);
                }
                match self.follow(&page, &header) {
                    Some((h, p)) => (header, payload) = (h, p),
                    None => break,
                }
            }
        }
        Ok(skipped)
    }

    /// The versions of a page's rows that the snapshot sees, each with its chain's first tid: what an index that is made while
    /// others write must lead to.
    pub fn scan_page_roots(
        &self,
        block: u32,
        snapshot: &Snapshot,
        mut row: impl FnMut(Tid, &[u8]),
    ) -> Result<()> {
        let page = self.engine.pool.read(self.rel, block)?;
        if page.kind() != slotted::KIND_HEAP {
            return Ok(());
        }
        for root in 1..=slotted::count(&page) {
            let first = tuple::resolve(&page, root);
            let Some((_, mut header, mut payload)) = tuple::at(&page, first) else { continue };
            if first == root && header.has(HEAP_ONLY) {
                continue;
            }
            for _ in 0..slotted::MAX_SLOTS {
                if header.visible(snapshot, &self.engine.transactions) {
                    self.give(&header, payload, |p| row(Tid { block, slot: root }, p))?;
                    break;
                }
                match self.follow(&page, &header) {
                    Some((h, p)) => (header, payload) = (h, p),
                    None => break,
                }
            }
        }
        Ok(())
    }

    fn follow<'p>(&self, page: &'p Page, header: &Header) -> Option<(Header, &'p [u8])> {
        let (slot, next) = tuple::next_in_chain(page, header)?;
        tuple::at(page, slot).map(|(_, _, payload)| (next, payload))
    }

    /// Was it inserted and not deleted, as far as is known now (work in progress counts as done)?
    fn is_live(&self, header: &Header) -> bool {
        let transactions = &self.engine.transactions;
        transactions.outcome(header.xmin) != Outcome::Aborted
            && (!header.is_doomed() || transactions.outcome(header.xmax) == Outcome::Aborted)
    }

    /// State of the row behind an index entry, for unique checks.
    pub fn liveness(&self, work: &Work, tid: Tid) -> Result<Liveness> {
        if tid.block >= self.rel.blocks() {
            return Ok(Liveness::Dead);
        }
        let page = self.engine.pool.read(self.rel, tid.block)?;
        let slot = tuple::resolve(&page, tid.slot);
        let Some((_, mut header, _)) = tuple::at(&page, slot) else { return Ok(Liveness::Dead) };
        for _ in 0..slotted::MAX_SLOTS {
            match work.outcome(header.xmin) {
                Outcome::Aborted => return Ok(Liveness::Dead),
                Outcome::InProgress if !work.is_own(header.xmin) => {
                    return Ok(Liveness::InProgress(header.xmin));
                }
                Outcome::InProgress | Outcome::Committed => {}
            }
            if !header.is_doomed() {
                return Ok(Liveness::Live);
            }
            match work.outcome(header.xmax) {
                Outcome::Aborted => return Ok(Liveness::Live),
                Outcome::InProgress if !work.is_own(header.xmax) => {
                    return Ok(Liveness::InProgress(header.xmax));
                }
                Outcome::InProgress | Outcome::Committed => {}
            }
            match tuple::next_in_chain(&page, &header) {
                Some((_, next)) => header = next,
                None => return Ok(Liveness::Dead),
            }
        }
        Ok(Liveness::Dead)
    }
}

/// What a unique check needs to know about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It is there.
    Live,
    /// It is gone for good.
    Dead,
    /// That depends on how this transaction ends.
    InProgress(pg_page::Xid),
}
