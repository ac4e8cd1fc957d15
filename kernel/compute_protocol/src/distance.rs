//! How far a row is from a query.
//!
//! The distance of a pair is computed in double precision over eight lanes (component `i` belongs to lane `i % 8`), which are then added
//! 0+4, 1+5, 2+6, 3+7, then 0+2, 1+3, then 0+1; no operation is fused with another. Neighbours are sorted by that distance, NaN last, and by row. A device may
//! look for candidates in any way, but what it answers is the nearest rows by this order.

use crate::{command::Metric, order::key_f64};

const LANES: usize = 8;

fn lanes(a: &[f32], b: &[f32], of: impl Fn(f64, f64) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let (whole_a, rest_a) = a.as_chunks::<LANES>();
    let (whole_b, rest_b) = b.as_chunks::<LANES>();
    for (x, y) in whole_a.iter().zip(whole_b) {
        for ((sum, &x), &y) in sums.iter_mut().zip(x).zip(y) {
            *sum += of(f64::from(x), f64::from(y));
        }
    }
    for ((sum, &x), &y) in sums.iter_mut().zip(rest_a).zip(rest_b) {
        *sum += of(f64::from(x), f64::from(y));
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let (a, b, c, d) = (a + e, b + f, c + g, d + h);
    (a + c) + (b + d)
}

/// The distance of two vectors: squared for L2, negated for inner product, one minus the cosine. For Hamming, elements are
/// words of 32 bits in `f32`'s place.
pub fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let value = value(metric, a, b);
    // One NaN and one zero, so that equal distances have equal bits.
    if value.is_nan() { f64::NAN } else { value + 0.0 }
}

fn value(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    match metric {
        Metric::L2 => lanes(a, b, |x, y| (x - y) * (x - y)),
        Metric::InnerProduct => -lanes(a, b, |x, y| x * y),
        Metric::L1 => lanes(a, b, |x, y| (x - y).abs()),
        Metric::Cosine => {
            let product = lanes(a, b, |x, y| x * y);
            let norms = lanes(a, a, |x, y| x * y) * lanes(b, b, |x, y| x * y);
            1.0 - product / libm::sqrt(norms)
        }
        Metric::Hamming => {
            a.iter().zip(b).map(|(x, y)| f64::from((x.to_bits() ^ y.to_bits()).count_ones())).sum()
        }
    }
}

/// What sorts neighbours of a query.
pub fn rank(distance: f64, row: u64) -> (u64, u64) {
    (key_f64(distance), row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_distances() {
        let (a, b) = ([1.0, 2.0, 3.0], [4.0, 6.0, 3.0]);
        assert_eq!(distance(Metric::L2, &a, &b), 25.0);
        assert_eq!(distance(Metric::L1, &a, &b), 7.0);
        assert_eq!(distance(Metric::InnerProduct, &a, &b), -25.0);
        assert_eq!(distance(Metric::Cosine, &[1.0, 0.0], &[0.0, 5.0]), 1.0);
        assert!(distance(Metric::Cosine, &[0.0, 0.0], &[0.0, 5.0]).is_nan());
        let bits = [f32::from_bits(0b1011), f32::from_bits(u32::MAX)];
        assert_eq!(distance(Metric::Hamming, &bits, &[f32::from_bits(0b0110), f32::from_bits(0)]), 35.0);
    }
}
