//! Payloads that do not fit on a page.
//!
//! The row's payload is a stub: length u64, first overflow block u32. An overflow page:
//! ```text
//! 24 lower u16 (end of data), 26 upper u16 (end of page)
//! 28 next block u32 (u32::MAX: last)
//! 32 xmin u64    who wrote it
//! 40 data
//! ```

use alloc::vec::Vec;

use pg_buffer_manager::WriteGuard;
use pg_page::{PAGE_SIZE, StorageError, Xid, ops::Ops, slotted};

use crate::heap::{Heap, MAX_PAYLOAD, Result};

/// An overflow page.
pub(crate) const KIND_OVERFLOW: u8 = 2;
const DATA: usize = 40;
const CAPACITY: usize = PAGE_SIZE - DATA;
const LAST: u32 = u32::MAX;

/// Room of a heap page without rows, as the free-space map counts it.
const EMPTY: usize = (PAGE_SIZE - slotted::SLOTS) / 32 * 32;

/// A page for a piece of a payload: an empty one of the heap, or a new one.
fn page<'a>(heap: &Heap<'a>, xid: Xid) -> Result<(u32, WriteGuard<'a>)> {
    if let Some(block) = heap.state.space.take(EMPTY).filter(|b| *b < heap.rel.blocks()) {
        let guard = heap.engine.pool.write(heap.rel, block)?;
        if guard.kind() == slotted::KIND_HEAP && slotted::count(&guard) == 0 {
            return Ok((block, guard));
        }
        heap.note_space(block, &guard);
    }
    heap.engine.pool.extend(&heap.engine.directory, heap.rel, KIND_OVERFLOW, xid)
}

/// Writes a payload to overflow pages; gives the stub.
pub(crate) fn store(heap: &Heap<'_>, xid: Xid, payload: &[u8]) -> Result<Vec<u8>> {
    if payload.len() > MAX_PAYLOAD {
        return Err(StorageError::RowTooBig { size: payload.len(), max: MAX_PAYLOAD });
    }
    let mut next = LAST;
    let whole = payload.len() / CAPACITY * CAPACITY;
    let (body, tail) = payload.split_at(whole);
    // From the end, so that each page knows its successor.
    for part in Some(tail).filter(|t| !t.is_empty()).into_iter().chain(body.rchunks(CAPACITY)) {
        heap.engine.pool.wal().throttle()?;
        let (block, mut guard) = page(heap, xid)?;
        let mut head = [0; DATA - 24];
        head[0..2].copy_from_slice(&((DATA + part.len()) as u16).to_le_bytes());
        head[2..4].copy_from_slice(&(PAGE_SIZE as u16).to_le_bytes());
        head[4..8].copy_from_slice(&next.to_le_bytes());
        head[8..16].copy_from_slice(&xid.0.to_le_bytes());
        let mut ops = Ops::new();
        if guard.kind() != KIND_OVERFLOW {
            ops.format(KIND_OVERFLOW);
        }
        ops.write_parts(24, &[&head, part]);
        heap.change(xid, &mut [(&mut guard, &ops)]);
        next = block;
    }
    let mut stub = (payload.len() as u64).to_le_bytes().to_vec();
    stub.extend_from_slice(&next.to_le_bytes());
    Ok(stub)
}

fn parse(stub: &[u8]) -> Option<(usize, u32)> {
    let len = u64::from_le_bytes(*stub.first_chunk()?);
    let first = u32::from_le_bytes(*stub.get(8..)?.first_chunk()?);
    let len = usize::try_from(len).ok().filter(|l| *l <= MAX_PAYLOAD)?;
    Some((len, first))
}

fn broken(heap: &Heap<'_>, block: u32) -> StorageError {
    StorageError::Corrupt { rel: heap.rel.id, block, what: "broken overflow chain" }
}

/// Calls `each` with every page of a chain: its block and data.
pub(crate) fn walk(heap: &Heap<'_>, stub: &[u8], mut each: impl FnMut(u32, &[u8])) -> Result<usize> {
    let (len, mut block) = parse(stub).ok_or(broken(heap, LAST))?;
    let mut left = len;
    while left > 0 {
        let page = heap.engine.pool.read(heap.rel, block)?;
        let n = left.min(CAPACITY).min(usize::from(page.u16_at(24)).saturating_sub(DATA));
        if page.kind() != KIND_OVERFLOW || n == 0 {
            return Err(broken(heap, block));
        }
        each(block, page.bytes(DATA, n));
        left -= n;
        block = page.u32_at(28);
    }
    Ok(len)
}

/// Assembles the payload behind a stub.
pub(crate) fn load(heap: &Heap<'_>, stub: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let len = walk(heap, stub, |_, data| out.extend_from_slice(data))?;
    if out.len() == len { Ok(out) } else { Err(broken(heap, LAST)) }
}
