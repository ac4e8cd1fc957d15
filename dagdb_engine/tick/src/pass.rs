//! A full pass: every place from the first to the last.

use alloc::{sync::Arc, vec::Vec};
use core::ops::Range;

use kernel_simd::lookup::Path;
use spin::Mutex;

use crate::{
    bits,
    executor::Executor,
    layout::{BLOCK, Layout, Segment, Work, index_of},
    overlay::Overlay,
};

/// Nodes between two questions whether to go on.
const SLICE: usize = 1 << 20;
/// Half the nodes from which on a rank is worth spreading over cores.
const SPREAD: usize = 1 << 14;

/// Somebody said not to go on.
pub struct Cancelled;

/// What a pass needs to know.
pub struct Pass<'a> {
    pub layout: &'a Arc<Layout>,
    pub overlay: &'a Overlay,
    pub path: Path,
    pub executor: &'a dyn Executor,
    pub go_on: &'a dyn Fn() -> bool,
}

impl Pass<'_> {
    /// Settles all nodes.
    pub fn settle(&self, states: &mut Arc<Vec<u64>>) -> Result<(), Cancelled> {
        let mut levels = self.layout.segments.chunk_by(|a, b| a.rank == b.rank);
        if self.overlay.is_empty() {
            return levels.try_for_each(|level| self.level(level, states));
        }
        let mut singles = self.overlay.in_order().peekable();
        let mut single = |above: Option<u64>, states: &mut Arc<Vec<u64>>| {
            while let Some(&(rank, place)) = singles.peek() {
                if above.is_some_and(|r| rank <= r) {
                    break;
                }
                self.single(place, states);
                singles.next();
            }
        };
        for level in levels {
            let (Some(first), Some(last)) = (level.first(), level.last()) else { continue };
            // Of equal ranks nobody reads the other, so any order will do.
            single(Some(first.rank), states);
            let overlaid = self.overlay.places(first.first, last.first + last.len);
            let kept: Vec<(u32, bool)> = overlaid.map(|p| (p, bits::get(states, p))).collect();
            self.level(level, states)?;
            for (place, value) in kept {
                let states = Arc::make_mut(states);
                bits::set(states, place, value);
            }
        }
        single(None, states);
        Ok(())
    }

    fn single(&self, place: u32, states: &mut Arc<Vec<u64>>) {
        if let Some(row) = self.overlay.row(place) {
            let value = row.lut.output(index_of(&row.sources, row.sources.len(), states));
            let states = Arc::make_mut(states);
            bits::set(states, place, value);
        }
    }

    /// The segments of one rank. None of them reads another, so they are one piece of work: many small ones are spread like
    /// one large one.
    fn level(&self, level: &[Segment], states: &mut Arc<Vec<u64>>) -> Result<(), Cancelled> {
        let nodes: usize = level.iter().filter(|s| s.reads()).map(|s| s.len as usize).sum();
        let spread = nodes >= 2 * SPREAD && self.executor.workers() > 1;
        let mut since = 0;
        for segment in level.iter().filter(|s| s.work != Work::Hold && !(spread && s.reads())) {
            let mut from = 0;
            while from < segment.blocks() {
                let to = segment.blocks().min(from + SLICE / BLOCK);
                let states = Arc::make_mut(states);
                for block in from..to {
                    let word = self.layout.block(segment, block, self.path, states);
                    put_block(states, segment, block, word);
                }
                since += (to - from) * BLOCK;
                from = to;
                if since > SPREAD {
                    self.ask()?;
                    since = 0;
                }
            }
        }
        if spread {
            let blocks: usize = level.iter().filter(|s| s.reads()).map(Segment::blocks).sum();
            let mut from = 0;
            while from < blocks {
                let to = blocks.min(from + self.executor.workers() * SLICE / BLOCK);
                self.spread(level, from, to, states);
                from = to;
                self.ask()?;
            }
        }
        Ok(())
    }

    fn ask(&self) -> Result<(), Cancelled> {
        if (self.go_on)() { Ok(()) } else { Err(Cancelled) }
    }

    /// Blocks `from..to` of a level's segments with wires, in parts. Parts read the states and give words back, so that
    /// nothing is shared that changes.
    fn spread(&self, level: &[Segment], from: usize, to: usize, states: &mut Arc<Vec<u64>>) {
        let per_part = (to - from).div_ceil(self.executor.workers() * 8).max(SPREAD / BLOCK / 8);
        let parts = (to - from).div_ceil(per_part);
        let results: Arc<Vec<Mutex<Vec<u64>>>> = Arc::new((0..parts).map(|_| Mutex::default()).collect());
        let job = {
            let (layout, states, results) =
                (Arc::clone(self.layout), Arc::clone(states), Arc::clone(&results));
            let path = self.path;
            let begins = level.first().map_or(0, |s| s.first);
            let segments = layout.segments.partition_point(|s| s.first < begins);
            let segments = segments..segments + level.len();
            move |part: usize| {
                let first = from + part * per_part;
                let last = to.min(first + per_part);
                let mut words = Vec::with_capacity(last - first);
                let level = layout.segments.get(segments.clone()).unwrap_or(&[]);
                for_each_run(level, first, last, |segment, run| {
                    words.extend(run.map(|block| layout.block(segment, block, path, &states)));
                });
                if let Some(result) = results.get(part) {
                    *result.lock() = words;
                }
            }
        };
        self.executor.run(parts, Arc::new(job));
        let states = Arc::make_mut(states);
        for (part, result) in results.iter().enumerate() {
            let (first, words) = (from + part * per_part, result.lock());
            let mut words = words.iter();
            for_each_run(level, first, to.min(first + per_part), |segment, run| {
                for (block, &word) in run.zip(&mut words) {
                    put_block(states, segment, block, word);
                }
            });
        }
    }
}

/// Calls for each segment with wires that the blocks `from..to` of all such segments, counted through, belong to, with those
/// of its own blocks.
fn for_each_run(level: &[Segment], from: usize, to: usize, mut then: impl FnMut(&Segment, Range<usize>)) {
    let mut before = 0;
    for segment in level.iter().filter(|s| s.reads()) {
        let after = before + segment.blocks();
        if after > from && before < to {
            then(segment, from.max(before) - before..to.min(after) - before);
        }
        before = after;
    }
}

#[inline]
fn put_block(states: &mut [u64], segment: &Segment, block: usize, word: u64) {
    bits::put(states, segment.first as usize + block * BLOCK, segment.block_len(block), word);
}
