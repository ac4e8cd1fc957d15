//! Row versions: their header, and who sees them.

use pg_page::{CommandId, Page, Tid, Xid, slotted, slotted::Slot};
use pg_transaction::{Outcome, RowLock, Snapshot, TransactionManager};

/// Bytes before the payload.
pub const HEADER: usize = 32;

/// `next` is on the same page and has no index entries of its own.
pub const HOT_UPDATED: u16 = 1;
/// No index entry points here.
pub const HEAP_ONLY: u16 = 2;
/// xmax only locks.
pub const LOCK_ONLY: u16 = 4;
/// xmax replaced it by `next` (else: deleted it).
pub const UPDATED: u16 = 8;
/// The payload is a stub that names an overflow chain.
pub const OVERFLOW: u16 = 16;

/// Mode of the lock that xmax is, if it only locks.
pub const LOCK_MODE: u16 = 32 | 64;
/// xmax deleted it or changed a key.
pub const KEYS_CHANGED: u16 = 128;

/// The flags that say of an xmax that only locks in which mode.
pub const fn lock_mode_flags(mode: RowLock) -> u16 {
    (mode as u16) << 5
}

/// The header of a row version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who made it.
    pub xmin: Xid,
    /// Who deleted, replaced or locked it.
    pub xmax: Xid,
    /// Command of xmin.
    pub cmin: CommandId,
    /// Command of xmax.
    pub cmax: CommandId,
    /// What replaced it.
    pub next: Tid,
    /// Flags.
    pub flags: u16,
}

impl Header {
    /// Of a new version.
    pub fn new(xmin: Xid, cmin: CommandId, flags: u16) -> Self {
        Self { xmin, xmax: Xid::NONE, cmin, cmax: CommandId(0), next: Tid { block: 0, slot: 0 }, flags }
    }

    /// Reads the header at the front of an item. None: the item is too short.
    #[inline]
    pub fn decode(item: &[u8]) -> Option<Self> {
        let b: &[u8; HEADER] = item.first_chunk()?;
        let u64_at = |i: usize| {
            u64::from_le_bytes([b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7]])
        };
        let u32_at = |i: usize| u32::from_le_bytes([b[i], b[i + 1], b[i + 2], b[i + 3]]);
        let u16_at = |i: usize| u16::from_le_bytes([b[i], b[i + 1]]);
        Some(Self {
            xmin: Xid(u64_at(0)),
            xmax: Xid(u64_at(8)),
            cmin: CommandId(u32_at(16)),
            cmax: CommandId(u32_at(20)),
            next: Tid { block: u32_at(24), slot: u16_at(28) },
            flags: u16_at(30),
        })
    }

    /// The bytes.
    #[inline]
    pub fn encode(&self) -> [u8; HEADER] {
        let mut b = [0; HEADER];
        b[0..8].copy_from_slice(&self.xmin.0.to_le_bytes());
        b[8..16].copy_from_slice(&self.xmax.0.to_le_bytes());
        b[16..20].copy_from_slice(&self.cmin.0.to_le_bytes());
        b[20..24].copy_from_slice(&self.cmax.0.to_le_bytes());
        b[24..28].copy_from_slice(&self.next.block.to_le_bytes());
        b[28..30].copy_from_slice(&self.next.slot.to_le_bytes());
        b[30..32].copy_from_slice(&self.flags.to_le_bytes());
        b
    }

    /// Has it the flag?
    #[inline]
    pub fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// The row lock that xmax amounts to.
    #[inline]
    pub fn lock_mode(&self) -> RowLock {
        if self.has(LOCK_ONLY) {
            RowLock::from_number((self.flags & LOCK_MODE) as u8 >> 5)
        } else if self.has(UPDATED) && !self.has(KEYS_CHANGED) {
            RowLock::NoKeyUpdate
        } else {
            RowLock::Update
        }
    }

    /// Is there an xmax that deletes or replaces, if it commits?
    #[inline]
    pub fn is_doomed(&self) -> bool {
        self.xmax.is_some() && !self.has(LOCK_ONLY)
    }

    /// Does the snapshot see it?
    #[inline]
    pub fn visible(&self, snapshot: &Snapshot, transactions: &TransactionManager) -> bool {
        if snapshot.is_own(self.xmin) {
            if self.cmin >= snapshot.command() {
                return false;
            }
        } else if !snapshot.data().ended(self.xmin) || transactions.outcome(self.xmin) == Outcome::Aborted {
            // What the snapshot says has ended and did not abort has committed, or is logged and the snapshot takes that for it.
            return false;
        }
        if !self.is_doomed() {
            return true;
        }
        if snapshot.is_own(self.xmax) {
            return self.cmax >= snapshot.command();
        }
        !snapshot.data().ended(self.xmax) || transactions.outcome(self.xmax) == Outcome::Aborted
    }

    /// Can no one see it any more?
    pub fn dead(&self, horizon: Xid, transactions: &TransactionManager) -> bool {
        match transactions.outcome(self.xmin) {
            Outcome::Aborted => true,
            Outcome::InProgress => false,
            Outcome::Committed => {
                self.is_doomed()
                    && self.xmax < horizon
                    && transactions.outcome(self.xmax) == Outcome::Committed
            }
        }
    }
}

/// The version in a slot with its place on the page. Whoever comes with an old tid may find that the page has become part of a
/// large row.
#[inline]
pub fn at(page: &Page, slot: u16) -> Option<(usize, Header, &[u8])> {
    if page.kind() != slotted::KIND_HEAP {
        return None;
    }
    match slotted::get(page, slot) {
        Slot::Normal { at, len } => {
            let item = page.bytes(at, len);
            Some((at, Header::decode(item)?, item.get(HEADER..)?))
        }
        _ => None,
    }
}

/// The slot that stands behind a tid from an index.
#[inline]
pub fn resolve(page: &Page, slot: u16) -> u16 {
    match slotted::get(page, slot) {
        Slot::Redirect(to) => to,
        _ => slot,
    }
}

/// The next version of a HOT chain, if it is really that.
#[inline]
pub fn next_in_chain(page: &Page, of: &Header) -> Option<(u16, Header)> {
    if !of.has(HOT_UPDATED) || !of.is_doomed() {
        return None;
    }
    let (_, next, _) = at(page, of.next.slot)?;
    (next.has(HEAP_ONLY) && next.xmin == of.xmax).then_some((of.next.slot, next))
}
