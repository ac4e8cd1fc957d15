//! What operators do with rows that do not fit their memory: [`Rows`] is a temporary file of batches, [`Partitions`] spreads
//! rows over such files by their keys, [`Overflow`] goes through what was put aside so, and [`Sorter`] sorts by merging runs.
//!
//! An operator says in an [`Account`] what it holds, and hears whether it may hold more: up to `work_mem` (times
//! `hash_mem_multiplier` for what hashes), and less when the statement as a whole comes near its limit. What cannot be put
//! aside ends the statement at that limit (53200).

mod external;
mod partition;

use alloc::vec::Vec;

use pg_catalog::storage_error;
use pg_storage::{ScratchBuffer, ScratchFile, StorageError};
use pg_types::{Batch, ColumnData, Result, SqlError, SqlState, Value};

use crate::context::Rt;

pub(crate) use external::{Sorted, Sorter};
pub(crate) use partition::{Overflow, PARTS, Partitions, part_of};

/// What any operator may hold without asking.
const SMALL: usize = 64 << 10;
/// What an operator may hold of a statement that has come near its limit.
const FLOOR: usize = 1 << 20;
/// Bytes that files are written and read by, at least and at most.
const LEAST_BUFFER: usize = 8 << 10;
const MOST_BUFFER: usize = 256 << 10;

/// What an operator did with memory (EXPLAIN ANALYZE).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Most bytes held at a time.
    pub memory: u64,
    /// Bytes of the disk that were taken in all.
    pub disk: u64,
    /// Portions that were worked on one after the other.
    pub batches: u64,
    /// Entries of a join's table.
    pub buckets: u64,
    /// A sort that kept a limited number of rows.
    pub top: bool,
    /// Of a sort in portions: bytes held for one of them.
    pub average: u64,
}

/// What a statement's operator holds.
#[derive(Default)]
pub(crate) struct Account {
    held: usize,
    /// Run that `held` is of.
    run: u64,
    hashes: bool,
    limit: usize,
    pub(crate) peak: usize,
}

impl Account {
    /// Of an operator that sorts or keeps rows.
    pub(crate) fn new() -> Self {
        Self::default()
    }
    /// Of one that hashes.
    pub(crate) fn hashing() -> Self {
        Self { hashes: true, ..Self::default() }
    }
    /// Bytes that it may hold.
    pub(crate) fn limit(&mut self, rt: &Rt<'_, '_>) -> usize {
        if self.run != rt.run || self.limit == 0 {
            self.follow(rt);
            let (bytes, hashing) = rt.cx.session.work_memory();
            self.limit = if self.hashes { hashing } else { bytes }.max(SMALL);
        }
        self.limit
    }
    /// Bytes that it may hold as things stand, with what others of the statement do.
    pub(crate) fn room(&mut self, rt: &Rt<'_, '_>) -> usize {
        let limit = self.limit(rt);
        let others = rt.memory.get().saturating_sub(self.held);
        limit.min((rt.cx.session.memory_limit() / 4 * 3).saturating_sub(others)).max(SMALL)
    }
    fn follow(&mut self, rt: &Rt<'_, '_>) {
        if self.run != rt.run {
            (self.run, self.held, self.limit) = (rt.run, 0, 0);
        }
    }
    /// So many bytes are held now. False: more than may be; no further rows should be taken in. 53200 when the statement is at its limit.
    pub(crate) fn set(&mut self, bytes: usize, rt: &Rt<'_, '_>) -> Result<bool> {
        self.follow(rt);
        let others = rt.memory.get().saturating_sub(self.held);
        let all = others.saturating_add(bytes);
        rt.memory.set(all);
        self.held = bytes;
        self.peak = self.peak.max(bytes);
        if bytes <= SMALL {
            return Ok(true);
        }
        let most = rt.cx.session.memory_limit();
        if bytes > FLOOR && all > most {
            return Err(crate::context::out_of_memory());
        }
        let limit = self.limit(rt);
        Ok(bytes <= limit && (bytes <= FLOOR || all <= most / 4 * 3))
    }
    /// Nothing is held any more.
    pub(crate) fn release(&mut self, rt: &Rt<'_, '_>) {
        self.follow(rt);
        rt.memory.set(rt.memory.get().saturating_sub(self.held));
        self.held = 0;
    }
}

/// Bytes that files are written by when an operator may hold `limit` bytes.
pub(crate) fn buffer_of(limit: usize) -> usize {
    (limit / 64).clamp(LEAST_BUFFER, MOST_BUFFER)
}

/// Bytes of a batch's rows, with what its values own.
pub(crate) fn weigh(b: &Batch) -> usize {
    let deep = |c: &pg_types::Vector| match &c.data {
        ColumnData::Other(v) => v.iter().map(Value::memory).sum(),
        _ => 0,
    };
    b.memory() + b.columns.iter().map(|c| deep(c)).sum::<usize>() + b.columns.len() * 16
}

fn failed(e: StorageError) -> SqlError {
    match e {
        StorageError::DiskFull(_) => SqlError::new(
            SqlState::DISK_FULL,
            "could not write to file \"base/pgsql_tmp\": No space left on device",
        ),
        e => storage_error(e),
    }
}

/// Batches in a temporary file; given back when dropped.
pub(crate) struct Rows {
    file: ScratchFile,
    /// Where each batch ends.
    ends: Vec<u64>,
    /// Rows in all.
    pub(crate) count: u64,
    /// Bytes that they take in memory.
    pub(crate) weight: usize,
    packed: Vec<u8>,
}

impl Rows {
    pub(crate) fn new(buffer: usize, rt: &Rt<'_, '_>) -> Self {
        rt.cx.engine.count_temporary(1, 0);
        let file = rt.storage().scratch_file(buffer);
        Self { file, ends: Vec::new(), count: 0, weight: 0, packed: Vec::new() }
    }
    /// Bytes of the disk.
    pub(crate) fn occupied(&self) -> u64 {
        self.file.occupied()
    }
    /// Appends the selected rows.
    pub(crate) fn push(&mut self, b: &Batch, rt: &Rt<'_, '_>) -> Result<()> {
        rt.cx.checkpoint()?;
        self.packed.clear();
        b.pack(&mut self.packed);
        self.file.append(&self.packed).map_err(failed)?;
        self.ends.push(self.file.len());
        self.count += b.row_count() as u64;
        self.weight += weigh(b);
        Ok(())
    }
    /// All is there: lets buffers go.
    pub(crate) fn finish(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        self.packed = Vec::new();
        self.file.finish().map_err(failed)?;
        rt.cx.engine.count_temporary(0, self.file.len());
        Ok(())
    }
    /// A batch.
    pub(crate) fn get(&self, n: usize, buffer: &mut ScratchBuffer) -> Result<Option<Batch>> {
        let Some(&end) = self.ends.get(n) else { return Ok(None) };
        let start = n.checked_sub(1).and_then(|n| self.ends.get(n)).copied().unwrap_or(0);
        let mut bytes = alloc::vec![0; (end - start) as usize];
        self.file.read(start, &mut bytes, buffer).map_err(failed)?;
        Batch::unpack(&bytes).map(Some)
    }
}

/// Reads a file's batches in order.
pub(crate) struct Reader {
    pub(crate) rows: Rows,
    buffer: ScratchBuffer,
    next: usize,
}

impl Reader {
    pub(crate) fn new(rows: Rows) -> Self {
        Self { rows, buffer: ScratchBuffer::default(), next: 0 }
    }
    pub(crate) fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        rt.cx.checkpoint()?;
        let b = self.rows.get(self.next, &mut self.buffer)?;
        self.next += 1;
        Ok(b)
    }
    /// From the beginning again.
    pub(crate) fn rewind(&mut self) {
        self.next = 0;
    }
}

/// Rows that are kept for reading more than once: in memory as far as they fit.
#[derive(Default)]
pub(crate) struct Store {
    memory: Vec<Batch>,
    bytes: usize,
    account: Account,
    file: Option<Rows>,
}

impl Store {
    /// Batches in it.
    pub(crate) fn len(&self) -> usize {
        self.memory.len() + self.file.as_ref().map_or(0, |f| f.ends.len())
    }
    pub(crate) fn push(&mut self, b: Batch, rt: &Rt<'_, '_>) -> Result<()> {
        if let Some(file) = &mut self.file {
            return file.push(&b, rt);
        }
        self.bytes += weigh(&b);
        self.memory.push(b);
        if !self.account.set(self.bytes, rt)? {
            let buffer = buffer_of(self.account.limit(rt));
            self.file = Some(Rows::new(buffer, rt));
        }
        Ok(())
    }
    /// A batch; `buffer` is the reader's.
    pub(crate) fn get(&self, n: usize, buffer: &mut ScratchBuffer) -> Result<Option<Batch>> {
        match (n.checked_sub(self.memory.len()), &self.file) {
            (None, _) => Ok(self.memory.get(n).cloned()),
            (Some(n), Some(file)) => file.get(n, buffer),
            (Some(_), None) => Ok(None),
        }
    }
    /// Forgets the rows. What is held counts until it is used again.
    pub(crate) fn clear(&mut self) {
        self.memory.clear();
        self.bytes = 0;
        self.file = None;
    }
    /// Forgets the rows, and takes over another's.
    pub(crate) fn replace(&mut self, other: &mut Self, rt: &Rt<'_, '_>) {
        self.account.release(rt);
        *self = core::mem::take(other);
    }
}
