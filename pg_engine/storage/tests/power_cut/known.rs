//! What the clients know, across the deaths of the machine, and what follows from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use pg_storage::RelId;

/// The relations that every life uses.
#[derive(Clone, Copy)]
pub struct Tables {
    pub accounts: RelId,
    pub accounts_key: RelId,
    pub history: RelId,
    pub history_key: RelId,
    pub churn: RelId,
    pub churn_key: RelId,
    /// Large values of churn.
    pub large: RelId,
    pub large_key: RelId,
    /// Groups of rows, all or none of each, and a hash index.
    pub groups: RelId,
    pub groups_key: RelId,
    /// Objects that DDL made: a row each.
    pub objects: RelId,
}

/// When a commit was asked for and when it was acknowledged, on a clock that ticks at each such event.
#[derive(Clone, Copy)]
struct Commit {
    asked: u64,
    acknowledged: Option<u64>,
    /// The client waited for the disk.
    awaited: bool,
}

/// An object that DDL makes, empties and drops: none, or so many rows.
pub type ObjectState = Option<u32>;

#[derive(Default)]
pub struct Known {
    /// The relations, once their creation was acknowledged.
    pub tables: Option<Tables>,
    /// The relations whose creation was asked for.
    pub making: Option<Tables>,
    commits: BTreeMap<u64, Commit>,
    clock: u64,
    /// Operations that were rolled back or lost: they must not be seen.
    undone: BTreeSet<u64>,
    /// Indexes of the accounts, one of which counts: the last whose creation was acknowledged, or one after it.
    pub extra: Vec<RelId>,
    /// Transfers that are prepared and that no one has begun to end.
    pub prepared: BTreeSet<u64>,
    /// What each object may be.
    pub objects: BTreeMap<u64, BTreeSet<ObjectState>>,
    /// Lives so far.
    pub runs: u64,
    /// Asynchronous commits that a cut took.
    pub lost: usize,
    /// How often what was done, by name.
    pub tally: BTreeMap<&'static str, u64>,
    /// Backups that were completed.
    pub backups: Vec<Backup>,
}

/// A backup, and what must and may be in it.
pub struct Backup {
    pub bytes: Vec<u8>,
    /// Operations that were durable when it began.
    pub must: BTreeSet<u64>,
    /// Operations that had asked for their commit when it ended.
    pub may: BTreeSet<u64>,
}

/// The power may have gone while someone held it.
pub fn know(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
    /// Something was done.
    pub fn did(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }
    /// Operations whose commit the disk has.
    pub fn durable(&self) -> BTreeSet<u64> {
        self.commits
            .iter()
            .filter(|(_, c)| c.awaited && c.acknowledged.is_some())
            .map(|(op, _)| *op)
            .collect()
    }
    /// Operations that asked for their commit.
    pub fn committing(&self) -> BTreeSet<u64> {
        self.commits.keys().copied().collect()
    }
    /// A commit is about to be asked for.
    pub fn asked(&mut self, op: u64, awaited: bool) {
        let asked = self.tick();
        let before = self.commits.insert(op, Commit { asked, acknowledged: None, awaited });
        assert!(before.is_none(), "operation {op:x} commits twice");
    }
    /// It was acknowledged.
    pub fn acknowledged(&mut self, op: u64) {
        let now = self.tick();
        self.commits.get_mut(&op).expect("a commit that nobody asked for").acknowledged = Some(now);
    }
    /// Its effects were shown to someone: as good as acknowledged, if its client waits for the disk.
    pub fn seen(&mut self, op: u64) {
        let now = self.tick();
        if let Some(c) = self.commits.get_mut(&op).filter(|c| c.awaited && c.acknowledged.is_none()) {
            c.acknowledged = Some(now);
        }
    }
    /// The operation failed or was rolled back.
    pub fn undone(&mut self, op: u64) -> bool {
        self.commits.remove(&op);
        self.undone.insert(op)
    }
    pub fn is_over(&self, op: u64) -> bool {
        self.undone.contains(&op) || self.commits.get(&op).is_some_and(|c| c.acknowledged.is_some())
    }
    pub fn count(&self) -> usize {
        self.commits.values().filter(|c| c.acknowledged.is_some()).count()
    }

    /// Compares with the operations whose effects are there. `cut`: the machine died since the last time, so that commits that
    /// nobody waited for may be gone; but then so is everything that came after them. `prepared`: what still waits for its end.
    pub fn compare(&mut self, present: &BTreeSet<u64>, prepared: &[u64], cut: bool) {
        let back: Vec<_> = self.undone.intersection(present).collect();
        assert!(back.is_empty(), "rolled back and there: {back:x?}");
        let mut lost = Vec::new();
        for (op, c) in self.commits.iter().filter(|(op, _)| !present.contains(op)) {
            if let Some(at) = c.acknowledged {
                assert!(cut && !c.awaited, "acknowledged and gone: {op:x}");
                lost.push((at, *op));
            }
        }
        if let Some((first, op)) = lost.iter().min() {
            for (later, c) in self.commits.iter().filter(|(op, _)| present.contains(op)) {
                assert!(c.asked < *first, "{op:x} is gone and {later:x}, which came later, is there");
            }
        }
        self.lost += lost.len();
        // What is decided now stays so.
        let now = self.tick();
        let gone: Vec<u64> = self.commits.keys().filter(|op| !present.contains(op)).copied().collect();
        if cut {
            for op in gone {
                if prepared.contains(&op) {
                    self.commits.remove(&op).is_some()
                } else {
                    self.undone(op)
                };
            }
            for c in self.commits.values_mut() {
                (c.acknowledged, c.awaited) = (Some(c.acknowledged.unwrap_or(now)), true);
            }
        }
    }

    /// What an object may come to be with a commit that is about to be asked for.
    pub fn object_may_be(&mut self, name: u64, state: ObjectState) {
        self.objects.entry(name).or_insert_with(|| BTreeSet::from([None])).insert(state);
    }
    /// What it is.
    pub fn object_is(&mut self, name: u64, state: ObjectState) {
        self.objects.insert(name, BTreeSet::from([state]));
    }
}
