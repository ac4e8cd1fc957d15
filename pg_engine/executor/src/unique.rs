//! Unique keys of DEFERRABLE constraints: looked at again at the end of the statement or of the transaction.
//!
//! A row whose key was taken when it came (the other row may be on its way out) is noted. By the time of the check it
//! may be gone itself; then there is nothing to complain of.

use alloc::{string::String, sync::Arc, vec::Vec};

use pg_catalog::{DeferredCheck, Index, Relation, storage_error};
use pg_storage::{IndexEntry, IndexInsert, Tid, Unique};
use pg_types::{Oid, Result, SqlError, Value};

use crate::{context::ExecContext, large::RowFormat, node::modify::unique_violation};

/// A row whose key was taken.
pub(crate) struct Recheck {
    pub(crate) index: Arc<Index>,
    pub(crate) key: Vec<u8>,
    pub(crate) tid: Tid,
}

/// The end of a statement: checks what is not deferred any further.
pub(crate) fn settle(cx: &ExecContext<'_>, table: &Arc<Relation>, rechecks: Vec<Recheck>) -> Result<()> {
    // What the statement did is there for what follows.
    cx.txn.borrow_mut().storage().next_command();
    for r in rechecks {
        cx.checkpoint()?;
        let constraint = table.constraints.iter().find(|c| c.index == r.index.oid);
        // An index that will replace the constraint's: that one is looked at.
        if constraint.is_none() && !r.index.valid {
            continue;
        }
        let later = constraint
            .filter(|c| cx.txn.borrow().is_deferred(c.oid, c.deferrable, c.deferred))
            .map(|c| c.oid);
        match later {
            None => recheck(cx, table, &r.index, &r.key, r.tid)?,
            Some(constraint) => cx.txn.borrow_mut().defer(DeferredCheck {
                constraint,
                table: table.oid,
                key: Vec::new(),
                removed: false,
                row: Some((r.key, r.tid)),
            }),
        }
    }
    Ok(())
}

/// A check that was put off; the constraint may be gone.
pub(crate) fn recheck_constraint(
    cx: &ExecContext<'_>,
    table: &Arc<Relation>,
    constraint: Oid,
    key: &[u8],
    tid: Tid,
) -> Result<()> {
    let constraint = table.constraints.iter().find(|c| c.oid == constraint);
    match constraint.and_then(|c| table.indexes.iter().find(|i| i.oid == c.index)) {
        None => Ok(()),
        Some(index) => recheck(cx, table, index, key, tid),
    }
}

fn recheck(cx: &ExecContext<'_>, table: &Arc<Relation>, index: &Index, key: &[u8], tid: Tid) -> Result<()> {
    let storage = cx.engine.storage();
    let mut txn = cx.txn.borrow_mut();
    let snapshot = txn.latest_snapshot();
    let format = RowFormat::of(table);
    let row = storage
        .heap_fetch(table.storage, tid, &snapshot, |_, payload| format.take(payload))
        .map_err(storage_error)?;
    let Some(taken) = row.transpose()? else { return Ok(()) };
    let entry = IndexEntry { key, carries: index.carries(), tid, unique: Unique::CheckOnly };
    let found = storage.index_insert_entry(txn.storage(), index.storage, &entry).map_err(storage_error)?;
    drop(txn);
    match found {
        IndexInsert::Done => Ok(()),
        IndexInsert::Duplicate { .. } => Err(violation(cx, table, index, &format.complete(taken, cx)?)),
    }
}

fn violation(cx: &ExecContext<'_>, table: &Relation, index: &Index, row: &[Value]) -> SqlError {
    let (mut names, mut values) = (String::new(), String::new());
    for (n, k) in index.keys.iter().take(index.key_count).enumerate() {
        if n > 0 {
            names.push_str(", ");
            values.push_str(", ");
        }
        let attribute = usize::try_from(k.attnum - 1).ok();
        if let Some(a) = attribute.and_then(|a| table.attributes.get(a)) {
            names.push_str(&crate::text::quote_identifier(&a.name));
        }
        match attribute.and_then(|a| row.get(a)) {
            None | Some(Value::Null) => values.push_str("null"),
            Some(v) => values.push_str(&crate::text::output(v, k.ty.oid, cx).unwrap_or_default()),
        }
    }
    unique_violation(cx, table, index, (&names, &values))
}
