//! Filling an empty tree from sorted entries, bottom up.

use alloc::vec::Vec;

use pg_page::{StorageError, Tid, Xid, ops::Ops};

use crate::{
    index::{Index, IndexInsert, Result},
    node::{Draft, KIND_BTREE, MAX_KEY, NONE, separator, tid_bytes},
};

/// Bytes of a page that are filled.
const FILL: usize = Draft::ROOM / 10 * 9;

/// The page of a level that is being filled.
struct Filling {
    block: u32,
    left: u32,
    low: Vec<u8>,
    /// The item that will lead to it: its low fence.
    link: Vec<u8>,
    items: Vec<Vec<u8>>,
    size: usize,
}

impl Filling {
    fn new(block: u32, left: u32, fence: &[u8]) -> Self {
        let low = fence.get(..fence.len().saturating_sub(6)).unwrap_or(&[]).to_vec();
        Self { block, left, low, link: fence.to_vec(), items: Vec::new(), size: 0 }
    }
}

struct Builder<'i, 'a> {
    index: &'i Index<'a>,
    levels: Vec<Filling>,
    xid: Xid,
}

impl<'a> Index<'a> {
    /// Fills an empty tree from entries in ascending order: key, tid, and whether the row is live. With `unique`, equal
    /// keys of two live rows give `Duplicate`.
    pub fn build(
        &self,
        xid: Xid,
        entries: &mut dyn Iterator<Item = (Vec<u8>, Tid, bool)>,
        unique: bool,
    ) -> Result<IndexInsert> {
        let (root, level) = self.true_root()?;
        let page = self.read(root, level)?;
        if level != 0 || crate::node::Node(&page).count() != 0 {
            return Err(StorageError::Unsupported("bulk loading into an index that is not empty"));
        }
        drop(page);
        let leaf = Filling::new(root, NONE, &tid_bytes(Tid::MIN));
        let mut builder = Builder { index: self, levels: alloc::vec![leaf], xid };
        let mut last_live: Option<Vec<u8>> = None;
        for (key, tid, live) in entries {
            if key.len() > MAX_KEY {
                return Err(StorageError::KeyTooBig { size: key.len(), max: MAX_KEY });
            }
            if unique && live {
                if last_live.as_ref() == Some(&key) {
                    return Ok(IndexInsert::Duplicate { tid });
                }
                last_live = Some(key.clone());
            }
            let mut item = key;
            item.extend_from_slice(&tid_bytes(tid));
            builder.add(0, item)?;
        }
        builder.finish()?;
        Ok(IndexInsert::Done)
    }
}

impl Builder<'_, '_> {
    fn add(&mut self, level: usize, item: Vec<u8>) -> Result<()> {
        let bytes = Draft::size_of(&[&item]);
        let Some(filling) = self.levels.get(level) else { return Ok(()) };
        // Two items always fit beside a fence.
        if filling.items.len() < 2 || filling.size + bytes <= FILL {
            if let Some(f) = self.levels.get_mut(level) {
                f.size += bytes;
                f.items.push(item);
            }
            return Ok(());
        }
        // The fence may be as long as a key: then items from the end move to the next page until it fits.
        let mut carried = alloc::vec![item];
        let fence = loop {
            let (Some(f), Some(next)) = (self.levels.get_mut(level), carried.last()) else { return Ok(()) };
            let Some(last) = f.items.last() else {
                return Err(StorageError::KeyTooBig { size: next.len(), max: MAX_KEY });
            };
            let fence = separator(last, next, level as u8);
            if f.size + fence.len() <= Draft::ROOM {
                break fence;
            }
            f.size -= Draft::size_of(&[last]);
            carried.extend(f.items.pop());
        };
        let (block, guard) = self.index.engine.pool.extend(
            &self.index.engine.directory,
            self.index.rel,
            KIND_BTREE,
            self.xid,
        )?;
        drop(guard);
        self.close(level, block, fence.clone())?;
        let left = self.levels.get(level).map_or(NONE, |f| f.block);
        let mut next = Filling::new(block, left, &fence);
        while let Some(item) = carried.pop() {
            next.size += Draft::size_of(&[&item]);
            next.items.push(item);
        }
        if let Some(f) = self.levels.get_mut(level) {
            *f = next;
        }
        Ok(())
    }

    /// Writes a level's page and gives its parent the link to it.
    fn close(&mut self, level: usize, right: u32, high: Vec<u8>) -> Result<()> {
        let Some(f) = self.levels.get(level) else { return Ok(()) };
        let draft = Draft {
            level: level as u8,
            flags: 0,
            left: f.left,
            right,
            high,
            low: f.low.clone(),
            items: f.items.iter().map(Vec::as_slice).collect(),
        };
        let pool = &self.index.engine.pool;
        pool.wal().throttle()?;
        let mut guard = pool.write(self.index.rel, f.block)?;
        pool.change(self.xid, &mut [(&mut guard, &draft.ops())]);
        drop(guard);
        let mut link = f.link.clone();
        link.extend_from_slice(&f.block.to_le_bytes());
        let lone = right == NONE && f.left == NONE;
        if lone {
            return Ok(());
        }
        if self.levels.len() == level + 1 {
            let (block, guard) =
                pool.extend(&self.index.engine.directory, self.index.rel, KIND_BTREE, self.xid)?;
            drop(guard);
            self.levels.push(Filling::new(block, NONE, &tid_bytes(Tid::MIN)));
        }
        self.add(level + 1, link)
    }

    fn finish(mut self) -> Result<()> {
        let mut level = 0;
        while level < self.levels.len() {
            self.close(level, NONE, Vec::new())?;
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
