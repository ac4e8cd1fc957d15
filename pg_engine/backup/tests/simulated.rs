//! Backups that are taken while clients write, checkpoints run and the power goes: those that were completed come back whole.
//!
//! Runs on the simulated platform only: `RUSTFLAGS='--cfg intralith_platform="simulated"' cargo test -p pg_backup`.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking
#![cfg(intralith_platform = "simulated")]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pg_backup::{BackupError, Input, Until, back_up, restore};
use pg_storage::*;
use platform::{
    block::BlockDevice,
    memory_device::MemDevice,
    simulated::{
        Outcome, Report,
        disk::{Faults, SimDisk},
        simulate_with,
    },
    task,
};

const CAPACITY: u64 = 16 << 20;

#[derive(Default)]
struct Known {
    tables: Option<(RelId, RelId)>,
    begun: BTreeSet<u32>,
    acknowledged: BTreeSet<u32>,
    /// Completed backups, with what was acknowledged before each began and begun before it ended.
    backups: Vec<(Vec<u8>, BTreeSet<u32>, BTreeSet<u32>)>,
}

/// The power may have gone while someone held it.
fn know(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn config() -> StorageConfig {
    StorageConfig {
        buffer_pool_bytes: 70 * 8192,
        checkpoint_wal_bytes: 200 << 10,
        checkpoint_interval: Duration::from_secs(5),
        ..Default::default()
    }
}

fn put(s: &Arc<Storage>, (heap, index): (RelId, RelId), n: u32) -> Result<(), StorageError> {
    let mut t = s.begin(Isolation::ReadCommitted);
    let mut row = n.to_be_bytes().to_vec();
    row.resize(if n.is_multiple_of(9) { 12_000 } else { 100 + n as usize % 700 }, 3);
    let tid = s.heap_insert(&mut t, heap, &row)?;
    s.index_insert(&mut t, index, &n.to_be_bytes(), tid, Unique::Yes)?;
    t.commit()
}

fn rows(s: &Arc<Storage>, heap: RelId) -> BTreeSet<u32> {
    let snapshot = s.begin(Isolation::ReadCommitted).snapshot();
    let mut scan = s.heap_scan(heap, &snapshot, None).unwrap();
    let mut all = BTreeSet::new();
    while scan
        .next_page(|_, p| {
            all.insert(u32::from_be_bytes(p[..4].try_into().unwrap()));
        })
        .unwrap()
    {}
    all
}

fn machine(disk: Arc<SimDisk>, known: Arc<Mutex<Known>>, life: u32) {
    let device: Arc<dyn BlockDevice> = disk;
    if Storage::probe(&*device).unwrap() == Probe::Blank {
        Storage::format(&*device, &FormatOptions { wal_bytes: Some(2 << 20), config: vec![7] }).unwrap();
    }
    let s = Storage::open(device, config()).unwrap();
    s.verify().unwrap();
    let tables = know(&known).tables;
    let tables = tables.unwrap_or_else(|| {
        let mut t = s.begin(Isolation::ReadCommitted);
        let heap = s.create_relation(&mut t, RelationKind::Heap).unwrap();
        let index = s.create_relation(&mut t, RelationKind::BTree { heap }).unwrap();
        t.commit().unwrap();
        know(&known).tables = Some((heap, index));
        (heap, index)
    });
    let there = rows(&s, tables.0);
    assert!(know(&known).acknowledged.is_subset(&there), "acknowledged and gone");
    let writers: Vec<_> = (0..3_u32)
        .map(|w| {
            let (s, known) = (s.clone(), known.clone());
            task::spawn("writer", move || {
                for i in 0..25 {
                    let n = (life << 16) + (w << 8) + i;
                    know(&known).begun.insert(n);
                    put(&s, tables, n).unwrap();
                    know(&known).acknowledged.insert(n);
                    if i % 8 == 0 {
                        let mut t = s.begin(Isolation::ReadCommitted);
                        let made = s.create_relation(&mut t, RelationKind::Heap).unwrap();
                        s.heap_insert(&mut t, made, &[1; 4000]).unwrap();
                        if i % 16 == 0 { t.abort() } else { t.commit().unwrap() }
                    }
                }
            })
        })
        .collect();
    for _ in 0..2 {
        task::sleep(Duration::from_millis(1));
        let before = know(&known).acknowledged.clone();
        let mut bytes = Vec::new();
        let done = back_up(&s, "", &mut |frame: &[u8]| {
            bytes.extend_from_slice(frame);
            task::yield_now();
            Ok::<(), ()>(())
        });
        match done {
            Ok(_) => {
                let after = know(&known).begun.clone();
                know(&known).backups.push((bytes, before, after));
            }
            Err(BackupError::LogGone) => {}
            Err(e) => panic!("{e:?}"),
        }
        s.checkpoint().unwrap();
    }
    for w in writers {
        w.join().unwrap();
    }
}

/// Several lives of one machine; then every backup is restored. Gives how many there were.
fn lives(seed: u64) -> usize {
    let disk = Arc::new(SimDisk::new(CAPACITY as usize, 512));
    let known = Arc::new(Mutex::new(Known::default()));
    for life in 0..4 {
        let cut_after = (life < 3).then(|| 60 + (seed.wrapping_mul(7919) + u64::from(life) * 131) % 300);
        disk.set_faults(Faults { sector: 512, cut_after, slow: seed % 2 == 1, ..Faults::default() });
        let (d, k) = (disk.clone(), known.clone());
        let report: Report<()> =
            simulate_with(seed * 10 + u64::from(life), None, move || machine(d, k, life));
        let panics = report.panics.join("; ");
        assert!(panics.is_empty(), "SEED={seed} life {life}: {panics}");
        assert!(
            matches!(report.outcome, Outcome::Finished(()) | Outcome::PowerCut),
            "SEED={seed} life {life}: {:?}",
            report.outcome
        );
        disk.power_cycle(seed + u64::from(life));
    }
    let count = know(&known).backups.len();
    let report: Report<()> = simulate_with(seed, None, move || {
        let (heap, _) = know(&known).tables.unwrap();
        let backups = core::mem::take(&mut know(&known).backups);
        for (bytes, before, after) in backups {
            let image: Arc<dyn BlockDevice> = Arc::new(MemDevice::new(CAPACITY, 4096));
            let backup: Arc<dyn Input> = Arc::new(bytes.into_boxed_slice());
            restore(backup, &[], image.clone(), Until::End, 1 << 20).unwrap();
            let s = Storage::open(image, StorageConfig { background_tasks: false, ..config() }).unwrap();
            s.verify().unwrap();
            let there = rows(&s, heap);
            assert!(before.is_subset(&there), "acknowledged before the backup and not in it");
            assert!(there.is_subset(&after), "in the backup and never begun");
        }
    });
    assert!(report.panics.is_empty(), "SEED={seed}: {}", report.panics.join("; "));
    assert!(matches!(report.outcome, Outcome::Finished(())), "SEED={seed}: {:?}", report.outcome);
    count
}

#[test]
fn completed_backups_come_back() {
    let backups: usize = (0..25).map(lives).sum();
    assert!(backups >= 25, "only {backups} backups were completed");
}
