//! Sequences: one page each, values reserved in batches.
//!
//! The page holds the definition and the last value that is reserved; values up to it are given out from memory. After a
//! crash the rest of a batch is skipped. Bytes 40..: start, increment, min, max (i64 each), last (i64), flags (bit 0
//! cycle, bit 1 last was handed out).

use pg_page::{RelId, StorageError, Xid, ops::Ops};
use pg_volume::RelationKind;

use crate::{
    api::SequenceOptions,
    storage::{Open, Result, Storage},
    transaction::Transaction,
};

const KIND_SEQUENCE: u8 = 4;
const AT: usize = 40;
/// Values reserved with one log record.
const BATCH: u32 = 32;

/// A sequence's values in memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SequenceState {
    /// Nothing yet: the page says all.
    loaded: bool,
    last: i64,
    called: bool,
    /// How many more are reserved.
    reserved: u32,
}

struct Stored {
    options: SequenceOptions,
    last: i64,
    called: bool,
}

impl Stored {
    fn encode(&self) -> [u8; 41] {
        let o = &self.options;
        let mut b = [0; 41];
        for (i, v) in [o.start, o.increment, o.min, o.max, self.last].into_iter().enumerate() {
            b[i * 8..i * 8 + 8].copy_from_slice(&v.to_le_bytes());
        }
        b[40] = u8::from(o.cycle) | u8::from(self.called) << 1;
        b
    }
}

impl SequenceOptions {
    /// The value after `last`. None: there is none.
    fn after(&self, last: i64) -> Option<i64> {
        match last.checked_add(self.increment).filter(|v| (self.min..=self.max).contains(v)) {
            Some(v) => Some(v),
            None if self.cycle => Some(if self.increment > 0 { self.min } else { self.max }),
            None => None,
        }
    }
}

impl Storage {
    fn sequence(&self, rel: RelId) -> Result<alloc::sync::Arc<Open>> {
        let open = self.opened(rel)?;
        if open.rel.kind == RelationKind::Sequence { Ok(open) } else { Err(StorageError::WrongKind(rel)) }
    }

    fn load_sequence(&self, open: &Open) -> Result<Stored> {
        let page = self.engine.pool.read(&open.rel, 0)?;
        let i64_at = |i: usize| page.u64_at(AT + i * 8) as i64;
        let flags = page.bytes(AT + 40, 1).first().copied().unwrap_or(0);
        Ok(Stored {
            options: SequenceOptions {
                start: i64_at(0),
                increment: i64_at(1),
                min: i64_at(2),
                max: i64_at(3),
                cycle: flags & 1 != 0,
            },
            last: i64_at(4),
            called: flags & 2 != 0,
        })
    }

    fn store_sequence(&self, open: &Open, xid: Xid, s: &Stored) -> Result<()> {
        self.wal.throttle()?;
        let mut guard = if open.rel.blocks() == 0 {
            self.engine.pool.extend(&self.engine.directory, &open.rel, KIND_SEQUENCE, xid)?.1
        } else {
            self.engine.pool.write(&open.rel, 0)?
        };
        let mut ops = Ops::new();
        ops.write(AT, &s.encode());
        let lsn = self.engine.pool.change(xid, &mut [(&mut guard, &ops)]);
        drop(guard);
        // A value may leave the machine without any commit.
        self.wal.flush(lsn);
        Ok(())
    }

    /// Sets a sequence up (CREATE, setval; RESTART, in new storage). Takes effect at once and is not undone, except that the sequence
    /// goes if the transaction that created it aborts.
    pub fn sequence_set(
        &self,
        txn: &mut Transaction,
        seq: RelId,
        options: &SequenceOptions,
        last: i64,
        called: bool,
    ) -> Result<()> {
        let open = self.sequence(seq)?;
        let mut state = open.sequence.lock();
        let xid = txn.work.writing_xid();
        self.store_sequence(&open, xid, &Stored { options: *options, last, called })?;
        *state = SequenceState { loaded: true, last, called, reserved: 0 };
        Ok(())
    }

    /// The next value. Never rolled back.
    pub fn sequence_next(&self, seq: RelId) -> Result<i64> {
        self.check_open()?;
        let open = self.sequence(seq)?;
        let mut state = open.sequence.lock();
        let stored = self.load_sequence(&open)?;
        if !state.loaded {
            *state = SequenceState { loaded: true, last: stored.last, called: stored.called, reserved: 0 };
        }
        let options = stored.options;
        let next = if state.called {
            options.after(state.last).ok_or(StorageError::SequenceExhausted)?
        } else {
            state.last
        };
        let mut reserved = state.reserved;
        if reserved == 0 {
            let mut last = next;
            for _ in 1..BATCH {
                let Some(v) = options.after(last) else { break };
                last = v;
                reserved += 1;
            }
            self.store_sequence(&open, Xid::NONE, &Stored { options, last, called: true })?;
        } else {
            reserved -= 1;
        }
        *state = SequenceState { loaded: true, last: next, called: true, reserved };
        Ok(next)
    }

    /// Definition, last value and whether it was handed out.
    pub fn sequence_get(&self, seq: RelId) -> Result<(SequenceOptions, i64, bool)> {
        let open = self.sequence(seq)?;
        let state = open.sequence.lock();
        let stored = self.load_sequence(&open)?;
        if state.loaded {
            Ok((stored.options, state.last, state.called))
        } else {
            Ok((stored.options, stored.last, stored.called))
        }
    }

    /// Gives reserved values back, so that a clean shutdown skips none.
    pub(crate) fn store_sequences(&self) -> Result<()> {
        for open in self.all_opened() {
            let mut state = open.sequence.lock();
            if open.rel.kind == RelationKind::Sequence && state.loaded && state.reserved > 0 {
                let stored = self.load_sequence(&open)?;
                self.store_sequence(
                    &open,
                    Xid::NONE,
                    &Stored { last: state.last, called: state.called, ..stored },
                )?;
                state.reserved = 0;
            }
        }
        Ok(())
    }
}
