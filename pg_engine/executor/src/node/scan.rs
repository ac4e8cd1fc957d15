//! Reading tables: sequentially, through an index, and the tables that the engine computes.

mod jump;

use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};
use core::sync::atomic::Ordering;

use pg_catalog::{Index, IndexKey, Relation, RelationKind, keys, storage_error};
use pg_plan::{expr::Expr, physical::IndexRange};
use pg_storage::{HeapScan, KeyBound, RelId, RelationActivity, Storage, Tid};
use pg_types::{
    Batch, Result, SqlError, SqlType, Value,
    vector::{BATCH_ROWS, VectorBuilder},
};

use self::jump::Once;
use super::{
    Compiler, Operator,
    current_of::CurrentRow,
    row_reader::{KeyGate, RowReader, TABLEOID},
};
use crate::{context::Rt, expr::Compiled};

/// Rows at hand from which on their pages are asked for together.
const WORTH_PREFETCH: usize = 4;

/// The scan for a relation's kind.
pub(crate) fn seq_scan(
    relation: &Arc<Relation>,
    columns: &[i16],
    filter: Option<Compiled>,
    types: &[SqlType],
    unread: &[usize],
) -> Result<Box<dyn Operator>> {
    Ok(match relation.kind {
        RelationKind::Table | RelationKind::Toast | RelationKind::MaterializedView => {
            Box::new(SeqScan::new(relation, columns, filter, unread)?)
        }
        RelationKind::Virtual | RelationKind::Sequence => Box::new(ComputedScan {
            relation: relation.clone(),
            columns: columns.to_vec(),
            types: types.to_vec(),
            filter,
            done: false,
        }),
        RelationKind::Index | RelationKind::View | RelationKind::Composite => {
            return Err(SqlError::internal("not a relation that can be scanned"));
        }
    })
}

/// All visible rows of a heap.
pub(super) struct SeqScan {
    storage: RelId,
    reader: RowReader,
    filter: Option<Compiled>,
    /// Only the row that a cursor stands on, and where that is.
    current: Option<(CurrentRow, Option<Tid>)>,
    scan: Option<HeapScan>,
    activity: Option<RelationActivity>,
    done: bool,
    filtered: u64,
    unwanted: u64,
}

impl SeqScan {
    pub(super) fn new(
        relation: &Relation,
        columns: &[i16],
        filter: Option<Compiled>,
        unread: &[usize],
    ) -> Result<Self> {
        let mut reader = RowReader::new(relation, columns)?;
        reader.set_lazy(unread);
        let storage = relation.storage;
        Ok(Self {
            storage,
            reader,
            filter,
            current: None,
            scan: None,
            activity: None,
            done: false,
            filtered: 0,
            unwanted: 0,
        })
    }
    /// Only the row that a cursor stands on.
    pub(super) fn of_row(mut self, row: CurrentRow) -> Self {
        self.current = Some((row, None));
        self
    }
    /// See [`RowReader::set_keys`].
    pub(super) fn set_keys(&mut self, keys: Vec<KeyGate>) {
        self.reader.set_keys(keys);
    }
}

impl Operator for SeqScan {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.done {
            return Ok(None);
        }
        if self.scan.is_none() {
            let mut pages = None;
            if let Some((row, at)) = &mut self.current {
                *at = row.version(rt)?;
                let Some(tid) = at else {
                    self.done = true;
                    return Ok(None);
                };
                pages = Some(tid.block..tid.block + 1);
            }
            let scan = rt.storage().heap_scan(self.storage, rt.snapshot, pages);
            self.scan = Some(scan.map_err(storage_error)?);
            let activity = rt.storage().activity(self.storage).map_err(storage_error)?;
            activity.seq_scans.fetch_add(1, Ordering::Relaxed);
            self.activity = Some(activity);
        }
        let Some(scan) = &mut self.scan else { return Ok(None) };
        loop {
            rt.cx.checkpoint()?;
            self.done = self.reader.fill(scan, rt.storage(), &mut || rt.cx.checkpoint())?;
            let unwanted = core::mem::take(&mut self.reader.unwanted);
            self.unwanted += unwanted;
            if !self.reader.keys.is_empty() {
                self.reader.judge_keys();
            }
            if let Some(a) = &self.activity {
                a.seq_rows.fetch_add(self.reader.rows as u64 + unwanted, Ordering::Relaxed);
            }
            if self.reader.rows == 0 && self.done {
                self.scan = None;
                return Ok(None);
            }
            let mut b = self.reader.finish(rt.storage())?;
            if let Some((row, Some(tid))) = &self.current {
                let kept = b.selected().filter(|n| row.is(&b, *n, *tid)).map(|n| n as u32).collect();
                b = b.with_selection(kept);
            }
            if let Some(f) = &mut self.filter {
                let kept = f.filter(&b, None, rt)?;
                self.filtered += (b.rows - kept.len()) as u64;
                b = b.with_selection(kept);
            }
            if !b.is_empty() {
                return Ok(Some(b));
            }
            if self.done {
                self.scan = None;
                return Ok(None);
            }
        }
    }
    fn reset(&mut self) {
        self.scan = None;
        self.done = false;
        self.reader.reset();
        self.filter.iter_mut().for_each(Compiled::reset);
    }
    fn unwanted(&self) -> u64 {
        self.unwanted
    }
    fn filtered(&self) -> u64 {
        self.filtered
    }
}

/// A relation whose rows the engine computes.
struct ComputedScan {
    relation: Arc<Relation>,
    columns: Vec<i16>,
    types: Vec<SqlType>,
    filter: Option<Compiled>,
    done: bool,
}

impl Operator for ComputedScan {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.done {
            return Ok(None);
        }
        self.done = true;
        let rows = crate::computed::rows(&self.relation, rt.cx)?;
        let mut builders: Vec<_> =
            self.types.iter().map(|t| VectorBuilder::with_capacity(*t, rows.len())).collect();
        for row in &rows {
            for (b, &attnum) in builders.iter_mut().zip(&self.columns) {
                let v = usize::try_from(attnum - 1).ok().and_then(|i| row.get(i));
                match v {
                    Some(v) => b.push(v)?,
                    None if attnum == TABLEOID => b.push(&Value::Oid(self.relation.oid))?,
                    None => b.push_null(),
                }
            }
        }
        let mut b = Batch::new(builders.into_iter().map(VectorBuilder::finish).collect(), rows.len());
        if let Some(f) = &mut self.filter {
            let kept = f.filter(&b, None, rt)?;
            b = b.with_selection(kept);
        }
        Ok(Some(b))
    }
    fn reset(&mut self) {
        self.done = false;
        self.filter.iter_mut().for_each(Compiled::reset);
    }
}

/// Rows found through an index.
pub(crate) struct IndexScan {
    heap: RelId,
    index: Arc<Index>,
    range: Range,
    backward: bool,
    /// Equality on all columns of a unique index: at most one row.
    point: bool,
    reader: RowReader,
    filter: Option<Compiled>,
    /// Stretches of the index still to be scanned.
    stretches: Option<VecDeque<Stretch>>,
    scan: Option<pg_storage::IndexScan>,
    /// The rows were found without the index.
    by_scan: bool,
    tids: Vec<Tid>,
    at: usize,
    /// Rows wanted in the next batch: grows, so that LIMIT 1 reads little.
    target: usize,
    key: Vec<u8>,
    filtered: u64,
    only: Option<Box<KeyReader>>,
    /// Of a hash index.
    hashed: Option<Box<Hashed>>,
    heap_fetches: u64,
    /// How many leading columns the range is behind, and their value that it is behind now, encoded.
    skip: usize,
    leading: Option<Vec<u8>>,
    /// One row is enough for each value of the leading columns.
    once: Option<Box<Once>>,
    /// What is done with the index and the table.
    activity: Option<(RelationActivity, RelationActivity)>,
}

/// Columns of an index key, and which of the wanted ones each is.
pub(super) type Columns = Vec<(IndexKey, Option<usize>)>;

/// Rows from index keys, where everyone sees the page that the row is on.
pub(super) struct KeyReader {
    /// The key's columns up to the last one that is wanted, with the position of its builder.
    pub(super) columns: Columns,
    /// The same of the columns that are carried behind it.
    pub(super) carried: Columns,
    pages: Option<pg_storage::VisiblePages>,
    /// Keys of the tids at hand: their bytes end to end, and where each ends. None: they are not known.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl KeyReader {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
    fn add(&mut self, key: &[u8]) {
        // Nothing is read from keys to count rows.
        if !self.columns.is_empty() || !self.carried.is_empty() {
            self.bytes.extend_from_slice(key);
        }
        self.ends.push(self.bytes.len());
    }
    fn key(&self, n: usize) -> Option<&[u8]> {
        let end = *self.ends.get(n)?;
        let start = n.checked_sub(1).and_then(|n| self.ends.get(n)).map_or(0, |e| *e);
        self.bytes.get(start..end)
    }
}

/// What tells rows that were looked up by hash from others that have the same.
struct Hashed {
    /// A row's key.
    key: Compiled,
    /// The keys that are looked up, encoded, in order.
    wanted: Vec<Vec<u8>>,
}

impl Hashed {
    /// The rows among these with a key that was looked up.
    fn keep(&mut self, index: &Index, b: &Batch, rt: &Rt<'_, '_>) -> Result<Vec<u32>> {
        let v = self.key.vector(b, None, rt)?;
        let Some(column) = index.keys.first() else { return Ok(Vec::new()) };
        let (mut kept, mut key) = (Vec::with_capacity(b.rows), Vec::new());
        for row in 0..b.rows {
            key.clear();
            keys::encode_index_vector(column, &v, row, &mut key)?;
            if self.wanted.binary_search(&key).is_ok() {
                kept.push(row as u32);
            }
        }
        Ok(kept)
    }
}

struct Range {
    equal: Vec<Compiled>,
    lower: Option<(Compiled, bool)>,
    upper: Option<(Compiled, bool)>,
    is_null: bool,
    not_null: bool,
    any_of: Option<Compiled>,
}

/// A stretch of an index by key bytes; the flag of `from`: start after all keys with that prefix; of `to`: stop before
/// all keys with that prefix, otherwise behind them.
struct Stretch {
    from: Vec<u8>,
    from_after: bool,
    to: Option<(Vec<u8>, bool)>,
}

impl Stretch {
    fn bounds(&self) -> (KeyBound<'_>, KeyBound<'_>) {
        let from = match (self.from.is_empty(), self.from_after) {
            (true, _) => KeyBound::Unbounded,
            (false, false) => KeyBound::Included(&self.from),
            (false, true) => KeyBound::ExcludedPrefix(&self.from),
        };
        let to = match &self.to {
            None => KeyBound::Unbounded,
            Some((k, false)) => KeyBound::Prefix(k),
            Some((k, true)) => KeyBound::ExcludedPrefix(k),
        };
        (from, to)
    }

    fn covers(&self, key: &[u8]) -> bool {
        let after = if self.from_after {
            key > self.from.as_slice() && !key.starts_with(&self.from)
        } else {
            key >= self.from.as_slice()
        };
        let before = match &self.to {
            None => true,
            Some((to, false)) => key <= to.as_slice() || key.starts_with(to),
            Some((to, true)) => key < to.as_slice(),
        };
        after && before
    }
}

impl IndexScan {
    pub(crate) fn new(
        relation: &Arc<Relation>,
        index: &Arc<Index>,
        range: &IndexRange,
        backward: bool,
        columns: &[i16],
        filter: Option<&Expr>,
        c: &mut Compiler<'_>,
    ) -> Result<Self> {
        let bound = |b: &Option<(Expr, bool)>, c: &mut Compiler<'_>| -> Result<Option<(Compiled, bool)>> {
            b.as_ref().map(|(e, i)| Ok((Compiled::new(e, c)?, *i))).transpose()
        };
        let equal = c.exprs(&range.equal)?;
        let point =
            index.unique && !index.deferrable && equal.len() == index.key_count && range.any_of.is_none();
        Ok(Self {
            heap: relation.storage,
            index: index.clone(),
            range: Range {
                equal,
                lower: bound(&range.lower, c)?,
                upper: bound(&range.upper, c)?,
                is_null: range.is_null,
                not_null: range.not_null,
                any_of: c.option(range.any_of.as_ref())?,
            },
            backward,
            point: point && index.keys.len() == index.key_count,
            reader: RowReader::new(relation, columns)?,
            filter: c.option(filter)?,
            stretches: None,
            scan: None,
            by_scan: false,
            tids: Vec::new(),
            at: 0,
            target: 32,
            key: Vec::new(),
            filtered: 0,
            only: None,
            hashed: None,
            heap_fetches: 0,
            skip: range.skip,
            leading: None,
            once: (range.distinct > 0).then(|| Box::new(Once::new(range.distinct))),
            activity: None,
        })
    }

    /// The index has hashes only: rows must have one of the keys that are looked up.
    pub(crate) fn by_hash(mut self, key: Compiled) -> Self {
        self.hashed = Some(Box::new(Hashed { key, wanted: Vec::new() }));
        self
    }

    /// See [`RowReader::set_lazy`].
    pub(super) fn set_lazy(&mut self, attributes: &[usize]) {
        self.reader.set_lazy(attributes);
    }

    /// The columns are to be taken from the keys where that is enough.
    pub(crate) fn by_keys(mut self) -> Result<Self> {
        let mut missing: Vec<usize> = (0..self.reader.stored.len()).collect();
        let reader = &self.reader;
        let mut places = |keys: &[IndexKey]| {
            let mut columns = Vec::new();
            let mut wanted = 0;
            for key in keys {
                let place = missing.iter().position(|n| {
                    reader.wanted.get(*n).is_some_and(|a| usize::try_from(key.attnum) == Ok(a + 1))
                });
                columns.push((key.clone(), place.map(|p| missing.swap_remove(p))));
                wanted = if place.is_some() { columns.len() } else { wanted };
            }
            // What lies behind the last one that is wanted need not be read.
            columns.truncate(wanted);
            columns
        };
        let (compared, behind) = self.index.keys.split_at(self.index.key_count.min(self.index.keys.len()));
        // What can be taken from what is carried is.
        let carried = places(behind);
        let columns = places(compared);
        if !missing.is_empty() || self.reader.ctid.is_some() {
            return Err(SqlError::internal("an index-only scan of columns that its index does not have"));
        }
        self.only =
            Some(Box::new(KeyReader { columns, carried, pages: None, bytes: Vec::new(), ends: Vec::new() }));
        Ok(self)
    }

    /// The equality columns' key behind that of the columns before them; false: a NULL or a value out of the column's range, nothing
    /// matches.
    fn prefix(&mut self, leading: &[u8], rt: &Rt<'_, '_>) -> Result<bool> {
        self.key.clear();
        self.key.extend_from_slice(leading);
        for (e, k) in self.range.equal.iter_mut().zip(self.index.keys.iter().skip(self.skip)) {
            let v = e.constant(rt)?;
            match keys::convert(v, k.ty.oid) {
                keys::Converted::Value(v) if !v.is_null() => keys::encode_index_value(k, &v, &mut self.key)?,
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The one row of a point lookup, if it is there.
    fn point(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.stretches.is_some() {
            return Ok(None);
        }
        self.stretches = Some(VecDeque::new());
        if !self.prefix(&[], rt)? {
            return Ok(None);
        }
        self.note_scan(rt)?;
        self.tids.clear();
        if Storage::watches(rt.snapshot) {
            rt.storage().index_reading(self.index.storage, rt.snapshot, &self.key, Some(&self.key));
        }
        rt.storage().index_lookup(self.index.storage, &self.key, &mut self.tids).map_err(storage_error)?;
        self.at = 0;
        self.start_only(rt)?;
        if let Some(only) = &mut self.only {
            only.clear();
            self.tids.iter().for_each(|_| only.add(&self.key));
        }
        self.reader.start(1);
        self.fetch(rt, 1)?;
        self.yield_rows(rt)
    }

    /// Fetches rows of the tids at hand until the batch has `limit`.
    fn fetch(&mut self, rt: &Rt<'_, '_>, limit: usize) -> Result<()> {
        let soon = self.tids.get(self.at..).unwrap_or(&[]);
        let soon = soon.get(..limit.saturating_sub(self.reader.rows)).unwrap_or(soon);
        if soon.len() >= WORTH_PREFETCH {
            rt.storage().heap_prefetch(self.heap, soon).map_err(storage_error)?;
        }
        let mut room = self.reader.settle(rt)?;
        while room && self.at < self.tids.len() && self.reader.rows < limit {
            let tid = self.tids[self.at];
            if let Some(once) = &self.once
                && once.has(self.at)
            {
                self.at += 1;
                continue;
            }
            if let Some(only) = &self.only {
                let seen = only.pages.as_ref().is_some_and(|p| p.contains(tid.block));
                if let Some(key) = only.key(self.at).filter(|_| seen) {
                    self.reader.push_key(only, key)?;
                    self.once.iter_mut().for_each(|o| o.given(self.at));
                    self.at += 1;
                    continue;
                }
                self.heap_fetches += 1;
            }
            self.at += 1;
            let reader = &mut self.reader;
            let row = rt
                .storage()
                .heap_fetch(self.heap, tid, rt.snapshot, |tid, payload| reader.push(tid, payload))
                .map_err(storage_error)?;
            if let Some(r) = row {
                r?;
                self.once.iter_mut().for_each(|o| o.given(self.at - 1));
            }
            room = self.reader.settle(rt)?;
        }
        Ok(())
    }

    /// Which rows need no fetching: none in a serializable transaction, whose reads of rows are noted.
    fn start_only(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        if let Some(only) = &mut self.only
            && only.pages.is_none()
            && !Storage::watches(rt.snapshot)
        {
            only.pages = Some(rt.storage().visible_pages(self.heap).map_err(storage_error)?);
        }
        Ok(())
    }

    /// Counts a scan of the index.
    fn note_scan(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        if self.activity.is_none() {
            let of = |rel| rt.storage().activity(rel).map_err(storage_error);
            self.activity = Some((of(self.index.storage)?, of(self.heap)?));
        }
        if let Some((index, _)) = &self.activity {
            index.index_scans.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn yield_rows(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.reader.rows == 0 {
            return Ok(None);
        }
        if let Some((_, heap)) = &self.activity {
            heap.index_rows.fetch_add(self.reader.rows as u64, Ordering::Relaxed);
        }
        let mut b = self.reader.finish(rt.storage())?;
        if let Some(hashed) = &mut self.hashed {
            let kept = hashed.keep(&self.index, &b, rt)?;
            if kept.len() < b.rows {
                b = b.with_selection(kept).compact();
            }
            if b.rows == 0 {
                return Ok(None);
            }
        }
        let Some(f) = &mut self.filter else { return Ok(Some(b)) };
        let kept = f.filter(&b, None, rt)?;
        self.filtered += (b.rows - kept.len()) as u64;
        Ok((!kept.is_empty()).then(|| b.with_selection(kept)))
    }

    /// Works out which stretches of the index to read, in reading order; those with this value of the columns before the range.
    fn plan_stretches(&mut self, leading: &[u8], rt: &Rt<'_, '_>) -> Result<VecDeque<Stretch>> {
        let mut out = VecDeque::new();
        if !self.prefix(leading, rt)? {
            return Ok(out);
        }
        let prefix = self.key.clone();
        let whole = |key: Vec<u8>| Stretch { from: key.clone(), from_after: false, to: Some((key, false)) };
        let Some(column) = self.index.keys.get(self.skip + self.range.equal.len()) else {
            out.push_back(whole(prefix));
            return Ok(out);
        };
        let mut null_key = prefix.clone();
        keys::encode_index_value(column, &Value::Null, &mut null_key)?;
        if self.range.is_null {
            out.push_back(whole(null_key));
            return Ok(out);
        }
        if let Some(list) = &mut self.range.any_of {
            let Value::Array(list) = list.constant(rt)? else { return Ok(out) };
            let mut found = Vec::with_capacity(list.values.len());
            for v in &list.values {
                if let keys::Converted::Value(v) = keys::convert(v.clone(), column.ty.oid)
                    && !v.is_null()
                {
                    let mut key = prefix.clone();
                    keys::encode_index_value(column, &v, &mut key)?;
                    found.push(key);
                }
            }
            found.sort_unstable();
            found.dedup();
            out.extend(found.into_iter().map(whole));
            if self.backward {
                out = out.into_iter().rev().collect();
            }
            return Ok(out);
        }
        if self.range.lower.is_none() && self.range.upper.is_none() && !self.range.not_null {
            let to = (!prefix.is_empty()).then(|| (prefix.clone(), false));
            out.push_back(Stretch { from: prefix, from_after: false, to });
            return Ok(out);
        }
        let bound = |b: &mut Option<(Compiled, bool)>, lower: bool| -> Result<Bound> {
            let Some((e, inclusive)) = b else { return Ok(Bound::None) };
            let v = e.constant(rt)?;
            if v.is_null() {
                return Ok(Bound::Nothing);
            }
            match keys::convert(v, column.ty.oid) {
                keys::Converted::Value(v) => {
                    let mut key = prefix.clone();
                    keys::encode_index_value(column, &v, &mut key)?;
                    Ok(Bound::Key(key, *inclusive))
                }
                // Beyond what the column can hold: either no limit or nothing.
                keys::Converted::TooSmall => Ok(if lower { Bound::None } else { Bound::Nothing }),
                keys::Converted::TooLarge => Ok(if lower { Bound::Nothing } else { Bound::None }),
            }
        };
        let lower = bound(&mut self.range.lower, true)?;
        let upper = bound(&mut self.range.upper, false)?;
        let (first, last) = if column.descending { (upper, lower) } else { (lower, upper) };
        // The side where NULLs lie is limited by them: no comparison is true of a NULL.
        let (from, from_after) = match first {
            Bound::Nothing => return Ok(out),
            Bound::Key(k, inclusive) => (k, !inclusive),
            Bound::None if column.nulls_first => (null_key.clone(), true),
            Bound::None => (prefix.clone(), false),
        };
        let to = match last {
            Bound::Nothing => return Ok(out),
            Bound::Key(k, inclusive) => Some((k, !inclusive)),
            Bound::None if !column.nulls_first => Some((null_key, true)),
            Bound::None if prefix.is_empty() => None,
            Bound::None => Some((prefix, false)),
        };
        out.push_back(Stretch { from, from_after, to });
        Ok(out)
    }

    /// The index is younger than the snapshot and leaves out versions that the snapshot sees: finds the rows by reading the table,
    /// and puts them in the index's order.
    #[cold]
    fn find_by_scan(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        if self.index.predicate.is_some() || self.index.keys.iter().any(|k| k.attnum <= 0) {
            return Err(super::modify::serialization_failure("update"));
        }
        let stretches = self.first_stretches(rt)?;
        let mut scan = rt.storage().heap_scan(self.heap, rt.snapshot, None).map_err(storage_error)?;
        let mut found: Vec<(Vec<u8>, Tid)> = Vec::new();
        let skips = self.skip > 0;
        let format = &self.reader.format;
        let keys = self.index.keys.iter().take(self.index.key_count);
        let mut add = |tid, taken| -> Result<()> {
            let row = format.complete(taken, rt.cx)?;
            let mut key = Vec::new();
            for k in keys.clone() {
                let v = row.get(k.attnum as usize - 1).unwrap_or(&Value::Null);
                keys::encode_index_value(k, v, &mut key)?;
            }
            if skips || stretches.iter().any(|s| s.covers(&key)) {
                found.push((key, tid));
            }
            Ok(())
        };
        let mut page = Vec::new();
        while scan.next_page(|tid, payload| page.push((tid, format.take(payload)))).map_err(storage_error)? {
            for (tid, taken) in page.drain(..) {
                add(tid, taken?)?;
            }
            rt.cx.checkpoint()?;
        }
        if skips {
            let mut covered = Vec::with_capacity(found.len());
            for entry in found {
                if self.covers(&entry.0, rt)? {
                    covered.push(entry);
                }
            }
            found = covered;
        }
        self.once = None;
        found.sort_unstable();
        if self.backward {
            found.reverse();
        }
        self.tids = found.into_iter().map(|f| f.1).collect();
        if let Some(only) = &mut self.only {
            only.clear();
        }
        if let Some(hashed) = &mut self.hashed {
            hashed.wanted = stretches.into_iter().map(|s| s.from).collect();
            hashed.wanted.sort_unstable();
        }
        (self.stretches, self.by_scan) = (Some(VecDeque::new()), true);
        Ok(())
    }

    /// The rows that the range names, visible or not; false: the index leaves versions out that the snapshot sees.
    pub(super) fn all_tids(&mut self, out: &mut Vec<Tid>, rt: &Rt<'_, '_>) -> Result<bool> {
        if self.leaves_out(rt)? {
            return Ok(false);
        }
        self.stretches = Some(self.first_stretches(rt)?);
        self.note_scan(rt)?;
        while self.more(rt)? {
            rt.cx.checkpoint()?;
            rt.charge(self.tids.len() * size_of::<Tid>())?;
            out.extend_from_slice(&self.tids);
        }
        Ok(true)
    }

    /// Rows that were found otherwise are fetched.
    pub(super) fn give(&mut self, tids: Vec<Tid>) {
        self.tids = tids;
        self.at = 0;
        (self.stretches, self.by_scan) = (Some(VecDeque::new()), true);
    }

    /// Is it younger than the snapshot?
    fn leaves_out(&self, rt: &Rt<'_, '_>) -> Result<bool> {
        let usable = rt.storage().index_usable(self.index.storage, rt.snapshot).map_err(storage_error)?;
        Ok(!usable && rt.cx.txn.borrow().isolation().uses_one_snapshot())
    }

    /// Would a row with this key be found?
    pub(super) fn covers(&mut self, key: &[u8], rt: &Rt<'_, '_>) -> Result<bool> {
        let leading = keys::leading_part(&self.index.keys, self.skip, key)?;
        Ok(self.plan_stretches(leading, rt)?.iter().any(|s| s.covers(key)))
    }

    /// The tids of all keys at once, in the order of the table.
    fn more_by_hash(&mut self, rt: &Rt<'_, '_>) -> Result<bool> {
        let Some(stretches) = self.stretches.as_mut().filter(|s| !s.is_empty()) else { return Ok(false) };
        let wanted: Vec<Vec<u8>> = stretches.drain(..).map(|s| s.from).collect();
        for key in &wanted {
            rt.cx.checkpoint()?;
            if Storage::watches(rt.snapshot) {
                rt.storage().index_reading(self.index.storage, rt.snapshot, key, Some(key));
            }
            rt.storage().index_lookup(self.index.storage, key, &mut self.tids).map_err(storage_error)?;
        }
        // Two keys may have one hash.
        if wanted.len() > 1 {
            self.tids.sort_unstable();
            self.tids.dedup();
        }
        if let Some(hashed) = &mut self.hashed {
            hashed.wanted = wanted;
            hashed.wanted.sort_unstable();
        }
        Ok(!self.tids.is_empty())
    }

    /// More tids; false at the end of all stretches.
    fn more(&mut self, rt: &Rt<'_, '_>) -> Result<bool> {
        self.tids.clear();
        self.at = 0;
        self.start_only(rt)?;
        if let Some(only) = &mut self.only {
            only.clear();
        }
        if self.hashed.is_some() {
            return self.more_by_hash(rt);
        }
        self.jump(rt)?;
        loop {
            if let Some(scan) = &mut self.scan {
                let more = match (&mut self.only, &mut self.once) {
                    (None, None) => scan.next_batch(&mut self.tids),
                    (only, once) => {
                        let (tids, columns) = (&mut self.tids, &self.index.keys);
                        scan.next_entries(|key, tid| {
                            tids.push(tid);
                            only.iter_mut().for_each(|o| o.add(key));
                            once.iter_mut().for_each(|o| o.add(columns, key));
                        })
                    }
                };
                if !more.map_err(storage_error)? {
                    self.scan = None;
                }
                if !self.tids.is_empty() {
                    self.once.iter_mut().try_for_each(|o| o.check())?;
                    return Ok(true);
                }
                continue;
            }
            let Some(s) = self.stretches.as_mut().and_then(VecDeque::pop_front) else {
                if self.next_leading(rt)? {
                    continue;
                }
                return Ok(false);
            };
            if Storage::watches(rt.snapshot) {
                let high = s.to.as_ref().map(|(k, _)| k.as_slice());
                rt.storage().index_reading(self.index.storage, rt.snapshot, &s.from, high);
            }
            let (from, to) = s.bounds();
            self.scan = Some(self.scan_of(from, to, rt)?);
            if let Some(once) = &mut self.once {
                once.begin(s);
            }
        }
    }
}

enum Bound {
    None,
    Nothing,
    Key(Vec<u8>, bool),
}

impl Operator for IndexScan {
    fn next(&mut self, rt: &Rt<'_, '_>) -> Result<Option<Batch>> {
        if self.stretches.is_none() && self.leaves_out(rt)? {
            self.find_by_scan(rt)?;
        }
        if self.point && !self.by_scan {
            return self.point(rt);
        }
        if self.stretches.is_none() {
            self.stretches = Some(self.first_stretches(rt)?);
            self.note_scan(rt)?;
        }
        loop {
            rt.cx.checkpoint()?;
            let limit = self.target;
            self.target = (self.target * 4).min(BATCH_ROWS);
            self.reader.start(limit.min(64));
            loop {
                self.fetch(rt, limit)?;
                if self.reader.is_full() || self.reader.rows >= limit || !self.more(rt)? {
                    break;
                }
            }
            let at_end = self.reader.rows < limit && !self.reader.is_full();
            if let Some(b) = self.yield_rows(rt)? {
                return Ok(Some(b));
            }
            if at_end {
                return Ok(None);
            }
        }
    }
    fn is_ended(&self) -> bool {
        self.point && !self.by_scan && self.stretches.is_some()
    }
    fn reset(&mut self) {
        self.stretches = None;
        self.by_scan = false;
        self.scan = None;
        self.leading = None;
        self.once.iter_mut().for_each(|o| o.reset());
        if let Some(only) = &mut self.only {
            only.clear();
            only.pages = None;
        }
        self.reader.reset();
        self.tids.clear();
        self.at = 0;
        self.target = 32;
        self.hashed.iter_mut().for_each(|h| h.key.reset());
        let r = &mut self.range;
        r.equal.iter_mut().chain(&mut r.any_of).chain(&mut self.filter).for_each(Compiled::reset);
        r.lower.iter_mut().chain(&mut r.upper).for_each(|(e, _)| e.reset());
    }
    fn filtered(&self) -> u64 {
        self.filtered
    }
    fn heap_fetches(&self) -> u64 {
        self.heap_fetches
    }
}
