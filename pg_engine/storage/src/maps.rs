//! What checkpoints save of heaps' free space and visible pages.
//!
//! ```text
//! number of heaps u32, then per heap:
//!   relation u32
//!   visible pages, as `VisibilityMap::encode` writes them
//!   number of runs u32, then per run: pages u32, room u8
//! ```
//! Both are taken while others write. Free space is a guess anyway; a visible page's bit is right at the moment it is taken, and what changes later
//! is in the log behind the checkpoint's start.

use alloc::vec::Vec;

use pg_page::{RelId, StorageError};
use pg_volume::{
    Directory, RelationKind,
    codec::{Decoder, Encoder},
};

use crate::storage::{Result, Storage};

/// Free space as it was saved.
pub(crate) type SavedSpace = Vec<(RelId, Vec<u8>)>;

impl Storage {
    pub(crate) fn encode_maps(&self, e: &mut Encoder) {
        let heaps: Vec<_> =
            self.engine.directory.all().into_iter().filter(|r| r.kind == RelationKind::Heap).collect();
        e.u32(heaps.len() as u32);
        for rel in heaps {
            e.u32(rel.id.0);
            rel.visible.encode(rel.blocks(), e);
            let space = self.opened_already(rel.id).map_or_else(Vec::new, |o| o.heap.saved_space());
            let runs: Vec<&[u8]> = space.chunk_by(|a, b| a == b).collect();
            e.u32(runs.len() as u32);
            for run in runs {
                e.u32(run.len() as u32).u8(run.first().copied().unwrap_or(0));
            }
        }
    }
}

/// Reads what was saved: the bits go into their relations, the free space is returned.
pub(crate) fn load_maps(directory: &Directory, d: &mut Decoder<'_>) -> Result<SavedSpace> {
    decode(directory, d).ok_or(StorageError::CorruptVolume("maps of heaps are malformed"))
}

fn decode(directory: &Directory, d: &mut Decoder<'_>) -> Option<SavedSpace> {
    let mut saved = Vec::new();
    for _ in 0..d.u32()? {
        let id = RelId(d.u32()?);
        // It may have grown or gone while the snapshot was taken.
        let rel = directory.get(id);
        match &rel {
            Some(rel) => rel.visible.load(rel.blocks(), d)?,
            None => pg_volume::VisibilityMap::default().load(0, d)?,
        }
        let mut pages = Vec::new();
        let limit = rel.map_or(0, |r| r.blocks() as usize);
        for _ in 0..d.u32()? {
            let (len, room) = (d.u32()? as usize, d.u8()?);
            let end = pages.len().saturating_add(len).min(limit);
            pages.resize(end, room);
        }
        if pages.iter().any(|p| *p != 0) {
            saved.push((id, pages));
        }
    }
    Some(saved)
}
