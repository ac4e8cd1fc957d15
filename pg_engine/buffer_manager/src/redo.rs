//! The record of page changes: encoding and redoing.
//!
//! ```text
//! n u8, then per page: rel u32, block u32, form u8, hole_at u16, hole_len u16, len u16, len bytes
//! ```
//! Form 0: the bytes are operations. Form 1: the bytes are the page after the change, without the hole between its
//! lower and upper bounds.

use alloc::vec::Vec;

use pg_page::{Lsn, PAGE_SIZE, Page, RelId, StorageError, Xid, ops, ops::Ops, slotted};
use pg_volume::{Directory, codec::Decoder};
use pg_wal::{NeedImage, RecordKind, Wal};
use platform::bug::{Bug, planted};

use crate::{BufferPool, WriteGuard, pool::MAX_PAGES, stats::Purpose};

/// Kind of the records that change pages.
pub const KIND_PAGES: RecordKind = RecordKind(1);

const PAGE_HEADER: usize = 15;
const OPERATIONS: u8 = 0;
const IMAGE: u8 = 1;

pub(crate) fn append(
    wal: &Wal,
    xid: Xid,
    pages: &[(&mut WriteGuard<'_>, &Ops)],
    before: &[Option<Lsn>],
) -> Result<Lsn, NeedImage> {
    let mut headers = [[0u8; PAGE_HEADER]; MAX_PAGES];
    let count = [pages.len() as u8];
    let mut parts: [&[u8]; 1 + 3 * MAX_PAGES] = [&[]; 1 + 3 * MAX_PAGES];
    parts[0] = &count;
    let mut oldest: Option<Lsn> = None;
    let mut chunks: [(&[u8], &[u8]); MAX_PAGES] = [(&[], &[]); MAX_PAGES];
    for (((guard, ops), before), (header, chunk)) in
        pages.iter().zip(before).zip(headers.iter_mut().zip(&mut chunks))
    {
        let page: &Page = guard;
        let (mut form, mut hole_at, mut hole_len) = (OPERATIONS, 0, 0);
        match before {
            Some(lsn) if wal.needs_image(*lsn) => {
                form = IMAGE;
                let (lower, upper) = (slotted::lower(page), slotted::upper(page));
                if lower >= 28 && lower < upper && upper <= PAGE_SIZE {
                    (hole_at, hole_len) = (lower, upper - lower);
                }
                let end = if hole_len == 0 { PAGE_SIZE } else { hole_at };
                *chunk = (page.bytes(0, end), page.bytes(hole_at + hole_len, PAGE_SIZE - hole_at - hole_len));
                if hole_len == 0 {
                    chunk.1 = &[];
                }
            }
            Some(lsn) => {
                oldest = Some(oldest.map_or(*lsn, |o| o.min(*lsn)));
                chunk.0 = ops.as_bytes();
            }
            None => chunk.0 = ops.as_bytes(),
        }
        let len = chunk.0.len() + chunk.1.len();
        header[0..4].copy_from_slice(&page.rel().0.to_le_bytes());
        header[4..8].copy_from_slice(&page.block().to_le_bytes());
        header[8] = form;
        header[9..11].copy_from_slice(&(hole_at as u16).to_le_bytes());
        header[11..13].copy_from_slice(&(hole_len as u16).to_le_bytes());
        header[13..15].copy_from_slice(&(len as u16).to_le_bytes());
    }
    let mut n = 1;
    for (header, chunk) in headers.iter().zip(&chunks).take(pages.len()) {
        parts[n] = header;
        parts[n + 1] = chunk.0;
        parts[n + 2] = chunk.1;
        n += 3;
    }
    let lsn = wal.append(KIND_PAGES, xid, &parts[..n], oldest)?;
    let images = headers.iter().take(pages.len()).filter(|h| h[8] == IMAGE).count() as u64;
    if images != 0 {
        wal.note_images(images);
    }
    Ok(lsn)
}

/// The pages that a record changes.
pub fn changed_pages(body: &[u8], mut each: impl FnMut(RelId, u32)) -> Option<()> {
    let mut d = Decoder(body);
    for _ in 0..d.u8()? {
        let (rel, block) = (RelId(d.u32()?), d.u32()?);
        let len = d.raw(PAGE_HEADER - 8)?.last_chunk().map(|b| u16::from_le_bytes(*b))?;
        d.raw(len.into())?;
        each(rel, block);
    }
    Some(())
}

const MALFORMED: StorageError = StorageError::CorruptVolume("a log record is malformed");
/// Pages that a batch reads together.
const READ_TOGETHER: usize = 64;

/// What a record does to one page.
#[derive(Clone, Copy)]
struct Change {
    /// Place of the page.
    page: u32,
    block: u32,
    rel: RelId,
    end: Lsn,
    /// Where its bytes begin in the batch.
    at: u32,
    len: u16,
    hole_at: u16,
    hole_len: u16,
    image: bool,
    /// The page's former content does not matter.
    whole: bool,
}

/// Changes that wait to be redone. Their order matters page by page only, so a batch goes through its pages in the order of
/// their places: each is read and latched once, and the device sees neighbours together.
#[derive(Default)]
pub struct RedoBatch {
    changes: Vec<Change>,
    bytes: Vec<u8>,
}

impl RedoBatch {
    /// Nothing in it?
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
    /// Memory that it takes, about.
    pub fn size(&self) -> usize {
        self.changes.len() * size_of::<Change>() + self.bytes.len()
    }
}

/// Adds a record's changes to the batches, each page's always to the same one. Pages of relations that are gone are left out.
pub fn collect_redo(
    directory: &Directory,
    end: Lsn,
    body: &[u8],
    batches: &mut [RedoBatch],
) -> Result<(), StorageError> {
    let mut d = Decoder(body);
    let pages = d.u8().ok_or(MALFORMED)?;
    let pages = if planted(Bug::LostRedo) { pages.min(1) } else { pages };
    for _ in 0..pages {
        let (rel, block, form) = (|| Some((RelId(d.u32()?), d.u32()?, d.u8()?)))().ok_or(MALFORMED)?;
        let mut u16_next = || d.raw(2).map(|b| u16::from_le_bytes([b[0], b[1]])).ok_or(MALFORMED);
        let (hole_at, hole_len, len) = (u16_next()?, u16_next()?, u16_next()?);
        let bytes = d.raw(len.into()).ok_or(MALFORMED)?;
        let Some(relation) = directory.get(rel) else { continue };
        let Some(page) = relation.physical(block) else { return Err(MALFORMED) };
        relation.visible.clear(block);
        relation.grow_to(block + 1);
        // Neighbours together.
        let part = page as usize / READ_TOGETHER % batches.len().max(1);
        let Some(batch) = batches.get_mut(part) else { return Err(MALFORMED) };
        let image = form == IMAGE;
        let whole = image || ops::formats(bytes);
        let at = batch.bytes.len() as u32;
        batch.bytes.extend_from_slice(bytes);
        batch.changes.push(Change { page, block, rel, end, at, len, hole_at, hole_len, image, whole });
    }
    Ok(())
}

impl BufferPool {
    /// Redoes a batch. `sharers`: how many tasks do so at a time.
    ///
    /// On a device that does not tear pages a page's history may begin with operations, and the page may meanwhile hold
    /// something else because its own relation was dropped later in the log. Such a relation is noted in `doomed`: the
    /// caller checks that it is gone in the end.
    pub fn redo(
        &self,
        batch: &mut RedoBatch,
        doomed: &mut Vec<RelId>,
        sharers: usize,
    ) -> Result<(), StorageError> {
        let RedoBatch { changes, bytes } = batch;
        // Stable: changes of one page stay in the order of the log.
        changes.sort_by_key(|c| c.page);
        let together = (self.frames.len() / (8 * sharers.max(1))).clamp(1, READ_TOGETHER);
        let mut pages = changes.chunk_by(|a, b| a.page == b.page).peekable();
        while pages.peek().is_some() {
            let some: Vec<&[Change]> = pages.by_ref().take(together).collect();
            let missing = some.iter().filter_map(|c| c.first()).filter(|c| !c.whole);
            self.load_pages(missing.map(|c| (c.page, c.block, c.rel)).collect());
            for changes in some {
                self.redo_page(changes, bytes, doomed)?;
            }
        }
        changes.clear();
        bytes.clear();
        Ok(())
    }

    fn redo_page(
        &self,
        changes: &[Change],
        bytes: &[u8],
        doomed: &mut Vec<RelId>,
    ) -> Result<(), StorageError> {
        let mut page: Option<WriteGuard<'_>> = None;
        for c in changes {
            let guard = match &mut page {
                Some(guard) => guard,
                none if c.whole => none.insert(self.install(c.page, Purpose::Normal)?),
                none => match self.write_page(c.rel, c.block, c.page) {
                    Err(StorageError::Corrupt { .. }) => {
                        doomed.push(c.rel);
                        continue;
                    }
                    other => none.insert(other?),
                },
            };
            if !c.whole && guard.lsn() >= c.end {
                continue;
            }
            guard.frame().set(crate::frame::DIRTY);
            let start = c.at as usize;
            let bytes = bytes.get(start..start + usize::from(c.len)).ok_or(MALFORMED)?;
            redo_change(guard.hint_mut(), c, bytes).ok_or(MALFORMED)?;
        }
        Ok(())
    }
}

fn redo_change(page: &mut Page, c: &Change, bytes: &[u8]) -> Option<()> {
    if c.image {
        let (hole_at, hole_len) = (usize::from(c.hole_at), usize::from(c.hole_len));
        let (a, b) = bytes.split_at_checked(hole_at)?;
        page.0.fill(0);
        let fits = page.put(0, a) && page.put(hole_at + hole_len, b);
        (fits && (page.rel(), page.block()) == (c.rel, c.block)).then_some(())?;
    } else {
        ops::apply(page, c.rel, c.block, bytes)?;
    }
    page.set_lsn(c.end);
    Some(())
}
