//! The nearest vectors, on the host's cores.

use compute_protocol::{
    Metric,
    distance::{distance, rank},
    order::key_f32,
};
use kernel_simd::{
    lookup::Path,
    vector::{QUERIES, Sum, sums},
};

use super::{Best, parallel};
use crate::{
    executor::{Failure, Neighbour, Search},
    nearest::{error_bound, first_shortlist, settle},
};

/// Rows that one thread compares at a time.
const TOGETHER: usize = 4096;

/// The nearest rows of each query.
pub fn search(threads: usize, vectors: &[f32], search: &Search<'_>) -> Result<Vec<Vec<Neighbour>>, Failure> {
    let dimensions = search.dimensions;
    if dimensions == 0 || !search.queries.len().is_multiple_of(dimensions) {
        return Err(Failure::Bounds);
    }
    let sum = match search.metric {
        Metric::L2 => Some(Sum::SquaredDifferences),
        Metric::InnerProduct => Some(Sum::Products),
        Metric::L1 => Some(Sum::AbsoluteDifferences),
        Metric::Cosine | Metric::Hamming => None,
    };
    let Some(sum) = sum else { return Ok(exact(threads, vectors, search)) };
    let wanted = first_shortlist(search.neighbours);
    let (candidates, magnitude) = shortlists(threads, vectors, search, sum, wanted);
    let row_of = |row: u64| {
        let at = row as usize * dimensions;
        (row, vectors.get(at..at + dimensions).unwrap_or(&[]))
    };
    let mut unsettled = Vec::new();
    let mut found: Vec<Vec<Neighbour>> = Vec::with_capacity(candidates.len());
    for (n, (query, list)) in search.queries.chunks(dimensions).zip(candidates).enumerate() {
        let beyond = (search.rows > wanted as u64).then(|| {
            let last = list.last().map_or(f64::NEG_INFINITY, |&(key, _)| value_of(key as u32));
            last - error_bound(search.metric, last, dimensions, magnitude, query)
        });
        let rows = list.iter().map(|&(_, row)| row_of(row));
        found.push(settle(search.metric, query, rows, search.neighbours, beyond).unwrap_or_else(|| {
            unsettled.push(n);
            Vec::new()
        }));
    }
    for n in unsettled {
        let at = n * dimensions;
        let one = Search { queries: search.queries.get(at..at + dimensions).unwrap_or(&[]), ..*search };
        if let (Some(place), Some(of)) = (found.get_mut(n), exact(threads, vectors, &one).pop()) {
            *place = of;
        }
    }
    Ok(found)
}

/// The number with this key.
fn value_of(key: u32) -> f64 {
    f64::from(f32::from_bits(compute_protocol::Kind::F32.bits(u64::from(key)) as u32))
}

/// By query, keys of values in single precision and rows; and the greatest magnitude of a component, where the metric needs it.
fn shortlists(
    threads: usize,
    vectors: &[f32],
    search: &Search<'_>,
    sum: Sum,
    wanted: usize,
) -> (Vec<Vec<(u64, u64)>>, f64) {
    let dimensions = search.dimensions;
    let path = Path::best();
    let queries: Vec<&[f32]> = search.queries.chunks(dimensions).collect();
    let size = TOGETHER * dimensions;
    let parts = parallel(threads, vectors.len().div_ceil(size), |part| {
        let rows = vectors.get(part * size..vectors.len().min((part + 1) * size)).unwrap_or(&[]);
        let mut best: Vec<Best> = queries.iter().map(|_| Best::new(wanted)).collect();
        let mut magnitude = 0.0f32;
        if sum == Sum::Products {
            magnitude = rows.iter().fold(0.0, |m, x| if x.abs() <= m { m } else { x.abs() });
        }
        for (row, vector) in (part as u64 * TOGETHER as u64..).zip(rows.chunks_exact(dimensions)) {
            for (four, best) in queries.chunks(QUERIES).zip(best.chunks_mut(QUERIES)) {
                let of = std::array::from_fn(|i| four.get(i).copied().unwrap_or(&[]));
                let of = if four.len() == QUERIES {
                    of
                } else {
                    of.map(|q| if q.is_empty() { vector } else { q })
                };
                for (best, value) in best.iter_mut().zip(sums(path, sum, vector, of)) {
                    let value = if sum == Sum::Products { -value } else { value };
                    best.offer(u64::from(key_f32(value)), row);
                }
            }
        }
        (best, magnitude)
    });
    let mut all: Vec<Best> = queries.iter().map(|_| Best::new(wanted)).collect();
    let mut magnitude = 0.0;
    for (part, m) in parts {
        magnitude = if m <= magnitude { magnitude } else { m };
        for (best, of) in all.iter_mut().zip(part) {
            of.sorted().into_iter().for_each(|(key, row)| best.offer(key, row));
        }
    }
    (all.into_iter().map(Best::sorted).collect(), f64::from(magnitude))
}

/// By the definition alone.
fn exact(threads: usize, vectors: &[f32], search: &Search<'_>) -> Vec<Vec<Neighbour>> {
    let size = TOGETHER * search.dimensions;
    let queries: Vec<&[f32]> = search.queries.chunks(search.dimensions).collect();
    let parts = parallel(threads, vectors.len().div_ceil(size), |part| {
        let rows = vectors.get(part * size..vectors.len().min((part + 1) * size)).unwrap_or(&[]);
        let mut found: Vec<Vec<Neighbour>> = Vec::new();
        for query in &queries {
            let mut best = Best::new(search.neighbours);
            for (row, vector) in (part as u64 * TOGETHER as u64..).zip(rows.chunks_exact(search.dimensions)) {
                best.offer(rank(distance(search.metric, query, vector), row).0, row);
            }
            found.push(best.sorted().into_iter().map(|(key, row)| (row, value_of_f64(key))).collect());
        }
        found
    });
    let mut all: Vec<Vec<Neighbour>> = queries.iter().map(|_| Vec::new()).collect();
    for part in parts {
        for (all, of) in all.iter_mut().zip(part) {
            all.extend(of);
        }
    }
    for all in &mut all {
        all.sort_unstable_by_key(|&(row, distance)| rank(distance, row));
        all.truncate(search.neighbours);
    }
    all
}

fn value_of_f64(key: u64) -> f64 {
    f64::from_bits(compute_protocol::Kind::F64.bits(key))
}
