//! From candidates to neighbours.
//!
//! Devices find candidates with sums in single precision, rounded as suits them. Here the candidates' distances are computed as defined, and
//! a bound on the rounding says whether any other row could be nearer than those found.

use compute_protocol::{
    Metric,
    distance::{distance, rank},
};

use crate::executor::Neighbour;

/// Candidates for `neighbours`, to begin with.
pub fn first_shortlist(neighbours: usize) -> usize {
    (neighbours + 6).next_multiple_of(8)
}

/// How far the value in single precision of a pair of vectors may be from its distance, given that value, the components of a vector,
/// the greatest magnitude of a component in the table, and the query. Infinite where nothing can be said.
pub fn error_bound(metric: Metric, value: f64, dimensions: usize, magnitude: f64, query: &[f32]) -> f64 {
    // A sum of n terms, each rounded thrice, in any order.
    let relative = (dimensions as f64 + 8.0) * f64::from(f32::EPSILON);
    // Terms too small for single precision vanish.
    let least = dimensions as f64 * f64::from(f32::MIN_POSITIVE);
    let bound = match metric {
        Metric::Hamming => 0.0,
        Metric::L2 | Metric::L1 => 2.0 * relative * value.abs() + least,
        Metric::Cosine => 4.0 * relative,
        Metric::InnerProduct => {
            let weight: f64 = query.iter().map(|&q| f64::from(q.abs())).sum();
            // Beyond that, single precision might overflow on the way.
            if weight * magnitude > 1e37 { f64::INFINITY } else { relative * weight * magnitude + least }
        }
    };
    if bound.is_finite() && relative < 0.25 { bound } else { f64::INFINITY }
}

/// The nearest of candidates, whose vectors `vector` gives; `None` if a row beyond them might belong to them. `beyond` is the least
/// distance that a row which is no candidate can have.
pub fn settle<'a>(
    metric: Metric,
    query: &[f32],
    candidates: impl Iterator<Item = (u64, &'a [f32])>,
    neighbours: usize,
    beyond: Option<f64>,
) -> Option<Vec<Neighbour>> {
    let mut found: Vec<Neighbour> =
        candidates.map(|(row, vector)| (row, distance(metric, query, vector))).collect();
    found.sort_unstable_by_key(|&(row, distance)| rank(distance, row));
    found.truncate(neighbours);
    match (beyond, found.last()) {
        (Some(beyond), Some(&(_, last))) if found.len() == neighbours => (last < beyond).then_some(found),
        (Some(_), _) => None,
        (None, _) => Some(found),
    }
}
