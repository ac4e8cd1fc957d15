//! What stays, what goes, and who writes.

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};

use pg_page::{Lsn, RelId, Xid, ops::Ops};
use pg_volume::{Directory, Relation, RelationKind, Superblock};
use pg_wal::{Ring, Wal};
use platform::{
    block::{BlockDevice, BlockError, Durability, Geometry, IoClass, ReadRequest, WriteRequest},
    memory_device::MemDevice,
    task,
};

use super::*;

const FRAMES: u32 = 512;
const KIND: u8 = 9;

/// Counts what it is asked for.
struct Counting {
    inner: MemDevice,
    batches: AtomicU64,
    batched: AtomicU64,
    unsorted: AtomicU64,
}

impl BlockDevice for Counting {
    fn geometry(&self) -> Geometry {
        self.inner.geometry()
    }
    fn read(&self, offset: u64, buf: &mut [u8], class: IoClass) -> Result<(), BlockError> {
        self.inner.read(offset, buf, class)
    }
    fn read_batch(&self, reads: &mut [ReadRequest<'_>], class: IoClass) {
        assert_eq!(class, IoClass::ReadAhead);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.batched.fetch_add(reads.len() as u64, Ordering::Relaxed);
        self.inner.read_batch(reads, class);
    }
    fn write(&self, offset: u64, data: &[u8], d: Durability, class: IoClass) -> Result<(), BlockError> {
        self.inner.write(offset, data, d, class)
    }
    fn write_batch(&self, writes: &[WriteRequest<'_>], d: Durability, c: IoClass) -> Result<(), BlockError> {
        if !writes.is_sorted_by_key(|w| w.offset) {
            self.unsorted.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.write_batch(writes, d, c)
    }
    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }
    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.inner.discard(offset, len)
    }
    fn write_zeroes(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.inner.write_zeroes(offset, len)
    }
}

struct World {
    device: Arc<Counting>,
    directory: Directory,
    pool: Arc<BufferPool>,
}

fn world() -> World {
    let device = Arc::new(Counting {
        inner: MemDevice::new(128 << 20, 8192),
        batches: AtomicU64::new(0),
        batched: AtomicU64::new(0),
        unsorted: AtomicU64::new(0),
    });
    let ring = Ring { start: 0, len: 64 << 20, salt: 1 };
    let wal = Arc::new(Wal::new(device.clone(), ring, Lsn(64 << 20), 1, false));
    let superblock = Superblock {
        id: 0,
        generation: 1,
        ring,
        data_start: 64 << 20,
        data_pages: 8000,
        redo: Lsn(64 << 20),
        epoch: 1,
        clean: true,
        meta_page: 0,
        meta_bytes: 0,
        meta_crc: 0,
        durable: Lsn(64 << 20),
    };
    let bytes = u64::from(FRAMES) * 8192;
    let pool = Arc::new(BufferPool::new(device.clone(), wal, &superblock, bytes));
    World { device, directory: Directory::new(8000), pool }
}

impl World {
    fn relation(&self, pages: u32) -> Arc<Relation> {
        let rel = self.directory.create(self.pool.wal(), RelationKind::Heap, Xid::NONE).unwrap();
        for _ in 0..pages {
            self.pool.extend(&self.directory, &rel, KIND, Xid::NONE).unwrap();
        }
        rel
    }
    fn dirty(&self, rel: &Relation, block: u32) {
        let mut page = self.pool.write(rel, block).unwrap();
        let mut ops = Ops::new();
        ops.write(100, &[1]);
        self.pool.change(Xid::NONE, &mut [(&mut page, &ops)]);
    }
    fn use_all(&self, rel: &Relation) {
        for block in 0..rel.blocks() {
            assert_eq!(self.pool.read(rel, block).unwrap().block(), block);
        }
    }
    /// Pages read from the device while `f` runs.
    fn reads(&self, f: impl FnOnce()) -> u64 {
        let before = self.pool.stats().reads;
        f();
        self.pool.stats().reads - before
    }
}

#[test]
fn a_pass_over_much_leaves_what_is_in_use() {
    let w = world();
    let large = w.relation(4 * FRAMES);
    let hot = w.relation(FRAMES / 4);
    w.pool.write_dirty(|_, _| ()).unwrap();
    for _ in 0..3 {
        w.use_all(&hot);
    }
    let pass = w.reads(|| {
        for block in 0..large.blocks() {
            assert_eq!(w.pool.read_passing(&large, block).unwrap().block(), block);
        }
    });
    assert!(pass > u64::from(3 * FRAMES), "it did not fit: {pass}");
    assert_eq!(w.reads(|| w.use_all(&hot)), 0);
    // Without the ring, the same pass leaves nothing of them.
    w.use_all(&large);
    assert!(w.reads(|| w.use_all(&hot)) > u64::from(FRAMES / 8));
}

#[test]
fn filling_a_large_relation_leaves_what_is_in_use() {
    let w = world();
    let hot = w.relation(FRAMES / 4);
    for _ in 0..3 {
        w.use_all(&hot);
    }
    let large = w.relation(4 * FRAMES);
    assert_eq!(w.reads(|| w.use_all(&hot)), 0);
    w.use_all(&large);
}

#[test]
fn the_background_writer_spares_others_the_writing() {
    let w = world();
    let rel = w.relation(4 * FRAMES);
    w.pool.write_dirty(|_, _| ()).unwrap();
    w.use_all(&rel);
    let before = w.pool.writer_stats();
    let mut x = 1u32;
    for _ in 0..20_000 {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        w.dirty(&rel, (x >> 16) % rel.blocks());
        if x.is_multiple_of(8) {
            w.pool.write_ahead().unwrap();
        }
    }
    let after = w.pool.writer_stats();
    assert_eq!(after.statements, before.statements, "a statement had to write");
    assert!(after.background > before.background + 10_000);
    // And without it, they write many at a time.
    for _ in 0..20_000 {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        w.dirty(&rel, (x >> 16) % rel.blocks());
    }
    assert!(w.pool.writer_stats().statements > after.statements);
    assert_eq!(w.device.unsorted.load(Ordering::Relaxed), 0);
    w.pool.write_dirty(|_, _| ()).unwrap();
    assert!(w.pool.frames.iter().all(|f| !f.has(frame::DIRTY)));
    w.use_all(&rel);
}

#[test]
fn pages_are_read_ahead_of_a_pass() {
    let w = world();
    let rel = w.relation(4 * FRAMES);
    w.pool.write_dirty(|_, _| ()).unwrap();
    let weak = Arc::downgrade(&w.pool);
    let reader = task::spawn("read-ahead", move || BufferPool::read_ahead(&weak));
    // Until it serves the queue nothing is taken.
    let mut batches = 0;
    while batches < 10 {
        let mut ahead = Lookahead::new(&(0..rel.blocks()));
        for block in 0..rel.blocks() {
            ahead.at(&w.pool, &rel, block);
            assert_eq!(w.pool.read_passing(&rel, block).unwrap().block(), block);
        }
        task::yield_now();
        batches = w.device.batches.load(Ordering::Relaxed);
    }
    w.pool.stop_read_ahead();
    reader.join().unwrap();
    let sum: Vec<_> = w.pool.io_stats();
    let ahead = sum.iter().find(|s| (s.actor, s.purpose) == (Actor::ReadAhead, Purpose::BulkRead)).unwrap();
    assert!(ahead.counts.reads >= w.device.batched.load(Ordering::Relaxed));
}

#[test]
fn what_is_read_ahead_and_damaged_fails_only_who_needs_it() {
    let w = world();
    let rel = w.relation(FRAMES);
    let other = w.relation(2 * FRAMES);
    w.pool.write_dirty(|_, _| ()).unwrap();
    w.use_all(&other);
    // Of another relation, as far as the page says.
    let at = w.pool.offset(rel.physical(3).unwrap());
    w.device.write(at, &[7; 8192], Durability::Cached, IoClass::Wal).unwrap();
    let blocks: Vec<u32> = (0..rel.blocks()).collect();
    for blocks in blocks.chunks(32) {
        w.pool.load_now(&rel, blocks);
    }
    assert!(w.device.batched.load(Ordering::Relaxed) > 32);
    for block in 0..rel.blocks() {
        assert_eq!(w.pool.read(&rel, block).is_ok(), block != 3, "{block}");
    }
    assert_eq!(rel.id, RelId(1));
    // Dropped while requests for it may still wait: they bring pages back that no one looks at.
    w.pool.discard(&rel);
    w.pool.load_now(&rel, &[0, 1, 2]);
    w.pool.discard(&rel);
    let mut here = 0;
    w.pool.frame_infos(|f| here += u32::from(f.page.is_some_and(|p| p.0 == rel.id)));
    assert_eq!(here, 0);
}
