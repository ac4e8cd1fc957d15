//! A graph with its values, as it is evaluated and edited.

use alloc::{collections::BTreeSet, sync::Arc, vec, vec::Vec};

use dagdb_graph::{Edit, Graph, GraphError, INPUTS, Kind, Lut, Node, NodeId, Replacement, View};
use kernel_simd::lookup::Path;
use thiserror::Error;

use crate::{
    bits,
    build::Rows,
    cone::{PlaceSet, Queue, Readers, search_readers},
    executor::Executor,
    layout::{Layout, Row, Segment, Work, index_of},
    overlay::Overlay,
    pass::Pass,
    sweep::{Cone, Sweep},
};

/// Why ticks ended early. Those done before stay done; the one in progress left no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TickError {
    /// The caller said not to go on.
    #[error("cancelled after {ticks} ticks")]
    Cancelled {
        /// Ticks that were done.
        ticks: u64,
    },
}

/// What ticks did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Ticks counted, as many as were asked for.
    pub ticks: u64,
    /// Ticks computed: all others would have changed nothing.
    pub computed: u64,
    /// Nodes evaluated.
    pub evaluated: u64,
}

/// Bytes of memory by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The model and its evaluation form.
    pub layout: usize,
    /// Values.
    pub states: usize,
    /// Edited nodes that are not sorted in.
    pub overlay: usize,
    /// The index of readers and the queue, which incremental ticks need.
    pub readers: usize,
}

impl Memory {
    /// All.
    pub const fn total(&self) -> usize {
        self.layout + self.states + self.overlay + self.readers
    }
}

/// A graph that ticks. Clones share what is large and are consistent snapshots.
#[derive(Clone, Debug)]
pub struct Network {
    layout: Arc<Layout>,
    /// One bit a place: whether the value is 1.
    states: Arc<Vec<u64>>,
    /// By place, the values above 1; empty if there are none.
    codes: Vec<u8>,
    overlay: Overlay,
    /// Ids that no node has.
    free: u32,
    readers: Option<Arc<Readers>>,
    queue: Queue,
    ticks: u64,
    path: Path,
}

impl Network {
    /// The network of a graph that keeps its invariants (which [`Graph::validate`] checks).
    pub fn new(graph: &Graph) -> Self {
        let layout = Layout::build(graph);
        let places = layout.ids.len();
        let mut network = Self {
            layout: Arc::new(layout),
            states: Arc::new(vec![0; bits::words(places)]),
            codes: Vec::new(),
            overlay: Overlay::default(),
            free: graph.kinds().iter().filter(|k| **k == Kind::Free).count() as u32,
            readers: None,
            queue: Queue::All,
            ticks: 0,
            path: Path::best(),
        };
        network.fill(graph.truths());
        network
    }

    fn fill(&mut self, truths: &[u8]) {
        let states = Arc::make_mut(&mut self.states);
        if truths.iter().any(|&t| t > 1) {
            self.codes = vec![0; self.layout.ids.len()];
        }
        for (&truth, &place) in truths.iter().zip(&self.layout.places) {
            match truth {
                0 => {}
                1 => {
                    bits::set(states, place, true);
                }
                code => {
                    if let Some(c) = self.codes.get_mut(place as usize) {
                        *c = code;
                    }
                }
            }
        }
    }

    /// Which kernels evaluate it; the best there is unless set. Results do not depend on it.
    pub fn set_path(&mut self, path: Path) {
        self.path = path;
    }

    /// Which kernels evaluate it.
    pub fn path(&self) -> Path {
        self.path
    }

    /// Ticks done since it was made.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Sets the count of ticks, for a graph that was loaded.
    pub fn set_ticks(&mut self, ticks: u64) {
        self.ticks = ticks;
    }

    /// Nodes that were edited and are not sorted in.
    pub fn overlaid(&self) -> usize {
        self.overlay.len()
    }

    /// How many of its ids are free.
    pub fn free_ids(&self) -> usize {
        self.free as usize
    }

    /// Whether no node has this id.
    pub fn is_free(&self, id: NodeId) -> bool {
        id.index() >= self.node_count() || self.free_at(self.place_of(id))
    }

    fn free_at(&self, place: u32) -> bool {
        self.free > 0 && self.kind_at(place) == Kind::Free
    }

    fn kind_at(&self, place: u32) -> Kind {
        match self.overlay.row(place) {
            Some(row) => row.kind,
            None => self.layout.kinds.get(place as usize).copied().unwrap_or_default(),
        }
    }

    /// A node's value.
    pub fn truth(&self, id: NodeId) -> Option<u8> {
        (id.index() < self.node_count()).then(|| self.truth_at(self.place_of(id)))
    }

    /// The registers that a node feeds.
    pub fn registers_of(&self, source: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let place = self.place_of(source);
        self.latches().filter(move |l| l.1 == place).filter_map(|l| self.id_of(l.0))
    }

    /// Calls for the nodes with ranks from `low` to `high` and values that `truths` wants, in no order. Takes as long as there
    /// are nodes of those ranks: within a rank, nodes are neighbours and their values neighbouring bits.
    pub fn for_each_at(
        &self,
        (low, high): (u64, u64),
        truths: &dyn Fn(u8) -> bool,
        then: &mut dyn FnMut(NodeId, u64),
    ) {
        let mut visit = |place: u32, rank: u64| {
            if truths(self.truth_at(place)) && !self.free_at(place) {
                self.id_of(place).into_iter().for_each(|id| then(id, rank));
            }
        };
        let (zero, one) = (truths(0), truths(1));
        for s in self.layout.segments.iter().filter(|s| (low..=high).contains(&s.rank)) {
            let mut place = s.first;
            while place < s.first + s.len {
                // Words without a bit that could be wanted are passed over.
                let word = self.states.get(place as usize / 64).copied().unwrap_or(0);
                let skip = match (zero, one) {
                    (false, true) => word == 0,
                    (true, false) => word == u64::MAX,
                    _ => false,
                };
                if skip && self.codes.is_empty() && place.is_multiple_of(64) {
                    place += 64;
                    continue;
                }
                if self.overlay.row(place).is_none() {
                    visit(place, s.rank);
                }
                place += 1;
            }
        }
        for (place, row) in self.overlay.rows().filter(|(_, row)| (low..=high).contains(&row.rank)) {
            visit(place, row.rank);
        }
    }

    /// Calls for the nodes whose values are not what they were in an older state of this network.
    pub fn for_each_change(&self, older: &Self, then: &mut dyn FnMut(NodeId)) {
        let same_places = Arc::ptr_eq(&self.layout, &older.layout);
        if !same_places || !self.codes.is_empty() || !older.codes.is_empty() {
            let ids = (0..self.node_count() as u32).map(NodeId);
            ids.filter(|&id| self.truth(id) != older.truth(id)).for_each(then);
            return;
        }
        for (n, &word) in self.states.iter().enumerate() {
            let mut changed = word ^ older.states.get(n).copied().unwrap_or(0);
            while changed != 0 {
                let place = n as u32 * 64 + changed.trailing_zeros();
                changed &= changed - 1;
                self.id_of(place).into_iter().for_each(&mut *then);
            }
        }
    }

    /// The occupied ranks, highest first, with how many nodes they have, as of the latest [`Self::compact`].
    pub fn ranks(&self) -> Vec<(u64, u64)> {
        let mut ranks: Vec<(u64, u64)> = Vec::new();
        for segment in &self.layout.segments {
            match ranks.last_mut() {
                Some((rank, count)) if *rank == segment.rank => *count += u64::from(segment.len),
                _ => ranks.push((segment.rank, u64::from(segment.len))),
            }
        }
        // Free ids have rank 0.
        if let Some((0, count)) = ranks.last_mut() {
            *count = count.saturating_sub(u64::from(self.free));
            if *count == 0 {
                ranks.pop();
            }
        }
        ranks
    }

    /// Values and how many nodes have them, lowest first.
    pub fn truths(&self) -> Vec<(u8, u64)> {
        let ones: u64 = self.states.iter().map(|w| u64::from(w.count_ones())).sum();
        let mut counts = vec![0u64; 256];
        for &code in self.codes.iter().filter(|&&c| c > 1) {
            counts.iter_mut().skip(usize::from(code)).take(1).for_each(|c| *c += 1);
        }
        let others: u64 = counts.iter().sum();
        let zeros = (self.node_count() as u64).saturating_sub(ones + others + u64::from(self.free));
        for (count, of) in counts.iter_mut().zip([zeros, ones]) {
            *count = of;
        }
        (0..=u8::MAX).zip(counts).filter(|c| c.1 > 0).collect()
    }

    /// Slots up to the last used one of each node, and back edges; with how many of these are back edges. As of the latest
    /// [`Self::compact`].
    pub fn edges(&self) -> (u64, u64) {
        let slots = |s: &Segment| match s.work {
            Work::Same { arity, .. } | Work::Own { arity, .. } => arity as u64 * u64::from(s.len),
            Work::Hold | Work::Constant { .. } => 0,
        };
        let back = self.layout.backs.len() as u64;
        (self.layout.segments.iter().map(slots).sum::<u64>() + back, back)
    }

    /// What a pass over unedited nodes needs.
    pub(crate) fn parts(&self) -> (Arc<Layout>, Arc<Vec<u64>>) {
        (Arc::clone(&self.layout), Arc::clone(&self.states))
    }

    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub(crate) fn states(&self) -> &[u64] {
        &self.states
    }

    /// Whether any value is above 1.
    pub(crate) fn has_codes(&self) -> bool {
        !self.codes.is_empty()
    }

    /// Whether it has registers, without which ticks after the first one change nothing.
    pub fn has_registers(&self) -> bool {
        self.latches().next().is_some()
    }

    /// How many ranks are occupied, as of the latest [`Self::compact`].
    pub fn rank_count(&self) -> usize {
        self.layout.segments.chunk_by(|a, b| a.rank == b.rank).count()
    }

    /// Whether the next tick has nothing to evaluate.
    pub fn is_settled(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether the next tick evaluates everything.
    pub fn is_unsettled(&self) -> bool {
        matches!(self.queue, Queue::All)
    }

    /// Takes values over that ticks led to elsewhere. Which registers the last one changed is not known.
    pub(crate) fn adopt(&mut self, states: Vec<u64>, ticks: u64, registers: bool) {
        self.states = Arc::new(states);
        self.ticks = self.ticks.saturating_add(ticks);
        self.queue = if registers { Queue::All } else { self.empty_queue() };
    }

    pub(crate) fn place_of(&self, id: NodeId) -> u32 {
        self.layout.places.get(id.index()).copied().unwrap_or(id.0.wrapping_add(1))
    }

    fn id_of(&self, place: u32) -> Option<NodeId> {
        Some(NodeId(self.layout.ids.get(place as usize).copied().unwrap_or(place.wrapping_sub(1))))
    }

    fn truth_at(&self, place: u32) -> u8 {
        match self.codes.get(place as usize) {
            Some(&code) if code > 1 => code,
            _ => u8::from(bits::get(&self.states, place)),
        }
    }

    /// Gives a place a value; its readers are queued if they see a change.
    fn set_truth_at(&mut self, place: u32, truth: u8) {
        if truth > 1 && self.codes.len() <= place as usize {
            self.codes.resize(self.node_count() + 1, 0);
        }
        if let Some(code) = self.codes.get_mut(place as usize) {
            *code = if truth > 1 { truth } else { 0 };
        }
        let states = Arc::make_mut(&mut self.states);
        if bits::set(states, place, truth == 1) {
            self.queue_readers(place);
        }
    }

    fn row_at(&self, place: u32) -> Option<Row> {
        self.overlay.row(place).copied().or_else(|| self.layout.row(place))
    }

    fn rank_at(&self, place: u32) -> u64 {
        match self.overlay.row(place) {
            Some(row) => row.rank,
            None => self.layout.segment_of(place).map_or(0, |s| s.rank),
        }
    }

    fn enqueue(&mut self, place: u32) {
        let (overlay, layout) = (&self.overlay, &self.layout);
        self.queue.insert(place, || match overlay.row(place) {
            Some(row) => row.rank,
            None => layout.segment_of(place).map_or(0, |s| s.rank),
        });
        // With so many to begin with, a full pass is the faster way; and then nothing need be queued.
        if self.queue.len() as u64 > self.cone_limit() {
            self.queue = Queue::All;
        }
    }

    /// Nodes beyond which a cone is left for a full pass. One of them costs dozens of a full pass: so what was done in vain is a
    /// small part of what follows.
    fn cone_limit(&self) -> u64 {
        self.node_count() as u64 / 256 + 64
    }

    fn queue_readers(&mut self, place: u32) {
        if matches!(self.queue, Queue::All) {
            return;
        }
        let Some(readers) = self.readers.clone() else {
            self.queue = Queue::All;
            return;
        };
        for &reader in readers.of(place) {
            self.enqueue(reader);
            // By the time its turn comes, what it needs has arrived.
            self.layout.prefetch(reader);
            readers.prefetch(reader);
        }
        if !self.overlay.is_empty() {
            let overlaid: Vec<u32> = self.overlay.readers(place).collect();
            for reader in overlaid {
                self.enqueue(reader);
            }
        }
    }

    /// Makes one edit, or says why not and changes nothing.
    pub fn apply(&mut self, edit: &Edit) -> Result<Replacement, GraphError> {
        let replacement = edit.plan(self)?;
        self.put(replacement.id, &replacement.new);
        Ok(replacement)
    }

    /// Replaces or adds a node without checking it: for replaying what was checked.
    pub fn put(&mut self, id: NodeId, node: &Node) {
        let place = self.place_of(id);
        let source = |id: Option<NodeId>| id.map_or(0, |id| self.place_of(id));
        let row = Row {
            rank: node.rank,
            lut: node.lut,
            sources: node.inputs.map(source),
            back: source(node.back),
            kind: node.kind,
        };
        let old = (id.index() < self.node_count()).then(|| self.row_at(place)).flatten();
        self.free -= u32::from(old.is_some_and(|o| o.kind == Kind::Free));
        self.free += u32::from(node.is_free());
        if old != Some(row) {
            let only_table = old.is_some_and(|o| Row { lut: row.lut, ..o } == row);
            if !(only_table && self.overlay.row(place).is_none() && self.put_table(place, row.lut)) {
                self.overlay_row(place, row);
            }
        }
        let changed = self.truth_at(place) != node.truth;
        self.set_truth_at(place, node.truth);
        if (changed || old != Some(row)) && row.back == 0 {
            if self.readers.is_none() {
                self.queue = Queue::All;
            }
            self.enqueue(place);
        }
    }

    /// Changes the table of a node of the layout in place, if nobody shares it.
    fn put_table(&mut self, place: u32, lut: Lut) -> bool {
        let Some(segment) = self.layout.segment_of(place).copied() else { return false };
        if matches!(segment.work, Work::Same { .. }) {
            return false;
        }
        let Some(layout) = Arc::get_mut(&mut self.layout) else { return false };
        if !layout.tables.set(place, lut) {
            return false;
        }
        layout.edits += 1;
        if let Work::Constant { bits_at } = segment.work {
            let at = bits_at + (place - segment.first) as usize;
            bits::put(&mut layout.constants, at, 1, lut.0 & 1);
        }
        true
    }

    fn overlay_row(&mut self, place: u32, row: Row) {
        let states = Arc::make_mut(&mut self.states);
        let words = bits::words(place as usize + 1);
        if states.len() < words {
            states.resize(words, 0);
        }
        if !self.codes.is_empty() && self.codes.len() <= place as usize {
            self.codes.resize(place as usize + 1, 0);
        }
        // Queued nodes are in order of the ranks they have; this one may be about to change its own.
        let was = self.rank_at(place);
        self.queue_by_rank();
        let queued = match &mut self.queue {
            Queue::Ranks(set) => set.remove(&(core::cmp::Reverse(was), place)),
            Queue::All | Queue::Places(_) => false,
        };
        self.overlay.put(&self.layout, place, row);
        if queued && row.back == 0 {
            self.enqueue(place);
        }
    }

    /// With an overlay, places are not in the order of ranks.
    fn queue_by_rank(&mut self) {
        if let Queue::Places(places) = &mut self.queue {
            let mut places = core::mem::take(places);
            let mut ranks = BTreeSet::new();
            while let Some(place) = places.pop() {
                ranks.insert((core::cmp::Reverse(self.rank_at(place)), place));
            }
            self.queue = Queue::Ranks(ranks);
        }
    }

    /// Makes the next tick evaluate everything, whatever has changed.
    pub fn invalidate(&mut self) {
        self.queue = Queue::All;
    }

    /// Indexes who reads whom, so that ticks evaluate only what changed. Takes 4 bytes an edge and 4 a node, and about as
    /// long as a few full ticks. Returns false for a graph with more edges than can be numbered.
    pub fn index_readers(&mut self) -> bool {
        if self.readers.is_none() {
            self.readers = Readers::build(&self.layout).map(Arc::new);
            if self.queue.is_empty() {
                self.queue = self.empty_queue();
            }
        }
        self.readers.is_some()
    }

    /// Sorts edited nodes in. Takes as long as making the network.
    pub fn compact(&mut self) {
        if self.overlay.is_empty() {
            return;
        }
        let truths: Vec<u8> =
            (0..self.node_count() as u32).map(|id| self.truth_at(self.place_of(NodeId(id)))).collect();
        let settled = self.queue.is_empty();
        let layout = Layout::build(&*self);
        self.states = Arc::new(vec![0; bits::words(layout.ids.len())]);
        self.codes = Vec::new();
        self.overlay = Overlay::default();
        self.layout = Arc::new(layout);
        self.fill(&truths);
        if self.readers.take().is_some() {
            self.index_readers();
        }
        self.queue = if settled { self.empty_queue() } else { Queue::All };
    }

    fn empty_queue(&self) -> Queue {
        if self.readers.is_none() {
            // Whatever changes makes it `All` again; until then there is nothing to do.
            return Queue::Ranks(BTreeSet::new());
        }
        if self.overlay.is_empty() {
            Queue::Places(PlaceSet::new(self.layout.ids.len()))
        } else {
            Queue::Ranks(BTreeSet::new())
        }
    }

    /// Does `count` ticks. `go_on` is asked every now and then.
    pub fn tick(
        &mut self,
        count: u64,
        executor: &dyn Executor,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Ticked, TickError> {
        let mut done = Ticked::default();
        while done.ticks < count {
            if !go_on() || !self.settle(executor, go_on, &mut done) {
                return Err(TickError::Cancelled { ticks: done.ticks });
            }
            let moved = self.latch();
            done.computed += 1;
            done.ticks += 1;
            self.ticks = self.ticks.saturating_add(1);
            if !moved {
                let rest = count - done.ticks;
                self.ticks = self.ticks.saturating_add(rest);
                done.ticks = count;
            }
        }
        Ok(done)
    }

    /// The combinational part of a tick; false if it was cancelled, and then nothing has changed.
    fn settle(&mut self, executor: &dyn Executor, go_on: &dyn Fn() -> bool, done: &mut Ticked) -> bool {
        if self.queue.is_empty() {
            return true;
        }
        let mut undo = Vec::new();
        let outcome = match self.queue {
            Queue::All => Cone::TooLarge,
            Queue::Places(_) | Queue::Ranks(_) => self.cone(go_on, &mut undo, done),
        };
        let settled = match outcome {
            Cone::Settled => true,
            Cone::Cancelled => false,
            Cone::TooLarge => {
                self.queue = Queue::All;
                self.full(executor, go_on, done)
            }
        };
        if !settled {
            self.queue = Queue::All;
            for (place, truth) in undo.into_iter().rev() {
                self.set_truth_at(place, truth);
            }
        }
        settled
    }

    fn full(&mut self, executor: &dyn Executor, go_on: &dyn Fn() -> bool, done: &mut Ticked) -> bool {
        let mut states = Arc::new(Vec::clone(&self.states));
        let pass = Pass { layout: &self.layout, overlay: &self.overlay, path: self.path, executor, go_on };
        if pass.settle(&mut states).is_err() {
            return false;
        }
        self.states = states;
        self.keep_codes_of_registers();
        done.evaluated += self.node_count() as u64;
        self.queue = self.empty_queue();
        true
    }

    /// Evaluated nodes have values of 0 or 1 only.
    fn keep_codes_of_registers(&mut self) {
        if self.codes.is_empty() {
            return;
        }
        let mut codes = vec![0; self.codes.len()];
        let mut any = false;
        for (register, _) in self.latches() {
            if let (Some(to), Some(&from)) =
                (codes.get_mut(register as usize), self.codes.get(register as usize))
            {
                *to = from;
                any |= from > 1;
            }
        }
        self.codes = if any { codes } else { Vec::new() };
    }

    fn cone(&mut self, go_on: &dyn Fn() -> bool, undo: &mut Vec<(u32, u8)>, done: &mut Ticked) -> Cone {
        let limit = self.cone_limit();
        let mut evaluated = 0;
        // A cone is several times what it begins with.
        let outcome = if self.queue.len() as u64 > limit / 4 {
            Cone::TooLarge
        } else if let (Queue::Places(queue), Some(readers)) = (&mut self.queue, &self.readers) {
            let (states, codes) = (Arc::make_mut(&mut self.states), &mut self.codes);
            let mut sweep = Sweep { layout: &self.layout, readers, queue, states, codes, limit };
            sweep.run(go_on, undo, &mut evaluated)
        } else {
            self.cone_with_overlay(go_on, undo, &mut evaluated)
        };
        done.evaluated += evaluated;
        outcome
    }

    fn cone_with_overlay(
        &mut self,
        go_on: &dyn Fn() -> bool,
        undo: &mut Vec<(u32, u8)>,
        evaluated: &mut u64,
    ) -> Cone {
        let limit = self.cone_limit();
        loop {
            let Some(place) = self.queue.pop() else {
                return if matches!(self.queue, Queue::All) { Cone::TooLarge } else { Cone::Settled };
            };
            *evaluated += 1;
            if *evaluated > limit {
                return Cone::TooLarge;
            }
            if evaluated.is_multiple_of(4096) && !go_on() {
                return Cone::Cancelled;
            }
            let value = match self.overlay.row(place) {
                Some(row) if row.back != 0 => continue,
                Some(row) => row.lut.output(index_of(&row.sources, INPUTS, &self.states)),
                None => match self.layout.evaluate(place, &self.states) {
                    Some(value) => value,
                    None => continue,
                },
            };
            let old = self.truth_at(place);
            if old != u8::from(value) {
                undo.push((place, old));
                self.set_truth_at(place, u8::from(value));
            }
        }
    }

    /// Registers and what feeds them, in places.
    fn latches(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let sorted = self.layout.backs.iter().copied().filter(|&(r, _)| self.overlay.row(r).is_none());
        sorted.chain(self.overlay.rows().filter(|(_, row)| row.back != 0).map(|(r, row)| (r, row.back)))
    }

    /// Latches registers in two phases; says whether any changed.
    fn latch(&mut self) -> bool {
        let changed: Vec<(u32, u8)> = self
            .latches()
            .map(|(register, source)| (register, self.truth_at(source)))
            .filter(|&(register, truth)| self.truth_at(register) != truth)
            .collect();
        for &(register, truth) in &changed {
            self.set_truth_at(register, truth);
        }
        !changed.is_empty()
    }

    /// Bytes of memory.
    pub fn memory(&self) -> Memory {
        let queue = match &self.queue {
            Queue::All => 0,
            Queue::Places(set) => set.memory(),
            Queue::Ranks(set) => set.len() * 24,
        };
        Memory {
            layout: self.layout.memory(),
            states: self.states.capacity() * 8 + self.codes.capacity(),
            overlay: self.overlay.memory(),
            readers: queue + self.readers.as_ref().map_or(0, |r| r.memory()),
        }
    }

    /// The graph, by ids, with its present values.
    pub fn to_graph(&self) -> Result<Graph, GraphError> {
        let mut graph = Graph::with_nodes(self.node_count())?;
        for id in (0..self.node_count() as u32).map(NodeId) {
            if let Some(node) = self.node(id) {
                graph.put(id, &node);
            }
        }
        Ok(graph)
    }
}

impl View for Network {
    fn node_count(&self) -> usize {
        self.layout.places.len() + self.overlay.added() as usize
    }

    fn node(&self, id: NodeId) -> Option<Node> {
        if id.index() >= self.node_count() {
            return None;
        }
        let place = self.place_of(id);
        let row = self.row_at(place)?;
        Some(row.to_node(self.truth_at(place), |place| self.id_of(place)))
    }

    fn value(&self, id: NodeId) -> Option<u8> {
        self.truth(id)
    }

    fn for_each_reader(&self, source: NodeId, then: &mut dyn FnMut(NodeId)) {
        let place = self.place_of(source);
        let mut sorted = |reader: u32| {
            if self.overlay.row(reader).is_none()
                && let Some(id) = self.id_of(reader)
            {
                then(id);
            }
        };
        match &self.readers {
            Some(readers) => readers.of(place).iter().for_each(|&r| sorted(r)),
            None => search_readers(&self.layout, place, sorted),
        }
        for reader in self.overlay.readers(place) {
            if let Some(id) = self.id_of(reader) {
                then(id);
            }
        }
    }

    fn for_each_register(&self, then: &mut dyn FnMut(NodeId, NodeId)) {
        for (register, source) in self.latches() {
            if let (Some(register), Some(source)) = (self.id_of(register), self.id_of(source)) {
                then(register, source);
            }
        }
    }
}

/// What compaction sorts.
impl Rows for Network {
    fn count(&self) -> usize {
        self.node_count()
    }

    fn rank(&self, id: u32) -> u64 {
        self.rank_at(self.place_of(NodeId(id)))
    }

    fn lut(&self, id: u32) -> Lut {
        let place = self.place_of(NodeId(id));
        self.overlay.row(place).map_or_else(|| self.layout.tables.get(place), |row| row.lut)
    }

    fn kind(&self, id: u32) -> Kind {
        self.kind_at(self.place_of(NodeId(id)))
    }

    fn inputs(&self, id: u32) -> [u32; INPUTS] {
        let sources = self.row_at(self.place_of(NodeId(id))).map_or([0; INPUTS], |row| row.sources);
        sources.map(|s| if s == 0 { u32::MAX } else { self.id_of(s).map_or(u32::MAX, |id| id.0) })
    }

    fn backs(&self) -> Vec<(u32, u32)> {
        let ids = |(r, s)| Some((self.id_of(r)?.0, self.id_of(s)?.0));
        self.latches().filter_map(ids).collect()
    }
}
