//! LZ4 blocks.

use alloc::vec::Vec;

use pg_types::tuple::MAX_VALUE;

use crate::{Result, ToastError};

/// Shorter values are not worth it.
const WORTH: usize = 32;
/// A byte of a block stands for no more than so many of the value.
const MAX_RATIO: usize = 256;

/// Compresses a value; `None`: it would not become smaller.
pub fn compress(value: &[u8]) -> Option<Vec<u8>> {
    if value.len() < WORTH || value.len() > MAX_VALUE {
        return None;
    }
    let mut block = lz4_flex::block::compress(value);
    if block.len() + 2 >= value.len() {
        return None;
    }
    block.shrink_to_fit();
    Some(block)
}

/// The value of `raw` bytes that a block holds.
pub fn decompress(block: &[u8], raw: u32) -> Result<Vec<u8>> {
    let raw = raw as usize;
    // A damaged length must not cost a gigabyte.
    if raw > MAX_VALUE || raw / MAX_RATIO > block.len() {
        return Err(ToastError::Block);
    }
    let mut out = room(raw)?;
    out.resize(raw, 0);
    match lz4_flex::block::decompress_into(block, &mut out) {
        Ok(n) if n == raw => Ok(out),
        _ => Err(ToastError::Block),
    }
}

/// An empty vector with room for `n` bytes.
pub(crate) fn room(n: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    out.try_reserve_exact(n).map_err(|_| ToastError::Memory(n))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_round_trip(word in proptest::collection::vec(any::<u8>(), 1..40), times in 1usize..300) {
            let value = word.repeat(times);
            if let Some(block) = compress(&value) {
                prop_assert!(block.len() < value.len());
                prop_assert_eq!(decompress(&block, value.len() as u32).unwrap(), value.clone());
                prop_assert!(decompress(&block, value.len() as u32 + 1).is_err());
                prop_assert!(decompress(&block, value.len() as u32 - 1).is_err());
            }
        }
        #[test]
        fn junk_is_an_error_or_a_value(block in proptest::collection::vec(any::<u8>(), 0..200), raw in any::<u32>()) {
            if let Ok(v) = decompress(&block, raw) {
                prop_assert_eq!(v.len(), raw as usize);
            }
        }
    }

    #[test]
    fn what_does_not_shrink_is_left_alone() {
        let mut x = 1u32;
        let mut random = || {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            x as u8
        };
        let noise: Vec<u8> = (0..4000).map(|_| random()).collect();
        assert!(compress(&noise).is_none());
        assert!(compress(b"short").is_none());
    }
}
