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

use crate::{BufferPool, WriteGuard, stats::Purpose};

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
    let mut headers = [[0u8; PAGE_HEADER]; 4];
    let count = [pages.len() as u8];
    let mut parts: [&[u8]; 13] = [&[]; 13];
    parts[0] = &count;
    let mut oldest: Option<Lsn> = None;
    let mut chunks: [(&[u8], &[u8]); 4] = [(&[], &[]); 4];
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
    wal.append(KIND_PAGES, xid, &parts[..n], oldest)
}

impl BufferPool {
    /// Redoes a record of page changes. Pages of relations that are gone are skipped.
    ///
    /// On a device that does not tear pages a page's history may begin with operations, and the page may meanwhile hold
    /// something else because its own relation was dropped later in the log. Such a relation is noted in `doomed`: the
    /// caller checks that it is gone in the end.
    pub fn redo(
        &self,
        directory: &Directory,
        end: Lsn,
        body: &[u8],
        doomed: &mut Vec<RelId>,
    ) -> Result<(), StorageError> {
        const MALFORMED: StorageError = StorageError::CorruptVolume("a log record is malformed");
        let mut d = Decoder(body);
        let pages = d.u8().ok_or(MALFORMED)?;
        let pages = if planted(Bug::LostRedo) { pages.min(1) } else { pages };
        for _ in 0..pages {
            let (rel, block, form) = (|| Some((RelId(d.u32()?), d.u32()?, d.u8()?)))().ok_or(MALFORMED)?;
            let mut u16_next =
                || d.raw(2).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]]))).ok_or(MALFORMED);
            let (hole_at, hole_len, len) = (u16_next()?, u16_next()?, u16_next()?);
            let bytes = d.raw(len).ok_or(MALFORMED)?;
            let Some(relation) = directory.get(rel) else { continue };
            let Some(physical) = relation.physical(block) else { return Err(MALFORMED) };
            relation.visible.clear(block);
            let whole = form == IMAGE || ops::formats(bytes);
            let mut guard = if whole {
                relation.grow_to(block + 1);
                self.install(physical, Purpose::Normal)?
            } else {
                relation.grow_to(block + 1);
                match self.write(&relation, block) {
                    Err(StorageError::Corrupt { .. }) => {
                        doomed.push(rel);
                        continue;
                    }
                    other => other?,
                }
            };
            if !whole && guard.lsn() >= end {
                continue;
            }
            guard.frame().set(crate::frame::DIRTY);
            let page = guard.hint_mut();
            if form == IMAGE {
                let tail = hole_at + hole_len;
                let (Some(a), Some(b)) = (bytes.get(..hole_at), bytes.get(hole_at..)) else {
                    return Err(MALFORMED);
                };
                page.0.fill(0);
                if !page.put(0, a) || !page.put(tail, b) || (page.rel(), page.block()) != (rel, block) {
                    return Err(MALFORMED);
                }
            } else {
                ops::apply(page, rel, block, bytes).ok_or(MALFORMED)?;
            }
            page.set_lsn(end);
        }
        Ok(())
    }
}
