//! The first namespace as a block device.

use crate::{
    NvmeError,
    controller::{Controller, Found, Options},
    emergency::Emergency,
    hardware::{Dma, Hardware},
    prp,
    queue::{Data, Failure, Io},
    spec::{ControllerInfo, Sqe, io},
};
use alloc::{string::String, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering};
use kernel_memory::MemoryError;
use platform::block::{BlockDevice, BlockError, Durability, Geometry, IoClass, ReadRequest, WriteRequest};

/// Larger transfers are split even where the device says that it takes any: QEMU's does not take more than 1,024 pages,
/// and a split pays off in concurrency.
const MAX_TRANSFER: u64 = 3 << 20;
/// Buffers that the device cannot reach are copied through this much memory at a time.
const BOUNCE: usize = 128 << 10;
/// Commands of the less urgent classes are no larger than this, whatever they are made of: what is urgent may have to wait for
/// one.
const MAX_MERGED: usize = 128 << 10;
/// Most blocks one command can name.
const MAX_BLOCKS: u64 = 1 << 16;

/// An NVMe namespace.
pub struct NvmeDisk {
    controller: Controller,
    info: ControllerInfo,
    nsid: u32,
    shift: u32,
    geometry: Geometry,
    max_transfer: usize,
    /// The device refused Write Zeroes although it claims to know it.
    no_write_zeroes: AtomicBool,
}

impl NvmeDisk {
    /// Starts the controller and opens its first usable namespace.
    pub fn open(hw: Arc<dyn Hardware>, options: Options) -> Result<Self, NvmeError> {
        let Found { controller, info, nsid, namespace } = Controller::start(hw, options)?;
        let block_size = 1u32 << namespace.block_shift;
        let atomic_blocks = namespace.atomic_blocks.unwrap_or(info.atomic_blocks).max(1);
        let max_transfer = info.max_pages.map_or(MAX_TRANSFER, |p| p.saturating_mul(4096).min(MAX_TRANSFER));
        let geometry = Geometry {
            block_size,
            capacity: namespace.blocks << namespace.block_shift,
            atomic_write: atomic_blocks.saturating_mul(block_size),
            volatile_cache: info.volatile_cache,
        };
        Ok(Self {
            controller,
            nsid,
            shift: namespace.block_shift,
            geometry,
            // Whole pages: a multiple of every block size.
            max_transfer: max_transfer as usize,
            no_write_zeroes: AtomicBool::new(!info.write_zeroes),
            info,
        })
    }

    /// Prepares a writer for crashes; see [`Emergency`].
    pub fn emergency(&self) -> Result<Emergency, MemoryError> {
        Emergency::prepare(self.controller.hardware_shared(), self.nsid, self.shift)
    }

    /// The controller behind it.
    pub fn controller(&self) -> &Controller {
        &self.controller
    }

    /// Model number, trimmed.
    pub fn model(&self) -> String {
        String::from(String::from_utf8_lossy(&self.info.model).trim_matches([' ', '\0']))
    }

    /// QEMU's emulated controller (seen with 7.2) takes the FUA bit and does nothing about it: only a flush reaches the
    /// media. Found by cutting the power under a guest.
    fn ignores_fua(&self) -> bool {
        self.info.model.starts_with(b"QEMU NVMe Ctrl")
    }

    fn check(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        let mask = u64::from(self.geometry.block_size) - 1;
        let end = offset.checked_add(len).ok_or(BlockError::InvalidRequest)?;
        if (offset | len) & mask != 0 || end > self.geometry.capacity {
            return Err(BlockError::InvalidRequest);
        }
        Ok(())
    }

    fn command(&self, opcode: u8, offset: u64, len: u64, flags: u32) -> Sqe {
        let blocks = (len >> self.shift) as u32;
        Sqe::new(opcode, self.nsid).with(12, flags).with_range(offset >> self.shift, blocks)
    }

    /// Commands for one request, none larger than the device takes.
    fn split<'a>(&self, opcode: u8, offset: u64, data: Data<'a>, flags: u32) -> impl Iterator<Item = Io<'a>> {
        let (len, max) = (data.len(), self.max_transfer);
        (0..len).step_by(max).map(move |at| {
            let n = max.min(len - at);
            Io { sqe: self.command(opcode, offset + at as u64, n as u64, flags), data: data.part(at, n) }
        })
    }

    /// Ends of runs of neighbours that can go in one command: whole pages of memory, one after the other on the disk.
    fn merge(&self, items: &[(u64, &[u8])], most: usize) -> Vec<usize> {
        let page = prp::PAGE as usize;
        let whole = |d: &[u8]| (d.as_ptr().addr() | d.len()).is_multiple_of(page) && !d.is_empty();
        let most = most.min(self.max_transfer);
        let mut ends: Vec<usize> = Vec::new();
        let mut total = 0;
        for (i, (offset, data)) in items.iter().enumerate() {
            let before = i.checked_sub(1).and_then(|b| items.get(b));
            let follows =
                before.is_some_and(|(o, d)| o.checked_add(d.len() as u64) == Some(*offset) && whole(d));
            if follows && whole(data) && total + data.len() <= most {
                total += data.len();
                if let Some(last) = ends.last_mut() {
                    *last = i + 1;
                }
            } else {
                total = data.len();
                ends.push(i + 1);
            }
        }
        ends
    }

    /// Commands for a batch whose buffers the device can reach, neighbours merged.
    fn run_merged(
        &self,
        opcode: u8,
        items: &[(u64, &[u8])],
        flags: u32,
        most: usize,
        class: IoClass,
    ) -> Result<(), BlockError> {
        let buffers: Vec<&[u8]> = items.iter().map(|i| i.1).collect();
        let mut start = 0;
        let ends = self.merge(items, most);
        let mut ios = ends.into_iter().flat_map(|end| {
            let run = start..core::mem::replace(&mut start, end).max(end);
            let offset = items.get(run.start).map_or(0, |i| i.0);
            let parts = buffers.get(run).unwrap_or(&[]);
            let data = match parts {
                [one] => Data::Caller(one),
                many => Data::Many(many),
            };
            self.split(opcode, offset, data, flags)
        });
        self.run(&mut ios, class)
    }

    fn run(&self, ios: &mut dyn Iterator<Item = Io<'_>>, class: IoClass) -> Result<(), BlockError> {
        self.controller.run(ios, class).map_err(|f| match f {
            Failure::Block(e) => e,
            Failure::Unaligned => BlockError::InvalidRequest,
        })
    }

    fn bounce(&self, len: usize) -> Result<Dma, BlockError> {
        self.controller.hardware().allocate(len).map_err(|e| {
            log::error!("nvme: bounce buffer: {e}");
            BlockError::InvalidRequest
        })
    }

    fn read_bounced(&self, offset: u64, buf: &mut [u8], class: IoClass) -> Result<(), BlockError> {
        let dma = self.bounce(buf.len().min(BOUNCE))?;
        let mut at = offset;
        for piece in buf.chunks_mut(BOUNCE) {
            self.run(&mut self.split(io::READ, at, Data::At(dma.phys(), piece.len()), 0), class)?;
            dma.copy_to(piece);
            at += piece.len() as u64;
        }
        Ok(())
    }

    fn write_bounced(&self, offset: u64, data: &[u8], flags: u32, class: IoClass) -> Result<(), BlockError> {
        let dma = self.bounce(data.len().min(BOUNCE))?;
        let mut at = offset;
        for piece in data.chunks(BOUNCE) {
            dma.copy_from(piece);
            self.run(&mut self.split(io::WRITE, at, Data::At(dma.phys(), piece.len()), flags), class)?;
            at += piece.len() as u64;
        }
        Ok(())
    }
}

impl<'a> Data<'a> {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Caller(bytes) => bytes.len(),
            Self::Many(parts) => parts.iter().map(|p| p.len()).sum(),
            Self::At(_, len) => *len,
        }
    }
    fn part(&self, at: usize, n: usize) -> Data<'a> {
        match self {
            Self::None => Self::None,
            Self::Caller(bytes) => Self::Caller(&bytes[at..at + n]),
            // Never larger than a command takes.
            Self::Many(parts) => Self::Many(parts),
            Self::At(phys, _) => Self::At(phys + at as u64, n),
        }
    }
}

/// The largest command made of several requests.
fn merged(class: IoClass) -> usize {
    match class {
        IoClass::Wal | IoClass::Read => usize::MAX,
        IoClass::ReadAhead | IoClass::Background => MAX_MERGED,
    }
}

fn flags(durability: Durability) -> u32 {
    match durability {
        Durability::Cached => 0,
        Durability::Fua => io::FUA,
    }
}

impl BlockDevice for NvmeDisk {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read(&self, offset: u64, buf: &mut [u8], class: IoClass) -> Result<(), BlockError> {
        self.check(offset, buf.len() as u64)?;
        let outcome = self.controller.run(&mut self.split(io::READ, offset, Data::Caller(buf), 0), class);
        match outcome {
            Ok(()) => Ok(()),
            Err(Failure::Block(e)) => Err(e),
            Err(Failure::Unaligned) => self.read_bounced(offset, buf, class),
        }
    }

    fn read_batch(&self, reads: &mut [ReadRequest<'_>], class: IoClass) {
        let valid = reads.iter().all(|r| {
            self.check(r.offset, r.data.len() as u64).is_ok() && r.data.as_ptr().addr().is_multiple_of(4)
        });
        if valid {
            let items: Vec<_> = reads.iter().map(|r| (r.offset, &*r.data)).collect();
            if self.run_merged(io::READ, &items, 0, merged(class), class).is_ok() {
                reads.iter_mut().for_each(|r| r.outcome = Ok(()));
                return;
            }
        }
        // Which one failed: each by itself.
        for r in reads {
            r.outcome = self.read(r.offset, r.data, class);
        }
    }

    fn write_batch(
        &self,
        writes: &[WriteRequest<'_>],
        durability: Durability,
        class: IoClass,
    ) -> Result<(), BlockError> {
        for w in writes {
            self.check(w.offset, w.data.len() as u64)?;
        }
        let flags = flags(durability);
        // The device reaches memory in units of four bytes.
        let direct = |w: &&WriteRequest<'_>| w.data.as_ptr().addr().is_multiple_of(4);
        let items: Vec<_> = writes.iter().filter(direct).map(|w| (w.offset, w.data)).collect();
        // What the device writes whole by itself must not become part of something that it may tear.
        let atomic = self.geometry.atomic_write as usize;
        let most = if items.iter().any(|i| i.1.len() <= atomic) { atomic } else { merged(class) };
        let mut outcome = self.run_merged(io::WRITE, &items, flags, most, class);
        for w in writes.iter().filter(|w| !direct(w)) {
            outcome = outcome.and(self.write_bounced(w.offset, w.data, flags, class));
        }
        if durability == Durability::Fua && self.ignores_fua() {
            outcome = outcome.and_then(|()| self.flush());
        }
        outcome
    }

    fn flush(&self) -> Result<(), BlockError> {
        if !self.geometry.volatile_cache {
            return Ok(());
        }
        let io = Io { sqe: Sqe::new(io::FLUSH, self.nsid), data: Data::None };
        self.run(&mut core::iter::once(io), IoClass::Wal)
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.check(offset, len)?;
        if !self.info.deallocate || len == 0 {
            return Ok(());
        }
        // A range is 16 bytes: attributes, length in blocks, first block.
        let dma = self.bounce(4096)?;
        let (mut block, mut left) = (offset >> self.shift, len >> self.shift);
        while left > 0 {
            let n = left.min(u32::MAX.into());
            let mut range = Vec::from([0; 4]);
            range.extend_from_slice(&(n as u32).to_le_bytes());
            range.extend_from_slice(&block.to_le_bytes());
            dma.copy_from(&range);
            let sqe = Sqe::new(io::DATASET, self.nsid).with(11, io::DEALLOCATE);
            self.run(
                &mut core::iter::once(Io { sqe, data: Data::At(dma.phys(), range.len()) }),
                IoClass::Background,
            )?;
            (block, left) = (block + n, left - n);
        }
        Ok(())
    }

    fn write_zeroes(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.check(offset, len)?;
        let step = MAX_BLOCKS << self.shift;
        if !self.no_write_zeroes.load(Ordering::Relaxed) {
            let pieces = (offset..offset + len).step_by(step as usize);
            let mut ios = pieces.map(|at| {
                let n = step.min(offset + len - at);
                Io { sqe: self.command(io::WRITE_ZEROES, at, n, 0), data: Data::None }
            });
            match self.run(&mut ios, IoClass::Background) {
                Err(BlockError::InvalidRequest) => self.no_write_zeroes.store(true, Ordering::Relaxed),
                outcome => return outcome,
            }
        }
        let zeroes = self.bounce(BOUNCE)?;
        let pieces = (offset..offset + len).step_by(BOUNCE);
        let mut ios = pieces.flat_map(|at| {
            let n = (BOUNCE as u64).min(offset + len - at) as usize;
            self.split(io::WRITE, at, Data::At(zeroes.phys(), n), 0)
        });
        self.run(&mut ios, IoClass::Background)
    }
}
