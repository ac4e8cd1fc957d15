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
    keys, storage_error,
};
use pg_plan::utility::CreateIndex;
use pg_storage::{IndexInsert, Isolation, LockMode, LockTag, Tid, Unique};
use pg_types::{Oid, Result, SqlError, SqlState, Value};

use super::{Ddl, index::NewIndex};
use crate::{
    context::ExecContext,
    expr::{Compiled, RowRef},
    node::scan,
};

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
        let new = NewIndex {
            name: &name,
            relation: &relation,
            unique: i.unique,
            primary: false,
            keys: i.keys.clone(),
            key_count: i.key_count,
            predicate: i.predicate.clone(),
            nulls_not_distinct: i.nulls_not_distinct,
            fillfactor: i.fillfactor,
            constraint: false,
            deferrable: false,
            concurrently: true,
        };
        let index = self.create_index_relation(&new)?;
        Ok(Some((relation.oid, index)))
    }

    /// Step 3.
    fn fill_index(&self, table: Oid, index: Oid) -> Result<()> {
        let relation = self.current(table)?;
        let found = relation.indexes.iter().find(|i| i.oid == index).cloned();
        // It may have been dropped meanwhile.
        let Some(index) = found else { return Ok(()) };
        let mut maker = Maker::new(self, &relation, &index)?;
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
            for (tid, payload) in &rows {
                entries.extend(maker.entry(self, *tid, payload)?);
            }
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
            storage.index_insert(txn.storage(), index.storage, key, tid, unique).map_err(storage_error)
        };
        if !unique {
            return insert(Unique::No).map(|_| ());
        }
        let IndexInsert::Duplicate { tid: other } = insert(Unique::Yes)? else { return Ok(()) };
        let latest = txn.latest_snapshot();
        if storage.heap_fetch(relation.storage, tid, &latest, |_, _| ()).map_err(storage_error)?.is_none() {
            // The row went meanwhile: nothing to complain of, but older snapshots may look for it.
            return storage
                .index_insert(txn.storage(), index.storage, key, tid, Unique::No)
                .map(|_| ())
                .map_err(storage_error);
        }
        drop(txn);
        let new = NewIndex {
            name: &index.name,
            relation,
            unique: true,
            primary: false,
            keys: index.keys.clone(),
            key_count: index.key_count,
            predicate: None,
            nulls_not_distinct: index.nulls_not_distinct,
            fillfactor: None,
            constraint: false,
            deferrable: false,
            concurrently: true,
        };
        Err(self.duplicate(&new, relation, relation.storage, other))
    }
}

/// Makes index keys of stored rows.
struct Maker {
    layout: pg_types::tuple::TupleLayout,
    missing: Vec<Value>,
    index: Arc<Index>,
    parts: Vec<Option<Compiled>>,
    predicate: Option<Compiled>,
}

impl Maker {
    fn new(ddl: &Ddl<'_, '_>, relation: &Relation, index: &Arc<Index>) -> Result<Self> {
        let (layout, missing) = scan::layout(relation);
        let compiled = |text: &Option<alloc::string::String>| {
            text.as_ref().map(|t| ddl.expression(relation, t)).transpose()
        };
        let keys = index.keys.iter().take(index.key_count);
        let parts = keys.map(|k| compiled(&k.expression)).collect::<Result<_>>()?;
        Ok(Self { layout, missing, index: index.clone(), parts, predicate: compiled(&index.predicate)? })
    }

    /// Key, row, whether a key column is NULL; `None`: the row is not in the index.
    fn entry(&mut self, ddl: &Ddl<'_, '_>, tid: Tid, payload: &[u8]) -> Result<Option<(Vec<u8>, Tid, bool)>> {
        let row = self.layout.decode(payload, &self.missing)?;
        let r = RowRef::Values(&row);
        ddl.with_rt(|rt| {
            if let Some(p) = &mut self.predicate
                && !p.is_true(r, rt)?
            {
                return Ok(None);
            }
            let (mut key, mut null) = (Vec::with_capacity(16), false);
            for (k, part) in self.index.keys.iter().zip(&mut self.parts) {
                let v = match part {
                    Some(e) => e.row(r, rt)?,
                    None => row.get(k.attnum as usize - 1).cloned().unwrap_or(Value::Null),
                };
                null |= v.is_null();
                keys::encode_index_value(k, &v, &mut key)?;
            }
            Ok(Some((key, tid, null)))
        })
    }
}
