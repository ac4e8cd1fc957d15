//! What is compared with: one node after the other, and the schedule of the original.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Instant,
};

use dagdb_graph::Graph;
use dagdb_tick::Executor;

/// All values after a tick, evaluated one by one.
pub fn naive(graph: &Graph) -> Vec<u8> {
    let mut truths = graph.truths().to_vec();
    let mut order: Vec<u32> = (0..graph.len() as u32).collect();
    order.sort_by_key(|&id| std::cmp::Reverse(graph.ranks()[id as usize]));
    for id in order {
        let inputs = graph.inputs()[id as usize];
        let bit = |(d, &s): (usize, &u32)| u32::from(s != u32::MAX && truths[s as usize] == 1) << d;
        let index: u32 = inputs.iter().enumerate().map(bit).sum();
        truths[id as usize] = u8::from(graph.luts()[id as usize].output(index));
    }
    truths
}

/// A node's colour on a hexagonal lattice: no two within distance two share one.
fn colour(id: usize, width: usize) -> u8 {
    let (row, column) = (id / width, id % width);
    ((column + row + 4 * (column & 1)) % 7) as u8
}

/// Seconds of one tick by the original's schedule: for each rank from the highest down, seven passes over all nodes, each of
/// which evaluates the nodes of that rank and one colour. `None` where that would take too long to wait for.
pub fn tick_time(graph: &Graph, want: &[u8], pool: &impl Executor) -> Option<f64> {
    let ranks = graph.ranks().iter().max().map_or(0, |&r| r + 1);
    if ranks.saturating_mul(graph.len() as u64) > 200_000_000 {
        return None;
    }
    let width = graph.len().isqrt().max(1);
    let shared = Arc::new((
        graph.clone(),
        graph.truths().iter().map(|&t| AtomicU8::new(t)).collect::<Vec<_>>(),
        (0..graph.len()).map(|id| colour(id, width)).collect::<Vec<_>>(),
    ));
    let begun = Instant::now();
    for rank in (0..ranks).rev() {
        for pass in 0..7 {
            let job = Arc::clone(&shared);
            let parts = if graph.len() < 32_768 { 1 } else { pool.workers() };
            let share = graph.len().div_ceil(parts);
            let work = move |part: usize| {
                let (graph, truths, colours) = &*job;
                for id in part * share..graph.len().min((part + 1) * share) {
                    if graph.ranks()[id] == rank && colours[id] == pass {
                        let mut index = 0;
                        for (d, &s) in graph.inputs()[id].iter().enumerate() {
                            if s != u32::MAX && truths[s as usize].load(Ordering::Relaxed) == 1 {
                                index |= 1 << d;
                            }
                        }
                        truths[id].store(u8::from(graph.luts()[id].output(index)), Ordering::Relaxed);
                    }
                }
            };
            if parts == 1 {
                work(0);
            } else {
                pool.run(parts, Arc::new(work));
            }
        }
    }
    let took = begun.elapsed().as_secs_f64();
    let got: Vec<u8> = shared.1.iter().map(|t| t.load(Ordering::Relaxed)).collect();
    assert_eq!(got, want, "the original's schedule gives the same values");
    Some(took)
}
