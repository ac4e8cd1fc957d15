//! What the pool did, for views.

use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use pg_page::RelId;

use crate::{
    BufferPool,
    frame::{DIRTY, Interest, Pin, VALID},
};

/// Who made the pool do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A statement, or vacuum.
    Statement,
    /// The tasks that read ahead.
    ReadAhead,
    /// The background writer.
    Writer,
    /// A checkpoint.
    Checkpointer,
    /// Recovery.
    Recovery,
}

/// For what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Pages that are worth keeping.
    Normal,
    /// A pass over a large relation.
    BulkRead,
    /// Filling a large relation.
    BulkWrite,
}

impl Actor {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Statement, Self::ReadAhead, Self::Writer, Self::Checkpointer, Self::Recovery];
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Normal, Self::BulkRead, Self::BulkWrite];
}

/// Counts of one actor and purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoCounts {
    /// Pages read.
    pub reads: u64,
    /// Time that took.
    pub read_time: Duration,
    /// Pages written.
    pub writes: u64,
    /// Time that took.
    pub write_time: Duration,
    /// Pages added to relations.
    pub extends: u64,
    /// Pages found in the cache.
    pub hits: u64,
    /// Pages that left the cache to make room.
    pub evictions: u64,
    /// The same, of the few frames that bulk work uses over and over.
    pub reuses: u64,
    /// Times the device's cache was flushed.
    pub flushes: u64,
}

/// A row of [`crate::BufferPool::io_stats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoStats {
    /// Who.
    pub actor: Actor,
    /// For what.
    pub purpose: Purpose,
    /// How much.
    pub counts: IoCounts,
}

/// Counters since the volume was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Frames.
    pub frames: usize,
    /// Bytes of memory that frames hold: each takes a page's worth at its first use and keeps it.
    pub resident: u64,
    /// Pages read from the device.
    pub reads: u64,
    /// Pages written to the device.
    pub writes: u64,
    /// Writes of pages that failed.
    pub write_failures: u64,
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameInfo {
    /// Its number.
    pub frame: u32,
    /// The page in it: relation and block. None: empty, or its content is changing just now.
    pub page: Option<(RelId, u32)>,
    /// It has changes that the device has not.
    pub dirty: bool,
    /// How often the clock hand will spare it: 0 to 3.
    pub usage: u8,
    /// Tasks that hold it.
    pub pins: u32,
}

/// The work of the background writer and of checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriterStats {
    /// Pages that checkpoints wrote.
    pub checkpoint: u64,
    /// Pages that the background writer wrote.
    pub background: u64,
    /// Turns of the background writer that ended early because it had written enough.
    pub background_cut: u64,
    /// Pages that statements had to write themselves to get a frame.
    pub statements: u64,
    /// Frames that were given a page for the first time or again.
    pub allocated: u64,
    /// Time that checkpoints spent writing.
    pub checkpoint_time: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Cell {
    pub reads: AtomicU64,
    pub read_nanos: AtomicU64,
    pub writes: AtomicU64,
    pub write_nanos: AtomicU64,
    pub extends: AtomicU64,
    pub evictions: AtomicU64,
    pub reuses: AtomicU64,
    pub flushes: AtomicU64,
}

/// Counters of what happens beside I/O or instead of it: never on a hit.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    cells: [[Cell; 3]; 5],
    /// Hits of pages that have left the cache.
    pub past_hits: AtomicU64,
    pub allocated: AtomicU64,
    pub cut: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

pub(crate) fn add_time(counter: &AtomicU64, time: Duration) {
    add(counter, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
}

impl Counters {
    pub fn of(&self, actor: Actor, purpose: Purpose) -> &Cell {
        // Discriminants count from 0 in the order of the arrays.
        &self.cells[actor as usize][purpose as usize]
    }
    pub fn counts(&self, actor: Actor, purpose: Purpose) -> IoCounts {
        let c = self.of(actor, purpose);
        let n = |a: &AtomicU64| a.load(Ordering::Relaxed);
        IoCounts {
            reads: n(&c.reads),
            read_time: Duration::from_nanos(n(&c.read_nanos)),
            writes: n(&c.writes),
            write_time: Duration::from_nanos(n(&c.write_nanos)),
            extends: n(&c.extends),
            hits: 0,
            evictions: n(&c.evictions),
            reuses: n(&c.reuses),
            flushes: n(&c.flushes),
        }
    }
    /// The sum over all actors and purposes.
    pub fn sum(&self, f: impl Fn(&Cell) -> &AtomicU64) -> u64 {
        self.cells.iter().flatten().map(|c| f(c).load(Ordering::Relaxed)).sum()
    }
    /// The sum over an actor's purposes.
    pub fn sum_of(&self, actor: Actor, f: impl Fn(&Cell) -> &AtomicU64) -> u64 {
        self.cells[actor as usize].iter().map(|c| f(c).load(Ordering::Relaxed)).sum()
    }
}

impl BufferPool {
    /// Who did how much I/O, for what. Hits are not told apart.
    pub fn io_stats(&self) -> alloc::vec::Vec<IoStats> {
        let present: u64 = self.frames.iter().map(|f| f.state().hits()).sum();
        let hits = present + self.counters.past_hits.load(Ordering::Relaxed);
        Actor::ALL
            .into_iter()
            .flat_map(|actor| Purpose::ALL.map(|purpose| (actor, purpose)))
            .map(|(actor, purpose)| {
                let mut counts = self.counters.counts(actor, purpose);
                if (actor, purpose) == (Actor::Statement, Purpose::Normal) {
                    counts.hits = hits;
                }
                IoStats { actor, purpose, counts }
            })
            .collect()
    }

    /// A checkpoint has flushed the device.
    pub fn note_flush(&self) {
        add(&self.counters.of(Actor::Checkpointer, Purpose::Normal).flushes, 1);
    }

    /// Looks at every frame.
    pub fn frame_infos(&self, mut each: impl FnMut(FrameInfo)) {
        for (i, frame) in self.frames.iter().enumerate() {
            let s = frame.state();
            let mut page = None;
            if s.has(VALID) && frame.pin(Interest::None) {
                let pin = Pin(frame);
                if let Some(guard) = pin.0.latch.try_read()
                    && frame.has(VALID)
                {
                    page = guard.as_ref().map(|p| (p.rel(), p.block()));
                }
            }
            each(FrameInfo {
                frame: i as u32 + 1,
                page,
                dirty: s.has(DIRTY),
                usage: s.usage(),
                pins: s.pins(),
            });
        }
    }
}
