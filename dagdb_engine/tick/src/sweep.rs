//! Evaluating a cone: what is queued, rank by rank, and what reads what has changed.
//!
//! The nodes of a cone lie anywhere in memory. So those of one rank, none of which reads another, are taken together: what
//! each of them touches is asked for before the first one is evaluated.

use alloc::vec::Vec;

use crate::{
    bits,
    cone::{PlaceSet, Readers},
    layout::{Layout, Work, index_of},
};
use dagdb_graph::INPUTS;

/// Nodes that are taken together.
const BATCH: usize = 32;
/// Nodes from which on what they bring tells what will come.
const TREND: u64 = 128;
/// Nodes between two questions whether to go on.
const SLICE: u64 = 4096;

/// How evaluating a cone ended.
pub enum Cone {
    Settled,
    Cancelled,
    /// It was left.
    TooLarge,
}

/// What evaluating a cone needs; places are in the order of ranks.
pub struct Sweep<'a> {
    pub layout: &'a Layout,
    pub readers: &'a Readers,
    pub queue: &'a mut PlaceSet,
    pub states: &'a mut [u64],
    /// By place, the values above 1; may be empty.
    pub codes: &'a mut [u8],
    /// Nodes beyond which it is left.
    pub limit: u64,
}

#[derive(Clone, Copy, Default)]
struct Visit {
    place: u32,
    arity: usize,
    sources: [u32; INPUTS],
}

impl Sweep<'_> {
    /// Evaluates until nothing is queued. `undo` gets the values that were replaced, `evaluated` the number of nodes.
    pub fn run(&mut self, go_on: &dyn Fn() -> bool, undo: &mut Vec<(u32, u8)>, evaluated: &mut u64) -> Cone {
        let mut batch = [Visit::default(); BATCH];
        let begun_with = self.queue.len() as u64;
        loop {
            let taken = self.take(&mut batch);
            if taken == 0 {
                return Cone::Settled;
            }
            let before = *evaluated / SLICE;
            *evaluated += taken as u64;
            for visit in batch.iter().take(taken) {
                self.evaluate(visit, undo);
            }
            if self.outgrows(begun_with, *evaluated) {
                return Cone::TooLarge;
            }
            if *evaluated / SLICE > before && !go_on() {
                return Cone::Cancelled;
            }
        }
    }

    /// Whether the cone is too large, or will be if each node goes on to bring as many new ones as until now, for two
    /// generations.
    fn outgrows(&self, begun_with: u64, evaluated: u64) -> bool {
        let queued = self.queue.len() as u64;
        if evaluated < TREND {
            return evaluated + queued > self.limit;
        }
        let brought = (queued + evaluated).saturating_sub(begun_with);
        let (n, new) = (u128::from(evaluated), u128::from(brought));
        let coming = u128::from(queued) * (n * n + n * new + new * new) / (n * n);
        u128::from(evaluated) + coming > u128::from(self.limit)
    }

    /// Takes queued nodes of one rank and asks for what they read.
    fn take(&mut self, batch: &mut [Visit; BATCH]) -> usize {
        let mut taken = 0;
        let mut end = u32::MAX;
        for visit in batch.iter_mut() {
            let Some(place) = self.queue.pop_below(end) else { break };
            let Some(segment) = self.layout.segment_of(place) else { continue };
            if taken == 0 {
                end = self.layout.end_of(segment.rank);
            }
            let (sources, arity) = self.layout.sources_of(segment, place);
            // Registers keep their values until they are latched: evaluated, but to nothing.
            let arity = if segment.work == Work::Hold { usize::MAX } else { arity };
            *visit = Visit { place, arity, sources };
            for &source in sources.iter().take(arity.min(INPUTS)) {
                kernel_simd::lookup::prefetch(self.states, source as usize >> 6);
            }
            self.readers.prefetch_list(place);
            taken += 1;
        }
        taken
    }

    fn evaluate(&mut self, visit: &Visit, undo: &mut Vec<(u32, u8)>) {
        if visit.arity > INPUTS {
            return;
        }
        let index = index_of(&visit.sources, visit.arity, self.states);
        let value = self.layout.tables.get(visit.place).output(index);
        let code = self.codes.get_mut(visit.place as usize);
        let above = code.as_ref().map_or(0, |c| **c);
        let was = bits::get(self.states, visit.place);
        let old = if above > 1 { above } else { u8::from(was) };
        if old == u8::from(value) {
            return;
        }
        undo.push((visit.place, old));
        if let Some(code) = code {
            *code = 0;
        }
        if !bits::set(self.states, visit.place, value) {
            return;
        }
        for &reader in self.readers.of(visit.place) {
            if self.queue.insert(reader) {
                // By the time its turn comes, what it needs has arrived.
                self.layout.prefetch(reader);
                self.readers.prefetch(reader);
            }
        }
    }
}
