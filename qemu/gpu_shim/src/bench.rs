//! Measurements of devices, each result compared with the processor's.

use std::time::Instant;

use compute_protocol::{
    Column, Kind, Metric, Term,
    graph::{NONE, Owned, Piece, Run, SLOTS, Step, tick, words},
    reduce::{Partial, Wanted},
};
use thiserror::Error;
use zerocopy::IntoBytes;

use crate::{
    check::{Example, Random, Sources},
    executor::{Executor, Failure, Rows, Search, upload},
};

/// Why there are no figures.
#[derive(Debug, Error)]
pub enum BenchError {
    /// A job was not done.
    #[error("a job was not done: {0}")]
    Failed(#[from] Failure),
    /// A result is wrong.
    #[error("{0}: the result differs")]
    Differs(&'static str),
}

/// Sizes of what is measured.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Nodes of graphs.
    pub nodes: u32,
    /// Rows of columns.
    pub rows: u64,
    /// Vectors.
    pub vectors: u64,
    /// Their components.
    pub dimensions: usize,
    /// Queries.
    pub queries: usize,
    /// Ticks of a submission.
    pub ticks: u32,
}

type Outcome = Result<(), BenchError>;
/// A device and what it is called.
pub type Named = (String, Box<dyn Executor>);

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let begun = Instant::now();
    let result = work();
    (result, begun.elapsed().as_secs_f64())
}

/// The time of the middle one of many, after so many that a device has reached its clock.
fn median<T>(mut work: impl FnMut() -> Result<T, Failure>) -> Result<(T, f64), Failure> {
    const SECONDS: f64 = 1.5;
    let begun = Instant::now();
    let mut times = Vec::new();
    loop {
        let (result, time) = timed(&mut work);
        let result = result?;
        times.push(time);
        if times.len() >= 3 && begun.elapsed().as_secs_f64() > SECONDS {
            times.drain(..times.len() / 2);
            times.sort_by(f64::total_cmp);
            let time = times.get(times.len() / 2).copied().unwrap_or(0.0);
            return Ok((result, time));
        }
    }
}

/// Updates a second of graphs of three kinds.
pub fn graphs(devices: &mut [Named], sizes: &Sizes) -> Outcome {
    let cases = [
        ("uniform", 1, Sources::Uniform),
        ("within 4,096", 1, Sources::Local(4096)),
        ("16 ranks, uniform", 16, Sources::Earlier),
    ];
    for (name, steps, sources) in cases {
        let example = Example::new(sizes.nodes, steps, sources, &mut Random::new(42));
        let evaluated: u64 = example.steps.iter().map(|s: &Step| u64::from(s.count)).sum();
        let mut random = Random::new(7);
        let mut begin: Vec<u32> = (0..words(sizes.nodes as usize)).map(|_| random.number() as u32).collect();
        if !sizes.nodes.is_multiple_of(32)
            && let Some(last) = begin.last_mut()
        {
            *last &= (1 << (sizes.nodes % 32)) - 1;
        }
        let mut want = begin.clone();
        for _ in 0..3 {
            tick(&example.form(), &mut want);
        }
        for (who, device) in devices.iter_mut() {
            let processor = device.describe().is_processor;
            let ticks = if processor { (sizes.ticks / 100).max(3) } else { sizes.ticks };
            let (made, sent) = timed(|| upload(&mut **device, 1, &example.form()));
            made?;
            device.write_state(1, 0, &begin)?;
            device.tick(1, 3)?;
            let mut got = vec![0; begin.len()];
            device.read_state(1, 0, &mut got)?;
            if got != want {
                return Err(BenchError::Differs("graph"));
            }
            let (_, time) = median(|| device.tick(1, ticks))?;
            let (_, moved) = median(|| {
                device.write_state(1, 0, &begin)?;
                device.tick(1, 1)?;
                device.read_state(1, 0, &mut got)
            })?;
            let rate = |ticks: u32, time: f64| evaluated as f64 * f64::from(ticks) / time / 1e9;
            println!(
                "lut6 {} nodes, {name}: {who}: {:.2} G updates/s over {ticks} ticks; one tick with its state sent and fetched {:.2} ms ({:.2} G/s); uploaded in {:.2} s",
                sizes.nodes,
                rate(ticks, time),
                moved * 1e3,
                rate(1, moved),
                sent
            );
            device.forget(1)?;
        }
    }
    Ok(())
}

/// Nodes of an edit.
const EDITED: u32 = 1000;
/// Edits one after the other.
const EDITS: usize = 5;

/// An edit of nodes all over a graph: new tables, and new sources unless `tables_alone`.
fn edit(
    owned: &Owned,
    sources: Sources,
    tables_alone: bool,
    random: &mut Random,
) -> (Vec<Run>, Vec<u64>, Vec<u32>) {
    let nodes = owned.tables.len() as u32;
    let apart = nodes / EDITED;
    let places: Vec<u32> = (0..EDITED).map(|n| n * apart + random.below(u64::from(apart)) as u32).collect();
    let tables = places.iter().map(|_| random.number()).collect();
    let mut all = Vec::with_capacity(places.len() * SLOTS);
    for slot in 0..SLOTS {
        for &place in &places {
            let own = owned.sources.get(slot * nodes as usize + place as usize).copied().unwrap_or(NONE);
            let first =
                owned.steps.iter().find(|s| (s.first..s.end()).contains(&place)).map_or(0, |s| s.first);
            all.push(match sources {
                _ if tables_alone => own,
                Sources::Earlier if first == 0 => NONE,
                Sources::Earlier => random.below(u64::from(first)) as u32,
                Sources::Local(reach) => {
                    let low = place.saturating_sub(reach);
                    low + random.below(u64::from((place + reach).min(nodes - 1) - low + 1)) as u32
                }
                Sources::Uniform => random.below(u64::from(nodes)) as u32,
            });
        }
    }
    (places.iter().map(|&first| Run { first, count: 1 }).collect(), tables, all)
}

/// How long edits of a graph take, with the tick after each.
pub fn edits(devices: &mut [Named], sizes: &Sizes) -> Outcome {
    let cases = [
        ("uniform", 1, Sources::Uniform),
        ("within 4,096", 1, Sources::Local(4096)),
        ("16 ranks, uniform", 16, Sources::Earlier),
    ];
    for ((name, steps, sources), tables_alone) in cases.into_iter().flat_map(|c| [(c, true), (c, false)]) {
        let example = Example::new(sizes.nodes, steps, sources, &mut Random::new(42));
        for (who, device) in devices.iter_mut() {
            upload(&mut **device, 1, &example.form())?;
            let (laid_out, first) = timed(|| device.tick(1, 1));
            laid_out?;
            let (_, plain) = median(|| device.tick(1, 1))?;
            let mut owned = Owned {
                tables: example.tables.clone(),
                sources: example.sources.clone(),
                steps: example.steps.clone(),
            };
            let mut random = Random::new(9);
            let mut states = vec![0; words(sizes.nodes as usize)];
            let mut got = states.clone();
            let mut times = Vec::new();
            for _ in 0..EDITS {
                let (runs, tables, sources) = edit(&owned, sources, tables_alone, &mut random);
                let piece = Piece { runs: &runs, tables: &tables, sources: &sources };
                let (done, set) = timed(|| device.nodes(1, &piece));
                done?;
                device.read_state(1, 0, &mut states)?;
                let (done, ticked) = timed(|| device.tick(1, 1));
                done?;
                times.push((set + ticked, set));
                device.read_state(1, 0, &mut got)?;
                owned.set(&piece).map_err(|_| BenchError::Differs("edit"))?;
                tick(&owned.form(), &mut states);
                if got != states {
                    return Err(BenchError::Differs("edited graph"));
                }
            }
            times.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (all, set) = times.get(times.len() / 2).copied().unwrap_or_default();
            let (_, after) = median(|| device.tick(1, 1))?;
            println!(
                "{EDITED} {} of {} nodes, {name}: {who}: {:.2} ms with the tick after it, of that {:.2} the edit; the first tick, for which the graph was laid out, {:.2}; another {:.2}, after {EDITS} edits {:.2}",
                if tables_alone { "tables" } else { "tables and their wires" },
                sizes.nodes,
                all * 1e3,
                set * 1e3,
                first * 1e3,
                plain * 1e3,
                after * 1e3
            );
            device.forget(1)?;
        }
    }
    Ok(())
}

/// Writes made-up bytes to a table in pieces; returns how long the device took.
fn fill(
    device: &mut dyn Executor,
    table: u32,
    bytes: u64,
    seed: u64,
    of: fn(&mut Random) -> u32,
) -> Result<f64, Failure> {
    const PIECE: u64 = 64 << 20;
    device.create(table, bytes.next_multiple_of(8))?;
    let mut random = Random::new(seed);
    let piece: Vec<u32> = (0..PIECE.min(bytes) / 4).map(|_| of(&mut random)).collect();
    let mut took = 0.0;
    for at in (0..bytes).step_by(PIECE as usize) {
        let count = PIECE.min(bytes - at) as usize;
        let (done, time) = timed(|| device.write(table, at, piece.as_bytes().get(..count).unwrap_or(&[])));
        done?;
        took += time;
    }
    Ok(took)
}

fn number(random: &mut Random) -> u32 {
    random.signed().to_bits()
}

/// Sums with and without a filter, and the best rows that pass it.
pub fn sums(devices: &mut [Named], sizes: &Sizes) -> Outcome {
    let mut results: Vec<(Partial, Partial, Vec<(u64, u64)>)> = Vec::new();
    for (who, device) in devices.iter_mut() {
        let upload = fill(&mut **device, 1, sizes.rows * 4, 1, number)?;
        fill(&mut **device, 2, sizes.rows * 4, 2, number)?;
        let column = Column { table: 1, kind: Kind::F32 };
        let other = Column { table: 2, kind: Kind::F32 };
        let key = |x: f32| Kind::F32.key(u64::from(x.to_bits()));
        let filter = [Term { column: other, least: key(0.0), greatest: key(0.5), negated: false }];
        let wanted = Wanted { sum: true, extremes: false };
        let all = Rows { column, count: sizes.rows, filter: &[] };
        let some = Rows { filter: &filter, ..all };
        let (sum, time) = median(|| device.reduce(all, wanted))?;
        let (filtered, filtered_time) = median(|| device.reduce(some, wanted))?;
        let gigabytes = sizes.rows as f64 * 4.0 / 1e9;
        println!(
            "sum of {} f32: {who}: {:.3} ms resident ({:.0} GB/s), {:.1} ms with the upload; where another column is between 0 and 0.5, in the same pass: {:.3} ms ({:.0} GB/s)",
            sizes.rows,
            time * 1e3,
            gigabytes / time,
            (time + upload) * 1e3,
            filtered_time * 1e3,
            2.0 * gigabytes / filtered_time
        );
        let (best, time) = median(|| device.top(some, 100, true))?;
        println!("its greatest 100 where the other is: {who}: {:.3} ms", time * 1e3);
        device.forget(1)?;
        device.forget(2)?;
        results.push((sum, filtered, best));
    }
    if results.windows(2).any(|w| w[0] != w[1]) { Err(BenchError::Differs("sum or top")) } else { Ok(()) }
}

/// The nearest ten.
pub fn searches(devices: &mut [Named], sizes: &Sizes) -> Outcome {
    let mut random = Random::new(3);
    let queries: Vec<f32> = (0..sizes.queries * sizes.dimensions).map(|_| random.signed()).collect();
    let vectors: Vec<f32> = (0..sizes.vectors * sizes.dimensions as u64).map(|_| random.signed()).collect();
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1, Metric::Hamming] {
        let mut results = Vec::new();
        for (who, device) in devices.iter_mut() {
            // Single components are compared exactly where there is no kernel, which takes long.
            let processor = device.describe().is_processor;
            if processor && !matches!(metric, Metric::L2 | Metric::InnerProduct) {
                continue;
            }
            device.create(1, (vectors.len() as u64 * 4).next_multiple_of(8))?;
            let (sent, upload) = timed(|| device.write(1, 0, vectors.as_bytes()));
            sent?;
            let search = Search {
                table: 1,
                dimensions: sizes.dimensions,
                rows: sizes.vectors,
                queries: &queries,
                neighbours: 10,
                metric,
            };
            let (found, time) = median(|| device.nearest(&search))?;
            let pairs = sizes.vectors as f64 * sizes.queries as f64;
            println!(
                "nearest 10 of {} x {} for {} queries, {metric:?}: {who}: {:.2} ms resident ({:.1} G components/s), {:.1} ms with the upload",
                sizes.vectors,
                sizes.dimensions,
                sizes.queries,
                time * 1e3,
                pairs * sizes.dimensions as f64 / time / 1e9,
                (time + upload) * 1e3
            );
            device.forget(1)?;
            results.push(found);
        }
        if results.windows(2).any(|w| w[0] != w[1]) {
            return Err(BenchError::Differs("nearest"));
        }
    }
    Ok(())
}

/// A sum and a search over one device, and over all of them with a part of the rows each.
pub fn partitioned(devices: &mut [Named], sizes: &Sizes) -> Outcome {
    // As many rows as pieces have that columns are filled with: then it does not matter who has which.
    let piece = 1 << 24;
    let wanted = Wanted { sum: true, extremes: true };
    let mut sums = Vec::new();
    for count in [1, devices.len()] {
        let share = (sizes.rows / count as u64).next_multiple_of(piece);
        let Some(used) = devices.get_mut(..count) else { continue };
        for (n, (_, device)) in used.iter_mut().enumerate() {
            let rows = share.min(sizes.rows - share * n as u64);
            fill(&mut **device, 1, rows * 4, 1, |r| (r.below(2000) as i32 - 1000) as u32)?;
        }
        let column = Column { table: 1, kind: Kind::I32 };
        let mut least = f64::INFINITY;
        let mut sum = Partial::EMPTY;
        for _ in 0..100 {
            let (parts, time) = timed(|| {
                std::thread::scope(|scope| {
                    let running: Vec<_> = used
                        .iter_mut()
                        .enumerate()
                        .map(|(n, (_, device))| {
                            let rows = share.min(sizes.rows - share * n as u64);
                            scope.spawn(move || {
                                device.reduce(Rows { column, count: rows, filter: &[] }, wanted)
                            })
                        })
                        .collect();
                    running
                        .into_iter()
                        .map(|r| r.join().unwrap_or(Err(Failure::Lost)))
                        .collect::<Result<Vec<_>, _>>()
                })
            });
            sum = compute_protocol::reduce::combine(parts?);
            least = least.min(time);
        }
        println!(
            "sum, least and greatest of {} i32 over {count} device(s): {:.3} ms ({:.0} GB/s)",
            sizes.rows,
            least * 1e3,
            sizes.rows as f64 * 4.0 / least / 1e9
        );
        for (_, device) in used {
            device.forget(1)?;
        }
        sums.push(sum);
    }
    if sums.windows(2).any(|w| w[0] != w[1]) { Err(BenchError::Differs("partitioned sum")) } else { Ok(()) }
}
