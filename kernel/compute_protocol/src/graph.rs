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

use crate::limits;

/// A slot without a source.
pub const NONE: u32 = u32::MAX;
/// Slots of a node.
pub const SLOTS: usize = 6;

/// Places that are evaluated together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The first of them.
    pub first: u32,
    /// How many.
    pub count: u32,
}

impl Step {
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
        if nodes > limits::NODES as usize
            || self.steps.len() > limits::STEPS as usize
            || self.sources.len() != nodes * SLOTS
        {
            return Err(FormError::Sizes);
        }
        let wrong = |&s: &u32| s as usize >= nodes && s != NONE;
        if let Some(at) = self.sources.iter().position(wrong) {
            return Err(FormError::Source((at % nodes.max(1)) as u32));
        }
        let mut sorted: alloc::vec::Vec<(u32, u32, u32)> = alloc::vec::Vec::with_capacity(self.steps.len());
        for (n, step) in self.steps.iter().enumerate() {
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
}

/// The reference: runs a schedule over states, which must have a bit for each place.
pub fn tick(form: &Form<'_>, states: &mut [u32]) {
    let bit = |states: &[u32], place: u32| {
        states.get(place as usize >> 5).map_or(0, |w| u64::from(w >> (place & 31) & 1))
    };
    let mut after = alloc::vec::Vec::new();
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
}

/// Words that hold a state.
pub const fn words(nodes: usize) -> usize {
    nodes.div_ceil(32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

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
}
