//! Rows put aside by their keys, so that each portion can be worked on alone.

use alloc::{sync::Arc, vec::Vec};
use core::hash::{BuildHasher, Hasher};

use pg_types::{
    Batch, Result, Vector,
    vector::{BATCH_ROWS, VectorBuilder},
};

use super::{Account, Held, Reader, Rows, buffer_of, weigh};
use crate::{
    context::Rt,
    node::groups::{KeyClass, encode_row},
};

/// Portions that rows are spread over at a time.
pub(crate) const PARTS: usize = 16;

/// The portion that a row's key belongs to. Each level spreads differently what was in one portion of the level above.
pub(crate) fn part_of(
    classes: &[KeyClass],
    columns: &[Arc<Vector>],
    row: usize,
    level: u32,
    key: &mut Vec<u8>,
) -> usize {
    key.clear();
    encode_row(classes, columns, row, key);
    let mut h = foldhash::fast::FixedState::with_seed(u64::from(level) + 1).build_hasher();
    h.write(key);
    (h.finish() >> 32) as usize % PARTS
}

/// Rows of one portion that are not in its file yet.
#[derive(Default)]
struct Part {
    open: Vec<VectorBuilder>,
    rows: usize,
    bytes: usize,
    file: Option<Rows>,
}

impl Part {
    fn flush(&mut self, buffer: usize, rt: &Rt<'_, '_>) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let columns = core::mem::take(&mut self.open).into_iter().map(|b| Arc::new(b.finish())).collect();
        let b = Batch { columns, rows: self.rows, selection: None };
        (self.rows, self.bytes) = (0, 0);
        self.file.get_or_insert_with(|| Rows::new(buffer, rt)).push(&b, rt)
    }
}

/// Rows spread over temporary files.
pub(crate) struct Partitions {
    parts: Vec<Part>,
    buffer: usize,
    lists: Vec<Vec<u32>>,
}

impl Partitions {
    /// For an operator that may hold `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            parts: (0..PARTS).map(|_| Part::default()).collect(),
            buffer: buffer_of(limit),
            lists: alloc::vec![Vec::new(); PARTS],
        }
    }
    /// Adds rows of a batch to the portions given.
    pub(crate) fn add(
        &mut self,
        b: &Batch,
        rows: impl Iterator<Item = (usize, usize)>,
        rt: &Rt<'_, '_>,
    ) -> Result<()> {
        for (row, part) in rows {
            if let Some(list) = self.lists.get_mut(part) {
                list.push(row as u32);
            }
        }
        let each = weigh(b) / b.rows.max(1) + 1;
        for (part, list) in self.parts.iter_mut().zip(&mut self.lists) {
            for rows in list.chunks((self.buffer / each).clamp(1, BATCH_ROWS)) {
                if part.rows == 0 {
                    let n = rows.len();
                    part.open = b.columns.iter().map(|c| VectorBuilder::with_capacity(c.ty, n)).collect();
                }
                for (to, from) in part.open.iter_mut().zip(&b.columns) {
                    to.extend_take(from, rows);
                }
                part.rows += rows.len();
                part.bytes += rows.len() * each;
                if part.rows >= BATCH_ROWS || part.bytes >= self.buffer {
                    part.flush(self.buffer, rt)?;
                }
            }
            list.clear();
        }
        Ok(())
    }
    /// The portions' files; `None`: one without rows.
    pub(crate) fn finish(self, rt: &Rt<'_, '_>) -> Result<Vec<Option<Rows>>> {
        let buffer = self.buffer;
        let file = |mut part: Part| {
            part.flush(buffer, rt)?;
            if let Some(f) = &mut part.file {
                f.finish(rt)?;
            }
            Ok(part.file)
        };
        self.parts.into_iter().map(file).collect()
    }
}

/// Rows for whose groups there was no room: portion after portion is gone through when all others are done.
#[derive(Default)]
pub(crate) struct Overflow {
    writing: Option<Partitions>,
    waiting: Vec<(Rows, u32)>,
    reading: Option<Reader>,
    level: u32,
    key: Vec<u8>,
    /// Bytes of the disk and portions, all together.
    pub(crate) disk: u64,
    pub(crate) portions: u64,
}

impl Overflow {
    /// Puts rows aside, by the keys in `columns`.
    pub(crate) fn put(
        &mut self,
        b: &Batch,
        rows: &[u32],
        (classes, columns): (&[KeyClass], &[Arc<Vector>]),
        account: &mut Account,
        rt: &Rt<'_, '_>,
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let Self { writing, key, level, .. } = self;
        let writing = writing.get_or_insert_with(|| Partitions::new(account.limit(rt)));
        let part = |row: &u32| (*row as usize, part_of(classes, columns, *row as usize, *level, key));
        writing.add(b, rows.iter().map(part), rt)
    }
    /// Was anything put aside?
    pub(crate) fn is_used(&self) -> bool {
        self.reading.is_some() || self.is_waiting() || self.writing.is_some()
    }
    /// Is a portion gone through?
    pub(crate) fn is_read(&self) -> bool {
        self.reading.is_some()
    }
    /// After `close`: are there portions that nobody has gone through?
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
    /// The next rows of the portion that is gone through.
    pub(crate) fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        self.reading.as_mut().map_or(Ok(None), |r| r.next(rt))
    }
    /// The portion has been gone through: what was put aside meanwhile waits.
    pub(crate) fn close(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        self.reading = None;
        if let Some(writing) = self.writing.take() {
            for rows in writing.finish(rt)?.into_iter().flatten() {
                self.disk += rows.occupied();
                self.waiting.push((rows, self.level + 1));
            }
        }
        Ok(())
    }
    /// Goes on to the next portion; false: there is none.
    pub(crate) fn turn(&mut self, rt: &Rt<'_, '_>) -> Result<bool> {
        self.close(rt)?;
        let Some((rows, level)) = self.waiting.pop() else { return Ok(false) };
        (self.reading, self.level) = (Some(Reader::new(rows)), level);
        self.portions += 1;
        Ok(true)
    }
    /// What it came to, of an operator with an account.
    pub(crate) fn held(&self, account: &Account) -> Held {
        let (memory, batches) = (account.peak as u64, self.portions + 1);
        Held { memory, disk: self.disk, batches, ..Held::default() }
    }
    /// Forgets all of it.
    pub(crate) fn clear(&mut self) {
        *self = Self { disk: self.disk, portions: self.portions, ..Self::default() };
    }
}
