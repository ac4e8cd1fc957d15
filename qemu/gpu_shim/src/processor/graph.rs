//! Graphs of lookup tables on the host's cores.

use compute_protocol::graph::{NONE, Piece, SLOTS, Step, words};
use kernel_simd::lookup::{Path, Tables, Wires};

use super::parallel;
use crate::executor::Failure;

/// Nodes that a kernel evaluates in one call.
const BLOCK: usize = 64;
/// Blocks that one thread does at a time.
const TOGETHER: usize = 1024;

/// Steps whose blocks lie one after the other.
pub struct Graph {
    nodes: usize,
    /// By place and, behind them, a 0 that slots without a source read.
    states: Vec<u64>,
    steps: Vec<Step>,
    /// By first place: that, how many, and the first one's position in the order of steps.
    order: Vec<(u32, u32, usize)>,
    /// In the order of steps.
    tables: Vec<u64>,
    /// In the order of steps, by blocks of nodes and in them by slot.
    wires: Wires,
    /// What a step gives, before it is in place.
    after: Vec<u64>,
}

impl Graph {
    /// What [`Self::bytes`] will be.
    pub fn bytes_of(nodes: usize, steps: usize) -> u64 {
        nodes as u64 * 33 + steps as u64 * 24
    }

    /// Bytes of memory, about.
    pub fn bytes(&self) -> u64 {
        Self::bytes_of(self.nodes, self.steps.len())
    }

    /// Of empty nodes.
    pub fn empty(nodes: usize, steps: &[Step]) -> Self {
        let mut order = Vec::with_capacity(steps.len());
        let mut evaluated = 0;
        for step in steps {
            order.push((step.first, step.count, evaluated));
            evaluated += step.count as usize;
        }
        order.sort_unstable();
        Self {
            nodes,
            states: vec![0; (nodes + 1).div_ceil(64)],
            steps: steps.to_vec(),
            order,
            tables: vec![0; evaluated],
            // Places are below the limit of nodes, far below the kernels'.
            wires: Wires::new(vec![nodes as u32; evaluated * SLOTS]).unwrap_or_default(),
            after: Vec::new(),
        }
    }

    /// Sets nodes.
    pub fn set(&mut self, piece: &Piece<'_>) -> Result<(), Failure> {
        piece.validate(self.nodes).map_err(|_| Failure::Bounds)?;
        let mut at = self.order.first().copied();
        for (place, table, sources) in piece.nodes() {
            if at.is_none_or(|(first, count, _)| place < first || place - first >= count) {
                let behind = self.order.partition_point(|&(first, ..)| first <= place);
                at = behind.checked_sub(1).and_then(|n| self.order.get(n)).copied();
            }
            // Nobody evaluates nodes that are in no step.
            let Some((first, count, begin)) = at.filter(|&(first, count, _)| place - first < count) else {
                continue;
            };
            let within = (place - first) as usize;
            if let Some(own) = self.tables.get_mut(begin + within) {
                *own = table;
            }
            let block = within / BLOCK * BLOCK;
            let width = BLOCK.min(count as usize - block);
            for (slot, source) in sources.into_iter().enumerate() {
                let source = if source == NONE { self.nodes as u32 } else { source };
                self.wires.set((begin + block) * SLOTS + slot * width + within - block, source);
            }
        }
        Ok(())
    }

    /// Checks a range of words of the state.
    fn has(&self, first: usize, count: usize) -> Result<(), Failure> {
        let end = first.checked_add(count).ok_or(Failure::Bounds)?;
        if end > words(self.nodes) { Err(Failure::Bounds) } else { Ok(()) }
    }

    /// Sets words of the state.
    pub fn write(&mut self, first: usize, states: &[u32]) -> Result<(), Failure> {
        self.has(first, states.len())?;
        for (at, &half) in (first..).zip(states) {
            if let Some(word) = self.states.get_mut(at / 2) {
                let shift = at % 2 * 32;
                *word = *word & !(0xffff_ffff << shift) | u64::from(half) << shift;
            }
        }
        // Bits beyond the nodes are 0, above all the one that is read.
        if let Some(last) = self.states.get_mut(self.nodes / 64) {
            *last &= (1 << (self.nodes % 64)) - 1;
        }
        Ok(())
    }

    /// Gets words of the state.
    pub fn read(&self, first: usize, into: &mut [u32]) -> Result<(), Failure> {
        self.has(first, into.len())?;
        for (at, word) in (first..).zip(into) {
            *word = (self.states.get(at / 2).copied().unwrap_or(0) >> (at % 2 * 32)) as u32;
        }
        Ok(())
    }

    /// Runs the schedule once; returns whether any state changed.
    pub fn tick(&mut self, threads: usize) -> bool {
        let path = Path::best();
        let tables = Tables::Own(&self.tables);
        let (mut begin, mut changed) = (0, false);
        for step in &self.steps {
            let count = step.count as usize;
            let blocks = count.div_ceil(BLOCK);
            let (states, wires) = (&self.states, &self.wires);
            let block = |n: usize| {
                let nodes = BLOCK.min(count - n * BLOCK);
                let first = begin + n * BLOCK;
                wires.look_up(path, (first * SLOTS, nodes, SLOTS), &tables, first, states)
            };
            self.after.clear();
            if threads == 1 || blocks < 2 * TOGETHER {
                self.after.extend((0..blocks).map(block));
            } else {
                let parts = parallel(threads, blocks.div_ceil(TOGETHER), |part| {
                    (part * TOGETHER..blocks.min((part + 1) * TOGETHER)).map(block).collect::<Vec<u64>>()
                });
                self.after.extend(parts.into_iter().flatten());
            }
            for (n, &word) in self.after.iter().enumerate() {
                let (first, count) = (step.first as usize + n * BLOCK, BLOCK.min(count - n * BLOCK));
                changed |= put(&mut self.states, first, count, word);
            }
            begin += count;
        }
        changed
    }
}

/// Writes the lowest `count <= 64` bits of `word` to the places from `first` on; returns whether any of them is another now.
fn put(bits: &mut [u64], first: usize, count: usize, word: u64) -> bool {
    let (at, shift) = (first / 64, first % 64);
    let mask = if count >= 64 { !0 } else { (1 << count) - 1 };
    let word = word & mask;
    let mut differs = 0;
    if let Some(w) = bits.get_mut(at) {
        let new = *w & !(mask << shift) | word << shift;
        differs |= *w ^ new;
        *w = new;
    }
    if shift + count > 64
        && let Some(w) = bits.get_mut(at + 1)
    {
        let new = *w & !(mask >> (64 - shift)) | word >> (64 - shift);
        differs |= *w ^ new;
        *w = new;
    }
    differs != 0
}
