//! Sorting a graph into its layout.

use alloc::{vec, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};

use dagdb_graph::{Graph, INPUTS, Kind, Lut, NodeId};
use kernel_simd::{chain::Chain, lookup::Wires};

use crate::{
    bits,
    layout::{BLOCK, Finder, Layout, Segment, Work},
    tables::Tables,
};

/// Nodes of one rank and arity that share a table are a segment of their own if they are at least so many.
const SAME_AT_LEAST: u32 = 64;

/// Nodes from which on the states of a graph are more than a core's own cache holds.
const SORT_FROM: usize = 1 << 20;

/// Register, constant, and arities 1 to 6.
const CLASSES: usize = 2 + INPUTS;

/// What a layout is made of: nodes by id, without their values.
pub trait Rows {
    /// How many.
    fn count(&self) -> usize;
    /// A node's rank.
    fn rank(&self, id: u32) -> u64;
    /// Its table.
    fn lut(&self, id: u32) -> Lut;
    /// Its kind.
    fn kind(&self, id: u32) -> Kind;
    /// Its sources' ids by slot; `u32::MAX` for none.
    fn inputs(&self, id: u32) -> [u32; INPUTS];
    /// Registers and what feeds them.
    fn backs(&self) -> Vec<(u32, u32)>;
}

impl Rows for Graph {
    fn count(&self) -> usize {
        self.len()
    }

    fn rank(&self, id: u32) -> u64 {
        self.ranks().get(id as usize).copied().unwrap_or(0)
    }

    fn lut(&self, id: u32) -> Lut {
        self.luts().get(id as usize).copied().unwrap_or_default()
    }

    fn kind(&self, id: u32) -> Kind {
        self.kinds().get(id as usize).copied().unwrap_or_default()
    }

    fn inputs(&self, id: u32) -> [u32; INPUTS] {
        Graph::inputs(self).get(id as usize).copied().unwrap_or([u32::MAX; INPUTS])
    }

    fn backs(&self) -> Vec<(u32, u32)> {
        self.registers().map(|(NodeId(register), NodeId(source))| (register, source)).collect()
    }
}

/// How many layouts there were so far.
static BUILT: AtomicU64 = AtomicU64::new(0);

impl Layout {
    /// The layout of nodes that keep the invariants of a graph.
    pub fn build(rows: &impl Rows) -> Self {
        Self::build_sorted(rows, SORT_FROM)
    }

    /// The same; graphs of at least `sort_from` nodes that read anywhere are sorted for that.
    fn build_sorted(rows: &impl Rows, sort_from: usize) -> Self {
        let count = rows.count();
        let backs = rows.backs();
        let classes = classes(rows, &backs);
        let ranks = Ranks::of(rows);
        let (order, ends) = sort(rows, &ranks, &classes);
        let tables = Tables::new(
            core::iter::once(Lut::default()).chain(order.iter().map(|&id| rows.lut(id))),
            count + 1,
        );
        let mut builder =
            Builder { layout: Self { tables, ..Self::default() }, order, wires: 0, constants: 0 };
        builder.segments(&ranks, &ends);
        if count >= sort_from && !is_local(rows) {
            builder.sort_by_first_source(rows);
        }
        builder.finish(rows, &backs)
    }
}

/// Whether most nodes read nodes with ids near theirs, so that neighbours in the order of ids read neighbours.
fn is_local(rows: &impl Rows) -> bool {
    let count = rows.count();
    let sources = (0..count as u32).step_by(count / 4096 + 1).filter_map(|id| {
        let source = rows.inputs(id).into_iter().find(|&s| s != u32::MAX)?;
        Some(u64::from(id.abs_diff(source)))
    });
    let (far, edges) = sources.fold((0, 0), |(far, edges), distance| (far + distance, edges + 1));
    // Of ids taken at random, the mean distance is a third.
    far <= edges * count as u64 / 16
}

/// 0 for registers, 1 for constants, arity plus one for others, by id.
fn classes(rows: &impl Rows, backs: &[(u32, u32)]) -> Vec<u8> {
    let mut classes: Vec<u8> = (0..rows.count() as u32)
        .map(|id| {
            let inputs = rows.inputs(id);
            let arity = inputs.iter().rposition(|&s| s != u32::MAX).map_or(0, |slot| slot + 1);
            arity as u8 + 1
        })
        .collect();
    for &(register, _) in backs {
        if let Some(class) = classes.get_mut(register as usize) {
            *class = 0;
        }
    }
    classes
}

/// The occupied ranks, highest first.
enum Ranks {
    /// Position by rank.
    Dense { position: Vec<u32>, falling: Vec<u64> },
    /// To be searched.
    Sparse { falling: Vec<u64> },
}

impl Ranks {
    fn of(rows: &impl Rows) -> Self {
        let count = rows.count();
        let all = || (0..count as u32).map(|id| rows.rank(id));
        let highest = all().max().unwrap_or(0);
        if highest < 2 * count as u64 + 1024 {
            let mut position = vec![u32::MAX; highest as usize + 1];
            for rank in all() {
                if let Some(p) = position.get_mut(rank as usize) {
                    *p = 0;
                }
            }
            let mut falling = Vec::new();
            for (rank, p) in position.iter_mut().enumerate().rev() {
                if *p == 0 {
                    *p = falling.len() as u32;
                    falling.push(rank as u64);
                }
            }
            Self::Dense { position, falling }
        } else {
            let mut falling: Vec<u64> = all().collect();
            falling.sort_unstable_by(|a, b| b.cmp(a));
            falling.dedup();
            Self::Sparse { falling }
        }
    }

    fn falling(&self) -> &[u64] {
        match self {
            Self::Dense { falling, .. } | Self::Sparse { falling } => falling,
        }
    }

    fn position(&self, rank: u64) -> usize {
        match self {
            Self::Dense { position, .. } => position.get(rank as usize).map_or(0, |&p| p as usize),
            Self::Sparse { falling } => falling.partition_point(|&r| r > rank),
        }
    }
}

/// Node ids by falling rank, class and id, and where each group of rank and class ends.
fn sort(rows: &impl Rows, ranks: &Ranks, classes: &[u8]) -> (Vec<u32>, Vec<u32>) {
    let group = |id: usize, class: u8| ranks.position(rows.rank(id as u32)) * CLASSES + usize::from(class);
    let mut next = vec![0u32; ranks.falling().len() * CLASSES + 1];
    for (id, &class) in classes.iter().enumerate() {
        if let Some(n) = next.get_mut(group(id, class) + 1) {
            *n += 1;
        }
    }
    let mut sum = 0;
    for n in &mut next {
        sum += *n;
        *n = sum;
    }
    let mut order = vec![0; classes.len()];
    for (id, &class) in classes.iter().enumerate() {
        if let Some(n) = next.get_mut(group(id, class)) {
            if let Some(slot) = order.get_mut(*n as usize) {
                *slot = id as u32;
            }
            *n += 1;
        }
    }
    // What was each group's beginning has become its end.
    next.pop();
    (order, next)
}

struct Builder {
    layout: Layout,
    order: Vec<u32>,
    /// Wires and constants given out.
    wires: usize,
    constants: usize,
}

impl Builder {
    fn segments(&mut self, ranks: &Ranks, ends: &[u32]) {
        let mut from = 0;
        let mut moved: Vec<u32> = Vec::new();
        for (group, &to) in ends.iter().enumerate() {
            let rank = ranks.falling().get(group / CLASSES).copied().unwrap_or(0);
            if to > from {
                match group % CLASSES {
                    0 => self.push(rank, from, to, Work::Hold),
                    1 => self.push(rank, from, to, Work::Constant { bits_at: self.constants }),
                    class => self.with_wires(rank, from, to, class - 1, &mut moved),
                }
            }
            from = to;
        }
        if !moved.is_empty() {
            self.reorder(&moved);
        }
    }

    /// Cuts nodes of one arity into those that share a table with many and the rest. `moved` gets the order's new indices,
    /// if any differs.
    fn with_wires(&mut self, rank: u64, from: u32, to: u32, arity: usize, moved: &mut Vec<u32>) {
        let own = Work::Own { arity, wires_at: 0 };
        let numbers = self.layout.tables.count().filter(|_| to - from >= SAME_AT_LEAST);
        let Some(numbers) = numbers else { return self.push(rank, from, to, own) };
        let code = |layout: &Layout, index: u32| layout.tables.code(index + 1).unwrap_or(0);
        let mut counts = vec![0u32; numbers];
        for index in from..to {
            if let Some(c) = counts.get_mut(code(&self.layout, index)) {
                *c += 1;
            }
        }
        if counts.iter().all(|&c| c < SAME_AT_LEAST) {
            return self.push(rank, from, to, own);
        }
        // Where the nodes of each table go; those of rare tables go behind all others.
        let mut next = vec![0u32; numbers];
        let mut at = from;
        for (number, &many) in counts.iter().enumerate() {
            if many >= SAME_AT_LEAST {
                if let Some(n) = next.get_mut(number) {
                    *n = at;
                }
                let lut = Lut(self.layout.tables.table(number));
                self.push(
                    rank,
                    at,
                    at + many,
                    Work::Same { arity, wires_at: 0, lut, chain: Chain::new(lut.0, arity) },
                );
                at += many;
            }
        }
        if at < to {
            self.push(rank, at, to, own);
        }
        if moved.is_empty() {
            moved.extend(0..self.order.len() as u32);
        }
        for index in from..to {
            let number = code(&self.layout, index);
            let common = counts.get(number).is_some_and(|&c| c >= SAME_AT_LEAST);
            let target = match next.get_mut(number) {
                Some(n) if common => {
                    *n += 1;
                    *n - 1
                }
                _ => {
                    at += 1;
                    at - 1
                }
            };
            if let Some(slot) = moved.get_mut(target as usize) {
                *slot = index;
            }
        }
    }

    /// Puts at each index what `from` says.
    fn reorder(&mut self, from: &[u32]) {
        self.order = from.iter().map(|&f| self.order.get(f as usize).copied().unwrap_or(0)).collect();
        let places: Vec<u32> = core::iter::once(0).chain(from.iter().map(|&f| f + 1)).collect();
        self.layout.tables = self.layout.tables.permuted(&places);
    }

    /// A segment of the nodes at these indices of the order; place 0 comes before them.
    fn push(&mut self, rank: u64, from: u32, to: u32, work: Work) {
        let len = to - from;
        let work = match work {
            Work::Hold => Work::Hold,
            Work::Constant { .. } => {
                let bits_at = self.constants;
                self.constants += len as usize;
                Work::Constant { bits_at }
            }
            Work::Same { arity, lut, chain, .. } => {
                Work::Same { arity, lut, chain, wires_at: self.wires(arity, len) }
            }
            Work::Own { arity, .. } => Work::Own { arity, wires_at: self.wires(arity, len) },
        };
        self.layout.segments.push(Segment { rank, first: from + 1, len, work });
    }

    /// Sorts each segment by the place that its nodes look up first: at least these look-ups then go through the states from
    /// the first to the last.
    fn sort_by_first_source(&mut self, rows: &impl Rows) {
        let mut places = vec![0u32; self.order.len()];
        let mut from: Vec<u32> = Vec::with_capacity(self.order.len());
        let mut keys: Vec<(u32, u32)> = Vec::new();
        for segment in &self.layout.segments {
            let first = segment.first - 1;
            let indices = first..first + segment.len;
            let id = |index: u32| self.order.get(index as usize).copied().unwrap_or(0);
            let slot = match segment.work {
                Work::Same { ref chain, .. } => chain.first(),
                Work::Own { .. } => Some(0),
                Work::Hold | Work::Constant { .. } => None,
            };
            // Sources are of higher ranks, so have their places by now.
            let source = |index: u32| {
                let source = slot.and_then(|slot| rows.inputs(id(index)).get(slot).copied());
                source.and_then(|s| places.get(s as usize).copied()).unwrap_or(0)
            };
            keys.clear();
            keys.extend(indices.map(|index| (source(index), index)));
            keys.sort_unstable();
            for (place, &(.., index)) in (segment.first..).zip(&keys) {
                from.push(index);
                if let Some(p) = places.get_mut(id(index) as usize) {
                    *p = place;
                }
            }
        }
        self.reorder(&from);
    }

    fn wires(&mut self, arity: usize, len: u32) -> usize {
        let at = self.wires;
        self.wires += arity * len as usize;
        at
    }

    fn finish(mut self, rows: &impl Rows, backs: &[(u32, u32)]) -> Layout {
        let mut places = vec![0; self.order.len()];
        for (index, &id) in self.order.iter().enumerate() {
            if let Some(place) = places.get_mut(id as usize) {
                *place = index as u32 + 1;
            }
        }
        self.layout.finder = Finder::new(&self.layout.segments);
        let place = |id: u32| places.get(id as usize).copied().unwrap_or(0);
        let mut wires = Vec::with_capacity(self.wires);
        let mut constants = vec![0; bits::words(self.constants)];
        let mut block = Vec::with_capacity(BLOCK);
        for segment in &self.layout.segments {
            let from = segment.first as usize - 1;
            let ids = self.order.get(from..from + segment.len as usize).unwrap_or(&[]);
            match segment.work {
                Work::Hold => {}
                Work::Constant { bits_at } => {
                    for (i, &id) in ids.iter().enumerate() {
                        bits::put(&mut constants, bits_at + i, 1, rows.lut(id).0 & 1);
                    }
                }
                Work::Same { arity, .. } | Work::Own { arity, .. } => {
                    for ids in ids.chunks(BLOCK) {
                        block.clear();
                        block.extend(ids.iter().map(|&id| rows.inputs(id)));
                        for slot in 0..arity {
                            wires.extend(block.iter().map(|inputs: &[u32; INPUTS]| place(inputs[slot])));
                        }
                    }
                }
            }
        }
        self.layout.constants = constants;
        // Places are below the number of nodes plus one, which a graph's limit keeps below the kernels'.
        self.layout.wires = Wires::new(wires).unwrap_or_default();
        let mut by_place: Vec<(u32, u32)> = backs.iter().map(|&(r, s)| (place(r), place(s))).collect();
        by_place.sort_unstable();
        self.layout.backs = by_place;
        if self.order.iter().any(|&id| rows.kind(id) != Kind::Real) {
            let kinds = self.order.iter().map(|&id| rows.kind(id));
            self.layout.kinds = core::iter::once(Kind::Real).chain(kinds).collect();
        }
        self.layout.ids = core::iter::once(u32::MAX).chain(self.order).collect();
        self.layout.places = places;
        self.layout.built = BUILT.fetch_add(1, Ordering::Relaxed);
        self.layout
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sorting_for_caches_changes_no_node(
            nodes in proptest::collection::vec((0u64..5, 0usize..4, any::<u64>(), any::<[u16; INPUTS]>()), 1..600),
        ) {
            let mut graph = Graph::with_nodes(nodes.len()).unwrap_or_default();
            for (id, (rank, lut, word, _)) in nodes.iter().enumerate() {
                graph.ranks_mut()[id] = *rank;
                graph.luts_mut()[id] = [Lut(*word), Lut::OR6, Lut::MAJ3, Lut::XOR6][*lut];
            }
            for (id, (.., sources)) in nodes.iter().enumerate() {
                for (slot, source) in sources.iter().map(|&s| usize::from(s) % nodes.len()).enumerate() {
                    let known = graph.inputs()[id].contains(&(source as u32));
                    if graph.ranks()[source] > graph.ranks()[id] && !known {
                        graph.inputs_mut()[id][slot] = source as u32;
                    }
                }
            }
            let layouts = [0, usize::MAX].map(|sort_from| Layout::build_sorted(&graph, sort_from));
            for id in 0..nodes.len() {
                let [sorted, plain] = layouts.each_ref().map(|layout| {
                    let place = layout.places[id];
                    assert_eq!(layout.ids[place as usize], id as u32);
                    let row = layout.row(place).unwrap_or_else(|| panic!("{place} has a segment"));
                    row.to_node(0, |place| layout.ids.get(place as usize).map(|&id| NodeId(id)))
                });
                prop_assert_eq!(&sorted, &plain);
                prop_assert_eq!(sorted.rank, graph.ranks()[id]);
            }
        }
    }
}
