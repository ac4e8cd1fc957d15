//! Recovery from a log whose records are whole and hold anything.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use pg_page::{Xid, ops::Ops, slotted};
use pg_storage::{FormatOptions, Storage, StorageConfig};
use pg_wal::{RecordKind, Wal};
use platform::{block::BlockDevice, memory_device::MemDevice};

fuzz_target!(|records: Vec<(u8, u8, &[u8])>| {
    let device: Arc<dyn BlockDevice> = Arc::new(MemDevice::new(8 << 20, 4096));
    Storage::format(&*device, &FormatOptions { wal_bytes: Some(1 << 20), config: Vec::new() }).unwrap();
    let s = pg_volume::read_superblock(&*device).unwrap();
    let wal = Wal::new(device.clone(), s.ring, s.redo, s.epoch, true);
    let log = |kind: u8, xid: u64, body: &[u8]| {
        let _ = wal.append(RecordKind(kind), Xid(xid), &[body], None);
    };
    // Something for the rest to refer to: a heap with a page.
    log(16, 1, &[1, 0, 0, 0, 1, 0, 0, 0, 0]);
    log(17, 0, &[1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    let mut page = Ops::new();
    page.format(slotted::KIND_HEAP);
    let mut body = vec![1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, page.as_bytes().len() as u8, 0];
    body.extend_from_slice(page.as_bytes());
    log(1, 1, &body);
    for (kind, xid, body) in records.iter().take(40) {
        log(*kind, u64::from(*xid), &body[..body.len().min(8000)]);
    }
    wal.flush(wal.inserted());
    let config = StorageConfig {
        buffer_pool_bytes: 64 * 8192,
        background_tasks: false,
        ..StorageConfig::default()
    };
    // Opened or refused; and what was opened can be used and checked.
    if let Ok(s) = Storage::open(device, config) {
        let _ = s.verify();
        let _ = s.shutdown();
    }
});
