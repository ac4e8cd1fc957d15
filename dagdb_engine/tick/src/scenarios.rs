//! Many scenarios at once: what would the graph settle to if these nodes had those values?

use alloc::{sync::Arc, vec, vec::Vec};

use dagdb_graph::{INPUTS, Lut, NodeId};
use kernel_simd::{
    lookup::{Path, WIDE, Wide, combine, combine_wide},
    program::{Program, Scratch},
};
use spin::Mutex;

use crate::{
    bits,
    executor::Executor,
    layout::{Layout, Segment, Work},
    network::{Network, TickError},
};

/// Nodes between two questions whether to go on.
const SLICE: usize = 1 << 16;

/// A question about many scenarios: nodes whose values are given for each of them, and nodes whose values are wanted.
#[derive(Clone, Debug, Default)]
pub struct Scenarios {
    count: usize,
    given: Vec<(NodeId, Vec<u64>)>,
    wanted: Vec<NodeId>,
}

impl Scenarios {
    /// About `count` scenarios.
    pub fn new(count: usize) -> Self {
        Self { count, ..Self::default() }
    }

    /// Words that hold a bit for each scenario.
    pub fn words(&self) -> usize {
        bits::words(self.count)
    }

    /// In scenario `s`, `node` is bit `s` of `values`, whatever its table says; bits that are not there are 0.
    pub fn give(&mut self, node: NodeId, values: Vec<u64>) {
        self.given.push((node, values));
    }

    /// The values of `node` are wanted.
    pub fn want(&mut self, node: NodeId) {
        self.wanted.push(node);
    }

    /// Settles the graph in every scenario; one vector of words for each wanted node comes back. Registers and whatever is
    /// not evaluated keep their present values; the network itself does not change. Edited nodes are sorted in first.
    pub fn evaluate(
        &self,
        network: &mut Network,
        executor: &dyn Executor,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Vec<Vec<u64>>, TickError> {
        network.compact();
        let (layout, states) = network.parts();
        let place = |id: &NodeId| layout.places.get(id.index()).copied().unwrap_or(0);
        let mut given: Vec<(u32, Vec<u64>)> =
            self.given.iter().map(|(id, v)| (place(id), v.clone())).collect();
        given.retain(|g| g.0 != 0);
        given.sort_by_key(|g| g.0);
        let wanted = self.wanted.iter().map(place).collect();
        let question = Arc::new(Question { layout, states, given, wanted, path: network.path() });
        let mut results = vec![vec![0; self.words()]; self.wanted.len()];
        if self.count <= 64 {
            let mut lanes = Vec::new();
            question.settle::<u64>(0, &mut lanes, go_on).ok_or(TickError::Cancelled { ticks: 0 })?;
            question.read(&lanes, 0, &mut results);
        } else {
            question.settle_wide(self.count, executor, go_on, &mut results)?;
        }
        if let last @ 1.. = self.count % 64 {
            for result in &mut results {
                if let Some(word) = result.last_mut() {
                    *word &= bits::low(last);
                }
            }
        }
        Ok(results)
    }
}

/// The table that all nodes of a segment share.
struct Shared {
    table: u64,
    program: Program,
    scratch: Scratch,
}

impl Shared {
    fn new(lut: Lut, arity: usize) -> Self {
        Self { table: lut.0, program: Program::new(lut.0, arity), scratch: Scratch::default() }
    }
}

/// The values of a node in the scenarios that are evaluated together.
trait Lanes: Copy + Send + 'static {
    const WORDS: usize;
    fn all(value: bool) -> Self;
    fn from_words(words: &[u64]) -> Self;
    fn word(&self, at: usize) -> u64;
    fn apply(path: Path, table: u64, inputs: &[&Self], into: &mut Self);
    /// The same, of a table that many nodes share.
    fn run(path: Path, own: &mut Shared, inputs: &[&Self], into: &mut Self);
}

impl Lanes for u64 {
    const WORDS: usize = 1;

    fn all(value: bool) -> Self {
        u64::from(value).wrapping_neg()
    }

    fn from_words(words: &[u64]) -> Self {
        words.first().copied().unwrap_or(0)
    }

    fn word(&self, _: usize) -> u64 {
        *self
    }

    #[inline]
    fn apply(_: Path, table: u64, inputs: &[&Self], into: &mut Self) {
        let mut words = [0; INPUTS];
        for (to, from) in words.iter_mut().zip(inputs) {
            *to = **from;
        }
        *into = combine(table, words.get(..inputs.len()).unwrap_or(&words));
    }

    #[inline]
    fn run(path: Path, shared: &mut Shared, inputs: &[&Self], into: &mut Self) {
        Self::apply(path, shared.table, inputs, into);
    }
}

impl Lanes for Wide {
    const WORDS: usize = WIDE / 64;

    fn all(value: bool) -> Self {
        [u64::from(value).wrapping_neg(); WIDE / 64]
    }

    fn from_words(words: &[u64]) -> Self {
        core::array::from_fn(|i| words.get(i).copied().unwrap_or(0))
    }

    fn word(&self, at: usize) -> u64 {
        self.get(at).copied().unwrap_or(0)
    }

    #[inline]
    fn apply(path: Path, table: u64, inputs: &[&Self], into: &mut Self) {
        combine_wide(path, table, inputs, into);
    }

    #[inline]
    fn run(path: Path, shared: &mut Shared, inputs: &[&Self], into: &mut Self) {
        shared.program.apply(path, inputs, &mut shared.scratch, into);
    }
}

struct Question {
    layout: Arc<Layout>,
    states: Arc<Vec<u64>>,
    /// By place.
    given: Vec<(u32, Vec<u64>)>,
    wanted: Vec<u32>,
    path: Path,
}

impl Question {
    /// Evaluates the scenarios from word `from` on into `lanes`, one element a place; `None` if it was cancelled.
    fn settle<L: Lanes>(&self, from: usize, lanes: &mut Vec<L>, go_on: &dyn Fn() -> bool) -> Option<()> {
        lanes.clear();
        lanes.resize(self.layout.ids.len(), L::all(false));
        let mut given = self.given.as_slice();
        for segment in &self.layout.segments {
            self.segment(segment, lanes, go_on)?;
            // Nobody in a segment reads another node of it: in time for the next one is soon enough.
            let end = segment.first + segment.len;
            while let Some(((place, values), rest)) = given.split_first()
                && *place < end
            {
                if let Some(lane) = lanes.get_mut(*place as usize) {
                    *lane = L::from_words(values.get(from..).unwrap_or(&[]));
                }
                given = rest;
            }
        }
        Some(())
    }

    fn segment<L: Lanes>(&self, segment: &Segment, lanes: &mut [L], go_on: &dyn Fn() -> bool) -> Option<()> {
        let (done, rest) = lanes.split_at_mut_checked(segment.first as usize)?;
        let into = rest.get_mut(..segment.len as usize)?;
        let (arity, mut shared) = match segment.work {
            Work::Hold => {
                for (place, lane) in (segment.first..).zip(into) {
                    *lane = L::all(bits::get(&self.states, place));
                }
                return Some(());
            }
            Work::Constant { .. } => {
                for (place, lane) in (segment.first..).zip(into) {
                    *lane = L::all(self.layout.tables.get(place).output(0));
                }
                return Some(());
            }
            Work::Same { arity, lut, .. } => (arity, Some(Shared::new(lut, arity))),
            Work::Own { arity, .. } => (arity, None),
        };
        for (part, into) in into.chunks_mut(SLICE).enumerate() {
            if part > 0 && !go_on() {
                return None;
            }
            let first = segment.first + (part * SLICE) as u32;
            for (place, lane) in (first..).zip(into) {
                let (sources, _) = self.layout.sources_of(segment, place);
                let mut inputs = [done.first()?; INPUTS];
                for (input, &source) in inputs.iter_mut().zip(&sources).take(arity) {
                    *input = done.get(source as usize)?;
                }
                let inputs = inputs.get(..arity)?;
                match &mut shared {
                    Some(shared) => L::run(self.path, shared, inputs, lane),
                    None => L::apply(self.path, self.layout.tables.get(place).0, inputs, lane),
                }
            }
        }
        go_on().then_some(())
    }

    /// Puts the wanted values of the scenarios from word `from` on where they belong.
    fn read<L: Lanes>(&self, lanes: &[L], from: usize, results: &mut [Vec<u64>]) {
        for (result, &place) in results.iter_mut().zip(&self.wanted) {
            let Some(lane) = lanes.get(place as usize) else { continue };
            for (i, word) in result.iter_mut().skip(from).take(L::WORDS).enumerate() {
                *word = lane.word(i);
            }
        }
    }

    /// Groups of [`WIDE`] scenarios, a few at a time so that a cancel is noticed.
    fn settle_wide(
        self: &Arc<Self>,
        count: usize,
        executor: &dyn Executor,
        go_on: &dyn Fn() -> bool,
        results: &mut [Vec<u64>],
    ) -> Result<(), TickError> {
        let groups = count.div_ceil(WIDE);
        let workers = executor.workers().clamp(1, groups);
        let rooms: Arc<Vec<Mutex<Vec<Wide>>>> = Arc::new((0..workers).map(|_| Mutex::default()).collect());
        let mut from = 0;
        while from < groups {
            let parts = workers.min(groups - from);
            if parts == 1 {
                if let Some(room) = rooms.first() {
                    self.settle(from * Wide::WORDS, &mut room.lock(), go_on)
                        .ok_or(TickError::Cancelled { ticks: 0 })?;
                }
            } else {
                let (question, rooms) = (Arc::clone(self), Arc::clone(&rooms));
                executor.run(
                    parts,
                    Arc::new(move |part| {
                        if let Some(room) = rooms.get(part) {
                            // Whether to go on is asked between groups: the caller's question may not leave its task.
                            let _ = question.settle((from + part) * Wide::WORDS, &mut room.lock(), &|| true);
                        }
                    }),
                );
            }
            for (part, room) in rooms.iter().enumerate().take(parts) {
                self.read(&room.lock(), (from + part) * Wide::WORDS, results);
            }
            from += parts;
            if !go_on() {
                return Err(TickError::Cancelled { ticks: 0 });
            }
        }
        Ok(())
    }
}
