//! Eigenvalues of a part's Laplacian.

use alloc::{vec, vec::Vec};

use dagdb_graph::{NodeId, View};

use crate::{CompareError, GoOn};

/// A matrix of so many rows takes a second.
const LIMIT: usize = 300;
/// Rounds over all pairs; symmetric matrices need about ten.
const ROUNDS: usize = 60;
/// What is left beside the diagonal, relative to what is on it, when it is done.
const SMALL: f64 = 1e-12;

/// The eigenvalues of the Laplacian of some nodes and the edges among them, direction apart; largest first.
pub(crate) fn spectrum(
    graph: &impl View,
    mut nodes: Vec<NodeId>,
    go_on: GoOn<'_>,
) -> Result<Vec<f64>, CompareError> {
    if nodes.len() > LIMIT {
        return Err(CompareError::TooLarge { nodes: nodes.len(), limit: LIMIT });
    }
    nodes.sort_unstable();
    let mut m = Matrix { size: nodes.len(), cells: vec![0.0; nodes.len() * nodes.len()] };
    for (row, &id) in nodes.iter().enumerate() {
        let Some(node) = graph.node(id) else { continue };
        for source in node.sources() {
            let Ok(column) = nodes.binary_search(&source) else { continue };
            m.add(row, column, -1.0);
            m.add(column, row, -1.0);
            m.add(row, row, 1.0);
            m.add(column, column, 1.0);
        }
    }
    m.diagonalise(go_on)?;
    let mut values: Vec<f64> = (0..m.size).map(|i| m.at(i, i)).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    Ok(values)
}

/// Symmetric.
struct Matrix {
    size: usize,
    cells: Vec<f64>,
}

impl Matrix {
    fn at(&self, row: usize, column: usize) -> f64 {
        self.cells.get(row * self.size + column).copied().unwrap_or(0.0)
    }

    fn set(&mut self, row: usize, column: usize, value: f64) {
        if let Some(cell) = self.cells.get_mut(row * self.size + column) {
            *cell = value;
        }
    }

    fn add(&mut self, row: usize, column: usize, value: f64) {
        self.set(row, column, self.at(row, column) + value);
    }

    /// Jacobi's way: rotations that each make one pair of cells zero.
    fn diagonalise(&mut self, go_on: GoOn<'_>) -> Result<(), CompareError> {
        for _ in 0..ROUNDS {
            let (mut beside, mut on) = (0.0, 0.0);
            for row in 0..self.size {
                on += self.at(row, row) * self.at(row, row);
                beside += (0..row).map(|c| self.at(row, c) * self.at(row, c)).sum::<f64>();
            }
            if beside <= SMALL * SMALL * on {
                break;
            }
            for p in 0..self.size {
                if !go_on() {
                    return Err(CompareError::Cancelled);
                }
                for q in p + 1..self.size {
                    self.rotate(p, q);
                }
            }
        }
        Ok(())
    }

    fn rotate(&mut self, p: usize, q: usize) {
        let beside = self.at(p, q);
        if beside == 0.0 {
            return;
        }
        let theta = (self.at(q, q) - self.at(p, p)) / (2.0 * beside);
        let sign = if theta < 0.0 { -1.0 } else { 1.0 };
        let tangent = sign / (theta * sign + libm::sqrt(theta * theta + 1.0));
        let cosine = 1.0 / libm::sqrt(tangent * tangent + 1.0);
        let sine = tangent * cosine;
        for k in 0..self.size {
            let (kp, kq) = (self.at(k, p), self.at(k, q));
            self.set(k, p, cosine * kp - sine * kq);
            self.set(k, q, sine * kp + cosine * kq);
        }
        for k in 0..self.size {
            let (pk, qk) = (self.at(p, k), self.at(q, k));
            self.set(p, k, cosine * pk - sine * qk);
            self.set(q, k, sine * pk + cosine * qk);
        }
    }
}
