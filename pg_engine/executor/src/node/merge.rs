//! Merging streams of rows that are in order: the runs of a sort, the parts of UNION ALL.

use alloc::{sync::Arc, vec::Vec};
use core::cmp::Ordering;

use pg_plan::logical::SortKey;
use pg_types::{
    Batch, Result,
    vector::{BATCH_ROWS, VectorBuilder},
};

use super::{
    Compiler, Exec, Operator,
    sort::{Key, KeyRows},
    spill::weigh,
};
use crate::context::Rt;

/// Rows in order, batch by batch.
pub(crate) trait Stream {
    /// Goes to the next batch that has rows; false: there is none.
    fn load(&mut self, rt: &Rt<'_, '_>) -> Result<bool>;
    /// The batch, without selection.
    fn batch(&self) -> &Batch;
    /// The encoded key of a row of the batch.
    fn key(&self, row: usize) -> &[u8];
}

/// Streams merged; of rows with equal keys those of the earlier stream come first.
pub(crate) struct Merge<S> {
    /// The streams, and the next row of each one's batch.
    streams: Vec<(S, usize)>,
    /// Streams that have rows, as a heap: the one with the least key first.
    heap: Vec<usize>,
    left: usize,
    /// Rows chosen and not yet copied: stream and row.
    chosen: Vec<(u32, u32)>,
}

impl<S: Stream> Merge<S> {
    /// Of which the first `keep` rows are wanted.
    pub(crate) fn new(streams: Vec<S>, keep: usize, rt: &Rt<'_, '_>) -> Result<Self> {
        let streams: Vec<_> = streams.into_iter().map(|s| (s, 0)).collect();
        let mut this = Self { streams, heap: Vec::new(), left: keep, chosen: Vec::new() };
        this.start(rt)?;
        Ok(this)
    }
    fn start(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        self.heap.clear();
        for (n, (stream, at)) in self.streams.iter_mut().enumerate() {
            *at = 0;
            if stream.load(rt)? {
                self.heap.push(n);
            }
        }
        for i in (0..self.heap.len() / 2).rev() {
            self.sift(i);
        }
        Ok(())
    }
    fn less(&self, a: usize, b: usize) -> bool {
        let (Some((x, i)), Some((y, j))) = (self.streams.get(a), self.streams.get(b)) else { return false };
        match x.key(*i).cmp(y.key(*j)) {
            Ordering::Equal => a < b,
            other => other == Ordering::Less,
        }
    }
    fn sift(&mut self, mut at: usize) {
        while 2 * at + 1 < self.heap.len() {
            let mut child = 2 * at + 1;
            if child + 1 < self.heap.len() && self.less(self.heap[child + 1], self.heap[child]) {
                child += 1;
            }
            if !self.less(self.heap[child], self.heap[at]) {
                break;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }
    fn copy(&mut self, out: &mut Vec<VectorBuilder>) {
        for same in self.chosen.chunk_by(|a, b| a.0 == b.0) {
            let Some((stream, _)) = same.first().and_then(|c| self.streams.get(c.0 as usize)) else {
                continue;
            };
            let batch = stream.batch();
            if out.is_empty() {
                let builder = |c: &Arc<_>| VectorBuilder::with_capacity(vector_type(c), BATCH_ROWS);
                *out = batch.columns.iter().map(builder).collect();
            }
            for (to, from) in out.iter_mut().zip(&batch.columns) {
                same.iter().for_each(|(_, row)| to.extend_from(from, *row as usize));
            }
        }
        self.chosen.clear();
    }
    /// The next rows, at most so many and of about `bytes` bytes.
    pub(crate) fn next(&mut self, most: usize, bytes: usize, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        rt.cx.checkpoint()?;
        let mut out: Vec<VectorBuilder> = Vec::new();
        let mut rows = 0;
        let mut room = bytes;
        while rows < most && self.left > 0 && room > 0 {
            let Some(&first) = self.heap.first() else { break };
            let Some((stream, at)) = self.streams.get_mut(first) else { break };
            self.chosen.push((first as u32, *at as u32));
            rows += 1;
            self.left -= 1;
            *at += 1;
            if *at >= stream.batch().rows {
                room = room.saturating_sub(weigh(stream.batch()));
                self.copy(&mut out);
                let more = match self.streams.get_mut(first) {
                    Some((stream, at)) => {
                        *at = 0;
                        stream.load(rt)?
                    }
                    None => false,
                };
                if !more {
                    self.heap.swap_remove(0);
                }
            }
            self.sift(0);
        }
        self.copy(&mut out);
        if rows == 0 {
            return Ok(None);
        }
        let columns = out.into_iter().map(|b| Arc::new(b.finish())).collect();
        Ok(Some(Batch { columns, rows, selection: None }))
    }
}

fn vector_type(c: &pg_types::Vector) -> pg_types::SqlType {
    c.ty
}

/// An input of [`MergeAppend`].
struct Part {
    input: Exec,
    keys: Vec<Key>,
    batch: Batch,
    encoded: KeyRows,
}

impl Stream for Part {
    fn load(&mut self, rt: &Rt<'_, '_>) -> Result<bool> {
        while let Some(b) = self.input.next(rt)? {
            let b = b.compact();
            if b.rows > 0 {
                self.encoded = KeyRows::default();
                self.encoded.add(&mut self.keys, &b, rt)?;
                self.batch = b;
                return Ok(true);
            }
        }
        Ok(false)
    }
    fn batch(&self) -> &Batch {
        &self.batch
    }
    fn key(&self, row: usize) -> &[u8] {
        self.encoded.get(row)
    }
}

/// UNION ALL of inputs that are in order, which its rows keep.
pub(crate) struct MergeAppend {
    merge: Merge<Part>,
    started: bool,
    /// Rows of the next batch: grows, so that LIMIT 1 reads little.
    target: usize,
}

/// Rows of the first batch.
const FIRST: usize = 32;

impl MergeAppend {
    pub(crate) fn new(inputs: Vec<Exec>, keys: &[SortKey], c: &mut Compiler<'_>) -> Result<Self> {
        let mut streams = Vec::with_capacity(inputs.len());
        for input in inputs {
            let batch = Batch { columns: Vec::new(), rows: 0, selection: None };
            let part = Part { input, keys: Key::list(keys, c)?, batch, encoded: KeyRows::default() };
            streams.push((part, 0));
        }
        let merge = Merge { streams, heap: Vec::new(), left: usize::MAX, chosen: Vec::new() };
        Ok(Self { merge, started: false, target: FIRST })
    }
}

impl Operator for MergeAppend {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if !self.started {
            self.merge.start(rt)?;
            self.started = true;
        }
        let most = self.target;
        self.target = (most * 2).min(BATCH_ROWS);
        self.merge.next(most, usize::MAX, rt)
    }
    fn reset(&mut self) {
        (self.started, self.target) = (false, FIRST);
        for (part, _) in &mut self.merge.streams {
            part.keys.iter_mut().for_each(|k| k.expr.reset());
            part.input.reset();
        }
    }
    fn inputs(&self) -> Vec<&Exec> {
        self.merge.streams.iter().map(|(part, _)| &part.input).collect()
    }
}
