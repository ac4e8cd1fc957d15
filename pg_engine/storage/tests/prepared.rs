//! Two-phase commit: a prepared transaction outlasts its session and the machine.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

use std::{sync::Arc, time::Duration};

use pg_storage::*;
use platform::{block::BlockDevice, memory_device::MemDevice};

fn open(device: &Arc<dyn BlockDevice>) -> Arc<Storage> {
    let config =
        StorageConfig { buffer_pool_bytes: 8 << 20, background_tasks: false, ..StorageConfig::default() };
    Storage::open(device.clone(), config).unwrap()
}

fn blank() -> Arc<dyn BlockDevice> {
    let device: Arc<dyn BlockDevice> = Arc::new(MemDevice::new(64 << 20, 4096));
    Storage::format(&*device, &FormatOptions { wal_bytes: Some(16 << 20), ..Default::default() }).unwrap();
    device
}

fn begin(s: &Arc<Storage>) -> Transaction {
    let mut t = s.begin(Isolation::ReadCommitted);
    t.set_lock_timeout(Some(Duration::from_millis(5)));
    t
}

fn rows(s: &Arc<Storage>, rel: RelId) -> Vec<Vec<u8>> {
    let snapshot = begin(s).snapshot();
    let mut scan = s.heap_scan(rel, &snapshot, None).unwrap();
    let mut rows = Vec::new();
    while scan.next_page(|_, p| rows.push(p.to_vec())).unwrap() {}
    rows
}

/// A heap with the rows `a`, `b`; and `name` prepared: deletes `a`, adds `c`, share-locks `b`, makes a relation, locks object 7.
fn prepare(s: &Arc<Storage>, name: &str) -> (RelId, Tid, RelId) {
    let mut t = begin(s);
    let rel = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    let a = s.heap_insert(&mut t, rel, b"a").unwrap();
    let b = s.heap_insert(&mut t, rel, b"b").unwrap();
    t.commit().unwrap();
    let mut t = begin(s);
    t.set_process(5);
    s.heap_delete(&mut t, rel, a).unwrap();
    s.heap_insert(&mut t, rel, b"c").unwrap();
    s.heap_lock(&mut t, rel, b, RowLock::Share, WaitPolicy::Block).unwrap();
    let made = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    s.heap_insert(&mut t, made, b"in the new one").unwrap();
    s.lock(&mut t, LockTag::Object(5, 7), LockMode::Exclusive, true).unwrap();
    s.prepare(t, name, b"info").unwrap();
    (rel, b, made)
}

/// What must hold while it is prepared, before and after a restart.
fn still_prepared(s: &Arc<Storage>, name: &str, rel: RelId, b: Tid) {
    let all = s.prepared();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].name.as_str(), all[0].info.as_slice()), (name, b"info".as_slice()));
    assert_eq!(rows(s, rel), [b"a", b"b"]);
    let mut other = begin(s);
    // The session it came from has nothing to do with it any more.
    other.set_process(5);
    assert_eq!(s.heap_delete(&mut other, rel, b), Err(StorageError::LockTimeout));
    assert!(!s.lock(&mut other, LockTag::Object(5, 7), LockMode::Share, false).unwrap());
    assert_eq!(s.prepare(begin(s), name, b""), Err(StorageError::PreparedExists));
}

#[test]
fn a_prepared_transaction_outlasts_restarts() {
    for (commit, checkpoint) in [(true, false), (true, true), (false, false), (false, true)] {
        let device = blank();
        let s = open(&device);
        let (rel, b, made) = prepare(&s, "x");
        still_prepared(&s, "x", rel, b);
        if checkpoint {
            s.checkpoint().unwrap();
        }
        drop(s);
        let s = open(&device);
        still_prepared(&s, "x", rel, b);
        drop(s);
        let s = open(&device);
        still_prepared(&s, "x", rel, b);
        assert_eq!(s.finish_prepared("x", commit, |_| false), Err(StorageError::NotAllowed));
        assert_eq!(s.finish_prepared("y", commit, |_| true), Ok(false));
        assert_eq!(s.finish_prepared("x", commit, |info| info == b"info"), Ok(true));
        let check = |s: &Arc<Storage>| {
            assert!(s.prepared().is_empty());
            if commit {
                assert_eq!(rows(s, rel), [b"b", b"c"]);
                assert_eq!(rows(s, made), [b"in the new one"]);
            } else {
                assert_eq!(rows(s, rel), [b"a", b"b"]);
                assert!(s.relation_stats(made).is_err());
            }
            let mut other = begin(s);
            assert!(s.lock(&mut other, LockTag::Object(5, 7), LockMode::Share, false).unwrap());
            assert!(matches!(s.heap_delete(&mut other, rel, b).unwrap(), RowOutcome::Done { .. }));
        };
        check(&s);
        drop(s);
        let s = open(&device);
        check(&s);
        s.verify().unwrap();
    }
}

#[test]
fn a_serializable_one_still_counts_after_a_restart() {
    let device = blank();
    let s = open(&device);
    let mut t = begin(&s);
    let rel = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    let a = s.heap_insert(&mut t, rel, b"a").unwrap();
    let b = s.heap_insert(&mut t, rel, b"b").unwrap();
    t.commit().unwrap();
    // Each of two reads what the other changes: one must fail.
    let skew = |s: &Arc<Storage>, reads: Tid, changes: Tid| {
        let mut t = s.begin(Isolation::Serializable);
        let snapshot = t.snapshot();
        s.heap_fetch(rel, reads, &snapshot, |_, _| ())?;
        s.heap_delete(&mut t, rel, changes).map(|_| t)
    };
    s.prepare(skew(&s, a, b).unwrap(), "one", b"").unwrap();
    drop(s);
    let s = open(&device);
    let failed = match skew(&s, b, a) {
        Ok(t) => t.commit().unwrap_err(),
        Err(e) => e,
    };
    assert_eq!(failed.sqlstate(), "40001");
    // One that has nothing to do with it goes through.
    let mut t = s.begin(Isolation::Serializable);
    let _ = t.snapshot();
    s.heap_insert(&mut t, rel, b"c").unwrap();
    t.commit().unwrap();
    assert!(s.finish_prepared("one", true, |_| true).unwrap());
    skew(&s, b, a).unwrap().commit().unwrap();
    assert_eq!(rows(&s, rel), [b"c"]);
}
