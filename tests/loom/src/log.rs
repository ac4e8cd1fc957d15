//! The log: appending, flushing by whoever comes first, checkpoints that begin meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};

use loom::{sync::Arc, thread};
use pg_page::{Lsn, Xid};
use pg_wal::{RecordKind, Ring, Wal};
use platform::block::{BlockDevice, BlockError, Durability, Geometry, IoClass};

use crate::model_with;

const LEN: u64 = 1 << 20;

/// A device that only knows how far it was written. It is no part of the model.
#[derive(Default)]
struct Device {
    end: AtomicU64,
    writing: AtomicU64,
}

impl BlockDevice for Device {
    fn geometry(&self) -> Geometry {
        Geometry { block_size: 4096, capacity: 2 * LEN, atomic_write: 4096, volatile_cache: true }
    }
    fn read(&self, _: u64, _: &mut [u8], _: IoClass) -> Result<(), BlockError> {
        Err(BlockError::InvalidRequest)
    }
    fn write(&self, offset: u64, data: &[u8], durability: Durability, _: IoClass) -> Result<(), BlockError> {
        assert_eq!(self.writing.fetch_add(1, Ordering::SeqCst), 0, "two log writes at a time");
        assert_eq!(durability, Durability::Fua);
        thread::yield_now();
        // The last record ends before the padding.
        let used = data.iter().rposition(|b| *b != 0).map_or(0, |i| i as u64 + 1);
        self.end.fetch_max(LEN + offset + used, Ordering::SeqCst);
        self.writing.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }
    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }
    fn discard(&self, _: u64, _: u64) -> Result<(), BlockError> {
        Ok(())
    }
    fn write_zeroes(&self, _: u64, _: u64) -> Result<(), BlockError> {
        Ok(())
    }
}

fn log() -> (std::sync::Arc<Device>, Arc<Wal>) {
    let device = std::sync::Arc::new(Device::default());
    let ring = Ring { start: 0, len: LEN, salt: 3 };
    (device.clone(), Arc::new(Wal::new(device, ring, Lsn(LEN), 1, true)))
}

fn append(wal: &Wal, oldest: Option<Lsn>) -> Option<Lsn> {
    // No byte of the body is zero: the device can tell where it ends.
    wal.append(RecordKind(1), Xid(7), &[&[0xff; 8]], oldest).ok()
}

/// Whoever's flush returns finds its record on the device, whoever wrote it; one write at a time.
#[test]
fn who_has_flushed_is_durable() {
    model_with(2, || {
        let (device, wal) = log();
        let commit = |wal: Arc<Wal>, device: std::sync::Arc<Device>| {
            move || {
                let end = append(&wal, None).unwrap();
                wal.flush(end);
                assert!(wal.durable() >= end);
                assert!(device.end.load(Ordering::SeqCst) >= end.0, "acknowledged before it was written");
                assert!(wal.durable() <= wal.inserted());
            }
        };
        let others: Vec<_> = (0..2).map(|_| thread::spawn(commit(wal.clone(), device.clone()))).collect();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(wal.inserted(), Lsn(LEN + 80));
        assert_eq!(wal.durable(), wal.inserted());
    });
}

/// A record without the page images that a checkpoint needs does not come behind the checkpoint's start.
#[test]
fn no_record_behind_a_checkpoint_lacks_its_image() {
    model_with(3, || {
        let (_, wal) = log();
        let page = append(&wal, None).unwrap();
        let other = {
            let wal = wal.clone();
            thread::spawn(move || wal.begin_checkpoint())
        };
        let logged = if wal.needs_image(page) { None } else { append(&wal, Some(page)) };
        let redo = other.join().unwrap();
        if let Some(end) = logged {
            assert!(end <= redo, "a change at {end:?} relies on a page as it was before {redo:?}");
        } else {
            assert!(wal.needs_image(page));
        }
    });
}

/// A commit that nobody waits for is settled when it is durable and not before.
#[test]
fn unawaited_commits_are_settled_when_they_are_durable() {
    model_with(2, || {
        let (device, wal) = log();
        let writer = {
            let wal = wal.clone();
            thread::spawn(move || wal.flush(wal.inserted()))
        };
        let end = append(&wal, None).unwrap();
        wal.commits_unawaited(end);
        if wal.settled() {
            assert!(device.end.load(Ordering::SeqCst) >= end.0);
        }
        writer.join().unwrap();
        wal.flush(end);
        assert!(wal.settled());
    });
}
