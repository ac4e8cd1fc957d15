//! The facade on a device in memory: what is written is seen by those who may see it, and survives reopening.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

use std::{sync::Arc, thread, time::Duration};

use pg_storage::*;
use platform::{block::BlockDevice, memory_device::MemDevice};

fn device() -> Arc<dyn BlockDevice> {
    let d = MemDevice::new(256 << 20, 4096);
    Storage::format(&d, &FormatOptions { wal_bytes: Some(32 << 20), config: b"cfg".to_vec() }).unwrap();
    Arc::new(d)
}

fn open(d: &Arc<dyn BlockDevice>) -> Arc<Storage> {
    let config = StorageConfig { buffer_pool_bytes: 8 << 20, background_tasks: false, ..Default::default() };
    Storage::open(d.clone(), config).unwrap()
}

fn rows(s: &Arc<Storage>, txn: &mut Transaction, rel: RelId) -> Vec<Vec<u8>> {
    let snapshot = txn.snapshot();
    let mut scan = s.heap_scan(rel, &snapshot, None).unwrap();
    let mut all = Vec::new();
    while scan.next_page(|_, p| all.push(p.to_vec())).unwrap() {}
    all.sort();
    all
}

fn now(s: &Arc<Storage>, rel: RelId) -> Vec<Vec<u8>> {
    rows(s, &mut s.begin(Isolation::ReadCommitted), rel)
}

fn table(s: &Arc<Storage>) -> RelId {
    let mut t = s.begin(Isolation::ReadCommitted);
    let rel = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    t.commit().unwrap();
    rel
}

fn index(s: &Arc<Storage>, heap: RelId) -> RelId {
    let mut t = s.begin(Isolation::ReadCommitted);
    let rel = s.create_relation(&mut t, RelationKind::BTree { heap }).unwrap();
    t.commit().unwrap();
    rel
}

#[test]
fn foreign_and_blank_disks() {
    let blank = MemDevice::new(64 << 20, 4096);
    assert_eq!(Storage::probe(&blank).unwrap(), Probe::Blank);
    let mut boot = vec![0; 4096];
    boot[510..512].copy_from_slice(b"\x55\xaa");
    boot[512..520].copy_from_slice(b"EFI PART");
    blank.write(0, &boot, platform::block::Durability::Fua, platform::block::IoClass::Wal).unwrap();
    assert_eq!(Storage::probe(&blank).unwrap(), Probe::Foreign { what: "a GPT partition table".into() });
    assert_eq!(Storage::format(&blank, &FormatOptions::default()), Err(StorageError::Foreign));
    let d = device();
    assert_eq!(Storage::read_config(&*d).unwrap(), b"cfg");
    Storage::write_config(&*d, b"other").unwrap();
    assert_eq!(Storage::read_config(&*d).unwrap(), b"other");
    assert!(matches!(Storage::probe(&*d).unwrap(), Probe::Intralith { clean: true, .. }));
}

#[test]
fn visibility_and_recovery() {
    let d = device();
    let s = open(&d);
    let rel = table(&s);
    let mut a = s.begin(Isolation::ReadCommitted);
    let mut b = s.begin(Isolation::RepeatableRead);
    assert!(rows(&s, &mut b, rel).is_empty());
    s.heap_insert(&mut a, rel, b"one").unwrap();
    assert!(rows(&s, &mut a, rel).is_empty(), "a statement does not see its own effects");
    a.next_command();
    assert_eq!(rows(&s, &mut a, rel), [b"one"]);
    assert!(now(&s, rel).is_empty());
    a.commit().unwrap();
    assert_eq!(now(&s, rel), [b"one"]);
    assert!(rows(&s, &mut b, rel).is_empty());
    b.commit().unwrap();
    let mut c = s.begin(Isolation::ReadCommitted);
    s.heap_insert(&mut c, rel, b"lost").unwrap();
    std::mem::forget(c);
    drop(s);
    // A crash, as far as the device can tell.
    let s = open(&d);
    assert_eq!(now(&s, rel), [b"one"]);
    s.verify().unwrap();
    s.shutdown().unwrap();
    assert!(matches!(Storage::probe(&*d).unwrap(), Probe::Intralith { clean: true, .. }));
    assert_eq!(now(&open(&d), rel), [b"one"]);
}

#[test]
fn savepoints() {
    let s = open(&device());
    let rel = table(&s);
    let mut t = s.begin(Isolation::ReadCommitted);
    s.heap_insert(&mut t, rel, b"outer").unwrap();
    let one = t.begin_sub();
    s.heap_insert(&mut t, rel, b"kept").unwrap();
    let two = t.begin_sub();
    s.heap_insert(&mut t, rel, b"undone").unwrap();
    let made = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    t.rollback_to(two).unwrap();
    assert_eq!(s.relation_kind(made), Err(StorageError::NoSuchRelation(made)));
    s.heap_insert(&mut t, rel, b"again").unwrap();
    t.release_sub(one).unwrap();
    assert_eq!(t.release_sub(two), Err(StorageError::NoSuchSavepoint));
    t.next_command();
    let want = [b"again".to_vec(), b"kept".to_vec(), b"outer".to_vec()];
    assert_eq!(rows(&s, &mut t, rel), want);
    assert!(now(&s, rel).is_empty());
    t.commit().unwrap();
    assert_eq!(now(&s, rel), want);
}

#[test]
fn updates_stay_on_their_page() {
    let s = open(&device());
    let rel = table(&s);
    let mut t = s.begin(Isolation::ReadCommitted);
    let first = s.heap_insert(&mut t, rel, &[0; 100]).unwrap();
    t.commit().unwrap();
    let mut at = first;
    for i in 1..5000u32 {
        let mut t = s.begin(Isolation::ReadCommitted);
        let mut payload = [0; 100];
        payload[..4].copy_from_slice(&i.to_le_bytes());
        match s.heap_update(&mut t, rel, at, &payload, Touched::Nothing).unwrap() {
            RowOutcome::Done { tid, hot } => {
                assert!(hot);
                at = tid;
            }
            other => panic!("{other:?}"),
        }
        t.commit().unwrap();
        let snapshot = s.begin(Isolation::ReadCommitted).snapshot();
        let seen = s.heap_fetch(rel, first, &snapshot, |tid, p| (tid, p[..4].to_vec())).unwrap();
        assert_eq!(seen, Some((at, i.to_le_bytes().to_vec())));
    }
    assert_eq!(s.relation_stats(rel).unwrap().pages, 1);
    s.verify().unwrap();
}

#[test]
fn large_rows() {
    let d = device();
    let s = open(&d);
    let rel = table(&s);
    let big: Vec<u8> = (0..100_000u32).map(|i| (i * 7) as u8).collect();
    let mut t = s.begin(Isolation::ReadCommitted);
    let tid = s.heap_insert(&mut t, rel, &big).unwrap();
    t.commit().unwrap();
    drop(s);
    let s = open(&d);
    assert_eq!(now(&s, rel), std::slice::from_ref(&big));
    let mut t = s.begin(Isolation::ReadCommitted);
    let bigger = [big.as_slice(), &big].concat();
    assert!(matches!(
        s.heap_update(&mut t, rel, tid, &bigger, Touched::Indexed).unwrap(),
        RowOutcome::Done { .. }
    ));
    t.commit().unwrap();
    assert_eq!(now(&s, rel), [bigger]);
    let before = s.relation_stats(rel).unwrap().pages;
    let v = s.vacuum(rel).unwrap();
    assert_eq!((v.removed, v.remaining), (1, 1));
    let mut t = s.begin(Isolation::ReadCommitted);
    for _ in 0..100 {
        s.heap_insert(&mut t, rel, &[1; 700]).unwrap();
    }
    t.commit().unwrap();
    assert_eq!(s.relation_stats(rel).unwrap().pages, before, "freed overflow pages are used again");
}

#[test]
fn concurrent_updates_wait() {
    let s = open(&device());
    let rel = table(&s);
    let mut t = s.begin(Isolation::ReadCommitted);
    let tid = s.heap_insert(&mut t, rel, b"v0").unwrap();
    t.commit().unwrap();
    let mut a = s.begin(Isolation::ReadCommitted);
    let RowOutcome::Done { tid: new, .. } = s.heap_update(&mut a, rel, tid, b"v1", Touched::Nothing).unwrap()
    else {
        panic!()
    };
    let s2 = s.clone();
    let waiter = thread::spawn(move || {
        let mut b = s2.begin(Isolation::ReadCommitted);
        let o = s2.heap_update(&mut b, rel, tid, b"v2", Touched::Nothing).unwrap();
        assert_eq!(o, RowOutcome::ConcurrentlyUpdated { latest: new });
        assert_eq!(s2.heap_fetch_version(rel, new, |p| p.to_vec()).unwrap().unwrap(), b"v1");
        assert!(matches!(
            s2.heap_update(&mut b, rel, new, b"v2", Touched::Nothing).unwrap(),
            RowOutcome::Done { .. }
        ));
        b.commit().unwrap();
    });
    let mut c = s.begin(Isolation::ReadCommitted);
    c.set_lock_timeout(Some(Duration::from_millis(20)));
    assert_eq!(s.heap_delete(&mut c, rel, tid), Err(StorageError::LockTimeout));
    assert_eq!(
        s.heap_lock(&mut c, rel, tid, RowLock::Update, WaitPolicy::Error),
        Err(StorageError::LockNotAvailable)
    );
    assert_eq!(
        s.heap_lock(&mut c, rel, tid, RowLock::Update, WaitPolicy::Skip).unwrap(),
        RowOutcome::WouldBlock
    );
    c.abort();
    a.commit().unwrap();
    waiter.join().unwrap();
    assert_eq!(now(&s, rel), [b"v2"]);
}

#[test]
fn deadlocks_are_found() {
    let s = open(&device());
    let rel = table(&s);
    let mut t = s.begin(Isolation::ReadCommitted);
    let x = s.heap_insert(&mut t, rel, b"x").unwrap();
    let y = s.heap_insert(&mut t, rel, b"y").unwrap();
    t.commit().unwrap();
    let mut a = s.begin(Isolation::ReadCommitted);
    s.heap_delete(&mut a, rel, x).unwrap();
    let s2 = s.clone();
    let other = thread::spawn(move || {
        let mut b = s2.begin(Isolation::ReadCommitted);
        s2.heap_delete(&mut b, rel, y).unwrap();
        let r = s2.heap_delete(&mut b, rel, x);
        if r.is_ok() {
            b.commit().unwrap();
        }
        r
    });
    thread::sleep(Duration::from_millis(50));
    let mine = s.heap_delete(&mut a, rel, y);
    drop(a);
    let theirs = other.join().unwrap();
    assert!(
        matches!(mine, Err(StorageError::Deadlock(_))) || matches!(theirs, Err(StorageError::Deadlock(_))),
        "{mine:?} {theirs:?}"
    );
}

#[test]
fn object_locks() {
    let s = open(&device());
    let (mut a, mut b) = (s.begin(Isolation::ReadCommitted), s.begin(Isolation::ReadCommitted));
    let tag = LockTag::Object(5, 7);
    assert!(s.lock(&mut a, tag, LockMode::AccessShare, true).unwrap());
    assert!(s.lock(&mut b, tag, LockMode::RowExclusive, true).unwrap());
    assert!(!s.lock(&mut b, tag, LockMode::AccessExclusive, false).unwrap());
    a.commit().unwrap();
    assert!(s.lock(&mut b, tag, LockMode::AccessExclusive, false).unwrap());
    let mut c = s.begin(Isolation::ReadCommitted);
    c.set_lock_timeout(Some(Duration::from_millis(10)));
    assert_eq!(s.lock(&mut c, tag, LockMode::AccessShare, true), Err(StorageError::LockTimeout));
}

#[test]
fn relations_come_and_go() {
    let d = device();
    let s = open(&d);
    let (free, _) = s.space();
    let mut t = s.begin(Isolation::ReadCommitted);
    let rel = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    for _ in 0..2000 {
        s.heap_insert(&mut t, rel, &[9; 400]).unwrap();
    }
    t.abort();
    assert_eq!(s.relation_kind(rel), Err(StorageError::NoSuchRelation(rel)));
    assert_eq!(s.space().0, free);
    let kept = table(&s);
    let mut t = s.begin(Isolation::ReadCommitted);
    s.heap_insert(&mut t, kept, &[9; 400]).unwrap();
    s.drop_relation(&mut t, kept).unwrap();
    t.abort();
    assert!(s.relation_kind(kept).is_ok());
    let mut t = s.begin(Isolation::ReadCommitted);
    s.drop_relation(&mut t, kept).unwrap();
    t.commit().unwrap();
    assert_eq!(s.space().0, free);
    // One whose creator is running when the machine stops.
    let mut t = s.begin(Isolation::ReadCommitted);
    let orphan = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    s.heap_insert(&mut t, orphan, &[9; 400]).unwrap();
    let survivor = table(&s);
    std::mem::forget(t);
    drop(s);
    let s = open(&d);
    assert!(s.relation_kind(orphan).is_err());
    assert!(s.relation_kind(survivor).is_ok());
}

#[test]
fn index_against_a_model() {
    let s = open(&device());
    let heap = table(&s);
    let idx = index(&s, heap);
    let mut model = std::collections::BTreeSet::new();
    let mut t = s.begin(Isolation::ReadCommitted);
    let mut x = 12345u64;
    for i in 0..20_000u32 {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let key = if i % 100 == 0 {
            vec![b'k'; (x >> 40) as usize % 2600]
        } else {
            (x >> 48).to_be_bytes().to_vec()
        };
        let tid = Tid { block: i, slot: 1 };
        s.index_insert(&mut t, idx, &key, tid, Unique::No).unwrap();
        model.insert((key, tid));
    }
    t.commit().unwrap();
    let scan = |low, high, direction| {
        let mut c = s.index_scan(idx, low, high, direction).unwrap();
        let mut got = Vec::new();
        while c.next_entries(|k, t| got.push((k.to_vec(), t))).unwrap() {}
        got
    };
    let all: Vec<_> = model.iter().cloned().collect();
    assert_eq!(scan(KeyBound::Unbounded, KeyBound::Unbounded, ScanDirection::Forward), all);
    let mut back = scan(KeyBound::Unbounded, KeyBound::Unbounded, ScanDirection::Backward);
    back.reverse();
    assert_eq!(back, all);
    for n in [0, 17, 4000, 12_345, 19_000] {
        let (a, b) = (&all[n].0, &all[(n + 900).min(all.len() - 1)].0);
        for (low, high) in [
            (KeyBound::Included(a), KeyBound::Included(b)),
            (KeyBound::Excluded(a), KeyBound::Excluded(b)),
            (KeyBound::Prefix(&a[..3.min(a.len())]), KeyBound::Prefix(&a[..3.min(a.len())])),
        ] {
            let want: Vec<_> = all
                .iter()
                .filter(|(k, _)| match (low, high) {
                    (KeyBound::Included(a), KeyBound::Included(b)) => (a..=b).contains(&k.as_slice()),
                    (KeyBound::Excluded(a), KeyBound::Excluded(b)) => a < k.as_slice() && k.as_slice() < b,
                    (KeyBound::Prefix(p), _) => k.starts_with(p),
                    _ => unreachable!(),
                })
                .cloned()
                .collect();
            assert_eq!(scan(low, high, ScanDirection::Forward), want);
            let mut back = scan(low, high, ScanDirection::Backward);
            back.reverse();
            assert_eq!(back, want);
        }
        let mut tids = Vec::new();
        s.index_lookup(idx, a, &mut tids).unwrap();
        let want: Vec<Tid> = all.iter().filter(|(k, _)| k == a).map(|(_, t)| *t).collect();
        assert_eq!(tids, want);
    }
    // The same entries loaded in bulk.
    let bulk = index(&s, heap);
    let mut t = s.begin(Isolation::ReadCommitted);
    let mut entries = all.iter().map(|(k, t)| (k.clone(), *t, true));
    s.index_build(&mut t, bulk, &mut entries, false).unwrap();
    t.commit().unwrap();
    let mut c = s.index_scan(bulk, KeyBound::Unbounded, KeyBound::Unbounded, ScanDirection::Forward).unwrap();
    let mut got = Vec::new();
    while c.next_entries(|k, t| got.push((k.to_vec(), t))).unwrap() {}
    assert_eq!(got.len(), all.len());
    let wrong = got.iter().zip(&all).find(|(a, b)| a != b);
    assert!(wrong.is_none(), "{wrong:?}");
}

#[test]
fn unique_keys() {
    let s = open(&device());
    let heap = table(&s);
    let idx = index(&s, heap);
    let put = |t: &mut Transaction, key: &[u8]| {
        let tid = s.heap_insert(t, heap, key).unwrap();
        s.index_insert(t, idx, key, tid, Unique::Yes).map(|r| (tid, r))
    };
    let mut a = s.begin(Isolation::ReadCommitted);
    let (first, r) = put(&mut a, b"k").unwrap();
    assert_eq!(r, IndexInsert::Done);
    a.commit().unwrap();
    let mut b = s.begin(Isolation::ReadCommitted);
    assert_eq!(put(&mut b, b"k").unwrap().1, IndexInsert::Duplicate { tid: first });
    b.abort();
    // Deleted by a transaction that is still running: wait for its end.
    let mut c = s.begin(Isolation::ReadCommitted);
    s.heap_delete(&mut c, heap, first).unwrap();
    let s2 = s.clone();
    let waiter = thread::spawn(move || {
        let mut t = s2.begin(Isolation::ReadCommitted);
        let tid = s2.heap_insert(&mut t, heap, b"k").unwrap();
        let r = s2.index_insert(&mut t, idx, b"k", tid, Unique::Yes).unwrap();
        t.commit().unwrap();
        r
    });
    thread::sleep(Duration::from_millis(20));
    c.commit().unwrap();
    assert_eq!(waiter.join().unwrap(), IndexInsert::Done);
    assert_eq!(now(&s, heap), [b"k"]);
    let v = s.vacuum(heap).unwrap();
    // The deleted row and the one whose insertion failed.
    assert_eq!((v.removed, v.remaining), (2, 1));
    assert_eq!(v.index_entries_removed, 1);
    s.verify().unwrap();
}

#[test]
fn sequences() {
    let d = device();
    let s = open(&d);
    let mut t = s.begin(Isolation::ReadCommitted);
    let seq = s.create_relation(&mut t, RelationKind::Sequence).unwrap();
    let o = SequenceOptions { start: 1, increment: 1, min: 1, max: 40, cycle: false };
    s.sequence_set(&mut t, seq, &o, 1, false).unwrap();
    t.commit().unwrap();
    assert_eq!((1..=3).map(|_| s.sequence_next(seq).unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(s.sequence_get(seq).unwrap(), (o, 3, true));
    s.shutdown().unwrap();
    let s = open(&d);
    assert_eq!(s.sequence_next(seq).unwrap(), 4);
    drop(s);
    let s = open(&d);
    let after = s.sequence_next(seq).unwrap();
    assert!(after > 4, "{after}");
    while s.sequence_next(seq).is_ok() {}
    assert_eq!(s.sequence_next(seq), Err(StorageError::SequenceExhausted));
}

#[test]
fn many_writers() {
    let d = device();
    let s = open(&d);
    let heap = table(&s);
    let idx = index(&s, heap);
    let threads: Vec<_> = (0..4u32)
        .map(|n| {
            let s = s.clone();
            thread::spawn(move || {
                for i in 0..300u32 {
                    let mut t = s.begin(Isolation::ReadCommitted);
                    let key = (i * 4 + n).to_be_bytes();
                    let tid = s.heap_insert(&mut t, heap, &key).unwrap();
                    assert_eq!(
                        s.index_insert(&mut t, idx, &key, tid, Unique::Yes).unwrap(),
                        IndexInsert::Done
                    );
                    if i % 10 == 3 { t.abort() } else { t.commit().unwrap() }
                }
            })
        })
        .collect();
    for _ in 0..5 {
        s.checkpoint().unwrap();
    }
    for t in threads {
        t.join().unwrap();
    }
    assert_eq!(now(&s, heap).len(), 4 * 270);
    s.verify().unwrap();
    drop(s);
    let s = open(&d);
    assert_eq!(now(&s, heap).len(), 4 * 270);
    s.verify().unwrap();
}

#[test]
fn aborted_work_is_vacuumed_away() {
    let s = open(&device());
    let rel = table(&s);
    let mut t = s.begin(Isolation::ReadCommitted);
    let keep = s.heap_insert(&mut t, rel, b"keep").unwrap();
    t.commit().unwrap();
    let mut t = s.begin(Isolation::ReadCommitted);
    for _ in 0..100 {
        s.heap_insert(&mut t, rel, b"gone").unwrap();
    }
    s.heap_delete(&mut t, rel, keep).unwrap();
    t.abort();
    let stats = s.relation_stats(rel).unwrap();
    assert_eq!((stats.live_tuples, stats.dead_tuples), (1, 100));
    let v = s.vacuum(rel).unwrap();
    assert_eq!((v.removed, v.remaining), (100, 1));
    // The void deletion is gone too: the outcome of its transaction does not matter any more.
    let mut t = s.begin(Isolation::ReadCommitted);
    assert_eq!(rows(&s, &mut t, rel), [b"keep"]);
    assert!(matches!(s.heap_delete(&mut t, rel, keep).unwrap(), RowOutcome::Done { .. }));
    t.commit().unwrap();
    assert!(now(&s, rel).is_empty());
    s.verify().unwrap();
}
