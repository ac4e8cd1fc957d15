//! The driver against a controller made of code.

mod fake;
mod rings;

use crate::{NvmeDisk, NvmeError, Options, spec::io};
use alloc::{sync::Arc, vec, vec::Vec};
use core::time::Duration;
use fake::{BLOCK, Behaviour, Fake};
use platform::block::{BlockDevice, BlockError, Durability, IoClass, ReadRequest, WriteRequest};
use proptest::prelude::*;
use std::thread;

const BLOCKS: usize = 16 << 10;

fn options() -> Options {
    Options {
        command_limit: Duration::from_millis(60),
        abort_grace: Duration::from_millis(60),
        ..Options::default()
    }
}

fn open(behaviour: Behaviour) -> (NvmeDisk, Arc<Fake>) {
    let fake = Arc::new(Fake::new(BLOCKS, behaviour));
    (NvmeDisk::open(fake.clone(), options()).unwrap(), fake)
}

fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| ((i + seed).wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn geometry_is_what_the_device_says() {
    let (disk, _) = open(Behaviour::default());
    let g = disk.geometry();
    assert_eq!((g.block_size, g.capacity), (512, (BLOCKS * BLOCK) as u64));
    assert_eq!((g.atomic_write, g.volatile_cache), (8 * 512, true));
    assert_eq!(disk.model(), "Fake");
}

#[test]
fn what_is_out_of_range_is_refused() {
    let (disk, _) = open(Behaviour::default());
    let end = disk.geometry().capacity;
    let mut buf = [0; 512];
    for offset in [1, end, end - 256, u64::MAX, u64::MAX - 511] {
        assert_eq!(disk.read(offset, &mut buf, IoClass::Read), Err(BlockError::InvalidRequest));
        assert_eq!(disk.write_zeroes(offset, 512), Err(BlockError::InvalidRequest));
        assert_eq!(disk.discard(offset, 512), Err(BlockError::InvalidRequest));
    }
    assert_eq!(disk.read(0, &mut buf[..100], IoClass::Read), Err(BlockError::InvalidRequest));
    assert_eq!(disk.read(end, &mut [], IoClass::Read), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Any transfer, at any alignment of the buffer, through any transfer limit, in any order of completion.
    #[test]
    fn bytes_come_back(
        blocks in 1usize..12_000,
        at in 0usize..4000,
        shift in 0usize..5000,
        mdts in 0u8..8,
        scramble: bool,
        fua: bool,
        max_entries in 2u16..64,
    ) {
        let (disk, fake) = open(Behaviour { mdts, scramble, max_entries, ..Behaviour::default() });
        let len = blocks * BLOCK;
        let data = pattern(len + shift, at);
        let offset = (at * BLOCK) as u64;
        let durability = if fua { Durability::Fua } else { Durability::Cached };
        disk.write(offset, &data[shift..], durability, IoClass::Wal).unwrap();
        fake.with(|s| {
            assert!(s.disk[at * BLOCK..at * BLOCK + len] == data[shift..]);
            assert_eq!(s.fua > 0, fua);
            assert!(mdts == 0 || s.largest <= 4096 << mdts);
        });
        let mut back = vec![0; len + shift];
        disk.read(offset, &mut back[shift..], IoClass::Read).unwrap();
        prop_assert!(back[shift..] == data[shift..]);
        prop_assert!(back[..shift].iter().all(|b| *b == 0));
    }
}

#[test]
fn a_batch_takes_one_doorbell() {
    let (disk, fake) = open(Behaviour { scramble: true, ..Behaviour::default() });
    let pages: Vec<_> = (0..20).map(|i| pattern(8192, i)).collect();
    let writes: Vec<_> =
        pages.iter().enumerate().map(|(i, p)| WriteRequest { offset: i as u64 * 16384, data: p }).collect();
    let before = fake.with(|s| s.doorbells);
    disk.write_batch(&writes, Durability::Fua, IoClass::Wal).unwrap();
    assert_eq!(fake.with(|s| s.doorbells) - before, 1);
    for w in &writes {
        let mut back = vec![0; 8192];
        disk.read(w.offset, &mut back, IoClass::Read).unwrap();
        assert!(back == w.data);
    }
    // More than the queue holds goes in portions.
    let writes: Vec<_> =
        (0..500).map(|i| WriteRequest { offset: i * 512, data: &pages[i as usize % 20][..512] }).collect();
    disk.write_batch(&writes, Durability::Cached, IoClass::Background).unwrap();
    for w in &writes {
        let at = w.offset as usize;
        assert!(fake.with(|s| s.disk[at..at + 512] == *w.data));
    }
}

/// Page-aligned buffers, as the buffer pool has them.
fn pages(n: usize) -> Vec<alloc::boxed::Box<Aligned>> {
    (0..n).map(|i| alloc::boxed::Box::new(Aligned(pattern(8192, i).try_into().unwrap()))).collect()
}

#[repr(align(4096))]
struct Aligned([u8; 8192]);

#[test]
fn neighbours_become_one_command() {
    let (disk, fake) = open(Behaviour { scramble: true, ..Behaviour::default() });
    let pages = pages(40);
    // Two runs and a page by itself; the second run is longer than a command of this class.
    let places: Vec<u64> = (0..3).chain([9]).chain(20..56).map(|p| p * 8192).collect();
    let writes: Vec<_> =
        pages.iter().zip(&places).map(|(p, at)| WriteRequest { offset: *at, data: &p.0 }).collect();
    disk.write_batch(&writes, Durability::Cached, IoClass::Background).unwrap();
    let blocks = |pages: &[u64]| pages.iter().map(|p| p * 16).collect::<Vec<_>>();
    fake.with(|s| {
        assert_eq!(core::mem::take(&mut s.blocks), blocks(&[0, 9, 20, 36, 52]));
        assert_eq!(s.largest, 128 << 10);
    });
    let mut back = self::pages(40);
    back.iter_mut().for_each(|p| p.0.fill(0));
    let mut reads: Vec<_> =
        back.iter_mut().zip(&places).map(|(p, at)| ReadRequest::new(*at, &mut p.0)).collect();
    disk.read_batch(&mut reads, IoClass::Read);
    assert!(reads.iter().all(|r| r.outcome == Ok(())));
    fake.with(|s| assert_eq!(s.blocks, blocks(&[0, 9, 20])));
    assert!(back.iter().zip(&pages).all(|(a, b)| a.0 == b.0));
    // What the device writes whole stays a command of its own, or part of what it also writes whole.
    let halves: Vec<_> =
        (0..4).map(|i| WriteRequest { offset: i * 4096, data: &pages[i as usize].0[..4096] }).collect();
    fake.with(|s| s.blocks.clear());
    disk.write_batch(&halves, Durability::Cached, IoClass::Background).unwrap();
    fake.with(|s| assert_eq!(s.blocks.len(), 4));
}

#[test]
fn one_bad_page_of_a_batch_hurts_no_other() {
    let (disk, _) = open(Behaviour { bad_block: Some(50), ..Behaviour::default() });
    let mut pages = pages(8);
    let mut reads: Vec<_> =
        pages.iter_mut().zip(0..).map(|(p, i)| ReadRequest::new(i * 8192, &mut p.0)).collect();
    disk.read_batch(&mut reads, IoClass::ReadAhead);
    let outcomes: Vec<_> = reads.iter().map(|r| r.outcome).collect();
    for (i, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome, if i == 3 { Err(BlockError::Media) } else { Ok(()) });
    }
}

/// Waits until no more commands come.
fn settled(fake: &Fake) -> usize {
    let mut last = usize::MAX;
    while last != fake.held() {
        last = fake.held();
        thread::sleep(Duration::from_millis(30));
    }
    last
}

#[test]
fn what_is_urgent_comes_behind_few_others() {
    const PART: u64 = 2 << 20;
    let fake = Arc::new(Fake::new(BLOCKS, Behaviour { queues: 1, max_entries: 64, ..Behaviour::default() }));
    let disk = Arc::new(NvmeDisk::open(fake.clone(), Options::default()).unwrap());
    fake.with(|s| (s.behaviour.hold, s.blocks) = (true, Vec::new()));
    let start = |class: IoClass, commands: u64| {
        let disk = disk.clone();
        thread::spawn(move || {
            let data = [0u8; 512];
            // No neighbours: each is a command. Every class has a part of the disk.
            let writes: Vec<_> = (0..commands)
                .map(|i| WriteRequest { offset: class as u64 * PART + i * 1024, data: &data })
                .collect();
            disk.write_batch(&writes, Durability::Cached, class).unwrap();
        })
    };
    // Of 63 slots, a quarter each at most.
    let background = start(IoClass::Background, 200);
    assert_eq!(settled(&fake), 15);
    let ahead = start(IoClass::ReadAhead, 200);
    assert_eq!(settled(&fake), 30);
    // Reads leave some for the log.
    let reads = start(IoClass::Read, 100);
    assert_eq!(settled(&fake), 63 - 7);
    let log = start(IoClass::Wal, 1);
    assert_eq!(settled(&fake), 63 - 6);
    // While reads wait, nothing of the lower classes is begun.
    let class_of = |block: &u64| block * 512 / PART;
    let begun = fake.with(|s| s.blocks.len());
    while fake.with(|s| s.blocks.iter().filter(|b| class_of(b) == IoClass::Read as u64).count()) < 100 {
        fake.release(1);
        thread::sleep(Duration::from_millis(1));
    }
    let later = fake.with(|s| s.blocks[begun..].to_vec());
    let last = later.iter().rposition(|b| class_of(b) == IoClass::Read as u64).unwrap();
    assert!(later[..last].iter().all(|b| class_of(b) == IoClass::Read as u64));
    fake.with(|s| s.behaviour.hold = false);
    while ![&background, &ahead, &reads, &log].iter().all(|t| t.is_finished()) {
        fake.release(usize::MAX);
        thread::sleep(Duration::from_millis(1));
    }
    for t in [background, ahead, reads, log] {
        t.join().unwrap();
    }
    assert_eq!(fake.with(|s| s.blocks.len()), 501);
}

#[test]
fn zeroes_discard_and_flush() {
    for no_write_zeroes in [false, true] {
        let (disk, fake) = open(Behaviour { no_write_zeroes, ..Behaviour::default() });
        fake.with(|s| s.disk.fill(7));
        disk.write_zeroes(512, 4 << 20).unwrap();
        disk.discard((5 << 20) + 512, 1 << 20).unwrap();
        disk.flush().unwrap();
        fake.with(|s| {
            let zero = |r: core::ops::Range<usize>, s: &[u8]| s[r].iter().all(|b| *b == 0);
            assert!(zero(512..512 + (4 << 20), &s.disk));
            assert!(zero((5 << 20) + 512..(6 << 20) + 512, &s.disk));
            assert_eq!((s.disk[511], s.disk[512 + (4 << 20)], s.disk[(5 << 20) + 511]), (7, 7, 7));
            assert_eq!(s.opcodes.last(), Some(&io::FLUSH));
        });
    }
}

#[test]
fn many_tasks_share_the_queues() {
    let (disk, fake) = open(Behaviour { scramble: true, queues: 2, max_entries: 4, ..Behaviour::default() });
    let disk = Arc::new(disk);
    let tasks: Vec<_> = (0..8)
        .map(|t| {
            let disk = disk.clone();
            thread::spawn(move || {
                for i in 0..60 {
                    let offset = ((t * 60 + i) * 8192) as u64;
                    let class = [IoClass::Wal, IoClass::Read, IoClass::ReadAhead, IoClass::Background][i % 4];
                    let data = pattern(8192, t * 1000 + i);
                    disk.write(offset, &data, Durability::Fua, class).unwrap();
                    let mut back = vec![0; 8192];
                    disk.read(offset, &mut back, class).unwrap();
                    assert!(back == data);
                }
            })
        })
        .collect();
    for t in tasks {
        t.join().unwrap();
    }
    fake.with(|s| assert_eq!(s.resets, 0));
}

#[test]
fn a_media_error_is_reported_and_nothing_else_suffers() {
    let (disk, _) = open(Behaviour { bad_block: Some(100), ..Behaviour::default() });
    let mut buf = vec![0; 64 * 512];
    assert_eq!(disk.read(64 * 512, &mut buf, IoClass::Read), Err(BlockError::Media));
    assert_eq!(disk.read(0, &mut buf, IoClass::Read), Ok(()));
    assert_eq!(disk.controller().resets(), 0);
}

#[test]
fn what_may_be_retried_is() {
    let (disk, fake) = open(Behaviour { not_ready: 3, ..Behaviour::default() });
    disk.write(0, &pattern(512, 1), Durability::Fua, IoClass::Wal).unwrap();
    fake.with(|s| assert_eq!(s.opcodes, [io::WRITE; 4]));
    fake.with(|s| s.behaviour.not_ready = 100);
    assert_eq!(disk.write(0, &pattern(512, 1), Durability::Fua, IoClass::Wal), Err(BlockError::Media));
}

#[test]
fn a_late_command_is_aborted() {
    let (disk, fake) = open(Behaviour { swallow: 1, ..Behaviour::default() });
    let mut buf = vec![0; 512];
    assert_eq!(disk.read(0, &mut buf, IoClass::Read), Err(BlockError::Timeout));
    assert_eq!((disk.controller().aborts(), disk.controller().resets()), (1, 0));
    assert_eq!(disk.read(0, &mut buf, IoClass::Read), Ok(()));
    fake.with(|s| assert_eq!(s.resets, 0));
}

#[test]
fn when_aborting_does_not_help_the_controller_is_reset_and_the_command_repeated() {
    let (disk, fake) =
        open(Behaviour { swallow: 1, swallow_aborts: true, queues: 2, ..Behaviour::default() });
    let data = pattern(100_000 / 512 * 512, 3);
    disk.write(512, &data, Durability::Fua, IoClass::Wal).unwrap();
    assert_eq!((disk.controller().aborts(), disk.controller().resets()), (1, 1));
    fake.with(|s| assert!(s.disk[512..512 + data.len()] == data));
    // One that hangs the device every time is given up.
    fake.with(|s| s.behaviour.swallow = 100);
    assert_eq!(disk.write(512, &data, Durability::Fua, IoClass::Wal), Err(BlockError::Timeout));
    fake.with(|s| s.behaviour.swallow = 0);
    disk.write(512, &data, Durability::Fua, IoClass::Wal).unwrap();
}

#[test]
fn others_survive_a_reset() {
    let (disk, fake) = open(Behaviour { swallow_aborts: true, queues: 2, ..Behaviour::default() });
    let disk = Arc::new(disk);
    let tasks: Vec<_> = (0..6)
        .map(|t| {
            let disk = disk.clone();
            thread::spawn(move || {
                for i in 0..200usize {
                    let data = pattern(4096, t * 1000 + i);
                    disk.write((t * 65536) as u64, &data, Durability::Fua, IoClass::Wal).unwrap();
                    let mut back = vec![0; 4096];
                    disk.read((t * 65536) as u64, &mut back, IoClass::Read).unwrap();
                    assert!(back == data);
                }
            })
        })
        .collect();
    // One command disappears; all others, before and after, must not notice.
    fake.with(|s| s.behaviour.swallow = 1);
    for t in tasks {
        t.join().unwrap();
    }
    assert_eq!(disk.controller().resets(), 1);
}

#[test]
fn a_device_that_dies_fails_every_call_and_loses_the_bus() {
    let behaviour =
        Behaviour { swallow: 1000, swallow_aborts: true, dies_on_reset: true, ..Behaviour::default() };
    let fake = Arc::new(Fake::new(BLOCKS, Behaviour { dies_on_reset: false, ..behaviour }));
    let disk = Arc::new(NvmeDisk::open(fake.clone(), options()).unwrap());
    fake.with(|s| s.behaviour.dies_on_reset = true);
    let tasks: Vec<_> = (0..4)
        .map(|i| {
            let disk = disk.clone();
            thread::spawn(move || disk.read(i * 512, &mut [0; 512], IoClass::Read))
        })
        .collect();
    for t in tasks {
        assert_eq!(t.join().unwrap(), Err(BlockError::Gone));
    }
    assert_eq!(disk.flush(), Err(BlockError::Gone));
    assert_eq!(disk.write_zeroes(0, 512), Err(BlockError::Gone));
}

#[test]
fn an_unplugged_device_is_gone() {
    let (disk, fake) = open(Behaviour { swallow: 1000, ..Behaviour::default() });
    fake.with(|s| s.behaviour.unplugged = true);
    assert_eq!(disk.read(0, &mut [0; 512], IoClass::Read), Err(BlockError::Gone));
    let none = NvmeDisk::open(fake, options());
    assert_eq!(none.err(), Some(NvmeError::Absent));
}

#[test]
fn after_shutdown_nothing_is_accepted() {
    let (disk, _) = open(Behaviour::default());
    disk.controller().shutdown();
    assert_eq!(disk.read(0, &mut [0; 512], IoClass::Read), Err(BlockError::Gone));
}
