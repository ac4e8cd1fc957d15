//! Faults of the disk end statements, not the machine: with the right SQLSTATE, and without harm to what was committed.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking
#![cfg(not(intralith_platform = "simulated"))]

use std::{sync::Arc, thread, time::Duration};

use pg_storage::*;
use platform::{
    block::{BlockDevice, BlockError, IoClass},
    faulty_device::{Fault, FaultyDevice},
    memory_device::MemDevice,
};

type Result<T> = std::result::Result<T, StorageError>;

const RING: u64 = 1 << 20;
/// Where the pages begin.
const DATA: u64 = (1 << 20) + RING;

fn volume(bytes: u64, pool: u64, background: bool) -> (Arc<FaultyDevice>, Arc<Storage>) {
    let inner = Arc::new(MemDevice::new(bytes, 8192));
    Storage::format(&*inner, &FormatOptions { wal_bytes: Some(RING), config: Vec::new() }).unwrap();
    let device = Arc::new(FaultyDevice::new(inner));
    let s = open(&device, pool, background);
    (device, s)
}

fn open(device: &Arc<FaultyDevice>, pool: u64, background: bool) -> Arc<Storage> {
    let config =
        StorageConfig { buffer_pool_bytes: pool, background_tasks: background, ..Default::default() };
    Storage::open(device.clone(), config).unwrap()
}

fn begin(s: &Arc<Storage>) -> Transaction {
    s.begin(Isolation::ReadCommitted)
}

fn table(s: &Arc<Storage>) -> Result<(RelId, RelId)> {
    let mut t = begin(s);
    let heap = s.create_relation(&mut t, RelationKind::Heap)?;
    let index = s.create_relation(&mut t, RelationKind::BTree { heap })?;
    t.commit()?;
    Ok((heap, index))
}

/// Adds rows numbered from `first`; the last number of those committed, and the error that ended it.
fn fill(
    s: &Arc<Storage>,
    (heap, index): (RelId, RelId),
    first: u32,
    many: u32,
) -> (u32, Option<StorageError>) {
    for n in first..first + many {
        let add = || {
            let mut t = begin(s);
            let mut row = n.to_be_bytes().to_vec();
            row.resize(1000, n as u8);
            let tid = s.heap_insert(&mut t, heap, &row)?;
            s.index_insert(&mut t, index, &n.to_be_bytes(), tid, Unique::Yes)?;
            t.commit()
        };
        if let Err(e) = add() {
            return (n, Some(e));
        }
        if n % 100 == 0 {
            let _ = s.checkpoint();
        }
    }
    (first + many, None)
}

fn rows(s: &Arc<Storage>, heap: RelId) -> Result<Vec<(Tid, u32)>> {
    let snapshot = begin(s).snapshot();
    let mut scan = s.heap_scan(heap, &snapshot, None)?;
    let mut all = Vec::new();
    while scan.next_page(|tid, p| all.push((tid, u32::from_be_bytes(p[..4].try_into().unwrap()))))? {}
    all.sort_by_key(|r| r.1);
    Ok(all)
}

fn numbers(s: &Arc<Storage>, heap: RelId) -> Vec<u32> {
    rows(s, heap).unwrap().into_iter().map(|r| r.1).collect()
}

/// A disk that is larger than what lies behind it: the host's file system is full.
#[test]
fn a_thin_disk_without_room_says_so_before_anything_is_promised() {
    let (device, s) = volume(DATA + (16 << 20), 2 << 20, false);
    let t = table(&s).unwrap();
    let (before, error) = fill(&s, t, 0, 1000);
    assert_eq!(error, None);
    device.set(&[Fault::NoRoom(DATA + (3 << 20)..DATA + (16 << 20))]);
    let (end, error) = fill(&s, t, before, 100_000);
    let Some(StorageError::DiskFull(rel)) = error else { panic!("{error:?}") };
    assert!(rel == t.0 || rel == t.1);
    assert!(device.met() > 0);
    // Everything that was acknowledged can be written out, read, and found again.
    s.checkpoint().unwrap();
    assert_eq!(numbers(&s, t.0), (0..end).collect::<Vec<_>>());
    // The same step fails again, and goes on when there is room.
    let (_, error) = fill(&s, t, end, 1000);
    assert!(matches!(error, Some(StorageError::DiskFull(_))), "{error:?}");
    device.set(&[]);
    let (last, error) = fill(&s, t, 1_000_000, 2000);
    assert_eq!((last, error), (1_002_000, None));
    s.verify().unwrap();
    drop(s);
    let s = open(&device, 2 << 20, false);
    let all = numbers(&s, t.0);
    assert_eq!(all.iter().filter(|n| **n < end).count(), end as usize);
    assert_eq!(all.iter().filter(|n| **n >= 1_000_000).count(), 2000);
    s.verify().unwrap();
}

#[test]
fn a_full_volume_goes_on_and_space_comes_back() {
    let (device, s) = volume(DATA + (6 << 20), 2 << 20, false);
    let t = table(&s).unwrap();
    let (end, error) = fill(&s, t, 0, 100_000);
    let Some(StorageError::DiskFull(rel)) = error else { panic!("{error:?}") };
    assert!(rel == t.0 || rel == t.1);
    assert_eq!(error.unwrap().sqlstate(), "53100");
    assert_eq!(numbers(&s, t.0), (0..end).collect::<Vec<_>>());

    // Filling up what partly filled pages have left must not help the next step.
    let (more, _) = fill(&s, t, 1_000_000, 1000);
    let rest: Vec<u32> = (1_000_000..more).collect();
    // Checkpoints go on: recovery never needs more room than there is.
    for _ in 0..5 {
        s.checkpoint().unwrap();
    }
    // Rolling back a transaction that met the end.
    let mut big = begin(&s);
    let error = (0..10_000).find_map(|_| s.heap_insert(&mut big, t.0, &[9; 5000]).err());
    assert!(matches!(error, Some(StorageError::DiskFull(_))), "{error:?}");
    big.abort();
    // Deleting, and using the space again after a vacuum.
    let mut del = begin(&s);
    for (tid, n) in rows(&s, t.0).unwrap() {
        if n % 2 == 0 {
            assert!(matches!(s.heap_delete(&mut del, t.0, tid).unwrap(), RowOutcome::Done { .. }));
        }
        if n % 100 == 0 {
            s.checkpoint().unwrap();
        }
    }
    del.commit().unwrap();
    s.vacuum(t.0).unwrap();
    s.checkpoint().unwrap();
    let odd: Vec<u32> = (0..end).chain(rest).filter(|n| n % 2 == 1).collect();
    assert_eq!(numbers(&s, t.0), odd);
    let (again, error) = fill(&s, t, 2_000_000, 200);
    assert_eq!((again, error), (2_000_200, None));
    s.verify().unwrap();

    // As TRUNCATE does it: new, empty storage first, and then the old goes.
    let (_, error) = fill(&s, t, 3_000_000, 100_000);
    assert!(matches!(error, Some(StorageError::DiskFull(_))));
    let mut tr = begin(&s);
    let heap = s.create_relation(&mut tr, RelationKind::Heap).unwrap();
    let index = s.create_relation(&mut tr, RelationKind::BTree { heap }).unwrap();
    s.drop_relation(&mut tr, t.0).unwrap();
    s.drop_relation(&mut tr, t.1).unwrap();
    tr.commit().unwrap();
    let (end, error) = fill(&s, (heap, index), 0, 1000);
    assert_eq!((end, error), (1000, None));
    // A machine that starts with a full volume.
    let (full, error) = fill(&s, (heap, index), 1000, 100_000);
    assert!(matches!(error, Some(StorageError::DiskFull(_))));
    drop(s);
    let s = open(&device, 2 << 20, false);
    assert_eq!(numbers(&s, heap), (0..full).collect::<Vec<_>>());
    s.checkpoint().unwrap();
    s.verify().unwrap();
}

#[test]
fn a_page_that_cannot_be_read_fails_who_needs_it() {
    let (device, s) = volume(DATA + (32 << 20), 1 << 20, false);
    let (bad, good) = (table(&s).unwrap(), table(&s).unwrap());
    assert_eq!(fill(&s, bad, 0, 1200).1, None);
    assert_eq!(fill(&s, good, 0, 1200).1, None);
    s.checkpoint().unwrap();
    let before = numbers(&s, bad.0);
    // Every page of the one table fails in turn.
    let mut met = [0, 0];
    for page in 0..400u64 {
        let at = DATA + page * 8192;
        for (i, fault) in
            [Fault::Read(at..at + 1, BlockError::Media), Fault::Flip(at + 4000, 0x10)].into_iter().enumerate()
        {
            device.set(&[fault]);
            match (rows(&s, bad.0), i) {
                (Ok(_), _) => {}
                (Err(e @ StorageError::Read { rel, error: BlockError::Media, .. }), 0) => {
                    assert_eq!((rel, e.sqlstate()), (bad.0, "58030"));
                    met[0] += 1;
                }
                (Err(e @ StorageError::Corrupt { rel, what: "checksum mismatch", .. }), 1) => {
                    assert_eq!((rel, e.sqlstate()), (bad.0, "XX001"));
                    met[1] += 1;
                }
                (Err(e), _) => panic!("{e:?}"),
            }
        }
    }
    assert!(met[0] > 50 && met[1] > 50, "{met:?}");
    device.set(&[Fault::Read(0..u64::MAX, BlockError::Gone)]);
    let e = rows(&s, bad.0).unwrap_err();
    assert!(matches!(e, StorageError::Read { error: BlockError::Gone, .. }) && e.sqlstate() == "58030");
    // And when it is well again, so is the table; nothing of the failures is left in memory.
    device.set(&[]);
    assert_eq!(numbers(&s, bad.0), before);
    assert_eq!(numbers(&s, good.0), before);
    s.verify().unwrap();
}

#[test]
fn a_page_that_cannot_be_written_stays_in_memory() {
    let (device, s) = volume(DATA + (32 << 20), 1 << 20, false);
    let t = table(&s).unwrap();
    assert_eq!(fill(&s, t, 0, 300).1, None);
    s.checkpoint().unwrap();
    let bad = DATA + 30 * 8192;
    device.set(&[Fault::Write(bad..bad + 8192 * 4, BlockError::Media)]);
    // More than the pool holds: pages must leave it all the time.
    let (end, error) = fill(&s, t, 300, 300);
    assert_eq!((end, error), (600, None));
    let mut touched = begin(&s);
    for (tid, n) in rows(&s, t.0).unwrap().into_iter().filter(|r| r.1 <= 300) {
        let mut row = n.to_be_bytes().to_vec();
        row.resize(1000, 7);
        s.heap_update(&mut touched, t.0, tid, &row, Touched::Nothing).unwrap();
        if n == 300 {
            // Everything else is written all the same.
            assert!(matches!(s.checkpoint(), Err(StorageError::Io(BlockError::Media))));
        }
    }
    touched.commit().unwrap();
    assert_eq!(numbers(&s, t.0).len(), 600);
    assert!(s.pool_stats().write_failures > 0);
    // Where the log cannot be freed, the writer is told before it is full. Readers are not concerned.
    let (_, error) = fill(&s, t, 1000, 100_000);
    let Some(StorageError::LogFull(_)) = error else { panic!("{error:?}") };
    assert_eq!(error.unwrap().sqlstate(), "53100");
    let before = numbers(&s, t.0);
    device.set(&[]);
    s.checkpoint().unwrap();
    assert_eq!(fill(&s, t, 200_000, 10).1, None);
    assert_eq!(numbers(&s, t.0).len(), before.len() + 10);
    drop(s);
    let s = open(&device, 1 << 20, false);
    assert_eq!(numbers(&s, t.0).len(), before.len() + 10);
    s.verify().unwrap();
}

#[test]
fn the_checkpointer_tries_again() {
    let (device, s) = volume(DATA + (32 << 20), 1 << 20, true);
    let t = table(&s).unwrap();
    device.set(&[Fault::Write(DATA..u64::MAX, BlockError::Media)]);
    let (end, error) = fill(&s, t, 0, 100_000);
    assert!(matches!(error, Some(StorageError::LogFull(_) | StorageError::OutOfBuffers)), "{error:?}");
    device.set(&[]);
    for _ in 0..200 {
        thread::sleep(Duration::from_millis(50));
        if fill(&s, t, 500_000, 1).1.is_none() {
            assert_eq!(numbers(&s, t.0).len(), end as usize + 1);
            return;
        }
    }
    panic!("nothing can be written although the disk is well again");
}

#[test]
fn who_holds_the_log_is_named_long_before_it_is_full() {
    let (_, s) = volume(DATA + (32 << 20), 1 << 20, true);
    let t = table(&s).unwrap();
    let held = s.hold_log("A test holds the log.");
    let (n, error) = fill(&s, t, 0, 100_000);
    assert_eq!(error, Some(StorageError::LogFull("A test holds the log.")));
    assert!(n > 100);
    // What was begun can end: by commit, by rollback, prepared or not.
    assert_eq!(numbers(&s, t.0), (0..n).collect::<Vec<_>>());
    s.release_log(held);
    assert_eq!(fill(&s, t, n, 2000).1, None);
}

#[test]
fn prepared_and_long_transactions_do_not_hold_the_log() {
    let (device, s) = volume(DATA + (64 << 20), 1 << 20, true);
    let t = table(&s).unwrap();
    let other = table(&s).unwrap();
    let mut p = begin(&s);
    s.heap_insert(&mut p, other.0, &[0, 0, 0, 1]).unwrap();
    s.prepare(p, "waits", b"").unwrap();
    let mut long = begin(&s);
    s.heap_insert(&mut long, other.0, &[0, 0, 0, 2]).unwrap();
    // Five times the ring.
    assert_eq!(fill(&s, t, 0, 5000).1, None);
    long.commit().unwrap();
    assert!(s.finish_prepared("waits", true, |_| true).unwrap());
    assert_eq!(numbers(&s, other.0), [1, 2]);
    drop(s);
    let s = open(&device, 1 << 20, true);
    assert_eq!(numbers(&s, other.0), [1, 2]);
}

#[test]
fn a_misdirected_write_is_noticed_by_both_pages() {
    let (device, s) = volume(DATA + (32 << 20), 1 << 20, false);
    let t = table(&s).unwrap();
    assert_eq!(fill(&s, t, 0, 1000).1, None);
    s.checkpoint().unwrap();
    assert_eq!(numbers(&s, t.0).len(), 1000);
    let page = DATA + 90 * 8192;
    device.set(&[Fault::Misdirect(page..page + 1, 8192 * 5)]);
    let mut u = begin(&s);
    for (tid, n) in rows(&s, t.0).unwrap() {
        let mut row = n.to_be_bytes().to_vec();
        row.resize(1000, 8);
        s.heap_update(&mut u, t.0, tid, &row, Touched::Nothing).unwrap();
        if n % 100 == 0 {
            s.checkpoint().unwrap();
        }
    }
    u.commit().unwrap();
    s.checkpoint().unwrap();
    assert!(device.met() > 0);
    // The page that got what was another's is noticed by its own number, or, if it was written again since, the other one by its age.
    let wrong = s.verify().and_then(|()| rows(&s, t.0).map(|_| ()));
    let known = ["page belongs elsewhere", "an older version than was written to it"];
    assert!(matches!(&wrong, Err(StorageError::Corrupt { what, .. }) if known.contains(what)), "{wrong:?}");
}

#[test]
fn a_lost_write_is_noticed_when_the_page_is_read_again() {
    let (device, s) = volume(DATA + (32 << 20), 1 << 20, false);
    let t = table(&s).unwrap();
    assert_eq!(fill(&s, t, 0, 1000).1, None);
    s.checkpoint().unwrap();
    let page = DATA + 90 * 8192;
    device.set(&[Fault::Lose(page..page + 1)]);
    let mut u = begin(&s);
    for (tid, n) in rows(&s, t.0).unwrap() {
        let mut row = n.to_be_bytes().to_vec();
        row.resize(1000, 8);
        match s.heap_update(&mut u, t.0, tid, &row, Touched::Nothing) {
            Ok(_) => {}
            Err(StorageError::Corrupt { what: "an older version than was written to it", .. }) => return,
            Err(e) => panic!("{e:?}"),
        }
        if n % 100 == 0 {
            s.checkpoint().unwrap();
        }
    }
    u.commit().unwrap();
    s.checkpoint().unwrap();
    let wrong = s.verify();
    let what = "an older version than was written to it";
    assert!(matches!(&wrong, Err(StorageError::Corrupt { what: w, .. }) if *w == what), "{wrong:?}");
}

#[test]
fn a_lost_write_is_noticed_after_a_restart_as_long_as_there_is_log() {
    let older = "an older version than was written to it";
    for clean in [true, false] {
        let (device, s) = volume(DATA + (32 << 20), 1 << 20, false);
        let t = table(&s).unwrap();
        assert_eq!(fill(&s, t, 0, 200).1, None);
        s.checkpoint().unwrap();
        // Every row changes in place; one page of theirs is not written.
        let first = (0..400).map(|p| DATA + p * 8192).find(|at| {
            let mut page = [0; 8192];
            device.read(*at, &mut page, IoClass::Read).unwrap();
            let rel = u32::from_le_bytes(*page[16..].first_chunk().unwrap());
            rel == t.0.0 && page.iter().any(|b| *b != 0)
        });
        let page = first.expect("a page of the table");
        let mut u = begin(&s);
        for (tid, _) in rows(&s, t.0).unwrap() {
            s.heap_delete(&mut u, t.0, tid).unwrap();
        }
        u.commit().unwrap();
        device.set(&[Fault::Lose(page..page + 1)]);
        if clean {
            s.shutdown().unwrap();
        } else {
            s.checkpoint().unwrap();
        }
        assert!(device.met() > 0);
        device.set(&[]);
        drop(s);
        let s = open(&device, 1 << 20, false);
        let wrong = s.verify();
        assert!(
            matches!(&wrong, Err(StorageError::Corrupt { rel, what, .. }) if *rel == t.0 && *what == older),
            "{wrong:?}"
        );
        // A lap of the log later nothing tells any more.
        let other = table(&s).unwrap();
        for n in 0..10 {
            assert_eq!(fill(&s, other, n * 1000, 300).1, None);
            s.checkpoint().unwrap();
        }
        s.verify().unwrap();
    }
}
