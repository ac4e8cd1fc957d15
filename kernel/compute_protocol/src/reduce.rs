//! Reductions of a column: count, sum, least and greatest of the rows that pass a filter.
//!
//! # The summation tree
//! A column is cut into chunks of [`CHUNK`] rows. Within a chunk, row `i` belongs to lane `i % LANES`; a lane adds its rows in order. Then
//! lane `l` gets lane `l + LANES / 2` added, for all of the lower half, and so on until one is left. Rows that do not pass count as -0.0, which
//! changes no sum. All that is done in double precision, of single precision too: there devices differ in what they make of
//! denormal numbers. The chunks' sums are then added likewise: neighbours in pairs, again and again, an odd last one waiting for the next round. There is one NaN.

use alloc::vec::Vec;

use crate::order::{Kind, key_f32, key_f64};

/// Rows of a chunk.
pub const CHUNK: usize = 65_536;
/// Lanes of a chunk.
pub const LANES: usize = 1024;

/// What is wanted of a reduction; the count always is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The sum.
    pub sum: bool,
    /// The least and the greatest.
    pub extremes: bool,
}

/// What a device computes of a chunk, and a reduction of all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Partial {
    /// Rows that passed.
    pub count: u64,
    /// The sum of integers.
    pub whole: i128,
    /// The sum of floating-point numbers.
    pub float: f64,
    /// The key of the least element; above [`Self::greatest`] if there is none.
    pub least: u64,
    /// The key of the greatest element.
    pub greatest: u64,
}

impl Partial {
    /// Of no rows.
    pub const EMPTY: Self = Self { count: 0, whole: 0, float: -0.0, least: u64::MAX, greatest: 0 };

    /// The sum of integers from the sums of their halves, in which each sign bit is flipped. `high` is of the upper halves, `None`
    /// for 32-bit integers.
    pub fn whole_of(count: u64, low: u64, high: Option<u64>) -> i128 {
        let flipped = i128::from(count) << 31;
        match high {
            None => i128::from(low) - flipped,
            Some(high) => ((i128::from(high) - flipped) << 32) + i128::from(low),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            whole: self.whole.wrapping_add(other.whole),
            float: self.float + other.float,
            least: self.least.min(other.least),
            greatest: self.greatest.max(other.greatest),
        }
    }
}

/// The reduction of all chunks, given in order.
pub fn combine(mut partials: Vec<Partial>) -> Partial {
    while partials.len() > 1 {
        let half = partials.len().div_ceil(2);
        for i in 0..half {
            let pair = (partials.get(2 * i).copied(), partials.get(2 * i + 1).copied());
            let sum = match pair {
                (Some(a), Some(b)) => a.and(b),
                (a, b) => a.or(b).unwrap_or(Partial::EMPTY),
            };
            if let Some(place) = partials.get_mut(i) {
                *place = sum;
            }
        }
        partials.truncate(half);
    }
    let mut all = partials.first().copied().unwrap_or(Partial::EMPTY);
    if all.float.is_nan() {
        all.float = f64::NAN;
    }
    all
}

/// The rows of a chunk, or of any range of a column.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// 32-bit integers.
    I32(&'a [i32]),
    /// 64-bit integers.
    I64(&'a [i64]),
    /// Single precision.
    F32(&'a [f32]),
    /// Double precision.
    F64(&'a [f64]),
}

impl<'a> Values<'a> {
    /// Rows.
    pub fn len(&self) -> usize {
        match self {
            Self::I32(v) => v.len(),
            Self::I64(v) => v.len(),
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What they are.
    pub fn kind(&self) -> Kind {
        match self {
            Self::I32(_) => Kind::I32,
            Self::I64(_) => Kind::I64,
            Self::F32(_) => Kind::F32,
            Self::F64(_) => Kind::F64,
        }
    }

    /// Some of them; fewer if there are not so many.
    pub fn part(&self, first: usize, count: usize) -> Self {
        fn cut<T>(all: &[T], first: usize, count: usize) -> &[T] {
            let first = first.min(all.len());
            all.get(first..first + count.min(all.len() - first)).unwrap_or(&[])
        }
        match self {
            Self::I32(v) => Values::I32(cut(v, first, count)),
            Self::I64(v) => Values::I64(cut(v, first, count)),
            Self::F32(v) => Values::F32(cut(v, first, count)),
            Self::F64(v) => Values::F64(cut(v, first, count)),
        }
    }

    /// Calls with each row's key, in order.
    pub fn for_each_key(&self, mut with: impl FnMut(u64)) {
        match self {
            Self::I32(v) => v.iter().for_each(|&x| with(u64::from(x as u32 ^ 1 << 31))),
            Self::I64(v) => v.iter().for_each(|&x| with(x as u64 ^ 1 << 63)),
            Self::F32(v) => v.iter().for_each(|&x| with(u64::from(key_f32(x)))),
            Self::F64(v) => v.iter().for_each(|&x| with(key_f64(x))),
        }
    }
}

/// Keeps in `mask` the rows of a chunk whose key is within the range, or out of it if `negated`.
pub fn filter(values: &Values<'_>, least: u64, greatest: u64, negated: bool, mask: &mut [bool]) {
    fn narrow<T: Copy>(values: &[T], mask: &mut [bool], passes: impl Fn(T) -> bool) {
        for (keep, &x) in mask.iter_mut().zip(values) {
            *keep &= passes(x);
        }
    }
    let (low, high) = (least as u32, greatest.min(u64::from(u32::MAX)) as u32);
    let none = least > u64::from(u32::MAX);
    match values {
        Values::I32(v) => narrow(v, mask, |x| {
            let key = x as u32 ^ 1 << 31;
            (!none & (key >= low) & (key <= high)) != negated
        }),
        Values::F32(v) => narrow(v, mask, |x| {
            let key = key_f32(x);
            (!none & (key >= low) & (key <= high)) != negated
        }),
        Values::I64(v) => narrow(v, mask, |x| {
            let key = x as u64 ^ 1 << 63;
            ((key >= least) & (key <= greatest)) != negated
        }),
        Values::F64(v) => narrow(v, mask, |x| {
            let key = key_f64(x);
            ((key >= least) & (key <= greatest)) != negated
        }),
    }
}

/// The reduction of a chunk; `mask` says which rows pass, all if there is none.
pub fn chunk(values: &Values<'_>, mask: Option<&[bool]>, wanted: Wanted) -> Partial {
    let count = mask.map_or(values.len(), |m| m.iter().take(values.len()).filter(|&&k| k).count()) as u64;
    let mut partial = Partial { count, ..Partial::EMPTY };
    if wanted.sum {
        match values {
            Values::I32(v) => {
                partial.whole = i128::from(selected(v, mask).map(|&x| i64::from(x)).sum::<i64>());
            }
            Values::I64(v) => {
                // Halves do not overflow: a chunk has 2^16 rows.
                let (mut low, mut high) = (0u64, 0i64);
                for &x in selected(v, mask) {
                    low += x as u64 & 0xffff_ffff;
                    high += x >> 32;
                }
                partial.whole = (i128::from(high) << 32) + i128::from(low);
            }
            Values::F32(v) => partial.float = lanes(v, mask, f64::from),
            Values::F64(v) => partial.float = lanes(v, mask, |x| x),
        }
    }
    if wanted.extremes {
        let mut at = 0;
        values.for_each_key(|key| {
            if mask.is_none_or(|m| m.get(at).is_some_and(|&k| k)) {
                partial.least = partial.least.min(key);
                partial.greatest = partial.greatest.max(key);
            }
            at += 1;
        });
    }
    partial
}

fn selected<'a, T>(values: &'a [T], mask: Option<&'a [bool]>) -> impl Iterator<Item = &'a T> {
    values
        .iter()
        .enumerate()
        .filter(move |(i, _)| mask.is_none_or(|m| m.get(*i).is_some_and(|&k| k)))
        .map(|(_, x)| x)
}

/// The tree within a chunk.
fn lanes<T: Copy>(values: &[T], mask: Option<&[bool]>, widened: impl Fn(T) -> f64) -> f64 {
    let mut lanes = [-0.0f64; LANES];
    match mask {
        None => {
            for row in values.chunks(LANES) {
                for (lane, &x) in lanes.iter_mut().zip(row) {
                    *lane += widened(x);
                }
            }
        }
        Some(mask) => {
            for (row, keep) in values.chunks(LANES).zip(mask.chunks(LANES)) {
                for ((lane, &x), &keep) in lanes.iter_mut().zip(row).zip(keep) {
                    *lane += if keep { widened(x) } else { -0.0 };
                }
            }
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        let (low, high) = lanes.split_at_mut(half);
        for (a, &b) in low.iter_mut().zip(high.iter()) {
            *a += b;
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_are_exact(rows: Vec<i64>, low: i64, high: i64) {
            let mut mask = vec![true; rows.len()];
            let (least, greatest) = (Kind::I64.key(low as u64), Kind::I64.key(high as u64));
            filter(&Values::I64(&rows), least, greatest, false, &mut mask);
            let all = Wanted { sum: true, extremes: true };
            let got = chunk(&Values::I64(&rows), Some(&mask), all);
            let kept: Vec<i64> = rows.iter().copied().filter(|x| (low..=high).contains(x)).collect();
            prop_assert_eq!(got.count, kept.len() as u64);
            prop_assert_eq!(got.whole, kept.iter().map(|&x| i128::from(x)).sum::<i128>());
            if let (Some(&min), Some(&max)) = (kept.iter().min(), kept.iter().max()) {
                prop_assert_eq!((Kind::I64.bits(got.least) as i64, Kind::I64.bits(got.greatest) as i64), (min, max));
            }
            let (l, h) = kept.iter().fold((0u64, 0u64), |(l, h), &x| {
                (l + (x as u64 & 0xffff_ffff), h + ((x as u64 >> 32) ^ 1 << 31))
            });
            prop_assert_eq!(Partial::whole_of(got.count, l, Some(h)), got.whole);
        }

        #[test]
        fn rows_that_do_not_pass_change_nothing(rows in prop::collection::vec((any::<f32>(), any::<bool>()), 0..3000)) {
            let values: Vec<f32> = rows.iter().map(|r| r.0).collect();
            let mask: Vec<bool> = rows.iter().map(|r| r.1).collect();
            let zeros: Vec<f32> = rows.iter().map(|r| if r.1 { r.0 } else { -0.0 }).collect();
            let sum = Wanted { sum: true, extremes: false };
            let got = chunk(&Values::F32(&values), Some(&mask), sum).float;
            let want = chunk(&Values::F32(&zeros), None, sum).float;
            prop_assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan());
        }
    }

    #[test]
    fn trees_of_chunks() {
        let of = |float| Partial { count: 1, float, ..Partial::EMPTY };
        let got = combine(vec![of(1e16), of(1.0), of(-1e16), of(1.0), of(3.0)]);
        assert_eq!((got.count, got.float), (5, (1e16 + 1.0) + (-1e16 + 1.0) + 3.0));
        assert_eq!(combine(vec![]), Partial::EMPTY);
    }
}
