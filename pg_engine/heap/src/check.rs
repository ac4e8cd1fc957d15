//! Checking a heap's pages, also while others use them.

use alloc::{boxed::Box, vec::Vec};

use hashbrown::HashMap;
use pg_page::{PAGE_SIZE, Page, StorageError, Tid, slotted, slotted::Slot};
use pg_transaction::Snapshot;

use crate::{
    heap::{Heap, Result},
    overflow,
    tuple::{self, HEAP_ONLY, HOT_UPDATED, Header, OVERFLOW},
};

/// What is wrong with a page of a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeapFault {
    /// The bounds of its free space make no sense.
    Bounds,
    /// An item lies outside.
    Item,
    /// An item is shorter than a row version's header.
    Short,
    /// A redirect leads to no row version.
    Redirect,
    /// A version names a transaction that has not begun.
    Future,
    /// A large row's chain is broken, or its length is wrong.
    Chain,
    /// A page of a large row's chain belongs to another row too.
    SharedChain,
    /// The visibility map says that everyone sees all of the page, which is not so.
    Visibility,
}

impl core::fmt::Display for HeapFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Bounds => "bounds of free space",
            Self::Item => "item out of bounds",
            Self::Short => "item too short",
            Self::Redirect => "redirect to nowhere",
            Self::Future => "row version of a transaction that has not begun",
            Self::Chain => "broken overflow chain",
            Self::SharedChain => "overflow page of two rows",
            Self::Visibility => "page wrongly marked as visible to everyone",
        })
    }
}

/// What stands behind a tid of an index entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// No slot that may be pointed to.
    Nothing,
    /// A slot whose versions are gone; vacuum has yet to remove the entry.
    Dead,
    /// Row versions.
    Versions,
}

/// Which row has which overflow page.
pub type Chains = HashMap<u32, Tid>;

impl Heap<'_> {
    fn copy(&self, block: u32) -> Result<Box<Page>> {
        let guard = self.engine.pool.read(self.rel, block)?;
        Ok(Box::new(Page::clone(&guard)))
    }

    /// Checks one page's items and the chains of its large rows.
    pub fn check_page(
        &self,
        block: u32,
        chains: &mut Chains,
        report: &mut dyn FnMut(u16, HeapFault),
    ) -> Result<()> {
        let (page, marked) = {
            let guard = self.engine.pool.read(self.rel, block)?;
            // The latch keeps the bit and the page as they belong together.
            (Box::new(Page::clone(&guard)), self.rel.visible.get(block))
        };
        if marked && !self.all_visible(&page, self.engine.transactions.fresh_horizon()) {
            report(0, HeapFault::Visibility);
        }
        if page.kind() != slotted::KIND_HEAP {
            return Ok(());
        }
        let (lower, upper) = (slotted::lower(&page), slotted::upper(&page));
        if lower < slotted::SLOTS || lower > upper || upper > PAGE_SIZE {
            report(0, HeapFault::Bounds);
            return Ok(());
        }
        for slot in 1..=slotted::count(&page) {
            match slotted::get(&page, slot) {
                Slot::Normal { at, len } if at < upper || at + len > PAGE_SIZE => {
                    report(slot, HeapFault::Item);
                }
                Slot::Normal { .. } => match tuple::at(&page, slot) {
                    Some((_, header, payload)) => {
                        if let Some(fault) = self.version_fault(&header, payload, block, slot, chains)? {
                            report(slot, fault);
                        }
                    }
                    None => report(slot, HeapFault::Short),
                },
                Slot::Redirect(to) if !matches!(slotted::get(&page, to), Slot::Normal { .. }) => {
                    report(slot, HeapFault::Redirect);
                }
                Slot::Redirect(_) | Slot::Dead | Slot::Unused => {}
            }
        }
        Ok(())
    }

    fn version_fault(
        &self,
        header: &Header,
        payload: &[u8],
        block: u32,
        slot: u16,
        chains: &mut Chains,
    ) -> Result<Option<HeapFault>> {
        // Asked now: the version was read before.
        let next = self.engine.transactions.next();
        if header.xmin >= next || header.xmax >= next || !header.xmin.is_some() {
            return Ok(Some(HeapFault::Future));
        }
        if !header.has(OVERFLOW) {
            return Ok(None);
        }
        let mut pages = Vec::new();
        let mut bytes = 0;
        let fault = match overflow::walk(self, payload, |block, data| {
            pages.push(block);
            bytes += data.len();
        }) {
            Ok(len) if len == bytes => None,
            Ok(_) | Err(StorageError::Corrupt { .. }) => Some(HeapFault::Chain),
            Err(e) => return Err(e),
        };
        let me = Tid { block, slot };
        let shared = pages.iter().any(|p| chains.get(p).is_some_and(|owner| *owner != me));
        let fault = fault.or(shared.then_some(HeapFault::SharedChain));
        if fault.is_some() && !self.is_still(me, header, payload)? {
            // Vacuum was here meanwhile.
            return Ok(None);
        }
        for p in pages {
            chains.insert(p, me);
        }
        Ok(fault)
    }

    /// Is the version still there, as it was?
    fn is_still(&self, tid: Tid, header: &Header, payload: &[u8]) -> Result<bool> {
        let page = self.copy(tid.block)?;
        Ok(tuple::at(&page, tid.slot)
            .is_some_and(|(_, h, p)| h.xmin == header.xmin && h.cmin == header.cmin && p == payload))
    }

    /// Gives the version that the snapshot sees of each row on a page, with the tid its index entries have. The page is copied first: `row` may do what it likes.
    pub fn visible_roots(
        &self,
        block: u32,
        snapshot: &Snapshot,
        mut row: impl FnMut(Tid, &[u8]),
    ) -> Result<()> {
        let page = self.copy(block)?;
        if page.kind() != slotted::KIND_HEAP {
            return Ok(());
        }
        for root in 1..=slotted::count(&page) {
            let mut slot = tuple::resolve(&page, root);
            let Some((_, mut header, _)) = tuple::at(&page, slot) else { continue };
            if slot == root && header.has(HEAP_ONLY) {
                continue;
            }
            for _ in 0..slotted::MAX_SLOTS {
                if header.visible(snapshot, &self.engine.transactions) {
                    if let Some((_, _, payload)) = tuple::at(&page, slot) {
                        self.give(&header, payload, |p| row(Tid { block, slot: root }, p))?;
                    }
                    break;
                }
                match tuple::next_in_chain(&page, &header) {
                    Some((s, next)) => (slot, header) = (s, next),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Gives every version behind a tid that an index entry has, whoever sees it.
    pub fn versions_behind(&self, tid: Tid, mut version: impl FnMut(&[u8])) -> Result<Behind> {
        if tid.block >= self.rel.blocks() {
            return Ok(Behind::Nothing);
        }
        let page = self.copy(tid.block)?;
        if page.kind() != slotted::KIND_HEAP {
            return Ok(Behind::Nothing);
        }
        let mut slot = match slotted::get(&page, tid.slot) {
            Slot::Unused => return Ok(Behind::Nothing),
            Slot::Dead => return Ok(Behind::Dead),
            Slot::Redirect(to) => to,
            Slot::Normal { .. } => tid.slot,
        };
        let Some((_, mut header, mut payload)) = tuple::at(&page, slot) else { return Ok(Behind::Nothing) };
        if slot == tid.slot && header.has(HEAP_ONLY) {
            return Ok(Behind::Nothing);
        }
        for _ in 0..slotted::MAX_SLOTS {
            match self.give(&header, payload, &mut version) {
                Ok(()) => {}
                // A large value that no one sees any more may be gone.
                Err(StorageError::Corrupt { .. }) if header.has(OVERFLOW) => return Ok(Behind::Dead),
                Err(e) => return Err(e),
            }
            // Versions that an aborted transaction made count too: their entries are removed by vacuum only.
            let next = header.next.slot;
            if !header.has(HOT_UPDATED) {
                break;
            }
            match tuple::at(&page, next) {
                Some((_, h, p)) if h.has(HEAP_ONLY) && next != slot => (slot, header, payload) = (next, h, p),
                _ => break,
            }
        }
        Ok(Behind::Versions)
    }
}
