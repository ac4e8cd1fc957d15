//! CREATE INDEX CONCURRENTLY: an index is made while others write to the table.
//!
//! 1. The catalogs get the index, not valid, over an empty tree; that is committed. Writers maintain it from then on.
//! 2. Transactions that began to write before, and may not know of it, are waited for.
//! 3. The rows that a snapshot sees then get their entries, into the live tree. Rows that come later have theirs
//!    already.
//! 4. The index becomes valid. Snapshots older than step 3 do not use it: it may lack versions that they see.
//!
//! When step 3 fails the index stays, not valid: DROP INDEX removes it.

use alloc::{format, sync::Arc, vec::Vec};
use core::time::Duration;

use pg_catalog::{
    Index, Relation, RelationKind, Txn,
    builtin::{PG_CLASS, PG_INDEX},
    storage_error,
};
use pg_plan::utility::CreateIndex;
use pg_storage::{IndexEntry, IndexInsert, Isolation, LockMode, LockTag, Tid, Unique};
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use super::{Ddl, entry::EntryMaker, index::NewIndex};
use crate::{context::ExecContext, large::RowFormat};

/// Between two looks at the locks.
const LOOK: Duration = Duration::from_millis(2);
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
    wait_for_writers(cx, table)?;
    separately(cx, |cx| Ddl::new(cx, "CREATE INDEX")?.fill_index(table, index))?;
    separately(cx, |cx| {
        let ddl = Ddl::new(cx, "CREATE INDEX")?;
        ddl.lock(table, LockMode::ShareUpdateExclusive)?;
        ddl.update(PG_INDEX, &["indexrelid"], &[Value::Oid(index)], |r| r.put("indisvalid", true))?;
        // Plans made for the table do not know of the index.
        ddl.update(PG_CLASS, &["oid"], &[Value::Oid(table)], |r| r.put("relhasindex", true))?;
        ddl.step();
        Ok(())
    })
}

/// Waits for the transactions that write to a table now.
fn wait_for_writers(cx: &ExecContext<'_>, table: Oid) -> Result<()> {
    let storage = cx.engine.storage();
    let writers = || -> Vec<_> {
        use LockMode::{AccessExclusive, Exclusive, RowExclusive, ShareRowExclusive};
        let writes =
            |m: LockMode| matches!(m, RowExclusive | ShareRowExclusive | Exclusive | AccessExclusive);
        let held = storage.locks().into_iter().filter(|l| l.tag == LockTag::Object(table) && l.granted);
        held.filter(|l| writes(l.mode)).map(|l| l.owner).collect()
    };
    let mut before = writers();
    while !before.is_empty() {
        cx.checkpoint()?;
        platform::task::sleep(LOOK);
        let now = writers();
        before.retain(|o| now.contains(o));
    }
    Ok(())
}

impl Ddl<'_, '_> {
    /// Step 1. `None`: there is one of that name (IF NOT EXISTS).
    fn announce_index(&self, i: &CreateIndex) -> Result<Option<(Oid, Oid)>> {
        let relation = self.relock(&i.relation, LockMode::ShareUpdateExclusive)?;
        if relation.kind != RelationKind::Table {
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

    /// Step 3.
    fn fill_index(&self, table: Oid, index: Oid) -> Result<()> {
        let relation = self.current(table)?;
        let found = relation.indexes.iter().find(|i| i.oid == index).cloned();
        // It may have been dropped meanwhile.
        let Some(index) = found else { return Ok(()) };
        let mut maker = EntryMaker::of(self, &relation, &index)?;
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
        drop(txn);
        let new = NewIndex::like(index, relation);
        Err(self.duplicate(&new, relation, relation.storage, other))
    }
}
