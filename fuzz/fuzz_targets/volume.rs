//! Superblocks, configuration block and the metadata snapshot, with checksums that fit and content that need not.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use pg_storage::{FormatOptions, Storage, StorageConfig};
use platform::{
    block::{BlockDevice, Durability, IoClass},
    memory_device::MemDevice,
};

fuzz_target!(|input: (u8, &[u8])| {
    let (what, bytes) = input;
    let device: Arc<dyn BlockDevice> = Arc::new(MemDevice::new(8 << 20, 4096));
    Storage::format(&*device, &FormatOptions { wal_bytes: Some(1 << 20), config: Vec::new() }).unwrap();
    let put = |at: u64, block: &[u8]| device.write(at, block, Durability::Fua, IoClass::Wal).unwrap();
    let mut block = vec![0; 4096];
    match what % 4 {
        // A superblock with anything behind its checksum.
        0 | 1 => {
            device.read(0, &mut block, IoClass::Read).unwrap();
            for (i, b) in bytes.iter().take(4000).enumerate() {
                block[16 + i] = if what % 4 == 0 { *b } else { block[16 + i] ^ *b };
            }
            let crc = kernel_simd::crc32c::checksum(&block[16..]);
            block[12..16].copy_from_slice(&crc.to_le_bytes());
            put(0, &block);
        }
        // A metadata snapshot of anything.
        2 => {
            let mut s = pg_volume::read_superblock(&*device).unwrap();
            let mut meta = b"ITLMETA1".to_vec();
            if bytes.first().is_some_and(|b| b % 8 == 0) {
                meta.clear();
            }
            meta.extend_from_slice(bytes.get(1..).unwrap_or(&[]));
            s.generation += 1;
            (s.meta_page, s.meta_bytes) = (20, meta.len() as u64);
            s.meta_crc = kernel_simd::crc32c::checksum(&meta);
            pg_volume::metadata_write(&*device, &s, 20, &meta).unwrap();
            pg_volume::write_superblock(&*device, &s).unwrap();
        }
        // Anything at the places of the configuration.
        _ => {
            let n = bytes.len().min(4096);
            block[..n].copy_from_slice(&bytes[..n]);
            put(128 << 10, &block);
            let _ = pg_volume::read_config(&*device);
            return;
        }
    }
    let _ = Storage::probe(&*device);
    let config = StorageConfig {
        buffer_pool_bytes: 64 * 8192,
        background_tasks: false,
        ..StorageConfig::default()
    };
    if let Ok(s) = Storage::open(device, config) {
        let _ = s.verify();
        let _ = s.shutdown();
    }
});
