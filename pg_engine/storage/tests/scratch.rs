//! Temporary files: what is read is what was appended, damage is noticed, and space comes back however they end.
#![allow(clippy::unwrap_used)] // a test: it fails by panicking
#![cfg(not(intralith_platform = "simulated"))]

use std::sync::Arc;

use pg_storage::*;
use platform::{
    block::{BlockDevice, Durability, IoClass},
    memory_device::MemDevice,
};
use proptest::prelude::*;

const RING: u64 = 1 << 20;
const DATA: u64 = (1 << 20) + RING;

fn volume(bytes: u64) -> (Arc<MemDevice>, Arc<Storage>) {
    let device = Arc::new(MemDevice::new(DATA + bytes, 8192));
    Storage::format(&*device, &FormatOptions { wal_bytes: Some(RING), config: Vec::new() }).unwrap();
    let s = open(&device);
    (device, s)
}

fn open(device: &Arc<MemDevice>) -> Arc<Storage> {
    let config = StorageConfig { buffer_pool_bytes: 2 << 20, background_tasks: false, ..Default::default() };
    Storage::open(device.clone(), config).unwrap()
}

fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 31 + i / 251) as u8).collect()
}

#[test]
fn space_comes_back_and_a_restart_finds_it_free() {
    let (device, s) = volume(16 << 20);
    let free = s.space();
    let mut f = s.scratch_file(64 << 10);
    f.append(&bytes(1 << 20)).unwrap();
    f.finish().unwrap();
    assert!(s.space().0 + (1 << 20) <= free.0);
    s.verify().unwrap();
    drop(f);
    assert_eq!(s.space(), free);
    // A run that ends with files open.
    let mut f = s.scratch_file(64 << 10);
    f.append(&bytes(1 << 20)).unwrap();
    s.checkpoint().unwrap();
    let again = open(&device);
    assert_eq!(again.space(), free);
    again.verify().unwrap();
    drop(f);
}

#[test]
fn a_full_volume_ends_the_file_only() {
    let (_, s) = volume(8 << 20);
    let free = s.space();
    let mut f = s.scratch_file(256 << 10);
    let error = (0..1000).find_map(|_| f.append(&bytes(100_000)).err()).unwrap();
    assert_eq!(error.sqlstate(), "53100");
    drop(f);
    assert_eq!(s.space(), free);
}

#[test]
fn damage_is_noticed() {
    let (device, s) = volume(8 << 20);
    let text = bytes(50_000);
    let mut f = s.scratch_file(8192);
    f.append(&text).unwrap();
    f.finish().unwrap();
    let mut page = vec![0; 8192];
    let mut damaged = 0;
    // The file's pages are those that hold a piece of it.
    for at in (DATA..DATA + (8 << 20)).step_by(8192) {
        device.read(at, &mut page, IoClass::Read).unwrap();
        if page[16..48] == text[8176..8208] {
            page[100] ^= 4;
            device.write(at, &page, Durability::Cached, IoClass::Background).unwrap();
            damaged += 1;
        }
    }
    assert_eq!(damaged, 1);
    let mut out = vec![0; 50_000];
    let error = f.read(0, &mut out, &mut ScratchBuffer::default()).unwrap_err();
    assert_eq!(error.sqlstate(), "XX001");
    f.read(0, &mut out[..8000], &mut ScratchBuffer::default()).unwrap();
    assert_eq!(out[..8000], text[..8000]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_pieces_are_read_as_they_were_written(
        pieces in prop::collection::vec(0usize..40_000, 1..12),
        buffer in 0usize..300_000,
        reads in prop::collection::vec((0usize..400_000, 0usize..50_000), 1..12),
        finished in any::<bool>(),
    ) {
        let (_, s) = volume(8 << 20);
        let all = bytes(pieces.iter().sum());
        let mut f = s.scratch_file(buffer);
        let mut at = 0;
        for n in pieces {
            f.append(&all[at..at + n]).unwrap();
            at += n;
        }
        if finished {
            f.finish().unwrap();
        }
        prop_assert_eq!(f.len(), all.len() as u64);
        let mut buffer = ScratchBuffer::default();
        for (from, n) in reads {
            let from = from.min(all.len());
            let n = n.min(all.len() - from);
            let mut out = vec![0; n];
            f.read(from as u64, &mut out, &mut buffer).unwrap();
            prop_assert_eq!(&out, &all[from..from + n]);
        }
        prop_assert!(f.read(all.len() as u64, &mut [0], &mut buffer).is_err());
    }
}
