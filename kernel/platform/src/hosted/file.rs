//! A file as a block device.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt, FileTypeExt},
    path::Path,
};

use crate::block::{BlockDevice, BlockError, Durability, Geometry, IoClass};

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
/// volatile cache: [`BlockDevice::flush`] is `fdatasync`.
#[derive(Debug)]
pub struct FileDevice {
    file: File,
    capacity: u64,
}

const BLOCK: u64 = 512;

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
        Ok(Self { file, capacity: bytes / BLOCK * BLOCK })
    }

    fn check(&self, offset: u64, length: u64) -> Result<(), BlockError> {
        let aligned = offset.is_multiple_of(BLOCK) && length.is_multiple_of(BLOCK);
        let inside = offset.checked_add(length).is_some_and(|end| end <= self.capacity);
        if aligned && inside { Ok(()) } else { Err(BlockError::InvalidRequest) }
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

    fn write(&self, offset: u64, data: &[u8], durability: Durability, _: IoClass) -> Result<(), BlockError> {
        self.check(offset, data.len() as u64)?;
        self.file.write_all_at(data, offset).map_err(|_| BlockError::Media)?;
        match durability {
            Durability::Cached => Ok(()),
            Durability::Fua => self.flush(),
        }
    }

    fn flush(&self) -> Result<(), BlockError> {
        self.file.sync_data().map_err(|_| BlockError::Media)
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
            self.file.write_all_at(chunk, offset + done).map_err(|_| BlockError::Media)?;
            done += n;
        }
        Ok(())
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
        let beyond = device.write(8192, &[0; 512], Durability::Cached, IoClass::Wal);
        assert_eq!(beyond, Err(BlockError::InvalidRequest));
        assert_eq!(device.read(100, &mut buf, IoClass::Read), Err(BlockError::InvalidRequest));
        drop(device);
        std::fs::remove_file(&path).unwrap();
    }
}
