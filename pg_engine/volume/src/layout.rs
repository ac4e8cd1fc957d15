//! Fixed places on the device: superblocks, configuration, metadata snapshots.

use alloc::{vec, vec::Vec};

use kernel_simd::crc32c;
use pg_page::{Lsn, PAGE_SIZE, StorageError};
use pg_wal::{BLOCK, Ring};
use platform::{
    block::{BlockDevice, Durability, IoClass},
    entropy,
};

use crate::{
    codec::{Decoder, Encoder},
    probe::{Probe, probe},
};

pub(crate) const MAGIC: &[u8; 8] = b"INTRALTH";
/// Version of everything on the volume.
pub(crate) const VERSION: u32 = 10;
pub(crate) const SUPERBLOCKS: [u64; 2] = [0, 64 << 10];
const SUPERBLOCK_BYTES: usize = 4096;
pub(crate) const CONFIGS: [u64; 2] = [128 << 10, 192 << 10];
pub(crate) const CONFIG_MAGIC: &[u8; 8] = b"ITLCONFG";
pub(crate) const CONFIG_BYTES: usize = 64 << 10;
const CONFIG_HEADER: usize = 32;
/// Longest configuration.
pub const CONFIG_MAX: usize = CONFIG_BYTES - CONFIG_HEADER;
/// Where the crash record goes.
pub const CRASH_START: u64 = 256 << 10;
/// And how long it may be.
pub const CRASH_BYTES: u64 = 256 << 10;
pub(crate) const RING_START: u64 = 1 << 20;
const MIN_RING: u64 = 1 << 20;

/// What one superblock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Names the volume: random, another one after every restore.
    pub id: u128,
    /// The greater of two counts.
    pub generation: u64,
    /// The log.
    pub ring: Ring,
    /// Where physical page 0 (which is not used) would be.
    pub data_start: u64,
    /// Number of physical pages.
    pub data_pages: u32,
    /// Where recovery begins.
    pub redo: Lsn,
    /// Grows with every opening.
    pub epoch: u32,
    /// The last run ended with a clean shutdown.
    pub clean: bool,
    /// First physical page of the metadata snapshot; 0: none, the volume is empty.
    pub meta_page: u32,
    /// Its length.
    pub meta_bytes: u64,
    /// Its checksum.
    pub meta_crc: u32,
    /// The log was durable at least up to here when this was written: it cannot end earlier.
    pub durable: Lsn,
}

impl Superblock {
    fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::default();
        e.raw(MAGIC).u32(VERSION).u32(0).u64(self.generation);
        e.u64(self.ring.start).u64(self.ring.len).u32(self.ring.salt).u32(self.epoch);
        e.u64(self.data_start).u32(self.data_pages).u32(u32::from(self.clean)).u64(self.redo.0);
        e.u32(self.meta_page).u32(self.meta_crc).u64(self.meta_bytes);
        e.u64(self.id as u64).u64((self.id >> 64) as u64).u64(self.durable.0);
        let mut bytes = e.0;
        bytes.resize(SUPERBLOCK_BYTES, 0);
        let crc = crc32c::checksum(&bytes[16..]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `Ok(None)`: not a superblock.
    fn decode(bytes: &[u8]) -> Result<Option<Self>, StorageError> {
        let mut d = Decoder(bytes);
        if d.raw(8) != Some(MAGIC) {
            return Ok(None);
        }
        let (version, crc) = (d.u32(), d.u32());
        if crc != Some(crc32c::checksum(bytes.get(16..).unwrap_or(&[]))) {
            return Ok(None);
        }
        match version {
            Some(VERSION) => {}
            Some(v) => return Err(StorageError::Version(v)),
            None => return Ok(None),
        }
        Ok(Self::fields(&mut d))
    }

    fn fields(d: &mut Decoder<'_>) -> Option<Self> {
        let generation = d.u64()?;
        let (start, len, salt, epoch) = (d.u64()?, d.u64()?, d.u32()?, d.u32()?);
        let (data_start, data_pages, clean, redo) = (d.u64()?, d.u32()?, d.u32()? != 0, Lsn(d.u64()?));
        let (meta_page, meta_crc, meta_bytes) = (d.u32()?, d.u32()?, d.u64()?);
        let id = u128::from(d.u64()?) | u128::from(d.u64()?) << 64;
        let durable = Lsn(d.u64()?);
        let ring = Ring { start, len, salt };
        let sane = len >= MIN_RING && len % BLOCK == 0 && apart(start, len, data_start, data_pages)?;
        sane.then_some(Self {
            id,
            generation,
            ring,
            data_start,
            data_pages,
            redo,
            epoch,
            clean,
            meta_page,
            meta_bytes,
            meta_crc,
            durable,
        })
    }
}

/// Does the log lie before the pages, or (of a volume that is being restored) behind them?
fn apart(start: u64, len: u64, data_start: u64, data_pages: u32) -> Option<bool> {
    let data_end = data_start.checked_add(u64::from(data_pages) * PAGE_SIZE as u64)?;
    Some(start.checked_add(len)? <= data_start || start >= data_end)
}

/// A name for a volume.
pub fn new_id() -> u128 {
    let mut id = [0; 16];
    entropy::fill(&mut id);
    u128::from_le_bytes(id)
}

/// A log's salt.
pub fn new_salt() -> u32 {
    let mut salt = [0; 4];
    entropy::fill(&mut salt);
    u32::from_le_bytes(salt)
}

/// The superblock that counts.
pub fn read_superblock(device: &dyn BlockDevice) -> Result<Superblock, StorageError> {
    let mut best: Option<Superblock> = None;
    let mut failed = None;
    for at in SUPERBLOCKS {
        let mut bytes = vec![0; SUPERBLOCK_BYTES];
        match device
            .read(at, &mut bytes, IoClass::Read)
            .map_err(StorageError::Io)
            .and_then(|()| Superblock::decode(&bytes))
        {
            Ok(Some(s)) if best.is_none_or(|b| b.generation < s.generation) => best = Some(s),
            Ok(_) => {}
            Err(e) => failed = Some(e),
        }
    }
    match (best, failed) {
        // A newer version's superblock beside an old one of ours: the volume was upgraded.
        (_, Some(e @ StorageError::Version(_))) | (None, Some(e)) => Err(e),
        (Some(s), _) => {
            let end = s.data_start.checked_add(u64::from(s.data_pages) * PAGE_SIZE as u64);
            if end.is_none_or(|end| end > device.geometry().capacity) {
                return Err(StorageError::CorruptVolume("the disk is smaller than the volume on it"));
            }
            Ok(s)
        }
        (None, None) => Err(StorageError::CorruptVolume("no valid superblock")),
    }
}

/// How many of the two superblocks are valid, and of the two configuration blocks (one that was never written is).
pub fn valid_copies(device: &dyn BlockDevice) -> Result<(usize, usize), StorageError> {
    let (mut superblocks, mut configurations) = (0, 0);
    for at in SUPERBLOCKS {
        let mut bytes = vec![0; SUPERBLOCK_BYTES];
        device.read(at, &mut bytes, IoClass::Background)?;
        superblocks += usize::from(matches!(Superblock::decode(&bytes), Ok(Some(_))));
    }
    for at in CONFIGS {
        let mut head = vec![0; SUPERBLOCK_BYTES];
        device.read(at, &mut head, IoClass::Background)?;
        let written = head.iter().any(|b| *b != 0);
        configurations += usize::from(!written || read_config_slot(device, at)?.is_some());
    }
    Ok((superblocks, configurations))
}

/// Replaces the older superblock. Everything the new one refers to must be durable.
pub fn write_superblock(device: &dyn BlockDevice, s: &Superblock) -> Result<(), StorageError> {
    let at = SUPERBLOCKS[(s.generation % 2) as usize];
    device.write(at, &s.encode(), Durability::Fua, IoClass::Background)?;
    Ok(())
}

/// Makes a blank device a volume.
pub fn format(device: &dyn BlockDevice, ring_bytes: Option<u64>, config: &[u8]) -> Result<(), StorageError> {
    match probe(device)? {
        Probe::Blank => {}
        _ => return Err(StorageError::Foreign),
    }
    let capacity = device.geometry().capacity;
    let ring_len =
        ring_bytes.unwrap_or((capacity / 8).clamp(16 << 20, 4 << 30)).max(MIN_RING) / (1 << 20) * (1 << 20);
    let data_start = RING_START + ring_len;
    if capacity < data_start + (4 << 20) {
        return Err(StorageError::DeviceTooSmall);
    }
    let data_pages = u32::try_from((capacity - data_start) / PAGE_SIZE as u64).unwrap_or(u32::MAX);
    write_config(device, config)?;
    let first = Lsn(ring_len);
    let mut s = Superblock {
        id: new_id(),
        generation: 1,
        ring: Ring { start: RING_START, len: ring_len, salt: new_salt() },
        data_start,
        data_pages,
        redo: first,
        epoch: 1,
        clean: true,
        meta_page: 0,
        meta_bytes: 0,
        meta_crc: 0,
        durable: first,
    };
    device.flush()?;
    write_superblock(device, &s)?;
    s.generation = 2;
    write_superblock(device, &s)?;
    device.flush()?;
    Ok(())
}

fn read_config_slot(device: &dyn BlockDevice, at: u64) -> Result<Option<(u64, Vec<u8>)>, StorageError> {
    let mut bytes = vec![0; CONFIG_BYTES];
    device.read(at, &mut bytes, IoClass::Read)?;
    let mut d = Decoder(&bytes);
    let mut parse = || {
        (d.raw(8)? == CONFIG_MAGIC).then_some(())?;
        let (version, crc) = (d.u32()?, d.u32()?);
        let rest = d.0;
        let (generation, len) = (d.u64()?, d.u64()? as usize);
        let valid = version == VERSION && len <= CONFIG_MAX && crc == crc32c::checksum(rest.get(..16 + len)?);
        valid.then_some((generation, d.raw(len)?.to_vec()))
    };
    Ok(parse())
}

/// The configuration block; empty if there is none.
pub fn read_config(device: &dyn BlockDevice) -> Result<Vec<u8>, StorageError> {
    Ok(newest_config(device)?.1)
}

fn newest_config(device: &dyn BlockDevice) -> Result<(u64, Vec<u8>), StorageError> {
    let (a, b) = (read_config_slot(device, CONFIGS[0])?, read_config_slot(device, CONFIGS[1])?);
    Ok(a.into_iter().chain(b).max_by_key(|c| c.0).unwrap_or_default())
}

/// Replaces the configuration block, atomically.
pub fn write_config(device: &dyn BlockDevice, config: &[u8]) -> Result<(), StorageError> {
    if config.len() > CONFIG_MAX {
        return Err(StorageError::ConfigTooLarge);
    }
    let generation = newest_config(device)?.0 + 1;
    let mut tail = Encoder::default();
    tail.u64(generation).u64(config.len() as u64).raw(config);
    let mut e = Encoder::default();
    e.raw(CONFIG_MAGIC).u32(VERSION).u32(crc32c::checksum(&tail.0)).raw(&tail.0);
    let mut bytes = e.0;
    bytes.resize(bytes.len().next_multiple_of(4096), 0);
    device.write(CONFIGS[(generation % 2) as usize], &bytes, Durability::Fua, IoClass::Background)?;
    Ok(())
}

/// Writes a metadata snapshot to physical pages from `page`.
pub fn metadata_write(
    device: &dyn BlockDevice,
    s: &Superblock,
    page: u32,
    bytes: &[u8],
) -> Result<(), StorageError> {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(PAGE_SIZE), 0);
    let mut at = s.data_start + u64::from(page) * PAGE_SIZE as u64;
    for part in padded.chunks(1 << 20) {
        device.write(at, part, Durability::Cached, IoClass::Background)?;
        at += part.len() as u64;
    }
    Ok(())
}

/// Reads the snapshot that a superblock names.
pub fn metadata_read(device: &dyn BlockDevice, s: &Superblock) -> Result<Vec<u8>, StorageError> {
    let room = u64::from(s.data_pages.saturating_sub(s.meta_page)) * PAGE_SIZE as u64;
    if s.meta_bytes > room {
        return Err(StorageError::CorruptVolume("metadata does not lie on the volume"));
    }
    let mut bytes = vec![0; (s.meta_bytes as usize).next_multiple_of(PAGE_SIZE)];
    let mut at = s.data_start + u64::from(s.meta_page) * PAGE_SIZE as u64;
    for part in bytes.chunks_mut(1 << 20) {
        device.read(at, part, IoClass::Read)?;
        at += part.len() as u64;
    }
    bytes.truncate(s.meta_bytes as usize);
    if crc32c::checksum(&bytes) != s.meta_crc {
        return Err(StorageError::CorruptVolume("metadata checksum mismatch"));
    }
    Ok(bytes)
}
