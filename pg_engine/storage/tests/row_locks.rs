//! Row locks of several modes and holders on real rows.

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside #[test] functions")]

use std::{sync::Arc, thread, time::Duration};

use pg_storage::{RowLock::*, *};
use platform::{block::BlockDevice, memory_device::MemDevice};

fn storage() -> Arc<Storage> {
    let device: Arc<dyn BlockDevice> = Arc::new(MemDevice::new(64 << 20, 4096));
    Storage::format(&*device, &FormatOptions { wal_bytes: Some(16 << 20), ..Default::default() }).unwrap();
    let config =
        StorageConfig { buffer_pool_bytes: 8 << 20, background_tasks: false, ..StorageConfig::default() };
    Storage::open(device, config).unwrap()
}

fn row(s: &Arc<Storage>) -> (RelId, Tid) {
    let mut t = s.begin(Isolation::ReadCommitted);
    let rel = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    let tid = s.heap_insert(&mut t, rel, b"v0").unwrap();
    t.commit().unwrap();
    (rel, tid)
}

fn begin(s: &Arc<Storage>) -> Transaction {
    s.begin(Isolation::ReadCommitted)
}

fn try_lock(s: &Arc<Storage>, t: &mut Transaction, rel: RelId, tid: Tid, mode: RowLock) -> bool {
    match s.heap_lock(t, rel, tid, mode, WaitPolicy::Skip).unwrap() {
        RowOutcome::Done { .. } => true,
        RowOutcome::WouldBlock => false,
        other => panic!("{other:?}"),
    }
}

fn update(s: &Arc<Storage>, t: &mut Transaction, rel: RelId, tid: Tid, touched: Touched) -> Tid {
    match s.heap_update(t, rel, tid, b"changed", touched).unwrap() {
        RowOutcome::Done { tid, .. } => tid,
        other => panic!("{other:?}"),
    }
}

#[test]
fn locking_alone_writes_nothing() {
    let s = storage();
    let (rel, tid) = row(&s);
    let before = s.log_position();
    let mut t = begin(&s);
    assert!(try_lock(&s, &mut t, rel, tid, Update));
    assert_eq!(t.xid(), None);
    t.commit().unwrap();
    assert_eq!(s.log_position(), before);
}

#[test]
fn updates_that_leave_keys_alone_let_key_share_pass() {
    let s = storage();
    let (rel, tid) = row(&s);
    let (mut a, mut b, mut c) = (begin(&s), begin(&s), begin(&s));
    update(&s, &mut a, rel, tid, Touched::Indexed);
    assert!(try_lock(&s, &mut b, rel, tid, KeyShare));
    assert!(!try_lock(&s, &mut c, rel, tid, Share));
    // The new version is locked for its key too, once it counts.
    a.commit().unwrap();
    let new = match s.heap_lock(&mut c, rel, tid, Update, WaitPolicy::Skip).unwrap() {
        RowOutcome::ConcurrentlyUpdated { latest } => latest,
        other => panic!("{other:?}"),
    };
    assert!(!try_lock(&s, &mut c, rel, new, Update));
    assert!(try_lock(&s, &mut c, rel, new, NoKeyUpdate));
    drop(b);
    assert!(try_lock(&s, &mut c, rel, new, Update));
}

#[test]
fn a_new_version_inherits_locks() {
    let s = storage();
    let (rel, tid) = row(&s);
    let (mut a, mut b, mut c) = (begin(&s), begin(&s), begin(&s));
    assert!(try_lock(&s, &mut b, rel, tid, KeyShare));
    let new = update(&s, &mut a, rel, tid, Touched::Nothing);
    a.commit().unwrap();
    c.set_lock_timeout(Some(Duration::from_millis(10)));
    assert_eq!(s.heap_delete(&mut c, rel, new), Err(StorageError::LockTimeout));
    assert_eq!(
        s.heap_update(&mut c, rel, new, b"key", Touched::Key),
        Err(StorageError::LockTimeout),
        "a key may not change under a key-share lock"
    );
    let newer = update(&s, &mut c, rel, new, Touched::Indexed);
    b.commit().unwrap();
    c.next_command();
    assert!(matches!(s.heap_delete(&mut c, rel, newer).unwrap(), RowOutcome::Done { .. }));
}

#[test]
fn a_lock_outlives_an_update_rolled_back_to_a_savepoint() {
    let s = storage();
    let (rel, tid) = row(&s);
    let (mut a, mut b) = (begin(&s), begin(&s));
    assert!(try_lock(&s, &mut a, rel, tid, Share));
    let point = a.begin_sub();
    update(&s, &mut a, rel, tid, Touched::Nothing);
    a.rollback_to(point).unwrap();
    assert!(!try_lock(&s, &mut b, rel, tid, NoKeyUpdate));
    assert!(try_lock(&s, &mut b, rel, tid, Share));
    a.commit().unwrap();
    assert!(try_lock(&s, &mut b, rel, tid, Update));
}

#[test]
fn a_deadlock_tells_who_waits_for_whom() {
    let s = storage();
    let (rel, tid) = row(&s);
    let (rel2, tid2) = row(&s);
    let (mut a, mut b) = (begin(&s), begin(&s));
    a.set_process(11);
    b.set_process(22);
    assert!(try_lock(&s, &mut a, rel, tid, Update));
    update(&s, &mut b, rel2, tid2, Touched::Nothing);
    let of_b = b.xid().unwrap();
    let s2 = s.clone();
    let first = thread::spawn(move || {
        let got = s2.heap_lock(&mut a, rel2, tid2, Share, WaitPolicy::Block);
        drop(a);
        got
    });
    let second = loop {
        b.set_lock_timeout(Some(Duration::from_millis(5)));
        match s.heap_lock(&mut b, rel, tid, Share, WaitPolicy::Block) {
            Err(StorageError::LockTimeout) => {}
            other => break other,
        }
    };
    drop(b);
    let first = first.join().unwrap();
    let on_row = DeadlockEdge { process: 22, waits_for: WaitsFor::Row { rel, tid }, blocked_by: 11 };
    let on_xid = DeadlockEdge { process: 11, waits_for: WaitsFor::Transaction(of_b), blocked_by: 22 };
    match (first, second) {
        (_, Err(StorageError::Deadlock(edges))) => assert_eq!(edges, [on_row, on_xid]),
        (Err(StorageError::Deadlock(edges)), _) => assert_eq!(edges, [on_xid, on_row]),
        other => panic!("no deadlock: {other:?}"),
    }
}

/// A wait for the holders of a lock is one like others: seen by all, timed, and over when those who held it then are gone.
#[test]
fn holders_of_a_lock_are_waited_for() {
    let s = storage();
    let tag = LockTag::Object(5, 77);
    let (mut a, mut b, mut late) = (begin(&s), begin(&s), begin(&s));
    a.set_process(11);
    b.set_process(22);
    s.wait_for_holders(&b, tag, LockMode::Share).unwrap();
    assert!(s.lock(&mut a, tag, LockMode::RowExclusive, false).unwrap());
    b.set_lock_timeout(Some(Duration::from_millis(5)));
    assert!(matches!(s.wait_for_holders(&b, tag, LockMode::Share), Err(StorageError::LockTimeout)));
    s.wait_for_holders(&b, tag, LockMode::RowShare).unwrap();
    b.set_lock_timeout(None);
    let s2 = s.clone();
    let waiter = thread::spawn(move || s2.wait_for_holders(&b, tag, LockMode::Share));
    while s.blocking_processes(22) != [11] {
        thread::yield_now();
    }
    assert!(s.lock(&mut late, tag, LockMode::RowExclusive, false).unwrap());
    drop(a);
    waiter.join().unwrap().unwrap();
}
