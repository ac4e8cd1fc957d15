//! What a backup needs of an open volume: a place to start from, its pages, and the log as it is written.

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use core::time::Duration;

use pg_page::{Lsn, PAGE_SIZE, Page, StorageError, Xid};
use pg_volume::{Directory, Relation, Superblock, codec::Decoder};
use pg_wal::{ReadError, Record};
use platform::{block::IoClass, task};

use crate::{
    storage::{Result, Storage},
    transaction::{CommitRecord, KIND_COMMIT},
};

/// How often a page that does not look right is read again.
const LOOKS: u32 = 6;

/// Where a backup begins: with these and the log from `superblock.redo` on, pages copied at any time later become a volume.
pub struct BackupStart {
    /// The superblock after a checkpoint.
    pub superblock: Superblock,
    /// The metadata snapshot that it names.
    pub metadata: Vec<u8>,
    /// The configuration block.
    pub config: Vec<u8>,
    relations: Vec<Arc<Relation>>,
}

/// A run of pages: the first one's number on the volume, and their bytes.
pub type PageRun = (u32, Vec<u8>);

impl BackupStart {
    /// How many pages there are to copy.
    pub fn pages(&self) -> u64 {
        self.relations.iter().map(|r| u64::from(r.blocks())).sum()
    }
}

impl Storage {
    /// Makes a checkpoint and notes it.
    pub fn backup_start(&self) -> Result<BackupStart> {
        self.checkpoint()?;
        let (superblock, metadata) = {
            let superblock = self.current_superblock();
            (*superblock, pg_volume::metadata_read(&*self.device, &superblock)?)
        };
        let directory = Directory::load(superblock.data_pages, &mut Decoder(&metadata))?;
        let config = pg_volume::read_config(&*self.device)?;
        Ok(BackupStart { superblock, metadata, config, relations: directory.all() })
    }

    /// Copies every page that the volume had when the backup began and still has, a run at a time: each page whole, as it
    /// was at some moment since then. `each` may take its time; its error ends the copying.
    pub fn backup_pages<E: From<StorageError>>(
        &self,
        start: &BackupStart,
        mut each: impl FnMut(PageRun) -> core::result::Result<(), E>,
    ) -> core::result::Result<(), E> {
        for rel in &start.relations {
            let mut block = 0;
            while block < rel.blocks() {
                let run = self.run_from(rel, block);
                for part in self.copy_run(rel, block, run)? {
                    each(part)?;
                }
                block += run.max(1);
            }
        }
        Ok(())
    }

    fn copy_run(&self, rel: &Relation, block: u32, run: u32) -> Result<Vec<PageRun>> {
        let mut bytes = vec![0; run as usize * PAGE_SIZE];
        let read = match self.engine.pool.place(rel, block) {
            Some(at) => self.device.read(at, &mut bytes, IoClass::Background).is_ok(),
            None => false,
        };
        let mut runs: Vec<PageRun> = Vec::new();
        let mut page = Page::zeroed();
        for (b, content) in (block..).zip(bytes.chunks_exact(PAGE_SIZE)) {
            let Some(physical) = rel.physical(b) else { continue };
            page.0.copy_from_slice(content);
            if !read || !self.engine.pool.is_as_written(&page, (rel.id, b, physical)) {
                match self.copy_page(rel, b)? {
                    Some(copy) => page = copy,
                    None => continue,
                }
            }
            match runs.last_mut() {
                Some((first, all)) if *first as usize + all.len() / PAGE_SIZE == physical as usize => {
                    all.extend_from_slice(&page.0);
                }
                _ => runs.push((physical, page.0.to_vec())),
            }
        }
        Ok(runs)
    }

    /// A page that was not right on the device: it was being written, or it is in memory only, or the relation is gone. That
    /// the log says too, so it may be left out.
    fn copy_page(&self, rel: &Relation, block: u32) -> Result<Option<Box<Page>>> {
        let mut failure = StorageError::NoSuchRelation(rel.id);
        for look in 0..LOOKS {
            let Some(live) = self.engine.directory.get(rel.id) else { return Ok(None) };
            match self.engine.pool.read(&live, block) {
                Ok(guard) => {
                    let mut page = Box::new(Page::clone(&guard));
                    drop(guard);
                    if (page.rel(), page.block()) == (rel.id, block) {
                        page.seal();
                        return Ok(Some(page));
                    }
                }
                Err(e) => failure = e,
            }
            task::sleep(Duration::from_millis(u64::from(look)));
        }
        if self.engine.directory.get(rel.id).is_none() { Ok(None) } else { Err(failure) }
    }

    /// Makes everything that was logged so far durable. Returns where that ends.
    pub fn flush_log(&self) -> Lsn {
        let end = self.wal.inserted();
        self.wal.flush(end);
        end
    }

    /// Where the durable log ends.
    pub fn durable_log(&self) -> Lsn {
        self.wal.durable()
    }

    /// The log from a position on, as far as it is durable, at most so many bytes.
    pub fn read_log(&self, from: Lsn, max: usize) -> core::result::Result<Vec<u8>, ReadError> {
        self.wal.read(from, max)
    }

    /// Name of the volume.
    pub fn volume_id(&self) -> u128 {
        self.current_superblock().id
    }

    /// What a checker of the volume's log needs: the salt of its checksums.
    pub fn log_salt(&self) -> u32 {
        self.wal.ring().salt
    }
}

/// What a log record has to say about time: the end of transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// When, in microseconds since 1970-01-01 UTC.
    pub time: i64,
    /// Whose, subtransactions included.
    pub xids: Vec<Xid>,
}

/// Does this record commit anything?
pub fn commit_of(record: &Record<'_>) -> Option<Ending> {
    if record.kind != KIND_COMMIT {
        return None;
    }
    CommitRecord::decode(record.body).map(|c| Ending { time: c.time, xids: c.xids })
}
