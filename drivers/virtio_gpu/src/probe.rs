//! When to look for a device again.

use core::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_secs(8);
/// A device that was up for so long has not failed in a row.
const STEADY: Duration = Duration::from_secs(30);

/// Pauses between attempts, which grow as long as none succeeds for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pause: Duration,
    first: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(FIRST)
    }
}

impl Backoff {
    /// With a first pause of so long.
    pub const fn new(first: Duration) -> Self {
        Self { pause: first, first }
    }

    /// The device failed after it was up for `up` (zero: it did not come up). How long to leave it alone.
    pub fn failed(&mut self, up: Duration) -> Duration {
        if up >= STEADY {
            self.pause = self.first;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST).max(self.first);
        pause
    }

    /// Attempts that fail are worth a word when the pause was this long: not all of them are.
    pub fn is_first(&self) -> bool {
        self.pause == self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_start_again_after_a_steady_time() {
        let mut b = Backoff::default();
        assert!(b.is_first());
        let pauses: alloc::vec::Vec<_> = (0..6).map(|_| b.failed(Duration::ZERO).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 8, 8]);
        assert!(!b.is_first());
        assert_eq!(b.failed(Duration::from_secs(29)).as_secs(), 8, "up, but not for long");
        assert_eq!(b.failed(STEADY).as_secs(), 1);
        assert_eq!(b.failed(Duration::ZERO).as_secs(), 2);
    }
}
