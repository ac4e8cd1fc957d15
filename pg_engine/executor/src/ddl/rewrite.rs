//! Reading or replacing all rows of a table: validation of new constraints, columns whose values must be computed,
//! TRUNCATE.

use alloc::{format, sync::Arc, vec::Vec};

use pg_catalog::{
    CatalogReader, Index, Relation, RelationKind,
    acl::right,
    builtin::{PG_ATTRIBUTE, PG_CLASS, PG_INDEX},
    storage_error,
};
use pg_plan::utility::Truncate;
use pg_storage::{LockMode, RelId, RelationKind as StorageKind, Tid};
use pg_types::{Oid, Result, SqlError, SqlState, SqlType, Value};

use super::{Ddl, index::NewIndex};
use crate::{
    context::Rt,
    expr::{Compiled, RowRef},
    large::{RowFormat, Taken},
};

/// Rows inserted at a time.
const CHUNK: usize = 1024;

impl Ddl<'_, '_> {
    /// Calls `f` for all visible rows, with the values of all attributes. Rows are read page by page and given out
    /// with no page held.
    pub(crate) fn each_row(
        &self,
        relation: &Relation,
        mut f: impl FnMut(&[Value], &Rt<'_, '_>) -> Result<()>,
    ) -> Result<()> {
        self.with_rt(|rt| self.each_row_at(relation, rt, |_, row| f(row, rt)))
    }

    /// As [`Ddl::each_row`], with each row's place.
    pub(super) fn each_row_at(
        &self,
        relation: &Relation,
        rt: &Rt<'_, '_>,
        mut f: impl FnMut(Tid, &[Value]) -> Result<()>,
    ) -> Result<()> {
        let format = RowFormat::of(relation);
        let mut scan = rt.storage().heap_scan(relation.storage, rt.snapshot, None).map_err(storage_error)?;
        let mut rows: Vec<(Tid, Result<Taken>)> = Vec::new();
        loop {
            let more = scan
                .next_page(|tid, payload| rows.push((tid, format.take(payload))))
                .map_err(storage_error)?;
            for (tid, row) in rows.drain(..) {
                f(tid, &format.complete(row?, self.cx)?)?;
            }
            self.cx.checkpoint()?;
            if !more {
                return Ok(());
            }
        }
    }

    /// Existing rows must satisfy a new CHECK constraint.
    pub(crate) fn validate_check(&self, relation: &Relation, name: &str, expression: &str) -> Result<()> {
        let mut e: Option<Compiled> = None;
        self.each_row(relation, |row, rt| {
            let e = match &mut e {
                Some(e) => e,
                None => e.insert(self.expression(relation, expression)?),
            };
            if matches!(e.row(RowRef::Values(row), rt)?, Value::Bool(false)) {
                return Err(SqlError::new(
                    SqlState::CHECK_VIOLATION,
                    format!(
                        "check constraint \"{name}\" of relation \"{}\" is violated by some row",
                        relation.name
                    ),
                )
                .table(relation.schema_name.clone(), relation.name.clone())
                .constraint(name));
            }
            Ok(())
        })
    }

    /// Makes columns NOT NULL; existing rows must have no NULL in them.
    pub(crate) fn set_not_null(&self, relation: &Arc<Relation>, attnums: &[i16]) -> Result<()> {
        let new: Vec<_> = relation.live().filter(|a| attnums.contains(&a.attnum) && !a.not_null).collect();
        if new.is_empty() {
            return Ok(());
        }
        self.each_row(relation, |row, _| {
            for a in &new {
                if row.get(a.attnum as usize - 1).is_none_or(Value::is_null) {
                    return Err(SqlError::new(
                        SqlState::NOT_NULL_VIOLATION,
                        format!(
                            "column \"{}\" of relation \"{}\" contains null values",
                            a.name, relation.name
                        ),
                    )
                    .table(relation.schema_name.clone(), relation.name.clone())
                    .column(a.name.clone()));
                }
            }
            Ok(())
        })?;
        for a in &new {
            let key = [Value::Oid(relation.oid), Value::Int2(a.attnum)];
            self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| r.put("attnotnull", true))?;
        }
        self.step();
        Ok(())
    }

    fn new_heap(&self) -> Result<RelId> {
        let mut txn = self.cx.txn.borrow_mut();
        self.cx.engine.storage().create_relation(txn.storage(), StorageKind::Heap).map_err(storage_error)
    }

    pub(super) fn drop_storage(&self, rel: RelId) -> Result<()> {
        let mut txn = self.cx.txn.borrow_mut();
        self.cx.engine.storage().drop_relation(txn.storage(), rel).map_err(storage_error)
    }

    pub(super) fn point_to(&self, oid: Oid, rel: RelId) -> Result<()> {
        self.update(PG_CLASS, &["oid"], &[Value::Oid(oid)], |r| r.put("relfilenode", rel.0))?;
        // The row may be changed once more by the same statement.
        self.step();
        Ok(())
    }

    /// Writes all rows anew. `new_types`: types of all attributes afterwards; `map` changes a row's values.
    pub(crate) fn rewrite(
        &self,
        old: &Arc<Relation>,
        new_types: &[SqlType],
        mut map: impl FnMut(&mut Vec<Value>, &Rt<'_, '_>) -> Result<()>,
    ) -> Result<()> {
        let heap = self.new_heap()?;
        let (renewed, old_toast) = self.renew_toast(old)?;
        let format = RowFormat::with_types(&renewed, new_types);
        let mut pending: Vec<Vec<u8>> = Vec::new();
        let flush = |pending: &mut Vec<Vec<u8>>| -> Result<()> {
            let payloads: Vec<&[u8]> = pending.iter().map(Vec::as_slice).collect();
            let mut txn = self.cx.txn.borrow_mut();
            self.cx
                .engine
                .storage()
                .heap_insert_many(txn.storage(), heap, &payloads, &mut Vec::new())
                .map_err(storage_error)?;
            drop(txn);
            pending.clear();
            Ok(())
        };
        self.each_row(old, |row, rt| {
            let mut row = row.to_vec();
            for (v, a) in row.iter_mut().zip(&old.attributes) {
                if a.dropped {
                    *v = Value::Null;
                }
            }
            map(&mut row, rt)?;
            let mut payload = Vec::with_capacity(64);
            format.layout.encode(&row, &mut payload)?;
            if format.is_large(payload.len()) {
                let whole = core::mem::take(&mut payload);
                let mut txn = self.cx.txn.borrow_mut();
                let means = (self.cx.engine.storage(), txn.storage());
                format.shrink(&whole, &mut payload, means, &mut || self.cx.checkpoint())?;
            }
            pending.push(payload);
            if pending.len() >= CHUNK {
                flush(&mut pending)?;
            }
            Ok(())
        })?;
        flush(&mut pending)?;
        self.point_to(old.oid, heap)?;
        self.drop_storage(old.storage)?;
        self.drop_toast_storage(old_toast)?;
        // Every row has a value for every column now.
        for a in old.attributes.iter().filter(|a| a.missing.is_some()) {
            let key = [Value::Oid(old.oid), Value::Int2(a.attnum)];
            self.update(PG_ATTRIBUTE, &["attrelid", "attnum"], &key, |r| {
                r.put("atthasmissing", false);
                r.put("attmissingval", Value::Null);
            })?;
        }
        self.step();
        Ok(())
    }

    /// REINDEX of a table or an index. Its table is locked altogether: who reads through an index locks the table only.
    pub(crate) fn reindex(&self, relation: &Arc<Relation>) -> Result<()> {
        if relation.kind != RelationKind::Index {
            let table = self.relock(relation, LockMode::AccessExclusive)?;
            return self.rebuild_indexes(table.oid);
        }
        let rows = self.find(PG_INDEX, &["indexrelid"], &[Value::Oid(relation.oid)])?;
        let Some((_, row)) = rows.first() else {
            return Err(SqlError::internal("an index without a row in pg_index"));
        };
        let table = self.current(row.oid("indrelid"))?;
        let table = self.relock(&table, LockMode::AccessExclusive)?;
        for i in table.indexes.iter().filter(|i| i.oid == relation.oid) {
            self.rebuild_index(&table, i)?;
        }
        self.step();
        Ok(())
    }

    /// Builds all indexes of a table anew.
    pub(crate) fn rebuild_indexes(&self, oid: Oid) -> Result<()> {
        let relation = self.current(oid)?;
        for i in &relation.indexes {
            self.rebuild_index(&relation, i)?;
        }
        self.step();
        Ok(())
    }

    fn rebuild_index(&self, relation: &Arc<Relation>, i: &Index) -> Result<()> {
        let new = NewIndex::like(i, relation);
        let storage = {
            let mut txn = self.cx.txn.borrow_mut();
            let kind = new.storage_kind(relation.storage);
            self.cx.engine.storage().create_relation(txn.storage(), kind).map_err(storage_error)?
        };
        self.build_index(&new, relation, relation.storage, storage)?;
        self.point_to(i.oid, storage)?;
        self.drop_storage(i.storage)
    }

    /// TRUNCATE.
    pub(crate) fn truncate(&self, t: &Truncate) -> Result<()> {
        let mut relations = t.relations.clone();
        let mut at = 0;
        while let Some(relation) = relations.get(at).cloned() {
            at += 1;
            let known: Vec<Oid> = relations.iter().map(|r| r.oid).collect();
            if !t.cascade {
                self.refuse_referenced(&relation, &known)?;
                continue;
            }
            for key in relation.referenced_by.iter().filter(|k| !known.contains(&k.table)) {
                let other = self.current(key.table)?;
                let text = format!("truncate cascades to table \"{}\"", other.name);
                self.notice(SqlState::SUCCESSFUL_COMPLETION, text);
                relations.push(other);
            }
        }
        for r in &relations {
            if !self.in_temporary(r.schema)? {
                self.need(r, right::TRUNCATE)?;
            }
            let relation = self.relock(r, LockMode::AccessExclusive)?;
            if relation.oid < pg_catalog::builtin::FIRST_NORMAL_OID {
                return Err(SqlError::new(
                    SqlState::INSUFFICIENT_PRIVILEGE,
                    format!("permission denied: \"{}\" is a system catalog", relation.name),
                ));
            }
            if relation.kind != pg_catalog::RelationKind::Table {
                return Err(SqlError::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("\"{}\" is not a table", relation.name),
                ));
            }
            self.empty(&relation)?;
            self.rebuild_indexes(relation.oid)?;
            if t.restart_identity {
                self.restart_sequences(relation.oid)?;
            }
        }
        Ok(())
    }

    /// Gives a relation new, empty storage. Its indexes are to be rebuilt.
    pub(super) fn empty(&self, relation: &Arc<Relation>) -> Result<()> {
        let heap = self.new_heap()?;
        self.point_to(relation.oid, heap)?;
        // The same catalog row changes twice: the second change must see the first.
        self.step();
        self.drop_storage(relation.storage)?;
        let (_, old_toast) = self.renew_toast(relation)?;
        self.drop_toast_storage(old_toast)?;
        self.update(PG_CLASS, &["oid"], &[Value::Oid(relation.oid)], |r| {
            r.put("reltuples", -1.0f32);
            r.put("relpages", 0i32);
        })?;
        self.step();
        Ok(())
    }

    fn restart_sequences(&self, table: Oid) -> Result<()> {
        use pg_catalog::builtin::PG_DEPEND;
        let key = [Value::Oid(PG_CLASS), Value::Oid(table)];
        for (_, d) in self.find(PG_DEPEND, &["refclassid", "refobjid"], &key)? {
            if d.oid("classid") != PG_CLASS || d.int("refobjsubid") == 0 {
                continue;
            }
            let Some(s) = self.reader()?.relation_by_oid(d.oid("objid"))? else { continue };
            if s.kind != pg_catalog::RelationKind::Sequence {
                continue;
            }
            let storage = self.cx.engine.storage();
            let s = self.relock(&s, LockMode::AccessExclusive)?;
            let (options, ..) = storage.sequence_get(s.storage).map_err(storage_error)?;
            self.renew_sequence(&s, &options, options.start, false)?;
        }
        Ok(())
    }
}
