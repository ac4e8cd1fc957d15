//! Guest memory, and what a guest attached of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use compute_protocol::{Span, carrier::Entry};

use crate::session::Pages;

/// A guest's memory by physical address. The guest may change it at any time, also while it is read.
pub trait Memory: Send + Sync {
    /// Copies bytes out; false if they are not all there.
    fn read(&self, address: u64, into: &mut [u8]) -> bool;

    /// Copies bytes in; false if there is no room for all.
    fn write(&self, address: u64, from: &[u8]) -> bool;

    /// Whether all of these bytes are there.
    fn has(&self, address: u64, length: u64) -> bool;

    /// Whether it was taken away: what is done with it is for nobody any more.
    fn is_gone(&self) -> bool {
        false
    }
}

/// Counts entries of backings for as long as these are in use.
#[derive(Debug)]
struct Counted {
    count: usize,
    total: Arc<AtomicUsize>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.total.fetch_sub(self.count, Ordering::Relaxed);
    }
}

/// The pages of a resource.
#[derive(Debug)]
pub struct Backing {
    /// Where each begins in the resource, its address and how long it is; in order, without gaps, cut at the resource's end.
    pieces: Vec<(u64, u64, u64)>,
    length: u64,
    _counted: Counted,
}

impl Backing {
    /// Of so many bytes; `None` if the entries have fewer, or one is no memory. `total` counts entries.
    pub fn new(
        entries: impl Iterator<Item = Entry>,
        length: u64,
        memory: &dyn Memory,
        total: &Arc<AtomicUsize>,
    ) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut at = 0;
        for entry in entries {
            let whole = u64::from(entry.length);
            if whole == 0 || !memory.has(entry.address, whole) {
                return None;
            }
            let used = whole.min(length - at);
            if used > 0 {
                pieces.push((at, entry.address, used));
                at += used;
            }
        }
        if at < length {
            return None;
        }
        total.fetch_add(pieces.len(), Ordering::Relaxed);
        let counted = Counted { count: pieces.len(), total: Arc::clone(total) };
        Some(Self { pieces, length, _counted: counted })
    }

    /// Calls with the addresses of a range and how many bytes each has, until `with` says no; false then or if the range is not all there.
    fn each(&self, offset: u64, length: u64, mut with: impl FnMut(u64, usize) -> bool) -> bool {
        let Some(end) = offset.checked_add(length).filter(|&end| end <= self.length) else { return false };
        let first = self.pieces.partition_point(|&(begin, ..)| begin <= offset).saturating_sub(1);
        for &(begin, address, whole) in self.pieces.get(first..).unwrap_or(&[]) {
            if begin >= end {
                break;
            }
            let from = offset.max(begin);
            let to = end.min(begin + whole);
            // Zero bytes at a piece's end belong to nobody.
            if from < to && !with(address + (from - begin), (to - from) as usize) {
                return false;
            }
        }
        true
    }
}

/// What a command's spans name, by resource.
pub type Attached = BTreeMap<u32, Arc<Backing>>;

/// What a job sees of memory.
pub struct JobPages<'a> {
    /// All of it.
    pub memory: &'a dyn Memory,
    /// What of it the job may use.
    pub attached: &'a Attached,
}

impl JobPages<'_> {
    fn backing(&self, span: Span) -> Option<&Backing> {
        self.attached.get(&span.resource).map(|b| &**b)
    }
}

impl Pages for JobPages<'_> {
    fn read(&self, span: Span, into: &mut [u8]) -> bool {
        let Some(backing) = self.backing(span).filter(|_| into.len() as u64 == span.length) else {
            return false;
        };
        let mut rest = into;
        backing.each(span.offset, span.length, |address, length| {
            let Some((now, after)) = std::mem::take(&mut rest).split_at_mut_checked(length) else {
                return false;
            };
            rest = after;
            self.memory.read(address, now)
        })
    }

    fn write(&mut self, span: Span, from: &[u8]) -> bool {
        let Some(backing) = self.backing(span).filter(|_| from.len() as u64 == span.length) else {
            return false;
        };
        let mut rest = from;
        backing.each(span.offset, span.length, |address, length| {
            let Some((now, after)) = rest.split_at_checked(length) else { return false };
            rest = after;
            self.memory.write(address, now)
        })
    }

    fn has(&self, span: Span) -> bool {
        !self.memory.is_gone()
            && self.backing(span).is_some_and(|b| b.each(span.offset, span.length, |_, _| true))
    }

    fn is_gone(&self) -> bool {
        self.memory.is_gone()
    }
}
