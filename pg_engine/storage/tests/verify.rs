//! Damage of every kind is found and named; a sound volume under load is not suspected.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking
#![cfg(not(intralith_platform = "simulated"))]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use pg_page::{PAGE_SIZE, Page};
use pg_storage::*;
use platform::{
    block::{BlockDevice, Durability, IoClass},
    memory_device::MemDevice,
};

const CAPACITY: u64 = 64 << 20;
const RING: u64 = 8 << 20;
const DATA: u64 = (1 << 20) + RING;

#[derive(Default)]
struct All(Vec<Problem>);

impl Observer for All {
    fn problem(&mut self, problem: Problem) {
        self.0.push(problem);
    }
}

fn problems(s: &Storage) -> Vec<Problem> {
    let mut all = All::default();
    s.verify_with(&mut all, true).unwrap();
    all.0
}

fn config() -> StorageConfig {
    StorageConfig { buffer_pool_bytes: 4 << 20, background_tasks: false, ..Default::default() }
}

fn key(n: u32) -> [u8; 4] {
    n.to_be_bytes()
}

/// A device with a table of rows and an index of three levels, closed.
fn volume() -> (Arc<dyn BlockDevice>, RelId, RelId) {
    let d: Arc<dyn BlockDevice> = Arc::new(MemDevice::new(CAPACITY, 4096));
    Storage::format(&*d, &FormatOptions { wal_bytes: Some(RING), config: b"cfg".to_vec() }).unwrap();
    Storage::write_config(&*d, b"cfg2").unwrap();
    let s = Storage::open(d.clone(), config()).unwrap();
    let mut t = s.begin(Isolation::ReadCommitted);
    let heap = s.create_relation(&mut t, RelationKind::Heap).unwrap();
    let index = s.create_relation(&mut t, RelationKind::BTree { heap }).unwrap();
    for n in 0..3000_u32 {
        let len = if n % 500 == 0 { 20_000 } else { 40 };
        let tid = s.heap_insert(&mut t, heap, &vec![n as u8; len]).unwrap();
        s.index_insert(&mut t, index, &[&key(n)[..], &[7; 200]].concat(), tid, Unique::Yes).unwrap();
    }
    t.commit().unwrap();
    s.shutdown().unwrap();
    (d, heap, index)
}

/// Where a page lies.
fn find(d: &dyn BlockDevice, rel: RelId, block: u32) -> (u64, Page) {
    let mut page = Page::clone(&Page::zeroed());
    for at in (DATA..CAPACITY).step_by(PAGE_SIZE) {
        d.read(at, &mut page.0, IoClass::Read).unwrap();
        if page.check(rel, block).is_ok() {
            return (at, page);
        }
    }
    panic!("page {}:{block} is not there", rel.0);
}

fn put(d: &dyn BlockDevice, at: u64, page: &Page) {
    d.write(at, &page.0, Durability::Fua, IoClass::Background).unwrap();
}

fn reopened(d: &Arc<dyn BlockDevice>) -> Vec<Problem> {
    problems(&Storage::open(d.clone(), config()).unwrap())
}

fn only(found: &[Problem], rel: RelId, block: u32, fault: Fault) {
    assert!(
        found.contains(&Problem { rel: Some(rel), block: Some(block), fault }),
        "{fault:?} on {}:{block} is not among {found:?}",
        rel.0
    );
}

#[test]
fn a_sound_volume() {
    let (d, ..) = volume();
    assert_eq!(reopened(&d), []);
    // Once more after recovery without a clean shutdown.
    assert_eq!(reopened(&d), []);
}

#[test]
fn flipped_bits_and_swapped_pages() {
    for (which, block) in [(0, 3), (1, 2)] {
        let (d, heap, index) = volume();
        let rel = [heap, index][which];
        let (at, mut page) = find(&*d, rel, block);
        page.0[5000] ^= 4;
        put(&*d, at, &page);
        only(&reopened(&d), rel, block, Fault::Page("checksum mismatch"));
    }
    let (d, heap, _) = volume();
    let ((a, first), (b, second)) = (find(&*d, heap, 1), find(&*d, heap, 2));
    put(&*d, a, &second);
    put(&*d, b, &first);
    let found = reopened(&d);
    only(&found, heap, 1, Fault::Page("page belongs elsewhere"));
    only(&found, heap, 2, Fault::Page("page belongs elsewhere"));
}

#[test]
fn damage_under_a_cached_page() {
    let (d, heap, _) = volume();
    let s = Storage::open(d.clone(), config()).unwrap();
    assert_eq!(problems(&s), []);
    let (at, mut page) = find(&*d, heap, 1);
    page.0[100] ^= 1;
    put(&*d, at, &page);
    // Statements still see the page in memory; the check sees the media.
    only(&problems(&s), heap, 1, Fault::Page("checksum mismatch"));
}

#[test]
fn superblock_and_configuration() {
    let (d, ..) = volume();
    let s = Storage::open(d.clone(), config()).unwrap();
    d.write(64 << 10, &[9; 4096], Durability::Fua, IoClass::Background).unwrap();
    d.write(128 << 10, &[9; 4096], Durability::Fua, IoClass::Background).unwrap();
    let found: Vec<Fault> = problems(&s).iter().map(|p| p.fault).collect();
    assert_eq!(found, [Fault::Superblock, Fault::Configuration]);
}

/// Changes a page and gives it a valid checksum: what a bug would leave.
fn edit(d: &dyn BlockDevice, rel: RelId, block: u32, change: impl FnOnce(&mut Page)) {
    let (at, mut page) = find(d, rel, block);
    change(&mut page);
    page.seal();
    put(d, at, &page);
}

/// A leaf of the index that has neighbours on both sides.
fn middle_leaf(d: &dyn BlockDevice, index: RelId) -> (u32, u32, u32) {
    (1..)
        .map(|b| (b, find(d, index, b).1))
        .find(|(_, p)| p.0[28] == 0 && p.u32_at(32) != u32::MAX && p.u32_at(36) != u32::MAX)
        .map(|(b, p)| (p.u32_at(32), b, p.u32_at(36)))
        .unwrap()
}

#[test]
fn trees_with_sound_pages_and_wrong_structure() {
    // Two slots change places.
    let (d, _, index) = volume();
    let (_, block, _) = middle_leaf(&*d, index);
    edit(&*d, index, block, |p| {
        let (a, b) = (p.bytes(48, 12).to_vec(), p.bytes(60, 12).to_vec());
        p.put(48, &b);
        p.put(60, &a);
    });
    only(&reopened(&d), index, block, Fault::Tree(TreeFault::Order));

    // A slot's copy of the key differs from the key.
    let (d, _, index) = volume();
    edit(&*d, index, block, |p| p.0[48] ^= 1);
    only(&reopened(&d), index, block, Fault::Tree(TreeFault::SlotHead));

    // A leaf is taken out of the chain of its level: its parent still leads to it.
    let (d, _, index) = volume();
    let (left, block, right) = middle_leaf(&*d, index);
    edit(&*d, index, right, |p| assert!(p.put(32, &left.to_le_bytes())));
    edit(&*d, index, left, |p| assert!(p.put(36, &right.to_le_bytes())));
    let found = reopened(&d);
    only(&found, index, right, Fault::Tree(TreeFault::NoDownlink));
    only(&found, index, block, Fault::Tree(TreeFault::WrongDownlink));

    // A wrong left link.
    let (d, _, index) = volume();
    edit(&*d, index, block, |p| assert!(p.put(32, &right.to_le_bytes())));
    only(&reopened(&d), index, block, Fault::Tree(TreeFault::LeftLink));
}

#[test]
fn entries_and_rows() {
    // A row's slot is freed, its entry stays.
    let (d, heap, index) = volume();
    edit(&*d, heap, 4, |p| assert!(p.put(40, &[0; 4])));
    let tid = Tid { block: 4, slot: 1 };
    let found = reopened(&d);
    assert!(
        found.contains(&Problem { rel: Some(index), block: None, fault: Fault::EntryWithoutRow(tid) }),
        "{found:?}"
    );

    // A version of a transaction that has not begun.
    let (d, heap, _) = volume();
    edit(&*d, heap, 4, |p| {
        let at = usize::from(p.u16_at(40)) & 0x3fff;
        assert!(p.put(at, &u64::MAX.to_le_bytes()));
    });
    only(&reopened(&d), heap, 4, Fault::Heap(1, HeapFault::Future));

    // An item that reaches beyond the page.
    let (d, heap, _) = volume();
    edit(&*d, heap, 4, |p| assert!(p.put(42, &9000_u16.to_le_bytes())));
    only(&reopened(&d), heap, 4, Fault::Heap(1, HeapFault::Item));
}

#[test]
fn large_rows() {
    // A page in the middle of a chain leads nowhere.
    let (d, heap, _) = volume();
    let overflow = (0..).find(|b| find(&*d, heap, *b).1.kind() == 2).unwrap();
    edit(&*d, heap, overflow, |p| p.0[4] = 9);
    let found = reopened(&d);
    assert!(
        found.iter().any(|p| p.rel == Some(heap) && matches!(p.fault, Fault::Heap(_, HeapFault::Chain))),
        "{found:?}"
    );
}

#[test]
fn a_volume_in_use_is_not_suspected() {
    let (d, heap, index) = volume();
    let s = Storage::open(d, StorageConfig { background_tasks: true, ..config() }).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3_u32)
        .map(|w| {
            let (s, stop) = (s.clone(), stop.clone());
            thread::spawn(move || {
                let mut n = 0_u32;
                // However long the checks take, the volume must not fill up.
                while !stop.load(Ordering::Relaxed) && s.space().0 > s.space().1 / 4 {
                    let mut t = s.begin(Isolation::ReadCommitted);
                    let k = [&key(10_000 + n * 3 + w)[..], &[7; 300]].concat();
                    let tid = s.heap_insert(&mut t, heap, &vec![1; 30 + (n % 90) as usize * 100]).unwrap();
                    s.index_insert(&mut t, index, &k, tid, Unique::No).unwrap();
                    match n % 4 {
                        0 => t.abort(),
                        1 => {
                            t.next_command();
                            s.heap_delete(&mut t, heap, tid).unwrap();
                            t.commit().unwrap();
                        }
                        _ => t.commit().unwrap(),
                    }
                    if n.is_multiple_of(50) {
                        let mut t = s.begin(Isolation::ReadCommitted);
                        let other = s.create_relation(&mut t, RelationKind::Heap).unwrap();
                        s.heap_insert(&mut t, other, &[5; 3000]).unwrap();
                        t.commit().unwrap();
                        let mut t = s.begin(Isolation::ReadCommitted);
                        s.drop_relation(&mut t, other).unwrap();
                        t.commit().unwrap();
                    }
                    if w == 0 && n % 100 == 99 {
                        s.vacuum(heap).unwrap();
                        s.checkpoint().unwrap();
                    }
                    n += 1;
                }
            })
        })
        .collect();
    for _ in 0..6 {
        assert_eq!(problems(&s), []);
    }
    stop.store(true, Ordering::Relaxed);
    for w in writers {
        w.join().unwrap();
    }
    assert_eq!(problems(&s), []);
}
