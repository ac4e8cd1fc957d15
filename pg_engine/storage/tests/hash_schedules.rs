//! A hash index under many schedules: buckets are split, emptied and looked up by several tasks that are interrupted anywhere, with
//! fewer frames than it has pages.
//!
//! Runs on the simulated platform only: `RUSTFLAGS='--cfg intralith_platform="simulated"' cargo test -p pg_storage`.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking
#![cfg(intralith_platform = "simulated")]

use std::sync::Arc;

use pg_storage::*;
use platform::{
    block::BlockDevice,
    simulated::{Outcome, disk::SimDisk, simulate},
    task,
};

const SEEDS: u64 = 40;
const WRITERS: u32 = 3;
const ROUNDS: u32 = 6;
/// Rows of a round; every other one has the writer's common key, so that its bucket gets long.
const ROWS: u32 = 300;
/// Keys that are there before anyone begins, and stay.
const STABLE: u32 = 200;

type Both = (RelId, RelId);

fn put(s: &Arc<Storage>, t: &mut Transaction, (heap, index): Both, key: u32) -> Tid {
    let key = key.to_be_bytes();
    let tid = s.heap_insert(t, heap, &key).unwrap();
    s.index_insert(t, index, &key, tid, Unique::No).unwrap();
    tid
}

/// The rows that a new snapshot sees by a key.
fn seen(s: &Arc<Storage>, (heap, index): Both, key: u32) -> Vec<Tid> {
    let key = key.to_be_bytes();
    let snapshot = s.begin(Isolation::ReadCommitted).snapshot();
    let mut tids = Vec::new();
    s.index_lookup(index, &key, &mut tids).unwrap();
    assert!(tids.is_sorted_by(|a, b| a < b), "in order, each once");
    tids.retain(|t| s.heap_fetch(heap, *t, &snapshot, |_, row| row == key).unwrap() == Some(true));
    tids
}

fn common(writer: u32) -> u32 {
    1_000_000 + writer
}

fn own(writer: u32, round: u32, row: u32) -> u32 {
    2_000_000 + (writer * ROUNDS + round) * ROWS + row
}

/// Inserts rounds of rows, rolls some back, and deletes half of what it had put in the round before.
fn write(s: &Arc<Storage>, both: Both, writer: u32) {
    let mut before: Vec<(u32, Tid)> = Vec::new();
    let mut commons = 0;
    for round in 0..ROUNDS {
        let mut t = s.begin(Isolation::ReadCommitted);
        let mut rows = Vec::new();
        for row in 0..ROWS {
            let key = if row % 2 == 0 { common(writer) } else { own(writer, round, row) };
            rows.push((key, put(s, &mut t, both, key)));
        }
        let deleted: Vec<_> = before.iter().filter(|(key, _)| key % 4 == 1).copied().collect();
        for (_, tid) in &deleted {
            assert!(matches!(s.heap_delete(&mut t, both.0, *tid).unwrap(), RowOutcome::Done { .. }));
        }
        if round % 3 == 2 {
            t.abort();
            assert!(rows.iter().all(|(key, _)| *key == common(writer) || seen(s, both, *key).is_empty()));
            continue;
        }
        t.commit().unwrap();
        for (key, _) in &deleted {
            assert!(seen(s, both, *key).is_empty(), "key {key} was deleted");
        }
        commons += rows.iter().filter(|(key, _)| *key == common(writer)).count();
        // No one else has its keys.
        assert_eq!(seen(s, both, common(writer)).len(), commons);
        for (key, tid) in rows.iter().filter(|(key, _)| *key != common(writer)) {
            assert_eq!(seen(s, both, *key), [*tid], "key {key}");
        }
        before = rows.into_iter().filter(|(key, _)| *key != common(writer)).collect();
    }
}

fn machine(disk: Arc<SimDisk>) -> u32 {
    let device: Arc<dyn BlockDevice> = disk;
    Storage::format(&*device, &FormatOptions { wal_bytes: Some(4 << 20), config: Vec::new() }).unwrap();
    let config = StorageConfig { buffer_pool_bytes: 32 * 8192, ..Default::default() };
    let s = Storage::open(device, config).unwrap();
    let mut t = s.begin(Isolation::ReadCommitted);
    let heap = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    let index = s.create_relation(&mut t, RelationKind::Hash { heap }).unwrap();
    let both = (heap, index);
    for key in 0..STABLE {
        put(&s, &mut t, both, key);
    }
    t.commit().unwrap();
    let mut tasks: Vec<_> = (0..WRITERS)
        .map(|w| {
            let s = s.clone();
            task::spawn("writer", move || write(&s, both, w))
        })
        .collect();
    for reader in 0..2 {
        let s = s.clone();
        tasks.push(task::spawn("reader", move || {
            for key in (0..STABLE * 2).map(|n| (n * 7 + reader * 13) % STABLE) {
                assert_eq!(seen(&s, both, key).len(), 1, "key {key}");
            }
        }));
    }
    // Two vacuums at a time, and perhaps one by itself.
    for _ in 0..2 {
        let s = s.clone();
        tasks.push(task::spawn("cleaner", move || {
            for _ in 0..4 {
                s.vacuum(heap).unwrap();
                s.verify().unwrap();
            }
        }));
    }
    for t in tasks {
        t.join().unwrap();
    }
    s.vacuum(heap).unwrap();
    s.verify().unwrap();
    let pages = s.relation_stats(index).unwrap().pages;
    s.shutdown().unwrap();
    pages
}

#[test]
fn nothing_is_missed_under_any_schedule() {
    let mut most = 0;
    for seed in 0..SEEDS {
        let report = simulate(seed, || machine(Arc::new(SimDisk::new(24 << 20, 4096))));
        assert!(report.panics.is_empty(), "seed {seed}: {:?}", report.panics);
        let Outcome::Finished(pages) = report.outcome else { panic!("seed {seed}: {:?}", report.outcome) };
        most = most.max(pages);
    }
    // Buckets were split, and had pages behind the first.
    assert!(most > 14, "at most {most} pages");
}
