//! What evaluation costs, natively; `cargo xtask bench dagdb` runs it.
//!
//! Every case is checked against a naive evaluation and stands beside the schedule of the program whose published figures are
//! the ones to beat: for each rank, seven colour passes over all nodes.
//!
//! # Dependencies
//! `clap` for the command line; `dagdb_graph` and `dagdb_tick` are what is measured, `kernel_simd`'s kernels by themselves the
//! yardstick.
#![forbid(unsafe_code)]

mod baseline;
mod goals;
mod graphs;
mod machine;
mod pool;

use std::time::{Duration, Instant};

use clap::Parser;
use dagdb_graph::{Edit, Graph, Lut, NodeId};
use dagdb_tick::{Alone, Executor, Network, Path, Scenarios};

use graphs::{Edges, Shape};
use pool::Pool;

#[derive(Parser)]
struct Arguments {
    /// Nodes of a graph; several may be given
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 64_000, 1_000_000, 10_000_000])]
    nodes: Vec<usize>,
    /// Ranks; several may be given
    #[arg(long, value_delimiter = ',', default_values_t = [3, 16, 128, 4096])]
    ranks: Vec<usize>,
    /// How edges run; all if none is given
    #[arg(long, value_enum, value_delimiter = ',')]
    edges: Vec<Edges>,
    /// Only what was promised: the cases with a goal
    #[arg(long)]
    goals: bool,
    /// Every node a table of its own instead of eight for all
    #[arg(long)]
    own_tables: bool,
    /// Threads
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Instruction set: scalar, avx2 or avx512; the widest if not given
    #[arg(long)]
    path: Option<String>,
    /// Milliseconds that a measurement takes at least
    #[arg(long, default_value_t = 300)]
    milliseconds: u64,
}

fn main() {
    let arguments = Arguments::parse();
    let path = match &arguments.path {
        None => Path::best(),
        Some(name) => match Path::ALL.into_iter().find(|p| p.name() == name && p.is_available()) {
            Some(path) => path,
            None => {
                eprintln!("this machine has no {name}");
                std::process::exit(2);
            }
        },
    };
    let bench = Bench {
        pool: Pool::new(arguments.threads),
        path,
        least: Duration::from_millis(arguments.milliseconds),
    };
    println!(
        "{} threads, {} kernels; times are of one tick, best of several",
        arguments.threads,
        path.name()
    );
    if arguments.goals {
        goals::run(&bench);
        return;
    }
    heading();
    let edges = if arguments.edges.is_empty() { Edges::ALL.to_vec() } else { arguments.edges };
    for &nodes in &arguments.nodes {
        for &edges in &edges {
            for &ranks in &arguments.ranks {
                if ranks * 4 <= nodes && (edges != Edges::Netlist || ranks == arguments.ranks[0]) {
                    bench.case(&Shape { nodes, ranks, edges, own_tables: arguments.own_tables });
                }
            }
        }
    }
}

fn heading() {
    println!(
        "{:<34} {:>9} {:>8} {:>8} {:>9} {:>9} {:>8} {:>9} {:>9} {:>9} {:>10}",
        "graph",
        "full ms",
        "G/s",
        "a core",
        "seven-col",
        "1% ms",
        "cone us",
        "64 scen",
        "4096 scen",
        "a core",
        "bytes/node"
    );
}

/// What was measured of a graph, in seconds and thousand million a second.
struct Measured {
    full: f64,
    rate: f64,
    /// Of one thread, by its processor time.
    core_rate: Option<f64>,
    seven: Option<f64>,
    cones: Cones,
    /// Nodes times scenarios, with 4,096 of them: by the clock, and of one thread.
    scenarios: Option<(f64, Option<f64>)>,
    /// Bytes a node, and with the index of readers.
    bytes: (f64, f64),
}

struct Bench {
    pool: Pool,
    path: Path,
    least: Duration,
}

impl Bench {
    fn case(&self, shape: &Shape) -> Option<Measured> {
        let begun = Instant::now();
        let graph = shape.build();
        let built = begun.elapsed();
        let begun = Instant::now();
        if let Err(e) = graph.validate() {
            println!("{shape}: not a graph: {e}");
            return None;
        }
        let validated = begun.elapsed();
        let begun = Instant::now();
        let mut network = Network::new(&graph);
        network.set_path(self.path);
        let sorted = begun.elapsed();
        let nodes = graph.len() as f64;
        let want = baseline::naive(&graph);
        self.check(&want, &mut network);
        let full = self.best(|| {
            network.invalidate();
            self.tick(&mut network);
        });
        let core = self.processor(|| {
            network.invalidate();
            assert!(network.tick(1, &Alone, &|| true).is_ok(), "nobody cancels");
        });
        let plain = network.memory().total() as f64 / nodes;
        let seven = baseline::tick_time(&graph, &want, &self.pool);
        let cones = self.incremental(&graph, &mut network);
        let with_readers = network.memory().total() as f64 / nodes;
        let few = self.scenarios(&graph, &mut network, 64);
        let many = (graph.len() <= 2_000_000).then(|| self.scenarios(&graph, &mut network, 4096));
        let show = |x: Option<f64>, digits: usize| x.map_or("-".into(), |x| format!("{x:.digits$}"));
        println!(
            "{:<34} {:>9.4} {:>8.3} {:>8} {:>9} {:>9} {:>8} {:>9} {:>9} {:>9} {:>4.1} {:>5.1}   made {:.1} s, validated {:.2} s, sorted {:.2} s",
            shape.to_string(),
            full * 1e3,
            nodes / full / 1e9,
            show(core.map(|s| nodes / s / 1e9), 3),
            show(seven.map(|s| s * 1e3), 3),
            show(cones.hundredth.map(|s| s * 1e3), 3),
            show(cones.single.map(|s| s * 1e6), 2),
            show(Some(few.0), 2),
            show(many.map(|m| m.0), 2),
            show(many.and_then(|m| m.1), 2),
            plain,
            with_readers,
            built.as_secs_f64(),
            validated.as_secs_f64(),
            sorted.as_secs_f64(),
        );
        Some(Measured {
            full,
            rate: nodes / full / 1e9,
            core_rate: core.map(|s| nodes / s / 1e9),
            seven,
            cones,
            scenarios: many,
            bytes: (plain, with_readers),
        })
    }

    fn tick(&self, network: &mut Network) {
        // What is small is faster alone; the network knows.
        let executor: &dyn Executor = if self.pool.workers() > 1 { &self.pool } else { &Alone };
        assert!(network.tick(1, executor, &|| true).is_ok(), "nobody cancels");
    }

    /// Seconds of the fastest of several runs.
    fn best(&self, mut run: impl FnMut()) -> f64 {
        let begun = Instant::now();
        let mut best = f64::INFINITY;
        let mut runs = 0;
        while begun.elapsed() < self.least || runs < 5 {
            let start = Instant::now();
            run();
            best = best.min(start.elapsed().as_secs_f64());
            runs += 1;
        }
        best
    }

    /// The least processor time of one thread, which tells something on a busy machine too; `None` where it cannot be told.
    fn processor(&self, mut run: impl FnMut()) -> Option<f64> {
        let begun = Instant::now();
        let mut best: Option<f64> = None;
        let mut rounds = 0;
        while begun.elapsed() < self.least || rounds < 3 {
            // The clock is as coarse as the scheduler's ticks.
            let mut runs = 0u32;
            let start = processor_seconds()?;
            let inner = Instant::now();
            while runs == 0 || inner.elapsed() < Duration::from_millis(100) {
                run();
                runs += 1;
            }
            let took = (processor_seconds()? - start) / f64::from(runs);
            if took > 0.0 {
                best = Some(best.map_or(took, |b| b.min(took)));
            }
            rounds += 1;
        }
        best
    }

    /// Every node's value against a naive evaluation.
    fn check(&self, want: &[u8], network: &mut Network) {
        self.tick(network);
        for (id, want) in (0..).map(NodeId).zip(want) {
            assert_eq!(network.truth(id), Some(*want), "node {id}");
        }
    }

    fn incremental(&self, graph: &Graph, network: &mut Network) -> Cones {
        if !network.index_readers() {
            return Cones::default();
        }
        let leaves: Vec<NodeId> = (0..graph.len())
            .filter(|&i| graph.inputs()[i] == [u32::MAX; 6])
            .map(|i| NodeId(i as u32))
            .collect();
        if leaves.is_empty() {
            return Cones::default();
        }
        let flip = |network: &mut Network, leaf: NodeId, to: bool| {
            let lut = if to { Lut::CONST1 } else { Lut::CONST0 };
            assert!(network.apply(&Edit::SetLut(leaf, lut)).is_ok(), "a leaf may have any table");
        };
        // Single leaves, each another one, so that nothing of a cone is in a cache: about a hundred nodes are evaluated.
        let mut single = Vec::new();
        let step = (leaves.len() / 4001).max(1);
        for &leaf in leaves.iter().step_by(step).take(4000) {
            let was = network.truth(leaf) == Some(1);
            let start = Instant::now();
            flip(network, leaf, !was);
            let evaluated = network.tick(1, &Alone, &|| true).map_or(0, |t| t.evaluated);
            let took = start.elapsed().as_secs_f64();
            if (60..160).contains(&evaluated) {
                single.push(took * 100.0 / evaluated as f64);
            }
        }
        single.sort_by(f64::total_cmp);
        let mut best = f64::INFINITY;
        let mut to = true;
        for _ in 0..5 {
            for &leaf in leaves.iter().step_by(100) {
                flip(network, leaf, to);
            }
            let start = Instant::now();
            self.tick(network);
            best = best.min(start.elapsed().as_secs_f64());
            to = !to;
        }
        Cones { single: single.get(single.len() / 2).copied(), hundredth: Some(best) }
    }

    /// Thousand million nodes times scenarios a second: by the clock with all threads, and by one thread's processor time.
    fn scenarios(&self, graph: &Graph, network: &mut Network, count: usize) -> (f64, Option<f64>) {
        let mut question = Scenarios::new(count);
        let mut random = graphs::Random::new(5);
        for id in (0..graph.len()).step_by(graph.len() / 100 + 1) {
            let values = (0..question.words()).map(|_| random.next()).collect();
            question.give(NodeId(id as u32), values);
        }
        question.want(NodeId(0));
        let seconds = self.best(|| {
            assert!(question.evaluate(network, &self.pool, &|| true).is_ok(), "nobody cancels");
        });
        let core = self.processor(|| {
            assert!(question.evaluate(network, &Alone, &|| true).is_ok(), "nobody cancels");
        });
        let rate = |seconds: f64| graph.len() as f64 * count as f64 / seconds / 1e9;
        (rate(seconds), core.map(rate))
    }
}

/// Seconds that this thread has run, by Linux's scheduler.
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split(' ').next()?.parse::<f64>().ok()? / 1e9)
}

/// Seconds of incremental ticks.
#[derive(Default)]
struct Cones {
    /// After one flip, scaled to a cone of a hundred nodes; the median. `None` if no cone was of that size.
    single: Option<f64>,
    /// After flipping one in a hundred leaves.
    hundredth: Option<f64>,
}
