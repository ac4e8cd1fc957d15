//! What graphs of lookup tables are to a device.
//!
//! Nodes are numbered by *place*. Each has a table of 64 bits and six sources, places too or [`NONE`]; its next value is the bit of the table
//! at the index whose bit `d` is the value of source `d` (0 for none). A *schedule* is a list of [`Step`]s, each a range of places; ranges do not
//! overlap. A tick runs the steps in order, and **all nodes of a step read the values from before the step**. A rank of a
//! settled graph is a step whose sources lie elsewhere; registers are a last step of tables that copy; a
//! synchronous automaton is one step. Places that no step names keep their values.
//!
//! Bytes: tables are `u64` by place; sources are `u32`, those of slot 0 by place, then those of slot 1, and so on; steps are pairs of `u32`, first
//! place and count; states are one bit a place, lowest first, in 32-bit words.
//!
//! A graph is made of empty nodes (table 0, no sources), which [`Piece`]s then set: its first upload in pieces of any size and later edits are the
//! same thing. Its schedule stays what it was when it was made.

use alloc::{vec, vec::Vec};

use crate::limits;

/// A slot without a source.
pub const NONE: u32 = u32::MAX;
/// Slots of a node.
pub const SLOTS: usize = 6;

/// Places in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first of them.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// Places that are evaluated together.
pub type Step = Run;

impl Run {
    /// The place after the last.
    pub const fn end(self) -> u32 {
        self.first + self.count
    }
}

/// A graph as it is uploaded.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    /// By place.
    pub tables: &'a [u64],
    /// By slot and place.
    pub sources: &'a [u32],
    /// What a tick does.
    pub steps: &'a [Step],
}

/// Nodes to be set: those of `runs`, which are sorted and do not overlap, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Which places.
    pub runs: &'a [Run],
    /// In the order of the runs.
    pub tables: &'a [u64],
    /// By slot, and within a slot in the order of the runs.
    pub sources: &'a [u32],
}

/// What is wrong with a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Numbers of tables, sources or nodes do not fit together or are too many.
    #[error("sizes of a graph do not fit together")]
    Sizes,
    /// A source is no place.
    #[error("a source of place {0} does not exist")]
    Source(u32),
    /// A step leaves the graph, is empty, or overlaps another.
    #[error("step {0} is not among the places or overlaps another")]
    Step(u32),
    /// A run of nodes to be set leaves the graph, is empty, or does not come behind the one before.
    #[error("run {0} is not among the places or not behind the one before")]
    Run(u32),
}

impl<'a> Form<'a> {
    /// Nodes.
    pub fn nodes(&self) -> usize {
        self.tables.len()
    }

    /// The sources of one slot, by place.
    pub fn slot(&self, slot: usize) -> &'a [u32] {
        let nodes = self.nodes();
        self.sources.get(slot * nodes..(slot + 1) * nodes).unwrap_or(&[])
    }

    /// The six sources of a place.
    pub fn sources_of(&self, place: usize) -> [u32; SLOTS] {
        core::array::from_fn(|slot| self.sources.get(slot * self.nodes() + place).copied().unwrap_or(NONE))
    }

    /// Whether this is a graph.
    pub fn validate(&self) -> Result<(), FormError> {
        let nodes = self.nodes();
        if nodes > limits::NODES as usize || self.sources.len() != nodes * SLOTS {
            return Err(FormError::Sizes);
        }
        check_sources(nodes, self.sources)?;
        check_steps(nodes, self.steps)
    }
}

impl Piece<'_> {
    /// The place and six sources of each node.
    pub fn nodes(&self) -> impl Iterator<Item = (u32, u64, [u32; SLOTS])> {
        let count = self.tables.len();
        let places = self.runs.iter().flat_map(|r| r.first..r.end());
        places.zip(self.tables).enumerate().map(move |(at, (place, &table))| {
            let source = |slot: usize| self.sources.get(slot * count + at).copied().unwrap_or(NONE);
            (place, table, core::array::from_fn(source))
        })
    }

    /// Whether a graph of so many nodes has these, and sources are places of it.
    pub fn validate(&self, nodes: usize) -> Result<(), FormError> {
        let count = self.tables.len();
        if count.checked_mul(SLOTS) != Some(self.sources.len()) {
            return Err(FormError::Sizes);
        }
        check_runs(self.runs, nodes, count)?;
        check_sources(nodes, self.sources)
    }
}

/// Whether these are runs of `count` places together, sorted and apart, in a graph of so many nodes.
pub fn check_runs(runs: &[Run], nodes: usize, count: usize) -> Result<(), FormError> {
    let (mut next, mut sum) = (0u64, 0u64);
    for (n, run) in runs.iter().enumerate() {
        let end = u64::from(run.first) + u64::from(run.count);
        if run.count == 0 || u64::from(run.first) < next || end > nodes as u64 {
            return Err(FormError::Run(n as u32));
        }
        next = end;
        sum += u64::from(run.count);
    }
    if sum == count as u64 { Ok(()) } else { Err(FormError::Sizes) }
}

fn check_sources(nodes: usize, sources: &[u32]) -> Result<(), FormError> {
    let wrong = |&s: &u32| s as usize >= nodes && s != NONE;
    match sources.iter().position(wrong) {
        Some(at) => Err(FormError::Source((at % (sources.len() / SLOTS).max(1)) as u32)),
        None => Ok(()),
    }
}

/// Whether these are steps of a graph of so many nodes.
pub fn check_steps(nodes: usize, steps: &[Step]) -> Result<(), FormError> {
    if steps.len() > limits::STEPS as usize {
        return Err(FormError::Sizes);
    }
    let mut sorted: Vec<(u32, u32, u32)> = Vec::with_capacity(steps.len());
    for (n, step) in steps.iter().enumerate() {
        let end = u64::from(step.first) + u64::from(step.count);
        if step.count == 0 || end > nodes as u64 {
            return Err(FormError::Step(n as u32));
        }
        sorted.push((step.first, step.end(), n as u32));
    }
    sorted.sort_unstable();
    for pair in sorted.windows(2) {
        if let [(_, end, _), (first, _, n)] = pair
            && first < end
        {
            return Err(FormError::Step(*n));
        }
    }
    Ok(())
}

/// A graph in memory, as its pieces made it.
#[derive(Clone, Debug)]
pub struct Owned {
    /// By place.
    pub tables: Vec<u64>,
    /// By slot and place.
    pub sources: Vec<u32>,
    /// What a tick does.
    pub steps: Vec<Step>,
}

impl Owned {
    /// Of empty nodes.
    pub fn empty(nodes: usize, steps: Vec<Step>) -> Self {
        Self { tables: vec![0; nodes], sources: vec![NONE; nodes * SLOTS], steps }
    }

    /// Sets nodes.
    pub fn set(&mut self, piece: &Piece<'_>) -> Result<(), FormError> {
        let nodes = self.tables.len();
        piece.validate(nodes)?;
        let count = piece.tables.len();
        let mut done = 0;
        for run in piece.runs {
            let (first, length) = (run.first as usize, run.count as usize);
            copy(&mut self.tables, first, piece.tables, done, length);
            for slot in 0..SLOTS {
                copy(&mut self.sources, slot * nodes + first, piece.sources, slot * count + done, length);
            }
            done += length;
        }
        Ok(())
    }

    /// As a whole.
    pub fn form(&self) -> Form<'_> {
        Form { tables: &self.tables, sources: &self.sources, steps: &self.steps }
    }
}

fn copy<T: Copy>(to: &mut [T], at: usize, from: &[T], of: usize, count: usize) {
    if let (Some(to), Some(from)) = (to.get_mut(at..at + count), from.get(of..of + count)) {
        to.copy_from_slice(from);
    }
}

/// The reference: runs a schedule over states, which must have a bit for each place. Returns whether any changed.
pub fn tick(form: &Form<'_>, states: &mut [u32]) -> bool {
    let before = states.to_vec();
    let bit = |states: &[u32], place: u32| {
        states.get(place as usize >> 5).map_or(0, |w| u64::from(w >> (place & 31) & 1))
    };
    let mut after = Vec::new();
    for step in form.steps {
        after.clear();
        for place in step.first..step.end() {
            let sources = form.sources_of(place as usize);
            let index = sources.iter().enumerate().fold(0, |i, (d, &s)| i | bit(states, s) << d);
            after.push(form.tables.get(place as usize).copied().unwrap_or(0) >> index & 1);
        }
        for (place, &value) in (step.first..).zip(&after) {
            if let Some(word) = states.get_mut(place as usize >> 5) {
                *word = *word & !(1 << (place & 31)) | (value as u32) << (place & 31);
            }
        }
    }
    before != states
}

/// Words that hold a state.
pub const fn words(nodes: usize) -> usize {
    nodes.div_ceil(32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_shift_register_shifts() {
        let identity = 0xaaaa_aaaa_aaaa_aaaa;
        let tables = vec![identity; 40];
        let mut sources = vec![NONE; 240];
        for (source, place) in sources.iter_mut().zip(0..40u32) {
            *source = (place + 39) % 40;
        }
        let form = Form { tables: &tables, sources: &sources, steps: &[Step { first: 0, count: 40 }] };
        form.validate().expect("a graph");
        let mut states = vec![1, 0];
        for _ in 0..33 {
            tick(&form, &mut states);
        }
        assert_eq!(states, [0, 2]);
    }

    #[test]
    fn wrong_graphs_are_refused() {
        let (tables, sources) = ([0; 4], [NONE; 24]);
        let form = |steps: &'static [Step]| Form { tables: &tables, sources: &sources, steps }.validate();
        assert_eq!(form(&[Step { first: 0, count: 4 }]), Ok(()));
        assert_eq!(form(&[Step { first: 1, count: 4 }]), Err(FormError::Step(0)));
        assert_eq!(form(&[Step { first: u32::MAX, count: 2 }]), Err(FormError::Step(0)));
        assert_eq!(
            form(&[Step { first: 1, count: 2 }, Step { first: 0, count: 2 }]),
            Err(FormError::Step(0))
        );
        let mut sources = sources;
        sources[9] = 4;
        assert_eq!(
            Form { tables: &tables, sources: &sources, steps: &[] }.validate(),
            Err(FormError::Source(1))
        );
        assert_eq!(Form { tables: &tables, sources: &[], steps: &[] }.validate(), Err(FormError::Sizes));
    }

    #[test]
    fn wrong_pieces_are_refused() {
        let check = |runs: &[(u32, u32)], tables: usize, source: u32| {
            let runs: Vec<Run> = runs.iter().map(|&(first, count)| Run { first, count }).collect();
            let (tables, sources) = (vec![0; tables], vec![source; 6 * tables]);
            Piece { runs: &runs, tables: &tables, sources: &sources }.validate(10)
        };
        assert_eq!(check(&[(0, 2), (2, 1), (9, 1)], 4, 9), Ok(()));
        assert_eq!(check(&[], 0, 0), Ok(()));
        assert_eq!(check(&[(0, 2)], 2, 10), Err(FormError::Source(0)));
        assert_eq!(check(&[(0, 2)], 3, 0), Err(FormError::Sizes));
        assert_eq!(check(&[(2, 2), (3, 1)], 3, 0), Err(FormError::Run(1)));
        assert_eq!(check(&[(2, 2), (0, 1)], 3, 0), Err(FormError::Run(1)));
        assert_eq!(check(&[(2, 0)], 0, 0), Err(FormError::Run(0)));
        assert_eq!(check(&[(u32::MAX, 2)], 2, 0), Err(FormError::Run(0)));
    }

    proptest! {
        #[test]
        fn pieces_make_the_same_graph(
            nodes in prop::collection::vec((any::<u64>(), prop::array::uniform6(0..50u32), any::<bool>()), 50),
        ) {
            let mut owned = Owned::empty(50, vec![Step { first: 0, count: 50 }]);
            // Those that are marked in one piece, then all others.
            for marked in [true, false] {
                let chosen: Vec<usize> = (0..50).filter(|&i| nodes[i].2 == marked).collect();
                let runs: Vec<Run> = chosen.iter().map(|&i| Run { first: i as u32, count: 1 }).collect();
                let tables: Vec<u64> = chosen.iter().map(|&i| nodes[i].0).collect();
                let sources: Vec<u32> =
                    (0..SLOTS).flat_map(|slot| chosen.iter().map(move |&i| (slot, i))).map(|(slot, i)| nodes[i].1[slot]).collect();
                let piece = Piece { runs: &runs, tables: &tables, sources: &sources };
                let want = chosen.iter().map(|&i| (i as u32, nodes[i].0, nodes[i].1));
                prop_assert!(piece.nodes().eq(want));
                prop_assert_eq!(owned.set(&piece), Ok(()));
            }
            for (place, (table, sources, _)) in nodes.iter().enumerate() {
                prop_assert_eq!(owned.tables[place], *table);
                prop_assert_eq!(owned.form().sources_of(place), *sources);
            }
        }
    }
}
