//! Emptied leaves: out of the tree, onto the free list, and back into use.
//!
//! A leaf that vacuum left empty is taken out in one log record: its left neighbour leads past it, its right neighbour takes
//! over what it covered, the parent loses a link, and the meta page gets it as the head of the free list. Who
//! was on the way to it (a scan between two pages, a descent) still finds it, marked, and goes right. It is used again only when all
//! transactions and snapshots of that time have ended.
//!
//! The last child of a parent stays where it is: its range would pass to another parent's child. Inner pages stay too.

use pg_buffer_manager::WriteGuard;
use pg_page::{Xid, ops::Ops};
use pg_transaction::{Isolation, Work};

use crate::{
    index::{Index, Result},
    node::{DELETED, Draft, FLAGS_AT, FREED_AT, KIND_BTREE, NEXT_FREE_AT, NONE, Node, RIGHT_AT, link_ops},
};

/// Where the meta page has the first free page (0: none) and their number.
const META_FREE: usize = 48;
const META_FREE_COUNT: usize = 52;

/// A page taken from the free list, and what takes it off there.
pub(crate) struct Recycled<'a> {
    pub block: u32,
    pub page: WriteGuard<'a>,
    pub meta: WriteGuard<'a>,
    pub meta_ops: Ops,
}

impl<'a> Index<'a> {
    /// Takes an empty leaf out of the tree. False: it stays, because it is in use or its surroundings do not allow it.
    pub(crate) fn take_out(&self, block: u32) -> Result<bool> {
        self.engine.pool.wal().throttle()?;
        if self.true_root()?.1 == 0 {
            return Ok(false);
        }
        let left_block = Node(&*self.read(block, 0)?).left();
        let mut left = match left_block {
            NONE => None,
            l => Some(self.write(l, 0)?),
        };
        if let Some(l) = &left
            && (Node(l).flags() != 0 || Node(l).right() != block)
        {
            return Ok(false);
        }
        let mut page = self.write(block, 0)?;
        let node = Node(&page);
        let Some((key, tid)) = node.high().map(|(k, t)| (k.to_vec(), t)) else { return Ok(false) };
        if node.flags() != 0 || node.count() != 0 || node.left() != left_block || node.right() == NONE {
            return Ok(false);
        }
        let right_block = node.right();
        let mut right = self.write(right_block, 0)?;
        if Node(&right).is_deleted() || Node(&right).left() != block {
            return Ok(false);
        }
        let mut parent = self.leaf_for_write(&key, tid, 1, Xid::NONE)?;
        let up = Node(&parent);
        let i = up.lower_bound(&key, tid);
        let linked = i > 0 && i < up.count() && up.child(i) == right_block && up.child(i - 1) == block;
        if !linked || up.tid(i) != tid || up.key(i) != key.as_slice() {
            return Ok(false);
        }
        let mut up_ops = Ops::new();
        up.absorb_ops(&mut up_ops, i);
        let copy = right.clone();
        let low = Node(&page).draft().low;
        let mut wider = Draft { left: left_block, low, ..Node(&copy).draft() };
        if !wider.fits() {
            wider.low.clear();
        }
        let right_ops = wider.ops();
        let mut meta = self.engine.pool.write(self.rel, 0)?;
        let (head, count) = (meta.u32_at(META_FREE), meta.u32_at(META_FREE_COUNT));
        let mut page_ops = Ops::new();
        page_ops.write(FLAGS_AT, &[DELETED]);
        page_ops.write(FREED_AT, &self.engine.transactions.next().0.to_le_bytes());
        link_ops(&mut page_ops, NEXT_FREE_AT, head);
        // What stands there counts as used, so that an image of the page has it.
        page_ops.write(24, &((NEXT_FREE_AT + 4) as u16).to_le_bytes());
        let mut meta_ops = Ops::new();
        link_ops(&mut meta_ops, META_FREE, block);
        link_ops(&mut meta_ops, META_FREE_COUNT, count.saturating_add(1));
        let pool = &self.engine.pool;
        match &mut left {
            Some(left) => {
                let mut left_ops = Ops::new();
                link_ops(&mut left_ops, RIGHT_AT, right_block);
                pool.change(
                    Xid::NONE,
                    &mut [
                        (left, &left_ops),
                        (&mut page, &page_ops),
                        (&mut right, &right_ops),
                        (&mut parent, &up_ops),
                        (&mut meta, &meta_ops),
                    ],
                );
            }
            None => {
                pool.change(
                    Xid::NONE,
                    &mut [
                        (&mut page, &page_ops),
                        (&mut right, &right_ops),
                        (&mut parent, &up_ops),
                        (&mut meta, &meta_ops),
                    ],
                );
            }
        }
        Ok(true)
    }

    /// Uses up a transaction id: who begins to write from now on does not count among those who may be on the way to the pages
    /// taken out.
    pub(crate) fn pass_an_id(&self) {
        let mut work = Work::new(self.engine.transactions.clone(), Isolation::ReadCommitted);
        work.writing_xid();
        work.end(true);
    }

    /// A free page that nobody can be on the way to any more.
    pub(crate) fn recycle(&self) -> Result<Option<Recycled<'a>>> {
        let pool = &self.engine.pool;
        if pool.read(self.rel, 0)?.u32_at(META_FREE) == 0 {
            return Ok(None);
        }
        let meta = pool.write(self.rel, 0)?;
        let (block, count) = (meta.u32_at(META_FREE), meta.u32_at(META_FREE_COUNT));
        if block == 0 {
            return Ok(None);
        }
        let page = pool.write(self.rel, block)?;
        if page.kind() != KIND_BTREE || !Node(&page).is_deleted() {
            return Err(self.broken(block, "a page on the free list of the index is in use"));
        }
        let freed = Xid(page.u64_at(FREED_AT));
        let transactions = &self.engine.transactions;
        if transactions.horizon() <= freed && transactions.fresh_horizon() <= freed {
            return Ok(None);
        }
        let mut meta_ops = Ops::new();
        link_ops(&mut meta_ops, META_FREE, page.u32_at(NEXT_FREE_AT));
        link_ops(&mut meta_ops, META_FREE_COUNT, count.saturating_sub(1));
        Ok(Some(Recycled { block, page, meta, meta_ops }))
    }

    /// The free pages, by the list. An error names what is wrong with it.
    pub(crate) fn free_list(&self) -> Result<alloc::vec::Vec<u32>> {
        let (head, count) = {
            let meta = self.engine.pool.read(self.rel, 0)?;
            (meta.u32_at(META_FREE), meta.u32_at(META_FREE_COUNT))
        };
        let mut list = alloc::vec::Vec::new();
        let mut block = head;
        while block != 0 {
            if list.len() > count as usize {
                return Err(self.broken(0, "the free list of the index is longer than it says"));
            }
            let page = self.engine.pool.read(self.rel, block)?;
            if page.kind() != KIND_BTREE || !Node(&page).is_deleted() {
                return Err(self.broken(block, "a page on the free list of the index is in use"));
            }
            list.push(block);
            block = page.u32_at(NEXT_FREE_AT);
        }
        match list.len() == count as usize {
            true => Ok(list),
            false => Err(self.broken(0, "the free list of the index is shorter than it says")),
        }
    }

    /// Number of pages on the free list.
    pub fn free_pages(&self) -> Result<u32> {
        Ok(self.engine.pool.read(self.rel, 0)?.u32_at(META_FREE_COUNT))
    }
}
