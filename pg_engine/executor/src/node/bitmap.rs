//! Rows that several indexes find together, fetched in the order of the table.

use alloc::{sync::Arc, vec::Vec};

use pg_catalog::{Relation, storage_error};
use pg_plan::{
    expr::Expr,
    physical::{Bitmap, IndexRange},
};
use pg_storage::Tid;
use pg_types::{Batch, Result, SqlError};

use super::{Compiler, Operator, scan::IndexScan};
use crate::context::Rt;

/// What the rows are found by.
enum Part {
    Index(IndexScan),
    And(Vec<Part>),
    Or(Vec<Part>),
}

impl Part {
    fn new(relation: &Arc<Relation>, bitmap: &Bitmap, c: &mut Compiler<'_>) -> Result<Self> {
        let mut all =
            |parts: &[Bitmap]| parts.iter().map(|p| Self::new(relation, p, c)).collect::<Result<_>>();
        Ok(match bitmap {
            Bitmap::And(parts) => Self::And(all(parts)?),
            Bitmap::Or(parts) => Self::Or(all(parts)?),
            Bitmap::Index(index, range, _) => {
                Self::Index(IndexScan::new(relation, index, range, false, &[], None, c)?)
            }
        })
    }

    /// The rows in ascending order, each once; `None`: an index leaves versions out that the snapshot sees.
    fn tids(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Vec<Tid>>> {
        let mut found = Vec::new();
        match self {
            Self::Index(scan) => {
                if !scan.all_tids(&mut found, rt)? {
                    return Ok(None);
                }
                found.sort_unstable();
                found.dedup();
            }
            Self::Or(parts) => {
                for part in parts {
                    let Some(more) = part.tids(rt)? else { return Ok(None) };
                    found.extend(more);
                }
                found.sort_unstable();
                found.dedup();
            }
            Self::And(parts) => {
                for (n, part) in parts.iter_mut().enumerate() {
                    let Some(more) = part.tids(rt)? else { return Ok(None) };
                    if n == 0 {
                        found = more;
                    } else {
                        found.retain(|tid| more.binary_search(tid).is_ok());
                    }
                    if found.is_empty() {
                        break;
                    }
                }
            }
        }
        Ok(Some(found))
    }

    fn reset(&mut self) {
        match self {
            Self::Index(scan) => scan.reset(),
            Self::And(parts) | Self::Or(parts) => parts.iter_mut().for_each(Self::reset),
        }
    }
}

/// See the module.
pub(super) struct BitmapScan {
    relation: Arc<Relation>,
    part: Part,
    fetch: IndexScan,
    found: bool,
    /// Bytes accounted for.
    held: usize,
}

impl BitmapScan {
    pub(super) fn new(
        relation: &Arc<Relation>,
        bitmap: &Bitmap,
        columns: &[i16],
        filter: Option<&Expr>,
        unread: &[usize],
        c: &mut Compiler<'_>,
    ) -> Result<Self> {
        let part = Part::new(relation, bitmap, c)?;
        let leaves = bitmap.leaves();
        let (index, _) = leaves.first().ok_or_else(|| SqlError::internal("a bitmap of no index"))?;
        let mut fetch = IndexScan::new(relation, index, &IndexRange::default(), false, columns, filter, c)?;
        fetch.set_lazy(unread);
        Ok(Self { relation: relation.clone(), part, fetch, found: false, held: 0 })
    }

    /// All rows there are: the conditions are asked of each that is fetched.
    #[cold]
    fn all(&self, rt: &Rt<'_, '_>) -> Result<Vec<Tid>> {
        let mut scan =
            rt.storage().heap_scan(self.relation.storage, rt.snapshot, None).map_err(storage_error)?;
        let mut tids = Vec::new();
        while scan.next_page(|tid, _| tids.push(tid)).map_err(storage_error)? {
            rt.cx.checkpoint()?;
        }
        Ok(tids)
    }
}

impl Operator for BitmapScan {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if !self.found {
            let others = rt.memory.get().saturating_sub(self.held);
            rt.memory.set(others);
            let tids = match self.part.tids(rt)? {
                Some(tids) => tids,
                None => self.all(rt)?,
            };
            self.held = rt.memory.get().saturating_sub(others);
            self.fetch.give(tids);
            self.found = true;
        }
        self.fetch.next(rt)
    }
    fn reset(&mut self) {
        self.part.reset();
        self.fetch.reset();
        self.found = false;
    }
    fn filtered(&self) -> u64 {
        self.fetch.filtered()
    }
}
