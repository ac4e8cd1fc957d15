//! Filling an empty tree from sorted entries, bottom up.

use alloc::vec::Vec;

use pg_page::{StorageError, Tid, Xid, ops::Ops};

use crate::{
    index::{Index, IndexInsert, Result},
    node::{Draft, KIND_BTREE, NONE, Node, Packed, separator, tid_bytes},
    sort::{IndexSorter, Merge},
};

/// Percent of a leaf that are filled.
const FILL: u8 = 90;
/// Bytes of a page above that are filled.
const FILL_ABOVE: usize = Draft::ROOM / 10 * 7;

/// The page of a level that is being filled.
struct Filling {
    block: u32,
    left: u32,
    low: Vec<u8>,
    /// Its low fence, by which the level above will lead to it.
    link: Vec<u8>,
    items: Packed,
}

impl Filling {
    fn new(block: u32, left: u32, fence: &[u8]) -> Self {
        let low = fence.get(..fence.len().saturating_sub(6)).unwrap_or(&[]).to_vec();
        Self { block, left, low, link: fence.to_vec(), items: Packed::new() }
    }
}

struct Builder<'i, 'a> {
    index: &'i Index<'a>,
    levels: Vec<Filling>,
    /// Working storage of a turn.
    spare: Packed,
    /// Bytes of a leaf that are filled.
    fill: usize,
    xid: Xid,
}

/// Which keys two live rows must not share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distinct {
    /// None.
    No,
    /// Keys.
    Whole,
    /// Compared parts of keys that carry more ([`crate::carry`]).
    Compared,
}

impl<'a> Index<'a> {
    /// Fills an empty tree with what sorters hold, leaves up to `fill` percent. Keys of two live rows that are not `distinct` give `Duplicate`. `pause` is
    /// called now and then; its error ends the work.
    pub fn build<E: From<StorageError>>(
        &self,
        xid: Xid,
        sorters: Vec<IndexSorter>,
        (distinct, fill): (Distinct, Option<u8>),
        mut pause: impl FnMut() -> core::result::Result<(), E>,
    ) -> core::result::Result<IndexInsert, E> {
        let (root, level) = self.true_root()?;
        let page = self.read(root, level)?;
        if level != 0 || Node(&page).count() != 0 {
            return Err(StorageError::Unsupported("bulk loading into an index that is not empty").into());
        }
        drop(page);
        let leaf = Filling::new(root, NONE, &tid_bytes(Tid::MIN));
        let fill = Draft::ROOM * usize::from(fill.unwrap_or(FILL).clamp(10, 100)) / 100;
        let mut builder = Builder { index: self, levels: alloc::vec![leaf], spare: Packed::new(), fill, xid };
        let mut merge = Merge::new(sorters)?;
        let mut last = Vec::new();
        let (mut any_live, mut count) = (false, 0u32);
        while let Some(entry) = merge.current() {
            let (head, tail) = (entry.head(), entry.tail());
            let key = [head, tail];
            if distinct != Distinct::No && entry.live() {
                if any_live && is_repeated(&last, key, distinct) {
                    return Ok(IndexInsert::Duplicate { tid: entry.tid() });
                }
                any_live = true;
                last.clear();
                last.extend_from_slice(head);
                last.extend_from_slice(tail);
            }
            builder.add(&key, entry.tid())?;
            merge.advance()?;
            count = count.wrapping_add(1);
            if count.is_multiple_of(8192) {
                pause()?;
            }
        }
        builder.finish()?;
        Ok(IndexInsert::Done)
    }
}

/// Does a key, in two parts, say the same as the one before?
fn is_repeated(last: &[u8], key: [&[u8]; 2], distinct: Distinct) -> bool {
    if distinct == Distinct::Compared {
        let whole = key.concat();
        let part = |k: &'_ [u8]| crate::batch::carried(k).map(|(compared, _)| compared.len());
        return part(last) == part(&whole) && part(last).is_some_and(|n| last.get(..n) == whole.get(..n));
    }
    last.split_at_checked(key[0].len()) == Some((key[0], key[1]))
}

impl Builder<'_, '_> {
    #[inline]
    fn add(&mut self, key: &[&[u8]], tid: Tid) -> Result<()> {
        let Some(leaf) = self.levels.first_mut() else { return Ok(()) };
        // A list does not grow beyond the page: what comes then is an item that can move.
        if leaf.items.size() + 8 > self.fill {
            leaf.items.break_list();
        }
        leaf.items.push(key, tid);
        if leaf.items.size() > self.fill && leaf.items.count() > 2 { self.turn(0) } else { Ok(()) }
    }

    fn add_link(&mut self, level: usize, fence: &[u8], child: u32) -> Result<()> {
        let Some(filling) = self.levels.get_mut(level) else { return Ok(()) };
        filling.items.push_link(fence, child);
        if filling.items.size() > FILL_ABOVE && filling.items.count() > 2 { self.turn(level) } else { Ok(()) }
    }

    /// Ends a level's page: the last item goes to a new one, and more of them until the fence fits.
    fn turn(&mut self, level: usize) -> Result<()> {
        let Some(f) = self.levels.get_mut(level) else { return Ok(()) };
        let mut n = f.items.count() - 1;
        let mut moved = f.items.item(n).map_or(0, |i| Draft::size_of(&[i]));
        let fence = loop {
            let (Some(left), Some(right)) = (n.checked_sub(1).and_then(|l| f.items.item(l)), f.items.item(n))
            else {
                return Err(StorageError::KeyTooBig { size: f.items.size(), max: crate::MAX_KEY });
            };
            let fence = separator(left, right, level as u8);
            if f.items.size() - moved + fence.len() <= Draft::ROOM {
                break fence;
            }
            moved += Draft::size_of(&[left]);
            n -= 1;
        };
        let mut carried = core::mem::take(&mut self.spare);
        f.items.split_off(n, &mut carried);
        let engine = self.index.engine;
        let (block, guard) = engine.pool.extend(&engine.directory, self.index.rel, KIND_BTREE, self.xid)?;
        drop(guard);
        let left = f.block;
        self.close(level, block, &fence)?;
        let mut next = Filling::new(block, left, &fence);
        next.items = carried;
        if let Some(f) = self.levels.get_mut(level) {
            // The old page's buffers serve the next turn.
            self.spare = core::mem::replace(f, next).items;
        }
        Ok(())
    }

    /// Writes a level's page and gives its parent the link to it.
    fn close(&mut self, level: usize, right: u32, high: &[u8]) -> Result<()> {
        let Some(f) = self.levels.get(level) else { return Ok(()) };
        let draft = Draft {
            level: level as u8,
            flags: 0,
            left: f.left,
            right,
            high: high.to_vec(),
            low: f.low.clone(),
            items: f.items.items(),
        };
        let pool = &self.index.engine.pool;
        pool.wal().throttle()?;
        let mut guard = pool.write(self.index.rel, f.block)?;
        pool.change(self.xid, &mut [(&mut guard, &draft.ops())]);
        drop(guard);
        if right == NONE && f.left == NONE {
            return Ok(());
        }
        let (link, block) = (f.link.clone(), f.block);
        if self.levels.len() == level + 1 {
            let (block, guard) =
                pool.extend(&self.index.engine.directory, self.index.rel, KIND_BTREE, self.xid)?;
            drop(guard);
            self.levels.push(Filling::new(block, NONE, &tid_bytes(Tid::MIN)));
        }
        self.add_link(level + 1, &link, block)
    }

    fn finish(mut self) -> Result<()> {
        let mut level = 0;
        while level < self.levels.len() {
            self.close(level, NONE, &[])?;
            level += 1;
        }
        let top = level - 1;
        let Some(root) = self.levels.get(top) else { return Ok(()) };
        if top > 0 {
            let mut meta = self.index.engine.pool.write(self.index.rel, 0)?;
            let mut ops = Ops::new();
            Index::root_ops(&mut ops, root.block, top as u8);
            self.index.engine.pool.change(self.xid, &mut [(&mut meta, &ops)]);
            drop(meta);
            self.index.true_root()?;
        }
        Ok(())
    }
}
