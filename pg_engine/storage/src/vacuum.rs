//! Vacuum, asked for or by itself.

use alloc::{
    sync::{Arc, Weak},
    vec::Vec,
};
use core::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    time::Duration,
};

use pg_buffer_manager::Lookahead;
use pg_heap::VacuumStats;
use pg_page::{RelId, StorageError, Xid};
use pg_volume::RelationKind;
use platform::task;

use crate::{
    api::Upkeep,
    storage::{Open, Result, Storage},
};

/// How often the background task looks for work.
const PAUSE: Duration = Duration::from_secs(1);
/// How often who waits for another vacuum looks whether it has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// Fewer changed rows than this need no new statistics.
const ANALYZE_THRESHOLD: u64 = 50;
/// Rows that only change make no new statistics necessary more often than so many microseconds; a table that grows does.
const ANALYZE_PAUSE: i64 = 60_000_000;
/// Aborted ids that are remembered before something is done about it.
const MANY_ABORTED: usize = 20_000;
/// Pages between pauses in the background.
const PAGES_AT_A_TIME: u32 = 64;

/// The one vacuum of a heap.
struct Turn<'a>(&'a AtomicBool);

impl<'a> Turn<'a> {
    /// None: another one is at work.
    fn begin(vacuuming: &'a AtomicBool) -> Option<Self> {
        // Not `then_some`: what it would make and drop is the other one's turn.
        (!vacuuming.swap(true, Ordering::AcqRel)).then(|| Self(vacuuming))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Storage {
    /// Removes dead row versions and their index entries (of every index over the heap). Does nothing while an index of the heap
    /// is being created, and stops with [`StorageError::Canceled`] when someone wants to drop the heap or create an index. Waits for
    /// another vacuum of the heap to end.
    pub fn vacuum(&self, rel: RelId) -> Result<VacuumStats> {
        self.vacuum_until(rel, || true)
    }

    /// As [`Storage::vacuum`]; ends with [`StorageError::Canceled`] when `go_on`, which is asked page by page, says so. What was
    /// done until then remains.
    pub fn vacuum_until(&self, rel: RelId, mut go_on: impl FnMut() -> bool) -> Result<VacuumStats> {
        let open = self.opened(rel)?;
        let _turn = loop {
            match Turn::begin(&open.vacuuming) {
                Some(turn) => break turn,
                None if go_on() => task::sleep(LOOK_AGAIN),
                None => return Err(StorageError::Canceled),
            }
        };
        let stats = self.vacuum_paced(rel, go_on)?;
        self.activity(rel)?.vacuumed(false);
        Ok(stats)
    }

    /// Heaps of which so many rows have changed that their statistics may be wrong.
    pub fn due_for_analyze(&self) -> Vec<RelId> {
        let all = self.engine.directory.all();
        let due = all.iter().filter(|r| {
            if r.kind != RelationKind::Heap || r.creator().is_some() {
                return false;
            }
            let live = r.live.load(Ordering::Relaxed).max(0) as u64;
            let (changed, upkeep) = (r.activity.changed_since_analyze(), self.upkeep(r.id));
            upkeep.enabled
                && match upkeep.changed {
                    Some(limit) => Upkeep::passed(changed, live, limit),
                    None => {
                        changed > ANALYZE_THRESHOLD + live / 10
                            && (r.activity.resized_since_analyze() > ANALYZE_THRESHOLD + live / 2
                                || r.activity.micros_since_analyze() > ANALYZE_PAUSE)
                    }
                }
        });
        due.map(|r| r.id).collect()
    }

    /// When a heap is to be vacuumed and analysed by itself. Kept in memory only.
    pub fn set_upkeep(&self, rel: RelId, upkeep: Upkeep) -> Result<()> {
        *self.opened(rel)?.upkeep.lock() = upkeep;
        Ok(())
    }

    fn upkeep(&self, rel: RelId) -> Upkeep {
        self.opened_already(rel).map_or_else(Upkeep::default, |o| *o.upkeep.lock())
    }

    /// A heap was analysed.
    pub fn note_analyzed(&self, rel: RelId, automatic: bool) {
        if let Ok(activity) = self.activity(rel) {
            activity.analyzed(automatic);
        }
    }

    /// The caller has the turn.
    fn vacuum_paced(&self, rel: RelId, mut go_on: impl FnMut() -> bool) -> Result<VacuumStats> {
        self.check_open()?;
        let open = self.opened(rel)?;
        let heap = self.heap(&open)?;
        let _gate = open.gate.read();
        // It may have been removed while this task waited.
        self.engine.directory.get(rel).ok_or(StorageError::NoSuchRelation(rel))?;
        let give_way = |o: &Open| {
            if o.wanted.load(Ordering::Acquire) { Err(StorageError::Canceled) } else { Ok(()) }
        };
        let indexes: Vec<Arc<Open>> = self
            .engine
            .directory
            .all()
            .iter()
            .filter(|r| r.kind.indexed() == Some(rel))
            .filter_map(|r| self.opened(r.id).ok())
            .collect();
        if indexes.iter().any(|i| i.rel.creator().is_some()) {
            return Ok(VacuumStats::default());
        }
        let horizon = self.engine.transactions.fresh_horizon();
        let blocks = 0..open.rel.blocks();
        let mut ahead = Lookahead::new(&blocks);
        let mut found = heap.collect_dead(|block| {
            ahead.at(&self.engine.pool, &open.rel, block);
            if go_on() { give_way(&open) } else { Err(StorageError::Canceled) }
        })?;
        if !found.dead.is_empty() {
            for index in &indexes {
                let _gate = index.gate.read();
                if self.engine.directory.get(index.rel.id).is_some() {
                    found.stats.index_entries_removed += self.any_index(index)?.remove(&found.dead)?;
                }
                give_way(&open)?;
            }
        }
        heap.free_dead(&found, horizon)?;
        Ok(found.stats)
    }
}

/// Looks for heaps with many dead versions.
pub(crate) fn background(storage: &Weak<Storage>) {
    while let Some(s) = storage.upgrade() {
        if !s.next_turn(PAUSE) {
            return;
        }
        let all = s.engine.directory.all();
        // When too many aborted ids must be remembered, the heap that stands most in the way of forgetting is vacuumed.
        let heaps = || all.iter().filter(|r| r.kind == RelationKind::Heap);
        let least = heaps().min_by_key(|r| r.vacuumed.load(Ordering::Acquire)).map(|r| r.id);
        let crowded = s.engine.transactions.remembered() > MANY_ABORTED;
        for rel in &all {
            if rel.kind != RelationKind::Heap || rel.creator().is_some() {
                continue;
            }
            let count = |n: &AtomicI64| n.load(Ordering::Relaxed).max(0) as u64;
            let (live, dead, upkeep) = (count(&rel.live), count(&rel.dead), s.upkeep(rel.id));
            let added = rel.activity.inserted_since_vacuum();
            let wanted = Upkeep::passed(dead, live, upkeep.dead)
                || upkeep.added.is_some_and(|limit| Upkeep::passed(added, live, limit));
            let due = wanted && upkeep.enabled || crowded && least == Some(rel.id);
            if !due {
                continue;
            }
            let Ok(open) = s.opened(rel.id) else { continue };
            let Some(_turn) = Turn::begin(&open.vacuuming) else { continue };
            let mut pages = 0;
            let done = s.vacuum_paced(rel.id, || {
                pages += 1;
                if pages % PAGES_AT_A_TIME == 0 {
                    task::sleep(Duration::from_millis(1));
                }
                true
            });
            match done {
                Ok(v) => {
                    rel.activity.vacuumed(true);
                    log::debug!("vacuum of relation {}: {v:?}", rel.id.0);
                }
                Err(
                    StorageError::Canceled | StorageError::ShuttingDown | StorageError::NoSuchRelation(_),
                ) => {}
                Err(e) => log::error!("vacuum of relation {} failed: {e}", rel.id.0),
            }
        }
        if crowded && let Some(before) = heaps().map(|r| r.vacuumed.load(Ordering::Acquire)).min() {
            s.engine.transactions.forget_aborted(Xid(before));
        }
    }
}
