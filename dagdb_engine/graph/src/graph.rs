//! Graphs in order of their nodes' ids.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{Edit, GraphError, INPUTS, Kind, Lut, MAX_NODES, Node, NodeId, Replacement};

/// No node, in the compact form.
pub(crate) const NONE: u32 = u32::MAX;

/// A graph that can be looked at; edits are checked against it.
pub trait View {
    /// How many ids there are, free ones among them: the numbers below.
    fn node_count(&self) -> usize;

    /// What an id stands for, if there is such an id: a node, or [`Node::FREE`].
    fn node(&self, id: NodeId) -> Option<Node>;

    /// A node's value, if it is there.
    fn value(&self, id: NodeId) -> Option<u8> {
        self.node(id).map(|node| node.truth)
    }

    /// Calls for every node that has `source` among its inputs (back edges do not count).
    fn for_each_reader(&self, source: NodeId, then: &mut dyn FnMut(NodeId));

    /// Calls for every register and the node that feeds it.
    fn for_each_register(&self, then: &mut dyn FnMut(NodeId, NodeId));

    /// A node, or the error that says that it is not there.
    fn existing(&self, id: NodeId) -> Result<Node, GraphError> {
        match self.node(id) {
            None => Err(GraphError::NoSuchNode { node: u64::from(id.0), nodes: self.node_count() as u64 }),
            Some(node) if node.is_free() => Err(GraphError::Free { node: id }),
            Some(node) => Ok(node),
        }
    }
}

/// A graph, one array a field. 42 bytes a node, and a map of the registers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    pub(crate) ranks: Vec<u64>,
    pub(crate) truths: Vec<u8>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) luts: Vec<Lut>,
    pub(crate) inputs: Vec<[u32; INPUTS]>,
    /// Register to source.
    pub(crate) backs: BTreeMap<u32, u32>,
}

impl Graph {
    /// Without nodes.
    pub const fn new() -> Self {
        Self {
            ranks: Vec::new(),
            truths: Vec::new(),
            kinds: Vec::new(),
            luts: Vec::new(),
            inputs: Vec::new(),
            backs: BTreeMap::new(),
        }
    }

    /// With `count` nodes of rank 0, false, without inputs.
    pub fn with_nodes(count: usize) -> Result<Self, GraphError> {
        let mut graph = Self::new();
        graph.add_nodes(count)?;
        Ok(graph)
    }

    /// Adds nodes of rank 0, false, without inputs; gives the id of the first.
    pub fn add_nodes(&mut self, count: usize) -> Result<NodeId, GraphError> {
        let first = self.len();
        let total = first.checked_add(count).filter(|&n| n <= MAX_NODES);
        let total = total.ok_or(GraphError::TooManyNodes { limit: MAX_NODES as u64 })?;
        self.ranks.resize(total, 0);
        self.truths.resize(total, 0);
        self.kinds.resize(total, Kind::Real);
        self.luts.resize(total, Lut::CONST0);
        self.inputs.resize(total, [NONE; INPUTS]);
        Ok(NodeId(first as u32))
    }

    /// Adds a node without checking its edges; [`Self::validate`] does that for all at once.
    pub fn push_unchecked(&mut self, node: &Node) -> Result<NodeId, GraphError> {
        let id = self.add_nodes(1)?;
        self.put(id, node);
        Ok(id)
    }

    /// How many ids there are, free ones among them.
    pub fn len(&self) -> usize {
        self.ranks.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }

    /// Registers and the nodes that feed them, by register.
    pub fn registers(&self) -> impl ExactSizeIterator<Item = (NodeId, NodeId)> + '_ {
        self.backs.iter().map(|(&register, &source)| (NodeId(register), NodeId(source)))
    }

    /// Combinational edges as (source, target, slot), by target and slot.
    pub fn edges(&self) -> impl Iterator<Item = (NodeId, NodeId, usize)> + '_ {
        self.inputs.iter().enumerate().flat_map(|(target, slots)| {
            let used = slots.iter().enumerate().filter(|&(_, &source)| source != NONE);
            used.map(move |(slot, &source)| (NodeId(source), NodeId(target as u32), slot))
        })
    }

    /// Every node's rank, by id.
    pub fn ranks(&self) -> &[u64] {
        &self.ranks
    }

    /// Every node's truth value, by id.
    pub fn truths(&self) -> &[u8] {
        &self.truths
    }

    /// Every node's table, by id.
    pub fn luts(&self) -> &[Lut] {
        &self.luts
    }

    /// Every node's kind, by id.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// Every node's sources, by id; `u32::MAX` is an unused slot.
    pub fn inputs(&self) -> &[[u32; INPUTS]] {
        &self.inputs
    }

    /// Ranks to fill in bulk: [`Self::validate`] must follow.
    pub fn ranks_mut(&mut self) -> &mut [u64] {
        &mut self.ranks
    }

    /// Truth values to fill in bulk.
    pub fn truths_mut(&mut self) -> &mut [u8] {
        &mut self.truths
    }

    /// Tables to fill in bulk.
    pub fn luts_mut(&mut self) -> &mut [Lut] {
        &mut self.luts
    }

    /// Sources to fill in bulk (`u32::MAX` is an unused slot): [`Self::validate`] must follow.
    pub fn inputs_mut(&mut self) -> &mut [[u32; INPUTS]] {
        &mut self.inputs
    }

    /// Makes one edit, or says why not and changes nothing.
    pub fn apply(&mut self, edit: &Edit) -> Result<Replacement, GraphError> {
        let replacement = edit.plan(self)?;
        if replacement.old.is_none() {
            self.add_nodes(1)?;
        }
        self.put(replacement.id, &replacement.new);
        Ok(replacement)
    }

    /// Makes all edits, or says which one cannot be made and why, and changes nothing.
    pub fn apply_all(&mut self, edits: &[Edit]) -> Result<Vec<Replacement>, (usize, GraphError)> {
        let mut done = Vec::new();
        for (at, edit) in edits.iter().enumerate() {
            match self.apply(edit) {
                Ok(replacement) => done.push(replacement),
                Err(e) => {
                    while let Some(replacement) = done.pop() {
                        self.undo(&replacement);
                    }
                    return Err((at, e));
                }
            }
        }
        Ok(done)
    }

    /// Takes the latest edit back.
    pub fn undo(&mut self, replacement: &Replacement) {
        match &replacement.old {
            Some(old) => self.put(replacement.id, old),
            None => self.truncate(replacement.id.index()),
        }
    }

    /// Keeps only the first so many nodes; [`Self::validate`] must follow.
    pub fn truncate(&mut self, count: usize) {
        self.ranks.truncate(count);
        self.truths.truncate(count);
        self.kinds.truncate(count);
        self.luts.truncate(count);
        self.inputs.truncate(count);
        self.backs.retain(|&register, _| (register as usize) < count);
    }

    /// Replaces a node's row without checking it; nothing happens if it does not exist.
    pub fn put(&mut self, id: NodeId, node: &Node) {
        let at = id.index();
        let (Some(rank), Some(truth), Some(kind), Some(lut), Some(inputs)) = (
            self.ranks.get_mut(at),
            self.truths.get_mut(at),
            self.kinds.get_mut(at),
            self.luts.get_mut(at),
            self.inputs.get_mut(at),
        ) else {
            return;
        };
        (*rank, *truth, *kind, *lut) = (node.rank, node.truth, node.kind, node.lut);
        *inputs = node.inputs.map(|i| i.map_or(NONE, |s| s.0));
        match node.back {
            Some(source) => self.backs.insert(id.0, source.0),
            None => self.backs.remove(&id.0),
        };
    }
}

impl View for Graph {
    fn node_count(&self) -> usize {
        self.len()
    }

    fn node(&self, id: NodeId) -> Option<Node> {
        let at = id.index();
        Some(Node {
            rank: *self.ranks.get(at)?,
            truth: *self.truths.get(at)?,
            kind: *self.kinds.get(at)?,
            lut: *self.luts.get(at)?,
            inputs: self.inputs.get(at)?.map(|s| (s != NONE).then_some(NodeId(s))),
            back: self.backs.get(&id.0).map(|&s| NodeId(s)),
        })
    }

    fn value(&self, id: NodeId) -> Option<u8> {
        self.truths.get(id.index()).copied()
    }

    fn for_each_reader(&self, source: NodeId, then: &mut dyn FnMut(NodeId)) {
        for (target, slots) in self.inputs.iter().enumerate() {
            if slots.contains(&source.0) {
                then(NodeId(target as u32));
            }
        }
    }

    fn for_each_register(&self, then: &mut dyn FnMut(NodeId, NodeId)) {
        self.registers().for_each(|(register, source)| then(register, source));
    }
}
