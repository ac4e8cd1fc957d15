//! CREATE and REFRESH MATERIALIZED VIEW.
//!
//! A materialized view is a table of kind `m` whose rows no statement but REFRESH changes, with a rule that keeps its
//! query as a view's does. The query of a REFRESH runs with the rights of the view's owner.

use alloc::{format, sync::Arc, vec::Vec};

use hashbrown::HashMap;
use pg_catalog::{CatalogReader, Relation, builtin::PG_CLASS, storage_error};
use pg_plan::utility::{CreateMaterializedView, CreateTable, CreateTableAs, KeptQuery, Refresh};
use pg_storage::{LockMode, RowOutcome, Tid};
use pg_types::{Batch, Oid, Result, SqlError, SqlState, Value};

use super::Ddl;
use crate::{context::Rt, cursor::Cursor, large::RowFormat, node::modify::insert::Loader, routine::Inside};

/// What a row that is found again costs while a REFRESH CONCURRENTLY compares.
const ENTRY: usize = 64;

/// The table that CREATE TABLE AS makes.
pub(crate) fn table_of(t: &CreateTableAs) -> CreateTable {
    CreateTable {
        name: t.name.clone(),
        if_not_exists: t.if_not_exists,
        columns: t.columns.clone(),
        constraints: Vec::new(),
        options: t.options.clone(),
        unlogged: t.unlogged,
        on_commit: t.on_commit,
        likes: Vec::new(),
        inherits: None,
        of: 0,
    }
}

impl Ddl<'_, '_> {
    /// CREATE MATERIALIZED VIEW. `None`: there is one; else the number of rows, if it was filled.
    pub(crate) fn create_materialized_view(&self, v: &CreateMaterializedView) -> Result<Option<Option<u64>>> {
        self.refuse_temporary(&v.query)?;
        let plan = self.cx.session.plan_bound(&self.reader()?, v.table.query.clone())?;
        let Some(oid) = self.create_stored(&table_of(&v.table), b'm')? else { return Ok(None) };
        self.keep_query(oid, &v.query)?;
        if !v.table.with_data {
            self.set_populated(oid, false)?;
            return Ok(Some(None));
        }
        let rows = self.fill(&self.current(oid)?, &mut Cursor::new(&plan)?)?;
        Ok(Some(Some(rows)))
    }

    fn refuse_temporary(&self, query: &KeptQuery) -> Result<()> {
        let reader = self.reader()?;
        for relation in &query.relations {
            if reader.relation_by_oid(*relation)?.is_some_and(|r| r.persistence == b't') {
                return Err(SqlError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    "materialized views must not use temporary tables or views",
                ));
            }
        }
        Ok(())
    }

    fn set_populated(&self, oid: Oid, populated: bool) -> Result<()> {
        self.update(PG_CLASS, &["oid"], &[Value::Oid(oid)], |r| r.put("relispopulated", populated))?;
        self.step();
        Ok(())
    }

    /// Loads a query's rows into a relation without indexes; tells their number.
    pub(crate) fn fill(&self, relation: &Arc<Relation>, cursor: &mut Cursor) -> Result<u64> {
        let mut loader = Loader::plain(relation)?;
        let mut rows = 0;
        self.each_batch(cursor, |batch| {
            rows += batch.rows as u64;
            self.with_rt(|rt| loader.load(batch, rt))
        })?;
        self.step();
        Ok(rows)
    }

    fn each_batch(&self, cursor: &mut Cursor, mut f: impl FnMut(Batch) -> Result<()>) -> Result<()> {
        cursor.open(self.cx)?;
        while let Some(batch) = cursor.next(self.cx)? {
            self.cx.checkpoint()?;
            f(batch.compact())?;
        }
        cursor.close();
        Ok(())
    }

    /// REFRESH MATERIALIZED VIEW.
    pub(crate) fn refresh(&self, r: &Refresh) -> Result<()> {
        self.must_own(&r.relation)?;
        let mode = if r.concurrently { LockMode::Exclusive } else { LockMode::AccessExclusive };
        let relation = self.relock(&r.relation, mode)?;
        if r.concurrently {
            check_concurrently(&relation)?;
        }
        let plan = match (&relation.view, r.with_data) {
            (Some(text), true) => Some(self.cx.session.plan_query(&self.reader_as(relation.owner)?, text)?),
            (None, true) => return Err(SqlError::internal("a materialized view without a query")),
            (_, false) => None,
        };
        let _owner = Inside::owner(self.cx.session, relation.owner);
        if r.concurrently {
            return match plan {
                Some(plan) => self.merge(&relation, &mut Cursor::new(&plan)?),
                None => Ok(()),
            };
        }
        let mut cursor = plan.as_ref().map(Cursor::new).transpose()?;
        self.empty(&relation)?;
        if let Some(cursor) = &mut cursor {
            let mut bare = (*self.current(relation.oid)?).clone();
            bare.indexes.clear();
            self.fill(&Arc::new(bare), cursor)?;
        }
        self.set_populated(relation.oid, cursor.is_some())?;
        self.rebuild_indexes(relation.oid)
    }

    /// REFRESH CONCURRENTLY: rows that are no longer in the result go, new ones come, the others stay as they are.
    fn merge(&self, relation: &Arc<Relation>, cursor: &mut Cursor) -> Result<()> {
        let format = RowFormat::of(relation);
        let encode = |row: &[Value]| -> Result<Vec<u8>> {
            let mut bytes = Vec::new();
            format.layout.encode(row, &mut bytes)?;
            Ok(bytes)
        };
        self.with_rt(|rt| {
            let mut stored: HashMap<Vec<u8>, Vec<Tid>> = HashMap::new();
            self.each_row_at(relation, rt, |tid, row| {
                let bytes = encode(row)?;
                rt.charge(bytes.len() + ENTRY)?;
                stored.entry(bytes).or_default().push(tid);
                Ok(())
            })?;
            let mut seen: hashbrown::HashSet<Vec<u8>> = hashbrown::HashSet::new();
            let (mut added, live) = (Vec::new(), live_positions(relation));
            self.each_batch(cursor, |batch| {
                let mut new = Vec::new();
                for i in 0..batch.rows {
                    let mut row = alloc::vec![Value::Null; relation.attributes.len()];
                    for (column, at) in batch.columns.iter().zip(&live) {
                        if let Some(place) = row.get_mut(*at) {
                            *place = column.value(i);
                        }
                    }
                    let bytes = encode(&row)?;
                    let whole = live.iter().all(|at| row.get(*at).is_some_and(|v| !v.is_null()));
                    if whole && seen.contains(&bytes) {
                        return Err(duplicate(relation, &row, &live, self));
                    }
                    if stored.get_mut(&bytes).and_then(Vec::pop).is_none() {
                        new.push(i as u32);
                    }
                    if whole {
                        rt.charge(bytes.len() + ENTRY)?;
                        seen.insert(bytes);
                    }
                }
                if !new.is_empty() {
                    let batch = batch.with_selection(new).compact();
                    rt.charge(batch.memory())?;
                    added.push(batch);
                }
                Ok(())
            })?;
            let mut loader = Loader::plain(relation)?;
            for tid in stored.into_values().flatten() {
                self.cx.checkpoint()?;
                remove(&loader, relation, tid, rt)?;
            }
            for batch in added {
                loader.load(batch, rt)?;
            }
            loader.target.finish(rt)
        })?;
        self.step();
        Ok(())
    }
}

/// Places of the live columns among all attributes.
fn live_positions(relation: &Relation) -> Vec<usize> {
    relation.live().map(|a| usize::try_from(a.attnum - 1).unwrap_or_default()).collect()
}

/// Deletes a row of a materialized view that is locked against other writers.
fn remove(loader: &Loader, relation: &Relation, tid: Tid, rt: &Rt<'_, '_>) -> Result<()> {
    let outcome = {
        let mut txn = rt.cx.txn.borrow_mut();
        rt.storage().heap_delete(txn.storage(), relation.storage, tid).map_err(storage_error)?
    };
    match outcome {
        RowOutcome::Done { .. } => loader.target.delete_large(tid, rt),
        RowOutcome::ConcurrentlyDeleted | RowOutcome::ConcurrentlyUpdated { .. } => Err(SqlError::new(
            SqlState::SERIALIZATION_FAILURE,
            "could not serialize access due to concurrent update",
        )),
        RowOutcome::SelfModified | RowOutcome::WouldBlock => {
            Err(SqlError::internal("a locked materialized view changed"))
        }
    }
}

/// What REFRESH CONCURRENTLY needs of a materialized view.
fn check_concurrently(relation: &Relation) -> Result<()> {
    if !relation.populated {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "CONCURRENTLY cannot be used when the materialized view is not populated",
        ));
    }
    let plain =
        |i: &pg_catalog::Index| i.predicate.is_none() && i.keys.iter().all(|k| k.expression.is_none());
    if !relation.indexes.iter().any(|i| i.unique && i.valid && plain(i)) {
        let name = format!(
            "{}.{}",
            crate::text::quote_identifier(&relation.schema_name),
            crate::text::quote_identifier(&relation.name)
        );
        return Err(SqlError::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("cannot refresh materialized view \"{name}\" concurrently"),
        )
        .hint(
            "Create a unique index with no WHERE clause on one or more columns of the materialized view.",
        ));
    }
    if !relation.indexes.iter().all(|i| plain(i)) {
        let what = "REFRESH MATERIALIZED VIEW CONCURRENTLY with an index on an expression or with WHERE";
        return Err(SqlError::unsupported(what));
    }
    Ok(())
}

fn duplicate(relation: &Relation, row: &[Value], live: &[usize], ddl: &Ddl<'_, '_>) -> SqlError {
    let format = ddl.cx.session.format();
    let texts: Vec<_> = live
        .iter()
        .filter_map(|at| row.get(*at).zip(relation.attributes.get(*at)))
        .map(|(v, a)| {
            let mut text = Vec::new();
            pg_types::io::output(v, a.ty, format, &mut text);
            alloc::string::String::from_utf8_lossy(&text).into_owned()
        })
        .collect();
    SqlError::new(
        SqlState::CARDINALITY_VIOLATION,
        format!(
            "new data for materialized view \"{}\" contains duplicate rows without any null columns",
            relation.name
        ),
    )
    .detail(format!("Row: ({})", texts.join(",")))
}
