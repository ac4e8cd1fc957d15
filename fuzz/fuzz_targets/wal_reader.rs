//! The log as it may lie on a disk: any bytes in the ring, some of them sealed as records.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use pg_page::Lsn;
use pg_wal::{HEADER, LogReader, Ring};
use platform::{
    block::{BlockDevice, Durability, IoClass},
    memory_device::MemDevice,
};

const LEN: u64 = 1 << 20;

fuzz_target!(|input: (u16, bool, &[u8])| {
    let (from, seal, bytes) = input;
    let mut content = bytes.to_vec();
    let from = LEN + u64::from(from) * 8;
    if seal && content.len() >= HEADER {
        // A header that passes for one at this place, so that what comes after the checksum is reached too.
        let len = (u32::from_le_bytes(content[..4].try_into().unwrap()) as usize % (HEADER + 256)).max(HEADER);
        content.resize(len.max(content.len()), 0);
        content[..4].copy_from_slice(&(len as u32).to_le_bytes());
        content[8..16].copy_from_slice(&from.to_le_bytes());
        content[24..28].copy_from_slice(&1u32.to_le_bytes());
        let header: [u8; HEADER] = *content.first_chunk().unwrap();
        let sum = pg_wal::checksum(7, &header, &content[HEADER..len]);
        content[4..8].copy_from_slice(&sum.to_le_bytes());
    }
    let device = Arc::new(MemDevice::new(LEN, 4096));
    let at = (from % LEN) as usize;
    let mut ring = vec![0; LEN as usize];
    for (i, b) in content.iter().enumerate() {
        ring[(at + i) % LEN as usize] = *b;
    }
    device.write(0, &ring, Durability::Fua, IoClass::Wal).unwrap();
    let mut reader = LogReader::new(device, Ring { start: 0, len: LEN, salt: 7 }, Lsn(from), 1);
    let mut last = from;
    while let Ok(Some(record)) = reader.next_record() {
        assert!(record.end.0 > last && record.end.0 <= from + LEN);
        assert!(record.body.len() < LEN as usize);
        last = record.end.0;
    }
    let end = reader.position();
    let claim = reader.claim_beyond().unwrap();
    assert!(claim.is_none_or(|c| c > end) && reader.position() == end);
    if seal && bytes.len() >= HEADER {
        assert!(last > from, "a record that was sealed is not read");
    }
});
