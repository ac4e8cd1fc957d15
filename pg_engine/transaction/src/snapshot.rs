//! Which transactions' work a statement sees.

use alloc::{boxed::Box, sync::Arc, vec::Vec};

use pg_page::{CommandId, Xid};

use crate::ssi::SerialId;

/// Which ids had ended at a moment.
#[derive(Debug, PartialEq, Eq)]
pub struct SnapshotData {
    /// Everything before had ended.
    pub xmin: Xid,
    /// Nothing from here on had.
    pub xmax: Xid,
    /// Of those between, the ones that had not ended, ascending.
    pub running: Box<[Xid]>,
}

impl SnapshotData {
    /// Had it ended?
    #[inline]
    pub fn ended(&self, xid: Xid) -> bool {
        xid < self.xmin || (xid < self.xmax && self.running.binary_search(&xid).is_err())
    }
}

/// What a statement sees: what had been committed, and its own transaction's earlier commands. Cheap to clone. Row
/// versions it may see are kept while it lives.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) data: Arc<SnapshotData>,
    /// Its transaction's ids.
    pub(crate) own: Own,
    pub(crate) command: CommandId,
    /// The serializable transaction that reads with it.
    pub(crate) serial: SerialId,
}

/// The ids of one transaction.
#[derive(Clone, Debug, Default)]
pub(crate) enum Own {
    #[default]
    None,
    One(Xid),
    Many(Arc<[Xid]>),
}

impl Own {
    #[inline]
    pub fn of(xids: &[Xid]) -> Self {
        match xids {
            [] => Self::None,
            [x] => Self::One(*x),
            many => {
                let mut sorted: Vec<Xid> = many.to_vec();
                sorted.sort_unstable();
                Self::Many(sorted.into())
            }
        }
    }
}

impl Snapshot {
    /// Which ids had ended.
    #[inline]
    pub fn data(&self) -> &SnapshotData {
        &self.data
    }
    /// Effects of this and later commands of the own transaction are not seen.
    #[inline]
    pub fn command(&self) -> CommandId {
        self.command
    }
    /// The serializable transaction that reads with it, if any.
    #[inline]
    pub fn serial(&self) -> SerialId {
        self.serial
    }
    /// The same, for reads that do not count (of catalogs).
    #[must_use]
    pub fn untracked(self) -> Self {
        Self { serial: SerialId::NONE, ..self }
    }
    /// Is it an id of the own transaction (not rolled back when the snapshot was taken)?
    #[inline]
    pub fn is_own(&self, xid: Xid) -> bool {
        match &self.own {
            Own::None => false,
            Own::One(x) => *x == xid,
            Own::Many(all) => all.binary_search(&xid).is_ok(),
        }
    }
}
