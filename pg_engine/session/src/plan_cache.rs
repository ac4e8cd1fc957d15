//! Plans by statement text, shared by all sessions.
//!
//! Sharded by the key's hash, each shard under a lock of its own that is held for one lookup. A shard keeps two
//! generations of entries: when the young one is full the old one is dropped and the young one becomes old; a hit in the
//! old one moves the entry to the young one. So what is used stays, in bounded memory, without a list to maintain.
//! Sessions keep the entries of their prepared statements themselves and come here only to make new ones.

use alloc::{sync::Arc, vec::Vec};
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use pg_types::Oid;
use platform::sync::Mutex;

use crate::statement::{Plan, Stamp};

const SHARDS: usize = 16;
/// Entries of a generation of a shard.
const GENERATION: usize = 64;
/// Longer texts are not kept: they are rarely sent twice.
const MAX_TEXT: usize = 16 << 10;

#[derive(Default)]
struct Shard {
    young: HashTable<Arc<Plan>>,
    old: HashTable<Arc<Plan>>,
}

/// See the module.
pub struct PlanCache {
    hasher: DefaultHashBuilder,
    shards: Vec<Mutex<Shard>>,
}

impl Default for PlanCache {
    fn default() -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::default())).collect(),
        }
    }
}

fn matches(plan: &Plan, text: &str, types: &[Option<Oid>]) -> bool {
    plan.text() == text && plan.declared == types
}

impl PlanCache {
    /// The key's hash.
    pub fn hash(&self, text: &str, types: &[Option<Oid>]) -> u64 {
        self.hasher.hash_one((text, types))
    }
    fn shard(&self, hash: u64) -> Option<&Mutex<Shard>> {
        #[allow(clippy::cast_possible_truncation, reason = "any bits do")]
        self.shards.get((hash >> 32) as usize % SHARDS)
    }

    /// A plan for this text made under this stamp.
    pub fn get(&self, text: &str, types: &[Option<Oid>], stamp: &Stamp) -> Option<Arc<Plan>> {
        if !stamp.is_shared() {
            return None;
        }
        let hash = self.hash(text, types);
        let mut shard = self.shard(hash)?.lock();
        if let Some(plan) = shard.young.find(hash, |p| matches(p, text, types)) {
            return (plan.stamp == *stamp).then(|| plan.clone());
        }
        let plan = shard.old.find_entry(hash, |p| matches(p, text, types)).ok()?.remove().0;
        if plan.stamp != *stamp {
            return None;
        }
        self.insert(&mut shard, hash, plan.clone());
        Some(plan)
    }

    /// Keeps a plan, in place of an older one for the same text.
    pub fn put(&self, plan: &Arc<Plan>) {
        if !plan.stamp.is_shared() || !plan.planned.cacheable || plan.text().len() > MAX_TEXT {
            return;
        }
        let hash = self.hash(plan.text(), &plan.declared);
        let Some(shard) = self.shard(hash) else { return };
        let mut shard = shard.lock();
        if let Ok(old) = shard.young.find_entry(hash, |p| matches(p, plan.text(), &plan.declared)) {
            old.remove();
        }
        self.insert(&mut shard, hash, plan.clone());
    }

    fn insert(&self, shard: &mut Shard, hash: u64, plan: Arc<Plan>) {
        if shard.young.len() >= GENERATION {
            shard.old = core::mem::take(&mut shard.young);
        }
        shard.young.insert_unique(hash, plan, |p| self.hash(p.text(), &p.declared));
    }
}
