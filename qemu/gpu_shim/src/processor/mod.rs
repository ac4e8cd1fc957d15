//! The host's cores as a device.

mod graph;
mod nearest;
mod select;

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use compute_protocol::{
    Kind, Term,
    answer::Device,
    graph::{Piece, Step, check_steps},
    reduce::{self, CHUNK, Partial, Values, Wanted},
};
use kernel_simd::lookup::Path;
use zerocopy::{FromBytes, IntoBytes};

use crate::executor::{Executor, Failure, Neighbour, Rows, Search};

pub(crate) use select::Best;

/// What a number names.
enum Held {
    Table(Vec<u64>),
    Graph(graph::Graph),
}

impl Held {
    fn bytes(&self) -> u64 {
        match self {
            Self::Table(words) => words.len() as u64 * 8,
            Self::Graph(graph) => graph.bytes(),
        }
    }
}

/// A device of processor cores.
pub struct Processor {
    held: HashMap<u32, Held>,
    threads: usize,
    memory: u64,
    used: u64,
}

impl Processor {
    /// With so many threads and so much memory for tables and graphs.
    pub fn new(threads: usize, memory: u64) -> Self {
        Self { held: HashMap::new(), threads: threads.max(1), memory, used: 0 }
    }

    /// All cores.
    pub fn threads() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    fn insert(&mut self, id: u32, bytes: u64, make: impl FnOnce() -> Held) -> Result<(), Failure> {
        if self.held.contains_key(&id) {
            return Err(Failure::Identity);
        }
        if bytes > self.memory - self.used {
            return Err(Failure::Memory);
        }
        let held = make();
        self.used += held.bytes();
        self.held.insert(id, held);
        Ok(())
    }

    fn table(&self, id: u32) -> Result<&[u64], Failure> {
        match self.held.get(&id) {
            Some(Held::Table(words)) => Ok(words),
            _ => Err(Failure::Identity),
        }
    }

    fn table_bytes(&mut self, id: u32, offset: u64, length: usize) -> Result<&mut [u8], Failure> {
        let Some(Held::Table(words)) = self.held.get_mut(&id) else { return Err(Failure::Identity) };
        let offset = usize::try_from(offset).map_err(|_| Failure::Bounds)?;
        let end = offset.checked_add(length).ok_or(Failure::Bounds)?;
        words.as_mut_bytes().get_mut(offset..end).ok_or(Failure::Bounds)
    }

    fn graph_of(&mut self, id: u32) -> Result<&mut graph::Graph, Failure> {
        match self.held.get_mut(&id) {
            Some(Held::Graph(graph)) => Ok(graph),
            _ => Err(Failure::Identity),
        }
    }

    fn values(&self, table: u32, kind: Kind, rows: u64) -> Result<Values<'_>, Failure> {
        let words = self.table(table)?;
        let length =
            rows.checked_mul(kind.width()).and_then(|n| usize::try_from(n).ok()).ok_or(Failure::Bounds)?;
        let bytes = words.as_bytes().get(..length).ok_or(Failure::Bounds)?;
        // Tables are aligned for the widest kind.
        let wrong = Failure::Bounds;
        Ok(match kind {
            Kind::I32 => Values::I32(<[i32]>::ref_from_bytes(bytes).map_err(|_| wrong)?),
            Kind::I64 => Values::I64(<[i64]>::ref_from_bytes(bytes).map_err(|_| wrong)?),
            Kind::F32 => Values::F32(<[f32]>::ref_from_bytes(bytes).map_err(|_| wrong)?),
            Kind::F64 => Values::F64(<[f64]>::ref_from_bytes(bytes).map_err(|_| wrong)?),
        })
    }

    fn selection(&self, rows: Rows<'_>) -> Result<Selection<'_>, Failure> {
        let of = |column: compute_protocol::Column| self.values(column.table, column.kind, rows.count);
        Ok(Selection {
            values: of(rows.column)?,
            filter: rows.filter.iter().map(|t| Ok((*t, of(t.column)?))).collect::<Result<_, Failure>>()?,
        })
    }
}

/// A column and the columns that filter it.
struct Selection<'a> {
    values: Values<'a>,
    filter: Vec<(Term, Values<'a>)>,
}

impl Selection<'_> {
    fn chunks(&self) -> usize {
        self.values.len().div_ceil(CHUNK)
    }

    /// The values of a chunk and which of them pass, if not all.
    fn chunk<'m>(&self, n: usize, mask: &'m mut Vec<bool>) -> (Values<'_>, Option<&'m [bool]>) {
        let values = self.values.part(n * CHUNK, CHUNK);
        if self.filter.is_empty() {
            return (values, None);
        }
        mask.clear();
        mask.resize(values.len(), true);
        for (term, of) in &self.filter {
            reduce::filter(&of.part(n * CHUNK, CHUNK), term.least, term.greatest, term.negated, mask);
        }
        (values, Some(mask))
    }
}

/// Does parts of work on several threads; results come in order of the parts.
pub(crate) fn parallel<T: Send>(threads: usize, parts: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if threads == 1 || parts <= 1 {
        return (0..parts).map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(parts));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(parts) {
            scope.spawn(|| {
                let mut own = Vec::new();
                loop {
                    let part = next.fetch_add(1, Ordering::Relaxed);
                    if part >= parts {
                        break;
                    }
                    own.push((part, work(part)));
                }
                done.lock().unwrap_or_else(PoisonError::into_inner).extend(own);
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(part, _)| *part);
    done.into_iter().map(|(_, result)| result).collect()
}

impl Executor for Processor {
    fn describe(&self) -> Device {
        Device {
            name: format!("{} threads of the host", self.threads),
            driver: format!("kernels for {}", Path::best().name()),
            is_processor: true,
            has_f64: true,
            memory: self.memory,
            used: self.used,
        }
    }

    fn create(&mut self, table: u32, bytes: u64) -> Result<(), Failure> {
        let words = usize::try_from(bytes.div_ceil(8)).map_err(|_| Failure::Memory)?;
        self.insert(table, bytes, || Held::Table(vec![0; words]))
    }

    fn write(&mut self, table: u32, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        self.table_bytes(table, offset, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    fn read(&mut self, table: u32, offset: u64, into: &mut [u8]) -> Result<(), Failure> {
        into.copy_from_slice(self.table_bytes(table, offset, into.len())?);
        Ok(())
    }

    fn forget(&mut self, id: u32) -> Result<(), Failure> {
        let held = self.held.remove(&id).ok_or(Failure::Identity)?;
        self.used -= held.bytes();
        Ok(())
    }

    fn clear(&mut self) {
        self.held.clear();
        self.used = 0;
    }

    fn graph(&mut self, id: u32, nodes: usize, steps: &[Step]) -> Result<(), Failure> {
        check_steps(nodes, steps).map_err(|_| Failure::Bounds)?;
        let bytes = graph::Graph::bytes_of(nodes, steps.len());
        self.insert(id, bytes, || Held::Graph(graph::Graph::empty(nodes, steps)))
    }

    fn nodes(&mut self, id: u32, piece: &Piece<'_>) -> Result<(), Failure> {
        self.graph_of(id)?.set(piece)
    }

    fn write_state(&mut self, id: u32, first: usize, words: &[u32]) -> Result<(), Failure> {
        self.graph_of(id)?.write(first, words)
    }

    fn read_state(&mut self, id: u32, first: usize, into: &mut [u32]) -> Result<(), Failure> {
        self.graph_of(id)?.read(first, into)
    }

    fn tick(&mut self, id: u32, ticks: u32) -> Result<bool, Failure> {
        let threads = self.threads;
        let graph = self.graph_of(id)?;
        Ok((0..ticks).fold(false, |_, _| graph.tick(threads)))
    }

    fn look_up(&mut self, tables: u32, indexes: u32, rows: u64, into: &mut [u32]) -> Result<(), Failure> {
        let rows = usize::try_from(rows).map_err(|_| Failure::Bounds)?;
        let tables = self.table(tables)?.get(..rows).ok_or(Failure::Bounds)?;
        let indexes = self.table(indexes)?.as_bytes().get(..rows).ok_or(Failure::Bounds)?;
        if into.len() != rows.div_ceil(32) {
            return Err(Failure::Bounds);
        }
        for (word, (tables, indexes)) in into.iter_mut().zip(tables.chunks(32).zip(indexes.chunks(32))) {
            let bits = tables.iter().zip(indexes).map(|(t, i)| (t >> (i & 63) & 1) as u32);
            *word = bits.enumerate().fold(0, |w, (j, bit)| w | bit << j);
        }
        Ok(())
    }

    fn reduce(&mut self, rows: Rows<'_>, wanted: Wanted) -> Result<Partial, Failure> {
        const TOGETHER: usize = 16;
        let selection = self.selection(rows)?;
        let chunks = selection.chunks();
        let partials = parallel(self.threads, chunks.div_ceil(TOGETHER), |part| {
            let mut mask = Vec::new();
            (part * TOGETHER..chunks.min((part + 1) * TOGETHER))
                .map(|n| {
                    let (values, mask) = selection.chunk(n, &mut mask);
                    reduce::chunk(&values, mask, wanted)
                })
                .collect::<Vec<Partial>>()
        });
        Ok(reduce::combine(partials.into_iter().flatten().collect()))
    }

    fn top(&mut self, rows: Rows<'_>, count: usize, greatest: bool) -> Result<Vec<(u64, u64)>, Failure> {
        let selection = self.selection(rows)?;
        let flip = if greatest { u64::MAX } else { 0 };
        let parts = parallel(self.threads, selection.chunks(), |n| {
            let mut mask = Vec::new();
            let (values, mask) = selection.chunk(n, &mut mask);
            let mut best = Best::new(count);
            let mut row = 0;
            values.for_each_key(|key| {
                if mask.is_none_or(|m| m.get(row).is_some_and(|&k| k)) {
                    best.offer(key ^ flip, (n * CHUNK + row) as u64);
                }
                row += 1;
            });
            best
        });
        let mut all = Best::new(count);
        for (key, row) in parts.into_iter().flat_map(Best::sorted) {
            all.offer(key, row);
        }
        Ok(all.sorted().into_iter().map(|(key, row)| (row, key ^ flip)).collect())
    }

    fn nearest(&mut self, search: &Search<'_>) -> Result<Vec<Vec<Neighbour>>, Failure> {
        let components = search.rows.checked_mul(search.dimensions as u64).ok_or(Failure::Bounds)?;
        let Values::F32(vectors) = self.values(search.table, Kind::F32, components)? else {
            return Err(Failure::Bounds);
        };
        nearest::search(self.threads, vectors, search)
    }
}
