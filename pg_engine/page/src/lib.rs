//! Pages: 8 KiB units of storage, their identity and checksum, and the only ways to change one.
//!
//! A page in use is changed by **operations** only ([`ops`]): the running system encodes an operation, applies it to the page in
//! memory with [`ops::apply`] and logs the same bytes; recovery calls the same function on the same bytes. Doing and
//! redoing cannot differ.
//!
//! This cell also holds the vocabulary every storage cell shares: [`Lsn`], [`Xid`], [`RelId`], [`Tid`] and
//! [`StorageError`].
//!
//! # Page header
//! ```text
//!  0  sum   u32   checksum of bytes 4.. (`checksum`), halves joined by exclusive or; computed when the page is written, checked when it is read
//!  4  kind  u8    what the page is (owned by the cell that formats it); 0: never formatted
//!  5  flags u8    hints, never logged
//!  6  hint  u16   a count the owning cell keeps, never logged
//!  8  lsn   u64   end of the last log record that changed the page
//! 16  rel   u32   whose page it is
//! 20  block u32   and which one: a misdirected write is found on reading
//! ```
//!
//! # What it must not know
//! Devices, caches, transactions, and what rows and keys mean.
//!
//! # Dependencies
//! `platform`: what block devices report. `rapidhash`: checksums.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod checksum;
mod error;
mod ids;
pub mod ops;
pub mod slotted;

use alloc::boxed::Box;

pub use error::{DeadlockEdge, Dependency, StorageError, WaitsFor};
pub use ids::{CommandId, Lsn, RelId, Tid, Xid};

/// Bytes of a page.
pub const PAGE_SIZE: usize = 8192;
/// Bytes of the header every page begins with.
pub const HEADER_SIZE: usize = 24;

/// A page that was never formatted.
pub const KIND_NONE: u8 = 0;

/// Hint: everything on the page is visible to everyone. Every operation takes it down.
pub const FLAG_ALL_VISIBLE: u8 = 1;
/// Hint: there may be unused slots.
pub const FLAG_UNUSED_SLOTS: u8 = 2;

/// One page's bytes, aligned for transfers.
#[derive(Clone)]
#[repr(C, align(4096))]
pub struct Page(pub [u8; PAGE_SIZE]);

impl core::fmt::Debug for Page {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Page({}:{} kind {} lsn {})", self.rel().0, self.block(), self.kind(), self.lsn().0)
    }
}

/// A page of zeroes, for reading where none was loaded.
pub static ZERO_PAGE: Page = Page([0; PAGE_SIZE]);

impl Page {
    /// A page of zeroes.
    pub fn zeroed() -> Box<Self> {
        Box::new(Self([0; PAGE_SIZE]))
    }
    /// Two bytes; zero beyond the end (a damaged page must not panic its reader).
    #[inline]
    pub fn u16_at(&self, at: usize) -> u16 {
        self.0.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u16::from_le_bytes(*b))
    }
    /// Four bytes; zero beyond the end.
    #[inline]
    pub fn u32_at(&self, at: usize) -> u32 {
        self.0.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
    }
    /// Eight bytes; zero beyond the end.
    #[inline]
    pub fn u64_at(&self, at: usize) -> u64 {
        self.0.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
    }
    /// A run of bytes; empty if it does not lie on the page.
    #[inline]
    pub fn bytes(&self, at: usize, len: usize) -> &[u8] {
        at.checked_add(len).and_then(|end| self.0.get(at..end)).unwrap_or(&[])
    }
    /// Overwrites bytes; false if they do not fit on the page.
    #[inline]
    pub fn put(&mut self, at: usize, bytes: &[u8]) -> bool {
        match at.checked_add(bytes.len()).and_then(|end| self.0.get_mut(at..end)) {
            Some(to) => {
                to.copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }
    /// What the page is.
    #[inline]
    pub fn kind(&self) -> u8 {
        self.0[4]
    }
    /// Unlogged hints.
    #[inline]
    pub fn flags(&self) -> u8 {
        self.0[5]
    }
    /// Sets the hints.
    #[inline]
    pub fn set_flags(&mut self, flags: u8) {
        self.0[5] = flags;
    }
    /// The owning cell's count, a hint.
    #[inline]
    pub fn hint(&self) -> u16 {
        self.u16_at(6)
    }
    /// Sets it.
    #[inline]
    pub fn set_hint(&mut self, hint: u16) {
        self.put(6, &hint.to_le_bytes());
    }
    /// End of the last record that changed the page.
    #[inline]
    pub fn lsn(&self) -> Lsn {
        Lsn(self.u64_at(8))
    }
    /// Notes the last record that changed the page.
    #[inline]
    pub fn set_lsn(&mut self, lsn: Lsn) {
        self.put(8, &lsn.0.to_le_bytes());
    }
    /// Whose page it is.
    #[inline]
    pub fn rel(&self) -> RelId {
        RelId(self.u32_at(16))
    }
    /// Which of its relation's pages it is.
    #[inline]
    pub fn block(&self) -> u32 {
        self.u32_at(20)
    }
    /// Makes the page an empty one of a kind.
    pub fn format(&mut self, kind: u8, rel: RelId, block: u32) {
        self.0.fill(0);
        self.0[4] = kind;
        self.put(16, &rel.0.to_le_bytes());
        self.put(20, &block.to_le_bytes());
    }
    /// The checksum of the content.
    pub fn checksum(&self) -> u32 {
        let hash = checksum::of(&self.0);
        (hash ^ hash >> 32) as u32
    }
    /// Stores the checksum; done to the copy that is about to be written.
    pub fn seal(&mut self) {
        let sum = self.checksum();
        self.put(0, &sum.to_le_bytes());
    }
    /// Is this what was written for that block of that relation?
    pub fn check(&self, rel: RelId, block: u32) -> Result<(), StorageError> {
        let what = if self.u32_at(0) != self.checksum() {
            "checksum mismatch"
        } else if self.rel() != rel || self.block() != block {
            "page belongs elsewhere"
        } else {
            return Ok(());
        };
        Err(StorageError::Corrupt { rel, block, what })
    }
}
