//! What the disk makes of the engine: a database in a file, many times larger than the buffer pool.
//!
//! ```text
//! io fill PATH ROWS                     makes the file and a table with an index
//! io tpcb PATH POOL_MB THREADS SECONDS  random updates, each committed to the disk: transactions/s and latencies
//! io crash PATH POOL_MB COUNT           as many updates without a checkpoint, then the end without notice
//! io open PATH POOL_MB                  opens (and so recovers) it: how long that takes
//! io scan PATH POOL_MB                  one pass over all rows; empty the page cache before
//! io append THREADS COUNT               appends to the log in memory, nobody waiting for the disk
//! ```
#![allow(clippy::unwrap_used)] // not engine code: it fails by panicking

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use pg_storage::*;
use platform::{block::BlockDevice, file::FileDevice, memory_device::MemDevice};

const RING: u64 = 1 << 30;

struct Log;

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        println!("  {}", record.args());
    }
    fn flush(&self) {}
}

fn key(id: u32) -> [u8; 5] {
    let b = id.to_be_bytes();
    [1, b[0] | 0x80, b[1], b[2], b[3]]
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (((self.0 >> 33) * u64::from(n)) >> 31) as u32
    }
}

fn fill(path: &Path, rows: u32) {
    let bytes = RING + (256 << 20) + u64::from(rows) * 512;
    std::fs::File::create(path).unwrap().set_len(bytes).unwrap();
    let device = FileDevice::open(path).unwrap();
    // Blocks that the file system has allocated: what is measured later is the disk and not that.
    device.write_zeroes(0, bytes).unwrap();
    Storage::format(&device, &FormatOptions { wal_bytes: Some(RING), config: Vec::new() }).unwrap();
    let s = Storage::open(Arc::new(device), config(256)).unwrap();
    let mut t = s.begin(Isolation::ReadCommitted);
    let heap = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    let index = s.create_relation(&mut t, RelationKind::BTree { heap }).unwrap();
    let history = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    assert_eq!((heap, index, history), (RelId(1), RelId(2), RelId(3)));
    let mut tids = Vec::new();
    let row = [7u8; 97];
    while tids.len() < rows as usize {
        s.heap_insert_many(&mut t, heap, &[row.as_slice(); 500], &mut tids).unwrap();
    }
    let mut entries = tids.iter().enumerate().map(|(i, t)| (key(i as u32).to_vec(), *t, true));
    s.index_build(&mut t, index, &mut entries, true).unwrap();
    t.commit().unwrap();
    s.shutdown().unwrap();
    println!("{} pages", s.relation_stats(heap).unwrap().pages + s.relation_stats(index).unwrap().pages);
}

fn config(pool_mb: u64) -> StorageConfig {
    StorageConfig { buffer_pool_bytes: pool_mb << 20, ..Default::default() }
}

fn open(path: &Path, config: StorageConfig) -> Arc<Storage> {
    let start = Instant::now();
    let s = Storage::open(Arc::new(FileDevice::open(path).unwrap()), config).unwrap();
    println!("open: {:?}, {:?}", start.elapsed(), s.pool_stats());
    s
}

fn transaction(s: &Arc<Storage>, id: u32, tids: &mut Vec<Tid>) {
    let mut t = s.begin(Isolation::ReadCommitted);
    let snapshot = t.snapshot();
    tids.clear();
    s.index_lookup(RelId(2), &key(id), tids).unwrap();
    let mut row = [0u8; 97];
    let tid = s
        .heap_fetch(RelId(1), tids[0], &snapshot, |tid, p| {
            row.copy_from_slice(p);
            tid
        })
        .unwrap()
        .unwrap();
    row[0] = row[0].wrapping_add(1);
    let _ = s.heap_update(&mut t, RelId(1), tid, &row, Touched::Nothing).unwrap();
    s.heap_insert(&mut t, RelId(3), &id.to_le_bytes().repeat(12)).unwrap();
    t.commit().unwrap();
}

fn tpcb(s: &Arc<Storage>, threads: usize, seconds: u64) {
    let rows = s.relation_stats(RelId(1)).unwrap().live_tuples as u32;
    let start = Instant::now();
    let before = s.pool_stats();
    let workers: Vec<_> = (0..threads)
        .map(|i| {
            let s = s.clone();
            std::thread::spawn(move || {
                let (mut random, mut tids, mut took) = (Random(i as u64 * 977 + 1), Vec::new(), Vec::new());
                while start.elapsed() < Duration::from_secs(seconds) {
                    let begin = Instant::now();
                    transaction(&s, random.below(rows), &mut tids);
                    took.push(begin.elapsed());
                }
                took
            })
        })
        .collect();
    let mut took: Vec<Duration> = workers.into_iter().flat_map(|w| w.join().unwrap()).collect();
    let elapsed = start.elapsed();
    took.sort_unstable();
    let at = |part: usize| took[(took.len() - 1) * part / 1000];
    println!(
        "{threads} threads: {:.0} tx/s, p50 {:?}, p95 {:?}, p99 {:?}, p99.9 {:?}, max {:?}",
        took.len() as f64 / elapsed.as_secs_f64(),
        at(500),
        at(950),
        at(990),
        at(999),
        at(1000)
    );
    let after = s.pool_stats();
    println!("reads {}, writes {}", after.reads - before.reads, after.writes - before.writes);
}

fn append(threads: u64, count: u64) {
    let d = MemDevice::new(2 << 30, 4096);
    Storage::format(&d, &FormatOptions { wal_bytes: Some(1 << 30), config: Vec::new() }).unwrap();
    let s = Storage::open(Arc::new(d), config(256)).unwrap();
    let mut t = s.begin(Isolation::ReadCommitted);
    let rels: Vec<RelId> =
        (0..threads).map(|_| s.create_relation(&mut t, RelationKind::Heap).unwrap()).collect();
    t.commit().unwrap();
    let (start, from) = (Instant::now(), s.log_position().0);
    std::thread::scope(|scope| {
        for rel in &rels {
            let s = &s;
            scope.spawn(move || {
                let mut t = s.begin(Isolation::ReadCommitted);
                for _ in 0..count / threads {
                    s.heap_insert(&mut t, *rel, &[7; 97]).unwrap();
                }
                t.abort();
            });
        }
    });
    let (took, bytes) = (start.elapsed(), s.log_position().0 - from);
    println!("{threads} threads: {:?} per record, {} MB", took / count as u32, bytes >> 20);
}

fn main() {
    log::set_logger(&Log).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize| args.get(i).and_then(|a| a.parse::<u64>().ok()).unwrap_or(1);
    let path = args.get(1).map(Path::new).unwrap_or(Path::new(""));
    match args.first().map_or("", String::as_str) {
        "fill" => fill(path, number(2) as u32),
        "tpcb" => {
            let s = open(path, config(number(2)));
            tpcb(&s, number(3) as usize, number(4));
            let start = Instant::now();
            s.shutdown().unwrap();
            println!("shutdown: {:?}", start.elapsed());
        }
        "crash" => {
            let config = StorageConfig { background_tasks: false, ..config(number(2)) };
            let s = open(path, config);
            let rows = s.relation_stats(RelId(1)).unwrap().live_tuples as u32;
            let from = s.log_position().0;
            let (mut random, mut tids) = (Random(5), Vec::new());
            let mut t = s.begin(Isolation::ReadCommitted);
            let mut row = [7u8; 97];
            for i in 0..number(3) {
                let snapshot = t.snapshot();
                tids.clear();
                s.index_lookup(RelId(2), &key(random.below(rows)), &mut tids).unwrap();
                let found = s.heap_fetch(RelId(1), tids[0], &snapshot, |tid, _| tid).unwrap();
                row[1] = i as u8;
                let _ = s.heap_update(&mut t, RelId(1), found.unwrap(), &row, Touched::Nothing).unwrap();
                if i % 100 == 99 {
                    t.set_async_commit(true);
                    t.commit().unwrap();
                    t = s.begin(Isolation::ReadCommitted);
                } else {
                    t.next_command();
                }
            }
            t.commit().unwrap();
            println!("{} MB of log", (s.log_position().0 - from) >> 20);
            std::process::exit(0);
        }
        "open" => {
            open(path, config(number(2))).shutdown().unwrap();
        }
        "scan" => {
            let s = open(path, config(number(2)));
            let mut t = s.begin(Isolation::ReadCommitted);
            let start = Instant::now();
            let mut scan = s.heap_scan(RelId(1), &t.snapshot(), None).unwrap();
            let mut rows = 0u64;
            while scan.next_page(|_, _| rows += 1).unwrap() {}
            let mb = u64::from(scan.position()) / 128;
            println!("{rows} rows, {mb} MB in {:?}", start.elapsed());
            println!("{:?}", s.pool_stats());
        }
        "append" => append(number(1), number(2)),
        _ => println!("see the head of the source"),
    }
}
