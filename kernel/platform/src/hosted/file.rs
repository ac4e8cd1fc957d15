//! A file as a block device.

use alloc::vec::Vec;
use core::{
    ops::Range,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, IoSlice, IoSliceMut},
    os::unix::fs::{FileExt, FileTypeExt, MetadataExt},
    path::Path,
};

use rustix::{
    fs::{Advice, FallocateFlags, fadvise, fallocate},
    io::{Errno, ReadWriteFlags, preadv, pwritev2},
};

use crate::block::{BlockDevice, BlockError, Durability, Geometry, IoClass, ReadRequest, WriteRequest};

/// Why a file cannot serve as a disk.
#[derive(Debug)]
pub enum OpenError {
    /// Another process has it.
    Locked,
    /// The file system's answer.
    Io(io::Error),
}

impl core::fmt::Display for OpenError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Locked => f.write_str("in use by another process"),
            Self::Io(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}

/// A regular file or a raw device node, locked against other users for as long as this lives. The page cache plays the
/// volatile cache: [`BlockDevice::flush`] is `fdatasync`. A file that was removed takes its content with it when this process
/// ends, so nothing counts as durable any more: the device is gone.
#[derive(Debug)]
pub struct FileDevice {
    file: File,
    capacity: u64,
    /// Bytes of class Background since one of its writers made them reach the disk.
    behind: AtomicU64,
    /// It may be removed: a node of a device may too, and the device stays.
    regular: bool,
    /// A sync failed: the kernel says so once and forgets what it could not write, so nothing counts as durable any more.
    failed: AtomicBool,
}

const BLOCK: u64 = 512;
/// Buffers of one system call; the kernel's limit is 1,024.
const MAX_BUFFERS: usize = 256;
/// Background bytes that may pile up in the page cache.
const BEHIND: u64 = 1 << 20;

/// What a write that failed is called.
fn refused(e: Errno) -> BlockError {
    match e {
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => BlockError::NoSpace,
        _ => BlockError::Media,
    }
}

fn errno(e: &io::Error) -> Errno {
    Errno::from_io_error(e).unwrap_or(Errno::IO)
}

/// Splits a batch into runs of neighbours. Items are offset and length.
fn runs(items: &[(u64, usize)]) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut end = 0;
    for (i, (offset, len)) in items.iter().enumerate() {
        match out.last_mut() {
            Some(run) if *offset == end && run.len() < MAX_BUFFERS => run.end = i + 1,
            _ => out.push(i..i + 1),
        }
        end = offset.saturating_add(*len as u64);
    }
    out
}

impl FileDevice {
    /// Opens an existing file. Its size is the capacity (rounded down to whole blocks).
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(OpenError::Io)?;
        file.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => OpenError::Locked,
            TryLockError::Error(e) => OpenError::Io(e),
        })?;
        let metadata = file.metadata().map_err(OpenError::Io)?;
        let bytes = if metadata.file_type().is_block_device() {
            io::Seek::seek(&mut &file, io::SeekFrom::End(0)).map_err(OpenError::Io)?
        } else {
            metadata.len()
        };
        Ok(Self {
            file,
            capacity: bytes / BLOCK * BLOCK,
            regular: metadata.is_file(),
            behind: AtomicU64::new(0),
            failed: AtomicBool::new(false),
        })
    }

    fn check(&self, offset: u64, length: u64) -> Result<(), BlockError> {
        let aligned = offset.is_multiple_of(BLOCK) && length.is_multiple_of(BLOCK);
        let inside = offset.checked_add(length).is_some_and(|end| end <= self.capacity);
        if aligned && inside { Ok(()) } else { Err(BlockError::InvalidRequest) }
    }

    /// Fills neighbouring buffers with one call.
    fn read_run(&self, reads: &mut [ReadRequest<'_>]) -> Result<(), BlockError> {
        let Some(offset) = reads.first().map(|r| r.offset) else { return Ok(()) };
        let total: usize = reads.iter().map(|r| r.data.len()).sum();
        let mut slices: Vec<_> = reads.iter_mut().map(|r| IoSliceMut::new(r.data)).collect();
        let mut rest = slices.as_mut_slice();
        let mut done = 0;
        while done < total {
            match preadv(&self.file, rest, offset + done as u64) {
                Ok(0) => return Err(BlockError::Media),
                Ok(n) => {
                    done += n;
                    IoSliceMut::advance_slices(&mut rest, n);
                }
                Err(Errno::INTR) => {}
                Err(_) => return Err(BlockError::Media),
            }
        }
        Ok(())
    }

    /// Writes neighbouring buffers with one call.
    fn write_run(&self, writes: &[WriteRequest<'_>], flags: ReadWriteFlags) -> Result<(), Errno> {
        let Some(offset) = writes.first().map(|w| w.offset) else { return Ok(()) };
        let total: usize = writes.iter().map(|w| w.data.len()).sum();
        let mut slices: Vec<_> = writes.iter().map(|w| IoSlice::new(w.data)).collect();
        let mut rest = slices.as_mut_slice();
        let mut done = 0;
        while done < total {
            match pwritev2(&self.file, rest, offset + done as u64, flags) {
                Ok(0) => return Err(Errno::IO),
                Ok(n) => {
                    done += n;
                    IoSlice::advance_slices(&mut rest, n);
                }
                Err(Errno::INTR) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Is there still a name for what is made durable?
    fn check_present(&self) -> Result<(), BlockError> {
        let gone = self.regular && self.file.metadata().map_or(true, |m| m.nlink() == 0);
        if gone { Err(BlockError::Gone) } else { Ok(()) }
    }

    fn fail(&self, e: Errno) -> BlockError {
        self.failed.store(true, Ordering::Release);
        refused(e)
    }

    /// The one who writes in the background waits for it, so that a commit's write finds the disk idle.
    fn bound_background(&self, bytes: u64) -> Result<(), BlockError> {
        if self.behind.fetch_add(bytes, Ordering::Relaxed) + bytes < BEHIND {
            return Ok(());
        }
        self.flush()
    }
}

impl BlockDevice for FileDevice {
    fn geometry(&self) -> Geometry {
        Geometry { block_size: 512, capacity: self.capacity, atomic_write: 512, volatile_cache: true }
    }

    fn read(&self, offset: u64, buf: &mut [u8], _: IoClass) -> Result<(), BlockError> {
        self.check(offset, buf.len() as u64)?;
        self.file.read_exact_at(buf, offset).map_err(|_| BlockError::Media)
    }

    fn read_batch(&self, reads: &mut [ReadRequest<'_>], _: IoClass) {
        let items: Vec<_> = reads.iter().map(|r| (r.offset, r.data.len())).collect();
        let runs = runs(&items);
        if runs.len() > 1 {
            // The kernel starts them all; the calls below then wait for one after the other.
            for (offset, len) in runs.iter().filter_map(|r| {
                let first = items.get(r.start)?.0;
                let last = items.get(r.end - 1)?;
                Some((first, last.0.saturating_add(last.1 as u64) - first))
            }) {
                // Advice: without it they come one by one.
                let _ = fadvise(&self.file, offset, core::num::NonZeroU64::new(len), Advice::WillNeed);
            }
        }
        for run in runs {
            let Some(reads) = reads.get_mut(run) else { return };
            let valid = reads.iter().all(|r| self.check(r.offset, r.data.len() as u64).is_ok());
            if valid && self.read_run(reads).is_ok() {
                reads.iter_mut().for_each(|r| r.outcome = Ok(()));
            } else {
                for r in reads {
                    r.outcome = self.read(r.offset, r.data, IoClass::Read);
                }
            }
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
        let items: Vec<_> = writes.iter().map(|w| (w.offset, w.data.len())).collect();
        let runs = runs(&items);
        let durable = durability == Durability::Fua;
        if durable && self.failed.load(Ordering::Acquire) {
            return Err(BlockError::Media);
        }
        if durable {
            self.check_present()?;
        }
        // One range: only that has to reach the disk. Not every file system can; then, and for many, all is synced.
        let mut narrow = durable && runs.len() == 1;
        for run in runs {
            let run = writes.get(run).unwrap_or(&[]);
            let flags = if narrow { ReadWriteFlags::DSYNC } else { ReadWriteFlags::empty() };
            match self.write_run(run, flags) {
                Ok(()) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) if narrow => {
                    narrow = false;
                    self.write_run(run, ReadWriteFlags::empty()).map_err(refused)?;
                }
                Err(e) if durable => return Err(self.fail(e)),
                Err(e) => return Err(refused(e)),
            }
        }
        if durable && !narrow {
            return self.flush();
        }
        if class == IoClass::Background {
            return self.bound_background(items.iter().map(|i| i.1 as u64).sum());
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), BlockError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(BlockError::Media);
        }
        self.check_present()?;
        self.behind.store(0, Ordering::Relaxed);
        self.file.sync_data().map_err(|e| self.fail(errno(&e)))
    }

    fn discard(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        // Advice only: the file keeps its blocks.
        self.check(offset, len)
    }

    fn write_zeroes(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        const ZEROES: &[u8] = &[0; 64 << 10];
        self.check(offset, len)?;
        let mut done = 0;
        while done < len {
            let n = (len - done).min(ZEROES.len() as u64);
            let chunk = ZEROES.get(..n as usize).unwrap_or(ZEROES);
            self.file.write_all_at(chunk, offset + done).map_err(|e| refused(errno(&e)))?;
            done += n;
        }
        Ok(())
    }

    fn reserve(&self, offset: u64, len: u64) -> Result<(), BlockError> {
        self.check(offset, len)?;
        if !self.regular || len == 0 {
            return Ok(());
        }
        loop {
            match fallocate(&self.file, FallocateFlags::KEEP_SIZE, offset, len) {
                Err(Errno::INTR) => {}
                Err(e) if refused(e) == BlockError::NoSpace => return Err(BlockError::NoSpace),
                // Not every file system can, and writing may work all the same.
                Ok(()) | Err(_) => return Ok(()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn reads_back_and_keeps_others_out() {
        let path = std::env::temp_dir().join(std::format!("platform-file-{}", std::process::id()));
        std::fs::write(&path, vec![0; 8192]).unwrap();
        let device = FileDevice::open(&path).unwrap();
        assert!(matches!(FileDevice::open(&path), Err(OpenError::Locked)));
        device.write(512, &[7; 1024], Durability::Fua, IoClass::Wal).unwrap();
        let mut buf = [0; 512];
        device.read(1024, &mut buf, IoClass::Read).unwrap();
        assert_eq!(buf, [7; 512]);
        device.write_zeroes(512, 1024).unwrap();
        device.read(1024, &mut buf, IoClass::Read).unwrap();
        assert_eq!(buf, [0; 512]);
        let (mut a, mut b, mut c, mut d) = ([0; 512], [0; 1024], [0; 512], [0; 512]);
        let writes = [(0, &[1; 512]), (512, &[2; 512]), (4096, &[3; 512])];
        let writes = writes.map(|(offset, data)| WriteRequest { offset, data });
        device.write_batch(&writes, Durability::Fua, IoClass::Background).unwrap();
        let mut reads = [
            ReadRequest::new(0, &mut a),
            ReadRequest::new(512, &mut b),
            ReadRequest::new(8192, &mut c),
            ReadRequest::new(4096, &mut d),
        ];
        device.read_batch(&mut reads, IoClass::ReadAhead);
        let outcomes = reads.each_ref().map(|r| r.outcome);
        assert_eq!(outcomes, [Ok(()), Ok(()), Err(BlockError::InvalidRequest), Ok(())]);
        assert_eq!((a, b[..512].to_vec(), d), ([1; 512], vec![2; 512], [3; 512]));
        let beyond = device.write(8192, &[0; 512], Durability::Cached, IoClass::Wal);
        assert_eq!(beyond, Err(BlockError::InvalidRequest));
        assert_eq!(device.read(100, &mut buf, IoClass::Read), Err(BlockError::InvalidRequest));
        drop(device);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_file_that_was_cut_short_or_removed_is_noticed() {
        let path = std::env::temp_dir().join(std::format!("platform-gone-{}", std::process::id()));
        std::fs::write(&path, vec![5; 64 << 10]).unwrap();
        let device = FileDevice::open(&path).unwrap();
        device.reserve(0, 64 << 10).unwrap();
        let mut buf = [0; 512];
        OpenOptions::new().write(true).open(&path).unwrap().set_len(8192).unwrap();
        assert_eq!(device.read(8192, &mut buf, IoClass::Read), Err(BlockError::Media));
        device.read(0, &mut buf, IoClass::Read).unwrap();
        let mut reads = [0; 3].map(|_| [0; 4096]);
        let mut offset = 0;
        let mut batch: Vec<_> = reads
            .iter_mut()
            .map(|r| {
                offset += 4096;
                ReadRequest::new(offset - 4096, r)
            })
            .collect();
        device.read_batch(&mut batch, IoClass::ReadAhead);
        let outcomes: Vec<_> = batch.iter().map(|r| r.outcome).collect();
        assert_eq!(outcomes, [Ok(()), Ok(()), Err(BlockError::Media)]);

        std::fs::remove_file(&path).unwrap();
        device.read(0, &mut buf, IoClass::Read).unwrap();
        device.write(0, &buf, Durability::Cached, IoClass::Background).unwrap();
        assert_eq!(device.flush(), Err(BlockError::Gone));
        assert_eq!(device.write(0, &buf, Durability::Fua, IoClass::Wal), Err(BlockError::Gone));
    }
}
