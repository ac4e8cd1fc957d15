//! Pieces of memory for what callers give and get. Plain bookkeeping, no device.

use crate::hardware::Memory;
use alloc::{boxed::Box, vec::Vec};
use core::time::Duration;

/// Bytes that the buffers of one command may have together.
pub const LARGEST: usize = 4 << 20;
/// Buffers of one command.
pub const BUFFERS: usize = 8;
/// Buffers begin at multiples of this: devices that compute in place want whole pages.
pub const ALIGNMENT: usize = 4096;
/// Bytes of a piece: each buffer may lose an alignment's worth.
pub const PIECE: usize = LARGEST + BUFFERS * ALIGNMENT;
/// Pieces at most, however much memory there is.
pub const PIECES: usize = 16;

/// One piece; the number of its resource is its own.
pub struct Piece {
    /// From 1 on.
    pub resource: u32,
    /// Its memory.
    pub memory: Box<dyn Memory>,
    /// The start of the device in which it was attached.
    pub attached: Option<u64>,
    /// When it was used last.
    pub used: Duration,
}

/// What [`Pool::take`] found.
pub enum Taken {
    /// A piece.
    Piece(Piece),
    /// None is there, but one may be made, with this number.
    Make(u32),
    /// All are in use.
    None,
}

/// The pieces that nobody uses, and how many there may be.
#[derive(Default)]
pub struct Pool {
    free: Vec<Piece>,
    /// Numbers of pieces that exist, or are being made.
    numbers: Vec<u32>,
    limit: usize,
}

impl Pool {
    /// How many pieces there may be: at most [`PIECES`].
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.min(PIECES);
    }

    /// A piece, the one used last first, so that the others may go.
    pub fn take(&mut self) -> Taken {
        if let Some(piece) = self.free.pop() {
            return Taken::Piece(piece);
        }
        if self.numbers.len() >= self.limit {
            return Taken::None;
        }
        match (1..=PIECES as u32).find(|n| !self.numbers.contains(n)) {
            Some(number) => {
                self.numbers.push(number);
                Taken::Make(number)
            }
            None => Taken::None,
        }
    }

    /// Gives a piece back.
    pub fn put(&mut self, piece: Piece) {
        self.free.push(piece);
    }

    /// A piece does not exist after all, or any more.
    pub fn forget(&mut self, resource: u32) {
        self.numbers.retain(|n| *n != resource);
    }

    /// A piece that was not used since then, to be forgotten. One that is not attached goes first.
    pub fn take_idle(&mut self, since: Duration) -> Option<Piece> {
        let at = self.free.iter().position(|p| p.used < since)?;
        Some(self.free.remove(at))
    }

    /// Pieces that exist, or are being made.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Memory for Nothing {
        fn runs(&self) -> Vec<(u64, u32)> {
            Vec::new()
        }
        fn write(&mut self, _: usize, _: &[u8]) {}
        fn read(&self, _: usize, _: &mut [u8]) {}
    }

    fn piece(resource: u32, used: u64) -> Piece {
        Piece { resource, memory: Box::new(Nothing), attached: None, used: Duration::from_secs(used) }
    }

    #[test]
    fn there_are_no_more_pieces_than_allowed_and_numbers_are_used_again() {
        let mut pool = Pool::default();
        assert!(matches!(pool.take(), Taken::None), "none before a device allows some");
        pool.set_limit(2);
        assert!(matches!(pool.take(), Taken::Make(1)));
        assert!(matches!(pool.take(), Taken::Make(2)));
        assert!(matches!(pool.take(), Taken::None));
        pool.forget(1);
        assert!(matches!(pool.take(), Taken::Make(1)));
        pool.put(piece(2, 0));
        assert!(matches!(pool.take(), Taken::Piece(Piece { resource: 2, .. })));
        pool.set_limit(1000);
        for _ in 2..PIECES {
            assert!(matches!(pool.take(), Taken::Make(_)));
        }
        assert!(matches!(pool.take(), Taken::None));
        assert_eq!(pool.len(), PIECES);
    }

    #[test]
    fn what_is_used_least_goes_first() {
        let mut pool = Pool::default();
        pool.set_limit(4);
        for _ in 0..3 {
            assert!(matches!(pool.take(), Taken::Make(_)));
        }
        for (n, used) in [(1, 5), (2, 7), (3, 9)] {
            pool.put(piece(n, used));
        }
        assert!(pool.take_idle(Duration::from_secs(5)).is_none());
        let idle = pool.take_idle(Duration::from_secs(9)).map(|p| p.resource);
        assert_eq!(idle, Some(1));
        assert!(matches!(pool.take(), Taken::Piece(Piece { resource: 3, .. })), "the one used last");
    }
}
