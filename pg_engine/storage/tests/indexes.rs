//! Building indexes: several tasks, runs that do not fit in memory, and few distinct keys.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

use std::{collections::BTreeSet, sync::Arc};

use pg_storage::*;
use platform::{block::BlockDevice, memory_device::MemDevice};

fn device() -> Arc<dyn BlockDevice> {
    let d = MemDevice::new(256 << 20, 4096);
    Storage::format(&d, &FormatOptions { wal_bytes: Some(32 << 20), config: Vec::new() }).unwrap();
    Arc::new(d)
}

fn open(d: &Arc<dyn BlockDevice>) -> Arc<Storage> {
    let config = StorageConfig { buffer_pool_bytes: 8 << 20, background_tasks: false, ..Default::default() };
    Storage::open(d.clone(), config).unwrap()
}

/// A table of `n` rows, and what an index on `key` of them holds.
fn filled(s: &Arc<Storage>, n: u32, key: impl Fn(u32) -> Vec<u8>) -> (RelId, BTreeSet<(Vec<u8>, Tid)>) {
    let mut t = s.begin(Isolation::ReadCommitted);
    let heap = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    let mut all = BTreeSet::new();
    for i in 0..n {
        let tid = s.heap_insert(&mut t, heap, &key(i)).unwrap();
        all.insert((key(i), tid));
    }
    t.commit().unwrap();
    (heap, all)
}

struct Worker(IndexSorter, bool);

impl IndexWorker for Worker {
    fn row(&mut self, tid: Tid, payload: &[u8]) {
        self.0.push(payload, tid, true).unwrap();
    }
    fn goes_on(&mut self) -> bool {
        true
    }
    fn finish(&mut self) {
        self.0.sort();
        self.1 = true;
    }
}

fn content(s: &Arc<Storage>, index: RelId, direction: ScanDirection) -> Vec<(Vec<u8>, Tid)> {
    let mut c = s.index_scan(index, KeyBound::Unbounded, KeyBound::Unbounded, direction).unwrap();
    let mut got = Vec::new();
    while c.next_entries(|k, t| got.push((k.to_vec(), t))).unwrap() {}
    got
}

fn build(s: &Arc<Storage>, heap: RelId, tasks: usize, budget: usize, unique: bool) -> (RelId, IndexInsert) {
    let mut t = s.begin(Isolation::ReadCommitted);
    let index = s.create_relation(&mut t, RelationKind::BTree { heap }).unwrap();
    let workers = (0..tasks).map(|_| Worker(s.index_sorter(index, budget).unwrap(), false)).collect();
    let workers = s.heap_scan_by_workers(heap, workers, || true).unwrap();
    assert!(workers.iter().all(|w| w.1));
    if budget < 1 << 20 {
        assert!(workers.iter().any(|w| w.0.spills() > 1), "nothing was spilled");
    }
    let sorters = workers.into_iter().map(|w| w.0).collect();
    let distinct = if unique { Distinct::Whole } else { Distinct::No };
    let done = s.index_build_sorted(&mut t, index, sorters, distinct, || Ok::<(), StorageError>(())).unwrap();
    t.commit().unwrap();
    (index, done)
}

/// Keys of many lengths, in no order.
fn scattered(i: u32) -> Vec<u8> {
    let mut k = (i.wrapping_mul(2_654_435_761) >> 8).to_be_bytes().to_vec();
    k.resize(4 + (i % 50) as usize, b'k');
    k
}

#[test]
fn built_by_several_tasks_and_spilled() {
    let d = device();
    let s = open(&d);
    let (heap, all) = filled(&s, 30_000, scattered);
    let want: Vec<_> = all.into_iter().collect();
    let (free, _) = s.space();
    for (tasks, budget) in [(1, 16 << 20), (3, 16 << 20), (1, 64 << 10), (3, 64 << 10)] {
        let (index, done) = build(&s, heap, tasks, budget, true);
        assert_eq!(done, IndexInsert::Done);
        assert!(content(&s, index, ScanDirection::Forward) == want, "{tasks} tasks, {budget} bytes");
        let mut t = s.begin(Isolation::ReadCommitted);
        s.drop_relation(&mut t, index).unwrap();
        t.commit().unwrap();
    }
    assert_eq!(s.space().0, free, "scratch space was not given back");
    let (kept, _) = build(&s, heap, 2, 16 << 20, true);
    drop(s);
    let s = open(&d);
    assert!(content(&s, kept, ScanDirection::Forward) == want, "after recovery");
    s.verify().unwrap();
}

#[test]
fn a_stopped_scan_does_not_finish() {
    let s = open(&device());
    let (heap, _) = filled(&s, 30_000, scattered);
    let mut t = s.begin(Isolation::ReadCommitted);
    let index = s.create_relation(&mut t, RelationKind::BTree { heap }).unwrap();
    let workers = vec![Worker(s.index_sorter(index, 16 << 20).unwrap(), false)];
    let workers = s.heap_scan_by_workers(heap, workers, || false).unwrap();
    assert!(workers.iter().all(|w| !w.1));
}

#[test]
fn duplicates_are_found() {
    let s = open(&device());
    let (heap, _) = filled(&s, 5_000, |i| (i % 4_999).to_be_bytes().to_vec());
    for tasks in [1, 3] {
        assert!(matches!(build(&s, heap, tasks, 16 << 20, true).1, IndexInsert::Duplicate { .. }));
    }
}

#[test]
fn few_distinct_keys_take_little_room() {
    let d = device();
    let s = open(&d);
    let (heap, mut all) = filled(&s, 40_000, |i| vec![(i % 10) as u8; 40]);
    let (built, _) = build(&s, heap, 2, 16 << 20, false);
    // The same by single insertions, in tid order and against it.
    let mut t = s.begin(Isolation::ReadCommitted);
    let grown = s.create_relation(&mut t, RelationKind::BTree { heap }).unwrap();
    let entries: Vec<_> = all.iter().cloned().collect();
    for (n, e) in entries.iter().step_by(2).chain(entries.iter().skip(1).step_by(2).rev()).enumerate() {
        s.index_insert(&mut t, grown, &e.0, e.1, Unique::No).unwrap();
        if n % 1000 == 0 {
            // Once more changes nothing.
            s.index_insert(&mut t, grown, &e.0, e.1, Unique::No).unwrap();
        }
    }
    t.commit().unwrap();
    for (index, most) in [(built, 45), (grown, 75)] {
        let got = content(&s, index, ScanDirection::Forward);
        assert!(got == entries, "forward");
        let mut back = content(&s, index, ScanDirection::Backward);
        back.reverse();
        assert!(back == entries, "backward");
        let mut tids = Vec::new();
        s.index_lookup(index, &[3; 40], &mut tids).unwrap();
        assert_eq!(tids.len(), 4_000);
        // Six bytes a row, and not 58.
        let pages = s.relation_stats(index).unwrap().pages;
        assert!(pages < most, "{pages} pages");
    }
    // Removing rows takes their entries out of the lists.
    let mut t = s.begin(Isolation::ReadCommitted);
    for (_, tid) in entries.iter().filter(|(_, t)| t.slot % 3 == 0) {
        s.heap_delete(&mut t, heap, *tid).unwrap();
    }
    t.commit().unwrap();
    s.vacuum(heap).unwrap();
    all.retain(|(_, t)| t.slot % 3 != 0);
    for index in [built, grown] {
        assert!(content(&s, index, ScanDirection::Forward) == all.iter().cloned().collect::<Vec<_>>());
    }
    s.verify().unwrap();
}

/// Rows come at one end and go at the other: the index does not grow.
#[test]
fn emptied_pages_are_used_again() {
    let d = device();
    let s = open(&d);
    let mut t = s.begin(Isolation::ReadCommitted);
    let heap = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    let index = s.create_relation(&mut t, RelationKind::BTree { heap }).unwrap();
    t.commit().unwrap();
    let mut queue: std::collections::VecDeque<(Vec<u8>, Tid)> = Default::default();
    let mut most = 0;
    for round in 0..30u32 {
        let mut t = s.begin(Isolation::ReadCommitted);
        for i in 0..2_000u32 {
            let key = (round * 2_000 + i).to_be_bytes().repeat(4);
            let tid = s.heap_insert(&mut t, heap, &key).unwrap();
            s.index_insert(&mut t, index, &key, tid, Unique::No).unwrap();
            queue.push_back((key, tid));
        }
        while queue.len() > 3_000 {
            let (_, tid) = queue.pop_front().unwrap();
            s.heap_delete(&mut t, heap, tid).unwrap();
        }
        t.commit().unwrap();
        s.vacuum(heap).unwrap();
        let pages = s.relation_stats(index).unwrap().pages;
        if round < 6 {
            most = most.max(pages);
        }
        assert!(pages <= most + 2, "round {round}: {pages} pages, {most} before");
    }
    let want: Vec<_> = queue.iter().cloned().collect();
    assert!(content(&s, index, ScanDirection::Forward) == want);
    s.verify().unwrap();
    // What vacuum did becomes durable with the next commit.
    let mut t = s.begin(Isolation::ReadCommitted);
    s.heap_insert(&mut t, heap, b"last").unwrap();
    t.commit().unwrap();
    drop(s);
    let s = open(&d);
    let mut back = content(&s, index, ScanDirection::Backward);
    back.reverse();
    assert!(back == want, "after recovery");
    s.verify().unwrap();
}

/// Scans in both directions find every entry that stays while others come, go, and leave empty pages behind.
#[test]
fn scans_meet_pages_that_leave_the_tree() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let s = open(&device());
    let (heap, _) = filled(&s, 400, |i| (i * 1_000).to_be_bytes().repeat(8));
    let (index, _) = build(&s, heap, 1, 16 << 20, false);
    let stays = content(&s, index, ScanDirection::Forward);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for direction in [ScanDirection::Forward, ScanDirection::Backward] {
            let (s, stays, done) = (&s, &stays, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let mut t = s.begin(Isolation::ReadCommitted);
                    let snapshot = t.snapshot();
                    let mut got = content(s, index, direction);
                    if direction == ScanDirection::Backward {
                        got.reverse();
                    }
                    assert!(got.is_sorted(), "order");
                    got.dedup();
                    let set: BTreeSet<_> = got.into_iter().collect();
                    assert!(stays.iter().all(|e| set.contains(e)), "an entry was missed");
                    drop(snapshot);
                }
            });
        }
        for writer in 0..2u32 {
            let (s, done) = (&s, &done);
            scope.spawn(move || {
                for round in 0..12u32 {
                    // A stretch of keys fills some pages, and goes again.
                    let base = (round * 37 + writer * 11) % 390 * 1_000;
                    let mut tids = Vec::new();
                    let mut t = s.begin(Isolation::ReadCommitted);
                    for i in 1..900u32 {
                        let key = (base + i).to_be_bytes().repeat(8);
                        let tid = s.heap_insert(&mut t, heap, &key).unwrap();
                        s.index_insert(&mut t, index, &key, tid, Unique::No).unwrap();
                        tids.push(tid);
                    }
                    t.commit().unwrap();
                    let mut t = s.begin(Isolation::ReadCommitted);
                    for tid in tids {
                        s.heap_delete(&mut t, heap, tid).unwrap();
                    }
                    t.commit().unwrap();
                    s.vacuum(heap).unwrap();
                }
                done.store(true, Ordering::Relaxed);
            });
        }
    });
    s.vacuum(heap).unwrap();
    assert!(content(&s, index, ScanDirection::Forward) == stays);
    s.verify().unwrap();
}

/// A key of one byte pair with a carried string behind it.
fn carrying(key: u8, behind: &[u8]) -> Vec<u8> {
    let mut k = vec![key, 0];
    k.extend_from_slice(behind);
    carry(&mut k, 2);
    k
}

#[test]
fn carried_bytes_do_not_count_in_unique_checks() {
    let d = device();
    let s = open(&d);
    let (heap, rows) = filled(&s, 600, scattered);
    let tids: Vec<Tid> = rows.iter().map(|r| r.1).collect();
    let mut t = s.begin(Isolation::ReadCommitted);
    let index = s.create_relation(&mut t, RelationKind::BTree { heap }).unwrap();
    let entry = |key: &'static [u8], tid, unique| IndexEntry { key, carries: true, tid, unique };
    let key = |n: u8, i: usize| -> &'static [u8] { carrying(n, &[i as u8; 200]).leak() };
    let insert = |t: &mut Transaction, key, tid, unique| {
        s.index_insert_entry(t, index, &entry(key, tid, unique)).unwrap()
    };
    // One live key in the middle of many: whatever it carries, it is found, also from another leaf.
    assert_eq!(insert(&mut t, key(5, 7), tids[0], Unique::Yes), IndexInsert::Done);
    for i in 0..250 {
        insert(&mut t, key(if i % 2 == 0 { 4 } else { 6 }, i), tids[i + 1], Unique::No);
    }
    t.next_command();
    for i in [0, 7, 200] {
        for unique in [Unique::Yes, Unique::CheckOnly] {
            let got = insert(&mut t, key(5, i), tids[390 + i], unique);
            assert_eq!(got, IndexInsert::Duplicate { tid: tids[0] }, "{i} {unique:?}");
        }
    }
    // Many at once: the second of two with one key is a duplicate of the first.
    let (a, b) = (key(9, 1), key(9, 2));
    let mut taken = Vec::new();
    let both = [entry(a, tids[500], Unique::Yes), entry(b, tids[501], Unique::Yes)];
    s.index_insert_sorted(&mut t, index, &both, |n, tid| taken.push((n, tid))).unwrap();
    assert_eq!(taken, [(1, tids[500])]);
    // And so when built.
    for (keys, want) in [([8, 9], true), ([9, 9], false)] {
        let index = s.create_relation(&mut t, RelationKind::BTree { heap }).unwrap();
        let mut sorter = s.index_sorter(index, 1 << 20).unwrap();
        for (n, k) in keys.into_iter().enumerate() {
            sorter.push(&carrying(k, &[n as u8; 30]), tids[n], true).unwrap();
        }
        let pause = || Ok::<(), StorageError>(());
        let done = s.index_build_sorted(&mut t, index, vec![sorter], Distinct::Compared, pause).unwrap();
        assert_eq!(done == IndexInsert::Done, want);
    }
    t.commit().unwrap();
    s.verify().unwrap();
}
