//! WHERE CURRENT OF: the row that a cursor stands on.

use alloc::{format, string::String, sync::Arc};

use pg_catalog::{Relation, storage_error};
use pg_plan::expr::Expr;
use pg_storage::{RelId, Tid};
use pg_types::{Batch, Result, SqlError, SqlState, Value};

use crate::{context::Rt, session::CursorPlace};

/// The row of a table that a cursor stands on.
pub(super) struct CurrentRow {
    cursor: String,
    relation: Arc<Relation>,
    /// Which column of the scan is the ctid.
    ctid: usize,
}

fn invalid(text: String) -> SqlError {
    SqlError::new(SqlState(*b"24000"), text)
}

impl CurrentRow {
    /// What a scan's condition asks for, and what is left of it.
    pub(super) fn of(relation: &Arc<Relation>, filter: Option<&Expr>) -> Option<(Self, Option<Expr>)> {
        let is_it = |e: &Expr| matches!(e, Expr::CurrentOf(_));
        let all = match filter? {
            e @ Expr::CurrentOf(_) => alloc::vec![e.clone()],
            Expr::And(all) if all.iter().any(is_it) => all.clone(),
            _ => return None,
        };
        let found = all.iter().find_map(|e| match e {
            Expr::CurrentOf(c) => match c.ctid {
                Expr::Column(n, _) => Some((c.cursor.clone(), n as usize)),
                _ => None,
            },
            _ => None,
        });
        let (cursor, ctid) = found?;
        let rest = Expr::all_of(all.into_iter().filter(|e| !is_it(e)).collect());
        Some((Self { cursor, relation: relation.clone(), ctid }, rest))
    }

    fn place(&self, rt: &Rt<'_, '_>) -> Result<CursorPlace> {
        let cursor = rt.cx.session.cursors().into_iter().find(|c| c.name == self.cursor);
        let Some(cursor) = cursor else {
            let text = format!("cursor \"{}\" does not exist", self.cursor);
            return Err(SqlError::new(SqlState::INVALID_CURSOR_NAME, text));
        };
        Ok(cursor.place)
    }

    /// Where the row is that the cursor stands on, if it is one of this table.
    fn found(&self, rt: &Rt<'_, '_>) -> Result<Option<Tid>> {
        let place = self.place(rt)?;
        let (cursor, table) = (&self.cursor, &self.relation.name);
        if !place.select {
            return Err(invalid(format!("cursor \"{cursor}\" is not a SELECT query")));
        }
        if place.kept {
            return Err(invalid(format!("cursor \"{cursor}\" is held from a previous transaction")));
        }
        let of_table = place.marks.tables.iter().filter(|t| t.contains(&self.relation.oid)).count();
        match (place.marks.locked, of_table) {
            (_, 1) => {}
            (true, 0) => {
                return Err(invalid(format!(
                    "cursor \"{cursor}\" does not have a FOR UPDATE/SHARE reference to table \"{table}\""
                )));
            }
            (true, _) => {
                return Err(invalid(format!(
                    "cursor \"{cursor}\" has multiple FOR UPDATE/SHARE references to table \"{table}\""
                )));
            }
            (false, _) => {
                return Err(invalid(format!(
                    "cursor \"{cursor}\" is not a simply updatable scan of table \"{table}\""
                )));
            }
        }
        let Some(row) = place.row else {
            return Err(invalid(format!("cursor \"{cursor}\" is not positioned on a row")));
        };
        Ok(row.into_iter().find(|r| r.0 == self.relation.oid).map(|r| r.1))
    }

    /// The version of that row that the statement sees, which may be a later one.
    pub(super) fn version(&self, rt: &Rt<'_, '_>) -> Result<Option<Tid>> {
        let Some(mut tid) = self.found(rt)? else { return Ok(None) };
        let heap: RelId = self.relation.storage;
        loop {
            rt.cx.checkpoint()?;
            let seen =
                rt.storage().heap_fetch(heap, tid, rt.snapshot, |tid, _| tid).map_err(storage_error)?;
            if seen.is_some() {
                return Ok(seen);
            }
            let marks = |tid| rt.storage().heap_marks(heap, tid).map_err(storage_error);
            let Some(old) = marks(tid)?.filter(|m| m.next != tid) else { return Ok(None) };
            // The place may have been given to another row.
            let Some(_) = marks(old.next)?.filter(|new| new.xmin == old.xmax) else { return Ok(None) };
            tid = old.next;
        }
    }

    /// Is this row of a batch the one at `tid`?
    pub(super) fn is(&self, b: &Batch, row: usize, tid: Tid) -> bool {
        b.value(self.ctid, row) == Value::Tid(tid.block, tid.slot)
    }
}
