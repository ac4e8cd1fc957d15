//! Looking at a disk before anything is written to it.

use alloc::{string::String, vec, vec::Vec};

use pg_page::StorageError;
use platform::block::{BlockDevice, IoClass};

use crate::layout::{
    CONFIG_BYTES, CONFIG_MAGIC, CONFIGS, MAGIC, RING_START, SUPERBLOCKS, VERSION, read_superblock,
};

/// Bytes looked at, at both ends of the disk.
const LOOK: u64 = 1 << 20;

/// What a device holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Nothing but zeroes at both ends: it may be formatted.
    Blank,
    /// An Intralith volume.
    Intralith {
        /// Format version.
        version: u32,
        /// It was shut down cleanly: opening needs no recovery.
        clean: bool,
    },
    /// Something else. It is never written.
    Foreign {
        /// For the console, such as "an ext4 file system".
        what: String,
    },
}

/// Signatures: place, bytes, name. The first that matches names the disk.
const SIGNATURES: &[(usize, &[u8], &str)] = &[
    (512, b"EFI PART", "a GPT partition table"),
    (4096, b"EFI PART", "a GPT partition table"),
    (0, b"XFSB", "an XFS file system"),
    (0, b"LUKS\xba\xbe", "a LUKS encrypted volume"),
    (0, b"QFI\xfb", "a qcow2 disk image"),
    (3, b"NTFS    ", "an NTFS file system"),
    (3, b"EXFAT   ", "an exFAT file system"),
    (54, b"FAT", "a FAT file system"),
    (82, b"FAT32", "a FAT file system"),
    (512, b"LABELONE", "an LVM physical volume"),
    (536, b"LVM2", "an LVM physical volume"),
    (4086, b"SWAPSPACE2", "a Linux swap area"),
    (0x10040, b"_BHRfS_M", "a btrfs file system"),
    (0x8001, b"CD001", "an ISO 9660 file system"),
    (1024, b"\x10\x20\xf5\xf2", "an F2FS file system"),
    (4096, b"\xfc\x4e\x2b\xa9", "a Linux RAID member"),
    (510, b"\x55\xaa", "an MBR partition table"),
];

/// Looks at a device without writing to it.
pub fn probe(device: &dyn BlockDevice) -> Result<Probe, StorageError> {
    let capacity = device.geometry().capacity;
    let look = LOOK.min(capacity);
    let mut head = vec![0; look as usize];
    device.read(0, &mut head, IoClass::Read)?;
    let superblock = SUPERBLOCKS.iter().any(|at| has(&head, *at as usize, MAGIC));
    let read_tail = || -> Result<Vec<u8>, StorageError> {
        let mut tail = vec![0; look as usize];
        device.read(capacity - look, &mut tail, IoClass::Read)?;
        Ok(tail)
    };
    if superblock {
        return match read_superblock(device) {
            Ok(s) => Ok(Probe::Intralith { version: VERSION, clean: s.clean }),
            Err(StorageError::Version(version)) => Ok(Probe::Intralith { version, clean: false }),
            Err(StorageError::CorruptVolume(_)) if interrupted_format(device, &head, &read_tail()?)? => {
                Ok(Probe::Blank)
            }
            Err(e) => Err(e),
        };
    }
    let tail = read_tail()?;
    if zero(&head) && zero(&tail) {
        return Ok(Probe::Blank);
    }
    let config = CONFIGS.iter().any(|at| has(&head, *at as usize, CONFIG_MAGIC));
    if config && interrupted_format(device, &head, &tail)? {
        return Ok(Probe::Blank);
    }
    Ok(Probe::Foreign { what: String::from(name(&head, &tail)) })
}

fn zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| *b == 0)
}

fn has(head: &[u8], at: usize, magic: &[u8]) -> bool {
    head.get(at..).is_some_and(|h| h.starts_with(magic))
}

/// The power failed while this disk was being formatted: nothing is on it but what formatting writes, and no log was ever written.
fn interrupted_format(device: &dyn BlockDevice, head: &[u8], tail: &[u8]) -> Result<bool, StorageError> {
    let mut rest = head.to_vec();
    for (at, len, magic) in [
        (SUPERBLOCKS[0], 4096, MAGIC),
        (SUPERBLOCKS[1], 4096, MAGIC),
        (CONFIGS[0], CONFIG_BYTES, CONFIG_MAGIC),
        (CONFIGS[1], CONFIG_BYTES, CONFIG_MAGIC),
    ] {
        if has(head, at as usize, magic)
            && let Some(part) = rest.get_mut(at as usize..at as usize + len)
        {
            part.fill(0);
        }
    }
    let mut log = vec![0; 64 << 10];
    device.read(RING_START, &mut log, IoClass::Read)?;
    Ok(zero(&rest) && zero(tail) && zero(&log))
}

fn name(head: &[u8], tail: &[u8]) -> &'static str {
    let has = |at: usize, magic: &[u8]| head.get(at..).is_some_and(|h| h.starts_with(magic));
    if has(1024 + 56, b"\x53\xef") {
        // ext4 has extents (0x40) or flex_bg (0x200) among its incompatible features, ext3 a journal.
        let u32_at =
            |at: usize| head.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b));
        return match (u32_at(1024 + 96) & 0x240, u32_at(1024 + 92) & 4) {
            (0, 0) => "an ext2 file system",
            (0, _) => "an ext3 file system",
            _ => "an ext4 file system",
        };
    }
    if let Some((_, _, name)) = SIGNATURES.iter().find(|(at, magic, _)| has(*at, magic)) {
        return name;
    }
    if tail.len() >= 512 && tail[tail.len() - 512..].starts_with(b"EFI PART") {
        return "the backup of a GPT partition table";
    }
    "data of unknown kind"
}
