//! The checksum of pages: made for speed, because a scan of a table that is not cached computes it of every page.
//!
//! Eight lanes take sixteen bytes at a time, with one multiplication each, and none waits for another lane's. All 128 bits of a
//! product are kept, folded in two, so that every bit of a word spreads over the lane.

use crate::PAGE_SIZE;

const LANES: usize = 8;
const WORD: usize = size_of::<u64>();
/// Odd, with about as many ones as zeros and no pattern.
const KEY: u64 = 0x9fb2_1c65_1e98_df25;
const STEP: u64 = 0xd6e8_feb8_6659_fd93;
/// The first word without the checksum, which lies at its start.
const COVERED: u64 = !0xffff_ffff;

#[inline]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Of all of a page but its first four bytes.
pub(crate) fn of(page: &[u8; PAGE_SIZE]) -> u64 {
    let keys: [u64; LANES] = core::array::from_fn(|n| KEY.wrapping_mul(2 * n as u64 + 1));
    let mut lanes = keys.map(|k| k.rotate_left(32) ^ STEP);
    let mut mask = COVERED;
    for block in page.as_chunks::<{ 2 * LANES * WORD }>().0 {
        let pairs = block.as_chunks::<{ 2 * WORD }>().0;
        for ((lane, key), pair) in lanes.iter_mut().zip(&keys).zip(pairs) {
            let pair = u128::from_le_bytes(*pair);
            let (low, high) = (pair as u64 & mask, (pair >> 64) as u64);
            mask = u64::MAX;
            *lane = folded(low ^ key, high ^ *lane);
        }
    }
    lanes.iter().fold(PAGE_SIZE as u64, |all, lane| folded(all ^ lane, STEP).rotate_left(23))
}

#[cfg(test)]
mod tests {
    use alloc::{boxed::Box, collections::BTreeSet};

    use super::*;

    fn page() -> Box<[u8; PAGE_SIZE]> {
        let mut page = Box::new([0; PAGE_SIZE]);
        let mut x = 1_u32;
        for b in page.iter_mut().take(PAGE_SIZE / 2) {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *b = (x >> 24) as u8;
        }
        page
    }

    #[test]
    fn the_checksum_itself_is_not_covered_and_every_other_bit_is() {
        let mut page = page();
        let mut seen = BTreeSet::from([of(&page)]);
        for bit in 0..PAGE_SIZE * 8 {
            page[bit / 8] ^= 1 << (bit % 8);
            let sum = of(&page);
            assert_eq!(seen.insert(sum), bit >= 32, "bit {bit}");
            page[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn what_changes_in_two_places_does_not_cancel_out() {
        let mut page = page();
        let sum = of(&page);
        // The same bit of two words of one lane, and two words exchanged.
        for distance in [64, 128, 4096] {
            for bit in 0..64 {
                for at in [64 + bit / 8, 64 + bit / 8 + distance] {
                    page[at] ^= 1 << (bit % 8);
                }
                assert_ne!(of(&page), sum);
                for at in [64 + bit / 8, 64 + bit / 8 + distance] {
                    page[at] ^= 1 << (bit % 8);
                }
            }
        }
        for n in 0..8 {
            page.swap(64 + n, 128 + n);
        }
        assert_ne!(of(&page), sum);
    }

    #[test]
    fn pages_that_are_torn_or_shifted_are_told() {
        let whole = page();
        let sum = of(&whole);
        for at in (512..PAGE_SIZE / 2).step_by(512) {
            let mut torn = whole.clone();
            torn[at..].fill(0);
            assert_ne!(of(&torn), sum);
            let mut shifted = whole.clone();
            shifted.copy_within(4..PAGE_SIZE - at, 4 + at);
            assert_ne!(of(&shifted), sum);
        }
    }
}
