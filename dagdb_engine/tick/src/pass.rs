//! A full pass: every place from the first to the last.

use alloc::{sync::Arc, vec::Vec};

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
/// Nodes from which on a segment is worth spreading over cores, and the least of a part.
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
        if self.overlay.is_empty() {
            return self.layout.segments.iter().try_for_each(|segment| self.segment(segment, states));
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
        for segment in &self.layout.segments {
            // Of equal ranks nobody reads the other, so any order will do.
            single(Some(segment.rank), states);
            let overlaid = self.overlay.places(segment.first, segment.first + segment.len);
            let kept: Vec<(u32, bool)> = overlaid.map(|p| (p, bits::get(states, p))).collect();
            self.segment(segment, states)?;
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

    fn segment(&self, segment: &Segment, states: &mut Arc<Vec<u64>>) -> Result<(), Cancelled> {
        if segment.work == Work::Hold {
            return Ok(());
        }
        let blocks = segment.blocks();
        let spread = segment.len as usize >= 2 * SPREAD
            && self.executor.workers() > 1
            && !matches!(segment.work, Work::Constant { .. });
        let mut from = 0;
        while from < blocks {
            let to = blocks.min(from + SLICE / BLOCK);
            if spread {
                self.spread(segment, from, to, states);
            } else {
                let states = Arc::make_mut(states);
                for block in from..to {
                    let word = self.layout.block(segment, block, self.path, states);
                    put_block(states, segment, block, word);
                }
            }
            from = to;
            if segment.len as usize > SPREAD && !(self.go_on)() {
                return Err(Cancelled);
            }
        }
        Ok(())
    }

    /// Blocks `from..to` of a segment, in parts. Parts read the states and give words back, so that nothing is shared that
    /// changes.
    fn spread(&self, segment: &Segment, from: usize, to: usize, states: &mut Arc<Vec<u64>>) {
        let per_part = (to - from).div_ceil(self.executor.workers() * 4).max(SPREAD / BLOCK / 4);
        let parts = (to - from).div_ceil(per_part);
        let results: Arc<Vec<Mutex<Vec<u64>>>> = Arc::new((0..parts).map(|_| Mutex::default()).collect());
        let job = {
            let (layout, states, results) =
                (Arc::clone(self.layout), Arc::clone(states), Arc::clone(&results));
            let (segment, path) = (*segment, self.path);
            move |part: usize| {
                let first = from + part * per_part;
                let last = to.min(first + per_part);
                let words = (first..last).map(|block| layout.block(&segment, block, path, &states)).collect();
                if let Some(result) = results.get(part) {
                    *result.lock() = words;
                }
            }
        };
        self.executor.run(parts, Arc::new(job));
        let states = Arc::make_mut(states);
        for (part, result) in results.iter().enumerate() {
            for (i, &word) in result.lock().iter().enumerate() {
                put_block(states, segment, from + part * per_part + i, word);
            }
        }
    }
}

#[inline]
fn put_block(states: &mut [u64], segment: &Segment, block: usize, word: u64) {
    bits::put(states, segment.first as usize + block * BLOCK, segment.block_len(block), word);
}
