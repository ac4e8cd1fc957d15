//! Vocabulary of the facade.
use core::time::Duration;

/// How a new volume is laid out.
#[derive(Clone, Debug, Default)]
pub struct FormatOptions {
    /// Bytes of the log ring; default: an eighth of the device, between 16 MiB and 4 GiB.
    pub wal_bytes: Option<u64>,
    /// First content of the configuration block.
    pub config: alloc::vec::Vec<u8>,
}

/// How a volume is opened.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// Memory for the buffer pool.
    pub buffer_pool_bytes: u64,
    /// A checkpoint starts after so much log (never more than a third of the ring).
    pub checkpoint_wal_bytes: u64,
    /// A checkpoint starts after so much time when anything was written.
    pub checkpoint_interval: Duration,
    /// Starts the checkpointer and vacuum task. Tests that want to be alone say no; who says no must call
    /// [`crate::Storage::checkpoint`] now and then, or writers wait for ever once the log ring is full.
    pub background_tasks: bool,
    /// The log may be that of several runs, one after the other, and begin long before the newest checkpoint: for restoring
    /// from an archive, on a device that presents it so.
    pub replay: bool,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            buffer_pool_bytes: 128 << 20,
            checkpoint_wal_bytes: 512 << 20,
            checkpoint_interval: Duration::from_secs(300),
            background_tasks: true,
            replay: false,
        }
    }
}

/// Sizes for the planner. Approximate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RelationStats {
    /// Pages.
    pub pages: u32,
    /// Rows that are visible to a new snapshot.
    pub live_tuples: u64,
    /// Row versions that vacuum could remove.
    pub dead_tuples: u64,
    /// Pages that everyone sees all of.
    pub all_visible: u32,
}

/// A sequence's definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceOptions {
    /// First value.
    pub start: i64,
    /// Step; not zero.
    pub increment: i64,
    /// Least value.
    pub min: i64,
    /// Greatest value.
    pub max: i64,
    /// Starts again after the last value.
    pub cycle: bool,
}

/// When a heap is vacuumed and analysed by itself: after so many rows, and that share of the live ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Upkeep {
    /// Is it?
    pub enabled: bool,
    /// Dead rows that call for vacuum.
    pub dead: (u32, f64),
    /// Added rows that do; `None`: no number of them does.
    pub added: Option<(u32, f64)>,
    /// Changed rows that call for new statistics; `None`: as is good for most tables.
    pub changed: Option<(u32, f64)>,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self { enabled: true, dead: (50, 0.2), added: Some((1000, 0.2)), changed: None }
    }
}

impl Upkeep {
    /// Do so many rows, of which so many are live, pass a limit?
    pub(crate) fn passed(rows: u64, live: u64, (threshold, scale): (u32, f64)) -> bool {
        rows as f64 > f64::from(threshold) + scale * live as f64
    }
}
