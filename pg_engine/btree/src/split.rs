//! Splitting pages.

use alloc::vec::Vec;

use pg_buffer_manager::WriteGuard;
use pg_page::{StorageError, Tid, Xid, ops::Ops};

use crate::{
    index::{Index, Result},
    node::{Draft, FLAGS_AT, INCOMPLETE, Item, KIND_BTREE, LEFT_AT, NONE, Node, link_ops, separator},
};

impl<'a> Index<'a> {
    /// Splits a full page; `draft` is what it is to hold, a new item included. `last`: that one is at the end.
    pub(crate) fn split(
        &self,
        mut page: WriteGuard<'a>,
        draft: Draft<'_>,
        last: bool,
        xid: Xid,
    ) -> Result<()> {
        let longest = draft.items.iter().map(|i| i.key(draft.level).len()).max().unwrap_or(0);
        let n = choose(&draft, last).ok_or(StorageError::KeyTooBig { size: longest, max: crate::MAX_KEY })?;
        let (left_items, right_items) = draft.items.split_at(n);
        let (Some(last), Some(first)) = (left_items.last(), right_items.first()) else {
            return Err(self.broken(page.block(), "a full page with one item"));
        };
        let fence = separator(*last, *first, draft.level);
        let pool = &self.engine.pool;
        let mut neighbour = match draft.right {
            NONE => None,
            right => Some(self.write(right, draft.level)?),
        };
        let (right_block, mut right_page, mut meta) = match self.recycle()? {
            Some(r) => (r.block, r.page, Some((r.meta, r.meta_ops))),
            None => {
                let (block, page) = pool.extend(&self.engine.directory, self.rel, KIND_BTREE, xid)?;
                (block, page, None)
            }
        };
        let right = Draft {
            left: page.block(),
            flags: draft.flags,
            low: fence_key(&fence).to_vec(),
            items: right_items.to_vec(),
            ..draft.clone()
        };
        let left = Draft {
            right: right_block,
            flags: draft.flags | INCOMPLETE,
            high: fence,
            items: left_items.to_vec(),
            ..draft.clone()
        };
        let (left_ops, right_ops) = (left.ops(), right.ops());
        let mut link = Ops::new();
        link_ops(&mut link, LEFT_AT, right_block);
        let mut pages = alloc::vec![(&mut page, &left_ops), (&mut right_page, &right_ops)];
        pages.extend(neighbour.as_mut().map(|n| (n, &link)));
        pages.extend(meta.as_mut().map(|(meta, ops)| (meta, &*ops)));
        pool.change(xid, &mut pages);
        drop(pages);
        drop(meta);
        drop(neighbour);
        drop(right_page);
        self.complete_split(page, xid)
    }

    /// Gives the right half of a split its link in the parent.
    pub(crate) fn complete_split(&self, mut left: WriteGuard<'a>, xid: Xid) -> Result<()> {
        let (level, right) = (Node(&left).level(), Node(&left).right());
        let Some((key, tid)) = Node(&left).high().map(|(k, t)| (k.to_vec(), t)) else {
            return Err(self.broken(left.block(), "an incomplete split without a right half"));
        };
        let mut done = Ops::new();
        done.write(FLAGS_AT, &[Node(&left).flags() & !INCOMPLETE]);
        let mut item = key.clone();
        item.extend_from_slice(&crate::node::tid_bytes(tid));
        item.extend_from_slice(&right.to_le_bytes());
        // Whoever puts a root above a page holds that page: this cannot change meanwhile.
        if self.true_root()?.0 == left.block() {
            return self.grow(left, &done, &item, xid);
        }
        let mut parent = self.leaf_for_write(&key, tid, level + 1, xid)?;
        let node = Node(&parent);
        let i = node.lower_bound(&key, tid);
        if i < node.count() && node.child(i) == right {
            self.engine.pool.change(xid, &mut [(&mut left, &done)]);
            return Ok(());
        }
        if node.has_room(key.len()) {
            let mut ops = Ops::new();
            let tail = item.get(key.len()..).unwrap_or(&[]);
            node.insert_ops(&mut ops, i, &key, tail);
            self.engine.pool.change(xid, &mut [(&mut left, &done), (&mut parent, &ops)]);
            return Ok(());
        }
        let copy = parent.clone();
        let mut draft = Node(&copy).draft();
        draft.items.insert(i, Item::single(&item));
        let last = i + 1 == draft.items.len();
        self.split(parent, draft, last, xid)?;
        self.engine.pool.change(xid, &mut [(&mut left, &done)]);
        Ok(())
    }

    /// Puts a new root above a page that was the root and its new right half.
    fn grow(&self, mut left: WriteGuard<'a>, done: &Ops, item: &[u8], xid: Xid) -> Result<()> {
        let pool = &self.engine.pool;
        let level = Node(&left).level() + 1;
        let (block, mut root) = pool.extend(&self.engine.directory, self.rel, KIND_BTREE, xid)?;
        let mut first = crate::node::tid_bytes(Tid::MIN).to_vec();
        first.extend_from_slice(&left.block().to_le_bytes());
        let draft = Draft {
            level,
            flags: 0,
            left: NONE,
            right: NONE,
            high: Vec::new(),
            low: Vec::new(),
            items: alloc::vec![Item::single(&first), Item::single(item)],
        };
        let mut meta = pool.write(self.rel, 0)?;
        let mut link = Ops::new();
        Self::root_ops(&mut link, block, level);
        pool.change(xid, &mut [(&mut left, done), (&mut root, &draft.ops()), (&mut meta, &link)]);
        drop(meta);
        self.true_root()?;
        Ok(())
    }
}

fn fence_key(fence: &[u8]) -> &[u8] {
    fence.get(..fence.len().saturating_sub(6)).unwrap_or(&[])
}

/// How many items stay on the left. Appending at the right end of the level leaves the left page full, so that
/// ascending insertion fills pages.
fn choose(draft: &Draft<'_>, last: bool) -> Option<usize> {
    let items = &draft.items;
    let total = Draft::size_of(items);
    let room = Draft::ROOM;
    let appending = draft.right == NONE && last;
    let mut best: Option<(usize, usize)> = None;
    let mut left = 0;
    for i in 1..items.len() {
        let (Some(prev), Some(next)) = (items.get(i - 1), items.get(i)) else { break };
        left += Draft::size_of(&[*prev]);
        let right = total - left + draft.high.len();
        // Only candidates that may win pay for their separator.
        let cost = if appending { right } else { left.abs_diff(right) };
        if best.is_some_and(|(_, b)| b <= cost) || right > room {
            continue;
        }
        if left + separator(*prev, *next, draft.level).len() <= room {
            best = Some((i, cost));
        }
    }
    best.map(|(i, _)| i)
}
