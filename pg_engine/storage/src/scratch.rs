//! Files that last as long as someone holds them: where operators put what does not fit their memory.
//!
//! A file is a sequence of bytes, written once from its beginning to its end and then read as often as is wanted. It lies in
//! free pages of the volume, which nothing logs: they are given back when the file is dropped, however its holder ends, and a
//! restart finds them free. It is written and read in runs of pages, past the buffer pool.
//!
//! ```text
//! run:   u32 CRC-32C of what follows, u32 the file's salt, u32 number of the run, u32 bytes in use, the bytes
//! ```

use alloc::{sync::Arc, vec::Vec};

use kernel_simd::crc32c;
use pg_buffer_manager::BufferPool;
use pg_page::{PAGE_SIZE, RelId, StorageError};
use pg_volume::Directory;

use crate::storage::{Result, Storage};

/// Pages of the greatest run.
const RUN_PAGES: u32 = 32;
const HEAD: usize = 16;

/// Pages of the volume, given back when dropped.
struct Pages {
    directory: Arc<Directory>,
    start: u32,
    /// Bytes of the file before this run, and in it.
    before: u64,
    len: u32,
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.directory.release_scratch(self.start);
    }
}

/// See the module. `Send`.
pub struct ScratchFile {
    pool: Arc<BufferPool>,
    directory: Arc<Directory>,
    salt: u32,
    run_pages: u32,
    runs: Vec<Pages>,
    /// What is not written yet, behind a run's head.
    open: Vec<u8>,
    written: u64,
    occupied: u64,
}

/// A run as it was read last: pass the same one to reads that go forward.
#[derive(Default)]
pub struct ScratchBuffer {
    bytes: Vec<u8>,
    /// The file's salt, and the run's number and one more; 0: none.
    run: (u32, usize),
}

impl Storage {
    /// An empty file that is written about `buffer` bytes at a time.
    pub fn scratch_file(&self, buffer: usize) -> ScratchFile {
        let pages = u32::try_from(buffer / PAGE_SIZE).unwrap_or(RUN_PAGES).clamp(1, RUN_PAGES);
        ScratchFile {
            pool: self.engine.pool.clone(),
            directory: self.engine.directory.clone(),
            salt: pg_volume::new_salt(),
            run_pages: pages,
            runs: Vec::new(),
            open: Vec::new(),
            written: 0,
            occupied: 0,
        }
    }
}

impl ScratchFile {
    /// Bytes appended.
    pub fn len(&self) -> u64 {
        self.written + self.open.len().saturating_sub(HEAD) as u64
    }
    /// Nothing was appended?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Bytes of the volume that it takes.
    pub fn occupied(&self) -> u64 {
        self.occupied
    }

    /// Appends bytes. [`StorageError::DiskFull`] when the volume has no room. After an error the file is good for nothing.
    pub fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        let run = self.run_pages as usize * PAGE_SIZE;
        while !bytes.is_empty() {
            if self.open.is_empty() {
                self.open.reserve_exact(run);
                self.open.resize(HEAD, 0);
            }
            let (head, rest) = bytes.split_at(bytes.len().min(run - self.open.len()));
            self.open.extend_from_slice(head);
            bytes = rest;
            if self.open.len() == run {
                self.write()?;
            }
        }
        Ok(())
    }

    /// Writes what is left and lets the buffer go. More may be appended nevertheless.
    pub fn finish(&mut self) -> Result<()> {
        if self.open.len() > HEAD {
            self.write()?;
        }
        self.open = Vec::new();
        Ok(())
    }

    fn write(&mut self) -> Result<()> {
        let used = self.open.len() - HEAD;
        let len =
            u32::try_from(used).map_err(|_| StorageError::CorruptVolume("a temporary run is too long"))?;
        self.open.resize(self.open.len().next_multiple_of(PAGE_SIZE), 0);
        let (number, pages) = (self.runs.len() as u32, (self.open.len() / PAGE_SIZE) as u32);
        if let Some(head) = self.open.first_chunk_mut::<HEAD>() {
            *head = head_of(self.salt, number, len);
        }
        let sum = crc32c::extend(0, self.open.get(4..).unwrap_or(&[]));
        if let Some(head) = self.open.first_chunk_mut::<4>() {
            *head = sum.to_le_bytes();
        }
        let start = self.directory.take_scratch(pages, RelId(0))?;
        let run = Pages { directory: self.directory.clone(), start, before: self.written, len };
        self.pool.write_scratch(start, &self.open)?;
        self.runs.push(run);
        self.written += used as u64;
        self.occupied += self.open.len() as u64;
        self.open.clear();
        Ok(())
    }

    /// Reads the bytes from `at` on, all of which were appended.
    pub fn read(&self, mut at: u64, mut to: &mut [u8], buffer: &mut ScratchBuffer) -> Result<()> {
        let lost = StorageError::CorruptVolume("a temporary file ends too early");
        while !to.is_empty() {
            if let Some(from) = at.checked_sub(self.written) {
                let from = HEAD + from as usize;
                let bytes = self.open.get(from..from + to.len()).ok_or(lost)?;
                to.copy_from_slice(bytes);
                return Ok(());
            }
            let number = self.runs.partition_point(|r| r.before + u64::from(r.len) <= at);
            let Some(run) = self.runs.get(number) else { return Err(lost) };
            if buffer.run != (self.salt, number + 1) {
                buffer.run = (self.salt, 0);
                self.load(number, run, &mut buffer.bytes)?;
                buffer.run = (self.salt, number + 1);
            }
            let from = (at - run.before) as usize;
            let n = to.len().min(run.len as usize - from);
            let (head, rest) = to.split_at_mut(n);
            match buffer.bytes.get(HEAD + from..HEAD + from + n) {
                Some(bytes) => head.copy_from_slice(bytes),
                None => return Err(lost),
            }
            (at, to) = (at + n as u64, rest);
        }
        Ok(())
    }

    fn load(&self, number: usize, run: &Pages, bytes: &mut Vec<u8>) -> Result<()> {
        bytes.resize((HEAD + run.len as usize).next_multiple_of(PAGE_SIZE), 0);
        self.pool.read_scratch(run.start, bytes)?;
        let expected = head_of(self.salt, number as u32, run.len);
        let sum = crc32c::extend(0, bytes.get(4..).unwrap_or(&[]));
        let found = bytes
            .first_chunk::<HEAD>()
            .is_some_and(|head| head[..4] == sum.to_le_bytes() && head[4..] == expected[4..]);
        if found { Ok(()) } else { Err(StorageError::CorruptVolume("a temporary file was damaged")) }
    }
}

/// A run's head without its checksum.
fn head_of(salt: u32, number: u32, len: u32) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    for (to, from) in head.chunks_exact_mut(4).zip([0, salt, number, len]) {
        to.copy_from_slice(&from.to_le_bytes());
    }
    head
}
