//! The nearest vectors on a device.
//!
//! Two kernels by turns over as many rows as fit: *compare* fills a matrix of queries and rows with keys of distances in single precision, *select*
//! keeps the least of each 2,048. When all rows are through, select is run over what it kept until little is left. The rest is done here
//! ([`crate::nearest`]): distances as defined of the candidates that remain, whose vectors are fetched.

use std::{collections::BTreeMap, fmt::Write};

use compute_protocol::{Column, Kind, Metric, reduce::Wanted};
use zerocopy::IntoBytes;

use super::{Gpu, Scratch, dispatch};
use crate::{
    executor::{Failure, Neighbour, Rows, Search},
    nearest::{error_bound, first_shortlist, settle},
};

/// Rows of a tile of the matrix.
const TILE_ROWS: u64 = 128;
/// Queries of a tile.
const TILE_QUERIES: usize = 64;
/// Queries that are compared at a time.
const QUERIES: usize = 256;
/// Rows that are compared at a time.
const SLAB: u64 = 1 << 17;
/// Keys of which select keeps the least.
const CHUNK: u64 = 2048;
/// The longest list of candidates of a query.
const LONGEST: usize = 256;

/// The kernel that fills the matrix. Parameters: rows, queries, dimensions, words before the first row, the matrix's rows, and for the
/// cosine the squares of the queries' lengths from word 8 on.
fn compare(metric: Metric) -> String {
    let bits = metric == Metric::Hamming;
    let (scalar, four, zero) = if bits { ("u32", "vec4<u32>", "0u") } else { ("f32", "vec4<f32>", "0.0") };
    let mut t = format!(
        "
@group(0) @binding(0) var<storage, read> p: array<u32>;
@group(0) @binding(1) var<storage, read> rows: array<{scalar}>;
@group(0) @binding(2) var<storage, read> queries: array<{scalar}>;
@group(0) @binding(3) var<storage, read_write> keys: array<u32>;
var<workgroup> a: array<{four}, 528>;
var<workgroup> b: array<{four}, 272>;
fn key_of(b: u32) -> u32 {{
    if (b << 1u) > 0xff000000u {{ return 0xffc00000u; }}
    if (b << 1u) == 0u {{ return 0x80000000u; }}
    return select(b | 0x80000000u, ~b, (b >> 31u) == 1u);
}}
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {{
    let tiles = (p[1] + 63u) / 64u;
    let number = workgroup.x + workgroup.y * 32768u;
    let first_row = (number / tiles) * 128u;
    let first_query = (number % tiles) * 64u;
    if first_row >= p[0] {{ return; }}
    let k = local & 15u;
    let line = local >> 4u;
"
    );
    for i in 0..8 {
        let _ = writeln!(t, "var s{i} = {four}({zero});");
        if metric == Metric::Cosine {
            let _ = writeln!(t, "var n{i} = 0.0;");
        }
    }
    t += "for (var begin = 0u; begin < p[2]; begin += 16u) {\nlet inside = begin + k < p[2];\n";
    for i in 0..8 {
        let _ = writeln!(
            t,
            "{{ let r = line + {}u; var x = {zero}; if inside && first_row + r < p[0] {{ x = rows[p[3] + (first_row + r) * p[2] + begin + k]; }} a[k * 33u + (r >> 2u)][r & 3u] = x; }}",
            16 * i
        );
    }
    for i in 0..4 {
        let _ = writeln!(
            t,
            "{{ let q = line + {}u; var x = {zero}; if inside && first_query + q < p[1] {{ x = queries[(first_query + q) * p[2] + begin + k]; }} b[k * 17u + (q >> 2u)][q & 3u] = x; }}",
            16 * i
        );
    }
    t += "workgroupBarrier();\n";
    for k in 0..16 {
        let _ = writeln!(
            t,
            "{{ let x = a[{}u + 2u * line]; let y = a[{}u + 2u * line]; let z = b[{}u + k];",
            k * 33,
            k * 33 + 1,
            k * 17
        );
        for i in 0..8 {
            let x = format!("{four}({}.{})", ["x", "y"][i / 4], ["x", "y", "z", "w"][i % 4]);
            let _ = match metric {
                Metric::L2 => writeln!(t, "{{ let d = {x} - z; s{i} = fma(d, d, s{i}); }}"),
                Metric::L1 => writeln!(t, "s{i} += abs({x} - z);"),
                Metric::InnerProduct => writeln!(t, "s{i} = fma({x}, z, s{i});"),
                Metric::Cosine => {
                    writeln!(t, "{{ let v = {x}; s{i} = fma(v, z, s{i}); n{i} = fma(v.x, v.x, n{i}); }}")
                }
                Metric::Hamming => writeln!(t, "s{i} += countOneBits({x} ^ z);"),
            };
        }
        t += "}\n";
    }
    t += "workgroupBarrier();\n}\n";
    for i in 0..8 {
        for q in 0..4 {
            let s = format!("s{i}.{}", ["x", "y", "z", "w"][q]);
            let key = match metric {
                Metric::L2 | Metric::L1 => format!("key_of(bitcast<u32>({s}))"),
                Metric::InnerProduct => format!("key_of(bitcast<u32>(-{s}))"),
                Metric::Hamming => s,
                // What rounding might spoil is a candidate in any case.
                Metric::Cosine => format!(
                    "select(0u, key_of(bitcast<u32>(1.0 - {s} / sqrt(n{i} * bitcast<f32>(p[8u + query])))), n{i} >= 1e-18 && n{i} <= 1e18)"
                ),
            };
            let _ = writeln!(
                t,
                "{{ let row = first_row + line * 8u + {i}u; let query = first_query + k * 4u + {q}u; if row < p[0] && query < p[1] {{ keys[query * p[4] + row] = {key}; }} }}"
            );
        }
    }
    t += "}\n";
    t
}

/// The kernel that keeps the least. Parameters: how many keys a query has, how far apart queries' are, how many are kept, lists of
/// a query in what is written, the first list that is written, and the number of the first row, where keys have none with them.
fn select(pairs: bool) -> String {
    let load = if pairs {
        "key = given[2u * (query * p[1] + at)]; row = given[2u * (query * p[1] + at) + 1u];"
    } else {
        "key = given[query * p[1] + at]; row = p[5] + at;"
    };
    let mut t = String::from(
        "
@group(0) @binding(0) var<storage, read> p: array<u32>;
@group(0) @binding(1) var<storage, read> given: array<u32>;
@group(0) @binding(2) var<storage, read_write> kept: array<u32>;
var<workgroup> best: array<vec4<u32>, 256>;
fn before(a: vec2<u32>, b: vec2<u32>) -> bool { return a.x < b.x || (a.x == b.x && a.y < b.y); }
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let chunks = (p[0] + 2047u) / 2048u;
    let number = workgroup.x + workgroup.y * 32768u;
    let query = number / chunks;
    let chunk = number % chunks;
    if query >= p[6] { return; }
",
    );
    for i in 0..8 {
        let _ = writeln!(
            t,
            "var e{i}: vec2<u32>; {{ let at = chunk * 2048u + {i}u * 256u + local; var key = 0xffffffffu; var row = 0xffffffffu; if at < p[0] {{ {load} }} e{i} = vec2<u32>(key, row); }}"
        );
    }
    t += "for (var round = 0u; round < p[2]; round += 1u) {
    var least = e0;\n";
    for i in 1..8 {
        let _ = writeln!(t, "if before(e{i}, least) {{ least = e{i}; }}");
    }
    t += "best[local] = vec4<u32>(least, local, 0u);
    for (var half = 128u; half > 0u; half >>= 1u) {
        workgroupBarrier();
        if local < half {
            let other = best[local + half];
            if before(other.xy, best[local].xy) { best[local] = other; }
        }
    }
    workgroupBarrier();
    let winner = best[0];
    workgroupBarrier();
    if local == 0u {
        let at = 2u * ((query * p[3] + p[4] + chunk) * p[2] + round);
        kept[at] = winner.x;
        kept[at + 1u] = winner.y;
    }\n";
    // Elements differ in their rows, but for those that are none.
    for i in 0..8 {
        let _ = writeln!(t, "if all(e{i} == winner.xy) {{ e{i} = vec2<u32>(0xffffffffu); }}");
    }
    t += "} }\n";
    t
}

/// Rows that lie in one page, or one row that lies in two.
struct Slab {
    first: u64,
    count: u64,
}

impl Gpu {
    pub(super) fn search(&mut self, search: &Search<'_>) -> Result<Vec<Vec<Neighbour>>, Failure> {
        let components = search.rows.checked_mul(search.dimensions as u64).ok_or(Failure::Bounds)?;
        self.check_column(search.table, Kind::F32, components)?;
        if search.dimensions == 0
            || !search.queries.len().is_multiple_of(search.dimensions)
            || search.rows >= u64::from(u32::MAX)
        {
            return Err(Failure::Bounds);
        }
        let magnitude = match search.metric {
            Metric::InnerProduct => self.magnitude(search.table, components)?,
            _ => 1.0,
        };
        let mut found = Vec::new();
        for queries in search.queries.chunks(search.dimensions * QUERIES) {
            found.extend(self.search_some(&Search { queries, ..*search }, magnitude)?);
        }
        Ok(found)
    }

    /// The greatest magnitude of the table's components, as far as they are given; infinite if one is no number.
    fn magnitude(&mut self, table: u32, components: u64) -> Result<f64, Failure> {
        if let Some(magnitude) = self.table(table)?.magnitude {
            return Ok(magnitude);
        }
        let column = Column { table, kind: Kind::F32 };
        // All of the table, so that it holds for any number of rows.
        let count = self.table(table)?.bytes / 4;
        debug_assert!(components <= count);
        let extremes = Wanted { sum: false, extremes: true };
        let found = self.reduce_rows(Rows { column, count, filter: &[] }, extremes)?;
        let value = |key: u64| f64::from(f32::from_bits(Kind::F32.bits(key) as u32)).abs();
        let (a, b) = (value(found.least), value(found.greatest));
        let magnitude = if a.is_nan() || b.is_nan() { f64::INFINITY } else { a.max(b) };
        if let Some(table) = self.tables.get_mut(&table) {
            table.magnitude = Some(magnitude);
        }
        Ok(magnitude)
    }

    fn search_some(&mut self, search: &Search<'_>, magnitude: f64) -> Result<Vec<Vec<Neighbour>>, Failure> {
        let mut wanted = first_shortlist(search.neighbours);
        while wanted <= LONGEST {
            let lists = self.candidates(search, wanted)?;
            let vectors = self.vectors(search, &lists)?;
            let found: Option<Vec<_>> = search
                .queries
                .chunks(search.dimensions)
                .zip(&lists)
                .map(|(query, list)| {
                    let beyond = (search.rows > wanted as u64).then(|| {
                        let last = list.last().map_or(f64::NEG_INFINITY, |&(key, _)| match search.metric {
                            // Counts are exact: only a greater one is farther for certain, and rows of the same are sorted already.
                            Metric::Hamming => f64::from(key) + 0.5,
                            _ => f64::from(f32::from_bits(Kind::F32.bits(u64::from(key)) as u32)),
                        });
                        last - error_bound(search.metric, last, search.dimensions, magnitude, query)
                    });
                    let rows = list.iter().map(|&(_, row)| (u64::from(row), vectors.get(row)));
                    settle(search.metric, query, rows, search.neighbours, beyond)
                })
                .collect();
            if let Some(found) = found {
                return Ok(found);
            }
            wanted *= 4;
        }
        // Too many rows are too near each other.
        Err(Failure::Unsupported)
    }

    /// The parts of a table that bindings can show.
    fn slabs(&self, search: &Search<'_>) -> Vec<Slab> {
        let (row, page) = (search.dimensions as u64 * 4, self.hardware.page);
        let mut slabs = Vec::new();
        let mut first = 0;
        while first < search.rows {
            let left = page - first * row % page;
            let count = (left / row).min(search.rows - first).clamp(1, SLAB);
            slabs.push(Slab { first, count });
            first += count;
        }
        slabs
    }

    /// A slab's vectors: a buffer, the part of it to bind, and the words in that before the first vector.
    fn slab_part(
        &self,
        search: &Search<'_>,
        slab: &Slab,
    ) -> Result<(wgpu::Buffer, (u64, u64), u32), Failure> {
        let row = search.dimensions as u64 * 4;
        let (at, bytes) = (slab.first * row, slab.count * row);
        let page = self.hardware.page;
        let pages = &self.table(search.table)?.pages;
        let buffer = pages.get((at / page) as usize).ok_or(Failure::Bounds)?;
        let begin = at % page;
        if begin + bytes <= page {
            let aligned = begin / 256 * 256;
            let size = (begin + bytes - aligned).next_multiple_of(16).min(buffer.size() - aligned);
            return Ok((buffer.clone(), (aligned, size), ((begin - aligned) / 4) as u32));
        }
        let whole = self.hardware.storage(bytes)?;
        let mut encoder = self.hardware.encoder();
        let mut done = 0;
        while done < bytes {
            let from = pages.get(((at + done) / page) as usize).ok_or(Failure::Bounds)?;
            let within = (at + done) % page;
            let count = (bytes - done).min(page - within);
            encoder.copy_buffer_to_buffer(from, within, &whole, done, Some(count));
            done += count;
        }
        self.hardware.queue.submit([encoder.finish()]);
        Ok((whole, (0, bytes.next_multiple_of(16)), 0))
    }

    /// Keys and rows of candidates, by query, nearest first.
    fn candidates(&mut self, search: &Search<'_>, wanted: usize) -> Result<Vec<Vec<(u32, u32)>>, Failure> {
        let queries = search.queries.len() / search.dimensions;
        let slabs = self.slabs(search);
        let lists: u64 = slabs.iter().map(|s| s.count.div_ceil(CHUNK)).sum();
        let most = slabs.iter().map(|s| s.count).max().unwrap_or(1);
        let of_queries = self.hardware.upload(search.queries.as_bytes())?;
        let keys = self.hardware.scratch(Scratch::Keys, most * queries as u64 * 4)?;
        let mut kept = self.hardware.scratch(Scratch::Kept, lists * (queries * wanted) as u64 * 8)?;
        let (compare, first) =
            (self.hardware.pipeline(compare(search.metric)), self.hardware.pipeline(select(false)));
        let mut parameters = vec![0u32; 8 + queries];
        for (place, query) in parameters.iter_mut().skip(8).zip(search.queries.chunks(search.dimensions)) {
            let square: f64 = query.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            if search.metric == Metric::Cosine && !(1e-18..1e18).contains(&square) {
                return Err(Failure::Unsupported);
            }
            *place = (square as f32).to_bits();
        }
        let mut encoder = self.hardware.encoder();
        let mut list = 0u32;
        for slab in &slabs {
            let (buffer, part, before) = self.slab_part(search, slab)?;
            let count = slab.count as u32;
            if let Some(place) = parameters.get_mut(..5) {
                place.copy_from_slice(&[count, queries as u32, search.dimensions as u32, before, count]);
            }
            let p = self.hardware.upload(parameters.as_bytes())?;
            let group = self.hardware.bind(
                &compare,
                &[(0, &p, None), (1, &buffer, Some(part)), (2, &of_queries, None), (3, &keys, None)],
            );
            let tiles = slab.count.div_ceil(TILE_ROWS) as u32 * queries.div_ceil(TILE_QUERIES) as u32;
            let chunks = slab.count.div_ceil(CHUNK) as u32;
            let p = [count, count, wanted as u32, lists as u32, list, slab.first as u32, queries as u32, 0];
            let p = self.hardware.upload(p.as_bytes())?;
            let selection = self.hardware.bind(&first, &[(0, &p, None), (1, &keys, None), (2, &kept, None)]);
            dispatch(
                &mut encoder,
                &[(&compare, &group, tiles), (&first, &selection, chunks * queries as u32)],
            );
            list += chunks;
        }
        let again = self.hardware.pipeline(select(true));
        let (mut lists, mut spare) = (lists, Scratch::Fewer);
        while lists > 1 {
            let count = lists * wanted as u64;
            let chunks = count.div_ceil(CHUNK);
            let fewer = self.hardware.scratch(spare, chunks * (queries * wanted) as u64 * 8)?;
            let p = [count as u32, count as u32, wanted as u32, chunks as u32, 0, 0, queries as u32, 0];
            let p = self.hardware.upload(p.as_bytes())?;
            let group = self.hardware.bind(&again, &[(0, &p, None), (1, &kept, None), (2, &fewer, None)]);
            dispatch(&mut encoder, &[(&again, &group, chunks as u32 * queries as u32)]);
            (kept, lists) = (fewer, chunks);
            spare = if matches!(spare, Scratch::Fewer) { Scratch::Kept } else { Scratch::Fewer };
        }
        let mut pairs = vec![[0u32; 2]; queries * wanted];
        self.hardware.fetch(encoder, (&kept, 0), pairs.as_mut_bytes())?;
        let of = |list: &[[u32; 2]]| {
            list.iter().filter(|p| u64::from(p[1]) < search.rows).map(|&[key, row]| (key, row)).collect()
        };
        Ok(pairs.chunks(wanted).map(of).collect())
    }

    /// The vectors of all candidates.
    fn vectors(&mut self, search: &Search<'_>, lists: &[Vec<(u32, u32)>]) -> Result<Vectors, Failure> {
        let dimensions = search.dimensions;
        let mut rows: Vec<u32> = lists.iter().flatten().map(|&(_, row)| row).collect();
        rows.sort_unstable();
        rows.dedup();
        let mut all = vec![0f32; rows.len() * dimensions];
        let gathered = self.hardware.scratch(Scratch::Keys, all.len() as u64 * 4)?;
        let gather = self.hardware.pipeline(GATHER.to_owned());
        let (bytes, page) = (dimensions as u64 * 4, self.hardware.page);
        let mut encoder = self.hardware.encoder();
        // By page, where each vector is and where it goes; those in two pages are copied one by one.
        let mut places: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for (n, &row) in rows.iter().enumerate() {
            let (at, mut to) = (u64::from(row) * bytes, n as u64 * bytes);
            if at % page + bytes <= page {
                places.entry(at / page).or_default().extend([(at % page / 4) as u32, (to / 4) as u32]);
                continue;
            }
            for (buffer, at, count) in self.range(search.table, at, bytes)? {
                encoder.copy_buffer_to_buffer(&buffer, at, &gathered, to, Some(count));
                to += count;
            }
        }
        for (number, pairs) in places {
            let buffer = self.table(search.table)?.pages.get(number as usize).ok_or(Failure::Bounds)?.clone();
            let count = (pairs.len() / 2) as u32;
            let mut parameters = vec![dimensions as u32, count];
            parameters.extend(pairs);
            let p = self.hardware.upload(parameters.as_bytes())?;
            let group =
                self.hardware.bind(&gather, &[(0, &p, None), (1, &buffer, None), (2, &gathered, None)]);
            dispatch(&mut encoder, &[(&gather, &group, count)]);
        }
        self.hardware.fetch(encoder, (&gathered, 0), all.as_mut_bytes())?;
        Ok(Vectors { dimensions, rows, all })
    }
}

/// Copies vectors. Parameters: dimensions, how many, and the first words of each before and after.
const GATHER: &str = "
@group(0) @binding(0) var<storage, read> p: array<u32>;
@group(0) @binding(1) var<storage, read> page: array<u32>;
@group(0) @binding(2) var<storage, read_write> gathered: array<u32>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let n = workgroup.x + workgroup.y * 32768u;
    if n >= p[1] { return; }
    for (var i = local; i < p[0]; i += 256u) {
        gathered[p[3u + 2u * n] + i] = page[p[2u + 2u * n] + i];
    }
}";

/// Vectors of some rows.
struct Vectors {
    dimensions: usize,
    /// In order.
    rows: Vec<u32>,
    all: Vec<f32>,
}

impl Vectors {
    fn get(&self, row: u32) -> &[f32] {
        let n = self.rows.partition_point(|&r| r < row);
        self.all.get(n * self.dimensions..(n + 1) * self.dimensions).unwrap_or(&[])
    }
}
