//! Hash indexes against a model: what is looked up is what is there, whatever was inserted, removed, undone and reopened before.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread,
};

use pg_storage::*;
use platform::{block::BlockDevice, memory_device::MemDevice};
use proptest::prelude::*;

fn device() -> Arc<dyn BlockDevice> {
    let d = MemDevice::new(256 << 20, 4096);
    Storage::format(&d, &FormatOptions { wal_bytes: Some(64 << 20), config: Vec::new() }).unwrap();
    Arc::new(d)
}

fn open(d: &Arc<dyn BlockDevice>) -> Arc<Storage> {
    let config = StorageConfig { buffer_pool_bytes: 8 << 20, background_tasks: false, ..Default::default() };
    Storage::open(d.clone(), config).unwrap()
}

fn table(s: &Arc<Storage>) -> (RelId, RelId) {
    let mut t = s.begin(Isolation::ReadCommitted);
    let heap = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    let index = s.create_relation(&mut t, RelationKind::Hash { heap }).unwrap();
    t.commit().unwrap();
    (heap, index)
}

fn put(s: &Arc<Storage>, t: &mut Transaction, (heap, index): (RelId, RelId), key: &[u8]) -> Tid {
    let tid = s.heap_insert(t, heap, key).unwrap();
    s.index_insert(t, index, key, tid, Unique::No).unwrap();
    tid
}

/// The rows that a new snapshot sees by a key.
fn seen(s: &Arc<Storage>, (heap, index): (RelId, RelId), key: &[u8]) -> Vec<Tid> {
    let snapshot = s.begin(Isolation::ReadCommitted).snapshot();
    let mut tids = Vec::new();
    s.index_lookup(index, key, &mut tids).unwrap();
    assert!(tids.is_sorted_by(|a, b| a < b), "in order, each once");
    tids.retain(|t| s.heap_fetch(heap, *t, &snapshot, |_, row| row == key).unwrap() == Some(true));
    tids
}

fn pages(s: &Storage, rel: RelId) -> u32 {
    s.relation_stats(rel).unwrap().pages
}

#[derive(Clone, Debug)]
enum Step {
    /// So many rows with keys from this one on, or all with this one.
    Insert {
        key: u32,
        rows: u32,
        same: bool,
        commit: bool,
    },
    /// All rows of every key divisible by this.
    Delete(u32),
    Vacuum,
    /// The machine stops without a checkpoint.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u32..6000, 1u32..900, prop::bool::weighted(0.3), prop::bool::weighted(0.85))
            .prop_map(|(key, rows, same, commit)| Step::Insert { key, rows, same, commit }),
        2 => (1u32..5).prop_map(Step::Delete),
        2 => Just(Step::Vacuum),
        1 => Just(Step::Restart),
    ]
}

fn key(n: u32) -> Vec<u8> {
    format!("key {n}").into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn agrees_with_a_model(steps in prop::collection::vec(step(), 1..25)) {
        let d = device();
        let mut s = open(&d);
        let both = table(&s);
        let mut model: BTreeMap<u32, BTreeSet<Tid>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert { key: first, rows, same, commit } => {
                    let mut t = s.begin(Isolation::ReadCommitted);
                    for i in 0..rows {
                        let n = if same { first } else { first + i };
                        let tid = put(&s, &mut t, both, &key(n));
                        if commit {
                            model.entry(n).or_default().insert(tid);
                        }
                    }
                    if commit { t.commit().unwrap() } else { t.abort() }
                }
                Step::Delete(by) => {
                    let mut t = s.begin(Isolation::ReadCommitted);
                    for (_, tids) in model.iter().filter(|(n, _)| *n % by == 0) {
                        for tid in tids {
                            let done = s.heap_delete(&mut t, both.0, *tid).unwrap();
                            prop_assert!(matches!(done, RowOutcome::Done { .. }), "a row is gone");
                        }
                    }
                    t.commit().unwrap();
                    model.retain(|n, _| n % by != 0);
                }
                Step::Vacuum => {
                    s.vacuum(both.0).unwrap();
                }
                Step::Restart => {
                    drop(s);
                    s = open(&d);
                }
            }
        }
        s.verify().unwrap();
        for n in 0..7000 {
            let want: Vec<Tid> = model.get(&n).into_iter().flatten().copied().collect();
            prop_assert_eq!(seen(&s, both, &key(n)), want, "key {}", n);
        }
        // What is built at once holds the same.
        let mut t = s.begin(Isolation::ReadCommitted);
        let built = s.create_relation(&mut t, RelationKind::Hash { heap: both.0 }).unwrap();
        let mut entries = Vec::new();
        s.heap_scan_for_index(both.0, |tid, row| entries.push((row.to_vec(), tid, true))).unwrap();
        s.index_build(&mut t, built, &mut entries.into_iter(), false).unwrap();
        t.commit().unwrap();
        s.verify().unwrap();
        for (n, tids) in &model {
            prop_assert_eq!(seen(&s, (both.0, built), &key(*n)), tids.iter().copied().collect::<Vec<_>>());
        }
        // All rows gone, no entry is left.
        let mut t = s.begin(Isolation::ReadCommitted);
        for tid in model.values().flatten() {
            s.heap_delete(&mut t, both.0, *tid).unwrap();
        }
        t.commit().unwrap();
        s.vacuum(both.0).unwrap();
        let mut left = Vec::new();
        for n in 0..7000 {
            s.index_lookup(both.1, &key(n), &mut left).unwrap();
            s.index_lookup(built, &key(n), &mut left).unwrap();
        }
        prop_assert_eq!(left, []);
    }
}

#[test]
fn grows_and_uses_freed_pages_again() {
    let d = device();
    let s = open(&d);
    let both = table(&s);
    let fill = |from: u32| {
        let mut t = s.begin(Isolation::ReadCommitted);
        let tids: Vec<Tid> = (from..from + 60_000).map(|n| put(&s, &mut t, both, &key(n))).collect();
        t.commit().unwrap();
        tids
    };
    let tids = fill(0);
    let grown = pages(&s, both.1);
    // 581 entries fit on a page; buckets are half full on average at worst.
    assert!((104..250).contains(&grown), "{grown} pages");
    for n in (0..60_000).step_by(97) {
        assert_eq!(seen(&s, both, &key(n)), [tids[n as usize]]);
    }
    // One key many times: a long bucket, which vacuum makes short again.
    let mut t = s.begin(Isolation::ReadCommitted);
    let same: Vec<Tid> = (0..20_000).map(|_| put(&s, &mut t, both, b"same")).collect();
    t.commit().unwrap();
    assert_eq!(seen(&s, both, b"same").len(), 20_000);
    s.verify().unwrap();
    let before = pages(&s, both.1);
    for round in 0..3 {
        let mut t = s.begin(Isolation::ReadCommitted);
        let gone = if round == 0 { same.clone() } else { seen(&s, both, b"again") };
        gone.iter().for_each(|tid| {
            s.heap_delete(&mut t, both.0, *tid).unwrap();
        });
        t.commit().unwrap();
        s.vacuum(both.0).unwrap();
        assert_eq!(seen(&s, both, b"same"), []);
        let mut t = s.begin(Isolation::ReadCommitted);
        (0..15_000).for_each(|_| {
            put(&s, &mut t, both, b"again");
        });
        t.commit().unwrap();
        assert_eq!(seen(&s, both, b"again").len(), 15_000);
    }
    let after = pages(&s, both.1);
    assert!(after < before + 100, "{before} pages became {after}");
    s.verify().unwrap();
    drop(s);
    open(&d).verify().unwrap();
}

#[test]
fn built_indexes_are_compact() {
    let s = open(&device());
    let mut t = s.begin(Isolation::ReadCommitted);
    let heap = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    for n in 0..100_000u32 {
        s.heap_insert(&mut t, heap, &key(n % 50_000)).unwrap();
    }
    let index = s.create_relation(&mut t, RelationKind::Hash { heap }).unwrap();
    let mut sorter = s.index_sorter(index, 1 << 20).unwrap();
    s.heap_scan_for_index(heap, |tid, row| sorter.push(row, tid, true).unwrap()).unwrap();
    assert!(sorter.spills() > 1);
    let pause = || Ok::<(), StorageError>(());
    s.index_build_sorted(&mut t, index, vec![sorter], Distinct::No, pause).unwrap();
    t.commit().unwrap();
    assert_eq!(pages(&s, index), 256 + 2, "a power of two of buckets, two thirds full");
    s.verify().unwrap();
    for n in (0..50_000).step_by(111) {
        assert_eq!(seen(&s, (heap, index), &key(n)).len(), 2);
    }
}

#[test]
fn readers_and_writers_at_once() {
    let d = device();
    let s = open(&d);
    let both = table(&s);
    let mut t = s.begin(Isolation::ReadCommitted);
    for n in 0..2000 {
        put(&s, &mut t, both, &key(n));
    }
    t.commit().unwrap();
    thread::scope(|scope| {
        for w in 0..3u32 {
            let s = s.clone();
            scope.spawn(move || {
                for round in 0..20 {
                    let mut t = s.begin(Isolation::ReadCommitted);
                    for i in 0..400 {
                        let n = 1_000_000 * (w + 1) + round * 400 + i;
                        // Some keys are common: buckets of several pages are split while others look.
                        put(&s, &mut t, both, &if i % 4 == 0 { key(9_000_000 + w) } else { key(n) });
                    }
                    if round % 5 == 4 { t.abort() } else { t.commit().unwrap() }
                }
            });
        }
        let (s, vacuumed) = (s.clone(), s.clone());
        scope.spawn(move || {
            for _ in 0..6 {
                vacuumed.vacuum(both.0).unwrap();
                vacuumed.verify().unwrap();
            }
        });
        scope.spawn(move || {
            for n in 0..20_000 {
                assert_eq!(seen(&s, both, &key(n % 2000)).len(), 1, "key {}", n % 2000);
            }
        });
    });
    for w in 0..3 {
        assert_eq!(seen(&s, both, &key(9_000_000 + w)).len(), 16 * 100);
        for n in (0..20 * 400).filter(|n| n % 4 != 0) {
            let want = usize::from(n / 400 % 5 != 4);
            assert_eq!(seen(&s, both, &key(1_000_000 * (w + 1) + n)).len(), want);
        }
    }
    s.verify().unwrap();
}

#[test]
fn damage_is_found() {
    let s = open(&device());
    let both = table(&s);
    let mut t = s.begin(Isolation::ReadCommitted);
    let tid = put(&s, &mut t, both, b"there");
    // An entry that leads nowhere.
    s.index_insert(&mut t, both.1, b"nowhere", Tid { block: 7, slot: 3 }, Unique::No).unwrap();
    t.commit().unwrap();
    assert!(s.index_contains(both.1, b"there", tid).unwrap());
    assert!(!s.index_contains(both.1, b"elsewhere", tid).unwrap());
    assert!(matches!(s.verify(), Err(StorageError::Corrupt { .. })));
    let mut t = s.begin(Isolation::ReadCommitted);
    assert!(s.index_insert(&mut t, both.1, b"x", tid, Unique::Yes).is_err());
    assert!(s.index_scan(both.1, KeyBound::Unbounded, KeyBound::Unbounded, ScanDirection::Forward).is_err());
}
