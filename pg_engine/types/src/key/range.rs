//! Stretches of keys.

use alloc::vec::Vec;
use core::ops::Bound;

use super::{KeyLayout, PRESENT};
use crate::{error::Result, value::Value};

/// Keys from `start` up to, not including, `end`; no `end`: to the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRange {
    /// First key in.
    pub start: Vec<u8>,
    /// First key out.
    pub end: Option<Vec<u8>>,
}

/// The least byte string above everything that starts with `prefix`; `None` when there is none (all bytes are FF).
pub fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|b| *b != 0xff)?;
    let mut next = prefix.get(..=last)?.to_vec();
    *next.last_mut()? += 1;
    Some(next)
}

impl KeyRange {
    /// Every key that starts with `prefix`.
    pub fn prefix(prefix: Vec<u8>) -> Self {
        Self { end: successor(&prefix), start: prefix }
    }
    /// True when no key can be in.
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|e| *e <= self.start)
    }
}

impl KeyLayout {
    /// The keys whose first columns equal `equal` (NULL matches NULL).
    pub fn equal_range(&self, equal: &[Value]) -> Result<KeyRange> {
        let mut prefix = Vec::with_capacity(16);
        self.encode(equal, &mut prefix)?;
        Ok(KeyRange::prefix(prefix))
    }
    /// The keys whose first columns equal `equal` and whose next column, not NULL, lies within the bounds (in the
    /// values' order, whether the column is ascending or descending). A NULL bound is a bug of the caller: such a
    /// comparison is never true.
    pub fn range(&self, equal: &[Value], lower: Bound<&Value>, upper: Bound<&Value>) -> Result<KeyRange> {
        let mut prefix = Vec::with_capacity(24);
        self.encode(equal, &mut prefix)?;
        let Some(column) = self.columns.get(equal.len()) else { return Ok(KeyRange::prefix(prefix)) };
        let with = |value: &Value| -> Result<Vec<u8>> {
            let mut key = prefix.clone();
            column.put(value, &mut key)?;
            Ok(key)
        };
        let (first, last) = if column.descending { (upper, lower) } else { (lower, upper) };
        let mut all = prefix.clone();
        all.push(PRESENT);
        let all = KeyRange::prefix(all);
        let start = match first {
            Bound::Unbounded => all.start,
            Bound::Included(v) => with(v)?,
            // Nothing starts with a key but that key, so its successor exists and skips just its duplicates.
            Bound::Excluded(v) => {
                let key = with(v)?;
                successor(&key).unwrap_or(key)
            }
        };
        let end = match last {
            Bound::Unbounded => all.end,
            Bound::Included(v) => successor(&with(v)?),
            Bound::Excluded(v) => Some(with(v)?),
        };
        Ok(KeyRange { start, end })
    }
}
