//! Sorting index entries: runs in memory, spilled to free pages of the volume when they outgrow their budget, and merged.
//!
//! An entry in memory is 32 bytes: the key's first sixteen as a number, tid and length, and where the rest of a longer key
//! lies. Most comparisons look at the number only.

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use core::cmp::Ordering;

use pg_buffer_manager::BufferPool;
use pg_page::{PAGE_SIZE, RelId, StorageError, Tid};
use pg_volume::Directory;

use crate::{index::Result, node::MAX_KEY};

/// Bytes of a key that are kept in the entry.
const HEAD: usize = 16;
/// Pages that a spilled run is read and written by.
const CHUNK_PAGES: u32 = 32;
const CHUNK: usize = CHUNK_PAGES as usize * PAGE_SIZE;
/// Smallest budget.
const MIN_BUDGET: usize = 64 << 10;

#[derive(Clone, Copy)]
struct Entry {
    head: u128,
    /// Tid (48 bits), key length (15 bits), whether the row is live.
    word: u64,
    /// Where the key's bytes behind the head begin.
    at: u32,
}

impl Entry {
    fn len(self) -> usize {
        usize::from((self.word as u16) >> 1)
    }
    #[inline]
    fn cmp(&self, other: &Self, bytes: &[u8]) -> Ordering {
        self.head.cmp(&other.head).then_with(|| self.cmp_rest(self.rest(bytes), other, other.rest(bytes)))
    }
    /// For equal heads.
    fn cmp_rest(&self, rest: &[u8], other: &Self, other_rest: &[u8]) -> Ordering {
        let (a, b) = (self.len(), other.len());
        // A shorter one was padded with zeros.
        let keys = if a <= HEAD || b <= HEAD { a.cmp(&b) } else { rest.cmp(other_rest) };
        keys.then_with(|| self.word.cmp(&other.word))
    }
    fn rest(self, bytes: &[u8]) -> &[u8] {
        let at = self.at as usize;
        bytes.get(at..at + self.len().saturating_sub(HEAD)).unwrap_or(&[])
    }
}

/// Free pages of a volume in use as scratch space; given back when dropped, and by any restart.
struct Scratch {
    directory: Arc<Directory>,
    start: u32,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.directory.release_scratch(self.start);
    }
}

/// A sorted run on the device: `word u64, key` one after the other, ended by a word of zeros.
struct Spilled {
    chunks: Vec<Scratch>,
}

/// Collects entries in any order. `Send`.
pub struct IndexSorter {
    pool: Arc<BufferPool>,
    directory: Arc<Directory>,
    rel: RelId,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    budget: usize,
    spilled: Vec<Spilled>,
    count: u64,
}

impl IndexSorter {
    /// One for an index of `rel` that holds about `budget` bytes in memory.
    pub fn new(pool: Arc<BufferPool>, directory: Arc<Directory>, rel: RelId, budget: usize) -> Self {
        let budget = budget.max(MIN_BUDGET);
        Self {
            pool,
            directory,
            rel,
            entries: Vec::new(),
            bytes: Vec::new(),
            budget,
            spilled: Vec::new(),
            count: 0,
        }
    }

    /// Adds an entry. `live`: it takes part in the unique check.
    #[inline]
    pub fn push(&mut self, key: &[u8], tid: Tid, live: bool) -> Result<()> {
        if key.len() > MAX_KEY {
            return Err(StorageError::KeyTooBig { size: key.len(), max: MAX_KEY });
        }
        let head = match key.first_chunk::<HEAD>() {
            Some(b) => u128::from_be_bytes(*b),
            None => {
                let mut b = [0; HEAD];
                b[..key.len()].copy_from_slice(key);
                u128::from_be_bytes(b)
            }
        };
        let word = tid.to_u64() << 16 | (key.len() as u64) << 1 | u64::from(live);
        self.count += 1;
        self.entries.push(Entry { head, word, at: self.bytes.len() as u32 });
        self.bytes.extend_from_slice(key.get(HEAD..).unwrap_or(&[]));
        let held = self.entries.len() * size_of::<Entry>() + self.bytes.len();
        if held > self.budget || self.bytes.len() > u32::MAX as usize / 2 { self.spill() } else { Ok(()) }
    }

    /// Number of entries.
    pub fn len(&self) -> u64 {
        self.count
    }
    /// None?
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Puts what is in memory in order. To be called by the task that filled it; merging does it otherwise.
    pub fn sort(&mut self) {
        let bytes = self.bytes.as_slice();
        self.entries.sort_unstable_by(|a, b| a.cmp(b, bytes));
    }

    /// How many runs were written to the device.
    pub fn spills(&self) -> usize {
        self.spilled.len()
    }

    #[cold]
    fn spill(&mut self) -> Result<()> {
        self.sort();
        let mut run = Spilled { chunks: Vec::new() };
        let mut out = Vec::with_capacity(CHUNK + MAX_KEY + 8);
        for e in &self.entries {
            out.extend_from_slice(&e.word.to_le_bytes());
            out.extend_from_slice(e.head.to_be_bytes().get(..e.len().min(HEAD)).unwrap_or(&[]));
            out.extend_from_slice(e.rest(&self.bytes));
            if out.len() >= CHUNK {
                self.write_chunk(&mut run, &mut out)?;
            }
        }
        out.extend_from_slice(&[0; 8]);
        while !out.is_empty() {
            self.write_chunk(&mut run, &mut out)?;
        }
        self.spilled.push(run);
        self.entries.clear();
        self.bytes.clear();
        Ok(())
    }

    /// Writes the first chunk of `out`, and takes it away.
    fn write_chunk(&self, run: &mut Spilled, out: &mut Vec<u8>) -> Result<()> {
        let start = self.directory.take_scratch(CHUNK_PAGES, self.rel)?;
        let scratch = Scratch { directory: self.directory.clone(), start };
        if out.len() < CHUNK {
            out.resize(CHUNK, 0);
        }
        self.pool.write_scratch(start, out.get(..CHUNK).unwrap_or(&[]))?;
        out.drain(..CHUNK);
        run.chunks.push(scratch);
        Ok(())
    }
}

/// Reads a spilled run.
struct Reader {
    pool: Arc<BufferPool>,
    chunks: vec::IntoIter<Scratch>,
    buffer: Box<[u8]>,
    at: usize,
    current: Option<Entry>,
    rest: Vec<u8>,
}

impl Reader {
    fn new(pool: Arc<BufferPool>, run: Spilled) -> Result<Self> {
        let buffer = vec![0; CHUNK].into_boxed_slice();
        let chunks = run.chunks.into_iter();
        let mut this = Self { pool, chunks, buffer, at: CHUNK, current: None, rest: Vec::new() };
        this.advance()?;
        Ok(this)
    }
    fn take(&mut self, mut to: &mut [u8]) -> Result<()> {
        while !to.is_empty() {
            if self.at == self.buffer.len() {
                let lost = StorageError::CorruptVolume("a sorted run ends too early");
                let scratch = self.chunks.next().ok_or(lost)?;
                self.pool.read_scratch(scratch.start, &mut self.buffer)?;
                self.at = 0;
            }
            let n = to.len().min(self.buffer.len() - self.at);
            let (head, rest) = to.split_at_mut(n);
            head.copy_from_slice(self.buffer.get(self.at..self.at + n).unwrap_or(&[]));
            self.at += n;
            to = rest;
        }
        Ok(())
    }
    fn advance(&mut self) -> Result<()> {
        let mut word = [0; 8];
        self.take(&mut word)?;
        let mut entry = Entry { head: 0, word: u64::from_le_bytes(word), at: 0 };
        if entry.word == 0 {
            self.current = None;
            return Ok(());
        }
        let mut head = [0; HEAD];
        let len = entry.len();
        if let Some(h) = head.get_mut(..len.min(HEAD)) {
            self.take(h)?;
        }
        entry.head = u128::from_be_bytes(head);
        let mut rest = core::mem::take(&mut self.rest);
        rest.resize(len.saturating_sub(HEAD).min(MAX_KEY), 0);
        self.take(&mut rest)?;
        self.rest = rest;
        self.current = Some(entry);
        Ok(())
    }
}

enum Source {
    Memory { sorter: IndexSorter, at: usize },
    Device(Reader),
}

impl Source {
    #[inline]
    fn current(&self) -> Option<(Entry, &[u8])> {
        match self {
            Self::Memory { sorter, at } => sorter.entries.get(*at).map(|e| (*e, e.rest(&sorter.bytes))),
            Self::Device(r) => r.current.map(|e| (e, r.rest.as_slice())),
        }
    }
    #[inline]
    fn advance(&mut self) -> Result<()> {
        match self {
            Self::Memory { at, .. } => {
                *at += 1;
                Ok(())
            }
            Self::Device(r) => r.advance(),
        }
    }
}

/// The entries of several sorters in order.
pub struct Merge {
    sources: Vec<Source>,
    /// The source with the least entry.
    least: usize,
}

/// An entry as merging gives it.
pub struct Merged<'m> {
    entry: Entry,
    bytes: [u8; HEAD],
    rest: &'m [u8],
}

impl Merged<'_> {
    /// The key's first bytes.
    pub fn head(&self) -> &[u8] {
        self.bytes.get(..self.entry.len().min(HEAD)).unwrap_or(&[])
    }
    /// And the others.
    pub fn tail(&self) -> &[u8] {
        self.rest
    }
    /// The row.
    pub fn tid(&self) -> Tid {
        Tid::from_u64(self.entry.word >> 16)
    }
    /// Does it take part in the unique check?
    pub fn live(&self) -> bool {
        self.entry.word & 1 != 0
    }
}

impl Merge {
    /// Sorts what is not sorted yet, and stands at the first entry.
    pub fn new(sorters: Vec<IndexSorter>) -> Result<Self> {
        let mut sources = Vec::new();
        for mut sorter in sorters {
            for run in core::mem::take(&mut sorter.spilled) {
                sources.push(Source::Device(Reader::new(sorter.pool.clone(), run)?));
            }
            let bytes = sorter.bytes.as_slice();
            if !sorter.entries.is_sorted_by(|a, b| a.cmp(b, bytes) != Ordering::Greater) {
                sorter.sort();
            }
            sources.push(Source::Memory { sorter, at: 0 });
        }
        let mut this = Self { sources, least: 0 };
        this.choose();
        Ok(this)
    }
    fn choose(&mut self) {
        let mut best: Option<(usize, Entry, &[u8])> = None;
        for (i, s) in self.sources.iter().enumerate() {
            let Some((e, rest)) = s.current() else { continue };
            let less = match &best {
                None => true,
                Some((_, b, b_rest)) => {
                    e.head.cmp(&b.head).then_with(|| e.cmp_rest(rest, b, b_rest)) == Ordering::Less
                }
            };
            if less {
                best = Some((i, e, rest));
            }
        }
        self.least = best.map_or(0, |b| b.0);
    }
    /// The entry that it stands at; `None`: it is at the end.
    #[inline]
    pub fn current(&self) -> Option<Merged<'_>> {
        let (entry, rest) = self.sources.get(self.least)?.current()?;
        Some(Merged { entry, bytes: entry.head.to_be_bytes(), rest })
    }
    /// Goes on to the next.
    #[inline]
    pub fn advance(&mut self) -> Result<()> {
        if let Some(s) = self.sources.get_mut(self.least) {
            s.advance()?;
        }
        if self.sources.len() > 1 {
            self.choose();
        }
        Ok(())
    }
}
