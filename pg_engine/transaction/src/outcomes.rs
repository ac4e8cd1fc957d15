//! How transactions ended. One that has a place in the log but is not durable is a case of its own: it is about to have
//! committed. Readers take no lock; that they are never told wrong while ids leave the ring is tried under every
//! interleaving (`tests/loom`).

use alloc::{boxed::Box, collections::BTreeSet, vec::Vec};

use pg_page::Xid;
use platform::{
    atomic::{AtomicU64, AtomicUsize, Ordering},
    sync::RwLock,
};

/// Ids whose outcome is in the ring.
#[cfg(not(loom))]
const WINDOW: u64 = 1 << 22;
#[cfg(loom)]
const WINDOW: u64 = 4;
/// Ids that leave the ring at a time.
#[cfg(not(loom))]
const BLOCK: u64 = 1 << 15;
#[cfg(loom)]
const BLOCK: u64 = 2;
#[cfg(not(loom))]
const PER_WORD: u64 = 32;
#[cfg(loom)]
const PER_WORD: u64 = 2;

/// What the ring holds of an id, two bits.
const COMMITTED: u64 = 1;
const ABORTED: u64 = 2;
const LOGGED: u64 = 3;

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not.
    InProgress,
    /// All its work counts.
    Committed,
    /// None of its work counts.
    Aborted,
}

#[derive(Default)]
struct Old {
    aborted: BTreeSet<u64>,
    /// Still running although so old.
    running: BTreeSet<u64>,
}

/// The outcomes of all transactions.
pub struct Outcomes {
    ring: Box<[AtomicU64]>,
    /// First id in the ring.
    start: AtomicU64,
    old: RwLock<Old>,
    /// Number of ids in `old`.
    old_count: AtomicUsize,
}

impl Outcomes {
    /// Everything before `next` has ended, `aborted` of it by abort, except what is `running`.
    pub fn new(
        next: Xid,
        aborted: impl IntoIterator<Item = Xid>,
        running: impl IntoIterator<Item = Xid>,
    ) -> Self {
        let running: BTreeSet<u64> = running.into_iter().map(|x| x.0).collect();
        let aborted: BTreeSet<u64> = aborted.into_iter().map(|x| x.0).collect();
        Self {
            old_count: AtomicUsize::new(aborted.len() + running.len()),
            ring: (0..WINDOW / PER_WORD).map(|_| AtomicU64::new(0)).collect(),
            start: AtomicU64::new(next.0),
            old: RwLock::new(Old { aborted, running }),
        }
    }

    fn word(&self, xid: u64) -> (&AtomicU64, u64) {
        let i = xid % WINDOW;
        // The ring has exactly WINDOW / PER_WORD words.
        (&self.ring[(i / PER_WORD) as usize], i % PER_WORD * 2)
    }

    /// How a transaction ended. Of an id that was never given out it says `InProgress` or `Committed`.
    #[inline]
    pub fn get(&self, xid: Xid) -> Outcome {
        self.read(xid, Outcome::InProgress)
    }

    /// Likewise, but the commit record's place in the log is enough: whatever is logged later lasts only with it.
    #[inline]
    pub fn get_logged(&self, xid: Xid) -> Outcome {
        self.read(xid, Outcome::Committed)
    }

    #[inline]
    fn read(&self, xid: Xid, logged: Outcome) -> Outcome {
        if xid.0 >= self.start.load(Ordering::Acquire) {
            let (word, shift) = self.word(xid.0);
            let bits = word.load(Ordering::Acquire) >> shift & 3;
            // The id may have left the ring meanwhile; its bits would mean another one's.
            if xid.0 >= self.start.load(Ordering::Acquire) {
                return match bits {
                    0 => Outcome::InProgress,
                    COMMITTED => Outcome::Committed,
                    ABORTED => Outcome::Aborted,
                    _ => logged,
                };
            }
        }
        if self.old_count.load(Ordering::Acquire) == 0 { Outcome::Committed } else { self.get_old(xid) }
    }

    #[cold]
    fn get_old(&self, xid: Xid) -> Outcome {
        let old = self.old.read();
        if old.aborted.contains(&xid.0) {
            Outcome::Aborted
        } else if old.running.contains(&xid.0) {
            Outcome::InProgress
        } else {
            Outcome::Committed
        }
    }

    /// Notes an end. The caller holds the lock under which ids are given out.
    pub fn set(&self, xid: Xid, committed: bool) {
        if xid.0 >= self.start.load(Ordering::Acquire) {
            let (word, shift) = self.word(xid.0);
            if committed {
                let before = word.fetch_or(COMMITTED << shift, Ordering::AcqRel);
                if before >> shift & 3 == LOGGED {
                    word.fetch_and(!((LOGGED ^ COMMITTED) << shift), Ordering::AcqRel);
                }
            } else {
                word.fetch_or(ABORTED << shift, Ordering::AcqRel);
            }
        } else {
            let mut old = self.old.write();
            if !committed {
                old.aborted.insert(xid.0);
            }
            old.running.remove(&xid.0);
            self.count(&old);
        }
    }

    /// Notes that a commit has its place in the log, under the same lock. Of ids that left the ring it is not noted: they
    /// count as running until their end.
    pub fn set_logged(&self, xid: Xid) {
        if xid.0 >= self.start.load(Ordering::Acquire) {
            let (word, shift) = self.word(xid.0);
            word.fetch_or(LOGGED << shift, Ordering::AcqRel);
        }
    }

    /// Makes room for an id that is about to be given out, under the lock under which that happens.
    pub fn prepare(&self, xid: Xid) {
        let Some(leaving) = xid.0.checked_sub(WINDOW) else { return };
        let start = self.start.load(Ordering::Acquire);
        if leaving < start {
            return;
        }
        let end = start + BLOCK - start % BLOCK;
        let mut old = self.old.write();
        for x in start..end {
            let (word, shift) = self.word(x);
            match word.load(Ordering::Acquire) >> shift & 3 {
                0 | LOGGED => {
                    old.running.insert(x);
                }
                COMMITTED => {}
                _ => {
                    old.aborted.insert(x);
                }
            }
        }
        self.count(&old);
        self.start.store(end, Ordering::Release);
        drop(old);
        for x in start..end {
            let (word, shift) = self.word(x);
            word.fetch_and(!(3 << shift), Ordering::AcqRel);
        }
    }

    /// Every aborted id before `next`.
    pub fn aborted(&self, next: Xid) -> Vec<Xid> {
        let old = self.old.read();
        let mut all: Vec<Xid> = old.aborted.iter().map(|x| Xid(*x)).collect();
        let start = self.start.load(Ordering::Acquire);
        for first in (start / PER_WORD * PER_WORD..next.0).step_by(PER_WORD as usize) {
            let (word, _) = self.word(first);
            let bits = word.load(Ordering::Acquire);
            // Neither an abort nor what is about to have committed.
            if bits & 0xaaaa_aaaa_aaaa_aaaa == 0 {
                continue;
            }
            all.extend(
                (first.max(start)..(first + PER_WORD).min(next.0))
                    .filter(|x| bits >> (x % PER_WORD * 2) & 3 == ABORTED)
                    .map(Xid),
            );
        }
        all
    }

    /// How many ids that left the ring are remembered.
    pub fn remembered(&self) -> usize {
        self.old_count.load(Ordering::Relaxed)
    }

    /// Forgets aborted ids before `horizon`: nothing of theirs is left on any page. Only ids that left the ring are
    /// affected.
    pub fn forget_aborted(&self, horizon: Xid) {
        let mut old = self.old.write();
        old.aborted = old.aborted.split_off(&horizon.0);
        self.count(&old);
    }

    fn count(&self, old: &Old) {
        self.old_count.store(old.aborted.len() + old.running.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_survive_leaving_the_ring() {
        let o = Outcomes::new(Xid(10), [Xid(4)], []);
        assert_eq!(o.get(Xid(4)), Outcome::Aborted);
        assert_eq!(o.get(Xid(5)), Outcome::Committed);
        assert_eq!(o.get(Xid(11)), Outcome::InProgress);
        o.set(Xid(11), true);
        o.set(Xid(12), false);
        for x in 10..WINDOW + 5 * BLOCK {
            o.prepare(Xid(x));
            if x >= 100 && x % 1000 != 0 {
                o.set(Xid(x), x % 7 != 0);
            }
        }
        assert!(o.start.load(Ordering::Relaxed) > 4 * BLOCK);
        assert_eq!(o.get(Xid(11)), Outcome::Committed);
        assert_eq!(o.get(Xid(12)), Outcome::Aborted);
        assert_eq!(o.get(Xid(13)), Outcome::InProgress);
        o.set(Xid(13), false);
        assert_eq!(o.get(Xid(13)), Outcome::Aborted);
        assert_eq!(o.get(Xid(7 * 101)), Outcome::Aborted);
        assert_eq!(o.get(Xid(7 * 101 + 1)), Outcome::Committed);
        let next = Xid(WINDOW + 5 * BLOCK);
        let listed = o.aborted(next);
        let want = (10..next.0).filter(|x| o.get(Xid(*x)) == Outcome::Aborted).count() + 1;
        assert_eq!(listed.len(), want);
    }
}
