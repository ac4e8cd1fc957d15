//! The device that recovery sees while a volume is restored; see the crate.

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec, vec::Vec};

use platform::{
    block::{BlockDevice, BlockError, Durability, Geometry, IoClass},
    sync::Mutex,
};

use crate::restore::{Input, Piece};

const BLOCK: u64 = pg_wal::BLOCK;
/// What lies before the log ring: superblocks and configuration.
pub(crate) const HEAD: u64 = 1 << 20;

/// The log as the backup and the archive have it.
pub(crate) struct Log {
    inputs: Vec<Arc<dyn Input>>,
    /// By position, none over another.
    pieces: Vec<Piece>,
}

impl Log {
    /// Puts pieces together; those that overlap hold the same.
    pub fn new(inputs: Vec<Arc<dyn Input>>, mut all: Vec<Piece>) -> Self {
        all.sort_unstable_by_key(|p| p.position);
        let mut pieces: Vec<Piece> = Vec::with_capacity(all.len());
        for mut p in all {
            let end = pieces.last().map_or(0, |l| l.position + l.len);
            let known = end.saturating_sub(p.position);
            if known < p.len {
                (p.position, p.len, p.offset) = (p.position + known, p.len - known, p.offset + known);
                pieces.push(p);
            }
        }
        Self { inputs, pieces }
    }

    /// Where the unbroken log that begins at `from` ends, but for what is between the end of a run and the next block.
    pub fn end(&self, from: u64) -> u64 {
        let mut end = from;
        for p in self.pieces.iter().filter(|p| p.position + p.len > from) {
            if p.position > end.next_multiple_of(BLOCK) {
                break;
            }
            end = end.max(p.position + p.len);
        }
        end
    }

    /// Fills `buf` with the log from `position` on, up to `cut`; zeroes elsewhere.
    fn read(&self, position: u64, buf: &mut [u8], cut: u64) -> Result<(), BlockError> {
        buf.fill(0);
        let end = (position + buf.len() as u64).min(cut);
        let first = self.pieces.partition_point(|p| p.position + p.len <= position);
        for p in self.pieces.iter().skip(first).take_while(|p| p.position < end) {
            let (from, to) = (p.position.max(position), (p.position + p.len).min(end));
            let input = self.inputs.get(p.input).ok_or(BlockError::Media)?;
            let range = (from - position) as usize..to.saturating_sub(position) as usize;
            let part = buf.get_mut(range).ok_or(BlockError::InvalidRequest)?;
            input.read_at(p.offset + (from - p.position), part).map_err(|_| BlockError::Media)?;
        }
        Ok(())
    }
}

/// See the module.
pub(crate) struct RestoreDevice {
    pub image: Arc<dyn BlockDevice>,
    pub log: Log,
    /// Where the ring lies for recovery: behind everything else.
    pub ring_start: u64,
    pub ring_len: u64,
    /// Position of the log's first byte.
    pub first: u64,
    /// Log from here on does not exist.
    pub cut: Mutex<u64>,
    pub head: Mutex<Vec<u8>>,
    /// Blocks of the ring that recovery wrote.
    pub written: Mutex<BTreeMap<u64, Box<[u8]>>>,
}

impl RestoreDevice {
    /// The log position that a place in the ring stands for.
    fn position(&self, place: u64) -> u64 {
        let begin = self.first / BLOCK * BLOCK;
        let base = begin % self.ring_len;
        let ahead = if place >= base { place - base } else { place + self.ring_len - base };
        begin + ahead
    }

    fn read_ring(&self, place: u64, buf: &mut [u8]) -> Result<(), BlockError> {
        let cut = *self.cut.lock();
        self.log.read(self.position(place), buf, cut)?;
        let end = place + buf.len() as u64;
        for (at, block) in self.written.lock().range(place / BLOCK * BLOCK..end) {
            let (from, to) = (place.max(*at), end.min(at + BLOCK));
            let source = block.get((from - at) as usize..(to - at) as usize);
            let target = buf.get_mut((from - place) as usize..(to - place) as usize);
            if let (Some(source), Some(target)) = (source, target) {
                target.copy_from_slice(source);
            }
        }
        Ok(())
    }
}

impl BlockDevice for RestoreDevice {
    fn geometry(&self) -> Geometry {
        Geometry { block_size: 512, capacity: self.ring_start + self.ring_len, ..self.image.geometry() }
    }
    fn read(&self, offset: u64, buf: &mut [u8], class: IoClass) -> Result<(), BlockError> {
        let end = offset.checked_add(buf.len() as u64).ok_or(BlockError::InvalidRequest)?;
        if end <= HEAD {
            let head = self.head.lock();
            let from = head.get(offset as usize..end as usize).ok_or(BlockError::InvalidRequest)?;
            buf.copy_from_slice(from);
            return Ok(());
        }
        match offset.checked_sub(self.ring_start) {
            Some(place) if end <= self.ring_start + self.ring_len => self.read_ring(place, buf),
            Some(_) => Err(BlockError::InvalidRequest),
            None => self.image.read(offset, buf, class),
        }
    }
    fn write(
        &self,
        offset: u64,
        data: &[u8],
        durability: Durability,
        class: IoClass,
    ) -> Result<(), BlockError> {
        let end = offset.checked_add(data.len() as u64).ok_or(BlockError::InvalidRequest)?;
        if end <= HEAD {
            let mut head = self.head.lock();
            let to = head.get_mut(offset as usize..end as usize).ok_or(BlockError::InvalidRequest)?;
            to.copy_from_slice(data);
            return Ok(());
        }
        let Some(place) = offset.checked_sub(self.ring_start) else {
            return self.image.write(offset, data, durability, class);
        };
        let mut written = self.written.lock();
        for (i, block) in data.chunks(BLOCK as usize).enumerate() {
            let mut whole = vec![0; BLOCK as usize];
            if let Some(to) = whole.get_mut(..block.len()) {
                to.copy_from_slice(block);
            }
            written.insert(place + i as u64 * BLOCK, whole.into());
        }
        Ok(())
    }
    fn flush(&self) -> Result<(), BlockError> {
        self.image.flush()
    }
    fn discard(&self, _: u64, _: u64) -> Result<(), BlockError> {
        Ok(())
    }
    fn write_zeroes(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.image.write_zeroes(offset, len)
    }
}
