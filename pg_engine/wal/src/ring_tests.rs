//! The ring's arithmetic, tried whole: every length of a record near the edges of blocks, at every block of a tiny ring, over several laps.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking

use alloc::{sync::Arc, vec, vec::Vec};

use pg_page::{Lsn, StorageError, Xid};
use platform::{block::BlockDevice, memory_device::MemDevice};

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
        let near = |n: &usize| (n + 200) % BLOCK as usize <= 400 || n % 61 == 0;
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
