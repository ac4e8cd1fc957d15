//! A device over another that is never written: what is written stays in memory.

use std::{collections::HashMap, sync::Arc};

use platform::{
    block::{BlockDevice, BlockError, Durability, Geometry, IoClass},
    sync::Mutex,
};

const BLOCK: u64 = 4096;

/// See the module.
pub struct Overlay {
    below: Arc<dyn BlockDevice>,
    written: Mutex<HashMap<u64, Box<[u8]>>>,
}

impl Overlay {
    /// Shows what `below` holds.
    pub fn new(below: Arc<dyn BlockDevice>) -> Self {
        Self { below, written: Mutex::new(HashMap::new()) }
    }

    /// A block as it is now.
    fn block(&self, written: &HashMap<u64, Box<[u8]>>, block: u64) -> Result<Box<[u8]>, BlockError> {
        if let Some(b) = written.get(&block) {
            return Ok(b.clone());
        }
        let mut bytes = vec![0; BLOCK as usize].into_boxed_slice();
        self.below.read(block * BLOCK, &mut bytes, IoClass::Read)?;
        Ok(bytes)
    }
}

impl BlockDevice for Overlay {
    fn geometry(&self) -> Geometry {
        let below = self.below.geometry();
        Geometry { block_size: BLOCK as u32, capacity: below.capacity / BLOCK * BLOCK, ..below }
    }
    fn read(&self, offset: u64, buf: &mut [u8], class: IoClass) -> Result<(), BlockError> {
        self.below.read(offset, buf, class)?;
        let written = self.written.lock();
        let end = offset + buf.len() as u64;
        for block in offset / BLOCK..end.div_ceil(BLOCK) {
            let Some(bytes) = written.get(&block) else { continue };
            let (from, to) = ((block * BLOCK).max(offset), ((block + 1) * BLOCK).min(end));
            let (here, there) = ((from - offset) as usize, (from - block * BLOCK) as usize);
            let n = (to - from) as usize;
            if let (Some(to), Some(from)) = (buf.get_mut(here..here + n), bytes.get(there..there + n)) {
                to.copy_from_slice(from);
            }
        }
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8], _: Durability, _: IoClass) -> Result<(), BlockError> {
        let mut written = self.written.lock();
        let end = offset.checked_add(data.len() as u64).ok_or(BlockError::InvalidRequest)?;
        if end > self.geometry().capacity {
            return Err(BlockError::InvalidRequest);
        }
        for block in offset / BLOCK..end.div_ceil(BLOCK) {
            let mut bytes = self.block(&written, block)?;
            let (from, to) = ((block * BLOCK).max(offset), ((block + 1) * BLOCK).min(end));
            let (here, there) = ((from - offset) as usize, (from - block * BLOCK) as usize);
            let n = (to - from) as usize;
            if let (Some(to), Some(from)) = (bytes.get_mut(there..there + n), data.get(here..here + n)) {
                to.copy_from_slice(from);
            }
            written.insert(block, bytes);
        }
        Ok(())
    }
    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }
    fn discard(&self, _: u64, _: u64) -> Result<(), BlockError> {
        Ok(())
    }
    fn write_zeroes(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        let zeroes = vec![0; 1 << 20];
        let mut at = offset;
        while at < offset + len {
            let n = (offset + len - at).min(zeroes.len() as u64);
            self.write(at, zeroes.get(..n as usize).unwrap_or(&[]), Durability::Cached, IoClass::Background)?;
            at += n;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::memory_device::MemDevice;

    #[test]
    fn what_lies_below_stays() {
        let below: Arc<dyn BlockDevice> = Arc::new(MemDevice::new(1 << 20, 4096));
        below.write(0, &[1; 16384], Durability::Fua, IoClass::Wal).unwrap();
        let overlay = Overlay::new(below.clone());
        overlay.write(4096, &[2; 8192], Durability::Cached, IoClass::Wal).unwrap();
        let mut seen = vec![0; 16384];
        overlay.read(0, &mut seen, IoClass::Read).unwrap();
        assert_eq!([seen[0], seen[4096], seen[12287], seen[12288]], [1, 2, 2, 1]);
        overlay.read(8192, &mut seen[..4096], IoClass::Read).unwrap();
        assert_eq!(seen[0], 2);
        below.read(0, &mut seen, IoClass::Read).unwrap();
        assert!(seen.iter().all(|b| *b == 1));
        assert!(overlay.write((1 << 20) - 4096, &[0; 8192], Durability::Cached, IoClass::Wal).is_err());
    }
}
