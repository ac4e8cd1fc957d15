//! Names of things: log positions, transactions, relations, rows.

use core::fmt;

/// A position in the log: bytes since the volume was formatted. Never wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

/// A (sub)transaction id. 64 bits: it never wraps. Zero is no transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid(pub u64);

impl Xid {
    /// No transaction.
    pub const NONE: Self = Self(0);
    /// The first id that is handed out.
    pub const FIRST: Self = Self(3);
    /// False for [`Xid::NONE`].
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }
}

/// The number of a statement inside its transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u32);

/// A relation's storage (what PostgreSQL calls a relfilenode). Never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelId(pub u32);

/// Where a row version is: block of its relation and slot (from 1) on the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tid {
    /// Page number inside the relation.
    pub block: u32,
    /// Slot on the page, from 1.
    pub slot: u16,
}

impl Tid {
    /// Points nowhere.
    pub const NONE: Self = Self { block: u32::MAX, slot: 0 };
    /// Before every real tid.
    pub const MIN: Self = Self { block: 0, slot: 0 };
    /// After every real tid.
    pub const MAX: Self = Self { block: u32::MAX, slot: u16::MAX };

    /// 48 bits in tid order.
    pub const fn to_u64(self) -> u64 {
        ((self.block as u64) << 16) | self.slot as u64
    }
    /// Undoes [`Tid::to_u64`]; higher bits are ignored.
    pub const fn from_u64(v: u64) -> Self {
        Self { block: (v >> 16) as u32, slot: v as u16 }
    }
}

impl fmt::Display for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},{})", self.block, self.slot)
    }
}
