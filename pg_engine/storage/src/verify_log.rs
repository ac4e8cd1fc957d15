//! What the log says about pages: how old the versions on the device may be at most.
//!
//! A page write that the device acknowledged and lost leaves an older version of the page, sound in itself. While the volume stays
//! open the buffer pool remembers what it wrote. Afterwards only the log does: the ring keeps a lap of it, of which everything before
//! the last checkpoint's start is on the device. Of pages whose last change is older than that lap nothing can be said.

use hashbrown::HashMap;
use pg_buffer_manager::{KIND_PAGES, changed_pages};
use pg_page::{Lsn, RelId};
use pg_volume::{KIND_REL_CREATE, Superblock, codec::Decoder};
use pg_wal::{BLOCK, LogReader};

use crate::{
    storage::{Result, Storage},
    verify::Observer,
};

/// The least LSN that pages must have.
#[derive(Default)]
pub(crate) struct LeastAges(HashMap<(RelId, u32), Lsn>);

impl LeastAges {
    /// Is that LSN too old for the page?
    pub fn is_too_old(&self, rel: RelId, block: u32, lsn: Lsn) -> bool {
        self.0.get(&(rel, block)).is_some_and(|least| lsn < *least)
    }
}

impl Storage {
    /// Reads what there is of the log before the last checkpoint's start. Others go on writing, over its oldest part too.
    pub(crate) fn least_ages(
        &self,
        superblock: &Superblock,
        observer: &mut dyn Observer,
    ) -> Result<LeastAges> {
        let ring = superblock.ring;
        let oldest = (self.wal.inserted().0 + BLOCK).saturating_sub(ring.len).next_multiple_of(BLOCK);
        // The first lap begins where positions do.
        let mut from = Lsn(oldest.max(ring.len));
        let mut ages = LeastAges::default();
        while from < superblock.redo {
            let mut reader =
                LogReader::new(self.device.clone(), ring, from, 0).across_runs(true).at_leisure();
            if !reader.seek(superblock.redo)? {
                break;
            }
            let start = reader.position();
            let mut found = LeastAges::default();
            let mut records = 0u32;
            while reader.position() < superblock.redo
                && let Some(r) = reader.next_record()?
            {
                records += 1;
                if records.is_multiple_of(1024) && !observer.go_on() {
                    return Ok(LeastAges::default());
                }
                if r.kind == KIND_REL_CREATE
                    && let Some(id) = Decoder(r.body).u32()
                {
                    // The number of a relation that never came to be is given out again.
                    ages.0.retain(|page, _| page.0.0 != id);
                    found.0.retain(|page, _| page.0.0 != id);
                } else if r.kind == KIND_PAGES {
                    let end = r.end;
                    let _ = changed_pages(r.body, |rel, block| {
                        found.0.insert((rel, block), end);
                    });
                }
            }
            // Records that a power cut left behind the end of the log were never redone. The next run began at the next block.
            if reader.position().0 > start.0.next_multiple_of(BLOCK) {
                ages.0.extend(found.0);
            }
            from = Lsn(reader.position().0.max(start.0 + 8));
        }
        Ok(ages)
    }
}
