//! How stored rows of a table become columns of a batch: which of their values are wanted, which rows can be told to be unwanted before
//! they are decoded.

use alloc::{collections::VecDeque, format, sync::Arc, vec::Vec};

use pg_catalog::{Relation, keys, storage_error};
use pg_plan::logical::StoredFact;
use pg_storage::{HeapScan, RelId, RowMarks, Storage, Tid};
use pg_types::{
    Batch, Oid, Result, SqlError, SqlState, SqlType, Value, Vector, oid,
    tuple::is_wrapped,
    vector::{BATCH_ROWS, VectorBuilder},
};

use super::{
    key_set::KeySet,
    scan::{Columns, KeyReader},
};
use crate::{
    context::Rt,
    large::{BATCH_BYTES, RowFormat},
};

/// System columns.
pub(super) const CTID: i16 = -1;
pub(super) const XMIN: i16 = -2;
pub(super) const CMIN: i16 = -3;
pub(super) const XMAX: i16 = -4;
pub(super) const CMAX: i16 = -5;
pub(super) const TABLEOID: i16 = -6;

/// How stored rows of a table become columns.
pub(crate) struct RowReader {
    pub(super) format: RowFormat,
    /// Attribute indexes of columns whose large values no one looks at.
    lazy: Vec<usize>,
    /// Rows of the page at hand that must wait until it is let go, in order.
    waiting: VecDeque<(Tid, Vec<u8>)>,
    /// Bytes of large values in the batch.
    fetched: usize,
    /// Output position of what is told of a column's storage, and the values so far.
    facts: Vec<(usize, StoredFact, VectorBuilder)>,
    /// Output position and attribute index of stored columns, ascending by attribute.
    pub(super) stored: Vec<(usize, usize)>,
    pub(super) wanted: Vec<usize>,
    types: Vec<SqlType>,
    pub(super) ctid: Option<usize>,
    tableoid: Option<usize>,
    /// Output position and attribute number of system columns that say which transactions made and ended a row.
    marks: Vec<(usize, i16)>,
    heap: RelId,
    relation: Oid,
    /// The columns are stored ones, in the table's order.
    in_order: bool,
    builders: Vec<VectorBuilder>,
    tids: Vec<Value>,
    pub(super) rows: usize,
    gate: Option<Gate>,
    /// Rows that the gate kept out.
    pub(super) refused: u64,
    pub(super) keys: Vec<KeyGate>,
    /// Rows that a join would find no partner for.
    pub(super) unwanted: u64,
}

/// Keys that an integer column must be among.
#[derive(Clone)]
pub(super) struct KeyGate {
    /// Index among the attributes.
    pub(super) attribute: usize,
    pub(super) keys: Arc<KeySet>,
    asked: u32,
    refused: u32,
}

impl KeyGate {
    /// Of a relation's column by its number.
    pub(super) fn new(attnum: i16, keys: &Arc<KeySet>) -> Option<Self> {
        let attribute = usize::try_from(attnum.checked_sub(1)?).ok()?;
        Some(Self { attribute, keys: Arc::clone(keys), asked: 0, refused: 0 })
    }
    #[inline]
    fn admits(&mut self, format: &RowFormat, payload: &[u8]) -> Result<bool> {
        let v = format.layout.integer(payload, self.attribute, &format.missing)?;
        let admitted = v.is_some_and(|v| self.keys.admits(v));
        self.asked += 1;
        self.refused += u32::from(!admitted);
        Ok(admitted)
    }
}

/// Bounds of a 32-bit column, both included: rows outside, or NULL there, are not decoded any further.
#[derive(Clone, Copy)]
pub(super) struct Gate {
    /// Index among the attributes.
    pub(super) attribute: usize,
    pub(super) low: i32,
    pub(super) high: i32,
}

impl Gate {
    #[inline]
    fn admits(&self, format: &RowFormat, payload: &[u8]) -> Result<bool> {
        let v = format.layout.integer(payload, self.attribute, &format.missing)?;
        Ok(v.is_some_and(|v| v >= i64::from(self.low) && v <= i64::from(self.high)))
    }
}

impl RowReader {
    /// For these columns by attribute number.
    pub(crate) fn new(relation: &Relation, columns: &[i16]) -> Result<Self> {
        if !relation.populated {
            let message = format!("materialized view \"{}\" has not been populated", relation.name);
            return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
                .hint("Use the REFRESH MATERIALIZED VIEW command."));
        }
        let mut stored = Vec::new();
        let (mut ctid, mut tableoid) = (None, None);
        let (mut facts, mut marks) = (Vec::new(), Vec::new());
        for (position, &attnum) in columns.iter().enumerate() {
            if let Some(fact) = StoredFact::of(attnum) {
                facts.push((position, fact, VectorBuilder::with_capacity(oid::INT4, 0)));
                continue;
            }
            match attnum {
                1.. => stored.push((position, attnum as usize - 1)),
                CTID => ctid = Some(position),
                TABLEOID => tableoid = Some(position),
                XMIN | CMIN | XMAX | CMAX => marks.push((position, attnum)),
                _ => return Err(SqlError::internal(format!("no system column {attnum}"))),
            }
        }
        stored.sort_by_key(|s| s.1);
        // A column asked for twice is decoded once more.
        let wanted: Vec<usize> = stored.iter().map(|s| s.1).collect();
        if wanted.windows(2).any(|w| w[0] == w[1]) {
            return Err(SqlError::internal("a scan yields a column twice"));
        }
        let types = stored
            .iter()
            .map(|&(_, a)| {
                relation
                    .attributes
                    .get(a)
                    .map(|a| a.ty)
                    .ok_or_else(|| SqlError::internal("no such attribute"))
            })
            .collect::<Result<_>>()?;
        let in_order =
            stored.len() == columns.len() && stored.iter().enumerate().all(|(n, (place, _))| n == *place);
        Ok(Self {
            format: RowFormat::of(relation),
            lazy: Vec::new(),
            waiting: VecDeque::new(),
            fetched: 0,
            facts,
            stored,
            wanted,
            types,
            ctid,
            tableoid,
            marks,
            heap: relation.storage,
            relation: relation.oid,
            in_order,
            builders: Vec::new(),
            tids: Vec::new(),
            rows: 0,
            gate: None,
            refused: 0,
            keys: Vec::new(),
            unwanted: 0,
        })
    }
    /// Begins a batch of about `capacity` rows.
    pub(super) fn start(&mut self, capacity: usize) {
        self.builders.clear();
        self.builders.extend(self.types.iter().map(|t| VectorBuilder::with_capacity(*t, capacity)));
        self.tids.clear();
        self.rows = 0;
        self.fetched = 0;
        for (_, fact, out) in &mut self.facts {
            let ty = if matches!(fact, StoredFact::Size(_)) { oid::INT4 } else { oid::TEXT };
            *out = VectorBuilder::with_capacity(ty, capacity);
        }
    }
    /// Adds a row, whose page is latched. After the page has been let go, [`RowReader::settle`] must follow.
    #[inline]
    pub(super) fn push(&mut self, tid: Tid, payload: &[u8]) -> Result<()> {
        if !self.wanted.is_empty() {
            if is_wrapped(payload) || !self.waiting.is_empty() {
                return self.push_wrapped(tid, payload);
            }
            for gate in &mut self.keys {
                if !gate.admits(&self.format, payload)? {
                    self.unwanted += 1;
                    return Ok(());
                }
            }
            if let Some(gate) = &self.gate
                && !gate.admits(&self.format, payload)?
            {
                self.refused += 1;
                return Ok(());
            }
            let (layout, missing) = (&self.format.layout, &self.format.missing);
            layout.decode_into(payload, &self.wanted, missing, &mut self.builders)?;
        }
        self.count(tid, payload)
    }
    /// A row with large values: it waits only if one of those is wanted, or others wait before it.
    #[cold]
    fn push_wrapped(&mut self, tid: Tid, payload: &[u8]) -> Result<()> {
        if self.waiting.is_empty()
            && is_wrapped(payload)
            && self.format.decode_near(payload, &self.wanted, &self.lazy, &mut self.builders)?
        {
            return self.count(tid, payload);
        }
        self.waiting.push_back((tid, payload.to_vec()));
        Ok(())
    }
    /// A batch of a sequential scan; true: the scan is at its end.
    pub(super) fn fill(
        &mut self,
        scan: &mut HeapScan,
        storage: &Arc<Storage>,
        pause: pg_toast::Pause<'_>,
    ) -> Result<bool> {
        self.start(BATCH_ROWS);
        let mut failure = None;
        let mut room = self.settle_in(storage, pause)?;
        while room && self.rows < BATCH_ROWS {
            let more = scan.next_page(|tid, payload| {
                if failure.is_none() {
                    failure = self.push(tid, payload).err();
                }
            });
            if let Some(e) = failure {
                return Err(e);
            }
            if !more.map_err(storage_error)? {
                return Ok(true);
            }
            room = self.settle_in(storage, pause)?;
        }
        Ok(false)
    }
    /// Adds the rows that had to wait; false: the batch is full, and some may be left for the next.
    #[inline]
    pub(super) fn settle(&mut self, rt: &Rt<'_, '_>) -> Result<bool> {
        self.settle_in(rt.storage(), &mut || rt.cx.checkpoint())
    }
    /// As [`RowReader::settle`], in any task.
    #[inline]
    pub(super) fn settle_in(&mut self, storage: &Arc<Storage>, pause: pg_toast::Pause<'_>) -> Result<bool> {
        if self.waiting.is_empty() { Ok(true) } else { self.settle_waiting(storage, pause) }
    }
    #[cold]
    fn settle_waiting(&mut self, storage: &Arc<Storage>, pause: pg_toast::Pause<'_>) -> Result<bool> {
        while self.fetched < BATCH_BYTES
            && let Some((tid, payload)) = self.waiting.pop_front()
        {
            let (wanted, lazy) = (&self.wanted, &self.lazy);
            let means = (storage, &mut *pause as pg_toast::Pause<'_>);
            self.fetched += self.format.decode_into(&payload, wanted, lazy, &mut self.builders, means)?;
            self.count(tid, &payload)?;
        }
        Ok(self.fetched < BATCH_BYTES)
    }
    #[cold]
    fn note_facts(&mut self, payload: &[u8]) -> Result<()> {
        for (_, fact, out) in &mut self.facts {
            let v = match *fact {
                StoredFact::Size(a) => self.format.stored_size(payload, a as usize - 1)?,
                StoredFact::Method(a) => self.format.stored_method(payload, a as usize - 1)?,
            };
            out.push(&v)?;
        }
        Ok(())
    }
    pub(super) fn is_full(&self) -> bool {
        self.fetched >= BATCH_BYTES
    }
    /// Large values of these attributes are not looked at: something of their type may stand for them.
    pub(super) fn set_lazy(&mut self, attributes: &[usize]) {
        self.lazy = attributes.to_vec();
    }
    /// Only rows within these bounds are wanted, and others may be left out.
    pub(super) fn set_gate(&mut self, gate: Option<Gate>) {
        self.gate = gate;
    }
    /// Only rows whose values are among these keys are wanted, and others may be left out.
    pub(super) fn set_keys(&mut self, keys: Vec<KeyGate>) {
        self.keys = keys;
    }
    /// Those sets of keys that have turned out to keep nothing out are not asked any more.
    pub(super) fn judge_keys(&mut self) {
        self.keys.retain_mut(|gate| {
            gate.keys.note(core::mem::take(&mut gate.asked), core::mem::take(&mut gate.refused));
            gate.keys.is_worth_it()
        });
    }
    pub(super) fn reset(&mut self) {
        self.waiting.clear();
        self.keys.clear();
    }
    fn count(&mut self, tid: Tid, payload: &[u8]) -> Result<()> {
        if !self.facts.is_empty() {
            self.note_facts(payload)?;
        }
        if self.ctid.is_some() || !self.marks.is_empty() {
            self.tids.push(tid_value(tid));
        }
        self.rows += 1;
        Ok(())
    }
    /// A row whose columns are in an index key.
    pub(super) fn push_key(&mut self, only: &KeyReader, key: &[u8]) -> Result<()> {
        self.take_columns(&only.columns, key)?;
        if !only.carried.is_empty() {
            self.take_columns(&only.carried, keys::carried_part(key)?)?;
        }
        self.rows += 1;
        Ok(())
    }
    #[inline]
    fn take_columns(&mut self, columns: &Columns, mut rest: &[u8]) -> Result<()> {
        for (column, place) in columns {
            let out = place.and_then(|n| self.builders.get_mut(n));
            rest = keys::take_index_value(column, rest, out)?;
        }
        Ok(())
    }
    /// The columns that tell of transactions: they are looked up apart, as hardly anyone asks for them.
    fn marked(&self, storage: &Storage) -> Result<Vec<(usize, Vector)>> {
        if self.marks.is_empty() {
            return Ok(Vec::new());
        }
        let mut of_rows = Vec::with_capacity(self.tids.len());
        for tid in self.tids.iter().filter_map(value_tid) {
            of_rows.push(storage.heap_marks(self.heap, tid).map_err(storage_error)?);
        }
        self.marks
            .iter()
            .map(|&(position, attnum)| {
                let ty = if matches!(attnum, XMIN | XMAX) { oid::XID } else { oid::CID };
                let mut out = VectorBuilder::with_capacity(ty, of_rows.len());
                for marks in &of_rows {
                    out.push(&marks.as_ref().map_or(Value::Null, |m| mark(m, attnum)))?;
                }
                Ok((position, out.finish()))
            })
            .collect()
    }
    pub(super) fn finish(&mut self, storage: &Storage) -> Result<Batch> {
        if self.in_order {
            let columns = self.builders.drain(..).map(|b| Arc::new(b.finish())).collect();
            return Ok(Batch { columns, rows: self.rows, selection: None });
        }
        self.finish_in_places(storage)
    }
    fn finish_in_places(&mut self, storage: &Storage) -> Result<Batch> {
        let width = self.stored.len()
            + self.facts.len()
            + self.marks.len()
            + usize::from(self.ctid.is_some())
            + usize::from(self.tableoid.is_some());
        let mut columns: Vec<Option<Arc<Vector>>> = alloc::vec![None; width];
        for (b, &(position, _)) in self.builders.drain(..).zip(&self.stored) {
            if let Some(c) = columns.get_mut(position) {
                *c = Some(Arc::new(b.finish()));
            }
        }
        for (position, _, out) in &mut self.facts {
            let out = core::mem::replace(out, VectorBuilder::with_capacity(oid::INT4, 0));
            if let Some(c) = columns.get_mut(*position) {
                *c = Some(Arc::new(out.finish()));
            }
        }
        for (position, v) in self.marked(storage)? {
            if let Some(c) = columns.get_mut(position) {
                *c = Some(Arc::new(v));
            }
        }
        if let Some(c) = self.ctid.and_then(|p| columns.get_mut(p)) {
            let data = pg_types::ColumnData::Other(core::mem::take(&mut self.tids));
            *c = Some(Arc::new(Vector::flat(SqlType::new(oid::TID), data, None)));
        }
        if let Some(c) = self.tableoid.and_then(|p| columns.get_mut(p)) {
            *c = Some(Arc::new(Vector::constant(&Value::Oid(self.relation), oid::OID)?));
        }
        let columns = columns
            .into_iter()
            .map(|c| c.ok_or_else(|| SqlError::internal("a scan's column is missing")))
            .collect::<Result<_>>()?;
        Ok(Batch { columns, rows: self.rows, selection: None })
    }
}

/// The value of a system column that `marks` tell.
pub(super) fn mark(marks: &RowMarks, attnum: i16) -> Value {
    // Of transactions' 64 bits the lower ones are shown.
    Value::Oid(match attnum {
        XMIN => marks.xmin.0 as u32,
        CMIN => marks.cmin.0,
        XMAX => marks.xmax.0 as u32,
        _ => marks.cmax.0,
    })
}

/// A tid as a value.
pub(crate) fn tid_value(tid: Tid) -> Value {
    Value::Tid(tid.block, tid.slot)
}

/// A value as a tid.
pub(crate) fn value_tid(v: &Value) -> Option<Tid> {
    match v {
        Value::Tid(block, slot) => Some(Tid { block: *block, slot: *slot }),
        _ => None,
    }
}
