//! Edits of a graph that lies on a device.
//!
//! How a graph lies depends on its wires. A new table is written where the old one is. A node with new wires becomes a *patch*: before its
//! step, a kernel evaluates it from where its sources are; after the step, another one puts its value in the place of what the step made of
//! its old wires. Nobody reads that in between: what a step reads of itself is from before it. So a patch is right however its
//! step lies. It costs more than other nodes, so there may be few; then the graph is laid out anew.

use std::collections::BTreeMap;

use compute_protocol::graph::{Form, Owned, Piece, SLOTS};
use zerocopy::IntoBytes;

use super::{
    Hardware,
    graph::Launch,
    plan::{self, GROUP, Region, TABLE_WORDS},
    shaders,
};
use crate::executor::Failure;

/// Groups to be written that are so near each other are written together, with those between.
const NEAR: u32 = 8;
/// Words of a patch: table, bits of the sources, own bit.
const PATCH_WORDS: usize = 2 + SLOTS + 1;
/// Steps that may have patches, however few there are.
const STEPS: usize = 64;

/// Patches that a graph of so many nodes may have.
fn most(nodes: usize) -> usize {
    (nodes / 64).max(1024)
}

/// What a piece changes: places in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those with another table and the same wires.
    pub tables: Vec<u32>,
    /// Those with other wires.
    pub wires: Vec<u32>,
}

/// What a piece changes, unless it is so much that the graph had better be laid out anew.
pub fn changes(owned: &Owned, piece: &Piece<'_>) -> Option<Changes> {
    let (nodes, count) = (owned.tables.len(), piece.tables.len());
    let mut changes = Changes::default();
    let mut done = 0;
    let mut wired = Vec::new();
    for run in piece.runs {
        let (first, length) = (run.first as usize, run.count as usize);
        wired.clear();
        wired.resize(length, false);
        for slot in 0..SLOTS {
            let (own, new) = (slot * nodes + first, slot * count + done);
            let (own, new) = (owned.sources.get(own..own + length)?, piece.sources.get(new..new + length)?);
            if own != new {
                wired.iter_mut().zip(own.iter().zip(new)).for_each(|(w, (a, b))| *w |= a != b);
            }
        }
        let (own, new) = (owned.tables.get(first..first + length)?, piece.tables.get(done..done + length)?);
        for (place, (wired, (a, b))) in (run.first..).zip(wired.iter().zip(own.iter().zip(new))) {
            if *wired {
                changes.wires.push(place);
            } else if a != b {
                changes.tables.push(place);
            }
        }
        if changes.wires.len() > most(nodes) {
            return None;
        }
        done += length;
    }
    Some(changes)
}

/// Where the tables of a step's nodes, or of some of them, lie.
pub struct Laid {
    /// The first node.
    pub first: u32,
    /// How many.
    pub count: u32,
    /// By group and lane.
    pub tables: wgpu::Buffer,
}

impl Laid {
    /// Writes the tables of those nodes that are among the changed places.
    pub fn write(&self, hardware: &Hardware, form: &Form<'_>, changed: &[u32]) {
        let end = self.first + self.count;
        let own = changed.partition_point(|&p| p < self.first)..changed.partition_point(|&p| p < end);
        let mut runs: Vec<std::ops::Range<u32>> = Vec::new();
        for place in changed.get(own).unwrap_or(&[]) {
            let group = (place - self.first) / GROUP as u32;
            match runs.last_mut() {
                Some(run) if group <= run.end + NEAR => run.end = run.end.max(group + 1),
                _ => runs.push(group..group + 1),
            }
        }
        for run in runs {
            let mut words = Vec::new();
            let (begin, groups) = (run.start, run.start as usize..run.end as usize);
            plan::tables(form, self.first as usize, self.count as usize, groups, &mut words);
            let at = u64::from(begin) * TABLE_WORDS as u64 * 4;
            hardware.write(&self.tables, at, words.as_bytes());
        }
    }
}

/// The patches of a step.
#[derive(Default)]
struct OfStep {
    /// In order.
    places: Vec<u32>,
    /// By which state is the present one: what comes before the step and what comes after it. `None`: to be made.
    launches: Option<[[Launch; 2]; 2]>,
}

/// The patches of a graph.
pub struct Patches {
    /// By first place of a step: its number and the place behind it.
    steps: Vec<(u32, u32, u32)>,
    /// By first place.
    regions: Vec<Region>,
    /// The bit of no source.
    zero: u32,
    /// By number of the step.
    of: BTreeMap<u32, OfStep>,
    count: usize,
}

impl Patches {
    /// None yet.
    pub fn none(form: &Form<'_>, regions: &[Region], words: u32) -> Self {
        let mut steps: Vec<_> = (0..).zip(form.steps).map(|(n, s)| (s.first, n, s.end())).collect();
        steps.sort_unstable();
        let mut regions = regions.to_vec();
        regions.sort_unstable_by_key(|r| r.first);
        Self { steps, regions, zero: (words - 1) * 32, of: BTreeMap::new(), count: 0 }
    }

    /// Bytes that they take on the device, their values with them.
    pub fn bytes(&self) -> u64 {
        (self.count * (PATCH_WORDS + 1) * 4) as u64
    }

    /// The step of a place, and the place behind it.
    fn step(&self, place: u32) -> Option<(u32, u32)> {
        let at = self.steps.partition_point(|s| s.0 <= place).checked_sub(1)?;
        self.steps.get(at).filter(|s| place < s.2).map(|s| (s.1, s.2))
    }

    /// The bit of a place; that of no source is 0 for ever.
    fn bit(&self, place: u32) -> u32 {
        let at = self.regions.partition_point(|r| r.first <= place).checked_sub(1);
        match at.and_then(|at| self.regions.get(at)).filter(|r| place - r.first < r.count) {
            Some(region) => region.word * 32 + (place - region.first),
            None => self.zero,
        }
    }

    /// Takes note of changes. `false`: there are too many patches now.
    pub fn add(&mut self, changes: &Changes, nodes: usize) -> bool {
        for (all, is_new) in [(&changes.wires, true), (&changes.tables, false)] {
            let mut rest = all.as_slice();
            while let Some(&first) = rest.first() {
                // What belongs to no step is not evaluated.
                let Some((number, end)) = self.step(first) else {
                    rest = rest.split_at(1).1;
                    continue;
                };
                let (own, after) = rest.split_at(rest.partition_point(|&p| p < end));
                rest = after;
                if is_new {
                    let of = self.of.entry(number).or_default();
                    let before = of.places.len();
                    of.places.extend(own);
                    of.places.sort_unstable();
                    of.places.dedup();
                    self.count += of.places.len() - before;
                    of.launches = None;
                } else if let Some(of) = self.of.get_mut(&number)
                    && own.iter().any(|p| of.places.binary_search(p).is_ok())
                {
                    of.launches = None;
                }
            }
        }
        self.count <= most(nodes) && self.of.len() <= STEPS.max(self.steps.len() / 8)
    }

    /// Makes what is not made; `states` are the graph's, `swaps` says whether a tick's result is the other one.
    pub fn make(
        &mut self,
        hardware: &mut Hardware,
        form: &Form<'_>,
        states: &[wgpu::Buffer; 2],
        swaps: bool,
    ) -> Result<(), Failure> {
        let unmade = self.of.iter().filter(|(_, s)| s.launches.is_none()).map(|(n, _)| *n);
        for n in unmade.collect::<Vec<_>>() {
            let Some(of) = self.of.get(&n) else { continue };
            // Kernels know their number by the values' buffer, whose size is one of fours; the last one may be there several times.
            let count = of.places.len().next_multiple_of(4);
            let mut rows = Vec::with_capacity(count * PATCH_WORDS);
            let last = of.places.last().copied().unwrap_or(0);
            for place in of.places.iter().copied().chain(std::iter::repeat(last)).take(count) {
                let table = form.tables.get(place as usize).copied().unwrap_or(0);
                rows.extend([table as u32, (table >> 32) as u32]);
                rows.extend(form.sources_of(place as usize).map(|s| self.bit(s)));
                rows.push(self.bit(place));
            }
            let values = hardware.storage(count as u64 * 4)?;
            let rows = hardware.upload(rows.as_bytes())?;
            let (evaluate, put) =
                (hardware.pipeline(shaders::PATCHES.to_owned()), hardware.pipeline(shaders::PUT.to_owned()));
            let workgroups = (count as u32).div_ceil(shaders::WORKGROUP);
            let launches = |present: usize| {
                let (from, into) = (&states[present], &states[if swaps { present ^ 1 } else { 0 }]);
                [(&evaluate, &values, from), (&put, into, &values)].map(|(pipeline, into, from)| {
                    let group =
                        hardware.bind(pipeline, &[(0, into, None), (1, from, None), (2, &rows, None)]);
                    Launch { pipeline: pipeline.clone(), group, workgroups }
                })
            };
            let made = [launches(0), launches(usize::from(swaps))];
            if let Some(of) = self.of.get_mut(&n) {
                of.launches = Some(made);
            }
        }
        Ok(())
    }

    /// What is to be done before or after a step when this state is the present one.
    pub fn launch(&self, step: u32, present: usize, after: bool) -> Option<&Launch> {
        self.of.get(&step)?.launches.as_ref()?.get(present)?.get(usize::from(after))
    }
}

#[cfg(test)]
mod tests {
    use compute_protocol::graph::{NONE, Run, Step};

    use super::*;

    #[test]
    fn what_a_piece_changes() {
        let mut owned = Owned::empty(100, Vec::new());
        owned.tables[11] = 7;
        let runs = [Run { first: 10, count: 3 }, Run { first: 50, count: 2 }];
        let mut sources = vec![NONE; 5 * SLOTS];
        let of = |tables: &[u64], sources: &[u32]| {
            let changes = changes(&owned, &Piece { runs: &runs, tables, sources }).expect("few");
            (changes.tables, changes.wires)
        };
        assert_eq!(of(&[0, 7, 1, 0, 2], &sources), (vec![12, 51], vec![]));
        assert_eq!(of(&[0, 7, 0, 0, 0], &sources), (vec![], vec![]));
        // The last node's third wire.
        sources[2 * 5 + 4] = 3;
        assert_eq!(of(&[0, 7, 0, 0, 9], &sources), (vec![], vec![51]));
        assert_eq!(of(&[0, 8, 0, 0, 9], &sources), (vec![11], vec![51]));
        owned.sources[2 * 100 + 51] = 3;
        let same = changes(&owned, &Piece { runs: &runs, tables: &[0; 5], sources: &sources });
        assert_eq!(same, Some(Changes { tables: vec![11], wires: vec![] }));
    }

    #[test]
    fn patches_are_counted_by_step_and_are_few() {
        // The first step comes last, and places 200 to 299 are in none.
        let steps = vec![Step { first: 100, count: 100 }, Step { first: 0, count: 100 }];
        let owned = Owned::empty(300, steps);
        let regions = [(100, 100, 0), (0, 100, 4), (200, 100, 8)].map(|(first, count, word)| Region {
            first,
            count,
            word,
        });
        let mut patches = Patches::none(&owned.form(), &regions, 14);
        assert_eq!([0, 99, 100, 299, NONE].map(|p| patches.bit(p)), [128, 227, 0, 355, 13 * 32]);
        let changes =
            |tables: &[u32], wires: &[u32]| Changes { tables: tables.to_vec(), wires: wires.to_vec() };
        assert!(patches.add(&changes(&[5], &[7, 99, 100, 250]), 300));
        assert!(patches.add(&changes(&[], &[7, 98]), 300));
        let places: Vec<_> = patches.of.values().map(|s| s.places.clone()).collect();
        assert_eq!((places, patches.count), (vec![vec![100], vec![7, 98, 99]], 4));
        let many: Vec<u32> = (0..2000).collect();
        let owned = Owned::empty(4000, vec![Step { first: 0, count: 4000 }]);
        let mut patches = Patches::none(&owned.form(), &[Region { first: 0, count: 4000, word: 0 }], 128);
        assert!(patches.add(&changes(&many, &many[..1024]), 4000));
        assert!(!patches.add(&changes(&[], &many[1024..1025]), 4000));
    }
}
