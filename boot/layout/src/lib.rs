//! The layout of a flashed disk: a GUID partition table with an EFI system partition, which holds the loader and the
//! kernel, and one data partition, which holds the database volume.
//!
//! # Owns
//! The names and identifiers both sides agree on (the image builder in xtask, the loader, the kernel), and the search for
//! the data partition on a device ([`find_data_partition`]).
//!
//! # Invariants
//! Read-only: nothing here writes. The decoder takes any bytes; header and entries are trusted only when their
//! checksums hold (UEFI specification 2.10, section 5.3).
//!
//! # Dependencies
//! `crc32fast` for the table's CRC-32; `platform` for the block device.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec;
use core::ops::Range;

use platform::block::{BlockDevice, BlockError, IoClass};

/// Type of the data partition, as text. Its bytes spell "INTRALITHDATA".
pub const DATA_PARTITION_TYPE: &str = "494E5452-414C-4954-4844-415441000001";

/// The same as stored on disk: the first three groups little-endian.
pub const DATA_PARTITION_TYPE_BYTES: [u8; 16] =
    [0x52, 0x54, 0x4e, 0x49, 0x4c, 0x41, 0x54, 0x49, 0x48, 0x44, 0x41, 0x54, 0x41, 0x00, 0x00, 0x01];

/// Name of the data partition.
pub const DATA_PARTITION_NAME: &str = "intralith-data";

/// The loader's path on the EFI system partition.
pub const LOADER_PATH: &str = "EFI/BOOT/BOOTX64.EFI";

/// The kernel's path on the EFI system partition.
pub const KERNEL_PATH: &str = "intralith/kernel.elf";

/// The kernel command line's path on the EFI system partition.
pub const COMMAND_LINE_PATH: &str = "intralith/cmdline.txt";

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// The byte range of the data partition.
    Found(Range<u64>),
    /// A valid partition table without a data partition of ours.
    NotOurs,
    /// No valid partition table.
    NoTable,
}

/// Most entries that are looked at, whatever the header says.
const MAX_ENTRIES: u32 = 1024;

/// Looks for the data partition of a flashed image. Falls back to the backup table at the end of the disk.
pub fn find_data_partition(device: &dyn BlockDevice) -> Result<Search, BlockError> {
    let geometry = device.geometry();
    let block = u64::from(geometry.block_size);
    let blocks = geometry.capacity / block.max(1);
    if block < 512 || blocks < 3 {
        return Ok(Search::NoTable);
    }
    for header_block in [1, blocks - 1] {
        let search = search_table(device, header_block, block, blocks)?;
        if search != Search::NoTable {
            return Ok(search);
        }
    }
    Ok(Search::NoTable)
}

/// The fields of a table header that the search needs.
struct Header {
    entries_block: u64,
    entry_count: u32,
    entry_size: u32,
    entries_crc: u32,
}

fn search_table(device: &dyn BlockDevice, at: u64, block: u64, blocks: u64) -> Result<Search, BlockError> {
    let mut buffer = vec![0; block as usize];
    device.read(at * block, &mut buffer, IoClass::Read)?;
    let Some(header) = parse_header(&buffer, at) else { return Ok(Search::NoTable) };
    let length = u64::from(header.entry_count) * u64::from(header.entry_size);
    let span = length.div_ceil(block);
    if header.entries_block.checked_add(span).is_none_or(|end| end > blocks) {
        return Ok(Search::NoTable);
    }
    let mut entries = vec![0; (span * block) as usize];
    device.read(header.entries_block * block, &mut entries, IoClass::Read)?;
    let Some(table) = entries.get(..length as usize) else { return Ok(Search::NoTable) };
    if crc32fast::hash(table) != header.entries_crc {
        return Ok(Search::NoTable);
    }
    for entry in table.chunks_exact(header.entry_size as usize) {
        if entry.get(..16) != Some(&DATA_PARTITION_TYPE_BYTES) {
            continue;
        }
        if let (Some(first), Some(last)) = (u64_at(entry, 32), u64_at(entry, 40))
            && first <= last
            && last < blocks
        {
            return Ok(Search::Found(first * block..(last + 1) * block));
        }
    }
    Ok(Search::NotOurs)
}

fn parse_header(buffer: &[u8], at: u64) -> Option<Header> {
    let size = u32_at(buffer, 12)? as usize;
    if buffer.get(..8)? != b"EFI PART" || !(92..=512).contains(&size) || u64_at(buffer, 24)? != at {
        return None;
    }
    let mut checked = [0; 512];
    checked.get_mut(..size)?.copy_from_slice(buffer.get(..size)?);
    checked.get_mut(16..20)?.fill(0);
    if crc32fast::hash(checked.get(..size)?) != u32_at(buffer, 16)? {
        return None;
    }
    let header = Header {
        entries_block: u64_at(buffer, 72)?,
        entry_count: u32_at(buffer, 80)?,
        entry_size: u32_at(buffer, 84)?,
        entries_crc: u32_at(buffer, 88)?,
    };
    (header.entry_count <= MAX_ENTRIES && (128..=4096).contains(&header.entry_size)).then_some(header)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use alloc::vec::Vec;
    use std::{io::Cursor, sync::Mutex};

    use platform::block::{Durability, Geometry};
    use proptest::prelude::*;

    use super::*;

    struct Bytes(Mutex<Vec<u8>>);

    impl BlockDevice for Bytes {
        fn geometry(&self) -> Geometry {
            let capacity = self.0.lock().unwrap().len() as u64;
            Geometry { block_size: 512, capacity, atomic_write: 512, volatile_cache: false }
        }
        fn read(&self, offset: u64, buf: &mut [u8], _: IoClass) -> Result<(), BlockError> {
            let bytes = self.0.lock().unwrap();
            let from =
                bytes.get(offset as usize..offset as usize + buf.len()).ok_or(BlockError::InvalidRequest)?;
            buf.copy_from_slice(from);
            Ok(())
        }
        fn write(&self, _: u64, _: &[u8], _: Durability, _: IoClass) -> Result<(), BlockError> {
            Err(BlockError::Gone)
        }
        fn flush(&self) -> Result<(), BlockError> {
            Ok(())
        }
        fn discard(&self, _: u64, _: u64) -> Result<(), BlockError> {
            Err(BlockError::Gone)
        }
        fn write_zeroes(&self, _: u64, _: u64) -> Result<(), BlockError> {
            Err(BlockError::Gone)
        }
    }

    const SIZE: usize = 8 << 20;

    /// A table written by an independent implementation; returns the disk and the data partition's byte range.
    fn table(ours: bool) -> (Vec<u8>, Range<u64>) {
        let mut cursor = Cursor::new(vec![0u8; SIZE]);
        let mut disk = gpt::GptConfig::new()
            .writable(true)
            .logical_block_size(gpt::disk::LogicalBlockSize::Lb512)
            .create_from_device(&mut cursor, None)
            .unwrap();
        disk.add_partition("EFI", 1 << 20, gpt::partition_types::EFI, 0, None).unwrap();
        let kind = if ours {
            gpt::partition_types::Type {
                guid: DATA_PARTITION_TYPE.parse().unwrap(),
                os: gpt::partition_types::OperatingSystem::None,
            }
        } else {
            gpt::partition_types::LINUX_FS
        };
        let id = disk.add_partition(DATA_PARTITION_NAME, 2 << 20, kind, 0, None).unwrap();
        let part = &disk.partitions()[&id];
        let range = part.first_lba * 512..(part.last_lba + 1) * 512;
        disk.write().unwrap();
        (cursor.into_inner(), range)
    }

    fn search(bytes: Vec<u8>) -> Search {
        find_data_partition(&Bytes(Mutex::new(bytes))).unwrap()
    }

    #[test]
    fn finds_the_data_partition_of_a_foreign_writer() {
        let (bytes, range) = table(true);
        assert_eq!(search(bytes), Search::Found(range));
    }

    #[test]
    fn a_damaged_first_table_falls_back_to_the_backup() {
        let (mut bytes, range) = table(true);
        bytes[512 + 40] ^= 1;
        assert_eq!(search(bytes), Search::Found(range));
    }

    #[test]
    fn other_peoples_disks_are_not_ours() {
        assert_eq!(search(table(false).0), Search::NotOurs);
        assert_eq!(search(vec![0; SIZE]), Search::NoTable);
        assert_eq!(search(vec![0xff; SIZE]), Search::NoTable);
    }

    proptest! {
        #[test]
        fn arbitrary_headers_never_panic(at in 0usize..512, noise in proptest::collection::vec(any::<u8>(), 1..128)) {
            let (mut bytes, _) = table(true);
            let start = 512 + at;
            bytes[start..start + noise.len()].copy_from_slice(&noise);
            // Even with a header whose checksum was made to fit.
            let size = u32_at(&bytes, 512 + 12).unwrap() as usize;
            if (92..=512).contains(&size) {
                bytes[528..532].fill(0);
                let crc = crc32fast::hash(&bytes[512..512 + size]);
                bytes[528..532].copy_from_slice(&crc.to_le_bytes());
            }
            let _ = search(bytes);
        }
    }
}
