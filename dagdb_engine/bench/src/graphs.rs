//! The graphs that are measured.

use std::fmt;

use clap::ValueEnum;
use dagdb_graph::{Graph, Lut};

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
        self.0
    }

    pub fn below(&mut self, n: usize) -> usize {
        ((self.next() >> 11) % n.max(1) as u64) as usize
    }
}

/// How edges run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Edges {
    /// From all of the six neighbours on a hexagonal lattice that have a higher rank
    Grid,
    /// Six from nodes of higher ranks, among the 4,096 around
    Window,
    /// Six from any nodes of higher ranks
    Uniform,
    /// Array multipliers of 32 bits
    Netlist,
}

impl Edges {
    pub const ALL: [Self; 4] = [Self::Grid, Self::Window, Self::Uniform, Self::Netlist];
}

/// A graph to measure.
pub struct Shape {
    pub nodes: usize,
    pub ranks: usize,
    pub edges: Edges,
    pub own_tables: bool,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.edges {
            Edges::Netlist => write!(f, "{} nodes of multipliers", self.nodes),
            edges => {
                let edges = format!("{edges:?}").to_lowercase();
                write!(f, "{} nodes, {} ranks, {edges}", self.nodes, self.ranks)
            }
        }
    }
}

impl Shape {
    /// The same graph every time.
    pub fn build(&self) -> Graph {
        let mut random = Random::new(42);
        let mut graph = match self.edges {
            Edges::Netlist => multipliers(self.nodes, &mut random),
            Edges::Grid => grid(self.nodes, self.ranks, &mut random),
            Edges::Window => random_edges(self.nodes, self.ranks, 4096, &mut random),
            Edges::Uniform => random_edges(self.nodes, self.ranks, self.nodes, &mut random),
        };
        if self.edges != Edges::Netlist {
            let few = [
                Lut::AND3,
                Lut::OR6,
                Lut::XOR6,
                Lut::MAJ6,
                Lut::NOR6,
                Lut::MAJ3,
                Lut::NAND6,
                Lut(0x1ee7_c0de),
            ];
            for lut in graph.luts_mut() {
                *lut = if self.own_tables { Lut(random.next()) } else { few[random.below(few.len())] };
            }
        }
        graph
    }
}

fn with_nodes(nodes: usize) -> Graph {
    Graph::with_nodes(nodes).unwrap_or_default()
}

/// Every node's rank is random.
fn grid(nodes: usize, ranks: usize, random: &mut Random) -> Graph {
    let mut graph = with_nodes(nodes);
    for rank in graph.ranks_mut() {
        *rank = random.below(ranks) as u64;
    }
    let width = nodes.isqrt().max(1);
    for id in 0..nodes {
        let (row, column) = ((id / width) as isize, (id % width) as isize);
        // Odd columns are half a cell lower.
        let down = column & 1;
        let around = [(-1, 0), (1, 0), (down - 1, -1), (down, -1), (down - 1, 1), (down, 1)];
        let mut slot = 0;
        for (rows, columns) in around {
            let (r, c) = (row + rows, column + columns);
            if r < 0 || c < 0 || c >= width as isize {
                continue;
            }
            let source = r as usize * width + c as usize;
            if source < nodes && graph.ranks()[source] > graph.ranks()[id] {
                graph.inputs_mut()[id][slot] = source as u32;
                slot += 1;
            }
        }
    }
    graph
}

/// Every node's rank is random; all but those of the highest rank have six inputs, if enough are near.
fn random_edges(nodes: usize, ranks: usize, window: usize, random: &mut Random) -> Graph {
    let mut graph = with_nodes(nodes);
    for rank in graph.ranks_mut() {
        *rank = random.below(ranks) as u64;
    }
    for id in 0..nodes {
        let low = id.saturating_sub(window / 2).min(nodes.saturating_sub(window));
        let rank = graph.ranks()[id];
        let mut slot = 0;
        for _ in 0..200 {
            if slot == 6 || rank as usize + 1 == ranks {
                break;
            }
            let source = low + random.below(window.min(nodes));
            if graph.ranks()[source] > rank && !graph.inputs()[id].contains(&(source as u32)) {
                graph.inputs_mut()[id][slot] = source as u32;
                slot += 1;
            }
        }
    }
    graph
}

/// Multipliers of 32 times 32 bits side by side, of full adders as pairs of three-input tables.
fn multipliers(nodes: usize, random: &mut Random) -> Graph {
    const BITS: usize = 32;
    const AND: Lut = Lut(0x8888_8888_8888_8888);
    const XOR3: Lut = Lut(0x9696_9696_9696_9696);
    let mut levels: Vec<u64> = Vec::new();
    let mut rows: Vec<(Lut, Vec<u32>)> = Vec::new();
    while rows.len() < nodes {
        let mut add = |lut: Lut, sources: Vec<u32>| {
            let level = sources.iter().map(|&s| levels[s as usize] + 1).max().unwrap_or(0);
            levels.push(level);
            rows.push((lut, sources));
            rows.len() as u32 - 1
        };
        let mut input = || if random.below(2) == 1 { Lut::CONST1 } else { Lut::CONST0 };
        let a: Vec<u32> = (0..BITS).map(|_| add(input(), vec![])).collect();
        let b: Vec<u32> = (0..BITS).map(|_| add(input(), vec![])).collect();
        let mut sum: Vec<Option<u32>> = vec![None; 2 * BITS];
        for (i, &b) in b.iter().enumerate() {
            let mut carry: Option<u32> = None;
            for (j, &a) in a.iter().enumerate() {
                let product = add(AND, vec![a, b]);
                let sources: Vec<u32> = [Some(product), sum[i + j], carry].into_iter().flatten().collect();
                if sources.len() == 1 {
                    sum[i + j] = Some(product);
                } else {
                    carry = Some(add(Lut::MAJ3, sources.clone()));
                    sum[i + j] = Some(add(XOR3, sources));
                }
            }
            if let Some(carry) = carry {
                sum[i + BITS] = Some(carry);
            }
        }
    }
    let mut graph = with_nodes(rows.len());
    let deepest = levels.iter().max().copied().unwrap_or(0);
    for (id, (lut, sources)) in rows.into_iter().enumerate() {
        graph.ranks_mut()[id] = deepest - levels[id];
        graph.luts_mut()[id] = lut;
        for (slot, source) in sources.into_iter().enumerate() {
            graph.inputs_mut()[id][slot] = source;
        }
    }
    graph
}
