//! INSERT, UPDATE, DELETE, MERGE: what they share is [`Target`], the checks and index maintenance of a table.

pub(crate) mod delete;
pub(crate) mod insert;
pub(crate) mod merge;
mod policy;
pub(crate) mod seen;
mod unread;
pub(crate) mod update;

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};

use pg_catalog::{Index, IndexMethod, Relation, builtin::INTRALITH_HBA_RULES, keys, storage_error};
use pg_plan::physical;
use pg_storage::{IndexEntry, IndexInsert, RowMarks, Tid, Touched, Unique};
use pg_types::{
    Batch, Result, SqlError, SqlState, SqlType, Value, Vector,
    tuple::{Stored, is_wrapped},
    vector::VectorBuilder,
};

use super::{
    Compiler,
    row_reader::{CTID, TABLEOID, mark, tid_value},
};
use crate::{
    context::{ExecContext, Rt},
    expr::{Compiled, RowRef},
    foreign_key::Guard,
    large::RowFormat,
    unique::Recheck,
};
use policy::Policies;

/// A key column's source.
enum KeyPart {
    /// Live column by position.
    Column(usize),
    Expr(Compiled),
}

struct IndexState {
    index: Arc<Index>,
    parts: Vec<KeyPart>,
    predicate: Option<Compiled>,
}

/// A table being changed.
pub(crate) struct Target {
    pub(crate) relation: Arc<Relation>,
    pub(crate) format: RowFormat,
    /// Attribute index of each live column.
    pub(crate) live: Vec<usize>,
    /// What row-level security asks of rows that come.
    policies: Policies,
    checks: Vec<(String, Compiled)>,
    /// Conditions of views, the lowest first.
    view_checks: Vec<(String, Compiled)>,
    generated: Vec<(usize, Compiled)>,
    indexes: Vec<IndexState>,
    /// Live positions that any index reads; `None`: an index has expressions or a predicate.
    indexed: Option<Vec<usize>>,
    /// Live positions that a foreign key could refer to.
    key_columns: Vec<usize>,
    pub(crate) returning: Option<Vec<Compiled>>,
    /// See `physical::Target`.
    pub(crate) system: Vec<(usize, i16)>,
    /// Columns that the statement gives values.
    given: Vec<i16>,
    /// Keys that were taken when a row came, of constraints that are checked later.
    rechecks: Vec<Recheck>,
    /// Foreign keys of the table and to it.
    pub(crate) guard: Option<Box<Guard>>,
    key: Vec<u8>,
    payload: Vec<u8>,
}

/// What an update does to large values.
#[derive(Default)]
pub(crate) struct LargeChanges {
    written: Vec<u32>,
    replaced: Vec<u32>,
}

impl LargeChanges {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.written.is_empty() && self.replaced.is_empty()
    }
}

/// "could not serialize access due to concurrent ...".
pub(crate) fn serialization_failure(what: &str) -> SqlError {
    SqlError::new(
        SqlState::SERIALIZATION_FAILURE,
        format!("could not serialize access due to concurrent {what}"),
    )
}

impl Target {
    pub(crate) fn new(t: &physical::Target, c: &mut Compiler<'_>) -> Result<Self> {
        let relation = t.relation.clone();
        let format = RowFormat::of(&relation);
        let live: Vec<usize> =
            relation.attributes.iter().enumerate().filter(|(_, a)| !a.dropped).map(|(i, _)| i).collect();
        let position = |attnum: i16| {
            let index = usize::try_from(attnum - 1).ok();
            live.iter().position(|&l| Some(l) == index).ok_or_else(|| SqlError::internal("no such column"))
        };
        let mut indexes = Vec::with_capacity(relation.indexes.len());
        let mut indexed = Some(Vec::new());
        let mut key_columns = Vec::new();
        for (n, index) in relation.indexes.iter().enumerate() {
            let exprs = t.index_exprs.get(n);
            let mut parts = Vec::with_capacity(index.keys.len());
            let plain = index.predicate.is_none() && index.keys.iter().all(|k| k.attnum > 0);
            let is_key = index.unique && plain && !index.deferrable;
            for (k, key) in index.keys.iter().enumerate() {
                if key.attnum > 0 {
                    let p = position(key.attnum)?;
                    indexed.iter_mut().for_each(|l| l.push(p));
                    parts.push(KeyPart::Column(p));
                    key_columns.extend((is_key && !key.carried).then_some(p));
                } else {
                    let e = exprs.and_then(|e| e.0.get(k)).and_then(Option::as_ref);
                    let e = e.ok_or_else(|| SqlError::internal("index expression was not bound"))?;
                    indexed = None;
                    parts.push(KeyPart::Expr(Compiled::new(e, c)?));
                }
            }
            let predicate = match (exprs.and_then(|e| e.1.as_ref()), &index.predicate) {
                (Some(e), _) => Some(Compiled::new(e, c)?),
                (None, Some(_)) => return Err(SqlError::internal("index predicate was not bound")),
                (None, None) => None,
            };
            if predicate.is_some() {
                indexed = None;
            }
            indexes.push(IndexState { index: index.clone(), parts, predicate });
        }
        let mut checks = t
            .checks
            .iter()
            .map(|(n, e)| Ok((n.clone(), Compiled::new(e, c)?)))
            .collect::<Result<Vec<_>>>()?;
        checks.sort_by(|a, b| a.0.cmp(&b.0));
        let view_checks = t
            .view_checks
            .iter()
            .map(|(n, e)| Ok((n.clone(), Compiled::new(e, c)?)))
            .collect::<Result<_>>()?;
        let generated = t
            .generated
            .iter()
            .map(|(attnum, e)| Ok((position(*attnum)?, Compiled::new(e, c)?)))
            .collect::<Result<_>>()?;
        let returning = t.returning.as_ref().map(|l| c.exprs(l)).transpose()?;
        let policies = Policies::new(&t.policies, c)?;
        Ok(Self {
            policies,
            rechecks: Vec::new(),
            guard: Guard::new(&relation),
            relation,
            format,
            live,
            checks,
            view_checks,
            generated,
            indexes,
            indexed,
            key_columns,
            returning,
            system: t.system.clone(),
            given: t.given.clone(),
            key: Vec::new(),
            payload: Vec::new(),
        })
    }

    /// Puts the system columns of a version of the row where they are in a source's row.
    /// `locked`: who made it locks it too.
    pub(crate) fn put_system(
        &self,
        row: &mut [Value],
        tid: Tid,
        locked: bool,
        rt: &Rt<'_, '_>,
    ) -> Result<()> {
        let mut marks: Option<RowMarks> = None;
        for &(position, attnum) in &self.system {
            let value = match attnum {
                CTID => tid_value(tid),
                TABLEOID => Value::Oid(self.relation.oid),
                _ => {
                    if marks.is_none() {
                        marks = rt.storage().heap_marks(self.relation.storage, tid).map_err(storage_error)?;
                        marks.iter_mut().filter(|_| locked).for_each(|m| m.xmax = m.xmin);
                    }
                    marks.as_ref().map_or(Value::Null, |m| mark(m, attnum))
                }
            };
            if let Some(slot) = row.get_mut(position) {
                *slot = value;
            }
        }
        Ok(())
    }

    /// RETURNING of a row that was written at `tid`; `source`: what the source gave, of an INSERT room for system columns.
    pub(crate) fn give_back(
        &mut self,
        new: &[Value],
        source: &[Value],
        (tid, locked): (Tid, bool),
        returned: &mut Returned,
        rt: &Rt<'_, '_>,
    ) -> Result<()> {
        if self.returning.is_none() {
            return Ok(());
        }
        let mut both = new.to_vec();
        both.extend_from_slice(source);
        self.put_system(both.get_mut(new.len()..).unwrap_or(&mut []), tid, locked, rt)?;
        match &mut self.returning {
            Some(r) => returned.push(r, &both, rt),
            None => Ok(()),
        }
    }

    /// The end of the statement: what foreign keys and the reader of rules ask for.
    pub(crate) fn finish(&mut self, rt: &Rt<'_, '_>) -> Result<()> {
        if !self.rechecks.is_empty() {
            crate::unique::settle(rt.cx, &self.relation, core::mem::take(&mut self.rechecks))?;
        }
        if self.relation.oid == INTRALITH_HBA_RULES {
            crate::hba::changed(rt.cx)?;
        }
        match &mut self.guard {
            None => Ok(()),
            Some(guard) => guard.finish(rt),
        }
    }

    pub(crate) fn reset(&mut self) {
        self.rechecks.clear();
        self.guard.iter_mut().for_each(|g| g.reset());
        self.policies.reset();
        self.checks.iter_mut().for_each(|(_, e)| e.reset());
        self.view_checks.iter_mut().for_each(|(_, e)| e.reset());
        self.generated.iter_mut().for_each(|(_, e)| e.reset());
        self.returning.iter_mut().flatten().for_each(Compiled::reset);
    }

    /// Position of an attribute among the live columns.
    pub(crate) fn position(&self, attnum: i16) -> Result<usize> {
        let index = usize::try_from(attnum - 1).ok();
        self.live
            .iter()
            .position(|&l| Some(l) == index)
            .ok_or_else(|| SqlError::internal("assignment to a column that is not there"))
    }

    /// Fills generated columns in.
    pub(crate) fn generate(&mut self, row: &mut [Value], rt: &Rt<'_, '_>) -> Result<()> {
        for (position, e) in &mut self.generated {
            let v = e.row(RowRef::Values(row), rt)?;
            if let Some(slot) = row.get_mut(*position) {
                *slot = v;
            }
        }
        Ok(())
    }

    /// Policies, NOT NULL and CHECK for one row of live columns.
    pub(crate) fn check(&mut self, row: &[Value], rt: &Rt<'_, '_>) -> Result<()> {
        if !self.policies.is_empty() {
            self.policies.check(&self.relation.name, row, rt)?;
        }
        self.check_constraints(row, rt)
    }

    /// NOT NULL and CHECK for one row of live columns.
    pub(crate) fn check_constraints(&mut self, row: &[Value], rt: &Rt<'_, '_>) -> Result<()> {
        for (v, &a) in row.iter().zip(&self.live) {
            if v.is_null() && self.relation.attributes.get(a).is_some_and(|a| a.not_null) {
                return Err(self.not_null_violation(a, row, rt.cx));
            }
        }
        for n in 0..self.checks.len() {
            let passed = match self.checks.get_mut(n) {
                Some((_, e)) => !matches!(e.row(RowRef::Values(row), rt)?, Value::Bool(false)),
                None => true,
            };
            if !passed {
                return Err(self.check_violation(n, row, rt.cx));
            }
        }
        for n in 0..self.view_checks.len() {
            let passed = match self.view_checks.get_mut(n) {
                Some((_, e)) => matches!(e.row(RowRef::Values(row), rt)?, Value::Bool(true)),
                None => true,
            };
            if !passed {
                return Err(self.view_violation(n, row, rt.cx));
            }
        }
        Ok(())
    }

    /// As `check`, for the rows of a batch.
    pub(crate) fn check_batch(&mut self, b: &Batch, rt: &Rt<'_, '_>) -> Result<()> {
        self.policies.check_batch(&self.relation.name, b, rt)?;
        for (c, &a) in b.columns.iter().zip(&self.live) {
            if !c.no_nulls()
                && self.relation.attributes.get(a).is_some_and(|a| a.not_null)
                && let Some(row) = (0..b.rows).find(|&i| c.is_null(i))
            {
                // The first failing row of the first failing column; rows before it may fail on a later column.
                return match (0..row).find_map(|i| Some(self.check(&b.row_values(i), rt).err()?.row(i))) {
                    Some(e) => Err(e),
                    None => Err(self.not_null_violation(a, &b.row_values(row), rt.cx).row(row)),
                };
            }
        }
        for n in 0..self.checks.len() {
            let Some((_, e)) = self.checks.get_mut(n) else { break };
            let v = e.vector(b, None, rt)?;
            let failed = |i: &usize| matches!(v.value(*i), Value::Bool(false));
            let all_same = v.is_constant();
            let rows = if all_same { 0..b.rows.min(1) } else { 0..b.rows };
            if let Some(row) = rows.into_iter().find(failed) {
                return Err(self.check_violation(n, &b.row_values(row), rt.cx).row(row));
            }
        }
        if !self.view_checks.is_empty() {
            for row in 0..b.rows {
                self.check(&b.row_values(row), rt).map_err(|e| e.row(row))?;
            }
        }
        Ok(())
    }

    fn view_violation(&self, check: usize, row: &[Value], cx: &ExecContext<'_>) -> SqlError {
        let name = self.view_checks.get(check).map_or("", |c| c.0.as_str());
        let message = format!("new row violates check option for view \"{name}\"");
        let e = SqlError::new(SqlState::WITH_CHECK_OPTION_VIOLATION, message);
        self.with_row(e, row, cx)
    }

    fn not_null_violation(&self, attribute: usize, row: &[Value], cx: &ExecContext<'_>) -> SqlError {
        let column = self.relation.attributes.get(attribute).map_or("", |a| a.name.as_str());
        let message = format!(
            "null value in column \"{column}\" of relation \"{}\" violates not-null constraint",
            self.relation.name
        );
        self.with_row(SqlError::new(SqlState::NOT_NULL_VIOLATION, message), row, cx)
            .table(self.relation.schema_name.clone(), self.relation.name.clone())
            .column(column)
            .routine(CONSTRAINTS)
    }

    fn check_violation(&self, check: usize, row: &[Value], cx: &ExecContext<'_>) -> SqlError {
        let name = self.checks.get(check).map_or("", |c| c.0.as_str());
        let message =
            format!("new row for relation \"{}\" violates check constraint \"{name}\"", self.relation.name);
        self.with_row(SqlError::new(SqlState::CHECK_VIOLATION, message), row, cx)
            .table(self.relation.schema_name.clone(), self.relation.name.clone())
            .constraint(name)
            .routine(CONSTRAINTS)
    }

    /// Adds the row as far as the user may see it.
    fn with_row(&self, error: SqlError, row: &[Value], cx: &ExecContext<'_>) -> SqlError {
        match seen::failing_row(&self.relation, (row, &self.live), &self.given, cx) {
            Some(text) => error.detail(text),
            None => error,
        }
    }

    /// Puts the payload of a new row of live columns into the reused buffer; its large values are written.
    pub(crate) fn prepare(&mut self, row: &[Value], rt: &Rt<'_, '_>) -> Result<Vec<u32>> {
        self.encode(row)?;
        if !self.format.is_large(self.payload.len()) {
            return Ok(Vec::new());
        }
        let whole = core::mem::take(&mut self.payload);
        let mut txn = rt.cx.txn.borrow_mut();
        let means = (rt.storage(), txn.storage());
        self.format.shrink(&whole, &mut self.payload, means, &mut || rt.cx.checkpoint())
    }

    /// As [`Target::prepare`], for the version that is to replace the one at `tid`. Large values of columns that `kept` names stay
    /// where they are.
    pub(crate) fn prepare_update(
        &mut self,
        tid: Tid,
        row: &[Value],
        kept: impl Fn(usize) -> bool,
        rt: &Rt<'_, '_>,
    ) -> Result<LargeChanges> {
        let mut changes = LargeChanges::default();
        let old = match self.format.has_place() {
            false => None,
            true => rt
                .storage()
                .heap_fetch_version(self.relation.storage, tid, |p| is_wrapped(p).then(|| p.to_vec()))
                .map_err(storage_error)?
                .flatten(),
        };
        let Some(old) = old else {
            changes.written = self.prepare(row, rt)?;
            return Ok(changes);
        };
        self.encode(row)?;
        let whole = core::mem::take(&mut self.payload);
        let mut fields = self.format.layout.fields(&whole)?;
        for (a, stored) in self.format.layout.fields(&old)?.into_iter().enumerate() {
            if !stored.is_wrapped() {
                continue;
            }
            let position = self.live.iter().position(|l| *l == a);
            match (position.is_some_and(&kept), fields.get_mut(a), stored) {
                (true, Some(field), stored) => *field = stored,
                (_, _, Stored::External(e)) => changes.replaced.push(e.id),
                _ => {}
            }
        }
        let mut txn = rt.cx.txn.borrow_mut();
        let means = (rt.storage(), txn.storage());
        changes.written =
            self.format.shrink_fields(fields, &mut self.payload, means, &mut || rt.cx.checkpoint())?;
        Ok(changes)
    }

    /// What [`Target::prepare`] made.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// After an update: its large changes take effect, or are undone because it was not made.
    pub(crate) fn settle(&self, changes: LargeChanges, done: bool, rt: &Rt<'_, '_>) -> Result<()> {
        match done {
            true => changes.replaced.iter().try_for_each(|id| self.format.delete(*id, rt.cx)),
            false => self.format.take_back(&changes.written, rt.cx),
        }
    }

    /// Deletes the large values of a version that was just deleted.
    pub(crate) fn delete_large(&self, tid: Tid, rt: &Rt<'_, '_>) -> Result<()> {
        if !self.format.has_place() {
            return Ok(());
        }
        let old = rt
            .storage()
            .heap_fetch_version(self.relation.storage, tid, |p| self.format.externals(p))
            .map_err(storage_error)?;
        for (_, e) in old.transpose()?.unwrap_or_default() {
            self.format.delete(e.id, rt.cx)?;
        }
        Ok(())
    }

    /// The payload of a row of live columns, in the reused buffer.
    fn encode(&mut self, row: &[Value]) -> Result<()> {
        self.payload.clear();
        if self.live.len() == self.relation.attributes.len() {
            self.format.layout.encode(row, &mut self.payload)?;
        } else {
            let mut all = alloc::vec![Value::Null; self.relation.attributes.len()];
            for (v, &a) in row.iter().zip(&self.live) {
                if let Some(slot) = all.get_mut(a) {
                    *slot = v.clone();
                }
            }
            self.format.layout.encode(&all, &mut self.payload)?;
        }
        Ok(())
    }

    /// The live columns of exactly the version at `tid`; `None` if there is none.
    pub(crate) fn version(&self, tid: Tid, rt: &Rt<'_, '_>) -> Result<Option<Vec<Value>>> {
        let taken = rt
            .storage()
            .heap_fetch_version(self.relation.storage, tid, |payload| self.format.take(payload))
            .map_err(storage_error)?;
        match taken.transpose()? {
            None => Ok(None),
            Some(taken) => Ok(Some(self.live_of(self.format.complete(taken, rt.cx)?))),
        }
    }

    fn live_of(&self, all: Vec<Value>) -> Vec<Value> {
        if self.live.len() == self.relation.attributes.len() {
            return all;
        }
        self.live.iter().map(|&a| all.get(a).cloned().unwrap_or(Value::Null)).collect()
    }

    /// What an update to these live positions touches.
    pub(crate) fn touched(&self, changed: impl Iterator<Item = usize>) -> Touched {
        let mut indexed = self.indexed.is_none();
        for p in changed {
            if self.key_columns.contains(&p) {
                return Touched::Key;
            }
            indexed |= self.indexed.as_ref().is_some_and(|l| l.contains(&p));
        }
        if indexed { Touched::Indexed } else { Touched::Nothing }
    }

    /// Could an update that changes these live positions need new index entries?
    pub(crate) fn touches_index(&self, changed: impl Iterator<Item = usize>) -> bool {
        match &self.indexed {
            None => true,
            Some(indexed) => changed.into_iter().any(|p| indexed.contains(&p)),
        }
    }

    /// Builds index `n`'s key for a row; `None`: the row is not in the index. The flag: a key column is NULL.
    fn index_key(&mut self, n: usize, row: &[Value], rt: &Rt<'_, '_>) -> Result<Option<bool>> {
        let Some(state) = self.indexes.get_mut(n) else { return Ok(None) };
        if let Some(p) = &mut state.predicate
            && !p.is_true(RowRef::Values(row), rt)?
        {
            return Ok(None);
        }
        self.key.clear();
        let parts = &mut state.parts;
        let null = keys::encode_entry(&state.index.keys, &mut self.key, |n, key, out| {
            let computed;
            let v = match parts.get_mut(n) {
                Some(KeyPart::Column(p)) => row.get(*p).unwrap_or(&Value::Null),
                Some(KeyPart::Expr(e)) => {
                    computed = e.row(RowRef::Values(row), rt)?;
                    &computed
                }
                None => &Value::Null,
            };
            keys::encode_index_value(key, v, out)?;
            Ok(v.is_null())
        })?;
        if null && state.index.method == IndexMethod::Hash {
            return Ok(None);
        }
        Ok(Some(null))
    }

    /// Adds a new row version to all indexes.
    pub(crate) fn index_row(&mut self, row: &[Value], tid: Tid, rt: &Rt<'_, '_>) -> Result<()> {
        for n in 0..self.indexes.len() {
            if let Some(conflict) = self.index_row_in(n, row, tid, rt)? {
                let _ = conflict;
                return Err(self.unique_violation(n, row, rt));
            }
        }
        Ok(())
    }

    /// Adds a row version to index `n`; the other row if its key is taken.
    pub(crate) fn index_row_in(
        &mut self,
        n: usize,
        row: &[Value],
        tid: Tid,
        rt: &Rt<'_, '_>,
    ) -> Result<Option<Tid>> {
        let Some(null) = self.index_key(n, row, rt)? else { return Ok(None) };
        let Some(state) = self.indexes.get(n) else { return Ok(None) };
        let index = &state.index;
        let unique = check_of(index, null);
        let mut txn = rt.cx.txn.borrow_mut();
        let entry = IndexEntry { key: &self.key, carries: index.carries(), tid, unique };
        match rt.storage().index_insert_entry(txn.storage(), index.storage, &entry) {
            Ok(IndexInsert::Done) => Ok(None),
            Ok(IndexInsert::Duplicate { .. }) if unique == Unique::Deferred => {
                let key = self.key.clone();
                rt.charge(key.len() + size_of::<Recheck>())?;
                self.rechecks.push(Recheck { index: index.clone(), key, tid });
                Ok(None)
            }
            Ok(IndexInsert::Duplicate { tid }) => Ok(Some(tid)),
            Err(e) => Err(storage_error(e)),
        }
    }

    /// Another live row with this row's key in a unique index, if any.
    pub(crate) fn conflict(&mut self, n: usize, row: &[Value], rt: &Rt<'_, '_>) -> Result<Option<Tid>> {
        let Some(null) = self.index_key(n, row, rt)? else { return Ok(None) };
        let Some(state) = self.indexes.get(n) else { return Ok(None) };
        let index = &state.index;
        if !index.unique || (null && !index.nulls_not_distinct) {
            return Ok(None);
        }
        let mut txn = rt.cx.txn.borrow_mut();
        let carries = index.carries();
        let entry = IndexEntry { key: &self.key, carries, tid: Tid::NONE, unique: Unique::CheckOnly };
        match rt.storage().index_insert_entry(txn.storage(), index.storage, &entry) {
            Ok(IndexInsert::Done) => Ok(None),
            Ok(IndexInsert::Duplicate { tid }) => Ok(Some(tid)),
            Err(e) => Err(storage_error(e)),
        }
    }

    /// Constraints that are checked late cannot say whether a row conflicts.
    pub(crate) fn refuse_deferrable(&self, arbiters: &[usize]) -> Result<()> {
        let arbiters = arbiters.iter().filter_map(|n| self.indexes.get(*n));
        let Some(state) = arbiters.into_iter().find(|s| s.index.deferrable) else { return Ok(()) };
        let text =
            "ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters";
        Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, text)
            .table(self.relation.schema_name.clone(), self.relation.name.clone())
            .constraint(state.index.name.clone()))
    }

    /// Positions of unique indexes.
    pub(crate) fn unique_indexes(&self) -> Vec<usize> {
        self.indexes.iter().enumerate().filter(|(_, i)| i.index.unique).map(|(n, _)| n).collect()
    }

    /// The error for a row whose key in index `n` is taken.
    pub(crate) fn unique_violation(&mut self, n: usize, row: &[Value], rt: &Rt<'_, '_>) -> SqlError {
        let Some(state) = self.indexes.get_mut(n) else { return SqlError::internal("no such index") };
        let (mut names, mut values) = (String::new(), String::new());
        let compared = state.parts.iter_mut().zip(&state.index.keys).take(state.index.key_count);
        for (k, (part, key)) in compared.enumerate() {
            if k > 0 {
                names.push_str(", ");
                values.push_str(", ");
            }
            let v = match part {
                KeyPart::Column(p) => {
                    let name =
                        self.live.get(*p).and_then(|&a| self.relation.attributes.get(a)).map(|a| &a.name);
                    names.push_str(&name.map_or_else(String::new, |n| crate::text::quote_identifier(n)));
                    row.get(*p).cloned().unwrap_or(Value::Null)
                }
                KeyPart::Expr(e) => {
                    names.push_str(key.expression.as_deref().unwrap_or(""));
                    match e.row(RowRef::Values(row), rt) {
                        Ok(v) => v,
                        Err(e) => return e,
                    }
                }
            };
            match v {
                Value::Null => values.push_str("null"),
                v => values.push_str(&crate::text::output(&v, key.ty.oid, rt.cx).unwrap_or_default()),
            }
        }
        unique_violation(rt.cx, &self.relation, &state.index, (&names, &values))
    }

    /// Inserts a batch of live columns without conflict handling; tids in row order.
    pub(crate) fn insert_batch(&mut self, b: &Batch, rt: &Rt<'_, '_>) -> Result<Vec<Tid>> {
        self.check_batch(b, rt)?;
        let mut columns: Vec<Arc<Vector>> = Vec::with_capacity(self.relation.attributes.len());
        let mut live = b.columns.iter();
        for a in &self.relation.attributes {
            columns.push(match a.dropped {
                true => Arc::new(Vector::nulls(a.ty)),
                false => {
                    live.next().cloned().ok_or_else(|| SqlError::internal("too few columns to insert"))?
                }
            });
        }
        let mut arena = core::mem::take(&mut self.payload);
        arena.clear();
        let mut ends = Vec::with_capacity(b.rows);
        for row in 0..b.rows {
            let start = arena.len();
            self.format.layout.encode_row(&columns, row, &mut arena)?;
            if self.format.is_large(arena.len() - start) {
                let whole = arena.split_off(start);
                let mut txn = rt.cx.txn.borrow_mut();
                let means = (rt.storage(), txn.storage());
                self.format.shrink(&whole, &mut arena, means, &mut || rt.cx.checkpoint())?;
            }
            ends.push(arena.len());
        }
        let mut tids = Vec::with_capacity(b.rows);
        {
            let mut txn = rt.cx.txn.borrow_mut();
            let storage = rt.storage();
            let rel = self.relation.storage;
            if b.rows == 1 {
                tids.push(storage.heap_insert(txn.storage(), rel, &arena).map_err(storage_error)?);
            } else {
                let mut start = 0;
                let payloads: Vec<&[u8]> = ends
                    .iter()
                    .map(|&end| {
                        let p = arena.get(start..end).unwrap_or(&[]);
                        start = end;
                        p
                    })
                    .collect();
                storage.heap_insert_many(txn.storage(), rel, &payloads, &mut tids).map_err(storage_error)?;
            }
        }
        self.payload = arena;
        let mut duplicate: Option<(usize, usize)> = None;
        for n in 0..self.indexes.len() {
            let row = self.index_batch(n, b, &tids, rt)?;
            duplicate = duplicate.into_iter().chain(row.map(|row| (row, n))).min();
        }
        if let Some((row, n)) = duplicate {
            return Err(self.unique_violation(n, &b.row_values(row), rt).row(row));
        }
        if let Some(guard) = &mut self.guard {
            guard.inserted_batch(b, rt)?;
        }
        Ok(tids)
    }

    /// Adds new rows to index `n`; the first row whose key is taken.
    fn index_batch(&mut self, n: usize, b: &Batch, tids: &[Tid], rt: &Rt<'_, '_>) -> Result<Option<usize>> {
        let Some(state) = self.indexes.get_mut(n) else { return Ok(None) };
        let rows: Vec<u32> = match &mut state.predicate {
            None => (0..b.rows as u32).collect(),
            Some(p) => p.filter(b, None, rt)?,
        };
        let mut columns = Vec::with_capacity(state.parts.len());
        for part in &mut state.parts {
            columns.push(match part {
                KeyPart::Column(p) => b
                    .columns
                    .get(*p)
                    .cloned()
                    .ok_or_else(|| SqlError::internal("too few columns to index"))?,
                KeyPart::Expr(e) => e.vector(b, Some(&rows), rt)?,
            });
        }
        let index = state.index.clone();
        let mut arena = core::mem::take(&mut self.key);
        arena.clear();
        // Each row's key: where it ends in the arena, and its check; None: the row is left out.
        let carries = index.carries();
        let mut keys = Vec::with_capacity(rows.len());
        for &row in &rows {
            let null = keys::encode_entry(&index.keys, &mut arena, |n, k, out| {
                let c = columns.get(n).ok_or_else(|| SqlError::internal("too few columns to index"))?;
                keys::encode_index_vector(k, c, row as usize, out)?;
                Ok(c.is_null(row as usize))
            })?;
            keys.push((
                arena.len(),
                (!null || index.method != IndexMethod::Hash).then(|| check_of(&index, null)),
            ));
        }
        let mut start = 0;
        let mut entries: Vec<(IndexEntry<'_>, usize)> = Vec::with_capacity(rows.len());
        for (&row, &(end, unique)) in rows.iter().zip(&keys) {
            let tid = tids.get(row as usize).copied().unwrap_or(Tid::NONE);
            let key = arena.get(start..end).unwrap_or(&[]);
            start = end;
            if let Some(unique) = unique {
                entries.push((IndexEntry { key, carries, tid, unique }, row as usize));
            }
        }
        if !entries.is_sorted_by(|(a, _), (b, _)| a.key <= b.key) {
            entries.sort_by(|(a, _), (b, _)| a.key.cmp(b.key));
        }
        let sorted: Vec<IndexEntry<'_>> = entries.iter().map(|e| e.0).collect();
        // Of several rows whose keys are taken, the first is reported.
        let mut duplicate: Option<usize> = None;
        let rechecks = &mut self.rechecks;
        let mut taken = |at: usize, _| {
            if let Some((e, _)) = entries.get(at).filter(|_| index.deferrable) {
                rechecks.push(Recheck { index: index.clone(), key: e.key.to_vec(), tid: e.tid });
                return;
            }
            let row = entries.get(at).map(|e| e.1);
            duplicate = duplicate.into_iter().chain(row).min();
        };
        let mut txn = rt.cx.txn.borrow_mut();
        let done = match sorted.as_slice() {
            [e] => rt.storage().index_insert_entry(txn.storage(), index.storage, e).map(|i| {
                if let IndexInsert::Duplicate { tid } = i {
                    taken(0, tid);
                }
            }),
            many => rt.storage().index_insert_sorted(txn.storage(), index.storage, many, taken),
        };
        drop(txn);
        drop((sorted, entries));
        self.key = arena;
        done.map_err(storage_error)?;
        Ok(duplicate)
    }

    /// Adds generated columns to a batch of live columns.
    pub(crate) fn generate_batch(&mut self, b: &mut Batch, rt: &Rt<'_, '_>) -> Result<()> {
        for (position, e) in &mut self.generated {
            let v = e.vector(b, None, rt)?;
            if let Some(c) = b.columns.get_mut(*position) {
                *c = v;
            }
        }
        Ok(())
    }
}

/// How a new entry is checked; `null`: a key column is NULL.
fn check_of(index: &Index, null: bool) -> Unique {
    match index.unique && (!null || index.nulls_not_distinct) {
        false => Unique::No,
        true if index.deferrable => Unique::Deferred,
        true => Unique::Yes,
    }
}

/// 23505; `key`: its columns and values.
pub(crate) fn unique_violation(
    cx: &ExecContext<'_>,
    relation: &Relation,
    index: &Index,
    (names, values): (&str, &str),
) -> SqlError {
    let text = format!("duplicate key value violates unique constraint \"{}\"", index.name);
    let e = SqlError::new(SqlState::UNIQUE_VIOLATION, text);
    let e = match seen::may_see_key(relation, index, cx) {
        true => e.detail(format!("Key ({names})=({values}) already exists.")),
        false => e,
    };
    e.table(relation.schema_name.clone(), relation.name.clone())
        .constraint(&index.name)
        .routine("_bt_check_unique")
}

/// The function of PostgreSQL that reports a row that its table's constraints do not take.
const CONSTRAINTS: &str = "ExecConstraints";

/// Rows of RETURNING.
pub(crate) struct Returned {
    builders: Vec<VectorBuilder>,
    types: Vec<SqlType>,
    done: Vec<Batch>,
    /// What is still to be given, last batch first; `None` until the statement has run.
    output: Option<Vec<Batch>>,
    /// Rows that the statement changed.
    pub(crate) affected: u64,
}

impl Returned {
    pub(crate) fn new(types: &[SqlType]) -> Self {
        Self { builders: Vec::new(), types: types.to_vec(), done: Vec::new(), output: None, affected: 0 }
    }
    /// Evaluates RETURNING for one row.
    pub(crate) fn push(&mut self, exprs: &mut [Compiled], row: &[Value], rt: &Rt<'_, '_>) -> Result<()> {
        if self.builders.is_empty() {
            self.builders = self.types.iter().map(|t| VectorBuilder::with_capacity(*t, 4)).collect();
        }
        for (e, b) in exprs.iter_mut().zip(&mut self.builders) {
            b.push(&e.row(RowRef::Values(row), rt)?)?;
        }
        if self.builders.first().is_some_and(|b| b.len() >= pg_types::vector::BATCH_ROWS) {
            self.flush();
        }
        Ok(())
    }
    pub(crate) fn push_batch(&mut self, b: Batch) {
        self.done.push(b);
    }
    fn flush(&mut self) {
        let rows = self.builders.first().map_or(0, VectorBuilder::len);
        if rows > 0 {
            let columns = self.builders.drain(..).map(VectorBuilder::finish).collect();
            self.done.push(Batch::new(columns, rows));
        }
    }
    /// Whether the statement is still to run.
    pub(crate) fn waits(&self) -> bool {
        self.output.is_none()
    }
    /// The next batch of a statement that has run.
    pub(crate) fn next(&mut self) -> Option<Batch> {
        if self.output.is_none() {
            self.flush();
            let mut all = core::mem::take(&mut self.done);
            all.reverse();
            self.output = Some(all);
        }
        self.output.as_mut().and_then(Vec::pop)
    }
    /// The statement will run again.
    pub(crate) fn reset(&mut self) {
        self.builders.clear();
        self.done.clear();
        self.output = None;
        self.affected = 0;
    }
}
