//! The ring's arithmetic, tried whole: every length of a record near the edges of blocks, at every block of a tiny ring, over several laps.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

use alloc::{sync::Arc, vec, vec::Vec};

use pg_page::{Lsn, StorageError, Xid};
use platform::{
    block::{BlockDevice, Durability, IoClass},
    faulty_device::{Fault, FaultyDevice},
    memory_device::MemDevice,
};

use crate::{BLOCK, HEADER, LogReader, RecordKind, Ring, Wal};

const LEN: u64 = 4 * BLOCK;

fn wal(start: u64) -> (Arc<dyn BlockDevice>, Ring, Wal) {
    let device: Arc<dyn BlockDevice> = Arc::new(MemDevice::new(BLOCK + LEN, 4096));
    let ring = Ring { start: BLOCK, len: LEN, salt: 9 };
    let wal = Wal::new(device.clone(), ring, Lsn(start), 1, false);
    (device, ring, wal)
}

/// Two records, each written by itself, are read again, and nothing behind them, wherever they lie in the ring.
#[test]
fn every_length_at_every_place() {
    for block in 0..5 {
        let start = LEN + block * BLOCK;
        // Every length around the edges of blocks, and some in between.
        let near = |n: &usize| (n + 200) % BLOCK as usize <= 400 || n.is_multiple_of(61);
        for first in (0..2 * BLOCK as usize).filter(|n| if cfg!(miri) { n % 509 == 0 } else { near(n) }) {
            let (device, ring, wal) = wal(start);
            let bodies = [vec![1; first], vec![2; first % 97]];
            let mut ends = Vec::new();
            for body in &bodies {
                let end = wal.append(RecordKind(3), Xid(first as u64), &[body], None).unwrap();
                wal.flush(end);
                assert_eq!((wal.durable(), end.0 % 8), (end, 0));
                ends.push(end);
            }
            assert_eq!(ends[0].0, (start + (HEADER + first) as u64).next_multiple_of(8));
            let mut reader = LogReader::new(device, ring, Lsn(start), 1);
            for (body, end) in bodies.iter().zip(&ends) {
                let r = reader.next_record().unwrap().unwrap();
                assert_eq!((r.body, r.end, r.xid), (&body[..], *end, Xid(first as u64)));
            }
            assert!(reader.next_record().unwrap().is_none());
            assert_eq!(reader.position(), ends[1]);
        }
    }
}

/// Laps over laps: what an earlier one left is never read as part of a later one.
#[test]
fn laps() {
    for len in [0usize, 1, 8, 31, 500, 1001, 4063, 4064, 4065] {
        let (device, ring, wal) = wal(LEN);
        let mut redo = Lsn(LEN);
        for n in 0..200u64 {
            if wal.used() + 2 * (HEADER as u64 + len as u64 + BLOCK) > LEN {
                redo = wal.begin_checkpoint();
                wal.flush(redo);
                wal.end_checkpoint(redo);
            }
            let body = vec![n as u8; len];
            wal.flush(wal.append(RecordKind(1), Xid(n), &[&body], None).unwrap());
            let mut reader = LogReader::new(device.clone(), ring, redo, 1);
            let mut last = None;
            while let Some(r) = reader.next_record().unwrap() {
                assert!(r.body.iter().all(|b| u64::from(*b) == r.xid.0));
                last = Some(r.xid);
            }
            assert_eq!((last, reader.position()), (Some(Xid(n)), wal.inserted()), "length {len}, record {n}");
        }
    }
}

/// Who holds the log is found before the ring is full, and only then; what is released is free.
#[test]
fn holds() {
    let (_, _, wal) = wal(LEN);
    let held = wal.hold(wal.inserted(), "held");
    let mut told = 0;
    for _ in 0..200 {
        match wal.throttle() {
            Ok(()) => {
                let end = wal.append(RecordKind(1), Xid(1), &[&[0; 100]], None).unwrap();
                wal.flush(end);
                wal.end_checkpoint(wal.begin_checkpoint());
            }
            Err(e) => {
                assert_eq!(e, StorageError::LogFull("held"));
                assert!(wal.used() > LEN / 2 && wal.used() < LEN);
                told += 1;
            }
        }
    }
    assert!(told > 100);
    wal.release(held);
    wal.throttle().unwrap();
    assert_eq!(wal.used(), 0);
}

/// Of two records, each written by itself, or of three, the device loses one write that it acknowledged: whatever was appended after
/// that tells.
#[test]
fn a_lost_write_is_told_by_what_comes_after() {
    let lens = [0usize, 8, 500, 4000, 4064, 4100, 9000, 20_000];
    for case in 0..3 * lens.len().pow(3) {
        let (lost, case) = (case % 3, case / 3);
        let (first, second, third) = (lens[case % 8], lens[case / 8 % 8], lens[case / 64]);
        let len = 64 * BLOCK;
        // In the middle of the ring, and across its end.
        let start = if (first + second) % 16 == 0 { len + BLOCK } else { 2 * len - 2 * BLOCK };
        let device = Arc::new(FaultyDevice::new(Arc::new(MemDevice::new(BLOCK + len, 4096))));
        let ring = Ring { start: BLOCK, len, salt: 9 };
        let wal = Wal::new(device.clone(), ring, Lsn(start), 1, false);
        let mut ends = vec![Lsn(start)];
        for (i, n) in [first, second, third].into_iter().enumerate() {
            device.set(if i == lost { &[Fault::Lose(0..u64::MAX)] } else { &[] });
            let end = wal.append(RecordKind(3), Xid(1), &[&vec![i as u8; n]], None).unwrap();
            wal.flush(end);
            ends.push(end);
        }
        device.set(&[]);
        let as_device: Arc<dyn BlockDevice> = device.clone();
        let mut reader = LogReader::new(as_device, ring, Lsn(start), 1);
        while reader.next_record().unwrap().is_some() {}
        let (end, epoch) = (reader.position(), reader.epoch());
        let claim = reader.claim_beyond().unwrap();
        assert_eq!((reader.position(), reader.epoch()), (end, epoch));
        let whole = end == ends[3];
        // The write after it begins with the last block that was not full, and may bring back everything.
        assert!(whole || end >= ends[lost]);
        if whole || lost == 2 {
            assert_eq!(claim, None);
        } else {
            assert!(claim >= Some(ends[lost + 1]), "{lost}: {first} {second} {third}: {claim:?} {ends:?}");
        }
    }
}

/// What is left behind the end of writes that were under way when the power went claims nothing.
#[test]
fn writes_under_way_claim_nothing() {
    for (first, second, lost) in [(10, 9000), (4000, 9000), (5000, 30_000), (4064, 8000)]
        .iter()
        .flat_map(|(a, b)| (0..6).map(move |l| (*a, *b, l)))
    {
        let device: Arc<dyn BlockDevice> = Arc::new(MemDevice::new(BLOCK + 64 * BLOCK, 4096));
        let ring = Ring { start: BLOCK, len: 64 * BLOCK, salt: 9 };
        let wal = Wal::new(device.clone(), ring, Lsn(ring.len), 1, false);
        wal.flush(wal.append(RecordKind(3), Xid(1), &[&vec![1; first]], None).unwrap());
        let whole = wal.durable();
        for n in [second, 100, 5000, 100] {
            wal.append(RecordKind(3), Xid(1), &[&vec![2; n]], None).unwrap();
        }
        // Of this write one block does not arrive.
        let mut before = vec![0; BLOCK as usize];
        let at = BLOCK + (whole.0 / BLOCK + lost) * BLOCK % ring.len;
        device.read(at, &mut before, IoClass::Read).unwrap();
        wal.flush(wal.inserted());
        device.write(at, &before, Durability::Fua, IoClass::Wal).unwrap();
        let mut reader = LogReader::new(device, ring, Lsn(ring.len), 1);
        while reader.next_record().unwrap().is_some() {}
        assert!(reader.position() >= whole);
        assert_eq!(reader.claim_beyond().unwrap(), None);
    }
}
