//! What has been done with a relation since the volume was opened. Kept by the cells above.

use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Counters of a heap or an index. Not saved.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the counters' own names")]
pub struct Activity {
    pub inserted: AtomicU64,
    pub updated: AtomicU64,
    /// Of those updated, the ones that needed no index entries.
    pub hot_updated: AtomicU64,
    pub deleted: AtomicU64,
    pub seq_scans: AtomicU64,
    pub seq_rows: AtomicU64,
    /// Of an index: scans begun; of a heap: rows fetched through indexes.
    pub index_scans: AtomicU64,
    pub index_rows: AtomicU64,
    /// `inserted` at the last vacuum.
    inserted_before: AtomicU64,
    /// All changes at the last ANALYZE.
    changed_before: AtomicU64,
    /// Rows added less rows deleted at the last ANALYZE.
    net_before: AtomicI64,
    pub vacuum: Runs,
    pub analyze: Runs,
}

/// How often something was done, on demand and by itself, and when last.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the counters' own names")]
pub struct Runs {
    pub asked: AtomicU64,
    pub automatic: AtomicU64,
    /// Microseconds since 1970; 0: never.
    pub last_asked: AtomicI64,
    pub last_automatic: AtomicI64,
}

impl Runs {
    fn note(&self, automatic: bool) {
        let (count, last) =
            if automatic { (&self.automatic, &self.last_automatic) } else { (&self.asked, &self.last_asked) };
        count.fetch_add(1, Ordering::Relaxed);
        last.store(platform::time::wall_clock_micros(), Ordering::Relaxed);
    }
}

impl Activity {
    fn changed(&self) -> u64 {
        let of = |c: &AtomicU64| c.load(Ordering::Relaxed);
        of(&self.inserted) + of(&self.updated) + of(&self.deleted)
    }
    fn net(&self) -> i64 {
        self.inserted.load(Ordering::Relaxed).cast_signed()
            - self.deleted.load(Ordering::Relaxed).cast_signed()
    }
    /// By how many rows it has grown or shrunk since the last ANALYZE.
    pub fn resized_since_analyze(&self) -> u64 {
        (self.net() - self.net_before.load(Ordering::Relaxed)).unsigned_abs()
    }
    /// Microseconds since the last ANALYZE.
    pub fn micros_since_analyze(&self) -> i64 {
        let last = |t: &AtomicI64| t.load(Ordering::Relaxed);
        let last = last(&self.analyze.last_asked).max(last(&self.analyze.last_automatic));
        platform::time::wall_clock_micros().saturating_sub(last)
    }
    /// Rows added since the last vacuum.
    pub fn inserted_since_vacuum(&self) -> u64 {
        let before = self.inserted_before.load(Ordering::Relaxed);
        self.inserted.load(Ordering::Relaxed).saturating_sub(before)
    }
    /// Rows changed since the last ANALYZE.
    pub fn changed_since_analyze(&self) -> u64 {
        self.changed().saturating_sub(self.changed_before.load(Ordering::Relaxed))
    }
    /// Counts from nothing again. What decides when to vacuum and to analyse counts as if that had just been done, as in
    /// PostgreSQL.
    pub fn reset(&self) {
        let counters = [
            &self.inserted,
            &self.updated,
            &self.hot_updated,
            &self.deleted,
            &self.seq_scans,
            &self.seq_rows,
            &self.index_scans,
            &self.index_rows,
            &self.inserted_before,
            &self.changed_before,
            &self.vacuum.asked,
            &self.vacuum.automatic,
            &self.analyze.asked,
            &self.analyze.automatic,
        ];
        counters.iter().for_each(|c| c.store(0, Ordering::Relaxed));
        for t in [&self.net_before, &self.vacuum.last_asked, &self.vacuum.last_automatic] {
            t.store(0, Ordering::Relaxed);
        }
        for t in [&self.analyze.last_asked, &self.analyze.last_automatic] {
            t.store(0, Ordering::Relaxed);
        }
    }
    /// It was vacuumed.
    pub fn vacuumed(&self, automatic: bool) {
        self.inserted_before.store(self.inserted.load(Ordering::Relaxed), Ordering::Relaxed);
        self.vacuum.note(automatic);
    }
    /// It was analysed.
    pub fn analyzed(&self, automatic: bool) {
        self.changed_before.store(self.changed(), Ordering::Relaxed);
        self.net_before.store(self.net(), Ordering::Relaxed);
        self.analyze.note(automatic);
    }
}
