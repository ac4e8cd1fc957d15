//! Reading an index by jumps: a range behind leading columns without a bound, from one value of these to the next; one row for each
//! value of leading columns.

use alloc::{collections::VecDeque, vec::Vec};

use pg_catalog::{IndexKey, keys, storage_error};
use pg_storage::{KeyBound, ScanDirection, Storage};
use pg_types::{Result, SqlError};

use super::{IndexScan, Stretch};
use crate::context::Rt;

/// What is known of the rows that are equal in the leading columns: each such group is one value of these.
pub(super) struct Once {
    columns: usize,
    /// The group of each tid at hand.
    groups: Vec<u64>,
    /// The group of the entry read last, and its value.
    group: u64,
    value: Vec<u8>,
    /// The group that a row was given of last.
    given: Option<u64>,
    stretch: Option<Stretch>,
    error: Option<SqlError>,
}

impl Once {
    pub(super) fn new(columns: usize) -> Self {
        let (groups, value) = (Vec::new(), Vec::new());
        Self { columns, groups, group: 0, value, given: None, stretch: None, error: None }
    }

    pub(super) fn reset(&mut self) {
        *self = Self::new(self.columns);
    }

    /// A stretch is read from its beginning.
    pub(super) fn begin(&mut self, stretch: Stretch) {
        self.stretch = Some(stretch);
    }

    /// The next entry of the batch of tids at hand.
    pub(super) fn add(&mut self, columns: &[IndexKey], key: &[u8]) {
        if self.group == 0 || !key.starts_with(&self.value) {
            match keys::leading_part(columns, self.columns, key) {
                Ok(value) => {
                    self.value.clear();
                    self.value.extend_from_slice(value);
                }
                Err(e) => self.error = Some(e),
            }
            self.group += 1;
        }
        self.groups.push(self.group);
    }

    /// Fails if an entry could not be read.
    pub(super) fn check(&mut self) -> Result<()> {
        self.error.take().map_or(Ok(()), Err)
    }

    /// Was a row given of this tid's group?
    pub(super) fn has(&self, at: usize) -> bool {
        self.given.is_some() && self.groups.get(at).copied() == self.given
    }

    /// The tid's row was given.
    pub(super) fn given(&mut self, at: usize) {
        self.given = self.groups.get(at).copied();
    }
}

impl IndexScan {
    /// The stretches to begin with: none where the range is behind leading columns, whose values are yet to be found.
    pub(super) fn first_stretches(&mut self, rt: &Rt<'_, '_>) -> Result<VecDeque<Stretch>> {
        if self.skip == 0 {
            return self.plan_stretches(&[], rt);
        }
        if Storage::watches(rt.snapshot) {
            rt.storage().index_reading(self.index.storage, rt.snapshot, &[], None);
        }
        Ok(VecDeque::new())
    }

    pub(super) fn scan_of(
        &self,
        from: KeyBound<'_>,
        to: KeyBound<'_>,
        rt: &Rt<'_, '_>,
    ) -> Result<pg_storage::IndexScan> {
        let direction = if self.backward { ScanDirection::Backward } else { ScanDirection::Forward };
        rt.storage().index_scan(self.index.storage, from, to, direction).map_err(storage_error)
    }

    /// Goes on to the next value of the leading columns, if there is one.
    pub(super) fn next_leading(&mut self, rt: &Rt<'_, '_>) -> Result<bool> {
        if self.skip == 0 || self.by_scan {
            return Ok(false);
        }
        rt.cx.checkpoint()?;
        let beyond = self.leading.as_deref().map_or(KeyBound::Unbounded, KeyBound::ExcludedPrefix);
        let (from, to) = match self.backward {
            false => (beyond, KeyBound::Unbounded),
            true => (KeyBound::Unbounded, beyond),
        };
        let mut scan = self.scan_of(from, to, rt)?;
        let mut first = None;
        let mut note = |key: &[u8]| first = first.take().or_else(|| Some(key.to_vec()));
        scan.next_entries(|key, _| note(key)).map_err(storage_error)?;
        let Some(mut key) = first else { return Ok(false) };
        key.truncate(keys::leading_part(&self.index.keys, self.skip, &key)?.len());
        self.stretches = Some(self.plan_stretches(&key, rt)?);
        self.leading = Some(key);
        Ok(true)
    }

    /// Behind a batch of entries: if a row was given of the last group, goes on behind all of that group.
    pub(super) fn jump(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        let Some(once) = &mut self.once else { return Ok(()) };
        once.groups.clear();
        if self.scan.is_none() || once.given != Some(once.group) {
            return Ok(());
        }
        let Some(once) = &self.once else { return Ok(()) };
        let Some(stretch) = &once.stretch else { return Ok(()) };
        let (from, to) = stretch.bounds();
        let beyond = KeyBound::ExcludedPrefix(&once.value);
        let (from, to) = if self.backward { (from, beyond) } else { (beyond, to) };
        let scan = self.scan_of(from, to, rt)?;
        self.scan = Some(scan);
        Ok(())
    }
}
