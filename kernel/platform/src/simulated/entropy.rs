//! Randomness from the seed.

use super::world::current;

/// Fills `buf`. Outside of simulations, with a constant.
pub fn fill(buf: &mut [u8]) {
    for chunk in buf.chunks_mut(8) {
        let r = current().map_or(0x1234_5678_9abc_def1, |(world, _)| world.random()).to_le_bytes();
        chunk.copy_from_slice(&r[..chunk.len()]);
    }
}
