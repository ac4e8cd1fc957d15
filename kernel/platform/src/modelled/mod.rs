//! Locks that loom watches, in place of the hosted ones, for the models in `tests/loom` (`--cfg loom`). Everything else is hosted.
pub mod sync;
