//! CREATE INDEX, DROP INDEX and REINDEX CONCURRENTLY: others write to the table meanwhile.
//!
//! To create one:
//! 1. The catalogs get the index, not valid, over an empty tree; that is committed. Writers maintain it from then on.
//! 2. Transactions that began to write before, and may not know of it, are waited for.
//! 3. The rows that a snapshot sees then get their entries, into the live tree. Rows that come later have theirs
//!    already.
//! 4. The index becomes valid. Snapshots older than step 3 do not use it: it may lack versions that they see.
//!
//! When step 3 fails the index stays, not valid: DROP INDEX removes it.
//!
//! To drop one, it first becomes not valid: no one begins to read it. When those who did are gone it is no longer *live*: writers
//! leave it alone. When those who did not know that are gone, so are its catalog rows and its storage.
//!
//! REINDEX creates another index like the old one (`_ccnew`), steps 1 to 3. Then the two change storage, so that all that depends on
//! the old one goes on with the new tree, and the other one is dropped as above with the old tree.

use alloc::{format, sync::Arc, vec::Vec};

use pg_catalog::{
    Index, Relation, RelationKind, Txn,
    builtin::{FIRST_NORMAL_OID, PG_CLASS, PG_INDEX},
    storage_error,
    table::Row,
};
use pg_plan::utility::{CreateIndex, Drop};
use pg_storage::{IndexEntry, IndexInsert, Isolation, LockMode, Tid, Unique};
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use super::{Address, Ddl, entry::EntryMaker, index::NewIndex};
use crate::{context::ExecContext, large::RowFormat, routine::Inside};

/// Pages read at a time.
const PAGES: u32 = 16;

/// Runs `f` in a transaction of its own.
fn separately<T>(cx: &ExecContext<'_>, f: impl FnOnce(&ExecContext<'_>) -> Result<T>) -> Result<T> {
    let now = cx.session.statement_timestamp();
    let mut txn: Txn = cx.engine.begin(Isolation::ReadCommitted, false, now);
    txn.storage().set_process(cx.session.backend_pid());
    let done = f(&ExecContext::new(cx.engine, cx.session, &mut txn, &[]));
    match done {
        Ok(v) => cx.engine.commit(txn).map(|()| v),
        Err(e) => {
            cx.engine.rollback(txn);
            Err(e)
        }
    }
}

/// CREATE INDEX CONCURRENTLY, outside any transaction block.
pub(crate) fn create(cx: &ExecContext<'_>, i: &CreateIndex) -> Result<()> {
    let made = separately(cx, |cx| Ddl::new(cx, "CREATE INDEX")?.announce_index(i))?;
    let Some((table, index)) = made else { return Ok(()) };
    wait_for(cx, table, LockMode::Share)?;
    separately(cx, |cx| Ddl::new(cx, "CREATE INDEX")?.fill_index(table, index))?;
    separately(cx, |cx| Ddl::new(cx, "CREATE INDEX")?.mark_index(table, index, |r| r.put("indisvalid", true)))
}

/// DROP INDEX CONCURRENTLY, outside any transaction block.
pub(crate) fn drop(cx: &ExecContext<'_>, d: &Drop) -> Result<()> {
    const STATEMENT: &str = "DROP INDEX";
    let [name] = d.names.as_slice() else {
        return Err(lacks("DROP INDEX CONCURRENTLY does not support dropping multiple objects"));
    };
    if d.cascade {
        return Err(lacks("DROP INDEX CONCURRENTLY does not support CASCADE"));
    }
    let found = separately(cx, |cx| {
        let ddl = Ddl::new(cx, STATEMENT)?;
        let Some(index) = ddl.drop_target(d, name)? else { return Ok(None) };
        ddl.refuse_part(index, &[])?;
        ddl.refuse_needed(index)?;
        Ok(Some((ddl.table_of(index.object)?, index.object)))
    })?;
    match found {
        Some((table, index)) => retire(cx, STATEMENT, table, index),
        None => Ok(()),
    }
}

/// Drops an index that nothing depends on while others use it.
fn retire(cx: &ExecContext<'_>, statement: &'static str, table: Oid, index: Oid) -> Result<()> {
    separately(cx, |cx| Ddl::new(cx, statement)?.mark_index(table, index, |r| r.put("indisvalid", false)))?;
    wait_for(cx, table, LockMode::AccessExclusive)?;
    separately(cx, |cx| {
        Ddl::new(cx, statement)?.mark_index(table, index, |r| {
            r.put("indisready", false);
            r.put("indislive", false);
        })
    })?;
    wait_for(cx, table, LockMode::AccessExclusive)?;
    separately(cx, |cx| {
        let ddl = Ddl::new(cx, statement)?;
        ddl.lock(table, LockMode::ShareUpdateExclusive)?;
        ddl.drop_objects(&[Address::new(PG_CLASS, index)], false)
    })
}

/// REINDEX CONCURRENTLY of a table or an index, outside any transaction block.
pub(crate) fn reindex(cx: &ExecContext<'_>, relation: &Arc<Relation>) -> Result<()> {
    const STATEMENT: &str = "REINDEX";
    if relation.oid < FIRST_NORMAL_OID {
        return Err(lacks("cannot reindex system catalogs concurrently"));
    }
    let (table, indexes) = separately(cx, |cx| {
        let ddl = Ddl::new(cx, STATEMENT)?;
        if relation.kind == RelationKind::Index {
            return Ok((ddl.table_of(relation.oid)?, alloc::vec![relation.oid]));
        }
        let table = ddl.current(relation.oid)?;
        let (valid, invalid): (Vec<_>, Vec<_>) = table.indexes.iter().partition(|i| i.valid);
        for i in invalid {
            let text = format!(
                "cannot reindex invalid index \"{}.{}\" concurrently, skipping",
                table.schema_name, i.name
            );
            cx.session.notice("WARNING", SqlError::new(SqlState::INDEX_CORRUPTED, text));
        }
        Ok((table.oid, valid.iter().map(|i| i.oid).collect()))
    })?;
    if indexes.is_empty() {
        let text = format!("table \"{}\" has no indexes that can be reindexed concurrently", relation.name);
        cx.session.notice("NOTICE", SqlError::new(SqlState::SUCCESSFUL_COMPLETION, text));
    }
    for index in indexes {
        let made = separately(cx, |cx| Ddl::new(cx, STATEMENT)?.announce_successor(table, index))?;
        // It may have been dropped meanwhile.
        let Some(new) = made else { continue };
        wait_for(cx, table, LockMode::Share)?;
        separately(cx, |cx| Ddl::new(cx, STATEMENT)?.fill_index(table, new))?;
        separately(cx, |cx| Ddl::new(cx, STATEMENT)?.exchange(table, index, new))?;
        retire(cx, STATEMENT, table, new)?;
    }
    Ok(())
}

fn lacks(what: &'static str) -> SqlError {
    SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, what)
}

/// Waits for the transactions that have a lock on a table now that conflicts with `mode`.
fn wait_for(cx: &ExecContext<'_>, table: Oid, mode: LockMode) -> Result<()> {
    let (storage, mut txn) = (cx.engine.storage(), cx.txn.borrow_mut());
    storage.wait_for_holders(txn.storage(), cx.engine.catalog().lock_tag(table), mode).map_err(storage_error)
}

impl Ddl<'_, '_> {
    /// Step 1. `None`: there is one of that name (IF NOT EXISTS).
    fn announce_index(&self, i: &CreateIndex) -> Result<Option<(Oid, Oid)>> {
        let relation = self.relock(&i.relation, LockMode::ShareUpdateExclusive)?;
        if !relation.kind.is_indexable() {
            return Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot create index on relation \"{}\"", relation.name),
            ));
        }
        let Some(name) = self.index_name(&relation, i)? else { return Ok(None) };
        let new = NewIndex::asked(&name, &relation, i);
        let index = self.create_index_relation(&new)?;
        Ok(Some((relation.oid, index)))
    }

    /// The table of an index.
    fn table_of(&self, index: Oid) -> Result<Oid> {
        let rows = self.find(PG_INDEX, &["indexrelid"], &[Value::Oid(index)])?;
        let row = rows.first().ok_or_else(|| SqlError::internal("an index without a row in pg_index"))?;
        Ok(row.1.oid("indrelid"))
    }

    /// Changes an index's row, and lets those who use the table know.
    fn mark_index(&self, table: Oid, index: Oid, change: impl Fn(&mut Row)) -> Result<()> {
        self.lock(table, LockMode::ShareUpdateExclusive)?;
        self.update(PG_INDEX, &["indexrelid"], &[Value::Oid(index)], change)?;
        // Plans made for the table do not know of the change.
        self.update(PG_CLASS, &["oid"], &[Value::Oid(table)], |r| r.put("relhasindex", true))?;
        self.step();
        Ok(())
    }

    /// Step 1 of REINDEX. `None`: the index is gone.
    fn announce_successor(&self, table: Oid, index: Oid) -> Result<Option<Oid>> {
        self.lock(table, LockMode::ShareUpdateExclusive)?;
        let relation = self.current(table)?;
        let Some(old) = relation.indexes.iter().find(|i| i.oid == index) else { return Ok(None) };
        let name = self.choose_name(relation.schema, &old.name, "", "ccnew")?;
        let mut new = NewIndex::like(old, &relation);
        (new.name, new.concurrently, new.primary) = (&name, true, false);
        self.create_index_relation(&new).map(Some)
    }

    /// An index and its successor change storage. The one that was there is valid from now on, the other one is not.
    fn exchange(&self, table: Oid, old: Oid, new: Oid) -> Result<()> {
        self.lock(table, LockMode::ShareUpdateExclusive)?;
        let relation = self.current(table)?;
        let storage = |oid: Oid| relation.indexes.iter().find(|i| i.oid == oid).map(|i| i.storage);
        if let (Some(before), Some(after)) = (storage(old), storage(new)) {
            self.point_to(old, after)?;
            self.point_to(new, before)?;
            self.mark_index(table, old, |r| r.put("indisvalid", true))?;
        }
        Ok(())
    }

    /// Step 3.
    fn fill_index(&self, table: Oid, index: Oid) -> Result<()> {
        let relation = self.current(table)?;
        let found = relation.indexes.iter().find(|i| i.oid == index).cloned();
        // It may have been dropped meanwhile.
        let Some(index) = found else { return Ok(()) };
        let mut maker = EntryMaker::of(self, &relation, &index)?;
        let _owner = Inside::owner(self.cx.session, relation.owner);
        let format = RowFormat::of(&relation);
        let storage = self.cx.engine.storage();
        let snapshot = self.cx.txn.borrow_mut().latest_snapshot();
        let blocks = storage.relation_stats(relation.storage).map_err(storage_error)?.pages;
        let mut from = 0;
        while from < blocks {
            self.cx.checkpoint()?;
            let to = from.saturating_add(PAGES).min(blocks);
            let mut rows: Vec<(Tid, Vec<u8>)> = Vec::new();
            storage
                .heap_scan_roots(relation.storage, from..to, &snapshot, |tid, p| rows.push((tid, p.to_vec())))
                .map_err(storage_error)?;
            let mut entries = Vec::with_capacity(rows.len());
            self.with_rt(|rt| {
                for (tid, payload) in &rows {
                    let (row, mut key) = (format.decode(payload, rt.cx)?, Vec::with_capacity(16));
                    if let Some(null) = maker.put(&row, rt, &mut key)? {
                        entries.push((key, *tid, null));
                    }
                }
                Ok(())
            })?;
            entries.sort_unstable();
            for (key, tid, null) in entries {
                self.add_entry(&relation, &index, &key, tid, null)?;
            }
            from = to;
        }
        storage.index_usable_from_now(index.storage).map_err(storage_error)
    }

    fn add_entry(
        &self,
        relation: &Arc<Relation>,
        index: &Index,
        key: &[u8],
        tid: Tid,
        null: bool,
    ) -> Result<()> {
        let storage = self.cx.engine.storage();
        let unique = index.unique && (!null || index.nulls_not_distinct);
        let mut txn = self.cx.txn.borrow_mut();
        let mut insert = |unique| {
            let entry = IndexEntry { key, carries: index.carries(), tid, unique };
            storage.index_insert_entry(txn.storage(), index.storage, &entry).map_err(storage_error)
        };
        if !unique {
            return insert(Unique::No).map(|_| ());
        }
        let IndexInsert::Duplicate { tid: other } = insert(Unique::Yes)? else { return Ok(()) };
        let latest = txn.latest_snapshot();
        if storage.heap_fetch(relation.storage, tid, &latest, |_, _| ()).map_err(storage_error)?.is_none() {
            // The row went meanwhile: nothing to complain of, but older snapshots may look for it.
            let entry = IndexEntry { key, carries: index.carries(), tid, unique: Unique::No };
            let done = storage.index_insert_entry(txn.storage(), index.storage, &entry);
            return done.map(|_| ()).map_err(storage_error);
        }
        core::mem::drop(txn);
        let new = NewIndex::like(index, relation);
        Err(self.duplicate(&new, relation, relation.storage, other))
    }
}
