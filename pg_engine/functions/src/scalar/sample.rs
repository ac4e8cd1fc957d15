//! TABLESAMPLE: is a row, known by its place, in the sample?
//!
//! A row is in it if a hash of its place and of the seed is below the wanted share of all hashes; of a `system` sample the
//! place is the page's. Hashes and seeds are PostgreSQL's (Bob Jenkins's lookup3, 2006), so that tables that are laid out alike
//! give the same samples.

use pg_types::{Oid, Result, SqlError, SqlState, Value, oid::*};

use crate::{def::Function, table::def};

/// Whether a row is in a sample: its ctid, whether whole pages are taken, the percentage, the seed, and whether the seed was
/// given.
pub const IN_SAMPLE: Oid = 12_020;

/// lookup3 over up to three words of 32 bits, as PostgreSQL starts it.
fn hash(words: &[u32]) -> u32 {
    let len = words.len() as u32 * 4;
    let start = 0x9e37_79b9_u32.wrapping_add(len).wrapping_add(3_923_095);
    let (mut a, mut b, mut c) = (start, start, start);
    let word = |n: usize| words.get(n).copied().unwrap_or(0);
    a = a.wrapping_add(word(0));
    b = b.wrapping_add(word(1));
    c = c.wrapping_add(word(2));
    if words.len() == 3 {
        for (x, y, z, turn) in
            [(0, 2, 1, 4), (1, 0, 2, 6), (2, 1, 0, 8), (0, 2, 1, 16), (1, 0, 2, 19), (2, 1, 0, 4)]
        {
            let mut v = [a, b, c];
            v[x] = v[x].wrapping_sub(v[y]) ^ v[y].rotate_left(turn);
            v[y] = v[y].wrapping_add(v[z]);
            [a, b, c] = v;
        }
    }
    for (x, y, turn) in [(2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24)] {
        let mut v = [a, b, c];
        v[x] = (v[x] ^ v[y]).wrapping_sub(v[y].rotate_left(turn));
        [a, b, c] = v;
    }
    c
}

/// A seed of 32 bits from what REPEATABLE says, as PostgreSQL hashes floats.
fn seed_of(seed: f64) -> u32 {
    if seed == 0.0 {
        return 0;
    }
    let bits = if seed.is_nan() { f64::NAN.to_bits() } else { seed.to_bits() };
    hash(&[bits as u32, (bits >> 32) as u32])
}

fn in_sample(place: (u32, u16), pages: bool, percent: f64, seed: u32) -> bool {
    let hash = if pages { hash(&[place.0, seed]) } else { hash(&[place.0, u32::from(place.1), seed]) };
    let cutoff = libm::rint((f64::from(u32::MAX) + 1.0) * percent / 100.0) as u64;
    u64::from(hash) < cutoff
}

fn sampled(args: &[Value]) -> Result<Value> {
    let [Value::Tid(page, slot), Value::Bool(pages), percent, seed, Value::Bool(given)] = args else {
        return if matches!(args.first(), Some(Value::Null)) {
            Ok(Value::Bool(false))
        } else {
            Err(SqlError::internal("arguments of a sample"))
        };
    };
    let Value::Float4(percent) = percent else {
        return Err(SqlError::new(
            SqlState::INVALID_TABLESAMPLE_ARGUMENT,
            "TABLESAMPLE parameter cannot be null",
        ));
    };
    let Value::Float8(seed) = seed else {
        return Err(SqlError::new(
            SqlState::INVALID_TABLESAMPLE_REPEAT,
            "TABLESAMPLE REPEATABLE parameter cannot be null",
        ));
    };
    if !(0.0..=100.0).contains(percent) {
        return Err(SqlError::new(
            SqlState::INVALID_TABLESAMPLE_ARGUMENT,
            "sample percentage must be between 0 and 100",
        ));
    }
    // Without REPEATABLE the seed is a random number below 1.
    let seed = if *given { seed_of(*seed) } else { (*seed * f64::from(u32::MAX)) as u32 };
    Ok(Value::Bool(in_sample((*page, *slot), *pages, f64::from(*percent), seed)))
}

/// Rows.
pub(crate) static FUNCTIONS: &[Function] =
    &[def(IN_SAMPLE, "intralith_in_sample", &[TID, BOOL, FLOAT4, FLOAT8, BOOL], BOOL)
        .nullable()
        .imp(crate::def::Implementation::Row(|_, args| sampled(args)))];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_postgresql() {
        // hashfloat8() of PostgreSQL 15.
        assert_eq!(seed_of(0.0), 0);
        assert_eq!(seed_of(1.0).cast_signed(), 376_496_956);
        assert_eq!(seed_of(0.4).cast_signed(), 1_879_225_839);
    }

    #[test]
    fn shares() {
        let count = |percent: f64| {
            (0..10_000).filter(|n| in_sample((n / 50, (n % 50) as u16 + 1), false, percent, 7)).count()
        };
        assert_eq!((count(0.0), count(100.0)), (0, 10_000));
        assert!((2_500..3_500).contains(&count(30.0)));
        let whole = |page: u32| {
            (1..50).map(|slot| in_sample((page, slot), true, 50.0, 7)).collect::<alloc::vec::Vec<_>>()
        };
        assert!((0..100).all(|page| whole(page).windows(2).all(|w| w[0] == w[1])));
    }
}
