//! A block device made of memory.

use alloc::{boxed::Box, vec::Vec};

use crate::{
    block::{BlockDevice, BlockError, Durability, Geometry, IoClass},
    sync::RwLock,
};

fn check(g: &Geometry, offset: u64, len: u64) -> Result<(), BlockError> {
    let block = u64::from(g.block_size);
    let fits = offset.checked_add(len).is_some_and(|end| end <= g.capacity);
    if fits && offset.is_multiple_of(block) && len.is_multiple_of(block) {
        Ok(())
    } else {
        Err(BlockError::InvalidRequest)
    }
}

const CHUNK: usize = 1 << 20;

/// A device in memory, for tests. Memory is taken as it is written.
pub struct MemDevice {
    geometry: Geometry,
    chunks: RwLock<Vec<Option<Box<[u8]>>>>,
}

impl MemDevice {
    /// A blank device with blocks of 4 KiB that writes pages of `atomic_write` bytes whole.
    pub fn new(capacity: u64, atomic_write: u32) -> Self {
        let geometry = Geometry { block_size: 4096, capacity, atomic_write, volatile_cache: false };
        let n = capacity.div_ceil(CHUNK as u64) as usize;
        Self { geometry, chunks: RwLock::new((0..n).map(|_| None).collect()) }
    }

    fn put(&self, mut offset: u64, mut data: &[u8]) {
        let mut chunks = self.chunks.write();
        while !data.is_empty() {
            let (i, at) = ((offset / CHUNK as u64) as usize, (offset % CHUNK as u64) as usize);
            let n = data.len().min(CHUNK - at);
            let (now, later) = data.split_at(n);
            if let Some(chunk) = chunks.get_mut(i) {
                let chunk = chunk.get_or_insert_with(|| alloc::vec![0; CHUNK].into());
                chunk[at..at + n].copy_from_slice(now);
            }
            data = later;
            offset += n as u64;
        }
    }
}

impl BlockDevice for MemDevice {
    fn geometry(&self) -> Geometry {
        self.geometry
    }
    fn read(&self, mut offset: u64, mut buf: &mut [u8], _class: IoClass) -> Result<(), BlockError> {
        check(&self.geometry, offset, buf.len() as u64)?;
        let chunks = self.chunks.read();
        while !buf.is_empty() {
            let (i, at) = ((offset / CHUNK as u64) as usize, (offset % CHUNK as u64) as usize);
            let n = buf.len().min(CHUNK - at);
            let (now, later) = buf.split_at_mut(n);
            match chunks.get(i).and_then(Option::as_ref) {
                Some(chunk) => now.copy_from_slice(&chunk[at..at + n]),
                None => now.fill(0),
            }
            buf = later;
            offset += n as u64;
        }
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8], _: Durability, _: IoClass) -> Result<(), BlockError> {
        check(&self.geometry, offset, data.len() as u64)?;
        self.put(offset, data);
        Ok(())
    }
    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }
    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        check(&self.geometry, offset, len)
    }
    fn write_zeroes(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        check(&self.geometry, offset, len)?;
        self.put(offset, &alloc::vec![0; len as usize]);
        Ok(())
    }
}
