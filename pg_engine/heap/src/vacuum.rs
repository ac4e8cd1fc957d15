//! Removing what no one can see from a whole heap.

use alloc::{collections::BTreeSet, vec::Vec};
use core::sync::atomic::Ordering;

use pg_buffer_manager::WriteGuard;
use pg_page::{Tid, Xid, ops::Ops, slotted, slotted::Slot};
use pg_transaction::Outcome;

use crate::{
    heap::{Heap, Result, XMAX_FLAGS, write_xmax},
    overflow::{self, KIND_OVERFLOW},
    tuple::{self, Header, LOCK_ONLY, OVERFLOW},
};

/// What a vacuum did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VacuumStats {
    /// Heap pages looked at.
    pub pages: u32,
    /// Row versions removed.
    pub removed: u64,
    /// Row versions that remain.
    pub remaining: u64,
    /// Index entries removed.
    pub index_entries_removed: u64,
    /// Heap pages passed over, because everyone sees all of them.
    pub skipped: u32,
}

/// What the first pass over a heap found.
#[derive(Debug, Default)]
pub struct Collected {
    /// Dead slots, ascending: index entries that point to them must go.
    pub dead: Vec<Tid>,
    /// Numbers so far.
    pub stats: VacuumStats,
    /// Overflow pages in use.
    used: BTreeSet<u32>,
    /// Overflow pages with their writers.
    overflow: Vec<(u32, Xid)>,
    /// Some chain could not be followed to its end: what looks unused may be in use.
    unsure: bool,
}

impl Heap<'_> {
    /// First pass: prunes every page and collects dead slots. `pace` is called with the number of each page looked at, and may end it.
    pub fn collect_dead(&self, mut pace: impl FnMut(u32) -> Result<()>) -> Result<Collected> {
        let mut found = Collected::default();
        let horizon = self.engine.transactions.fresh_horizon();
        let mut skipped = Vec::new();
        for block in self.all_blocks() {
            if self.rel.visible.get(block) {
                skipped.push(block);
                continue;
            }
            self.engine.pool.wal().throttle()?;
            self.collect_page(block, horizon, &mut found)?;
            pace(block)?;
        }
        found.stats.skipped = skipped.len() as u32;
        if !found.overflow.is_empty() {
            // Which chains are in use only the rows tell.
            for block in skipped {
                self.collect_chains(block, &mut found)?;
                pace(block)?;
            }
        }
        Ok(found)
    }

    fn collect_page(&self, block: u32, horizon: Xid, found: &mut Collected) -> Result<()> {
        let mut guard = self.engine.pool.write_passing(self.rel, block)?;
        found.stats.pages += 1;
        if guard.kind() == KIND_OVERFLOW {
            found.overflow.push((block, Xid(guard.u64_at(32))));
        }
        if guard.kind() != slotted::KIND_HEAP {
            return Ok(());
        }
        found.stats.removed += u64::from(self.prune_now(&mut guard, Xid::NONE));
        self.clear_void_xmax(&mut guard, horizon);
        let mut stubs = Vec::new();
        for slot in 1..=slotted::count(&guard) {
            match slotted::get(&guard, slot) {
                Slot::Dead => found.dead.push(Tid { block, slot }),
                Slot::Normal { .. } => {
                    found.stats.remaining += 1;
                    if let Some((_, h, payload)) = tuple::at(&guard, slot)
                        && h.has(OVERFLOW)
                    {
                        stubs.push(payload.to_vec());
                    }
                }
                Slot::Redirect(_) | Slot::Unused => {}
            }
        }
        self.note_space(block, &guard);
        self.note_visible(block, &mut guard, horizon);
        drop(guard);
        self.follow_chains(&stubs, found);
        Ok(())
    }

    /// Notes the pages of chains.
    fn follow_chains(&self, stubs: &[Vec<u8>], found: &mut Collected) {
        for stub in stubs {
            // A row that was removed since has a chain that may be gone; or the device could not read one of its pages.
            let walked = overflow::walk(self, stub, |b, _| {
                found.used.insert(b);
            });
            found.unsure |= walked.is_err();
        }
    }

    /// Notes that everyone sees all of the page, if that is so.
    fn note_visible(&self, block: u32, guard: &mut WriteGuard<'_>, horizon: Xid) {
        if !self.all_visible(guard, horizon) {
            return;
        }
        self.rel.visible.set(block);
        if self.engine.pool.wal().settled() {
            let flags = guard.flags() | pg_page::FLAG_ALL_VISIBLE;
            guard.hint_mut().set_flags(flags);
        }
    }

    /// Notes the overflow chains of a page's rows.
    fn collect_chains(&self, block: u32, found: &mut Collected) -> Result<()> {
        let page = self.engine.pool.read(self.rel, block)?;
        let stubs: Vec<Vec<u8>> = (1..=slotted::count(&page))
            .filter_map(|slot| tuple::at(&page, slot))
            .filter(|(_, h, _)| page.kind() == slotted::KIND_HEAP && h.has(OVERFLOW))
            .map(|(_, _, payload)| payload.to_vec())
            .collect();
        drop(page);
        self.follow_chains(&stubs, found);
        Ok(())
    }

    /// Takes away every xmax whose transaction aborted or only locked: then its outcome may be forgotten.
    fn clear_void_xmax(&self, guard: &mut WriteGuard<'_>, horizon: Xid) {
        let mut ops = Ops::new();
        for slot in 1..=slotted::count(guard) {
            let Some((at, h, _)) = tuple::at(guard, slot) else { continue };
            let void = h.has(LOCK_ONLY) || self.engine.transactions.outcome(h.xmax) == Outcome::Aborted;
            if h.xmax.is_some() && h.xmax < horizon && void {
                let flags = h.flags & !XMAX_FLAGS;
                write_xmax(&mut ops, at, &Header { xmax: Xid::NONE, flags, ..h });
            }
        }
        if !ops.as_bytes().is_empty() {
            self.change(Xid::NONE, &mut [(guard, &ops)]);
        }
    }

    /// Second pass, when no index entry points to the dead slots any more: frees them, and overflow chains without a row.
    pub fn free_dead(&self, found: &Collected, horizon: Xid) -> Result<()> {
        let mut rest = found.dead.as_slice();
        while let Some(first) = rest.first() {
            let n = rest.iter().take_while(|t| t.block == first.block).count();
            let (now, later) = rest.split_at(n);
            rest = later;
            self.engine.pool.wal().throttle()?;
            let mut guard = self.engine.pool.write(self.rel, first.block)?;
            let actions: Vec<(u16, u16)> = now
                .iter()
                .filter(|t| slotted::get(&guard, t.slot) == Slot::Dead)
                .map(|t| (t.slot, slotted::TO_UNUSED))
                .collect();
            if actions.is_empty() {
                continue;
            }
            let mut ops = Ops::new();
            ops.prune(&actions);
            self.change(Xid::NONE, &mut [(&mut guard, &ops)]);
            let flags = guard.flags() | pg_page::FLAG_UNUSED_SLOTS;
            guard.hint_mut().set_flags(flags);
            self.note_space(first.block, &guard);
            self.note_visible(first.block, &mut guard, horizon);
        }
        let unused = |(b, w): &&(u32, Xid)| !found.unsure && !found.used.contains(b) && *w < horizon;
        for (block, writer) in found.overflow.iter().filter(unused) {
            self.engine.pool.wal().throttle()?;
            let mut guard = self.engine.pool.write(self.rel, *block)?;
            if guard.kind() != KIND_OVERFLOW || Xid(guard.u64_at(32)) != *writer {
                continue;
            }
            let mut ops = Ops::new();
            ops.format(slotted::KIND_HEAP);
            self.change(Xid::NONE, &mut [(&mut guard, &ops)]);
            self.note_space(*block, &guard);
        }
        if found.stats.skipped == 0 {
            self.rel.live.store(found.stats.remaining as i64, Ordering::Relaxed);
        }
        self.rel.dead.store(0, Ordering::Relaxed);
        self.rel.vacuumed.fetch_max(horizon.0, Ordering::AcqRel);
        Ok(())
    }
}
