//! The best rows of a column on a device.
//!
//! Counting does it: how many rows pass whose keys lie on this side of a key says on which side the last of the best is, and after as many
//! passes as a key has bits it is known. How many rows of each chunk are better, and how many equal it, says which chunks the best lie in, at
//! most two for each of them. Those are fetched, and the processor sorts them.

use compute_protocol::{
    Column, Term,
    reduce::{CHUNK, Wanted},
};

use super::Gpu;
use crate::{
    executor::{Executor, Failure, Rows},
    processor::Processor,
};

/// Only how many.
const COUNT: Wanted = Wanted { sum: false, extremes: false };
/// Number of the column in what is fetched; those of the filter follow.
const FETCHED: u32 = 1;

impl Gpu {
    /// Row and key of the best rows, best first, and of equal ones the first.
    pub(super) fn top_rows(
        &mut self,
        rows: Rows<'_>,
        count: usize,
        greatest: bool,
    ) -> Result<Vec<(u64, u64)>, Failure> {
        let all = self.reduce_rows(rows, Wanted { sum: false, extremes: true })?;
        let wanted = all.count.min(count as u64);
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let (mut low, mut high) = (all.least, all.greatest);
        while low < high {
            let half = (high - low) / 2;
            let (at, side) =
                if greatest { (high - half, (high - half, u64::MAX)) } else { (low + half, (0, low + half)) };
            let enough = self.counts(rows, side)?.iter().sum::<u64>() >= wanted;
            match (enough, greatest) {
                (true, true) => low = at,
                (false, true) => high = at - 1,
                (true, false) => high = at,
                (false, false) => low = at + 1,
            }
        }
        let last = low;
        let better = match (greatest, last) {
            (true, u64::MAX) | (false, 0) => Vec::new(),
            (true, last) => self.counts(rows, (last + 1, u64::MAX))?,
            (false, last) => self.counts(rows, (0, last - 1))?,
        };
        let equal = self.counts(rows, (last, last))?;
        let mut ties = wanted.saturating_sub(better.iter().sum());
        let mut chunks = Vec::new();
        for (chunk, equal) in (0..).zip(equal) {
            if better.get(chunk as usize).is_some_and(|&n| n > 0) || ties > 0 && equal > 0 {
                chunks.push(chunk);
            }
            ties = ties.saturating_sub(equal);
        }
        self.sort(rows, &chunks, wanted as usize, greatest)
    }

    /// By chunk, how many rows pass whose keys lie within these, both included.
    fn counts(&mut self, rows: Rows<'_>, (least, greatest): (u64, u64)) -> Result<Vec<u64>, Failure> {
        let own = Term { column: rows.column, least, greatest, negated: false };
        let filter: Vec<Term> = rows.filter.iter().copied().chain([own]).collect();
        let partials = self.reduce_partials(Rows { filter: &filter, ..rows }, COUNT)?;
        Ok(partials.iter().map(|p| p.count).collect())
    }

    /// The best rows of some chunks.
    fn sort(
        &mut self,
        rows: Rows<'_>,
        chunks: &[u64],
        wanted: usize,
        greatest: bool,
    ) -> Result<Vec<(u64, u64)>, Failure> {
        let of = |chunk: u64| (rows.count - chunk * CHUNK as u64).min(CHUNK as u64);
        let count: u64 = chunks.iter().map(|&c| of(c)).sum();
        let mut fetched = Processor::new(1, u64::MAX);
        let mut fetch = |number: u32, column: Column| -> Result<Column, Failure> {
            let width = column.kind.width();
            fetched.create(number, (count * width).next_multiple_of(8))?;
            let mut to = 0;
            for &chunk in chunks {
                // Rows behind the last one are there to the next multiple of 8 bytes, and do not count.
                let mut bytes = vec![0; (of(chunk) * width) as usize];
                self.read(column.table, chunk * CHUNK as u64 * width, &mut bytes)?;
                fetched.write(number, to, &bytes)?;
                to += bytes.len() as u64;
            }
            Ok(Column { table: number, ..column })
        };
        let column = fetch(FETCHED, rows.column)?;
        let mut filter = rows.filter.to_vec();
        for (number, term) in (FETCHED + 1..).zip(&mut filter) {
            term.column = fetch(number, term.column)?;
        }
        let best = fetched.top(Rows { column, count, filter: &filter }, wanted, greatest)?;
        let place = |row: u64| {
            let chunk = chunks.get((row / CHUNK as u64) as usize).copied().unwrap_or(0);
            chunk * CHUNK as u64 + row % CHUNK as u64
        };
        Ok(best.into_iter().map(|(row, key)| (place(row), key)).collect())
    }
}
