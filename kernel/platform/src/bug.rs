//! Mistakes that tests of the simulated platform plant in the engine, to show that they would notice.
//!
//! The engine asks [`planted`] where such a mistake would be made. On every other platform the answer is a constant, and nothing
//! of it is left in the code.

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A commit does not wait for the device's cache.
    LogWithoutFlush,
    /// A log write is left out now and then, and what waits for it is told that it was done.
    LogWriteLeftOut,
    /// A page is written before the log that explains it.
    PageBeforeLog,
    /// A checkpoint does not wait for the device's cache.
    CheckpointWithoutFlush,
    /// The first change of a page after a checkpoint is logged without the page's image.
    NoPageImage,
    /// A row's page is let go between looking at the row and changing it.
    LatchReleasedEarly,
    /// Recovery redoes only the first page of a record of several.
    LostRedo,
    /// A commit is acknowledged before its record is written.
    AckBeforeFlush,
    /// Rows are shown that rest on a commit which is not durable.
    ShownBeforeDurable,
    /// Recovery takes transactions that were running for committed.
    ForgottenUndo,
    /// A checkpoint lets recovery begin at its end and not at its start.
    EarlyRedoStart,
    /// A page that is read is not compared with what was last written to it.
    LostWriteUnnoticed,
    /// A page that is read is not checked at all.
    PageUnchecked,
    /// A long bucket of a hash index is split without a mark that entries are still to come.
    SplitWithoutMark,
    /// A backup ends without the log of the time when its pages were copied.
    BackupWithoutItsLog,
}

/// Is this mistake to be made?
#[cfg(not(intralith_platform = "simulated"))]
#[inline(always)]
pub const fn planted(_: Bug) -> bool {
    false
}

#[cfg(intralith_platform = "simulated")]
pub use crate::simulated::planted;
