//! The driver against a controller made of code.

mod fake;

use crate::{NvmeDisk, NvmeError, Options, spec::io};
use alloc::{sync::Arc, vec, vec::Vec};
use core::time::Duration;
use fake::{BLOCK, Behaviour, Fake};
use platform::block::{BlockDevice, BlockError, Durability, IoClass, WriteRequest};
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
