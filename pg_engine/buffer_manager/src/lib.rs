//! The buffer manager: the one cache between pages on the device and the cells that use them.
//!
//! # How it works
//! A frame holds one page behind a latch. The **translation table** has a word per physical page, naming the frame that holds it;
//! it is allocated in pieces as the volume comes into use (4 bytes per 8 KiB page; as much again, once a page was written, tells what
//! was written last: a device that lost a write it had acknowledged is found out when the page is read again). A hit is a load from the
//! table, a compare-and-swap that pins the frame, and a look at the frame's tag: no lock, no hashing. A guard
//! ([`ReadGuard`], [`WriteGuard`]) is pin and latch in one; safe code cannot keep bytes of a frame beyond it.
//!
//! A miss takes a shard's loader lock, a victim from the clock hand (second chance: frames in use again since the hand last
//! passed are spared), and reads under the frame's write latch, so that others who want the page wait for the read and not for the table.
//!
//! # Passes over much data
//! A pass over a relation larger than a quarter of the pool ([`BufferPool::read_passing`]), and pages added to one, use a **ring**:
//! once it is full (an eighth of the pool, at most 16 MiB), the next page takes the frame of the oldest. What others
//! have used meanwhile leaves the ring for good. Everyone else's pages stay.
//!
//! # Reading ahead
//! [`Lookahead`] follows a pass and asks for the next pages, 4 at first and twice as many each time up to 64;
//! [`BufferPool::prefetch`] takes any list of blocks. A few tasks read them in batches, sorted by place, which the device merges.
//! Such a request never waits for a frame and never writes one: it is dropped instead.
//!
//! # Who writes
//! A search for a victim passes dirty frames over. The **background writer** ([`BufferPool::write_ahead`]) keeps the eighth of the pool
//! that the hand comes to next clean, and the older half of the ring; it is called when the hand has moved on by a quarter of that.
//! A search that meets 64 dirty frames all the same writes them in one batch. Checkpoints write what is dirty when they begin
//! ([`BufferPool::write_dirty`]). All batches are sorted by place on the device.
//!
//! # Counting
//! Hits are counted in the upper half of a frame's state, by the very compare-and-swap that pins it: they cost no
//! instruction. Everything else is counted where I/O happens ([`BufferPool::io_stats`]).
//!
//! # Changing pages
//! Only [`BufferPool::change`] changes a page (hints apart): it marks the frames dirty, applies the operations, appends the log record and
//! stamps the pages, in that order, under write latches. A page is written to the device only when the log is durable up to its stamp.
//! The write goes out from a copy, so no latch is held during I/O.
//!
//! # Invariants
//! * A frame whose state says *claimed* belongs to the one who claimed it; pinned frames are never claimed.
//! * At most one write of a frame is under way (*writing*), so that versions reach the device in order; the frame stays pinned until
//!   the write ends, so that no one reads the old version back.
//! * A panic that unwinds through a [`WriteGuard`] stops the machine: the page may be half changed.
//!
//! # Lock order
//! Latches of pages (the order among them is their owners' business: heap pages by block, B-tree pages downwards and to the right, B-tree before heap)
//! → loader lock → the log's locks. No latch is waited for under a loader lock. A task that reads ahead holds the latches of many
//! pages that nobody has seen yet, and waits for none. The ring's, the free list's and the queues' locks are leaves.
//!
//! # What it must not know
//! Rows, keys, transactions.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod ahead;
mod evict;
mod frame;
mod pool;
mod redo;
mod state;
mod stats;
#[cfg(test)]
mod tests;
mod writeback;

pub use ahead::Lookahead;
pub use frame::{ReadGuard, WriteGuard};
pub use pool::{BufferPool, NEWER_THAN_LOG, OLDER_THAN_WRITTEN};
pub use redo::{KIND_PAGES, RedoBatch, changed_pages, collect_redo};
pub use stats::{Actor, FrameInfo, IoCounts, IoStats, PoolStats, Purpose, WriterStats};
