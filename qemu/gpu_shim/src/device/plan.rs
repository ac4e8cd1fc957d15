//! How a graph lies on a device.
//!
//! Every step gets words of the state of its own, so that no two steps write to one word; nodes come in groups of 64, lane `l` of 32 having nodes
//! `l` and `32 + l`. There are three ways to evaluate a step, by where its sources lie:
//!
//! - *Window*: the sources of every block of nodes lie within [`WINDOW`] words. A workgroup loads them once and then knows each source by 16
//!   bits.
//! - *Exchange*: sources lie anywhere. The state is cut into tiles; for each tile, the bits that blocks want of it are picked and put where
//!   the block's own window is: a second state, in which each block's sources lie together. Then it goes on as above. So memory is read in order,
//!   and only what a workgroup keeps to itself is read at random.
//! - *Direct*: each source is 32 bits and looked up where it is: for steps too small for the others to pay.

use compute_protocol::graph::{Form, NONE, SLOTS, Step};

use crate::processor::parallel;

/// Nodes of a group.
pub const GROUP: usize = 64;
/// Words of tables of a group.
pub const TABLE_WORDS: usize = 2 * GROUP;
/// Words of 16-bit sources of a group.
const POSITION_WORDS: usize = SLOTS * 32;
/// The most words of a window; one more is 0.
pub const WINDOW: usize = 2047;
/// Words of a tile.
pub const TILE: usize = 2048;
/// Bits of a tile's number of bits.
const TILE_BITS: u32 = 16;

/// A block of nodes or a tile: where its window begins and how long it is, where what it gives goes, its first group, how many, and zeros.
pub type Block = [u32; 8];

/// A run of places that lie in order on the device.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// The first place.
    pub first: u32,
    /// How many.
    pub count: u32,
    /// Where they begin.
    pub word: u32,
}

/// Where places are.
#[derive(Debug)]
pub struct Map {
    /// In the order of the device.
    pub regions: Vec<Region>,
    /// Words of the state, the last of which is 0 and nobody's.
    pub words: u32,
    /// By place; empty if they lie as they are numbered.
    bits: Vec<u32>,
}

impl Map {
    /// For a graph; `None` if its bits cannot be numbered.
    pub fn of(form: &Form<'_>) -> Option<Self> {
        let nodes = form.nodes() as u32;
        let mut regions = Vec::with_capacity(form.steps.len() + 1);
        let mut word = 0u32;
        let mut push = |first: u32, count: u32| {
            regions.push(Region { first, count, word });
            word = word.checked_add(count.div_ceil(GROUP as u32).checked_mul(2)?)?;
            Some(())
        };
        let mut sorted: Vec<Step> = form.steps.to_vec();
        sorted.sort_unstable_by_key(|s| s.first);
        for step in form.steps {
            push(step.first, step.count)?;
        }
        let mut next = 0;
        for step in sorted.iter().copied().chain([Step { first: nodes, count: 0 }]) {
            if step.first > next {
                push(next, step.first - next)?;
            }
            next = step.end();
        }
        let words = word.checked_add(2)?;
        words.checked_mul(32)?;
        let mut bits = Vec::new();
        if regions.len() > 1 {
            bits = vec![0; nodes as usize];
            for region in &regions {
                let places = region.first as usize..(region.first + region.count) as usize;
                for (bit, at) in bits.get_mut(places).unwrap_or(&mut []).iter_mut().zip(region.word * 32..) {
                    *bit = at;
                }
            }
        }
        Some(Self { regions, words, bits })
    }

    /// The bit of a source; that of no source is 0 for ever.
    #[inline]
    fn bit(&self, source: u32) -> u32 {
        if source == NONE {
            (self.words - 1) * 32
        } else if self.bits.is_empty() {
            source
        } else {
            self.bits.get(source as usize).copied().unwrap_or((self.words - 1) * 32)
        }
    }
}

/// How nodes of a segment are evaluated, ready for upload.
#[derive(Debug)]
pub enum Work {
    /// With 32-bit sources.
    Direct { sources: Vec<u32> },
    /// With windows of the state, or of what `exchange` picked.
    Window { positions: Vec<u32>, blocks: Vec<Block>, exchange: Option<Exchange> },
}

/// How bits are picked.
#[derive(Debug, Default)]
pub struct Exchange {
    /// 16 bits a bit wanted.
    pub offsets: Vec<u32>,
    /// Where each 32 of them go.
    pub targets: Vec<u32>,
    /// Work of a workgroup each.
    pub tiles: Vec<Block>,
    /// Words of what is picked; the last is nobody's.
    pub words: u32,
}

/// Nodes of a step that are evaluated together, as many as one binding holds.
#[derive(Debug)]
pub struct Segment {
    /// Where their values go.
    pub word: u32,
    /// How many groups.
    pub groups: u32,
    /// By group and lane.
    pub tables: Vec<u32>,
    /// The rest.
    pub work: Work,
}

/// Whether a step reads what it writes.
pub fn reads_itself(form: &Form<'_>, step: Step) -> bool {
    let range = step.first as usize..step.end() as usize;
    (0..SLOTS).any(|slot| {
        let sources = form.slot(slot).get(range.clone()).unwrap_or(&[]);
        sources.iter().any(|&s| s >= step.first && s < step.end())
    })
}

/// What is known of the nodes to be laid out.
struct Nodes<'a> {
    form: &'a Form<'a>,
    map: &'a Map,
    first: usize,
    count: usize,
}

impl Nodes<'_> {
    /// Device bits of the sources of a node of the segment; those of nodes beyond it are none.
    #[inline]
    fn sources(&self, node: usize) -> [u32; SLOTS] {
        if node >= self.count {
            return [self.map.bit(NONE); SLOTS];
        }
        self.form.sources_of(self.first + node).map(|s| self.map.bit(s))
    }
}

/// Lays the tables of groups of a segment out, which has `count` nodes from `first` on.
pub fn tables(
    form: &Form<'_>,
    first: usize,
    count: usize,
    groups: std::ops::Range<usize>,
    into: &mut Vec<u32>,
) {
    for group in groups {
        for lane in 0..32 {
            for node in [group * GROUP + lane, group * GROUP + 32 + lane] {
                let in_segment = node < count;
                let table = form.tables.get(first + node).filter(|_| in_segment).copied().unwrap_or(0);
                into.extend([table as u32, (table >> 32) as u32]);
            }
        }
    }
}

/// Lays nodes of a step out. `word` is where their region begins.
pub fn segment(
    form: &Form<'_>,
    map: &Map,
    nodes: std::ops::Range<u32>,
    word: u32,
    threads: usize,
) -> Segment {
    let first = nodes.start as usize;
    let of = Nodes { form, map, first, count: nodes.len() };
    let groups = of.count.div_ceil(GROUP);
    let tables = pieces(threads, groups, |range, into| tables(form, first, of.count, range, into));
    // Smaller blocks have room for what whole words waste where there are many tiles.
    let size = block_groups(groups);
    let sizes = [size, size / 2];
    let work = windows(&of, groups, word, threads)
        .or_else(|| sizes.into_iter().find_map(|size| exchange(&of, groups, size, word, threads)))
        .unwrap_or_else(|| Work::Direct {
            sources: pieces(threads, groups, |range, into| direct(&of, range, into)),
        });
    Segment { word, groups: groups as u32, tables, work }
}

/// Words that several threads make, in order.
fn pieces(
    threads: usize,
    groups: usize,
    make: impl Fn(std::ops::Range<usize>, &mut Vec<u32>) + Sync,
) -> Vec<u32> {
    const TOGETHER: usize = 4096;
    let parts = parallel(threads, groups.div_ceil(TOGETHER), |part| {
        let mut words = Vec::new();
        make(part * TOGETHER..groups.min((part + 1) * TOGETHER), &mut words);
        words
    });
    parts.concat()
}

fn direct(of: &Nodes<'_>, groups: std::ops::Range<usize>, into: &mut Vec<u32>) {
    for group in groups {
        let sources: [[u32; SLOTS]; GROUP] = std::array::from_fn(|i| of.sources(group * GROUP + i));
        for slot in 0..SLOTS {
            into.extend(sources.iter().map(|s| s[slot]));
        }
    }
}

/// Groups of a block: enough blocks to keep a device busy, and none too small.
fn block_groups(groups: usize) -> usize {
    (groups / 1024).next_power_of_two().clamp(16, 128)
}

/// The 16-bit form of a group's sources.
fn push_positions(sources: &[[u32; SLOTS]; GROUP], into: &mut Vec<u32>) {
    let (low, high) = sources.split_at(32);
    for slot in 0..SLOTS {
        into.extend(low.iter().zip(high).map(|(a, b)| a[slot] | b[slot] << 16));
    }
}

fn windows(of: &Nodes<'_>, groups: usize, word: u32, threads: usize) -> Option<Work> {
    let size = block_groups(groups);
    let zero = of.map.bit(NONE);
    let blocks = groups.div_ceil(size);
    let made = parallel(threads, blocks, |n| {
        let range = n * size..groups.min((n + 1) * size);
        let (mut least, mut greatest) = (u32::MAX, 0);
        for node in range.start * GROUP..range.end * GROUP {
            for source in of.sources(node).into_iter().filter(|&s| s != zero) {
                least = least.min(source >> 5);
                greatest = greatest.max(source >> 5);
            }
        }
        let least = if least == u32::MAX { 0 } else { least };
        let words = greatest.saturating_sub(least) + 1;
        if words as usize > WINDOW {
            return None;
        }
        let mut positions = Vec::with_capacity(range.len() * POSITION_WORDS);
        for group in range.clone() {
            let near = |s: u32| if s == zero { words * 32 } else { s - least * 32 };
            let sources = std::array::from_fn(|i| of.sources(group * GROUP + i).map(near));
            push_positions(&sources, &mut positions);
        }
        let block =
            [least, words, word + 2 * range.start as u32, range.start as u32, range.len() as u32, 0, 0, 0];
        Some((positions, block))
    });
    let made: Vec<_> = made.into_iter().collect::<Option<_>>()?;
    let (positions, blocks): (Vec<_>, Vec<_>) = made.into_iter().unzip();
    Some(Work::Window { positions: positions.concat(), blocks, exchange: None })
}

/// Nodes of a step from which picking pays.
const EXCHANGE_FROM: usize = 1 << 18;
/// Tiles from which it pays: fewer fit into a multiprocessor's cache.
const TILES_FROM: usize = 16;

/// What one of [`exchange`]'s parts gives; numbers begin at 0 in each.
#[derive(Default)]
struct Part {
    positions: Vec<u32>,
    blocks: Vec<Block>,
    exchange: Exchange,
}

fn exchange(of: &Nodes<'_>, groups: usize, size: usize, word: u32, threads: usize) -> Option<Work> {
    let tiles = (of.map.words as usize).div_ceil(TILE);
    if of.count < EXCHANGE_FROM || tiles < TILES_FROM {
        return None;
    }
    let blocks = groups.div_ceil(size);
    let together = (blocks * tiles / 4096).clamp(1, blocks);
    let parts = parallel(threads, blocks.div_ceil(together), |n| {
        let first = n * together;
        part(of, first..blocks.min(first + together), size, groups, tiles)
    });
    let mut all = Part::default();
    for part in parts {
        let part = part?;
        let words = all.exchange.words;
        let group = (all.exchange.offsets.len() / 32) as u32;
        all.positions.extend(part.positions);
        for [source, length, out, first, count, ..] in part.blocks {
            all.blocks.push([source + words, length, out + word, first, count, 0, 0, 0]);
        }
        all.exchange.offsets.extend(part.exchange.offsets);
        let own = |t: u32| if t == u32::MAX { t } else { t + words };
        all.exchange.targets.extend(part.exchange.targets.into_iter().map(own));
        for [source, length, out, first, count, ..] in part.exchange.tiles {
            all.exchange.tiles.push([source, length, out, first + group, count, 0, 0, 0]);
        }
        all.exchange.words += part.exchange.words;
    }
    let nobody = all.exchange.words;
    for target in all.exchange.targets.iter_mut().filter(|t| **t == u32::MAX) {
        *target = nobody;
    }
    all.exchange.words += 1;
    Some(Work::Window { positions: all.positions, blocks: all.blocks, exchange: Some(all.exchange) })
}

/// Some blocks' windows, and what must be picked of each tile for them.
fn part(
    of: &Nodes<'_>,
    blocks: std::ops::Range<usize>,
    size: usize,
    groups: usize,
    tiles: usize,
) -> Option<Part> {
    let zero = of.map.bit(NONE);
    let nodes = |block: usize| block * size * GROUP..groups.min((block + 1) * size) * GROUP;
    // Of each block and tile: first how many bits, then where the next one goes in the tile's list.
    let mut next = vec![0u32; blocks.len() * tiles];
    for (counts, block) in next.chunks_mut(tiles).zip(blocks.clone()) {
        for source in nodes(block).flat_map(|n| of.sources(n)).filter(|&s| s != zero) {
            if let Some(count) = counts.get_mut((source >> TILE_BITS) as usize) {
                *count += 1;
            }
        }
    }
    let mut part = Part::default();
    // Windows: by block and tile, whole words.
    let mut begins = vec![0u32; next.len()];
    let mut windows = Vec::with_capacity(blocks.len());
    for (counts, begins) in next.chunks(tiles).zip(begins.chunks_mut(tiles)) {
        let base = part.exchange.words;
        let mut length = 0;
        for (count, begin) in counts.iter().zip(begins) {
            *begin = length;
            length += count.div_ceil(32);
        }
        if length as usize > WINDOW {
            return None;
        }
        windows.push((base, length));
        part.exchange.words += length;
    }
    // Lists: by tile and block, whole words, and each tile's of whole groups.
    let mut words = 0;
    for tile in 0..tiles {
        let begun = words;
        for (n, (base, _)) in windows.iter().enumerate() {
            let at = n * tiles + tile;
            let count = next.get(at).copied().unwrap_or(0).div_ceil(32);
            let begin = base + begins.get(at).copied().unwrap_or(0);
            part.exchange.targets.extend(begin..begin + count);
            if let Some(next) = next.get_mut(at) {
                *next = words * 32;
            }
            words += count;
        }
        if !words.is_multiple_of(2) {
            part.exchange.targets.push(u32::MAX);
            words += 1;
        }
        if words > begun {
            let first = (tile * TILE) as u32;
            let length = (of.map.words - first).min(TILE as u32);
            part.exchange.tiles.push([first, length, 0, begun / 2, (words - begun) / 2, 0, 0, 0]);
        }
    }
    part.exchange.offsets = vec![0; words as usize * 16];
    for (n, block) in blocks.enumerate() {
        let (base, length) = windows.get(n).copied()?;
        let range = nodes(block);
        // Where the block's bits of each tile begin in the tile's list, of which `next` counts on.
        let origin: Vec<u32> = next.get(n * tiles..(n + 1) * tiles)?.to_vec();
        for group in range.clone().step_by(GROUP) {
            let sources: [[u32; SLOTS]; GROUP] = std::array::from_fn(|i| {
                of.sources(group + i).map(|source| {
                    if source == zero {
                        return length * 32;
                    }
                    let tile = (source >> TILE_BITS) as usize;
                    let at = n * tiles + tile;
                    let (Some(slot), Some(&begin), Some(&origin)) =
                        (next.get_mut(at), begins.get(at), origin.get(tile))
                    else {
                        return length * 32;
                    };
                    let edge = *slot;
                    *slot += 1;
                    let offset = (source & 0xffff) << (edge / 32 % 2 * 16);
                    if let Some(word) = part.exchange.offsets.get_mut((edge / 64 * 32 + edge % 32) as usize) {
                        *word |= offset;
                    }
                    begin * 32 + edge - origin
                })
            });
            push_positions(&sources, &mut part.positions);
        }
        let first = range.start / GROUP;
        part.blocks.push([
            base,
            length,
            2 * first as u32,
            first as u32,
            (range.len() / GROUP) as u32,
            0,
            0,
            0,
        ]);
    }
    Some(part)
}
