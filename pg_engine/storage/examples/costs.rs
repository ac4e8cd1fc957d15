//! What operations cost, for counting instructions: run a scenario twice with different counts under
//! `valgrind --tool=none`-like counters (callgrind) and divide the difference.
//!
//! `costs SCENARIO COUNT` with SCENARIO one of: idle (nothing but the setup), empty (begin, snapshot, commit), lookup (index probe
//! and fetch in a transaction of its own), scan (one pass over all rows; counts rows), tpcb.
#![allow(clippy::unwrap_used)] // not engine code: it fails by panicking

use std::sync::Arc;

use pg_storage::*;
use platform::{block::BlockDevice, memory_device::MemDevice};

const ROWS: u32 = 200_000;

fn key(id: u32) -> [u8; 5] {
    let b = id.to_be_bytes();
    [1, b[0] | 0x80, b[1], b[2], b[3]]
}

struct Table {
    heap: RelId,
    index: RelId,
}

fn fill(s: &Arc<Storage>, rows: u32) -> Table {
    let mut t = s.begin(Isolation::ReadCommitted);
    let heap = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    let index = s.create_relation(&mut t, RelationKind::BTree { heap }).unwrap();
    let mut tids = Vec::new();
    let row = [7u8; 97];
    for _ in 0..rows.div_ceil(500) {
        let n = 500.min(rows as usize - tids.len());
        s.heap_insert_many(&mut t, heap, &vec![row.as_slice(); n], &mut tids).unwrap();
    }
    let mut entries = tids.iter().enumerate().map(|(i, t)| (key(i as u32).to_vec(), *t, true));
    s.index_build(&mut t, index, &mut entries, true).unwrap();
    t.commit().unwrap();
    Table { heap, index }
}

fn update(s: &Arc<Storage>, t: &mut Transaction, table: &Table, id: u32, tids: &mut Vec<Tid>) {
    let snapshot = t.snapshot();
    tids.clear();
    s.index_lookup(table.index, &key(id), tids).unwrap();
    let mut row = [0u8; 97];
    let tid = s
        .heap_fetch(table.heap, tids[0], &snapshot, |tid, p| {
            row.copy_from_slice(p);
            tid
        })
        .unwrap()
        .unwrap();
    row[0] = row[0].wrapping_add(1);
    assert!(matches!(
        s.heap_update(t, table.heap, tid, &row, Touched::Nothing).unwrap(),
        RowOutcome::Done { .. }
    ));
    t.next_command();
}

fn main() {
    let mut args = std::env::args().skip(1);
    let scenario = args.next().unwrap_or_default();
    let n: u32 = args.next().and_then(|s| s.parse().ok()).unwrap_or(0);
    let d = MemDevice::new(1 << 30, 4096);
    Storage::format(&d, &FormatOptions { wal_bytes: Some(256 << 20), config: Vec::new() }).unwrap();
    let device: Arc<dyn BlockDevice> = Arc::new(d);
    let config =
        StorageConfig { buffer_pool_bytes: 200 << 20, background_tasks: false, ..Default::default() };
    let s = Storage::open(device, config).unwrap();
    let accounts = fill(&s, ROWS);
    let (tellers, branches) = (fill(&s, 10), fill(&s, 1));
    let mut t = s.begin(Isolation::ReadCommitted);
    let history = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    t.commit().unwrap();
    let mut tids = Vec::new();
    let mut x = 1u32;
    let mut random = |n: u32| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((u64::from(x) * u64::from(n)) >> 32) as u32
    };
    let start = std::time::Instant::now();
    for i in 0..n {
        match scenario.as_str() {
            "empty" => {
                let mut t = s.begin(Isolation::ReadCommitted);
                std::hint::black_box(t.snapshot());
                t.commit().unwrap();
            }
            "lookup" => {
                let mut t = s.begin(Isolation::ReadCommitted);
                let snapshot = t.snapshot();
                tids.clear();
                s.index_lookup(accounts.index, &key(random(ROWS)), &mut tids).unwrap();
                let sum = s.heap_fetch(accounts.heap, tids[0], &snapshot, |_, p| p[5]).unwrap();
                assert_eq!(sum, Some(7));
                t.commit().unwrap();
            }
            "scan" => {
                let mut t = s.begin(Isolation::ReadCommitted);
                let snapshot = t.snapshot();
                let mut scan = s.heap_scan(accounts.heap, &snapshot, None).unwrap();
                let mut sum = 0u64;
                while scan.next_page(|_, p| sum += u64::from(p[5])).unwrap() {}
                assert_eq!(sum, 7 * u64::from(ROWS));
            }
            "tpcb" => {
                let mut t = s.begin(Isolation::ReadCommitted);
                update(&s, &mut t, &accounts, random(ROWS), &mut tids);
                update(&s, &mut t, &tellers, random(10), &mut tids);
                update(&s, &mut t, &branches, 0, &mut tids);
                s.heap_insert(&mut t, history, &i.to_le_bytes().repeat(12)).unwrap();
                t.commit().unwrap();
            }
            _ => return,
        }
    }
    println!("{scenario}: {n} in {:?}", start.elapsed());
    for (name, r) in [("accounts", accounts.heap), ("tellers", tellers.heap), ("branches", branches.heap)] {
        println!("  {name}: {:?}", s.relation_stats(r).unwrap());
    }
}
