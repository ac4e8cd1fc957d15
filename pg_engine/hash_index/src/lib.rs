//! Hash indexes: from the hash of a key to tids, by linear hashing, safe for many readers and writers at once.
//!
//! # The index
//! An entry is a key's hash ([`hash`], 64 bits) and a tid; the key itself is not stored, so who looks one up must compare the rows he is
//! led to. Entries lie in *buckets*. With `n` of them, a hash belongs to the bucket that its first bits name (the first bit
//! is the lowest one of the number): as many as make a number below `n`. The index grows by one bucket at a time: the next in turn is
//! split, and the half of its entries whose next bit is set moves to the new one. On a page entries are in the order of
//! their hashes, so that the half that moves is what lies behind one place.
//!
//! # Pages (see [`page`])
//! Block 0 counts the buckets, heads the list of free pages and names the *directory pages*, which name each bucket's *primary
//! page*. A bucket that outgrows it has *overflow pages*, the newest first. An entry goes to the primary page or to the newest overflow page;
//! when both are full another is added, and then the index grows by a bucket.
//!
//! A primary page knows its depth, the number of bits that name it. Who comes to one that was split since he looked at the number
//! of buckets sees that his hash belongs elsewhere, and looks at the number again: no lock protects it.
//!
//! # Splits
//! A split of a bucket of one page is one log record: both pages, the directory's and block 0. Otherwise that record
//! only makes the new bucket, marked *filling*, and the old one *splitting*; then entries move from page to page, each time in one record, and the
//! marks go last. A crash (or an error) in between leaves the marks: who looks for an entry in a filling bucket looks in the
//! old one too, who writes to either completes the split first.
//!
//! # Latches
//! The latch of a bucket's primary page protects all of its pages: none is changed without that one held for writing, or read without it held
//! for reading. So an overflow page is free for use the moment it leaves its bucket.
//!
//! Order: primary pages by bucket number, overflow pages, directory pages, block 0, a page on the free list. Heap
//! pages are never looked at.
//!
//! # What it must not know
//! Keys' types, rows, the log. Entries of rows that are gone are removed by vacuum; the same entry may be there twice (a row's
//! place was used again after an abort) and is given once.
//!
//! # Dependencies
//! `twox-hash`: XXH64, what keys are hashed by; it is part of the format. `hashbrown`: sets of pages in the check.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod build;
mod check;
mod index;
pub mod page;
mod split;
mod vacuum;

pub use check::HashFault;
pub use index::{HashIndex, HashState};
pub use page::MAX_BUCKETS;

/// The hash of a key.
#[inline]
pub fn hash(key: &[u8]) -> u64 {
    twox_hash::XxHash64::oneshot(0, key)
}
