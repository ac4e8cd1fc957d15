//! What statements cost, for `pg_stat_statements`: one entry for all that differ in their constants only.
//!
//! Statements of a database are counted while the extension is installed in it. A plan finds its entry once and keeps it,
//! so that a run costs two readings of the clock and one lock that only runs of the same statement want. An entry that was
//! evicted or reset comes back when its plan runs again.
//!
//! Lock order: the table of entries, then one entry.

use alloc::{sync::Arc, vec::Vec};
use core::{
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use hashbrown::HashMap;
use pg_executor::{StatementInfo, StatementRow};
use pg_sql::{ParsedStatement, fingerprint::fingerprint};
use pg_types::Oid;
use platform::{
    sync::Mutex,
    tally::{self, Tallies},
    time,
};

use crate::{env, portal::QueryRun, session::Session};

/// Statements other than queries with a longer text are not counted: their texts hold data.
const MAX_TEXT: usize = 16 << 10;
/// Most entries (`pg_stat_statements.max`); when there are more, those that ran least are forgotten.
const MAX_ENTRIES: usize = 5000;
/// How many are forgotten at once.
const EVICTED: usize = MAX_ENTRIES / 20;

/// Which statement, by whom and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// `pg_authid.oid`.
    pub user: Oid,
    /// `pg_database.oid`.
    pub database: Oid,
    /// See [`pg_sql::fingerprint`].
    pub query: i64,
}

/// What its runs cost together.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    calls: u64,
    rows: u64,
    /// Milliseconds.
    total: f64,
    min: f64,
    max: f64,
    mean: f64,
    /// Sum of the squared differences from the mean (Welford).
    squares: f64,
    usage: Tallies,
}

impl Totals {
    #[allow(clippy::cast_precision_loss, reason = "times for people")]
    fn add(&mut self, rows: u64, ms: f64, usage: &Tallies) {
        self.usage.add(usage);
        self.calls += 1;
        self.rows += rows;
        self.total += ms;
        self.min = if self.calls == 1 { ms } else { self.min.min(ms) };
        self.max = self.max.max(ms);
        let before = self.mean;
        self.mean += (ms - before) / self.calls as f64;
        self.squares += (ms - before) * (ms - self.mean);
    }
}

/// What a run took; or, at its beginning, what the clock and the task's counts were.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effort {
    took: Duration,
    usage: Tallies,
}

impl Effort {
    fn begin() -> Self {
        Self { took: time::monotonic(), usage: tally::read() }
    }
    /// What it took since it began.
    pub fn end(&self) -> Self {
        Self { took: time::monotonic() - self.took, usage: tally::read().since(&self.usage) }
    }
    /// Adds another part of the same run.
    pub fn add(&mut self, part: &Self) {
        self.took += part.took;
        self.usage.add(&part.usage);
    }
}

/// The runs of a statement.
pub struct Entry {
    key: Key,
    text: Arc<str>,
    /// It is in the table.
    listed: AtomicBool,
    totals: Mutex<Totals>,
}

/// See the module.
pub struct StatementStats {
    entries: Mutex<HashMap<Key, Arc<Entry>>>,
    evicted: AtomicU64,
    since: AtomicI64,
}

impl Default for StatementStats {
    fn default() -> Self {
        Self { entries: Mutex::default(), evicted: AtomicU64::new(0), since: AtomicI64::new(env::now()) }
    }
}

impl StatementStats {
    /// The entry of a statement; `text` makes the text of a new one.
    pub fn entry(&self, key: Key, text: impl FnOnce() -> Arc<str>) -> Arc<Entry> {
        if let Some(found) = self.entries.lock().get(&key) {
            return found.clone();
        }
        let (listed, totals) = (AtomicBool::new(false), Mutex::default());
        Arc::new(Entry { key, text: text(), listed, totals })
    }

    /// A run has ended.
    pub fn ran(&self, entry: &Arc<Entry>, rows: u64, effort: &Effort) {
        if !entry.listed.load(Relaxed) {
            self.list(entry);
        }
        entry.totals.lock().add(rows, effort.took.as_secs_f64() * 1000.0, &effort.usage);
    }

    fn list(&self, entry: &Arc<Entry>) {
        let mut entries = self.entries.lock();
        if entries.len() >= MAX_ENTRIES {
            self.evict(&mut entries);
        }
        entry.listed.store(true, Relaxed);
        // Of two that were made at the same time one counts for nobody to see, until its plan is made anew.
        entries.entry(entry.key).or_insert_with(|| entry.clone());
    }

    fn evict(&self, entries: &mut HashMap<Key, Arc<Entry>>) {
        let mut calls: Vec<(u64, Key)> = entries.values().map(|e| (e.totals.lock().calls, e.key)).collect();
        calls.sort_unstable_by_key(|c| c.0);
        for (_, key) in calls.iter().take(EVICTED) {
            if let Some(entry) = entries.remove(key) {
                entry.listed.store(false, Relaxed);
            }
        }
        self.evicted.fetch_add(1, Relaxed);
    }

    /// `pg_stat_statements_reset`: forgets the entries of a user, a database, a statement; 0: of any.
    pub fn reset(&self, user: Oid, database: Oid, query: i64) {
        let mut entries = self.entries.lock();
        entries.retain(|key, entry| {
            let named = (user == 0 || key.user == user)
                && (database == 0 || key.database == database)
                && (query == 0 || key.query == query);
            if named {
                entry.listed.store(false, Relaxed);
                *entry.totals.lock() = Totals::default();
            }
            !named
        });
        if (user, database, query) == (0, 0, 0) {
            self.evicted.store(0, Relaxed);
            self.since.store(env::now(), Relaxed);
        }
    }

    /// How often entries were evicted, and since when the table is kept.
    pub fn info(&self) -> StatementInfo {
        StatementInfo { evicted: self.evicted.load(Relaxed), since: self.since.load(Relaxed) }
    }

    /// All entries.
    pub fn rows(&self) -> Vec<StatementRow> {
        let entries = self.entries.lock();
        entries.values().map(|e| row(e)).collect()
    }
}

impl Session {
    /// This moment, if statements are counted.
    pub(crate) fn counting(&self) -> Option<Effort> {
        // Those of an extension's script are not the client's.
        let outer = || self.tx.txn.as_ref().is_none_or(|t| t.extension().is_none());
        (self.database.counts_statements.load(Relaxed) && outer()).then(Effort::begin)
    }

    /// A query or change ran to its end.
    pub(crate) fn count_query(&self, query: &QueryRun) {
        let plan = &query.plan;
        let entry = plan.entry.get_or_init(|| self.entry_of(plan.text(), true, &plan.planned.relations));
        let (effort, rows) = query.effort();
        self.shared.statement_stats.ran(entry, rows, effort);
    }

    /// Another statement ran to its end.
    pub(crate) fn count_utility(&self, statement: &ParsedStatement, begun: &Effort) {
        if statement.text().len() <= MAX_TEXT {
            let entry = self.entry_of(statement.text(), false, &[]);
            self.shared.statement_stats.ran(&entry, 0, &begun.end());
        }
    }

    fn entry_of(&self, text: &str, constants: bool, relations: &[Oid]) -> Arc<Entry> {
        let (hash, shown) = fingerprint(text, constants).unwrap_or_else(|_| (0, text.into()));
        // The same text over other relations is another statement.
        let query = relations.iter().fold(hash, |h, &r| h.rotate_left(5) ^ u64::from(r));
        let key = Key {
            user: self.env.identity().user,
            database: self.engine.catalog().database(),
            query: query as i64,
        };
        self.shared.statement_stats.entry(key, || shown.into())
    }
}

#[allow(clippy::cast_precision_loss, reason = "times for people")]
fn row(e: &Entry) -> StatementRow {
    let t = *e.totals.lock();
    StatementRow {
        user: e.key.user,
        database: e.key.database,
        query: e.key.query,
        text: e.text.clone(),
        calls: t.calls,
        rows: t.rows,
        total_ms: t.total,
        min_ms: t.min,
        max_ms: t.max,
        mean_ms: t.mean,
        usage: t.usage,
        deviation_ms: libm::sqrt(t.squares / (t.calls.max(1)) as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(query: i64) -> Key {
        Key { user: 10, database: 5, query }
    }

    fn took(ms: u64) -> Effort {
        Effort { took: Duration::from_millis(ms), usage: Tallies::default() }
    }

    #[test]
    fn runs_add_up_and_forgotten_entries_come_back() {
        let stats = StatementStats::default();
        let entry = stats.entry(key(7), || Arc::from("SELECT $1"));
        assert!(stats.rows().is_empty());
        for ms in [1, 2, 6] {
            stats.ran(&entry, 2, &took(ms));
        }
        let rows = stats.rows();
        assert_eq!((rows[0].calls, rows[0].rows, &*rows[0].text), (3, 6, "SELECT $1"));
        assert!((rows[0].mean_ms - 3.0).abs() < 1e-9 && (rows[0].min_ms - 1.0).abs() < 1e-9);
        assert!((rows[0].deviation_ms - libm::sqrt(14.0 / 3.0)).abs() < 1e-9);
        stats.reset(0, 0, 8);
        assert_eq!(stats.rows().len(), 1);
        stats.reset(10, 0, 7);
        assert!(stats.rows().is_empty());
        stats.ran(&entry, 1, &took(4));
        assert_eq!((stats.rows()[0].calls, stats.rows()[0].rows), (1, 1));
    }

    #[test]
    fn those_that_ran_least_are_evicted() {
        let stats = StatementStats::default();
        let busy = stats.entry(key(0), || Arc::from("busy"));
        for _ in 0..3 {
            stats.ran(&busy, 0, &took(0));
        }
        for n in 1..=MAX_ENTRIES as i64 {
            let entry = stats.entry(key(n), || Arc::from("once"));
            stats.ran(&entry, 0, &took(0));
        }
        let rows = stats.rows();
        assert_eq!(rows.len(), MAX_ENTRIES - EVICTED + 1);
        assert!(rows.iter().any(|r| r.calls == 3));
        assert_eq!(stats.info().evicted, 1);
    }
}
