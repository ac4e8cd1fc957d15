//! The two kinds of index behind one face: trees are reached as before, the others by what hash they have of a key.

use alloc::vec::Vec;

use pg_btree::{Distinct, Index, IndexInsert, Merge, Unique};
use pg_hash_index::HashIndex;
use pg_page::{StorageError, Tid, Xid};
use pg_volume::RelationKind;

use crate::{
    storage::{Open, Result, Storage},
    transaction::Transaction,
};

/// An index of either kind.
pub(crate) enum AnyIndex<'a> {
    BTree(Index<'a>),
    Hash(HashIndex<'a>),
}

impl Storage {
    pub(crate) fn any_index<'a>(&'a self, open: &'a Open) -> Result<AnyIndex<'a>> {
        match open.rel.kind {
            RelationKind::BTree { .. } => {
                Ok(AnyIndex::BTree(Index { engine: &self.engine, rel: &open.rel, state: &open.index }))
            }
            RelationKind::Hash { .. } => {
                Ok(AnyIndex::Hash(HashIndex { engine: &self.engine, rel: &open.rel, state: &open.hash }))
            }
            _ => Err(StorageError::WrongKind(open.rel.id)),
        }
    }
}

impl AnyIndex<'_> {
    /// Makes a new relation an empty index.
    pub fn create(&self, xid: Xid) -> Result<()> {
        match self {
            Self::BTree(tree) => tree.create(xid),
            Self::Hash(hash) => hash.create(xid),
        }
    }
    /// Removes the entries of these tids (ascending).
    pub fn remove(&self, dead: &[Tid]) -> Result<u64> {
        match self {
            Self::BTree(tree) => tree.remove(dead),
            Self::Hash(hash) => hash.remove(dead),
        }
    }
    /// Is there an entry of a key?
    pub fn contains(&self, key: &[u8], tid: Tid) -> Result<bool> {
        match self {
            Self::BTree(tree) => tree.contains(key, tid),
            Self::Hash(hash) => hash.contains(pg_hash_index::hash(key), tid),
        }
    }
}

/// Adds an entry to a hash index, which knows of no duplicates.
pub(crate) fn insert_hashed(
    index: &HashIndex<'_>,
    txn: &mut Transaction,
    entry: &pg_btree::IndexEntry<'_>,
) -> Result<IndexInsert> {
    if entry.unique != Unique::No {
        return Err(StorageError::Unsupported("unique hash indexes"));
    }
    index.insert(&mut txn.work, pg_hash_index::hash(entry.key), entry.tid)?;
    Ok(IndexInsert::Done)
}

/// Fills an empty hash index.
pub(crate) fn build_hashed<E: From<StorageError>>(
    index: &HashIndex<'_>,
    xid: Xid,
    sorters: Vec<IndexSorter>,
    fill_factor: Option<u8>,
    mut pause: impl FnMut() -> core::result::Result<(), E>,
) -> core::result::Result<(), E> {
    let count = sorters.iter().map(|s| s.inner.len()).sum();
    let mut merge = Merge::new(sorters.into_iter().map(|s| s.inner).collect())?;
    let mut given = 0u32;
    index.build(xid, count, fill_factor, || {
        given = given.wrapping_add(1);
        if given.is_multiple_of(8192) {
            pause()?;
        }
        let Some(entry) = merge.current() else { return Ok(None) };
        let hash = entry.head().first_chunk().map_or(0, |b| u64::from_be_bytes(*b));
        let next = (hash, entry.tid());
        merge.advance()?;
        Ok(Some(next))
    })
}

/// How an index is built.
#[derive(Clone, Copy, Debug)]
pub struct IndexBuild {
    /// Which keys two live rows must not share.
    pub distinct: Distinct,
    /// Percent of a page that are filled; `None`: what is usual.
    pub fill_factor: Option<u8>,
}

impl From<Distinct> for IndexBuild {
    fn from(distinct: Distinct) -> Self {
        Self { distinct, fill_factor: None }
    }
}

/// Collects the entries of an index that is to be built, in any order. `Send`.
pub struct IndexSorter {
    pub(crate) inner: pg_btree::IndexSorter,
    /// Keys count by their hash.
    hashed: bool,
}

impl IndexSorter {
    pub(crate) fn new(inner: pg_btree::IndexSorter, kind: RelationKind) -> Self {
        Self { inner, hashed: matches!(kind, RelationKind::Hash { .. }) }
    }
    /// Adds an entry. `live`: it takes part in the unique check.
    #[inline]
    pub fn push(&mut self, key: &[u8], tid: Tid, live: bool) -> Result<()> {
        match self.hashed {
            false => self.inner.push(key, tid, live),
            true => self.inner.push(&pg_hash_index::hash(key).to_be_bytes(), tid, live),
        }
    }
    /// Puts what is in memory in order. To be called by the task that filled it; merging does it otherwise.
    pub fn sort(&mut self) {
        self.inner.sort();
    }
    /// How many runs were written to the device.
    pub fn spills(&self) -> usize {
        self.inner.spills()
    }
}
