//! Graphs of lookup tables on the host's cores.

use compute_protocol::graph::{Form, NONE, SLOTS, Step, words};
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
    /// In the order of steps.
    tables: Vec<u64>,
    /// In the order of steps, by blocks of nodes and in them by slot.
    wires: Wires,
    /// What a step gives, before it is in place.
    after: Vec<u64>,
}

impl Graph {
    /// What [`Self::bytes`] will be.
    pub fn bytes_of(form: &Form<'_>) -> u64 {
        form.nodes() as u64 * 33
    }

    /// Bytes of memory, about.
    pub fn bytes(&self) -> u64 {
        self.nodes as u64 * 33
    }

    /// With all states 0.
    pub fn build(form: &Form<'_>) -> Self {
        let nodes = form.nodes();
        let evaluated: usize = form.steps.iter().map(|s| s.count as usize).sum();
        let (mut tables, mut wires) = (Vec::with_capacity(evaluated), Vec::with_capacity(evaluated * SLOTS));
        let slots: [&[u32]; SLOTS] = std::array::from_fn(|slot| form.slot(slot));
        for step in form.steps {
            let all = step.first as usize..step.end() as usize;
            tables.extend_from_slice(form.tables.get(all.clone()).unwrap_or(&[]));
            for first in all.clone().step_by(BLOCK) {
                for slot in slots {
                    let sources = slot.get(first..all.end.min(first + BLOCK)).unwrap_or(&[]);
                    wires.extend(sources.iter().map(|&s| if s == NONE { nodes as u32 } else { s }));
                }
            }
        }
        Self {
            nodes,
            states: vec![0; (nodes + 1).div_ceil(64)],
            steps: form.steps.to_vec(),
            tables,
            // Places are below the limit of nodes, far below the kernels'.
            wires: Wires::new(wires).unwrap_or_default(),
            after: Vec::new(),
        }
    }

    /// Sets all states.
    pub fn write(&mut self, states: &[u32]) -> Result<(), Failure> {
        if states.len() != words(self.nodes) {
            return Err(Failure::Bounds);
        }
        for (at, word) in self.states.iter_mut().enumerate() {
            let half = |n: usize| u64::from(states.get(2 * at + n).copied().unwrap_or(0));
            *word = half(0) | half(1) << 32;
        }
        // Bits beyond the nodes are 0, above all the one that is read.
        if let Some(last) = self.states.get_mut(self.nodes / 64) {
            *last &= (1 << (self.nodes % 64)) - 1;
        }
        Ok(())
    }

    /// Gets all states.
    pub fn read(&self, into: &mut [u32]) -> Result<(), Failure> {
        if into.len() != words(self.nodes) {
            return Err(Failure::Bounds);
        }
        for (at, word) in into.iter_mut().enumerate() {
            *word = (self.states.get(at / 2).copied().unwrap_or(0) >> (at % 2 * 32)) as u32;
        }
        Ok(())
    }

    /// Runs the schedule once.
    pub fn tick(&mut self, threads: usize) {
        let path = Path::best();
        let tables = Tables::Own(&self.tables);
        let mut begin = 0;
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
                put(&mut self.states, step.first as usize + n * BLOCK, BLOCK.min(count - n * BLOCK), word);
            }
            begin += count;
        }
    }
}

/// Writes the lowest `count <= 64` bits of `word` to the places from `first` on.
fn put(bits: &mut [u64], first: usize, count: usize, word: u64) {
    let (at, shift) = (first / 64, first % 64);
    let mask = if count >= 64 { !0 } else { (1 << count) - 1 };
    let word = word & mask;
    if let Some(w) = bits.get_mut(at) {
        *w = *w & !(mask << shift) | word << shift;
    }
    if shift + count > 64
        && let Some(w) = bits.get_mut(at + 1)
    {
        *w = *w & !(mask >> (64 - shift)) | word >> (64 - shift);
    }
}
