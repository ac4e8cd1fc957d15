//! Drafts to graphs.

use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};

use dagdb_graph::{Graph, INPUTS, Kind, Lut, Node, NodeId};

use crate::{BuildError, Limits};

/// What a draft computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// A table of at most six sources, in the order of slots.
    Table(Lut),
    /// All sources; true if there are none.
    And,
    /// Any source.
    Or,
    /// An odd number of them.
    Xor,
    /// Not all.
    Nand,
    /// None.
    Nor,
    /// An even number.
    Xnor,
    /// More than half of them.
    Majority,
}

/// A node to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it computes.
    pub function: Function,
    /// Of what; each source once.
    pub sources: Vec<u32>,
    /// What feeds it, if it is a register; then there are no sources.
    pub back: Option<u32>,
    /// Its value at first.
    pub truth: u8,
    /// Its rank, for [`RankPolicy::Given`].
    pub rank: u64,
}

/// How ranks are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankPolicy {
    /// Nodes that nobody reads have rank 0, every other one is one above its highest reader.
    Topological,
    /// Drafts come in sequence, sources first, and each has a rank of its own: the last one has rank 0.
    Sequence,
    /// The same, but so many neighbours of the sequence share a rank. They must not read each other.
    ChainBand(u64),
    /// As the drafts say.
    Given,
}

/// A graph made of a netlist, and what its parts are called.
#[derive(Clone, Debug, Default)]
pub struct Netlist {
    /// The graph.
    pub graph: Graph,
    /// Nodes whose tables are the input's values.
    pub inputs: Vec<(String, NodeId)>,
    /// Nodes that show the outputs.
    pub outputs: Vec<(String, NodeId)>,
    /// Registers.
    pub registers: Vec<(String, NodeId)>,
}

/// Collects drafts.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    drafts: Vec<Draft>,
    /// From here on drafts were added by splitting.
    given: usize,
    /// For each of those, its hub and how far above it it is.
    added: Vec<(u32, u64)>,
    limit: usize,
}

/// The table of a function of `count <= 6` sources.
fn small_table(function: Function, count: usize) -> Lut {
    let mut bits = 0;
    for index in 0..64u32 {
        let ones = (index & ((1 << count) - 1)).count_ones() as usize;
        let value = match function {
            Function::Table(lut) => lut.output(index),
            Function::And => ones == count,
            Function::Nand => ones != count,
            Function::Or => ones > 0,
            Function::Nor => ones == 0,
            Function::Xor => ones % 2 == 1,
            Function::Xnor => ones.is_multiple_of(2),
            Function::Majority => 2 * ones > count,
        };
        bits |= u64::from(value) << index;
    }
    Lut(bits)
}

/// The table of bit `bit` of the number of set inputs.
fn count_bit(bit: u32) -> Lut {
    Lut((0..64u32).fold(0, |bits, index| bits | u64::from(index.count_ones() >> bit & 1) << index))
}

/// Asked every now and then whether to go on.
pub type GoOn<'a> = &'a mut dyn FnMut() -> bool;

fn proceed(step: usize, go_on: GoOn<'_>) -> Result<(), BuildError> {
    const STEPS: usize = 1 << 14;
    if !step.is_multiple_of(STEPS) || go_on() { Ok(()) } else { Err(BuildError::Cancelled) }
}

impl Builder {
    /// Without drafts.
    pub fn new(limits: &Limits<'_>) -> Self {
        Self {
            drafts: Vec::new(),
            given: 0,
            added: Vec::new(),
            limit: limits.nodes.min(dagdb_graph::MAX_NODES),
        }
    }

    /// How many drafts there are.
    pub fn len(&self) -> usize {
        self.drafts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.drafts.is_empty()
    }

    /// Adds a draft; its number comes back.
    pub fn add(&mut self, draft: Draft) -> Result<u32, BuildError> {
        if self.drafts.len() >= self.limit {
            return Err(BuildError::TooManyNodes { limit: self.limit });
        }
        self.drafts.push(draft);
        Ok(self.drafts.len() as u32 - 1)
    }

    /// Adds a function of others.
    pub fn gate(&mut self, function: Function, sources: &[u32]) -> Result<u32, BuildError> {
        self.add(Draft { function, sources: sources.into(), back: None, truth: 0, rank: 0 })
    }

    /// Adds a constant, which may serve as an input: it is changed by giving it another table.
    pub fn constant(&mut self, value: bool) -> Result<u32, BuildError> {
        self.gate(Function::Table(if value { Lut::CONST1 } else { Lut::CONST0 }), &[])
    }

    /// Adds a register that nothing feeds yet.
    pub fn register(&mut self, truth: u8) -> Result<u32, BuildError> {
        let function = Function::Table(Lut::IDENTITY);
        self.add(Draft { function, sources: Vec::new(), back: None, truth, rank: 0 })
    }

    /// A draft, to change it.
    pub fn draft_mut(&mut self, number: u32) -> Option<&mut Draft> {
        self.drafts.get_mut(number as usize)
    }

    /// Makes the graph. Node `i` is draft `i`; virtual and ghost nodes follow.
    pub fn build(self, policy: RankPolicy, ghosts: bool) -> Result<Graph, BuildError> {
        self.build_while(policy, ghosts, &mut || true)
    }

    /// The same; `go_on` is asked every now and then.
    pub fn build_while(
        mut self,
        policy: RankPolicy,
        ghosts: bool,
        go_on: GoOn<'_>,
    ) -> Result<Graph, BuildError> {
        self.given = self.drafts.len();
        self.check()?;
        for number in 0..self.given {
            proceed(number, go_on)?;
            self.split(number)?;
        }
        let ranks = self.ranks(policy, go_on)?;
        let mut graph = self.graph(&ranks, go_on)?;
        graph.validate()?;
        proceed(0, go_on)?;
        if ghosts {
            self.fill_gaps(&mut graph, go_on)?;
        }
        Ok(graph)
    }

    fn check(&self) -> Result<(), BuildError> {
        let count = self.drafts.len();
        for (node, draft) in (0..).zip(&self.drafts) {
            if let Some(&source_node) =
                draft.sources.iter().chain(&draft.back).find(|&&s| s as usize >= count)
            {
                return Err(BuildError::NoSuchSource { node, source_node });
            }
            if matches!(draft.function, Function::Table(_)) && draft.sources.len() > INPUTS {
                return Err(BuildError::TooManySources { node, sources: draft.sources.len() });
            }
        }
        Ok(())
    }

    /// Makes a draft one of at most six sources and a table.
    fn split(&mut self, number: usize) -> Result<(), BuildError> {
        let Some(draft) = self.drafts.get_mut(number) else { return Ok(()) };
        let function = draft.function;
        let sources = core::mem::take(&mut draft.sources);
        let first = self.drafts.len();
        let (table, top) = if sources.len() <= INPUTS {
            (small_table(function, sources.len()), sources)
        } else {
            match function {
                Function::Majority => self.majority(&sources)?,
                Function::And | Function::Nand => self.tree(function, Function::And, sources)?,
                Function::Or | Function::Nor => self.tree(function, Function::Or, sources)?,
                // `check` has refused larger tables.
                Function::Xor | Function::Xnor | Function::Table(_) => {
                    self.tree(function, Function::Xor, sources)?
                }
            }
        };
        if let Some(draft) = self.drafts.get_mut(number) {
            draft.function = Function::Table(table);
            draft.sources = top;
        }
        self.measure(number, first);
        Ok(())
    }

    /// Heights of the drafts from `first` on, which all belong to one hub: one more than their highest reader.
    fn measure(&mut self, hub: usize, first: usize) {
        self.added.resize(self.drafts.len() - self.given, (hub as u32, 0));
        // Each reads only earlier ones, and the hub reads any of them.
        for reader in core::iter::once(hub).chain((first..self.drafts.len()).rev()) {
            let height = |number: usize| number.checked_sub(self.given).and_then(|n| self.added.get(n));
            let above = if reader == hub { 1 } else { height(reader).map_or(0, |a| a.1) + 1 };
            let Some(draft) = self.drafts.get(reader) else { continue };
            for &source in draft.sources.iter().filter(|&&s| s as usize >= first) {
                if let Some(added) = self.added.get_mut(source as usize - self.given) {
                    added.1 = above.max(added.1);
                }
            }
        }
    }

    /// A tree of `inner` of the least depth, whose root has `function`.
    fn tree(
        &mut self,
        function: Function,
        inner: Function,
        mut level: Vec<u32>,
    ) -> Result<(Lut, Vec<u32>), BuildError> {
        while level.len() > INPUTS {
            // Evenly: no group is more than one larger than another, and none is of one.
            let groups = level.len().div_ceil(INPUTS);
            let mut next = Vec::with_capacity(groups);
            let mut rest = level.as_slice();
            for left in (1..=groups).rev() {
                let (group, others) = rest.split_at(rest.len().div_ceil(left).min(rest.len()));
                rest = others;
                next.push(self.gate(Function::Table(small_table(inner, group.len())), group)?);
            }
            level = next;
        }
        Ok((small_table(function, level.len()), level))
    }

    /// Adds the sources up, six bits of one weight to three bits, and compares the sum with half their number.
    fn majority(&mut self, sources: &[u32]) -> Result<(Lut, Vec<u32>), BuildError> {
        let least = sources.len() / 2 + 1;
        let mut weights: Vec<Vec<u32>> = vec![sources.into()];
        let mut weight = 0;
        while let Some(bits) = weights.get_mut(weight) {
            if bits.len() < 2 {
                weight += 1;
                continue;
            }
            // The earliest bits first: they are the deepest.
            let some: Vec<u32> = bits.drain(..bits.len().min(INPUTS)).collect();
            let most = usize::BITS - some.len().leading_zeros();
            for bit in 0..most {
                let digit = self.gate(Function::Table(count_bit(bit)), &some)?;
                let to = weight + bit as usize;
                if weights.len() <= to {
                    weights.resize(to + 1, Vec::new());
                }
                if let Some(bits) = weights.get_mut(to) {
                    bits.push(digit);
                }
            }
        }
        let sum: Vec<Option<u32>> = weights.iter().map(|bits| bits.first().copied()).collect();
        self.at_least(&sum, least)
    }

    /// Whether a number, lowest bit first, is at least `least`: five bits and the outcome for those below, from the lowest.
    fn at_least(&mut self, sum: &[Option<u32>], least: usize) -> Result<(Lut, Vec<u32>), BuildError> {
        let mut below: Option<u32> = None;
        let mut last = (Lut::CONST1, Vec::new());
        for (part, bits) in sum.chunks(INPUTS - 1).enumerate() {
            if let (true, (table, sources)) = (part > 0, &last) {
                below = Some(self.gate(Function::Table(*table), sources)?);
            }
            let wanted =
                least.checked_shr((part * (INPUTS - 1)) as u32).unwrap_or(0) & ((1 << bits.len()) - 1);
            let present: Vec<(usize, u32)> =
                bits.iter().enumerate().filter_map(|(i, b)| b.map(|b| (i, b))).collect();
            let table = (0..64usize).fold(0, |table, index| {
                let value =
                    present.iter().enumerate().fold(0, |v, (slot, &(bit, _))| v | (index >> slot & 1) << bit);
                let equal = if below.is_some() { index >> present.len() & 1 == 1 } else { true };
                table | u64::from(value > wanted || (value == wanted && equal)) << index
            });
            last = (Lut(table), present.iter().map(|&(_, b)| b).chain(below).collect());
        }
        Ok(last)
    }

    fn ranks(&self, policy: RankPolicy, go_on: GoOn<'_>) -> Result<Vec<u64>, BuildError> {
        let by_hub = |rank: &dyn Fn(usize) -> u64| {
            let mut ranks: Vec<u64> = (0..self.given).map(rank).collect();
            for &(hub, height) in &self.added {
                let base = ranks.get(hub as usize).copied().unwrap_or(0);
                ranks.push(base.saturating_add(height));
            }
            ranks
        };
        let last = self.given.saturating_sub(1);
        match policy {
            RankPolicy::Topological => self.topological(go_on),
            RankPolicy::Sequence => Ok(by_hub(&|n| (last - n) as u64)),
            RankPolicy::ChainBand(width) => Ok(by_hub(&|n| (last - n) as u64 / width.max(1))),
            RankPolicy::Given => Ok(by_hub(&|n| self.drafts.get(n).map_or(0, |d| d.rank))),
        }
    }

    fn topological(&self, go_on: GoOn<'_>) -> Result<Vec<u64>, BuildError> {
        let mut readers = vec![0u32; self.drafts.len()];
        for &source in self.drafts.iter().flat_map(|d| &d.sources) {
            if let Some(n) = readers.get_mut(source as usize) {
                *n += 1;
            }
        }
        let mut ranks = vec![0u64; self.drafts.len()];
        let mut ready: Vec<u32> = (0..).zip(&readers).filter(|&(_, &n)| n == 0).map(|(i, _)| i).collect();
        let mut done = 0;
        while let Some(number) = ready.pop() {
            proceed(done, go_on)?;
            done += 1;
            let above = ranks.get(number as usize).copied().unwrap_or(0) + 1;
            for &source in self.drafts.get(number as usize).map_or(&[][..], |d| &d.sources) {
                let (Some(rank), Some(n)) =
                    (ranks.get_mut(source as usize), readers.get_mut(source as usize))
                else {
                    continue;
                };
                *rank = above.max(*rank);
                *n -= 1;
                if *n == 0 {
                    ready.push(source);
                }
            }
        }
        if done < self.drafts.len() {
            let node = readers.iter().position(|&n| n > 0).unwrap_or(0) as u32;
            return Err(BuildError::Cycle { node });
        }
        Ok(ranks)
    }

    fn graph(&self, ranks: &[u64], go_on: GoOn<'_>) -> Result<Graph, BuildError> {
        let mut graph = Graph::with_nodes(self.drafts.len())?;
        for (number, (draft, &rank)) in self.drafts.iter().zip(ranks).enumerate() {
            proceed(number, go_on)?;
            let mut inputs = [None; INPUTS];
            for (input, &source) in inputs.iter_mut().zip(&draft.sources) {
                *input = Some(NodeId(source));
            }
            let Function::Table(lut) = draft.function else { continue };
            let node = Node {
                rank,
                truth: draft.truth,
                kind: if number < self.given { Kind::Real } else { Kind::Virtual },
                lut,
                inputs,
                back: draft.back.map(NodeId),
            };
            graph.put(NodeId(number as u32), &node);
        }
        Ok(graph)
    }

    /// Puts a chain of copies of each source into the ranks that its readers skip; all readers share it.
    fn fill_gaps(&self, graph: &mut Graph, go_on: GoOn<'_>) -> Result<(), BuildError> {
        let mut lowest: BTreeMap<NodeId, u64> = BTreeMap::new();
        for (n, (source, target, _)) in graph.edges().enumerate() {
            proceed(n, go_on)?;
            let ranks = graph.ranks();
            let (Some(&above), Some(&rank)) = (ranks.get(source.index()), ranks.get(target.index())) else {
                continue;
            };
            if above - rank > 1 {
                let low = lowest.entry(source).or_insert(rank);
                *low = rank.min(*low);
            }
        }
        let mut room = (self.limit - graph.len().min(self.limit)) as u64;
        for (source, &low) in &lowest {
            let above = graph.ranks().get(source.index()).copied().unwrap_or(0);
            room = room.checked_sub(above - low - 1).ok_or(BuildError::TooManyNodes { limit: self.limit })?;
        }
        // The first ghost of each source; the others follow it, each one rank lower.
        let mut chains: BTreeMap<u32, (u64, u32)> = BTreeMap::new();
        for (source, low) in lowest {
            let above = graph.ranks().get(source.index()).copied().unwrap_or(0);
            let mut previous = source;
            for (n, rank) in (low + 1..above).rev().enumerate() {
                proceed(n, go_on)?;
                let mut node = Node { rank, kind: Kind::Ghost, lut: Lut::IDENTITY, ..Node::default() };
                node.inputs[0] = Some(previous);
                previous = graph.push_unchecked(&node)?;
                chains.entry(source.0).or_insert((above, previous.0));
            }
        }
        let ranks: Vec<u64> = graph.ranks().to_vec();
        let ghosts_from = self.drafts.len();
        for (inputs, &rank) in graph.inputs_mut().iter_mut().zip(&ranks).take(ghosts_from) {
            for input in inputs.iter_mut() {
                if let Some(&(above, first)) = chains.get(input)
                    && above - rank > 1
                {
                    *input = first + (above - rank - 2) as u32;
                }
            }
        }
        graph.validate()?;
        Ok(())
    }
}
