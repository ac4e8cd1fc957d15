//! Commands in, replies out: the one place where messages become jobs.

use std::time::{Duration, Instant};

use compute_protocol::{
    Answer, Command, Envelope, Reply, Span, Status,
    graph::{self, Piece, Run, Step},
    limits,
};
use zerocopy::IntoBytes;

use crate::executor::{Executor, Failure, Rows, Search};

/// Memory that the guest has attached.
pub trait Pages {
    /// Copies a span out; false if it is not all there.
    fn read(&self, span: Span, into: &mut [u8]) -> bool;

    /// Copies bytes to a span, which is as long as they are; false if it is not all there.
    fn write(&mut self, span: Span, from: &[u8]) -> bool;

    /// Whether all of a span is there.
    fn has(&self, span: Span) -> bool;

    /// Whether they were taken away: what is computed is for nobody any more.
    fn is_gone(&self) -> bool {
        false
    }
}

/// One guest's use of a device.
pub struct Session {
    executor: Box<dyn Executor>,
    /// Time of the command at hand that bytes took to move.
    transfer_ns: u64,
}

/// Bytes that are moved at a time.
const PIECE: u64 = 64 << 20;

impl Session {
    /// With an executor that nobody else uses.
    pub fn new(executor: Box<dyn Executor>) -> Self {
        Self { executor, transfer_ns: 0 }
    }

    /// The device.
    pub fn executor(&mut self) -> &mut dyn Executor {
        &mut *self.executor
    }

    /// Does what a message says and returns the reply to it.
    pub fn handle(&mut self, message: &[u8], pages: &mut dyn Pages) -> Vec<u8> {
        let envelope = match Envelope::decode(message) {
            Ok(envelope) => envelope,
            Err(_) => {
                let number =
                    message.get(12..16).and_then(|n| n.try_into().ok()).map_or(0, u32::from_le_bytes);
                return Reply::refusal(number, Status::Malformed).encode();
            }
        };
        self.transfer_ns = 0;
        let begun = Instant::now();
        let (status, answer) = match self.run(envelope.command, pages) {
            Ok(answer) => (Status::Done, answer),
            Err(failure) => (failure.into(), Answer::Nothing),
        };
        let all = begun.elapsed().as_nanos() as u64;
        let transfer_ns = self.transfer_ns;
        let compute_ns = all.saturating_sub(transfer_ns);
        Reply { number: envelope.number, status, compute_ns, transfer_ns, answer }.encode()
    }

    fn timed<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let begun = Instant::now();
        let result = work(self);
        self.transfer_ns += begun.elapsed().as_nanos() as u64;
        result
    }

    /// The bytes of a span; none are allocated for one that is not there.
    fn fetch<T: IntoBytes + zerocopy::FromBytes + zerocopy::FromZeros + Copy>(
        &mut self,
        pages: &dyn Pages,
        span: Span,
    ) -> Result<Vec<T>, Failure> {
        if !pages.has(span) {
            return Err(Failure::Bounds);
        }
        self.timed(|_| {
            let count = usize::try_from(span.length).map_err(|_| Failure::Bounds)? / size_of::<T>();
            let mut words = vec![T::new_zeroed(); count];
            if pages.read(span, words.as_mut_bytes()) { Ok(words) } else { Err(Failure::Bounds) }
        })
    }

    fn run(&mut self, command: Command, pages: &mut dyn Pages) -> Result<Answer, Failure> {
        match command {
            Command::Describe => return Ok(Answer::Device(self.executor.describe())),
            Command::Create { table, bytes } => self.executor.create(table, bytes)?,
            Command::Write { table, offset, from } => {
                for (at, piece) in pieces(from) {
                    let bytes: Vec<u32> = self.fetch(pages, piece)?;
                    self.timed(|s| s.executor.write(table, offset + at, bytes.as_bytes()))?;
                }
            }
            Command::Read { table, offset, into } => {
                for (at, piece) in pieces(into) {
                    self.write_to(pages, piece, |s, bytes| s.executor.read(table, offset + at, bytes))?;
                }
            }
            Command::Drop { id } => self.executor.forget(id)?,
            Command::Graph { graph, nodes, schedule, .. } => {
                let steps: Vec<Step> = self.runs(pages, schedule)?;
                self.executor.graph(graph, nodes as usize, &steps)?;
            }
            Command::Nodes { graph, places, tables, sources, .. } => {
                let runs = self.runs(pages, places)?;
                let tables: Vec<u64> = self.fetch(pages, tables)?;
                let sources: Vec<u32> = self.fetch(pages, sources)?;
                let piece = Piece { runs: &runs, tables: &tables, sources: &sources };
                self.timed(|s| s.executor.nodes(graph, &piece))?;
            }
            Command::WriteState { graph, first, from } => {
                let states: Vec<u32> = self.fetch(pages, from)?;
                self.timed(|s| s.executor.write_state(graph, first as usize, &states))?;
            }
            Command::ReadState { graph, first, into } => {
                let mut states: Vec<u32> = self.fetch(pages, into)?;
                self.timed(|s| s.executor.read_state(graph, first as usize, &mut states))?;
                self.put(pages, into, states.as_bytes())?;
            }
            Command::WriteBits { graph, nodes, places, bits, .. } => {
                let runs = self.runs(pages, places)?;
                let bits: Vec<u32> = self.fetch(pages, bits)?;
                self.timed(|s| s.write_bits(graph, &runs, nodes, &bits))?;
            }
            Command::Tick { graph, ticks } => {
                return self.tick(graph, ticks, pages).map(Answer::Ticked);
            }
            Command::LookUp { tables, indexes, rows, into } => {
                let mut bits: Vec<u32> = self.fetch(pages, into)?;
                self.executor.look_up(tables, indexes, rows, &mut bits)?;
                self.put(pages, into, bits.as_bytes())?;
            }
            Command::Reduce { column, rows, wanted, filter } => {
                let rows = Rows { column, count: rows, filter: &filter };
                return self.executor.reduce(rows, wanted).map(Answer::Reduction);
            }
            Command::Top { column, rows, count, greatest, into, filter } => {
                let rows = Rows { column, count: rows, filter: &filter };
                let best = self.executor.top(rows, count as usize, greatest)?;
                let flat: Vec<[u64; 2]> = best.iter().map(|&(row, key)| [row, key]).collect();
                self.put(pages, Span { length: 16 * flat.len() as u64, ..into }, flat.as_bytes())?;
                return Ok(Answer::Rows(flat.len() as u64));
            }
            Command::Nearest { .. } => return self.nearest(&command, pages),
        }
        Ok(Answer::Nothing)
    }

    /// Ticks in pieces, so that one whose guest is gone does not go on for long.
    fn tick(&mut self, graph: u32, ticks: u32, pages: &dyn Pages) -> Result<bool, Failure> {
        const LONG: Duration = Duration::from_millis(100);
        let (mut left, mut piece) = (ticks, 256);
        loop {
            let now = left.min(piece);
            let begun = Instant::now();
            let changed = self.executor.tick(graph, now)?;
            left -= now;
            if left == 0 || pages.is_gone() {
                return Ok(changed);
            }
            piece = if begun.elapsed() < LONG { piece * 2 } else { (piece / 2).max(1) };
        }
    }

    fn runs(&mut self, pages: &dyn Pages, span: Span) -> Result<Vec<Run>, Failure> {
        let runs: Vec<[u32; 2]> = self.fetch(pages, span)?;
        Ok(runs.into_iter().map(|[first, count]| Run { first, count }).collect())
    }

    /// Sets single bits of a state, of which it gets and sets the words in between, in pieces.
    fn write_bits(&mut self, graph: u32, runs: &[Run], nodes: u32, bits: &[u32]) -> Result<(), Failure> {
        /// Words between two bits that are rather moved twice than the two apart.
        const GAP: u32 = 1024;
        graph::check_runs(runs, limits::NODES as usize, nodes as usize).map_err(|_| Failure::Bounds)?;
        // Nothing is changed if the last place is not there.
        let last = runs.last().map_or(0, |r| (r.end() - 1) / 32);
        let mut word = [0];
        let count = runs.len().min(1);
        self.executor.read_state(graph, last as usize, word.get_mut(..count).unwrap_or(&mut []))?;
        let mut done = 0;
        for near in runs.chunk_by(|a, b| b.first / 32 - (a.end() - 1) / 32 <= GAP) {
            let (Some(first), Some(last)) = (near.first(), near.last()) else { continue };
            let (first, end) = (first.first / 32, (last.end() - 1) / 32 + 1);
            let mut words = vec![0; (end - first) as usize];
            self.executor.read_state(graph, first as usize, &mut words)?;
            for run in near {
                for place in run.first..run.end() {
                    let bit = bits.get(done / 32).copied().unwrap_or(0) >> (done % 32) & 1;
                    if let Some(word) = words.get_mut((place / 32 - first) as usize) {
                        *word = *word & !(1 << (place % 32)) | bit << (place % 32);
                    }
                    done += 1;
                }
            }
            self.executor.write_state(graph, first as usize, &words)?;
        }
        Ok(())
    }

    fn nearest(&mut self, command: &Command, pages: &mut dyn Pages) -> Result<Answer, Failure> {
        let &Command::Nearest { table, dimensions, rows, neighbours, metric, from, into, .. } = command
        else {
            return Err(Failure::Unsupported);
        };
        let queries: Vec<f32> = self.fetch(pages, from)?;
        let (dimensions, neighbours) = (dimensions as usize, neighbours as usize);
        let search = Search { table, dimensions, rows, queries: &queries, neighbours, metric };
        let found = self.executor.nearest(&search)?;
        let mut flat: Vec<[u64; 2]> = Vec::with_capacity(found.len() * neighbours);
        for of in &found {
            flat.extend(of.iter().map(|&(row, distance)| [row, distance.to_bits()]));
            flat.resize(flat.len().next_multiple_of(neighbours.max(1)), [u64::MAX, f64::NAN.to_bits()]);
        }
        self.put(pages, into, flat.as_bytes())?;
        Ok(Answer::Rows(found.iter().map(|f| f.len() as u64).sum()))
    }

    fn put(&mut self, pages: &mut dyn Pages, into: Span, bytes: &[u8]) -> Result<(), Failure> {
        self.timed(|_| if pages.write(into, bytes) { Ok(()) } else { Err(Failure::Bounds) })
    }

    fn write_to(
        &mut self,
        pages: &mut dyn Pages,
        into: Span,
        with: impl FnOnce(&mut Self, &mut [u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if !pages.has(into) {
            return Err(Failure::Bounds);
        }
        let length = usize::try_from(into.length).map_err(|_| Failure::Bounds)?;
        let mut bytes = vec![0; length];
        self.timed(|s| with(s, &mut bytes))?;
        self.put(pages, into, &bytes)
    }
}

/// A span in pieces, with where each begins.
fn pieces(span: Span) -> impl Iterator<Item = (u64, Span)> {
    (0..span.length.div_ceil(PIECE)).map(move |n| {
        let at = n * PIECE;
        (at, Span { offset: span.offset + at, length: PIECE.min(span.length - at), ..span })
    })
}
