//! Checking a tree's structure, also while others use it.
//!
//! Levels are walked from the root down, each from left to right, one page copied at a time. Splits that happen meanwhile make
//! what was read look inconsistent now and then, so whatever looks wrong is looked at again before it is reported.

use alloc::{boxed::Box, vec::Vec};

use hashbrown::{HashMap, HashSet};
use pg_page::{PAGE_SIZE, Page, StorageError, Tid};

use crate::{
    index::{Index, Result},
    node::{INCOMPLETE, KIND_BTREE, NONE, Node},
};

/// How often a suspicion is looked into again.
const LOOKS: u32 = 4;

/// What is wrong with a page of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeFault {
    /// Another kind of page, or of another level.
    WrongPage,
    /// Slots or items lie outside their bounds.
    Bounds,
    /// The first bytes that a slot repeats are not its key's.
    SlotHead,
    /// Entries are not in order.
    Order,
    /// An entry is not below the high fence.
    BeyondFence,
    /// An entry is below the left neighbour's high fence.
    BelowFence,
    /// A page with a right neighbour needs a high fence, and one without must not have any.
    Fence,
    /// The left link does not lead to the left neighbour.
    LeftLink,
    /// The parent level does not lead to the page.
    NoDownlink,
    /// The parent level leads to a page that is not on the level below.
    WrongDownlink,
    /// A level does not end.
    Endless,
    /// Has entries, and nothing leads to it.
    Unreachable,
    /// The list of free pages is not what it says.
    FreeList,
    /// Was taken out of the tree and is not on the free list.
    NotFree,
}

impl core::fmt::Display for TreeFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::WrongPage => "not a page of this level of the index",
            Self::Bounds => "index items out of bounds",
            Self::SlotHead => "index slot does not match its key",
            Self::Order => "index entries out of order",
            Self::BeyondFence => "index entry beyond the page's high fence",
            Self::BelowFence => "index entry below the left neighbour's high fence",
            Self::Fence => "high fence does not match the right link",
            Self::LeftLink => "left link does not lead to the left neighbour",
            Self::NoDownlink => "no parent page leads to this page",
            Self::WrongDownlink => "a parent page leads here from the wrong place",
            Self::Endless => "index level does not end",
            Self::Unreachable => "index page with entries that nothing leads to",
            Self::FreeList => "list of free index pages is broken",
            Self::NotFree => "deleted index page is not on the free list",
        })
    }
}

/// Checks what can be seen on the page alone.
fn fault_of(page: &Page, level: u8) -> Option<TreeFault> {
    let node = Node(page);
    if page.kind() != KIND_BTREE || node.level() != level {
        return Some(TreeFault::WrongPage);
    }
    if !node.in_bounds() {
        return Some(TreeFault::Bounds);
    }
    if !node.heads_match() {
        return Some(TreeFault::SlotHead);
    }
    if node.high().is_some() == (node.right() == NONE) {
        return Some(TreeFault::Fence);
    }
    let mut last: Option<(&[u8], Tid)> = None;
    for i in 0..node.count() {
        let item = node.item(i);
        let lists = if level == 0 { item.entries() } else { 1 };
        if lists == 0 || (item.list && level > 0) {
            return Some(TreeFault::Bounds);
        }
        for n in 0..lists {
            let tid = if level == 0 { item.tids().nth(n).unwrap_or(Tid::NONE) } else { item.tid(level) };
            let entry = (item.key(level), tid);
            if last.is_some_and(|l| l >= entry) {
                return Some(TreeFault::Order);
            }
            if node.is_beyond(entry.0, entry.1) {
                return Some(TreeFault::BeyondFence);
            }
            last = Some(entry);
        }
    }
    None
}

type Fence = (Vec<u8>, Tid);

/// The page that was walked over last.
struct Left {
    block: u32,
    high: Option<Fence>,
    incomplete: bool,
}

/// Links of the level above: child to fence.
type Links = HashMap<u32, Fence>;

struct Check<'c> {
    report: &'c mut dyn FnMut(u32, TreeFault),
    go_on: &'c mut dyn FnMut() -> bool,
    reached: HashSet<u32>,
}

impl Index<'_> {
    /// Checks order, fences, neighbours and downlinks of every level, and that every page with entries can be reached. Others
    /// may read and write meanwhile. `go_on` is called before every page; false ends the check.
    pub fn check(
        &self,
        report: &mut dyn FnMut(u32, TreeFault),
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        let blocks = self.rel.blocks();
        let (root, top) = self.true_root()?;
        let mut check = Check { report, go_on, reached: HashSet::from([0]) };
        let (mut leftmost, mut links) = (root, None);
        for level in (0..=top).rev() {
            let Some((below, next)) = self.check_level(&mut check, leftmost, level, links.as_ref())? else {
                return Ok(());
            };
            (leftmost, links) = (below, Some(next));
        }
        let Some(free) = self.free_set()? else {
            (check.report)(0, TreeFault::FreeList);
            return Ok(());
        };
        for block in 1..blocks {
            if !check.reached.contains(&block) && !free.contains(&block) {
                if !(check.go_on)() {
                    return Ok(());
                }
                if self.is_lost(block)? {
                    (check.report)(block, TreeFault::Unreachable);
                }
                if self.is_forgotten(block)? {
                    (check.report)(block, TreeFault::NotFree);
                }
            }
        }
        Ok(())
    }

    /// Is this entry in the tree?
    pub fn contains(&self, key: &[u8], tid: Tid) -> Result<bool> {
        let (_, page) = self.leaf(key, tid)?;
        let node = Node(&page);
        let i = node.lower_bound(key, tid);
        // It may be in the middle of the list of the item before.
        Ok((i.saturating_sub(1)..node.count().min(i + 1)).any(|i| {
            let item = node.item(i);
            item.key(0) == key && item.tids().any(|t| t == tid)
        }))
    }

    fn copy(&self, block: u32) -> Result<Box<Page>> {
        let guard = self.engine.pool.read(self.rel, block)?;
        Ok(Box::new(Page::clone(&guard)))
    }

    /// Walks a level. Gives the leftmost page of the level below and all links to it; `None`: ended early, or too broken to go on.
    fn check_level(
        &self,
        check: &mut Check<'_>,
        leftmost: u32,
        level: u8,
        links: Option<&Links>,
    ) -> Result<Option<(u32, Links)>> {
        let (mut block, mut left, mut below) = (leftmost, None::<Left>, Links::new());
        let (mut first_child, mut seen) = (NONE, HashSet::new());
        while block != NONE {
            if !(check.go_on)() {
                return Ok(None);
            }
            if !seen.insert(block) {
                (check.report)(block, TreeFault::Endless);
                return Ok(None);
            }
            check.reached.insert(block);
            let page = match self.copy(block) {
                Ok(page) => page,
                Err(
                    e @ (StorageError::NoSuchRelation(_) | StorageError::Io(_) | StorageError::Read { .. }),
                ) => return Err(e),
                Err(_) => {
                    (check.report)(block, TreeFault::WrongPage);
                    return Ok(None);
                }
            };
            if let Some(fault) = fault_of(&page, level) {
                (check.report)(block, fault);
                if matches!(fault, TreeFault::WrongPage | TreeFault::Bounds) {
                    return Ok(None);
                }
            }
            let node = Node(&page);
            if node.is_deleted() {
                // It was taken out of the tree after its left neighbour was read.
                block = node.right();
                continue;
            }
            if let Some(left) = &left {
                self.check_neighbour(check, left, block, node, links)?;
            } else {
                first_child = if level > 0 { node.child(0) } else { NONE };
                if node.left() != NONE {
                    (check.report)(block, TreeFault::LeftLink);
                }
            }
            if level > 0 {
                for i in 0..node.count() {
                    below.insert(node.child(i), (node.key(i).to_vec(), node.tid(i)));
                }
            }
            left = Some(Left {
                block,
                high: node.high().map(|(k, t)| (k.to_vec(), t)),
                incomplete: node.flags() & INCOMPLETE != 0,
            });
            block = node.right();
        }
        for child in links.into_iter().flat_map(HashMap::keys) {
            if !seen.contains(child) && !self.is_linked(*child, level)? {
                (check.report)(*child, TreeFault::WrongDownlink);
            }
        }
        Ok(Some((first_child, below)))
    }

    /// Checks a page against its left neighbour and its parent.
    fn check_neighbour(
        &self,
        check: &mut Check<'_>,
        left: &Left,
        block: u32,
        node: Node<'_>,
        links: Option<&Links>,
    ) -> Result<()> {
        if node.left() != left.block && !self.adjacent(left.block, block)? {
            (check.report)(block, TreeFault::LeftLink);
        }
        let Some((key, tid)) = &left.high else { return Ok(()) };
        if node.count() > 0 && (node.key(0), node.tid(0)) < (key.as_slice(), *tid) {
            (check.report)(block, TreeFault::BelowFence);
        }
        let Some(links) = links else { return Ok(()) };
        let linked = links.get(&block).is_some_and(|f| f.0 == *key && f.1 == *tid);
        // An incomplete split is completed by the next writer that comes by.
        if !linked && !left.incomplete && !self.has_downlink(key, *tid, node.level(), block, left.block)? {
            (check.report)(block, TreeFault::NoDownlink);
        }
        Ok(())
    }

    /// Is every step right from `from` to `to` matched by a left link?
    fn adjacent(&self, from: u32, to: u32) -> Result<bool> {
        'again: for _ in 0..LOOKS {
            let mut at = from;
            for _ in 0..4096 {
                let right = Node(&*self.copy(at)?).right();
                if right == NONE {
                    continue 'again;
                }
                if Node(&*self.copy(right)?).left() != at {
                    platform::task::yield_now();
                    continue 'again;
                }
                if right == to {
                    return Ok(true);
                }
                at = right;
            }
        }
        Ok(false)
    }

    /// Does the level above hold, or is someone about to put there, the link to a page?
    fn has_downlink(&self, key: &[u8], tid: Tid, level: u8, block: u32, left: u32) -> Result<bool> {
        for _ in 0..LOOKS {
            if self.true_root()?.1 <= level {
                return Ok(false);
            }
            let mut at = self.descend(key, tid, level + 1)?;
            for _ in 0..4096 {
                let page = self.copy(at)?;
                let node = Node(&page);
                if !node.is_beyond(key, tid) {
                    let i = node.lower_bound(key, tid);
                    if i < node.count() && node.child(i) == block {
                        return Ok(true);
                    }
                    break;
                }
                at = node.right();
            }
            let page = self.copy(left)?;
            let node = Node(&page);
            if node.flags() & INCOMPLETE != 0 || node.right() != block {
                return Ok(true);
            }
            platform::task::yield_now();
        }
        Ok(false)
    }

    /// Does its left neighbour lead to a page?
    fn is_linked(&self, block: u32, level: u8) -> Result<bool> {
        for _ in 0..LOOKS {
            let page = self.copy(block)?;
            if page.kind() != KIND_BTREE || Node(&page).level() != level {
                return Ok(false);
            }
            let left = Node(&page).left();
            if left != NONE && Node(&*self.copy(left)?).right() == block {
                return Ok(true);
            }
            platform::task::yield_now();
        }
        Ok(false)
    }

    /// Is `block` where a descent to `(key, tid)` on that level ends up, or on the way right to there?
    fn leads(&self, key: &[u8], tid: Tid, level: u8, block: u32) -> Result<bool> {
        if self.true_root()?.1 < level {
            return Ok(false);
        }
        let mut at = self.descend(key, tid, level)?;
        for _ in 0..4096 {
            if at == block {
                return Ok(true);
            }
            let page = self.copy(at)?;
            if page.kind() != KIND_BTREE || !Node(&page).is_beyond(key, tid) {
                return Ok(false);
            }
            at = Node(&page).right();
        }
        Ok(false)
    }

    /// The free pages; `None`: the list is broken. It may change while it is read.
    fn free_set(&self) -> Result<Option<HashSet<u32>>> {
        for _ in 0..LOOKS {
            match self.free_list() {
                Ok(list) => {
                    let set: HashSet<u32> = list.iter().copied().collect();
                    return Ok((set.len() == list.len()).then_some(set));
                }
                Err(StorageError::Corrupt { .. }) => platform::task::yield_now(),
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    /// Was a page taken out of the tree without being on the free list?
    fn is_forgotten(&self, block: u32) -> Result<bool> {
        for _ in 0..LOOKS {
            let deleted = match self.copy(block) {
                Ok(page) => page.kind() == KIND_BTREE && Node(&page).is_deleted(),
                Err(StorageError::Corrupt { .. }) => false,
                Err(e) => return Err(e),
            };
            if !deleted || self.free_set()?.is_none_or(|free| free.contains(&block)) {
                return Ok(false);
            }
            platform::task::yield_now();
        }
        Ok(true)
    }

    /// Has a page entries that no descent comes to?
    fn is_lost(&self, block: u32) -> Result<bool> {
        for _ in 0..LOOKS {
            let page = match self.copy(block) {
                Ok(page) => page,
                // The check of all pages reports it.
                Err(StorageError::Corrupt { .. }) => return Ok(false),
                Err(e) => return Err(e),
            };
            let node = Node(&page);
            // A page that was added by a split which a crash undid is empty.
            if page.kind() != KIND_BTREE || node.count() == 0 || !node.in_bounds() {
                return Ok(false);
            }
            if self.leads(node.key(0), node.tid(0), node.level(), block)? {
                return Ok(false);
            }
            platform::task::yield_now();
        }
        Ok(true)
    }
}

impl Node<'_> {
    /// Do slots and items lie where they may?
    pub(crate) fn in_bounds(self) -> bool {
        let (lower, upper) = self.bounds();
        lower >= Self::FIRST_SLOT
            && lower <= upper
            && upper <= PAGE_SIZE
            && (0..self.count()).all(|i| {
                let (at, len) = self.place(i);
                at >= upper && at + len <= PAGE_SIZE && len >= self.tail()
            })
    }
}
