//! Compares a device with the definitions of `compute_protocol`: what tests run, and what tells whether a device at hand can be trusted.

use compute_protocol::{
    Column, Kind, Metric, Term,
    distance::{distance, rank},
    graph::{self, Form, NONE, Owned, Piece, Run, SLOTS, Step},
    reduce::{self, CHUNK, Partial, Values, Wanted},
};
use zerocopy::{FromBytes, IntoBytes};

use crate::executor::{Executor, Failure, Rows, Search, upload};

/// A small generator of numbers.
pub struct Random(u64);

impl Random {
    /// The same sequence for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next one.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.number() >> 11) % n.max(1)
    }

    /// One between -1 and 1.
    pub fn signed(&mut self) -> f32 {
        (self.number() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// How sources of a made-up graph lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sources {
    /// Anywhere in the graph.
    Uniform,
    /// At most so far away.
    Local(u32),
    /// In earlier steps; those of the first step are none.
    Earlier,
}

/// A graph that was made up.
pub struct Example {
    /// By place.
    pub tables: Vec<u64>,
    /// By slot and place.
    pub sources: Vec<u32>,
    /// The schedule.
    pub steps: Vec<Step>,
}

impl Example {
    /// Of so many nodes in so many steps of about the same size.
    pub fn new(nodes: u32, steps: u32, sources: Sources, random: &mut Random) -> Self {
        let tables = (0..nodes).map(|_| random.number()).collect();
        let size = nodes.div_ceil(steps.max(1)).max(1);
        let mut all = Vec::with_capacity(nodes as usize * SLOTS);
        for _ in 0..SLOTS {
            for place in 0..nodes {
                all.push(match sources {
                    Sources::Uniform => random.below(u64::from(nodes)) as u32,
                    Sources::Local(reach) => {
                        let low = place.saturating_sub(reach);
                        low + random.below(u64::from((place + reach).min(nodes - 1) - low + 1)) as u32
                    }
                    Sources::Earlier if place < size => NONE,
                    Sources::Earlier => random.below(u64::from(place / size * size)) as u32,
                });
            }
        }
        let steps = (0..nodes).step_by(size as usize);
        let steps = steps.map(|first| Step { first, count: size.min(nodes - first) }).collect();
        Self { tables, sources: all, steps }
    }

    /// As it is uploaded.
    pub fn form(&self) -> Form<'_> {
        Form { tables: &self.tables, sources: &self.sources, steps: &self.steps }
    }
}

/// What did not come out as it should.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// A job was not done.
    #[error("{0}: {1}")]
    Failed(String, Failure),
    /// A result differs.
    #[error("{0}: another result than defined")]
    Differs(String),
}

fn done<T>(what: &str, result: Result<T, Failure>) -> Result<T, Wrong> {
    result.map_err(|f| Wrong::Failed(what.to_owned(), f))
}

fn same(what: String, is: bool) -> Result<(), Wrong> {
    if is { Ok(()) } else { Err(Wrong::Differs(what)) }
}

/// Runs everything; `large` adds graphs of a million nodes and columns of many chunks. Returns how many comparisons there were.
pub fn all(device: &mut dyn Executor, seed: u64, large: bool) -> Result<usize, Wrong> {
    let mut random = Random::new(seed);
    let mut count = refusals(device)?;
    count += graphs(device, &mut random, large)?;
    count += look_ups(device, &mut random)?;
    count += reductions(device, &mut random)?;
    if large {
        count += long_sums(device, &mut random)?;
    }
    count += tops(device, &mut random)?;
    count += neighbours(device, &mut random)?;
    Ok(count)
}

fn refusals(device: &mut dyn Executor) -> Result<usize, Wrong> {
    let refused = |what: &str, got: Result<(), Failure>, want: Failure| {
        same(format!("{what}: {got:?} where {want:?} is due"), got == Err(want))
    };
    done("create", device.create(1, 64))?;
    refused("a second table", device.create(1, 64), Failure::Identity)?;
    refused("too large a table", device.create(2, 1 << 60), Failure::Memory)?;
    refused("writing behind the end", device.write(1, 60, &[0; 8]), Failure::Bounds)?;
    refused("writing far behind", device.write(1, u64::MAX - 3, &[0; 8]), Failure::Bounds)?;
    refused("reading nothing that is", device.read(7, 0, &mut [0; 8]), Failure::Identity)?;
    refused("ticking a table", device.tick(1, 1).map(|_| ()), Failure::Identity)?;
    let column = Column { table: 1, kind: Kind::I64 };
    let rows = Rows { column, count: 9, filter: &[] };
    refused("too many rows", device.reduce(rows, Wanted::default()).map(|_| ()), Failure::Bounds)?;
    let behind = [Step { first: 5, count: 5 }];
    refused("a step that is not there", device.graph(3, 9, &behind), Failure::Bounds)?;
    let example = Example::new(9, 1, Sources::Uniform, &mut Random::new(1));
    let form = Form { sources: &[9; 54], ..example.form() };
    refused("a source that is not", upload(device, 3, &form), Failure::Bounds)?;
    done("a graph", upload(device, 3, &example.form()))?;
    let wrong = Piece { runs: &behind, tables: &[0; 5], sources: &[0; 30] };
    refused("nodes that are not", device.nodes(3, &wrong), Failure::Bounds)?;
    refused("states that are not", device.write_state(3, 1, &[0]), Failure::Bounds)?;
    refused("states that are not", device.read_state(3, usize::MAX, &mut [0]), Failure::Bounds)?;
    done("forget", device.forget(3))?;
    done("forget", device.forget(1))?;
    refused("forgetting twice", device.forget(1), Failure::Identity)?;
    Ok(13)
}

fn graphs(device: &mut dyn Executor, random: &mut Random, large: bool) -> Result<usize, Wrong> {
    let mut cases = vec![
        (1, 1, Sources::Uniform),
        (31, 3, Sources::Uniform),
        (64, 1, Sources::Local(5)),
        (1000, 7, Sources::Earlier),
        (5000, 1, Sources::Uniform),
        (70_001, 1, Sources::Local(4096)),
        (100_000, 5, Sources::Local(300)),
        (100_003, 9, Sources::Earlier),
        (200_000, 2, Sources::Uniform),
    ];
    if large {
        cases.push((1_200_007, 1, Sources::Uniform));
        cases.push((1_500_000, 3, Sources::Earlier));
        cases.push((1_100_000, 2, Sources::Uniform));
        // More than a binding of 128 MiB holds.
        cases.push((4_500_001, 1, Sources::Local(300)));
        cases.push((4_300_000, 1, Sources::Uniform));
    }
    for &(nodes, steps, sources) in &cases {
        let what = format!("{nodes} nodes, {steps} steps, {sources:?}");
        let mut example = Example::new(nodes, steps, sources, random);
        // Some slots are empty, and the last places may be in no step.
        for _ in 0..nodes / 10 {
            let at = random.below(example.sources.len() as u64) as usize;
            example.sources[at] = NONE;
        }
        if nodes > 100 && random.below(2) == 0 {
            let last = example.steps.len() - 1;
            example.steps[last].count -= 33;
        }
        let mut states: Vec<u32> =
            (0..graph::words(nodes as usize)).map(|_| random.number() as u32).collect();
        if !nodes.is_multiple_of(32)
            && let Some(last) = states.last_mut()
        {
            *last &= (1 << (nodes % 32)) - 1;
        }
        done(&what, upload(device, 5, &example.form()))?;
        done(&what, device.write_state(5, 0, &states))?;
        let mut got = vec![0; states.len()];
        done(&what, device.read_state(5, 0, &mut got))?;
        same(format!("{what}, as written"), got == states)?;
        let mut owned = Owned { tables: example.tables, sources: example.sources, steps: example.steps };
        let counts: &[u32] = match nodes {
            4_000_000.. => &[1, 1],
            1_000_000.. => &[1, 3],
            _ => &[1, 3, 4],
        };
        for &ticks in counts {
            let changed = done(&what, device.tick(5, ticks))?;
            let want = (0..ticks).fold(false, |_, _| graph::tick(&owned.form(), &mut states));
            done(&what, device.read_state(5, 0, &mut got))?;
            same(format!("{what}, {ticks} ticks more"), got == states && changed == want)?;
            edit(device, &what, (&mut owned, &mut states), sources, random)?;
        }
        let frozen = Owned::empty(nodes as usize, Vec::new());
        let all = [Run { first: 0, count: nodes }];
        let empty = Piece { runs: &all, tables: &frozen.tables, sources: &frozen.sources };
        done(&what, device.nodes(5, &empty))?;
        done(&what, device.tick(5, 1))?;
        let changed = done(&what, device.tick(5, 2))?;
        same(format!("{what}, nothing changes any more"), !changed)?;
        done(&what, device.forget(5))?;
    }
    Ok(cases.len() * 5)
}

/// Sets some nodes and some words of the state of graph 5.
fn edit(
    device: &mut dyn Executor,
    what: &str,
    (owned, states): (&mut Owned, &mut [u32]),
    sources: Sources,
    random: &mut Random,
) -> Result<(), Wrong> {
    let nodes = owned.tables.len() as u32;
    let mut runs: Vec<Run> = Vec::new();
    let mut next = random.below(u64::from(nodes)) as u32;
    while next < nodes && runs.len() < 9 {
        let count = (1 + random.below(70) as u32).min(nodes - next);
        runs.push(Run { first: next, count });
        next = next.saturating_add(count + random.below(u64::from(nodes / 8)) as u32);
    }
    let count: u32 = runs.iter().map(|r| r.count).sum();
    let tables: Vec<u64> = (0..count).map(|_| random.number()).collect();
    // Some stay near, so that devices which patch what they hold can.
    let near = matches!(sources, Sources::Local(_)) || random.below(2) == 0;
    // And some edits are of tables alone.
    let tables_alone = random.below(2) == 0;
    let mut all = Vec::new();
    for slot in 0..SLOTS {
        for place in runs.iter().flat_map(|r| r.first..r.end()) {
            if tables_alone {
                let own = owned.sources.get(slot * nodes as usize + place as usize);
                all.push(own.copied().unwrap_or(NONE));
                continue;
            }
            let any = random.below(u64::from(nodes)) as u32;
            let close = place.saturating_sub(random.below(9) as u32);
            all.push(if random.below(9) == 0 {
                NONE
            } else if near {
                close
            } else {
                any
            });
        }
    }
    let piece = Piece { runs: &runs, tables: &tables, sources: &all };
    done(what, device.nodes(5, &piece))?;
    owned.set(&piece).map_err(|_| Wrong::Differs(what.to_owned()))?;
    let first = random.below(states.len() as u64) as usize;
    let Some(own) = states.get_mut(first..) else { return Ok(()) };
    let length = own.len().min(5);
    for word in own.iter_mut().take(length) {
        *word = random.number() as u32;
    }
    done(what, device.write_state(5, first, own.get(..length).unwrap_or(&[])))?;
    if !nodes.is_multiple_of(32)
        && let Some(last) = states.last_mut()
    {
        *last &= (1 << (nodes % 32)) - 1;
    }
    let mut got = vec![0; length];
    done(what, device.read_state(5, first, &mut got))?;
    same(format!("{what}, words of the state"), states.get(first..first + length) == Some(&got))
}

fn look_ups(device: &mut dyn Executor, random: &mut Random) -> Result<usize, Wrong> {
    let rows = 10_007u64;
    let tables: Vec<u64> = (0..rows).map(|_| random.number()).collect();
    let indexes: Vec<u8> = (0..rows.next_multiple_of(8)).map(|_| random.number() as u8).collect();
    done("look-ups", device.create(1, rows * 8))?;
    done("look-ups", device.create(2, rows.next_multiple_of(8)))?;
    done("look-ups", device.write(1, 0, tables.as_bytes()))?;
    done("look-ups", device.write(2, 0, &indexes))?;
    let mut got = vec![0; rows.div_ceil(32) as usize];
    done("look-ups", device.look_up(1, 2, rows, &mut got))?;
    let mut want = vec![0u32; got.len()];
    for (i, (table, index)) in tables.iter().zip(&indexes).enumerate() {
        want[i / 32] |= ((table >> (index & 63) & 1) as u32) << (i % 32);
    }
    for id in [1, 2] {
        done("look-ups", device.forget(id))?;
    }
    same("look-ups".to_owned(), got == want)?;
    Ok(1)
}

/// The bits of an element that is ordinary, or one of those that need care.
fn element(kind: Kind, random: &mut Random) -> u64 {
    let small = random.below(2000) as i64 - 1000;
    match (kind, random.below(16)) {
        (_, 0) => random.number(),
        (Kind::F32, 1) => u64::from([0u32, 1 << 31, 0x7fc0_0000, 0xff80_0000, 1][random.below(5) as usize]),
        (Kind::F64, 1) => [0u64, 1 << 63, 0x7ff8 << 48, 0xfff0 << 48, 1][random.below(5) as usize],
        (Kind::I32 | Kind::I64, _) => small as u64,
        (Kind::F32, _) => u64::from((small as f32 / 7.0).to_bits()),
        (Kind::F64, _) => (small as f64 / 7.0).to_bits(),
    }
}

/// A column's bytes; the numbers alone are such that sums are numbers too.
fn column(kind: Kind, rows: usize, any: bool, random: &mut Random) -> Vec<u64> {
    let mut words = vec![0u64; (rows * kind.width() as usize).div_ceil(8)];
    for chunk in words.as_mut_bytes().chunks_exact_mut(kind.width() as usize).take(rows) {
        let bits = if any || !kind.is_float() {
            element(kind, random)
        } else if kind == Kind::F32 {
            u64::from((random.signed() * 100.0).to_bits())
        } else {
            (f64::from(random.signed()) / 3.0).to_bits()
        };
        let width = chunk.len();
        chunk.copy_from_slice(bits.to_le_bytes().get(..width).unwrap_or(&[]));
    }
    words
}

fn values(kind: Kind, words: &[u64], rows: usize) -> Option<Values<'_>> {
    let bytes = words.as_bytes().get(..rows * kind.width() as usize)?;
    Some(match kind {
        Kind::I32 => Values::I32(<[i32]>::ref_from_bytes(bytes).ok()?),
        Kind::I64 => Values::I64(<[i64]>::ref_from_bytes(bytes).ok()?),
        Kind::F32 => Values::F32(<[f32]>::ref_from_bytes(bytes).ok()?),
        Kind::F64 => Values::F64(<[f64]>::ref_from_bytes(bytes).ok()?),
    })
}

fn reduction(values: &Values<'_>, mask: &[bool], wanted: Wanted) -> Partial {
    let chunks = mask.chunks(CHUNK).enumerate();
    reduce::combine(
        chunks.map(|(n, mask)| reduce::chunk(&values.part(n * CHUNK, CHUNK), Some(mask), wanted)).collect(),
    )
}

fn reductions(device: &mut dyn Executor, random: &mut Random) -> Result<usize, Wrong> {
    let mut count = 0;
    for (n, rows) in [0usize, 1, 1000, CHUNK, 3 * CHUNK + 12_345].into_iter().enumerate() {
        for kind in Kind::ALL {
            let other = Kind::ALL[random.below(4) as usize];
            let of =
                [(kind, column(kind, rows, n % 2 == 0, random)), (other, column(other, rows, true, random))];
            for (id, (_, words)) in (1..).zip(&of) {
                let what = "columns";
                done(what, device.create(id, words.len() as u64 * 8))?;
                done(what, device.write(id, 0, words.as_bytes()))?;
            }
            for terms in 0..3 {
                let filter: Vec<Term> = (0..terms)
                    .map(|n| {
                        let (table, kind) = if n == 0 { (2, other) } else { (1, kind) };
                        let (a, b) = (kind.key(element(kind, random)), kind.key(element(kind, random)));
                        let column = Column { table, kind };
                        Term { column, least: a.min(b), greatest: a.max(b), negated: random.below(2) == 0 }
                    })
                    .collect();
                let wanted = Wanted { sum: terms != 2, extremes: terms != 0 };
                let what = format!("{rows} rows of {kind:?}, {wanted:?}, {terms} terms on {other:?}");
                let target = Column { table: 1, kind };
                let got = device.reduce(Rows { column: target, count: rows as u64, filter: &filter }, wanted);
                if got == Err(Failure::Unsupported) {
                    continue;
                }
                let got = done(&what, got)?;
                let mut mask = vec![true; rows];
                let lost = || Wrong::Differs(what.clone());
                for term in &filter {
                    let of = &of[term.column.table as usize - 1];
                    let values = values(of.0, &of.1, rows).ok_or_else(lost)?;
                    reduce::filter(&values, term.least, term.greatest, term.negated, &mut mask);
                }
                let want = reduction(&values(kind, &of[0].1, rows).ok_or_else(lost)?, &mask, wanted);
                let equal = got.float.to_bits() == want.float.to_bits()
                    && Partial { float: 0.0, ..got } == Partial { float: 0.0, ..want };
                same(format!("{what}: {got:?}, not {want:?}"), equal)?;
                count += 1;
            }
            for id in [1, 2] {
                done("columns", device.forget(id))?;
            }
        }
    }
    Ok(count)
}

/// Sums of so many chunks that a device may join some of them, of the same rows again, of others in their place, and through another filter.
fn long_sums(device: &mut dyn Executor, random: &mut Random) -> Result<usize, Wrong> {
    let rows = 513 * CHUNK + 777;
    let wanted = Wanted { sum: true, extremes: false };
    let mut numbers: Vec<f32> = (0..rows.next_multiple_of(2)).map(|_| random.signed()).collect();
    let column = Column { table: 1, kind: Kind::F32 };
    let key = |x: f32| Kind::F32.key(u64::from(x.to_bits()));
    let positive = [Term { column, least: key(0.0), greatest: key(2.0), negated: false }];
    let mut count = 0;
    for round in 0..3 {
        // The second time in the same table, the third in one that takes its place.
        if round != 1 {
            done("a long column", device.create(1, numbers.len() as u64 * 4))?;
        }
        done("a long column", device.write(1, 0, numbers.as_bytes()))?;
        for filter in [&[][..], &positive, &[], &[]] {
            let what = format!("sum of {rows} rows, round {round}, {} terms", filter.len());
            let got = device.reduce(Rows { column, count: rows as u64, filter }, wanted);
            if got == Err(Failure::Unsupported) {
                done("a long column", device.forget(1))?;
                return Ok(count);
            }
            let mask: Vec<bool> = numbers.iter().take(rows).map(|&x| filter.is_empty() || x >= 0.0).collect();
            let own = numbers.get(..rows).unwrap_or(&[]);
            let want = reduction(&Values::F32(own), &mask, wanted);
            let got = done(&what, got)?;
            let equal = got.float.to_bits() == want.float.to_bits() && got.count == want.count;
            same(format!("{what}: {got:?}, not {want:?}"), equal)?;
            count += 1;
        }
        if round != 0 {
            done("a long column", device.forget(1))?;
        }
        for number in numbers.iter_mut().step_by(1000) {
            *number += 0.25;
        }
    }
    Ok(count)
}

fn tops(device: &mut dyn Executor, random: &mut Random) -> Result<usize, Wrong> {
    let rows = 150_000;
    for kind in Kind::ALL {
        let words = column(kind, rows, true, random);
        done("top", device.create(1, words.len() as u64 * 8))?;
        done("top", device.write(1, 0, words.as_bytes()))?;
        for greatest in [false, true] {
            let target = Column { table: 1, kind };
            let found = device.top(Rows { column: target, count: rows as u64, filter: &[] }, 50, greatest);
            let found = done("top", found)?;
            let mut keys = Vec::new();
            if let Some(values) = values(kind, &words, rows) {
                values.for_each_key(|key| keys.push((keys.len() as u64, key)));
            }
            keys.sort_by_key(|&(row, key)| (if greatest { !key } else { key }, row));
            keys.truncate(50);
            same(format!("top of {kind:?}"), found == keys)?;
        }
        for (count, greatest) in [(1, false), (200, true), (7, true)] {
            filtered_top(device, kind, &words, rows, count, greatest)?;
        }
        done("top", device.forget(1))?;
    }
    Ok(20)
}

/// The best of rows that a condition on the same column lets pass; among them many equal ones.
fn filtered_top(
    device: &mut dyn Executor,
    kind: Kind,
    words: &[u64],
    rows: usize,
    count: usize,
    greatest: bool,
) -> Result<(), Wrong> {
    let mut keys = Vec::new();
    if let Some(values) = values(kind, words, rows) {
        values.for_each_key(|key| keys.push((keys.len() as u64, key)));
    }
    let middle = keys.get(rows / 2).map_or(0, |k| k.1);
    let column = Column { table: 1, kind };
    let term = Term { column, least: 0, greatest: middle, negated: greatest };
    let found = device.top(Rows { column, count: rows as u64, filter: &[term] }, count, !greatest);
    let found = done("filtered top", found)?;
    keys.retain(|&(_, key)| (key <= middle) != greatest);
    keys.sort_by_key(|&(row, key)| (if greatest { key } else { !key }, row));
    keys.truncate(count);
    same(format!("filtered top {count} of {kind:?}"), found == keys)
}

fn neighbours(device: &mut dyn Executor, random: &mut Random) -> Result<usize, Wrong> {
    let cases = [(5000u64, 33usize, 7usize, 10usize), (300, 128, 70, 3), (20, 5, 3, 50), (40_000, 16, 5, 20)];
    let mut count = 0;
    for (rows, dimensions, queries, wanted) in cases {
        for metric in Metric::ALL {
            let what = format!("nearest of {rows} rows of {dimensions} by {metric:?}");
            let mut vector = |n: usize| -> Vec<f32> {
                let of = |r: &mut Random| {
                    if metric == Metric::Hamming { f32::from_bits(r.number() as u32) } else { r.signed() }
                };
                (0..n).map(|_| of(random)).collect()
            };
            let mut vectors = vector(rows as usize * dimensions);
            let asked = vector(queries * dimensions);
            // Some rows are the same.
            vectors.copy_within(0..dimensions, 3 * dimensions);
            done(&what, device.create(1, (vectors.len() as u64 * 4).next_multiple_of(8)))?;
            done(&what, device.write(1, 0, vectors.as_bytes()))?;
            let search = Search { table: 1, dimensions, rows, queries: &asked, neighbours: wanted, metric };
            let found = device.nearest(&search);
            done(&what, device.forget(1))?;
            if found == Err(Failure::Unsupported) {
                continue;
            }
            for (query, found) in asked.chunks(dimensions).zip(done(&what, found)?) {
                let mut all: Vec<(u64, f64)> = (0..)
                    .zip(vectors.chunks(dimensions))
                    .map(|(row, v)| (row, distance(metric, query, v)))
                    .collect();
                all.sort_by_key(|&(row, distance)| rank(distance, row));
                all.truncate(wanted);
                same(format!("{what}: {found:?}, not {all:?}"), found == all)?;
            }
            count += 1;
        }
    }
    Ok(count)
}
