//! Places, segments and wires: what an evaluation pass runs over.

use alloc::vec::Vec;

use dagdb_graph::{INPUTS, Kind, Lut, Node, NodeId};
use kernel_simd::{
    chain::Chain,
    lookup::{Path, Wires},
};

use crate::{bits, tables::Tables};

/// Nodes of a block.
pub const BLOCK: usize = 64;

/// How the nodes of a segment get their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// They keep them until they are latched.
    Hold,
    /// They have no inputs: their bits are at this bit of the constants.
    Constant { bits_at: usize },
    /// One table for all of them; their wires begin there.
    Same { arity: usize, wires_at: usize, lut: Lut, chain: Chain },
    /// Each its own table.
    Own { arity: usize, wires_at: usize },
}

/// Neighbouring places of one rank that are evaluated alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Their rank.
    pub rank: u64,
    /// The first place.
    pub first: u32,
    /// How many.
    pub len: u32,
    /// How they are evaluated.
    pub work: Work,
}

impl Segment {
    /// Blocks of at most 64 nodes.
    pub const fn blocks(&self) -> usize {
        (self.len as usize).div_ceil(BLOCK)
    }

    /// Whether its nodes read others.
    pub const fn reads(&self) -> bool {
        matches!(self.work, Work::Same { .. } | Work::Own { .. })
    }

    /// Nodes of a block.
    pub const fn block_len(&self, block: usize) -> usize {
        let left = (self.len as usize).saturating_sub(block * BLOCK);
        if left < BLOCK { left } else { BLOCK }
    }
}

/// The sorted form of a graph, without its values.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// By place, so by falling rank.
    pub segments: Vec<Segment>,
    /// Which segment a place is in.
    pub finder: Finder,
    /// The places that nodes read.
    pub wires: Wires,
    /// By place.
    pub tables: Tables,
    /// Values of the nodes without inputs.
    pub constants: Vec<u64>,
    /// Place to node; place 0 is none.
    pub ids: Vec<u32>,
    /// Node to place.
    pub places: Vec<u32>,
    /// By place; empty if all are real.
    pub kinds: Vec<Kind>,
    /// Register and source, both places, by register.
    pub backs: Vec<(u32, u32)>,
    /// No other one that was built since the start has this number; copies share it until one is edited.
    pub built: u64,
    /// Tables that were replaced in it.
    pub edits: u64,
}

impl Layout {
    /// The segment that a place is in.
    pub fn segment_of(&self, place: u32) -> Option<&Segment> {
        let segment = self.segments.get(self.finder.find(&self.segments, place)?)?;
        (place - segment.first < segment.len).then_some(segment)
    }

    /// The first place behind those of a rank.
    pub fn end_of(&self, rank: u64) -> u32 {
        let after = self.segments.partition_point(|s| s.rank >= rank);
        self.segments.get(after).map_or(u32::MAX, |s| s.first)
    }

    /// The places that the node at `place` reads, by slot; 0 for none.
    pub fn sources_of(&self, segment: &Segment, place: u32) -> ([u32; INPUTS], usize) {
        let mut sources = [0; INPUTS];
        let (Work::Same { arity, wires_at, .. } | Work::Own { arity, wires_at }) = segment.work else {
            return (sources, 0);
        };
        let offset = (place - segment.first) as usize;
        let (block, at) = (offset / BLOCK, offset % BLOCK);
        let len = segment.block_len(block);
        for (slot, source) in sources.iter_mut().enumerate().take(arity) {
            *source = self.wires.get(wires_at + block * BLOCK * arity + slot * len + at).unwrap_or(0);
        }
        (sources, arity)
    }

    /// Asks for the cache lines that evaluating a place will touch.
    pub fn prefetch(&self, place: u32) {
        let Some(segment) = self.segment_of(place) else { return };
        let (Work::Same { arity, wires_at, .. } | Work::Own { arity, wires_at }) = segment.work else {
            return;
        };
        let offset = (place - segment.first) as usize;
        let (block, at) = (offset / BLOCK, offset % BLOCK);
        let len = segment.block_len(block);
        for slot in 0..arity {
            self.wires.prefetch(wires_at + block * BLOCK * arity + slot * len + at);
        }
        self.tables.prefetch(place);
    }

    /// The source of the back edge of a register.
    pub fn back_of(&self, place: u32) -> Option<u32> {
        let at = self.backs.binary_search_by_key(&place, |b| b.0).ok()?;
        self.backs.get(at).map(|b| b.1)
    }

    /// The node at a place, but for its value; sources are places still.
    pub fn row(&self, place: u32) -> Option<Row> {
        let segment = self.segment_of(place)?;
        Some(Row {
            rank: segment.rank,
            lut: self.tables.get(place),
            sources: self.sources_of(segment, place).0,
            back: self.back_of(place).unwrap_or(0),
            kind: self.kinds.get(place as usize).copied().unwrap_or_default(),
        })
    }

    /// The value of a node for the present bits of its inputs; `None` for a register.
    pub fn evaluate(&self, place: u32, states: &[u64]) -> Option<bool> {
        let segment = self.segment_of(place)?;
        if segment.work == Work::Hold {
            return None;
        }
        let (sources, arity) = self.sources_of(segment, place);
        Some(self.tables.get(place).output(index_of(&sources, arity, states)))
    }

    /// The values of a block of a segment with wires.
    #[inline]
    pub fn block(&self, segment: &Segment, block: usize, path: Path, states: &[u64]) -> u64 {
        let count = segment.block_len(block);
        match segment.work {
            Work::Same { arity, wires_at, ref chain, .. } => {
                let at = wires_at + block * BLOCK * arity;
                self.wires.decide(path, (at, count, arity), chain, states)
            }
            Work::Own { arity, wires_at } => {
                let at = wires_at + block * BLOCK * arity;
                let first = segment.first as usize + block * BLOCK;
                self.wires.look_up(path, (at, count, arity), &self.tables.as_kernel(), first, states)
            }
            Work::Constant { bits_at } => read(&self.constants, bits_at + block * BLOCK),
            Work::Hold => read(states, segment.first as usize + block * BLOCK),
        }
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.segments.capacity() * size_of::<Segment>()
            + self.finder.starts.capacity() * 4
            + self.wires.memory()
            + self.tables.memory()
            + self.constants.capacity() * 8
            + (self.ids.capacity() + self.places.capacity()) * 4
            + self.kinds.capacity()
            + self.backs.capacity() * 8
    }
}

/// Where to begin to look for the segment of a place: places are cut into cells, a few times as many as there are segments.
#[derive(Clone, Debug, Default)]
pub struct Finder {
    /// A cell has `1 << shift` places.
    shift: u32,
    /// By cell, how many segments begin at or before its first place; and how many there are.
    starts: Vec<u32>,
}

impl Finder {
    /// Of these segments, which cover the places from 1 on.
    pub fn new(segments: &[Segment]) -> Self {
        let places = segments.last().map_or(0, |s| s.first + s.len);
        let mut shift = 0;
        while places >> shift > 4 * segments.len() as u32 + 64 {
            shift += 1;
        }
        let begun = |place: u64| segments.partition_point(|s| u64::from(s.first) <= place) as u32;
        let starts = (0..=u64::from(places >> shift) + 1).map(|cell| begun(cell << shift)).collect();
        Self { shift, starts }
    }

    /// The last segment that begins at or before a place.
    #[inline]
    fn find(&self, segments: &[Segment], place: u32) -> Option<usize> {
        let cell = (place >> self.shift) as usize;
        let (&from, &to) = (self.starts.get(cell)?, self.starts.get(cell + 1)?);
        let within = segments.get(from as usize..to as usize)?;
        let more = if within.is_empty() { 0 } else { within.partition_point(|s| s.first <= place) };
        (from as usize + more).checked_sub(1)
    }
}

/// 64 bits from bit `at` on; zeros beyond the end.
pub fn read(words: &[u64], at: usize) -> u64 {
    let (word, shift) = (at >> 6, at & 63);
    let low = words.get(word).copied().unwrap_or(0) >> shift;
    if shift == 0 { low } else { low | words.get(word + 1).copied().unwrap_or(0) << (64 - shift) }
}

/// The index that the bits at the first `arity` sources make.
#[inline]
pub fn index_of(sources: &[u32; INPUTS], arity: usize, states: &[u64]) -> u32 {
    sources.iter().take(arity).enumerate().fold(0, |i, (d, &s)| i | u32::from(bits::get(states, s)) << d)
}

/// A node but for its value, in places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The rank.
    pub rank: u64,
    /// The table.
    pub lut: Lut,
    /// The places read, by slot; 0 for none.
    pub sources: [u32; INPUTS],
    /// The place that feeds this register; 0 if it is none.
    pub back: u32,
    /// Why it exists.
    pub kind: Kind,
}

impl Row {
    /// As a node.
    pub fn to_node(self, truth: u8, id_of: impl Fn(u32) -> Option<NodeId>) -> Node {
        let id = |place: u32| if place == 0 { None } else { id_of(place) };
        Node {
            rank: self.rank,
            truth,
            kind: self.kind,
            lut: self.lut,
            inputs: self.sources.map(id),
            back: id(self.back),
        }
    }
}
