//! Distances of vectors in single precision, one row to four queries at a time.
//!
//! Sums are taken over 16 lanes and may be fused: results differ by rounding from path to path. Whoever needs one answer everywhere takes
//! these to find candidates and computes theirs again.

use crate::lookup::Path;

/// Queries that a row is compared with in one call.
pub const QUERIES: usize = 4;
const LANES: usize = 16;

/// What is summed over the components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    /// Squared differences.
    SquaredDifferences,
    /// Products.
    Products,
    /// Absolute differences.
    AbsoluteDifferences,
}

/// The sums of `row` and each query; components that one of them lacks do not count.
#[inline]
pub fn sums(path: Path, sum: Sum, row: &[f32], queries: [&[f32]; QUERIES]) -> [f32; QUERIES] {
    #[cfg(target_arch = "x86_64")]
    match path.or_less() {
        // SAFETY: `or_less` gives only what the processor has.
        Path::Avx512 => return unsafe { wide::sums(sum, row, queries) },
        // SAFETY: the processor has AVX2 (`or_less`).
        Path::Avx2 => return unsafe { sums_avx2(sum, row, queries) },
        Path::Scalar => {}
    }
    let _ = path;
    plain(sum, row, queries)
}

/// # Safety
/// The processor must have AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn sums_avx2(sum: Sum, row: &[f32], queries: [&[f32]; QUERIES]) -> [f32; QUERIES] {
    plain(sum, row, queries)
}

#[inline(always)]
fn plain(sum: Sum, row: &[f32], queries: [&[f32]; QUERIES]) -> [f32; QUERIES] {
    match sum {
        Sum::SquaredDifferences => run(row, queries, |s, x, y| s + (x - y) * (x - y)),
        Sum::Products => run(row, queries, |s, x, y| s + x * y),
        Sum::AbsoluteDifferences => run(row, queries, |s, x, y| s + absolute(x - y)),
    }
}

#[inline(always)]
fn absolute(x: f32) -> f32 {
    f32::from_bits(x.to_bits() & !(1 << 31))
}

#[inline(always)]
fn run(row: &[f32], queries: [&[f32]; QUERIES], step: impl Fn(f32, f32, f32) -> f32) -> [f32; QUERIES] {
    let mut lanes = [[0.0f32; LANES]; QUERIES];
    let length = queries.iter().fold(row.len(), |n, q| n.min(q.len()));
    let (row, _) = row.split_at(length);
    let [a, b, c, d] = queries.map(|q| q.split_at(length).0);
    let whole = length / LANES * LANES;
    let mut at = 0;
    while at < whole {
        let end = at + LANES;
        let (Some(x), Some(qa), Some(qb), Some(qc), Some(qd)) =
            (row.get(at..end), a.get(at..end), b.get(at..end), c.get(at..end), d.get(at..end))
        else {
            break;
        };
        for i in 0..LANES {
            lanes[0][i] = step(lanes[0][i], x[i], qa[i]);
            lanes[1][i] = step(lanes[1][i], x[i], qb[i]);
            lanes[2][i] = step(lanes[2][i], x[i], qc[i]);
            lanes[3][i] = step(lanes[3][i], x[i], qd[i]);
        }
        at = end;
    }
    let mut sums = lanes.map(|l| l.iter().sum::<f32>());
    for (sum, query) in sums.iter_mut().zip([a, b, c, d]) {
        for (&x, &y) in row.iter().zip(query).skip(whole) {
            *sum = step(*sum, x, y);
        }
    }
    sums
}

/// The kernel for AVX-512.
#[cfg(target_arch = "x86_64")]
mod wide {
    use core::arch::x86_64::{
        __m512, _mm512_abs_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_reduce_add_ps,
        _mm512_setzero_ps, _mm512_sub_ps,
    };

    use super::{LANES, QUERIES, Sum};

    /// # Safety
    /// The processor must have AVX-512 F.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn sums(sum: Sum, row: &[f32], queries: [&[f32]; QUERIES]) -> [f32; QUERIES] {
        match sum {
            Sum::SquaredDifferences => run(row, queries, |s, x, y| {
                let d = _mm512_sub_ps(x, y);
                _mm512_fmadd_ps(d, d, s)
            }),
            Sum::Products => run(row, queries, |s, x, y| _mm512_fmadd_ps(x, y, s)),
            Sum::AbsoluteDifferences => {
                run(row, queries, |s, x, y| _mm512_add_ps(s, _mm512_abs_ps(_mm512_sub_ps(x, y))))
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn run(
        row: &[f32],
        queries: [&[f32]; QUERIES],
        step: impl Fn(__m512, __m512, __m512) -> __m512,
    ) -> [f32; QUERIES] {
        let mut sums = [_mm512_setzero_ps(); QUERIES];
        let length = queries.iter().fold(row.len(), |n, q| n.min(q.len()));
        let mut at = 0;
        while at < length {
            let x = load(row, at, length);
            for (sum, query) in sums.iter_mut().zip(queries) {
                *sum = step(*sum, x, load(query, at, length));
            }
            at += LANES;
        }
        sums.map(|s| _mm512_reduce_add_ps(s))
    }

    /// Sixteen components from `at` on; zeros from `length` on, which add nothing to any sum.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(all: &[f32], at: usize, length: usize) -> __m512 {
        let (whole, part);
        let sixteen = match all.get(at..(at + LANES).min(length)) {
            Some(s) if s.len() == LANES => {
                whole = s;
                whole
            }
            rest => {
                let mut copy = [0.0; LANES];
                for (to, &from) in copy.iter_mut().zip(rest.unwrap_or(&[])) {
                    *to = from;
                }
                part = copy;
                &part[..]
            }
        };
        // SAFETY: `sixteen` has sixteen elements, and the load needs no alignment.
        unsafe { _mm512_loadu_ps(sixteen.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn every_path_is_near_the_exact_sum() {
        let vector = |seed: u32| -> Vec<f32> {
            (0..75u32).map(|i| ((i * 37 + seed * 101) % 64) as f32 - 31.5).collect()
        };
        let row = vector(0);
        let queries: Vec<Vec<f32>> = (1..5).map(vector).collect();
        let four = [&queries[0][..], &queries[1][..], &queries[2][..], &queries[3][..]];
        for path in Path::ALL {
            for sum in [Sum::SquaredDifferences, Sum::Products, Sum::AbsoluteDifferences] {
                for (got, query) in sums(path, sum, &row, four).iter().zip(&queries) {
                    let want: f64 = row.iter().zip(query).fold(0.0, |s, (&x, &y)| {
                        let (x, y) = (f64::from(x), f64::from(y));
                        s + match sum {
                            Sum::SquaredDifferences => (x - y) * (x - y),
                            Sum::Products => x * y,
                            Sum::AbsoluteDifferences => (x - y).abs(),
                        }
                    });
                    assert!((f64::from(*got) - want).abs() <= want.abs() * 1e-5, "{path:?} {sum:?}");
                }
            }
        }
    }
}
