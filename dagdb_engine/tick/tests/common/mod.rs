//! An independent, naive model of graphs, and random graphs and edits.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::{collections::BTreeMap, sync::Arc};

use dagdb_graph::{Compose, Edit, Graph, Kind, Lut, Node, NodeId};
use dagdb_tick::Executor;

/// A small generator of numbers.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn word(&mut self) -> u64 {
        self.next() << 40 ^ self.next()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct OracleNode {
    pub rank: u64,
    pub truth: u8,
    pub lut: u64,
    pub inputs: BTreeMap<usize, usize>,
    pub back: Option<usize>,
}

/// Evaluated one node after the other, one input after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Oracle(pub Vec<OracleNode>);

impl Oracle {
    pub fn of(graph: &Graph) -> Self {
        let mut nodes: Vec<OracleNode> = (0..graph.len())
            .map(|i| OracleNode {
                rank: graph.ranks()[i],
                truth: graph.truths()[i],
                lut: graph.luts()[i].0,
                inputs: BTreeMap::new(),
                back: None,
            })
            .collect();
        for (source, target, slot) in graph.edges() {
            nodes[target.index()].inputs.insert(slot, source.index());
        }
        for (register, source) in graph.registers() {
            nodes[register.index()].back = Some(source.index());
        }
        Self(nodes)
    }

    pub fn settle(&mut self, forced: &BTreeMap<usize, u8>) {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(self.0[i].rank));
        for i in order {
            if let Some(&truth) = forced.get(&i) {
                self.0[i].truth = truth;
            } else if self.0[i].back.is_none() {
                let set = self.0[i].inputs.iter().filter(|(_, s)| self.0[**s].truth == 1);
                let index: u64 = set.map(|(slot, _)| 1u64 << slot).sum();
                self.0[i].truth = u8::from(self.0[i].lut & (1 << index) != 0);
            }
        }
    }

    pub fn tick(&mut self) {
        self.settle(&BTreeMap::new());
        let seen: Vec<u8> = self.0.iter().map(|n| n.truth).collect();
        for node in &mut self.0 {
            if let Some(source) = node.back {
                node.truth = seen[source];
            }
        }
    }

    pub fn truths(&self) -> Vec<u8> {
        self.0.iter().map(|n| n.truth).collect()
    }

    /// Whether all invariants hold.
    pub fn sound(&self) -> bool {
        self.0.iter().enumerate().all(|(i, node)| {
            let distinct: std::collections::BTreeSet<_> = node.inputs.values().collect();
            distinct.len() == node.inputs.len()
                && node.inputs.values().all(|&s| s != i && self.0.get(s).is_some_and(|s| s.rank > node.rank))
                && node.back.is_none_or(|s| s < self.0.len() && node.inputs.is_empty())
        })
    }

    /// The graph after an edit, if the edit may be made.
    pub fn edited(&self, edit: &Edit) -> Option<Self> {
        let mut new = self.clone();
        let slots = |inputs: &[Option<NodeId>; 6]| {
            inputs
                .iter()
                .enumerate()
                .filter_map(|(d, s)| s.map(|s| (d, s.index())))
                .collect::<BTreeMap<_, _>>()
        };
        match edit {
            Edit::Add(n) => new.0.push(OracleNode {
                rank: n.rank,
                truth: n.truth,
                lut: n.lut.0,
                inputs: slots(&n.inputs),
                back: n.back.map(NodeId::index),
            }),
            Edit::SetTruth(id, truth) => new.0.get_mut(id.index())?.truth = *truth,
            Edit::SetRank(id, rank) => new.0.get_mut(id.index())?.rank = *rank,
            Edit::SetLut(id, lut) => new.0.get_mut(id.index())?.lut = lut.0,
            Edit::SetKind(id, _) => drop(new.0.get(id.index())?),
            Edit::SetInputs(id, inputs) => new.0.get_mut(id.index())?.inputs = slots(inputs),
            Edit::Clear(id) => new.0.get_mut(id.index())?.inputs.clear(),
            Edit::ClearBack(id) => new.0.get_mut(id.index())?.back = None,
            Edit::ConnectBack { source, target } => {
                let node = new.0.get_mut(target.index())?;
                if node.back.is_some() {
                    return None;
                }
                node.back = Some(source.index());
            }
            Edit::Connect { source, target } => {
                let node = new.0.get_mut(target.index())?;
                let free = (0..6).find(|d| !node.inputs.contains_key(d))?;
                node.inputs.insert(free, source.index());
            }
            Edit::Compose { how, target } => {
                let node = new.0.get_mut(target.index())?;
                let (a, b) = how.sources();
                node.inputs = [(0, a.index())].into_iter().chain(b.map(|b| (1, b.index()))).collect();
                node.lut = how.lut().0;
            }
        }
        new.sound().then_some(new)
    }
}

pub fn random_lut(r: &mut Random) -> Lut {
    match r.below(8) {
        0 => Lut::AND3,
        1 => Lut::OR6,
        2 => Lut::XOR6,
        3 => Lut::MAJ3,
        4 => Lut::IDENTITY,
        5 => Lut::NOR6,
        6 => Lut::CONST1,
        _ => Lut(r.word()),
    }
}

/// A sound graph of at most `most` nodes.
pub fn random_graph(r: &mut Random, most: usize) -> Graph {
    let count = r.below(most) + 1;
    let ranks = [1, 3, 16, 1 << 40][r.below(4)];
    let few_luts = r.one_in(2);
    let few: Vec<Lut> = (0..4).map(|_| random_lut(r)).collect();
    let mut graph = Graph::with_nodes(count).unwrap();
    for id in 0..count {
        graph.ranks_mut()[id] = r.next() % ranks;
        graph.truths_mut()[id] = if r.one_in(20) { r.below(256) as u8 } else { r.below(2) as u8 };
        graph.luts_mut()[id] = if few_luts { few[r.below(4)] } else { random_lut(r) };
    }
    for id in 0..count {
        let arity = r.below(7);
        let mut slot = 0;
        for _ in 0..arity {
            let source = r.below(count);
            let known = graph.inputs()[id].contains(&(source as u32));
            if graph.ranks()[source] > graph.ranks()[id] && !known && slot < 6 {
                graph.inputs_mut()[id][slot] = source as u32;
                // Slots may be left out.
                slot += 1 + usize::from(r.one_in(5));
            }
        }
    }
    if r.one_in(2) {
        for _ in 0..r.below(count) / 4 {
            let edit = Edit::ConnectBack { source: random_id(r, count), target: random_id(r, count) };
            let _ = graph.apply(&edit);
        }
    }
    graph.validate().unwrap();
    graph
}

fn random_id(r: &mut Random, count: usize) -> NodeId {
    NodeId(r.below(count) as u32)
}

/// Some edit, often one that may not be made.
pub fn random_edit(r: &mut Random, oracle: &Oracle) -> Edit {
    let count = oracle.0.len();
    let beyond = usize::from(r.one_in(20));
    let id = random_id(r, count + beyond);
    let other = random_id(r, count);
    match r.below(14) {
        0 | 1 => Edit::SetTruth(id, if r.one_in(4) { r.below(256) as u8 } else { r.below(2) as u8 }),
        2 => {
            let near = oracle.0.get(other.index()).map_or(0, |n| n.rank);
            Edit::SetRank(id, near.saturating_add(r.below(3) as u64).saturating_sub(1))
        }
        3 | 4 => Edit::SetLut(id, random_lut(r)),
        5 => Edit::SetKind(id, Kind::Ghost),
        6 | 7 => Edit::Connect { source: other, target: id },
        8 => Edit::Clear(id),
        9 => Edit::ConnectBack { source: other, target: id },
        10 => Edit::ClearBack(id),
        11 => {
            let (a, b) = (random_id(r, count), random_id(r, count));
            let how = match r.below(4) {
                0 => Compose::And(a, b),
                1 => Compose::Or(a, b),
                2 => Compose::Xor(a, b),
                _ => Compose::Not(a),
            };
            Edit::Compose { how, target: id }
        }
        12 => {
            let inputs = core::array::from_fn(|_| (!r.one_in(3)).then(|| random_id(r, count)));
            Edit::SetInputs(id, inputs)
        }
        _ => {
            let mut node = Node { rank: r.below(20) as u64, lut: random_lut(r), ..Node::default() };
            if r.one_in(2) {
                node.inputs[r.below(6)] = Some(other);
            }
            Edit::Add(node)
        }
    }
}

/// Real threads.
pub struct Threads(pub usize);

impl Executor for Threads {
    fn workers(&self) -> usize {
        self.0
    }

    fn run(&self, parts: usize, job: Arc<dyn Fn(usize) + Send + Sync>) {
        let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let threads: Vec<_> = (0..self.0)
            .map(|_| {
                let (next, job) = (Arc::clone(&next), Arc::clone(&job));
                std::thread::spawn(move || {
                    loop {
                        let part = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        if part >= parts {
                            break;
                        }
                        job(part);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
    }
}
